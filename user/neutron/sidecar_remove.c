/* SPDX-License-Identifier: GPL-2.0-only */
/* Removing sidecars that are not to be there. */
#include "neutron/sidecar_internal.h"

static const struct neutron_router *router_by_id(const struct inventory *inv, const char *id)
{
	return inv->routers.n ? bsearch(id, inv->routers.v, inv->routers.n, sizeof(*inv->routers.v),
					neutron_id_cmp)
			      : NULL;
}

/* The router's id in a name of ours; false: there is none. */
static bool router_of(const json_t *object, char id[NEUTRON_ID])
{
	const char *name = field_text(object, "name");
	size_t head = strlen("tnat-");

	if (strncmp(name, "tnat-", head) != 0 || strlen(name) < head + NEUTRON_ID - 1)
		return false;
	snprintf(id, NEUTRON_ID, "%s", name + head);
	return strchr(id, '-') != NULL;
}

/* Not those of a router that is to have one, nor what another host has made. */
static bool is_to_go(const struct sidecars *k, const char *id)
{
	const struct neutron_router *r = router_by_id(k->inv, id);
	const json_t *leg = sidecar_find(k, KIND_PORT, NAME(id, "transit"));
	const char *host = field_text(leg, "binding:host_id");

	if (r && r->tagged && !(k->out->all && sidecar_is_here(r, k->host)))
		return false;
	return !*host || strcmp(host, k->host) == 0;
}

static int remove_object(struct sidecars *k, const char *path, const char *id, struct error *err)
{
	char at[96];

	snprintf(at, sizeof(at), "%s/%s", path, id);
	k->out->wrote = true;
	return neutron_send(k->client, "DELETE", at, NULL, NULL, err);
}

/* The router may be gone, with its interfaces and routes. */
static int is_router_there(struct sidecars *k, const char *id, bool *out, struct error *err)
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

static int detach_router(struct sidecars *k, const char *id, const char *name, struct error *err)
{
	json_t *leg = sidecar_find(k, KIND_PORT, NAME(id, "transit"));
	json_t *facing = sidecar_find(k, KIND_PORT, NAME(id, "router"));
	json_t *none = json_array();
	char path[96];
	bool there;
	int ret = is_router_there(k, id, &there, err);

	if (!ret && there && leg)
		ret = sidecar_set_routes(k, id, name, leg, none, err);
	json_decref(none);
	if (ret || !there || !facing || !field_is(facing, "device_id", id) || k->out->dry_run)
		return ret;
	snprintf(path, sizeof(path), "routers/%s/remove_router_interface", id);
	k->out->wrote = true;
	return neutron_send(k->client, "PUT", path,
			    json_pack("{s:s}", "port_id", field_text(facing, "id")), NULL, err);
}

static int delete_all(struct sidecars *k, const char *id, struct error *err)
{
	static const enum kind order[] = { KIND_PORT, KIND_NETWORK };

	for (size_t o = 0; o < ARRAY_SIZE(order); o++) {
		json_t *one;
		size_t i;

		json_array_foreach(k->have[order[o]], i, one)
		{
			char of[NEUTRON_ID];

			if (router_of(one, of) && strcmp(of, id) == 0 &&
			    remove_object(k, sidecar_kinds[order[o]].path, field_text(one, "id"),
					  err))
				return -1;
		}
	}
	return 0;
}

static int unplug(struct sidecars *k, const char *id, const char *name, struct error *err)
{
	_cleanup_free_ char *netns = sidecar_netns(id);
	bool did = false;

	for (int shared = 0; shared < 2; shared++) {
		const json_t *port =
			sidecar_find(k, KIND_PORT, NAME(id, shared ? "shared" : "transit"));
		_cleanup_free_ char *leg = sidecar_interface(field_text(port, "id"), shared);

		if (port && !k->out->dry_run && sidecar_drop_leg(leg, err))
			return -1;
	}
	if (k->out->dry_run)
		did = sidecar_is_there(netns);
	else if (sidecar_unplug(netns, &did, err))
		return -1;
	if (did)
		sidecar_note(k, '-', name, "namespace %s", netns);
	return 0;
}

static int remove_one(struct sidecars *k, const char *id, struct error *err)
{
	const struct neutron_router *r = router_by_id(k->inv, id);
	const char *name = r ? r->name : id;

	if (detach_router(k, id, name, err) || unplug(k, id, name, err))
		return -1;
	sidecar_note(k, '-', name, "network %s and its ports", NAME(id, ""));
	return k->out->dry_run ? 0 : delete_all(k, id, err);
}

static void list_in_neutron(const struct sidecars *k, neutron_id_vec *out)
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
static void remove_here(struct sidecars *k)
{
	neutron_id_vec here = { 0 };

	sidecars_here(&here);
	vec_each (id, &here) {
		const struct neutron_router *r = router_by_id(k->inv, id->text);
		struct error one = { 0 };

		if ((!r || !sidecar_is_here(r, k->host)) &&
		    unplug(k, id->text, r ? r->name : id->text, &one))
			sidecar_failed(k->out, r ? r->name : id->text, &one);
	}
	vec_free(&here);
}

/* With the last sidecar of all hosts. */
static int remove_group(struct sidecars *k, struct error *err)
{
	json_t *ports = json_array(), *one;
	int ret = sidecars_list(k, KIND_PORT, ports, err);
	bool last = !json_array_size(ports);
	size_t i;

	json_decref(ports);
	if (ret || !last)
		return ret;
	json_array_foreach(k->have[KIND_GROUP], i, one)
	{
		if (remove_object(k, sidecar_kinds[KIND_GROUP].path, field_text(one, "id"), err))
			return -1;
	}
	return 0;
}

int sidecars_remove(struct neutron_client *client, const struct inventory *inv, const char *host,
		    struct sidecar_work *w, struct error *err)
{
	_cleanup_(sidecars_free) struct sidecars k = {
		.client = client, .inv = inv, .host = host, .out = w
	};
	neutron_id_vec gone = { 0 };
	bool removed;

	if (sidecars_look(&k, err))
		return -1;
	list_in_neutron(&k, &gone);
	removed = gone.n && !w->dry_run;
	vec_each (id, &gone) {
		const struct neutron_router *r = router_by_id(inv, id->text);
		struct error one = { 0 };

		if (remove_one(&k, id->text, &one))
			sidecar_failed(w, r ? r->name : id->text, &one);
	}
	vec_free(&gone);
	remove_here(&k);
	return removed ? remove_group(&k, err) : 0;
}
