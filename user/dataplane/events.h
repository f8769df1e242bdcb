/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs tell about packets: the pinned maps `watch` and `events`. Programs wake nobody
 * (BPF_RB_NO_WAKEUP); who looks asks every EVENTS_POLL milliseconds.
 *
 * Any number of processes may look at once. Each has a row in the map `readers`, which is pinned
 * while there is one: what it wants, and how far it has read. The programs are told what all rows
 * want together (wanted.h), and room in the ring buffer is given back as far as all have read. A
 * row that was not renewed for EVENTS_LAPSE counts no more: its process was killed, or is stopped.
 */
#ifndef TN_EVENTS_H
#define TN_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "tn_abi.h"

struct events;

#define EVENTS_POLL  50 /* milliseconds */
#define EVENTS_RENEW 1000
/* What was asked for lapses so many milliseconds after events_watch(). */
#define EVENTS_LAPSE 2500
/* Events a second and CPU: what the ring holds until it is read, twice over. */
#define EVENTS_RATE 20000
/* Processes that may look at once. */
#define EVENTS_READERS 64

/*
 * Open what is pinned in `bpffs`; events from before are not for us. *out is the caller's to close;
 * NULL after an error.
 */
int events_open(const char *bpffs, struct events **out, struct error *err);
/* We want nothing from now on; what was told before can still be read. */
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
 * `expires` and `rate` of `want` do not matter. An error too when other maps are pinned by now.
 */
int events_watch(struct events *e, const struct tn_watch *want, struct error *err);
/*
 * The same, with addresses to be traced, of which the programs know one pair: until events_stop()
 * nobody else can ask for anything. So that is to come at once.
 */
int events_trace(struct events *e, const struct tn_watch *want, struct error *err);

/* Called for each event, which is the callee's for the call only; false: no more of them. */
typedef bool (*events_fn)(const struct tn_event *event, void *context);

/* All that there is by now of what we want; does not wait. An event of another size is an error. */
int events_read(struct events *e, events_fn each, void *context, struct error *err);
/*
 * How many were overwritten since the last call, before we have read them, because we were stopped;
 * also those that others wanted.
 */
uint64_t events_missed(struct events *e);

#endif
