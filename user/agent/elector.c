// SPDX-License-Identifier: GPL-2.0-only
#include "agent/elector_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/output.h"
#include "observe/elections.h"

/* Of etcd, in milliseconds: a member that does not answer must not cost what is granted. */
enum { CONNECT = 1000, REQUEST = 1500 };

/* ---------------------------------------------------------------- what etcd says */

static void end_watch(struct elector *x)
{
	etcd_watch_close(x->heard);
	x->heard = NULL;
}

static void fail(struct elector *x, struct seat *seat, const struct error *err)
{
	end_watch(x);
	x->connected = false;
	election_failed(&x->e, seat, clock_boot_ms());
	if (!interrupt_is_noted())
		elector_log_trouble(x, NULL, err);
}

/* It is not the cluster that this host is in: nothing is done there, nor held. */
static void refuse(struct elector *x, const struct error *err)
{
	fail(x, NULL, err);
	election_expired(&x->e);
	x->e.ask_at = clock_boot_ms() + REFUSED;
}

static void fail_or_refuse(struct elector *x, const struct error *err)
{
	if (etcd_fault(x->etcd) == ETCD_FINE || etcd_fault(x->etcd) == ETCD_OTHER_CLUSTER)
		refuse(x, err);
	else
		fail(x, NULL, err);
}

static void see_revision(struct elector *x, int64_t revision)
{
	if (revision > x->m.revision)
		x->m.revision = revision;
}

/* *revision is that of the answer. */
static int check_cluster(struct elector *x, int64_t *revision, struct error *err)
{
	_cleanup_free_ char *key = membership_key(&x->m, "cluster", "");
	_cleanup_etcd_kvs_ struct etcd_kvs cluster = { 0 };
	struct etcd_query query = { .key = key };
	bool forgotten;

	if (etcd_range(x->etcd, &query, &cluster, err) ||
	    membership_check(&x->m, etcd_kvs_find(&cluster, key), &cluster.header, err) ||
	    membership_check_past(x->etcd, &x->m, cluster.header.revision, &forgotten, err) ||
	    membership_check_host(x->etcd, &x->m, cluster.header.revision, &x->host_mod, err))
		return -1;
	*revision = cluster.header.revision;
	see_revision(x, *revision);
	x->check_at = clock_boot_ms() + CHECK;
	return 0;
}

static struct seat *seat_of(struct elector *x, const char *key)
{
	size_t n = strlen(x->m.prefix) + 1 + strlen(KEY_ACTIVE);

	vec_each (s, &x->e.seats) {
		if (strlen(key) > n && strcmp(s->tenant, key + n) == 0)
			return s;
	}
	return NULL;
}

static void take_key(struct elector *x, const struct etcd_kv *kv, bool deleted)
{
	_cleanup_json_ json_t *value = deleted ? NULL : json_loads(kv->value, 0, NULL);
	const char *id = json_string_value(json_object_get(value, "id"));
	struct seat_news news = {
		.revision = kv->mod_revision,
		/* one without a lease is somebody's all the same */
		.lease = deleted     ? 0
			 : kv->lease ? kv->lease
				     : -1,
		.mine = id && strcmp(id, x->machine) == 0,
		.holder = json_string_value(json_object_get(value, "host")),
		.since = json_integer_value(json_object_get(value, "since")),
	};
	struct seat *seat = seat_of(x, kv->key);

	if (!news.holder)
		news.holder = "(unknown)";
	if (seat)
		election_hear(&x->e, seat, &news);
}

static int read_keys(struct elector *x, struct error *err)
{
	_cleanup_free_ char *from = membership_key(&x->m, KEY_ACTIVE, ""),
			    *end = etcd_prefix_end(from);
	_cleanup_etcd_kvs_ struct etcd_kvs keys = { 0 };
	struct etcd_query query = { .key = from, .end = end };

	end_watch(x);
	if (check_cluster(x, &query.revision, err) || etcd_range(x->etcd, &query, &keys, err))
		return -1;
	election_read_begin(&x->e);
	vec_each (kv, &keys.list)
		take_key(x, kv, false);
	election_read_end(&x->e, query.revision);
	query.revision++;
	return etcd_watch_open(x->etcd, &query, &x->heard, err);
}

static void hear(struct elector *x)
{
	struct error err = { 0 };
	int ret = 1;

	while (x->heard && ret > 0) {
		_cleanup_etcd_events_ struct etcd_events events = { 0 };

		ret = etcd_watch_next(x->heard, &events, &err);
		vec_each (event, &events.list)
			take_key(x, &event->kv, event->deleted);
		see_revision(x, events.header.revision);
	}
	if (ret < 0)
		fail(x, NULL, &err);
}

/* ---------------------------------------------------------------- steps */

static void do_read(struct elector *x)
{
	struct error err = { 0 };

	if (read_keys(x, &err)) {
		fail_or_refuse(x, &err);
		return;
	}
	x->connected = true;
	*x->trouble = 0;
}

static void do_grant(struct elector *x)
{
	int64_t seconds = ELECTION_TTL, lease;
	uint64_t sent = clock_boot_ms();
	struct error err = { 0 };

	if (etcd_lease_grant(x->etcd, &seconds, &lease, &err))
		fail_or_refuse(x, &err);
	else
		election_granted(&x->e, lease, (uint64_t)seconds * 1000, sent);
}

static void do_keep(struct elector *x)
{
	uint64_t sent = clock_boot_ms();
	struct error err = { 0 };
	int64_t seconds, revision;

	if (sent >= x->check_at && check_cluster(x, &revision, &err)) {
		fail_or_refuse(x, &err);
		return;
	}
	sent = clock_boot_ms();
	if (etcd_lease_keep(x->etcd, x->e.lease, &seconds, &err) == 0) {
		if ((uint64_t)seconds * 1000 < x->e.ttl)
			x->e.ttl = (uint64_t)seconds * 1000;
		election_kept(&x->e, sent);
		x->connected = true;
	} else if (etcd_fault(x->etcd) == ETCD_NO_LEASE) {
		election_expired(&x->e);
	} else {
		fail_or_refuse(x, &err);
	}
}

static void do_release(struct elector *x, struct seat *seat)
{
	_cleanup_free_ char *key = membership_key(&x->m, KEY_ACTIVE, seat->tenant);
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	struct etcd_outcome out;
	struct error err = { 0 };

	etcd_txn_if_mod(&t, key, seat->revision);
	etcd_txn_delete(&t, key, NULL);
	if (etcd_txn_commit(x->etcd, &t, &out, &err))
		fail(x, seat, &err);
	else if (out.succeeded)
		election_released(seat, out.header.revision);
	else
		election_failed(&x->e, seat, clock_boot_ms());
}

static void do_claim(struct elector *x, struct seat *seat)
{
	_cleanup_free_ char *key = membership_key(&x->m, KEY_ACTIVE, seat->tenant);
	_cleanup_free_ char *host = membership_key(&x->m, "hosts/", x->m.host);
	int64_t since = time(NULL);
	_cleanup_json_ json_t *json = json_pack("{ss ss sI}", "host", x->m.host, "id", x->machine,
						"since", (json_int_t)since);
	_cleanup_free_ char *value = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_etcd_txn_ struct etcd_txn t = { 0 };
	struct etcd_outcome out;
	struct error err = { 0 };

	/* one that was taken out of the cluster is not to be elected */
	etcd_txn_if_mod(&t, host, x->host_mod);
	etcd_txn_if_absent(&t, key);
	etcd_txn_put(&t, key, value, strlen(value), x->e.lease);
	if (etcd_txn_commit(x->etcd, &t, &out, &err))
		fail(x, seat, &err);
	else if (out.succeeded)
		election_claimed(seat, out.header.revision, x->m.host, since);
	else
		election_failed(&x->e, seat, 0); /* read who was faster, at once */
}

static const char *why_stopped(const struct elector *x, const struct seat *seat)
{
	if (!seat->defined)
		return "the definitions say so";
	if (!seat->wanted)
		return "its router is not in order here";
	if (!x->e.lease)
		return "etcd has ended its lease, or is another cluster";
	return seat->key == SEAT_OURS ? "etcd has not answered in time"
				      : "its key in etcd is not there any more";
}

static void do_start(struct elector *x, struct seat *seat)
{
	const struct post *p = POST(x->posts, seat->tenant);
	struct post *was = POST(x->started, seat->tenant);
	uint64_t until = x->e.until;
	struct error err = { 0 };

	if (p && post_start(p, x->dp, until, !seat->active, &err) == 0) {
		if (!was) {
			was = vec_push(&x->started);
			*was = *p;
			was->tenant = xstrdup(p->tenant);
			was->netns = p->netns ? xstrdup(p->netns) : NULL;
		}
		if (!seat->active) {
			log_about(LOG_NOTICE, seat->tenant, "active",
				  "tenant %s: this host is elected, and active now", seat->tenant);
			post_announce(p);
		}
		election_started(seat, until);
		return;
	}
	elector_log_trouble(x, seat->tenant, &err);
	if (p && !seat->active)
		post_stop(p, x->dp, &err);
	election_spoiled(seat, clock_boot_ms());
	x->look_at = 0;
}

static void do_step(struct elector *x, enum election_step step, struct seat *seat)
{
	switch (step) {
	case STEP_STOP:
		elector_stop_post(x, seat, why_stopped(x, seat));
		break;
	case STEP_START:
		do_start(x, seat);
		break;
	case STEP_READ:
		do_read(x);
		break;
	case STEP_GRANT:
		do_grant(x);
		break;
	case STEP_KEEP:
		do_keep(x);
		break;
	case STEP_RELEASE:
		do_release(x, seat);
		break;
	case STEP_CLAIM:
		do_claim(x, seat);
		break;
	case STEP_NONE:
		break;
	}
}

/* ---------------------------------------------------------------- the process */

/* By the clock of the deadlines: it rings at once when the machine comes back from a suspend. */
static void set_timer(const struct elector *x)
{
	uint64_t due = election_due(&x->e);
	struct itimerspec at = { 0 };

	if (due != UINT64_MAX)
		at.it_value = (struct timespec){ .tv_sec = (time_t)(due / 1000),
						 .tv_nsec = (long)(due % 1000) * 1000000 + 1 };
	timerfd_settime(x->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void wait_for_something(struct elector *x)
{
	struct pollfd fds[] = { { .fd = watch_fd(x->watch), .events = POLLIN },
				{ .fd = interrupt_fd(), .events = POLLIN },
				{ .fd = x->timer, .events = POLLIN },
				{ .fd = x->heard ? etcd_watch_fd(x->heard) : -1, .events = POLLIN },
				{ .fd = STDOUT_FILENO } };
	int64_t wait = x->heard ? etcd_watch_wait(x->heard) : -1, looks = clock_left(x->look_at);

	set_timer(x);
	poll(fds, ARRAY_SIZE(fds), (int)(wait < 0 || looks < wait ? looks : wait));
	if (watch_read(x->watch) && x->look_at > clock_ms() + LOOK)
		x->look_at = clock_ms() + LOOK;
}

static int lock(struct elector *x, struct error *err)
{
	char path[PATH_MAX];

	elections_lock(x->settings->state, path);
	x->lock = file_open(path, O_RDWR | O_CREAT, err);
	if (x->lock < 0)
		return -1;
	if (flock(x->lock, LOCK_EX | LOCK_NB))
		return error_set(err,
				 "process %d does the elections for %s already, or has not ended "
				 "yet; look what it waits for",
				 (int)file_holder(path), x->settings->state);
	file_have(x->lock);
	return 0;
}

/* A process that was killed before this one is not active any more from here on. */
static int clean(struct elector *x, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	_cleanup_model_ struct model m = { 0 };

	if (store_open(x->settings->state, STORE_READ, 0, x->settings->command, &store, err))
		return -1;
	if (store_member(store, &x->m, err) || store_load(store, &m, err) || lock(x, err) ||
	    dataplane_open(x->settings->bpffs, &x->dp, err))
		return -1;
	return post_clean(&m, x->dp, err);
}

static int begin(struct elector *x, struct error *err)
{
	if (clean(x, err) || membership_machine(x->machine, err) ||
	    membership_open_within(&x->m, CONNECT, REQUEST, &x->etcd, err) ||
	    watch_open(x->settings->state, &x->watch, err))
		return -1;
	x->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return x->timer < 0 ? error_set(err, "cannot wait for CLOCK_BOOTTIME: %m") : 0;
}

/* First it is active no more; then the others may know it at once. */
static void give_up(struct elector *x)
{
	struct error err = { 0 };

	vec_each (s, &x->e.seats) {
		if (s->active)
			elector_stop_post(x, s, "this process ends");
	}
	if (!x->e.lease || !x->connected)
		return;
	interrupt_hold(true);
	etcd_lease_revoke(x->etcd, x->e.lease, &err);
	interrupt_hold(false);
}

static void elector_free(struct elector *x)
{
	end_watch(x);
	etcd_close(x->etcd);
	if (x->watch)
		watch_close(x->watch);
	dataplane_close(x->dp);
	election_free(&x->e);
	posts_forget(x->posts.v, x->posts.n);
	vec_free(&x->posts);
	posts_forget(x->started.v, x->started.n);
	vec_free(&x->started);
	membership_free(&x->m);
	close_cleanup(&x->lock);
	close_cleanup(&x->timer);
	free(x->told);
}

int elector_run(const struct settings *settings, bool json, struct error *err)
{
	_cleanup_(elector_free) struct elector x = {
		.settings = settings, .json = json, .lock = -1, .timer = -1
	};

	interrupt_catch();
	if (begin(&x, err))
		return -1;
	while (!interrupt_is_noted() && !output_has_nobody()) {
		enum election_step step;
		struct seat *seat;

		elector_look_around(&x);
		hear(&x);
		step = election_next(&x.e, clock_boot_ms(), &seat);
		do_step(&x, step, seat);
		if (step != STEP_NONE)
			continue;
		elector_tell(&x);
		wait_for_something(&x);
	}
	give_up(&x);
	return 0;
}
