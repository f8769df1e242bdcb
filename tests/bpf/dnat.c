/* SPDX-License-Identifier: GPL-2.0-only */
/* Inbound: the shared address becomes the VM's private one, and nothing else changes. */
#include "kinds.h"

static void check_kind(struct lab *lab, const struct kind *kind, enum program program)
{
	const struct row v4 = kind_row(kind, GREEN_SHARED, RED_SHARED, GREEN_SHARED, RED_VM);
	const struct row v6 =
		kind_row(kind, GREEN_SHARED_6, RED_SHARED_6, GREEN_SHARED_6, RED_VM_6);

	if (kind->flags & V4)
		lab_check(lab, &v4, program);
	if (kind->flags & V6)
		lab_check(lab, &v6, program);
}

static void check_kinds(enum program program, bool as_prefixes)
{
	struct lab *lab = lab_open(
		&(struct lab_options){ .programs = 1U << program, .as_prefixes = as_prefixes });

	for (size_t i = 0; i < kinds_n; i++) {
		if (kind_is_for(&kinds[i], program))
			check_kind(lab, &kinds[i], program);
	}
	lab_close(lab);
}

Test(dnat, every_kind_on_xdp)
{
	check_kinds(XDP_IN, false);
	check_kinds(XDP_IN, true);
}

Test(dnat, every_kind_on_tc)
{
	check_kinds(TC_IN, false);
	check_kinds(TC_IN, true);
}

/* Who may send, and which mapping it is for. */
/* clang-format off */
static const struct row rows[] = {
	{ "the second mapping", ON_IN,
	  { UDP(GREEN_SHARED, RED_SHARED2) }, AFTER(UDP(GREEN_SHARED, RED_VM2)) },
	{ "the second mapping, IPv6", ON_IN,
	  { UDP(GREEN_SHARED_6, RED_SHARED2_6) }, AFTER(UDP(GREEN_SHARED_6, RED_VM2_6)) },
	{ "from another router of this machine", ON_IN,
	  { UDP(BLUE_SHARED, RED_SHARED) }, AFTER(UDP(BLUE_SHARED, RED_VM)) },
	{ "from another router itself", ON_IN,
	  { UDP(BLUE_OWN, RED_SHARED) }, AFTER(UDP(BLUE_OWN, RED_VM)) },
	{ "from nobody known, but in the subnet", ON_IN,
	  { UDP(STRANGER, RED_SHARED) }, AFTER(UDP(STRANGER, RED_VM)) },
	{ "from nobody known, IPv6", ON_IN,
	  { UDP(STRANGER_6, RED_SHARED_6) }, AFTER(UDP(STRANGER_6, RED_VM_6)) },
};
/* clang-format on */

Test(dnat, senders_on_xdp)
{
	lab_check_table(rows, ARRAY_SIZE(rows), XDP_IN);
}

Test(dnat, senders_on_tc)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_IN);
}

/* Where metadata may get lost, XDP translates nothing, but still drops. */
Test(dnat, guards_only)
{
	const struct lab_options options = { .programs = ON_XDP, .guards_only = true };
	const struct row left = {
		"translation is left to tc", ON_XDP, { UDP(GREEN_SHARED, RED_SHARED) }, PASS
	};
	const struct row dropped = {
		"what tc would drop too", ON_XDP, { UDP(GREEN_SHARED, STRANGER) }, DROP(UNMAPPED)
	};
	struct lab *lab = lab_open(&options);

	lab_check(lab, &left, XDP_IN);
	lab_check(lab, &dropped, XDP_IN);
	lab_close(lab);
}
