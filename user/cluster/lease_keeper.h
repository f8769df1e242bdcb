/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lease that is kept alive by a thread of its own, so that it can be short: it ends soon after
 * its holder, and never while the holder waits for an answer.
 */
#ifndef TN_LEASE_KEEPER_H
#define TN_LEASE_KEEPER_H

#include <pthread.h>

#include "cluster/etcd.h"
#include "store/member.h"

struct lease_keeper {
	int64_t lease;	   /* 0: none */
	int64_t seconds;   /* that it lasts without being kept */
	struct etcd *etcd; /* the thread's own client */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool runs, over;
};

/* Take a lease of about so many seconds. `k` is zeroed before, and stays where it is. */
int lease_keeper_begin(struct lease_keeper *k, const struct membership *m, struct etcd *etcd,
		       int64_t seconds, struct error *err);
/* Give it back, with all that has it. Fine without one. */
void lease_keeper_end(struct lease_keeper *k, struct etcd *etcd);

#endif
