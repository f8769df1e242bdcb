/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hosts say to each other of the routers that both have: lines of JSON. Pure.
 *
 *   {"tenant", …}                     a flow: named_flow.h
 *   {"router": TENANT, "unsent": N}   the router is active here, and so many flows are yet to come
 *   {"again": TENANT}                 the answer of a host that has lost some: all once more
 */
#ifndef TN_STREAM_LINE_H
#define TN_STREAM_LINE_H

#include "handover/named_flow.h"

enum stream_line_kind { LINE_FLOW, LINE_BEAT, LINE_AGAIN };

struct stream_line {
	enum stream_line_kind kind;
	char tenant[TENANT_NAME_MAX + 1]; /* whose router */
	uint32_t unsent;		  /* of a beat */
	struct named_flow flow;
};

/* -1 with a usage error that says what is wrong with the line. */
int stream_line_parse(const char *text, struct stream_line *out, struct error *err);
void stream_line_beat(const char *tenant, size_t unsent, FILE *to);
void stream_line_again(const char *tenant, FILE *to);

#endif
