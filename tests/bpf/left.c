/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksums that are left to the device: a guest says itself where that is to write one, so that
 * what is judged is not what leaves unless that is the checksum of the header that was judged. A
 * test run has none of these, so they go over real interfaces.
 */
#include <bpf/bpf.h>
#include <unistd.h>

#include "links.h"
#include "wire.h"

struct lie {
	const char *what;
	struct packet packet;
	int start, field; /* from the L4 header on */
	bool passes;
};

#define P(p, ...)                                                                        \
	{                                                                                \
		.proto = IPPROTO_##p, .payload = 64, .csum = CSUM_PARTIAL, ##__VA_ARGS__ \
	}

#define TUNNEL(number)                            \
	{                                         \
		.proto = (number), .payload = 96, \
	}

/* clang-format off */
static const struct lie lies[] = {
	{ "TCP", P(TCP), 0, 16, true },
	{ "UDP", P(UDP), 0, 6, true },
	{ "UDP-Lite", P(UDPLITE), 0, 6, true },
	{ "TCP, into its port", P(TCP), 0, 2, false },
	{ "UDP, into its port", P(UDP), 0, 2, false },
	{ "TCP, UDP's field", P(TCP), 0, 6, false },
	{ "UDP, TCP's field", P(UDP), 0, 16, false },
	{ "TCP, into its payload", P(TCP), 0, 30, false },
	{ "TCP, summed from before it", P(TCP), -8, 16, false },
	{ "TCP, summed from before it, into its port", P(TCP), -14, 2, false },
	{ "TCP, summed from behind its ports", P(TCP), 4, 16, false },
	{ "TCP, summed from its payload", P(TCP), 20, 22, false },
	{ "UDP, summed from before it", P(UDP), -4, 6, false },
	{ "UDP, summed from within it", P(UDP), 4, 6, false },
	{ "UDP, of what is within", P(UDP), 16, 22, true },
	{ "GRE, of what is within", TUNNEL(IPPROTO_GRE), 24, 40, true },
	{ "IP in IP, of what is within", TUNNEL(IPPROTO_IPIP), 20, 26, true },
	{ "EtherIP, of what is within", TUNNEL(97), 36, 52, true },
	{ "L2TP, of what is within", TUNNEL(115), 38, 54, true },
	{ "EtherIP, summed from before it", TUNNEL(97), -4, 16, false },
	{ "L2TP, summed from before it", TUNNEL(115), -4, 16, false },
	{ "a protocol without one", P(ESP), 0, 2, false },
	{ "a first fragment", P(TCP, .frag_len = 40), 0, 16, false },
};
/* clang-format on */

struct ends {
	const char *src, *dst;
};

/* Over each interface by which a program takes packets, with both of its families. */
static void check(struct lab *lab, int socket, const struct ends families[2], const char *mac)
{
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		for (int six = 0; six < 2; six++) {
			uint64_t dropped = lab_drops_of(lab, RED, TN_DROP_MALFORMED);
			static struct tally was, is;
			struct packet p = lies[i].packet;
			struct frame f;
			bool gone = false, passed = false;

			p.src = families[six].src;
			p.dst = families[six].dst;
			p.from = mac;
			p.ext = six && p.frag_len ? "F" : NULL;
			f = packet_build(&p);
			lab_tally(lab, &was);
			wire_send_left(socket, &p, f.l4 + lies[i].start, f.l4 + lies[i].field);
			for (int ms = 0; ms < 5000 && !gone && !passed; ms++) {
				usleep(1000);
				gone = lab_drops_of(lab, RED, TN_DROP_MALFORMED) != dropped;
				lab_tally(lab, &is);
				passed = memcmp(was.mappings, is.mappings, sizeof(was.mappings)) !=
					 0;
			}
			cr_expect(lies[i].passes ? passed : gone, "%s%s: %s", lies[i].what,
				  six ? ", IPv6" : "",
				  gone	   ? "dropped"
				  : passed ? "passed"
					   : "neither dropped nor passed");
		}
	}
}

static const struct ends in[] = { { GREEN_SHARED, RED_SHARED }, { GREEN_SHARED_6, RED_SHARED_6 } };
static const struct ends out[] = { { RED_VM, GREEN_SHARED }, { RED_VM_6, GREEN_SHARED_6 } };

Test(left, in)
{
	for (int reads_nothing = 0; reads_nothing < 2; reads_nothing++) {
		struct lab *lab = lab_open(
			&(struct lab_options){ .programs = ON_TC, .reads_nothing = reads_nothing });
		struct wire w;

		wire_open(&w);
		wire_attach_tc(&w, lab, TC_IN);
		check(lab, w.far, in, MAC_PEER);
		wire_close(&w);
		lab_close(lab);
	}
}

Test(left, out)
{
	struct lab *lab = lab_open(&(struct lab_options){ .programs = ON_OUT });
	struct wire w;

	wire_open(&w);
	wire_attach_tc(&w, lab, TC_OUT);
	check(lab, w.shared, out, MAC_ROUTER);
	wire_close(&w);
	lab_close(lab);
}

static void attach_inside(struct wire *w, struct lab *lab)
{
	*w = (struct wire){ .shared0 = links_inside };
	wire_attach_tc(w, lab, INSIDE_IN);
}

/* Past the stack, so that what passes is seen to. */
Test(left, inside)
{
	struct lab *lab = links_open_known(ON_INSIDE, PAST_STACK, MAC_ROUTER);
	int vm = wire_socket("vm0");
	struct wire w;

	attach_inside(&w, lab);
	check(lab, vm, out, MAC_VM);
	close(vm);
	lab_close(lab);
}

/* ---------------------------------------------------------------- errors about such packets */

/* Both that cannot be told from here are taken from what has come. */
static void check_error(const struct packet *p, struct frame *got)
{
	struct packet about, error = lab_error(p, &about);
	struct frame want = packet_build(&error), quoted = packet_build(p);
	size_t in_quote = want.l4 + 8 + quoted.l4_csum - quoted.ip;

	got->ip = want.ip;
	got->ip_bytes = want.ip_bytes;
	got->l4 = want.l4;
	got->l4_csum = want.l4_csum;
	cr_assert_eq(got->len, want.len, "%zu bytes, not %zu", got->len, want.len);
	cr_expect(frame_ip_csum_ok(got));
	cr_expect_eq(frame_l4_csum(got), CSUM_RIGHT, "a wrong checksum about %s, %u bytes", p->src,
		     p->payload);
	memcpy(want.bytes + want.l4_csum, got->bytes + want.l4_csum, 2);
	if (in_quote + 2 <= want.len)
		memcpy(want.bytes + in_quote, got->bytes + in_quote, 2);
	if (memcmp(want.bytes, got->bytes, want.len)) {
		char *diff = frame_diff(&want, got);

		cr_expect_fail("another error:\n%s", diff);
		free(diff);
	}
}

Test(left, told)
{
	struct lab *lab = links_open_known(ON_INSIDE, BY_STACK, MAC_ROUTER);
	static const uint16_t payloads[] = { 8, 9, 60, 61, 99, 100, 101, 1000 };
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_TCP };
	int vm = wire_socket("vm0");
	struct wire w;

	attach_inside(&w, lab);
	links_ip("route add 100.64.9.0/24 dev up0\nroute add fd64::9:0/112 dev up0\n");
	for (size_t i = 0; i < ARRAY_SIZE(payloads) * 8; i++) {
		struct packet p = { .src = i & 1 ? RED_VM : RED_VM_6,
				    .dst = i & 1 ? STRANGER : STRANGER_6,
				    .proto = protos[i / 2 & 1],
				    .csum = i & 4 ? CSUM_PARTIAL : CSUM_RIGHT,
				    .payload = payloads[i / 8],
				    .from = MAC_VM };
		struct {
			uint64_t resolve, tell;
		} full = { 0 };
		struct frame got;
		uint32_t router = RED;

		need(bpf_map_update_elem(lab_map_fd(lab, "buckets"), &router, &full, BPF_ANY) == 0,
		     "buckets");
		wire_send(vm, &p);
		do {
			if (!wire_receive_whole(vm, &got)) {
				cr_expect_fail("nobody is told about %s, %u bytes", p.src,
					       p.payload);
				break;
			}
		} while (got.bytes[ETH_HLEN + (i & 1 ? 9 : 6)] !=
				 (i & 1 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
			 (!(i & 1) && got.bytes[ETH_HLEN + 40] != 1));
		check_error(&p, &got);
	}
	cr_expect_eq(lab_drops_of(lab, RED, TN_DROP_WRONG_EGRESS), ARRAY_SIZE(payloads) * 8);
	close(vm);
	lab_close(lab);
}
