/* SPDX-License-Identifier: GPL-2.0-only */
/* An address of a host and a port, as text: 192.0.2.1:9117, [2001:db8::1]:9117. */
#ifndef TN_ENDPOINT_H
#define TN_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The longest text, with its NUL. */
#define ENDPOINT_TEXT 64

/*
 * A port that is not given is `port`; an IPv6 address without one can do without brackets. False:
 * it is none, or its address is unspecified, link-local or a group's.
 */
bool endpoint_parse(const char *text, uint16_t port, struct sockaddr_storage *out);
/* With the port. */
const char *endpoint_text(const struct sockaddr_storage *e, char buf[ENDPOINT_TEXT]);
/* Whether nobody but this host reaches it. */
bool endpoint_is_loopback(const struct sockaddr_storage *e);

#endif
