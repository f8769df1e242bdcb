/* SPDX-License-Identifier: GPL-2.0-only */
/* check: the probes of the join, at any time, and whether the VMs answer. */
#include "cmd.h"
#include "converge.h"
#include "netns.h"
#include "output.h"
#include "probe.h"

/* So many routers have their questions under way at once. */
#define AT_ONCE 32

struct view {
	struct model model;
	struct dataplane *dp;
	struct machine machine;
};

static void view_free(struct view *v)
{
	machine_free(&v->machine);
	dataplane_close(v->dp);
	model_free(&v->model);
}

static int view_load(const struct invocation *inv, struct view *v, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	if (store_open(inv->state, STORE_READ, 0, inv->command->name, &store, err) ||
	    store_load(store, &v->model, err))
		return -1;
	return machine_load(inv->bpffs, &v->model, &v->dp, &v->machine, err);
}

/* ------------------------------------------------------------ what is to be probed */

/* One router, its probes under way, and what they found. */
struct checked {
	const struct router_row *row;
	struct probe_input in;
	struct probe_run *run;
	struct findings found;
};

struct check {
	VEC(struct checked) list;
};

static void check_free(struct check *c)
{
	for (size_t i = 0; i < c->list.n; i++) {
		probe_cancel(c->list.v[i].run);
		probe_input_free(&c->list.v[i].in);
		findings_free(&c->list.v[i].found);
	}
	vec_free(&c->list);
}

static const char *tenant_of(const struct machine *m, uint32_t router)
{
	vec_each (r, &m->routers) {
		if (r->id == router)
			return r->tenant;
	}
	return NULL;
}

static bool speaks(const struct probe_input *in, bool v4)
{
	vec_each (own, &in->own) {
		if (addr_is_v4(own) == v4)
			return true;
	}
	vec_each (mapped, &in->mapped) {
		if (addr_is_v4(mapped) == v4)
			return true;
	}
	return false;
}

/* Only of families that the router has to do with: no route is needed for the others. */
static void take_network(const struct view *v, struct checked *c)
{
	vec_each (p, &v->model.subnets) {
		if (speaks(&c->in, addr_is_v4(&p->addr)))
			*vec_push(&c->in.prefixes) = (struct probe_prefix){ .prefix = *p };
	}
	vec_each (row, &v->machine.shared) {
		if (row->flags & TN_SHARED_OWN && row->router != c->row->id &&
		    speaks(&c->in, addr_is_v4(&row->shared)))
			*vec_push(&c->in.peers) =
				(struct probe_host){ .addr = row->shared,
						     .who = tenant_of(&v->machine, row->router) };
	}
}

static void take_router(struct view *v, const struct router_row *row, struct checked *c)
{
	struct tenant *t = model_tenant(&v->model, row->tenant);

	c->row = row;
	memcpy(c->in.inside, row->inside, sizeof(c->in.inside));
	vec_each (one, &v->machine.shared) {
		struct mapping *m;

		if (one->router != row->id)
			continue;
		if (one->flags & TN_SHARED_OWN) {
			*vec_push(&c->in.own) = one->shared;
			continue;
		}
		m = t ? tenant_mapping(t, &one->fixed) : NULL;
		*vec_push(&c->in.mapped) = one->shared;
		*vec_push(&c->in.vms) =
			(struct probe_host){ .addr = one->fixed, .who = m ? m->name : NULL };
	}
	take_network(v, c);
}

/* ------------------------------------------------------------ probing */

static int enter(struct checked *c, struct netns *ns)
{
	const struct router_row *r = c->row;
	struct finding *f;

	if (netns_enter_id(r->netns, r->netns_dev, r->netns_ino, ns) == 0)
		return 0;
	f = findings_add(&c->found, PROBE_CARRIER, PROBE_FAILED, r->netns ? r->netns : "(own)",
			 "expected the network namespace that the router was attached in; seen: "
			 "none");
	finding_remedy(f, "`tenantnat apply` again");
	return -1;
}

static void begin(struct checked *c, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error gone = { 0 };
	struct finding *f;

	if (enter(c, &ns))
		return;
	if (probe_interface(c->row->ifindex, &c->in, &gone)) {
		f = findings_add(&c->found, PROBE_CARRIER, PROBE_FAILED, "-",
				 "expected the interface with the index %u; seen: none",
				 c->row->ifindex);
		finding_remedy(f, "give the router its shared interface, and `tenantnat apply` "
				  "again");
		return;
	}
	if (probe_begin(&c->in, &c->run, err))
		error_prefix(err, "tenant %s", c->row->tenant);
}

static void finish(struct checked *c, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct probe_run *run = c->run;

	if (!run || enter(c, &ns))
		return;
	c->run = NULL;
	if (probe_finish(run, &c->found, err))
		error_prefix(err, "tenant %s", c->row->tenant);
}

static int probe_all(struct check *c, struct error *err)
{
	for (size_t from = 0; from < c->list.n; from += AT_ONCE) {
		size_t to = from + AT_ONCE < c->list.n ? from + AT_ONCE : c->list.n;

		for (size_t i = from; i < to && !err->set; i++)
			begin(&c->list.v[i], err);
		for (size_t i = from; i < to && !err->set; i++)
			finish(&c->list.v[i], err);
	}
	return err->set ? -1 : 0;
}

/* ------------------------------------------------------------ saying it */

static json_t *check_json(const struct check *c)
{
	json_t *list = json_array();

	vec_each (one, &c->list) {
		vec_each (f, &one->found.list)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "tenant",
						one->row->tenant, "probe", probe_name(f->probe),
						"subject", f->subject, "result",
						probe_result_name(f->result), "text", f->text,
						"remedy", json_text(f->remedy)));
	}
	return list;
}

static void print_check(const struct check *c)
{
	_cleanup_table_ struct table table = { .columns = 5 };

	table_cell(&table, "TENANT");
	table_cell(&table, "PROBE");
	table_cell(&table, "SUBJECT");
	table_cell(&table, "RESULT");
	table_cell(&table, "SEEN");
	vec_each (one, &c->list) {
		vec_each (f, &one->found.list) {
			table_cell(&table, "%s", one->row->tenant);
			table_cell(&table, "%s", probe_name(f->probe));
			table_cell(&table, "%s", f->subject);
			table_cell(&table, "%s", probe_result_name(f->result));
			table_cell(&table, "%s%s%s", f->text, f->remedy ? "; what to do: " : "",
				   f->remedy ? f->remedy : "");
		}
	}
	table_print(&table);
}

static int verdict(const struct check *c, struct error *err)
{
	size_t failed = 0, all = 0;

	vec_each (one, &c->list) {
		all += one->found.list.n;
		vec_each (f, &one->found.list)
			failed += f->result == PROBE_FAILED;
	}
	if (failed)
		return error_set(err, "%zu of %zu probes failed; what to do is said with each",
				 failed, all);
	return 0;
}

/* ------------------------------------------------------------ the command */

static int take_all(struct view *v, const char *only, struct check *c, struct error *err)
{
	if (only && !model_tenant(&v->model, only))
		return error_usage(err, "there is no tenant %s; `tenantnat show` lists them", only);
	vec_each (row, &v->machine.routers) {
		if (!only || strcmp(row->tenant, only) == 0)
			take_router(v, row, vec_push(&c->list));
	}
	if (only && !c->list.n)
		return error_usage(err,
				   "tenant %s has no router here that is attached; `tenantnat "
				   "apply` attaches those of its file",
				   only);
	return 0;
}

static int read_patience(const struct invocation *inv, struct check *c, struct error *err)
{
	const char *text = cmd_value(inv, "patience");
	unsigned long n = 1;
	char *end;

	if (text)
		n = strtoul(text, &end, 10);
	if (text && (text[0] < '0' || text[0] > '9' || *end || !n || n > 100))
		return error_usage(err, "--patience %s: give a number from 1 to 100", text);
	for (size_t i = 0; i < c->list.n; i++)
		c->list.v[i].in.patience = n;
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(view_free) struct view v = { 0 };
	_cleanup_(check_free) struct check c = { 0 };

	if (view_load(inv, &v, err) || take_all(&v, inv->nargs ? inv->args[0] : NULL, &c, err) ||
	    read_patience(inv, &c, err) || probe_all(&c, err))
		return -1;
	if (inv->json && json_print(check_json(&c), err))
		return -1;
	if (!inv->json && c.list.n)
		print_check(&c);
	if (!inv->json && !c.list.n)
		printf("no router is attached; there is nothing to probe\n");
	return verdict(&c, err);
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "[TENANT] [--patience N]",
	.summary = "Probe the shared network from every attached router, and its VMs",
	.help = "The shared interface is up; routes to the shared subnets and to other routers "
		"lead "
		"out\n"
		"of it; nobody else has the router's addresses; the other routers answer ARP or\n"
		"neighbour solicitation, ping, and ping with packets of the whole MTU; checksums "
		"are\n"
		"right with offloads as they are; and every VM answers behind the router. It "
		"changes\n"
		"nothing. What cannot be tried is `skipped`. Exit status 1 when a probe failed.\n"
		"JSON: [{\"tenant\", \"probe\": \"carrier\", \"route\", \"duplicate\", "
		"\"neighbour\", "
		"\"ping\",\n"
		"\"mtu\", \"checksum\" or \"vm\", \"subject\", \"result\": \"ok\", \"failed\" or "
		"\"skipped\",\n"
		"\"text\", \"remedy\": null or text}].",
	.options = { { "patience", 0, "N", "wait N times as long for every answer" } },
	.max_args = 1,
	.run = run,
};
