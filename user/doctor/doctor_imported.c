/* SPDX-License-Identifier: GPL-2.0-only */
/* What whoever reads Neutron has noted. */
#include <inttypes.h>
#include <time.h>

#include "doctor/doctor_internal.h"

/* More of what is left out is only counted. */
#define LISTED 20

static void judge_failing(const struct imported *im, int64_t now, struct diagnosis *out)
{
	int64_t seconds = now - im->failing_since;

	remedy(diagnosis_add(out, FINDING_NEUTRON, SEVERITY_WARNING, NULL,
			     "for %" PRId64 " seconds nothing of Neutron (%s) has come in force: "
			     "%s",
			     seconds > 0 ? seconds : 0, im->source ? im->source : "?",
			     im->failing ? im->failing : "?"),
	       "traffic goes on by what is in force; `tenantnat neutron --dry-run` tries it once");
}

void doctor_imported(const struct imported *im, int64_t now, struct diagnosis *out)
{
	if (im->failing_since)
		judge_failing(im, now, out);
	else if (!im->findings.n)
		diagnosis_add(out, FINDING_NEUTRON, SEVERITY_FINE, NULL,
			      "what it said %" PRId64 " seconds ago is in force",
			      now > im->read_at ? now - im->read_at : 0);
	for (size_t i = 0; i < im->findings.n && i < LISTED; i++)
		diagnosis_add(out, FINDING_NEUTRON, SEVERITY_WARNING, NULL, "%s",
			      im->findings.v[i]);
	if (im->findings.n > LISTED)
		diagnosis_add(out, FINDING_NEUTRON, SEVERITY_WARNING, NULL, "and %zu more",
			      im->findings.n - LISTED);
}
