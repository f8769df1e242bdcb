/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether some host of the cluster has each router of the definitions: one that names a host which
 * is no member, or a namespace that nobody has, forwards for nobody. Pure.
 */
#ifndef TN_PLACEMENT_H
#define TN_PLACEMENT_H

#include "cluster/overview.h"
#include "model/model.h"

/* Sentences without a stop, for people. */
struct placement {
	VEC(char *) list;
};

void placement_free(struct placement *p);
#define _cleanup_placement_ _cleanup_(placement_free)

/* Of each host that routers name and that is no member: who names it, and which may be meant. */
void placement_of_hosts(const struct model *m, const struct overview *o, struct placement *out);
/*
 * Of routers that name no host: whose namespace nobody has, or two have, as the hosts say
 * (overview_host.found). While a host has yet to say it, nothing.
 */
void placement_of_namespaces(const struct model *m, const struct overview *o,
			     struct placement *out);
/*
 * What is not known of definitions that nobody has yet: whose namespace no host has said to have,
 * this one neither, which `has_netns` is asked about.
 */
void placement_of_new(const struct model *m, const struct overview *o,
		      bool (*has_netns)(const struct router *r), struct placement *out);

/* "red, blue and 7 more" */
#define NAMES_SAID 5
struct names_text {
	char text[NAMES_SAID * (TENANT_NAME_MAX + 2) + 32];
	size_t n; /* how many there are */
};

/* The tenants whose routers name that host. */
void placement_naming(const struct model *m, const char *host, struct names_text *out);
/* Those whose routers are here, as the model is located. */
void placement_here(const struct model *m, struct names_text *out);

#endif
