/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What holds for every packet and every mapping, tried with random ones. The seed is
 * printed; SEED=… in the environment repeats a run.
 */
#include <arpa/inet.h>

#include "harness.h"
#include "random.h"

#define ROUNDS	 3000
#define MAPPINGS 40

/* A mapping, and who talks to it. */
struct ends {
	char fixed[INET6_ADDRSTRLEN], shared[INET6_ADDRSTRLEN], peer[INET6_ADDRSTRLEN];
};

/* How often something was tried that could have failed. */
struct seen {
	unsigned int changed, whole, broken, absent, partial, options, extensions, first, later,
		padded, no_checksum, left_to_tc;
};

/* Private and shared addresses of any value, each of them once. */
static void draw_ends(struct random *r, bool v4, unsigned int i, struct ends *e)
{
	unsigned int a = draw(r) & 0xffff, b = draw(r) & 0xffff, c = draw(r) & 0xffff;

	if (v4) {
		snprintf(e->fixed, sizeof(e->fixed), "%u.%u.%u.%u", 1 + below(r, 90), a & 255,
			 a >> 8, i);
		snprintf(e->shared, sizeof(e->shared), "100.64.%u.%u", b & 127, i);
		snprintf(e->peer, sizeof(e->peer), "100.64.%u.%u", 128 + (c & 127), c >> 8);
	} else {
		snprintf(e->fixed, sizeof(e->fixed), "fd00:%x:%x::%x", a, c, i + 1);
		snprintf(e->shared, sizeof(e->shared), "fd64::%x:%x:%x", b, c, i + 1);
		snprintf(e->peer, sizeof(e->peer), "fd64::7777:%x:%x:%x", a, b, c);
	}
}

static void note(struct seen *seen, const struct packet *p, const struct frame *f)
{
	if (p->options)
		seen->options++;
	if (p->ext && !p->frag_len)
		seen->extensions++;
	if (p->frag_len)
		*(p->frag_at ? &seen->later : &seen->first) += 1;
	if (p->trailer)
		seen->padded++;
	if (!f->l4_csum)
		seen->no_checksum++;
	else if (!p->frag_len)
		*(p->csum == CSUM_RIGHT	   ? &seen->whole
		  : p->csum == CSUM_WRONG  ? &seen->broken
		  : p->csum == CSUM_ABSENT ? &seen->absent
					   : &seen->partial) += 1;
}

static bool within(size_t at, size_t start, size_t len)
{
	return at >= start && at < start + len;
}

/* Whether a translation may change that byte: one address, and the checksums that cover it. */
static bool may_change(const struct frame *f, enum program program, size_t at)
{
	bool v4 = f->bytes[f->ip] >> 4 == 4, src = program == TC_OUT;
	size_t address = f->ip + (v4 ? (src ? 12 : 16) : (src ? 8 : 24));

	return within(at, address, v4 ? 4 : 16) || (v4 && within(at, f->ip + 10, 2)) ||
	       (f->l4_csum && within(at, f->l4_csum, 2));
}

static void check_bytes(const char *what, enum program program, const struct frame *in,
			const struct frame *out)
{
	cr_assert_eq(in->len, out->len, "%s, %s: another length", what, program_name(program));
	for (size_t i = 0; i < in->len; i++) {
		if (in->bytes[i] != out->bytes[i] && !may_change(in, program, i)) {
			_cleanup_free_ char *diff = frame_diff(in, out);

			cr_assert(false, "%s, %s: changed byte %zu:\n%s", what,
				  program_name(program), i, diff);
		}
	}
}

/*
 * Right stays right and wrong stays wrong. A test run has no CHECKSUM_PARTIAL, so that
 * tc takes the pseudo-header's sum for a checksum that is wrong.
 */
static void check_csums(const char *what, const struct packet *p, const struct frame *in,
			const struct frame *out)
{
	struct frame f = *out;

	f.ip = in->ip;
	f.ip_bytes = in->ip_bytes;
	f.l4 = in->l4;
	f.l4_csum = in->l4_csum;
	cr_assert_eq(frame_ip_csum_ok(in), frame_ip_csum_ok(&f), "%s: the IP checksum", what);
	if (!in->l4_csum || p->frag_len)
		return;
	cr_assert_eq(frame_l4_csum(in) == CSUM_RIGHT, frame_l4_csum(&f) == CSUM_RIGHT,
		     "%s: the L4 checksum", what);
	cr_assert_eq(frame_l4_csum(in) == CSUM_ABSENT, frame_l4_csum(&f) == CSUM_ABSENT,
		     "%s: there was an L4 checksum, or now is", what);
}

/* One in ones' complement has two zeroes: the same checksum, if not the same bytes. */
static void one_zero(struct frame *f, size_t at)
{
	if (at && f->bytes[at] == 0xff && f->bytes[at + 1] == 0xff)
		f->bytes[at] = f->bytes[at + 1] = 0;
}

static void swap_addresses(struct frame *f)
{
	size_t len = f->bytes[f->ip] >> 4 == 4 ? 4 : 16, at = f->ip + (len == 4 ? 12 : 8);
	uint8_t src[16];

	memcpy(src, f->bytes + at, len);
	memcpy(f->bytes + at, f->bytes + at + len, len);
	memcpy(f->bytes + at + len, src, len);
}

/* in, then back out with source and destination exchanged: what came is what goes. */
static void check_there_and_back(struct lab *lab, enum program in, const struct packet *p,
				 const char *what, struct seen *seen)
{
	struct frame before = packet_build(p), back;
	struct result there = lab_run(lab, in, p, &before), home;

	cr_assert_eq(there.verdict, STACK, "%s, %s: not passed on", what, program_name(in));
	if (in == XDP_IN && !there.marked) {
		cr_assert(before.l4_csum, "%s: left to tc without a reason", what);
		cr_assert(!memcmp(before.bytes, there.out.bytes, before.len),
			  "%s: changed and left to tc", what);
		seen->left_to_tc++;
		return;
	}
	seen->changed += memcmp(before.bytes, there.out.bytes, before.len) != 0;
	check_bytes(what, in, &before, &there.out);
	check_csums(what, p, &before, &there.out);

	back = there.out;
	back.ip = before.ip;
	back.ip_bytes = before.ip_bytes;
	back.l4 = before.l4;
	back.l4_csum = before.l4_csum;
	swap_addresses(&back);
	home = lab_run(lab, TC_OUT, p, &back);
	cr_assert_eq(home.verdict, STACK, "%s, back: not passed on", what);
	check_bytes(what, TC_OUT, &back, &home.out);

	swap_addresses(&before);
	one_zero(&before, before.l4_csum);
	one_zero(&home.out, before.l4_csum);
	if (memcmp(before.bytes, home.out.bytes, before.len)) {
		_cleanup_free_ char *diff = frame_diff(&before, &home.out);

		cr_assert(false, "%s: not the same there and back:\n%s", what, diff);
	}
}

static void expect_seen(const struct seen *seen, enum program in)
{
	cr_expect_gt(seen->changed, ROUNDS / 2, "too few packets were translated");
#define SEEN(what) cr_expect_gt(seen->what, 10, "hardly ever tried: " #what)
	SEEN(whole);
	SEEN(broken);
	SEEN(absent);
	SEEN(partial);
	SEEN(options);
	SEEN(extensions);
	SEEN(first);
	SEEN(later);
	SEEN(padded);
	SEEN(no_checksum);
	if (in == XDP_IN)
		SEEN(left_to_tc);
#undef SEEN
}

static void there_and_back(enum program in)
{
	const struct lab_options options = { .programs = 1U << in | ON_OUT, .bare = true };
	struct lab *lab = lab_open(&options);
	struct random r = random_seed();
	struct seen seen = { 0 };
	struct ends ends[2 * MAPPINGS];

	for (unsigned int i = 0; i < 2 * MAPPINGS; i++) {
		draw_ends(&r, i % 2, i, &ends[i]);
		lab_map(lab, RED, ends[i].fixed, ends[i].shared);
	}
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int which = below(&r, 2 * MAPPINGS);
		struct packet p = draw_packet(&r, which % 2);
		char what[64];

		p.src = ends[which].peer;
		p.dst = ends[which].shared;
		snprintf(what, sizeof(what), "packet %u, protocol %u", i, p.proto);
		struct frame f = packet_build(&p);

		note(&seen, &p, &f);
		check_there_and_back(lab, in, &p, what, &seen);
	}
	expect_seen(&seen, in);
	cr_expect_eq(lab_drops(lab), 0, "something was dropped");
	lab_close(lab);
}

Test(properties, there_and_back_on_xdp)
{
	there_and_back(XDP_IN);
}

Test(properties, there_and_back_on_tc)
{
	there_and_back(TC_IN);
}

static bool begins_with(const uint8_t *at, const char *address, size_t len)
{
	uint8_t want[16];

	inet_pton(strchr(address, ':') ? AF_INET6 : AF_INET, address, want);
	return !memcmp(at, want, len);
}

/* Whether an IP frame may be where it is, by its addresses alone; others always may. */
static bool may_be_there(const struct frame *f, enum program program)
{
	uint16_t type = f->bytes[12] << 8 | f->bytes[13];
	const uint8_t *v4 = f->bytes + 26, *v6 = f->bytes + 22;

	if (type == ETH_P_IP && program == TC_OUT)
		return begins_with(v4, "100.64.0.0", 2) || begins_with(v4, "0.0.0.0", 4) ||
		       begins_with(v4, "169.254.0.0", 2);
	if (type == ETH_P_IPV6 && program == TC_OUT)
		return begins_with(v6, "fd64::", 8) || begins_with(v6, "::", 16) ||
		       begins_with(v6, "fe80::", 1);
	if (type == ETH_P_IP)
		return begins_with(v4 + 4, RED_VM, 4) || begins_with(v4 + 4, RED_VM2, 4) ||
		       begins_with(v4 + 4, RED_OWN, 4);
	if (type == ETH_P_IPV6)
		return begins_with(v6 + 16, RED_VM_6, 16) || begins_with(v6 + 16, RED_VM2_6, 16) ||
		       begins_with(v6 + 16, RED_OWN_6, 16);
	return true;
}

/* A frame with some bytes of its headers changed, and perhaps its end missing. */
static struct frame draw_damage(struct random *r, const struct packet *p)
{
	struct frame f = packet_build(p);
	size_t headers = f.len < 72 ? f.len - 12 : 60;

	for (unsigned int n = below(r, 4); n; n--)
		f.bytes[12 + below(r, headers)] = draw(r);
	if (one_in(r, 4) && f.len > 54)
		f.len = 54 + below(r, f.len - 54);
	return f;
}

/*
 * Whatever comes, a drop has exactly one reason, and what is let in is for a VM of ours
 * or for the router, and what is let out has a source of the shared network.
 */
Test(properties, damaged_packets)
{
	static const char *const from_to[][2] = { { GREEN_SHARED_6, RED_SHARED_6 },
						  { GREEN_SHARED, RED_SHARED },
						  { RED_VM_6, GREEN_SHARED_6 },
						  { RED_VM, GREEN_SHARED } };
	struct lab *lab = lab_open(&(struct lab_options){ 0 });
	struct random r = random_seed();
	unsigned int verdicts[NO_VERDICT + 1] = { 0 };

	for (unsigned int i = 0; i < 2 * ROUNDS; i++) {
		unsigned int which = below(&r, ARRAY_SIZE(from_to));
		enum program program = which > 1 ? TC_OUT : one_in(&r, 2) ? TC_IN : XDP_IN;
		struct packet p = draw_packet(&r, which % 2);
		uint64_t drops = lab_drops(lab);
		struct result result;
		struct frame f;

		p.src = from_to[which][0];
		p.dst = from_to[which][1];
		f = draw_damage(&r, &p);
		result = lab_run(lab, program, &p, &f);
		verdicts[result.verdict]++;
		cr_assert_neq(result.verdict, NO_VERDICT, "packet %u on %s", i,
			      program_name(program));
		cr_assert_eq(lab_drops(lab) - drops, result.verdict == GONE,
			     "packet %u on %s: a drop without a reason, or a reason without a drop",
			     i, program_name(program));
		if (result.verdict == STACK && (program != XDP_IN || result.marked))
			cr_assert(may_be_there(&result.out, program),
				  "packet %u on %s got through:\n%s", i, program_name(program),
				  frame_diff(&f, &result.out));
	}
	cr_expect_gt(verdicts[STACK], ROUNDS / 10, "hardly anything got through");
	cr_expect_gt(verdicts[GONE], ROUNDS / 10, "hardly anything was dropped");
	lab_close(lab);
}
