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
 * The definitions in force, sorted (model_sort), all of one moment; *out is the
 * caller's to free, and empty after an error. Within an open transaction: what
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
	int64_t at;    /* seconds since 1970, UTC */
	uint32_t uid;  /* of the process */
	char *user;    /* its name, and who it is by sudo */
	char *command; /* as it was called */
	VEC(struct history_line) lines;
	size_t more; /* lines that were not kept */
};

struct history {
	VEC(struct history_change) list; /* the newest last */
};

void history_change_clear(struct history_change *c);
void history_free(struct history *h);
#define _cleanup_history_ _cleanup_(history_free)

/* Changes that are kept, and lines of each. */
#define HISTORY_MAX	  10000
#define HISTORY_LINES_MAX 1000

/*
 * Note a change in the open transaction, so that it is there if and only if that is committed;
 * after an error it is rolled back. What is older than HISTORY_MAX changes goes.
 */
int store_note(struct store *store, const struct history_change *c, struct error *err);
/* The last `n` changes; the caller's to free, and empty after an error. */
int store_history(struct store *store, size_t n, struct history *out, struct error *err);

/* After an error the transaction is rolled back. Both do nothing when there is none. */
int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);

#endif
