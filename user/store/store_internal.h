/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of store/ share, and nobody else sees: an open store, its errors, the lock and the
 * schema. The statements are in query.h.
 */
#ifndef TN_STORE_INTERNAL_H
#define TN_STORE_INTERNAL_H

#include "store/query.h"
#include "store/store.h"

struct store {
	sqlite3 *db; /* NULL: there is no state yet */
	sqlite3_stmt *statements[QUERIES_COUNT];
	char *dir;
	char *file;
	int lock;      /* -1: a reader */
	int read_lock; /* of a reader that no writer may disturb; -1: none */
	char *aside;   /* the directory of the copy that is read; NULL: none */
};

/* store_error.c: each sets an error that says what to do, and returns -1. */

/* Of errno: "cannot DOING PATH: …". */
int system_error(struct error *err, const char *doing, const char *path);
/* The file is not what we wrote; `what` says in which way. */
int damaged(const struct store *s, struct error *err, const char *what);
/* Of the last call into SQLite that failed. */
int sql_error(const struct store *s, struct error *err);

/* A file in the state directory; the caller's to free. */
char *path_in(const char *dir, const char *name);

/*
 * Take the lock of a writer, whose descriptor s->lock is then. Waits at most `wait` seconds; the
 * error names who holds it. `holder` is what that error will say about us to others.
 */
int lock_take(struct store *s, unsigned int wait, const char *holder, struct error *err);
/* Does nothing for a reader. */
void lock_release(struct store *s);

/*
 * The file to be read where nothing can be written, the caller's to free: the state itself, which
 * is immutable then, or a copy. No writer begins before the store is closed. NULL: there is no way.
 */
char *aside_make(struct store *s, bool *immutable);
/* The copy, if there is one. */
void aside_remove(struct store *s);

/* The schema that this program writes. */
extern const int schema_newest;
/*
 * Of which schema the file is; 0: nobody has written it yet. A newer one than ours, and another
 * program's file, is an error.
 */
int schema_read(struct store *s, int *schema, struct error *err);
/* Make the newest schema of an older one or of none, in one transaction. */
int schema_upgrade(struct store *s, int schema, struct error *err);

/* Nobody goes back to what was before now; what was changed is still told. In a transaction. */
int history_forget_before(struct store *s, struct error *err);

/* member.c: this host is called what it is called in its cluster (lib/host_name.h). */
int membership_name_host(struct store *s, struct error *err);

/* same.c: whether both are stored in the same rows. */

bool same_text(const char *a, const char *b);			  /* either may be NULL */
bool same_router(const struct router *a, const struct router *b); /* either may be NULL */
bool same_mapping(const struct mapping *a, const struct mapping *b);
bool same_accept(const struct tenant *a, const struct tenant *b);

#endif
