/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/policy.h"

#include <endian.h>

#include "model/service.h"

#include <uthash.h>

void policy_free(struct policy *p)
{
	vec_free(&p->accepts);
	vec_free(&p->services);
	vec_free(&p->pools);
	vec_free(&p->limits);
	vec_free(&p->senders);
}

static int u32_cmp(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int u64_cmp(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* As addr_cmp(), in line: of large policies most of the time goes into comparing rows. */
static int shared_cmp(const struct tn_addr *a, const struct tn_addr *b)
{
	uint64_t x[2], y[2];
	int order;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	order = u64_cmp(be64toh(x[0]), be64toh(y[0]));
	return order ? order : u64_cmp(be64toh(x[1]), be64toh(y[1]));
}

static int accept_key_cmp(const struct tn_accept_key *a, const struct tn_accept_key *b)
{
	int order = u32_cmp(a->tenant, b->tenant);

	order = order ? order : shared_cmp(&a->to, &b->to);
	order = order ? order : u32_cmp(a->from, b->from);
	return order ? order : shared_cmp(&a->sender, &b->sender);
}

int accept_row_cmp(const void *a, const void *b)
{
	return accept_key_cmp(&((const struct accept_row *)a)->key,
			      &((const struct accept_row *)b)->key);
}

int service_row_cmp(const void *a, const void *b)
{
	const struct tn_service_key *x = &((const struct service_row *)a)->key;
	const struct tn_service_key *y = &((const struct service_row *)b)->key;
	int order = accept_key_cmp(&x->accept, &y->accept);

	order = order ? order : u32_cmp(x->class, y->class);
	order = order ? order : u32_cmp(x->shift, y->shift);
	return order ? order : u32_cmp(x->block, y->block);
}

int pool_row_cmp(const void *a, const void *b)
{
	const struct tn_pool_key *x = &((const struct pool_row *)a)->key;
	const struct tn_pool_key *y = &((const struct pool_row *)b)->key;
	int order = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));

	return order ? order : u32_cmp(x->len, y->len);
}

int limit_row_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct limit_row *)a)->shared,
		      &((const struct limit_row *)b)->shared, sizeof(struct tn_addr));
}

static int sender_cmp(const void *a, const void *b)
{
	return shared_cmp(a, b);
}

#define search(vec, key, cmp) \
	((vec)->n ? bsearch((key), (vec)->v, (vec)->n, sizeof(*(vec)->v), (cmp)) : NULL)

void policy_sort(struct policy *p)
{
	vec_sort(&p->accepts, accept_row_cmp);
	vec_sort(&p->services, service_row_cmp);
	vec_sort(&p->pools, pool_row_cmp);
	vec_sort(&p->limits, limit_row_cmp);
}

const struct accept_row *policy_accept(const struct policy *p, const struct tn_accept_key *key)
{
	struct accept_row like = { .key = *key };

	return search(&p->accepts, &like, accept_row_cmp);
}

const struct service_row *policy_service(const struct policy *p, const struct tn_service_key *key)
{
	struct service_row like = { .key = *key };

	return search(&p->services, &like, service_row_cmp);
}

const struct limit_row *policy_limit(const struct policy *p, const struct tn_addr *shared)
{
	struct limit_row like = { .shared = *shared };

	return search(&p->limits, &like, limit_row_cmp);
}

/* ------------------------------------------------------------ rules */

/* The mappings of a tenant by what a rule may call them; those of one name are beside each other.
 */
struct targets {
	VEC(const struct mapping *) by_fixed;
	VEC(const struct mapping *) by_name;
};

/* A tenant by its name. */
struct name {
	const struct tenant *tenant;
	struct targets targets; /* made when a rule asks for one */
	bool has_targets;
	UT_hash_handle hh;
};

/* Whom a row is from: see struct tn_accept_key. */
struct from {
	uint32_t tenant;
	struct tn_addr sender;
};

/* What a rule makes rows for, and from which names it takes numbers. */
struct work {
	struct name *tenant;
	const struct rule *rule;
	struct name *names;
	struct policy *out;
	VEC(struct from) from;
	struct addr_list to;
};

static int mapping_fixed_cmp(const void *a, const void *b)
{
	const struct mapping *const *x = a, *const *y = b;

	return addr_cmp(&(*x)->fixed, &(*y)->fixed);
}

static int mapping_name_cmp(const void *a, const void *b)
{
	const struct mapping *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static const struct targets *targets_of(struct name *n)
{
	if (n->has_targets)
		return &n->targets;
	vec_each (m, &n->tenant->mappings) {
		*vec_push(&n->targets.by_fixed) = m;
		if (m->name)
			*vec_push(&n->targets.by_name) = m;
	}
	vec_sort(&n->targets.by_fixed, mapping_fixed_cmp);
	vec_sort(&n->targets.by_name, mapping_name_cmp);
	n->has_targets = true;
	return &n->targets;
}

/* Adds the shared addresses of all in the sorted list that are like `key`. */
static void add_targets(const struct mapping *const *list, size_t n, const struct mapping *key,
			int (*cmp)(const void *, const void *), struct addr_list *out)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp(&list[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < n && cmp(&list[low], &key) == 0; low++)
		*vec_push(&out->list) = list[low]->shared;
}

/* Adds the shared addresses of a tenant's mappings of that name, which is never an address. */
static void find_targets(struct name *tenant, const char *text, struct addr_list *out)
{
	const struct targets *t = targets_of(tenant);
	struct mapping key = { .name = (char *)text };

	if (addr_parse(text, &key.fixed))
		add_targets(t->by_fixed.v, t->by_fixed.n, &key, mapping_fixed_cmp, out);
	else
		add_targets(t->by_name.v, t->by_name.n, &key, mapping_name_cmp, out);
}

static void add_sender(struct work *w, const char *text)
{
	struct addr_list shared = { 0 };
	struct sender sender;
	struct name *found;

	if (!sender_parse(text, &sender))
		return;
	HASH_FIND_STR(w->names, sender.tenant, found);
	if (!found)
		return;
	if (!sender.mapping) {
		*vec_push(&w->from) = (struct from){ .tenant = found->tenant->id };
		return;
	}
	find_targets(found, sender.mapping, &shared);
	vec_each (a, &shared.list)
		*vec_push(&w->from) = (struct from){ found->tenant->id, *a };
	vec_free(&shared.list);
}

static void find_from(struct work *w)
{
	w->from.n = 0;
	if (w->rule->any)
		vec_push(&w->from);
	vec_each (text, &w->rule->from)
		add_sender(w, *text);
}

static void find_to(struct work *w)
{
	w->to.list.n = 0;
	if (!w->rule->to.n)
		vec_push(&w->to.list);
	vec_each (text, &w->rule->to)
		find_targets(w->tenant, *text, &w->to);
}

static void add_service(struct policy *out, const struct tn_service_key *key, const struct rule *r)
{
	if (out->services.n >= 2 * POLICY_ROWS_MAX)
		out->too_many = true;
	else
		*vec_push(&out->services) = (struct service_row){ *key, r->id, r->until };
}

/* The largest aligned block that begins at `first` and does not reach beyond `last`. */
static uint8_t shift_of(uint32_t first, uint32_t last)
{
	uint8_t shift = TN_SHIFT_ALL;

	while (shift && (first & ((1U << shift) - 1) || first + (1U << shift) - 1 > last))
		shift -= TN_SHIFT_STEP;
	return shift;
}

static void add_range(struct policy *out, struct accept_row *row, const struct service *s,
		      const struct rule *rule)
{
	for (uint32_t at = s->first; at <= s->last;) {
		uint8_t shift = shift_of(at, s->last);
		struct tn_service_key key = {
			.accept = row->key, .class = s->class, .shift = shift, .block = at >> shift
		};

		add_service(out, &key, rule);
		row->value.blocks[s->class] |= 1U << (shift / TN_SHIFT_STEP);
		at += 1U << shift;
	}
}

static void add_pair(struct work *w, const struct tn_addr *to, const struct from *from)
{
	struct accept_row row = { .key = { .to = *to,
					   .sender = from->sender,
					   .tenant = w->tenant->tenant->id,
					   .from = from->tenant },
				  .value.until = w->rule->until };

	if (!w->rule->services.n)
		row.value.rule = w->rule->id;
	vec_each (s, &w->rule->services)
		add_range(w->out, &row, s, w->rule);
	if (w->out->accepts.n >= 2 * POLICY_ROWS_MAX)
		w->out->too_many = true;
	else
		*vec_push(&w->out->accepts) = row;
}

static void add_rule(struct work *w)
{
	find_from(w);
	find_to(w);
	vec_each (to, &w->to.list) {
		vec_each (from, &w->from) {
			if (w->out->too_many)
				return;
			add_pair(w, to, from);
		}
	}
}

/* ------------------------------------------------------------ overlaps */

/* To sort without losing the order of the file. */
struct nth {
	const void *row;
	size_t n;
};

static int nth_accept_cmp(const void *a, const void *b)
{
	const struct nth *x = a, *y = b;
	int order = accept_row_cmp(x->row, y->row);

	return order ? order : x->n < y->n ? -1 : 1;
}

static int nth_service_cmp(const void *a, const void *b)
{
	const struct nth *x = a, *y = b;
	int order = service_row_cmp(x->row, y->row);

	return order ? order : x->n < y->n ? -1 : 1;
}

static struct nth *in_order(const void *rows, size_t n, size_t size,
			    int (*cmp)(const void *, const void *))
{
	struct nth *list = xrealloc(NULL, n, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = (struct nth){ (const char *)rows + i * size, i };
	sort_rows(list, n, sizeof(*list), cmp);
	return list;
}

/* Whether a rule that ends then goes on after one that ends at `other` has ended; 0: never. */
static bool outlasts(uint32_t until, uint32_t other)
{
	return other && (!until || until > other);
}

/*
 * One row of those of a pair, with what all of its rules say: the rule that accepts everything for
 * the longest time, and the services of those that go on after it.
 */
static struct accept_row merge_pair(const struct nth *list, size_t n)
{
	struct accept_row sum = { .key = ((const struct accept_row *)list->row)->key };

	for (size_t i = 0; i < n; i++) {
		const struct tn_accept *v = &((const struct accept_row *)list[i].row)->value;

		if (v->rule && (!sum.value.rule || outlasts(v->until, sum.value.until))) {
			sum.value.rule = v->rule;
			sum.value.until = v->until;
		}
	}
	for (size_t i = 0; i < n; i++) {
		const struct tn_accept *v = &((const struct accept_row *)list[i].row)->value;

		if (sum.value.rule && !outlasts(v->until, sum.value.until))
			continue;
		for (int c = 0; c < TN_CLASSES_COUNT; c++)
			sum.value.blocks[c] |= v->blocks[c];
	}
	return sum;
}

static void merge_accepts(struct policy *p)
{
	_cleanup_free_ struct nth *list =
		in_order(p->accepts.v, p->accepts.n, sizeof(*p->accepts.v), nth_accept_cmp);
	size_t n = p->accepts.n;

	__typeof__(p->accepts) merged = { 0 };

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && accept_row_cmp(list[i].row, list[end].row) == 0;)
			end++;
		*vec_push(&merged) = merge_pair(&list[i], end - i);
	}
	vec_free(&p->accepts);
	p->accepts = merged;
}

/*
 * Of those that are equal the one that ends last, and of these the first; none where everything is
 * accepted anyway, for as long.
 */
static void merge_services(struct policy *p)
{
	_cleanup_free_ struct nth *list =
		in_order(p->services.v, p->services.n, sizeof(*p->services.v), nth_service_cmp);
	const struct accept_row *accept = NULL; /* that leads to the row */
	size_t n = p->services.n;

	__typeof__(p->services) merged = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct service_row *row = list[i].row;
		struct service_row *last = merged.n ? &merged.v[merged.n - 1] : NULL;

		if (last && service_row_cmp(last, row) == 0) {
			if (outlasts(row->until, last->until))
				*last = *row;
			continue;
		}
		if (!accept || accept_key_cmp(&accept->key, &row->key.accept) != 0)
			accept = policy_accept(p, &row->key.accept);
		if (!accept->value.rule || outlasts(row->until, accept->value.until))
			*vec_push(&merged) = *row;
	}
	vec_free(&p->services);
	p->services = merged;
}

void policy_find_senders(struct policy *p)
{
	p->senders.n = 0;
	vec_each (row, &p->accepts) {
		if (!addr_is_unset(&row->key.sender))
			*vec_push(&p->senders) = row->key.sender;
	}
	vec_sort_once(&p->senders, sender_cmp);
}

static void make_rules(const struct model *m, struct policy *out)
{
	_cleanup_free_ struct name *names = xrealloc(NULL, m->tenants.n, sizeof(*names));
	struct work w = { .out = out };

	for (size_t i = 0; i < m->tenants.n; i++) {
		const struct tenant *t = &m->tenants.v[i];

		names[i] = (struct name){ .tenant = t };
		HASH_ADD_KEYPTR(hh, w.names, t->name, strlen(t->name), &names[i]);
	}
	for (size_t i = 0; i < m->tenants.n; i++) {
		w.tenant = &names[i];
		vec_each (rule, &m->tenants.v[i].accept) {
			w.rule = rule;
			add_rule(&w);
		}
	}
	HASH_CLEAR(hh, w.names);
	for (size_t i = 0; i < m->tenants.n; i++) {
		vec_free(&names[i].targets.by_fixed);
		vec_free(&names[i].targets.by_name);
	}
	vec_free(&w.from);
	vec_free(&w.to.list);
	merge_accepts(out);
	merge_services(out);
	policy_find_senders(out);
}

/* ------------------------------------------------------------ limits */

static void make_limits(const struct model *m, struct policy *out)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			const struct limit *l = &mapping->limit;

			if (!l->rate && !l->packets)
				continue;
			*vec_push(&out->limits) =
				(struct limit_row){ mapping->shared, l->rate, l->burst, l->packets,
						    limit_packet_burst(l->packets) };
		}
	}
	vec_sort(&out->limits, limit_row_cmp);
}

void policy_make(const struct model *m, struct policy *out)
{
	memset(out, 0, sizeof(*out));
	make_rules(m, out);
	policy_make_pools(m, out);
	make_limits(m, out);
}

uint32_t policy_rule_max(const struct policy *p)
{
	uint32_t max = 0;

	vec_each (row, &p->accepts)
		max = row->value.rule > max ? row->value.rule : max;
	vec_each (row, &p->services)
		max = row->rule > max ? row->rule : max;
	return max;
}

int policy_check(const struct policy *p, struct error *err)
{
	if (p->pools.n > TN_POOLS_MAX)
		return error_usage(
			err,
			"the tenants whose router is elsewhere have %zu pools, and there "
			"is room for %d; put some together",
			p->pools.n, TN_POOLS_MAX);
	if (p->too_many || p->accepts.n > POLICY_ROWS_MAX || p->services.n > POLICY_ROWS_MAX ||
	    policy_rule_max(p) >= POLICY_ROWS_MAX)
		return error_usage(err,
				   "the rules of `accept` come to more than %u entries; name fewer "
				   "ranges of ports, tenants or mappings in one rule",
				   POLICY_ROWS_MAX);
	return 0;
}

/* Rows of one tenant and `to` are next to each other, whoever they are from. */
static bool has_rows(const struct policy *p, uint32_t tenant, const struct tn_addr *to)
{
	struct accept_row like = { .key = { .to = *to, .tenant = tenant } };
	size_t low = 0, high = p->accepts.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (accept_row_cmp(&p->accepts.v[mid], &like) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->accepts.n && p->accepts.v[low].key.tenant == tenant &&
	       memcmp(&p->accepts.v[low].key.to, to, sizeof(*to)) == 0;
}

bool policy_is_sender(const struct policy *p, const struct tn_addr *shared)
{
	return search(&p->senders, shared, sender_cmp);
}

uint32_t policy_flags(const struct policy *p, const struct tenant *t, const struct mapping *m)
{
	uint32_t flags = 0;

	if (t->router || t->has_accept)
		flags |= TN_SHARED_JUDGED;
	if (has_rows(p, t->id, &m->shared))
		flags |= TN_SHARED_NAMED;
	if (policy_is_sender(p, &m->shared))
		flags |= TN_SHARED_SENDER;
	if (policy_limit(p, &m->shared))
		flags |= TN_SHARED_LIMITED;
	return flags;
}
