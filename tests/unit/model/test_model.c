/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <string.h>

#include "model/model.h"

static struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a), "%s", text);
	return a;
}

static struct tenant *add_tenant(struct model *m, const char *name)
{
	struct tenant *t = vec_push(&m->tenants);

	t->name = xstrdup(name);
	return t;
}

static struct mapping *add_mapping(struct tenant *t, const char *fixed)
{
	struct mapping *m = vec_push(&t->mappings);

	m->fixed = addr(fixed);
	return m;
}

/* Of every rate from 8 kbit/s to 1 Tbit/s that is twice another one, and one less and more. */
Test(model, bursts_of_limits)
{
	const uint64_t gso = 65535 + 40; /* the largest GSO frame, IPv6 */

	for (uint64_t doubled = 1000; doubled < 125000000000; doubled *= 2) {
		for (uint64_t rate = doubled - (doubled > 1000); rate <= doubled + 1; rate++) {
			uint64_t least = limit_burst_least(rate), usual = limit_burst_default(rate);

			cr_assert(least >= gso, "%lu", rate);
			cr_assert(least <= usual && usual <= LIMIT_BURST_MAX, "%lu", rate);
			/* enough for TCP's 200 ms and more, as long as that can be counted */
			cr_assert(least >= rate / 10 * 3 || least == LIMIT_BURST_MAX, "%lu", rate);
			/* a fast stream over a distance needs more than that */
			cr_assert(rate <= 125000000 || least == usual, "%lu", rate);
			cr_assert(usual >= rate || usual == LIMIT_BURST_MAX, "%lu", rate);
		}
	}
	/* the programs count nanoseconds from the machine's start on: there is room for 30 years */
	cr_expect(UINT64_MAX / 1000000000 - LIMIT_BURST_MAX > 30UL * 365 * 86400);
	for (uint64_t packets = 1; packets <= 1000000000; packets *= 10)
		cr_expect_geq(limit_packet_burst(packets), packets / 2 > 128 ? packets / 2 : 128);
	cr_expect_eq(limit_packet_burst(0), 0);
}

Test(model, hook_names)
{
	for (enum hook hook = 0; hook < HOOKS_COUNT; hook++) {
		enum hook parsed = HOOKS_COUNT;

		cr_assert(hook_parse(hook_name(hook), &parsed));
		cr_assert_eq(parsed, hook);
	}
	cr_assert_str_eq(hook_name(HOOK_XDP_GENERIC), "xdp-generic");
	cr_assert_str_eq(hook_name(HOOKS_COUNT), "unknown");
}

static struct router *add_router(struct tenant *t, const char *one, const char *two)
{
	struct router *r = t->router = router_new();

	if (one)
		*vec_push(&r->hosts) = xstrdup(one);
	if (two)
		*vec_push(&r->hosts) = xstrdup(two);
	return r;
}

Test(model, routers_are_where_their_hosts_are)
{
	static const struct {
		const char *host;
		bool here[3]; /* of hv1; of hv1 and HV2; of any */
	} cases[] = {
		{ "hv1", { true, true, true } },   { "HV2", { false, true, true } },
		{ "hv2", { false, false, true } }, { "hv", { false, false, true } },
		{ "", { false, false, true } },	   { NULL, { true, true, true } },
	};
	_cleanup_model_ struct model m = { 0 };
	struct router *of[3];

	of[0] = add_router(add_tenant(&m, "a"), "hv1", NULL);
	of[1] = add_router(add_tenant(&m, "b"), "hv1", "HV2");
	of[2] = add_router(add_tenant(&m, "c"), NULL, NULL);
	add_tenant(&m, "d");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		model_locate(&m, cases[i].host);
		for (int k = 0; k < 3; k++) {
			const struct tenant *t = &m.tenants.v[k];

			cr_expect_eq(t->router, cases[i].here[k] ? of[k] : NULL, "%zu", i);
			cr_expect_eq(t->remote, cases[i].here[k] ? NULL : of[k], "%zu", i);
			cr_expect_eq(tenant_router(t), of[k]);
		}
		cr_expect_null(tenant_router(&m.tenants.v[3]));
	}
}

Test(model, host_names)
{
	static const char *const good[] = { "a", "0", "hv-1.example.org", "HV1", "a.", "10.0.0.1" };
	static const char *const bad[] = { "", "-a", ".a", "a_b", "a b", "a/b", "caf\xc3\xa9" };
	char longest[HOST_NAME_MAX_LEN + 2] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(host_name_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(host_name_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'a', HOST_NAME_MAX_LEN);
	cr_expect(host_name_valid(longest));
	longest[HOST_NAME_MAX_LEN] = 'a';
	cr_expect_not(host_name_valid(longest));
}

Test(model, no_hook)
{
	static const char *const names[] = { "",    "TC",   "xdp-", "xdp-generi", "xdp_generic",
					     "tcx", "auto " };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		enum hook hook = HOOK_TC;

		cr_expect_not(hook_parse(names[i], &hook), "'%s'", names[i]);
		cr_expect_eq(hook, HOOK_TC);
	}
}

Test(model, forwarding_names)
{
	enum forwarding forwarding = FORWARDINGS_COUNT;

	for (enum forwarding i = 0; i < FORWARDINGS_COUNT; i++) {
		cr_assert(forwarding_parse(forwarding_name(i), &forwarding));
		cr_assert_eq(forwarding, i);
	}
	cr_assert_str_eq(forwarding_name(FORWARDING_STACK), "stack");
	cr_assert_str_eq(forwarding_name(FORWARDINGS_COUNT), "unknown");
	cr_assert_not(forwarding_parse("Fast", &forwarding));
	cr_assert_not(forwarding_parse("", &forwarding));
	cr_assert_eq(forwarding, FORWARDINGS_COUNT - 1);
	/* of a zeroed router */
	cr_assert_eq(FORWARDING_AUTO, 0);
}

Test(model, sources_names)
{
	enum sources sources = SOURCES_COUNT;

	for (enum sources i = 0; i < SOURCES_COUNT; i++) {
		cr_assert(sources_parse(sources_name(i), &sources));
		cr_assert_eq(sources, i);
	}
	cr_assert_str_eq(sources_name(SOURCES_LOOSE), "loose");
	cr_assert_str_eq(sources_name(SOURCES_FEASIBLE), "feasible");
	cr_assert_str_eq(sources_name(SOURCES_COUNT), "unknown");
	cr_assert_not(sources_parse("Loose", &sources));
	cr_assert_not(sources_parse("", &sources));
	cr_assert_eq(sources, SOURCES_COUNT - 1);
	/* of a zeroed router */
	cr_assert_eq(SOURCES_STRICT, 0);
}

Test(model, auto_is_the_hook_of_a_zeroed_router)
{
	cr_assert_eq(HOOK_AUTO, 0);
}

Test(model, tenant_names)
{
	static const char *const valid[] = {
		"a",
		"0",
		"red",
		"red-2",
		"9lives",
		"a-",
		"a--b",
		"Red",
		"rED",
		"red.blue",
		"red_blue",
		"10.0.0",
		/* 63 */
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff012",
	};
	static const char *const invalid[] = {
		"",
		"-",
		"-red",
		".red",
		"_red",
		"red blue",
		"red/",
		"red,blue",
		"red:blue",
		"10.0.0.5",
		"r\xc3\xb6t",
		"red\n",
		"*",
		/* 64 */
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff0123",
	};

	cr_assert_eq(strlen(valid[ARRAY_SIZE(valid) - 1]), TENANT_NAME_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
		cr_expect(tenant_name_valid(valid[i]), "'%s'", valid[i]);
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		cr_expect_not(tenant_name_valid(invalid[i]), "'%s'", invalid[i]);
}

Test(model, mapping_names)
{
	static const char *const valid[] = {
		"a",
		"Z",
		"0",
		"db",
		"DB-2",
		"web.example.org",
		"a_b",
		"a.",
		"10",
		"10.0.0",
		"10.0.0.256",
		"1.2.3.4.5",
		"fd64--1",
		/* 63 */
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff012",
	};
	static const char *const invalid[] = {
		"",
		"-db",
		".db",
		"_db",
		"d b",
		"db\n",
		"db/2",
		"d\xc3\xb6",
		"*",
		"10.0.0.5",
		"0.0.0.0",
		"fd64::1",
		"a:b",
		/* 64 */
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff0123",
	};

	for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
		cr_expect(mapping_name_valid(valid[i]), "'%s'", valid[i]);
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		cr_expect_not(mapping_name_valid(invalid[i]), "'%s'", invalid[i]);
}

Test(model, sort)
{
	static const char *const order[] = { "0", "a", "a-", "a-b", "a0", "aa", "b" };
	static const char *const fixed[] = {
		"9.0.0.1",   "10.0.0.5", "10.0.0.10", "192.168.0.1",
		"::1:0:0:1", "fd00::9",	 "fd00::10",
	};
	_cleanup_model_ struct model m = { 0 };

	for (size_t i = ARRAY_SIZE(order); i-- > 0;) {
		struct tenant *t = add_tenant(&m, order[i]);

		t->id = i + 1;
		for (size_t j = 0; j < ARRAY_SIZE(fixed); j++)
			add_mapping(t, fixed[(j * 3 + i) % ARRAY_SIZE(fixed)])->pos.line = t->id;
	}
	model_sort(&m);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct tenant *t = &m.tenants.v[i];

		cr_expect_str_eq(t->name, order[i]);
		cr_expect_eq(t->id, i + 1);
		cr_assert_eq(t->mappings.n, ARRAY_SIZE(fixed));
		for (size_t j = 0; j < ARRAY_SIZE(fixed); j++) {
			cr_expect_str_eq(ADDR(&t->mappings.v[j].fixed), fixed[j]);
			cr_expect_eq(t->mappings.v[j].pos.line, t->id);
		}
	}
}

Test(model, sort_of_nothing)
{
	struct model m = { 0 };

	model_sort(&m);
	add_tenant(&m, "red");
	model_sort(&m);
	cr_assert_eq(m.tenants.n, 1);
	model_free(&m);
}

/* before and after sorting, hit and miss, first and last */
Test(model, lookups)
{
	_cleanup_model_ struct model m = { 0 };
	struct tn_addr other = addr("10.0.0.7"), v6 = addr("fd00::5"), v4 = addr("10.0.0.5");

	cr_assert_null(model_tenant(&m, "red"));
	add_tenant(&m, "red");
	add_tenant(&m, "blue");
	add_tenant(&m, "re");
	add_mapping(&m.tenants.v[0], "fd00::5");
	add_mapping(&m.tenants.v[0], "10.0.0.5");
	for (int sorted = 0; sorted < 2; sorted++, model_sort(&m)) {
		struct tenant *red = model_tenant(&m, "red");

		cr_assert_not_null(red);
		cr_expect_str_eq(red->name, "red");
		cr_expect_str_eq(model_tenant(&m, "re")->name, "re");
		cr_expect_str_eq(model_tenant(&m, "blue")->name, "blue");
		cr_expect_null(model_tenant(&m, "r"));
		cr_expect_null(model_tenant(&m, "redd"));
		cr_expect_null(model_tenant(&m, ""));
		if (!sorted)
			continue;
		cr_expect_eq(addr_cmp(&tenant_mapping(red, &v4)->fixed, &v4), 0);
		cr_expect_eq(addr_cmp(&tenant_mapping(red, &v6)->fixed, &v6), 0);
		cr_expect_null(tenant_mapping(red, &other));
		cr_expect_null(tenant_mapping(model_tenant(&m, "blue"), &v4));
	}
}

Test(model, shares)
{
	_cleanup_model_ struct model m = { 0 };
	struct tn_addr in = addr("100.64.255.255"), out = addr("100.65.0.0");
	struct tn_addr in6 = addr("fd64::9"), out6 = addr("fd65::9"), v4 = addr("10.0.0.5");

	cr_assert_not(model_shares(&m, &in));
	cr_assert(prefix_parse("100.64.0.0/16", vec_push(&m.subnets)));
	cr_assert(prefix_parse("fd64::/64", vec_push(&m.subnets)));
	cr_expect(model_shares(&m, &in));
	cr_expect(model_shares(&m, &in6));
	cr_expect_not(model_shares(&m, &out));
	cr_expect_not(model_shares(&m, &out6));
	cr_expect_not(model_shares(&m, &v4));
}

Test(model, may_have)
{
	_cleanup_model_ struct model m = { 0 };
	struct tn_addr low = addr("100.64.1.1"), high = addr("100.64.2.1"),
		       out = addr("100.65.0.1");
	struct tn_addr v6 = addr("fd64::1");
	struct tenant *t = add_tenant(&m, "red");

	cr_expect_not(tenant_may_have(&m, t, &low));
	cr_assert(prefix_parse("100.64.0.0/16", vec_push(&m.subnets)));
	cr_assert(prefix_parse("fd64::/64", vec_push(&m.subnets)));
	/* no pool: everything shared */
	cr_expect(tenant_may_have(&m, t, &low));
	cr_expect(tenant_may_have(&m, t, &high));
	cr_expect(tenant_may_have(&m, t, &v6));
	cr_expect_not(tenant_may_have(&m, t, &out));
	/* a pool: only that, in the other family nothing */
	cr_assert(prefix_parse("100.64.9.0/24", vec_push(&t->pools)));
	cr_assert(prefix_parse("100.64.1.0/24", vec_push(&t->pools)));
	cr_expect(tenant_may_have(&m, t, &low));
	cr_expect_not(tenant_may_have(&m, t, &high));
	cr_expect_not(tenant_may_have(&m, t, &out));
	cr_expect_not(tenant_may_have(&m, t, &v6));
}

/* each: the new mapping, and what the error has in it; NULL: it can be added */
Test(model, check_mapping)
{
	static const struct {
		const char *fixed, *shared, *name, *error;
	} cases[] = {
		{ "10.0.0.7", NULL, NULL, NULL },
		{ "10.0.0.7", NULL, "web", NULL },
		{ "10.0.0.7", "100.64.1.7", "web", NULL },
		{ "fd00::7", "fd64::1:7", "web", NULL },
		/* the name in the other family */
		{ "fd00::7", NULL, "db", NULL },
		/* the fixed address of another tenant */
		{ "10.0.0.99", "100.64.1.7", NULL, NULL },
		/* the first and last of a pool are reserved only where they are those of a subnet
		 */
		{ "10.0.0.7", "100.64.1.0", NULL, NULL },
		{ "10.0.0.7", "100.64.1.255", NULL, NULL },
		{ "127.0.0.1", NULL, NULL, "127.0.0.1 is not an address that a VM can have" },
		{ "255.255.255.255", NULL, NULL, "not an address that a VM" },
		{ "fe80::1", NULL, NULL, "not an address that a VM" },
		{ "100.64.7.7", NULL, NULL, "100.64.7.7 is in a shared subnet" },
		{ "fd64::7", NULL, NULL, "is in a shared subnet" },
		{ "10.0.0.7", NULL, "-web", "`-web` cannot be a mapping's name" },
		{ "10.0.0.7", NULL, "10.0.0.7", "cannot be a mapping's name" },
		{ "10.0.0.5", NULL, NULL,
		  "tenant red has a mapping of 10.0.0.5 already: 100.64.1.5" },
		{ "10.0.0.7", NULL, "db", "tenant red has a mapping named db already: 10.0.0.5" },
		{ "10.0.0.7", "fd64::1:7", NULL, "different address families" },
		{ "fd00::7", "100.64.1.7", NULL, "different address families" },
		{ "10.0.0.7", "100.64.2.7", NULL, "100.64.2.7 is outside the pool of tenant red" },
		{ "10.0.0.7", "10.9.9.9", NULL, "outside the pool" },
		{ "10.0.0.7", "100.64.255.255", NULL,
		  "is the network or broadcast address of 100.64.0.0/16" },
		{ "fd00::7", "fd64::", NULL, "is the network or broadcast address of fd64::/64" },
		{ "10.0.0.7", "100.64.1.5", NULL,
		  "100.64.1.5 is the shared address of 10.0.0.5 of tenant red" },
		{ "10.0.0.7", "100.64.1.99", NULL,
		  "100.64.1.99 is the shared address of 10.0.0.99 of tenant blue" },
	};
	_cleanup_model_ struct model m = { 0 };
	struct tenant *red, *blue;
	struct mapping *used;

	cr_assert(prefix_parse("100.64.0.0/16", vec_push(&m.subnets)));
	cr_assert(prefix_parse("fd64::/64", vec_push(&m.subnets)));
	add_tenant(&m, "red");
	add_tenant(&m, "blue");
	red = &m.tenants.v[0];
	blue = &m.tenants.v[1];
	cr_assert(prefix_parse("100.64.1.0/24", vec_push(&red->pools)));
	cr_assert(prefix_parse("100.64.255.0/24", vec_push(&red->pools)));
	cr_assert(prefix_parse("fd64::/96", vec_push(&red->pools)));
	used = add_mapping(red, "10.0.0.5");
	used->shared = addr("100.64.1.5");
	used->name = xstrdup("db");
	used = add_mapping(blue, "10.0.0.99");
	used->shared = addr("100.64.1.99");
	used->name = xstrdup("web");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mapping new = { .fixed = addr(cases[i].fixed),
				       .name = (char *)cases[i].name };
		struct error err = { 0 };
		int ret;

		if (cases[i].shared) {
			new.shared = addr(cases[i].shared);
			new.pinned = true;
		}
		ret = model_check_mapping(&m, red, &new, &err);
		cr_expect_eq(ret, cases[i].error ? -1 : 0, "%zu: %s", i, err.text);
		cr_expect_eq(err.usage, !!cases[i].error, "%zu", i);
		cr_expect(!cases[i].error || strstr(err.text, cases[i].error),
			  "%zu: no '%s' in: %s", i, cases[i].error, err.text);
	}
	cr_expect_eq(red->mappings.n, 1);
}

/* who has no pool may pin anything shared, and has other words for what is not */
Test(model, check_mapping_of_a_tenant_without_a_pool)
{
	_cleanup_model_ struct model m = { 0 };
	struct mapping in = { .fixed = addr("10.0.0.7"),
			      .shared = addr("100.64.2.7"),
			      .pinned = true };
	struct mapping out = { .fixed = addr("10.0.0.7"),
			       .shared = addr("100.65.0.7"),
			       .pinned = true };
	struct error err = { 0 };
	struct tenant *red;

	cr_assert(prefix_parse("100.64.0.0/16", vec_push(&m.subnets)));
	red = add_tenant(&m, "red");
	cr_expect_eq(model_check_mapping(&m, red, &in, &err), 0, "%s", err.text);
	/* a name is not taken by mappings that have none */
	add_mapping(red, "10.0.0.5");
	in.name = "db";
	cr_expect_eq(model_check_mapping(&m, red, &in, &err), 0, "%s", err.text);
	cr_expect_eq(model_check_mapping(&m, red, &out, &err), -1);
	cr_expect_str_eq(err.text, "100.65.0.7 is outside the shared subnets of tenant red");
	cr_expect(err.usage);
}

/* with everything that can be owned; the leak checker does the rest */
Test(model, free_leaves_an_empty_model)
{
	struct model m = { 0 };
	struct tenant *t = add_tenant(&m, "red");
	struct mapping *mapping = add_mapping(t, "10.0.0.5");

	mapping->name = xstrdup("db");
	cr_assert(prefix_parse("100.64.0.0/16", vec_push(&m.subnets)));
	cr_assert(prefix_parse("100.64.1.0/24", vec_push(&t->pools)));
	t->router = router_new();
	t->router->netns = xstrdup("red");
	t->router->shared = xstrdup("shared0");
	*vec_push(&t->router->inside) = xstrdup("lan0");
	*vec_push(&t->router->inside) = xstrdup("lan1");
	add_tenant(&m, "blue");

	mapping_clear(mapping);
	cr_expect_null(mapping->name);
	cr_expect(addr_is_unset(&mapping->fixed));
	tenant_clear(&m.tenants.v[0]);
	cr_expect_null(m.tenants.v[0].name);
	cr_expect_null(m.tenants.v[0].router);
	cr_expect_eq(m.tenants.v[0].pools.n, 0);
	cr_expect_eq(m.tenants.v[0].mappings.n, 0);
	for (int twice = 0; twice < 2; twice++) {
		model_free(&m);
		cr_expect_null(m.tenants.v);
		cr_expect_null(m.subnets.v);
		cr_expect_eq(m.tenants.n + m.subnets.n, 0);
	}
}
