/* SPDX-License-Identifier: GPL-2.0-only */
/* The page for people, as the agent makes it of what was built in. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/page.h"
#include "tn_reasons.h"

Test(page, every_reason_once)
{
	static const char *const heads[] = {
#define X(id, name, meaning) "<dt>" name "</dt><dd>",
		TN_REASONS(X)
#undef X
	};
	struct front f = page_make();

	cr_assert(f.html);
	cr_assert_eq(strlen(f.html), f.size);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		const char *first = strstr(f.html, heads[i]);

		cr_assert(first, "%s", heads[i]);
		cr_expect(!strstr(first + 1, heads[i]), "%s twice", heads[i]);
	}
	cr_expect(strstr(f.html, "or set <code>sources: feasible</code> (any"));
	cr_expect(strstr(f.html, "that tenant&#39;s <code>accept</code></dd>"));
	cr_expect(!strstr(f.html, "@REASONS@"));
	cr_expect(!strstr(f.html, "@STYLE@") && !strstr(f.html, "@SCRIPT@"));
	page_free(&f);
	cr_assert_null(f.html);
}

Test(page, policy_lets_nothing_in)
{
	struct front f = page_make();

	cr_expect_eq(strncmp(f.policy, "default-src 'none'; script-src 'sha256-", 39), 0);
	cr_expect(!strstr(f.policy, "unsafe"));
	page_free(&f);
}
