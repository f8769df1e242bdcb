/* SPDX-License-Identifier: GPL-2.0-only */
/* Whom FROM and TO[:PORT] mean. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "observe/names.h"

/* Red and blue have their routers here, far has not. */
static struct view v;

static void setup(void)
{
	v.model = model_of("net 100.64.0.0/16 fd64::/64;"
			   "tenant red id=1 pool=100.64.1.0/24; router id=1;"
			   "map 10.0.0.5 db pin=100.64.1.5; map fd00::5 db pin=fd64::1:5;"
			   "tenant blue id=2 pool=100.64.2.0/24; router id=2;"
			   "map 10.0.0.5 web pin=100.64.2.5;"
			   "tenant far id=3 pool=100.64.3.0/24;");
	v.kernel = kernel_state_of("router 1 red; router 2 blue;"
				   "own 100.64.1.1 1 1; to 100.64.1.5 10.0.0.5 1 1;"
				   "to fd64::1:5 fd00::5 1 1; to 100.64.2.5 10.0.0.5 2 2;");
}

static void teardown(void)
{
	model_free(&v.model);
	kernel_state_free(&v.kernel);
}

TestSuite(names, .init = setup, .fini = teardown);

/* "TENANT FIXED here > TENANT FIXED here: SRC > DST:PORT", or the error. */
static char *resolved(const char *from, const char *to, bool outside)
{
	struct trace t = { .outside = outside };
	struct error err = { 0 };
	bool has_port;
	char *text;

	if (names_resolve(&v, from, to, &t, &has_port, &err)) {
		cr_expect(err.usage, "%s %s", from, to);
		return strdup(err.text);
	}
#define END(e)                                                                             \
	(e).tenant ? (e).tenant : "-", addr_is_unset(&(e).fixed) ? "-" : ADDR(&(e).fixed), \
		(e).router ? " here" : ""
	cr_assert_gt(asprintf(&text, "%s %s%s > %s %s%s: %s > %s", END(t.from), END(t.to),
			      ADDR(&t.packet.src), ADDR(&t.packet.dst)),
		     0);
	if (has_port) {
		char *with;

		cr_assert_gt(asprintf(&with, "%s:%u", text, t.packet.dport), 0);
		free(text);
		return with;
	}
	return text;
}

Test(names, ends)
{
	static const struct {
		const char *from, *to;
		bool outside;
		const char *want;
	} rows[] = {
		{ "red/db", "blue/web:80", false,
		  "red 10.0.0.5 here > blue 10.0.0.5 here: 10.0.0.5 > 100.64.2.5:80" },
		{ "100.64.1.5", "100.64.2.5", false,
		  "red 10.0.0.5 here > blue 10.0.0.5 here: 10.0.0.5 > 100.64.2.5" },
		{ "blue/10.0.0.5", "red/10.0.0.5:0", false,
		  "blue 10.0.0.5 here > red 10.0.0.5 here: 10.0.0.5 > 100.64.1.5:0" },
		/* a VM without a mapping, which is no end for others */
		{ "red/10.0.0.9", "100.64.3.9", false,
		  "red 10.0.0.9 here > - -: 10.0.0.9 > 100.64.3.9" },
		{ "blue/web", "red/10.0.0.9", false,
		  "red/10.0.0.9: tenant red has no such mapping; `tenantnat map list red` lists "
		  "them" },
		/* by a host of the shared network: with the shared address */
		{ "red/db", "blue/web", true,
		  "red 10.0.0.5 here > blue 10.0.0.5 here: 100.64.1.5 > 100.64.2.5" },
		{ "red/10.0.0.9", "blue/web", true,
		  "--outside: red/10.0.0.9 has no shared address" },
		/* the router's own address; one of a pool that no mapping has */
		{ "100.64.1.1", "100.64.2.5", false,
		  "red - here > blue 10.0.0.5 here: 100.64.1.1 > 100.64.2.5" },
		{ "100.64.3.9", "100.64.2.77", false,
		  "far - > blue - here: 100.64.3.9 > 100.64.2.77" },
		/* brackets, and the family that both have */
		{ "red/[fd00::5]", "[fd64::1:5]:80", false,
		  "red fd00::5 here > red fd00::5 here: fd00::5 > fd64::1:5:80" },
		{ "red/db", "fd64::1:5", false,
		  "red fd00::5 here > red fd00::5 here: fd00::5 > fd64::1:5" },
		{ "100.64.1.5", "fd64::1:5", false,
		  "100.64.1.5 and fd64::1:5 have no addresses of the same family" },
		/* what means nobody */
		{ "green/db", "blue/web", false,
		  "green/db: there is no tenant green; `tenantnat show` lists them" },
		{ "far/10.0.0.5", "blue/web", false,
		  "far/10.0.0.5: no mapping has it, and tenant far has no router here" },
		{ "red/db", "10.0.0.5", false,
		  "10.0.0.5: not in a shared subnet; give TENANT/ADDRESS, or the shared address" },
		{ "db", "blue/web", false,
		  "db: give a shared address, or TENANT/NAME or TENANT/ADDRESS, as in red/db" },
		{ "100.64.3.1", "100.64.3.2", false,
		  "neither 100.64.3.1 nor 100.64.3.2 has its router here; ask on the host that has "
		  "one" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_text(resolved(rows[i].from, rows[i].to, rows[i].outside), rows[i].want,
			    rows[i].to);
}

Test(names, mapping)
{
	struct tn_addr db = addr_of("100.64.1.5"), none = addr_of("100.64.1.6");

	cr_expect_str_eq(names_mapping(&v.model, &db), "db");
	cr_expect_str_eq(names_mapping(&v.model, &none), "");
}
