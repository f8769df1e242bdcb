/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/schedule.h"

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void schedule_event(struct schedule *s, uint64_t now)
{
	uint64_t soon = later(now + LOOK_DEBOUNCE, s->looked + s->took * s->vain);

	s->retry = 0;
	if (s->look > soon)
		s->look = soon;
}

void schedule_at_once(struct schedule *s, uint64_t now)
{
	s->look = now;
}

void schedule_busy(struct schedule *s, uint64_t now)
{
	s->look = now + LOOK_BUSY;
}

void schedule_begin(struct schedule *s)
{
	s->look = UINT64_MAX;
}

void schedule_end(struct schedule *s, uint64_t began, uint64_t now, uint64_t cpu_ms, bool found)
{
	bool calm = began - s->looked > LOOK_VAIN_MAX * s->took + LOOK_CALM;

	if (found || calm)
		s->vain = 0;
	else if (s->vain < LOOK_VAIN_MAX)
		s->vain++;
	s->looked = now;
	s->took = cpu_ms;
}

void schedule_retry(struct schedule *s, uint64_t now, bool first)
{
	uint64_t wait = first || !s->retry ? LOOK_RETRY_FIRST : s->retry;
	uint64_t longest = later(LOOK_RETRY_LAST, s->took * LOOK_SHARE);

	s->look = now + wait;
	s->retry = 2 * wait < longest ? 2 * wait : longest;
}

void schedule_mended(struct schedule *s, uint64_t now)
{
	s->retry = 0;
	s->look = now + LOOK_DEBOUNCE;
}

void schedule_in_order(struct schedule *s)
{
	s->retry = 0;
	if (s->look == UINT64_MAX)
		s->look = s->looked + later(LOOK_ANYWAY, s->took * LOOK_SHARE * 2);
}

void schedule_polled(struct schedule *s, uint64_t now, uint64_t cpu_us)
{
	s->poll = now + later(POLL_LINKS, LOOK_SHARE * cpu_us / 1000);
}
