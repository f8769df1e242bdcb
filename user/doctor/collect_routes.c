/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <stdarg.h>

#include "doctor/collect_internal.h"
#include "host/route_query.h"
#include "model/prefixes.h"

/* Fixed addresses, and addresses of other tenants, that a route is looked up to. */
#define LOOKUPS_MAX 64

static const struct iface *by_index(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (index && i->index == index)
			return i;
	}
	return NULL;
}

static const struct iface *by_name(const struct ifaces *ifaces, const char *name)
{
	vec_each (i, &ifaces->list) {
		if (strcmp(i->name, name) == 0)
			return i;
	}
	return NULL;
}

/* The network of that interface that the address is in; len 0: none. */
static struct prefix network_of(const struct iface *i, const struct tn_addr *a)
{
	vec_each (own, &i->addrs) {
		struct prefix p = { own->addr, own->len }, net = p;
		struct tn_addr mask = prefix_mask(&p);

		for (int k = 0; k < 4; k++)
			net.addr.w[k] &= mask.w[k];
		if (!addr_is_special(&own->addr) && own->len < 128 && prefix_has(&net, a))
			return net;
	}
	return (struct prefix){ 0 };
}

/* ------------------------------------------------------------ of the router itself */

static void find_culprit(const struct ifaces *ifaces, const uint32_t *right, size_t n,
			 struct lookup *l)
{
	struct iface_culprit c;
	const struct iface *by;

	ifaces_culprit(ifaces, &l->to, right, n, &c);
	by = by_index(ifaces, c.ifindex);
	l->covered = c.covered;
	l->has_culprit = c.found;
	l->culprit = c.to;
	snprintf(l->culprit_dev, sizeof(l->culprit_dev), "%s", by ? by->name : "");
}

static void find_inside_culprit(const struct ifaces *ifaces, const struct router_report *r,
				struct lookup *l)
{
	uint32_t right[TN_INSIDE_MAX];
	size_t n = 0;

	vec_each (p, &r->inside) {
		const struct iface *i = by_name(ifaces, p->name);

		if (i && n < TN_INSIDE_MAX)
			right[n++] = i->index;
	}
	find_culprit(ifaces, right, n, l);
}

__attribute__((format(printf, 5, 6))) static struct lookup *
look_up(const struct ifaces *ifaces, struct router_report *r, const struct tn_addr *to, bool shared,
	const char *what, ...)
{
	struct error ignored = { 0 };
	const struct iface *by;
	struct next_hop next_hop;
	struct lookup *l;
	va_list args;

	if (r->lookups.n >= 4 * LOOKUPS_MAX || ifaces_have(ifaces, to) ||
	    route_query(to, &next_hop, &ignored))
		return NULL;
	l = vec_push(&r->lookups);
	l->to = *to;
	l->shared = shared;
	va_start(args, what);
	if (vasprintf(&l->what, what, args) < 0)
		l->what = xstrdup("an address");
	va_end(args);
	by = next_hop.local ? NULL : by_index(ifaces, next_hop.ifindex);
	if (by)
		memcpy(l->by, by->name, sizeof(l->by));
	return l;
}

static void look_up_shared(const struct ifaces *ifaces, struct router_report *r,
			   const struct tn_addr *to, const char *what, const char *which)
{
	const struct iface *shared = by_name(ifaces, r->shared.name);
	const struct prefix *subnet = model_subnet(r->model, to);
	struct lookup *l = look_up(ifaces, r, to, true, "%s %s", what, which);

	if (!l || !subnet)
		return;
	l->subnet = *subnet;
	find_culprit(ifaces, &(uint32_t){ shared ? shared->index : 0 }, 1, l);
}

/* Its first and its last address, next to those that nobody has. */
static void look_up_prefix(const struct ifaces *ifaces, struct router_report *r,
			   const struct prefix *p, const char *what)
{
	struct tn_addr first = p->addr, last = prefix_last(p);

	if (prefix_reserves(p, &first))
		first = addr_add(&first, 1);
	if (prefix_reserves(p, &last))
		last.w[3] ^= htonl(1);
	look_up_shared(ifaces, r, &first, what, PREFIX(p));
	look_up_shared(ifaces, r, &last, what, PREFIX(p));
}

static bool has_family(const struct router_report *r, const struct tn_addr *a)
{
	return addr_is_v4(a) ? r->v4 : r->v6;
}

/* What of other tenants the VMs of this one can send to: nothing of a family that they do not have.
 */
static void look_up_others(const struct ifaces *ifaces, struct router_report *r)
{
	vec_each (t, &r->model->tenants) {
		if (t == r->tenant)
			continue;
		vec_each (p, &t->pools) {
			if (has_family(r, &p->addr))
				look_up_prefix(ifaces, r, p, "the pool");
		}
		for (size_t i = 0; i < t->mappings.n && i < LOOKUPS_MAX; i++) {
			const struct mapping *m = &t->mappings.v[i];
			struct tn_addr fixed = mapping_any_fixed(m), shared;

			shared = mapping_shared_of(m, &fixed);
			if (!addr_is_unset(&m->shared) && has_family(r, &shared))
				look_up_shared(ifaces, r, &shared, "the shared address",
					       ADDR(&shared));
		}
	}
}

/* Routes of others to a part of the subnet: nobody would see them by its ends. */
static void look_up_parts(const struct ifaces *ifaces, struct router_report *r,
			  const struct prefix *p)
{
	vec_each (route, &ifaces->routes) {
		struct tn_addr host = route->to.addr;

		if (route->ours || route->to.len <= p->len || !prefix_has(p, &host))
			continue;
		if (prefix_reserves(&route->to, &host))
			host = addr_add(&host, 1);
		look_up_shared(ifaces, r, &host, "a part of the shared subnet", PREFIX(&route->to));
	}
}

/* ------------------------------------------------------------ of VMs */

/* Somebody in that subnet who is not the router. */
static struct tn_addr far_in(const struct ifaces *ifaces, const struct prefix *p)
{
	struct tn_addr a = addr_add(&p->addr, 1);

	while (ifaces_have(ifaces, &a))
		a = addr_add(&a, 1);
	return a;
}

static const struct port *port_by(const struct router_report *r, const char *name)
{
	if (strcmp(name, r->shared.name) == 0)
		return &r->shared;
	vec_each (p, &r->inside) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/*
 * The same way for a packet that comes in by `iif`, which rules may lead elsewhere. Not asked for
 * where the kernel would not take it in for a reason that is a finding of its own.
 */
static void look_up_input(const struct ifaces *ifaces, struct router_report *r,
			  const struct tn_addr *to, const struct tn_addr *from, const char *iif,
			  bool shared, const struct prefix *subnet)
{
	const struct iface *in = by_name(ifaces, iif);
	const struct port *port = port_by(r, iif);
	struct error ignored = { 0 };
	const struct iface *by;
	struct next_hop seen;
	struct lookup *l;

	if (!in || !port || !port->up || !port->carrier || port->rp_filter == 1 ||
	    (addr_is_v4(to) ? port->forwarding : r->forwarding_v6) != 1 ||
	    route_query_input(to, from, in->index, &seen, &ignored))
		return;
	l = vec_push(&r->lookups);
	*l = (struct lookup){ .to = *to, .from = *from, .shared = shared, .subnet = *subnet };
	l->what = xstrdup(ADDR(shared ? from : to));
	by = seen.local ? NULL : by_index(ifaces, seen.ifindex);
	if (by)
		memcpy(l->by, by->name, sizeof(l->by));
}

static bool leads(const struct router_report *r, const struct lookup *l)
{
	const struct port *p = l ? port_by(r, l->by) : NULL;

	return p && (p == &r->shared) == l->shared;
}

/* Two interfaces, of which answers take one: what comes by the other is dropped. */
static void look_for_crossing(const struct ifaces *ifaces, struct router_report *r,
			      const struct tn_addr *vm, const char *by)
{
	vec_each (p, &r->inside) {
		const struct iface *other = by_name(ifaces, p->name);
		struct prefix net = other ? network_of(other, vm) : (struct prefix){ 0 };
		struct crossing *c;

		if (strcmp(p->name, by) == 0 || !net.len)
			continue;
		vec_each (had, &r->crossings) {
			if (strcmp(had->one, by) == 0 && strcmp(had->other, p->name) == 0)
				return;
		}
		c = vec_push(&r->crossings);
		c->vm = *vm;
		c->network = net;
		snprintf(c->one, sizeof(c->one), "%s", by);
		memcpy(c->other, p->name, sizeof(c->other));
	}
}

static void look_up_vm(const struct ifaces *ifaces, struct router_report *r,
		       const struct tn_addr *fixed)
{
	struct lookup *own = look_up(ifaces, r, fixed, false, "the fixed address %s", ADDR(fixed));
	char by[IF_NAMESIZE];

	if (own)
		find_inside_culprit(ifaces, r, own);
	if (!leads(r, own))
		return;
	memcpy(by, own->by, sizeof(by));
	look_for_crossing(ifaces, r, fixed, by);
	vec_each (p, &r->model->subnets) {
		struct tn_addr far = far_in(ifaces, p);
		struct error ignored = { 0 };
		struct next_hop way;
		const struct iface *to;

		if (addr_is_v4(&p->addr) != addr_is_v4(fixed) || route_query(&far, &way, &ignored))
			continue;
		to = by_index(ifaces, way.ifindex);
		/* else that is a finding already */
		if (!to || strcmp(to->name, r->shared.name) != 0)
			continue;
		look_up_input(ifaces, r, &far, fixed, by, true, p);
		look_up_input(ifaces, r, fixed, &far, r->shared.name, false, p);
	}
}

/* ------------------------------------------------------------ of the router as a VM */

/* Where it would send with that address, which rules may tell apart. */
static void look_up_itself(const struct ifaces *ifaces, struct router_report *r,
			   const struct mapping *m)
{
	*vec_push(&r->itself) = m;
	vec_each (p, &r->model->subnets) {
		struct tn_addr far = far_in(ifaces, p);
		struct error ignored = { 0 };
		struct next_hop way, seen;
		const struct iface *to, *by;
		struct lookup *l;

		if (addr_is_v4(&p->addr) != addr_is_v4(&m->fixed) ||
		    route_query(&far, &way, &ignored) ||
		    route_query_input(&far, &m->fixed, 0, &seen, &ignored))
			continue;
		to = by_index(ifaces, way.ifindex);
		/* else that is a finding already */
		if (!to || strcmp(to->name, r->shared.name) != 0)
			continue;
		l = vec_push(&r->lookups);
		*l = (struct lookup){ .to = far, .from = m->fixed, .shared = true, .subnet = *p };
		l->what = xstrdup(ADDR(&m->fixed));
		by = by_index(ifaces, seen.ifindex);
		if (by)
			memcpy(l->by, by->name, sizeof(l->by));
	}
}

/* The addresses of the router in a prefix, which it does not have to have there. */
static void look_for_itself_in(const struct ifaces *ifaces, struct router_report *r,
			       const struct mapping *m)
{
	vec_each (i, &ifaces->list) {
		vec_each (a, &i->addrs) {
			if (mapping_has_fixed(m, &a->addr) &&
			    !tenant_mapping((struct tenant *)r->tenant, &a->addr))
				*vec_push(&r->in_prefix) = (struct own_in_prefix){ m, a->addr };
		}
	}
}

/* ------------------------------------------------------------ networks */

static void look_for_covers(const struct ifaces *ifaces, struct router_report *r)
{
	vec_each (port, &r->inside) {
		const struct iface *i = by_name(ifaces, port->name);

		if (!i)
			continue;
		vec_each (own, &i->addrs) {
			struct prefix net = network_of(i, &own->addr);

			vec_each (subnet, &r->model->subnets) {
				struct cover *c;

				if (!net.len ||
				    addr_is_v4(&own->addr) != addr_is_v4(&subnet->addr) ||
				    !prefix_overlap(&net, subnet))
					continue;
				c = vec_push(&r->covers);
				*c = (struct cover){ .gate = own->addr,
						     .network = net,
						     .subnet = *subnet,
						     .answered = addr_is_v4(&own->addr) &&
								 port->proxy_arp == 1 };
				memcpy(c->name, port->name, sizeof(c->name));
			}
		}
	}
}

static void look_for_unreachable(const struct ifaces *ifaces, struct router_report *r)
{
	vec_each (p, &r->model->subnets) {
		if ((addr_is_v4(&p->addr) || r->forwarding_v6 != UNKNOWN) &&
		    !ifaces_have_unreachable(ifaces, p, false))
			*vec_push(&r->uncovered) = *p;
	}
}

/* A family that the router has no address of on the shared network gets its route with that. */
static bool will_have_route(const struct router_report *r, const struct tn_addr *a)
{
	return r->planned && !(addr_is_v4(a) ? r->own_v4 : r->own_v6);
}

/* An apply puts the route there; one that cannot be there is a finding of its own. */
static bool will_have_inside_route(const struct router_report *r, const struct tn_addr *a)
{
	return r->planned && router_inside_route(r->tenant->router, a);
}

void collect_routes(const struct ifaces *ifaces, struct router_report *r)
{
	const struct tenant *t = r->tenant;

	vec_each (p, &r->model->subnets) {
		if (!has_family(r, &p->addr) || will_have_route(r, &p->addr))
			continue;
		look_up_prefix(ifaces, r, p, "the shared subnet");
		look_up_parts(ifaces, r, p);
	}
	for (size_t i = 0; r->inside.n && i < t->mappings.n && i < LOOKUPS_MAX; i++) {
		struct tn_addr fixed = mapping_any_fixed(&t->mappings.v[i]);

		if (!will_have_inside_route(r, &fixed))
			look_up_vm(ifaces, r, &fixed);
	}
	vec_each (m, &t->mappings) {
		if (m->bits)
			look_for_itself_in(ifaces, r, m);
		else if (ifaces_have(ifaces, &m->fixed))
			look_up_itself(ifaces, r, m);
	}
	if (!r->planned)
		look_up_others(ifaces, r);
	look_for_covers(ifaces, r);
	look_for_unreachable(ifaces, r);
}
