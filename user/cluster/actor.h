/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Of what one host does for all: whose turn it is. A key of etcd under a lease names the host; when
 * that is not heard of for the length of the lease, another one gets it. Who has it is asked before
 * each thing that is done, so that nobody goes on with it who was away for longer. What a process
 * that is dead had, the next one on its host has at once.
 */
#ifndef TN_ACTOR_H
#define TN_ACTOR_H

#include "cluster/etcd.h"
#include "cluster/membership.h"

/* Seconds: a host that is not heard of for so long has lost its turn. */
#define ACTOR_LEASE 30

/* All zero: not this host's turn, as far as it knows. */
struct actor {
	struct etcd *etcd; /* NULL: not connected */
	int64_t lease;	   /* 0: none */
	uint64_t keep_at;  /* milliseconds: then the lease is to be kept */
	bool acts;
};

/*
 * Whether it is this host's turn to do `what`, for the membership. 1: it is; 0: another host's, or
 * not yet known; -1: etcd cannot be asked, and it is nobody's here. To be called at least once in a
 * third of the lease.
 */
int actor_turn(struct actor *a, const struct membership *m, const char *what, struct error *err);
/* Another host may have it at once. */
void actor_end(struct actor *a);

#endif
