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

/* The line; NULL: there is no room for it. */
__attribute__((format(printf, 3, 4))) static struct plan_line *say(struct plan_text *out, char sign,
								   const char *format, ...)
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

/* What the line begins with names the tenant; where it does so first is near enough. */
static void about(struct plan_line *line, const char *tenant)
{
	const char *at = line ? strstr(line->text, tenant) : NULL;

	if (!at || at - line->text > UINT8_MAX)
		return;
	line->tenant_at = (uint8_t)(at - line->text);
	line->tenant_len = (uint8_t)strlen(tenant);
}

#define say_of(out, sign, tenant, ...) about(say((out), (sign), __VA_ARGS__), (tenant))

const char *plan_line_tenant(const struct plan_line *line, char buf[TENANT_NAME_MAX + 1])
{
	if (!line->tenant_len)
		return NULL;
	snprintf(buf, TENANT_NAME_MAX + 1, "%.*s", line->tenant_len, line->text + line->tenant_at);
	return buf;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void describe_network(const struct model *had, const struct model *will,
			     struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	/* the first definitions of all change nothing */
	if (!had->subnets.n || !will->subnets.n)
		return;
	differ_prefixes(&d, "subnets", NULL, had->subnets.v, had->subnets.n, will->subnets.v,
			will->subnets.n);
	differ_text(&d, "zone of names", had->zone, will->zone);
	if (d.f)
		say(out, '~', "shared network: %s", differences_text(&d));
}

static const char *mac_or_none(const uint8_t mac[6], char buf[MAC_TEXT])
{
	return mac_is_unset(mac) ? NULL : mac_text(mac, buf);
}

/* "10.0.0.1, 10.0.0.2"; NULL: none. The caller's to free. */
static char *except_text(const struct mapping *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = m->except ? open_memstream(&text, &size) : NULL;

	if (!f)
		return NULL;
	for (size_t i = 0; i < m->except->list.n; i++)
		fprintf(f, "%s%s", i ? ", " : "", ADDR(&m->except->list.v[i]));
	fclose(f);
	return text;
}

/* A mapping's name or pinning can change without the machine noticing. */
static void describe_labels(const struct tenant *had, const struct tenant *will,
			    struct plan_text *out)
{
	char a[MAC_TEXT], b[MAC_TEXT];
	size_t h = 0;

	vec_each (m, &will->mappings) {
		_cleanup_free_ char *old_except = NULL, *new_except = NULL;
		_cleanup_differences_ struct differences d = { 0 };
		const struct mapping *old;

		while (h < had->mappings.n && addr_cmp(&had->mappings.v[h].fixed, &m->fixed) < 0)
			h++;
		old = h < had->mappings.n ? &had->mappings.v[h] : NULL;
		if (!old || addr_cmp(&old->fixed, &m->fixed) != 0 ||
		    (same_text(old->name, m->name) && old->pinned == m->pinned &&
		     same_exceptions(old->except, m->except) &&
		     memcmp(old->mac, m->mac, sizeof(m->mac)) == 0))
			continue;
		old_except = except_text(old);
		new_except = except_text(m);
		differ_text(&d, "name", old->name, m->name);
		differ_text(&d, "shared address", old->pinned ? "pinned" : "leased",
			    m->pinned ? "pinned" : "leased");
		differ_text(&d, "MAC address", mac_or_none(old->mac, a), mac_or_none(m->mac, b));
		differ_text(&d, "exceptions", old_except, new_except);
		say_of(out, '~', will->name, "mapping %s %s: %s", will->name, FIXED(m),
		       differences_text(&d));
	}
}

/* The index of the rule with that id, from `first` to before `end`; `end`: it is not there. */
static size_t find_rule(const struct tenant *t, uint32_t id, size_t first, size_t end)
{
	while (first < end && t->accept.v[first].id != id)
		first++;
	return first;
}

/* Whether the rules that are in both are in another order, in which the first one counts. */
static bool is_reordered(const struct tenant *had, const struct tenant *will)
{
	size_t last = 0;

	vec_each (r, &will->accept) {
		size_t at = find_rule(had, r->id, last, had->accept.n);

		if (at < had->accept.n)
			last = at;
		else if (find_rule(had, r->id, 0, last) < last)
			return true;
	}
	return false;
}

static const char *accept_text(const struct tenant *t)
{
	return !t->has_accept ? NULL : t->accept.n ? "rules" : "[]";
}

/* Of one that was there before. */
static void describe_tenant(const struct tenant *had, const struct tenant *will,
			    struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	differ_prefixes(&d, "pool", "(all)", had->pools.v, had->pools.n, will->pools.v,
			will->pools.n);
	differ_text(&d, "router", had->router ? "here" : "elsewhere",
		    will->router ? "here" : "elsewhere");
	/* rules that come and go have lines of their own */
	if (!had->accept.n && !will->accept.n)
		differ_text(&d, "accept", accept_text(had), accept_text(will));
	if (is_reordered(had, will))
		differ_say(&d, "order of accept");
	if (d.f)
		say_of(out, '~', will->name, "tenant %s: %s", will->name, differences_text(&d));
	describe_labels(had, will, out);
}

static void describe_tenants(const struct model *had, const struct model *will,
			     struct plan_text *out)
{
	const struct tenant *w = will->tenants.v, *wend = w + will->tenants.n;
	const struct tenant *h = had->tenants.v, *hend = h + had->tenants.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : strcmp(w->name, h->name);

		if (order < 0)
			say_of(out, '+', w->name, "tenant %s", w->name);
		else if (order > 0)
			say_of(out, '-', h->name, "tenant %s", h->name);
		else
			describe_tenant(h, w, out);
		w += order <= 0;
		h += order >= 0;
	}
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
	say_of(out, sign, r->tenant, "router %s: netns %s, hook %s", r->tenant,
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
	say_of(out, '~', r->tenant, "router %s: %s", r->tenant,
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
			say_of(out, '~', w->name, "router %s: %s", w->name, differences_text(&d));
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
	mac = m ? mac_or_none(m->mac, address) : NULL;
	limit = limit_text(policy_limit(&side->kernel->policy, &row->shared), buf);
	say_of(out, sign, tenant_text(side, row), "%s %s%s %s%s%s%s%s%s%s%s",
	       row->flags & TN_SHARED_OWN ? "router address" : "mapping", owner,
	       row->flags & TN_SHARED_OWN ? "" : " ->", ROW_SIDE(row, shared),
	       giver_text(side, row), mac ? ", mac " : "", mac ? mac : "", limit ? ", limit " : "",
	       limit ? limit : "", before ? ", before of " : "", before ? before : "");
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
	say_of(out, '~', tenant_text(will, w), "mapping %s: shared address %s → %s", owner,
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

	say_of(out, sign, row->at.tenant, "address %s %s on %s", row->at.tenant, PREFIX(&p),
	       row->at.name);
}

static void describe_route(struct plan_text *out, char sign, const struct route_row *row)
{
	bool behind = !addr_is_unset(&row->via);

	if (route_is_unreachable(row)) {
		say_of(out, sign, row->at.tenant, "route %s %s unreachable, as the last resort",
		       row->at.tenant, PREFIX(&row->to));
		return;
	}
	say_of(out, sign, row->at.tenant, "route %s %s%s%s on %s", row->at.tenant, PREFIX(&row->to),
	       behind ? " via " : "", behind ? ADDR(&row->via) : "", row->at.name);
}

/* One line for all groups of a router. */
static void describe_groups(struct plan_text *out, char sign, const struct group_row *const *v,
			    size_t n)
{
	for (size_t i = 0, many; i < n; i += many) {
		const struct place *at = &v[i]->at;

		many = 1;
		if (addr_is_unset(&v[i]->addr)) {
			say_of(out, sign, at->tenant, "all-multicast %s on %s", at->tenant,
			       at->name);
			continue;
		}
		while (i + many < n && place_cmp(at, &v[i + many]->at) == 0)
			many++;
		say_of(out, sign, at->tenant, "solicited-node groups %s %zu on %s", at->tenant,
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
		say_of(out, '~', row->at.tenant, "address %s %s → %s on %s", row->at.tenant,
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
		say_of(out, '~', row->at.tenant, "route %s %s on %s: %s", row->at.tenant,
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
		say_of(out, '~', row->at.tenant, "setting %s %s %ld → %ld", row->at.tenant,
		       row->path, was->value, row->value);
	else
		say_of(out, '~', row->at.tenant, "setting %s %s = %ld", row->at.tenant, row->path,
		       row->value);
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
	say_of(out, '~', tenant_text(will, row), "mapping %s: %s", owner, differences_text(&d));
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

static void describe_rule(struct plan_text *out, char sign, const struct tenant *t,
			  const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
	_cleanup_free_ char *services = rule_services_text(r);
	char until[RULE_UNTIL_TEXT];

	say_of(out, sign, t->name, "rule of %s: from %s%s%s%s%s%s", t->name, from,
	       *to ? " to " : "", to, *services ? " " : "", services, rule_until_text(r, until));
}

static void rule_ids_of_model(const struct model *m, struct rule_ids *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept)
			*vec_push(&out->list) = r->id;
	}
	vec_sort_once(&out->list, rule_id_cmp);
}

/* The rules of `m` that the other definitions do not have, or whose rows the other machine lacks.
 */
static void describe_new(const struct model *m, const struct model *other,
			 const struct kernel_state *machine, const struct kernel_state *without,
			 char sign, struct plan_text *out)
{
	struct rule_ids defined, rows, lacking;

	rule_ids_of_model(other, &defined);
	rule_ids_of_rows(&machine->policy, &rows);
	rule_ids_of_rows(&without->policy, &lacking);
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept) {
			if (!rule_ids_have(&defined, r->id) ||
			    (rule_ids_have(&rows, r->id) && !rule_ids_have(&lacking, r->id)))
				describe_rule(out, sign, t, r);
		}
	}
	vec_free(&defined.list);
	vec_free(&rows.list);
	vec_free(&lacking.list);
}

/* What the lines so far do not explain. */
static void describe_rest(const struct plan *plan, const struct kernel_state *want,
			  const struct kernel_state *have, struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	differ_prefixes(&d, "subnets", NULL, have->subnets.v, have->subnets.n, want->subnets.v,
			want->subnets.n);
	if (plan->subnets)
		say(out, '~', "shared network: %s", differences_text(&d));
	else if (plan->fixed_put.n + plan->fixed_del.n)
		say(out, '~', "%zu reverse %s repaired", plan->fixed_put.n + plan->fixed_del.n,
		    plural(plan->fixed_put.n + plan->fixed_del.n, "entry", "entries"));
	else if (plan_changes_policy(plan))
		say(out, '~', "who is accepted: entries repaired");
}

void plan_describe(const struct plan *plan, const struct kernel_state *want,
		   const struct kernel_state *have, const struct model *had,
		   const struct model *will, struct plan_text *out)
{
	describe_network(had, will, out);
	describe_tenants(had, will, out);
	describe_routers(plan, have, had, will, out);
	describe_settled(plan, have, out);
	describe_mappings(plan, want, have, had, will, out);
	describe_new(will, had, want, have, '+', out);
	describe_new(had, will, have, want, '-', out);
	if (!out->lines.n)
		describe_rest(plan, want, have, out);
}
