# SPDX-License-Identifier: GPL-2.0-only

# a generator and a sink
$(BUILD)/bench.bpf.o: tests/bench/bench.bpf.c $(BUILD)/flags/bpf
	$(call compile_bpf,$@)

# client and server of short connections
$(BUILD)/requests: tests/bench/requests.c $(BUILD)/flags/cc
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -D_GNU_SOURCE $(ALL_CFLAGS) -o $@ $<

# tenantnat without counting: what is made of the skeleton has other programs, the rest is the same
UNCOUNTED := $(BUILD)/uncounted
SKEL_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(shell grep -l '"dataplane/skeleton.h"' $(USER_SRC)))

$(UNCOUNTED)/tenantnat.bpf.o: tests/bench/uncounted.bpf.c $(BUILD)/flags/bpf
	$(compile_programs)

$(UNCOUNTED)/tenantnat.skel.h: $(UNCOUNTED)/tenantnat.bpf.o
	$(embed)

$(UNCOUNTED)/%.o: %.c $(BUILD)/%.o $(UNCOUNTED)/tenantnat.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -I$(UNCOUNTED) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

$(UNCOUNTED)/tenantnat: $(SKEL_OBJ:$(BUILD)/%=$(UNCOUNTED)/%) $(filter-out $(SKEL_OBJ),$(USER_OBJ)) $(BUILD)/flags/link
	$(call link)

-include $(BUILD)/bench.bpf.o.d $(UNCOUNTED)/tenantnat.bpf.o.d

BENCH = $(PYTHON) tests/bench/bench.py --bin $(BUILD)/tenantnat --object $(BUILD)/bench.bpf.o
CONTROL ?= 10000 100000

##@ Benchmarks

bench: | deps-test ## what a packet costs, beside nftables and iptables: half an hour (root)
	@$(MAKE) $(JOBS) all $(BUILD)/bench.bpf.o
	@$(BENCH) --json $(BUILD)/bench.json --svg docs/bench.svg

bench-quick: | deps-test ## the main rows of it: two minutes (root)
	@$(MAKE) $(JOBS) all $(BUILD)/bench.bpf.o
	@$(BENCH) --quick --rounds 5

bench-control: | deps-test ## what a start, apply, map add and restore take, beside nft and iptables (root; CONTROL="10000 100000")
	@$(MAKE) $(JOBS) all $(BUILD)/bench.bpf.o
	@$(BENCH) --rounds 3 --control $(CONTROL) --json $(BUILD)/bench-control.json

bench-tcp: | deps-test ## TCP through a router, beside nftables and plain forwarding: a quarter of an hour (root)
	@$(MAKE) $(JOBS) all $(BUILD)/requests
	@$(PYTHON) tests/bench/tcp.py --bin $(BUILD)/tenantnat --requests $(BUILD)/requests \
		--json $(BUILD)/bench-tcp.json

bench-neutron: | deps-test ## what a cloud of 1,000 routers and 20,000 VMs takes: two minutes (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/neutron.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-neutron.json

bench-counters: | deps-test ## what it costs to count what each mapping carries: half an hour (root)
	@$(MAKE) $(JOBS) all $(UNCOUNTED)/tenantnat $(BUILD)/bench.bpf.o
	@$(PYTHON) tests/bench/counters.py --bin $(BUILD)/tenantnat --uncounted $(UNCOUNTED)/tenantnat \
		--object $(BUILD)/bench.bpf.o --json $(BUILD)/bench-counters.json

bench-limits: | deps-test ## what one TCP stream gets of a limit, by rate, burst and delay: ten minutes (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/limits.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-limits.json

bench-cluster: | deps-test ## a cluster with MAPPINGS mappings and HOSTS hosts in one etcd: five minutes (root; MAPPINGS=1000000, HOSTS=1000)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/cluster.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-cluster.json \
		$(if $(MAPPINGS),--mappings $(MAPPINGS)) $(if $(HOSTS),--hosts $(HOSTS))

bench-routers: | deps-test ## what apply, restore, detach and the agent take with 200 routers: ten minutes (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/routers.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-routers.json

bench-large-policy: | deps-test ## what 100,000 rules with ranges of ports take: three minutes (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/large_policy.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-large-policy.json

bench-failover: | deps-test ## what connections go through when a router goes to another host: ten minutes (root)
	@$(MAKE) $(JOBS) all
	@$(PYTHON) tests/bench/failover.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-failover.json

bench-policy: | deps-test ## what rules cost, in nanoseconds a packet: none, 10, 1,000, 10,000 of them (root)
	@$(MAKE) $(JOBS) $(BUILD)/bpf-tests
	@BENCH=1 $(BUILD)/bpf-tests --filter 'bench/policy' | grep -v '^\['
