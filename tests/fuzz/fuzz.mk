# SPDX-License-Identifier: GPL-2.0-only
# The datapath natively, with sanitizers; see native.h.

FUZZ := build/fuzz
FUZZ_SRC := tests/fuzz/programs.c tests/fuzz/shim.c tests/fuzz/native.c tests/fuzz/input.c \
	tests/fuzz/view.c tests/fuzz/check.c tests/bpf/fixture.c tests/bpf/packets.c user/lib/addr.c
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(FUZZ)/%.o)
FUZZ_MAIN := $(addprefix $(FUZZ)/tests/fuzz/,fuzz.o mend.o replay.o)
FUZZ_SECONDS ?= 60
FUZZ_CORPUS := tests/fuzz/corpus
FUZZ_FLAGS = -std=gnu11 -O1 -g -D_GNU_SOURCE -Wall -Wextra -Wshadow $(WERROR) -Iinclude -Itests/fuzz -Iuser
# BPF has no alignment to keep; the rest of what C leaves open has to hold
FUZZ_SAN := -fsanitize=address -fsanitize=undefined -fno-sanitize=alignment -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# these alone see the contexts and helpers of tests/fuzz/include/
NATIVE := programs shim native
$(NATIVE:%=$(FUZZ)/tests/fuzz/%.o): FUZZ_FLAGS += -Itests/fuzz/include

FLAGS_fuzz = $(CLANG) $(FUZZ_FLAGS) $(FUZZ_SAN)
$(FUZZ_OBJ) $(FUZZ_MAIN): | $(BUILD)/needs/fuzz

$(FUZZ)/%.o: %.c $(BUILD)/flags/fuzz
	@mkdir -p $(@D)
	$(call say,CLANG,$<)
	$(Q)$(CLANG) $(FUZZ_FLAGS) $(FUZZ_SAN) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(FUZZ)/fuzz: $(FUZZ_OBJ) $(FUZZ)/tests/fuzz/mend.o $(FUZZ)/tests/fuzz/fuzz.o
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(FUZZ_SAN) -fsanitize=fuzzer $^ -o $@

$(FUZZ)/replay: $(FUZZ_OBJ) $(FUZZ)/tests/fuzz/replay.o
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(FUZZ_SAN) $^ -o $@

# once more without sanitizers, to be held against the kernel: only native.h is seen of it
FLAGS_native = $(CLANG) $(FUZZ_FLAGS)
NATIVE_OBJ := $(NATIVE:%=$(BUILD)/native/%.o)

$(NATIVE_OBJ): $(BUILD)/native/%.o: tests/fuzz/%.c $(BUILD)/flags/native
	@mkdir -p $(@D)
	$(call say,CLANG,$<)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -Itests/fuzz/include -MMD -MP -c $< -o $@

$(BUILD)/native.o: $(NATIVE_OBJ)
	$(Q)$(LD) -r $^ -o $@
	$(Q)$(OBJCOPY) -w -G 'native_*' $@

test-fuzz: ## the stored inputs of the fuzzer, with sanitizers
	@$(MAKE) $(JOBS) $(FUZZ)/replay
	@TN_BUILT=1 tests/run.sh $(BUILD) fuzz

fuzz: ## look for new inputs for FUZZ_SECONDS=60; what fails is kept in build/fuzz/
	@$(MAKE) $(JOBS) $(FUZZ)/fuzz
	@mkdir -p $(FUZZ)/found
	$(FUZZ)/fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=1606 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/found $(FUZZ_CORPUS)

fuzz-seed: | deps-test ## make the stored corpus anew, from the BPF tests and what was found (root)
	@$(MAKE) $(JOBS) $(FUZZ)/fuzz $(BUILD)/bpf-tests
	@rm -rf $(FUZZ)/seeds $(FUZZ)/merged
	@mkdir -p $(FUZZ)/found $(FUZZ)/seeds $(FUZZ)/merged
	$(Q)SEEDS=$(CURDIR)/$(FUZZ)/seeds $(BUILD)/bpf-tests --filter '!(native|properties)/*' --short-filename
	$(Q)$(FUZZ)/fuzz -merge=1 -use_counters=0 -max_len=1606 -artifact_prefix=$(FUZZ)/ $(FUZZ)/merged \
		$(FUZZ)/seeds $(FUZZ_CORPUS) $(FUZZ)/found
	@cp $(FUZZ_CORPUS)/known-* $(FUZZ)/merged && rm -rf $(FUZZ_CORPUS) && mv $(FUZZ)/merged $(FUZZ_CORPUS)

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_MAIN:.o=.d) $(NATIVE_OBJ:.o=.d)
