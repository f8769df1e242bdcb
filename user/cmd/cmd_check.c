/* SPDX-License-Identifier: GPL-2.0-only */
/* check: the probes of the join, at any time, and whether the VMs answer. */
#include "cmd/cmd.h"
#include "doctor/examine.h"
#include "lib/output.h"
#include "model/selection.h"
#include "probe/batch.h"

/* What was found: of routers, and what doctor has of the machine. */
struct checked {
	struct batch batch;
	struct findings machine;
	/* of routers that are defined, and have no row in the maps */
	VEC(struct router_row *) rows;
};

static void checked_free(struct checked *c)
{
	batch_free(&c->batch);
	findings_free(&c->machine);
	vec_each (row, &c->rows)
		free(*row);
	vec_free(&c->rows);
}

/* ------------------------------------------------------------ saying it */

static void add_json(json_t *list, const char *tenant, const struct findings *found)
{
	vec_each (f, &found->list)
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:s, s:s, s:s, s:o}", "tenant",
					json_text(tenant), "probe", probe_name(f->probe), "subject",
					f->subject, "result", probe_result_name(f->result), "text",
					f->text, "remedy", json_text(f->remedy)));
}

static json_t *check_json(const struct checked *c)
{
	json_t *list = json_array();

	vec_each (one, &c->batch.list)
		add_json(list, one->row->tenant, &one->found);
	add_json(list, NULL, &c->machine);
	return list;
}

static void add_rows(struct table *table, const char *tenant, const struct findings *found)
{
	vec_each (f, &found->list) {
		table_cell(table, "%s", tenant);
		table_cell(table, "%s", probe_name(f->probe));
		table_cell(table, "%s", f->subject);
		table_cell(table, "%s", probe_result_name(f->result));
		table_cell(table, "%s%s%s", f->text, f->remedy ? "; what to do: " : "",
			   f->remedy ? f->remedy : "");
	}
}

static size_t failures(const struct findings *found)
{
	size_t n = 0;

	vec_each (f, &found->list)
		n += f->result == PROBE_FAILED;
	return n;
}

static size_t all_failures(const struct checked *c)
{
	size_t n = failures(&c->machine);

	vec_each (one, &c->batch.list)
		n += failures(&one->found);
	return n;
}

static void print_check(const struct checked *c)
{
	_cleanup_table_ struct table table = { .columns = 5 };

	table_cell(&table, "TENANT");
	table_cell(&table, "PROBE");
	table_cell(&table, "SUBJECT");
	table_cell(&table, "RESULT");
	table_cell(&table, "SEEN");
	vec_each (one, &c->batch.list)
		add_rows(&table, one->row->tenant, &one->found);
	add_rows(&table, "machine", &c->machine);
	if (c->batch.list.n || failures(&c->machine))
		table_print(&table);
	if (!c->batch.list.n)
		printf("no router is attached; there is nothing to probe\n");
	else if (!all_failures(c))
		printf("What `accept` and filters of VMs let through was not probed: `tenantnat "
		       "trace FROM TO:PORT` looks at one packet.\n");
}

static int verdict(const struct checked *c, struct error *err)
{
	size_t failed = all_failures(c), all = c->machine.list.n;

	vec_each (one, &c->batch.list)
		all += one->found.list.n;
	if (failed)
		return error_set(err, "%zu of %zu %s failed; each has its remedy", failed, all,
				 plural(all, "probe", "probes"));
	return 0;
}

/* ------------------------------------------------------------ what doctor says */

static void take_diagnosis(const struct diagnosis *d, const char *tenant, struct findings *out)
{
	size_t before = out->list.n;

	vec_each (one, &d->list) {
		if (one->severity == SEVERITY_PROBLEM && diagnosed_is_about(one, tenant))
			finding_remedy(findings_add(out, PROBE_DOCTOR, PROBE_FAILED,
						    one->interface ?: "-",
						    "expected no problem of `%s`; seen: %s",
						    finding_name(one->id), one->seen),
				       "%s", one->remedy ?: "see `tenantnat doctor`");
	}
	if (out->list.n == before)
		findings_add(out, PROBE_DOCTOR, PROBE_OK, "-", "no problem");
}

/* Of a router that no probe can be made of, for want of programs, a row of its own. */
static struct findings *findings_of(struct checked *c, const struct tenant *t)
{
	struct router_row *row;

	vec_each (one, &c->batch.list) {
		if (strcmp(one->row->tenant, t->name) == 0)
			return &one->found;
	}
	row = *vec_push(&c->rows) = xzalloc(sizeof(*row));
	snprintf(row->tenant, sizeof(row->tenant), "%s", t->name);
	vec_push(&c->batch.list)->row = row;
	return &c->batch.list.v[c->batch.list.n - 1].found;
}

static void take_findings(const struct examination *e, const struct scope *scope, struct checked *c)
{
	vec_each (t, &e->model.tenants) {
		const struct router_row *row = examination_row(e, t);

		if (!t->router || !scope_has(scope, t->name))
			continue;
		if (row && row->standby)
			findings_add(findings_of(c, t), PROBE_DUPLICATE, PROBE_SKIPPED, "-",
				     "its router is a standby: nothing is asked or sent from it");
		take_diagnosis(&e->findings, t->name, findings_of(c, t));
	}
	take_diagnosis(&e->findings, NULL, &c->machine);
}

/* ------------------------------------------------------------ the command */

static int take_all(const struct examination *e, const struct selection *only, struct batch *t,
		    struct error *err)
{
	const char *one = only->list.n ? only->list.v[0].tenant : NULL;

	t->only = one ? only : NULL;
	vec_each (row, &e->kernel.routers) {
		if (!row->standby && scope_has(selection_scope(only), row->tenant))
			batch_add(t, row, true);
	}
	if (one && !t->list.n && !model_tenant((struct model *)&e->model, one)->router)
		return error_usage(err, "tenant %s has no router here", one);
	return 0;
}

/* Nothing can be probed without these. */
static int read_all(const struct settings *settings, struct selection *only, struct examination *e,
		    struct error *err)
{
	if (examine_read(settings, NULL, only, e, err))
		return -1;
	if (e->report.state_error.set || e->report.maps_error.set) {
		*err = e->report.state_error.set ? e->report.state_error : e->report.maps_error;
		return -1;
	}
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_selection_ struct selection only = { 0 };
	_cleanup_examination_ struct examination e = { 0 };
	_cleanup_(checked_free) struct checked c = { .batch = { .model = &e.model,
								.kernel = &e.kernel,
								.ask_all = true,
								.patience =
									inv->settings.patience } };

	if (selection_read(inv->args, inv->nargs, &only, err) ||
	    read_all(&inv->settings, &only, &e, err) || take_all(&e, &only, &c.batch, err) ||
	    batch_make(&c.batch, err))
		return -1;
	/* behind the probes, whose answers the kernel hears, too */
	examine_look(&inv->settings, selection_scope(&only), &e);
	take_findings(&e, selection_scope(&only), &c);
	if (inv->json && json_print(check_json(&c), err))
		return -1;
	if (!inv->json)
		print_check(&c);
	return verdict(&c, err);
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "[TENANT[/MAPPING]]",
	.summary = "Probe the shared network from every attached router, and its VMs",
	.help = "The probes of each router:\n"
		"  carrier       the shared interface is up, with a carrier\n"
		"  route         routes to the shared subnets and other routers lead out of it\n"
		"  duplicate     no other host has the router's addresses\n"
		"  neighbour     the other routers answer ARP or neighbour solicitation\n"
		"  solicitation  another router finds the mapped addresses, by ARP or multicast\n"
		"  source        it hears what is sent from mapped addresses: filters know the "
		"pool\n"
		"  ping          the other routers answer ping\n"
		"  mtu           they answer ping with packets of the whole MTU\n"
		"  checksum      checksums are right, with offloads as they are\n"
		"  vm            every VM answers behind the router, and knows the way back to the "
		"shared\n"
		"                network\n"
		"  doctor        `tenantnat doctor` has no problem of the router, nor of the "
		"machine\n"
		"\n"
		"With TENANT/MAPPING, that one of the VMs alone is asked.\n"
		"\n"
		"Changes nothing. What cannot be tried is `skipped`, and so is all of a standby "
		"(`active: address`, `elected`).\n"
		"Exit status 1 when a probe failed.\n"
		"\n"
		"JSON: [{\"tenant\": null for the machine, \"probe\": its name, \"subject\", "
		"\"result\": \"ok\",\n"
		"\"failed\" or \"skipped\", \"text\", \"remedy\": null or text}].",
	.max_args = 1,
	.run = run,
};
