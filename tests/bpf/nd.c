/* SPDX-License-Identifier: GPL-2.0-only */
/* Neighbour discovery: answers for this router's mapped addresses. */
#include "harness.h"

#define SOLICITED 0x40000000
#define OVERRIDE  0x20000000

/* a mapped address's group, and its MAC address (RFC 4291, 2.7.1; RFC 2464, 7) */
#define GROUP_OF_5 "ff02::1:ff01:5"
#define MAC_OF_5   "33:33:ff:01:00:05"

#define ND(t, ...)                                        \
	.proto = IPPROTO_ICMPV6, .nd = &(const struct nd) \
	{                                                 \
		.type = t, ##__VA_ARGS__                  \
	}
#define SOLICIT(s, t, ...)                           \
	.src = s, .dst = GROUP_OF_5, .to = MAC_OF_5, \
	ND(135, .target = t, .option = 1, .mac = MAC_PEER, ##__VA_ARGS__)
#define SOLICIT_TO(s, d, t) .src = s, .dst = d, ND(135, .target = t, .option = 1, .mac = MAC_PEER)
#define ADVERT(s, d)                                            \
	.src = s, .dst = d, .from = MAC_ROUTER, .to = MAC_PEER, \
	ND(136, .flags = SOLICITED | OVERRIDE, .target = s, .option = 2, .mac = MAC_ROUTER)
/* to all nodes, because who probes has no address yet */
#define ADVERT_TO_ALL(s)                                                           \
	.src = s, .dst = "ff02::1", .from = MAC_ROUTER, .to = "33:33:00:00:00:01", \
	ND(136, .flags = OVERRIDE, .target = s, .option = 2, .mac = MAC_ROUTER)

/* clang-format off */
static const struct row rows[] = {
	{ "a mapped address", ON_IN, { SOLICIT(GREEN_SHARED_6, RED_SHARED_6) },
	  ANSWER(ADVERT(RED_SHARED_6, GREEN_SHARED_6)) },
	{ "the second mapped address", ON_IN, { SOLICIT(STRANGER_6, RED_SHARED2_6) },
	  ANSWER(ADVERT(RED_SHARED2_6, STRANGER_6)) },
	{ "from a link-local address", ON_IN, { SOLICIT("fe80::7", RED_SHARED_6) },
	  ANSWER(ADVERT(RED_SHARED_6, "fe80::7")) },
	{ "to the mapped address itself", ON_IN,
	  { SOLICIT_TO(GREEN_SHARED_6, RED_SHARED_6, RED_SHARED_6) },
	  ANSWER(ADVERT(RED_SHARED_6, GREEN_SHARED_6)) },
	{ "a probe for a duplicate", ON_IN,
	  { .src = "::", .dst = GROUP_OF_5, .to = MAC_OF_5, ND(135, .target = RED_SHARED_6) },
	  ANSWER(ADVERT_TO_ALL(RED_SHARED_6)) },
	{ "without a link-layer address", ON_IN,
	  { .src = GREEN_SHARED_6, .dst = GROUP_OF_5, .to = MAC_OF_5,
	    ND(135, .target = RED_SHARED_6) }, ANSWER(ADVERT(RED_SHARED_6, GREEN_SHARED_6)) },
	{ "with a further option", ON_IN, { SOLICIT(GREEN_SHARED_6, RED_SHARED_6), .payload = 8 },
	  ANSWER(ADVERT(RED_SHARED_6, GREEN_SHARED_6)) },

	{ "the router itself", ON_IN, { SOLICIT(GREEN_SHARED_6, RED_OWN_6) }, PASS },
	{ "nobody's address", ON_IN, { SOLICIT(GREEN_SHARED_6, STRANGER_6) }, PASS },
	{ "another router's mapping", ON_IN, { SOLICIT(GREEN_SHARED_6, BLUE_SHARED_6) }, PASS },
	{ "a mapping elsewhere", ON_IN, { SOLICIT(STRANGER_6, GREEN_SHARED_6) }, PASS },
	{ "for another host", ON_IN,
	  { .src = GREEN_SHARED_6, .dst = RED_SHARED_6, .to = MAC_OTHER,
	    ND(135, .target = RED_SHARED_6) }, PASS },
	{ "from beyond the link", ON_TC, { SOLICIT(GREEN_SHARED_6, RED_SHARED_6), .ttl = 254 },
	  DROP(MALFORMED) },
	{ "another code", ON_TC, { SOLICIT(GREEN_SHARED_6, RED_SHARED_6, .code = 1) },
	  DROP(MALFORMED) },
	{ "an advertisement of a mapped address", ON_TC,
	  { .src = GREEN_SHARED_6, .dst = "ff02::1", .to = "33:33:00:00:00:01",
	    ND(136, .target = RED_SHARED_6, .option = 2, .mac = MAC_PEER) }, DROP(SPOOFED_SOURCE) },
	{ "cut off in its target", ON_TC,
	  { .src = GREEN_SHARED_6, .dst = GROUP_OF_5, .to = MAC_OF_5,
	    ND(135, .target = RED_SHARED_6), .cut = 4, .length_lie = -4 }, DROP(MALFORMED) },
	{ "XDP leaves all of it to tc", ON_XDP,
	  { SOLICIT(RED_SHARED_6, RED_SHARED_6, .code = 1), .ttl = 254 }, PASS },

	{ "from a private address", ON_TC, { SOLICIT(RED_VM2_6, RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from the Internet", ON_TC, { SOLICIT("2001:db8::1", RED_SHARED_6) },
	  DROP(FOREIGN_SOURCE) },
	{ "from our own mapping", ON_TC, { SOLICIT(RED_SHARED2_6, RED_SHARED_6) },
	  DROP(SPOOFED_SOURCE) },
	{ "from the router", ON_TC, { SOLICIT(RED_OWN_6, RED_SHARED_6) }, DROP(SPOOFED_SOURCE) },
	{ "a private address, to the router alone", ON_TC,
	  { SOLICIT_TO(GREEN_SHARED_6, RED_VM_6, RED_VM_6) }, DROP(DIRECT_TO_PRIVATE) },
};
/* clang-format on */

/* What the router asks itself, as in arp.c. */
#define OUT .from = MAC_ROUTER
#define ADVERT_HOME(s, d)                                         \
	.src = s, .dst = d, .from = MAC_ROUTER, .to = MAC_ROUTER, \
	ND(136, .flags = SOLICITED | OVERRIDE, .target = s, .option = 2, .mac = MAC_ROUTER)
#define TURN(...) TURNED_BACK(__VA_ARGS__), .uncounted = true

/* clang-format off */
static const struct row out[] = {
	{ "a mapping of its own", ON_OUT, { SOLICIT(RED_OWN_6, RED_SHARED_6), OUT },
	  TURN(ADVERT_HOME(RED_SHARED_6, RED_OWN_6)) },
	{ "a mapping of its own, from a link-local address", ON_OUT,
	  { SOLICIT("fe80::1", RED_SHARED_6), OUT }, TURN(ADVERT_HOME(RED_SHARED_6, "fe80::1")) },
	{ "a mapping of its own, of the one it knows", ON_OUT,
	  { SOLICIT_TO(RED_OWN_6, RED_SHARED_6, RED_SHARED_6), OUT },
	  TURN(ADVERT_HOME(RED_SHARED_6, RED_OWN_6)) },
	{ "another router's mapping", ON_OUT, { SOLICIT(RED_OWN_6, BLUE_SHARED_6), OUT }, PASS },
	{ "another router's mapping, from a link-local address", ON_OUT,
	  { SOLICIT("fe80::1", BLUE_SHARED_6), OUT }, PASS },
	{ "a probe for a mapping of its own", ON_OUT, { SOLICIT("::", RED_SHARED_6), OUT }, PASS },
	{ "a mapping of its own, another code", ON_OUT,
	  { SOLICIT(RED_OWN_6, RED_SHARED_6, .code = 1), OUT }, PASS },
};
/* clang-format on */

Test(nd, out)
{
	lab_check_table(out, ARRAY_SIZE(out), TC_OUT);
}

Test(nd, in_on_xdp)
{
	lab_check_table(rows, ARRAY_SIZE(rows), XDP_IN);
}

Test(nd, in_on_tc)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_IN);
}
