/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks pools and mappings: that each address lies where it may, is given out once, and is in no
 * other tenant's pool.
 */
#include "config/parse.h"
#include "model/prefixes.h"

static void check_pool_prefix(struct parse *p, const struct prefix_at *pool)
{
	const struct prefix *subnet = subnet_of(p, &pool->prefix.addr);

	if (p->subnets_known && (!subnet || subnet->len > pool->prefix.len))
		complain(p, pool->at,
			 "the pool `%s` is not inside a shared subnet; use a part of one",
			 PREFIX(&pool->prefix));
	else if (subnet && pool->prefix.len == 128 && prefix_reserves(subnet, &pool->prefix.addr))
		complain(p, pool->at,
			 "the pool `%s` is only the %s address of `%s`; use another one",
			 PREFIX(&pool->prefix), reserved_for(subnet, &pool->prefix.addr),
			 PREFIX(subnet));
}

/* Whether one of `n` sorted, disjoint prefixes holds the address. */
static bool pool_has(const struct prefix_at *v, size_t n, const struct tn_addr *a)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (bytes_cmp(&v[mid].prefix.addr, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && prefix_has(&v[low - 1].prefix, a);
}

/* A tenant with its pools sorted, and whether each family has a prefix to take addresses from. */
struct realm {
	const struct tenant *tenant;
	const struct prefix_at *pools;
	bool pool_known;
	bool has_v4;
	bool has_v6;
};

static void realm_families(struct realm *realm, const struct prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_is_v4(&v[i].addr))
			realm->has_v4 = true;
		else
			realm->has_v6 = true;
	}
}

/* Whether one of `n` sorted, disjoint prefixes holds all of it. */
static bool pool_has_all(const struct prefix_at *v, size_t n, const struct prefix *all)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].prefix.len <= all->len && prefix_has(&v[i].prefix, &all->addr))
			return true;
	}
	return false;
}

/* The same as check_shared() of a prefix; prefixes_check() does the rest. */
static void check_shared_prefix(struct parse *p, const struct realm *realm, const struct mapping *m,
				struct pos at)
{
	const struct prefix shared = mapping_shared(m);
	const struct prefix *subnet = subnet_of(p, &m->shared);

	if (addr_is_v4(&m->fixed) != addr_is_v4(&m->shared))
		complain(p, at, "`%s` is %s, but the fixed prefix `%s` is %s; use one family",
			 SHARED(m), family_name(&m->shared), FIXED(m), family_name(&m->fixed));
	else if ((!subnet || subnet->len > shared.len) && p->subnets_known)
		complain(p, at, "the shared prefix `%s` is in no shared subnet; use one that is",
			 SHARED(m));
	else if (subnet && realm->pool_known && realm->tenant->pools.n &&
		 !pool_has_all(realm->pools, realm->tenant->pools.n, &shared))
		complain(
			p, at,
			"the shared prefix `%s` is outside the pool of %s; use a part of the pool, "
			"or extend it",
			SHARED(m), TENANT(realm->tenant));
}

static void check_shared(struct parse *p, const struct realm *realm, const struct mapping *m,
			 struct pos at)
{
	const struct prefix *subnet = subnet_of(p, &m->shared);

	if (!addr_is_unset(&m->fixed) && addr_is_v4(&m->fixed) != addr_is_v4(&m->shared))
		complain(p, at,
			 "`%s` is an %s address, but the fixed address `%s` is %s; use one family",
			 ADDR(&m->shared), family_name(&m->shared), ADDR(&m->fixed),
			 family_name(&m->fixed));
	else if (!subnet && p->subnets_known)
		complain(p, at, "the shared address `%s` is in no shared subnet; use one that is",
			 ADDR(&m->shared));
	else if (subnet && prefix_reserves(subnet, &m->shared))
		complain(p, at, "`%s` is the %s address of the shared subnet `%s`; use another one",
			 ADDR(&m->shared), reserved_for(subnet, &m->shared), PREFIX(subnet));
	else if (realm->pool_known && realm->tenant->pools.n &&
		 !pool_has(realm->pools, realm->tenant->pools.n, &m->shared))
		complain(p, at,
			 "the shared address `%s` is outside the pool of %s; use one of the "
			 "pool, or extend it",
			 ADDR(&m->shared), TENANT(realm->tenant));
}

/* The shared subnet that the fixed prefix has addresses of; NULL: none. */
static const struct prefix *subnet_in(const struct parse *p, const struct mapping *m)
{
	const struct prefix fixed = mapping_fixed(m);

	vec_each (s, &p->model.subnets) {
		if (prefix_overlap(s, &fixed))
			return s;
	}
	return NULL;
}

static void check_mapping(struct parse *p, const struct realm *realm, const struct mapping *m,
			  const struct mapping_at *at)
{
	const struct prefix *subnet;

	if (!addr_is_unset(&m->shared) && m->bits)
		check_shared_prefix(p, realm, m, at->shared);
	else if (!addr_is_unset(&m->shared))
		check_shared(p, realm, m, at->shared);
	if (addr_is_unset(&m->fixed))
		return;
	subnet = m->bits ? subnet_in(p, m) : subnet_of(p, &m->fixed);
	if (subnet)
		complain(p, at->fixed,
			 "the fixed %s `%s` is in the shared subnet `%s`; use the "
			 "VM's private address",
			 m->bits ? "prefix" : "address", FIXED(m), PREFIX(subnet));
	else if (!m->pinned && p->subnets_known && realm->pool_known &&
		 !(addr_is_v4(&m->fixed) ? realm->has_v4 : realm->has_v6))
		complain(p, at->fixed,
			 "`%s` has no %s prefix to take a shared address from; add one to %s",
			 FIXED(m), family_name(&m->fixed),
			 realm->tenant->pools.n ? "`pool`" : "`subnets`");
}

static void mapping_name_twice(struct parse *p, const struct taken *first,
			       const struct taken *again)
{
	complain(p, p->mappings.v[again->index].name,
		 "%s already has an %s mapping named `%s` at line %u; use another name",
		 TENANT(&p->model.tenants.v[again->tenant]), again->addr.w[0] ? "IPv6" : "IPv4",
		 again->name, p->mappings.v[first->index].name.line);
}

static void fixed_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->mappings.v[again->index].fixed,
		 "the fixed address `%s` is already mapped at line %u; remove one of them",
		 ADDR(&again->addr), p->mappings.v[first->index].fixed.line);
}

static void check_mappings_once(struct parse *p, uint32_t tenant, taken_vec *names,
				taken_vec *fixed)
{
	uint32_t i = (uint32_t)p->tenants.v[tenant].mappings;

	names->n = 0;
	fixed->n = 0;
	vec_each (m, &p->model.tenants.v[tenant].mappings) {
		if (!addr_is_unset(&m->fixed)) {
			if (!m->bits)
				*vec_push(fixed) = (struct taken){ m->fixed, "", tenant, i };
			if (m->name)
				*vec_push(names) =
					taken_name(m->name, !addr_is_v4(&m->fixed), tenant, i);
		}
		i++;
	}
	check_once(p, names, mapping_name_twice);
	check_once(p, fixed, fixed_twice);
}

static void tell_prefix(void *arg, const struct tenant *t, const struct mapping *m,
			enum mapping_part part, const char *text)
{
	struct parse *p = arg;
	size_t at = p->tenants.v[t - p->model.tenants.v].mappings + (size_t)(m - t->mappings.v);
	const struct mapping_at *places = &p->mappings.v[at];
	struct pos pos = part == PART_SHARED   ? places->shared
			 : part == PART_EXCEPT ? places->except
					       : places->fixed;

	/* of an address that is given, the prefix may have none yet */
	complain(p, pos.line ? pos : places->fixed, "%s", text);
}

void check_tenants(struct parse *p)
{
	taken_vec fixed = { 0 }, names = { 0 };

	for (size_t i = 0; i < p->tenants.n; i++) {
		const struct tenant *t = &p->model.tenants.v[i];
		const struct mapping_at *places = p->mappings.v + p->tenants.v[i].mappings;
		struct prefix_at *pools = p->pools.v + p->tenants.v[i].pools;
		struct realm realm = { .tenant = t, .pools = pools };

		for (size_t k = 0; k < t->pools.n; k++)
			check_pool_prefix(p, &pools[k]);
		realm.pool_known =
			check_disjoint(p, "pool", pools, t->pools.n) && p->tenants.v[i].pool_known;
		realm_families(&realm, t->pools.n ? t->pools.v : p->model.subnets.v,
			       t->pools.n ? t->pools.n : p->model.subnets.n);
		for (size_t k = 0; k < t->mappings.n; k++)
			check_mapping(p, &realm, &t->mappings.v[k], &places[k]);
		check_mappings_once(p, (uint32_t)i, &names, &fixed);
	}
	vec_free(&fixed);
	vec_free(&names);
	prefixes_check(&p->model, NULL, tell_prefix, p);
}

/* In taken.index, with the tenant's index: not a mapping's address, but its router's own. */
#define OF_ROUTER (1U << 31)

static struct pos pinned_at(const struct parse *p, const struct taken *t)
{
	return t->index & OF_ROUTER ? p->tenants.v[t->tenant].own[addr_family(&t->addr)]
				    : p->mappings.v[t->index].shared;
}

static void shared_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, pinned_at(p, again),
		 "the %s address `%s` is already used at line %u by %s%s; use another one, or "
		 "remove `%s` to be given one",
		 again->index & OF_ROUTER ? "router's" : "shared", ADDR(&again->addr),
		 pinned_at(p, first).line, first->index & OF_ROUTER ? "the router of " : "",
		 TENANT(&p->model.tenants.v[first->tenant]),
		 again->index & OF_ROUTER ? "address" : "shared");
}

/* Indexes of pools that hold each other, the widest first. */
typedef VEC(int) enclosing_vec;

/*
 * The index of the narrowest pool around the address that belongs to another tenant, or -1.
 * Addresses and pools are sorted, so that one walk over both finds all. Between calls, `open` has
 * the pools around the last address, and `next_pool` is the first one behind it.
 */
static int foreign_pool(struct parse *p, enclosing_vec *open, size_t *next_pool,
			const struct taken *a)
{
	int top;

	for (; *next_pool < p->pools.n &&
	       bytes_cmp(&p->pools.v[*next_pool].prefix.addr, &a->addr) <= 0;
	     (*next_pool)++) {
		struct prefix_at *pool = &p->pools.v[*next_pool];

		while (open->n && !prefix_has(&p->pools.v[*last(open)].prefix, &pool->prefix.addr))
			open->n--;
		top = open->n ? *last(open) : -1;
		if (top >= 0 && p->pools.v[top].tenant == pool->tenant)
			top = p->pools.v[top].other;
		pool->other = top;
		*vec_push(open) = (int)*next_pool;
	}
	while (open->n && !prefix_has(&p->pools.v[*last(open)].prefix, &a->addr))
		open->n--;
	if (!open->n)
		return -1;
	top = *last(open);
	return p->pools.v[top].tenant != a->tenant ? top : p->pools.v[top].other;
}

/*
 * Pools may overlap, but an address that one tenant has pinned must not be in another's pool, from
 * which it could be given out again. A tenant without a pool may pin any address.
 */
static void check_foreign_pools(struct parse *p, const taken_vec *pinned)
{
	enclosing_vec open = { 0 };
	size_t next_pool = 0;

	vec_sort(&p->pools, prefix_at_cmp);
	vec_each (a, pinned) {
		int found = foreign_pool(p, &open, &next_pool, a);
		struct prefix_at *pool;

		if (found < 0 || a->index & OF_ROUTER || !p->model.tenants.v[a->tenant].pools.n)
			continue;
		pool = &p->pools.v[found];
		if (pool->told == a->tenant + 1)
			continue;
		pool->told = a->tenant + 1;
		complain(p, p->mappings.v[a->index].shared,
			 "the shared address `%s` is also in the pool `%s` of %s at line %u; "
			 "make the pools disjoint, or remove `shared`",
			 ADDR(&a->addr), PREFIX(&pool->prefix),
			 TENANT(&p->model.tenants.v[pool->tenant]), pool->at.line);
	}
	vec_free(&open);
}

void check_pinned(struct parse *p)
{
	taken_vec pinned = { 0 };
	uint32_t i = 0;

	for (uint32_t t = 0; t < p->tenants.n; t++) {
		const struct router *r = p->model.tenants.v[t].router;

		for (int f = 0; r && f < FAMILIES; f++) {
			if (r->own[f].pinned)
				*vec_push(&pinned) =
					(struct taken){ r->own[f].addr, "", t, OF_ROUTER | t };
		}
		vec_each (m, &p->model.tenants.v[t].mappings) {
			if (!addr_is_unset(&m->shared) && !m->bits)
				*vec_push(&pinned) = (struct taken){ m->shared, "", t, i };
			i++;
		}
	}
	check_once(p, &pinned, shared_twice);
	check_foreign_pools(p, &pinned);
	vec_free(&pinned);
}
