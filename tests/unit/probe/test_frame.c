/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "probe/frame.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0xab }, other_mac[6] = { 2, 9, 9, 9, 9, 9 };

/* Bytes as hexadecimal digits; blanks do not count. */
static size_t bytes_of(const char *hex, uint8_t *out)
{
	unsigned int byte;
	size_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		cr_assert_eq(sscanf(hex, "%2x", &byte), 1);
		out[n++] = byte;
		hex++;
	}
	return n;
}

static void is_hex(const uint8_t *got, size_t len, const char *hex)
{
	uint8_t want[512];
	size_t n = bytes_of(hex, want);

	cr_assert_eq(len, n, "%zu bytes, not %zu", len, n);
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(got[i], want[i], "byte %zu is %02x, not %02x", i, got[i], want[i]);
}

static void asks(const char *target, const char *sender, const char *hex)
{
	struct tn_addr to = addr_of(target),
		       from = sender ? addr_of(sender) : (struct tn_addr){ 0 };
	uint8_t out[FRAME_ROOM];

	is_hex(out, frame_ask(out, &to, &from, mac), hex);
}

/* By RFC 826 and RFC 4861; the checksums are scapy's. */
Test(frame, asks_by_arp)
{
	asks("100.64.1.5", "100.64.0.2",
	     "ffffffffffff 0200000000ab 0806 0001 0800 06 04 0001"
	     "0200000000ab 64400002 000000000000 64400105");
	asks("100.64.1.5", NULL,
	     "ffffffffffff 0200000000ab 0806 0001 0800 06 04 0001"
	     "0200000000ab 00000000 000000000000 64400105");
}

Test(frame, asks_by_neighbour_solicitation)
{
	asks("fd64::1:5", "fd64::2",
	     "3333ff010005 0200000000ab 86dd 60000000 0020 3a ff"
	     "fd640000000000000000000000000002 ff0200000000000000000001ff010005"
	     "87 00 7c1c 00000000 fd640000000000000000000000010005 01 01 0200000000ab");
	/* whoever has no address yet tells no MAC address either */
	asks("fd64::1:5", NULL,
	     "3333ff010005 0200000000ab 86dd 60000000 0018 3a ff"
	     "00000000000000000000000000000000 ff0200000000000000000001ff010005"
	     "87 00 7d37 00000000 fd640000000000000000000000010005");
}

Test(frame, announces)
{
	struct tn_addr four = addr_of("100.64.1.5"), six = addr_of("fd64::1:5");
	uint8_t out[FRAME_ROOM];

	is_hex(out, frame_announce(out, &four, mac, true),
	       "ffffffffffff 0200000000ab 0806 0001 0800 06 04 0001"
	       "0200000000ab 64400105 000000000000 64400105");
	is_hex(out, frame_announce(out, &six, mac, true),
	       "333300000001 0200000000ab 86dd 60000000 0020 3a ff"
	       "fd640000000000000000000000010005 ff020000000000000000000000000001"
	       "88 00 d91e a0000000 fd640000000000000000000000010005 02 01 0200000000ab");
}

/* NULL address: the frame claims nothing. */
static void claims(const char *hex, const char *addr, const uint8_t *who, bool tentative)
{
	struct claim claim = { 0 };
	uint8_t frame[512];
	size_t n = bytes_of(hex, frame);
	bool any = frame_claim(frame, n, &claim);

	cr_assert_eq(any, addr != NULL, "%s", hex);
	if (!any)
		return;
	cr_expect_str_eq(ADDR(&claim.addr), addr);
	cr_expect_arr_eq(claim.mac, who, 6);
	cr_expect_eq(claim.tentative, tentative, "%s", hex);
}

#define ARP_HEAD "0200000000ab 020909090909 0806 0001 0800 06 04 "

Test(frame, claims_of_arp)
{
	/* an answer, a request, and a request that is a probe */
	claims(ARP_HEAD "0002 020909090909 64400105 0200000000ab 00000000", "100.64.1.5", other_mac,
	       false);
	claims(ARP_HEAD "0001 020909090909 64400105 000000000000 64400001", "100.64.1.5", other_mac,
	       false);
	claims(ARP_HEAD "0001 020909090909 00000000 000000000000 64400105", "100.64.1.5", other_mac,
	       true);
	/* padded to the shortest frame */
	claims(ARP_HEAD "0002 020909090909 64400105 0200000000ab 00000000"
			"000000000000000000000000000000000000",
	       "100.64.1.5", other_mac, false);
	/* an answer of nobody, another kind of address, and one that is cut off */
	claims(ARP_HEAD "0002 020909090909 00000000 0200000000ab 64400105", NULL, NULL, false);
	claims("0200000000ab 020909090909 0806 0001 0800 08 04 0002"
	       "020909090909 64400105 0200000000ab 00000000",
	       NULL, NULL, false);
	claims(ARP_HEAD "0002 020909090909 64400105 0200000000ab 000000", NULL, NULL, false);
}

#define NA_HEAD                                                                                \
	"333300000001 020808080808 86dd 60000000 0020 3a ff fd640000000000000000000000010005 " \
	"ff020000000000000000000000000001 "

Test(frame, claims_of_neighbour_discovery)
{
	static const uint8_t source[6] = { 2, 8, 8, 8, 8, 8 };

	/* the option counts, not who sent the frame */
	claims(NA_HEAD "88 00 c7af a0000000 fd640000000000000000000000010005 02 01 020909090909",
	       NULL, NULL, false); /* a wrong checksum */
	claims(NA_HEAD "88 00 c7ae a0000000 fd640000000000000000000000010005 02 01 020909090909",
	       "fd64::1:5", other_mac, false);
	/* a probe, with the nonce of RFC 7527 */
	claims("3333ff010005 020808080808 86dd 60000000 0020 3a ff"
	       "00000000000000000000000000000000 ff0200000000000000000001ff010005"
	       "87 00 6622 00000000 fd640000000000000000000000010005 0e 01 010203040506",
	       "fd64::1:5", source, true);
	/* somebody who asks says nothing about what he asks for */
	claims("3333ff010005 0200000000ab 86dd 60000000 0020 3a ff"
	       "fd640000000000000000000000000002 ff0200000000000000000001ff010005"
	       "87 00 7c1c 00000000 fd640000000000000000000000010005 01 01 0200000000ab",
	       NULL, NULL, false);
}

/* What frame_ask() and frame_announce() make, frame_claim() understands. */
Test(frame, claims_of_our_own)
{
	static const char *const addrs[] = { "100.64.1.5", "fd64::1:5", "fd64::ffff:ffff" };
	struct tn_addr nobody = { 0 };
	uint8_t frame[FRAME_ROOM];
	struct claim claim;

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct tn_addr a = addr_of(addrs[i]);
		size_t n = frame_announce(frame, &a, mac, false);

		cr_expect(frame_claim(frame, n, &claim) && !claim.tentative);
		cr_expect_eq(addr_cmp(&claim.addr, &a), 0);
		/* a hop limit that a router has counted down: it is not from the link */
		frame[21]--;
		cr_expect_eq(frame_claim(frame, n, &claim), addr_is_v4(&a));
		n = frame_ask(frame, &a, &nobody, mac);
		cr_expect(frame_claim(frame, n, &claim) && claim.tentative);
		cr_expect_arr_eq(claim.mac, mac, 6);
		for (size_t len = 0; len < n; len++)
			cr_expect_not(frame_claim(frame, len, &claim), "%zu bytes", len);
	}
}

Test(frame, sums)
{
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	/* RFC 1071, 3 */
	cr_expect_eq(inet_sum(example, 8, 0), 0xddf2);
	cr_expect_eq(inet_sum(example, 3, 0), 0xf201);
	cr_expect_eq(inet_sum(example, 0, 0x2ffff), 2);
	cr_expect_eq(inet_sum("\xff\xff", 2, 0xffff), 0xffff);
}

Test(frame, udp)
{
	struct tn_addr src = addr_of("100.64.0.2"), dst = addr_of("100.64.0.3");
	uint8_t out[12] = { 0 };

	memcpy(out + 8, "\x12\x34\x56\x78", 4);
	udp_build(out, sizeof(out), &src, &dst, 1000, 33434);
	is_hex(out, sizeof(out), "03e8 829a 000c 4822 12345678");
	src = addr_of("fd64::2");
	dst = addr_of("fd64::3");
	udp_build(out, sizeof(out), &src, &dst, 1000, 33434);
	is_hex(out, sizeof(out), "03e8 829a 000c 15d9 12345678");
	/* a sum of zero is sent as all ones (RFC 768) */
	memcpy(out + 8, "\x12\x34\x6c\x51", 4);
	udp_build(out, sizeof(out), &src, &dst, 1000, 33434);
	is_hex(out, sizeof(out), "03e8 829a 000c ffff 12346c51");
}

Test(frame, echo)
{
	uint8_t out[18];

	echo_build(out, 18, true, 0x1234, 7, (const uint8_t *)"\1\2\3\4\5\6\7\10");
	is_hex(out, 18, "08 00 d5b0 1234 0007 0102030405060708 0000");
	/* whose checksum the kernel makes */
	echo_build(out, 16, false, 0x1234, 7, (const uint8_t *)"\1\2\3\4\5\6\7\10");
	is_hex(out, 16, "80 00 0000 1234 0007 0102030405060708");
}

static struct icmp_answer answer_of(const char *hex, bool v4)
{
	static uint8_t packet[512];
	struct icmp_answer answer;

	icmp_answer_parse(packet, bytes_of(hex, packet), v4, &answer);
	return answer;
}

#define V4_HEAD	 "45000000 00000000 40010000 64400003 64400002 "
#define V4_QUOTE "4500 003c 0000 4000 4011 0000 64400002 64400003 "
#define V6_QUOTE \
	"60000000 0014 11 40 fd640000000000000000000000000002 fd640000000000000000000000000003 "

Test(frame, icmp_echo_reply)
{
	struct icmp_answer n = answer_of(V4_HEAD "00 00 0000 1234 0007 0102030405060708", true);

	cr_expect_eq(n.kind, ICMP_ANSWER_ECHO);
	cr_expect_eq(n.id, 0x1234);
	cr_expect_eq(n.seq, 7);
	cr_expect_arr_eq(n.cookie, "\1\2\3\4\5\6\7\10", ECHO_COOKIE);
	/* behind options; a request; too short for ours; of the other family */
	n = answer_of("46000000 00000000 40010000 64400003 64400002 94040000"
		      "00 00 0000 1234 0008 0102030405060708",
		      true);
	cr_expect_eq(n.seq, 8);
	cr_expect_eq(answer_of(V4_HEAD "08 00 0000 1234 0007 0102030405060708", true).kind,
		     ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of(V4_HEAD "00 00 0000 1234 0007 01020304050607", true).kind,
		     ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of("81 00 0000 1234 0007 0102030405060708", false).kind,
		     ICMP_ANSWER_ECHO);
	cr_expect_eq(answer_of("80 00 0000 1234 0007 0102030405060708", false).kind,
		     ICMP_ANSWER_NONE);
}

Test(frame, icmp_errors)
{
	struct icmp_answer n =
		answer_of(V4_HEAD "03 03 0000 00000000" V4_QUOTE "03e8 829a 0014 0000", true);

	cr_expect_eq(n.kind, ICMP_ANSWER_PORT_UNREACHABLE);
	cr_expect_eq(n.protocol, 17);
	cr_expect_eq(n.sport, 1000);
	cr_expect_eq(n.dport, 33434);
	cr_expect_str_eq(ADDR(&n.dst), "100.64.0.3");
	n = answer_of(V4_HEAD "03 04 0000 0000 0578" V4_QUOTE "0800 0000 1234 0007", true);
	cr_expect_eq(n.kind, ICMP_ANSWER_TOO_BIG);
	cr_expect_eq(n.mtu, 1400);
	cr_expect_eq(n.id, 0x1234);
	cr_expect_eq(n.seq, 7);
	n = answer_of("02 00 0000 00000578" V6_QUOTE "80000000 1234 0007", false);
	cr_expect_eq(n.kind, ICMP_ANSWER_TOO_BIG);
	cr_expect_eq(n.mtu, 1400);
	cr_expect_str_eq(ADDR(&n.dst), "fd64::3");
	n = answer_of("01 04 0000 00000000" V6_QUOTE "03e8 829a 0014 0000", false);
	cr_expect_eq(n.kind, ICMP_ANSWER_PORT_UNREACHABLE);
	cr_expect_eq(n.dport, 33434);
}

Test(frame, icmp_without_an_answer)
{
	/* host unreachable; a quote that is cut off, of another version, with a header that lies */
	cr_expect_eq(
		answer_of(V4_HEAD "03 01 0000 00000000" V4_QUOTE "03e8 829a 0014 0000", true).kind,
		ICMP_ANSWER_NONE);
	cr_expect_eq(
		answer_of(V4_HEAD "03 03 0000 00000000" V4_QUOTE "03e8 829a 0014 00", true).kind,
		ICMP_ANSWER_NONE);
	cr_expect_eq(
		answer_of(V4_HEAD "03 03 0000 00000000" V6_QUOTE "03e8 829a 0014 0000", true).kind,
		ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of(V4_HEAD "03 03 0000 00000000 4400003c 00004000 40110000 64400002"
				       "64400003 03e8 829a 0014 0000",
			       true)
			     .kind,
		     ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of("01 04 0000 00000000" V6_QUOTE "03e8 829a 0014 00", false).kind,
		     ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of("", true).kind, ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of("45", true).kind, ICMP_ANSWER_NONE);
	cr_expect_eq(answer_of("03 03 00", false).kind, ICMP_ANSWER_NONE);
}

/* ------------------------------------------------------------ echoes of others */

#define ENDS "020909090909 0200000000ab"
#define V4_ECHO                                                                             \
	ENDS " 0800 45 00 0024 0000 0000 40 01 0c92 64400003 0a000005 0800 d5b0 1234 0007 " \
	     "0102030405060708"
#define V6_ECHO                                                            \
	ENDS " 86dd 60000000 0010 3a 40 fd640000000000000000000000000003 " \
	     "fd000000000000000000000000000005 8000 62f8 1234 0007 0102030405060708"

static const uint8_t cookie[ECHO_COOKIE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void echoes(const char *src, const char *dst, const char *hex)
{
	struct echo_frame echo = {
		.src = addr_of(src), .dst = addr_of(dst), .id = 0x1234, .seq = 7
	};
	struct echo_frame back;
	uint8_t out[FRAME_ROOM];
	size_t len;

	memcpy(echo.from, mac, 6);
	memcpy(echo.to, other_mac, 6);
	memcpy(echo.cookie, cookie, sizeof(cookie));
	len = frame_echo(out, &echo);
	is_hex(out, len, hex);
	cr_assert(frame_echo_parse(out, len, &back));
	cr_expect_eq(addr_cmp(&back.src, &echo.src), 0);
	cr_expect_eq(addr_cmp(&back.dst, &echo.dst), 0);
	cr_expect(!back.reply && back.id == 0x1234 && back.seq == 7);
	cr_expect_arr_eq(back.from, mac, 6);
	cr_expect_arr_eq(back.to, other_mac, 6);
	cr_expect_arr_eq(back.cookie, cookie, sizeof(cookie));
	cr_expect(!frame_echo_parse(out, len - 1, &back), "one that is cut off");
	echo.reply = true;
	cr_assert(frame_echo_parse(out, frame_echo(out, &echo), &back));
	cr_expect(back.reply);
	if (addr_is_v4(&echo.src))
		cr_expect_eq(inet_sum(out + 34, len - 34, 0), 0xffff);
}

/* The bytes are scapy's. */
Test(frame, echo_of_somebody_else)
{
	echoes("100.64.0.3", "10.0.0.5", V4_ECHO);
	echoes("fd64::3", "fd00::5", V6_ECHO);
}

static bool is_echo(const char *hex, bool *reply)
{
	uint8_t frame[128];
	struct echo_frame out = { 0 };
	bool found = frame_echo_parse(frame, bytes_of(hex, frame), &out);

	*reply = out.reply;
	return found;
}

Test(frame, what_is_an_echo)
{
	static const char rest[] = " 0000 1234 0007 0102030405060708";
	char hex[300];
	bool reply;

	snprintf(hex, sizeof(hex),
		 "%s 0800 45 00 0024 0000 0000 40 01 0000 64400003 0a000005 0000%s", ENDS, rest);
	cr_expect(is_echo(hex, &reply) && reply);
	/* options, a fragment, another protocol, another type */
	snprintf(hex, sizeof(hex),
		 "%s 0800 46 00 0024 0000 0000 40 01 0000 64400003 0a000005 0000%s", ENDS, rest);
	cr_expect(!is_echo(hex, &reply));
	snprintf(hex, sizeof(hex),
		 "%s 0800 45 00 0024 0000 2000 40 01 0000 64400003 0a000005 0000%s", ENDS, rest);
	cr_expect(!is_echo(hex, &reply));
	snprintf(hex, sizeof(hex),
		 "%s 0800 45 00 0024 0000 0000 40 11 0000 64400003 0a000005 0000%s", ENDS, rest);
	cr_expect(!is_echo(hex, &reply));
	snprintf(hex, sizeof(hex),
		 "%s 0800 45 00 0024 0000 0000 40 01 0000 64400003 0a000005 0300%s", ENDS, rest);
	cr_expect(!is_echo(hex, &reply));
	snprintf(hex, sizeof(hex), "%s 0806 45%s%s", ENDS, rest, rest);
	cr_expect(!is_echo(hex, &reply));
}

static const char *question_of(const uint8_t *frame, size_t len)
{
	static char text[ADDR_TEXT + MAC_TEXT + 2];
	struct question q;

	if (!frame_question(frame, len, &q))
		return "-";
	snprintf(text, sizeof(text), "%s %s", ADDR(&q.target), MAC(q.mac));
	return text;
}

/* Who probes for an address, or announces it, asks for nobody. */
Test(frame, questions)
{
	static const char *const targets[] = { "100.64.1.5", "fd64::1:5" };
	static const char *const senders[] = { "100.64.0.2", "fd64::2" };

	for (int i = 0; i < 2; i++) {
		struct tn_addr to = addr_of(targets[i]), from = addr_of(senders[i]), nobody = { 0 };
		uint8_t out[FRAME_ROOM];
		char want[100];
		size_t len;

		snprintf(want, sizeof(want), "%s %s", targets[i], MAC(mac));
		len = frame_ask(out, &to, &from, mac);
		cr_expect_str_eq(question_of(out, len), want);
		cr_expect_str_eq(question_of(out, 20), "-");
		cr_expect_str_eq(question_of(out, frame_ask(out, &to, &nobody, mac)), "-");
		cr_expect_str_eq(question_of(out, frame_announce(out, &to, mac, false)), "-");
	}
}
