/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A first guess at the definitions of a machine: which of its network namespaces are routers, which
 * of their interfaces are on the shared network, and which lead to VMs. Pure.
 */
#ifndef TN_OUTLINE_H
#define TN_OUTLINE_H

#include "model/iface.h"

/* A network namespace as it was seen. */
struct namespace
{
	char *name; /* under /run/netns */
	struct ifaces ifaces;
};

struct namespaces {
	VEC(struct namespace) list;
};

void namespaces_free(struct namespaces *n);
#define _cleanup_namespaces_ _cleanup_(namespaces_free)

struct outline_router {
	const struct namespace *seen;
	char tenant[TENANT_NAME_MAX + 1]; /* of no other */
	const struct iface *shared;	  /* NULL: none, or several, look like it */
	VEC(const struct iface *) inside;
	bool neutron; /* a router of Neutron's: `inside` is "qr-*" */
	VEC(struct prefix) pools;
};

struct outline {
	VEC(struct prefix) subnets;
	bool subnets_seen; /* on interfaces; else it is a range that nobody has */
	VEC(struct outline_router) routers;
};

/*
 * Routers are namespaces with two Ethernet interfaces that could be a router's, and Neutron's. On
 * the shared network is what is called so, else what has an address of 100.64.0.0/10, else what is
 * on a network that most routers are on. Inside is the rest, but for uplinks: interfaces of a
 * default route, and Neutron's qg- and ha-. `seen` outlives the outline, which is the caller's to
 * free. What it says is a valid model.
 */
void outline_make(const struct namespaces *seen, struct outline *out);
void outline_free(struct outline *o);
#define _cleanup_outline_ _cleanup_(outline_free)

#endif
