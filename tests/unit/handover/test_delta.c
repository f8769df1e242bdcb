/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows a host has yet to be told of. */
#include "../fixture.h"
#include "handover/delta.h"

#define NOW 100000

static struct flow flow(uint16_t port, uint32_t left)
{
	return (struct flow){ .key = { .port = port, .proto = 6 },
			      .value = { .expires = NOW + left, .tenant = 1, .owner = 2 } };
}

/* How many are chosen. */
static size_t choose(struct delta *d, const struct flow *v, size_t n, uint32_t now, size_t most,
		     size_t *left)
{
	_cleanup_chosen_ struct chosen c;

	delta_choose(d, v, n, now, most, &c);
	if (left)
		*left = c.left;
	return c.list.n;
}

Test(delta, what_is_new_is_told_once)
{
	struct flow v[] = { flow(1, 7440), flow(2, 7440), flow(3, 7440) };
	struct delta d = { .seed = 7 };

	cr_expect_eq(choose(&d, v, 2, NOW, 100, NULL), 2);
	cr_expect_eq(choose(&d, v, 2, NOW, 100, NULL), 0);
	cr_expect_eq(choose(&d, v, 3, NOW + 1, 100, NULL), 1);
	v[2].value.owner = 9;
	cr_expect_eq(choose(&d, v, 3, NOW + 2, 100, NULL), 1, "of another tenant");
	cr_expect_eq(choose(&d, v, 3, NOW + 7440, 100, NULL), 0, "none is open any more");
	delta_free(&d);
}

Test(delta, what_ends_is_forgotten)
{
	struct flow v[] = { flow(1, 7440), flow(2, 7440) };
	struct delta d = { .seed = 7 };

	choose(&d, v, 2, NOW, 100, NULL);
	cr_expect_eq(choose(&d, v, 0, NOW, 100, NULL), 0);
	cr_expect_eq(d.known.n, 0);
	cr_expect_eq(choose(&d, v, 2, NOW, 100, NULL), 2, "opened again");
	delta_free(&d);
}

Test(delta, a_life_that_is_much_longer_or_shorter)
{
	struct delta d = { .seed = 7 };
	struct flow f = flow(1, 240);

	cr_assert_eq(choose(&d, &f, 1, NOW, 100, NULL), 1);
	f.value.expires += 80;
	cr_expect_eq(choose(&d, &f, 1, NOW, 100, NULL), 0, "240 of 320 s are three quarters");
	f.value.expires += 1;
	cr_expect_eq(choose(&d, &f, 1, NOW, 100, NULL), 1);
	/* each packet makes it whole again: it is told when a quarter has gone by */
	for (uint32_t s = 0; s <= 80; s++) {
		f.value.expires = NOW + 321 + s;
		cr_expect_eq(choose(&d, &f, 1, NOW + s, 100, NULL), 0, "after %u s", s);
	}
	f.value.expires = NOW + 321 + 81;
	cr_expect_eq(choose(&d, &f, 1, NOW + 81, 100, NULL), 1);
	f.value.expires = NOW + 81 + 240;
	cr_expect_eq(choose(&d, &f, 1, NOW + 81, 100, NULL), 1, "shorter");
	f.value.flags = TN_FLOW_CLOSING;
	cr_expect_eq(choose(&d, &f, 1, NOW + 81, 100, NULL), 1, "closing");
	delta_free(&d);
}

Test(delta, too_many_are_told_one_after_the_other)
{
	enum { N = 1000, MOST = 300 };
	struct delta d = { .seed = 7 };
	struct flow v[N];
	size_t left, all = 0;

	for (size_t i = 0; i < N; i++)
		v[i] = flow(i, 240);
	for (size_t turn = 0; turn < 4; turn++) {
		size_t n = choose(&d, v, N, NOW, MOST, &left);

		cr_expect_leq(n, MOST);
		all += n;
		cr_expect_eq(left, N - all);
	}
	cr_expect_eq(all, N);
	/* what is new goes before what has a longer life */
	for (size_t i = 0; i < N; i++)
		v[i].value.expires = NOW + 7440;
	v[0] = flow(5000, 7440);
	{
		_cleanup_chosen_ struct chosen c;
		bool found = false;

		delta_choose(&d, v, N, NOW, 2, &c);
		cr_expect_eq(c.list.n, 2);
		vec_each (i, &c.list)
			found |= *i == 0;
		cr_expect(found);
		cr_expect_eq(c.left, N - 2);
	}
	delta_free(&d);
}
