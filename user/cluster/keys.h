/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The definitions of a cluster as etcd has them: keys and values, both text. docs/cluster.md says
 * what each key holds. Keys are without the prefix of the cluster. Values are JSON with
 * sorted keys and without spaces, so that equal definitions give equal bytes. Pure.
 */
#ifndef TN_KEYS_H
#define TN_KEYS_H

#include <jansson.h>

#include "lib/error.h"
#include "model/model.h"

#define KEY_CLUSTER  "cluster"
#define KEY_NETWORK  "network"
#define KEY_HEAD     "head"
#define KEY_CHANGING "changing"
#define KEY_TENANTS  "tenants/"
#define KEY_BLOCKS   "blocks/"
#define KEY_HISTORY  "history/"

#define KEY_TENANT_MAX (sizeof(KEY_TENANTS) + TENANT_NAME_MAX)
const char *key_tenant(const char *name, char buf[KEY_TENANT_MAX]);
#define KEY_TENANT(name) key_tenant((name), (char[KEY_TENANT_MAX]){ 0 })

struct entry {
	char *key;
	char *value;
	int64_t revision; /* mod_revision of etcd; 0: not from there */
};

struct entries {
	VEC(struct entry) list; /* sorted by key (strcmp), each once */
};

void entries_free(struct entries *e);
#define _cleanup_entries_ _cleanup_(entries_free)
/* NULL: there is none. */
struct entry *entries_find(const struct entries *e, const char *key);
/* Both are copied. The list is not sorted then: entries_sort(). */
struct entry *entries_add(struct entries *e, const char *key, const char *value, int64_t revision);
void entries_sort(struct entries *e);
/*
 * Calls `each` for every key that has another value in the one list than in the other, in their
 * order; `was` or `is` is NULL where there is none. -1: `each` has returned something else than 0.
 */
typedef int (*entries_each)(void *arg, const struct entry *was, const struct entry *is,
			    struct error *err);
int entries_differ(const struct entries *had, const struct entries *will, entries_each each,
		   void *arg, struct error *err);

/*
 * All of the definitions, which are complete (every address given) and sorted: `network`, a key of
 * each tenant, and the blocks with everybody's addresses. What is a host's own is not in them: ids,
 * `detached`, `passed_over`, the file. -1: a name is no UTF-8. `out` is the caller's to free, also
 * then.
 */
int keys_write(const struct model *m, struct entries *out, struct error *err);

/*
 * Reading, in this order: the network, the tenants by name, blocks in any order, and the end. Every
 * error names the key, and says what is wrong with it and what to do.
 */
struct owner; /* blocks.h */

struct reader {
	struct model m;	 /* what was read; without ids */
	bool unfinished; /* a change was cut short: what contradicts itself is left out, no error */
	/* Which addresses are kept; NULL: all. `t` NULL: the tenant is not one of the model. */
	bool (*wants)(void *arg, const struct tenant *t, const struct owner *o);
	void *arg;
	json_t *network; /* for the tenants, which are checked with it */
};

void reader_free(struct reader *r);
#define _cleanup_reader_ _cleanup_(reader_free)
int reader_network(struct reader *r, const char *value, struct error *err);
/* After that of another tenant whose name is before this one's. */
int reader_tenant(struct reader *r, const char *key, const char *value, struct error *err);
int reader_block(struct reader *r, const char *key, const char *value, struct error *err);
/* The model is sorted and checked then; it is the caller's to take from `r->m`. */
int reader_end(struct reader *r, struct error *err);

/* All of that, of a list that has everything. Keys that it has besides are passed over. */
int keys_read(const struct entries *e, bool unfinished, struct model *out, struct error *err);

/* Returns -1 with an error that says what is wrong with the value of the key. */
int key_damaged(struct error *err, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The value as an object, the caller's to free; NULL: it is none. */
json_t *key_object(const char *key, const char *value, struct error *err);
/* That the object has no other fields than these, which NULL ends. */
int key_fields(const char *key, const json_t *object, const char *const *known, struct error *err);
/* The value of an entry, which takes it. */
char *json_compact(json_t *value);

#endif
