/* SPDX-License-Identifier: GPL-2.0-only */
#include <inttypes.h>

#include "doctor/doctor_internal.h"
#include "lib/output.h"
#include "model/prefixes.h"

void router_report_free(struct router_report *r)
{
	vec_each (l, &r->lookups)
		free(l->what);
	vec_free(&r->lookups);
	vec_each (s, &r->services) {
		ruleset_hits_free(&s->by);
		free(s->what);
	}
	vec_free(&r->services);
	vec_free(&r->cut_off);
	vec_free(&r->late);
	vec_free(&r->covers);
	vec_free(&r->crossings);
	vec_free(&r->uncovered);
	vec_free(&r->itself);
	vec_free(&r->in_prefix);
	vec_free(&r->marks.list);
	vec_free(&r->inside);
	vec_free(&r->vlans);
	vec_free(&r->others);
	ruleset_hits_free(&r->rules);
}

/* ------------------------------------------------------------ interfaces */

static void judge_address(const struct router_report *r, struct diagnosis *out)
{
	bool v4 = r->v4 && !r->own_v4, v6 = r->v6 && !r->own_v6;

	if ((v4 || v6) && r->planned)
		diagnosis_add(out, FINDING_ADDRESS, SEVERITY_FINE, r->shared.name,
			      "apply gives it one");
	else if (v4 || v6)
		remedy(diagnosis_add(out, FINDING_ADDRESS, SEVERITY_PROBLEM, r->shared.name,
				     "it has no %s address in the shared subnets: hosts there "
				     "cannot reach the router, and get no ICMP errors of it",
				     v4 && v6 ? "IPv4 and no IPv6"
				     : v4     ? "IPv4"
					      : "IPv6"),
		       APPLY_AGAIN ": that gives it one");
	else
		diagnosis_add(out, FINDING_ADDRESS, SEVERITY_FINE, r->shared.name, "there");
}

/* Of hosts that cannot be seen only the kernel tells, which asks the link for IPv6 addresses. */
static void judge_active(const struct router_report *r, struct diagnosis *out)
{
	if (!r->by_address)
		return;
	if (!addr_is_unset(&r->contested))
		remedy(diagnosis_add(out, FINDING_ACTIVE, SEVERITY_PROBLEM, r->shared.name,
				     "another host has its address %s, too: both want to be active",
				     ADDR(&r->contested)),
		       "see why what moves the address (keepalived, the L3 agent) gives it to "
		       "both: "
		       "most often its hosts do not hear each other; `tenantnat check %s` names "
		       "the "
		       "other by its MAC address",
		       r->tenant->name);
	else if (r->tenant->router->active == ACTIVE_ADDRESS) /* else: doctor_elected() */
		diagnosis_add(out, FINDING_ACTIVE, SEVERITY_FINE, r->shared.name, "%s",
			      r->standby ? "a standby: it has not its own address, and is silent"
					 : "active: it has its own address");
}

/* Before the join they work. */
static void judge_other_addresses(const struct router_report *r, struct diagnosis *out)
{
	vec_each (a, &r->cut_off) {
		struct prefix p = { a->addr, a->len };

		if (r->attached || r->planned)
			remedy(diagnosis_add(out, FINDING_FOREIGN, SEVERITY_PROBLEM, r->shared.name,
					     "its address %s is in no shared subnet: what comes to "
					     "it and "
					     "what it sends there is dropped",
					     ADDR(&a->addr)),
			       "`%sip addr del %s dev %s`, and put it on another interface",
			       r->enter, PREFIX(&p), r->shared.name);
	}
	if (!r->cut_off.n)
		diagnosis_add(out, FINDING_FOREIGN, SEVERITY_FINE, r->shared.name, "none");
}

static void judge_link(const struct router_report *r, const struct port *p, struct diagnosis *out)
{
	if (!p->up)
		remedy(diagnosis_add(out, FINDING_LINK, SEVERITY_PROBLEM, p->name, "it is down"),
		       "%sip link set %s up", r->enter, p->name);
	else if (!p->carrier)
		remedy(diagnosis_add(out, FINDING_LINK, SEVERITY_PROBLEM, p->name,
				     "it is up, but has no carrier"),
		       "see to its cable, or set the other end up: `ip link set PEER up`");
	else
		diagnosis_add(out, FINDING_LINK, SEVERITY_FINE, p->name, "up");
}

static void judge_offloads(const struct router_report *r, const struct port *p,
			   struct diagnosis *out)
{
	const struct ethtool *e = &p->features;

	if (p->features_error.set) {
		diagnosis_add_error(out, FINDING_OFFLOADS, SEVERITY_UNCHECKED, &p->features_error);
		return;
	}
	if (e->on[ETHTOOL_LRO])
		remedy(diagnosis_add(
			       out, FINDING_OFFLOADS, SEVERITY_PROBLEM, p->name,
			       "LRO is on: merged packets lose their sizes, and are dropped where "
			       "they are forwarded"),
		       "%sethtool -K %s lro off", r->enter, p->name);
	if (e->on[ETHTOOL_GRO_HW])
		remedy(diagnosis_add(
			       out, FINDING_OFFLOADS, SEVERITY_WARNING, p->name,
			       "rx-gro-hw is on: the card merges packets before XDP sees them, and "
			       "not every driver does that so that they can be forwarded as they "
			       "came"),
		       "%sethtool -K %s rx-gro-hw off", r->enter, p->name);
	if (!e->on[ETHTOOL_LRO] && !e->on[ETHTOOL_GRO_HW])
		diagnosis_add(out, FINDING_OFFLOADS, SEVERITY_FINE, p->name,
			      "checksums %s, segmentation %s, gro %s",
			      e->on[ETHTOOL_TX_CSUM] || e->on[ETHTOOL_TX_CSUM_V4] ? "offloaded"
										  : "not offloaded",
			      e->on[ETHTOOL_TSO] ? "offloaded" : "not offloaded",
			      e->on[ETHTOOL_GRO] ? "on" : "off");
}

/*
 * A bridge has the least MTU of its ports, unless it was given another one: a larger one says
 * nothing of them. Other masters, as that of Open vSwitch, have one that means nothing.
 */
static bool is_mismatch(const struct port *p, enum iface_relation relation, uint32_t mtu)
{
	const struct iface_other *o = &p->other[relation];
	bool peer = relation == IFACE_PEER;

	if (!o->name[0] || (!peer && strcmp(o->kind, "bridge") != 0))
		return false;
	/* what is stacked on a device may have a smaller MTU than that */
	return peer && !p->stacked ? o->mtu != mtu : o->mtu < mtu;
}

static void judge_mtu_around(const struct router_report *r, const struct port *p,
			     struct diagnosis *out)
{
	uint32_t least = p->mtu;

	for (int i = 0; i < IFACE_RELATIONS; i++) {
		const struct iface_other *o = &p->other[i];
		struct diagnosed *f;

		if (!is_mismatch(p, i, least))
			continue;
		f = diagnosis_add(out, FINDING_MTU, SEVERITY_PROBLEM, p->name,
				  "its MTU is %u, but that of %s, which it is connected to, is %u: "
				  "larger packets are silently dropped",
				  p->mtu, o->name, o->mtu);
		if (o->mtu < p->mtu)
			remedy(f,
			       p == &r->shared ? "%sip link set %s mtu %u"
					       : "`%sip link set %s mtu %u`, and the same in "
						 "the VMs",
			       r->enter, p->name, o->mtu);
		else if (!o->elsewhere || p->elsewhere_found)
			remedy(f, "%sip link set %s mtu %u",
			       o->elsewhere ? p->enter_elsewhere : r->enter, o->name, p->mtu);
		else
			remedy(f, "`ip link set %s mtu %u` in the network namespace that it is in",
			       o->name, p->mtu);
		least = o->mtu < least ? o->mtu : least;
	}
}

static void judge_mtu(const struct router_report *r, struct diagnosis *out)
{
	judge_mtu_around(r, &r->shared, out);
	vec_each (p, &r->inside) {
		judge_mtu_around(r, p, out);
		if (p->mtu > r->shared.mtu)
			remedy(diagnosis_add(
				       out, FINDING_MTU, SEVERITY_WARNING, p->name,
				       "its MTU is %u, that of %s only %u: larger packets need "
				       "path "
				       "MTU "
				       "discovery, which fails for VMs whose firewall drops ICMP",
				       p->mtu, r->shared.name, r->shared.mtu),
			       "`%sip link set %s mtu %u`, and the same in the VMs", r->enter,
			       p->name, r->shared.mtu);
		else
			diagnosis_add(out, FINDING_MTU, SEVERITY_FINE, p->name, "%u, and %u on %s",
				      p->mtu, r->shared.mtu, r->shared.name);
	}
}

/* Whether a rule opens all ports of whatever is mapped. */
static bool opens_everything(const struct tenant *t)
{
	vec_each (rule, &t->accept) {
		if (!rule->to.n && !rule->services.n)
			return true;
	}
	return false;
}

/*
 * Who names the mapping in a rule, or its ports, means the router. Else a VM may have been meant,
 * or its gateway taken for it; in any case everything that listens there is open.
 */
static void judge_itself(const struct router_report *r, struct diagnosis *out)
{
	bool open = opens_everything(r->tenant);

	vec_each (m, &r->itself) {
		const char *name = (*m)->name ? (*m)->name : ADDR(&(*m)->fixed);

		if (!open) {
			diagnosis_add(out, FINDING_ITSELF, SEVERITY_FINE, NULL,
				      "%s: %s is an address of the router, which answers itself",
				      name, ADDR(&(*m)->fixed));
			continue;
		}
		remedy(diagnosis_add(out, FINDING_ITSELF, SEVERITY_WARNING, NULL,
				     "%s: %s is an address of the router, and `accept` opens all "
				     "of its ports with those of the VMs",
				     name, ADDR(&(*m)->fixed)),
		       "write a `to` with the VMs into the rules that have neither `to` nor "
		       "`ports`, and give %s a rule of its own; or map the address of a VM, if one "
		       "was meant",
		       name);
	}
}

/* In a prefix it is rarely meant, and the rules for the VMs open it, too. */
static void judge_in_prefix(const struct router_report *r, struct diagnosis *out)
{
	vec_each (own, &r->in_prefix)
		remedy(diagnosis_add(
			       out, FINDING_ITSELF, SEVERITY_WARNING, NULL,
			       "%s: %s is an address of the router, and the rules for the prefix "
			       "open what listens there",
			       FIXED(own->mapping), ADDR(&own->addr)),
		       "add %s to `except` of the prefix; or give it a mapping of its own, if it "
		       "is to "
		       "be reached",
		       ADDR(&own->addr));
}

/* With the same subnet, or a part of it, on both sides, the router itself cannot tell them apart.
 */
static void judge_covers(const struct router_report *r, struct diagnosis *out)
{
	vec_each (c, &r->covers) {
		bool wider = c->network.len < c->subnet.len;
		struct diagnosed *f;

		if (wider && c->answered)
			continue;
		f = diagnosis_add(out, FINDING_COVERS, SEVERITY_PROBLEM, c->name,
				  "its network %s %s the shared subnet %s: VMs there ask their own "
				  "link for shared addresses, and never send to the router",
				  PREFIX(&c->network), wider ? "covers" : "is within",
				  PREFIX(&c->subnet));
		if (wider && addr_is_v4(&c->gate))
			remedy(f,
			       "`%ssysctl -w net/ipv4/conf/%s/proxy_arp=1` has the router answer "
			       "for them; or `ip route add %s via %s` in each VM; better, another "
			       "network",
			       r->enter, c->name, PREFIX(&c->subnet), ADDR(&c->gate));
		else if (wider)
			remedy(f,
			       "`ip route add %s via %s` in each VM; better, give them another "
			       "network",
			       PREFIX(&c->subnet), ADDR(&c->gate));
		else
			remedy(f, "give the VMs another network, or the shared network another "
				  "subnet");
	}
	if (!r->covers.n)
		diagnosis_add(out, FINDING_COVERS, SEVERITY_FINE, NULL,
			      "none has to do with a shared subnet");
}

/*
 * What is only in the gateway's network may send to the router itself: that it does not, its drops
 * show (doctor_spoofed(), doctor_silent()), and a probe (check).
 */
static bool judge_on_link(const struct router_report *r, struct diagnosis *out)
{
	const struct on_link *l = &r->on_link;
	const struct router *router = r->tenant->router;
	char text[ON_LINK_TEXT];

	if (!l->n || !l->covered)
		return false;
	remedy(diagnosis_add(out, FINDING_SOURCES,
			     router->sources == SOURCES_STRICT ? SEVERITY_PROBLEM
							       : SEVERITY_WARNING,
			     l->name, "%s", on_link_text(l, router, text)),
	       ON_LINK_REMEDY, l->name);
	return true;
}

/* Which VM is where is not known: what is dropped depends on that. */
static void judge_sources(const struct router_report *r, struct diagnosis *out)
{
	bool on_link = judge_on_link(r, out);

	if (r->tenant->router->sources != SOURCES_LOOSE) {
		vec_each (c, &r->crossings)
			remedy(diagnosis_add(out, FINDING_SOURCES, SEVERITY_WARNING, c->other,
					     "%s is in its network %s, but answers to it go by %s: "
					     "what it sends by %s is dropped (`sources: %s`)",
					     ADDR(&c->vm), PREFIX(&c->network), c->one, c->other,
					     sources_name(r->tenant->router->sources)),
			       "have one interface alone lead to %s, or write `sources: loose` "
			       "into "
			       "the router's definition, and apply",
			       PREFIX(&c->network));
	}
	if (!on_link && (r->tenant->router->sources == SOURCES_LOOSE || !r->crossings.n))
		diagnosis_add(out, FINDING_SOURCES, SEVERITY_FINE, NULL, "%s",
			      sources_name(r->tenant->router->sources));
}

/* A port and the bridge above it. */
static bool is_filtered(const struct iface_other *bridge, bool takes_all)
{
	return bridge->name[0] && bridge->snoops && !takes_all;
}

static void judge_groups(const struct router_report *r, struct diagnosis *out)
{
	const struct iface_other *peer = &r->shared.other[IFACE_PEER];
	const struct iface_other *bridge = &r->shared.other[IFACE_PEER_MASTER];
	struct diagnosed *f;

	if (!r->too_many_groups)
		return;
	if (!is_filtered(bridge, peer->takes_all)) {
		diagnosis_add(out, FINDING_GROUPS, SEVERITY_FINE, r->shared.name,
			      "it takes in all groups");
		return;
	}
	f = diagnosis_add(out, FINDING_GROUPS,
			  bridge->queries ? SEVERITY_PROBLEM : SEVERITY_WARNING, r->shared.name,
			  "more than %d IPv6 addresses are mapped, for which no groups are joined, "
			  "and %s hands groups to members alone (MLD snooping)",
			  GROUPS_MAX, bridge->name);
	if (!peer->elsewhere || r->shared.elsewhere_found)
		remedy(f, "%sbridge link set dev %s mcast_router 2",
		       peer->elsewhere ? r->shared.enter_elsewhere : r->enter, peer->name);
	else
		remedy(f,
		       "`bridge link set dev %s mcast_router 2` in the network namespace that it "
		       "is in",
		       peer->name);
}

static void judge_arp(const struct router_report *r, struct diagnosis *out)
{
	const struct port *p = &r->shared;
	size_t before = out->list.n;

	if (p->proxy_arp_pvlan == 1)
		set_sysctl(r,
			   diagnosis_add(out, FINDING_ARP, SEVERITY_PROBLEM, p->name,
					 "proxy_arp_pvlan is on: the kernel claims every address "
					 "of the shared "
					 "network for this router"),
			   "ipv4", p, "proxy_arp_pvlan", 0);
	if (p->proxy_arp == 1)
		set_sysctl(r,
			   diagnosis_add(out, FINDING_ARP, SEVERITY_WARNING, p->name,
					 "proxy_arp is on: the kernel claims addresses that it has "
					 "a route to "
					 "by another interface"),
			   "ipv4", p, "proxy_arp", 0);
	if (p->arp_ignore >= 8)
		set_sysctl(
			r,
			diagnosis_add(out, FINDING_ARP, SEVERITY_PROBLEM, p->name,
				      "arp_ignore is %ld: nobody learns the router's own address",
				      p->arp_ignore),
			"ipv4", p, "arp_ignore", 1);
	if (p->proxy_ndp == 1 && p->disable_ipv6 == 0)
		set_sysctl(r,
			   diagnosis_add(out, FINDING_ARP, SEVERITY_WARNING, p->name,
					 "proxy_ndp is on: the kernel claims the IPv6 addresses of "
					 "`ip neigh "
					 "show proxy`"),
			   "ipv6", p, "proxy_ndp", 0);
	if (out->list.n == before)
		diagnosis_add(out, FINDING_ARP, SEVERITY_FINE, p->name,
			      "the kernel answers for itself alone");
}

/* 2 accepts them even where packets are forwarded, 1 only elsewhere. */
static void judge_accept_ra(const struct router_report *r, struct diagnosis *out)
{
	const struct port *p = &r->shared;

	if (p->accept_ra == UNKNOWN || p->disable_ipv6 != 0)
		return;
	if (p->accept_ra == 2 || (p->accept_ra == 1 && p->forwarding_v6 == 0))
		set_sysctl(r,
			   diagnosis_add(out, FINDING_ACCEPT_RA, SEVERITY_WARNING, p->name,
					 "router advertisements from the shared network are "
					 "accepted: anybody "
					 "there can become this router's default route"),
			   "ipv6", p, "accept_ra", 0);
	else
		diagnosis_add(out, FINDING_ACCEPT_RA, SEVERITY_FINE, p->name,
			      "router advertisements are not accepted");
}

/* ------------------------------------------------------------ routers */

/* A standby sends nothing on, and is given nothing for it. */
static void judge_port(const struct router_report *r, const struct port *p, struct diagnosis *out)
{
	judge_link(r, p, out);
	judge_offloads(r, p, out);
	if (r->standby)
		return;
	doctor_forwarding(r, p, out);
	doctor_rp_filter(r, p, p == &r->shared, out);
}

void doctor_router(const struct router_report *r, struct diagnosis *out)
{
	if (r->detached) {
		remedy(diagnosis_add(
			       out, FINDING_PROGRAMS, SEVERITY_PROBLEM, NULL,
			       "it was detached: nothing is translated, and nobody reaches its "
			       "VMs"),
		       APPLY_AGAIN ": that attaches it");
		return;
	}
	if (r->netns.set) {
		diagnosis_add_error(out, FINDING_NETNS, SEVERITY_PROBLEM, &r->netns);
		return;
	}
	if (r->shared_error.set) {
		diagnosis_add_error(out, FINDING_SHARED, SEVERITY_PROBLEM, &r->shared_error);
		return;
	}
	diagnosis_add(out, FINDING_SHARED, SEVERITY_FINE, r->shared.name, "found");
	if (r->inside_error.set)
		diagnosis_add_error(out, FINDING_INSIDE, SEVERITY_PROBLEM, &r->inside_error);
	if (r->inside_doubt.set)
		diagnosis_add_error(out, FINDING_INSIDE, SEVERITY_WARNING, &r->inside_doubt);
	if (r->gateway_error.set && !r->standby)
		diagnosis_add_error(out, FINDING_INSIDE, SEVERITY_PROBLEM, &r->gateway_error);
	judge_active(r, out);
	if (!r->standby)
		judge_address(r, out);
	judge_other_addresses(r, out);
	doctor_programs(r, out);
	judge_port(r, &r->shared, out);
	vec_each (p, &r->inside)
		judge_port(r, p, out);
	if (!r->standby)
		doctor_forwarding_v6(r, out);
	judge_mtu(r, out);
	if (!r->standby)
		doctor_routes(r, out);
	judge_itself(r, out);
	judge_in_prefix(r, out);
	judge_covers(r, out);
	judge_sources(r, out);
	judge_groups(r, out);
	judge_arp(r, out);
	judge_accept_ra(r, out);
	doctor_netfilter(r, out);
}
