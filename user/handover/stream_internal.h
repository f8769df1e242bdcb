/* SPDX-License-Identifier: GPL-2.0-only */
/* The stream of flows as its files see it. Times are milliseconds of the monotonic clock. */
#ifndef TN_STREAM_INTERNAL_H
#define TN_STREAM_INTERNAL_H

#include <sys/stat.h>

#include "handover/delta.h"
#include "handover/handover.h"
#include "handover/link.h"
#include "handover/stream.h"
#include "observe/streamed.h"

/* A router that this host has, and others. All is the view's, or the same in `said`. */
struct shared_router {
	struct tenant *tenant;
	const struct router_row *row; /* NULL: it is not attached */
	bool standby;
	bool active;	   /* in the last round */
	bool untold;	   /* in this round: a host has not all of its flows yet */
	uint64_t farewell; /* until then a standby tells what is untold; 0: nothing is */
	bool warned;	   /* that nothing comes */
	uint64_t ino;	   /* of the map's pin: another one is empty */
	uint64_t ctime;
};

/* A router of which a host was told, on a connection. */
struct told_router {
	char tenant[TENANT_NAME_MAX + 1];
	struct delta delta;
	bool is_active; /* in this round */
};

/* A host that flows are handed to. */
struct outgoing {
	char name[HOST_NAME_MAX_LEN + 1];
	struct link *link; /* NULL: none */
	uint64_t again;	   /* not before */
	uint64_t pause;	   /* after the next failure */
	bool wanted;	   /* in this round */
	bool failed;	   /* and it was said */
	VEC(struct told_router) told;
	FILE *text; /* what it is told in this round; NULL: nothing */
	char *v;
	size_t size;
};

/* A router whose flows have come and could not be taken: they are to come again. */
struct lost {
	char tenant[TENANT_NAME_MAX + 1];
	bool later; /* when the definitions here have changed */
};

/* A connection that has come. */
struct incoming {
	struct stream *stream;
	struct link *link;
	VEC(struct lost) lost;
	size_t lines; /* in this second */
};

struct stream {
	const struct settings *settings;
	struct view view; /* of the kernel the shared subnets and the routers alone */
	struct tenants_by_id by_id;
	VEC(struct shared_router) routers; /* sorted by tenant */
	struct streamed said;		   /* the same routers in the same order */
	bool said_changed;
	struct peers peers;
	struct stat files[3]; /* state.db, its log, and `peers`, as they were read */
	uint64_t looked;      /* at the kernel */
	int listener;	      /* -1: none */
	int events;	      /* rtnetlink: addresses come and go; -1: this kernel does not tell */
	VEC(struct outgoing) out;
	VEC(struct incoming *) in;
	VEC(struct taken) taken; /* of the line that is being read, and those before */
	size_t turn;		 /* which router is the first in this round */
	uint64_t begun;		 /* when the last round did */
	uint64_t round;		 /* when the next begins */
	uint64_t written;	 /* `said` */
	uint64_t complained;	 /* of who is refused */
	char trouble[1024];	 /* that was logged last */
};

/* NULL: none, or none that several hosts have. */
struct shared_router *stream_router(struct stream *s, const char *tenant);
struct streamed_router *stream_said(struct stream *s, const struct shared_router *r);
bool stream_has_host(const struct shared_router *r, const char *host);
/* Once, however often it is met. */
void stream_trouble(struct stream *s, const char *text);

/* stream_send.c */

/* Tell all hosts what there is to be told of the routers that are active here. */
void stream_send(struct stream *s);
/* What has happened to a connection. */
void stream_run_out(struct stream *s, struct outgoing *o, short events);
void stream_end_out(struct stream *s);

/* stream_take.c */

void stream_accept(struct stream *s);
struct pollfd stream_poll_in(const struct incoming *in);
void stream_run_in(struct stream *s, struct incoming *in, short events);
/* Once a second: ask for what was lost, and end what is silent. `changed`: the definitions have. */
void stream_look_after_in(struct stream *s, bool changed);
/* What is ended is taken from the list. */
void stream_sweep_in(struct stream *s);
void stream_end_in(struct stream *s);
/* The map of that router is another one. */
void stream_lose(struct stream *s, const struct shared_router *r);

#endif
