/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A picture of who may reach whom: tenants, and an arrow from each that another accepts, with what
 * it is accepted for. As text for Graphviz (dot) or Mermaid. The same input gives the same bytes.
 * Pure.
 *
 * At most GRAPH_TENANTS tenants have a place of their own, those with the most packets and drops
 * first, then those with a router here, then by name. The rest is one box, and an arrow to or from
 * it stands for all of theirs. With tenants named there are these, whoever they accept and whoever
 * accepts them, and no arrows between the latter.
 */
#ifndef TN_GRAPH_H
#define TN_GRAPH_H

#include "model/selection.h"
#include "model/standing.h"
#include "observe/traffic.h"

#define GRAPH_TENANTS 40
#define GRAPH_LINES   4 /* of what an arrow is for; the rest is a number */

/* What there is of a tenant besides its definitions. */
struct graph_facts {
	enum standing standing;
	struct tenant_traffic traffic; /* of `seconds`; zero without a router here */
};

enum graph_kind {
	GRAPH_TENANT,
	GRAPH_ANY,    /* every tenant of the definitions: `from: "*"` */
	GRAPH_OTHERS, /* those that have no place of their own */
};

struct graph_box {
	enum graph_kind kind;
	const struct tenant *tenant; /* NULL unless GRAPH_TENANT */
	struct graph_facts facts;
};

struct graph_arrow {
	size_t from, to;   /* in `boxes` */
	size_t rules;	   /* that it stands for */
	size_t first;	   /* of these, by the order of the definitions */
	VEC(char *) lines; /* what for: "web: tcp/80"; none of them twice */
};

/* Boxes of tenants are by name; the others come behind. Points into the model. */
struct graph {
	VEC(struct graph_box) boxes;
	VEC(struct graph_arrow) arrows; /* by `from`, then by `to` */
	size_t others;			/* tenants in that box */
	int64_t seconds; /* of the traffic; -1: it is not known, and nothing has a colour */
};

/*
 * `m` is sorted, and `facts` are of its tenants, in their order. Rules that have ended at the time
 * `at` (`until`) are left out. The caller's to free.
 */
void graph_build(const struct model *m, const struct graph_facts *facts, int64_t seconds, time_t at,
		 const struct selection *selection, struct graph *out);
void graph_free(struct graph *g);
#define _cleanup_graph_ _cleanup_(graph_free)

/* Whether all could be written is for ferror() to say. */
void graph_write_dot(const struct graph *g, FILE *out);
void graph_write_mermaid(const struct graph *g, FILE *out);

#endif
