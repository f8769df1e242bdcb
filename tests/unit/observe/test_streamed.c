/* SPDX-License-Identifier: GPL-2.0-only */
/* What is remembered of flows that came, for `status`. */
#include "../fixture.h"
#include "observe/streamed.h"

Test(streamed, there_and_back)
{
	struct streamed_router one = { .tenant = "red",
				       .standby = true,
				       .from = "hv1",
				       .heard = 5,
				       .waits = 4,
				       .received = 3,
				       .unsent = 2 };
	struct streamed_router two = { .tenant = "blue", .sent = 7 };
	char state[] = "/tmp/tn-streamed-XXXXXX", path[64];
	_cleanup_streamed_ struct streamed s = { .at = 100, .refused = 9 }, got;
	const struct streamed_router *r;
	struct error err = { 0 };

	cr_assert(mkdtemp(state));
	streamed_read(state, &got);
	cr_expect_eq(got.list.n, 0, "there is none");
	*vec_push(&s.list) = one;
	*vec_push(&s.list) = two;
	cr_assert_eq(streamed_write(state, &s, &err), 0, "%s", err.text);
	streamed_read(state, &got);
	cr_expect_eq(got.at, 100);
	cr_expect_eq(got.refused, 9);
	cr_assert_eq(got.list.n, 2);
	r = streamed_find(&got, "red");
	cr_assert(r && r->standby);
	cr_expect_str_eq(r->from, "hv1");
	cr_expect_eq(r->heard, 5);
	cr_expect_eq(r->waits, 4);
	cr_expect_eq(r->received, 3);
	cr_expect_eq(r->unsent, 2);
	r = streamed_find(&got, "blue");
	cr_assert(r && !r->standby);
	cr_expect_eq(r->sent, 7);
	cr_expect_null(streamed_find(&got, "green"));
	snprintf(path, sizeof(path), "%s/streamed", state);
	unlink(path);
	rmdir(state);
}

Test(streamed, how_long_ago)
{
	struct streamed s = { .at = 100000 };
	struct streamed_router r = { .heard = 99000, .waits = 50000 };

	cr_expect_eq(streamed_age(&s, &r, 105000), 1000, "as when it was written");
	cr_expect_eq(streamed_age(&s, &r, 200000), 101000, "nobody writes it any more");
	r.heard = 0;
	cr_expect_eq(streamed_age(&s, &r, 105000), 50000, "it waits");
}
