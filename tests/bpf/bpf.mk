# SPDX-License-Identifier: GPL-2.0-only

BPF_TEST_SRC := $(sort $(wildcard tests/bpf/*.c))
BPF_TEST_OBJ := $(BPF_TEST_SRC:%.c=$(BUILD)/%.o) $(patsubst %,$(BUILD)/tests/fuzz/%.o,input view mend)
VERIFIED := tests/bpf/verified.txt

$(BPF_TEST_OBJ): | $(BUILD)/needs/unit

$(BUILD)/bpf-tests: $(BPF_TEST_OBJ) $(BUILD)/native.o $(LIB_OBJ) $(BUILD)/flags/link
	$(call link,-lcriterion)

test-bpf: | deps-test ## packets through the real programs (root)
	@$(MAKE) $(JOBS) $(BUILD)/bpf-tests
	@TN_BUILT=1 tests/run.sh $(BUILD) bpf

verified: | deps-test ## record how much work the programs are for this kernel's verifier (root)
	@$(MAKE) $(JOBS) $(BUILD)/bpf-tests
	$(Q)kernel=$$(uname -r | cut -d. -f1,2); \
	{ grep -v "^$$kernel " $(VERIFIED); \
	  $(BUILD)/bpf-tests --jobs 1 --verbose --filter 'load/*' 2>$(BUILD)/verified.log | sed -n 's/^verified: //p' | sort; \
	} >$(BUILD)/verified.txt && mv $(BUILD)/verified.txt $(VERIFIED)

-include $(BPF_TEST_OBJ:.o=.d)
