/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose the addresses of pools are that no row has. */
#include "model/policy.h"

#define NOBODY 0

/* Of an address that both claim. */
static uint32_t both(uint32_t a, uint32_t b)
{
	return a == b ? a : NOBODY;
}

/* What a tenant whose router is here has not mapped is nobody's. */
static void claim_pools(const struct model *m, struct policy *out)
{
	vec_each (t, &m->tenants) {
		vec_each (p, &t->pools)
			*vec_push(&out->pools) = (struct pool_row){ { p->len, p->addr },
								    t->router ? NOBODY : t->id };
	}
	vec_sort(&out->pools, pool_row_cmp);
}

static bool encloses(const struct pool_row *outer, const struct pool_row *inner)
{
	struct prefix p = { outer->key.prefix, outer->key.len };

	return outer->key.len <= inner->key.len && prefix_has(&p, &inner->key.prefix);
}

/*
 * What is nested is claimed by all that enclose it too. Sorted, a prefix comes behind those that
 * enclose it, and they are the end of the stack.
 */
void policy_make_pools(const struct model *m, struct policy *out)
{
	VEC(struct pool_row) around = { 0 };
	size_t n = 0;

	claim_pools(m, out);
	for (size_t i = 0; i < out->pools.n;) {
		struct pool_row row = out->pools.v[i];
		const struct pool_row *outer;

		for (; i < out->pools.n && pool_row_cmp(&row, &out->pools.v[i]) == 0; i++)
			row.tenant = both(row.tenant, out->pools.v[i].tenant);
		while (around.n && !encloses(&around.v[around.n - 1], &row))
			around.n--;
		outer = around.n ? &around.v[around.n - 1] : NULL;
		if (outer)
			row.tenant = both(row.tenant, outer->tenant);
		if (!outer || outer->tenant != row.tenant)
			out->pools.v[n++] = row;
		*vec_push(&around) = row;
	}
	out->pools.n = n;
	vec_each (row, &out->pools)
		out->pool_lens[row->key.len] = true;
	vec_free(&around);
}

/* The row of the prefix of that length around the address; NULL: there is none. */
static const struct pool_row *pool_around(const struct policy *p, const struct tn_addr *a,
					  uint8_t len)
{
	struct prefix around = { *a, len };
	struct tn_addr mask = prefix_mask(&around);
	struct pool_row like = { .key.len = len };

	for (int i = 0; i < 4; i++)
		like.key.prefix.w[i] = a->w[i] & mask.w[i];
	return p->pools.n ? bsearch(&like, p->pools.v, p->pools.n, sizeof(like), pool_row_cmp)
			  : NULL;
}

/* The longest one, as the map finds it; pools are of few lengths. */
uint32_t policy_pool_of(const struct policy *p, const struct tn_addr *a)
{
	const struct pool_row *row = NULL;

	for (int len = 128; len >= 0 && !row; len--)
		row = p->pool_lens[len] ? pool_around(p, a, (uint8_t)len) : NULL;
	return row ? row->tenant : NOBODY;
}
