/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Neighbours that the kernel does not know: a sender inside is held until it has asked for him, and
 * of all others it takes up so many at once.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "links.h"
#include "wire.h"

#define WITH(p, s, d, ...) .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 8, ##__VA_ARGS__
#define ARP(o, s, tmac, t)                                                                    \
	.arp = &(const struct arp)                                                            \
	{                                                                                     \
		.op = o, .sender_mac = MAC_PEER, .sender = s, .target_mac = tmac, .target = t \
	}
#define SOLICITS(t)                                                    \
	.proto = IPPROTO_ICMPV6, .nd = &(const struct nd)              \
	{                                                              \
		.type = 135, .target = t, .option = 1, .mac = MAC_PEER \
	}
#define SECOND 1000000000ULL
/* New neighbours at once, and a second: RESOLVE_… in bpf/resolve.h. */
#define BURST 128
#define RATE  64

struct buckets {
	uint64_t resolve; /* empty again at, nanoseconds */
	uint64_t tell;
};

static struct buckets buckets_of(struct lab *lab)
{
	uint32_t router = RED;
	struct buckets b;

	need(bpf_map_lookup_elem(lab_map_fd(lab, "buckets"), &router, &b) == 0, "buckets");
	return b;
}

static void put_buckets(struct lab *lab, uint64_t resolve)
{
	struct buckets b = { .resolve = resolve };
	uint32_t router = RED;

	need(bpf_map_update_elem(lab_map_fd(lab, "buckets"), &router, &b, BPF_ANY) == 0, "buckets");
}

/* None may be asked for, */
static void spend(struct lab *lab)
{
	put_buckets(lab, UINT64_MAX / 2);
}

/* but those, until then, in seconds. */
static void asked_for(struct lab *lab, const char *neighbour, uint32_t until)
{
	struct tn_fixed_key a = { .router = RED, .fixed = addr_of(neighbour) };

	need(bpf_map_update_elem(lab_map_fd(lab, "unresolved"), &a, &until, BPF_ANY) == 0,
	     "unresolved");
}

static void forget(struct lab *lab, const char *neighbour)
{
	struct tn_fixed_key a = { .router = RED, .fixed = addr_of(neighbour) };

	bpf_map_delete_elem(lab_map_fd(lab, "unresolved"), &a);
}

static void check_rows(struct lab *lab, const struct row *rows, size_t n, enum program program)
{
	for (size_t i = 0; i < n; i++) {
		struct row row = rows[i];

		if (program == INSIDE_IN)
			row.before.ifindex = links_inside;
		lab_check(lab, &row, program);
	}
}

/* ---------------------------------------------------------------- senders inside */

/* clang-format off */
#define HELD_IF(outcome)                                                                         \
	{ "UDP", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED) }, outcome },                           \
	{ "UDP, IPv6", ON_INSIDE, { UDP(RED_VM2_6, GREEN_SHARED_6) }, outcome },                 \
	{ "TCP", ON_INSIDE, { WITH(TCP, RED_VM2, GREEN_SHARED) }, outcome },                     \
	{ "TCP, IPv6", ON_INSIDE, { WITH(TCP, RED_VM2_6, GREEN_SHARED_6) }, outcome },           \
	{ "from another MAC address", ON_INSIDE,                                                 \
	  { UDP(RED_VM2, GREEN_SHARED), .from = "8a:bc:de:f1:23:45" }, outcome },                \
	{ "with options", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED), .options = 4 }, outcome },    \
	{ "an error", ON_INSIDE,                                                                 \
	  { .src = RED_VM2, .dst = GREEN_SHARED, .proto = IPPROTO_ICMP, .type = 3,               \
	    .quote = &(const struct packet){ UDP(GREEN_SHARED, RED_VM2) } }, outcome },          \
	{ "without a mapping", ON_INSIDE, { UDP("10.0.0.99", GREEN_SHARED) }, outcome },         \
	{ "to the router", ON_INSIDE, { UDP("10.0.0.99", RED_OWN) }, outcome }

static const struct row held[] = {
	HELD_IF(HOLD),
	{ "to a VM of the same router", ON_INSIDE, { UDP(RED_VM2, RED_SHARED) }, HOLD },
	{ "to a VM of the same router, IPv6", ON_INSIDE, { UDP(RED_VM2_6, RED_SHARED_6) }, HOLD },
	{ "not to the shared network", ON_INSIDE, { UDP(RED_VM2, "8.8.8.8") }, PASS },
};
static const struct row too_many[] = { HELD_IF(DROP(UNRESOLVED)) };
static const struct row left[] = { HELD_IF(PASS) };
/* clang-format on */

static struct lab *open_inside(bool fast)
{
	return links_open_known_as(
		&(struct lab_options){ .programs = ON_INSIDE, .fast = fast, .own_slots = true });
}

Test(hold, who_is_not_known)
{
	for (int fast = 0; fast < 2; fast++) {
		struct lab *lab = open_inside(fast);

		check_rows(lab, held, ARRAY_SIZE(held), INSIDE_IN);
		spend(lab);
		check_rows(lab, held, ARRAY_SIZE(held), INSIDE_IN); /* they are asked for already */
		forget(lab, RED_VM2);
		forget(lab, RED_VM2_6);
		forget(lab, "10.0.0.99");
		check_rows(lab, too_many, ARRAY_SIZE(too_many), INSIDE_IN);
		asked_for(lab, RED_VM2, 1); /* that is over */
		check_rows(lab, too_many, 1, INSIDE_IN);
		asked_for(lab, RED_VM2, UINT32_MAX);
		check_rows(lab, held, 1, INSIDE_IN);
		lab_close(lab);
	}
}

/* By the stack, for what goes past it has its neighbours looked at anyway. */
Test(hold, where_nobody_looks_at_mac_addresses)
{
	for (int feasible = 0; feasible < 2; feasible++) {
		struct lab *lab = links_open_known_as(&(struct lab_options){
			.programs = ON_INSIDE, .feasible = feasible, .loose = !feasible });

		spend(lab);
		check_rows(lab, left, ARRAY_SIZE(left), INSIDE_IN);
		lab_close(lab);
	}
}

/* What a lab makes at once is not many; one that comes after them has to wait. */
Test(hold, how_many)
{
	struct lab *lab = open_inside(false);
	struct timespec began;
	struct buckets b;

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int i = 0; i < BURST; i++) {
		char vm[INET_ADDRSTRLEN];
		struct row row = { "at once", ON_INSIDE, { UDP(vm, GREEN_SHARED) }, HOLD };

		snprintf(vm, sizeof(vm), "10.0.0.%d", 100 + i);
		row.before.ifindex = links_inside;
		lab_check(lab, &row, INSIDE_IN);
	}
	b = buckets_of(lab);
	cr_expect_geq(b.resolve, began.tv_sec * SECOND + began.tv_nsec + BURST * (SECOND / RATE));
	lab_close(lab);
}

/* ---------------------------------------------------------------- out of the kernel's queue */

static struct packet held_of(const char *mac, const char *to)
{
	uint8_t bytes[ETH_ALEN];
	uint16_t words[3];

	mac_parse(mac, bytes);
	memcpy(words, bytes, sizeof(words));
	return (struct packet){ UDP(RED_VM2, GREEN_SHARED), .to = to, .from = MAC_ROUTER,
				.mark = TN_HELD_MARK << 16 | words[0],
				.priority = (uint32_t)words[1] << 16 | words[2] };
}

static void check_end(struct lab *lab, const char *what, const struct packet *p,
		      enum verdict verdict, const struct packet *after)
{
	struct frame in = packet_build(p), want = packet_build(after);
	struct result r = lab_run(lab, INSIDE_OUT, p, &in);

	cr_expect_eq(r.verdict, verdict, "%s: verdict %d", what, r.verdict);
	if (verdict == GONE)
		return;
	cr_expect_eq(r.mark, after->mark, "%s: mark %x", what, r.mark);
	cr_expect_eq(r.priority, after->priority, "%s: priority %x", what, r.priority);
	cr_expect(r.out.len == want.len && !memcmp(r.out.bytes, want.bytes, want.len), "%s", what);
}

#define MAC_LONG "8a:bc:de:f1:23:45"

Test(hold, who_has_answered)
{
	static const char *const others[] = { "8b:bc:de:f1:23:45", "8a:bd:de:f1:23:45",
					      "8a:bc:df:f1:23:45", "8a:bc:de:f0:23:45",
					      "8a:bc:de:f1:22:45", "8a:bc:de:f1:23:44" };
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_INSIDE });
	struct packet p = held_of(MAC_LONG, MAC_LONG), after = p;

	after.to = MAC_ROUTER;
	after.from = MAC_LONG;
	after.mark = after.priority = 0;
	check_end(lab, "who sent it", &p, BACK, &after);
	cr_expect_eq(lab_drops(lab), 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		p = held_of(MAC_LONG, others[i]);
		check_end(lab, "somebody else", &p, GONE, &p);
	}
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_SPOOFED_SOURCE), ARRAY_SIZE(others));
	cr_expect_eq(lab_drops(lab), ARRAY_SIZE(others));
	p = held_of(MAC_LONG, MAC_LONG);
	p.mark = TN_FORWARD_MARK;
	check_end(lab, "another mark", &p, STACK, &p);
	p.mark = 0;
	check_end(lab, "no mark", &p, STACK, &p);
	lab_close(lab);
}

/* ---------------------------------------------------------------- with the kernel between */

/* Nobody but the VM and the router is on this link. */
static void expect_asked(int vm, const char *who)
{
	const struct tn_addr a = addr_of(who);
	struct frame f;
	bool partial;

	for (;;) {
		if (!wire_receive(vm, &f, &partial)) {
			cr_assert_fail("the router does not ask for %s", who);
			return;
		}
		if (f.bytes[12] == 0x08 && f.bytes[13] == 0x06 && f.bytes[21] == 1 &&
		    !memcmp(f.bytes + 38, &a.w[3], 4))
			return;
	}
}

static uint64_t sent_by(struct lab *lab, const char *shared)
{
	struct tally t;

	lab_tally(lab, &t);
	return t.mappings[lab_slot(lab, shared, true)].out_packets;
}

/* The first packet of a VM that the router has not met: it asks, and then that packet goes on. */
static void check_answer(const char *mac, bool same)
{
	struct lab *lab = open_inside(true);
	struct wire w = { .shared0 = links_inside };
	const struct packet first = { UDP(RED_VM2, GREEN_SHARED), .from = MAC_VM2 };
	const struct packet answer = { .arp = &(const struct arp){ .op = 2,
								   .sender_mac = mac,
								   .sender = RED_VM2,
								   .target_mac = MAC_ROUTER,
								   .target = "10.0.0.1" },
				       .from = mac };
	int vm = wire_socket("vm0");

	wire_attach_tc(&w, lab, INSIDE_IN);
	wire_attach_tc(&w, lab, INSIDE_OUT);
	wire_send(vm, &first);
	expect_asked(vm, RED_VM2);
	cr_expect_eq(sent_by(lab, RED_SHARED2), 0);
	wire_send(vm, &answer);
	for (int ms = 0; ms < 5000 && !sent_by(lab, RED_SHARED2) && !lab_drops(lab); ms++)
		usleep(1000);
	cr_expect_eq(sent_by(lab, RED_SHARED2), same);
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_SPOOFED_SOURCE), !same);
	cr_expect_eq(lab_drops(lab), !same);
	close(vm);
	lab_close(lab);
}

Test(hold, the_sender_answers)
{
	check_answer(MAC_VM2, true);
}

Test(hold, another_answers)
{
	check_answer(MAC_OTHER, false);
}

/* ---------------------------------------------------------------- neighbours to be sent to */

/* clang-format off */
static const struct row in_unknown[] = {
	{ "in", ON_IN, { UDP(GREEN_SHARED, RED_SHARED2) }, AFTER(UDP(GREEN_SHARED, RED_VM2)),
	  .xdp_leaves = true },
	{ "in, IPv6", ON_IN, { UDP(GREEN_SHARED_6, RED_SHARED2_6) },
	  AFTER(UDP(GREEN_SHARED_6, RED_VM2_6)), .xdp_leaves = true },
	{ "in, a ping", ON_IN, { WITH(ICMP, GREEN_SHARED, RED_SHARED2) },
	  AFTER(WITH(ICMP, GREEN_SHARED, RED_VM2)), .xdp_leaves = true },
};
static const struct row in_too_many[] = {
	{ "in", ON_TC, { UDP(GREEN_SHARED, RED_SHARED2) }, DROP(UNRESOLVED) },
	{ "in, IPv6", ON_TC, { UDP(GREEN_SHARED_6, RED_SHARED2_6) }, DROP(UNRESOLVED) },
	{ "in, a ping", ON_TC, { WITH(ICMP, GREEN_SHARED, RED_SHARED2) }, DROP(UNRESOLVED) },
	/* by the stack alone, for past it that goes on */
	{ "in, to whom the kernel knows", ON_TC, { WITH(ICMP, GREEN_SHARED, RED_SHARED) },
	  AFTER(WITH(ICMP, GREEN_SHARED, RED_VM)) },
};
/* of loopback's neighbours in IPv4 there is but one, whoever it is */
static const struct row out_unknown[] = {
	{ "out", ON_INSIDE, { UDP(RED_VM, STRANGER), .from = MAC_VM }, PASS },
	{ "out, IPv6", ON_INSIDE, { UDP(RED_VM_6, STRANGER_6), .from = MAC_VM }, PASS },
};
static const struct row out_too_many[] = {
	{ "out", ON_INSIDE, { UDP(RED_VM, STRANGER), .from = MAC_VM }, DROP(UNRESOLVED) },
	{ "out, IPv6", ON_INSIDE, { UDP(RED_VM_6, STRANGER_6), .from = MAC_VM }, DROP(UNRESOLVED) },
};
/* clang-format on */

Test(hold, who_is_sent_to)
{
	for (int fast = 0; fast < 2; fast++) {
		struct lab *lab = links_open_known_as(&(struct lab_options){
			.programs = ON_IN | ON_INSIDE, .fast = fast, .own_slots = true });

		links_ip("neigh del 0.0.0.0 dev lo\n");
		check_rows(lab, in_unknown, ARRAY_SIZE(in_unknown), TC_IN);
		check_rows(lab, in_unknown, ARRAY_SIZE(in_unknown), XDP_IN);
		check_rows(lab, out_unknown, ARRAY_SIZE(out_unknown), INSIDE_IN);
		spend(lab);
		check_rows(lab, in_unknown, ARRAY_SIZE(in_unknown), TC_IN);
		check_rows(lab, out_unknown, ARRAY_SIZE(out_unknown), INSIDE_IN);
		forget(lab, RED_VM2);
		forget(lab, RED_VM2_6);
		forget(lab, STRANGER);
		forget(lab, STRANGER_6);
		check_rows(lab, in_too_many, ARRAY_SIZE(in_too_many) - fast, TC_IN);
		check_rows(lab, out_too_many, ARRAY_SIZE(out_too_many), INSIDE_IN);
		lab_close(lab);
	}
}

/* Whoever the router's own kernel gets to know by what he sends, is one of those, too. */
Test(hold, who_speaks_to_the_router)
{
	/* clang-format off */
	const struct row known[] = {
		{ "whom it knows", ON_TC, { UDP(GREEN_SHARED_6, RED_OWN_6) }, PASS },
		{ "a request of whom it knows", ON_TC,
		  { .src = GREEN_SHARED_6, .dst = RED_OWN_6, SOLICITS(RED_OWN_6) },
		  PASS },
	};
	const struct row unknown[] = {
		{ "UDP", ON_TC, { UDP(STRANGER, RED_OWN) }, PASS },
		{ "UDP, IPv6", ON_TC, { UDP(STRANGER_6, RED_OWN_6) }, PASS },
		{ "UDP of whom it knows by another interface", ON_TC,
		  { UDP("100.64.77.5", RED_OWN) }, PASS },
		{ "ARP", ON_TC,
		  { ARP(1, STRANGER, MAC_BROADCAST, RED_OWN),
		    .to = MAC_BROADCAST }, PASS },
		{ "ND", ON_TC,
		  { .src = STRANGER_6, .dst = RED_OWN_6, SOLICITS(RED_OWN_6) },
		  PASS },
		{ "ND, of a link-local address", ON_TC,
		  { .src = "fe80::9", .dst = RED_OWN_6, SOLICITS(RED_OWN_6) },
		  PASS },
	};
	const struct row always[] = {
		{ "an answer to ARP", ON_TC,
		  { ARP(2, STRANGER, MAC_ROUTER, RED_OWN) }, PASS },
		{ "ARP for somebody else", ON_TC,
		  { ARP(1, STRANGER, MAC_BROADCAST, GREEN_SHARED),
		    .to = MAC_BROADCAST }, PASS },
	};
	const struct row inside[] = {
		{ "ARP, inside", ON_INSIDE,
		  { ARP(1, "10.0.0.98", MAC_BROADCAST, "10.0.0.1"),
		    .to = MAC_BROADCAST }, PASS },
		{ "ND, inside", ON_INSIDE,
		  { .src = "fd00:10::98", .dst = "fd00:10::1", SOLICITS("fd00:10::1") },
		  PASS },
	};
	/* clang-format on */
	static const char *const all[] = { STRANGER,	"fe80::9",     STRANGER_6,
					   "10.0.0.98", "fd00:10::98", "100.64.77.5" };
	struct lab *lab = links_open_known(ON_TC | ON_INSIDE, BY_STACK, MAC_ROUTER);

	links_ip("neigh del 0.0.0.0 dev lo\n"
		 "neigh add 100.64.77.5 lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	check_rows(lab, unknown, ARRAY_SIZE(unknown), TC_IN);
	check_rows(lab, inside, ARRAY_SIZE(inside), INSIDE_IN);
	spend(lab);
	check_rows(lab, unknown, ARRAY_SIZE(unknown), TC_IN);
	check_rows(lab, inside, ARRAY_SIZE(inside), INSIDE_IN);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		forget(lab, all[i]);
	check_rows(lab, known, ARRAY_SIZE(known), TC_IN);
	check_rows(lab, always, ARRAY_SIZE(always), TC_IN);
	for (size_t i = 0; i < ARRAY_SIZE(unknown) + ARRAY_SIZE(inside); i++) {
		bool in = i < ARRAY_SIZE(unknown);
		struct row row = in ? unknown[i] : inside[i - ARRAY_SIZE(unknown)];

		row.outcome = DROPPED;
		row.reason = TN_DROP_UNRESOLVED;
		check_rows(lab, &row, 1, in ? TC_IN : INSIDE_IN);
	}
	lab_close(lab);
}
