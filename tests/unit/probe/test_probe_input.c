/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "probe/probe_input.h"

/* As the kernel would say of its interface. */
static bool is_up(const struct router_row *r)
{
	return !r->broken;
}

static const char definitions[] = "net 100.64.0.0/16 fd64::/64;"
				  "tenant red id=1; router id=1 to=100.64.9.0/24 via=100.64.0.3"
				  " to=100.64.10.0/24 via=100.64.0.1 to=fd64::9:0/112 via=fd64::1;"
				  "map 10.0.0.5 db lease=100.64.1.5; map 10.0.0.6 lease=100.64.1.6;"
				  "tenant blue id=2; router id=2; map fd00::5 lease=fd64::2:5;"
				  "tenant plain id=3; map 10.9.9.9 lease=100.64.0.250;";

static const char machine[] =
	"net 100.64.0.0/16 fd64::/64; router 1 red inside=30 inside=31; router 2 blue inside=30;"
	"own 100.64.0.2 1 1; own 100.64.0.3 2 2; own fd64::3 2 2;"
	"to 100.64.1.5 10.0.0.5 1 1; to 100.64.1.6 10.0.0.6 1 1; to fd64::2:5 fd00::5 2 2;"
	"to 100.64.0.250 10.9.9.9 3 0;";

static void print_addrs(FILE *f, const char *what, const struct tn_addr *v, size_t n)
{
	fprintf(f, "%s", what);
	for (size_t i = 0; i < n; i++)
		fprintf(f, " %s", ADDR(&v[i]));
	fputs("; ", f);
}

static void print_hosts(FILE *f, const char *what, const struct probe_host *v, size_t n)
{
	fprintf(f, "%s", what);
	for (size_t i = 0; i < n; i++)
		fprintf(f, " %s (%s)", ADDR(&v[i].addr), v[i].who ? v[i].who : "-");
	fputs("; ", f);
}

static char *input_text(const struct probe_input *in)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	print_addrs(f, "own", in->own.v, in->own.n);
	print_addrs(f, "mapped", in->mapped.v, in->mapped.n);
	fputs("to", f);
	vec_each (p, &in->prefixes) {
		fprintf(f, " %s", PREFIX(&p->prefix));
		if (!addr_is_unset(&p->gateway))
			fprintf(f, " via %s", ADDR(&p->gateway));
	}
	fputs("; ", f);
	print_hosts(f, "peers", in->peers.v, in->peers.n);
	if (in->unasked)
		fprintf(f, "unasked %zu; ", in->unasked);
	print_hosts(f, "vms", in->vms.v, in->vms.n);
	if (in->solicited.n)
		print_addrs(f, "solicited", in->solicited.v, in->solicited.n);
	for (int i = 0; i < FAMILIES; i++) {
		if (!addr_is_unset(&in->far[i].addr))
			fprintf(f, "far %s of %s; ", ADDR(&in->far[i].addr),
				PREFIX(&in->far[i].subnet));
	}
	fprintf(f, "inside %u %u", in->inside[0], in->inside[1]);
	fclose(f);
	return text;
}

static void input_is(const char *defs, const char *rows, uint32_t router, bool vms,
		     const char *want)
{
	_cleanup_probe_input_ struct probe_input in = { 0 };
	_cleanup_model_ struct model m = model_of(defs);
	_cleanup_kernel_state_ struct kernel_state had = kernel_state_of(rows);
	const struct router_row *row = NULL;

	vec_each (r, &had.routers) {
		if (r->id == router)
			row = r;
	}
	cr_assert(row);
	probe_input_of(&m, &had, row, vms, is_up, &in);
	expect_text(input_text(&in), want, "the input");
}

Test(probe_input, of_one_family)
{
	/* a gateway that is a router is named once, and nothing is asked by IPv6 */
	input_is(definitions, machine, 1, true,
		 "own 100.64.0.2; mapped 100.64.1.5 100.64.1.6; "
		 "to 100.64.0.0/16 100.64.9.0/24 via 100.64.0.3 100.64.10.0/24 via 100.64.0.1; "
		 "peers 100.64.0.3 (blue) 100.64.0.1 (gateway); "
		 "vms 10.0.0.5 (db) 10.0.0.6 (-); solicited 100.64.1.5 100.64.1.6; far 100.64.0.3 "
		 "of 100.64.0.0/16; inside 30 31");
}

Test(probe_input, of_both)
{
	input_is(definitions, machine, 2, true,
		 "own 100.64.0.3 fd64::3; mapped fd64::2:5; to 100.64.0.0/16 fd64::/64; "
		 "peers 100.64.0.2 (red); vms fd00::5 (-); solicited fd64::2:5; far 100.64.0.2 of "
		 "100.64.0.0/16; "
		 "far fd64::1 of fd64::/64; inside 30 0");
}

Test(probe_input, without_vms)
{
	input_is(definitions, machine, 2, false,
		 "own 100.64.0.3 fd64::3; mapped fd64::2:5; to 100.64.0.0/16 fd64::/64; "
		 "peers 100.64.0.2 (red); vms; inside 30 0");
}

/* The family of mappings counts, also while the router has no address of it. */
Test(probe_input, without_an_address)
{
	input_is("net 100.64.0.0/16 fd64::/64; tenant blue id=2; router id=2;"
		 "map fd00::5 lease=fd64::2:5;",
		 "router 2 blue; router 1 red; own fd64::2 1 1; own 100.64.0.2 1 1;"
		 "to fd64::2:5 fd00::5 2 2;",
		 2, false,
		 "own; mapped fd64::2:5; to fd64::/64; peers fd64::2 (red); vms; inside 0 0");
}

/* What is attached may be of a tenant that the definitions do not have any more. */
Test(probe_input, without_a_tenant)
{
	input_is("net 100.64.0.0/16;", machine, 1, true,
		 "own 100.64.0.2; mapped 100.64.1.5 100.64.1.6; to 100.64.0.0/16; "
		 "peers 100.64.0.3 (blue); vms 10.0.0.5 (-) 10.0.0.6 (-); solicited 100.64.1.5 "
		 "100.64.1.6; far 100.64.0.3 of "
		 "100.64.0.0/16; inside 30 31");
}

/* The next eight in a ring, with all addresses that can be spoken to. */
Test(probe_input, of_many)
{
	static const char many[] =
		"router 1 a; router 2 b; router 3 c; router 4 d; router 5 e; router 6 f; router 7 "
		"g;"
		"router 8 h; router 9 i; router 10 j; router 11 k; router 12 l;"
		"own 100.64.0.1 1 1; own 100.64.0.2 2 2; own 100.64.0.3 3 3; own 100.64.0.4 4 4;"
		"own 100.64.0.5 5 5; own 100.64.0.6 6 6; own 100.64.1.6 6 6; own 100.64.0.7 7 7;"
		"own 100.64.0.8 8 8; own 100.64.0.9 9 9; own 100.64.0.10 10 10;"
		"own fd64::11 11 11; own 100.64.0.12 12 12;";

	input_is("net 100.64.0.0/16;", many, 5, false,
		 "own 100.64.0.5; mapped; to 100.64.0.0/16; "
		 "peers 100.64.0.6 (f) 100.64.1.6 (f) 100.64.0.7 (g) 100.64.0.8 (h) "
		 "100.64.0.9 (i) 100.64.0.10 (j) 100.64.0.12 (l) 100.64.0.1 (a) 100.64.0.2 (b); "
		 "unasked 2; vms; inside 0 0");
	input_is("net 100.64.0.0/16;", many, 12, false,
		 "own 100.64.0.12; mapped; to 100.64.0.0/16; "
		 "peers 100.64.0.1 (a) 100.64.0.2 (b) 100.64.0.3 (c) 100.64.0.4 (d) "
		 "100.64.0.5 (e) 100.64.0.6 (f) 100.64.1.6 (f) 100.64.0.7 (g) 100.64.0.8 (h); "
		 "unasked 3; vms; inside 0 0");
}

/* The tenant that asks for router `id`, of those at these rows; "-": nobody. */
static const char *asker(int family, uint32_t id, const char *rows)
{
	_cleanup_kernel_state_ struct kernel_state m = kernel_state_of(rows);
	static char name[TENANT_NAME_MAX + 1];
	const struct router_row *found;

	vec_each (r, &m.routers) {
		r->own[IPV4] = addr_of("100.64.0.1");
		if (*r->tenant != 'v')
			r->own[IPV6] = addr_of("fd64::1");
	}
	found = probe_asker(&m, kernel_state_router(&m, id), family, is_up);
	snprintf(name, sizeof(name), "%s", found ? found->tenant : "-");
	return name;
}

/* The next in a ring that is up, elsewhere, and has an address of that family. */
Test(probe_input, who_asks_for_mapped_addresses)
{
	cr_expect_str_eq(asker(IPV6, 1, "router 1 a ino=1;"), "-");
	cr_expect_str_eq(asker(IPV6, 1, "router 1 a ino=1; router 2 b ino=2; router 3 c ino=3;"),
			 "b");
	cr_expect_str_eq(asker(IPV6, 3, "router 1 a ino=1; router 2 b ino=2; router 3 c ino=3;"),
			 "a");
	cr_expect_str_eq(
		asker(IPV6, 1, "router 1 a ino=1; router 2 b ino=2 broken; router 3 c ino=3;"),
		"c");
	cr_expect_str_eq(
		asker(IPV6, 1, "router 1 a ino=1; router 2 b ino=2 standby; router 3 c ino=3;"),
		"c");
	cr_expect_str_eq(asker(IPV6, 1, "router 1 a ino=1; router 2 b ino=1; router 3 c ino=3;"),
			 "c");
	cr_expect_str_eq(asker(IPV6, 1, "router 1 a ino=1; router 2 v4 ino=2;"), "-");
	cr_expect_str_eq(asker(IPV4, 1, "router 1 a ino=1; router 2 v4 ino=2;"), "v4");
}

/* As many as have entries of their own; of very many these tell. */
Test(probe_input, so_many_are_solicited)
{
	_cleanup_probe_input_ struct probe_input in = { 0 };
	_cleanup_kernel_state_ struct kernel_state m =
		kernel_state_of("router 1 red; own fd64::1 1 1;");
	struct tn_addr first = addr_of("fd64::1:0");
	struct model none = { 0 };

	for (size_t i = 0; i < GROUPS_MAX + 9; i++)
		*vec_push(&m.shared) = (struct shared_row){ .shared = addr_add(&first, i),
							    .fixed = addr_add(&first, i),
							    .router = 1,
							    .flags = TN_SHARED_MAPPED };
	probe_input_of(&none, &m, &m.routers.v[0], true, is_up, &in);
	cr_expect_eq(in.solicited.n, GROUPS_MAX);
}

/* How many others the first of `n` routers asks. */
static size_t asked(size_t n)
{
	struct kernel_state m = { 0 };
	struct model none = { 0 };
	struct probe_input in = { 0 };
	size_t peers;

	for (size_t i = 1; i <= n; i++) {
		struct tn_addr a = addr_of("100.64.0.0");

		vec_push(&m.routers)->id = i;
		*vec_push(&m.shared) = (struct shared_row){
			.shared = addr_add(&a, i), .tenant = i, .router = i, .flags = TN_SHARED_OWN
		};
	}
	probe_input_of(&none, &m, &m.routers.v[0], false, is_up, &in);
	peers = in.peers.n;
	cr_expect_eq(in.unasked, n - 1 - peers);
	probe_input_free(&in);
	kernel_state_free(&m);
	return peers;
}

/* Two entries of the table of neighbours for each that is asked: half of it is the most. */
Test(probe_input, the_more_routers_the_fewer_each_asks)
{
	cr_expect_eq(asked(1), 0);
	cr_expect_eq(asked(5), 4);
	cr_expect_eq(asked(9), 8);
	cr_expect_eq(asked(32), 8);
	cr_expect_eq(asked(33), 7);
	cr_expect_eq(asked(64), 4);
	cr_expect_eq(asked(128), 2);
	cr_expect_eq(asked(129), 1);
	cr_expect_eq(asked(1000), 1);
	for (size_t n = 2; n <= 256; n++)
		cr_assert_leq(2 * n * asked(n), 512);
}
