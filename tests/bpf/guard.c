/* SPDX-License-Identifier: GPL-2.0-only */
/* What does not get in or out, with its reason, and what is left alone. */
#include "harness.h"

#include "host/host.h"

#define TCP(s, d, ...)	  .src = s, .dst = d, .proto = IPPROTO_TCP, ##__VA_ARGS__
#define ICMPV6(s, d, ...) .src = s, .dst = d, .proto = IPPROTO_ICMPV6, ##__VA_ARGS__
/* the IP packet ends that many bytes early, and says so */
#define SHORTER(n) .cut = n, .length_lie = -(n)

/* clang-format off */
static const struct row in[] = {
	{ "nobody's shared address", ON_IN, { UDP(GREEN_SHARED, STRANGER) }, DROP(UNMAPPED) },
	{ "nobody's, IPv6", ON_IN, { UDP(GREEN_SHARED_6, STRANGER_6) }, DROP(UNMAPPED) },
	{ "another router's mapping", ON_IN, { UDP(GREEN_SHARED, BLUE_SHARED) }, DROP(UNMAPPED) },
	{ "another router's, IPv6", ON_IN, { UDP(GREEN_SHARED_6, BLUE_SHARED_6) }, DROP(UNMAPPED) },
	{ "another router itself", ON_IN, { UDP(GREEN_SHARED, BLUE_OWN) }, DROP(UNMAPPED) },
	{ "a mapping elsewhere", ON_IN, { UDP(STRANGER, GREEN_SHARED) }, DROP(UNMAPPED) },
	{ "a mapping elsewhere, IPv6", ON_IN, { UDP(STRANGER_6, GREEN_SHARED_6) }, DROP(UNMAPPED) },
	{ "the last address of the subnet", ON_IN, { UDP(GREEN_SHARED, "100.64.255.255") },
	  DROP(UNMAPPED) },

	{ "a VM's private address", ON_IN, { UDP(GREEN_SHARED, RED_VM) }, DROP(DIRECT_TO_PRIVATE) },
	{ "a VM's private address, IPv6", ON_IN, { UDP(GREEN_SHARED_6, RED_VM_6) },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a private address without mapping", ON_IN, { UDP(GREEN_SHARED, "10.0.0.77") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "an address of the Internet", ON_IN, { TCP(GREEN_SHARED, "8.8.8.8") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "loopback", ON_IN, { UDP(GREEN_SHARED, "127.0.0.1") }, DROP(DIRECT_TO_PRIVATE) },
	{ "loopback, IPv6", ON_IN, { UDP(GREEN_SHARED_6, "::1") }, DROP(DIRECT_TO_PRIVATE) },
	{ "just below the subnet", ON_IN, { UDP(GREEN_SHARED, "100.63.255.255") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "just above the subnet", ON_IN, { UDP(GREEN_SHARED, "100.65.0.0") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "just above the subnet, IPv6", ON_IN, { UDP(GREEN_SHARED_6, "fd64:0:0:1::1:5") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a link-local address", ON_IN, { UDP(GREEN_SHARED, "169.254.7.8") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a DHCP answer to an address that is about to be the router's, which XDP leaves to tc", ON_XDP,
	  { UDP("10.1.1.1", STRANGER, .sport = 67, .dport = 68) }, PASS },
	{ "a DHCP answer to another router's mapping, which XDP leaves to tc", ON_XDP,
	  { UDP(GREEN_SHARED, BLUE_SHARED, .sport = 67, .dport = 68) }, PASS },
	{ "a DHCP answer to a private address", ON_TC,
	  { UDP("10.1.1.1", "10.0.0.77", .sport = 67, .dport = 68) }, DROP(DIRECT_TO_PRIVATE) },
	{ "a group, in a frame to the router alone", ON_IN, { UDP(GREEN_SHARED, "239.1.2.3") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "private by ICMP", ON_IN, { .src = GREEN_SHARED, .dst = RED_VM, .proto = IPPROTO_ICMP },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "private by a fragment", ON_IN,
	  { TCP(GREEN_SHARED, RED_VM, .payload = 3000, .frag_at = 1480, .frag_len = 1480) },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "from one link-local address to another, IPv4", ON_IN, { UDP("169.254.7.7", "169.254.7.8") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "from a private address to a link-local one, IPv6", ON_IN, { UDP(RED_VM_6, "fe80::8") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a DHCP answer to nobody's address", ON_TC,
	  { UDP("10.1.1.1", STRANGER, .sport = 67, .dport = 68) }, DROP(UNMAPPED) },
	{ "a mapped IPv4 address in an IPv6 header", ON_IN,
	  { UDP(GREEN_SHARED_6, "::ffff:" RED_SHARED) }, DROP(MALFORMED) },
	{ "the router's IPv4 address in an IPv6 header", ON_IN,
	  { UDP(GREEN_SHARED_6, "::ffff:" RED_OWN) }, DROP(MALFORMED) },

	{ "from our own mapping", ON_IN, { UDP(RED_SHARED2, RED_SHARED) }, DROP(SPOOFED_SOURCE) },
	{ "from our own mapping, IPv6", ON_IN, { UDP(RED_SHARED2_6, RED_SHARED_6) },
	  DROP(SPOOFED_SOURCE) },
	{ "from the VM itself", ON_IN, { TCP(RED_SHARED, RED_SHARED) }, DROP(SPOOFED_SOURCE) },
	{ "from the router", ON_IN, { UDP(RED_OWN, RED_SHARED) }, DROP(SPOOFED_SOURCE) },
	{ "from the router, IPv6", ON_IN, { UDP(RED_OWN_6, RED_SHARED_6) }, DROP(SPOOFED_SOURCE) },
	{ "from our mapping to the router", ON_IN, { UDP(RED_SHARED, RED_OWN) },
	  DROP(SPOOFED_SOURCE) },
	{ "from the router to itself", ON_IN, { TCP(RED_OWN, RED_OWN) }, DROP(SPOOFED_SOURCE) },
	{ "from the router to itself, IPv6", ON_IN, { TCP(RED_OWN_6, RED_OWN_6) },
	  DROP(SPOOFED_SOURCE) },

	{ "from the Internet", ON_IN, { UDP("8.8.8.8", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from the Internet, IPv6", ON_IN, { UDP("2001:db8::1", RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from the Internet to the router", ON_IN, { TCP("8.8.8.8", RED_OWN) },
	  DROP(FOREIGN_SOURCE) },
	{ "from a private address", ON_IN, { UDP("10.0.0.6", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from the VM's own private address", ON_IN, { UDP(RED_VM, RED_SHARED) },
	  DROP(FOREIGN_SOURCE) },
	{ "from a private address, IPv6", ON_IN, { UDP(RED_VM2_6, RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from loopback", ON_IN, { UDP("127.0.0.1", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from loopback, IPv6", ON_IN, { UDP("::1", RED_SHARED_6) }, DROP(FOREIGN_SOURCE) },
	{ "from nowhere", ON_IN, { UDP("0.0.0.0", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from nowhere, IPv6", ON_IN, { UDP("::", RED_SHARED_6) }, DROP(FOREIGN_SOURCE) },
	{ "from a group", ON_IN, { UDP("224.0.0.1", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from everybody on the shared network", ON_IN, { UDP("100.64.255.255", RED_SHARED) },
	  DROP(FOREIGN_SOURCE) },
	{ "from everybody on the shared network, to the router", ON_IN,
	  { UDP("100.64.255.255", RED_OWN) }, DROP(FOREIGN_SOURCE) },
	{ "from everybody", ON_IN, { UDP("255.255.255.255", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "from a link-local address", ON_IN, { UDP("169.254.7.7", RED_SHARED) },
	  DROP(FOREIGN_SOURCE) },
	{ "from a link-local address, IPv6", ON_IN, { UDP("fe80::7", RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from just below the subnet", ON_IN, { UDP("100.63.255.255", RED_SHARED) },
	  DROP(FOREIGN_SOURCE) },
	{ "from just above the subnet", ON_IN, { UDP("100.65.0.0", RED_SHARED) },
	  DROP(FOREIGN_SOURCE) },
	{ "from just above the subnet, IPv6", ON_IN, { UDP("fd64:0:0:1::5", RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from an IPv4 address in an IPv6 header", ON_IN,
	  { UDP("::ffff:" GREEN_SHARED, RED_SHARED_6) }, DROP(MALFORMED) },
	{ "from an IPv4 address in an IPv6 header, to the router", ON_IN,
	  { TCP("::ffff:" GREEN_SHARED, RED_OWN_6) }, DROP(MALFORMED) },
	{ "to the router itself, with a source route", ON_IN,
	  { TCP(GREEN_SHARED, RED_OWN, .options = 8, .option = "\x83\x07\x04\x0a\0\0\x05\0") },
	  DROP(SOURCE_ROUTE) },
	{ "to the router itself, with a routing header", ON_IN,
	  { TCP(GREEN_SHARED_6, RED_OWN_6, .ext = "R", .segments = 1) }, DROP(SOURCE_ROUTE) },
	{ "to the router itself, with a wrong IP checksum", ON_IN,
	  { TCP(GREEN_SHARED, RED_OWN, .wrong_ip_csum = true) }, DROP(BAD_CHECKSUM) },
	{ "a DHCP answer to a VM", ON_IN, { UDP("10.1.1.1", RED_SHARED, .sport = 67, .dport = 68) },
	  DROP(FOREIGN_SOURCE) },
	{ "to the router, from another port than DHCP's", ON_IN,
	  { UDP("10.1.1.1", RED_OWN, .sport = 66, .dport = 68) }, DROP(FOREIGN_SOURCE) },
	{ "to the router, to another port than DHCP's", ON_IN,
	  { UDP("10.1.1.1", RED_OWN, .sport = 67, .dport = 69) }, DROP(FOREIGN_SOURCE) },
	{ "TCP with DHCP's ports", ON_IN, { TCP("10.1.1.1", RED_OWN, .sport = 67, .dport = 68) },
	  DROP(FOREIGN_SOURCE) },
	{ "a later fragment that begins with DHCP's ports", ON_IN,
	  { .src = "10.1.1.1", .dst = RED_OWN, .proto = IPPROTO_UDP, .payload = 64, .fill = 0,
	    .frag_at = 8, .frag_len = 64 }, DROP(FOREIGN_SOURCE) },
};
/* clang-format on */

#define OPTION(n, bytes) .options = (n), .option = (bytes)
#define NOPS_37		 "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"

/* The same on the way in and out, because the headers are read alike. */
/* clang-format off */
#define HEADERS(s, d, s6, d6, when)                                                                \
	{ "header length below 5", when, { UDP(s, d, .ihl = 4) }, DROP(MALFORMED) },               \
	{ "header longer than the packet", when,                                                   \
	  { .src = s, .dst = d, .proto = 253, .ihl = 15 }, DROP(MALFORMED) },                      \
	{ "IPv4 of version 5", when, { UDP(s, d, .version = 5) }, DROP(MALFORMED) },               \
	{ "version 6 in an IPv4 frame", when, { UDP(s, d, .version = 6) }, DROP(MALFORMED) },      \
	{ "version 4 in an IPv6 frame", when, { UDP(s6, d6, .version = 4) }, DROP(MALFORMED) },    \
	{ "length beyond the frame", when, { UDP(s, d, .length_lie = 1) }, DROP(MALFORMED) },      \
	{ "length beyond the frame, IPv6", when, { UDP(s6, d6, .length_lie = 1) },                 \
	  DROP(MALFORMED) },                                                                       \
	{ "length below the header", when, { UDP(s, d, .length_lie = -17) }, DROP(MALFORMED) },    \
	{ "length of zero", when, { UDP(s, d, .length_lie = -36) }, DROP(MALFORMED) },             \
	{ "a jumbogram", when, { UDP(s6, d6, .length_lie = -16) }, DROP(MALFORMED) },              \
	{ "TCP header cut off in its checksum", when, { TCP(s, d, SHORTER(3)) },                   \
	  DROP(MALFORMED) },                                                                       \
	{ "TCP header cut off, with padding", when,                                                \
	  { TCP(s, d, .length_lie = -3, .trailer = 6) }, DROP(MALFORMED) },                        \
	{ "TCP header cut off, IPv6", when, { TCP(s6, d6, SHORTER(3)) }, DROP(MALFORMED) },        \
	{ "TCP header cut off at its end", when, { TCP(s, d, SHORTER(1)) }, DROP(MALFORMED) },     \
	{ "no TCP header", when, { TCP(s, d, SHORTER(20)) }, DROP(MALFORMED) },                    \
	{ "UDP header cut off", when, { .src = s, .dst = d, .proto = IPPROTO_UDP, SHORTER(1) },    \
	  DROP(MALFORMED) },                                                                       \
	{ "UDP header cut off, IPv6", when,                                                        \
	  { .src = s6, .dst = d6, .proto = IPPROTO_UDP, SHORTER(1) }, DROP(MALFORMED) },           \
	{ "ICMPv6 header cut off", when, { ICMPV6(s6, d6, SHORTER(5)) }, DROP(MALFORMED) },        \
	{ "a first fragment without the checksum", when,                                           \
	  { TCP(s, d, .payload = 64, .frag_len = 16) }, DROP(MALFORMED) },                         \
	{ "a first fragment without the checksum, IPv6", when,                                     \
	  { TCP(s6, d6, .payload = 64, .ext = "F", .frag_len = 8) }, DROP(MALFORMED) },            \
	{ "seven extension headers", when, { TCP(s6, d6, .ext = "HDRDDDD") }, DROP(MALFORMED) },   \
	{ "an extension header cut off", when,                                                     \
	  { .src = s6, .dst = d6, .proto = 253, .ext = "D", SHORTER(5) }, DROP(MALFORMED) },       \
	{ "DCCP header cut off", when, { .src = s, .dst = d, .proto = IPPROTO_DCCP, SHORTER(5) },  \
	  DROP(MALFORMED) },                                                                       \
	{ "SCTP header cut off", when,                                                             \
	  { .src = s, .dst = d, .proto = IPPROTO_SCTP, SHORTER(1) } , DROP(MALFORMED) },         \
	{ "UDP-Lite header cut off", when,                                                         \
	  { .src = s6, .dst = d6, .proto = IPPROTO_UDPLITE, SHORTER(1) }, DROP(MALFORMED) },       \
	{ "ICMP header cut off", when, { .src = s, .dst = d, .proto = IPPROTO_ICMP, SHORTER(1) },  \
	  DROP(MALFORMED) },                                                                       \
	{ "no ICMP header, but padding that looks like one", when,                                 \
	  { .src = s, .dst = d, .proto = IPPROTO_ICMP, .length_lie = -8 }, DROP(MALFORMED) },      \
	{ "ICMPv6 header cut off at its end", when, { ICMPV6(s6, d6, SHORTER(1)) },                \
	  DROP(MALFORMED) },                                                                       \
                                                                                                   \
	{ "a wrong IP checksum", when, { UDP(s, d, .wrong_ip_csum = true) }, DROP(BAD_CHECKSUM) }, \
	{ "a wrong IP checksum, with options", when,                                               \
	  { TCP(s, d, .wrong_ip_csum = true, .options = 40) }, DROP(BAD_CHECKSUM) },               \
	{ "a wrong IP checksum of a fragment", when,                                               \
	  { TCP(s, d, .wrong_ip_csum = true, .payload = 64, .frag_at = 16, .frag_len = 32) },      \
	  DROP(BAD_CHECKSUM) },                                                                    \
	{ "a wrong IP checksum and a source route", when,                                          \
	  { TCP(s, d, .wrong_ip_csum = true, OPTION(8, "\x83\x07\x04\x08\x08\x08\x08\0")) },       \
	  DROP(BAD_CHECKSUM) },                                                                    \
                                                                                                   \
	{ "loose source route", when, { UDP(s, d, OPTION(8, "\x83\x07\x04\x0a\0\0\x05\0")) },      \
	  DROP(SOURCE_ROUTE) },                                                                    \
	{ "strict source route", when, { UDP(s, d, OPTION(8, "\x89\x07\x04\x0a\0\0\x05\0")) },     \
	  DROP(SOURCE_ROUTE) },                                                                    \
	{ "a source route that is used up", when,                                                  \
	  { UDP(s, d, OPTION(8, "\x83\x07\x08\x0a\0\0\x05\0")) }, DROP(SOURCE_ROUTE) },            \
	{ "a source route behind padding", when,                                                   \
	  { TCP(s, d, OPTION(12, "\x01\x01\x01\x83\x07\x04\x0a\0\0\x05\0\0")) },                   \
	  DROP(SOURCE_ROUTE) },                                                                    \
	{ "a source route behind the longest way", when,                                           \
	  { TCP(s, d, OPTION(40, NOPS_37 "\x83\x03\x04")) }, DROP(SOURCE_ROUTE) },                 \
	{ "a source route behind another option", when,                                            \
	  { TCP(s, d, OPTION(12, "\x94\x04\0\0\x83\x07\x04\x0a\0\0\x05\0")) },                     \
	  DROP(SOURCE_ROUTE) },                                                                    \
	{ "a source route on a later fragment", when,                                              \
	  { TCP(s, d, .payload = 64, .frag_at = 16, .frag_len = 32,                                \
		OPTION(8, "\x83\x07\x04\x0a\0\0\x05\0")) }, DROP(SOURCE_ROUTE) },                  \
	{ "record route", when, { UDP(s, d, OPTION(8, "\x07\x07\x04\0\0\0\0\0")) },                \
	  DROP(RECORD_ROUTE) },                                                                    \
	{ "record route, ping -R", when,                                                           \
	  { .src = s, .dst = d, .proto = IPPROTO_ICMP,                                             \
	    OPTION(12, "\x07\x0b\x04\0\0\0\0\0\0\0\0\0") }, DROP(RECORD_ROUTE) },                  \
	{ "timestamps with addresses", when,                                                       \
	  { UDP(s, d, OPTION(12, "\x44\x0c\x05\x01\0\0\0\0\0\0\0\0")) }, DROP(RECORD_ROUTE) },      \
	{ "timestamps of given addresses", when,                                                   \
	  { UDP(s, d, OPTION(12, "\x44\x0c\x05\x03\0\0\0\0\0\0\0\0")) }, DROP(RECORD_ROUTE) },      \
	{ "record route, then a source route", when,                                               \
	  { UDP(s, d, OPTION(8, "\x07\x03\x04\x83\x03\x04\0\0")) }, DROP(RECORD_ROUTE) },          \
	{ "an option without length", when, { UDP(s, d, OPTION(4, "\x01\x01\x01\x94")) },          \
	  DROP(MALFORMED) },                                                                       \
	{ "an option of length 0", when, { UDP(s, d, OPTION(4, "\x94\0\0\0")) },                   \
	  DROP(MALFORMED) },                                                                       \
	{ "an option of length 1", when, { UDP(s, d, OPTION(4, "\x94\x01\0\0")) },                 \
	  DROP(MALFORMED) },                                                                       \
	{ "an option longer than the header", when, { UDP(s, d, OPTION(4, "\x94\x05\0\0")) },      \
	  DROP(MALFORMED) },                                                                       \
	{ "a source route longer than the header", when,                                           \
	  { UDP(s, d, OPTION(4, "\x83\x07\x04\x0a")) }, DROP(MALFORMED) },                         \
	{ "a routing header with a way to go", when, { UDP(s6, d6, .ext = "R", .segments = 1) },   \
	  DROP(SOURCE_ROUTE) },                                                                    \
	{ "a routing header with a long way to go", when,                                          \
	  { TCP(s6, d6, .ext = "HDRD", .segments = 254) }, DROP(SOURCE_ROUTE) },                   \
	{ "a routing header with a way to go, a later fragment", when,                             \
	  { TCP(s6, d6, .ext = "RF", .segments = 1, .payload = 64, .frag_at = 16,                  \
		.frag_len = 32) }, DROP(SOURCE_ROUTE) },                                           \
                                                                                                   \
	{ "IPsec AH", when, { .src = s, .dst = d, .proto = IPPROTO_AH, .payload = 40 },            \
	  DROP(AUTH_HEADER) },                                                                     \
	{ "IPsec AH, IPv6", when, { .src = s6, .dst = d6, .proto = IPPROTO_AH, .payload = 40 },    \
	  DROP(AUTH_HEADER) },                                                                     \
	{ "IPsec AH behind extension headers", when,                                               \
	  { .src = s6, .dst = d6, .proto = IPPROTO_AH, .payload = 40, .ext = "HD" },               \
	  DROP(AUTH_HEADER) },                                                                     \
	{ "a later fragment of IPsec AH", when,                                                    \
	  { .src = s, .dst = d, .proto = IPPROTO_AH, .payload = 64, .frag_at = 16,                 \
	    .frag_len = 32 }, DROP(AUTH_HEADER) },                                                 \
	{ "an extension header behind the end", when,                                              \
	  { .src = s6, .dst = d6, .proto = 253, .ext = "HD", .ext_len = 2, SHORTER(24) },          \
	  DROP(MALFORMED) }

/* What XDP leaves to tc: frames that are not addressed to the router alone, or say that they are no IP. */
static const struct row in_frames[] = {
	{ "a broadcast frame with a mapped address", ON_IN,
	  { UDP(GREEN_SHARED, RED_SHARED, .to = MAC_BROADCAST) }, DROP(UNMAPPED) },
	{ "a broadcast frame with a private address", ON_IN,
	  { UDP(GREEN_SHARED, "10.0.0.1", .to = MAC_BROADCAST) }, DROP(DIRECT_TO_PRIVATE) },
	{ "a group frame with a private address", ON_IN,
	  { UDP(GREEN_SHARED, "10.0.0.1", .to = "01:00:5e:00:00:01") }, DROP(DIRECT_TO_PRIVATE) },
	{ "a group frame with a private address, IPv6", ON_IN,
	  { UDP(GREEN_SHARED_6, "fd00:10::1", .to = "33:33:00:00:00:01") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a broadcast frame to the router, from nowhere", ON_IN,
	  { UDP("8.8.8.8", RED_OWN, .to = MAC_BROADCAST) }, DROP(FOREIGN_SOURCE) },
	{ "a group frame that is malformed", ON_IN,
	  { UDP(GREEN_SHARED, "239.1.2.3", .to = "01:00:5e:01:02:03", .ihl = 4) },
	  DROP(MALFORMED) },
	{ "a second VLAN tag", ON_IN, { .ethertype = 0x8100, .payload = 46 }, DROP(MALFORMED) },
	{ "a second VLAN tag, 802.1ad", ON_IN, { .ethertype = 0x88a8, .payload = 46 },
	  DROP(MALFORMED) },
};

static const struct row in_headers[] = {
	/* tc has no test runs without a whole header: see wire.c */
	{ "half an IPv4 header", ON_XDP, { UDP(GREEN_SHARED, RED_SHARED, .cut = 26) },
	  DROP(MALFORMED) },
	{ "no IPv4 header", ON_XDP, { UDP(GREEN_SHARED, RED_SHARED, .cut = 36) },
	  DROP(MALFORMED) },
	{ "half an IPv6 header", ON_XDP, { UDP(GREEN_SHARED_6, RED_SHARED_6, .cut = 36) },
	  DROP(MALFORMED) },
	{ "no IPv6 header", ON_XDP, { UDP(GREEN_SHARED_6, RED_SHARED_6, .cut = 56) },
	  DROP(MALFORMED) },
	HEADERS(GREEN_SHARED, RED_SHARED, GREEN_SHARED_6, RED_SHARED_6, ON_IN),
};

static const struct row out_headers[] = {
	HEADERS(RED_VM, GREEN_SHARED, RED_VM_6, GREEN_SHARED_6, ON_OUT),
};
/* clang-format on */

static const struct nd solicit_own = {
	.type = 135, .target = RED_OWN_6, .option = 1, .mac = MAC_PEER
};
static const struct nd advert = {
	.type = 136, .target = GREEN_SHARED_6, .option = 2, .mac = MAC_PEER
};
static const struct nd advert_own = {
	.type = 136, .target = RED_OWN_6, .option = 2, .mac = MAC_ROUTER
};
static const struct nd advert_mapped = {
	.type = 136, .target = RED_SHARED_6, .option = 2, .mac = MAC_ROUTER
};
static const struct nd redirect = {
	.type = 137, .target = RED_VM_6, .option = 2, .mac = MAC_ROUTER
};
static const struct nd solicit_green = {
	.type = 135, .target = GREEN_SHARED_6, .option = 1, .mac = MAC_ROUTER
};

/* clang-format off */
static const struct row in_left_alone[] = {
	{ "to the router itself, UDP", ON_IN, { UDP(GREEN_SHARED, RED_OWN) }, PASS },
	{ "to the router itself, UDP, IPv6", ON_IN, { UDP(GREEN_SHARED_6, RED_OWN_6) }, PASS },
	{ "to the router itself, TCP", ON_IN, { TCP(STRANGER, RED_OWN) }, PASS },
	{ "to the router itself, ping", ON_IN,
	  { .src = BLUE_OWN, .dst = RED_OWN, .proto = IPPROTO_ICMP }, PASS },
	{ "to the router itself, ping, IPv6", ON_IN, { ICMPV6(BLUE_OWN_6, RED_OWN_6) }, PASS },
	{ "to the router itself, IPsec AH", ON_IN,
	  { .src = BLUE_OWN, .dst = RED_OWN, .proto = IPPROTO_AH, .payload = 40 }, PASS },
	{ "to the router itself, a fragment", ON_IN,
	  { TCP(GREEN_SHARED, RED_OWN, .payload = 64, .frag_at = 16, .frag_len = 32) }, PASS },
	{ "a DHCP answer to the router, from the shared network", ON_IN,
	  { UDP(GREEN_SHARED, RED_OWN, .sport = 67, .dport = 68) }, PASS },
	{ "a DHCP answer to the router", ON_XDP,
	  { UDP("10.1.1.1", RED_OWN, .sport = 67, .dport = 68) }, PASS },
	{ "a DHCP answer to everybody", ON_XDP,
	  { UDP("10.1.1.1", "255.255.255.255", .to = MAC_BROADCAST, .sport = 67, .dport = 68) },
	  PASS },
	{ "a group frame", ON_IN, { UDP(GREEN_SHARED, "239.1.2.3", .to = "01:00:5e:01:02:03") },
	  PASS },
	{ "a broadcast to the subnet", ON_IN,
	  { UDP(GREEN_SHARED, "100.64.255.255", .to = MAC_BROADCAST) }, PASS },
	{ "a group frame, IPv6", ON_IN, { UDP("fe80::7", "ff02::fb", .to = "33:33:00:00:00:fb") },
	  PASS },
	{ "a frame for another host", ON_IN, { UDP(GREEN_SHARED, RED_SHARED, .to = MAC_OTHER) },
	  PASS },
	{ "a frame for another host, IPv6", ON_IN,
	  { UDP(GREEN_SHARED_6, RED_SHARED_6, .to = MAC_OTHER) }, PASS },
	{ "a frame for another host that is malformed", ON_IN,
	  { UDP(GREEN_SHARED, RED_SHARED, .to = MAC_OTHER, .ihl = 4) }, PASS },
	{ "link-local, IPv6", ON_IN, { UDP("fe80::7", "fe80::8") }, PASS },
	{ "to a link-local address, IPv6", ON_IN, { UDP(GREEN_SHARED_6, "fe80::8") }, PASS },
	{ "a solicitation to the router", ON_IN,
	  { ICMPV6("fe80::7", RED_OWN_6, .nd = &solicit_own) }, PASS },
	{ "an advertisement to the router", ON_IN,
	  { ICMPV6(GREEN_SHARED_6, RED_OWN_6, .nd = &advert) }, PASS },
	{ "LLDP", ON_IN, { .to = "01:80:c2:00:00:0e", .ethertype = 0x88cc, .payload = 46 }, PASS },
	{ "another protocol than IP to the router", ON_IN, { .ethertype = 0x88b5, .payload = 46 },
	  PASS },
	{ "another protocol, a short frame", ON_IN, { .ethertype = 0x88b5, .payload = 1 }, PASS },
	{ "another protocol, a group frame shorter than two headers", ON_IN,
	  { .to = "01:80:c2:00:00:0e", .ethertype = 0x88b5, .payload = 8 }, PASS },
	{ "another protocol, a group frame with its header twice", ON_XDP,
	  { .to = "01:08:0f:16:1d:24", .from = "2b:32:39:40:47:4e", .ethertype = 0x555c,
	    .payload = 46, .fill = 1 }, PASS },
	{ "a VLAN's tag, which XDP leaves to tc", ON_XDP,
	  { UDP(GREEN_SHARED, RED_SHARED, .vlan = 7) }, PASS },
};

#define HEADER_TWICE                                                             \
	{                                                                        \
		.to = "01:08:0f:16:1d:24", .from = "2b:32:39:40:47:4e",          \
		.ethertype = 0x555c, .payload = 46, .fill = 1,                   \
	}
/* Where it starts does not show by its content: see tn_pkt_start(). */
static const struct row told = { "its header twice, and the kernel tells", ON_TC, HEADER_TWICE,
				 PASS };
static const struct row untold = { "its header twice, and nobody tells", ON_TC, HEADER_TWICE,
				   DROP(INTERNAL) };

static const struct row out[] = {
	{ "a VM without mapping", ON_OUT, { UDP("10.0.0.77", GREEN_SHARED) }, DROP(UNTRANSLATED) },
	{ "a VM without mapping, IPv6", ON_OUT, { UDP("fd00:10::77", GREEN_SHARED_6) },
	  DROP(UNTRANSLATED) },
	{ "a fragment of a VM without mapping", ON_OUT,
	  { UDP("10.0.0.77", GREEN_SHARED, .frag_at = 8, .frag_len = 8) }, DROP(UNTRANSLATED) },
	{ "an address of the Internet", ON_OUT, { UDP("8.8.8.8", GREEN_SHARED) },
	  DROP(UNTRANSLATED) },
	{ "loopback", ON_OUT, { UDP("127.0.0.1", GREEN_SHARED) }, DROP(UNTRANSLATED) },
	{ "loopback, IPv6", ON_OUT, { UDP("::1", GREEN_SHARED_6) }, DROP(UNTRANSLATED) },
	{ "nobody's shared address", ON_OUT, { UDP(STRANGER, GREEN_SHARED) }, DROP(UNTRANSLATED) },
	{ "nobody's shared address, IPv6", ON_OUT, { UDP(STRANGER_6, GREEN_SHARED_6) },
	  DROP(UNTRANSLATED) },
	{ "another router's mapping", ON_OUT, { UDP(BLUE_SHARED, GREEN_SHARED) },
	  DROP(UNTRANSLATED) },
	{ "another router itself", ON_OUT, { UDP(BLUE_OWN, GREEN_SHARED) }, DROP(UNTRANSLATED) },
	{ "a VM that calls itself by its shared address", ON_OUT, { UDP(RED_SHARED, GREEN_SHARED) },
	  DROP(UNTRANSLATED) },
	{ "a VM that calls itself by its shared address, IPv6", ON_OUT,
	  { UDP(RED_SHARED_6, GREEN_SHARED_6) }, DROP(UNTRANSLATED) },
	{ "link-local, but to others", ON_OUT, { UDP("169.254.7.7", GREEN_SHARED) },
	  DROP(UNTRANSLATED) },
	{ "a VM's IPv4 address in an IPv6 header", ON_OUT,
	  { UDP("::ffff:" RED_VM, GREEN_SHARED_6) }, DROP(MALFORMED) },
	{ "the router's IPv4 address in an IPv6 header", ON_OUT,
	  { UDP("::ffff:" RED_OWN, GREEN_SHARED_6) }, DROP(MALFORMED) },
	{ "a large segment (GSO) counts as its packets", ON_OUT,
	  { TCP("10.0.0.77", GREEN_SHARED, .payload = 3000, .gso_size = 1000, .gso_segs = 3) },
	  DROP(UNTRANSLATED) },
	{ "a large segment of a guest, which does not say how many packets it is", ON_OUT,
	  { TCP("10.0.0.77", GREEN_SHARED, .payload = 2001, .gso_size = 1000) },
	  DROP(UNTRANSLATED) },
	{ "a large segment of a guest that just fits, IPv6", ON_OUT,
	  { TCP("fd00:10::77", GREEN_SHARED_6, .payload = 2000, .gso_size = 1000) },
	  DROP(UNTRANSLATED) },

	{ "the router itself", ON_OUT, { UDP(RED_OWN, GREEN_SHARED) }, PASS },
	{ "the router itself, IPv6", ON_OUT, { UDP(RED_OWN_6, GREEN_SHARED_6) }, PASS },
	{ "the router itself, ping", ON_OUT,
	  { .src = RED_OWN, .dst = GREEN_SHARED, .proto = IPPROTO_ICMP }, PASS },
	{ "the router itself, IGMP with an option", ON_OUT,
	  { .src = RED_OWN, .dst = "224.0.0.22", .proto = IPPROTO_IGMP, .options = 4, .payload = 16,
	    .to = "01:00:5e:00:00:16" }, PASS },
	{ "the router itself, a solicitation", ON_OUT,
	  { ICMPV6(RED_OWN_6, "ff02::1:ff02:5", .nd = &solicit_green) }, PASS },
	{ "the router itself, a redirect", ON_OUT,
	  { ICMPV6("fe80::1", GREEN_SHARED_6, .nd = &redirect) }, DROP(ICMP_REDIRECT) },
	{ "the router itself, an advertisement", ON_OUT,
	  { ICMPV6(RED_OWN_6, GREEN_SHARED_6, .nd = &advert_own) }, PASS },
	{ "our answer for a mapped address", ON_OUT,
	  { ICMPV6(RED_SHARED_6, GREEN_SHARED_6, .nd = &advert_mapped) }, PASS },
	{ "a solicitation with a mapped address as its source", ON_OUT,
	  { ICMPV6(RED_SHARED_6, GREEN_SHARED_6, .nd = &solicit_green) }, DROP(UNTRANSLATED) },
	{ "DHCP discover", ON_OUT,
	  { UDP("0.0.0.0", "255.255.255.255", .to = MAC_BROADCAST, .sport = 68, .dport = 67) },
	  PASS },
	{ "a probe for a duplicate address", ON_OUT,
	  { ICMPV6("::", "ff02::1:ff00:a", .nd = &solicit_own) }, PASS },
	{ "link-local, IPv4", ON_OUT, { UDP("169.254.7.7", "169.254.7.8") }, DROP(UNTRANSLATED) },
	{ "from a link-local address to a shared one, IPv6", ON_OUT,
	  { UDP("fe80::7", GREEN_SHARED_6) }, DROP(UNTRANSLATED) },
	{ "a VLAN tag in the frame", ON_OUT, { .ethertype = 0x8100, .payload = 46 },
	  DROP(UNTRANSLATED) },
	{ "link-local, IPv6", ON_OUT, { UDP("fe80::7", "ff02::fb") }, PASS },
	{ "another protocol than IP", ON_OUT, { .ethertype = 0x88cc, .payload = 46 }, PASS },
};
/* clang-format on */

Test(guard, in_on_xdp)
{
	lab_check_table(in, ARRAY_SIZE(in), XDP_IN);
}

Test(guard, in_on_tc)
{
	lab_check_table(in, ARRAY_SIZE(in), TC_IN);
}

Test(guard, frames_in_on_tc)
{
	lab_check_table(in_frames, ARRAY_SIZE(in_frames), TC_IN);
}

static void check_header_twice(bool reads_nothing)
{
	struct lab *lab = lab_open(
		&(struct lab_options){ .programs = ON_TC, .reads_nothing = reads_nothing });

	lab_check(lab, !reads_nothing && host_lets_programs_read() ? &told : &untold, TC_IN);
	lab_close(lab);
}

Test(guard, header_twice_in_on_tc)
{
	check_header_twice(false);
}

Test(guard, header_twice_in_on_tc_that_reads_nothing_of_the_kernel)
{
	check_header_twice(true);
}

Test(guard, malformed_in_on_xdp)
{
	lab_check_table(in_headers, ARRAY_SIZE(in_headers), XDP_IN);
}

Test(guard, malformed_in_on_tc)
{
	lab_check_table(in_headers, ARRAY_SIZE(in_headers), TC_IN);
}

Test(guard, left_alone_in_on_xdp)
{
	lab_check_table(in_left_alone, ARRAY_SIZE(in_left_alone), XDP_IN);
}

Test(guard, left_alone_in_on_tc)
{
	lab_check_table(in_left_alone, ARRAY_SIZE(in_left_alone), TC_IN);
}

Test(guard, out)
{
	lab_check_table(out, ARRAY_SIZE(out), TC_OUT);
}

Test(guard, malformed_out)
{
	lab_check_table(out_headers, ARRAY_SIZE(out_headers), TC_OUT);
}
