/* SPDX-License-Identifier: GPL-2.0-only */
/* After a change, neighbours are told where addresses are now. */
#include "change/change_parts.h"
#include "host/netns.h"
#include "lib/log.h"
#include "lib/progress.h"
#include "lib/spawn_detached.h"
#include "model/prefixes.h"
#include "probe/announce.h"

/* Whether it is on the shared network for the first time, in another place or with another MAC. */
static bool has_moved(const struct plan *p, const struct router_row *row,
		      const struct kernel_state *have)
{
	const struct router_row *was = kernel_state_router(have, row->id);

	vec_each (r, &p->attach) {
		if (*r == row)
			return true;
	}
	vec_each (r, &p->renew) {
		if (*r == row)
			return router_rejoins(row, was) ||
			       memcmp(row->mac, was->mac, sizeof(row->mac)) != 0;
	}
	return false;
}

static void announce_addrs(const struct router_row *r, bool own, const struct addr_list *addrs)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error err = { 0 };
	size_t told;

	if (!addrs->list.n || netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns))
		return;
	if (announce(r->ifindex, r->mac, own, addrs->list.v, addrs->list.n, &told, &err))
		log_about(LOG_WARNING, r->tenant, NULL,
			  "tenant %s: %s; neighbours find them by their own ARP or ND requests",
			  r->tenant, err.text);
}

static void announce_own(const struct router_row *r)
{
	struct addr_list own = { 0 };

	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&r->own[f]))
			*vec_push(&own.list) = r->own[f];
	}
	announce_addrs(r, true, &own);
	vec_free(&own.list);
}

/* How far two lists are read that are in the order of the routers. */
struct progress {
	size_t wanted; /* of want->fixed */
	size_t added;  /* of the plan's fixed_put */
};

/*
 * All addresses of the VMs of a router that has moved, else those that come to it. Of prefixes
 * none: nobody knows which have a VM, and whom others talk to they ask for.
 */
static void addrs_of_vms(const struct plan *p, const struct kernel_state *want,
			 const struct router_row *r, bool moved, struct progress *at,
			 struct addr_list *out)
{
	for (; at->wanted < want->fixed.n; at->wanted++) {
		const struct fixed_row *row = &want->fixed.v[at->wanted];

		if (row->router > r->id)
			break;
		if (moved && row->router == r->id && !row_bits(row->flags))
			*vec_push(&out->list) = row->shared;
	}
	for (; at->added < p->fixed_put.n; at->added++) {
		const struct fixed_row *row = p->fixed_put.v[at->added];

		if (row->router > r->id)
			break;
		if (!moved && row->router == r->id && !row_bits(row->flags))
			*vec_push(&out->list) = row->shared;
	}
}

/*
 * For neighbours who remember another MAC address. They find out by themselves, but later: so a
 * failure here undoes nothing.
 */
void change_announce(const struct plan *p, const struct kernel_state *want,
		     const struct kernel_state *have, struct outcome *out)
{
	struct progress at = { 0 };
	size_t left = ANNOUNCE_AT_ONCE;

	progress_begin("routers announced", want->routers.n);
	vec_each (r, &want->routers) {
		bool moved = has_moved(p, r, have);
		struct addr_list addrs = { 0 };

		addrs_of_vms(p, want, r, moved, &at, &addrs);
		if (r->standby || is_passed_over(&out->failed, r->tenant)) {
			vec_free(&addrs.list);
			continue;
		}
		if (moved)
			announce_own(r);
		if (addrs.list.n <= left) {
			announce_addrs(r, false, &addrs);
			left -= addrs.list.n;
		} else {
			*vec_push(&out->unannounced) = xstrdup(r->tenant);
			out->unannounced_addrs += addrs.list.n;
		}
		vec_free(&addrs.list);
		progress_step(1);
	}
	progress_end();
	packet_close_rest();
}

void change_announce_rest(const struct settings *settings, const struct outcome *out)
{
	struct error err = { 0 };

	if (!out->unannounced.n)
		return;
	if (spawn_detached(settings, "announce", out->unannounced.v, out->unannounced.n, &err))
		log_warning("%s; %zu addresses are not announced: `tenantnat announce` does it, or "
			    "neighbours find them by their own ARP or ND requests",
			    err.text, out->unannounced_addrs);
	else
		log_notice("%zu addresses are being announced in the background, which takes %zu s",
			   out->unannounced_addrs, out->unannounced_addrs / PACKET_RATE + 1);
}
