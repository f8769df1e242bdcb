/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of change_make(), for the files change*.c alone, in the order in which it uses them. */
#ifndef TN_CHANGE_PARTS_H
#define TN_CHANGE_PARTS_H

#include "change/change.h"
#include "change/plan.h"

/* Where a change goes. */
struct course {
	struct facts facts;
	struct kernel_state want;
	struct plan plan; /* from what was read at the beginning */
	/*
	 * When routers were passed over after the machine was changed for them: `want` and `plan`
	 * are without them, and this is from what there is now.
	 */
	bool anew;
	struct kernel_state now;
	struct plan rest;
};

void course_free(struct course *way);
#define _cleanup_course_ _cleanup_(course_free)

/* change.c */

/* The plan to way->want, and what it says. */
void change_plan(struct change *c, struct course *way, struct plan_text *text);

/* change_facts.c */

/*
 * Look at the routers in scope, which may add to `c->have`. A router that cannot be looked at is
 * noted in `failed`, and the facts about it are what the machine has of it; `failed` NULL: it is
 * the error. `facts` is the caller's to free, also on failure.
 */
int change_facts_gather(struct change *c, const struct change_how *how, struct facts *facts,
			struct failures *failed, struct error *err);
/*
 * The same of routers that failed later. They may be attached, and as they were to be: from now on
 * the facts say what was before.
 */
void change_facts_pass_over(struct change *c, const struct change_how *how,
			    const struct failures *failed, struct facts *facts);
/* The addresses of routers, which nobody gets: for ipam_assign(). The caller's to free. */
void change_facts_reserve(const struct change *c, const struct facts *facts,
			  const struct scope *scope, struct addr_list *out);
/* What a join needs: it depends on ids and addresses, which are assigned by now. */
void change_facts_complete(const struct model *m, struct facts *facts);
/*
 * Warn about addresses that stop working with this change: with the join, or with other subnets;
 * and about VMs behind a gateway that look on-link.
 */
void change_facts_warn(const struct change *c, const struct facts *facts);

/* change_given.c */

/*
 * change_assign(); but on a host that is in a cluster the definitions have all addresses already,
 * and nobody is given another one.
 */
int change_assign_given(struct change *c, const struct change_how *how, struct addr_list *reserved,
			struct error *err);

/* change_window.c */

/* Whose routers a change through a window looks at; it borrows of `w`. */
struct scope change_window_scope(const struct window *w);
/*
 * Ids and addresses to `c->will`, the same as if all leases were seen. `reserved` grows. It can be
 * CHANGE_TOO_NARROW, as change_make() is.
 */
int change_assign(struct change *c, struct addr_list *reserved, struct error *err);
/* What the maps have of the mappings that are seen, to `c->have`. */
int change_window_look_up(struct change *c, const struct facts *facts, struct error *err);

/* change_maps.c */

/* Whether what the plan adds fits into the maps, if there are any. */
int change_maps_check(const struct change *c, const struct plan *p, const struct kernel_state *want,
		      struct error *err);
/* Make them, for what the machine is to have. */
int change_maps_make(struct change *c, const struct kernel_state *want, struct error *err);
/* Without a program to read them, maps are of no use. */
int change_maps_drop(struct change *c, struct error *err);

/* change_transaction.c */

/*
 * Make the machine what the plan says, and commit the new definitions with their line in the
 * history. On failure both are what they were; what cannot be undone of the machine is logged.
 */
int change_carry_out(struct change *c, const struct change_how *how, struct course *way,
		     struct outcome *out, struct error *err);

/* change_probe.c */

/* Whether what the plan attaches or renews is still what the maps say; `failed` as above. */
int change_confirm(const struct change *c, const struct plan *p, struct failures *failed,
		   struct error *err);
/* Whether the way is clear before traffic takes it; `failed` as above. */
int change_probe(const struct change *c, const struct plan *p, const struct kernel_state *want,
		 const struct change_how *how, struct failures *failed, struct error *err);
/* Whether a router is new, on another interface, or gets other addresses of its own. */
bool router_rejoins(const struct router_row *want, const struct router_row *have);

/* change_announce.c */

/*
 * Announce all addresses of routers that are new on the shared network, or elsewhere, and of others
 * those that come to them. Routers with more than there is time for are named in `out`. A failure
 * is logged.
 */
void change_announce(const struct plan *p, const struct kernel_state *want,
		     const struct kernel_state *have, struct outcome *out);
/* Those that `out` names, by another process. */
void change_announce_rest(const struct settings *settings, const struct outcome *out);

/* change_outcome.c */

/* For `show history`, into the open transaction. */
int change_note(struct change *c, const struct change_how *how, const struct outcome *out,
		struct error *err);

#endif
