/* SPDX-License-Identifier: GPL-2.0-only */
/* A change of a few mappings reads those alone. Here is what it has to look up besides. */
#include "change/change_parts.h"
#include "model/ipam.h"
#include "model/prefixes.h"

/* Whose routers a change through a window looks at. */
struct scope change_window_scope(const struct window *w)
{
	return (struct scope){ .tenants = (char *const *)&w->tenant, .n = 1 };
}

/* Leases that are asked for at first, and that are known of before all are read. */
#define LEASES_FIRST 16
#define LEASES_MAX   65536

/* Whether the lease is one that this change makes. */
static bool is_new(const struct change *c, const struct tenant *t, const struct mapping *m)
{
	struct tenant *had = model_tenant((struct model *)&c->had, t->name);

	return !had || !tenant_mapping(had, &m->fixed);
}

/* A router's address is nobody else's; of what else is there, the definitions have to know. */
static int reserve_own(struct change *c, const struct tn_addr *shared, struct addr_list *reserved,
		       struct error *err)
{
	struct row_keys key = { .shared = { .v = (struct tn_addr *)shared, .n = 1 } };
	_cleanup_kernel_state_ struct kernel_state found = { 0 };

	if (dataplane_look_up(c->dp, &key, &found, err))
		return -1;
	if (found.shared.n && !(found.shared.v->flags & TN_SHARED_OWN))
		return CHANGE_TOO_NARROW;
	if (found.shared.n)
		*vec_push(&reserved->list) = *shared;
	return 0;
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* Of the leases from the one at `first` on, those that are seen are no secret to ipam_assign(). */
static void drop_seen(const struct change *c, struct addr_list *leases, size_t first)
{
	struct tn_addr *run = leases->list.v + first;
	size_t n = leases->list.n - first, kept = 0;
	_cleanup_free_ bool *seen = xzalloc(n + 1);

	vec_each (t, &c->had.tenants) {
		vec_each (m, &t->mappings) {
			const struct tn_addr *found =
				n ? bsearch(&m->shared, run, n, sizeof(*run), addr_order) : NULL;

			if (found)
				seen[found - run] = true;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (!seen[i])
			run[kept++] = run[i];
	}
	leases->list.n = first + kept;
}

/* Those of the addresses that were just given to new mappings that somebody has. */
static int reserve_taken(struct change *c, size_t leases, struct addr_list *reserved,
			 struct error *err)
{
	vec_each (t, &c->will.tenants) {
		vec_each (m, &t->mappings) {
			size_t known = reserved->list.n;
			int ret = 0;

			if (!is_new(c, t, m))
				continue;
			if (!m->pinned)
				ret = store_leases(c->store, &m->shared, leases, reserved, err);
			drop_seen(c, reserved, known);
			if (!ret && reserved->list.n == known)
				ret = reserve_own(c, &m->shared, reserved, err);
			if (ret)
				return ret;
		}
	}
	return reserved->list.n > LEASES_MAX ? CHANGE_TOO_NARROW : 0;
}

/*
 * Through a window not all leases are seen. So what is given to a new mapping is looked up, and if
 * somebody has it, that is known in the next attempt. In the end it is what it would be if
 * all were seen.
 */
int change_assign(struct change *c, struct addr_list *reserved, struct error *err)
{
	struct addr_list routers = { .list = { .n = reserved->list.n } };
	size_t leases = LEASES_FIRST, known;
	int ret;

	do {
		known = reserved->list.n;
		ret = ipam_assign(&c->will, &c->had, reserved, err);
		if (!ret && c->window)
			ret = reserve_taken(c, leases, reserved, err);
		leases *= 2;
	} while (!ret && reserved->list.n > known);
	if (ret)
		return ret;
	routers.list.v = reserved->list.v;
	return prefixes_fault(&c->will, &routers, err);
}

static void add_keys(const struct model *m, struct row_keys *keys)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			*vec_push(&keys->shared) = mapping->shared;
			if (t->router)
				*vec_push(&keys->fixed) =
					(struct tn_fixed_key){ t->router->id, mapping->fixed };
		}
	}
}

/* What the maps have of the mappings that are seen. */
int change_window_look_up(struct change *c, const struct facts *facts, struct error *err)
{
	add_keys(&c->had, &c->keys);
	add_keys(&c->will, &c->keys);
	vec_each (f, &facts->list) {
		vec_each (own, &f->own)
			*vec_push(&c->keys.shared) = *own;
	}
	row_keys_sort(&c->keys);
	return dataplane_look_up(c->dp, &c->keys, &c->have, err);
}
