/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_route.h"

#include <arpa/inet.h>

/* The longest of the prefixes that has the address. */
static const struct probe_prefix *prefix_of(const struct probe_input *in, const struct tn_addr *a)
{
	const struct probe_prefix *best = NULL;

	vec_each (p, &in->prefixes) {
		if (prefix_has(&p->prefix, a) && (!best || p->prefix.len > best->prefix.len))
			best = p;
	}
	return best;
}

static bool is_own(const struct probe_input *in, const struct tn_addr *a)
{
	vec_each (own, &in->own) {
		if (addr_cmp(own, a) == 0)
			return true;
	}
	vec_each (other, &in->others) {
		if (addr_cmp(other, a) == 0)
			return true;
	}
	return false;
}

bool probe_route(struct probe_run *run, const struct tn_addr *host, const char *subject,
		 struct next_hop *seen)
{
	const struct probe_prefix *p = prefix_of(run->in, host);
	bool via = p && !addr_is_unset(&p->gateway);
	char del[IFACE_ROUTE_DEL];
	struct error err = { 0 };
	struct finding *f;

	if (route_query(host, seen, &err)) {
		findings_add_error(&run->found, PROBE_ROUTE, subject, &err);
		return false;
	}
	if (!seen->local && seen->ifindex == run->in->ifindex &&
	    (!via || addr_cmp(&seen->gateway, &p->gateway) == 0) &&
	    (via || !p || !p->on_link || addr_is_unset(&seen->gateway)))
		return true;
	f = findings_add(&run->found, PROBE_ROUTE, PROBE_FAILED, subject,
			 "expected packets to %s by %s%s%s; seen: %s", ADDR(host), run->in->name,
			 via ? " via " : "", via ? ADDR(&p->gateway) : "", NEXT_HOP(seen));
	if (route_astray_del(host, &run->in->ifindex, 1, del))
		finding_remedy(f, "`%s` in the router", del);
	else
		finding_remedy(f,
			       "look at `ip route get %s` in the router, and correct its routes "
			       "or rules",
			       ADDR(host));
	return false;
}

/* The neighbouring address, up or down. */
static struct tn_addr next_to(const struct tn_addr *a, bool down)
{
	struct tn_addr next = *a;

	if (!down)
		return addr_add(a, 1);
	for (int i = 3; i >= 0; i--) {
		uint32_t word = ntohl(a->w[i]);

		next.w[i] = htonl(word - 1);
		if (word)
			break;
	}
	return next;
}

/* The first host from one end of the prefix inwards that is not the router itself. */
static struct tn_addr end_of(const struct probe_input *in, const struct prefix *p, bool last)
{
	struct tn_addr a = last ? prefix_last(p) : p->addr;

	while (prefix_has(p, &a) && (prefix_reserves(p, &a) || is_own(in, &a)))
		a = next_to(&a, last);
	return a;
}

void probe_route_prefix(struct probe_run *run, const struct probe_prefix *p)
{
	struct next_hop next_hop;

	for (int last = 0; last < 2; last++) {
		struct tn_addr host = end_of(run->in, &p->prefix, last);

		/* else nobody is in it but the router */
		if (!prefix_has(&p->prefix, &host) ||
		    !probe_route(run, &host, PREFIX(&p->prefix), &next_hop))
			return;
	}
	findings_add(&run->found, PROBE_ROUTE, PROBE_OK, PREFIX(&p->prefix), "%s",
		     NEXT_HOP(&next_hop));
}
