/* SPDX-License-Identifier: GPL-2.0-only */
/* Writing the rows in which two models differ, and no others. */
#include "model/prefixes.h"
#include "model/service.h"
#include "store/store_internal.h"

/* Returns -1. Says which row it was, but only if the row is what SQLite refused. */
#define refused(s, err, ...)                                                                     \
	((sqlite3_errcode((s)->db) & 0xff) == SQLITE_CONSTRAINT ? error_prefix(err, __VA_ARGS__) \
								: -1)

/*
 * All rows that go are removed before any row is added. What is unique, a shared address for
 * example, may go from one row to another in one save, and even from one tenant to another.
 */
enum phase {
	REMOVE,
	ADD,
};

static int save_origin(struct store *s, const struct model *have, const struct model *want,
		       enum phase phase, struct error *err)
{
	if (same_text(have->file, want->file))
		return 0;
	if (phase == REMOVE)
		return have->file ? query_run(s, REMOVE_ORIGIN, 1, err, "") : 0;
	return want->file ? query_run(s, ADD_ORIGIN, 1, err, "t", want->file) : 0;
}

static int save_zone(struct store *s, const struct model *have, const struct model *want,
		     enum phase phase, struct error *err)
{
	if (same_text(have->zone, want->zone))
		return 0;
	if (phase == REMOVE)
		return have->zone ? query_run(s, REMOVE_ZONE, 1, err, "") : 0;
	return want->zone ? query_run(s, ADD_ZONE, 1, err, "t", want->zone) : 0;
}

static int save_subnets(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	if (prefixes_equal(have->subnets.v, have->subnets.n, want->subnets.v, want->subnets.n))
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

static int save_pools(struct store *s, const struct tenant *before, const struct tenant *after,
		      enum phase phase, struct error *err)
{
	static const struct tenant none;

	before = before ? before : &none;
	after = after ? after : &none;
	if (prefixes_equal(before->pools.v, before->pools.n, after->pools.v, after->pools.n))
		return 0;
	if (phase == REMOVE)
		return query_run(s, REMOVE_POOLS, before->pools.n, err, "u", before->id);
	for (size_t i = 0; i < after->pools.n; i++) {
		if (query_run(s, ADD_POOL, 1, err, "uut", after->id, (unsigned int)i,
			      PREFIX(&after->pools.v[i])))
			return refused(s, err, "pool %s", PREFIX(&after->pools.v[i]));
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

	if (query_run(s, ADD_RULE, 1, err, "uuuuuuu", r->id, tenant, ord, (unsigned int)r->any,
		      r->pos.line, r->pos.col, r->until))
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

static int remove_accept(struct store *s, const struct tenant *t, struct error *err)
{
	if (!t->has_accept)
		return 0;
	if (query_run(s, REMOVE_RULES, t->accept.n, err, "u", t->id))
		return -1;
	return query_run(s, REMOVE_ACCEPT, 1, err, "u", t->id);
}

static int add_accept(struct store *s, const struct tenant *t, struct error *err)
{
	if (t->has_accept && query_run(s, ADD_ACCEPT, 1, err, "u", t->id))
		return -1;
	for (size_t i = 0; i < t->accept.n; i++) {
		if (add_rule(s, t->id, (unsigned int)i, &t->accept.v[i], err))
			return refused(s, err, "rule %u of accept", t->accept.v[i].id);
	}
	return 0;
}

/* All of a tenant's rules at once: they are few, and their order counts. */
static int save_accept(struct store *s, const struct tenant *before, const struct tenant *after,
		       enum phase phase, struct error *err)
{
	static const struct tenant none;

	before = before ? before : &none;
	after = after ? after : &none;
	if (same_accept(before, after))
		return 0;
	return phase == REMOVE ? remove_accept(s, before, err) : add_accept(s, after, err);
}

static size_t own_addresses(const struct router *r)
{
	return !addr_is_unset(&r->own[IPV4].addr) + !addr_is_unset(&r->own[IPV6].addr);
}

static int remove_router(struct store *s, unsigned int tenant, const struct router *r,
			 struct error *err)
{
	if (query_run(s, REMOVE_HOSTS, r->hosts.n, err, "u", tenant) ||
	    query_run(s, REMOVE_INSIDE, r->inside.n, err, "u", tenant) ||
	    query_run(s, REMOVE_ADDRESSES, own_addresses(r), err, "u", tenant) ||
	    query_run(s, REMOVE_ROUTES, r->routes.n, err, "u", tenant) ||
	    query_run(s, REMOVE_INSIDE_ROUTES, r->inside_routes.n, err, "u", tenant))
		return -1;
	return query_run(s, REMOVE_ROUTER, 1, err, "u", tenant);
}

static int add_routes(struct store *s, enum query add, unsigned int tenant,
		      const struct route *routes, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (query_run(s, add, 1, err, "uuta", tenant, (unsigned int)i,
			      PREFIX(&routes[i].to), &routes[i].via))
			return refused(s, err, "route %s", PREFIX(&routes[i].to));
	}
	return 0;
}

static int add_router_parts(struct store *s, unsigned int tenant, const struct router *r,
			    struct error *err)
{
	for (size_t i = 0; i < r->hosts.n; i++) {
		if (query_run(s, ADD_HOST, 1, err, "uut", tenant, (unsigned int)i, r->hosts.v[i]))
			return refused(s, err, "host %s", r->hosts.v[i]);
	}
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
	return add_routes(s, ADD_ROUTE, tenant, r->routes.v, r->routes.n, err) ||
			       add_routes(s, ADD_INSIDE_ROUTE, tenant, r->inside_routes.v,
					  r->inside_routes.n, err)
		       ? -1
		       : 0;
}

static int add_router(struct store *s, unsigned int tenant, const struct router *r,
		      struct error *err)
{
	if (query_run(s, ADD_ROUTER, 1, err, "uutttuttutuu", tenant, r->id, r->netns, r->shared,
		      hook_name(r->hook), (unsigned int)r->detached, sources_name(r->sources),
		      forwarding_name(r->forwarding), (unsigned int)r->passed_over,
		      active_name(r->active), r->flows, (unsigned int)r->grace))
		return refused(s, err, "router");
	return add_router_parts(s, tenant, r, err);
}

static int save_router(struct store *s, const struct tenant *before, const struct tenant *after,
		       enum phase phase, struct error *err)
{
	const struct router *was = before ? tenant_router(before) : NULL;
	const struct router *is = after ? tenant_router(after) : NULL;

	if (same_router(was, is))
		return 0;
	if (phase == REMOVE)
		return was ? remove_router(s, before->id, was, err) : 0;
	return is ? add_router(s, after->id, is, err) : 0;
}

static int remove_mapping(struct store *s, unsigned int tenant, const struct mapping *m,
			  struct error *err)
{
	unsigned int family = addr_is_v4(&m->fixed) ? 4 : 6;

	return query_run(s, REMOVE_MAPPING, 1, err, "uua", tenant, family, &m->fixed);
}

static int add_mapping(struct store *s, unsigned int tenant, const struct mapping *m,
		       struct error *err)
{
	unsigned int family = addr_is_v4(&m->fixed) ? 4 : 6;

	if (query_run(s, ADD_MAPPING, 1, err, "uuaatullllu", tenant, family, &m->fixed, &m->shared,
		      m->name, (unsigned int)m->pinned, m->limit.rate, m->limit.burst,
		      m->limit.packets, mac_number(m->mac), (unsigned int)m->bits))
		return refused(s, err, "mapping %s -> %s", FIXED(m), SHARED(m));
	for (size_t i = 0; m->except && i < m->except->list.n; i++) {
		if (query_run(s, ADD_EXCEPT, 1, err, "uuaa", tenant, family, &m->fixed,
			      &m->except->list.v[i]))
			return refused(s, err, "exception %s", ADDR(&m->except->list.v[i]));
	}
	return 0;
}

static int save_mappings(struct store *s, const struct tenant *before, const struct tenant *after,
			 enum phase phase, struct error *err)
{
	size_t i = 0, j = 0, n = before ? before->mappings.n : 0, m = after ? after->mappings.n : 0;
	int ret = 0;

	while (ret == 0 && (i < n || j < m)) {
		const struct mapping *was = i < n ? &before->mappings.v[i] : NULL;
		const struct mapping *is = j < m ? &after->mappings.v[j] : NULL;
		int cmp = !was ? 1 : !is ? -1 : addr_cmp(&was->fixed, &is->fixed);

		i += cmp <= 0;
		j += cmp >= 0;
		if (cmp == 0 && same_mapping(was, is))
			continue;
		if (phase == REMOVE && cmp <= 0)
			ret = remove_mapping(s, before->id, was, err);
		else if (phase == ADD && cmp >= 0)
			ret = add_mapping(s, after->id, is, err);
	}
	return ret;
}

/* NULL: there was none before, or there is none after. Another id makes it another tenant. */
static int save_tenant(struct store *s, const struct tenant *before, const struct tenant *after,
		       enum phase phase, struct error *err)
{
	int ret = 0;

	if (before && after && before->id != after->id) {
		before = phase == REMOVE ? before : NULL;
		after = phase == ADD ? after : NULL;
	}
	if (phase == ADD && !before)
		ret = query_run(s, ADD_TENANT, 1, err, "ut", after->id, after->name);
	if (ret || save_pools(s, before, after, phase, err) ||
	    save_router(s, before, after, phase, err) ||
	    save_mappings(s, before, after, phase, err) ||
	    save_accept(s, before, after, phase, err))
		ret = -1;
	if (phase == REMOVE && !after && ret == 0)
		ret = query_run(s, REMOVE_TENANT, 1, err, "u", before->id);
	return ret ? refused(s, err, "tenant %s", (after ? after : before)->name) : 0;
}

static int save_tenants(struct store *s, const struct model *have, const struct model *want,
			enum phase phase, struct error *err)
{
	size_t i = 0, j = 0;

	while (i < have->tenants.n || j < want->tenants.n) {
		const struct tenant *before = i < have->tenants.n ? &have->tenants.v[i] : NULL;
		const struct tenant *after = j < want->tenants.n ? &want->tenants.v[j] : NULL;
		int cmp = !before ? 1 : !after ? -1 : strcmp(before->name, after->name);

		i += cmp <= 0;
		j += cmp >= 0;
		before = cmp <= 0 ? before : NULL;
		after = cmp >= 0 ? after : NULL;
		if ((phase == REMOVE ? before : after) && save_tenant(s, before, after, phase, err))
			return -1;
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
		    save_zone(s, have, want, phase, err) ||
		    save_subnets(s, have, want, phase, err) ||
		    save_tenants(s, have, want, phase, err)) {
			store_rollback(s);
			return -1;
		}
	}
	return 0;
}
