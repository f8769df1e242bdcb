/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attaching the programs to interfaces and taking them off again: XDP by libxdp,
 * tc by tcx links (kernel 6.6) or, before that, filters of a clsact qdisc.
 */
#ifndef TN_ATTACH_H
#define TN_ATTACH_H

#include <limits.h>
#include <net/if.h>

#include "dataplane/stubs.h"
#include "lib/error.h"
#include "model/rows.h"

/*
 * Attach the stubs to the router's shared interface and pin what holds it. The
 * caller is in the router's namespace. Sets r->via and r->flags. Egress comes
 * first: from then on nothing leaves untranslated. On failure nothing of it stays.
 */
int attach_router(struct dataplane *dp, struct stubs *s, struct router_row *r, struct error *err);

/*
 * Whether what is attached is what would be: all else that a router is, the programs read in its
 * rows. Then sets want->via and want->flags.
 */
bool attach_stays(const struct router_row *have, struct router_row *want);

/*
 * Put other stubs in the place of those attached, without a moment of neither where the kernel can
 * do that (tcx). The caller is in the router's namespace, and puts the router's row behind it.
 */
int attach_renew(struct dataplane *dp, struct stubs *s, const struct router_row *have,
		 struct router_row *r, struct error *err);

/*
 * Which clsact qdiscs of the interfaces of `want` tenantnat created for `have`, the same
 * router or one before it there: they are taken off with the last one. Sets want->flags.
 */
void attach_inherit(const struct router_row *have, struct router_row *want);

/* Take everything of the router off. Works by itself when its namespace is gone. */
int attach_remove(struct dataplane *dp, const struct router_row *r, struct error *err);

/* X(ID, "name"): by what a program is held to an interface. */
#define VIAS(X)                       \
	X(TCX, "tcx")                 \
	X(CLSACT, "clsact")           \
	X(XDP, "xdp")                 \
	X(XDP_GENERIC, "xdp-generic") \
	X(XDP_DISPATCHER, "xdp-dispatcher")

enum via {
#define X(id, name) VIA_##id,
	VIAS(X)
#undef X
		VIAS_COUNT
};

const char *via_name(enum via via);

/* One program that is attached now. */
struct attachment {
	char interface[IF_NAMESIZE]; /* its name now; "" when it is gone */
	bool egress;
	enum via via;
	uint32_t program; /* id in the kernel */
};

struct attachments {
	VEC(struct attachment) list;
	bool complete; /* all that the router's row says is there, and the interface has its MAC */
};

/* Places at most where tc programs of one router are attached: either way of each interface. */
#define ATTACH_POINTS (2 + 2 * TN_INSIDE_MAX)

/* The tcx links of a router, by their ids in the kernel; 0: there is none. */
struct links {
	uint32_t ids[ATTACH_POINTS];
};

/* Those that are pinned now. */
void attach_links(struct dataplane *dp, const struct router_row *r, struct links *out);

/*
 * Whether none of the links was detached: what nobody reports. Quick, from any namespace, and needs
 * no pins; what attach_inspect() finds besides is reported by rtnetlink and inotify.
 */
bool attach_is_linked(const struct router_row *r, const struct links *links);

/* Whether the router's interfaces are there, and the shared one has the MAC address of the row. */
bool attach_has_place(const struct router_row *r);

/* The directory of the router's pins. */
void attach_pins(const char *bpffs, uint32_t router, char path[PATH_MAX]);

/* What is attached of the router now, seen in the kernel, not remembered. */
void attach_inspect(struct dataplane *dp, const struct router_row *r, struct attachments *out);

/* A program of somebody else at the router's interface. */
struct other {
	char interface[IF_NAMESIZE];
	bool egress;
	enum via via;
	bool before;	  /* it runs before ours, or where ours is not at all */
	uint32_t program; /* id in the kernel; 0: not known (a filter of a clsact qdisc) */
};

struct others {
	VEC(struct other) list;
};

/* The programs of others at the interface. The caller is in its namespace. */
void attach_others(uint32_t ifindex, struct others *out);

/* Whether the kernel has tcx: 1, 0, or -1 when it does not tell us (CAP_NET_ADMIN is needed). */
int attach_has_tcx(void);

/* Whether it takes programs of the kind that libxdp's dispatcher calls: 1, 0 or -1 (as above). */
int attach_has_dispatcher(void);

#endif
