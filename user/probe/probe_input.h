/* SPDX-License-Identifier: GPL-2.0-only */
/* What is to be probed of a router, by the definitions and what is or will be attached. Pure. */
#ifndef TN_PROBE_INPUT_H
#define TN_PROBE_INPUT_H

#include <net/if.h>

#include "model/kernel_state.h"
#include "model/model.h"

/* Destinations that have to be reached through the shared interface. */
struct probe_prefix {
	struct prefix prefix;
	struct tn_addr gateway; /* by which; unset: on the link, or any that is there */
	bool on_link;		/* by none */
};

struct probe_host {
	struct tn_addr addr;
	const char *who; /* for the finding; borrowed; NULL: not known */
	uint8_t bits;	 /* host bits of a prefix, whose first address it is; 0: it is none */
	uint8_t mac[6];	 /* of a VM whose mapping says it; else zero */
};

/* Somebody on the shared network whom VMs have to find the way to. */
struct probe_far {
	struct tn_addr addr; /* unset: there is no shared subnet of that family */
	struct prefix subnet;
	struct tn_addr as; /* who asks the VMs in the place of `addr`; unset: nobody does */
};

/*
 * So many other routers are asked by one: those with the next ids, in a ring, so that each is asked
 * by so many others. All by all would fill the kernel's table of neighbours, which all namespaces
 * share (gc_thresh3: 1,024). Each pair takes two entries of a family, and half of the table is to
 * be left for traffic: with many routers, each asks fewer, but always one.
 */
#define PROBE_PEERS_MAX 8
#define PROBE_PAIRS	256

/* What is to be probed; the caller's to free. It outlives the run. */
struct probe_input {
	/* the shared interface; probe_interface() fills these */
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	uint32_t mtu;

	VEC(struct tn_addr) own;    /* the router's, in the shared subnets */
	VEC(struct tn_addr) others; /* that it has there for others: see iface_stands_in() */
	VEC(struct tn_addr) mapped; /* the shared addresses of its mappings */
	size_t duplicates_max;	    /* so many of these are looked for; of the rest it is said */
	VEC(struct probe_prefix) prefixes; /* shared subnets, routes; the longest match counts */
	VEC(struct probe_host) peers;	   /* other routers that are up, gateways */
	size_t unasked;			   /* routers beyond those */
	VEC(struct probe_host) vms;	   /* fixed addresses; empty: no vm probe is made */
	VEC(struct probe_host) unprobed;   /* fixed prefixes, of whose VMs nothing is known */
	uint32_t inside[TN_INSIDE_MAX];	   /* where they may be; 0: no more */
	const struct router *router;	   /* its definition; borrowed; NULL: not known */
	struct probe_far far[FAMILIES];	   /* for the VMs of a family */
	enum sources sources;
	/*
	 * All programs are attached: what VMs answer is translated or dropped. Else nobody is asked
	 * by or from a shared address, because the answer would leave as it is.
	 */
	bool guarded;
	/*
	 * Mapped addresses that another router asks for, GROUPS_MAX of a family at most, and which
	 * one; NULL: there is none.
	 */
	VEC(struct tn_addr) solicited;
	const struct router_row *asker[FAMILIES];
	unsigned int patience; /* every wait this many times as long; 0 is 1 */
	/* nothing but duplicates of `mapped`, asked for once and waited for shortly */
	bool brief;
};

void probe_input_free(struct probe_input *in);
#define _cleanup_probe_input_ _cleanup_(probe_input_free)

/*
 * Of the router `row`, by the rows of `machine`, which it is one of: its addresses, the next
 * routers that answer `is_up` as peers; by the definitions `m` (sorted): shared subnets of the
 * families that it has to do with, routes, gateways. With `vms` its VMs too, and what is to be
 * asked for of its mapped addresses, which are there while it has traffic. Not the interface,
 * the asker, nor patience. `out` is zeroed before; names in it are borrowed from `m` and `machine`.
 */
void probe_input_of(const struct model *m, const struct kernel_state *machine,
		    const struct router_row *row, bool vms,
		    bool (*is_up)(const struct router_row *), struct probe_input *out);

/*
 * Who is to ask for them: the next router in a ring that is up, in another namespace, and has an
 * address of that family on the shared network; NULL: none.
 */
const struct router_row *probe_asker(const struct kernel_state *machine,
				     const struct router_row *row, int family,
				     bool (*is_up)(const struct router_row *));

#endif
