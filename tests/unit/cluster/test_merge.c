/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "cluster/merge.h"

#define NET "net 100.64.0.0/16;"

/* The addresses then, or the collisions, a line each. */
static void expect_merged(const char *cluster, const char *here, const char *want)
{
	_cleanup_model_ struct model into = model_of(cluster), from = model_of(here);
	_cleanup_collisions_ struct collisions c = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f;

	model_sort(&into);
	model_sort(&from);
	merge_in(&into, &from, "hv1", &c);
	if (!c.list.n) {
		expect_text(leases_text(&into), want, here);
		return;
	}
	f = open_memstream(&text, &size);
	vec_each (collision, &c.list)
		fprintf(f, "%s\n", *collision);
	fclose(f);
	expect_text(text, want, here);
}

Test(merge, what_goes_together)
{
	expect_merged("", NET "tenant red; router lease=100.64.1.1; map 10.0.0.5 lease=100.64.1.5;",
		      "red router 100.64.1.1\nred 10.0.0.5 100.64.1.5\n");
	expect_merged(NET "tenant blue; map 10.0.0.5 lease=100.64.2.5;",
		      NET "tenant red; router; map 10.0.0.5 lease=100.64.1.5;",
		      "blue 10.0.0.5 100.64.2.5\nred 10.0.0.5 100.64.1.5\n");
	/* known from afar, with fewer mappings */
	expect_merged(NET "tenant red pool=100.64.1.0/24; map 10.0.0.5 lease=100.64.1.5;",
		      NET "tenant red pool=100.64.1.0/24; router pin=100.64.1.1; map 10.0.0.5 "
			  "lease=100.64.1.5; map 10.0.0.6 db lease=100.64.1.6;",
		      "red router 100.64.1.1\nred 10.0.0.5 100.64.1.5\nred 10.0.0.6 100.64.1.6\n");
	expect_merged(NET "tenant red; router pin=100.64.1.1; map 10.0.0.6 db lease=100.64.1.6;",
		      NET "tenant red;", "red router 100.64.1.1\nred 10.0.0.6 100.64.1.6\n");
}

Test(merge, what_does_not)
{
	expect_merged(NET, "net 100.65.0.0/16;",
		      "the shared subnets here are not those of the cluster\n");
	expect_merged(NET "tenant red; map 10.0.0.5 lease=100.64.1.5; map 10.0.0.7 db "
			  "lease=100.64.1.7;",
		      NET "tenant red; map 10.0.0.5 lease=100.64.1.6; map 10.0.0.8 db "
			  "lease=100.64.1.8;",
		      "tenant red: 10.0.0.5 has 100.64.1.6 here, and 100.64.1.5 in the cluster\n"
		      "tenant red: db is 10.0.0.8 here, and 10.0.0.7 in the cluster\n");
	expect_merged(NET "tenant blue; map 10.0.0.5 lease=100.64.1.5; router pin=100.64.1.9;",
		      NET "tenant red; router lease=100.64.1.5; map 10.0.0.7 lease=100.64.1.9;",
		      "100.64.1.5 is the address of 10.0.0.5 of tenant blue, and of the router of "
		      "tenant red\n"
		      "100.64.1.9 is the address of the router of tenant blue, and of 10.0.0.7 of "
		      "tenant red\n");
	expect_merged(NET "zone a;", NET "zone b;",
		      "the zone of names here, b, is not that of the cluster, a\n");
	expect_merged(NET, NET "zone b;",
		      "the zone of names here, b, is not that of the cluster, which has none\n");
	expect_merged(NET "zone a; tenant a; map 10.0.0.5 b-c lease=100.64.1.5;",
		      NET "tenant a-b; map 10.0.0.5 c lease=100.64.1.6;",
		      "a/b-c and a-b/c would have the same name in the zone a\n");
	expect_merged(NET "tenant red pool=100.64.1.0/24;", NET "tenant red;",
		      "tenant red has another pool in the cluster\n");
	expect_merged(NET "tenant red; router netns=a;", NET "tenant red; router netns=b;",
		      "the router of tenant red is another one in the cluster\n");
}

/* Who may reach a tenant is said where its router is. */
Test(merge, routers_and_their_rules)
{
	static const char with[] = NET "tenant red; router netns=r; accept from=blue;";
	static const char without[] = NET "tenant red; accept from=*;";

	for (int i = 0; i < 2; i++) {
		_cleanup_model_ struct model into = model_of(i ? with : without);
		_cleanup_model_ struct model from = model_of(i ? without : with);
		_cleanup_collisions_ struct collisions c = { 0 };
		const struct tenant *red;

		merge_in(&into, &from, "hv1", &c);
		cr_assert_eq(c.list.n, 0);
		red = &into.tenants.v[0];
		cr_expect_eq(red->accept.n, 1);
		cr_expect_not(red->accept.v[0].any);
		cr_expect_str_eq(red->router->netns, "r");
		cr_expect_eq(red->router->hosts.n, i ? 0 : 1);
		if (!i)
			cr_expect_str_eq(red->router->hosts.v[0], "hv1");
	}
}
