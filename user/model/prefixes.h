/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prefix mappings: a fixed prefix and a shared one of the same length, with exceptions. A mapping
 * of a single address is none, and its `bits` are 0. Pure.
 */
#ifndef TN_PREFIXES_H
#define TN_PREFIXES_H

#include "lib/error.h"
#include "model/model.h"

/* Both sides of a mapping as prefixes; of a single address /32 or /128. */
struct prefix mapping_fixed(const struct mapping *m);
struct prefix mapping_shared(const struct mapping *m);

/* The same as text: "10.0.0.5", or "10.0.0.0/24". In a buffer of the expression's own. */
const char *mapping_side_text(const struct tn_addr *a, uint8_t bits, char buf[ADDR_TEXT]);
#define FIXED(m)  mapping_side_text(&(m)->fixed, (m)->bits, (char[ADDR_TEXT]){ 0 })
#define SHARED(m) mapping_side_text(&(m)->shared, (m)->bits, (char[ADDR_TEXT]){ 0 })

/* The same of a row with these flags. */
static inline uint8_t row_bits(uint32_t flags)
{
	return flags & TN_SHARED_PREFIX ? flags >> TN_PREFIX_BITS : 0;
}
#define ROW_SIDE(row, side) \
	mapping_side_text(&(row)->side, row_bits((row)->flags), (char[ADDR_TEXT]){ 0 })

/* Whether the mapping translates that fixed address, or that shared one. */
bool mapping_has_fixed(const struct mapping *m, const struct tn_addr *fixed);
bool mapping_has_shared(const struct mapping *m, const struct tn_addr *shared);
/* The shared address of a fixed one that it has, and the other way round. */
struct tn_addr mapping_shared_of(const struct mapping *m, const struct tn_addr *fixed);
struct tn_addr mapping_fixed_of(const struct mapping *m, const struct tn_addr *shared);

/*
 * A fixed address that it has, as any VM of it: of a prefix one in its middle, as the first and the
 * last ones may be the network's own.
 */
struct tn_addr mapping_any_fixed(const struct mapping *m);

/* Whether both have the same exceptions; NULL is none. */
bool same_exceptions(const struct addr_list *a, const struct addr_list *b);
/* Sorts them, each once. */
void exceptions_sort(struct addr_list *list);

/* The prefixes of a model, to be looked for by address. They may not overlap where they are found.
 */
struct prefix_of {
	const struct tenant *tenant;
	const struct mapping *mapping;
};

struct prefix_index {
	VEC(struct prefix_of) by_fixed;	 /* sorted by tenant, and fixed */
	VEC(struct prefix_of) by_shared; /* without those that have none yet; sorted by shared */
};

/* The model may not change as long as it is used. The caller's to free. */
void prefix_index_make(const struct model *m, struct prefix_index *out);
void prefix_index_free(struct prefix_index *index);
#define _cleanup_prefix_index_ _cleanup_(prefix_index_free)

/* The prefix mapping that translates the address; NULL: there is none. */
const struct mapping *prefix_of_fixed(const struct prefix_index *index, const struct tenant *t,
				      const struct tn_addr *fixed);
const struct prefix_of *prefix_of_shared(const struct prefix_index *index,
					 const struct tn_addr *shared);

/* Which value of a mapping is wrong. */
enum mapping_part { PART_FIXED, PART_SHARED, PART_EXCEPT };

/*
 * Check all that prefixes have to do with each other, with other mappings, with pools and with the
 * addresses of routers, as far as these are known; `reserved` (or NULL) are more of those. `tell`
 * is called for each fault: of which mapping what is wrong, and what to do. Names may be NULL.
 */
typedef void (*prefix_tell)(void *arg, const struct tenant *t, const struct mapping *m,
			    enum mapping_part part, const char *text);
void prefixes_check(const struct model *m, const struct addr_list *reserved, prefix_tell tell,
		    void *arg);
/* The same: -1 with the first fault as a usage error. */
int prefixes_fault(const struct model *m, const struct addr_list *reserved, struct error *err);

#endif
