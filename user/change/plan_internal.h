/* SPDX-License-Identifier: GPL-2.0-only */
/* What plan.c, plan_policy.c and plan_text.c have in common, and nobody else's business. */
#ifndef TN_PLAN_INTERNAL_H
#define TN_PLAN_INTERNAL_H

#include "change/plan.h"

/* Whether the address becomes another tenant's, router's or VM's. */
bool plan_moves(const struct shared_row *from, const struct shared_row *to);
/* Whether their flags are the same, but for those that follow from rules and limits. */
bool plan_same_kind(const struct shared_row *a, const struct shared_row *b);

/* What the setting is on a machine; NULL: not known. */
const struct setting_row *plan_setting(const struct kernel_state *m,
				       const struct setting_row *like);

/* Who is accepted, whose pools are which, and the limits: the part of plan_make() for these. */
void plan_policy(const struct kernel_state *want, const struct kernel_state *have,
		 struct plan *out);
bool plan_changes_policy(const struct plan *p);

struct rule_ids {
	VEC(uint32_t) list; /* sorted, each once; the caller's to free */
};

/* Those of the rules that own rows. */
void rule_ids_of_rows(const struct policy *p, struct rule_ids *out);
bool rule_ids_have(const struct rule_ids *ids, uint32_t id);
int rule_id_cmp(const void *a, const void *b);

#endif
