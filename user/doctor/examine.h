/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The examination of a machine and its routers, once for all who judge by it: `doctor` lists what
 * it finds, `status` and `show` say by it what is well. Nothing is changed, and no lock is taken.
 */
#ifndef TN_EXAMINE_H
#define TN_EXAMINE_H

#include "dataplane/dataplane.h"
#include "doctor/doctor.h"
#include "lib/settings.h"
#include "model/selection.h"

/* What there was to be had of definitions and maps; each may be missing without the other. */
struct examination {
	struct model model; /* the definitions in force */
	struct model file;  /* with a file: what is looked at instead */
	bool planned;	    /* there is one */
	struct dataplane *dp;
	struct kernel_state kernel;
	struct machine_report report;
	struct diagnosis findings;
	struct imported imported; /* what was noted of Neutron, where that is read */
	bool is_imported;
	struct elections elections;
};

/*
 * Of the machine, and of the routers of the tenants that are selected; a mapping stands for the
 * router before it. With a file, the routers that it defines. Errors are about the request alone:
 * what is wrong is in the findings. `out` is the caller's to free, also on failure.
 */
int examine(const struct settings *settings, const char *file, struct selection *selection,
	    struct examination *out, struct error *err);
/* The two halves of that, for who does something between them: what there is is read, and */
int examine_read(const struct settings *settings, const char *file, struct selection *selection,
		 struct examination *out, struct error *err);
/* looked at, which makes the findings. */
void examine_look(const struct settings *settings, const struct scope *scope,
		  struct examination *e);
void examination_free(struct examination *e);
#define _cleanup_examination_ _cleanup_(examination_free)

/* The row of the tenant's router in the maps; NULL: it has none, or is not here. */
const struct router_row *examination_row(const struct examination *e, const struct tenant *t);

/* Whether the finding is about that tenant; tenant NULL: about the machine. */
bool diagnosed_is_about(const struct diagnosed *f, const char *tenant);
/* Problems of that tenant, or of the machine. */
size_t examination_problems(const struct examination *e, const char *tenant);

/*
 * The verdict: a tenant is well if its router is attached (standing.h), or is on another host, and
 * there is no problem of it.
 */
bool examination_is_well(const struct examination *e, const struct tenant *t);
/* How many of the scope (NULL: of all) are not. */
size_t examination_unwell(const struct examination *e, const struct scope *scope);
/*
 * Of all together: -1 with a sentence when something is not well, when nothing was applied yet, or
 * when what has to be known could not be found out.
 */
int examination_judge(const struct examination *e, const struct scope *scope, struct error *err);

/* Only the router of one tenant, which has one; `row` as above. Adds to `out`. */
void examine_router(const struct model *m, const struct tenant *t, const struct router_row *row,
		    bool planned, struct diagnosis *out);

/* And who is elected for it, if that is how it becomes active. */
void examine_elected(const struct elections *known, const struct tenant *t,
		     const struct router_row *row, struct diagnosis *out);

#endif
