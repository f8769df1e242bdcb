/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/merge.h"

#include <stdarg.h>

#include "lib/host_name.h"
#include "model/dns.h"

void collisions_free(struct collisions *c)
{
	vec_each (text, &c->list)
		free(*text);
	vec_free(&c->list);
}

static void __attribute__((format(printf, 2, 3)))
collide(struct collisions *out, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*vec_push(&out->list) = xstrdup(text);
}

static bool has_prefix(const struct prefix *v, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].len == p->len && addr_cmp(&v[i].addr, &p->addr) == 0)
			return true;
	}
	return false;
}

/* In any order; nothing is there twice. */
static bool same_prefixes(const struct prefix *a, size_t na, const struct prefix *b, size_t nb)
{
	for (size_t i = 0; na == nb && i < na; i++) {
		if (!has_prefix(b, nb, &a[i]))
			return false;
	}
	return na == nb;
}

static void merge_network(struct model *into, const struct model *from, struct collisions *out)
{
	if (!into->subnets.n) {
		vec_each (p, &from->subnets)
			*vec_push(&into->subnets) = *p;
		into->zone = from->zone ? xstrdup(from->zone) : NULL;
		return;
	}
	if (from->zone && (!into->zone || strcmp(into->zone, from->zone) != 0))
		collide(out, "the zone of names here, %s, is not that of the cluster, %s",
			from->zone, into->zone ?: "which has none");
	if (!same_prefixes(into->subnets.v, into->subnets.n, from->subnets.v, from->subnets.n))
		collide(out, "the shared subnets here are not those of the cluster");
}

/* What this host was called before becomes its name in the cluster. */
static void rename_host(struct router *r, const char *host)
{
	char **was = NULL;

	vec_each (h, &r->hosts) {
		if (strcmp(*h, host) == 0)
			return;
		if (strcmp(*h, host_name()) == 0)
			was = h;
	}
	if (was) {
		free(*was);
		*was = xstrdup(host);
	}
}

/* The definitions of one host are of that host, where they do not name others. */
static void name_host(struct tenant *t, const char *host)
{
	struct router *r = tenant_router(t);

	t->router = r;
	t->remote = NULL;
	if (!r)
		return;
	r->detached = r->passed_over = false;
	if (!r->hosts.n)
		*vec_push(&r->hosts) = xstrdup(host);
	else
		rename_host(r, host);
}

static bool same_accept(const struct tenant *a, const struct tenant *b)
{
	if (a->has_accept != b->has_accept || a->accept.n != b->accept.n)
		return false;
	for (size_t i = 0; i < a->accept.n; i++) {
		if (!rule_same(&a->accept.v[i], &b->accept.v[i]))
			return false;
	}
	return true;
}

#define SWAP(a, b)                      \
	do {                            \
		__auto_type _tmp = (a); \
		(a) = (b);              \
		(b) = _tmp;             \
	} while (0)

/* Who has the router says who may reach the tenant; what others say of it is what they know. */
static void merge_router(struct tenant *into, struct tenant *from, struct collisions *out)
{
	if (!from->router)
		return;
	if (!into->router) {
		SWAP(into->router, from->router);
		SWAP(into->has_accept, from->has_accept);
		SWAP(into->accept, from->accept);
		return;
	}
	if (!router_same(into->router, from->router))
		collide(out, "the router of tenant %s is another one in the cluster", into->name);
	else if (!same_accept(into, from))
		collide(out, "tenant %s has another `accept` in the cluster", into->name);
	for (int f = 0; f < FAMILIES; f++) {
		if (addr_is_unset(&into->router->own[f].addr) && !from->router->own[f].pinned)
			into->router->own[f].addr = from->router->own[f].addr;
	}
}

static int name_cmp(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;
	int order = addr_family(&x->fixed) - addr_family(&y->fixed);

	return order ? order : strcmp(x->name, y->name);
}

/* What the cluster knew of a tenant: its mappings, and those with names by these. */
struct known {
	struct tenant sorted;
	VEC(struct mapping) named;
};

static const struct mapping *find_named(const struct known *k, const struct mapping *m)
{
	return k->named.n && m->name ? bsearch(m, k->named.v, k->named.n, sizeof(*m), name_cmp)
				     : NULL;
}

static void merge_mapping(struct tenant *into, struct known *k, struct mapping *m,
			  struct collisions *out)
{
	const struct mapping *has = tenant_mapping(&k->sorted, &m->fixed);
	const struct mapping *other = has ? NULL : find_named(k, m);

	if (has && addr_cmp(&has->shared, &m->shared) != 0)
		collide(out, "tenant %s: %s has %s here, and %s in the cluster", into->name,
			ADDR(&m->fixed), ADDR(&m->shared), ADDR(&has->shared));
	if (other)
		collide(out, "tenant %s: %s is %s here, and %s in the cluster", into->name, m->name,
			ADDR(&m->fixed), ADDR(&other->fixed));
	if (has || other)
		return;
	*vec_push(&into->mappings) = *m;
	m->name = NULL;
}

static void merge_mappings(struct tenant *into, struct tenant *from, struct collisions *out)
{
	struct known k = { 0 };

	vec_each (m, &into->mappings) {
		*vec_push(&k.sorted.mappings) = *m;
		if (m->name)
			*vec_push(&k.named) = *m;
	}
	vec_sort(&k.named, name_cmp);
	vec_each (m, &from->mappings)
		merge_mapping(into, &k, m, out);
	vec_free(&k.named);
	vec_free(&k.sorted.mappings);
}

static void merge_tenant(struct tenant *into, struct tenant *from, struct collisions *out)
{
	merge_router(into, from, out);
	if (!same_prefixes(into->pools.v, into->pools.n, from->pools.v, from->pools.n))
		collide(out, "tenant %s has another pool in the cluster", into->name);
	merge_mappings(into, from, out);
}

/* An address and whose it is, to find those that are there twice. */
struct owned {
	struct tn_addr addr;
	const struct tenant *tenant;
	const struct mapping *mapping; /* NULL: its router */
};

static int owned_cmp(const void *a, const void *b)
{
	return addr_cmp(&((const struct owned *)a)->addr, &((const struct owned *)b)->addr);
}

#define OWNED_TEXT 160
static const char *owned_text(const struct owned *o, char buf[OWNED_TEXT])
{
	if (o->mapping)
		snprintf(buf, OWNED_TEXT, "%s of tenant %s", ADDR(&o->mapping->fixed),
			 o->tenant->name);
	else
		snprintf(buf, OWNED_TEXT, "the router of tenant %s", o->tenant->name);
	return buf;
}

static void check_owners(const struct model *m, struct collisions *out)
{
	VEC(struct owned) all = { 0 };
	char one[OWNED_TEXT], other[OWNED_TEXT];

	vec_each (t, &m->tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++) {
			if (!addr_is_unset(&t->router->own[f].addr))
				*vec_push(&all) = (struct owned){ t->router->own[f].addr, t, NULL };
		}
		vec_each (mapping, &t->mappings)
			*vec_push(&all) = (struct owned){ mapping->shared, t, mapping };
	}
	vec_sort(&all, owned_cmp);
	for (size_t i = 1; i < all.n; i++) {
		if (owned_cmp(&all.v[i - 1], &all.v[i]) == 0)
			collide(out, "%s is the address of %s, and of %s", ADDR(&all.v[i].addr),
				owned_text(&all.v[i - 1], one), owned_text(&all.v[i], other));
	}
	vec_free(&all);
}

static void check_dns_names(const struct model *m, struct collisions *out)
{
	_cleanup_dns_names_ struct dns_names names;

	dns_names_make(m, &names);
	for (size_t i = 1; i < names.twice.n; i++) {
		const struct dns_name *a = &names.twice.v[i - 1], *b = &names.twice.v[i];

		if (dns_same(a, b))
			collide(out, "%s/%s and %s/%s would have the same name in the zone %s",
				a->tenant->name, a->mapping->name, b->tenant->name,
				b->mapping->name, m->zone);
	}
}

void merge_in(struct model *into, struct model *from, const char *host, struct collisions *out)
{
	merge_network(into, from, out);
	vec_each (t, &from->tenants) {
		struct tenant *known = model_tenant(into, t->name);

		name_host(t, host);
		if (known) {
			merge_tenant(known, t, out);
		} else {
			*vec_push(&into->tenants) = *t;
			*t = (struct tenant){ 0 };
		}
	}
	model_sort(into);
	check_owners(into, out);
	check_dns_names(into, out);
}
