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

/* What there was to be had of definitions and maps; each may be missing without the other. */
struct examination {
	struct model model; /* the definitions in force */
	struct model file;  /* with a file: what is looked at instead */
	bool planned;	    /* there is one */
	struct dataplane *dp;
	struct kernel_state kernel;
	struct machine_report report;
	struct diagnosis findings;
};

/*
 * Of the machine, and of the routers of these tenants; `scope` NULL: of all. With a file, the
 * routers that it defines. Errors are about the request alone: what is wrong is in the findings.
 * `out` is the caller's to free, also on failure.
 */
int examine(const struct settings *settings, const char *file, const struct scope *scope,
	    struct examination *out, struct error *err);
void examination_free(struct examination *e);
#define _cleanup_examination_ _cleanup_(examination_free)

/* The row of the tenant's router in the maps; NULL: it has none. */
const struct router_row *examination_row(const struct examination *e, const struct tenant *t);

/* Only the router of one tenant, which has one; `row` as above. Adds to `out`. */
void examine_router(const struct model *m, const struct tenant *t, const struct router_row *row,
		    bool planned, struct diagnosis *out);

#endif
