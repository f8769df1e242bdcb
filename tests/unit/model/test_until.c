/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "model/until.h"

/* What is written, and how it is written again. */
Test(until, there_and_back)
{
	static const struct {
		const char *text;
		uint32_t until;
		const char *again; /* NULL: the same */
	} cases[] = {
		{ "2027-03-31", 1806537600, NULL },
		{ "2027-03-31T18:00:00Z", 1806516000, NULL },
		{ "2027-03-31T18:00:00+02:00", 1806508800, "2027-03-31T16:00:00Z" },
		{ "2027-03-31t18:00:00-05:30", 1806535800, "2027-03-31T23:30:00Z" },
		{ "2027-04-01T00:00:00z", 1806537600, "2027-03-31" },
		{ "2028-02-29", 1835481600, NULL },
		{ "2016-12-31T23:59:60Z", 1483228800, "2016-12-31" }, /* a leap second */
		{ "2000-01-01T00:00:00Z", UNTIL_FIRST, "1999-12-31" },
		{ "2105-12-31", UNTIL_LAST, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = { 0 };
		char text[UNTIL_TEXT];
		uint32_t until = 0;

		cr_assert_eq(until_parse(cases[i].text, &until, &err), 0, "%s", err.text);
		cr_expect_eq(until, cases[i].until, "%s: %u", cases[i].text, until);
		cr_expect(until_valid(until));
		cr_expect_str_eq(until_text(until, text),
				 cases[i].again ? cases[i].again : cases[i].text);
	}
}

Test(until, what_is_none)
{
	static const char *const cases[] = {
		"",
		"tomorrow",
		"2027",
		"2027-3-31",
		"2027-02-29",
		"2027-13-01",
		"2027-00-01",
		"2027-01-00",
		"2027-01-32",
		"31.03.2027",
		"2027-03-31 18:00:00Z",
		"2027-03-31T18:00:00",
		"2027-03-31T18:00Z",
		"2027-03-31T18:00:00.5Z",
		"2027-03-31T24:00:00Z",
		"2027-03-31T18:60:00Z",
		"2027-03-31T18:00:61Z",
		"2027-03-31T18:00:00+0200",
		"2027-03-31T18:00:00+24:00",
		"2027-03-31T18:00:00Z ",
		"+027-03-31",
		"1999-12-30",
		"2106-01-01",
		"9999-12-31",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = { 0 };
		uint32_t until = 7;

		cr_expect_eq(until_parse(cases[i], &until, &err), -1, "%s: %u", cases[i], until);
		cr_expect(err.usage);
		cr_expect_eq(until, 7);
	}
}

Test(until, when_a_rule_is_over)
{
	struct rule ends = { .until = 1806537600 }, never = { 0 };
	char text[RULE_UNTIL_TEXT];

	cr_expect_not(rule_is_over(&ends, 1806537599));
	cr_expect(rule_is_over(&ends, 1806537600));
	cr_expect_not(rule_ends_soon(&ends, 1806537600 - RULE_ENDS_SOON - 1));
	cr_expect(rule_ends_soon(&ends, 1806537600 - RULE_ENDS_SOON));
	cr_expect(rule_ends_soon(&ends, 1806537600 + RULE_ENDS_SOON));
	cr_expect_not(rule_is_over(&never, INT32_MAX));
	cr_expect_not(rule_ends_soon(&never, INT32_MAX));
	cr_expect_str_eq(rule_until_text(&ends, text), " until 2027-03-31");
	cr_expect_str_eq(rule_until_text(&never, text), "");
}
