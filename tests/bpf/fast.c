/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plain packet is judged as all others are: while somebody watches, none is plain, and then the
 * same becomes of it. Random packets, and sound ones with a few bytes changed; and now and then the
 * tables change.
 */
#include <bpf/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "links.h"
#include "random.h"

#define ROUNDS 9000
#define PLAIN  (ROUNDS / 100) /* of them at the least are seen to be plain */
#define STAY   40	      /* rounds until something changes, about */
#define RULES  4

static const char *const inside[] = { RED_VM, RED_VM, RED_VM, RED_VM2, "10.0.0.77", RED_SHARED };
static const char *const inside_6[] = { RED_VM_6,  RED_VM_6,	  RED_VM_6,
					RED_VM2_6, "fd00:10::77", RED_SHARED_6 };
static const char *const ours[] = { RED_SHARED, RED_SHARED, RED_SHARED2, RED_OWN, RED_VM };
static const char *const ours_6[] = { RED_SHARED_6, RED_SHARED_6, RED_SHARED2_6, RED_OWN_6,
				      RED_VM_6 };
static const char *const others[] = { GREEN_SHARED, GREEN_SHARED, GREEN_SHARED, BLUE_SHARED,
				      STRANGER,	    RED_SHARED2,  "192.0.2.1",	"100.64.255.255" };
static const char *const others_6[] = { GREEN_SHARED_6, GREEN_SHARED_6, GREEN_SHARED_6,
					BLUE_SHARED_6,	STRANGER_6,	RED_SHARED2_6,
					"2001:db8::1",	"fe80::9" };

#define ONE_OF(r, list) (list)[below(r, ARRAY_SIZE(list))]

static uint16_t draw_port(struct random *r)
{
	return one_in(r, 4) ? 1 + below(r, 65535) : 1 + below(r, 3);
}

static struct packet draw_plain(struct random *r, bool v4)
{
	struct packet p = { .proto = one_in(r, 2) ? IPPROTO_TCP : IPPROTO_UDP,
			    .payload = 8 + below(r, 64),
			    .sport = draw_port(r),
			    .dport = draw_port(r) };

	if (one_in(r, 12) && v4) { /* which add nothing to the sum of the header */
		p.options = 4;
		p.option = "\0\0\0\0";
	}
	return one_in(r, 3) ? draw_packet(r, v4) : p;
}

static struct packet draw_for(struct random *r, enum program program, const char *mac)
{
	bool v4 = one_in(r, 2);
	struct packet p = draw_plain(r, v4);
	const char *other = v4 ? ONE_OF(r, others) : ONE_OF(r, others_6);

	if (program == TC_IN || program == XDP_IN) {
		p.src = other;
		p.from = one_in(r, 3) ? MAC_OTHER : MAC_PEER;
		p.to = mac;
		p.dst = v4 ? ONE_OF(r, ours) : ONE_OF(r, ours_6);
	} else {
		p.src = v4 ? ONE_OF(r, inside) : ONE_OF(r, inside_6);
		p.dst = other;
		p.from = one_in(r, 6) ? MAC_VM2 : MAC_VM;
		p.ifindex = program == INSIDE_IN && !one_in(r, 8) ? links_inside : 0;
		if (program == TC_OUT && !one_in(r, 4))
			p.ingress = one_in(r, 8) ? LINKS_UPLINK : one_in(r, 8) ? 1 : links_inside;
	}
	if (one_in(r, 8))
		p.ttl = 1 + below(r, 3);
	if (one_in(r, 16) && !p.frag_len)
		p.cut = below(r, p.payload + 1);
	return p;
}

/* So that what is behind the checksum of the header is judged too. */
static void mend_header(struct frame *f)
{
	uint8_t *ip = f->bytes + f->ip;
	uint32_t sum = 0;

	if (f->bytes[ETH_HLEN - 2] != ETH_P_IP >> 8 || f->bytes[ETH_HLEN - 1])
		return;
	ip[10] = ip[11] = 0;
	for (int i = 0; i < (ip[0] & 15) * 4; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = ~sum >> 8;
	ip[11] = ~sum;
}

static void disturb(struct random *r, struct frame *f)
{
	if (!one_in(r, 3) || f->len < 60)
		return;
	for (unsigned int n = 1 + below(r, 2); n; n--)
		f->bytes[ETH_HLEN - 2 + below(r, 48)] ^= 1U << below(r, 8);
	if (one_in(r, 2))
		mend_header(f);
}

static void watching(struct lab *lab, bool somebody)
{
	struct tn_watch watch = { .expires = somebody ? UINT64_MAX : 0 };
	uint32_t zero = 0;

	need(bpf_map_update_elem(lab_map_fd(lab, "watch"), &zero, &watch, BPF_ANY) == 0, "watch");
}

struct became {
	struct result result;
	struct tally tally;
	uint64_t hits[RULES + 1];
};

static void count(struct lab *lab, struct became *b)
{
	lab_tally(lab, &b->tally);
	for (uint32_t rule = 1; rule <= RULES; rule++)
		b->hits[rule] = lab_hits(lab, rule);
}

static void subtract(uint64_t *from, const uint64_t *what, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*from); i++)
		from[i] -= what[i];
}

static struct became run(struct lab *lab, enum program program, const struct packet *p,
			 const struct frame *f, bool watched)
{
	struct became before = { 0 }, b = { 0 };

	watching(lab, watched);
	count(lab, &before);
	b.result = lab_run(lab, program, p, f);
	count(lab, &b);
	subtract((uint64_t *)&b.tally, (uint64_t *)&before.tally, sizeof(b.tally));
	subtract(b.hits, before.hits, sizeof(b.hits));
	b.tally.routers[RED].flows_opened = b.tally.routers[RED].events_lost = 0;
	return b;
}

/* But for the MAC addresses, which the kernel writes later, if the program did not. */
static bool same_frame(const struct frame *a, const struct frame *b, bool sent)
{
	size_t from = sent ? 2 * ETH_ALEN : 0;

	return a->len == b->len && !memcmp(a->bytes + from, b->bytes + from, a->len - from);
}

static bool is_same(const struct became *a, const struct became *b)
{
	return a->result.verdict == b->result.verdict && a->result.mark == b->result.mark &&
	       !memcmp(&a->tally, &b->tally, sizeof(a->tally)) &&
	       !memcmp(a->hits, b->hits, sizeof(a->hits)) &&
	       same_frame(&a->result.out, &b->result.out, a->result.verdict == BACK);
}

/* XDP leaves to tc what it does not send on. */
static bool is_left(const struct became *b, const struct frame *f)
{
	return b->result.verdict == STACK && !b->result.marked &&
	       same_frame(&b->result.out, f, false);
}

static void check(struct lab *lab, struct random *r, enum program program, const char *mac,
		  unsigned int *plain)
{
	struct packet p = draw_for(r, program, mac);
	struct frame f = packet_build(&p);
	struct became want, got;
	char *diff;

	if (one_in(r, 2)) /* and what is known then is not of it as it will be */
		run(lab, program, &p, &f, false);
	disturb(r, &f);
	want = run(lab, program == XDP_IN ? TC_IN : program, &p, &f, true);
	got = run(lab, program, &p, &f, false);
	if (got.result.verdict == BACK && memcmp(got.result.out.bytes, f.bytes, 2 * ETH_ALEN) != 0)
		*plain += 1;
	if (program == XDP_IN && is_left(&got, &f))
		got = run(lab, TC_IN, &p, &f, false);
	/* a mark: XDP's, of what is not plain, and past the stack tc sends that on */
	if (is_same(&want, &got) || (got.result.marked && want.result.verdict == BACK))
		return;
	diff = frame_diff(&want.result.out, &got.result.out);
	cr_assert_fail("%s, %s > %s, protocol %u: verdict %d, not %d\n%s", program_name(program),
		       p.src, p.dst, p.proto, got.result.verdict, want.result.verdict, diff);
}

static void draw_rules(struct lab *lab, struct random *r)
{
	const uint32_t from[] = { fixture_tenant(GREEN), fixture_tenant(GREEN),
				  fixture_tenant(BLUE), 0 };
	static const char *const to[] = { NULL, NULL, RED_SHARED, RED_SHARED_6 };

	lab_accept_nothing(lab);
	for (uint32_t rule = 1 + below(r, RULES); rule; rule--) {
		uint16_t last = one_in(r, 2) ? 0xffff : 1 + below(r, 2);

		lab_accept(lab, RED, ONE_OF(r, to), ONE_OF(r, from),
			   one_in(r, 4)	  ? TN_CLASSES_COUNT
			   : one_in(r, 2) ? TN_CLASS_TCP
					  : TN_CLASS_UDP,
			   last == 0xffff ? 0 : 1, last, rule);
	}
}

/* What pairs hold of the tables is void then. */
static void change(struct lab *lab, struct random *r, bool *moved)
{
	const char *had = *moved ? "10.0.0.77" : RED_VM2, *gets = *moved ? RED_VM2 : "10.0.0.77";

	if (one_in(r, 4)) /* what comes meanwhile finds the tables half changed, more than once */
		lab_changes(lab, one_in(r, 2));
	switch (below(r, 8)) {
	case 0:
		lab_router_port(lab, BLUE, one_in(r, 2) ? MAC_OTHER : MAC_PEER);
		break;
	case 1:
		lab_pool(lab, STRANGER "/32", one_in(r, 2) ? fixture_tenant(GREEN) : 0);
		break;
	case 2:
		if (lab_slot(lab, RED_SHARED2, true) > MAPPINGS_MAX - 2)
			break;
		lab_unmap(lab, RED, had, RED_SHARED2);
		lab_map(lab, RED, gets, RED_SHARED2);
		*moved = !*moved;
		break;
	default:
		draw_rules(lab, r);
	}
}

/* How many of them were seen to be plain: they begin with the MAC addresses of the next link. */
static unsigned int check_many_at(const char *mac, enum program program, unsigned int programs,
				  enum links_path path)
{
	struct lab *lab = links_open_known(programs, path, mac);
	struct random r = random_seed();
	unsigned int plain = 0;
	bool moved = false;

	lab_stay_on(sched_getcpu());
	lab_router_port(lab, BLUE, MAC_OTHER);
	if (programs & ON_XDP)
		links_take_xdp(lab);
	for (int i = 0; i < ROUNDS; i++) {
		if (one_in(&r, STAY))
			change(lab, &r, &moved);
		check(lab, &r, program, mac, &plain);
	}
	lab_close(lab);
	return plain;
}

static unsigned int check_many(enum program program, unsigned int programs, enum links_path path)
{
	return check_many_at(MAC_ROUTER, program, programs, path);
}

Test(fast, shared_in)
{
	cr_expect_gt(check_many(TC_IN, ON_TC, PAST_STACK), PLAIN);
}

Test(fast, shared_in_asking_for_routes)
{
	cr_expect_gt(check_many(TC_IN, ON_TC, PAST_STACK_ASKING), PLAIN);
}

/* An IPv6 header without a MAC header may begin so: what begins with it is looked at closely. */
Test(fast, shared_in_of_a_mac_address_like_ipv6)
{
	cr_expect_gt(check_many_at(MAC_LIKE_IPV6, TC_IN, ON_TC, PAST_STACK), PLAIN);
}

Test(fast, shared_in_of_a_mac_address_like_ipv6_asking_for_routes)
{
	cr_expect_gt(check_many_at(MAC_LIKE_IPV6, TC_IN, ON_TC, PAST_STACK_ASKING), PLAIN);
}

Test(fast, inside_in)
{
	cr_expect_gt(check_many(INSIDE_IN, ON_INSIDE, PAST_STACK), PLAIN);
}

Test(fast, xdp)
{
	cr_expect_gt(check_many(XDP_IN, ON_IN, PAST_STACK), PLAIN);
}

Test(fast, xdp_asking_for_routes)
{
	cr_expect_gt(check_many(XDP_IN, ON_IN, PAST_STACK_ASKING), PLAIN);
}

Test(fast, xdp_by_the_stack)
{
	check_many(XDP_IN, ON_IN, BY_STACK);
}

/* Of those that the stack sends on, nothing shows that they were plain. */
Test(fast, shared_out)
{
	check_many(TC_OUT, ON_OUT, PAST_STACK);
}

Test(fast, shared_out_by_the_stack)
{
	check_many(TC_OUT, ON_OUT, BY_STACK);
}

Test(fast, shared_in_by_the_stack)
{
	check_many(TC_IN, ON_TC, BY_STACK);
}

Test(fast, inside_in_by_the_stack)
{
	check_many(INSIDE_IN, ON_INSIDE, BY_STACK);
}

/* Of the tenants that share a place in `consents`, each is accepted for itself alone. */
Test(fast, who_is_accepted_is_no_other)
{
	struct lab *lab = links_open_known(ON_TC, BY_STACK, MAC_ROUTER);
	const struct packet accepted = { UDP(GREEN_SHARED, RED_SHARED) };
	struct frame f = packet_build(&accepted);

	lab_accept_nothing(lab);
	lab_accept(lab, RED, NULL, fixture_tenant(GREEN), TN_CLASSES_COUNT, 0, 0, 1);
	for (uint32_t i = 1; i < 250; i++) {
		char sender[INET_ADDRSTRLEN], pool[INET_ADDRSTRLEN + 3];
		struct packet other = { UDP(sender, RED_SHARED) };
		struct frame g;

		snprintf(sender, sizeof(sender), "100.64.9.%u", i);
		snprintf(pool, sizeof(pool), "%s/32", sender);
		lab_pool(lab, pool, 100 + i);
		g = packet_build(&other);
		cr_expect_eq(lab_run(lab, TC_IN, &accepted, &f).verdict, STACK);
		cr_expect_eq(lab_run(lab, TC_IN, &other, &g).verdict, GONE, "%s", sender);
	}
	lab_close(lab);
}
