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
			   "tenant far id=3 pool=100.64.3.0/24;"
			   "tenant off id=4 pool=100.64.4.0/24; router id=4 detached;"
			   "map 10.0.0.5 db pin=100.64.4.5;"
			   "tenant lost id=5; router id=5; map 10.0.0.5 db pin=100.64.5.5;");
	v.kernel = kernel_state_of("router 1 red; router 2 blue;"
				   "own 100.64.1.1 1 1; to 100.64.1.5 10.0.0.5 1 1;"
				   "to fd64::1:5 fd00::5 1 1; to 100.64.2.5 10.0.0.5 2 2;"
				   "to 100.64.4.5 10.0.0.5 4 0; to 100.64.5.5 10.0.0.5 5 0;");
}

static void teardown(void)
{
	model_free(&v.model);
	kernel_state_free(&v.kernel);
}

TestSuite(names, .init = setup, .fini = teardown);

/* "TENANT FIXED here > TENANT FIXED here: SRC > DST:PORT", or the error: "! " when it is none of
 * usage. */
static char *resolved(const char *from, const char *to, bool outside)
{
	struct trace t = { .outside = outside };
	struct error err = { 0 };
	bool has_port;
	char *text;

	if (names_resolve(&v, from, to, &t, &has_port, &err)) {
		cr_assert_gt(asprintf(&text, "%s%s", err.usage ? "" : "! ", err.text), 0);
		return text;
	}
#define END(e)                                                                             \
	(e).tenant ? (e).tenant : "-", addr_is_unset(&(e).fixed) ? "-" : ADDR(&(e).fixed), \
		(e).router    ? " here"                                                    \
		: (e).missing ? " missing"                                                 \
			      : ""
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
		{ "blue/10.0.0.5", "red/10.0.0.5:65535", false,
		  "blue 10.0.0.5 here > red 10.0.0.5 here: 10.0.0.5 > 100.64.1.5:65535" },
		{ "red/db", "blue/web:0", false,
		  "blue/web:0: `0` is no port; give a number from 1 to 65535" },
		{ "red/db", "blue/web:70000", false,
		  "blue/web:70000: `70000` is no port; give a number from 1 to 65535" },
		{ "red/db", "100.64.2.5:ssh", false,
		  "100.64.2.5:ssh: `ssh` is no port; give a number from 1 to 65535" },
		{ "red/db", "blue/web:", false,
		  "blue/web:: `` is no port; give a number from 1 to 65535" },
		{ "red/db", "[fd64::1:5]:x", false,
		  "[fd64::1:5]:x: `x` is no port; give a number from 1 to 65535" },
		/* a VM without a mapping, which is no end for others; a plain host */
		{ "red/10.0.0.9", "100.64.3.9", false,
		  "red 10.0.0.9 here > far -: 10.0.0.9 > 100.64.3.9" },
		{ "red/db", "100.64.9.9", false, "red 10.0.0.5 here > - -: 10.0.0.5 > 100.64.9.9" },
		{ "red/db", "100.64.2.77", false,
		  "red 10.0.0.5 here > - -: 10.0.0.5 > 100.64.2.77" },
		/* routers that are not attached now */
		{ "red/db", "off/db", false,
		  "red 10.0.0.5 here > off 10.0.0.5 missing: 10.0.0.5 > 100.64.4.5" },
		{ "red/db", "100.64.4.9", false,
		  "red 10.0.0.5 here > off - missing: 10.0.0.5 > 100.64.4.9" },
		{ "off/db", "red/db", false,
		  "! off/db: the router of tenant off is detached; `tenantnat apply` with your "
		  "file "
		  "attaches it again" },
		{ "lost/db", "red/db", false,
		  "! lost/db: the router of tenant lost is not attached; `tenantnat restore` "
		  "attaches it again" },
		{ "off/10.0.0.9", "red/db", false,
		  "! off/10.0.0.9: no mapping has it, and the router of tenant off is detached; "
		  "`tenantnat apply` with your file attaches it again" },
		{ "100.64.3.9", "off/db", false,
		  "! off/db: the router of tenant off is detached; `tenantnat apply` with your "
		  "file "
		  "attaches it again" },
		{ "off/db", "red/db", true,
		  "off 10.0.0.5 missing > red 10.0.0.5 here: 100.64.4.5 > 100.64.1.5" },
		{ "blue/web", "red/10.0.0.9", false,
		  "red/10.0.0.9: tenant red has no mapping 10.0.0.9; `tenantnat map list red` "
		  "lists them" },
		{ "red/bd", "blue/web", false,
		  "red/bd: tenant red has no mapping bd; did you mean `db`?" },
		{ "bleu/db", "blue/web", false,
		  "bleu/db: there is no tenant bleu; did you mean `blue`?" },
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

/* "PROTO TYPE PORT as SERVICE", or the error. */
static char *service_of(const char *proto, uint16_t port, bool v4)
{
	struct trace t = { .packet = { .src = addr_of(v4 ? "10.0.0.5" : "fd00::5"),
				       .dport = port } };
	char text[SERVICE_TEXT], *out;
	struct error err = { 0 };

	if (names_service(proto, port, &t, &err)) {
		cr_expect(err.usage);
		return strdup(err.text);
	}
	cr_assert_eq(service_text(t.services, t.nservices, text), t.nservices);
	cr_assert_gt(asprintf(&out, "%u %u %u as %s", t.packet.proto, t.packet.type, t.packet.dport,
			      text),
		     0);
	return out;
}

Test(names, service)
{
	static const struct {
		const char *proto;
		uint16_t port; /* 0: none was given */
		bool v6;
		const char *want;
	} rows[] = {
		{ NULL, 80, false, "6 0 80 as tcp/80" },
		{ NULL, 0, false, "1 8 0 as icmp/echo-request" },
		{ NULL, 0, true, "58 128 0 as icmp/echo-request" },
		{ "udp", 53, false, "17 0 53 as udp/53" },
		{ "udp/53", 0, false, "17 0 53 as udp/53" },
		{ "udp/53", 53, false, "17 0 53 as udp/53" },
		{ "sctp", 80, true, "132 0 80 as sctp/80" },
		{ "132", 80, true, "132 0 80 as sctp/80" },
		{ "dccp", 80, false, "33 0 80 as dccp/80" },
		{ "udplite", 80, false, "136 0 80 as udplite/80" },
		{ "icmp", 0, true, "58 128 0 as icmp/echo-request" },
		{ "58", 0, false, "1 8 0 as icmp/echo-request" },
		{ "icmp/timestamp-request", 0, false, "1 13 0 as icmp/timestamp-request" },
		{ "icmp/13", 0, true, "58 13 0 as icmp/13" },
		{ "gre", 0, false, "47 0 0 as gre" },
		{ "47", 0, false, "47 0 0 as gre" },
		{ "protocol/51", 0, false, "51 0 0 as protocol/51" },
		{ "51", 0, false, "51 0 0 as protocol/51" },
		{ "tcp", 0, false, "--proto tcp: to which port? give TO:PORT" },
		{ "tcp/0", 0, false,
		  "--proto tcp/0: one packet has one port; give one from 1 to 65535" },
		{ "tcp/80-81", 0, false,
		  "--proto tcp/80-81: one packet has one port; give one from 1 to 65535" },
		{ "tcp/80", 81, false,
		  "--proto tcp/80: that is another port than :81; give one of them" },
		{ "gre", 7, false, "--proto gre: it has no ports; leave out :7" },
		{ "icmp", 7, false, "--proto icmp/echo-request: it has no ports; leave out :7" },
		{ "icmp/timestamp-request", 0, true,
		  "--proto icmp/timestamp-request: there is no such request in IPv6" },
		{ "300", 0, false, "--proto 300: give a number up to 255" },
		{ "4x", 0, false, "--proto 4x: give a number up to 255" },
		{ "protocol/6", 0, false, "--proto: `protocol/6` has a name; write `tcp`" },
		{ "tcp/x", 0, false,
		  "--proto: `tcp/x` is no port or range of ports; write it like `tcp/5432` or "
		  "`tcp/8000-8099`" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_text(service_of(rows[i].proto, rows[i].port, !rows[i].v6), rows[i].want,
			    rows[i].proto ? rows[i].proto : "no --proto");
}
