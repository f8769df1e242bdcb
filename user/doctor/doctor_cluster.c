// SPDX-License-Identifier: GPL-2.0-only
#include "doctor/doctor_cluster.h"

#include "cluster/overview.h"
#include "doctor/doctor_internal.h"

static int read_membership(const struct settings *settings, struct membership *m)
{
	_cleanup_store_ struct store *store = NULL;
	struct error ignored = { 0 }; /* another finding is about the state */

	return store_open(settings->state, STORE_READ, 0, settings->command, &store, &ignored)
		       ? -1
		       : store_membership(store, m, &ignored);
}

static void judge_members(const struct overview *o, struct diagnosis *out)
{
	vec_each (m, &o->members) {
		if (m->why)
			remedy(diagnosis_add(out, FINDING_CLUSTER, SEVERITY_WARNING, NULL,
					     "etcd at %s: %s", m->url, m->why),
			       "see to that etcd; `tenantnat cluster status` shows all members");
	}
}

static void judge_host(const struct membership *m, const struct overview *o, struct diagnosis *out)
{
	vec_each (h, &o->hosts) {
		if (strcmp(h->name, m->host) == 0 && h->state != HOST_CURRENT)
			remedy(diagnosis_add(out, FINDING_CLUSTER, SEVERITY_WARNING, NULL,
					     "this host, %s, is %s in the cluster", h->name,
					     host_state_name(h->state)),
			       h->state == HOST_SILENT
				       ? "run the agent"
				       : "`tenantnat cluster sync` says what keeps it from that");
	}
}

void doctor_cluster(const struct settings *settings, struct diagnosis *out)
{
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_overview_ struct overview o = { 0 };
	size_t before = out->list.n;
	struct error err = { 0 };

	if (read_membership(settings, &m) <= 0)
		return;
	if (overview_read(&m, &o, &err)) {
		diagnosis_add_error(out, FINDING_CLUSTER, SEVERITY_WARNING, &err);
		return;
	}
	judge_members(&o, out);
	judge_host(&m, &o, out);
	vec_each (problem, &o.problems) {
		error_set(&err, "%s", *problem);
		diagnosis_add_error(out, FINDING_CLUSTER, SEVERITY_WARNING, &err);
		err = (struct error){ 0 };
	}
	if (out->list.n == before)
		diagnosis_add(out, FINDING_CLUSTER, SEVERITY_FINE, NULL, "as it should be");
}
