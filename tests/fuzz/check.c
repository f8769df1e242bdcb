/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules, once more and from the outside: what may come out of a program, by the
 * frame that went in. Nothing here is taken from bpf/.
 */
#include "check.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "lib/addr.h"
#include "lib/util.h"
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
	int why; /* it was dropped; -1: it was not */
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

/* ---------------------------------------------------------------- a run */

static void run(const struct native_in *in, struct result *r)
{
	native_forget();
	native_clear_map("drops");
	native_clear_map("counters");
	native_clear_map("hits");
	native_clear_map("flows");
	native_clear_map("fragments");
	native_clear_map("unresolved");
	native_run(in, r);
}

static bool same_frame(const struct result *a, const struct result *b)
{
	return a->out.len == b->out.len && !memcmp(a->out.bytes, b->out.bytes, a->out.len);
}

/* ---------------------------------------------------------------- what was counted */

static unsigned int segments(const struct native_in *in)
{
	return in->gso_segs > 1 ? in->gso_segs : 1;
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

/*
 * A drop has one reason, and is counted for red as often as it has segments. For one reason alone
 * its frame may go back, as something else: see check_told().
 */
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
	if (reasons != (t->r->verdict == GONE || reason() == TN_DROP_WRONG_EGRESS))
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

/* What the device does with a frame whose checksum is left to it. */
static void finish(struct frame *f, size_t start, size_t at)
{
	uint64_t sum = 0;
	uint16_t field;

	if (start > f->len || at + 2 > f->len)
		return;
	for (size_t i = start; i < f->len; i++)
		sum += i - start & 1 ? f->bytes[i] : f->bytes[i] << 8;
	field = ~sum_fold(sum);
	f->bytes[at] = field >> 8;
	f->bytes[at + 1] = field;
}

/*
 * Whether the device, which finishes a checksum, writes nowhere where the packet has been judged
 * by: into that of its own L4 header, or of a packet in a tunnel.
 */
static bool is_left_where_judged(const struct trial *t)
{
	const struct view *v = &t->before;
	uint16_t start = t->in->left_start, field = t->in->left_field;

	if (t->in->summed != SUMMED_PARTLY)
		return true;
	if (!v->ip || v->fragment || v->later)
		return false;
	if (start == v->frame.l4)
		switch (v->proto) {
		case IPPROTO_TCP:
			return field == 16;
		case IPPROTO_UDP:
		case IPPROTO_UDPLITE:
		case IPPROTO_DCCP:
			return field == 6;
		case IPPROTO_ICMPV6:
			return field == 2;
		case IPPROTO_SCTP:
			return field == 8;
		default:
			return false;
		}
	switch (v->proto) {
	case IPPROTO_UDP:
		return start >= v->frame.l4 + 8 && start < v->frame.len;
	case IPPROTO_GRE:
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
	case 97:  /* EtherIP */
	case 115: /* L2TP */
		return start >= v->frame.l4 && start < v->frame.len;
	default:
		return false;
	}
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

/*
 * Of what is left to the device, what it makes of it: a checksum that would be right is so behind
 * the program, too.
 */
static void check_left_csum(struct trial *t)
{
	static struct frame before, after;
	enum csum b, a;

	if (!t->before.frame.l4_csum || t->before.fragment)
		return;
	before = t->before.frame;
	after = t->after.frame;
	finish(&before, t->in->left_start, t->in->left_start + t->in->left_field);
	native_finish(&after);
	b = l4_csum(&before, t->before.proto);
	a = l4_csum(&after, t->after.proto);
	if (b == CSUM_RIGHT && a != CSUM_RIGHT)
		complain(t, "what the device makes of the L4 checksum: was %d, is %d", b, a);
}

/* Right stays right, wrong stays wrong, and what is not there is not there behind it. */
static void check_csums(struct trial *t)
{
	const struct view *b = &t->before, *a = &t->after;

	if (t->in->summed == SUMMED_PARTLY) {
		if (is_left_where_judged(t))
			check_left_csum(t);
		return;
	}
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

/* An ICMP redirect, of either kind. */
static bool is_redirect(const struct view *v)
{
	uint8_t type = v->frame.bytes[v->frame.l4];

	return !v->later && (v->v4 ? v->proto == IPPROTO_ICMP && type == 5
				   : v->proto == IPPROTO_ICMPV6 && type == 137);
}

/* "Too big", about what only a kernel itself sends. */
static bool is_too_big_about_icmp(const struct view *v)
{
	const uint8_t *icmp = v->frame.bytes + v->frame.l4;

	if (!v->quote_l4)
		return false;
	return v->v4 ? icmp[0] == 3 && icmp[1] == 4 && v->quote_proto == IPPROTO_ICMP
		     : icmp[0] == 2 && v->quote_proto == IPPROTO_ICMPV6;
}

/* Tags and labels that the kernel takes off behind the programs. */
static bool is_wrapped(const struct view *v)
{
	return v->type == ETH_P_8021Q || v->type == ETH_P_8021AD || v->type == ETH_P_MPLS_UC ||
	       v->type == ETH_P_MPLS_MC;
}

/* From the router to one of its VMs: that is not passed to the kernel, but delivered. */
static bool is_own_hairpin(const struct trial *t)
{
	const struct known *from = known_shared(&t->before.src), *to = known_shared(&t->before.dst);

	return t->before.ip && t->in->mark == TN_HAIRPIN_MARK && from && from->own && to &&
	       !to->own;
}

/* ---------------------------------------------------------------- from where to where */

/*
 * What is translated for a VM leaves by an inside interface, and what VMs send to the shared
 * network by the shared one, `out`; if the kernel sends it at all.
 */
static bool may_lead(const struct native_in *in, bool out)
{
	switch (out ? in->to_shared : in->to_vms) {
	case WAY_KNOWN:
	case WAY_OTHER:
	case WAY_NOWHERE:
	case WAY_DISABLED:
		return true;
	case WAY_ASIDE:
		return !out;
	case WAY_GONE:
		return out;
	case WAY_UNKNOWN:
		return !in->spent;
	default:
		return false;
	}
}

/* Whether a mapping may be of the router itself: no way leads to it, or none is said. */
static bool is_for_router(const struct native_in *in)
{
	return in->to_vms == WAY_NOWHERE || in->to_vms == WAY_DISABLED;
}

/* Whether what the stack says about a packet would leave by another side than it came from. */
static bool errors_lead_away(const struct native_in *in)
{
	enum way way = in->program == INSIDE_IN ? in->to_vms : in->to_shared;

	if (in->program == INSIDE_IN && way == WAY_ASIDE)
		return false;
	return way == WAY_ASIDE || way == WAY_BACK || way == WAY_UPLINK || way == WAY_TUNNEL;
}

/* RFC 792, RFC 4443: nobody is told about errors. */
static bool is_error(const struct view *v)
{
	return v->proto == (v->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Whether the stack, or netfilter in it, may tell the sender of a packet that it gets. */
static bool may_be_answered(const struct trial *t)
{
	enum way way = t->in->program == INSIDE_IN ? t->in->to_shared : t->in->to_vms;

	return way != WAY_DISABLED && !is_error(&t->before);
}

/* Whether what a VM sends comes from where answers go. */
static bool is_where_answers_go(const struct trial *t)
{
	const struct native_in *in = t->in;

	if (in->sources_loose) /* but not as the router, to whom no way leads */
		return in->to_vms != WAY_NOWHERE;
	if (is_link_local_v6(&t->before, &t->before.src))
		return false;
	switch (in->to_vms) {
	case WAY_KNOWN:
	case WAY_GONE:
	case WAY_DISABLED:
		return true;
	case WAY_UNKNOWN:
	case WAY_OTHER:
		return in->feasible || in->raw;
	default:
		return false;
	}
}

/* Whether the kernel may get to know somebody by what it answers him. */
static bool may_be_known(const struct native_in *in, bool inside)
{
	enum way way = inside ? in->to_vms : in->to_shared;

	/* whom it knows by that interface it may go on knowing */
	return !in->spent || way == WAY_KNOWN || way == WAY_OTHER || (inside && way == WAY_GONE);
}

/*
 * Of a fragment of IPv6 nobody knows where it came in: the kernel has made it of another one, which
 * was not from inside.
 */
static bool is_from_anywhere(const struct trial *t)
{
	const struct native_in *in = t->in;

	return in->ingress == FROM_ROUTER && in->no_socket && !in->noted && t->before.piece;
}

/* The last run's reason fits the circumstances. */
static void check_reason(struct trial *t)
{
	const struct native_in *in = t->in;
	bool leaves = in->program == TC_OUT;
	int why = t->why;

	if (why == TN_DROP_WRONG_INGRESS &&
	    (!leaves || (in->ingress == FROM_ROUTER && !is_from_anywhere(t)) ||
	     (in->ingress == FROM_INSIDE && known_fixed(&t->before.src))))
		complain(t, "dropped what came by the right interface as if by a wrong one");
	/* loopback is the shared interface here, and what comes from there cannot be asked for */
	if (why == TN_DROP_WRONG_EGRESS && !errors_lead_away(in) &&
	    !(in->program == INSIDE_IN && in->to_vms == WAY_GONE) &&
	    (in->program == INSIDE_IN
		     ? may_lead(in, true)
		     : in->program != TC_IN || (may_lead(in, false) && !is_own_hairpin(t))))
		complain(t, "dropped what leads to the right interface as if to a wrong one");
	if (why == TN_DROP_UNRESOLVED && !in->spent)
		complain(t, "dropped as if there were too many neighbours");
}

/* Where a frame goes past the stack: never by the uplink, and out where it would go by it. */
static void check_egress(struct trial *t, const struct native_in *in, const struct result *r,
			 int why)
{
	struct native_out out = native_out();
	bool forwarded = !out.into && why < 0;

	if (r->verdict != BACK)
		return;
	if (out.egress != IF_SHARED && out.egress != IF_INSIDE && out.egress != IF_ASIDE)
		complain(t, "sent out of interface %u", out.egress);
	if (forwarded && in->program == INSIDE_IN && out.egress == IF_SHARED &&
	    in->to_shared != WAY_KNOWN && in->to_shared != WAY_OTHER)
		complain(t, "sent to the shared network, where no way leads");
	if (forwarded && (in->program == TC_IN || in->program == XDP_IN) &&
	    out.egress != IF_SHARED &&
	    (!may_lead(in, false) ||
	     out.egress != (in->to_vms == WAY_ASIDE ? IF_ASIDE : IF_INSIDE)))
		complain(t, "sent inside, where no way leads");
}

/* ---------------------------------------------------------------- what the sender is told */

/* RFC 1122, 3.2.2, and RFC 4443, 2.4 */
static bool is_single_host(const struct view *v, const struct tn_addr *a)
{
	uint8_t first = ntohl(a->w[3]) >> 24;

	if (v->v4)
		return first && first != 127 && first < 224;
	return ntohl(a->w[0]) >> 24 != 0xff &&
	       (a->w[0] || a->w[1] || a->w[2] || ntohl(a->w[3]) > 1);
}

/* Never about errors, packets to groups, later fragments, or to whom is no single host. */
static bool is_to_be_told(const struct trial *t)
{
	const struct view *v = &t->before;
	const uint8_t *icmp = v->frame.bytes + v->frame.l4;
	bool error =
		v->v4 ? v->proto == IPPROTO_ICMP && (icmp[0] == 3 || icmp[0] == 4 || icmp[0] == 5 ||
						     icmp[0] == 11 || icmp[0] == 12)
		      : v->proto == IPPROTO_ICMPV6 &&
				(icmp[0] < 128 || (icmp[0] >= 133 && icmp[0] <= 137));
	const struct known *from = known_shared(&v->src);

	return !t->in->spent && !v->later && !error && is_single_host(v, &v->src) &&
	       !is_group(v, &v->dst) && !(from && from->own);
}

/* Of IPv6, the sum over all that the checksum of ICMP covers comes to nothing; of IPv4 likewise. */
static bool told_sum_is_right(const struct frame *f)
{
	struct view v;

	view_frame(&v, f->bytes, f->len, false);
	return v.ip && v.frame.l4_csum && l4_csum(&v.frame, v.proto) == CSUM_RIGHT &&
	       (!v.v4 || frame_ip_csum_ok(&v.frame));
}

/* What is told on the shared network passes the program behind, which lets nothing private out. */
static void check_told_leaves(struct trial *t)
{
	struct native_in in = { .program = TC_OUT,
				.ingress = FROM_SHARED,
				.bytes = t->r->out.bytes,
				.len = t->r->out.len };
	static struct result r;

	if (t->in->program != TC_IN || t->in->summed == SUMMED_PARTLY)
		return;
	run(&in, &r);
	/* a VM of red's own hears of it as of a hairpin */
	if (known_shared(&t->before.src) ? r.verdict != BACK || r.mark != TN_HAIRPIN_MARK
					 : r.verdict != STACK || !same_frame(&r, t->r))
		complain(t, "told the shared network what does not leave: verdict %d, reason %d",
			 r.verdict, reason());
}

/*
 * The frame of a packet that the router has no way for is an ICMP error now, "host unreachable" or
 * "no route to destination": to whom it came from, from an address of this router, and about the
 * packet as it came.
 */
static void check_told(struct trial *t)
{
	const struct view *b = &t->before;
	static struct frame out;
	static struct view v;
	const struct known *from;
	size_t headers = b->v4 ? 20 + 8 : 40 + 8, quoted = b->frame.ip_bytes, left = 0;
	const uint8_t *icmp;

	out = t->r->out;
	native_finish(&out);
	view_frame(&v, out.bytes, out.len, false);
	icmp = out.bytes + v.frame.l4;
	from = known_shared(&v.src);
	if (memcmp(out.bytes, t->in->bytes + ETH_ALEN, ETH_ALEN) != 0 ||
	    memcmp(out.bytes + ETH_ALEN, t->in->bytes, ETH_ALEN) != 0)
		complain(t, "told another one than the frame came from");
	if (!v.ip || v.v4 != b->v4 || !same(&v.dst, &b->src) || !from || !from->own)
		complain(t, "told another one, or not as the router");
	if (v.frame.ip_bytes + ETH_HLEN != out.len || v.frame.ip_bytes < headers + 20 ||
	    v.frame.ip_bytes > (b->v4 ? 576 : 1280))
		complain(t, "told with %zu bytes", v.frame.ip_bytes);
	if (b->v4 ? v.proto != IPPROTO_ICMP || icmp[0] != 3 || icmp[1] != 1
		  : v.proto != IPPROTO_ICMPV6 || icmp[0] != 1 || icmp[1] != 0)
		complain(t, "told something else than that there is no way");
	if (!told_sum_is_right(&out))
		complain(t, "told with a wrong checksum");
	if (quoted > v.frame.ip_bytes - headers)
		quoted = v.frame.ip_bytes - headers;
	if (t->in->summed == SUMMED_PARTLY)
		left = t->in->left_start + t->in->left_field;
	for (size_t i = 0; i < quoted; i++) {
		if (left && (ETH_HLEN + i == left || ETH_HLEN + i == left + 1))
			continue;
		if (out.bytes[ETH_HLEN + headers + i] != t->in->bytes[ETH_HLEN + i])
			complain(t, "told about another packet, by byte %zu", i);
	}
	if (t->r->mark)
		complain(t, "told with mark %#x", t->r->mark);
	check_told_leaves(t);
}

/* Where there is no way, the packet is gone, and its sender told if he may be. */
static void check_no_way(struct trial *t)
{
	check_counters(t, NULL, true);
	/* what cannot be told so: a checksum whose field is behind what is quoted */
	if (t->r->verdict == GONE && is_to_be_told(t) && t->in->summed != SUMMED_PARTLY)
		complain(t, "did not tell the sender that there is no way");
	if (t->r->verdict == BACK && !is_to_be_told(t))
		complain(t, "told whom it should not");
	if (t->r->verdict == BACK)
		check_told(t);
	else if (t->r->verdict != GONE)
		complain(t, "verdict %d where there is no way", t->r->verdict);
}

/* ---------------------------------------------------------------- what is let through */

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

/* Neighbour discovery is from the link, from whom it may be, and says nothing false of red's. */
static void check_discovery(struct trial *t)
{
	const struct view *b = &t->before;
	const uint8_t *nd = b->frame.bytes + b->frame.l4;
	const struct known *about;
	struct tn_addr target;

	if (!is_unspecified(b, &b->src) && !is_link_local_v6(b, &b->src) &&
	    !fixture_in_subnets(&b->src))
		complain(t, "let neighbour discovery of a foreign source in");
	if (nd[0] != 135 && nd[0] != 136)
		return;
	if (b->frame.bytes[ETH_HLEN + 7] != 255 || nd[1])
		complain(t, "let neighbour discovery in that is not from the link");
	target = addr_from_bytes(nd + 8, 16);
	about = known_shared(nd[0] == 136 ? &target : &b->src);
	if (about && !(nd[0] == 136 && about->own))
		complain(t, "let somebody say that he has an address of red's");
	if (nd[0] == 135 && known_shared(&target) && !known_shared(&target)->own)
		complain(t, "left a question for a mapped address to the kernel");
}

/* To everybody: what could be answered is from the shared network, or from nobody. */
static void check_group(struct trial *t)
{
	const struct view *b = &t->before;

	if (b->quote)
		complain(t, "let an error to a group in");
	if (b->proto != IPPROTO_TCP && b->proto != IPPROTO_UDP && b->proto != IPPROTO_ICMP &&
	    b->proto != IPPROTO_ICMPV6)
		return;
	if (!is_unspecified(b, &b->src) && !is_link_local_v6(b, &b->src) &&
	    !fixture_in_subnets(&b->src))
		complain(t, "let a foreign source write to a group");
}

/* What the router's kernel is told: nothing by which it would send less. */
static void check_error_to_router(struct trial *t)
{
	const struct view *b = &t->before;

	if (b->quote && !same(&b->quote_src, &b->dst))
		complain(t, "let an error in about what the router has not sent");
	if (is_too_big_about_icmp(b))
		complain(t, "let the kernel be told a path MTU of what it answers itself");
}

static void check_to_router(struct trial *t)
{
	const struct view *b = &t->before;

	check_error_to_router(t);
	if (!b->quote && !may_be_known(t->in, false))
		complain(t, "let the kernel take up one neighbour too many");
}

/* An IP packet that was let in from the shared network. */
static void check_let_in(struct trial *t)
{
	const struct view *b = &t->before, *a = &t->after;
	const struct known *to = known_shared(&b->dst), *from = known_shared(&b->src);
	bool hairpin = t->in->mark == TN_HAIRPIN_MARK;

	check_headers(t, to && !to->own);
	if (is_redirect(b) && !hairpin)
		complain(t, "let a redirect in");
	if (t->in->program == TC_IN && !is_left_where_judged(t))
		complain(t, "let in what is written to behind the program");
	if (to && !to->own) {
		if (t->host != HOST || !same(&a->dst, &to->fixed))
			complain(t, "let a mapped address in without translation");
		check_changes(t, false, false);
		check_csums(t);
		if (b->quote && (!same(&b->quote_src, &b->dst) || !same(&a->quote_src, &a->dst)))
			complain(t, "an error about another mapping, or half translated");
		if (is_for_router(t->in) && is_too_big_about_icmp(b))
			complain(t, "let the kernel be told a path MTU of what it answers itself");
		check_counters(t, to, true);
		if (!may_lead(t->in, false))
			complain(t, "translated for a VM what leads elsewhere");
		if (t->r->verdict == STACK && errors_lead_away(t->in) && may_be_answered(t) &&
		    !is_own_hairpin(t))
			complain(t, "let the stack answer by another interface");
	} else {
		check_unchanged(t);
		check_counters(t, NULL, true);
		if (is_neighbour_discovery(b) && !hairpin)
			check_discovery(t);
		/* discovery without an address has to go to a group, which the kernel sees to */
		if (is_link_local_v6(b, &b->dst) &&
		    (is_link_local_v6(b, &b->src) || fixture_in_subnets(&b->src) ||
		     (is_unspecified(b, &b->src) && is_neighbour_discovery(b)))) {
			check_error_to_router(t);
			return;
		}
		if (t->host == GROUP && is_group(b, &b->dst)) {
			check_group(t);
			return;
		}
		if (!to)
			complain(t, "let in what is not for red");
		if (is_neighbour_discovery(b))
			return;
		if (!hairpin)
			check_to_router(t);
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

/* Who leaves by the shared interface: VMs from inside, the router itself, what it has turned round.
 */
static void check_ingress(struct trial *t, const struct known *from)
{
	const struct view *b = &t->before;
	const struct known *own = known_shared(&b->src);
	enum ingress by = t->in->ingress;

	if ((from || is_error_on_the_way(b)) && by != FROM_INSIDE && by != FROM_ROUTER)
		complain(t, "translated what came by an interface that is not inside");
	if ((from || (own && own->own)) && by == FROM_ROUTER && is_from_anywhere(t))
		complain(t, "let out what may have come by any interface");
	if (own && own->own && by != FROM_SHARED && by != FROM_ROUTER)
		complain(t, "let somebody speak with the router's address");
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
	if (t->in->program == TC_OUT)
		check_ingress(t, from);
	if (t->in->program == TC_OUT && from && !turned && known_shared(&a->dst) &&
	    !known_shared(&a->dst)->own)
		complain(t, "sent to the shared network what is for a VM of red's");
	if (a->quote && !(fixture_in_subnets(&a->quote_src) && fixture_in_subnets(&a->quote_dst)))
		complain(t, "let out an error that quotes what is private");
	if (a->quote && from && (!same(&b->quote_dst, &b->src) || !same(&a->quote_dst, &a->src)))
		complain(t, "an error about another mapping, or half translated");
}

/* What a VM sends to the shared network comes from where answers go, and leads there. */
static void check_sender(struct trial *t)
{
	const struct known *to = known_shared(&t->before.dst);

	if (!is_where_answers_go(t))
		complain(t, "let somebody send from where no answer goes");
	if (!to && !may_lead(t->in, true))
		complain(t, "let out what leads elsewhere");
	if (!to && t->r->verdict == STACK && errors_lead_away(t->in) && may_be_answered(t))
		complain(t, "let the stack answer by another interface");
	if (!is_left_where_judged(t))
		complain(t, "let out what is written to behind the program");
}

/* What turns back inside is for a mapping of red's, and looks as if it came from outside. */
static void check_turned(struct trial *t)
{
	const struct known *to = known_shared(&t->before.dst);

	if (!t->before.ip || t->host != HOST || !to ||
	    !(known_fixed(&t->before.src) || (!to->own && is_error_on_the_way(&t->before))))
		complain(t, "turned back what is no hairpin");
	check_sender(t);
	if (host_of(t->r->out.bytes) != HOST || t->r->mark != TN_HAIRPIN_MARK)
		complain(t, "turned back without mark or MAC address");
	check_let_out(t);
}

/* ARP over Ethernet for IPv4. */
static bool is_arp(const struct view *v)
{
	return v->type == ETH_P_ARP && v->frame.len >= ETH_HLEN + 28 &&
	       !memcmp(v->frame.bytes + ETH_HLEN, "\0\1\x08\0\6\4", 6);
}

static struct tn_addr arp_sender(const struct view *v)
{
	return addr_from_bytes(v->frame.bytes + ETH_HLEN + 14, 4);
}

static struct tn_addr arp_target(const struct view *v)
{
	return addr_from_bytes(v->frame.bytes + ETH_HLEN + 24, 4);
}

/* ARP that goes out tells nobody a private address. */
static bool arp_tells(const struct view *v)
{
	struct tn_addr sender;

	if (!is_arp(v))
		return false;
	sender = arp_sender(v);
	return sender.w[3] && !fixture_in_subnets(&sender);
}

static bool is_mapped_sender(const struct view *v)
{
	struct tn_addr sender = arp_sender(v);

	return known_fixed(&sender);
}

/* Or to the router itself, which asks with its own address where it would with a mapped one. */
static bool is_answered_to_asker(const struct trial *t)
{
	struct tn_addr asker = addr_from_bytes(t->r->out.bytes + 38, 4);
	const struct known *k = known_shared(&asker);

	if (t->in->program == TC_OUT && arp_tells(&t->before))
		return k && k->own && is_mapped_sender(&t->before);
	return !memcmp(t->in->bytes + 28, t->r->out.bytes + 38, 4);
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
		    !is_answered_to_asker(t))
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
 * The router's own error about a hairpin, and what netfilter answers for a VM to another one, are
 * for one of its VMs, and go back in; before that it asks for the VM's address, and is answered.
 */
static void check_turned_out(struct trial *t)
{
	const struct known *to = known_shared(&t->before.dst), *from = known_shared(&t->after.src);

	if (host_of(t->r->out.bytes) != HOST || t->r->mark != TN_HAIRPIN_MARK)
		complain(t, "turned back without mark or MAC address");
	if (t->before.type == ETH_P_ARP ||
	    (is_neighbour_discovery(&t->before) && !known_fixed(&t->before.src))) {
		check_answer(t);
		return;
	}
	if (!to || to->own || !from || !(from->own || known_fixed(&t->before.src)))
		complain(t, "turned back what is not for a VM of red's");
	check_let_out(t);
}

/* Held until the kernel knows the sender: as it came, in his queue, with the MAC address noted. */
static void check_held(struct trial *t)
{
	struct native_out out = native_out();
	uint16_t words[3];

	memcpy(words, t->in->bytes + ETH_ALEN, sizeof(words));
	check_unchanged(t);
	check_counters(t, NULL, false);
	if (t->in->to_vms != WAY_UNKNOWN || t->in->spent || t->in->sources_loose ||
	    t->in->feasible || t->in->raw)
		complain(t, "held a frame whose sender is known, or does not matter");
	if (!t->before.ip || t->host != HOST || !fixture_in_subnets(&t->before.dst))
		complain(t, "held what is not ours to judge");
	if (out.egress != IF_INSIDE || out.into)
		complain(t, "held a frame for another interface");
	if (t->r->mark != (TN_HELD_MARK << 16 | words[0]) ||
	    out.priority != ((uint32_t)words[1] << 16 | words[2]))
		complain(t, "held a frame without the MAC address that it came from");
}

/* Held, and sent by the kernel to whom it knows now: it is his, or nobody's. */
static void check_held_out(struct trial *t)
{
	const uint8_t *in = t->in->bytes, *out = t->r->out.bytes;
	bool held = t->in->mark >> 16 == TN_HELD_MARK;
	struct native_out more = native_out();
	uint16_t words[3];
	bool his;

	memcpy(words, in, sizeof(words));
	his = (t->in->mark & 0xffff) == words[0] &&
	      t->in->priority == ((uint32_t)words[1] << 16 | words[2]);
	check_counters(t, NULL, false);
	if (t->r->verdict != (!held ? STACK : his ? BACK : GONE))
		complain(t, "verdict %d for what was%s held%s", t->r->verdict, held ? "" : " not",
			 his ? ", and is his" : "");
	if (t->r->verdict == STACK)
		check_unchanged(t);
	if (t->r->verdict != BACK)
		return;
	if (more.egress != IF_INSIDE || !more.into || t->r->mark || more.priority)
		complain(t, "did not take in once more what was held");
	if (memcmp(in, out + ETH_ALEN, ETH_ALEN) != 0 ||
	    memcmp(in + ETH_ALEN, out, ETH_ALEN) != 0 || t->in->len != t->r->out.len ||
	    memcmp(in + 2 * ETH_ALEN, out + 2 * ETH_ALEN, t->in->len - 2 * ETH_ALEN) != 0)
		complain(t, "changed what was held");
}

/* What ARP the kernel gets: of who may be there, true of red's, and not of too many. */
static void check_arp(struct trial *t)
{
	const struct view *v = &t->before;
	struct tn_addr sender = arp_sender(v), target = arp_target(v);
	bool inside = t->in->program == INSIDE_IN, probe = !sender.w[3];
	bool asks = get16(v->frame.bytes + ETH_HLEN + 6) == 1;
	const struct known *about = known_shared(&target);

	if (!probe && fixture_in_subnets(&sender) == inside)
		complain(t, "let ARP of a sender of the wrong side in");
	if (!inside && !probe && known_shared(&sender))
		complain(t, "let somebody say that he has an address of red's");
	if (!inside && !fixture_in_subnets(&target))
		complain(t, "let ARP ask for what is private");
	if (!inside && asks && about && !about->own)
		complain(t, "left a question for a mapped address to the kernel");
	if (asks && !probe && !same(&sender, &target) && (inside || about) &&
	    !may_be_known(t->in, inside))
		complain(t, "let the kernel take up one neighbour too many");
}

/* Passed inside: unchanged, and with no shared address as its source. */
static void check_passed_inside(struct trial *t)
{
	const struct view *v = &t->before;
	const struct known *to;

	check_unchanged(t);
	check_counters(t, NULL, false);
	if (t->host == OTHER)
		return;
	if (is_wrapped(v))
		complain(t, "let a tag or label pass that is not looked behind");
	if (is_arp(v))
		check_arp(t);
	if (!sound(v) || v->src.w[3] == 0)
		return;
	if (fixture_in_subnets(&v->src))
		complain(t, "let a VM speak with a shared address");
	if (is_neighbour_discovery(v) && !may_be_known(t->in, true) && !is_unspecified(v, &v->src))
		complain(t, "let the kernel take up one neighbour too many");
	/* what the router asks a VM, or is asked, is no traffic of the shared network */
	to = known_shared(&v->dst);
	if (t->host == HOST && fixture_in_subnets(&v->dst) &&
	    !(is_neighbour_discovery(v) && to && to->own))
		check_sender(t);
}

/* The router asks with its own address where it would with a mapped one. */
static void check_asked_as_own(struct trial *t)
{
	size_t at = ETH_HLEN + 14;
	struct tn_addr target = arp_target(&t->before), now;
	uint8_t sender[4];

	memcpy(sender, t->r->out.bytes + at, sizeof(sender));
	now = addr_from_bytes(sender, sizeof(sender));
	if (t->in->ingress != FROM_ROUTER || get16(t->in->bytes + ETH_HLEN + 6) != 1 ||
	    !fixture_in_subnets(&target))
		complain(t, "let ARP tell a private address, or another one in its place");
	if (!known_shared(&now) || !known_shared(&now)->own)
		complain(t, "asked as another than the router");
	if (t->in->len != t->r->out.len || memcmp(t->in->bytes, t->r->out.bytes, at) != 0 ||
	    memcmp(t->in->bytes + at + 4, t->r->out.bytes + at + 4, t->in->len - at - 4) != 0)
		complain(t, "changed more than who asks");
}

static void check_passed(struct trial *t)
{
	const struct view *v = &t->before;
	bool is_ip = v->type == ETH_P_IP || v->type == ETH_P_IPV6;
	bool in = t->in->program != TC_OUT;

	if (!in && arp_tells(v) && is_mapped_sender(v)) {
		check_asked_as_own(t);
		check_counters(t, NULL, in);
	} else if ((in && t->host == OTHER) || !is_ip) {
		check_unchanged(t);
		check_counters(t, NULL, in);
		if (!(in && t->host == OTHER) && is_wrapped(v))
			complain(t, "let a tag or label pass that is not looked behind");
		if (in && t->host != OTHER && is_arp(v) && t->in->mark != TN_HAIRPIN_MARK)
			check_arp(t);
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
	check_reason(t);
	check_egress(t, t->in, t->r, t->why);
	if (t->in->program == INSIDE_OUT) {
		check_held_out(t);
		return;
	}
	if (t->why == TN_DROP_WRONG_EGRESS) {
		check_no_way(t);
		return;
	}
	if (t->r->verdict == BACK && t->r->mark >> 16 == TN_HELD_MARK) {
		check_held(t);
		return;
	}
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

/* The same frame once more, and nothing may come out differently. */
static void check_guise(struct trial *t, const struct native_in *in, int want_reason)
{
	static struct result r;
	int is;

	run(in, &r);
	is = reason();
	/* where a frame starts cannot always be told by its content: see pkt_restore_mac() */
	if (in->lost_mac && is == TN_DROP_INTERNAL)
		return;
	if (r.verdict != t->r->verdict || r.mark != t->r->mark || is != want_reason)
		complain(t, "verdict %d, mark %#x, reason %d instead of %d, %#x, %d", r.verdict,
			 r.mark, is, t->r->verdict, t->r->mark, want_reason);
	else if (r.verdict != GONE && !same_frame(&r, t->r))
		complain(t, "another frame");
	if (in->summed == SUMMED_WHOLE && r.verdict != GONE && !native_out().sum_right)
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
 * Where answers go makes no difference to what a VM sends but this: with sources: loose none at
 * all, with feasible no MAC address, and frames without one have none.
 */
static void check_ways_back(struct trial *t, const struct native_in *given, int want_reason)
{
	struct native_in in = *given;

	if (t->r->mark >> 16 == TN_HELD_MARK || want_reason == TN_DROP_SPOOFED_SOURCE ||
	    want_reason == TN_DROP_UNRESOLVED)
		return;
	in.sources_loose = true;
	t->guise = ", no matter where the answers go";
	check_guise(t, &in, want_reason);
	in.sources_loose = false;
	in.feasible = true;
	t->guise = ", from whatever MAC address";
	check_guise(t, &in, want_reason);
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
static struct frame fast_like(const struct view *v, const char *to)
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
		struct frame f = fast_like(&t->before, to[i / 2]);

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
	check_egress(t, &asked, &w, why);
	take_counters(want);
	native_clear_map("drops");
	met.settled = true;
	meet(t, &met);
	native_run(&met, &r);
	check_egress(t, &met, &r, reason());
	take_counters(is);
	/* XDP leaves to tc what it does not send on itself, or translate for the stack */
	if (in->program == XDP_IN && r.verdict == STACK && (!r.marked || w.verdict == BACK))
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

	if (in->program == INSIDE_OUT)
		return;
	native_clear_map("pairs");
	native_clear_map("hops");
	native_clear_map("peers");
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
	int want = t->why;

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
	if ((t->r->verdict != BACK || (in.program == INSIDE_IN && want < 0)) && !in.gso_size &&
	    in.summed == SUMMED_NOT && !looks_partial(&t->before)) {
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
	t.why = reason();
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
