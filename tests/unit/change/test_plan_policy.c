/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "plan_rows.h"

#define POOLS_BEFORE "tenant a id=1 pool=100.64.0.0/16; tenant b id=2 pool=100.64.7.0/24;"
#define POOLS_AFTER  "tenant a id=1 pool=100.65.0.0/16; tenant b id=2 pool=100.65.7.0/24;"

/* Else what was two tenants', and so nobody's, would be one's for a moment. */
Test(plan, pools_inner_first_and_outer_first)
{
	_cleanup_kernel_state_ struct kernel_state want = kernel_state_by(POOLS_AFTER);
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_by(POOLS_BEFORE);
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_assert_eq(p.pool_put.n, 2);
	cr_expect_eq(p.pool_put.v[0].key.len, 120);
	cr_expect_eq(p.pool_put.v[1].key.len, 112);
	cr_assert_eq(p.pool_del.n, 2);
	cr_expect_eq(p.pool_del.v[0].key.len, 112);
	cr_expect_eq(p.pool_del.v[1].key.len, 120);
}

/* What is counted of a rule begins with it, not with a change of its rows. */
Test(plan, rules_that_come_new)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_by(TWO "; accept id=1 from=* tcp/80 tcp/81; accept id=7 from=blue;");
	_cleanup_kernel_state_ struct kernel_state have =
		kernel_state_by(TWO "; accept id=1 from=* tcp/80; accept id=9 from=red;");
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_assert_eq(p.rules_new.n, 1);
	cr_expect_eq(p.rules_new.v[0], 7);
}

static bool withdraws(const struct plan *p, uint32_t from, uint8_t class, uint16_t block)
{
	vec_each (key, &p->withdrawn) {
		if (key->accept.from == from && key->class == class && key->block == block)
			return true;
	}
	return false;
}

/* What is accepted no more, and nothing that still is. */
Test(plan, rules_that_go)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_by(TWO "; accept id=1 from=* tcp/80; accept id=4 from=red tcp/22;");
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_by(
		TWO
		"; accept id=1 from=* tcp/80 tcp/81; accept id=2 from=blue; accept id=3 from=red;");
	_cleanup_plan_ struct plan p, back;

	plan_make(&want, &have, &p);
	cr_expect_eq(p.withdrawn.n, 3, "%zu", p.withdrawn.n);
	cr_expect(withdraws(&p, 0, TN_CLASS_TCP, 81));
	cr_expect(withdraws(&p, 2, TN_WITHDRAWN_ALL, 0));
	cr_expect(withdraws(&p, 1, TN_WITHDRAWN_ALL, 0));
	plan_make(&have, &want, &back);
	cr_expect_eq(back.withdrawn.n, 1); /* red is accepted without tcp/22 being named */
}

static void plan_between(const char *had, const char *will, struct plan *out,
			 struct kernel_state *have, struct kernel_state *want)
{
	_cleanup_free_ char *a = NULL, *b = NULL;

	cr_assert_gt(asprintf(&a, TWO "; %s;", had), 0);
	cr_assert_gt(asprintf(&b, TWO "; %s;", will), 0);
	*have = kernel_state_by(a);
	*want = kernel_state_by(b);
	plan_make(want, have, out);
}

/* Another end is another row. What it has accepted so far counts as withdrawn, as it is written. */
Test(plan, rules_that_end)
{
	static const struct {
		const char *had, *will;
		size_t put, grow, last, withdrawn;
	} cases[] = {
		{ "accept id=1 from=* tcp/80", "accept id=1 from=* tcp/80", 0, 0, 0, 0 },
		{ "accept id=1 from=* tcp/80 until=9", "accept id=1 from=* tcp/80 until=9", 0, 0, 0,
		  0 },
		{ "accept id=1 from=* tcp/80", "accept id=2 from=* tcp/80 until=9", 1, 0, 0, 1 },
		{ "accept id=1 from=* tcp/80 until=9", "accept id=2 from=* tcp/80 until=8", 1, 0, 0,
		  1 },
		{ "accept id=1 from=* tcp/80 until=9", "accept id=2 from=* tcp/80 until=9", 1, 0, 0,
		  1 },
		{ "accept id=1 from=* tcp/80 until=9", "accept id=2 from=* tcp/80", 1, 0, 0, 0 },
		/* never less than both say: the longer one stays until the last step */
		{ "accept id=1 from=* until=9", "accept id=2 from=* until=8", 0, 0, 1, 1 },
		{ "accept id=1 from=* until=8", "accept id=2 from=* until=9", 0, 1, 0, 1 },
		{ "accept id=1 from=*", "accept id=2 from=* until=9", 0, 0, 1, 1 },
		{ "accept id=1 from=* until=9", "accept id=2 from=*", 0, 1, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_kernel_state_ struct kernel_state have = { 0 }, want = { 0 };
		_cleanup_plan_ struct plan p;

		plan_between(cases[i].had, cases[i].will, &p, &have, &want);
		cr_expect_eq(p.service_put.n, cases[i].put, "%zu: %zu", i, p.service_put.n);
		cr_expect_eq(p.accept_grow.n, cases[i].grow, "%zu: %zu", i, p.accept_grow.n);
		cr_expect_eq(p.accept_put.n, cases[i].last, "%zu: %zu", i, p.accept_put.n);
		cr_expect_eq(p.withdrawn.n, cases[i].withdrawn, "%zu: %zu", i, p.withdrawn.n);
		cr_expect_eq(plan_empty(&p), !cases[i].put && !cases[i].grow && !cases[i].last);
	}
}

/* An address that another tenant gets is nobody's in between, router or not. */
Test(plan, another_tenant_of_a_shared_address)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_of("to 100.64.1.5 10.0.0.5 2 0;");
	_cleanup_kernel_state_ struct kernel_state have =
		kernel_state_of("to 100.64.1.5 10.0.0.5 1 0;");
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_expect_eq(p.moved.n, 1);
	cr_expect_eq(p.shared_put.n, 1);
}

/* The buckets of a limit are in its row. */
Test(plan, a_limit_that_stays_is_not_touched)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_by(TWO " packets=5; map 10.0.0.6 "
				    "lease=100.64.1.6 packets=6;");
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_by(TWO " packets=5;");
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_assert_eq(p.limit_put.n, 1);
	cr_expect_eq(p.limit_put.v[0].packets, 6);
	cr_expect_eq(p.limit_del.n, 0);
	cr_expect_eq(p.shared_flags.n, 0);
}
