/* SPDX-License-Identifier: GPL-2.0-only */
/* Deadlines for poll(2), by a clock that nobody sets. */
#ifndef TN_CLOCK_H
#define TN_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By the clock that goes on while the machine is suspended, since it was booted. */
static inline uint64_t clock_boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Milliseconds until then; 0 when it has passed. */
static inline int clock_left(uint64_t then)
{
	uint64_t now = clock_ms();

	return then > now ? (int)(then - now) : 0;
}

/*
 * How many seconds CLOCK_TAI is ahead of the wall clock: 0, until somebody tells the kernel
 * (adjtimex(2); chrony and PTP do). Read in one go, or else once more, as the clock can be set.
 */
static inline int64_t clock_tai_ahead(void)
{
	struct timespec wall, tai, again;

	for (int i = 0; i < 8; i++) {
		clock_gettime(CLOCK_REALTIME, &wall);
		clock_gettime(CLOCK_TAI, &tai);
		clock_gettime(CLOCK_REALTIME, &again);
		if (again.tv_sec == wall.tv_sec && again.tv_nsec >= wall.tv_nsec)
			break;
	}
	return (int64_t)tai.tv_sec - wall.tv_sec - (tai.tv_nsec < wall.tv_nsec);
}

static inline void clock_sleep(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

#endif
