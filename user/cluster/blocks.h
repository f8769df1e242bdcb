/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks: 256 addresses that follow one another are one key, which says of each of them that has an
 * owner who that is: blocks/4/64400100 of 100.64.1.0/24, and blocks/6/ with 32 digits. An address
 * is nobody's but of who is in its block, and a block is changed by compare-and-swap: so no address
 * has two owners. Keys sort as addresses do. Pure.
 */
#ifndef TN_BLOCKS_H
#define TN_BLOCKS_H

#include "cluster/keys.h"

/* Bits of the last one. */
#define BLOCK_BITS 8
#define BLOCK_LEN  (128 - BLOCK_BITS)

/* "blocks/6/", 32 digits and a NUL. */
#define KEY_BLOCK_MAX 48
const char *key_block(const struct tn_addr *a, char buf[KEY_BLOCK_MAX]);
#define KEY_BLOCK(a) key_block((a), (char[KEY_BLOCK_MAX]){ 0 })
/* The addresses of a block; false: it is the key of none. */
bool block_parse(const char *key, struct prefix *out);

/* The keys from `from` on that are before `to`, as etcd takes them. */
struct key_range {
	char from[KEY_BLOCK_MAX];
	char to[KEY_BLOCK_MAX];
};

struct key_ranges {
	VEC(struct key_range) list;
};

void key_ranges_free(struct key_ranges *r);
#define _cleanup_key_ranges_ _cleanup_(key_ranges_free)
/* The blocks that have an address of the prefix. */
void key_ranges_add(struct key_ranges *r, const struct prefix *p);
/* Sorted, and none of them overlaps or touches another. */
void key_ranges_merge(struct key_ranges *r);
bool key_ranges_have(const struct key_ranges *r, const char *key);

/* That a cluster has no mappings of prefixes, as an error; -1. */
int blocks_no_prefix(const char *tenant, const struct mapping *m, struct error *err);

/*
 * Adds the blocks of all addresses that the model gives to somebody. -1: a mapping has none, or is
 * of a prefix.
 */
int blocks_write(const struct model *m, struct entries *out, struct error *err);

/* The owner of an address, as a block has it. */
struct owner {
	char tenant[TENANT_NAME_MAX + 1];
	bool is_router;
	struct mapping mapping; /* `shared` and `pinned` also of a router; owns its name */
};

/* -1: the entry is none. */
int owner_read(const char *key, const char *addr, const json_t *entry, struct owner *out,
	       struct error *err);

/*
 * The value of a block (NULL: there is none) with the mapping, or without the address. Those of
 * others stay as they are. A block without addresses is "{}": it is to be deleted. NULL: the value
 * is none. The caller's to free.
 */
char *block_with(const char *key, const char *value, const char *tenant, const struct mapping *m,
		 struct error *err);
char *block_with_router(const char *key, const char *value, const char *tenant,
			const struct tn_addr *leased, struct error *err);
char *block_without(const char *key, const char *value, const struct tn_addr *a, struct error *err);

/* Adds the tenants that have something else in the one value than in the other; NULL: no value. */
struct names {
	VEC(char *) list; /* sorted by names_sort(), each once */
};
void names_free(struct names *n);
#define _cleanup_names_ _cleanup_(names_free)
void names_sort(struct names *n);
int block_touches(const char *key, const char *before, const char *after, struct names *out,
		  struct error *err);

#endif
