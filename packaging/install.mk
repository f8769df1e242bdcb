# SPDX-License-Identifier: GPL-2.0-only

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/tenantnat
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
SYSTEMDUNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=

# FILE:WHERE, of what is installed as it is
DATA := README.md:$(DOCDIR)/README.md \
	$(foreach file,$(wildcard docs/*.md docs/*.svg docs/*.png),$(file):$(DOCDIR)/$(file)) \
	$(foreach page,$(MANUALS),$(REFERENCE)/$(page):$(MANDIR)/$(page)) \
	$(REFERENCE)/bash/tenantnat:$(BASHDIR)/tenantnat $(REFERENCE)/zsh/_tenantnat:$(ZSHDIR)/_tenantnat \
	$(REFERENCE)/fish/tenantnat.fish:$(FISHDIR)/tenantnat.fish \
	$(foreach file,tenantnat-dashboard.json tenantnat-alerts.yml tenantnat.schema.json,packaging/$(file):$(DATADIR)/tenantnat/$(file))
UNITS := $(if $(filter yes,$(SYSTEMD)),tenantnat-restore.service tenantnat-agent.service)
INSTALLED := $(SBINDIR)/tenantnat $(foreach pair,$(DATA),$(lastword $(subst :, ,$(pair)))) $(UNITS:%=$(SYSTEMDUNITDIR)/%)
# nobody else's; from the innermost
INSTALLED_DIRS := $(DOCDIR)/docs $(DOCDIR) $(DATADIR)/tenantnat

define newline


endef
PUT := install -D -m

install: all reference ## install under $(DESTDIR)$(PREFIX), with the same variables as make
	$(PUT) 755 $(BUILD)/tenantnat '$(DESTDIR)$(SBINDIR)/tenantnat'
	$(foreach pair,$(DATA),$(PUT) 644 $(subst :, '$(DESTDIR),$(pair))'$(newline))
	$(foreach unit,$(UNITS),sed 's|@SBINDIR@|$(SBINDIR)|; s|@DOCDIR@|$(DOCDIR)|' packaging/$(unit).in | \
		$(PUT) 644 /dev/stdin '$(DESTDIR)$(SYSTEMDUNITDIR)/$(unit)'$(newline))

uninstall: ## remove what install put there, with the same variables
	rm -f $(foreach file,$(INSTALLED),'$(DESTDIR)$(file)')
	for dir in $(foreach dir,$(INSTALLED_DIRS),'$(DESTDIR)$(dir)'); do \
		[ ! -d "$$dir" ] || rmdir --ignore-fail-on-non-empty "$$dir" || exit; \
	done

test-install: ## install and uninstall, elsewhere
	@$(MAKE) $(JOBS) all reference
	@tests/install.sh $(BUILD)

# ---------------------------------------------------------------- archives and packages

# of the last commit; what is not committed is in neither
DIST := tenantnat-$(VERSION)

dist: ## build/tenantnat-VERSION.tar.gz, of the last commit
	@mkdir -p build
	git archive --format=tar --prefix=$(DIST)/ HEAD | gzip -9n >build/$(DIST).tar.gz

deb: | deps-deb ## build Debian packages in build/deb, of the last commit
	@packaging/deb.sh build/deb

test-deb: | deps-deb ## build the packages twice, and install, upgrade, remove and purge them in a Debian of its own (root)
	@tests/deb.sh
