# SPDX-License-Identifier: GPL-2.0-only
# The programs, the skeleton that embeds them, and the executable.

OBJCOPY ?= objcopy

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
WERROR := $(if $(filter true,$(CI)),-Werror)
CFLAGS ?= -O2 -g
SAN_FLAGS := $(if $(SAN),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
WITHOUT := $(if $(filter no,$(METRICS)),-DTN_WITHOUT_METRICS) $(if $(filter no,$(SYSTEMD)),-DTN_WITHOUT_SYSTEMD) \
	$(if $(filter no,$(CLUSTER)),-DTN_WITHOUT_CLUSTER) $(if $(filter no,$(NEUTRON)),-DTN_WITHOUT_NEUTRON)

# $(call once,NAME,COMMAND): what COMMAND prints, asked when NAME is first used, and so not by `make help`
once = $(eval $1 := $$(shell $2))$($1)
MODULES := $(foreach library,$(LIBRARIES),$(firstword $(subst :, ,$(library))))
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(PKG_CONFIG) --cflags $(MODULES) 2>/dev/null)
PKG_LIBS = $(call once,PKG_LIBS,$(PKG_CONFIG) --libs $(MODULES) 2>/dev/null)
# The target bpf has no directories of headers. Those of the host have the architecture's, too.
BPF_INCLUDES = $(call once,BPF_INCLUDES,$(PKG_CONFIG) --cflags libbpf 2>/dev/null; \
	$(CLANG) -v -E - </dev/null 2>&1 | sed -n 's|^ /|-idirafter /|p')

ALL_CPPFLAGS = -D_GNU_SOURCE -DVERSION=$(VERSION) $(WITHOUT) -Iinclude -Iuser -I$(BUILD) $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(WERROR) $(SAN_FLAGS) $(CFLAGS)
# the same in every directory
BPF_FLAGS = -O2 -g -ffile-prefix-map='$(CURDIR)'=. -target bpf -mcpu=v3 -Wall -Wextra -Wshadow $(WERROR) -Iinclude $(BPF_INCLUDES)

LEFT_OUT := $(if $(filter no,$(METRICS)),user/agent/metrics.c user/agent/page.c user/agent/serve.c) \
	$(if $(filter no,$(CLUSTER)),$(wildcard user/cluster/*.c) user/agent/follower.c user/agent/meeting.c user/agent/member.c user/agent/elector.c user/agent/elector_host.c \
		user/agent/post.c user/doctor/doctor_cluster.c user/handover/link.c $(addprefix user/handover/stream,.c _send.c _take.c)) \
	$(if $(filter no,$(NEUTRON)),$(wildcard user/neutron/*.c))
USER_SRC := $(sort $(filter-out $(LEFT_OUT),$(wildcard user/*.c user/*/*.c)))
USER_OBJ := $(USER_SRC:%.c=$(BUILD)/%.o)
# everything but main.c, for the tests
LIB_OBJ := $(filter-out $(BUILD)/user/main.o,$(USER_OBJ))
SKEL := $(BUILD)/tenantnat.skel.h $(BUILD)/stub.skel.h

FLAGS_cc = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS)
FLAGS_bpf = $(CLANG) $(BPF_FLAGS)
# also of what: an object that is gone is in no program any more
FLAGS_link = $(LDFLAGS) $(PKG_LIBS) $(USER_OBJ) $(UNIT_OBJ) $(BPF_TEST_OBJ)

# ---------------------------------------------------------------- programs

# $(call compile_bpf,OBJECT): from the first prerequisite
define compile_bpf
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -MT $@ -MF $@.d -c $< -o $(1)
endef

# without what a loader does not need
define compile_programs
	$(call compile_bpf,$@.raw)
	$(Q)$(BPFTOOL) gen object $@ $@.raw
endef

$(SKEL:.skel.h=.bpf.o): $(BUILD)/%.bpf.o: bpf/%.bpf.c $(BUILD)/flags/bpf
	$(compile_programs)

define embed
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(basename $(basename $(@F))) >$@
endef

$(SKEL): $(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(embed)

# ---------------------------------------------------------------- the page of the agent

PAGE := $(BUILD)/page_text.h

$(PAGE): mk/page.sh $(wildcard user/agent/page/*)
	@mkdir -p $(@D)
	$(call say,PAGE,$@)
	$(Q)mk/page.sh user/agent/page >$@

# ---------------------------------------------------------------- the executable

$(BUILD)/%.o: %.c $(BUILD)/flags/cc | $(SKEL) $(PAGE)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# of the objects among the prerequisites
define link
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(PKG_LIBS) $(1) -o $@
endef

$(BUILD)/tenantnat: $(USER_OBJ) $(BUILD)/flags/link
	$(call link)

JSON = $(subst ",\",$(subst \,\\,$(1)))
compile_commands.json: $(BUILD)/flags/cc $(BUILD)/flags/link ## the compiler's command lines, for clangd and clang-tidy
	@{ echo '['; for f in $(USER_SRC) $(UNIT_SRC) $(BPF_TEST_SRC); do \
		printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' $$f \
			$(call quote,$(call JSON,$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(WARNINGS) -c))" $$f"; \
	done | sed '$$s/,$$//'; echo ']'; } >$@

-include $(USER_OBJ:.o=.d) $(SKEL:.skel.h=.bpf.o.d)
