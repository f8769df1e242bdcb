/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/outline.h"

#include <ctype.h>

void namespaces_free(struct namespaces *n)
{
	vec_each (one, &n->list) {
		free(one->name);
		ifaces_free(&one->ifaces);
	}
	vec_free(&n->list);
}

void outline_free(struct outline *o)
{
	vec_each (r, &o->routers) {
		vec_free(&r->inside);
		vec_free(&r->pools);
	}
	vec_free(&o->routers);
	vec_free(&o->subnets);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool begins_with_any(const char *text, const char *const *with, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (begins(text, with[i]))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ roles of interfaces */

static bool has_default_route(const struct ifaces *ifaces, const struct iface *i)
{
	vec_each (r, &ifaces->routes) {
		unsigned int none = addr_is_v4(&r->to.addr) ? 128 - 32 : 0;

		if (r->ifindex == i->index && r->to.len == none)
			return true;
	}
	return false;
}

/* What a router may have, as far as its kind goes. */
static bool is_port(const struct iface *i)
{
	return i->ethernet && !i->loopback && !i->master;
}

/* Neutron's external and HA interfaces, and those between a distributed router and the next. */
static bool is_neutrons_uplink(const struct iface *i)
{
	static const char *const names[] = { "qg-", "ha-", "rfp-", "fpr-", "fg-", "sg-" };

	return begins_with_any(i->name, names, ARRAY_SIZE(names));
}

static bool is_candidate(const struct namespace *ns, const struct iface *i)
{
	return is_port(i) && !is_neutrons_uplink(i) && !has_default_route(&ns->ifaces, i);
}

/* Of Neutron, but no router: DHCP, metadata, and the host's part of distributed ones. */
static bool is_neutrons_other(const char *name)
{
	static const char *const names[] = { "qdhcp-", "ovnmeta-", "fip-", "snat-", "qlbaas-" };

	return begins_with_any(name, names, ARRAY_SIZE(names));
}

static bool is_neutrons(const struct namespace *ns)
{
	return begins(ns->name, "qrouter-");
}

static bool is_router(const struct namespace *ns)
{
	size_t ports = 0;

	vec_each (i, &ns->ifaces.list)
		ports += is_port(i);
	return is_neutrons(ns) || (ports >= 2 && !is_neutrons_other(ns->name));
}

/* ------------------------------------------------------------ the shared network */

/* A network that interfaces are on; an address of its own, or a link's, is none. */
static bool network_of(const struct iface_addr *a, struct prefix *out)
{
	struct prefix p = { a->addr, a->len };
	struct tn_addr mask = prefix_mask(&p);

	if (a->ours || a->len >= 127 || addr_is_special(&a->addr))
		return false;
	for (int w = 0; w < 4; w++)
		p.addr.w[w] &= mask.w[w];
	*out = p;
	return !prefix_special(out);
}

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_cmp(&a->addr, &b->addr) == 0;
}

static bool is_on(const struct iface *i, const struct prefix *network, struct tn_addr *at)
{
	struct prefix p;

	vec_each (a, &i->addrs) {
		if (!network_of(a, &p) || !same_prefix(&p, network))
			continue;
		*at = a->addr;
		return true;
	}
	return false;
}

/* The address of a router on a network, by an interface that is no uplink. */
static bool is_router_on(const struct namespace *ns, const struct prefix *network,
			 struct tn_addr *at)
{
	vec_each (i, &ns->ifaces.list) {
		if (is_candidate(ns, i) && is_on(i, network, at))
			return true;
	}
	return false;
}

/* Routers with an address there; 0 if two have the same one, as those of tenants do. */
static size_t members_of(const struct namespaces *seen, const struct prefix *network)
{
	struct addr_list found = { 0 };
	struct tn_addr at;
	size_t n = 0;
	bool twice = false;

	vec_each (ns, &seen->list) {
		if (!is_router(ns) || !is_router_on(ns, network, &at))
			continue;
		vec_each (a, &found.list)
			twice |= addr_cmp(a, &at) == 0;
		*vec_push(&found.list) = at;
	}
	n = twice ? 0 : found.list.n;
	vec_free(&found.list);
	return n;
}

/* The network that most routers are on, and two at least; false: there is none. */
static bool common_network(const struct namespaces *seen, struct prefix *out)
{
	size_t most = 1, n;
	struct prefix p;

	vec_each (ns, &seen->list) {
		vec_each (i, &ns->ifaces.list) {
			vec_each (a, &i->addrs) {
				if (!is_router(ns) || !is_candidate(ns, i) || !network_of(a, &p) ||
				    (n = members_of(seen, &p)) <= most)
					continue;
				most = n;
				*out = p;
			}
		}
	}
	return most > 1;
}

/* RFC 6598 */
static bool is_of_carriers(const struct iface *i)
{
	struct prefix range, p;

	prefix_parse("100.64.0.0/10", &range);
	vec_each (a, &i->addrs) {
		if (network_of(a, &p) && prefix_has(&range, &a->addr))
			return true;
	}
	return false;
}

/* How much speaks for it; 0: nothing. `common` NULL: there is no such network. */
static int likeness(const struct iface *i, const struct prefix *common)
{
	struct tn_addr at;

	return strstr(i->name, "shared")	 ? 3
	       : is_of_carriers(i)		 ? 2
	       : common && is_on(i, common, &at) ? 1
						 : 0;
}

/* NULL: none looks like it, or two do alike. */
static const struct iface *shared_of(const struct namespace *ns, const struct prefix *common)
{
	const struct iface *best = NULL;
	int most = 0;

	vec_each (i, &ns->ifaces.list) {
		int like = is_candidate(ns, i) ? likeness(i, common) : 0;

		if (like && like == most)
			best = NULL;
		if (like <= most)
			continue;
		most = like;
		best = i;
	}
	return best;
}

/* ------------------------------------------------------------ subnets and pools */

static void add_subnet(struct outline *out, const struct prefix *p)
{
	for (size_t i = 0; i < out->subnets.n; i++) {
		struct prefix *other = &out->subnets.v[i];

		if (!prefix_overlap(other, p))
			continue;
		if (p->len < other->len)
			*other = *p;
		return;
	}
	if (out->subnets.n < 16)
		*vec_push(&out->subnets) = *p;
}

static bool is_in_use(const struct namespaces *seen, const struct prefix *range)
{
	struct prefix p;

	vec_each (ns, &seen->list) {
		vec_each (i, &ns->ifaces.list) {
			vec_each (a, &i->addrs) {
				if (network_of(a, &p) && prefix_overlap(&p, range))
					return true;
			}
		}
	}
	return false;
}

/* The first /16 of 100.64.0.0/10 that no interface has an address of. */
static struct prefix free_subnet(const struct namespaces *seen)
{
	struct prefix p;
	char text[32];

	for (int second = 64; second < 128; second++) {
		snprintf(text, sizeof(text), "100.%d.0.0/16", second);
		prefix_parse(text, &p);
		if (!is_in_use(seen, &p))
			break;
	}
	return p;
}

static void find_subnets(const struct namespaces *seen, struct outline *out)
{
	struct prefix p;

	vec_each (r, &out->routers) {
		if (!r->shared)
			continue;
		vec_each (a, &r->shared->addrs) {
			if (network_of(a, &p))
				add_subnet(out, &p);
		}
	}
	out->subnets_seen = out->subnets.n;
	if (!out->subnets.n)
		*vec_push(&out->subnets) = free_subnet(seen);
}

/* A part of the subnet for the router with that number, from 1: an IPv4 /24, an IPv6 /112. */
static bool pool_of(const struct prefix *subnet, size_t number, struct prefix *out)
{
	uint8_t len = addr_is_v4(&subnet->addr) ? 128 - 8 : 112;
	int bits = len - subnet->len;

	if (bits < 0 || (bits < 32 && number >> bits))
		return false;
	*out = (struct prefix){ addr_add(&subnet->addr, (uint64_t)number << (128 - len)), len };
	return true;
}

/* One of each family, or none at all: with some, who has none takes what is left. */
static void give_pools(struct outline *out)
{
	struct prefix p;
	size_t number = 0;

	vec_each (s, &out->subnets) {
		if (!pool_of(s, out->routers.n, &p))
			return;
	}
	vec_each (r, &out->routers) {
		number++;
		vec_each (s, &out->subnets) {
			if (pool_of(s, number, &p))
				*vec_push(&r->pools) = p;
		}
	}
}

/* ------------------------------------------------------------ names */

static bool is_name_taken(const struct outline *out, const struct outline_router *r)
{
	vec_each (other, &out->routers) {
		if (other != r && strcmp(other->tenant, r->tenant) == 0)
			return true;
	}
	return false;
}

/* Of its namespace, as a tenant may be called; of Neutron's the beginning of the router's UUID. */
static void give_name(const struct outline *out, struct outline_router *r)
{
	const char *from = r->neutron ? r->seen->name + 1 : r->seen->name;
	size_t most = r->neutron ? strlen("router-") + 8 : TENANT_NAME_MAX - 5, n = 0;
	char name[TENANT_NAME_MAX + 1];

	for (; *from && n < most; from++) {
		unsigned char c = (unsigned char)tolower((unsigned char)*from);

		if (n == 0 && !isalnum(c))
			continue;
		name[n++] = isascii(c) && isalnum(c) ? (char)c : '-';
	}
	name[n] = '\0';
	snprintf(r->tenant, sizeof(r->tenant), "%s", n ? name : "router");
	for (int i = 2; is_name_taken(out, r); i++)
		snprintf(r->tenant, sizeof(r->tenant), "%.52s-%d", n ? name : "router", i);
}

static void add_router(const struct namespace *ns, const struct prefix *common, struct outline *out)
{
	struct outline_router *r = vec_push(&out->routers);

	r->seen = ns;
	r->neutron = is_neutrons(ns);
	r->shared = shared_of(ns, common);
	give_name(out, r);
	vec_each (i, &ns->ifaces.list) {
		if (i != r->shared && is_candidate(ns, i) && r->inside.n < TN_INSIDE_MAX)
			*vec_push(&r->inside) = i;
	}
}

void outline_make(const struct namespaces *seen, struct outline *out)
{
	struct prefix common;
	bool any = common_network(seen, &common);

	memset(out, 0, sizeof(*out));
	vec_each (ns, &seen->list) {
		if (is_router(ns))
			add_router(ns, any ? &common : NULL, out);
	}
	find_subnets(seen, out);
	give_pools(out);
}
