/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers are of 7 bits a byte, the lowest first, with the highest bit set in all but the last; a
 * text is its length and one, or 0 for none, and its bytes. Each code_…() says what a thing
 * consists of, once for writing and reading.
 */
#include "store/record.h"

#include <zlib.h>

#include "lib/host_name.h"
#include "store/store_internal.h"

/* Of the record, to be raised with any change of what a code_…() says. */
#define VERSION_OF_RECORD 4
/* Since 2: routers have hosts, and say when they are active. */
#define VERSION_WITHOUT_HOSTS 1
/* Since 3: routers say for how many flows they have room, and of a time of grace; mappings have MAC
 * addresses. */
#define VERSION_WITHOUT_FLOWS 2
#define VERSION_WITHOUT_MACS  2
/* Since 4: routers have inside routes, there is a zone for names, mappings can be of prefixes, and
 * rules can end. */
#define VERSION_WITHOUT_INSIDE_ROUTES 3
#define VERSION_WITHOUT_ZONE	      3
#define VERSION_WITHOUT_PREFIXES      3
#define VERSION_WITHOUT_UNTIL	      3

/* Longer ones are not ours: a million mappings that go take 50 MB. */
#define RECORD_RAW_MAX ((uint64_t)1 << 30)
#define TEXT_MAX       4096
#define LIST_MAX       (1U << 24)

struct coder {
	FILE *out; /* NULL: it reads */
	const uint8_t *in;
	size_t left; /* of `in` */
	uint64_t version;
	bool bad; /* what was read is none */
};

static void code_bytes(struct coder *c, void *bytes, size_t n)
{
	if (c->out) {
		fwrite(bytes, 1, n, c->out);
		return;
	}
	if (c->left < n)
		c->bad = true;
	if (c->bad) {
		memset(bytes, 0, n);
		return;
	}
	memcpy(bytes, c->in, n);
	c->in += n;
	c->left -= n;
}

static void write_number(struct coder *c, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		fputc((int)(value & 0x7f) | 0x80, c->out);
	fputc((int)value, c->out);
}

static uint64_t read_number(struct coder *c)
{
	uint64_t value = 0;
	uint8_t byte = 0x80;

	for (unsigned int shift = 0; byte & 0x80; shift += 7) {
		code_bytes(c, &byte, 1);
		c->bad |= shift > 63;
		if (c->bad)
			return 0;
		value |= (uint64_t)(byte & 0x7f) << shift;
	}
	return value;
}

static uint64_t code_number(struct coder *c, uint64_t value, uint64_t most)
{
	if (c->out) {
		write_number(c, value);
		return value;
	}
	value = read_number(c);
	c->bad |= value > most;
	return c->bad ? 0 : value;
}

#define CODE(c, field, most) ((field) = code_number((c), (field), (most)))
#define CODE_LIST(c, vec, code)                                                \
	do {                                                                   \
		uint64_t _n = code_number((c), (vec)->n, LIST_MAX);            \
		for (uint64_t _i = 0; _i < _n && !(c)->bad; _i++)              \
			(code)((c), (c)->out ? &(vec)->v[_i] : vec_push(vec)); \
	} while (0)

static void code_text(struct coder *c, char **text)
{
	uint64_t size = code_number(c, c->out && *text ? strlen(*text) + 1 : 0, TEXT_MAX);

	if (!c->out)
		*text = size ? xzalloc(size) : NULL;
	if (!size || !*text)
		return;
	code_bytes(c, *text, size - 1);
	if (!c->out && strlen(*text) != size - 1)
		c->bad = true;
}

static void code_addr(struct coder *c, struct tn_addr *a)
{
	uint64_t size = addr_is_unset(a) ? 0 : addr_is_v4(a) ? 4 : 16;
	uint8_t bytes[16];

	size = code_number(c, size, 16);
	memcpy(bytes, addr_is_v4(a) ? (void *)&a->w[3] : a->w, size);
	code_bytes(c, bytes, size);
	if (!c->out)
		*a = size ? addr_from_bytes(bytes, size) : (struct tn_addr){ 0 };
}

static void code_prefix(struct coder *c, struct prefix *p)
{
	code_addr(c, &p->addr);
	CODE(c, p->len, 128);
}

static void code_route(struct coder *c, struct route *r)
{
	code_prefix(c, &r->to);
	code_addr(c, &r->via);
}

static void code_own(struct coder *c, struct own_address *own)
{
	code_addr(c, &own->addr);
	CODE(c, own->pinned, 1);
}

static void code_router(struct coder *c, struct router *r)
{
	CODE(c, r->id, UINT32_MAX);
	code_text(c, &r->netns);
	code_text(c, &r->shared);
	CODE_LIST(c, &r->inside, code_text);
	CODE(c, r->hook, HOOKS_COUNT - 1);
	CODE(c, r->sources, SOURCES_COUNT - 1);
	CODE(c, r->forwarding, FORWARDINGS_COUNT - 1);
	for (int f = 0; f < FAMILIES; f++)
		code_own(c, &r->own[f]);
	CODE_LIST(c, &r->routes, code_route);
	CODE(c, r->detached, 1);
	CODE(c, r->passed_over, 1);
	if (c->version <= VERSION_WITHOUT_HOSTS)
		return;
	CODE_LIST(c, &r->hosts, code_text);
	CODE(c, r->active, ACTIVES_COUNT - 1);
	if (c->version <= VERSION_WITHOUT_FLOWS)
		return;
	CODE(c, r->flows, TN_FLOWS_MAX);
	c->bad |= r->flows < TN_FLOWS_MIN;
	CODE(c, r->grace, TN_GRACE_MAX);
	if (c->version > VERSION_WITHOUT_INSIDE_ROUTES)
		CODE_LIST(c, &r->inside_routes, code_route);
}

static void code_service(struct coder *c, struct service *s)
{
	CODE(c, s->class, TN_CLASSES_COUNT - 1);
	CODE(c, s->first, UINT16_MAX);
	CODE(c, s->last, UINT16_MAX);
}

static void code_rule(struct coder *c, struct rule *r)
{
	CODE(c, r->id, UINT32_MAX);
	CODE(c, r->any, 1);
	CODE_LIST(c, &r->from, code_text);
	CODE_LIST(c, &r->to, code_text);
	CODE_LIST(c, &r->services, code_service);
	CODE(c, r->pos.line, UINT32_MAX);
	CODE(c, r->pos.col, UINT32_MAX);
	if (c->version > VERSION_WITHOUT_UNTIL)
		CODE(c, r->until, UINT32_MAX);
}

static void code_except(struct coder *c, struct mapping *m)
{
	struct addr_list none = { 0 }, *list = m->except ? m->except : &none;

	if (!c->out)
		list = m->except = xzalloc(sizeof(*m->except));
	CODE_LIST(c, &list->list, code_addr);
	if (c->out || list->list.n)
		return;
	free(m->except);
	m->except = NULL;
}

/* All but the fixed address. */
static void code_mapping(struct coder *c, struct mapping *m)
{
	code_text(c, &m->name);
	code_addr(c, &m->shared);
	CODE(c, m->pinned, 1);
	CODE(c, m->limit.rate, UINT64_MAX);
	CODE(c, m->limit.burst, UINT64_MAX);
	CODE(c, m->limit.packets, UINT64_MAX);
	if (c->version > VERSION_WITHOUT_MACS)
		mac_from_number(code_number(c, mac_number(m->mac), (1ULL << 48) - 1), m->mac);
	if (c->version <= VERSION_WITHOUT_PREFIXES)
		return;
	CODE(c, m->bits, 127);
	if (m->bits)
		code_except(c, m);
}

/* All but the name and the mappings. */
static void code_tenant(struct coder *c, struct tenant *t)
{
	struct router *r = tenant_router(t);

	CODE(c, t->id, UINT32_MAX);
	CODE_LIST(c, &t->pools, code_prefix);
	if (code_number(c, r != NULL, 1)) {
		r = t->router = r ? r : router_new();
		code_router(c, r);
	}
	CODE(c, t->has_accept, 1);
	CODE_LIST(c, &t->accept, code_rule);
}

/* What is said of a tenant, and of a mapping; a list of them ends with END. */
enum { END, ABSENT, AS_IT_WAS, MAPPINGS_ONLY, SAYINGS };

/* ------------------------------------------------------------ what was */

static void write_mapping(struct coder *c, const struct tn_addr *fixed, const struct mapping *was)
{
	struct tn_addr a = *fixed;
	struct mapping m = was ? *was : (struct mapping){ 0 };

	write_number(c, was ? AS_IT_WAS : ABSENT);
	code_addr(c, &a);
	if (was)
		code_mapping(c, &m);
}

static void write_mappings(struct coder *c, const struct tenant *was, const struct tenant *is)
{
	size_t i = 0, j = 0, n = was->mappings.n, m = is ? is->mappings.n : 0;

	while (i < n || j < m) {
		const struct mapping *w = i < n ? &was->mappings.v[i] : NULL;
		const struct mapping *s = j < m ? &is->mappings.v[j] : NULL;
		int cmp = !w ? 1 : !s ? -1 : addr_cmp(&w->fixed, &s->fixed);

		i += cmp <= 0;
		j += cmp >= 0;
		if (cmp == 0 && same_mapping(w, s))
			continue;
		write_mapping(c, cmp <= 0 ? &w->fixed : &s->fixed, cmp <= 0 ? w : NULL);
	}
	write_number(c, END);
}

static bool same_head(const struct tenant *a, const struct tenant *b)
{
	return a->id == b->id && prefixes_equal(a->pools.v, a->pools.n, b->pools.v, b->pools.n) &&
	       same_router(tenant_router(a), tenant_router(b)) && same_accept(a, b);
}

static bool same_mappings(const struct tenant *a, const struct tenant *b)
{
	if (a->mappings.n != b->mappings.n)
		return false;
	for (size_t i = 0; i < a->mappings.n; i++) {
		if (!same_mapping(&a->mappings.v[i], &b->mappings.v[i]))
			return false;
	}
	return true;
}

/* NULL: there was none, or is none any more. */
static void write_tenant(struct coder *c, const struct tenant *was, const struct tenant *is)
{
	char *name = was ? was->name : is ? is->name : NULL;
	bool head = !was || !is || !same_head(was, is);

	if (!head && same_mappings(was, is))
		return;
	write_number(c, !was ? ABSENT : head ? AS_IT_WAS : MAPPINGS_ONLY);
	code_text(c, &name);
	if (!was)
		return;
	if (head) {
		struct tenant copy = *was;

		code_tenant(c, &copy);
	}
	write_mappings(c, was, is);
}

static void write_tenants(struct coder *c, const struct model *had, const struct model *will)
{
	size_t i = 0, j = 0;

	while (i < had->tenants.n || j < will->tenants.n) {
		const struct tenant *was = i < had->tenants.n ? &had->tenants.v[i] : NULL;
		const struct tenant *is = j < will->tenants.n ? &will->tenants.v[j] : NULL;
		int cmp = !was ? 1 : !is ? -1 : strcmp(was->name, is->name);

		i += cmp <= 0;
		j += cmp >= 0;
		write_tenant(c, cmp <= 0 ? was : NULL, cmp >= 0 ? is : NULL);
	}
	write_number(c, END);
}

/* All of it is said; it is little. */
static void code_network(struct coder *c, struct model *m)
{
	code_text(c, &m->file);
	CODE_LIST(c, &m->subnets, code_prefix);
	if (c->version > VERSION_WITHOUT_ZONE)
		code_text(c, &m->zone);
}

static bool same_network(const struct model *a, const struct model *b)
{
	return same_text(a->file, b->file) && same_text(a->zone, b->zone) &&
	       prefixes_equal(a->subnets.v, a->subnets.n, b->subnets.v, b->subnets.n);
}

static void write_model(struct coder *c, const struct model *had, const struct model *will)
{
	bool network = !same_network(had, will);
	struct model m = *had;

	write_number(c, network);
	if (network)
		code_network(c, &m);
	write_tenants(c, had, will);
}

static int no_memory(struct error *err)
{
	return error_set(err, "out of memory");
}

/* The size of what is compressed comes first. */
static int compress_record(const char *raw, size_t n, struct record *out, struct error *err)
{
	uLongf len = compressBound(n);
	struct coder head = { 0 };
	char *text = NULL;
	size_t size;

	head.out = open_memstream(&text, &size);
	if (!head.out)
		return no_memory(err);
	write_number(&head, n);
	fclose(head.out);
	out->bytes.v = xrealloc(NULL, size + len, 1);
	memcpy(out->bytes.v, text, size);
	free(text);
	if (compress2(out->bytes.v + size, &len, (const Bytef *)raw, n, Z_BEST_SPEED) != Z_OK)
		return no_memory(err);
	out->bytes.n = size + len;
	return 0;
}

/* Of one that says nothing: its version, no network, no tenants. */
#define SAYS_NOTHING 3

int record_make(const struct model *had, const struct model *will, struct record *out,
		struct error *err)
{
	struct coder c = { 0 };
	char *raw = NULL;
	int ret = 0;
	size_t n;

	memset(out, 0, sizeof(*out));
	c.out = open_memstream(&raw, &n);
	if (!c.out)
		return no_memory(err);
	c.version = VERSION_OF_RECORD;
	write_number(&c, VERSION_OF_RECORD);
	write_model(&c, had, will);
	if (fclose(c.out))
		ret = no_memory(err);
	else if (n > SAYS_NOTHING)
		ret = compress_record(raw, n, out, err);
	free(raw);
	return ret;
}

/* ------------------------------------------------------------ and is again */

struct said {
	bool there;
	struct mapping mapping;
};

struct sayings {
	VEC(struct said) list; /* sorted by fixed address */
};

static void read_sayings(struct coder *c, struct sayings *out)
{
	uint64_t what;

	while ((what = code_number(c, 0, AS_IT_WAS)) != END) {
		struct said *s = vec_push(&out->list);

		s->there = what == AS_IT_WAS;
		code_addr(c, &s->mapping.fixed);
		if (s->there)
			code_mapping(c, &s->mapping);
		if (out->list.n > 1 && addr_cmp(&s[-1].mapping.fixed, &s->mapping.fixed) >= 0)
			c->bad = true;
	}
}

static void merge_mappings(struct tenant *t, struct sayings *said)
{
	__typeof__(t->mappings) old = t->mappings;
	size_t i = 0, j = 0;

	memset(&t->mappings, 0, sizeof(t->mappings));
	while (i < old.n || j < said->list.n) {
		struct mapping *m = i < old.n ? &old.v[i] : NULL;
		struct said *s = j < said->list.n ? &said->list.v[j] : NULL;
		int cmp = !m ? 1 : !s ? -1 : addr_cmp(&m->fixed, &s->mapping.fixed);

		i += cmp <= 0;
		j += cmp >= 0;
		if (m && cmp < 0)
			*vec_push(&t->mappings) = *m;
		if (m && cmp == 0)
			mapping_clear(m);
		if (s && cmp >= 0 && s->there) {
			*vec_push(&t->mappings) = s->mapping;
			s->mapping = (struct mapping){ 0 };
		}
	}
	free(old.v);
}

static void read_mappings(struct coder *c, struct tenant *t)
{
	struct sayings said = { 0 };

	read_sayings(c, &said);
	if (!c->bad)
		merge_mappings(t, &said);
	vec_each (s, &said.list)
		mapping_clear(&s->mapping);
	vec_free(&said.list);
}

/* All but the name and the mappings goes. */
static void clear_head(struct tenant *t)
{
	__typeof__(t->mappings) mappings = t->mappings;
	char *name = t->name;

	memset(&t->mappings, 0, sizeof(t->mappings));
	t->name = NULL;
	tenant_clear(t);
	t->name = name;
	t->mappings = mappings;
}

static void remove_tenant(struct model *m, struct tenant *t)
{
	size_t at = t - m->tenants.v;

	tenant_clear(t);
	memmove(t, t + 1, (m->tenants.n - at - 1) * sizeof(*t));
	m->tenants.n--;
}

static struct tenant *push_tenant(struct model *m, const char *name)
{
	struct tenant *t = vec_push(&m->tenants);

	t->name = xstrdup(name);
	return t;
}

static void read_tenant(struct coder *c, uint64_t what, struct model *m)
{
	_cleanup_free_ char *name = NULL;
	struct tenant *t;

	code_text(c, &name);
	if (c->bad || !name) {
		c->bad = true;
		return;
	}
	t = model_tenant(m, name);
	if (what == ABSENT) {
		if (t)
			remove_tenant(m, t);
		return;
	}
	/* what of it did not change is not said */
	if (!t && what == MAPPINGS_ONLY) {
		c->bad = true;
		return;
	}
	t = t ? t : push_tenant(m, name);
	if (what == AS_IT_WAS) {
		clear_head(t);
		code_tenant(c, t);
	}
	read_mappings(c, t);
}

static void read_model(struct coder *c, struct model *m)
{
	uint64_t what;

	if (code_number(c, 0, 1)) {
		vec_free(&m->subnets);
		free(m->file);
		free(m->zone);
		m->file = m->zone = NULL;
		code_network(c, m);
	}
	while ((what = code_number(c, 0, SAYINGS - 1)) != END)
		read_tenant(c, what, m);
	c->bad |= c->left != 0;
}

/* The caller's to free; NULL: it is none. */
static uint8_t *uncompress_record(const struct record *r, size_t *n)
{
	struct coder head = { .in = r->bytes.v, .left = r->bytes.n };
	uint64_t size = code_number(&head, 0, RECORD_RAW_MAX);
	uLongf len = size;
	uint8_t *raw;

	if (head.bad || !size)
		return NULL;
	raw = xrealloc(NULL, size, 1);
	if (uncompress(raw, &len, head.in, head.left) != Z_OK || len != size) {
		free(raw);
		return NULL;
	}
	*n = size;
	return raw;
}

bool record_apply(const struct record *r, struct model *m)
{
	_cleanup_free_ uint8_t *raw = NULL;
	struct coder c = { 0 };

	if (!r->bytes.n)
		return true;
	raw = uncompress_record(r, &c.left);
	c.in = raw;
	c.bad = !raw;
	c.version = code_number(&c, 0, VERSION_OF_RECORD);
	c.bad |= c.version < VERSION_WITHOUT_HOSTS;
	if (!c.bad)
		read_model(&c, m);
	if (c.bad)
		return false;
	model_sort(m);
	model_locate(m, host_name());
	return true;
}

void record_free(struct record *r)
{
	vec_free(&r->bytes);
}
