/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hosts have handed over to each other of the flows of routers that several have, for `status`
 * and the metrics: the file `streamed` of the state's directory, kept by who streams
 * (handover/stream.h). Nothing depends on it.
 */
#ifndef TN_STREAMED_H
#define TN_STREAMED_H

#include "lib/error.h"
#include "lib/util.h"
#include "model/model.h"

/* Of one router. Times are milliseconds of the monotonic clock; 0: never. */
struct streamed_router {
	char tenant[TENANT_NAME_MAX + 1];
	bool standby;			  /* it takes, and does not hand over */
	char from[HOST_NAME_MAX_LEN + 1]; /* which host was heard last; "": none */
	uint64_t heard;			  /* when */
	uint64_t waits;			  /* a standby that has not been heard of: since when */
	uint64_t received;		  /* flows */
	uint64_t sent;			  /* flows, to all hosts */
	uint64_t unsent;		  /* that there is yet to be told of, by or to this host */
};

struct streamed {
	uint64_t at;	  /* when it was written */
	uint64_t refused; /* connections of who is no peer, or says nonsense */
	VEC(struct streamed_router) list;
};

enum {
	STREAMED_PAUSE = 10000,	 /* between two times that it is written, at the most */
	STREAMED_SILENT = 60000, /* a standby that nothing has come for so long is to be said */
};

void streamed_free(struct streamed *s);
#define _cleanup_streamed_ _cleanup_(streamed_free)

/* NULL: none of that tenant. */
const struct streamed_router *streamed_find(const struct streamed *s, const char *tenant);
/*
 * Milliseconds since a router was heard, or has waited in vain, at `now`: what is a moment old in a
 * file that is written now and then, is so still.
 */
uint64_t streamed_age(const struct streamed *s, const struct streamed_router *r, uint64_t now);

/* To and from the file, in the directory `state`. What cannot be read, or is of another boot: none.
 */
int streamed_write(const char *state, const struct streamed *s, struct error *err);
void streamed_read(const char *state, struct streamed *out);
/* This host is in no cluster any more. */
void streamed_forget(const char *state);

#endif
