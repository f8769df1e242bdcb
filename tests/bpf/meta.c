/* SPDX-License-Identifier: GPL-2.0-only */
/* XDP's mark, with which tc behind it knows that a frame is translated already. */
#include "wire.h"

static const struct packet before = { UDP(GREEN_SHARED, RED_SHARED) };
static const struct packet after = { UDP(GREEN_SHARED, RED_VM) };

/* Without tc: it is XDP that translates in the tests below. */
Test(meta, xdp_translates_by_itself)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_XDP });
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, false);
	wire_attach_redirect(&w);
	wire_send(w.far, &before);
	wire_expect(w.vm, "XDP alone", &after, false);
	wire_close(&w);
	lab_close(lab);
}

Test(meta, honoured_by_tc)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &before);
	wire_expect(w.vm, "XDP and tc", &after, false);
	cr_expect_eq(lab_drops(lab), 0);
	wire_close(&w);
	lab_close(lab);
}

/* The same while somebody listens: tc then gets a clone, whose metadata must not be lost. */
Test(meta, honoured_by_tc_while_sniffed)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	struct wire w;
	int sniffer;

	wire_open(&w);
	sniffer = wire_sniff();
	wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &before);
	wire_expect(w.vm, "XDP and tc, sniffed", &after, false);
	cr_expect_eq(lab_drops(lab), 0);
	close(sniffer);
	wire_close(&w);
	lab_close(lab);
}

/* What XDP has not marked is judged by tc: here, what is left to it. */
Test(meta, what_xdp_leaves_is_judged)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	const struct packet arp = { .to = MAC_BROADCAST,
				    .arp = &(const struct arp){ 1, MAC_PEER, GREEN_SHARED,
								MAC_BROADCAST, RED_VM, 0, 0 } };
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &arp);
	wire_expect_silence(w.vm, "a request for a private address");
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_DIRECT_TO_PRIVATE), 1);
	wire_close(&w);
	lab_close(lab);
}

/*
 * Nobody takes the mark off, so that a frame that comes round again may still have it.
 * It is to be judged anew all the same.
 */
Test(meta, judged_anew_when_it_comes_round)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_round(&w);
	wire_send(w.far, &before);
	wire_expect_silence(w.vm, "a frame with an old mark");
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_DIRECT_TO_PRIVATE), 1);
	cr_expect_eq(lab_drops(lab), 1);
	wire_close(&w);
	lab_close(lab);
}

Test(meta, of_another_router)
{
	const struct lab_options of_blue = { .router = BLUE, .programs = ON_IN };
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_IN });
	struct lab *blue = lab_open_beside(lab, &of_blue);
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, false);
	wire_attach_tc(&w, blue, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &before);
	wire_expect_silence(w.vm, "red's mark at blue");
	cr_expect_eq(lab_drops_of(lab, BLUE, TN_DROP_DIRECT_TO_PRIVATE), 1);
	cr_expect_eq(lab_drops(lab), 1);
	wire_close(&w);
	lab_close(blue);
	lab_close(lab);
}

/* Generic XDP may lose the MAC header on the way to tc, which has to put it back. */
Test(meta, generic_xdp_with_guards_only)
{
	const struct lab_options options = { .programs = ON_IN, .guards_only = true };
	const struct packet private = { UDP(GREEN_SHARED, RED_VM) };
	struct lab *lab = lab_open(&options);
	struct wire w;

	wire_open(&w);
	wire_attach_xdp(&w, lab, true);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &before);
	wire_expect(w.vm, "generic XDP and tc", &after, false);
	wire_send(w.far, &private);
	wire_expect_silence(w.vm, "a private address");
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_DIRECT_TO_PRIVATE), 1);
	wire_close(&w);
	lab_close(lab);
}

#define PRIORITY (5 << 13) /* of a VLAN tag */

/* For the tc program, which has no test runs of these. */
Test(meta, frames_without_test_runs)
{
	const struct packet short_v4 = { UDP(GREEN_SHARED, RED_SHARED, .cut = 26) };
	const struct packet short_v6 = { UDP(GREEN_SHARED_6, RED_SHARED_6, .cut = 36) };
	const struct packet priority = { UDP(GREEN_SHARED, RED_VM, .vlan = PRIORITY) };
	const struct packet tagged = { UDP(GREEN_SHARED, RED_SHARED, .vlan = PRIORITY | 7) };
	const struct packet untagged = { UDP(GREEN_SHARED, RED_SHARED) };
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_TC });
	struct wire w;

	wire_open(&w);
	wire_attach_tc(&w, lab, TC_IN);
	wire_attach_redirect(&w);
	wire_send(w.far, &short_v4);
	wire_expect_silence(w.vm, "half an IPv4 header");
	wire_send(w.far, &short_v6);
	wire_expect_silence(w.vm, "half an IPv6 header");
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_MALFORMED), 2);
	wire_send(w.far, &priority);
	wire_expect_silence(w.vm, "a private address behind a tag without a VLAN");
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_DIRECT_TO_PRIVATE), 1);
	/* the kernel takes the tag off, but remembers it */
	wire_send(w.far, &tagged);
	wire_expect(w.vm, "a frame of a VLAN, as it was", &untagged, false);
	cr_expect_eq(lab_drops(lab), 3);
	wire_close(&w);
	lab_close(lab);
}
