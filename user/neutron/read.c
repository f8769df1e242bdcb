/* SPDX-License-Identifier: GPL-2.0-only */
/* Which lists definitions take, page by page. */
#include "neutron/client_internal.h"

/* Neutron's own limit (pagination_max_limit) may be lower. */
#define PAGE_OBJECTS 500
/* No cloud has so many; a server that never ends is one that turns in circles. */
#define PAGES_MAX 10000
/* So many ids in one URL: servers take some 8 KiB of it. */
#define IDS_IN_URL 50

/* ------------------------------------------------------------ pages */

/* "…&fields=id&fields=name&limit=500"; the caller's to free. */
static char *first_query(enum neutron_list list, const char *query)
{
	char *text = NULL, *fields = xstrdup(neutron_list_fields(list)), *rest = fields, *field;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "%s%s", query, *query ? "&" : "");
	while ((field = strsep(&rest, ",")))
		fprintf(f, "fields=%s&", field);
	fprintf(f, "limit=%d", PAGE_OBJECTS);
	fclose(f);
	free(fields);
	return text;
}

/*
 * The query of the next page, the caller's to free; NULL: this was the last one. Of the link no
 * more counts: behind a proxy Neutron may call itself otherwise, and the token goes nowhere else.
 */
static char *next_query(enum neutron_list list, const json_t *answer)
{
	const json_t *link;
	char key[64];
	size_t i;

	snprintf(key, sizeof(key), "%s_links", neutron_list_key(list));
	json_array_foreach(json_object_get(answer, key), i, link)
	{
		const char *rel = json_string_value(json_object_get(link, "rel"));
		const char *href = json_string_value(json_object_get(link, "href"));
		const char *query = href ? strchr(href, '?') : NULL;

		if (rel && query && strcmp(rel, "next") == 0)
			return xstrdup(query + 1);
	}
	return NULL;
}

static bool is_empty(enum neutron_list list, const json_t *answer)
{
	return !json_array_size(json_object_get(answer, neutron_list_key(list)));
}

int neutron_list(struct neutron_client *client, enum neutron_list list, const char *path,
		 const char *query, struct inventory *inv, struct error *err)
{
	char *page = first_query(list, query);
	int ret = 0;

	for (int n = 0; page && !ret; n++) {
		json_t *answer;
		char *next = NULL;

		ret = neutron_get(client, path, page, &answer, err);
		if (!ret)
			ret = inventory_take(inv, list, answer, err);
		if (!ret)
			next = next_query(list, answer);
		if (next && (n >= PAGES_MAX || is_empty(list, answer) || strcmp(next, page) == 0))
			ret = error_set(
				err,
				"Neutron at %s: the pages of `%s` do not end; nothing can be "
				"made of them",
				client->shown, path);
		json_decref(answer);
		free(page);
		page = next;
	}
	free(page);
	return ret;
}

/* ------------------------------------------------------------ all lists */

/* For each of some objects, many in one call: "device_id=…&device_id=…". */
struct asking {
	struct neutron_client *client;
	struct inventory *inv;
	enum neutron_list list;
	const char *path;
	const char *field;
};

typedef VEC(const char *) id_vec;

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int ask_some(const struct asking *a, const char *const *ids, size_t n, struct error *err)
{
	char *query = NULL;
	size_t size;
	FILE *f = open_memstream(&query, &size);
	int ret;

	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s=%s", i ? "&" : "", a->field, ids[i]);
	fclose(f);
	ret = neutron_list(a->client, a->list, a->path, query, a->inv, err);
	free(query);
	return ret;
}

/* What `ids` point to must not be in what is asked for. */
static int ask_each(const struct asking *a, id_vec *ids, struct error *err)
{
	vec_sort_once(ids, text_cmp);
	for (size_t i = 0; i < ids->n; i += IDS_IN_URL) {
		size_t n = ids->n - i < IDS_IN_URL ? ids->n - i : IDS_IN_URL;

		if (ask_some(a, ids->v + i, n, err))
			return -1;
	}
	return 0;
}

#define TAGGED "tags=" NEUTRON_TAG

/* The routers that are on the host, by its agents. */
static int read_hosted(struct neutron_client *client, const char *host, struct inventory *inv,
		       struct error *err)
{
	char *escaped = curl_easy_escape(client->curl, host, 0), path[128];
	_cleanup_free_ char *query = NULL;
	int ret;

	if (!escaped || asprintf(&query, "agent_type=L3%%20agent&host=%s", escaped) < 0)
		return error_set(err, "out of memory");
	ret = neutron_list(client, NEUTRON_AGENTS, "agents", query, inv, err);
	curl_free(escaped);
	vec_each (a, &inv->agents) {
		snprintf(path, sizeof(path), "agents/%s/l3-routers", a->id);
		if (!ret && a->is_l3)
			ret = neutron_list(client, NEUTRON_HOSTED, path, "", inv, err);
	}
	return ret;
}

/* Their ports say which networks are behind them. */
static int read_router_ports(struct neutron_client *client, struct inventory *inv,
			     struct error *err)
{
	struct asking a = { client, inv, NEUTRON_PORTS, "ports", "device_id" };
	id_vec ids = { 0 };
	int ret;

	vec_each (r, &inv->routers)
		*vec_push(&ids) = r->id;
	ret = ask_each(&a, &ids, err);
	vec_free(&ids);
	return ret;
}

/* The subnets and all ports of networks that are behind routers, and of the shared one. */
static int read_networks(struct neutron_client *client, struct inventory *inv, struct error *err)
{
	struct asking subnets = { client, inv, NEUTRON_SUBNETS, "subnets", "network_id" };
	struct asking ports = { client, inv, NEUTRON_PORTS, "ports", "network_id" };
	VEC(struct neutron_id) networks = { 0 };
	id_vec ids = { 0 };
	int ret;

	/* copies: the ports move when more are taken */
	vec_each (n, &inv->networks)
		memcpy(vec_push(&networks)->text, n->id, NEUTRON_ID);
	vec_each (p, &inv->ports) {
		if (neutron_is_interface(p))
			memcpy(vec_push(&networks)->text, p->network, NEUTRON_ID);
	}
	vec_sort_once(&networks, neutron_id_cmp);
	vec_each (n, &networks)
		*vec_push(&ids) = n->text;
	ret = ask_each(&subnets, &ids, err) || ask_each(&ports, &ids, err) ? -1 : 0;
	vec_free(&ids);
	vec_free(&networks);
	return ret;
}

static int read_consent(struct neutron_client *client, struct inventory *inv, struct error *err)
{
	struct asking a = { client, inv, NEUTRON_POLICIES, "rbac-policies", "object_id" };
	id_vec ids = { 0 };
	int ret;

	if (neutron_list(client, NEUTRON_GROUPS, "security-groups", TAGGED, inv, err))
		return -1;
	vec_each (g, &inv->groups)
		*vec_push(&ids) = g->id;
	ret = ask_each(&a, &ids, err);
	vec_free(&ids);
	return ret;
}

int neutron_read(struct neutron_client *client, const char *host, struct inventory *inv,
		 struct error *err)
{
	if (neutron_list(client, NEUTRON_NETWORKS, "networks", TAGGED, inv, err) ||
	    read_hosted(client, host, inv, err) ||
	    neutron_list(client, NEUTRON_ROUTERS, "routers", TAGGED, inv, err) ||
	    read_router_ports(client, inv, err) || read_networks(client, inv, err) ||
	    read_consent(client, inv, err))
		return -1;
	inventory_sort(inv);
	return 0;
}
