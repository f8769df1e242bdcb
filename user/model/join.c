/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/join.h"

/* need_X() adds to a router's facts what it lacks of X and is to have of us. */

static bool brings_own(const struct model *m, const struct iface *shared, int family)
{
	vec_each (a, &shared->addrs) {
		if (!a->ours && addr_family(&a->addr) == family && model_shares(m, &a->addr))
			return true;
	}
	return false;
}

static int first_family(const struct model *m, const struct tenant *t)
{
	const struct prefix *first = t->pools.n ? t->pools.v : m->subnets.v;

	return addr_family(&first->addr);
}

static bool needs_address(const struct model *m, const struct iface *shared, const struct tenant *t,
			  int family)
{
	if (brings_own(m, shared, family))
		return false;
	if (t->mappings.n)
		return tenant_maps(t, family);
	return !brings_own(m, shared, !family) && first_family(m, t) == family;
}

void join_want_addresses(const struct model *m, const struct iface *shared, struct tenant *t)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct own_address *own = &t->router->own[f];

		if (own->pinned) {
			own->wanted = true;
			continue;
		}
		own->wanted = t->router->active == ACTIVE_ALWAYS && needs_address(m, shared, t, f);
		if (!own->wanted)
			own->addr = (struct tn_addr){ 0 };
	}
}

void join_see_active(const struct model *m, const struct router *r, const struct iface *shared,
		     bool granted, struct router_row *row)
{
	row->by_address = r->active != ACTIVE_ALWAYS;
	row->elected = r->active == ACTIVE_ELECTED;
	for (int f = 0; row->by_address && f < FAMILIES; f++) {
		row->needs[f] = r->own[f].pinned;
		if (row->needs[f])
			row->own[f] = r->own[f].addr;
	}
	row->grace = row->by_address ? r->grace : 0;
	row->standby =
		row->by_address && (!iface_makes_active(shared, row, m->subnets.v, m->subnets.n) ||
				    (row->elected && !granted));
}

void join_see(const struct model *m, const struct router *r, const struct iface *shared,
	      bool granted, struct router_facts *f)
{
	join_see_active(m, r, shared, granted, &f->row);
	/* the first one is what the router is spoken to by: those of others come last */
	for (int standing_in = 0; standing_in < 2; standing_in++) {
		vec_each (a, &shared->addrs) {
			if (!a->ours && model_shares(m, &a->addr) &&
			    iface_stands_in(shared, a, m->subnets.v, m->subnets.n) == standing_in)
				*vec_push(&f->own) = a->addr;
		}
	}
}

static bool has(const struct router_facts *f, const struct tn_addr *a)
{
	vec_each (own, &f->own) {
		if (addr_cmp(own, a) == 0)
			return true;
	}
	return false;
}

/*
 * With a prefix of its own, /32 or /128: when the first address of a prefix goes, the kernel
 * removes the others too, whoever's they are (without promote_secondaries).
 */
static void need_addresses(const struct tenant *t, struct router_facts *f)
{
	for (int i = 0; i < FAMILIES; i++) {
		const struct tn_addr *own = &t->router->own[i].addr;

		if (addr_is_unset(own))
			continue;
		f->row.own[i] = *own;
		if (has(f, own))
			continue;
		*vec_push(&f->own) = *own;
		if (!f->row.by_address)
			*vec_push(&f->addrs) = (struct addr_row){ f->at, *own, 128 };
	}
	vec_each (own, &f->own) {
		struct tn_addr *first = &f->row.own[addr_family(own)];

		if (addr_is_unset(first))
			*first = *own;
	}
}

static bool covers(const struct prefix *wide, const struct prefix *narrow)
{
	return wide->len <= narrow->len && prefix_has(wide, &narrow->addr) &&
	       addr_family(&wide->addr) == addr_family(&narrow->addr);
}

/* Whether another's route does the same. The probes find out if a narrower one leads elsewhere. */
static bool is_routed(const struct ifaces *ifaces, const struct route_row *row)
{
	vec_each (r, &ifaces->routes) {
		if (!r->ours && r->ifindex == row->at.ifindex && covers(&r->to, &row->to) &&
		    memcmp(&r->via, &row->via, sizeof(r->via)) == 0)
			return true;
	}
	return false;
}

/* Our address is the preferred source, so that what the router sends has a shared one. */
static void need_route(const struct tenant *t, struct router_facts *f, const struct prefix *to,
		       const struct tn_addr *via)
{
	int family = addr_family(&to->addr);
	struct route_row row = { .at = f->at, .to = *to, .src = t->router->own[family].addr };

	if (via)
		row.via = *via;
	if (!addr_is_unset(&f->row.own[family]) && !is_routed(&f->ifaces, &row))
		*vec_push(&f->routes) = row;
}

/*
 * When the shared network is lost, what VMs send to it must not follow the default route. That
 * holds for a family without a mapping, too: it may be forwarded all the same.
 */
static void need_unreachable(struct router_facts *f, const struct prefix *subnet)
{
	struct route_row row = { .at = f->at, .to = *subnet };

	row.at.ifindex = 0;
	row.at.name[0] = '\0';
	if ((addr_is_v4(&subnet->addr) || f->has_v6) &&
	    !ifaces_have_unreachable(&f->ifaces, subnet, true))
		*vec_push(&f->routes) = row;
}

/* ------------------------------------------------------------ inside routes */

static const struct iface *iface_at(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (i->index == index)
			return i;
	}
	return NULL;
}

static bool is_in_subnet(const struct iface *i, const struct tn_addr *a)
{
	vec_each (own, &i->addrs) {
		struct prefix subnet = { own->addr, own->len };

		for (int k = 0; k < 4; k++)
			subnet.addr.w[k] &= prefix_mask(&subnet).w[k];
		if (!addr_is_special(&own->addr) && own->len < 128 && prefix_has(&subnet, a) &&
		    addr_cmp(&own->addr, a) != 0)
			return true;
	}
	return false;
}

static bool is_on_link(const struct ifaces *ifaces, uint32_t index, const struct tn_addr *a)
{
	vec_each (r, &ifaces->routes) {
		if (r->ifindex == index && addr_is_unset(&r->via) && !r->ours &&
		    r->to.len > (addr_is_v4(a) ? 96 : 0) && prefix_has(&r->to, a))
			return true;
	}
	return false;
}

/* "lan0 10.0.0.1/24, lan1 fd00::1/64" */
static void subnets_text(const struct ifaces *ifaces, const uint32_t *inside, char *text,
			 size_t size)
{
	size_t n = 0;

	*text = '\0';
	for (size_t k = 0; k < TN_INSIDE_MAX && inside[k]; k++) {
		const struct iface *i = iface_at(ifaces, inside[k]);

		for (size_t j = 0; i && j < i->addrs.n && n < size; j++) {
			const struct prefix p = { i->addrs.v[j].addr, i->addrs.v[j].len };

			if (!addr_is_special(&p.addr))
				n += snprintf(text + n, size - n, "%s%s %s", n ? ", " : "", i->name,
					      PREFIX(&p));
		}
	}
}

const struct iface *join_gateway(const struct ifaces *ifaces, const uint32_t inside[TN_INSIDE_MAX],
				 const struct route *route, struct error *err)
{
	char seen[256];

	for (size_t k = 0; k < TN_INSIDE_MAX && inside[k]; k++) {
		const struct iface *i = iface_at(ifaces, inside[k]);

		if (i &&
		    (is_in_subnet(i, &route->via) || is_on_link(ifaces, i->index, &route->via)))
			return i;
	}
	subnets_text(ifaces, inside, seen, sizeof(seen));
	error_set(err,
		  "the inside route to %s: its gateway %s is in no subnet of an inside interface; "
		  "seen: %s; correct `via`, or give an inside interface an address there",
		  PREFIX(&route->to), ADDR(&route->via), *seen ? seen : "no address");
	return NULL;
}

int join_check_inside_routes(const struct router *r, const struct router_facts *f,
			     struct error *err)
{
	bool known = f->row.inside[0] && !f->row.standby;

	for (size_t k = 0; k < TN_INSIDE_MAX && f->row.inside[k]; k++) {
		const struct iface *i = iface_at(&f->ifaces, f->row.inside[k]);

		known = known && i && i->up;
	}
	for (size_t k = 0; known && k < r->inside_routes.n; k++) {
		if (!join_gateway(&f->ifaces, f->row.inside, &r->inside_routes.v[k], err))
			return -1;
	}
	return 0;
}

/* While the interface is down, the kernel has no route by it, and takes none. */
static void need_inside_route(struct router_facts *f, const struct route *route)
{
	struct error ignored = { 0 };
	const struct iface *by = join_gateway(&f->ifaces, f->row.inside, route, &ignored);
	struct route_row row = { .at = f->at, .to = route->to, .via = route->via };

	if (!by || !by->up)
		return;
	row.at.ifindex = by->index;
	memcpy(row.at.name, by->name, sizeof(row.at.name));
	if (!is_routed(&f->ifaces, &row))
		*vec_push(&f->routes) = row;
}

static bool is_behind(const struct router *r, const struct prefix *subnet)
{
	vec_each (route, &r->routes) {
		if (route->to.len == subnet->len && addr_cmp(&route->to.addr, &subnet->addr) == 0)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ settings */

static void push(struct setting_row *row, const struct place *at, int family, const char *name)
{
	*row = (struct setting_row){ .at = *at, .value = 1 };
	snprintf(row->path, sizeof(row->path), "%s/conf/%s/forwarding",
		 family == IPV4 ? "ipv4" : "ipv6", name);
}

static bool is_in_use(const struct tenant *t, const struct router_facts *f, int family)
{
	return tenant_maps(t, family) || !addr_is_unset(&f->row.own[family]);
}

static bool forwards(const struct iface *i, const struct router_facts *f)
{
	for (size_t k = 0; k < TN_INSIDE_MAX && f->row.inside[k]; k++) {
		if (f->row.inside[k] == i->index)
			return true;
	}
	return i->index == f->at.ifindex;
}

static void need_settings(const struct tenant *t, struct router_facts *f)
{
	for (int family = 0; family < FAMILIES; family++) {
		if (!is_in_use(t, f, family))
			continue;
		if (family == IPV6)
			push(vec_push(&f->settings), &f->at, family, "all");
		vec_each (i, &f->ifaces.list) {
			if (forwards(i, f))
				push(vec_push(&f->settings), &f->at, family, i->name);
		}
	}
}

void join_touched(const struct router_facts *f, struct kernel_state *out)
{
	push(vec_push(&out->settings), &f->at, IPV6, "all");
	push(vec_push(&out->settings), &f->at, IPV6, "default");
	for (int family = 0; family < FAMILIES; family++) {
		vec_each (i, &f->ifaces.list) {
			if (family == IPV6 || forwards(i, f))
				push(vec_push(&out->settings), &f->at, family, i->name);
		}
	}
}

/* ------------------------------------------------------------ groups */

/* Whether another's entry does the same. */
static bool is_proxied(const struct router_facts *f, const struct tn_addr *a)
{
	vec_each (p, &f->ifaces.proxies) {
		if (!p->ours && p->ifindex == f->at.ifindex && addr_cmp(&p->addr, a) == 0)
			return true;
	}
	return false;
}

static void need_all_multicast(struct router_facts *f)
{
	const struct iface *shared = iface_at(&f->ifaces, f->at.ifindex);

	f->groups.n = 0;
	/* if another switched it on, it is not ours to switch off */
	if (!shared || !shared->allmulti || shared->marked)
		*vec_push(&f->groups) = (struct group_row){ .at = f->at, .on = true };
}

static void need_groups(const struct tenant *t, struct router_facts *f)
{
	size_t n = 0;

	vec_each (m, &t->mappings) {
		if (addr_family(&m->fixed) == IPV4)
			continue;
		if (m->bits || ++n > GROUPS_MAX) {
			need_all_multicast(f);
			return;
		}
		if (!is_proxied(f, &m->shared))
			*vec_push(&f->groups) = (struct group_row){ f->at, m->shared, true };
	}
}

void join_settle(const struct model *m, const struct tenant *t, struct router_facts *f)
{
	need_addresses(t, f);
	if (f->row.standby)
		return;
	vec_each (subnet, &m->subnets) {
		need_unreachable(f, subnet);
		if (!is_behind(t->router, subnet))
			need_route(t, f, subnet, NULL);
	}
	vec_each (route, &t->router->routes)
		need_route(t, f, &route->to, &route->via);
	vec_each (route, &t->router->inside_routes)
		need_inside_route(f, route);
	need_settings(t, f);
	need_groups(t, f);
}
