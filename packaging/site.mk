# SPDX-License-Identifier: GPL-2.0-only
# README, docs/ and the manuals as a site with a search, for any web server or for `file:`.

SITE := $(BUILD)/site

site: | deps-site ## write README, docs/ and manuals as a web site to build/site, and follow every link
	@$(MAKE) $(JOBS) reference
	$(call say,SITE,$(SITE))
	$(Q)$(PYTHON) packaging/site/site.py $(REFERENCE) $(SITE)
