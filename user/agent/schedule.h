/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When the agent looks next: soon after something happened, later each time when that was in vain
 * or cannot be mended, and now and then anyway. Pure. Times are milliseconds of the monotonic
 * clock.
 */
#ifndef TN_SCHEDULE_H
#define TN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* All in milliseconds. */
enum {
	LOOK_DEBOUNCE = 5,	/* events come in bunches */
	LOOK_BUSY = 100,	/* until the next look while another tenantnat changes something */
	LOOK_ANYWAY = 60000,	/* for what nobody reports, as entries of the maps */
	LOOK_RETRY_FIRST = 20,	/* what cannot be mended is tried again, at twice the time */
	LOOK_RETRY_LAST = 8000, /* each time */
	LOOK_CALM = 1000,	/* without a look: the next event is one to be quick for */
	POLL_LINKS = 250,	/* for links that were detached, which nobody reports */
};
/* What is done without an event takes at most one part in so many of the time, each. */
#define LOOK_SHARE 250
/* Looks in vain that count. */
#define LOOK_VAIN_MAX 4

/* All zero at the beginning: look and poll now. */
struct schedule {
	uint64_t look;	   /* when to look next; UINT64_MAX: when something happens */
	uint64_t poll;	   /* when to ask the links next */
	uint64_t looked;   /* when the last look was over */
	uint64_t took;	   /* that look, of a CPU */
	unsigned int vain; /* looks in a row that found nothing to do, up to LOOK_VAIN_MAX */
	uint64_t retry;	   /* until the next attempt; 0: LOOK_RETRY_FIRST */
};

/* Something happened. Where looks are in vain time and again, most of the time is for others. */
void schedule_event(struct schedule *s, uint64_t now);
/* What was read in this look may be out of date. */
void schedule_at_once(struct schedule *s, uint64_t now);
/* Another tenantnat changes something: it may be about to do what is missing. */
void schedule_busy(struct schedule *s, uint64_t now);

/* A look begins: events until now are for this one to see. */
void schedule_begin(struct schedule *s);
/* It ends, after `cpu_ms` of a CPU; `found`: there was something to do. */
void schedule_end(struct schedule *s, uint64_t began, uint64_t now, uint64_t cpu_ms, bool found);

/* After a look that ended, one of these three. */

/* Not all could be mended. `first`: it is not the same as before. */
void schedule_retry(struct schedule *s, uint64_t now, bool first);
/* All was mended, which the next look has to confirm. */
void schedule_mended(struct schedule *s, uint64_t now);
/* All is in order. */
void schedule_in_order(struct schedule *s);

/*
 * The links were asked, which took `cpu_us` microseconds of a CPU: that others have it meanwhile is
 * no reason to ask less.
 */
void schedule_polled(struct schedule *s, uint64_t now, uint64_t cpu_us);

#endif
