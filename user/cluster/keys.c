/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/keys.h"

#include <stdarg.h>

#include "cluster/blocks.h"
#include "config/config.h"
#include "config/write.h"

const char *key_tenant(const char *name, char buf[KEY_TENANT_MAX])
{
	snprintf(buf, KEY_TENANT_MAX, KEY_TENANTS "%s", name);
	return buf;
}

/* ------------------------------------------------------------ lists */

void entries_free(struct entries *e)
{
	vec_each (entry, &e->list) {
		free(entry->key);
		free(entry->value);
	}
	vec_free(&e->list);
}

static int entry_cmp(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

struct entry *entries_find(const struct entries *e, const char *key)
{
	const struct entry like = { .key = (char *)key };

	return e->list.n ? bsearch(&like, e->list.v, e->list.n, sizeof(like), entry_cmp) : NULL;
}

struct entry *entries_add(struct entries *e, const char *key, const char *value, int64_t revision)
{
	struct entry *added = vec_push(&e->list);

	*added = (struct entry){ xstrdup(key), xstrdup(value), revision };
	return added;
}

void entries_sort(struct entries *e)
{
	vec_sort(&e->list, entry_cmp);
}

int entries_differ(const struct entries *had, const struct entries *will, entries_each each,
		   void *arg, struct error *err)
{
	size_t i = 0, j = 0;

	while (i < had->list.n || j < will->list.n) {
		const struct entry *was = i < had->list.n ? &had->list.v[i] : NULL;
		const struct entry *is = j < will->list.n ? &will->list.v[j] : NULL;
		int order = !was ? 1 : !is ? -1 : strcmp(was->key, is->key);

		i += order <= 0;
		j += order >= 0;
		if (order == 0 && strcmp(was->value, is->value) == 0)
			continue;
		if (each(arg, order <= 0 ? was : NULL, order >= 0 ? is : NULL, err))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ values */

int key_damaged(struct error *err, const char *key, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(err,
			 "the cluster's key %s is damaged: %s; correct it with etcdctl, or restore "
			 "a backup of etcd",
			 key, text);
}

json_t *key_object(const char *key, const char *value, struct error *err)
{
	json_error_t why;
	json_t *object = json_loads(value, JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(object))
		return object;
	if (object)
		key_damaged(err, key, "its value is no JSON object");
	else
		key_damaged(err, key, "its value is no JSON (%s)", why.text);
	json_decref(object);
	return NULL;
}

int key_fields(const char *key, const json_t *object, const char *const *known, struct error *err)
{
	const char *field;
	json_t *value;

	json_object_foreach((json_t *)object, field, value)
	{
		const char *const *k = known;

		while (*k && strcmp(*k, field) != 0)
			k++;
		if (!*k)
			return error_set(err,
					 "the cluster's key %s has `%.64s`, which this version of "
					 "tenantnat does not know; update tenantnat on this host",
					 key, field);
	}
	return 0;
}

char *json_compact(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(value);
	return text;
}

/* ------------------------------------------------------------ to keys */

static void add_value(struct entries *out, const char *key, json_t *value)
{
	*vec_push(&out->list) = (struct entry){ xstrdup(key), json_compact(value), 0 };
}

static int write_network(const struct model *m, struct entries *out, struct error *err)
{
	const struct model bare = { .subnets = { m->subnets.v, m->subnets.n, 0 }, .zone = m->zone };
	json_t *file = definitions_json(&bare, err);

	if (!file)
		return -1;
	add_value(out, KEY_NETWORK, json_incref(json_object_get(file, "shared-network")));
	json_decref(file);
	return 0;
}

/* As in a file, but for the mappings: they are in blocks. */
static int write_tenant(const struct tenant *t, struct entries *out, struct error *err)
{
	struct tenant bare = *t;
	const struct model one = { .tenants = { &bare, 1, 0 } };
	json_t *file, *value;

	memset(&bare.mappings, 0, sizeof(bare.mappings));
	file = definitions_json(&one, err);
	if (!file)
		return error_prefix(err, "tenant %s", t->name);
	value = json_array_get(json_object_get(file, "tenants"), 0);
	add_value(out, KEY_TENANT(t->name), json_incref(value));
	json_decref(file);
	return 0;
}

int keys_write(const struct model *m, struct entries *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (blocks_write(m, out, err) || write_network(m, out, err))
		return -1;
	vec_each (t, &m->tenants) {
		if (write_tenant(t, out, err))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ from keys */

void reader_free(struct reader *r)
{
	model_free(&r->m);
	json_decref(r->network);
	r->network = NULL;
}

/* A definitions file with that network, and that tenant if there is one. */
static char *file_text(json_t *network, json_t *tenant, struct error *err)
{
	json_t *file = json_pack("{s:O, s:o}", "shared-network", network, "tenants", json_array());
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int ret;

	if (tenant)
		json_array_append(json_object_get(file, "tenants"), tenant);
	ret = f ? definitions_json_write(file, f, err) : error_set(err, "out of memory");
	if (f)
		fclose(f);
	json_decref(file);
	if (ret == 0)
		return text;
	free(text);
	return NULL;
}

/* What a definitions file is checked for holds for what others have written, too. */
static int parse_part(json_t *network, json_t *tenant, struct model *out, struct error *err)
{
	_cleanup_free_ char *text = file_text(network, tenant, err);

	memset(out, 0, sizeof(*out));
	return text ? config_parse_part(text, strlen(text), out, err) : -1;
}

/* What the file's parser says, of the key. */
static int refused(struct error *err, const char *key, const struct error *why)
{
	*err = (struct error){ 0 };
	return error_set(err, "the cluster's key %s is not valid here: %s", key, why->text);
}

int reader_network(struct reader *r, const char *value, struct error *err)
{
	struct error why = { 0 };
	struct model part;

	json_decref(r->network);
	r->network = key_object(KEY_NETWORK, value, err);
	if (!r->network)
		return -1;
	if (parse_part(r->network, NULL, &part, &why))
		return refused(err, KEY_NETWORK, &why);
	model_free(&r->m);
	r->m = part;
	return 0;
}

/* It is from no file. */
static void drop_places(struct tenant *t)
{
	t->pos = (struct pos){ 0 };
	if (t->router)
		t->router->pos = (struct pos){ 0 };
	vec_each (rule, &t->accept)
		rule->pos = (struct pos){ 0 };
}

/* The tenants of the cluster come in the order of their names, which is that of their keys. */
static int take_tenant(struct reader *r, const char *key, struct tenant *t, struct error *err)
{
	const char *name = key + strlen(KEY_TENANTS);
	struct tenant *taken;

	if (strcmp(t->name, name) != 0)
		return key_damaged(err, key, "it is about tenant %s", t->name);
	if (t->mappings.n)
		return key_damaged(err, key, "it has `mappings`, which belong into blocks");
	if (r->m.tenants.n && strcmp(r->m.tenants.v[r->m.tenants.n - 1].name, name) >= 0)
		return key_damaged(err, key, "it is out of order");
	taken = vec_push(&r->m.tenants);
	*taken = *t;
	*t = (struct tenant){ 0 };
	drop_places(taken);
	for (int f = 0; taken->router && f < FAMILIES; f++)
		taken->router->own[f].wanted = taken->router->own[f].pinned; /* from a block */
	return 0;
}

int reader_tenant(struct reader *r, const char *key, const char *value, struct error *err)
{
	json_t *object = key_object(key, value, err);
	struct error why = { 0 };
	struct model part;
	int ret;

	if (!object)
		return -1;
	ret = parse_part(r->network, object, &part, &why);
	json_decref(object);
	if (ret)
		return refused(err, key, &why);
	ret = take_tenant(r, key, &part.tenants.v[0], err);
	model_free(&part);
	return ret;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Blocks come last, whose addresses are tenants'. */
static int read_all(struct reader *r, const struct entries *e, struct error *err)
{
	const struct entry *network = entries_find(e, KEY_NETWORK);

	if (!network)
		return error_set(err, "the cluster has no definitions; `tenantnat apply -f FILE` "
				      "puts some in force");
	if (reader_network(r, network->value, err))
		return -1;
	vec_each (entry, &e->list) {
		if (begins(entry->key, KEY_TENANTS) &&
		    reader_tenant(r, entry->key, entry->value, err))
			return -1;
	}
	vec_each (entry, &e->list) {
		if (begins(entry->key, KEY_BLOCKS) &&
		    reader_block(r, entry->key, entry->value, err))
			return -1;
	}
	return reader_end(r, err);
}

int keys_read(const struct entries *e, bool unfinished, struct model *out, struct error *err)
{
	_cleanup_reader_ struct reader r = { .unfinished = unfinished };
	int ret = read_all(&r, e, err);

	memset(out, 0, sizeof(*out));
	if (ret == 0) {
		*out = r.m;
		r.m = (struct model){ 0 };
	}
	return ret;
}
