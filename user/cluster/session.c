/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/session_internal.h"

#include <time.h>

#include "cluster/edit.h"
#include "cluster/etcd.h"
#include "cluster/heard.h"
#include "cluster/membership.h"
#include "cluster/overview.h"

int session_open(struct store *store, struct session *out, struct error *err)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = store_membership(store, &out->m, err);
	if (ret > 0 && membership_open(&out->m, &out->etcd, err))
		ret = -1;
	if (ret <= 0)
		session_close(out);
	return ret;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

int session_open_as(const struct membership *m, struct session *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	out->m = (struct membership){
		copy(m->urls), copy(m->ca),	  copy(m->cert),	   copy(m->key),
		copy(m->user), copy(m->password), copy(m->prefix),	   copy(m->host),
		copy(m->id),   .etcd = m->etcd,	  .revision = m->revision, .change = copy(m->change)
	};
	if (membership_open(&out->m, &out->etcd, err) == 0)
		return 0;
	session_close(out);
	return -1;
}

void session_forget(struct session *s)
{
	entries_free(&s->had);
	head_free(&s->head);
	free(s->change);
	s->change = NULL;
	s->is_under_way = false;
}

void session_close(struct session *s)
{
	session_forget(s);
	etcd_close(s->etcd);
	s->etcd = NULL;
	membership_free(&s->m);
}

/* ------------------------------------------------------------ reading */

char *session_key(const struct session *s, const char *key)
{
	return membership_key(&s->m, key, "");
}

static int take(void *arg, struct etcd_kv *kv, struct error *err)
{
	const struct session_taking *t = arg;
	const char *key = kv->key + strlen(t->s->m.prefix) + 1;

	if (strlen(kv->value) != kv->size)
		return key_damaged(err, key, "its value is no text");
	return t->each(t->arg, key, kv->value, kv->mod_revision, err);
}

int session_read_range(struct session *s, const char *from, const char *to,
		       struct session_taking *taking, struct error *err)
{
	_cleanup_free_ char *key = session_key(s, from), *end = to ? session_key(s, to) : NULL;
	struct etcd_query query = { .key = key, .end = end, .revision = s->revision };

	taking->s = s;
	return etcd_range_each(s->etcd, &query, take, taking, NULL, err);
}

static int add_entry(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	(void)err;
	entries_add(arg, key, value, revision);
	return 0;
}

static int read_entries(struct session *s, const char *from, const char *to, struct error *err)
{
	struct session_taking taking = { .each = add_entry, .arg = &s->had };
	int ret = session_read_range(s, from, to, &taking, err);

	entries_sort(&s->had);
	return ret;
}

int session_read_ground(struct session *s, struct error *err)
{
	_cleanup_free_ char *from = session_key(s, KEY_CHANGING),
			    *to = session_key(s, KEY_HEAD "!");
	_cleanup_free_ char *cluster = session_key(s, KEY_CLUSTER);
	struct etcd_query query = { .key = from, .end = to };
	struct session_taking taking = { .s = s, .each = add_entry, .arg = &s->had };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
	int64_t mod;

	session_forget(s);
	s->read_at = time(NULL);
	if (etcd_range(s->etcd, &query, &kvs, err) ||
	    membership_check(&s->m, etcd_kvs_find(&kvs, cluster), &kvs.header, err))
		return -1;
	s->revision = kvs.header.revision;
	if (membership_check_past(s->etcd, &s->m, s->revision, &s->is_forgotten, err) ||
	    membership_check_host(s->etcd, &s->m, s->revision, &mod, err))
		return -1;
	vec_each (kv, &kvs.list) {
		if (take(&taking, kv, err))
			return -1;
	}
	entries_sort(&s->had);
	s->is_under_way = entries_find(&s->had, KEY_CHANGING);
	return head_read(&s->had, &s->head, err);
}

/* The first key behind all those that begin with it. */
#define BEHIND_TENANTS "tenants0"
#define BEHIND_BLOCKS  "blocks0"

int session_read_all(struct session *s, struct error *err)
{
	return session_read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
			       read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err) ||
			       read_entries(s, KEY_BLOCKS, BEHIND_BLOCKS, err)
		       ? -1
		       : 0;
}

int session_read_tenants(struct session *s, struct error *err)
{
	return session_read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
			       read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err)
		       ? -1
		       : 0;
}

/* Whether the others count: the tenant has no pool, or is not there and may be misspelt. */
static bool needs_others(const struct session *s, const char *tenant)
{
	const struct entry *entry = entries_find(&s->had, KEY_TENANT(tenant));
	json_t *value = entry ? json_loads(entry->value, 0, NULL) : NULL;
	bool has_pool = json_array_size(json_object_get(value, "pool")) > 0;

	json_decref(value);
	return !has_pool;
}

int session_read_tenant(struct session *s, const char *tenant, struct error *err)
{
	_cleanup_key_ranges_ struct key_ranges ranges = { 0 };

	if (!tenant_name_valid(tenant))
		return error_usage(err, "`%s` cannot be the name of a tenant", tenant);
	if (session_read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
	    read_entries(s, KEY_TENANT(tenant), NULL, err))
		return -1;
	if (needs_others(s, tenant)) {
		struct entry *entry = entries_find(&s->had, KEY_TENANT(tenant));

		if (entry) {
			free(entry->key);
			free(entry->value);
			*entry = s->had.list.v[--s->had.list.n];
			entries_sort(&s->had);
		}
		if (read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err))
			return -1;
	}
	if (edit_ranges(&s->had, tenant, &ranges, err))
		return -1;
	vec_each (range, &ranges.list) {
		if (read_entries(s, range->from, range->to, err))
			return -1;
	}
	return 0;
}

/* ---- of this host */

struct projecting {
	struct reader r;
	struct projection p;
	bool (*is_here)(void *arg, const struct tenant *t);
	void *arg;
};

static bool wants(void *arg, const struct tenant *t, const struct owner *o)
{
	const struct projecting *j = arg;

	return projection_takes(&j->p, &j->r.m, t, o);
}

static int read_block(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	(void)revision;
	return reader_block(arg, key, value, err);
}

/* One after the other: all of them as text would be most of what this host needs of memory. */
static int read_tenant(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	struct projecting *j = arg;

	(void)revision;
	if (reader_tenant(&j->r, key, value, err))
		return -1;
	projection_strip(&j->r.m.tenants.v[j->r.m.tenants.n - 1], j->is_here, j->arg);
	return 0;
}

static int read_tenants(struct session *s, struct projecting *j, struct error *err)
{
	struct session_taking taking = { .each = read_tenant, .arg = j };

	return session_read_range(s, KEY_TENANTS, BEHIND_TENANTS, &taking, err);
}

static int read_blocks(struct session *s, struct projecting *j, struct error *err)
{
	struct session_taking taking = { .each = read_block, .arg = &j->r };
	_cleanup_key_ranges_ struct key_ranges ranges;

	projection_ranges(&j->p, &j->r.m, &ranges);
	vec_each (range, &ranges.list) {
		if (session_read_range(s, range->from, range->to, &taking, err))
			return -1;
	}
	return reader_end(&j->r, err);
}

int session_read_projection(struct session *s, bool (*is_here)(void *arg, const struct tenant *t),
			    void *arg, struct model *out, struct error *err)
{
	struct projecting j = { .r = { .wants = wants }, .is_here = is_here, .arg = arg };
	const struct entry *network;
	int ret = -1;

	j.r.arg = &j;
	memset(out, 0, sizeof(*out));
	if (session_read_ground(s, err) || session_find_change(s, err) ||
	    read_entries(s, KEY_NETWORK, NULL, err))
		return -1;
	network = entries_find(&s->had, KEY_NETWORK);
	if (!network)
		return 0;
	if (reader_network(&j.r, network->value, err) == 0 && read_tenants(s, &j, err) == 0) {
		projection_begin(&j.p, &j.r.m, is_here, arg);
		ret = read_blocks(s, &j, err);
	}
	if (ret == 0) {
		*out = j.r.m;
		j.r.m = (struct model){ 0 };
		vec_each (t, &out->tenants)
			t->id = 0; /* they were the projection's */
	}
	projection_free(&j.p);
	reader_free(&j.r);
	return ret;
}

/* So many are looked at one by one. */
#define CHANGED_MAX HEARD_MAX

/* 1: those are all; 0: there are more, or some that are new or gone. */
static int find_changed(struct session *s, size_t known, struct etcd_kvs *out, struct error *err)
{
	_cleanup_free_ char *from = session_key(s, KEY_TENANTS),
			    *to = session_key(s, BEHIND_TENANTS);
	struct etcd_query query = { .key = from,
				    .end = to,
				    .revision = s->revision,
				    .since = s->m.revision + 1,
				    .page = CHANGED_MAX };
	int64_t total;
	int ret = etcd_range_page(s->etcd, &query, out, &total, err);

	if (ret < 0)
		return -1;
	return ret == 0 && total == (int64_t)known;
}

static int read_heard(struct session *s, const struct heard *heard, struct reader *r,
		      struct error *err)
{
	vec_each (name, &heard->tenants.list) {
		_cleanup_free_ char *key = session_key(s, KEY_TENANT(*name));
		struct etcd_query query = { .key = key, .revision = s->revision };
		_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

		if (etcd_range(s->etcd, &query, &kvs, err))
			return -1;
		if (!kvs.list.n)
			return 0;
		if (reader_tenant(r, KEY_TENANT(*name), kvs.list.v[0].value, err))
			return -1;
	}
	return 1;
}

static int read_found(struct session *s, size_t known, struct reader *r, struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs changed = { 0 };
	int ret = find_changed(s, known, &changed, err);

	if (ret <= 0)
		return ret;
	vec_each (kv, &changed.list) {
		if (reader_tenant(r, kv->key + strlen(s->m.prefix) + 1, kv->value, err))
			return -1;
	}
	return 1;
}

/* What was heard is all of it, and etcd was there already. */
static bool is_usable(const struct session *s, const struct heard *heard)
{
	return heard && !heard->all && heard->revision > s->m.revision &&
	       heard->revision <= s->revision;
}

int session_read_changed(struct session *s, const struct heard *heard, size_t known,
			 struct model *out, struct error *err)
{
	_cleanup_free_ char *network = session_key(s, KEY_NETWORK);
	struct etcd_query query = { .key = network };
	_cleanup_etcd_kvs_ struct etcd_kvs net = { 0 };
	_cleanup_reader_ struct reader r = { 0 };
	int ret;

	memset(out, 0, sizeof(*out));
	if (!is_usable(s, heard))
		heard = NULL;
	if (heard)
		s->revision = heard->revision;
	query.revision = s->revision;
	if (etcd_range(s->etcd, &query, &net, err))
		return -1;
	if (s->is_forgotten || !net.list.n || net.list.v[0].mod_revision > s->m.revision)
		return 0;
	if (reader_network(&r, net.list.v[0].value, err))
		return -1;
	ret = heard ? read_heard(s, heard, &r, err) : read_found(s, known, &r, err);
	if (ret <= 0)
		return ret;
	*out = r.m;
	r.m = (struct model){ 0 };
	if (!heard)
		return session_find_change(s, err) ? -1 : 1;
	free(s->change);
	s->change = xstrdup(heard->change);
	s->changed = heard->revision;
	return 1;
}

static bool is_theirs(void *arg, const struct tenant *t, const struct owner *o)
{
	(void)arg, (void)o;
	return t;
}

int session_read_mappings(struct session *s, struct model *m, struct error *err)
{
	struct reader r = { .m = *m, .wants = is_theirs };
	struct session_taking taking = { .each = read_block, .arg = &r };
	_cleanup_key_ranges_ struct key_ranges ranges = { 0 };
	int ret = 0;

	vec_each (t, &m->tenants) {
		vec_each (pool, &t->pools)
			key_ranges_add(&ranges, pool);
	}
	key_ranges_merge(&ranges);
	vec_each (range, &ranges.list) {
		if (!ret)
			ret = session_read_range(s, range->from, range->to, &taking, err);
	}
	if (!ret)
		ret = reader_end(&r, err);
	*m = r.m;
	return ret;
}

int session_find_change(struct session *s, struct error *err)
{
	free(s->change);
	s->change = NULL;
	return membership_changed(s->etcd, &s->m, s->revision, &s->changed, &s->change, err);
}

int session_check_open(const struct session *s, bool whole, struct error *err)
{
	_cleanup_free_ char *text = head_open_text(&s->had, &s->head);

	if (!text || (whole && !s->is_under_way))
		return 0;
	return error_set(err, "%s", text);
}
