# SPDX-License-Identifier: GPL-2.0-only
# Manuals and completions, from the table of commands and the schema of the definitions file.

REFERENCE_SRC := $(wildcard packaging/reference/*.c)
REFERENCE_OBJ := $(REFERENCE_SRC:%.c=$(BUILD)/%.o)
REFERENCE := $(BUILD)/reference
# a page for each command, by its name
MANUALS := man5/tenantnat.yaml.5 man8/tenantnat.8 \
	$(shell sed -n 's/ /-/g; s|^\t\.name-=-"\(.*\)",|man8/tenantnat-\1.8|p' user/cmd/*.c)
REFERENCE_OF := packaging/tenantnat.schema.json demo/definitions.yaml

$(BUILD)/write-reference: $(REFERENCE_OBJ) $(LIB_OBJ) $(BUILD)/flags/link
	$(call link)

$(REFERENCE)/done: $(BUILD)/write-reference $(REFERENCE_OF)
	$(call say,MAN,$(REFERENCE))
	$(Q)rm -rf $(REFERENCE)
	$(Q)$< $(REFERENCE) $(REFERENCE_OF) && touch $@

reference: $(REFERENCE)/done ## write manuals and completions of bash, zsh and fish to build/reference

-include $(REFERENCE_OBJ:.o=.d)
