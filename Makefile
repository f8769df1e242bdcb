# SPDX-License-Identifier: GPL-2.0-only
# `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat VERSION)

# SAN=1: everything in user/ with the address and undefined-behaviour sanitizers
SAN ?=
BUILD := $(if $(SAN),build/san,build)
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PYTHON ?= /usr/bin/python3
ARCH_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch)

# What the build and the tests need, as Debian packages.
DEPS_BUILD := gcc make clang llvm bpftool pkg-config libbpf-dev libxdp-dev libelf-dev zlib1g-dev \
	libyaml-dev libsqlite3-dev libnl-route-3-dev libnl-genl-3-dev libjansson-dev libcap-dev uthash-dev \
	libnftables-dev libsystemd-dev libmicrohttpd-dev
DEPS_DEMO := iproute2 iputils-ping python3 curl
DEPS_FUZZ := libclang-rt-dev
DEPS_TEST := $(DEPS_DEMO) $(DEPS_FUZZ) libcriterion-dev python3-scapy nftables iperf3 tcpdump ethtool \
	util-linux libcap2-bin libfaketime systemd strace traceroute mtr-tiny stun-client stun-server udhcpc udhcpd iptables
DEPS_VM := qemu-system-x86 busybox-static kmod
DEPS_KERNELS := $(DEPS_VM) xdp-tools openvswitch-switch
DEPS_LINT := clang-format clang-tidy shellcheck pyflakes3

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
ifeq ($(CI),true)
WARNINGS += -Werror
endif
comma := ,
SAN_FLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
PKGS := libbpf libxdp libelf zlib yaml-0.1 sqlite3 libnl-route-3.0 libnl-genl-3.0 jansson libcap libnftables libsystemd libmicrohttpd
CFLAGS ?= -O2 -g
ALL_CPPFLAGS = -D_GNU_SOURCE -DVERSION=$(VERSION) -Iinclude -Iuser -isystem $(BUILD) \
	$(shell pkg-config --cflags $(PKGS)) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(SAN_FLAGS) $(CFLAGS)
LIBS = $(shell pkg-config --libs $(PKGS))
BPF_FLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wshadow $(if $(filter true,$(CI)),-Werror) \
	-Iinclude -I$(ARCH_INCLUDE)

USER_SRC := $(sort $(wildcard user/*.c user/*/*.c))
USER_OBJ := $(USER_SRC:%.c=$(BUILD)/%.o)
# everything but main.c, for the tests
LIB_OBJ := $(filter-out $(BUILD)/user/main.o,$(USER_OBJ))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c tests/unit/*/*.c))
UNIT_OBJ := $(UNIT_SRC:%.c=$(BUILD)/%.o)
BPF_TEST_SRC := $(sort $(wildcard tests/bpf/*.c))
BPF_TEST_OBJ := $(BPF_TEST_SRC:%.c=$(BUILD)/%.o) $(BUILD)/tests/fuzz/input.o $(BUILD)/tests/fuzz/view.o \
	$(BUILD)/tests/fuzz/mend.o
# the datapath natively, with sanitizers; see tests/fuzz/native.h
FUZZ := build/fuzz
FUZZ_SRC := tests/fuzz/programs.c tests/fuzz/shim.c tests/fuzz/native.c tests/fuzz/input.c \
	tests/fuzz/view.c tests/fuzz/check.c tests/bpf/fixture.c tests/bpf/packets.c user/lib/addr.c
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(FUZZ)/%.o)
FUZZ_SECONDS ?= 60
FUZZ_CORPUS := tests/fuzz/corpus
FUZZ_FLAGS := -std=gnu11 -O1 -g -D_GNU_SOURCE -Wall -Wextra -Wshadow $(if $(filter true,$(CI)),-Werror) \
	-Iinclude -Itests/fuzz -Iuser -I$(ARCH_INCLUDE)
# BPF has no alignment to keep; the rest of what C leaves open has to hold
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
SKEL := $(BUILD)/tenantnat.skel.h

# every target with a line of help
.PHONY: $(shell sed -n 's/^\([a-z0-9_.-]*\):.*\#\# .*/\1/p' Makefile)

all: | deps-build ## build the executable, build/tenantnat
	@$(MAKE) --no-print-directory $(BUILD)/tenantnat compile_commands.json

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9_.-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: V=1 shows commands, SAN=1 builds with sanitizers, PREFIX=%s, DESTDIR=\n' '$(PREFIX)'

# ---------------------------------------------------------------- dependencies

# Asks dpkg, which is quick, and installs only what is missing.
define install_missing
@missing=; for p in $(1); do \
	dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -q '^installed' || missing="$$missing $$p"; \
done; \
if [ -n "$$missing" ]; then \
	echo "  INSTALL$$missing"; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing; } >$(2) 2>&1 || \
	{ cat $(2); echo "cannot install:$$missing (as root, with Debian's package sources?)"; exit 1; }; \
fi
endef

.PHONY: deps-build deps-demo deps-test deps-vm deps-kernels deps-lint
deps-build deps-demo deps-test deps-vm deps-kernels deps-lint: | build
deps-build:
	$(call install_missing,$(DEPS_BUILD),build/install.log)
deps-demo: | deps-build
	$(call install_missing,$(DEPS_DEMO),build/install.log)
deps-test: | deps-build
	$(call install_missing,$(DEPS_TEST),build/install.log)
	@tests/prometheus.sh build/prometheus
deps-vm: | deps-build
	$(call install_missing,$(DEPS_VM),build/install.log)
deps-lint: | deps-build
	$(call install_missing,$(DEPS_LINT) libcriterion-dev,build/install.log)
deps-kernels: | deps-build
	$(call install_missing,$(DEPS_KERNELS),build/install.log)
deps: deps-demo deps-test deps-kernels deps-lint ## install every package that any target needs

build:
	@mkdir -p $@

# ---------------------------------------------------------------- building

# for the benchmark: what counting costs
UNCOUNTED := $(BUILD)/uncounted
$(UNCOUNTED)/tenantnat.bpf.o: tests/bench/uncounted.bpf.c bpf/tenantnat.bpf.c
$(BUILD)/tenantnat.bpf.o: bpf/tenantnat.bpf.c
$(BUILD)/tenantnat.bpf.o $(UNCOUNTED)/tenantnat.bpf.o: $(wildcard bpf/*.h include/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) -c $(firstword $(filter %.bpf.c,$^)) -o $@.raw
	$(Q)$(BPFTOOL) gen object $@ $@.raw

# for the end-to-end tests: somebody else's program
$(BUILD)/foreign.bpf.o: tests/e2e/foreign.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) -c $< -o $@

# for the benchmark: a generator and a sink
$(BUILD)/bench.bpf.o: tests/bench/bench.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) -c $< -o $@

# for the benchmark: client and server of short connections
$(BUILD)/requests: tests/bench/requests.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -D_GNU_SOURCE $(ALL_CFLAGS) -o $@ $<

$(SKEL) $(UNCOUNTED)/tenantnat.skel.h: %.skel.h: %.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name tenantnat >$@

# the compiler does not list it, because it is taken as a system header: not ours to lint
SKEL_OBJ := $(BUILD)/user/dataplane/dataplane.o $(BUILD)/user/dataplane/instance.o
$(SKEL_OBJ) $(BPF_TEST_OBJ): $(SKEL)

$(BUILD)/%.o: %.c Makefile VERSION | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tenantnat: $(USER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(UNCOUNTED)/%.o: %.c $(BUILD)/%.o $(UNCOUNTED)/tenantnat.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -isystem $(UNCOUNTED) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

$(UNCOUNTED)/tenantnat: $(SKEL_OBJ:$(BUILD)/%=$(UNCOUNTED)/%) $(filter-out $(SKEL_OBJ),$(USER_OBJ))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/unit-tests: $(UNIT_OBJ) $(LIB_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -lcriterion -o $@

# the datapath natively once more, to be held against the kernel: only native.h is seen of it
NATIVE_OBJ := $(patsubst %,$(BUILD)/native/%.o,programs shim native)

$(BUILD)/native/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CLANG,$<)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -Itests/fuzz/include -MMD -MP -c $< -o $@

$(BUILD)/native.o: $(NATIVE_OBJ)
	$(Q)$(LD) -r $^ -o $@
	$(Q)objcopy -w -G 'native_*' $@

$(BUILD)/bpf-tests: $(BPF_TEST_OBJ) $(BUILD)/native.o $(LIB_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -lcriterion -o $@

# these alone see the contexts and helpers of tests/fuzz/include/
$(FUZZ)/tests/fuzz/programs.o $(FUZZ)/tests/fuzz/shim.o $(FUZZ)/tests/fuzz/native.o: \
	FUZZ_FLAGS += -Itests/fuzz/include

$(FUZZ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CLANG,$<)
	$(Q)$(CLANG) $(FUZZ_FLAGS) $(FUZZ_SAN) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(FUZZ)/fuzz: $(FUZZ_OBJ) $(FUZZ)/tests/fuzz/mend.o $(FUZZ)/tests/fuzz/fuzz.o
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(FUZZ_SAN) -fsanitize=fuzzer $^ -o $@

$(FUZZ)/replay: $(FUZZ_OBJ) $(FUZZ)/tests/fuzz/replay.o
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(FUZZ_SAN) $^ -o $@

compile_commands.json: | build ## the compiler's command lines, for clangd and clang-tidy
	@{ echo '['; for f in $(USER_SRC) $(UNIT_SRC) $(BPF_TEST_SRC); do \
		printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' $$f \
			"$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(WARNINGS) -c $$f"; \
	done | sed '$$s/,$$//'; echo ']'; } >$@

-include $(wildcard $(FUZZ)/tests/*/*.d $(FUZZ)/user/*/*.d $(BUILD)/native/*.d)
-include $(USER_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(BPF_TEST_OBJ:.o=.d)

# ---------------------------------------------------------------- using

demo: all | deps-demo ## watch two tenants with the same private addresses talk (root)
	@demo/demo.sh $(BUILD)/tenantnat

test: | deps-test ## install what is missing, build, and run all tests (root)
	@tests/run.sh $(BUILD) unit fuzz bpf e2e diff

test-unit: | deps-test ## the unit tests (no root)
	@tests/run.sh $(BUILD) unit

test-bpf: | deps-test ## packets through the real programs (root)
	@tests/run.sh $(BUILD) bpf

test-e2e: | deps-test ## traffic through network namespaces (root)
	@tests/run.sh $(BUILD) e2e

VERIFIED := tests/bpf/verified.txt
verified: $(BUILD)/bpf-tests ## record how much work the programs are for this kernel's verifier (root)
	$(Q)kernel=$$(uname -r | cut -d. -f1,2); \
	{ grep -v "^$$kernel " $(VERIFIED); \
	  $(BUILD)/bpf-tests --jobs 1 --verbose --filter 'load/*' 2>$(BUILD)/verified.log | sed -n 's/^verified: //p' | sort; \
	} >$(BUILD)/verified.txt && mv $(BUILD)/verified.txt $(VERIFIED)

test-offload: all | deps-test ## the offload matrix alone, with larger transfers (root)
	@$(PYTHON) tests/e2e/run.py --bin $(BUILD)/tenantnat --long offload_matrix

bench: all $(BUILD)/bench.bpf.o | deps-test ## what a packet costs, beside nftables and iptables: half an hour (root)
	@$(PYTHON) tests/bench/bench.py --bin $(BUILD)/tenantnat --object $(BUILD)/bench.bpf.o \
		--json $(BUILD)/bench.json --svg docs/bench.svg

bench-quick: all $(BUILD)/bench.bpf.o | deps-test ## the main rows of it: two minutes (root)
	@$(PYTHON) tests/bench/bench.py --bin $(BUILD)/tenantnat --object $(BUILD)/bench.bpf.o --quick --rounds 5

CONTROL ?= 10000 100000
bench-control: all $(BUILD)/bench.bpf.o | deps-test ## what a start, apply, map add and restore take, beside nft and iptables (root; CONTROL="10000 100000")
	@$(PYTHON) tests/bench/bench.py --bin $(BUILD)/tenantnat --object $(BUILD)/bench.bpf.o --rounds 3 \
		--control $(CONTROL) --json $(BUILD)/bench-control.json

bench-tcp: all $(BUILD)/requests | deps-test ## TCP through a router, beside nftables and plain forwarding: a quarter of an hour (root)
	@$(PYTHON) tests/bench/tcp.py --bin $(BUILD)/tenantnat --requests $(BUILD)/requests \
		--json $(BUILD)/bench-tcp.json

bench-counters: all $(UNCOUNTED)/tenantnat $(BUILD)/bench.bpf.o | deps-test ## what it costs to count what each mapping carries: half an hour (root)
	@$(PYTHON) tests/bench/counters.py --bin $(BUILD)/tenantnat --uncounted $(UNCOUNTED)/tenantnat \
		--object $(BUILD)/bench.bpf.o --json $(BUILD)/bench-counters.json

bench-limits: all | deps-test ## what one TCP stream gets of a limit, by rate, burst and delay: ten minutes (root)
	@$(PYTHON) tests/bench/limits.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-limits.json

bench-routers: all | deps-test ## what apply, restore, detach and the agent take with 200 routers: ten minutes (root)
	@$(PYTHON) tests/bench/routers.py --bin $(BUILD)/tenantnat --json $(BUILD)/bench-routers.json

bench-policy: $(BUILD)/bpf-tests ## what rules cost, in nanoseconds a packet: none, 10, 1,000, 10,000 of them (root)
	@BENCH=1 $(BUILD)/bpf-tests --filter 'bench/policy' | grep -v '^\['

HOOK ?= tc
test-kill: all | deps-test ## killed at every moment, system calls refused, power cuts: an hour and more (root; HOOK=tc, EVERY=1)
	@$(PYTHON) tests/e2e/run.py --bin $(BUILD)/tenantnat --hook $(HOOK) --offload on --long -v $(if $(EVERY),--every) \
		--topic kill --topic power --topic many

test-agent: all | deps-test ## how soon the agent mends what happens to a router: three minutes (root)
	@$(PYTHON) tests/e2e/run.py --bin $(BUILD)/tenantnat --hook tc --hook xdp --hook clsact --offload on --long \
		--topic agent

test-guest: all | deps-test deps-vm ## traffic of a real guest in qemu; fetches a kernel, once (root)
	@tests/vm/kernel.sh 6.1 $(CURDIR)/build/kernels/6.1
	@$(PYTHON) tests/vm/guest.py --bin $(BUILD)/tenantnat --kernel build/kernels/6.1

KERNELS ?= 6.1 6.12
test-kernels: | deps-test deps-kernels ## the same under other kernels of Debian, in qemu (root; KERNELS="6.1 6.12")
	@$(MAKE) --no-print-directory all $(BUILD)/bpf-tests $(BUILD)/foreign.bpf.o
	@tests/kernels.sh $(BUILD) $(KERNELS)

test-diff: | deps-test ## packets beside nftables' stateless NAT; SEED=, PACKETS= (root)
	@tests/run.sh $(BUILD) diff

diff-long: all | deps-test ## the same with other packets each time, and more; PACKETS= (root)
	@PACKETS=$(or $(PACKETS),60000) $(PYTHON) tests/diff/run.py --bin $(BUILD)/tenantnat

throughput: all | deps-test ## TCP through two routers beside plain routing (root)
	@$(PYTHON) tests/e2e/throughput.py --bin $(BUILD)/tenantnat --rounds 35 --seconds 1

test-fuzz: | deps-test ## the stored inputs of the fuzzer, with sanitizers (no root)
	@tests/run.sh $(BUILD) fuzz

fuzz: | deps-test ## look for new inputs for FUZZ_SECONDS=60; what fails is kept in build/fuzz/
	@$(MAKE) --no-print-directory $(FUZZ)/fuzz
	@mkdir -p $(FUZZ)/found
	$(FUZZ)/fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=1606 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/found $(FUZZ_CORPUS)

fuzz-seed: | deps-test ## make the stored corpus anew, from the BPF tests and what was found (root)
	@$(MAKE) --no-print-directory $(FUZZ)/fuzz $(BUILD)/bpf-tests
	@rm -rf $(FUZZ)/seeds $(FUZZ)/merged
	@mkdir -p $(FUZZ)/found $(FUZZ)/seeds $(FUZZ)/merged
	$(Q)SEEDS=$(CURDIR)/$(FUZZ)/seeds $(BUILD)/bpf-tests --filter '!(native|properties)/*' --short-filename
	$(Q)$(FUZZ)/fuzz -merge=1 -use_counters=0 -max_len=1606 -artifact_prefix=$(FUZZ)/ $(FUZZ)/merged \
		$(FUZZ)/seeds $(FUZZ_CORPUS) $(FUZZ)/found
	@cp $(FUZZ_CORPUS)/known-* $(FUZZ)/merged && rm -rf $(FUZZ_CORPUS) && mv $(FUZZ)/merged $(FUZZ_CORPUS)

lint: | deps-lint ## clang-format, clang-tidy, shellcheck, pyflakes
	@$(MAKE) --no-print-directory $(SKEL) compile_commands.json
	@tests/lint.sh

format: | deps-lint ## bring every C file into the project's format
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

UNITS := $(PREFIX)/lib/systemd/system
UNIT_FILES := tenantnat-restore.service tenantnat-agent.service

install: all ## install under $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BUILD)/tenantnat $(DESTDIR)$(PREFIX)/sbin/tenantnat
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/tenantnat/README.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/tenantnat/docs docs/*.md docs/bench.svg
	install -D -m 644 packaging/tenantnat-dashboard.json $(DESTDIR)$(PREFIX)/share/tenantnat/tenantnat-dashboard.json
	install -D -m 644 packaging/tenantnat-alerts.yml $(DESTDIR)$(PREFIX)/share/tenantnat/tenantnat-alerts.yml
	install -d $(DESTDIR)$(UNITS)
	for unit in $(UNIT_FILES); do \
		sed 's|@PREFIX@|$(PREFIX)|' packaging/$$unit.in >$(DESTDIR)$(UNITS)/$$unit || exit 1; \
		chmod 644 $(DESTDIR)$(UNITS)/$$unit; \
	done

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/tenantnat $(addprefix $(DESTDIR)$(UNITS)/,$(UNIT_FILES))
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/tenantnat $(DESTDIR)$(PREFIX)/share/tenantnat

clean: ## remove build/
	rm -rf build compile_commands.json
