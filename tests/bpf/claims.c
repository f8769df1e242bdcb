/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is said about addresses of this machine, and to the router's own kernel: ARP and neighbour
 * discovery of whoever is not at that MAC address, redirects, path MTUs, answers that nobody waits
 * for. blue's router has MAC_OTHER.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define NOBODY	   "00:00:00:00:00:00"
#define TO_ALL	   .to = MAC_BROADCAST
#define TO_ALL_6   .to = "33:33:00:00:00:01"
#define FROM_BLUE  .from = MAC_OTHER
#define GROUP	   .to = "01:00:5e:01:02:03"
#define GROUP_6	   .to = "33:33:00:00:00:fb"
#define UNTIL_DHCP .sport = 67, .dport = 68

/* clang-format off */
#define ARP(o, smac, s, t) \
	.arp = &(const struct arp){ .op = o, .sender_mac = smac, .sender = s, .target_mac = NOBODY, .target = t }
#define ND(t, about, ...) \
	.proto = IPPROTO_ICMPV6, .nd = &(const struct nd){ .type = t, .target = about, ##__VA_ARGS__ }
#define AT(kind, m) .option = kind, .mac = m
#define ADVERT(about, m)    ND(136, about, AT(2, m))
#define SOLICIT(about, m)   ND(135, about, AT(1, m))
#define DATAGRAM(p, s, d, ...) .src = s, .dst = d, .proto = p, .payload = 16, ##__VA_ARGS__

static const struct row neighbours[] = {
	{ "blue's VM, by blue", ON_TC, { ARP(1, MAC_OTHER, BLUE_SHARED, BLUE_SHARED), TO_ALL, FROM_BLUE },
	  PASS },
	{ "blue's VM, by blue, in a reply", ON_TC, { ARP(2, MAC_OTHER, BLUE_SHARED, RED_OWN), FROM_BLUE },
	  PASS },
	{ "blue asks", ON_TC, { ARP(1, MAC_OTHER, BLUE_OWN, RED_OWN), TO_ALL, FROM_BLUE }, PASS },
	{ "a VM elsewhere, by anybody", ON_TC, { ARP(2, MAC_PEER, GREEN_SHARED, RED_OWN) }, PASS },
	{ "blue's VM, by blue, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = "ff02::1", TO_ALL_6, FROM_BLUE, ADVERT(BLUE_SHARED_6, MAC_OTHER) },
	  PASS },
	{ "the same in the frame alone, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = "ff02::1", TO_ALL_6, FROM_BLUE, ND(136, BLUE_SHARED_6) }, PASS },
	{ "blue asks, IPv6", ON_TC,
	  { .src = BLUE_OWN_6, .dst = RED_OWN_6, FROM_BLUE, SOLICIT(RED_OWN_6, MAC_OTHER) }, PASS },
	{ "a VM elsewhere, by anybody, IPv6", ON_TC,
	  { .src = GREEN_SHARED_6, .dst = RED_OWN_6, ADVERT(GREEN_SHARED_6, MAC_PEER) }, PASS },
	{ "the router's own address, which its kernel has to hear when it takes it", ON_TC,
	  { .src = RED_OWN_6, .dst = "ff02::1", TO_ALL_6, ADVERT(RED_OWN_6, MAC_PEER) }, PASS },
};

/* Claims about blue's addresses, which with `loose` anybody may make, */
static const struct row of_blue[] = {
	{ "blue's VM announced by another", ON_TC, { ARP(1, MAC_PEER, BLUE_SHARED, BLUE_SHARED), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "in a reply", ON_TC, { ARP(2, MAC_PEER, BLUE_SHARED, RED_OWN) }, DROP(SPOOFED_SOURCE) },
	{ "in a request for the router", ON_TC, { ARP(1, MAC_PEER, BLUE_OWN, RED_OWN), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "in a request for a VM", ON_TC, { ARP(1, MAC_PEER, BLUE_OWN, RED_SHARED), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "in a frame of blue's", ON_TC, { ARP(2, MAC_PEER, BLUE_SHARED, RED_OWN), FROM_BLUE },
	  DROP(SPOOFED_SOURCE) },
	{ "blue's MAC address in a frame of another", ON_TC, { ARP(2, MAC_OTHER, BLUE_SHARED, RED_OWN) },
	  DROP(SPOOFED_SOURCE) },
	{ "blue's VM announced by another, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = "ff02::1", TO_ALL_6, ADVERT(BLUE_SHARED_6, MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
	{ "by a sender elsewhere, IPv6", ON_TC,
	  { .src = GREEN_SHARED_6, .dst = RED_OWN_6, ADVERT(BLUE_SHARED_6, MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
	{ "by a link-local sender, IPv6", ON_TC,
	  { .src = "fe80::9", .dst = RED_OWN_6, ADVERT(BLUE_SHARED_6, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
	{ "in a frame of blue's, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = RED_OWN_6, FROM_BLUE, ADVERT(BLUE_SHARED_6, MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
	{ "blue's MAC address in a frame of another, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = RED_OWN_6, ADVERT(BLUE_SHARED_6, MAC_OTHER) },
	  DROP(SPOOFED_SOURCE) },
	{ "without an option, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = RED_OWN_6, ND(136, BLUE_SHARED_6) }, DROP(SPOOFED_SOURCE) },
	{ "with a second option, IPv6", ON_TC,
	  { .src = BLUE_SHARED_6, .dst = RED_OWN_6, FROM_BLUE, ADVERT(BLUE_SHARED_6, MAC_OTHER),
	    .payload = 8 }, DROP(SPOOFED_SOURCE) },
	{ "who asks, IPv6", ON_TC,
	  { .src = BLUE_OWN_6, .dst = RED_OWN_6, SOLICIT(RED_OWN_6, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
	{ "who asks for a VM, IPv6", ON_TC,
	  { .src = BLUE_OWN_6, .dst = "ff02::1:ff01:5", .to = "33:33:ff:01:00:05",
	    SOLICIT(RED_SHARED_6, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
};

/* and about this router's, which nobody may. */
static const struct row of_red[] = {
	{ "a VM of this router", ON_TC, { ARP(2, MAC_PEER, RED_SHARED, RED_OWN) }, DROP(SPOOFED_SOURCE) },
	{ "a VM of this router, with the router's MAC address", ON_TC,
	  { ARP(2, MAC_ROUTER, RED_SHARED, RED_OWN), .from = MAC_ROUTER }, DROP(SPOOFED_SOURCE) },
	{ "the router itself", ON_TC, { ARP(1, MAC_PEER, RED_OWN, RED_OWN), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "a VM of this router, IPv6", ON_TC,
	  { .src = GREEN_SHARED_6, .dst = RED_OWN_6, ADVERT(RED_SHARED_6, MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
	{ "who asks as the router, IPv6", ON_TC,
	  { .src = RED_OWN_6, .dst = "ff02::1", TO_ALL_6, SOLICIT(GREEN_SHARED_6, MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
};
/* clang-format on */

static void check(struct lab *lab, const struct row *rows, size_t n, enum program program)
{
	for (size_t i = 0; i < n; i++)
		lab_check(lab, &rows[i], program);
}

Test(claims, where_addresses_are)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_TC });

	lab_router_port(lab, BLUE, MAC_OTHER);
	check(lab, neighbours, ARRAY_SIZE(neighbours), TC_IN);
	check(lab, of_blue, ARRAY_SIZE(of_blue), TC_IN);
	check(lab, of_red, ARRAY_SIZE(of_red), TC_IN);
	lab_close(lab);
}

/* Then that is not known. */
Test(claims, where_addresses_are_loosely)
{
	for (int loose = 0; loose < 2; loose++) {
		struct lab *lab =
			lab_open(&(struct lab_options){ .programs = ON_TC, .loose = loose });

		if (loose) /* else blue has not said where it is */
			lab_router_port(lab, BLUE, MAC_OTHER);
		for (size_t i = 0; i < ARRAY_SIZE(of_blue); i++) {
			struct frame f = packet_build(&of_blue[i].before);

			/* of two options nobody asks which one is meant */
			if (!loose && of_blue[i].before.payload)
				continue;
			cr_expect_neq(lab_run(lab, TC_IN, &of_blue[i].before, &f).verdict, GONE,
				      "%s", of_blue[i].what);
		}
		check(lab, of_red, ARRAY_SIZE(of_red), TC_IN);
		lab_close(lab);
	}
}

/* ---------------------------------------------------------------- to the router's kernel */

/* clang-format off */
#define ABOUT(p, s, d, ...) .quote = &(const struct packet){ DATAGRAM(p, s, d), ##__VA_ARGS__ }
#define ERR(t, c, q, ...)   .src = GREEN_SHARED, .dst = RED_OWN, .proto = IPPROTO_ICMP, .type = t, .code = c, q
#define ERR_6(t, c, q)	    .src = GREEN_SHARED_6, .dst = RED_OWN_6, .proto = IPPROTO_ICMPV6, .type = t, .code = c, q
#define OWN(p)		    ABOUT(IPPROTO_##p, RED_OWN, GREEN_SHARED)
#define OWN_6(p)	    ABOUT(IPPROTO_##p, RED_OWN_6, GREEN_SHARED_6)

static const struct row to_router[] = {
	{ "a redirect", ON_TC, { ERR(5, 1, OWN(UDP)) }, DROP(ICMP_REDIRECT) },
	{ "a redirect of neighbour discovery", ON_TC,
	  { .src = "fe80::9", .dst = RED_OWN_6, ND(137, "fe80::9", AT(2, MAC_PEER)) }, DROP(ICMP_REDIRECT) },
	{ "a redirect of neighbour discovery, to a link-local address", ON_TC,
	  { .src = "fe80::9", .dst = "fe80::1", ND(137, "fe80::9", AT(2, MAC_PEER)) },
	  DROP(ICMP_REDIRECT) },
	{ "a path MTU of a ping, for which a socket vouches", ON_TC, { ERR(3, 4, OWN(ICMP)) }, PASS },
	{ "a path MTU of a ping's answer", ON_TC,
	  { ERR(3, 4, ABOUT(IPPROTO_ICMP, RED_OWN, GREEN_SHARED, .type = ECHO_REPLY)) }, DROP(FORGED_ERROR) },
	{ "a path MTU of a ping, IPv6", ON_TC, { ERR_6(2, 0, OWN_6(ICMPV6)) }, DROP(FORGED_ERROR) },
	{ "a path MTU of what a socket may have sent", ON_TC, { ERR(3, 4, OWN(TCP)) }, PASS },
	{ "a path MTU of what a socket may have sent, IPv6", ON_TC, { ERR_6(2, 0, OWN_6(UDP)) }, PASS },
	{ "nobody answers a ping", ON_TC, { ERR(3, 1, OWN(ICMP)) }, PASS },
	{ "nobody answers a ping, IPv6", ON_TC, { ERR_6(1, 3, OWN_6(ICMPV6)) }, PASS },
	{ "the end of a way", ON_TC, { ERR(11, 0, OWN(UDP)) }, PASS },
	{ "the end of a way, IPv6", ON_TC, { ERR_6(3, 0, OWN_6(UDP)) }, PASS },
	{ "about what another has sent", ON_TC, { ERR(3, 4, ABOUT(IPPROTO_UDP, RED_SHARED, GREEN_SHARED)) },
	  DROP(FORGED_ERROR) },
	{ "about what another has sent, IPv6", ON_TC,
	  { ERR_6(2, 0, ABOUT(IPPROTO_UDP, RED_SHARED_6, GREEN_SHARED_6)) }, DROP(FORGED_ERROR) },
	{ "about nothing that can be read", ON_TC, { ERR(3, 4, OWN(UDP)), .quoted = 12 },
	  DROP(MALFORMED) },
	{ "about nothing that can be read, IPv6", ON_TC, { ERR_6(2, 0, OWN_6(UDP)), .quoted = 20 },
	  DROP(MALFORMED) },
	{ "XDP leaves these to tc", ON_XDP, { ERR(3, 4, OWN(ICMP)) }, PASS },
	{ "XDP leaves these to tc, redirects too", ON_XDP, { ERR(5, 1, OWN(UDP)) }, PASS },
	{ "XDP leaves these to tc, IPv6", ON_XDP, { ERR_6(2, 0, OWN_6(ICMPV6)) }, PASS },
	{ "neighbour discovery of strangers", ON_TC,
	  { .src = "2001:db8::9", .dst = RED_OWN_6, SOLICIT(RED_OWN_6, MAC_PEER) }, DROP(FOREIGN_SOURCE) },
	{ "an advertisement of strangers", ON_TC,
	  { .src = RED_VM_6, .dst = RED_OWN_6, ADVERT(RED_VM_6, MAC_PEER) }, DROP(FOREIGN_SOURCE) },
};

/* To groups and to everybody, from where no answer goes. */
static const struct row to_groups[] = {
	{ "UDP", ON_IN, { UDP("8.8.8.8", "239.1.2.3"), GROUP }, DROP(FOREIGN_SOURCE) },
	{ "UDP, IPv6", ON_IN, { UDP("2001:db8::9", "ff02::fb"), GROUP_6 }, DROP(FOREIGN_SOURCE) },
	{ "UDP from a VM's private address", ON_IN, { UDP(RED_VM, "239.1.2.3"), GROUP },
	  DROP(FOREIGN_SOURCE) },
	{ "a ping", ON_IN, { DATAGRAM(IPPROTO_ICMP, "8.8.8.8", "224.0.0.1"), GROUP }, DROP(FOREIGN_SOURCE) },
	{ "a ping, IPv6", ON_IN, { DATAGRAM(IPPROTO_ICMPV6, "2001:db8::9", "ff02::1"), TO_ALL_6 },
	  DROP(FOREIGN_SOURCE) },
	{ "TCP", ON_IN, { DATAGRAM(IPPROTO_TCP, "8.8.8.8", "239.1.2.3"), GROUP }, DROP(FOREIGN_SOURCE) },
	{ "UDP to everybody", ON_IN, { UDP("8.8.8.8", "255.255.255.255"), TO_ALL }, DROP(FOREIGN_SOURCE) },
	{ "UDP to the subnet", ON_IN, { UDP("8.8.8.8", "100.64.255.255"), TO_ALL }, DROP(FOREIGN_SOURCE) },
	{ "a DHCP answer that nobody waits for", ON_IN,
	  { UDP("10.1.1.1", "255.255.255.255"), TO_ALL, UNTIL_DHCP }, DROP(FOREIGN_SOURCE) },
	{ "a DHCP answer to the router that it does not wait for", ON_IN,
	  { UDP("10.1.1.1", RED_OWN), UNTIL_DHCP }, DROP(FOREIGN_SOURCE) },
	{ "OSPF", ON_IN, { DATAGRAM(89, "8.8.8.8", "224.0.0.5"), GROUP }, PASS },
	{ "VRRP, IPv6", ON_IN, { DATAGRAM(112, "2001:db8::9", "ff02::12"), GROUP_6 }, PASS },
	{ "UDP from nowhere", ON_IN, { UDP("0.0.0.0", "255.255.255.255"), TO_ALL }, PASS },
	{ "UDP of the link, IPv6", ON_IN, { UDP("fe80::9", "ff02::fb"), GROUP_6 }, PASS },
	{ "UDP of the shared network", ON_IN, { UDP(GREEN_SHARED, "239.1.2.3"), GROUP }, PASS },
};
static const struct row awaited[] = {
	{ "a DHCP answer", ON_TC, { UDP("10.1.1.1", RED_OWN), UNTIL_DHCP }, PASS },
	{ "a DHCP answer to everybody", ON_TC, { UDP("10.1.1.1", "255.255.255.255"), TO_ALL, UNTIL_DHCP },
	  PASS },
	{ "another answer", ON_TC, { UDP("10.1.1.1", RED_OWN), .sport = 68, .dport = 68 },
	  DROP(FOREIGN_SOURCE) },
	{ "another answer to everybody", ON_TC,
	  { UDP("10.1.1.1", "255.255.255.255"), TO_ALL, .sport = 66, .dport = 68 }, DROP(FOREIGN_SOURCE) },
};
/* clang-format on */

Test(claims, to_the_router)
{
	lab_check_table(to_router, ARRAY_SIZE(to_router), TC_IN);
	lab_check_table(to_router, ARRAY_SIZE(to_router), XDP_IN);
}

Test(claims, to_groups)
{
	lab_check_table(to_groups, ARRAY_SIZE(to_groups), TC_IN);
}

Test(claims, what_a_client_waits_for)
{
	const struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons(68) };
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_TC });
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	need(client >= 0 && bind(client, (const void *)&port, sizeof(port)) == 0, "a client");
	check(lab, awaited, ARRAY_SIZE(awaited), TC_IN);
	close(client);
	for (size_t i = 0; i < 2; i++) {
		struct row row = awaited[i];

		row.outcome = DROPPED;
		row.reason = TN_DROP_FOREIGN_SOURCE;
		lab_check(lab, &row, TC_IN);
	}
	lab_close(lab);
}

/* ---------------------------------------------------------------- inside */

/* clang-format off */
#define WRAPPED(type) .ethertype = type, .payload = 46

static const struct row inside[] = {
	{ "a tag", ON_INSIDE, { WRAPPED(0x8100) }, DROP(MALFORMED) },
	{ "a tag, 802.1ad", ON_INSIDE, { WRAPPED(0x88a8) }, DROP(MALFORMED) },
	{ "a label", ON_INSIDE, { WRAPPED(0x8847) }, DROP(MALFORMED) },
	{ "a label, of a group", ON_INSIDE, { WRAPPED(0x8848) }, DROP(MALFORMED) },
	{ "something else", ON_INSIDE, { WRAPPED(0x88cc) }, PASS },
	{ "a label", ON_TC, { WRAPPED(0x8847) }, DROP(MALFORMED) },
	{ "a label, of a group", ON_TC, { WRAPPED(0x8848) }, DROP(MALFORMED) },
	{ "a label", ON_OUT, { WRAPPED(0x8847) }, DROP(UNTRANSLATED) },
	{ "a label, of a group", ON_OUT, { WRAPPED(0x8848) }, DROP(UNTRANSLATED) },
	{ "a tag", ON_OUT, { WRAPPED(0x8100) }, DROP(UNTRANSLATED) },
	{ "a tag, 802.1ad", ON_OUT, { WRAPPED(0x88a8) }, DROP(UNTRANSLATED) },

	{ "a shared address to a group", ON_INSIDE, { UDP(RED_SHARED, "239.1.2.3"), GROUP },
	  DROP(SPOOFED_SOURCE) },
	{ "a shared address to a group, IPv6", ON_INSIDE, { UDP(GREEN_SHARED_6, "ff02::fb"), GROUP_6 },
	  DROP(SPOOFED_SOURCE) },
	{ "a shared address to everybody", ON_INSIDE, { UDP(BLUE_SHARED, "255.255.255.255"), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "its own address to a group", ON_INSIDE, { UDP(RED_VM, "239.1.2.3"), GROUP }, PASS },
	{ "ARP with a shared address", ON_INSIDE, { ARP(1, MAC_PEER, RED_SHARED, "10.0.0.1"), TO_ALL },
	  DROP(SPOOFED_SOURCE) },
	{ "ARP that tells a shared address", ON_INSIDE, { ARP(2, MAC_PEER, GREEN_SHARED, "10.0.0.1") },
	  DROP(SPOOFED_SOURCE) },
	{ "ARP of its own", ON_INSIDE, { ARP(1, MAC_PEER, RED_VM, "10.0.0.1"), TO_ALL }, PASS },
	{ "neighbour discovery with a shared address", ON_INSIDE,
	  { .src = RED_SHARED_6, .dst = "fd00:10::1", SOLICIT("fd00:10::1", MAC_PEER) },
	  DROP(SPOOFED_SOURCE) },
	{ "neighbour discovery of its own", ON_INSIDE,
	  { .src = RED_VM_6, .dst = "fd00:10::1", SOLICIT("fd00:10::1", MAC_PEER) }, PASS },
};
/* clang-format on */

Test(claims, inside)
{
	lab_check_table(inside, ARRAY_SIZE(inside), INSIDE_IN);
	lab_check_table(inside, ARRAY_SIZE(inside), TC_IN);
	lab_check_table(inside, ARRAY_SIZE(inside), TC_OUT);
}
