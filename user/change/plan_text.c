/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/plan_text.h"

#include <inttypes.h>
#include <stdarg.h>

#include "change/plan_internal.h"

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

__attribute__((format(printf, 3, 4))) static void say(struct plan_text *out, char sign,
						      const char *format, ...)
{
	struct plan_line *line;
	va_list args;

	count(out, sign);
	if (is_full(out))
		return;
	line = vec_push(&out->lines);
	line->sign = sign;
	va_start(args, format);
	if (vasprintf(&line->text, format, args) < 0)
		line->text = xstrdup("");
	va_end(args);
}

static bool same_pools(const struct tenant *a, const struct tenant *b)
{
	if (a->pools.n != b->pools.n)
		return false;
	for (size_t i = 0; i < a->pools.n; i++) {
		if (addr_cmp(&a->pools.v[i].addr, &b->pools.v[i].addr) != 0 ||
		    a->pools.v[i].len != b->pools.v[i].len)
			return false;
	}
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A mapping's name or pinning can change without the machine noticing. */
static void describe_labels(const struct tenant *had, const struct tenant *will,
			    struct plan_text *out)
{
	size_t h = 0;

	vec_each (m, &will->mappings) {
		const struct mapping *old;

		while (h < had->mappings.n && addr_cmp(&had->mappings.v[h].fixed, &m->fixed) < 0)
			h++;
		old = h < had->mappings.n ? &had->mappings.v[h] : NULL;
		if (!old || addr_cmp(&old->fixed, &m->fixed) != 0)
			continue;
		if (!same_text(old->name, m->name))
			say(out, '~', "mapping %s %s: name %s", will->name, ADDR(&m->fixed),
			    m->name ? m->name : "removed");
		if (old->pinned != m->pinned)
			say(out, '~', "mapping %s %s: %s", will->name, ADDR(&m->fixed),
			    m->pinned ? "shared address pinned" : "shared address leased");
	}
}

static void describe_tenants(const struct model *had, const struct model *will,
			     struct plan_text *out)
{
	const struct tenant *w = will->tenants.v, *wend = w + will->tenants.n;
	const struct tenant *h = had->tenants.v, *hend = h + had->tenants.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : strcmp(w->name, h->name);

		if (order < 0) {
			say(out, '+', "tenant %s", w++->name);
		} else if (order > 0) {
			say(out, '-', "tenant %s", h++->name);
		} else {
			if (!same_pools(w, h))
				say(out, '~', "tenant %s: pool", w->name);
			if (!router_same(w->router, h->router))
				say(out, '~', "tenant %s: router", w->name);
			if (w->has_accept != h->has_accept && !w->accept.n && !h->accept.n)
				say(out, '~', "tenant %s: accept", w->name);
			describe_labels(h++, w++, out);
		}
	}
}

static const struct tenant *by_router(const struct model *m, const char *name)
{
	const struct tenant *t = model_tenant((struct model *)m, name);

	return t && t->router ? t : NULL;
}

static void describe_routers(const struct plan *plan, const struct model *had,
			     const struct model *will, struct plan_text *out)
{
	const struct {
		char sign;
		const struct router_row *const *v;
		size_t n;
	} parts[] = { { '+', plan->attach.v, plan->attach.n },
		      { '~', plan->renew.v, plan->renew.n },
		      { '-', plan->replaced.v, plan->replaced.n },
		      { '-', plan->detach.v, plan->detach.n } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		for (size_t k = 0; k < parts[i].n; k++) {
			const struct router_row *r = parts[i].v[k];
			const struct tenant *t = by_router(will, r->tenant);

			t = t ? t : by_router(had, r->tenant);
			say(out, parts[i].sign, "router %s: netns %s, hook %s", r->tenant,
			    t && t->router->netns ? t->router->netns : "(own)",
			    hook_name(r->via ? r->via : r->hook));
		}
	}
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

/* ", limit 100000000 bit/s, burst 131072, 10000 packets/s"; nothing when there is none. */
static const char *limit_text(const struct limit_row *l, char buf[LIMIT_TEXT])
{
	size_t n = 0;

	buf[0] = '\0';
	if (l && l->rate)
		n = snprintf(buf, LIMIT_TEXT, ", limit %" PRIu64 " bit/s burst %" PRIu64 " bytes",
			     8 * l->rate, l->burst);
	if (l && l->packets)
		snprintf(buf + n, LIMIT_TEXT - n, ", limit %" PRIu64 " packets/s", l->packets);
	return buf;
}

/* With its limit by `policy`. */
static void describe_mapping(struct plan_text *out, char sign, const struct names *names,
			     const struct policy *policy, const struct shared_row *row)
{
	char limit[LIMIT_TEXT];
	const struct tenant *t = named(names, row->tenant);
	const struct mapping *m;

	/* a million of them take a second to say */
	if (is_full(out)) {
		count(out, sign);
		return;
	}
	m = t ? tenant_mapping((struct tenant *)t, &row->fixed) : NULL;
	if (row->flags & TN_SHARED_OWN)
		say(out, sign, "router address %s %s", t ? t->name : "?", ADDR(&row->shared));
	else
		say(out, sign, "mapping %s%s%s %s -> %s%s", t ? t->name : "?",
		    m && m->name ? "/" : "", m && m->name ? m->name : "", ADDR(&row->fixed),
		    ADDR(&row->shared), limit_text(policy_limit(policy, &row->shared), limit));
}

static char sign_of_put(const struct kernel_state *have, const struct shared_row *row)
{
	return kernel_state_shared(have, &row->shared) ? '~' : '+';
}

static void describe_addr(struct plan_text *out, char sign, const struct addr_row *row)
{
	struct prefix p = { row->addr, row->len };

	say(out, sign, "address %s %s on %s", row->at.tenant, PREFIX(&p), row->at.name);
}

static void describe_route(struct plan_text *out, char sign, const struct route_row *row)
{
	bool behind = !addr_is_unset(&row->via);

	if (route_is_unreachable(row)) {
		say(out, sign, "route %s %s unreachable, as the last resort", row->at.tenant,
		    PREFIX(&row->to));
		return;
	}
	say(out, sign, "route %s %s%s%s on %s", row->at.tenant, PREFIX(&row->to),
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
			say(out, sign, "all-multicast %s on %s", at->tenant, at->name);
			continue;
		}
		while (i + many < n && place_cmp(at, &v[i + many]->at) == 0)
			many++;
		say(out, sign, "solicited-node groups %s %zu on %s", at->tenant, many, at->name);
	}
}

static bool is_new(const struct route_row *row, const struct plan *plan)
{
	vec_each (old, &plan->route_moved) {
		if (route_row_cmp(*old, row) == 0)
			return false;
	}
	return true;
}

static void describe_settled(const struct plan *plan, struct plan_text *out)
{
	vec_each (row, &plan->addr_put)
		describe_addr(out, '+', *row);
	vec_each (row, &plan->route_put)
		describe_route(out, is_new(*row, plan) ? '+' : '~', *row);
	vec_each (row, &plan->setting_put)
		say(out, '~', "setting %s %s = %ld", (*row)->at.tenant, (*row)->path,
		    (*row)->value);
	describe_groups(out, '+', plan->group_put.v, plan->group_put.n);
	describe_groups(out, '-', plan->group_lost.v, plan->group_lost.n);
	describe_groups(out, '-', plan->group_del.v, plan->group_del.n);
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

static void describe_limits(const struct plan *plan, const struct kernel_state *want,
			    const struct kernel_state *have, const struct names *now,
			    struct plan_text *out)
{
	vec_each (l, &plan->limit_put) {
		const struct shared_row *row = limited_anew(want, have, &l->shared);

		if (row)
			describe_mapping(out, '~', now, &want->policy, row);
	}
	vec_each (l, &plan->limit_del) {
		const struct shared_row *row = limited_anew(want, have, &l->shared);
		const struct tenant *t = row ? named(now, row->tenant) : NULL;

		if (row)
			say(out, '~', "mapping %s %s: no limit", t ? t->name : "?",
			    ADDR(&row->fixed));
	}
}

static void describe_mappings(const struct plan *plan, const struct kernel_state *want,
			      const struct kernel_state *have, const struct model *had,
			      const struct model *will, struct plan_text *out)
{
	struct names now, before;

	names_make(&now, will);
	names_make(&before, had);
	vec_each (row, &plan->own_put)
		describe_mapping(out, sign_of_put(have, *row), &now, &want->policy, *row);
	vec_each (row, &plan->shared_put)
		describe_mapping(out, sign_of_put(have, *row), &now, &want->policy, *row);
	describe_limits(plan, want, have, &now, out);
	vec_each (row, &plan->own_del)
		describe_mapping(out, '-', &before, &have->policy, *row);
	vec_each (row, &plan->shared_del)
		describe_mapping(out, '-', &before, &have->policy, *row);
	vec_free(&now.list);
	vec_free(&before.list);
}

static void describe_rule(struct plan_text *out, char sign, const struct tenant *t,
			  const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
	_cleanup_free_ char *services = rule_services_text(r);

	say(out, sign, "rule of %s: from %s%s%s%s%s", t->name, from, *to ? " to " : "", to,
	    *services ? " " : "", services);
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

void plan_describe(const struct plan *plan, const struct kernel_state *want,
		   const struct kernel_state *have, const struct model *had,
		   const struct model *will, struct plan_text *out)
{
	describe_tenants(had, will, out);
	describe_routers(plan, had, will, out);
	describe_settled(plan, out);
	describe_mappings(plan, want, have, had, will, out);
	describe_new(will, had, want, have, '+', out);
	describe_new(had, will, have, want, '-', out);
	if (plan->subnets && !out->lines.n)
		say(out, '~', "shared network: subnets");
	else if (!out->lines.n && plan->fixed_put.n + plan->fixed_del.n)
		say(out, '~', "%zu reverse %s repaired", plan->fixed_put.n + plan->fixed_del.n,
		    plural(plan->fixed_put.n + plan->fixed_del.n, "entry", "entries"));
	else if (!out->lines.n && plan_changes_policy(plan))
		say(out, '~', "who is accepted: entries repaired");
}
