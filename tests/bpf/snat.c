/* SPDX-License-Identifier: GPL-2.0-only */
/* Outbound: the VM's private address becomes its shared one, and nothing else changes. */
#include "kinds.h"

static void check_kinds(bool as_prefixes)
{
	struct lab *lab =
		lab_open(&(struct lab_options){ .programs = ON_OUT, .as_prefixes = as_prefixes });

	for (size_t i = 0; i < kinds_n; i++) {
		const struct row v4 =
			kind_row(&kinds[i], RED_VM, GREEN_SHARED, RED_SHARED, GREEN_SHARED);
		const struct row v6 =
			kind_row(&kinds[i], RED_VM_6, GREEN_SHARED_6, RED_SHARED_6, GREEN_SHARED_6);

		if (!kind_is_for(&kinds[i], TC_OUT))
			continue;
		if (kinds[i].flags & V4)
			lab_check(lab, &v4, TC_OUT);
		if (kinds[i].flags & V6)
			lab_check(lab, &v6, TC_OUT);
	}
	lab_close(lab);
}

Test(snat, every_kind)
{
	check_kinds(false);
	check_kinds(true);
}

#define OUT   .from = MAC_ROUTER, .to = MAC_PEER
#define GROUP .from = MAC_ROUTER, .to = "01:00:5e:01:02:03"

/* clang-format off */
static const struct row rows[] = {
	{ "the second mapping", ON_OUT,
	  { UDP(RED_VM2, GREEN_SHARED, OUT) }, AFTER(UDP(RED_SHARED2, GREEN_SHARED, OUT)) },
	{ "the second mapping, IPv6", ON_OUT,
	  { UDP(RED_VM2_6, GREEN_SHARED_6, OUT) }, AFTER(UDP(RED_SHARED2_6, GREEN_SHARED_6, OUT)) },
	{ "to another router of this machine", ON_OUT,
	  { UDP(RED_VM, BLUE_SHARED, OUT) }, AFTER(UDP(RED_SHARED, BLUE_SHARED, OUT)) },
	{ "to another VM of the router: netfilter has answered for it", ON_OUT,
	  { UDP(RED_VM2, RED_SHARED, OUT) }, TURNED_BACK(UDP(RED_SHARED2, RED_SHARED, .from = MAC_ROUTER)) },
	{ "the same, IPv6", ON_OUT,
	  { UDP(RED_VM2_6, RED_SHARED_6, OUT) },
	  TURNED_BACK(UDP(RED_SHARED2_6, RED_SHARED_6, .from = MAC_ROUTER)) },
	{ "to a multicast group", ON_OUT,
	  { UDP(RED_VM, "239.1.2.3", GROUP) }, AFTER(UDP(RED_SHARED, "239.1.2.3", GROUP)) },
};
/* clang-format on */

Test(snat, mappings)
{
	lab_check_table(rows, ARRAY_SIZE(rows), TC_OUT);
}
