/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One page over HTTP (libmicrohttpd), in the caller's loop: no thread, and nothing that a client
 * does or leaves makes a call here wait. The page is held once, whoever reads it. Beside it there
 * is a front for people, which is always the same.
 *
 * A connection that has asked for nothing goes before one that waits for the page, and that before
 * one that reads it: of each there are so many at most.
 *
 *   | connection      | one more of them        | closed by itself after                        |
 *   |-----------------|-------------------------|-----------------------------------------------|
 *   | asks nothing    | the oldest is closed    | SERVE_TIMEOUT                                 |
 *   | waits           | the oldest is answered  | -                                             |
 *   |                 | with the page before    |                                               |
 *   | reads           | the one that took       | SERVE_TIMEOUT without taking anything,        |
 *   |                 | nothing for the longest | SERVE_READ and a second more for SERVE_RATE   |
 *   |                 | time is closed          | bytes of the page                             |
 *
 * Among equals, that of the address (IPv6: of the /64) that has the most of them. Time that the
 * caller spends elsewhere does not count.
 */
#ifndef TN_SERVE_H
#define TN_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"

#define SERVE_CONNECTIONS 16 /* of each kind */
#define SERVE_TIMEOUT	  2  /* seconds */
#define SERVE_READ	  10 /* seconds */
#define SERVE_RATE	  (4 << 20)

struct serve;

enum serve_state {
	SERVE_PAGE,  /* the one that serve_give() was called with last is good */
	SERVE_LATER, /* another is being made: serve_give() then */
	SERVE_NONE,  /* it cannot be made now */
};
typedef enum serve_state (*serve_page)(void *arg);

/* What is at /, for people; it never changes. */
struct front {
	char *html;
	size_t size;
	const char *policy; /* its Content-Security-Policy */
};

/*
 * 192.0.2.1:9876 or [2001:db8::1]:9876: an address of this host, no name, and a port from 1. To
 * listen on all addresses has to be said: 0.0.0.0 or [::].
 */
int serve_parse(const char *text, struct sockaddr_storage *out, struct error *err);

/*
 * Listen there, as it was written; `page` is called for each GET of /metrics. `front` is copied,
 * and its text borrowed until serve_close(); without a text a line says where the metrics are.
 */
int serve_open(const char *where, const char *type, const struct front *front, serve_page page,
	       void *arg, struct serve **out, struct error *err);
void serve_close(struct serve *s);

/*
 * The page from now on, malloc()ed and the server's; NULL: there is none. Whoever waits is answered
 * in the next serve_run(), for which it is time.
 */
void serve_give(struct serve *s, char *text, size_t size);
/* Whether somebody reads a page before the last one: while that is so, no other is to be made. */
bool serve_is_held(const struct serve *s);

/* Readable when there is something for serve_run(). */
int serve_fd(const struct serve *s);
/* Milliseconds until serve_run() is to be called anyway; -1: only when the fd is readable. */
int64_t serve_wait(struct serve *s);
void serve_run(struct serve *s);

#endif
