/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the router that was active to the one that is to be: the flows that VMs have opened, without
 * which the answers to a VM that only receives are not accepted after a takeover.
 */
#ifndef TN_HANDOVER_H
#define TN_HANDOVER_H

#include "change/inspect.h"
#include "dataplane/flows.h"
#include "handover/named_flow.h"
#include "model/selection.h"

/*
 * Write the flows that are open at the routers of this host, those of the selected mappings, a line
 * each (named_flow.h). What belongs to no mapping or tenant of the definitions any more is left
 * out: no packet of it would be let through.
 */
int flows_export(const struct view *v, const struct selection *s, FILE *to, struct error *err);

/* X(ID, "key", "text"): why a flow is not taken over. */
#define FLOWS_LEFT_OUT(X)                                                                     \
	X(MAPPING, "mapping", "this host has no router that is attached with such a mapping") \
	X(PEER, "peer", "no such tenant of the peer")

enum flow_left_out {
#define X(id, key, text) FLOW_NO_##id,
	FLOWS_LEFT_OUT(X)
#undef X
		FLOWS_LEFT_OUT_COUNT
};

/* The tenants of a model by their ids, which are no part of what other hosts know; borrowed. */
struct tenants_by_id {
	VEC(const struct tenant *) list;
};

void tenants_by_id(const struct model *m, struct tenants_by_id *out);
void tenants_by_id_free(struct tenants_by_id *t);
#define _cleanup_tenants_by_id_ _cleanup_(tenants_by_id_free)

/*
 * Call a flow of the router of `t` by names. False: it has ended, or belongs to no mapping or
 * tenant of the definitions any more.
 */
bool flow_name(const struct tenants_by_id *all, struct tenant *t, const struct flow *f,
	       uint32_t now, struct named_flow *out);

/* A flow as it is to be in the map of a router here. */
struct taken {
	uint32_t router;
	struct flow flow;
};

/*
 * The inverse, of the model and the routers in `v`. FLOWS_LEFT_OUT_COUNT: *out has it; else what is
 * in the way.
 */
enum flow_left_out flow_find(const struct view *v, const struct named_flow *named, uint32_t now,
			     struct taken *out);

struct import {
	size_t taken; /* also those that were there already */
	size_t left_out[FLOWS_LEFT_OUT_COUNT];
};

/*
 * Read lines to their end, and add what they say to the routers of this host, whose definitions
 * tell what the names are here. `name` is what errors call the file. -1 with a usage error about a
 * line, or about more flows than these routers have room for: nothing is added then.
 */
int flows_import(const struct view *v, FILE *from, const char *name, struct import *out,
		 struct error *err);

#endif
