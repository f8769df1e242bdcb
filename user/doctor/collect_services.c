/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <net/if.h>

#include "doctor/collect_internal.h"
#include "host/route_query.h"
#include "model/prefixes.h"
#include "model/service.h"

/* How many services of a family are asked for in each direction, each of a mapping. */
#define SERVICES_MAX 64
#define CLIENT_PORT  49152 /* the first that is dynamic: RFC 6335, 6 */

struct asking {
	const json_t *ruleset;
	struct router_report *report;
	bool six;
	size_t left; /* of SERVICES_MAX */
};

static const uint8_t protocols[] = {
#define X(id, name, protocol) [TN_CLASS_##id] = (protocol),
	TN_CLASSES(X)
#undef X
};

/* One that netfilter can tell apart: not a protocol as a whole. */
static bool is_asked_for(const struct service *s, bool six)
{
	if (s->class == TN_CLASS_ICMP || s->class == TN_CLASS_ICMPV6)
		return six == (s->class == TN_CLASS_ICMPV6);
	return protocols[s->class] && (s->first || s->last < UINT16_MAX);
}

static bool is_named(const struct mapping *m, const char *name)
{
	return (m->name && strcmp(m->name, name) == 0) || strcmp(ADDR(&m->fixed), name) == 0;
}

static bool is_target(const struct rule *rule, const struct mapping *m)
{
	vec_each (name, &rule->to) {
		if (is_named(m, *name))
			return true;
	}
	return !rule->to.n;
}

/* The inside interface that the kernel reaches the VM by; false: by none of them. */
static bool find_inside(const struct router_report *r, const struct mapping *m,
			char name[IF_NAMESIZE])
{
	struct error ignored = { 0 };
	struct tn_addr fixed = mapping_any_fixed(m);
	struct next_hop hop;

	if (route_query(&fixed, &hop, &ignored) || !hop.ifindex ||
	    !if_indextoname(hop.ifindex, name))
		return false;
	vec_each (p, &r->inside) {
		if (strcmp(p->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Where packets leave the router inside, or with `out` come in: by the interface to the VM, or by
 * none if it is the router itself. False: nowhere.
 */
static bool add_vm_side(const struct router_report *r, const struct mapping *m, bool out,
			char by[IF_NAMESIZE], struct ruleset_path *path)
{
	path->itself = doctor_is_itself(r, m);
	if (path->itself)
		return true;
	if (!find_inside(r, m, by))
		return false;
	if (out)
		*vec_push(&path->in) = by;
	else
		*vec_push(&path->out) = by;
	return true;
}

static bool drops_all(const struct router_report *r, const struct ruleset_hit *hit)
{
	vec_each (h, &r->rules.list) {
		if (h->sure && ruleset_hit_same(h, hit))
			return true;
	}
	return false;
}

/* What surely drops it, and not all that is forwarded: that is in the report already. */
static void note_drop(const struct asking *a, struct ruleset_hits *hits, const struct tn_addr *vm,
		      const char *what)
{
	vec_each (h, &hits->list) {
		struct service_drop *drop;

		if (!h->sure || h->effect != RULESET_DROP || drops_all(a->report, h))
			continue;
		drop = vec_push(&a->report->services);
		*vec_push(&drop->by.list) = *h;
		*h = (struct ruleset_hit){ 0 };
		drop->what = xstrdup(what);
		drop->vm = *vm;
		return;
	}
}

/* The path has its interfaces and addresses; it is freed. */
static void ask(struct asking *a, const struct service *s, struct ruleset_path *path,
		const struct tn_addr *vm, const char *what)
{
	struct ruleset_hits hits = { 0 };

	path->six = a->six;
	path->proto = protocols[s->class];
	if (s->class != TN_CLASS_ICMP && s->class != TN_CLASS_ICMPV6) {
		path->sport = CLIENT_PORT;
		path->dport = s->first;
	}
	ruleset_judge(a->ruleset, path, &hits);
	note_drop(a, &hits, vm, what);
	ruleset_hits_free(&hits);
	ruleset_path_free(path);
}

#define WHAT_TEXT (SERVICE_TEXT + TENANT_NAME_MAX + ADDR_TEXT + 16)

/* "tcp/5432 to 10.0.0.5" */
static const char *what_text(const struct service *s, const struct tn_addr *to,
			     char text[WHAT_TEXT])
{
	char service[SERVICE_TEXT];

	service_text(s, 1, service);
	snprintf(text, WHAT_TEXT, "%s to %s", service, ADDR(to));
	return text;
}

static void add_subnets(const struct asking *a, struct ruleset_path *path)
{
	vec_each (p, &a->report->model->subnets) {
		if (addr_is_v4(&p->addr) != a->six)
			*vec_push(&path->src) = *p;
	}
}

static const struct tenant *tenant_of(const struct model *m, const char *name)
{
	vec_each (t, &m->tenants) {
		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

/* The addresses that those in `from` can have; of a tenant its pools, or else its mappings. */
static void add_senders(const struct asking *a, const struct rule *rule, struct ruleset_path *path)
{
	vec_each (text, &rule->from) {
		const struct tenant *t;
		struct sender s;

		if (!sender_parse(*text, &s) || !(t = tenant_of(a->report->model, s.tenant)))
			continue;
		vec_each (p, &t->pools) {
			if (!s.mapping && addr_is_v4(&p->addr) != a->six)
				*vec_push(&path->src) = *p;
		}
		vec_each (m, &t->mappings) {
			if (addr_is_v4(&m->fixed) != a->six &&
			    (s.mapping ? is_named(m, s.mapping) : !t->pools.n))
				*vec_push(&path->src) = mapping_shared(m);
		}
	}
	if (rule->any)
		add_subnets(a, path);
}

static void ask_in(struct asking *a, const struct rule *rule, const struct service *s)
{
	struct router_report *r = a->report;

	vec_each (m, &r->tenant->mappings) {
		struct ruleset_path path = { 0 };
		char by[IF_NAMESIZE], what[WHAT_TEXT];

		if (addr_is_v4(&m->fixed) == a->six || !is_target(rule, m))
			continue;
		if (!a->left)
			return;
		a->left--;
		add_senders(a, rule, &path);
		if (!path.src.n || !add_vm_side(r, m, false, by, &path)) {
			ruleset_path_free(&path);
			continue;
		}
		*vec_push(&path.in) = r->shared.name;
		*vec_push(&path.dst) = mapping_fixed(m);
		ask(a, s, &path, &m->fixed, what_text(s, &m->fixed, what));
	}
}

/* Whether the rule accepts that mapping of this router's tenant as a sender. */
static bool is_sender(const struct asking *a, const struct rule *rule, const struct mapping *m)
{
	vec_each (text, &rule->from) {
		struct sender s;

		if (sender_parse(*text, &s) && strcmp(s.tenant, a->report->tenant->name) == 0 &&
		    (!s.mapping || is_named(m, s.mapping)))
			return true;
	}
	return rule->any;
}

/* What VMs open to a service of another tenant. */
static void ask_out(struct asking *a, const struct tenant *other, const struct rule *rule,
		    const struct service *s)
{
	struct router_report *r = a->report;

	vec_each (m, &r->tenant->mappings) {
		struct ruleset_path path = { 0 };
		char by[IF_NAMESIZE], service[SERVICE_TEXT], what[WHAT_TEXT];

		if (addr_is_v4(&m->fixed) == a->six || !is_sender(a, rule, m))
			continue;
		if (!a->left)
			return;
		a->left--;
		vec_each (to, &other->mappings) {
			if (addr_is_v4(&to->fixed) != a->six && is_target(rule, to))
				*vec_push(&path.dst) = mapping_shared(to);
		}
		if (!path.dst.n || !add_vm_side(r, m, true, by, &path)) {
			ruleset_path_free(&path);
			continue;
		}
		*vec_push(&path.out) = r->shared.name;
		*vec_push(&path.src) = mapping_fixed(m);
		service_text(s, 1, service);
		snprintf(what, sizeof(what), "%s from %s to %s", service, FIXED(m), other->name);
		ask(a, s, &path, &m->fixed, what);
	}
}

static void ask_of_tenant(struct asking *a, const struct tenant *t)
{
	vec_each (rule, &t->accept) {
		vec_each (s, &rule->services) {
			if (!is_asked_for(s, a->six))
				continue;
			if (t == a->report->tenant)
				ask_in(a, rule, s);
			else
				ask_out(a, t, rule, s);
		}
	}
}

void collect_services(const json_t *ruleset, struct router_report *r)
{
	for (int six = 0; six < 2; six++) {
		struct asking in = { ruleset, r, six, SERVICES_MAX }, out = in;

		if (!(six ? r->v6 : r->v4))
			continue;
		ask_of_tenant(&in, r->tenant);
		vec_each (t, &r->model->tenants) {
			if (t != r->tenant)
				ask_of_tenant(&out, t);
		}
		r->too_many_services |= !in.left || !out.left;
	}
}
