/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hosts of the cluster as whoever streams flows has to know them (handover/peers.h): read of
 * etcd by who follows the cluster, and kept in a file for when etcd is away.
 */
#ifndef TN_MEETING_H
#define TN_MEETING_H

#include "cluster/membership.h"
#include "handover/peers.h"

/* All zero at the beginning. */
struct meeting {
	struct peers all;   /* whoever can be reached; not sorted */
	VEC(char *) wanted; /* hosts with routers that this host has, too */
	struct peers known; /* what is in the file; all zero: it is not known */
	bool is_read;	    /* `all` is what etcd has */
	bool said;	    /* that this host cannot be reached */
};

void meeting_free(struct meeting *m);

/* Read all of etcd, and tell there where this host is reached. -1: an error, which ends nothing
 * else. */
int meeting_read(struct meeting *m, struct etcd *e, const struct membership *in, struct error *err);
/* What has changed in etcd. True: all is to be read anew. */
bool meeting_hear(struct meeting *m, const struct membership *in, const struct etcd_event *event);
/* The definitions that this host has. */
void meeting_want(struct meeting *m, const struct model *model);
/* Write the file, if it is to say something else. */
int meeting_write(struct meeting *m, const char *state, struct error *err);

#endif
