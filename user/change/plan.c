/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/plan.h"

#include <inttypes.h>
#include <stdarg.h>

void plan_free(struct plan *p)
{
	vec_free(&p->moved);
	vec_free(&p->own_put);
	vec_free(&p->addr_moved);
	vec_free(&p->addr_put);
	vec_free(&p->addr_del);
	vec_free(&p->route_moved);
	vec_free(&p->route_put);
	vec_free(&p->route_del);
	vec_free(&p->setting_put);
	vec_free(&p->group_put);
	vec_free(&p->group_del);
	vec_free(&p->fixed_put);
	vec_free(&p->shared_put);
	vec_free(&p->attach);
	vec_free(&p->renew);
	vec_free(&p->replaced);
	vec_free(&p->detach);
	vec_free(&p->shared_del);
	vec_free(&p->fixed_del);
	vec_free(&p->withdrawn);
	vec_free(&p->accept_dead);
	vec_free(&p->service_dead);
	vec_free(&p->rules_new);
	vec_free(&p->service_put);
	vec_free(&p->accept_grow);
	vec_free(&p->limit_put);
	vec_free(&p->fixed_flags);
	vec_free(&p->shared_flags);
	vec_free(&p->accept_put);
	vec_free(&p->accept_del);
	vec_free(&p->service_del);
	vec_free(&p->pool_put);
	vec_free(&p->pool_del);
	vec_free(&p->limit_del);
}

static bool plan_changes_policy(const struct plan *p)
{
	return p->accept_dead.n || p->service_dead.n || p->service_put.n || p->accept_grow.n ||
	       p->accept_put.n || p->accept_del.n || p->service_del.n || p->pool_put.n ||
	       p->pool_del.n || p->limit_put.n || p->limit_del.n || p->fixed_flags.n ||
	       p->shared_flags.n;
}

bool plan_empty(const struct plan *p)
{
	return !plan_changes_policy(p) && !p->subnets && !p->own_put.n && !p->fixed_put.n &&
	       !p->shared_put.n && !p->attach.n && !p->renew.n && !p->addr_put.n &&
	       !p->route_put.n && !p->setting_put.n && !p->addr_del.n && !p->route_del.n &&
	       !p->group_put.n && !p->group_del.n && !p->replaced.n && !p->detach.n &&
	       !p->shared_del.n && !p->fixed_del.n;
}

bool plan_changes_routers(const struct plan *p)
{
	return p->subnets || p->moved.n || p->own_put.n || p->attach.n || p->renew.n ||
	       p->replaced.n || p->detach.n || p->addr_moved.n || p->addr_put.n || p->addr_del.n ||
	       p->route_moved.n || p->route_put.n || p->route_del.n || p->setting_put.n ||
	       p->pool_put.n || p->pool_del.n;
}

static bool moves(const struct shared_row *from, const struct shared_row *to)
{
	return from->router != to->router || from->tenant != to->tenant ||
	       memcmp(&from->fixed, &to->fixed, sizeof(to->fixed)) != 0;
}

/* What a mapping's rules and limits make of its row. */
#define POLICY_FLAGS (TN_SHARED_JUDGED | TN_SHARED_NAMED | TN_SHARED_LIMITED)

static bool same_kind(const struct shared_row *a, const struct shared_row *b)
{
	return (a->flags & ~POLICY_FLAGS) == (b->flags & ~POLICY_FLAGS);
}

static void diff_shared(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct shared_row *w = want->shared.v, *wend = w + want->shared.n;
	const struct shared_row *h = have->shared.v, *hend = h + have->shared.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : shared_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->shared_del) = h++;
			continue;
		}
		if (order < 0 || moves(h, w) || !same_kind(w, h)) {
			if (w->flags & TN_SHARED_OWN)
				*vec_push(&out->own_put) = w;
			else
				*vec_push(&out->shared_put) = w;
		} else if (w->flags != h->flags) {
			*vec_push(&out->shared_flags) = w;
		}
		if (order == 0 && moves(h, w))
			*vec_push(&out->moved) = h;
		w++;
		h += order == 0;
	}
}

static void diff_fixed(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	const struct fixed_row *w = want->fixed.v, *wend = w + want->fixed.n;
	const struct fixed_row *h = have->fixed.v, *hend = h + have->fixed.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : fixed_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->fixed_del) = h++;
			continue;
		}
		if (order < 0 || w->tenant != h->tenant ||
		    memcmp(&w->shared, &h->shared, sizeof(w->shared)) != 0)
			*vec_push(&out->fixed_put) = w;
		else if (w->flags != h->flags)
			*vec_push(&out->fixed_flags) = w;
		w++;
		h += order == 0;
	}
}

static bool same_router(const struct router_row *want, const struct router_row *have)
{
	if (want->out_of_scope)
		return true;
	return !have->broken && strcmp(want->tenant, have->tenant) == 0 &&
	       memcmp(want->mac, have->mac, sizeof(want->mac)) == 0 &&
	       want->ifindex == have->ifindex &&
	       memcmp(want->inside, have->inside, sizeof(want->inside)) == 0 &&
	       memcmp(want->xmit, have->xmit, sizeof(want->xmit)) == 0 &&
	       want->netns_dev == have->netns_dev && want->netns_ino == have->netns_ino &&
	       memcmp(want->own, have->own, sizeof(want->own)) == 0 && want->hook == have->hook &&
	       want->sources == have->sources && want->fast == have->fast &&
	       want->ipsec == have->ipsec && want->build == have->build;
}

static bool is_replaced(const struct router_row *gone, const struct kernel_state *want)
{
	vec_each (r, &want->routers) {
		if (r->netns_dev == gone->netns_dev && r->netns_ino == gone->netns_ino &&
		    r->ifindex == gone->ifindex)
			return true;
	}
	return false;
}

static void diff_routers(const struct kernel_state *want, const struct kernel_state *have,
			 struct plan *out)
{
	const struct router_row *w = want->routers.v, *wend = w + want->routers.n;
	const struct router_row *h = have->routers.v, *hend = h + have->routers.n;

	VEC(const struct router_row *) gone = { 0 };

	while (w < wend || h < hend) {
		if (w == wend || (h < hend && h->id < w->id)) {
			*vec_push(&gone) = h++;
		} else if (h == hend || w->id < h->id) {
			*vec_push(&out->attach) = w++;
		} else {
			if (!same_router(w, h))
				*vec_push(&out->renew) = w;
			w++;
			h++;
		}
	}
	vec_each (r, &gone) {
		if (is_replaced(*r, want))
			*vec_push(&out->replaced) = *r;
		else
			*vec_push(&out->detach) = *r;
	}
	vec_free(&gone);
}

static void diff_addrs(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	const struct addr_row *w = want->addrs.v, *wend = w + want->addrs.n;
	const struct addr_row *h = have->addrs.v, *hend = h + have->addrs.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : addr_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->addr_del) = h++;
			continue;
		}
		if (order == 0 && w->len != h->len)
			*vec_push(&out->addr_moved) = h;
		if (order < 0 || w->len != h->len)
			*vec_push(&out->addr_put) = w;
		w++;
		h += order == 0;
	}
}

static bool same_way(const struct route_row *a, const struct route_row *b)
{
	return memcmp(&a->via, &b->via, sizeof(a->via)) == 0 &&
	       memcmp(&a->src, &b->src, sizeof(a->src)) == 0;
}

static void diff_routes(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct route_row *w = want->routes.v, *wend = w + want->routes.n;
	const struct route_row *h = have->routes.v, *hend = h + have->routes.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : route_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->route_del) = h++;
			continue;
		}
		if (order == 0 && !same_way(w, h))
			*vec_push(&out->route_moved) = h;
		if (order < 0 || !same_way(w, h))
			*vec_push(&out->route_put) = w;
		w++;
		h += order == 0;
	}
}

static void diff_groups(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct group_row *w = want->groups.v, *wend = w + want->groups.n;
	const struct group_row *h = have->groups.v, *hend = h + have->groups.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : group_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->group_del) = h++;
			continue;
		}
		if (order < 0 || w->on != h->on)
			*vec_push(&out->group_put) = w;
		w++;
		h += order == 0;
	}
}

static bool same_netns(const struct place *a, const struct place *b)
{
	return a->netns_dev == b->netns_dev && a->netns_ino == b->netns_ino;
}

static const struct setting_row *setting_of(const struct kernel_state *m,
					    const struct setting_row *like)
{
	vec_each (row, &m->settings) {
		if (same_netns(&row->at, &like->at) && strcmp(row->path, like->path) == 0)
			return row;
	}
	return NULL;
}

/* To write `all` writes every interface: what comes behind it has to be written too. */
static void diff_settings(const struct kernel_state *want, const struct kernel_state *have,
			  struct plan *out)
{
	const struct place *all = NULL;

	vec_each (row, &want->settings) {
		const struct setting_row *is = setting_of(have, row);
		bool differs = !is || is->value != row->value;

		if (differs || (all && same_netns(all, &row->at) && strstr(row->path, "ipv6/")))
			*vec_push(&out->setting_put) = row;
		if (differs && strstr(row->path, "/all/"))
			all = &row->at;
	}
}

/* ------------------------------------------------------------ policy */

/* Whether the row leads anywhere: no program looks for it while its mapping is not TN_SHARED_NAMED.
 */
static bool is_alive(const struct kernel_state *m, const struct accept_row *row)
{
	const struct shared_row key = { .shared = row->key.to }, *to = NULL;

	if (addr_is_unset(&row->key.to))
		return true;
	if (m->shared.n)
		to = bsearch(&key, m->shared.v, m->shared.n, sizeof(key), shared_row_cmp);
	return to && to->tenant == row->key.tenant && to->flags & TN_SHARED_NAMED;
}

static struct tn_accept both(const struct tn_accept *old, const struct tn_accept *new)
{
	struct tn_accept sum = *new;

	if (!sum.rule)
		sum.rule = old->rule;
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

static void diff_accept(const struct kernel_state *have, const struct accept_row *w,
			const struct accept_row *h, struct plan *out)
{
	struct accept_row sum = *w;

	if (h && !w->value.rule)
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
		if (order < 0 || w->rule != h->rule)
			*vec_push(&out->service_put) = *w;
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

struct ids {
	VEC(uint32_t) list; /* sorted, each once */
};

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool has_id(const struct ids *ids, uint32_t id)
{
	return ids->list.n && bsearch(&id, ids->list.v, ids->list.n, sizeof(id), id_cmp);
}

/* The rules that own rows. */
static void ids_in_rows(const struct policy *p, struct ids *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (row, &p->accepts) {
		if (row->value.rule)
			*vec_push(&out->list) = row->value.rule;
	}
	vec_each (row, &p->services)
		*vec_push(&out->list) = row->rule;
	vec_sort_once(&out->list, id_cmp);
}

static void diff_rules(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	struct ids will, had;

	ids_in_rows(&want->policy, &will);
	ids_in_rows(&have->policy, &had);
	vec_each (id, &will.list) {
		if (!has_id(&had, *id))
			*vec_push(&out->rules_new) = *id;
	}
	vec_free(&will.list);
	vec_free(&had.list);
}

static void diff_policy(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	diff_accepts(want, have, out);
	diff_services(want, have, out);
	diff_pools(want, have, out);
	diff_limits(want, have, out);
	diff_rules(want, have, out);
}

/* ------------------------------------------------------------ making it */

static bool same_subnets(const struct kernel_state *a, const struct kernel_state *b)
{
	if (a->subnets.n != b->subnets.n)
		return false;
	for (size_t i = 0; i < a->subnets.n; i++) {
		if (a->subnets.v[i].len != b->subnets.v[i].len ||
		    addr_cmp(&a->subnets.v[i].addr, &b->subnets.v[i].addr) != 0)
			return false;
	}
	return true;
}

void plan_make(const struct kernel_state *want, const struct kernel_state *have, struct plan *out)
{
	memset(out, 0, sizeof(*out));
	out->subnets = !same_subnets(want, have);
	diff_fixed(want, have, out);
	diff_shared(want, have, out);
	diff_routers(want, have, out);
	diff_addrs(want, have, out);
	diff_routes(want, have, out);
	diff_groups(want, have, out);
	diff_settings(want, have, out);
	diff_policy(want, have, out);
}

void plan_text_free(struct plan_text *t)
{
	vec_each (line, &t->lines)
		free(line->text);
	vec_free(&t->lines);
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

	return id_cmp(&x->id, &y->id);
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

static bool known(const struct kernel_state *have, const struct shared_row *row)
{
	return have->shared.n &&
	       bsearch(row, have->shared.v, have->shared.n, sizeof(*row), shared_row_cmp);
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
	describe_groups(out, '-', plan->group_del.v, plan->group_del.n);
	vec_each (row, &plan->route_del)
		describe_route(out, '-', *row);
	vec_each (row, &plan->addr_del)
		describe_addr(out, '-', *row);
}

/* Whether the mapping stays, and only what it may carry is another. */
static bool is_limited_anew(const struct kernel_state *want, const struct kernel_state *have,
			    const struct tn_addr *shared)
{
	const struct shared_row key = { .shared = *shared };
	const struct shared_row *w = NULL, *h = NULL;

	if (want->shared.n)
		w = bsearch(&key, want->shared.v, want->shared.n, sizeof(key), shared_row_cmp);
	if (have->shared.n)
		h = bsearch(&key, have->shared.v, have->shared.n, sizeof(key), shared_row_cmp);
	return w && h && !moves(h, w) && same_kind(w, h);
}

static void describe_limits(const struct plan *plan, const struct kernel_state *want,
			    const struct kernel_state *have, const struct names *now,
			    struct plan_text *out)
{
	struct shared_row key = { 0 };

	vec_each (l, &plan->limit_put) {
		key.shared = l->shared;
		if (is_limited_anew(want, have, &l->shared))
			describe_mapping(out, '~', now, &want->policy,
					 bsearch(&key, want->shared.v, want->shared.n, sizeof(key),
						 shared_row_cmp));
	}
	vec_each (l, &plan->limit_del) {
		const struct shared_row *row;
		const struct tenant *t;

		key.shared = l->shared;
		if (!is_limited_anew(want, have, &l->shared))
			continue;
		row = bsearch(&key, want->shared.v, want->shared.n, sizeof(key), shared_row_cmp);
		t = named(now, row->tenant);
		say(out, '~', "mapping %s %s: no limit", t ? t->name : "?", ADDR(&row->fixed));
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
		describe_mapping(out, known(have, *row) ? '~' : '+', &now, &want->policy, *row);
	vec_each (row, &plan->shared_put)
		describe_mapping(out, known(have, *row) ? '~' : '+', &now, &want->policy, *row);
	describe_limits(plan, want, have, &now, out);
	vec_each (row, &plan->shared_del)
		describe_mapping(out, '-', &before, &have->policy, *row);
	vec_free(&now.list);
	vec_free(&before.list);
}

/* ------------------------------------------------------------ rules in words */

/* "rule of red: from blue to db tcp/5432" */
static void describe_rule(struct plan_text *out, char sign, const struct tenant *t,
			  const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
	_cleanup_free_ char *services = rule_services_text(r);

	say(out, sign, "rule of %s: from %s%s%s%s%s", t->name, from, *to ? " to " : "", to,
	    *services ? " " : "", services);
}

static void ids_in_model(const struct model *m, struct ids *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept)
			*vec_push(&out->list) = r->id;
	}
	vec_sort_once(&out->list, id_cmp);
}

/* The rules of `m` that the other definitions do not have, or whose rows the other machine lacks.
 */
static void describe_new(const struct model *m, const struct model *other,
			 const struct kernel_state *machine, const struct kernel_state *without,
			 char sign, struct plan_text *out)
{
	struct ids defined, rows, lacking;

	ids_in_model(other, &defined);
	ids_in_rows(&machine->policy, &rows);
	ids_in_rows(&without->policy, &lacking);
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept) {
			if (!has_id(&defined, r->id) ||
			    (has_id(&rows, r->id) && !has_id(&lacking, r->id)))
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
		say(out, '~', "%zu reverse entries repaired",
		    plan->fixed_put.n + plan->fixed_del.n);
	else if (!out->lines.n && plan_changes_policy(plan))
		say(out, '~', "who is accepted: entries repaired");
}
