/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "lib/util.h"
#include "observe/trace_packet.h"
#include "probe/frame.h"

static const uint8_t cookie[TRACE_PACKET_COOKIE] = "0123456789abcdef";

static struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a));
	return a;
}

static struct trace_packet packet_of(bool v4, uint8_t proto)
{
	struct trace_packet s = { .src = addr(v4 ? "10.0.0.5" : "fd00:10::5"),
				  .dst = addr(v4 ? "100.64.2.5" : "fd64::2:5"),
				  .proto = proto,
				  .type = v4 ? 8 : 128,
				  .sport = 0x1234,
				  .dport = 0x0016 };

	memcpy(s.cookie, cookie, sizeof(cookie));
	return s;
}

static const struct {
	bool v4;
	uint8_t proto;
	size_t header; /* of the protocol */
	size_t check;  /* where its checksum is; 0: it has none */
} kinds[] = {
	{ true, 6, 20, 16 },  { false, 6, 20, 16 },  { true, 17, 8, 6 },  { false, 17, 8, 6 },
	{ true, 1, 8, 2 },    { false, 58, 8, 2 },   { true, 47, 0, 0 },  { false, 47, 0, 0 },
	{ true, 132, 32, 8 }, { false, 132, 32, 8 }, { true, 33, 20, 6 }, { false, 33, 20, 6 },
	{ true, 136, 8, 6 },  { false, 136, 8, 6 },
};

Test(trace_packet, has_lengths_addresses_and_cookie)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct trace_packet s = packet_of(kinds[i].v4, kinds[i].proto);
		size_t ip = kinds[i].v4 ? 20 : 40, len;
		uint8_t frame[TRACE_PACKET_ROOM];
		struct tn_addr src, dst;

		len = trace_packet_build(frame, &s);
		cr_assert_eq(len, 14 + ip + kinds[i].header + TRACE_PACKET_COOKIE);
		cr_assert(trace_packet_ends(frame, len, &src, &dst));
		cr_assert_eq(addr_cmp(&src, &s.src), 0);
		cr_assert_eq(addr_cmp(&dst, &s.dst), 0);
		cr_assert_eq(trace_packet_hops(frame), TRACE_PACKET_HOPS);
		cr_assert_eq(frame[kinds[i].v4 ? 14 + 9 : 14 + 6], kinds[i].proto);
		cr_assert_arr_eq(frame + len - TRACE_PACKET_COOKIE, cookie, TRACE_PACKET_COOKIE);
		cr_assert(trace_packet_has(frame, len, cookie));
		cr_assert_not(trace_packet_has(frame, len - 1, cookie));
		/* the length that the header tells */
		cr_assert_eq(frame[14 + (kinds[i].v4 ? 3 : 5)], len - 14 - (kinds[i].v4 ? 0 : 40));
	}
}

Test(trace_packet, is_the_first_of_a_flow)
{
	struct trace_packet s = packet_of(true, 6);
	uint8_t frame[TRACE_PACKET_ROOM];

	trace_packet_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x12\x34\x00\x16", 4, "ports");
	cr_assert_eq(frame[34 + 12], 5 << 4, "length of the TCP header");
	cr_assert_eq(frame[34 + 13], 2, "SYN");
	s = packet_of(true, 1);
	trace_packet_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x08\x00", 2, "echo request");
	cr_assert_arr_eq(frame + 38, "\x12\x34", 2, "identifier");
	s = packet_of(false, 58);
	trace_packet_build(frame, &s);
	cr_assert_arr_eq(frame + 54, "\x80\x00", 2, "echo request");
	s = packet_of(true, 17);
	trace_packet_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x12\x34\x00\x16\x00\x18", 6, "ports and length");
}

/* What others know them by: types, lengths, and where they end. */
Test(trace_packet, is_the_first_of_other_flows)
{
	struct trace_packet s = packet_of(true, 132);
	uint8_t frame[TRACE_PACKET_ROOM];
	size_t len = trace_packet_build(frame, &s);

	cr_assert_arr_eq(frame + 34, "\x12\x34\x00\x16\x00\x00\x00\x00", 8, "no tag yet");
	cr_assert_arr_eq(frame + 46, "\x01\x00", 2, "INIT");
	cr_assert_eq(frame[48] << 8 | frame[49], len - 46, "length of the chunk");
	s = packet_of(false, 33);
	trace_packet_build(frame, &s);
	cr_assert_arr_eq(frame + 54, "\x12\x34\x00\x16\x05\x00", 6, "length of the header");
	cr_assert_eq(frame[54 + 8], 1, "a request");
	s = packet_of(true, 1);
	s.type = 13;
	trace_packet_build(frame, &s);
	cr_assert_eq(frame[34], 13, "a timestamp request");
	cr_assert(trace_packet_has_ports(136));
	cr_assert_not(trace_packet_has_ports(47));
}

/* Every bit that a checksum covers: one that is changed is seen. */
Test(trace_packet, is_sound_until_a_bit_changes)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct trace_packet s = packet_of(kinds[i].v4, kinds[i].proto);
		size_t l4 = kinds[i].v4 ? 34 : 54, len;
		uint8_t frame[TRACE_PACKET_ROOM];

		len = trace_packet_build(frame, &s);
		cr_assert(trace_packet_is_sound(frame, len));
		for (size_t bit = 8 * l4; kinds[i].check && bit < 8 * len; bit++) {
			frame[bit / 8] ^= 1 << bit % 8;
			cr_assert_not(trace_packet_is_sound(frame, len), "kind %zu, bit %zu", i,
				      bit);
			frame[bit / 8] ^= 1 << bit % 8;
		}
		/* the source address: of the header of IPv4, or of the pseudo-header */
		frame[l4 - (kinds[i].v4 ? 5 : 17)] ^= 1;
		cr_assert_eq(trace_packet_is_sound(frame, len),
			     !kinds[i].v4 && (!kinds[i].check || kinds[i].proto == 132), "kind %zu",
			     i);
	}
}

/* The sum that somebody knows from elsewhere: RFC 1071, done by hand. */
Test(trace_packet, checksum_of_the_header)
{
	struct trace_packet s = packet_of(true, 47);
	uint8_t frame[TRACE_PACKET_ROOM];
	uint32_t sum = 0x4500 + 36 + 0x4000 + (64 << 8 | 47) + 0x0a00 + 5 + 0x6440 + 0x0205;

	sum = (sum & 0xffff) + (sum >> 16);
	trace_packet_build(frame, &s);
	cr_assert_eq(frame[24] << 8 | frame[25], (uint16_t)~sum);
}

/* By somebody else's reckoning, of the same datagram. */
Test(trace_packet, checksum_with_pseudo_header)
{
	for (int v4 = 0; v4 < 2; v4++) {
		struct trace_packet s = packet_of(v4, 17);
		uint8_t frame[TRACE_PACKET_ROOM], want[8 + TRACE_PACKET_COOKIE];

		trace_packet_build(frame, &s);
		memcpy(want + 8, cookie, TRACE_PACKET_COOKIE);
		udp_build(want, sizeof(want), &s.src, &s.dst, s.sport, s.dport);
		cr_assert_arr_eq(frame + (v4 ? 34 : 54), want, sizeof(want));
	}
}

/* From any hop limit on, with whatever sum: it stays right, and what is wrong stays wrong. */
Test(trace_packet, hop_keeps_the_checksum)
{
	for (uint32_t last = 0; last < 0x10000; last += 7) {
		struct trace_packet s = packet_of(true, 6);
		uint8_t frame[TRACE_PACKET_ROOM];
		size_t len;

		s.dst = addr_add(&s.dst, last);
		len = trace_packet_build(frame, &s);
		trace_packet_hop(frame);
		cr_assert_eq(trace_packet_hops(frame), TRACE_PACKET_HOPS - 1);
		cr_assert(trace_packet_is_sound(frame, len), "%u", last);
		frame[24] ^= 0x40;
		trace_packet_hop(frame);
		cr_assert_not(trace_packet_is_sound(frame, len), "%u", last);
	}
}

Test(trace_packet, hop_of_v6)
{
	struct trace_packet s = packet_of(false, 6);
	uint8_t frame[TRACE_PACKET_ROOM];
	size_t len = trace_packet_build(frame, &s);

	trace_packet_hop(frame);
	cr_assert_eq(trace_packet_hops(frame), TRACE_PACKET_HOPS - 1);
	cr_assert(trace_packet_is_sound(frame, len));
}

Test(trace_packet, addresses_of_the_frame)
{
	struct trace_packet s = packet_of(true, 6);
	uint8_t frame[TRACE_PACKET_ROOM];

	trace_packet_build(frame, &s);
	trace_packet_address(frame, (const uint8_t *)"abcdef", (const uint8_t *)"ghijkl");
	cr_assert_arr_eq(frame, "abcdefghijkl", 12);
	trace_packet_address(frame, NULL, (const uint8_t *)"mnopqr");
	cr_assert_arr_eq(frame, "abcdefmnopqr", 12);
	trace_packet_address(frame, (const uint8_t *)"ABCDEF", NULL);
	cr_assert_arr_eq(frame, "ABCDEFmnopqr", 12);
}

/* What is short, or no IP, is read no further. */
Test(trace_packet, what_is_no_packet)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct trace_packet s = packet_of(kinds[i].v4, kinds[i].proto);
		size_t l4 = kinds[i].v4 ? 34 : 54, len;
		uint8_t frame[TRACE_PACKET_ROOM];
		struct tn_addr src, dst;

		len = trace_packet_build(frame, &s);
		for (size_t n = 0; n < len; n++) {
			cr_assert_eq(trace_packet_ends(frame, n, &src, &dst), n >= l4);
			cr_assert(kinds[i].check == 0 || !trace_packet_is_sound(frame, n));
		}
		frame[12] = 8;
		frame[13] = 6;
		cr_assert_not(trace_packet_ends(frame, len, &src, &dst));
		cr_assert_not(trace_packet_is_sound(frame, len));
	}
}
