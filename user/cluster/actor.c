/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/actor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/output.h"

static void forget(struct actor *a)
{
	etcd_close(a->etcd);
	*a = (struct actor){ 0 };
}

static int begin(struct actor *a, const struct membership *m, struct error *err)
{
	int64_t seconds = ACTOR_LEASE;

	if (!a->etcd && membership_open(m, &a->etcd, err))
		return -1;
	if (etcd_lease_grant(a->etcd, &seconds, &a->lease, err))
		return -1;
	a->keep_at = clock_ms() + (uint64_t)seconds * 1000 / 3;
	a->acts = false;
	return 0;
}

/* A lease that is over has taken the key along. */
static int keep(struct actor *a, const struct membership *m, struct error *err)
{
	struct error why = { 0 };
	int64_t seconds;

	if (!a->lease)
		return begin(a, m, err);
	if (clock_ms() < a->keep_at)
		return 0;
	if (etcd_lease_keep(a->etcd, a->lease, &seconds, &why) == 0) {
		a->keep_at = clock_ms() + (uint64_t)seconds * 1000 / 3;
		return 0;
	}
	if (etcd_fault(a->etcd) == ETCD_NO_LEASE)
		return begin(a, m, err);
	*err = why;
	return -1;
}

/*
 * When the turn is that of a process of this host that is dead, whose lease nobody has revoked: the
 * revision of its key. 0: it is somebody's, or nobody's.
 */
static int64_t left_here(const struct membership *m, const struct etcd_kvs *found, const char *key)
{
	const struct etcd_kv *kv = etcd_kvs_find(found, key);
	_cleanup_json_ json_t *value = kv ? json_loadb(kv->value, kv->size, 0, NULL) : NULL;
	const char *host = json_string_value(json_object_get(value, "host"));
	json_int_t pid = json_integer_value(json_object_get(value, "pid"));

	return kv && host && strcmp(host, m->host) == 0 && pid > 0 && pid <= INT_MAX &&
			       kill((pid_t)pid, 0) && errno == ESRCH
		       ? kv->mod_revision
		       : 0;
}

/* With `was` 0 if nobody has it, else if it is that revision's. */
static int claim(struct actor *a, const struct membership *m, const char *key, int64_t was,
		 struct error *err)
{
	_cleanup_free_ char *host = membership_key(m, "hosts/", m->host);
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	_cleanup_json_ json_t *json =
		json_pack("{s:s, s:i}", "host", m->host, "pid", (int)getpid());
	_cleanup_free_ char *value = json_dumps(json, JSON_COMPACT);
	struct etcd_outcome out;
	int64_t mod;

	if (membership_check_host(a->etcd, m, 0, &mod, err))
		return -1;
	if (was)
		etcd_txn_if_mod(&t, key, was);
	else
		etcd_txn_if_absent(&t, key);
	etcd_txn_if_mod(&t, host, mod);
	etcd_txn_put(&t, key, value, strlen(value), a->lease);
	if (etcd_txn_commit(a->etcd, &t, &out, err))
		return -1;
	a->acts = out.succeeded;
	return 0;
}

/* One that was taken out of the cluster does nothing for it any more. */
static int take(struct actor *a, const struct membership *m, const char *what, struct error *err)
{
	_cleanup_free_ char *key = membership_key(m, "actor/", what);
	const struct etcd_query query = { .key = key };
	_cleanup_etcd_kvs_ struct etcd_kvs found = { 0 };
	int64_t left;

	if (claim(a, m, key, 0, err))
		return -1;
	if (a->acts)
		return 0;
	if (etcd_range(a->etcd, &query, &found, err))
		return -1;
	left = left_here(m, &found, key);
	return left ? claim(a, m, key, left, err) : 0;
}

int actor_turn(struct actor *a, const struct membership *m, const char *what, struct error *err)
{
	if (keep(a, m, err) || (!a->acts && take(a, m, what, err))) {
		forget(a);
		return -1;
	}
	return a->acts;
}

void actor_end(struct actor *a)
{
	struct error ignored = { 0 };

	if (a->lease && a->etcd) {
		interrupt_hold(true);
		etcd_lease_revoke(a->etcd, a->lease, &ignored);
		interrupt_hold(false);
	}
	forget(a);
}
