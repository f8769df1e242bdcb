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
				vec_push(&i->addrs)->addr = addr_of(word);
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

Test(iface, inside_named_but_not_fit)
{
	inside_are(usual, "inside=lan0 inside=lan1 inside=lan2", NULL,
		   "there is no interface lan1; seen: lo, lan0 10.0.0.1, shared0 100.64.0.2. "
		   "Correct the router's `inside`");
	inside_are(several, "inside=lan0 inside=shared0", NULL,
		   "shared0 cannot be an inside interface: it is the shared one; correct the "
		   "router's `inside`");
	inside_are(several, "inside=tun0", NULL,
		   "tun0 cannot be an inside interface: it is not Ethernet; correct the router's "
		   "`inside`");
	inside_are(several, "inside=lo", NULL,
		   "lo cannot be an inside interface: it is not Ethernet; correct the router's "
		   "`inside`");
}

Test(iface, inside_at_most_as_many_as_there_is_room_for)
{
	static const char most[] = "shared0;a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p";
	static const char more[] = "shared0;a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q";

	inside_are(most, "", "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 ", NULL);
	inside_are(more, "", NULL,
		   "more than 16 inside interfaces; name the ones that lead to VMs with the "
		   "router's `inside`");
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
