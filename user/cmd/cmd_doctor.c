/* SPDX-License-Identifier: GPL-2.0-only */
/* doctor: what is wrong with the machine and with the routers, and what to do about it. */
#include "change/change.h"
#include "cmd/cmd.h"
#include "config/definitions.h"
#include "doctor/collect.h"
#include "doctor/collect_drift.h"
#include "lib/output.h"

/* What there was to be had of definitions and maps; each may be missing without the other. */
struct patient {
	struct model model;
	struct model file; /* with -f: what is to be looked at */
	bool planned;
	struct dataplane *dp;
	struct kernel_state kernel;
	struct machine_report report;
	struct diagnosis findings;
};

static void patient_free(struct patient *p)
{
	diagnosis_free(&p->findings);
	kernel_state_free(&p->kernel);
	dataplane_close(p->dp);
	drift_free(&p->report.drift);
	model_free(&p->file);
	model_free(&p->model);
}

static void read_state(const struct invocation *inv, struct patient *p)
{
	_cleanup_store_ struct store *store = NULL;
	struct error *err = &p->report.state_error;

	if (!err->set &&
	    store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) == 0)
		store_load(store, &p->model, err);
}

/* Rows are sorted by router, and those of a family stand together. */
static void count_neighbours(const struct kernel_state *m, struct neighbour_table of[FAMILIES])
{
	uint32_t last[FAMILIES] = { 0 };

	vec_each (row, &m->fixed) {
		int family = addr_family(&row->fixed);

		of[family].mappings++;
		of[family].routers += row->router != last[family];
		last[family] = row->router;
	}
}

static void read_maps(const struct invocation *inv, struct patient *p)
{
	struct machine_report *r = &p->report;

	if (kernel_state_load(inv->settings.bpffs, &p->model, NULL, &p->dp, &p->kernel,
			      &r->maps_error) ||
	    !p->dp)
		return;
	r->pinned = true;
	r->rows = p->kernel.shared.n > p->kernel.fixed.n ? p->kernel.shared.n : p->kernel.fixed.n;
	r->capacity = dataplane_capacity(p->dp);
	count_neighbours(&p->kernel, r->neighbours);
}

/* Routers of a file have no ids yet. */
static const struct router_row *row_of(const struct patient *p, const struct tenant *t)
{
	vec_each (r, &p->kernel.routers) {
		if (p->planned ? strcmp(r->tenant, t->name) == 0 : r->id == t->router->id)
			return r;
	}
	return NULL;
}

static const struct model *looked_at(const struct patient *p)
{
	return p->planned ? &p->file : &p->model;
}

static void collect(struct patient *p, const struct tenant *t)
{
	_cleanup_router_report_ struct router_report report = { 0 };

	if (!t->router)
		return;
	p->findings.tenant = t->name;
	collect_router(looked_at(p), t, row_of(p, t), p->planned, &report);
	doctor_router(&report, &p->findings);
	p->findings.tenant = NULL;
}

/* ------------------------------------------------------------ output */

static json_t *findings_json(const struct diagnosis *f)
{
	json_t *list = json_array();

	vec_each (one, &f->list)
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:o}",
						      "finding", finding_name(one->id), "severity",
						      severity_name(one->severity), "tenant",
						      json_text(one->tenant), "interface",
						      json_text(one->interface), "seen", one->seen,
						      "meaning", finding_meaning(one->id), "remedy",
						      json_text(one->remedy)));
	return json_pack("{s:o, s:I, s:I}", "findings", list, "problems",
			 (json_int_t)diagnosis_count(f, SEVERITY_PROBLEM), "warnings",
			 (json_int_t)diagnosis_count(f, SEVERITY_WARNING));
}

static const char *color_of(enum severity severity)
{
	return severity == SEVERITY_PROBLEM ? color_removed()
	       : severity == SEVERITY_FINE  ? color_added()
					    : color_changed();
}

static void print_finding(const struct diagnosed *f)
{
	printf("%s%-11s%s  %-17s  %s%s%s\n", color_of(f->severity), severity_name(f->severity),
	       color_off(), finding_name(f->id), f->tenant ? f->tenant : "machine",
	       f->interface ? " " : "", f->interface ? f->interface : "");
	printf("    %s", f->seen);
	if (f->severity > SEVERITY_UNCHECKED)
		printf(" (%s)", finding_meaning(f->id));
	putchar('\n');
	if (f->remedy)
		printf("    to do: %s\n", f->remedy);
}

/* What is in order is one line, and only for who asks. */
static void print_findings(const struct diagnosis *f, bool all)
{
	vec_each (one, &f->list) {
		if (one->severity != SEVERITY_FINE)
			print_finding(one);
		else if (all)
			printf("%s%-11s%s  %-17s  %s%s%s: %s\n", color_of(one->severity),
			       severity_name(one->severity), color_off(), finding_name(one->id),
			       one->tenant ? one->tenant : "machine", one->interface ? " " : "",
			       one->interface ? one->interface : "", one->seen);
	}
	printf("%zu in order, %zu not checked, %zu %s, %zu %s\n", diagnosis_count(f, SEVERITY_FINE),
	       diagnosis_count(f, SEVERITY_UNCHECKED), diagnosis_count(f, SEVERITY_WARNING),
	       diagnosis_count(f, SEVERITY_WARNING) == 1 ? "warning" : "warnings",
	       diagnosis_count(f, SEVERITY_PROBLEM),
	       diagnosis_count(f, SEVERITY_PROBLEM) == 1 ? "problem" : "problems");
}

static int check_names(const struct invocation *inv, struct patient *p, struct error *err)
{
	for (int i = 0; i < inv->nargs && (p->planned || !p->report.state_error.set); i++) {
		if (!model_tenant((struct model *)looked_at(p), inv->args[i]))
			return error_usage(err, "there is no tenant %s; see `tenantnat show`",
					   inv->args[i]);
	}
	return 0;
}

/* Not where that is what another finding is about. */
static void look_for_drift(const struct invocation *inv, const struct scope *scope,
			   struct patient *p)
{
	if (!p->report.missing_privileges[0] && !p->report.state_error.set &&
	    !p->report.maps_error.set && !p->report.bpffs.set)
		collect_drift(&inv->settings, inv->nargs && !p->planned ? scope : NULL,
			      &p->report.drift);
}

static int read_file(const struct invocation *inv, struct patient *p, struct error *err)
{
	const char *file = cmd_value(inv, "file");

	p->planned = file != NULL;
	return file ? definitions_read(file, &p->file, err) : 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(patient_free) struct patient p = { 0 };
	const struct scope scope = { inv->args, inv->nargs };
	size_t problems;

	if (inv->settings.bpffs[0] != '/')
		return error_usage(err, "--bpffs %s: give an absolute path", inv->settings.bpffs);
	if (read_file(inv, &p, err))
		return -1;
	collect_machine(inv->settings.bpffs, inv->settings.state, &p.report);
	read_state(inv, &p);
	read_maps(inv, &p);
	if (check_names(inv, &p, err))
		return -1;
	look_for_drift(inv, &scope, &p);
	doctor_machine(&p.report, &p.findings);
	vec_each (t, &looked_at(&p)->tenants) {
		if (scope_has(inv->nargs ? &scope : NULL, t->name))
			collect(&p, t);
	}
	if (inv->json ? json_print(findings_json(&p.findings), err) : 0)
		return -1;
	if (!inv->json)
		print_findings(&p.findings, inv->verbose);
	problems = diagnosis_count(&p.findings, SEVERITY_PROBLEM);
	if (problems)
		return error_set(err, "%zu %s found; follow the remedy of %s, and run doctor again",
				 problems, problems == 1 ? "problem" : "problems",
				 problems == 1 ? "it" : "each");
	return 0;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "[-f FILE] [TENANT…]",
	.summary = "Say what is wrong with the machine and the routers, and what to do",
	.help = "Changes nothing, and sends nothing. It looks at the kernel, its file systems and "
		"settings,\n"
		"and at the routers of the definitions in force, or those of the tenants named. A "
		"check that\n"
		"cannot be made says so; without root, that is most of them. With -v also what is "
		"in order\n"
		"is listed. Exit status 1 when there is a problem; warnings (slower, or risky) and "
		"checks\n"
		"that cannot be made do not count.\n"
		"\n"
		"With -f, the routers of a file are looked at, before it is applied: what would "
		"keep it\n"
		"from working. What an apply adds (addresses, routes, forwarding, programs) is "
		"not missing.\n"
		"\n"
		"The neighbour tables of the kernel are shared by all network namespaces: each "
		"should\n"
		"have room for the mappings of the attached routers, and 64 more for each router.\n"
		"\n"
		"JSON: {\"findings\": [{\"finding\", \"severity\": \"ok\", \"not checked\", "
		"\"warning\" or\n"
		"\"problem\", \"tenant\": null for the machine, \"interface\" or null, \"seen\",\n"
		"\"meaning\": of the finding when it is not ok, \"remedy\" or null}],\n"
		"\"problems\": count, \"warnings\": count}",
	.options = { { "file", 'f', "FILE", "look at the routers of these definitions instead" } },
	.min_args = 0,
	.max_args = -1,
	.run = run,
};
