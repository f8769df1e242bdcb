/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The probes of several routers of a machine at once: what `check` makes at any time, and a
 * join before it lets traffic through.
 */
#ifndef TN_BATCH_H
#define TN_BATCH_H

#include "model/kernel_state.h"
#include "model/model.h"
#include "model/selection.h"
#include "probe/probe.h"

/* One router, its probes under way, and what they found. */
struct batch_router {
	const struct router_row *row; /* borrowed */
	bool vms;		      /* whether its VMs answer is probed too */
	struct probe_input in;
	struct probe_run *run;
	struct findings found;
};

/*
 * Addresses that one batch looks for duplicates of, two times: at PACKET_RATE that takes two
 * seconds. They are the routers' in their order, but each has some looked for, however many it is
 * one of.
 */
#define BATCH_DUPLICATES_MAX	    10000
#define BATCH_ROUTER_DUPLICATES_MIN 1024

struct batch {
	const struct model *model; /* borrowed, like everything that it and the machine hold */
	const struct kernel_state *kernel; /* the same: the routers, and who has which address */
	unsigned int patience;		   /* every wait this many times as long; 0 is 1 */
	bool ask_all;			   /* also routers whose interface is down */
	const struct selection *only;	   /* whose VMs are asked; borrowed; NULL: everybody's */
	VEC(struct batch_router) list;
	size_t last; /* of the list: found last */
};

void batch_free(struct batch *t);
#define _cleanup_batch_ _cleanup_(batch_free)

/* All probes of a router, with `vms` also whether its VMs answer; once, before its addresses. */
void batch_add(struct batch *t, const struct router_row *row, bool vms);
/* Nothing but whether somebody has an address that comes to a router which is joined already. */
void batch_add_address(struct batch *t, const struct router_row *row, const struct tn_addr *shared);

/*
 * What they found is in the list, also that one could not be made: it keeps no other from it. -1
 * only when an interrupt ends it (lib/interrupt.h).
 */
int batch_make(struct batch *t, struct error *err);

/*
 * Whether something failed for which the router itself is at fault, and not another one: if a probe
 * reached some routers, it is those that it did not reach. Pure.
 */
bool batch_is_at_fault(const struct batch *t, const struct batch_router *one);

#endif
