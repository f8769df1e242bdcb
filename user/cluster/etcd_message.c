// SPDX-License-Identifier: GPL-2.0-only
/* Requests to etcd's JSON gateway, and its answers: bytes are base64, 64-bit numbers are strings.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>

#include "cluster/etcd_internal.h"

/* ---------------------------------------------------------------- base64 and numbers */

json_t *etcd_base64(const void *data, size_t size)
{
	gnutls_datum_t in = { .data = (void *)data, .size = size }, out;
	json_t *text;

	if (!size)
		return json_string("");
	if (gnutls_base64_encode2(&in, &out) < 0) {
		fputs("tenantnat: out of memory\n", stderr);
		exit(1);
	}
	text = json_stringn((const char *)out.data, out.size);
	gnutls_free(out.data);
	return text;
}

char *etcd_from_base64(const char *text, size_t *size)
{
	gnutls_datum_t in = { .data = (void *)text, .size = strlen(text) }, out = { 0 };
	char *data;

	*size = 0;
	/* GnuTLS passes over what is none, and takes what is cut off */
	if (in.size % 4 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789+/=") != in.size)
		return NULL;
	if (in.size && gnutls_base64_decode2(&in, &out) < 0)
		return NULL;
	data = xrealloc(NULL, out.size + 1, 1);
	memcpy(data, out.data ? (void *)out.data : "", out.size);
	data[out.size] = 0;
	*size = out.size;
	gnutls_free(out.data);
	return data;
}

json_t *etcd_number(int64_t n)
{
	return json_sprintf("%" PRId64, n);
}

int etcd_read_int(const json_t *object, const char *name, int64_t *out)
{
	const json_t *field = json_object_get(object, name);
	const char *text = json_string_value(field);
	char *end;

	*out = json_integer_value(field);
	if (!field || json_is_integer(field))
		return 0;
	if (!text || !*text)
		return -1;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return *end || errno ? -1 : 0;
}

int etcd_read_id(const json_t *object, const char *name, uint64_t *out)
{
	const json_t *field = json_object_get(object, name);
	const char *text = json_string_value(field);
	char *end;

	*out = (uint64_t)json_integer_value(field);
	if (!field || json_is_integer(field))
		return 0;
	if (!text || !*text || *text == '-')
		return -1;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end || errno ? -1 : 0;
}

static int read_bool(const json_t *object, const char *name, bool *out)
{
	const json_t *field = json_object_get(object, name);

	*out = json_is_true(field);
	return !field || json_is_boolean(field) ? 0 : -1;
}

/* The caller's to free; absent is "". */
static int read_text(const json_t *object, const char *name, char **out)
{
	const json_t *field = json_object_get(object, name);

	*out = NULL;
	if (field && !json_is_string(field))
		return -1;
	*out = xstrdup(field ? json_string_value(field) : "");
	return 0;
}

/* ---------------------------------------------------------------- what is given out */

void etcd_kv_clear(struct etcd_kv *kv)
{
	free(kv->key);
	free(kv->value);
	memset(kv, 0, sizeof(*kv));
}

void etcd_kvs_free(struct etcd_kvs *kvs)
{
	vec_each (kv, &kvs->list)
		etcd_kv_clear(kv);
	vec_free(&kvs->list);
	memset(kvs, 0, sizeof(*kvs));
}

const struct etcd_kv *etcd_kvs_find(const struct etcd_kvs *kvs, const char *key)
{
	size_t from = 0, to = kvs->list.n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int side = strcmp(key, kvs->list.v[middle].key);

		if (side == 0)
			return &kvs->list.v[middle];
		if (side < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

char *etcd_prefix_end(const char *prefix)
{
	char *end = xstrdup(prefix);
	size_t n = strlen(end);

	while (n && (unsigned char)end[n - 1] == 0xff)
		n--;
	if (n)
		end[n - 1]++;
	end[n] = 0;
	return end;
}

void etcd_status_free(struct etcd_status *s)
{
	free(s->version);
	free(s->alarms);
	memset(s, 0, sizeof(*s));
}

void etcd_members_free(struct etcd_members *m)
{
	vec_each (member, &m->list) {
		free(member->name);
		vec_each (url, &member->urls)
			free(*url);
		vec_free(&member->urls);
	}
	vec_free(&m->list);
	memset(m, 0, sizeof(*m));
}

void etcd_events_free(struct etcd_events *events)
{
	vec_each (event, &events->list)
		etcd_kv_clear(&event->kv);
	vec_free(&events->list);
	memset(events, 0, sizeof(*events));
}

void etcd_message_free(struct etcd_message *m)
{
	etcd_events_free(&m->events);
	free(m->reason);
	memset(m, 0, sizeof(*m));
}

/* ---------------------------------------------------------------- answers */

int etcd_read_header(const json_t *answer, struct etcd_header *out)
{
	const json_t *header = json_object_get(answer, "header");
	int64_t term;

	if (!json_is_object(header) || etcd_read_id(header, "cluster_id", &out->cluster_id) ||
	    etcd_read_id(header, "member_id", &out->member_id) ||
	    etcd_read_int(header, "revision", &out->revision) ||
	    etcd_read_int(header, "raft_term", &term) || !out->cluster_id)
		return -1;
	out->raft_term = (uint64_t)term;
	return 0;
}

/* A key that is no text can only be a stranger's: nobody here could name it. */
static int read_kv(const json_t *object, struct etcd_kv *out)
{
	const char *key = json_string_value(json_object_get(object, "key"));
	const json_t *value = json_object_get(object, "value");
	size_t size;

	if (!key || (value && !json_is_string(value)))
		return -1;
	out->key = etcd_from_base64(key, &size);
	if (!out->key || strlen(out->key) != size)
		return -1;
	out->value = etcd_from_base64(value ? json_string_value(value) : "", &out->size);
	if (!out->value)
		return -1;
	return etcd_read_int(object, "create_revision", &out->create_revision) ||
			       etcd_read_int(object, "mod_revision", &out->mod_revision) ||
			       etcd_read_int(object, "version", &out->version) ||
			       etcd_read_int(object, "lease", &out->lease)
		       ? -1
		       : 0;
}

/* The array of that name; absent is empty. */
static int read_array(const json_t *object, const char *name, const json_t **out)
{
	*out = json_object_get(object, name);
	return *out && !json_is_array(*out) ? -1 : 0;
}

int etcd_read_range(const json_t *answer, struct etcd_kvs *out, bool *more)
{
	const json_t *kvs, *kv;
	size_t i;

	if (etcd_read_header(answer, &out->header) || read_bool(answer, "more", more) ||
	    read_array(answer, "kvs", &kvs))
		return -1;
	json_array_foreach(kvs, i, kv)
	{
		if (read_kv(kv, vec_push(&out->list)))
			return -1;
	}
	return 0;
}

int etcd_read_count(const json_t *answer, int64_t *out)
{
	return etcd_read_int(answer, "count", out);
}

int etcd_read_status(const json_t *answer, struct etcd_status *out)
{
	const json_t *errors, *error;
	int64_t index;
	size_t i;

	if (etcd_read_header(answer, &out->header) || read_text(answer, "version", &out->version) ||
	    etcd_read_id(answer, "leader", &out->leader) ||
	    etcd_read_int(answer, "raftIndex", &index) ||
	    etcd_read_int(answer, "dbSize", &out->db_size) || read_array(answer, "errors", &errors))
		return -1;
	out->raft_index = (uint64_t)index;
	json_array_foreach(errors, i, error)
	{
		char *before = out->alarms;

		if (!json_is_string(error))
			return -1;
		if (asprintf(&out->alarms, "%s%s%s", before ? before : "", before ? ", " : "",
			     json_string_value(error)) < 0)
			abort();
		free(before);
	}
	return 0;
}

static int read_member(const json_t *object, struct etcd_member *out)
{
	const json_t *urls, *url;
	size_t i;

	if (etcd_read_id(object, "ID", &out->id) || read_text(object, "name", &out->name) ||
	    read_bool(object, "isLearner", &out->learner) ||
	    read_array(object, "clientURLs", &urls))
		return -1;
	json_array_foreach(urls, i, url)
	{
		if (!json_is_string(url))
			return -1;
		*vec_push(&out->urls) = xstrdup(json_string_value(url));
	}
	return 0;
}

int etcd_read_members(const json_t *answer, struct etcd_members *out)
{
	const json_t *members, *member;
	size_t i;

	if (etcd_read_header(answer, &out->header) || read_array(answer, "members", &members))
		return -1;
	json_array_foreach(members, i, member)
	{
		if (read_member(member, vec_push(&out->list)))
			return -1;
	}
	return 0;
}

static int read_event(const json_t *object, struct etcd_event *out)
{
	const json_t *type = json_object_get(object, "type");

	if (type && strcmp(json_string_value(type) ?: "", "PUT") != 0 &&
	    strcmp(json_string_value(type) ?: "", "DELETE") != 0)
		return -1;
	out->deleted = type && json_string_value(type)[0] == 'D';
	return read_kv(json_object_get(object, "kv"), &out->kv);
}

int etcd_read_message(const json_t *result, struct etcd_message *out)
{
	const json_t *events, *event;
	size_t i;

	if (etcd_read_header(result, &out->events.header) ||
	    read_bool(result, "canceled", &out->canceled) ||
	    etcd_read_int(result, "compact_revision", &out->compacted) ||
	    read_text(result, "cancel_reason", &out->reason) ||
	    read_bool(result, "fragment", &out->events.more) ||
	    read_array(result, "events", &events))
		return -1;
	json_array_foreach(events, i, event)
	{
		if (read_event(event, vec_push(&out->events.list)))
			return -1;
	}
	return 0;
}

/* ---------------------------------------------------------------- requests */

static json_t *text_base64(const char *text)
{
	return etcd_base64(text, strlen(text));
}

json_t *etcd_write_range(const struct etcd_query *q, const char *key, size_t size,
			 unsigned int limit, int64_t revision)
{
	json_t *range = json_pack("{so so so}", "key", etcd_base64(key, size), "limit",
				  etcd_number(limit), "revision", etcd_number(revision));

	if (q->end)
		json_object_set_new(range, "range_end", text_base64(q->end));
	if (q->keys_only)
		json_object_set_new(range, "keys_only", json_true());
	if (q->since)
		json_object_set_new(range, "min_mod_revision", etcd_number(q->since));
	if (q->newest) {
		json_object_set_new(range, "sort_target", json_string("MOD"));
		json_object_set_new(range, "sort_order", json_string("DESCEND"));
	}
	return range;
}

json_t *etcd_write_watch(const struct etcd_query *q)
{
	json_t *create = json_pack("{so so sb sb}", "key", text_base64(q->key), "start_revision",
				   etcd_number(q->revision), "progress_notify", 1, "fragment", 1);

	if (q->end)
		json_object_set_new(create, "range_end", text_base64(q->end));
	return json_pack("{so}", "create_request", create);
}

/* ---------------------------------------------------------------- transactions */

/* What protobuf adds to keys and values of a compare or an operation, at most. */
#define OVERHEAD 64

void etcd_txn_free(struct etcd_txn *t)
{
	json_decref(t->compare);
	json_decref(t->success);
	memset(t, 0, sizeof(*t));
}

static void add(struct etcd_txn *t, json_t **list, json_t *item, size_t bytes)
{
	if (!*list)
		*list = json_array();
	json_array_append_new(*list, item);
	t->bytes += bytes + OVERHEAD;
}

static void compare(struct etcd_txn *t, const char *key, const char *target, const char *field,
		    json_t *value, size_t size)
{
	add(t, &t->compare,
	    json_pack("{so ss ss so}", "key", text_base64(key), "target", target, "result", "EQUAL",
		      field, value),
	    strlen(key) + size);
}

void etcd_txn_if_mod(struct etcd_txn *t, const char *key, int64_t mod_revision)
{
	compare(t, key, "MOD", "mod_revision", etcd_number(mod_revision), 0);
}

void etcd_txn_if_absent(struct etcd_txn *t, const char *key)
{
	compare(t, key, "CREATE", "create_revision", etcd_number(0), 0);
}

void etcd_txn_if_value(struct etcd_txn *t, const char *key, const void *value, size_t size)
{
	compare(t, key, "VALUE", "value", etcd_base64(value, size), size);
}

void etcd_txn_put(struct etcd_txn *t, const char *key, const void *value, size_t size,
		  int64_t lease)
{
	add(t, &t->success,
	    json_pack("{s{so so so}}", "request_put", "key", text_base64(key), "value",
		      etcd_base64(value, size), "lease", etcd_number(lease)),
	    strlen(key) + size);
}

void etcd_txn_delete(struct etcd_txn *t, const char *key, const char *end)
{
	json_t *range = json_pack("{so}", "key", text_base64(key));

	if (end)
		json_object_set_new(range, "range_end", text_base64(end));
	add(t, &t->success, json_pack("{so}", "request_delete_range", range),
	    strlen(key) + (end ? strlen(end) : 0));
}

size_t etcd_txn_ops(const struct etcd_txn *t)
{
	size_t compares = json_array_size(t->compare), does = json_array_size(t->success);

	return compares > does ? compares : does;
}
