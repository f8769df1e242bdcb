/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs have counted, read in one place for all who show it. */
#ifndef TN_STATS_H
#define TN_STATS_H

#include "change/inspect.h"

struct mapping_stats {
	const struct tenant *tenant;
	const struct mapping *mapping;
	struct tn_counters counters; /* zero while its router is not attached */
};

struct rule_stats {
	const struct tenant *tenant; /* whose rule it is */
	const struct rule *rule;
	uint64_t packets; /* that it accepted, and answers to them */
};

/* A router that is attached. */
struct router_stats {
	const struct router_row *row;
	struct tn_drops drops;
	size_t flows; /* open now, of row->flows at most */
};

/* How full a map is that has rows of the definitions. */
struct room {
	const char *map;
	size_t used;
	size_t room;
};

/* Everything is in the order of the model and of the machine, and points into them. */
struct stats {
	VEC(struct mapping_stats) mappings;
	VEC(struct rule_stats) rules;
	VEC(struct router_stats) routers;
	VEC(struct room) rooms; /* empty when nothing is pinned */
};

/* `v` outlives the stats, which are the caller's to free. What cannot be read is zero. */
void stats_read(const struct view *v, struct stats *out);
void stats_free(struct stats *s);
#define _cleanup_stats_ _cleanup_(stats_free)

#endif
