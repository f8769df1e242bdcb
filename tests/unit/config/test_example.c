/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/example.h"

#include "../fixture.h"
#include "config/config.h"

/*
 * Namespaces in lines: "ns NAME", then interfaces "NAME [ADDRESS/LEN…] [default] [port] [tun]".
 * `default`: the default route leaves by it.
 */
static struct iface *add_iface(struct namespace *ns, const char *name)
{
	struct iface *i = vec_push(&ns->ifaces.list);

	snprintf(i->name, sizeof(i->name), "%s", name);
	i->index = (uint32_t)ns->ifaces.list.n;
	i->ethernet = true;
	return i;
}

static void read_word(struct namespace *ns, struct iface *i, const char *word)
{
	char text[64];
	char *slash;

	if (strcmp(word, "default") == 0) {
		struct iface_route *r = vec_push(&ns->ifaces.routes);

		r->ifindex = i->index;
		addr_parse("0.0.0.0", &r->to.addr);
		r->to.len = 96;
	} else if (strcmp(word, "port") == 0) {
		i->master = 99;
	} else if (strcmp(word, "tun") == 0) {
		i->ethernet = false;
	} else if (strcmp(word, "loopback") == 0) {
		i->loopback = true;
	} else {
		struct iface_addr *a = vec_push(&i->addrs);

		snprintf(text, sizeof(text), "%s", word);
		slash = strchr(text, '/');
		cr_assert(slash, "%s", word);
		*slash = '\0';
		cr_assert(addr_parse(text, &a->addr), "%s", word);
		a->len = (uint8_t)(atoi(slash + 1) + (addr_is_v4(&a->addr) ? 96 : 0));
	}
}

static struct namespaces namespaces_of(const char *text)
{
	char *copy = xstrdup(text), *rest = copy, *line;
	struct namespaces out = { 0 };

	while ((line = strsep(&rest, "\n"))) {
		char *word = strsep(&line, " ");
		struct namespace *ns;
		struct iface *i;

		if (!*word)
			continue;
		if (strcmp(word, "ns") == 0) {
			ns = vec_push(&out.list);
			ns->name = xstrdup(line);
			read_word(ns, add_iface(ns, "lo"), "loopback");
			continue;
		}
		ns = &out.list.v[out.list.n - 1];
		i = add_iface(ns, word);
		while ((word = strsep(&line, " ")))
			read_word(ns, i, word);
	}
	free(copy);
	return out;
}

/* The routers that become definitions, one a line: "TENANT NETNS SHARED: INSIDE… POOL". */
static char *routers_text(const struct outline *o)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	vec_each (p, &o->subnets)
		fprintf(f, "%s%s", p == o->subnets.v ? "" : " ", PREFIX(p));
	fprintf(f, "%s\n", o->subnets_seen ? "" : "?");
	vec_each (r, &o->routers) {
		fprintf(f, "%s %s %s:", r->tenant, r->seen->name,
			r->shared ? r->shared->name : "?");
		vec_each (i, &r->inside)
			fprintf(f, " %s", (*i)->name);
		vec_each (p, &r->pools)
			fprintf(f, " %s", PREFIX(p));
		fprintf(f, "\n");
	}
	fclose(f);
	return text;
}

static char *example_text(const struct outline *o)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	example_write(o, f);
	fclose(f);
	return text;
}

/* What it is taken for; and that the file is right, and has `tenants` of them. */
static void guesses(const char *seen, const char *expected, size_t tenants)
{
	_cleanup_namespaces_ struct namespaces ns = namespaces_of(seen);
	_cleanup_outline_ struct outline o = { 0 };
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ char *text = NULL;
	struct config_errors errors = { 0 };

	outline_make(&ns, &o);
	expect_text(routers_text(&o), expected, seen);
	text = example_text(&o);
	cr_expect_eq(config_parse(text, strlen(text), "example", &m, &errors), 0, "%s: %s",
		     errors.list.n ? errors.list.v[0] : "", text);
	cr_expect_eq(m.tenants.n, tenants, "%s", text);
	config_errors_free(&errors);
}

Test(example, nothing)
{
	guesses("", "100.64.0.0/16?\n", 0);
	/* a host, and a VM */
	guesses("ns vm\neth0 10.0.0.5/24 default\n", "100.64.0.0/16?\n", 0);
}

Test(example, the_shared_interface_by_its_name)
{
	guesses("ns red\nlan0 10.0.0.1/24\nshared0\nns blue\nlan0 10.0.0.1/24\nshared0\n",
		"100.64.0.0/16?\n"
		"red red shared0: lan0 100.64.1.0/24\n"
		"blue blue shared0: lan0 100.64.2.0/24\n",
		2);
	/* also when another has an address that speaks for it */
	guesses("ns red\nshared0 198.51.100.7/24\na 100.64.0.2/16\nb\n",
		"198.51.100.0/24\nred red shared0: a b\n", 1);
}

Test(example, the_shared_interface_by_its_address)
{
	guesses("ns red\na 10.0.0.1/24\nb 100.70.0.2/16 fd64::2/64\n",
		"100.70.0.0/16 fd64::/64\nred red b: a 100.70.1.0/24 fd64::1:0/112\n", 1);
	/* an address of its own is no network, and one of the link no address */
	guesses("ns red\na 10.0.0.1/24\nb 100.70.0.2/32 fe80::1/64\n",
		"100.64.0.0/16?\nred red ?: a b 100.64.1.0/24\n", 0);
}

Test(example, the_shared_interface_by_its_network)
{
	guesses("ns red\na 10.0.0.1/24\nb 192.0.2.2/24\nns blue\na 10.0.0.1/24\nb 192.0.2.3/24\n",
		"192.0.2.0/24\nred red b: a\nblue blue b: a\n", 2);
	/* not that of the uplink, which all routers have too */
	guesses("ns red\na 10.0.0.1/24\nb 203.0.113.2/24 default\n"
		"ns blue\na 10.0.0.1/24\nb 203.0.113.3/24 default\n",
		"100.64.0.0/16?\nred red ?: a 100.64.1.0/24\nblue blue ?: a 100.64.2.0/24\n", 0);
}

Test(example, in_doubt_none)
{
	guesses("ns red\nshared0\nshared1\nlan0 10.0.0.1/24\n",
		"100.64.0.0/16?\nred red ?: shared0 shared1 lan0 100.64.1.0/24\n", 0);
	/* the range that is proposed is nobody's; and there is no router without an inside */
	guesses("ns red\nshared0\nup 100.64.3.4/10 default\n",
		"100.127.0.0/16?\nred red shared0: 100.127.1.0/24\n", 0);
}

Test(example, only_what_can_be_a_routers)
{
	guesses("ns red\nshared0\nlan0\nlan1 port\nwg0 tun\nup default\n",
		"100.64.0.0/16?\nred red shared0: lan0 100.64.1.0/24\n", 1);
	guesses("ns vm\neth0\neth1 port\nwg0 tun\n", "100.64.0.0/16?\n", 0);
}

Test(example, neutron)
{
	guesses("ns qdhcp-1\ntap1 10.0.0.2/24\ntap2 100.64.0.9/16\n"
		"ns qrouter-0f5bb6d1-6c4c-4b8e-a0a5-000000000001\n"
		"ha-1 169.254.192.1/18\nqg-1 203.0.113.7/24 default\nqr-1 10.0.0.1/24\n"
		"qr-2 100.64.0.2/16\n"
		"ns qrouter-0f5bb6d1-6c4c-4b8e-a0a5-000000000002\n"
		"ha-2 169.254.192.2/18\nqg-2 203.0.113.8/24\nqr-3 10.0.0.1/24\nqr-4 100.64.0.3/16\n"
		"ns qrouter-1\nqr-5 10.0.0.1/24\n",
		"100.64.0.0/16\n"
		"router-0f5bb6d1 qrouter-0f5bb6d1-6c4c-4b8e-a0a5-000000000001 qr-2: qr-1 "
		"100.64.1.0/24\n"
		"router-0f5bb6d1-2 qrouter-0f5bb6d1-6c4c-4b8e-a0a5-000000000002 qr-4: qr-3 "
		"100.64.2.0/24\n"
		"router-1 qrouter-1 ?: qr-5 100.64.3.0/24\n",
		2);
}

/* What nobody should have called so. */
Test(example, names)
{
	guesses("ns ÄRGER's \"net\"\nshared0\nlan0\n",
		"100.64.0.0/16?\nrger-s--net- ÄRGER's \"net\" shared0: lan0 100.64.1.0/24\n", 0);
	guesses("ns Off\nshared0\nno\n", "100.64.0.0/16?\noff Off shared0: no 100.64.1.0/24\n", 1);
	guesses("ns a b\"\\\nshared0\n#x\n",
		"100.64.0.0/16?\na-b-- a b\"\\ shared0: #x 100.64.1.0/24\n", 1);
	/* it would be a pattern */
	guesses("ns a\nshared0\nlan*\n", "100.64.0.0/16?\na a shared0: lan* 100.64.1.0/24\n", 0);
}

Test(example, more_routers_than_there_are_pools)
{
	guesses("ns a\nshared0 100.64.0.1/23\nlan0\nns b\nshared0 100.64.0.2/23\nlan0\n",
		"100.64.0.0/23\na a shared0: lan0\nb b shared0: lan0\n", 2);
	guesses("ns a\nshared0 100.64.0.1/22\nlan0\nns b\nshared0 100.64.0.2/22\nlan0\n",
		"100.64.0.0/22\na a shared0: lan0 100.64.1.0/24\nb b shared0: lan0 100.64.2.0/24\n",
		2);
}

/* Neutron's L3 agent moves the addresses of those that have an interface to hear of others by. */
Test(example, neutron_with_other_hosts)
{
	_cleanup_namespaces_ struct namespaces ns = namespaces_of(
		"ns qrouter-1\nqr-1 10.0.0.1/24\nqr-2 100.64.0.2/16\n"
		"ns qrouter-2\nha-2 169.254.192.2/18\nqr-3 10.0.0.1/24\nqr-4 100.64.0.3/16\n");
	_cleanup_outline_ struct outline o = { 0 };
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ char *text = NULL;
	struct config_errors errors = { 0 };

	outline_make(&ns, &o);
	text = example_text(&o);
	cr_assert_eq(config_parse(text, strlen(text), "example", &m, &errors), 0, "%s", text);
	cr_assert_eq(m.tenants.n, 2);
	cr_expect_eq(m.tenants.v[0].router->active, ACTIVE_ALWAYS, "%s", text);
	cr_expect_eq(m.tenants.v[1].router->active, ACTIVE_ADDRESS, "%s", text);
}
