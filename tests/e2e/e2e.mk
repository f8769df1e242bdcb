# SPDX-License-Identifier: GPL-2.0-only

# somebody else's program
$(BUILD)/foreign.bpf.o: tests/e2e/foreign.bpf.c $(BUILD)/flags/bpf
	$(call compile_bpf,$@)
-include $(BUILD)/foreign.bpf.o.d

# the etcd client by itself
$(BUILD)/etcd-driver: $(BUILD)/tests/e2e/etcd_driver.o $(LIB_OBJ) $(BUILD)/flags/link
	$(call link)
-include $(BUILD)/tests/e2e/etcd_driver.d
E2E_DRIVER := $(if $(filter yes,$(CLUSTER)),$(BUILD)/etcd-driver)

HOOK ?= tc
E2E = $(PYTHON) tests/e2e/run.py --bin $(BUILD)/tenantnat

test-e2e: | deps-test ## traffic through network namespaces (root)
	@$(MAKE) $(JOBS) all $(BUILD)/foreign.bpf.o $(E2E_DRIVER)
	@TN_BUILT=1 tests/run.sh $(BUILD) e2e

test-offload: | deps-test ## the offload matrix alone, with larger transfers (root)
	@$(MAKE) $(JOBS) all
	@$(E2E) --long offload_matrix

test-kill: | deps-test ## killed at every moment, system calls refused, power cuts: an hour and more (root; HOOK=tc, EVERY=1)
	@$(MAKE) $(JOBS) all
	@$(E2E) --hook $(HOOK) --offload on --long -v $(if $(EVERY),--every) --topic kill --topic power --topic many
	@$(E2E) --hook $(HOOK) --offload on --long -v $(if $(EVERY),--every) killed_anywhere

test-chaos: | deps-test ## a cluster whose network, etcds, hosts and clocks fail: ten minutes (root; CHAOS_SECONDS=600, SEED=23)
	@$(MAKE) $(JOBS) all $(E2E_DRIVER)
	@$(E2E) --hook tc --offload on --long -v --topic chaos

test-failovers: | deps-test ## a hundred takeovers by keepalived under traffic: half an hour (root; FAILOVERS=100)
	@$(MAKE) $(JOBS) all $(E2E_DRIVER)
	@$(E2E) --hook $(HOOK) --offload on --long -v --topic takeover

test-agent: | deps-test ## how soon the agent mends what happens to a router: three minutes (root)
	@$(MAKE) $(JOBS) all
	@$(E2E) --hook tc --hook xdp --hook clsact --offload on --long --topic agent

test-neutron: | deps-test ## tenantnat neutron, against recorded answers of a real one (root)
	@$(MAKE) $(JOBS) all $(E2E_DRIVER)
	@$(E2E) --hook $(HOOK) --offload on --topic neutron --topic ovn

throughput: | deps-test ## TCP through two routers beside plain routing (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/e2e/throughput.py --bin $(BUILD)/tenantnat --rounds 35 --seconds 1

test-page: | deps-test ## the agent's page in a headless Chromium (root)
	@$(MAKE) $(JOBS) all
	@$(E2E) --hook $(HOOK) --offload on --strict --topic page

pictures: | deps-test ## the README's pictures of that page, docs/page-*.png (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/e2e/pictures.py --bin $(BUILD)/tenantnat
