/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP errors: the packet that they quote is translated with them. Both ways the
 * receiver has to find the packet as it sent it, so that each description below
 * quotes one with the addresses that its sender knows.
 */
#include "harness.h"

/* How a packet is quoted. */
struct quoting {
	const char *what;
	bool v4, v6;
	uint16_t bytes; /* of the quoted IPv4 packet; 0: all */
	struct packet quote;
	uint16_t trailer;
	bool tuned; /* the quoted checksum comes to zero once translated */
};

/* clang-format off */
static const struct quoting quotings[] = {
	{ "UDP, whole", true, true, 0, { .proto = IPPROTO_UDP, .payload = 40 }, 0, false },
	{ "UDP, odd length", true, true, 0, { .proto = IPPROTO_UDP, .payload = 41 }, 0, false },
	{ "UDP, the least quoted", true, false, 28, { .proto = IPPROTO_UDP, .payload = 40 }, 0,
	  false },
	{ "UDP, the least quoted, padded", true, false, 28, { .proto = IPPROTO_UDP, .payload = 40 },
	  4, false },
	{ "UDP without checksum", true, true, 0,
	  { .proto = IPPROTO_UDP, .payload = 40, .csum = CSUM_ABSENT }, 0, false },
	{ "UDP whose checksum comes to zero", true, true, 0, { .proto = IPPROTO_UDP, .payload = 40 },
	  0, true },
	{ "TCP, whole", true, true, 0, { .proto = IPPROTO_TCP, .payload = 400 }, 0, false },
	{ "TCP, the least quoted: no checksum", true, false, 28, { .proto = IPPROTO_TCP }, 0, false },
	/* half a checksum cannot be kept right, and nobody looks at it: it stays */
	{ "TCP, cut in its checksum", true, false, 37,
	  { .proto = IPPROTO_TCP, .csum = CSUM_ABSENT }, 0, false },
	{ "TCP, cut in its checksum, padded", true, false, 37,
	  { .proto = IPPROTO_TCP, .csum = CSUM_ABSENT }, 6, false },
	{ "TCP, cut behind its checksum", true, false, 38, { .proto = IPPROTO_TCP }, 0, false },
	{ "TCP behind IP options", true, false, 0,
	  { .proto = IPPROTO_TCP, .options = 12, .payload = 9 }, 0, false },
	{ "TCP behind extension headers", false, true, 0,
	  { .proto = IPPROTO_TCP, .ext = "HDR", .payload = 9 }, 0, false },
	{ "UDP-Lite", true, true, 0, { .proto = IPPROTO_UDPLITE, .payload = 9 }, 0, false },
	{ "ping", true, false, 0, { .proto = IPPROTO_ICMP, .payload = 9 }, 0, false },
	{ "ping, IPv6", false, true, 0, { .proto = IPPROTO_ICMPV6, .payload = 9 }, 0, false },
	{ "SCTP", true, true, 0, { .proto = IPPROTO_SCTP, .payload = 8 }, 0, false },
	{ "an IP header alone", true, true, 0, { .proto = 253 }, 0, false },
	{ "a first fragment", true, false, 0,
	  { .proto = IPPROTO_UDP, .payload = 3000, .frag_len = 512 }, 0, false },
	{ "a last fragment", true, false, 0,
	  { .proto = IPPROTO_UDP, .payload = 520, .frag_at = 512, .frag_len = 16 }, 0, false },
	{ "a last fragment, IPv6", false, true, 0,
	  { .proto = IPPROTO_UDP, .payload = 520, .ext = "F", .frag_at = 512, .frag_len = 16 }, 0,
	  false },
};
/* clang-format on */

struct end {
	const char *vm, *shared, *peer, *router;
};

static const struct end ends[] = {
	{ RED_VM_6, RED_SHARED_6, GREEN_SHARED_6, RED_OWN_6 },
	{ RED_VM, RED_SHARED, GREEN_SHARED, RED_OWN },
};

/* An error of `from` to `to`, about a packet from `quoted_src` to `quoted_dst`. */
static struct packet error(const struct quoting *q, struct packet *quote, const char *from,
			   const char *to, const char *quoted_src, const char *quoted_dst)
{
	bool v4 = !strchr(from, ':');

	*quote = q->quote;
	quote->src = quoted_src;
	quote->dst = quoted_dst;
	return (struct packet){ .src = from,
				.dst = to,
				.type = v4 ? 3 : 1,
				.code = v4 ? 3 : 4,
				.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				.quote = quote,
				.quoted = q->bytes,
				.gateway = 1280,
				.trailer = q->trailer };
}

static void tune(struct row *row, struct packet *quote_before, struct packet *quote_after)
{
	packet_tune(quote_after, 0);
	quote_before->tune = quote_after->tune;
	row->before.quote = quote_before;
	row->after.quote = quote_after;
}

/* X sent to Y; the error that came back is wanted as the fields of `e` say. */
static void check(struct lab *lab, enum program program, const struct quoting *q, bool v4)
{
	const struct end *e = &ends[v4];
	struct packet old, new;
	struct row row = { .what = q->what, .outcome = TRANSLATED, .xdp_leaves = true };

	if (program != TC_OUT) {
		row.before = error(q, &old, e->peer, e->shared, e->shared, e->peer);
		row.after = error(q, &new, e->peer, e->vm, e->vm, e->peer);
	} else {
		row.before = error(q, &old, e->vm, e->peer, e->peer, e->vm);
		row.after = error(q, &new, e->shared, e->peer, e->peer, e->shared);
	}
	if (q->tuned)
		tune(&row, &old, &new);
	lab_check(lab, &row, program);
	if (program != TC_OUT)
		return;
	/* the router's own error about what it could not deliver to the VM */
	row.uncounted = true;
	row.before.src = row.after.src = e->router;
	lab_check(lab, &row, program);
}

static void check_quotings_of(enum program program, bool as_prefixes)
{
	struct lab *lab = lab_open(
		&(struct lab_options){ .programs = 1U << program, .as_prefixes = as_prefixes });

	for (size_t i = 0; i < ARRAY_SIZE(quotings); i++) {
		if (quotings[i].v4)
			check(lab, program, &quotings[i], true);
		if (quotings[i].v6)
			check(lab, program, &quotings[i], false);
	}
	lab_close(lab);
}

static void check_quotings(enum program program)
{
	check_quotings_of(program, false);
	check_quotings_of(program, true);
}

Test(icmp, errors_on_xdp)
{
	check_quotings(XDP_IN);
}

Test(icmp, errors_in)
{
	check_quotings(TC_IN);
}

Test(icmp, errors_out)
{
	check_quotings(TC_OUT);
}

#define QUOTE(s, d)                     \
	.quote = &(const struct packet) \
	{                               \
		UDP(s, d)               \
	}
#define ERROR(s, d, t, ...)   .src = s, .dst = d, .proto = IPPROTO_ICMP, .type = t, ##__VA_ARGS__
#define ERROR_6(s, d, t, ...) .src = s, .dst = d, .proto = IPPROTO_ICMPV6, .type = t, ##__VA_ARGS__
/* about what VM sent to green, and as it has to get there */
#define ABOUT_SENT   QUOTE(RED_SHARED, GREEN_SHARED)
#define ABOUT_SENT_6 QUOTE(RED_SHARED_6, GREEN_SHARED_6)
#define TO_VM(t, ...)                                                                      \
	AFTER(ERROR(GREEN_SHARED, RED_VM, t, QUOTE(RED_VM, GREEN_SHARED), ##__VA_ARGS__)), \
		.xdp_leaves = true
#define TO_VM_6(t, ...)                                                             \
	AFTER(ERROR_6(GREEN_SHARED_6, RED_VM_6, t, QUOTE(RED_VM_6, GREEN_SHARED_6), \
		      ##__VA_ARGS__)),                                              \
		.xdp_leaves = true

#define TURN(...) TURNED_BACK(__VA_ARGS__), .uncounted = true

/* clang-format off */
static const struct row rows[] = {
	{ "fragmentation needed, its MTU kept", ON_IN,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, ABOUT_SENT, .code = 4, .gateway = 1280) },
	  TO_VM(3, .code = 4, .gateway = 1280) },
	{ "source quench", ON_IN, { ERROR(GREEN_SHARED, RED_SHARED, 4, ABOUT_SENT) }, TO_VM(4) },
	{ "time exceeded", ON_IN, { ERROR(GREEN_SHARED, RED_SHARED, 11, ABOUT_SENT) }, TO_VM(11) },
	{ "parameter problem", ON_IN, { ERROR(GREEN_SHARED, RED_SHARED, 12, ABOUT_SENT) },
	  TO_VM(12) },
	{ "packet too big, its MTU kept", ON_IN,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 2, ABOUT_SENT_6, .gateway = 1280) },
	  TO_VM_6(2, .gateway = 1280) },
	{ "time exceeded, IPv6", ON_IN, { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 3, ABOUT_SENT_6) },
	  TO_VM_6(3) },
	{ "parameter problem, IPv6", ON_IN,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 4, ABOUT_SENT_6) }, TO_VM_6(4) },
	{ "an error of an unknown type, IPv6", ON_IN,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 100, ABOUT_SENT_6) }, TO_VM_6(100) },
	{ "with a wrong checksum, which stays wrong", ON_IN,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, ABOUT_SENT, .csum = CSUM_WRONG) },
	  TO_VM(3, .csum = CSUM_WRONG) },
	{ "from a router on the way", ON_IN, { ERROR(BLUE_OWN, RED_SHARED, 11, ABOUT_SENT) },
	  AFTER(ERROR(BLUE_OWN, RED_VM, 11, QUOTE(RED_VM, GREEN_SHARED))), .xdp_leaves = true },
	{ "to the router itself", ON_IN,
	  { ERROR(GREEN_SHARED, RED_OWN, 3, QUOTE(RED_OWN, GREEN_SHARED)) }, PASS },

	{ "about a packet of another VM", ON_TC,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, QUOTE(RED_SHARED2, GREEN_SHARED)) },
	  DROP(FORGED_ERROR) },
	{ "about a packet of another VM, IPv6", ON_TC,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 1, QUOTE(RED_SHARED2_6, GREEN_SHARED_6)) },
	  DROP(FORGED_ERROR) },
	{ "about a packet of the private address", ON_TC,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, QUOTE(RED_VM, GREEN_SHARED)) }, DROP(FORGED_ERROR) },
	{ "about a packet to the VM", ON_TC,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, QUOTE(GREEN_SHARED, RED_SHARED)) },
	  DROP(FORGED_ERROR) },
	{ "a redirect", ON_TC, { ERROR(GREEN_SHARED, RED_SHARED, 5, ABOUT_SENT) },
	  DROP(ICMP_REDIRECT) },
	{ "a quoted header cut off", ON_TC,
	  { ERROR(GREEN_SHARED, RED_SHARED, 3, ABOUT_SENT, .quoted = 19) }, DROP(MALFORMED) },
	{ "a quoted header cut off, IPv6", ON_TC,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 1, ABOUT_SENT_6, .quoted = 39) },
	  DROP(MALFORMED) },
	{ "nothing quoted", ON_TC, { ERROR(GREEN_SHARED, RED_SHARED, 3) }, DROP(MALFORMED) },
	{ "nothing quoted, IPv6", ON_TC, { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 1) },
	  DROP(MALFORMED) },
	{ "IPv6 quoted in IPv4", ON_TC, { ERROR(GREEN_SHARED, RED_SHARED, 3, ABOUT_SENT_6) },
	  DROP(MALFORMED) },
	{ "IPv4 quoted in IPv6", ON_TC,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED_6, 1,
		    .quote = &(const struct packet){ .src = RED_SHARED, .dst = GREEN_SHARED,
						     .proto = IPPROTO_UDP, .payload = 40 }) },
	  DROP(MALFORMED) },
	{ "from outside the shared network", ON_IN, { ERROR("8.8.8.8", RED_SHARED, 3, ABOUT_SENT) },
	  DROP(FOREIGN_SOURCE) },

	{ "of a VM, about a packet to another", ON_OUT,
	  { ERROR(RED_VM, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM2)) }, DROP(FORGED_ERROR) },
	{ "of a VM, about a packet to its shared address", ON_OUT,
	  { ERROR(RED_VM, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_SHARED)) },
	  DROP(FORGED_ERROR) },
	{ "of a VM, quoting a private source", ON_OUT,
	  { ERROR(RED_VM, GREEN_SHARED, 3, QUOTE(RED_VM2, RED_VM)) }, DROP(UNTRANSLATED) },
	{ "of a VM, quoting a private source, IPv6", ON_OUT,
	  { ERROR_6(RED_VM_6, GREEN_SHARED_6, 1, QUOTE(RED_VM2_6, RED_VM_6)) },
	  DROP(UNTRANSLATED) },
	{ "of a VM, to another than whose packet it is about", ON_OUT,
	  { ERROR(RED_VM, GREEN_SHARED, 3, QUOTE(BLUE_SHARED, RED_VM)) }, DROP(FORGED_ERROR) },
	{ "of a VM, to another than whose packet it is about, IPv6", ON_OUT,
	  { ERROR_6(RED_VM_6, GREEN_SHARED_6, 1, QUOTE(BLUE_SHARED_6, RED_VM_6)) },
	  DROP(FORGED_ERROR) },
	{ "of the router, to another than whose packet it is about", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, 3, QUOTE(BLUE_SHARED, RED_VM)) }, DROP(FORGED_ERROR) },
	{ "of a router on the way, to another than whose packet it is about", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(BLUE_SHARED, RED_VM)) },
	  DROP(FORGED_ERROR) },
	{ "of a VM, a redirect", ON_OUT,
	  { ERROR(RED_VM, GREEN_SHARED, 5, QUOTE(GREEN_SHARED, RED_VM)) }, DROP(ICMP_REDIRECT) },
	{ "of a VM without mapping", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, "10.0.0.77")) },
	  DROP(UNTRANSLATED) },
	{ "of the router, about a packet to itself", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_OWN)) }, PASS },
	{ "of the router, quoting a VM without mapping", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, "10.0.0.77")) },
	  DROP(UNTRANSLATED) },
	{ "of the router, quoting a private source", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, 11, QUOTE(RED_VM, GREEN_SHARED)) }, DROP(UNTRANSLATED) },
	{ "of the router, about a hairpin", ON_OUT,
	  { ERROR(RED_OWN, RED_SHARED, 11, QUOTE(RED_SHARED, RED_VM2), .to = MAC_PEER) },
	  TURN(ERROR(RED_OWN, RED_SHARED, 11, QUOTE(RED_SHARED, RED_SHARED2))) },
	{ "of the router, about a hairpin, IPv6", ON_OUT,
	  { ERROR_6(RED_OWN_6, RED_SHARED_6, 2, QUOTE(RED_SHARED_6, RED_VM2_6), .gateway = 1280) },
	  TURN(ERROR_6(RED_OWN_6, RED_SHARED_6, 2, QUOTE(RED_SHARED_6, RED_SHARED2_6),
		       .gateway = 1280)) },

	/* a router between this one and the VM has no mapping: RFC 5508, REQ-5 */
	{ "of a router on the way to the VM", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM), .code = 4,
		  .gateway = 1280) },
	  AFTER(ERROR(RED_OWN, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_SHARED), .code = 4,
		      .gateway = 1280)), .uncounted = true },
	{ "of a router on the way to the VM, IPv6", ON_OUT,
	  { ERROR_6("fd00:10::77", GREEN_SHARED_6, 2, QUOTE(GREEN_SHARED_6, RED_VM_6),
		    .gateway = 1280) },
	  AFTER(ERROR_6(RED_OWN_6, GREEN_SHARED_6, 2, QUOTE(GREEN_SHARED_6, RED_SHARED_6),
			.gateway = 1280)), .uncounted = true },
	{ "of a router on the way, about a hairpin", ON_OUT,
	  { ERROR("10.0.0.77", RED_SHARED2, 11, QUOTE(RED_SHARED2, RED_VM)) },
	  TURN(ERROR(RED_OWN, RED_SHARED2, 11, QUOTE(RED_SHARED2, RED_SHARED))) },
	{ "of a router on the way, about a packet to itself", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, "10.0.0.77")) },
	  DROP(UNTRANSLATED) },
	{ "of a router on the way, quoting shared addresses alone", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_SHARED)) },
	  DROP(UNTRANSLATED) },
	{ "of a router on the way, quoting a private source", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(RED_VM2, RED_VM)) }, DROP(UNTRANSLATED) },
	{ "of a router on the way, quoting another router's VM", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, "10.0.0.78")) },
	  DROP(UNTRANSLATED) },
	{ "of a router on the way, a redirect", ON_OUT,
	  { ERROR("10.0.0.77", GREEN_SHARED, 5, QUOTE(GREEN_SHARED, RED_VM)) },
	  DROP(UNTRANSLATED) },
	{ "of nobody's shared address", ON_OUT,
	  { ERROR(STRANGER, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM)) }, DROP(UNTRANSLATED) },
	{ "of another router of this machine", ON_OUT,
	  { ERROR(BLUE_OWN, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM)) }, DROP(UNTRANSLATED) },
	{ "of a router on the way, not an error", ON_OUT,
	  { .src = "10.0.0.77", .dst = GREEN_SHARED, .proto = IPPROTO_ICMP }, DROP(UNTRANSLATED) },

	{ "of nobody", ON_OUT,
	  { ERROR("0.0.0.0", GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM)) }, DROP(UNTRANSLATED) },
	{ "of nobody, IPv6", ON_OUT,
	  { ERROR_6("::", GREEN_SHARED_6, 1, QUOTE(GREEN_SHARED_6, RED_VM_6)) },
	  DROP(UNTRANSLATED) },
	{ "of the router, a short quote", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, 3, QUOTE(GREEN_SHARED, RED_VM), .quoted = 19) },
	  DROP(MALFORMED) },
};
/* clang-format on */

Test(icmp, rules_on_xdp)
{
	lab_check_table(rows, ARRAY_SIZE(rows), XDP_IN);
}

Test(icmp, rules_in)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_IN);
}

Test(icmp, rules_out)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_OUT);
}

/* Every type that quotes, also those that nobody has defined, with every code. */
static void check_code(struct lab *lab, enum program program, bool v4, uint8_t type, uint8_t code)
{
	const struct end *e = &ends[v4];
	const bool out = program == TC_OUT;
	const struct packet there = { UDP(out ? e->peer : e->shared, out ? e->vm : e->peer) };
	const struct packet right = { UDP(out ? e->peer : e->vm, out ? e->shared : e->peer) };
	const struct packet error = { .src = out ? e->vm : e->peer,
				      .dst = out ? e->peer : e->shared,
				      .proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				      .type = type,
				      .code = code,
				      .gateway = 0x01020304 };
	struct row row = { .outcome = TRANSLATED, .before = error, .after = error };
	char what[64];

	snprintf(what, sizeof(what), "ICMP%s type %u code %u", v4 ? "" : "v6", type, code);
	row.what = what;
	row.xdp_leaves = true;
	row.before.quote = &there;
	row.after.quote = &right;
	*(out ? &row.after.src : &row.after.dst) = out ? e->shared : e->vm;
	lab_check(lab, &row, program);
}

static void check_codes(enum program program)
{
	static const uint8_t v4[] = { 3, 4, 11, 12 }, v6[] = { 1, 2, 3, 4, 5, 100, 127 };
	struct lab *lab = lab_open(&(struct lab_options){ .programs = 1U << program });

	for (unsigned int code = 0; code < 256; code += code < 17 ? 1 : 34) {
		for (size_t i = 0; i < ARRAY_SIZE(v4); i++)
			check_code(lab, program, true, v4[i], code);
		for (size_t i = 0; i < ARRAY_SIZE(v6); i++)
			check_code(lab, program, false, v6[i], code);
	}
	lab_close(lab);
}

Test(icmp, every_code_on_xdp)
{
	check_codes(XDP_IN);
}

Test(icmp, every_code_in)
{
	check_codes(TC_IN);
}

Test(icmp, every_code_out)
{
	check_codes(TC_OUT);
}
