/* SPDX-License-Identifier: GPL-2.0-only */
#include "trial.h"

#include "netlink.h"
#include "netns.h"

/* So many routers have their questions under way at once. */
#define AT_ONCE 32

/* So many other routers are asked: a path that is broken shows with the first ones. */
#define PEERS_MAX 16

void trial_free(struct trial *t)
{
	vec_each (one, &t->list) {
		probe_cancel(one->run);
		probe_input_free(&one->in);
		findings_free(&one->found);
	}
	vec_free(&t->list);
}

/* ------------------------------------------------------------ what is to be probed */

static const struct router_row *row_of(const struct machine *m, uint32_t router)
{
	vec_each (r, &m->routers) {
		if (r->id == router)
			return r;
	}
	return NULL;
}

static bool same_netns(const struct router_row *a, const struct router_row *b)
{
	return a->netns_dev == b->netns_dev && a->netns_ino == b->netns_ino;
}

static bool is_up(const struct router_row *r)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	return !r->broken && netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns) == 0 &&
	       netlink_is_up(r->ifindex);
}

static bool has_family(const struct probe_input *in, const struct tn_addr *a)
{
	vec_each (own, &in->own) {
		if (addr_family(own) == addr_family(a))
			return true;
	}
	return false;
}

/* Which of the list a router is, by its id. */
struct index {
	struct trial_router *by_id[TN_ROUTERS_MAX];
};

static void take_address(const struct trial *t, struct trial_router *one,
			 const struct shared_row *row)
{
	const struct tenant *tenant;
	struct mapping *m;

	if (row->flags & TN_SHARED_OWN) {
		*vec_push(&one->in.own) = row->shared;
		return;
	}
	*vec_push(&one->in.mapped) = row->shared;
	if (!one->vms)
		return;
	tenant = model_tenant((struct model *)t->model, one->row->tenant);
	m = tenant ? tenant_mapping((struct tenant *)tenant, &row->fixed) : NULL;
	*vec_push(&one->in.vms) = (struct probe_host){ row->fixed, m ? m->name : NULL };
}

/* Of families alone in which the router has an address: no route is needed for the others. */
static void take_ways(const struct trial *t, struct trial_router *one)
{
	const struct tenant *tenant = model_tenant((struct model *)t->model, one->row->tenant);

	vec_each (p, &t->model->subnets) {
		if (has_family(&one->in, &p->addr))
			*vec_push(&one->in.prefixes) = (struct probe_prefix){ .prefix = *p };
	}
	if (!tenant || !tenant->router)
		return;
	vec_each (r, &tenant->router->routes) {
		if (!has_family(&one->in, &r->via))
			continue;
		*vec_push(&one->in.prefixes) =
			(struct probe_prefix){ .prefix = r->to, .gateway = r->via };
		*vec_push(&one->in.peers) = (struct probe_host){ r->via, "gateway" };
	}
}

static void take_peers(const struct trial *t, struct trial_router *one)
{
	size_t most = one->in.peers.n + PEERS_MAX;

	vec_each (row, &t->machine->shared) {
		const struct router_row *other;

		if (!(row->flags & TN_SHARED_OWN) || row->router == one->row->id ||
		    !has_family(&one->in, &row->shared) || one->in.peers.n == most)
			continue;
		other = row_of(t->machine, row->router);
		if (other && !same_netns(other, one->row) && is_up(other))
			*vec_push(&one->in.peers) =
				(struct probe_host){ row->shared, other->tenant };
	}
}

static struct trial_router *add(struct trial *t, const struct router_row *row)
{
	struct trial_router *one = vec_push(&t->list);

	one->row = row;
	one->in.patience = t->patience;
	memcpy(one->in.inside, row->inside, sizeof(one->in.inside));
	return one;
}

static struct trial_router *find(struct trial *t, uint32_t router)
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

void trial_add(struct trial *t, const struct router_row *row, bool vms)
{
	if (!find(t, row->id))
		add(t, row)->vms = vms;
}

void trial_add_address(struct trial *t, const struct router_row *row, const struct tn_addr *shared)
{
	struct trial_router *one = find(t, row->id);

	/* else all of its addresses are looked for anyway */
	if (!one)
		(one = add(t, row))->in.brief = true;
	if (one->in.brief)
		*vec_push(&one->in.mapped) = *shared;
}

/* In one walk over all addresses, which may be a million. */
static void fill(struct trial *t)
{
	_cleanup_free_ struct index *index = xzalloc(sizeof(*index));

	vec_each (one, &t->list) {
		if (!one->in.brief)
			index->by_id[one->row->id] = one;
	}
	vec_each (row, &t->machine->shared) {
		struct trial_router *one = index->by_id[row->router % TN_ROUTERS_MAX];

		if (one)
			take_address(t, one, row);
	}
	vec_each (one, &t->list) {
		if (one->in.brief)
			continue;
		take_ways(t, one);
		take_peers(t, one);
	}
}

/* ------------------------------------------------------------ probing */

static int enter(struct trial_router *one, struct netns *ns)
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

static void begin(struct trial_router *one, struct error *err)
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
	if (probe_begin(&one->in, &one->run, err))
		error_prefix(err, "tenant %s", one->row->tenant);
}

static void finish(struct trial_router *one, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct probe_run *run = one->run;

	if (!run || enter(one, &ns))
		return;
	one->run = NULL;
	if (probe_finish(run, &one->found, err))
		error_prefix(err, "tenant %s", one->row->tenant);
}

int trial_make(struct trial *t, struct error *err)
{
	fill(t);
	for (size_t from = 0; from < t->list.n; from += AT_ONCE) {
		size_t to = from + AT_ONCE < t->list.n ? from + AT_ONCE : t->list.n;

		for (size_t i = from; i < to && !err->set; i++)
			begin(&t->list.v[i], err);
		for (size_t i = from; i < to && !err->set; i++)
			finish(&t->list.v[i], err);
	}
	return err->set ? -1 : 0;
}
