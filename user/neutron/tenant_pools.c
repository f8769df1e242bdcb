/* SPDX-License-Identifier: GPL-2.0-only */
/* Where each tenant's addresses come from: by its router's tags, or from what is left. */
#include "neutron/definitions_internal.h"

static void refuse(struct making *k, struct tenancy *t, const char *pool, const char *why)
{
	t->refused = true;
	neutron_finding(k->findings, "router %s (%s) is left out: the pool `%s` of its tags %s",
			t->name, t->router->id, SHOWN(pool), why);
}

static const struct prefix *overlap(const struct prefix_list *pools, const struct prefix *p)
{
	vec_each (other, &pools->list) {
		if (prefix_overlap(other, p))
			return other;
	}
	return NULL;
}

static void read_tags(struct making *k, struct tenancy *t)
{
	struct prefix_list pools = { 0 };

	vec_each (text, &t->router->pools) {
		const struct prefix *other;
		char why[POOL_WHY];
		struct prefix p;

		if (pool_parse(*text, k->subnets.v, k->subnets.n, &p, why)) {
			refuse(k, t, *text, why);
			continue;
		}
		other = overlap(&pools, &p);
		if (other) {
			snprintf(why, sizeof(why), "overlaps another of them, %s", PREFIX(other));
			refuse(k, t, *text, why);
			continue;
		}
		*vec_push(&pools.list) = p;
	}
	t->pools = pools;
}

static int pool_cmp(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int order = addr_cmp(&x->addr, &y->addr);

	return order ? order : (int)x->len - (int)y->len;
}

/*
 * An address is given once, also where pools overlap; but what no mapping has there counts as
 * nobody's. Whoever may tag routers could do that to others.
 */
static void say_overlaps(struct making *k)
{
	vec_each (t, &k->tenancies) {
		for (const struct tenancy *other = k->tenancies.v; other < t; other++) {
			vec_each (p, &t->pools.list) {
				const struct prefix *q = overlap(&other->pools, p);

				if (q && !t->refused && !other->refused)
					neutron_finding(k->findings,
							"the pool %s of router %s overlaps %s of "
							"router %s; give each its own",
							PREFIX(p), t->name, PREFIX(q), other->name);
			}
		}
	}
}

/* Somebody else's port, or a router's, at an address that a VM could be given. */
static void say_ports(struct making *k)
{
	vec_each (p, &k->on_shared) {
		vec_each (a, &(*p)->addrs) {
			vec_each (t, &k->tenancies) {
				const struct prefix one = { a->addr, 128 };
				const struct prefix *pool = overlap(&t->pools, &one);

				if (pool && !t->refused)
					neutron_finding(k->findings,
							"the port %s on the shared network has %s, "
							"which is in the pool %s of router %s; "
							"give it another address",
							(*p)->id, ADDR(&a->addr), PREFIX(pool),
							t->name);
			}
		}
	}
}

static bool has_family(const struct prefix_list *pools, int family)
{
	vec_each (p, &pools->list) {
		if (addr_family(&p->addr) == family)
			return true;
	}
	return false;
}

static void add_rest(struct tenancy *t, const struct prefix_list *rest)
{
	for (int f = 0; f < FAMILIES; f++)
		t->rest[f] = !has_family(&t->pools, f);
	vec_each (p, &rest->list) {
		if (t->rest[addr_family(&p->addr)])
			*vec_push(&t->pools.list) = *p;
	}
}

void make_pools(struct making *k)
{
	struct prefix_list tagged = { 0 }, rest = { 0 };

	vec_each (t, &k->tenancies) {
		read_tags(k, t);
		if (t->refused)
			continue;
		vec_each (p, &t->pools.list)
			*vec_push(&tagged.list) = *p;
	}
	say_overlaps(k);
	say_ports(k);
	pools_rest(k->subnets.v, k->subnets.n, &tagged, &rest);
	vec_each (t, &k->tenancies) {
		if (t->refused)
			continue;
		vec_sort(&t->pools.list, pool_cmp);
		add_rest(t, &rest);
		if (t->pools.list.n)
			continue;
		t->refused = true;
		neutron_finding(k->findings,
				"router %s (%s) is left out: Neutron gives out all addresses of "
				"the shared network; make the allocation pools of its subnets "
				"small, or tag the router with `" NEUTRON_TAG_POOL "PREFIX`",
				t->name, t->router->id);
	}
	vec_free(&tagged.list);
	vec_free(&rest.list);
}
