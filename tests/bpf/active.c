/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A router that is active by its address forwards while that is on its shared interface, which is
 * loopback here. As a standby it is silent, at the very next packet.
 */
#include <net/if.h>

#include "links.h"

#define NOBODY "00:00:00:00:00:00"
#define OUT    .from = MAC_ROUTER

/* clang-format off */
#define ARP(o, smac, s, t)                                                                         \
	.arp = &(const struct arp){ .op = o, .sender_mac = smac, .sender = s,                      \
				    .target_mac = NOBODY, .target = t }
#define ND(t, ...)                                                                                 \
	.proto = IPPROTO_ICMPV6, .nd = &(const struct nd) { .type = t, ##__VA_ARGS__ }
#define SOLICIT(s, t)                                                                              \
	.src = s, .dst = "ff02::1:ff01:5", .to = "33:33:ff:01:00:05",                              \
	ND(135, .target = t, .option = 1, .mac = MAC_PEER)
#define TELL_ALL(s)                                                                                \
	.src = s, .dst = "ff02::1", .to = "33:33:00:00:00:01",                                     \
	ND(136, .flags = 0x20000000, .target = s, .option = 2, .mac = MAC_PEER)

static const struct row standby[] = {
	{ "XDP leaves it to tc", ON_XDP, { UDP(GREEN_SHARED, RED_SHARED) }, PASS },
	{ "to a VM", ON_TC, { UDP(GREEN_SHARED, RED_SHARED) }, DROP(STANDBY) },
	{ "to a VM, IPv6", ON_TC, { UDP(GREEN_SHARED_6, RED_SHARED_6) }, DROP(STANDBY) },
	{ "to the address that it has not", ON_TC, { UDP(GREEN_SHARED, RED_OWN) }, DROP(STANDBY) },
	{ "the same, IPv6", ON_TC, { UDP(GREEN_SHARED_6, RED_OWN_6) }, DROP(STANDBY) },
	{ "to a private address", ON_TC, { UDP(GREEN_SHARED, RED_VM) }, DROP(DIRECT_TO_PRIVATE) },
	{ "from its own mapping, whose packets come from the active one", ON_TC,
	  { UDP(RED_SHARED2, RED_SHARED) }, DROP(STANDBY) },
	{ "asked for a VM", ON_TC, { ARP(1, MAC_PEER, GREEN_SHARED, RED_SHARED), .to = MAC_BROADCAST },
	  DROP(STANDBY) },
	{ "a probe of a VM's address", ON_TC,
	  { ARP(1, MAC_PEER, "0.0.0.0", RED_SHARED), .to = MAC_BROADCAST }, DROP(STANDBY) },
	{ "asked for a VM, IPv6", ON_TC, { SOLICIT(GREEN_SHARED_6, RED_SHARED_6) }, DROP(STANDBY) },
	{ "asked for the router", ON_TC, { ARP(1, MAC_PEER, GREEN_SHARED, RED_OWN), .to = MAC_BROADCAST },
	  PASS },
	{ "the active one tells where a VM is", ON_TC,
	  { ARP(2, MAC_PEER, RED_SHARED, RED_SHARED), .to = MAC_BROADCAST }, DROP(STANDBY) },
	{ "the same, IPv6", ON_TC, { TELL_ALL(RED_SHARED_6) }, DROP(STANDBY) },
	{ "the active one tells where it is", ON_TC,
	  { ARP(2, MAC_PEER, RED_OWN, RED_OWN), .to = MAC_BROADCAST }, PASS },
	{ "the same, IPv6", ON_TC, { TELL_ALL(RED_OWN_6) }, PASS },
	{ "a redirect to a VM", ON_TC,
	  { .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_ICMP, .type = 5,
	    .quote = &(const struct packet){ UDP(RED_SHARED, GREEN_SHARED) } }, DROP(STANDBY) },
	{ "VRRP", ON_TC,
	  { .src = "100.64.0.77", .dst = "224.0.0.18", .proto = 112, .payload = 20, .ttl = 255,
	    .to = "01:00:5e:00:00:12" }, PASS },
	{ "for another host", ON_TC, { UDP(GREEN_SHARED, RED_SHARED), .to = MAC_OTHER }, PASS },

	{ "of a VM that goes out", ON_OUT, { UDP(RED_VM, GREEN_SHARED, OUT) }, DROP(STANDBY) },
	{ "the same, IPv6", ON_OUT, { UDP(RED_VM_6, GREEN_SHARED_6, OUT) }, DROP(STANDBY) },
	{ "the kernel asks for one of its VMs", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, RED_SHARED), OUT, .to = MAC_BROADCAST }, DROP(STANDBY) },
	{ "the kernel asks for another", ON_OUT,
	  { ARP(1, MAC_ROUTER, RED_OWN, GREEN_SHARED), OUT, .to = MAC_BROADCAST }, PASS },
	{ "of the router itself", ON_OUT, { UDP(RED_OWN, GREEN_SHARED, OUT) }, PASS },

	{ "of a VM", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED) }, DROP(STANDBY) },
	{ "of a VM, IPv6", ON_INSIDE, { UDP(RED_VM_6, GREEN_SHARED_6) }, DROP(STANDBY) },
	{ "to another VM of it", ON_INSIDE, { UDP(RED_VM, RED_SHARED2) }, DROP(STANDBY) },
	{ "to the router's address on the shared network", ON_INSIDE, { UDP(RED_VM, RED_OWN) },
	  DROP(STANDBY) },
	{ "to elsewhere", ON_INSIDE, { UDP(RED_VM, "192.0.2.9") }, PASS },
	{ "with a shared address", ON_INSIDE, { UDP(RED_SHARED2, GREEN_SHARED) },
	  DROP(SPOOFED_SOURCE) },
};

static const struct row active[] = {
	{ "to a VM", ON_IN, { UDP(GREEN_SHARED, RED_SHARED) }, AFTER(UDP(GREEN_SHARED, RED_VM)) },
	{ "to a VM, IPv6", ON_IN, { UDP(GREEN_SHARED_6, RED_SHARED_6) },
	  AFTER(UDP(GREEN_SHARED_6, RED_VM_6)) },
	{ "asked for a VM", ON_TC, { ARP(1, MAC_PEER, GREEN_SHARED, RED_SHARED), .to = MAC_BROADCAST },
	  ANSWERED, .after = { .arp = &(const struct arp){ 2, MAC_ROUTER, RED_SHARED, MAC_PEER,
							   GREEN_SHARED, 0, 0 }, OUT, .to = MAC_PEER } },
	{ "another tells where a VM is", ON_TC,
	  { ARP(2, MAC_PEER, RED_SHARED, RED_SHARED), .to = MAC_BROADCAST }, DROP(SPOOFED_SOURCE) },
	{ "another tells where it is", ON_TC,
	  { ARP(2, MAC_PEER, RED_OWN, RED_OWN), .to = MAC_BROADCAST }, DROP(SPOOFED_SOURCE) },
	{ "of a VM that goes out", ON_OUT, { UDP(RED_VM, GREEN_SHARED, OUT) },
	  AFTER(UDP(RED_SHARED, GREEN_SHARED, OUT)) },
	{ "to another VM of it", ON_INSIDE, { UDP(RED_VM, RED_SHARED2) },
	  TURNED_BACK(UDP(RED_SHARED, RED_SHARED2)) },
};
/* clang-format on */

static void check_all(struct lab *lab, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (enum program program = 0; program < PROGRAMS; program++) {
			if (rows[i].programs & 1U << program)
				lab_check(lab, &rows[i], program);
		}
	}
}

static void is_standby(struct lab *lab)
{
	check_all(lab, standby, ARRAY_SIZE(standby));
}

static void is_active(struct lab *lab)
{
	check_all(lab, active, ARRAY_SIZE(active));
}

#define OPTIONS(...) (&(struct lab_options){ .by_address = true, .loose = true, ##__VA_ARGS__ })

static void check_one_family(const struct lab_options *o, const char *own)
{
	struct lab *lab = lab_open(o);
	char add[80], del[80];

	snprintf(add, sizeof(add), "addr add %s dev lo\n", own);
	snprintf(del, sizeof(del), "addr del %s dev lo\n", own);
	links_ip("link set lo up\n");
	is_standby(lab);
	links_ip("addr add 100.64.0.77/16 dev lo\naddr add fd64::77/64 dev lo nodad\n");
	is_standby(lab);
	for (int turn = 0; turn < 2; turn++) {
		links_ip(add);
		is_active(lab);
		links_ip(del);
		is_standby(lab);
	}
	lab_close(lab);
}

Test(active, by_its_address)
{
	check_one_family(OPTIONS(.needs_v4 = true), RED_OWN "/32");
	check_one_family(OPTIONS(.needs_v6 = true), RED_OWN_6 "/128");
}

/* As before 6.2. */
Test(active, by_its_address_which_is_asked_for)
{
	check_one_family(OPTIONS(.needs_v4 = true, .reads_nothing = true), RED_OWN "/32");
	check_one_family(OPTIONS(.needs_v6 = true, .reads_nothing = true), RED_OWN_6 "/128");
}

Test(active, by_both)
{
	struct lab *lab = lab_open(OPTIONS(.needs_v4 = true, .needs_v6 = true));

	links_ip("link set lo up\naddr add " RED_OWN "/32 dev lo\n");
	lab_check(lab, &standby[1], TC_IN);
	links_ip("addr add " RED_OWN_6 "/128 dev lo nodad\n");
	is_active(lab);
	links_ip("addr del " RED_OWN "/32 dev lo\n");
	lab_check(lab, &standby[2], TC_IN);
	lab_close(lab);
}

/* Whatever it is, if the definitions do not say which. */
Test(active, by_any_of_the_shared_subnets)
{
	struct lab *lab = lab_open(OPTIONS(.raw = false));

	links_ip("link set lo up\naddr add 192.0.2.1/24 dev lo\naddr add 2001:db8::1/64 dev lo\n");
	is_standby(lab);
	links_ip("addr add 100.64.0.77/16 dev lo\n");
	is_active(lab);
	links_ip("addr del 100.64.0.77/16 dev lo\naddr add fd64::77/64 dev lo nodad\n");
	is_active(lab);
	links_ip("addr del fd64::77/64 dev lo\n");
	is_standby(lab);
	lab_close(lab);
}

/* Behind very many others, too. */
Test(active, the_last_of_many)
{
	struct lab *lab = lab_open(OPTIONS(.needs_v4 = true));
	char text[64];

	links_ip("link set lo up\n");
	for (int i = 1; i < 200; i++) {
		snprintf(text, sizeof(text), "addr add 192.0.2.%d/32 dev lo\n", i);
		links_ip(text);
	}
	is_standby(lab);
	links_ip("addr add " RED_OWN "/32 dev lo\n");
	is_active(lab);
	lab_close(lab);
}

/* The router answers on an address of its own that stays, whether it is active or not. */
Test(active, what_the_kernel_has_is_the_kernels)
{
	static const struct row own[] = {
		{ "to the address that stays", ON_TC, { UDP(GREEN_SHARED, "100.64.0.77") }, PASS },
		{ "from outside of the shared subnets",
		  ON_TC,
		  { UDP("8.8.8.8", "100.64.0.77") },
		  DROP(FOREIGN_SOURCE) },
		{ "of a VM", ON_INSIDE, { UDP(RED_VM, "100.64.0.77") }, PASS },
	};
	struct lab *lab = lab_open(OPTIONS(.needs_v4 = true));

	lab_map(lab, RED, NULL, "100.64.0.77");
	links_ip("link set lo up\naddr add 100.64.0.77/16 dev lo\n");
	is_standby(lab);
	check_all(lab, own, ARRAY_SIZE(own));
	lab_close(lab);
}

/* With all that the fast path has cached. */
static void check_cached(struct lab *lab, enum program program, const struct packet *p)
{
	struct frame f = packet_build(p);

	links_ip("addr add " RED_OWN "/16 dev lo\n");
	for (int i = 0; i < 3; i++)
		cr_expect_neq(lab_run(lab, program, p, &f).verdict, GONE, "%s, %d",
			      program_name(program), i);
	cr_expect_eq(lab_drops(lab), 0);
	links_ip("addr del " RED_OWN "/16 dev lo\n");
	if (program == XDP_IN)
		cr_expect_eq(lab_run(lab, program, p, &f).verdict, STACK);
	else
		cr_expect_eq(lab_run(lab, program, p, &f).verdict, GONE);
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_STANDBY), program != XDP_IN);
}

Test(active, what_is_cached_is_not_believed)
{
	static const struct packet in = { UDP(GREEN_SHARED, RED_SHARED) },
				   out = { UDP(RED_VM, GREEN_SHARED, .from = MAC_VM) },
				   leaves = { UDP(RED_VM, GREEN_SHARED, OUT) };
	const struct {
		enum program program;
		const struct packet *packet;
	} cases[] = { { XDP_IN, &in }, { TC_IN, &in }, { TC_OUT, &leaves }, { INSIDE_IN, &out } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lab *lab = links_open_known_as(
			&(struct lab_options){ .programs = 1U << cases[i].program,
					       .fast = true,
					       .loose = true,
					       .by_address = true,
					       .needs_v4 = true });

		links_take_xdp(lab);
		check_cached(lab, cases[i].program, cases[i].packet);
		lab_close(lab);
	}
}

/* It is looked for among those of the namespace, from whichever interface a packet comes. */
static void check_other_interfaces(bool reads_nothing)
{
	static const uint32_t indexes[] = { 10, 1 + 256, 1 + 2 * 256, 255, 256 };
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		struct lab *lab = lab_open(OPTIONS(.needs_v4 = true, .shared_at = indexes[i],
						   .reads_nothing = reads_nothing));

		snprintf(text, sizeof(text),
			 "link set lo up\nlink add other0 index %u type veth peer name other1\n"
			 "link add other2 index %u type veth peer name other3\n"
			 "addr add " RED_OWN "/16 dev lo\n",
			 indexes[i], indexes[i] + 256);
		links_ip(text);
		is_standby(lab);
		links_ip("addr del " RED_OWN "/16 dev lo\naddr add " RED_OWN "/16 dev other0\n");
		check_all(lab, active, 2);
		links_ip("link del other0\n");
		is_standby(lab);
		lab_close(lab);
	}
}

/* clang-format off */
static const struct row anywhere[] = {
	{ "of its VM", ON_IN, { UDP(BLUE_SHARED, RED_SHARED) },
	  AFTER(UDP(BLUE_SHARED, RED_VM)) },
	{ "it tells where a VM is", ON_TC,
	  { ARP(2, MAC_PEER, BLUE_SHARED, BLUE_SHARED), .to = MAC_BROADCAST }, PASS },
	{ "the same, IPv6", ON_TC, { TELL_ALL(BLUE_SHARED_6) }, PASS },
	{ "it tells where it is", ON_TC,
	  { ARP(2, MAC_PEER, BLUE_OWN, BLUE_OWN), .to = MAC_BROADCAST }, PASS },
};
/* clang-format on */

Test(active, another_interface_of_the_namespace)
{
	check_other_interfaces(false);
	check_other_interfaces(true);
}

/* A router of this machine that can be active elsewhere may have any MAC address. */
Test(active, another_router_may_be_anywhere)
{
	struct lab *lab = lab_open(&(struct lab_options){ 0 });

	lab_router_port(lab, BLUE, MAC_OTHER);
	for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++) {
		struct row fixed = { anywhere[i].what, anywhere[i].programs, anywhere[i].before,
				     DROP(SPOOFED_SOURCE) };

		lab_check(lab, &fixed, TC_IN);
	}
	lab_router_port_as(lab, BLUE, MAC_OTHER, TN_PORT_BY_ADDRESS);
	check_all(lab, anywhere, ARRAY_SIZE(anywhere));
	lab_close(lab);
}
