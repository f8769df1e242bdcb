/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/execute.h"

#include "dataplane/attach.h"
#include "dataplane/flows.h"
#include "dataplane/programs.h"
#include "dataplane/router_maps.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "host/route_query.h"
#include "host/sysctl.h"
#include "lib/clock.h"
#include "lib/fd_guard.h"
#include "lib/interrupt.h"
#include "lib/progress.h"

void failures_free(struct failures *failed)
{
	vec_each (f, &failed->list)
		free(f->text);
	vec_free(&failed->list);
}

int pass_over(struct failures *failed, const char *tenant, struct error *err)
{
	struct failure *f;

	if (!failed || interrupt_is_due())
		return -1;
	f = vec_push(&failed->list);
	snprintf(f->tenant, sizeof(f->tenant), "%s", tenant);
	f->text = xstrdup(err->text);
	*err = (struct error){ 0 };
	return 0;
}

bool is_passed_over(const struct failures *failed, const char *tenant)
{
	for (size_t i = 0; failed && i < failed->list.n; i++) {
		if (strcmp(failed->list.v[i].tenant, tenant) == 0)
			return true;
	}
	return false;
}

/* The stubs of one router, and what they call; `have` NULL: it is not attached yet. */
static int attach_one(struct dataplane *dp, struct router_row *row, const struct router_row *have,
		      struct error *err)
{
	_cleanup_fd_guard_ struct fd_guard guard = fd_guard_begin();
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	_cleanup_stubs_ struct stubs *stubs = NULL;
	bool stays = have && attach_stays(have, row);
	int ret;

	if (programs_load(dp, row, err))
		return -1;
	if (stays)
		return dataplane_put_router(dp, row, err);
	if (stubs_load(dp, row, &stubs, err))
		return -1;
	if (netns_enter_id(row->netns, row->netns_dev, row->netns_ino, &ns))
		return error_set(err, "its network namespace has just gone");
	ret = have ? attach_renew(dp, stubs, have, row, err) : attach_router(dp, stubs, row, err);
	netns_leave(&ns);
	return ret || dataplane_put_router(dp, row, err) ? -1 : 0;
}

static int take_moved(struct dataplane *dp, const struct plan *p, struct error *err)
{
	if (dataplane_del_shared(dp, p->moved.v, p->moved.n, err))
		return -1;
	vec_each (row, &p->moved) {
		struct fixed_row reverse = { .router = (*row)->router, .fixed = (*row)->fixed };
		const struct fixed_row *rows[] = { &reverse };

		if (reverse.router && dataplane_del_fixed(dp, rows, 1, err))
			return -1;
	}
	return 0;
}

static int gone(struct error *err)
{
	return error_set(err, "its network namespace has just gone");
}

/* `call` in the namespace of `at`, or `otherwise` when that is gone. */
#define at_place(at, call, otherwise)                                                             \
	({                                                                                        \
		_cleanup_netns_ struct netns _ns = NETNS_NONE;                                    \
		netns_enter_id((at)->netns, (at)->netns_dev, (at)->netns_ino, &_ns) ? (otherwise) \
										    : (call);     \
	})

/* One that is right is left alone. */
static int put_setting(const struct setting_row *row, struct error *err)
{
	char value[24];
	long now;

	if (sysctl_get_number(row->path, &now, err))
		return -1;
	if (now == row->value)
		return 0;
	snprintf(value, sizeof(value), "%ld", row->value);
	return sysctl_set(row->path, value, err);
}

/* `call` for the row of a router; others go on where it fails and `failed` is not NULL. */
#define put_row(row, failed, call, err)                                                    \
	({                                                                                 \
		const char *_tenant = (row)->at.tenant;                                    \
		int _ret = is_passed_over(failed, _tenant) ? 0                             \
			   : interrupt_check(err)	   ? -1                            \
							   : at_place(&(row)->at, call, gone(err)); \
                                                                                           \
		if (_ret)                                                                  \
			error_prefix(err, "tenant %s", _tenant);                           \
		_ret ? pass_over(failed, _tenant, err) : 0;                                \
	})

static int put_routes(const struct plan *p, bool unreachable, struct failures *failed,
		      struct error *err)
{
	vec_each (row, &p->route_put) {
		if (route_is_unreachable(*row) == unreachable &&
		    put_row(*row, failed, netlink_put_route(*row, err), err))
			return -1;
	}
	return 0;
}

/* Of a namespace that is gone, nothing is left to be removed; here and below. */
static int del_lost(const struct plan *p, struct error *err)
{
	vec_each (row, &p->route_lost) {
		if (at_place(&(*row)->at, netlink_del_route(*row, err), 0))
			return -1;
	}
	vec_each (row, &p->addr_lost) {
		if (at_place(&(*row)->at, netlink_del_addr(*row, err), 0))
			return -1;
	}
	vec_each (row, &p->group_lost) {
		if (at_place(&(*row)->at, netlink_del_group(*row, err), 0))
			return -1;
	}
	return 0;
}

#define LOCAL_SOON_MS 5 /* in which the kernel's worker is done, unless the machine is busy */

/* Before there is a route by which an answer to one of them would be forwarded. */
static void await_addresses(const struct plan *p, const struct failures *failed)
{
	bool slept = false;

	vec_each (row, &p->addr_put) {
		const struct addr_row *a = *row;

		if (addr_is_v4(&a->addr) || is_passed_over(failed, a->at.tenant))
			continue;
		/* so that one question each is enough, as a rule */
		if (!slept)
			clock_sleep(LOCAL_SOON_MS);
		slept = true;
		at_place(&a->at, (route_await_local(&a->addr, a->at.ifindex), 0), 0);
	}
}

/* Unreachable routes come first, and go last: while a router is joined there is one. */
static int put_settled(const struct plan *p, struct failures *failed, struct error *err)
{
	if (put_routes(p, true, failed, err))
		return -1;
	vec_each (row, &p->route_moved) {
		if (put_row(*row, failed, netlink_del_route(*row, err), err))
			return -1;
	}
	vec_each (row, &p->addr_moved) {
		if (put_row(*row, failed, netlink_del_addr(*row, err), err))
			return -1;
	}
	vec_each (row, &p->addr_put) {
		if (put_row(*row, failed, netlink_put_addr(*row, err), err))
			return -1;
	}
	await_addresses(p, failed);
	if (put_routes(p, false, failed, err) || del_lost(p, err))
		return -1;
	vec_each (row, &p->setting_put) {
		if (put_row(*row, failed, put_setting(*row, err), err))
			return -1;
	}
	vec_each (row, &p->group_put) {
		if (put_row(*row, failed, netlink_put_group(*row, err), err))
			return -1;
	}
	return 0;
}

static int del_routes(const struct plan *p, bool unreachable, struct error *err)
{
	vec_each (row, &p->group_del) {
		if (at_place(&(*row)->at, netlink_del_group(*row, err), 0))
			return -1;
	}
	vec_each (row, &p->route_del) {
		if (route_is_unreachable(*row) == unreachable &&
		    at_place(&(*row)->at, netlink_del_route(*row, err), 0))
			return -1;
	}
	return 0;
}

static int del_settled(const struct plan *p, struct error *err)
{
	if (del_routes(p, false, err))
		return -1;
	vec_each (row, &p->addr_del) {
		if (at_place(&(*row)->at, netlink_del_addr(*row, err), 0))
			return -1;
	}
	return 0;
}

/* Take the stubs off, and then forget the routers, all at once. */
static int take_off(struct dataplane *dp, const struct router_row *const *rows, size_t n,
		    struct error *err)
{
	VEC(uint32_t) ids = { 0 };
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++) {
		ret = attach_remove(dp, rows[i], err);
		if (!ret)
			*vec_push(&ids) = rows[i]->id;
	}
	if (ids.n && dataplane_del_routers(dp, ids.v, ids.n, ret ? &(struct error){ 0 } : err))
		ret = -1;
	vec_free(&ids);
	return ret;
}

/* With `failed`, what fails is noted there. */
static int put_router(struct dataplane *dp, const struct router_row *want,
		      const struct router_row *have, const struct kernel_state *machine,
		      struct failures *failed, struct error *err)
{
	struct router_row row = *want;

	if (is_passed_over(failed, row.tenant))
		return 0;
	row.flags = 0;
	vec_each (r, &machine->routers)
		attach_inherit(r, &row);
	if (attach_one(dp, &row, have, err) == 0)
		return 0;
	error_prefix(err, "tenant %s", row.tenant);
	return pass_over(failed, row.tenant, err);
}

/* The maps that each router has for itself: of all at once, or else of those where that can be. */
static int make_maps(struct dataplane *dp, const struct router_row *const *rows, size_t n,
		     struct failures *failed, struct error *err)
{
	int ret = router_maps_make(dp, rows, n, err);

	for (size_t i = 0; ret && i < n; i++) {
		*err = (struct error){ 0 };
		if (router_maps_make(dp, &rows[i], 1, err) == 0)
			continue;
		error_prefix(err, "tenant %s", rows[i]->tenant);
		if (pass_over(failed, rows[i]->tenant, err))
			break;
	}
	return err->set ? -1 : 0;
}

/* A row comes first, so that a later run knows of what this one leaves. */
static int prepare_routers(struct dataplane *dp, const struct plan *p, struct failures *failed,
			   struct error *err)
{
	vec_each (r, &p->attach) {
		if (dataplane_put_router_unfinished(dp, *r, err))
			return error_prefix(err, "tenant %s", (*r)->tenant);
	}
	return make_maps(dp, p->attach.v, p->attach.n, failed, err) ||
			       make_maps(dp, p->renew.v, p->renew.n, failed, err)
		       ? -1
		       : 0;
}

static int put_routers(struct dataplane *dp, const struct plan *p, const struct kernel_state *have,
		       struct failures *failed, struct error *err)
{
	if (prepare_routers(dp, p, failed, err))
		return -1;
	progress_begin("routers joined", p->attach.n + p->renew.n);
	vec_each (r, &p->attach) {
		if (interrupt_check(err) || put_router(dp, *r, NULL, have, failed, err))
			return -1;
		progress_step(1);
	}
	vec_each (r, &p->renew) {
		const struct router_row *was = kernel_state_router(have, (*r)->id);

		if (interrupt_check(err) || put_router(dp, *r, was, have, failed, err))
			return -1;
		progress_step(1);
	}
	progress_end();
	return take_off(dp, p->replaced.v, p->replaced.n, err);
}

/*
 * The order of these lines, of those of execute_complete() and execute_leave(), is the order of
 * change: see struct plan. When this is done, nothing has changed for those that had traffic
 * before, but for what changes its owner; a router that joins lets nothing through yet.
 */
int execute_prepare(struct dataplane *dp, const struct plan *p, const struct kernel_state *want,
		    const struct kernel_state *have, struct failures *failed, struct error *err)
{
	/* without maps there are no programs, but a run that was killed may have left the rest */
	if (!dp)
		return 0;
	if (p->subnets && dataplane_put_subnets(dp, want, err))
		return -1;
	if (take_moved(dp, p, err))
		return -1;
	if (dataplane_put_shared(dp, have, p->own_put.v, p->own_put.n, err) ||
	    put_routers(dp, p, have, failed, err) || put_settled(p, failed, err))
		return -1;
	return 0;
}

/* Rows of mappings keep the counters that they have, the others need nothing of `have`. */
#define do_put_fixed(dp, have, v, n, err)     dataplane_put_fixed(dp, have, v, n, err)
#define do_put_shared(dp, have, v, n, err)    dataplane_put_shared(dp, have, v, n, err)
#define do_put_withdrawn(dp, have, v, n, err) dataplane_put_withdrawn(dp, v, n, err)
#define do_del_accepts(dp, have, v, n, err)   dataplane_del_accepts(dp, v, n, err)
#define do_put_accepts(dp, have, v, n, err)   dataplane_put_accepts(dp, v, n, err)
#define do_del_services(dp, have, v, n, err)  dataplane_del_services(dp, v, n, err)
#define do_put_services(dp, have, v, n, err)  dataplane_put_services(dp, v, n, err)
#define do_put_limits(dp, have, v, n, err)    dataplane_put_limits(dp, v, n, err)
#define do_put_pools(dp, have, v, n, err)     dataplane_put_pools(dp, v, n, err)
#define do_del_pools(dp, have, v, n, err)     dataplane_del_pools(dp, v, n, err)
#define do_zero_hits(dp, have, v, n, err)     dataplane_zero_hits(dp, v, n, err)

/* Nobody is accepted in between whom neither the old nor the new rules accept. */
static int put_policy(struct dataplane *dp, const struct plan *p, const struct kernel_state *have,
		      struct error *err)
{
#define X(step, rows)                                       \
	if (do_##step(dp, have, p->rows.v, p->rows.n, err)) \
		return -1;
	POLICY_STEPS(X)
#undef X
	return 0;
}

static int del_own(struct dataplane *dp, const struct plan *p, struct error *err)
{
	return dataplane_del_shared(dp, p->own_del.v, p->own_del.n, err);
}

static int end_flows(struct dataplane *dp, const struct plan *p, struct error *err)
{
	vec_each (row, &p->strangers) {
		const struct fixed_row *r = *row;

		if (dataplane_end_flows(dp, r->router, &r->fixed, &r->shared, err))
			return -1;
	}
	return 0;
}

/* How many of the prefixes that come are exceptions: they are the first ones. */
static size_t count_exceptions(const struct plan *p)
{
	size_t n = 0;

	while (n < p->prefix_put.n && addr_is_unset(&p->prefix_put.v[n].first))
		n++;
	return n;
}

int execute_complete(struct dataplane *dp, const struct plan *p, const struct kernel_state *have,
		     struct error *err)
{
	size_t exceptions = count_exceptions(p);

	if (!dp)
		return del_settled(p, err) || del_routes(p, true, err) ? -1 : 0;
	if (p->drops_maps)
		return del_own(dp, p, err) || del_settled(p, err) || del_routes(p, true, err) ? -1
											      : 0;
	progress_begin("rows of the maps written",
		       p->fixed_put.n + p->shared_put.n + p->shared_del.n + p->fixed_del.n);
	if (put_policy(dp, p, have, err) ||
	    dataplane_put_prefixes(dp, p->prefix_put.v, exceptions, err) ||
	    dataplane_put_fixed(dp, have, p->fixed_put.v, p->fixed_put.n, err) ||
	    end_flows(dp, p, err) ||
	    dataplane_put_shared(dp, have, p->shared_put.v, p->shared_put.n, err) ||
	    dataplane_put_prefixes(dp, p->prefix_put.v + exceptions, p->prefix_put.n - exceptions,
				   err))
		return -1;
	if (del_own(dp, p, err) || del_settled(p, err) ||
	    dataplane_del_prefixes(dp, p->prefix_del.v, p->prefix_del.n, err))
		return -1;
	if (dataplane_del_shared(dp, p->shared_del.v, p->shared_del.n, err))
		return -1;
	progress_step(p->shared_del.n);
	if (dataplane_del_fixed(dp, p->fixed_del.v, p->fixed_del.n, err) ||
	    dataplane_del_limits(dp, p->limit_del.v, p->limit_del.n, err))
		return -1;
	progress_end();
	return del_routes(p, true, err);
}

/*
 * Programs that nobody needs any more. They judge until nothing can be taken back: else what
 * a VM sends while it is taken back would leave untranslated.
 */
int execute_leave(struct dataplane *dp, const struct plan *p, struct error *err)
{
	return dp ? take_off(dp, p->detach.v, p->detach.n, err) : 0;
}
