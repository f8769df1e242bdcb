/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/announcements.h"

#include "dataplane/standby.h"
#include "host/netns.h"
#include "lib/log.h"
#include "probe/announce.h"

/* When each round begins, after the first. */
static const int round_after[ANNOUNCEMENT_ROUNDS] = { 0, 1000, 4000 };

static void drop(struct announcements *all, struct announcement *one)
{
	vec_free(&one->addrs.list);
	*one = all->list.v[--all->list.n];
}

void announcements_know(struct announcements *all, const struct kernel_state *have)
{
	all->subnets.n = 0;
	vec_each (p, &have->subnets)
		*vec_push(&all->subnets) = *p;
}

static void add(struct announcements *all, const struct router_row *r, bool own,
		const struct addr_list *addrs, uint64_t now)
{
	struct announcement *one = vec_push(&all->list);

	one->router = *r;
	one->router.netns = NULL; /* the definitions' */
	one->own = own;
	one->begun = now;
	vec_each (a, &addrs->list)
		*vec_push(&one->addrs.list) = *a;
}

void announcements_drop(struct announcements *all, uint32_t router)
{
	for (size_t i = all->list.n; i-- > 0;) {
		if (all->list.v[i].router.id == router)
			drop(all, &all->list.v[i]);
	}
}

void announcements_add(struct announcements *all, const struct router_row *r,
		       const struct addr_list *own, const struct addr_list *mapped, uint64_t now)
{
	announcements_drop(all, r->id);
	add(all, r, true, own, now);
	add(all, r, false, mapped, now);
}

void announcements_free(struct announcements *all)
{
	vec_each (one, &all->list)
		vec_free(&one->addrs.list);
	vec_free(&all->list);
	vec_free(&all->subnets);
}

static uint64_t due_of(const struct announcement *one)
{
	return one->begun + round_after[one->round];
}

uint64_t announcements_due(const struct announcements *all)
{
	uint64_t due = UINT64_MAX;

	vec_each (one, &all->list) {
		if (due_of(one) < due)
			due = due_of(one);
	}
	return due;
}

/* How many of the next addresses were announced: all, or 0 where they are not any more. */
static size_t send_slice(const struct announcement *one)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	const struct router_row *r = &one->router;
	size_t count = one->addrs.list.n - one->sent, sent = 0;
	char name[IF_NAMESIZE];
	struct error err = { 0 };

	if (count > ANNOUNCE_SLICE)
		count = ANNOUNCE_SLICE;
	if (netns_enter_id(NULL, r->netns_dev, r->netns_ino, &ns) == 0 &&
	    if_indextoname(r->ifindex, name) &&
	    announce(r->ifindex, r->mac, one->own, one->addrs.list.v + one->sent, count, &sent,
		     &err))
		log_about(LOG_WARNING, r->tenant, NULL, "tenant %s: %s", r->tenant, err.text);
	return sent;
}

static void send_some(struct announcements *all, struct announcement *one)
{
	bool standby = standby_now_at(all->bpffs, &one->router, all->subnets.v, all->subnets.n);
	size_t sent = standby ? 0 : send_slice(one);

	one->sent += sent;
	if (one->sent == one->addrs.list.n) {
		one->sent = 0;
		one->round++;
	}
	if (one->round == ANNOUNCEMENT_ROUNDS || !sent)
		drop(all, one);
}

void announcements_send(struct announcements *all, uint64_t now)
{
	vec_each (one, &all->list) {
		if (due_of(one) <= now) {
			send_some(all, one);
			packet_close_rest();
			return;
		}
	}
}
