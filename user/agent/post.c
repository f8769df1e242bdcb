// SPDX-License-Identifier: GPL-2.0-only
#include "agent/post.h"

#include "dataplane/attach.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "probe/announce.h"

void post_clear(struct post *p)
{
	free(p->tenant);
	free(p->netns);
	memset(p, 0, sizeof(*p));
}

void post_set(struct post *p, const struct tenant *t)
{
	const struct router *r = t->router;

	*p = (struct post){ .tenant = xstrdup(t->name),
			    .netns = r->netns ? xstrdup(r->netns) : NULL,
			    .router = r->id,
			    .state = POST_AWAY };
	for (int f = 0; f < FAMILIES; f++) {
		if (r->own[f].pinned)
			p->own[f] = r->own[f].addr;
	}
}

bool post_same(const struct post *a, const struct post *b)
{
	return a->router == b->router && a->netns_dev == b->netns_dev &&
	       a->netns_ino == b->netns_ino && a->ifindex == b->ifindex &&
	       memcmp(a->own, b->own, sizeof(a->own)) == 0;
}

/* ---------------------------------------------------------------- how it is */

static const struct router_row *row_of(const struct post *p, const struct kernel_state *routers)
{
	vec_each (r, &routers->routers) {
		if (r->id == p->router && strcmp(r->tenant, p->tenant) == 0 && r->elected)
			return r;
	}
	return NULL;
}

static enum post_state state_of(const struct post *p, struct dataplane *dp,
				const struct router_row *row)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct attachments found;
	bool complete;

	if (netns_enter_id(p->netns, row->netns_dev, row->netns_ino, &ns) ||
	    !netlink_is_up(row->ifindex))
		return POST_AWAY;
	netns_leave(&ns);
	attach_inspect(dp, row, &found);
	complete = found.complete;
	vec_free(&found.list);
	return complete ? POST_READY : POST_BROKEN;
}

void post_look(struct post *p, struct dataplane *dp, const struct kernel_state *routers)
{
	const struct router_row *row = dp ? row_of(p, routers) : NULL;

	if (!row) {
		p->state = POST_AWAY;
		return;
	}
	p->netns_dev = row->netns_dev;
	p->netns_ino = row->netns_ino;
	p->ifindex = row->ifindex;
	memcpy(p->inside, row->inside, sizeof(p->inside));
	p->state = state_of(p, dp, row);
}

/* ---------------------------------------------------------------- what makes it active */

static struct addr_row row_at(const struct post *p, const struct tn_addr *a)
{
	struct addr_row row = { .at = { .netns_dev = p->netns_dev,
					.netns_ino = p->netns_ino,
					.ifindex = p->ifindex,
					.netns = p->netns,
					.tenant = p->tenant },
				.addr = *a,
				.len = 128 };

	if (!if_indextoname(p->ifindex, row.at.name))
		row.at.name[0] = '\0';
	return row;
}

/* It would stay when this host is not elected any more. */
static int check_free(const struct post *p, struct error *err)
{
	struct iface shared = { .index = p->ifindex };
	int ret = 0;

	if (netlink_addrs(&shared))
		return 0; /* whoever adds it finds that out */
	vec_each (a, &shared.addrs) {
		for (int f = 0; f < FAMILIES; f++) {
			if (!a->elected && addr_cmp(&a->addr, &p->own[f]) == 0)
				ret = error_set(err,
						"somebody else has given it the address %s, which "
						"only the agent may: remove it from the interface",
						ADDR(&a->addr));
		}
	}
	vec_free(&shared.addrs);
	return ret;
}

/* Less than is left, by the kernel's clock of seconds; but it takes no zero. */
static uint32_t seconds_until(uint64_t until)
{
	uint64_t now = clock_boot_ms(), left = until > now ? (until - now) / 1000 : 0;

	return left ? (uint32_t)left : 1;
}

int post_start(const struct post *p, struct dataplane *dp, uint64_t until, bool first,
	       struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	if (!dp || netns_enter_id(p->netns, p->netns_dev, p->netns_ino, &ns))
		return error_set(err, "its namespace is gone");
	if (first && check_free(p, err))
		return -1;
	if (dataplane_grant(dp, p->router, until * 1000000, err))
		return -1;
	for (int f = 0; f < FAMILIES; f++) {
		struct addr_row row = row_at(p, &p->own[f]);

		if (!addr_is_unset(&p->own[f]) &&
		    netlink_lend_addr(&row, seconds_until(until), err))
			return -1;
	}
	return 0;
}

static void announce_one(const struct post *p, const struct iface *i)
{
	struct addr_list addrs = { 0 };
	struct error err = { 0 };
	size_t told;

	vec_each (a, &i->addrs)
		*vec_push(&addrs.list) = a->addr;
	if (i->ethernet && addrs.list.n &&
	    announce(i->index, i->mac, true, addrs.list.v, addrs.list.n, &told, &err))
		log_about(LOG_WARNING, p->tenant, NULL, "tenant %s: %s", p->tenant, err.text);
	vec_free(&addrs.list);
}

void post_announce(const struct post *p)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };

	if (netns_enter_id(p->netns, p->netns_dev, p->netns_ino, &ns) ||
	    netlink_ifaces(&ifaces, &ignored))
		return;
	vec_each (i, &ifaces.list) {
		for (size_t k = 0; k < TN_INSIDE_MAX && p->inside[k]; k++) {
			if (p->inside[k] == i->index)
				announce_one(p, i);
		}
	}
	packet_close_rest();
}

/* Of ours alone; the caller is in the namespace. */
static int take_away(const struct post *p, struct error *err)
{
	struct iface shared = { .index = p->ifindex };
	int ret = 0;

	if (netlink_addrs(&shared))
		return 0; /* the interface is gone */
	vec_each (a, &shared.addrs) {
		struct addr_row row = row_at(p, &a->addr);

		row.len = a->len;
		if (a->elected && netlink_del_addr(&row, err))
			ret = -1;
	}
	vec_free(&shared.addrs);
	return ret;
}

int post_stop(const struct post *p, struct dataplane *dp, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	int ret = dp && dataplane_grant(dp, p->router, 0, err) ? -1 : 0;

	if (!p->ifindex || netns_enter_id(p->netns, p->netns_dev, p->netns_ino, &ns))
		return ret;
	return take_away(p, err) ? -1 : ret;
}

/* On whichever interface of its namespace it is. */
static int clean_one(const struct tenant *t, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error gone = { 0 };

	if (netns_enter(t->router->netns, &ns, &gone))
		return 0;
	if (netlink_ifaces(&ifaces, err))
		return -1;
	vec_each (i, &ifaces.list) {
		struct post p = { .tenant = t->name, .netns = t->router->netns };

		p.ifindex = i->index;
		if (take_away(&p, err))
			return -1;
	}
	return 0;
}

int post_clean(const struct model *m, struct dataplane *dp, struct error *err)
{
	if (dp && dataplane_grant_nobody(dp, err))
		return -1;
	vec_each (t, &m->tenants) {
		if (t->router && t->router->active == ACTIVE_ELECTED && clean_one(t, err))
			return -1;
	}
	return 0;
}
