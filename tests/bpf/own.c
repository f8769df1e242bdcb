/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of an address of the router itself: RED_VM2 and RED_VM2_6 are its own here, as the
 * kernel's routes say. It is spoken to like a VM, and answers; nobody else sends as it, and its
 * kernel learns nothing.
 */
#include "links.h"

#define OWN_SINCE                                   \
	"route add local " RED_VM2 "/32 dev lan0\n" \
	"-6 route add local " RED_VM2_6 "/128 dev lan0\n"
#define OWN_UNTIL                                   \
	"route del local " RED_VM2 "/32 dev lan0\n" \
	"-6 route del local " RED_VM2_6 "/128 dev lan0\n"

#define WITH(p, s, d, ...) .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 8, ##__VA_ARGS__
#define PIECE(s, d, ...)                                                                       \
	.src = s, .dst = d, .proto = IPPROTO_UDP, .payload = 64, .frag_at = 0, .frag_len = 40, \
	##__VA_ARGS__
#define LATER(s, d, ...)                                                                        \
	.src = s, .dst = d, .proto = IPPROTO_UDP, .payload = 64, .frag_at = 40, .frag_len = 32, \
	##__VA_ARGS__
#define ERROR(s, d, t, q, ...) \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = t, .quote = q, ##__VA_ARGS__
#define ERROR_6(s, d, t, q, ...) \
	.src = s, .dst = d, .proto = IPPROTO_ICMPV6, .type = t, .quote = q, ##__VA_ARGS__
#define QUOTE(...) (&(const struct packet){ __VA_ARGS__ })

#define TO(p, ...)   WITH(p, GREEN_SHARED, RED_SHARED2, ##__VA_ARGS__)
#define TO_6(p, ...) WITH(p, GREEN_SHARED_6, RED_SHARED2_6, ##__VA_ARGS__)
/* As it goes to the stack. */
#define GOT(p, ...)   AFTER(WITH(p, GREEN_SHARED, RED_VM2, ##__VA_ARGS__))
#define GOT_6(p, ...) AFTER(WITH(p, GREEN_SHARED_6, RED_VM2_6, ##__VA_ARGS__))
/* An error about what the router has sent to GREEN_SHARED. */
#define ABOUT(t, q, ...)   ERROR(GREEN_SHARED, RED_SHARED2, t, q, ##__VA_ARGS__)
#define ABOUT_6(t, q, ...) ERROR_6(GREEN_SHARED_6, RED_SHARED2_6, t, q, ##__VA_ARGS__)
#define SENT(p, ...)	   QUOTE(WITH(p, RED_SHARED2, GREEN_SHARED, ##__VA_ARGS__))
#define SENT_6(p, ...)	   QUOTE(WITH(p, RED_SHARED2_6, GREEN_SHARED_6, ##__VA_ARGS__))
#define HAS_SENT(p, ...)   QUOTE(WITH(p, RED_VM2, GREEN_SHARED, ##__VA_ARGS__))
#define HAS_SENT_6(p, ...) QUOTE(WITH(p, RED_VM2_6, GREEN_SHARED_6, ##__VA_ARGS__))

/* clang-format off */
static const struct row in[] = {
	{ "UDP", ON_IN, { TO(UDP) }, GOT(UDP) },
	{ "UDP, IPv6", ON_IN, { TO_6(UDP) }, GOT_6(UDP) },
	{ "TCP", ON_IN, { TO(TCP) }, GOT(TCP) },
	{ "TCP, IPv6", ON_IN, { TO_6(TCP) }, GOT_6(TCP) },
	{ "a ping", ON_IN, { TO(ICMP) }, GOT(ICMP) },
	{ "a ping, IPv6", ON_IN, { TO_6(ICMPV6) }, GOT_6(ICMPV6) },
	{ "the last hop", ON_IN, { TO(UDP, .ttl = 1) }, GOT(UDP, .ttl = 1) },
	{ "the last hop, IPv6", ON_IN, { TO_6(UDP, .ttl = 1) }, GOT_6(UDP, .ttl = 1) },
	{ "with options", ON_IN, { TO(UDP, .options = 4) }, GOT(UDP, .options = 4) },
	{ "with extensions", ON_IN, { TO_6(UDP, .ext = "D") }, GOT_6(UDP, .ext = "D") },
	{ "the first piece", ON_IN, { PIECE(GREEN_SHARED, RED_SHARED2) },
	  AFTER(PIECE(GREEN_SHARED, RED_VM2)) },
	{ "a later piece", ON_IN, { LATER(GREEN_SHARED, RED_SHARED2) },
	  AFTER(LATER(GREEN_SHARED, RED_VM2)) },
	{ "the first piece, IPv6", ON_IN, { PIECE(GREEN_SHARED_6, RED_SHARED2_6, .ext = "F") },
	  AFTER(PIECE(GREEN_SHARED_6, RED_VM2_6, .ext = "F")) },
	{ "a later piece, IPv6", ON_IN, { LATER(GREEN_SHARED_6, RED_SHARED2_6, .ext = "F") },
	  AFTER(LATER(GREEN_SHARED_6, RED_VM2_6, .ext = "F")) },
	{ "from outside", ON_IN, { UDP("192.0.2.7", RED_SHARED2) }, DROP(FOREIGN_SOURCE) },

	{ "an error", ON_IN, { ABOUT(11, SENT(UDP)) },
	  AFTER(ERROR(GREEN_SHARED, RED_VM2, 11, HAS_SENT(UDP))) },
	{ "an error, IPv6", ON_IN, { ABOUT_6(3, SENT_6(UDP)) },
	  AFTER(ERROR_6(GREEN_SHARED_6, RED_VM2_6, 3, HAS_SENT_6(UDP))) },
	/* a socket vouches for these */
	{ "too big, about UDP", ON_IN, { ABOUT(3, SENT(UDP), .code = 4, .gateway = 1280) },
	  AFTER(ERROR(GREEN_SHARED, RED_VM2, 3, HAS_SENT(UDP), .code = 4, .gateway = 1280)) },
	{ "too big, about TCP, IPv6", ON_IN, { ABOUT_6(2, SENT_6(TCP), .gateway = 1280) },
	  AFTER(ERROR_6(GREEN_SHARED_6, RED_VM2_6, 2, HAS_SENT_6(TCP), .gateway = 1280)) },
	{ "too big, about a ping", ON_IN, { ABOUT(3, SENT(ICMP), .code = 4, .gateway = 1280) },
	  AFTER(ERROR(GREEN_SHARED, RED_VM2, 3, HAS_SENT(ICMP), .code = 4, .gateway = 1280)) },
	/* and for these nobody does */
	{ "too big, about the answer to a ping", ON_IN,
	  { ABOUT(3, SENT(ICMP, .type = ECHO_REPLY), .code = 4, .gateway = 1280) },
	  DROP(FORGED_ERROR) },
	{ "too big, about a ping, IPv6", ON_IN, { ABOUT_6(2, SENT_6(ICMPV6), .gateway = 1280) },
	  DROP(FORGED_ERROR) },
	{ "too big, about the answer to a ping, IPv6", ON_IN,
	  { ABOUT_6(2, SENT_6(ICMPV6, .type = 129), .gateway = 1280) }, DROP(FORGED_ERROR) },
	{ "an error about what another has sent", ON_IN,
	  { ABOUT(11, QUOTE(UDP(RED_SHARED, GREEN_SHARED))) }, DROP(FORGED_ERROR) },
	{ "a redirect", ON_IN, { ABOUT(5, SENT(UDP)) }, DROP(ICMP_REDIRECT) },
};

#define MARKED	    .mark = TN_HAIRPIN_MARK
static const struct row hairpin[] = {
	{ "of a VM, UDP", ON_TC, { UDP(RED_SHARED, RED_SHARED2, MARKED) },
	  AFTER(UDP(RED_SHARED, RED_VM2)) },
	{ "of a VM, a ping, IPv6", ON_TC, { WITH(ICMPV6, RED_SHARED_6, RED_SHARED2_6, MARKED) },
	  AFTER(WITH(ICMPV6, RED_SHARED_6, RED_VM2_6)) },
};
/* clang-format on */

static struct lab *open_own(const struct lab_options *o)
{
	struct lab *lab = links_open_known_as(o);

	links_ip(OWN_SINCE);
	return lab;
}

static void check(struct lab *lab, const struct row *rows, size_t n, enum program program)
{
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < n; i++) {
			struct row row = rows[i];

			if (!(row.programs & 1U << program))
				continue;
			row.xdp_leaves = row.outcome == TRANSLATED || row.before.quote;
			links_tell_again(lab);
			lab_check(lab, &row, program);
		}
	}
}

/* All that XDP does not drop it leaves to tc. */
Test(own, from_the_shared_network)
{
	for (int how = 0; how < 8; how++) {
		struct lab *lab = open_own(&(struct lab_options){ .programs = ON_IN,
								  .fast = how & 1,
								  .guards_only = how & 2,
								  .loose = how & 4,
								  .own_slots = true });

		check(lab, in, ARRAY_SIZE(in), TC_IN);
		check(lab, in, ARRAY_SIZE(in), XDP_IN);
		check(lab, hairpin, ARRAY_SIZE(hairpin), TC_IN);
		lab_close(lab);
	}
}

/* A VM is told of path MTUs, whatever it has sent; that is its own affair. */
Test(own, errors_to_whom_is_a_vm_again)
{
	/* clang-format off */
	const struct row rows[] = {
		{ "about the answer to a ping", ON_TC,
		  { ABOUT(3, SENT(ICMP, .type = ECHO_REPLY), .code = 4, .gateway = 1280) },
		  AFTER(ERROR(GREEN_SHARED, RED_VM2, 3, HAS_SENT(ICMP, .type = ECHO_REPLY), .code = 4,
			      .gateway = 1280)) },
		{ "about a ping, IPv6", ON_TC, { ABOUT_6(2, SENT_6(ICMPV6), .gateway = 1280) },
		  AFTER(ERROR_6(GREEN_SHARED_6, RED_VM2_6, 2, HAS_SENT_6(ICMPV6), .gateway = 1280)) },
	};
	/* clang-format on */
	struct lab *lab = open_own(&(struct lab_options){ .programs = ON_TC });

	links_ip(OWN_UNTIL);
	check(lab, rows, ARRAY_SIZE(rows), TC_IN);
	lab_close(lab);
}

/* ---------------------------------------------------------------- its answers */

static void check_answers(const char *commands, const struct row *rows, size_t n)
{
	for (int fast = 0; fast < 2; fast++) {
		struct lab *lab =
			open_own(&(struct lab_options){ .programs = ON_TC, .fast = fast });

		links_ip(commands);
		check(lab, rows, n, TC_IN);
		lab_close(lab);
	}
}

#define UPLINK "route add default dev up0 table 9\n-6 route add ::/0 dev up0 table 9\n"

/* They would leave by the uplink, with the private address. */
Test(own, answers_by_a_rule_of_its_address)
{
	/* clang-format off */
	const struct row rows[] = {
		{ "UDP", ON_TC, { TO(UDP) }, TELL(WRONG_EGRESS) },
		{ "UDP, IPv6", ON_TC, { TO_6(UDP) }, TELL(WRONG_EGRESS) },
		{ "a ping", ON_TC, { TO(ICMP) }, TELL(WRONG_EGRESS) },
		{ "TCP, IPv6", ON_TC, { TO_6(TCP) }, TELL(WRONG_EGRESS) },
	};
	/* clang-format on */
	check_answers("rule add from " RED_VM2 " table 9\n-6 rule add from " RED_VM2_6
		      " table 9\n" UPLINK,
		      rows, ARRAY_SIZE(rows));
}

Test(own, answers_by_a_rule_of_ports)
{
	/* clang-format off */
	const struct row rows[] = {
		{ "from that port", ON_TC, { TO(TCP, .dport = 443) }, TELL(WRONG_EGRESS) },
		{ "from that port, IPv6", ON_TC, { TO_6(TCP, .dport = 443) }, TELL(WRONG_EGRESS) },
		{ "from another port", ON_TC, { TO(TCP) }, GOT(TCP) },
		{ "by another protocol, IPv6", ON_TC, { TO_6(UDP, .dport = 443) },
		  GOT_6(UDP, .dport = 443) },
	};
	/* clang-format on */
	check_answers("rule add ipproto tcp sport 443 table 9\n"
		      "-6 rule add ipproto tcp sport 443 table 9\n" UPLINK,
		      rows, ARRAY_SIZE(rows));
}

/* An error about what no socket of the router takes goes by that. */
Test(own, answers_by_a_rule_of_icmp)
{
	/* clang-format off */
	const struct row rows[] = {
		{ "UDP", ON_TC, { TO(UDP) }, TELL(WRONG_EGRESS) },
		{ "UDP, IPv6", ON_TC, { TO_6(UDP) }, TELL(WRONG_EGRESS) },
	};
	/* clang-format on */
	check_answers("rule add from " RED_VM2 " ipproto icmp table 9\n-6 rule add from " RED_VM2_6
		      " ipproto ipv6-icmp table 9\n" UPLINK,
		      rows, ARRAY_SIZE(rows));
}

/* ---------------------------------------------------------------- who sends as it */

#define BY_VM .from = MAC_VM, .ifindex = links_inside

Test(own, no_vm_sends_as_it)
{
	for (int how = 0; how < 6; how++) {
		const struct lab_options o = { .programs = ON_INSIDE,
					       .fast = how & 1,
					       .loose = how / 2 == 1,
					       .feasible = how / 2 == 2,
					       .own_slots = true };
		struct lab *lab = open_own(&o);
		/* clang-format off */
		const struct row rows[] = {
			{ "UDP", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED, BY_VM) },
			  DROP(SPOOFED_SOURCE) },
			{ "UDP, IPv6", ON_INSIDE, { UDP(RED_VM2_6, GREEN_SHARED_6, BY_VM) },
			  DROP(SPOOFED_SOURCE) },
			{ "a ping", ON_INSIDE, { WITH(ICMP, RED_VM2, GREEN_SHARED, BY_VM) },
			  DROP(SPOOFED_SOURCE) },
			{ "to another VM", ON_INSIDE, { UDP(RED_VM2, RED_SHARED, BY_VM) },
			  DROP(SPOOFED_SOURCE) },
			{ "a VM to it", ON_INSIDE, { UDP(RED_VM, RED_SHARED2, BY_VM) },
			  TURNED_BACK(UDP(RED_SHARED, RED_SHARED2, .from = MAC_VM)) },
		};
		/* clang-format on */

		check(lab, rows, ARRAY_SIZE(rows), INSIDE_IN);
		lab_close(lab);
	}
}

/* What was a VM is not believed any more when the router gets its address, whatever is cached. */
Test(own, from_a_vm_to_the_router)
{
	for (int loose = 0; loose < 2; loose++) {
		struct lab *lab = links_open_known_as(
			&(struct lab_options){ .programs = ON_INSIDE, .loose = loose });
		const struct row as_vm = {
			"as a VM", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED, BY_VM) }, PASS
		};
		const struct row as_router = { "as the router",
					       ON_INSIDE,
					       { UDP(RED_VM2, GREEN_SHARED, BY_VM) },
					       DROP(SPOOFED_SOURCE) };

		links_ip("neigh add " RED_VM2 " lladdr " MAC_VM " dev lan0 nud permanent\n");
		for (int i = 0; i < 3; i++)
			lab_check(lab, &as_vm, INSIDE_IN);
		links_ip(OWN_SINCE);
		lab_check(lab, &as_router, INSIDE_IN);
		links_ip(OWN_UNTIL);
		lab_check(lab, &as_vm, INSIDE_IN);
		lab_close(lab);
	}
}

/* ---------------------------------------------------------------- what it sends */

/* clang-format off */
static const struct row out[] = {
	{ "UDP", ON_OUT, { UDP(RED_VM2, GREEN_SHARED) }, AFTER(UDP(RED_SHARED2, GREEN_SHARED)) },
	{ "UDP, IPv6", ON_OUT, { UDP(RED_VM2_6, GREEN_SHARED_6) },
	  AFTER(UDP(RED_SHARED2_6, GREEN_SHARED_6)) },
	{ "the answer to a ping", ON_OUT, { WITH(ICMP, RED_VM2, GREEN_SHARED, .type = ECHO_REPLY) },
	  AFTER(WITH(ICMP, RED_SHARED2, GREEN_SHARED, .type = ECHO_REPLY)) },
	{ "its error", ON_OUT,
	  { ERROR(RED_VM2, GREEN_SHARED, 3, QUOTE(UDP(GREEN_SHARED, RED_VM2)), .code = 3) },
	  AFTER(ERROR(RED_SHARED2, GREEN_SHARED, 3, QUOTE(UDP(GREEN_SHARED, RED_SHARED2)),
		      .code = 3)) },
	{ "its error, IPv6", ON_OUT,
	  { ERROR_6(RED_VM2_6, GREEN_SHARED_6, 1, QUOTE(UDP(GREEN_SHARED_6, RED_VM2_6)), .code = 4) },
	  AFTER(ERROR_6(RED_SHARED2_6, GREEN_SHARED_6, 1, QUOTE(UDP(GREEN_SHARED_6, RED_SHARED2_6)),
			.code = 4)) },
	{ "to a VM of its own", ON_OUT, { UDP(RED_VM2, RED_SHARED) },
	  TURNED_BACK(UDP(RED_SHARED2, RED_SHARED)) },
	{ "as it, from the uplink", ON_OUT, { UDP(RED_VM2, GREEN_SHARED, .ingress = LINKS_UPLINK) },
	  DROP(WRONG_INGRESS) },
	{ "as it, from the shared network", ON_OUT, { UDP(RED_VM2, GREEN_SHARED, .ingress = 1) },
	  DROP(WRONG_INGRESS) },
};
/* clang-format on */

Test(own, to_the_shared_network)
{
	for (int fast = 0; fast < 2; fast++) {
		struct lab *lab =
			open_own(&(struct lab_options){ .programs = ON_OUT, .fast = fast });

		check(lab, out, ARRAY_SIZE(out), TC_OUT);
		lab_close(lab);
	}
}
