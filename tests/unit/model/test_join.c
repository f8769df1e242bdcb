/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "model/join.h"
#include "model/on_link.h"

#define RED "net 100.64.0.0/16 fd64::/64; tenant red pool=100.64.1.0/24;"

/* Whether that is a word about what shared0 takes in. */
static bool read_listening(struct ifaces *out, const char *word, bool ours, char **rest)
{
	struct iface *shared = &out->list.v[1];
	struct iface_proxy *p;

	if (strcmp(word, "allmulti") == 0) {
		shared->allmulti = true;
		shared->marked = ours;
	} else if (strcmp(word, "proxy") == 0) {
		p = vec_push(&out->proxies);
		*p = (struct iface_proxy){ 2, addr_of(strtok_r(NULL, " ", rest)), ours };
		if ((word = strtok_r(NULL, " ", rest)))
			p->ifindex = atoi(word + 3);
	} else if (strcmp(word, "lan") == 0) {
		char *text = strtok_r(NULL, " ", rest), *len = strchr(text, '/');
		struct iface_addr *a = vec_push(&out->list.v[0].addrs);

		*len = '\0';
		a->addr = addr_of(text);
		a->len = atoi(len + 1) + (addr_is_v4(&a->addr) ? 96 : 0);
	} else if (strcmp(word, "down") == 0) {
		out->list.v[0].up = false;
	} else {
		return false;
	}
	return true;
}

/*
 * Interfaces lan0 (index 1) and shared0 (2) of a router. `seen`, separated by `;`, what they
 * have: "ADDRESS" of shared0, "PREFIX [via=ADDRESS] [on=INDEX]" a route (on=0: an unreachable one),
 * "proxy ADDRESS [on=INDEX]" an entry for an address, "allmulti" of shared0, "lan ADDRESS/LEN" an
 * address of lan0, "down": lan0 is. A `!` before it: ours.
 */
static struct ifaces ifaces_of(const char *seen)
{
	_cleanup_free_ char *copy = xstrdup(seen);
	struct ifaces out = { 0 };
	char *end = NULL;

	snprintf(vec_push(&out.list)->name, IF_NAMESIZE, "lan0");
	snprintf(vec_push(&out.list)->name, IF_NAMESIZE, "shared0");
	out.list.v[0].index = 1;
	out.list.v[0].up = true;
	out.list.v[1].index = 2;
	for (char *one = strtok_r(copy, ";", &end); one; one = strtok_r(NULL, ";", &end)) {
		char *save = NULL, *word = strtok_r(one, " ", &save);
		bool ours = *word == '!';
		struct iface_route *r;

		word += ours;
		if (read_listening(&out, word, ours, &save))
			continue;
		if (!strchr(word, '/')) {
			*vec_push(&out.list.v[1].addrs) =
				(struct iface_addr){ .addr = addr_of(word), .ours = ours };
			continue;
		}
		r = vec_push(&out.routes);
		*r = (struct iface_route){ .ifindex = 2, .to = prefix_of(word), .ours = ours };
		while ((word = strtok_r(NULL, " ", &save))) {
			if (strncmp(word, "via=", 4) == 0)
				r->via = addr_of(word + 4);
			else
				r->ifindex = atoi(word + 3);
		}
	}
	return out;
}

static struct router_facts facts_of(const char *seen)
{
	struct router_facts f = { .at = { .netns_ino = 9, .ifindex = 2 } };

	f.ifaces = ifaces_of(seen);
	f.row.inside[0] = 1;
	f.has_v6 = true;
	return f;
}

/* ------------------------------------------------------------ which addresses are wanted */

static void wants(const char *definitions, const char *seen, const char *families)
{
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	struct own_address *own = m.tenants.v[0].router->own;
	char text[16] = "";

	join_want_addresses(&m, &ifaces.list.v[1], &m.tenants.v[0]);
	for (int f = 0; f < FAMILIES; f++) {
		if (own[f].wanted)
			strcat(text, f == IPV4 ? "4" : "6");
		cr_expect(own[f].pinned || addr_is_unset(&own[f].addr));
	}
	cr_expect_str_eq(text, families, "%s with %s: %s, not %s", definitions, seen, text,
			 families);
}

Test(join, wants_an_address_where_there_is_none)
{
	wants(RED "router; map 10.0.0.5;", "", "4");
	wants(RED "router; map 10.0.0.5; map fd00::5;", "", "46");
	wants(RED "router; map fd00::5;", "100.64.0.2", "6");
	/* who has one in the shared subnets keeps it; others do not count */
	wants(RED "router; map 10.0.0.5;", "100.64.0.2", "");
	wants(RED "router; map 10.0.0.5;", "192.0.2.1; fe80::1", "4");
	/* ours is there as long as it is wanted */
	wants(RED "router; map 10.0.0.5;", "!100.64.0.2", "4");
	wants(RED "router; map 10.0.0.5;", "!100.64.0.2;100.64.0.3", "");
}

Test(join, wants_one_address_without_mappings)
{
	wants(RED "router;", "", "4");
	wants("net fd64::/64 100.64.0.0/16; tenant red; router;", "", "6");
	wants(RED "router;", "fd64::2", "");
	wants(RED "router;", "100.64.0.2", "");
}

Test(join, wants_what_is_pinned)
{
	wants(RED "router pin=100.64.0.9; map 10.0.0.5;", "100.64.0.2", "4");
	wants(RED "router pin=fd64::9; map 10.0.0.5;", "", "46");
	/* a lease is ipam_assign()'s to find again */
	wants(RED "router lease=100.64.0.9; map 10.0.0.5;", "100.64.0.2", "");
}

/* ------------------------------------------------------------ what is to be there */

static void settles(const char *definitions, const char *seen, const char *text)
{
	_cleanup_model_ struct model m = model_of(definitions);
	struct router_facts f = facts_of(seen);
	struct kernel_state out = { 0 };

	join_see(&m, m.tenants.v[0].router, &f.ifaces.list.v[1], false, &f);
	join_settle(&m, &m.tenants.v[0], &f);
	for (size_t i = 0; i < f.own.n; i++)
		*vec_push(&out.shared) = (struct shared_row){
			.shared = f.own.v[i], .tenant = 1, .router = 1, .flags = TN_SHARED_OWN
		};
	vec_each (row, &f.addrs)
		*vec_push(&out.addrs) = *row;
	vec_each (row, &f.routes)
		*vec_push(&out.routes) = *row;
	vec_each (row, &f.groups)
		*vec_push(&out.groups) = *row;
	vec_each (row, &f.settings)
		*vec_push(&out.settings) = *row;
	kernel_state_sort(&out);
	expect_text(kernel_state_text(&out), text, definitions);
	kernel_state_free(&out);
	ifaces_free(&f.ifaces);
	vec_free(&f.own);
	vec_free(&f.addrs);
	vec_free(&f.routes);
	vec_free(&f.groups);
	vec_free(&f.settings);
}

/* RED's subnets, when they are reached by no other route. */
#define UNREACHABLE "way 9 0 100.64.0.0/16\nway 9 0 fd64::/64\n"

#define FORWARD_V4 "set 9 ipv4/conf/lan0/forwarding 1\nset 9 ipv4/conf/shared0/forwarding 1\n"
#define FORWARD_V6                                                              \
	"set 9 ipv6/conf/all/forwarding 1\nset 9 ipv6/conf/lan0/forwarding 1\n" \
	"set 9 ipv6/conf/shared0/forwarding 1\n"

Test(join, what_is_there_is_left_alone)
{
	settles(RED "router; map 10.0.0.5;", "100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
	/* a wider one, of whomever */
	settles(RED "router; map 10.0.0.5;", "100.64.0.2; 100.64.0.0/10",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
	/* what is pinned may be there already, too */
	settles(RED "router pin=100.64.0.2; map 10.0.0.5;", "100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
}

Test(join, what_is_leased_is_put_there)
{
	settles(RED "router lease=100.64.1.254; map 10.0.0.5;", "10.0.0.1; fe80::1",
		"own 100.64.1.254 1 1\n"
		"addr 9 2 100.64.1.254 128\n" UNREACHABLE
		"way 9 2 100.64.0.0/16 src=100.64.1.254\n" FORWARD_V4);
	/* and stays there */
	settles(RED "router lease=100.64.1.254; map 10.0.0.5;", "!100.64.1.254; !100.64.0.0/16",
		"own 100.64.1.254 1 1\n"
		"addr 9 2 100.64.1.254 128\n" UNREACHABLE
		"way 9 2 100.64.0.0/16 src=100.64.1.254\n" FORWARD_V4);
	settles(RED "router lease=fd64::1:fffe; map fd00::5 lease=fd64::1:5;", "",
		"own fd64::1:fffe 1 1\n"
		"addr 9 2 fd64::1:fffe 128\n" UNREACHABLE "way 9 2 fd64::/64 src=fd64::1:fffe\n"
		"group 9 2 fd64::1:5\n" FORWARD_V6);
	/* beside one that somebody else gave it */
	settles(RED "router pin=100.64.0.9; map 10.0.0.5;", "100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\nown 100.64.0.9 1 1\n"
		"addr 9 2 100.64.0.9 128\n" UNREACHABLE FORWARD_V4);
}

Test(join, routes_that_do_not_do)
{
	static const char red[] = RED "router; map 10.0.0.5;";
	static const char needed[] =
		"own 100.64.0.2 1 1\n" UNREACHABLE "way 9 2 100.64.0.0/16\n" FORWARD_V4;

	settles(red, "100.64.0.2", needed);
	/* narrower, of another interface, through a gateway */
	settles(red, "100.64.0.2; 100.64.0.0/17; 100.64.128.0/17", needed);
	settles(red, "100.64.0.2; 100.64.0.0/16 on=1", needed);
	settles(red, "100.64.0.2; 100.64.0.0/16 via=100.64.0.1", needed);
	settles(red, "100.64.0.2; fd64::/64; 0.0.0.0/0 via=100.64.0.1", needed);
}

/* The tenant has no IPv6 mapping: whoever forwards IPv6 would send it by the default route. */
Test(join, unreachable_when_nothing_else_leads_there)
{
	static const char red[] = RED "router; map 10.0.0.5;";
	_cleanup_model_ struct model m = model_of(red);
	struct router_facts f = facts_of("100.64.0.2");

	settles(red, "100.64.0.2; 100.64.0.0/16; !100.64.0.0/16 on=0; !fd64::/64 on=0",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
	/* somebody else's does the same, but not one to more or less than the subnet */
	settles(red, "100.64.0.2; 100.64.0.0/16; 100.64.0.0/16 on=0",
		"own 100.64.0.2 1 1\nway 9 0 fd64::/64\n" FORWARD_V4);
	settles(red, "100.64.0.2; 100.64.0.0/16; 100.64.0.0/15 on=0; fd64::/65 on=0",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
	/* and it does not do what the on-link route is there for */
	settles(red, "100.64.0.2; 100.64.0.0/16 on=0",
		"own 100.64.0.2 1 1\nway 9 0 fd64::/64\nway 9 2 100.64.0.0/16\n" FORWARD_V4);

	f.has_v6 = false;
	join_settle(&m, &m.tenants.v[0], &f);
	cr_assert_eq(f.routes.n, 1);
	cr_expect_str_eq(PREFIX(&f.routes.v[0].to), "100.64.0.0/16");
}

Test(join, behind_a_gateway)
{
	static const char net[] = "net 100.64.0.0/16 100.65.0.0/16 fd64::/64; tenant red;"
				  "router to=100.65.0.0/16 via=100.64.0.1 to=100.64.9.0/24 "
				  "via=100.64.0.3; map 10.0.0.5;";

	settles(net, "100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\n"
		"way 9 0 100.64.0.0/16\nway 9 0 100.65.0.0/16\nway 9 0 fd64::/64\n"
		"way 9 2 100.64.9.0/24 via=100.64.0.3\n"
		"way 9 2 100.65.0.0/16 via=100.64.0.1\n" FORWARD_V4);
	settles(net,
		"100.64.0.2; 100.64.0.0/16; 100.65.0.0/16 via=100.64.0.1;"
		"100.64.9.0/24 via=100.64.0.4",
		"own 100.64.0.2 1 1\n"
		"way 9 0 100.64.0.0/16\nway 9 0 100.65.0.0/16\nway 9 0 fd64::/64\n"
		"way 9 2 100.64.9.0/24 via=100.64.0.3\n" FORWARD_V4);
	/* the second subnet is on-link unless it is said to be elsewhere */
	settles("net 100.64.0.0/16 100.65.0.0/16; tenant red; router; map 10.0.0.5;",
		"100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\nway 9 0 100.64.0.0/16\nway 9 0 100.65.0.0/16\n"
		"way 9 2 100.65.0.0/16\n" FORWARD_V4);
}

Test(join, behind_a_gateway_inside)
{
	static const char red[] = RED "router behind=10.0.0.0/24 gate=192.0.2.1 "
				      "behind=fd10::/64 gate=fd00::1; map 10.0.0.5;";
	static const char there[] =
		"own 100.64.0.2 1 1\n" UNREACHABLE "way 9 1 10.0.0.0/24 via=192.0.2.1\n"
		"way 9 1 fd10::/64 via=fd00::1\n" FORWARD_V4;
	static const char shared[] = "100.64.0.2; 100.64.0.0/16; ";
	char seen[160];

	/* it is in a subnet of the interface, or on its link */
	for (int i = 0; i < 3; i++) {
		static const char *const by[] = { "lan 192.0.2.2/30; lan fd00::2/64",
						  "192.0.2.0/30 on=1; fd00::1/128 on=1",
						  "lan 192.0.2.2/30; lan fd00::2/64; "
						  "!10.0.0.0/24 via=192.0.2.1 on=1" };

		snprintf(seen, sizeof(seen), "%s%s", shared, by[i]);
		settles(red, seen, there);
	}
	/* another's does the same; the kernel takes none by an interface that is down */
	snprintf(seen, sizeof(seen), "%slan 192.0.2.2/30; 10.0.0.0/23 via=192.0.2.1 on=1", shared);
	settles(red, seen, "own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
	snprintf(seen, sizeof(seen), "%slan 192.0.2.2/30; lan fd00::2/64; down", shared);
	settles(red, seen, "own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
}

static void refuses_gateway(const char *seen, const char *text)
{
	_cleanup_model_ struct model m =
		model_of(RED "router behind=10.0.0.0/24 gate=192.0.2.1; map 10.0.0.5;");
	struct router_facts f = facts_of(seen);
	struct error err = { 0 };

	cr_expect_eq(join_check_inside_routes(m.tenants.v[0].router, &f, &err), text ? -1 : 0);
	cr_expect_str_eq(err.text, text ? text : "", "%s: %s", seen, err.text);
	f.row.standby = true;
	cr_expect_eq(join_check_inside_routes(m.tenants.v[0].router, &f, &err), 0);
	f.row.standby = false;
	f.row.inside[0] = 0;
	cr_expect_eq(join_check_inside_routes(m.tenants.v[0].router, &f, &err), 0);
	router_facts_free(&f);
}

Test(join, a_gateway_that_is_nowhere_inside)
{
	static const char *const elsewhere[] = {
		"lan 192.0.2.6/30; lan fe80::1/64", /* another subnet */
		"lan 192.0.2.6/30; 0.0.0.0/0 on=1", /* what leads everywhere says nothing */
		"lan 192.0.2.6/30; 192.0.2.0/30 on=2",
		"lan 192.0.2.6/30; !192.0.2.0/30 on=1",
	};

	refuses_gateway("lan 192.0.2.2/30", NULL);
	/* down, it may be without its addresses */
	refuses_gateway("lan 192.0.2.6/30; down", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		refuses_gateway(elsewhere[i],
				"the inside route to 10.0.0.0/24: its gateway 192.0.2.1 is in no "
				"subnet of an inside interface; seen: lan0 192.0.2.6/30; correct "
				"`via`, or give an inside interface an address there");
	refuses_gateway("", "the inside route to 10.0.0.0/24: its gateway 192.0.2.1 is in no "
			    "subnet of an inside interface; seen: no address; correct `via`, or "
			    "give an inside interface an address there");
	/* its own address is no gateway */
	refuses_gateway("lan 192.0.2.1/30",
			"the inside route to 10.0.0.0/24: its gateway 192.0.2.1 is in no subnet of "
			"an inside interface; seen: lan0 192.0.2.1/30; correct `via`, or give an "
			"inside interface an address there");
}

/* ------------------------------------------------------------ VMs that look on-link */

static void looks_on_link(const char *router, const char *seen, const char *text)
{
	char definitions[256], buf[ON_LINK_TEXT] = "";
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	struct on_link found;
	struct model m;

	snprintf(definitions, sizeof(definitions),
		 RED "router %s; map 10.0.0.5; map 10.0.0.6; map fd10::5;", router);
	m = model_of(definitions);
	on_link_find(&ifaces, &m.tenants.v[0], (uint32_t[TN_INSIDE_MAX]){ 1 }, &found);
	if (found.n)
		on_link_text(&found, m.tenants.v[0].router, buf);
	cr_expect_str_eq(buf, text, "%s with %s: %s", router, seen, buf);
	model_free(&m);
}

Test(join, vms_behind_a_gateway_that_look_on_link)
{
	static const char transit[] = "behind=10.0.0.0/24 gate=192.0.2.1";
	static const char both[] =
		"10.0.0.5 and 1 others: 192.0.2.1 leads there, but lan0 has an address in the same "
		"network, 10.0.0.0/24: the router looks for the VM on that link, and what it sends "
		"by the gateway is dropped (`sources: strict`)";

	looks_on_link("", "lan 10.0.0.1/24; lan fd10::1/64", "");
	looks_on_link(transit, "lan 192.0.2.2/30; lan fd10::1/64", "");
	looks_on_link(transit, "lan 192.0.2.2/30; lan 10.0.0.9/24", both);
	looks_on_link("behind=10.0.0.0/16 gate=192.0.2.1", "lan 192.0.2.2/30; lan 10.0.0.9/24",
		      both);
	looks_on_link(
		"sources=feasible behind=10.0.0.0/16 gate=192.0.2.1",
		"lan 192.0.2.2/30; lan 10.0.0.9/24",
		"10.0.0.5 and 1 others: 192.0.2.1 leads there, but lan0 has an address in the "
		"same network, 10.0.0.0/24: the router looks for the VM on that link");
	/* a route that is narrower than the network leads past it */
	looks_on_link("behind=10.0.0.5/32 gate=192.0.2.1 behind=10.0.0.6/32 gate=192.0.2.1",
		      "lan 192.0.2.2/30; lan 10.0.0.9/24", "");
	/* by somebody's own route; the default one leads everywhere */
	looks_on_link("", "lan 192.0.2.2/30; lan 10.0.0.9/24; 10.0.0.0/16 via=192.0.2.1 on=1",
		      both);
	looks_on_link("", "lan 192.0.2.2/30; lan 10.0.0.9/24; 0.0.0.0/0 via=192.0.2.1 on=1", "");
	looks_on_link("", "lan 192.0.2.2/30; lan 10.0.0.9/24; 10.0.0.0/16 via=192.0.2.1 on=2", "");
	/* an address of the router itself is no VM behind anything */
	looks_on_link(transit, "lan 192.0.2.2/30; lan 10.0.0.5/30",
		      "10.0.0.6: 192.0.2.1 leads there, but lan0 has an address in the same "
		      "network, 10.0.0.4/30: the router looks for the VM on that link, and what it "
		      "sends by the gateway is dropped (`sources: strict`)");
}

Test(join, vms_on_the_link_of_their_gateway)
{
	looks_on_link("behind=10.9.0.0/24 gate=10.0.0.1", "lan 10.0.0.9/24",
		      "10.0.0.5 and 1 others: in the network 10.0.0.0/24 of lan0, as the gateway "
		      "10.0.0.1: what a VM there sends by that gateway is dropped (`sources: "
		      "strict`)");
	looks_on_link(
		"behind=fd99::/64 gate=fd10::1", "lan fd10::9/64; lan 10.0.0.1/24",
		"fd10::5: in the network fd10::/64 of lan0, as the gateway fd10::1: what a VM "
		"there sends by that gateway is dropped (`sources: strict`)");
	looks_on_link("behind=10.9.0.0/24 gate=10.0.0.5", "lan 10.0.0.4/31", "");
}

/* ------------------------------------------------------------ groups */

#define SIX_IS_THERE "fd64::2; fd64::/64"

/* For each mapped IPv6 address, whatever group it shares with others. */
Test(join, solicitations_for_mapped_addresses)
{
	static const char two[] = RED "router; map 10.0.0.5 lease=100.64.1.5;"
				      "map fd00::5 lease=fd64::1:5; map fd00::6 lease=fd64::9:1:5;";
	static const char both[] = "own fd64::2 1 1\n" UNREACHABLE "group 9 2 fd64::1:5\n"
				   "group 9 2 fd64::9:1:5\n" FORWARD_V4 FORWARD_V6;
	static const char one[] =
		"own fd64::2 1 1\n" UNREACHABLE "group 9 2 fd64::9:1:5\n" FORWARD_V4 FORWARD_V6;

	settles(two, SIX_IS_THERE, both);
	/* ours stay, and of those of others on other interfaces nothing comes */
	settles(two, SIX_IS_THERE "; !proxy fd64::1:5; proxy fd64::1:5 on=1", both);
	settles(two, SIX_IS_THERE "; proxy fd64::1:5", one);
	/* who has all-multicast may take it off again */
	settles(two, SIX_IS_THERE "; allmulti", both);
	settles(two, SIX_IS_THERE "; !allmulti", both);
	settles(RED "router; map 10.0.0.5 lease=100.64.1.5;", "100.64.0.2; 100.64.0.0/16",
		"own 100.64.0.2 1 1\n" UNREACHABLE FORWARD_V4);
}

/* What a router with so many mapped IPv6 addresses gets: "each", "all", or nothing. */
static const char *hears(size_t n, const char *seen)
{
	struct model m = model_of(RED "router; map 10.0.0.5 lease=100.64.1.5;");
	struct router_facts f = facts_of(seen);
	struct tn_addr fixed = addr_of("fd00::"), shared = addr_of("fd64::1:0");
	const char *text = "";

	for (size_t i = 0; i < n; i++)
		*vec_push(&m.tenants.v[0].mappings) =
			(struct mapping){ .fixed = addr_add(&fixed, i),
					  .shared = addr_add(&shared, i) };
	join_settle(&m, &m.tenants.v[0], &f);
	if (f.groups.n)
		text = addr_is_unset(&f.groups.v[0].addr) ? "all" : "each";
	cr_expect_eq(f.groups.n, *text == 'e' ? n : *text == 'a');
	vec_each (row, &f.groups)
		cr_expect(row->on);
	router_facts_free(&f);
	model_free(&m);
	return text;
}

Test(join, all_multicast_for_very_many)
{
	cr_expect_str_eq(hears(1, ""), "each");
	cr_expect_str_eq(hears(GROUPS_MAX, ""), "each");
	cr_expect_str_eq(hears(GROUPS_MAX + 1, ""), "all");
	cr_expect_str_eq(hears(10 * GROUPS_MAX, ""), "all");
	/* ours stays, and goes when the number falls; somebody else's is not taken for ours */
	cr_expect_str_eq(hears(GROUPS_MAX + 1, "!allmulti"), "all");
	cr_expect_str_eq(hears(GROUPS_MAX, "!allmulti"), "each");
	cr_expect_str_eq(hears(GROUPS_MAX + 1, "allmulti"), "");
}

Test(join, the_address_that_errors_come_from)
{
	_cleanup_model_ struct model m =
		model_of(RED "router pin=100.64.0.9; map 10.0.0.5; map fd00::5;");
	struct router_facts f = facts_of("100.64.0.2;fd64::2");

	join_see(&m, m.tenants.v[0].router, &f.ifaces.list.v[1], false, &f);
	join_settle(&m, &m.tenants.v[0], &f);
	cr_expect_str_eq(ADDR(&f.row.own[IPV4]), "100.64.0.9");
	cr_expect_str_eq(ADDR(&f.row.own[IPV6]), "fd64::2");
	cr_expect_eq(f.settings.n, 5);
}

Test(join, what_writing_all_takes_along)
{
	struct router_facts f = facts_of("");
	struct kernel_state out = { 0 };

	snprintf(vec_push(&f.ifaces.list)->name, IF_NAMESIZE, "eth7");
	f.ifaces.list.v[2].index = 7;
	join_touched(&f, &out);
	vec_each (row, &out.settings)
		row->value = 0;
	expect_text(kernel_state_text(&out),
		    "set 9 ipv6/conf/all/forwarding 0\n"
		    "set 9 ipv6/conf/default/forwarding 0\n"
		    "set 9 ipv4/conf/lan0/forwarding 0\n"
		    "set 9 ipv4/conf/shared0/forwarding 0\n"
		    "set 9 ipv6/conf/lan0/forwarding 0\n"
		    "set 9 ipv6/conf/shared0/forwarding 0\n"
		    "set 9 ipv6/conf/eth7/forwarding 0\n",
		    "touched");
}

/* ------------------------------------------------------------ active by its address */

#define BY_ADDRESS "router active=address"
#define ELECTED	   "router active=elected pin=100.64.0.2"

static const char *activity(const char *router, const char *seen, bool granted)
{
	_cleanup_model_ struct model m = model_of(RED);
	_cleanup_model_ struct model with = { 0 };
	struct router_row row = { 0 };
	struct ifaces ifaces = ifaces_of(seen);
	char text[256];

	snprintf(text, sizeof(text), RED "%s;", router);
	with = model_of(text);
	join_see_active(&with, with.tenants.v[0].router, &ifaces.list.v[1], granted, &row);
	ifaces_free(&ifaces);
	cr_expect(row.by_address || !row.standby);
	if (row.elected)
		return row.standby ? "elected standby" : "elected and active";
	return !row.by_address ? "always" : row.standby ? "standby" : "active";
}

Test(join, active_by_its_address)
{
	static const struct {
		const char *router, *seen, *is;
	} cases[] = {
		{ "router", "", "always" },
		{ "router pin=100.64.0.2", "", "always" },
		/* any address in the shared subnets */
		{ BY_ADDRESS, "", "standby" },
		{ BY_ADDRESS, "192.0.2.1;fe80::1", "standby" },
		{ BY_ADDRESS, "100.64.0.7", "active" },
		{ BY_ADDRESS, "fd64::7", "active" },
		/* these */
		{ BY_ADDRESS " pin=100.64.0.2", "100.64.0.7;fd64::7", "standby" },
		{ BY_ADDRESS " pin=100.64.0.2", "100.64.0.7;100.64.0.2", "active" },
		{ BY_ADDRESS " pin=fd64::2", "100.64.0.2", "standby" },
		{ BY_ADDRESS " pin=fd64::2", "fd64::2", "active" },
		{ BY_ADDRESS " pin=fd64::2 pin=100.64.0.2", "fd64::2", "standby" },
		{ BY_ADDRESS " pin=fd64::2 pin=100.64.0.2", "100.64.0.2", "standby" },
		{ BY_ADDRESS " pin=fd64::2 pin=100.64.0.2", "100.64.0.2;fd64::2", "active" },
		/* ours goes; and a lease of before is none */
		{ BY_ADDRESS, "!100.64.0.7", "standby" },
		{ BY_ADDRESS " pin=100.64.0.2", "!100.64.0.2", "standby" },
		{ BY_ADDRESS " lease=100.64.0.2", "100.64.0.7", "active" },
		/* somebody else gave it the address, or it is too late */
		{ ELECTED, "", "elected standby" },
		{ ELECTED, "100.64.0.2", "elected standby" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_str_eq(activity(cases[i].router, cases[i].seen, false), cases[i].is,
				 "%s; %s", cases[i].router, cases[i].seen);
	cr_expect_str_eq(activity(ELECTED, "", true), "elected standby");
	cr_expect_str_eq(activity(ELECTED, "100.64.0.2", true), "elected and active");
}

/* Which the kernel does not use. */
Test(join, an_address_that_another_host_has)
{
	struct iface_addr a = { .addr = addr_of("fd64::2"), .failed = true };
	struct iface shared = { .addrs = { .v = &a, .n = 1 } };
	struct router_row row = { .by_address = true };
	struct prefix subnet = prefix_of("fd64::/64");

	cr_expect_not(iface_makes_active(&shared, &row, &subnet, 1));
	a.failed = false;
	cr_expect(iface_makes_active(&shared, &row, &subnet, 1));
}

Test(join, nobody_gives_it_an_address)
{
	wants(RED BY_ADDRESS "; map 10.0.0.5; map fd00::5;", "", "");
	wants(RED BY_ADDRESS " pin=100.64.0.2; map 10.0.0.5; map fd00::5;", "", "4");
	settles(RED BY_ADDRESS " pin=100.64.0.2; map 10.0.0.5;", "100.64.0.2",
		"own 100.64.0.2 1 1\n" UNREACHABLE
		"way 9 2 100.64.0.0/16 src=100.64.0.2\n" FORWARD_V4);
}

/* What the programs are to know of it is there already; the rest comes with the address. */
Test(join, a_standby_is_given_nothing)
{
	settles(RED BY_ADDRESS " pin=100.64.0.2 pin=fd64::2; map 10.0.0.5; map fd00::5 "
			       "lease=fd64::5;",
		"100.64.0.2", "own 100.64.0.2 1 1\nown fd64::2 1 1\n");
	settles(RED BY_ADDRESS "; map 10.0.0.5; map fd00::5 lease=fd64::5;", "", "");
}
