/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks routers: their own addresses, their routes, and that no two share an interface. */
#include "config/parse.h"

static void check_own(struct parse *p, const struct tn_addr *a, struct pos at)
{
	const struct prefix *subnet = subnet_of(p, a);

	if (!subnet && p->subnets_known)
		complain(p, at, "the router's address `%s` is in no shared subnet; use one that is",
			 ADDR(a));
	else if (subnet && prefix_reserves(subnet, a))
		complain(p, at, "`%s` is the %s address of the shared subnet `%s`; use another one",
			 ADDR(a), reserved_for(subnet, a), PREFIX(subnet));
}

/* Of the route's family, and on this side of what it leads to. */
static bool gateway_fits(struct parse *p, const struct route *r, const struct route_at *at)
{
	if (addr_is_v4(&r->to.addr) != addr_is_v4(&r->via))
		complain(p, at->via, "the gateway `%s` is %s, but `%s` is %s; use one family",
			 ADDR(&r->via), family_name(&r->via), PREFIX(&r->to),
			 family_name(&r->to.addr));
	else if (prefix_has(&r->to, &r->via))
		complain(p, at->via,
			 "the gateway `%s` is itself in `%s`; use the one on this side of it",
			 ADDR(&r->via), PREFIX(&r->to));
	else
		return true;
	return false;
}

static void check_route(struct parse *p, const struct route *r, const struct route_at *at)
{
	const struct prefix *subnet = subnet_of(p, &r->to.addr);

	if (!r->to.len || addr_is_unset(&r->via) || !p->subnets_known)
		return;
	if (!subnet || subnet->len > r->to.len)
		complain(p, at->to,
			 "`%s` is not inside a shared subnet; only what is needs a route here",
			 PREFIX(&r->to));
	else if (gateway_fits(p, r, at) && !subnet_of(p, &r->via))
		complain(p, at->via, "the gateway `%s` is in no shared subnet; use one that is",
			 ADDR(&r->via));
}

static const struct prefix *shared_part(const struct parse *p, const struct prefix *to)
{
	vec_each (subnet, &p->model.subnets) {
		if (prefix_overlap(subnet, to))
			return subnet;
	}
	return NULL;
}

static void check_inside_route(struct parse *p, const struct route *r, const struct route_at *at)
{
	const struct prefix *subnet;

	if (!r->to.len || addr_is_unset(&r->via) || prefix_special(&r->to))
		return;
	subnet = p->subnets_known ? shared_part(p, &r->to) : NULL;
	if (subnet)
		complain(p, at->to,
			 "`%s` overlaps the shared subnet `%s`, and inside routes lead to VMs; use "
			 "`routes` for what is on the shared network",
			 PREFIX(&r->to), PREFIX(subnet));
	else if (gateway_fits(p, r, at) && p->subnets_known && subnet_of(p, &r->via))
		complain(p, at->via,
			 "the gateway `%s` is in the shared subnet `%s`; use one in the subnet of "
			 "an inside interface",
			 ADDR(&r->via), PREFIX(subnet_of(p, &r->via)));
}

typedef void check_route_fn(struct parse *p, const struct route *r, const struct route_at *at);

/* A router has few routes: each is compared with those before it. */
static void check_routes(struct parse *p, const struct route *routes, size_t n,
			 const struct route_at *at, check_route_fn *check)
{
	for (size_t i = 0; i < n; i++) {
		const struct route *r = &routes[i];

		check(p, r, &at[i]);
		for (size_t k = 0; r->to.len && k < i; k++) {
			const struct prefix *other = &routes[k].to;

			if (other->len == r->to.len && addr_cmp(&other->addr, &r->to.addr) == 0) {
				complain(p, at[i].to,
					 "`%s` has a route already at line %u; remove one of them",
					 PREFIX(other), at[k].to.line);
				break;
			}
		}
	}
}

void check_router_addresses(struct parse *p)
{
	const struct route_at *at = p->routes.v, *inside_at = p->inside_routes.v;

	for (size_t i = 0; i < p->tenants.n; i++) {
		const struct router *r = p->model.tenants.v[i].router;

		if (!r)
			continue;
		for (int f = 0; f < FAMILIES; f++) {
			if (r->own[f].pinned)
				check_own(p, &r->own[f].addr, p->tenants.v[i].own[f]);
		}
		check_routes(p, r->routes.v, r->routes.n, at, check_route);
		at += r->routes.n;
		check_routes(p, r->inside_routes.v, r->inside_routes.n, inside_at,
			     check_inside_route);
		inside_at += r->inside_routes.n;
	}
}

/* Where a router is: one for each of its hosts. */
struct router_in {
	const char *netns;  /* "": our own */
	const char *host;   /* "": any */
	const char *shared; /* "": not given, so tenantnat looks for it */
	uint32_t tenant;
};

typedef VEC(struct router_in) router_in_vec;

/* One name for a namespace, whether the file has its name or its path. */
static const char *netns_key(const char *netns)
{
	static const char *const dirs[] = { "/run/netns/", "/var/run/netns/" };

	if (!netns)
		return "";
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		size_t n = strlen(dirs[i]);

		if (strncmp(netns, dirs[i], n) == 0 && netns[n] && !strchr(netns + n, '/'))
			return netns + n;
	}
	return netns;
}

static int router_in_cmp(const void *a, const void *b)
{
	const struct router_in *x = a, *y = b;
	int order = strcmp(x->netns, y->netns);

	if (!order)
		order = strcmp(x->host, y->host);
	if (!order)
		order = strcmp(x->shared, y->shared);
	return order ? order : x->tenant < y->tenant ? -1 : x->tenant > y->tenant;
}

static void refuse_router(struct parse *p, const struct router_in *a, const struct router_in *b)
{
	const struct router_in *early = a->tenant < b->tenant ? a : b, *late = early == a ? b : a;
	const struct tenant *t = &p->model.tenants.v[early->tenant];
	struct pos at = p->model.tenants.v[late->tenant].router->pos;

	if (*a->shared && *b->shared)
		complain(p, at,
			 "the router of %s at line %u has the same namespace and shared interface; "
			 "use others",
			 TENANT(t), t->router->pos.line);
	else
		complain(p, at,
			 "the router of %s at line %u is in the same namespace; give both a "
			 "`shared` interface of their own",
			 TENANT(t), t->router->pos.line);
}

static void list_routers(const struct parse *p, router_in_vec *out)
{
	for (uint32_t i = 0; i < p->tenants.n; i++) {
		const struct router *r = p->model.tenants.v[i].router;
		struct router_in at = { .host = "", .tenant = i };

		if (!r || !p->tenants.v[i].router_known)
			continue;
		at.netns = netns_key(r->netns);
		at.shared = r->shared ? r->shared : "";
		if (!r->hosts.n)
			*vec_push(out) = at;
		vec_each (host, &r->hosts) {
			at.host = *host;
			*vec_push(out) = at;
		}
	}
	vec_sort(out, router_in_cmp);
}

/* Which of the `n`, of one namespace and host, has the interface or may find it; NULL: none. */
static const struct router_in *rival(const struct router_in *v, size_t n, const struct router_in *r)
{
	/* those without `shared` come first */
	if (!n || !*v->shared || !*r->shared)
		return n ? v : NULL;
	for (size_t low = 0, high = n; low < high;) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(v[mid].shared, r->shared);

		if (!order)
			return &v[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* The next that is of another namespace or, with `hosts`, of another host. */
static size_t run_end(const router_in_vec *v, size_t i, bool hosts)
{
	const struct router_in *first = &v->v[i];

	while (i < v->n && strcmp(v->v[i].netns, first->netns) == 0 &&
	       (!hosts || strcmp(v->v[i].host, first->host) == 0))
		i++;
	return i;
}

/* Each is compared with those before it of its host, and with those of any host. */
void check_router_interfaces(struct parse *p)
{
	_cleanup_free_ bool *told = xzalloc(p->tenants.n + 1);
	router_in_vec routers = { 0 };
	size_t netns = 0, any = 0, host = 0; /* where these of the current one begin, or end */

	list_routers(p, &routers);
	for (size_t i = 0; i < routers.n; i++) {
		const struct router_in *r = &routers.v[i], *other;

		if (i == 0 || strcmp(r[-1].netns, r->netns) != 0) {
			netns = host = i;
			any = *r->host ? i : run_end(&routers, i, true);
		} else if (strcmp(r[-1].host, r->host) != 0) {
			host = i;
		}
		other = rival(&routers.v[host], i - host, r);
		if (!other && *r->host)
			other = rival(&routers.v[netns], any - netns, r);
		if (other && !told[r->tenant])
			refuse_router(p, other, r);
		told[r->tenant] |= other != NULL;
	}
	vec_free(&routers);
}
