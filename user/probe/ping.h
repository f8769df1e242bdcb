/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets to many hosts at once that are answered by ICMP: echo, and UDP to a closed port. */
#ifndef TN_PING_H
#define TN_PING_H

#include "lib/addr.h"
#include "lib/error.h"
#include "lib/util.h"

enum ping_kind {
	PING_ECHO,
	PING_UDP,	 /* the kernel or the interface makes its checksum */
	PING_UDP_SUMMED, /* we make it, and nobody touches it */
};

struct ping {
	struct tn_addr dst;
	struct tn_addr src; /* unset: the kernel's choice, for an echo alone */
	enum ping_kind kind;
	uint32_t size; /* of the IP packet, for an echo: at least PING_LEAST; never fragmented */
	/* the outcome */
	bool answered;
	uint32_t mtu; /* somebody on the path says that no more passes; 0: nobody did */
	int error;    /* why it could not be sent (errno) */
};

#define PING_LEAST 64

/* The sockets, of the namespace that the caller was in at pinger_open(). */
struct pinger;

struct pinger *pinger_open(struct error *err);
void pinger_close(struct pinger *p);
static inline void pinger_cleanup(struct pinger **p)
{
	pinger_close(*p);
}
#define _cleanup_pinger_ _cleanup_(pinger_cleanup)

/*
 * Send them all, up to `tries` times while there is no outcome, `ms` milliseconds apart, and give
 * up as long after the last time; ends as soon as each has an outcome.
 */
void ping_all(struct pinger *p, struct ping *const *v, size_t n, unsigned int tries,
	      unsigned int ms);

#endif
