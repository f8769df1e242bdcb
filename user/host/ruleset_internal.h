/* SPDX-License-Identifier: GPL-2.0-only */
/* What the walk through rules (ruleset.c) and what they match (ruleset_match.c) share. */
#ifndef TN_RULESET_INTERNAL_H
#define TN_RULESET_INTERNAL_H

#include "host/ruleset.h"

/* Whether something holds for packets of the path: for none, for some or nobody knows, for all. */
enum tri { NO, MAYBE, YES };

static inline enum tri least(enum tri a, enum tri b)
{
	return a < b ? a : b;
}

static inline enum tri most(enum tri a, enum tri b)
{
	return a > b ? a : b;
}

/* Of those that `a` says, the ones without those that `b` says. */
static inline enum tri without(enum tri a, enum tri b)
{
	return b == YES ? NO : b == MAYBE ? least(a, MAYBE) : a;
}

/* What rules before have done to the packets. */
struct packet {
	enum tri dnat;	    /* its destination was translated */
	enum tri untracked; /* conntrack knows nothing of it */
	uint32_t mark;
	uint32_t known;	  /* bits of the mark that are known */
	bool has_ct_mark; /* a new flow has none, until somebody saves it */
};

/* Where a walk through the list of rules is. */
struct walk {
	const json_t *ruleset;
	struct packet *packet;
	bool nat; /* the chain is one of NAT, which asks of tracked packets alone */
	const struct ruleset_path *path;
	struct ruleset_hits *hits;
	const char *family;
	const char *table;
	const char *base;
};

static inline const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The chains, rules or sets of the list, one after the other; NULL after the last. */
static inline const json_t *next_of(const json_t *ruleset, const char *kind, size_t *i)
{
	const json_t *list = json_object_get(ruleset, "nftables");

	while (*i < json_array_size(list)) {
		const json_t *o = json_object_get(json_array_get(list, (*i)++), kind);

		if (o)
			return o;
	}
	return NULL;
}

static inline bool in_table(const struct walk *w, const json_t *object)
{
	return strcmp(text_of(object, "family"), w->family) == 0 &&
	       strcmp(text_of(object, "table"), w->table) == 0;
}

/* Whether a match (libnftables-json(5)) holds; where the left side of one is `right`; */
enum tri ruleset_match(const struct walk *w, const json_t *match);
enum tri ruleset_left_is(const struct walk *w, const json_t *left, const json_t *right);
/* and whether xt_conntrack's does. */
enum tri ruleset_conntrack_is(const struct walk *w, const json_t *xt);

#endif
