/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A router here that may be elected: whether it is in order, and what makes it active, or not. It
 * is active while it has its address and is granted it (bpf/active.h). Both end by themselves: the
 * grant in the programs at once, the address by the kernel's own clock.
 */
#ifndef TN_POST_H
#define TN_POST_H

#include "dataplane/dataplane.h"
#include "model/model.h"

enum post_state {
	POST_READY,
	POST_BROKEN, /* programs are missing, which the agent puts back in a moment */
	POST_AWAY,
};

struct post {
	char *tenant;
	char *netns; /* as in struct router */
	uint32_t router;
	struct tn_addr own[FAMILIES]; /* unset: none */
	/* of its shared interface, as it was looked at last */
	uint64_t netns_dev, netns_ino;
	uint32_t ifindex;		/* 0: it has never been there */
	uint32_t inside[TN_INSIDE_MAX]; /* as in struct router_row */
	enum post_state state;
};

void post_clear(struct post *p);
/* By the definitions; without a place. */
void post_set(struct post *p, const struct tenant *t);
/* Whether what was made active for the one is what the other is about. */
bool post_same(const struct post *a, const struct post *b);

/* Look where it is, and how; `routers` are the rows of `dp`. NULL: nothing is attached. */
void post_look(struct post *p, struct dataplane *dp, const struct kernel_state *routers);

/*
 * Make it active until then, in milliseconds of CLOCK_BOOTTIME, or for longer than before. `first`:
 * it is not active yet. -1: it could not be; what was done of it is for post_stop().
 */
int post_start(const struct post *p, struct dataplane *dp, uint64_t until, bool first,
	       struct error *err);
/* Tell its VMs that their gateway is here now, which all of its hosts have. */
void post_announce(const struct post *p);
/* It is not any more; what is not there any more needs nothing. */
int post_stop(const struct post *p, struct dataplane *dp, struct error *err);

/* What a process that was killed has left to these routers. */
int post_clean(const struct model *m, struct dataplane *dp, struct error *err);

#endif
