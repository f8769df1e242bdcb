// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/reach.h"

#include <gnutls/crypto.h>

#include "lib/endpoint.h"
#include "lib/output.h"

/* Somebody else may write the same key meanwhile. */
#define TRIES 20

int reach_check(const char *text, struct error *err)
{
	struct sockaddr_storage at;

	if (strcmp(text, "none") == 0 || endpoint_parse(text, REACH_PORT, &at))
		return 0;
	return error_usage(err,
			   "--flows-address: `%s` is no address of a host; write 192.0.2.1, "
			   "192.0.2.1:%d, [2001:db8::1]:%d or none",
			   text, REACH_PORT, REACH_PORT);
}

char *reach_here(const struct membership *m, const struct etcd *e, const char **why)
{
	const char *from = m->flows ?: etcd_local_address(e);
	struct sockaddr_storage at;
	char text[ENDPOINT_TEXT];

	*why = NULL;
	if (strcmp(from, "none") == 0)
		return NULL;
	if (!endpoint_parse(from, REACH_PORT, &at)) {
		*why = "it is not known by which address other hosts reach this one";
		return NULL;
	}
	if (!m->flows && endpoint_is_loopback(&at)) {
		*why = "etcd is reached by loopback, so it is not known by which address other "
		       "hosts reach this one";
		return NULL;
	}
	return xstrdup(endpoint_text(&at, text));
}

char *reach_there(const char *value)
{
	_cleanup_json_ json_t *json = json_loads(value, 0, NULL);
	const char *at = json_string_value(json_object_get(json, "flows"));
	struct sockaddr_storage parsed;
	char text[ENDPOINT_TEXT];

	return at && endpoint_parse(at, REACH_PORT, &parsed) ? xstrdup(endpoint_text(&parsed, text))
							     : NULL;
}

static int read_one(struct etcd *e, const char *key, struct etcd_kvs *out, struct error *err)
{
	struct etcd_query query = { .key = key };

	return etcd_range(e, &query, out, err);
}

/* The value with the address in it; NULL: it is there. The caller's to free. */
static char *with_address(const struct etcd_kv *kv, const char *at)
{
	_cleanup_json_ json_t *json = json_loadb(kv->value, kv->size, 0, NULL);
	const char *had = json_string_value(json_object_get(json, "flows"));

	if (!json_is_object(json) || (had && at ? strcmp(had, at) == 0 : had == at))
		return NULL;
	if (at)
		json_object_set_new(json, "flows", json_string(at));
	else
		json_object_del(json, "flows");
	return json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
}

int reach_tell(struct etcd *e, const struct membership *m, const char *at, struct error *err)
{
	_cleanup_free_ char *key = membership_key(m, "hosts/", m->host);

	for (int i = 0; i < TRIES; i++) {
		_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
		_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
		_cleanup_free_ char *value = NULL;
		struct etcd_outcome out;
		int64_t mod;

		/* what another machine has by that name is not ours */
		if (membership_check_host(e, m, 0, &mod, err) || read_one(e, key, &kvs, err))
			return -1;
		value = kvs.list.n ? with_address(kvs.list.v, at) : NULL;
		if (!value)
			return 0;
		etcd_txn_if_mod(&t, key, mod);
		etcd_txn_put(&t, key, value, strlen(value), 0);
		if (etcd_txn_commit(e, &t, &out, err))
			return -1;
		if (out.succeeded)
			return 0;
	}
	return error_set(err, "%s changes all the time", key);
}

/* ---------------------------------------------------------------- the key */

static bool read_key(const char *value, uint8_t key[REACH_KEY])
{
	_cleanup_json_ json_t *json = json_loads(value, 0, NULL);
	const char *hex = json_string_value(json_object_get(json, "key"));
	gnutls_datum_t text = { (unsigned char *)hex, 2 * REACH_KEY };
	size_t size = REACH_KEY;

	return hex && strlen(hex) == text.size && gnutls_hex_decode(&text, key, &size) >= 0 &&
	       size == REACH_KEY;
}

bool reach_is_key(const char *value, const uint8_t key[REACH_KEY])
{
	uint8_t said[REACH_KEY];
	bool same = read_key(value, said) && memcmp(said, key, REACH_KEY) == 0;

	explicit_bzero(said, sizeof(said));
	return same;
}

static int take_key(const struct etcd_kv *kv, uint8_t key[REACH_KEY], struct error *err)
{
	if (read_key(kv->value, key))
		return 0;
	return error_set(err,
			 "%s in etcd is none of tenantnat's: delete it, and the next host "
			 "makes it anew",
			 kv->key);
}

static char *new_key(struct error *err)
{
	uint8_t bytes[REACH_KEY];
	char *text = NULL, hex[2 * REACH_KEY + 1];

	if (gnutls_rnd(GNUTLS_RND_KEY, bytes, sizeof(bytes)) < 0) {
		error_set(err, "the kernel gives no random numbers");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	if (asprintf(&text, "{\"key\":\"%s\"}", hex) < 0)
		abort();
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(hex, sizeof(hex));
	return text;
}

static int make_key(struct etcd *e, const char *key, struct error *err)
{
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	struct etcd_outcome out;
	char *value = new_key(err);
	int ret;

	if (!value)
		return -1;
	etcd_txn_if_absent(&t, key);
	etcd_txn_put(&t, key, value, strlen(value), 0);
	ret = etcd_txn_commit(e, &t, &out, err);
	explicit_bzero(value, strlen(value));
	free(value);
	return ret;
}

int reach_key(struct etcd *e, const struct membership *m, uint8_t key[REACH_KEY], struct error *err)
{
	_cleanup_free_ char *name = membership_key(m, "secret", "");

	for (int i = 0; i < TRIES; i++) {
		_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

		if (read_one(e, name, &kvs, err))
			return -1;
		if (kvs.list.n)
			return take_key(kvs.list.v, key, err);
		/* whoever is the first, makes it */
		if (make_key(e, name, err))
			return -1;
	}
	return error_set(err, "%s cannot be written", name);
}
