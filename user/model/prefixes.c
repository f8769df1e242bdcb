/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/prefixes.h"

#include <arpa/inet.h>
#include <stdarg.h>

struct prefix mapping_fixed(const struct mapping *m)
{
	return (struct prefix){ m->fixed, (uint8_t)(128 - m->bits) };
}

struct prefix mapping_shared(const struct mapping *m)
{
	return (struct prefix){ m->shared, (uint8_t)(128 - m->bits) };
}

const char *mapping_side_text(const struct tn_addr *a, uint8_t bits, char buf[ADDR_TEXT])
{
	const struct prefix p = { *a, (uint8_t)(128 - bits) };

	return bits ? prefix_text(&p, buf) : addr_text(a, buf);
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

void exceptions_sort(struct addr_list *list)
{
	vec_sort_once(&list->list, addr_order);
}

bool same_exceptions(const struct addr_list *a, const struct addr_list *b)
{
	size_t n = a ? a->list.n : 0;

	return n == (b ? b->list.n : 0) &&
	       (!n || memcmp(a->list.v, b->list.v, n * sizeof(*a->list.v)) == 0);
}

static bool is_excepted(const struct mapping *m, const struct tn_addr *fixed)
{
	return m->except && m->except->list.n &&
	       bsearch(fixed, m->except->list.v, m->except->list.n, sizeof(*fixed), addr_order);
}

/* The one side's address of the other side's: both differ by the same, where the prefix is. */
static struct tn_addr cross(const struct mapping *m, const struct tn_addr *a)
{
	struct tn_addr other = *a;

	for (int i = 0; i < 4; i++)
		other.w[i] ^= m->fixed.w[i] ^ m->shared.w[i];
	return other;
}

struct tn_addr mapping_shared_of(const struct mapping *m, const struct tn_addr *fixed)
{
	return cross(m, fixed);
}

struct tn_addr mapping_fixed_of(const struct mapping *m, const struct tn_addr *shared)
{
	return cross(m, shared);
}

bool mapping_has_fixed(const struct mapping *m, const struct tn_addr *fixed)
{
	const struct prefix p = mapping_fixed(m);

	return prefix_has(&p, fixed) && !is_excepted(m, fixed);
}

bool mapping_has_shared(const struct mapping *m, const struct tn_addr *shared)
{
	const struct prefix p = mapping_shared(m);
	struct tn_addr fixed;

	if (addr_is_unset(&m->shared) || !prefix_has(&p, shared))
		return false;
	fixed = cross(m, shared);
	return !is_excepted(m, &fixed);
}

struct tn_addr mapping_any_fixed(const struct mapping *m)
{
	struct tn_addr a = m->fixed;

	if (!m->bits)
		return a;
	a.w[3 - (m->bits - 1) / 32] |= htonl(1U << (m->bits - 1) % 32);
	while (is_excepted(m, &a))
		a = addr_add(&a, 1);
	return mapping_has_fixed(m, &a) ? a : m->fixed;
}

/* ------------------------------------------------------------ by address */

static int by_fixed_cmp(const void *a, const void *b)
{
	const struct prefix_of *x = a, *y = b;

	if (x->tenant != y->tenant)
		return x->tenant < y->tenant ? -1 : 1;
	return addr_cmp(&x->mapping->fixed, &y->mapping->fixed);
}

static int by_shared_cmp(const void *a, const void *b)
{
	const struct prefix_of *x = a, *y = b;

	return addr_cmp(&x->mapping->shared, &y->mapping->shared);
}

void prefix_index_make(const struct model *m, struct prefix_index *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (!mapping->bits)
				continue;
			*vec_push(&out->by_fixed) = (struct prefix_of){ t, mapping };
			if (!addr_is_unset(&mapping->shared))
				*vec_push(&out->by_shared) = (struct prefix_of){ t, mapping };
		}
	}
	vec_sort(&out->by_fixed, by_fixed_cmp);
	vec_sort(&out->by_shared, by_shared_cmp);
}

void prefix_index_free(struct prefix_index *index)
{
	vec_free(&index->by_fixed);
	vec_free(&index->by_shared);
}

/* The last one that does not begin behind the key; NULL: none. */
static const struct prefix_of *last_before(const struct prefix_of *v, size_t n,
					   const struct prefix_of *key,
					   int (*cmp)(const void *, const void *))
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp(&v[mid], key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &v[low - 1] : NULL;
}

static const struct prefix_of *around_fixed(const struct prefix_index *index,
					    const struct tenant *t, const struct tn_addr *fixed)
{
	const struct mapping like = { .fixed = *fixed };
	const struct prefix_of key = { t, &like };
	const struct prefix_of *p =
		last_before(index->by_fixed.v, index->by_fixed.n, &key, by_fixed_cmp);
	struct prefix around;

	if (!p || p->tenant != t)
		return NULL;
	around = mapping_fixed(p->mapping);
	return prefix_has(&around, fixed) ? p : NULL;
}

const struct mapping *prefix_of_fixed(const struct prefix_index *index, const struct tenant *t,
				      const struct tn_addr *fixed)
{
	const struct prefix_of *p = around_fixed(index, t, fixed);

	return p && !is_excepted(p->mapping, fixed) ? p->mapping : NULL;
}

const struct prefix_of *prefix_of_shared(const struct prefix_index *index,
					 const struct tn_addr *shared)
{
	const struct mapping like = { .shared = *shared };
	const struct prefix_of key = { NULL, &like };
	const struct prefix_of *p =
		last_before(index->by_shared.v, index->by_shared.n, &key, by_shared_cmp);

	return p && mapping_has_shared(p->mapping, shared) ? p : NULL;
}

/* ------------------------------------------------------------ whether it can be */

struct checking {
	const struct model *model;
	struct prefix_index index;
	prefix_tell tell;
	void *arg;
};

#define FAULT_TEXT 384

static void __attribute__((format(printf, 5, 6)))
fault(const struct checking *c, const struct tenant *t, const struct mapping *m,
      enum mapping_part part, const char *format, ...)
{
	char text[FAULT_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	c->tell(c->arg, t, m, part, text);
}

static const char *name_of(const struct tenant *t)
{
	return t->name ? t->name : "without a name";
}

static void check_exceptions(const struct checking *c, const struct tenant *t,
			     const struct mapping *m)
{
	const struct prefix p = mapping_fixed(m);

	if (!m->except)
		return;
	vec_each (a, &m->except->list) {
		if (!prefix_has(&p, a))
			fault(c, t, m, PART_EXCEPT,
			      "the exception `%s` is outside of `%s`; use an address of the "
			      "prefix, "
			      "or remove it",
			      ADDR(a), FIXED(m));
		else if (addr_cmp(a, &m->fixed) == 0)
			fault(c, t, m, PART_EXCEPT,
			      "`%s` is the first address of `%s`, by which that is known; it "
			      "cannot "
			      "be an exception",
			      ADDR(a), FIXED(m));
	}
}

/* The network's own and the broadcast address of a shared subnet nobody may have. */
static void check_reserved(const struct checking *c, const struct tenant *t,
			   const struct mapping *m)
{
	const struct prefix p = mapping_shared(m);

	vec_each (s, &c->model->subnets) {
		struct tn_addr last = prefix_last(s);

		if (prefix_reserves(s, &s->addr) && mapping_has_shared(m, &s->addr))
			fault(c, t, m, PART_SHARED,
			      "the shared prefix `%s` has the network address of the shared subnet "
			      "`%s` in it; use another one",
			      PREFIX(&p), PREFIX(s));
		else if (prefix_reserves(s, &last) && mapping_has_shared(m, &last))
			fault(c, t, m, PART_SHARED,
			      "the shared prefix `%s` has the broadcast address of the shared "
			      "subnet "
			      "`%s` in it; use another one",
			      PREFIX(&p), PREFIX(s));
	}
}

/* Addresses out of another tenant's pool could be given out again there. */
static void check_pools(const struct checking *c, const struct tenant *t, const struct mapping *m)
{
	const struct prefix p = mapping_shared(m);

	vec_each (other, &c->model->tenants) {
		if (other == t || !t->pools.n)
			continue;
		vec_each (pool, &other->pools) {
			if (!prefix_overlap(pool, &p))
				continue;
			fault(c, t, m, PART_SHARED,
			      "the shared prefix `%s` is also in the pool `%s` of tenant %s; make "
			      "the pools disjoint, or use another prefix",
			      PREFIX(&p), PREFIX(pool), name_of(other));
			return;
		}
	}
}

/* Sorted, each that overlaps another does so with one before it. */
static void check_overlaps(const struct checking *c)
{
	const struct prefix_of *widest = NULL;

	vec_each (p, &c->index.by_fixed) {
		struct prefix wide, narrow = mapping_fixed(p->mapping);

		if (widest && widest->tenant == p->tenant) {
			wide = mapping_fixed(widest->mapping);
			if (prefix_overlap(&wide, &narrow)) {
				fault(c, p->tenant, p->mapping, PART_FIXED,
				      "the prefix `%s` overlaps `%s` of the same tenant; make them "
				      "disjoint",
				      PREFIX(&narrow), PREFIX(&wide));
				continue;
			}
		}
		widest = p;
	}
	widest = NULL;
	vec_each (p, &c->index.by_shared) {
		struct prefix wide, narrow = mapping_shared(p->mapping);

		if (widest) {
			wide = mapping_shared(widest->mapping);
			if (prefix_overlap(&wide, &narrow)) {
				fault(c, p->tenant, p->mapping, PART_SHARED,
				      "the shared prefix `%s` overlaps `%s` of tenant %s; use "
				      "another one",
				      PREFIX(&narrow), PREFIX(&wide), name_of(widest->tenant));
				continue;
			}
		}
		widest = p;
	}
}

/* A mapping of one address, beside prefixes. */
static void check_single(const struct checking *c, const struct tenant *t, const struct mapping *m)
{
	const struct prefix_of *around = around_fixed(&c->index, t, &m->fixed);
	const struct prefix_of *taken =
		addr_is_unset(&m->shared) ? NULL : prefix_of_shared(&c->index, &m->shared);
	const struct mapping *p = around ? around->mapping : NULL;
	struct tn_addr there;

	if (p && addr_cmp(&p->fixed, &m->fixed) == 0) {
		fault(c, t, m, PART_FIXED,
		      "`%s` is the first address of the prefix `%s`, by which that is known; it "
		      "cannot have a mapping of its own",
		      ADDR(&m->fixed), FIXED(p));
		return;
	}
	if (p && mapping_has_fixed(p, &m->fixed) && !addr_is_unset(&m->shared) &&
	    !addr_is_unset(&p->shared)) {
		there = mapping_shared_of(p, &m->fixed);
		if (addr_cmp(&there, &m->shared) != 0)
			fault(c, t, m, PART_SHARED,
			      "`%s` is in the prefix `%s`, where its shared address is `%s`, not "
			      "`%s`; use that one, or add `%s` to `except` of the prefix",
			      ADDR(&m->fixed), FIXED(p), ADDR(&there), ADDR(&m->shared),
			      ADDR(&m->fixed));
		return;
	}
	if (!taken)
		return;
	there = mapping_fixed_of(taken->mapping, &m->shared);
	fault(c, t, m, PART_SHARED,
	      "the shared address `%s` is in the prefix `%s` of tenant %s, for `%s`; use another "
	      "one",
	      ADDR(&m->shared), SHARED(taken->mapping), name_of(taken->tenant), ADDR(&there));
}

/* The address of a router is nobody's in a prefix. */
static void check_routers_address(const struct checking *c, const struct tn_addr *a)
{
	const struct prefix_of *p = addr_is_unset(a) ? NULL : prefix_of_shared(&c->index, a);
	struct tn_addr there;

	if (!p)
		return;
	there = mapping_fixed_of(p->mapping, a);
	fault(c, p->tenant, p->mapping, PART_SHARED,
	      "`%s` of the shared prefix `%s` is the address of a router; use another prefix, or "
	      "add "
	      "`%s` to `except`",
	      ADDR(a), SHARED(p->mapping), ADDR(&there));
}

void prefixes_check(const struct model *m, const struct addr_list *reserved, prefix_tell tell,
		    void *arg)
{
	struct checking c = { .model = m, .tell = tell, .arg = arg };

	prefix_index_make(m, &c.index);
	if (c.index.by_fixed.n) {
		check_overlaps(&c);
		vec_each (p, &c.index.by_fixed)
			check_exceptions(&c, p->tenant, p->mapping);
		vec_each (p, &c.index.by_shared) {
			check_reserved(&c, p->tenant, p->mapping);
			check_pools(&c, p->tenant, p->mapping);
		}
		vec_each (t, &m->tenants) {
			const struct router *r = tenant_router(t);

			for (int f = 0; r && f < FAMILIES; f++)
				check_routers_address(&c, &r->own[f].addr);
			vec_each (mapping, &t->mappings) {
				if (!mapping->bits && !addr_is_unset(&mapping->fixed))
					check_single(&c, t, mapping);
			}
		}
		for (size_t i = 0; reserved && i < reserved->list.n; i++)
			check_routers_address(&c, &reserved->list.v[i]);
	}
	prefix_index_free(&c.index);
}

static void tell_first(void *arg, const struct tenant *t, const struct mapping *m,
		       enum mapping_part part, const char *text)
{
	struct error *err = arg;

	(void)m, (void)part;
	if (!err->set)
		error_usage(err, "tenant %s: %s", name_of(t), text);
}

int prefixes_fault(const struct model *m, const struct addr_list *reserved, struct error *err)
{
	struct error first = { 0 };

	prefixes_check(m, reserved, tell_first, &first);
	if (!first.set)
		return 0;
	*err = first;
	return -1;
}
