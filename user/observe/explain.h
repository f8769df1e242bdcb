/* SPDX-License-Identifier: GPL-2.0-only */
/* What a step of a trace means: the words of its event, the rule that decided, a remedy. Pure. */
#ifndef TN_EXPLAIN_H
#define TN_EXPLAIN_H

#include "model/model.h"
#include "model/service.h"
#include "observe/trace.h"

/* The name of the reason of a drop, and what it means; "unknown" for one of another build. */
const char *explain_reason(const struct trace_step *s);
const char *explain_meaning(const struct trace_step *s);
const char *explain_verdict(const struct trace_step *s);

/* The rule that accepted the packet, or has ended, of `m`; NULL: none, or not in `m` any more. */
const struct rule *explain_rule(const struct model *m, const struct trace_step *s);
/*
 * By what it was accepted, or would have been, in words; NULL: by nothing, or nothing is known. The
 * caller frees *text, which may be what is returned.
 */
const char *explain_accepted(const struct model *m, const struct trace_step *s, char **text);

/* What would have that step not drop the packet; the caller frees. NULL: nothing is known. */
char *explain_remedy(const struct trace *t, const struct trace_step *s);

/* "tcp", "udp", "icmp" or "protocol/N"; may be in `buf`. */
const char *explain_protocol(const struct trace_packet *p, char buf[SERVICE_TEXT]);

#endif
