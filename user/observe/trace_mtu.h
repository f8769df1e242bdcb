/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How large a packet of the traced flow may be: by the MTU of each interface and route that it
 * meets, and of what these are connected to. Routers say so to who sends a packet that is too large
 * for the next link; what a link loses itself, nobody is told of.
 */
#ifndef TN_TRACE_MTU_H
#define TN_TRACE_MTU_H

#include "host/route_query.h"
#include "observe/trace.h"

/*
 * The packet comes to the router by `in`, and leaves it as `way` says. The caller is in its
 * namespace. Routers come in their order.
 */
void trace_mtu_router(struct trace *t, const struct router_row *r, uint32_t in,
		      const struct next_hop *way);

/* Adds the look, if the packet has come by a router, when it has come to its end. Any namespace. */
void trace_mtu_judge(struct trace *t);

#endif
