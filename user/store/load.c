/* SPDX-License-Identifier: GPL-2.0-only */
/* From rows to the model: all of it, or what one change can have to do with. */
#include <limits.h>

#include "lib/host_name.h"
#include "model/dns.h"
#include "model/prefixes.h"
#include "model/service.h"
#include "store/store_internal.h"

static int load_subnets(struct store *s, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_SUBNETS, err, "");
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_prefix(stmt, 0, vec_push(&m->subnets)))
			return damaged(s, err, "a subnet is no prefix");
	}
	return more;
}

static int load_pools(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_POOLS, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_prefix(stmt, 0, vec_push(&t->pools)))
			return damaged(s, err, "a pool is no prefix");
	}
	return more;
}

static int load_inside(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_INSIDE, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		char *name = column_string(stmt, 0);

		if (!name)
			return damaged(s, err, "an inside interface has no name");
		*vec_push(&t->router->inside) = name;
	}
	return more;
}

static int load_hosts(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_HOSTS, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		char *name = column_string(stmt, 0);

		if (!name)
			return damaged(s, err, "a host of a router has no name");
		*vec_push(&t->router->hosts) = name;
	}
	return more;
}

static int load_addresses(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_ADDRESSES, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct own_address own = { .pinned = sqlite3_column_int(stmt, 1) };

		if (!column_addr(stmt, 0, &own.addr))
			return damaged(s, err, "a router's address is none");
		t->router->own[addr_family(&own.addr)] = own;
	}
	return more;
}

static int load_routes(struct store *s, struct tenant *t, bool inside, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt =
		query_begin(s, inside ? LIST_INSIDE_ROUTES : LIST_ROUTES, err, "u", t->id);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct route *r =
			inside ? vec_push(&t->router->inside_routes) : vec_push(&t->router->routes);

		if (!column_prefix(stmt, 0, &r->to) || !column_addr(stmt, 1, &r->via))
			return damaged(s, err, "a route is none");
	}
	return more;
}

/* Of a prefix mapping. */
static int load_except(struct store *s, const struct tenant *t, struct mapping *m,
		       struct error *err)
{
	unsigned int family = addr_is_v4(&m->fixed) ? 4 : 6;
	_cleanup_reset_ sqlite3_stmt *stmt =
		query_begin(s, LIST_EXCEPT, err, "uua", t->id, family, &m->fixed);
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		m->except = m->except ? m->except : xzalloc(sizeof(*m->except));
		if (!column_addr(stmt, 0, vec_push(&m->except->list)))
			return damaged(s, err, "an exception of a prefix is no address");
	}
	return more;
}

/* Add the mappings that a statement finds. The statement is reset; NULL is an error already set. */
static int load_found(struct store *s, sqlite3_stmt *found, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = found;
	bool bad = false;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct mapping *m = vec_push(&t->mappings);

		if (!column_addr(stmt, 0, &m->fixed) || !column_addr(stmt, 1, &m->shared))
			return damaged(s, err, "a mapping's address is none");
		m->name = column_text(stmt, 2, &bad);
		if (bad)
			return damaged(s, err, "a mapping's name is none");
		m->pinned = sqlite3_column_int(stmt, 3);
		m->limit.rate = sqlite3_column_int64(stmt, 4);
		m->limit.burst = sqlite3_column_int64(stmt, 5);
		m->limit.packets = sqlite3_column_int64(stmt, 6);
		mac_from_number(sqlite3_column_int64(stmt, 7), m->mac);
		m->bits = (uint8_t)sqlite3_column_int(stmt, 8);
		if (m->bits && load_except(s, t, m, err))
			return -1;
	}
	return more;
}

static int load_mappings(struct store *s, struct tenant *t, struct error *err)
{
	if (load_found(s, query_begin(s, LIST_MAPPINGS, err, "u", t->id), t, err))
		return -1;
	for (size_t i = 1; i < t->mappings.n; i++) {
		if (addr_cmp(&t->mappings.v[i - 1].fixed, &t->mappings.v[i].fixed) >= 0)
			return damaged(s, err, "mappings are out of order");
	}
	return 0;
}

static int load_fixed(struct store *s, const struct tn_addr *fixed, struct tenant *t,
		      struct error *err)
{
	unsigned int family = addr_is_v4(fixed) ? 4 : 6;

	return load_found(s, query_begin(s, FIND_FIXED, err, "uua", t->id, family, fixed), t, err);
}

/* By name or by fixed address: a rule may have either. */
static int load_named(struct store *s, const char *text, struct tenant *t, struct error *err)
{
	struct tn_addr a;

	if (addr_parse(text, &a))
		return load_fixed(s, &a, t, err);
	return load_found(s, query_begin(s, FIND_NAME, err, "ut", t->id, text), t, err);
}

static int load_first(struct store *s, unsigned int family, unsigned int n, struct tenant *t,
		      struct error *err)
{
	return load_found(s, query_begin(s, FIND_FIRST, err, "uuu", t->id, family, n), t, err);
}

/* Of the tenant whose mapping changes; store_load_part() says why these. */
static int load_changed(struct store *s, const struct window *w, struct tenant *t,
			struct error *err)
{
	if (!addr_is_unset(&w->fixed) && load_fixed(s, &w->fixed, t, err))
		return -1;
	if (w->name && load_named(s, w->name, t, err))
		return -1;
	return load_first(s, 4, 2, t, err) || load_first(s, 6, GROUPS_MAX + 2, t, err) ? -1 : 0;
}

/* Two searches can find the same mapping. */
static void drop_duplicates(struct tenant *t)
{
	size_t n = 0;

	tenant_sort(t);
	vec_each (m, &t->mappings) {
		if (n && addr_cmp(&t->mappings.v[n - 1].fixed, &m->fixed) == 0)
			mapping_clear(m);
		else
			t->mappings.v[n++] = *m;
	}
	t->mappings.n = n;
}

/* Of any tenant, what may have the name in DNS that a new mapping gets. */
static int load_rivals(struct store *s, const struct window *w, struct tenant *t, struct error *err)
{
	_cleanup_free_ char *label = NULL;
	const char *rest;

	if (!w->name)
		return 0;
	if (asprintf(&label, "%s-%s", w->tenant, w->name) < 0)
		abort();
	rest = dns_rest(label, t->name);
	return rest ? load_found(s, query_begin(s, FIND_NAME_FOLDED, err, "ut", t->id, rest), t,
				 err)
		    : 0;
}

/* After load_accept(): the mappings that `to` of rules names are in every window. */
static int load_window(struct store *s, const struct window *w, bool zone, struct tenant *t,
		       struct error *err)
{
	if (zone && load_rivals(s, w, t, err))
		return -1;
	if (strcmp(w->tenant, t->name) == 0 && load_changed(s, w, t, err))
		return -1;
	if (load_found(s, query_begin(s, FIND_PREFIXES, err, "u", t->id), t, err))
		return -1;
	if (!addr_is_unset(&w->shared) &&
	    load_found(s, query_begin(s, FIND_SHARED, err, "ua", t->id, &w->shared), t, err))
		return -1;
	vec_each (r, &t->accept) {
		vec_each (to, &r->to) {
			if (load_named(s, *to, t, err))
				return -1;
		}
	}
	return 0;
}

/* And those that `from` names, of whichever tenant. */
static int load_senders(struct store *s, struct model *m, const struct tenant *t, struct error *err)
{
	vec_each (r, &t->accept) {
		vec_each (from, &r->from) {
			struct tenant *of;
			struct sender sender;

			if (!sender_parse(*from, &sender) || !sender.mapping)
				continue;
			of = model_tenant(m, sender.tenant);
			if (of && load_named(s, sender.mapping, of, err))
				return -1;
		}
	}
	return 0;
}

static int end_window(struct store *s, struct model *m, struct error *err)
{
	vec_each (t, &m->tenants) {
		if (load_senders(s, m, t, err))
			return -1;
	}
	vec_each (t, &m->tenants)
		drop_duplicates(t);
	return 0;
}

static int load_items(struct store *s, struct rule *r, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_ITEMS, err, "u", r->id);
	struct service parts[SERVICE_PARTS];
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		const char *kind = (const char *)sqlite3_column_text(stmt, 0);
		_cleanup_free_ char *text = column_string(stmt, 1);
		struct error ignored = { 0 };
		size_t n;

		if (!kind || !text)
			return damaged(s, err, "an item of a rule is none");
		if (strcmp(kind, "from") == 0) {
			*vec_push(&r->from) = xstrdup(text);
		} else if (strcmp(kind, "to") == 0) {
			*vec_push(&r->to) = xstrdup(text);
		} else {
			n = service_parse(text, parts, &ignored);
			if (!n)
				return damaged(s, err, "a service of a rule is unknown");
			for (size_t i = 0; i < n; i++)
				*vec_push(&r->services) = parts[i];
		}
	}
	return more;
}

static int load_accept(struct store *s, struct tenant *t, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *accept = query_begin(s, SHOW_ACCEPT, err, "u", t->id);
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_RULES, err, "u", t->id);
	int more = accept ? query_next(s, accept, err) : -1;

	if (more < 0)
		return -1;
	t->has_accept = more;
	more = -1;
	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct rule *r = vec_push(&t->accept);

		r->id = column_id(stmt, 0);
		r->any = sqlite3_column_int(stmt, 1);
		r->pos.line = column_id(stmt, 2);
		r->pos.col = column_id(stmt, 3);
		r->until = column_id(stmt, 4);
		if (load_items(s, r, err))
			return -1;
	}
	return more;
}

static int load_origin(struct store *s, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, SHOW_ORIGIN, err, "");
	int more = stmt ? query_next(s, stmt, err) : -1;

	if (more > 0) {
		m->file = column_string(stmt, 0);
		if (!m->file || !*m->file || strlen(m->file) >= PATH_MAX)
			return damaged(s, err, "the definitions' file has no name");
	}
	return more < 0 ? -1 : 0;
}

static int load_zone(struct store *s, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, SHOW_ZONE, err, "");
	int more = stmt ? query_next(s, stmt, err) : -1;

	if (more > 0) {
		m->zone = column_string(stmt, 0);
		if (!m->zone)
			return damaged(s, err, "the zone of names is none");
	}
	return more < 0 ? -1 : 0;
}

static int load_router(struct store *s, sqlite3_stmt *stmt, struct tenant *t, struct error *err)
{
	const char *hook = (const char *)sqlite3_column_text(stmt, 5);
	const char *sources = (const char *)sqlite3_column_text(stmt, 7);
	const char *forwarding = (const char *)sqlite3_column_text(stmt, 8);
	const char *active = (const char *)sqlite3_column_text(stmt, 10);
	struct router *r = router_new();
	bool bad = false;

	t->router = r;
	r->id = column_id(stmt, 2);
	r->netns = column_text(stmt, 3, &bad);
	r->shared = column_text(stmt, 4, &bad);
	r->detached = sqlite3_column_int(stmt, 6);
	r->passed_over = sqlite3_column_int(stmt, 9);
	r->flows = sqlite3_column_int(stmt, 11);
	r->grace = (uint32_t)sqlite3_column_int(stmt, 12);
	if (bad)
		return damaged(s, err, "a router's namespace or interface has no name");
	if (!hook || !hook_parse(hook, &r->hook))
		return damaged(s, err, "a router's hook is unknown");
	if (!sources || !sources_parse(sources, &r->sources))
		return damaged(s, err, "a router's sources are unknown");
	if (!forwarding || !forwarding_parse(forwarding, &r->forwarding))
		return damaged(s, err, "a router's forwarding is unknown");
	if (!active || !active_parse(active, &r->active))
		return damaged(s, err, "when a router is active is unknown");
	if (r->flows < TN_FLOWS_MIN || r->flows > TN_FLOWS_MAX)
		return damaged(s, err, "a router's flows are out of bounds");
	return load_hosts(s, t, err) || load_inside(s, t, err) || load_addresses(s, t, err) ||
			       load_routes(s, t, false, err) || load_routes(s, t, true, err)
		       ? -1
		       : 0;
}

static int load_tenants(struct store *s, const struct window *w, struct model *m, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = query_begin(s, LIST_TENANTS, err, "");
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		struct tenant *t = vec_push(&m->tenants);

		t->id = column_id(stmt, 0);
		t->name = column_string(stmt, 1);
		if (!t->name)
			return damaged(s, err, "a tenant's name is none");
		if ((t > m->tenants.v && strcmp(t[-1].name, t->name) >= 0))
			return damaged(s, err, "tenants are out of order");
		if (sqlite3_column_type(stmt, 2) != SQLITE_NULL && load_router(s, stmt, t, err))
			return -1;
		if (load_pools(s, t, err) || load_accept(s, t, err) ||
		    (w ? load_window(s, w, m->zone, t, err) : load_mappings(s, t, err)))
			return -1;
	}
	return more;
}

/* The constraints of the tables are not enough: another program can have written the file. */
static int check_model(struct store *s, const struct model *m, struct error *err)
{
	char buf[MODEL_FAULT];
	const char *fault = model_fault(m, buf);

	return fault ? damaged(s, err, fault) : 0;
}

static int load(struct store *s, const struct window *w, struct model *out, struct error *err)
{
	bool begun = s->db && sqlite3_get_autocommit(s->db);
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (!s->db)
		return 0;
	if (begun)
		ret = sql_exec(s, "BEGIN", err);
	if (ret == 0 && (load_origin(s, out, err) || load_zone(s, out, err) ||
			 load_subnets(s, out, err) || load_tenants(s, w, out, err) ||
			 (w && end_window(s, out, err)) || check_model(s, out, err)))
		ret = -1;
	if (begun)
		store_rollback(s);
	if (ret)
		model_free(out);
	else
		model_locate(out, host_name());
	return ret;
}

int store_load(struct store *s, struct model *out, struct error *err)
{
	return load(s, NULL, out, err);
}

int store_load_part(struct store *s, const struct window *w, struct model *out, struct error *err)
{
	return load(s, w, out, err);
}

int store_leases(struct store *s, const struct tn_addr *from, size_t n, struct addr_list *out,
		 struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt =
		query_begin(s, LIST_LEASES, err, "al", from, (uint64_t)n);
	struct tn_addr next = *from, a;
	int more = -1;

	while (stmt && (more = query_next(s, stmt, err)) > 0) {
		if (!column_addr(stmt, 0, &a))
			return damaged(s, err, "a mapping's address is none");
		if (addr_cmp(&a, &next) != 0)
			return 0;
		*vec_push(&out->list) = a;
		next = addr_add(&a, 1);
	}
	return more;
}
