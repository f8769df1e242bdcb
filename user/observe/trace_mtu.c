/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/trace_mtu.h"

#include "host/netlink.h"
#include "host/netns.h"
#include "observe/trace_look.h"

static const struct iface *by_index(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (index && i->index == index)
			return i;
	}
	return NULL;
}

static struct trace_hop *add_hop(struct trace *t, const struct router_row *r, const struct iface *i)
{
	struct trace_hop *hop = vec_push(&t->hops);

	*hop = (struct trace_hop){
		.router = r, .inside = i->index != r->ifindex, .mtu = i->mtu, .own = i->mtu
	};
	memcpy(hop->name, i->name, sizeof(hop->name));
	memcpy(hop->at, i->name, sizeof(hop->at));
	return hop;
}

/*
 * As doctor has it: a bridge has the least MTU of its ports, and other masters one that means
 * nothing.
 */
static void add_link(struct trace *t, const struct router_row *r, const struct ifaces *ifaces,
		     const struct iface *i)
{
	struct iface_other other[IFACE_RELATIONS];
	struct trace_hop *hop = add_hop(t, r, i);

	hop->link = true;
	netlink_others(ifaces, i, other);
	for (int k = 0; k < IFACE_RELATIONS; k++) {
		const struct iface_other *o = &other[k];

		if (!o->name[0] || o->mtu >= hop->mtu ||
		    (k != IFACE_PEER && strcmp(o->kind, "bridge") != 0))
			continue;
		hop->mtu = o->mtu;
		memcpy(hop->name, o->name, sizeof(hop->name));
	}
}

void trace_mtu_router(struct trace *t, const struct router_row *r, uint32_t in,
		      const struct next_hop *way)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };
	const struct iface *from, *to;
	struct trace_hop *hop;

	if (netlink_ifaces(&ifaces, &ignored))
		return;
	from = by_index(&ifaces, in);
	to = by_index(&ifaces, way->ifindex);
	if (!from || !to)
		return;
	add_link(t, r, &ifaces, from);
	hop = add_hop(t, r, to);
	if (way->mtu)
		hop->mtu = way->mtu;
	add_link(t, r, &ifaces, to);
}

/* ------------------------------------------------------------ the verdict */

static const struct trace_hop *narrowest(const struct trace *t)
{
	const struct trace_hop *least = &t->hops.v[0];

	vec_each (hop, &t->hops) {
		if (hop->mtu < least->mtu)
			least = hop;
	}
	return least;
}

/* The first that is too narrow; NULL: none is. */
static const struct trace_hop *stopped_at(const struct trace *t, uint32_t size)
{
	vec_each (hop, &t->hops) {
		if (hop->mtu < size)
			return hop;
	}
	return NULL;
}

static void say_passes(struct trace *t, uint32_t size)
{
	const struct trace_hop *least = narrowest(t);

	trace_look_add(t, least->router, TRACE_LOOK_MTU, PROBE_OK,
		       "a packet of %u bytes passes; the smallest MTU on the way is %u, of %s",
		       size, least->mtu, least->name);
}

/* By the family: what a router says of a packet that is too large for the next link. */
static const char *answer_of(const struct trace *t)
{
	return addr_is_v4(&t->packet.src) ? "fragmentation needed" : "packet too big";
}

/* Who sends them is told, and sends smaller ones: only who asks for just that size is let down. */
static void say_answered(struct trace *t, const struct trace_hop *hop, uint32_t size)
{
	const struct trace_hop *least = narrowest(t);
	struct trace_look *look = trace_look_add(
		t, hop->router, TRACE_LOOK_MTU, t->size ? PROBE_FAILED : PROBE_OK,
		"a packet of %u bytes that may not be fragmented is answered \"%s\", MTU %u, for "
		"%s; the smallest MTU on the way is %u, of %s",
		size, answer_of(t), hop->mtu, hop->name, least->mtu, least->name);

	if (t->size)
		trace_look_remedy(look,
				  "send at most %u bytes, and let that ICMP error through to "
				  "the sender",
				  least->mtu);
}

static void say_lost(struct trace *t, const struct trace_hop *hop, uint32_t size)
{
	bool other = strcmp(hop->name, hop->at) != 0;
	char enter[NETNS_COMMAND];
	struct trace_look *look = trace_look_add(
		t, hop->router, TRACE_LOOK_MTU, PROBE_FAILED,
		"a packet of %u bytes is silently lost: the MTU of %s%s%s is %u, and nobody tells "
		"the sender",
		size, hop->name, other ? ", which is connected to " : "", other ? hop->at : "",
		hop->mtu);

	netns_command(hop->router->netns, enter);
	if (hop->own < size)
		trace_look_remedy(look, "send at most %u bytes", hop->mtu);
	else
		trace_look_remedy(look, "`%sip link set %s mtu %u`%s", enter, hop->at, hop->mtu,
				  hop->inside ? ", and the same in the VMs" : "");
}

void trace_mtu_judge(struct trace *t)
{
	const struct trace_hop *hop;
	uint32_t size;

	if (!t->hops.n)
		return;
	size = t->size ?: t->hops.v[0].own;
	hop = stopped_at(t, size);
	if (!hop)
		say_passes(t, size);
	else if (hop->link)
		say_lost(t, hop, size);
	else
		say_answered(t, hop, size);
}
