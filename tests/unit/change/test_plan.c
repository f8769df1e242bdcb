/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "change/plan_text.h"
#include "model/prefixes.h"
#include "plan_rows.h"

static void steps(const char *want, const char *have, const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state w = kernel_state_of(want),
						   h = kernel_state_of(have);
	_cleanup_plan_ struct plan p;

	plan_make(&w, &h, &p);
	expect_text(plan_steps(&p), expected, want);
	cr_expect_eq(plan_empty(&p), !*expected, "%s", want);
}

Test(plan, nothing_to_be_done)
{
	steps("", "", "");
	steps(ALL, ALL, "");
	/* what was read has more to it than what is wanted */
	steps(ALL,
	      NET "own 100.64.0.2 1 1; to 100.64.1.5 10.0.0.5 1 1 slot=17;"
		  "from 1 10.0.0.5 100.64.1.5 slot=17;"
		  "router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto via=xdp "
		  "build=8 flags=3;" SETTLED "set 99 ipv4/conf/eth7/forwarding 0;",
	      "");
}

Test(plan, addresses_and_routes)
{
	/* in another namespace, on another interface, of another length */
	steps("addr 9 3 100.64.0.2 112;", "addr 8 3 100.64.0.2 112;",
	      "put addr 9 3 100.64.0.2 112\ndel addr 8 3 100.64.0.2 112\n");
	steps("addr 9 3 100.64.0.2 112;", "addr 9 4 100.64.0.2 112;",
	      "put addr 9 3 100.64.0.2 112\ndel addr 9 4 100.64.0.2 112\n");
	steps("addr 9 3 100.64.0.2 112;", "addr 9 3 100.64.0.2 120;",
	      "move addr 9 3 100.64.0.2 120\nput addr 9 3 100.64.0.2 112\n");
	steps("way 9 3 100.64.0.0/16;", "way 9 3 100.64.0.0/17;",
	      "put way 9 3 100.64.0.0/16\ndel way 9 3 100.64.0.0/17\n");
	/* an unreachable one is another, whatever else leads there */
	steps("way 9 0 100.64.0.0/16; way 9 3 100.64.0.0/16;", "way 9 3 100.64.0.0/16;",
	      "put way 9 0 100.64.0.0/16\n");
	steps("way 9 3 100.64.0.0/16;", "way 9 0 100.64.0.0/16; way 9 3 100.64.0.0/16;",
	      "del way 9 0 100.64.0.0/16\n");
	steps("way 9 0 100.64.0.0/16;", "way 8 0 100.64.0.0/16; way 9 0 100.64.0.0/16;",
	      "del way 8 0 100.64.0.0/16\n");
	/* that of a subnet in a wider one would win, and goes before the probes of that */
	steps("way 9 0 100.64.0.0/10; way 9 3 100.64.0.0/10;",
	      "way 9 0 100.64.0.0/16; way 9 3 100.64.0.0/16;",
	      "put way 9 0 100.64.0.0/10\nput way 9 3 100.64.0.0/10\n"
	      "lose way 9 0 100.64.0.0/16\ndel way 9 3 100.64.0.0/16\n");
	steps("way 9 0 100.64.0.0/16;", "way 9 0 100.64.0.0/10; way 8 0 100.64.0.0/17;",
	      "put way 9 0 100.64.0.0/16\ndel way 8 0 100.64.0.0/17\ndel way 9 0 100.64.0.0/10\n");
	/* what leads another way has to go first: a route is there once */
	steps("way 9 3 100.64.0.0/16 via=100.65.0.1;", "way 9 3 100.64.0.0/16;",
	      "move way 9 3 100.64.0.0/16\nput way 9 3 100.64.0.0/16 via=100.65.0.1\n");
	/* and so has what leads there by another interface */
	steps("way 9 4 10.0.0.0/24 via=192.0.2.1;", "way 9 3 10.0.0.0/24 via=192.0.2.1;",
	      "move way 9 3 10.0.0.0/24 via=192.0.2.1\nput way 9 4 10.0.0.0/24 via=192.0.2.1\n");
	/* a new address comes before the route that prefers it, the old one goes behind it */
	steps("addr 9 3 100.64.0.3 112; way 9 3 100.64.0.0/16 src=100.64.0.3;",
	      "addr 9 3 100.64.0.2 112; way 9 3 100.64.0.0/16 src=100.64.0.2;",
	      "move way 9 3 100.64.0.0/16 src=100.64.0.2\n"
	      "put addr 9 3 100.64.0.3 112\n"
	      "put way 9 3 100.64.0.0/16 src=100.64.0.3\n"
	      "del addr 9 3 100.64.0.2 112\n");
}

/* One that becomes somebody else's goes before he is probed, behind what comes to its interface. */
Test(plan, addresses_that_change_hands)
{
	steps("own 100.64.0.3 1 1; own 100.64.0.2 2 2; addr 8 3 100.64.0.3 112; addr 9 3 "
	      "100.64.0.2 112;",
	      "own 100.64.0.2 1 1; own 100.64.0.3 2 2; addr 8 3 100.64.0.2 112; addr 9 3 "
	      "100.64.0.3 112;",
	      "put own 100.64.0.2 2 2\n"
	      "put own 100.64.0.3 1 1\n"
	      "put addr 8 3 100.64.0.3 112\n"
	      "put addr 9 3 100.64.0.2 112\n"
	      "lose addr 8 3 100.64.0.2 112\n"
	      "lose addr 9 3 100.64.0.3 112\n");
	/* a VM's from now on; and from one interface to another */
	steps("to 100.64.0.2 10.0.0.5 2 2;", "own 100.64.0.2 1 1; addr 8 3 100.64.0.2 112;",
	      "lose addr 8 3 100.64.0.2 112\nput to 100.64.0.2 10.0.0.5 2 2\n");
	steps("own 100.64.0.2 1 1; addr 8 4 100.64.0.2 112;",
	      "own 100.64.0.2 1 1; addr 8 3 100.64.0.2 112;",
	      "put addr 8 4 100.64.0.2 112\nlose addr 8 3 100.64.0.2 112\n");
	/* what a router that stays has no more */
	steps("router 1 red if=3 ino=8; own 100.64.0.3 1 1; addr 8 3 100.64.0.3 112;",
	      "router 1 red if=3 ino=8; own 100.64.0.2 1 1; addr 8 3 100.64.0.2 112;"
	      "way 8 3 100.64.1.0/24 via=100.64.0.9;",
	      "put own 100.64.0.3 1 1\n"
	      "put addr 8 3 100.64.0.3 112\n"
	      "lose way 8 3 100.64.1.0/24 via=100.64.0.9\n"
	      "lose addr 8 3 100.64.0.2 112\n"
	      "del own 100.64.0.2 1 1\n");
	/* the other way round, of IPv6, of which the kernel could answer for a VM's */
	steps("own fd64::5 2 2; addr 8 3 fd64::5 128;",
	      "to fd64::5 fd00::5 1 1; group 9 3 fd64::5;",
	      "put own fd64::5 2 2\nput addr 8 3 fd64::5 128\nlose group 9 3 fd64::5\n");
	steps("to fd64::5 fd00::5 2 2; group 8 3 fd64::5;",
	      "to fd64::5 fd00::5 1 1; group 9 3 fd64::5;",
	      "lose group 9 3 fd64::5\nput group 8 3 fd64::5\nput to fd64::5 fd00::5 2 2\n");
	/* the VMs are so many now that there is no group for each */
	steps("to fd64::5 fd00::5 1 1; group 9 3 all;",
	      "to fd64::5 fd00::5 1 1; group 9 3 fd64::5;",
	      "put group 9 3 all\ndel group 9 3 fd64::5\n");
}

/* Also where the kernel loses it early, the programs have forgotten it by then. */
Test(plan, addresses_that_are_lost_are_forgotten)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_of("router 1 red if=3 ino=8;");
	_cleanup_kernel_state_ struct kernel_state have =
		kernel_state_of("router 1 red if=3 ino=8; own 100.64.0.2 1 1; own 100.64.0.9 7 7;"
				"addr 8 3 100.64.0.2 112;");
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_expect_eq(p.addr_lost.n, 1);
	cr_expect_eq(p.own_del.n, 2);
	cr_assert_eq(p.moved.n, 1);
	cr_expect_eq(p.moved.v[0], &have.shared.v[0]);
}

/* The programs have to know what makes it active; that it is so now is theirs to see. */
Test(plan, routers_that_are_active_by_their_address)
{
	steps("router 1 red if=3 by-address;", "router 1 red if=3;", "renew 1 red\n");
	steps("router 1 red if=3 needs=ipv4;", "router 1 red if=3 by-address;", "renew 1 red\n");
	steps("router 1 red if=3 needs=ipv4;", "router 1 red if=3 needs=ipv6;", "renew 1 red\n");
	steps("router 1 red if=3 by-address grace=5;", "router 1 red if=3 by-address;",
	      "renew 1 red\n");
	steps("router 1 red if=3 standby;", "router 1 red if=3 by-address;", "");
}

Test(plan, groups)
{
	steps("group 9 3 fd64::1:5; group 9 3 fd64::1:6;",
	      "group 9 3 fd64::1:5; group 9 3 fd64::1:7;",
	      "put group 9 3 fd64::1:6\ndel group 9 3 fd64::1:7\n");
	steps("group 9 3 fd64::1:5;", "group 8 3 fd64::1:5;",
	      "put group 9 3 fd64::1:5\ndel group 8 3 fd64::1:5\n");
	/* nothing is missed when one comes in the place of the other */
	steps("group 9 3 all;", "group 9 3 fd64::1:5; group 9 3 fd64::1:6;",
	      "put group 9 3 all\ndel group 9 3 fd64::1:5\ndel group 9 3 fd64::1:6\n");
	steps("group 9 3 fd64::1:5;", "group 9 3 all;",
	      "put group 9 3 fd64::1:5\ndel group 9 3 all\n");
	/* somebody has taken it off */
	steps("group 9 3 all;", "group 9 3 all off;", "put group 9 3 all\n");
	steps("", "group 9 3 all off;", "del group 9 3 all off\n");
}

/* Whose interface is another's goes before anything is tried there. */
Test(plan, routers_that_are_replaced)
{
	steps("router 2 b if=3 ino=9;", "router 1 a if=3 ino=9; router 3 c if=4 ino=9;",
	      "attach 2 b\nreplace 1 a\ndetach 3 c\n");
	steps("router 2 b if=3 ino=9;", "router 1 a if=3 ino=8;", "attach 2 b\ndetach 1 a\n");
	steps("router 2 b if=3 ino=9;", "router 1 a if=3 ino=9; router 2 b if=4 ino=9;",
	      "renew 2 b\nreplace 1 a\n");
}

Test(plan, settings)
{
	steps("set 9 ipv4/conf/a/forwarding 1; set 9 ipv4/conf/b/forwarding 1;",
	      "set 9 ipv4/conf/b/forwarding 1; set 9 ipv4/conf/a/forwarding 0;"
	      "set 8 ipv4/conf/a/forwarding 1;",
	      "put set 9 ipv4/conf/a/forwarding 1\n");
	/* `all` takes every interface along, so that each has to be written behind it */
	steps("set 9 ipv6/conf/all/forwarding 0; set 9 ipv6/conf/a/forwarding 1;"
	      "set 9 ipv6/conf/b/forwarding 0; set 9 ipv4/conf/a/forwarding 1;",
	      "set 9 ipv6/conf/all/forwarding 1; set 9 ipv6/conf/a/forwarding 1;"
	      "set 9 ipv6/conf/b/forwarding 1; set 9 ipv4/conf/a/forwarding 1;",
	      "put set 9 ipv6/conf/all/forwarding 0\n"
	      "put set 9 ipv6/conf/a/forwarding 1\n"
	      "put set 9 ipv6/conf/b/forwarding 0\n");
	steps("set 9 ipv6/conf/all/forwarding 1; set 9 ipv6/conf/a/forwarding 1;",
	      "set 9 ipv6/conf/all/forwarding 1; set 9 ipv6/conf/a/forwarding 0;",
	      "put set 9 ipv6/conf/a/forwarding 1\n");
}

Test(plan, all_of_it)
{
	steps(ALL, "",
	      "subnets\n"
	      "put own 100.64.0.2 1 1\n"
	      "attach 1 red\n"
	      "put addr 99 3 100.64.0.2 112\n"
	      "put way 99 3 100.64.0.0/16 src=100.64.0.2\n"
	      "put set 99 ipv4/conf/lan0/forwarding 1\n"
	      "put from 1 10.0.0.5 100.64.1.5\n"
	      "put to 100.64.1.5 10.0.0.5 1 1\n");
	/* a setting stays as it is: others may count on it now; the programs forget an own address
	 * before the kernel does
	 */
	steps("", ALL,
	      "subnets\n"
	      "del own 100.64.0.2 1 1\n"
	      "del way 99 3 100.64.0.0/16 src=100.64.0.2\n"
	      "del addr 99 3 100.64.0.2 112\n"
	      "del to 100.64.1.5 10.0.0.5 1 1\n"
	      "del from 1 10.0.0.5 100.64.1.5\n"
	      "detach 1 red\n");
}

Test(plan, each_kind_of_step_alone)
{
	steps(NET, "net 100.64.0.0/16;", "subnets\n");
	steps(NET FROM5, NET, "put from 1 10.0.0.5 100.64.1.5\n");
	steps(NET TO5, NET, "put to 100.64.1.5 10.0.0.5 1 1\n");
	steps(NET "own 100.64.0.2 1 1;", NET, "put own 100.64.0.2 1 1\n");
	steps(NET ROUTER, NET, "attach 1 red\n");
	steps(NET "router 1 red if=3;", NET "router 1 red if=4;", "renew 1 red\n");
	steps(NET, NET ROUTER, "detach 1 red\n");
	steps(NET, NET TO5, "del to 100.64.1.5 10.0.0.5 1 1\n");
	steps(NET, NET FROM5, "del from 1 10.0.0.5 100.64.1.5\n");
}

Test(plan, subnets)
{
	steps("net 100.64.0.0/16;", "net 100.64.0.0/17;", "subnets\n");
	steps("net 100.64.0.0/16;", "net 100.65.0.0/16;", "subnets\n");
	steps("net 100.64.0.0/16;", "net 100.64.0.0/16 100.65.0.0/16;", "subnets\n");
	steps("net 100.64.0.0/16;", "", "subnets\n");
}

Test(plan, rows_of_by_shared)
{
	static const char *const had[] = {
		"to 100.64.1.5 10.0.0.6 1 1;", "to 100.64.1.5 10.0.0.5 2 1;",
		"to 100.64.1.5 10.0.0.5 1 2;", "to 100.64.1.5 10.0.0.5 1 0;",
		"to 100.64.1.5 fd00::5 1 1;",  "own 100.64.1.5 1 1;",
	};

	for (size_t i = 0; i < ARRAY_SIZE(had); i++)
		steps(TO5, had[i], "put to 100.64.1.5 10.0.0.5 1 1\n");
	/* another key is another row */
	steps(TO5, "to 100.64.1.6 10.0.0.5 1 1;",
	      "put to 100.64.1.5 10.0.0.5 1 1\ndel to 100.64.1.6 10.0.0.5 1 1\n");
}

/* the same row but for what it is */
Test(plan, flags_of_by_shared)
{
	_cleanup_kernel_state_ struct kernel_state want = kernel_state_of("own 100.64.1.5 1 1;");
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_of("own 100.64.1.5 1 1;");
	_cleanup_plan_ struct plan p;

	have.shared.v[0].flags = TN_SHARED_MAPPED;
	plan_make(&want, &have, &p);
	expect_text(plan_steps(&p), "put own 100.64.1.5 1 1\n", "flags");
}

Test(plan, rows_of_by_fixed)
{
	steps(FROM5, "from 1 10.0.0.5 100.64.1.6;", "put from 1 10.0.0.5 100.64.1.5\n");
	steps(FROM5, "from 2 10.0.0.5 100.64.1.5;",
	      "put from 1 10.0.0.5 100.64.1.5\ndel from 2 10.0.0.5 100.64.1.5\n");
	steps(FROM5, "from 1 10.0.0.6 100.64.1.5;",
	      "put from 1 10.0.0.5 100.64.1.5\ndel from 1 10.0.0.6 100.64.1.5\n");
}

/* The other row has no MAC address, and no more than a flag of it. */
Test(plan, mac_addresses)
{
	steps("from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:05;", FROM5,
	      "put from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:05\n");
	steps("from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:05;",
	      "from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:06;",
	      "end flows of from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:06\n"
	      "put from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:05\n");
	steps(FROM5, "from 1 10.0.0.5 100.64.1.5 mac=fa:16:3e:00:00:06;",
	      "put from 1 10.0.0.5 100.64.1.5\n");
}

Test(plan, a_router_that_is_not_as_wanted)
{
	static const char *const had[] = {
		"router 1 blue if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8;",
		"router 1 red if=2 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8;",
		"router 1 red if=3 inside=4 mac=7 dev=4 ino=99 hook=auto build=8;",
		"router 1 red if=3 inside=4 inside=5 inside=6 mac=7 dev=4 ino=99 hook=auto "
		"build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=6 dev=4 ino=99 hook=auto build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=5 ino=99 hook=auto build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=98 hook=auto build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=tc build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=7;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 "
		"sources=loose;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 "
		"sources=feasible;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 "
		"flows=1024;",
		"router 1 red if=3 inside=4 inside=5 xmit=5 mac=7 dev=4 ino=99 hook=auto build=8;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 fast;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 "
		"own=100.64.0.2;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 "
		"own=fd64::2;",
		"router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto build=8 broken;",
	};

	for (size_t i = 0; i < ARRAY_SIZE(had); i++)
		steps(ROUTER, had[i], "renew 1 red\n");
}

Test(plan, a_router_out_of_scope_is_left_as_it_is)
{
	steps("router 1 red if=3 broken kept; router 2 blue if=3;",
	      "router 1 red if=3 broken; router 2 blue if=3 broken;", "renew 2 blue\n");
	steps("router 1 red if=3 kept;", "router 1 red if=4 build=9;", "");
}

Test(plan, between_others)
{
	/* first, in the middle, last; both ways */
	static const char some[] = "router 2 b if=2; router 4 d if=4; from 1 10.0.0.2 100.64.1.2;"
				   "from 1 10.0.0.4 100.64.1.4; to 100.64.1.2 10.0.0.2 1 1;"
				   "to 100.64.1.4 10.0.0.4 1 1;";
	static const char more[] = "router 1 a if=1; router 2 b if=2; router 3 c if=3; router 4 d "
				   "if=4; router 5 e if=5;"
				   "from 1 10.0.0.1 100.64.1.1; from 1 10.0.0.2 100.64.1.2;"
				   "from 1 10.0.0.3 100.64.1.3; from 1 10.0.0.4 100.64.1.4;"
				   "from 1 10.0.0.5 100.64.1.5; to 100.64.1.1 10.0.0.1 1 1;"
				   "to 100.64.1.2 10.0.0.2 1 1; to 100.64.1.3 10.0.0.3 1 1;"
				   "to 100.64.1.4 10.0.0.4 1 1; to 100.64.1.5 10.0.0.5 1 1;";

	steps(more, some,
	      "attach 1 a\nattach 3 c\nattach 5 e\n"
	      "put from 1 10.0.0.1 100.64.1.1\n"
	      "put from 1 10.0.0.3 100.64.1.3\n"
	      "put from 1 10.0.0.5 100.64.1.5\n"
	      "put to 100.64.1.1 10.0.0.1 1 1\n"
	      "put to 100.64.1.3 10.0.0.3 1 1\n"
	      "put to 100.64.1.5 10.0.0.5 1 1\n");
	steps(some, more,
	      "del to 100.64.1.1 10.0.0.1 1 1\n"
	      "del to 100.64.1.3 10.0.0.3 1 1\n"
	      "del to 100.64.1.5 10.0.0.5 1 1\n"
	      "del from 1 10.0.0.1 100.64.1.1\n"
	      "del from 1 10.0.0.3 100.64.1.3\n"
	      "del from 1 10.0.0.5 100.64.1.5\n"
	      "detach 1 a\ndetach 3 c\ndetach 5 e\n");
}

Test(plan, empty_only_without_any_step)
{
	const struct fixed_row fixed = { 0 };
	const struct shared_row shared = { 0 };
	const struct router_row router = { 0 };
	const struct addr_row address = { 0 };
	const struct route_row route = { 0 };
	const struct group_row group = { 0 };
	struct plan p = { 0 };

	cr_expect(plan_empty(&p));
	p.subnets = true;
	cr_expect_not(plan_empty(&p));
	p.subnets = false;
#define ONE_STEP(member, row)                                 \
	do {                                                  \
		*vec_push(&p.member) = &(row);                \
		cr_expect_not(plan_empty(&p), "%s", #member); \
		vec_free(&p.member);                          \
	} while (0)
	ONE_STEP(fixed_put, fixed);
	ONE_STEP(shared_put, shared);
	ONE_STEP(attach, router);
	ONE_STEP(renew, router);
	ONE_STEP(detach, router);
	ONE_STEP(own_del, shared);
	ONE_STEP(addr_lost, address);
	ONE_STEP(route_lost, route);
	ONE_STEP(group_lost, group);
	ONE_STEP(shared_del, shared);
	ONE_STEP(fixed_del, fixed);
	cr_expect(plan_empty(&p));
	plan_free(&p);
}

/* ------------------------------------------------------------ 500 pairs of machines */

static struct tn_addr random_shared(struct dice *d)
{
	struct tn_addr a = addr_of(chance(d, 80) ? "100.64.1.0" : "fd64::");

	return addr_add(&a, roll(d, 20));
}

static struct tn_addr random_fixed(struct dice *d)
{
	struct tn_addr a = addr_of(chance(d, 80) ? "10.0.0.0" : "fd00::");

	return addr_add(&a, roll(d, 6));
}

static bool has_shared(const struct kernel_state *m, const struct shared_row *row)
{
	vec_each (r, &m->shared) {
		if (shared_row_cmp(r, row) == 0)
			return true;
	}
	return false;
}

static bool has_fixed(const struct kernel_state *m, const struct fixed_row *row)
{
	vec_each (r, &m->fixed) {
		if (fixed_row_cmp(r, row) == 0)
			return true;
	}
	return false;
}

static bool has_router(const struct kernel_state *m, uint32_t id)
{
	vec_each (r, &m->routers) {
		if (r->id == id)
			return true;
	}
	return false;
}

static int setting_cmp(const void *a, const void *b)
{
	const struct setting_row *x = a, *y = b;

	return x->at.netns_ino == y->at.netns_ino ? strcmp(x->path, y->path) : 1;
}

#define HAS(vec, row, cmp)                                    \
	({                                                    \
		bool _has = false;                            \
		for (size_t _i = 0; _i < (vec)->n; _i++)      \
			_has |= cmp(&(vec)->v[_i], row) == 0; \
		_has;                                         \
	})

static struct place random_place(struct dice *d)
{
	return (struct place){ .netns_ino = 1 + roll(d, 2),
			       .ifindex = 1 + roll(d, 2),
			       .tenant = "x" };
}

static void add_settled(struct dice *d, struct kernel_state *m)
{
	static const char *const paths[] = { "ipv4/conf/a/forwarding", "ipv6/conf/all/forwarding" };
	struct addr_row addr = { .at = random_place(d),
				 .addr = random_shared(d),
				 .len = 112 + roll(d, 2) };
	struct route_row route = { .at = random_place(d), .to = prefix_of("100.64.0.0/16") };
	struct group_row group = { .at = random_place(d), .addr = random_shared(d), .on = true };
	struct setting_row setting = { .at = random_place(d), .value = roll(d, 2) };

	if (chance(d, 50))
		route.to = prefix_of("fd64::/64");
	if (chance(d, 30))
		route.at.ifindex = 0;
	if (route.at.ifindex && chance(d, 50))
		route.via = random_shared(d);
	if (route.at.ifindex && chance(d, 50))
		route.src = random_shared(d);
	snprintf(setting.path, sizeof(setting.path), "%s", paths[roll(d, 2)]);
	if (!HAS(&m->addrs, &addr, addr_row_cmp))
		*vec_push(&m->addrs) = addr;
	if (!HAS(&m->routes, &route, route_row_cmp))
		*vec_push(&m->routes) = route;
	if (chance(d, 20))
		group = (struct group_row){ .at = random_place(d), .on = chance(d, 80) };
	if (!HAS(&m->groups, &group, group_row_cmp))
		*vec_push(&m->groups) = group;
	if (!HAS(&m->settings, &setting, setting_cmp))
		*vec_push(&m->settings) = setting;
}

static void add_row(struct dice *d, struct kernel_state *m)
{
	struct shared_row to = { .shared = random_shared(d),
				 .tenant = 1 + roll(d, 2),
				 .router = roll(d, 3),
				 .flags = TN_SHARED_OWN,
				 .slot = roll(d, 100) };
	struct fixed_row from = { .router = 1 + roll(d, 300),
				  .fixed = random_fixed(d),
				  .shared = random_shared(d),
				  .slot = roll(d, 100) };
	struct router_row router = { .id = 1 + roll(d, 8),
				     .ifindex = roll(d, 2),
				     .build = roll(d, 2) };

	if (chance(d, 80)) {
		to.flags = TN_SHARED_MAPPED;
		to.fixed = random_fixed(d);
	}
	router.tenant[0] = 'a' + router.id;
	if (!has_shared(m, &to))
		*vec_push(&m->shared) = to;
	if (!has_fixed(m, &from))
		*vec_push(&m->fixed) = from;
	if (!has_router(m, router.id))
		*vec_push(&m->routers) = router;
	add_settled(d, m);
}

/* Half of the rows of `old`, and new ones that may have keys of the other half. */
static struct kernel_state random_machine(struct dice *d, const struct kernel_state *old)
{
	static const char *const subnets[] = { "100.64.0.0/16", "fd64::/64" };
	struct kernel_state m = { 0 };

	for (uint32_t n = roll(d, 3), i = 0; i < n; i++)
		*vec_push(&m.subnets) = prefix_of(subnets[i]);
	vec_each (row, &old->shared) {
		if (chance(d, 50))
			*vec_push(&m.shared) = *row;
	}
	vec_each (row, &old->fixed) {
		if (chance(d, 50))
			*vec_push(&m.fixed) = *row;
	}
	vec_each (row, &old->routers) {
		if (chance(d, 50))
			*vec_push(&m.routers) = *row;
	}
	vec_each (row, &old->addrs) {
		if (chance(d, 50))
			*vec_push(&m.addrs) = *row;
	}
	vec_each (row, &old->routes) {
		if (chance(d, 50))
			*vec_push(&m.routes) = *row;
	}
	vec_each (row, &old->groups) {
		if (chance(d, 50))
			*vec_push(&m.groups) = *row;
	}
	for (uint32_t n = roll(d, 12); n; n--)
		add_row(d, &m);
	vec_each (row, &m.routers)
		row->broken = chance(d, 10);
	/* in any order, then sorted: machines are compared as what they hold */
	shuffle(d, &m.shared);
	shuffle(d, &m.fixed);
	shuffle(d, &m.routers);
	shuffle(d, &m.addrs);
	shuffle(d, &m.routes);
	shuffle(d, &m.groups);
	kernel_state_sort(&m);
	return m;
}

/* In what is wanted nothing is broken; some of it is somebody else's, as it was found. */
static void random_scope(struct dice *d, struct kernel_state *want, const struct kernel_state *have)
{
	vec_each (w, &want->routers) {
		w->broken = false;
		w->via = HOOK_TC;
		vec_each (h, &have->routers) {
			if (h->id != w->id || !chance(d, 30))
				continue;
			*w = *h;
			w->out_of_scope = true;
		}
	}
}

static void copy_machine(const struct kernel_state *m, struct kernel_state *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (p, &m->subnets)
		*vec_push(&out->subnets) = *p;
	vec_each (row, &m->shared)
		*vec_push(&out->shared) = *row;
	vec_each (row, &m->fixed)
		*vec_push(&out->fixed) = *row;
	vec_each (row, &m->routers)
		*vec_push(&out->routers) = *row;
	vec_each (row, &m->addrs)
		*vec_push(&out->addrs) = *row;
	vec_each (row, &m->routes)
		*vec_push(&out->routes) = *row;
	vec_each (row, &m->groups)
		*vec_push(&out->groups) = *row;
	vec_each (row, &m->settings)
		*vec_push(&out->settings) = *row;
}

/* Take out the row of the same key; false when there is none. */
#define TAKE_OUT(vec, row, cmp)                                       \
	({                                                            \
		bool _found = false;                                  \
		for (size_t _i = 0; _i < (vec)->n && !_found; _i++) { \
			_found = cmp(&(vec)->v[_i], row) == 0;        \
			if (_found)                                   \
				(vec)->v[_i] = (vec)->v[--(vec)->n];  \
		}                                                     \
		_found;                                               \
	})

static int router_id_cmp(const struct router_row *a, const struct router_row *b)
{
	return a->id != b->id;
}

/* Addresses and routes as the kernel takes them: what is there is not put again. */
static void settle(const struct plan *p, struct kernel_state *m)
{
	vec_each (row, &p->route_moved)
		cr_assert(TAKE_OUT(&m->routes, *row, route_row_cmp));
	vec_each (row, &p->addr_moved)
		cr_assert(TAKE_OUT(&m->addrs, *row, addr_row_cmp));
	vec_each (row, &p->addr_put) {
		cr_assert_not(TAKE_OUT(&m->addrs, *row, addr_row_cmp));
		*vec_push(&m->addrs) = **row;
	}
	vec_each (row, &p->addr_lost)
		cr_assert(TAKE_OUT(&m->addrs, *row, addr_row_cmp));
	vec_each (row, &p->route_lost)
		cr_assert(TAKE_OUT(&m->routes, *row, route_row_cmp));
	vec_each (row, &p->group_lost)
		cr_assert(TAKE_OUT(&m->groups, *row, group_row_cmp));
	vec_each (row, &p->route_put) {
		cr_assert_not(TAKE_OUT(&m->routes, *row, route_row_cmp));
		*vec_push(&m->routes) = **row;
	}
	vec_each (row, &p->setting_put) {
		TAKE_OUT(&m->settings, *row, setting_cmp);
		*vec_push(&m->settings) = **row;
	}
	vec_each (row, &p->group_put) {
		TAKE_OUT(&m->groups, *row, group_row_cmp);
		*vec_push(&m->groups) = **row;
	}
	vec_each (row, &p->group_del)
		cr_assert(TAKE_OUT(&m->groups, *row, group_row_cmp));
	vec_each (row, &p->route_del)
		cr_assert(TAKE_OUT(&m->routes, *row, route_row_cmp));
	vec_each (row, &p->addr_del)
		cr_assert(TAKE_OUT(&m->addrs, *row, addr_row_cmp));
}

/* Do to `m` what the plan says. Nothing is removed or renewed that is not there, or attached twice.
 */
static void carry_out(const struct plan *p, const struct kernel_state *want, struct kernel_state *m)
{
	if (p->subnets) {
		vec_free(&m->subnets);
		vec_each (s, &want->subnets)
			*vec_push(&m->subnets) = *s;
	}
	vec_each (row, &p->own_put) {
		TAKE_OUT(&m->shared, *row, shared_row_cmp);
		*vec_push(&m->shared) = **row;
	}
	settle(p, m);
	vec_each (row, &p->fixed_put) {
		TAKE_OUT(&m->fixed, *row, fixed_row_cmp);
		*vec_push(&m->fixed) = **row;
	}
	vec_each (row, &p->shared_put) {
		TAKE_OUT(&m->shared, *row, shared_row_cmp);
		*vec_push(&m->shared) = **row;
	}
	vec_each (row, &p->attach) {
		cr_assert_not(TAKE_OUT(&m->routers, *row, router_id_cmp));
		*vec_push(&m->routers) = **row;
	}
	vec_each (row, &p->renew) {
		cr_assert(TAKE_OUT(&m->routers, *row, router_id_cmp));
		*vec_push(&m->routers) = **row;
	}
	vec_each (row, &p->replaced)
		cr_assert(TAKE_OUT(&m->routers, *row, router_id_cmp));
	vec_each (row, &p->detach)
		cr_assert(TAKE_OUT(&m->routers, *row, router_id_cmp));
	vec_each (row, &p->own_del)
		cr_assert(TAKE_OUT(&m->shared, *row, shared_row_cmp));
	vec_each (row, &p->shared_del)
		cr_assert(TAKE_OUT(&m->shared, *row, shared_row_cmp));
	vec_each (row, &p->fixed_del)
		cr_assert(TAKE_OUT(&m->fixed, *row, fixed_row_cmp));
	kernel_state_sort(m);
}

/* The text of what counts: not what only one of the two sides knows. */
static char *essence(const struct kernel_state *m)
{
	_cleanup_kernel_state_ struct kernel_state copy;

	copy_machine(m, &copy);
	copy.settings.n = 0; /* what is not wanted stays */
	vec_each (r, &copy.routers) {
		r->via = HOOK_AUTO;
		r->flags = 0;
		r->out_of_scope = false;
	}
	return kernel_state_text(&copy);
}

/* Whether a line stands in the text. */
static bool has_line(const char *text, const char *line, size_t n)
{
	for (const char *at = text; (at = strstr(at, line)); at++) {
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	}
	return false;
}

/* No row that stands in both machines is touched: the steps name none of them. */
static void check_untouched(const char *plan, const char *want, const char *have, int round)
{
	_cleanup_free_ char *copy = xstrdup(plan);
	char *save = NULL;

	for (char *step = strtok_r(copy, "\n", &save); step; step = strtok_r(NULL, "\n", &save)) {
		const char *row = strchr(step, ' ');

		if (strncmp(step, "put ", 4) != 0 && strncmp(step, "del ", 4) != 0)
			continue;
		row++;
		cr_assert_not(has_line(want, row, strlen(row)) && has_line(have, row, strlen(row)),
			      "round %d: %s", round, step);
		cr_assert_not(has_line(want, row, strlen(row)) && step[0] == 'd', "round %d: %s",
			      round, step);
		cr_assert_not(has_line(have, row, strlen(row)) && step[0] == 'p', "round %d: %s",
			      round, step);
	}
}

static void check_routers_untouched(const struct plan *p, const struct kernel_state *have)
{
	vec_each (row, &p->renew) {
		cr_assert_not((*row)->out_of_scope);
		vec_each (h, &have->routers)
			cr_assert(h->id != (*row)->id || h->broken ||
				  h->ifindex != (*row)->ifindex || h->build != (*row)->build);
	}
}

/* A plan that does something says something. */
static void check_said(const struct plan *p, const struct kernel_state *have, int round)
{
	_cleanup_plan_text_ struct plan_text text = { 0 };
	struct model none = { 0 };

	plan_describe(p, have, have, &none, &none, &text);
	cr_assert_eq(text.lines.n == 0, plan_empty(p), "round %d", round);
}

Test(plan, carried_out_it_gives_what_was_wanted)
{
	struct dice d = { .state = 5 };
	struct kernel_state nothing = { 0 };

	for (int round = 0; round < 500; round++) {
		_cleanup_kernel_state_ struct kernel_state have = random_machine(&d, &nothing);
		_cleanup_kernel_state_ struct kernel_state want = random_machine(&d, &have), now;
		_cleanup_free_ char *have_text = kernel_state_text(&have), *steps_text, *want_text;
		_cleanup_plan_ struct plan p, more;

		random_scope(&d, &want, &have);
		want_text = kernel_state_text(&want);
		plan_make(&want, &have, &p);
		steps_text = plan_steps(&p);
		check_untouched(steps_text, want_text, have_text, round);
		check_routers_untouched(&p, &have);
		check_said(&p, &have, round);

		copy_machine(&have, &now);
		carry_out(&p, &want, &now);
		free(want_text);
		want_text = essence(&want);
		expect_text(essence(&now), want_text, steps_text);
		plan_make(&want, &now, &more);
		cr_assert(plan_empty(&more), "round %d", round);
	}
}

/* The rows of a plan are those of the machines: what is put is wanted, what is deleted was there.
 */
Test(plan, rows_point_into_the_machines)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_of(TO5 FROM5 "router 1 red if=2; router 2 blue if=1;");
	_cleanup_kernel_state_ struct kernel_state have =
		kernel_state_of("to 100.64.1.6 10.0.0.5 1 1; from 2 10.0.0.5 100.64.1.5;"
				"router 2 blue; router 3 green;");
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	cr_expect_eq(p.shared_put.v[0], &want.shared.v[0]);
	cr_expect_eq(p.fixed_put.v[0], &want.fixed.v[0]);
	cr_expect_eq(p.attach.v[0], &want.routers.v[0]);
	cr_expect_eq(p.renew.v[0], &want.routers.v[1]);
	cr_expect_eq(p.detach.v[0], &have.routers.v[1]);
	cr_expect_eq(p.shared_del.v[0], &have.shared.v[0]);
	cr_expect_eq(p.fixed_del.v[0], &have.fixed.v[0]);
}

#define LAN                                                                   \
	"to 100.64.1.0/24 10.0.0.0/24 1 1; from 1 10.0.0.0/24 100.64.1.0/24;" \
	"prefix 0 100.64.1.0 120 100.64.1.0; prefix 1 10.0.0.0 120 10.0.0.0;"
#define BUT_ONE	 "prefix 0 100.64.1.1 128 -; prefix 1 10.0.0.1 128 -;"
#define ONLY_RED "router 1 red if=3;"

/* Nobody is translated by a prefix who is an exception of it, nor by half of one. */
Test(plan, prefixes)
{
	steps(ONLY_RED LAN BUT_ONE, ONLY_RED,
	      "put prefix 0 100.64.1.1 128 -\n"
	      "put prefix 1 10.0.0.1 128 -\n"
	      "put from 1 10.0.0.0/24 100.64.1.0/24\n"
	      "put to 100.64.1.0/24 10.0.0.0/24 1 1\n"
	      "put prefix 0 100.64.1.0 120 100.64.1.0\n"
	      "put prefix 1 10.0.0.0 120 10.0.0.0\n");
	steps(ONLY_RED, ONLY_RED LAN BUT_ONE,
	      "del prefix 1 10.0.0.0 120 10.0.0.0\n"
	      "del prefix 0 100.64.1.0 120 100.64.1.0\n"
	      "del prefix 1 10.0.0.1 128 -\n"
	      "del prefix 0 100.64.1.1 128 -\n"
	      "del to 100.64.1.0/24 10.0.0.0/24 1 1\n"
	      "del from 1 10.0.0.0/24 100.64.1.0/24\n");
	steps(ONLY_RED LAN BUT_ONE, ONLY_RED LAN,
	      "put prefix 0 100.64.1.1 128 -\nput prefix 1 10.0.0.1 128 -\n");
	steps(ONLY_RED LAN, ONLY_RED LAN, "");
	/* another length is another row */
	steps(ONLY_RED "to 100.64.1.0/25 10.0.0.0/25 1 1; from 1 10.0.0.0/25 100.64.1.0/25;"
		       "prefix 0 100.64.1.0 121 100.64.1.0; prefix 1 10.0.0.0 121 10.0.0.0;",
	      ONLY_RED LAN,
	      "put from 1 10.0.0.0/25 100.64.1.0/25\n"
	      "put to 100.64.1.0/25 10.0.0.0/25 1 1\n"
	      "put prefix 0 100.64.1.0 121 100.64.1.0\n"
	      "put prefix 1 10.0.0.0 121 10.0.0.0\n"
	      "del prefix 1 10.0.0.0 120 10.0.0.0\n"
	      "del prefix 0 100.64.1.0 120 100.64.1.0\n");
}

/* The shared addresses of the rows that are nobody's before others are put. */
static void moves(const char *want, const char *have, const char *moved)
{
	_cleanup_kernel_state_ struct kernel_state w = kernel_state_of(want);
	_cleanup_kernel_state_ struct kernel_state h = kernel_state_of(have);
	_cleanup_plan_ struct plan p;
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	plan_make(&w, &h, &p);
	vec_each (row, &p.moved)
		fprintf(f, "%s ", ROW_SIDE(*row, shared));
	fclose(f);
	expect_text(got, moved, want);
}

#define BLUES(shared, fixed) "to " shared " " fixed " 2 2; from 2 " fixed " " shared ";"
#define LOWER                                                                 \
	"to 100.64.1.0/25 10.0.0.0/25 1 1; from 1 10.0.0.0/25 100.64.1.0/25;" \
	"prefix 0 100.64.1.0 121 100.64.1.0; prefix 1 10.0.0.0 121 10.0.0.0;"
#define UPPER                                                                         \
	"to 100.64.1.128/25 10.0.0.128/25 1 1; from 1 10.0.0.128/25 100.64.1.128/25;" \
	"prefix 0 100.64.1.128 121 100.64.1.128; prefix 1 10.0.0.128 121 10.0.0.128;"

/* An address of a prefix that another VM gets is nobody's in between, and the other way round. */
Test(plan, addresses_between_prefixes)
{
	moves(BLUES("100.64.1.7", "10.0.0.5"), LAN, "100.64.1.0/24 ");
	moves(BLUES("100.64.1.7", "10.0.0.5") BLUES("100.64.1.9", "10.0.0.6"),
	      LAN "to 100.64.1.8 10.0.0.8 1 1; from 1 10.0.0.8 100.64.1.8;", "100.64.1.0/24 ");
	moves("own 100.64.1.7 2 2;", LAN, "100.64.1.0/24 ");
	moves(LAN, BLUES("100.64.1.7", "10.0.0.7") BLUES("100.64.2.7", "10.0.0.8"), "100.64.1.7 ");
	moves(BLUES("100.64.1.128/25", "10.0.0.0/25"), LAN, "100.64.1.0/24 ");
	moves(LAN, BLUES("100.64.1.128/25", "10.0.0.0/25"), "100.64.1.128/25 ");
	moves(LOWER BLUES("100.64.1.128/25", "10.0.0.0/25"), LAN, "100.64.1.0/24 ");
	/* of the same VM, and beside an exception, nothing */
	moves(LOWER UPPER, LAN, "");
	moves(LAN, LOWER UPPER, "");
	moves(LAN, "to 100.64.1.8 10.0.0.8 1 1; from 1 10.0.0.8 100.64.1.8;", "");
	moves("to 100.64.1.8 10.0.0.8 1 1; from 1 10.0.0.8 100.64.1.8;", LAN, "");
	moves(LAN BUT_ONE BLUES("100.64.1.1", "10.0.0.5"), LAN, "");
}
