# SPDX-License-Identifier: GPL-2.0-only

test-diff: | deps-test ## packets beside nftables' stateless NAT; SEED=, PACKETS= (root)
	@$(MAKE) $(JOBS) all
	@TN_BUILT=1 tests/run.sh $(BUILD) diff

diff-long: | deps-test ## the same with other packets each time, and more; PACKETS= (root)
	@$(MAKE) $(JOBS) all
	@PACKETS=$(or $(PACKETS),60000) $(PYTHON) tests/diff/run.py --bin $(BUILD)/tenantnat
