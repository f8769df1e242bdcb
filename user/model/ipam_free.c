/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/ipam_internal.h"

#include <arpa/inet.h>

struct taken *ipam_taken(struct ipam *ipam, const struct tn_addr *a)
{
	struct taken *t;

	HASH_FIND(hh, ipam->taken, a, sizeof(*a), t);
	return t;
}

void ipam_take(struct ipam *ipam, const struct tn_addr *a, const struct tenant *tenant,
	       const struct mapping *mapping)
{
	struct taken *t;

	if (!ipam->chunks.n || ipam->used == CHUNK) {
		*vec_push(&ipam->chunks) = xrealloc(NULL, 1, sizeof(struct chunk));
		ipam->used = 0;
	}
	t = &ipam->chunks.v[ipam->chunks.n - 1]->entries[ipam->used++];
	*t = (struct taken){
		.addr = *a, .next = addr_add(a, 1), .tenant = tenant, .mapping = mapping
	};
	HASH_ADD(hh, ipam->taken, addr, sizeof(t->addr), t);
}

void ipam_cleanup(struct ipam *ipam)
{
	HASH_CLEAR(hh, ipam->taken);
	vec_each (chunk, &ipam->chunks)
		free(*chunk);
	vec_free(&ipam->chunks);
	vec_free(&ipam->kept);
	vec_free(&ipam->pools);
	vec_free(&ipam->blocks);
}

static int range_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct range *)a)->first, &((const struct range *)b)->first,
		      sizeof(struct tn_addr));
}

void ipam_merge_pools(struct ipam *ipam)
{
	struct range *to;

	vec_each (t, &ipam->want->tenants) {
		vec_each (p, &t->pools)
			*vec_push(&ipam->pools) = (struct range){ p->addr, prefix_last(p) };
	}
	if (!ipam->pools.n)
		return;
	vec_sort(&ipam->pools, range_cmp);
	to = ipam->pools.v;
	vec_each (r, &ipam->pools) {
		struct tn_addr behind = addr_add(&to->last, 1);

		if (memcmp(&r->first, &behind, sizeof(behind)) > 0)
			*++to = *r;
		else if (memcmp(&r->last, &to->last, sizeof(behind)) > 0)
			to->last = r->last;
	}
	ipam->pools.n = to - ipam->pools.v + 1;
}

/*
 * The first address from `from` on that is not taken. Every entry on the way is
 * made to point at the result, so that long runs are walked once (union-find).
 */
static struct tn_addr next_free(struct ipam *ipam, const struct tn_addr *from)
{
	struct tn_addr a = *from, end;
	struct taken *t;

	while ((t = ipam_taken(ipam, &a)))
		a = t->next;
	end = a;
	for (a = *from; (t = ipam_taken(ipam, &a));) {
		a = t->next;
		t->next = end;
	}
	return end;
}

/* The pools of other tenants that hold the address, when this tenant has none of its own. */
static const struct range *foreign_pools(struct ipam *ipam, const struct tenant *tenant,
					 const struct tn_addr *a)
{
	size_t low = 0, high = tenant->pools.n ? 0 : ipam->pools.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct range *r = &ipam->pools.v[mid];

		if (memcmp(a, &r->first, sizeof(*a)) < 0)
			high = mid;
		else if (memcmp(a, &r->last, sizeof(*a)) > 0)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

size_t ipam_blocks_until(const struct ipam *ipam, const struct tn_addr *a)
{
	size_t low = 0, high = ipam->blocks.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (addr_cmp(&ipam->blocks.v[mid].mapping->shared, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void ipam_add_block(struct ipam *ipam, const struct tenant *t, const struct mapping *m)
{
	size_t at = ipam_blocks_until(ipam, &m->shared);
	struct prefix_of *v;

	vec_push(&ipam->blocks);
	v = ipam->blocks.v;
	memmove(&v[at + 1], &v[at], (ipam->blocks.n - 1 - at) * sizeof(*v));
	v[at] = (struct prefix_of){ t, m };
}

bool ipam_is_block(const struct ipam *ipam, const struct mapping *m)
{
	size_t at = ipam_blocks_until(ipam, &m->shared);

	return at && ipam->blocks.v[at - 1].mapping == m;
}

/* The prefix mapping that has the shared address; NULL: none has. */
static const struct mapping *block_of(const struct ipam *ipam, const struct tn_addr *a)
{
	size_t at = ipam_blocks_until(ipam, a);
	const struct mapping *m = at ? ipam->blocks.v[at - 1].mapping : NULL;

	return m && mapping_has_shared(m, a) ? m : NULL;
}

bool ipam_reserves(struct ipam *ipam, const struct tn_addr *a)
{
	vec_each (s, &ipam->want->subnets) {
		if (prefix_has(s, a))
			return prefix_reserves(s, a);
	}
	return false;
}

static struct tn_addr addr_before(const struct tn_addr *a)
{
	struct tn_addr b = *a;

	for (int i = 3; i >= 0; i--) {
		b.w[i] = htonl(ntohl(b.w[i]) - 1);
		if (a->w[i])
			break;
	}
	return b;
}

/* The last address from `a` on before an exception, or the end of the block; or one behind it. */
static struct tn_addr end_of_block(const struct mapping *block, const struct tn_addr *a)
{
	const struct prefix p = mapping_shared(block);

	for (size_t i = 0; block->except && i < block->except->list.n; i++) {
		struct tn_addr hole = mapping_shared_of(block, &block->except->list.v[i]);

		if (memcmp(&hole, a, sizeof(hole)) > 0)
			return addr_before(&hole);
	}
	return prefix_last(&p);
}

static bool between(struct ipam *ipam, const struct tenant *tenant, const struct tn_addr *first,
		    const struct tn_addr *last, struct tn_addr *out)
{
	struct tn_addr a = *first;
	const struct range *foreign;
	const struct mapping *block;

	for (;;) {
		a = next_free(ipam, &a);
		if (memcmp(&a, last, sizeof(a)) > 0 || memcmp(&a, first, sizeof(a)) < 0)
			return false;
		foreign = foreign_pools(ipam, tenant, &a);
		block = block_of(ipam, &a);
		if (foreign)
			a = foreign->last;
		else if (block)
			a = end_of_block(block, &a);
		else if (!ipam_reserves(ipam, &a))
			break;
		if (memcmp(&a, last, sizeof(a)) >= 0)
			return false;
		a = addr_add(&a, 1);
	}
	*out = a;
	return true;
}

/* The host bits of `a` in the pool. */
static struct tn_addr in_pool(const struct prefix *pool, const struct tn_addr *a)
{
	struct tn_addr mask = prefix_mask(pool), out;

	for (int i = 0; i < 4; i++)
		out.w[i] = (a->w[i] & ~mask.w[i]) | pool->addr.w[i];
	return out;
}

static bool is_free(struct ipam *ipam, const struct tenant *tenant, const struct tn_addr *a)
{
	return !ipam_taken(ipam, a) && !foreign_pools(ipam, tenant, a) && !ipam_reserves(ipam, a) &&
	       !block_of(ipam, a);
}

/*
 * One with the sum of the fixed address: of 65,536 neighbours that differ in their last 16 bits
 * there is one (with 0 and 0xffff the same, two). They are tried from the fixed address' own host
 * bits on.
 */
bool ipam_neutral_from_pool(struct ipam *ipam, const struct tenant *tenant,
			    const struct prefix *pool, const struct tn_addr *fixed,
			    struct tn_addr *out)
{
	struct tn_addr a = in_pool(pool, fixed);
	uint32_t tries = pool->len > 128 - 16 ? 1 : IPAM_NEUTRAL;

	for (uint32_t i = 0; i < tries; i++) {
		a.w[3] &= htonl(0xffff0000);
		a.w[3] |= htonl((0xffffU + addr_sum(fixed) - addr_sum(&a)) % 0xffff);
		if (prefix_has(pool, &a) && is_free(ipam, tenant, &a)) {
			*out = a;
			return true;
		}
		a = addr_add(&a, 0x10000);
		a = in_pool(pool, &a);
	}
	return false;
}

bool ipam_from_pool(struct ipam *ipam, const struct tenant *tenant, const struct prefix *pool,
		    const struct tn_addr *fixed, struct tn_addr *out)
{
	struct tn_addr last = prefix_last(pool), start = in_pool(pool, fixed);

	return between(ipam, tenant, &start, &last, out) ||
	       between(ipam, tenant, &pool->addr, &start, out);
}
