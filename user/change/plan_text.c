/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/plan_text.h"

#include <inttypes.h>
#include <stdarg.h>

#include "change/differences.h"
#include "change/plan_internal.h"
#include "model/prefixes.h"
#include "model/until.h"

void plan_text_free(struct plan_text *t)
{
	vec_each (line, &t->lines)
		free(line->text);
	vec_free(&t->lines);
}

void plan_text_restart(struct plan_text *t)
{
	size_t keep = t->keep;

	plan_text_free(t);
	*t = (struct plan_text){ .keep = keep };
}

static bool is_full(const struct plan_text *out)
{
	return out->keep && out->lines.n >= out->keep;
}

static void count(struct plan_text *out, char sign)
{
	out->added += sign == '+';
	out->changed += sign == '~';
	out->removed += sign == '-';
}

struct plan_line *plan_say(struct plan_text *out, char sign, const char *format, ...)
{
	struct plan_line *line;
	va_list args;

	count(out, sign);
	if (is_full(out))
		return NULL;
	line = vec_push(&out->lines);
	line->sign = sign;
	va_start(args, format);
	if (vasprintf(&line->text, format, args) < 0)
		line->text = xstrdup("");
	va_end(args);
	return line;
}

/* Where the name comes first is near enough. */
void plan_say_about(struct plan_line *line, const char *tenant)
{
	const char *at = line ? strstr(line->text, tenant) : NULL;

	if (!at || at - line->text > UINT8_MAX)
		return;
	line->tenant_at = (uint8_t)(at - line->text);
	line->tenant_len = (uint8_t)strlen(tenant);
}

const char *plan_line_tenant(const struct plan_line *line, char buf[TENANT_NAME_MAX + 1])
{
	if (!line->tenant_len)
		return NULL;
	snprintf(buf, TENANT_NAME_MAX + 1, "%.*s", line->tenant_len, line->text + line->tenant_at);
	return buf;
}

/* Here or elsewhere. */
static const struct tenant *by_router(const struct model *m, const char *name)
{
	const struct tenant *t = model_tenant((struct model *)m, name);

	return t && tenant_router(t) ? t : NULL;
}

/* One that comes or goes. */
static void describe_router(struct plan_text *out, char sign, const struct router_row *r,
			    const struct model *had, const struct model *will)
{
	const struct tenant *t = by_router(will, r->tenant);

	t = t ? t : by_router(had, r->tenant);
	plan_say_of(out, sign, r->tenant, "router %s: netns %s, hook %s", r->tenant,
		    t && tenant_router(t)->netns ? tenant_router(t)->netns : "(own)",
		    hook_name(r->via ? r->via : r->hook));
}

static void describe_renewed(struct plan_text *out, const struct router_row *r,
			     const struct kernel_state *have, const struct tenant *had,
			     const struct tenant *will)
{
	const struct router_row *was = kernel_state_router(have, r->id);
	_cleanup_differences_ struct differences d = { 0 };

	if (had && will)
		differ_router(&d, tenant_router(had), tenant_router(will));
	if (was)
		differ_row(&d, was, r, d.f);
	plan_say_of(out, '~', r->tenant, "router %s: %s", r->tenant,
		    d.f ? differences_text(&d) : "renewed");
}

/* Those that are attached and stay so; then those of which the definitions alone change. */
static void describe_changed(const struct plan *plan, const struct kernel_state *have,
			     const struct model *had, const struct model *will,
			     struct plan_text *out)
{
	_cleanup_free_ bool *said = xzalloc(will->tenants.n + 1);

	vec_each (r, &plan->renew) {
		const struct tenant *w = by_router(will, (*r)->tenant);

		describe_renewed(out, *r, have, by_router(had, (*r)->tenant), w);
		if (w)
			said[w - will->tenants.v] = true;
	}
	vec_each (w, &will->tenants) {
		const struct tenant *h = tenant_router(w) && !said[w - will->tenants.v]
						 ? by_router(had, w->name)
						 : NULL;
		_cleanup_differences_ struct differences d = { 0 };

		if (h)
			differ_router(&d, tenant_router(h), tenant_router(w));
		if (d.f)
			plan_say_of(out, '~', w->name, "router %s: %s", w->name,
				    differences_text(&d));
	}
}

static void describe_routers(const struct plan *plan, const struct kernel_state *have,
			     const struct model *had, const struct model *will,
			     struct plan_text *out)
{
	vec_each (r, &plan->attach)
		describe_router(out, '+', *r, had, will);
	describe_changed(plan, have, had, will, out);
	vec_each (r, &plan->replaced)
		describe_router(out, '-', *r, had, will);
	vec_each (r, &plan->detach)
		describe_router(out, '-', *r, had, will);
}

/* Names of tenants and mappings by tenant id, for rows that have only numbers. */
struct names {
	VEC(const struct tenant *) list; /* sorted by id, which may be any number */
};

static int named_cmp(const void *a, const void *b)
{
	const struct tenant *x = *(const struct tenant *const *)a;
	const struct tenant *y = *(const struct tenant *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void names_make(struct names *names, const struct model *m)
{
	memset(names, 0, sizeof(*names));
	vec_each (t, &m->tenants)
		*vec_push(&names->list) = t;
	vec_sort(&names->list, named_cmp);
}

/* Of a tenant by its id; NULL: it is not known. */
static const struct tenant *named(const struct names *names, uint32_t id)
{
	const struct tenant like = { .id = id }, *key = &like;
	const struct tenant *const *found = NULL;

	if (names->list.n)
		found = bsearch(&key, names->list.v, names->list.n, sizeof(key), named_cmp);
	return found ? *found : NULL;
}

#define LIMIT_TEXT 128

/* "100000000 bit/s burst 131072 bytes, 10000 packets/s"; NULL when there is none. */
static const char *limit_text(const struct limit_row *l, char buf[LIMIT_TEXT])
{
	size_t n = 0;

	if (!l || (!l->rate && !l->packets))
		return NULL;
	if (l->rate)
		n = snprintf(buf, LIMIT_TEXT, "%" PRIu64 " bit/s burst %" PRIu64 " bytes%s",
			     8 * l->rate, l->burst, l->packets ? ", " : "");
	if (l->packets)
		snprintf(buf + n, LIMIT_TEXT - n, "%" PRIu64 " packets/s", l->packets);
	return buf;
}

/* Definitions and what the machine has or is to have by them. */
struct side {
	struct names names;
	const struct kernel_state *kernel;
};

static const struct mapping *mapping_of(const struct side *side, const struct shared_row *row)
{
	const struct tenant *t = named(&side->names, row->tenant);

	return t ? tenant_mapping((struct tenant *)t, &row->fixed) : NULL;
}

static const char *tenant_text(const struct side *side, const struct shared_row *row)
{
	const struct tenant *t = named(&side->names, row->tenant);

	return t ? t->name : "?";
}

/* "red/db 10.0.0.5", or of a router's own address "red". The caller's to free. */
static char *owner_text(const struct side *side, const struct shared_row *row)
{
	const struct tenant *t = named(&side->names, row->tenant);
	const struct mapping *m = mapping_of(side, row);
	const char *name = m && m->name ? m->name : NULL;
	char *text;

	if (row->flags & TN_SHARED_OWN)
		return xstrdup(t ? t->name : "?");
	if (asprintf(&text, "%s%s%s %s", t ? t->name : "?", name ? "/" : "", name ? name : "",
		     ROW_SIDE(row, fixed)) < 0)
		return xstrdup("?");
	return text;
}

/* Who had the address before `now`; NULL: the same one. The caller's to free. */
static char *loser_text(const struct side *had, const struct shared_row *was,
			const struct shared_row *now)
{
	bool own = was->flags & TN_SHARED_OWN;
	char *owner, *text;

	if (!plan_moves(was, now))
		return NULL;
	if (was->tenant == now->tenant && addr_cmp(&was->fixed, &now->fixed) == 0)
		return xstrdup(was->router ? "another router" : "a router elsewhere");
	owner = owner_text(had, was);
	if (!own || asprintf(&text, "the router of %s", owner) < 0)
		return owner;
	free(owner);
	return text;
}

/* Of a router's own address: it is known to the programs, and nobody here gives or takes it. */
static const char *giver_text(const struct side *side, const struct shared_row *row)
{
	if (!(row->flags & TN_SHARED_OWN))
		return "";
	vec_each (r, &side->kernel->routers) {
		if (r->id == row->router && r->by_address)
			return PLAN_GIVEN_BY_OTHERS;
	}
	return "";
}

/* With its MAC address and limit; `before`: who had the address, or NULL. */
static void describe_mapping(struct plan_text *out, char sign, const struct side *side,
			     const struct shared_row *row, const char *before)
{
	_cleanup_free_ char *owner = NULL;
	char buf[LIMIT_TEXT], address[MAC_TEXT];
	const char *limit, *mac;
	const struct mapping *m;

	/* a million of them take a second to say */
	if (is_full(out)) {
		count(out, sign);
		return;
	}
	owner = owner_text(side, row);
	m = row->flags & TN_SHARED_BOUND ? mapping_of(side, row) : NULL;
	mac = m ? plan_mac_text(m->mac, address) : NULL;
	limit = limit_text(policy_limit(&side->kernel->policy, &row->shared), buf);
	plan_say_of(out, sign, tenant_text(side, row), "%s %s%s %s%s%s%s%s%s%s%s",
		    row->flags & TN_SHARED_OWN ? "router address" : "mapping", owner,
		    row->flags & TN_SHARED_OWN ? "" : " ->", ROW_SIDE(row, shared),
		    giver_text(side, row), mac ? ", mac " : "", mac ? mac : "",
		    limit ? ", limit " : "", limit ? limit : "", before ? ", before of " : "",
		    before ? before : "");
}

/*
 * Where the mapping of `row`, on one side, is on the other, if it is another address: both rows are
 * one change then. NULL: it is not there, or has that address there as well.
 */
static const struct shared_row *counterpart(const struct side *other, const struct shared_row *row)
{
	const struct mapping *m = row->flags & TN_SHARED_OWN ? NULL : mapping_of(other, row);
	const struct shared_row *r;

	if (!m || addr_cmp(&m->shared, &row->shared) == 0)
		return NULL;
	r = kernel_state_shared(other->kernel, &m->shared);
	return r && r->tenant == row->tenant && addr_cmp(&r->fixed, &row->fixed) == 0 ? r : NULL;
}

/* Whether the change of a mapping's address from one row to the other is said in one line. */
static bool is_readdressed(const struct side *had, const struct side *will,
			   const struct shared_row *h, const struct shared_row *w)
{
	return h && w && counterpart(had, w) == h && counterpart(will, h) == w;
}

static void describe_readdressed(struct plan_text *out, const struct side *will,
				 const struct shared_row *h, const struct shared_row *w)
{
	_cleanup_free_ char *owner = NULL;

	if (is_full(out)) {
		count(out, '~');
		return;
	}
	owner = owner_text(will, w);
	plan_say_of(out, '~', tenant_text(will, w), "mapping %s: shared address %s → %s", owner,
		    ROW_SIDE(h, shared), ROW_SIDE(w, shared));
}

static void describe_put(struct plan_text *out, const struct side *had, const struct side *will,
			 const struct shared_row *w)
{
	const struct shared_row *was = kernel_state_shared(had->kernel, &w->shared);
	const struct shared_row *h = counterpart(had, w);
	_cleanup_free_ char *before = NULL;

	if (is_readdressed(had, will, h, w)) {
		describe_readdressed(out, will, h, w);
		return;
	}
	if (was && !is_full(out))
		before = loser_text(had, was, w);
	describe_mapping(out, was ? '~' : '+', will, w, before);
}

static void describe_del(struct plan_text *out, const struct side *had, const struct side *will,
			 const struct shared_row *h)
{
	if (!is_readdressed(had, will, h, counterpart(will, h)))
		describe_mapping(out, '-', had, h, NULL);
}

static void describe_addr(struct plan_text *out, char sign, const struct addr_row *row)
{
	struct prefix p = { row->addr, row->len };

	plan_say_of(out, sign, row->at.tenant, "address %s %s on %s", row->at.tenant, PREFIX(&p),
		    row->at.name);
}

static void describe_route(struct plan_text *out, char sign, const struct route_row *row)
{
	bool behind = !addr_is_unset(&row->via);

	if (route_is_unreachable(row)) {
		plan_say_of(out, sign, row->at.tenant,
			    "route %s %s unreachable, as the last resort", row->at.tenant,
			    PREFIX(&row->to));
		return;
	}
	plan_say_of(out, sign, row->at.tenant, "route %s %s%s%s on %s", row->at.tenant,
		    PREFIX(&row->to), behind ? " via " : "", behind ? ADDR(&row->via) : "",
		    row->at.name);
}

/* One line for all groups of a router. */
static void describe_groups(struct plan_text *out, char sign, const struct group_row *const *v,
			    size_t n)
{
	for (size_t i = 0, many; i < n; i += many) {
		const struct place *at = &v[i]->at;

		many = 1;
		if (addr_is_unset(&v[i]->addr)) {
			plan_say_of(out, sign, at->tenant, "all-multicast %s on %s", at->tenant,
				    at->name);
			continue;
		}
		while (i + many < n && place_cmp(at, &v[i + many]->at) == 0)
			many++;
		plan_say_of(out, sign, at->tenant, "solicited-node groups %s %zu on %s", at->tenant,
			    many, at->name);
	}
}

static void describe_addr_put(const struct plan *plan, const struct addr_row *row,
			      struct plan_text *out)
{
	struct prefix now = { row->addr, row->len };

	vec_each (old, &plan->addr_moved) {
		struct prefix was = { (*old)->addr, (*old)->len };

		if (addr_row_cmp(*old, row) != 0)
			continue;
		plan_say_of(out, '~', row->at.tenant, "address %s %s → %s on %s", row->at.tenant,
			    PREFIX(&was), PREFIX(&now), row->at.name);
		return;
	}
	describe_addr(out, '+', row);
}

static void describe_route_put(const struct plan *plan, const struct route_row *row,
			       struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	vec_each (old, &plan->route_moved) {
		if (route_row_cmp(*old, row) != 0)
			continue;
		differ_route(&d, *old, row);
		plan_say_of(out, '~', row->at.tenant, "route %s %s on %s: %s", row->at.tenant,
			    PREFIX(&row->to), row->at.name, differences_text(&d));
		return;
	}
	describe_route(out, '+', row);
}

/* Of what is put by the same interface, describe_route_put() has said both. */
static void describe_route_moved(const struct plan *plan, const struct route_row *row,
				 struct plan_text *out)
{
	vec_each (put, &plan->route_put) {
		if (route_row_cmp(*put, row) == 0)
			return;
	}
	describe_route(out, '-', row);
}

static void describe_setting(const struct setting_row *row, const struct kernel_state *have,
			     struct plan_text *out)
{
	const struct setting_row *was = plan_setting(have, row);

	if (was)
		plan_say_of(out, '~', row->at.tenant, "setting %s %s %ld → %ld", row->at.tenant,
			    row->path, was->value, row->value);
	else
		plan_say_of(out, '~', row->at.tenant, "setting %s %s = %ld", row->at.tenant,
			    row->path, row->value);
}

static void describe_settled(const struct plan *plan, const struct kernel_state *have,
			     struct plan_text *out)
{
	vec_each (row, &plan->addr_put)
		describe_addr_put(plan, *row, out);
	vec_each (row, &plan->route_put)
		describe_route_put(plan, *row, out);
	vec_each (row, &plan->setting_put)
		describe_setting(*row, have, out);
	describe_groups(out, '+', plan->group_put.v, plan->group_put.n);
	describe_groups(out, '-', plan->group_lost.v, plan->group_lost.n);
	describe_groups(out, '-', plan->group_del.v, plan->group_del.n);
	vec_each (row, &plan->route_moved)
		describe_route_moved(plan, *row, out);
	vec_each (row, &plan->route_lost)
		describe_route(out, '-', *row);
	vec_each (row, &plan->route_del)
		describe_route(out, '-', *row);
	vec_each (row, &plan->addr_lost)
		describe_addr(out, '-', *row);
	vec_each (row, &plan->addr_del)
		describe_addr(out, '-', *row);
}

/* The row of a mapping that stays, so that only what it may carry changes; NULL: it does not. */
static const struct shared_row *limited_anew(const struct kernel_state *want,
					     const struct kernel_state *have,
					     const struct tn_addr *shared)
{
	const struct shared_row *w = kernel_state_shared(want, shared);
	const struct shared_row *h = kernel_state_shared(have, shared);

	return w && h && !plan_moves(h, w) && plan_same_kind(w, h) ? w : NULL;
}

static void describe_limit(const struct side *had, const struct side *will,
			   const struct tn_addr *shared, struct plan_text *out)
{
	const struct shared_row *row = limited_anew(will->kernel, had->kernel, shared);
	_cleanup_differences_ struct differences d = { 0 };
	_cleanup_free_ char *owner = NULL;
	char a[LIMIT_TEXT], b[LIMIT_TEXT];

	if (!row)
		return;
	owner = owner_text(will, row);
	differ_text(&d, "limit", limit_text(policy_limit(&had->kernel->policy, shared), a),
		    limit_text(policy_limit(&will->kernel->policy, shared), b));
	plan_say_of(out, '~', tenant_text(will, row), "mapping %s: %s", owner,
		    differences_text(&d));
}

static void describe_mappings(const struct plan *plan, const struct kernel_state *want,
			      const struct kernel_state *have, const struct model *had,
			      const struct model *will, struct plan_text *out)
{
	struct side before = { .kernel = have }, now = { .kernel = want };

	names_make(&before.names, had);
	names_make(&now.names, will);
	vec_each (row, &plan->own_put)
		describe_put(out, &before, &now, *row);
	vec_each (row, &plan->shared_put)
		describe_put(out, &before, &now, *row);
	vec_each (l, &plan->limit_put)
		describe_limit(&before, &now, &l->shared, out);
	vec_each (l, &plan->limit_del)
		describe_limit(&before, &now, &l->shared, out);
	vec_each (row, &plan->own_del)
		describe_del(out, &before, &now, *row);
	vec_each (row, &plan->shared_del)
		describe_del(out, &before, &now, *row);
	vec_free(&now.names.list);
	vec_free(&before.names.list);
}

/* What the lines so far do not explain. */
static void describe_rest(const struct plan *plan, const struct kernel_state *want,
			  const struct kernel_state *have, struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	differ_prefixes(&d, "subnets", NULL, have->subnets.v, have->subnets.n, want->subnets.v,
			want->subnets.n);
	if (plan->subnets)
		plan_say(out, '~', "shared network: %s", differences_text(&d));
	else if (plan->fixed_put.n + plan->fixed_del.n)
		plan_say(out, '~', "%zu reverse %s repaired", plan->fixed_put.n + plan->fixed_del.n,
			 plural(plan->fixed_put.n + plan->fixed_del.n, "entry", "entries"));
	else if (plan_changes_policy(plan))
		plan_say(out, '~', "who is accepted: entries repaired");
}

void plan_describe(const struct plan *plan, const struct kernel_state *want,
		   const struct kernel_state *have, const struct model *had,
		   const struct model *will, struct plan_text *out)
{
	plan_describe_network(had, will, out);
	plan_describe_tenants(had, will, out);
	describe_routers(plan, have, had, will, out);
	describe_settled(plan, have, out);
	describe_mappings(plan, want, have, had, will, out);
	plan_describe_rules(will, had, want, have, '+', out);
	plan_describe_rules(had, will, have, want, '-', out);
	if (!out->lines.n)
		describe_rest(plan, want, have, out);
}
