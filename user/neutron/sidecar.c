/* SPDX-License-Identifier: GPL-2.0-only */
/* What sidecars have in Neutron: made, completed, removed. */
#include "neutron/sidecar.h"

#include <stdarg.h>

#include "neutron/client_internal.h"

/* Whatever is ours, and nobody else's. */
#define OURS "description=tenantnat%3Asidecar"

#define NAME_MAX_LEN 64

/* Of the transit networks: each is a router's own, so that all can have the same. For those whose
 * tenants have these addresses already there is another one. */
static const char *const transits[FAMILIES][3] = {
	[IPV4] = { "192.0.2.0/30", "198.51.100.0/30", "203.0.113.0/30" },
	[IPV6] = { "fd74:6e61:7400::/126", "fd74:6e61:7401::/126", "fd74:6e61:7402::/126" },
};

/* X(ID, list, "path", "one"): what is made, under these names of the API. */
#define KINDS(X)                                    \
	X(NETWORK, NETWORKS, "networks", "network") \
	X(SUBNET, SUBNETS, "subnets", "subnet")     \
	X(PORT, PORTS, "ports", "port")             \
	X(GROUP, GROUPS, "security-groups", "security_group")

enum kind {
#define X(id, list, path, one) KIND_##id,
	KINDS(X)
#undef X
		KINDS_COUNT
};

static const struct {
	enum neutron_list list;
	const char *path;
	const char *one;
} kinds[] = {
#define X(id, list, path, one) [KIND_##id] = { NEUTRON_##list, path, one },
	KINDS(X)
#undef X
};

/* What there is, and who it is for. */
struct work {
	struct neutron_client *client;
	const struct inventory *inv;
	const char *host;
	struct sidecar_work *out;
	json_t *have[KINDS_COUNT]; /* of ours, as the API has them; what is made is added */
	const struct neutron_network *network;
	int mtu;	/* of the shared network */
	bool atomic;	/* single routes of a router can be added and removed */
	bool stateless; /* security groups can be */
};

static void work_free(struct work *k)
{
	for (int i = 0; i < KINDS_COUNT; i++)
		json_decref(k->have[i]);
}

void sidecar_work_free(struct sidecar_work *w)
{
	vec_each (text, &w->lines)
		free(*text);
	vec_free(&w->lines);
	vec_each (text, &w->failures)
		free(*text);
	vec_free(&w->failures);
}

static const char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text ? text : "";
}

static bool is_text(const json_t *object, const char *field, const char *text)
{
	return strcmp(text_of(object, field), text) == 0;
}

__attribute__((format(printf, 4, 5))) static void note(struct work *k, char sign,
						       const char *router, const char *format, ...)
{
	char what[200], *line;
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (asprintf(&line, "%c sidecar %s: %s", sign, SHOWN(router), what) >= 0)
		*vec_push(&k->out->lines) = line;
}

/* ------------------------------------------------------------ what there is */

static bool has_extension(const json_t *list, const char *alias)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (is_text(one, "alias", alias))
			return true;
	}
	return false;
}

static int look_at_extensions(struct work *k, struct error *err)
{
	const json_t *list;
	json_t *answer;

	if (neutron_get(k->client, "extensions", "fields=alias", &answer, err))
		return -1;
	list = json_object_get(answer, "extensions");
	k->atomic = has_extension(list, "extraroute-atomic");
	k->stateless = has_extension(list, "stateful-security-group");
	json_decref(answer);
	return 0;
}

static int look_at_shared(struct work *k, struct error *err)
{
	char path[64];
	json_t *answer;

	vec_each (n, &k->inv->networks) {
		if (n->tagged)
			k->network = n;
	}
	if (!k->network)
		return 0;
	snprintf(path, sizeof(path), "networks/%s", k->network->id);
	if (neutron_get(k->client, path, "fields=id&fields=mtu", &answer, err))
		return -1;
	k->mtu =
		(int)json_integer_value(json_object_get(json_object_get(answer, "network"), "mtu"));
	json_decref(answer);
	return 0;
}

/* Whatever a server makes of the filter: nobody else's is ever touched. */
static int list_ours(struct work *k, enum kind kind, json_t *out, struct error *err)
{
	if (neutron_list_all(k->client, kinds[kind].list, kinds[kind].path, OURS, out, err))
		return -1;
	for (size_t i = json_array_size(out); i-- > 0;) {
		if (!is_text(json_array_get(out, i), "description", NEUTRON_SIDECAR))
			json_array_remove(out, i);
	}
	return 0;
}

static int look_at_all(struct work *k, struct error *err)
{
	for (int i = 0; i < KINDS_COUNT; i++) {
		k->have[i] = json_array();
		if (list_ours(k, i, k->have[i], err))
			return -1;
	}
	return look_at_extensions(k, err) || look_at_shared(k, err) ? -1 : 0;
}

/* Of two with one name, which a request without an answer can leave, the one with the lesser id. */
static json_t *find(const struct work *k, enum kind kind, const char *name)
{
	json_t *found = NULL, *one;
	size_t i;

	json_array_foreach(k->have[kind], i, one)
	{
		if (is_text(one, "name", name) &&
		    (!found || strcmp(text_of(one, "id"), text_of(found, "id")) < 0))
			found = one;
	}
	return found;
}

/* "tnat-ROUTER", and with `part` "tnat-ROUTER-PART" */
static const char *name_of(const char *router, const char *part, char buf[NAME_MAX_LEN])
{
	snprintf(buf, NAME_MAX_LEN, "tnat-%s%s%s", router, *part ? "-" : "", part);
	return buf;
}
#define NAME(router, part) name_of(router, part, (char[NAME_MAX_LEN]){ 0 })

/* ------------------------------------------------------------ making */

/* One router and its sidecar, as far as there is one; NULL in a dry run. */
struct sidecar {
	const struct neutron_router *router;
	const json_t *network, *subnets[FAMILIES];
	json_t *facing, *legs[2]; /* the router's port; transit, shared */
};

/* The object of that name: the one that is there, or else made of `body`, which is stolen. */
static int ensure(struct work *k, const struct sidecar *s, enum kind kind, const char *name,
		  json_t *body, json_t **out, struct error *err)
{
	json_t *answer = NULL, *made;

	*out = find(k, kind, name);
	if (*out) {
		json_decref(body);
		return 0;
	}
	note(k, '+', s->router->name, "%s %s", kinds[kind].one, name);
	if (k->out->dry_run) {
		json_decref(body);
		return 0;
	}
	json_object_set_new(body, "name", json_string(name));
	json_object_set_new(body, "description", json_string(NEUTRON_SIDECAR));
	k->out->wrote = true;
	if (neutron_send(k->client, "POST", kinds[kind].path,
			 json_pack("{s:o}", kinds[kind].one, body), &answer, err))
		return -1;
	made = json_object_get(answer, kinds[kind].one);
	if (!*text_of(made, "id")) {
		json_decref(answer);
		return error_set(err, "Neutron's answer is not understood: the new %s has no id",
				 kinds[kind].one);
	}
	json_array_append(k->have[kind], made);
	json_decref(answer);
	*out = find(k, kind, name);
	return 0;
}

static bool has_family(const struct work *k, int family)
{
	vec_each (s, &k->inv->subnets) {
		if (strcmp(s->network, k->network->id) == 0 && addr_family(&s->cidr.addr) == family)
			return true;
	}
	return false;
}

static bool is_free(const struct work *k, const struct prefix *p)
{
	vec_each (s, &k->inv->subnets) {
		if (prefix_overlap(&s->cidr, p) &&
		    addr_is_v4(&s->cidr.addr) == addr_is_v4(&p->addr) &&
		    strcmp(s->network, k->network->id) != 0)
			return false;
	}
	return true;
}

static int choose_transit(const struct work *k, int family, struct prefix *out, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(transits[family]); i++) {
		if (prefix_parse(transits[family][i], out) && is_free(k, out))
			return 0;
	}
	return error_set(err,
			 "tenants have all of the addresses that a transit network could have, "
			 "such as %s",
			 transits[family][0]);
}

static int ensure_subnet(struct work *k, struct sidecar *s, int family, struct error *err)
{
	const char *name = NAME(s->router->id, family == IPV4 ? "4" : "6");
	struct tn_addr gateway;
	struct prefix cidr;
	json_t *found;

	if (!(found = find(k, KIND_SUBNET, name)) && choose_transit(k, family, &cidr, err))
		return -1;
	if (!found) {
		gateway = addr_add(&cidr.addr, 1);
		if (ensure(k, s, KIND_SUBNET, name,
			   json_pack("{s:s?, s:i, s:s, s:s, s:b}", "network_id",
				     s->network ? text_of(s->network, "id") : NULL, "ip_version",
				     family == IPV4 ? 4 : 6, "cidr", PREFIX(&cidr), "gateway_ip",
				     ADDR(&gateway), "enable_dhcp", 0),
			   &found, err))
			return -1;
	}
	s->subnets[family] = found;
	return 0;
}

/* Its `number`-th address in each transit subnet. */
static json_t *transit_ips(const struct sidecar *s, unsigned int number)
{
	json_t *list = json_array();

	for (int f = 0; f < FAMILIES; f++) {
		struct tn_addr a;
		struct prefix p;

		if (!s->subnets[f] || !prefix_parse(text_of(s->subnets[f], "cidr"), &p))
			continue;
		a = addr_add(&p.addr, number);
		json_array_append_new(list, json_pack("{s:s, s:s}", "subnet_id",
						      text_of(s->subnets[f], "id"), "ip_address",
						      ADDR(&a)));
	}
	return list;
}

/* One of each family, of the first subnet that has it. */
static json_t *shared_ips(const struct work *k)
{
	json_t *list = json_array();
	bool has[FAMILIES] = { false };

	vec_each (s, &k->inv->subnets) {
		int family = addr_family(&s->cidr.addr);

		if (strcmp(s->network, k->network->id) != 0 || has[family])
			continue;
		has[family] = true;
		json_array_append_new(list, json_pack("{s:s}", "subnet_id", s->id));
	}
	return list;
}

static void add_pair(json_t *list, const char *prefix)
{
	json_array_append_new(list, json_pack("{s:s}", "ip_address", prefix));
}

static void add_subnet_pairs(const struct work *k, json_t *list)
{
	vec_each (s, &k->inv->subnets) {
		if (strcmp(s->network, k->network->id) == 0)
			add_pair(list, PREFIX(&s->cidr));
	}
}

/* What may come from a leg besides its own address. */
static json_t *pairs_of(const struct work *k, const struct sidecar *s, bool shared)
{
	json_t *list = json_array();
	struct prefix p;

	for (size_t i = 0; shared && i < s->router->pools.n; i++) {
		if (prefix_parse(s->router->pools.v[i], &p))
			add_pair(list, PREFIX(&p));
	}
	if (!json_array_size(list))
		add_subnet_pairs(k, list);
	return list;
}

static bool has_pair(const json_t *list, const char *prefix)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (is_text(one, "ip_address", prefix))
			return true;
	}
	return false;
}

static bool same_pairs(const json_t *a, const json_t *b)
{
	const json_t *one;
	size_t i;

	json_array_foreach(a, i, one)
	{
		if (!has_pair(b, text_of(one, "ip_address")))
			return false;
	}
	return json_array_size(a) == json_array_size(b);
}

/* ------------------------------------------------------------ the security group */

/* Port security drops what no rule lets in, and a sidecar judges for itself. */
static int ensure_rule(struct work *k, json_t *group, const char *direction, const char *type,
		       struct error *err)
{
	json_t *rules = json_object_get(group, "security_group_rules"), *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		if (is_text(rule, "direction", direction) && is_text(rule, "ethertype", type))
			return 0;
	}
	rule = json_pack("{s:s, s:s, s:s}", "security_group_id", text_of(group, "id"), "direction",
			 direction, "ethertype", type);
	json_array_append(rules, rule);
	k->out->wrote = true;
	return neutron_send(k->client, "POST", "security-group-rules",
			    json_pack("{s:o}", "security_group_rule", rule), NULL, err);
}

/* One for all sidecars. */
static int ensure_group(struct work *k, const struct sidecar *s, const char **id, struct error *err)
{
	json_t *body = json_object(), *group;

	if (k->stateless)
		json_object_set_new(body, "stateful", json_false());
	if (ensure(k, s, KIND_GROUP, "tnat-sidecar", body, &group, err))
		return -1;
	*id = group ? text_of(group, "id") : "";
	if (!group || k->out->dry_run)
		return 0;
	return ensure_rule(k, group, "ingress", "IPv4", err) ||
			       ensure_rule(k, group, "ingress", "IPv6", err) ||
			       ensure_rule(k, group, "egress", "IPv4", err) ||
			       ensure_rule(k, group, "egress", "IPv6", err)
		       ? -1
		       : 0;
}

/* ------------------------------------------------------------ ports */

/* Of another host it was before, or with other addresses. */
static int correct_leg(struct work *k, const struct sidecar *s, json_t *port, json_t *pairs,
		       struct error *err)
{
	char path[64];

	if (is_text(port, "binding:host_id", k->host) &&
	    same_pairs(json_object_get(port, "allowed_address_pairs"), pairs)) {
		json_decref(pairs);
		return 0;
	}
	note(k, '~', s->router->name, "port %s", text_of(port, "name"));
	if (k->out->dry_run) {
		json_decref(pairs);
		return 0;
	}
	k->out->wrote = true;
	snprintf(path, sizeof(path), "ports/%s", text_of(port, "id"));
	return neutron_send(k->client, "PUT", path,
			    json_pack("{s:{s:s, s:o}}", "port", "binding:host_id", k->host,
				      "allowed_address_pairs", pairs),
			    NULL, err);
}

static int ensure_leg(struct work *k, struct sidecar *s, bool shared, const char *group,
		      struct error *err)
{
	const char *network = shared ? k->network->id : s->network ? text_of(s->network, "id") : "";
	const char *name = NAME(s->router->id, shared ? "shared" : "transit");
	bool found = find(k, KIND_PORT, name) != NULL;

	if (ensure(k, s, KIND_PORT, name,
		   json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:[s], s:b}", "network_id", network,
			     "device_owner", NEUTRON_SIDECAR, "device_id", s->router->id,
			     "binding:host_id", k->host, "fixed_ips",
			     shared ? shared_ips(k) : transit_ips(s, 2), "allowed_address_pairs",
			     pairs_of(k, s, shared), "security_groups", group, "admin_state_up", 1),
		   &s->legs[shared], err))
		return -1;
	return found ? correct_leg(k, s, s->legs[shared], pairs_of(k, s, shared), err) : 0;
}

static int ensure_facing(struct work *k, struct sidecar *s, struct error *err)
{
	char path[96];

	if (ensure(k, s, KIND_PORT, NAME(s->router->id, "router"),
		   json_pack("{s:s, s:o, s:[], s:b}", "network_id",
			     s->network ? text_of(s->network, "id") : "", "fixed_ips",
			     transit_ips(s, 1), "security_groups", "admin_state_up", 1),
		   &s->facing, err))
		return -1;
	if (s->facing && is_text(s->facing, "device_id", s->router->id))
		return 0;
	note(k, '+', s->router->name, "interface of the router");
	if (k->out->dry_run)
		return 0;
	k->out->wrote = true;
	snprintf(path, sizeof(path), "routers/%s/add_router_interface", s->router->id);
	if (neutron_send(k->client, "PUT", path,
			 json_pack("{s:s}", "port_id", text_of(s->facing, "id")), NULL, err))
		return -1;
	json_object_set_new(s->facing, "device_id", json_string(s->router->id));
	return 0;
}

/* ------------------------------------------------------------ the router's routes */

static bool is_by(const json_t *route, const json_t *leg)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(leg, "fixed_ips"), i, one)
	{
		if (is_text(route, "nexthop", text_of(one, "ip_address")))
			return true;
	}
	return false;
}

static bool has_route(const json_t *routes, const json_t *route)
{
	const json_t *one;
	size_t i;

	json_array_foreach(routes, i, one)
	{
		if (is_text(one, "destination", text_of(route, "destination")) &&
		    is_text(one, "nexthop", text_of(route, "nexthop")))
			return true;
	}
	return false;
}

/* To each shared subnet by the sidecar's address of that family; NULL leg: by none. */
static json_t *routes_by(const struct work *k, const json_t *leg)
{
	json_t *list = json_array();
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(leg, "fixed_ips"), i, one)
	{
		struct tn_addr a;

		if (!addr_parse(text_of(one, "ip_address"), &a))
			continue;
		vec_each (s, &k->inv->subnets) {
			if (strcmp(s->network, k->network->id) == 0 &&
			    addr_is_v4(&s->cidr.addr) == addr_is_v4(&a))
				json_array_append_new(list, json_pack("{s:s, s:s}", "destination",
								      PREFIX(&s->cidr), "nexthop",
								      ADDR(&a)));
		}
	}
	return list;
}

/* The routes of the router that it has now, the caller's to free; NULL: an error is set. */
static json_t *read_routes(struct work *k, const char *router, struct error *err)
{
	json_t *answer, *routes;
	char path[64];

	snprintf(path, sizeof(path), "routers/%s", router);
	if (neutron_get(k->client, path, "fields=id&fields=routes", &answer, err))
		return NULL;
	routes = json_object_get(json_object_get(answer, "router"), "routes");
	routes = json_is_array(routes) ? json_incref(routes) : json_array();
	json_decref(answer);
	return routes;
}

/* Where single ones cannot be changed, all are written, with those of others as they were. */
static int write_routes(struct work *k, const char *router, const json_t *had, const json_t *add,
			const json_t *del, struct error *err)
{
	json_t *all = json_array(), *one;
	char path[64];
	size_t i;

	json_array_foreach(had, i, one)
	{
		if (!has_route(del, one))
			json_array_append(all, one);
	}
	json_array_extend(all, (json_t *)add);
	snprintf(path, sizeof(path), "routers/%s", router);
	return neutron_send(k->client, "PUT", path, json_pack("{s:{s:o}}", "router", "routes", all),
			    NULL, err);
}

static int change_routes(struct work *k, const char *router, const json_t *had, json_t *add,
			 json_t *del, struct error *err)
{
	const struct {
		const char *verb;
		json_t *routes;
	} changes[] = { { "remove_extraroutes", del }, { "add_extraroutes", add } };
	char path[96];

	if (!json_array_size(add) && !json_array_size(del))
		return 0;
	k->out->wrote = true;
	if (!k->atomic)
		return write_routes(k, router, had, add, del, err);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		snprintf(path, sizeof(path), "routers/%s/%s", router, changes[i].verb);
		if (json_array_size(changes[i].routes) &&
		    neutron_send(k->client, "PUT", path,
				 json_pack("{s:{s:O}}", "router", "routes", changes[i].routes),
				 NULL, err))
			return -1;
	}
	return 0;
}

/* Those by the sidecar become `wanted`; others are left alone. */
static int set_routes(struct work *k, const char *id, const char *name, const json_t *leg,
		      const json_t *wanted, struct error *err)
{
	json_t *had = read_routes(k, id, err), *add = json_array(), *del = json_array(), *one;
	int ret = had ? 0 : -1;
	size_t i;

	json_array_foreach(wanted, i, one)
	{
		if (has_route(had, one))
			continue;
		json_array_append(add, one);
		note(k, '+', name, "route to %s via %s", text_of(one, "destination"),
		     text_of(one, "nexthop"));
	}
	json_array_foreach(had, i, one)
	{
		if (!is_by(one, leg) || has_route(wanted, one))
			continue;
		json_array_append(del, one);
		note(k, '-', name, "route to %s via %s", text_of(one, "destination"),
		     text_of(one, "nexthop"));
	}
	if (!ret && !k->out->dry_run)
		ret = change_routes(k, id, had, add, del, err);
	json_decref(had);
	json_decref(add);
	json_decref(del);
	return ret;
}

static int ensure_routes(struct work *k, const struct sidecar *s, struct error *err)
{
	json_t *wanted = routes_by(k, s->legs[0]);
	int ret;

	if (!s->legs[0]) {
		note(k, '+', s->router->name, "routes to the shared subnets");
		json_decref(wanted);
		return 0;
	}
	ret = set_routes(k, s->router->id, s->router->name, s->legs[0], wanted, err);
	json_decref(wanted);
	return ret;
}

/* ------------------------------------------------------------ this host's part */

/* The prefix length of the subnet, of the transit network or of the shared one; 0: not known. */
static uint8_t length_of(const struct work *k, const struct sidecar *s, const char *subnet)
{
	struct prefix p;

	for (int f = 0; f < FAMILIES; f++) {
		if (s->subnets[f] && is_text(s->subnets[f], "id", subnet) &&
		    prefix_parse(text_of(s->subnets[f], "cidr"), &p))
			return p.len;
	}
	vec_each (one, &k->inv->subnets) {
		if (strcmp(one->id, subnet) == 0)
			return one->cidr.len;
	}
	return 0;
}

static void fill_leg(const struct work *k, const struct sidecar *s, bool shared, struct leg *out)
{
	const json_t *port = s->legs[shared], *one;
	char *name = sidecar_interface(text_of(port, "id"), shared);
	size_t i;

	*out = (struct leg){ .port = text_of(port, "id"), .mac = text_of(port, "mac_address") };
	snprintf(out->name, sizeof(out->name), "%s", name);
	free(name);
	out->mtu = shared ? k->mtu : (int)json_integer_value(json_object_get(s->network, "mtu"));
	json_array_foreach(json_object_get(port, "fixed_ips"), i, one)
	{
		struct prefix p = { .len = length_of(k, s, text_of(one, "subnet_id")) };

		if (p.len && addr_parse(text_of(one, "ip_address"), &p.addr))
			*vec_push(&out->addrs) = p;
	}
}

static int plug(struct work *k, const struct sidecar *s, struct error *err)
{
	_cleanup_free_ char *netns = sidecar_netns(s->router->id);
	struct leg legs[2];
	bool did = true;
	int ret = 0;

	if (!s->legs[0] || !s->legs[1]) {
		note(k, '+', s->router->name, "namespace %s", netns);
		return 0;
	}
	for (int i = 0; i < 2; i++)
		fill_leg(k, s, i, &legs[i]);
	if (k->out->dry_run)
		did = !sidecar_is_plugged(netns, legs, 2);
	else
		ret = sidecar_plug(netns, legs, 2, &did, err);
	if (did)
		note(k, '+', s->router->name, "namespace %s with %s and %s", netns, legs[0].name,
		     legs[1].name);
	for (int i = 0; i < 2; i++)
		vec_free(&legs[i].addrs);
	return ret;
}

/* ------------------------------------------------------------ all of it */

static int make_one(struct work *k, const struct neutron_router *router, struct error *err)
{
	struct sidecar s = { .router = router };
	const char *group;
	json_t *network;

	if (ensure_group(k, &s, &group, err) ||
	    ensure(k, &s, KIND_NETWORK, NAME(router->id, ""),
		   json_pack("{s:b}", "admin_state_up", 1), &network, err))
		return -1;
	s.network = network;
	for (int f = 0; f < FAMILIES; f++) {
		if (has_family(k, f) && ensure_subnet(k, &s, f, err))
			return -1;
	}
	return ensure_facing(k, &s, err) || ensure_leg(k, &s, false, group, err) ||
			       ensure_leg(k, &s, true, group, err) || plug(k, &s, err) ||
			       ensure_routes(k, &s, err)
		       ? -1
		       : 0;
}

static void note_failure(struct sidecar_work *w, const char *router, struct error *err)
{
	char *text;

	if (asprintf(&text, "the sidecar of router %s: %s", SHOWN(router), err->text) >= 0)
		*vec_push(&w->failures) = text;
	*err = (struct error){ 0 };
}

static bool is_here(const struct neutron_router *r, const char *host)
{
	return r->tagged && r->host && strcmp(r->host, host) == 0;
}

int sidecars_make(struct neutron_client *client, const struct inventory *inv, const char *host,
		  struct sidecar_work *w, struct error *err)
{
	_cleanup_(
		work_free) struct work k = { .client = client, .inv = inv, .host = host, .out = w };

	if (look_at_all(&k, err))
		return -1;
	vec_each (r, &inv->routers) {
		struct error one = { 0 };

		if (k.network && is_here(r, host) && make_one(&k, r, &one))
			note_failure(w, r->name, &one);
	}
	return 0;
}

bool sidecar_is_missing(const struct inventory *inv, const char *host)
{
	vec_each (r, &inv->routers) {
		_cleanup_free_ char *netns = sidecar_netns(r->id);

		if (is_here(r, host) && !sidecar_is_there(netns))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ removing */

static const struct neutron_router *router_by_id(const struct inventory *inv, const char *id)
{
	return inv->routers.n ? bsearch(id, inv->routers.v, inv->routers.n, sizeof(*inv->routers.v),
					neutron_id_cmp)
			      : NULL;
}

/* The router's id in a name of ours; false: there is none. */
static bool router_of(const json_t *object, char id[NEUTRON_ID])
{
	const char *name = text_of(object, "name");
	size_t head = strlen("tnat-");

	if (strncmp(name, "tnat-", head) != 0 || strlen(name) < head + NEUTRON_ID - 1)
		return false;
	snprintf(id, NEUTRON_ID, "%s", name + head);
	return strchr(id, '-') != NULL;
}

/* Not those of a router that is to have one, nor what another host has made. */
static bool is_to_go(const struct work *k, const char *id)
{
	const struct neutron_router *r = router_by_id(k->inv, id);
	const json_t *leg = find(k, KIND_PORT, NAME(id, "transit"));
	const char *host = text_of(leg, "binding:host_id");

	if (r && r->tagged && !(k->out->all && is_here(r, k->host)))
		return false;
	return !*host || strcmp(host, k->host) == 0;
}

static int remove_object(struct work *k, const char *path, const char *id, struct error *err)
{
	char at[96];

	snprintf(at, sizeof(at), "%s/%s", path, id);
	k->out->wrote = true;
	return neutron_send(k->client, "DELETE", at, NULL, NULL, err);
}

/* The router may be gone, with its interfaces and routes. */
static int is_router_there(struct work *k, const char *id, bool *out, struct error *err)
{
	_cleanup_free_ char *query = NULL;
	json_t *list = json_array();
	int ret;

	if (asprintf(&query, "id=%s&fields=id", id) < 0)
		query = xstrdup("");
	ret = neutron_list_all(k->client, NEUTRON_ROUTERS, "routers", query, list, err);
	*out = json_array_size(list) > 0;
	json_decref(list);
	return ret;
}

static int detach_router(struct work *k, const char *id, const char *name, struct error *err)
{
	json_t *leg = find(k, KIND_PORT, NAME(id, "transit"));
	json_t *facing = find(k, KIND_PORT, NAME(id, "router"));
	json_t *none = json_array();
	char path[96];
	bool there;
	int ret = is_router_there(k, id, &there, err);

	if (!ret && there && leg)
		ret = set_routes(k, id, name, leg, none, err);
	json_decref(none);
	if (ret || !there || !facing || !is_text(facing, "device_id", id) || k->out->dry_run)
		return ret;
	snprintf(path, sizeof(path), "routers/%s/remove_router_interface", id);
	k->out->wrote = true;
	return neutron_send(k->client, "PUT", path,
			    json_pack("{s:s}", "port_id", text_of(facing, "id")), NULL, err);
}

static int delete_all(struct work *k, const char *id, struct error *err)
{
	static const enum kind order[] = { KIND_PORT, KIND_NETWORK };

	for (size_t o = 0; o < ARRAY_SIZE(order); o++) {
		json_t *one;
		size_t i;

		json_array_foreach(k->have[order[o]], i, one)
		{
			char of[NEUTRON_ID];

			if (router_of(one, of) && strcmp(of, id) == 0 &&
			    remove_object(k, kinds[order[o]].path, text_of(one, "id"), err))
				return -1;
		}
	}
	return 0;
}

static int unplug(struct work *k, const char *id, const char *name, struct error *err)
{
	_cleanup_free_ char *netns = sidecar_netns(id);
	bool did = false;

	for (int shared = 0; shared < 2; shared++) {
		const json_t *port = find(k, KIND_PORT, NAME(id, shared ? "shared" : "transit"));
		_cleanup_free_ char *leg = sidecar_interface(text_of(port, "id"), shared);

		if (port && !k->out->dry_run && sidecar_drop_leg(leg, err))
			return -1;
	}
	if (k->out->dry_run)
		did = sidecar_is_there(netns);
	else if (sidecar_unplug(netns, &did, err))
		return -1;
	if (did)
		note(k, '-', name, "namespace %s", netns);
	return 0;
}

static int remove_one(struct work *k, const char *id, struct error *err)
{
	const struct neutron_router *r = router_by_id(k->inv, id);
	const char *name = r ? r->name : id;

	if (detach_router(k, id, name, err) || unplug(k, id, name, err))
		return -1;
	note(k, '-', name, "network %s and its ports", NAME(id, ""));
	return k->out->dry_run ? 0 : delete_all(k, id, err);
}

static void list_in_neutron(const struct work *k, neutron_id_vec *out)
{
	static const enum kind of[] = { KIND_NETWORK, KIND_PORT };

	for (size_t o = 0; o < ARRAY_SIZE(of); o++) {
		const json_t *one;
		size_t i;

		json_array_foreach(k->have[of[o]], i, one)
		{
			struct neutron_id id;

			if (router_of(one, id.text) && is_to_go(k, id.text))
				*vec_push(out) = id;
		}
	}
	vec_sort_once(out, neutron_id_cmp);
}

/* Whose host is another one now keeps all that it has in Neutron. */
static void remove_here(struct work *k)
{
	neutron_id_vec here = { 0 };

	sidecars_here(&here);
	vec_each (id, &here) {
		const struct neutron_router *r = router_by_id(k->inv, id->text);
		struct error one = { 0 };

		if ((!r || !is_here(r, k->host)) &&
		    unplug(k, id->text, r ? r->name : id->text, &one))
			note_failure(k->out, r ? r->name : id->text, &one);
	}
	vec_free(&here);
}

/* With the last sidecar of all hosts. */
static int remove_group(struct work *k, struct error *err)
{
	json_t *ports = json_array(), *one;
	int ret = list_ours(k, KIND_PORT, ports, err);
	bool last = !json_array_size(ports);
	size_t i;

	json_decref(ports);
	if (ret || !last)
		return ret;
	json_array_foreach(k->have[KIND_GROUP], i, one)
	{
		if (remove_object(k, kinds[KIND_GROUP].path, text_of(one, "id"), err))
			return -1;
	}
	return 0;
}

int sidecars_remove(struct neutron_client *client, const struct inventory *inv, const char *host,
		    struct sidecar_work *w, struct error *err)
{
	_cleanup_(
		work_free) struct work k = { .client = client, .inv = inv, .host = host, .out = w };
	neutron_id_vec gone = { 0 };
	bool removed;

	if (look_at_all(&k, err))
		return -1;
	list_in_neutron(&k, &gone);
	removed = gone.n && !w->dry_run;
	vec_each (id, &gone) {
		const struct neutron_router *r = router_by_id(inv, id->text);
		struct error one = { 0 };

		if (remove_one(&k, id->text, &one))
			note_failure(w, r ? r->name : id->text, &one);
	}
	vec_free(&gone);
	remove_here(&k);
	return removed ? remove_group(&k, err) : 0;
}
