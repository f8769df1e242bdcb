/* SPDX-License-Identifier: GPL-2.0-only */
/* From blocks to mappings, and what can be wrong with them. */
#include "cluster/blocks.h"

/* What is wrong with the entry of that address; returns -1. */
#define bad_entry(err, key, addr, format, ...) \
	key_damaged((err), (key), "%.64s " format, (addr), ##__VA_ARGS__)

/* The text of a field; "" when there is none. False: it is something else. */
static bool text_field(const json_t *entry, const char *name, const char **out)
{
	json_t *field = json_object_get(entry, name);

	*out = json_is_string(field) ? json_string_value(field) : "";
	return !field || json_is_string(field);
}

static bool flag_field(const json_t *entry, const char *name, bool *out)
{
	json_t *field = json_object_get(entry, name);

	*out = json_is_true(field);
	return !field || json_is_boolean(field);
}

static bool number_field(const json_t *entry, const char *name, uint64_t *out)
{
	json_t *field = json_object_get(entry, name);

	*out = (uint64_t)json_integer_value(field);
	return !field || (json_is_integer(field) && json_integer_value(field) > 0);
}

static int read_limit(const char *key, const char *addr, const json_t *limit, struct limit *out,
		      struct error *err)
{
	static const char *const known[] = { "rate", "burst", "packets", NULL };

	if (!limit)
		return 0;
	if (json_is_object(limit) && key_fields(key, limit, known, err))
		return -1;
	if (!json_is_object(limit) || !number_field(limit, "rate", &out->rate) ||
	    !number_field(limit, "burst", &out->burst) ||
	    !number_field(limit, "packets", &out->packets) || !limit_valid(out) ||
	    !(out->rate || out->packets))
		return bad_entry(err, key, addr, "has a limit that it cannot have");
	return 0;
}

static int read_mapping(const char *key, const char *addr, const json_t *entry, struct mapping *m,
			struct error *err)
{
	static const char *const known[] = { "tenant", "fixed", "name", "pinned",
					     "limit",  "mac",	NULL };
	const char *fixed, *name, *mac;

	if (key_fields(key, entry, known, err))
		return -1;
	if (!text_field(entry, "fixed", &fixed) || !addr_parse(fixed, &m->fixed) ||
	    addr_is_special(&m->fixed) || addr_family(&m->fixed) != addr_family(&m->shared))
		return bad_entry(err, key, addr, "has no valid fixed address");
	if (!text_field(entry, "name", &name) || (*name && !mapping_name_valid(name)))
		return bad_entry(err, key, addr, "has no valid name");
	if (!text_field(entry, "mac", &mac) ||
	    (*mac && (!mac_parse(mac, m->mac) || !mac_is_valid(m->mac))))
		return bad_entry(err, key, addr, "has no valid MAC address");
	if (read_limit(key, addr, json_object_get(entry, "limit"), &m->limit, err))
		return -1;
	m->name = *name ? xstrdup(name) : NULL;
	return 0;
}

int owner_read(const char *key, const char *addr, const json_t *entry, struct owner *out,
	       struct error *err)
{
	static const char *const of_router[] = { "tenant", "router", "pinned", NULL };
	const char *tenant;

	memset(out, 0, sizeof(*out));
	/* in one form only: an address is there once */
	if (!addr_parse(addr, &out->mapping.shared) ||
	    strcmp(ADDR(&out->mapping.shared), addr) != 0)
		return bad_entry(err, key, addr, "is no address as tenantnat writes it");
	if (!json_is_object(entry))
		return bad_entry(err, key, addr, "has no owner");
	if (!text_field(entry, "tenant", &tenant) || !tenant_name_valid(tenant))
		return bad_entry(err, key, addr, "has no valid tenant");
	if (!flag_field(entry, "pinned", &out->mapping.pinned) ||
	    !flag_field(entry, "router", &out->is_router))
		return bad_entry(err, key, addr, "has `pinned` or `router` that is not true");
	snprintf(out->tenant, sizeof(out->tenant), "%s", tenant);
	if (out->is_router)
		return key_fields(key, entry, of_router, err);
	return read_mapping(key, addr, entry, &out->mapping, err);
}

/* A change that was cut short can have left what its end would have removed. */
static int left_out(const struct reader *r, struct error *err)
{
	if (!r->unfinished)
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

/* What can be wrong with an address of a mapping that is known to be one. */
static int check_mapping(const struct reader *r, const char *key, const char *addr,
			 const struct tenant *t, const struct mapping *m, struct error *err)
{
	const struct prefix *subnet = model_subnet(&r->m, &m->shared);

	if (!subnet)
		return bad_entry(err, key, addr, "is in no shared subnet");
	if (prefix_reserves(subnet, &m->shared))
		return bad_entry(err, key, addr, "is the network or broadcast address of %s",
				 PREFIX(subnet));
	if (model_shares(&r->m, &m->fixed))
		return bad_entry(err, key, addr,
				 "has the fixed address %s, which is in a shared subnet",
				 ADDR(&m->fixed));
	if (!tenant_may_have(&r->m, t, &m->shared))
		return bad_entry(err, key, addr, "is outside the pool of tenant %s", t->name);
	return 0;
}

static int take_own(struct reader *r, const char *key, const char *addr, struct tenant *t,
		    const struct mapping *m, struct error *err)
{
	struct own_address *own;

	if (!t->router) {
		bad_entry(err, key, addr,
			  "is the address of the router of tenant %s, which has none", t->name);
		return left_out(r, err);
	}
	if (!model_shares(&r->m, &m->shared))
		return bad_entry(err, key, addr, "is in no shared subnet");
	own = &t->router->own[addr_family(&m->shared)];
	if (own->pinned != m->pinned ||
	    (!addr_is_unset(&own->addr) && addr_cmp(&own->addr, &m->shared) != 0)) {
		bad_entry(err, key, addr,
			  "is not the address that the router of tenant %s has by %s", t->name,
			  own->pinned ? "its definition" : "another block");
		return left_out(r, err);
	}
	own->addr = m->shared;
	own->wanted = false;
	return 0;
}

/* Takes the name of the mapping when it is kept. */
static int take_owner(struct reader *r, const char *key, const char *addr, struct owner *o,
		      struct error *err)
{
	struct tenant *t = model_tenant_sorted(&r->m, o->tenant);

	if (r->wants && !r->wants(r->arg, t, o))
		return 0;
	if (!t) {
		bad_entry(err, key, addr, "belongs to tenant %s, which is not there", o->tenant);
		return left_out(r, err);
	}
	if (o->is_router)
		return take_own(r, key, addr, t, &o->mapping, err);
	if (check_mapping(r, key, addr, t, &o->mapping, err))
		return left_out(r, err);
	*vec_push(&t->mappings) = o->mapping;
	o->mapping.name = NULL;
	return 0;
}

int reader_block(struct reader *r, const char *key, const char *value, struct error *err)
{
	json_t *object = NULL, *entry;
	struct prefix block;
	const char *addr;
	int ret = 0;

	if (!block_parse(key, &block))
		return key_damaged(err, key, "it is no block's");
	object = key_object(key, value, err);
	if (!object)
		return -1;
	json_object_foreach(object, addr, entry)
	{
		struct owner o;

		ret = owner_read(key, addr, entry, &o, err);
		if (!ret && !prefix_has(&block, &o.mapping.shared))
			ret = bad_entry(err, key, addr, "is in another block");
		if (!ret)
			ret = take_owner(r, key, addr, &o, err);
		free(o.mapping.name);
		if (ret)
			break;
	}
	json_decref(object);
	return ret;
}

static int twice(const struct tenant *t, const struct mapping *a, const struct mapping *b,
		 const char *what, struct error *err)
{
	return error_set(
		err,
		"the cluster's keys %s and %s contradict each other: tenant %s has %s at %s and "
		"at %s; remove one of them with etcdctl, or restore a backup of etcd",
		KEY_BLOCK(&a->shared), KEY_BLOCK(&b->shared), t->name, what, ADDR(&a->shared),
		ADDR(&b->shared));
}

static int check_fixed(struct reader *r, struct tenant *t, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < t->mappings.n; i++) {
		struct mapping *m = &t->mappings.v[i], *before = n ? &t->mappings.v[n - 1] : NULL;

		if (!before || addr_cmp(&before->fixed, &m->fixed) != 0) {
			t->mappings.v[n++] = *m;
			continue;
		}
		if (!r->unfinished)
			return twice(t, before, m, ADDR(&m->fixed), err);
		mapping_clear(m);
	}
	t->mappings.n = n;
	return 0;
}

typedef VEC(const struct mapping *) mapping_vec;

static int name_cmp(const void *a, const void *b)
{
	const struct mapping *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order ? order : addr_family(&(*x)->fixed) - addr_family(&(*y)->fixed);
}

static int check_names(const struct tenant *t, struct error *err)
{
	mapping_vec named = { 0 };
	int ret = 0;

	vec_each (m, &t->mappings) {
		if (m->name)
			*vec_push(&named) = m;
	}
	vec_sort(&named, name_cmp);
	for (size_t i = 1; !ret && i < named.n; i++) {
		if (name_cmp(&named.v[i - 1], &named.v[i]) == 0)
			ret = twice(t, named.v[i - 1], named.v[i], named.v[i]->name, err);
	}
	vec_free(&named);
	return ret;
}

/* Where all blocks were read, one of them has the address that a router has by its definition. */
static int check_own(const struct reader *r, struct tenant *t, struct error *err)
{
	for (int f = 0; t->router && f < FAMILIES; f++) {
		struct own_address *own = &t->router->own[f];

		if (own->wanted && !r->unfinished && !r->wants)
			return key_damaged(
				err, KEY_BLOCK(&own->addr),
				"%s is the address of the router of tenant %s, and has no "
				"owner or another one",
				ADDR(&own->addr), t->name);
		own->wanted = false;
	}
	return 0;
}

int reader_end(struct reader *r, struct error *err)
{
	vec_each (t, &r->m.tenants) {
		tenant_sort(t);
		if (check_fixed(r, t, err) || (!r->unfinished && check_names(t, err)) ||
		    check_own(r, t, err))
			return -1;
	}
	return 0;
}
