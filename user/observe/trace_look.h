/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a traced packet meets besides programs, asked of the kernel of the router where it is, and
 * of the links: each adds to t->looks. Only what keeps it from being looked at is an error.
 */
#ifndef TN_TRACE_LOOK_H
#define TN_TRACE_LOOK_H

#include "host/route_query.h"
#include "observe/trace.h"

/* One more, with its text, and what to do about it. The trace owns it; good until the next. */
struct trace_look *trace_look_add(struct trace *t, const struct router_row *r,
				  enum trace_look_id id, enum probe_result result, const char *text,
				  ...) __attribute__((format(printf, 5, 6)));
void trace_look_remedy(struct trace_look *look, const char *text, ...)
	__attribute__((format(printf, 2, 3)));

/* The first of the trace that failed; NULL: none did. */
const struct trace_look *trace_failed_look(const struct trace *t);
void trace_looks_free(struct trace *t);

bool trace_is_inside(const struct router_row *r, uint32_t ifindex);

/* Whether what is attached to the router is all there. Any namespace. */
void trace_look_programs(struct trace *t, const struct router_row *r);

/* The caller is in the namespace of `r` from here on. */

/* Whether the VM is there and knows the way to `peer`. */
void trace_look_vm(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		   const struct tn_addr *peer);

/*
 * How the router itself reaches the VM with that fixed address; false: not by an inside interface
 * that has a program, which has failed.
 */
bool trace_look_inside(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		       const struct next_hop *way);

/*
 * The route from `src` to `dst` of what comes in by `iif`, or with 0 of what the router sends:
 * whether it leads to the shared interface, or with `in` to an inside one, or to the router itself
 * if that is mapped. *out is what the kernel says.
 */
int trace_look_route(struct trace *t, const struct router_row *r, const struct tn_addr *src,
		     const struct tn_addr *dst, uint32_t iif, bool in, struct next_hop *out,
		     struct error *err);

/* Whether what the router answers the packet itself, from `fixed` to `peer`, goes back. */
int trace_look_answer(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		      const struct tn_addr *peer, struct error *err);

/* The rules of netfilter for the same, which leaves by `oif`; 0: it is for the router itself. */
int trace_look_netfilter(struct trace *t, const struct router_row *r, const struct tn_addr *src,
			 const struct tn_addr *dst, uint32_t iif, uint32_t oif, struct error *err);

/* Whether the next hop on the shared network answers, and is who it is to be. */
void trace_look_link(struct trace *t, const struct router_row *r, const struct next_hop *next_hop);

#endif
