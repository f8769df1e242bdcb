/* SPDX-License-Identifier: GPL-2.0-only */
#include "fixture.h"
#include "iface.h"

/*
 * Interfaces, separated by `;`: NAME and then addresses, the kind in brackets:
 * "lo 127.0.0.1; shared0 [veth] 100.64.0.2". `lo` is loopback, `tun…` no Ethernet.
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
		while ((word = strtok_r(NULL, " ", &save))) {
			if (*word == '[')
				snprintf(i->kind, sizeof(i->kind), "%.*s", (int)strlen(word) - 2,
					 word + 1);
			else
				*vec_push(&i->addrs) = addr_of(word);
		}
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

Test(iface, none_on_the_shared_network)
{
	shared_is("lo 127.0.0.1;lan0 10.0.0.1 fd00::1 fe80::1;eth1", NULL, NULL,
		  "no interface has an address in the shared subnets; seen: lo, lan0 10.0.0.1 "
		  "fd00::1, eth1. Give the shared interface its address with `ip addr add`");
	shared_is("eth0 100.65.0.2 fd65::2", NULL, NULL,
		  "no interface has an address in the shared subnets; seen: eth0 100.65.0.2 "
		  "fd65::2. Give the shared interface its address with `ip addr add`");
}

Test(iface, two_on_the_shared_network)
{
	shared_is("lo;a 100.64.0.2;lan0 10.0.0.1;b fd64::3", NULL, NULL,
		  "both a and b have an address in the shared subnets; name one with the "
		  "router's `shared`");
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
	shared_is(usual, "lan0", NULL,
		  "lan0 has no address in the shared subnets; give it one with `ip addr add`");
	shared_is("shared0;other 100.64.0.2", "shared0", NULL,
		  "shared0 has no address in the shared subnets; give it one with `ip addr add`");
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
	struct error err = { 0 };
	struct router r = { 0 };

	ifaces.list.v[0].ethernet = true;
	cr_expect_null(iface_shared(&ifaces, &r, &m, &err));
	cr_expect_str_eq(err.text, "lo is not an Ethernet interface; a shared network needs one");
}

/* more of them than fit into a sentence: it is cut, and what to do still stands behind it */
Test(iface, very_many)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16;");
	struct tn_addr a = addr_of("fd00:1111:2222:3333:4444:5555:6666:7777");
	static const char tail[] = ". Correct the router's `shared`";
	struct router r = { .shared = "shared0" };

	/* the cut at every place of a name and of an address */
	for (int extra = 0; extra < 60; extra++) {
		_cleanup_ifaces_ struct ifaces ifaces = { 0 };
		struct error err = { 0 };

		for (int i = 0; i < 100; i++) {
			struct iface *new = vec_push(&ifaces.list);

			snprintf(new->name, sizeof(new->name), "%.*s%d", i ? 4 : extra % 15,
				 "veth-veth-veth-veth", i);
			if (i % 2 || extra % 4 == 0)
				*vec_push(&new->addrs) = a;
		}
		cr_expect_null(iface_shared(&ifaces, &r, &m, &err));
		cr_expect_eq(strncmp(err.text, "there is no interface shared0; seen: ", 37), 0);
		cr_expect_str_eq(err.text + strlen(err.text) - strlen(tail), tail);
		cr_expect_lt(strlen(err.text), 700);
	}
}

Test(iface, inside)
{
	_cleanup_model_ struct model m =
		model_of("tenant a; router; tenant b; router inside=lan0 inside=lo;"
			 "tenant c; router inside=lan0 inside=lan1 inside=lan2;");
	_cleanup_ifaces_ struct ifaces ifaces = ifaces_of(usual);
	struct error err = { 0 };

	cr_expect_eq(iface_check_inside(&ifaces, m.tenants.v[0].router, &err), 0);
	cr_expect_eq(iface_check_inside(&ifaces, m.tenants.v[1].router, &err), 0);
	cr_expect_not(err.set);
	cr_expect_eq(iface_check_inside(&ifaces, m.tenants.v[2].router, &err), -1);
	cr_expect_str_eq(err.text,
			 "there is no interface lan1; seen: lo, lan0 10.0.0.1, shared0 100.64.0.2. "
			 "Correct the router's `inside`");
	cr_expect_not(err.usage);
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
