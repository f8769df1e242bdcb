# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` lists targets and variables. Each purpose has a file of its own: mk/ builds, packaging/ installs,
# tests/*/*.mk test. `make` installs no package; `make deps` does, and so do the targets that need root.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

VERSION := $(shell cat VERSION)
PYTHON ?= /usr/bin/python3

# the address and undefined-behaviour sanitizers, for everything in user/
SAN ?=
BUILD := $(if $(SAN),build/san,build)
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

# no: left out, and the library that it takes is not needed
METRICS ?= yes
SYSTEMD ?= yes
CLUSTER ?= yes
NEUTRON ?= yes
$(foreach v,METRICS SYSTEMD CLUSTER NEUTRON,$(if $(filter yes no,$($v)),,$(error $v=$($v): write yes or no)))

# Of a sub-make: as many as there are CPUs, unless `make -jN` says how many; it takes part in those then.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

include mk/deps.mk
include mk/build.mk
include packaging/reference.mk
include packaging/site.mk
include packaging/install.mk
include tests/unit/unit.mk
include tests/fuzz/fuzz.mk
include tests/bpf/bpf.mk
include tests/e2e/e2e.mk
include tests/diff/diff.mk
include tests/vm/vm.mk
include tests/bench/bench.mk
include mk/flags.mk

# ours, without the compiler's lists of headers
MK_FILES := $(filter Makefile %.mk,$(MAKEFILE_LIST))

##@ Build

all: $(BUILD)/tenantnat compile_commands.json ## build the executable, build/tenantnat

demo: | deps-demo ## watch two tenants with the same private addresses talk (root)
	@$(MAKE) $(JOBS) all
	@demo/demo.sh $(BUILD)/tenantnat

demo-cluster: | deps-demo-cluster ## watch three hosts of a cluster, one of which dies under a transfer (root)
	@$(MAKE) $(JOBS) all
	@demo/cluster.sh $(BUILD)/tenantnat

clean: ## remove build/
	rm -rf build compile_commands.json

help: ## print this list
	@awk -F ':.*## ' '/^##@ /{printf "\n%s:\n", substr($$0, 5)} \
		/^[a-z0-9_.-]+:.*## /{printf "  %-21s %s\n", $$1, $$2}' $(MK_FILES) | sed 1d
	@sed -n 's/^#= //p' $(MK_FILES)

##@ Test

check: ## all tests that need no root: test-unit, test-fuzz, test-install (lint is separate)
	@$(MAKE) $(JOBS) all reference $(BUILD)/unit-tests $(FUZZ)/replay
	@tests/install.sh $(BUILD)
	@TN_BUILT=1 tests/run.sh $(BUILD) unit fuzz

check-left-out: ## the unit tests once more, of a build with METRICS=no SYSTEMD=no CLUSTER=no NEUTRON=no
	@$(MAKE) $(JOBS) BUILD=build/least METRICS=no SYSTEMD=no CLUSTER=no NEUTRON=no build/least/tenantnat build/least/unit-tests
	@tests/left_out.sh build/least/tenantnat
	@TN_BUILT=1 tests/run.sh build/least unit

test: | deps-test ## install what is missing, build, and run all tests (root)
	@$(MAKE) $(JOBS) all reference $(BUILD)/unit-tests $(FUZZ)/replay $(BUILD)/bpf-tests $(BUILD)/foreign.bpf.o $(E2E_DRIVER)
	@tests/install.sh $(BUILD)
	@TN_BUILT=1 tests/run.sh $(BUILD) unit fuzz bpf e2e diff

lint: | deps-lint ## clang-format, clang-tidy, shellcheck, pyflakes, layers, links of docs, HTML, manuals
	@$(MAKE) $(JOBS) $(SKEL) $(PAGE) compile_commands.json reference
	@tests/lint.sh $(REFERENCE) $(BUILD)/tenantnat.bpf.o

format: | deps-lint ## bring every C file into the project's format
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

# Targets with a line of help are no files.
.PHONY: FORCE $(shell sed -n 's/^\([a-z0-9_-]*\):.*\#\# .*/\1/p' $(MK_FILES))

#= 
#= Variables (make VARIABLE=VALUE TARGET):
#=   V=1               show the commands
#=   SAN=1             build with the address and undefined-behaviour sanitizers, in build/san
#=   METRICS=no        leave the agent's metrics out, and libmicrohttpd
#=   SYSTEMD=no        leave what systemd is told out, its units, and libsystemd
#=   CLUSTER=no        leave clusters of hosts out, and GnuTLS
#=   NEUTRON=no        leave `tenantnat neutron` out; with CLUSTER=no also libcurl
#=   CC CLANG BPFTOOL PKG_CONFIG CFLAGS CPPFLAGS LDFLAGS    tools and flags; CLANG compiles bpf/
#=   DESTDIR PREFIX SBINDIR DATADIR DOCDIR MANDIR SYSTEMDUNITDIR BASHDIR ZSHDIR FISHDIR    where install puts what
