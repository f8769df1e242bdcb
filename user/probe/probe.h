/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes: what is tried on a router's shared network before it gets traffic, and by `check` at any
 * time. Both halves run while this process is in the router's namespace. They send packets, read
 * answers, and change nothing; an address of the router has to be there before it is probed from.
 * What each probe proves, and what it cannot: docs/architecture.md.
 */
#ifndef TN_PROBE_H
#define TN_PROBE_H

#include "lib/error.h"
#include "lib/util.h"
#include "probe/probe_input.h"

/* X(ID, "name"): in the order in which they are made. */
#define PROBES(X)                       \
	X(CARRIER, "carrier")           \
	X(ROUTE, "route")               \
	X(DUPLICATE, "duplicate")       \
	X(NEIGHBOUR, "neighbour")       \
	X(SOLICITATION, "solicitation") \
	X(PING, "ping")                 \
	X(MTU, "mtu")                   \
	X(CHECKSUM, "checksum")         \
	X(VM, "vm")

enum probe {
#define X(id, name) PROBE_##id,
	PROBES(X)
#undef X
		PROBES_COUNT
};

const char *probe_name(enum probe probe);

/* X(ID, "name") */
#define PROBE_RESULTS(X)    \
	X(OK, "ok")         \
	X(FAILED, "failed") \
	X(SKIPPED, "skipped")

enum probe_result {
#define X(id, name) PROBE_##id,
	PROBE_RESULTS(X)
#undef X
		PROBE_RESULTS_COUNT
};

const char *probe_result_name(enum probe_result result);

/* One thing that a probe found out. */
struct finding {
	enum probe probe;
	enum probe_result result;
	char *subject; /* an interface, an address, or how many addresses */
	char *text; /* what was seen; of a failure "expected …; seen: …"; else why it was skipped */
	char *remedy; /* what to do; NULL: nothing */
	bool unasked; /* skipped for want of time: who lets traffic through then has to say so */
};

struct findings {
	VEC(struct finding) list;
};

void findings_free(struct findings *f);
#define _cleanup_findings_ _cleanup_(findings_free)
/* One more, with its text, and what to do about it. The list owns it; good until the next. */
struct finding *findings_add(struct findings *f, enum probe probe, enum probe_result result,
			     const char *subject, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void finding_remedy(struct finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The first failure of a list, NULL when there is none. */
const struct finding *findings_failure(const struct findings *f);

/* Name, MAC address and MTU of the interface with that index, in the current namespace. */
int probe_interface(uint32_t ifindex, struct probe_input *in, struct error *err);

struct probe_run;

/*
 * Look at the interface and the routes, and ask the link for the addresses, which takes a second
 * for PACKET_RATE of them. Fails only when the probes could not be made at all. *out is to be
 * given to probe_finish() or probe_cancel(), which end it.
 */
int probe_begin(const struct probe_input *in, struct probe_run **out, struct error *err);
/*
 * Have in->asker solicit the addresses in->solicited, behind probe_begin(): this process is in its
 * namespace, and need not be there later.
 */
int probe_solicit(struct probe_run *run, struct error *err);
/*
 * Ask again for what is not answered, an eighth of a second after the first time, and as fast. For
 * who has many runs under way, in whatever namespace; else probe_finish() does it.
 */
int probe_again(struct probe_run *run, struct error *err);
/*
 * Read the answers, until an eighth of a second after the last questions, and make the probes that
 * follow from them: less than a tenth of a second more while all is well, a second when a peer is
 * silent, some seconds when the MTU or checksums are at fault. `out` gets all findings, and is the
 * caller's to free, also after an error. The run has ended.
 */
int probe_finish(struct probe_run *run, struct findings *out, struct error *err);
void probe_cancel(struct probe_run *run);

#endif
