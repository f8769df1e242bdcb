// SPDX-License-Identifier: GPL-2.0-only
/* What is asked of etcd, but for watches. */
#include "cluster/etcd_internal.h"
#include "lib/output.h"

/* ---------------------------------------------------------------- ranges */

#define PAGE 256

/* Where a range is read on. */
struct reader {
	struct etcd *e;
	const struct etcd_query *query;
	char *key;   /* from here on */
	size_t size; /* bytes; with a NUL at the end it is the first key after the one before it */
	int64_t revision; /* 0: not known yet */
	unsigned int page;
	bool more;
};

static int read_page(struct reader *r, struct etcd_kvs *out, int64_t *total, struct error *err)
{
	_cleanup_json_ json_t *body =
		etcd_write_range(r->query, r->key, r->size, r->page, r->revision);
	_cleanup_json_ json_t *answer = NULL;
	struct etcd_call call = { .path = "/v3/kv/range", .body = body };

	if (etcd_call(r->e, &call, &answer, err))
		return -1;
	if (etcd_read_range(answer, out, &r->more) || (r->more && !out->list.n) ||
	    etcd_read_count(answer, total))
		return etcd_strange(r->e, false, err);
	return 0;
}

/* Of values that are large, fewer at a time. */
static int read_some(struct reader *r, struct etcd_kvs *out, struct error *err)
{
	for (;;) {
		struct error why = { 0 };
		int64_t total;

		if (read_page(r, out, &total, &why) == 0)
			return 0;
		etcd_kvs_free(out);
		if (etcd_fault(r->e) != ETCD_TOO_LARGE || r->page == 1) {
			if (!err->set)
				*err = why;
			return -1;
		}
		r->page = r->page > 4 ? r->page / 4 : 1;
	}
}

static void go_on_behind(struct reader *r, const char *key)
{
	free(r->key);
	r->key = xstrdup(key);
	r->size = strlen(key) + 1;
}

int etcd_range_each(struct etcd *e, const struct etcd_query *query, etcd_each each, void *arg,
		    struct etcd_header *header, struct error *err)
{
	struct reader r = { .e = e,
			    .query = query,
			    .key = xstrdup(query->key),
			    .size = strlen(query->key),
			    .revision = query->revision,
			    .page = query->newest ? 1
				    : query->page ? query->page
						  : PAGE };
	int ret;

	do {
		_cleanup_etcd_kvs_ struct etcd_kvs some = { 0 };

		ret = read_some(&r, &some, err);
		for (size_t i = 0; ret == 0 && i < some.list.n; i++) {
			if (r.more && i + 1 == some.list.n)
				go_on_behind(&r, some.list.v[i].key);
			ret = each(arg, &some.list.v[i], err);
		}
		/* what comes behind is of the same moment */
		if (!r.revision)
			r.revision = some.header.revision;
		if (ret == 0 && header) {
			*header = some.header;
			header->revision = r.revision;
		}
	} while (ret == 0 && r.more && !query->newest);
	free(r.key);
	return ret;
}

static int keep(void *arg, struct etcd_kv *kv, struct error *err)
{
	struct etcd_kvs *out = arg;

	(void)err;
	*vec_push(&out->list) = *kv;
	memset(kv, 0, sizeof(*kv));
	return 0;
}

int etcd_range(struct etcd *e, const struct etcd_query *query, struct etcd_kvs *out,
	       struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (etcd_range_each(e, query, keep, out, &out->header, err) == 0)
		return 0;
	etcd_kvs_free(out);
	return -1;
}

int etcd_range_page(struct etcd *e, const struct etcd_query *query, struct etcd_kvs *out,
		    int64_t *total, struct error *err)
{
	struct reader r = { .e = e,
			    .query = query,
			    .key = (char *)query->key,
			    .size = strlen(query->key),
			    .revision = query->revision,
			    .page = query->page ? query->page : PAGE };

	memset(out, 0, sizeof(*out));
	if (read_page(&r, out, total, err)) {
		etcd_kvs_free(out);
		return -1;
	}
	return r.more;
}

/* ---------------------------------------------------------------- transactions */

int etcd_txn_commit(struct etcd *e, const struct etcd_txn *t, struct etcd_outcome *out,
		    struct error *err)
{
	_cleanup_json_ json_t *body = json_object(), *answer = NULL;
	struct etcd_call call = { .path = "/v3/kv/txn", .body = body, .change = true };

	memset(out, 0, sizeof(*out));
	if (etcd_txn_ops(t) > ETCD_TXN_OPS || t->bytes > ETCD_TXN_BYTES) {
		e->fault = ETCD_TOO_LARGE;
		return error_set(
			err,
			"a transaction of %zu operations and %zu bytes is larger than etcd "
			"takes (%d and %d)",
			etcd_txn_ops(t), t->bytes, ETCD_TXN_OPS, ETCD_TXN_BYTES);
	}
	if (t->compare)
		json_object_set(body, "compare", t->compare);
	if (t->success)
		json_object_set(body, "success", t->success);
	if (etcd_call(e, &call, &answer, err))
		return -1;
	if (etcd_read_header(answer, &out->header))
		return etcd_strange(e, true, err);
	out->succeeded = json_is_true(json_object_get(answer, "succeeded"));
	return 0;
}

/* ---------------------------------------------------------------- leases */

/* `body` becomes this function's. */
static int ask(struct etcd *e, const char *path, json_t *body, json_t **answer, struct error *err)
{
	struct etcd_call call = { .path = path, .body = body };
	int ret = etcd_call(e, &call, answer, err);

	json_decref(body);
	return ret;
}

/* Asked twice, because an answer got lost, it leaves a lease behind that expires by itself. */
int etcd_lease_grant(struct etcd *e, int64_t *seconds, int64_t *lease, struct error *err)
{
	_cleanup_json_ json_t *answer = NULL;

	if (ask(e, "/v3/lease/grant", json_pack("{so}", "TTL", etcd_number(*seconds)), &answer,
		err))
		return -1;
	if (etcd_read_int(answer, "ID", lease) || etcd_read_int(answer, "TTL", seconds) || !*lease)
		return etcd_strange(e, false, err);
	return 0;
}

int etcd_lease_keep(struct etcd *e, int64_t lease, int64_t *seconds, struct error *err)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *result;
	int64_t left;

	if (ask(e, "/v3/lease/keepalive", json_pack("{so}", "ID", etcd_number(lease)), &answer,
		err))
		return -1;
	result = json_object_get(answer, "result");
	if (!json_is_object(result) || etcd_read_int(result, "TTL", &left))
		return etcd_strange(e, false, err);
	if (left <= 0) {
		e->fault = ETCD_NO_LEASE;
		return error_set(err, "etcd at %s knows no such lease: it has expired",
				 e->endpoints.v[e->at].url);
	}
	if (seconds)
		*seconds = left;
	return 0;
}

int etcd_lease_revoke(struct etcd *e, int64_t lease, struct error *err)
{
	_cleanup_json_ json_t *answer = NULL;
	struct error why = { 0 };

	if (ask(e, "/v3/lease/revoke", json_pack("{so}", "ID", etcd_number(lease)), &answer,
		&why) == 0)
		return 0;
	if (e->fault == ETCD_NO_LEASE) {
		e->fault = ETCD_FINE;
		return 0;
	}
	if (!err->set)
		*err = why;
	return -1;
}

/* ---------------------------------------------------------------- members */

int etcd_members(struct etcd *e, struct etcd_members *out, struct error *err)
{
	_cleanup_json_ json_t *answer = NULL;

	memset(out, 0, sizeof(*out));
	if (ask(e, "/v3/cluster/member/list", json_object(), &answer, err))
		return -1;
	if (etcd_read_members(answer, out) == 0)
		return 0;
	etcd_members_free(out);
	return etcd_strange(e, false, err);
}
