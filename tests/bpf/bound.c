/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of a VM that is known by its MAC address. The kernel finds MAC_VM at the fixed address:
 * that is the VM of the mapping, or another one which has got its address.
 */
#include "links.h"
#include "packets.h"

static void bind_to(struct lab *lab, const char *mac)
{
	lab_bind(lab, RED_VM, RED_SHARED, mac);
	lab_bind(lab, RED_VM_6, RED_SHARED_6, mac);
}

static struct lab *open_as(const struct lab_options *o, const char *mac)
{
	struct lab *lab = links_open_known_as(o);

	bind_to(lab, mac);
	return lab;
}

/* ---------------------------------------------------------------- what the VM sends */

static const struct packet sends[] = {
	{ UDP(RED_VM, GREEN_SHARED), .from = MAC_VM },
	{ UDP(RED_VM, GREEN_SHARED), .from = MAC_VM }, /* by what was kept of the first one */
	{ UDP(RED_VM, GREEN_SHARED), .from = MAC_VM, .options = 4 },
	{ UDP(RED_VM_6, GREEN_SHARED_6), .from = MAC_VM },
	{ UDP(RED_VM_6, GREEN_SHARED_6), .from = MAC_VM },
	{ UDP(RED_VM, RED_SHARED2), .from = MAC_VM }, /* of the same router */
};

static void check(struct lab *lab, enum program program, const struct packet *p, bool good,
		  uint64_t refused)
{
	uint64_t drops = lab_drops_of(lab, RED, TN_DROP_WRONG_MAC);
	struct packet at = *p;
	struct frame f;
	struct result r;

	at.ifindex = program == INSIDE_IN ? links_inside : 0;
	f = packet_build(&at);
	r = lab_run(lab, program, &at, &f);
	cr_expect_eq(r.verdict != GONE, good, "%s -> %s from %s: verdict %d", p->src, p->dst,
		     p->from, r.verdict);
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_WRONG_MAC), drops + refused, "%s -> %s", p->src,
		     p->dst);
}

/* In every mode of `sources`, by the stack and past it. */
Test(bound, what_it_sends)
{
	static const struct packet outside = { UDP(RED_VM, "8.8.8.8"), .from = MAC_VM };

	for (int mode = 0; mode < 6; mode++) {
		const struct lab_options o = { .programs = ON_INSIDE,
					       .fast = mode % 2,
					       .own_slots = true,
					       .feasible = mode / 2 == 1,
					       .loose = mode / 2 == 2 };
		struct lab *lab = open_as(&o, MAC_VM);

		for (size_t i = 0; i < ARRAY_SIZE(sends); i++)
			check(lab, INSIDE_IN, &sends[i], true, 0);
		/* what was kept of the one says nothing of the other */
		bind_to(lab, MAC_OTHER);
		for (size_t i = 0; i < ARRAY_SIZE(sends); i++)
			check(lab, INSIDE_IN, &sends[i], false, 1);
		check(lab, INSIDE_IN, &outside, true, 0);
		bind_to(lab, MAC_VM);
		check(lab, INSIDE_IN, &sends[0], true, 0);
		lab_close(lab);
	}
}

/* ---------------------------------------------------------------- what is for the VM */

static void leaves(struct lab *lab, const struct packet *p, bool yes)
{
	struct frame in = packet_build(p);
	uint64_t drops = lab_drops_of(lab, RED, TN_DROP_WRONG_MAC);
	struct result r = lab_run(lab, INSIDE_OUT, p, &in);

	cr_expect_eq(r.verdict, yes ? STACK : GONE, "%s -> %s at %s: verdict %d", p->src, p->dst,
		     p->to, r.verdict);
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_WRONG_MAC), drops + !yes);
}

Test(bound, what_it_gets)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_INSIDE });
	const struct packet in = { UDP(GREEN_SHARED, RED_VM), .to = MAC_VM };
	const struct packet in_6 = { UDP(GREEN_SHARED_6, RED_VM_6), .to = MAC_VM };
	const struct packet of_router = { UDP("10.0.0.1", RED_VM), .to = MAC_VM };
	const struct packet outside = { UDP("8.8.8.8", RED_VM), .to = MAC_VM };
	const struct packet other = { UDP(GREEN_SHARED, RED_VM2), .to = MAC_VM };
	const struct packet arp = { .arp = &(const struct arp){ .op = 1,
								.sender_mac = MAC_ROUTER,
								.sender = "10.0.0.1",
								.target_mac = MAC_VM,
								.target = RED_VM },
				    .to = MAC_VM };

	leaves(lab, &in, true);
	bind_to(lab, MAC_VM);
	leaves(lab, &in, true);
	leaves(lab, &in_6, true);
	bind_to(lab, MAC_OTHER);
	leaves(lab, &in, false);
	leaves(lab, &in_6, false);
	/* what others send is not ours to judge */
	leaves(lab, &of_router, true);
	leaves(lab, &outside, true);
	leaves(lab, &other, true);
	leaves(lab, &arp, true);
	lab_close(lab);
}

static enum verdict run_in(struct lab *lab, enum program program, const struct packet *p)
{
	struct frame f = packet_build(p);

	return lab_run(lab, program, p, &f).verdict;
}

/* XDP sends past all other programs: it leaves to them what it may not. */
Test(bound, past_xdp)
{
	static const struct packet in[] = {
		{ UDP(GREEN_SHARED, RED_SHARED) },
		{ UDP(GREEN_SHARED, RED_SHARED) },
		{ UDP(GREEN_SHARED_6, RED_SHARED_6) },
		{ UDP(GREEN_SHARED_6, RED_SHARED_6) },
	};
	struct lab *lab = open_as(&(struct lab_options){ .programs = ON_XDP | ON_IN,
							 .fast = true,
							 .own_slots = true },
				  MAC_VM);

	links_take_xdp(lab);
	bind_to(lab, MAC_OTHER);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		cr_expect_eq(run_in(lab, XDP_IN, &in[i]), STACK, "%zu", i);
	bind_to(lab, MAC_VM);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		run_in(lab, TC_IN, &in[i]); /* it alone asks the kernel once more */
		cr_expect_eq(run_in(lab, XDP_IN, &in[i]), BACK, "%zu", i);
	}
	bind_to(lab, MAC_OTHER);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		cr_expect_eq(run_in(lab, XDP_IN, &in[i]), STACK, "%zu", i);
	bind_to(lab, MAC_VM);
	lab_close(lab);
}
