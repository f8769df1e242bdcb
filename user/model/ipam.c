/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/ipam_internal.h"

#include <arpa/inet.h>

#include "model/ids.h"

/*
 * An address that depends on both, of the same family: where the search for the VM's shared one
 * begins. So whoever comes after it with the same fixed address mostly gets another one, on every
 * host the same, whatever was seen in between.
 */
static struct tn_addr address_of_vm(const struct mapping *m)
{
	uint64_t hash = mac_number(m->mac) * 0x9e3779b97f4a7c15U; /* Fibonacci hashing */
	struct tn_addr a = m->fixed;

	a.w[3] = htonl(ntohl(a.w[3]) + (uint32_t)(hash >> 32));
	return a;
}

static bool allocate_from(struct ipam *ipam, const struct tenant *t, const struct prefix *pool,
			  struct mapping *m)
{
	struct tn_addr vm;

	if (addr_is_v4(&pool->addr) != addr_is_v4(&m->fixed))
		return false;
	if (mac_is_unset(m->mac))
		return ipam_neutral_from_pool(ipam, t, pool, &m->fixed, &m->shared) ||
		       ipam_from_pool(ipam, t, pool, &m->fixed, &m->shared);
	vm = address_of_vm(m);
	return ipam_from_pool(ipam, t, pool, &vm, &m->shared);
}

static int allocate(struct ipam *ipam, const struct tenant *t, struct mapping *m, struct error *err)
{
	const struct prefix *pools = t->pools.n ? t->pools.v : ipam->want->subnets.v;
	size_t n = t->pools.n ? t->pools.n : ipam->want->subnets.n;

	for (size_t i = 0; i < n; i++) {
		if (allocate_from(ipam, t, &pools[i], m))
			return 0;
	}
	return error_set(err,
			 "tenant %s: no free address is left for %s; enlarge the tenant's pool or "
			 "remove mappings",
			 t->name, ADDR(&m->fixed));
}

/* ------------------------------------------------------------ prefixes */

/* Whether the address is one of the block, and has somebody else than the one whom it is for. */
static bool is_others(const struct taken *one, const struct tenant *t, const struct mapping *block)
{
	struct tn_addr fixed;

	if (!mapping_has_shared(block, &one->addr))
		return false;
	fixed = mapping_fixed_of(block, &one->addr);
	return one->tenant != t || !one->mapping || addr_cmp(&one->mapping->fixed, &fixed) != 0;
}

/* Whether somebody has an address of the block, but for those whom it is for. */
static bool is_taken_in(struct ipam *ipam, const struct tenant *t, const struct mapping *block)
{
	struct taken *one, *next;

	/* whichever is less to look at */
	if (block->bits < 32 && 1U << block->bits < HASH_COUNT(ipam->taken)) {
		for (uint32_t i = 0; i < 1U << block->bits; i++) {
			const struct tn_addr a = addr_add(&block->shared, i);

			one = ipam_taken(ipam, &a);
			if (one && is_others(one, t, block))
				return true;
		}
		return false;
	}
	HASH_ITER (hh, ipam->taken, one, next) {
		if (is_others(one, t, block))
			return true;
	}
	return false;
}

/* The index of the last block that overlaps it; how many there are: none does. */
static size_t overlapping(const struct ipam *ipam, const struct prefix *p)
{
	const struct tn_addr last = prefix_last(p);
	size_t at = ipam_blocks_until(ipam, &last);
	struct prefix block;

	if (!at)
		return ipam->blocks.n;
	block = mapping_shared(ipam->blocks.v[at - 1].mapping);
	return prefix_overlap(&block, p) ? at - 1 : ipam->blocks.n;
}

/* The last address of the block at that index, and of those that follow without a gap. */
static struct tn_addr end_of_run(const struct ipam *ipam, size_t at)
{
	struct prefix p = mapping_shared(ipam->blocks.v[at].mapping);
	struct tn_addr last = prefix_last(&p), behind;

	for (at++; at < ipam->blocks.n; at++) {
		behind = addr_add(&last, 1);
		p = mapping_shared(ipam->blocks.v[at].mapping);
		if (addr_cmp(&p.addr, &behind) != 0)
			break;
		last = prefix_last(&p);
	}
	return last;
}

static bool is_in_foreign_pool(const struct ipam *ipam, const struct tenant *t,
			       const struct prefix *p)
{
	vec_each (other, &ipam->want->tenants) {
		if (other == t)
			continue;
		vec_each (pool, &other->pools) {
			if (prefix_overlap(pool, p))
				return true;
		}
	}
	return false;
}

static bool has_reserved(const struct ipam *ipam, const struct mapping *block)
{
	vec_each (s, &ipam->want->subnets) {
		const struct tn_addr last = prefix_last(s);

		if ((prefix_reserves(s, &s->addr) && mapping_has_shared(block, &s->addr)) ||
		    (prefix_reserves(s, &last) && mapping_has_shared(block, &last)))
			return true;
	}
	return false;
}

/* The aligned block of that length which has the address. */
static struct prefix block_around(struct tn_addr a, uint8_t len)
{
	struct prefix p = { a, len };
	const struct tn_addr mask = prefix_mask(&p);

	for (int i = 0; i < 4; i++)
		p.addr.w[i] &= mask.w[i];
	return p;
}

/* Blocks of a pool that are tried: what comes behind so many that are taken is not looked for. */
#define BLOCKS_TRIED 65536

/* The first aligned block of the pool that is free as a whole; in m->shared, else that stays unset.
 */
static bool block_from_pool(struct ipam *ipam, const struct tenant *t, const struct prefix *pool,
			    struct mapping *m)
{
	struct prefix p = { pool->addr, (uint8_t)(128 - m->bits) };
	const struct tn_addr end = prefix_last(pool);
	struct tn_addr last;

	if (addr_is_v4(&pool->addr) != addr_is_v4(&m->fixed) || pool->len > p.len)
		return false;
	for (uint32_t i = 0; i < BLOCKS_TRIED; i++) {
		size_t other = overlapping(ipam, &p);

		m->shared = p.addr;
		if (other == ipam->blocks.n && !is_in_foreign_pool(ipam, t, &p) &&
		    !has_reserved(ipam, m) && !is_taken_in(ipam, t, m))
			return true;
		if (other < ipam->blocks.n)
			p = block_around(end_of_run(ipam, other), p.len);
		last = prefix_last(&p);
		if (memcmp(&last, &end, sizeof(end)) >= 0)
			break;
		p.addr = addr_add(&last, 1);
	}
	m->shared = (struct tn_addr){ 0 };
	return false;
}

static int allocate_block(struct ipam *ipam, const struct tenant *t, struct mapping *m,
			  struct error *err)
{
	const struct prefix *pools = t->pools.n ? t->pools.v : ipam->want->subnets.v;
	size_t n = t->pools.n ? t->pools.n : ipam->want->subnets.n;

	for (size_t i = 0; i < n; i++) {
		if (block_from_pool(ipam, t, &pools[i], m)) {
			ipam_add_block(ipam, t, m);
			return 0;
		}
	}
	return error_set(
		err,
		"tenant %s: no free block of addresses is left for %s; enlarge the tenant's "
		"pool, or give the mapping a `shared` prefix",
		t->name, FIXED(m));
}

/* From the end of the pools: what VMs have begins at their start. */
static int allocate_own(struct ipam *ipam, const struct tenant *t, int family, struct error *err)
{
	const struct prefix *pools = t->pools.n ? t->pools.v : ipam->want->subnets.v;
	size_t n = t->pools.n ? t->pools.n : ipam->want->subnets.n;
	struct own_address *own = &t->router->own[family];

	for (size_t i = 0; i < n; i++) {
		struct tn_addr start = prefix_last(&pools[i]);

		/* the last but one, where there is one: often the last is the broadcast address */
		if (pools[i].len < 128)
			start.w[3] &= ~htonl(1);
		if (addr_family(&start) == family &&
		    ipam_from_pool(ipam, t, &pools[i], &start, &own->addr)) {
			ipam_take(ipam, &own->addr, NULL, NULL);
			return 0;
		}
	}
	return error_set(err,
			 "tenant %s: no free %s address is left for its router; enlarge the "
			 "tenant's pool, or give the router one with `address`",
			 t->name, family == IPV4 ? "IPv4" : "IPv6");
}

static int take_own(struct ipam *ipam, const struct tenant *t, const struct tn_addr *a,
		    struct error *err)
{
	struct taken *other = ipam_taken(ipam, a);

	if (!other) {
		ipam_take(ipam, a, NULL, NULL);
		return 0;
	}
	if (!other->tenant)
		return error_usage(err,
				   "tenant %s: %s is the address of another router; give this "
				   "one another `address`",
				   t->name, ADDR(a));
	return error_usage(err,
			   "tenant %s: %s is leased to %s of tenant %s; give the router another "
			   "`address`, or remove that mapping first",
			   t->name, ADDR(a), FIXED(other->mapping), other->tenant->name);
}

/* `other`: who has the address. */
static int take_pinned(struct ipam *ipam, const struct tenant *t, const struct mapping *m,
		       const struct taken *other, struct error *err)
{
	if (!other) {
		ipam_take(ipam, &m->shared, t, m);
		return 0;
	}
	if (!other->tenant)
		return error_usage(err,
				   "tenant %s: %s is the address of a router; give %s another "
				   "shared address",
				   t->name, ADDR(&m->shared), ADDR(&m->fixed));
	return error_usage(err,
			   "tenant %s: %s is leased to %s of tenant %s; give %s another shared "
			   "address, or remove that mapping first",
			   t->name, ADDR(&m->shared), FIXED(other->mapping), other->tenant->name,
			   ADDR(&m->fixed));
}

/*
 * The mapping of the same fixed address in the definitions in force, unless it was another VM's.
 * Both lists are sorted.
 */
static const struct mapping *lease_of(const struct tenant *had, size_t *at, const struct mapping *m)
{
	const struct mapping *was;
	int order = 1;

	while (had && *at < had->mappings.n &&
	       (order = addr_cmp(&had->mappings.v[*at].fixed, &m->fixed)) < 0)
		(*at)++;
	was = order == 0 ? &had->mappings.v[*at] : NULL;
	return was && mapping_is_same(was, m) ? was : NULL;
}

static const struct tn_addr none;

/*
 * What is to be kept of an address that was not pinned: what is filled in, which is the lease or
 * one from before that comes back; else the lease. It is not filled in any more.
 */
static struct tn_addr take_out(struct tn_addr *filled, const struct tn_addr *lease)
{
	struct tn_addr a = addr_is_unset(filled) ? *lease : *filled;

	*filled = none;
	return a;
}

/* An address that the router keeps: leased, or pinned as it was before. */
static void keep_own(struct ipam *ipam, struct router *r, const struct router *had)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct own_address *own = &r->own[f];
		struct tn_addr lease = had ? had->own[f].addr : none;

		if (!own->pinned && !own->wanted && addr_is_unset(&own->addr))
			continue;
		if (!own->pinned)
			lease = take_out(&own->addr, &lease);
		if (addr_is_unset(&lease) || ipam_taken(ipam, &lease) ||
		    !model_shares(ipam->want, &lease) || ipam_reserves(ipam, &lease) ||
		    (own->pinned && addr_cmp(&own->addr, &lease) != 0))
			continue;
		own->addr = lease;
		own->wanted = false;
		ipam_take(ipam, &lease, NULL, NULL);
	}
}

/* A prefix that keeps what it was leased, as a whole. */
static void keep_block(struct ipam *ipam, const struct tenant *t, struct mapping *m,
		       const struct tn_addr *lease)
{
	const struct tn_addr pinned = m->shared;
	const struct prefix p = { *lease, (uint8_t)(128 - m->bits) };

	m->shared = *lease;
	if (addr_is_unset(lease) || (m->pinned && addr_cmp(&pinned, lease) != 0) ||
	    !tenant_may_have_all(ipam->want, t, m) || overlapping(ipam, &p) < ipam->blocks.n ||
	    has_reserved(ipam, m) || is_taken_in(ipam, t, m)) {
		m->shared = pinned;
		return;
	}
	ipam_add_block(ipam, t, m);
}

static void keep_mappings(struct ipam *ipam, const struct tenant *t, const struct tenant *had)
{
	size_t at = 0;

	vec_each (m, &t->mappings) {
		const struct mapping *was = lease_of(had, &at, m);
		struct tn_addr lease = was ? was->shared : none;

		if (!m->pinned)
			lease = take_out(&m->shared, &lease);
		if (m->bits) {
			keep_block(ipam, t, m, &lease);
			continue;
		}
		if (addr_is_unset(&lease) || ipam_taken(ipam, &lease) ||
		    ipam_reserves(ipam, &lease) || !tenant_may_have(ipam->want, t, &lease))
			continue;
		if (m->pinned && addr_cmp(&m->shared, &lease) != 0)
			continue;
		m->shared = lease;
		*vec_push(&ipam->kept) = (struct kept){ t, m };
	}
}

static bool wants_own(const struct tenant *t)
{
	const struct router *r = tenant_router(t);

	for (int f = 0; r && f < FAMILIES; f++) {
		if (r->own[f].wanted)
			return true;
	}
	return false;
}

/* Whether anybody is still to get an address: most often nobody is, and all keep theirs. */
static bool any_open(const struct ipam *ipam)
{
	size_t mappings = 0;

	vec_each (t, &ipam->want->tenants) {
		if (wants_own(t))
			return true;
		mappings += t->mappings.n;
	}
	return mappings > ipam->kept.n + ipam->blocks.n;
}

static int take_pins(struct ipam *ipam, const struct tenant *t, struct error *err)
{
	const struct router *r = tenant_router(t);

	for (int f = 0; r && f < FAMILIES; f++) {
		const struct own_address *own = &r->own[f];

		if (own->pinned && own->wanted && take_own(ipam, t, &own->addr, err))
			return -1;
	}
	vec_each (m, &t->mappings) {
		struct taken *mine = m->pinned && !m->bits ? ipam_taken(ipam, &m->shared) : NULL;

		if (m->pinned && !m->bits && (!mine || mine->mapping != m) &&
		    take_pinned(ipam, t, m, mine, err))
			return -1;
	}
	return 0;
}

/* What a prefix of its tenant has gets the shared address that it has there. */
static int allocate_rest(struct ipam *ipam, const struct prefix_index *prefixes,
			 const struct tenant *t, struct error *err)
{
	const struct mapping *around;

	for (int f = 0; t->router && f < FAMILIES; f++) {
		const struct own_address *own = &t->router->own[f];

		if (own->wanted && !own->pinned && allocate_own(ipam, t, f, err))
			return -1;
	}
	vec_each (m, &t->mappings) {
		if (!addr_is_unset(&m->shared))
			continue;
		around = prefix_of_fixed(prefixes, t, &m->fixed);
		if (around)
			m->shared = mapping_shared_of(around, &m->fixed);
		else if (allocate(ipam, t, m, err))
			return -1;
		ipam_take(ipam, &m->shared, t, m);
	}
	return 0;
}

/* Blocks come before single addresses, which leave holes. */
static int allocate_blocks(struct ipam *ipam, struct tenant *t, bool pinned, struct error *err)
{
	vec_each (m, &t->mappings) {
		if (!m->bits || m->pinned != pinned)
			continue;
		if (pinned && !ipam_is_block(ipam, m))
			ipam_add_block(ipam, t, m);
		else if (!pinned && addr_is_unset(&m->shared) && allocate_block(ipam, t, m, err))
			return -1;
	}
	return 0;
}

/*
 * Leases come before pinned addresses and those before new ones, whatever the
 * order of the file: nobody's address is taken from under him.
 */
static int assign_addresses(struct ipam *ipam, const struct model *have, struct error *err)
{
	struct model *want = ipam->want;
	_cleanup_free_ const struct tenant **had = xrealloc(NULL, want->tenants.n, sizeof(*had));
	_cleanup_prefix_index_ struct prefix_index prefixes = { 0 };
	size_t n = want->tenants.n;

	for (size_t i = 0; i < n; i++) {
		struct tenant *t = &want->tenants.v[i];

		had[i] = model_tenant((struct model *)have, t->name);
		if (tenant_router(t))
			keep_own(ipam, tenant_router(t), had[i] ? tenant_router(had[i]) : NULL);
	}
	for (size_t i = 0; i < n; i++)
		keep_mappings(ipam, &want->tenants.v[i], had[i]);
	if (!any_open(ipam))
		return 0;
	vec_each (k, &ipam->kept)
		ipam_take(ipam, &k->mapping->shared, k->tenant, k->mapping);
	for (size_t i = 0; i < n; i++) {
		if (take_pins(ipam, &want->tenants.v[i], err))
			return -1;
	}
	for (size_t i = 0; i < 2 * n; i++) {
		if (allocate_blocks(ipam, &want->tenants.v[i % n], i < n, err))
			return -1;
	}
	prefix_index_make(want, &prefixes);
	for (size_t i = 0; i < n; i++) {
		if (allocate_rest(ipam, &prefixes, &want->tenants.v[i], err))
			return -1;
	}
	return 0;
}

int ipam_assign(struct model *want, const struct model *have, const struct addr_list *reserved,
		struct error *err)
{
	_cleanup_(ipam_cleanup) struct ipam ipam = { .want = want };

	model_sort(want);
	vec_each (a, &reserved->list) {
		if (!ipam_taken(&ipam, a))
			ipam_take(&ipam, a, NULL, NULL);
	}
	ipam_merge_pools(&ipam);
	if (ids_assign(want, have, err))
		return -1;
	if (assign_addresses(&ipam, have, err))
		return -1;
	return prefixes_fault(want, NULL, err);
}
