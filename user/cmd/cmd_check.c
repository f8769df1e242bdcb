/* SPDX-License-Identifier: GPL-2.0-only */
/* check: the probes of the join, at any time, and whether the VMs answer. */
#include "change/change.h"
#include "cmd/cmd.h"
#include "doctor/collect.h"
#include "lib/output.h"
#include "model/selection.h"
#include "probe/batch.h"

/* ------------------------------------------------------------ saying it */

static json_t *check_json(const struct batch *t)
{
	json_t *list = json_array();

	vec_each (one, &t->list) {
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

static void print_check(const struct batch *t)
{
	_cleanup_table_ struct table table = { .columns = 5 };

	table_cell(&table, "TENANT");
	table_cell(&table, "PROBE");
	table_cell(&table, "SUBJECT");
	table_cell(&table, "RESULT");
	table_cell(&table, "SEEN");
	vec_each (one, &t->list) {
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

static int verdict(const struct batch *t, struct error *err)
{
	size_t failed = 0, all = 0;

	vec_each (one, &t->list) {
		all += one->found.list.n;
		vec_each (f, &one->found.list)
			failed += f->result == PROBE_FAILED;
	}
	if (failed)
		return error_set(err, "%zu of %zu %s failed; each has its remedy", failed, all,
				 plural(all, "probe", "probes"));
	return 0;
}

/* ------------------------------------------------------------ what doctor says */

/* Rows of routers that are defined, and have none in the maps. */
struct unattached {
	VEC(struct router_row *) rows;
};

static void unattached_free(struct unattached *u)
{
	vec_each (row, &u->rows)
		free(*row);
	vec_free(&u->rows);
}

static const struct router_row *row_of(const struct view *v, const struct tenant *t)
{
	return t->router ? kernel_state_router(&v->kernel, t->router->id) : NULL;
}

static void take_diagnosis(const struct diagnosis *d, struct findings *out)
{
	size_t before = out->list.n;

	vec_each (one, &d->list) {
		if (one->severity == SEVERITY_PROBLEM)
			finding_remedy(findings_add(out, PROBE_DOCTOR, PROBE_FAILED,
						    one->interface ?: "-",
						    "expected no problem of `%s`; seen: %s",
						    finding_name(one->id), one->seen),
				       "%s", one->remedy ?: "see `tenantnat doctor`");
	}
	if (out->list.n == before)
		findings_add(out, PROBE_DOCTOR, PROBE_OK, "-", "no problem");
}

static void diagnose(const struct view *v, const struct tenant *t, const struct router_row *row,
		     struct findings *out)
{
	_cleanup_router_report_ struct router_report report = { 0 };
	_cleanup_diagnosis_ struct diagnosis found = { .tenant = t->name };

	collect_router(&v->model, t, row, false, &report);
	doctor_router(&report, &found);
	take_diagnosis(&found, out);
}

/* Also of those that no probe can be made of, for want of programs. */
static void diagnose_all(const struct view *v, const char *only, struct batch *t,
			 struct unattached *u)
{
	vec_each (one, &t->list) {
		const struct tenant *tenant =
			model_tenant((struct model *)&v->model, one->row->tenant);

		if (tenant && tenant->router)
			diagnose(v, tenant, one->row, &one->found);
	}
	vec_each (tenant, &v->model.tenants) {
		struct router_row *row;

		if (!tenant->router || row_of(v, tenant) ||
		    (only && strcmp(only, tenant->name) != 0))
			continue;
		row = *vec_push(&u->rows) = xzalloc(sizeof(*row));
		snprintf(row->tenant, sizeof(row->tenant), "%s", tenant->name);
		vec_push(&t->list)->row = row;
		diagnose(v, tenant, NULL, &t->list.v[t->list.n - 1].found);
	}
}

/* ------------------------------------------------------------ the command */

static int take_all(const struct view *v, const char *only, struct batch *t, struct error *err)
{
	const struct tenant *one = only ? tenant_named(&v->model, only, err) : NULL;

	if (only && !one)
		return -1;
	vec_each (row, &v->kernel.routers) {
		if (!only || strcmp(row->tenant, only) == 0)
			batch_add(t, row, true);
	}
	if (only && !t->list.n && !one->router)
		return error_usage(err, "tenant %s has no router here", only);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	const char *only = inv->nargs ? inv->args[0] : NULL;
	_cleanup_view_ struct view v = { 0 };
	_cleanup_(unattached_free) struct unattached unattached = { 0 };
	_cleanup_batch_ struct batch t = { .model = &v.model,
					   .kernel = &v.kernel,
					   .ask_all = true,
					   .patience = inv->settings.patience };

	if (view_load(&inv->settings, &v, err) || take_all(&v, only, &t, err))
		return -1;
	if (batch_make(&t, err))
		return -1;
	diagnose_all(&v, only, &t, &unattached);
	if (inv->json && json_print(check_json(&t), err))
		return -1;
	if (!inv->json && t.list.n)
		print_check(&t);
	if (!inv->json && !t.list.n)
		printf("no router is attached; there is nothing to probe\n");
	return verdict(&t, err);
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "[TENANT]",
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
		"  doctor        `tenantnat doctor` has no problem of the router\n"
		"\n"
		"Changes nothing. What cannot be tried is `skipped`. Exit status 1 when a probe "
		"failed.\n"
		"\n"
		"JSON: [{\"tenant\", \"probe\": its name, \"subject\", \"result\": \"ok\", "
		"\"failed\" or\n"
		"\"skipped\", \"text\", \"remedy\": null or text}].",
	.max_args = 1,
	.run = run,
};
