/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>

#include "../fixture.h"

#define RED "net 100.64.0.0/16; tenant red pool=100.64.1.0/24;"

/* What `want` becomes when `have` is in force and routers have the addresses `reserved`. */
static struct model assigned(const char *want, const char *have, const char *reserved,
			     struct error *err)
{
	_cleanup_model_ struct model old = model_of(have);
	struct addr_list addrs = addrs_of(reserved);
	struct model m = model_of(want);

	model_sort(&old);
	cr_expect_eq(ipam_assign(&m, &old, &addrs, err), err->set ? -1 : 0);
	vec_free(&addrs.list);
	return m;
}

static void gives(const char *want, const char *have, const char *reserved, const char *leases)
{
	struct error err = { 0 };
	_cleanup_model_ struct model m = assigned(want, have, reserved, &err);

	cr_assert_not(err.set, "%s: %s", want, err.text);
	expect_text(leases_text(&m), leases, want);
}

static void gives_ids(const char *want, const char *have, const char *ids)
{
	struct error err = { 0 };
	_cleanup_model_ struct model m = assigned(want, have, "", &err);

	cr_assert_not(err.set, "%s: %s", want, err.text);
	expect_text(ids_text(&m), ids, want);
}

static void refuses(const char *want, const char *have, const char *reserved, bool usage,
		    const char *text)
{
	struct error err = { 0 };
	_cleanup_model_ struct model m = assigned(want, have, reserved, &err);

	cr_expect_str_eq(err.text, text);
	cr_expect_eq(err.usage, usage, "%s", err.text);
}

#define EXHAUSTED(fixed)                                                                   \
	"tenant red: no free address is left for " fixed "; enlarge the tenant's pool or " \
	"remove mappings"

/* ------------------------------------------------------------ where a new mapping goes */

Test(ipam, host_bits_of_the_fixed_address)
{
	gives(RED "map 10.0.0.5; map 192.168.7.200;", "", "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 192.168.7.200 100.64.1.200\n");
	/* as many bits as the pool leaves */
	gives("net 100.64.0.0/17; tenant red pool=100.64.1.32/28; map 10.0.0.5; map 10.0.0.250;",
	      "", "",
	      "red 10.0.0.5 100.64.1.37\n"
	      "red 10.0.0.250 100.64.1.42\n");
	gives("net 100.64.0.0/17; tenant red; map 10.1.2.3;", "", "", "red 10.1.2.3 100.64.2.3\n");
	gives("net fd64::/116; tenant red; map fd00:10::5; map fd00:10::1:2:3:14;", "", "",
	      "red fd00:10::5 fd64::5\n"
	      "red fd00:10::1:2:3:14 fd64::14\n");
}

/* 0x0a00 + 0x0005 and 0x6440 + 0xa5c4 are 0x0a05 in ones' complement, and so on. */
Test(ipam, the_sum_of_the_fixed_address_first)
{
	gives("net 100.64.0.0/16; tenant red; map 10.0.0.5; map 10.0.0.6;", "", "",
	      "red 10.0.0.5 100.64.165.196\n"
	      "red 10.0.0.6 100.64.165.197\n");
	/* among those of a large pool, from the fixed address' own host bits on */
	gives("net 100.64.0.0/10; tenant red; map 10.1.2.3;", "", "",
	      "red 10.1.2.3 100.65.167.194\n");
	gives("net 100.64.0.0/10; tenant red; map 10.0.0.5; map 10.1.0.4; map 10.64.0.5;", "", "",
	      "red 10.0.0.5 100.64.165.196\n"
	      "red 10.1.0.4 100.65.165.195\n"
	      "red 10.64.0.5 100.64.166.4\n");
	/* the next of them when that is taken, around the end of the pool */
	gives("net 100.64.0.0/15; tenant red; map 10.1.0.5; map 10.65.0.5; map 11.1.0.4;", "",
	      "100.65.165.196",
	      "red 10.1.0.5 100.64.165.197\n"
	      "red 10.65.0.5 100.65.166.4\n"
	      "red 11.1.0.4 100.65.166.195\n");
	gives("net fd64::/64; tenant red; map fd00:10::5; map fd00:10::1:2:3:4;", "", "",
	      "red fd00:10::5 fd64::ffb0\n"
	      "red fd00:10::1:2:3:4 fd64::1:2:3:ffaf\n");
	gives("net fd64::/64; tenant red pool=fd64::1:0/112; map fd00:10::7:5;", "", "",
	      "red fd00:10::7:5 fd64::1:ffb6\n");
	/* in a small pool by chance */
	gives("net 100.64.0.0/16; tenant red pool=100.64.165.192/28; map 10.0.0.5; map 10.0.0.77;",
	      "", "",
	      "red 10.0.0.5 100.64.165.196\n"
	      "red 10.0.0.77 100.64.165.205\n");
}

Test(ipam, never_another_address_for_its_sum)
{
	/* leased, pinned, a router's, in another's pool, the end of the subnet */
	gives("net 100.64.0.0/16; tenant red; map 10.0.0.5;",
	      "net 100.64.0.0/16; tenant red; map 10.0.0.5 lease=100.64.0.5;", "",
	      "red 10.0.0.5 100.64.0.5\n");
	gives("net 100.64.0.0/16; tenant red; map 10.0.0.5; map 10.0.0.7 pin=100.64.165.196;", "",
	      "", "red 10.0.0.5 100.64.0.5\nred 10.0.0.7 100.64.165.196\n");
	gives("net 100.64.0.0/16; tenant red; map 10.0.0.5;", "", "100.64.165.196",
	      "red 10.0.0.5 100.64.0.5\n");
	gives("net 100.64.0.0/16; tenant red; map 10.0.0.5; tenant blue pool=100.64.165.0/24;", "",
	      "", "red 10.0.0.5 100.64.0.5\n");
	gives("net 100.64.0.0/16; tenant red; map 10.0.90.64;", "", "",
	      "red 10.0.90.64 100.64.90.64\n");
}

/* What the file pins for one, nobody gets; nor what it had as a lease while it was here. */
Test(ipam, addresses_of_routers_elsewhere)
{
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.0/29; map 10.0.0.5; map 10.0.0.6;"
	      "tenant blue; router elsewhere host=hv9 pin=100.64.1.5;",
	      "", "",
	      "blue router 100.64.1.5\n"
	      "red 10.0.0.5 100.64.1.6\n"
	      "red 10.0.0.6 100.64.1.7\n");
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.0/29; map 10.0.0.5;"
	      "tenant blue; router elsewhere host=hv9 lease=100.64.1.5;",
	      "", "", "blue router 100.64.1.5\nred 10.0.0.5 100.64.1.6\n");
	refuses("net 100.64.0.0/16; tenant red; map 10.0.0.5 pin=100.64.1.5;"
		"tenant blue; router elsewhere host=hv9 pin=100.64.1.5;",
		"", "", true,
		"tenant red: 100.64.1.5 is the address of a router; give 10.0.0.5 another shared "
		"address");
}

/* The numbers of programs are for routers that are here. */
Test(ipam, ids_of_routers_elsewhere)
{
	gives_ids("tenant a; router elsewhere host=x; tenant b; router; tenant c; router elsewhere "
		  "host=x;",
		  "", "a 1/4096\nb 2/1\nc 3/4097\n");
	/* they keep them, but not from one side to the other */
	gives_ids("tenant a; router elsewhere host=x; tenant b; router; tenant c; router;",
		  "tenant a id=1; router id=1; tenant b id=2; router elsewhere id=4096; tenant c "
		  "id=3; router id=2;",
		  "a 1/4097\nb 2/3\nc 3/2\n");
	/* where this host has another name now, as it was read */
	gives_ids("tenant a; router id=4096; tenant b; router elsewhere host=x id=1;",
		  "tenant a id=1; router id=4096; tenant b id=2; router elsewhere host=x id=1;",
		  "a 1/2\nb 2/4097\n");
}

/* A VM that is known by its MAC address leaves nothing to the next one with its fixed address. */
Test(ipam, another_vm)
{
#define FIRST  "mac=fa:16:3e:00:00:01"
#define SECOND "mac=fa:16:3e:00:00:02"
	gives(RED "map 10.0.0.5 " FIRST ";", "", "", "red 10.0.0.5 100.64.1.153\n");
	gives(RED "map 10.0.0.5 " SECOND ";", "", "", "red 10.0.0.5 100.64.1.83\n");
	gives(RED "map 10.0.0.5 " SECOND ";", RED "map 10.0.0.5 lease=100.64.1.153 " FIRST ";", "",
	      "red 10.0.0.5 100.64.1.83\n");
	/* the same one, and where it is not said */
	gives(RED "map 10.0.0.5 " FIRST ";", RED "map 10.0.0.5 lease=100.64.1.7 " FIRST ";", "",
	      "red 10.0.0.5 100.64.1.7\n");
	gives(RED "map 10.0.0.5 " FIRST ";", RED "map 10.0.0.5 lease=100.64.1.7;", "",
	      "red 10.0.0.5 100.64.1.7\n");
	gives(RED "map 10.0.0.5;", RED "map 10.0.0.5 lease=100.64.1.7 " FIRST ";", "",
	      "red 10.0.0.5 100.64.1.7\n");
	/* what is pinned is pinned */
	gives(RED "map 10.0.0.5 pin=100.64.1.7 " SECOND ";",
	      RED "map 10.0.0.5 pin=100.64.1.7 " FIRST ";", "", "red 10.0.0.5 100.64.1.7\n");
	gives("net fd64::/112; tenant red; map fd00::5 " FIRST ";", "", "",
	      "red fd00::5 fd64::af99\n");
#undef FIRST
#undef SECOND
}

Test(ipam, next_free_one_above)
{
	gives(RED "map 10.0.0.5; map 10.0.0.6; map 10.0.1.5; map 10.0.2.5;", "", "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.6 100.64.1.6\n"
	      "red 10.0.1.5 100.64.1.7\n"
	      "red 10.0.2.5 100.64.1.8\n");
	/* a gap on the way */
	gives(RED "map 10.0.0.5; map 10.0.0.7; map 10.0.1.5; map 10.0.2.5;", "", "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.7 100.64.1.7\n"
	      "red 10.0.1.5 100.64.1.6\n"
	      "red 10.0.2.5 100.64.1.8\n");
	/* whoever has it */
	gives("net 100.64.0.0/17; tenant red; map 10.0.0.5; tenant blue; map 10.0.0.5;", "", "",
	      "blue 10.0.0.5 100.64.0.5\n"
	      "red 10.0.0.5 100.64.0.6\n");
}

Test(ipam, around_the_end_of_the_pool)
{
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.8/30;"
	      "map 10.0.0.10; map 10.0.1.10; map 10.0.2.10; map 10.0.3.10;",
	      "", "",
	      "red 10.0.0.10 100.64.1.10\n"
	      "red 10.0.1.10 100.64.1.11\n"
	      "red 10.0.2.10 100.64.1.8\n"
	      "red 10.0.3.10 100.64.1.9\n");
	gives("net fd64::/64; tenant red pool=fd64::8/127; map fd00::1; map fd00:1::1;", "", "",
	      "red fd00::1 fd64::9\n"
	      "red fd00:1::1 fd64::8\n");
	/* the last address of everything: no way past it */
	gives("net 255.255.255.0/24; tenant red pool=255.255.255.252/30; map 10.0.0.7;"
	      "map 10.0.1.7;",
	      "", "", "red 10.0.0.7 255.255.255.252\nred 10.0.1.7 255.255.255.253\n");
}

/* not on from the first address of all */
Test(ipam, behind_the_last_address_of_all_there_is_nothing)
{
	refuses("net ffff:ffff:ffff:ffff::/64;"
		"tenant red pool=ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127;map fd00::5;",
		"",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		false, EXHAUSTED("fd00::5"));
}

Test(ipam, several_pools_in_their_order)
{
	/* the first while it has room, and in the next one the host bits again */
	gives("net 100.64.0.0/17; tenant red pool=100.64.9.0/31 pool=100.64.1.0/24;"
	      "map 10.0.0.5; map 10.0.0.6; map 10.0.0.7; map 10.0.0.8;",
	      "", "",
	      "red 10.0.0.5 100.64.9.1\n"
	      "red 10.0.0.6 100.64.9.0\n"
	      "red 10.0.0.7 100.64.1.7\n"
	      "red 10.0.0.8 100.64.1.8\n");
	/* each family its own */
	gives("net fd64::/64 100.64.0.0/17; tenant red pool=fd64::100/120 pool=100.64.1.0/24;"
	      "map 10.0.0.5; map fd00::5;",
	      "", "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red fd00::5 fd64::105\n");
	/* subnets are the pools of who has none */
	gives("net 100.64.0.0/31 100.65.0.0/17; tenant red; map 10.0.0.4; map 10.0.0.5;"
	      "map 10.0.0.6;",
	      "", "",
	      "red 10.0.0.4 100.64.0.0\n"
	      "red 10.0.0.5 100.64.0.1\n"
	      "red 10.0.0.6 100.65.0.6\n");
}

Test(ipam, pool_of_one)
{
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.9; map 10.0.0.5;", "", "",
	      "red 10.0.0.5 100.64.1.9\n");
	gives("net fd64::/64; tenant red pool=fd64::9; map fd00::5;", "", "",
	      "red fd00::5 fd64::9\n");
}

Test(ipam, exhausted)
{
	refuses("net 100.64.0.0/16; tenant red pool=100.64.1.9; map 10.0.0.5; map 10.0.0.6;", "",
		"", false, EXHAUSTED("10.0.0.6"));
	refuses("net 100.64.0.0/16; tenant red pool=100.64.1.8/31; map 10.0.0.5;", "",
		"100.64.1.8 100.64.1.9", false, EXHAUSTED("10.0.0.5"));
	/* the whole subnet */
	refuses("net 100.64.0.0/30; tenant red; map 10.0.0.1; map 10.0.0.2; map 10.0.0.3;", "", "",
		false, EXHAUSTED("10.0.0.3"));
	/* there is room, but not in this family */
	refuses(RED "map fd00::5;", "", "", false, EXHAUSTED("fd00::5"));
	/* there is room, but not for this tenant */
	refuses("net 100.64.0.0/30; tenant red; map 10.0.0.1; tenant blue pool=100.64.0.0/30;", "",
		"", false, EXHAUSTED("10.0.0.1"));
}

/* ------------------------------------------------------------ what nobody gets */

Test(ipam, never_the_network_or_broadcast_address)
{
	gives("net 100.64.0.0/29; tenant red;map 10.0.0.0; map 10.0.0.7; map 10.0.0.8;"
	      "map 10.0.0.15; map 10.0.0.16; map 10.0.0.23;",
	      "", "",
	      "red 10.0.0.0 100.64.0.1\n"
	      "red 10.0.0.7 100.64.0.2\n"
	      "red 10.0.0.8 100.64.0.3\n"
	      "red 10.0.0.15 100.64.0.4\n"
	      "red 10.0.0.16 100.64.0.5\n"
	      "red 10.0.0.23 100.64.0.6\n");
	refuses("net 100.64.0.0/16; tenant red pool=100.64.0.0; map 10.0.0.5;", "", "", false,
		EXHAUSTED("10.0.0.5"));
	refuses("net 100.64.0.0/16; tenant red pool=100.64.255.255; map 10.0.0.5;", "", "", false,
		EXHAUSTED("10.0.0.5"));
	/* of the second subnet */
	gives("net 100.64.0.0/32 100.65.0.0/30; tenant red; map 10.0.0.4; map 10.0.0.8;", "", "",
	      "red 10.0.0.4 100.64.0.0\n"
	      "red 10.0.0.8 100.65.0.1\n");
	/* the subnet-router anycast address; IPv6 has no broadcast */
	gives("net fd64::/126; tenant red; map fd00::; map fd00::3; map fd00::4;", "", "",
	      "red fd00:: fd64::1\n"
	      "red fd00::3 fd64::3\n"
	      "red fd00::4 fd64::2\n");
}

Test(ipam, the_ends_of_a_pool_are_addresses_like_any_other)
{
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.0/24; map 10.0.0.0; map 10.0.0.255;", "",
	      "",
	      "red 10.0.0.0 100.64.1.0\n"
	      "red 10.0.0.255 100.64.1.255\n");
	/* RFC 3021: so are those of a /31 */
	gives("net 100.64.0.0/31; tenant red; map 10.0.0.0; map 10.0.0.1;", "", "",
	      "red 10.0.0.0 100.64.0.0\n"
	      "red 10.0.0.1 100.64.0.1\n");
}

Test(ipam, never_the_address_of_a_router)
{
	gives(RED "map 10.0.0.5; map 10.0.0.1;", "", "100.64.1.6 100.64.1.5 100.64.1.5 fd64::1",
	      "red 10.0.0.1 100.64.1.1\n"
	      "red 10.0.0.5 100.64.1.7\n");
}

/* in one step, not address by address */
Test(ipam, past_a_large_pool_of_another_tenant, .timeout = 60)
{
	gives("net fd64::/64; tenant red; map fd00::5; tenant blue pool=fd64::/65;", "", "",
	      "red fd00::5 fd64::8000:0:0:0\n");
	refuses("net fd64::/64; tenant red; map fd00::5; tenant blue pool=fd64::/64;", "", "",
		false, EXHAUSTED("fd00::5"));
}

Test(ipam, without_a_pool_none_of_another_tenants)
{
	/* above it, around the end, and where two of them touch */
	gives("net 100.64.0.0/28; tenant red; map 10.0.0.1; map 10.0.0.2;"
	      "tenant blue pool=100.64.0.0/30;",
	      "", "",
	      "red 10.0.0.1 100.64.0.4\n"
	      "red 10.0.0.2 100.64.0.5\n");
	gives("net 100.64.0.0/28; tenant red; map 10.0.0.13; tenant blue pool=100.64.0.12/30;", "",
	      "", "red 10.0.0.13 100.64.0.1\n");
	gives("net 100.64.0.0/28; tenant red; map 10.0.0.1;"
	      "tenant blue pool=100.64.0.4/30; tenant green pool=100.64.0.0/30 pool=100.64.0.8/31;",
	      "", "", "red 10.0.0.1 100.64.0.10\n");
	/* whether it has mappings or not, IPv6 too */
	gives("net fd64::/64; tenant red; map fd00::1:5; tenant blue pool=fd64::1:0/112;"
	      "map fd00::5;",
	      "", "",
	      "blue fd00::5 fd64::1:ff9f\n"
	      "red fd00::1:5 fd64::2:ff9f\n");
	/* but what the user pins is his own decision */
	gives("net 100.64.0.0/28; tenant red; map 10.0.0.1 pin=100.64.0.9;"
	      "tenant blue pool=100.64.0.8/29;map 10.0.0.1;",
	      "", "",
	      "blue 10.0.0.1 100.64.0.10\n"
	      "red 10.0.0.1 100.64.0.9\n");
	/* and pools of the tenant's own may lie in another's */
	gives("net 100.64.0.0/17; tenant red pool=100.64.1.0/24; map 10.0.0.5;"
	      "tenant blue pool=100.64.0.0/17; map 10.0.1.5;",
	      "", "",
	      "blue 10.0.1.5 100.64.1.5\n"
	      "red 10.0.0.5 100.64.1.6\n");
}

/* ------------------------------------------------------------ pinned */

Test(ipam, pinned_come_before_new_ones)
{
	gives(RED "map 10.0.0.5; map 10.0.0.9 pin=100.64.1.5;", "", "",
	      "red 10.0.0.5 100.64.1.6\n"
	      "red 10.0.0.9 100.64.1.5\n");
	gives("net 100.64.0.0/17; tenant blue; map 10.0.0.5; tenant red;"
	      "map 10.0.0.5 pin=100.64.0.5;",
	      "", "",
	      "blue 10.0.0.5 100.64.0.6\n"
	      "red 10.0.0.5 100.64.0.5\n");
}

Test(ipam, pinned_to_what_somebody_else_has)
{
	refuses(RED "map 10.0.0.5; map 10.0.0.9 pin=100.64.1.5;",
		RED "map 10.0.0.5 lease=100.64.1.5;", "", true,
		"tenant red: 100.64.1.5 is leased to 10.0.0.5 of tenant red; give 10.0.0.9 "
		"another shared address, or remove that mapping first");
	refuses("net 100.64.0.0/16; tenant blue; map 10.0.0.9 pin=100.64.1.5; tenant red;"
		"map 10.0.0.5;",
		RED "map 10.0.0.5 lease=100.64.1.5;", "", true,
		"tenant blue: 100.64.1.5 is leased to 10.0.0.5 of tenant red; give 10.0.0.9 "
		"another shared address, or remove that mapping first");
	refuses(RED "map 10.0.0.5 pin=100.64.1.9; map 10.0.0.6 pin=100.64.1.9;", "", "", true,
		"tenant red: 100.64.1.9 is leased to 10.0.0.5 of tenant red; give 10.0.0.6 "
		"another shared address, or remove that mapping first");
}

Test(ipam, pinned_to_the_address_of_a_router)
{
	refuses(RED "map 10.0.0.5 pin=100.64.1.2;", "", "100.64.1.2", true,
		"tenant red: 100.64.1.2 is the address of a router; give 10.0.0.5 another shared "
		"address");
	/* also when it was there first */
	refuses(RED "map 10.0.0.5 pin=100.64.1.2;", RED "map 10.0.0.5 pin=100.64.1.2;",
		"100.64.1.2", true,
		"tenant red: 100.64.1.2 is the address of a router; give 10.0.0.5 another shared "
		"address");
}

Test(ipam, pins_that_move)
{
	static const char have[] = RED "map 10.0.0.5 pin=100.64.1.5; map 10.0.0.6 pin=100.64.1.6;"
				       "map 10.0.0.7 lease=100.64.1.77;";

	/* swapped */
	gives(RED "map 10.0.0.5 pin=100.64.1.6; map 10.0.0.6 pin=100.64.1.5; map 10.0.0.7;", have,
	      "",
	      "red 10.0.0.5 100.64.1.6\n"
	      "red 10.0.0.6 100.64.1.5\n"
	      "red 10.0.0.7 100.64.1.77\n");
	/* to what is removed in the same change */
	gives(RED "map 10.0.0.5 pin=100.64.1.77; map 10.0.0.6 pin=100.64.1.6;", have, "",
	      "red 10.0.0.5 100.64.1.77\n"
	      "red 10.0.0.6 100.64.1.6\n");
	/* what it has anyway, and no longer: it keeps it */
	gives(RED "map 10.0.0.5; map 10.0.0.7 pin=100.64.1.77;", have, "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.7 100.64.1.77\n");
	/* what a pin leaves behind is free at once */
	gives(RED "map 10.0.0.5 pin=100.64.1.9; map 10.0.1.5;", have, "",
	      "red 10.0.0.5 100.64.1.9\n"
	      "red 10.0.1.5 100.64.1.5\n");
}

/* ------------------------------------------------------------ leases */

Test(ipam, leases_do_not_depend_on_the_order_of_the_file)
{
	gives("net 100.64.0.0/17;tenant red pool=100.64.1.0/24; map 10.0.0.4; map 10.0.0.6;"
	      "map 10.0.0.5; map 9.0.0.5;tenant blue; map 10.0.0.5;",
	      "net 100.64.0.0/17; tenant blue; map 10.0.0.5 lease=100.64.0.99;"
	      "tenant red pool=100.64.1.0/24; map 10.0.0.5 lease=100.64.1.6;"
	      "map 10.0.0.6 lease=100.64.1.5;",
	      "",
	      "blue 10.0.0.5 100.64.0.99\n"
	      /* new, and sorted before those that have leases */
	      "red 9.0.0.5 100.64.1.7\n"
	      "red 10.0.0.4 100.64.1.4\n"
	      "red 10.0.0.5 100.64.1.6\n"
	      "red 10.0.0.6 100.64.1.5\n");
	/* nor on names of mappings, nor on a tenant that comes before */
	gives("net 100.64.0.0/17; tenant aqua; map 10.0.0.5; tenant red; map 10.0.0.5 web;",
	      "net 100.64.0.0/17; tenant red; map 10.0.0.5 db lease=100.64.0.5;", "",
	      "aqua 10.0.0.5 100.64.0.6\n"
	      "red 10.0.0.5 100.64.0.5\n");
}

Test(ipam, leases_belong_to_the_tenant_of_that_name)
{
	/* renamed: another tenant */
	gives("net 100.64.0.0/17; tenant crimson; map 10.0.0.5;",
	      "net 100.64.0.0/17; tenant red; map 10.0.0.5 lease=100.64.0.77;", "",
	      "crimson 10.0.0.5 100.64.0.5\n");
	/* the same fixed address in another tenant is another mapping */
	gives("net 100.64.0.0/17; tenant blue; map 10.0.0.5; tenant red; map 10.0.0.5;",
	      "net 100.64.0.0/17; tenant red; map 10.0.0.5 lease=100.64.0.77;", "",
	      "blue 10.0.0.5 100.64.0.5\n"
	      "red 10.0.0.5 100.64.0.77\n");
}

Test(ipam, leases_and_the_pool)
{
	static const char have[] = RED "map 10.0.0.5 lease=100.64.1.77;";

	/* still in it */
	gives("net 100.64.0.0/17; tenant red pool=100.64.1.64/26; map 10.0.0.5;", have, "",
	      "red 10.0.0.5 100.64.1.77\n");
	gives("net 100.64.0.0/17; tenant red pool=100.64.2.0/24 pool=100.64.1.77/32; map 10.0.0.5;",
	      have, "", "red 10.0.0.5 100.64.1.77\n");
	gives("net 100.64.0.0/17; tenant red; map 10.0.0.5;", have, "",
	      "red 10.0.0.5 100.64.1.77\n");
	/* in a pool that somebody else got meanwhile: it is not taken away */
	gives("net 100.64.0.0/17; tenant red; map 10.0.0.5; tenant blue pool=100.64.1.0/24;"
	      "map 10.0.0.77;",
	      have, "",
	      "blue 10.0.0.77 100.64.1.78\n"
	      "red 10.0.0.5 100.64.1.77\n");
	/* no longer in it */
	gives("net 100.64.0.0/17; tenant red pool=100.64.2.0/24; map 10.0.0.5;", have, "",
	      "red 10.0.0.5 100.64.2.5\n");
	gives("net 100.65.0.0/17; tenant red; map 10.0.0.5;", have, "",
	      "red 10.0.0.5 100.65.0.5\n");
	/* a router has it now */
	gives(RED "map 10.0.0.5;", have, "100.64.1.77", "red 10.0.0.5 100.64.1.5\n");
}

Test(ipam, a_lease_ends_with_its_mapping)
{
	/* the definitions in force have no trace of it any more */
	gives(RED "map 10.0.0.6;",
	      RED "map 10.0.0.5 lease=100.64.1.77; map 10.0.0.6 lease=100.64.1.6;", "",
	      "red 10.0.0.6 100.64.1.6\n");
	gives(RED "map 10.0.0.5; map 10.0.0.6;", RED "map 10.0.0.6 lease=100.64.1.6;", "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.6 100.64.1.6\n");
	/* and its address is free in the same change */
	gives(RED "map 10.0.0.77;", RED "map 10.0.0.5 lease=100.64.1.77;", "",
	      "red 10.0.0.77 100.64.1.77\n");
}

/* `map add`: what comes from the state has its leases already */
Test(ipam, leases_that_are_filled_in)
{
	static const char have[] =
		RED "map 10.0.0.5 lease=100.64.1.77; map 10.0.0.6 pin=100.64.1.6;";

	gives(RED "map 10.0.0.5 lease=100.64.1.77; map 10.0.0.6 pin=100.64.1.6; map 10.0.0.77;",
	      have, "",
	      "red 10.0.0.5 100.64.1.77\n"
	      "red 10.0.0.6 100.64.1.6\n"
	      "red 10.0.0.77 100.64.1.78\n");
}

Test(ipam, a_filled_in_lease_that_a_router_has_now)
{
	gives(RED "map 10.0.0.5 lease=100.64.1.77; map 10.0.0.9;",
	      RED "map 10.0.0.5 lease=100.64.1.77;", "100.64.1.77",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.9 100.64.1.9\n");
}

/* an undo: what is filled in is what was there before, and comes before the lease of now */
Test(ipam, leases_that_come_back)
{
	/* to whom it was freed from */
	gives(RED "map 10.0.0.5 lease=100.64.1.77; map 10.0.0.77;", RED "map 10.0.0.77;", "",
	      "red 10.0.0.5 100.64.1.77\n"
	      "red 10.0.0.77 100.64.1.78\n");
	/* exchanged */
	gives(RED "map 10.0.0.5 lease=100.64.1.6; map 10.0.0.6 lease=100.64.1.5;",
	      RED "map 10.0.0.5 lease=100.64.1.5; map 10.0.0.6 lease=100.64.1.6;", "",
	      "red 10.0.0.5 100.64.1.6\n"
	      "red 10.0.0.6 100.64.1.5\n");
	/* pinned elsewhere meanwhile */
	gives(RED "map 10.0.0.5 lease=100.64.1.77;", RED "map 10.0.0.5 pin=100.64.1.9;", "",
	      "red 10.0.0.5 100.64.1.77\n");
	/* a router has it now; or its pool has gone */
	gives(RED "map 10.0.0.5 lease=100.64.1.77;", RED "map 10.0.0.5 lease=100.64.1.9;",
	      "100.64.1.77", "red 10.0.0.5 100.64.1.5\n");
	gives(RED "map 10.0.0.5 lease=100.64.9.77;", RED, "", "red 10.0.0.5 100.64.1.5\n");
}

/* a lease can become the broadcast address when the subnet is made smaller */
Test(ipam, a_lease_that_became_network_or_broadcast_address)
{
	gives("net 100.64.1.0/24; tenant red; map 10.0.0.5; map 10.0.0.6;",
	      "net 100.64.0.0/16; tenant red; map 10.0.0.5 lease=100.64.1.255;"
	      "map 10.0.0.6 lease=100.64.1.0;",
	      "",
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.6 100.64.1.6\n");
}

/* ------------------------------------------------------------ ids */

Test(ipam, ids_of_a_first_apply)
{
	gives_ids("net 100.64.0.0/16; tenant red; router; tenant blue; tenant green; router;", "",
		  "blue 1\n"
		  "green 2/1\n"
		  "red 3/2\n");
	gives_ids("net 100.64.0.0/16;", "", "");
}

Test(ipam, ids_are_stable)
{
	static const char have[] =
		"tenant blue id=7; tenant green id=2; router id=9; tenant red id=3;"
		"router id=2;";

	gives_ids("tenant red; router netns=elsewhere hook=xdp; tenant green; router;"
		  "tenant blue; router;tenant aqua; router;",
		  have,
		  "aqua 1/1\n"
		  "blue 7/3\n"
		  "green 2/9\n"
		  "red 3/2\n");
}

Test(ipam, smallest_free_id)
{
	/* gaps first, then behind the last */
	gives_ids("tenant a; tenant b; tenant c; tenant d; tenant e; tenant x; tenant y;",
		  "tenant x id=2; tenant y id=4;", "a 1\nb 3\nc 5\nd 6\ne 7\nx 2\ny 4\n");
	/* not that of a tenant or router which goes in the same change: its rows are still there */
	gives_ids("tenant blue; router;", "tenant red id=1; router id=1;", "blue 2/2\n");
	gives_ids("tenant blue; router; tenant red;", "tenant red id=1; router id=1;",
		  "blue 2/2\nred 1\n");
	/* the next change can have it */
	gives_ids("tenant blue; router; tenant red; router;", "tenant blue id=2; router id=2;",
		  "blue 2/2\nred 1/1\n");
	/* a renamed tenant is a new one */
	gives_ids("tenant crimson;", "tenant red id=1;", "crimson 2\n");
}

/* an undo: ids come back, unless they are somebody else's by now; that of what is there stays */
Test(ipam, ids_that_come_back)
{
	gives_ids("tenant blue id=9; router id=4; tenant red id=7; router id=8;",
		  "tenant green id=1; router id=1;", "blue 9/4\nred 7/8\n");
	gives_ids("tenant blue; router; tenant red id=2; router id=2;",
		  "tenant green id=1; router id=1;", "blue 3/3\nred 2/2\n");
	gives_ids("tenant red id=1; router id=2;", "tenant green id=1; router id=2;", "red 2/1\n");
	gives_ids("tenant red id=7; router id=7;", "tenant red id=1; router id=2;", "red 1/2\n");
	gives_ids("tenant red id=7; router id=7;", "tenant red id=1;", "red 1/7\n");
}

Test(ipam, a_router_that_comes_later)
{
	gives_ids("tenant blue; router; tenant red; router;",
		  "tenant blue id=1; tenant red id=2; router id=1;", "blue 1/2\nred 2/1\n");
}

static struct model routers(int n)
{
	struct model m = { 0 };

	for (int i = 0; i < n; i++) {
		struct tenant *t = vec_push(&m.tenants);

		cr_assert_gt(asprintf(&t->name, "t%d", i), 0);
		t->router = router_new();
	}
	return m;
}

Test(ipam, as_many_routers_as_there_are_ids)
{
	_cleanup_model_ struct model most = routers(TN_ROUTERS_MAX - 1),
				     more = routers(TN_ROUTERS_MAX);
	struct addr_list none = { 0 };
	struct model nothing = { 0 };
	struct error err = { 0 };
	uint32_t last = 0;

	cr_assert_eq(ipam_assign(&most, &nothing, &none, &err), 0, "%s", err.text);
	vec_each (t, &most.tenants)
		last = t->router->id > last ? t->router->id : last;
	cr_expect_eq(last, TN_ROUTERS_MAX - 1);
	/* all of them there already */
	cr_expect_eq(ipam_assign(&most, &most, &none, &err), 0, "%s", err.text);
	cr_assert_eq(ipam_assign(&more, &most, &none, &err), -1);
	cr_expect_str_eq(err.text, "more than 4095 routers on one machine; spread them");
	cr_expect_not(err.usage);
}

/* ------------------------------------------------------------ against the rules, taken literally
 */

/*
 * The rules of ipam.h once more, with lists and loops: small pools only. Of the
 * model that is filled in, everything is sorted.
 */
struct naive {
	const struct model *m;
	struct addr_list used;
};

static bool naive_used(const struct naive *n, const struct tn_addr *a)
{
	vec_each (used, &n->used.list) {
		if (addr_cmp(used, a) == 0)
			return true;
	}
	return false;
}

static bool naive_may_be_given(const struct naive *n, const struct tenant *t,
			       const struct tn_addr *a)
{
	vec_each (s, &n->m->subnets) {
		if (prefix_has(s, a) && prefix_reserves(s, a))
			return false;
	}
	vec_each (other, &n->m->tenants) {
		vec_each (p, &other->pools) {
			if (!t->pools.n && prefix_has(p, a))
				return false;
		}
	}
	return !naive_used(n, a);
}

static bool naive_allocate(struct naive *n, const struct tenant *t, struct mapping *m)
{
	const struct prefix *pools = t->pools.n ? t->pools.v : n->m->subnets.v;
	size_t npools = t->pools.n ? t->pools.n : n->m->subnets.n;

	for (size_t i = 0; i < npools; i++) {
		uint32_t size = 1U << (128 - pools[i].len);

		for (uint32_t k = 0;
		     addr_is_v4(&pools[i].addr) == addr_is_v4(&m->fixed) && k < size; k++) {
			uint32_t host = (ntohl(m->fixed.w[3]) + k) % size;

			m->shared = addr_add(&pools[i].addr, host);
			if (naive_may_be_given(n, t, &m->shared)) {
				*vec_push(&n->used.list) = m->shared;
				return true;
			}
		}
	}
	return false;
}

static const struct mapping *naive_mapping(const struct tenant *t, const struct tn_addr *fixed)
{
	vec_each (m, &t->mappings) {
		if (addr_cmp(&m->fixed, fixed) == 0)
			return m;
	}
	return NULL;
}

static bool naive_keep(struct naive *n, const struct model *have, const struct tenant *t,
		       struct mapping *m)
{
	struct tenant *had = model_tenant((struct model *)have, t->name);
	const struct mapping *old = had ? naive_mapping(had, &m->fixed) : NULL;

	if (!old || naive_used(n, &old->shared) || !tenant_may_have(n->m, t, &old->shared) ||
	    (m->pinned && addr_cmp(&m->shared, &old->shared) != 0))
		return false;
	m->shared = old->shared;
	*vec_push(&n->used.list) = m->shared;
	return true;
}

static uint32_t naive_id(const uint32_t *used, size_t n)
{
	uint32_t id = 1;

	for (size_t i = 0; i < n; i++) {
		if (used[i] == id) {
			id++;
			i = -1;
		}
	}
	return id;
}

static void naive_ids(struct model *want, const struct model *have)
{
	VEC(uint32_t) tenants = { 0 }, routers = { 0 };

	vec_each (t, &have->tenants) {
		*vec_push(&tenants) = t->id;
		if (t->router)
			*vec_push(&routers) = t->router->id;
	}
	vec_each (t, &want->tenants) {
		struct tenant *had = model_tenant((struct model *)have, t->name);

		t->id = had ? had->id : naive_id(tenants.v, tenants.n);
		*vec_push(&tenants) = t->id;
		if (!t->router)
			continue;
		t->router->id =
			had && had->router ? had->router->id : naive_id(routers.v, routers.n);
		*vec_push(&routers) = t->router->id;
	}
	vec_free(&tenants);
	vec_free(&routers);
}

static bool naive_assign(struct model *want, const struct model *have,
			 const struct addr_list *reserved)
{
	struct naive n = { .m = want };
	bool ok = true;

	naive_ids(want, have);
	vec_each (a, &reserved->list)
		*vec_push(&n.used.list) = *a;
	vec_each (t, &want->tenants) {
		vec_each (m, &t->mappings)
			m->pos.line = naive_keep(&n, have, t, m);
	}
	vec_each (t, &want->tenants) {
		vec_each (m, &t->mappings) {
			if (!m->pinned || m->pos.line)
				continue;
			ok = ok && !naive_used(&n, &m->shared);
			*vec_push(&n.used.list) = m->shared;
		}
	}
	vec_each (t, &want->tenants) {
		vec_each (m, &t->mappings)
			ok = ok && (m->pinned || m->pos.line || naive_allocate(&n, t, m));
	}
	vec_free(&n.used.list);
	return ok;
}

/* ------------------------------------------------------------ 500 changes, one after another */

/* The definitions as a file would give them: no ids, no leases. */
static struct model definitions_of(const struct model *m)
{
	struct model out = { 0 };

	vec_each (p, &m->subnets)
		*vec_push(&out.subnets) = *p;
	vec_each (t, &m->tenants) {
		struct tenant *copy = vec_push(&out.tenants);

		copy->name = xstrdup(t->name);
		if (t->router)
			copy->router = router_new();
		vec_each (p, &t->pools)
			*vec_push(&copy->pools) = *p;
		vec_each (mapping, &t->mappings) {
			struct mapping *new = vec_push(&copy->mappings);

			new->fixed = mapping->fixed;
			new->pinned = mapping->pinned;
			if (mapping->pinned)
				new->shared = mapping->shared;
		}
	}
	return out;
}

/* Half of an IPv4 subnet down to one address, or the like in IPv6. */
static struct prefix random_pool(struct dice *d, const struct model *m)
{
	struct prefix p = m->subnets.v[roll(d, m->subnets.n)];
	unsigned int bits = roll(d, 128 - p.len);

	p.addr = addr_add(&p.addr, (uint64_t)roll(d, 1U << (128 - p.len - bits)) << bits);
	p.len = 128 - bits;
	return p;
}

static void random_mapping(struct dice *d, struct tenant *t)
{
	struct tn_addr fixed = addr_of(chance(d, 70) ? "10.0.0.0" : "fd00::");

	fixed = addr_add(&fixed, roll(d, 3) * 256 + roll(d, 40));
	if (!naive_mapping(t, &fixed))
		((struct mapping *)vec_push(&t->mappings))->fixed = fixed;
}

static bool pinned_anywhere(const struct model *m, const struct tn_addr *a)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (mapping->pinned && addr_cmp(&mapping->shared, a) == 0)
				return true;
		}
	}
	return false;
}

/* Pins are what the definitions file lets through: in the pool, of the family, only once. */
static void random_pin(struct dice *d, const struct model *m, const struct tenant *t,
		       struct mapping *mapping)
{
	const struct prefix *pools = t->pools.n ? t->pools.v : m->subnets.v;
	const struct prefix *p = &pools[roll(d, t->pools.n ? t->pools.n : m->subnets.n)];
	struct tn_addr a = addr_add(&p->addr, roll(d, 1U << (128 - p->len)));

	mapping->pinned = false;
	memset(&mapping->shared, 0, sizeof(mapping->shared));
	if (addr_is_v4(&a) != addr_is_v4(&mapping->fixed) || pinned_anywhere(m, &a))
		return;
	vec_each (s, &m->subnets) {
		if (prefix_has(s, &a) && prefix_reserves(s, &a))
			return;
	}
	mapping->pinned = true;
	mapping->shared = a;
}

static void unpin_what_is_outside(const struct model *m, struct tenant *t)
{
	vec_each (mapping, &t->mappings) {
		if (mapping->pinned && !tenant_may_have(m, t, &mapping->shared)) {
			mapping->pinned = false;
			memset(&mapping->shared, 0, sizeof(mapping->shared));
		}
	}
}

static void random_change(struct dice *d, struct model *m)
{
	char name[] = { 'a' + roll(d, 6), '\0' };
	struct tenant *t = model_tenant(m, name);

	if (!t) {
		t = vec_push(&m->tenants);
		t->name = xstrdup(name);
	}
	switch (roll(d, 10)) {
	case 0:
		tenant_clear(t);
		*t = m->tenants.v[--m->tenants.n];
		break;
	case 1:
		vec_free(&t->pools);
		for (uint32_t n = roll(d, 3); n; n--)
			*vec_push(&t->pools) = random_pool(d, m);
		unpin_what_is_outside(m, t);
		break;
	case 2:
		if (!t->router)
			t->router = router_new();
		break;
	case 3:
		shuffle(d, &t->mappings);
		t->mappings.n -= t->mappings.n > 0;
		break;
	case 4:
		if (t->mappings.n)
			random_pin(d, m, t, &t->mappings.v[roll(d, t->mappings.n)]);
		break;
	default:
		for (uint32_t n = roll(d, 5); n; n--)
			random_mapping(d, t);
	}
}

static void shuffle_model(struct dice *d, struct model *m)
{
	shuffle(d, &m->tenants);
	vec_each (t, &m->tenants)
		shuffle(d, &t->mappings);
}

static void check_rules(const struct model *m, const struct addr_list *reserved, int round)
{
	struct naive seen = { .m = m };

	vec_each (a, &reserved->list)
		*vec_push(&seen.used.list) = *a;
	vec_each (t, &m->tenants) {
		cr_expect_gt(t->id, 0);
		vec_each (mapping, &t->mappings) {
			cr_assert_not(naive_used(&seen, &mapping->shared), "round %d: %s twice",
				      round, ADDR(&mapping->shared));
			*vec_push(&seen.used.list) = mapping->shared;
			cr_assert(tenant_may_have(m, t, &mapping->shared), "round %d: %s", round,
				  ADDR(&mapping->shared));
			vec_each (s, &m->subnets)
				cr_assert_not(prefix_has(s, &mapping->shared) &&
					      prefix_reserves(s, &mapping->shared));
		}
	}
	vec_free(&seen.used.list);
}

/* One change of the definitions `have`, which become what comes of it. Whether it could be done. */
static bool random_round(struct dice *d, struct model *have, int round)
{
	struct model want = definitions_of(have), again, expected;
	struct addr_list reserved = { 0 };
	struct error err = { 0 }, err_again = { 0 };
	bool ok;

	for (uint32_t n = 1 + roll(d, 4); n; n--)
		random_change(d, &want);
	for (uint32_t n = roll(d, 4); n; n--)
		*vec_push(&reserved.list) = random_pool(d, &want).addr;
	again = definitions_of(&want);
	expected = definitions_of(&want);
	shuffle_model(d, &want);
	shuffle_model(d, &again);
	shuffle(d, &reserved.list);
	model_sort(&expected);

	ok = naive_assign(&expected, have, &reserved);
	cr_assert_eq(ipam_assign(&want, have, &reserved, &err), ok ? 0 : -1, "round %d: %s", round,
		     err.text);
	cr_assert_eq(ipam_assign(&again, have, &reserved, &err_again), ok ? 0 : -1, "round %d",
		     round);
	cr_expect_str_eq(err.text, err_again.text);
	if (ok) {
		_cleanup_free_ char *text = leases_text(&expected), *ids = ids_text(&expected);

		check_rules(&want, &reserved, round);
		expect_text(leases_text(&want), text, "leases");
		expect_text(leases_text(&again), text, "leases, in another order");
		expect_text(ids_text(&want), ids, "ids");
		expect_text(ids_text(&again), ids, "ids, in another order");
		model_free(have);
		*have = want;
	} else {
		model_free(&want);
	}
	model_free(&again);
	model_free(&expected);
	vec_free(&reserved.list);
	return ok;
}

Test(ipam, any_change_in_any_order)
{
	struct dice d = { .state = 2 };
	int done = 0, refused = 0;

	for (int game = 0; game < 10; game++) {
		_cleanup_model_ struct model have =
			model_of("net 100.64.0.0/26 fd64::/124 100.65.0.0/28;");

		for (int round = 0; round < 50; round++) {
			if (random_round(&d, &have, 50 * game + round))
				done++;
			else
				refused++;
		}
	}
	/* both happened often enough to mean something */
	cr_expect_geq(done, 300, "%d", done);
	cr_expect_geq(refused, 20, "%d", refused);
}

/* ------------------------------------------------------------ many */

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static void all_different(const struct model *m, size_t n)
{
	struct addr_list all = { 0 };

	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings)
			*vec_push(&all.list) = mapping->shared;
	}
	cr_assert_eq(all.list.n, n);
	qsort(all.list.v, n, sizeof(*all.list.v), addr_order);
	for (size_t i = 1; i < n; i++)
		cr_assert_neq(addr_cmp(&all.list.v[i - 1], &all.list.v[i]), 0, "%s",
			      ADDR(&all.list.v[i]));
	vec_free(&all.list);
}

/*
 * Every tenant wants the addresses that all before it want: the walk to the next
 * free one must not be taken again and again. Walked address by address this takes
 * minutes, and the limit is far from what it needs.
 */
Test(ipam, many_tenants_with_the_same_fixed_addresses, .timeout = 60)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/10;"), again;
	struct tn_addr first = addr_of("10.0.0.1");
	struct addr_list none = { 0 };
	struct model nothing = { 0 };
	struct error err = { 0 };

	for (int i = 0; i < 100; i++) {
		struct tenant *t = vec_push(&m.tenants);

		cr_assert_gt(asprintf(&t->name, "t%02d", i), 0);
		for (int k = 0; k < 1000; k++)
			((struct mapping *)vec_push(&t->mappings))->fixed = addr_add(&first, k);
	}
	again = definitions_of(&m);
	cr_assert_eq(ipam_assign(&m, &nothing, &none, &err), 0, "%s", err.text);
	all_different(&m, 100000);
	cr_expect_str_eq(ADDR(&m.tenants.v[0].mappings.v[0].shared), "100.64.165.192");
	cr_expect_str_eq(ADDR(&m.tenants.v[99].mappings.v[999].shared), "100.65.107.72");

	cr_assert_eq(ipam_assign(&again, &m, &none, &err), 0, "%s", err.text);
	cr_expect_str_eq(ADDR(&again.tenants.v[99].mappings.v[999].shared), "100.65.107.72");
}

static struct tn_addr random_fixed(uint32_t *state, bool v4)
{
	struct tn_addr a = addr_of(v4 ? "10.0.0.0" : "fd00::");

	*state = *state * 1664525 + 1013904223;
	a.w[3] |= htonl(*state >> (v4 ? 8 : 0));
	return a;
}

/* Every address of a pool can be had, whatever is mapped. */
static void fills(const char *net, size_t room)
{
	_cleanup_model_ struct model m = model_of(net);
	struct tenant *t = vec_push(&m.tenants);
	struct addr_list none = { 0 };
	struct model nothing = { 0 };
	struct error err = { 0 };
	uint32_t state = 7;
	size_t neutral = 0;

	t->name = xstrdup("red");
	for (size_t i = 0; i < room; i++) {
		struct tn_addr a = random_fixed(&state, addr_is_v4(&m.subnets.v[0].addr));

		((struct mapping *)vec_push(&t->mappings))->fixed = a;
	}
	cr_assert_eq(ipam_assign(&m, &nothing, &none, &err), 0, "%s: %s", net, err.text);
	all_different(&m, room);
	vec_each (map, &m.tenants.v[0].mappings) {
		cr_assert(prefix_has(&m.subnets.v[0], &map->shared));
		neutral += addr_sum(&map->fixed) == addr_sum(&map->shared);
	}
	cr_expect_gt(neutral, room / 4, "%s: %zu of %zu have the same sum", net, neutral, room);
}

Test(ipam, all_of_a_pool)
{
	fills("net 100.64.0.0/16;", 65534);
	fills("net 100.64.0.0/15;", 131070);
	fills("net fd64::/112;", 65535);
}

/* ------------------------------------------------------------ addresses of routers */

Test(ipam, a_router_gets_the_end_of_the_pool)
{
	gives(RED "router want=ipv4; map 10.0.0.254; map 10.0.0.5;", "", "",
	      "red router 100.64.1.254\n"
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.254 100.64.1.255\n");
	/* what is taken there is left out, around the end of the pool */
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.0/30; router want=ipv4;", "",
	      "100.64.1.2 100.64.1.3", "red router 100.64.1.0\n");
	gives("net 100.64.0.0/29; tenant red; router want=ipv4;", "", "",
	      "red router 100.64.0.6\n");
	gives("net 100.64.0.0/16 fd64::/64; tenant red pool=fd64::1:0/112 pool=100.64.1.7/32;"
	      "router want=ipv4 want=ipv6;",
	      "", "", "red router 100.64.1.7\nred router fd64::1:fffe\n");
	/* who brings his own gets none */
	gives(RED "router;", "", "", "");
}

Test(ipam, a_router_keeps_its_lease)
{
	static const char had[] = RED "router lease=100.64.1.77; map 10.0.0.5 lease=100.64.1.254;";

	gives(RED "router want=ipv4; map 10.0.0.5;", had, "",
	      "red router 100.64.1.77\nred 10.0.0.5 100.64.1.254\n");
	/* also where nobody looked at it now */
	gives(RED "router lease=100.64.1.77;", had, "", "red router 100.64.1.77\n");
	/* not when another one has it, or it is in no shared subnet any more */
	gives(RED "router want=ipv4;", had, "100.64.1.77", "red router 100.64.1.254\n");
	gives("net 100.65.0.0/16; tenant red; router want=ipv4;", had, "",
	      "red router 100.65.255.254\n");
	/* and nobody else gets it */
	gives("net 100.64.0.0/16; tenant red pool=100.64.1.0/24; router lease=100.64.1.77;"
	      "map 10.0.0.77;",
	      had, "", "red router 100.64.1.77\nred 10.0.0.77 100.64.1.78\n");
}

Test(ipam, a_routers_address_is_pinned)
{
	gives(RED "router pin=100.64.0.2; map 10.0.0.2;", "", "",
	      "red router 100.64.0.2\nred 10.0.0.2 100.64.1.2\n");
	/* from now on, until then, and moved */
	gives(RED "router pin=100.64.1.9;", RED "router lease=100.64.1.254;", "",
	      "red router 100.64.1.9\n");
	gives(RED "router want=ipv4;", RED "router pin=100.64.1.9;", "", "red router 100.64.1.9\n");
	gives(RED "router pin=100.64.1.9; map 10.0.0.9;", RED "router pin=100.64.1.8;", "",
	      "red router 100.64.1.9\nred 10.0.0.9 100.64.1.10\n");
	refuses(RED "router pin=100.64.1.9;", "", "100.64.1.9", true,
		"tenant red: 100.64.1.9 is the address of another router; give this one another "
		"`address`");
	/* also when it was its own before */
	refuses(RED "router pin=100.64.1.9;", RED "router pin=100.64.1.9;", "100.64.1.9", true,
		"tenant red: 100.64.1.9 is the address of another router; give this one another "
		"`address`");
	refuses(RED "router pin=100.64.1.9; map 10.0.0.5;", RED "map 10.0.0.5 lease=100.64.1.9;",
		"", true,
		"tenant red: 100.64.1.9 is leased to 10.0.0.5 of tenant red; give the router "
		"another "
		"`address`, or remove that mapping first");
	refuses("net 100.64.0.0/16; tenant red pool=100.64.1.5/32; router want=ipv4; map 10.0.0.5 "
		"pin=100.64.1.5;",
		"", "", false,
		"tenant red: no free IPv4 address is left for its router; enlarge the tenant's "
		"pool, "
		"or give the router one with `address`");
}

/* ------------------------------------------------------------ ids of rules */

/* red's rules, one for each letter: from the tenant of that name; their ids as in `ids`, or none.
 */
static struct model with_rules(const char *letters, const uint32_t *ids)
{
	struct model m = model_of("net 100.64.0.0/16; tenant red id=1;");
	struct tenant *red = &m.tenants.v[0];

	red->has_accept = true;
	for (size_t i = 0; letters[i]; i++) {
		struct rule *r = vec_push(&red->accept);

		*vec_push(&r->from) = xstrdup((const char[]){ letters[i], '\0' });
		r->id = ids ? ids[i] : 0;
	}
	return m;
}

static void gives_rule_ids_to(const char *want, const uint32_t *filled, const char *have,
			      const uint32_t *had, const uint32_t *ids)
{
	_cleanup_model_ struct model m = with_rules(want, filled), old = with_rules(have, had);
	struct addr_list none = { 0 };
	struct error err = { 0 };

	cr_assert_eq(ipam_assign(&m, &old, &none, &err), 0, "%s", err.text);
	for (size_t i = 0; want[i]; i++)
		cr_expect_eq(m.tenants.v[0].accept.v[i].id, ids[i], "%s after %s: rule %zu is %u",
			     want, have, i, m.tenants.v[0].accept.v[i].id);
}

static void gives_rule_ids(const char *want, const char *have, const uint32_t *had,
			   const uint32_t *ids)
{
	gives_rule_ids_to(want, NULL, have, had, ids);
}

Test(ipam, rules_keep_their_ids)
{
	static const uint32_t had[] = { 4, 2, 7 };

	gives_rule_ids("abc", "", NULL, (const uint32_t[]){ 1, 2, 3 });
	gives_rule_ids("abc", "abc", had, (const uint32_t[]){ 4, 2, 7 });
	gives_rule_ids("cab", "abc", had, (const uint32_t[]){ 7, 4, 2 });
	gives_rule_ids("xabc", "abc", had, (const uint32_t[]){ 1, 4, 2, 7 });
	gives_rule_ids("c", "abc", had, (const uint32_t[]){ 7 });
	/* the one that was there is one of them, and no id is given twice */
	gives_rule_ids("bb", "ab", had, (const uint32_t[]){ 2, 1 });
	gives_rule_ids("aab", "ab", had, (const uint32_t[]){ 4, 1, 2 });
	/* of two that say the same the first stays, wherever it is then */
	gives_rule_ids("xb", "bb", (const uint32_t[]){ 4, 2 }, (const uint32_t[]){ 1, 4 });
	gives_rule_ids("bb", "xb", (const uint32_t[]){ 3, 1 }, (const uint32_t[]){ 1, 2 });
	/* ids of rules that go are not given to others in the same change */
	gives_rule_ids("xyz", "abc", had, (const uint32_t[]){ 1, 3, 5 });
}

Test(ipam, ids_of_rules_that_come_back)
{
	static const uint32_t had[] = { 4, 2, 7 };

	/* what there is keeps its own, what comes has that of before, if nobody has it */
	gives_rule_ids_to("axy", (const uint32_t[]){ 9, 5, 2 }, "abc", had,
			  (const uint32_t[]){ 4, 5, 1 });
	gives_rule_ids_to("xyz", (const uint32_t[]){ 0, 3, 0 }, "abc", had,
			  (const uint32_t[]){ 1, 3, 5 });
}

/* ------------------------------------------------------------ prefixes */

#define WIDE "net 100.64.0.0/16 fd64::/48; tenant red pool=100.64.0.0/22 pool=fd64::/60;"

/* Aligned, as a whole, and without the network address. */
Test(ipam, blocks)
{
	gives(WIDE "map 10.0.0.0/24; map 10.1.0.0/24; map fd00::/64; map fd01::/64;", "", "",
	      "red 10.0.0.0/24 100.64.1.0/24\n"
	      "red 10.1.0.0/24 100.64.2.0/24\n"
	      "red fd00::/64 fd64:0:0:1::/64\n"
	      "red fd01::/64 fd64:0:0:2::/64\n");
	/* around what a router has, what is pinned, and leases */
	gives(WIDE "map 10.0.0.0/24; map 10.9.0.5 pin=100.64.2.7;", "", "100.64.1.9",
	      "red 10.0.0.0/24 100.64.3.0/24\n"
	      "red 10.9.0.5 100.64.2.7\n");
	gives(WIDE "map 10.0.0.0/24; map 10.9.0.5;", WIDE "map 10.9.0.5 lease=100.64.1.7;", "",
	      "red 10.0.0.0/24 100.64.2.0/24\n"
	      "red 10.9.0.5 100.64.1.7\n");
	/* exceptions are free for others */
	gives(WIDE "map 10.0.0.0/24 except=10.0.0.9;", "", "100.64.1.9",
	      "red 10.0.0.0/24 100.64.1.0/24\n");
	refuses(WIDE "map 10.0.0.0/23; map 10.2.0.0/23;", "", "", false,
		"tenant red: no free block of addresses is left for 10.2.0.0/23; enlarge the "
		"tenant's "
		"pool, or give the mapping a `shared` prefix");
}

/* The next one is looked for behind all that follow each other, whatever their lengths. */
Test(ipam, blocks_behind_blocks)
{
	gives(WIDE "map 10.0.0.0/28 pin=100.64.1.0/28; map 10.0.1.0/28 pin=100.64.1.16/28;"
		   "map 10.1.0.0/24; map 10.2.0.0/27;",
	      "", "",
	      "red 10.0.0.0/28 100.64.1.0/28\n"
	      "red 10.0.1.0/28 100.64.1.16/28\n"
	      "red 10.1.0.0/24 100.64.2.0/24\n"
	      "red 10.2.0.0/27 100.64.0.32/27\n");
	gives(WIDE "map 10.0.0.0/27 pin=100.64.0.32/27; map 10.0.1.0/26 pin=100.64.0.64/26;"
		   "map 10.1.0.0/28; map 10.2.0.0/28; map 10.3.0.0/25;",
	      "", "",
	      "red 10.0.0.0/27 100.64.0.32/27\n"
	      "red 10.0.1.0/26 100.64.0.64/26\n"
	      "red 10.1.0.0/28 100.64.0.16/28\n"
	      "red 10.2.0.0/28 100.64.0.128/28\n"
	      "red 10.3.0.0/25 100.64.1.0/25\n");
	/* a run to the end of the pool, and of all addresses */
	refuses("net 100.64.0.0/16; tenant red pool=100.64.0.0/28; map 10.0.0.0/30 "
		"pin=100.64.0.8/30; map 10.1.0.0/30 pin=100.64.0.12/30; map 10.2.0.0/30; "
		"map 10.3.0.0/30;",
		"", "", false,
		"tenant red: no free block of addresses is left for 10.3.0.0/30; enlarge the "
		"tenant's pool, or give the mapping a `shared` prefix");
}

/* As many as there may be: each look-up of a free one may not go through all pairs of them. */
Test(ipam, many_blocks)
{
	enum { N = 3000 };
	char *want, *leases;
	size_t size, sizes;
	FILE *w = open_memstream(&want, &size), *l = open_memstream(&leases, &sizes);

	fprintf(w, "net 100.64.0.0/16; tenant red;");
	for (unsigned int i = 0; i < N; i++) {
		unsigned int at = 16 * i, there = 16 * (i + 1);

		fprintf(w, "map 10.0.%u.%u/28;", at >> 8, at & 255);
		fprintf(l, "red 10.0.%u.%u/28 100.64.%u.%u/28\n", at >> 8, at & 255, there >> 8,
			there & 255);
	}
	fclose(w);
	fclose(l);
	gives(want, "", "", leases);
	free(want);
	free(leases);
}

/* Another length is another prefix. */
Test(ipam, leases_of_blocks)
{
	gives(WIDE "map 10.0.0.0/24; map 10.1.0.0/24;", WIDE "map 10.1.0.0/24 lease=100.64.1.0/24;",
	      "",
	      "red 10.0.0.0/24 100.64.2.0/24\n"
	      "red 10.1.0.0/24 100.64.1.0/24\n");
	gives(WIDE "map 10.1.0.0/25;", WIDE "map 10.1.0.0/24 lease=100.64.3.0/24;", "",
	      "red 10.1.0.0/25 100.64.0.128/25\n");
}

/* A VM in a prefix has the address that it has there, and nobody else has one of it. */
Test(ipam, addresses_in_blocks)
{
	gives(WIDE "map 10.0.0.0/24 except=10.0.0.9; map 10.0.0.5; map 10.0.0.9; map 192.168.1.5;",
	      "", "",
	      "red 10.0.0.0/24 100.64.1.0/24\n"
	      "red 10.0.0.5 100.64.1.5\n"
	      "red 10.0.0.9 100.64.0.9\n"
	      "red 192.168.1.5 100.64.1.9\n");
	gives("net fd64::/48; tenant red pool=fd64:0:0:1::/64 pool=fd64:0:0:2::/64; map fd00::/64 "
	      "pin=fd64:0:0:1::/64 except=fd00::7; map fd01::5; map fd02::5;",
	      "", "",
	      "red fd00::/64 fd64:0:0:1::/64\n"
	      "red fd01::5 fd64:0:0:1::7\n"
	      "red fd02::5 fd64:0:0:2::ffa0\n");
	refuses(WIDE "map 10.0.0.0/24 pin=100.64.1.0/24; map 10.0.0.5;",
		WIDE "map 10.0.0.5 lease=100.64.3.5;", "", true,
		"tenant red: `10.0.0.5` is in the prefix `10.0.0.0/24`, where its shared address "
		"is "
		"`100.64.1.5`, not `100.64.3.5`; use that one, or add `10.0.0.5` to `except` of "
		"the "
		"prefix");
	refuses(WIDE "map 10.0.0.0/24 pin=100.64.1.0/24; map 10.7.0.5 pin=100.64.1.5;", "", "",
		true,
		"tenant red: the shared address `100.64.1.5` is in the prefix `100.64.1.0/24` of "
		"tenant "
		"red, for `10.0.0.5`; use another one");
}
