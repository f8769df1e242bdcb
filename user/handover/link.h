/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection between two hosts of a cluster that carries lines: TCP, and TLS 1.3 with a key that
 * both have (ECDHE-PSK), so that who has not is told nothing, and tells nothing. Nothing here
 * waits. Errors are why a connection is over.
 */
#ifndef TN_LINK_H
#define TN_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "handover/peers.h"
#include "lib/error.h"

/* The port that hosts listen on when nothing else is said. */
#define LINK_PORT 9117
/* No line is longer, its newline included. */
#define LINK_LINE 640

struct link;

/* Listen there; the descriptor is the caller's to close. -1: an error. */
int link_listen(const char *endpoint, struct error *err);
/*
 * A connection that has come (`fd`, which is the link's from then on), of one of `peers`, as it has
 * to show; or one to `peer`. Peers and peer are borrowed until link_close(). NULL after an error.
 */
struct link *link_accept(int fd, const struct peers *peers, struct error *err);
struct link *link_connect(const struct peers *peers, const struct peer *peer, struct error *err);
void link_close(struct link *l);

/* For poll(2). */
struct pollfd link_poll(const struct link *l);
/* -1: it is over, and to be closed. `take` gets each line that has come, without its end. */
typedef int (*link_take)(void *arg, char *line, struct error *err);
int link_run(struct link *l, short events, link_take take, void *arg, struct error *err);

/* Of one that is over: whether the other end, or the network, has ended it. */
bool link_has_ended(const struct link *l);
/* Whether it is known who is there; their name then. */
bool link_is_open(const struct link *l);
const char *link_peer(const struct link *l);
/* Milliseconds (clock.h) of its beginning, and of the last that has come. */
uint64_t link_begun(const struct link *l);
uint64_t link_heard(const struct link *l);

/* Whether all is sent that was to be. */
bool link_is_idle(const struct link *l);
/* Send it, when the link is open and idle; the text becomes the link's to free. */
void link_send(struct link *l, char *text, size_t size);

#endif
