/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/batch.h"

#include "host/netlink.h"
#include "host/netns.h"
#include "lib/interrupt.h"
#include "lib/progress.h"
#include "probe/probe_interface.h"
#include "probe/probe_solicit.h"

/* So many routers have their questions under way at once. */
#define AT_ONCE 32

void batch_free(struct batch *t)
{
	vec_each (one, &t->list) {
		probe_cancel(one->run);
		probe_input_free(&one->in);
		findings_free(&one->found);
	}
	vec_free(&t->list);
}

/* ------------------------------------------------------------ what is to be probed */

static bool is_up(const struct router_row *r)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	return !r->broken && netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0 &&
	       netlink_is_up(r->ifindex);
}

static bool always(const struct router_row *r)
{
	(void)r;
	return true;
}

static struct batch_router *add(struct batch *t, const struct router_row *row)
{
	struct batch_router *one = vec_push(&t->list);

	one->row = row;
	one->in.patience = t->patience;
	return one;
}

static struct batch_router *find(struct batch *t, uint32_t router)
{
	/* addresses of one router mostly follow each other */
	if (t->last < t->list.n && t->list.v[t->last].row->id == router)
		return &t->list.v[t->last];
	for (t->last = 0; t->last < t->list.n; t->last++) {
		if (t->list.v[t->last].row->id == router)
			return &t->list.v[t->last];
	}
	return NULL;
}

void batch_add(struct batch *t, const struct router_row *row, bool vms)
{
	if (!find(t, row->id))
		add(t, row)->vms = vms;
}

void batch_add_address(struct batch *t, const struct router_row *row, const struct tn_addr *shared)
{
	struct batch_router *one = find(t, row->id);

	/* else all of its addresses are looked for anyway */
	if (!one)
		(one = add(t, row))->in.brief = true;
	if (one->in.brief)
		*vec_push(&one->in.mapped) = *shared;
}

/* ------------------------------------------------------------ probing */

static int enter(struct batch_router *one, struct netns *ns)
{
	const struct router_row *r = one->row;
	struct finding *f;

	if (netns_enter_id(r->netns, r->netns_dev, r->netns_ino, ns) == 0)
		return 0;
	f = findings_add(&one->found, PROBE_CARRIER, PROBE_FAILED, r->netns ? r->netns : "(own)",
			 "expected the network namespace that the router was attached in; seen: "
			 "none");
	finding_remedy(f, "`tenantnat apply` again");
	return -1;
}

static bool stands_in(const struct iface *shared, const struct model *m, const struct tn_addr *own)
{
	vec_each (a, &shared->addrs) {
		if (addr_cmp(&a->addr, own) == 0)
			return iface_stands_in(shared, a, m->subnets.v, m->subnets.n);
	}
	return false;
}

static void drop_those_of(const struct iface *shared, const struct model *m, struct probe_input *in)
{
	size_t kept = 0;

	vec_each (own, &in->own) {
		if (stands_in(shared, m, own))
			*vec_push(&in->others) = *own;
		else
			in->own.v[kept++] = *own;
	}
	in->own.n = kept;
}

/* Floating IPs and the like are nobody's to be asked for, and none to speak from. */
static void drop_stand_ins(const struct model *m, struct batch_router *one)
{
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };

	if (netlink_ifaces(&ifaces, &ignored))
		return;
	vec_each (shared, &ifaces.list) {
		if (shared->index == one->row->ifindex)
			drop_those_of(shared, m, &one->in);
	}
}

static void begin(const struct batch *t, struct batch_router *one)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error gone = { 0 };
	struct finding *f;

	if (enter(one, &ns))
		return;
	if (probe_interface(one->row->ifindex, &one->in, &gone)) {
		f = findings_add(&one->found, PROBE_CARRIER, PROBE_FAILED, "-",
				 "expected the interface with the index %u; seen: none",
				 one->row->ifindex);
		finding_remedy(f, "give the router its shared interface, and `tenantnat apply` "
				  "again");
		return;
	}
	drop_stand_ins(t->model, one);
	one->run = probe_begin(&one->in);
}

/* A peer that has gone is as silent as one that never was. */
static void solicit(struct batch_router *one)
{
	for (int family = 0; one->run && family < FAMILIES; family++) {
		const struct router_row *asker = one->in.asker[family];
		_cleanup_netns_ struct netns ns = NETNS_NONE;

		if (asker &&
		    netns_enter_id(asker->netns, asker->netns_dev, asker->netns_ino, &ns) == 0)
			probe_solicit(one->run, family);
	}
}

static void again(struct batch_router *one)
{
	if (one->run)
		probe_again(one->run);
}

static void finish(struct batch_router *one)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct probe_run *run = one->run;

	if (!run || enter(one, &ns))
		return;
	one->run = NULL;
	probe_finish(run, &one->found);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void share_duplicates(struct batch *t)
{
	size_t room = BATCH_DUPLICATES_MAX;

	vec_each (one, &t->list) {
		one->in.duplicates_max =
			smaller(one->in.own.n + one->in.mapped.n, BATCH_ROUTER_DUPLICATES_MIN);
		room -= smaller(room, one->in.duplicates_max);
	}
	vec_each (one, &t->list) {
		size_t rest = one->in.own.n + one->in.mapped.n - one->in.duplicates_max;

		one->in.duplicates_max += smaller(room, rest);
		room -= smaller(room, rest);
	}
}

/* ------------------------------------------------------------ who is at fault */

/* Whether it is about another router, to which the route is right. */
static bool is_about_router(const struct batch *t, const struct finding *f)
{
	vec_each (r, &t->kernel->routers) {
		if (f->probe != PROBE_ROUTE && finding_is_about(f, r->tenant))
			return true;
	}
	return false;
}

static bool succeeds_elsewhere(const struct batch *t, const struct batch_router *one,
			       enum probe probe)
{
	vec_each (f, &one->found.list) {
		if (f->probe == probe && f->result == PROBE_OK && is_about_router(t, f))
			return true;
	}
	return false;
}

bool batch_is_at_fault(const struct batch *t, const struct batch_router *one)
{
	vec_each (f, &one->found.list) {
		if (f->result == PROBE_FAILED &&
		    (!is_about_router(t, f) || !succeeds_elsewhere(t, one, f->probe)))
			return true;
	}
	return false;
}

/* Of the VMs, those that are to be asked. */
static void choose_vms(const struct batch *t, struct batch_router *one)
{
	struct tenant *tenant = model_tenant((struct model *)t->model, one->row->tenant);
	size_t kept = 0;

	vec_each (vm, &one->in.vms) {
		const struct mapping *m = tenant ? tenant_mapping(tenant, &vm->addr) : NULL;

		if (m && selection_has_mapping(t->only, tenant, m))
			one->in.vms.v[kept++] = *vm;
	}
	one->in.vms.n = kept;
}

int batch_make(struct batch *t, struct error *err)
{
	vec_each (one, &t->list) {
		if (!one->in.brief)
			probe_input_of(t->model, t->kernel, one->row, one->vms,
				       t->ask_all ? always : is_up, &one->in);
		if (t->only)
			choose_vms(t, one);
		for (int family = 0; one->in.solicited.n && family < FAMILIES; family++)
			one->in.asker[family] = probe_asker(t->kernel, one->row, family, is_up);
	}
	share_duplicates(t);
	progress_begin("routers probed", t->list.n);
	for (size_t from = 0; from < t->list.n; from += AT_ONCE) {
		size_t to = from + AT_ONCE < t->list.n ? from + AT_ONCE : t->list.n;

		if (interrupt_check(err))
			return -1;
		for (size_t i = from; i < to; i++)
			begin(t, &t->list.v[i]);
		for (size_t i = from; i < to; i++)
			solicit(&t->list.v[i]);
		for (size_t i = from; i < to; i++)
			again(&t->list.v[i]);
		for (size_t i = from; i < to; i++) {
			finish(&t->list.v[i]);
			progress_step(1);
		}
	}
	progress_end();
	return interrupt_check(err);
}
