/* SPDX-License-Identifier: GPL-2.0-only */
/* Making what is missing of sidecars, in Neutron and by plug.c on this host. */
#include "neutron/sidecar_internal.h"

/* Of the transit networks: each is a router's own, so that all can have the same. For those whose
 * tenants have these addresses already there is another one. */
static const char *const transits[FAMILIES][3] = {
	[IPV4] = { "192.0.2.0/30", "198.51.100.0/30", "203.0.113.0/30" },
	[IPV6] = { "fd74:6e61:7400::/126", "fd74:6e61:7401::/126", "fd74:6e61:7402::/126" },
};

/* ------------------------------------------------------------ making */

/* One router and its sidecar, as far as there is one; NULL in a dry run. */
struct sidecar {
	const struct neutron_router *router;
	const json_t *network, *subnets[FAMILIES];
	json_t *facing, *legs[2]; /* the router's port; transit, shared */
};

/* The object of that name: the one that is there, or else made of `body`, which is stolen. */
static int ensure(struct sidecars *k, const struct sidecar *s, enum kind kind, const char *name,
		  json_t *body, json_t **out, struct error *err)
{
	json_t *answer = NULL, *made;

	*out = sidecar_find(k, kind, name);
	if (*out) {
		json_decref(body);
		return 0;
	}
	sidecar_note(k, '+', s->router->name, "%s %s", sidecar_kinds[kind].one, name);
	if (k->out->dry_run) {
		json_decref(body);
		return 0;
	}
	json_object_set_new(body, "name", json_string(name));
	json_object_set_new(body, "description", json_string(NEUTRON_SIDECAR));
	k->out->wrote = true;
	if (neutron_send(k->client, "POST", sidecar_kinds[kind].path,
			 json_pack("{s:o}", sidecar_kinds[kind].one, body), &answer, err))
		return -1;
	made = json_object_get(answer, sidecar_kinds[kind].one);
	if (!*field_text(made, "id")) {
		json_decref(answer);
		return error_set(err, "Neutron's answer is not understood: the new %s has no id",
				 sidecar_kinds[kind].one);
	}
	json_array_append(k->have[kind], made);
	json_decref(answer);
	*out = sidecar_find(k, kind, name);
	return 0;
}

static bool has_family(const struct sidecars *k, int family)
{
	vec_each (s, &k->inv->subnets) {
		if (strcmp(s->network, k->network->id) == 0 && addr_family(&s->cidr.addr) == family)
			return true;
	}
	return false;
}

static bool is_free(const struct sidecars *k, const struct prefix *p)
{
	vec_each (s, &k->inv->subnets) {
		if (prefix_overlap(&s->cidr, p) &&
		    addr_is_v4(&s->cidr.addr) == addr_is_v4(&p->addr) &&
		    strcmp(s->network, k->network->id) != 0)
			return false;
	}
	return true;
}

static int choose_transit(const struct sidecars *k, int family, struct prefix *out,
			  struct error *err)
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

static int ensure_subnet(struct sidecars *k, struct sidecar *s, int family, struct error *err)
{
	const char *name = NAME(s->router->id, family == IPV4 ? "4" : "6");
	struct tn_addr gateway;
	struct prefix cidr;
	json_t *found;

	if (!(found = sidecar_find(k, KIND_SUBNET, name)) && choose_transit(k, family, &cidr, err))
		return -1;
	if (!found) {
		gateway = addr_add(&cidr.addr, 1);
		if (ensure(k, s, KIND_SUBNET, name,
			   json_pack("{s:s?, s:i, s:s, s:s, s:b}", "network_id",
				     s->network ? field_text(s->network, "id") : NULL, "ip_version",
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

		if (!s->subnets[f] || !prefix_parse(field_text(s->subnets[f], "cidr"), &p))
			continue;
		a = addr_add(&p.addr, number);
		json_array_append_new(list, json_pack("{s:s, s:s}", "subnet_id",
						      field_text(s->subnets[f], "id"), "ip_address",
						      ADDR(&a)));
	}
	return list;
}

/* One of each family, of the first subnet that has it. */
static json_t *shared_ips(const struct sidecars *k)
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

static void add_subnet_pairs(const struct sidecars *k, json_t *list)
{
	vec_each (s, &k->inv->subnets) {
		if (strcmp(s->network, k->network->id) == 0)
			add_pair(list, PREFIX(&s->cidr));
	}
}

/* What may come from a leg besides its own address. */
static json_t *pairs_of(const struct sidecars *k, const struct sidecar *s, bool shared)
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
		if (field_is(one, "ip_address", prefix))
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
		if (!has_pair(b, field_text(one, "ip_address")))
			return false;
	}
	return json_array_size(a) == json_array_size(b);
}

/* ------------------------------------------------------------ the security group */

/* Port security drops what no rule lets in, and a sidecar judges for itself. */
static int ensure_rule(struct sidecars *k, json_t *group, const char *direction, const char *type,
		       struct error *err)
{
	json_t *rules = json_object_get(group, "security_group_rules"), *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		if (field_is(rule, "direction", direction) && field_is(rule, "ethertype", type))
			return 0;
	}
	rule = json_pack("{s:s, s:s, s:s}", "security_group_id", field_text(group, "id"),
			 "direction", direction, "ethertype", type);
	json_array_append(rules, rule);
	k->out->wrote = true;
	return neutron_send(k->client, "POST", "security-group-rules",
			    json_pack("{s:o}", "security_group_rule", rule), NULL, err);
}

/* One for all sidecars. */
static int ensure_group(struct sidecars *k, const struct sidecar *s, const char **id,
			struct error *err)
{
	json_t *body = json_object(), *group;

	if (k->stateless)
		json_object_set_new(body, "stateful", json_false());
	if (ensure(k, s, KIND_GROUP, "tnat-sidecar", body, &group, err))
		return -1;
	*id = group ? field_text(group, "id") : "";
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
static int correct_leg(struct sidecars *k, const struct sidecar *s, json_t *port, json_t *pairs,
		       struct error *err)
{
	char path[64];

	if (field_is(port, "binding:host_id", k->host) &&
	    same_pairs(json_object_get(port, "allowed_address_pairs"), pairs)) {
		json_decref(pairs);
		return 0;
	}
	sidecar_note(k, '~', s->router->name, "port %s", field_text(port, "name"));
	if (k->out->dry_run) {
		json_decref(pairs);
		return 0;
	}
	k->out->wrote = true;
	snprintf(path, sizeof(path), "ports/%s", field_text(port, "id"));
	return neutron_send(k->client, "PUT", path,
			    json_pack("{s:{s:s, s:o}}", "port", "binding:host_id", k->host,
				      "allowed_address_pairs", pairs),
			    NULL, err);
}

static int ensure_leg(struct sidecars *k, struct sidecar *s, bool shared, const char *group,
		      struct error *err)
{
	const char *network = shared	   ? k->network->id
			      : s->network ? field_text(s->network, "id")
					   : "";
	const char *name = NAME(s->router->id, shared ? "shared" : "transit");
	bool found = sidecar_find(k, KIND_PORT, name) != NULL;

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

static int ensure_facing(struct sidecars *k, struct sidecar *s, struct error *err)
{
	char path[96];

	if (ensure(k, s, KIND_PORT, NAME(s->router->id, "router"),
		   json_pack("{s:s, s:o, s:[], s:b}", "network_id",
			     s->network ? field_text(s->network, "id") : "", "fixed_ips",
			     transit_ips(s, 1), "security_groups", "admin_state_up", 1),
		   &s->facing, err))
		return -1;
	if (s->facing && field_is(s->facing, "device_id", s->router->id))
		return 0;
	sidecar_note(k, '+', s->router->name, "interface of the router");
	if (k->out->dry_run)
		return 0;
	k->out->wrote = true;
	snprintf(path, sizeof(path), "routers/%s/add_router_interface", s->router->id);
	if (neutron_send(k->client, "PUT", path,
			 json_pack("{s:s}", "port_id", field_text(s->facing, "id")), NULL, err))
		return -1;
	json_object_set_new(s->facing, "device_id", json_string(s->router->id));
	return 0;
}

static int ensure_routes(struct sidecars *k, const struct sidecar *s, struct error *err)
{
	json_t *wanted = sidecar_routes(k, s->legs[0]);
	int ret;

	if (!s->legs[0]) {
		sidecar_note(k, '+', s->router->name, "routes to the shared subnets");
		json_decref(wanted);
		return 0;
	}
	ret = sidecar_set_routes(k, s->router->id, s->router->name, s->legs[0], wanted, err);
	json_decref(wanted);
	return ret;
}

/* ------------------------------------------------------------ this host's part */

/* The prefix length of the subnet, of the transit network or of the shared one; 0: not known. */
static uint8_t length_of(const struct sidecars *k, const struct sidecar *s, const char *subnet)
{
	struct prefix p;

	for (int f = 0; f < FAMILIES; f++) {
		if (s->subnets[f] && field_is(s->subnets[f], "id", subnet) &&
		    prefix_parse(field_text(s->subnets[f], "cidr"), &p))
			return p.len;
	}
	vec_each (one, &k->inv->subnets) {
		if (strcmp(one->id, subnet) == 0)
			return one->cidr.len;
	}
	return 0;
}

static void fill_leg(const struct sidecars *k, const struct sidecar *s, bool shared,
		     struct leg *out)
{
	const json_t *port = s->legs[shared], *one;
	char *name = sidecar_interface(field_text(port, "id"), shared);
	size_t i;

	*out = (struct leg){ .port = field_text(port, "id"),
			     .mac = field_text(port, "mac_address") };
	snprintf(out->name, sizeof(out->name), "%s", name);
	free(name);
	out->mtu = shared ? k->mtu : (int)json_integer_value(json_object_get(s->network, "mtu"));
	json_array_foreach(json_object_get(port, "fixed_ips"), i, one)
	{
		struct prefix p = { .len = length_of(k, s, field_text(one, "subnet_id")) };

		if (p.len && addr_parse(field_text(one, "ip_address"), &p.addr))
			*vec_push(&out->addrs) = p;
	}
}

static int plug(struct sidecars *k, const struct sidecar *s, struct error *err)
{
	_cleanup_free_ char *netns = sidecar_netns(s->router->id);
	struct leg legs[2];
	bool did = true;
	int ret = 0;

	if (!s->legs[0] || !s->legs[1]) {
		sidecar_note(k, '+', s->router->name, "namespace %s", netns);
		return 0;
	}
	for (int i = 0; i < 2; i++)
		fill_leg(k, s, i, &legs[i]);
	if (k->out->dry_run)
		did = !sidecar_is_plugged(netns, legs, 2);
	else
		ret = sidecar_plug(netns, legs, 2, &did, err);
	if (did)
		sidecar_note(k, '+', s->router->name, "namespace %s with %s and %s", netns,
			     legs[0].name, legs[1].name);
	for (int i = 0; i < 2; i++)
		vec_free(&legs[i].addrs);
	return ret;
}

/* ------------------------------------------------------------ all of it */

static int make_one(struct sidecars *k, const struct neutron_router *router, struct error *err)
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

int sidecars_make(struct neutron_client *client, const struct inventory *inv, const char *host,
		  struct sidecar_work *w, struct error *err)
{
	_cleanup_(sidecars_free) struct sidecars k = {
		.client = client, .inv = inv, .host = host, .out = w
	};

	if (sidecars_look(&k, err))
		return -1;
	vec_each (r, &inv->routers) {
		struct error one = { 0 };

		if (k.network && sidecar_is_here(r, host) && make_one(&k, r, &one))
			sidecar_failed(w, r->name, &one);
	}
	return 0;
}

bool sidecar_is_missing(const struct inventory *inv, const char *host)
{
	vec_each (r, &inv->routers) {
		_cleanup_free_ char *netns = sidecar_netns(r->id);

		if (sidecar_is_here(r, host) && !sidecar_is_there(netns))
			return true;
	}
	return false;
}
