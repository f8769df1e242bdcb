/* SPDX-License-Identifier: GPL-2.0-only */
/* What was counted of a router, and heard of its other hosts. */
#include <inttypes.h>

#include "doctor/doctor_internal.h"
#include "lib/output.h"

static void judge_elected(const struct tenant *t, const struct elections *known, bool standby,
			  struct diagnosis *out)
{
	const struct elected *one = elections_of(known, t->name);
	bool held = one && one->holder;

	if (!known->runs)
		remedy(diagnosis_add(out, FINDING_ACTIVE, SEVERITY_PROBLEM, NULL,
				     "no agent on this host takes part in its election, so this "
				     "host is never active for it"),
		       "run the agent (`systemctl enable --now tenantnat-agent`), on a host that "
		       "is in a cluster (`tenantnat cluster join`)");
	else if (!known->connected && standby)
		remedy(diagnosis_add(out, FINDING_ACTIVE, SEVERITY_PROBLEM, NULL,
				     "etcd is not reached, so this host cannot be elected, and it "
				     "is not known who is active"),
		       "`tenantnat cluster status` says why; without etcd nobody stays active");
	else if (!held)
		remedy(diagnosis_add(out, FINDING_ACTIVE, SEVERITY_PROBLEM, NULL,
				     "no host is active for it"),
		       "see on its hosts why: `tenantnat status %s`, and what the agent has "
		       "logged",
		       t->name);
	else
		diagnosis_add(out, FINDING_ACTIVE, SEVERITY_FINE, NULL, "%s is elected%s",
			      one->holder, standby ? ", and this host a standby" : "");
}

void doctor_elected(const struct tenant *t, const struct elections *known, bool standby,
		    struct diagnosis *out)
{
	out->tenant = t->name;
	judge_elected(t, known, standby, out);
	out->tenant = NULL;
}

void doctor_unheard(const struct tenant *t, int64_t seconds, struct diagnosis *out)
{
	char text[DURATION_TEXT];

	out->tenant = t->name;
	remedy(diagnosis_add(out, FINDING_HANDOVER, SEVERITY_WARNING, NULL,
			     "no flows have come from another host for %s: a takeover ends "
			     "connections of VMs that only receive",
			     duration_text(seconds, text)),
	       "see that the agent runs on the host where the router is active, and that it "
	       "reaches the address where this one takes flows, which `tenantnat cluster status` "
	       "has");
	out->tenant = NULL;
}

static void advise_about_sources(struct diagnosed *f, const struct tenant *t)
{
	remedy(f,
	       "`tenantnat check %s` asks the VMs; `tenantnat monitor` shows whose packets these "
	       "are. Have the VM answer by the network card that it was asked by, or write "
	       "`sources: loose` into the router's definition, and apply%s",
	       t->name,
	       t->router->inside_routes.n
		       ? "; if these are of VMs that send by a gateway of `inside-routes`, no "
			 "inside interface may have an address in their network"
		       : "");
}

void doctor_spoofed(const struct tenant *t, uint64_t packets, unsigned int seconds,
		    struct diagnosis *out)
{
	if (!packets || t->router->sources == SOURCES_LOOSE)
		return;
	out->tenant = t->name;
	advise_about_sources(
		diagnosis_add(
			out, FINDING_SOURCES, SEVERITY_WARNING, NULL,
			"%" PRIu64 " packets of the last %u seconds were dropped as "
			"spoofed-source: who sent them has an address that belongs elsewhere, "
			"such as a VM with network cards in two subnets and one default route",
			packets, seconds),
		t);
	out->tenant = NULL;
}

void doctor_silent(const struct tenant *t, uint64_t packets, const struct silent *silent,
		   struct diagnosis *out)
{
	char others[64] = "";

	if (!packets || !silent->n || t->router->sources == SOURCES_LOOSE)
		return;
	if (silent->n > 1)
		snprintf(others, sizeof(others), ", and %zu other VMs alike", silent->n - 1);
	out->tenant = t->name;
	advise_about_sources(
		diagnosis_add(out, FINDING_SOURCES, SEVERITY_WARNING, NULL,
			      "%s was sent %" PRIu64 " packets and sent none%s, while %" PRIu64
			      " packets were dropped as spoofed-source: a VM with network cards in "
			      "two subnets and one default route answers by the other one",
			      ADDR(&silent->fixed), silent->packets, others, packets),
		t);
	out->tenant = NULL;
}
