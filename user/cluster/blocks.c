/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/blocks.h"

#include <inttypes.h>

/* ------------------------------------------------------------ keys */

static const struct {
	const char *prefix;
	size_t bytes;
} families[FAMILIES] = { { KEY_BLOCKS "4/", 4 }, { KEY_BLOCKS "6/", 16 } };

static struct tn_addr block_of(const struct tn_addr *a)
{
	struct tn_addr first = *a;

	((uint8_t *)first.w)[15] = 0;
	return first;
}

const char *key_block(const struct tn_addr *a, char buf[KEY_BLOCK_MAX])
{
	int family = addr_family(a);
	struct tn_addr first = block_of(a);
	size_t n = (size_t)snprintf(buf, KEY_BLOCK_MAX, "%s", families[family].prefix);

	for (size_t i = 16 - families[family].bytes; i < 16; i++)
		n += (size_t)snprintf(buf + n, KEY_BLOCK_MAX - n, "%02x",
				      ((const uint8_t *)first.w)[i]);
	return buf;
}

bool block_parse(const char *key, struct prefix *out)
{
	int family =
		strncmp(key, families[IPV4].prefix, strlen(families[IPV4].prefix)) ? IPV6 : IPV4;
	const char *digits = key + strlen(families[family].prefix);
	size_t bytes = families[family].bytes;
	unsigned int byte;
	uint8_t raw[16];
	char again[KEY_BLOCK_MAX];

	if (strncmp(key, families[family].prefix, strlen(families[family].prefix)) != 0 ||
	    strlen(digits) != 2 * bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return false;
		raw[i] = (uint8_t)byte;
	}
	*out = (struct prefix){ addr_from_bytes(raw, bytes), BLOCK_LEN };
	/* lower case, and the first address of the block */
	return strcmp(key_block(&out->addr, again), key) == 0;
}

void key_ranges_free(struct key_ranges *r)
{
	vec_free(&r->list);
}

void key_ranges_add(struct key_ranges *r, const struct prefix *p)
{
	struct key_range *added = vec_push(&r->list);
	struct tn_addr last = prefix_last(p);

	key_block(&p->addr, added->from);
	key_block(&last, added->to);
	/* a key ends in 00, so nothing is between this end and the last key */
	added->to[strlen(added->to) - 1] = '1';
}

static int range_cmp(const void *a, const void *b)
{
	return strcmp(((const struct key_range *)a)->from, ((const struct key_range *)b)->from);
}

/* Whether a range that begins there has nothing but keys of none between itself and `before`. */
static bool touches(const struct key_range *before, const struct key_range *r)
{
	struct tn_addr next;
	struct prefix last;
	char key[KEY_BLOCK_MAX];

	if (strcmp(r->from, before->to) < 0)
		return true;
	snprintf(key, sizeof(key), "%s", before->to);
	key[strlen(key) - 1] = '0';
	if (!block_parse(key, &last))
		return false;
	next = addr_add(&last.addr, 1 << BLOCK_BITS);
	return strcmp(key_block(&next, key), r->from) == 0;
}

void key_ranges_merge(struct key_ranges *r)
{
	size_t n = 0;

	vec_sort(&r->list, range_cmp);
	vec_each (range, &r->list) {
		struct key_range *before = n ? &r->list.v[n - 1] : NULL;

		if (!before || !touches(before, range))
			r->list.v[n++] = *range;
		else if (strcmp(before->to, range->to) < 0)
			memcpy(before->to, range->to, sizeof(before->to));
	}
	r->list.n = n;
}

bool key_ranges_have(const struct key_ranges *r, const char *key)
{
	size_t low = 0, high = r->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(r->list.v[mid].from, key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low && strcmp(key, r->list.v[low - 1].to) < 0;
}

/* ------------------------------------------------------------ writing */

/* An address and whose it is. */
struct owned {
	struct tn_addr addr;
	const struct tenant *tenant;
	const struct mapping *mapping; /* NULL: its router's */
};

typedef VEC(struct owned) owned_vec;

static int owned_cmp(const void *a, const void *b)
{
	return addr_cmp(&((const struct owned *)a)->addr, &((const struct owned *)b)->addr);
}

static int find_owned(const struct model *m, owned_vec *out, struct error *err)
{
	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		for (int f = 0; r && f < FAMILIES; f++) {
			if (!addr_is_unset(&r->own[f].addr))
				*vec_push(out) = (struct owned){ r->own[f].addr, t, NULL };
		}
		vec_each (mapping, &t->mappings) {
			if (addr_is_unset(&mapping->shared))
				return error_set(err,
						 "tenant %s: %s has no shared address yet; please "
						 "report this",
						 t->name, ADDR(&mapping->fixed));
			*vec_push(out) = (struct owned){ mapping->shared, t, mapping };
		}
	}
	vec_sort(out, owned_cmp);
	return 0;
}

/* Names and addresses are of letters, digits and what needs no escape. */
static void write_mapping(FILE *f, const struct owned *o)
{
	const struct mapping *m = o->mapping;
	const struct limit *l = &m->limit;

	fprintf(f, "{\"fixed\":\"%s\"", ADDR(&m->fixed));
	if (l->rate && l->packets)
		fprintf(f,
			",\"limit\":{\"burst\":%" PRIu64 ",\"packets\":%" PRIu64
			",\"rate\":%" PRIu64 "}",
			l->burst, l->packets, l->rate);
	else if (l->rate)
		fprintf(f, ",\"limit\":{\"burst\":%" PRIu64 ",\"rate\":%" PRIu64 "}", l->burst,
			l->rate);
	else if (l->packets)
		fprintf(f, ",\"limit\":{\"packets\":%" PRIu64 "}", l->packets);
	if (m->name)
		fprintf(f, ",\"name\":\"%s\"", m->name);
	fprintf(f, "%s,\"tenant\":\"%s\"}", m->pinned ? ",\"pinned\":true" : "", o->tenant->name);
}

static void write_owner(FILE *f, const struct owned *o)
{
	bool pinned;

	if (o->mapping) {
		write_mapping(f, o);
		return;
	}
	pinned = tenant_router(o->tenant)->own[addr_family(&o->addr)].pinned;
	fprintf(f, "{%s\"router\":true,\"tenant\":\"%s\"}", pinned ? "\"pinned\":true," : "",
		o->tenant->name);
}

/* An address of a block, with its text, by which the block sorts them. */
struct line {
	char addr[ADDR_TEXT];
	const struct owned *owned;
};

static int line_cmp(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->addr, ((const struct line *)b)->addr);
}

static char *block_value(struct line *lines, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	sort_rows(lines, n, sizeof(*lines), line_cmp);
	for (size_t i = 0; f && i < n; i++) {
		fprintf(f, "%c\"%s\":", i ? ',' : '{', lines[i].addr);
		write_owner(f, lines[i].owned);
	}
	if (!f || fputc('}', f) == EOF || fclose(f)) {
		fputs("tenantnat: out of memory\n", stderr);
		exit(1);
	}
	return text;
}

/* Of those from `first` on, the ones in its block; their number. */
static size_t write_block(const owned_vec *all, size_t first, struct entries *out)
{
	struct tn_addr block = block_of(&all->v[first].addr);
	struct line lines[1 << BLOCK_BITS];
	size_t n = 0;

	for (; first + n < all->n; n++) {
		const struct owned *o = &all->v[first + n];
		struct tn_addr of = block_of(&o->addr);

		if (addr_cmp(&of, &block) != 0)
			break;
		addr_text(&o->addr, lines[n].addr);
		lines[n].owned = o;
	}
	*vec_push(&out->list) =
		(struct entry){ xstrdup(KEY_BLOCK(&block)), block_value(lines, n), 0 };
	return n;
}

int blocks_write(const struct model *m, struct entries *out, struct error *err)
{
	owned_vec all = { 0 };
	int ret = find_owned(m, &all, err);

	for (size_t i = 1; !ret && i < all.n; i++) {
		if (addr_cmp(&all.v[i - 1].addr, &all.v[i].addr) == 0)
			ret = error_set(
				err, "%s has two owners, in tenants %s and %s; please report this",
				ADDR(&all.v[i].addr), all.v[i - 1].tenant->name,
				all.v[i].tenant->name);
	}
	for (size_t i = 0; !ret && i < all.n;)
		i += write_block(&all, i, out);
	vec_free(&all);
	return ret;
}

/* ------------------------------------------------------------ reading */

/* What is wrong with the entry of that address; returns -1. */
#define bad_entry(err, key, addr, format, ...) \
	key_damaged((err), (key), "%.64s " format, (addr), ##__VA_ARGS__)

/* The text of a field; "" when there is none. False: it is something else. */
static bool text_field(const json_t *entry, const char *name, const char **out)
{
	json_t *field = json_object_get(entry, name);

	*out = json_is_string(field) ? json_string_value(field) : "";
	return !field || json_is_string(field);
}

static bool flag_field(const json_t *entry, const char *name, bool *out)
{
	json_t *field = json_object_get(entry, name);

	*out = json_is_true(field);
	return !field || json_is_boolean(field);
}

static bool number_field(const json_t *entry, const char *name, uint64_t *out)
{
	json_t *field = json_object_get(entry, name);

	*out = (uint64_t)json_integer_value(field);
	return !field || (json_is_integer(field) && json_integer_value(field) > 0);
}

static int read_limit(const char *key, const char *addr, const json_t *limit, struct limit *out,
		      struct error *err)
{
	static const char *const known[] = { "rate", "burst", "packets", NULL };

	if (!limit)
		return 0;
	if (json_is_object(limit) && key_fields(key, limit, known, err))
		return -1;
	if (!json_is_object(limit) || !number_field(limit, "rate", &out->rate) ||
	    !number_field(limit, "burst", &out->burst) ||
	    !number_field(limit, "packets", &out->packets) || !limit_valid(out) ||
	    !(out->rate || out->packets))
		return bad_entry(err, key, addr, "has a limit that it cannot have");
	return 0;
}

static int read_mapping(const char *key, const char *addr, const json_t *entry, struct mapping *m,
			struct error *err)
{
	static const char *const known[] = { "tenant", "fixed", "name", "pinned", "limit", NULL };
	const char *fixed, *name;

	if (key_fields(key, entry, known, err))
		return -1;
	if (!text_field(entry, "fixed", &fixed) || !addr_parse(fixed, &m->fixed) ||
	    addr_is_special(&m->fixed) || addr_family(&m->fixed) != addr_family(&m->shared))
		return bad_entry(err, key, addr, "has no valid fixed address");
	if (!text_field(entry, "name", &name) || (*name && !mapping_name_valid(name)))
		return bad_entry(err, key, addr, "has no valid name");
	if (read_limit(key, addr, json_object_get(entry, "limit"), &m->limit, err))
		return -1;
	m->name = *name ? xstrdup(name) : NULL;
	return 0;
}

int owner_read(const char *key, const char *addr, const json_t *entry, struct owner *out,
	       struct error *err)
{
	static const char *const of_router[] = { "tenant", "router", "pinned", NULL };
	const char *tenant;

	memset(out, 0, sizeof(*out));
	/* in one form only: an address is there once */
	if (!addr_parse(addr, &out->mapping.shared) ||
	    strcmp(ADDR(&out->mapping.shared), addr) != 0)
		return bad_entry(err, key, addr, "is no address as tenantnat writes it");
	if (!json_is_object(entry))
		return bad_entry(err, key, addr, "has no owner");
	if (!text_field(entry, "tenant", &tenant) || !tenant_name_valid(tenant))
		return bad_entry(err, key, addr, "has no valid tenant");
	if (!flag_field(entry, "pinned", &out->mapping.pinned) ||
	    !flag_field(entry, "router", &out->is_router))
		return bad_entry(err, key, addr, "has `pinned` or `router` that is not true");
	snprintf(out->tenant, sizeof(out->tenant), "%s", tenant);
	if (out->is_router)
		return key_fields(key, entry, of_router, err);
	return read_mapping(key, addr, entry, &out->mapping, err);
}

static int tenant_cmp(const void *a, const void *b)
{
	return strcmp(((const struct tenant *)a)->name, ((const struct tenant *)b)->name);
}

static struct tenant *find_tenant(struct model *m, const char *name)
{
	const struct tenant like = { .name = (char *)name };

	return m->tenants.n ? bsearch(&like, m->tenants.v, m->tenants.n, sizeof(like), tenant_cmp)
			    : NULL;
}

/* A change that was cut short can have left what its end would have removed. */
static int left_out(const struct reader *r, struct error *err)
{
	if (!r->unfinished)
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

/* What can be wrong with an address of a mapping that is known to be one. */
static int check_mapping(const struct reader *r, const char *key, const char *addr,
			 const struct tenant *t, const struct mapping *m, struct error *err)
{
	const struct prefix *subnet = model_subnet(&r->m, &m->shared);

	if (!subnet)
		return bad_entry(err, key, addr, "is in no shared subnet");
	if (prefix_reserves(subnet, &m->shared))
		return bad_entry(err, key, addr, "is the network or broadcast address of %s",
				 PREFIX(subnet));
	if (model_shares(&r->m, &m->fixed))
		return bad_entry(err, key, addr,
				 "has the fixed address %s, which is in a shared subnet",
				 ADDR(&m->fixed));
	if (!tenant_may_have(&r->m, t, &m->shared))
		return bad_entry(err, key, addr, "is outside the pool of tenant %s", t->name);
	return 0;
}

static int take_own(struct reader *r, const char *key, const char *addr, struct tenant *t,
		    const struct mapping *m, struct error *err)
{
	struct own_address *own;

	if (!t->router) {
		bad_entry(err, key, addr,
			  "is the address of the router of tenant %s, which has none", t->name);
		return left_out(r, err);
	}
	if (!model_shares(&r->m, &m->shared))
		return bad_entry(err, key, addr, "is in no shared subnet");
	own = &t->router->own[addr_family(&m->shared)];
	if (own->pinned != m->pinned ||
	    (!addr_is_unset(&own->addr) && addr_cmp(&own->addr, &m->shared) != 0)) {
		bad_entry(err, key, addr,
			  "is not the address that the router of tenant %s has by %s", t->name,
			  own->pinned ? "its definition" : "another block");
		return left_out(r, err);
	}
	own->addr = m->shared;
	own->wanted = false;
	return 0;
}

/* Takes the name of the mapping when it is kept. */
static int take_owner(struct reader *r, const char *key, const char *addr, struct owner *o,
		      struct error *err)
{
	struct tenant *t = find_tenant(&r->m, o->tenant);

	if (r->wants && !r->wants(r->arg, t, o))
		return 0;
	if (!t) {
		bad_entry(err, key, addr, "belongs to tenant %s, which is not there", o->tenant);
		return left_out(r, err);
	}
	if (o->is_router)
		return take_own(r, key, addr, t, &o->mapping, err);
	if (check_mapping(r, key, addr, t, &o->mapping, err))
		return left_out(r, err);
	*vec_push(&t->mappings) = o->mapping;
	o->mapping.name = NULL;
	return 0;
}

int reader_block(struct reader *r, const char *key, const char *value, struct error *err)
{
	json_t *object = NULL, *entry;
	struct prefix block;
	const char *addr;
	int ret = 0;

	if (!block_parse(key, &block))
		return key_damaged(err, key, "it is no block's");
	object = key_object(key, value, err);
	if (!object)
		return -1;
	json_object_foreach(object, addr, entry)
	{
		struct owner o;

		ret = owner_read(key, addr, entry, &o, err);
		if (!ret && !prefix_has(&block, &o.mapping.shared))
			ret = bad_entry(err, key, addr, "is in another block");
		if (!ret)
			ret = take_owner(r, key, addr, &o, err);
		free(o.mapping.name);
		if (ret)
			break;
	}
	json_decref(object);
	return ret;
}

static int twice(const struct tenant *t, const struct mapping *a, const struct mapping *b,
		 const char *what, struct error *err)
{
	return error_set(
		err,
		"the cluster's keys %s and %s contradict each other: tenant %s has %s at %s and "
		"at %s; remove one of them with etcdctl, or restore a backup of etcd",
		KEY_BLOCK(&a->shared), KEY_BLOCK(&b->shared), t->name, what, ADDR(&a->shared),
		ADDR(&b->shared));
}

static int check_fixed(struct reader *r, struct tenant *t, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < t->mappings.n; i++) {
		struct mapping *m = &t->mappings.v[i], *before = n ? &t->mappings.v[n - 1] : NULL;

		if (!before || addr_cmp(&before->fixed, &m->fixed) != 0) {
			t->mappings.v[n++] = *m;
			continue;
		}
		if (!r->unfinished)
			return twice(t, before, m, ADDR(&m->fixed), err);
		mapping_clear(m);
	}
	t->mappings.n = n;
	return 0;
}

typedef VEC(const struct mapping *) mapping_vec;

static int name_cmp(const void *a, const void *b)
{
	const struct mapping *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order ? order : addr_family(&(*x)->fixed) - addr_family(&(*y)->fixed);
}

static int check_names(const struct tenant *t, struct error *err)
{
	mapping_vec named = { 0 };
	int ret = 0;

	vec_each (m, &t->mappings) {
		if (m->name)
			*vec_push(&named) = m;
	}
	vec_sort(&named, name_cmp);
	for (size_t i = 1; !ret && i < named.n; i++) {
		if (name_cmp(&named.v[i - 1], &named.v[i]) == 0)
			ret = twice(t, named.v[i - 1], named.v[i], named.v[i]->name, err);
	}
	vec_free(&named);
	return ret;
}

/* Where all blocks were read, one of them has the address that a router has by its definition. */
static int check_own(const struct reader *r, struct tenant *t, struct error *err)
{
	for (int f = 0; t->router && f < FAMILIES; f++) {
		struct own_address *own = &t->router->own[f];

		if (own->wanted && !r->unfinished && !r->wants)
			return key_damaged(
				err, KEY_BLOCK(&own->addr),
				"%s is the address of the router of tenant %s, and has no "
				"owner or another one",
				ADDR(&own->addr), t->name);
		own->wanted = false;
	}
	return 0;
}

int reader_end(struct reader *r, struct error *err)
{
	vec_each (t, &r->m.tenants) {
		tenant_sort(t);
		if (check_fixed(r, t, err) || (!r->unfinished && check_names(t, err)) ||
		    check_own(r, t, err))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ differences */

void names_free(struct names *n)
{
	vec_each (name, &n->list)
		free(*name);
	vec_free(&n->list);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *n)
{
	size_t kept = 0;

	vec_sort(&n->list, text_cmp);
	for (size_t i = 0; i < n->list.n; i++) {
		if (kept && strcmp(n->list.v[kept - 1], n->list.v[i]) == 0)
			free(n->list.v[i]);
		else
			n->list.v[kept++] = n->list.v[i];
	}
	n->list.n = kept;
}

/* The value that a block had (NULL: none), with the entry, or without one. */
static char *block_set(const char *key, const char *value, const struct tn_addr *a, json_t *entry,
		       struct error *err)
{
	json_t *block = value ? key_object(key, value, err) : json_object();

	if (!block)
		return NULL;
	if (entry)
		json_object_set(block, ADDR(a), entry);
	else
		json_object_del(block, ADDR(a));
	return json_compact(block);
}

char *block_with(const char *key, const char *value, const char *tenant, const struct mapping *m,
		 struct error *err)
{
	const struct tenant of = { .name = (char *)tenant };
	const struct owned owned = { m->shared, &of, m };
	char *text = NULL, *block;
	json_t *entry;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f) {
		error_set(err, "out of memory");
		return NULL;
	}
	write_owner(f, &owned);
	fclose(f);
	entry = json_loads(text, 0, NULL);
	free(text);
	block = block_set(key, value, &m->shared, entry, err);
	json_decref(entry);
	return block;
}

char *block_with_router(const char *key, const char *value, const char *tenant,
			const struct tn_addr *leased, struct error *err)
{
	json_t *entry = json_pack("{s:b, s:s}", "router", 1, "tenant", tenant);
	char *block = block_set(key, value, leased, entry, err);

	json_decref(entry);
	return block;
}

char *block_without(const char *key, const char *value, const struct tn_addr *a, struct error *err)
{
	return block_set(key, value, a, NULL, err);
}

static void touch(const json_t *entry, struct names *out)
{
	const char *tenant = json_string_value(json_object_get(entry, "tenant"));

	if (tenant)
		*vec_push(&out->list) = xstrdup(tenant);
}

/* Those of the first that the other has not, or has otherwise. */
static void touch_missing(const json_t *of, const json_t *other, struct names *out)
{
	json_t *entry, *same;
	const char *addr;

	json_object_foreach((json_t *)of, addr, entry)
	{
		same = json_object_get(other, addr);
		if (!json_equal(entry, same))
			touch(entry, out);
	}
}

int block_touches(const char *key, const char *before, const char *after, struct names *out,
		  struct error *err)
{
	json_t *a = before ? key_object(key, before, err) : NULL;
	json_t *b = after ? key_object(key, after, err) : NULL;

	touch_missing(a, b, out);
	touch_missing(b, a, out);
	json_decref(a);
	json_decref(b);
	return (before && !a) || (after && !b) ? -1 : 0;
}
