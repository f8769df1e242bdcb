/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client of etcd (3.4 and later) by its JSON gateway (libcurl, jansson, GnuTLS). It knows nothing
 * of what the keys mean.
 *
 * A call waits: for each URL at most the time to connect and that of one request. URLs are tried in
 * order, from the one that answered last. What may be done twice is tried at the next URL; a
 * transaction only when the one before has certainly not begun it.
 *
 * Calls return 0, or -1 with an error, and etcd_fault() says of which kind. No error has a password
 * or a token in it. Keys are text without NUL; values are any bytes. All that is given out is the
 * caller's to free, as it says below. One client is for one thread.
 */
#ifndef TN_ETCD_H
#define TN_ETCD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"

/* etcd's own limits, as it comes: operations and bytes of one transaction (it takes 1.5 MiB). */
#define ETCD_TXN_OPS   128
#define ETCD_TXN_BYTES (1 << 20)
/* Of an answer, or of one line of a watch; more is an error. */
#define ETCD_ANSWER_MAX (32 << 20)

#define ETCD_CONNECT_MS 2000
#define ETCD_REQUEST_MS 5000

struct etcd;

/* What the last call that failed met. */
enum etcd_fault {
	ETCD_FINE,
	ETCD_UNREACHABLE,     /* no URL answers */
	ETCD_NO_QUORUM,	      /* some answer, and have no leader; nothing was changed */
	ETCD_UNKNOWN_OUTCOME, /* a transaction may have been done, or may still be: read again */
	ETCD_UNTRUSTED,	      /* TLS: the certificate of either side does not hold */
	ETCD_DENIED,	      /* user, password or permission */
	ETCD_COMPACTED,	      /* the revision is gone from the history */
	ETCD_FUTURE,	      /* the revision has not been yet: an older snapshot was restored */
	ETCD_OTHER_CLUSTER,   /* it is not the etcd cluster of the options */
	ETCD_NO_LEASE,	      /* there is no such lease (any more) */
	ETCD_TOO_LARGE,	      /* the request, or the answer */
	ETCD_FULL,	      /* etcd's quota of space is used up */
	ETCD_UNSUPPORTED,     /* an etcd before 3.4, or no etcd */
	ETCD_REFUSED,	      /* anything else that etcd says */
	ETCD_INTERRUPTED,     /* by a signal (lib/interrupt.h), before anything was changed */
};

/* All text is borrowed for the call of etcd_open(); NULL: not given. */
struct etcd_options {
	const char *urls;	 /* http://HOST[:PORT] or https://…, separated by commas */
	const char *ca;		 /* a PEM file; NULL: the system's */
	const char *cert;	 /* of this client, a PEM file; with `key` */
	const char *key;	 /* its private key, a PEM file */
	const char *user;	 /* with `password` */
	const char *password;	 /* */
	uint64_t cluster_id;	 /* of the etcd cluster that it has to be; 0: any */
	unsigned int connect_ms; /* 0: ETCD_CONNECT_MS */
	unsigned int request_ms; /* 0: ETCD_REQUEST_MS */
};

/*
 * Nothing is asked of the network yet. Wrong options and files that cannot be used are a usage
 * error. *out is the caller's to close; NULL after an error.
 */
int etcd_open(const struct etcd_options *options, struct etcd **out, struct error *err);
/* NULL is fine. Watches are to be closed before. */
void etcd_close(struct etcd *e);
static inline void etcd_cleanup(struct etcd **e)
{
	etcd_close(*e);
}
#define _cleanup_etcd_ _cleanup_(etcd_cleanup)

enum etcd_fault etcd_fault(const struct etcd *e);
/* Why the URL that failed last did, in a few words that do not name it; good until the next call.
 */
const char *etcd_why(const struct etcd *e);
/* Of ETCD_COMPACTED of a watch: the oldest revision that there is; else 0. */
int64_t etcd_compacted(const struct etcd *e);
/* The address of this host that the last answer came to; "" before. Good until the next call. */
const char *etcd_local_address(const struct etcd *e);
/* The URLs of the options, as they are used (with a port); good until etcd_close(). */
size_t etcd_urls(const struct etcd *e, const char *const **out);

/* Of every answer. */
struct etcd_header {
	uint64_t cluster_id;
	uint64_t member_id; /* of who has answered */
	int64_t revision;   /* of the store at that moment */
	uint64_t raft_term;
};

struct etcd_kv {
	char *key;
	char *value; /* NUL-terminated behind its size; empty when only keys were asked for */
	size_t size; /* bytes */
	int64_t create_revision;
	int64_t mod_revision;
	int64_t version; /* from 1; 0: of an event that deleted it */
	int64_t lease;	 /* 0: none */
};

struct etcd_kvs {
	struct etcd_header header; /* `revision` is that of all the keys */
	VEC(struct etcd_kv) list;  /* in the order of their bytes */
};

void etcd_kv_clear(struct etcd_kv *kv);
void etcd_kvs_free(struct etcd_kvs *kvs);
#define _cleanup_etcd_kvs_ _cleanup_(etcd_kvs_free)
/* NULL: there is none of that name. */
const struct etcd_kv *etcd_kvs_find(const struct etcd_kvs *kvs, const char *key);

/* The end of the range of all keys that begin with `prefix`; the caller's to free. */
char *etcd_prefix_end(const char *prefix);

struct etcd_query {
	const char *key;
	const char *end;  /* the first key that is not meant; NULL: `key` alone */
	int64_t revision; /* as it was then; 0: as it is now */
	bool keys_only;
	bool newest;	   /* of them all, the one that was changed last */
	unsigned int page; /* keys of one request at most; 0: 256 */
	int64_t since;	   /* only what was changed at this revision or later; 0: all */
};

/*
 * Read them, page by page, all of one revision. A page that is too large is asked for again in
 * smaller ones. `each` may take what is in `kv` (and set it to NULL); -1 of it ends the call with
 * its error. `header` may be NULL.
 */
typedef int (*etcd_each)(void *arg, struct etcd_kv *kv, struct error *err);
int etcd_range_each(struct etcd *e, const struct etcd_query *query, etcd_each each, void *arg,
		    struct etcd_header *header, struct error *err);
/* The same into a list; *out is the caller's to free, and empty after an error. */
int etcd_range(struct etcd *e, const struct etcd_query *query, struct etcd_kvs *out,
	       struct error *err);

/*
 * In one request at most `page` of them; *total is how many there are without `since`. 1: there
 * are more; 0: these are all; -1: an error. *out is the caller's to free.
 */
int etcd_range_page(struct etcd *e, const struct etcd_query *query, struct etcd_kvs *out,
		    int64_t *total, struct error *err);

/* A transaction while it is made; zeroed is empty. All is copied. */
struct etcd_txn {
	json_t *compare; /* NULL: none */
	json_t *success; /* NULL: none */
	size_t bytes;	 /* of it, as etcd counts them, and not less */
};

void etcd_txn_free(struct etcd_txn *t);
#define _cleanup_etcd_txn_ _cleanup_(etcd_txn_free)

/* What has to hold for it to be done at all. mod_revision 0: the key does not exist. */
void etcd_txn_if_mod(struct etcd_txn *t, const char *key, int64_t mod_revision);
void etcd_txn_if_absent(struct etcd_txn *t, const char *key);
void etcd_txn_if_value(struct etcd_txn *t, const char *key, const void *value, size_t size);
/* What it does; no key twice. `lease` 0: none. */
void etcd_txn_put(struct etcd_txn *t, const char *key, const void *value, size_t size,
		  int64_t lease);
/* `end` NULL: that key alone. */
void etcd_txn_delete(struct etcd_txn *t, const char *key, const char *end);
/* As ETCD_TXN_OPS counts them: the compares, or what it does, whichever are more. */
size_t etcd_txn_ops(const struct etcd_txn *t);

struct etcd_outcome {
	struct etcd_header header; /* `revision` is that of the change, if it was done */
	bool succeeded;		   /* all held, and it was done; else nothing was */
};

int etcd_txn_commit(struct etcd *e, const struct etcd_txn *t, struct etcd_outcome *out,
		    struct error *err);

/* `seconds` is what is asked for, and then what etcd has given. */
int etcd_lease_grant(struct etcd *e, int64_t *seconds, int64_t *lease, struct error *err);
/* Once; what is left is in *seconds then (NULL: not asked for). ETCD_NO_LEASE: it is over. */
int etcd_lease_keep(struct etcd *e, int64_t lease, int64_t *seconds, struct error *err);
/* With all keys that have it. One that is gone already is no error. */
int etcd_lease_revoke(struct etcd *e, int64_t lease, struct error *err);

/* One member, as it says of itself; no user is needed. */
struct etcd_status {
	struct etcd_header header;
	char *version;
	uint64_t leader; /* the id of the member; 0: it knows none */
	uint64_t raft_index;
	int64_t db_size; /* bytes */
	char *alarms;	 /* what is wrong with it, for people; NULL: nothing */
};

void etcd_status_free(struct etcd_status *s);
#define _cleanup_etcd_status_ _cleanup_(etcd_status_free)
/* Of this URL alone, which need not be one of the options; NULL: of any that answers. */
int etcd_status(struct etcd *e, const char *url, struct etcd_status *out, struct error *err);

struct etcd_member {
	uint64_t id;
	char *name;	  /* "": it has not started yet */
	bool learner;	  /* has no vote */
	VEC(char *) urls; /* where clients are to find it, as it says */
};

struct etcd_members {
	struct etcd_header header; /* `revision` is 0 */
	VEC(struct etcd_member) list;
};

void etcd_members_free(struct etcd_members *m);
#define _cleanup_etcd_members_ _cleanup_(etcd_members_free)
int etcd_members(struct etcd *e, struct etcd_members *out, struct error *err);

/*
 * A watch: a stream that a loop waits for, beside others. It ends with the first error; to begin
 * another, and when, is the caller's decision (it goes to the next URL when this one was at fault).
 */
struct etcd_watch;

struct etcd_event {
	bool deleted; /* else it was put; then only key and mod_revision say something */
	struct etcd_kv kv;
};

struct etcd_events {
	struct etcd_header header;
	/* In the order of their mod_revision. None: the watch has begun, or goes on. */
	VEC(struct etcd_event) list;
	bool more; /* some of the last revision may come with the next ones */
};

void etcd_events_free(struct etcd_events *events);
#define _cleanup_etcd_events_ _cleanup_(etcd_events_free)

/*
 * Watch keys (`page` and `keys_only` do not count) from `query->revision` on, that included; 0:
 * from now on. Waits for a user's token only. *out is the caller's to close, NULL after an error.
 */
int etcd_watch_open(struct etcd *e, const struct etcd_query *query, struct etcd_watch **out,
		    struct error *err);
void etcd_watch_close(struct etcd_watch *w);
static inline void etcd_watch_cleanup(struct etcd_watch **w)
{
	etcd_watch_close(*w);
}
#define _cleanup_etcd_watch_ _cleanup_(etcd_watch_cleanup)

/* Readable (poll) when there is something for etcd_watch_next(); not to be closed. */
int etcd_watch_fd(const struct etcd_watch *w);
/* Milliseconds until etcd_watch_next() is to be called anyway; -1: only when it is readable. */
int64_t etcd_watch_wait(const struct etcd_watch *w);
/*
 * Waits for nothing. 1: *out has what came, the caller's to free; call again. 0: nothing more now.
 * -1: the watch has ended.
 */
int etcd_watch_next(struct etcd_watch *w, struct etcd_events *out, struct error *err);

#endif
