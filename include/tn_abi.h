/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and the loader agree on: the keys and values of the
 * pinned maps. Addresses are in network byte order, everything else is in the
 * byte order of the host. No struct here has hidden padding.
 *
 * TN_ABI changes whenever the meaning or size of anything in this file changes;
 * it is pinned with the maps, and a loader refuses maps of another number. One file, so that one
 * number is for all of it.
 */
#ifndef TN_ABI_H
#define TN_ABI_H

#include <linux/types.h>

#include "tn_reasons.h"

#define TN_ABI 18

/*
 * An IPv6 address, or an IPv4 address as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2:
 * ::ffff:a.b.c.d), so that every table exists once. Network byte order.
 */
struct tn_addr {
	__be32 w[4];
};

/* The largest number of routers on one machine; router ids are 1..TN_ROUTERS_MAX-1. */
#define TN_ROUTERS_MAX 4096
/* The largest number of shared subnets in one definitions file. */
#define TN_SUBNETS_MAX 16
/* The largest number of inside interfaces of one router. */
#define TN_INSIDE_MAX 16
/* The largest number of pools of tenants whose router is elsewhere. */
#define TN_POOLS_MAX 65536
/* The largest number of rows of prefixes: two for each prefix mapping, and two for an exception. */
#define TN_PREFIXES_MAX 65536
/*
 * Flows that the VMs of one router can have open, unless its definition says otherwise, within
 * these bounds; and fragmented datagrams on their way.
 */
#define TN_FLOWS     16384
#define TN_FLOWS_MIN 1024
#define TN_FLOWS_MAX (1U << 22)
#define TN_FRAGMENTS 4096
/*
 * Neighbours that do not answer, of which one router may have the kernel ask for so many new ones a
 * second, and so many at once: the kernel's table is that of all routers.
 */
#define TN_RESOLVE_RATE	 64
#define TN_RESOLVE_BURST 128
/* Bytes of the ring buffer of events. */
#define TN_EVENTS_SIZE (1U << 20)
/* No router of this machine: the mapping's tenant has its router elsewhere. */
#define TN_ROUTER_ELSEWHERE 0

/* What a shared address is: exactly one of the first two. The others are about mappings alone. */
enum tn_shared_flags {
	TN_SHARED_MAPPED = 1U << 0,  /* the shared address of a mapping */
	TN_SHARED_OWN = 1U << 1,     /* an address of the router itself */
	TN_SHARED_JUDGED = 1U << 2,  /* whom it accepts is known here, be it nobody */
	TN_SHARED_NAMED = 1U << 3,   /* there are rows in accepts to this very address */
	TN_SHARED_LIMITED = 1U << 4, /* there is a row in limits */
	TN_SHARED_SENDER = 1U << 5,  /* there are rows in accepts from this very address */
	/* its VM has the MAC address of the row of by_fixed; of such a mapping nothing is cached */
	TN_SHARED_BOUND = 1U << 6,
	/*
	 * The row is of a prefix, whose first address is the key. The address in the row is the
	 * difference (XOR) of both prefixes: it makes the one address of the other. The number of
	 * host bits, never 0, is above TN_PREFIX_BITS.
	 */
	TN_SHARED_PREFIX = 1U << 7,
};
#define TN_PREFIX_BITS 24

/*
 * Map by_shared: shared address -> who has it. Serves DNAT, the answers to ARP
 * and neighbour solicitations, and the identity of a sender. Addresses of
 * routers themselves are in it too, with `fixed` and `slot` zero.
 */
struct tn_shared {
	struct tn_addr fixed; /* the VM's private address; of a prefix the difference */
	__u32 tenant;	      /* tenant id, never 0 */
	__u32 router;	      /* router id, or TN_ROUTER_ELSEWHERE */
	__u32 slot;	      /* of its counters; 0: not counted */
	__u32 flags;	      /* enum tn_shared_flags */
};

/* Map by_fixed: (router, fixed address) -> shared address. Serves SNAT. */
struct tn_fixed_key {
	__u32 router;
	struct tn_addr fixed;
};

struct tn_fixed {
	struct tn_addr shared; /* of a prefix the difference */
	__u32 slot;	       /* this and the rest are the same as in by_shared */
	__u32 flags;	       /* enum tn_shared_flags */
	__u32 tenant;
	__u8 mac[6]; /* of the VM, with TN_SHARED_BOUND */
	__u8 pad[2]; /* zero */
};

/*
 * Map prefixes (LPM), asked when neither by_shared nor by_fixed has the address itself: the first
 * address of the prefix mapping that has it, by which that is in by_shared and by_fixed; unset:
 * none has, it is an exception of one. Prefixes of one side never overlap.
 */
struct tn_prefix_key {
	__u32 len;    /* of the prefix, with the 32 bits of `router` */
	__u32 router; /* 0: of shared addresses; else of the fixed ones of that router */
	struct tn_addr addr;
};
#define TN_PREFIX_LEN(len) (32 + (len)) /* `len` of 128 bits */

/*
 * What a rule of `accept` can tell apart: the kind of packet, and its service. X(ID, "name",
 * protocol): TN_CLASS_<ID>. The service is what the receiving end of a flow is known by: its port;
 * for ICMP the type of the request; for a protocol without either, the protocol's number.
 */
#define TN_CLASSES(X)              \
	X(OTHER, "protocol", 0)    \
	X(TCP, "tcp", 6)           \
	X(UDP, "udp", 17)          \
	X(SCTP, "sctp", 132)       \
	X(DCCP, "dccp", 33)        \
	X(UDPLITE, "udplite", 136) \
	X(ICMP, "icmp", 1)         \
	X(ICMPV6, "icmpv6", 58)

enum tn_class {
#define X(id, name, protocol) TN_CLASS_##id,
	TN_CLASSES(X)
#undef X
		TN_CLASSES_COUNT
};

/*
 * Map accepts: who may open a flow to whom. Of a tenant there are rows for all of its mappings,
 * with `to` unset, and for those that a rule names (TN_SHARED_NAMED); likewise from all mappings of
 * a tenant, and from those that a rule names (TN_SHARED_SENDER). What is in any of the rows that
 * apply is accepted; so their number is bounded, however many rules there are.
 */
struct tn_accept_key {
	/* the shared address of a mapping, the first one of a prefix; unset: all of the tenant */
	struct tn_addr to;
	struct tn_addr sender; /* the same of the sender; unset: all of `from` */
	__u32 tenant;	       /* whose `to` is */
	__u32 from;	       /* the sender's tenant; 0: any tenant, but no stranger */
};

struct tn_accept {
	__u32 rule;  /* that accepts everything; 0: none does */
	__u32 until; /* as in struct tn_service, and so is the next one: of that rule */
	__u32 used;
	__u8 blocks[TN_CLASSES_COUNT]; /* by class: bit i: there are rows in services of shift 4 * i
					*/
};

/*
 * Map services: the rule that accepts a block of 2^shift services, and until when. A rule with an
 * end is kept in no cache: each packet is compared with the clock, so that it ends by itself, and
 * when the clock is set, too. What it has accepted is then an answer for as long as after a rule
 * that is withdrawn: see below.
 */
struct tn_service {
	__u32 rule;  /* never 0 */
	__u32 until; /* CLOCK_TAI, seconds: from then on it accepts nothing; 0: it has no end */
	__u32 used;  /* CLOCK_MONOTONIC, seconds: when a rule with an end accepted last; the
			programs' own */
};

#define TN_SHIFT_STEP 4
#define TN_SHIFT_ALL  16 /* the largest shift: all services of the class */
struct tn_service_key {
	struct tn_accept_key accept;
	__u8 class;  /* enum tn_class */
	__u8 shift;  /* 0, 4, 8, 12, 16 */
	__u16 block; /* service >> shift */
};

/*
 * Map withdrawn (LRU): the rows of services, and those of accepts that accept everything, of rules
 * that are no more; the value is since when (CLOCK_MONOTONIC, seconds). For as long as a flow would
 * live, what a VM sends from such a service is an answer that was accepted, and opens no flow.
 */
#define TN_WITHDRAWN	 16384		  /* rows */
#define TN_WITHDRAWN_ALL TN_CLASSES_COUNT /* class of a row of accepts; shift and block 0 */
#define TN_WITHDRAWN_ANY 0xff /* class: there are rows of `tenant` and `from`; the rest unset */

/*
 * Map pools (LPM): whose an address is that is in no row of by_shared: of a tenant whose router is
 * elsewhere and which has that pool. The value is its id; 0: several tenants claim it.
 */
struct tn_pool_key {
	__u32 len; /* of the prefix, of 128 bits */
	struct tn_addr prefix;
};

/*
 * Map flows, one LRU map a router: what a VM has opened, so that the answers may come in. The value
 * is refreshed by what the VM sends. A flow is the mapping's: a fixed address that gets another
 * mapping, or a mapping that gets another tenant, has opened nothing.
 */
struct tn_flow_key {
	struct tn_addr peer;   /* on the shared network */
	struct tn_addr fixed;  /* the VM, */
	struct tn_addr shared; /* and its mapping */
	__u16 service;	       /* of the peer: see TN_CLASSES */
	__u16 port;	       /* the VM's own; the identifier of an ICMP request */
	__u8 proto;	       /* number of the protocol */
	__u8 pad[3];	       /* zero */
};

struct tn_flow {
	__u32 expires; /* CLOCK_MONOTONIC, seconds */
	__u32 flags;   /* enum tn_flow_flags */
	__u32 tenant;  /* of the peer; 0: a stranger. When its address changes hands, this has ended
			*/
	__u32 owner;   /* the VM's tenant; the same holds for it */
};

enum tn_flow_flags {
	TN_FLOW_CLOSING = 1U << 0, /* TCP: the VM has sent FIN or RST */
};

/* The longest time of grace after a takeover, in seconds. */
#define TN_GRACE_MAX 60

/* How long a flow is kept without a packet of the VM, in seconds. */
#define TN_FLOW_TCP	  7440 /* RFC 5382, REQ-5: 2 hours 4 minutes */
#define TN_FLOW_TCP_BRIEF 240  /* the same: opening and closing, 4 minutes */
#define TN_FLOW_UDP	  300  /* RFC 4787, REQ-5: 5 minutes by default */
#define TN_FLOW_ICMP	  60   /* RFC 5508, REQ-2 */
#define TN_FLOW_OTHER	  600

/*
 * Map fragments, one LRU map a router: datagrams whose first fragment was accepted, so that the
 * others may follow. Addresses as on the shared network.
 */
struct tn_fragment_key {
	struct tn_addr src;
	struct tn_addr dst;
	__u32 id;    /* of the IP header or the fragment header, as it lies there */
	__u8 proto;  /* of IPv4; IPv6 knows the pieces of a datagram without it (RFC 8200, 4.5) */
	__u8 pad[3]; /* zero */
};

struct tn_fragment {
	__u32 expires; /* CLOCK_MONOTONIC, seconds */
	__u32 rule;    /* that accepted the first one; 0: it was of a flow */
	/* Bytes of the datagram that were judged: what belongs before that may not come again. */
	__u32 judged;
};
#define TN_FRAGMENT_LIFE 30 /* as long as Linux waits for the others (ipfrag_time) */

/*
 * Map table_seq, one element, 64 bits: goes up when the other tables change, so that what was kept
 * of them elsewhere is void. It is odd while they do: then nothing is kept, or believed.
 */

/*
 * Map pairs, by CPU * TN_PAIRS + what kind of pair it is and a hash of the ends: what is to become
 * of packets between a VM and its peer, as it was found a moment ago. Of the tables of this machine
 * it holds as long as `table_seq` stays what it is; of the kernel's routes and neighbours for
 * TN_CACHE_LIFE: by asking again, changes take effect, and the kernel sees to its neighbours.
 */
#define TN_PAIRS_BITS 12 /* of the hash */
#define TN_PAIRS      (3U << TN_PAIRS_BITS)
#define TN_CACHE_LIFE 100 /* milliseconds */
#define TN_PAIR_KIND  30  /* bits below the kind */
#define TN_PAIR_IN    0U
#define TN_PAIR_OUT   (1U << TN_PAIR_KIND) /* from the VM to the shared network */
#define TN_PAIR_PASS  (2U << TN_PAIR_KIND) /* the same, into the stack as they are */
#define TN_PAIR_V4    (1U << 29)	   /* both ends have IPv4 addresses */
#define TN_PAIR_XDP   (1U << 28)	   /* XDP can send there itself */
#define TN_PAIR_PAST  (1U << 27)	   /* past the stack */

/* One line of the cache, and all that an IPv4 packet takes. Of addresses the last words: */
struct tn_pair {
	__be32 peer;	/* of the other end, on the shared network, */
	__be32 vm;	/* of the VM, as packets have it when they come, */
	__be32 now;	/* and what replaces that */
	__u32 whose;	/* the VM's router | TN_PAIR_… */
	__u64 expires;	/* in ticks of the kernel (jiffies); 0: not known */
	__u8 sender[6]; /* the MAC address that they come from */
	__u8 macs[12];	/* destination and source of the frame that goes on; else bpf/'s own */
	__u16 mtu;	/* of the route, in bytes of IP packets */
	__u32 seq;	/* `table_seq` as it was, its last 32 bits, for the rest: */
	__u32 rule;	/* that accepted the last packet; 0: none did */
	__u32 service;	/* whom it accepted: class << 16 | service, or TN_SERVICE_ANY */
	__u32 record;	/* where it is counted, in counters */
	/*
	 * Index of the interface where they go on, 0: by the stack; of what the VM sends, of that
	 * where it comes in: from there it goes on by the shared one
	 */
	__u32 link;
};

/* Map pairs_v6, as pairs: of IPv6 addresses the words before the last one. */
struct tn_pair_v6 {
	__be32 peer[3];
	__be32 vm[3];
	__be32 now[3];
	__u32 pad[7]; /* to a whole line */
};
#define TN_SERVICE_ANY 0xffffffffU /* it accepts all of them */

/*
 * Map limits, by shared address, of a prefix the first one: what a mapping may carry, in each
 * direction for itself. A bucket is a point in time (the generic cell rate algorithm, ITU-T I.371):
 * when it would be empty again.
 */
struct tn_limit {
	__u64 rate;	    /* bytes of IP packets a second; 0: no limit */
	__u64 burst;	    /* bytes that may come at once */
	__u64 packets;	    /* a second; 0: no limit */
	__u64 packet_burst; /* packets that may come at once */
	__u64 bytes_at[2];  /* in, out; CLOCK_MONOTONIC, nanoseconds; the programs' own */
	__u64 packets_at[2];
};

/*
 * What a mapping has carried: packets as they are on the wire (a GSO frame counts its segments),
 * bytes of the IP packet. `in` is from the shared network to the VM.
 */
struct tn_counters {
	__u64 in_packets;
	__u64 in_bytes;
	__u64 out_packets;
	__u64 out_bytes;
};

/*
 * Map hops, by CPU * TN_HOPS + the end of the next hop's address and a hash of the rest: the route
 * to it, as the kernel said a moment ago. Many VMs can have the same one.
 */
#define TN_HOPS_BITS 12
#define TN_HOPS	     (1U << TN_HOPS_BITS)

/* One line of the cache */
struct tn_hop {
	__u64 expires;	  /* as in struct tn_pair */
	__u32 generation; /* how many have had the place, with this one; 0: nobody has */
	__u32 router;	  /* who asked, */
	__u32 link;	  /* index of the interface, */
	__be32 gateway;	  /* the address, of a gateway or of the VM itself, */
	__u16 mtu; /* and of the route, in bytes of IP packets: with another it is another hop */
	__u8 macs[12]; /* destination and source of the frame that goes on */
	__u8 xdp;      /* 1: XDP can send there itself */
	__u8 pad1;
	__u64 src_valid_until; /* as expires, for what comes from there, which keeps no neighbour
				  alive */
	__u8 pad[16];	       /* to a whole line */
};

/*
 * What the rows of by_shared and by_fixed say of an IPv4 mapping, and the kernel of the route to
 * its VM.
 */
struct tn_cached {
	__u64 found; /* `table_seq` when it was looked up << TN_CACHED_ROUTER | its router */
	__be32 shared;
	__be32 fixed;
	__u32 tenant;
	__u32 route_gen;  /* the generation of the kernel's routes when it was asked; 0: it was not
			   */
	__u32 generation; /* of the place in hops where its answer is, */
	__u16 hop;	  /* and which place, without the CPU's part */
	__u8 flags;	  /* enum tn_shared_flags, and TN_CACHED_… */
	__u8 pad;	  /* zero */
};
#define TN_CACHED_ROUTER 16	   /* bits */
#define TN_CACHED_IN	 (1U << 6) /* the row of by_shared says so, */
#define TN_CACHED_OUT	 (1U << 7) /* that of by_fixed */

/*
 * Map slots, by the end of a fixed address and a hash of its router (TN_SLOTS_OWN of them): the
 * slot of that mapping, or of one with the same place; what is cached there says whose it is.
 */

/*
 * Map peers, per CPU, by a hash of router and address: an IPv4 end on the shared network, what
 * accepts it at all mappings of a tenant that no rule names, and the next hop to it.
 */
struct tn_peer {
	__u64 seq;     /* as in struct tn_pair: of tenant, service, rule; 0: nothing does */
	__u64 expires; /* the same, of mac: whose MAC address a gateway's is, the kernel says */
	__be32 peer;
	__u32 router;
	__u32 tenant;  /* the VM's */
	__u32 service; /* as in struct tn_pair, and so is the */
	__u32 rule;
	__u32 seen; /* the generation of the kernel's routes when it has sent */
	__u8 mac[6];
	__u16 guess;	  /* a place in hops: by which the last packet of it went, perhaps */
	__u32 ingress;	  /* of what goes there: the kernel may not forward from every interface */
	__u32 route_gen;  /* this and the rest are as in struct tn_cached */
	__u32 generation; /* 0: there is no hop */
	__u16 hop;
	__u16 pad; /* zero */
};
#define TN_PEERS_BITS 10 /* of the hash */
/* Milliseconds for which a route is believed at the most, though its generation be the same */
#define TN_ROUTE_GEN_LIFE 86400000
#define TN_ROUTE_GEN_SPREAD \
	4 /* log2 of the ticks from the end of one mapping's to the next one's */

/*
 * Map counters, by CPU * capacity (struct tn_config) + slot: of a mapping, what it has carried by
 * that CPU, and what programs there know of it. Both are in one line of the cache, to wait for
 * which is most of what a packet for a mapping at random takes. Where it is found, too, without a
 * look at anything else: a mapping has the slot that is the end of its shared address, if that is
 * free (TN_SLOTS_OWN).
 */
struct tn_record {
	struct tn_counters counters;
	struct tn_cached cached; /* the programs' own */
};
/* Slots below this of so many are those by address: so many bits of it; the others are in turn. */
#define TN_SLOTS_OWN(capacity) ((capacity) / 2)

/* Map hits, per CPU, by rule id: packets that the rule accepted, and answers to them. */

/* Map drops, per CPU, by router id. */
struct tn_drops {
	__u64 packets[TN_REASONS_MAX]; /* dropped for each reason */
	__u64 flows_opened;	       /* entries made in flows */
	__u64 events_lost;	       /* that found no room in the ring buffer, or were too many */
};

/* Which program judged a packet. X(ID, "what it is called") */
#define TN_PROGRAMS(X)                 \
	X(XDP_SHARED_IN, "shared xdp") \
	X(TC_SHARED_IN, "shared in")   \
	X(TC_SHARED_OUT, "shared out") \
	X(TC_INSIDE_IN, "inside in")   \
	X(TC_INSIDE_OUT, "inside out")

enum tn_program {
#define X(id, name) TN_PROGRAM_##id,
	TN_PROGRAMS(X)
#undef X
		TN_PROGRAMS_COUNT
};

/* Map watch, one element: which events somebody wants to see at the moment. */
struct tn_watch {
	__u64 expires; /* CLOCK_MONOTONIC, nanoseconds; 0 or past: nobody looks */
	__u64 reasons; /* drops for these, bit TN_DROP_<ID> */
	__u32 router;  /* of this router; 0: of all */
	__u32 sample;  /* and one in so many packets that pass translated; 0: none */
	__u32 rate;    /* events a second and CPU at most; the rest is counted as lost */
	__u32 pad;
	/* besides, whatever packet has these addresses, as they are on arrival; unset: none */
	struct tn_addr trace_src;
	struct tn_addr trace_dst;
};

/* Bytes of a frame that an event brings along. */
#define TN_EVENT_HEAD 164

/* What ring buffer `events` holds. Addresses and ports are those before the translation. */
struct tn_event {
	__u64 at; /* CLOCK_MONOTONIC, nanoseconds */
	__u32 router;
	__u32 ifindex;
	__u32 rule;	/* that accepted it, or has ended; 0: none, or a flow */
	__u32 len;	/* of the frame */
	__u16 head_len; /* bytes in `head` */
	__u16 sport;	/* host byte order; as in TN_CLASSES for ICMP */
	__u16 dport;
	__u8 program; /* enum tn_program */
	__u8 verdict; /* enum tn_event_verdict */
	__u8 reason;  /* enum tn_reason, of a drop */
	__u8 proto;
	__u8 flow;	     /* 1: it was accepted as part of a flow that the VM opened */
	__u8 later_fragment; /* 1: a fragment without ports */
	struct tn_addr src;
	struct tn_addr dst;
	struct tn_addr now; /* what replaced src (outbound) or dst (inbound); unset: nothing */
	__u8 head[TN_EVENT_HEAD];
};

enum tn_event_verdict {
	TN_EVENT_PASS, /* left as it was */
	TN_EVENT_DROP,
	TN_EVENT_TRANSLATED,
	TN_EVENT_TURNED, /* translated, and into the shared interface again: hairpin */
	TN_EVENT_HELD,	 /* until the kernel knows who has sent it */
};

/*
 * The programs of all routers. What is attached is a stub of one router: it writes the router's id
 * into `scratches` and calls the program that judges (a tail call). So there is one place in
 * `programs_tc` for each tc program and forwarding mode, and in `programs_xdp` for each kind of
 * XDP.
 */
#define TN_TC_PROGRAMS 4 /* shared_in, shared_out, inside_in, inside_out */
enum tn_variant {
	TN_VARIANT_TC_STACK,
	TN_VARIANT_TC_FAST,
	TN_VARIANT_XDP_GUARD, /* drops, and leaves all translation to tc */
	TN_VARIANT_XDP_STACK,
	TN_VARIANT_XDP_FAST,
	TN_VARIANT_XDP_VETH, /* the same on a veth: see bpf/veth.h */
	TN_VARIANTS
};
#define TN_TC_PLACES  (TN_TC_PROGRAMS * 2)
#define TN_XDP_PLACES (TN_VARIANTS - TN_VARIANT_XDP_GUARD)

/*
 * Map scratches, per CPU, one element: what stub and program, and later builds of either, agree on
 * is the router. The rest is the program's alone, from one packet to the next.
 */
#define TN_SCRATCH_SIZE 2048
struct tn_scratch {
	__u32 router;
	__u8 room[TN_SCRATCH_SIZE - 4];
};

/* Map config, one element: what all routers have in common. */
struct tn_subnet {
	struct tn_addr prefix;
	struct tn_addr mask;
};

struct tn_config {
	__u32 abi;	/* TN_ABI */
	__u32 capacity; /* mappings that the maps were made for */
	__u32 nsubnets;
	__u32 rules; /* rules and services that the maps were made for */
	/*
	 * The loader's own: counters from the first slot on and below the second are nobody's. None
	 * while a change is under way, and after one whose process ended.
	 */
	__u32 free_from;
	__u32 free_to;
	/* also the loader's: which build of the programs is in the places of a variant; 0: none */
	__u64 builds[TN_VARIANTS];
	struct tn_subnet subnets[TN_SUBNETS_MAX];
};

/*
 * Map routers, by router id: what is attached to which router. The loader's own
 * memory; the programs do not read it.
 */
struct tn_router {
	__u8 mac[6];	 /* of the shared interface: the one given out in ARP and ND */
	__u8 hook;	 /* enum hook of the loader: what was asked for */
	__u8 via;	 /* the same: what it came to */
	__u32 ifindex;	 /* of the shared interface, in the router's namespace */
	__u32 flags;	 /* enum tn_router_flags */
	__u64 netns_dev; /* st_dev and st_ino of the namespace */
	__u64 netns_ino;
	__u64 build;		     /* which build of the stubs is attached; 0: not finished */
	char tenant[64];	     /* the tenant's name, NUL-terminated */
	__u32 inside[TN_INSIDE_MAX]; /* inside interfaces, by index; 0: no more */
	/* bit i: the frames of inside[i] begin with the IP header; TN_VRF << i: it is a VRF */
	__u32 raw;
	__u32 flows;		   /* entries of its map of flows; 0: TN_FLOWS */
	__u32 grace;		   /* as in struct tn_router_port */
	__u32 pad;		   /* zero */
	__u32 xmit[TN_INSIDE_MAX]; /* those that XDP can send to; 0: no more */
	struct tn_addr own[2];	   /* of the router itself, IPv4 and IPv6; zero: none */
};

/*
 * Map router_ports, an array by router id: where the router is on the shared network and inside.
 * The programs are the same for all routers, and read here which one they judge for. By the MAC
 * address the others know its frames; zero: there is no such router.
 */
struct tn_self {
	__u32 router;  /* its id; 0: there is no such router */
	__u32 ifindex; /* of the shared interface */
	__u32 flags;   /* enum tn_port_flags */
	__u32 raw;     /* as in struct tn_router, and so are the rest below */
};

struct tn_router_port {
	__u8 mac[6];
	/*
	 * Seconds since it has become active by its address, in which TCP that goes on is let in
	 * from every tenant: see bpf/active.h; 0: none
	 */
	__u16 grace;
	struct tn_self self;
	__u32 inside[TN_INSIDE_MAX];
	__u32 xmit[TN_INSIDE_MAX];
	struct tn_addr own[2];
};

enum tn_port_flags {
	TN_PORT_LOOSE = 1U << 0,    /* VMs and other routers may send from anywhere */
	TN_PORT_FEASIBLE = 1U << 1, /* VMs by the same interface, from any MAC address */
	TN_PORT_GUARDS = 1U << 2,   /* its XDP program only drops: it has translated nothing */
	/* it forwards while its shared interface has its own address: */
	TN_PORT_BY_ADDRESS = 1U << 3,
	TN_PORT_NEEDS_V4 = 1U << 4, /* own[0], */
	TN_PORT_NEEDS_V6 = 1U << 5, /* own[1]; with neither, any in the shared subnets */
	TN_PORT_STANDBY = 1U << 6,  /* the programs' own, and in no map: it has none now */
	TN_PORT_BINDS = 1U << 7,    /* there are mappings with TN_SHARED_BOUND */
	TN_PORT_ELECTED = 1U << 8,  /* with TN_PORT_BY_ADDRESS: and only until `elected` says */
};

/*
 * A VRF whose members are inside interfaces: the kernel says that it is what their packets came in
 * by. Nothing is attached to it, and nothing may be sent to it.
 */
#define TN_VRF (1U << TN_INSIDE_MAX)

enum tn_router_flags {
	TN_ROUTER_CLSACT = 1U << 0,   /* the tc programs are filters of clsact qdiscs */
	TN_ROUTER_LOOSE = 1U << 1,    /* VMs may send from elsewhere than where answers go */
	TN_ROUTER_FAST = 1U << 2,     /* packets go past the stack */
	TN_ROUTER_RULED = 1U << 3,    /* they do not, because netfilter has rules for them */
	TN_ROUTER_IPSEC = 1U << 4,    /* the same, because IPsec has policies */
	TN_ROUTER_VETH = 1U << 5,     /* the shared interface is a veth */
	TN_ROUTER_FEASIBLE = 1U << 6, /* VMs may send from any MAC address */
	/* no stub, but the program itself is the XDP program: libxdp's dispatcher takes no stub */
	TN_ROUTER_XDP_WHOLE = 1U << 7,
	/* from here on: which of those we created; the shared interface, then inside[0] and so on
	 */
	TN_ROUTER_CLSACT_OURS = 1U << 8, /* to 1U << 24 */
	TN_ROUTER_ELECTED = 1U << 27,
	TN_ROUTER_BY_ADDRESS = 1U << 28, /* as in enum tn_port_flags, and so are these */
	TN_ROUTER_NEEDS_V4 = 1U << 29,
	TN_ROUTER_NEEDS_V6 = 1U << 30,
	TN_ROUTER_BINDS = 1U << 31,
};

/*
 * What the XDP program leaves in a frame's metadata for the tc program behind
 * it: translated already, for this router. Nothing on the wire
 * can put it there.
 */
struct tn_meta {
	__u32 magic; /* TN_META_MAGIC */
	__u32 router;
};
#define TN_META_MAGIC 0x746e6174U

/*
 * The mark (skb->mark) of a frame that one of this router's VMs sends to another by
 * its shared address, on its way from the inside to the shared interface. It is
 * taken off there; nothing on the wire can put it on.
 */
#define TN_HAIRPIN_MARK 0x746e6870U
#define TN_FORWARD_MARK 0x746e6677U
/*
 * And of a frame whose sender the kernel does not know: it waits in the kernel's queue for that
 * neighbour, and is looked at again when it comes out there. The lower half of the mark and the
 * priority are the MAC address that it came from.
 */
#define TN_HELD_MARK 0x7468U

#define TN_ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " changed: see TN_ABI")
TN_ABI_SIZE(struct tn_addr, 16);
TN_ABI_SIZE(struct tn_shared, 32);
TN_ABI_SIZE(struct tn_fixed_key, 20);
TN_ABI_SIZE(struct tn_fixed, 36);
TN_ABI_SIZE(struct tn_prefix_key, 24);
TN_ABI_SIZE(struct tn_counters, 32);
TN_ABI_SIZE(struct tn_hop, 64);
TN_ABI_SIZE(struct tn_cached, 32);
TN_ABI_SIZE(struct tn_peer, 64);
TN_ABI_SIZE(struct tn_record, 64);
TN_ABI_SIZE(struct tn_accept_key, 40);
TN_ABI_SIZE(struct tn_accept, 12 + TN_CLASSES_COUNT);
TN_ABI_SIZE(struct tn_service, 12);
TN_ABI_SIZE(struct tn_service_key, 44);
TN_ABI_SIZE(struct tn_pool_key, 20);
TN_ABI_SIZE(struct tn_flow_key, 56);
TN_ABI_SIZE(struct tn_flow, 16);
TN_ABI_SIZE(struct tn_fragment_key, 40);
TN_ABI_SIZE(struct tn_fragment, 12);
TN_ABI_SIZE(struct tn_pair, 64);
TN_ABI_SIZE(struct tn_pair_v6, 64);
TN_ABI_SIZE(struct tn_limit, 64);
TN_ABI_SIZE(struct tn_drops, 8 * TN_REASONS_MAX + 16);
TN_ABI_SIZE(struct tn_watch, 64);
TN_ABI_SIZE(struct tn_event, 84 + TN_EVENT_HEAD);
TN_ABI_SIZE(struct tn_config, 24 + 8 * TN_VARIANTS + 32 * TN_SUBNETS_MAX);
TN_ABI_SIZE(struct tn_router, 152 + 2 * 4 * TN_INSIDE_MAX);
TN_ABI_SIZE(struct tn_router_port, 56 + 2 * 4 * TN_INSIDE_MAX);
TN_ABI_SIZE(struct tn_scratch, TN_SCRATCH_SIZE);
TN_ABI_SIZE(struct tn_meta, 8);

#endif
