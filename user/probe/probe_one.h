/* SPDX-License-Identifier: GPL-2.0-only */
/* One VM, for who follows a single packet: is it there, and does it know the way back? */
#ifndef TN_PROBE_ONE_H
#define TN_PROBE_ONE_H

#include "model/kernel_state.h"
#include "probe/findings.h"

/*
 * The probe `vm` of the VM with that fixed address behind the router `row`, as `check` makes it,
 * and `carrier` if that failed. `peer` is at the other end, on the shared network: routes are asked
 * for as of packets between these two. The VM itself is asked as by the router's own address there,
 * so that its answer ends at the router, and nobody counts it as dropped. The caller is in the
 * router's namespace; `out` is his to free.
 */
void probe_one(const struct kernel_state *machine, const struct router_row *row,
	       const struct tn_addr *fixed, const struct tn_addr *peer, unsigned int patience,
	       struct findings *out);

#endif
