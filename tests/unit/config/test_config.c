/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "config_broken.h"
#include "config_fixture.h"

static void expect_addr(const struct tn_addr *a, const char *text)
{
	cr_expect_str_eq(ADDR(a), text);
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

		text_add(&yaml, NETWORK "  - name: red\n    %s\n", forms[i]);
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

		text_add(&yaml, NETWORK "  - name: red\n    router: {hook: %s}\n", hook_name(hook));
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

		text_add(&yaml, NETWORK "  - name: red\n    router: {sources: %s}\n",
			 sources_name(sources));
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->sources, sources);
	}
}

Test(config, room_for_flows)
{
	_cleanup_model_ struct model none = good(NETWORK "  - name: red\n    router:\n");
	_cleanup_model_ struct model least =
		good(NETWORK "  - name: red\n    router: {flows: 1024}\n");
	_cleanup_model_ struct model most =
		good(NETWORK "  - name: red\n    router: {flows: 4194304}\n");

	cr_expect_eq(none.tenants.v[0].router->flows, TN_FLOWS);
	cr_expect_eq(least.tenants.v[0].router->flows, TN_FLOWS_MIN);
	cr_expect_eq(most.tenants.v[0].router->flows, TN_FLOWS_MAX);
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
	text_add(&yaml, NETWORK "  - name: red\n    router:\n      shared: qr-0\n      inside:\n");
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		text_add(&yaml, "        - \"%s\"\n", patterns[i]);
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

		text_add(&yaml, NETWORK "  - name: red\n    router: {forwarding: %s}\n",
			 forwarding_name(forwarding));
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->forwarding, forwarding);
	}
}

Test(config, hosts_of_a_router)
{
	static const struct {
		const char *keys, *hosts;
		enum active active;
	} cases[] = {
		{ "", NULL, ACTIVE_ALWAYS },
		{ "active: address", NULL, ACTIVE_ADDRESS },
		{ "host: hv1", "hv1", ACTIVE_ALWAYS },
		{ "hosts: [hv1]", "hv1", ACTIVE_ALWAYS },
		{ "hosts: [hv1], active: address", "hv1", ACTIVE_ADDRESS },
		{ "hosts: [9.HV-1.example.org, hv0]", "9.HV-1.example.org, hv0", ACTIVE_ADDRESS },
		{ "active: always, hosts: [b, a]", "b, a", ACTIVE_ALWAYS },
		{ "active: elected, hosts: [a, b], address: 100.64.0.2", "a, b", ACTIVE_ELECTED },
		{ "hosts: [a, b], address: 100.64.0.2", "a, b", ACTIVE_ADDRESS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };
		_cleanup_free_ char *hosts = NULL;
		const struct router *r;

		text_add(&yaml, NETWORK "  - name: red\n    router: {%s}\n", cases[i].keys);
		m = good_bytes(yaml.v, yaml.n);
		r = m.tenants.v[0].router;
		hosts = router_hosts_text(r);
		cr_expect_eq(!hosts, !cases[i].hosts, "%s", cases[i].keys);
		cr_expect(!hosts || strcmp(hosts, cases[i].hosts) == 0, "%s", hosts);
		cr_expect_eq(r->active, cases[i].active, "%s", cases[i].keys);
	}
}

Test(config, grace_of_a_router)
{
	static const struct {
		const char *keys;
		uint32_t grace;
	} cases[] = {
		{ "active: address", 0 },
		{ "active: address, takeover-grace: 0s", 0 },
		{ "takeover-grace: 60s, active: address", 60 },
		{ "takeover-grace: 5s, hosts: [hv1, hv2]", 5 },
		{ "takeover-grace: 0s", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		text_add(&yaml, NETWORK "  - name: red\n    router: {%s}\n", cases[i].keys);
		m = good_bytes(yaml.v, yaml.n);
		cr_expect_eq(m.tenants.v[0].router->grace, cases[i].grace, "%s", cases[i].keys);
	}
}

/* Of those that name their hosts, one file may have more than a host can. */
Test(config, routers_of_many_hosts)
{
	_cleanup_text_ struct text yaml = { 0 };
	_cleanup_model_ struct model m = { 0 };

	text_add(&yaml, NETWORK);
	for (int i = 0; i <= TN_ROUTERS_MAX; i++)
		text_add(&yaml, "  - {name: t%d, router: {netns: r, host: hv%d}}\n", i, i);
	m = good_bytes(yaml.v, yaml.n);
	cr_expect_eq(m.tenants.n, TN_ROUTERS_MAX + 1);
}

Test(config, limits)
{
	static const struct {
		const char *text;
		struct limit limit;
	} cases[] = {
		{ "packets: 7", { .packets = 7 } },
		{ "rate: 100mbit", { 12500000, 12500000, 0 } },
		{ "rate: 8kbit", { 1000, 131072, 0 } },
		{ "rate: 1000gbit, packets: 1000000000",
		  { 125000000000, (uint64_t)16 << 30, 1000000000 } },
		/* the least ones */
		{ "rate: 1gbit, burst: 36622kb", { 125000000, 37500928, 0 } },
		{ "rate: 2gbit, burst: 244141kb", { 250000000, 250000384, 0 } },
		{ "burst: 733kb, rate: 20mbit", { 2500000, 750592, 0 } },
		{ "rate: 8kbit, burst: 131072b", { 1000, 131072, 0 } },
		{ "rate: 1000gbit, burst: 16384mb", { 125000000000, (uint64_t)16 << 30, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		_cleanup_model_ struct model m = { 0 };

		text_add(&yaml,
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
		"  - name: 0-.Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_\n"
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

		text_add(&yaml, NETWORK);
		for (const char *s = tenants[i]; *s; s++)
			text_add(&yaml, "%c", *s);
		m = good_bytes(yaml.v, yaml.n);
	}
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

/* Of too many errors the first of the file are listed, whichever check finds them. */
Test(config, too_many_errors)
{
	_cleanup_text_ struct text yaml = { 0 };
	struct config_errors errors;

	text_add(&yaml, NETWORK "  - name: red\n    mappings:\n");
	for (int i = 0; i < 61; i++)
		text_add(&yaml, "      - fixed: 10.0.0.5\n");
	for (int i = 0; i < 1000; i++)
		text_add(&yaml, "      - fixed: 10.0.0.300\n");
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

	text_add(&yaml, NETWORK "  - name: red\n    mappings:\n");
	for (int i = 0; i < CONFIG_ERRORS_MAX; i++)
		text_add(&yaml, "      - fixed: 10.0.0.300\n");
	cr_assert_eq(parse_any(yaml.v, yaml.n, &errors), -1);
	cr_expect_eq(errors.list.n, (size_t)CONFIG_ERRORS_MAX);
	cr_expect_eq(errors.dropped, 0);
	config_errors_free(&errors);
}
