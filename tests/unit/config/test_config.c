/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdint.h>

#include "config/config.h"
#include "config_broken.h"
#include "lib/util.h"

/* Everything that a definitions file can say. */
static const char everything[] = "shared-network:\n"
				 "  subnets: [100.64.0.0/16, \"fd64::/64\"]\n"
				 "tenants:\n"
				 "  - name: red                  # a comment\n"
				 "    router:\n"
				 "      netns: red\n"
				 "      shared: shared0\n"
				 "      inside: [lan0, lan1]\n"
				 "      hook: auto\n"
				 "      address: [100.64.0.2, \"fd64::2\"]\n"
				 "      routes: [{to: 100.64.9.0/24, via: 100.64.0.1}]\n"
				 "    pool: [100.64.1.0/24, \"fd64::1:0/112\"]\n"
				 "    mappings:\n"
				 "      - name: db\n"
				 "        fixed: 10.0.0.5\n"
				 "        shared: 100.64.1.9\n"
				 "      - {name: db, fixed: fd00:10::5, shared: \"fd64::1:9\"}\n"
				 "      - fixed: 10.0.0.6\n"
				 "  - name: blue\n"
				 "    router: {hook: xdp-generic, netns: /run/netns/blue}\n"
				 "    mappings:\n"
				 "      - fixed: 10.0.0.5\n"
				 "  - name: host\n"
				 "    pool: [100.64.0.250]\n"
				 "    mappings: [{fixed: 10.9.9.9, shared: 100.64.0.250}]\n"
				 "# caf\xc3\xa9\n";

/* A file that is being written. */
struct text {
	char *v;
	size_t n;
	size_t cap;
};

static void text_free(struct text *t)
{
	vec_free(t);
}
#define _cleanup_text_ _cleanup_(text_free)

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	while (t->n + 512 > t->cap) {
		t->cap = 2 * t->cap + 512;
		t->v = xrealloc(t->v, t->cap, 1);
	}
	va_start(args, format);
	n = vsnprintf(t->v + t->n, t->cap - t->n, format, args);
	va_end(args);
	cr_assert(n >= 0 && n < 512);
	t->n += (size_t)n;
}

/* Without an error; the model is the caller's to free. */
static struct model good_bytes(const char *bytes, size_t len)
{
	struct config_errors errors;
	struct model m;
	int ret = config_parse(bytes, len, "t.yaml", &m, &errors);

	cr_assert_eq(errors.list.n, 0, "%s", errors.list.v ? errors.list.v[0] : "");
	cr_assert_eq(ret, 0);
	cr_assert_eq(errors.dropped, 0);
	return m;
}

static struct model good(const char *yaml)
{
	return good_bytes(yaml, strlen(yaml));
}

/* What is promised of every answer, whatever the file. */
static int parse_any(const char *bytes, size_t len, struct config_errors *errors)
{
	_cleanup_model_ struct model m = { 0 };
	unsigned int line = 0, col = 0;
	int ret = config_parse(bytes, len, "t.yaml", &m, errors);

	cr_assert(ret == 0 || ret == -1);
	cr_assert_eq(ret == 0, errors->list.n == 0);
	cr_assert_leq(errors->list.n, (size_t)CONFIG_ERRORS_MAX);
	if (ret < 0)
		cr_assert(!m.tenants.v && !m.subnets.v);
	else
		cr_assert(m.subnets.n > 0);
	vec_each (text, &errors->list) {
		unsigned int at_line, at_col;
		int end = 0;

		cr_assert_eq(sscanf(*text, "t.yaml:%u:%u: %n", &at_line, &at_col, &end), 2, "%s",
			     *text);
		cr_assert(at_line > 0 && at_col > 0 && end > 0 && (*text)[end], "%s", *text);
		cr_assert(at_line > line || (at_line == line && at_col >= col), "order: %s", *text);
		line = at_line;
		col = at_col;
	}
	return ret;
}

/* The errors of a file, one a line, without its name. */
static struct text errors_of(const char *bytes, size_t len)
{
	struct config_errors errors;
	struct text text = { 0 };

	cr_assert_eq(parse_any(bytes, len, &errors), -1);
	vec_each (error, &errors.list)
		add(&text, "%s\n", *error + strlen("t.yaml:"));
	config_errors_free(&errors);
	return text;
}

static void expect_addr(const struct tn_addr *a, const char *text)
{
	cr_expect_str_eq(ADDR(a), text);
}

static void expect_pos(struct pos at, uint32_t line, uint32_t col)
{
	cr_expect(at.line == line && at.col == col, "%u:%u, not %u:%u", at.line, at.col, line, col);
}

Test(config, everything)
{
	_cleanup_model_ struct model m = good(everything);
	const struct tenant *red, *blue, *host;

	cr_assert_eq(m.subnets.n, 2);
	cr_expect_str_eq(PREFIX(&m.subnets.v[0]), "100.64.0.0/16");
	cr_expect_str_eq(PREFIX(&m.subnets.v[1]), "fd64::/64");
	cr_assert_eq(m.tenants.n, 3);

	red = &m.tenants.v[0];
	cr_expect_str_eq(red->name, "red");
	cr_expect_eq(red->id, 0);
	expect_pos(red->pos, 4, 5);
	cr_assert(red->router);
	cr_expect_str_eq(red->router->netns, "red");
	cr_expect_str_eq(red->router->shared, "shared0");
	cr_assert_eq(red->router->inside.n, 2);
	cr_expect_str_eq(red->router->inside.v[0], "lan0");
	cr_expect_str_eq(red->router->inside.v[1], "lan1");
	for (int i = 0; i < FAMILIES; i++) {
		const struct own_address *own = &red->router->own[i];

		cr_expect_str_eq(ADDR(&own->addr), i == IPV4 ? "100.64.0.2" : "fd64::2");
		cr_expect(own->pinned && own->wanted);
	}
	cr_assert_eq(red->router->routes.n, 1);
	cr_expect_str_eq(PREFIX(&red->router->routes.v[0].to), "100.64.9.0/24");
	cr_expect_str_eq(ADDR(&red->router->routes.v[0].via), "100.64.0.1");
	cr_expect_eq(red->router->hook, HOOK_AUTO);
	cr_expect_eq(red->router->id, 0);
	cr_expect(!red->router->detached);
	expect_pos(red->router->pos, 5, 5);
	cr_assert_eq(red->pools.n, 2);
	cr_expect_str_eq(PREFIX(&red->pools.v[0]), "100.64.1.0/24");
	cr_expect_str_eq(PREFIX(&red->pools.v[1]), "fd64::1:0/112");
	cr_assert_eq(red->mappings.n, 3);
	cr_expect_str_eq(red->mappings.v[0].name, "db");
	expect_addr(&red->mappings.v[0].fixed, "10.0.0.5");
	expect_addr(&red->mappings.v[0].shared, "100.64.1.9");
	cr_expect(red->mappings.v[0].pinned);
	expect_pos(red->mappings.v[0].pos, 14, 9);
	cr_expect_str_eq(red->mappings.v[1].name, "db");
	expect_addr(&red->mappings.v[1].fixed, "fd00:10::5");
	expect_addr(&red->mappings.v[1].shared, "fd64::1:9");
	expect_pos(red->mappings.v[1].pos, 17, 9);
	cr_expect(!red->mappings.v[2].name && !red->mappings.v[2].pinned);
	expect_addr(&red->mappings.v[2].fixed, "10.0.0.6");
	cr_expect(addr_is_unset(&red->mappings.v[2].shared));

	blue = &m.tenants.v[1];
	cr_expect_str_eq(blue->router->netns, "/run/netns/blue");
	cr_expect(!blue->router->shared && blue->router->inside.n == 0 && blue->pools.n == 0);
	cr_expect_eq(blue->router->hook, HOOK_XDP_GENERIC);
	cr_expect_eq(blue->mappings.n, 1);
	expect_pos(blue->router->pos, 20, 5);

	host = &m.tenants.v[2];
	cr_expect(!host->router);
	cr_assert_eq(host->pools.n, 1);
	cr_expect_str_eq(PREFIX(&host->pools.v[0]), "100.64.0.250/32");
	expect_pos(host->mappings.v[0].pos, 25, 16);
}

Test(config, the_least_that_there_can_be)
{
	_cleanup_model_ struct model m = good("tenants: []\n"
					      "shared-network: {subnets: [10.0.0.0/31]}");

	cr_expect_eq(m.tenants.n, 0);
	cr_assert_eq(m.subnets.n, 1);
	cr_expect_str_eq(PREFIX(&m.subnets.v[0]), "10.0.0.0/31");
}

Test(config, ipv6_alone)
{
	_cleanup_model_ struct model m = good("shared-network:\n"
					      "  subnets: [fd64::/64, fd65::/64]\n"
					      "tenants:\n"
					      "  - name: red\n"
					      "    pool: [fd64::1:0/112, fd65::2]\n"
					      "    mappings:\n"
					      "      - fixed: fd00:10::5\n"
					      "        shared: fd64::1:5\n"
					      "      - fixed: FD00:10:0::0006\n"
					      "        shared: fd65::2\n");

	expect_addr(&m.tenants.v[0].mappings.v[0].fixed, "fd00:10::5");
	expect_addr(&m.tenants.v[0].mappings.v[0].shared, "fd64::1:5");
	expect_addr(&m.tenants.v[0].mappings.v[1].fixed, "fd00:10::6");
}

Test(config, demo)
{
	static const char rest[] = "demo/definitions.yaml";
	const char *tests = strstr(__FILE__, "tests/unit/config/test_config.c");
	_cleanup_model_ struct model m = { 0 };
	_cleanup_fclose_ FILE *file = NULL;
	char path[4096], bytes[16384];
	size_t n;

	cr_assert(tests);
	snprintf(path, sizeof(path), "%.*s%s", (int)(tests - __FILE__), __FILE__, rest);
	file = fopen(path, "r");
	cr_assert(file, "%s", path);
	n = fread(bytes, 1, sizeof(bytes), file);
	cr_assert_lt(n, sizeof(bytes));
	m = good_bytes(bytes, n);
	cr_expect_geq(m.tenants.n, 2);
}

/* `router:` of every form that says: here, find it yourself. */
Test(config, router_in_our_own_namespace)
{
	static const char *const forms[] = { "router:", "router: {}", "router: ''",
					     "router: # none" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml, NETWORK "  - name: red\n    %s\n", forms[i]);
		m = good_bytes(yaml.v, yaml.n);
		cr_assert(m.tenants.v[0].router, "%s", forms[i]);
		cr_expect(!m.tenants.v[0].router->netns && !m.tenants.v[0].router->shared);
		cr_expect_eq(m.tenants.v[0].router->hook, HOOK_AUTO);
		expect_pos(m.tenants.v[0].router->pos, 4, 5);
	}
}

Test(config, every_hook)
{
	for (enum hook hook = 0; hook < HOOKS_COUNT; hook++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml, NETWORK "  - name: red\n    router: {hook: %s}\n", hook_name(hook));
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->hook, hook);
	}
}

Test(config, every_kind_of_sources)
{
	_cleanup_model_ struct model none = good(NETWORK "  - name: red\n    router:\n");

	cr_expect_eq(none.tenants.v[0].router->sources, SOURCES_STRICT);
	for (enum sources sources = 0; sources < SOURCES_COUNT; sources++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml, NETWORK "  - name: red\n    router: {sources: %s}\n",
		    sources_name(sources));
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->sources, sources);
	}
}

Test(config, patterns_of_interfaces)
{
	static const char *const patterns[] = {
		"*",	  "qr-*",
		"tap?",	  "[a-z]*[!0-9]",
		"[]a]*",  "[[:alpha:]]?",
		"\\\\[*", "*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	_cleanup_text_ struct text yaml = { 0 };
	_cleanup_model_ struct model m = { 0 };
	const struct router *r;

	/* one that would match it does not take the shared interface */
	add(&yaml, NETWORK "  - name: red\n    router:\n      shared: qr-0\n      inside:\n");
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		add(&yaml, "        - \"%s\"\n", patterns[i]);
	m = good_bytes(yaml.v, yaml.n);
	r = m.tenants.v[0].router;
	cr_assert_eq(r->inside.n, ARRAY_SIZE(patterns));
	vec_each (entry, &r->inside)
		cr_expect(inside_is_pattern(*entry), "%s", *entry);
	cr_expect_str_eq(r->inside.v[1], "qr-*");
	cr_expect_str_eq(r->inside.v[6], "\\[*");
	cr_expect_not(inside_is_pattern("lan0"));
	cr_expect_not(inside_is_pattern("a\\b"));
}

Test(config, every_kind_of_forwarding)
{
	_cleanup_model_ struct model none = good(NETWORK "  - name: red\n    router:\n");

	cr_expect_eq(none.tenants.v[0].router->forwarding, FORWARDING_AUTO);
	for (enum forwarding forwarding = 0; forwarding < FORWARDINGS_COUNT; forwarding++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml, NETWORK "  - name: red\n    router: {forwarding: %s}\n",
		    forwarding_name(forwarding));
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->forwarding, forwarding);
	}
}

Test(config, limits)
{
	static const struct {
		const char *text;
		struct limit limit;
	} cases[] = {
		{ "packets: 7", { .packets = 7 } },
		{ "rate: 100mbit", { 12500000, 6250000, 0 } },
		{ "rate: 8kbit", { 1000, 131072, 0 } },
		{ "rate: 1000gbit, packets: 1000000000",
		  { 125000000000, (uint64_t)16 << 30, 1000000000 } },
		/* the least ones */
		{ "rate: 1gbit, burst: 36622kb", { 125000000, 37500928, 0 } },
		{ "burst: 733kb, rate: 20mbit", { 2500000, 750592, 0 } },
		{ "rate: 8kbit, burst: 131072b", { 1000, 131072, 0 } },
		{ "rate: 1000gbit, burst: 16384mb", { 125000000000, (uint64_t)16 << 30, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml,
		    NETWORK "  - name: red\n    mappings: [{fixed: 10.0.0.5, limit: {%s}}]\n",
		    cases[i].text);
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_arr_eq(&m.tenants.v[0].mappings.v[0].limit, &cases[i].limit,
				 sizeof(struct limit), "%s", cases[i].text);
	}
}

/* What may look wrong, and is not. */
Test(config, accepted)
{
	static const char *const tenants[] = {
		/* two routers in one namespace, each with an interface of its own */
		"  - {name: a, router: {netns: r, shared: s0}}\n"
		"  - {name: b, router: {netns: r, shared: s1}}\n"
		"  - {name: c, router: {netns: /srv/run/netns/r, shared: s0}}\n",
		/* one name for the addresses of both families, and in two tenants */
		"  - {name: a, mappings: [{name: db, fixed: 10.0.0.5},\n"
		"     {name: db, fixed: fd00::5}]}\n"
		"  - {name: b, mappings: [{name: db, fixed: 10.0.0.5}]}\n",
		/* pools that overlap, and nobody has pinned anything where they do */
		"  - {name: a, pool: [100.64.0.0/20]}\n"
		"  - {name: b, pool: [100.64.1.0/24], mappings: [{fixed: 10.0.0.5}]}\n"
		"  - {name: c, pool: [100.64.1.0/24, 100.64.32.0/24],\n"
		"     mappings: [{fixed: 10.0.0.5, shared: 100.64.32.1}]}\n",
		/* no pool: nothing is asked of others, nor by them */
		"  - {name: a, pool: [100.64.1.0/24],\n"
		"     mappings: [{fixed: 10.0.0.5, shared: 100.64.1.1}]}\n"
		"  - {name: b, mappings: [{fixed: 10.0.0.5, shared: 100.64.1.2}]}\n",
		/* the first and the last address of a pool that are not those of its subnet */
		"  - {name: a, pool: [100.64.1.0/24],\n"
		"     mappings: [{fixed: 10.0.0.0, shared: 100.64.1.0},\n"
		"     {fixed: 10.0.0.255, shared: 100.64.1.255}]}\n",
		/* names at their limits */
		"  - name: 0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		"    router: {netns: a b, shared: abcdefghijklmno, inside: [-, é]}\n"
		"    mappings:\n"
		"      - fixed: 10.0.0.1\n"
		"        name: Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_.\n"
		"      - {fixed: 10.0.0.2, name: 10.0.0}\n"
		"      - {fixed: 10.0.0.3, name: null}\n"
		"      - {fixed: 10.0.0.4, name: 10.0.0.4.example}\n",
		"  - {name: a, mappings: []}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(tenants); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		add(&yaml, NETWORK);
		for (const char *s = tenants[i]; *s; s++)
			add(&yaml, "%c", *s);
		m = good_bytes(yaml.v, yaml.n);
	}
}

static void expect_same(const struct model *a, const struct model *b)
{
	cr_assert_eq(a->subnets.n, b->subnets.n);
	cr_assert_eq(a->tenants.n, b->tenants.n);
	for (size_t i = 0; i < a->tenants.n; i++) {
		const struct tenant *t = &a->tenants.v[i], *u = &b->tenants.v[i];

		cr_expect_str_eq(t->name, u->name);
		cr_expect_eq(!t->router, !u->router);
		cr_expect_eq(t->pools.n, u->pools.n);
		cr_assert_eq(t->mappings.n, u->mappings.n);
		for (size_t k = 0; k < t->mappings.n; k++)
			cr_expect_eq(addr_cmp(&t->mappings.v[k].fixed, &u->mappings.v[k].fixed), 0);
	}
}

/* How a file is written does not matter: its ends of line, its markers, its quotes, its style. */
Test(config, style_does_not_matter)
{
	static const char json[] =
		"{\"tenants\": [\n"
		" {\"mappings\": [{\"fixed\": \"10.0.0.5\", \"shared\": \"100.64.1.9\",\n"
		"  \"name\": \"db\"},\n"
		"  {\"fixed\": \"fd00:10::5\", \"shared\": \"fd64::1:9\", \"name\": \"db\"},\n"
		"  {\"fixed\": \"10.0.0.6\"}], \"name\": \"red\",\n"
		"  \"router\": {\"netns\": \"red\"}, \"pool\": [\"100.64.1.0/24\", "
		"\"fd64::1:0/112\"]},\n"
		" {\"name\": \"blue\", \"router\": {},\n"
		"  \"mappings\": [{\"fixed\": \"10.0.0.5\"}]},\n"
		" {'name': 'host', 'pool': ['100.64.0.250'],\n"
		"  'mappings': [{'shared': '100.64.0.250', 'fixed': '10.9.9.9'}]}],\n"
		" \"shared-network\": {\"subnets\": [\"100.64.0.0/16\", \"fd64::/64\"]}}\n";
	_cleanup_model_ struct model plain = good(everything), other = good(json), dos = { 0 },
				     marked = { 0 };
	_cleanup_text_ struct text crlf = { 0 }, markers = { 0 };

	expect_same(&plain, &other);
	add(&markers, "\xef\xbb\xbf%%YAML 1.1\n---\n");
	for (const char *s = everything; *s; s++) {
		add(&crlf, "%s%c", *s == '\n' ? "\r" : "", *s);
		add(&markers, "%c", *s);
	}
	add(&markers, "...\n# the end\n");
	dos = good_bytes(crlf.v, crlf.n);
	expect_same(&plain, &dos);
	expect_pos(dos.tenants.v[0].mappings.v[1].pos, 17, 9);
	marked = good_bytes(markers.v, markers.n);
	expect_same(&plain, &marked);
}

Test(config, refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		const struct broken *b = &broken[i];
		_cleanup_text_ struct text got = errors_of(b->yaml, b->len);

		cr_expect_str_eq(got.v, b->errors, "%s:\ngot:\n%swant:\n%s", b->what, got.v,
				 b->errors);
	}
}

Test(config, positions_with_crlf)
{
	static const char yaml[] = "shared-network: {subnets: [100.64.0.0/33]}\r\n"
				   "# \r\n\r\n"
				   "tenants: x\r\n";
	_cleanup_text_ struct text got = errors_of(yaml, strlen(yaml));

	cr_expect_str_eq(got.v, "1:28: `100.64.0.0/33` is not a prefix; write it like "
				"`100.64.0.0/16`\n"
				"4:10: `tenants` must be a list, not one value; write it like "
				"`tenants: [{name: red}]`\n");
}

/* Of too many errors the first of the file are listed, whichever check finds them. */
Test(config, too_many_errors)
{
	_cleanup_text_ struct text yaml = { 0 };
	struct config_errors errors;

	add(&yaml, NETWORK "  - name: red\n    mappings:\n");
	for (int i = 0; i < 61; i++)
		add(&yaml, "      - fixed: 10.0.0.5\n");
	for (int i = 0; i < 1000; i++)
		add(&yaml, "      - fixed: 10.0.0.300\n");
	cr_assert_eq(parse_any(yaml.v, yaml.n, &errors), -1);
	cr_assert_eq(errors.list.n, (size_t)CONFIG_ERRORS_MAX);
	cr_expect_eq(errors.dropped, 1060 - (size_t)CONFIG_ERRORS_MAX);
	for (unsigned int i = 0; i < errors.list.n; i++) {
		char at[32];

		snprintf(at, sizeof(at), "t.yaml:%u:16: ", i + 6);
		cr_expect_eq(strncmp(errors.list.v[i], at, strlen(at)), 0, "%s", errors.list.v[i]);
	}
	cr_expect(strstr(errors.list.v[59], "already mapped at line 5;"), "%s", errors.list.v[59]);
	cr_expect(strstr(errors.list.v[60], "`10.0.0.300`"), "%s", errors.list.v[60]);
	config_errors_free(&errors);
	cr_expect(errors.list.n == 0 && errors.dropped == 0);
}

Test(config, exactly_as_many_errors_as_are_listed)
{
	_cleanup_text_ struct text yaml = { 0 };
	struct config_errors errors;

	add(&yaml, NETWORK "  - name: red\n    mappings:\n");
	for (int i = 0; i < CONFIG_ERRORS_MAX; i++)
		add(&yaml, "      - fixed: 10.0.0.300\n");
	cr_assert_eq(parse_any(yaml.v, yaml.n, &errors), -1);
	cr_expect_eq(errors.list.n, (size_t)CONFIG_ERRORS_MAX);
	cr_expect_eq(errors.dropped, 0);
	config_errors_free(&errors);
}

Test(config, too_large)
{
	_cleanup_text_ struct text got = errors_of("x", ((size_t)1 << 31) + 1);

	cr_expect_str_eq(got.v, "1:1: the file is larger than 2 GiB; make it smaller\n");
}

Test(config, too_many_routers)
{
	_cleanup_text_ struct text yaml = { 0 }, got = { 0 };
	_cleanup_model_ struct model m = { 0 };

	add(&yaml, NETWORK);
	for (int i = 1; i < TN_ROUTERS_MAX; i++)
		add(&yaml, "  - {name: t%d, router: {netns: t%d}}\n", i, i);
	m = good_bytes(yaml.v, yaml.n);
	add(&yaml, "  - {name: blue, router: {netns: t}}\n  - {name: green, router: {netns: u}}\n");
	got = errors_of(yaml.v, yaml.n);
	cr_expect_str_eq(got.v, "4098:18: more than 4095 routers; leave this and the others to "
				"other machines\n");
}

/* Brackets without end, keys without end: refused, and at once. */
Test(config, endless, .timeout = 60)
{
	static const char *const pieces[] = {
		"[",   "{",   "- ", "? ", "{a: ",  "[a, ", "a: [",  "\"", "&a ",
		"!t ", "*a ", "'",  "|",  "a:\n ", "#",	   "---\n", "%",  "- a\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		struct config_errors errors;

		for (int k = 0; k < 30000; k++)
			add(&yaml, "%s", pieces[i]);
		cr_expect_eq(parse_any(yaml.v, yaml.n, &errors), -1, "%s", pieces[i]);
		config_errors_free(&errors);
	}
}

/* Cut off anywhere, a file is good or refused; the copy has no byte behind it to read. */
Test(config, cut_off_anywhere)
{
	size_t refused = 0, len = strlen(everything);

	for (size_t n = 0; n <= len; n++) {
		_cleanup_free_ char *bytes = xrealloc(NULL, n, 1);
		struct config_errors errors;

		memcpy(bytes, everything, n);
		refused += parse_any(bytes, n, &errors) < 0;
		config_errors_free(&errors);
	}
	cr_expect(refused > len / 2 && refused < len);
}

static uint32_t roll(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*state >> 33) % below;
}

/* Bytes changed, swapped with others of the file, or doubled: good or refused. */
Test(config, damaged_anywhere, .timeout = 120)
{
	static const char alphabet[] = "\0\t\n\r :-,[]{}#&*!|>'\"%@`?<~/.0123459afx"
				       "\x7f\x80\xc3\xa9\xff";
	const uint32_t len = sizeof(everything) - 1;
	uint64_t state = 20240229;
	size_t refused = 0;

	for (int round = 0; round < 20000; round++) {
		_cleanup_free_ char *bytes = xrealloc(NULL, len, 1);
		struct config_errors errors;

		memcpy(bytes, everything, len);
		for (uint32_t n = 1 + roll(&state, 4); n; n--) {
			uint32_t at = roll(&state, len), from = roll(&state, len);
			uint32_t size = roll(&state, 40);

			switch (roll(&state, 3)) {
			case 0:
				bytes[at] = alphabet[roll(&state, sizeof(alphabet) - 1)];
				break;
			case 1:
				bytes[at] ^= (char)(1 << roll(&state, 8));
				break;
			default:
				if (size > len - (at > from ? at : from))
					size = len - (at > from ? at : from);
				memmove(bytes + at, bytes + from, size);
			}
		}
		refused += parse_any(bytes, len, &errors) < 0;
		config_errors_free(&errors);
	}
	cr_expect(refused > 10000 && refused < 20000, "%zu", refused);
}

/* The n-th address of `size` from `first`, in an order that is neither up nor down. */
static struct tn_addr scattered(const char *first, uint64_t n, uint64_t size)
{
	struct tn_addr a;

	cr_assert(addr_parse(first, &a));
	return addr_add(&a, n * 7919 % size);
}

Test(config, many_mappings)
{
	enum { TENANTS = 100, EACH = 1000 };
	_cleanup_model_ struct model m = { 0 };
	_cleanup_text_ struct text yaml = { 0 }, got = { 0 };

	add(&yaml, "shared-network: {subnets: [100.64.0.0/10]}\ntenants:\n");
	for (uint32_t t = 0; t < TENANTS; t++) {
		add(&yaml, "  - name: t%u\n    mappings:\n", t);
		for (uint32_t i = 0; i < EACH; i++) {
			struct tn_addr f = scattered("10.0.0.1", i, EACH);
			struct tn_addr s = scattered("100.64.0.1", t * EACH + i, TENANTS * EACH);

			add(&yaml, "      - {name: vm-%u, fixed: %s, shared: %s}\n", i, ADDR(&f),
			    ADDR(&s));
		}
	}
	m = good_bytes(yaml.v, yaml.n);
	cr_assert_eq(m.tenants.n, TENANTS);
	for (uint32_t t = 0; t < TENANTS; t++) {
		cr_assert_eq(m.tenants.v[t].mappings.n, EACH);
		for (uint32_t i = 0; i < EACH; i++) {
			const struct mapping *one = &m.tenants.v[t].mappings.v[i];
			struct tn_addr f = scattered("10.0.0.1", i, EACH);
			struct tn_addr s = scattered("100.64.0.1", t * EACH + i, TENANTS * EACH);

			cr_assert_eq(addr_cmp(&one->fixed, &f), 0);
			cr_assert_eq(addr_cmp(&one->shared, &s), 0);
			cr_assert_eq(one->pos.line, 5 + t * (EACH + 2) + i);
		}
	}

	/* one more, the same as the first and as the last */
	add(&yaml, "      - {name: vm-0, fixed: 10.0.0.1, shared: 100.64.0.1}\n");
	got = errors_of(yaml.v, yaml.n);
	cr_expect_str_eq(got.v, "100203:16: tenant `t99` already has an IPv4 mapping named `vm-0` "
				"at line "
				"99203; use another name\n"
				"100203:29: the fixed address `10.0.0.1` is already mapped at line "
				"99203; "
				"remove one of them\n"
				"100203:47: the shared address `100.64.0.1` is already used at "
				"line 5 by "
				"tenant `t0`; use another one, or remove `shared` to be given "
				"one\n");
}

/* Pools that hold each other, as deep as they go: the answer is that of asking each for each. */
Test(config, pools_of_others)
{
	uint64_t state = 7;

	for (int round = 0; round < 300; round++) {
		enum { TENANTS = 6 };
		struct tn_addr base, pinned[TENANTS];
		struct prefix pools[TENANTS];
		_cleanup_text_ struct text yaml = { 0 };
		struct config_errors errors;
		bool clash = false, twice = false;
		int ret;

		cr_assert(addr_parse("100.64.0.0", &base));
		add(&yaml, "shared-network: {subnets: [100.64.0.0/24]}\ntenants:\n");
		for (int t = 0; t < TENANTS; t++) {
			uint32_t size = 1U << roll(&state, 7);
			uint32_t start = roll(&state, 256 / size) * size, at;

			do
				at = start + roll(&state, size);
			while ((at == 0 || at == 255) && size > 1);
			if (at == 0 || at == 255)
				start = at = 77;
			pools[t].addr = addr_add(&base, start);
			pools[t].len = (uint8_t)(128 - __builtin_ctz(size));
			pinned[t] = addr_add(&base, at);
			add(&yaml,
			    "  - {name: t%d, pool: [%s], mappings: [{fixed: 10.0.0.1, shared: "
			    "%s}]}\n",
			    t, PREFIX(&pools[t]), ADDR(&pinned[t]));
		}
		for (int t = 0; t < TENANTS; t++) {
			for (int u = 0; u < TENANTS; u++) {
				clash |= t != u && prefix_has(&pools[u], &pinned[t]);
				twice |= t != u && addr_cmp(&pinned[t], &pinned[u]) == 0;
			}
		}
		ret = parse_any(yaml.v, yaml.n, &errors);
		cr_expect_eq(ret < 0, clash || twice, "%.*s", (int)yaml.n, yaml.v);
		config_errors_free(&errors);
	}
}
