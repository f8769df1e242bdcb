// SPDX-License-Identifier: GPL-2.0-only
#include "agent/follower.h"

#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <time.h>

#include "agent/meeting.h"
#include "change/cluster_change.h"
#include "cluster/heard.h"
#include "cluster/keys.h"
#include "cluster/overview.h"
#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/output.h"

/* Seconds: a host that is not heard of for so long is silent. It says so three times as often. */
#define LEASE 30
/* Milliseconds: after a failure, and at most; and how often state.db is looked at while some fail.
 */
enum { BACK_OFF = 250, BACK_OFF_MAX = 30000, LOOK = 50000 };

struct follower {
	const struct settings *settings;
	bool json;
	struct membership m;
	struct etcd *etcd;
	struct etcd_watch *watch;
	struct meeting meeting;
	int64_t lease;	    /* 0: none */
	uint64_t keep_at;   /* milliseconds: then the lease is to be kept */
	uint64_t look_at;   /* then what it has is looked at; UINT64_MAX: when something changes */
	int64_t changed;    /* revision of the definitions, as it was heard last */
	struct heard heard; /* since it followed last */
	bool is_older;	    /* etcd was restored from an older snapshot: nothing is followed */
	int64_t has;	    /* of those that this host has */
	int64_t told;	    /* what the key says; -1: nothing yet */
	json_t *failed;	    /* names of tenants whose routers could not be made so */
	json_t *found;	    /* of those without a host whose namespace is here */
	bool worked;	    /* since the last failure */
	uint64_t retry;	    /* milliseconds after the next failure to make this host so */
	uint64_t pause;	    /* after the next one */
	char line[512];	    /* that was printed last */
	char trouble[1024]; /* that was logged last */
};

/* ---------------------------------------------------------------- what is told here */

static void tell(struct follower *f, bool connected)
{
	bool behind = f->has < f->changed;
	char line[sizeof(f->line)];

	if (f->json)
		snprintf(line, sizeof(line),
			 "{\"connected\": %s, \"revision\": %" PRId64 ", \"changed\": %" PRId64
			 ", \"behind\": %s, \"older\": %s}",
			 connected ? "true" : "false", f->has, f->changed,
			 behind ? "true" : "false", f->is_older ? "true" : "false");
	else
		snprintf(line, sizeof(line), "%s, revision %" PRId64 "%s",
			 connected ? "connected" : "not connected", f->has,
			 behind	       ? ", behind"
			 : f->is_older ? ", restored from an older snapshot"
				       : "");
	if (strcmp(line, f->line) == 0)
		return;
	memcpy(f->line, line, sizeof(line));
	puts(line);
	fflush(stdout);
}

/* Once, however often it is met. */
static void log_trouble(struct follower *f, const struct error *err)
{
	if (strcmp(f->trouble, err->text) == 0)
		return;
	memcpy(f->trouble, err->text, sizeof(f->trouble));
	log_warning("cluster: %s", err->text);
}

static bool is_over(void)
{
	return interrupt_is_noted() || output_has_nobody();
}

/* ---------------------------------------------------------------- what is told in etcd */

static int say_alive(struct follower *f, struct error *err)
{
	_cleanup_free_ char *key = membership_key(&f->m, "alive/", f->m.host);
	_cleanup_free_ char *host = membership_key(&f->m, "hosts/", f->m.host);
	_cleanup_json_ json_t *json =
		json_pack("{sI sI sO sO}", "revision", (json_int_t)f->has, "at",
			  (json_int_t)time(NULL), "failed", f->failed, "found", f->found);
	_cleanup_free_ char *value = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	struct etcd_outcome out;
	int64_t mod;

	/* one that was taken out of the cluster is not to come back like that */
	if (membership_check_host(f->etcd, &f->m, 0, &mod, err))
		return -1;
	etcd_txn_if_mod(&t, host, mod);
	etcd_txn_put(&t, key, value, strlen(value), f->lease);
	if (etcd_txn_commit(f->etcd, &t, &out, err))
		return -1;
	f->told = out.succeeded ? f->has : -1;
	if (!out.succeeded)
		f->look_at = 0;
	return 0;
}

static int begin_lease(struct follower *f, struct error *err)
{
	int64_t seconds = LEASE;

	f->told = -1;
	f->look_at = 0;
	if (etcd_lease_grant(f->etcd, &seconds, &f->lease, err))
		return -1;
	f->keep_at = clock_ms() + (uint64_t)seconds * 1000 / 3;
	return 0;
}

static int keep_lease(struct follower *f, struct error *err)
{
	struct error why = { 0 };
	int64_t seconds;

	if (clock_ms() < f->keep_at)
		return 0;
	if (etcd_lease_keep(f->etcd, f->lease, &seconds, &why) == 0) {
		f->keep_at = clock_ms() + (uint64_t)seconds * 1000 / 3;
		return 0;
	}
	if (etcd_fault(f->etcd) == ETCD_NO_LEASE)
		return begin_lease(f, err);
	*err = why;
	return -1;
}

/* So that it is known at once that this host is not followed by anybody any more. */
static void end_lease(struct follower *f)
{
	struct error err = { 0 };

	if (!f->lease || !f->worked)
		return;
	interrupt_hold(true);
	etcd_lease_revoke(f->etcd, f->lease, &err);
	interrupt_hold(false);
}

/* ---------------------------------------------------------------- what this host has */

static bool is_failed(const struct router *r)
{
	return r->passed_over;
}

static bool is_found(const struct router *r)
{
	return !r->hosts.n && cluster_has_netns(r);
}

/* The tenants whose routers are so. True: they are others than before. */
static bool read_names(json_t **list, const struct model *m, bool (*is)(const struct router *r))
{
	json_t *before = *list, *now = json_array();
	bool same;

	vec_each (t, &m->tenants) {
		if (t->router && is(t->router))
			json_array_append_new(now, json_string(t->name));
	}
	same = json_equal(before, now);
	json_decref(before);
	*list = now;
	return !same;
}

/* 1: it has something else than before. */
static int read_state(struct follower *f, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	_cleanup_model_ struct model model = { 0 };
	int64_t had = f->has;
	bool other;

	if (store_open(f->settings->state, STORE_READ, 0, f->settings->command, &store, err))
		return -1;
	membership_free(&f->m);
	if (store_member(store, &f->m, err) || store_load(store, &model, err))
		return -1;
	f->has = f->m.revision;
	other = read_names(&f->failed, &model, is_failed);
	other |= read_names(&f->found, &model, is_found);
	meeting_want(&f->meeting, &model);
	return other || f->has != had;
}

/* 1: somebody's change is under way; its end is heard. */
static int converge(struct follower *f, struct error *err)
{
	struct change_how how = { .partial = true };
	_cleanup_outcome_ struct outcome outcome = { 0 };
	_cleanup_session_ struct session s = { 0 };
	int ret = cluster_session(f->settings, &s, err);

	if (ret == 0)
		return error_set(err, "this host is in no cluster any more");
	ret = ret < 0 ? -1 : cluster_follow(&s, f->settings, &how, &f->heard, &outcome, err);
	outcome_log(&outcome);
	return ret;
}

/* What fails here is tried again, and keeps nobody from hearing what changes. */
static void make_it_so(struct follower *f)
{
	struct error why = { 0 };
	int ret = converge(f, &why);

	if (ret == 0) {
		f->retry = BACK_OFF;
		return;
	}
	if (ret < 0 && !interrupt_is_noted())
		log_trouble(f, &why);
	/* that is read anew, as it is then */
	f->heard.all = true;
	f->retry = f->retry * 2 < BACK_OFF_MAX ? f->retry * 2 : BACK_OFF_MAX;
}

static int catch_up(struct follower *f, struct error *err)
{
	bool is_new;
	int ret;

	if (clock_ms() < f->look_at)
		return 0;
	ret = read_state(f, err);
	if (ret < 0)
		return -1;
	is_new = ret;
	if (f->has < f->changed) {
		make_it_so(f);
		/* what it took is many times what it takes to wait */
		malloc_trim(0);
		ret = read_state(f, err);
		if (ret < 0)
			return -1;
		is_new |= ret;
	}
	heard_follow(&f->heard, f->has);
	f->look_at = f->has < f->changed	  ? clock_ms() + f->retry
		     : json_array_size(f->failed) ? clock_ms() + LOOK
						  : UINT64_MAX;
	return is_new || f->told < 0 ? say_alive(f, err) : 0;
}

/* ---------------------------------------------------------------- what is heard */

/* Every change of the definitions has its line in the history, in its last transaction. */
static bool is_change(const struct follower *f, const struct etcd_event *event)
{
	_cleanup_free_ char *history = membership_key(&f->m, "history/", "");

	return membership_is_definition(&f->m, event->kv.key) ||
	       (!event->deleted && strncmp(event->kv.key, history, strlen(history)) == 0);
}

static void hear_change(struct follower *f, const struct etcd_event *event)
{
	_cleanup_free_ char *history = membership_key(&f->m, KEY_HISTORY, "");
	size_t n = strlen(history);

	if (!event->deleted && strncmp(event->kv.key, history, n) == 0)
		heard_change(&f->heard, event->kv.key + n, event->kv.value, event->kv.mod_revision);
}

/* Once more from the beginning, when it is about this host or the cluster itself. */
static int take_event(struct follower *f, const struct etcd_event *event, struct error *err)
{
	_cleanup_free_ char *host = membership_key(&f->m, "hosts/", f->m.host);
	_cleanup_free_ char *cluster = membership_key(&f->m, "cluster", "");
	_cleanup_free_ char *changing = membership_key(&f->m, "changing", "");
	_cleanup_free_ char *head = membership_key(&f->m, "head", "");
	const char *key = event->kv.key;

	if (is_change(f, event)) {
		f->changed = event->kv.mod_revision;
		hear_change(f, event);
		f->look_at = 0;
	}
	/* nothing of a change is taken over before its end */
	if (strcmp(key, changing) == 0 || strcmp(key, head) == 0)
		f->look_at = 0;
	if (meeting_hear(&f->meeting, &f->m, event) || strcmp(key, cluster) == 0 ||
	    (strcmp(key, host) == 0 && event->deleted))
		return error_set(err, "%s was changed", key);
	return 0;
}

static int hear(struct follower *f, struct error *err)
{
	int ret;

	for (;;) {
		_cleanup_etcd_events_ struct etcd_events events = { 0 };

		ret = etcd_watch_next(f->watch, &events, err);
		if (ret <= 0)
			return ret;
		vec_each (event, &events.list) {
			if (take_event(f, event, err))
				return -1;
		}
		tell(f, true);
	}
}

/* That flows are not handed over keeps nobody from following. */
static void meet(struct follower *f)
{
	struct error why = { 0 };

	if (meeting_read(&f->meeting, f->etcd, &f->m, &why))
		log_trouble(f, &why);
}

static void write_meeting(struct follower *f)
{
	struct error why = { 0 };

	if (meeting_write(&f->meeting, f->settings->state, &why))
		log_trouble(f, &why);
}

static void wait_for_something(const struct follower *f)
{
	struct pollfd fds[] = { { .fd = etcd_watch_fd(f->watch), .events = POLLIN },
				{ .fd = interrupt_fd(), .events = POLLIN },
				{ .fd = STDOUT_FILENO } };
	int64_t wait = etcd_watch_wait(f->watch), keep = clock_left(f->keep_at);
	int64_t look = f->look_at == UINT64_MAX ? keep : clock_left(f->look_at);

	wait = wait < 0 || keep < wait ? keep : wait;
	poll(fds, ARRAY_SIZE(fds), (int)(look < wait ? look : wait));
}

/* All is known as of one revision, and what changes afterwards is heard. */
static int begin(struct follower *f, struct error *err)
{
	_cleanup_free_ char *key = NULL, *from = NULL, *end = NULL;
	_cleanup_etcd_kvs_ struct etcd_kvs cluster = { 0 };
	struct etcd_query query, all;

	bool forgotten;
	int ret;

	if (read_state(f, err) < 0 || membership_open(&f->m, &f->etcd, err))
		return -1;
	key = membership_key(&f->m, "cluster", "");
	/*
	 * Not alive/, blocks/ and tenants/, which are before and behind: what all hosts are sent of
	 * every change is to be small.
	 */
	from = membership_key(&f->m, "changing", "");
	end = membership_key(&f->m, "tenants/", "");
	query = (struct etcd_query){ .key = key };
	if (etcd_range(f->etcd, &query, &cluster, err))
		return -1;
	ret = membership_check(&f->m, etcd_kvs_find(&cluster, key), &cluster.header, err);
	if (ret == 0)
		ret = membership_check_past(f->etcd, &f->m, cluster.header.revision, &forgotten,
					    err);
	f->is_older = ret == MEMBERSHIP_OLDER;
	if (ret ||
	    membership_changed(f->etcd, &f->m, cluster.header.revision, &f->changed, NULL, err) ||
	    begin_lease(f, err))
		return -1;
	heard_free(&f->heard);
	f->heard.all = f->has < f->changed;
	meet(f);
	all = (struct etcd_query){ .key = from,
				   .end = end,
				   .revision = cluster.header.revision + 1 };
	return etcd_watch_open(f->etcd, &all, &f->watch, err);
}

static void end(struct follower *f)
{
	etcd_watch_close(f->watch);
	etcd_close(f->etcd);
	f->watch = NULL;
	f->etcd = NULL;
	f->lease = 0;
}

/* Until it is over (0), or something fails. */
static int follow(struct follower *f, struct error *err)
{
	f->worked = false;
	if (begin(f, err))
		return -1;
	while (!is_over()) {
		if (hear(f, err) || keep_lease(f, err) || catch_up(f, err))
			return -1;
		write_meeting(f);
		if (f->told >= 0) {
			f->worked = true;
			f->pause = BACK_OFF;
			if (f->has >= f->changed)
				*f->trouble = 0;
		}
		tell(f, true);
		wait_for_something(f);
	}
	end_lease(f);
	return 0;
}

/* With something of chance, so that not all hosts come at once. */
static void pause_after_failure(struct follower *f)
{
	uint64_t until = clock_ms() + f->pause / 2 + (uint64_t)random() % (f->pause / 2);
	struct pollfd fds[] = { { .fd = interrupt_fd(), .events = POLLIN },
				{ .fd = STDOUT_FILENO } };

	poll(fds, ARRAY_SIZE(fds), clock_left(until));
	f->pause = f->pause * 2 < BACK_OFF_MAX ? f->pause * 2 : BACK_OFF_MAX;
}

int follower_run(const struct settings *settings, bool json, struct error *err)
{
	struct follower f = {
		.settings = settings, .json = json, .pause = BACK_OFF, .retry = BACK_OFF
	};
	int ret = read_state(&f, err) < 0 ? -1 : 0;

	srandom((unsigned int)getpid() ^ (unsigned int)time(NULL));
	interrupt_catch();
	while (ret == 0 && !is_over()) {
		struct error why = { 0 };

		if (follow(&f, &why)) {
			tell(&f, false);
			if (!interrupt_is_noted())
				log_trouble(&f, &why);
			end(&f);
			pause_after_failure(&f);
		} else {
			end(&f);
		}
	}
	json_decref(f.failed);
	json_decref(f.found);
	meeting_free(&f.meeting);
	heard_free(&f.heard);
	membership_free(&f.m);
	return ret;
}
