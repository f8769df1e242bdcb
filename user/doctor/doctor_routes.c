/* SPDX-License-Identifier: GPL-2.0-only */
/* What decides where a router's packets go: settings of forwarding, routes, and rules. */
#include "doctor/doctor_internal.h"

struct diagnosed *set_sysctl(const struct router_report *r, struct diagnosed *f, const char *family,
			     const struct port *p, const char *name, long value)
{
	remedy(f, "%ssysctl -w net/%s/conf/%s/%s=%ld", r->enter, family, p ? p->name : "all", name,
	       value);
	return f;
}

void doctor_forwarding(const struct router_report *r, const struct port *p, struct diagnosis *out)
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

void doctor_forwarding_v6(const struct router_report *r, struct diagnosis *out)
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
void doctor_rp_filter(const struct router_report *r, const struct port *p, bool shared,
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

void doctor_routes(const struct router_report *r, struct diagnosis *out)
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
