/* SPDX-License-Identifier: GPL-2.0-only */
/* What probes found out, of one router: a list of texts, for people and for JSON. */
#ifndef TN_FINDINGS_H
#define TN_FINDINGS_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/util.h"

/* X(ID, "name"): in the order in which they are made. */
#define PROBES(X)                       \
	X(CARRIER, "carrier")           \
	X(ROUTE, "route")               \
	X(DUPLICATE, "duplicate")       \
	X(NEIGHBOUR, "neighbour")       \
	X(SOLICITATION, "solicitation") \
	X(SOURCE, "source")             \
	X(PING, "ping")                 \
	X(MTU, "mtu")                   \
	X(CHECKSUM, "checksum")         \
	X(VM, "vm")                     \
	X(DOCTOR, "doctor")

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
/* That a probe could not be made: what the error says was seen, and behind its first semicolon what
 * to do. */
void findings_add_error(struct findings *f, enum probe probe, const char *subject,
			const struct error *err);
void finding_remedy(struct finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Whether it is about an address of that tenant's router, "100.64.0.3 (blue)". */
bool finding_is_about(const struct finding *f, const char *tenant);
/* The first failure of a list, NULL when there is none. */
const struct finding *findings_failure(const struct findings *f);

#endif
