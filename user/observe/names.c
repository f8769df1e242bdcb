/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/names.h"

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
	vec_each (row, &w->view->kernel.shared) {
		if (addr_cmp(&row->shared, a) == 0)
			return row;
	}
	return NULL;
}

static const struct router_row *router_of(const struct words *w, const char *tenant)
{
	vec_each (r, &w->view->kernel.routers) {
		if (strcmp(r->tenant, tenant) == 0)
			return r;
	}
	return NULL;
}

static const char *tenant_name(const struct words *w, uint32_t id)
{
	vec_each (t, &w->view->model.tenants) {
		if (t->id == id)
			return t->name;
	}
	return NULL;
}

/* The shared addresses of TENANT/WHO, where WHO is a name or a fixed address; gives how many. */
static int find_mappings(const struct tenant *t, const char *who, struct tn_addr out[FAMILIES])
{
	struct tn_addr fixed = { 0 };
	bool by_fixed = addr_parse(who, &fixed);
	int found = 0;

	vec_each (m, &t->mappings) {
		if (by_fixed ? addr_cmp(&m->fixed, &fixed) : !m->name || strcmp(m->name, who))
			continue;
		out[addr_family(&m->shared)] = m->shared;
		found++;
	}
	return found;
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
	struct tenant *t = model_tenant(&w->view->model, name);
	struct tn_addr fixed;

	if (!t)
		return error_usage(err, "%s: there is no tenant %s; `tenantnat show` lists them",
				   text, name);
	if (find_mappings(t, who, out))
		return 0;
	if (!fixed_of || !addr_parse(who, &fixed))
		return error_usage(err,
				   "%s: tenant %s has no such mapping; `tenantnat map list %s` "
				   "lists them",
				   text, name, name);
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
	if (!addr_parse(plain, &a))
		return error_usage(err,
				   "%s: give a shared address, or TENANT/NAME or TENANT/ADDRESS, "
				   "as in red/db",
				   text);
	out[addr_family(&a)] = a;
	return 0;
}

const char *names_mapping(const struct model *m, const struct tn_addr *shared)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (addr_cmp(&mapping->shared, shared) == 0)
				return mapping->name ? mapping->name : "";
		}
	}
	return "";
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

/* The text before ":PORT", to be freed; all of it when there is none. */
static char *split_port(struct words *w, const char *text)
{
	const char *colon = strrchr(text, ':'), *slash = strrchr(text, '/'),
		   *start = slash ? slash + 1 : text;
	struct tn_addr a;

	if (!colon || addr_parse(start, &a) || (start[0] == '[' && colon[-1] != ']') ||
	    names_number(colon + 1, 0xffff, &w->port))
		return xstrdup(text);
	w->has_port = true;
	return strndup(text, colon - text);
}

static int parse_to(struct words *w, struct error *err)
{
	_cleanup_free_ char *who = split_port(w, w->to_text);

	if (parse_end(w, who, w->to, NULL, err))
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

static void know_end(const struct words *w, const struct tn_addr *shared, struct trace_end *out)
{
	const struct shared_row *row = shared_row(w, shared);

	out->shared = *shared;
	if (row) {
		out->router =
			row->router ? kernel_state_router(&w->view->kernel, row->router) : NULL;
		out->is_own = row->flags & TN_SHARED_OWN;
		out->tenant = out->router ? out->router->tenant : tenant_name(w, row->tenant);
		if (!out->is_own)
			out->fixed = row->fixed;
		return;
	}
	vec_each (t, &w->view->model.tenants) {
		vec_each (p, &t->pools) {
			if (prefix_has(p, shared) && (!out->tenant || router_of(w, t->name)))
				out->tenant = t->name;
		}
	}
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
	/* nobody answers for what no mapping has; but who means harm asks for no MAC address */
	if (!shared_row(w, &t->to.shared)) {
		t->to.router = t->to.tenant && !from_vm ? router_of(w, t->to.tenant) : NULL;
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
	if (!t->to.router && (!t->from.router || t->outside || t->from.is_own))
		return error_usage(err,
				   "neither %s nor %s has its router here; ask on the host that "
				   "has one",
				   from, to);
	t->packet.dport = w.port;
	*has_port = w.has_port;
	return 0;
}
