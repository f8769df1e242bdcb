/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of config/ share, and nobody else: the file that is being parsed, and for each of
 * them what the others use of it. Two passes: the file's events fill the model, and every place is
 * noted (complaint, yaml, level, text; mapping, router, tenant); then all is checked (check*).
 */
#ifndef TN_PARSE_H
#define TN_PARSE_H

#include <yaml.h>

#include "config/config.h"

#define KEYS_MAX 16

struct complaint {
	struct pos at;
	size_t seq;
	char *text;
};

/* A shared subnet, or a prefix of a tenant's pool. */
struct prefix_at {
	struct prefix prefix;
	struct pos at;
	uint32_t tenant;
	uint32_t told; /* the last tenant, from 1, told that this pool overlaps its own */
	int other;     /* the narrowest pool around it that is of another tenant, or -1 */
};

struct mapping_at {
	struct pos name;
	struct pos fixed;
	struct pos shared;
};

/* A name in `from`, or a name or an address in `to`, of a rule. */
struct named_at {
	struct pos at;
	uint32_t tenant;
	const char *text; /* the rule's */
};

struct route_at {
	struct pos to;
	struct pos via;
};

/* What the model does not keep about the tenant of the same index. */
struct tenant_at {
	struct pos name;
	size_t mappings; /* the index of its first one in parse.mappings */
	size_t pools;	 /* the same in parse.pools */
	bool pool_known; /* nothing is wrong with its pool, so that it can be held against others */
	bool router_known;
	struct pos own[FAMILIES]; /* of the router's addresses */
};

struct parse {
	const char *bytes;
	size_t len;
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one: the first event of a node when it is handed on */
	unsigned int depth;
	bool over; /* the rest of the file cannot be read */

	struct model model;
	VEC(struct prefix_at) subnets;
	VEC(struct prefix_at) pools; /* of all tenants, in the order of the file */
	VEC(struct tenant_at) tenants;
	VEC(struct mapping_at) mappings; /* of all tenants, in the order of the file */
	VEC(struct pos) inside;		 /* of the current router */
	struct pos burst;		 /* of the current limit */
	VEC(struct named_at) from;	 /* of all rules, in the order of the file */
	VEC(struct named_at) to;	 /* the same */
	VEC(struct route_at) routes;	 /* of all routers, in the order of the file */
	bool subnets_known;
	size_t routers;

	VEC(struct complaint) complaints;
	size_t complained; /* how many there were, also those that were not kept */
	struct pos cutoff; /* what comes behind is not kept any more; line 0: all is */
};

#define last(vec) (&(vec)->v[(vec)->n - 1])

/* --- complaint.c --- */

int pos_cmp(struct pos a, struct pos b);

/* An error of the file, at a place of it. */
void __attribute__((format(printf, 3, 4)))
complain(struct parse *p, struct pos at, const char *format, ...);

/* All that was complained of, into the caller's list. */
void complaints_give(struct parse *p, const char *file, struct config_errors *errors);

/* The bytes of the UTF-8 character at `s`, or 0 when there is none. */
size_t utf8_char(const unsigned char *s, size_t len, uint32_t *out);

/* Neither control characters nor those that break, reorder or hide what a terminal shows. */
bool is_printable(uint32_t c);

#define QUOTE_TEXT 104

/* Text of the file as it may be shown: on one line, not too long. `buf` is returned. */
const char *quote(const char *text, size_t len, char buf[QUOTE_TEXT]);
#define QUOTE(text) quote((text), strlen(text), (char[QUOTE_TEXT]){ 0 })

/* --- yaml.c --- */

/* Whether all of the file is text; if not, it was complained of. */
bool text_valid(struct parse *p);

/* Where the current event begins. */
struct pos event_pos(const struct parse *p);

/* The next event; false when there can be none. */
bool next_event(struct parse *p);

/* Go to the last event of the node whose first is the current one. */
void skip_node(struct parse *p);

/* --- level.c --- */

enum kind {
	TEXT,
	MAP,
	TEXTS, /* a list */
	MAPS,
	TEXT_OR_TEXTS,
};

enum {
	REQUIRED = 1,
	MAY_BE_EMPTY = 2,
};

struct key {
	const char *name;
	enum kind kind;
	unsigned int flags;
	/* Called for the value, or each item of a list; `text` is NULL for keys and values. */
	void (*take)(struct parse *p, const char *text, struct pos at);
	const char *example;
};

struct level {
	const char *what;
	size_t n;
	const struct key *keys;
};
#define LEVEL(what, keys)                    \
	{                                    \
		what, ARRAY_SIZE(keys), keys \
	}

/* Bits by index of the level's table. */
struct seen {
	unsigned int given;
	unsigned int bad; /* something is wrong with it, also with its name: do not judge by it */
};

/* Whether the current node is an empty value. */
bool is_empty_value(const struct parse *p);

/* Read the keys and values that the current event begins. */
struct seen take_level(struct parse *p, const struct level *level);

/* --- text.c --- */

/* Each complains of what it cannot take, and then returns false. */
bool take_addr(struct parse *p, const char *text, struct pos at, struct tn_addr *out);
bool take_prefix(struct parse *p, const char *text, struct pos at, struct prefix *out);
bool take_interface(struct parse *p, const char *text, struct pos at);
bool take_pattern(struct parse *p, const char *text, struct pos at);

const char *family_name(const struct tn_addr *a);

struct unit {
	const char *name;
	uint64_t factor;
};

/* A whole number with one of the units behind it, as a number of the first one. */
bool amount_parse(const char *text, const struct unit *units, size_t n, uint64_t *out);

/* --- mapping.c, router.c, tenant.c: what their keys take --- */

void mappings_item(struct parse *p, const char *text, struct pos at);
void tenant_router(struct parse *p, const char *text, struct pos at);
void tenants_item(struct parse *p, const char *text, struct pos at);

/* --- check.c --- */

/* Something that may be there only once. 32 bytes: glibc sorts what is larger by pointers. */
struct taken {
	struct tn_addr addr; /* with a name: the family that counts, and how the name begins */
	const char *name;    /* "" where the address counts */
	uint32_t tenant;
	uint32_t index; /* in the list that holds its place, so in the order of the file */
};
typedef VEC(struct taken) taken_vec;

/* Numerically; unlike addr_cmp() it takes the families for one, as prefixes do. */
int bytes_cmp(const struct tn_addr *a, const struct tn_addr *b);

struct taken taken_name(const char *name, bool v6, uint32_t tenant, uint32_t index);

/* Sorts; calls `twice` for each that is there again, with the first of its kind. */
void check_once(struct parse *p, taken_vec *taken,
		void (*twice)(struct parse *p, const struct taken *first,
			      const struct taken *again));

/* Every prefix behind those that hold it. */
int prefix_at_cmp(const void *a, const void *b);

/* Sorts; whether no two of them overlap. Prefixes overlap only if one holds the other. */
bool check_disjoint(struct parse *p, const char *what, struct prefix_at *v, size_t n);

/* The shared subnet that has the address, or NULL. */
const struct prefix *subnet_of(const struct parse *p, const struct tn_addr *a);

/* What the address is in its subnet, which reserves it: "network", for example. */
const char *reserved_for(const struct prefix *subnet, const struct tn_addr *a);

/* A tenant, as complaints call it. `buf` is returned. */
#define TENANT_TEXT (TENANT_NAME_MAX + 32)
const char *tenant_text(const struct tenant *t, char buf[TENANT_TEXT]);
#define TENANT(t) tenant_text((t), (char[TENANT_TEXT]){ 0 })

/* The second pass: all that is noted of the file. */
void check_file(struct parse *p);

/* --- check_address.c --- */

void check_tenants(struct parse *p);
void check_pinned(struct parse *p);

/* --- check_router.c --- */

void check_router_addresses(struct parse *p);
void check_router_interfaces(struct parse *p);

#endif
