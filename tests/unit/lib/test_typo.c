/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <stdint.h>

#include "lib/typo.h"
#include "lib/util.h"

Test(typo, edits)
{
	static const struct {
		const char *typed, *meant;
		size_t edits;
	} rows[] = {
		{ "apply", "apply", 0 },
		{ "APPLY", "apply", 0 },
		{ "aply", "apply", 1 },	  /* one less */
		{ "applyy", "apply", 1 }, /* one more */
		{ "appky", "apply", 1 },  /* another */
		{ "appyl", "apply", 1 },  /* swapped */
		{ "apl", "apply", 2 },
		{ "ap", "apply", SIZE_MAX },
		/* a short word has one, or it would be near to all others */
		{ "mpa", "map", 1 },
		{ "mp", "map", 1 },
		{ "m", "map", SIZE_MAX },
		{ "shwo", "show", 1 },
		{ "sow", "show", 1 },
		{ "so", "show", SIZE_MAX },
		{ "", "map", SIZE_MAX },
		{ "a-word-that-is-longer-than-any", "apply", SIZE_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t got = typo_edits(rows[i].typed, rows[i].meant);

		cr_expect_eq(got, rows[i].edits, "%s for %s: %zu", rows[i].typed, rows[i].meant,
			     got);
	}
}
