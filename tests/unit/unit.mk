# SPDX-License-Identifier: GPL-2.0-only

UNIT_SRC := $(sort $(filter-out $(if $(filter no,$(METRICS)),tests/unit/agent/test_page.c tests/unit/agent/test_serve.c) \
	$(if $(filter no,$(CLUSTER)),$(wildcard tests/unit/cluster/*.c)) $(if $(filter no,$(NEUTRON)),$(wildcard tests/unit/neutron/*.c)), \
	$(wildcard tests/unit/*.c tests/unit/*/*.c)))
UNIT_OBJ := $(UNIT_SRC:%.c=$(BUILD)/%.o)

$(UNIT_OBJ): | $(BUILD)/needs/unit

$(BUILD)/unit-tests: $(UNIT_OBJ) $(LIB_OBJ) $(BUILD)/flags/link
	$(call link,-lcriterion)

##@ One level of the tests

test-unit: ## the unit tests
	@$(MAKE) $(JOBS) $(BUILD)/unit-tests
	@TN_BUILT=1 tests/run.sh $(BUILD) unit

-include $(UNIT_OBJ:.o=.d)
