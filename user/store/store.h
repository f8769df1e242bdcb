/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * state.db: the definitions in force and the leases, in SQLite (WAL). It is the
 * truth that the kernel's maps are rebuilt from. There is one writer at a time: it
 * holds an flock(2) on `lock` in the same directory from open to close, which the
 * kernel drops when the process dies. A reader takes no lock and never waits: it
 * sees what was committed last. To look inside: sqlite3 state.db, and there the
 * view `mapping_text`.
 */
#ifndef TN_STORE_H
#define TN_STORE_H

#include <sys/types.h>

#include "lib/error.h"
#include "model/model.h"

struct store;

enum store_mode {
	STORE_READ,  /* never creates anything; no state is an empty model */
	STORE_WRITE, /* creates directory (0700) and state (0600); takes the lock */
};

/*
 * Open the state in directory `dir`. Its parent has to exist, and only root or we
 * may be able to write to it. A writer waits at most `wait` seconds for
 * the lock (0: not at all); the error names the process that holds it. `holder`
 * is what that error will say about us to others ("apply"). A state of a newer
 * schema is refused, an older one migrated. *out is the caller's to close; NULL
 * after an error.
 */
int store_open(const char *dir, enum store_mode mode, unsigned int wait, const char *holder,
	       struct store **out, struct error *err);
/* Whether there is a state in that directory. */
bool store_exists(const char *dir);
/*
 * The process that has the lock of a writer in that directory; 0: none, or it cannot be told. Not
 * to be asked while this process has it, which then would lose it.
 */
pid_t store_holder(const char *dir);
/* Rolls back what was not committed, and lets go of the lock. NULL is fine. */
void store_close(struct store *store);
static inline void store_cleanup(struct store **store)
{
	store_close(*store);
}
#define _cleanup_store_ _cleanup_(store_cleanup)

/*
 * The definitions in force, sorted (model_sort), all of one moment, located (model_locate) on this
 * host; *out is the caller's to free, and empty after an error. Within an open transaction: what
 * that will commit.
 */
int store_load(struct store *store, struct model *out, struct error *err);

/*
 * What a change of one mapping can have to do with, so that not all of them have to be read. The
 * strings are borrowed.
 */
struct window {
	const char *tenant;
	struct tn_addr fixed;  /* unset: not by it */
	const char *name;      /* or a fixed address as text; NULL: not by it */
	struct tn_addr shared; /* whoever has that, of any tenant; unset: not by it */
};

/*
 * The same, but of mappings only these: those of the window, the first two IPv4 ones of its tenant
 * (so that one is left when another goes) and the first GROUPS_MAX + 2 IPv6 ones (so that with
 * fewer all are seen, and with more that it is more), and all that rules name.
 */
int store_load_part(struct store *store, const struct window *w, struct model *out,
		    struct error *err);
/*
 * Add to `out` the leased addresses from `from` on that follow one another without a gap, `n` at
 * most. None when `from` itself is nobody's.
 */
int store_leases(struct store *store, const struct tn_addr *from, size_t n, struct addr_list *out,
		 struct error *err);

/*
 * Make the stored definitions those of `want`, in one transaction that stays
 * open until store_commit() or store_rollback(); after an error it is rolled
 * back already. `have` is what store_load() gave; only what differs is written.
 * Both are sorted; every tenant of `want` has an id, every router an id, every
 * mapping a shared address. A tenant whose id changed is another tenant.
 */
int store_save(struct store *store, const struct model *have, const struct model *want,
	       struct error *err);

/* One line of a change, as the plan has it. */
struct history_line {
	char sign; /* '+', '~' or '-' */
	char *text;
};

/* A change that was committed: who made what of the definitions, and when. */
struct history_change {
	uint64_t id;   /* from 1, in the order of time; store_note() gives it */
	int64_t at;    /* seconds since 1970, UTC */
	uint32_t uid;  /* of the process */
	char *user;    /* its name, and who it is by sudo */
	char *command; /* as it was called */
	/* lines of its plan, also those that are not in `lines` */
	uint64_t added;
	uint64_t changed;
	uint64_t removed;
	uint64_t kept;			/* of these, the first ones, which can still be read */
	VEC(struct history_line) lines; /* the first of these, as many as were asked for */
	bool undoable;			/* store_go_back() can go back to before it */
};

struct history {
	VEC(struct history_change) list; /* the newest last */
};

void history_change_clear(struct history_change *c);
/* Lines of its plan. */
uint64_t history_change_all(const struct history_change *c);
void history_free(struct history *h);
#define _cleanup_history_ _cleanup_(history_free)

/*
 * What is kept: changes, lines of each, lines of all, and bytes (compressed) of what was in force
 * before them. Of what is more, the oldest goes first. Lines that go leave the change itself; with
 * what was before a change, all changes up to it cannot be undone any more.
 */
#define HISTORY_MAX	  10000
#define HISTORY_LINES_MAX 20000
#define HISTORY_LINES_ALL 200000
#define HISTORY_BYTES_MAX (32 << 20)

/*
 * Note a change from `had` to `will`, which store_save() has written, in the open transaction, so
 * that it is there if and only if that is committed; after an error it is rolled back.
 */
int store_note(struct store *store, const struct history_change *c, const struct model *had,
	       const struct model *will, struct error *err);
/* The last `n` changes, with `lines` lines of each at most; the caller's to free, and empty after
 * an error. */
int store_history(struct store *store, size_t n, size_t lines, struct history *out,
		  struct error *err);
/* The change with that id; a usage error when there is none. */
int store_history_one(struct store *store, uint64_t id, size_t lines, struct history *out,
		      struct error *err);

/*
 * Make of `m`, the definitions in force, those that were in force before the change `*id`; 0: the
 * last one that changed the definitions, whose id is there then. They have the ids and leases of
 * that time. -1 with a usage error: there is no such change, or it is too old; `m` is good for
 * nothing then but to be freed.
 */
int store_go_back(struct store *store, uint64_t *id, struct model *m, struct error *err);

/* After an error the transaction is rolled back. Both do nothing when there is none. */
int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);

#endif
