/* SPDX-License-Identifier: GPL-2.0-only */
/* What a step of a trace means, in words. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "observe/explain.h"
#include "observe/names.h"
#include "tn_reasons.h"

Test(explain, reasons_and_verdicts)
{
	struct trace_step s = { .event = { .verdict = TN_EVENT_DROP, .reason = TN_DROP_STRANGER } };

	cr_expect_str_eq(explain_reason(&s), "stranger");
	cr_expect_str_eq(explain_verdict(&s), "drop");
	/* of programs of a later build */
	s.event.reason = TN_REASONS_COUNT;
	s.event.verdict = 200;
	cr_expect_str_eq(explain_reason(&s), "unknown");
	cr_expect(strstr(explain_meaning(&s), "`tenantnat apply` renews"));
	cr_expect_str_eq(explain_verdict(&s), "unknown");
}

Test(explain, accepted)
{
	_cleanup_model_ struct model m =
		model_of("net 100.64.0.0/16; tenant red id=1; accept id=7 from=blue tcp/22;");
	struct trace_step s = { .told = true, .event = { .rule = 7 } };
	_cleanup_free_ char *text = NULL, *none = NULL;

	cr_expect_eq(explain_rule(&m, &s), &m.tenants.v[0].accept.v[0]);
	cr_expect_str_eq(explain_accepted(&m, &s, &text), "line:0 (from blue, ports tcp/22)");
	s.event.rule = 8;
	cr_expect_null(explain_rule(&m, &s));
	cr_expect_str_eq(explain_accepted(&m, &s, &none),
			 "a rule that is not in the definitions any more");
	s.event = (struct tn_event){ .flow = true, .verdict = TN_EVENT_DROP };
	cr_expect_null(explain_accepted(&m, &s, &none));
	s.event.verdict = 2; /* translated */
	cr_expect_str_eq(explain_accepted(&m, &s, &none), "as a flow that its VM opens");
	/* without an event there is nothing to go by */
	s.told = false;
	cr_expect_null(explain_accepted(&m, &s, &none));
}

/* The rule that has ended, and what to do about it. */
Test(explain, a_rule_that_has_ended)
{
	_cleanup_model_ struct model m =
		model_of("net 100.64.0.0/16; tenant red id=1; accept id=7 from=blue tcp/22 "
			 "until=1806537600;");
	struct trace_step s = {
		.told = true,
		.event = { .rule = 7, .verdict = TN_EVENT_DROP, .reason = TN_DROP_RULE_ENDED }
	};
	struct trace t = { .model = &m };
	_cleanup_free_ char *text = NULL;

	cr_expect_str_eq(explain_accepted(&m, &s, &text),
			 "line:0 (from blue, ports tcp/22, until 2027-03-31)");
	expect_text(explain_remedy(&t, &s),
		    "give the rule in line:0 a later `until` than 2027-03-31, or none", "remedy");
	s.event.rule = 8;
	cr_expect_null(explain_remedy(&t, &s), "of a rule that is gone");
}

/* The rule to add, for what its tenant does not accept: no wider than the packet. */
Test(explain, remedy)
{
	struct mapping named = { .name = "db", .fixed = addr_of("10.0.0.5") };
	struct mapping bare = { .fixed = addr_of("10.0.0.6") },
		       six = { .fixed = addr_of("fd00::5") };
	const struct {
		const char *proto;
		uint16_t port;
		const struct mapping *to;
		const char *want;
	} rows[] = {
		{ NULL, 80, &named, "to: [db], ports: [tcp/80]}]" },
		{ "udp", 80, &bare, "to: [10.0.0.6], ports: [udp/80]}]" },
		{ "icmp", 0, &six, "to: [\"fd00::5\"], ports: [icmp/echo-request]}]" },
		{ "sctp", 80, NULL, "ports: [sctp/80]}]" },
		{ "51", 0, &named, "to: [db], ports: [protocol/51]}]" },
	};
	struct trace_step s = { .event = { .verdict = TN_EVENT_DROP,
					   .reason = TN_DROP_NOT_ACCEPTED } };
	struct error err = { 0 };
	struct trace t = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char want[200];

		t = (struct trace){ .from.tenant = "red",
				    .to = { .tenant = "blue", .mapping = rows[i].to },
				    .packet = { .src = addr_of("10.0.0.5"),
						.dport = rows[i].port } };
		cr_assert_eq(names_service(rows[i].proto, rows[i].port, &t, &err), 0);
		snprintf(want, sizeof(want), "add to tenant blue: accept: [{from: [red], %s",
			 rows[i].want);
		expect_text(explain_remedy(&t, &s), want, "remedy");
	}
	t.from.tenant = NULL;
	cr_expect_null(explain_remedy(&t, &s), "of a stranger");
	t.from.tenant = "red";
	s.event.reason = TN_DROP_LIMIT;
	cr_expect_null(explain_remedy(&t, &s), "for another reason");
}
