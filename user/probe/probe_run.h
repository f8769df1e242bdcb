/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run of the probes of one router, and what each of them needs. probe.c calls them in their
 * order, each in a file of its own: probe_interface, probe_route, probe_link, probe_solicit,
 * probe_path, probe_vm. None of them calls back.
 */
#ifndef TN_PROBE_RUN_H
#define TN_PROBE_RUN_H

#include "host/route_query.h"
#include "probe/echo.h"
#include "probe/findings.h"
#include "probe/neigh_query.h"
#include "probe/ping.h"
#include "probe/ping_size.h"
#include "probe/probe_input.h"

/* A peer on the way through the probes: each goes on with those that the last one found in order.
 */
struct peer {
	const struct probe_host *host;
	struct tn_addr src; /* our address that it is spoken to from */
	const char *out;    /* why it is not probed any more; NULL: it is */
	long query;	    /* index of its question; -1: not on the link */
	struct ping ping;   /* what it was asked last */
	struct ping_size size;
	bool suspect; /* of not getting right checksums from us */
};

/* What in->asker of a family asks and hears, by sockets of its namespace. */
struct asking {
	struct neigh_queries queries; /* first `controls`, none or one, of the router itself */
	size_t controls;
	struct echoes echoes;
	struct error error; /* set: it could not ask */
};

struct probe_run {
	const struct probe_input *in;
	struct findings found;
	bool down;
	struct error link_error;      /* set: the link could not be asked */
	struct error solicit_error;   /* set: in->asker could not ask */
	struct neigh_queries queries; /* first the duplicates, then the peers */
	size_t duplicates;
	struct asking asking[FAMILIES];
	uint64_t repeat; /* when what is not answered is asked again */
	uint64_t end;	 /* when no answer is waited for any more; 0: not asked again yet */
	VEC(struct peer) peers;
};

/* Milliseconds to wait, with this router's patience. */
static inline unsigned int patient(const struct probe_input *in, unsigned int ms)
{
	return ms * (in->patience ? in->patience : 1);
}

/* Between one question to a link and its repetition, and as long after that. */
#define PROBE_ASK_MS 125
/* What a neighbour on the link takes to answer, generously. */
#define PROBE_BRIEF_MS 30
/* An echo that passes everywhere, and how often it is sent. */
enum { PROBE_PING_SIZE = 84, PROBE_PING_MS = 300, PROBE_PING_TRIES = 3 };

/* For an answer to a packet of one size, while the largest is looked for. */
#define PROBE_SIZE_MS 100

#define PROBE_TEXT (ADDR_TEXT + 128)

/* "100.64.0.3 (blue)", "by shared0 via 100.64.0.1": into `buf`, which is returned. */
const char *probe_host_text(const struct probe_host *h, char buf[PROBE_TEXT]);
const char *probe_next_hop_text(const struct next_hop *w, char buf[PROBE_TEXT]);
#define HOST(h)	    probe_host_text((h), (char[PROBE_TEXT]){ 0 })
#define NEXT_HOP(w) probe_next_hop_text((w), (char[PROBE_TEXT]){ 0 })
/* The question that finds a neighbour of that family. */
const char *probe_protocol(const struct tn_addr *a);

#endif
