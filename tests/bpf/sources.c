/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM sends as itself alone: its packets come by the interface, and from the MAC address,
 * to which the kernel would send the answers. What the kernel knows here:
 *
 *   lan0  10.0.0.1/24, fd00:10::1/64: RED_VM at MAC_PEER, RED_VM2 at MAC_OTHER
 *   lan1  10.0.1.1/24: 10.0.1.5, which has no mapping, at MAC_PEER
 */
#include <net/if.h>
#include <unistd.h>

#include "harness.h"

static uint32_t lan0, lan1;

/* The kernel has no route for the IPv6 address of an interface until that is up. */
static void wait_for_route(void)
{
	char known[64] = "";

	for (int ms = 0; !strstr(known, "local"); ms++) {
		FILE *ip = popen("ip -6 route show table local dev lan0 fd00:10::1", "r");

		if (!ip || ms == 2000)
			cr_assert_fail("lan0 does not come up");
		if (!fgets(known, sizeof(known), ip))
			usleep(1000);
		pclose(ip);
	}
}

static void make_lans(void)
{
	FILE *ip = popen("ip -batch -", "w");

	need(ip, "running ip");
	fputs("link set lo up\n"
	      "link add lan0 address " MAC_ROUTER " type veth peer name vm0\n"
	      "link add lan1 address " MAC_ROUTER " type veth peer name vm1\n"
	      "link set lan0 up\nlink set lan1 up\nlink set vm0 up\nlink set vm1 up\n"
	      "addr add 10.0.0.1/24 dev lan0\naddr add 10.0.1.1/24 dev lan1\n"
	      "addr add fd00:10::1/64 dev lan0 nodad\n"
	      "neigh add " RED_VM " dev lan0 lladdr " MAC_PEER "\n"
	      "neigh add " RED_VM2 " dev lan0 lladdr " MAC_OTHER "\n"
	      "neigh add 10.0.1.5 dev lan1 lladdr " MAC_PEER "\n"
	      "neigh add " RED_VM_6 " dev lan0 lladdr " MAC_PEER "\n"
	      "neigh add " RED_VM2_6 " dev lan0 lladdr " MAC_OTHER "\n"
	      "route add prohibit 10.0.9.0/24\nroute add blackhole 10.0.8.0/24\n"
	      "route add unreachable 10.0.7.0/24\n",
	      ip);
	need(pclose(ip) == 0, "making interfaces");
	wait_for_route();
	lan0 = if_nametoindex("lan0");
	lan1 = if_nametoindex("lan1");
}

static void forward(const char *path, bool yes)
{
	FILE *f = fopen(path, "w");

	need(f && fputc(yes ? '1' : '0', f) != EOF && fclose(f) == 0, path);
}

static struct lab *open_lab(bool loose)
{
	const struct lab_options options = { .programs = ON_INSIDE | ON_TC, .loose = loose };
	struct lab *lab = lab_open(&options);

	make_lans();
	forward("/proc/sys/net/ipv4/ip_forward", true);
	forward("/proc/sys/net/ipv6/conf/all/forwarding", true);
	return lab;
}

#define BY(lan, mac) .from = mac, .ifindex = lan

static void check(struct lab *lab, const struct row *rows, size_t n, enum program program)
{
	for (size_t i = 0; i < n; i++)
		lab_check(lab, &rows[i], program);
	lab_close(lab);
}

Test(sources, strict)
{
	struct lab *lab = open_lab(false);
	/* clang-format off */
	const struct row rows[] = {
		{ "as itself", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED), BY(lan0, MAC_PEER) }, PASS },
		{ "as itself, IPv6", ON_INSIDE,
		  { UDP(RED_VM_6, GREEN_SHARED_6), BY(lan0, MAC_PEER) }, PASS },
		{ "as itself, more than its link carries back", ON_INSIDE,
		  { .src = RED_VM, .dst = GREEN_SHARED, .proto = IPPROTO_UDP, .payload = 2000,
		    BY(lan0, MAC_PEER) }, PASS },
		{ "as a neighbour whose MAC address is not known", ON_INSIDE,
		  { UDP("10.0.0.77", GREEN_SHARED), BY(lan0, MAC_PEER) }, HOLD },
		{ "as another VM", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED), BY(lan0, MAC_PEER) },
		  DROP(SPOOFED_SOURCE) },
		{ "as another VM, IPv6", ON_INSIDE,
		  { UDP(RED_VM2_6, GREEN_SHARED_6), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as another VM, to the router", ON_INSIDE,
		  { UDP(RED_VM2, RED_OWN), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as another VM, in a hairpin", ON_INSIDE,
		  { UDP(RED_VM2, RED_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as another VM, to where we are not asked", ON_INSIDE,
		  { UDP(RED_VM2, "8.8.8.8"), BY(lan0, MAC_PEER) }, PASS },
		{ "by another interface", ON_INSIDE,
		  { UDP(RED_VM, GREEN_SHARED), BY(lan1, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "by another interface, IPv6", ON_INSIDE,
		  { UDP(RED_VM_6, GREEN_SHARED_6), BY(lan1, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "by another interface, MAC address unknown", ON_INSIDE,
		  { UDP("10.0.0.77", GREEN_SHARED), BY(lan1, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as the router", ON_INSIDE, { UDP("10.0.0.1", GREEN_SHARED), BY(lan0, MAC_PEER) },
		  DROP(SPOOFED_SOURCE) },
		{ "as the router's other interface", ON_INSIDE,
		  { UDP("10.0.1.1", GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as the router, IPv6", ON_INSIDE,
		  { UDP("fd00:10::1", GREEN_SHARED_6), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "as nobody", ON_INSIDE, { UDP("0.0.0.0", GREEN_SHARED), BY(lan0, MAC_PEER) },
		  DROP(SPOOFED_SOURCE) },
		{ "as a group", ON_INSIDE, { UDP("224.0.0.7", GREEN_SHARED), BY(lan0, MAC_PEER) },
		  DROP(SPOOFED_SOURCE) },
		{ "as loopback", ON_INSIDE, { UDP("127.0.0.1", GREEN_SHARED), BY(lan0, MAC_PEER) },
		  DROP(SPOOFED_SOURCE) },
		{ "from where no way leads back", ON_INSIDE,
		  { UDP("192.0.2.1", GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "from what is prohibited", ON_INSIDE,
		  { UDP("10.0.9.1", GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "from what is swallowed", ON_INSIDE,
		  { UDP("10.0.8.1", GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
		{ "from what is unreachable", ON_INSIDE,
		  { UDP("10.0.7.1", GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
	};
	/* clang-format on */
	check(lab, rows, ARRAY_SIZE(rows), INSIDE_IN);
}

Test(sources, loose)
{
	struct lab *lab = open_lab(true);
	/* clang-format off */
	const struct row rows[] = {
		{ "as another VM", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED), BY(lan0, MAC_PEER) },
		  PASS },
		{ "by another interface", ON_INSIDE,
		  { UDP(RED_VM, GREEN_SHARED), BY(lan1, MAC_PEER) }, PASS },
		{ "as a shared address", ON_INSIDE,
		  { UDP(RED_SHARED, GREEN_SHARED), BY(lan0, MAC_PEER) }, DROP(SPOOFED_SOURCE) },
	};
	/* clang-format on */
	check(lab, rows, ARRAY_SIZE(rows), INSIDE_IN);
}

/* A router that does not forward is not one yet: nothing can be told from its routes. */
Test(sources, not_forwarding)
{
	struct lab *lab = open_lab(false);
	const struct row row = {
		"as another VM", ON_INSIDE, { UDP(RED_VM2, GREEN_SHARED), BY(lan0, MAC_PEER) }, PASS
	};

	forward("/proc/sys/net/ipv4/ip_forward", false);
	check(lab, &row, 1, INSIDE_IN);
}

#define ERROR(s, d, qs, qd)                                                                    \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 11, .quote = &(const struct packet) \
	{                                                                                      \
		UDP(qs, qd)                                                                    \
	}

/*
 * The router's own error about a hairpin, turned back: it leaves by lan0, because the kernel
 * would not take it in. See also icmp.c, and for who is let in by the mark, inside.c.
 */
Test(sources, error_about_a_hairpin)
{
	struct lab *lab = open_lab(false);
	/* clang-format off */
	const struct row rows[] = {
		{ "to the VM", ON_TC,
		  { ERROR(RED_OWN, RED_SHARED, RED_SHARED, RED_SHARED2), .mark = TN_HAIRPIN_MARK },
		  .outcome = TURNED, .after = { ERROR(RED_OWN, RED_VM, RED_VM, RED_SHARED2) } },
		{ "forged", ON_TC,
		  { ERROR(RED_OWN, RED_SHARED, RED_SHARED2, RED_SHARED), .mark = TN_HAIRPIN_MARK },
		  DROP(FORGED_ERROR) },
		{ "without the mark", ON_TC, { ERROR(RED_OWN, RED_SHARED, RED_SHARED, RED_SHARED2) },
		  DROP(SPOOFED_SOURCE) },
	};
	/* clang-format on */
	check(lab, rows, ARRAY_SIZE(rows), TC_IN);
}
