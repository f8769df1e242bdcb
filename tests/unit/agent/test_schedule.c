/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "agent/schedule.h"

#define SECOND 1000ULL

/* A look of so long a time, of a CPU and by the clock. */
static void look(struct schedule *s, uint64_t began, uint64_t took, bool found)
{
	schedule_begin(s);
	schedule_end(s, began, began + took, took, found);
}

Test(schedule, begins_at_once)
{
	struct schedule s = { 0 };

	cr_expect_eq(s.look, 0);
	cr_expect_eq(s.poll, 0);
}

Test(schedule, looks_anyway)
{
	struct schedule s = { 0 };

	look(&s, 10 * SECOND, 10, false);
	schedule_in_order(&s);
	cr_expect_eq(s.look, 10 * SECOND + 10 + LOOK_ANYWAY);
	/* at most one part of the time: looks that take long are rarer */
	look(&s, 80 * SECOND, SECOND, false);
	schedule_in_order(&s);
	cr_expect_eq(s.look, 81 * SECOND + 2 * LOOK_SHARE * SECOND);
}

/* What happens during a look is not put off by it. */
Test(schedule, events_during_a_look)
{
	struct schedule s = { 0 };

	schedule_begin(&s);
	schedule_event(&s, 10 * SECOND);
	schedule_end(&s, 10 * SECOND, 10 * SECOND, 0, false);
	schedule_in_order(&s);
	cr_expect_eq(s.look, 10 * SECOND + LOOK_DEBOUNCE);

	schedule_begin(&s);
	schedule_at_once(&s, 20 * SECOND);
	schedule_end(&s, 20 * SECOND, 20 * SECOND, 0, false);
	schedule_in_order(&s);
	cr_expect_eq(s.look, 20 * SECOND);
}

/* A bunch of events does not put off the look. */
Test(schedule, events_come_in_bunches)
{
	struct schedule s = { .look = UINT64_MAX };

	schedule_event(&s, 10 * SECOND);
	schedule_event(&s, 10 * SECOND + 3);
	cr_expect_eq(s.look, 10 * SECOND + LOOK_DEBOUNCE);
}

Test(schedule, events_in_vain)
{
	struct schedule s = { 0 };
	uint64_t at = 10 * SECOND;

	look(&s, at, 100, false);
	cr_expect_eq(s.vain, 0, "it was calm before");
	for (unsigned int i = 1; i <= 2 * LOOK_VAIN_MAX; i++) {
		look(&s, at + i * 200, 100, false);
		cr_expect_eq(s.vain, i < LOOK_VAIN_MAX ? i : LOOK_VAIN_MAX);
	}
	schedule_event(&s, s.looked + 1);
	cr_expect_eq(s.look, s.looked + 100 * LOOK_VAIN_MAX);
	/* found something: the next event is one to be quick for */
	look(&s, s.looked + 200, 100, true);
	cr_expect_eq(s.vain, 0);
	schedule_event(&s, s.looked + 1);
	cr_expect_eq(s.look, s.looked + 1 + LOOK_DEBOUNCE);
	/* and when nothing happened for a while */
	look(&s, s.looked + 200, 100, false);
	cr_expect_eq(s.vain, 1);
	look(&s, s.looked + LOOK_VAIN_MAX * 100 + LOOK_CALM + 1, 100, false);
	cr_expect_eq(s.vain, 0);
}

Test(schedule, retries_later_each_time)
{
	struct schedule s = { 0 };
	uint64_t wait = LOOK_RETRY_FIRST;

	for (int i = 0; i < 20; i++) {
		schedule_retry(&s, SECOND, false);
		cr_expect_eq(s.look, SECOND + wait);
		wait = 2 * wait < LOOK_RETRY_LAST ? 2 * wait : LOOK_RETRY_LAST;
	}
	/* something else cannot be mended now, or something happened, or all was in order meanwhile
	 */
	schedule_retry(&s, SECOND, true);
	cr_expect_eq(s.look, SECOND + LOOK_RETRY_FIRST);
	schedule_event(&s, SECOND);
	schedule_retry(&s, SECOND, false);
	cr_expect_eq(s.look, SECOND + LOOK_RETRY_FIRST);
	schedule_mended(&s, SECOND);
	cr_expect_eq(s.look, SECOND + LOOK_DEBOUNCE);
	schedule_retry(&s, SECOND, false);
	cr_expect_eq(s.look, SECOND + LOOK_RETRY_FIRST);
	schedule_in_order(&s);
	schedule_retry(&s, SECOND, false);
	cr_expect_eq(s.look, SECOND + LOOK_RETRY_FIRST);
}

/* A machine whose looks take long is not kept busy by what cannot be mended. */
Test(schedule, retries_of_long_looks)
{
	struct schedule s = { .took = SECOND };

	for (int i = 0; i < 20; i++)
		schedule_retry(&s, 0, false);
	cr_expect_eq(s.look, LOOK_SHARE * SECOND);
}

Test(schedule, waits_for_others)
{
	struct schedule s = { 0 };

	schedule_busy(&s, SECOND);
	cr_expect_eq(s.look, SECOND + LOOK_BUSY);
}

Test(schedule, polls_links)
{
	struct schedule s = { 0 };

	schedule_polled(&s, SECOND, 3);
	cr_expect_eq(s.poll, SECOND + POLL_LINKS);
	/* two milliseconds: at most one part of the time */
	schedule_polled(&s, SECOND, 2000);
	cr_expect_eq(s.poll, SECOND + 2 * LOOK_SHARE);
}
