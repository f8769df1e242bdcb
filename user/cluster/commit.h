/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A change of the cluster's definitions as transactions: from the keys that were read, with their
 * revisions, to those that are to be. Pure.
 *
 * A transaction is done only if every key that it writes is as it was read. Whoever changes
 * anything of a tenant (its definition, a mapping, an address of its router) writes the tenant's
 * key, and be it with the same value: so two changes of one tenant never pass each other, and a
 * fixed address or name is mapped once. An address has one owner because it is in one block.
 *
 * What fits is one transaction. What does not is several, and looks like this: first `changing` is
 * taken, under a lease, and `head` says who has begun what; nobody begins another change then, and
 * nobody converges. Then all is compared, and nothing written: what was changed meanwhile is found
 * here. Then additions are written, then removals, and in the end `head` without that. If
 * the writer dies between, `changing` goes with its lease, and what `head` says stays: the change
 * is unfinished, until an apply goes over it.
 */
#ifndef TN_COMMIT_H
#define TN_COMMIT_H

#include "cluster/keys.h"

/*
 * What etcd takes in one transaction, as it comes, and a size that is below its 1.5 MiB, with what
 * COMMIT_OP_BYTES has for an operation besides its key and value: the prefix of the key, too.
 */
#define COMMIT_OPS	128
#define COMMIT_BYTES	(1 << 20)
#define COMMIT_OP_BYTES 320

struct compare {
	char *key;
	int64_t revision;  /* mod_revision; 0: there is no such key */
	const char *value; /* not NULL: it is the value that counts; the commit's */
};

struct write {
	char *key;
	char *value; /* NULL: it is deleted */
	bool leased; /* goes with the lease of the change */
};

/* One transaction: all of the one hold, or nothing of the other is done. */
struct step {
	VEC(struct compare) compares;
	VEC(struct write) writes;
	size_t bytes;
};

struct commit {
	VEC(struct step) steps; /* none: nothing is to be changed */
	size_t checks;		/* of them, the first ones, before which nothing has changed */
	struct step undo;	/* when one of these does not hold; empty: not needed */
	char *changing;
};

void commit_free(struct commit *c);
#define _cleanup_commit_ _cleanup_(commit_free)

/* What a change is called. All is borrowed. */
struct commit_by {
	const char *host;
	const char *user;
	const char *command;
	int64_t at;	 /* seconds since 1970 */
	const char *run; /* of this one alone, among all changes of all hosts */
};

struct commit_what {
	/*
	 * As they were read, among them `cluster`, `network`, `head`, and the tenants of all
	 * mappings that change. Keys of other kinds are passed over.
	 */
	const struct entries *had;
	/* What `network`, the tenants and blocks are to be: those of `had` that are not here go. */
	const struct entries *will;
	bool whole; /* by `apply`: it counts in `head`, and goes over an unfinished change */
	struct commit_by by;
	const char *history; /* its line there, JSON; under the key history/RUN */
	size_t ops;	     /* 0: COMMIT_OPS */
	size_t bytes;	     /* 0: COMMIT_BYTES */
};

/* -1: a value of `had` or `will` is damaged, or one is too large. `out` is the caller's to free. */
int commit_plan(const struct commit_what *what, struct commit *out, struct error *err);

/* What `head` says. */
struct head {
	uint64_t changes; /* by `apply`, of all hosts */
	/* of one that was begun and has not ended; NULL: there is none. The caller's to free. */
	char *host, *user, *command;
	int64_t at;
};

void head_free(struct head *h);
#define _cleanup_head_ _cleanup_(head_free)
/* Of a list that was read; without the key, nothing has been changed yet. */
int head_read(const struct entries *e, struct head *out, struct error *err);
/* A sentence about a change that is unfinished, or is being made if `changing` is in the list.
 * NULL: there is none. The caller's to free. */
char *head_open_text(const struct entries *e, const struct head *h);

/*
 * What is not as it was read, of the keys that a commit compares, in words: "tenant red, addresses
 * 100.64.1.0 to 100.64.1.255". `now` has these keys as they are now. "": nothing. The caller's to
 * free.
 */
char *commit_conflict(const struct commit *c, const struct entries *now);
/* What it compares by revision, sorted by key, each once; borrowed. */
struct compared {
	VEC(const struct compare *) list;
};
void commit_compared(const struct commit *c, struct compared *out);

#endif
