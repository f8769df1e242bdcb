// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/lease_keeper.h"

#include <time.h>

#include "cluster/membership.h"

/* Milliseconds until it is tried again. */
#define AGAIN 300

/* True: it is over. */
static bool wait_for_end(struct lease_keeper *k, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&k->lock);
	while (!k->over && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
		;
	pthread_mutex_unlock(&k->lock);
	return k->over;
}

static void *keep(void *arg)
{
	struct lease_keeper *k = arg;
	int64_t pause = k->seconds * 1000 / 3;

	while (!wait_for_end(k, pause)) {
		struct error ignored = { 0 };

		/* that it is lost is found by whoever compares what has it */
		pause = etcd_lease_keep(k->etcd, k->lease, NULL, &ignored) ? AGAIN
									   : k->seconds * 1000 / 3;
	}
	return NULL;
}

static int start(struct lease_keeper *k, struct error *err)
{
	pthread_condattr_t attr;
	int ret;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->wake, &attr);
	ret = pthread_create(&k->thread, NULL, keep, k);
	k->runs = !ret;
	return ret ? error_set(err, "cannot start a thread: %s", strerror(ret)) : 0;
}

int lease_keeper_begin(struct lease_keeper *k, const struct membership *m, struct etcd *etcd,
		       int64_t seconds, struct error *err)
{
	k->seconds = seconds;
	if (membership_open(m, &k->etcd, err) ||
	    etcd_lease_grant(etcd, &k->seconds, &k->lease, err) || start(k, err)) {
		lease_keeper_end(k, etcd);
		return -1;
	}
	return 0;
}

void lease_keeper_end(struct lease_keeper *k, struct etcd *etcd)
{
	struct error ignored = { 0 };

	if (k->runs) {
		pthread_mutex_lock(&k->lock);
		k->over = true;
		pthread_cond_signal(&k->wake);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->thread, NULL);
		pthread_cond_destroy(&k->wake);
		pthread_mutex_destroy(&k->lock);
	}
	k->runs = false;
	if (k->lease)
		etcd_lease_revoke(etcd, k->lease, &ignored);
	k->lease = 0;
	etcd_close(k->etcd);
	k->etcd = NULL;
}
