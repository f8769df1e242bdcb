/* SPDX-License-Identifier: GPL-2.0-only */
/* After a change, neighbours are told where addresses are now. */
#include "change/change_parts.h"
#include "host/netns.h"
#include "lib/log.h"
#include "lib/spawn_detached.h"
#include "probe/announce.h"

static bool moved_in(const struct plan *p, const struct router_row *row,
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

static void tell(const struct router_row *r, bool own, const struct addr_list *addrs)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error err = { 0 };
	size_t told;

	if (!addrs->list.n || netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns))
		return;
	if (announce(r->ifindex, r->mac, own, addrs->list.v, addrs->list.n, &told, &err))
		log_warning("tenant %s: %s; neighbours find them by asking", r->tenant, err.text);
}

/*
 * To neighbours who may remember somebody else: all addresses of a router that is at a new
 * place, and those that come to others. They find out by themselves too, only later, so
 * what fails here is no reason to take anything back. Routers with more addresses than there
 * is time for are named in `out`.
 */
void change_announce(const struct plan *p, const struct kernel_state *want,
		     const struct kernel_state *have, struct outcome *out)
{
	size_t all = 0, new = 0; /* both lists are in the order of the routers */
	size_t left = ANNOUNCE_AT_ONCE;

	vec_each (r, &want->routers) {
		bool moved = moved_in(p, r, have);
		struct addr_list addrs = { 0 }, own = { 0 };

		for (; all < want->fixed.n && want->fixed.v[all].router <= r->id; all++) {
			if (moved && want->fixed.v[all].router == r->id)
				*vec_push(&addrs.list) = want->fixed.v[all].shared;
		}
		for (; new < p->fixed_put.n && p->fixed_put.v[new]->router <= r->id; new ++) {
			if (!moved && p->fixed_put.v[new]->router == r->id)
				*vec_push(&addrs.list) = p->fixed_put.v[new]->shared;
		}
		for (int f = 0; moved && f < FAMILIES; f++) {
			if (!addr_is_unset(&r->own[f]))
				*vec_push(&own.list) = r->own[f];
		}
		if (!is_passed_over(&out->failed, r->tenant)) {
			tell(r, true, &own);
			if (addrs.list.n > left) {
				*vec_push(&out->untold) = xstrdup(r->tenant);
				out->untold_addrs += addrs.list.n;
			} else {
				tell(r, false, &addrs);
				left -= addrs.list.n;
			}
		}
		vec_free(&own.list);
		vec_free(&addrs.list);
	}
}

/* Nobody waits for as many as that. */
void change_announce_untold(const struct settings *settings, const struct outcome *out)
{
	struct error err = { 0 };

	if (!out->untold.n)
		return;
	if (spawn_detached(settings, "announce", out->untold.v, out->untold.n, &err))
		log_warning("%s; %zu addresses are not announced: `tenantnat announce` does it, or "
			    "neighbours find them by asking",
			    err.text, out->untold_addrs);
	else
		log_notice("%zu addresses are being announced in the background, which takes %zu s",
			   out->untold_addrs, out->untold_addrs / PACKET_RATE + 1);
}
