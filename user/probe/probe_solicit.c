/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_solicit.h"

#include "lib/clock.h"
#include "probe/probe_interface.h"
#include "probe/probe_run.h"

/* Addresses that are spoken from: the first one and the last one, behind the router's own. */
enum { OWN_SOURCE, FIRST_SOURCE, LAST_SOURCE, SOURCES_MAX };

/* Only what is on the link for the peer: it would not ask for anything else. */
static int ask_for(struct probe_run *run, int family, const struct tn_addr *target,
		   struct error *err)
{
	const struct router_row *asker = run->in->asker[family];
	struct next_hop next_hop;

	if (route_query(target, &next_hop, err))
		return -1;
	if (next_hop.ifindex == asker->ifindex && addr_is_unset(&next_hop.gateway) &&
	    !next_hop.local)
		*vec_push(&run->asking[family].queries.list) =
			(struct neigh_query){ .target = *target, .sender = asker->own[family] };
	return 0;
}

static const struct tn_addr *own_of(const struct probe_input *in, int family)
{
	vec_each (own, &in->own) {
		if (addr_family(own) == family)
			return own;
	}
	return NULL;
}

/* The router's own address is what any question finds: the kernel itself answers for it. */
static int ask_for_all(struct probe_run *run, int family, struct error *err)
{
	const struct tn_addr *own = own_of(run->in, family);

	if (own && ask_for(run, family, own, err))
		return -1;
	run->asking[family].controls = run->asking[family].queries.list.n;
	vec_each (a, &run->in->solicited) {
		if (addr_family(a) == family && ask_for(run, family, a, err))
			return -1;
	}
	return neigh_queries_send(&run->asking[family].queries, err);
}

void probe_solicit(struct probe_run *run, int family)
{
	const struct router_row *asker = run->in->asker[family];
	struct asking *asking = &run->asking[family];
	uint8_t mac[6];

	if (run->down || probe_mac(asker->ifindex, mac))
		return;
	if (neigh_queries_open(&asking->queries, asker->ifindex, mac, &asking->error) == 0 &&
	    echoes_open(&asking->echoes, asker->ifindex, mac, &asking->error) == 0)
		ask_for_all(run, family, &asking->error);
}

void probe_solicit_again(struct probe_run *run)
{
	for (int family = 0; family < FAMILIES; family++) {
		struct asking *asking = &run->asking[family];

		if (!asking->error.set)
			neigh_queries_send(&asking->queries, &asking->error);
	}
}

void probe_solicit_collect(struct probe_run *run, unsigned long long until)
{
	for (int family = 0; family < FAMILIES; family++) {
		struct asking *asking = &run->asking[family];

		if (asking->queries.list.n && !asking->error.set)
			neigh_queries_collect(&asking->queries, clock_left(until), &asking->error);
	}
}

void probe_solicit_free(struct probe_run *run)
{
	for (int family = 0; family < FAMILIES; family++) {
		neigh_queries_free(&run->asking[family].queries);
		echoes_free(&run->asking[family].echoes);
	}
}

/* ------------------------------------------------------------ what was found */

static const char *family_name(int family)
{
	return family == IPV4 ? "IPv4" : "IPv6";
}

static const struct tn_addr *solicited(const struct probe_input *in, int family, bool last)
{
	const struct tn_addr *found = NULL;

	vec_each (a, &in->solicited) {
		if (addr_family(a) == family && (last || !found))
			found = a;
	}
	return found;
}

/* NULL: it could ask. */
static const char *why_not(const struct probe_run *run, int family, char *text, size_t size)
{
	const struct asking *asking = &run->asking[family];

	if (asking->error.set)
		return asking->error.text;
	if (run->in->asker[family])
		return asking->queries.fd < 0 ? "the next router has just gone" : NULL;
	snprintf(text, size,
		 "no other router of this machine that is up has an %s address on the shared "
		 "network: "
		 "no router can ask",
		 family_name(family));
	return text;
}

static void judge(struct probe_run *run, int family, const struct neigh_query *v, size_t n)
{
	const char *who = run->in->asker[family]->tenant;
	size_t silent = 0, first = 0;
	struct finding *f;
	char subject[40];

	for (size_t i = 0; i < n; i++) {
		if (!v[i].answered && !silent++)
			first = i;
	}
	snprintf(subject, sizeof(subject), "%zu %s %s", n, family_name(family),
		 plural(n, "address", "addresses"));
	if (!silent) {
		findings_add(&run->found, PROBE_SOLICITATION, PROBE_OK, subject,
			     "%s finds them by %s", who, family == IPV4 ? "ARP" : "multicast");
		return;
	}
	f = findings_add(
		&run->found, PROBE_SOLICITATION, PROBE_FAILED, subject,
		"expected answers to %s that %s sends%s; seen: none for %zu of them, %s the "
		"first",
		family == IPV4 ? "ARP requests" : "neighbour solicitations", who,
		family == IPV4 ? "" : " by multicast", silent, ADDR(&v[first].target));
	if (family == IPV4)
		finding_remedy(
			f,
			"`tenantnat restore` puts the programs back that answer; else a filter "
			"between %s and %s lets ARP for the router alone through: let its pool "
			"pass, too (`openstack port set --allowed-address ip-address=POOL PORT`)",
			run->in->name, who);
	else
		finding_remedy(
			f,
			"`tenantnat restore` joins their groups again; else what is between %s "
			"and %s filters groups (MLD snooping): it has to hand on "
			"ff02::1:ff00:0/104, as a Linux bridge does to a port with "
			"`mcast_router 2`; or it lets the router alone answer: let its pool pass, "
			"too",
			who, run->in->name);
}

static void judge_family(struct probe_run *run, int family)
{
	const struct asking *asking = &run->asking[family];
	const struct neigh_queries *queries = &asking->queries;
	char text[160], subject[40];
	const char *why = why_not(run, family, text, sizeof(text));

	if (!solicited(run->in, family, false))
		return;
	if (!why && queries->list.n == asking->controls)
		why = "for the next router they are not on the link";
	else if (!why && asking->controls && !queries->list.v[0].answered)
		why = "the next router does not find this one's own address either";
	snprintf(subject, sizeof(subject), "%s addresses", family_name(family));
	if (why)
		findings_add(&run->found, PROBE_SOLICITATION, PROBE_SKIPPED, subject, "%s", why);
	else
		judge(run, family, queries->list.v + asking->controls,
		      queries->list.n - asking->controls);
}

void probe_judge_solicited(struct probe_run *run)
{
	for (int family = 0; family < FAMILIES; family++)
		judge_family(run, family);
}

/* ------------------------------------------------------------ sources */

/*
 * To the peer, whose MAC address is known: no question precedes it, and nobody answers. A filter
 * that drops answers to nothing drops that of the router itself, too.
 */
static size_t speak(struct probe_run *run, int family, struct echo v[SOURCES_MAX])
{
	const struct router_row *asker = run->in->asker[family];
	const struct tn_addr *from[SOURCES_MAX] = {
		[OWN_SOURCE] = own_of(run->in, family),
		[FIRST_SOURCE] = solicited(run->in, family, false),
		[LAST_SOURCE] = solicited(run->in, family, true),
	};
	struct asking *asking = &run->asking[family];
	struct echo *list[SOURCES_MAX];
	size_t n = 0;

	if (!from[OWN_SOURCE] ||
	    echoes_open(&asking->echoes, run->in->ifindex, run->in->mac, &asking->error))
		return 0;
	for (size_t i = 0; i < SOURCES_MAX; i++) {
		if (!from[i] || (i == LAST_SOURCE && from[i] == from[FIRST_SOURCE]))
			continue;
		v[n] = (struct echo){ .src = *from[i],
				      .dst = asker->own[family],
				      .port = asking->echoes.ports.n - 1 };
		memcpy(v[n].to, asker->mac, sizeof(v[n].to));
		list[n] = &v[n];
		n++;
	}
	asking->echoes.arrivals = true;
	echoes_ask(&asking->echoes, list, n, PROBE_PING_TRIES, patient(run->in, PROBE_PING_MS));
	return n;
}

static bool is_on_link(const struct probe_run *run, const struct tn_addr *peer)
{
	struct error ignored = { 0 };
	struct next_hop next_hop;

	return route_query(peer, &next_hop, &ignored) == 0 &&
	       next_hop.ifindex == run->in->ifindex && addr_is_unset(&next_hop.gateway);
}

static void judge_sources(struct probe_run *run, const struct probe_host *peer,
			  const struct echo *v, size_t n)
{
	size_t lost = n;
	struct finding *f;

	for (size_t i = n; i-- > FIRST_SOURCE;)
		lost = v[i].answered ? lost : i;
	if (!v[OWN_SOURCE].answered) {
		findings_add(&run->found, PROBE_SOURCE, PROBE_SKIPPED, HOST(peer),
			     "it does not hear the router's own address either");
	} else if (lost == n) {
		findings_add(&run->found, PROBE_SOURCE, PROBE_OK, HOST(peer),
			     "it hears what is sent from mapped addresses");
	} else {
		f = findings_add(&run->found, PROBE_SOURCE, PROBE_FAILED, HOST(peer),
				 "expected it to hear what is sent from %s; seen: it hears the "
				 "router's own address alone",
				 ADDR(&v[lost].src));
		finding_remedy(
			f,
			"a filter between them knows the router, but not its pool: let the pool "
			"pass the port of %s, too (`openstack port set --allowed-address "
			"ip-address=POOL PORT`, IP filters of libvirt and Proxmox)",
			run->in->name);
	}
}

static void probe_sources_of(struct probe_run *run, int family)
{
	const struct router_row *asker = run->in->asker[family];
	struct echo v[SOURCES_MAX] = { 0 };
	struct probe_host peer;
	char text[160], subject[40];
	const char *why = why_not(run, family, text, sizeof(text));
	size_t n;

	if (!solicited(run->in, family, false))
		return;
	if (!why && !run->in->guarded)
		why = "programs of the router are missing";
	if (!why && !is_on_link(run, &asker->own[family]))
		why = "the next router is not on the link";
	if (!why) {
		n = speak(run, family, v);
		peer = (struct probe_host){ .addr = asker->own[family], .who = asker->tenant };
		if (n) {
			judge_sources(run, &peer, v, n);
			return;
		}
		why = run->asking[family].error.set
			      ? run->asking[family].error.text
			      : "the router has no address of that family on the shared network";
	}
	snprintf(subject, sizeof(subject), "%s addresses", family_name(family));
	findings_add(&run->found, PROBE_SOURCE, PROBE_SKIPPED, subject, "%s", why);
}

void probe_sources(struct probe_run *run)
{
	for (int family = 0; family < FAMILIES; family++)
		probe_sources_of(run, family);
}
