/* SPDX-License-Identifier: GPL-2.0-only */
/* The shared network, and a tenant for each router; what tenants have is in the other files. */
#include "neutron/definitions.h"

#include <stdarg.h>

#include "neutron/definitions_internal.h"
#include "neutron/names.h"
#include "neutron/sidecar.h"

void neutron_finding(struct neutron_findings *f, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	/* of both addresses of a port: once is enough */
	if (text && f->list.n && strcmp(f->list.v[f->list.n - 1], text) == 0)
		free(text);
	else if (text)
		*vec_push(&f->list) = text;
}

/* ------------------------------------------------------------ the shared network */

/* NULL: an error is set. */
static const struct neutron_network *find_network(const struct inventory *inv, struct error *err)
{
	const struct neutron_network *found = NULL;
	size_t n = 0;

	vec_each (network, &inv->networks) {
		if (!network->tagged)
			continue;
		found = network;
		n++;
	}
	if (!n)
		error_usage(err, "no network in Neutron has the tag `" NEUTRON_TAG
				 "`; give it to the shared network: `openstack network set "
				 "--tag " NEUTRON_TAG " NETWORK`");
	if (n > 1)
		error_usage(err,
			    "%zu networks in Neutron have the tag `" NEUTRON_TAG
			    "`, and one of them can be the shared network; take it from the "
			    "others: `openstack network unset --tag " NEUTRON_TAG " NETWORK`",
			    n);
	return n == 1 ? found : NULL;
}

static int by_prefix(const void *a, const void *b)
{
	const struct neutron_subnet *const *x = a, *const *y = b;

	return addr_cmp(&(*x)->cidr.addr, &(*y)->cidr.addr);
}

static int take_subnets(struct making *k, struct error *err)
{
	vec_each (s, &k->inv->subnets) {
		const struct special_range *special = prefix_special(&s->cidr);

		if (strcmp(s->network, k->network->id) != 0)
			continue;
		if (special)
			return error_usage(err,
					   "the subnet %s of the shared network has %s addresses "
					   "(%s) in it, which no VM can have",
					   PREFIX(&s->cidr), special->what, special->prefix);
		*vec_push(&k->subnets) = s;
	}
	if (!k->subnets.n)
		return error_usage(err, "the shared network %s (%s) has no subnet",
				   SHOWN(k->network->name), k->network->id);
	if (k->subnets.n > TN_SUBNETS_MAX)
		return error_usage(err, "the shared network %s (%s) has more than %d subnets",
				   SHOWN(k->network->name), k->network->id, TN_SUBNETS_MAX);
	vec_sort(&k->subnets, by_prefix);
	vec_each (s, &k->subnets) {
		const struct prefix *other = model_subnet(k->out, &(*s)->cidr.addr);

		if (other)
			return error_usage(err,
					   "the subnets %s and %s of the shared network overlap",
					   PREFIX(other), PREFIX(&(*s)->cidr));
		*vec_push(&k->out->subnets) = (*s)->cidr;
	}
	return 0;
}

/* ------------------------------------------------------------ routers and their ports */

static int by_device(const void *a, const void *b)
{
	const struct neutron_port *const *x = a, *const *y = b;
	int order = strcmp((*x)->device, (*y)->device);

	return order ? order : strcmp((*x)->id, (*y)->id);
}

static void index_ports(struct making *k)
{
	vec_each (p, &k->inv->ports) {
		*vec_push(&k->by_device) = p;
		if (strcmp(p->network, k->network->id) == 0)
			*vec_push(&k->on_shared) = p;
	}
	vec_sort(&k->by_device, by_device);
}

/* The first that has the device. */
static size_t ports_of(const struct making *k, const char *device)
{
	size_t low = 0, high = k->by_device.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(k->by_device.v[mid]->device, device) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * A tenant can make a port of his a leg of anybody's router, by owner and device; but not on the
 * shared network, nor in the project of the leg that is there.
 */
static void take_sidecar(const port_vec *legs, const struct making *k, struct tenancy *t)
{
	vec_each (p, legs) {
		if (strcmp((*p)->network, k->network->id) == 0)
			t->leg = *p;
	}
	vec_each (p, legs) {
		if (t->leg && *p != t->leg && strcmp((*p)->project, t->leg->project) == 0)
			t->transit = *p;
	}
}

/* What leads to the sidecar leads to no VM. */
static void take_facing(struct tenancy *t)
{
	size_t kept = 0;

	for (size_t i = 0; t->transit && i < t->inside.n; i++) {
		const struct neutron_port *p = t->inside.v[i];

		if (strcmp(p->network, t->transit->network) == 0)
			t->facing = p;
		else
			t->inside.v[kept++] = p;
	}
	if (t->transit)
		t->inside.n = kept;
}

static void take_ports(const struct making *k, struct tenancy *t)
{
	port_vec legs = { 0 };

	for (size_t i = ports_of(k, t->router->id);
	     i < k->by_device.n && strcmp(k->by_device.v[i]->device, t->router->id) == 0; i++) {
		const struct neutron_port *p = k->by_device.v[i];
		bool shared = strcmp(p->network, k->network->id) == 0;

		if (neutron_is_sidecar(p))
			*vec_push(&legs) = p;
		else if (neutron_is_interface(p))
			*vec_push(shared ? &t->shared : &t->inside) = p;
		else if (shared && strcmp(p->owner, "network:router_gateway") == 0)
			t->gateway = p;
	}
	if (k->inv->ovn) {
		take_sidecar(&legs, k, t);
		take_facing(t);
	}
	vec_free(&legs);
}

/* Whoever was there first keeps the plain name. */
static int by_age(const void *a, const void *b)
{
	const struct tenancy *x = a, *y = b;
	int order = strcmp(x->router->created, y->router->created);

	return order ? order : strcmp(x->router->id, y->router->id);
}

/* The name that the tenant has had; NULL: none, or none that it can have. */
static const char *known_name(const json_t *names, const struct tenancy *t)
{
	const char *name = json_string_value(json_object_get(names, t->router->id));

	return name && tenant_name_valid(name) ? name : NULL;
}

/* A router that is renamed is the same one: its tenant keeps name, addresses and flows. */
static void name_tenancies(struct making *k, json_t *names)
{
	_cleanup_name_set_ struct name_set taken = { 0 };

	vec_each (t, &k->tenancies) {
		const char *known = known_name(names, t);

		if (known)
			t->name = name_take(&taken, known, t->router->id);
	}
	json_object_clear(names);
	vec_each (t, &k->tenancies) {
		_cleanup_free_ char *slug = name_slug(t->router->name, true);

		if (!t->name)
			t->name = name_take(&taken, slug ? slug : "router", t->router->id);
		json_object_set_new(names, t->router->id, json_string(t->name));
	}
}

static void make_tenancies(struct making *k, json_t *names)
{
	vec_each (r, &k->inv->routers) {
		if (r->tagged)
			vec_push(&k->tenancies)->router = r;
	}
	vec_sort(&k->tenancies, by_age);
	name_tenancies(k, names);
	vec_each (t, &k->tenancies)
		take_ports(k, t);
}

/* ------------------------------------------------------------ a router of this host */

/* As Neutron names interfaces: the beginning of the port's id. */
#define PORT_PART 11

static char *interface_of(const struct neutron_port *p)
{
	char name[INTERFACE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "qr-%.*s", PORT_PART, p->id);
	return xstrdup(name);
}

/* Why a router cannot be joined on any host; NULL: it can. */
static const char *refusal(const struct tenancy *t)
{
	if (t->router->distributed)
		return "it is distributed (DVR): its VMs' packets do not come by one host; make "
		       "it a centralised one: `openstack router set --disable ROUTER`, "
		       "`--centralized`, `--enable`";
	if (!t->shared.n && t->gateway)
		return "its port on the shared network is its gateway (qg-), where Neutron itself "
		       "translates and to which the default route leads; make a network for "
		       "tenantnat alone, and give the router a port of it: `openstack router add "
		       "port ROUTER PORT`";
	if (!t->shared.n)
		return "it has no port on the shared network; give it one: `openstack router add "
		       "port ROUTER PORT`";
	if (t->shared.n > 1)
		return "it has several ports on the shared network; leave it one, with an address "
		       "of each family: `openstack router remove port ROUTER PORT`";
	if (t->inside.n > TN_INSIDE_MAX)
		return "it has more than 16 ports to VMs, which is the most that a router can have";
	return NULL;
}

/* Of those who have that router, the first; NULL: none does. */
static const struct neutron_hosting *hosting_of(const struct inventory *inv, const char *router)
{
	const struct neutron_hosting *h =
		inv->hosted.n
			? bsearch(router, inv->hosted.v, inv->hosted.n, sizeof(*h), neutron_id_cmp)
			: NULL;

	while (h && h > inv->hosted.v && strcmp(h[-1].id, router) == 0)
		h--;
	return h;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * In definitions for all hosts: who has it. One that is not HA is on one of them; while it moves,
 * two agents may have it.
 */
static void set_hosts(struct making *k, const struct tenancy *t, struct router *r)
{
	const struct inventory *inv = k->inv;
	const struct neutron_hosting *h = hosting_of(inv, t->router->id);

	for (; h && h < inv->hosted.v + inv->hosted.n && strcmp(h->id, t->router->id) == 0; h++) {
		const struct neutron_agent *a =
			inv->agents.n ? bsearch(h->agent, inv->agents.v, inv->agents.n, sizeof(*a),
						neutron_id_cmp)
				      : NULL;

		if (!a || (r->hosts.n && !t->router->ha))
			continue;
		if (host_name_valid(a->host))
			*vec_push(&r->hosts) = xstrdup(a->host);
		else
			neutron_finding(k->findings,
					"the L3 agent's host %s has a name that no "
					"host of a cluster can have",
					SHOWN(a->host));
	}
	vec_sort(&r->hosts, by_text);
}

/* Whoever plugs the port gives its addresses to the interface. */
static void set_address(const struct model *m, struct router *r, const struct neutron_port *p)
{
	vec_each (a, &p->addrs) {
		struct own_address *own = &r->own[addr_family(&a->addr)];
		const struct prefix *subnet = model_subnet(m, &a->addr);

		if (subnet && !prefix_reserves(subnet, &a->addr) && addr_is_unset(&own->addr))
			*own = (struct own_address){ .addr = a->addr, .pinned = true };
	}
}

static struct router *make_router(const struct model *m, const struct tenancy *t)
{
	struct router *r = router_new();
	char netns[sizeof("qrouter-") + NEUTRON_ID];

	snprintf(netns, sizeof(netns), "qrouter-%s", t->router->id);
	r->netns = xstrdup(netns);
	r->shared = interface_of(t->shared.v[0]);
	vec_each (p, &t->inside)
		*vec_push(&r->inside) = interface_of(*p);
	/* nothing at all would be every other interface, the uplink as well */
	if (!t->inside.n)
		*vec_push(&r->inside) = xstrdup("qr-*");
	/* those are given and taken by keepalived on each of its hosts */
	if (t->router->ha)
		r->active = ACTIVE_ADDRESS;
	else
		set_address(m, r, t->shared.v[0]);
	return r;
}

/* ------------------------------------------------------------ a sidecar of this host */

static const struct neutron_subnet *subnet_of(const struct inventory *inv, const char *id)
{
	return inv->subnets.n ? bsearch(id, inv->subnets.v, inv->subnets.n, sizeof(*inv->subnets.v),
					neutron_id_cmp)
			      : NULL;
}

/* The router's address on the transit network, of that family; NULL: none. */
static const struct tn_addr *gate_of(const struct tenancy *t, int family)
{
	vec_each (a, &t->facing->addrs) {
		if (addr_family(&a->addr) == family)
			return &a->addr;
	}
	return NULL;
}

static void add_inside_route(struct making *k, const struct tenancy *t, struct router *r,
			     const struct neutron_subnet *s)
{
	const struct tn_addr *gate = gate_of(t, addr_family(&s->cidr.addr));
	struct route route = { .to = s->cidr };

	if (!gate)
		return;
	route.via = *gate;
	if (inside_route_valid(k->out, &route))
		*vec_push(&r->inside_routes) = route;
	else
		neutron_finding(
			k->findings,
			"router %s: its subnet %s cannot be behind a sidecar: it overlaps a "
			"shared subnet or has addresses that no VM can have",
			t->name, PREFIX(&s->cidr));
}

static bool has_route(const struct router *r, const struct prefix *to)
{
	vec_each (route, &r->inside_routes) {
		if (route->to.len == to->len && addr_cmp(&route->to.addr, &to->addr) == 0)
			return true;
	}
	return false;
}

static struct router *make_sidecar(struct making *k, const struct tenancy *t)
{
	struct router *r = router_new();

	r->netns = sidecar_netns(t->router->id);
	r->shared = sidecar_interface(t->leg->id, true);
	*vec_push(&r->inside) = sidecar_interface(t->transit->id, false);
	vec_each (p, &t->inside) {
		vec_each (a, &(*p)->addrs) {
			const struct neutron_subnet *s = subnet_of(k->inv, a->subnet);

			if (s && !has_route(r, &s->cidr))
				add_inside_route(k, t, r, s);
		}
	}
	set_address(k->out, r, t->leg);
	return r;
}

static void place_sidecar(struct making *k, const struct tenancy *t)
{
	const struct neutron_router *r = t->router;

	if (!r->host) {
		neutron_finding(k->findings,
				"router %s (%s) is not joined, on no host: no tag says which host "
				"has its sidecar: `openstack router set --tag " NEUTRON_TAG_HOST
				"HOST ROUTER`",
				t->name, r->id);
		return;
	}
	if (strcmp(r->host, k->host) != 0 || k->inv->ovn_ends)
		return;
	if (!t->transit || !t->leg || !t->facing) {
		neutron_finding(k->findings,
				"router %s (%s) is not joined: its sidecar is not made yet",
				t->name, r->id);
		return;
	}
	k->out->tenants.v[t->tenant].router = make_sidecar(k, t);
}

static void say_down(struct making *k, const struct tenancy *t, const struct neutron_port *p)
{
	if (p->down)
		neutron_finding(k->findings,
				"router %s: its port %s is DOWN: the L3 agent has not plugged it",
				t->name, p->id);
}

static void place_router(struct making *k, const struct tenancy *t)
{
	const char *why = k->inv->ovn ? NULL : refusal(t);
	struct router *router;

	if (why) {
		neutron_finding(k->findings, "router %s (%s) is not joined, on no host: %s",
				t->name, t->router->id, why);
		return;
	}
	if (!t->router->up) {
		neutron_finding(k->findings,
				"router %s (%s) is disabled; its addresses are kept for it",
				t->name, t->router->id);
		return;
	}
	if (k->inv->ovn) {
		place_sidecar(k, t);
		return;
	}
	if (!hosting_of(k->inv, t->router->id))
		return;
	router = make_router(k->out, t);
	k->out->tenants.v[t->tenant].router = router;
	if (!k->host)
		set_hosts(k, t, router);
	say_down(k, t, t->shared.v[0]);
	vec_each (p, &t->inside)
		say_down(k, t, *p);
}

/* ------------------------------------------------------------ all of it */

/* An address that a router has by its port. */
struct given {
	struct own_address *own;
	const char *tenant;
};

static int given_cmp(const void *a, const void *b)
{
	const struct given *x = a, *y = b;
	int order = addr_cmp(&x->own->addr, &y->own->addr);

	return order ? order : strcmp(x->tenant, y->tenant);
}

/* Neutron gives each once; whoever has it twice all the same has it by the interface alone. */
static void drop_addresses_twice(struct making *k)
{
	VEC(struct given) all = { 0 };

	vec_each (t, &k->out->tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++) {
			if (t->router->own[f].pinned)
				*vec_push(&all) = (struct given){ &t->router->own[f], t->name };
		}
	}
	vec_sort(&all, given_cmp);
	for (size_t i = 1, first = 0; i < all.n; i++) {
		struct own_address *own = all.v[i].own;

		if (addr_cmp(&all.v[first].own->addr, &own->addr) != 0) {
			first = i;
			continue;
		}
		neutron_finding(k->findings, "the routers %s and %s have one address, %s",
				all.v[first].tenant, all.v[i].tenant, ADDR(&own->addr));
		*own = (struct own_address){ 0 };
	}
	vec_free(&all);
}

static void make_tenants(struct making *k)
{
	vec_each (t, &k->tenancies) {
		struct tenant *tenant;

		if (t->refused)
			continue;
		t->tenant = (uint32_t)k->out->tenants.n;
		tenant = vec_push(&k->out->tenants);
		tenant->name = xstrdup(t->name);
		tenant->has_accept = true;
		vec_each (p, &t->pools.list)
			*vec_push(&tenant->pools) = *p;
		place_router(k, t);
	}
}

static int check_host(const struct making *k, const char *host, struct error *err)
{
	bool found = !host || k->inv->ovn;

	vec_each (a, &k->inv->agents) {
		if (!host)
			break;
		if (!a->is_l3 || strcmp(a->host, host) != 0)
			continue;
		found = true;
		if (!a->alive)
			neutron_finding(k->findings,
					"the L3 agent of this host (%s) is not alive, as Neutron "
					"sees it",
					SHOWN(host));
	}
	if (found)
		return 0;
	return error_usage(
		err,
		"Neutron knows no L3 agent of a host `%s`; give the name that `openstack "
		"network agent list --agent-type l3` has with --host",
		SHOWN(host));
}

static void making_free(struct making *k)
{
	vec_each (t, &k->tenancies) {
		free(t->name);
		vec_free(&t->shared);
		vec_free(&t->inside);
		vec_free(&t->pools.list);
	}
	vec_free(&k->tenancies);
	vec_free(&k->subnets);
	vec_free(&k->by_device);
	vec_free(&k->on_shared);
	vec_free(&k->mapped);
}

int neutron_definitions(const struct inventory *inv, const char *host, json_t *names,
			struct model *out, struct neutron_findings *findings, struct error *err)
{
	_cleanup_(making_free) struct making k = {
		.inv = inv, .host = host, .out = out, .findings = findings
	};

	memset(out, 0, sizeof(*out));
	k.network = find_network(inv, err);
	if (!k.network || take_subnets(&k, err) || check_host(&k, host, err)) {
		model_free(out);
		return -1;
	}
	index_ports(&k);
	make_tenancies(&k, names);
	make_pools(&k);
	make_tenants(&k);
	drop_addresses_twice(&k);
	make_mappings(&k);
	make_accept(&k);
	model_sort(out);
	return 0;
}
