/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may be in a model: names, patterns, limits, addresses. One mapping is checked for the user
 * who adds it, and a whole model that does not come from a definitions file.
 */
#include <limits.h>

#include "model/dns.h"
#include "model/prefixes.h"
#include "model/until.h"

/* `red/web` is cut at its slash, and a rule's `to` takes addresses too. */
static bool name_valid(const char *name)
{
	size_t n =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	struct tn_addr a;

	return n > 0 && n <= TENANT_NAME_MAX && name[n] == '\0' && !strchr("._-", name[0]) &&
	       !addr_parse(name, &a);
}

bool tenant_name_valid(const char *name)
{
	return name_valid(name);
}

bool mapping_name_valid(const char *name)
{
	return name_valid(name);
}

bool sender_parse(const char *text, struct sender *out)
{
	size_t n = strcspn(text, "/");
	struct tn_addr a;

	if (n > TENANT_NAME_MAX)
		return false;
	memcpy(out->tenant, text, n);
	out->tenant[n] = '\0';
	out->mapping = text[n] ? text + n + 1 : NULL;
	return tenant_name_valid(out->tenant) &&
	       (!out->mapping || mapping_name_valid(out->mapping) || addr_parse(out->mapping, &a));
}

bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static bool is_dot(const char *text)
{
	return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

bool interface_name_valid(const char *name)
{
	return *name && strlen(name) <= INTERFACE_NAME_MAX && !strpbrk(name, "/: ") &&
	       !is_dot(name) && !has_control(name);
}

bool host_name_valid(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-");

	return n > 0 && n <= HOST_NAME_MAX_LEN && name[n] == '\0' && !strchr(".-", name[0]);
}

bool pattern_is_open(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\' && c[1]) {
			c++;
		} else if (*c == '[') {
			c += strspn(c + 1, "!^") + 1; /* a `]` that comes first is a member */
			c = *c ? strchr(c + 1, ']') : NULL;
			if (!c)
				return true;
		}
	}
	return false;
}

bool pattern_valid(const char *pattern)
{
	return strlen(pattern) <= PATTERN_MAX && !strpbrk(pattern, "/ ") && !has_control(pattern) &&
	       !pattern_is_open(pattern);
}

bool netns_valid(const char *spec)
{
	bool path = spec[0] == '/';

	return *spec && (path || !strchr(spec, '/')) && !is_dot(spec) && !has_control(spec) &&
	       strlen(spec) <= (path ? PATH_MAX - 1 : NAME_MAX);
}

bool limit_valid(const struct limit *l)
{
	return l->rate <= LIMIT_RATE_MAX && l->burst <= LIMIT_BURST_MAX &&
	       l->packets <= LIMIT_PACKETS_MAX && !l->burst == !l->rate;
}

bool route_valid(const struct model *m, const struct route *r)
{
	const struct prefix *subnet = model_subnet(m, &r->to.addr);

	return subnet && subnet->len <= r->to.len && model_shares(m, &r->via) &&
	       addr_is_v4(&r->to.addr) == addr_is_v4(&r->via) && !prefix_has(&r->to, &r->via);
}

bool inside_route_valid(const struct model *m, const struct route *r)
{
	if (!r->to.len || prefix_special(&r->to) || addr_is_special(&r->via) ||
	    addr_is_v4(&r->to.addr) != addr_is_v4(&r->via) || prefix_has(&r->to, &r->via) ||
	    model_shares(m, &r->via))
		return false;
	vec_each (subnet, &m->subnets) {
		if (prefix_overlap(subnet, &r->to))
			return false;
	}
	return true;
}

bool tenant_may_have(const struct model *m, const struct tenant *t, const struct tn_addr *shared)
{
	if (!t->pools.n)
		return model_shares(m, shared);
	vec_each (p, &t->pools) {
		if (prefix_has(p, shared))
			return true;
	}
	return false;
}

bool tenant_may_have_all(const struct model *m, const struct tenant *t,
			 const struct mapping *mapping)
{
	const struct prefix *v = t->pools.n ? t->pools.v : m->subnets.v;
	size_t n = t->pools.n ? t->pools.n : m->subnets.n;

	for (size_t i = 0; i < n; i++) {
		if (v[i].len <= 128 - mapping->bits && prefix_has(&v[i], &mapping->shared))
			return true;
	}
	return false;
}

static int check_shared(const struct model *m, const struct tenant *t, const struct mapping *added,
			struct error *err)
{
	if (addr_is_v4(&added->fixed) != addr_is_v4(&added->shared))
		return error_usage(err, "%s and %s are of different address families", FIXED(added),
				   SHARED(added));
	if (!tenant_may_have_all(m, t, added))
		return error_usage(err, "%s is outside the %s of tenant %s", SHARED(added),
				   t->pools.n ? "pool" : "shared subnets", t->name);
	vec_each (p, &m->subnets) {
		if (!added->bits && prefix_has(p, &added->shared) &&
		    prefix_reserves(p, &added->shared))
			return error_usage(err, "%s is the network or broadcast address of %s",
					   ADDR(&added->shared), PREFIX(p));
	}
	vec_each (other, &m->tenants) {
		vec_each (used, &other->mappings) {
			if (addr_cmp(&used->shared, &added->shared) == 0)
				return error_usage(
					err, "%s is the shared address of %s of tenant %s",
					ADDR(&added->shared), ADDR(&used->fixed), other->name);
		}
	}
	return 0;
}

/* That its name in DNS is one, and nobody else's. */
static int check_dns_name(const struct model *m, const struct tenant *t, const char *name,
			  struct error *err)
{
	const struct tenant *owner;
	const struct mapping *other;
	char buf[DNS_FAULT];
	const char *fault;

	if (!m->zone || !name)
		return 0;
	fault = dns_fault(t->name, name, buf);
	if (fault)
		return error_usage(err,
				   "`%s-%s` cannot be a name in the zone %s: %s; use letters, "
				   "digits and `-` in the mapping's name, or give none",
				   t->name, name, m->zone, fault);
	other = dns_taken(m, t, name, &owner);
	if (other)
		return error_usage(
			err, "%s/%s would be called `%s-%s.%s`, as %s/%s is; use another name",
			t->name, name, t->name, name, m->zone, owner->name, other->name);
	return 0;
}

int model_check_mapping(const struct model *m, const struct tenant *t, const struct mapping *added,
			struct error *err)
{
	const struct prefix fixed = mapping_fixed(added);

	if (prefix_special(&fixed))
		return error_usage(err, "%s is not an address that a VM can have", FIXED(added));
	vec_each (s, &m->subnets) {
		if (prefix_overlap(s, &fixed))
			return error_usage(
				err, "%s is in a shared subnet; give the VM's private address",
				FIXED(added));
	}
	if (added->bits && !mac_is_unset(added->mac))
		return error_usage(err,
				   "%s is a prefix, and a MAC address is of one VM; leave it out",
				   FIXED(added));
	if (added->name && !mapping_name_valid(added->name))
		return error_usage(err,
				   "`%s` cannot be a mapping's name; use letters, digits, `.`, `_` "
				   "and `-`, beginning with a letter or digit, %d at most",
				   added->name, TENANT_NAME_MAX);
	vec_each (used, &t->mappings) {
		if (addr_cmp(&used->fixed, &added->fixed) == 0)
			return error_usage(err, "tenant %s has a mapping of %s already: %s",
					   t->name, FIXED(used), SHARED(used));
		if (added->name && used->name && strcmp(used->name, added->name) == 0 &&
		    addr_is_v4(&used->fixed) == addr_is_v4(&added->fixed))
			return error_usage(err, "tenant %s has a mapping named %s already: %s",
					   t->name, added->name, FIXED(used));
	}
	if (!added->bits && check_dns_name(m, t, added->name, err))
		return -1;
	return added->pinned ? check_shared(m, t, added, err) : 0;
}

struct ids {
	VEC(uint32_t) list;
};

static int id_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Whether all are from 1 to `max`, and each is there once. The list is freed. */
static bool are_ids(struct ids *ids, uint32_t max)
{
	bool good = true;

	vec_sort(&ids->list, id_cmp);
	for (size_t i = 0; i < ids->list.n; i++) {
		uint32_t id = ids->list.v[i];

		good &= id && id <= max && !(i && ids->list.v[i - 1] == id);
	}
	vec_free(&ids->list);
	return good;
}

static const char *ids_fault(const struct model *m)
{
	struct ids tenants = { 0 }, routers = { 0 }, rules = { 0 };
	bool good[3], placed = true;

	vec_each (t, &m->tenants) {
		*vec_push(&tenants.list) = t->id;
		const struct router *router = tenant_router(t);

		if (router)
			*vec_push(&routers.list) = router->id;
		/* one with hosts is elsewhere, or was so as long as this host had another name */
		placed &= !router || router->hosts.n || router->id < TN_ROUTERS_MAX;
		vec_each (r, &t->accept)
			*vec_push(&rules.list) = r->id;
	}
	good[0] = are_ids(&tenants, MODEL_ID_MAX);
	good[1] = are_ids(&routers, MODEL_ID_MAX) && placed;
	good[2] = are_ids(&rules, MODEL_ID_MAX);
	return !good[0]	  ? "a tenant's id is out of range or there twice"
	       : !good[1] ? "a router's id is out of range or there twice"
	       : !good[2] ? "a rule's id is out of range or there twice"
			  : NULL;
}

static const char *network_fault(const struct model *m)
{
	if (m->zone && !dns_zone_valid(m->zone))
		return "the zone of names is none";
	if (m->subnets.n > TN_SUBNETS_MAX)
		return "there are too many shared subnets";
	vec_each (p, &m->subnets) {
		if (prefix_special(p))
			return "a shared subnet has addresses that no VM can have";
		for (const struct prefix *q = m->subnets.v; q < p; q++) {
			if (prefix_overlap(p, q))
				return "shared subnets overlap";
		}
	}
	return NULL;
}

static bool pool_valid(const struct model *m, const struct prefix *pool)
{
	const struct prefix *subnet = model_subnet(m, &pool->addr);

	return subnet && subnet->len <= pool->len;
}

static bool has_host_bits(const struct prefix *p)
{
	struct tn_addr mask = prefix_mask(p);

	return (p->addr.w[0] & ~mask.w[0]) | (p->addr.w[1] & ~mask.w[1]) |
	       (p->addr.w[2] & ~mask.w[2]) | (p->addr.w[3] & ~mask.w[3]);
}

static bool prefix_mapping_valid(const struct model *m, const struct mapping *mapping)
{
	const struct prefix fixed = mapping_fixed(mapping), shared = mapping_shared(mapping);
	bool v4 = addr_is_v4(&mapping->fixed), inside = false;

	if (v4 != addr_is_v4(&mapping->shared) || mapping->bits >= (v4 ? 32 : 128) ||
	    has_host_bits(&fixed) || has_host_bits(&shared) || prefix_special(&fixed) ||
	    prefix_special(&shared) || !mac_is_unset(mapping->mac))
		return false;
	vec_each (s, &m->subnets) {
		if (prefix_overlap(s, &fixed))
			return false;
		inside |= s->len <= shared.len && prefix_has(s, &shared.addr);
	}
	return inside;
}

static bool mapping_valid(const struct model *m, const struct mapping *mapping)
{
	if (mapping->bits)
		return prefix_mapping_valid(m, mapping);
	return !mapping->except && !addr_is_special(&mapping->fixed) &&
	       !addr_is_special(&mapping->shared) &&
	       addr_is_v4(&mapping->fixed) == addr_is_v4(&mapping->shared) &&
	       model_shares(m, &mapping->shared) && !model_shares(m, &mapping->fixed);
}

static const char *router_fault(const struct model *m, const struct router *r)
{
	if (r->netns && !netns_valid(r->netns))
		return "its router's namespace is no name and no path";
	vec_each (host, &r->hosts) {
		if (!host_name_valid(*host))
			return "a host of its router has no valid name";
	}
	if (r->shared && !interface_name_valid(r->shared))
		return "its router's shared interface has no valid name";
	vec_each (name, &r->inside) {
		if (inside_is_pattern(*name) ? !pattern_valid(*name) : !interface_name_valid(*name))
			return "an inside interface of its router has no valid name";
	}
	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&r->own[f].addr) && !model_shares(m, &r->own[f].addr))
			return "its router's address is in no shared subnet";
	}
	vec_each (route, &r->routes) {
		if (!route_valid(m, route))
			return "a route of its router leads to no shared subnet";
	}
	vec_each (route, &r->inside_routes) {
		if (!inside_route_valid(m, route))
			return "an inside route of its router is none";
	}
	return NULL;
}

static const char *rule_fault(const struct rule *r)
{
	struct sender sender;
	struct tn_addr a;

	vec_each (name, &r->from) {
		if (!sender_parse(*name, &sender))
			return "a rule of it is from a tenant or mapping without a valid name";
	}
	vec_each (name, &r->to) {
		if (!mapping_name_valid(*name) && !addr_parse(*name, &a))
			return "a rule of it is to a mapping without a valid name";
	}
	if (!until_valid(r->until))
		return "a rule of it ends in a year that it cannot";
	return NULL;
}

static const char *tenant_fault(const struct model *m, const struct tenant *t)
{
	const struct router *r = tenant_router(t);
	const char *fault = r ? router_fault(m, r) : NULL;

	if (fault)
		return fault;
	vec_each (p, &t->pools) {
		if (!pool_valid(m, p))
			return "a pool of it is in no shared subnet";
	}
	vec_each (mapping, &t->mappings) {
		if (mapping->name && !mapping_name_valid(mapping->name))
			return "a mapping of it has no valid name";
		if (!mapping_valid(m, mapping))
			return "a mapping of it has an address that it cannot have";
		if (!mac_is_unset(mapping->mac) && !mac_is_valid(mapping->mac))
			return "a mapping of it has a MAC address that no VM can have";
		if (!limit_valid(&mapping->limit))
			return "a mapping of it has a limit that it cannot have";
	}
	vec_each (rule, &t->accept) {
		fault = rule_fault(rule);
		if (fault)
			return fault;
	}
	return NULL;
}

const char *model_fault(const struct model *m, char buf[MODEL_FAULT])
{
	const char *fault = network_fault(m);
	struct error err = { 0 };

	vec_each (t, &m->tenants) {
		if (!fault && !tenant_name_valid(t->name))
			return "a tenant's name is not valid";
	}
	if (!fault)
		fault = ids_fault(m);
	if (fault)
		return fault;
	vec_each (t, &m->tenants) {
		fault = tenant_fault(m, t);
		if (fault) {
			snprintf(buf, MODEL_FAULT, "tenant %s: %s", t->name, fault);
			return buf;
		}
	}
	if (prefixes_fault(m, NULL, &err)) {
		snprintf(buf, MODEL_FAULT, "%.*s", MODEL_FAULT - 1, err.text);
		return buf;
	}
	return NULL;
}
