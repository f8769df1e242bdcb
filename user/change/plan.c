/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/plan.h"

#include "change/plan_internal.h"
#include "model/prefixes.h"

void plan_free(struct plan *p)
{
	vec_free(&p->moved);
	vec_free(&p->own_put);
	vec_free(&p->own_del);
	vec_free(&p->addr_moved);
	vec_free(&p->addr_put);
	vec_free(&p->addr_lost);
	vec_free(&p->addr_del);
	vec_free(&p->route_moved);
	vec_free(&p->route_put);
	vec_free(&p->route_lost);
	vec_free(&p->route_del);
	vec_free(&p->setting_put);
	vec_free(&p->group_put);
	vec_free(&p->group_lost);
	vec_free(&p->group_del);
	vec_free(&p->strangers);
	vec_free(&p->fixed_put);
	vec_free(&p->shared_put);
	vec_free(&p->prefix_put);
	vec_free(&p->prefix_del);
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
	vec_free(&p->fixed_flags_last);
	vec_free(&p->shared_flags_last);
	vec_each (row, &p->owned)
		free(*row);
	vec_free(&p->owned);
	vec_free(&p->accept_put);
	vec_free(&p->accept_del);
	vec_free(&p->service_del);
	vec_free(&p->pool_put);
	vec_free(&p->pool_del);
	vec_free(&p->limit_del);
}

bool plan_empty(const struct plan *p)
{
	return !plan_changes_policy(p) && !p->subnets && !p->own_put.n && !p->own_del.n &&
	       !p->fixed_put.n && !p->shared_put.n && !p->prefix_put.n && !p->prefix_del.n &&
	       !p->attach.n && !p->renew.n && !p->addr_put.n && !p->route_put.n &&
	       !p->setting_put.n && !p->addr_lost.n && !p->addr_del.n && !p->route_lost.n &&
	       !p->route_del.n && !p->group_put.n && !p->group_lost.n && !p->group_del.n &&
	       !p->replaced.n && !p->detach.n && !p->shared_del.n && !p->fixed_del.n;
}

bool plan_changes_routers(const struct plan *p)
{
	return p->subnets || p->moved.n || p->own_put.n || p->own_del.n || p->attach.n ||
	       p->renew.n || p->replaced.n || p->detach.n || p->addr_moved.n || p->addr_put.n ||
	       p->addr_lost.n || p->addr_del.n || p->route_moved.n || p->route_put.n ||
	       p->route_lost.n || p->route_del.n || p->setting_put.n || p->pool_put.n ||
	       p->pool_del.n;
}

bool plan_moves(const struct shared_row *from, const struct shared_row *to)
{
	return from->router != to->router || from->tenant != to->tenant ||
	       memcmp(&from->fixed, &to->fixed, sizeof(to->fixed)) != 0;
}

/* What a mapping's rules, limits and MAC address make of its row. */
#define POLICY_FLAGS                                                                 \
	(TN_SHARED_JUDGED | TN_SHARED_NAMED | TN_SHARED_SENDER | TN_SHARED_LIMITED | \
	 TN_SHARED_BOUND)

#define PREFIX_FLAGS (TN_SHARED_PREFIX | ~0U << TN_PREFIX_BITS)

bool plan_same_kind(const struct shared_row *a, const struct shared_row *b)
{
	return (a->flags & ~POLICY_FLAGS) == (b->flags & ~POLICY_FLAGS);
}

/*
 * What a row that stays, and was `h`, is in between: it leads to rows of accepts before it is
 * judged by them, and as long as those are there that it led to.
 */
static uint32_t flags_between(uint32_t h, uint32_t w)
{
	return (w & ~TN_SHARED_JUDGED) | (h & w & TN_SHARED_JUDGED) |
	       (h & (TN_SHARED_NAMED | TN_SHARED_SENDER));
}

/* A copy of the row, which the plan owns. */
static void *copy_row(struct plan *out, const void *row, size_t size)
{
	void *copy = xzalloc(size);

	memcpy(copy, row, size);
	return *vec_push(&out->owned) = copy;
}

static void shared_flags(const struct shared_row *w, const struct shared_row *h, struct plan *out)
{
	uint32_t between = flags_between(h->flags, w->flags);
	struct shared_row *first;

	if (between == w->flags) {
		*vec_push(&out->shared_flags) = w;
		return;
	}
	if (between != h->flags) {
		first = copy_row(out, w, sizeof(*w));
		first->flags = between;
		*vec_push(&out->shared_flags) = first;
	}
	*vec_push(&out->shared_flags_last) = w;
}

static void fixed_flags(const struct fixed_row *w, const struct fixed_row *h, struct plan *out)
{
	uint32_t between = flags_between(h->flags, w->flags);
	struct fixed_row *first;

	if (between == w->flags) {
		*vec_push(&out->fixed_flags) = w;
		return;
	}
	if (between != h->flags) {
		first = copy_row(out, w, sizeof(*w));
		first->flags = between;
		*vec_push(&out->fixed_flags) = first;
	}
	*vec_push(&out->fixed_flags_last) = w;
}

static void diff_shared(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct shared_row *w = want->shared.v, *wend = w + want->shared.n;
	const struct shared_row *h = have->shared.v, *hend = h + have->shared.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : shared_row_cmp(w, h);

		if (order > 0) {
			if (h->flags & TN_SHARED_OWN)
				*vec_push(&out->own_del) = h++;
			else
				*vec_push(&out->shared_del) = h++;
			continue;
		}
		if (order < 0 || plan_moves(h, w) || !plan_same_kind(w, h)) {
			if (w->flags & TN_SHARED_OWN)
				*vec_push(&out->own_put) = w;
			else
				*vec_push(&out->shared_put) = w;
		} else if (w->flags != h->flags) {
			shared_flags(w, h, out);
		}
		if (order == 0 && plan_moves(h, w))
			*vec_push(&out->moved) = h;
		w++;
		h += order == 0;
	}
}

/* Whose VM is another one, or was anybody's before. */
static bool is_bound_anew(const struct fixed_row *h, const struct fixed_row *w)
{
	return (h->flags ^ w->flags) & TN_SHARED_BOUND ||
	       memcmp(h->mac, w->mac, sizeof(w->mac)) != 0;
}

/* What the one VM has opened is not the other's. */
static bool is_stranger(const struct fixed_row *h, const struct fixed_row *w)
{
	return h->flags & w->flags & TN_SHARED_BOUND &&
	       memcmp(h->mac, w->mac, sizeof(w->mac)) != 0 &&
	       memcmp(&h->shared, &w->shared, sizeof(w->shared)) == 0;
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
		if (order == 0 && is_stranger(h, w))
			*vec_push(&out->strangers) = h;
		if (order < 0 || w->tenant != h->tenant || is_bound_anew(h, w) ||
		    (w->flags ^ h->flags) & PREFIX_FLAGS ||
		    memcmp(&w->shared, &h->shared, sizeof(w->shared)) != 0)
			*vec_push(&out->fixed_put) = w;
		else if (w->flags != h->flags)
			fixed_flags(w, h, out);
		w++;
		h += order == 0;
	}
}

/* By the length, the longest first. */
static int inner_first(const void *a, const void *b)
{
	const struct prefix_row *x = a, *y = b;

	return x->key.len != y->key.len ? (x->key.len > y->key.len ? -1 : 1) : prefix_row_cmp(a, b);
}

static int outer_first(const void *a, const void *b)
{
	return -inner_first(a, b);
}

static void diff_prefixes(const struct kernel_state *want, const struct kernel_state *have,
			  struct plan *out)
{
	const struct prefix_row *w = want->prefixes.v, *wend = w + want->prefixes.n;
	const struct prefix_row *h = have->prefixes.v, *hend = h + have->prefixes.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : prefix_row_cmp(w, h);

		if (order > 0) {
			*vec_push(&out->prefix_del) = *h++;
			continue;
		}
		if (order < 0 || memcmp(&w->first, &h->first, sizeof(w->first)) != 0)
			*vec_push(&out->prefix_put) = *w;
		w++;
		h += order == 0;
	}
	vec_sort(&out->prefix_put, inner_first);
	vec_sort(&out->prefix_del, outer_first);
}

/* Whether both lead from a shared address to the same VM. */
static bool same_vm(const struct shared_row *a, const struct shared_row *b)
{
	for (int i = 0; i < 4; i++) {
		if ((a->shared.w[i] ^ a->fixed.w[i]) != (b->shared.w[i] ^ b->fixed.w[i]))
			return false;
	}
	return a->router == b->router && a->tenant == b->tenant;
}

static struct prefix shared_of(const struct shared_row *row)
{
	return (struct prefix){ row->shared, (uint8_t)(128 - row_bits(row->flags)) };
}

typedef VEC(const struct shared_row *) shared_rows;

static int shared_rows_cmp(const void *a, const void *b)
{
	return shared_row_cmp(*(const struct shared_row *const *)a,
			      *(const struct shared_row *const *)b);
}

/* How many of the sorted rows begin at the address or before it. */
static size_t rows_until(const shared_rows *rows, const struct tn_addr *a)
{
	const struct shared_row key = { .shared = *a };
	size_t low = 0, high = rows->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (shared_row_cmp(rows->v[mid], &key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Of rows that do not overlap each other those that have addresses of `w`, for another VM. */
static void move_for(const struct shared_row *w, const shared_rows *leaving, struct plan *out)
{
	const struct prefix now = shared_of(w);
	const struct tn_addr last = prefix_last(&now);

	for (size_t i = rows_until(leaving, &last); i > 0; i--) {
		const struct shared_row *h = leaving->v[i - 1];
		const struct prefix was = shared_of(h);

		if (!prefix_overlap(&was, &now))
			break;
		if (same_vm(h, w) || addr_cmp(&h->shared, &w->shared) == 0)
			continue;
		if (!out->moved.n || out->moved.v[out->moved.n - 1] != h)
			*vec_push(&out->moved) = h;
	}
}

/*
 * The same as diff_shared() does for rows of one address, where one of both is a prefix. A prefix
 * that stays has an exception for what another VM gets, and that is written before.
 */
static void move_out_of_prefixes(const struct kernel_state *have, struct plan *out)
{
	shared_rows prefixes = { 0 }, single = { 0 };

	vec_each (h, &out->shared_del)
		*vec_push((*h)->flags & TN_SHARED_PREFIX ? &prefixes : &single) = *h;
	vec_each (w, &out->shared_put) {
		const struct shared_row *h = kernel_state_shared(have, &(*w)->shared);

		if (h && h->flags & TN_SHARED_PREFIX)
			*vec_push(&prefixes) = h;
	}
	vec_sort(&prefixes, shared_rows_cmp);
	vec_each (w, &out->own_put)
		move_for(*w, &prefixes, out);
	vec_each (w, &out->shared_put) {
		move_for(*w, &prefixes, out);
		if ((*w)->flags & TN_SHARED_PREFIX)
			move_for(*w, &single, out);
	}
	vec_free(&prefixes);
	vec_free(&single);
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
	       want->by_address == have->by_address && want->elected == have->elected &&
	       want->grace == have->grace &&
	       memcmp(want->needs, have->needs, sizeof(want->needs)) == 0 &&
	       want->sources == have->sources && want->flows == have->flows &&
	       want->fast == have->fast && want->binds == have->binds &&
	       want->ipsec == have->ipsec && want->build == have->build;
}

/* Whether a router of the machine is on that interface. */
static bool has_router(const struct kernel_state *m, uint64_t netns_dev, uint64_t netns_ino,
		       uint32_t ifindex)
{
	vec_each (r, &m->routers) {
		if (r->netns_dev == netns_dev && r->netns_ino == netns_ino && r->ifindex == ifindex)
			return true;
	}
	return false;
}

static bool is_replaced(const struct router_row *gone, const struct kernel_state *want)
{
	return has_router(want, gone->netns_dev, gone->netns_ino, gone->ifindex);
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

static bool is_routers(const struct kernel_state *m, const struct place *at)
{
	return has_router(m, at->netns_dev, at->netns_ino, at->ifindex);
}

static void diff_addrs(const struct kernel_state *want, const struct kernel_state *have,
		       struct plan *out)
{
	const struct addr_row *w = want->addrs.v, *wend = w + want->addrs.n;
	const struct addr_row *h = have->addrs.v, *hend = h + have->addrs.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : addr_row_cmp(w, h);

		if (order > 0) {
			if (kernel_state_shared(want, &h->addr) || is_routers(want, &h->at))
				*vec_push(&out->addr_lost) = h++;
			else
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

/* The programs forget what the kernel is about to lose, also where that is early. */
static void forget_lost(struct plan *p)
{
	vec_each (own, &p->own_del) {
		vec_each (addr, &p->addr_lost) {
			if (addr_cmp(&(*own)->shared, &(*addr)->addr) == 0)
				*vec_push(&p->moved) = *own;
		}
	}
}

static bool same_way(const struct route_row *a, const struct route_row *b)
{
	return memcmp(&a->via, &b->via, sizeof(a->via)) == 0 &&
	       memcmp(&a->src, &b->src, sizeof(a->src)) == 0;
}

/* The kernel refuses a second route to one prefix: the other one goes first. */
static bool goes_elsewhere(const struct kernel_state *want, const struct route_row *h)
{
	vec_each (w, &want->routes) {
		if (w->at.netns_dev == h->at.netns_dev && w->at.netns_ino == h->at.netns_ino &&
		    w->to.len == h->to.len && addr_cmp(&w->to.addr, &h->to.addr) == 0 &&
		    !route_is_unreachable(w))
			return true;
	}
	return false;
}

/* Of a subnet that is part of a wider one now: it would win over the route to that. */
static bool is_widened(const struct kernel_state *want, const struct route_row *h)
{
	if (!route_is_unreachable(h))
		return false;
	vec_each (w, &want->routes) {
		if (route_is_unreachable(w) && w->at.netns_dev == h->at.netns_dev &&
		    w->at.netns_ino == h->at.netns_ino && w->to.len < h->to.len &&
		    prefix_has(&w->to, &h->to.addr))
			return true;
	}
	return false;
}

static void diff_routes(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct route_row *w = want->routes.v, *wend = w + want->routes.n;
	const struct route_row *h = have->routes.v, *hend = h + have->routes.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : route_row_cmp(w, h);

		if (order > 0) {
			if (!route_is_unreachable(h) && goes_elsewhere(want, h))
				*vec_push(&out->route_moved) = h++;
			else if (is_routers(want, &h->at) || is_widened(want, h))
				*vec_push(&out->route_lost) = h++;
			else
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

/* Whether the address of the group is now a router's own, or mapped elsewhere. */
static bool is_lost(const struct kernel_state *want, const struct kernel_state *have,
		    const struct group_row *group)
{
	const struct shared_row *w = kernel_state_shared(want, &group->addr);
	const struct shared_row *h = kernel_state_shared(have, &group->addr);

	return w && h && (w->router != h->router || w->flags & TN_SHARED_OWN);
}

static void diff_groups(const struct kernel_state *want, const struct kernel_state *have,
			struct plan *out)
{
	const struct group_row *w = want->groups.v, *wend = w + want->groups.n;
	const struct group_row *h = have->groups.v, *hend = h + have->groups.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : group_row_cmp(w, h);

		if (order > 0) {
			if (is_lost(want, have, h))
				*vec_push(&out->group_lost) = h++;
			else
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

const struct setting_row *plan_setting(const struct kernel_state *m, const struct setting_row *like)
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
		const struct setting_row *is = plan_setting(have, row);
		bool differs = !is || is->value != row->value;

		if (differs || (all && same_netns(all, &row->at) && strstr(row->path, "ipv6/")))
			*vec_push(&out->setting_put) = row;
		if (differs && strstr(row->path, "/all/"))
			all = &row->at;
	}
}

void plan_make(const struct kernel_state *want, const struct kernel_state *have, struct plan *out)
{
	memset(out, 0, sizeof(*out));
	out->drops_maps = !want->routers.n;
	out->subnets =
		!prefixes_equal(want->subnets.v, want->subnets.n, have->subnets.v, have->subnets.n);
	diff_fixed(want, have, out);
	diff_shared(want, have, out);
	diff_prefixes(want, have, out);
	if (want->prefixes.n || have->prefixes.n)
		move_out_of_prefixes(have, out);
	diff_routers(want, have, out);
	diff_addrs(want, have, out);
	forget_lost(out);
	diff_routes(want, have, out);
	diff_groups(want, have, out);
	diff_settings(want, have, out);
	/* with routers that go there is a plan; of rows that go with the maps it need not tell */
	if (!out->drops_maps || !have->routers.n)
		plan_policy(want, have, out);
}
