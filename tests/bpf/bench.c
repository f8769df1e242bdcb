/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy costs: nanoseconds a packet (BPF_PROG_TEST_RUN) without one, and with 10, 1,000
 * and 10,000 rules, side by side. For `make bench-policy`; a test that is skipped otherwise.
 *
 * A test run repeats itself on the same frame, so the mapping measured has the same address on
 * both sides: everything is done, and nothing changes. XDP's mark would pile up; what it does for
 * xdp-generic leaves none.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "harness.h"
#include "lib/addr.h"

#define ROUNDS	 31
#define REPEAT	 100000
#define SELF	 "100.64.1.77"
#define TENANTS_ 100 /* whose rules there are */

static const unsigned int sizes[] = { 0, 10, 1000, 10000 };

struct setup {
	struct lab *lab, *guard; /* all programs; XDP that only guards */
};

/* The n-th rule: a tenant and a port of its own, and where the packets that count are, in the
 * middle. */
static void add_rules(struct lab *lab, unsigned int n)
{
	uint32_t blue = fixture_tenant(BLUE);

	if (!n)
		lab_accept(lab, RED, NULL, 0, TN_CLASSES_COUNT, 0, 0, 1);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t from = i == n / 2 ? blue : 1000 + i % TENANTS_;
		uint16_t port = i == n / 2 ? 80 : 1024 + i;

		lab_accept(lab, RED, NULL, from, TN_CLASS_TCP, port, port, 1 + i % 1000);
	}
}

static struct lab *open_with(unsigned int rules, bool guards_only)
{
	struct lab *lab =
		lab_open(&(struct lab_options){ .strict = true, .guards_only = guards_only });

	lab_map(lab, RED, SELF, SELF);
	add_rules(lab, rules);
	return lab;
}

/* X(name, program, what XDP does alone, packet) */
#define TCP(s, sp, d, dp)                                                                         \
	{                                                                                         \
		.src = s, .dst = d, .proto = IPPROTO_TCP, .sport = sp, .dport = dp, .payload = 10 \
	}
static const struct case_ {
	const char *what;
	enum program program;
	struct packet packet;
	enum verdict verdict;
} cases[] = {
	{ "XDP guard, accepted", XDP_IN, TCP(BLUE_SHARED, 4000, SELF, 80), STACK },
	{ "tc in, accepted", TC_IN, TCP(BLUE_SHARED, 4000, SELF, 80), STACK },
	{ "tc in, not accepted", TC_IN, TCP(BLUE_SHARED, 4000, SELF, 81), GONE },
	{ "tc out, an answer", TC_OUT, TCP(SELF, 80, BLUE_SHARED, 4000), STACK },
	{ "tc out, a VM's own flow", TC_OUT, TCP(SELF, 4000, STRANGER, 80), STACK },
};

static unsigned int nanoseconds(const struct setup *s, const struct case_ *c)
{
	struct lab *lab = c->program == XDP_IN ? s->guard : s->lab;
	struct frame f = packet_build(&c->packet);
	struct result r = lab_run(lab, c->program, &c->packet, &f);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
		    .repeat = REPEAT);

	/* without a policy, everything is accepted */
	if (s->lab && r.verdict != c->verdict && c->verdict != GONE)
		cr_assert_fail("%s: verdict %d", c->what, r.verdict);
	need(bpf_prog_test_run_opts(lab_fd(lab, c->program), &opts) == 0, c->what);
	return opts.duration;
}

static int compare(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

Test(bench, policy, .timeout = 600)
{
	static unsigned int ns[ARRAY_SIZE(cases)][ARRAY_SIZE(sizes)][ROUNDS];
	struct setup setups[ARRAY_SIZE(sizes)];

	if (!getenv("BENCH"))
		cr_skip_test("timed; make bench-policy");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		setups[i] = (struct setup){ open_with(sizes[i], false), open_with(sizes[i], true) };
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
				ns[c][i][round] = nanoseconds(&setups[i], &cases[c]);
		}
	}
	printf("%-26s%10s%10s%10s%10s   ns a packet, medians of %d rounds\n", "rules", "none", "10",
	       "1,000", "10,000", ROUNDS);
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		printf("%-26s", cases[c].what);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			qsort(ns[c][i], ROUNDS, sizeof(ns[c][i][0]), compare);
			printf("%10u", ns[c][i][ROUNDS / 2]);
		}
		printf("\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		lab_close(setups[i].lab);
		lab_close(setups[i].guard);
	}
}
