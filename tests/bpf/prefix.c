/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of prefixes: each address of the one becomes that of the other, but for exceptions and
 * for those that have a mapping of their own.
 */
#include <bpf/bpf.h>

#include "links.h"

/* Neither is in the fixture. */
#define VM	 "10.0.0.77"
#define SHARED	 "100.64.1.77"
#define VM_6	 "fd00:10::77"
#define SHARED_6 "fd64::1:77"
#define PEER	 "100.64.2.200" /* of green's prefix */
#define PEER_6	 "fd64::2:200"

#define EXCEPTED	  "10.0.0.1"
#define EXCEPTED_SHARED	  "100.64.1.1"
#define EXCEPTED_6	  "fd00:10::1"
#define EXCEPTED_SHARED_6 "fd64::1:1"
/* a mapping of its own, elsewhere */
#define OWN	   "10.0.0.9"
#define OWN_SHARED "100.64.7.9"

static struct lab *open_lab(struct lab_options o)
{
	struct lab *lab;

	o.as_prefixes = true;
	lab = lab_open(&o);
	lab_except(lab, RED, EXCEPTED, EXCEPTED_SHARED);
	lab_except(lab, RED, EXCEPTED_6, EXCEPTED_SHARED_6);
	lab_map(lab, RED, OWN, OWN_SHARED);
	return lab;
}

#define OUT_OF(s, d) UDP(s, d), .from = MAC_ROUTER, .to = MAC_PEER
#define NOBODY	     "00:00:00:00:00:00"
#define ASK(s, t)                                           \
	.arp = &(const struct arp){ .op = 1,                \
				    .sender_mac = MAC_PEER, \
				    .sender = s,            \
				    .target_mac = NOBODY,   \
				    .target = t },          \
	.to = MAC_BROADCAST
#define REPLY(s, t)                                           \
	.arp = &(const struct arp){ .op = 2,                  \
				    .sender_mac = MAC_ROUTER, \
				    .sender = s,              \
				    .target_mac = MAC_PEER,   \
				    .target = t },            \
	.from = MAC_ROUTER, .to = MAC_PEER

/* clang-format off */
static const struct row rows[] = {
	{ "any address, in", ON_IN, { UDP(PEER, SHARED) }, AFTER(UDP(PEER, VM)) },
	{ "any address, in, IPv6", ON_IN, { UDP(PEER_6, SHARED_6) }, AFTER(UDP(PEER_6, VM_6)) },
	{ "the first address", ON_IN, { UDP(PEER, "100.64.1.0") }, AFTER(UDP(PEER, "10.0.0.0")) },
	{ "the last address", ON_IN, { UDP(PEER, "100.64.1.255") }, AFTER(UDP(PEER, "10.0.0.255")) },
	{ "before the first one", ON_IN, { UDP(PEER, "100.64.0.255") }, DROP(UNMAPPED) },
	{ "behind the last one, which is green's", ON_IN, { UDP(PEER, "100.64.2.0") },
	  DROP(UNMAPPED) },
	{ "another router's", ON_IN, { UDP(PEER, "100.64.3.77") }, DROP(UNMAPPED) },
	{ "any address, out", ON_OUT, { OUT_OF(VM, PEER) }, AFTER(OUT_OF(SHARED, PEER)) },
	{ "any address, out, IPv6", ON_OUT, { OUT_OF(VM_6, PEER_6) },
	  AFTER(OUT_OF(SHARED_6, PEER_6)) },
	{ "the last address, out, IPv6", ON_OUT, { OUT_OF("fd00:10::ffff", PEER_6) },
	  AFTER(OUT_OF("fd64::1:ffff", PEER_6)) },
	{ "behind it", ON_OUT, { OUT_OF("fd00:10::1:0", PEER_6) }, DROP(UNTRANSLATED) },

	{ "an exception, in", ON_IN, { UDP(PEER, EXCEPTED_SHARED) }, DROP(UNMAPPED) },
	{ "an exception, in, IPv6", ON_IN, { UDP(PEER_6, EXCEPTED_SHARED_6) }, DROP(UNMAPPED) },
	{ "an exception, out", ON_OUT, { OUT_OF(EXCEPTED, PEER) }, DROP(UNTRANSLATED) },
	{ "an exception, out, IPv6", ON_OUT, { OUT_OF(EXCEPTED_6, PEER_6) }, DROP(UNTRANSLATED) },
	{ "a mapping of its own, in", ON_IN, { UDP(PEER, OWN_SHARED) }, AFTER(UDP(PEER, OWN)) },
	{ "a mapping of its own, out", ON_OUT, { OUT_OF(OWN, PEER) },
	  AFTER(OUT_OF(OWN_SHARED, PEER)) },

	{ "as one of this router's own", ON_IN, { UDP("100.64.1.99", SHARED) },
	  DROP(SPOOFED_SOURCE) },
	{ "as one of this router's own, IPv6", ON_IN, { UDP("fd64::1:99", SHARED_6) },
	  DROP(SPOOFED_SOURCE) },
	{ "to another VM of the router", ON_OUT, { OUT_OF(VM, "100.64.1.78") },
	  TURNED_BACK(UDP(SHARED, "100.64.1.78", .from = MAC_ROUTER)) },

	{ "ARP, any address", ON_TC, { ASK(PEER, SHARED) }, ANSWER(REPLY(SHARED, PEER)) },
	{ "ARP, an exception", ON_TC, { ASK(PEER, EXCEPTED_SHARED) }, PASS },
	{ "ARP, another router's", ON_TC, { ASK(PEER, "100.64.3.77") }, PASS },
	{ "ARP, somebody says that he has one", ON_TC, { ASK(SHARED, SHARED) },
	  DROP(SPOOFED_SOURCE) },
};
/* clang-format on */

static void check_rows(enum program program)
{
	struct lab *lab = open_lab((struct lab_options){ .programs = 1U << program });

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].programs & 1U << program)
			lab_check(lab, &rows[i], program);
	}
	lab_close(lab);
}

Test(prefix, rows_on_xdp)
{
	check_rows(XDP_IN);
}

Test(prefix, rows_on_tc)
{
	check_rows(TC_IN);
}

Test(prefix, rows_out)
{
	check_rows(TC_OUT);
}

/* Another router of this machine has that prefix, and its MAC address is known. */
Test(prefix, a_sender_of_another_router)
{
	static const struct row row = {
		"from elsewhere", ON_TC, { UDP("100.64.3.88", SHARED) }, DROP(SPOOFED_SOURCE)
	};
	static const struct row right = { "from its router",
					  ON_TC,
					  { UDP("100.64.3.88", SHARED), .from = MAC_OTHER },
					  AFTER(UDP("100.64.3.88", VM), .from = MAC_OTHER) };
	struct lab *lab = open_lab((struct lab_options){ .programs = ON_TC });

	lab_router_port(lab, BLUE, MAC_OTHER);
	lab_check(lab, &row, TC_IN);
	lab_check(lab, &right, TC_IN);
	lab_close(lab);
}

/* ---------------------------------------------------------------- rules and limits */

#define TENANT_RED   2
#define TENANT_GREEN 1

static const struct row from_green = {
	"from green", ON_TC, { UDP(PEER, SHARED) }, AFTER(UDP(PEER, VM))
};
static const struct row refused = {
	"from green", ON_TC, { UDP(PEER, SHARED) }, DROP(NOT_ACCEPTED)
};
static const struct row refused_6 = {
	"from green", ON_TC, { UDP(PEER_6, SHARED_6) }, DROP(NOT_ACCEPTED)
};

Test(prefix, rules_name_it_by_its_first_address)
{
	struct lab *lab = open_lab((struct lab_options){ .programs = ON_TC, .strict = true });

	lab_check(lab, &refused, TC_IN);
	lab_accept(lab, RED, "100.64.1.0", TENANT_GREEN, TN_CLASS_UDP, 80, 80, 7);
	lab_check(lab, &from_green, TC_IN);
	cr_expect_eq(lab_hits(lab, 7), 1);
	/* of the other family nothing was said */
	lab_check(lab, &refused_6, TC_IN);
	lab_close(lab);
}

/* `from` names green's prefix. */
Test(prefix, rules_name_the_sender_by_it)
{
	static const struct row other = {
		"another of green's", ON_TC, { UDP("100.64.8.8", SHARED) }, DROP(NOT_ACCEPTED)
	};
	struct tn_accept_key key = { .sender = addr_of("100.64.2.0"),
				     .tenant = TENANT_RED,
				     .from = TENANT_GREEN };
	struct tn_accept all = { .rule = 9 };
	struct tn_addr first = addr_of("100.64.2.0");
	struct tn_shared green;
	struct lab *lab = open_lab((struct lab_options){ .programs = ON_TC, .strict = true });
	int by_shared = lab_map_fd(lab, "by_shared");

	lab_map(lab, GREEN, "10.8.8.8", "100.64.8.8");
	need(bpf_map_lookup_elem(by_shared, &first, &green) == 0, "green");
	green.flags |= TN_SHARED_SENDER;
	need(bpf_map_update_elem(by_shared, &first, &green, BPF_EXIST) == 0, "green");
	need(bpf_map_update_elem(lab_map_fd(lab, "accepts"), &key, &all, BPF_ANY) == 0, "accepts");
	lab_changed(lab);
	lab_check(lab, &from_green, TC_IN);
	cr_expect_eq(lab_hits(lab, 9), 1);
	lab_check(lab, &other, TC_IN);
	lab_close(lab);
}

/* One bucket is all VMs'. */
Test(prefix, one_limit_for_all)
{
	static const struct row first = {
		"the first VM", ON_TC, { UDP(PEER, SHARED) }, AFTER(UDP(PEER, VM))
	};
	static const struct row second = {
		"the next one", ON_TC, { UDP(PEER, "100.64.1.78") }, DROP(LIMIT)
	};
	const struct tn_limit one = { .packets = 1, .packet_burst = 1 };
	struct lab *lab = open_lab((struct lab_options){ .programs = ON_TC });

	lab_limit(lab, "100.64.1.0", &one);
	lab_check(lab, &first, TC_IN);
	lab_check(lab, &second, TC_IN);
	lab_close(lab);
}

/* ---------------------------------------------------------------- what is known of a pair */

static enum verdict run(struct lab *lab, enum program program, const struct packet *p,
			struct frame *out)
{
	struct frame f = packet_build(p);
	struct result r = lab_run(lab, program, p, &f);

	*out = r.out;
	return r.verdict;
}

static void expect_address(const struct frame *f, size_t at, const char *want)
{
	struct tn_addr a = addr_of(want), got;

	got = addr_is_v4(&a) ? addr_from_bytes(f->bytes + at, 4)
			     : addr_from_bytes(f->bytes + at, 16);
	cr_expect_eq(addr_cmp(&a, &got), 0, "%s instead of %s", ADDR(&got), want);
}

#define V4_DST (ETH_HLEN + 16)
#define V4_SRC (ETH_HLEN + 12)
#define V6_DST (ETH_HLEN + 24)
#define V6_SRC (ETH_HLEN + 8)

/* By the long way, then by what was kept, and when the tables have changed by these alone. */
Test(prefix, what_is_kept_is_of_one_address)
{
	static const struct {
		struct packet p;
		size_t at;
		const char *now;
	} cases[] = {
		{ { UDP(PEER, RED_SHARED) }, V4_DST, RED_VM },
		{ { UDP(PEER, SHARED) }, V4_DST, VM },
		{ { UDP(PEER_6, RED_SHARED_6) }, V6_DST, RED_VM_6 },
		{ { UDP(PEER_6, SHARED_6) }, V6_DST, VM_6 },
	};

	for (int path = BY_STACK; path <= PAST_STACK_ASKING; path++) {
		struct lab *lab = links_open_known_as(
			&(struct lab_options){ .programs = ON_TC,
					       .as_prefixes = true,
					       .fast = path != BY_STACK,
					       .own_slots = true,
					       .reads_nothing = path == PAST_STACK_ASKING });
		uint64_t drops = lab_drops(lab);
		struct frame out;

		for (int round = 0; round < 4; round++) {
			for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
				run(lab, TC_IN, &cases[i].p, &out);
				expect_address(&out, cases[i].at, cases[i].now);
			}
			if (round == 2)
				lab_changed(lab);
		}
		cr_expect_eq(lab_drops(lab), drops);
		/* an exception comes: what was kept of the pair is not believed */
		lab_except(lab, RED, VM, SHARED);
		cr_expect_eq(run(lab, TC_IN, &cases[1].p, &out), GONE);
		cr_expect_neq(run(lab, TC_IN, &cases[0].p, &out), GONE);
		lab_close(lab);
	}
}

/* From a VM: who sends, and by which address. */
Test(prefix, what_vms_send)
{
	static const struct packet known = { UDP(RED_VM, GREEN_SHARED), .from = MAC_VM };
	static const struct packet known_6 = { UDP(RED_VM_6, GREEN_SHARED_6), .from = MAC_VM };
	static const struct packet spoofed = { UDP(VM, GREEN_SHARED), .from = MAC_VM };

	for (int fast = 0; fast < 2; fast++) {
		for (int loose = 0; loose < 2; loose++) {
			struct lab *lab =
				links_open_known_as(&(struct lab_options){ .programs = ON_INSIDE,
									   .as_prefixes = true,
									   .fast = fast,
									   .loose = loose,
									   .own_slots = true });
			struct packet p = known, six = known_6, other = spoofed;
			struct frame out;

			p.ifindex = six.ifindex = other.ifindex = links_inside;
			for (int round = 0; round < 3; round++) {
				cr_expect_neq(run(lab, INSIDE_IN, &p, &out), GONE);
				expect_address(&out, V4_SRC, fast ? RED_SHARED : RED_VM);
				cr_expect_neq(run(lab, INSIDE_IN, &six, &out), GONE);
				expect_address(&out, V6_SRC, fast ? RED_SHARED_6 : RED_VM_6);
				cr_expect_eq(run(lab, INSIDE_IN, &other, &out) == GONE, !loose);
			}
			lab_close(lab);
		}
	}
}

/* XDP sends on itself what is known of the pair. */
Test(prefix, past_xdp)
{
	static const struct packet in[] = { { UDP(PEER, RED_SHARED) },
					    { UDP(PEER_6, RED_SHARED_6) } };
	struct lab *lab = links_open_known_as(&(struct lab_options){
		.programs = ON_XDP | ON_IN, .as_prefixes = true, .fast = true, .own_slots = true });
	struct frame out;

	links_take_xdp(lab);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		run(lab, TC_IN, &in[i], &out); /* it alone asks the kernel */
		cr_expect_eq(run(lab, XDP_IN, &in[i], &out), BACK, "%zu", i);
		expect_address(&out, i ? V6_DST : V4_DST, i ? RED_VM_6 : RED_VM);
	}
	lab_close(lab);
}

/* ---------------------------------------------------------------- fragments, hairpin */

Test(prefix, fragments_follow_the_first)
{
	static const struct row first = { "the first one",
					  ON_TC,
					  { .src = PEER,
					    .dst = SHARED,
					    .proto = IPPROTO_UDP,
					    .payload = 3000,
					    .frag_len = 1480 },
					  AFTER(.src = PEER, .dst = VM, .proto = IPPROTO_UDP,
						.payload = 3000, .frag_len = 1480) };
	static const struct row last = { "the last one",
					 ON_TC,
					 { .src = PEER,
					   .dst = SHARED,
					   .proto = IPPROTO_UDP,
					   .payload = 3000,
					   .frag_at = 1480,
					   .frag_len = 1528 },
					 AFTER(.src = PEER, .dst = VM, .proto = IPPROTO_UDP,
					       .payload = 3000, .frag_at = 1480,
					       .frag_len = 1528) };
	static const struct row alone = { "of another VM",
					  ON_TC,
					  { .src = PEER,
					    .dst = RED_SHARED,
					    .proto = IPPROTO_UDP,
					    .payload = 3000,
					    .frag_at = 1480,
					    .frag_len = 1528 },
					  DROP(FRAGMENT) };
	struct lab *lab = open_lab((struct lab_options){ .programs = ON_TC, .strict = true });

	lab_accept(lab, RED, "100.64.1.0", TENANT_GREEN, TN_CLASS_UDP, 80, 80, 7);
	lab_check(lab, &first, TC_IN);
	lab_check(lab, &last, TC_IN);
	lab_check(lab, &alone, TC_IN);
	lab_close(lab);
}

Test(prefix, hairpin)
{
	static const struct row out = { "from a VM to another one",
					ON_INSIDE,
					{ UDP(RED_VM, "100.64.1.78"), .from = MAC_VM },
					TURNED_BACK(UDP(RED_SHARED, "100.64.1.78"),
						    .from = MAC_VM) };
	static const struct row in = { "and in again",
				       ON_TC,
				       { UDP(RED_SHARED, "100.64.1.78"), .mark = TN_HAIRPIN_MARK },
				       AFTER(UDP(RED_SHARED, "10.0.0.78")) };
	struct lab *lab = links_open_known_as(
		&(struct lab_options){ .programs = ON_INSIDE | ON_TC, .as_prefixes = true });
	struct row row = out;

	row.before.ifindex = links_inside;
	lab_check(lab, &row, INSIDE_IN);
	lab_check(lab, &in, TC_IN);
	lab_close(lab);
}
