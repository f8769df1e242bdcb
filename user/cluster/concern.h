/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which hosts a change concerns: those that store something else afterwards (projection.h), or
 * more of them when that is not easily told. Pure.
 */
#ifndef TN_CONCERN_H
#define TN_CONCERN_H

#include "cluster/blocks.h"

struct concern {
	bool everybody;
	struct names tenants; /* of which something changes */
	struct names hosts;   /* without `everybody`, these alone */
};

void concern_free(struct concern *c);
#define _cleanup_concern_ _cleanup_(concern_free)

/* What changes from the one to the other; *c is the caller's to free. No change: everybody. */
int concern_of_change(const struct entries *had, const struct entries *will, struct concern *c,
		      struct error *err);
/* Whom that concerns. `now` has the network and all tenants. */
int concern_find_hosts(const struct entries *now, struct concern *c, struct error *err);
/*
 * The same seen from one host: `mine` is what it has (all tenants, sorted), `changed` has those
 * tenants that have changed meanwhile, as they are now, none of them removed.
 */
enum concern_of {
	CONCERN_NONE, /* it has nothing else to store */
	CONCERN_OWN,  /* but of tenants that are here, as they were, and these alone */
	CONCERN_ALL,  /* that is not easily told */
};
enum concern_of concern_of_host(const struct model *mine, const struct model *changed,
				bool (*is_here)(void *arg, const struct tenant *t), void *arg);
/* The same of one of them. */
enum concern_of concern_of_tenant(const struct model *mine, const struct tenant *t,
				  bool (*is_here)(void *arg, const struct tenant *t), void *arg);
/* Whether the host is one of them. */
bool concern_has(const struct concern *c, const char *host);

#endif
