/* SPDX-License-Identifier: GPL-2.0-only */
/* What definitions.c and its parts share; nobody else includes this. */
#ifndef TN_NEUTRON_DEFINITIONS_INTERNAL_H
#define TN_NEUTRON_DEFINITIONS_INTERNAL_H

#include "neutron/definitions.h"
#include "neutron/pools.h"

typedef VEC(const struct neutron_port *) port_vec;

/* A router with the tag, and what becomes of it. */
struct tenancy {
	const struct neutron_router *router;
	char *name;
	/* its ports */
	port_vec shared;
	port_vec inside;
	const struct neutron_port *gateway; /* on the shared network; NULL: none there */
	/* with OVN: the legs of its sidecar, and the router's port that faces it; NULL: not made */
	const struct neutron_port *transit, *leg, *facing;
	struct prefix_list pools;	/* by its tags, and else what is left */
	bool rest[FAMILIES];		/* what is left: the same for all of these */
	struct tenancy *with[FAMILIES]; /* see make_rooms(); NULL: by itself */
	uint64_t room[FAMILIES];	/* so many VMs can have an address */
	bool refused;			/* it has no tenant */
	uint32_t tenant;		/* index in the model, if it has one */
};

/* A port of a VM and a mapping of it. */
struct mapped {
	const struct neutron_port *port;
	struct tenancy *of;
	uint32_t tenant; /* index in the model, as long as that is not sorted */
	struct tn_addr fixed;
	const char *name; /* of the port there, borrowed; NULL: none */
};

struct making {
	const struct inventory *inv;
	const char *host; /* NULL: for all hosts */
	struct model *out;
	struct neutron_findings *findings;
	const struct neutron_network *network;
	VEC(const struct neutron_subnet *) subnets; /* the shared ones, by prefix */
	VEC(struct tenancy) tenancies;		    /* the oldest first */
	port_vec by_device;			    /* all of them */
	port_vec on_shared;			    /* those on the shared network */
	VEC(struct mapped) mapped;
};

void __attribute__((format(printf, 2, 3)))
neutron_finding(struct neutron_findings *f, const char *format, ...);

/*
 * Count how many VMs can have an address (rooms.c). Tenants whose pools overlap have their room
 * together, and no more than the smallest of these pools has: each VM could be given an address of
 * any of them, and none must be left without.
 */
void make_rooms(struct making *k);
/* What is left for the tenant, to be counted down. */
uint64_t *room_of(struct tenancy *t, int family);

/* The tenants' pools (neutron/tenant_pools.c), their mappings (mappings.c), their rules (accept.c).
 */
void make_pools(struct making *k);
void make_mappings(struct making *k);
void make_accept(struct making *k);

#endif
