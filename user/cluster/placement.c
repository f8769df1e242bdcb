// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/placement.h"

#include <stdarg.h>

#include "lib/typo.h"

void placement_free(struct placement *p)
{
	vec_each (text, &p->list)
		free(*text);
	vec_free(&p->list);
}

__attribute__((format(printf, 2, 3))) static void say(struct placement *out, const char *format,
						      ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	*vec_push(&out->list) = text;
}

static void add_name(struct names_text *t, const char *name)
{
	size_t used = strlen(t->text);

	if (t->n++ < NAMES_SAID)
		snprintf(t->text + used, sizeof(t->text) - used, "%s%s", used ? ", " : "", name);
}

static const char *all_names(struct names_text *t)
{
	size_t used = strlen(t->text);

	if (t->n > NAMES_SAID)
		snprintf(t->text + used, sizeof(t->text) - used, " and %zu more",
			 t->n - NAMES_SAID);
	return t->text;
}

/* A host and a tenant that have to do with each other; borrowed. */
struct pair {
	const char *host, *tenant;
};

struct pairs {
	VEC(struct pair) list;
};

static int by_host(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(x->host, y->host);

	return order ? order : strcmp(x->tenant, y->tenant);
}

static int by_tenant(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(x->tenant, y->tenant);

	return order ? order : strcmp(x->host, y->host);
}

/* ------------------------------------------------------------ hosts */

static bool is_member(const struct overview *o, const char *name)
{
	vec_each (h, &o->hosts) {
		if (strcmp(h->name, name) == 0)
			return true;
	}
	return false;
}

static void say_missing(const struct overview *o, const char *host, struct names_text *tenants,
			struct placement *out)
{
	struct typo near = { .typed = host };

	vec_each (h, &o->hosts)
		typo_try(&near, h->name, strlen(h->name));
	say(out, "the cluster has no host %s, which %s of %s %s%s%s%s", host,
	    plural(tenants->n, "the router", "the routers"), all_names(tenants),
	    plural(tenants->n, "names", "name"), near.meant[0] ? "; did you mean `" : "",
	    near.meant, near.meant[0] ? "`?" : "");
}

void placement_of_hosts(const struct model *m, const struct overview *o, struct placement *out)
{
	struct names_text tenants = { 0 };
	struct pairs missing = { 0 };

	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		for (size_t i = 0; r && i < r->hosts.n; i++) {
			if (!is_member(o, r->hosts.v[i]))
				*vec_push(&missing.list) = (struct pair){ r->hosts.v[i], t->name };
		}
	}
	vec_sort(&missing.list, by_host);
	for (size_t i = 0; i < missing.list.n; i++) {
		const struct pair *p = &missing.list.v[i];

		add_name(&tenants, p->tenant);
		if (i + 1 < missing.list.n && strcmp(p->host, p[1].host) == 0)
			continue;
		say_missing(o, p->host, &tenants, out);
		tenants = (struct names_text){ 0 };
	}
	vec_free(&missing.list);
}

void placement_naming(const struct model *m, const char *host, struct names_text *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		for (size_t i = 0; r && i < r->hosts.n; i++) {
			if (strcmp(r->hosts.v[i], host) == 0)
				add_name(out, t->name);
		}
	}
	all_names(out);
}

void placement_here(const struct model *m, struct names_text *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		if (t->router)
			add_name(out, t->name);
	}
	all_names(out);
}

/* ------------------------------------------------------------ namespaces */

static void list_found(const struct overview *o, struct pairs *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (h, &o->hosts) {
		vec_each (tenant, &h->found)
			*vec_push(&out->list) = (struct pair){ h->name, *tenant };
	}
	vec_sort(&out->list, by_tenant);
}

/* The first who has it, with the others behind; NULL: nobody. */
static const struct pair *find(const struct pairs *found, const char *tenant, size_t *n)
{
	const struct pair like = { .tenant = tenant, .host = "" };
	size_t low = 0, high = found->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (by_tenant(&found->list.v[mid], &like) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*n = 0;
	while (low + *n < found->list.n && strcmp(found->list.v[low + *n].tenant, tenant) == 0)
		++*n;
	return *n ? &found->list.v[low] : NULL;
}

/* Whether the router is where its namespace is. */
static bool goes_by_netns(const struct router *r)
{
	return r && !r->hosts.n && r->netns;
}

static bool all_have_said(const struct overview *o)
{
	vec_each (h, &o->hosts) {
		if (h->state == HOST_BEHIND || (h->state != HOST_SILENT && !h->says_found))
			return false;
	}
	return true;
}

void placement_of_namespaces(const struct model *m, const struct overview *o, struct placement *out)
{
	struct names_text nobodys = { 0 };
	struct pairs found;

	if (!all_have_said(o))
		return;
	list_found(o, &found);
	vec_each (t, &m->tenants) {
		const struct pair *p;
		size_t n;

		if (!goes_by_netns(tenant_router(t)))
			continue;
		p = find(&found, t->name, &n);
		if (!p)
			add_name(&nobodys, t->name);
		else if (n > 1)
			say(out,
			    "hosts %s and %s both have the namespace of tenant %s's router; say "
			    "with `host` which is meant",
			    p[0].host, p[1].host, t->name);
	}
	if (nobodys.n)
		say(out, "no host that is heard of has the %s of %s",
		    plural(nobodys.n, "namespace of the router", "namespaces of the routers"),
		    all_names(&nobodys));
	vec_free(&found.list);
}

void placement_of_new(const struct model *m, const struct overview *o,
		      bool (*has_netns)(const struct router *r), struct placement *out)
{
	struct names_text unknown = { 0 };
	struct pairs found;
	size_t n;

	list_found(o, &found);
	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		if (goes_by_netns(r) && !has_netns(r) && !find(&found, t->name, &n))
			add_name(&unknown, t->name);
	}
	if (unknown.n)
		say(out,
		    "%s of %s %s no `host`, and the namespace is not here; `tenantnat cluster "
		    "status` says then whether a host has it",
		    plural(unknown.n, "the router", "the routers"), all_names(&unknown),
		    plural(unknown.n, "names", "name"));
	vec_free(&found.list);
}
