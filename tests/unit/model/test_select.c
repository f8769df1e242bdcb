/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "model/select.h"

#define NET "net 100.64.0.0/16;"

static int take(struct model *into, const char *file, const char *name, struct error *err)
{
	_cleanup_model_ struct model from = model_of(file);

	return model_take(into, &from, &name, 1, err);
}

static size_t mappings_of(struct model *m, const char *name)
{
	const struct tenant *t = model_tenant(m, name);

	return t ? t->mappings.n : SIZE_MAX;
}

Test(select, one_tenant_comes_changes_and_goes)
{
	_cleanup_model_ struct model m =
		model_of(NET "tenant blue id=1; map 10.0.0.5 lease=100.64.1.5;"
			     "tenant red id=2; map 10.0.0.5 lease=100.64.2.5;");
	static const char file[] = NET "tenant green; map 10.0.0.7; tenant red; map 10.0.0.5;"
				       "map 10.0.0.6; tenant pink;";
	struct error err = { 0 };

	cr_assert_eq(take(&m, file, "red", &err), 0, "%s", err.text);
	cr_assert_eq(take(&m, file, "green", &err), 0, "%s", err.text);
	cr_assert_eq(take(&m, file, "blue", &err), 0, "%s", err.text);
	cr_expect_eq(m.tenants.n, 2);
	cr_expect_eq(mappings_of(&m, "red"), 2);
	cr_expect_eq(mappings_of(&m, "green"), 1);
}

Test(select, where_nothing_is_in_force)
{
	_cleanup_model_ struct model m = { 0 };
	struct error err = { 0 };

	cr_assert_eq(take(&m, NET "zone a; tenant red; tenant blue;", "red", &err), 0, "%s",
		     err.text);
	cr_expect_str_eq(m.zone, "a");
	cr_expect_eq(m.subnets.n, 1);
	cr_expect_eq(m.tenants.n, 1);
}

static void refused(const char *force, const char *file, const char *name, const char *said)
{
	_cleanup_model_ struct model m = model_of(force);
	struct error err = { 0 };

	cr_assert_eq(take(&m, file, name, &err), -1, "%s", said);
	cr_expect(err.usage);
	cr_expect(strstr(err.text, said), "%s", err.text);
}

Test(select, what_does_not_go_together)
{
	refused(NET "tenant red;", NET "tenant blue;", "green", "no tenant green");
	refused(NET "tenant red;", "net 100.65.0.0/16; tenant blue;", "blue", "shared subnets");
	refused(NET "tenant red;", NET "tenant blue; accept from=green; tenant green;", "blue",
		"accepts tenant green");
	refused(NET "tenant red; accept from=blue; tenant blue;", NET "tenant red;", "blue",
		"accepts tenant blue");
	refused(NET "tenant red;", NET "tenant blue; accept from=red/web;", "blue",
		"accepts red/web, which is not in force");
	refused(NET "zone a; tenant red;", NET "zone b; tenant blue;", "blue", "another zone");
	refused(NET "zone a; tenant red;", NET "tenant blue;", "blue", "another zone");
	refused(NET "zone a; tenant a; map 10.0.0.5 b-c;",
		NET "zone a; tenant a-b; map 10.0.0.5 C;", "a-b",
		"a/b-c and a-b/C would have the same name in the zone a");
	refused(NET "tenant red; router netns=r shared=eth0;",
		NET "tenant blue; router netns=r shared=eth0;", "blue", "same interface");
}

static size_t lost(const char *had, const char *will)
{
	_cleanup_model_ struct model h = model_of(had), w = model_of(will);

	model_sort(&h);
	model_sort(&w);
	return model_lost(&h, &w);
}

Test(select, mappings_that_are_lost)
{
	static const char had[] = NET "tenant red; map 10.0.0.5 lease=100.64.2.5;"
				      "map 10.0.0.6 pin=100.64.2.6;";

	cr_expect_eq(lost(had, had), 0);
	cr_expect_eq(lost(had, NET), 2);
	cr_expect_eq(lost("", had), 0);
	/* another address, or another name of the tenant, is a change */
	cr_expect_eq(lost(had, NET "tenant red; map 10.0.0.5 pin=100.64.2.9; map 10.0.0.6;"), 0);
	cr_expect_eq(lost(had, NET "tenant pink; map 10.0.0.5; map 10.0.0.6 pin=100.64.2.6;"), 1);
	cr_expect_eq(lost(had, NET "tenant red; map 10.0.0.7;"), 2);
}
