/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "change/plan_text.h"
#include "plan_rows.h"

static void says(const char *will, const char *had, const char *want, const char *have,
		 const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state w = kernel_state_of(want),
						   h = kernel_state_of(have);
	_cleanup_model_ struct model now = model_of(will), before = model_of(had);
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_plan_ struct plan p;
	char *got = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&got, &n);

	model_sort(&now);
	model_sort(&before);
	plan_make(&w, &h, &p);
	plan_describe(&p, &w, &h, &before, &now, &text);
	vec_each (line, &text.lines)
		fprintf(f, "%c %s\n", line->sign, line->text);
	fclose(f);
	expect_text(got, expected, "plan");
}

/* Definitions only: the machine does not change. */
static void says_of(const char *will, const char *had, const char *expected)
{
	says(will, had, ALL, ALL, expected);
}

Test(plan_text, nothing)
{
	says_of("", "", "");
	says_of("net 100.64.0.0/16; tenant red id=1 pool=100.64.1.0/24;"
		"router id=1 netns=red inside=lan0;map 10.0.0.5 db pin=100.64.1.5;"
		"map 10.0.0.6 lease=100.64.1.6;",
		"net 100.64.0.0/16; tenant red id=1 pool=100.64.1.0/24;"
		"router id=1 netns=red inside=lan0;map 10.0.0.6 lease=100.64.1.6;"
		"map 10.0.0.5 db pin=100.64.1.5;",
		"");
}

Test(plan_text, first_apply)
{
	says(NET
	     "tenant red id=2; router id=1 netns=red hook=auto; map 10.0.0.5 db lease=100.64.1.9;"
	     "map 10.0.0.6 lease=100.64.1.6; map fd00::5 db lease=fd64::5;"
	     "tenant blue id=1; map 10.0.0.5 lease=100.64.2.5;",
	     "",
	     NET "router 1 red hook=auto via=tc; own 100.64.0.2 2 1; to 100.64.1.9 10.0.0.5 2 1;"
		 "to 100.64.1.6 10.0.0.6 2 1; to 100.64.2.5 10.0.0.5 1 0; to fd64::5 fd00::5 2 1;"
		 "from 1 10.0.0.5 100.64.1.9; from 1 10.0.0.6 100.64.1.6; from 1 fd00::5 fd64::5;",
	     "",
	     "+ tenant blue\n"
	     "+ tenant red\n"
	     "+ router red: netns red, hook tc\n"
	     "+ router address red 100.64.0.2\n"
	     "+ mapping red 10.0.0.6 -> 100.64.1.6\n"
	     "+ mapping red/db 10.0.0.5 -> 100.64.1.9\n"
	     "+ mapping blue 10.0.0.5 -> 100.64.2.5\n"
	     "+ mapping red/db fd00::5 -> fd64::5\n");
}

Test(plan_text, everything_goes)
{
	says("",
	     NET "tenant red id=2; router id=1 netns=red; map 10.0.0.5 db lease=100.64.1.9;"
		 "map 10.0.0.6 lease=100.64.1.6;",
	     "",
	     NET
	     "router 1 red hook=auto via=xdp; own 100.64.0.2 2 1; to 100.64.1.9 10.0.0.5 2 1;"
	     "to 100.64.1.6 10.0.0.6 2 1; from 1 10.0.0.5 100.64.1.9; from 1 10.0.0.6 100.64.1.6;",
	     "- tenant red\n"
	     "- router red: netns red, hook xdp\n"
	     "- router address red 100.64.0.2\n"
	     "- mapping red 10.0.0.6 -> 100.64.1.6\n"
	     "- mapping red/db 10.0.0.5 -> 100.64.1.9\n");
}

Test(plan_text, tenants)
{
	says_of("tenant a; tenant b; tenant c; tenant d; tenant e;", "tenant b; tenant d;",
		"+ tenant a\n+ tenant c\n+ tenant e\n");
	says_of("tenant b; tenant d;", "tenant e; tenant d; tenant c; tenant b; tenant a;",
		"- tenant a\n- tenant c\n- tenant e\n");
	says_of("tenant crimson;", "tenant red;", "+ tenant crimson\n- tenant red\n");
}

/* What is said of the way from `had` to `now`, and of the way back. */
struct way {
	const char *had;
	const char *there;
	const char *back;
};

static void say_ways(const char *now, const struct way *ways, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		says_of(now, ways[i].had, ways[i].there);
		says_of(ways[i].had, now, ways[i].back);
	}
	says_of(now, now, "");
}

Test(plan_text, pools)
{
#define NOW "100.64.1.0/24, 100.64.2.0/24"
#define WAY(had, text)                                            \
	{                                                         \
		had, "~ tenant red: pool " text " → " NOW "\n",   \
			"~ tenant red: pool " NOW " → " text "\n" \
	}
	static const struct way ways[] = {
		WAY("tenant red;", "(all)"),
		WAY("tenant red pool=100.64.1.0/24;", "100.64.1.0/24"),
		WAY("tenant red pool=100.64.1.0/24 pool=100.64.2.0/25;",
		    "100.64.1.0/24, 100.64.2.0/25"),
		WAY("tenant red pool=100.64.1.0/24 pool=100.64.3.0/24;",
		    "100.64.1.0/24, 100.64.3.0/24"),
		/* it is looked through in this order */
		WAY("tenant red pool=100.64.2.0/24 pool=100.64.1.0/24;",
		    "100.64.2.0/24, 100.64.1.0/24"),
	};
#undef WAY
#undef NOW

	say_ways("tenant red pool=100.64.1.0/24 pool=100.64.2.0/24;", ways, ARRAY_SIZE(ways));
}

Test(plan_text, mac_addresses)
{
#define VM "tenant red; map 10.0.0.5 db pin=100.64.1.5"
	static const struct way ways[] = {
		{ VM ";", "~ mapping red 10.0.0.5: MAC address none → fa:16:3e:00:00:05\n",
		  "~ mapping red 10.0.0.5: MAC address fa:16:3e:00:00:05 → none\n" },
		{ VM " mac=fa:16:3e:00:00:06;",
		  "~ mapping red 10.0.0.5: MAC address fa:16:3e:00:00:06 → fa:16:3e:00:00:05\n",
		  "~ mapping red 10.0.0.5: MAC address fa:16:3e:00:00:05 → fa:16:3e:00:00:06\n" },
	};

	say_ways(VM " mac=fa:16:3e:00:00:05;", ways, ARRAY_SIZE(ways));
#undef VM
}

Test(plan_text, subnets)
{
	says_of("net 100.64.0.0/16 fd64::/64;", "net 100.64.0.0/16;",
		"~ shared network: subnets 100.64.0.0/16 → 100.64.0.0/16, fd64::/64\n");
	says_of("net 100.65.0.0/16; tenant red;", "net 100.64.0.0/16;",
		"~ shared network: subnets 100.64.0.0/16 → 100.65.0.0/16\n+ tenant red\n");
	says_of("net 100.64.0.0/16; zone b.c;", "net 100.64.0.0/16; zone a;",
		"~ shared network: zone of names a → b.c\n");
	says_of("net 100.64.0.0/16;", "net 100.64.0.0/16; zone a;",
		"~ shared network: zone of names a → none\n");
	/* the first definitions, and the last */
	says_of("net 100.65.0.0/16; tenant red;", "", "+ tenant red\n");
	says_of("", "net 100.65.0.0/16; tenant red;", "- tenant red\n");
}

/* Every property, with what it was and what it is. */
Test(plan_text, definition_of_a_router)
{
#define ROUTER_NOW "netns=red shared=shared0 inside=lan0 hook=tc"
	static const struct way ways[] = {
		{ "tenant red;", "~ tenant red: router elsewhere → here\n",
		  "~ tenant red: router here → elsewhere\n" },
		{ "tenant red; router netns=blue shared=shared0 inside=lan0 hook=tc;",
		  "~ router red: netns blue → red\n", "~ router red: netns red → blue\n" },
		{ "tenant red; router shared=shared0 inside=lan0 hook=tc;",
		  "~ router red: netns (own) → red\n", "~ router red: netns red → (own)\n" },
		{ "tenant red; router netns=red shared=shared1 inside=lan0 hook=tc;",
		  "~ router red: shared shared1 → shared0\n",
		  "~ router red: shared shared0 → shared1\n" },
		{ "tenant red; router netns=red inside=lan0 hook=tc;",
		  "~ router red: shared (found) → shared0\n",
		  "~ router red: shared shared0 → (found)\n" },
		{ "tenant red; router netns=red shared=shared0 inside=lan1 hook=tc;",
		  "~ router red: inside lan1 → lan0\n", "~ router red: inside lan0 → lan1\n" },
		{ "tenant red; router netns=red shared=shared0 inside=lan0 inside=lan1 hook=tc;",
		  "~ router red: inside lan0, lan1 → lan0\n",
		  "~ router red: inside lan0 → lan0, lan1\n" },
		{ "tenant red; router netns=red shared=shared0 inside=lan* hook=tc;",
		  "~ router red: inside lan* → lan0\n", "~ router red: inside lan0 → lan*\n" },
		{ "tenant red; router netns=red shared=shared0 hook=tc;",
		  "~ router red: inside (found) → lan0\n",
		  "~ router red: inside lan0 → (found)\n" },
		{ "tenant red; router " ROUTER_NOW " hook=xdp;", "~ router red: hook xdp → tc\n",
		  "~ router red: hook tc → xdp\n" },
		{ "tenant red; router " ROUTER_NOW " sources=loose;",
		  "~ router red: sources loose → strict\n",
		  "~ router red: sources strict → loose\n" },
		{ "tenant red; router " ROUTER_NOW " forwarding=stack;",
		  "~ router red: forwarding stack → auto\n",
		  "~ router red: forwarding auto → stack\n" },
		{ "tenant red; router " ROUTER_NOW " detached;",
		  "~ router red: programs detached → attached\n",
		  "~ router red: programs attached → detached\n" },
		{ "tenant red; router " ROUTER_NOW " pin=100.64.0.9 pin=fd64::9;",
		  "~ router red: address 100.64.0.9, fd64::9 → none\n",
		  "~ router red: address none → 100.64.0.9, fd64::9\n" },
		{ "tenant red; router " ROUTER_NOW " host=hv1 host=hv2;",
		  "~ router red: hosts hv1, hv2 → (any)\n",
		  "~ router red: hosts (any) → hv1, hv2\n" },
		{ "tenant red; router " ROUTER_NOW " flows=65536;",
		  "~ router red: flows 65536 → 16384\n", "~ router red: flows 16384 → 65536\n" },
		{ "tenant red; router " ROUTER_NOW " active=address;",
		  "~ router red: active address → always\n",
		  "~ router red: active always → address\n" },
		{ "tenant red; router " ROUTER_NOW " grace=5;",
		  "~ router red: takeover-grace 5s → 0s\n",
		  "~ router red: takeover-grace 0s → 5s\n" },
		{ "tenant red; router elsewhere " ROUTER_NOW " host=hv9;",
		  "~ tenant red: router elsewhere → here\n~ router red: hosts hv9 → (any)\n",
		  "~ tenant red: router here → elsewhere\n~ router red: hosts (any) → hv9\n" },
		/* two at once, in one line */
		{ "tenant red; router netns=red shared=shared0 inside=lan0 hook=xdp sources=loose;",
		  "~ router red: hook xdp → tc, sources loose → strict\n",
		  "~ router red: hook tc → xdp, sources strict → loose\n" },
	};

	say_ways("tenant red; router " ROUTER_NOW ";", ways, ARRAY_SIZE(ways));
	says_of("tenant red; router elsewhere host=hv2;", "tenant red; router elsewhere host=hv1;",
		"~ router red: hosts hv1 → hv2\n");
	says_of("tenant red pool=100.64.1.0/24; router;", "tenant red;",
		"~ tenant red: pool (all) → 100.64.1.0/24, router elsewhere → here\n");
#undef ROUTER_NOW
}

Test(plan_text, routes_of_a_router)
{
	_cleanup_model_ struct model had = model_of("tenant red; router netns=red;");
	_cleanup_model_ struct model will = model_of("tenant red; router netns=red;");
	_cleanup_plan_text_ struct plan_text text = { 0 };
	struct route *r = vec_push(&will.tenants.v[0].router->routes);
	struct kernel_state none = { 0 };
	struct plan p = { 0 };

	prefix_parse("100.65.0.0/16", &r->to);
	addr_parse("100.64.0.1", &r->via);
	plan_describe(&p, &none, &none, &had, &will, &text);
	cr_assert_eq(text.lines.n, 1);
	cr_expect_str_eq(text.lines.v[0].text,
			 "router red: routes none → 100.65.0.0/16 via 100.64.0.1");
}

Test(plan_text, inside_routes_of_a_router)
{
	static const char before[] = "tenant red; router netns=red behind=10.0.0.0/24 "
				     "gate=192.0.2.1;";

	says_of("tenant red; router netns=red behind=10.0.0.0/24 gate=192.0.2.1 behind=fd10::/64 "
		"gate=fd00::1;",
		"tenant red; router netns=red;",
		"~ router red: inside-routes none → 10.0.0.0/24 via 192.0.2.1, fd10::/64 via "
		"fd00::1\n");
	says_of("tenant red; router netns=red behind=10.0.0.0/24 gate=192.0.2.2;", before,
		"~ router red: inside-routes 10.0.0.0/24 via 192.0.2.1 → 10.0.0.0/24 via "
		"192.0.2.2\n");
	says_of("tenant red; router netns=red;", before,
		"~ router red: inside-routes 10.0.0.0/24 via 192.0.2.1 → none\n");
}

Test(plan_text, labels_of_mappings)
{
	static const char plain[] = "tenant red; map 10.0.0.5 lease=100.64.1.5;";
	static const char named[] = "tenant red; map 10.0.0.5 db lease=100.64.1.5;";
	static const char pinned[] = "tenant red; map 10.0.0.5 pin=100.64.1.5;";

	says_of(named, plain, "~ mapping red 10.0.0.5: name none → db\n");
	says_of("tenant red; map 10.0.0.5 web lease=100.64.1.5;", named,
		"~ mapping red 10.0.0.5: name db → web\n");
	says_of(plain, named, "~ mapping red 10.0.0.5: name db → none\n");
	says_of(pinned, plain, "~ mapping red 10.0.0.5: shared address leased → pinned\n");
	says_of(plain, pinned, "~ mapping red 10.0.0.5: shared address pinned → leased\n");
	says_of("tenant red; map 10.0.0.5 db pin=100.64.1.5;", plain,
		"~ mapping red 10.0.0.5: name none → db, shared address leased → pinned\n");
	/* only of mappings that are in both: here 6 and 8 */
	says_of("tenant red; map 10.0.0.5 a; map 10.0.0.6 b; map 10.0.0.8 d; map 10.0.0.9 e;",
		"tenant red; map 10.0.0.4; map 10.0.0.6; map 10.0.0.7; map 10.0.0.8;"
		"map 10.0.0.10;",
		"~ mapping red 10.0.0.6: name none → b\n"
		"~ mapping red 10.0.0.8: name none → d\n");
	says_of(named, "tenant red;", "");
	says_of("tenant red;", named, "");
}

Test(plan_text, routers)
{
	static const char one[] = "tenant red id=1; router id=1 netns=red;";
	static const char own[] = "tenant red id=1; router id=1;";

	says(one, one, "router 1 red via=xdp-generic;", "",
	     "+ router red: netns red, hook xdp-generic\n");
	says(one, one, "router 1 red via=tc;", "router 1 red via=xdp if=9;",
	     "~ router red: index of the shared interface 9 → 0, hook xdp → tc\n");
	says(one, one, "", "router 1 red via=xdp;", "- router red: netns red, hook xdp\n");
	says(own, own, "router 1 red via=tc;", "", "+ router red: netns (own), hook tc\n");
	/* not known what it came to: what was asked for */
	says(one, one, "", "router 1 red hook=xdp;", "- router red: netns red, hook xdp\n");
	says(one, one, "", "router 1 red;", "- router red: netns red, hook auto\n");
	/* where it is to be, and for one that goes, where it was */
	says("tenant red id=1; router id=1 netns=red2;", one, "router 1 red via=tc;",
	     "router 1 red via=tc if=9;", "~ router red: netns red → red2\n");
	says("tenant red id=1;", one, "", "router 1 red via=tc;",
	     "~ tenant red: router here → elsewhere\n"
	     "- router red: netns red, hook tc\n");
	/* first what is added, then what changes, then what goes */
	says("tenant a; router netns=a; tenant b; router netns=b; tenant c; router netns=c;",
	     "tenant a; router netns=a; tenant b; router netns=b; tenant c; router netns=c;",
	     "router 2 b via=tc; router 3 c via=tc;",
	     "router 1 a via=tc; router 2 b via=tc broken;",
	     "+ router c: netns c, hook tc\n"
	     "~ router b: what is missing of its programs comes back\n"
	     "- router a: netns a, hook tc\n");
}

Test(plan_text, mappings)
{
	static const char now[] =
		"tenant red id=1; map 10.0.0.5 db lease=100.64.1.5; map 10.0.0.6;";
	static const char before[] =
		"tenant red id=1; map 10.0.0.5 db lease=100.64.1.5; map 10.0.0.7 web;"
		"map 10.0.0.6;";

	says(now, now, TO5, "", "+ mapping red/db 10.0.0.5 -> 100.64.1.5\n");
	says(now, now, "to 100.64.1.6 10.0.0.6 1 1;", "", "+ mapping red 10.0.0.6 -> 100.64.1.6\n");
	says(now, before, TO5, "to 100.64.1.5 10.0.0.7 1 1;",
	     "~ mapping red/db 10.0.0.5 -> 100.64.1.5, before of red/web 10.0.0.7\n");
	says(now, before, "", "to 100.64.1.7 10.0.0.7 1 1;",
	     "- mapping red/web 10.0.0.7 -> 100.64.1.7\n");
	/* the name that it had, and the one that it has */
	says("tenant red id=1; map 10.0.0.5 new;", "tenant red id=1; map 10.0.0.5 old;", TO5,
	     "to 100.64.1.6 10.0.0.5 1 1;",
	     "~ mapping red 10.0.0.5: name old → new\n"
	     "+ mapping red/new 10.0.0.5 -> 100.64.1.5\n"
	     "- mapping red/old 10.0.0.5 -> 100.64.1.6\n");
	/* another shared address */
	says("tenant red id=1; map 10.0.0.5 db lease=100.64.1.5;",
	     "tenant red id=1; map 10.0.0.5 db lease=100.64.1.77;", TO5 FROM5,
	     "to 100.64.1.77 10.0.0.5 1 1; from 1 10.0.0.5 100.64.1.77;",
	     "~ mapping red/db 10.0.0.5: shared address 100.64.1.77 → 100.64.1.5\n");
	/* two exchange theirs */
	says("tenant red id=1; map 10.0.0.5 lease=100.64.1.5; map 10.0.0.6 lease=100.64.1.6;",
	     "tenant red id=1; map 10.0.0.5 lease=100.64.1.6; map 10.0.0.6 lease=100.64.1.5;",
	     "to 100.64.1.5 10.0.0.5 1 1; to 100.64.1.6 10.0.0.6 1 1;",
	     "to 100.64.1.6 10.0.0.5 1 1; to 100.64.1.5 10.0.0.6 1 1;",
	     "~ mapping red 10.0.0.5: shared address 100.64.1.6 → 100.64.1.5\n"
	     "~ mapping red 10.0.0.6: shared address 100.64.1.5 → 100.64.1.6\n");
	/* of which the definitions do not know */
	says(now, now, TO5 FROM5, "to 100.64.1.77 10.0.0.5 1 1; from 1 10.0.0.5 100.64.1.77;",
	     "+ mapping red/db 10.0.0.5 -> 100.64.1.5\n"
	     "- mapping red/db 10.0.0.5 -> 100.64.1.77\n");
	/* the same mapping, now of a router elsewhere */
	says(now, now, "to 100.64.1.5 10.0.0.5 1 0;", TO5 FROM5,
	     "~ mapping red/db 10.0.0.5 -> 100.64.1.5, before of another router\n");
	says(now, now, TO5 FROM5, "to 100.64.1.5 10.0.0.5 1 0;",
	     "~ mapping red/db 10.0.0.5 -> 100.64.1.5, before of a router elsewhere\n");
	/* it was a router's own */
	says(now, now, TO5, "own 100.64.1.5 1 1;",
	     "~ mapping red/db 10.0.0.5 -> 100.64.1.5, before of the router of red\n");
	/* a tenant of a higher id than any in force, and of one that is not in use any more */
	says("tenant blue id=9; map 10.0.0.5;", "tenant red id=4; map 10.0.0.5 db;",
	     "to 100.64.1.9 10.0.0.5 9 0;", "to 100.64.1.4 10.0.0.5 4 0;",
	     "+ tenant blue\n"
	     "- tenant red\n"
	     "+ mapping blue 10.0.0.5 -> 100.64.1.9\n"
	     "- mapping red/db 10.0.0.5 -> 100.64.1.4\n");
}

Test(plan_text, addresses_of_routers)
{
	static const char one[] = "tenant red id=1; router id=1;";

	says(one, one, "own 100.64.0.2 1 1;", "", "+ router address red 100.64.0.2\n");
	says(one, one, "own fd64::2 1 1;", "own fd64::2 1 2;",
	     "~ router address red fd64::2, before of another router\n");
	says(one, one, "", "own 100.64.0.2 1 1;", "- router address red 100.64.0.2\n");
}

static void place(struct place *at)
{
	at->tenant = at->netns_ino == 9 ? "red" : "blue";
	snprintf(at->name, sizeof(at->name), "shared%u", at->ifindex);
}

/* Rows that the definitions in force do not explain: a state that was lost. */
static struct kernel_state rows_of(const char *text)
{
	struct kernel_state m = kernel_state_of(text);

	vec_each (row, &m.groups)
		place(&row->at);
	vec_each (row, &m.addrs)
		place(&row->at);
	vec_each (row, &m.routes)
		place(&row->at);
	vec_each (row, &m.settings)
		place(&row->at);
	return m;
}

/* A line for a router, however many there are. */
Test(plan_text, groups)
{
	_cleanup_kernel_state_ struct kernel_state w =
		rows_of("group 8 3 fd64::1; group 8 4 fd64::1;"
			"group 9 3 all;");
	_cleanup_kernel_state_ struct kernel_state h =
		rows_of("group 9 3 fd64::1; group 9 3 fd64::2;");
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_plan_ struct plan p;
	struct model none = { 0 };
	static const char *const lines[] = { "solicited-node groups blue 1 on shared3",
					     "solicited-node groups blue 1 on shared4",
					     "all-multicast red on shared3",
					     "solicited-node groups red 2 on shared3" };

	plan_make(&w, &h, &p);
	plan_describe(&p, &w, &h, &none, &none, &text);
	cr_assert_eq(text.lines.n, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		cr_expect_str_eq(text.lines.v[i].text, lines[i]);
		cr_expect_eq(text.lines.v[i].sign, i < 3 ? '+' : '-');
	}
}

Test(plan_text, unknown_tenants)
{
	says("", "", "", "to 100.64.1.5 10.0.0.5 7 1; own 100.64.0.2 7 1;",
	     "- router address ? 100.64.0.2\n"
	     "- mapping ? 10.0.0.5 -> 100.64.1.5\n");
	says("tenant red id=1;", "tenant red id=1;", "", "to 100.64.1.5 10.0.0.5 0 1;",
	     "- mapping ? 10.0.0.5 -> 100.64.1.5\n");
	says("tenant red id=9;", "tenant red id=9;", "", "to 100.64.1.5 10.0.0.5 4 1;",
	     "- mapping ? 10.0.0.5 -> 100.64.1.5\n");
}

Test(plan_text, what_nothing_else_explains)
{
	says("", "", "net 100.64.0.0/16;", "net 100.64.0.0/15;",
	     "~ shared network: subnets 100.64.0.0/15 → 100.64.0.0/16\n");
	says("", "", FROM5 "from 1 10.0.0.6 100.64.1.6;",
	     "from 1 10.0.0.5 100.64.1.6; from 2 10.0.0.6 100.64.1.6;",
	     "~ 3 reverse entries repaired\n");
	says("", "", "", FROM5 "from 2 10.0.0.6 100.64.1.6;", "~ 2 reverse entries repaired\n");
	/* not beside a line that explains them */
	says("tenant red id=1;", "tenant red id=1;", TO5 FROM5, "",
	     "+ mapping red 10.0.0.5 -> 100.64.1.5\n");
}

Test(plan_text, order_of_lines)
{
	says("tenant blue id=2; router id=2 netns=blue;tenant red id=1 pool=100.64.1.0/24;"
	     "router id=1 netns=red; map 10.0.0.5 db lease=100.64.1.5;"
	     "map 10.0.0.6 lease=100.64.1.6;",
	     "tenant green id=3; map 10.0.0.5 lease=100.64.3.5;"
	     "tenant red id=1; router id=1 netns=red; map 10.0.0.5 lease=100.64.1.5;",
	     "net 100.64.0.0/16; router 1 red via=tc; router 2 blue via=xdp; own 100.64.0.2 1 1;"
	     "own 100.64.0.3 2 2; to 100.64.1.5 10.0.0.5 1 1; to 100.64.1.6 10.0.0.6 1 1;",
	     "net 100.64.0.0/15; router 1 red via=tc broken; own 100.64.0.2 1 1;"
	     "to 100.64.1.5 10.0.0.5 1 1; to 100.64.3.5 10.0.0.5 3 0;",
	     "+ tenant blue\n"
	     "- tenant green\n"
	     "~ tenant red: pool (all) → 100.64.1.0/24\n"
	     "~ mapping red 10.0.0.5: name none → db\n"
	     "+ router blue: netns blue, hook xdp\n"
	     "~ router red: what is missing of its programs comes back\n"
	     "+ router address blue 100.64.0.3\n"
	     "+ mapping red 10.0.0.6 -> 100.64.1.6\n"
	     "- mapping green 10.0.0.5 -> 100.64.3.5\n");
}

/* The machine as it is by the definitions, before and after. */
static void says_by(const char *will, const char *had, const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state want = kernel_state_by(will),
						   have = kernel_state_by(had);
	_cleanup_model_ struct model now = model_of(will), before = model_of(had);
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_plan_ struct plan p;
	char *got = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&got, &n);

	model_sort(&now);
	model_sort(&before);
	plan_make(&want, &have, &p);
	plan_describe(&p, &want, &have, &before, &now, &text);
	vec_each (line, &text.lines)
		fprintf(f, "%c %s\n", line->sign, line->text);
	fclose(f);
	expect_text(got, expected, will);
}

/* The flags of a mapping change with its rules; it is the same mapping all the same. */
Test(plan_text, rules)
{
	says_by(TWO "; accept id=1 from=blue to=db tcp/5432 udp/8000-8099 icmp;", TWO ";",
		"+ rule of red: from blue to db tcp/5432, udp/8000-8099, icmp\n");
	says_by(TWO ";", TWO "; accept id=1 from=blue from=red;",
		"- rule of red: from blue, red\n");
	says_by(TWO "; accept id=1 from=*; accept id=3 from=blue to=db to=10.0.0.5;",
		TWO "; accept id=1 from=*; accept id=2 from=blue;",
		"+ rule of red: from blue to db, 10.0.0.5\n- rule of red: from blue\n");
	says_by(TWO "; accept id=1 from=*;", TWO "; accept id=1 from=*;", "");
	says_by(TWO "; accept id=1 from=* until=1806537600;", TWO "; accept id=2 from=* tcp/80;",
		"+ rule of red: from * until 2027-03-31\n- rule of red: from * tcp/80\n");
	says_by(TWO "; accept;", TWO ";", "~ tenant red: accept none → []\n");
	says_by(TWO ";", TWO "; accept;", "~ tenant red: accept [] → none\n");
	says_by(TWO "; accept id=1 from=blue; accept id=2 from=*;",
		TWO "; accept id=2 from=*; accept id=1 from=blue;",
		"~ tenant red: order of accept\n");
	says_by(TWO "; accept id=3 from=red; accept id=1 from=blue; accept id=2 from=*;",
		TWO "; accept id=1 from=blue; accept id=2 from=*;", "+ rule of red: from red\n");
}

/* One that owns no row, because another accepts the same before it, is a rule all the same. */
Test(plan_text, rules_without_rows)
{
	says_by(TWO "; accept id=1 from=*; accept id=2 from=*;", TWO "; accept id=1 from=*;",
		"+ rule of red: from *\n");
}

Test(plan_text, limits)
{
	says_by(TWO " rate=1000 packets=5;", TWO ";",
		"~ mapping red/db 10.0.0.5: limit none → 8000 bit/s burst 1000 bytes, "
		"5 packets/s\n");
	says_by(TWO " rate=1000;", TWO " rate=1001;",
		"~ mapping red/db 10.0.0.5: limit 8008 bit/s burst 1001 bytes → 8000 bit/s burst "
		"1000 bytes\n");
	says_by(TWO ";", TWO " packets=5;",
		"~ mapping red/db 10.0.0.5: limit 5 packets/s → none\n");
	says_by(TWO " packets=5;", "tenant blue id=2; tenant red id=1;",
		"+ mapping red/db 10.0.0.5 -> 100.64.1.5, limit 5 packets/s\n");
}

/* Each difference for which a router is renewed although its definitions are the same. */
Test(plan_text, renewed_routers)
{
	static const char one[] = "tenant red id=1; router id=1 netns=red;";
	static const struct {
		const char *want, *have, *said;
	} cases[] = {
		{ "if=3", "if=4", "index of the shared interface 4 → 3" },
		{ "inside=4 inside=5", "inside=4", "indexes inside 4 → 4, 5" },
		{ "ino=9", "ino=8", "another namespace" },
		{ "fast", "ruled", "packets take stack (netfilter has rules) → fast" },
		{ "ipsec", "fast", "packets take fast → stack (IPsec has policies)" },
		{ "via=tc", "via=xdp hook=xdp", "hook xdp → tc" },
		{ "sources=loose", "", "sources strict → loose" },
		{ "flows=65536", "flows=16384", "flows 16384 → 65536" },
		{ "mac=7", "mac=8", "MAC address 00:00:00:00:00:08 → 00:00:00:00:00:07" },
		{ "own=100.64.0.2", "own=100.64.0.3 own=fd64::2",
		  "own address 100.64.0.3, fd64::2 → 100.64.0.2" },
		{ "build=2", "build=1", "programs of this version" },
		{ "", "broken", "what is missing of its programs comes back" },
		{ "xmit=4", "", "renewed" },
		{ "build=2 if=3", "build=1",
		  "index of the shared interface 0 → 3, programs of this version" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char want[128], have[128], said[256];

		snprintf(want, sizeof(want), "router 1 red %s;", cases[i].want);
		snprintf(have, sizeof(have), "router 1 red %s;", cases[i].have);
		snprintf(said, sizeof(said), "~ router red: %s\n", cases[i].said);
		says(one, one, want, have, said);
	}
	/* one line with what the definitions say, and nothing that follows from it */
	says("tenant red id=1; router id=1 netns=red sources=loose;", one,
	     "router 1 red sources=loose mac=7;", "router 1 red mac=8;",
	     "~ router red: sources strict → loose, MAC address 00:00:00:00:00:08 → "
	     "00:00:00:00:00:07\n");
	says("tenant blue id=1; router id=1 netns=red;", one, "router 1 blue;", "router 1 red;",
	     "+ tenant blue\n- tenant red\n~ router blue: tenant red → blue\n");
}

/* Rows of the kernel that are there, with another value. */
static void says_rows(const char *want, const char *have, const char *expected)
{
	_cleanup_kernel_state_ struct kernel_state w = rows_of(want), h = rows_of(have);
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_plan_ struct plan p;
	struct model none = { 0 };

	plan_make(&w, &h, &p);
	plan_describe(&p, &w, &h, &none, &none, &text);
	cr_assert_eq(text.lines.n, 1);
	cr_expect_eq(text.lines.v[0].sign, '~');
	cr_expect_str_eq(text.lines.v[0].text, expected);
}

Test(plan_text, addresses_routes_and_settings)
{
	says_rows("addr 9 3 100.64.0.2 128;", "addr 9 3 100.64.0.2 112;",
		  "address red 100.64.0.2/16 → 100.64.0.2/32 on shared3");
	says_rows("way 9 3 100.64.0.0/16 via=100.64.0.1 src=100.64.0.2;",
		  "way 9 3 100.64.0.0/16 src=100.64.0.3;",
		  "route red 100.64.0.0/16 on shared3: via none → 100.64.0.1, source 100.64.0.3 → "
		  "100.64.0.2");
	says_rows("set 9 ipv4/conf/lan0/forwarding 1;", "set 9 ipv4/conf/lan0/forwarding 0;",
		  "setting red ipv4/conf/lan0/forwarding 0 → 1");
	says_rows("set 9 ipv4/conf/lan0/forwarding 1;", "",
		  "setting red ipv4/conf/lan0/forwarding = 1");
}

/* The machine alone, as a run that was killed leaves it. */
Test(plan_text, entries_repaired)
{
	_cleanup_kernel_state_ struct kernel_state want =
		kernel_state_by(TWO "; accept id=1 from=*;");
	_cleanup_kernel_state_ struct kernel_state have =
		kernel_state_by(TWO "; accept id=1 from=* tcp/80;");
	_cleanup_model_ struct model m = model_of(TWO "; accept id=1 from=*;");
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	plan_describe(&p, &want, &have, &m, &m, &text);
	cr_expect_not(plan_empty(&p));
	cr_assert_eq(text.lines.n, 1);
	cr_expect_str_eq(text.lines.v[0].text, "who is accepted: entries repaired");
}

/* The first ones are kept, all are counted. */
Test(plan_text, as_many_lines_as_are_asked_for)
{
	_cleanup_kernel_state_ struct kernel_state want = kernel_state_of(
		"to 100.64.1.1 10.0.0.1 1 0; to 100.64.1.2 10.0.0.2 1 0; to 100.64.1.3 "
		"10.0.0.3 1 0;");
	_cleanup_kernel_state_ struct kernel_state have = kernel_state_of(
		"to 100.64.1.3 10.0.0.4 1 0; to 100.64.1.4 10.0.0.5 1 0; to 100.64.1.5 "
		"10.0.0.6 1 0;");
	struct model none = { 0 };
	_cleanup_plan_ struct plan p;

	plan_make(&want, &have, &p);
	for (size_t keep = 0; keep < 7; keep++) {
		_cleanup_plan_text_ struct plan_text text = { .keep = keep };

		plan_describe(&p, &want, &have, &none, &none, &text);
		cr_expect_eq(text.lines.n, keep && keep < 5 ? keep : 5);
		cr_expect_eq(text.added, 2);
		cr_expect_eq(text.changed, 1);
		cr_expect_eq(text.removed, 2);
	}
}
