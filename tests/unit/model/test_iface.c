/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "model/iface.h"

static uint32_t index_of(const struct ifaces *ifaces, const char *name)
{
	vec_each (i, &ifaces->list) {
		if (strcmp(i->name, name) == 0)
			return i->index;
	}
	cr_assert_fail("no interface '%s'", name);
	return 0;
}

static void read_word(const struct ifaces *ifaces, const char *word, struct iface *i)
{
	if (*word == '[' || *word == '<') {
		snprintf(i->kind, sizeof(i->kind), "%.*s", (int)strlen(word) - 2, word + 1);
		i->ethernet &= *word == '[';
	} else if (strncmp(word, "master=", 7) == 0) {
		i->master = index_of(ifaces, word + 7);
	} else if (strncmp(word, "on=", 3) == 0) {
		i->link = index_of(ifaces, word + 3);
	} else if (strncmp(word, "far=", 4) == 0) {
		i->link = atoi(word + 4);
		i->link_elsewhere = true;
	} else {
		vec_push(&i->addrs)->addr = addr_of(word);
	}
}

/*
 * Interfaces, separated by `;`: NAME and then addresses, the kind in brackets:
 * "lo 127.0.0.1; shared0 [veth] 100.64.0.2". `lo` is loopback, `tun…`, and what has a kind in
 * `<>`, no Ethernet. `master=` and `on=` name one that stands before it, `far=` an index elsewhere.
 */
static struct ifaces ifaces_of(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct ifaces out = { 0 };
	char *end = NULL;

	for (char *one = strtok_r(copy, ";", &end); one; one = strtok_r(NULL, ";", &end)) {
		char *save = NULL, *word = strtok_r(one, " ", &save);
		struct iface *i = vec_push(&out.list);

		i->index = out.list.n;
		snprintf(i->name, sizeof(i->name), "%s", word);
		i->loopback = strcmp(word, "lo") == 0;
		i->ethernet = !i->loopback && strncmp(word, "tun", 3) != 0;
		while ((word = strtok_r(NULL, " ", &save)))
			read_word(&out, word, i);
	}
	return out;
}

/* `name`: what the router's `shared` says; NULL: to be found. Exactly one of `found` and `error`.
 */
static void shared_is(const char *seen, const char *name, const char *found, const char *error)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16 fd64::/64;");
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	struct router r = { .shared = (char *)name };
	struct error err = { 0 };
	const struct iface *i = iface_shared(&ifaces, &r, &m, &err);

	cr_expect_str_eq(err.text, error ? error : "");
	cr_expect_not(err.usage);
	cr_expect_eq(!i, !found, "%s", seen);
	cr_expect(!i || !found || strcmp(i->name, found) == 0, "%s: %s", seen, i ? i->name : "");
}

static const char usual[] =
	"lo 127.0.0.1 ::1;lan0 [veth] 10.0.0.1 fe80::1;shared0 [veth] 100.64.0.2 fe80::2";

Test(iface, found_by_its_address)
{
	shared_is(usual, NULL, "shared0", NULL);
	/* first, in the other family, behind other addresses */
	shared_is("eth0 192.0.2.1 fd64::2;lo 127.0.0.1", NULL, "eth0", NULL);
	/* two addresses on one interface are one interface */
	shared_is("eth0 100.64.0.2 100.64.0.3 fd64::2;lan0 10.0.0.1", NULL, "eth0", NULL);
}

Test(iface, named)
{
	shared_is(usual, "shared0", "shared0", NULL);
	/* which settles it when there are two */
	shared_is("lo;a 100.64.0.2;b 100.64.0.3", "b", "b", NULL);
}

Test(iface, shared_is_in_no_vrf)
{
	shared_is("v [vrf];a 100.64.0.2 master=v", NULL, NULL,
		  "a is in the VRF v, and its routes in a table of its own, which tenantnat does "
		  "not look at; take it out of the VRF");
	shared_is("br0 [bridge];a 100.64.0.2 master=br0", "a", "a", NULL);
}

Test(iface, none_on_the_shared_network)
{
	shared_is("lo 127.0.0.1;lan0 10.0.0.1 fd00::1 fe80::1;eth1", NULL, NULL,
		  "no interface has an address in the shared subnets; seen: lo, lan0 10.0.0.1 "
		  "fd00::1, eth1. Name the one on the shared network with the router's `shared`");
	shared_is("eth0 100.65.0.2 fd65::2", NULL, NULL,
		  "no interface has an address in the shared subnets; seen: eth0 100.65.0.2 "
		  "fd65::2. Name the one on the shared network with the router's `shared`");
}

Test(iface, two_on_the_shared_network)
{
	shared_is("lo;a 100.64.0.2;lan0 10.0.0.1;b fd64::3", NULL, NULL,
		  "a and b have an address in the shared subnets; seen: lo, a 100.64.0.2, lan0 "
		  "10.0.0.1, b fd64::3. Name one with the router's `shared`");
	shared_is("a 100.64.0.2 10.9.9.9;b fd64::3;c 100.64.0.4", NULL, NULL,
		  "a and b and c have an address in the shared subnets; seen: a 100.64.0.2 "
		  "10.9.9.9, b fd64::3, c 100.64.0.4. Name one with the router's `shared`");
}

Test(iface, named_but_not_there)
{
	shared_is(usual, "shared1", NULL,
		  "there is no interface shared1; seen: lo, lan0 10.0.0.1, shared0 100.64.0.2. "
		  "Correct the router's `shared`");
	shared_is(usual, "shared", NULL,
		  "there is no interface shared; seen: lo, lan0 10.0.0.1, shared0 100.64.0.2. "
		  "Correct the router's `shared`");
}

Test(iface, named_without_an_address)
{
	/* it is given one */
	shared_is(usual, "lan0", "lan0", NULL);
	shared_is("shared0;other 100.64.0.2", "shared0", "shared0", NULL);
}

Test(iface, no_ethernet)
{
	static const char *const names[] = { NULL, "tun0" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		shared_is("lo;tun0 [tun] 100.64.0.2", names[i], NULL,
			  "tun0 is not an Ethernet interface; a shared network needs one");
	shared_is("lo 100.64.0.2", NULL, NULL,
		  "lo is not an Ethernet interface; a shared network needs one");
}

/* loopback is none even where it calls itself Ethernet */
Test(iface, loopback)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16;");
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of("lo 100.64.0.2");
	uint32_t inside[TN_INSIDE_MAX];
	struct error err = { 0 };
	struct router r = { 0 };

	ifaces.list.v[0].ethernet = true;
	cr_expect_null(iface_shared(&ifaces, &r, &m, &err));
	cr_expect_str_eq(err.text, "lo is not an Ethernet interface; a shared network needs one");
	cr_expect_eq(iface_inside(&ifaces, &r, NULL, inside, &err), 0);
	cr_expect_eq(inside[0], 0);
}

/* more of them than fit into a sentence: it is cut, and what to do still stands behind it */
Test(iface, very_many)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16;");
	struct tn_addr a = addr_of("fd00:1111:2222:3333:4444:5555:6666:7777");
	static const char tail[] = ". Correct the router's `shared`";
	static const char which[] = ". Name one with the router's `shared`";
	struct router r = { .shared = "shared0" }, any = { 0 };

	/* the first four names move the cut over every place of a name and an address */
	for (int extra = 0; extra < 56; extra++) {
		_cleanup_ifaces_ struct ifaces ifaces = { 0 };
		struct error err = { 0 };

		for (int i = 0; i < 100; i++) {
			struct iface *new = vec_push(&ifaces.list);

			memset(new->name, 'x', i < 4 ? 1 + (extra + i) / 4 : 6);
			vec_push(&new->addrs)->addr = a;
		}
		cr_expect_null(iface_shared(&ifaces, &r, &m, &err));
		cr_expect_eq(strncmp(err.text, "there is no interface shared0; seen: ", 37), 0);
		cr_expect_str_eq(err.text + strlen(err.text) - strlen(tail), tail);
		cr_expect_lt(strlen(err.text), 700);
		/* and all of them on the shared network */
		vec_each (i, &ifaces.list)
			vec_push(&i->addrs)->addr = addr_of("100.64.0.2");
		err = (struct error){ 0 };
		cr_expect_null(iface_shared(&ifaces, &any, &m, &err));
		cr_expect_not_null(
			strstr(err.text, " have an address in the shared subnets; seen: "));
		cr_expect_str_eq(err.text + strlen(err.text) - strlen(which), which);
	}
}

/* `router` is what the definitions say of it; the shared interface is shared0. */
static void inside_are(const char *seen, const char *router, const char *found, const char *error)
{
	_cleanup_free_ char *definitions = NULL;
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	const struct iface *shared = NULL;
	uint32_t out[TN_INSIDE_MAX];
	struct error err = { 0 };
	char text[256] = "";

	cr_assert_gt(asprintf(&definitions, "tenant red; router %s;", router), 0);
	_cleanup_model_ struct model m = model_of(definitions);
	vec_each (i, &ifaces.list)
		shared = strcmp(i->name, "shared0") == 0 ? i : shared;
	memset(out, 0xff, sizeof(out));
	cr_expect_eq(iface_inside(&ifaces, m.tenants.v[0].router, shared, out, &err),
		     error ? -1 : 0);
	cr_expect_str_eq(err.text, error ? error : "");
	cr_expect_not(err.usage);
	for (size_t i = 0; !error && i < TN_INSIDE_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u ", out[i]);
	/* zeros behind the last */
	if (found)
		cr_expect_str_eq(text, found, "%s: %s", router, text);
}

static const char several[] =
	"lo 127.0.0.1;lan0 [veth] 10.0.0.1;shared0 [veth] 100.64.0.2;tun0 [tun];lan1";

#define ZEROS(n) ("0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 " + 2 * (16 - (n)))

static void inside_are_two(const char *router, const char *two)
{
	char all[64];

	snprintf(all, sizeof(all), "%s %s", two, ZEROS(14));
	inside_are(several, router, all, NULL);
}

Test(iface, inside_are_those_that_are_named)
{
	inside_are_two("inside=lan0 inside=lan1", "2 5");
	/* by index, whatever the order, and once */
	inside_are_two("inside=lan1 inside=lan0", "2 5");
	inside_are_two("inside=lan1 inside=lan0 inside=lan1", "2 5");
	inside_are(several, "inside=lan1", "5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 ", NULL);
}

Test(iface, inside_are_else_all_ethernet_but_the_shared_one)
{
	inside_are_two("", "2 5");
	inside_are("lo;shared0 100.64.0.2", "", ZEROS(16), NULL);
}

/* The names of those that are inside, in order; `shared`: which is the shared one. */
static void choice_is(const char *seen, const char *router, const char *names)
{
	_cleanup_free_ char *definitions = NULL;
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	uint32_t out[TN_INSIDE_MAX];
	struct error err = { 0 };
	char text[256] = "";

	cr_assert_gt(asprintf(&definitions, "tenant red; router %s;", router), 0);
	_cleanup_model_ struct model m = model_of(definitions);
	cr_assert_eq(iface_inside(&ifaces, m.tenants.v[0].router,
				  &ifaces.list.v[index_of(&ifaces, "shared0") - 1], out, &err),
		     0, "%s: %s", seen, err.text);
	for (size_t i = 0; i < TN_INSIDE_MAX && out[i]; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 ifaces.list.v[out[i] - 1].name);
	cr_expect_str_eq(text, names, "%s | %s: %s", seen, router, text);
}

/* A bridge, a bond and a VRF with their ports, tunnels of all kinds, and what is left. */
static const char many[] =
	"lo;br0 [bridge];bond0 [bond];vrf0 [vrf];shared0 [veth];"
	"tap1 [tun] master=br0;tap2 [tun] master=br0;eth0 master=bond0;eth1 master=bond0;"
	"lan1 [veth] master=vrf0;"
	"vx [vxlan];ge [geneve];gr [gretap];g6 [ip6gretap];er [erspan];e6 [ip6erspan];l2 [l2tpeth];"
	"tun0 <tun>;wg0 <wireguard>;ppp0 <ppp>;gre0 <gre>;ib0 <>;"
	"tap0 [tun];v20 [vlan] on=bond0;mv [macvlan] on=eth0;os [openvswitch];card";

Test(iface, inside_are_by_themselves_only_what_a_router_gets_vms_frames_by)
{
	choice_is(many, "", "br0 bond0 tap0 v20 mv os card");
}

Test(iface, inside_is_nothing_on_the_network_of_the_shared_interface)
{
	/* a bridge with its uplink as a port, and a port of one */
	choice_is("shared0 [bridge];eth0 master=shared0;lan0", "", "lan0");
	choice_is("br0 [bridge];shared0 master=br0;lan0", "", "lan0");
	/* macvlans on it, beside it and below it, one on the other */
	choice_is("shared0;mv [macvlan] on=shared0;iv [ipvlan] on=mv;lan0", "", "lan0");
	choice_is("eth0;shared0 [macvlan] on=eth0;mt [macvtap] on=eth0;lan0;m1 [macvlan] on=lan0",
		  "", "lan0 m1");
	choice_is("br0 [bridge];eth0 master=br0;shared0 [macvlan] on=eth0;lan0", "", "lan0");
	/* on the same device of another namespace, or on another one of that index here */
	choice_is("shared0 [macvlan] far=2;m1 [macvlan] far=2;m2 [macvlan] far=3;lan0", "",
		  "m2 lan0");
	choice_is("lan0;lan1;shared0 [macvlan] far=2", "", "lan0 lan1");
	/* VLANs are networks of their own, both ways */
	choice_is("eth0;shared0 [vlan] on=eth0;v30 [vlan] on=eth0;mv [macvlan] on=eth0", "",
		  "eth0 v30 mv");
	choice_is("shared0;v20 [vlan] on=shared0;mv [macvlan] on=v20", "", "v20 mv");
	/* a veth's link is its peer */
	choice_is("lan0 [veth];shared0 [veth] on=lan0", "", "lan0");
	/* what is named is named */
	choice_is("shared0;mv [macvlan] on=shared0;lan0", "inside=mv", "mv");
}

Test(iface, inside_named_is_taken_with_a_master_as_a_tunnel_and_without_ethernet)
{
	static const char *const names[] = {
		"tap1", "eth0", "vx", "l2", "tun0", "wg0", "ppp0", "mv"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char router[64];

		snprintf(router, sizeof(router), "inside=%s", names[i]);
		choice_is(many, router, names[i]);
	}
}

Test(iface, inside_by_patterns)
{
	/* not ports of bridges and bonds, whose frames come by these; those of a VRF are */
	choice_is(many, "inside=tap?", "tap0");
	choice_is(many, "inside=*0", "br0 bond0 tun0 wg0 ppp0 tap0 v20");
	choice_is(many, "inside=??", "vx ge gr g6 er e6 l2 mv os");
	choice_is(many, "inside=[gl]*[[:digit:]]", "vrf0 lan1 g6 l2");
	choice_is(many, "inside=[!a-t]*", "vx wg0 v20");
	/* beside names, which take what patterns do not; each once */
	choice_is(many, "inside=tap* inside=tap1 inside=tap0 inside=w*", "tap1 wg0 tap0");
	/* the whole name, and its letters as they are */
	choice_is("shared0;qr-1;xqr-1;QR-1;qr", "inside=qr-*", "qr-1");
	choice_is("shared0;qr-1", "inside=qg-*", "");
	choice_is("shared0;a.b;axb;a\\*;a\\b", "inside=a\\\\*", "a\\* a\\b");
	/* without a letter that means something a backslash is one of a name */
	choice_is("shared0;a\\b;ab", "inside=a\\b", "a\\b");
	choice_is("shared0;shared1", "inside=shared?", "shared1");
}

Test(iface, inside_are_vrfs_of_inside_interfaces_alone)
{
	static const char seen[] = "shared0;v1 [vrf];v2 [vrf];a master=v1;b master=v1;c master=v2;"
				   "up0";

	choice_is(seen, "inside=a inside=b", "v1 a b");
	choice_is(seen, "inside=?", "v1 v2 a b c");
	/* the kernel does not tell b from a, nor up0 from b */
	choice_is(seen, "inside=b", "b");
	choice_is("shared0;v1 [vrf];a master=v1;up0 master=v1", "inside=a", "a");
	choice_is(seen, "", "up0");
	inside_are("shared0;v1 [vrf];a master=v1", "inside=v1", NULL,
		   "v1 cannot be an inside interface: it is a VRF, by which nothing comes in; name "
		   "its members with the router's `inside`");
}

static void doubt_is(const char *seen, const char *router, const char *text)
{
	_cleanup_free_ char *definitions = NULL;
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(seen);
	struct error doubt = { 0 };

	cr_assert_gt(asprintf(&definitions, "tenant red; router %s;", router), 0);
	_cleanup_model_ struct model m = model_of(definitions);
	cr_expect_eq(iface_inside_doubt(&ifaces, m.tenants.v[0].router,
					&ifaces.list.v[index_of(&ifaces, "shared0") - 1], &doubt),
		     text != NULL);
	cr_expect_str_eq(doubt.text, text ? text : "", "%s | %s", seen, router);
}

Test(iface, doubts_about_inside)
{
	doubt_is(usual, "", NULL);
	doubt_is(usual, "inside=lan0", NULL);
	doubt_is(usual, "inside=lan*", NULL);
	doubt_is("lo;shared0 100.64.0.2", "",
		 "there is no inside interface, and so no way to a VM; seen: lo, shared0 "
		 "100.64.0.2. "
		 "Name those that lead to VMs with the router's `inside`");
	doubt_is("shared0;lan0 10.0.0.1", "inside=lan0 inside=qr-* inside=tap?",
		 "no interface matches `qr-*`, `tap?` of `inside`; seen: shared0, lan0 10.0.0.1. "
		 "One that appears later is attached by the agent, or by the next apply or "
		 "restore; else correct the "
		 "router's `inside`");
	doubt_is("shared0;br0 [bridge];tap1 master=br0", "inside=tap1",
		 "tap1 is a port of br0, so the router receives its packets there; name br0 "
		 "with "
		 "the router's `inside`");
	/* and nothing else matches */
	doubt_is("shared0;br0 [bridge];tap1 master=br0", "inside=tap*",
		 "tap1 is a port of br0, so the router receives its packets there; name br0 "
		 "with "
		 "the router's `inside`");
	doubt_is("shared0;br0 [bridge];tap1 master=br0", "inside=*", NULL);
	doubt_is("shared0;vrf0 [vrf];lan1 master=vrf0", "inside=lan1", NULL);
	doubt_is("shared0;vrf0 [vrf];lan1 master=vrf0;up0 master=vrf0", "inside=lan1",
		 "lan1 is in the VRF vrf0 together with up0, which is no inside interface. The "
		 "kernel does not say by which of them a packet came, so what goes through the "
		 "stack is dropped (wrong-ingress). Take up0 out of vrf0, or add it to `inside` if "
		 "it leads to VMs");
}

Test(iface, raw_is_what_begins_with_the_ip_header)
{
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(many);
	char raw[64] = "";

	vec_each (i, &ifaces.list) {
		if (iface_is_raw(i))
			snprintf(raw + strlen(raw), sizeof(raw) - strlen(raw), "%s ", i->name);
	}
	cr_expect_str_eq(raw, "tun0 wg0 ppp0 ");
}

Test(iface, inside_named_but_not_fit)
{
	inside_are(usual, "inside=lan0 inside=lan1 inside=lan2", NULL,
		   "there is no interface lan1; seen: lo, lan0 10.0.0.1, shared0 100.64.0.2. "
		   "Correct the router's `inside`");
	inside_are(several, "inside=lan0 inside=shared0", NULL,
		   "shared0 cannot be an inside interface: it is the shared one; correct the "
		   "router's `inside`");
	inside_are(several, "inside=lo", NULL,
		   "lo cannot be an inside interface: it is loopback; correct the router's "
		   "`inside`");
	inside_are("shared0;gre1 <gre>", "inside=gre1", NULL,
		   "gre1 cannot be an inside interface: it is no Ethernet interface, and no TUN, "
		   "WireGuard or PPP device, but of the kind gre; connect the VMs by one of these, "
		   "and correct the router's `inside`");
	inside_are("shared0;ib0 <>", "inside=ib0", NULL,
		   "ib0 cannot be an inside interface: it is no Ethernet interface, and no TUN, "
		   "WireGuard or PPP device, but another; connect the VMs by one of these, and "
		   "correct the router's `inside`");
}

Test(iface, inside_at_most_as_many_as_there_is_room_for)
{
	static const char most[] = "shared0;a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p";
	static const char more[] = "shared0;a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q";

	inside_are(most, "", "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 ", NULL);
	inside_are(more, "", NULL,
		   "more than 16 inside interfaces; name the ones that lead to VMs with the "
		   "router's `inside`");
	inside_are(more, "inside=?", NULL,
		   "more than 16 inside interfaces; name fewer with the router's `inside`");
	/* of those that are not named there may be more */
	inside_are(more, "inside=q", "18 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 ", NULL);
}

Test(iface, auto_is_xdp_only_where_a_driver_receives_from_a_wire)
{
	static const struct {
		const char *kind;
		enum hook hook;
	} cases[] = {
		{ "", HOOK_XDP },	    { "veth", HOOK_TC }, { "tun", HOOK_TC },
		{ "bridge", HOOK_TC },	    { "vlan", HOOK_TC }, { "macvlan", HOOK_TC },
		{ "openvswitch", HOOK_TC }, { "bond", HOOK_TC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iface one = { .ethernet = true };

		snprintf(one.kind, sizeof(one.kind), "%s", cases[i].kind);
		cr_expect_eq(iface_hook(&one, HOOK_AUTO), cases[i].hook, "'%s'", cases[i].kind);
		/* who asks gets what he asked for */
		cr_expect_eq(iface_hook(&one, HOOK_TC), HOOK_TC);
		cr_expect_eq(iface_hook(&one, HOOK_XDP), HOOK_XDP);
		cr_expect_eq(iface_hook(&one, HOOK_XDP_GENERIC), HOOK_XDP_GENERIC);
	}
}

/* What programs drop on the shared interface; link-local addresses are IPv6's alone. */
Test(iface, addresses_that_are_cut_off)
{
	static const struct {
		const char *addr;
		bool cut_off;
	} cases[] = {
		{ "100.64.0.2", false }, { "fd64::2", false },	    { "fe80::1", false },
		{ "192.0.2.1", true },	 { "100.65.0.2", true },    { "169.254.0.1", true },
		{ "2001:db8::1", true }, { "fd64:0:0:1::2", true },
	};
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16 fd64::/64;");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iface_addr a = { .addr = addr_of(cases[i].addr) };

		cr_expect_eq(iface_addr_is_cut_off(&a, &m), cases[i].cut_off, "%s", cases[i].addr);
		a.ours = true;
		cr_expect_not(iface_addr_is_cut_off(&a, &m), "%s", cases[i].addr);
	}
}

Test(iface, unreachable_routes)
{
	const struct prefix to = prefix_of("100.64.0.0/16");
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };

	*vec_push(&ifaces.routes) = (struct iface_route){ .ifindex = 1, .to = to };
	*vec_push(&ifaces.routes) = (struct iface_route){ .to = prefix_of("100.64.0.0/15") };
	*vec_push(&ifaces.routes) = (struct iface_route){ .to = prefix_of("100.65.0.0/16") };
	cr_expect_not(ifaces_have_unreachable(&ifaces, &to, false));
	*vec_push(&ifaces.routes) = (struct iface_route){ .to = to, .ours = true };
	cr_expect(ifaces_have_unreachable(&ifaces, &to, false));
	cr_expect_not(ifaces_have_unreachable(&ifaces, &to, true));
	ifaces.routes.v[ifaces.routes.n - 1].ours = false;
	cr_expect(ifaces_have_unreachable(&ifaces, &to, true));
}

/* "ROUTE INTERFACE;…" of the main table, "-" for unreachable, "!" behind what is ours. */
static void culprit_is(const char *routes, const char *to, const char *want)
{
	static const char *const names[] = { "-", "lan0", "lan1", "up0" };
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of("lan0;lan1;up0");
	_cleanup_free_ char *copy = xstrdup(routes);
	const struct tn_addr addr = addr_of(to);
	char *end = NULL, del[IFACE_ROUTE_DEL];
	struct iface_culprit c;

	for (char *one = strtok_r(copy, ";", &end); one; one = strtok_r(NULL, ";", &end)) {
		struct iface_route *r = vec_push(&ifaces.routes);
		char prefix[64], name[16];

		cr_assert_eq(sscanf(one, "%63s %15s", prefix, name), 2);
		r->to = prefix_of(prefix);
		r->ours = strchr(one, '!');
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			r->ifindex =
				strncmp(name, names[i], strlen(names[i])) == 0 ? i : r->ifindex;
	}
	ifaces_culprit(&ifaces, &addr, (uint32_t[]){ 1, 2, 0 }, 3, &c);
	snprintf(del, sizeof(del), "none");
	if (c.found)
		iface_culprit_del(&ifaces, &c, del);
	if (c.found && !c.covered)
		strcat(del, " alone");
	cr_assert_str_eq(del, want, "%s to %s: %s", routes, to, del);
}

Test(iface, what_leads_astray)
{
	culprit_is("10.0.0.0/24 lan0;0.0.0.0/0 up0", "10.0.0.5", "none");
	culprit_is("10.0.0.0/24 lan0;10.0.0.5/32 up0", "10.0.0.5",
		   "ip route del 10.0.0.5/32 dev up0");
	culprit_is("10.0.0.0/24 lan1;10.0.0.0/24 up0;0.0.0.0/0 up0", "10.0.0.5",
		   "ip route del 10.0.0.0/24 dev up0");
	culprit_is("10.0.0.0/24 lan0;10.0.0.0/25 -", "10.0.0.5",
		   "ip route del unreachable 10.0.0.0/25");
	culprit_is("10.0.0.0/24 lan0;10.0.0.0/25 -!", "10.0.0.5", "none");
	culprit_is("10.0.0.0/24 up0;10.1.0.0/24 lan0", "10.0.0.5",
		   "ip route del 10.0.0.0/24 dev up0 alone");
	culprit_is("fd00::/64 lan0;fd00::5/128 up0;0.0.0.0/0 up0", "fd00::5",
		   "ip -6 route del fd00::5/128 dev up0");
}
