/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Past the stack: which packets are sent on by the programs, and which are left to the kernel as
 * they came. The shared interface is loopback, as for all test runs.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include "harness.h"

#define SENT true
#define LEFT false
#define MTU  "1400"

static uint32_t lan0;

static void switch_on(const char *path)
{
	FILE *f = fopen(path, "w");

	need(f && fputc('1', f) != EOF && fclose(f) == 0, path);
}

static struct lab *open_lab(void)
{
	struct lab *lab = lab_open(&(struct lab_options){
		.programs = ON_INSIDE | ON_TC, .loose = true, .fast = true });
	FILE *ip = popen("ip -batch -", "w");

	need(ip, "running ip");
	fputs("link set lo up\n"
	      "link add lan0 address " MAC_ROUTER " mtu " MTU " type veth peer name vm0\n"
	      "link set lan0 up\nlink set vm0 up\n"
	      "addr add 10.0.0.1/24 dev lan0\naddr add fd00:10::1/64 dev lan0 nodad\n"
	      "route add 100.64.0.0/16 dev lo mtu lock " MTU "\n"
	      "route add 100.64.77.0/24 dev lan0\nroute add unreachable 100.64.78.0/24\n",
	      ip);
	need(pclose(ip) == 0, "making interfaces");
	switch_on("/proc/sys/net/ipv4/ip_forward");
	switch_on("/proc/sys/net/ipv6/conf/all/forwarding");
	lan0 = if_nametoindex("lan0");
	return lab;
}

struct way {
	const char *what;
	enum program program;
	struct packet before;
	bool sent;
	struct packet after;
};

static void check(struct lab *lab, const struct way *w)
{
	struct frame in = packet_build(&w->before), want = packet_build(&w->after);
	struct result r = lab_run(lab, w->program, &w->before, &in);
	bool out = w->program == INSIDE_IN;
	uint32_t mark = w->sent && out ? TN_FORWARD_MARK : 0;

	cr_expect_eq(r.verdict, w->sent ? BACK : STACK, "%s: verdict %d", w->what, r.verdict);
	cr_expect_eq(r.mark, mark, "%s: mark %x", w->what, r.mark);
	if (r.out.len != want.len || memcmp(r.out.bytes, want.bytes, want.len) != 0) {
		char *diff = frame_diff(&want, &r.out);

		cr_expect_fail("%s:\n%s", w->what, diff);
		free(diff);
	}
}

#define IN_	       UDP(GREEN_SHARED, RED_SHARED)
#define IN6_	       UDP(GREEN_SHARED_6, RED_SHARED_6)
#define OUT_	       UDP(RED_VM, GREEN_SHARED)
#define BY	       .ifindex = lan0
#define LARGE(s, d, n) .src = s, .dst = d, .proto = IPPROTO_UDP, .payload = n
#define WITH(p, s, d)  .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 8

Test(forward, what_is_sent_on)
{
	struct lab *lab = open_lab();
	/* clang-format off */
	const struct way ways[] = {
		{ "in", TC_IN, { IN_ }, SENT, { UDP(GREEN_SHARED, RED_VM), .ttl = 63 } },
		{ "in, IPv6", TC_IN, { IN6_ }, SENT, { UDP(GREEN_SHARED_6, RED_VM_6), .ttl = 63 } },
		{ "in, with two hops to go", TC_IN, { IN_, .ttl = 2 }, SENT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1 } },
		{ "in, TCP", TC_IN, { WITH(TCP, GREEN_SHARED, RED_SHARED) },
		  SENT, { WITH(TCP, GREEN_SHARED, RED_VM), .ttl = 63 } },
		{ "in, with a trailer, which goes", TC_IN, { IN_, .trailer = 20 }, SENT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 63 } },
		{ "out, with a trailer, which goes", INSIDE_IN, { OUT_, .trailer = 9, BY }, SENT,
		  { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63 } },
		{ "out", INSIDE_IN, { OUT_, BY }, SENT, { UDP(RED_SHARED, GREEN_SHARED), .ttl = 63 } },
		{ "out, a ping", INSIDE_IN,
		  { WITH(ICMP, RED_VM, GREEN_SHARED), BY }, SENT,
		  { WITH(ICMP, RED_SHARED, GREEN_SHARED), .ttl = 63 } },
		{ "in, as large as the link takes", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 1372) },
		  SENT, { LARGE(GREEN_SHARED, RED_VM, 1372), .ttl = 63 } },
		{ "out, as large as the path takes", INSIDE_IN, { LARGE(RED_VM, GREEN_SHARED, 1372), BY },
		  SENT, { LARGE(RED_SHARED, GREEN_SHARED, 1372), .ttl = 63 } },
		{ "in, a later fragment", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 64), .frag_at = 40, .frag_len = 32 },
		  SENT, { LARGE(GREEN_SHARED, RED_VM, 64), .frag_at = 40, .frag_len = 32, .ttl = 63 } },
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		check(lab, &ways[i]);
	lab_close(lab);
}

/* In: translated, and the stack goes on; out: as it came, and the egress program translates. */
Test(forward, what_is_left_to_the_stack)
{
	struct lab *lab = open_lab();
	/* clang-format off */
	const struct way ways[] = {
		{ "in, no hop left", TC_IN, { IN_, .ttl = 1 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1 } },
		{ "in, IPv6, no hop left", TC_IN, { IN6_, .ttl = 1 }, LEFT,
		  { UDP(GREEN_SHARED_6, RED_VM_6), .ttl = 1 } },
		{ "in, too large", TC_IN, { LARGE(GREEN_SHARED, RED_SHARED, 1373) }, LEFT,
		  { LARGE(GREEN_SHARED, RED_VM, 1373) } },
		{ "in, options", TC_IN, { IN_, .options = 4 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .options = 4 } },
		{ "in, extension headers", TC_IN, { IN6_, .ext = "D" }, LEFT,
		  { UDP(GREEN_SHARED_6, RED_VM_6), .ext = "D" } },
		{ "in, no hop left, with a trailer", TC_IN, { IN_, .ttl = 1, .trailer = 9 }, LEFT,
		  { UDP(GREEN_SHARED, RED_VM), .ttl = 1, .trailer = 9 } },
		{ "to the router", TC_IN, { UDP(GREEN_SHARED, RED_OWN) }, LEFT,
		  { UDP(GREEN_SHARED, RED_OWN) } },
		{ "out, no hop left", INSIDE_IN, { OUT_, .ttl = 1, BY }, LEFT, { OUT_, .ttl = 1 } },
		{ "out, too large", INSIDE_IN, { LARGE(RED_VM, GREEN_SHARED, 1373), BY }, LEFT,
		  { LARGE(RED_VM, GREEN_SHARED, 1373) } },
		{ "out, options", INSIDE_IN, { OUT_, .options = 8, BY }, LEFT, { OUT_, .options = 8 } },
		{ "out, by another interface than the shared one", INSIDE_IN,
		  { UDP(RED_VM, "100.64.77.1"), BY }, LEFT, { UDP(RED_VM, "100.64.77.1") } },
		{ "out, where no route leads", INSIDE_IN, { UDP(RED_VM, "100.64.78.1"), BY }, LEFT,
		  { UDP(RED_VM, "100.64.78.1") } },
		{ "out, not to the shared network", INSIDE_IN, { UDP(RED_VM, "8.8.8.8"), BY }, LEFT,
		  { UDP(RED_VM, "8.8.8.8") } },
		{ "out, of a VM without a mapping", INSIDE_IN, { UDP("10.0.0.77", GREEN_SHARED), BY },
		  LEFT, { UDP("10.0.0.77", GREEN_SHARED) } },
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		check(lab, &ways[i]);
	lab_close(lab);
}

/* A card's sum of the whole frame would be wrong behind other MAC addresses. */
Test(forward, summed_frames_are_left_to_the_stack)
{
	const struct packet p = { IN_ };
	struct lab *lab = open_lab();
	struct frame f = packet_build(&p);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
		    .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE);

	if (bpf_prog_test_run_opts(lab_fd(lab, TC_IN), &opts) == 0)
		cr_expect_eq(verdict_tc(opts.retval), STACK);
	else
		cr_expect_eq(errno, EINVAL, "%s", strerror(errno)); /* an older kernel */
	lab_close(lab);
}

/* What has no mark is judged again at the shared interface's egress, and the mark goes. */
Test(forward, only_marked_frames_leave_unjudged)
{
	const struct packet marked = { UDP(RED_SHARED, GREEN_SHARED), .mark = TN_FORWARD_MARK };
	const struct packet other = { UDP(RED_SHARED, GREEN_SHARED), .mark = TN_FORWARD_MARK + 1 };
	struct lab *fast = lab_open(&(struct lab_options){ .programs = ON_OUT, .fast = true });
	struct lab *slow = lab_open(&(struct lab_options){ .programs = ON_OUT });
	struct frame f = packet_build(&marked);
	struct result r = lab_run(fast, TC_OUT, &marked, &f);

	cr_expect_eq(r.verdict, STACK);
	cr_expect_eq(r.mark, 0);
	cr_expect_eq(lab_run(fast, TC_OUT, &other, &f).verdict, GONE);
	cr_expect_eq(lab_run(slow, TC_OUT, &marked, &f).verdict, GONE);
	lab_close(fast);
	lab_close(slow);
}
