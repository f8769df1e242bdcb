/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/doctor_internal.h"

/* The shared subnets of a family: "100.64.0.0/16, 100.65.0.0/16" */
static void subnets_text(const struct router_report *r, bool six, const char *between, char *text,
			 size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	vec_each (p, &r->model->subnets) {
		if (addr_is_v4(&p->addr) != six && n < size)
			n += snprintf(text + n, size - n, "%s%s", n ? between : "", PREFIX(p));
	}
}

/* Commands that let what comes from the shared network, and what goes to it, past the chain. */
static const char *past(const struct router_report *r, const struct ruleset_hit *h, bool six,
			char buf[RULESET_PAST])
{
	char subnets[200];

	subnets_text(r, six, ruleset_hit_is_of_iptables(h) ? "," : ", ", subnets, sizeof(subnets));
	return ruleset_past(h, r->enter, six, subnets, NULL, buf);
}

static void remedy_past(const struct router_report *r, const struct ruleset_hit *h,
			struct diagnosed *f)
{
	bool v4 = r->v4 && strcmp(h->family, "ip6") != 0;
	bool v6 = r->v6 && strcmp(h->family, "ip") != 0;
	char four[RULESET_PAST] = "", six[RULESET_PAST] = "";

	if (v4)
		past(r, h, false, four);
	if (v6)
		past(r, h, true, six);
	remedy(f, "%s%s%s", four, v4 && v6 ? "; " : "", six);
}

/* The inside interfaces with that between them. */
static void inside_text(const struct router_report *r, const char *between, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	vec_each (p, &r->inside) {
		if (n < size)
			n += snprintf(text + n, size - n, "%s%s", n ? between : "", p->name);
	}
}

/* Commands by which NAT never sees what is between VMs and the shared network, and nothing else. */
static size_t untrack_iptables(const struct router_report *r, bool six, char *text, size_t size)
{
	const char *ip = six ? "ip6" : "ip";
	char subnets[200];
	size_t n;

	subnets_text(r, six, ",", subnets, sizeof(subnets));
	n = snprintf(text, size, "%s%stables -t raw -I PREROUTING -i %s -s %s -j CT --notrack",
		     r->enter, ip, r->shared.name, subnets);
	vec_each (p, &r->inside) {
		if (n < size)
			n += snprintf(
				text + n, size - n,
				"; %s%stables -t raw -I PREROUTING -i %s -d %s -j CT --notrack",
				r->enter, ip, p->name, subnets);
	}
	return n;
}

/* In a table of its own, that the user can delete. */
#define UNTRACK_CHAIN "inet tenantnat_notrack raw"

static size_t untrack_nft(const struct router_report *r, bool six, char *text, size_t size)
{
	const char *ip = six ? "ip6" : "ip";
	char subnets[200], inside[TN_INSIDE_MAX * (IF_NAMESIZE + 2)];

	subnets_text(r, six, ", ", subnets, sizeof(subnets));
	inside_text(r, ", ", inside, sizeof(inside));
	return snprintf(
		text, size,
		"%snft add table inet tenantnat_notrack; %snft add chain " UNTRACK_CHAIN
		" '{ type filter hook prerouting priority raw; }'; %snft add rule " UNTRACK_CHAIN
		" iifname %s %s saddr '{ %s }' notrack; %snft add rule " UNTRACK_CHAIN
		" iifname '{ %s }' %s daddr '{ %s }' notrack",
		r->enter, r->enter, r->enter, r->shared.name, ip, subnets, r->enter, inside, ip,
		subnets);
}

static bool is_stateful(const struct router_report *r, const struct ruleset_hit *h)
{
	return (strcmp(h->family, "ip6") != 0 && r->rules.of[IPV4].stateful) ||
	       (strcmp(h->family, "ip") != 0 && r->rules.of[IPV6].stateful);
}

/*
 * Rules that ask conntrack would not know the replies: then the chain is left early instead. So it
 * is where the router itself is mapped, whose own packets no prerouting chain sees.
 */
static void remedy_nat(const struct router_report *r, const struct ruleset_hit *h,
		       struct diagnosed *f)
{
	char text[8192] = "";
	size_t n = 0;

	if (is_stateful(r, h) || !r->inside.n || r->itself.n) {
		remedy_past(r, h, f);
		return;
	}
	for (int six = 0; six < 2; six++) {
		if (!(six ? r->v6 : r->v4) || strcmp(h->family, six ? "ip" : "ip6") == 0 ||
		    n >= sizeof(text))
			continue;
		if (n)
			n += snprintf(text + n, sizeof(text) - n, "; ");
		n += ruleset_hit_is_of_iptables(h)
			     ? untrack_iptables(r, six, text + n, sizeof(text) - n)
			     : untrack_nft(r, six, text + n, sizeof(text) - n);
	}
	remedy(f, "%s", text);
}

/* Where both directions are unknown to conntrack, and nobody asks it about them, that is right. */
static bool is_needed(const struct router_report *r, const struct ruleset_hit *h)
{
	for (int six = 0; six < 2; six++) {
		bool about = strcmp(h->family, six ? "ip" : "ip6") != 0;
		bool some = r->rules.of[six].untracked != r->rules.of[six].paths;

		if (about && r->rules.of[six].untracked && (some || r->rules.of[six].stateful))
			return true;
	}
	return !r->rules.of[IPV4].untracked && !r->rules.of[IPV6].untracked;
}

static const struct ruleset_hit *rule_of(const struct service_drop *s)
{
	return &s->by.list.v[0];
}

static bool drops_services(const struct router_report *r, const struct ruleset_hit *h)
{
	vec_each (s, &r->services) {
		if (ruleset_hit_same(rule_of(s), h))
			return true;
	}
	return false;
}

/* How many of the services of that VM the same rule drops; *first is one of them. */
static size_t services_like(const struct router_report *r, const struct service_drop *one,
			    const struct service_drop **first)
{
	size_t n = 0;

	vec_each (s, &r->services) {
		if (!ruleset_hit_same(rule_of(s), rule_of(one)) || addr_cmp(&s->vm, &one->vm))
			continue;
		if (!n++)
			*first = s;
	}
	return n;
}

static void remedy_service(const struct router_report *r, const struct service_drop *s,
			   struct diagnosed *f)
{
	const struct ruleset_hit *h = rule_of(s);
	bool six = !addr_is_v4(&s->vm);
	char subnets[200], text[RULESET_PAST];

	subnets_text(r, six, ruleset_hit_is_of_iptables(h) ? "," : ", ", subnets, sizeof(subnets));
	remedy(f, "%s", ruleset_past(h, r->enter, six, subnets, ADDR(&s->vm), text));
}

/* Each rule once for a VM, by the first of the services that it drops. */
static void judge_services(const struct router_report *r, struct diagnosis *out)
{
	vec_each (s, &r->services) {
		const struct service_drop *first = s;
		size_t n = services_like(r, s, &first);
		char rule[300], more[64] = "";

		if (first != s)
			continue;
		if (n > 1)
			snprintf(more, sizeof(more), ", and %zu more of this VM", n - 1);
		ruleset_hit_text(rule_of(s), rule, sizeof(rule));
		remedy_service(r, s,
			       diagnosis_add(out, FINDING_FILTER, SEVERITY_PROBLEM, r->shared.name,
					     "%s refuses what `accept` lets through: %s%s", rule,
					     s->what, more));
	}
	if (r->too_many_services)
		diagnosis_add(out, FINDING_FILTER, SEVERITY_FINE, r->shared.name,
			      "the first 64 of the services that `accept` names were asked for, of "
			      "each family and direction");
}

static void judge_rule(const struct router_report *r, const struct ruleset_hit *h,
		       struct diagnosis *out)
{
	enum severity severity = h->sure ? SEVERITY_PROBLEM : SEVERITY_WARNING;
	const char *which = h->sure ? "" : "some of ";
	char rule[300];

	ruleset_hit_text(h, rule, sizeof(rule));
	switch (h->effect) {
	case RULESET_NAT:
		remedy_nat(r, h,
			   diagnosis_add(
				   out, FINDING_NAT, severity, r->shared.name,
				   "%s translates %sthe packets between VMs and the shared network "
				   "once more",
				   rule, which));
		break;
	case RULESET_DROP:
		remedy_past(
			r, h,
			diagnosis_add(out, FINDING_FILTER, severity, r->shared.name,
				      "%s refuses %sthe packets between VMs and the shared network",
				      rule, which));
		break;
	case RULESET_UNTRACKED:
		if (!is_needed(r, h))
			return;
		remedy(diagnosis_add(out, FINDING_CONNTRACK, SEVERITY_WARNING, r->shared.name,
				     "%s: stateful rules of this router do not recognize replies",
				     rule),
		       "%snft delete rule %s %s %s handle %lld, unless no rule is stateful",
		       r->enter, h->family, h->table, h->chain, (long long)h->handle);
	}
}

/* Without an agent nobody saw the rules come. */
static void judge_bypassed(const struct router_report *r, struct diagnosis *out)
{
	bool wanted = r->tenant->router->forwarding == FORWARDING_FAST;

	bool ruled = r->rule || r->legacy[0][0] || r->legacy[1][0];

	if (!r->fast || (!ruled && !r->ipsec))
		return;
	remedy(diagnosis_add(out, FINDING_BYPASSED, wanted ? SEVERITY_WARNING : SEVERITY_PROBLEM,
			     r->shared.name,
			     "%s for forwarded packets, and forwarding is fast: translated packets "
			     "bypass them",
			     ruled ? "netfilter has rules" : "IPsec has policies"),
	       wanted ? "`forwarding: auto` in the definitions, unless that is what you want"
		      : "tenantnat restore, or run the agent, which sees rules come and go");
}

/* Whether packets between VMs and the shared network come in there. */
static bool is_ours(const struct router_report *r, const char *interface)
{
	if (!interface[0] || strcmp(interface, r->shared.name) == 0)
		return true;
	vec_each (p, &r->inside) {
		if (strcmp(interface, p->name) == 0)
			return true;
	}
	return false;
}

/* Past the stack no mark counts, and the programs know the way. */
static void judge_marks(const struct router_report *r, struct diagnosis *out)
{
	if (r->marks_error.set)
		diagnosis_add_error(out, FINDING_MARKS, SEVERITY_UNCHECKED, &r->marks_error);
	if (!r->attached || r->fast)
		return;
	vec_each (m, &r->marks.list) {
		const char *ip = m->six ? "ip -6" : "ip";

		if (!is_ours(r, m->iif) || !(m->six ? r->v6 : r->v4))
			continue;
		remedy(diagnosis_add(
			       out, FINDING_MARKS, SEVERITY_WARNING, r->shared.name,
			       "the routing rule %u of %s goes by the mark %#x/%#x: packets that "
			       "netfilter marks can leave by another interface, and the programs "
			       "do "
			       "not see these marks",
			       m->priority, m->six ? "IPv6" : "IPv4", m->mark, m->mask),
		       "`%s%s rule del pref %u`, unless netfilter never gives that mark to "
		       "packets between VMs and the shared network",
		       r->enter, ip, m->priority);
	}
}

void doctor_netfilter(const struct router_report *r, struct diagnosis *out)
{
	static const char *const programs[] = { "iptables-legacy-save", "ip6tables-legacy-save" };
	size_t before;

	judge_marks(r, out);
	if (r->rules_error.set)
		diagnosis_add_error(out, FINDING_NAT, SEVERITY_UNCHECKED, &r->rules_error);
	else if (!r->rules.list.n)
		diagnosis_add(out, FINDING_NAT, SEVERITY_FINE, NULL,
			      "no rule of netfilter touches the packets");
	before = out->list.n;
	judge_services(r, out);
	vec_each (h, &r->rules.list) {
		if (!drops_services(r, h))
			judge_rule(r, h, out);
	}
	if (r->rules.list.n && out->list.n == before)
		diagnosis_add(out, FINDING_NAT, SEVERITY_FINE, NULL,
			      "conntrack, and so NAT, leaves the packets alone");
	judge_bypassed(r, out);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (r->legacy[i][0])
			remedy(diagnosis_add(out, FINDING_IPTABLES, SEVERITY_WARNING, NULL,
					     "there are tables of %s (%s), which cannot be looked "
					     "into from "
					     "here",
					     i ? "ip6tables-legacy" : "iptables-legacy",
					     r->legacy[i]),
			       "look with %s%s for rules that translate or drop what is of %s",
			       r->enter, programs[i], r->shared.name);
	}
}

bool doctor_is_itself(const struct router_report *r, const struct mapping *m)
{
	vec_each (own, &r->itself) {
		if (*own == m)
			return true;
	}
	return false;
}

bool doctor_paths(const struct router_report *r, bool six, bool itself,
		  struct ruleset_path paths[2])
{
	struct ruleset_path *in = &paths[0], *path_out = &paths[1];

	memset(paths, 0, 2 * sizeof(*paths));
	in->six = path_out->six = six;
	in->itself = path_out->itself = itself;
	*vec_push(&in->in) = r->shared.name;
	*vec_push(&path_out->out) = r->shared.name;
	for (size_t i = 0; !itself && i < r->inside.n; i++) {
		*vec_push(&in->out) = r->inside.v[i].name;
		*vec_push(&path_out->in) = r->inside.v[i].name;
	}
	vec_each (p, &r->model->subnets) {
		if (addr_is_v4(&p->addr) == six)
			continue;
		*vec_push(&in->src) = *p;
		*vec_push(&path_out->dst) = *p;
	}
	vec_each (m, &r->tenant->mappings) {
		struct prefix fixed = { m->fixed, 128 };

		if (addr_is_v4(&m->fixed) == six || doctor_is_itself(r, m) != itself)
			continue;
		*vec_push(&in->dst) = fixed;
		*vec_push(&path_out->src) = fixed;
	}
	return in->dst.n;
}
