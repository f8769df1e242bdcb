/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until the hosts that a change of the cluster concerns have it. */
#ifndef TN_CLUSTER_WAIT_H
#define TN_CLUSTER_WAIT_H

#include "cluster/concern.h"
#include "cluster/overview.h"
#include "cluster/session.h"
#include "lib/settings.h"

struct waited_host {
	char *name;
	enum host_state state; /* HOST_FAILED: of a tenant that was changed */
	char *tenant;	       /* HOST_FAILED: that one */
};

struct waited {
	VEC(struct waited_host) list; /* by name */
};

void waited_free(struct waited *w);
#define _cleanup_waited_ _cleanup_(waited_free)

/* What is waited for. */
struct waiting {
	struct concern concern;
	int64_t revision; /* of the change; 0: the last one that there was */
	bool is_here;	  /* this host has it already */
};

void waiting_free(struct waiting *w);
#define _cleanup_waiting_ _cleanup_(waiting_free)

/*
 * Look at what the hosts say of themselves until all have it, or `settings->wait` seconds are over:
 * then -1, with a sentence that names those that have it not. `out` is the caller's to free, also
 * after that. `s` is as it was after this host was made what the change says.
 */
int cluster_wait(struct session *s, const struct settings *settings, struct waiting *w,
		 struct waited *out, struct error *err);
/* [{"name", "state"}] */
json_t *waited_json(const struct waited *w);

#endif
