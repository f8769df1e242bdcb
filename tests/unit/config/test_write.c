/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "../store/store_fixture.h"
#include "config/write.h"
#include "config_fixture.h"
#include "model/dns.h"
#include "model/service.h"

static char *written(const struct model *m)
{
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_eq(definitions_write(m, f, &err), 0, "%s", err.text);
	fclose(f);
	return text;
}

/* What no file has. */
static void forget(struct model *m)
{
	free(m->file);
	m->file = NULL;
	model_forget_given(m);
	vec_each (t, &m->tenants) {
		t->pos = (struct pos){ 0 };
		vec_each (r, &t->accept)
			r->pos = (struct pos){ 0 };
	}
}

static void expect_round_trip(const struct model *m)
{
	_cleanup_free_ char *text = written(m);
	struct config_errors errors;
	struct model back;

	if (config_parse(text, strlen(text), "t.yaml", &back, &errors))
		cr_assert_fail("%s\n%.4000s", errors.list.v[0], text);
	forget(&back);
	assert_same(&back, m);
	model_free(&back);
}

/* ------------------------------------------------------------ models by chance */

/* What YAML could take for something else; and what it could not have as it is. */
static const char *const parts[] = { "a", "Z", "0",  " ",  "  ", ":",  ": ", " #",
				     "#", "'", "\"", "\\", "-",	 "- ", "*",  "&",
				     "!", "%", "@",  "`",  "{",	 "}",  "[",  "]",
				     ",", "?", "|",  ">",  "~",	 "=",  "<<", "caf\xc3\xa9" };
static const char *const escaped_parts[] = { "\xc2\x85",     "\xe2\x80\x8e", "\xe2\x80\xa8",
					     "\xef\xbb\xbf", "\xef\xbf\xbe", "\xf0\x9f\x98\x80",
					     "caf\xc3\xa9" };

static const char *const tenant_names[] = { "red",  "null", "y",   "0",	 "2026-01-01",
					    "1e5",  "on",   "123", "b-", "true",
					    "0x1f", "Red",  "1.5", "b.", "1_0" };
static const char *const mapping_names[] = { "db",	 "No",	"1.5", "1_000", "0o17",
					     "e.g._x-Y", "NaN", "off", "12e3",	"007" };
static const char *const host_names[] = { "hv1", "no", "1e5", "a.b-C", "0", "127.0.0.1" };
static const char *const interfaces[] = { "lan0", "qr-*", "[a-c]*", "*",	  "?x",	 "!x",
					  "&a",	  "-",	  "~",	    "null",	  "1e3", "0x1f",
					  "a#b",  "#c",	  "'q'",    "\"d\"",	  "%x",	 "@y",
					  "`z",	  "{",	  "}",	    ",",	  "|",	 ">",
					  "=",	  "<<",	  "\\",	    "b\xc3\xbcro" };
static const char *const ports[] = { "tcp",    "tcp/5432",    "udp/8000-8099", "icmp/echo-request",
				     "gre",    "protocol/89", "sctp/1",	       "esp",
				     "icmp/13" };

/* Names that are used once: from a random one on, round the list. */
#define NTH(list, start, i) ((list)[((start) + (i)) % ARRAY_SIZE(list)])

static void add_text(char **text, const char *more)
{
	char *both = NULL;

	cr_assert_geq(asprintf(&both, "%s%s", *text, more), 0);
	free(*text);
	*text = both;
}

static char *any_netns(struct dice *d, uint32_t number, bool escaped)
{
	char *text = xstrdup(chance(d, 30) ? "/run/x/" : "");
	char end[16];

	for (uint32_t n = roll(d, 6); n > 0; n--) {
		if (escaped && chance(d, 30))
			add_text(&text, escaped_parts[roll(d, ARRAY_SIZE(escaped_parts))]);
		else
			add_text(&text, parts[roll(d, ARRAY_SIZE(parts))]);
	}
	snprintf(end, sizeof(end), "%u", number);
	add_text(&text, end);
	return text;
}

struct making {
	struct dice *d;
	struct model *m;
	bool has[FAMILIES]; /* of the shared subnets */
	bool escaped;
};

/* The address of that family with these numbers. */
static struct tn_addr numbered(int family, const char *four, const char *six, uint32_t a,
			       uint32_t b)
{
	char text[ADDR_TEXT];

	snprintf(text, sizeof(text), family == IPV4 ? "%s.%u.%u" : "%s:%x:%x",
		 family == IPV4 ? four : six, a, b);
	return addr_of(text);
}

static void make_router(struct making *k, struct tenant *t, uint32_t number)
{
	struct router *r = t->router = router_new();
	uint32_t start = roll(k->d, ARRAY_SIZE(interfaces));

	r->netns = any_netns(k->d, number, k->escaped);
	if (chance(k->d, 60))
		r->shared = xstrdup(NTH(interfaces, start, 0));
	for (uint32_t n = roll(k->d, 6), i = 1; i <= n; i++)
		*vec_push(&r->inside) = xstrdup(NTH(interfaces, start, i));
	r->hook = roll(k->d, HOOKS_COUNT);
	r->sources = roll(k->d, SOURCES_COUNT);
	r->forwarding = roll(k->d, FORWARDINGS_COUNT);
	for (uint32_t n = roll(k->d, 4), i = 0; i < n; i++)
		*vec_push(&r->hosts) = xstrdup(NTH(host_names, start, i));
	r->active = roll(k->d, ACTIVES_COUNT);
	if (chance(k->d, 40))
		r->flows = TN_FLOWS_MIN + roll(k->d, TN_FLOWS_MAX - TN_FLOWS_MIN + 1);
	for (int f = 0; f < FAMILIES; f++) {
		if (!k->has[f])
			continue;
		if (chance(k->d, 40))
			r->own[f] = (struct own_address){
				.addr = numbered(f, "100.64", "fd64:", 99, number + 1),
				.pinned = true,
			};
		for (uint32_t n = roll(k->d, 3); n > 0; n--) {
			struct route *route = vec_push(&r->routes);

			route->to.addr = numbered(f, "100.64", "fd64:", 200 + n, 0);
			route->to.len = f == IPV4 ? 120 : 112;
			route->via = numbered(f, "100.64", "fd64:", 98, 1 + roll(k->d, 9));
		}
		for (uint32_t n = roll(k->d, 3); n > 0; n--) {
			struct route *route = vec_push(&r->inside_routes);

			route->to.addr = numbered(f, "10.9", "fd09:", 200 + n, 0);
			route->to.len = f == IPV4 ? 120 : 112;
			route->via = numbered(f, "10.8", "fd08:", 98, 1 + roll(k->d, 9));
		}
	}
	if (r->active == ACTIVE_ELECTED &&
	    (r->hosts.n < 2 || (!r->own[IPV4].pinned && !r->own[IPV6].pinned)))
		r->active = ACTIVE_ALWAYS;
	if (r->active != ACTIVE_ALWAYS && chance(k->d, 50))
		r->grace = roll(k->d, TN_GRACE_MAX + 1);
}

static void make_limit(struct dice *d, struct limit *l)
{
	static const uint64_t rates[] = { 1000, 1001, 12500000, 125000, 1250000000, 125000000000 };

	if (chance(d, 70)) {
		l->rate = rates[roll(d, ARRAY_SIZE(rates))];
		l->burst = limit_burst_default(l->rate);
		if (chance(d, 50))
			l->burst = limit_burst_least(l->rate) + roll(d, 3) * 1023;
		if (l->burst > LIMIT_BURST_MAX)
			l->burst = LIMIT_BURST_MAX;
	}
	if (!l->rate || chance(d, 30))
		l->packets = 1 + roll(d, LIMIT_PACKETS_MAX);
}

static void make_mappings(struct making *k, struct tenant *t, uint32_t number)
{
	uint32_t start = roll(k->d, ARRAY_SIZE(mapping_names)), n = roll(k->d, 8);

	for (uint32_t i = 0; i < n; i++) {
		int f = roll(k->d, FAMILIES);
		struct mapping *m;

		if (!k->has[f])
			continue;
		m = vec_push(&t->mappings);
		m->fixed = numbered(f, "10.0", "fd00:1:2:3:4:5", number, i + 1);
		if (chance(k->d, 60))
			m->name = xstrdup(NTH(mapping_names, start, i));
		if (chance(k->d, 50)) {
			m->shared = numbered(f, "100.64", "fd64:", number + 1, i + 1);
			m->pinned = true;
		}
		if (chance(k->d, 30))
			mac_from_number(0xfa163e000000 + roll(k->d, 1 << 24), m->mac);
		if (chance(k->d, 40))
			make_limit(k->d, &m->limit);
	}
}

static void make_rule(struct making *k, struct tenant *t, struct rule *r)
{
	struct service found[SERVICE_PARTS];
	struct error err = { 0 };

	r->any = chance(k->d, 30);
	for (size_t i = 0; !r->any && i < k->m->tenants.n; i++) {
		if (chance(k->d, 50) || i == 0)
			*vec_push(&r->from) = xstrdup(k->m->tenants.v[i].name);
	}
	vec_each (m, &t->mappings) {
		if (chance(k->d, 30))
			*vec_push(&r->to) = xstrdup(m->name ? m->name : ADDR(&m->fixed));
	}
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		size_t n = chance(k->d, 25) ? service_parse(ports[i], found, &err) : 0;

		for (size_t j = 0; j < n; j++)
			*vec_push(&r->services) = found[j];
	}
}

static void make_pools(struct making *k, struct tenant *t, uint32_t number)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (k->has[f])
			*vec_push(&t->pools) = (struct prefix){
				numbered(f, "100.64", "fd64:", number + 1, 0),
				f == IPV4 ? 120 : 112,
			};
	}
	if (k->has[IPV4] && chance(k->d, 30))
		*vec_push(&t->pools) =
			(struct prefix){ numbered(IPV4, "100.64", "", 97, number + 1), 128 };
	shuffle(k->d, &t->pools);
}

/* Where all names of mappings can be names in it. */
static void make_zone(struct model *m)
{
	_cleanup_dns_names_ struct dns_names names;

	m->zone = xstrdup("shared.internal");
	dns_names_make(m, &names);
	if (!names.bad.n && !names.twice.n)
		return;
	free(m->zone);
	m->zone = NULL;
}

void make_model(struct dice *d, struct model *m, bool escaped)
{
	struct making k = { .d = d, .m = m, .escaped = escaped };
	uint32_t start = roll(d, ARRAY_SIZE(tenant_names)), n = roll(d, 5);

	memset(m, 0, sizeof(*m));
	k.has[IPV4] = chance(d, 80);
	k.has[IPV6] = !k.has[IPV4] || chance(d, 60);
	if (k.has[IPV6])
		*vec_push(&m->subnets) = prefix_of("fd64::/64");
	if (k.has[IPV4])
		*vec_push(&m->subnets) = prefix_of("100.64.0.0/16");
	for (uint32_t i = 0; i < n; i++)
		vec_push(&m->tenants)->name = xstrdup(NTH(tenant_names, start, i));
	for (uint32_t i = 0; i < n; i++) {
		struct tenant *t = &m->tenants.v[i];

		if (chance(d, 70))
			make_pools(&k, t, i);
		if (chance(d, 70))
			make_router(&k, t, i);
		make_mappings(&k, t, i);
		t->has_accept = chance(d, 70);
		for (uint32_t r = t->has_accept ? roll(d, 4) : 0; r > 0; r--)
			make_rule(&k, t, vec_push(&t->accept));
	}
	if (chance(d, 50))
		make_zone(m);
}

Test(write, parsing_gives_the_same_again)
{
	struct dice dice = { 22 };

	for (int round = 0; round < 3000; round++) {
		_cleanup_model_ struct model m = { 0 };

		make_model(&dice, &m, chance(&dice, 30));
		expect_round_trip(&m);
	}
}

Test(write, a_file_that_has_everything)
{
	_cleanup_model_ struct model m = good(everything);

	forget(&m);
	expect_round_trip(&m);
}

static void expect_written(const char *definitions, const char *yaml)
{
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_free_ char *text = written(&m);

	cr_expect_str_eq(text, yaml, "got:\n%s\nbut should be:\n%s", text, yaml);
}

/* Ids, leases, whether a router is detached, and what is the default are not there. */
Test(write, as_people_write)
{
	expect_written(
		"net 100.64.0.0/16 fd64::/64;"
		"tenant red id=7 pool=100.64.1.0/24 pool=fd64::1:0/112;"
		"router id=3 netns=red shared=shared0 inside=lan0 inside=qr-* hook=xdp "
		"sources=loose forwarding=stack pin=100.64.0.2 pin=fd64::2 detached "
		"to=100.64.9.0/24 via=100.64.0.1 behind=10.9.0.0/24 gate=192.0.2.1 "
		"behind=fd10::/64 gate=fd00::1;"
		"map 10.0.0.5 db pin=100.64.1.9;"
		"map fd00::5 lease=fd64::1:5 mac=fa:16:3e:00:00:05 packets=10000;"
		"accept from=blue to=db tcp/5432 udp/53-54; accept from=*;"
		"tenant blue; router pin=100.64.0.3 lease=fd64::1:ffff; accept;"
		"tenant host; router;",
		"shared-network:\n"
		"  subnets: [100.64.0.0/16, \"fd64::/64\"]\n"
		"tenants:\n"
		"- name: red\n"
		"  router:\n"
		"    netns: red\n"
		"    shared: shared0\n"
		"    inside: [lan0, qr-*]\n"
		"    hook: xdp\n"
		"    sources: loose\n"
		"    forwarding: stack\n"
		"    address: [100.64.0.2, \"fd64::2\"]\n"
		"    routes:\n"
		"    - {to: 100.64.9.0/24, via: 100.64.0.1}\n"
		"    inside-routes:\n"
		"    - {to: 10.9.0.0/24, via: 192.0.2.1}\n"
		"    - {to: \"fd10::/64\", via: \"fd00::1\"}\n"
		"  pool: [100.64.1.0/24, \"fd64::1:0/112\"]\n"
		"  mappings:\n"
		"  - {name: db, fixed: 10.0.0.5, shared: 100.64.1.9}\n"
		"  - {fixed: \"fd00::5\", mac: \"fa:16:3e:00:00:05\", limit: {packets: 10000}}\n"
		"  accept:\n"
		"  - {from: [blue], to: [db], ports: [tcp/5432, udp/53-54]}\n"
		"  - {from: [\"*\"]}\n"
		"- name: blue\n"
		"  router:\n"
		"    address: 100.64.0.3\n"
		"  accept: []\n"
		"- name: host\n"
		"  router: {}\n");
	expect_written("net 100.64.0.0/16; zone shared.internal; tenant a;",
		       "shared-network:\n"
		       "  subnets: [100.64.0.0/16]\n"
		       "  names:\n"
		       "    zone: shared.internal\n"
		       "tenants:\n"
		       "- name: a\n");
	expect_written(
		"net 100.64.0.0/16;"
		"tenant a; map 10.0.0.0/24 lan pin=100.64.1.0/24 except=10.0.0.1 "
		"except=10.0.0.9; map fd00::/64 lease=fd64::/64;",
		"shared-network:\n"
		"  subnets: [100.64.0.0/16]\n"
		"tenants:\n"
		"- name: a\n"
		"  mappings:\n"
		"  - {name: lan, fixed: 10.0.0.0/24, shared: 100.64.1.0/24, except: [10.0.0.1, "
		"10.0.0.9]}\n"
		"  - {fixed: \"fd00::/64\"}\n");
	expect_written("net 100.64.0.0/16;"
		       "tenant a; router host=hv1 netns=r; tenant b; router elsewhere host=hv1 "
		       "host=hv2 active=address; tenant c; router elsewhere host=hv1 host=hv2;"
		       "tenant d; router active=address;",
		       "shared-network:\n"
		       "  subnets: [100.64.0.0/16]\n"
		       "tenants:\n"
		       "- name: a\n"
		       "  router:\n"
		       "    host: hv1\n"
		       "    netns: r\n"
		       "- name: b\n"
		       "  router:\n"
		       "    hosts: [hv1, hv2]\n"
		       "- name: c\n"
		       "  router:\n"
		       "    hosts: [hv1, hv2]\n"
		       "    active: always\n"
		       "- name: d\n"
		       "  router:\n"
		       "    active: address\n");
	expect_written("net 100.64.0.0/16;", "shared-network:\n"
					     "  subnets: [100.64.0.0/16]\n"
					     "tenants: []\n");
}

/* By other readers of YAML, too. */
Test(write, nothing_is_taken_for_something_else)
{
	static const char *const quoted[] = { "null", "Null", "TRUE", "no",    "off", "y",
					      "123",  "1e5",  "0x1f", "1_000", "1.5", "2026-01-01",
					      "-",    "~",    "*",    "=",     "<<",  "#c",
					      "a:b",  "[a]",  "%x",   "1:30" };
	static const char *const plain[] = { "red",  "nobody",	"10.0.0.5",	 "10.0.0.0/8",
					     "qr-*", "a.b_c-D", "/run/netns/red" };

	for (size_t i = 0; i < ARRAY_SIZE(quoted) + ARRAY_SIZE(plain); i++) {
		bool is_quoted = i < ARRAY_SIZE(quoted);
		const char *name = is_quoted ? quoted[i] : plain[i - ARRAY_SIZE(quoted)];
		_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; tenant red; router;");
		_cleanup_free_ char *text = NULL;
		char want[64];

		m.tenants.v[0].router->netns = xstrdup(name);
		text = written(&m);
		snprintf(want, sizeof(want), is_quoted ? "netns: \"%s\"\n" : "netns: %s\n", name);
		cr_expect(strstr(text, want), "no %s in:\n%s", want, text);
	}
}

Test(write, limits)
{
	static const struct {
		struct limit limit;
		const char *text;
	} rows[] = {
		{ { 12500000, 12500000, 0 }, "{rate: 100mbit}" },
		{ { 12500000, 6250000, 0 }, "{rate: 100mbit, burst: 6250000b}" },
		{ { 12500000, 20 << 20, 5 }, "{rate: 100mbit, burst: 20mb, packets: 5}" },
		{ { 12500000, (20 << 20) + 1024, 0 }, "{rate: 100mbit, burst: 20481kb}" },
		{ { 12500001, 20971521, 0 }, "{rate: 100000008bit, burst: 20971521b}" },
		{ { 125000000000, LIMIT_BURST_MAX, 0 }, "{rate: 1000gbit}" },
		{ { 0, 0, 1000000000 }, "{packets: 1000000000}" },
		/* of an older version: no file may say it any more */
		{ { 12500000, 1000, 0 }, "{rate: 100mbit}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_model_ struct model m =
			model_of("net 100.64.0.0/16; tenant red; map 10.0.0.5;");
		_cleanup_free_ char *text = NULL;
		char want[128];

		m.tenants.v[0].mappings.v[0].limit = rows[i].limit;
		text = written(&m);
		snprintf(want, sizeof(want), "- {fixed: 10.0.0.5, limit: %s}\n", rows[i].text);
		cr_expect(strstr(text, want), "no %s in:\n%s", want, text);
	}
}

/* Shown as it is, if that can be; a line of its own for each mapping, however long it is. */
Test(write, other_letters)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; tenant red; router;");
	_cleanup_free_ char *text = NULL, *escaped = NULL;

	m.tenants.v[0].router->netns = xstrdup("caf\xc3\xa9");
	text = written(&m);
	cr_expect(strstr(text, "netns: \"caf\xc3\xa9\"\n"), "%s", text);
	m.tenants.v[0].router->shared = xstrdup("a\xe2\x80\x8e");
	escaped = written(&m);
	cr_expect(strstr(escaped, "netns: \"caf\\xE9\"\n    shared: \"a\\u200E\"\n"), "%s",
		  escaped);
}

Test(write, what_is_no_text_is_refused)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; tenant red; router;");
	struct error err = { 0 };
	FILE *null = fopen("/dev/null", "w");

	m.tenants.v[0].router->netns = xstrdup("caf\xe9");
	cr_expect_eq(definitions_write(&m, null, &err), -1);
	cr_expect(strstr(err.text, "not UTF-8"), "%s", err.text);
	cr_expect_null(definitions_json(&m, &err));
	fclose(null);
}

Test(write, a_full_disk_is_an_error)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; tenant red; router;");
	struct error err = { 0 };
	FILE *full = fopen("/dev/full", "w");

	setbuf(full, NULL);
	cr_expect_eq(definitions_write(&m, full, &err), -1);
	cr_expect(strstr(err.text, "cannot write"), "%s", err.text);
	fclose(full);
}

/* JSON is YAML, so the same function reads it, but for characters that it takes only as escapes. */
Test(write, json_says_the_same)
{
	struct dice dice = { 23 };

	for (int round = 0; round < 300; round++) {
		_cleanup_model_ struct model m = { 0 }, back = { 0 };
		_cleanup_free_ char *text = NULL;
		struct error err = { 0 };
		json_t *json;

		make_model(&dice, &m, false);
		json = definitions_json(&m, &err);
		cr_assert(json, "%s", err.text);
		text = json_dumps(json, JSON_COMPACT);
		json_decref(json);
		back = good(text);
		forget(&back);
		assert_same(&back, &m);
	}
}
