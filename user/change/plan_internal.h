/* SPDX-License-Identifier: GPL-2.0-only */
/* What plan.c, plan_policy.c and plan_text*.c have in common, and nobody else's business. */
#ifndef TN_PLAN_INTERNAL_H
#define TN_PLAN_INTERNAL_H

#include "change/plan.h"
#include "change/plan_text.h"

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

/* plan_text.c */

/* One more line, and it is counted. NULL: there is no room for it. */
struct plan_line *plan_say(struct plan_text *out, char sign, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What the line (or NULL) begins with names that tenant. */
void plan_say_about(struct plan_line *line, const char *tenant);
#define plan_say_of(out, sign, tenant, ...) \
	plan_say_about(plan_say((out), (sign), __VA_ARGS__), (tenant))

/* plan_text_model.c: the parts of plan_describe() for these. */

void plan_describe_network(const struct model *had, const struct model *will,
			   struct plan_text *out);
void plan_describe_tenants(const struct model *had, const struct model *will,
			   struct plan_text *out);
/* The rules of `m` that the other definitions do not have, or whose rows the other machine lacks.
 */
void plan_describe_rules(const struct model *m, const struct model *other,
			 const struct kernel_state *machine, const struct kernel_state *without,
			 char sign, struct plan_text *out);
/* NULL: it has none. */
const char *plan_mac_text(const uint8_t mac[6], char buf[MAC_TEXT]);

#endif
