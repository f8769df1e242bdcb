/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Being told when something changes that the definitions in force are about: interfaces,
 * addresses, routes, tc filters, forwarding and rules of nf_tables in the routers' namespaces,
 * namespaces that come and go, mounts, pins, and the state itself. What changed is for a look at
 * the machine to find out; a change may be reported twice, or be nobody's business, but none is
 * missed.
 *
 * One rtnetlink and one nfnetlink socket hear all namespaces (NETLINK_LISTEN_ALL_NSID, kernel 4.2)
 * that our own has given a number to (RTM_NEWNSID). Unlike a socket in each of them that keeps none
 * alive: one that is deleted goes away.
 */
#ifndef TN_WATCH_H
#define TN_WATCH_H

#include "lib/error.h"
#include "model/kernel_state.h"
#include "model/model.h"

struct watch;

/* `state`: the directory of state.db, which has to exist. The caller's to close. */
int watch_open(const char *state, struct watch **out, struct error *err);
void watch_close(struct watch *w);
static inline void watch_cleanup(struct watch **w)
{
	watch_close(*w);
}
#define _cleanup_watch_ _cleanup_(watch_cleanup)

/* Becomes readable (epoll) when there is something for watch_read(). */
int watch_fd(const struct watch *w);

/* Takes what was reported since the last call; whether it may be of concern. */
bool watch_read(struct watch *w);

/*
 * Watch the namespaces of the routers of `m`, and no others. True: one of them was not
 * watched until now, so what was read of it before may be out of date.
 */
bool watch_namespaces(struct watch *w, const struct model *m);

/*
 * Watch a directory for entries that are taken away, until it is removed itself: those of a router,
 * or everybody's (0). True: it was not watched until now.
 */
bool watch_pins(struct watch *w, const char *path, uint32_t router);

/* Watch the shared interfaces of the routers that the machine has, coming up. */
void watch_routers(struct watch *w, const struct kernel_state *have);

/*
 * Whether something was reported since the last call of a router that watch_routers() knows: in its
 * namespace, or about its pins.
 */
bool watch_touched(struct watch *w, uint32_t router);
/* The same, and it stays so. */
bool watch_is_touched(const struct watch *w, uint32_t router);

/* Whether the shared interface of that router came up since the last call. */
bool watch_came_up(struct watch *w, uint32_t router);

#endif
