/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "model/rows.h"

Test(kernel_state, keys_are_there_once)
{
	struct row_keys keys = { 0 };

	for (int i = 0; i < 6; i++) {
		*vec_push(&keys.shared) = addr_of(i % 2 ? "100.64.1.1" : "100.64.1.2");
		*vec_push(&keys.fixed) = (struct tn_fixed_key){ i % 3, addr_of("10.0.0.1") };
	}
	row_keys_sort(&keys);
	cr_expect_eq(keys.shared.n, 2);
	cr_expect_eq(keys.fixed.n, 3);
	row_keys_free(&keys);
}
