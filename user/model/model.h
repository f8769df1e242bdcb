/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The domain: shared network, tenants, routers, mappings. One model for the
 * definitions file, for state.db and for the plan; the only structs that
 * decisions and effects have in common.
 */
#ifndef TN_MODEL_H
#define TN_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/error.h"
#include "lib/util.h"

/* X(ID, "name"): which hook translates what arrives at the shared interface. */
#define HOOKS(X)        \
	X(AUTO, "auto") \
	X(TC, "tc")     \
	X(XDP, "xdp")   \
	X(XDP_GENERIC, "xdp-generic")

enum hook {
#define X(id, name) HOOK_##id,
	HOOKS(X)
#undef X
		HOOKS_COUNT
};

const char *hook_name(enum hook hook);
/* False when no hook has that name. */
bool hook_parse(const char *name, enum hook *out);

/*
 * X(ID, "name"): what VMs may send to the shared subnets. Strict: only what comes by the interface
 * and from the MAC address to which the answer would go. Feasible: by that interface, from any MAC
 * address. Loose: not checked.
 */
#define SOURCES(X)              \
	X(STRICT, "strict")     \
	X(FEASIBLE, "feasible") \
	X(LOOSE, "loose")

enum sources {
#define X(id, name) SOURCES_##id,
	SOURCES(X)
#undef X
		SOURCES_COUNT
};

const char *sources_name(enum sources sources);
bool sources_parse(const char *name, enum sources *out);

/*
 * X(ID, "name"): how packets that need no more than translation go on. Fast: past the stack, and
 * so past netfilter and IPsec policies. Auto: fast, unless netfilter has rules for them.
 */
#define FORWARDINGS(X)  \
	X(AUTO, "auto") \
	X(FAST, "fast") \
	X(STACK, "stack")

enum forwarding {
#define X(id, name) FORWARDING_##id,
	FORWARDINGS(X)
#undef X
		FORWARDINGS_COUNT
};

const char *forwarding_name(enum forwarding forwarding);
bool forwarding_parse(const char *name, enum forwarding *out);

/*
 * X(ID, "name"): when a router forwards. Always; or while its shared interface has its own address,
 * which somebody else gives to one of the hosts that have the router, and takes away again; or the
 * same, and the agents of a cluster are the ones who do that.
 */
#define ACTIVES(X)            \
	X(ALWAYS, "always")   \
	X(ADDRESS, "address") \
	X(ELECTED, "elected")

enum active {
#define X(id, name) ACTIVE_##id,
	ACTIVES(X)
#undef X
		ACTIVES_COUNT
};

const char *active_name(enum active active);
bool active_parse(const char *name, enum active *out);

/* A place in the definitions file, from 1; line 0: not from a file. */
struct pos {
	uint32_t line;
	uint32_t col;
};

/* What a mapping may carry, in each direction for itself. Zero: no limit. */
struct limit {
	uint64_t rate;	  /* bytes of IP packets a second */
	uint64_t burst;	  /* bytes at once; set whenever `rate` is */
	uint64_t packets; /* packets a second */
};

/*
 * What a bucket holds, in milliseconds of its rate. A stream of TCP that has emptied it loses
 * nearly all that is under way, and often sends again only after its retransmission time-out,
 * which is 200 ms and the round trip at the least on Linux (TCP_RTO_MIN). A bucket that is full
 * before then loses what the rate would have let through meanwhile. A fast stream over a distance
 * loses more: it is below the rate for seconds after a loss. docs/limits.md has the measurements.
 */
#define LIMIT_BURST_MS	     1000 /* when the file does not say */
#define LIMIT_BURST_LEAST_MS 300  /* what the file may say up to that rate; beyond, the default */
#define LIMIT_BURST_LEAST_TO ((uint64_t)1000000000 / 8)

/* However low the rate is: a GSO frame of 64 KiB, or of 128 segments, fits. */
#define LIMIT_BURST_FLOOR  ((uint64_t)128 << 10)
#define PACKET_BURST_FLOOR 128
/* However high the rate is: the programs count burst * 10^9 in 64 bits. */
#define LIMIT_BURST_MAX ((uint64_t)16 << 30)

/* Bytes, of a rate in bytes a second. */
uint64_t limit_burst_default(uint64_t rate);
uint64_t limit_burst_least(uint64_t rate);
/* Packets, of a number of packets a second; 0 for 0. */
uint64_t limit_packet_burst(uint64_t packets);

#define LIMIT_RATE_MAX	  125000000000 /* 1 Tbit/s */
#define LIMIT_PACKETS_MAX 1000000000

struct addr_list {
	VEC(struct tn_addr) list;
};

/* Of one address, or of a prefix (`bits`): see prefixes.h. */
struct mapping {
	char *name;	       /* NULL: none */
	struct tn_addr fixed;  /* the VM's private address; of a prefix the first one */
	struct tn_addr shared; /* the same; unset: to be allocated */
	bool pinned;	       /* `shared` was given by the user, not by the allocator */
	uint8_t bits;	       /* host bits of either prefix; 0: it is of one address */
	uint8_t mac[6];	       /* of the VM, and of no other one; unset: whoever has `fixed` */
	struct addr_list
		*except; /* fixed addresses that the prefix does not have; sorted; or NULL */
	struct limit limit;
	struct pos pos;
};

/* Ports of a protocol, types of ICMP requests, or protocols: see TN_CLASSES. Both ends count. */
struct service {
	uint8_t class; /* enum tn_class */
	uint16_t first;
	uint16_t last;
};

#define TENANT_NAME_MAX 63 /* of a mapping's, too */

/* One rule of `accept`: who may open a flow to a tenant, to which mappings, for what. */
struct rule {
	uint32_t id;	  /* from 1, of no other rule; 0: not yet given */
	bool any;	  /* from "*": every tenant of the definitions */
	VEC(char *) from; /* see sender_parse(); empty with `any` */
	VEC(char *) to;	  /* names or fixed addresses of mappings; empty: all of the tenant */
	VEC(struct service) services; /* in the order of the file; empty: everything */
	uint32_t until;		      /* when it ends: see until.h; 0: not at all */
	struct pos pos;
};

/* Who an entry of `from` names: all of a tenant, TENANT, or a mapping of it, TENANT/MAPPING. */
struct sender {
	char tenant[TENANT_NAME_MAX + 1];
	const char *mapping; /* its name or fixed address, in the text; NULL: all of the tenant */
};

/* False when either name cannot be one. The text is borrowed. */
bool sender_parse(const char *text, struct sender *out);

/* An address of a router itself in the shared subnets, that it has by the definitions. */
struct own_address {
	struct tn_addr addr; /* unset: none; the interface brings its own */
	bool pinned;	     /* given by the user with `address`, not leased */
	bool wanted;	     /* ipam_assign() is to provide it; not stored */
};

/* What is behind a gateway: a part of the shared subnets, or what is inside. */
struct route {
	struct prefix to;
	struct tn_addr via; /* an address on this side of it, outside of `to` */
};

struct router {
	/*
	 * 1..TN_ROUTERS_MAX-1; of one that is elsewhere, from TN_ROUTERS_MAX on; 0: not yet given
	 */
	uint32_t id;
	VEC(char *) hosts;  /* that have it; empty: whichever host has the definitions */
	enum active active; /* see active_default() for what is left out */
	uint32_t grace;	    /* seconds after it has become active by its address; 0: none */
	char *netns;	    /* a name under /run/netns or an absolute path; NULL: our own */
	char *shared;	    /* the shared interface; NULL: to be found */
	VEC(char *) inside; /* names and patterns of interfaces; empty: see iface_inside() */
	enum hook hook;
	enum sources sources;
	enum forwarding forwarding;
	uint32_t flows; /* that its VMs can have open; TN_FLOWS_MIN..TN_FLOWS_MAX */
	struct own_address own[FAMILIES];
	VEC(struct route) routes; /* in the order of the file */
	/* What is behind a gateway inside: `via` is in the subnet of an inside interface. */
	VEC(struct route) inside_routes; /* in the order of the file */
	bool detached;			 /* taken off with `detach`, until the next apply */
	/*
	 * Passed over by a change that was partial, in favour of the others: whoever tries again
	 * makes the probes, and gives it an address.
	 */
	bool passed_over;
	struct pos pos;
};

/* Of a router with so many hosts, when the file does not say. */
enum active active_default(size_t hosts);

/* Whether an entry of `inside` is a pattern (fnmatch(3) without flags), and not a name. */
bool inside_is_pattern(const char *entry);

struct tenant {
	uint32_t id; /* from 1; 0: not yet given */
	char *name;
	struct router *router;	  /* NULL: on another host */
	struct router *remote;	  /* what the file says of that one: see model_locate() */
	VEC(struct prefix) pools; /* empty: all of the shared subnets */
	VEC(struct mapping) mappings;
	bool has_accept; /* `accept` was given, be it empty; without it, nobody is accepted */
	VEC(struct rule) accept; /* in the order of the file */
	struct pos pos;
};

struct model {
	char *file; /* where the definitions were read from last; NULL: not from a file */
	VEC(struct prefix) subnets;
	char *zone; /* of names in DNS, in lower case (model/dns.h); NULL: none are made */
	VEC(struct tenant) tenants;
};

/* One of which a file says nothing. The caller's to free. */
struct router *router_new(void);

/* Every struct owns what it points to. */
void model_free(struct model *m);
void tenant_clear(struct tenant *t);
void mapping_clear(struct mapping *m);
void rule_clear(struct rule *r);
#define _cleanup_model_ _cleanup_(model_free)

/* Whether both say the same to a user: not ids, nor what was leased. Either may be NULL. */
bool router_same(const struct router *a, const struct router *b);

/* Whether both say the same, in any order; not their ids and places. */
bool rule_same(const struct rule *a, const struct rule *b);

/* The inside route that an address is in, the narrowest; NULL: none. */
const struct route *router_inside_route(const struct router *r, const struct tn_addr *a);

/* By the definitions, whichever host has it; NULL: they say nothing of it. */
struct router *tenant_router(const struct tenant *t);

/*
 * Tell routers of this host, which is called `host`, from those of others: a router that is not on
 * this host is `remote`, and no `router`. NULL: all are `router`, as after config_parse().
 */
void model_locate(struct model *m, const char *host);

/* "hv1, hv2"; NULL: it names none. The caller's to free. */
char *router_hosts_text(const struct router *r);

/* The zone of `had`, where `will` is made of what knows nothing of zones. */
void model_keep_zone(struct model *will, const struct model *had);

/* Without ids, and addresses that were not pinned: as they are in a file. */
void model_forget_given(struct model *m);

/* NULL when there is none. */
struct tenant *model_tenant(struct model *m, const char *name);
/* The same; the tenants are sorted (model_sort). */
struct tenant *model_tenant_sorted(struct model *m, const char *name);
/* NULL when there is none; the mappings are sorted (model_sort). */
struct mapping *tenant_mapping(struct tenant *t, const struct tn_addr *fixed);

/* Tenants by name, the mappings of each by fixed address: the order of every listing and
 * comparison. */
void model_sort(struct model *m);
/* The mappings of one. */
void tenant_sort(struct tenant *t);

/* Whether the address is in one of the shared subnets. */
bool model_shares(const struct model *m, const struct tn_addr *a);
/* The shared subnet that the address is in; NULL: none. */
const struct prefix *model_subnet(const struct model *m, const struct tn_addr *a);

/*
 * Whether the file forgets to say who may reach the VMs of a router in it: `accept: []` says that
 * nobody may. One whose router is in another file is judged by that.
 */
bool tenant_lacks_accept(const struct tenant *t);

/*
 * Whether two mappings of one fixed address are of one VM, as far as they say, or of one prefix:
 * else what the first was given is not the other's.
 */
bool mapping_is_same(const struct mapping *a, const struct mapping *b);

/* Whether the tenant has mappings of that family (IPV4, IPV6). */
bool tenant_maps(const struct tenant *t, int family);
/* Whether it has some with a MAC address. */
bool tenant_binds(const struct tenant *t);

/*
 * So many mapped IPv6 addresses of a router each have an entry that makes the kernel join their
 * group: 256 take 4 ms in the kernel, 0.1 s in all. Each walks the list of those before it, and so
 * does each multicast packet that the kernel sees: 16,384 take a second there. Switches have room
 * for a few thousand in all. With more mappings, or a prefix, the interface takes in all multicast
 * frames.
 */
#define GROUPS_MAX 256

/* valid.c: what may be in a model. */

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62}, and no IP address */
bool tenant_name_valid(const char *name);
/* the same */
bool mapping_name_valid(const char *name);
/* Whether there is a control character in it, which no name may have. */
bool has_control(const char *text);
#define INTERFACE_NAME_MAX 15
/* As dev_valid_name() of the kernel, and without control characters. */
bool interface_name_valid(const char *name);
#define HOST_NAME_MAX_LEN 63
/* [A-Za-z0-9][A-Za-z0-9.-]{0,62} */
bool host_name_valid(const char *name);
#define PATTERN_MAX 63
/* Whether a bracket is left open: fnmatch() takes it as a letter, and the user means a set. */
bool pattern_is_open(const char *pattern);
/* Whether an entry of `inside` may be that pattern. */
bool pattern_valid(const char *pattern);
/* A name under /run/netns, or an absolute path. */
bool netns_valid(const char *spec);
/* Whether a mapping may have the limit. */
bool limit_valid(const struct limit *l);
/* Whether the route leads to a part of a shared subnet, by a gateway of that one's family. */
bool route_valid(const struct model *m, const struct route *r);
/* Whether it leads to what can be inside, by a gateway that can be there. */
bool inside_route_valid(const struct model *m, const struct route *r);

/* The largest id that this program gives: it takes the smallest that is free. */
#define MODEL_ID_MAX (1U << 24)

#define MODEL_FAULT 256
/*
 * What is wrong with a model that config_parse() has not checked, such as one from state.db, for
 * people: "tenant red: a pool of it is in no shared subnet". NULL: nothing. It may be in `buf`. The
 * tenants are sorted.
 */
const char *model_fault(const struct model *m, char buf[MODEL_FAULT]);

/* Whether it is in the tenant's pool; without a pool, in any shared subnet. */
bool tenant_may_have(const struct model *m, const struct tenant *t, const struct tn_addr *shared);
/* The same of all of a mapping's. */
bool tenant_may_have_all(const struct model *m, const struct tenant *t,
			 const struct mapping *mapping);

/*
 * Whether the mapping can be added to tenant `t` of the model: families, ranges and
 * duplicates. -1 with a usage error.
 */
int model_check_mapping(const struct model *m, const struct tenant *t, const struct mapping *added,
			struct error *err);

#endif
