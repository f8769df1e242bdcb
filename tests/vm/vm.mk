# SPDX-License-Identifier: GPL-2.0-only

KERNELS ?= 6.1 6.12

test-guest: | deps-vm ## traffic of a real guest in qemu; fetches a kernel, once (root)
	@$(MAKE) $(JOBS) all
	@tests/vm/kernel.sh 6.1 $(CURDIR)/build/kernels/6.1
	@$(PYTHON) tests/vm/guest.py --bin $(BUILD)/tenantnat --kernel build/kernels/6.1

test-kernels: | deps-kernels ## bpf and some e2e tests under other kernels of Debian (root; KERNELS="6.1 6.12")
	@$(MAKE) $(JOBS) all $(BUILD)/bpf-tests $(BUILD)/foreign.bpf.o
	@tests/kernels.sh $(BUILD) $(KERNELS)
