# SPDX-License-Identifier: GPL-2.0-only
# What is needed: looked for before anything is built, without a package manager; and installed on Debian.

CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config

# NAME:PACKAGE, as pkg-config and as Debian name it
LIBRARIES := libbpf:libbpf-dev libxdp:libxdp-dev libelf:libelf-dev zlib:zlib1g-dev yaml-0.1:libyaml-dev \
	sqlite3:libsqlite3-dev libnl-route-3.0:libnl-route-3-dev libnl-genl-3.0:libnl-genl-3-dev \
	jansson:libjansson-dev libcap:libcap-dev libnftables:libnftables-dev \
	$(if $(filter yes,$(SYSTEMD)),libsystemd:libsystemd-dev) \
	$(if $(filter yes,$(METRICS)),libmicrohttpd:libmicrohttpd-dev) \
	$(if $(filter yes,$(CLUSTER) $(NEUTRON)),libcurl:libcurl4-gnutls-dev) $(if $(filter yes,$(CLUSTER)),gnutls:libgnutls28-dev)

# KIND:NAME:PACKAGE; the kinds are in mk/need.sh. Of newer clangs the verifier refuses the programs: docs/hacking.md
NEEDS_build := tool:$(firstword $(CC)):gcc header:stdio.h:libc6-dev tool:$(CLANG):clang clang:14:clang-14 tool:$(BPFTOOL):bpftool \
	tool:$(PKG_CONFIG):pkg-config $(LIBRARIES:%=library:%) header:uthash.h:uthash-dev
NEEDS_unit := library:criterion:libcriterion-dev
NEEDS_fuzz := sanitizer:address:libclang-rt-dev

packages = $(foreach need,$(1),$(lastword $(subst :, ,$(need))))
DEPS_build := make $(call packages,$(NEEDS_build))
DEPS_demo := $(DEPS_build) iproute2 iputils-ping procps python3 curl util-linux
DEPS_demo-cluster := $(DEPS_demo) etcd-server etcd-client keepalived
DEPS_test := $(DEPS_demo) $(call packages,$(NEEDS_unit) $(NEEDS_fuzz)) llvm python3-scapy python3-jsonschema python3-yaml nftables iperf3 tcpdump \
	ethtool libcap2-bin libfaketime systemd strace traceroute mtr-tiny stun-client stun-server udhcpc udhcpd iptables \
	etcd-server etcd-client openssl keepalived dnsmasq-base bind9-dnsutils graphviz chromium-headless-shell
DEPS_vm := qemu-system-x86 busybox-static kmod
DEPS_kernels := $(DEPS_vm) xdp-tools openvswitch-switch
DEPS_lint := $(DEPS_build) $(call packages,$(NEEDS_unit)) git clang-format clang-tidy shellcheck pyflakes3 python3 \
	llvm mandoc zsh fish tidy

DEPS_site := $(DEPS_build) python3 mkdocs mandoc
DEPS_deb := $(DEPS_build) $(call packages,$(NEEDS_unit) $(NEEDS_fuzz)) debhelper git lintian po-debconf mmdebstrap piuparts autopkgtest iproute2 \
	iputils-ping util-linux

# Without dpkg (exit 3) it is up to whoever calls: what is missing then is found where it is needed.
install = @mk/deps.sh $(1) || [ $$? = 3 ]
install_prometheus = @! command -v dpkg-deb >/dev/null || tests/prometheus.sh build/prometheus

# One after the other, also with -j: dpkg has one lock.
.PHONY: deps-build deps-demo deps-demo-cluster deps-test deps-vm deps-kernels deps-lint deps-site deps-deb
deps-vm: | deps-test
deps-kernels: | deps-test
deps-build deps-demo deps-demo-cluster deps-vm deps-kernels deps-lint deps-site deps-deb: deps-%:
	$(call install,$(DEPS_$*))
deps-test:
	$(call install,$(DEPS_test))
	$(install_prometheus)

##@ Prepare and install

deps-build: ## install the packages that it takes to build (root; Debian)

deps: ## install every package that any target needs (root; Debian)
	@mk/deps.sh $(DEPS_test) $(DEPS_kernels) $(DEPS_lint) $(DEPS_site) $(DEPS_deb)
	$(install_prometheus)
