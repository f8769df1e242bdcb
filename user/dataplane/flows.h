/* SPDX-License-Identifier: GPL-2.0-only */
/* The flows of one router, as its map has them. */
#ifndef TN_DATAPLANE_FLOWS_H
#define TN_DATAPLANE_FLOWS_H

#include "dataplane/dataplane.h"

/* Clocks and ids are this host's: CLOCK_MONOTONIC, and tenants as in the maps. */
struct flow {
	struct tn_flow_key key;
	struct tn_flow value;
};

struct flows {
	VEC(struct flow) list;
};

void flows_free(struct flows *f);
#define _cleanup_flows_ _cleanup_(flows_free)

/* The clock of tn_flow.expires, in seconds. */
uint32_t flows_now(void);

/*
 * Those that are open now, in no order; while traffic goes on, one can be missing that was evicted
 * and came back. The caller's to free. -1: the router has no such map.
 */
int dataplane_flows(struct dataplane *dp, uint32_t router, struct flows *out);
/* The same, but only how many. */
int dataplane_count_flows(struct dataplane *dp, uint32_t router, size_t *out);
/*
 * Add flows to those of the router. One that is there already stays as it is, unless it would end
 * earlier. Where there is no room, the least recently used are evicted.
 */
int dataplane_put_flows(struct dataplane *dp, uint32_t router, const struct flow *v, size_t n,
			struct error *err);
/* From one map to another, both by descriptor; the same holds. */
int flows_copy(int from, int to, struct error *err);
/*
 * End all flows of that mapping of the router. It is one of another VM already, which opens no more
 * of the old ones.
 */
int dataplane_end_flows(struct dataplane *dp, uint32_t router, const struct tn_addr *fixed,
			const struct tn_addr *shared, struct error *err);
/*
 * The same of a standby, which has no say of its own: one that is there becomes what it is in `v`.
 */
int dataplane_mirror_flows(struct dataplane *dp, uint32_t router, const struct flow *v, size_t n,
			   struct error *err);

#endif
