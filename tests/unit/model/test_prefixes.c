/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/prefixes.h"

#include "../fixture.h"

static const char lans[] =
	"net 100.64.0.0/16 fd64::/48; tenant red; map 10.0.0.0/24 lease=100.64.1.0/24 "
	"except=10.0.0.1 except=10.0.0.128; map fd00:0:0:5::/64 lease=fd64:0:0:9::/64;";

static const struct mapping *mapping_at(const struct model *m, size_t i)
{
	return &m->tenants.v[0].mappings.v[i];
}

/* Of the mapping the fixed address, and the shared one; "-": it has none. */
static void pairs(const struct mapping *m, const char *fixed, const char *shared)
{
	struct tn_addr a = addr_of(fixed), b = addr_of(shared), there = mapping_shared_of(m, &a),
		       back = mapping_fixed_of(m, &b);

	cr_expect(mapping_has_fixed(m, &a), "%s", fixed);
	cr_expect(mapping_has_shared(m, &b), "%s", shared);
	cr_expect_eq(addr_cmp(&there, &b), 0, "%s is %s", fixed, ADDR(&there));
	cr_expect_eq(addr_cmp(&back, &a), 0, "%s is %s", shared, ADDR(&back));
}

static void lacks(const struct mapping *m, const char *fixed, const char *shared)
{
	struct tn_addr a = addr_of(fixed), b = addr_of(shared);

	cr_expect_not(mapping_has_fixed(m, &a), "%s", fixed);
	cr_expect_not(mapping_has_shared(m, &b), "%s", shared);
}

Test(prefixes, either_address_follows_from_the_other)
{
	_cleanup_model_ struct model m = model_of(lans);

	pairs(mapping_at(&m, 0), "10.0.0.0", "100.64.1.0");
	pairs(mapping_at(&m, 0), "10.0.0.7", "100.64.1.7");
	pairs(mapping_at(&m, 0), "10.0.0.255", "100.64.1.255");
	lacks(mapping_at(&m, 0), "10.0.0.1", "100.64.1.1");
	lacks(mapping_at(&m, 0), "10.0.1.0", "100.64.2.0");
	lacks(mapping_at(&m, 0), "9.255.255.255", "100.64.0.255");
	pairs(mapping_at(&m, 1), "fd00:0:0:5::", "fd64:0:0:9::");
	pairs(mapping_at(&m, 1), "fd00:0:0:5:ffff:ffff:ffff:ffff",
	      "fd64:0:0:9:ffff:ffff:ffff:ffff");
	lacks(mapping_at(&m, 1), "fd00:0:0:6::", "fd64:0:0:8:ffff:ffff:ffff:ffff");
}

Test(prefixes, as_text)
{
	_cleanup_model_ struct model m =
		model_of("tenant red; map 10.0.0.0/24 lease=100.64.1.0/24; map "
			 "10.0.1.5 lease=100.64.2.5; map fd00::/64;");

	cr_expect_str_eq(FIXED(mapping_at(&m, 0)), "10.0.0.0/24");
	cr_expect_str_eq(SHARED(mapping_at(&m, 0)), "100.64.1.0/24");
	cr_expect_str_eq(FIXED(mapping_at(&m, 1)), "10.0.1.5");
	cr_expect_str_eq(SHARED(mapping_at(&m, 1)), "100.64.2.5");
	cr_expect_str_eq(FIXED(mapping_at(&m, 2)), "fd00::/64");
}

/* Neither the first one nor an exception. */
Test(prefixes, any_of_its_addresses)
{
	_cleanup_model_ struct model m = model_of(lans);
	struct tn_addr a = mapping_any_fixed(mapping_at(&m, 0)),
		       six = mapping_any_fixed(mapping_at(&m, 1));

	cr_expect_str_eq(ADDR(&a), "10.0.0.129");
	cr_expect_str_eq(ADDR(&six), "fd00:0:0:5:8000::");
}

Test(prefixes, found_by_address)
{
	_cleanup_model_ struct model m =
		model_of("net 100.64.0.0/16; tenant red; map 10.0.0.0/24 lease=100.64.1.0/24 "
			 "except=10.0.0.1;"
			 "map 10.2.0.0/17 lease=100.64.128.0/17; tenant blue; map 10.0.0.0/25 "
			 "lease=100.64.2.0/25; map 10.9.0.0/24;");
	_cleanup_prefix_index_ struct prefix_index index;
	const struct {
		const char *shared, *tenant;
	} cases[] = { { "100.64.1.7", "red" },	   { "100.64.1.1", NULL },
		      { "100.64.2.127", "blue" },  { "100.64.2.128", NULL },
		      { "100.64.255.255", "red" }, { "100.64.0.255", NULL },
		      { "100.64.127.9", NULL } };
	struct tn_addr a = addr_of("10.0.0.200");

	prefix_index_make(&m, &index);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tn_addr shared = addr_of(cases[i].shared);
		const struct prefix_of *p = prefix_of_shared(&index, &shared);

		cr_expect_eq(!p, !cases[i].tenant, "%s", cases[i].shared);
		if (p && cases[i].tenant)
			cr_expect_str_eq(p->tenant->name, cases[i].tenant);
	}
	cr_expect(prefix_of_fixed(&index, &m.tenants.v[0], &a));
	cr_expect_not(prefix_of_fixed(&index, &m.tenants.v[1], &a));
}
