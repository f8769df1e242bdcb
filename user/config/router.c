/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the router of a tenant. */
#include "config/parse.h"

static void router_netns(struct parse *p, const char *text, struct pos at)
{
	if (!netns_valid(text)) {
		complain(p, at,
			 "`%s` is not a namespace; use its name under /run/netns, or an "
			 "absolute path",
			 QUOTE(text));
		return;
	}
	last(&p->model.tenants)->router->netns = xstrdup(text);
}

static void router_host(struct parse *p, const char *text, struct pos at)
{
	struct router *r = last(&p->model.tenants)->router;

	if (!host_name_valid(text)) {
		complain(p, at,
			 "`%s` is not a host name; use letters, digits, `.` and `-`, beginning "
			 "with a letter or digit, %d at most",
			 QUOTE(text), HOST_NAME_MAX_LEN);
		return;
	}
	vec_each (host, &r->hosts) {
		if (strcmp(*host, text) == 0) {
			complain(p, at, "`%s` is listed twice; remove one of them", text);
			return;
		}
	}
	*vec_push(&r->hosts) = xstrdup(text);
}

static void router_active(struct parse *p, const char *text, struct pos at)
{
	p->active_given = true;
	p->active_at = at;
	if (!active_parse(text, &last(&p->model.tenants)->router->active))
		complain(p, at, "`%s` is not one of `always`, `address` and `elected`",
			 QUOTE(text));
}

/* Whole seconds: "5s". */
static void router_grace(struct parse *p, const char *text, struct pos at)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long seconds = strtoul(text, NULL, 10);

	if (!digits || digits > 3 || strcmp(text + digits, "s") != 0 || seconds > TN_GRACE_MAX) {
		complain(p, at, "`%s` is not a time from `0s` to `%ds`; write `5s`", QUOTE(text),
			 TN_GRACE_MAX);
		return;
	}
	last(&p->model.tenants)->router->grace = (uint32_t)seconds;
	p->grace = at;
}

static void router_shared(struct parse *p, const char *text, struct pos at)
{
	if (take_interface(p, text, at))
		last(&p->model.tenants)->router->shared = xstrdup(text);
}

static void router_inside(struct parse *p, const char *text, struct pos at)
{
	if (inside_is_pattern(text) ? !take_pattern(p, text, at) : !take_interface(p, text, at))
		return;
	*vec_push(&last(&p->model.tenants)->router->inside) = xstrdup(text);
	*vec_push(&p->inside) = at;
}

static void router_hook(struct parse *p, const char *text, struct pos at)
{
	char known[128] = "";

	if (hook_parse(text, &last(&p->model.tenants)->router->hook))
		return;
	for (unsigned int i = 0; i < HOOKS_COUNT; i++) {
		size_t n = strlen(known);

		snprintf(known + n, sizeof(known) - n, "%s`%s`", n ? ", " : "", hook_name(i));
	}
	complain(p, at, "`%s` is not a hook; use one of %s", QUOTE(text), known);
}

static void router_forwarding(struct parse *p, const char *text, struct pos at)
{
	if (!forwarding_parse(text, &last(&p->model.tenants)->router->forwarding))
		complain(p, at, "`%s` is not one of `auto`, `fast` and `stack`", QUOTE(text));
}

static void router_sources(struct parse *p, const char *text, struct pos at)
{
	if (!sources_parse(text, &last(&p->model.tenants)->router->sources))
		complain(p, at, "`%s` is not one of `strict`, `feasible` and `loose`", QUOTE(text));
}

static void router_flows(struct parse *p, const char *text, struct pos at)
{
	uint64_t flows;

	if (count_parse(text, &flows) && flows >= TN_FLOWS_MIN && flows <= TN_FLOWS_MAX)
		last(&p->model.tenants)->router->flows = flows;
	else
		complain(p, at, "`%s` is no number of flows; write one from %u to %u", QUOTE(text),
			 TN_FLOWS_MIN, TN_FLOWS_MAX);
}

static void router_address(struct parse *p, const char *text, struct pos at)
{
	struct router *r = last(&p->model.tenants)->router;
	struct tn_addr addr;
	int family;

	if (!take_addr(p, text, at, &addr))
		return;
	family = addr_family(&addr);
	if (r->own[family].pinned)
		complain(p, at,
			 "the router has the %s address `%s` already; give one of each family",
			 family_name(&addr), ADDR(&r->own[family].addr));
	r->own[family] = (struct own_address){ .addr = addr, .pinned = true, .wanted = true };
	last(&p->tenants)->own[family] = at;
}

static void route_to(struct parse *p, const char *text, struct pos at)
{
	last(&p->routes)->to = at;
	take_prefix(p, text, at, &last(&last(&p->model.tenants)->router->routes)->to);
}

static void route_via(struct parse *p, const char *text, struct pos at)
{
	last(&p->routes)->via = at;
	take_addr(p, text, at, &last(&last(&p->model.tenants)->router->routes)->via);
}

static const struct key route_keys[] = {
	{ "to", TEXT, REQUIRED, route_to, "to: 100.65.0.0/16", NULL },
	{ "via", TEXT, REQUIRED, route_via, "via: 100.64.0.1", NULL },
};
static const struct level route_level = LEVEL("a route", route_keys);

static void routes_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	vec_push(&p->routes);
	vec_push(&last(&p->model.tenants)->router->routes);
	take_level(p, &route_level);
}

static void inside_route_to(struct parse *p, const char *text, struct pos at)
{
	last(&p->inside_routes)->to = at;
	take_prefix(p, text, at, &last(&last(&p->model.tenants)->router->inside_routes)->to);
}

static void inside_route_via(struct parse *p, const char *text, struct pos at)
{
	last(&p->inside_routes)->via = at;
	take_addr(p, text, at, &last(&last(&p->model.tenants)->router->inside_routes)->via);
}

static const struct key inside_route_keys[] = {
	{ "to", TEXT, REQUIRED, inside_route_to, "to: 10.0.0.0/24", NULL },
	{ "via", TEXT, REQUIRED, inside_route_via, "via: 192.0.2.1", NULL },
};
static const struct level inside_route_level = LEVEL("an inside route", inside_route_keys);

static void inside_routes_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	vec_push(&p->inside_routes);
	vec_push(&last(&p->model.tenants)->router->inside_routes);
	take_level(p, &inside_route_level);
}

enum {
	ROUTER_NETNS,
	ROUTER_SHARED,
	ROUTER_HOST,
	ROUTER_HOSTS,
	ROUTER_ACTIVE,
	ROUTER_INSIDE,
	ROUTER_HOOK,
	ROUTER_SOURCES,
	ROUTER_ADDRESS,
};
static const struct key router_keys[] = {
	[ROUTER_NETNS] = { "netns", TEXT, 0, router_netns, "netns: red", NULL },
	[ROUTER_SHARED] = { "shared", TEXT, 0, router_shared, "shared: shared0", NULL },
	[ROUTER_HOST] = { "host", TEXT, 0, router_host, "host: hv1", NULL },
	[ROUTER_HOSTS] = { "hosts", TEXTS, 0, router_host, "hosts: [hv1, hv2]", NULL },
	[ROUTER_ACTIVE] = { "active", TEXT, 0, router_active, "active: address", NULL },
	[ROUTER_INSIDE] = { "inside", TEXTS, 0, router_inside, "inside: [lan0]", NULL },
	[ROUTER_HOOK] = { "hook", TEXT, 0, router_hook, "hook: tc", NULL },
	[ROUTER_SOURCES] = { "sources", TEXT, 0, router_sources, "sources: loose", NULL },
	[ROUTER_ADDRESS] = { "address", TEXT_OR_TEXTS, 0, router_address, "address: 100.64.0.2",
			     NULL },
	{ "routes", MAPS, MAY_BE_EMPTY, routes_item,
	  "routes: [{to: 100.65.0.0/16, via: 100.64.0.1}]", &route_level },
	{ "inside-routes", MAPS, MAY_BE_EMPTY, inside_routes_item,
	  "inside-routes: [{to: 10.0.0.0/24, via: 192.0.2.1}]", &inside_route_level },
	{ "forwarding", TEXT, 0, router_forwarding, "forwarding: stack", NULL },
	{ "flows", TEXT, 0, router_flows, "flows: 65536", NULL },
	{ "takeover-grace", TEXT, 0, router_grace, "takeover-grace: 5s", NULL },
};
const struct level router_level = LEVEL("a router", router_keys);
_Static_assert(ARRAY_SIZE(router_keys) <= KEYS_MAX, "raise KEYS_MAX");

static void inside_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->inside.v[again->index],
		 "`%s` is already listed at line %u; remove one of them", QUOTE(again->name),
		 p->inside.v[first->index].line);
}

static void check_inside(struct parse *p, const struct router *r)
{
	taken_vec names = { 0 };

	for (size_t i = 0; i < r->inside.n; i++) {
		*vec_push(&names) = taken_name(r->inside.v[i], false, 0, (uint32_t)i);
		if (r->shared && strcmp(r->shared, r->inside.v[i]) == 0)
			complain(p, p->inside.v[i],
				 "`%s` is the router's shared interface; remove it from `inside`",
				 QUOTE(r->shared));
	}
	check_once(p, &names, inside_twice);
	vec_free(&names);
}

#define HOST_BIT  (1U << ROUTER_HOST)
#define HOSTS_BIT (1U << ROUTER_HOSTS)

/* One of several hosts is elected, and gets the address. */
static void check_elected(struct parse *p, const struct router *r, const struct seen *seen)
{
	if (r->active != ACTIVE_ELECTED || seen->bad & (HOSTS_BIT | 1U << ROUTER_ADDRESS))
		return;
	if (r->hosts.n < 2 || (!r->own[IPV4].pinned && !r->own[IPV6].pinned))
		complain(p, p->active_at,
			 "`elected` needs `hosts`, two or more, and the `address` that the elected "
			 "one gets; give both");
}

void tenant_takes_router(struct parse *p, const char *text, struct pos at)
{
	struct tenant *t = last(&p->model.tenants);
	struct seen seen = { 0 };

	(void)text;
	t->router = router_new();
	t->router->hook = HOOK_AUTO;
	t->router->pos = at;
	p->inside.n = 0;
	p->active_given = false;
	p->grace = (struct pos){ 0 };
	if (p->event.type == YAML_MAPPING_START_EVENT)
		seen = take_level(p, &router_level);
	if (seen.given & HOSTS_BIT && seen.given & HOST_BIT)
		complain(p, at, "a router takes `host` or `hosts`, not both; remove one of them");
	if (!p->active_given)
		t->router->active = active_default(t->router->hosts.n);
	if (t->router->grace && t->router->active == ACTIVE_ALWAYS)
		complain(p, p->grace,
			 "a router that is always active takes nothing over; give it several "
			 "`hosts` or `active: address`, or remove `takeover-grace`");
	/* of those with hosts, this one may have few */
	if (!t->router->hosts.n && ++p->routers == TN_ROUTERS_MAX)
		complain(p, at, "more than %d routers; leave this and the others to other machines",
			 TN_ROUTERS_MAX - 1);
	check_inside(p, t->router);
	check_elected(p, t->router, &seen);
	last(&p->tenants)->router_known = !(seen.bad & (1U << ROUTER_NETNS | 1U << ROUTER_SHARED));
}
