/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksums that are not what they seem. A local sender leaves the pseudo-header's sum
 * for its interface to complete (CHECKSUM_PARTIAL), which XDP cannot see; a network
 * card may have summed the whole frame (CHECKSUM_COMPLETE), which a rewriting must not
 * make wrong. A test run has no partial ones, so those go over real interfaces.
 */
#include "host/host.h"
#include "kinds.h"
#include "links.h"
#include "wire.h"

#include <errno.h>

struct pair {
	const char *what;
	const char *peer, *shared, *fixed;
};

static const struct pair families[] = {
	{ "IPv4", GREEN_SHARED, RED_SHARED, RED_VM },
	{ "IPv6", GREEN_SHARED_6, RED_SHARED_6, RED_VM_6 },
};

static const struct {
	const char *what;
	struct packet packet;
} kept[] = {
	{ "TCP", { .proto = IPPROTO_TCP } },
	{ "TCP with payload", { .proto = IPPROTO_TCP, .payload = 100 } },
	{ "UDP", { .proto = IPPROTO_UDP, .payload = 33 } },
	{ "UDP without payload", { .proto = IPPROTO_UDP } },
	{ "TCP, three segments in one",
	  { .proto = IPPROTO_TCP, .payload = 3000, .gso_size = 1000, .gso_segs = 3 } },
};

/* `p` from `src` to `dst`. */
static struct packet between(const struct packet *p, const char *src, const char *dst,
			     enum csum csum)
{
	struct packet q = *p;

	q.src = src;
	q.dst = dst;
	q.csum = csum;
	return q;
}

/* XDP's guess: a field that holds the pseudo-header's sum is left to tc, right or not. */
Test(partial, left_to_tc_by_xdp)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			const struct pair *a = &families[f];
			struct row row = { .what = kept[i].what, .outcome = PASSED };

			if (kept[i].packet.gso_size)
				continue;
			row.before = between(&kept[i].packet, a->peer, a->shared, CSUM_PARTIAL);
			lab_check(lab, &row, XDP_IN);
		}
	}
	lab_close(lab);
}

/* One whole checksum in 65,535 looks partial: this packet's. */
static struct packet looking_partial(const struct pair *a, uint8_t proto)
{
	struct packet p = { .proto = proto, .src = a->peer, .dst = a->shared, .payload = 10 };

	packet_tune(&p, packet_partial(&p));
	return p;
}

/* It takes the slower path, and stays right. */
Test(partial, whole_but_looks_partial)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		for (int udp = 0; udp < 2; udp++) {
			const struct pair *a = &families[f];
			struct packet p = looking_partial(a, udp ? IPPROTO_UDP : IPPROTO_TCP);
			struct row row = { .what = "a whole checksum that looks partial",
					   .before = p,
					   .after = between(&p, a->peer, a->fixed, CSUM_RIGHT),
					   .outcome = TRANSLATED,
					   .xdp_leaves = true };

			lab_check(lab, &row, XDP_IN);
			lab_check(lab, &row, TC_IN);
		}
	}
	lab_close(lab);
}

static void check_in(bool xdp)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	struct wire w;

	wire_open(&w);
	if (xdp)
		wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			const struct pair *a = &families[f];
			struct packet before =
				between(&kept[i].packet, a->peer, a->shared, CSUM_PARTIAL);
			struct packet after = between(&before, a->peer, a->fixed, CSUM_RIGHT);

			/* XDP on a veth turns its peer's segmentation off */
			if (xdp && before.gso_size)
				continue;
			wire_send(w.far, &before);
			wire_expect(w.vm, kept[i].what, &after, true);
			if (before.gso_size)
				continue;
			before.csum = CSUM_RIGHT;
			wire_send(w.far, &before);
			wire_expect(w.vm, kept[i].what, &after, false);
		}
	}
	cr_expect_eq(lab_drops(lab), 0);
	wire_close(&w);
	lab_close(lab);
}

Test(partial, in_through_tc)
{
	check_in(false);
}

Test(partial, in_through_xdp_and_tc)
{
	check_in(true);
}

Test(partial, out)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_OUT });
	struct wire w;

	wire_open(&w);
	wire_attach_tc(&w, lab, TC_OUT);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
			const struct pair *a = &families[f];
			struct packet before =
				between(&kept[i].packet, a->fixed, a->peer, CSUM_PARTIAL);
			struct packet after = between(&before, a->shared, a->peer, CSUM_RIGHT);

			wire_send(w.shared, &before);
			wire_expect(w.far, kept[i].what, &after, true);
			if (before.gso_size)
				continue;
			before.csum = CSUM_RIGHT;
			wire_send(w.shared, &before);
			wire_expect(w.far, kept[i].what, &after, false);
		}
	}
	cr_expect_eq(lab_drops(lab), 0);
	wire_close(&w);
	lab_close(lab);
}

static void check_summed(struct lab *lab, enum program program, const struct kind *kind,
			 const struct row *row)
{
	struct frame f = packet_build(&row->before);

	cr_expect(lab_run_summed(lab, program, &row->before, &f), "%s, %s: %s", kind->what,
		  program_name(program), strerror(errno));
}

/* The kernel itself compares its sum of the frame with the frame, behind the program. */
static void check_complete(enum program program)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = 1U << program });
	const struct packet any = { UDP(GREEN_SHARED, GREEN_SHARED, .to = MAC_OTHER) };
	const struct frame f = packet_build(&any);
	bool in = program == TC_IN;

	if (!lab_run_summed(lab, program, &any, &f) && errno == EINVAL)
		cr_skip_test("this kernel has no test runs with CHECKSUM_COMPLETE");
	for (size_t i = 0; i < kinds_n; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(families); j++) {
			const struct pair *a = &families[j];
			struct row row =
				in ? kind_row(&kinds[i], a->peer, a->shared, a->peer, a->fixed)
				   : kind_row(&kinds[i], a->fixed, a->peer, a->shared, a->peer);

			if (kinds[i].flags & SUMMED && kinds[i].flags & (j ? V6 : V4))
				check_summed(lab, program, &kinds[i], &row);
		}
	}
	lab_close(lab);
}

Test(partial, whole_frame_summed_in)
{
	check_complete(TC_IN);
}

Test(partial, whole_frame_summed_out)
{
	check_complete(TC_OUT);
}

/* Which looks partial, but is not: of IPv6 the kernel has to be told. */
Test(partial, whole_frame_summed_that_looks_partial)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });

	if (!host_lets_programs_read())
		cr_skip_test("this kernel's programs have to guess");
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		for (int udp = 0; udp < 2; udp++) {
			const struct pair *a = &families[f];
			struct packet p = looking_partial(a, udp ? IPPROTO_UDP : IPPROTO_TCP);
			struct frame frame = packet_build(&p);

			cr_expect(lab_run_summed(lab, TC_IN, &p, &frame), "%s: %s", a->what,
				  strerror(errno));
		}
	}
	lab_close(lab);
}

/* Also by a pair that is cached since packets that no card had summed. */
static void check_complete_known(enum program program, const char *from, const char *to)
{
	struct lab *lab = links_open_known(1U << program, PAST_STACK, MAC_ROUTER);
	bool out = program == INSIDE_IN;
	const struct packet p = { UDP(from, to), .from = out ? MAC_VM : NULL,
				  .ifindex = out ? links_inside : 0 };
	const struct frame f = packet_build(&p);

	lab_stay_on(0);
	if (!lab_run_summed(lab, program, &p, &f) && errno == EINVAL)
		cr_skip_test("this kernel has no test runs with CHECKSUM_COMPLETE");
	for (int i = 0; i < 3; i++)
		cr_expect_eq(lab_run(lab, program, &p, &f).verdict, BACK, "from %s", from);
	cr_expect(lab_run_summed(lab, program, &p, &f), "from %s: %s", from, strerror(errno));
	lab_close(lab);
}

Test(partial, whole_frame_summed_by_a_way_that_is_known)
{
	check_complete_known(TC_IN, GREEN_SHARED, RED_SHARED);
	check_complete_known(TC_IN, GREEN_SHARED_6, RED_SHARED_6);
	check_complete_known(INSIDE_IN, RED_VM, GREEN_SHARED);
	check_complete_known(INSIDE_IN, RED_VM_6, GREEN_SHARED_6);
}

/*
 * Where the sums of both addresses are the same, no checksum of L4 changes, partial ones neither:
 * then XDP need not know which it is, but for what it sends on itself.
 */
#define EVEN		 "10.0.0.9"
#define EVEN_SHARED	 "100.64.165.200"
#define EVEN_6		 "fd00:10::5:1"
#define EVEN_SHARED6	 "fd64::ffb1"
#define FULL(p, s, d, c) .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 32, .csum = CSUM_##c

Test(partial, addresses_of_the_same_sum)
{
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	/* clang-format off */
	const struct row rows[] = {
		{ "UDP, partial", ON_IN, { FULL(UDP, GREEN_SHARED, EVEN_SHARED, PARTIAL) },
		  AFTER(FULL(UDP, GREEN_SHARED, EVEN, PARTIAL)) },
		{ "TCP, partial", ON_IN, { FULL(TCP, GREEN_SHARED, EVEN_SHARED, PARTIAL) },
		  AFTER(FULL(TCP, GREEN_SHARED, EVEN, PARTIAL)) },
		{ "UDP", ON_IN, { FULL(UDP, GREEN_SHARED, EVEN_SHARED, RIGHT) },
		  AFTER(FULL(UDP, GREEN_SHARED, EVEN, RIGHT)) },
		{ "UDP, wrong", ON_IN, { FULL(UDP, GREEN_SHARED, EVEN_SHARED, WRONG) },
		  AFTER(FULL(UDP, GREEN_SHARED, EVEN, WRONG)) },
		{ "TCP over IPv6, partial", ON_IN, { FULL(TCP, GREEN_SHARED_6, EVEN_SHARED6, PARTIAL) },
		  AFTER(FULL(TCP, GREEN_SHARED_6, EVEN_6, PARTIAL)) },
		{ "UDP over IPv6", ON_IN, { FULL(UDP, GREEN_SHARED_6, EVEN_SHARED6, RIGHT) },
		  AFTER(FULL(UDP, GREEN_SHARED_6, EVEN_6, RIGHT)) },
		{ "out, UDP", ON_OUT, { FULL(UDP, EVEN, GREEN_SHARED, RIGHT) },
		  AFTER(FULL(UDP, EVEN_SHARED, GREEN_SHARED, RIGHT)) },
		{ "out, TCP over IPv6", ON_OUT, { FULL(TCP, EVEN_6, GREEN_SHARED_6, RIGHT) },
		  AFTER(FULL(TCP, EVEN_SHARED6, GREEN_SHARED_6, RIGHT)) },
	};
	/* clang-format on */
	lab_map(lab, RED, EVEN, EVEN_SHARED);
	lab_map(lab, RED, EVEN_6, EVEN_SHARED6);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int program = XDP_IN; program <= TC_OUT; program++) {
			if (rows[i].programs & 1U << program)
				lab_check(lab, &rows[i], program);
		}
	}
	lab_close(lab);
}
