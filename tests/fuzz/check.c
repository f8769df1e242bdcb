/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules, once more and from the outside: what may come out of a program, by the
 * frame that went in. Nothing here is taken from bpf/.
 */
#include "check.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "addr.h"
#include "util.h"
#include "view.h"

/* An address that red answers for. */
struct known {
	struct tn_addr shared, fixed;
	bool own; /* the router's; else a mapping's, */
	uint32_t slot;
};

static struct known known[16];
static size_t known_n;

/* One run, and what was said of it. */
struct trial {
	const struct native_in *in;
	const struct result *r;
	struct view before, after;
	enum host host;
	const char *guise;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void complain(struct trial *t, const char *format, ...)
{
	va_list args;

	t->failed = true;
	va_start(args, format);
	fprintf(stderr, "%s%s: ", program_name(t->in->program), t->guise);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static void dump(const char *what, const uint8_t *bytes, size_t len)
{
	fprintf(stderr, "%s:", what);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", bytes[i]);
	fputc('\n', stderr);
}

/* ---------------------------------------------------------------- the maps */

void check_open(void)
{
	native_open();
	known_n = 0;
	for (size_t i = 0; i < fixture_n; i++) {
		struct entry e = fixture_entry(&fixture[i], 0);
		const struct tn_shared *to = native_lookup("by_shared", &e.shared);

		if (fixture[i].router == RED)
			known[known_n++] = (struct known){ .shared = e.shared,
							   .fixed = to->fixed,
							   .own = !fixture[i].fixed,
							   .slot = to->slot };
	}
}

static bool same(const struct tn_addr *a, const struct tn_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static const struct known *known_shared(const struct tn_addr *a)
{
	for (size_t i = 0; i < known_n; i++) {
		if (same(&known[i].shared, a))
			return &known[i];
	}
	return NULL;
}

static const struct known *known_fixed(const struct tn_addr *a)
{
	for (size_t i = 0; i < known_n; i++) {
		if (!known[i].own && same(&known[i].fixed, a))
			return &known[i];
	}
	return NULL;
}

/* ---------------------------------------------------------------- what was counted */

static unsigned int segments(const struct native_in *in)
{
	return in->gso_segs > 1 ? in->gso_segs : 1;
}

/* A drop has one reason, and is counted for red as often as it has segments. */
static void check_drops(struct trial *t)
{
	unsigned int reasons = 0;

	for (uint32_t router = 0; router < ROUTERS; router++) {
		const struct tn_drops *d = native_lookup("drops", &router);

		for (int i = 0; i < TN_REASONS_MAX; i++) {
			if (!d->packets[i])
				continue;
			reasons++;
			if (router != RED || i >= TN_REASONS_COUNT ||
			    d->packets[i] != segments(t->in))
				complain(t, "router %u, reason %d: %llu", router, i, d->packets[i]);
			if (i == TN_DROP_INTERNAL && t->host == HOST)
				complain(t, "the kernel is said to have refused something");
		}
	}
	if (reasons != (t->r->verdict == GONE))
		complain(t, "verdict %d with %u reasons", t->r->verdict, reasons);
}

/* What is counted for mappings: this packet for this one, once; NULL: nothing for any. */
static void check_counters(struct trial *t, const struct known *mapping, bool inwards)
{
	for (uint32_t slot = 0; slot < MAPPINGS_MAX && slot <= fixture_n; slot++) {
		const struct tn_counters *c = native_lookup("counters", &slot);
		struct tn_counters want = { 0 };

		if (mapping && slot == mapping->slot) {
			*(inwards ? &want.in_packets : &want.out_packets) = segments(t->in);
			*(inwards ? &want.in_bytes : &want.out_bytes) = t->before.frame.ip_bytes;
		}
		if (memcmp(c, &want, sizeof(want)))
			complain(t, "slot %u has counted %llu/%llu in, %llu/%llu out", slot,
				 c->in_packets, c->in_bytes, c->out_packets, c->out_bytes);
	}
}

/* ---------------------------------------------------------------- what was changed */

static bool within(size_t at, size_t start, size_t len)
{
	return start && at >= start && at < start + len;
}

/* Whether the translation of the source, or of the destination, may change that byte. */
static bool may_change(const struct trial *t, size_t at, bool src)
{
	const struct view *v = &t->before;
	size_t len = v->v4 ? 4 : 16, first = v->v4 ? 12 : 8;

	if (within(at, v->frame.ip + first + (src ? 0 : len), len) ||
	    (v->v4 && within(at, v->frame.ip + 10, 2)) || within(at, v->frame.l4_csum, 2))
		return true;
	/* in the quoted packet, it is the other side */
	return v->quote &&
	       (within(at, v->quote + first + (src ? len : 0), len) ||
		(v->v4 && within(at, v->quote + 10, 2)) || within(at, v->quote_csum, 2));
}

static void check_changes(struct trial *t, bool src, bool mac)
{
	if (t->in->len != t->r->out.len) {
		complain(t, "another length: %zu", t->r->out.len);
		return;
	}
	for (size_t i = 0; i < t->in->len; i++) {
		if (t->in->bytes[i] != t->r->out.bytes[i] && !may_change(t, i, src) &&
		    !(mac && i < ETH_ALEN))
			complain(t, "changed byte %zu", i);
	}
}

static void check_unchanged(struct trial *t)
{
	if (t->in->len != t->r->out.len || memcmp(t->in->bytes, t->r->out.bytes, t->in->len))
		complain(t, "changed what it only passes on");
}

static enum csum l4_csum(const struct frame *f, uint8_t proto)
{
	size_t len = f->ip + f->ip_bytes - f->l4;

	/* a coverage that does not fit: nothing can be said */
	if (proto == IPPROTO_UDPLITE && get16(f->bytes + f->l4 + 4) > len)
		return CSUM_WRONG;
	return frame_l4_csum(f);
}

static bool looks_partial(const struct view *v)
{
	const struct frame *f = &v->frame;
	const uint8_t *at = f->bytes + f->ip + (v->v4 ? 12 : 8);
	size_t len = f->ip + f->ip_bytes - f->l4;
	uint64_t sum = v->proto + (len >> 16) + (len & 0xffff);

	if (!v->ip || !f->l4_csum)
		return false;
	for (size_t i = 0; i < (v->v4 ? 8 : 32); i += 2)
		sum += get16(at + i);
	return get16(f->bytes + f->l4_csum) == sum_fold(sum);
}

/* The quoted packet by itself. */
static struct frame quoted(const struct view *v)
{
	struct frame f = v->frame;

	f.ip = v->quote;
	f.ip_bytes = v->frame.ip + v->frame.ip_bytes - v->quote;
	f.l4 = v->quote_l4;
	f.l4_csum = v->quote_csum;
	return f;
}

/* Right stays right, wrong stays wrong, and what is not there is not there behind it. */
static void check_csums(struct trial *t)
{
	const struct view *b = &t->before, *a = &t->after;

	if (b->v4 && frame_ip_csum_ok(&b->frame) != frame_ip_csum_ok(&a->frame))
		complain(t, "the IP checksum");
	if (b->frame.l4_csum && !b->fragment) {
		enum csum before = l4_csum(&b->frame, b->proto),
			  after = l4_csum(&a->frame, a->proto);

		if ((before == CSUM_RIGHT) != (after == CSUM_RIGHT) ||
		    (before == CSUM_ABSENT) != (after == CSUM_ABSENT))
			complain(t, "the L4 checksum: was %d, is %d", before, after);
	}
	if (b->quote && (b->frame.bytes[b->quote] >> 4) == (b->v4 ? 4 : 6)) {
		struct frame before = quoted(b), after = quoted(a);

		if (b->v4 && before.l4 <= b->frame.ip + b->frame.ip_bytes &&
		    frame_ip_csum_ok(&before) != frame_ip_csum_ok(&after))
			complain(t, "the quoted IP checksum");
		if (b->quote_csum && b->quote_whole &&
		    (l4_csum(&before, b->quote_proto) == CSUM_RIGHT) !=
			    (l4_csum(&after, a->quote_proto) == CSUM_RIGHT))
			complain(t, "the quoted L4 checksum");
	}
}

/* ---------------------------------------------------------------- who may talk */

static bool is_link_local_v6(const struct view *v, const struct tn_addr *a)
{
	return !v->v4 && ntohl(a->w[0]) >> 22 == 0xfe80 >> 6;
}

static bool is_unspecified(const struct view *v, const struct tn_addr *a)
{
	return v->v4 ? !a->w[3] : addr_is_unset(a);
}

static bool is_group(const struct view *v, const struct tn_addr *a)
{
	struct prefix subnet;
	struct tn_addr last;

	if (!v->v4)
		return ntohl(a->w[0]) >> 24 == 0xff;
	if (ntohl(a->w[3]) >> 28 == 0xe || a->w[3] == 0xffffffff)
		return true;
	for (size_t i = 0; i < fixture_subnets_n; i++) {
		subnet = prefix_of(fixture_subnets[i]);
		last = prefix_last(&subnet);
		if (same(&last, a))
			return true;
	}
	return false;
}

static bool is_neighbour_discovery(const struct view *v)
{
	uint8_t type = v->frame.bytes[v->frame.l4];

	return !v->v4 && v->proto == IPPROTO_ICMPV6 && !v->later && type >= 133 && type <= 137;
}

/* From a DHCP server to a client. */
static bool is_dhcp(const struct view *v)
{
	const uint8_t *l4 = v->frame.bytes + v->frame.l4;

	return v->v4 && v->proto == IPPROTO_UDP && get16(l4) == 67 && get16(l4 + 2) == 68;
}

/* What never passes, whoever sends it. */
static void check_headers(struct trial *t, bool translated)
{
	const struct view *v = &t->before;

	if (!v->v4 && (addr_is_v4(&v->src) || addr_is_v4(&v->dst)))
		complain(t, "let an IPv4 address in an IPv6 header pass");
	if (v->v4 && !frame_ip_csum_ok(&v->frame))
		complain(t, "let a wrong IP checksum pass");
	if (v->source_route || v->record_route)
		complain(t, "let a packet pass that names its way, or writes it down");
	if (translated && v->proto == IPPROTO_AH)
		complain(t, "translated what is authenticated");
}

/* As far as an IP header tells. */
static bool sound(const struct view *v)
{
	return v->ip && (!v->v4 || frame_ip_csum_ok(&v->frame));
}

/* An IP packet that was let in from the shared network. */
static void check_let_in(struct trial *t)
{
	const struct view *b = &t->before, *a = &t->after;
	const struct known *to = known_shared(&b->dst), *from = known_shared(&b->src);
	bool hairpin = t->in->mark == TN_HAIRPIN_MARK;

	check_headers(t, to && !to->own);
	if (to && !to->own) {
		if (t->host != HOST || !same(&a->dst, &to->fixed))
			complain(t, "let a mapped address in without translation");
		check_changes(t, false, false);
		check_csums(t);
		if (b->quote && (!same(&b->quote_src, &b->dst) || !same(&a->quote_src, &a->dst)))
			complain(t, "an error about another mapping, or half translated");
		check_counters(t, to, true);
	} else {
		check_unchanged(t);
		check_counters(t, NULL, true);
		if (is_link_local_v6(b, &b->dst) &&
		    (is_link_local_v6(b, &b->src) || fixture_in_subnets(&b->src)))
			return;
		if (t->host == GROUP && is_group(b, &b->dst))
			return;
		if (!to)
			complain(t, "let in what is not for red");
		if (is_neighbour_discovery(b) || is_dhcp(b))
			return;
	}
	if (!fixture_in_subnets(&b->src))
		complain(t, "let a foreign source in");
	if (from && !hairpin)
		complain(t, "let a source of our own in");
}

/* Of a router between this one and a VM (RFC 5508, REQ-5), about what went to that VM. */
static bool is_error_on_the_way(const struct view *v)
{
	return v->quote && !fixture_in_subnets(&v->src) && known_fixed(&v->quote_dst);
}

/* An IP packet that goes out to the shared network, or turns back to it. */
static void check_let_out(struct trial *t)
{
	const struct view *b = &t->before, *a = &t->after;
	const struct known *from = known_fixed(&b->src), *as = known_shared(&a->src);
	bool turned = t->r->verdict == BACK;

	check_headers(t, from);
	if (from && !same(&a->src, &from->shared))
		complain(t, "let a fixed address out");
	if (!from && !same(&a->src, &b->src) &&
	    !(as && as->own && a->quote && is_error_on_the_way(b)))
		complain(t, "translated what is not mapped");
	check_changes(t, true, turned);
	check_csums(t);
	check_counters(t, from, false);
	if (!from && !is_unspecified(a, &a->src) && !is_link_local_v6(a, &a->src) &&
	    !(as && (as->own || is_neighbour_discovery(a))))
		complain(t, "let out a source that is not red's");
	if (a->quote && !(fixture_in_subnets(&a->quote_src) && fixture_in_subnets(&a->quote_dst)))
		complain(t, "let out an error that quotes what is private");
	if (a->quote && from && (!same(&b->quote_dst, &b->src) || !same(&a->quote_dst, &a->src)))
		complain(t, "an error about another mapping, or half translated");
}

/* What turns back inside is for a mapping of red's, and looks as if it came from outside. */
static void check_turned(struct trial *t)
{
	const struct known *to = known_shared(&t->before.dst);

	if (!t->before.ip || t->host != HOST || !to || to->own ||
	    !(known_fixed(&t->before.src) || is_error_on_the_way(&t->before)))
		complain(t, "turned back what is no hairpin");
	if (host_of(t->r->out.bytes) != HOST || t->r->mark != TN_HAIRPIN_MARK)
		complain(t, "turned back without mark or MAC address");
	check_let_out(t);
}

/* An answer for a mapped address goes to who asked, from our MAC address. */
static void check_answer(struct trial *t)
{
	const uint8_t *in = t->in->bytes, *out = t->r->out.bytes;
	struct tn_addr about;
	const struct known *k;

	if (t->before.type == ETH_P_ARP) {
		about = addr_from_bytes(out + 28, 4);
		if (get16(in + 20) != 1 || get16(out + 20) != 2 || memcmp(in + 38, out + 28, 4) ||
		    memcmp(in + 28, out + 38, 4))
			complain(t, "not the answer to this request");
	} else {
		about = t->after.src;
		if (!is_neighbour_discovery(&t->before) || !is_neighbour_discovery(&t->after) ||
		    out[21] != 255 || l4_csum(&t->after.frame, t->after.proto) != CSUM_RIGHT)
			complain(t, "no advertisement");
	}
	k = known_shared(&about);
	if (!k || k->own)
		complain(t, "an answer for what is not mapped");
	if (host_of(out + ETH_ALEN) != HOST)
		complain(t, "an answer from another MAC address");
	check_counters(t, NULL, true);
}

/*
 * The router's own error about a hairpin is for one of its VMs, and goes back in; before
 * that it asks for the VM's address, and is answered.
 */
static void check_turned_out(struct trial *t)
{
	const struct known *to = known_shared(&t->before.dst), *from = known_shared(&t->after.src);

	if (host_of(t->r->out.bytes) != HOST || t->r->mark != TN_HAIRPIN_MARK)
		complain(t, "turned back without mark or MAC address");
	if (t->before.type == ETH_P_ARP || is_neighbour_discovery(&t->before)) {
		check_answer(t);
		return;
	}
	if (!t->before.quote || !to || to->own || !from || !from->own)
		complain(t, "turned back what is no error about a hairpin");
	check_let_out(t);
}

/* Passed inside: unchanged, and with no shared address as its source. */
static void check_passed_inside(struct trial *t)
{
	check_unchanged(t);
	check_counters(t, NULL, false);
	if (t->before.ip && t->host == HOST && fixture_in_subnets(&t->before.src) &&
	    (!t->before.v4 || frame_ip_csum_ok(&t->before.frame)))
		complain(t, "let a VM speak with a shared address");
}

/* From the router to one of its VMs: that is not passed to the kernel, but delivered. */
static bool is_own_hairpin(const struct trial *t)
{
	const struct known *from = known_shared(&t->before.src), *to = known_shared(&t->before.dst);

	return t->before.ip && t->in->mark == TN_HAIRPIN_MARK && from && from->own && to &&
	       !to->own;
}

/* ARP that goes out tells nobody a private address. */
static bool arp_tells(const struct view *v)
{
	const uint8_t *arp = v->frame.bytes + ETH_HLEN;
	struct tn_addr sender;

	if (v->type != ETH_P_ARP || v->frame.len < ETH_HLEN + 28 ||
	    memcmp(arp, "\0\1\x08\0\6\4", 6) || !memcmp(arp + 14, "\0\0\0\0", 4))
		return false;
	sender = addr_from_bytes(arp + 14, 4);
	return !fixture_in_subnets(&sender);
}

static void check_passed(struct trial *t)
{
	const struct view *v = &t->before;
	bool is_ip = v->type == ETH_P_IP || v->type == ETH_P_IPV6;
	bool in = t->in->program != TC_OUT;

	if ((in && t->host == OTHER) || !is_ip) {
		check_unchanged(t);
		check_counters(t, NULL, in);
		if (!(in && t->host == OTHER) &&
		    (v->type == ETH_P_8021Q || v->type == ETH_P_8021AD))
			complain(t, "let a tag pass that is not looked behind");
		if (!in && arp_tells(v))
			complain(t, "let ARP tell a private address");
	} else if (!v->ip) {
		complain(t, "let pass what is malformed");
	} else if (in) {
		check_let_in(t);
	} else {
		check_let_out(t);
	}
}

static void check_result(struct trial *t)
{
	check_drops(t);
	if (t->r->mark && t->r->mark != TN_HAIRPIN_MARK)
		complain(t, "mark %#x", t->r->mark);
	switch (t->r->verdict) {
	case GONE:
		check_counters(t, NULL, true);
		break;
	case BACK:
		if (t->in->program == INSIDE_IN)
			check_turned(t);
		else if (t->in->program == TC_IN && is_own_hairpin(t))
			check_let_in(t);
		else if (t->in->program == TC_IN)
			check_answer(t);
		else if (t->in->program == TC_OUT)
			check_turned_out(t);
		else
			complain(t, "sent back");
		break;
	case STACK:
		if (t->in->program == INSIDE_IN) {
			check_passed_inside(t);
		} else if (t->in->program == XDP_IN && !t->r->marked) {
			check_unchanged(t);
			check_counters(t, NULL, true);
		} else {
			check_passed(t);
		}
		break;
	default:
		complain(t, "no verdict of ours");
	}
}

/* ---------------------------------------------------------------- in other guises */

static void run(const struct native_in *in, struct result *r)
{
	native_clear_map("drops");
	native_clear_map("counters");
	native_clear_map("hits");
	native_clear_map("flows");
	native_clear_map("fragments");
	native_run(in, r);
}

/* The reason of the last run; -1: it was no drop. */
static int reason(void)
{
	uint32_t router = RED;
	const struct tn_drops *d = native_lookup("drops", &router);

	for (int i = 0; i < TN_REASONS_MAX; i++) {
		if (d->packets[i])
			return i;
	}
	return -1;
}

static bool same_frame(const struct result *a, const struct result *b)
{
	return a->out.len == b->out.len && !memcmp(a->out.bytes, b->out.bytes, a->out.len);
}

/* The same frame once more, and nothing may come out differently. */
static void check_guise(struct trial *t, const struct native_in *in, int want_reason)
{
	static struct result r;
	int is;

	run(in, &r);
	is = reason();
	/* where a frame starts cannot always be told by its content: see pkt_mend_mac() */
	if (in->lost_mac && is == TN_DROP_INTERNAL)
		return;
	if (r.verdict != t->r->verdict || r.mark != t->r->mark || is != want_reason)
		complain(t, "verdict %d, mark %#x, reason %d instead of %d, %#x, %d", r.verdict,
			 r.mark, is, t->r->verdict, t->r->mark, want_reason);
	else if (r.verdict != GONE && !same_frame(&r, t->r))
		complain(t, "another frame");
	if (in->summed == SUMMED_WHOLE && r.verdict != GONE && !native_sum_is_right())
		complain(t, "the sum of the whole frame has become wrong");
}

/* XDP decides like tc, or leaves it to tc. */
static void check_xdp(struct trial *t, int want_reason)
{
	struct native_in in = *t->in;
	static struct result r;

	in.program = TC_IN;
	in.guards_only = false;
	run(&in, &r);
	if (t->r->verdict == GONE && (r.verdict != GONE || reason() != want_reason))
		complain(t, "dropped for %d, tc for %d", want_reason, reason());
	if (t->r->marked && (r.verdict != STACK || !same_frame(t->r, &r)))
		complain(t, "translated other than tc does");
}

/*
 * What comes from where no answer would go is spoofed, if it is ours to judge: a sound
 * packet of a VM to the shared network. With tn_sources_loose it makes no difference.
 */
static void check_ways_back(struct trial *t, struct native_in *in, int want_reason)
{
	bool judged = t->before.ip && t->host == HOST && fixture_in_subnets(&t->before.dst);
	static struct result r;

	if (want_reason == TN_DROP_SPOOFED_SOURCE)
		return;
	in->sources_loose = true;
	in->way_back = WAY_BACK_NONE;
	t->guise = ", no matter where the answers go";
	check_guise(t, in, want_reason);
	in->sources_loose = false;
	t->guise = ", by where the answers go";
	for (in->way_back = WAY_BACK_HERE; in->way_back < WAY_BACKS; in->way_back++) {
		if (!judged || in->way_back == WAY_BACK_HERE || in->way_back == WAY_BACK_KNOWN ||
		    in->way_back == WAY_BACK_DISABLED) {
			check_guise(t, in, want_reason);
			continue;
		}
		run(in, &r);
		/* for a reason that it has anyway, or as it was passed: with a wrong IP checksum */
		if (r.verdict != GONE
			    ? t->r->verdict == BACK || sound(&t->before)
			    : reason() != want_reason && reason() != TN_DROP_SPOOFED_SOURCE)
			complain(t, "way back %d: verdict %d, reason %d", in->way_back, r.verdict,
				 reason());
	}
	in->way_back = WAY_BACK_HERE;
}

/* ---------------------------------------------------------------- met before */

/* What was counted for mappings, and is to be so no more. */
static void take_counters(struct tn_counters out[])
{
	for (uint32_t slot = 0; slot <= fixture_n; slot++) {
		struct tn_counters *c = native_lookup("counters", &slot);

		out[slot] = *c;
		*c = (struct tn_counters){ 0 };
	}
}

/* A packet that is plain, from the source of this one to its destination, or to that address. */
static struct frame plain_like(const struct view *v, const char *to)
{
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	const uint8_t *l4 = v->frame.bytes + v->frame.l4;
	struct packet p = { .src = addr_text(&v->src, src),
			    .dst = to ? to : addr_text(&v->dst, dst),
			    .proto = v->proto,
			    .payload = 8 };

	if (p.proto != IPPROTO_TCP)
		p.proto = IPPROTO_UDP;
	if (!v->later && p.proto == v->proto) {
		p.sport = get16(l4);
		p.dport = get16(l4 + 2);
	}
	return packet_build(&p);
}

/*
 * Two such have been met before, and two for a mapping that has a slot of its own, so that whatever
 * programs keep of them is kept, in the line of the mapping's counters too.
 */
static void meet(const struct trial *t, const struct native_in *in)
{
	const char *to[] = { t->before.v4 ? RED_SHARED : RED_SHARED_6, NULL };
	struct tn_counters counters[MAPPINGS_MAX];
	struct native_in plain = *in;
	struct result r;

	if (!t->before.ip || addr_is_v4(&t->before.src) != t->before.v4 ||
	    addr_is_v4(&t->before.dst) != t->before.v4)
		return;
	plain.mark = plain.gso_size = plain.gso_segs = 0;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(to); i++) {
		struct frame f = plain_like(&t->before, to[i / 2]);

		plain.bytes = f.bytes;
		plain.len = f.len;
		native_run(&plain, &r);
	}
	take_counters(counters);
	native_clear_map("drops");
}

/*
 * Nothing else becomes of it than while somebody watches, when nothing of before counts; but for
 * MAC addresses, which the kernel sets then.
 */
static void check_met(struct trial *t, const struct native_in *in)
{
	struct tn_counters want[MAPPINGS_MAX], is[MAPPINGS_MAX];
	struct native_in asked = *in, met = *in;
	static struct result w, r;
	size_t from;
	int why;

	asked.watched = true;
	if (in->program == XDP_IN)
		asked.program = TC_IN;
	run(&asked, &w);
	why = reason();
	take_counters(want);
	native_clear_map("drops");
	met.settled = true;
	meet(t, &met);
	native_run(&met, &r);
	take_counters(is);
	/* XDP leaves to tc what it does not send on itself */
	if (in->program == XDP_IN && r.verdict == STACK)
		return;
	from = r.verdict == BACK ? 2 * ETH_ALEN : 0;
	if (r.verdict != w.verdict || r.mark != w.mark || reason() != why)
		complain(t, "verdict %d, mark %#x, reason %d instead of %d, %#x, %d", r.verdict,
			 r.mark, reason(), w.verdict, w.mark, why);
	else if (r.verdict != GONE &&
		 (r.out.len != w.out.len ||
		  memcmp(r.out.bytes + from, w.out.bytes + from, r.out.len - from) != 0))
		complain(t, "another frame");
	else if (memcmp(is, want, (fixture_n + 1) * sizeof(*is)) != 0)
		complain(t, "counted for another mapping, or other than once");
}

/* By the stack, and past it. */
static void check_both(struct trial *t, const struct native_in *in)
{
	struct native_in past = *in;

	native_clear_map("ways");
	native_clear_map("hops");
	native_clear_map("senders");
	t->guise = ", met before";
	check_met(t, in);
	past.fast = true;
	t->guise = ", met before, past the stack";
	check_met(t, &past);
}

/* What begins like our MAC address is none of these, if its MAC header is missing. */
static bool known_by_content(const struct view *v)
{
	const uint8_t *at = v->frame.bytes + ETH_HLEN;

	return v->frame.len >= ETH_HLEN + 20 &&
	       (v->type == ETH_P_IP || v->type == ETH_P_IPV6 ||
		(v->type == ETH_P_ARP && get16(at) == 1)) &&
	       host_of(at) != HOST;
}

static void check_guises(struct trial *t, const struct input *i)
{
	struct native_in in = i->in;
	int want = reason();

	check_both(t, &in);
	if (in.program == XDP_IN) {
		t->guise = ", beside tc";
		check_xdp(t, want);
		return;
	}
	if (i->linear) {
		t->guise = ", not linear";
		in.linear = i->linear;
		check_guise(t, &in, want);
		in.linear = 0;
	}
	if (in.program == TC_IN && known_by_content(&t->before)) {
		t->guise = ", without its MAC header";
		in.lost_mac = true;
		check_guise(t, &in, want);
		in.lost_mac = false;
	}
	if (in.program == INSIDE_IN)
		check_ways_back(t, &in, want);
	/*
	 * An answer is no frame that came from a network card, nor is one of several segments;
	 * and one sum in 65,535 is taken for one of the pseudo-header alone: nat_l4_csum().
	 */
	if ((t->r->verdict != BACK || in.program == INSIDE_IN) && !in.gso_size &&
	    !looks_partial(&t->before)) {
		t->guise = ", summed by the network card";
		in.summed = SUMMED_WHOLE;
		check_guise(t, &in, want);
	}
}

bool check_input(const struct input *i, struct result *r)
{
	static struct trial t;

	t.in = &i->in;
	t.r = r;
	t.host = host_of(i->frame);
	t.guise = "";
	t.failed = false;
	run(&i->in, r);
	view_frame(&t.before, i->frame, i->in.len, i->in.gso_size);
	view_frame(&t.after, r->out.bytes, r->out.len, i->in.gso_size);
	check_result(&t);
	check_guises(&t, i);
	if (t.failed) {
		dump("in", i->frame, i->in.len);
		dump("out", r->out.bytes, r->out.len);
	}
	return !t.failed;
}
