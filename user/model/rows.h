/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of what the kernel has, or is to have: those of the maps by_shared, by_fixed and
 * routers, and addresses, routes, groups and settings of the routers' namespaces. What fills and
 * empties the maps, and what talks to the kernel, needs these alone; struct kernel_state has all of
 * them. The rows of who is accepted are in policy.h.
 */
#ifndef TN_ROWS_H
#define TN_ROWS_H

#include <net/if.h>

#include "model/model.h"
#include "tn_abi.h"

/* Room for the path of a setting with any interface in it. */
#define SETTING_PATH 96

/* A row of by_shared. Of a prefix (TN_SHARED_PREFIX) both addresses are the first ones. */
struct shared_row {
	struct tn_addr shared;
	struct tn_addr fixed;
	uint32_t tenant;
	uint32_t router;
	uint32_t flags;
	uint32_t slot; /* only in what was read; does not count as a difference */
	uint32_t pair; /* only in what is wanted: one number, from 1, for both rows of a mapping */
};

/* A row of prefixes. */
struct prefix_row {
	struct tn_prefix_key key;
	struct tn_addr first; /* unset: an exception */
};

/* A row of by_fixed. */
struct fixed_row {
	uint32_t router;
	struct tn_addr fixed;
	struct tn_addr shared;
	uint32_t tenant;
	uint32_t flags; /* as in the row of by_shared */
	uint8_t mac[6]; /* of the VM, with TN_SHARED_BOUND */
	uint32_t slot;	/* as in struct shared_row */
	uint32_t pair;
};

/* A row of routers: one router with its programs. */
struct router_row {
	uint32_t id;
	char tenant[TENANT_NAME_MAX + 1];
	uint8_t mac[6];
	uint32_t ifindex;
	bool veth;			/* the shared interface is one; follows from the index */
	uint32_t inside[TN_INSIDE_MAX]; /* indexes of the inside interfaces, sorted; 0: no more */
	uint32_t raw; /* what kinds inside[] are of, as in struct tn_router; follows from it */
	uint32_t xmit[TN_INSIDE_MAX]; /* of these, those that XDP sends to itself */
	uint64_t netns_dev;
	uint64_t netns_ino;
	/* an address of its own in the shared subnets, IPv4 and IPv6; unset: it has none */
	struct tn_addr own[2];
	bool by_address; /* it forwards while its shared interface has its own address: */
	bool needs[2];	 /* these of own[]; with neither, any in the shared subnets */
	bool elected;	 /* and only while the cluster has elected this host */
	bool granted;	 /* only in what was read: it has, for now */
	uint32_t grace;	 /* seconds after it has become active; 0: none */
	/* it has none now; follows from the interface, and is no difference */
	bool standby;
	const char *netns; /* as in struct router: where to look for it first; borrowed */
	enum hook hook;	   /* what was asked for */
	enum hook via;	   /* what it came to, never auto; does not count as a difference */
	enum sources sources;
	uint32_t flows; /* that there is room for */
	bool binds;	/* there are mappings with TN_SHARED_BOUND */
	bool fast;	/* packets go past the stack */
	bool ruled;	/* they would, but netfilter has rules for them; no difference by itself */
	bool ipsec;	/* they would, but IPsec has policies for them */
	uint64_t build; /* of the programs that judge its packets; 0: not known, or not finished */
	uint32_t flags; /* enum tn_router_flags, only in what was read */
	/* only in what was read: something is missing, or the interface has another MAC */
	bool broken;
	bool stubs_current; /* the same: what is attached is of this build, whatever it calls */
	bool out_of_scope;  /* only in what is wanted: to be left as it is */
};

/* Whether an XDP program is on its shared interface. */
bool router_row_has_xdp(const struct router_row *row);
/* Whether its XDP program itself sends on packets that a veth hands to it: see bpf/veth.h. */
bool router_row_sends_from_veth(const struct router_row *row);

/* The interface that an address, route or setting is about. */
struct place {
	uint64_t netns_dev;
	uint64_t netns_ino;
	uint32_t ifindex;
	const char *netns;	/* as in struct router: where to look for it first; borrowed */
	const char *tenant;	/* for people; borrowed */
	char name[IF_NAMESIZE]; /* the interface's, for people */
};

/* An address that bears our mark. */
struct addr_row {
	struct place at;
	struct tn_addr addr;
	uint8_t len; /* of 128 bits, as in struct prefix */
};

/*
 * A route that bears our mark. One whose place is no interface (ifindex 0) is an unreachable route:
 * it loses to all others to that prefix, and tells who sends there when none of them is left.
 */
struct route_row {
	struct place at;
	struct prefix to;
	struct tn_addr via; /* unset: on-link */
	struct tn_addr src; /* the source that it prefers; unset: none */
};

static inline bool route_is_unreachable(const struct route_row *row)
{
	return !row->at.ifindex;
}

/*
 * What has a shared interface take in the solicitations for a mapped IPv6 address: an entry of ours
 * for that address, with which the kernel joins its solicited-node group; or all-multicast, which
 * bears a mark of ours too. See join.h.
 */
struct group_row {
	struct place at;
	struct tn_addr addr; /* unset: all-multicast */
	bool on;	     /* always true of an address; of all-multicast, whether it is set */
};

/* A setting below /proc/sys/net: what it is, or what a router needs it to be. */
struct setting_row {
	struct place at;
	char path[SETTING_PATH];
	long value;
};

/* Rows to be looked up, without reading all. */
struct row_keys {
	VEC(struct tn_addr) shared; /* of by_shared, and of limits */
	VEC(struct tn_fixed_key) fixed;
};

void row_keys_free(struct row_keys *k);
/* Sorted, each once. */
void row_keys_sort(struct row_keys *k);

/* The order in which struct kernel_state has them, by what names a row. */
int place_cmp(const struct place *a, const struct place *b);
int addr_row_cmp(const void *a, const void *b);
int route_row_cmp(const void *a, const void *b);
int group_row_cmp(const void *a, const void *b);
int shared_row_cmp(const void *a, const void *b);
int prefix_row_cmp(const void *a, const void *b);
int fixed_row_cmp(const void *a, const void *b);
int router_row_cmp(const void *a, const void *b);

#endif
