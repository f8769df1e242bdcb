/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of config/ share; nobody else includes this. Parsing has two passes:
 *
 * 1. Read. yaml.c turns bytes into events, level.c reads keys and values by a table, text.c turns
 *    a value into an address or a name. config.c, tenant.c, router.c and mapping.c have the tables:
 *    they fill the model, and keep the place of each value that the second pass may complain of.
 * 2. Check (check*.c) what needs the whole file.
 *
 * Reading goes on after an error, and the checks run in any case: the user gets all errors at once.
 * A value with an error is not checked any further, so that one mistake is one error. When the YAML
 * is broken, that is the only one: nobody knows then what the rest was meant to be.
 */
#ifndef TN_PARSE_H
#define TN_PARSE_H

#include <yaml.h>

#include "config/config.h"

#define KEYS_MAX 16 /* of one level */

struct complaint {
	struct pos at;
	size_t seq; /* orders those of one place */
	char *text;
};

/* A shared subnet, or a prefix of a tenant's pool. */
struct prefix_at {
	struct prefix prefix;
	struct pos at;
	uint32_t tenant; /* index */
	uint32_t told;	 /* 1 + the tenant that was last told of this pool: once is enough */
	int other;	 /* index of the narrowest pool around it that is another tenant's, or -1 */
};

/* The places of a mapping's values; line 0 if they are not given. */
struct mapping_at {
	struct pos name;
	struct pos fixed;
	struct pos shared;
	struct pos except; /* the first one */
};

/* An entry of a rule: a name in `from`, or a name or an address in `to`. */
struct named_at {
	struct pos at;
	uint32_t tenant;  /* whose rule it is: its index */
	const char *text; /* owned by the rule */
};

typedef VEC(struct named_at) named_vec;

struct route_at {
	struct pos to;
	struct pos via;
};

/* What the model does not keep about the tenant of the same index. */
struct tenant_at {
	struct pos name;
	size_t mappings;     /* the index of its first one in parse.mappings */
	size_t pools;	     /* the same in parse.pools */
	bool pool_known;     /* `pool` was read without an error: others are checked against it */
	bool mappings_known; /* the same of `mappings` */
	bool router_known;   /* the same of the router's `netns` and `shared` */
	struct pos own[FAMILIES]; /* of the router's addresses */
};

struct parse {
	const char *bytes;
	size_t len;
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one; a reader is called at the first event of its node */
	unsigned int depth; /* of the lists and levels around it */
	bool over;	    /* the rest of the file cannot be read: see give_up() */
	bool is_part;	    /* what rules name may be elsewhere */

	struct model model;
	VEC(struct prefix_at) subnets;
	VEC(struct prefix_at) pools; /* of all tenants, in the order of the file */
	VEC(struct tenant_at) tenants;
	VEC(struct mapping_at) mappings; /* of all tenants, in the order of the file */
	VEC(struct pos) inside;		 /* of the current router */
	bool active_given;		 /* the same */
	struct pos active_at;
	struct pos grace;  /* the same; line 0: it has none */
	struct pos burst;  /* of the current limit */
	uint8_t fixed_len; /* of the current mapping, as in struct prefix; 128: one address */
	uint8_t shared_len;
	named_vec from;			    /* of all rules, in the order of the file */
	named_vec to;			    /* the same, until they are checked */
	VEC(struct route_at) routes;	    /* of all routers, in the order of the file */
	VEC(struct route_at) inside_routes; /* the same */
	bool subnets_known; /* they were read without an error, and there are some */
	bool names_lost;    /* a tenant's name was not understood */
	size_t routers;	    /* how many there were, but for those with hosts */

	VEC(struct complaint) complaints;
	size_t complained; /* how many there were, also those that were not kept */
	struct pos cutoff; /* those from here on are only counted; line 0: all are kept */
};

/* The last element: the readers fill the tenant, mapping, rule or route that was begun last. */
#define last(vec) (&(vec)->v[(vec)->n - 1])

/* --- complaint.c --- */

int pos_cmp(struct pos a, struct pos b);

/* Note an error of the file at that place: "what; what to do". */
void __attribute__((format(printf, 3, 4)))
complain(struct parse *p, struct pos at, const char *format, ...);

/*
 * The same of what keeps the rest of the file from being read. It is the only error then: whatever
 * else was found, or is found from now on, may come from it.
 */
void __attribute__((format(printf, 3, 4)))
give_up(struct parse *p, struct pos at, const char *format, ...);

/* Give the caller's empty list what was complained of, in the order of the file. */
void complaints_give(struct parse *p, const char *file, struct config_errors *errors);
/* Of those that there are, the first one as an error. */
void complaint_give_first(struct parse *p, struct error *err);

/* The number of bytes of the UTF-8 character at `s`, which is not empty; 0 if it is not UTF-8. */
size_t utf8_char(const unsigned char *s, size_t len, uint32_t *out);

/* No control character, and none that breaks, reorders or hides what a terminal shows. */
bool is_printable(uint32_t c);

#define QUOTE_TEXT 104

/* Text of the file as it may be shown: on one line, not too long. `buf` is returned. */
const char *quote(const char *text, size_t len, char buf[QUOTE_TEXT]);
#define QUOTE(text) quote((text), strlen(text), (char[QUOTE_TEXT]){ 0 })

/* --- yaml.c --- */

/* Whether the file is UTF-8 that can be shown; if not, complains of the first wrong character. */
bool text_valid(struct parse *p);

/* Where the current event begins. */
struct pos event_pos(const struct parse *p);

/* Read the next event; false if the rest of the file cannot be read, which was complained of. */
bool next_event(struct parse *p);

/* Whether the current event has an anchor or a tag, which next_event() has complained of. */
bool has_properties(const struct parse *p);

/* Leave out the node that begins with the current event: its last event becomes the current one. */
void skip_node(struct parse *p);

/* --- level.c --- */

/* What the value of a key is. */
enum kind {
	TEXT,
	MAP,
	TEXTS, /* a list of them */
	MAPS,
	TEXT_OR_TEXTS,
};

enum {
	REQUIRED = 1,
	MAY_BE_EMPTY = 2,
};

struct level;

struct key {
	const char *name;
	enum kind kind;
	unsigned int flags;
	/*
	 * Called for the value, or for each item of a list. `text` is NULL for keys and values, and
	 * else good until the next event. `at` is the place of the text or item, of a MAP that of
	 * its key.
	 */
	void (*take)(struct parse *p, const char *text, struct pos at);
	const char *example;	   /* for complaints */
	const struct level *level; /* of MAP and MAPS: what `take` reads with take_level() */
};

/* The keys that may be at one place of the file, and what that is called: "a tenant". */
struct level {
	const char *what;
	size_t n;
	const struct key *keys;
};
#define LEVEL(what, keys)                    \
	{                                    \
		what, ARRAY_SIZE(keys), keys \
	}

/* Of each key of a level a bit, by its index in the table. */
struct seen {
	unsigned int given;
	unsigned int bad; /* the key or its value has an error: check nothing against it */
};

/* Whether the current node is an empty value. */
bool is_empty_value(const struct parse *p);

/* Read the keys and values that begin with the current event, up to their end. */
struct seen take_level(struct parse *p, const struct level *level);

/* --- text.c --- */

/* false if the text is something else, which is complained of. */
bool take_addr(struct parse *p, const char *text, struct pos at, struct tn_addr *out);
bool take_prefix(struct parse *p, const char *text, struct pos at, struct prefix *out);
bool take_interface(struct parse *p, const char *text, struct pos at);
bool take_pattern(struct parse *p, const char *text, struct pos at);

/* Complain of a name of a tenant or mapping, `what`, that is not valid: it says why. */
void bad_name(struct parse *p, const char *what, const char *text, struct pos at);

/* "IPv4" or "IPv6". */
const char *family_name(const struct tn_addr *a);

struct unit {
	const char *name;
	uint64_t factor; /* how many of the smallest unit it is */
};

/* A whole number followed by one of the units, in the smallest unit. Complains of nothing. */
bool amount_parse(const char *text, const struct unit *units, size_t n, uint64_t *out);
/* A whole number. Complains of nothing. */
bool count_parse(const char *text, uint64_t *out);

/* --- mapping.c, router.c, tenant.c: what their keys take --- */

/* Of limits, the smallest first. */
#define RATE_UNITS 4
#define SIZE_UNITS 3
extern const struct unit rate_units[RATE_UNITS]; /* in bits a second */
extern const struct unit size_units[SIZE_UNITS]; /* in bytes */

extern const struct level file_level, tenant_level, router_level, mapping_level;

void mappings_item(struct parse *p, const char *text, struct pos at);
void tenant_takes_router(struct parse *p, const char *text, struct pos at);
void tenants_item(struct parse *p, const char *text, struct pos at);

/* --- check.c --- */

/* Something that may be there only once. At most 32 bytes: qsort() is slower with larger ones. */
struct taken {
	struct tn_addr addr; /* of a name: its family and its first bytes, which sort quickly */
	const char *name;    /* "" for an address */
	uint32_t tenant;     /* index */
	uint32_t index;	     /* in the list that has its place, so in the order of the file */
};
typedef VEC(struct taken) taken_vec;

/* Compare all 128 bits as a number: IPv4 sorts as IPv4-mapped IPv6, as in prefixes. */
int bytes_cmp(const struct tn_addr *a, const struct tn_addr *b);

/* A name that may be used once in each family. `name` has to outlive it. */
struct taken taken_name(const char *name, bool v6, uint32_t tenant, uint32_t index);

/* Sort, and call `twice` for each one that is there again, with the first of its kind. */
void check_once(struct parse *p, taken_vec *taken,
		void (*twice)(struct parse *p, const struct taken *first,
			      const struct taken *again));

/* Sorts every prefix behind those that contain it. */
int prefix_at_cmp(const void *a, const void *b);

/* Sort, and complain of each that overlaps another. `what` they are: "pool". Whether none does. */
bool check_disjoint(struct parse *p, const char *what, struct prefix_at *v, size_t n);

/* The shared subnet that has the address, or NULL. */
const struct prefix *subnet_of(const struct parse *p, const struct tn_addr *a);

/* For what the subnet reserves this address, as an adjective: "network", "broadcast". */
const char *reserved_for(const struct prefix *subnet, const struct tn_addr *a);

/* A tenant, as complaints call it. `buf` is returned. */
#define TENANT_TEXT (TENANT_NAME_MAX + 32)
const char *tenant_text(const struct tenant *t, char buf[TENANT_TEXT]);
#define TENANT(t) tenant_text((t), (char[TENANT_TEXT]){ 0 })

/* The second pass. */
void check_file(struct parse *p);

/* --- check_address.c --- */

/* Within each tenant: its pools, and the addresses and names of its mappings. Sorts its pools. */
void check_tenants(struct parse *p);
/* Between tenants: the addresses that the file gives out. Sorts all pools, so it comes last. */
void check_pinned(struct parse *p);

/* --- check_router.c --- */

/* The routers' own addresses and their routes. */
void check_router_addresses(struct parse *p);
/* That no two routers have, or may find, the same shared interface. */
void check_router_interfaces(struct parse *p);

#endif
