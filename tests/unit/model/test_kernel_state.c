/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"

/*
 * `router` statements, each with the addresses of the `own` statements of that router, and the
 * `way` statements of its namespace.
 */
static struct facts facts_of(const char *text)
{
	_cleanup_kernel_state_ struct kernel_state m = kernel_state_of(text);
	struct facts out = { 0 };

	vec_each (r, &m.routers) {
		struct router_facts *f = vec_push(&out.list);

		f->row = *r;
		vec_each (row, &m.shared) {
			if (row->router == r->id)
				*vec_push(&f->own) = row->shared;
		}
		vec_each (row, &m.routes) {
			if (row->at.netns_ino == r->netns_ino)
				*vec_push(&f->routes) = *row;
		}
	}
	return out;
}

/* With `scope`, one tenant; without, everybody. */
static void wants(const char *definitions, const char *facts, const char *have, char *scope,
		  const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state h = kernel_state_of(have), out;
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_facts_ struct facts f = facts_of(facts);
	struct scope one = { .tenants = &scope, .n = 1 };

	model_sort(&m);
	kernel_state_wanted(&m, &f, &h, scope ? &one : NULL, &out);
	expect_text(kernel_state_text(&out), expected, definitions);
}

Test(kernel_state, nobody)
{
	wants("", "", "", NULL, "");
	wants("net fd64::/64 100.64.0.0/16;", "", "", NULL, "net fd64::/64\nnet 100.64.0.0/16\n");
	wants("tenant red id=1;", "", "", NULL, "");
}

Test(kernel_state, a_router_here)
{
	wants("net 100.64.0.0/16; tenant red id=3; router id=2; map 10.0.0.6 lease=100.64.1.5;"
	      "map 10.0.0.5 db pin=100.64.1.6; map fd00::5 lease=fd64::5;",
	      "router 2 red if=7 mac=1 dev=4 ino=99 hook=auto via=tc build=8; own 100.64.0.2 3 2;"
	      "own fd64::2 3 2;",
	      "", NULL,
	      "net 100.64.0.0/16\n"
	      "own 100.64.0.2 3 2\n"
	      "to 100.64.1.5 10.0.0.6 3 2\n"
	      "to 100.64.1.6 10.0.0.5 3 2\n"
	      "own fd64::2 3 2\n"
	      "to fd64::5 fd00::5 3 2\n"
	      "from 2 10.0.0.5 100.64.1.6\n"
	      "from 2 10.0.0.6 100.64.1.5\n"
	      "from 2 fd00::5 fd64::5\n"
	      "router 2 red if=7 mac=1 dev=4 ino=99 via=tc build=8\n");
	/* without mappings it is attached all the same */
	wants("tenant red id=3; router id=2;", "router 2 red if=7 via=tc; own 100.64.0.2 3 2;", "",
	      NULL, "own 100.64.0.2 3 2\nrouter 2 red if=7 via=tc\n");
}

Test(kernel_state, a_router_elsewhere)
{
	wants("tenant red id=3; map 10.0.0.5 lease=100.64.1.5;", "", "", NULL,
	      "to 100.64.1.5 10.0.0.5 3 0\n");
	/* whatever was found out, where none is defined */
	wants("tenant red id=3; map 10.0.0.5 lease=100.64.1.5;", "router 2 red via=tc;", "", NULL,
	      "to 100.64.1.5 10.0.0.5 3 0\n");
	/* nor is a router here while it is detached: nothing was found out about it */
	wants("tenant red id=3; router id=2 detached; map 10.0.0.5 lease=100.64.1.5;", "", "", NULL,
	      "to 100.64.1.5 10.0.0.5 3 0\n");
}

Test(kernel_state, several_tenants)
{
	wants("tenant red id=1; router id=300; map 10.0.0.5 lease=100.64.1.5;"
	      "tenant blue id=2; router id=2; map 10.0.0.5 lease=100.64.2.5;"
	      "tenant green id=3; map 10.0.0.5 lease=100.64.0.9;"
	      /* no facts about it, but about one of nearly the same name */
	      "tenant re id=4; router id=4 detached; map 10.0.0.5 lease=100.64.0.4;",
	      "router 300 red via=tc; own 100.64.0.1 1 300; router 2 blue via=xdp;"
	      "own 100.64.0.2 2 2;",
	      "", NULL,
	      "own 100.64.0.1 1 300\n"
	      "own 100.64.0.2 2 2\n"
	      "to 100.64.0.4 10.0.0.5 4 0\n"
	      "to 100.64.0.9 10.0.0.5 3 0\n"
	      "to 100.64.1.5 10.0.0.5 1 300\n"
	      "to 100.64.2.5 10.0.0.5 2 2\n"
	      "from 2 10.0.0.5 100.64.2.5\n"
	      "from 300 10.0.0.5 100.64.1.5\n"
	      "router 2 blue via=xdp\n"
	      "router 300 red via=tc\n");
}

#define BOTH                                                           \
	"net 100.64.0.0/16;"                                           \
	"tenant red id=1; router id=1; map 10.0.0.5 lease=100.64.1.5;" \
	"tenant blue id=2; router id=2; map 10.0.0.5 lease=100.64.2.5;"

Test(kernel_state, without_a_scope_what_is_there_does_not_count)
{
	wants(BOTH, "router 1 red via=tc;",
	      "net 100.64.0.0/15; to 100.64.7.7 10.0.0.7 7 7; from 7 10.0.0.7 100.64.7.7;"
	      "router 7 old;",
	      NULL,
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.5 10.0.0.5 1 1\n"
	      "to 100.64.2.5 10.0.0.5 2 0\n"
	      "from 1 10.0.0.5 100.64.1.5\n"
	      "router 1 red via=tc\n");
}

/*
 * A router whatever it is like, and what the definitions say; but no mapping that they do not, as
 * a run that was killed leaves it: its address may be given to somebody in scope now.
 */
Test(kernel_state, out_of_scope_stays_what_is_defined)
{
	static const char theirs[] =
		"own 100.64.0.2 2 2; to 100.64.2.5 10.0.0.5 2 2; from 2 10.0.0.5 100.64.2.5;"
		"router 2 blue if=9 via=xdp broken flags=3; router 7 old;";
	static const char stale[] = "to 100.64.2.77 10.0.0.5 2 2; from 2 10.0.0.6 100.64.2.5; from "
				    "2 10.0.0.77 100.64.2.77;"
				    "to 100.64.7.7 10.0.0.7 7 7; from 7 10.0.0.7 100.64.7.7;";
	static const char with_red[] = "net 100.64.0.0/16\n"
				       "own 100.64.0.1 1 1\n"
				       "own 100.64.0.2 2 2\n"
				       "to 100.64.1.5 10.0.0.5 1 1\n"
				       "to 100.64.2.5 10.0.0.5 2 2\n"
				       "from 1 10.0.0.5 100.64.1.5\n"
				       "from 2 10.0.0.5 100.64.2.5\n"
				       "router 1 red if=3 via=tc\n"
				       "router 2 blue if=9 via=xdp flags=3 broken kept\n"
				       "router 7 old kept\n";
	_cleanup_free_ char *all = NULL;

	wants(BOTH, "router 1 red if=3 via=tc; own 100.64.0.1 1 1;", theirs, "red", with_red);
	/* what is there of the tenant in scope is replaced */
	cr_assert_gt(asprintf(&all, "%s%s%s", theirs, stale,
			      "own 100.64.0.9 1 1; to 100.64.1.66 10.0.0.66 1 1;"
			      "from 1 10.0.0.66 100.64.1.66; router 1 red if=4 via=xdp broken;"),
		     0);
	wants(BOTH, "router 1 red if=3 via=tc; own 100.64.0.1 1 1;", all, "red", with_red);
}

/* Of a router in scope they are what its facts say, of the others what is there. */
Test(kernel_state, groups_out_of_scope_stay)
{
	wants(BOTH, "router 1 red if=3 ino=9;",
	      "router 1 red if=3 ino=9; router 2 blue if=3 ino=8; group 9 3 fd64::1:5;"
	      "group 8 3 fd64::2:5; group 8 3 all off;",
	      "red",
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.5 10.0.0.5 1 1\n"
	      "from 1 10.0.0.5 100.64.1.5\n"
	      "router 1 red if=3 ino=9\n"
	      "router 2 blue if=3 ino=8 kept\n"
	      "group 8 3 all off\n"
	      "group 8 3 fd64::2:5\n");
}

Test(kernel_state, a_tenant_in_scope_that_is_detached)
{
	wants("net 100.64.0.0/16; tenant red id=1; router id=1 detached;"
	      "map 10.0.0.5 lease=100.64.1.5;tenant blue id=2; router id=2;"
	      "map 10.0.0.5 lease=100.64.2.5;",
	      "",
	      "own 100.64.0.1 1 1; to 100.64.1.5 10.0.0.5 1 1; from 1 10.0.0.5 100.64.1.5;"
	      "router 1 red;to 100.64.2.5 10.0.0.5 2 2; from 2 10.0.0.5 100.64.2.5;"
	      "router 2 blue;",
	      "red",
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.5 10.0.0.5 1 0\n"
	      "to 100.64.2.5 10.0.0.5 2 2\n"
	      "from 2 10.0.0.5 100.64.2.5\n"
	      "router 2 blue kept\n");
}

Test(kernel_state, out_of_scope_nothing_comes_anew)
{
	/* blue is defined, and not there: it is not this change's to add */
	wants(BOTH, "router 1 red via=tc;", "", "red",
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.5 10.0.0.5 1 1\n"
	      "from 1 10.0.0.5 100.64.1.5\n"
	      "router 1 red via=tc\n");
	/* a tenant that is not defined: all stays */
	wants(BOTH, "", "to 100.64.1.5 10.0.0.5 1 1; router 1 red;", "green",
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.5 10.0.0.5 1 1\n"
	      "router 1 red kept\n");
}

/* An unreachable route is no interface's: it stays as long as any router is there. */
Test(kernel_state, routers_of_one_namespace)
{
	static const char there[] = "router 1 red if=2 ino=9; router 2 blue if=3 ino=9;"
				    "way 9 0 100.64.0.0/16; way 9 2 100.64.0.0/16;"
				    "way 9 3 100.64.0.0/16;";
	static const char facts[] = "router 1 red if=2 ino=9 via=tc; router 2 blue if=3 ino=9 "
				    "via=tc; way 9 0 100.64.0.0/16;";
	static const char net[] = "net 100.64.0.0/16;"
				  "tenant red id=1; router id=1; tenant blue id=2; router id=2;";

	wants(net, facts, "", NULL,
	      "net 100.64.0.0/16\n"
	      "router 1 red if=2 ino=9 via=tc\n"
	      "router 2 blue if=3 ino=9 via=tc\n"
	      "way 9 0 100.64.0.0/16\n");
	wants(net, "router 1 red if=2 ino=9 via=tc; way 9 0 100.64.0.0/16; way 9 2 100.64.0.0/16;",
	      there, "red",
	      "net 100.64.0.0/16\n"
	      "router 1 red if=2 ino=9 via=tc\n"
	      "router 2 blue if=3 ino=9 kept\n"
	      "way 9 0 100.64.0.0/16\n"
	      "way 9 2 100.64.0.0/16\n"
	      "way 9 3 100.64.0.0/16\n");
	/* red leaves, blue stays, and then nobody */
	wants(net, "", there, "red",
	      "net 100.64.0.0/16\n"
	      "router 2 blue if=3 ino=9 kept\n"
	      "way 9 0 100.64.0.0/16\n"
	      "way 9 3 100.64.0.0/16\n");
	wants(net, "", "router 1 red if=2 ino=9; way 9 0 100.64.0.0/16;", "red",
	      "net 100.64.0.0/16\n");
}

/* A route by an inside interface is that router's: another one in its namespace leaves it there. */
Test(kernel_state, inside_routes_of_one_namespace)
{
	static const char there[] = "router 1 red if=2 ino=9 inside=4; router 2 blue if=3 ino=9 "
				    "inside=5; way 9 4 10.0.0.0/24 via=192.0.2.1;"
				    "way 9 5 10.1.0.0/24 via=192.0.2.5;";
	static const char net[] = "net 100.64.0.0/16;"
				  "tenant red id=1; router id=1; tenant blue id=2; router id=2;";

	wants(net, "router 1 red if=2 ino=9 via=tc inside=4;", there, "red",
	      "net 100.64.0.0/16\n"
	      "router 1 red if=2 inside=4 ino=9 via=tc\n"
	      "router 2 blue if=3 inside=5 ino=9 kept\n"
	      "way 9 5 10.1.0.0/24 via=192.0.2.5\n");
	wants(net, "", there, "red",
	      "net 100.64.0.0/16\n"
	      "router 2 blue if=3 inside=5 ino=9 kept\n"
	      "way 9 5 10.1.0.0/24 via=192.0.2.5\n");
}

/* a counter lost its slot if rows were made anew */
Test(kernel_state, slots_of_rows_out_of_scope_stay)
{
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_of(
		"to 100.64.2.5 10.0.0.5 2 2 slot=17; from 2 10.0.0.5 100.64.2.5 slot=17;");
	_cleanup_model_ struct model m = model_of(BOTH);
	_cleanup_kernel_state_ struct kernel_state out;
	struct facts none = { 0 };
	struct scope nobody = { 0 };

	model_sort(&m);
	kernel_state_wanted(&m, &none, &have, &nobody, &out);
	cr_assert_eq(out.shared.n, 1);
	cr_assert_eq(out.fixed.n, 1);
	cr_expect_eq(out.shared.v[0].slot, 17);
	cr_expect_eq(out.fixed.v[0].slot, 17);
}

/* ------------------------------------------------------------ policy */

#define RULES                                                                                 \
	"tenant red id=1; map 10.0.0.5 db lease=100.64.1.5 packets=7; accept id=3 from=blue;" \
	"tenant blue id=2; map 10.0.0.5 lease=100.64.2.5 rate=9; accept id=4 from=red tcp/80;"

/* What is wanted of RULES for that scope, where the machine is as by `before`. */
static void wants_rules(const char *before, char *scope, const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_by(before), out;
	_cleanup_model_ struct model m = model_of(RULES);
	struct scope one = { .tenants = &scope, .n = 1 };
	struct facts none = { 0 };

	model_sort(&m);
	kernel_state_wanted(&m, &none, &have, scope ? &one : NULL, &out);
	expect_text(policy_text(&out.policy), expected, before);
}

Test(kernel_state, rules_and_limits)
{
	wants_rules("", NULL,
		    "accept 1 - 2 all by 3\n"
		    "accept 2 - 1 blocks\n"
		    "service 2 - 1 1 0:80 by 4\n"
		    "limit 100.64.1.5 0 7\n"
		    "limit 100.64.2.5 9 0\n");
}

Test(kernel_state, rules_out_of_scope_stay_as_they_are_defined)
{
	static const char all[] = "accept 1 - 2 all by 3\n"
				  "accept 2 - 1 blocks\n"
				  "service 2 - 1 1 0:80 by 4\n"
				  "limit 100.64.1.5 0 7\n"
				  "limit 100.64.2.5 9 0\n";

	wants_rules(RULES, "red", all);
	/* nothing of others comes new */
	wants_rules("", "red", "accept 1 - 2 all by 3\nlimit 100.64.1.5 0 7\n");
	wants_rules("", "blue",
		    "accept 2 - 1 blocks\nservice 2 - 1 1 0:80 by 4\nlimit 100.64.2.5 9 0\n");
	/* nor does more stay than is defined, as a run that was killed leaves it */
	wants_rules("tenant red id=1; tenant blue id=2; map 10.0.0.5 lease=100.64.2.5 rate=10;"
		    "accept id=4 from=red tcp/80 tcp/81; accept id=5 from=*; accept id=6 from=red;",
		    "red", all);
}

/* What is in force for a mapping is known by its row of by_fixed too. */
Test(kernel_state, flags_of_mappings)
{
	_cleanup_model_ struct model m =
		model_of("tenant red id=1; router id=1; map 10.0.0.5 db lease=100.64.1.5 packets=7;"
			 "map 10.0.0.6 lease=100.64.1.6; accept id=3 from=* to=db;");
	struct kernel_state nothing = { 0 };
	_cleanup_facts_ struct facts f = facts_of("router 1 red via=tc; own 100.64.0.2 1 1;");
	_cleanup_kernel_state_ struct kernel_state out;
	uint32_t judged = TN_SHARED_MAPPED | TN_SHARED_JUDGED;

	kernel_state_wanted(&m, &f, &nothing, NULL, &out);
	cr_assert_eq(out.shared.n, 3);
	cr_expect_eq(out.shared.v[0].flags, TN_SHARED_OWN);
	cr_expect_eq(out.shared.v[1].flags, judged | TN_SHARED_NAMED | TN_SHARED_LIMITED);
	cr_expect_eq(out.shared.v[2].flags, judged);
	cr_assert_eq(out.fixed.n, 2);
	cr_expect_eq(out.fixed.v[0].flags, out.shared.v[1].flags);
	cr_expect_eq(out.fixed.v[1].flags, judged);
	cr_expect_eq(out.fixed.v[0].tenant, 1);
}

/* A router looks at MAC addresses while there are any. */
Test(kernel_state, mac_addresses)
{
	static const char bound[] = "tenant red id=1; router id=1; map 10.0.0.5 lease=100.64.1.5 "
				    "mac=fa:16:3e:00:00:05; map 10.0.0.6 lease=100.64.1.6;";
	static const char plain[] = "tenant red id=1; router id=1; map 10.0.0.6 lease=100.64.1.6;";
	_cleanup_model_ struct model with = model_of(bound), without = model_of(plain);
	_cleanup_facts_ struct facts f = facts_of("router 1 red via=tc; own 100.64.0.2 1 1;");
	_cleanup_kernel_state_ struct kernel_state out, after, part;
	struct kernel_state nothing = { 0 };
	char *red = "red";
	struct scope one = { .tenants = &red, .n = 1 };

	kernel_state_wanted(&with, &f, &nothing, NULL, &out);
	cr_expect(out.routers.v[0].binds);
	cr_expect(out.shared.v[1].flags & TN_SHARED_BOUND);
	cr_expect_not(out.shared.v[2].flags & TN_SHARED_BOUND);
	cr_expect(out.fixed.v[0].flags & TN_SHARED_BOUND);
	cr_expect_str_eq(MAC(out.fixed.v[0].mac), "fa:16:3e:00:00:05");
	cr_expect_not(out.fixed.v[1].flags & TN_SHARED_BOUND);
	kernel_state_wanted(&without, &f, &out, NULL, &after);
	cr_expect_not(after.routers.v[0].binds);
	/* perhaps there are more than those that are known */
	kernel_state_wanted(&without, &f, &out, &one, &part);
	cr_expect(part.routers.v[0].binds);
}

Test(kernel_state, scope)
{
	char *names[] = { "red", "blue" };
	struct scope two = { .tenants = names, .n = 2 }, nobody = { .tenants = names };

	cr_expect(scope_has(NULL, "red"));
	cr_expect(scope_has(&two, "red"));
	cr_expect(scope_has(&two, "blue"));
	cr_expect_not(scope_has(&two, "green"));
	cr_expect_not(scope_has(&two, "re"));
	cr_expect_not(scope_has(&two, "redd"));
	cr_expect_not(scope_has(&nobody, "red"));
}

Test(kernel_state, sorted)
{
	static const char *const shared[] = { "9.0.0.1",    "100.64.0.2", "100.64.0.10",
					      "100.64.1.0", "fd64::9",	  "fd64::10" };
	static const uint32_t routers[] = { 1, 2, 10, 255, 256, 4095 };
	struct dice d = { .state = 1 };

	for (int round = 0; round < 20; round++) {
		_cleanup_kernel_state_ struct kernel_state m = { 0 };

		for (size_t i = 0; i < ARRAY_SIZE(routers); i++) {
			((struct shared_row *)vec_push(&m.shared))->shared = addr_of(shared[i]);
			((struct router_row *)vec_push(&m.routers))->id = routers[i];
			for (size_t k = 0; k < ARRAY_SIZE(shared); k++)
				*vec_push(&m.fixed) =
					(struct fixed_row){ .router = routers[i],
							    .fixed = addr_of(shared[k]) };
		}
		shuffle(&d, &m.shared);
		shuffle(&d, &m.fixed);
		shuffle(&d, &m.routers);
		kernel_state_sort(&m);
		for (size_t i = 0; i < ARRAY_SIZE(routers); i++) {
			cr_assert_str_eq(ADDR(&m.shared.v[i].shared), shared[i]);
			cr_assert_eq(m.routers.v[i].id, routers[i]);
		}
		for (size_t i = 0; i < m.fixed.n; i++) {
			cr_assert_eq(m.fixed.v[i].router, routers[i / ARRAY_SIZE(shared)]);
			cr_assert_str_eq(ADDR(&m.fixed.v[i].fixed), shared[i % ARRAY_SIZE(shared)]);
		}
	}
}

/* Both rows of a mapping have one number, and no other has it: it finds their counters. */
Test(kernel_state, rows_of_a_mapping_are_a_pair)
{
	_cleanup_model_ struct model m =
		model_of("tenant red id=1; router id=1; map 10.0.0.1 lease=100.64.1.9;"
			 "map 10.0.0.2 lease=100.64.1.8; map fd00::1 lease=fd64::1;"
			 "tenant blue id=2; map 10.0.0.1 lease=100.64.1.1;"
			 "tenant green id=3; router id=2; map 10.0.0.1 lease=100.64.1.5;");
	_cleanup_facts_ struct facts f = facts_of(
		"router 1 red if=2 mac=1 dev=4 ino=9; router 2 green if=2 mac=2 dev=4 ino=8;");
	_cleanup_kernel_state_ struct kernel_state nothing = { 0 }, out;
	uint32_t seen = 0;

	model_sort(&m);
	kernel_state_wanted(&m, &f, &nothing, NULL, &out);
	cr_assert_eq(out.fixed.n, 4);
	vec_each (row, &out.fixed) {
		size_t same = 0;

		cr_assert(row->pair && row->pair <= 4 && !(seen & 1U << row->pair));
		seen |= 1U << row->pair;
		vec_each (shared, &out.shared) {
			if (shared->pair != row->pair)
				continue;
			same++;
			cr_expect_eq(addr_cmp(&shared->shared, &row->shared), 0);
		}
		cr_expect_eq(same, 1);
	}
	vec_each (shared, &out.shared)
		cr_expect_eq(shared->pair == 0, shared->router == TN_ROUTER_ELSEWHERE);
}

Test(kernel_state, prefixes)
{
	static const char here[] = "net 100.64.0.0/16; tenant red id=3; router id=2; map "
				   "10.0.0.0/24 lease=100.64.1.0/24 "
				   "except=10.0.0.1; map fd00::/64 lease=fd64:0:0:1::/64;";

	wants(here, "router 2 red via=tc;", "", NULL,
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.0/24 10.0.0.0/24 3 2\n"
	      "to fd64:0:0:1::/64 fd00::/64 3 2\n"
	      "from 2 10.0.0.0/24 100.64.1.0/24\n"
	      "from 2 fd00::/64 fd64:0:0:1::/64\n"
	      "prefix 0 fd64:0:0:1:: 64 fd64:0:0:1::\n"
	      "prefix 2 fd00:: 64 fd00::\n"
	      "prefix 0 100.64.1.0 120 100.64.1.0\n"
	      "prefix 2 10.0.0.0 120 10.0.0.0\n"
	      "prefix 0 100.64.1.1 128 -\n"
	      "prefix 2 10.0.0.1 128 -\n"
	      "router 2 red via=tc\n");
	/* of a router elsewhere nobody here looks for fixed addresses */
	wants("net 100.64.0.0/16; tenant red id=3; map 10.0.0.0/24 lease=100.64.1.0/24 "
	      "except=10.0.0.1;",
	      "", "", NULL,
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.0/24 10.0.0.0/24 3 0\n"
	      "prefix 0 100.64.1.0 120 100.64.1.0\n"
	      "prefix 0 100.64.1.1 128 -\n");
}

/* What is there of it, and no more. */
Test(kernel_state, prefixes_out_of_scope)
{
	wants("net 100.64.0.0/16; tenant red id=3; tenant blue id=4; router id=5; map 10.0.0.0/24 "
	      "lease=100.64.1.0/24 except=10.0.0.1;",
	      "",
	      "router 5 blue via=tc; to 100.64.1.0/24 10.0.0.0/24 4 5; from 5 10.0.0.0/24 "
	      "100.64.1.0/24; prefix 0 100.64.1.0 120 100.64.1.0; prefix 5 10.0.0.0 120 10.0.0.0; "
	      "prefix 5 10.0.0.1 128 -; prefix 5 10.0.0.9 128 -; prefix 0 100.64.7.0 120 "
	      "100.64.7.0;",
	      "red",
	      "net 100.64.0.0/16\n"
	      "to 100.64.1.0/24 10.0.0.0/24 4 5\n"
	      "from 5 10.0.0.0/24 100.64.1.0/24\n"
	      "prefix 0 100.64.1.0 120 100.64.1.0\n"
	      "prefix 5 10.0.0.0 120 10.0.0.0\n"
	      "prefix 5 10.0.0.1 128 -\n"
	      "router 5 blue via=tc kept\n");
}
