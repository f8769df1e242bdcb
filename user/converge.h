/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the machine what the definitions say: gather facts, decide, do, and undo
 * when something fails. Every command that changes anything goes through here.
 */
#ifndef TN_CONVERGE_H
#define TN_CONVERGE_H

#include "cmd.h"
#include "dataplane.h"
#include "model.h"
#include "plan.h"
#include "store.h"

/* A change under way: the store is locked, and what is in force is loaded. */
struct change {
	const struct invocation *inv;
	struct store *store;
	struct model had;     /* definitions in force */
	struct model will;    /* a copy of them, for the command to change */
	struct dataplane *dp; /* NULL: nothing is pinned */
	struct machine have;
};

/*
 * Checks the machine and reads all. STORE_WRITE locks the state, STORE_READ is enough
 * for a dry run. On failure nothing is held.
 */
int change_begin(const struct invocation *inv, enum store_mode mode, struct change *c,
		 struct error *err);
void change_end(struct change *c);
#define _cleanup_change_ _cleanup_(change_end)

struct outcome {
	struct plan_text text; /* what was, or would be, done */
	size_t added, changed, removed;
};

/* How a change is made; all zero: for everybody, with probes, at once. */
struct change_how {
	const struct scope *scope; /* whom it concerns; nobody else's router has to be in order */
	bool dry_run;		   /* only say what would be done */
	bool no_probe;		   /* what joins is not probed; see probe.h */
};

/*
 * Make the machine and the state what `c->will` says, once a change. On failure
 * everything is as it was, the state included. `out` is the caller's to free, also on failure.
 */
int change_make(struct change *c, const struct change_how *how, struct outcome *out,
		struct error *err);

/* What commands that only look see: the definitions in force, and the machine. */
struct view {
	struct model model;
	struct dataplane *dp; /* NULL: nothing is pinned */
	struct machine machine;
};

/* Takes no lock. On failure nothing is held. */
int view_load(const struct invocation *inv, struct view *v, struct error *err);
void view_free(struct view *v);
#define _cleanup_view_ _cleanup_(view_free)

/* Read the machine as change_begin() does. *dp may come out NULL. */
int machine_load(const char *bpffs, const struct model *m, struct dataplane **dp,
		 struct machine *out, struct error *err);

#endif
