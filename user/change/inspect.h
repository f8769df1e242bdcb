/* SPDX-License-Identifier: GPL-2.0-only */
/* What there is: the machine, and one router's namespace. Changes nothing. */
#ifndef TN_INSPECT_H
#define TN_INSPECT_H

#include "dataplane/dataplane.h"
#include "lib/settings.h"
#include "model/model.h"

/* What commands that only look see: the definitions in force, and the machine. */
struct view {
	struct model model;
	struct dataplane *dp; /* NULL: nothing is pinned */
	struct kernel_state kernel;
};

/* Takes no lock. On failure nothing is held. */
int view_load(const struct settings *settings, struct view *v, struct error *err);
void view_free(struct view *v);
#define _cleanup_view_ _cleanup_(view_free)

/*
 * What the maps hold, what is attached, and what bears our mark in the namespaces of all routers
 * that are attached or defined in `m`; of those out of `scope` only what the maps say. *dp comes
 * out NULL when nothing is pinned. The machine is the caller's to free, also on failure; it borrows
 * names of `m`.
 */
int kernel_state_load(const char *bpffs, const struct model *m, const struct scope *scope,
		      struct dataplane **dp, struct kernel_state *out, struct error *err);
/*
 * The same of what is pinned, but of mappings nothing. What dataplane_look_up() and
 * inspect_router() find comes to it.
 */
int kernel_state_load_part(struct dataplane *dp, const struct model *m, const struct scope *scope,
			   struct kernel_state *out, struct error *err);
/* What is there now of all that was read into `was`. `keys`: of these alone; NULL: it was all. */
int kernel_state_load_again(struct dataplane *dp, const struct model *m,
			    const struct kernel_state *was, const struct scope *scope,
			    const struct row_keys *keys, struct kernel_state *out,
			    struct error *err);

/*
 * Look at the namespace of the router of `t`, for a join: its interfaces to `f`, what the router
 * needs of us to t->router->own (see join.h). To `have` go settings that a join may change, and
 * what bears our mark in a namespace that nobody looked into before.
 */
int inspect_router(const struct model *m, struct tenant *t, struct kernel_state *have,
		   struct router_facts *f, struct error *err);

/*
 * Whether the router of `t` is what its row in the maps says: the same interface is on the shared
 * network, with that MAC address and its own addresses, unless these come and go, and all programs
 * are attached.
 */
int inspect_confirm(struct dataplane *dp, const struct model *m, const struct tenant *t,
		    const struct router_row *row, struct error *err);

#endif
