/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Echo requests from any source address, straight out of interfaces, past tc and netfilter; answers
 * are seen before they see them. For what a socket cannot do: speak as somebody else.
 */
#ifndef TN_ECHO_H
#define TN_ECHO_H

#include "lib/error.h"
#include "lib/util.h"
#include "model/model.h"
#include "probe/frame.h"

struct echo_port {
	uint32_t ifindex;
	uint8_t mac[6];
	int fd;
};

struct echo {
	struct tn_addr src, dst;
	size_t port;   /* which it goes out of */
	uint8_t to[6]; /* the MAC address that it goes to */
	/* the outcome */
	bool answered;	/* or, with `arrivals`, that it arrived */
	size_t by;	/* the port where */
	uint8_t mac[6]; /* and its sender's */
	bool sought;	/* `to` has asked the link for `src`, as if that were a neighbour of its */
};

/* Zeroed before. A port is of the namespace that the caller is in when it opens it. */
struct echoes {
	VEC(struct echo_port) ports;
	uint8_t cookie[ECHO_COOKIE];
	uint16_t id, seq;
	/*
	 * Answers are sent, to nothing, of which nobody takes notice, and what counts is that they
	 * come to another port.
	 */
	bool arrivals;
};

void echoes_free(struct echoes *e);
#define _cleanup_echoes_ _cleanup_(echoes_free)
/* One more interface to send from and to listen at. */
int echoes_open(struct echoes *e, uint32_t ifindex, const uint8_t mac[6], struct error *err);
/*
 * Send all, up to `tries` times while they are not answered, `ms` milliseconds apart, and give up
 * as long after the last time; ends as soon as each is answered. What cannot be sent is lost.
 */
void echoes_ask(struct echoes *e, struct echo *const *v, size_t n, unsigned int tries,
		unsigned int ms);

#endif
