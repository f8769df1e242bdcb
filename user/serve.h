/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One page over HTTP (libmicrohttpd), in the caller's loop: no thread, and nothing that a client
 * does or leaves makes a call here wait.
 */
#ifndef TN_SERVE_H
#define TN_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "error.h"

/* At once; when one more comes, the oldest is closed. */
#define SERVE_CONNECTIONS 16
#define SERVE_TIMEOUT	  2 /* seconds, that a connection may be idle */

struct serve;

enum serve_state {
	SERVE_PAGE,  /* here it is, malloc()ed and the server's from then on */
	SERVE_LATER, /* it is being made: serve_ready() then, and it is asked for once more */
	SERVE_NONE,  /* it cannot be made now */
};
typedef enum serve_state (*serve_page)(void *arg, char **page, size_t *size);

/*
 * 192.0.2.1:9876 or [2001:db8::1]:9876: an address of this host, no name, and a port from 1. To
 * listen on all addresses has to be said: 0.0.0.0 or [::].
 */
int serve_parse(const char *text, struct sockaddr_storage *out, struct error *err);

/* Listen there, as it was written; `page` is called for each GET of /metrics. */
int serve_open(const char *where, const char *type, serve_page page, void *arg, struct serve **out,
	       struct error *err);
void serve_close(struct serve *s);

/* Readable when there is something for serve_run(). */
int serve_fd(const struct serve *s);
/* Milliseconds until serve_run() is to be called anyway; -1: only when the fd is readable. */
int64_t serve_wait(struct serve *s);
void serve_run(struct serve *s);
/* Whoever waits for the page is answered in the next serve_run(), for which it is time. */
void serve_ready(struct serve *s);

#endif
