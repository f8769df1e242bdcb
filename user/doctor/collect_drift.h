/* SPDX-License-Identifier: GPL-2.0-only */
/* What `restore` would do now, found out by a dry run of it: without a lock, and nothing changes.
 */
#ifndef TN_COLLECT_DRIFT_H
#define TN_COLLECT_DRIFT_H

#include "change/change.h"
#include "doctor/doctor.h"

/* `scope`: of these tenants alone; NULL: of all. The caller's to free. */
void collect_drift(const struct settings *settings, const struct scope *scope, struct drift *out);

#endif
