/* SPDX-License-Identifier: GPL-2.0-only */
#include "handover/handover.h"

#include <string.h>

#include "dataplane/flows.h"
#include "model/prefixes.h"

/* ------------------------------------------------------------ export */

static int by_id(const void *one, const void *two)
{
	const struct tenant *const *a = one, *const *b = two;

	return (*a)->id < (*b)->id ? -1 : (*a)->id > (*b)->id;
}

void tenants_by_id(const struct model *m, struct tenants_by_id *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants)
		*vec_push(&out->list) = t;
	vec_sort(&out->list, by_id);
}

void tenants_by_id_free(struct tenants_by_id *t)
{
	vec_free(&t->list);
}

static const struct tenant *tenant_of_id(const struct tenants_by_id *all, uint32_t id)
{
	struct tenant key = { .id = id };
	const struct tenant *like = &key, **found;

	found = all->list.n ? bsearch(&like, all->list.v, all->list.n, sizeof(like), by_id) : NULL;
	return found ? *found : NULL;
}

static bool is_of_prefix(const struct mapping *m, const struct tn_flow_key *key)
{
	struct tn_addr shared = mapping_shared_of(m, &key->fixed);

	return m->bits && mapping_has_fixed(m, &key->fixed) && addr_cmp(&shared, &key->shared) == 0;
}

/* The mapping that the flow is of; NULL: it is of none any more. */
static const struct mapping *mapping_of(struct tenant *t, const struct tn_flow_key *key)
{
	const struct mapping *own = tenant_mapping(t, &key->fixed);

	if (own && addr_cmp(&own->shared, &key->shared) == 0)
		return own;
	vec_each (m, &t->mappings) {
		if (is_of_prefix(m, key))
			return m;
	}
	return NULL;
}

bool flow_name(const struct tenants_by_id *all, struct tenant *t, const struct flow *f,
	       uint32_t now, struct named_flow *out)
{
	const struct tenant *peer = f->value.tenant ? tenant_of_id(all, f->value.tenant) : NULL;

	if (f->value.owner != t->id || (f->value.tenant && !peer) || f->value.expires <= now ||
	    !mapping_of(t, &f->key))
		return false;
	*out = (struct named_flow){ .fixed = f->key.fixed,
				    .shared = f->key.shared,
				    .peer = f->key.peer,
				    .port = f->key.port,
				    .service = f->key.service,
				    .proto = f->key.proto,
				    .closing = f->value.flags & TN_FLOW_CLOSING,
				    .left = f->value.expires - now };
	snprintf(out->tenant, sizeof(out->tenant), "%s", t->name);
	snprintf(out->peer_tenant, sizeof(out->peer_tenant), "%s", peer ? peer->name : "");
	return true;
}

static int export_router(const struct view *v, const struct tenants_by_id *all,
			 const struct router_row *row, const struct selection *s, FILE *to,
			 struct error *err)
{
	struct tenant *t = model_tenant_sorted((struct model *)&v->model, row->tenant);
	_cleanup_flows_ struct flows open = { 0 };
	uint32_t now = flows_now();

	if (!t || !selection_has(s, t))
		return 0;
	if (dataplane_flows(v->dp, row->id, &open))
		return error_set(err,
				 "cannot read the flows of %s; `tenantnat restore` mends "
				 "what is missing",
				 t->name);
	vec_each (f, &open.list) {
		const struct mapping *m = mapping_of(t, &f->key);
		struct named_flow named;

		if (!m || !selection_has_mapping(s, t, m) || !flow_name(all, t, f, now, &named))
			continue;
		if (named_flow_write(&named, to, err))
			return -1;
	}
	return 0;
}

int flows_export(const struct view *v, const struct selection *s, FILE *to, struct error *err)
{
	_cleanup_tenants_by_id_ struct tenants_by_id all;

	tenants_by_id(&v->model, &all);
	vec_each (row, &v->kernel.routers) {
		if (export_router(v, &all, row, s, to, err))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ import */

struct taking {
	const struct view *view;
	uint32_t now;
	VEC(struct taken) list;
};

static void taking_free(struct taking *t)
{
	vec_free(&t->list);
}

static const struct router_row *router_of(const struct view *v, const char *tenant)
{
	vec_each (row, &v->kernel.routers) {
		if (strcmp(row->tenant, tenant) == 0)
			return row;
	}
	return NULL;
}

enum flow_left_out flow_find(const struct view *v, const struct named_flow *named, uint32_t now,
			     struct taken *out)
{
	struct model *m = (struct model *)&v->model;
	const struct router_row *row = router_of(v, named->tenant);
	struct tenant *peer = NULL, *t = model_tenant_sorted(m, named->tenant);
	struct flow flow = { .key = { .peer = named->peer,
				      .fixed = named->fixed,
				      .shared = named->shared,
				      .service = named->service,
				      .port = named->port,
				      .proto = named->proto } };

	if (!t || !row || !mapping_of(t, &flow.key))
		return FLOW_NO_MAPPING;
	if (*named->peer_tenant && !(peer = model_tenant_sorted(m, named->peer_tenant)))
		return FLOW_NO_PEER;
	flow.value = (struct tn_flow){ .expires = now + named->left,
				       .flags = named->closing ? TN_FLOW_CLOSING : 0,
				       .tenant = peer ? peer->id : 0,
				       .owner = t->id };
	*out = (struct taken){ row->id, flow };
	return FLOWS_LEFT_OUT_COUNT;
}

static void take(struct taking *taking, const struct named_flow *named, struct import *out)
{
	struct taken taken;
	enum flow_left_out why = flow_find(taking->view, named, taking->now, &taken);

	if (why == FLOWS_LEFT_OUT_COUNT)
		*vec_push(&taking->list) = taken;
	else
		out->left_out[why]++;
}

static int check_line(const char *line, FILE *from, struct error *err)
{
	if (strchr(line, '\n') || feof(from))
		return 0;
	return error_usage(err, "a line of more than %d bytes is no flow", NAMED_FLOW_LINE);
}

static size_t room_of(const struct view *v)
{
	size_t room = 0;

	vec_each (r, &v->kernel.routers)
		room += r->flows;
	return room;
}

static int read_all(struct taking *taking, FILE *from, const char *name, struct import *out,
		    struct error *err)
{
	size_t room = room_of(taking->view);
	char line[NAMED_FLOW_LINE + 1];

	for (size_t n = 1; fgets(line, sizeof(line), from); n++) {
		struct named_flow named;

		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		if (check_line(line, from, err) || named_flow_parse(line, &named, err))
			return error_prefix(err, "%s:%zu", name, n);
		take(taking, &named, out);
		if (taking->list.n > room)
			return error_usage(err,
					   "%s:%zu: the routers of this host have room for %zu "
					   "flows, and there are more",
					   name, n, room);
	}
	return ferror(from) ? error_usage(err, "cannot read %s: %m", name) : 0;
}

static int by_router(const void *one, const void *two)
{
	const struct taken *a = one, *b = two;

	if (a->router != b->router)
		return a->router < b->router ? -1 : 1;
	return memcmp(&a->flow.key, &b->flow.key, sizeof(a->flow.key));
}

static int put_all(struct taking *taking, struct error *err)
{
	_cleanup_flows_ struct flows flows = { 0 };

	vec_sort_once(&taking->list, by_router);
	for (size_t i = 0; i < taking->list.n; i++) {
		const struct taken *taken = &taking->list.v[i];

		*vec_push(&flows.list) = taken->flow;
		if (i + 1 < taking->list.n && taken[1].router == taken->router)
			continue;
		if (dataplane_put_flows(taking->view->dp, taken->router, flows.list.v, flows.list.n,
					err))
			return -1;
		flows.list.n = 0;
	}
	return 0;
}

int flows_import(const struct view *v, FILE *from, const char *name, struct import *out,
		 struct error *err)
{
	_cleanup_(taking_free) struct taking taking = { .view = v, .now = flows_now() };

	memset(out, 0, sizeof(*out));
	if (read_all(&taking, from, name, out, err) || put_all(&taking, err))
		return -1;
	out->taken = taking.list.n;
	return 0;
}
