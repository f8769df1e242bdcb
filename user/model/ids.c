/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/ids.h"

static int u32_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

struct ids {
	VEC(uint32_t) used; /* sorted */
	size_t at;
	uint32_t next;
};

static uint32_t id_new(struct ids *ids)
{
	while (ids->at < ids->used.n && ids->used.v[ids->at] <= ids->next) {
		if (ids->used.v[ids->at] == ids->next)
			ids->next++;
		ids->at++;
	}
	return ids->next++;
}

static bool id_used(const struct ids *ids, uint32_t id)
{
	return ids->used.n && bsearch(&id, ids->used.v, ids->used.n, sizeof(id), u32_cmp);
}

/* Of something new: an id that is filled in comes back, and stays if nobody has it. */
static void claim(const struct ids *ids, uint32_t *id, struct ids *claimed)
{
	if (*id && id_used(ids, *id))
		*id = 0;
	if (*id)
		*vec_push(&claimed->used) = *id;
}

/* Nobody new gets what was claimed. */
static void add_claimed(struct ids *ids, struct ids *claimed)
{
	vec_each (id, &claimed->used)
		*vec_push(&ids->used) = *id;
	vec_free(&claimed->used);
	vec_sort(&ids->used, u32_cmp);
}

/* The rules that a tenant had, and to which the new ones have been matched. */
struct old_rules {
	const struct tenant *was; /* NULL: it is new */
	bool *taken;
	size_t first; /* of those that are not taken */
};

/*
 * The id that the rule had: of those that say the same, the first that no rule before this one has.
 * So of rules that are there twice the same one stays, whatever comes and goes around them.
 */
static bool keep_rule_id(struct rule *r, struct old_rules *old)
{
	size_t n = old->was ? old->was->accept.n : 0, at;

	while (old->first < n && old->taken[old->first])
		old->first++;
	for (at = old->first; at < n; at++) {
		if (!old->taken[at] && rule_same(r, &old->was->accept.v[at]))
			break;
	}
	if (at == n)
		return false;
	r->id = old->was->accept.v[at].id;
	old->taken[at] = true;
	return true;
}

/* `was` NULL: the tenant is new. */
static void keep_rule_ids(struct tenant *now, const struct tenant *was, const struct ids *ids,
			  struct ids *claimed)
{
	_cleanup_free_ bool *taken = xzalloc(was ? was->accept.n + 1 : 1);
	struct old_rules old = { .was = was, .taken = taken };

	vec_each (r, &now->accept) {
		if (!keep_rule_id(r, &old))
			claim(ids, &r->id, claimed);
	}
}

/* The counters of a rule go by its id, so a rule that says something else is another one. */
static void assign_rule_ids(struct model *want, const struct model *have)
{
	struct ids ids = { .next = 1 }, claimed = { 0 };

	vec_each (was, &have->tenants) {
		vec_each (r, &was->accept)
			*vec_push(&ids.used) = r->id;
	}
	vec_sort(&ids.used, u32_cmp);
	vec_each (now, &want->tenants)
		keep_rule_ids(now, model_tenant((struct model *)have, now->name), &ids, &claimed);
	add_claimed(&ids, &claimed);
	vec_each (t, &want->tenants) {
		vec_each (r, &t->accept) {
			if (!r->id)
				r->id = id_new(&ids);
		}
	}
	vec_free(&ids.used);
}

/*
 * Those elsewhere are no number of the programs, so they take none of these: one file may have more
 * routers than a host can.
 */
static void assign_remote_ids(struct model *want, const struct model *have)
{
	struct ids ids = { .next = TN_ROUTERS_MAX }, claimed = { 0 };

	vec_each (t, &have->tenants) {
		if (tenant_router(t))
			*vec_push(&ids.used) = tenant_router(t)->id;
	}
	vec_sort(&ids.used, u32_cmp);
	vec_each (t, &want->tenants) {
		const struct tenant *was =
			t->remote ? model_tenant((struct model *)have, t->name) : NULL;

		if (was && was->remote && was->remote->id >= TN_ROUTERS_MAX)
			t->remote->id = was->remote->id;
		else if (t->remote && t->remote->id < TN_ROUTERS_MAX)
			t->remote->id = 0;
		else if (t->remote)
			claim(&ids, &t->remote->id, &claimed);
	}
	add_claimed(&ids, &claimed);
	vec_each (t, &want->tenants) {
		if (t->remote && !t->remote->id)
			t->remote->id = id_new(&ids);
	}
	vec_free(&ids.used);
}

/* Whether it is one that programs can go by: after another name of this host it may be none. */
static bool is_numbered(const struct tenant *t)
{
	return t->router && t->router->id < TN_ROUTERS_MAX;
}

int ids_assign(struct model *want, const struct model *have, struct error *err)
{
	struct ids tenants = { .next = 1 }, routers = { .next = 1 };
	struct ids claimed = { 0 }, claimed_too = { 0 };
	int ret = 0;

	vec_each (t, &have->tenants) {
		*vec_push(&tenants.used) = t->id;
		if (tenant_router(t))
			*vec_push(&routers.used) = tenant_router(t)->id;
	}
	vec_sort(&tenants.used, u32_cmp);
	vec_sort(&routers.used, u32_cmp);
	vec_each (t, &want->tenants) {
		const struct tenant *was = model_tenant((struct model *)have, t->name);

		if (was)
			t->id = was->id;
		else
			claim(&tenants, &t->id, &claimed);
		if (t->router && was && is_numbered(was))
			t->router->id = was->router->id;
		else if (t->router)
			claim(&routers, &t->router->id, &claimed_too);
	}
	add_claimed(&tenants, &claimed);
	add_claimed(&routers, &claimed_too);
	vec_each (t, &want->tenants) {
		if (!t->id)
			t->id = id_new(&tenants);
		if (t->router && !t->router->id)
			t->router->id = id_new(&routers);
		if (t->router && t->router->id >= TN_ROUTERS_MAX)
			ret = error_set(err, "more than %d routers on one machine; spread them",
					TN_ROUTERS_MAX - 1);
	}
	vec_free(&tenants.used);
	vec_free(&routers.used);
	assign_remote_ids(want, have);
	assign_rule_ids(want, have);
	return ret;
}
