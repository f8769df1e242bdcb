/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/sheet.h"

void sheet_free(struct sheet *s)
{
	vec_free(&s->mappings);
	vec_free(&s->rules);
	vec_free(&s->drops);
	vec_free(&s->flows);
}

/* ------------------------------------------------------------ totals */

static void take_drops(const struct router_stats *r, struct sheet *out)
{
	for (unsigned int i = 0; i < TN_REASONS_COUNT; i++) {
		if (r->drops.packets[i])
			*vec_push(&out->drops) =
				(struct drop_row){ r->row, i, r->drops.packets[i] };
	}
}

void sheet_totals(const struct stats *stats, const struct selection *selection, struct sheet *out)
{
	vec_each (m, &stats->mappings) {
		if (selection_has_mapping(selection, m->tenant, m->mapping))
			*vec_push(&out->mappings) = *m;
	}
	vec_each (r, &stats->rules) {
		if (selection_has_rule(selection, r->tenant, r->rule))
			*vec_push(&out->rules) = *r;
	}
	vec_each (r, &stats->routers) {
		if (!scope_has(selection_scope(selection), r->row->tenant))
			continue;
		take_drops(r, out);
		*vec_push(&out->flows) =
			(struct flow_row){ r->row, r->flows, r->drops.flows_opened };
	}
}

/* ------------------------------------------------------------ rates */

/* Per second, of a number that grows; one that has begun anew has grown by all of it. */
static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
	uint64_t grown = counter_growth(before, now);

	return ms ? (grown * 1000 + ms / 2) / ms : grown;
}

/* The same thing at the moment before, by a walk through both lists; NULL: it is new. */
static const struct mapping_stats *mapping_before(const struct stats *s, size_t *at,
						  const struct mapping_stats *m)
{
	for (; *at < s->mappings.n; ++*at) {
		const struct mapping_stats *old = &s->mappings.v[*at];
		int order = strcmp(old->tenant->name, m->tenant->name);

		order = order ? order : addr_cmp(&old->mapping->fixed, &m->mapping->fixed);
		if (order >= 0)
			return order ? NULL : old;
	}
	return NULL;
}

static uint64_t hits_before(const struct stats *s, const struct rule_stats *r, size_t guess)
{
	if (guess < s->rules.n && s->rules.v[guess].rule->id == r->rule->id)
		return s->rules.v[guess].packets;
	vec_each (old, &s->rules) {
		if (old->rule->id == r->rule->id)
			return old->packets;
	}
	return 0;
}

static const struct router_stats *router_before(const struct stats *s, uint32_t id)
{
	vec_each (r, &s->routers) {
		if (r->row->id == id)
			return r;
	}
	return NULL;
}

static void take_mapping_rate(const struct mapping_stats *m, const struct mapping_stats *old,
			      uint64_t ms, struct sheet *out)
{
	const struct tn_counters none = { 0 }, *was = old ? &old->counters : &none,
				 *is = &m->counters;

	if (memcmp(was, is, sizeof(*was)) == 0)
		return;
	*vec_push(&out->mappings) =
		(struct mapping_stats){ m->tenant,
					m->mapping,
					{ .in_packets = rate(is->in_packets, was->in_packets, ms),
					  .in_bytes = rate(is->in_bytes, was->in_bytes, ms),
					  .out_packets =
						  rate(is->out_packets, was->out_packets, ms),
					  .out_bytes = rate(is->out_bytes, was->out_bytes, ms) } };
}

static void take_drop_rates(const struct router_stats *r, const struct router_stats *old,
			    uint64_t ms, struct sheet *out)
{
	for (unsigned int i = 0; i < TN_REASONS_COUNT; i++) {
		uint64_t was = old ? old->drops.packets[i] : 0, is = r->drops.packets[i];

		if (was != is)
			*vec_push(&out->drops) = (struct drop_row){ r->row, i, rate(is, was, ms) };
	}
}

void sheet_rates(const struct stats *now, const struct stats *then, uint64_t ms,
		 const struct selection *selection, struct sheet *out)
{
	size_t at = 0;

	vec_each (m, &now->mappings) {
		const struct mapping_stats *old = mapping_before(then, &at, m);

		if (selection_has_mapping(selection, m->tenant, m->mapping))
			take_mapping_rate(m, old, ms, out);
	}
	vec_each (r, &now->rules) {
		uint64_t was = hits_before(then, r, r - now->rules.v);

		if (was != r->packets && selection_has_rule(selection, r->tenant, r->rule))
			*vec_push(&out->rules) = (struct rule_stats){ r->tenant, r->rule,
								      rate(r->packets, was, ms) };
	}
	vec_each (r, &now->routers) {
		if (scope_has(selection_scope(selection), r->row->tenant))
			take_drop_rates(r, router_before(then, r->row->id), ms, out);
	}
}

/* ------------------------------------------------------------ order */

/* The larger one first; of equal ones that which comes first in its list. */
static int order(uint64_t a, uint64_t b, const void *one, const void *two)
{
	if (a != b)
		return a > b ? -1 : 1;
	return one < two ? -1 : one > two;
}

static uint64_t bytes(const struct mapping_stats *m)
{
	return m->counters.in_bytes + m->counters.out_bytes;
}

static int by_bytes(const void *one, const void *two)
{
	const struct mapping_stats *a = one, *b = two;

	return a->tenant == b->tenant ? order(bytes(a), bytes(b), a->mapping, b->mapping)
				      : order(bytes(a), bytes(b), a->tenant, b->tenant);
}

static int by_hits(const void *one, const void *two)
{
	const struct rule_stats *a = one, *b = two;

	return a->tenant == b->tenant ? order(a->packets, b->packets, a->rule, b->rule)
				      : order(a->packets, b->packets, a->tenant, b->tenant);
}

static int by_drops(const void *one, const void *two)
{
	const struct drop_row *a = one, *b = two;

	if (a->packets == b->packets && a->router == b->router)
		return a->reason < b->reason ? -1 : a->reason > b->reason;
	return order(a->packets, b->packets, a->router, b->router);
}

static int by_flows(const void *one, const void *two)
{
	const struct flow_row *a = one, *b = two;

	return order(a->open, b->open, a->router, b->router);
}

void sheet_sort(struct sheet *s, enum sheet_key key)
{
	if (key == SHEET_TRAFFIC) {
		vec_sort(&s->mappings, by_bytes);
		vec_sort(&s->rules, by_hits);
	}
	if (key == SHEET_DROPS)
		vec_sort(&s->drops, by_drops);
	if (key == SHEET_FLOWS)
		vec_sort(&s->flows, by_flows);
}
