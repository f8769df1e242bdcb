/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "model/model.h"
#include "neutron/names.h"

static void expect_slug(const char *text, bool lower, const char *want)
{
	char *slug = name_slug(text, lower);

	if (want)
		cr_expect(slug && strcmp(slug, want) == 0, "`%s`: %s, not %s", text, slug, want);
	else
		cr_expect_null(slug, "`%s`: %s", text, slug);
	if (slug)
		cr_expect(tenant_name_valid(slug), "%s", slug);
	free(slug);
}

Test(names, slugs)
{
	char longer[128], want[TENANT_NAME_MAX + 1];

	expect_slug("red", true, "red");
	expect_slug("Red Team's router", true, "red-team-s-router");
	expect_slug("--a__b..c--", true, "a-b-c");
	expect_slug("b\xc3\xbcro", true, "b-ro");
	expect_slug("10.0.0.1", true, "10-0-0-1");
	expect_slug("", true, NULL);
	expect_slug("\xc3\xbc/ -", true, NULL);
	expect_slug("Web_1.example.", false, "Web_1.example");
	expect_slug("10.0.0.1", false, "10-0.0.1");
	expect_slug("fe80::1", false, "fe80-1");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	longer[TENANT_NAME_MAX - 1] = '-';
	snprintf(want, sizeof(want), "%.*s", TENANT_NAME_MAX - 1, longer);
	expect_slug(longer, true, want);
}

static void expect_taken(struct name_set *set, const char *slug, const char *id, const char *want)
{
	char *name = name_take(set, slug, id);

	cr_expect_str_eq(name, want);
	cr_expect(tenant_name_valid(name), "%s", name);
	free(name);
}

#define LONG "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

Test(names, each_once)
{
	_cleanup_name_set_ struct name_set set = { 0 };

	expect_taken(&set, "red", "10000012-0012-4000-8000-000000000012", "red");
	expect_taken(&set, "red", "10000013-0012-4000-8000-000000000012", "red-10000013");
	expect_taken(&set, "red", "10000013-0014-4000-8000-000000000012",
		     "red-10000013-0014-4000-8000-000000000012");
	expect_taken(&set, LONG, "10000012-0012-4000-8000-000000000012", LONG);
	expect_taken(&set, LONG, "10000013-0012-4000-8000-000000000012",
		     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab-10000013");
	expect_taken(&set, LONG, "10000013-0014-4000-8000-000000000012",
		     "abcdefghijklmnopqrstuvwxyz-10000013-0014-4000-8000-000000000012");
}
