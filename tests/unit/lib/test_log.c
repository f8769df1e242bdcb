/* SPDX-License-Identifier: GPL-2.0-only */
/* How many lines may come; what they are in the journal is in tests/e2e/test_journal.py. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "lib/log.h"

static unsigned int taken(struct log_bucket *b, unsigned int tries, uint64_t now)
{
	unsigned int n = 0;

	while (tries--)
		n += log_bucket_take(b, 100, now);
	return n;
}

Test(log, a_bucket)
{
	struct log_bucket b = { 0 };

	cr_expect_eq(taken(&b, 250, 1000000), 100);
	cr_expect_eq(b.left_out, 150);
	/* 600 milliseconds for each */
	cr_expect_eq(taken(&b, 10, 1000599), 0);
	cr_expect_eq(taken(&b, 10, 1000600), 1);
	cr_expect_eq(taken(&b, 10, 1003000), 4);
	cr_expect_eq(taken(&b, 250, 9000000), 100);
}
