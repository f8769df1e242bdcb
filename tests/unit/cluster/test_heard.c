/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "cluster/heard.h"

static void expect(const struct heard *h, const char *const *names)
{
	size_t n = 0;

	for (; names[n]; n++) {
		cr_assert_lt(n, h->tenants.list.n, "%s is missing", names[n]);
		cr_expect_str_eq(h->tenants.list.v[n], names[n]);
	}
	cr_expect_eq(h->tenants.list.n, n);
}

Test(heard, names_of_all_changes_until_it_is_followed)
{
	struct heard h = { 0 };

	heard_change(&h, "0001-a", "{\"tenants\": [\"red\", \"blue\"], \"at\": 1}", 7);
	heard_change(&h, "0002-b", "{\"tenants\": [\"red\", \"pink\"]}", 9);
	cr_expect_eq(h.revision, 9);
	cr_expect_str_eq(h.change, "0002-b");
	cr_expect(!h.all);
	expect(&h, (const char *[]){ "blue", "pink", "red", NULL });
	heard_follow(&h, 8);
	expect(&h, (const char *[]){ "blue", "pink", "red", NULL });
	heard_follow(&h, 9);
	cr_expect_eq(h.revision, 0);
	cr_expect_null(h.change);
	expect(&h, (const char *[]){ NULL });
	heard_free(&h);
}

Test(heard, what_names_no_tenants_may_be_about_anything)
{
	static const char *const lines[] = { "{}", "", "{\"tenants\": \"red\"}",
					     "{\"tenants\": [1]}", "no JSON" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct heard h = { 0 };

		heard_change(&h, "0001-a", lines[i], 7);
		cr_expect(h.all, "%s", lines[i]);
		heard_change(&h, "0002-a", "{\"tenants\": [\"red\"]}", 8);
		cr_expect(h.all, "and stays so: %s", lines[i]);
		cr_expect_eq(h.revision, 8);
		heard_follow(&h, 8);
		cr_expect(!h.all, "until it is followed: %s", lines[i]);
		heard_free(&h);
	}
}

Test(heard, too_many_are_as_good_as_all)
{
	struct heard h = { 0 };

	for (int i = 0; i <= HEARD_MAX; i++) {
		char line[64];

		cr_expect_eq(h.all, false);
		snprintf(line, sizeof(line), "{\"tenants\": [\"t%d\"]}", i);
		heard_change(&h, "0001-a", line, i + 1);
	}
	cr_expect(h.all);
	heard_free(&h);
}
