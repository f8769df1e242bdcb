/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows in which two models differ. */
#include "model/service.h"
#include "store/store_internal.h"

/* Say which row it was, but only where that has to do with the error; returns -1. */
#define refused(s, err, ...)                                                                     \
	((sqlite3_errcode((s)->db) & 0xff) == SQLITE_CONSTRAINT ? error_prefix(err, __VA_ARGS__) \
								: -1)

/*
 * Everything that goes away, goes before anything comes: what is unique may
 * change hands between two rows, and even between two tenants.
 */
enum phase {
	REMOVE,
	ADD,
};

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_prefixes(const struct prefix *a, size_t na, const struct prefix *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++) {
		if (a[i].len != b[i].len || addr_cmp(&a[i].addr, &b[i].addr))
			return false;
	}
	return true;
}

static bool same_lease(const struct own_address *a, const struct own_address *b)
{
	return a->pinned == b->pinned && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

static bool same_router(const struct router *a, const struct router *b)
{
	if (!a || !b)
		return a == b;
	return a->id == b->id && router_same(a, b) && same_lease(&a->own[IPV4], &b->own[IPV4]) &&
	       same_lease(&a->own[IPV6], &b->own[IPV6]);
}

static bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return addr_cmp(&a->fixed, &b->fixed) == 0 && addr_cmp(&a->shared, &b->shared) == 0 &&
	       a->pinned == b->pinned && same_text(a->name, b->name) &&
	       memcmp(&a->limit, &b->limit, sizeof(a->limit)) == 0;
}

static bool same_accept(const struct tenant *a, const struct tenant *b)
{
	if (a->has_accept != b->has_accept || a->accept.n != b->accept.n)
		return false;
	for (size_t i = 0; i < a->accept.n; i++) {
		const struct rule *r = &a->accept.v[i], *q = &b->accept.v[i];

		if (r->id != q->id || r->pos.line != q->pos.line || r->pos.col != q->pos.col ||
		    !rule_same(r, q))
			return false;
	}
	return true;
}

static int save_origin(struct store *s, const struct model *have, const struct model *want,
		       enum phase phase, struct error *err)
{
	if (same_text(have->file, want->file))
		return 0;
	if (phase == REMOVE)
		return have->file ? query_run(s, REMOVE_ORIGIN, 1, err, "") : 0;
	return want->file ? query_run(s, ADD_ORIGIN, 1, err, "t", want->file) : 0;
}

static int save_subnets(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	if (same_prefixes(have->subnets.v, have->subnets.n, want->subnets.v, want->subnets.n))
		return 0;
	if (phase == REMOVE)
		return query_run(s, REMOVE_SUBNETS, have->subnets.n, err, "");
	for (size_t i = 0; i < want->subnets.n; i++) {
		if (query_run(s, ADD_SUBNET, 1, err, "ut", (unsigned int)i,
			      PREFIX(&want->subnets.v[i])))
			return refused(s, err, "subnet %s", PREFIX(&want->subnets.v[i]));
	}
	return 0;
}

static int save_pools(struct store *s, const struct tenant *old, const struct tenant *new,
		      enum phase phase, struct error *err)
{
	static const struct tenant none;

	old = old ? old : &none;
	new = new ? new : &none;
	if (same_prefixes(old->pools.v, old->pools.n, new->pools.v, new->pools.n))
		return 0;
	if (phase == REMOVE)
		return query_run(s, REMOVE_POOLS, old->pools.n, err, "u", old->id);
	for (size_t i = 0; i < new->pools.n; i++) {
		if (query_run(s, ADD_POOL, 1, err, "uut", new->id, (unsigned int)i,
			      PREFIX(&new->pools.v[i])))
			return refused(s, err, "pool %s", PREFIX(&new->pools.v[i]));
	}
	return 0;
}

static int add_item(struct store *s, const struct rule *r, const char *kind, unsigned int ord,
		    const char *text, struct error *err)
{
	return query_run(s, ADD_ITEM, 1, err, "utut", r->id, kind, ord, text);
}

static int add_rule(struct store *s, unsigned int tenant, unsigned int ord, const struct rule *r,
		    struct error *err)
{
	char text[SERVICE_TEXT];
	unsigned int n = 0;

	if (query_run(s, ADD_RULE, 1, err, "uuuuuu", r->id, tenant, ord, (unsigned int)r->any,
		      r->pos.line, r->pos.col))
		return -1;
	vec_each (name, &r->from) {
		if (add_item(s, r, "from", n++, *name, err))
			return -1;
	}
	vec_each (name, &r->to) {
		if (add_item(s, r, "to", n++, *name, err))
			return -1;
	}
	for (size_t i = 0; i < r->services.n;) {
		i += service_text(&r->services.v[i], r->services.n - i, text);
		if (add_item(s, r, "ports", n++, text, err))
			return -1;
	}
	return 0;
}

/* All of a tenant's rules at once: they are few, and their order counts. */
static int save_accept(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	static const struct tenant none;

	old = old ? old : &none;
	new = new ? new : &none;
	if (same_accept(old, new))
		return 0;
	if (phase == REMOVE)
		return old->has_accept && (query_run(s, REMOVE_RULES, old->accept.n, err, "u",
						     old->id) ||
					   query_run(s, REMOVE_ACCEPT, 1, err, "u", old->id))
			       ? -1
			       : 0;
	if (new->has_accept && query_run(s, ADD_ACCEPT, 1, err, "u", new->id))
		return -1;
	for (size_t i = 0; i < new->accept.n; i++) {
		if (add_rule(s, new->id, (unsigned int)i, &new->accept.v[i], err))
			return refused(s, err, "rule %u of accept", new->accept.v[i].id);
	}
	return 0;
}

static size_t own_addresses(const struct router *r)
{
	return !addr_is_unset(&r->own[IPV4].addr) + !addr_is_unset(&r->own[IPV6].addr);
}

static int remove_router(struct store *s, unsigned int tenant, const struct router *r,
			 struct error *err)
{
	if (query_run(s, REMOVE_INSIDE, r->inside.n, err, "u", tenant) ||
	    query_run(s, REMOVE_ADDRESSES, own_addresses(r), err, "u", tenant) ||
	    query_run(s, REMOVE_ROUTES, r->routes.n, err, "u", tenant))
		return -1;
	return query_run(s, REMOVE_ROUTER, 1, err, "u", tenant);
}

static int add_router_parts(struct store *s, unsigned int tenant, const struct router *r,
			    struct error *err)
{
	for (size_t i = 0; i < r->inside.n; i++) {
		if (query_run(s, ADD_INSIDE, 1, err, "uut", tenant, (unsigned int)i,
			      r->inside.v[i]))
			return refused(s, err, "inside %s", r->inside.v[i]);
	}
	for (int i = 0; i < FAMILIES; i++) {
		const struct own_address *own = &r->own[i];

		if (!addr_is_unset(&own->addr) &&
		    query_run(s, ADD_ADDRESS, 1, err, "uuau", tenant, i == IPV4 ? 4U : 6U,
			      &own->addr, (unsigned int)own->pinned))
			return refused(s, err, "router address %s", ADDR(&own->addr));
	}
	for (size_t i = 0; i < r->routes.n; i++) {
		if (query_run(s, ADD_ROUTE, 1, err, "uuta", tenant, (unsigned int)i,
			      PREFIX(&r->routes.v[i].to), &r->routes.v[i].via))
			return refused(s, err, "route %s", PREFIX(&r->routes.v[i].to));
	}
	return 0;
}

static int save_router(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	const struct router *was = old ? old->router : NULL;
	const struct router *r = new ? new->router : NULL;

	if (same_router(was, r))
		return 0;
	if (phase == REMOVE)
		return was ? remove_router(s, old->id, was, err) : 0;
	if (!r)
		return 0;
	if (query_run(s, ADD_ROUTER, 1, err, "uutttutt", new->id, r->id, r->netns, r->shared,
		      hook_name(r->hook), (unsigned int)r->detached, sources_name(r->sources),
		      forwarding_name(r->forwarding)))
		return refused(s, err, "router");
	return add_router_parts(s, new->id, r, err);
}

static int save_mapping(struct store *s, unsigned int tenant, enum query query,
			const struct mapping *m, struct error *err)
{
	unsigned int family = addr_is_v4(&m->fixed) ? 4 : 6;

	if (query == REMOVE_MAPPING)
		return query_run(s, query, 1, err, "uua", tenant, family, &m->fixed);
	if (query_run(s, query, 1, err, "uuaatulll", tenant, family, &m->fixed, &m->shared, m->name,
		      (unsigned int)m->pinned, m->limit.rate, m->limit.burst, m->limit.packets))
		return refused(s, err, "mapping %s -> %s", ADDR(&m->fixed), ADDR(&m->shared));
	return 0;
}

static int save_mappings(struct store *s, const struct tenant *old, const struct tenant *new,
			 enum phase phase, struct error *err)
{
	size_t i = 0, j = 0, n = old ? old->mappings.n : 0, m = new ? new->mappings.n : 0;
	int ret = 0;

	while (ret == 0 && (i < n || j < m)) {
		const struct mapping *was = i < n ? &old->mappings.v[i] : NULL;
		const struct mapping *is = j < m ? &new->mappings.v[j] : NULL;
		int cmp = !was ? 1 : !is ? -1 : addr_cmp(&was->fixed, &is->fixed);

		i += cmp <= 0;
		j += cmp >= 0;
		if (cmp == 0 && same_mapping(was, is))
			continue;
		if (phase == REMOVE && cmp <= 0)
			ret = save_mapping(s, old->id, REMOVE_MAPPING, was, err);
		else if (phase == ADD && cmp >= 0)
			ret = save_mapping(s, new->id, ADD_MAPPING, is, err);
	}
	return ret;
}

/* Either may be NULL. */
static int save_tenant(struct store *s, const struct tenant *old, const struct tenant *new,
		       enum phase phase, struct error *err)
{
	int ret = 0;

	if (old && new && old->id != new->id) {
		old = phase == REMOVE ? old : NULL;
		new = phase == ADD ? new : NULL;
	}
	if (phase == ADD && !old)
		ret = query_run(s, ADD_TENANT, 1, err, "ut", new->id, new->name);
	if (ret || save_pools(s, old, new, phase, err) || save_router(s, old, new, phase, err) ||
	    save_mappings(s, old, new, phase, err) || save_accept(s, old, new, phase, err))
		ret = -1;
	if (phase == REMOVE && !new &&ret == 0)
		ret = query_run(s, REMOVE_TENANT, 1, err, "u", old->id);
	return ret ? refused(s, err, "tenant %s", (new ? new : old)->name) : 0;
}

static int save_tenants(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	size_t i = 0, j = 0;

	while (i < have->tenants.n || j < want->tenants.n) {
		const struct tenant *old = i < have->tenants.n ? &have->tenants.v[i] : NULL;
		const struct tenant *new = j < want->tenants.n ? &want->tenants.v[j] : NULL;
		int cmp = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);

		i += cmp <= 0;
		j += cmp >= 0;
		old = cmp <= 0 ? old : NULL;
		new = cmp >= 0 ? new : NULL;
		if ((phase == REMOVE ? old : new) || (old && new)) {
			if (save_tenant(s, old, new, phase, err))
				return -1;
		}
	}
	return 0;
}

int store_save(struct store *s, const struct model *have, const struct model *want,
	       struct error *err)
{
	if (s->lock < 0)
		return error_set(err, "%s was opened to be read only; please report this", s->file);
	if (sqlite3_get_autocommit(s->db) && sql_exec(s, "BEGIN IMMEDIATE", err))
		return -1;
	for (enum phase phase = REMOVE; phase <= ADD; phase++) {
		if (save_origin(s, have, want, phase, err) ||
		    save_subnets(s, have, want, phase, err) ||
		    save_tenants(s, have, want, phase, err)) {
			store_rollback(s);
			return -1;
		}
	}
	return 0;
}
