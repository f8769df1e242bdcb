/* SPDX-License-Identifier: GPL-2.0-only */
/* Files as large as they may be, and what is there twice in them. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "config_fixture.h"

Test(config, too_many_routers)
{
	_cleanup_text_ struct text yaml = { 0 }, got = { 0 };
	_cleanup_model_ struct model m = { 0 };

	text_add(&yaml, NETWORK);
	for (int i = 1; i < TN_ROUTERS_MAX; i++)
		text_add(&yaml, "  - {name: t%d, router: {netns: t%d}}\n", i, i);
	m = good_bytes(yaml.v, yaml.n);
	text_add(&yaml,
		 "  - {name: blue, router: {netns: t}}\n  - {name: green, router: {netns: u}}\n");
	got = errors_of(yaml.v, yaml.n);
	cr_expect_str_eq(got.v, "4098:18: more than 4095 routers; leave this and the others to "
				"other machines\n");
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

	text_add(&yaml, "shared-network: {subnets: [100.64.0.0/10]}\ntenants:\n");
	for (uint32_t t = 0; t < TENANTS; t++) {
		text_add(&yaml, "  - name: t%u\n    mappings:\n", t);
		for (uint32_t i = 0; i < EACH; i++) {
			struct tn_addr f = scattered("10.0.0.1", i, EACH);
			struct tn_addr s = scattered("100.64.0.1", t * EACH + i, TENANTS * EACH);

			text_add(&yaml, "      - {name: vm-%u, fixed: %s, shared: %s}\n", i,
				 ADDR(&f), ADDR(&s));
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
	text_add(&yaml, "      - {name: vm-0, fixed: 10.0.0.1, shared: 100.64.0.1}\n");
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
	struct dice dice = { 7 };

	for (int round = 0; round < 300; round++) {
		enum { TENANTS = 6 };
		struct tn_addr base, pinned[TENANTS];
		struct prefix pools[TENANTS];
		_cleanup_text_ struct text yaml = { 0 };
		struct config_errors errors;
		bool clash = false, twice = false;
		int ret;

		cr_assert(addr_parse("100.64.0.0", &base));
		text_add(&yaml, "shared-network: {subnets: [100.64.0.0/24]}\ntenants:\n");
		for (int t = 0; t < TENANTS; t++) {
			uint32_t size = 1U << roll(&dice, 7);
			uint32_t start = roll(&dice, 256 / size) * size, at;

			do
				at = start + roll(&dice, size);
			while ((at == 0 || at == 255) && size > 1);
			if (at == 0 || at == 255)
				start = at = 77;
			pools[t].addr = addr_add(&base, start);
			pools[t].len = (uint8_t)(128 - __builtin_ctz(size));
			pinned[t] = addr_add(&base, at);
			text_add(&yaml,
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
