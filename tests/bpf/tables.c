/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random tables of mappings, and packets among the addresses in them and beside them: what
 * is not mapped does not pass, what is mapped does, and how the table came to be does not
 * matter. SEED=… in the environment repeats a run.
 */
#include <arpa/inet.h>

#include "harness.h"
#include "random.h"

#define TABLES	   4
#define MAPPINGS   60
#define PACKETS	   1200
#define TEXT	   INET6_ADDRSTRLEN
#define OUTSIDE_V4 "8.8.8.8"
#define OUTSIDE_V6 "2001:db8::1"

struct mapping {
	enum lab_router router;
	bool mapped; /* now */
	char fixed[TEXT], shared[TEXT];
};

struct table {
	struct mapping m[MAPPINGS];
};

/* What is to become of a packet, and how often that was tried, by program. */
enum fate { REWRITTEN, TURNED_IN, LEFT, KEPT_OUT, FATES };
struct tried {
	unsigned int n[PROGRAMS][FATES];
	unsigned int once_mapped; /* kept out, and mapped before */
};

/* Few enough that neighbours, and the same address in several roles, are common. */
static void draw_shared(struct random *r, bool v4, char text[TEXT])
{
	snprintf(text, TEXT, v4 ? "100.64.%u.%u" : "fd64::%x:%x", 1 + below(r, 2),
		 1 + below(r, 90));
}

static void draw_fixed(struct random *r, bool v4, char text[TEXT])
{
	snprintf(text, TEXT, v4 ? "10.0.%u.%u" : "fd00:10::%x:%x", 1 + below(r, 2),
		 1 + below(r, 60));
}

static bool is_v4(const char *address)
{
	return strchr(address, '.');
}

static bool is_shared(const char *address)
{
	return !strncmp(address, "100.64.", 7) || !strncmp(address, "fd64:", 5);
}

static const struct mapping *by_shared(const struct table *t, const char *address)
{
	for (size_t i = 0; i < MAPPINGS; i++) {
		if (!strcmp(t->m[i].shared, address))
			return &t->m[i];
	}
	return NULL;
}

static const struct mapping *by_fixed(const struct table *t, enum lab_router router,
				      const char *address)
{
	for (size_t i = 0; i < MAPPINGS; i++) {
		if (t->m[i].router == router && !strcmp(t->m[i].fixed, address))
			return &t->m[i];
	}
	return NULL;
}

static void draw_table(struct random *r, struct table *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < MAPPINGS; i++) {
		struct mapping m = { .mapped = true };

		do {
			m.router = one_in(r, 2) ? RED : one_in(r, 2) ? BLUE : GREEN;
			draw_fixed(r, i % 2, m.fixed);
			draw_shared(r, i % 2, m.shared);
		} while (by_shared(t, m.shared) || by_fixed(t, m.router, m.fixed));
		t->m[i] = m;
	}
}

static struct lab *open_lab(void)
{
	struct lab *lab = lab_open(&(struct lab_options){ .bare = true });

	lab_map(lab, RED, NULL, RED_OWN);
	lab_map(lab, RED, NULL, RED_OWN_6);
	return lab;
}

static void set_mapped(struct lab *lab, struct mapping *m, bool mapped)
{
	if (mapped)
		lab_map(lab, m->router, m->fixed, m->shared);
	else
		lab_unmap(lab, m->router, m->fixed, m->shared);
	m->mapped = mapped;
}

/* Any address: of the table, next to it, or of the world. */
static void draw_address(struct random *r, const struct table *t, bool v4, char text[TEXT])
{
	const struct mapping *m;

	do
		m = &t->m[below(r, MAPPINGS)];
	while (is_v4(m->shared) != v4);
	switch (below(r, 10)) {
	case 0 ... 3:
		strcpy(text, m->shared);
		break;
	case 4 ... 6:
		strcpy(text, m->fixed);
		break;
	case 7:
		draw_shared(r, v4, text);
		break;
	case 8:
		draw_fixed(r, v4, text);
		break;
	default:
		strcpy(text,
		       one_in(r, 2) ? (v4 ? RED_OWN : RED_OWN_6) : (v4 ? OUTSIDE_V4 : OUTSIDE_V6));
	}
}

/* ---------------------------------------------------------------- what is to be */

static bool is_own(const char *address)
{
	return !strcmp(address, RED_OWN) || !strcmp(address, RED_OWN_6);
}

static const struct mapping *red_shared(const struct table *t, const char *address)
{
	const struct mapping *m = by_shared(t, address);

	return m && m->mapped && m->router == RED ? m : NULL;
}

static const struct mapping *red_fixed(const struct table *t, const char *address)
{
	const struct mapping *m = by_fixed(t, RED, address);

	return m && m->mapped ? m : NULL;
}

/* `new` is the address that takes the place of the destination inwards, else of the source. */
static enum fate fate_of(const struct table *t, enum program program, const char *src,
			 const char *dst, const char **new)
{
	const struct mapping *to = red_shared(t, dst), *from = red_fixed(t, src);

	switch (program) {
	case XDP_IN:
	case TC_IN:
		if ((!to && !is_own(dst)) || !is_shared(src) || is_own(src) || red_shared(t, src))
			return KEPT_OUT;
		*new = to ? to->fixed : dst;
		return to ? REWRITTEN : LEFT;
	case TC_OUT:
		*new = from ? from->shared : src;
		if (is_own(src))
			return to ? TURNED_IN : LEFT;
		return !from ? KEPT_OUT : to ? TURNED_IN : REWRITTEN;
	default:
		*new = from && (to || is_own(dst)) ? from->shared : src;
		if (is_shared(src))
			return KEPT_OUT;
		if (is_own(dst))
			return from ? TURNED_IN : LEFT;
		return !to ? LEFT : from ? TURNED_IN : KEPT_OUT;
	}
}

/* ---------------------------------------------------------------- what is */

static void expect_addresses(const char *what, const struct result *r, const char *src,
			     const char *dst)
{
	size_t len = is_v4(src) ? 4 : 16, at = ETH_HLEN + (len == 4 ? 12 : 8);
	uint8_t want[32];

	inet_pton(len == 4 ? AF_INET : AF_INET6, src, want);
	inet_pton(len == 4 ? AF_INET : AF_INET6, dst, want + len);
	cr_assert(!memcmp(r->out.bytes + at, want, 2 * len), "%s: not from %s to %s", what, src,
		  dst);
}

static void check_fate(struct lab *lab, const struct table *t, enum program program,
		       const struct packet *p, struct tried *tried)
{
	static const enum verdict verdicts[] = { STACK, BACK, STACK, GONE };
	struct frame f = packet_build(p);
	struct result r = lab_run(lab, program, p, &f);
	const struct mapping *once = by_shared(t, p->dst);
	bool inwards = program == XDP_IN || program == TC_IN;
	const char *new;
	enum fate fate = fate_of(t, program, p->src, p->dst, &new);
	char what[200];

	snprintf(what, sizeof(what), "%s, protocol %u from %s to %s", program_name(program),
		 p->proto, p->src, p->dst);
	/* XDP may leave to tc what it cannot translate, but not what is to be kept out */
	if (program == XDP_IN && fate == REWRITTEN && !r.marked && r.verdict == STACK)
		return;
	cr_assert_eq(r.verdict, verdicts[fate], "%s: verdict %d", what, r.verdict);
	tried->n[program][fate]++;
	tried->once_mapped +=
		fate == KEPT_OUT && inwards && once && once->router == RED && !once->mapped;
	if (fate != KEPT_OUT)
		expect_addresses(what, &r, inwards ? p->src : new, inwards ? new : p->dst);
}

static void check_packets(struct lab *lab, struct random *r, const struct table *t,
			  struct tried *tried)
{
	for (unsigned int i = 0; i < PACKETS; i++) {
		bool v4 = one_in(r, 2);
		struct packet p = draw_packet(r, v4);
		char src[TEXT], dst[TEXT];

		draw_address(r, t, v4, src);
		draw_address(r, t, v4, dst);
		p.src = src;
		p.dst = dst;
		/* no later fragments: they depend on the first one */
		if (p.frag_at) {
			p.frag_at = 0;
			p.frag_len = 32;
		}
		check_fate(lab, t, below(r, PROGRAMS), &p, tried);
	}
}

static void expect_tried(const struct tried *tried)
{
	static const bool possible[PROGRAMS][FATES] = {
		[XDP_IN] = { [REWRITTEN] = true, [LEFT] = true, [KEPT_OUT] = true },
		[TC_IN] = { [REWRITTEN] = true, [LEFT] = true, [KEPT_OUT] = true },
		[TC_OUT] = { [REWRITTEN] = true,
			     [TURNED_IN] = true,
			     [LEFT] = true,
			     [KEPT_OUT] = true },
		[INSIDE_IN] = { [TURNED_IN] = true, [LEFT] = true, [KEPT_OUT] = true },
	};

	for (int program = 0; program < PROGRAMS; program++) {
		for (int fate = 0; fate < FATES; fate++) {
			if (possible[program][fate])
				cr_expect_gt(tried->n[program][fate], 3, "%s: fate %d hardly tried",
					     program_name(program), fate);
		}
	}
	cr_expect_gt(tried->once_mapped, 10, "hardly any address that was mapped before");
}

/* What passes is what the table says, and after some of it is gone, what is left of it says. */
Test(tables, only_what_is_mapped_passes)
{
	struct random r = random_seed();
	struct tried tried = { 0 };
	struct table t;

	for (unsigned int n = 0; n < TABLES; n++) {
		struct lab *lab = open_lab();

		draw_table(&r, &t);
		for (size_t i = 0; i < MAPPINGS; i++)
			set_mapped(lab, &t.m[i], true);
		check_packets(lab, &r, &t, &tried);
		for (size_t i = 0; i < MAPPINGS; i++) {
			if (one_in(&r, 2))
				set_mapped(lab, &t.m[i], false);
		}
		check_packets(lab, &r, &t, &tried);
		lab_close(lab);
	}
	expect_tried(&tried);
}

/* ---------------------------------------------------------------- the order of insertion */

static void shuffle(struct random *r, size_t order[MAPPINGS])
{
	for (size_t i = 0; i < MAPPINGS; i++)
		order[i] = i;
	for (size_t i = MAPPINGS - 1; i; i--) {
		size_t j = below(r, i + 1), was = order[i];

		order[i] = order[j];
		order[j] = was;
	}
}

/* All of it, in another order, and some of it more than once. */
static void fill(struct lab *lab, struct random *r, struct table *t)
{
	size_t order[MAPPINGS];

	shuffle(r, order);
	for (size_t i = 0; i < MAPPINGS; i++)
		set_mapped(lab, &t->m[order[i]], true);
	shuffle(r, order);
	for (size_t i = 0; i < MAPPINGS / 3; i++)
		set_mapped(lab, &t->m[order[i]], false);
	shuffle(r, order);
	for (size_t i = 0; i < MAPPINGS; i++) {
		if (!t->m[order[i]].mapped)
			set_mapped(lab, &t->m[order[i]], true);
	}
}

static void expect_same_counters(struct lab *a, struct lab *b, const struct table *t)
{
	static struct tally x, y;

	lab_tally(a, &x);
	lab_tally(b, &y);
	cr_expect(!memcmp(x.routers, y.routers, sizeof(x.routers)), "other reasons");
	for (size_t i = 0; i < MAPPINGS; i++) {
		const char *shared = t->m[i].shared;

		if (t->m[i].router != RED)
			continue;
		cr_expect(!memcmp(&x.mappings[lab_slot(a, shared, true)],
				  &y.mappings[lab_slot(b, shared, true)], sizeof(x.mappings[0])),
			  "%s: counted differently", shared);
	}
}

Test(tables, the_order_does_not_matter)
{
	struct random r = random_seed();
	struct lab *a = open_lab(), *b = open_lab();
	unsigned int verdicts[NO_VERDICT + 1] = { 0 }, changed = 0, slots = 0;
	struct table t;

	draw_table(&r, &t);
	fill(a, &r, &t);
	fill(b, &r, &t);
	for (size_t i = 0; i < MAPPINGS; i++)
		slots += lab_slot(a, t.m[i].shared, true) != lab_slot(b, t.m[i].shared, true);
	cr_expect_gt(slots, 0, "the two were filled in the same order");
	for (unsigned int i = 0; i < 2 * PACKETS; i++) {
		enum program program = below(&r, PROGRAMS);
		bool v4 = one_in(&r, 2);
		struct packet p = draw_packet(&r, v4);
		char src[TEXT], dst[TEXT];
		struct result x, y;
		struct frame f;

		draw_address(&r, &t, v4, src);
		draw_address(&r, &t, v4, dst);
		p.src = src;
		p.dst = dst;
		f = packet_build(&p);
		x = lab_run(a, program, &p, &f);
		y = lab_run(b, program, &p, &f);
		verdicts[x.verdict]++;
		changed += memcmp(x.out.bytes, f.bytes, f.len) != 0;
		cr_assert(x.verdict == y.verdict && x.marked == y.marked && x.mark == y.mark &&
				  x.out.len == y.out.len &&
				  !memcmp(x.out.bytes, y.out.bytes, x.out.len),
			  "%s, protocol %u from %s to %s: it matters", program_name(program),
			  p.proto, src, dst);
	}
	expect_same_counters(a, b, &t);
	cr_expect_gt(verdicts[STACK], PACKETS / 10, "hardly anything passes");
	cr_expect_gt(verdicts[GONE], PACKETS / 10, "hardly anything is dropped");
	cr_expect_gt(verdicts[BACK], 0, "nothing turns back");
	cr_expect_gt(changed, PACKETS / 20, "hardly anything is translated");
	lab_close(b);
	lab_close(a);
}
