/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a router needs besides its programs: an address of its own in the shared subnets,
 * routes that lead to all of them, unreachable ones for when those are lost, forwarding, and that
 * solicitations for its mapped IPv6 addresses arrive. What is right already is left alone. Pure.
 */
#ifndef TN_JOIN_H
#define TN_JOIN_H

#include "model/iface.h"
#include "model/kernel_state.h"
#include "model/model.h"

/*
 * Say in t->router->own what ipam_assign() is to give: an address of each family in which the
 * tenant has mappings and `shared`, its shared interface, has no address that is not ours.
 * A tenant without mappings gets one of the first family of its pool, unless it has any. A router
 * that is active by its address gets none: whoever moves that address gives it.
 */
void join_want_addresses(const struct model *m, const struct iface *shared, struct tenant *t);

/*
 * Whether the router is active by its address, by which, and whether it is a standby now.
 * `granted`: if it is elected, this host is allowed to be active now.
 */
void join_see_active(const struct model *m, const struct router *r, const struct iface *shared,
		     bool granted, struct router_row *row);

/*
 * The addresses of `shared` in the shared subnets that are not ours, to f->own; to f->row whether
 * they make it active.
 */
void join_see(const struct model *m, const struct router *r, const struct iface *shared,
	      bool granted, struct router_facts *f);

/*
 * The inside interface that leads to the gateway of an inside route: the gateway is in one of its
 * subnets, or on a link that a route without a gateway leads to. `inside`: indexes, 0 behind the
 * last. NULL with an error that says what was seen.
 */
const struct iface *join_gateway(const struct ifaces *ifaces, const uint32_t inside[TN_INSIDE_MAX],
				 const struct route *route, struct error *err);

/*
 * Whether all inside routes can be there. Not asked for of a standby, nor where an inside interface
 * is down, which may be without its addresses, or where there is none yet.
 */
int join_check_inside_routes(const struct router *r, const struct router_facts *f,
			     struct error *err);

/*
 * When addresses are assigned: what is to be there of addresses and routes of ours, to
 * f->addrs and f->routes; all own addresses to f->own and f->row.own. What has to be 1 for
 * forwarding, to f->settings: IPv6 forwards only where `all` does (ip6_forward()), IPv4 asks
 * the interface alone (IN_DEV_FORWARD). What lets solicitations in, to f->groups: an entry for each
 * mapped IPv6 address; with more than GROUPS_MAX, all-multicast. f->row, f->at and f->ifaces are
 * what was found. A standby needs none of this; its own addresses are known to the programs.
 */
void join_settle(const struct model *m, const struct tenant *t, struct router_facts *f);

/*
 * All settings that writing those of join_settle() can change, in the order of writing, to
 * `out`: their values are to be read.
 */
void join_touched(const struct router_facts *f, struct kernel_state *out);

#endif
