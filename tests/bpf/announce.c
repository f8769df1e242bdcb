/* SPDX-License-Identifier: GPL-2.0-only */
/* Announcements out of one end of a veth pair, as the other end and the kernel behind it see them.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include "harness.h"
#include "lib/clock.h"
#include "probe/announce.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0xab, 0xcd };
#define NEIGHBOUR "02:00:00:00:ab:cd"

static void shell(const char *command)
{
	need(system(command) == 0, command);
}

/* A namespace of the test's own with a cable in it; gives a socket that hears at its far end. */
static int cable(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	int fd, room = 64 << 20, outgoing = 1;

	need(unshare(CLONE_NEWNET) == 0, "unshare");
	shell("ip link add near address " NEIGHBOUR
	      " type veth peer name far && ip link set near up && "
	      "ip link set far up && ip addr add 100.64.0.9/16 dev far && "
	      "echo 0 >/proc/sys/net/ipv6/conf/far/disable_ipv6");
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	need(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0 &&
		     setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &outgoing, sizeof(int)) ==
			     0,
	     "packet socket");
	at.sll_ifindex = (int)if_nametoindex("far");
	at.sll_protocol = __builtin_bswap16(ETH_P_ALL);
	need(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
	return fd;
}

/* The i-th address of a list of both families. */
static struct tn_addr nth(size_t i)
{
	struct tn_addr first;

	need(addr_parse(i % 2 ? "fd64::1:0" : "100.64.1.0", &first), "address");
	return addr_add(&first, i / 2);
}

static struct tn_addr *many(size_t n)
{
	struct tn_addr *out = xzalloc(n * sizeof(*out));

	for (size_t i = 0; i < n; i++)
		out[i] = nth(i);
	return out;
}

/* What was announced, in order; solicitations of the kernel itself do not count. */
static size_t heard(int fd, struct tn_addr *out, size_t max)
{
	uint8_t frame[256];
	struct claim claim;
	size_t n = 0;
	ssize_t len;

	while ((len = recv(fd, frame, sizeof(frame), 0)) > 0) {
		if (!frame_claim(frame, len, &claim) || claim.tentative)
			continue;
		cr_assert_lt(n, max, "more frames than addresses");
		cr_expect_arr_eq(claim.mac, mac, 6);
		cr_expect_arr_eq(frame + ETH_ALEN, mac, 6, "the frame is from elsewhere");
		out[n++] = claim.addr;
	}
	return n;
}

/* Each once, in both families; no faster than the rate, however fast the machine is. */
Test(announce, all_of_a_list)
{
	enum { COUNT = 1000 };
	_cleanup_free_ struct tn_addr *addrs = many(COUNT), *got = many(COUNT);
	struct error err = { 0 };
	uint64_t begin;
	int fd = cable();
	size_t told, n;

	begin = clock_ms();
	cr_assert_eq(announce(if_nametoindex("near"), mac, false, addrs, COUNT, &told, &err), 0,
		     "%s", err.text);
	cr_expect_geq(clock_ms() - begin, (COUNT - PACKET_BATCH) * 1000 / PACKET_RATE - 5);
	cr_expect_eq(told, COUNT);
	n = heard(fd, got, COUNT);
	cr_assert_eq(n, COUNT, "%zu of %d", n, COUNT);
	cr_expect_eq(memcmp(addrs, got, COUNT * sizeof(*got)), 0, "others than asked for");
	close(fd);
}

/* None asked for, none told. */
Test(announce, nothing)
{
	struct error err = { 0 };
	struct tn_addr got;
	int fd = cable();
	size_t told = 9;

	cr_assert_eq(announce(if_nametoindex("near"), mac, false, NULL, 0, &told, &err), 0, "%s",
		     err.text);
	cr_expect_eq(told, 0);
	cr_expect_eq(heard(fd, &got, 1), 0);
	close(fd);
}

static bool neighbour_is(const char *address, const char *where)
{
	char command[128], line[256] = "";
	FILE *f;

	snprintf(command, sizeof(command), "ip neigh show %s dev far", address);
	f = popen(command, "r");
	need(f, command);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	pclose(f);
	return strstr(line, where);
}

/* A neighbour that remembers another MAC address believes the announcement, at once. */
Test(announce, neighbours_forget_what_they_knew)
{
	struct tn_addr addrs[] = { nth(10), nth(11) };
	struct error err = { 0 };
	int fd = cable();
	size_t told;

	shell("ip neigh add 100.64.1.5 lladdr 02:99:99:99:99:99 dev far nud reachable");
	shell("ip neigh add fd64::1:5 lladdr 02:99:99:99:99:99 dev far nud reachable");
	cr_assert_eq(announce(if_nametoindex("near"), mac, false, addrs, 2, &told, &err), 0, "%s",
		     err.text);
	cr_expect(neighbour_is("100.64.1.5", NEIGHBOUR));
	cr_expect(neighbour_is("fd64::1:5", NEIGHBOUR));
	close(fd);
}

Test(announce, needs_the_interface)
{
	struct tn_addr addr = nth(0);
	struct error err = { 0 }, gone = { 0 };
	int fd = cable();
	size_t told = 9;

	shell("ip link set near down");
	cr_expect_eq(announce(if_nametoindex("near"), mac, false, &addr, 1, &told, &err), -1);
	cr_expect_eq(told, 0);
	cr_expect_str_eq(err.text, "addresses could not be announced: cannot send frames: Network "
				   "is down; set the interface up");
	cr_expect_eq(announce(9999, mac, false, &addr, 1, &told, &gone), -1);
	cr_expect(strstr(gone.text, "interface 9999: No such device"), "%s", gone.text);
	close(fd);
}

/* Another one may have come in its place, with the same index. */
Test(announce, nothing_by_an_interface_with_another_mac_address)
{
	const uint8_t other[6] = { 2, 0, 0, 0, 0xab, 0xce };
	struct tn_addr addr = nth(0), got;
	struct error err = { 0 };
	int fd = cable();
	size_t told = 9;

	cr_expect_eq(announce(if_nametoindex("near"), other, false, &addr, 1, &told, &err), 0);
	cr_expect_eq(told, 0);
	cr_expect_eq(heard(fd, &got, 1), 0);
	close(fd);
}
