/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real programs, unpinned, with maps of their own, in a network namespace of
 * the test's own: packets go in by BPF_PROG_TEST_RUN, and what comes out, what was
 * counted and why it was dropped is compared with what was to be.
 */
#ifndef TN_TEST_HARNESS_H
#define TN_TEST_HARNESS_H

#include <criterion/criterion.h>

#include "fixture.h"
#include "lib/util.h"

struct lab;

struct lab_options {
	enum lab_router router; /* whose programs; default RED */
	unsigned int programs;	/* ON_…: only these; 0: every one of the object */
	bool guards_only;	/* tn_xdp_guards_only, TN_PORT_GUARDS */
	bool by_stubs;		/* programs of all routers: a stub says which one */
	bool as_prefixes;	/* instead of mappings of VMs prefixes, which have these in them */
	bool bare;		/* no mappings but those of lab_map(): for random ones */
	bool loose;		/* TN_PORT_LOOSE */
	bool feasible;		/* TN_PORT_FEASIBLE */
	bool raw;		/* no inside interface has MAC addresses */
	bool fast;		/* tn_forward_fast */
	bool reads_nothing;	/* of the kernel's, as before 6.2: no next hops are cached */
	bool on_veth;		/* tn_on_veth */
	uint32_t routes_shift;	/* tn_route_gen_shift; default 31, of which no test sees the end */
	bool own_slots;		/* mappings have those by their addresses, while these are free */
	bool by_address;	/* TN_PORT_BY_ADDRESS, and of its own addresses */
	bool needs_v4, needs_v6;
	uint16_t grace;	    /* after a takeover, seconds */
	uint32_t shared_at; /* index of the shared interface; default loopback's */
	bool strict;	    /* nobody accepts anything, and no pools: for policies of one's own */
	const char *mac;    /* the router's; default MAC_ROUTER */
};

/* Of `as_prefixes`: red's. */
#define RED_LAN		 "10.0.0.0/24"
#define RED_SHARED_LAN	 "100.64.1.0/24"
#define RED_LAN_6	 "fd00:10::/112"
#define RED_SHARED_LAN_6 "fd64::1:0/112"

/* Ends the test unless `ok`, with what errno says. */
void need(bool ok, const char *what);

/* Enters a new network namespace, whose loopback has the router's MAC address, and loads. */
struct lab *lab_open(const struct lab_options *o);
void lab_close(struct lab *lab);
int lab_fd(const struct lab *lab, enum program program);
struct bpf_object *lab_object(const struct lab *lab);
/* The programs of `router` over the maps of `lab`. */
struct lab *lab_open_beside(const struct lab *lab, const struct lab_options *o);

/* One more mapping; with `fixed` NULL, an address of the router itself. */
void lab_map(struct lab *lab, enum lab_router router, const char *fixed, const char *shared);
/* A prefix mapping, both of one length; and an address of it that it does not translate. */
void lab_prefix(struct lab *lab, enum lab_router router, const char *fixed, const char *shared);
void lab_except(struct lab *lab, enum lab_router router, const char *fixed, const char *shared);
void lab_unmap(struct lab *lab, enum lab_router router, const char *fixed, const char *shared);
/* Where a mapping of this lab's router is counted, by either address; 0: there is none. */
size_t lab_slot(struct lab *lab, const char *address, bool shared);
void lab_subnets(struct lab *lab, const char *const *subnets, size_t n);

/*
 * `rule` accepts, for the tenant of `router` or with `to` for that shared address of it alone, what
 * tenant `from` sends (0: any tenant) to services of that class, or with class TN_CLASSES_COUNT
 * everything. `last` 0xffff with `first` 0 is one row for all of the class.
 */
void lab_accept(struct lab *lab, enum lab_router router, const char *to, uint32_t from,
		unsigned int class, uint16_t first, uint16_t last, uint32_t rule);
/* The same, until then (CLOCK_TAI, seconds); 0: without an end. */
void lab_accept_until(struct lab *lab, enum lab_router router, const char *to, uint32_t from,
		      unsigned int class, uint16_t first, uint16_t last, uint32_t rule,
		      uint32_t until);
/* Now, by that clock. */
uint32_t lab_tai(void);
/* Nobody accepts anything any more. */
void lab_accept_nothing(struct lab *lab);
/* Addresses in `prefix` that are in no mapping are that tenant's; 0: disputed. */
void lab_pool(struct lab *lab, const char *prefix, uint32_t tenant);
/* Another router, and the MAC address of its shared interface. */
void lab_router_port(struct lab *lab, enum lab_router router, const char *mac);
/* The same, with flags (TN_PORT_…). */
void lab_router_port_as(struct lab *lab, enum lab_router router, const char *mac, uint32_t flags);
/* The interface that XDP of this lab's router may send to; 0: there is none. */
void lab_xmit(struct lab *lab, uint32_t ifindex);
/* Only the VM with that MAC address has that mapping. */
void lab_bind(struct lab *lab, const char *fixed, const char *shared, const char *mac);
void lab_limit(struct lab *lab, const char *shared, const struct tn_limit *limit);
/* Packets that a rule has accepted. */
uint64_t lab_hits(struct lab *lab, uint32_t rule);
/* The map of that name. */
int lab_map_fd(const struct lab *lab, const char *name);
/*
 * Who writes to the tables by himself tells the programs so, afterwards, or before and afterwards:
 * see tn_abi.h, changes.
 */
void lab_changed(struct lab *lab);
void lab_changes(struct lab *lab, bool under_way);

/* Ticks for which what the kernel says is believed: tests make out of date what is to be so. */
#define LAB_CACHE_TICKS (1U << 30)
/* Microseconds of the longest one (HZ=100). */
#define TICK_MAX 10000

/* From now on packets are judged on that CPU: of what programs cache, each has its own. */
void lab_stay_on(int cpu);
/* In a lab with own_slots: the slot of the mapping that has that shared address, */
uint32_t lab_own_slot(const char *shared);
/* what a CPU has in `counters` for it, and what this one caches there. */
struct tn_record lab_record(struct lab *lab, int cpu, uint32_t slot);
struct tn_cached lab_cached(struct lab *lab, const char *shared);
void lab_put_cached(struct lab *lab, const char *shared, const struct tn_cached *cached);

struct result lab_run(struct lab *lab, enum program program, const struct packet *p,
		      const struct frame *f);
/*
 * The same, handed over as from a network card that has summed the whole frame
 * (CHECKSUM_COMPLETE); the kernel fails the run when that sum is wrong behind the
 * program. False: this kernel has no such test, or it failed (errno EBADMSG).
 */
bool lab_run_summed(struct lab *lab, enum program program, const struct packet *p,
		    const struct frame *f);

/* Everything that was counted so far. */
struct tally {
	struct tn_counters mappings[MAPPINGS_MAX]; /* by slot */
	struct tn_drops routers[ROUTERS];
};

void lab_tally(struct lab *lab, struct tally *t);
/* What one router has dropped so far. */
void lab_router_drops(struct lab *lab, enum lab_router router, struct tn_drops *d);
/* The number of drops so far, of all routers and for all reasons. */
uint64_t lab_drops(struct lab *lab);
uint64_t lab_drops_of(struct lab *lab, enum lab_router router, enum tn_reason reason);

enum outcome {
	TRANSLATED = 1, /* `after` goes on, counted for its mapping */
	ANSWERED,	/* `after` goes back; XDP leaves that to tc */
	TURNED,		/* `after` is turned back inside, counted for the mapping of its source */
	TOLD,	 /* its sender is, by an error; dropped for `reason`. XDP leaves that to tc */
	HELD,	 /* as it came, until the kernel knows the neighbour that has sent it */
	PASSED,	 /* as it came, not counted */
	DROPPED, /* for `reason`, counted once */
};

struct row {
	const char *what;
	unsigned int programs; /* ON_… */
	struct packet before;
	enum outcome outcome;
	enum tn_reason reason;
	struct packet after;
	bool xdp_leaves; /* XDP lets it by untouched, for tc to do this */
	bool uncounted;	 /* translated, but not as the traffic of a mapping */
};

/* For tables. */
#define DROP(id)    .outcome = DROPPED, .reason = TN_DROP_##id
#define PASS	    .outcome = PASSED
#define AFTER(...)  .outcome = TRANSLATED, .after = { __VA_ARGS__ }
#define ANSWER(...) .outcome = ANSWERED, .after = { __VA_ARGS__ }
#define TELL(id)    .outcome = TOLD, .reason = TN_DROP_##id
#define HOLD	    .outcome = HELD

#define TURNED_BACK(...) .outcome = TURNED, .after = { __VA_ARGS__, .mark = TN_HAIRPIN_MARK }

/* A small datagram: what most rows are about is not its payload. */
#define UDP(s, d, ...) .src = s, .dst = d, .proto = IPPROTO_UDP, .payload = 8, ##__VA_ARGS__

/* Bytes that an error of the programs quotes. */
#define TOLD_BYTES 128
/* The error that the sender of `about` is told: it is unreachable. `room` is for what is quoted. */
struct packet lab_error(const struct packet *about, struct packet *room);

/* Run a row on one program, or every row of a table on each that it names. */
void lab_check(struct lab *lab, const struct row *row, enum program program);
void lab_check_table(const struct row *rows, size_t n, enum program program);

/* Both frames' headers, and where else they differ, in hex; the caller's to free. */
char *frame_diff(const struct frame *want, const struct frame *got);

#endif
