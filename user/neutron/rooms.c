/* SPDX-License-Identifier: GPL-2.0-only */
/* How many VMs of each tenant can have an address: more would keep all others from being applied.
 */
#include "neutron/definitions_internal.h"

/* What is on the shared network anyway is no VM's to have. */
static size_t ports_in(const struct making *k, const struct prefix *pool)
{
	size_t n = 0;

	vec_each (p, &k->on_shared) {
		vec_each (a, &(*p)->addrs)
			n += prefix_has(pool, &a->addr);
	}
	return n;
}

static void count(const struct making *k, struct tenancy *t)
{
	vec_each (pool, &t->pools.list) {
		uint64_t room = pool_room(pool, k->subnets.v, k->subnets.n);
		uint64_t taken = ports_in(k, pool);

		t->room[addr_family(&pool->addr)] += room > taken ? room - taken : 0;
	}
}

/* Pools of what is left are the same for all, and overlap none that a tag has. */
static bool overlap(const struct tenancy *a, const struct tenancy *b, int family)
{
	if (a->rest[family] || b->rest[family])
		return a->rest[family] && b->rest[family];
	vec_each (p, &a->pools.list) {
		vec_each (q, &b->pools.list) {
			if (addr_family(&p->addr) == family && prefix_overlap(p, q))
				return true;
		}
	}
	return false;
}

static struct tenancy *whose(struct tenancy *t, int family)
{
	while (t->with[family])
		t = t->with[family];
	return t;
}

static void join(struct tenancy *a, struct tenancy *b, int family)
{
	a = whose(a, family);
	b = whose(b, family);
	if (a == b)
		return;
	b->with[family] = a;
	if (b->room[family] < a->room[family])
		a->room[family] = b->room[family];
}

void make_rooms(struct making *k)
{
	vec_each (t, &k->tenancies) {
		if (t->refused)
			continue;
		count(k, t);
		for (struct tenancy *other = k->tenancies.v; other < t; other++) {
			for (int f = 0; f < FAMILIES; f++) {
				if (!other->refused && overlap(other, t, f))
					join(other, t, f);
			}
		}
	}
}

uint64_t *room_of(struct tenancy *t, int family)
{
	return &whose(t, family)->room[family];
}
