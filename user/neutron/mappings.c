/* SPDX-License-Identifier: GPL-2.0-only */
/* The ports of VMs behind each router, as mappings. */
#include "neutron/definitions_internal.h"
#include "neutron/names.h"

/* ------------------------------------------------------------ which router a subnet is behind */

/* A subnet that a router has a port on. */
struct behind {
	const char *subnet;
	size_t tenancy; /* index */
	bool gateway;	/* the port has the subnet's gateway address: VMs answer by it */
};

typedef VEC(struct behind) behind_vec;

static int behind_cmp(const void *a, const void *b)
{
	const struct behind *x = a, *y = b;
	int order = strcmp(x->subnet, y->subnet);

	if (!order)
		order = y->gateway - x->gateway;
	return order ? order : x->tenancy < y->tenancy ? -1 : x->tenancy > y->tenancy;
}

static const struct neutron_subnet *subnet_by_id(const struct inventory *inv, const char *id)
{
	return inv->subnets.n ? bsearch(id, inv->subnets.v, inv->subnets.n, sizeof(*inv->subnets.v),
					neutron_id_cmp)
			      : NULL;
}

/* Where several routers have ports on a subnet, what comes by another than its gateway would be
 * answered by that one. */
static void list_behind(struct making *k, behind_vec *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->tenancies.n; i++) {
		vec_each (p, &k->tenancies.v[i].inside) {
			vec_each (a, &(*p)->addrs) {
				const struct neutron_subnet *s = subnet_by_id(k->inv, a->subnet);

				*vec_push(out) = (struct behind){
					.subnet = a->subnet,
					.tenancy = i,
					.gateway = s && addr_cmp(&s->gateway, &a->addr) == 0,
				};
			}
		}
	}
	vec_sort(out, behind_cmp);
	for (size_t i = 0; i < out->n; i++) {
		struct behind *last = kept ? &out->v[kept - 1] : NULL, *b = &out->v[i];

		if (!last || strcmp(last->subnet, b->subnet) != 0)
			out->v[kept++] = *b;
		else if (last->tenancy != b->tenancy)
			neutron_finding(
				k->findings,
				"the subnet %s is behind router %s as well as %s, which %s; "
				"its VMs are mapped for %s alone",
				b->subnet, k->tenancies.v[b->tenancy].name,
				k->tenancies.v[last->tenancy].name,
				last->gateway ? "is its gateway" : "is the older one",
				k->tenancies.v[last->tenancy].name);
	}
	out->n = kept;
}

static const struct behind *behind_by_subnet(const behind_vec *v, const char *subnet)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(v->v[mid].subnet, subnet);

		if (!order)
			return &v->v[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ------------------------------------------------------------ ports of VMs */

/* Ports without an owner belong to nobody yet; Neutron's own are those of DHCP, routers and more.
 */
static bool is_vm(const struct neutron_port *p)
{
	return *p->owner && strncmp(p->owner, "network:", strlen("network:")) != 0 &&
	       !neutron_is_sidecar(p);
}

static bool can_be_fixed(struct making *k, const struct neutron_port *p, const struct tn_addr *a)
{
	if (addr_is_special(a))
		return false;
	if (!model_shares(k->out, a))
		return true;
	neutron_finding(
		k->findings,
		"the port %s has %s, which is in a shared subnet: it is not mapped; private "
		"networks need other addresses",
		p->id, ADDR(a));
	return false;
}

static void list_mapped(struct making *k, const behind_vec *behind)
{
	vec_each (p, &k->inv->ports) {
		if (!is_vm(p) || strcmp(p->network, k->network->id) == 0)
			continue;
		vec_each (a, &p->addrs) {
			const struct behind *b = behind_by_subnet(behind, a->subnet);
			struct tenancy *t = b ? &k->tenancies.v[b->tenancy] : NULL;

			if (t && !t->refused && can_be_fixed(k, p, &a->addr))
				*vec_push(&k->mapped) =
					(struct mapped){ p, t, t->tenant, a->addr, NULL };
		}
	}
}

static int fixed_cmp(const void *a, const void *b)
{
	const struct mapped *x = a, *y = b;
	int order = x->tenant < y->tenant ? -1 : x->tenant > y->tenant;

	if (!order)
		order = addr_cmp(&x->fixed, &y->fixed);
	return order ? order : strcmp(x->port->id, y->port->id);
}

/* Subnets of one router do not overlap, as Neutron has it; but definitions depend on that. */
static void drop_twice(struct making *k)
{
	size_t kept = 0;

	vec_sort(&k->mapped, fixed_cmp);
	for (size_t i = 0; i < k->mapped.n; i++) {
		const struct mapped *last = kept ? &k->mapped.v[kept - 1] : NULL;
		const struct mapped *m = &k->mapped.v[i];

		if (!last || last->tenant != m->tenant || addr_cmp(&last->fixed, &m->fixed) != 0)
			k->mapped.v[kept++] = *m;
		else
			neutron_finding(k->findings,
					"the ports %s and %s are behind one router with one "
					"address, %s: only the first is mapped",
					last->port->id, m->port->id, ADDR(&m->fixed));
	}
	k->mapped.n = kept;
}

/* Within a tenant the oldest first, and the addresses of a port together. */
static int mapped_cmp(const void *a, const void *b)
{
	const struct mapped *x = a, *y = b;
	int order = x->tenant < y->tenant ? -1 : x->tenant > y->tenant;

	if (!order)
		order = strcmp(x->port->created, y->port->created);
	if (!order)
		order = strcmp(x->port->id, y->port->id);
	return order ? order : addr_cmp(&x->fixed, &y->fixed);
}

/* ------------------------------------------------------------ mappings */

/* Of one tenant, while its mappings are made. */
struct filling {
	struct making *k;
	struct tenant *tenant;
	struct name_set names;
	const struct neutron_port *port; /* the last one */
	char *name;			 /* its name, if that can be one */
	bool named[FAMILIES];		 /* that name has been used */
	size_t left_out[FAMILIES];
	size_t down;
	char example[NEUTRON_SHOWN]; /* of those that are down */
};

static const char *port_name(const struct neutron_port *p)
{
	return *p->dns_name ? p->dns_name : p->name;
}

static void begin_port(struct filling *f, const struct neutron_port *p)
{
	_cleanup_free_ char *slug = name_slug(port_name(p), false);

	free(f->name);
	f->port = p;
	f->name = slug ? name_take(&f->names, slug, p->id) : NULL;
	f->named[IPV4] = f->named[IPV6] = false;
	if (!p->down)
		return;
	if (!f->down++)
		neutron_shown(f->name ? f->name : p->id, f->example, sizeof(f->example));
}

/* False: it is left out. */
static bool fill(struct filling *f, struct mapped *from)
{
	int family = addr_family(&from->fixed);
	uint64_t *room = room_of(from->of, family);
	struct mapping *m;

	if (!f->port || f->port != from->port)
		begin_port(f, from->port);
	if (!*room) {
		f->left_out[family]++;
		return false;
	}
	--*room;
	m = vec_push(&f->tenant->mappings);
	m->fixed = from->fixed;
	/* behind OVN's router that is the router's, for all VMs */
	if (!f->k->inv->ovn)
		memcpy(m->mac, from->port->mac, sizeof(m->mac));
	/* a name has one mapping of each family */
	if (f->name && !f->named[family])
		from->name = m->name = xstrdup(f->name);
	f->named[family] = true;
	return true;
}

static bool shares_family(const struct model *m, int family)
{
	vec_each (p, &m->subnets) {
		if (addr_family(&p->addr) == family)
			return true;
	}
	return false;
}

static void say_filled(const struct filling *f)
{
	static const char *const families[] = { [IPV4] = "IPv4", [IPV6] = "IPv6" };
	struct neutron_findings *findings = f->k->findings;

	for (int i = 0; i < FAMILIES; i++) {
		if (f->left_out[i] && shares_family(f->k->out, i))
			neutron_finding(findings,
					"router %s: its pool has no room for %zu %s %s of VMs, the "
					"youngest ones: they are not mapped; give it a larger one "
					"with the tag `" NEUTRON_TAG_POOL "PREFIX`",
					f->tenant->name, f->left_out[i], families[i],
					plural(f->left_out[i], "address", "addresses"));
	}
	if (f->down == 1)
		neutron_finding(findings, "router %s: the port %s is DOWN: its VM is not plugged",
				f->tenant->name, f->example);
	else if (f->down)
		neutron_finding(findings,
				"router %s: the port %s and %zu more are DOWN: their VMs are not "
				"plugged",
				f->tenant->name, f->example, f->down - 1);
}

/* From the first of a tenant's on; where those of the next begin. What is left out goes. */
static size_t fill_tenant(struct making *k, size_t first, size_t *kept)
{
	uint32_t tenant = k->mapped.v[first].tenant;
	struct filling f = { .k = k, .tenant = &k->out->tenants.v[tenant] };
	size_t i;

	for (i = first; i < k->mapped.n && k->mapped.v[i].tenant == tenant; i++) {
		struct mapped *m = &k->mapped.v[i];

		if (fill(&f, m))
			k->mapped.v[(*kept)++] = *m;
	}
	say_filled(&f);
	free(f.name);
	name_set_free(&f.names);
	return i;
}

void make_mappings(struct making *k)
{
	behind_vec behind = { 0 };
	size_t kept = 0;

	make_rooms(k);
	list_behind(k, &behind);
	list_mapped(k, &behind);
	vec_free(&behind);
	drop_twice(k);
	vec_sort(&k->mapped, mapped_cmp);
	for (size_t i = 0; i < k->mapped.n;)
		i = fill_tenant(k, i, &kept);
	k->mapped.n = kept;
}
