/* SPDX-License-Identifier: GPL-2.0-only */
/* Events: who asks for them gets them, of every program, and nobody else pays for it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include "harness.h"
#include "lib/addr.h"

#define EVENTS_MAX 64

struct heard {
	size_t n;
	struct tn_event v[EVENTS_MAX];
};

static int hear(void *context, void *data, size_t size)
{
	struct heard *h = context;

	cr_assert_eq(size, sizeof(struct tn_event));
	cr_assert_lt(h->n, EVENTS_MAX);
	memcpy(&h->v[h->n++], data, size);
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* What there is to hear of these packets, while somebody watches like that. */
static void listen_to(struct lab *lab, const struct tn_watch *w, const struct row *rows, size_t n,
		      struct heard *h)
{
	struct ring_buffer *ring = ring_buffer__new(lab_map_fd(lab, "events"), hear, h, NULL);
	uint32_t zero = 0;

	need(ring, "the ring buffer");
	memset(h, 0, sizeof(*h));
	need(!bpf_map_update_elem(lab_map_fd(lab, "watch"), &zero, w, BPF_ANY), "watching");
	for (size_t i = 0; i < n; i++) {
		struct frame f = packet_build(&rows[i].before);

		for (int program = 0; program < PROGRAMS; program++) {
			if (rows[i].programs & 1U << program)
				lab_run(lab, program, &rows[i].before, &f);
		}
	}
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

static uint64_t lost(struct lab *lab)
{
	struct tally t;

	lab_tally(lab, &t);
	return t.routers[RED].events_lost;
}

#define EVERY_REASON (~0ULL)

static const struct row packets[] = {
	{ "dropped", ON_IN, { UDP(GREEN_SHARED, "10.0.0.9", .sport = 7, .dport = 9) }, PASS },
	{ "translated in", ON_IN, { UDP(GREEN_SHARED, RED_SHARED) }, PASS },
	{ "translated out", ON_OUT, { UDP(RED_VM_6, GREEN_SHARED_6) }, PASS },
	{ "turned back", ON_INSIDE, { UDP(RED_VM, RED_SHARED2) }, PASS },
};

Test(report, only_what_was_asked_for)
{
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	struct tn_watch drops = { .expires = now() + 1000000000000,
				  .reasons = EVERY_REASON,
				  .rate = 1000 };
	struct tn_watch w;
	struct heard h;

	listen_to(lab, &drops, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 2, "drops: %zu", h.n);
	w = drops;
	w.sample = 1;
	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 6, "drops and passes: %zu", h.n);
	w.router = BLUE;
	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 0, "of another router: %zu", h.n);
	w = drops;
	w.reasons = 1ULL << TN_DROP_SPOOFED_SOURCE;
	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 0, "for another reason: %zu", h.n);
	w.trace_src = addr_of(GREEN_SHARED);
	w.trace_dst = addr_of(RED_SHARED);
	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 2, "by its addresses: %zu", h.n);
	w = drops;
	w.expires = now() - 1;
	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_expect_eq(h.n, 0, "after the time is up: %zu", h.n);
	cr_expect_eq(lost(lab), 0, "lost some");
	lab_close(lab);
}

static void expect_event(const struct tn_event *e, enum tn_program program,
			 enum tn_event_verdict verdict, const char *src, const char *dst,
			 const char *new)
{
	struct tn_addr from = addr_of(src), to = addr_of(dst),
		       is = new ? addr_of(new) : (struct tn_addr){ 0 };

	cr_expect_eq(e->program, program, "program %u instead of %u", e->program, program);
	cr_expect_eq(e->verdict, verdict, "program %u: verdict %u", program, e->verdict);
	cr_expect_eq(e->router, RED);
	cr_expect_arr_eq(&e->src, &from, sizeof(from), "program %u: source", program);
	cr_expect_arr_eq(&e->dst, &to, sizeof(to), "program %u: destination", program);
	cr_expect_arr_eq(&e->now, &is, sizeof(is), "program %u: new address", program);
}

Test(report, what_an_event_says)
{
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	struct tn_watch w = {
		.expires = now() + 1000000000000, .reasons = EVERY_REASON, .rate = 1000, .sample = 1
	};
	struct frame f = packet_build(&packets[0].before);
	struct heard h;

	listen_to(lab, &w, packets, ARRAY_SIZE(packets), &h);
	cr_assert_eq(h.n, 6, "%zu events", h.n);
	expect_event(&h.v[0], TN_PROGRAM_XDP_SHARED_IN, TN_EVENT_DROP, GREEN_SHARED, "10.0.0.9",
		     NULL);
	expect_event(&h.v[1], TN_PROGRAM_TC_SHARED_IN, TN_EVENT_DROP, GREEN_SHARED, "10.0.0.9",
		     NULL);
	expect_event(&h.v[2], TN_PROGRAM_XDP_SHARED_IN, TN_EVENT_TRANSLATED, GREEN_SHARED,
		     RED_SHARED, RED_VM);
	expect_event(&h.v[3], TN_PROGRAM_TC_SHARED_IN, TN_EVENT_TRANSLATED, GREEN_SHARED,
		     RED_SHARED, RED_VM);
	expect_event(&h.v[4], TN_PROGRAM_TC_SHARED_OUT, TN_EVENT_TRANSLATED, RED_VM_6,
		     GREEN_SHARED_6, RED_SHARED_6);
	expect_event(&h.v[5], TN_PROGRAM_TC_INSIDE_IN, TN_EVENT_TURNED, RED_VM, RED_SHARED2,
		     RED_SHARED);
	cr_expect_eq(h.v[0].reason, TN_DROP_DIRECT_TO_PRIVATE);
	cr_expect_eq(h.v[0].proto, IPPROTO_UDP);
	cr_expect_eq(h.v[0].sport, 7);
	cr_expect_eq(h.v[0].dport, 9);
	cr_expect_eq(h.v[0].len, f.len);
	cr_expect_eq(h.v[0].head_len, f.len);
	cr_expect_arr_eq(h.v[0].head, f.bytes, f.len);
	cr_expect_eq(h.v[2].rule, fixture_tenant(RED), "rule %u", h.v[2].rule);
	cr_expect_geq(h.v[1].at, h.v[0].at);
	lab_close(lab);
}

/* A frame longer than the room for it, and one that has no addresses. */
Test(report, the_head_of_a_frame)
{
	static const struct row rows[] = {
		{ "long",
		  ON_IN,
		  { .src = GREEN_SHARED, .dst = "10.0.0.9", .proto = IPPROTO_UDP, .payload = 1400 },
		  PASS },
		{ "malformed", ON_IN, { UDP(GREEN_SHARED, RED_SHARED, .ihl = 4) }, PASS },
	};
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	struct tn_watch w = { .expires = now() + 1000000000000,
			      .reasons = EVERY_REASON,
			      .rate = 1000 };
	struct tn_addr none = { 0 };
	struct heard h;

	listen_to(lab, &w, rows, ARRAY_SIZE(rows), &h);
	cr_assert_eq(h.n, 4, "%zu events", h.n);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(h.v[i].head_len, TN_EVENT_HEAD);
		cr_expect_eq(h.v[i].len, 1442);
		cr_expect_eq(h.v[2 + i].reason, TN_DROP_MALFORMED);
		cr_expect_arr_eq(&h.v[2 + i].src, &none, sizeof(none),
				 "an address of another packet");
	}
	lab_close(lab);
}

Test(report, a_flood_is_counted)
{
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	struct tn_watch w = { .expires = now() + 1000000000000,
			      .reasons = EVERY_REASON,
			      .rate = 0 };
	struct heard h;

	listen_to(lab, &w, packets, 1, &h);
	cr_expect_eq(h.n, 0);
	cr_expect_eq(lost(lab), 2, "%lu", lost(lab));
	lab_close(lab);
}
