/* SPDX-License-Identifier: GPL-2.0-only */
/* Which lists definitions take, page by page. */
#include "neutron/client_internal.h"

/* Neutron's own limit (pagination_max_limit) may be lower. Those of a poll are 80 bytes each. */
#define PAGE_OBJECTS	  500
#define PAGE_POLL_OBJECTS 5000
/* No cloud has so many; a server that never ends is one that turns in circles. */
#define PAGES_MAX 10000
/* So many ids in one URL, of 48 bytes each: servers take some 8 KiB of it. */
#define IDS_IN_URL 150

/* All calls that are made, and what becomes of their answers. */
struct reading {
	struct neutron_client *client;
	const char *host;
	const struct inventory *known; /* whose ids are asked for */
	struct inventory *inv;	       /* what is taken, the same; NULL: only the sum counts */
	uint64_t sum;
};

/* ------------------------------------------------------------ pages */

/* "…&fields=id&fields=name&limit=500"; the caller's to free. */
static char *first_query(const struct reading *r, enum neutron_list list, const char *query)
{
	char *fields = xstrdup(r->inv ? neutron_list_fields(list) : neutron_poll_fields(list));
	char *text = NULL, *rest = fields, *field;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "%s%s", query, *query ? "&" : "");
	while ((field = strsep(&rest, ",")))
		fprintf(f, "fields=%s&", field);
	fprintf(f, "limit=%d", r->inv ? PAGE_OBJECTS : PAGE_POLL_OBJECTS);
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

static int take_page(struct reading *r, enum neutron_list list, const char *path,
		     const json_t *answer, struct error *err)
{
	uint64_t sum = neutron_answer_sum(list, answer);

	/* a router that goes from one agent to another is in another answer */
	for (const char *c = path; list == NEUTRON_HOSTED && *c; c++)
		sum = sum * 31 + (unsigned char)*c;
	r->sum += sum;
	return r->inv ? inventory_take(r->inv, list, answer, err) : 0;
}

/* `path` is behind /v2.0/, `query` says which objects, encoded already; "": all. */
static int read_list(struct reading *r, enum neutron_list list, const char *path, const char *query,
		     struct error *err)
{
	char *page = first_query(r, list, query);
	int ret = 0;

	for (int n = 0; page && !ret; n++) {
		json_t *answer;
		char *next = NULL;

		ret = neutron_get(r->client, path, page, &answer, err);
		if (!ret)
			ret = take_page(r, list, path, answer, err);
		if (!ret)
			next = next_query(list, answer);
		if (next && (n >= PAGES_MAX || is_empty(list, answer) || strcmp(next, page) == 0))
			ret = error_set(
				err,
				"Neutron at %s: the pages of `%s` do not end; nothing can be "
				"made of them",
				r->client->shown, path);
		json_decref(answer);
		free(page);
		page = next;
	}
	free(page);
	return ret;
}

int neutron_list_all(struct neutron_client *n, enum neutron_list list, const char *path,
		     const char *query, json_t *out, struct error *err)
{
	char *page = xstrdup(query);
	int ret = 0;

	for (int i = 0; page && !ret; i++) {
		json_t *answer, *found;
		char *next = NULL;

		ret = neutron_get(n, path, page, &answer, err);
		found = json_object_get(answer, neutron_list_key(list));
		if (!ret && json_array_extend(out, found))
			ret = error_set(err,
					"Neutron's answer is not understood: it has no list `%s`",
					neutron_list_key(list));
		if (!ret)
			next = next_query(list, answer);
		if (next && (i >= PAGES_MAX || !json_array_size(found)))
			ret = error_set(err, "Neutron at %s: the pages of `%s` do not end",
					n->shown, path);
		json_decref(answer);
		free(page);
		page = next;
	}
	free(page);
	return ret;
}

/* ------------------------------------------------------------ all lists */

typedef VEC(const char *) id_vec;

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_some(struct reading *r, enum neutron_list list, const char *path, const char *field,
		     const char *const *ids, size_t n, struct error *err)
{
	char *query = NULL;
	size_t size;
	FILE *f = open_memstream(&query, &size);
	int ret;

	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s=%s", i ? "&" : "", field, ids[i]);
	fclose(f);
	ret = read_list(r, list, path, query, err);
	free(query);
	return ret;
}

/*
 * Those that have one of the ids in the field, many with each call: "device_id=…&device_id=…". The
 * ids are not in what is taken meanwhile, which moves.
 */
static int read_each(struct reading *r, enum neutron_list list, const char *path, const char *field,
		     id_vec *ids, struct error *err)
{
	vec_sort_once(ids, text_cmp);
	for (size_t i = 0; i < ids->n; i += IDS_IN_URL) {
		size_t n = ids->n - i < IDS_IN_URL ? ids->n - i : IDS_IN_URL;

		if (read_some(r, list, path, field, ids->v + i, n, err))
			return -1;
	}
	return 0;
}

#define TAGGED "tags=" NEUTRON_TAG

/* Of that host, or of all. */
static int read_agents(struct reading *r, struct error *err)
{
	char *escaped = r->host ? curl_easy_escape(r->client->curl, r->host, 0) : NULL;
	_cleanup_free_ char *query = NULL;
	int ret;

	if ((r->host && !escaped) || asprintf(&query, "agent_type=L3%%20agent%s%s",
					      escaped ? "&host=" : "", escaped ?: "") < 0)
		return error_set(err, "out of memory");
	ret = read_list(r, NEUTRON_AGENTS, "agents", query, err);
	curl_free(escaped);
	return ret;
}

/* Which routers these have. */
static int read_hosted(struct reading *r, struct error *err)
{
	int ret = r->known->ovn ? 0 : read_agents(r, err);
	char path[128];

	vec_each (a, &r->known->agents) {
		snprintf(path, sizeof(path), "agents/%s/l3-routers", a->id);
		if (r->inv)
			r->inv->agent = a->id;
		if (!ret && a->is_l3)
			ret = read_list(r, NEUTRON_HOSTED, path, "", err);
	}
	return ret;
}

/* Their ports say which networks are behind them. */
static int read_router_ports(struct reading *r, struct error *err)
{
	id_vec ids = { 0 };
	int ret;

	vec_each (router, &r->known->routers)
		*vec_push(&ids) = router->id;
	ret = read_each(r, NEUTRON_PORTS, "ports", "device_id", &ids, err);
	vec_free(&ids);
	return ret;
}

/* The subnets and all ports of networks that are behind routers, and of the shared one. */
static int read_networks(struct reading *r, struct error *err)
{
	VEC(struct neutron_id) networks = { 0 };
	id_vec ids = { 0 };
	int ret;

	vec_each (n, &r->known->networks)
		memcpy(vec_push(&networks)->text, n->id, NEUTRON_ID);
	vec_each (p, &r->known->ports) {
		if (neutron_is_interface(p))
			memcpy(vec_push(&networks)->text, p->network, NEUTRON_ID);
	}
	vec_sort_once(&networks, neutron_id_cmp);
	vec_each (n, &networks)
		*vec_push(&ids) = n->text;
	ret = read_each(r, NEUTRON_SUBNETS, "subnets", "network_id", &ids, err);
	if (!ret)
		ret = read_each(r, NEUTRON_PORTS, "ports", "network_id", &ids, err);
	vec_free(&ids);
	vec_free(&networks);
	return ret;
}

static int read_consent(struct reading *r, struct error *err)
{
	id_vec ids = { 0 };
	int ret;

	if (read_list(r, NEUTRON_GROUPS, "security-groups", TAGGED, err))
		return -1;
	vec_each (g, &r->known->groups)
		*vec_push(&ids) = g->id;
	ret = read_each(r, NEUTRON_POLICIES, "rbac-policies", "object_id", &ids, err);
	vec_free(&ids);
	return ret;
}

static int read_all(struct reading *r, struct error *err)
{
	return read_list(r, NEUTRON_NETWORKS, "networks", TAGGED, err) || read_hosted(r, err) ||
			       read_list(r, NEUTRON_ROUTERS, "routers", TAGGED, err) ||
			       read_router_ports(r, err) || read_networks(r, err) ||
			       read_consent(r, err)
		       ? -1
		       : 0;
}

int neutron_read(struct neutron_client *client, const char *host, struct inventory *inv,
		 uint64_t *sum, struct error *err)
{
	struct reading r = { .client = client, .host = host, .known = inv, .inv = inv };

	if (read_all(&r, err))
		return -1;
	inventory_sort(inv);
	if (sum)
		*sum = r.sum;
	return 0;
}

int neutron_poll(struct neutron_client *client, const char *host, const struct inventory *known,
		 uint64_t *sum, struct error *err)
{
	struct reading r = { .client = client, .host = host, .known = known };

	if (read_all(&r, err))
		return -1;
	*sum = r.sum;
	return 0;
}
