/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/plan_internal.h"

bool plan_changes_policy(const struct plan *p)
{
	return p->accept_dead.n || p->service_dead.n || p->service_put.n || p->accept_grow.n ||
	       p->accept_put.n || p->accept_del.n || p->service_del.n || p->pool_put.n ||
	       p->pool_del.n || p->limit_put.n || p->limit_del.n || p->fixed_flags.n ||
	       p->shared_flags.n || p->fixed_flags_last.n || p->shared_flags_last.n;
}

static bool has_flag(const struct kernel_state *m, const struct tn_addr *shared, uint32_t tenant,
		     uint32_t flag)
{
	const struct shared_row *row = kernel_state_shared(m, shared);

	return row && row->tenant == tenant && row->flags & flag;
}

/*
 * Whether packets can come to the row: no program looks for it while its mapping is not
 * TN_SHARED_NAMED, or its sender not TN_SHARED_SENDER.
 */
static bool is_alive(const struct kernel_state *m, const struct accept_row *row)
{
	const struct tn_accept_key *k = &row->key;

	return (addr_is_unset(&k->to) || has_flag(m, &k->to, k->tenant, TN_SHARED_NAMED)) &&
	       (addr_is_unset(&k->sender) || has_flag(m, &k->sender, k->from, TN_SHARED_SENDER));
}

static struct tn_accept both(const struct tn_accept *old, const struct tn_accept *new)
{
	struct tn_accept sum = *new;

	if (old->rule && (!sum.rule || (sum.until && (!old->until || old->until > sum.until)))) {
		sum.rule = old->rule;
		sum.until = old->until;
	}
	for (int c = 0; c < TN_CLASSES_COUNT; c++)
		sum.blocks[c] |= old->blocks[c];
	return sum;
}

#define same_value(a, b) (memcmp((a), (b), sizeof(*(a))) == 0)

/* Everything was accepted; the rows of services speak for themselves. */
static void withdraw(const struct accept_row *h, struct plan *out)
{
	if (h->value.rule)
		*vec_push(&out->withdrawn) =
			(struct tn_service_key){ .accept = h->key, .class = TN_WITHDRAWN_ALL };
}

/*
 * A row with an end that is written anew forgets when it accepted last, which tells answers from
 * what is opened once the rule is over: so what it has accepted until now counts as withdrawn. That
 * means nothing while the rule is in force.
 */
static bool forgets(uint32_t rule, uint32_t until, uint32_t had, uint32_t had_until)
{
	return until && had && (rule != had || until != had_until);
}

static void diff_accept(const struct kernel_state *have, const struct accept_row *w,
			const struct accept_row *h, struct plan *out)
{
	struct accept_row sum = *w;

	if (h && (!w->value.rule ||
		  forgets(w->value.rule, w->value.until, h->value.rule, h->value.until)))
		withdraw(h, out);
	if (h && is_alive(have, h))
		sum.value = both(&h->value, &w->value);
	if (!h || !same_value(&sum.value, &h->value))
		*vec_push(&out->accept_grow) = sum;
	if (!same_value(&sum.value, &w->value))
		*vec_push(&out->accept_put) = *w;
}

static void drop_accept(const struct kernel_state *have, const struct accept_row *h,
			struct plan *out)
{
	withdraw(h, out);
	if (is_alive(have, h))
		*vec_push(&out->accept_del) = *h;
	else
		*vec_push(&out->accept_dead) = *h;
}

static void diff_accepts(const struct kernel_state *want, const struct kernel_state *have,
			 struct plan *out)
{
	const struct accept_row *w = want->policy.accepts.v, *wend = w + want->policy.accepts.n;
	const struct accept_row *h = have->policy.accepts.v, *hend = h + have->policy.accepts.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : accept_row_cmp(w, h);

		if (order > 0)
			drop_accept(have, h++, out);
		else
			diff_accept(have, w++, order ? NULL : h++, out);
	}
}

/* Whether a packet can come to that row by the one in accepts. */
static bool is_led_to(const struct kernel_state *m, const struct service_row *row)
{
	const struct accept_row *a = policy_accept(&m->policy, &row->key.accept);

	return a && is_alive(m, a) &&
	       a->value.blocks[row->key.class] & 1U << (row->key.shift / TN_SHIFT_STEP);
}

static void drop_service(const struct kernel_state *have, const struct service_row *h,
			 struct plan *out)
{
	*vec_push(&out->withdrawn) = h->key;
	if (is_led_to(have, h))
		*vec_push(&out->service_del) = *h;
	else
		*vec_push(&out->service_dead) = *h;
}

static void diff_services(const struct kernel_state *want, const struct kernel_state *have,
			  struct plan *out)
{
	const struct service_row *w = want->policy.services.v, *wend = w + want->policy.services.n;
	const struct service_row *h = have->policy.services.v, *hend = h + have->policy.services.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : service_row_cmp(w, h);

		if (order > 0) {
			drop_service(have, h++, out);
			continue;
		}
		if (order < 0 || w->rule != h->rule || w->until != h->until)
			*vec_push(&out->service_put) = *w;
		if (order == 0 && forgets(w->rule, w->until, h->rule, h->until))
			*vec_push(&out->withdrawn) = h->key;
		w++;
		h += order == 0;
	}
}

static int inner_first(const void *a, const void *b)
{
	const struct pool_row *x = a, *y = b;

	return x->key.len != y->key.len ? (x->key.len > y->key.len ? -1 : 1) : pool_row_cmp(a, b);
}

static int outer_first(const void *a, const void *b)
{
	return -inner_first(a, b);
}

static void diff_pools(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	const struct pool_row *w = want->policy.pools.v, *wend = w + want->policy.pools.n;
	const struct pool_row *h = have->policy.pools.v, *hend = h + have->policy.pools.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : pool_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->pool_del) = *h++;
			continue;
		}
		if (order < 0 || w->tenant != h->tenant)
			*vec_push(&out->pool_put) = *w;
		w++;
		h += order == 0;
	}
	vec_sort(&out->pool_put, inner_first);
	vec_sort(&out->pool_del, outer_first);
}

static void diff_limits(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct limit_row *w = want->policy.limits.v, *wend = w + want->policy.limits.n;
	const struct limit_row *h = have->policy.limits.v, *hend = h + have->policy.limits.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : limit_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->limit_del) = *h++;
			continue;
		}
		if (order < 0 || !same_value(w, h))
			*vec_push(&out->limit_put) = *w;
		w++;
		h += order == 0;
	}
}

int rule_id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool rule_ids_have(const struct rule_ids *ids, uint32_t id)
{
	return ids->list.n && bsearch(&id, ids->list.v, ids->list.n, sizeof(id), rule_id_cmp);
}

/* The rules that own rows. */
void rule_ids_of_rows(const struct policy *p, struct rule_ids *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (row, &p->accepts) {
		if (row->value.rule)
			*vec_push(&out->list) = row->value.rule;
	}
	vec_each (row, &p->services)
		*vec_push(&out->list) = row->rule;
	vec_sort_once(&out->list, rule_id_cmp);
}

static void diff_rules(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	struct rule_ids will, had;

	rule_ids_of_rows(&want->policy, &will);
	rule_ids_of_rows(&have->policy, &had);
	vec_each (id, &will.list) {
		if (!rule_ids_have(&had, *id))
			*vec_push(&out->rules_new) = *id;
	}
	vec_free(&will.list);
	vec_free(&had.list);
}

void plan_policy(const struct kernel_state *want, const struct kernel_state *have, struct plan *out)
{
	diff_accepts(want, have, out);
	diff_services(want, have, out);
	diff_pools(want, have, out);
	diff_limits(want, have, out);
	diff_rules(want, have, out);
}
