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
