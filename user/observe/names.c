/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/names.h"

#include "model/dns.h"
#include "model/prefixes.h"
#include "model/selection.h"

/* What FROM and TO may mean, in each family; unset: nothing. */
struct words {
	struct view *view;
	const char *from_text, *to_text;
	struct tn_addr from[FAMILIES]; /* shared, or fixed if it has none */
	struct tn_addr to[FAMILIES];   /* shared */
	const char *from_tenant;       /* whose fixed address FROM is; NULL: a shared one */
	uint32_t port;
	bool has_port;
};

static const struct shared_row *shared_row(const struct words *w, const struct tn_addr *a)
{
	const struct mapping *m;

	vec_each (row, &w->view->kernel.shared) {
		if (addr_cmp(&row->shared, a) == 0)
			return row;
	}
	m = names_mapping_of(&w->view->model, a);
	return m && m->bits ? kernel_state_shared(&w->view->kernel, &m->shared) : NULL;
}

static const struct router_row *router_of(const struct words *w, const char *tenant)
{
	vec_each (r, &w->view->kernel.routers) {
		if (strcmp(r->tenant, tenant) == 0)
			return r;
	}
	return NULL;
}

static const struct tenant *tenant_of(const struct words *w, uint32_t id)
{
	vec_each (t, &w->view->model.tenants) {
		if (t->id == id)
			return t;
	}
	return NULL;
}

/* Why the router of a tenant is not there to be asked; NULL: it is not defined for this host. */
static const char *why_missing(const struct tenant *t)
{
	if (!t->router)
		return NULL;
	return t->router->detached
		       ? "is detached; `tenantnat apply` with your file attaches it again"
		       : "is not attached; `tenantnat restore` attaches it again";
}

/* The shared addresses of a tenant's mappings that are called so; gives how many. */
static int find_mappings(const struct tenant *t, struct called by, struct tn_addr out[FAMILIES])
{
	int found = 0;

	vec_each (m, &t->mappings) {
		if (!is_called(m, &by) || m->bits)
			continue;
		out[addr_family(&m->shared)] = m->shared;
		found++;
	}
	if (found || by.name)
		return found;
	vec_each (m, &t->mappings) {
		if (!m->bits || !mapping_has_fixed(m, &by.fixed))
			continue;
		out[addr_family(&m->shared)] = mapping_shared_of(m, &by.fixed);
		found++;
	}
	return found;
}

/* A prefix by its name is of many VMs. */
static const struct mapping *find_prefix(const struct tenant *t, const char *who)
{
	const struct called by = called(who);

	vec_each (m, &t->mappings) {
		if (m->bits && is_called(m, &by))
			return m;
	}
	return NULL;
}

/* "[A]" without its brackets. */
static char *bare(const char *text)
{
	size_t n = strlen(text);

	return n > 2 && text[0] == '[' && text[n - 1] == ']' ? strndup(text + 1, n - 2)
							     : xstrdup(text);
}

/* TENANT/WHO. *fixed_of (or NULL) gets the tenant, if WHO is an address without a mapping. */
static int parse_vm(struct words *w, const char *text, const char *slash,
		    struct tn_addr out[FAMILIES], const char **fixed_of, struct error *err)
{
	_cleanup_free_ char *name = strndup(text, slash - text), *who = bare(slash + 1);
	struct tenant *t = tenant_named(&w->view->model, name, err);
	const struct mapping *prefix;
	struct tn_addr fixed;

	if (!t)
		return error_prefix(err, "%s", text);
	if (find_mappings(t, called(who), out))
		return 0;
	prefix = find_prefix(t, who);
	if (prefix)
		return error_usage(err, "%s: %s is a prefix; give one address of it, as in %s/%s",
				   text, FIXED(prefix), t->name, ADDR(&prefix->fixed));
	if (!fixed_of || !addr_parse(who, &fixed)) {
		no_mapping(t, who, err);
		return error_prefix(err, "%s", text);
	}
	if (!router_of(w, name) && why_missing(t))
		return error_set(err, "%s: no mapping has it, and the router of tenant %s %s", text,
				 name, why_missing(t));
	if (!router_of(w, name))
		return error_usage(err, "%s: no mapping has it, and tenant %s has no router here",
				   text, name);
	out[addr_family(&fixed)] = fixed;
	*fixed_of = t->name;
	return 0;
}

static int parse_end(struct words *w, const char *text, struct tn_addr out[FAMILIES],
		     const char **fixed_of, struct error *err)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *plain = bare(text);
	struct tn_addr a;

	if (slash)
		return parse_vm(w, text, slash, out, fixed_of, err);
	if (!addr_parse(plain, &a)) {
		const char *mapping;
		const struct tenant *t = dns_find(&w->view->model, text, &mapping);

		if (t && find_mappings(t, called(mapping), out))
			return 0;
		return error_usage(err,
				   "%s: give a shared address, or TENANT/NAME or TENANT/ADDRESS, "
				   "as in red/db%s",
				   text, w->view->model.zone ? ", or a name in DNS" : "");
	}
	out[addr_family(&a)] = a;
	return 0;
}

const struct mapping *names_mapping_of(const struct model *m, const struct tn_addr *shared)
{
	const struct mapping *prefix = NULL;

	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (addr_cmp(&mapping->shared, shared) == 0)
				return mapping;
			if (mapping->bits && mapping_has_shared(mapping, shared))
				prefix = mapping;
		}
	}
	return prefix;
}

const char *names_mapping(const struct model *m, const struct tn_addr *shared)
{
	const struct mapping *mapping = names_mapping_of(m, shared);

	return mapping && mapping->name ? mapping->name : "";
}

int names_number(const char *text, uint32_t max, uint32_t *out)
{
	unsigned long n;
	char *end;

	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || n > max)
		return -1;
	*out = n;
	return 0;
}

/* The ":PORT" at the end, also if that is no port; NULL: there is none. */
static const char *find_port(const char *text)
{
	const char *slash = strrchr(text, '/'), *start = slash ? slash + 1 : text;
	const char *colon = strrchr(start, ':');
	struct tn_addr a;

	if (!colon || addr_parse(start, &a))
		return NULL;
	/* within brackets it belongs to the address */
	return start[0] == '[' && !strchr(start, ']')	       ? NULL
	       : start[0] == '[' && colon < strchr(start, ']') ? NULL
							       : colon;
}

/* *out is the text before ":PORT", to be freed; all of it when there is none. */
static int split_port(struct words *w, const char *text, char **out, struct error *err)
{
	const char *colon = find_port(text);

	*out = colon ? strndup(text, colon - text) : xstrdup(text);
	if (!colon)
		return 0;
	w->has_port = true;
	return names_number(colon + 1, 0xffff, &w->port) || !w->port
		       ? error_usage(err, "%s: `%s` is no port; give a number from 1 to 65535",
				     text, colon + 1)
		       : 0;
}

static int parse_to(struct words *w, struct error *err)
{
	_cleanup_free_ char *who = NULL;

	if (split_port(w, w->to_text, &who, err) || parse_end(w, who, w->to, NULL, err))
		return -1;
	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&w->to[f]) && !model_shares(&w->view->model, &w->to[f]))
			return error_usage(err,
					   "%s: not in a shared subnet; give TENANT/ADDRESS, or "
					   "the shared address",
					   who);
	}
	return 0;
}

static int choose_family(const struct words *w, struct error *err)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&w->from[f]) && !addr_is_unset(&w->to[f]))
			return f;
	}
	return error_usage(err, "%s and %s have no addresses of the same family", w->from_text,
			   w->to_text);
}

/*
 * Of what no mapping has: in the pool of a tenant whose router is elsewhere, or that has none, such
 * as a plain host on the shared network.
 */
static const struct tenant *pool_of(const struct words *w, const struct tn_addr *shared)
{
	const struct tenant *found = NULL;

	vec_each (t, &w->view->model.tenants) {
		vec_each (p, &t->pools) {
			if (prefix_has(p, shared) && (!found || router_of(w, t->name)))
				found = t;
		}
	}
	return found;
}

/* The fixed address of a shared one by its row, which can be that of a prefix. */
static struct tn_addr fixed_by(const struct shared_row *row, const struct tn_addr *shared)
{
	const struct mapping m = { .fixed = row->fixed, .shared = row->shared };

	return mapping_fixed_of(&m, shared);
}

static void know_end(const struct words *w, const struct tn_addr *shared, struct trace_end *out)
{
	const struct shared_row *row = shared_row(w, shared);
	const struct tenant *t = row ? tenant_of(w, row->tenant) : pool_of(w, shared);

	out->shared = *shared;
	if (row) {
		out->router =
			row->router ? kernel_state_router(&w->view->kernel, row->router) : NULL;
		out->is_own = row->flags & TN_SHARED_OWN;
		if (!out->is_own)
			out->fixed = fixed_by(row, shared);
	}
	out->tenant = out->router ? out->router->tenant : t ? t->name : NULL;
	out->mapping = out->is_own ? NULL : names_mapping_of(&w->view->model, shared);
	out->missing = t && !out->router && !router_of(w, t->name) ? why_missing(t) : NULL;
}

static void know_ends(const struct words *w, int family, struct trace *t)
{
	bool from_vm;

	if (w->from_tenant) {
		t->from.fixed = w->from[family];
		t->from.tenant = w->from_tenant;
		t->from.router = router_of(w, w->from_tenant);
	} else {
		know_end(w, &w->from[family], &t->from);
	}
	from_vm = t->from.router && !t->from.is_own && !t->outside;
	know_end(w, &w->to[family], &t->to);
	/* no router answers for what no mapping has; but who means harm asks for no MAC address */
	if (!shared_row(w, &t->to.shared) && t->to.tenant && router_of(w, t->to.tenant)) {
		t->to.router = from_vm ? NULL : router_of(w, t->to.tenant);
		t->to.tenant = t->to.router ? t->to.tenant : NULL;
	}
	t->packet.src = from_vm ? t->from.fixed : t->from.shared;
	t->packet.dst = t->to.shared;
}

int names_resolve(struct view *v, const char *from, const char *to, struct trace *t, bool *has_port,
		  struct error *err)
{
	struct words w = { .view = v, .from_text = from, .to_text = to };
	int family;

	if (parse_end(&w, from, w.from, &w.from_tenant, err) || parse_to(&w, err))
		return -1;
	if (t->outside && w.from_tenant)
		return error_usage(err, "--outside: %s has no shared address", from);
	family = choose_family(&w, err);
	if (family < 0)
		return -1;
	know_ends(&w, family, t);
	if (!t->from.router && t->from.missing && !t->outside)
		return error_set(err, "%s: the router of tenant %s %s", from, t->from.tenant,
				 t->from.missing);
	if (!t->to.router && t->to.missing && (!t->from.router || t->outside || t->from.is_own))
		return error_set(err, "%s: the router of tenant %s %s", to, t->to.tenant,
				 t->to.missing);
	if (!t->to.router && (!t->from.router || t->outside || t->from.is_own))
		return error_usage(err,
				   "neither %s nor %s has its router here; ask on the host that "
				   "has one",
				   from, to);
	t->packet.dport = w.port;
	*has_port = w.has_port;
	return 0;
}

/* ------------------------------------------------------------ what is sent */

static const struct {
	const char *name;
	uint8_t protocol;
} classes[] = {
#define X(id, name, protocol) { name, protocol },
	TN_CLASSES(X)
#undef X
};

/* "47" as `ports` has it: "protocol/47", or "tcp" for 6. -1: it is no number of a protocol. */
static int protocol_text(const char *number, char out[SERVICE_TEXT])
{
	uint32_t protocol;

	if (names_number(number, 255, &protocol))
		return -1;
	snprintf(out, SERVICE_TEXT, "protocol/%u", protocol);
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (classes[i].protocol && classes[i].protocol == protocol)
			snprintf(out, SERVICE_TEXT, "%s",
				 i == TN_CLASS_ICMPV6 ? "icmp" : classes[i].name);
	}
	return 0;
}

static int choose_port(const char *text, bool has_port, struct trace *t, struct error *err)
{
	struct service *s = &t->services[0];
	bool all = s->first == 0 && s->last == SERVICE_LAST;

	if (all && !has_port)
		return error_usage(err, "--proto %s: to which port? give TO:PORT", text);
	if (!all && (s->first != s->last || !s->first))
		return error_usage(err,
				   "--proto %s: one packet has one port; give one from 1 to "
				   "65535",
				   text);
	if (!all && has_port && t->packet.dport != s->first)
		return error_usage(err,
				   "--proto %s: that is another port than :%u; give one of "
				   "them",
				   text, t->packet.dport);
	if (!all)
		t->packet.dport = s->first;
	s->first = s->last = t->packet.dport;
	return 0;
}

/* Of the family of the packet; all of them stand for an echo request. */
static int choose_request(const char *text, struct trace *t, struct error *err)
{
	uint8_t class = addr_is_v4(&t->packet.src) ? TN_CLASS_ICMP : TN_CLASS_ICMPV6;

	for (size_t i = 0; i < t->nservices; i++) {
		const struct service *s = &t->services[i];

		if (s->class != class)
			continue;
		t->packet.proto = classes[class].protocol;
		t->packet.type = s->first;
		return 0;
	}
	return error_usage(err, "--proto %s: there is no such request in %s", text,
			   class == TN_CLASS_ICMP ? "IPv4" : "IPv6");
}

int names_service(const char *proto, bool has_port, struct trace *t, struct error *err)
{
	const char *text = proto ? proto : has_port ? "tcp" : "icmp";
	char named[SERVICE_TEXT];
	bool icmp;

	if (text[0] >= '0' && text[0] <= '9') {
		if (protocol_text(text, named))
			return error_usage(err, "--proto %s: give a number up to 255", text);
		text = named;
	}
	if (strcmp(text, "icmp") == 0)
		text = "icmp/echo-request";
	t->nservices = service_parse(text, t->services, err);
	if (!t->nservices)
		return error_prefix(err, "--proto");
	icmp = t->services[0].class == TN_CLASS_ICMP || t->services[0].class == TN_CLASS_ICMPV6;
	t->packet.proto = t->services[0].class == TN_CLASS_OTHER
				  ? t->services[0].first
				  : classes[t->services[0].class].protocol;
	if (trace_packet_has_ports(t->packet.proto))
		return choose_port(text, has_port, t, err);
	if (has_port)
		return error_usage(err, "--proto %s: it has no ports; leave out :%u", text,
				   t->packet.dport);
	return icmp ? choose_request(text, t, err) : 0;
}
