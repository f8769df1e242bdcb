/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From rules to rows: what the maps accepts, services, pools and limits are to hold by the
 * definitions (see tn_abi.h for what a row means). Pure.
 */
#ifndef TN_POLICY_H
#define TN_POLICY_H

#include "model/model.h"

/* A row of accepts. Of its value, `until` is as in struct rule, and `used` is zero. */
struct accept_row {
	struct tn_accept_key key;
	struct tn_accept value;
};

/* A row of services. */
struct service_row {
	struct tn_service_key key;
	uint32_t rule;	/* never 0 */
	uint32_t until; /* as in struct rule */
};

/* A row of pools. */
struct pool_row {
	struct tn_pool_key key;
	uint32_t tenant; /* 0: several claim it, or one whose router is here */
};

/* A row of limits, without what the programs keep there. */
struct limit_row {
	struct tn_addr shared;
	uint64_t rate; /* the units are those of struct tn_limit */
	uint64_t burst;
	uint64_t packets;
	uint64_t packet_burst;
};

struct policy {
	VEC(struct accept_row) accepts;	  /* sorted by key */
	VEC(struct service_row) services; /* sorted by key */
	VEC(struct pool_row) pools;	  /* sorted by prefix, then by length */
	VEC(struct limit_row) limits;	  /* sorted by shared */
	VEC(struct tn_addr) senders; /* in keys of accepts; sorted; see policy_find_senders() */
	bool too_many;		     /* rows: see policy_check() */
	bool pool_lens[128 + 1];     /* of `pools`, for policy_pool_of() */
};

/* The largest number of rows in accepts or services; and rule ids are below it. */
#define POLICY_ROWS_MAX (1U << 22)

/*
 * The rows of the definitions (complete: ids of tenants and rules, shared addresses given). Of
 * rules that accept the same, the one that ends last owns the row, and of these the first in the
 * order of the file. No row is in services where a rule accepts everything from that sender for
 * as long. A name in `from` or `to` that nobody has matches nothing. The caller's to free.
 */
void policy_make(const struct model *m, struct policy *out);
void policy_free(struct policy *p);
#define _cleanup_policy_ _cleanup_(policy_free)
void policy_sort(struct policy *p);

/* The pools alone of that. */
void policy_make_pools(const struct model *m, struct policy *out);
/* The tenant that an address counts as by its pool alone; 0: nobody. After policy_make_pools(). */
uint32_t policy_pool_of(const struct policy *p, const struct tn_addr *a);

/* Whether that can be at all: -1 with a usage error when there are too many rows. */
int policy_check(const struct policy *p, struct error *err);
/* The largest id of a rule that owns a row; 0: there is none. */
uint32_t policy_rule_max(const struct policy *p);

/*
 * The flags (enum tn_shared_flags) that a mapping of the tenant has in by_shared and by_fixed,
 * besides TN_SHARED_MAPPED. `p` is sorted.
 */
uint32_t policy_flags(const struct policy *p, const struct tenant *t, const struct mapping *m);

/* Whether there are rows from that very mapping, after policy_make() or policy_find_senders(). */
bool policy_is_sender(const struct policy *p, const struct tn_addr *shared);
/* Fills in `senders` by `accepts`. */
void policy_find_senders(struct policy *p);

/* NULL when there is none; the policy is sorted. */
const struct accept_row *policy_accept(const struct policy *p, const struct tn_accept_key *key);
const struct service_row *policy_service(const struct policy *p, const struct tn_service_key *key);
const struct limit_row *policy_limit(const struct policy *p, const struct tn_addr *shared);

/* Parts of a rule in words, separated by ", "; "" when it leaves them out. Freed by the caller. */
char *rule_from_text(const struct rule *r);
char *rule_to_text(const struct rule *r);
char *rule_services_text(const struct rule *r);

int accept_row_cmp(const void *a, const void *b);
int service_row_cmp(const void *a, const void *b);
int pool_row_cmp(const void *a, const void *b);
int limit_row_cmp(const void *a, const void *b);

#endif
