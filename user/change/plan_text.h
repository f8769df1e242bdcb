/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What people read of a plan: a line for each thing that is added, changed or removed. For
 * --dry-run, for what a command says of what it did, and for the history. Pure.
 */
#ifndef TN_PLAN_TEXT_H
#define TN_PLAN_TEXT_H

#include "change/plan.h"
#include "model/model.h"

/* One line of the plan as a person reads it. */
struct plan_line {
	char sign;		       /* '+', '~' or '-' */
	uint8_t tenant_at, tenant_len; /* the tenant that it is about, in `text`; 0: none */
	char *text;
};

/* Its name; NULL: it is about no single one. `buf` is returned. */
const char *plan_line_tenant(const struct plan_line *line, char buf[TENANT_NAME_MAX + 1]);

/* How a line about a router's own address ends, when neither this host gives nor takes it. */
#define PLAN_GIVEN_BY_OTHERS ", which others give it"

/* All of them are counted. */
struct plan_text {
	VEC(struct plan_line) lines;
	size_t keep; /* no more than these first lines are kept; 0: all. The caller's to set */
	size_t added;
	size_t changed;
	size_t removed;
};

void plan_text_free(struct plan_text *t);
/* Nothing was said; so many lines as before are kept. */
void plan_text_restart(struct plan_text *t);
#define _cleanup_plan_text_ _cleanup_(plan_text_free)

/*
 * Say in lines, which are added to `out`, what `plan` and the change of definitions from `had` to
 * `will` do: tenants, then routers, then mappings, then rules. Definitions are sorted; the machines
 * are those that the plan was made from.
 */
void plan_describe(const struct plan *plan, const struct kernel_state *want,
		   const struct kernel_state *have, const struct model *had,
		   const struct model *will, struct plan_text *out);

#endif
