/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "probe/batch.h"

/* Findings of one router: "probe result subject;", with blue and green on the same network. */
struct found {
	enum probe probe;
	enum probe_result result;
	const char *subject;
};

#define BLUE  "100.64.0.3 (blue)"
#define GREEN "100.64.0.4 (green)"

static bool is_at_fault(const struct found *v, size_t n)
{
	_cleanup_kernel_state_ struct kernel_state m =
		kernel_state_of("router 1 red if=1; router 2 blue if=1; router 3 green if=1;");
	_cleanup_batch_ struct batch t = { .kernel = &m };
	bool ret;

	batch_add(&t, &m.routers.v[0], false);
	for (size_t i = 0; i < n; i++)
		findings_add(&t.list.v[0].found, v[i].probe, v[i].result, v[i].subject, "seen");
	ret = batch_is_at_fault(&t, &t.list.v[0]);
	return ret;
}

#define AT_FAULT(...)                                      \
	is_at_fault((const struct found[]){ __VA_ARGS__ }, \
		    sizeof((const struct found[]){ __VA_ARGS__ }) / sizeof(struct found))

Test(batch, all_is_well)
{
	cr_expect_not(AT_FAULT({ PROBE_CARRIER, PROBE_OK, "shared0" },
			       { PROBE_PING, PROBE_OK, BLUE }, { PROBE_MTU, PROBE_SKIPPED, BLUE }));
}

/* Nothing that is about no other router can be another one's fault. */
Test(batch, of_its_own)
{
	cr_expect(AT_FAULT({ PROBE_CARRIER, PROBE_FAILED, "shared0" }));
	cr_expect(AT_FAULT({ PROBE_DUPLICATE, PROBE_FAILED, "100.64.1.5" },
			   { PROBE_PING, PROBE_OK, BLUE }));
	cr_expect(AT_FAULT({ PROBE_NEIGHBOUR, PROBE_FAILED, "100.64.0.9 (gateway)" },
			   { PROBE_NEIGHBOUR, PROBE_OK, BLUE }));
	/* its own kernel chooses the route, whoever it leads to */
	cr_expect(AT_FAULT({ PROBE_ROUTE, PROBE_FAILED, BLUE }, { PROBE_ROUTE, PROBE_OK, GREEN }));
}

Test(batch, of_another_one)
{
	cr_expect_not(AT_FAULT({ PROBE_NEIGHBOUR, PROBE_FAILED, BLUE },
			       { PROBE_NEIGHBOUR, PROBE_OK, GREEN }));
	cr_expect_not(AT_FAULT({ PROBE_MTU, PROBE_OK, GREEN }, { PROBE_MTU, PROBE_FAILED, BLUE },
			       { PROBE_CHECKSUM, PROBE_OK, GREEN }));
}

/* It reaches nobody, or nobody in that way. */
Test(batch, of_its_own_with_all_others)
{
	cr_expect(AT_FAULT({ PROBE_NEIGHBOUR, PROBE_FAILED, BLUE },
			   { PROBE_NEIGHBOUR, PROBE_FAILED, GREEN }));
	cr_expect(AT_FAULT({ PROBE_NEIGHBOUR, PROBE_OK, BLUE }, { PROBE_MTU, PROBE_FAILED, BLUE },
			   { PROBE_NEIGHBOUR, PROBE_OK, GREEN },
			   { PROBE_MTU, PROBE_FAILED, GREEN }));
	/* that a gateway answers says nothing of routers */
	cr_expect(AT_FAULT({ PROBE_NEIGHBOUR, PROBE_FAILED, BLUE },
			   { PROBE_NEIGHBOUR, PROBE_OK, "100.64.0.9 (gateway)" }));
}
