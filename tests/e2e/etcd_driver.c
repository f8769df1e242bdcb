// SPDX-License-Identifier: GPL-2.0-only
/*
 * The etcd client by itself: each line of stdin is a JSON object, {"do": "range", "key": "a", …},
 * and is answered by one, {"error": …, "fault": …} where the call failed. The first line has the
 * options. test_etcd.py asks.
 */
#include <poll.h>

#include "cluster/etcd.h"
#include "lib/clock.h"
#include "lib/output.h"

static const char *const faults[] = {
	[ETCD_FINE] = "fine",
	[ETCD_UNREACHABLE] = "unreachable",
	[ETCD_NO_QUORUM] = "no quorum",
	[ETCD_UNKNOWN_OUTCOME] = "unknown outcome",
	[ETCD_UNTRUSTED] = "untrusted",
	[ETCD_DENIED] = "denied",
	[ETCD_COMPACTED] = "compacted",
	[ETCD_FUTURE] = "future",
	[ETCD_OTHER_CLUSTER] = "other cluster",
	[ETCD_NO_LEASE] = "no lease",
	[ETCD_TOO_LARGE] = "too large",
	[ETCD_FULL] = "full",
	[ETCD_UNSUPPORTED] = "unsupported",
	[ETCD_REFUSED] = "refused",
	[ETCD_INTERRUPTED] = "interrupted",
};

static struct etcd *etcd;
static struct etcd_watch *watching;

static const char *text(const json_t *ask, const char *name)
{
	return json_string_value(json_object_get(ask, name));
}

static int64_t number(const json_t *ask, const char *name)
{
	return json_integer_value(json_object_get(ask, name));
}

static json_t *kv_json(const struct etcd_kv *kv)
{
	return json_pack("{ss so sI sI sI sI}", "key", kv->key, "value",
			 kv->value ? json_stringn(kv->value, kv->size) : json_null(), "create",
			 (json_int_t)kv->create_revision, "mod", (json_int_t)kv->mod_revision,
			 "version", (json_int_t)kv->version, "lease", (json_int_t)kv->lease);
}

static struct etcd_query query_of(const json_t *ask)
{
	return (struct etcd_query){ .key = text(ask, "key"),
				    .end = text(ask, "end"),
				    .revision = number(ask, "revision"),
				    .keys_only = json_is_true(json_object_get(ask, "keys_only")),
				    .page = (unsigned int)number(ask, "page") };
}

static json_t *do_range(const json_t *ask, struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
	struct etcd_query query = query_of(ask);
	json_t *list = json_array();

	if (etcd_range(etcd, &query, &kvs, err))
		return list;
	vec_each (kv, &kvs.list)
		json_array_append_new(list, json_is_true(json_object_get(ask, "sizes"))
						    ? json_integer((json_int_t)kv->size)
						    : kv_json(kv));
	return json_pack("{so sI}", "kvs", list, "revision", (json_int_t)kvs.header.revision);
}

static json_t *do_txn(const json_t *ask, struct error *err)
{
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	json_t *list, *value;
	struct etcd_outcome out;
	const char *key;
	size_t i;

	json_object_foreach(json_object_get(ask, "mod"), key, value)
		etcd_txn_if_mod(&t, key, json_integer_value(value));
	json_array_foreach(json_object_get(ask, "absent"), i, value)
		etcd_txn_if_absent(&t, json_string_value(value));
	json_object_foreach(json_object_get(ask, "value"), key, value)
		etcd_txn_if_value(&t, key, json_string_value(value), json_string_length(value));
	json_object_foreach(json_object_get(ask, "put"), key, value) etcd_txn_put(
		&t, key, json_string_value(value), json_string_length(value), number(ask, "lease"));
	list = json_object_get(ask, "delete");
	json_array_foreach(list, i, value)
		etcd_txn_delete(&t, json_string_value(json_array_get(value, 0)),
				json_string_value(json_array_get(value, 1)));
	if (etcd_txn_commit(etcd, &t, &out, err))
		return NULL;
	return json_pack("{sb sI}", "succeeded", out.succeeded, "revision",
			 (json_int_t)out.header.revision);
}

static json_t *do_grant(const json_t *ask, struct error *err)
{
	int64_t seconds = number(ask, "seconds"), lease = 0;

	if (etcd_lease_grant(etcd, &seconds, &lease, err))
		return NULL;
	return json_pack("{sI sI}", "lease", (json_int_t)lease, "seconds", (json_int_t)seconds);
}

static json_t *do_keep(const json_t *ask, struct error *err)
{
	int64_t seconds = 0;

	if (etcd_lease_keep(etcd, number(ask, "lease"), &seconds, err))
		return NULL;
	return json_pack("{sI}", "seconds", (json_int_t)seconds);
}

static json_t *do_revoke(const json_t *ask, struct error *err)
{
	return etcd_lease_revoke(etcd, number(ask, "lease"), err) ? NULL : json_object();
}

static json_t *do_status(const json_t *ask, struct error *err)
{
	_cleanup_etcd_status_ struct etcd_status s = { 0 };

	if (etcd_status(etcd, text(ask, "url"), &s, err))
		return NULL;
	return json_pack("{ss sb sI ss* sI}", "version", s.version, "leads",
			 s.leader && s.leader == s.header.member_id, "db_size",
			 (json_int_t)s.db_size, "alarms", s.alarms, "revision",
			 (json_int_t)s.header.revision);
}

static json_t *do_members(const json_t *ask, struct error *err)
{
	_cleanup_etcd_members_ struct etcd_members m = { 0 };
	json_t *list = json_array();

	(void)ask;
	if (etcd_members(etcd, &m, err))
		return list;
	vec_each (member, &m.list) {
		json_array_append_new(list, json_pack("{ss ss}", "name", member->name, "url",
						      member->urls.n ? member->urls.v[0] : ""));
	}
	return json_pack("{so}", "members", list);
}

static json_t *do_watch(const json_t *ask, struct error *err)
{
	struct etcd_query query = query_of(ask);

	etcd_watch_close(watching);
	return etcd_watch_open(etcd, &query, &watching, err) ? NULL : json_object();
}

/* The next that comes, within so many milliseconds. */
static json_t *do_next(const json_t *ask, struct error *err)
{
	_cleanup_etcd_events_ struct etcd_events events = { 0 };
	uint64_t until = clock_ms() + (uint64_t)number(ask, "ms");
	json_t *list;
	int ret;

	while ((ret = etcd_watch_next(watching, &events, err)) == 0) {
		struct pollfd fd = { .fd = etcd_watch_fd(watching), .events = POLLIN };
		int64_t wait = etcd_watch_wait(watching);
		int left = clock_left(until);

		if (!left)
			return json_pack("{sb}", "nothing", 1);
		poll(&fd, 1, wait < 0 || wait > left ? left : (int)wait);
	}
	if (ret < 0)
		return NULL;
	list = json_array();
	vec_each (event, &events.list) {
		json_t *kv = kv_json(&event->kv);

		json_object_set_new(kv, "deleted", json_boolean(event->deleted));
		json_array_append_new(list, kv);
	}
	return json_pack("{so sI sb}", "events", list, "revision",
			 (json_int_t)events.header.revision, "more", events.more);
}

static const struct {
	const char *name;
	json_t *(*run)(const json_t *ask, struct error *err);
} calls[] = {
	{ "range", do_range },	   { "txn", do_txn },	    { "grant", do_grant },
	{ "keep", do_keep },	   { "revoke", do_revoke }, { "status", do_status },
	{ "members", do_members }, { "watch", do_watch },   { "next", do_next },
};

static json_t *answer(const json_t *ask)
{
	struct error err = { 0 };
	json_t *out = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (strcmp(text(ask, "do"), calls[i].name) == 0)
			out = calls[i].run(ask, &err);
	}
	if (!err.set)
		return out;
	json_decref(out);
	return json_pack("{ss ss sI}", "error", err.text, "fault", faults[etcd_fault(etcd)],
			 "compacted", (json_int_t)etcd_compacted(etcd));
}

static int open_client(const json_t *ask, struct error *err)
{
	struct etcd_options options = {
		.urls = text(ask, "urls"),
		.ca = text(ask, "ca"),
		.cert = text(ask, "cert"),
		.key = text(ask, "tls_key"),
		.user = text(ask, "user"),
		.password = text(ask, "password"),
		.cluster_id = (uint64_t)number(ask, "cluster_id"),
		.connect_ms = (unsigned int)number(ask, "connect_ms"),
		.request_ms = (unsigned int)number(ask, "request_ms"),
	};

	return etcd_open(&options, &etcd, err);
}

int main(void)
{
	_cleanup_free_ char *line = NULL;
	struct error err = { 0 };
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		json_t *ask = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
		json_t *out;

		if (!etcd)
			out = open_client(ask, &err)
				      ? json_pack("{ss sb}", "error", err.text, "usage", err.usage)
				      : json_object();
		else
			out = answer(ask);
		json_dumpf(out, stdout, JSON_COMPACT);
		puts("");
		fflush(stdout);
		json_decref(out);
		json_decref(ask);
		if (err.set)
			return 1;
	}
	etcd_watch_close(watching);
	etcd_close(etcd);
	return 0;
}
