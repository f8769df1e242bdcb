/* SPDX-License-Identifier: GPL-2.0-only */
/* What a step of a trace means, in words. */
#include <criterion/criterion.h>
#include <netinet/in.h>

#include "../fixture.h"
#include "observe/explain.h"
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

/* The rule to add, for what its tenant does not accept. */
Test(explain, remedy)
{
	static const struct {
		uint8_t proto;
		const char *want;
	} rows[] = {
		{ IPPROTO_TCP, "add to tenant blue: accept: [{from: [red], ports: [tcp/80]}]" },
		{ IPPROTO_UDP, "add to tenant blue: accept: [{from: [red], ports: [udp/80]}]" },
		{ IPPROTO_ICMPV6,
		  "add to tenant blue: accept: [{from: [red], ports: [icmp/echo-request]}]" },
		{ 47, "add to tenant blue: accept: [{from: [red], ports: [protocol/47]}]" },
	};
	struct trace t = { .from.tenant = "red", .to.tenant = "blue", .packet.dport = 80 };
	struct trace_step s = { .event = { .verdict = TN_EVENT_DROP,
					   .reason = TN_DROP_NOT_ACCEPTED } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t.packet.proto = rows[i].proto;
		expect_text(explain_remedy(&t, &s), rows[i].want, "remedy");
	}
	t.from.tenant = NULL;
	cr_expect_null(explain_remedy(&t, &s), "of a stranger");
	t.from.tenant = "red";
	s.event.reason = TN_DROP_LIMIT;
	cr_expect_null(explain_remedy(&t, &s), "for another reason");
}
