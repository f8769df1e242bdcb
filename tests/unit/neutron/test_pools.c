/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "neutron/pools.h"

static void expect_left(const char *prefix, const char *first, const char *last, const char *want)
{
	struct prefix_list list = { 0 };
	struct addr_range away = { addr_of(first), addr_of(last) };
	char text[1024] = "";

	*vec_push(&list.list) = prefix_of(prefix);
	pools_cut(&list, &away);
	vec_each (p, &list.list)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", PREFIX(p));
	cr_expect_str_eq(text, want);
	vec_free(&list.list);
}

Test(pools, what_is_left)
{
	expect_left("10.0.0.0/24", "10.0.1.0", "10.0.1.9", " 10.0.0.0/24");
	expect_left("10.0.0.0/24", "9.0.0.0", "9.255.255.255", " 10.0.0.0/24");
	expect_left("10.0.0.0/24", "10.0.0.0", "10.0.0.255", "");
	expect_left("10.0.0.0/24", "9.0.0.0", "11.0.0.0", "");
	expect_left("10.0.0.0/24", "10.0.0.128", "10.0.0.255", " 10.0.0.0/25");
	expect_left("10.0.0.0/29", "10.0.0.3", "10.0.0.3", " 10.0.0.0/31 10.0.0.2/32 10.0.0.4/30");
	expect_left("fd00::/64", "fd00::8000:0:0:0", "fd00::ffff:ffff:ffff:ffff", " fd00::/65");
	/* IPv4 is held as a part of IPv6, and is none */
	expect_left("10.0.0.0/24", "fd00::1", "fd00::2", " 10.0.0.0/24");
}

Test(pools, room)
{
	struct neutron_subnet subnet = { .cidr = prefix_of("10.0.0.0/16") };
	const struct neutron_subnet *shared = &subnet;
	struct prefix p;

	p = prefix_of("10.0.1.0/24");
	cr_expect_eq(pool_room(&p, &shared, 1), 256);
	p = prefix_of("10.0.0.0/24");
	cr_expect_eq(pool_room(&p, &shared, 1), 255);
	p = prefix_of("10.0.0.0/16");
	cr_expect_eq(pool_room(&p, &shared, 1), 65534);
	p = prefix_of("10.0.255.255/32");
	cr_expect_eq(pool_room(&p, &shared, 1), 0);
	subnet.cidr = prefix_of("fd00::/64");
	p = prefix_of("fd00::/64");
	cr_expect_eq(pool_room(&p, &shared, 1), UINT32_MAX);
	p = prefix_of("fd00::/112");
	cr_expect_eq(pool_room(&p, &shared, 1), 65535);
}
