/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "lib/util.h"
#include "observe/trace_packet.h"
#include "probe/frame.h"

static const uint8_t cookie[SAMPLE_COOKIE] = "0123456789abcdef";

static struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a));
	return a;
}

static struct sample sample(bool v4, uint8_t proto)
{
	struct sample s = { .src = addr(v4 ? "10.0.0.5" : "fd00:10::5"),
			    .dst = addr(v4 ? "100.64.2.5" : "fd64::2:5"),
			    .proto = proto,
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
	{ true, 6, 20, 16 }, { false, 6, 20, 16 }, { true, 17, 8, 6 }, { false, 17, 8, 6 },
	{ true, 1, 8, 2 },   { false, 58, 8, 2 },  { true, 47, 0, 0 }, { false, 47, 0, 0 },
};

Test(sample, has_lengths_addresses_and_cookie)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct sample s = sample(kinds[i].v4, kinds[i].proto);
		size_t ip = kinds[i].v4 ? 20 : 40, len;
		uint8_t frame[SAMPLE_ROOM];
		struct tn_addr src, dst;

		len = sample_build(frame, &s);
		cr_assert_eq(len, 14 + ip + kinds[i].header + SAMPLE_COOKIE);
		cr_assert(sample_ends(frame, len, &src, &dst));
		cr_assert_eq(addr_cmp(&src, &s.src), 0);
		cr_assert_eq(addr_cmp(&dst, &s.dst), 0);
		cr_assert_eq(sample_hops(frame), SAMPLE_HOPS);
		cr_assert_eq(frame[kinds[i].v4 ? 14 + 9 : 14 + 6], kinds[i].proto);
		cr_assert_arr_eq(frame + len - SAMPLE_COOKIE, cookie, SAMPLE_COOKIE);
		cr_assert(sample_has(frame, len, cookie));
		cr_assert_not(sample_has(frame, len - 1, cookie));
		/* the length that the header tells */
		cr_assert_eq(frame[14 + (kinds[i].v4 ? 3 : 5)], len - 14 - (kinds[i].v4 ? 0 : 40));
	}
}

Test(sample, is_the_first_of_a_flow)
{
	struct sample s = sample(true, 6);
	uint8_t frame[SAMPLE_ROOM];

	sample_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x12\x34\x00\x16", 4, "ports");
	cr_assert_eq(frame[34 + 12], 5 << 4, "length of the TCP header");
	cr_assert_eq(frame[34 + 13], 2, "SYN");
	s = sample(true, 1);
	sample_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x08\x00", 2, "echo request");
	cr_assert_arr_eq(frame + 38, "\x12\x34", 2, "identifier");
	s = sample(false, 58);
	sample_build(frame, &s);
	cr_assert_arr_eq(frame + 54, "\x80\x00", 2, "echo request");
	s = sample(true, 17);
	sample_build(frame, &s);
	cr_assert_arr_eq(frame + 34, "\x12\x34\x00\x16\x00\x18", 6, "ports and length");
}

/* Every bit that a checksum covers: one that is changed is seen. */
Test(sample, is_sound_until_a_bit_changes)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct sample s = sample(kinds[i].v4, kinds[i].proto);
		size_t l4 = kinds[i].v4 ? 34 : 54, len;
		uint8_t frame[SAMPLE_ROOM];

		len = sample_build(frame, &s);
		cr_assert(sample_is_sound(frame, len));
		for (size_t bit = 8 * l4; kinds[i].check && bit < 8 * len; bit++) {
			frame[bit / 8] ^= 1 << bit % 8;
			cr_assert_not(sample_is_sound(frame, len), "kind %zu, bit %zu", i, bit);
			frame[bit / 8] ^= 1 << bit % 8;
		}
		/* the source address: of the header of IPv4, or of the pseudo-header */
		frame[l4 - (kinds[i].v4 ? 5 : 17)] ^= 1;
		cr_assert_eq(sample_is_sound(frame, len), !kinds[i].v4 && !kinds[i].check,
			     "kind %zu", i);
	}
}

/* The sum that somebody knows from elsewhere: RFC 1071, done by hand. */
Test(sample, checksum_of_the_header)
{
	struct sample s = sample(true, 47);
	uint8_t frame[SAMPLE_ROOM];
	uint32_t sum = 0x4500 + 36 + 0x4000 + (64 << 8 | 47) + 0x0a00 + 5 + 0x6440 + 0x0205;

	sum = (sum & 0xffff) + (sum >> 16);
	sample_build(frame, &s);
	cr_assert_eq(frame[24] << 8 | frame[25], (uint16_t)~sum);
}

/* By somebody else's reckoning, of the same datagram. */
Test(sample, checksum_with_pseudo_header)
{
	for (int v4 = 0; v4 < 2; v4++) {
		struct sample s = sample(v4, 17);
		uint8_t frame[SAMPLE_ROOM], want[8 + SAMPLE_COOKIE];

		sample_build(frame, &s);
		memcpy(want + 8, cookie, SAMPLE_COOKIE);
		udp_build(want, sizeof(want), &s.src, &s.dst, s.sport, s.dport);
		cr_assert_arr_eq(frame + (v4 ? 34 : 54), want, sizeof(want));
	}
}

/* From any hop limit on, with whatever sum: it stays right, and what is wrong stays wrong. */
Test(sample, hop_keeps_the_checksum)
{
	for (uint32_t last = 0; last < 0x10000; last += 7) {
		struct sample s = sample(true, 6);
		uint8_t frame[SAMPLE_ROOM];
		size_t len;

		s.dst = addr_add(&s.dst, last);
		len = sample_build(frame, &s);
		sample_hop(frame);
		cr_assert_eq(sample_hops(frame), SAMPLE_HOPS - 1);
		cr_assert(sample_is_sound(frame, len), "%u", last);
		frame[24] ^= 0x40;
		sample_hop(frame);
		cr_assert_not(sample_is_sound(frame, len), "%u", last);
	}
}

Test(sample, hop_of_v6)
{
	struct sample s = sample(false, 6);
	uint8_t frame[SAMPLE_ROOM];
	size_t len = sample_build(frame, &s);

	sample_hop(frame);
	cr_assert_eq(sample_hops(frame), SAMPLE_HOPS - 1);
	cr_assert(sample_is_sound(frame, len));
}

Test(sample, addresses_of_the_frame)
{
	struct sample s = sample(true, 6);
	uint8_t frame[SAMPLE_ROOM];

	sample_build(frame, &s);
	sample_address(frame, (const uint8_t *)"abcdef", (const uint8_t *)"ghijkl");
	cr_assert_arr_eq(frame, "abcdefghijkl", 12);
	sample_address(frame, NULL, (const uint8_t *)"mnopqr");
	cr_assert_arr_eq(frame, "abcdefmnopqr", 12);
	sample_address(frame, (const uint8_t *)"ABCDEF", NULL);
	cr_assert_arr_eq(frame, "ABCDEFmnopqr", 12);
}

/* What is short, or no IP, is read no further. */
Test(sample, what_is_no_packet)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct sample s = sample(kinds[i].v4, kinds[i].proto);
		size_t l4 = kinds[i].v4 ? 34 : 54, len;
		uint8_t frame[SAMPLE_ROOM];
		struct tn_addr src, dst;

		len = sample_build(frame, &s);
		for (size_t n = 0; n < len; n++) {
			cr_assert_eq(sample_ends(frame, n, &src, &dst), n >= l4);
			cr_assert(kinds[i].check == 0 || !sample_is_sound(frame, n));
		}
		frame[12] = 8;
		frame[13] = 6;
		cr_assert_not(sample_ends(frame, len, &src, &dst));
		cr_assert_not(sample_is_sound(frame, len));
	}
}
