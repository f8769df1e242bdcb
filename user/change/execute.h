/* SPDX-License-Identifier: GPL-2.0-only */
/* Carrying out a plan, in the order of struct plan's members. */
#ifndef TN_EXECUTE_H
#define TN_EXECUTE_H

#include "change/plan.h"
#include "dataplane/dataplane.h"

/* A router that could not be made what it is to be, and why. */
struct failure {
	char tenant[TENANT_NAME_MAX + 1];
	char *text; /* a sentence that names the tenant */
};

struct failures {
	VEC(struct failure) list;
};

void failures_free(struct failures *failed);
#define _cleanup_failures_ _cleanup_(failures_free)

/* Note what keeps one router from its place, so that the others can go on; -1: they cannot. */
int pass_over(struct failures *failed, const char *tenant, struct error *err);
/* Whether that was noted of the tenant; never when `failed` is NULL. */
bool is_passed_over(const struct failures *failed, const char *tenant);

/*
 * The plan `p` from `have` to `want`. With `failed`, a router that fails is noted there, and the
 * others go on. `dp` NULL: there are no maps.
 *
 * First the routers' programs, addresses, routes and settings: nothing changes for those that had
 * traffic before, but for what changes its owner, and a router that joins lets nothing through yet.
 */
int execute_prepare(struct dataplane *dp, const struct plan *p, const struct kernel_state *want,
		    const struct kernel_state *have, struct failures *failed, struct error *err);
/* Then who is accepted, the mappings, and what goes away of addresses and routes. */
int execute_complete(struct dataplane *dp, const struct plan *p, const struct kernel_state *have,
		     struct error *err);
/*
 * Programs that nobody needs any more, when nothing can be taken back: else what a VM sends while
 * it is taken back would leave untranslated.
 */
int execute_leave(struct dataplane *dp, const struct plan *p, struct error *err);

#endif
