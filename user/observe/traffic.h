/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tenants' routers have carried and dropped, at several moments: what `status` needs to say
 * what the last minute was like. The agent keeps the moments, in the file `traffic` of the state's
 * directory; nothing depends on it.
 */
#ifndef TN_TRAFFIC_H
#define TN_TRAFFIC_H

#include "dataplane/dataplane.h"

struct tenant_traffic {
	char tenant[TENANT_NAME_MAX + 1];
	struct tn_counters counters; /* of all of its mappings */
	uint64_t dropped;	     /* packets, for any reason */
	uint64_t spoofed;	     /* of these, as spoofed-source */
};

/* Sorted by tenant: those whose routers are attached. */
struct traffic {
	uint64_t at; /* milliseconds of the monotonic clock */
	VEC(struct tenant_traffic) list;
};

void traffic_free(struct traffic *t);
#define _cleanup_traffic_ _cleanup_(traffic_free)

/* Now, by what was read of the maps. What cannot be read is zero. */
void traffic_read(struct dataplane *dp, const struct kernel_state *kernel, struct traffic *out);

/* Mappings to whose VMs packets went, and from which none came, since they are counted. */
struct silent {
	size_t n;
	struct tn_addr fixed; /* of the one that was sent most, */
	uint64_t packets;     /* so many */
};

/* Of the router. All zero: there are none. */
struct silent traffic_silent(struct dataplane *dp, const struct kernel_state *kernel,
			     uint32_t router);

/*
 * What a tenant carried and dropped from `then` to `now`; `then` NULL: since it is counted. What
 * has been counted anew in between counts from there. All zero: it is in neither.
 */
struct tenant_traffic traffic_between(const struct traffic *then, const struct traffic *now,
				      const char *tenant);

/* Moments, the oldest first. */
struct traffic_log {
	VEC(struct traffic) list;
};

enum {
	TRAFFIC_PAUSE = 10000,	/* milliseconds between two moments, at least */
	TRAFFIC_MOMENTS = 8,	/* that are kept */
	TRAFFIC_MINUTE = 60000, /* what is to be looked back */
	TRAFFIC_OLD = 300000,	/* what says nothing of the last minute any more */
};

void traffic_log_free(struct traffic_log *log);
#define _cleanup_traffic_log_ _cleanup_(traffic_log_free)

/* Whether it is time for the next. */
bool traffic_log_is_due(const struct traffic_log *log, uint64_t now);
/* Takes what is in `t`, and forgets the oldest. */
void traffic_log_add(struct traffic_log *log, struct traffic *t);
/* The moment that is nearest to a minute before `now`; NULL: there is none that tells. */
const struct traffic *traffic_log_minute(const struct traffic_log *log, uint64_t now);

/* To and from the file, in the directory `state`. What cannot be read, or is of another boot: none.
 */
int traffic_log_write(const char *state, const struct traffic_log *log, struct error *err);
void traffic_log_read(const char *state, struct traffic_log *log);

#endif
