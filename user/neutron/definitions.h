/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From what Neutron says to definitions: a tenant for each router with the tag, its VMs' ports as
 * mappings, and security groups with the tag as rules. docs/neutron.md has what becomes of what.
 * Pure, and a function of its arguments alone: every host makes the same of the same answers, but
 * for the routers that are its own, and for tenants whose routers were renamed.
 */
#ifndef TN_NEUTRON_DEFINITIONS_H
#define TN_NEUTRON_DEFINITIONS_H

#include "model/model.h"
#include "neutron/inventory.h"

/* What somebody should know: one sentence each, in the order in which it was found. */
struct neutron_findings {
	VEC(char *) list;
};

static inline void neutron_findings_free(struct neutron_findings *f)
{
	vec_each (text, &f->list)
		free(*text);
	vec_free(&f->list);
}
#define _cleanup_neutron_findings_ _cleanup_(neutron_findings_free)

/*
 * The inventory is sorted; `host` is what Neutron calls this host, whose routers are in its
 * `hosted`; NULL: those of all hosts are, and the definitions are for all. `names` is an object:
 * the names that tenants have had, by the ids of their routers, which they keep; afterwards it has
 * those of all that there are now. The model is the caller's to free, sorted, and passes the checks
 * of a definitions file. Findings are added. -1: no definitions can be made, with an error; *out is
 * empty then.
 */
int neutron_definitions(const struct inventory *inv, const char *host, json_t *names,
			struct model *out, struct neutron_findings *findings, struct error *err);

#endif
