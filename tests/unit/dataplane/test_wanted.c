/* SPDX-License-Identifier: GPL-2.0-only */
/* What several readers of events want together, and what of it is whose. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "dataplane/wanted.h"

static struct tn_watch sum_of(const struct tn_watch *v, size_t n)
{
	struct tn_watch sum = { 0 };

	for (size_t i = 0; i < n; i++)
		wanted_add(&sum, &v[i]);
	return sum;
}

Test(wanted, together)
{
	const struct tn_watch v[] = {
		{ .expires = 5, .reasons = 1, .router = 7, .sample = 100, .rate = 20 },
		{ .expires = 3, .reasons = 4, .router = 7, .rate = 20 },
		{ .expires = 9, .reasons = 0, .router = 7, .sample = 10 },
		{ .expires = 4, .router = 8, .trace_src = addr_of("10.0.0.5") },
	};
	struct tn_watch one = sum_of(v, 1), three = sum_of(v, 3), all = sum_of(v, 4);

	cr_expect_eq(memcmp(&one, &v[0], sizeof(one)), 0, "one alone gets what it wants");
	cr_expect_eq(three.expires, 9);
	cr_expect_eq(three.reasons, 5);
	cr_expect_eq(three.router, 7, "all of one router");
	cr_expect_eq(three.sample, 10, "who wants fewer takes fewer of these");
	cr_expect_eq(three.rate, 20);
	cr_expect(addr_is_unset(&three.trace_src));
	cr_expect_eq(all.router, 0, "of two routers: of all");
	cr_expect(!addr_is_unset(&all.trace_src));
}

Test(wanted, drops)
{
	const struct tn_watch want = { .reasons = 1 << 3, .router = 7 }, sum = { .reasons = ~0ULL };
	struct tn_event e = { .verdict = TN_EVENT_DROP, .reason = 3, .router = 7 };

	cr_expect(wanted_has(&want, &sum, &e, 0));
	e.reason = 4;
	cr_expect_not(wanted_has(&want, &sum, &e, 0), "for another reason");
	e.reason = 3;
	e.router = 8;
	cr_expect_not(wanted_has(&want, &sum, &e, 0), "of another router");
}

/* One in 100 for us, of those that are told because another wants one in 10. */
Test(wanted, passes)
{
	struct tn_watch want = { .sample = 100 }, sum = { .sample = 10 };
	struct tn_event e = { .verdict = TN_EVENT_TRANSLATED };
	size_t n = 0;

	for (uint32_t chance = 0; chance < 1000; chance++)
		n += wanted_has(&want, &sum, &e, chance);
	cr_expect_eq(n, 100, "%zu of 1000", n);
	e.verdict = TN_EVENT_PASS;
	cr_expect_not(wanted_has(&want, &sum, &e, 0), "not translated");
	e.verdict = TN_EVENT_TURNED;
	want.sample = 10;
	cr_expect(wanted_has(&want, &sum, &e, 999), "all that are told, if we want as many");
	want.sample = 0;
	cr_expect_not(wanted_has(&want, &sum, &e, 0), "none");
}

Test(wanted, traced)
{
	const struct tn_watch want = { .trace_src = addr_of("10.0.0.5"),
				       .trace_dst = addr_of("100.64.2.5") };
	struct tn_event e = { .verdict = TN_EVENT_PASS,
			      .src = addr_of("10.0.0.5"),
			      .dst = addr_of("100.64.2.5") };

	cr_expect(wanted_has(&want, &want, &e, 1));
	e.dst = addr_of("100.64.2.6");
	cr_expect_not(wanted_has(&want, &want, &e, 1));
	/* of what is no IP packet nothing is known, and nothing is traced by that */
	e.src = e.dst = (struct tn_addr){ 0 };
	cr_expect_not(wanted_has(&(struct tn_watch){ 0 }, &want, &e, 1));
}
