/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/differences.h"

#include <stdarg.h>

void differences_free(struct differences *d)
{
	if (d->f)
		fclose(d->f);
	free(d->text);
	*d = (struct differences){ 0 };
}

const char *differences_text(struct differences *d)
{
	if (!d->f)
		return "";
	fflush(d->f);
	return d->text;
}

static FILE *next(struct differences *d)
{
	if (d->f)
		fputs(", ", d->f);
	else
		d->f = open_memstream(&d->text, &d->size);
	return d->f;
}

void differ_say(struct differences *d, const char *text)
{
	FILE *f = next(d);

	if (f)
		fputs(text, f);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void differ_text(struct differences *d, const char *what, const char *had, const char *will)
{
	FILE *f = same_text(had, will) ? NULL : next(d);

	if (f)
		fprintf(f, "%s %s → %s", what, had ? had : "none", will ? will : "none");
}

/* ------------------------------------------------------------ lists */

/* Items of a list, in words. */
struct listed {
	FILE *f;
	char *text;
	size_t size;
};

static FILE *item(struct listed *l)
{
	if (l->f)
		fputs(", ", l->f);
	else
		l->f = open_memstream(&l->text, &l->size);
	return l->f;
}

__attribute__((format(printf, 2, 3))) static void list(struct listed *l, const char *format, ...)
{
	FILE *f = item(l);
	va_list args;

	if (!f)
		return;
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
}

/* NULL for an empty one. The caller's to free. */
static char *listed(struct listed *l)
{
	if (l->f)
		fclose(l->f);
	return l->text;
}

static char *prefixes_text(const struct prefix *v, size_t n)
{
	struct listed l = { 0 };

	for (size_t i = 0; i < n; i++)
		list(&l, "%s", PREFIX(&v[i]));
	return listed(&l);
}

void differ_prefixes(struct differences *d, const char *what, const char *empty,
		     const struct prefix *had, size_t nhad, const struct prefix *will, size_t nwill)
{
	_cleanup_free_ char *before = prefixes_text(had, nhad), *after = prefixes_text(will, nwill);

	differ_text(d, what, before ? before : empty, after ? after : empty);
}

/* ------------------------------------------------------------ what is defined */

static char *inside_text(const struct router *r)
{
	struct listed l = { 0 };

	vec_each (name, &r->inside)
		list(&l, "%s", *name);
	return listed(&l);
}

static char *route_list(const struct route *routes, size_t n)
{
	struct listed l = { 0 };

	for (size_t i = 0; i < n; i++)
		list(&l, "%s via %s", PREFIX(&routes[i].to), ADDR(&routes[i].via));
	return listed(&l);
}

static char *routes_text(const struct router *r)
{
	return route_list(r->routes.v, r->routes.n);
}

static char *inside_routes_text(const struct router *r)
{
	return route_list(r->inside_routes.v, r->inside_routes.n);
}

/* Those of the file alone. */
static char *address_text(const struct router *r)
{
	struct listed l = { 0 };

	for (int f = 0; f < FAMILIES; f++) {
		if (r->own[f].pinned)
			list(&l, "%s", ADDR(&r->own[f].addr));
	}
	return listed(&l);
}

/* `empty`: what an empty list is called; NULL is "none". */
#define DIFFER_LIST(d, what, text, empty, had, will)                                          \
	do {                                                                                  \
		_cleanup_free_ char *_before = (text)(had), *_after = (text)(will);           \
		differ_text(d, what, _before ? _before : (empty), _after ? _after : (empty)); \
	} while (0)

static const char *number_text(uint32_t number, char buf[16])
{
	snprintf(buf, 16, "%u", number);
	return buf;
}

static const char *seconds_text(uint32_t seconds, char buf[16])
{
	snprintf(buf, 16, "%us", seconds);
	return buf;
}

void differ_router(struct differences *d, const struct router *had, const struct router *will)
{
	char a[16], b[16];

	DIFFER_LIST(d, "hosts", router_hosts_text, "(any)", had, will);
	differ_text(d, "active", active_name(had->active), active_name(will->active));
	differ_text(d, "takeover-grace", seconds_text(had->grace, a), seconds_text(will->grace, b));
	differ_text(d, "netns", had->netns ? had->netns : "(own)",
		    will->netns ? will->netns : "(own)");
	differ_text(d, "shared", had->shared ? had->shared : "(found)",
		    will->shared ? will->shared : "(found)");
	DIFFER_LIST(d, "inside", inside_text, "(found)", had, will);
	differ_text(d, "hook", hook_name(had->hook), hook_name(will->hook));
	differ_text(d, "sources", sources_name(had->sources), sources_name(will->sources));
	differ_text(d, "forwarding", forwarding_name(had->forwarding),
		    forwarding_name(will->forwarding));
	differ_text(d, "flows", number_text(had->flows, a), number_text(will->flows, b));
	DIFFER_LIST(d, "address", address_text, NULL, had, will);
	DIFFER_LIST(d, "routes", routes_text, NULL, had, will);
	DIFFER_LIST(d, "inside-routes", inside_routes_text, NULL, had, will);
	differ_text(d, "programs", had->detached ? "detached" : "attached",
		    will->detached ? "detached" : "attached");
}

/* ------------------------------------------------------------ what is there */

static char *indexes_text(const struct router_row *r)
{
	struct listed l = { 0 };

	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++)
		list(&l, "%u", r->inside[i]);
	return listed(&l);
}

static char *own_text(const struct router_row *r)
{
	struct listed l = { 0 };

	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&r->own[f]))
			list(&l, "%s", ADDR(&r->own[f]));
	}
	return listed(&l);
}

/* Which way packets take, and what decides it. */
static const char *way_text(const struct router_row *r)
{
	return r->fast	  ? "fast"
	       : r->ruled ? "stack (netfilter has rules)"
	       : r->ipsec ? "stack (IPsec has policies)"
			  : "stack";
}

static void differ_place(struct differences *d, const struct router_row *had,
			 const struct router_row *will)
{
	char a[16], b[16];

	if (had->netns_dev != will->netns_dev || had->netns_ino != will->netns_ino)
		differ_say(d, "another namespace");
	differ_text(d, "index of the shared interface", number_text(had->ifindex, a),
		    number_text(will->ifindex, b));
	DIFFER_LIST(d, "indexes inside", indexes_text, NULL, had, will);
	differ_text(d, "packets take", way_text(had), way_text(will));
	differ_text(d, "hook", hook_name(had->via ? had->via : had->hook),
		    hook_name(will->via ? will->via : will->hook));
	differ_text(d, "sources", sources_name(had->sources), sources_name(will->sources));
	differ_text(d, "flows", number_text(had->flows, a), number_text(will->flows, b));
	differ_text(d, "MAC addresses of VMs", had->binds ? "checked" : "not checked",
		    will->binds ? "checked" : "not checked");
}

void differ_row(struct differences *d, const struct router_row *had, const struct router_row *will,
		bool defined)
{
	if (had->broken)
		differ_say(d, "what is missing of its programs comes back");
	differ_text(d, "tenant", had->tenant, will->tenant);
	if (!defined)
		differ_place(d, had, will);
	differ_text(d, "MAC address", MAC(had->mac), MAC(will->mac));
	DIFFER_LIST(d, "own address", own_text, NULL, had, will);
	if (had->build != will->build)
		differ_say(d, "programs of this version");
}

static const char *addr_or_none(const struct tn_addr *a, char buf[ADDR_TEXT])
{
	return addr_is_unset(a) ? NULL : addr_text(a, buf);
}

void differ_route(struct differences *d, const struct route_row *had, const struct route_row *will)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];

	differ_text(d, "via", addr_or_none(&had->via, a), addr_or_none(&will->via, b));
	differ_text(d, "source", addr_or_none(&had->src, a), addr_or_none(&will->src, b));
}
