/* SPDX-License-Identifier: GPL-2.0-only */
/* What comes from VMs: no shared address as a source, and the hairpin. */
#include "kinds.h"

#define HAIRPIN .mark = TN_HAIRPIN_MARK

static void check_kind(struct lab *lab, const struct kind *kind, bool v4)
{
	struct row there =
		v4 ? kind_row(kind, RED_VM, RED_SHARED2, RED_SHARED, RED_SHARED2)
		   : kind_row(kind, RED_VM_6, RED_SHARED2_6, RED_SHARED_6, RED_SHARED2_6);
	struct row back = v4 ? kind_row(kind, RED_SHARED, RED_SHARED2, RED_SHARED, RED_VM2)
			     : kind_row(kind, RED_SHARED_6, RED_SHARED2_6, RED_SHARED_6, RED_VM2_6);

	there.after.mark = TN_HAIRPIN_MARK;
	there.outcome = TURNED;
	lab_check(lab, &there, INSIDE_IN);
	/* and how the shared interface takes it in, where XDP never sees it */
	back.before.mark = TN_HAIRPIN_MARK;
	lab_check(lab, &back, TC_IN);
}

/* From one VM of this router to another, by its shared address. */
Test(inside, every_kind_turns_back)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_INSIDE | ON_TC });

	for (size_t i = 0; i < kinds_n; i++) {
		if (!kind_is_for(&kinds[i], INSIDE_IN))
			continue;
		if (kinds[i].flags & V4)
			check_kind(lab, &kinds[i], true);
		if (kinds[i].flags & V6)
			check_kind(lab, &kinds[i], false);
	}
	lab_close(lab);
}

#define ERROR(s, d, qs, qd)                                                                   \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 3, .quote = &(const struct packet) \
	{                                                                                     \
		UDP(qs, qd)                                                                   \
	}

/* clang-format off */
static const struct row rows[] = {
	{ "to itself", ON_INSIDE, { UDP(RED_VM, RED_SHARED) }, TURNED_BACK(UDP(RED_SHARED, RED_SHARED)) },
	{ "the frame becomes the shared interface's", ON_INSIDE,
	  { UDP(RED_VM2, RED_SHARED, .from = MAC_OTHER) },
	  TURNED_BACK(UDP(RED_SHARED2, RED_SHARED, .from = MAC_OTHER)) },
	{ "an error about what turned back", ON_INSIDE,
	  { ERROR(RED_VM2, RED_SHARED, RED_SHARED, RED_VM2) },
	  TURNED_BACK(ERROR(RED_SHARED2, RED_SHARED, RED_SHARED, RED_SHARED2)) },
	{ "an error of a router on the way to a VM, about a hairpin", ON_INSIDE,
	  { ERROR("10.0.0.77", RED_SHARED2, RED_SHARED2, RED_VM) },
	  TURNED_BACK(ERROR(RED_OWN, RED_SHARED2, RED_SHARED2, RED_SHARED)), .uncounted = true },
	{ "an error of a router on the way to a VM, about another", ON_INSIDE,
	  { ERROR("10.0.0.77", RED_SHARED2, RED_SHARED2, "10.0.0.78") }, DROP(UNTRANSLATED) },
	{ "an error of a router on the way, to another than whose packet it is about", ON_INSIDE,
	  { ERROR("10.0.0.77", RED_SHARED2, RED_SHARED, RED_VM) }, DROP(FORGED_ERROR) },
	{ "a forged error", ON_INSIDE, { ERROR(RED_VM2, RED_SHARED, RED_SHARED, RED_VM) },
	  DROP(FORGED_ERROR) },

	{ "as its own shared address", ON_INSIDE, { UDP(RED_SHARED, GREEN_SHARED) },
	  DROP(SPOOFED_SOURCE) },
	{ "as its own shared address, IPv6", ON_INSIDE, { UDP(RED_SHARED_6, GREEN_SHARED_6) },
	  DROP(SPOOFED_SOURCE) },
	{ "as another VM's shared address, turning back", ON_INSIDE,
	  { UDP(RED_SHARED2, RED_SHARED) }, DROP(SPOOFED_SOURCE) },
	{ "as its own shared address, its TCP header cut off", ON_INSIDE,
	  { .src = RED_SHARED, .dst = RED_VM2, .proto = IPPROTO_TCP, .cut = 3, .length_lie = -3 },
	  DROP(SPOOFED_SOURCE) },
	{ "to the shared network, its TCP header cut off", ON_INSIDE,
	  { .src = RED_VM, .dst = GREEN_SHARED, .proto = IPPROTO_TCP, .cut = 3,
	    .length_lie = -3 }, DROP(MALFORMED) },
	{ "as the router", ON_INSIDE, { UDP(RED_OWN, GREEN_SHARED) }, DROP(SPOOFED_SOURCE) },
	{ "a VM without mapping to one of this router", ON_INSIDE,
	  { UDP("10.0.0.77", RED_SHARED) }, DROP(UNTRANSLATED) },
	{ "a VM without mapping, IPv6", ON_INSIDE, { UDP("fd00:10::77", RED_SHARED_6) },
	  DROP(UNTRANSLATED) },

	{ "to another tenant", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED) }, PASS },
	{ "to another router of this machine", ON_INSIDE, { UDP(RED_VM, BLUE_SHARED) }, PASS },
	{ "to the router, which knows it by its shared address", ON_INSIDE, { UDP(RED_VM, RED_OWN) },
	  TURNED_BACK(UDP(RED_SHARED, RED_OWN)) },
	{ "to the router, IPv6", ON_INSIDE, { UDP(RED_VM_6, RED_OWN_6) },
	  TURNED_BACK(UDP(RED_SHARED_6, RED_OWN_6)) },
	{ "to the router, without a mapping", ON_INSIDE, { UDP("10.0.0.77", RED_OWN) }, PASS },
	{ "to the router, of a kind that is not translated", ON_INSIDE,
	  { .src = RED_VM, .dst = RED_OWN, .proto = IPPROTO_AH, .payload = 40 }, PASS },
	{ "to another VM by its private address", ON_INSIDE, { UDP(RED_VM, RED_VM2) }, PASS },
	{ "to the Internet", ON_INSIDE, { UDP(RED_VM, "8.8.8.8") }, PASS },
	{ "to the Internet, IPv6", ON_INSIDE, { UDP(RED_VM_6, "2001:db8::1") }, PASS },
	{ "to a group", ON_INSIDE, { UDP(RED_VM, RED_SHARED2, .to = "01:00:5e:01:02:03") }, PASS },
	{ "to another host", ON_INSIDE, { UDP(RED_VM, RED_SHARED2, .to = MAC_OTHER) }, PASS },
	{ "malformed: the kernel's to drop", ON_INSIDE, { UDP(RED_VM, RED_SHARED2, .ihl = 4) },
	  PASS },
	{ "another protocol than IP", ON_INSIDE, { .ethertype = 0x88b5, .payload = 46 }, PASS },
	{ "a solicitation among link-local addresses", ON_INSIDE,
	  { .src = "fe80::7", .dst = "fe80::1", .proto = IPPROTO_ICMPV6, .type = 135 }, PASS },

	/* at the shared interface, what the mark lets in, and what it does not */
	{ "turned back to itself", ON_TC, { UDP(RED_SHARED, RED_SHARED), HAIRPIN },
	  AFTER(UDP(RED_SHARED, RED_VM)) },
	{ "turned back, but nobody's", ON_TC, { UDP(RED_SHARED, STRANGER), HAIRPIN },
	  DROP(UNMAPPED) },
	{ "turned back from a private address", ON_TC, { UDP(RED_VM, RED_SHARED2), HAIRPIN },
	  DROP(FOREIGN_SOURCE) },
	{ "another mark", ON_TC, { UDP(RED_SHARED, RED_SHARED2), .mark = 7 },
	  DROP(SPOOFED_SOURCE) },
	{ "another mark is kept", ON_TC, { UDP(GREEN_SHARED, RED_SHARED), .mark = 7 },
	  AFTER(UDP(GREEN_SHARED, RED_VM), .mark = 7) },
};
/* clang-format on */

Test(inside, rules)
{
	lab_check_table(rows, ARRAY_SIZE(rows), INSIDE_IN);
}

Test(inside, rules_of_the_shared_interface)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_IN);
}
