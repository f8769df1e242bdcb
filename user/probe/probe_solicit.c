/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_solicit.h"

#include "probe/probe_interface.h"
#include "probe/probe_run.h"

/* Only what is on the link for the peer: it would not solicit anything else. */
static int ask_for(struct probe_run *run, const struct tn_addr *target, struct error *err)
{
	const struct router_row *asker = run->in->asker;
	struct next_hop next_hop;

	if (route_query(target, &next_hop, err))
		return -1;
	if (next_hop.ifindex == asker->ifindex && addr_is_unset(&next_hop.gateway) &&
	    !next_hop.local)
		*vec_push(&run->solicits.list) =
			(struct neigh_query){ .target = *target, .sender = asker->own[IPV6] };
	return 0;
}

/* What any solicitation finds, mapped or not: the kernel itself has joined its group. */
static int ask_for_own(struct probe_run *run, struct error *err)
{
	vec_each (own, &run->in->own) {
		if (!addr_is_v4(own) && !run->solicits.list.n && ask_for(run, own, err))
			return -1;
	}
	run->controls = run->solicits.list.n;
	return 0;
}

static int ask_for_all(struct probe_run *run, const uint8_t mac[6], struct error *err)
{
	if (neigh_queries_open(&run->solicits, run->in->asker->ifindex, mac, err) ||
	    ask_for_own(run, err))
		return -1;
	vec_each (a, &run->in->solicited) {
		if (ask_for(run, a, err))
			return -1;
	}
	return neigh_queries_send(&run->solicits, err);
}

void probe_solicit(struct probe_run *run)
{
	uint8_t mac[6];

	if (!run->down && probe_mac(run->in->asker->ifindex, mac) == 0)
		ask_for_all(run, mac, &run->solicit_error);
}

static void judge(struct probe_run *run, const struct neigh_query *v, size_t n)
{
	const char *who = run->in->asker->tenant;
	size_t silent = 0, first = 0;
	struct finding *f;
	char subject[40];

	for (size_t i = 0; i < n; i++) {
		if (!v[i].answered && !silent++)
			first = i;
	}
	snprintf(subject, sizeof(subject), "%zu %s", n, n == 1 ? "address" : "addresses");
	if (!silent) {
		findings_add(&run->found, PROBE_SOLICITATION, PROBE_OK, subject,
			     "%s finds them by multicast", who);
		return;
	}
	f = findings_add(&run->found, PROBE_SOLICITATION, PROBE_FAILED, subject,
			 "expected answers to neighbour solicitations that %s sends by multicast; "
			 "seen: none for %zu of them, %s the first",
			 who, silent, ADDR(&v[first].target));
	finding_remedy(f,
		       "`tenantnat restore` joins their groups again; else what is between %s and "
		       "%s filters groups (MLD snooping): it has to hand on ff02::1:ff00:0/104, as "
		       "a Linux bridge does to a port with `mcast_router 2`",
		       who, run->in->name);
}

void probe_judge_solicited(struct probe_run *run)
{
	const struct neigh_queries *queries = &run->solicits;
	const char *why = NULL;

	if (!run->in->solicited.n)
		return;
	if (run->solicit_error.set)
		why = run->solicit_error.text;
	else if (!run->in->asker)
		why = "no other router of this machine that is up has an IPv6 address on the "
		      "shared network: no router can ask";
	else if (queries->fd < 0)
		why = "the next router has just gone";
	else if (queries->list.n == run->controls)
		why = "for the next router they are not on the link";
	else if (run->controls && !queries->list.v[0].answered)
		why = "the next router does not find this one's own address either";
	if (why)
		findings_add(&run->found, PROBE_SOLICITATION, PROBE_SKIPPED, run->in->name, "%s",
			     why);
	else
		judge(run, queries->list.v + run->controls, queries->list.n - run->controls);
}
