/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the machine what the definitions say: gather facts, decide, do, and undo
 * when something fails. Every command that changes anything goes through here.
 */
#ifndef TN_CHANGE_H
#define TN_CHANGE_H

#include <jansson.h>

#include "change/execute.h"
#include "change/inspect.h"
#include "change/plan_text.h"
#include "lib/settings.h"
#include "store/store.h"

/* A change under way: the store is locked, and what is in force is loaded. */
struct change {
	const struct settings *settings;
	struct store *store;
	struct model had;     /* definitions in force */
	struct model will;    /* those that are to be */
	struct dataplane *dp; /* NULL: nothing is pinned */
	struct kernel_state have;
	/* NULL: all was read; else of mappings only these, and of the machine what they have there
	 */
	const struct window *window;
	struct row_keys keys;
	const struct scope *scope; /* only the routers of these were looked at; NULL: all */
};

/*
 * Checks the machine and reads all. STORE_WRITE locks the state, STORE_READ is enough
 * for a dry run. `will` comes to be in force, and is empty from then on; NULL: what is in force,
 * for the command to change. On failure nothing is held.
 */
int change_begin(const struct settings *settings, enum store_mode mode, struct model *will,
		 struct change *c, struct error *err);
/*
 * For `scope` alone, what is in force as it is: nobody looks at the routers of others. The scope
 * outlives the change, and is in struct change_how, too.
 */
int change_begin_some(const struct settings *settings, enum store_mode mode,
		      const struct scope *scope, struct change *c, struct error *err);
/* To write what is in force with changes. Reads no more than `w` if that will do, which outlives
 * the change. */
int change_begin_part(const struct settings *settings, const struct window *w, struct change *c,
		      struct error *err);
/* Read all after all, anew; what the command has changed in `will` is gone. */
int change_widen(struct change *c, struct error *err);
void change_end(struct change *c);
#define _cleanup_change_ _cleanup_(change_end)

struct outcome {
	/* what was, or would be, done; no more lines than the history has room for, where nobody
	 * asks for them (settings) */
	struct plan_text text;
	struct failures failed; /* only with `partial` */
	/* tenants with too many addresses to be announced while somebody waits */
	VEC(char *) unannounced;
	size_t unannounced_addrs; /* of all of them */
};

/* How a change is made; all zero: for everybody, with probes, at once. */
struct change_how {
	const struct scope *scope; /* whom it concerns; nobody else's router has to be in order */
	/*
	 * Only the routers of these are looked at and changed; of others the machine keeps what it
	 * has. Unlike with `scope`, tenants may come and go.
	 */
	const struct scope *only;
	bool dry_run;  /* only say what would be done */
	bool no_probe; /* what joins is not probed; see probe.h */
	/*
	 * A router that cannot be looked at, or fails, or whose probes do, does not keep the
	 * others from being made: it is left with what the machine has of it, and named in the
	 * outcome. With nothing there, its mappings are known as those of a router elsewhere.
	 */
	bool partial;
	/*
	 * The definitions are as they were: nobody gets a new address, so a router whose
	 * interface lost its own is one that fails; and what was probed once is not again. Both
	 * does not hold for one that was passed over.
	 */
	bool restore;
	/* In a cluster: what was taken off with `detach` is attached again, of these (NULL: all).
	 */
	bool attach;
	const struct scope *attach_only;
	bool agent; /* the caller announces what is unannounced; else another process does it */
	/*
	 * In a cluster: asked for the addresses that routers here need (own.wanted) and do not have
	 * yet, before the change begins. `reserved` nobody may have. NULL: none is given.
	 */
	int (*give)(void *arg, struct model *will, const struct addr_list *reserved,
		    struct error *err);
	void *arg;
};

void outcome_free(struct outcome *out);
#define _cleanup_outcome_ _cleanup_(outcome_free)
/* The lines of it and their number, for people. */
void outcome_print(const struct outcome *out, bool dry_run);
/*
 * The same for programs, and who was passed over: {"lines": [{"sign", "text"}], "added", "changed",
 * "removed", "failed": [{"tenant", "text"}]}; NULL: a line is no text.
 */
json_t *outcome_json(const struct outcome *out);
/* Log its lines, each with its tenant. */
void outcome_log(const struct outcome *out);
/* Say which routers failed; -1 with an error about their number if there are any. */
int outcome_failed(const struct outcome *out, const char *what, struct error *err);

/* Who makes a change, for a history: "root", or "root (sudo alice)". The caller's to free. */
char *change_user(void);

/*
 * Mappings that are in force, and that `c->will`, which is sorted then, does not have any more. If
 * they are so many that it may be a mistake, or nobody is left, `text` says so; else it is "".
 */
#define CHANGE_LOSS 128
size_t change_loss(struct change *c, char text[CHANGE_LOSS]);

/*
 * Make the machine and the state what `c->will` says, once a change. On failure everything is as
 * it was, the state included. `out` is the caller's to free, also on failure. CHANGE_TOO_NARROW:
 * nothing was done, because the window does not show all that it takes; change_widen() and do it
 * again.
 */
#define CHANGE_TOO_NARROW 1
int change_make(struct change *c, const struct change_how *how, struct outcome *out,
		struct error *err);

#endif
