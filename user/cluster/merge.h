/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host that joins with definitions of its own brings them into those of the cluster: tenants that
 * the cluster does not know, routers of tenants that it knows only from afar, mappings with their
 * leases. Nobody's address changes; what does not go together is named. Pure.
 */
#ifndef TN_MERGE_H
#define TN_MERGE_H

#include "model/model.h"

struct collisions {
	VEC(char *) list; /* each one a sentence without a stop, for people */
};

void collisions_free(struct collisions *c);
#define _cleanup_collisions_ _cleanup_(collisions_free)

/*
 * Put `from`, what is in force on host `host` (located there, all addresses given), into `into`,
 * the cluster's, where all routers are `router` (model_locate with NULL), and which is sorted then.
 * Of a router that names no hosts it is said that this is its host. `from` is good for nothing but
 * to be freed, and with collisions so is `into`.
 */
void merge_in(struct model *into, struct model *from, const char *host, struct collisions *out);

#endif
