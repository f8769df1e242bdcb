/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filling in the reports that doctor.h judges. Nothing is changed, no lock is taken, and what
 * cannot be found out does not keep the rest from being looked at.
 */
#ifndef TN_COLLECT_H
#define TN_COLLECT_H

#include "dataplane/dataplane.h"
#include "doctor/doctor.h"

/* The kernel, its file systems and the privileges of this process. The rest is the caller's. */
void collect_machine(const char *bpffs, const char *state, struct machine_report *out);

/*
 * The router of a tenant. `row`: what the maps say of it, NULL when nothing. `planned`: by a file
 * that is not in force yet. The report is the caller's to free, and borrows model and tenant.
 */
void collect_router(const struct model *m, const struct tenant *t, const struct router_row *row,
		    bool planned, struct router_report *out);

#endif
