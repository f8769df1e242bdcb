/* SPDX-License-Identifier: GPL-2.0-only */
/* ARP: answers for this router's mapped addresses, and what must not be asked or told. */
#include "harness.h"

#define NOBODY "00:00:00:00:00:00"

/* clang-format off */
#define ARP(o, smac, s, tmac, t, ...)                                                              \
	.arp = &(const struct arp){ .op = o, .sender_mac = smac, .sender = s, .target_mac = tmac,  \
				    .target = t, ##__VA_ARGS__ }
#define ASK(s, t, ...)	 ARP(1, MAC_PEER, s, NOBODY, t, ##__VA_ARGS__), .to = MAC_BROADCAST
#define ASK_ROUTER(s, t) ARP(1, MAC_PEER, s, MAC_ROUTER, t)
#define REPLY(s, t)	 ARP(2, MAC_ROUTER, s, MAC_PEER, t), .from = MAC_ROUTER, .to = MAC_PEER

static const struct row in[] = {
	{ "a mapped address", ON_IN, { ASK(GREEN_SHARED, RED_SHARED) },
	  ANSWER(REPLY(RED_SHARED, GREEN_SHARED)) },
	{ "the second mapped address", ON_IN, { ASK(STRANGER, RED_SHARED2) },
	  ANSWER(REPLY(RED_SHARED2, STRANGER)) },
	{ "asked of the router alone", ON_IN, { ASK_ROUTER(GREEN_SHARED, RED_SHARED) },
	  ANSWER(REPLY(RED_SHARED, GREEN_SHARED)) },
	{ "padded to the least frame, and so is the answer", ON_IN,
	  { ASK(GREEN_SHARED, RED_SHARED), .trailer = 18 },
	  ANSWER(REPLY(RED_SHARED, GREEN_SHARED), .trailer = 18) },
	{ "a probe for a duplicate", ON_IN, { ASK("0.0.0.0", RED_SHARED) },
	  ANSWER(REPLY(RED_SHARED, "0.0.0.0")) },

	{ "the router itself", ON_IN, { ASK(GREEN_SHARED, RED_OWN) }, PASS },
	{ "nobody's address", ON_IN, { ASK(GREEN_SHARED, STRANGER) }, PASS },
	{ "another router's mapping", ON_IN, { ASK(GREEN_SHARED, BLUE_SHARED) }, PASS },
	{ "a mapping elsewhere", ON_IN, { ASK(STRANGER, GREEN_SHARED) }, PASS },
	{ "an announcement of our address by another", ON_XDP, { ASK(RED_SHARED, RED_SHARED) },
	  PASS },
	{ "an announcement of our address by another", ON_TC, { ASK(RED_SHARED, RED_SHARED) },
	  DROP(SPOOFED_SOURCE) },
	{ "an announcement by its owner", ON_IN, { ASK(GREEN_SHARED, GREEN_SHARED) }, PASS },
	{ "for another host", ON_IN,
	  { ASK_ROUTER(GREEN_SHARED, RED_SHARED), .to = MAC_OTHER }, PASS },
	{ "a reply to the router", ON_IN,
	  { ARP(2, MAC_PEER, GREEN_SHARED, MAC_ROUTER, RED_OWN) }, PASS },
	{ "a reply that names a mapped address", ON_IN,
	  { ARP(2, MAC_PEER, GREEN_SHARED, MAC_ROUTER, RED_SHARED) }, PASS },
	{ "another operation", ON_IN,
	  { ARP(8, MAC_PEER, GREEN_SHARED, NOBODY, RED_SHARED), .to = MAC_BROADCAST }, PASS },

	{ "a private address", ON_TC, { ASK(GREEN_SHARED, RED_VM) }, DROP(DIRECT_TO_PRIVATE) },
	{ "another private address", ON_TC, { ASK(GREEN_SHARED, "10.0.0.1") },
	  DROP(DIRECT_TO_PRIVATE) },
	{ "a private sender", ON_TC, { ASK("10.0.0.6", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	{ "a sender of the Internet asks for the router", ON_TC, { ASK("8.8.8.8", RED_OWN) },
	  DROP(FOREIGN_SOURCE) },
	{ "XDP leaves all of it to tc", ON_XDP, { ASK("8.8.8.8", RED_VM) }, PASS },

	{ "another hardware", ON_IN, { ASK(GREEN_SHARED, RED_SHARED, .hardware = 6) }, PASS },
	{ "another length of addresses", ON_IN,
	  { ASK(GREEN_SHARED, RED_SHARED, .hardware_len = 8) }, PASS },
	{ "cut off", ON_IN, { ASK(GREEN_SHARED, RED_SHARED), .cut = 1 }, PASS },
	{ "cut off in the middle", ON_IN, { ASK(GREEN_SHARED, RED_SHARED), .cut = 14 }, PASS },
};
/* clang-format on */

#define OUT	  .from = MAC_ROUTER
#define TURN(...) TURNED_BACK(__VA_ARGS__, OUT), .uncounted = true

/* clang-format off */
static const struct row out[] = {
	{ "the router asks", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, NOBODY, GREEN_SHARED), OUT, .to = MAC_BROADCAST }, PASS },
	{ "the router answers", ON_OUT,
	  { ARP(2, MAC_ROUTER, RED_OWN, MAC_PEER, GREEN_SHARED), OUT, .to = MAC_PEER }, PASS },
	/* for an error about a hairpin: nobody else would answer */
	{ "the router asks for a mapping of its own", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, NOBODY, RED_SHARED), OUT, .to = MAC_BROADCAST },
	  TURN(ARP(2, MAC_ROUTER, RED_SHARED, MAC_ROUTER, RED_OWN)) },
	{ "it asks again, of the one it knows", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, NOBODY, RED_SHARED2), OUT },
	  TURN(ARP(2, MAC_ROUTER, RED_SHARED2, MAC_ROUTER, RED_OWN)) },
	{ "the router asks for another router's mapping", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, NOBODY, BLUE_SHARED), OUT, .to = MAC_BROADCAST }, PASS },
	/* of a packet that it sends with a mapped address, itself or for a VM */
	{ "asked with a mapped address", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_VM, NOBODY, GREEN_SHARED), OUT, .to = MAC_BROADCAST },
	  AFTER(ARP(1, MAC_ROUTER, RED_OWN, NOBODY, GREEN_SHARED), OUT, .to = MAC_BROADCAST),
	  .uncounted = true },
	{ "asked with a mapped address for a mapping of its own", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_VM, NOBODY, RED_SHARED2), OUT, .to = MAC_BROADCAST },
	  TURN(ARP(2, MAC_ROUTER, RED_SHARED2, MAC_ROUTER, RED_OWN)) },
	{ "asked with a mapped address, by another", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_VM, NOBODY, GREEN_SHARED), OUT, .to = MAC_BROADCAST,
	    .ingress = 2 }, DROP(UNTRANSLATED) },
	{ "asked with a mapped address for a private one", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_VM, NOBODY, RED_VM2), OUT, .to = MAC_BROADCAST },
	  DROP(UNTRANSLATED) },
	{ "a mapped address announced", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_VM, NOBODY, RED_VM), OUT, .to = MAC_BROADCAST },
	  DROP(UNTRANSLATED) },
	{ "it asks for a mapping of its own with a private address", ON_OUT,
	  { ARP(1, MAC_ROUTER, "10.0.0.1", NOBODY, RED_SHARED), OUT, .to = MAC_BROADCAST },
	  DROP(UNTRANSLATED) },
	{ "a probe for a mapping of its own", ON_OUT,
	  { ARP(1, MAC_ROUTER, "0.0.0.0", NOBODY, RED_SHARED), OUT, .to = MAC_BROADCAST }, PASS },
	{ "an answer about a mapping of its own", ON_OUT,
	  { ARP(2, MAC_ROUTER, RED_OWN, MAC_PEER, RED_SHARED), OUT, .to = MAC_PEER }, PASS },
	{ "our answer", ON_OUT, { REPLY(RED_SHARED, GREEN_SHARED) }, PASS },
	{ "a probe", ON_OUT,
	  { ARP(1, MAC_ROUTER, "0.0.0.0", NOBODY, RED_OWN), OUT, .to = MAC_BROADCAST }, PASS },
	{ "an announcement", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_SHARED, NOBODY, RED_SHARED), OUT, .to = MAC_BROADCAST }, PASS },
	{ "asked with a private address", ON_OUT,
	  { ARP(1, MAC_ROUTER, "10.0.0.1", NOBODY, GREEN_SHARED), OUT, .to = MAC_BROADCAST },
	  DROP(UNTRANSLATED) },
	{ "a private address told", ON_OUT,
	  { ARP(2, MAC_ROUTER, RED_VM, MAC_PEER, GREEN_SHARED), OUT, .to = MAC_PEER },
	  DROP(UNTRANSLATED) },
	{ "a private address announced", ON_OUT,
	  { ARP(1, MAC_ROUTER, "10.0.0.1", NOBODY, "10.0.0.1"), OUT, .to = MAC_BROADCAST },
	  DROP(UNTRANSLATED) },
	{ "cut off", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, NOBODY, GREEN_SHARED), .to = MAC_BROADCAST, .cut = 4 },
	  PASS },
};
/* clang-format on */

Test(arp, in_on_xdp)
{
	lab_check_table(in, ARRAY_SIZE(in), XDP_IN);
}

Test(arp, in_on_tc)
{
	lab_check_table(in, ARRAY_SIZE(in), TC_IN);
}

Test(arp, out)
{
	lab_check_table(out, ARRAY_SIZE(out), TC_OUT);
}
