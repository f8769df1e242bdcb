/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the arguments of a command name: tenants (TENANT) and mappings of theirs (TENANT/MAPPING, by
 * name or fixed address; or their name in DNS). Here once, and so is what is said when there is
 * none of that name. Pure.
 */
#ifndef TN_SELECTION_H
#define TN_SELECTION_H

#include "lib/error.h"
#include "model/kernel_state.h"
#include "model/model.h"

/* The mappings that a word stands for: one with that fixed address, or those with that name, which
 * can be one of each family. */
struct called {
	const char *name; /* borrowed; NULL: `fixed` is given */
	struct tn_addr fixed;
	uint8_t bits; /* of a prefix, which has to be that one; 0: an address, of a prefix the first
		       */
};

struct called called(const char *word);
bool is_called(const struct mapping *m, const struct called *by);
/* Whether a mapping of the tenant is. */
bool has_called(const struct tenant *t, const struct called *by);

struct choice {
	char *tenant;
	char *mapping; /* NULL: all of the tenant */
	struct called by;
};

struct selection {
	VEC(struct choice) list; /* empty: everything */
	VEC(char *) tenants;	 /* of the list, which owns them */
	struct scope scope;	 /* the same */
};

/* -1 with a usage error: a word is neither TENANT nor TENANT/MAPPING. The caller's to free, also
 * then. */
int selection_read(char *const *words, int n, struct selection *out, struct error *err);
void selection_free(struct selection *s);
#define _cleanup_selection_ _cleanup_(selection_free)
/*
 * What is a name in DNS of a mapping (model/dns.h), and no tenant's, is that mapping from then on.
 * -1 with a usage error: the definitions have no such tenant or mapping.
 */
int selection_check(struct selection *s, const struct model *m, struct error *err);

/* Good as long as the selection. NULL: all tenants. */
const struct scope *selection_scope(const struct selection *s);
/* Whether it has the tenant, or some of its mappings. */
bool selection_has(const struct selection *s, const struct tenant *t);
/* Whether it has mappings of the tenant, and not all of it. */
bool selection_is_narrow(const struct selection *s, const struct tenant *t);
bool selection_has_mapping(const struct selection *s, const struct tenant *t,
			   const struct mapping *m);
/* Whether the rule is about a mapping of the tenant that it has. */
bool selection_has_rule(const struct selection *s, const struct tenant *t, const struct rule *r);

/* The tenant of that name; NULL with a usage error that says what may have been meant. */
struct tenant *tenant_named(const struct model *m, const char *name, struct error *err);
/* That error about a mapping; returns -1. */
int no_mapping(const struct tenant *t, const char *word, struct error *err);

#endif
