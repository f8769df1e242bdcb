// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/membership.h"

#include <gnutls/crypto.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "cluster/keys.h"
#include "lib/output.h"

#define FORMAT 1
/* Somebody else may change the same keys meanwhile; but few hosts join at one moment. */
#define TRIES 20

int membership_open_within(const struct membership *m, unsigned int connect_ms,
			   unsigned int request_ms, struct etcd **out, struct error *err)
{
	struct etcd_options options = { .urls = m->urls,
					.ca = m->ca,
					.cert = m->cert,
					.key = m->key,
					.user = m->user,
					.password = m->password,
					.cluster_id = m->etcd,
					.connect_ms = connect_ms,
					.request_ms = request_ms };

	return etcd_open(&options, out, err);
}

int membership_open(const struct membership *m, struct etcd **out, struct error *err)
{
	return membership_open_within(m, 0, 0, out, err);
}

char *membership_key(const struct membership *m, const char *kind, const char *name)
{
	char *key;

	if (asprintf(&key, "%s/%s%s", m->prefix, kind, name) < 0)
		abort();
	return key;
}

int membership_check_prefix(const char *prefix, struct error *err)
{
	size_t n = strlen(prefix);

	if (n > 1 && n <= 200 && prefix[0] == '/' && prefix[n - 1] != '/' &&
	    !strstr(prefix, "//") &&
	    strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/") ==
		    n)
		return 0;
	return error_usage(err, "--prefix: write /NAME, of letters, digits, `.`, `_`, `-` and `/`");
}

/* ---------------------------------------------------------------- who we are */

static void to_hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

int membership_machine(char out[MACHINE_ID], struct error *err)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/machine-id", "re");
	static const char about[] = "tenantnat cluster";
	char id[64] = "";
	uint8_t hash[32];

	if (f && fgets(id, sizeof(id), f))
		id[strcspn(id, "\n")] = 0;
	if (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32)
		return error_set(err, "/etc/machine-id does not say which machine this is; "
				      "`systemd-machine-id-setup` makes it");
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, id, strlen(id), about, strlen(about), hash) < 0)
		return error_set(err, "cannot make an id of /etc/machine-id");
	to_hex(hash, 16, out);
	return 0;
}

/* RFC 9562, version 4; the caller's to free. */
static char *new_id(struct error *err)
{
	uint8_t b[16];
	char hex[33], *id;

	if (gnutls_rnd(GNUTLS_RND_RANDOM, b, sizeof(b)) < 0) {
		error_set(err, "the kernel gives no random numbers");
		return NULL;
	}
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	to_hex(b, sizeof(b), hex);
	if (asprintf(&id, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20) <
	    0)
		abort();
	return id;
}

/* ---------------------------------------------------------------- what is there */

/* The id in the key `cluster`; NULL with an error. The caller's to free. */
static char *cluster_id(const struct membership *m, const struct etcd_kv *kv, struct error *err)
{
	_cleanup_json_ json_t *json = json_loadb(kv->value, kv->size, 0, NULL);
	const char *id = json_string_value(json_object_get(json, "id"));
	json_int_t format = json_integer_value(json_object_get(json, "format"));

	if (!id || format < 1)
		error_set(err,
			  "%s in etcd is none of tenantnat's: use another --prefix, or delete it",
			  kv->key);
	else if (format != FORMAT)
		error_set(err,
			  "the cluster at %s is of format %lld, and this tenantnat knows format %d "
			  "alone; use the tenantnat that the other hosts have",
			  m->prefix, (long long)format, FORMAT);
	else
		return xstrdup(id);
	return NULL;
}

#define IS_OLDER                                                                               \
	"it was restored from an older snapshot, and changes since then are lost; if that is " \
	"meant, `tenantnat cluster leave --forget`, and join again"

static int check_revision(const struct membership *m, int64_t revision, struct error *err)
{
	if (revision >= m->revision)
		return 0;
	error_set(err, "etcd is at revision %" PRId64 ", and was at %" PRId64 " before: " IS_OLDER,
		  revision, m->revision);
	return MEMBERSHIP_OLDER;
}

int membership_check(const struct membership *m, const struct etcd_kv *cluster,
		     const struct etcd_header *header, struct error *err)
{
	_cleanup_free_ char *id = cluster ? cluster_id(m, cluster, err) : NULL;

	if (err->set)
		return -1;
	if (!id || strcmp(id, m->id) != 0)
		return error_set(err,
				 "the cluster at %s in etcd is %s: `tenantnat cluster leave "
				 "--forget`, and join it if that is meant",
				 m->prefix, id ? "another one now" : "gone");
	return check_revision(m, header->revision, err);
}

/* ---------------------------------------------------------------- what was changed */

/*
 * Keys of changes are in the order of time, and the oldest go. So it went like that if the history
 * is full, and begins after it.
 */
static int check_forgotten(struct etcd *e, const struct membership *m, int64_t revision,
			   const char *last, bool *forgotten, struct error *err)
{
	_cleanup_free_ char *from = membership_key(m, KEY_HISTORY, ""),
			    *end = etcd_prefix_end(from);
	struct etcd_query query = {
		.key = from, .end = end, .revision = revision, .keys_only = true, .page = 1
	};
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
	int64_t total;

	if (etcd_range_page(e, &query, &kvs, &total, err) < 0)
		return -1;
	*forgotten = total >= HISTORY_MAX && strcmp(kvs.list.v[0].key, last) > 0;
	return 0;
}

int membership_check_past(struct etcd *e, const struct membership *m, int64_t revision,
			  bool *forgotten, struct error *err)
{
	_cleanup_free_ char *last = m->change ? membership_key(m, KEY_HISTORY, m->change) : NULL;
	struct etcd_query query = { .key = last, .revision = revision, .keys_only = true };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

	*forgotten = false;
	if (!last)
		return 0;
	if (etcd_range(e, &query, &kvs, err))
		return -1;
	if (kvs.list.n)
		return 0;
	if (check_forgotten(e, m, revision, last, forgotten, err))
		return -1;
	if (*forgotten)
		return 0;
	error_set(err,
		  "etcd does not have the last change that this host has, of revision %" PRId64
		  ": " IS_OLDER,
		  m->revision);
	return MEMBERSHIP_OLDER;
}

/* ---------------------------------------------------------------- who is there */

/* What a join has to know, all of one revision. */
struct seen {
	struct etcd_kvs cluster, host; /* one key each, or none */
};

static void seen_free(struct seen *s)
{
	etcd_kvs_free(&s->cluster);
	etcd_kvs_free(&s->host);
}

static const struct etcd_kv *only(const struct etcd_kvs *kvs)
{
	return kvs->list.n ? kvs->list.v : NULL;
}

static int read_key(struct etcd *e, const struct membership *m, const char *kind, const char *name,
		    int64_t revision, struct etcd_kvs *out, struct error *err)
{
	_cleanup_free_ char *key = membership_key(m, kind, name);
	struct etcd_query query = { .key = key, .revision = revision };

	return etcd_range(e, &query, out, err);
}

static int look(struct etcd *e, const struct membership *m, struct seen *out, struct error *err)
{
	int64_t revision;

	if (read_key(e, m, "cluster", "", 0, &out->cluster, err))
		return -1;
	revision = out->cluster.header.revision;
	return read_key(e, m, "hosts/", m->host, revision, &out->host, err);
}

int membership_check_host(struct etcd *e, const struct membership *m, int64_t revision,
			  int64_t *mod, struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
	char machine[MACHINE_ID];

	if (read_key(e, m, "hosts/", m->host, revision, &kvs, err) ||
	    membership_machine(machine, err))
		return -1;
	if (!kvs.list.n)
		return error_set(err,
				 "the cluster has no host %s any more: `tenantnat cluster join` "
				 "again, or `tenantnat cluster leave`",
				 m->host);
	if (!strstr(kvs.list.v[0].value, machine))
		return error_set(
			err,
			"another machine is host %s of the cluster now: `tenantnat cluster "
			"leave` here, and join with another name (--host)",
			m->host);
	*mod = kvs.list.v[0].mod_revision;
	return 0;
}

/* ---------------------------------------------------------------- join */

struct joining {
	struct etcd *etcd;
	struct membership *m;
	const char *version;
	bool definitions; /* this host has some of its own */
	bool member;	  /* and is a member already */
	bool is_new;	  /* nobody had its name in the cluster */
	char machine[MACHINE_ID];
};

/* The caller's to free; NULL: that key is another machine's. */
static char *host_value(const struct joining *j, const struct etcd_kv *before)
{
	_cleanup_json_ json_t *was =
		before ? json_loadb(before->value, before->size, 0, NULL) : NULL;
	_cleanup_json_ json_t *value = NULL;
	const char *id = json_string_value(json_object_get(was, "id"));
	json_int_t joined = json_integer_value(json_object_get(was, "joined"));
	json_t *flows = json_object_get(was, "flows");

	if (before && (!id || strcmp(id, j->machine) != 0))
		return NULL;
	value = json_pack("{ss sI ss}", "id", j->machine, "joined", joined ? joined : time(NULL),
			  "version", j->version);
	/* the agent's: see reach.h */
	if (flows)
		json_object_set(value, "flows", flows);
	return json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
}

static int check_seen(const struct joining *j, const struct seen *seen, struct error *err)
{
	const struct etcd_kv *host = only(&seen->host);
	_cleanup_free_ char *value = host_value(j, host);

	if (!value)
		return error_set(
			err,
			"another machine is host %s of this cluster: give this one another "
			"name with --host; or, if that machine is gone, `tenantnat cluster "
			"leave --host %s` on a host of the cluster",
			j->m->host, j->m->host);
	return j->member ? check_revision(j->m, seen->cluster.header.revision, err) : 0;
}

static int register_host(const struct joining *j, const struct seen *seen, struct etcd_outcome *out,
			 struct error *err)
{
	const struct etcd_kv *cluster = only(&seen->cluster), *host = only(&seen->host);
	_cleanup_free_ char *cluster_key = membership_key(j->m, "cluster", "");
	_cleanup_free_ char *host_key = membership_key(j->m, "hosts/", j->m->host);
	_cleanup_free_ char *value = host_value(j, host);
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };

	etcd_txn_if_mod(&t, cluster_key, cluster ? cluster->mod_revision : 0);
	etcd_txn_if_mod(&t, host_key, host ? host->mod_revision : 0);
	if (!cluster) {
		_cleanup_json_ json_t *json =
			json_pack("{si ss}", "format", FORMAT, "id", j->m->id);
		_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

		etcd_txn_put(&t, cluster_key, text, strlen(text), 0);
	}
	if (!host || host->size != strlen(value) || memcmp(host->value, value, host->size) != 0)
		etcd_txn_put(&t, host_key, value, strlen(value), 0);
	return etcd_txn_commit(j->etcd, &t, out, err);
}

/* The cluster that is there, or the one that this host makes. */
static int choose_cluster(const struct joining *j, const struct seen *seen, struct error *err)
{
	const struct etcd_kv *cluster = only(&seen->cluster);
	char *id = cluster ? cluster_id(j->m, cluster, err) : new_id(err);

	if (!id)
		return -1;
	if (j->member && strcmp(id, j->m->id) != 0) {
		free(id);
		return error_set(
			err, "this host is in another cluster: `tenantnat cluster leave` first");
	}
	free(j->m->id);
	j->m->id = id;
	return 0;
}

/* 0: it is registered; 1: what was seen is no more so; -1: an error. */
static int attempt(struct joining *j, struct error *err)
{
	_cleanup_(seen_free) struct seen seen = { 0 };
	struct error why = { 0 };
	struct etcd_outcome done;
	bool ignored;

	if (look(j->etcd, j->m, &seen, err) || choose_cluster(j, &seen, err) ||
	    check_seen(j, &seen, err) ||
	    membership_check_past(j->etcd, j->m, seen.cluster.header.revision, &ignored, err))
		return -1;
	if (register_host(j, &seen, &done, &why)) {
		/* whether it was done is seen the next time */
		if (etcd_fault(j->etcd) == ETCD_UNKNOWN_OUTCOME)
			return 1;
		*err = why;
		return -1;
	}
	j->is_new |= done.succeeded && !only(&seen.host);
	j->m->etcd = done.header.cluster_id;
	return done.succeeded ? 0 : 1;
}

/* What the state has of it, which is the truth for a host that is a member. */
static int begin(struct store *store, struct joining *j, struct error *err)
{
	_cleanup_membership_ struct membership before = { 0 };
	_cleanup_model_ struct model model = { 0 };
	int ret = store_membership(store, &before, err);

	if (ret < 0 || store_load(store, &model, err) || membership_machine(j->machine, err))
		return -1;
	j->definitions = model.tenants.n > 0;
	j->member = ret;
	if (!ret)
		return 0;
	if (strcmp(before.prefix, j->m->prefix) != 0 || strcmp(before.host, j->m->host) != 0)
		return error_set(
			err,
			"this host is in the cluster at %s already, as host %s: `tenantnat "
			"cluster leave` first",
			before.prefix, before.host);
	j->m->id = xstrdup(before.id);
	j->m->revision = before.revision;
	j->m->change = before.change ? xstrdup(before.change) : NULL;
	return 0;
}

static int unregister(struct etcd *e, const struct membership *m, const char *host,
		      struct error *err);

/* It is in, as it was, or not at all. */
static int bring_in_all(struct joining *j, struct store *store, membership_bring_in bring_in,
			void *arg, struct error *err)
{
	struct error ignored = { 0 };

	if (!j->definitions || j->member || bring_in(arg, store, j->m, err) == 0)
		return 0;
	if (j->is_new)
		unregister(j->etcd, j->m, j->m->host, &ignored);
	return -1;
}

int membership_join(struct store *store, struct membership *m, const char *version,
		    membership_bring_in bring_in, void *arg, struct error *err)
{
	struct joining j = { .m = m, .version = version };
	_cleanup_etcd_ struct etcd *etcd = NULL;
	int ret = 1;

	if (begin(store, &j, err) || membership_open(m, &etcd, err))
		return -1;
	j.etcd = etcd;
	for (int i = 0; ret == 1 && i < TRIES; i++)
		ret = attempt(&j, err);
	if (ret == 1)
		ret = error_set(err, "too many hosts join at once: try again");
	if (ret || bring_in_all(&j, store, bring_in, arg, err))
		return -1;
	return store_save_membership(store, m, err) ? -1 : j.member;
}

/* ---------------------------------------------------------------- leave */

/* 1: it is no member. */
static int unregister(struct etcd *e, const struct membership *m, const char *host,
		      struct error *err)
{
	_cleanup_free_ char *host_key = membership_key(m, "hosts/", host);
	_cleanup_free_ char *alive_key = membership_key(m, "alive/", host);
	bool self = strcmp(host, m->host) == 0;
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 }, alive = { 0 };
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	struct etcd_outcome out;
	char machine[MACHINE_ID];

	if (read_key(e, m, "hosts/", host, 0, &kvs, err) ||
	    read_key(e, m, "alive/", host, 0, &alive, err) || membership_machine(machine, err))
		return -1;
	if (!kvs.list.n)
		return 1;
	if (!self && alive.list.n)
		return error_set(err, "host %s is alive: run `tenantnat cluster leave` there",
				 host);
	/* the name may be another machine's by now */
	if (self && !strstr(kvs.list.v[0].value, machine))
		return 1;
	etcd_txn_if_mod(&t, host_key, kvs.list.v[0].mod_revision);
	etcd_txn_delete(&t, host_key, NULL);
	etcd_txn_delete(&t, alive_key, NULL);
	if (etcd_txn_commit(e, &t, &out, err))
		return -1;
	return out.succeeded ? 0 : error_set(err, "host %s joins just now: try again", host);
}

int membership_leave(struct store *store, const struct membership *m, const char *host, bool forget,
		     struct error *err)
{
	bool self = strcmp(host, m->host) == 0;
	_cleanup_etcd_ struct etcd *etcd = NULL;
	int ret = 0;

	if (!forget &&
	    (membership_open(m, &etcd, err) || (ret = unregister(etcd, m, host, err)) < 0))
		return -1;
	if (self && store_save_membership(store, NULL, err))
		return -1;
	return ret;
}
