/* SPDX-License-Identifier: GPL-2.0-only */
#include "kinds.h"

#define KIND(name, when, ...)                                          \
	{                                                              \
		.what = name, .flags = when, .packet = { __VA_ARGS__ } \
	}
#define TCP	 .proto = IPPROTO_TCP
#define DATAGRAM .proto = IPPROTO_UDP
#define UDPLITE	 .proto = IPPROTO_UDPLITE
#define DCCP	 .proto = IPPROTO_DCCP
/* the bytes of a datagram that a fragment carries */
#define FRAGMENT(at, len) .frag_at = at, .frag_len = len

/* clang-format off */
const struct kind kinds[] = {
	KIND("TCP without payload", BOTH | SUMMED, TCP),
	KIND("TCP, even length", BOTH | SUMMED, TCP, .payload = 100),
	KIND("TCP, odd length", BOTH | SUMMED, TCP, .payload = 101),
	KIND("TCP, a full frame", BOTH | SUMMED, TCP, .payload = 1400),
	KIND("TCP, more than a page: not linear", BOTH | LARGE, TCP, .payload = 6000),
	KIND("TCP whose checksum comes to zero", BOTH | TUNED | SUMMED, TCP, .payload = 10),
	KIND("TCP with a wrong checksum", BOTH, TCP, .payload = 10, .csum = CSUM_WRONG),
	KIND("TCP, padded to the least Ethernet frame", V4 | SUMMED, TCP, .trailer = 6),

	KIND("UDP without payload", BOTH | SUMMED, DATAGRAM),
	KIND("UDP, one byte", BOTH | SUMMED, DATAGRAM, .payload = 1),
	KIND("UDP, even length", BOTH | SUMMED, DATAGRAM, .payload = 512),
	KIND("UDP, odd length", BOTH | SUMMED, DATAGRAM, .payload = 1471),
	KIND("UDP without checksum", BOTH, DATAGRAM, .payload = 33, .csum = CSUM_ABSENT),
	KIND("UDP whose checksum comes to zero: sent as ffff", BOTH | TUNED | SUMMED, DATAGRAM,
	     .payload = 10),
	KIND("UDP with a wrong checksum", BOTH, DATAGRAM, .payload = 11, .csum = CSUM_WRONG),
	KIND("UDP, padded to the least Ethernet frame", V4 | SUMMED, DATAGRAM, .payload = 1,
	     .trailer = 17),

	KIND("UDP-Lite, all covered", BOTH, UDPLITE, .payload = 31),
	KIND("UDP-Lite, the header covered", BOTH, UDPLITE, .payload = 31, .coverage = 8),
	KIND("UDP-Lite whose checksum comes to zero: sent as ffff", BOTH | TUNED, UDPLITE,
	     .payload = 10),
	KIND("DCCP", BOTH | SUMMED, DCCP, .payload = 21),
	KIND("DCCP whose checksum comes to zero", BOTH | TUNED, DCCP, .payload = 10),
	KIND("ICMP echo request", V4 | SUMMED, .proto = IPPROTO_ICMP, .payload = 56),
	KIND("ICMP echo reply, odd length", V4 | SUMMED, .proto = IPPROTO_ICMP, .type = ECHO_REPLY,
	     .payload = 13),
	KIND("ICMP timestamp request", V4 | SUMMED, .proto = IPPROTO_ICMP, .type = 13, .payload = 12),
	KIND("ICMP address mask request", V4 | SUMMED, .proto = IPPROTO_ICMP, .type = 17, .payload = 4),
	KIND("ICMPv6 echo request", V6 | SUMMED, .proto = IPPROTO_ICMPV6, .payload = 56),
	KIND("ICMPv6 echo reply, odd length", V6 | SUMMED, .proto = IPPROTO_ICMPV6, .type = 129,
	     .payload = 13),
	KIND("ICMPv6 in IPv4: its addresses alone", V4, .proto = IPPROTO_ICMPV6, .csum = CSUM_ABSENT,
	     .payload = 8),
	KIND("SCTP: its addresses alone", BOTH, .proto = IPPROTO_SCTP, .payload = 40),
	KIND("GRE: its addresses alone", BOTH, .proto = IPPROTO_GRE, .payload = 40),
	KIND("ESP: its addresses alone", BOTH, .proto = IPPROTO_ESP, .payload = 41),
	KIND("IP in IP: its addresses alone", BOTH, .proto = IPPROTO_IPIP, .payload = 40),
	KIND("an unknown protocol, no payload", BOTH, .proto = 253),

	KIND("DSCP, hop limit 1 and all else kept", BOTH | SUMMED, DATAGRAM, .payload = 8, .ttl = 1),
	KIND("IP options that pad", V4 | SUMMED, TCP, .payload = 10, .options = 8),
	KIND("the most IP options there can be", V4 | SUMMED, DATAGRAM, .payload = 10, .options = 40),
	KIND("router alert", V4 | SUMMED, DATAGRAM, .payload = 10, .options = 4,
	     .option = "\x94\x04\0\0"),
	KIND("timestamp, at an odd offset", V4 | SUMMED, DATAGRAM, .payload = 10, .options = 16,
	     .option = "\x01\x44\x0c\x05\0\0\0\0\0\0\0\0\0\0\0\0"),
	KIND("timestamps alone, some of them lost", V4 | SUMMED, DATAGRAM, .payload = 10, .options = 8,
	     .option = "\x44\x08\x09\xf0\0\0\0\0"),
	KIND("security, the longest option", V4 | SUMMED, TCP, .payload = 10, .options = 40,
	     .option = "\x82\x28" "345678901234567890123456789012345678901"),
	KIND("behind the end of the options: no source route", V4 | SUMMED, TCP, .options = 8,
	     .option = "\x01\0\x83\x07\x04\0\0\0"),
	KIND("in an option: no source route", V4 | SUMMED, TCP, .options = 8,
	     .option = "\x82\x08\x83\x07\x04\0\0\0"),
	KIND("an unknown option", V4 | SUMMED, TCP, .options = 4, .option = "\x5e\x03\x83\x01"),

	KIND("TCP, first fragment", BOTH, TCP, .payload = 3000, FRAGMENT(0, 1480)),
	KIND("TCP, middle fragment", BOTH, TCP, .payload = 3000, FRAGMENT(1480, 1480)),
	KIND("TCP, last fragment, odd length", BOTH, TCP, .payload = 3001, FRAGMENT(2960, 61)),
	KIND("UDP, first fragment", BOTH, DATAGRAM, .payload = 3000, FRAGMENT(0, 1480)),
	KIND("UDP, least first fragment", BOTH, DATAGRAM, .payload = 3000, FRAGMENT(0, 8)),
	KIND("UDP, middle fragment", BOTH, DATAGRAM, .payload = 3000, FRAGMENT(1480, 1480)),
	KIND("UDP, least last fragment", BOTH, DATAGRAM, .payload = 2961, FRAGMENT(2968, 1)),
	KIND("UDP without checksum, first fragment", BOTH, DATAGRAM, .payload = 3000,
	     .csum = CSUM_ABSENT, FRAGMENT(0, 1480)),
	KIND("UDP whose checksum comes to zero, first fragment", BOTH | TUNED, DATAGRAM,
	     .payload = 3000, FRAGMENT(0, 1480)),
	KIND("ICMP echo, first fragment", V4, .proto = IPPROTO_ICMP, .payload = 3000,
	     FRAGMENT(0, 1480)),
	KIND("ICMP echo, last fragment", V4, .proto = IPPROTO_ICMP, .payload = 3000,
	     FRAGMENT(2960, 48)),
	KIND("a last fragment that looks like an ICMP redirect", V4, .proto = IPPROTO_ICMP,
	     .payload = 64, .fill = 5, FRAGMENT(8, 64)),
	KIND("ICMPv6 echo, first fragment", V6, .proto = IPPROTO_ICMPV6, .payload = 3000,
	     .ext = "F", FRAGMENT(0, 1480)),
	KIND("ICMPv6 echo, last fragment", V6, .proto = IPPROTO_ICMPV6, .payload = 3000,
	     .ext = "F", FRAGMENT(2960, 48)),
	KIND("a first fragment behind IP options", V4, DATAGRAM, .payload = 3000, .options = 12,
	     FRAGMENT(0, 1480)),
	KIND("a first fragment behind a routing header", V6, DATAGRAM, .payload = 3000, .ext = "RF",
	     FRAGMENT(0, 1480)),
	KIND("a last fragment behind a hop-by-hop header", V6, TCP, .payload = 3000, .ext = "HF",
	     FRAGMENT(2960, 60)),

	KIND("hop-by-hop header", V6 | SUMMED, TCP, .payload = 10, .ext = "H"),
	KIND("destination options", V6 | SUMMED, DATAGRAM, .payload = 10, .ext = "D"),
	KIND("routing header, nothing left", V6 | SUMMED, DATAGRAM, .payload = 10, .ext = "R"),
	KIND("fragment header of a whole packet", V6 | SUMMED, DATAGRAM, .payload = 10, .ext = "F"),
	KIND("long extension headers", V6 | SUMMED, TCP, .payload = 10, .ext = "HD", .ext_len = 20),
	KIND("every extension header, in RFC 8200's order", V6 | SUMMED, .proto = IPPROTO_ICMPV6,
	     .payload = 9, .ext = "HDRFD"),
	KIND("six extension headers", V6 | SUMMED, TCP, .payload = 9, .ext = "HDRDDD"),
	KIND("an unknown protocol behind an extension header", V6, .proto = 253, .payload = 9,
	     .ext = "D"),

	KIND("TCP, three segments in one (GSO)", BOTH | GSO, TCP, .payload = 3000,
	     .gso_size = 1000, .gso_segs = 3),
	KIND("TCP, three segments in one, of a guest that does not say how many", BOTH | GSO, TCP,
	     .payload = 2999, .gso_size = 1000),
	KIND("UDP, four datagrams in one, of a guest that does not say how many", BOTH | GSO, DATAGRAM,
	     .payload = 3001, .gso_size = 1000),
};
/* clang-format on */
const size_t kinds_n = ARRAY_SIZE(kinds);

bool kind_is_for(const struct kind *kind, enum program program)
{
	return !(kind->flags & (program == XDP_IN ? GSO : LARGE));
}

struct row kind_row(const struct kind *kind, const char *src, const char *dst, const char *new_src,
		    const char *new_dst)
{
	struct row row = { .what = kind->what,
			   .outcome = TRANSLATED,
			   .before = kind->packet,
			   .after = kind->packet };

	row.before.src = src;
	row.before.dst = dst;
	row.after.src = new_src;
	row.after.dst = new_dst;
	if (!strchr(src, '.') && kind->packet.frag_len && !kind->packet.ext)
		row.before.ext = row.after.ext = "F";
	if (kind->flags & TUNED) {
		packet_tune(&row.after, 0);
		row.before.tune = row.after.tune;
	}
	return row;
}
