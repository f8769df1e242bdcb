/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/examine.h"

#include <time.h>

#include "config/definitions.h"
#include "doctor/collect.h"
#include "doctor/collect_drift.h"
#include "host/netns.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/progress.h"
#include "model/standing.h"
#include "observe/streamed.h"
#include "observe/traffic.h"
#include "store/store.h"

void examination_free(struct examination *e)
{
	diagnosis_free(&e->findings);
	imported_free(&e->imported);
	kernel_state_free(&e->kernel);
	dataplane_close(e->dp);
	drift_free(&e->report.drift);
	elections_free(&e->elections);
	model_free(&e->file);
	model_free(&e->model);
}

static void read_state(const struct settings *settings, struct examination *e)
{
	_cleanup_store_ struct store *store = NULL;
	struct error *err = &e->report.state_error;

	if (!err->set &&
	    store_open(settings->state, STORE_READ, 0, settings->command, &store, err) == 0)
		store_load(store, &e->model, err);
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

/* Not while somebody changes something: then it may be what is being attached. */
static void look_for_unwanted(const struct settings *settings, struct examination *e)
{
	struct machine_report *r = &e->report;
	char name[NAME_MAX + 1];
	size_t n = 0;

	if (r->state_error.set || store_holder(settings->state))
		return;
	r->defined = e->model.tenants.n;
	r->unsettled = !dataplane_is_settled(e->dp);
	vec_each (row, &e->kernel.routers) {
		if (router_row_is_wanted(&e->model, row) || n >= sizeof(r->unwanted))
			continue;
		netns_name(row->netns_dev, row->netns_ino, name);
		n += snprintf(r->unwanted + n, sizeof(r->unwanted) - n, "%s%s (netns %s)",
			      n ? ", " : "", row->tenant, name[0] ? name : "unknown");
	}
}

static void read_maps(const struct settings *settings, struct examination *e)
{
	struct machine_report *r = &e->report;

	if (kernel_state_load(settings->bpffs, &e->model, NULL, &e->dp, &e->kernel,
			      &r->maps_error) ||
	    !e->dp)
		return;
	r->pinned = true;
	r->rows = e->kernel.shared.n > e->kernel.fixed.n ? e->kernel.shared.n : e->kernel.fixed.n;
	r->capacity = dataplane_capacity(e->dp);
	count_neighbours(&e->kernel, r->neighbours);
	look_for_unwanted(settings, e);
}

/* Routers of a file have no ids yet. */
const struct router_row *examination_row(const struct examination *e, const struct tenant *t)
{
	if (!t->router)
		return NULL;
	vec_each (r, &e->kernel.routers) {
		if (e->planned ? strcmp(r->tenant, t->name) == 0 : r->id == t->router->id)
			return r;
	}
	return NULL;
}

static const struct model *looked_at(const struct examination *e)
{
	return e->planned ? &e->file : &e->model;
}

void examine_router(const struct model *m, const struct tenant *t, const struct router_row *row,
		    bool planned, struct diagnosis *out)
{
	_cleanup_router_report_ struct router_report report = { 0 };

	out->tenant = t->name;
	collect_router(m, t, row, planned, &report);
	doctor_router(&report, out);
	out->tenant = NULL;
}

void examine_elected(const struct elections *known, const struct tenant *t,
		     const struct router_row *row, struct diagnosis *out)
{
	if (row && t->router && t->router->active == ACTIVE_ELECTED && !t->router->detached)
		doctor_elected(t, known, row->standby, out);
}

/* Without a state nobody knows what there is. */
static int check_names(struct selection *selection, struct examination *e, struct error *err)
{
	if (!e->planned && e->report.state_error.set)
		return 0;
	return selection_check(selection, looked_at(e), err);
}

/* Not where that is what another finding is about. */
static void look_for_drift(const struct settings *settings, const struct scope *scope,
			   struct examination *e)
{
	if (!e->report.missing_privileges[0] && !e->report.state_error.set &&
	    !e->report.maps_error.set && !e->report.bpffs.set)
		collect_drift(settings, e->planned ? NULL : scope, &e->report.drift);
}

int examine_read(const struct settings *settings, const char *file, struct selection *selection,
		 struct examination *e, struct error *err)
{
	if (settings->bpffs[0] != '/')
		return error_usage(err, "--bpffs %s: give an absolute path", settings->bpffs);
	e->planned = file != NULL;
	if (file && definitions_read(file, &e->file, err))
		return -1;
	collect_machine(settings->bpffs, settings->state, &e->report);
	read_state(settings, e);
	read_maps(settings, e);
	if (check_names(selection, e, err))
		return -1;
	if (file)
		definitions_warn(file, &e->file, selection_scope(selection));
	return 0;
}

/* Without the agent, all that there is since the routers are attached. */
static void look_for_silent(const struct scope *scope, struct examination *e)
{
	vec_each (t, &e->model.tenants) {
		const struct router_row *row = examination_row(e, t);
		struct silent silent;
		struct tn_drops drops;

		if (!row || !scope_has(scope, t->name) || dataplane_drops(e->dp, row->id, &drops) ||
		    !drops.packets[TN_DROP_SPOOFED_SOURCE])
			continue;
		silent = traffic_silent(e->dp, &e->kernel, row->id);
		doctor_silent(t, drops.packets[TN_DROP_SPOOFED_SOURCE], &silent, &e->findings);
	}
}

/* What the agent has noted of the last minute. */
static void look_for_spoofed(const struct settings *settings, const struct scope *scope,
			     struct examination *e)
{
	_cleanup_traffic_log_ struct traffic_log log = { 0 };
	_cleanup_traffic_ struct traffic now = { 0 };
	const struct traffic *then;
	char agent[PATH_MAX];

	snprintf(agent, sizeof(agent), "%s/agent", settings->state);
	if (!e->dp || e->planned)
		return;
	if (!file_holder(agent)) {
		look_for_silent(scope, e);
		return;
	}
	traffic_log_read(settings->state, &log);
	traffic_read(e->dp, &e->kernel, &now);
	then = traffic_log_minute(&log, now.at);
	vec_each (t, &e->model.tenants) {
		if (then && scope_has(scope, t->name) && t->router)
			doctor_spoofed(t, traffic_between(then, &now, t->name).spoofed,
				       (now.at - then->at + 500) / 1000, &e->findings);
	}
}

/* By what the process that elects has written down: etcd is not asked. */
static void look_at_elections(const struct settings *settings, const struct scope *scope,
			      struct examination *e)
{
	if (e->planned)
		return;
	elections_read(settings->state, &e->elections);
	vec_each (t, &e->model.tenants) {
		if (scope_has(scope, t->name))
			examine_elected(&e->elections, t, examination_row(e, t), &e->findings);
	}
}

/* By what the process that takes flows has written down. */
static void look_for_unheard(const struct settings *settings, const struct scope *scope,
			     struct examination *e)
{
	_cleanup_streamed_ struct streamed streamed = { 0 };

	if (e->planned)
		return;
	streamed_read(settings->state, &streamed);
	vec_each (t, &e->model.tenants) {
		const struct streamed_router *r = streamed_find(&streamed, t->name);
		uint64_t age = r ? streamed_age(&streamed, r, clock_ms()) : 0;

		if (r && r->standby && age >= STREAMED_SILENT && scope_has(scope, t->name))
			doctor_unheard(t, (int64_t)age / 1000, &e->findings);
	}
}

/* Those that this host enforces. */
static void look_for_ends(const struct scope *scope, struct examination *e)
{
	const struct model *m = looked_at(e);

	vec_each (t, &m->tenants) {
		if (t->router && scope_has(scope, t->name))
			doctor_ends(t, m->file, time(NULL), &e->findings);
	}
}

void examine_look(const struct settings *settings, const struct scope *scope, struct examination *e)
{
	look_for_drift(settings, scope, e);
	doctor_machine(&e->report, &e->findings);
	e->is_imported = !e->planned && imported_read(settings->state, &e->imported);
	if (e->is_imported)
		doctor_imported(&e->imported, time(NULL), &e->findings);
	progress_begin("tenants examined", looked_at(e)->tenants.n);
	vec_each (t, &looked_at(e)->tenants) {
		if (scope_has(scope, t->name) && t->router)
			examine_router(looked_at(e), t, examination_row(e, t), e->planned,
				       &e->findings);
		progress_step(1);
	}
	progress_end();
	look_for_ends(scope, e);
	look_for_spoofed(settings, scope, e);
	look_at_elections(settings, scope, e);
	look_for_unheard(settings, scope, e);
}

int examine(const struct settings *settings, const char *file, struct selection *selection,
	    struct examination *e, struct error *err)
{
	if (examine_read(settings, file, selection, e, err))
		return -1;
	examine_look(settings, selection_scope(selection), e);
	return 0;
}

/* ------------------------------------------------------------ the verdict */

bool diagnosed_is_about(const struct diagnosed *f, const char *tenant)
{
	return tenant ? f->tenant && strcmp(f->tenant, tenant) == 0 : !f->tenant;
}

size_t examination_problems(const struct examination *e, const char *tenant)
{
	size_t n = 0;

	vec_each (f, &e->findings.list)
		n += f->severity == SEVERITY_PROBLEM && diagnosed_is_about(f, tenant);
	return n;
}

bool examination_is_well(const struct examination *e, const struct tenant *t)
{
	enum standing standing = standing_of(t, examination_row(e, t));

	return (standing == STANDING_ATTACHED || standing == STANDING_STANDBY ||
		standing == STANDING_ELSEWHERE) &&
	       !examination_problems(e, t->name);
}

size_t examination_unwell(const struct examination *e, const struct scope *scope)
{
	size_t n = 0;

	vec_each (t, &e->model.tenants)
		n += scope_has(scope, t->name) && !examination_is_well(e, t);
	return n;
}

/* What was not found out, and without which nothing can be called well; NULL: nothing. */
static const struct diagnosed *unknown(const struct examination *e)
{
	vec_each (f, &e->findings.list) {
		if (f->severity == SEVERITY_UNCHECKED &&
		    (f->id == FINDING_STATE || f->id == FINDING_MAPS || f->id == FINDING_DRIFT))
			return f;
	}
	return NULL;
}

int examination_judge(const struct examination *e, const struct scope *scope, struct error *err)
{
	const struct diagnosed *f = unknown(e);
	size_t tenants = examination_unwell(e, scope), machine = examination_problems(e, NULL);

	if (e->report.state_error.set)
		return error_set(err, "cannot tell what is to be: %s", e->report.state_error.text);
	if (!e->model.subnets.n)
		return error_set(err,
				 "nothing was applied on this host yet; run `tenantnat apply`");
	if (tenants)
		return error_set(err, "not well: %zu %s; `tenantnat doctor` has all that was found",
				 tenants, plural(tenants, "tenant", "tenants"));
	if (machine)
		return error_set(
			err,
			"not well: the machine has %zu %s; `tenantnat doctor` has all that "
			"was found",
			machine, plural(machine, "problem", "problems"));
	return f ? error_set(err, "cannot tell whether all is well: %s", f->seen) : 0;
}
