# SPDX-License-Identifier: GPL-2.0-only
# What was built how: build/flags/ has the commands without the files, and what depends on one of these files is
# made again when it would be made otherwise. build/needs/ has what was looked for, and found.

quote = '$(subst ','\'',$(strip $(1)))'
differ = $(subst x$(strip $(1)),,x$(strip $(2)))$(subst x$(strip $(2)),,x$(strip $(1)))

NEEDS := build unit fuzz
FLAGS := cc bpf link native fuzz
NEED := CC=$(call quote,$(CC)) CPPFLAGS=$(call quote,$(CPPFLAGS)) CLANG='$(CLANG)' PKG_CONFIG='$(PKG_CONFIG)' mk/need.sh

$(NEEDS:%=$(BUILD)/needs/%): $(BUILD)/needs/%:
	@mkdir -p $(@D)
	@$(NEED) $(NEEDS_$*)
	@printf '%s\n' $(call quote,$(NEEDS_$*)) >$@
# with the tools that these are looked for with
$(BUILD)/needs/unit $(BUILD)/needs/fuzz: | $(BUILD)/needs/build

$(FLAGS:%=$(BUILD)/flags/%): $(BUILD)/flags/%: | $(BUILD)/needs/build
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(FLAGS_$*)) >$@

# $(call keep,FILE,TEXT): it is written again when it has another text
keep = $(if $(call differ,$(file <$(1)),$(2)),$(eval $(1): FORCE))

# the others build nothing, or by a make of their own
ifneq ($(filter-out help clean uninstall deps,$(or $(MAKECMDGOALS),all)),)
$(foreach n,$(NEEDS),$(call keep,$(BUILD)/needs/$(n),$(NEEDS_$(n))))
$(foreach f,$(FLAGS),$(call keep,$(BUILD)/flags/$(f),$(FLAGS_$(f))))
endif
