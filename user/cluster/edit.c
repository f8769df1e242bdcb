/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/edit.h"

#include "model/ipam.h"

void gone_free(struct gone *g)
{
	vec_each (m, &g->list)
		mapping_clear(m);
	vec_free(&g->list);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int read_tenants(struct reader *r, const struct entries *had, struct error *err)
{
	const struct entry *network = entries_find(had, KEY_NETWORK);

	if (!network)
		return error_usage(err, "the cluster has no definitions; `tenantnat apply -f FILE` "
					"puts some in force");
	if (reader_network(r, network->value, err))
		return -1;
	vec_each (entry, &had->list) {
		if (begins(entry->key, KEY_TENANTS) &&
		    reader_tenant(r, entry->key, entry->value, err))
			return -1;
	}
	return 0;
}

int edit_ranges(const struct entries *had, const char *tenant, struct key_ranges *out,
		struct error *err)
{
	_cleanup_reader_ struct reader r = { 0 };
	const struct tenant *t;

	memset(out, 0, sizeof(*out));
	if (read_tenants(&r, had, err))
		return -1;
	t = tenant_named(&r.m, tenant, err);
	if (!t)
		return -1;
	vec_each (pool, &t->pools)
		key_ranges_add(out, pool);
	for (size_t i = 0; !t->pools.n && i < r.m.subnets.n; i++)
		key_ranges_add(out, &r.m.subnets.v[i]);
	key_ranges_merge(out);
	return 0;
}

/* What there is of one tenant, and what is taken by others. */
struct view {
	struct reader r;
	struct tenant *tenant;
	const char *name;
	struct addr_list taken;
	struct tn_addr own[FAMILIES]; /* of its router */
};

static void view_free(struct view *v)
{
	reader_free(&v->r);
	vec_free(&v->taken.list);
}

static bool wants(void *arg, const struct tenant *t, const struct owner *o)
{
	struct view *v = arg;

	if (t && !o->is_router && strcmp(t->name, v->name) == 0)
		return true;
	if (o->is_router && strcmp(o->tenant, v->name) == 0)
		v->own[addr_family(&o->mapping.shared)] = o->mapping.shared;
	*vec_push(&v->taken.list) = o->mapping.shared;
	return false;
}

static int look(struct view *v, const struct entries *had, const char *tenant, struct error *err)
{
	*v = (struct view){ .r = { .wants = wants, .arg = v }, .name = tenant };
	if (read_tenants(&v->r, had, err) || !tenant_named(&v->r.m, tenant, err))
		return -1;
	vec_each (entry, &had->list) {
		if (begins(entry->key, KEY_BLOCKS) &&
		    reader_block(&v->r, entry->key, entry->value, err))
			return -1;
	}
	if (reader_end(&v->r, err))
		return -1;
	/* routers have them by blocks, which are not all here */
	vec_each (t, &v->r.m.tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++) {
			if (t->router->own[f].pinned)
				*vec_push(&v->taken.list) = t->router->own[f].addr;
			t->router->own[f] = (struct own_address){ 0 };
		}
	}
	v->tenant = model_tenant(&v->r.m, tenant);
	return 0;
}

/* `had` with another value of the block. */
static int change_block(const struct entries *had, const char *key, char *value,
			struct entries *will)
{
	bool is_empty = strcmp(value, "{}") == 0;

	memset(will, 0, sizeof(*will));
	vec_each (entry, &had->list) {
		if (strcmp(entry->key, key) != 0)
			entries_add(will, entry->key, entry->value, 0);
	}
	if (!is_empty)
		entries_add(will, key, value, 0);
	entries_sort(will);
	free(value);
	return 0;
}

static const char *value_of(const struct entries *e, const char *key)
{
	const struct entry *entry = entries_find(e, key);

	return entry ? entry->value : NULL;
}

static int check_taken(const struct view *v, const struct mapping *m, struct error *err)
{
	vec_each (a, &v->taken.list) {
		if (m->pinned && addr_cmp(a, &m->shared) == 0)
			return error_usage(err,
					   "%s is the shared address of another tenant, or of a "
					   "router; use another one",
					   ADDR(a));
	}
	return 0;
}

/* What is wanted of the tenant is given: to its router, or with `out` to that mapping. */
static int assign(struct view *v, const struct mapping *m, struct mapping *out, struct error *err)
{
	_cleanup_model_ struct model had = { 0 };
	const struct mapping *made;
	struct tenant *before = vec_push(&had.tenants);

	/* leases stay with whom has them */
	before->name = xstrdup(v->name);
	vec_each (kept, &v->tenant->mappings)
		*vec_push(&before->mappings) =
			(struct mapping){ .fixed = kept->fixed, .shared = kept->shared };
	if (out) {
		*vec_push(&v->tenant->mappings) = *m;
		v->tenant->mappings.v[v->tenant->mappings.n - 1].name = NULL;
	}
	if (ipam_assign(&v->r.m, &had, &v->taken, err))
		return -1;
	if (!out)
		return 0;
	made = tenant_mapping(model_tenant(&v->r.m, v->name), &m->fixed);
	out->shared = made->shared;
	return 0;
}

int edit_add(const struct entries *had, const char *tenant, struct mapping *m, struct entries *will,
	     struct error *err)
{
	_cleanup_(view_free) struct view v = { 0 };
	char *value;

	memset(will, 0, sizeof(*will));
	if (m->bits)
		return blocks_no_prefix(tenant, m, err);
	if (look(&v, had, tenant, err) || model_check_mapping(&v.r.m, v.tenant, m, err) ||
	    check_taken(&v, m, err) || assign(&v, m, m, err))
		return -1;
	value = block_with(KEY_BLOCK(&m->shared), value_of(had, KEY_BLOCK(&m->shared)), tenant, m,
			   err);
	return value ? change_block(had, KEY_BLOCK(&m->shared), value, will) : -1;
}

static int drop(const struct entries *had, const struct mapping *m, struct entries *will,
		struct error *err)
{
	const char *key = KEY_BLOCK(&m->shared);
	char *value = block_without(key, value_of(had, key), &m->shared, err);

	return value ? change_block(had, key, value, will) : -1;
}

int edit_del(const struct entries *had, const char *tenant, const char *word, struct gone *gone,
	     struct entries *will, struct error *err)
{
	const struct called by = called(word);
	_cleanup_(view_free) struct view v;

	memset(gone, 0, sizeof(*gone));
	memset(will, 0, sizeof(*will));
	if (look(&v, had, tenant, err))
		return -1;
	vec_each (m, &v.tenant->mappings) {
		struct entries next;

		if (!is_called(m, &by))
			continue;
		if (drop(gone->list.n ? will : had, m, &next, err))
			return -1;
		entries_free(will);
		*will = next;
		*vec_push(&gone->list) = *m;
		m->name = NULL;
	}
	return gone->list.n ? 0 : no_mapping(v.tenant, word, err);
}

int edit_own(const struct entries *had, const char *tenant, int family,
	     const struct addr_list *taken, struct tn_addr *out, struct entries *will,
	     struct error *err)
{
	struct own_address *own;
	_cleanup_(view_free) struct view v;
	const struct mapping none = { .pinned = false };
	const char *key;
	char *value;

	memset(will, 0, sizeof(*will));
	if (look(&v, had, tenant, err))
		return -1;
	if (!v.tenant->router)
		return error_set(err, "tenant %s has no router in the cluster any more", tenant);
	*out = v.own[family];
	if (!addr_is_unset(out)) {
		vec_each (entry, &had->list)
			entries_add(will, entry->key, entry->value, 0);
		return 0;
	}
	vec_each (a, &taken->list)
		*vec_push(&v.taken.list) = *a;
	own = &v.tenant->router->own[family];
	own->wanted = true;
	if (assign(&v, &none, NULL, err))
		return -1;
	*out = model_tenant(&v.r.m, tenant)->router->own[family].addr;
	key = KEY_BLOCK(out);
	value = block_with_router(key, value_of(had, key), tenant, out, err);
	return value ? change_block(had, key, value, will) : -1;
}

void edit_keep_own(struct model *will, const struct model *had)
{
	vec_each (t, &will->tenants) {
		const struct tenant *before = model_tenant((struct model *)had, t->name);
		struct router *r = tenant_router(t), *was = before ? tenant_router(before) : NULL;

		for (int f = 0; r && was && f < FAMILIES; f++) {
			if (!r->own[f].pinned && !was->own[f].pinned)
				r->own[f].addr = was->own[f].addr;
		}
	}
}
