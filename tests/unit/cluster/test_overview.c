/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "cluster/overview.h"

Test(overview, what_hosts_say)
{
	static const struct {
		const char *alive;
		int64_t changed;
		enum host_state state;
	} cases[] = {
		{ NULL, 0, HOST_SILENT },
		{ NULL, 7, HOST_SILENT },
		{ "{\"revision\":7,\"at\":100,\"failed\":[]}", 7, HOST_CURRENT },
		{ "{\"revision\":9,\"at\":100}", 7, HOST_CURRENT },
		{ "{\"revision\":6,\"at\":100,\"failed\":[]}", 7, HOST_BEHIND },
		{ "{\"revision\":6,\"at\":100,\"failed\":[\"red\"]}", 7, HOST_BEHIND },
		{ "{\"revision\":7,\"at\":100,\"failed\":[\"red\",\"blue\"]}", 7, HOST_FAILED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct overview o = { 0 };
		struct overview_host *h = vec_push(&o.hosts);

		if (cases[i].alive)
			cr_assert_eq(overview_read_alive(cases[i].alive, h), 0);
		h->state = overview_judge(h, cases[i].changed);
		cr_expect_eq(h->state, cases[i].state, "%zu: %s", i, host_state_name(h->state));
		cr_expect_eq(overview_is_well(&o), h->state == HOST_CURRENT);
		overview_free(&o);
	}
}

Test(overview, what_no_host_says)
{
	static const char *const values[] = {
		"", "[]", "{}", "{\"revision\":7}", "{\"at\":1,\"failed\":[7]}", "{\"at\":"
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct overview o = { 0 };

		cr_expect_eq(overview_read_alive(values[i], vec_push(&o.hosts)), -1, "%s",
			     values[i]);
		overview_free(&o);
	}
}

Test(overview, one_thing_that_is_not_well_is_enough)
{
	struct overview o = { 0 };

	cr_expect(overview_is_well(&o));
	vec_push(&o.members);
	cr_expect(overview_is_well(&o));
	o.members.v[0].why = xstrdup("NOSPACE");
	cr_expect(!overview_is_well(&o));
	free(o.members.v[0].why);
	o.members.v[0].why = NULL;
	*vec_push(&o.problems) = xstrdup("etcd has no quorum now");
	cr_expect(!overview_is_well(&o));
	overview_free(&o);
}

Test(overview, who_is_elected)
{
	struct overview o = { 0 };
	struct overview_router *red = vec_push(&o.elected);

	cr_expect(overview_is_elected("{\"router\":{\"active\":\"elected\"}}"));
	cr_expect(!overview_is_elected("{\"router\":{\"active\":\"address\"}}"));
	cr_expect(!overview_is_elected("{\"router\":{}}"));
	cr_expect(!overview_is_elected("{\"name\":"));
	cr_expect_eq(overview_read_active("{\"id\":\"1\"}", red), -1);
	cr_expect_eq(overview_read_active("hv1", red), -1);
	cr_expect(!overview_is_well(&o), "nobody is");
	cr_expect_eq(overview_read_active("{\"host\":\"hv1\",\"since\":7}", red), 0);
	cr_expect_str_eq(red->holder, "hv1");
	cr_expect_eq(red->since, 7);
	cr_expect(overview_is_well(&o));
	overview_free(&o);
}
