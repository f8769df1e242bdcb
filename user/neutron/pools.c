/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/pools.h"

/* Within one family: IPv4 is held as a part of IPv6. */
static int order(const struct tn_addr *a, const struct tn_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

static void keep(struct prefix_list *out, const struct prefix *p, const struct addr_range *away)
{
	struct tn_addr end = prefix_last(p);
	struct prefix half = { p->addr, p->len + 1 };

	if (order(&end, &away->first) < 0 || order(&p->addr, &away->last) > 0) {
		*vec_push(&out->list) = *p;
		return;
	}
	if (order(&p->addr, &away->first) >= 0 && order(&end, &away->last) <= 0)
		return;
	keep(out, &half, away);
	end = prefix_last(&half);
	half.addr = addr_add(&end, 1);
	keep(out, &half, away);
}

void pools_cut(struct prefix_list *from, const struct addr_range *away)
{
	struct prefix_list left = { 0 };

	vec_each (p, &from->list)
		keep(&left, p, away);
	vec_free(&from->list);
	*from = left;
}

static const struct neutron_subnet *
subnet_around(const struct prefix *p, const struct neutron_subnet *const *shared, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (shared[i]->cidr.len <= p->len && prefix_has(&shared[i]->cidr, &p->addr))
			return shared[i];
	}
	return NULL;
}

static const struct addr_range *allocation_in(const struct neutron_subnet *s,
					      const struct prefix *p)
{
	struct tn_addr end = prefix_last(p);

	vec_each (r, &s->allocation) {
		if (order(&r->first, &end) <= 0 && order(&r->last, &p->addr) >= 0)
			return r;
	}
	return NULL;
}

int pool_parse(const char *text, const struct neutron_subnet *const *shared, size_t n,
	       struct prefix *out, char why[POOL_WHY])
{
	const struct neutron_subnet *s;
	const struct addr_range *r;

	if (!prefix_parse(text, out)) {
		snprintf(why, POOL_WHY,
			 "is no prefix; write it like `" NEUTRON_TAG_POOL "100.96.1.0/24`");
		return -1;
	}
	s = subnet_around(out, shared, n);
	if (!s) {
		snprintf(why, POOL_WHY, "is in no subnet of the shared network");
		return -1;
	}
	r = allocation_in(s, out);
	if (r) {
		snprintf(why, POOL_WHY,
			 "has addresses of %s to %s in it, which Neutron gives out itself (the "
			 "allocation pool of the subnet)",
			 ADDR(&r->first), ADDR(&r->last));
		return -1;
	}
	if (prefix_has(out, &s->gateway)) {
		snprintf(why, POOL_WHY, "has the gateway of the subnet in it, %s",
			 ADDR(&s->gateway));
		return -1;
	}
	if (pool_room(out, shared, n) == 0) {
		snprintf(why, POOL_WHY, "has no address that a VM can have");
		return -1;
	}
	return 0;
}

uint32_t pool_room(const struct prefix *pool, const struct neutron_subnet *const *shared, size_t n)
{
	const struct neutron_subnet *s = subnet_around(pool, shared, n);
	struct tn_addr end = prefix_last(pool);
	uint32_t room;

	if (pool->len <= 128 - 32)
		return UINT32_MAX;
	room = (uint32_t)1 << (128 - pool->len);
	if (!s)
		return room;
	room -= prefix_reserves(&s->cidr, &pool->addr);
	if (pool->len < 128)
		room -= prefix_reserves(&s->cidr, &end);
	return room;
}

void pools_rest(const struct neutron_subnet *const *shared, size_t n,
		const struct prefix_list *taken, struct prefix_list *out)
{
	struct prefix_list all = { 0 };

	for (size_t i = 0; i < n; i++) {
		*vec_push(&all.list) = shared[i]->cidr;
		vec_each (r, &shared[i]->allocation)
			pools_cut(&all, r);
		if (!addr_is_unset(&shared[i]->gateway))
			pools_cut(&all,
				  &(struct addr_range){ shared[i]->gateway, shared[i]->gateway });
	}
	vec_each (p, &taken->list)
		pools_cut(&all, &(struct addr_range){ p->addr, prefix_last(p) });
	vec_each (p, &all.list) {
		if (pool_room(p, shared, n))
			*vec_push(&out->list) = *p;
	}
	vec_free(&all.list);
}
