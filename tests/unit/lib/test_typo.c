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
		{ "db-1", "DB-01", 1 },
		{ "0b5b3c1e-4f0e-4d0c-9d0a-7c1f2e3d4a5c", "0b5b3c1e-4f0e-4d0c-9d0a-7c1f2e3d4a5b",
		  1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t got = typo_edits(rows[i].typed, rows[i].meant);

		cr_expect_eq(got, rows[i].edits, "%s for %s: %zu", rows[i].typed, rows[i].meant,
			     got);
	}
}

Test(typo, nearest)
{
	static const char *const names[] = { "stats", "status", "show", "show history" };
	struct typo near = { .typed = "statu" }, none = { .typed = "frobnicate" };
	char beyond[80];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		typo_try(&near, names[i], strlen(names[i]));
		typo_try(&none, names[i], strlen(names[i]));
	}
	/* both are one edit away: the first stays */
	cr_expect_str_eq(near.meant, "stats");
	cr_expect_str_eq(none.meant, "");
	near = (struct typo){ .typed = "shwo" };
	typo_try(&near, names[3], 4);
	cr_expect_str_eq(near.meant, "show");
	/* no name is that long, and none is cut */
	memset(beyond, 'a', sizeof(beyond));
	near = (struct typo){ .typed = "aaaa" };
	typo_try(&near, beyond, sizeof(beyond));
	cr_expect_str_eq(near.meant, "");
}
