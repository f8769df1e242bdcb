/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Past the stack: which packets are sent on by the programs, and which are left to the kernel as
 * they came. The shared interface is loopback, as for all test runs.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>

#include "links.h"

#define SENT true
#define LEFT false

struct sending {
	const char *what;
	enum program program;
	struct packet before;
	bool sent;
	struct packet after;
};

/* What is sent on has the MAC addresses of the next link, unless the kernel is to write them. */
static void check(struct lab *lab, const struct sending *w)
{
	struct frame in = packet_build(&w->before), want = packet_build(&w->after);
	struct result r = lab_run(lab, w->program, &w->before, &in);
	bool out = w->program == INSIDE_IN;
	uint32_t mark = w->sent && out ? TN_FORWARD_MARK : 0;

	if (w->sent && !memcmp(r.out.bytes, in.bytes, 2 * ETH_ALEN))
		memcpy(want.bytes, in.bytes, 2 * ETH_ALEN);
	cr_expect_eq(r.verdict, w->sent ? BACK : STACK, "%s: verdict %d", w->what, r.verdict);
	cr_expect_eq(r.mark, mark, "%s: mark %x", w->what, r.mark);
	if (r.out.len != want.len || memcmp(r.out.bytes, want.bytes, want.len) != 0) {
		char *diff = frame_diff(&want, &r.out);

		cr_expect_fail("%s:\n%s", w->what, diff);
		free(diff);
	}
}

#define IN_	       UDP(GREEN_SHARED, RED_SHARED)
#define IN6_	       UDP(GREEN_SHARED_6, RED_SHARED_6)
#define OUT_	       UDP(RED_VM, GREEN_SHARED)
#define BY	       .ifindex = links_inside
#define AT_VM	       .to = MAC_VM, .from = MAC_ROUTER
#define AT_NEXT	       .to = MAC_NEXT, .from = MAC_ROUTER
#define LARGE(s, d, n) .src = s, .dst = d, .proto = IPPROTO_UDP, .payload = n
#define WITH(p, s, d)  .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 8

static struct lab *open_loose(void)
{
	return links_open_known_as(&(struct lab_options){
		.programs = ON_INSIDE | ON_TC, .fast = true, .loose = true, .own_slots = true });
}

Test(forward, what_is_sent_on)
{
	struct lab *lab = open_loose();
	/* clang-format off */
	const struct sending sent[] = {
		{ "in", TC_IN, { IN_ }, SENT, { UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } },
		{ "in, IPv6", TC_IN, { IN6_ }, SENT, { UDP(GREEN_SHARED_6, RED_VM_6), .ttl = 63, AT_VM } },
		{ "in, with two hops to go", TC_IN, { IN_, .ttl = 2 }, SENT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1, AT_VM } },
		{ "in, TCP", TC_IN, { WITH(TCP, GREEN_SHARED, RED_SHARED) },
		  SENT, { WITH(TCP, GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } },
		{ "in, with a trailer, which goes", TC_IN, { IN_, .trailer = 20 }, SENT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } },
		{ "out, with a trailer, which goes", INSIDE_IN, { OUT_, .trailer = 9, BY }, SENT,
		  { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63, AT_NEXT } },
		{ "out", INSIDE_IN, { OUT_, BY }, SENT, { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63, AT_NEXT } },
		{ "out, a ping", INSIDE_IN,
		  { WITH(ICMP, RED_VM, GREEN_SHARED), BY }, SENT,
		  { WITH(ICMP, RED_SHARED, GREEN_SHARED), .ttl = 63, AT_NEXT } },
		{ "in, as large as the link takes", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 1372) },
		  SENT, { LARGE(GREEN_SHARED, RED_VM, 1372), .ttl = 63, AT_VM } },
		{ "out, as large as the path takes", INSIDE_IN, { LARGE(RED_VM, GREEN_SHARED, 1372), BY },
		  SENT, { LARGE(RED_SHARED, GREEN_SHARED, 1372), .ttl = 63, AT_NEXT } },
		{ "in, a later fragment", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 64), .frag_at = 40, .frag_len = 32 },
		  SENT, { LARGE(GREEN_SHARED, RED_VM, 64), .frag_at = 40, .frag_len = 32, .ttl = 63, AT_VM } },
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
		check(lab, &sent[i]);
	lab_close(lab);
}

/* In: translated, and the stack goes on; out: as it came, and the egress program translates. */
Test(forward, what_is_left_to_the_stack)
{
	struct lab *lab = open_loose();
	/* clang-format off */
	const struct sending sent[] = {
		{ "in, no hop left", TC_IN, { IN_, .ttl = 1 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1 } },
		{ "in, IPv6, no hop left", TC_IN, { IN6_, .ttl = 1 }, LEFT,
		  { UDP(GREEN_SHARED_6, RED_VM_6), .ttl = 1 } },
		{ "in, too large", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 1373) }, LEFT,
		  { LARGE(GREEN_SHARED, RED_VM, 1373) } },
		{ "in, options", TC_IN, { IN_, .options = 4 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .options = 4 } },
		{ "in, extension headers", TC_IN, { IN6_, .ext = "D" }, LEFT,
		  { UDP(GREEN_SHARED_6, RED_VM_6), .ext = "D" } },
		{ "in, no hop left, with a trailer", TC_IN, { IN_, .ttl = 1, .trailer = 9 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1, .trailer = 9 } },
		{ "to the router", TC_IN, { UDP(GREEN_SHARED, RED_OWN) }, LEFT,
		  { UDP(GREEN_SHARED, RED_OWN) } },
		{ "out, no hop left", INSIDE_IN, { OUT_, .ttl = 1, BY }, LEFT, { OUT_, .ttl = 1 } },
		{ "out, too large", INSIDE_IN, { LARGE(RED_VM, GREEN_SHARED, 1373), BY }, LEFT,
		  { LARGE(RED_VM, GREEN_SHARED, 1373) } },
		{ "out, options", INSIDE_IN, { OUT_, .options = 8, BY }, LEFT, { OUT_, .options = 8 } },
		/* which has the sender told when nobody answers */
		{ "in, to a neighbour whom the kernel does not know", TC_IN,
		  { UDP(GREEN_SHARED, RED_SHARED2) }, LEFT, { UDP(GREEN_SHARED, RED_VM2) } },
		{ "in, IPv6, to a neighbour whom the kernel does not know", TC_IN,
		  { UDP(GREEN_SHARED_6, RED_SHARED2_6) }, LEFT, { UDP(GREEN_SHARED_6, RED_VM2_6) } },
		{ "out, IPv6, to a neighbour whom the kernel does not know", INSIDE_IN,
		  { UDP(RED_VM_6, STRANGER_6), BY }, LEFT, { UDP(RED_VM_6, STRANGER_6) } },
		{ "out, where no route leads", INSIDE_IN, { UDP(RED_VM, "100.64.78.1"), BY }, LEFT,
		  { UDP(RED_VM, "100.64.78.1") } },
		{ "out, not to the shared network", INSIDE_IN, { UDP(RED_VM, "8.8.8.8"), BY }, LEFT,
		  { UDP(RED_VM, "8.8.8.8") } },
		{ "out, of a VM without a mapping", INSIDE_IN, { UDP("10.0.0.77", GREEN_SHARED), BY },
		  LEFT, { UDP("10.0.0.77", GREEN_SHARED) } },
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
		check(lab, &sent[i]);
	lab_close(lab);
}

/* A card's sum of the whole frame would be wrong behind other MAC addresses. */
Test(forward, summed_frames_are_left_to_the_stack)
{
	const struct packet p = { IN_ };
	struct lab *lab = open_loose();
	struct frame f = packet_build(&p);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
		    .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE);

	if (bpf_prog_test_run_opts(lab_fd(lab, TC_IN), &opts) == 0)
		cr_expect_eq(verdict_tc(opts.retval), STACK);
	else
		cr_expect_eq(errno, EINVAL, "%s", strerror(errno)); /* an older kernel */
	lab_close(lab);
}

/* What has no mark is judged again at the shared interface's egress, and the mark goes. */
Test(forward, only_marked_frames_leave_unjudged)
{
	const struct packet marked = { UDP(RED_SHARED, GREEN_SHARED), .mark = TN_FORWARD_MARK };
	const struct packet other = { UDP(RED_SHARED, GREEN_SHARED), .mark = TN_FORWARD_MARK + 1 };
	struct lab *fast = lab_open(&(struct lab_options){ .programs = ON_OUT, .fast = true });
	struct lab *slow = lab_open(&(struct lab_options){ .programs = ON_OUT });
	struct frame f = packet_build(&marked);
	struct result r = lab_run(fast, TC_OUT, &marked, &f);

	cr_expect_eq(r.verdict, STACK);
	cr_expect_eq(r.mark, 0);
	cr_expect_eq(lab_run(fast, TC_OUT, &other, &f).verdict, GONE);
	cr_expect_eq(lab_run(slow, TC_OUT, &marked, &f).verdict, GONE);
	lab_close(fast);
	lab_close(slow);
}

/* ---------------------------------------------------------------- what is cached */

/* what is known of the pair; ASKED is that of another tick, or that of the kernel itself */
enum known { KERNELS, ASKED, KNOWN };

#define FROM_VM .from = MAC_VM, .ifindex = links_inside

static void put_pairs(struct lab *lab, uint32_t place, const struct tn_pair *pair)
{
	uint32_t end = libbpf_num_possible_cpus() * TN_PAIRS;
	int map = lab_map_fd(lab, "pairs");

	for (; place < end; place += TN_PAIRS)
		need(bpf_map_update_elem(map, &place, pair, BPF_ANY) == 0, "pairs");
}

/* Every place has that pair, so that there is no need to know which one a packet looks at. */
static void fill_pairs(struct lab *lab, const struct tn_pair *pair)
{
	for (uint32_t place = 0; place < TN_PAIRS; place++)
		put_pairs(lab, place, pair);
}

/* What one CPU was told last is known to all until then, however long this test is kept waiting. */
static void keep_ways(struct lab *lab, uint64_t until)
{
	uint32_t end = libbpf_num_possible_cpus() * TN_PAIRS;
	int map = lab_map_fd(lab, "pairs");

	for (uint32_t place = 0; place < TN_PAIRS; place++) {
		struct tn_pair last = { 0 }, pair;

		for (uint32_t at = place; at < end; at += TN_PAIRS) {
			need(bpf_map_lookup_elem(map, &at, &pair) == 0, "pairs");
			if (pair.expires > last.expires)
				last = pair;
		}
		if (!last.expires)
			continue;
		last.expires = until;
		put_pairs(lab, place, &last);
	}
}

/*
 * Runs a packet, which is to be sent on as `after`: with the MAC addresses of the next link where
 * the program writes them, else with those that it came with, because the kernel does so later.
 */
static void check_cached(struct lab *lab, const struct sending *w, enum known known)
{
	struct packet after = w->after;
	struct frame in = packet_build(&w->before), want = packet_build(&after);
	struct result r;
	char *diff;

	if (known == KNOWN)
		keep_ways(lab, UINT64_MAX);
	r = lab_run(lab, w->program, &w->before, &in);
	if (known == KERNELS || (known == ASKED && !memcmp(r.out.bytes, in.bytes, 2 * ETH_ALEN))) {
		after.to = w->before.to;
		after.from = w->before.from;
		want = packet_build(&after);
	}
	cr_expect_eq(r.verdict, BACK, "%s: verdict %d", w->what, r.verdict);
	if (r.out.len == want.len && memcmp(r.out.bytes, want.bytes, want.len) == 0)
		return;
	diff = frame_diff(&want, &r.out);
	cr_expect_fail("%s, %s:\n%s", w->what,
		       known == KNOWN	? "known"
		       : known == ASKED ? "asked"
					: "out of date",
		       diff);
	free(diff);
}

#define V4_IN  UDP(GREEN_SHARED, RED_SHARED)
#define V6_IN  UDP(GREEN_SHARED_6, RED_SHARED_6)
#define V4_OUT UDP(RED_VM, GREEN_SHARED), FROM_VM
#define V6_OUT UDP(RED_VM_6, GREEN_SHARED_6), FROM_VM

Test(forward, known_ways)
{
	struct lab *lab = links_open_known(ON_INSIDE | ON_TC, PAST_STACK_ASKING, MAC_ROUTER);
	/* clang-format off */
	const struct sending sent[] = {
		{ "in", TC_IN, { V4_IN }, SENT, { UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } },
		{ "in, IPv6", TC_IN, { V6_IN }, SENT,
		  { UDP(GREEN_SHARED_6, RED_VM_6), .ttl = 63, AT_VM } },
		{ "out", INSIDE_IN, { V4_OUT }, SENT,
		  { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63, AT_NEXT } },
		{ "out, IPv6", INSIDE_IN, { V6_OUT }, SENT,
		  { UDP(RED_SHARED_6, GREEN_SHARED_6), .ttl = 63, AT_NEXT } },
	};
	const struct sending tcp = { "in, TCP", TC_IN, { WITH(TCP, GREEN_SHARED, RED_SHARED) }, SENT,
				 { WITH(TCP, GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		check_cached(lab, &sent[i], ASKED);
		check_cached(lab, &sent[i], KNOWN);
	}
	check_cached(lab, &tcp, KNOWN);
	lab_close(lab);
}

/* A pair is that of a VM and a peer, and of packets that it has room for. */
Test(forward, ways_of_others)
{
	struct lab *lab = links_open_known(ON_INSIDE | ON_TC, PAST_STACK_ASKING, MAC_ROUTER);
	/* clang-format off */
	const struct sending in = { "in", TC_IN, { V4_IN }, SENT,
				{ UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	const struct sending blue = { "from another peer", TC_IN, { UDP(STRANGER, RED_SHARED) }, SENT,
				  { UDP(STRANGER, RED_VM), .ttl = 63, AT_VM } };
	const struct sending other = { "to another VM", TC_IN, { UDP(GREEN_SHARED, RED_SHARED2) }, SENT,
				   { UDP(GREEN_SHARED, RED_VM2), .ttl = 63,
				     .to = MAC_VM2, .from = MAC_ROUTER } };
	const struct sending unknown = { "to another VM, that is not known", TC_IN,
				     { UDP(GREEN_SHARED, RED_SHARED2) }, LEFT,
				     { UDP(GREEN_SHARED, RED_VM2) } };
	const struct sending large = { "too large", TC_IN,
				   { LARGE(GREEN_SHARED, RED_SHARED, 1373) }, LEFT,
				   { LARGE(GREEN_SHARED, RED_VM, 1373) } };
	const struct sending last = { "no hop left", TC_IN, { V4_IN, .ttl = 1 }, LEFT,
				  { UDP(GREEN_SHARED, RED_VM), .ttl = 1 } };
	/* clang-format on */
	check_cached(lab, &in, ASKED);
	check_cached(lab, &blue, ASKED);
	check(lab, &unknown);
	check(lab, &unknown);
	links_ip("neigh add " RED_VM2 " lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	check_cached(lab, &other, ASKED);
	check_cached(lab, &other, KNOWN);
	check(lab, &large);
	check(lab, &last);
	check_cached(lab, &in, ASKED); /* the large one asked, and its pair was none */
	check_cached(lab, &in, KNOWN);
	lab_close(lab);
}

/* Two that have the same place do not take each other's pair. */
Test(forward, ways_at_one_place)
{
	struct lab *lab = links_open_known(ON_TC, PAST_STACK_ASKING, MAC_ROUTER);
	const struct tn_pair right = { .vm = addr_of(RED_SHARED).w[3],
				       .peer = addr_of(GREEN_SHARED).w[3],
				       .now = addr_of(RED_VM).w[3],
				       .whose = RED | TN_PAIR_V4 | TN_PAIR_PAST,
				       .link = links_inside,
				       .mtu = 1400,
				       .sender = { 2, 0, 0, 0, 0, 0x99 },
				       .macs = { 2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 1 },
				       .expires = UINT64_MAX };
	/* clang-format off */
	const struct sending in = { "in", TC_IN, { V4_IN }, SENT,
				{ UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	/* clang-format on */
	struct tn_pair others[10];

	fill_pairs(lab, &right);
	check_cached(lab, &in, KNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = right;
	/* who goes by one of these is seen to */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i].macs[5] = 0x77;
	others[0].vm = addr_of(RED_SHARED2).w[3];
	others[1].peer = addr_of(BLUE_SHARED).w[3];
	others[2].whose = BLUE | TN_PAIR_V4 | TN_PAIR_PAST;
	others[3].whose = RED | TN_PAIR_V4 | TN_PAIR_PAST | TN_PAIR_OUT;
	others[4].whose = RED | TN_PAIR_PAST;
	others[5].whose = RED | TN_PAIR_V4; /* into the stack */
	others[6].mtu = 35;
	others[7].expires = 1;
	others[8].sender[5]++;
	others[9].now = addr_of(RED_VM2).w[3];
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		fill_pairs(lab, &others[i]);
		check_cached(lab, &in, i < 6 ? ASKED : KERNELS); /* the last ones are its own */
	}
	lab_close(lab);
}

static size_t count_ways(struct lab *lab, uint32_t whose)
{
	uint32_t end = libbpf_num_possible_cpus() * TN_PAIRS;
	int map = lab_map_fd(lab, "pairs");
	size_t n = 0;

	for (uint32_t at = 0; at < end; at++) {
		struct tn_pair pair;

		need(bpf_map_lookup_elem(map, &at, &pair) == 0, "pairs");
		n += pair.expires && pair.whose == whose;
	}
	return n;
}

/* A packet by the stack has two, which never push each other out. */
Test(forward, ways_of_two_kinds)
{
	struct lab *lab = links_open_known(ON_INSIDE | ON_OUT, BY_STACK, MAC_ROUTER);
	enum { PEERS = 250 };
	size_t pass = 0;

	for (int i = 0; i < 2 * PEERS; i++) {
		enum program program = i < PEERS ? INSIDE_IN : TC_OUT;
		int scattered = (i % PEERS) * (i % PEERS) % 8191;
		char peer[INET_ADDRSTRLEN];
		struct packet p = { UDP(RED_VM, peer), .from = MAC_VM };
		struct frame f;

		snprintf(peer, sizeof(peer), "100.64.%d.%d", 200 + (scattered >> 8),
			 scattered & 255);
		p.ifindex = program == INSIDE_IN ? links_inside : 0;
		f = packet_build(&p);
		lab_run(lab, program, &p, &f);
		if (i == PEERS - 1)
			pass = count_ways(lab, RED | TN_PAIR_V4 | TN_PAIR_PASS);
	}
	cr_expect_gt(pass, PEERS / 2);
	cr_expect_gt(count_ways(lab, RED | TN_PAIR_V4 | TN_PAIR_OUT), PEERS / 2);
	cr_expect_eq(count_ways(lab, RED | TN_PAIR_V4 | TN_PAIR_PASS), pass);
	lab_close(lab);
}

/* What accepts one pair accepts no other that has its place. */
Test(forward, rules_of_others)
{
	struct lab *lab = links_open_known(ON_INSIDE | ON_TC, PAST_STACK, MAC_ROUTER);
	struct tn_pair other = { .vm = addr_of(RED_VM2).w[3],
				 .peer = addr_of(GREEN_SHARED).w[3],
				 .whose = RED | TN_PAIR_V4 | TN_PAIR_PAST | TN_PAIR_OUT,
				 .link = links_inside,
				 .rule = 1,
				 .service = TN_SERVICE_ANY,
				 .expires = 1 };
	const struct row refused = { "out", ON_INSIDE, { V4_OUT }, DROP(NOT_ACCEPTED) };
	uint32_t zero = 0;
	uint64_t change;

	lab_accept_nothing(lab);
	need(bpf_map_lookup_elem(lab_map_fd(lab, "table_seq"), &zero, &change) == 0, "table_seq");
	other.seq = change;
	fill_pairs(lab, &other);
	lab_check(lab, &refused, INSIDE_IN);
	keep_ways(lab, UINT64_MAX);
	lab_check(lab, &refused, INSIDE_IN);
	lab_close(lab);
}

/* What the kernel says is believed for a tenth of a second, and nobody takes another's place. */
Test(forward, ways_change)
{
	struct lab *lab = links_open_known(ON_INSIDE | ON_TC, PAST_STACK_ASKING, MAC_ROUTER);
	/* clang-format off */
	const struct sending in = { "in", TC_IN, { V4_IN }, SENT,
				{ UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	const struct sending moved = { "in, to its new address", TC_IN, { V4_IN }, SENT,
				   { UDP(GREEN_SHARED, RED_VM), .ttl = 63,
				     .to = MAC_VM2, .from = MAC_ROUTER } };
	const struct sending out = { "out", INSIDE_IN, { V4_OUT }, SENT,
				 { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63, AT_NEXT } };
	const struct row spoofed = { "from another MAC address", ON_INSIDE,
				     { UDP(RED_VM, GREEN_SHARED), .from = MAC_VM2, .ifindex = links_inside },
				     DROP(SPOOFED_SOURCE) };
	const struct row elsewhere = { "by another interface", ON_INSIDE,
				       { UDP(RED_VM, GREEN_SHARED), .from = MAC_VM, .ifindex = 1 },
				       DROP(SPOOFED_SOURCE) };
	/* clang-format on */
	check_cached(lab, &in, ASKED);
	check_cached(lab, &out, ASKED);
	check_cached(lab, &out, KNOWN);
	lab_check(lab, &spoofed, INSIDE_IN);
	lab_check(lab, &elsewhere, INSIDE_IN);
	links_ip("neigh replace 10.0.0.5 lladdr " MAC_VM2 " dev lan0 nud permanent\n");
	keep_ways(lab, 1);
	check_cached(lab, &moved, KERNELS);
	check_cached(lab, &moved, KNOWN);
	lab_close(lab);
}

/* Of pairs that nothing is known of, some go the kernel's way: it alone keeps its neighbours alive.
 */
Test(forward, some_go_the_kernels_way)
{
	struct lab *lab = links_open_known(ON_TC, PAST_STACK_ASKING, MAC_ROUTER);
	enum { PEERS = 250 };
	unsigned int kernels = 0;

	lab_pool(lab, "100.64.9.0/24", fixture_tenant(GREEN));
	for (int i = 1; i <= PEERS; i++) {
		char peer[INET_ADDRSTRLEN];
		struct packet p = { UDP(peer, RED_SHARED) };
		struct result r;
		struct frame f;

		snprintf(peer, sizeof(peer), "100.64.9.%d", i);
		f = packet_build(&p);
		r = lab_run(lab, TC_IN, &p, &f);
		cr_expect_eq(r.verdict, BACK, "%s", peer);
		kernels += !memcmp(r.out.bytes, f.bytes, 2 * ETH_ALEN);
	}
	cr_expect(kernels > 0 && kernels < PEERS / 8, "%u", kernels);
	lab_close(lab);
}

static void check_left_to_tc(struct lab *lab, const char *what, const struct packet *p)
{
	struct frame f = packet_build(p);
	struct result r = lab_run(lab, XDP_IN, p, &f);

	cr_expect(r.verdict == STACK && !r.marked, "%s: verdict %d", what, r.verdict);
	cr_expect(r.out.len == f.len && !memcmp(r.out.bytes, f.bytes, f.len), "%s", what);
}

/* Now and then it leaves them to tc, for a tick. */
static void asked_by_xdp(struct lab *lab, const struct sending *w)
{
	struct frame f = packet_build(&w->before);
	int left = 0;

	while (lab_run(lab, XDP_IN, &w->before, &f).verdict == STACK && left < 100) {
		usleep(TICK_MAX);
		left++;
	}
	cr_expect_lt(left, 10, "in %d ticks they were left to tc", left);
}

/* XDP sends to interfaces that take it. */
Test(forward, xdp_sends_on_itself)
{
	struct lab *lab = links_open_known(ON_IN, PAST_STACK_ASKING, MAC_ROUTER);
	/* clang-format off */
	const struct packet before = { V4_IN };
	const struct sending tc = { "in", TC_IN, { V4_IN }, SENT,
				{ UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	const struct sending xdp = { "by XDP", XDP_IN, { V4_IN }, SENT,
				 { UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM } };
	/* addresses of the same sum, and a partial checksum */
	const struct packet partial = { .src = GREEN_SHARED, .dst = "100.64.165.200",
					.proto = IPPROTO_UDP, .payload = 8, .csum = CSUM_PARTIAL };
	const struct sending even = { "a partial checksum", TC_IN, partial, SENT,
				  { .src = GREEN_SHARED, .dst = "10.0.0.9", .proto = IPPROTO_UDP,
				    .payload = 8, .csum = CSUM_PARTIAL, .ttl = 63, AT_VM } };
	const struct packet last = { V4_IN, .ttl = 1 };
	/* clang-format on */
	const struct tn_pair nobodys = { 0 };
	struct tally was, is;
	size_t slot = lab_slot(lab, RED_SHARED, true);

	check_left_to_tc(lab, "to what takes nothing of XDP", &before);
	fill_pairs(lab, &nobodys);
	check_cached(lab, &tc, ASKED);
	check_left_to_tc(lab, "to what takes nothing of XDP, as cached", &before);
	links_take_xdp(lab);
	keep_ways(lab, 1);
	check_cached(lab, &tc, ASKED);
	lab_tally(lab, &was);
	check_cached(lab, &xdp, KNOWN);
	lab_tally(lab, &is);
	cr_expect_eq(is.mappings[slot].in_packets, was.mappings[slot].in_packets + 1);
	keep_ways(lab, 1);
	check_left_to_tc(lab, "a pair that is out of date", &before);
	fill_pairs(lab, &nobodys);
	asked_by_xdp(lab, &xdp);
	check_cached(lab, &xdp, KNOWN);
	check_left_to_tc(lab, "no hop left, which the stack answers", &last);
	lab_map(lab, RED, "10.0.0.9", "100.64.165.200");
	links_ip("neigh add 10.0.0.9 lladdr " MAC_VM " dev lan0 nud permanent\n");
	check_cached(lab, &even, ASKED);
	check_left_to_tc(lab, "a partial checksum", &partial);
	check_cached(lab, &even, KNOWN);
	lab_close(lab);
}

/* Nor does XDP send on, by the pair cache, what is not plain. */
Test(forward, xdp_sends_plain_packets_alone)
{
	struct lab *lab = links_open_known(ON_IN, PAST_STACK_ASKING, MAC_ROUTER);
#define OF_64 .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_UDP, .payload = 64
	const struct sending xdp = {
		"by XDP", XDP_IN, { V4_IN }, SENT, { UDP(GREEN_SHARED, RED_VM), .ttl = 63, AT_VM }
	};
	const struct {
		const char *what;
		struct packet packet;
	} rows[] = {
		{ "the first fragment", { OF_64, .frag_len = 32 } },
		{ "another fragment", { OF_64, .frag_at = 32, .frag_len = 40 } },
		{ "options", { OF_64, .options = 4, .option = "\0\0\0\0" } },
		{ "bytes that are missing", { OF_64, .cut = 8 } },
		{ "too large", { LARGE(GREEN_SHARED, RED_SHARED, 1373) } },
		{ "from another MAC address",
		  { UDP(GREEN_SHARED, RED_SHARED), .from = MAC_OTHER } },
	};
	const struct packet plain = { V4_IN };
	struct frame wrong = packet_build(&plain);

	links_take_xdp(lab);
	asked_by_xdp(lab, &xdp);
	check_cached(lab, &xdp, KNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame f = packet_build(&rows[i].packet);

		cr_expect_neq(lab_run(lab, XDP_IN, &rows[i].packet, &f).verdict, BACK, "%s",
			      rows[i].what);
	}
	wrong.bytes[wrong.ip + 5] ^= 1; /* its id */
	cr_expect_neq(lab_run(lab, XDP_IN, &plain, &wrong).verdict, BACK, "a wrong checksum");
	check_cached(lab, &xdp, KNOWN);
	lab_close(lab);
}

/* Nor what the IP packet's length lets end with the first piece of a frame. */
#define FIRST_PIECE 3520 /* bytes, of a test run's frame: a page less headroom and tailroom */

static void check_pieces(enum links_path path)
{
	struct lab *lab = links_open_known(ON_IN, path, MAC_ROUTER);
	const struct packet small = { V4_IN };
	const struct packet large = { .src = GREEN_SHARED,
				      .dst = RED_SHARED,
				      .proto = IPPROTO_UDP,
				      .payload = FIRST_PIECE - 42 };
	struct frame f = packet_build(&small);

	lab_stay_on(0);
	links_take_xdp(lab);
	links_ip("link set lan0 mtu 9000\nlink set vm0 mtu 9000\n");
	for (int i = 0; i < 2; i++)
		lab_run(lab, TC_IN, &small, &f);
	f = packet_build(&large);
	cr_assert_eq(f.len, FIRST_PIECE);
	cr_expect_eq(lab_run(lab, XDP_IN, &large, &f).verdict, BACK, "in one piece");
	f.len += 1000;
	cr_expect_neq(lab_run(lab, XDP_IN, &large, &f).verdict, BACK, "in two pieces");
	lab_close(lab);
}

Test(forward, xdp_leaves_frames_in_pieces)
{
	check_pieces(PAST_STACK);
	check_pieces(PAST_STACK_ASKING);
}

/* Nor by a pair that is another's, or holds no more. */
Test(forward, xdp_goes_by_its_own_ways_alone)
{
	struct lab *lab = links_open_known(ON_IN, PAST_STACK_ASKING, MAC_ROUTER);
	/* that address is not the mapping's: nobody but such a pair says so */
	struct tn_pair wrong = { .vm = addr_of(RED_SHARED).w[3],
				 .peer = addr_of(GREEN_SHARED).w[3],
				 .now = addr_of(RED_VM2).w[3],
				 .whose = RED | TN_PAIR_V4 | TN_PAIR_PAST | TN_PAIR_XDP,
				 .link = links_inside,
				 .mtu = 1400,
				 .sender = { 2, 0, 0, 0, 0, 0x99 },
				 .macs = { 2, 0, 0, 0, 0, 0x77, 2, 0, 0, 0, 0, 1 },
				 .expires = UINT64_MAX,
				 .rule = 1,
				 .service = TN_SERVICE_ANY };
	const struct packet p = { V4_IN };
	struct frame f = packet_build(&p);
	struct tn_pair others[13];
	uint32_t zero = 0;
	uint64_t change;

	links_take_xdp(lab);
	lab_changes(lab, false);
	need(bpf_map_lookup_elem(lab_map_fd(lab, "table_seq"), &zero, &change) == 0, "table_seq");
	wrong.seq = change;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = wrong;
	others[0].vm = addr_of(RED_SHARED2).w[3];
	others[1].peer = addr_of(BLUE_SHARED).w[3];
	others[2].whose = BLUE | TN_PAIR_V4 | TN_PAIR_PAST | TN_PAIR_XDP;
	others[3].whose |= TN_PAIR_OUT;
	others[4].whose &= ~TN_PAIR_V4;
	others[5].whose &= ~TN_PAIR_XDP;
	others[6].mtu = 35;
	others[7].expires = 1;
	others[8].sender[5]++;
	others[9].seq -= 2;
	others[10].rule = 0;
	others[11].service = TN_CLASS_TCP << 16 | 1;
	others[12].whose &= ~TN_PAIR_PAST;
	fill_pairs(lab, &wrong);
	cr_expect_eq(lab_run(lab, XDP_IN, &p, &f).out.bytes[5], 0x77);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct result r;

		fill_pairs(lab, &others[i]);
		r = lab_run(lab, XDP_IN, &p, &f);
		cr_expect(r.verdict == STACK || r.out.bytes[5] != 0x77, "%zu", i);
	}
	lab_close(lab);
}
