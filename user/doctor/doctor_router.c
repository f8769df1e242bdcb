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

/* ------------------------------------------------------------ settings */

static struct diagnosed *set_sysctl(const struct router_report *r, struct diagnosed *f,
				    const char *family, const struct port *p, const char *name,
				    long value)
{
	remedy(f, "%ssysctl -w net/%s/conf/%s/%s=%ld", r->enter, family, p ? p->name : "all", name,
	       value);
	return f;
}

static void judge_forwarding(const struct router_report *r, const struct port *p,
			     struct diagnosis *out)
{
	if (r->v4 && p->forwarding == 0 && r->planned)
		diagnosis_add(out, FINDING_FORWARDING, SEVERITY_FINE, p->name,
			      "apply switches it on");
	else if (r->v4 && p->forwarding == 0)
		set_sysctl(r,
			   diagnosis_add(out, FINDING_FORWARDING, SEVERITY_PROBLEM, p->name,
					 "IPv4 packets that come in there are not forwarded"),
			   "ipv4", p, "forwarding", 1);
	else if (r->v4 && p->forwarding == 1)
		diagnosis_add(out, FINDING_FORWARDING, SEVERITY_FINE, p->name, "IPv4 is forwarded");
	if (r->v6 && p->disable_ipv6 == 1)
		set_sysctl(r,
			   diagnosis_add(
				   out, FINDING_FORWARDING, SEVERITY_PROBLEM, p->name,
				   "IPv6 is switched off there, and the tenant has IPv6 mappings"),
			   "ipv6", p, "disable_ipv6", 0);
}

static void judge_forwarding_v6(const struct router_report *r, struct diagnosis *out)
{
	if (r->v6 && r->forwarding_v6 == 0 && r->planned)
		diagnosis_add(out, FINDING_FORWARDING, SEVERITY_FINE, NULL, "apply switches it on");
	else if (r->v6 && r->forwarding_v6 == 0)
		set_sysctl(r,
			   diagnosis_add(out, FINDING_FORWARDING, SEVERITY_PROBLEM, NULL,
					 "IPv6 packets are not forwarded"),
			   "ipv6", NULL, "forwarding", 1);
	else if (r->v6 && r->forwarding_v6 == 1)
		diagnosis_add(out, FINDING_FORWARDING, SEVERITY_FINE, NULL, "IPv6 is forwarded");
}

static bool leads_right(const struct router_report *r, const struct lookup *l)
{
	if (l->shared)
		return strcmp(l->by, r->shared.name) == 0;
	vec_each (p, &r->inside) {
		if (strcmp(l->by, p->name) == 0)
			return true;
	}
	return false;
}

/* Of the router's own packets, or with `input` of those that come in, which rules may tell apart.
 */
static const struct lookup *astray(const struct router_report *r, bool shared, bool v4_only,
				   bool input)
{
	vec_each (l, &r->lookups) {
		if (l->shared == shared && addr_is_unset(&l->from) != input &&
		    (!v4_only || addr_is_v4(&l->to)) && !leads_right(r, l))
			return l;
	}
	return NULL;
}

/* Strict is 1; loose, 2, asks only whether there is any route. It never applies to IPv6. */
static void judge_rp_filter(const struct router_report *r, const struct port *p, bool shared,
			    struct diagnosis *out)
{
	const struct lookup *l = astray(r, shared, true, false);

	if (p->rp_filter == 1 && l)
		set_sysctl(
			r,
			diagnosis_add(out, FINDING_RP_FILTER, SEVERITY_PROBLEM, p->name,
				      "it is strict, and %s is routed %s%s: packets from there are "
				      "dropped",
				      l->what, l->by[0] ? "to " : "nowhere", l->by),
			"ipv4", p, "rp_filter", 2);
	else if (p->rp_filter != UNKNOWN)
		diagnosis_add(out, FINDING_RP_FILTER, SEVERITY_FINE, p->name, "%s",
			      p->rp_filter == 0	  ? "off"
			      : p->rp_filter == 1 ? "strict, and the routes agree"
						  : "loose");
}

static const char *ip_of(const struct tn_addr *a)
{
	return addr_is_v4(a) ? "ip" : "ip -6";
}

/*
 * The routes of the main table tell what is wrong: one that is narrower, or none but the default
 * one. Where they are right, a routing rule is not.
 */
static void remedy_shared(const struct router_report *r, const struct lookup *l,
			  struct diagnosed *f)
{
	const char *ip = ip_of(&l->to);
	bool narrow = l->has_culprit && l->culprit.len >= l->subnet.len;
	char away[NETNS_COMMAND + 200] = "";

	vec_each (c, &r->covers) {
		if (narrow && strcmp(l->culprit_dev, c->name) == 0 &&
		    addr_cmp(&c->network.addr, &l->culprit.addr) == 0) {
			remedy(f, "give the VMs behind %s another network than %s", c->name,
			       PREFIX(&c->network));
			return;
		}
	}
	if (narrow && l->culprit_dev[0])
		snprintf(away, sizeof(away), "%s%s route del %s dev %s", r->enter, ip,
			 PREFIX(&l->culprit), l->culprit_dev);
	else if (narrow)
		snprintf(away, sizeof(away), "%s%s route del unreachable %s", r->enter, ip,
			 PREFIX(&l->culprit));
	if (l->covered && narrow)
		remedy(f, "%s", away);
	else if (l->covered)
		remedy(f, "%s%s rule add to %s lookup main pref 1", r->enter, ip,
		       PREFIX(&l->subnet));
	else if (r->attached)
		remedy(f, "`%s%stenantnat restore`, which puts the route to %s there", away,
		       narrow ? "; " : "", PREFIX(&l->subnet));
	else
		remedy(f, "`%s%s%s%s route replace %s dev %s`, or `via` the gateway there", away,
		       narrow ? "; " : "", r->enter, ip, PREFIX(&l->subnet), r->shared.name);
}

/* Only what is sure to help is a command: what the main table has beside the right route. */
static void remedy_inside(const struct router_report *r, const struct lookup *l,
			  struct diagnosed *f)
{
	const char *ip = ip_of(&l->to);
	const struct route *route = router_inside_route(r->tenant->router, &l->to);

	if (route && r->attached && (!l->has_culprit || l->culprit.len < route->to.len))
		remedy(f, "`tenantnat restore`, which puts the inside route to %s there",
		       PREFIX(&route->to));
	else if (l->covered && l->has_culprit && l->culprit_dev[0])
		remedy(f, "%s%s route del %s dev %s", r->enter, ip, PREFIX(&l->culprit),
		       l->culprit_dev);
	else if (l->covered && l->has_culprit)
		remedy(f, "%s%s route del unreachable %s", r->enter, ip, PREFIX(&l->culprit));
	else
		remedy(f,
		       "%s%s route get %s shows it; give the inside interface an address in the "
		       "VM's subnet, or correct the router's `inside`",
		       r->enter, ip, ADDR(&l->to));
}

static void judge_own_routes(const struct router_report *r, struct diagnosis *out)
{
	const struct lookup *shared = astray(r, true, false, false);
	const struct lookup *inside = astray(r, false, false, false);

	if (shared)
		remedy_shared(r, shared,
			      diagnosis_add(out, FINDING_ROUTES, SEVERITY_PROBLEM, r->shared.name,
					    "%s is reached by %s instead of %s", shared->what,
					    shared->by[0] ? shared->by : "no route",
					    r->shared.name));
	if (inside)
		remedy_inside(r, inside,
			      diagnosis_add(out, FINDING_ROUTES, SEVERITY_PROBLEM, NULL,
					    "%s is reached by %s, which is no inside interface",
					    inside->what, inside->by[0] ? inside->by : "no route"));
}

/* Both kinds of packets, told apart by source and incoming interface, as the kernel has them. */
static void judge_rules(const struct router_report *r, struct diagnosis *out)
{
	const struct lookup *shared = astray(r, true, false, true);
	const struct lookup *inside = astray(r, false, false, true);

	if (shared)
		remedy(diagnosis_add(
			       out, FINDING_ROUTES, SEVERITY_PROBLEM, r->shared.name,
			       "what %s sends to the shared subnet %s leaves by %s instead of "
			       "%s: a routing rule leads there",
			       shared->what, PREFIX(&shared->subnet),
			       shared->by[0] ? shared->by : "no route", r->shared.name),
		       "%s%s rule add to %s lookup main pref 1", r->enter, ip_of(&shared->to),
		       PREFIX(&shared->subnet));
	if (inside)
		remedy(diagnosis_add(out, FINDING_ROUTES, SEVERITY_PROBLEM, NULL,
				     "what comes from the shared subnet %s for %s leaves by %s, "
				     "which is no inside interface: a routing rule leads there",
				     PREFIX(&inside->subnet), inside->what,
				     inside->by[0] ? inside->by : "no route"),
		       "%s%s rule add from %s lookup main pref 1", r->enter, ip_of(&inside->to),
		       PREFIX(&inside->subnet));
}

static void judge_unreachable(const struct router_report *r, struct diagnosis *out)
{
	vec_each (p, &r->uncovered) {
		if (r->attached)
			remedy(diagnosis_add(out, FINDING_ROUTES, SEVERITY_WARNING, NULL,
					     "there is no unreachable route to %s: when %s is "
					     "down, what VMs "
					     "send there leaves by the default route",
					     PREFIX(p), r->shared.name),
			       "%sip route add unreachable %s metric %u proto %d", r->enter,
			       PREFIX(p), TN_LAST_METRIC, TN_PROTOCOL);
	}
}

static void judge_routes(const struct router_report *r, struct diagnosis *out)
{
	size_t before = out->list.n;

	judge_own_routes(r, out);
	judge_rules(r, out);
	if (out->list.n == before)
		diagnosis_add(out, FINDING_ROUTES, SEVERITY_FINE, NULL, "%zu %s where %s should",
			      r->lookups.n, plural(r->lookups.n, "lookup leads", "lookups lead"),
			      plural(r->lookups.n, "it", "they"));
	judge_unreachable(r, out);
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
	judge_forwarding(r, p, out);
	judge_rp_filter(r, p, p == &r->shared, out);
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
		judge_forwarding_v6(r, out);
	judge_mtu(r, out);
	if (!r->standby)
		judge_routes(r, out);
	judge_itself(r, out);
	judge_in_prefix(r, out);
	judge_covers(r, out);
	judge_sources(r, out);
	judge_groups(r, out);
	judge_arp(r, out);
	judge_accept_ra(r, out);
	doctor_netfilter(r, out);
}
