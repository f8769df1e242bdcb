/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs tell about packets: the pinned maps `watch` and `events`. Programs wake nobody
 * (BPF_RB_NO_WAKEUP); who looks asks every EVENTS_POLL milliseconds. A ring buffer has one reader,
 * which holds the lock `monitor` in the state's directory; the kernel takes it off with the
 * process.
 */
#ifndef TN_EVENTS_H
#define TN_EVENTS_H

#include <stdbool.h>

#include "lib/error.h"
#include "tn_abi.h"

struct events;

#define EVENTS_POLL  50 /* milliseconds */
#define EVENTS_RENEW 1000
/* What was asked for lapses so many milliseconds after events_watch(). */
#define EVENTS_LAPSE 2500
/* Events a second and CPU: what the ring holds until it is read, twice over. */
#define EVENTS_RATE 20000

/*
 * Open what is pinned in `bpffs`, take the lock in `state`, and forget events that nobody has
 * read. An error names the process that has the lock. *out is the caller's to close; NULL after an
 * error.
 */
int events_open(const char *bpffs, const char *state, struct events **out, struct error *err);
/* Nobody looks from now on; what was told before can still be read. */
void events_stop(struct events *e);
/* The same, and let go of all. NULL is fine. */
void events_close(struct events *e);
static inline void events_cleanup(struct events **e)
{
	events_close(*e);
}
#define _cleanup_events_ _cleanup_(events_cleanup)

/*
 * Ask for these events, for EVENTS_LAPSE from now: to be called again every EVENTS_RENEW.
 * `until` and `rate` of `want` do not matter. An error too when other maps are pinned by now.
 */
int events_watch(struct events *e, const struct tn_watch *want, struct error *err);

/* Called for each event, which is the callee's for the call only; false: no more of them. */
typedef bool (*events_fn)(const struct tn_event *event, void *context);

/* All that there is by now; does not wait. An event of another size is an error. */
int events_read(struct events *e, events_fn each, void *context, struct error *err);

#endif
