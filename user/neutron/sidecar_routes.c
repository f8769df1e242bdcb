/* SPDX-License-Identifier: GPL-2.0-only */
/* Extra routes of a router, one by one where Neutron can do that. */
#include "neutron/sidecar_internal.h"

static bool is_by(const json_t *route, const json_t *leg)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(leg, "fixed_ips"), i, one)
	{
		if (field_is(route, "nexthop", field_text(one, "ip_address")))
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
		if (field_is(one, "destination", field_text(route, "destination")) &&
		    field_is(one, "nexthop", field_text(route, "nexthop")))
			return true;
	}
	return false;
}

/* To each shared subnet by the sidecar's address of that family; NULL leg: by none. */
json_t *sidecar_routes(const struct sidecars *k, const json_t *leg)
{
	json_t *list = json_array();
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(leg, "fixed_ips"), i, one)
	{
		struct tn_addr a;

		if (!addr_parse(field_text(one, "ip_address"), &a))
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
static json_t *read_routes(struct sidecars *k, const char *router, struct error *err)
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
static int write_routes(struct sidecars *k, const char *router, const json_t *had,
			const json_t *add, const json_t *del, struct error *err)
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

static int change_routes(struct sidecars *k, const char *router, const json_t *had, json_t *add,
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
int sidecar_set_routes(struct sidecars *k, const char *id, const char *name, const json_t *leg,
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
		sidecar_note(k, '+', name, "route to %s via %s", field_text(one, "destination"),
			     field_text(one, "nexthop"));
	}
	json_array_foreach(had, i, one)
	{
		if (!is_by(one, leg) || has_route(wanted, one))
			continue;
		json_array_append(del, one);
		sidecar_note(k, '-', name, "route to %s via %s", field_text(one, "destination"),
			     field_text(one, "nexthop"));
	}
	if (!ret && !k->out->dry_run)
		ret = change_routes(k, id, had, add, del, err);
	json_decref(had);
	json_decref(add);
	json_decref(del);
	return ret;
}
