/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a host that listens to etcd has heard of changes since it followed last: by the lines in the
 * history it knows which tenants to ask for, however many there are. Pure.
 */
#ifndef TN_HEARD_H
#define TN_HEARD_H

#include "cluster/blocks.h"

/* A line that is about more of them names none. */
#define HEARD_MAX 50

struct heard {
	int64_t revision; /* of etcd, of the last change; 0: none was heard */
	char *change;	  /* its key, without history/ */
	/* the tenants of all of them, each once; without meaning if `all` */
	struct names tenants;
	bool all; /* it may be about anything */
};

void heard_free(struct heard *h);
/* A line of the history. One that names no tenants is about anything. */
void heard_change(struct heard *h, const char *change, const char *value, int64_t revision);
/* This host has what was heard, up to a revision. */
void heard_follow(struct heard *h, int64_t revision);

#endif
