/* SPDX-License-Identifier: GPL-2.0-only */
#include "fixture.h"

#include "model/prefixes.h"

struct tn_addr addr_of(const char *text)
{
	struct tn_addr a = { 0 };

	cr_assert(addr_parse(text, &a), "no address: '%s'", text);
	return a;
}

struct prefix prefix_of(const char *text)
{
	struct prefix p = { 0 };

	cr_assert(prefix_parse(text, &p), "no prefix: '%s'", text);
	return p;
}

/* ------------------------------------------------------------ reading */

#define WORDS_MAX 24

struct statement {
	char *words[WORDS_MAX];
	int n;
};

/* The next statement, cut out of *text; false at the end. */
static bool next_statement(char **text, struct statement *out)
{
	char *line, *save = NULL;

	do {
		line = strsep(text, ";");
		if (!line)
			return false;
		out->n = 0;
		for (char *w = strtok_r(line, " \n\t", &save); w;
		     w = strtok_r(NULL, " \n\t", &save)) {
			cr_assert_lt(out->n, WORDS_MAX, "too many words");
			out->words[out->n++] = w;
		}
	} while (!out->n);
	return true;
}

/* What stands behind `key=`; NULL when that is another word. */
static const char *value(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	cr_assert(*text && !*end, "no number: '%s'", text);
	return n;
}

static enum hook hook_of(const char *text)
{
	enum hook hook = HOOK_AUTO;

	cr_assert(hook_parse(text, &hook), "no hook: '%s'", text);
	return hook;
}

static void read_tenant(const struct statement *s, struct tenant *t)
{
	const char *v;

	t->name = xstrdup(s->words[1]);
	for (int i = 2; i < s->n; i++) {
		if ((v = value(s->words[i], "id")))
			t->id = number(v);
		else if ((v = value(s->words[i], "pool")))
			*vec_push(&t->pools) = prefix_of(v);
		else
			cr_assert_fail("unknown: '%s'", s->words[i]);
	}
}

static enum sources sources_of(const char *text)
{
	enum sources sources = SOURCES_STRICT;

	cr_assert(sources_parse(text, &sources), "no sources: '%s'", text);
	return sources;
}

/* What leads to and from a router; false: something else. */
static bool read_way(const char *word, struct router *r)
{
	const char *v;

	if ((v = value(word, "pin")) || (v = value(word, "lease"))) {
		struct own_address *own;
		struct tn_addr a = addr_of(v);

		own = &r->own[addr_family(&a)];
		own->addr = a;
		own->pinned = own->wanted = word[0] == 'p';
	} else if ((v = value(word, "want"))) {
		r->own[strcmp(v, "ipv4") == 0 ? IPV4 : IPV6].wanted = true;
	} else if ((v = value(word, "to"))) {
		vec_push(&r->routes)->to = prefix_of(v);
	} else if ((v = value(word, "via"))) {
		r->routes.v[r->routes.n - 1].via = addr_of(v);
	} else if ((v = value(word, "behind"))) {
		vec_push(&r->inside_routes)->to = prefix_of(v);
	} else if ((v = value(word, "gate"))) {
		r->inside_routes.v[r->inside_routes.n - 1].via = addr_of(v);
	} else {
		return false;
	}
	return true;
}

static void read_router(const struct statement *s, struct tenant *t)
{
	struct router *r = router_new();
	bool elsewhere = false;
	const char *v;

	for (int i = 1; i < s->n; i++) {
		if ((v = value(s->words[i], "id")))
			r->id = number(v);
		else if ((v = value(s->words[i], "netns")))
			r->netns = xstrdup(v);
		else if ((v = value(s->words[i], "shared")))
			r->shared = xstrdup(v);
		else if ((v = value(s->words[i], "inside")))
			*vec_push(&r->inside) = xstrdup(v);
		else if ((v = value(s->words[i], "hook")))
			r->hook = hook_of(v);
		else if ((v = value(s->words[i], "sources")))
			r->sources = sources_of(v);
		else if ((v = value(s->words[i], "forwarding")))
			cr_assert(forwarding_parse(v, &r->forwarding), "no forwarding: '%s'", v);
		else if ((v = value(s->words[i], "grace")))
			r->grace = number(v);
		else if ((v = value(s->words[i], "host")))
			*vec_push(&r->hosts) = xstrdup(v);
		else if ((v = value(s->words[i], "flows")))
			r->flows = number(v);
		else if ((v = value(s->words[i], "active")))
			cr_assert(active_parse(v, &r->active), "not active: '%s'", v);
		else if (strcmp(s->words[i], "detached") == 0)
			r->detached = true;
		else if (strcmp(s->words[i], "elsewhere") == 0)
			elsewhere = true;
		else if (!read_way(s->words[i], r))
			cr_assert_fail("unknown: '%s'", s->words[i]);
	}
	*(elsewhere ? &t->remote : &t->router) = r;
}

static void read_mapping(const struct statement *s, struct mapping *m)
{
	const char *v;

	m->fixed = prefix_of(s->words[1]).addr;
	m->bits = 128 - prefix_of(s->words[1]).len;
	for (int i = 2; i < s->n; i++) {
		if ((v = value(s->words[i], "pin"))) {
			m->shared = prefix_of(v).addr;
			m->pinned = true;
		} else if ((v = value(s->words[i], "lease"))) {
			m->shared = prefix_of(v).addr;
		} else if ((v = value(s->words[i], "except"))) {
			m->except = m->except ? m->except : xzalloc(sizeof(*m->except));
			*vec_push(&m->except->list) = addr_of(v);
		} else if ((v = value(s->words[i], "mac"))) {
			cr_assert(mac_parse(v, m->mac), "no MAC address: '%s'", v);
		} else if ((v = value(s->words[i], "rate"))) {
			m->limit.rate = m->limit.burst = number(v);
		} else if ((v = value(s->words[i], "packets"))) {
			m->limit.packets = number(v);
		} else {
			m->name = xstrdup(s->words[i]);
		}
	}
}

static struct service service_of(const char *word)
{
	static const char *const names[] = {
#define X(id, name, protocol) name,
		TN_CLASSES(X)
#undef X
	};
	size_t n = strcspn(word, "/");
	struct service s = { .last = UINT16_MAX };
	unsigned int first, last;

	while (s.class < TN_CLASSES_COUNT &&
	       (strlen(names[s.class]) != n || strncmp(names[s.class], word, n) != 0))
		s.class ++;
	cr_assert_lt(s.class, TN_CLASSES_COUNT, "no class: '%s'", word);
	switch (sscanf(word + n, "/%u-%u", &first, &last)) {
	case 1:
		s.first = s.last = first;
		break;
	case 2:
		s.first = first;
		s.last = last;
	}
	return s;
}

static void read_accept(const struct statement *s, struct tenant *t)
{
	struct rule *r;
	const char *v;

	t->has_accept = true;
	if (s->n == 1)
		return;
	r = vec_push(&t->accept);
	for (int i = 1; i < s->n; i++) {
		if ((v = value(s->words[i], "id")))
			r->id = number(v);
		else if (strcmp(s->words[i], "from=*") == 0)
			r->any = true;
		else if ((v = value(s->words[i], "from")))
			*vec_push(&r->from) = xstrdup(v);
		else if ((v = value(s->words[i], "to")))
			*vec_push(&r->to) = xstrdup(v);
		else if ((v = value(s->words[i], "until")))
			r->until = number(v);
		else
			*vec_push(&r->services) = service_of(s->words[i]);
	}
}

struct model model_of(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct model m = { 0 };
	struct tenant *t = NULL;
	struct statement s;

	for (char *at = copy; next_statement(&at, &s);) {
		if (strcmp(s.words[0], "net") == 0) {
			for (int i = 1; i < s.n; i++)
				*vec_push(&m.subnets) = prefix_of(s.words[i]);
			continue;
		}
		if (strcmp(s.words[0], "zone") == 0) {
			m.zone = xstrdup(s.words[1]);
			continue;
		}
		if (strcmp(s.words[0], "tenant") == 0)
			read_tenant(&s, t = vec_push(&m.tenants));
		else if (t && strcmp(s.words[0], "router") == 0)
			read_router(&s, t);
		else if (t && strcmp(s.words[0], "map") == 0)
			read_mapping(&s, vec_push(&t->mappings));
		else if (t && strcmp(s.words[0], "accept") == 0)
			read_accept(&s, t);
		else
			cr_assert_fail("unknown: '%s'", s.words[0]);
	}
	return m;
}

struct addr_list addrs_of(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct addr_list out = { 0 };
	struct statement s;

	for (char *at = copy; next_statement(&at, &s);) {
		for (int i = 0; i < s.n; i++)
			*vec_push(&out.list) = addr_of(s.words[i]);
	}
	return out;
}

static uint32_t flags_of_prefix(const char *text)
{
	uint32_t bits = 128U - prefix_of(text).len;

	return bits ? TN_SHARED_PREFIX | bits << TN_PREFIX_BITS : 0;
}

static void read_prefix(const struct statement *s, struct prefix_row *row)
{
	cr_assert_eq(s->n, 5);
	row->key.router = number(s->words[1]);
	row->key.addr = addr_of(s->words[2]);
	row->key.len = TN_PREFIX_LEN(number(s->words[3]));
	if (strcmp(s->words[4], "-") != 0)
		row->first = addr_of(s->words[4]);
}

static void read_to(const struct statement *s, struct shared_row *row)
{
	bool own = strcmp(s->words[0], "own") == 0;

	cr_assert_geq(s->n, own ? 4 : 5);
	row->shared = prefix_of(s->words[1]).addr;
	if (!own)
		row->fixed = prefix_of(s->words[2]).addr;
	row->tenant = number(s->words[own ? 2 : 3]);
	row->router = number(s->words[own ? 3 : 4]);
	row->flags = own ? TN_SHARED_OWN : TN_SHARED_MAPPED | flags_of_prefix(s->words[1]);
	if (!own && s->n > 5)
		row->slot = number(value(s->words[5], "slot"));
}

static void read_from(const struct statement *s, struct fixed_row *row)
{
	cr_assert_geq(s->n, 4);
	row->router = number(s->words[1]);
	row->fixed = prefix_of(s->words[2]).addr;
	row->shared = prefix_of(s->words[3]).addr;
	row->flags = flags_of_prefix(s->words[2]);
	for (int i = 4; i < s->n; i++) {
		const char *mac = value(s->words[i], "mac");

		if (mac && mac_parse(mac, row->mac))
			row->flags = TN_SHARED_BOUND;
		else
			row->slot = number(value(s->words[i], "slot"));
	}
}

static void read_row(const struct statement *s, struct router_row *row)
{
	size_t inside = 0, xmit = 0;
	const char *v;

	row->id = number(s->words[1]);
	snprintf(row->tenant, sizeof(row->tenant), "%s", s->words[2]);
	for (int i = 3; i < s->n; i++) {
		if ((v = value(s->words[i], "if")))
			row->ifindex = number(v);
		else if ((v = value(s->words[i], "inside")) && inside < TN_INSIDE_MAX)
			row->inside[inside++] = number(v);
		else if ((v = value(s->words[i], "xmit")) && xmit < TN_INSIDE_MAX)
			row->xmit[xmit++] = number(v);
		else if ((v = value(s->words[i], "mac")))
			row->mac[5] = number(v);
		else if ((v = value(s->words[i], "dev")))
			row->netns_dev = number(v);
		else if ((v = value(s->words[i], "ino")))
			row->netns_ino = number(v);
		else if ((v = value(s->words[i], "hook")))
			row->hook = hook_of(v);
		else if ((v = value(s->words[i], "via")))
			row->via = hook_of(v);
		else if ((v = value(s->words[i], "sources")))
			row->sources = sources_of(v);
		else if ((v = value(s->words[i], "flows")))
			row->flows = number(v);
		else if (strcmp(s->words[i], "binds") == 0)
			row->binds = true;
		else if (strcmp(s->words[i], "fast") == 0)
			row->fast = true;
		else if (strcmp(s->words[i], "ruled") == 0)
			row->ruled = true;
		else if (strcmp(s->words[i], "ipsec") == 0)
			row->ipsec = true;
		else if ((v = value(s->words[i], "own")))
			row->own[!!strchr(v, ':')] = addr_of(v);
		else if ((v = value(s->words[i], "needs")))
			row->by_address = row->needs[strcmp(v, "ipv4") == 0 ? IPV4 : IPV6] = true;
		else if (strcmp(s->words[i], "by-address") == 0)
			row->by_address = true;
		else if ((v = value(s->words[i], "grace")))
			row->grace = number(v);
		else if (strcmp(s->words[i], "standby") == 0)
			row->by_address = row->standby = true;
		else if ((v = value(s->words[i], "build")))
			row->build = number(v);
		else if ((v = value(s->words[i], "flags")))
			row->flags = number(v);
		else if (strcmp(s->words[i], "broken") == 0)
			row->broken = true;
		else if (strcmp(s->words[i], "kept") == 0)
			row->out_of_scope = true;
		else
			cr_assert_fail("unknown: '%s'", s->words[i]);
	}
}

static void read_addr(const struct statement *s, struct addr_row *row)
{
	cr_assert_eq(s->n, 5);
	row->at.netns_ino = number(s->words[1]);
	row->at.ifindex = number(s->words[2]);
	row->addr = addr_of(s->words[3]);
	row->len = number(s->words[4]);
}

static void read_route(const struct statement *s, struct route_row *row)
{
	const char *v;

	cr_assert_geq(s->n, 4);
	row->at.netns_ino = number(s->words[1]);
	row->at.ifindex = number(s->words[2]);
	row->to = prefix_of(s->words[3]);
	for (int i = 4; i < s->n; i++) {
		if ((v = value(s->words[i], "via")))
			row->via = addr_of(v);
		else if ((v = value(s->words[i], "src")))
			row->src = addr_of(v);
		else
			cr_assert_fail("unknown: '%s'", s->words[i]);
	}
}

static void read_group(const struct statement *s, struct group_row *row)
{
	bool all;

	cr_assert_geq(s->n, 4);
	all = strcmp(s->words[3], "all") == 0;
	cr_assert_leq(s->n, 4 + all);
	row->at.netns_ino = number(s->words[1]);
	row->at.ifindex = number(s->words[2]);
	row->on = s->n == 4;
	if (!all)
		row->addr = addr_of(s->words[3]);
}

static void read_setting(const struct statement *s, struct setting_row *row)
{
	cr_assert_eq(s->n, 4);
	row->at.netns_ino = number(s->words[1]);
	snprintf(row->path, sizeof(row->path), "%s", s->words[2]);
	row->value = number(s->words[3]);
}

struct kernel_state kernel_state_of(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct kernel_state m = { 0 };
	struct statement s;

	for (char *at = copy; next_statement(&at, &s);) {
		if (strcmp(s.words[0], "net") == 0) {
			for (int i = 1; i < s.n; i++)
				*vec_push(&m.subnets) = prefix_of(s.words[i]);
		} else if (strcmp(s.words[0], "prefix") == 0) {
			read_prefix(&s, vec_push(&m.prefixes));
		} else if (strcmp(s.words[0], "own") == 0 || strcmp(s.words[0], "to") == 0) {
			read_to(&s, vec_push(&m.shared));
		} else if (strcmp(s.words[0], "from") == 0) {
			read_from(&s, vec_push(&m.fixed));
		} else if (strcmp(s.words[0], "router") == 0) {
			read_row(&s, vec_push(&m.routers));
		} else if (strcmp(s.words[0], "addr") == 0) {
			read_addr(&s, vec_push(&m.addrs));
		} else if (strcmp(s.words[0], "way") == 0) {
			read_route(&s, vec_push(&m.routes));
		} else if (strcmp(s.words[0], "group") == 0) {
			read_group(&s, vec_push(&m.groups));
		} else if (strcmp(s.words[0], "set") == 0) {
			read_setting(&s, vec_push(&m.settings));
		} else {
			cr_assert_fail("unknown: '%s'", s.words[0]);
		}
	}
	kernel_state_sort(&m);
	return m;
}

struct kernel_state kernel_state_by(const char *definitions)
{
	_cleanup_model_ struct model m = model_of(definitions);
	struct kernel_state out, nothing = { 0 };
	struct facts none = { 0 };

	model_sort(&m);
	kernel_state_wanted(&m, &none, &nothing, NULL, &out);
	return out;
}

/* ------------------------------------------------------------ writing */

/* A string that grows. */
struct text {
	char *s;
	size_t n;
	FILE *f;
};

static void text_begin(struct text *t)
{
	t->f = open_memstream(&t->s, &t->n);
	cr_assert_not_null(t->f);
}

static char *text_end(struct text *t)
{
	fclose(t->f);
	return t->s;
}

char *leases_text(const struct model *m)
{
	struct text out;

	text_begin(&out);
	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		for (int f = 0; r && f < FAMILIES; f++) {
			if (!addr_is_unset(&r->own[f].addr))
				fprintf(out.f, "%s router %s\n", t->name, ADDR(&r->own[f].addr));
		}
		vec_each (mapping, &t->mappings)
			fprintf(out.f, "%s %s %s\n", t->name, FIXED(mapping), SHARED(mapping));
	}
	return text_end(&out);
}

char *ids_text(const struct model *m)
{
	struct text out;

	text_begin(&out);
	vec_each (t, &m->tenants) {
		fprintf(out.f, "%s %u", t->name, t->id);
		if (tenant_router(t))
			fprintf(out.f, "/%u", tenant_router(t)->id);
		fputc('\n', out.f);
	}
	return text_end(&out);
}

static void write_shared(FILE *f, const struct shared_row *row)
{
	if (row->flags == TN_SHARED_OWN)
		fprintf(f, "own %s %u %u\n", ADDR(&row->shared), row->tenant, row->router);
	else
		fprintf(f, "to %s %s %u %u\n", ROW_SIDE(row, shared), ROW_SIDE(row, fixed),
			row->tenant, row->router);
}

static void write_fixed(FILE *f, const struct fixed_row *row)
{
	fprintf(f, "from %u %s %s%s%s\n", row->router, ROW_SIDE(row, fixed), ROW_SIDE(row, shared),
		row->flags & TN_SHARED_BOUND ? " mac=" : "",
		row->flags & TN_SHARED_BOUND ? MAC(row->mac) : "");
}

static void write_router(FILE *f, const struct router_row *row)
{
	fprintf(f, "router %u %s", row->id, row->tenant);
	if (row->ifindex)
		fprintf(f, " if=%u", row->ifindex);
	for (size_t i = 0; i < TN_INSIDE_MAX && row->inside[i]; i++)
		fprintf(f, " inside=%u", row->inside[i]);
	for (size_t i = 0; i < TN_INSIDE_MAX && row->xmit[i]; i++)
		fprintf(f, " xmit=%u", row->xmit[i]);
	if (row->mac[5])
		fprintf(f, " mac=%u", row->mac[5]);
	if (row->netns_dev)
		fprintf(f, " dev=%llu", (unsigned long long)row->netns_dev);
	if (row->netns_ino)
		fprintf(f, " ino=%llu", (unsigned long long)row->netns_ino);
	if (row->hook)
		fprintf(f, " hook=%s", hook_name(row->hook));
	if (row->via)
		fprintf(f, " via=%s", hook_name(row->via));
	if (row->sources)
		fprintf(f, " sources=%s", sources_name(row->sources));
	if (row->fast)
		fprintf(f, " fast");
	for (int i = 0; i < 2; i++) {
		if (!addr_is_unset(&row->own[i]))
			fprintf(f, " own=%s", ADDR(&row->own[i]));
	}
	if (row->build)
		fprintf(f, " build=%llu", (unsigned long long)row->build);
	if (row->flags)
		fprintf(f, " flags=%u", row->flags);
	fprintf(f, "%s%s\n", row->broken ? " broken" : "", row->out_of_scope ? " kept" : "");
}

static void write_addr(FILE *f, const struct addr_row *row)
{
	fprintf(f, "addr %llu %u %s %u\n", (unsigned long long)row->at.netns_ino, row->at.ifindex,
		ADDR(&row->addr), row->len);
}

static void write_route(FILE *f, const struct route_row *row)
{
	fprintf(f, "way %llu %u %s", (unsigned long long)row->at.netns_ino, row->at.ifindex,
		PREFIX(&row->to));
	if (!addr_is_unset(&row->via))
		fprintf(f, " via=%s", ADDR(&row->via));
	if (!addr_is_unset(&row->src))
		fprintf(f, " src=%s", ADDR(&row->src));
	fputc('\n', f);
}

static void write_group(FILE *f, const struct group_row *row)
{
	fprintf(f, "group %llu %u %s%s\n", (unsigned long long)row->at.netns_ino, row->at.ifindex,
		addr_is_unset(&row->addr) ? "all" : ADDR(&row->addr), row->on ? "" : " off");
}

static void write_setting(FILE *f, const struct setting_row *row)
{
	fprintf(f, "set %llu %s %ld\n", (unsigned long long)row->at.netns_ino, row->path,
		row->value);
}

static void write_prefix(FILE *f, const struct prefix_row *row)
{
	fprintf(f, "prefix %u %s %u %s\n", row->key.router, ADDR(&row->key.addr),
		row->key.len - TN_PREFIX_LEN(0U),
		addr_is_unset(&row->first) ? "-" : ADDR(&row->first));
}

char *kernel_state_text(const struct kernel_state *m)
{
	struct text out;

	text_begin(&out);
	vec_each (p, &m->subnets)
		fprintf(out.f, "net %s\n", PREFIX(p));
	vec_each (row, &m->shared)
		write_shared(out.f, row);
	vec_each (row, &m->fixed)
		write_fixed(out.f, row);
	vec_each (row, &m->prefixes)
		write_prefix(out.f, row);
	vec_each (row, &m->routers)
		write_router(out.f, row);
	vec_each (row, &m->addrs)
		write_addr(out.f, row);
	vec_each (row, &m->routes)
		write_route(out.f, row);
	vec_each (row, &m->groups)
		write_group(out.f, row);
	vec_each (row, &m->settings)
		write_setting(out.f, row);
	return text_end(&out);
}

static void write_accept_key(FILE *f, const char *what, const struct tn_accept_key *k)
{
	fprintf(f, "%s %u %s %u ", what, k->tenant, addr_is_unset(&k->to) ? "-" : ADDR(&k->to),
		k->from);
}

char *policy_text(const struct policy *p)
{
	struct text out;

	text_begin(&out);
	vec_each (row, &p->accepts) {
		write_accept_key(out.f, "accept", &row->key);
		if (row->value.rule)
			fprintf(out.f, "all by %u\n", row->value.rule);
		else
			fprintf(out.f, "blocks\n");
	}
	vec_each (row, &p->services) {
		write_accept_key(out.f, "service", &row->key.accept);
		fprintf(out.f, "%u %u:%u by %u\n", row->key.class, row->key.shift, row->key.block,
			row->rule);
	}
	vec_each (row, &p->limits)
		fprintf(out.f, "limit %s %llu %llu\n", ADDR(&row->shared),
			(unsigned long long)row->rate, (unsigned long long)row->packets);
	return text_end(&out);
}

/* The steps of one kind: a verb and the row. */
#define SAY(vec, verb, write)                \
	vec_each (row, vec) {                \
		fprintf(out.f, "%s ", verb); \
		write(out.f, *row);          \
	}

#define SAY_ROUTERS(vec, verb) \
	vec_each (row, vec)    \
	fprintf(out.f, "%s %u %s\n", verb, (*row)->id, (*row)->tenant)

static void say_prefixes(struct text *out, const struct plan *p, bool exceptions)
{
	vec_each (row, &p->prefix_put) {
		if (addr_is_unset(&row->first) != exceptions)
			continue;
		fprintf(out->f, "put ");
		write_prefix(out->f, row);
	}
}

char *plan_steps(const struct plan *p)
{
	struct text out;

	text_begin(&out);
	if (p->subnets)
		fprintf(out.f, "subnets\n");
	SAY(&p->own_put, "put", write_shared);
	SAY_ROUTERS(&p->attach, "attach");
	SAY_ROUTERS(&p->renew, "renew");
	SAY_ROUTERS(&p->replaced, "replace");
	SAY(&p->route_moved, "move", write_route);
	SAY(&p->addr_moved, "move", write_addr);
	SAY(&p->addr_put, "put", write_addr);
	SAY(&p->route_put, "put", write_route);
	SAY(&p->route_lost, "lose", write_route);
	SAY(&p->addr_lost, "lose", write_addr);
	SAY(&p->group_lost, "lose", write_group);
	SAY(&p->setting_put, "put", write_setting);
	SAY(&p->group_put, "put", write_group);
	SAY(&p->fixed_flags, "flags", write_fixed);
	SAY(&p->shared_flags, "flags", write_shared);
	SAY(&p->fixed_flags_last, "flags", write_fixed);
	SAY(&p->shared_flags_last, "flags", write_shared);
	SAY(&p->strangers, "end flows of", write_fixed);
	say_prefixes(&out, p, true);
	SAY(&p->fixed_put, "put", write_fixed);
	SAY(&p->shared_put, "put", write_shared);
	say_prefixes(&out, p, false);
	SAY(&p->own_del, "del", write_shared);
	SAY(&p->group_del, "del", write_group);
	SAY(&p->route_del, "del", write_route);
	SAY(&p->addr_del, "del", write_addr);
	vec_each (row, &p->prefix_del) {
		fprintf(out.f, "del ");
		write_prefix(out.f, row);
	}
	SAY(&p->shared_del, "del", write_shared);
	SAY(&p->fixed_del, "del", write_fixed);
	SAY_ROUTERS(&p->detach, "detach");
	return text_end(&out);
}

void expect_text(char *got, const char *want, const char *what)
{
	cr_expect_str_eq(got, want, "%s:\n%sbut should be:\n%s", what, got, want);
	free(got);
}

/* ------------------------------------------------------------ chance */

/* splitmix64 */
uint32_t roll(struct dice *d, uint32_t n)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % n;
}
