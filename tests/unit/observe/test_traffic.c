/* SPDX-License-Identifier: GPL-2.0-only */
/* What was counted between two moments, and which moments are kept. */
#include <criterion/criterion.h>
#include <ftw.h>

#include "../fixture.h"
#include "observe/traffic.h"

static struct traffic moment(uint64_t at, uint64_t red, uint64_t dropped)
{
	struct traffic t = { .at = at };

	*vec_push(&t.list) = (struct tenant_traffic){ .tenant = "blue", .dropped = 7 };
	*vec_push(&t.list) =
		(struct tenant_traffic){ .tenant = "red",
					 .counters = { red, 10 * red, 2 * red, 20 * red },
					 .dropped = dropped,
					 .spoofed = dropped / 2 };
	return t;
}

Test(traffic, between)
{
	_cleanup_traffic_ struct traffic then = moment(1000, 5, 100), now = moment(61000, 8, 130);
	struct tenant_traffic red = traffic_between(&then, &now, "red");
	struct tenant_traffic all = traffic_between(NULL, &now, "red");
	struct tenant_traffic none = traffic_between(&then, &now, "green");
	/* counted anew in between */
	struct tenant_traffic anew = traffic_between(&now, &then, "red");

	cr_expect_eq(red.counters.in_packets, 3);
	cr_expect_eq(red.counters.in_bytes, 30);
	cr_expect_eq(red.counters.out_packets, 6);
	cr_expect_eq(red.counters.out_bytes, 60);
	cr_expect_eq(red.dropped, 30);
	cr_expect_eq(red.spoofed, 15);
	cr_expect_eq(all.counters.in_packets, 8, "since it is counted");
	cr_expect_eq(all.dropped, 130);
	cr_expect_eq(none.dropped + none.counters.in_packets, 0);
	cr_expect_eq(anew.counters.in_packets, 5, "from there");
	traffic_free(&now);
}

Test(traffic, minute)
{
	_cleanup_traffic_log_ struct traffic_log log = { 0 };

	cr_expect(traffic_log_is_due(&log, 0));
	cr_expect_null(traffic_log_minute(&log, 1000000));
	for (uint64_t at = 10000; at <= 100000; at += 10000) {
		struct traffic t = moment(at, at, 0);

		cr_expect_not(log.list.n && traffic_log_is_due(&log, at - 1));
		cr_expect(traffic_log_is_due(&log, at));
		traffic_log_add(&log, &t);
	}
	cr_expect_eq(log.list.n, TRAFFIC_MOMENTS, "the oldest are forgotten");
	cr_expect_eq(log.list.v[0].at, 30000);
	cr_expect_eq(traffic_log_minute(&log, 112000)->at, 50000, "the nearest to a minute ago");
	cr_expect_eq(traffic_log_minute(&log, 31000)->at, 30000, "none of later");
	cr_expect_eq(traffic_log_minute(&log, 300000)->at, 100000);
	cr_expect_null(traffic_log_minute(&log, 100001 + TRAFFIC_OLD), "too old to tell");
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

Test(traffic, file)
{
	_cleanup_traffic_log_ struct traffic_log log = { 0 }, back = { 0 };
	char dir[] = "/tmp/tn-traffic-XXXXXX", path[64];
	struct traffic first = moment(1000, 5, 100), second = moment(61000, 8, 130);
	struct error err = { 0 };
	FILE *f;

	cr_assert(mkdtemp(dir));
	traffic_log_read(dir, &back);
	cr_expect_eq(back.list.n, 0, "there is no file");
	traffic_log_add(&log, &first);
	traffic_log_add(&log, &second);
	cr_expect_eq(traffic_log_write(dir, &log, &err), 0, "%s", err.text);
	traffic_log_read(dir, &back);
	cr_assert_eq(back.list.n, 2);
	cr_expect_eq(back.list.v[1].at, 61000);
	cr_assert_eq(back.list.v[1].list.n, 2);
	cr_expect_eq(memcmp(back.list.v[1].list.v, log.list.v[1].list.v,
			    2 * sizeof(struct tenant_traffic)),
		     0);
	traffic_log_free(&back);
	/* another boot's, and what is no JSON */
	snprintf(path, sizeof(path), "%s/traffic", dir);
	for (int i = 0; i < 2; i++) {
		f = fopen(path, "w");
		cr_assert(f);
		fputs(i ? "{" : "{\"boot\": \"x\", \"moments\": [{\"at\": 1, \"tenants\": {}}]}",
		      f);
		fclose(f);
		traffic_log_read(dir, &back);
		cr_expect_eq(back.list.n, 0);
	}
	nftw(dir, forget, 4, FTW_DEPTH | FTW_PHYS);
}
