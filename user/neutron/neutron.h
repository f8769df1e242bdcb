/* SPDX-License-Identifier: GPL-2.0-only */
/* From a cloud's API to definitions, in one call. */
#ifndef TN_NEUTRON_H
#define TN_NEUTRON_H

#include "neutron/definitions.h"

/* Where to ask, and for whom. All may be NULL. */
struct neutron_source {
	const char *cloud; /* of clouds.yaml: see cloud_find() */
	const char *url;   /* of Neutron, without Keystone */
	const char *host;  /* what Neutron calls this one; NULL: its host name */
};

#ifndef TN_WITHOUT_NEUTRON

#define NEUTRON_HELP ""

/*
 * The definitions are the caller's to free, and pass the checks of a file. Findings are added. -1:
 * an error is set, and *out is empty.
 */
int neutron_model(const struct neutron_source *from, struct model *out,
		  struct neutron_findings *findings, struct error *err);

#else /* make NEUTRON=no: without the rest of this folder */

#define NEUTRON_HELP "\n(not in this build: NEUTRON=no)"

static inline int neutron_model(const struct neutron_source *from, struct model *out,
				struct neutron_findings *findings, struct error *err)
{
	(void)from, (void)out, (void)findings;
	return error_usage(err, "this build cannot ask Neutron: it was made with NEUTRON=no");
}

#endif

#endif
