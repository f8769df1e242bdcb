/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/blocks.h"

#include <inttypes.h>

#include "model/prefixes.h"

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

int blocks_no_prefix(const char *tenant, const struct mapping *m, struct error *err)
{
	return error_usage(
		err,
		"tenant %s: %s is a prefix, and a cluster has mappings of single addresses "
		"alone; give its VMs mappings of their own, or leave the cluster",
		tenant, FIXED(m));
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
			if (mapping->bits)
				return blocks_no_prefix(t->name, mapping, err);
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
	if (!mac_is_unset(m->mac))
		fprintf(f, ",\"mac\":\"%s\"", MAC(m->mac));
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
