/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows that `stats` shows: of what was counted, those that are asked for, as totals or as
 * rates, in some order. Pure.
 */
#ifndef TN_SHEET_H
#define TN_SHEET_H

#include "model/selection.h"
#include "observe/stats.h"

struct drop_row {
	const struct router_row *router;
	unsigned int reason; /* enum tn_reason */
	uint64_t packets;    /* not 0 */
};

struct flow_row {
	const struct router_row *router;
	uint64_t open;
	uint64_t opened;
};

/* Rows point into the view that the stats are of, and are good as long as that. */
struct sheet {
	VEC(struct mapping_stats) mappings;
	VEC(struct rule_stats) rules;
	VEC(struct drop_row) drops;
	VEC(struct flow_row) flows;
};

void sheet_free(struct sheet *s);
#define _cleanup_sheet_ _cleanup_(sheet_free)

/* All that was counted. Drops and flows are those of a router, also for one mapping before it. */
void sheet_totals(const struct stats *stats, const struct selection *selection, struct sheet *out);
/* What has changed from `then` to `now`, in `ms` milliseconds: per second. Of flows nothing. */
void sheet_rates(const struct stats *now, const struct stats *then, uint64_t ms,
		 const struct selection *selection, struct sheet *out);

/* X(ID, "name"). Name: the order of the definitions. By the others comes what has most first, of
 * the rows that have it: traffic is bytes of mappings and packets of rules; the rest stays. */
#define SHEET_KEYS(X)         \
	X(NAME, "name")       \
	X(TRAFFIC, "traffic") \
	X(DROPS, "drops")     \
	X(FLOWS, "flows")

enum sheet_key {
#define X(id, name) SHEET_##id,
	SHEET_KEYS(X)
#undef X
};

void sheet_sort(struct sheet *s, enum sheet_key key);

#endif
