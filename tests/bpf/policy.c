/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may talk to whom: scenes of several packets each, in which what came before matters. A scene
 * is played twice, with what comes in on XDP and on tc; the programs of red run.
 */
#include <bpf/bpf.h>
#include <linux/icmp.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "lib/addr.h"
#include "model/model.h"

#define EVERYTHING   TN_CLASSES_COUNT
#define ALL_OF(c)    TN_CLASS_##c, 0, 0xffff
#define ONE_OF(c, n) TN_CLASS_##c, n, n

#define TENANT_OF(router) (router + 1)

enum way { IN, OUT };

struct step {
	const char *what;
	enum way way;
	struct packet packet;
	int reason; /* PASSES, or TN_DROP_… */
};
#define PASSES (-1)

static enum program in_program;

/* What XDP leaves to tc is tc's to judge. */
static struct result run(struct lab *lab, const struct step *s)
{
	struct frame f = packet_build(&s->packet);
	struct result r = lab_run(lab, s->way == OUT ? TC_OUT : in_program, &s->packet, &f);

	if (s->way == IN && in_program == XDP_IN && r.verdict == STACK && !r.marked)
		r = lab_run(lab, TC_IN, &s->packet, &f);
	return r;
}

static void play(struct lab *lab, const struct step *s)
{
	static struct tally before, after;
	struct result r;

	lab_tally(lab, &before);
	r = run(lab, s);
	lab_tally(lab, &after);
	cr_expect_eq(r.verdict, s->reason == PASSES ? STACK : GONE, "%s, %s: %s", s->what,
		     program_name(in_program), r.verdict == STACK ? "it passed" : "it was dropped");
	for (int i = 0; i < TN_REASONS_COUNT; i++)
		cr_expect_eq(after.routers[RED].packets[i] - before.routers[RED].packets[i],
			     i == s->reason, "%s, %s: reason %d counted %llu times", s->what,
			     program_name(in_program), i,
			     after.routers[RED].packets[i] - before.routers[RED].packets[i]);
}

static void play_all(struct lab *lab, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		play(lab, &steps[i]);
}

#define PLAY(lab, ...)                                      \
	play_all(lab, (const struct step[]){ __VA_ARGS__ }, \
		 sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

typedef void (*scene_fn)(struct lab *lab);

static void scene(scene_fn fn)
{
	static const enum program programs[] = { XDP_IN, TC_IN };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct lab *lab = lab_open(&(struct lab_options){ .strict = true });

		in_program = programs[i];
		fn(lab);
		lab_close(lab);
	}
}

#define TCP_(s, sp, d, dp, ...)                                                                   \
	{                                                                                         \
		.src = s, .dst = d, .proto = IPPROTO_TCP, .sport = sp, .dport = dp, ##__VA_ARGS__ \
	}
#define UDP_(s, sp, d, dp, ...)                                                                   \
	{                                                                                         \
		.src = s, .dst = d, .proto = IPPROTO_UDP, .sport = sp, .dport = dp, ##__VA_ARGS__ \
	}
#define PING(s, d)                                                      \
	{                                                               \
		.src = s, .dst = d, .proto = IPPROTO_ICMP, .payload = 8 \
	}
#define PONG(s, d)                                                                          \
	{                                                                                   \
		.src = s, .dst = d, .proto = IPPROTO_ICMP, .payload = 8, .type = ECHO_REPLY \
	}
#define PING6(s, d)                                                                    \
	{                                                                              \
		.src = s, .dst = d, .proto = IPPROTO_ICMPV6, .payload = 8, .type = 128 \
	}
#define PONG6(s, d)                                                                    \
	{                                                                              \
		.src = s, .dst = d, .proto = IPPROTO_ICMPV6, .payload = 8, .type = 129 \
	}

/* ---------------------------------------------------------------- nobody, unless it is said */

static void nobody_is_accepted(struct lab *lab)
{
	PLAY(lab,
	     { "from another tenant of this machine", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80),
	       TN_DROP_NOT_ACCEPTED },
	     { "from a tenant elsewhere", IN, UDP_(GREEN_SHARED, 4000, RED_SHARED, 53),
	       TN_DROP_NOT_ACCEPTED },
	     { "a ping", IN, PING(GREEN_SHARED, RED_SHARED), TN_DROP_NOT_ACCEPTED },
	     { "an answer to nothing", IN, PONG(GREEN_SHARED, RED_SHARED), TN_DROP_NOT_ACCEPTED },
	     { "a protocol without ports",
	       IN,
	       { .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_GRE, .payload = 20 },
	       TN_DROP_NOT_ACCEPTED },
	     { "from another router", IN, PING(BLUE_OWN, RED_SHARED), TN_DROP_NOT_ACCEPTED },
	     { "from nobody known", IN, UDP_(STRANGER, 4000, RED_SHARED, 53), TN_DROP_STRANGER },
	     { "over IPv6", IN, TCP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 80), TN_DROP_NOT_ACCEPTED },
	     { "a ping over IPv6", IN, PING6(GREEN_SHARED_6, RED_SHARED_6), TN_DROP_NOT_ACCEPTED },
	     { "from nobody known over IPv6", IN, UDP_(STRANGER_6, 4000, RED_SHARED_6, 53),
	       TN_DROP_STRANGER },
	     { "the router itself", IN, PING(GREEN_SHARED, RED_OWN), PASSES });
}

Test(policy, nobody_is_accepted)
{
	scene(nobody_is_accepted);
}

/* ---------------------------------------------------------------- rules */

static void what_a_rule_says(struct lab *lab)
{
	lab_accept(lab, RED, RED_SHARED, TENANT_OF(BLUE), ONE_OF(TCP, 5432), 7);
	PLAY(lab, { "the port", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 5432), PASSES },
	     { "its answer", OUT, TCP_(RED_VM, 5432, BLUE_SHARED, 4000), PASSES },
	     { "another port", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 5433),
	       TN_DROP_NOT_ACCEPTED },
	     { "the port at the wrong end", IN, TCP_(BLUE_SHARED, 5432, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "another protocol", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 5432),
	       TN_DROP_NOT_ACCEPTED },
	     { "another mapping", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED2, 5432),
	       TN_DROP_NOT_ACCEPTED },
	     { "the other family", IN, TCP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 5432),
	       TN_DROP_NOT_ACCEPTED },
	     { "another tenant", IN, TCP_(GREEN_SHARED, 4000, RED_SHARED, 5432),
	       TN_DROP_NOT_ACCEPTED },
	     { "nobody known", IN, TCP_(STRANGER, 4000, RED_SHARED, 5432), TN_DROP_STRANGER });
	cr_expect_eq(lab_hits(lab, 7), 2, "%s: %lu hits", program_name(in_program),
		     lab_hits(lab, 7));
}

Test(policy, what_a_rule_says)
{
	scene(what_a_rule_says);
}

static void any_tenant_but_no_stranger(struct lab *lab)
{
	lab_accept(lab, RED, NULL, 0, EVERYTHING, 0, 0, 1);
	lab_pool(lab, "100.64.9.0/28", TENANT_OF(GREEN) + 7);
	lab_pool(lab, "100.64.9.3/32", 0);
	PLAY(lab, { "a mapping", IN, UDP_(GREEN_SHARED, 1, RED_SHARED2, 2), PASSES },
	     { "a router", IN, PING(BLUE_OWN, RED_SHARED), PASSES },
	     { "out of a pool", IN, UDP_("100.64.9.1", 1, RED_SHARED, 2), PASSES },
	     { "what two pools claim", IN, UDP_("100.64.9.3", 1, RED_SHARED, 2), TN_DROP_STRANGER },
	     { "behind the pool", IN, UDP_("100.64.9.16", 1, RED_SHARED, 2), TN_DROP_STRANGER },
	     { "an answer to nothing, which is something too", IN, PONG(GREEN_SHARED, RED_SHARED),
	       PASSES },
	     { "over IPv6", IN, UDP_(BLUE_SHARED_6, 1, RED_SHARED_6, 2), PASSES });
}

Test(policy, any_tenant_but_no_stranger)
{
	scene(any_tenant_but_no_stranger);
}

/* Each of the four rows that can accept, and blocks of each size. */
static void every_row_counts(struct lab *lab)
{
	static const uint8_t shifts[] = { 4, 8, 12 };
	struct tn_accept row = { .blocks = { [TN_CLASS_UDP] = 0xe } };
	struct tn_service_key key = { .accept = { .tenant = TENANT_OF(RED) },
				      .class = TN_CLASS_UDP };
	struct tn_service rule = { .rule = 9 };

	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(TCP, 1), 1);
	lab_accept(lab, RED, NULL, 0, ONE_OF(TCP, 2), 2);
	lab_accept(lab, RED, RED_SHARED, TENANT_OF(BLUE), ONE_OF(TCP, 3), 3);
	lab_accept(lab, RED, RED_SHARED, 0, ALL_OF(SCTP), 4);
	cr_assert_eq(bpf_map_update_elem(lab_map_fd(lab, "accepts"),
					 &(struct tn_accept_key){ .tenant = TENANT_OF(RED),
								  .from = TENANT_OF(GREEN) },
					 &row, BPF_ANY),
		     0);
	key.accept.from = TENANT_OF(GREEN);
	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		key.shift = shifts[i];
		key.block = 0x7654 >> shifts[i] ^ (1U << i);
		cr_assert_eq(bpf_map_update_elem(lab_map_fd(lab, "services"), &key, &rule, BPF_ANY),
			     0);
	}
	lab_changed(lab);
	PLAY(lab, { "tenant to tenant", IN, TCP_(BLUE_SHARED, 9, RED_SHARED2, 1), PASSES },
	     { "any to tenant", IN, TCP_(BLUE_SHARED, 9, RED_SHARED2, 2), PASSES },
	     { "any to tenant, from another", IN, TCP_(GREEN_SHARED, 9, RED_SHARED, 2), PASSES },
	     { "tenant to mapping", IN, TCP_(BLUE_SHARED, 9, RED_SHARED, 3), PASSES },
	     { "not that mapping", IN, TCP_(BLUE_SHARED, 9, RED_SHARED2, 3), TN_DROP_NOT_ACCEPTED },
	     { "any to mapping",
	       IN,
	       { .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_SCTP, .payload = 8 },
	       PASSES },
	     { "16 services", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x7644), PASSES },
	     { "next to them", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x7634),
	       TN_DROP_NOT_ACCEPTED },
	     { "256 services", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x7400), PASSES },
	     { "next to them", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x7300),
	       TN_DROP_NOT_ACCEPTED },
	     { "4,096 services", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x3fff), PASSES },
	     { "next to them", IN, UDP_(GREEN_SHARED, 9, RED_SHARED2, 0x4000),
	       TN_DROP_NOT_ACCEPTED });
}

Test(policy, every_row_counts)
{
	scene(every_row_counts);
}

/* Who has another MAC address than its router cannot say that he is that tenant. */
static void a_source_that_is_not_his(struct lab *lab)
{
	lab_accept(lab, RED, NULL, 0, EVERYTHING, 0, 0, 1);
	lab_router_port(lab, BLUE, MAC_OTHER);
	PLAY(lab,
	     { "an impostor", IN, UDP_(BLUE_SHARED, 1, RED_SHARED, 2), TN_DROP_SPOOFED_SOURCE },
	     { "the router", IN, UDP_(BLUE_SHARED, 1, RED_SHARED, 2, .from = MAC_OTHER), PASSES },
	     { "over IPv6", IN, UDP_(BLUE_SHARED_6, 1, RED_SHARED_6, 2), TN_DROP_SPOOFED_SOURCE },
	     { "the router, over IPv6", IN,
	       UDP_(BLUE_SHARED_6, 1, RED_SHARED_6, 2, .from = MAC_OTHER), PASSES },
	     { "as the router itself", IN, PING(BLUE_OWN, RED_SHARED), TN_DROP_SPOOFED_SOURCE },
	     { "to the router itself", IN, PING(BLUE_SHARED, RED_OWN), TN_DROP_SPOOFED_SOURCE },
	     { "of a router elsewhere", IN, UDP_(GREEN_SHARED, 1, RED_SHARED, 2), PASSES });
	lab_router_port(lab, BLUE, "00:00:00:00:00:00");
	PLAY(lab, { "of a router that is gone", IN, UDP_(BLUE_SHARED, 1, RED_SHARED, 2), PASSES });
}

Test(policy, a_source_that_is_not_his)
{
	scene(a_source_that_is_not_his);
}

/* ---------------------------------------------------------------- flows */

static void what_a_vm_opens(struct lab *lab)
{
	lab_pool(lab, "100.64.9.0/24", TENANT_OF(GREEN) + 7); /* judged elsewhere */
	PLAY(lab,
	     { "an answer before the question", IN, TCP_(STRANGER, 80, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "a VM opens a flow", OUT, TCP_(RED_VM, 4000, STRANGER, 80), PASSES },
	     { "and is answered", IN, TCP_(STRANGER, 80, RED_SHARED, 4000), PASSES },
	     { "from the wrong port", IN, TCP_(STRANGER, 81, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "to the wrong port", IN, TCP_(STRANGER, 80, RED_SHARED, 4001),
	       TN_DROP_NOT_ACCEPTED },
	     { "in the wrong protocol", IN, UDP_(STRANGER, 80, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "from the wrong address", IN, TCP_("100.64.9.8", 80, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "to another VM", IN, TCP_(STRANGER, 80, RED_SHARED2, 4000), TN_DROP_NOT_ACCEPTED },
	     { "a ping", OUT, PING(RED_VM, STRANGER), PASSES },
	     { "its answer", IN, PONG(STRANGER, RED_SHARED), PASSES },
	     { "a ping back", IN, PING(STRANGER, RED_SHARED), TN_DROP_NOT_ACCEPTED },
	     { "an answer to nothing goes out to nobody", OUT, PONG(RED_VM2, STRANGER),
	       TN_DROP_NOT_ACCEPTED },
	     { "GRE",
	       OUT,
	       { .src = RED_VM, .dst = STRANGER, .proto = IPPROTO_GRE, .payload = 9 },
	       PASSES },
	     { "GRE back",
	       IN,
	       { .src = STRANGER, .dst = RED_SHARED, .proto = IPPROTO_GRE, .payload = 9 },
	       PASSES },
	     { "IPv6", OUT, UDP_(RED_VM_6, 4000, STRANGER_6, 53), PASSES },
	     { "and back, from a stranger that was asked", IN,
	       UDP_(STRANGER_6, 53, RED_SHARED_6, 4000), PASSES },
	     { "a ping over IPv6", OUT, PING6(RED_VM_6, STRANGER_6), PASSES },
	     { "its answer", IN, PONG6(STRANGER_6, RED_SHARED_6), PASSES });
}

Test(policy, what_a_vm_opens)
{
	scene(what_a_vm_opens);
}

/* A tenant of this machine has to accept what is opened to it, and so nobody punches holes. */
static void the_peer_has_to_accept(struct lab *lab)
{
	lab_accept(lab, BLUE, NULL, TENANT_OF(RED), ONE_OF(UDP, 53), 3);
	lab_accept(lab, BLUE, BLUE_SHARED, TENANT_OF(RED), ONE_OF(ICMP, ICMP_ECHO), 4);
	PLAY(lab, { "what it accepts", OUT, UDP_(RED_VM, 4000, BLUE_SHARED, 53), PASSES },
	     { "the answer", IN, UDP_(BLUE_SHARED, 53, RED_SHARED, 4000), PASSES },
	     { "what it accepts by name", OUT, PING(RED_VM, BLUE_SHARED), PASSES },
	     { "what it does not", OUT, UDP_(RED_VM, 4000, BLUE_SHARED, 54), TN_DROP_NOT_ACCEPTED },
	     { "the answer to that", IN, UDP_(BLUE_SHARED, 54, RED_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "from the accepted port", OUT, UDP_(RED_VM, 53, BLUE_SHARED, 4000),
	       TN_DROP_NOT_ACCEPTED });
}

Test(policy, the_peer_has_to_accept)
{
	scene(the_peer_has_to_accept);
}

static uint32_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* A rule that is gone ends what it accepted, in both directions. */
static void a_rule_that_goes(struct lab *lab)
{
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(TCP, 22), 3);
	PLAY(lab, { "in", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), PASSES },
	     { "out", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), PASSES });
	lab_accept_nothing(lab);
	PLAY(lab,
	     { "out after it", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), TN_DROP_NOT_ACCEPTED },
	     { "in after it", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), TN_DROP_NOT_ACCEPTED });
}

Test(policy, a_rule_that_goes)
{
	scene(a_rule_that_goes);
}

static void withdrawn(struct lab *lab, const char *to, uint32_t from, unsigned int class,
		      unsigned int shift, uint16_t service, uint32_t since)
{
	struct tn_service_key key = {
		.accept = { .tenant = TENANT_OF(RED), .from = from },
		.class = class,
		.shift = shift,
		.block = class == TN_WITHDRAWN_ALL ? 0 : service >> shift,
	};
	struct tn_service_key any = { .accept = key.accept, .class = TN_WITHDRAWN_ANY };
	int map = lab_map_fd(lab, "withdrawn");

	if (to)
		cr_assert(addr_parse(to, &key.accept.to));
	cr_assert_eq(bpf_map_update_elem(map, &key, &since, BPF_ANY), 0);
	cr_assert_eq(bpf_map_update_elem(map, &any, &since, BPF_ANY), 0);
}

/*
 * Where client and server have the same port: what the peer accepts now is opened, whatever its
 * answers were to before.
 */
static void rules_that_change_sides(struct lab *lab)
{
	withdrawn(lab, NULL, TENANT_OF(BLUE), TN_CLASS_UDP, 0, 5060, now());
	withdrawn(lab, RED_SHARED2, TENANT_OF(BLUE), TN_WITHDRAWN_ALL, 0, 0, now());
	PLAY(lab, { "before the peer accepts it", OUT, UDP_(RED_VM, 5060, BLUE_SHARED, 5060),
		    TN_DROP_NOT_ACCEPTED });
	lab_accept(lab, BLUE, NULL, TENANT_OF(RED), ONE_OF(UDP, 5060), 3);
	lab_accept(lab, BLUE, BLUE_SHARED_6, TENANT_OF(RED), ONE_OF(UDP, 5060), 4);
	lab_accept(lab, BLUE, NULL, TENANT_OF(RED), TN_CLASS_OTHER, IPPROTO_GRE, IPPROTO_GRE, 5);
	PLAY(lab, { "now", OUT, UDP_(RED_VM, 5060, BLUE_SHARED, 5060), PASSES },
	     { "its answer", IN, UDP_(BLUE_SHARED, 5060, RED_SHARED, 5060), PASSES },
	     { "once more", OUT, UDP_(RED_VM, 5060, BLUE_SHARED, 5060), PASSES },
	     { "IPv6, by name", OUT, UDP_(RED_VM_6, 5060, BLUE_SHARED_6, 5060), PASSES },
	     { "its answer", IN, UDP_(BLUE_SHARED_6, 5060, RED_SHARED_6, 5060), PASSES },
	     { "what has no ports",
	       OUT,
	       { .src = RED_VM2, .dst = BLUE_SHARED, .proto = IPPROTO_GRE, .payload = 9 },
	       PASSES },
	     { "what it does not accept", OUT, UDP_(RED_VM, 5060, BLUE_SHARED, 5061),
	       TN_DROP_NOT_ACCEPTED },
	     { "a call of the peer's", IN, UDP_(BLUE_SHARED, 5060, RED_SHARED2, 5060),
	       TN_DROP_NOT_ACCEPTED });
}

Test(policy, rules_that_change_sides)
{
	scene(rules_that_change_sides);
}

/* Of whom it is not known here whom he accepts: no answer that was accepted opens a flow to him. */
static void a_rule_that_goes_for_a_peer_elsewhere(struct lab *lab)
{
	uint32_t elsewhere = TENANT_OF(GREEN) + 7;

	lab_pool(lab, "100.64.9.0/24", elsewhere);
	withdrawn(lab, NULL, elsewhere, TN_CLASS_TCP, 0, 22, now());
	withdrawn(lab, RED_SHARED, 0, TN_CLASS_UDP, 8, 0x1234, now());
	withdrawn(lab, RED_SHARED2, elsewhere, TN_WITHDRAWN_ALL, 0, 0, now());
	PLAY(lab, { "an answer", OUT, TCP_(RED_VM, 22, STRANGER, 4000), TN_DROP_NOT_ACCEPTED },
	     { "to the request", OUT, TCP_(RED_VM, 22, STRANGER, 4000, .tcp = TH_SYN | TH_ACK),
	       TN_DROP_NOT_ACCEPTED },
	     { "and what it would let in", IN, TCP_(STRANGER, 4000, RED_SHARED, 22),
	       TN_DROP_NOT_ACCEPTED },
	     { "of another service", OUT, TCP_(RED_VM, 23, STRANGER, 4000), PASSES },
	     { "of another protocol", OUT, UDP_(RED_VM, 22, STRANGER, 4000), PASSES },
	     { "to another", OUT, TCP_(RED_VM, 22, "100.64.10.1", 4000), PASSES },
	     { "a block of services", OUT, UDP_(RED_VM, 0x12ff, "100.64.10.1", 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "next to it", OUT, UDP_(RED_VM, 0x1300, STRANGER, 4000), PASSES },
	     { "of another mapping", OUT, UDP_(RED_VM2, 0x1234, "100.64.10.1", 4000), PASSES },
	     { "everything", OUT, UDP_(RED_VM2, 7, STRANGER, 4000), TN_DROP_NOT_ACCEPTED },
	     { "of a client's port", OUT, UDP_(RED_VM2, 4001, STRANGER, 4000), PASSES },
	     { "TCP of a client's port", OUT, TCP_(RED_VM2, 4001, STRANGER, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "GRE",
	       OUT,
	       { .src = RED_VM2, .dst = STRANGER, .proto = IPPROTO_GRE, .payload = 9 },
	       TN_DROP_NOT_ACCEPTED },
	     { "but a ping", OUT, PING(RED_VM2, STRANGER), PASSES },
	     { "a VM that opens a flow", OUT, TCP_(RED_VM, 22, STRANGER, 4000, .tcp = TH_SYN),
	       PASSES },
	     { "and goes on with it", OUT, TCP_(RED_VM, 22, STRANGER, 4000), PASSES });
	withdrawn(lab, NULL, elsewhere, TN_CLASS_TCP, 0, 25, now() - TN_FLOW_TCP - 60);
	withdrawn(lab, RED_SHARED, 0, TN_CLASS_UDP, 8, 0x1234, now() - TN_FLOW_UDP + 60);
	withdrawn(lab, NULL, elsewhere, TN_CLASS_UDPLITE, 16, 0, now());
	PLAY(lab,
	     { "all ports",
	       OUT,
	       { .src = RED_VM, .dst = STRANGER, .proto = IPPROTO_UDPLITE, .sport = 9, .dport = 9 },
	       TN_DROP_NOT_ACCEPTED },
	     { "all ports, from a client's",
	       OUT,
	       { .src = RED_VM, .dst = STRANGER, .proto = IPPROTO_UDPLITE, .sport = 9, .dport = 8 },
	       PASSES });
	PLAY(lab, { "long ago", OUT, TCP_(RED_VM, 25, STRANGER, 4000), PASSES },
	     { "not so long ago", OUT, UDP_(RED_VM, 0x12ff, STRANGER, 4001),
	       TN_DROP_NOT_ACCEPTED });
	lab_accept(lab, RED, RED_SHARED, 0, ONE_OF(UDP, 0x12ff), 3);
	PLAY(lab, { "accepted again", OUT, UDP_(RED_VM, 0x12ff, STRANGER, 4001), PASSES });
}

Test(policy, a_rule_that_goes_for_a_peer_elsewhere)
{
	scene(a_rule_that_goes_for_a_peer_elsewhere);
}

/* ---------------------------------------------------------------- rules that end */

#define LATER	 (lab_tai() + 1000000)
#define LONG_AGO 1000000000

/* The row of services, or with EVERYTHING of accepts, whose rule ends then; `used` as in it. */
static void end_row(struct lab *lab, unsigned int class, uint16_t port, uint32_t until,
		    uint32_t used)
{
	struct tn_service_key key = { .accept = { .tenant = TENANT_OF(RED) },
				      .class = class,
				      .block = port };
	int accepts = lab_map_fd(lab, "accepts"), services = lab_map_fd(lab, "services");
	struct tn_service row;
	struct tn_accept all;

	if (class == EVERYTHING) {
		cr_assert_eq(bpf_map_lookup_elem(accepts, &key.accept, &all), 0);
		all.until = until;
		all.used = used;
		cr_assert_eq(bpf_map_update_elem(accepts, &key.accept, &all, BPF_ANY), 0);
		return;
	}
	cr_assert_eq(bpf_map_lookup_elem(services, &key, &row), 0);
	row.until = until;
	row.used = used;
	cr_assert_eq(bpf_map_update_elem(services, &key, &row, BPF_ANY), 0);
}

/*
 * What is in force is accepted, and its answers are. Then the clock is past the end, as if it had
 * been set: nobody tells the programs, so whatever they had kept would go on.
 */
static void a_rule_that_ends(struct lab *lab)
{
	lab_accept_until(lab, RED, NULL, 0, ONE_OF(TCP, 22), 3, LATER);
	PLAY(lab, { "in", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), PASSES },
	     { "again", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), PASSES },
	     { "out", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), PASSES },
	     { "again", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), PASSES },
	     { "in over IPv6", IN, TCP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 22), PASSES },
	     { "again", IN, TCP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 22), PASSES },
	     { "out over IPv6", OUT, TCP_(RED_VM_6, 22, BLUE_SHARED_6, 4000), PASSES },
	     { "from a tenant elsewhere", IN, TCP_(GREEN_SHARED, 4000, RED_SHARED, 22), PASSES },
	     { "another port", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 23), TN_DROP_NOT_ACCEPTED });
	cr_expect_eq(lab_hits(lab, 3), 8);
	end_row(lab, TN_CLASS_TCP, 22, lab_tai(), now());
	PLAY(lab,
	     { "in after it", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), TN_DROP_RULE_ENDED },
	     { "out after it", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), TN_DROP_NOT_ACCEPTED },
	     { "in over IPv6", IN, TCP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 22),
	       TN_DROP_RULE_ENDED },
	     { "out over IPv6", OUT, TCP_(RED_VM_6, 22, BLUE_SHARED_6, 4000),
	       TN_DROP_NOT_ACCEPTED },
	     { "from a tenant elsewhere", IN, TCP_(GREEN_SHARED, 4000, RED_SHARED, 22),
	       TN_DROP_RULE_ENDED },
	     { "another port", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 23), TN_DROP_NOT_ACCEPTED },
	     { "a stranger", IN, TCP_(STRANGER, 4000, RED_SHARED, 22), TN_DROP_STRANGER });
	cr_expect_eq(lab_hits(lab, 3), 8);
	end_row(lab, TN_CLASS_TCP, 22, LATER, 0);
	PLAY(lab, { "the clock is set back", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 22), PASSES },
	     { "and its answer", OUT, TCP_(RED_VM, 22, BLUE_SHARED, 4000), PASSES });
}

Test(policy, a_rule_that_ends)
{
	scene(a_rule_that_ends);
}

/* What goes on longer accepts what it did, whichever row is met first. */
static void one_rule_of_two_ends(struct lab *lab)
{
	lab_accept_until(lab, RED, NULL, 0, EVERYTHING, 0, 0, 3, LONG_AGO);
	lab_accept_until(lab, RED, NULL, 0, ONE_OF(UDP, 53), 4, LATER);
	lab_accept_until(lab, RED, RED_SHARED, 0, ONE_OF(UDP, 54), 5, LONG_AGO);
	lab_accept_until(lab, RED, RED_SHARED, 0, ALL_OF(UDP), 6, 0);
	lab_accept_until(lab, RED, NULL, 0, ONE_OF(UDP, 55), 7, LONG_AGO);
	PLAY(lab, { "the service", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED2, 53), PASSES },
	     { "another", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED2, 54), TN_DROP_RULE_ENDED },
	     { "of the mapping that is named", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 54),
	       PASSES },
	     { "of that mapping, too", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 55), PASSES },
	     { "of another one", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED2, 55), TN_DROP_RULE_ENDED },
	     { "a reply to nothing, which a rule for everything would take", IN,
	       PONG(BLUE_SHARED, RED_SHARED2), TN_DROP_RULE_ENDED });
	cr_expect_eq(lab_hits(lab, 4), 1);
	cr_expect_eq(lab_hits(lab, 6), 2);
}

Test(policy, one_rule_of_two_ends)
{
	scene(one_rule_of_two_ends);
}

/* Of whom it is not known here whom he accepts: see a_rule_that_goes_for_a_peer_elsewhere(). */
static void a_rule_that_ends_for_a_peer_elsewhere(struct lab *lab)
{
	lab_pool(lab, "100.64.9.0/24", TENANT_OF(GREEN) + 7);
	lab_accept_until(lab, RED, NULL, 0, ONE_OF(UDP, 53), 3, LATER);
	lab_accept_until(lab, RED, NULL, 0, ONE_OF(TCP, 22), 4, LATER);
	PLAY(lab, { "a request", IN, UDP_(STRANGER, 4000, RED_SHARED, 53), PASSES },
	     { "a connection", IN, TCP_(STRANGER, 4000, RED_SHARED, 22), PASSES });
	end_row(lab, TN_CLASS_UDP, 53, LONG_AGO, now());
	end_row(lab, TN_CLASS_TCP, 22, LONG_AGO, now());
	PLAY(lab, { "an answer", OUT, UDP_(RED_VM, 53, STRANGER, 4000), TN_DROP_RULE_ENDED },
	     { "of the connection", OUT, TCP_(RED_VM, 22, STRANGER, 4000), TN_DROP_RULE_ENDED },
	     { "and what it would let in", IN, TCP_(STRANGER, 4000, RED_SHARED, 22),
	       TN_DROP_RULE_ENDED },
	     { "of another service", OUT, UDP_(RED_VM, 54, STRANGER, 4000), PASSES },
	     { "a VM that opens a flow", OUT, TCP_(RED_VM, 22, STRANGER, 4001, .tcp = TH_SYN),
	       PASSES },
	     { "goes on with it", OUT, TCP_(RED_VM, 22, STRANGER, 4001), PASSES },
	     { "and is answered", IN, TCP_(STRANGER, 4001, RED_SHARED, 22), PASSES });
	end_row(lab, TN_CLASS_UDP, 53, LONG_AGO, now() - TN_FLOW_UDP + 60);
	PLAY(lab, { "not so long ago", OUT, UDP_(RED_VM, 53, STRANGER, 4000), TN_DROP_RULE_ENDED });
	end_row(lab, TN_CLASS_UDP, 53, LONG_AGO, now() - TN_FLOW_UDP - 60);
	PLAY(lab,
	     { "longer ago than a flow lives", OUT, UDP_(RED_VM, 53, STRANGER, 4000), PASSES });
	end_row(lab, TN_CLASS_UDP, 53, lab_tai() - TN_FLOW_UDP + 60, 0);
	PLAY(lab, { "on a host that has not seen it accept", OUT, UDP_(RED_VM, 53, STRANGER, 4001),
		    TN_DROP_RULE_ENDED });
	end_row(lab, TN_CLASS_UDP, 53, LONG_AGO, 0);
	PLAY(lab, { "it has accepted nothing", OUT, UDP_(RED_VM, 53, STRANGER, 4002), PASSES });
}

Test(policy, a_rule_that_ends_for_a_peer_elsewhere)
{
	scene(a_rule_that_ends_for_a_peer_elsewhere);
}

/* The same of one for everything, of which the end with the lower port is the server's. */
static void a_rule_for_everything_ends(struct lab *lab)
{
	lab_pool(lab, "100.64.9.0/24", TENANT_OF(GREEN) + 7);
	lab_accept_until(lab, RED, NULL, 0, EVERYTHING, 0, 0, 3, LATER);
	PLAY(lab, { "a request", IN, UDP_(STRANGER, 4000, RED_SHARED, 53), PASSES });
	end_row(lab, EVERYTHING, 0, LONG_AGO, now());
	PLAY(lab, { "an answer", OUT, UDP_(RED_VM, 53, STRANGER, 4000), TN_DROP_RULE_ENDED },
	     { "of a client's port", OUT, UDP_(RED_VM, 4001, STRANGER, 53), PASSES },
	     { "TCP of a client's port", OUT, TCP_(RED_VM, 4001, STRANGER, 80),
	       TN_DROP_RULE_ENDED },
	     { "but a ping", OUT, PING(RED_VM, STRANGER), PASSES });
}

Test(policy, a_rule_for_everything_ends)
{
	scene(a_rule_for_everything_ends);
}

/* What a VM opens by a rule of its peer ends with that rule: it is asked for packet by packet. */
static void the_rule_of_the_peer_ends(struct lab *lab)
{
	lab_accept_until(lab, BLUE, NULL, TENANT_OF(RED), ONE_OF(TCP, 80), 3, LATER);
	PLAY(lab, { "a VM opens", OUT, TCP_(RED_VM, 4000, BLUE_SHARED, 80, .tcp = TH_SYN), PASSES },
	     { "goes on", OUT, TCP_(RED_VM, 4000, BLUE_SHARED, 80), PASSES },
	     { "is answered", IN, TCP_(BLUE_SHARED, 80, RED_SHARED, 4000), PASSES },
	     { "over IPv6", OUT, TCP_(RED_VM_6, 4000, BLUE_SHARED_6, 80, .tcp = TH_SYN), PASSES });
	lab_accept_until(lab, BLUE, NULL, TENANT_OF(RED), ONE_OF(TCP, 80), 3, lab_tai());
	PLAY(lab, { "after it", OUT, TCP_(RED_VM, 4000, BLUE_SHARED, 80), TN_DROP_RULE_ENDED },
	     { "once more", OUT, TCP_(RED_VM, 4000, BLUE_SHARED, 80, .tcp = TH_SYN),
	       TN_DROP_RULE_ENDED },
	     { "over IPv6", OUT, TCP_(RED_VM_6, 4000, BLUE_SHARED_6, 80), TN_DROP_RULE_ENDED },
	     { "another port", OUT, TCP_(RED_VM, 4000, BLUE_SHARED, 81), TN_DROP_NOT_ACCEPTED });
}

Test(policy, the_rule_of_the_peer_ends)
{
	scene(the_rule_of_the_peer_ends);
}

/* The one flow that there is; the caller's to change. */
static struct tn_flow_key only_flow(struct lab *lab, struct tn_flow *value)
{
	int flows = lab_map_fd(lab, "flows");
	struct tn_flow_key key, next;

	cr_assert_eq(bpf_map_get_next_key(flows, NULL, &key), 0, "no flow");
	cr_assert_neq(bpf_map_get_next_key(flows, &key, &next), 0, "more than one flow");
	cr_assert_eq(bpf_map_lookup_elem(flows, &key, value), 0);
	return key;
}

/* As long as RFC 5382, 4787 and 5508 want it, and no longer. */
static void how_long_a_flow_lives(struct lab *lab)
{
	static const struct {
		struct packet packet;
		uint32_t life;
	} cases[] = {
		{ TCP_(RED_VM, 4000, STRANGER, 80), TN_FLOW_TCP },
		{ TCP_(RED_VM, 4000, STRANGER, 80, .tcp = TH_SYN), TN_FLOW_TCP_BRIEF },
		{ TCP_(RED_VM, 4000, STRANGER, 80, .tcp = TH_FIN | TH_ACK), TN_FLOW_TCP_BRIEF },
		{ UDP_(RED_VM, 4000, STRANGER, 80), TN_FLOW_UDP },
		{ PING(RED_VM, STRANGER), TN_FLOW_ICMP },
		{ { .src = RED_VM, .dst = STRANGER, .proto = IPPROTO_ESP, .payload = 20 },
		  TN_FLOW_OTHER },
	};
	int flows = lab_map_fd(lab, "flows");
	struct tn_flow_key key;
	struct tn_flow flow;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		PLAY(lab, { "opened", OUT, cases[i].packet, PASSES });
		key = only_flow(lab, &flow);
		cr_expect_leq(flow.expires - now() - cases[i].life + 1, 2, "case %zu: %d s", i,
			      (int)(flow.expires - now()));
		bpf_map_delete_elem(flows, &key);
	}
}

/* It says that there is no connection: it opens nothing, and ends what there is. */
static void a_reset_opens_no_flow(struct lab *lab)
{
	struct packet reset = TCP_(RED_VM, 4000, STRANGER, 80, .tcp = TH_RST | TH_ACK),
		      back = TCP_(STRANGER, 80, RED_SHARED, 4000);
	struct tn_flow flow;

	PLAY(lab, { "the reset", OUT, reset, PASSES },
	     { "an answer to it", IN, back, TN_DROP_STRANGER },
	     { "a SYN", IN, TCP_(STRANGER, 80, RED_SHARED, 4000, .tcp = TH_SYN), TN_DROP_STRANGER },
	     { "opened", OUT, TCP_(RED_VM, 4000, STRANGER, 80), PASSES },
	     { "the reset", OUT, reset, PASSES }, { "what was on its way", IN, back, PASSES });
	only_flow(lab, &flow);
	cr_expect_leq(flow.expires - now(), TN_FLOW_TCP_BRIEF);
	cr_expect(flow.flags & TN_FLOW_CLOSING);
}

Test(policy, a_reset_opens_no_flow)
{
	scene(a_reset_opens_no_flow);
}

Test(policy, how_long_a_flow_lives)
{
	scene(how_long_a_flow_lives);
}

static void a_flow_ends_and_heals(struct lab *lab)
{
	struct packet ack = TCP_(RED_VM, 4000, STRANGER, 80),
		      back = TCP_(STRANGER, 80, RED_SHARED, 4000);
	int flows = lab_map_fd(lab, "flows");
	struct tn_flow_key key;
	struct tn_flow flow;

	PLAY(lab, { "opened", OUT, ack, PASSES });
	key = only_flow(lab, &flow);
	flow.expires = now() - 1; /* the programs go by a clock that is a tick behind */
	bpf_map_update_elem(flows, &key, &flow, BPF_EXIST);
	PLAY(lab, { "too late", IN, back, TN_DROP_STRANGER }, { "refreshed", OUT, ack, PASSES },
	     { "again", IN, back, PASSES });
	bpf_map_delete_elem(flows, &key);
	PLAY(lab, { "pushed out", IN, back, TN_DROP_STRANGER }, { "healed", OUT, ack, PASSES },
	     { "again", IN, back, PASSES },
	     { "closing", OUT, TCP_(RED_VM, 4000, STRANGER, 80, .tcp = TH_FIN | TH_ACK), PASSES },
	     { "the last word", OUT, ack, PASSES });
	key = only_flow(lab, &flow);
	cr_expect_leq(flow.expires - now(), TN_FLOW_TCP_BRIEF, "a closing flow is kept for long");
	PLAY(lab,
	     { "opened once more", OUT, TCP_(RED_VM, 4000, STRANGER, 80, .tcp = TH_SYN), PASSES },
	     { "and used", OUT, ack, PASSES });
	key = only_flow(lab, &flow);
	cr_expect_gt(flow.expires - now(), TN_FLOW_TCP_BRIEF, "an open flow is kept for a moment");
}

Test(policy, a_flow_ends_and_heals)
{
	scene(a_flow_ends_and_heals);
}

/* Who gets an address that somebody else had does not get the flows to it. */
static void an_address_that_changes_hands(struct lab *lab)
{
	struct packet out = UDP_(RED_VM, 4000, STRANGER, 53),
		      back = UDP_(STRANGER, 53, RED_SHARED, 4000);

	lab_pool(lab, "100.64.9.0/24", TENANT_OF(GREEN) + 7);
	PLAY(lab, { "opened", OUT, out, PASSES }, { "answered", IN, back, PASSES });
	lab_pool(lab, "100.64.9.0/24", TENANT_OF(GREEN) + 8);
	PLAY(lab, { "by another tenant", IN, back, TN_DROP_NOT_ACCEPTED },
	     { "opened to that one", OUT, out, PASSES }, { "answered", IN, back, PASSES });
}

Test(policy, an_address_that_changes_hands)
{
	scene(an_address_that_changes_hands);
}

static void give(struct lab *lab, const char *shared, uint32_t tenant)
{
	int by_shared = lab_map_fd(lab, "by_shared"), by_fixed = lab_map_fd(lab, "by_fixed");
	struct tn_addr a = addr_of(shared);
	struct tn_fixed_key key;
	struct tn_shared to;
	struct tn_fixed back;

	need(bpf_map_lookup_elem(by_shared, &a, &to) == 0, shared);
	key = (struct tn_fixed_key){ .router = to.router, .fixed = to.fixed };
	need(bpf_map_lookup_elem(by_fixed, &key, &back) == 0, shared);
	to.tenant = back.tenant = tenant;
	need(bpf_map_update_elem(by_shared, &a, &to, BPF_EXIST) == 0, shared);
	need(bpf_map_update_elem(by_fixed, &key, &back, BPF_EXIST) == 0, shared);
	lab_changed(lab);
}

/* A flow is the mapping's that it was opened under, and its tenant's. */
static void a_mapping_that_changes(struct lab *lab)
{
#define AFTER_IT     "100.64.1.55"
#define AFTER_IT_6   "fd64::1:55"
#define SENT(vm)     UDP_(vm, 4000, STRANGER, 53)
#define BACK_TO(vm)  UDP_(STRANGER, 53, vm, 4000)
#define SENT_6	     UDP_(RED_VM_6, 4000, STRANGER_6, 53)
#define BACK_TO_6(m) UDP_(STRANGER_6, 53, m, 4000)
	PLAY(lab, { "opened", OUT, SENT(RED_VM), PASSES },
	     { "answered", IN, BACK_TO(RED_SHARED), PASSES },
	     { "opened, IPv6", OUT, SENT_6, PASSES },
	     { "answered, IPv6", IN, BACK_TO_6(RED_SHARED_6), PASSES });
	lab_unmap(lab, RED, RED_VM, RED_SHARED);
	lab_unmap(lab, RED, RED_VM_6, RED_SHARED_6);
	lab_map(lab, RED, RED_VM, AFTER_IT);
	lab_map(lab, RED, RED_VM_6, AFTER_IT_6);
	PLAY(lab, { "by another address", IN, BACK_TO(AFTER_IT), TN_DROP_STRANGER },
	     { "by another address, IPv6", IN, BACK_TO_6(AFTER_IT_6), TN_DROP_STRANGER },
	     { "opened by that", OUT, SENT(RED_VM), PASSES },
	     { "answered", IN, BACK_TO(AFTER_IT), PASSES });
	lab_map(lab, RED, "10.0.0.9", RED_SHARED);
	PLAY(lab, { "another VM behind the old one", IN, BACK_TO(RED_SHARED), TN_DROP_STRANGER });
	give(lab, AFTER_IT, TENANT_OF(RED) + 7);
	PLAY(lab, { "of another tenant", IN, BACK_TO(AFTER_IT), TN_DROP_STRANGER },
	     { "opened by that", OUT, SENT(RED_VM), PASSES },
	     { "answered", IN, BACK_TO(AFTER_IT), PASSES });
}

Test(policy, a_mapping_that_changes)
{
	scene(a_mapping_that_changes);
}

/* ---------------------------------------------------------------- errors */

static void errors_follow_the_flow(struct lab *lab)
{
	static const struct packet sent = UDP_(RED_SHARED, 4000, BLUE_SHARED, 53),
				   other = UDP_(RED_SHARED, 4001, BLUE_SHARED, 53),
				   got = UDP_(BLUE_SHARED, 4000, RED_VM, 53),
				   unwanted = UDP_(BLUE_SHARED, 4000, RED_VM, 54);

	lab_accept(lab, BLUE, NULL, TENANT_OF(RED), ONE_OF(UDP, 53), 3);
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(UDP, 53), 4);
	PLAY(lab, { "opened", OUT, UDP_(RED_VM, 4000, BLUE_SHARED, 53), PASSES });
#define ERROR(s, d, q) \
	{ .src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 3, .code = 3, .quote = q }
	PLAY(lab, { "about the flow", IN, ERROR(BLUE_SHARED, RED_SHARED, &sent), PASSES },
	     { "from a router on the way", IN, ERROR(STRANGER, RED_SHARED, &sent), PASSES },
	     { "about another flow", IN, ERROR(BLUE_SHARED, RED_SHARED, &other),
	       TN_DROP_FORGED_ERROR },
	     { "about what a rule accepts", OUT, ERROR(RED_VM, BLUE_SHARED, &got), PASSES },
	     { "about what none accepts", OUT, ERROR(RED_VM, BLUE_SHARED, &unwanted),
	       TN_DROP_FORGED_ERROR });
}

Test(policy, errors_follow_the_flow)
{
	scene(errors_follow_the_flow);
}

/* ---------------------------------------------------------------- fragments */

#define PIECE(at, len) .payload = 3000, .frag_at = at, .frag_len = len

static void fragments_follow_the_first(struct lab *lab)
{
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(UDP, 53), 3);
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(TCP, 80), 4);
	PLAY(lab,
	     { "before the first", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 53, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "the first", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 53, PIECE(0, 1480)), PASSES },
	     { "the second", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED, 53, PIECE(1480, 1480)),
	       PASSES },
	     { "of another sender", IN, UDP_(GREEN_SHARED, 4000, RED_SHARED, 53, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "for another VM", IN, UDP_(BLUE_SHARED, 4000, RED_SHARED2, 53, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "of another protocol",
	       IN,
	       { .src = BLUE_SHARED, .dst = RED_SHARED, .proto = IPPROTO_SCTP, PIECE(1480, 1480) },
	       TN_DROP_FRAGMENT },
	     { "a first one that is not accepted", IN,
	       UDP_(BLUE_SHARED, 4000, RED_SHARED, 54, PIECE(0, 1480)), TN_DROP_NOT_ACCEPTED },
	     { "TCP", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80, PIECE(0, 1480)), PASSES },
	     { "over its header", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80, PIECE(8, 16)),
	       TN_DROP_FRAGMENT },
	     { "over its flags", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80, PIECE(16, 16)),
	       TN_DROP_FRAGMENT },
	     { "behind it", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80, PIECE(24, 16)), PASSES },
	     { "too little to judge by", IN, TCP_(BLUE_SHARED, 4000, RED_SHARED, 80, PIECE(0, 16)),
	       TN_DROP_MALFORMED },
	     { "IPv6, before the first", IN,
	       UDP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 53, PIECE(1480, 1480), .ext = "F"),
	       TN_DROP_FRAGMENT },
	     { "IPv6", IN, UDP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 53, PIECE(0, 1480), .ext = "F"),
	       PASSES },
	     { "IPv6, the second", IN,
	       UDP_(BLUE_SHARED_6, 4000, RED_SHARED_6, 53, PIECE(1480, 1480), .ext = "HF"),
	       PASSES });
}

Test(policy, fragments_follow_the_first)
{
	scene(fragments_follow_the_first);
}

/*
 * Of IPv6 the headers in front count as well: what was judged ends where its header ends. What a
 * later one says of its protocol does not (RFC 8200, 4.5).
 */
static void fragments_behind_extensions(struct lab *lab)
{
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ONE_OF(UDP, 53), 3);
	lab_accept(lab, RED, NULL, TENANT_OF(GREEN), ALL_OF(UDP), 4);
#define PIECE_6(s, at, len, ...) UDP_(s, 4000, RED_SHARED_6, 53, PIECE(at, len), ##__VA_ARGS__)
	PLAY(lab, { "the first", IN, PIECE_6(BLUE_SHARED_6, 0, 1480, .ext = "FD"), PASSES },
	     { "over its header", IN, PIECE_6(BLUE_SHARED_6, 8, 1480, .ext = "F"),
	       TN_DROP_FRAGMENT },
	     { "behind its header", IN, PIECE_6(BLUE_SHARED_6, 16, 1480, .ext = "F"), PASSES },
	     { "the first, behind a long one", IN,
	       PIECE_6(BLUE_SHARED_6, 0, 1480, .ext = "FD", .ext_len = 5), PASSES },
	     { "over its header", IN, PIECE_6(BLUE_SHARED_6, 48, 1480, .ext = "F"),
	       TN_DROP_FRAGMENT },
	     { "behind its header", IN, PIECE_6(BLUE_SHARED_6, 56, 1480, .ext = "F"), PASSES },
	     { "that names another protocol",
	       IN,
	       { .src = BLUE_SHARED_6,
		 .dst = RED_SHARED_6,
		 .proto = 253,
		 PIECE(1480, 1480),
		 .ext = "F" },
	       PASSES },
	     { "that names no protocol, over its header",
	       IN,
	       { .src = BLUE_SHARED_6,
		 .dst = RED_SHARED_6,
		 .proto = 253,
		 PIECE(40, 1480),
		 .ext = "F" },
	       TN_DROP_FRAGMENT },
	     { "of all of UDP, as it says", IN, PIECE_6(GREEN_SHARED_6, 1480, 1480, .ext = "F"),
	       TN_DROP_FRAGMENT },
	     { "the first", IN, PIECE_6(GREEN_SHARED_6, 0, 1480, .ext = "F"), PASSES },
	     { "and now", IN, PIECE_6(GREEN_SHARED_6, 1480, 1480, .ext = "F"), PASSES });
}

Test(policy, fragments_behind_extensions)
{
	scene(fragments_behind_extensions);
}

static void fragments_of_flows(struct lab *lab)
{
	PLAY(lab,
	     { "out, before the first", OUT, UDP_(RED_VM, 53, STRANGER, 4000, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "out", OUT, UDP_(RED_VM, 53, STRANGER, 4000, PIECE(0, 1480)), PASSES },
	     { "out, the second", OUT, UDP_(RED_VM, 53, STRANGER, 4000, PIECE(1480, 1480)),
	       PASSES },
	     { "in, before the first", IN, UDP_(STRANGER, 4000, RED_SHARED, 53, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "in", IN, UDP_(STRANGER, 4000, RED_SHARED, 53, PIECE(0, 1480)), PASSES },
	     { "in, the second", IN, UDP_(STRANGER, 4000, RED_SHARED, 53, PIECE(1480, 1480)),
	       PASSES });
}

Test(policy, fragments_of_flows)
{
	scene(fragments_of_flows);
}

/* Where the ports do not matter, fragments come in any order. */
static void fragments_of_all_ports(struct lab *lab)
{
	lab_accept(lab, RED, NULL, TENANT_OF(BLUE), ALL_OF(UDP), 3);
	lab_accept(lab, RED, NULL, TENANT_OF(GREEN), EVERYTHING, 0, 0, 4);
	PLAY(lab,
	     { "all of UDP", IN, UDP_(BLUE_SHARED, 1, RED_SHARED, 53, PIECE(1480, 1480)), PASSES },
	     { "not TCP", IN, TCP_(BLUE_SHARED, 1, RED_SHARED, 53, PIECE(1480, 1480)),
	       TN_DROP_FRAGMENT },
	     { "everything", IN, TCP_(GREEN_SHARED, 1, RED_SHARED, 53, PIECE(1480, 1480)), PASSES },
	     { "but not over the header", IN, TCP_(GREEN_SHARED, 1, RED_SHARED, 53, PIECE(8, 8)),
	       TN_DROP_FRAGMENT });
}

Test(policy, fragments_of_all_ports)
{
	scene(fragments_of_all_ports);
}

/* ---------------------------------------------------------------- limits */

static void no_more_than_the_limit(struct lab *lab)
{
	static const struct packet in = UDP_(BLUE_SHARED, 1, RED_SHARED, 2),
				   out = UDP_(RED_VM, 2, BLUE_SHARED, 1),
				   other = UDP_(BLUE_SHARED, 1, RED_SHARED2, 2),
				   large = UDP_(BLUE_SHARED, 1, RED_SHARED, 2, .payload = 1472);
	/* one packet a second, five at once */
	struct tn_limit packets = { .packets = 1, .packet_burst = 5 };
	/* 28 bytes each, of 1 byte a second: five at once */
	struct tn_limit bytes = { .rate = 1, .burst = 5 * 28 };

	lab_accept(lab, RED, NULL, 0, EVERYTHING, 0, 0, 1);
	for (int i = 0; i < 2; i++) {
		lab_limit(lab, RED_SHARED, i ? &bytes : &packets);
		for (int n = 0; n < 5; n++)
			PLAY(lab, { "in", IN, in, PASSES }, { "out", OUT, out, PASSES });
		PLAY(lab, { "one too many in", IN, in, TN_DROP_LIMIT },
		     { "one too many out", OUT, out, TN_DROP_LIMIT },
		     { "another mapping", IN, other, PASSES });
	}
	/* 128 KiB, however low the rate is, are 87 packets of 1,500 bytes */
	lab_limit(lab, RED_SHARED, &(struct tn_limit){ .rate = 1, .burst = limit_burst_least(1) });
	for (int n = 0; n < 87; n++)
		PLAY(lab, { "in the bucket", IN, large, PASSES });
	PLAY(lab, { "beyond it", IN, large, TN_DROP_LIMIT });
	/* the largest ones that can be counted */
	lab_limit(lab, RED_SHARED,
		  &(struct tn_limit){ .rate = 1,
				      .burst = LIMIT_BURST_MAX,
				      .packets = 1,
				      .packet_burst = limit_packet_burst(1000000000) });
	PLAY(lab, { "the largest bucket", IN, large, PASSES });
	/* what the rate refuses has not taken from the packets */
	lab_limit(lab, RED_SHARED,
		  &(struct tn_limit){ .rate = 1, .burst = 100, .packets = 1, .packet_burst = 3 });
	for (int n = 0; n < 5; n++)
		PLAY(lab, { "too large", IN, large, TN_DROP_LIMIT });
	for (int n = 0; n < 3; n++)
		PLAY(lab, { "within both", IN, in, PASSES });
	PLAY(lab, { "beyond the packets", IN, in, TN_DROP_LIMIT });
	/* so much at once that time makes no difference to this test */
	lab_limit(lab, RED_SHARED,
		  &(struct tn_limit){ .rate = 1000000000,
				      .burst = 1000000,
				      .packets = 1000000,
				      .packet_burst = 1000 });
	for (int n = 0; n < 20; n++)
		PLAY(lab, { "enough", IN, in, PASSES });
}

Test(policy, no_more_than_the_limit)
{
	scene(no_more_than_the_limit);
}

/* ---------------------------------------------------------------- after a takeover */

#define GRACE	       40
#define ELSEWHERE      "100.64.77.9" /* of a tenant of which the pool is known */
#define ELSEWHERE_POOL "100.64.77.0/24"
/* What goes on, from a tenant; and what does not. */
#define GOES_ON(reason)                                                                            \
	{ "a segment", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_ACK), reason },         \
		{ "with data", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4001, .tcp = TH_ACK | TH_PUSH), \
		  reason },                                                                        \
	{                                                                                          \
		"over IPv6", IN, TCP_(GREEN_SHARED_6, 80, RED_SHARED_6, 4000, .tcp = TH_ACK),      \
			reason                                                                     \
	}

static void set_address(bool there)
{
	need(system(there ? "ip link set lo up && ip addr add " RED_OWN "/32 dev lo"
			  : "ip addr del " RED_OWN "/32 dev lo") == 0,
	     "ip");
}

/* It has become active so many seconds ago. */
static void age_takeover(struct lab *lab, uint32_t seconds)
{
	struct {
		uint32_t standby;
		uint32_t since;
	} takeover;
	uint32_t router = RED;

	cr_assert_eq(bpf_map_lookup_elem(lab_map_fd(lab, "takeovers"), &router, &takeover), 0);
	cr_expect_eq(takeover.standby, 0);
	cr_expect_leq(now() - takeover.since, GRACE);
	takeover.since = now() - seconds;
	cr_assert_eq(bpf_map_update_elem(lab_map_fd(lab, "takeovers"), &router, &takeover, BPF_ANY),
		     0);
}

static void count_flows(struct lab *lab, size_t want)
{
	int flows = lab_map_fd(lab, "flows");
	struct tn_flow_key key, *before = NULL;
	size_t n = 0;

	for (; bpf_map_get_next_key(flows, before, &key) == 0; before = &key)
		n++;
	cr_expect_eq(n, want, "%zu flows, not %zu", n, want);
}

static void grace(struct lab *lab)
{
	lab_pool(lab, ELSEWHERE_POOL, TENANT_OF(GREEN));
	set_address(true);
	PLAY(lab, GOES_ON(TN_DROP_NOT_ACCEPTED));
	set_address(false);
	PLAY(lab, { "of a standby", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_ACK),
		    TN_DROP_STANDBY });
	set_address(true);
	PLAY(lab, GOES_ON(PASSES),
	     { "SYN", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_SYN),
	       TN_DROP_NOT_ACCEPTED },
	     { "SYN and ACK", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_SYN | TH_ACK),
	       TN_DROP_NOT_ACCEPTED },
	     { "FIN", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_FIN | TH_ACK),
	       TN_DROP_NOT_ACCEPTED },
	     { "RST", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_RST | TH_ACK),
	       TN_DROP_NOT_ACCEPTED },
	     { "no flags", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_PUSH),
	       TN_DROP_NOT_ACCEPTED },
	     { "of a stranger", IN, TCP_(STRANGER, 80, RED_SHARED, 4000, .tcp = TH_ACK),
	       TN_DROP_STRANGER },
	     { "UDP", IN, UDP_(ELSEWHERE, 80, RED_SHARED, 4000), TN_DROP_NOT_ACCEPTED },
	     { "a ping", IN, PING(ELSEWHERE, RED_SHARED), TN_DROP_NOT_ACCEPTED },
	     { "an answer", IN, PONG(ELSEWHERE, RED_SHARED), TN_DROP_NOT_ACCEPTED });
	/* by itself it makes none; nor does a VM that knows of no such connection */
	count_flows(lab, 0);
	PLAY(lab, { "refused", OUT, TCP_(RED_VM, 4000, ELSEWHERE, 80, .tcp = TH_RST), PASSES },
	     { "SYN after that", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_SYN),
	       TN_DROP_NOT_ACCEPTED },
	     { "answered", OUT, TCP_(RED_VM, 4001, ELSEWHERE, 80, .tcp = TH_ACK), PASSES });
	count_flows(lab, 1);
	age_takeover(lab, GRACE - 2);
	PLAY(lab, GOES_ON(PASSES));
	age_takeover(lab, 0);
	age_takeover(lab, GRACE);
	PLAY(lab,
	     { "too late", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_ACK),
	       TN_DROP_NOT_ACCEPTED },
	     { "of the flow that the VM has", IN,
	       TCP_(ELSEWHERE, 80, RED_SHARED, 4001, .tcp = TH_ACK | TH_PUSH), PASSES });
	set_address(false);
}

static void no_grace(struct lab *lab)
{
	lab_pool(lab, ELSEWHERE_POOL, TENANT_OF(GREEN));
	set_address(true);
	set_address(false);
	PLAY(lab, { "of a standby", IN, TCP_(ELSEWHERE, 80, RED_SHARED, 4000, .tcp = TH_ACK),
		    TN_DROP_STANDBY });
	set_address(true);
	PLAY(lab, GOES_ON(TN_DROP_NOT_ACCEPTED));
	set_address(false);
}

static void takeover_scene(scene_fn fn, uint16_t seconds)
{
	static const enum program programs[] = { XDP_IN, TC_IN };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct lab *lab = lab_open(&(struct lab_options){ .strict = true,
								  .by_address = true,
								  .needs_v4 = true,
								  .loose = true,
								  .grace = seconds });

		in_program = programs[i];
		fn(lab);
		lab_close(lab);
	}
}

Test(policy, grace)
{
	takeover_scene(grace, GRACE);
	takeover_scene(no_grace, 0);
}
