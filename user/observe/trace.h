/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet on its way from one VM to another, through the programs of both routers, each in its
 * own namespace. Between them it is given what the kernel would: a hop less, MAC addresses of the
 * shared network.
 */
#ifndef TN_TRACE_H
#define TN_TRACE_H

#include "dataplane/events.h"
#include "dataplane/testrun.h"
#include "model/kernel_state.h"
#include "model/service.h"
#include "observe/trace_packet.h"
#include "probe/findings.h"

/* One end of the way. Routers are borrowed from the machine. */
struct trace_end {
	struct tn_addr shared;		 /* unset: a VM without a mapping */
	struct tn_addr fixed;		 /* unset: no VM of a router here */
	const struct router_row *router; /* NULL: elsewhere, or nobody's */
	const char *tenant;		 /* NULL: nobody's; borrowed */
	const struct mapping *mapping;	 /* NULL: none, or a router's own address; borrowed */
	const char *missing; /* why a router that is defined here is not in `router`; NULL: it is */
	bool is_own;	     /* a router's own address */
	bool itself;	     /* `fixed` is an address of `router`: trace_send() finds that out */
};

/* What one program did. */
struct trace_step {
	const struct router_row *router;
	enum tn_program program;
	bool told; /* there is an event of it; without, `event` has the verdict alone */
	struct tn_event event;
	bool past; /* from here it goes past the stack */
	uint8_t before[TESTRUN_ROOM], after[TESTRUN_ROOM];
	size_t before_len, after_len;
};

/* X(ID, "name"): what the packet meets besides programs. */
#define TRACE_LOOKS(X)            \
	X(PROGRAMS, "programs")   \
	X(ROUTE, "route")         \
	X(NETFILTER, "netfilter") \
	X(LINK, "link")           \
	X(MTU, "mtu")             \
	X(VM, "vm")

enum trace_look_id {
#define X(id, name) TRACE_LOOK_##id,
	TRACE_LOOKS(X)
#undef X
};

/* One of these. Texts are owned by the trace. */
struct trace_look {
	const struct router_row *router; /* where */
	size_t after;			 /* so many steps come before it */
	enum trace_look_id id;
	enum probe_result result; /* PROBE_SKIPPED: nobody can tell */
	char *text;
	char *remedy; /* NULL: nothing to be done */
};

/* A part of the way that is as wide as `mtu`. */
struct trace_hop {
	const struct router_row *router; /* whose interface it is */
	char name[IF_NAMESIZE];		 /* the interface; of a link, what is the narrowest on it */
	char at[IF_NAMESIZE];		 /* of a link: the router's interface on it */
	bool link; /* what is larger is silently lost; else the router answers it */
	bool inside;
	uint32_t mtu;
	uint32_t own; /* of the router's interface itself */
};

enum trace_result {
	TRACE_ARRIVED,
	TRACE_DROPPED, /* by the last step */
	TRACE_LEFT,    /* for the shared network; nobody here judges there */
	/* no program dropped it, and yet it does not arrive, or could not be answered: see `why` */
	TRACE_ASTRAY,
};

struct trace {
	const char *bpffs;
	struct events *events;
	const struct kernel_state *kernel;
	const struct model *model; /* the definitions in force */
	unsigned int patience;	   /* every wait this many times as long; 0 is 1 */
	struct trace_end from, to;
	bool outside; /* whatever the sender's address is, it comes from the shared network */
	struct trace_packet packet;
	/* the narrowest that `ports` of a rule has for the packet, of both families for ICMP */
	struct service services[SERVICE_PARTS];
	size_t nservices;
	uint32_t size; /* of the packet whose way is measured, in bytes; 0: what VMs send at most */

	VEC(struct trace_step) steps;
	VEC(struct trace_look) looks;
	VEC(struct trace_hop) hops;
	enum trace_result result;
	char why[400];
};

/* All but the last five is given. */
int trace_send(struct trace *t, struct error *err);
void trace_free(struct trace *t);
#define _cleanup_trace_ _cleanup_(trace_free)

#endif
