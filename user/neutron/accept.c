/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Consent by security groups with the tag: the ports that carry one may be reached, as its rules
 * say, by the project that it belongs to and by those that it is shared with.
 */
#include "model/service.h"
#include "neutron/definitions_internal.h"

/* A group that a mapping's port carries. */
struct member {
	const struct neutron_group *group;
	const struct mapped *mapped;
};

typedef VEC(struct member) member_vec;

/* Indexes of tenants in the model. */
typedef VEC(uint32_t) tenant_vec;

/* What a group lets in from some senders. */
struct grant {
	int family;
	struct prefix remote; /* of the senders' shared addresses; the rule's own */
	bool all;	      /* the remote is all of the shared network */
	bool everything;      /* every service */
	VEC(struct service) services;
};

typedef VEC(struct grant) grant_vec;

/* ------------------------------------------------------------ services of a rule */

static bool is_icmp(const struct neutron_rule *r)
{
	const char *p = r->protocol;

	return strcmp(p, "icmp") == 0 || strcmp(p, "icmpv6") == 0 || strcmp(p, "ipv6-icmp") == 0 ||
	       strcmp(p, "1") == 0 || strcmp(p, "58") == 0;
}

/* X("as Neutron has it", "as rules of ours have it"): by number, or by a name of Neutron's own. */
#define PROTOCOLS(X)                   \
	X("6", "tcp")                  \
	X("17", "udp")                 \
	X("33", "dccp")                \
	X("132", "sctp")               \
	X("136", "udplite")            \
	X("47", "gre")                 \
	X("50", "esp")                 \
	X("ah", "protocol/51")         \
	X("egp", "protocol/8")         \
	X("igmp", "protocol/2")        \
	X("ipip", "protocol/4")        \
	X("ipv6-encap", "protocol/41") \
	X("ospf", "protocol/89")       \
	X("pgm", "protocol/113")       \
	X("rsvp", "protocol/46")       \
	X("vrrp", "protocol/112")

static void protocol_text(const struct neutron_rule *r, char out[SERVICE_TEXT])
{
#define X(theirs, ours)                            \
	if (strcmp(r->protocol, theirs) == 0) {    \
		snprintf(out, SERVICE_TEXT, ours); \
		return;                            \
	}
	PROTOCOLS(X)
#undef X
	if (strspn(r->protocol, "0123456789") == strlen(r->protocol))
		snprintf(out, SERVICE_TEXT, "protocol/%.8s", r->protocol);
	else
		snprintf(out, SERVICE_TEXT, "%.20s", r->protocol);
}

/* As a rule of ours has it. Of ICMP the code cannot be told apart. */
static void rule_text(const struct neutron_rule *r, char out[SERVICE_TEXT])
{
	size_t n;

	if (is_icmp(r)) {
		if (r->first < 0)
			snprintf(out, SERVICE_TEXT, "icmp");
		else if (r->first == (r->family == IPV4 ? 8 : 128))
			snprintf(out, SERVICE_TEXT, "icmp/echo-request");
		else
			snprintf(out, SERVICE_TEXT, "icmp/%d", r->first);
		return;
	}
	protocol_text(r, out);
	n = strlen(out);
	if (strchr(out, '/') || r->first < 0 || (r->first <= 1 && r->last == SERVICE_LAST))
		return;
	if (r->first == r->last || r->last < 0)
		snprintf(out + n, SERVICE_TEXT - n, "/%d", r->first);
	else
		snprintf(out + n, SERVICE_TEXT - n, "/%d-%d", r->first, r->last);
}

static bool has_service(const struct grant *g, const struct service *s)
{
	vec_each (other, &g->services) {
		if (service_same(other, s))
			return true;
	}
	return false;
}

/* False: it names no service that a rule of ours can. */
static bool grant_service(struct grant *g, const struct neutron_rule *r)
{
	struct service parts[SERVICE_PARTS] = { 0 };
	struct error ignored = { 0 };
	char text[SERVICE_TEXT];
	size_t n;

	/* Neutron takes both for all protocols */
	if (!r->protocol || strcmp(r->protocol, "any") == 0 || strcmp(r->protocol, "0") == 0) {
		g->everything = true;
		return true;
	}
	rule_text(r, text);
	n = service_parse(text, parts, &ignored);
	for (size_t i = 0; i < n; i++) {
		if (!service_is_port_zero(&parts[i]) && !has_service(g, &parts[i]))
			*vec_push(&g->services) = parts[i];
	}
	return n;
}

/* ------------------------------------------------------------ senders of a rule */

static bool covers(const struct prefix *outer, const struct prefix *p)
{
	return outer->len <= p->len && prefix_overlap(outer, p);
}

/* The rule's remote, as a prefix of its family: everybody, where it has none. */
static struct prefix remote_of(const struct neutron_rule *r)
{
	struct prefix everybody = { 0 };

	if (r->has_remote)
		return r->remote;
	prefix_parse(r->family == IPV4 ? "0.0.0.0/0" : "::/0", &everybody);
	return everybody;
}

static bool covers_network(const struct model *m, const struct prefix *remote, int family)
{
	vec_each (p, &m->subnets) {
		if (addr_family(&p->addr) == family && !covers(remote, p))
			return false;
	}
	return true;
}

static bool touches_network(const struct model *m, const struct prefix *remote)
{
	vec_each (p, &m->subnets) {
		if (prefix_overlap(remote, p))
			return true;
	}
	return false;
}

/* Whether all shared addresses of the tenant's VMs are in it. */
static bool covers_tenant(const struct tenant *t, const struct grant *g)
{
	bool has = false;

	vec_each (p, &t->pools) {
		if (addr_family(&p->addr) != g->family)
			continue;
		if (!covers(&g->remote, p))
			return false;
		has = true;
	}
	return has;
}

/* ------------------------------------------------------------ what a group grants */

static struct grant *grant_for(grant_vec *grants, int family, const struct prefix *remote, bool all)
{
	struct grant *new_one;

	vec_each (g, grants) {
		if (g->family == family && g->all == all &&
		    (all || prefixes_equal(&g->remote, 1, remote, 1)))
			return g;
	}
	new_one = vec_push(grants);
	*new_one = (struct grant){ .family = family, .remote = *remote, .all = all };
	return new_one;
}

static void grants_of(struct making *k, const struct neutron_group *group, grant_vec *out)
{
	vec_each (r, &group->rules) {
		struct prefix remote = remote_of(r);
		bool all = covers_network(k->out, &remote, r->family);

		/* what the members of a group send comes with shared addresses, which Neutron does
		 * not know as theirs */
		if (r->by_group || !touches_network(k->out, &remote))
			continue;
		if (!grant_service(grant_for(out, r->family, &remote, all), r))
			neutron_finding(k->findings,
					"the rule %s of the security group %s (%s) is left out: "
					"there is no service for its protocol `%s`",
					r->id, SHOWN(group->name), group->id, SHOWN(r->protocol));
	}
}

static void grants_free(grant_vec *grants)
{
	vec_each (g, grants)
		vec_free(&g->services);
	vec_free(grants);
}

static bool same_services(const struct grant *a, const struct grant *b)
{
	if (a->everything || b->everything)
		return a->everything == b->everything;
	if (a->services.n != b->services.n)
		return false;
	vec_each (s, &a->services) {
		if (!has_service(b, s))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------ who may see a group */

struct audience {
	bool any; /* every tenant */
	tenant_vec tenants;
};

static int policy_object_cmp(const void *id, const void *policy)
{
	return strcmp(id, ((const struct neutron_policy *)policy)->object);
}

static bool is_shared_with(const struct making *k, const char *id, const char *project)
{
	const struct neutron_policy *v = k->inv->policies.v, *end = v + k->inv->policies.n;
	const struct neutron_policy *p =
		v ? bsearch(id, v, k->inv->policies.n, sizeof(*v), policy_object_cmp) : NULL;

	while (p && p > v && strcmp(p[-1].object, id) == 0)
		p--;
	for (; p && p < end && strcmp(p->object, id) == 0; p++) {
		if (strcmp(p->target, project) == 0)
			return true;
	}
	return false;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct model *m = arg;

	return strcmp(m->tenants.v[*(const uint32_t *)a].name,
		      m->tenants.v[*(const uint32_t *)b].name);
}

static void find_audience(const struct making *k, const struct neutron_group *g,
			  struct audience *out)
{
	out->any = is_shared_with(k, g->id, "*");
	vec_each (t, &k->tenancies) {
		const char *project = t->router->project;

		if (!t->refused && (out->any || strcmp(project, g->project) == 0 ||
				    is_shared_with(k, g->id, project)))
			*vec_push(&out->tenants) = t->tenant;
	}
	if (out->tenants.n)
		qsort_r(out->tenants.v, out->tenants.n, sizeof(uint32_t), by_name, k->out);
}

/* ------------------------------------------------------------ rules */

static void add_from(const struct making *k, struct rule *r, const struct audience *audience,
		     const struct grant *g)
{
	r->any = audience->any && g->all;
	for (size_t i = 0; !r->any && i < audience->tenants.n; i++) {
		const struct tenant *t = &k->out->tenants.v[audience->tenants.v[i]];

		if (g->all || covers_tenant(t, g))
			*vec_push(&r->from) = xstrdup(t->name);
	}
}

/* Among those from `first` on. */
static bool is_listed(const struct rule *r, size_t first, const char *text)
{
	for (size_t i = first; i < r->to.n; i++) {
		if (strcmp(r->to.v[i], text) == 0)
			return true;
	}
	return false;
}

/* Mappings by name, and those without by address; `family` -1: of both. A name is of both. */
static void add_to(struct rule *r, const struct member *v, size_t n, int family, bool by_name)
{
	const struct neutron_port *port = NULL;
	size_t first = 0; /* of this port, whose mappings are together */

	for (size_t i = 0; i < n; i++) {
		const struct mapped *m = v[i].mapped;
		const char *text = by_name && m->name ? m->name : ADDR(&m->fixed);

		if (m->port != port)
			first = r->to.n;
		port = m->port;
		if ((family < 0 || addr_family(&m->fixed) == family) && !is_listed(r, first, text))
			*vec_push(&r->to) = xstrdup(text);
	}
}

static void add_rule(const struct making *k, struct tenant *t, const struct audience *audience,
		     const struct grant *g, const struct member *v, size_t n, bool both)
{
	struct rule r = { 0 };
	bool others = false;

	/* the name of a port with addresses of both families would be both */
	for (size_t i = 0; i < n; i++)
		others |= addr_family(&v[i].mapped->fixed) != g->family;
	add_from(k, &r, audience, g);
	add_to(&r, v, n, both ? -1 : g->family, both || !others);
	if (!g->everything) {
		vec_each (s, &g->services)
			*vec_push(&r.services) = *s;
	}
	if ((r.any || r.from.n) && r.to.n && (g->everything || g->services.n))
		*vec_push(&t->accept) = r;
	else
		rule_clear(&r);
}

/* The same for the other family; NULL: there is none. */
static struct grant *twin(grant_vec *grants, const struct grant *g)
{
	vec_each (other, grants) {
		if (g->all && other->all && other->family != g->family && same_services(g, other))
			return other;
	}
	return NULL;
}

/* `n` members, of one group and one tenant. */
static void add_rules(struct making *k, const struct member *v, size_t n, grant_vec *grants,
		      const struct audience *audience)
{
	struct tenant *t = &k->out->tenants.v[v->mapped->tenant];

	vec_each (g, grants) {
		const struct grant *other = twin(grants, g);

		/* one rule for both families; the first of them makes it */
		if (!other || other > g)
			add_rule(k, t, audience, g, v, n, other);
	}
}

/* By name, as people look for them; and the mappings as they were made. */
static int member_cmp(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = strcmp(x->group->name, y->group->name);

	if (!order)
		order = strcmp(x->group->id, y->group->id);
	return order ? order : x->mapped < y->mapped ? -1 : x->mapped > y->mapped;
}

/* The project of a port decides whom it lets in, and nobody else. */
static bool is_own(struct making *k, const struct neutron_group *g, const struct mapped *m)
{
	if (strcmp(g->project, m->port->project) == 0)
		return true;
	neutron_finding(k->findings,
			"the port %s carries the security group %s (%s) of another project: that "
			"opens nothing; give it one of its own project",
			m->port->id, SHOWN(g->name), g->id);
	return false;
}

static void list_members(struct making *k, member_vec *out)
{
	const struct inventory *inv = k->inv;

	vec_each (m, &k->mapped) {
		vec_each (id, &m->port->groups) {
			const struct neutron_group *g =
				inv->groups.n ? bsearch(id, inv->groups.v, inv->groups.n,
							sizeof(*g), neutron_id_cmp)
					      : NULL;

			if (g && g->tagged && is_own(k, g, m))
				*vec_push(out) = (struct member){ g, m };
		}
	}
	vec_sort(out, member_cmp);
}

/* What a group is to all tenants; `end` is behind its last member. */
static void apply_group(struct making *k, const struct member *first, const struct member *end)
{
	struct audience audience = { 0 };
	grant_vec grants = { 0 };

	grants_of(k, first->group, &grants);
	find_audience(k, first->group, &audience);
	while (first < end) {
		const struct member *next = first;

		while (next < end && next->mapped->tenant == first->mapped->tenant)
			next++;
		add_rules(k, first, (size_t)(next - first), &grants, &audience);
		first = next;
	}
	grants_free(&grants);
	vec_free(&audience.tenants);
}

void make_accept(struct making *k)
{
	member_vec members = { 0 };

	list_members(k, &members);
	for (size_t i = 0, first = 0; i < members.n; i++) {
		if (i + 1 < members.n && members.v[i + 1].group == members.v[first].group)
			continue;
		apply_group(k, &members.v[first], &members.v[i + 1]);
		first = i + 1;
	}
	vec_free(&members);
}
