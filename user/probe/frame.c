/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/frame.h"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

struct arp_frame {
	struct ethhdr eth;
	uint16_t hrd, pro;
	uint8_t hln, pln;
	uint16_t op;
	uint8_t sha[ETH_ALEN], spa[4];
	uint8_t tha[ETH_ALEN], tpa[4];
} __attribute__((packed));

/* A neighbour solicitation or advertisement, with one option. */
struct nd_frame {
	struct ethhdr eth;
	uint32_t version;
	uint16_t payload;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
	uint8_t type, code;
	uint16_t check;
	uint32_t flags;
	uint8_t target[16];
	uint8_t option, option_len;
	uint8_t mac[ETH_ALEN];
} __attribute__((packed));

#define ND_PLAIN offsetof(struct nd_frame, option)
#define ND_START offsetof(struct nd_frame, type)
enum { ND_SOLICIT = 135, ND_ADVERT = 136, ND_SOURCE_MAC = 1, ND_TARGET_MAC = 2 };
#define ND_ROUTER   0x80000000U
#define ND_OVERRIDE 0x20000000U
enum { ND_HOPS = 255, V4_HEADER = 20, V6_HEADER = 40 };

_Static_assert(sizeof(struct nd_frame) == FRAME_ROOM, "see FRAME_ROOM");
_Static_assert(sizeof(struct arp_frame) <= FRAME_ROOM, "see FRAME_ROOM");

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };

static const uint8_t *v4_bytes(const struct tn_addr *a)
{
	return (const uint8_t *)&a->w[3];
}

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

uint16_t inet_sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2) {
		sum += get16(p + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len % 2)
		sum += p[len - 1] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of the pseudo-header (RFC 8200, 8.1), which for IPv4 comes to the same sum (RFC 768). */
static uint16_t pseudo_sum(const void *src, const void *dst, size_t addr, size_t len,
			   uint8_t protocol)
{
	uint32_t sum = inet_sum(src, addr, protocol);

	return inet_sum(dst, addr, sum + (len & 0xffff) + (len >> 16));
}

/* ------------------------------------------------------------ neighbours */

/* An unset sender is 0.0.0.0. */
static size_t arp_build(uint8_t *out, const uint8_t *mac, const struct tn_addr *sender,
			const struct tn_addr *target)
{
	struct arp_frame f = {
		.eth.h_proto = htons(ETH_P_ARP),
		.hrd = htons(ARPHRD_ETHER),
		.pro = htons(ETH_P_IP),
		.hln = ETH_ALEN,
		.pln = 4,
		.op = htons(ARPOP_REQUEST),
	};

	memset(f.eth.h_dest, 0xff, ETH_ALEN);
	memcpy(f.eth.h_source, mac, ETH_ALEN);
	memcpy(f.sha, mac, ETH_ALEN);
	memcpy(f.spa, v4_bytes(sender), 4);
	memcpy(f.tpa, v4_bytes(target), 4);
	memcpy(out, &f, sizeof(f));
	return sizeof(f);
}

/* `len`: with the option or without. */
static size_t nd_finish(uint8_t *out, struct nd_frame *f, const uint8_t *mac, size_t len)
{
	uint16_t sum;

	f->eth.h_proto = htons(ETH_P_IPV6);
	f->eth.h_dest[0] = f->eth.h_dest[1] = 0x33;
	memcpy(f->eth.h_dest + 2, f->dst + 12, 4); /* RFC 2464, 7 */
	memcpy(f->eth.h_source, mac, ETH_ALEN);
	f->version = htonl(6U << 28);
	f->payload = htons(len - ND_START);
	f->next = IPPROTO_ICMPV6;
	f->hops = ND_HOPS;
	f->option_len = 1;
	memcpy(f->mac, mac, ETH_ALEN);
	sum = pseudo_sum(f->src, f->dst, 16, len - ND_START, IPPROTO_ICMPV6);
	f->check = htons(~inet_sum((uint8_t *)f + ND_START, len - ND_START, sum));
	memcpy(out, f, len);
	return len;
}

static size_t nd_ask(uint8_t *out, const struct tn_addr *target, const struct tn_addr *sender,
		     const uint8_t *mac)
{
	/* the solicited-node group: RFC 4291, 2.7.1 */
	struct nd_frame f = { .type = ND_SOLICIT,
			      .option = ND_SOURCE_MAC,
			      .dst = { 0xff, 2, [11] = 1, [12] = 0xff } };

	memcpy(f.dst + 13, (const uint8_t *)target->w + 13, 3);
	memcpy(f.src, sender->w, 16);
	memcpy(f.target, target->w, 16);
	/* an unset sender tells no MAC address (RFC 4861, 4.3) */
	return nd_finish(out, &f, mac, addr_is_unset(sender) ? ND_PLAIN : sizeof(f));
}

size_t frame_ask(uint8_t out[FRAME_ROOM], const struct tn_addr *target,
		 const struct tn_addr *sender, const uint8_t mac[6])
{
	if (!addr_is_v4(target))
		return nd_ask(out, target, sender, mac);
	return arp_build(out, mac, sender, target);
}

size_t frame_announce(uint8_t out[FRAME_ROOM], const struct tn_addr *addr, const uint8_t mac[6],
		      bool router)
{
	struct nd_frame f = { .type = ND_ADVERT,
			      .flags = htonl(ND_OVERRIDE | (router ? ND_ROUTER : 0)),
			      .option = ND_TARGET_MAC };

	if (addr_is_v4(addr))
		return arp_build(out, mac, addr, addr);
	memcpy(f.src, addr->w, 16);
	memcpy(f.dst, all_nodes, 16);
	memcpy(f.target, addr->w, 16);
	return nd_finish(out, &f, mac, sizeof(f));
}

static bool arp_claim(const uint8_t *frame, size_t len, struct claim *out)
{
	struct arp_frame f;

	if (len < sizeof(f))
		return false;
	memcpy(&f, frame, sizeof(f));
	if (f.hrd != htons(ARPHRD_ETHER) || f.pro != htons(ETH_P_IP) || f.hln != ETH_ALEN ||
	    f.pln != 4)
		return false;
	out->addr = addr_from_bytes(f.spa, 4);
	out->tentative = get32(f.spa) == 0;
	if (out->tentative)
		out->addr = addr_from_bytes(f.tpa, 4);
	memcpy(out->mac, f.sha, ETH_ALEN);
	return !out->tentative || f.op == htons(ARPOP_REQUEST);
}

static bool nd_sound(const uint8_t *frame, const struct nd_frame *f, size_t len)
{
	size_t payload = ntohs(f->payload);
	uint16_t sum;

	if (f->next != IPPROTO_ICMPV6 || f->hops != ND_HOPS || f->code ||
	    payload < ND_PLAIN - ND_START || ND_START + payload > len)
		return false;
	sum = pseudo_sum(f->src, f->dst, 16, payload, IPPROTO_ICMPV6);
	return inet_sum(frame + ND_START, payload, sum) == 0xffff;
}

/* The first option alone is looked at: an advertisement has no other (RFC 4861, 4.4). */
static bool nd_claim(const uint8_t *frame, size_t len, struct claim *out)
{
	static const uint8_t nobody[16];
	struct nd_frame f = { 0 };
	bool has_mac;

	if (len < ND_PLAIN)
		return false;
	memcpy(&f, frame, len < sizeof(f) ? len : sizeof(f));
	if (!nd_sound(frame, &f, len))
		return false;
	out->addr = addr_from_bytes(f.target, 16);
	out->tentative = f.type == ND_SOLICIT;
	has_mac = f.type == ND_ADVERT && ntohs(f.payload) >= sizeof(f) - ND_START &&
		  f.option == ND_TARGET_MAC && f.option_len == 1;
	memcpy(out->mac, has_mac ? f.mac : f.eth.h_source, ETH_ALEN);
	return f.type == ND_ADVERT || (f.type == ND_SOLICIT && memcmp(f.src, nobody, 16) == 0);
}

bool frame_claim(const uint8_t *frame, size_t len, struct claim *out)
{
	uint16_t type = len >= ETH_HLEN ? get16(frame + 12) : 0;

	return type == ETH_P_ARP    ? arp_claim(frame, len, out)
	       : type == ETH_P_IPV6 ? nd_claim(frame, len, out)
				    : false;
}

bool frame_question(const uint8_t *frame, size_t len, struct question *out)
{
	static const uint8_t nobody[16];
	struct arp_frame arp = { 0 };
	struct nd_frame nd = { 0 };

	if (len < sizeof(arp))
		return false;
	memcpy(&arp, frame, sizeof(arp));
	memcpy(&nd, frame, len < sizeof(nd) ? len : sizeof(nd));
	memcpy(out->mac, arp.eth.h_source, ETH_ALEN);
	if (arp.eth.h_proto == htons(ETH_P_ARP)) {
		out->target = addr_from_bytes(arp.tpa, 4);
		return arp.op == htons(ARPOP_REQUEST) && get32(arp.spa) &&
		       memcmp(arp.spa, arp.tpa, 4) != 0;
	}
	out->target = addr_from_bytes(nd.target, 16);
	return nd.eth.h_proto == htons(ETH_P_IPV6) && len >= ND_PLAIN &&
	       nd_sound(frame, &nd, len) && nd.type == ND_SOLICIT &&
	       memcmp(nd.src, nobody, 16) != 0;
}

/* ------------------------------------------------------------ ICMP and UDP */

void echo_build(uint8_t *out, size_t len, bool v4, uint16_t id, uint16_t seq,
		const uint8_t cookie[ECHO_COOKIE])
{
	memset(out, 0, len);
	out[0] = v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST;
	put16(out + 4, id);
	put16(out + 6, seq);
	memcpy(out + ECHO_HEADER, cookie, ECHO_COOKIE);
	if (v4)
		put16(out + 2, ~inet_sum(out, len, 0));
}

struct v4_echo {
	struct ethhdr eth;
	uint8_t version, tos;
	uint16_t length, ip_id, fragment;
	uint8_t ttl, protocol;
	uint16_t check;
	uint8_t src[4], dst[4];
	uint8_t icmp[ECHO_HEADER + ECHO_COOKIE];
} __attribute__((packed));

struct v6_echo {
	struct ethhdr eth;
	uint32_t version;
	uint16_t payload;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
	uint8_t icmp[ECHO_HEADER + ECHO_COOKIE];
} __attribute__((packed));

enum { V4_PLAIN = 0x45, HOPS = 64 };

_Static_assert(sizeof(struct v6_echo) <= FRAME_ROOM, "see FRAME_ROOM");

static void set_ends(struct ethhdr *eth, const struct echo_frame *echo, uint16_t protocol)
{
	memcpy(eth->h_dest, echo->to, ETH_ALEN);
	memcpy(eth->h_source, echo->from, ETH_ALEN);
	eth->h_proto = htons(protocol);
}

/* Of ICMPv6 without its checksum. */
static void set_icmp(uint8_t icmp[ECHO_HEADER + ECHO_COOKIE], const struct echo_frame *echo)
{
	bool v4 = addr_is_v4(&echo->dst);

	echo_build(icmp, ECHO_HEADER + ECHO_COOKIE, v4, echo->id, echo->seq, echo->cookie);
	if (!echo->reply)
		return;
	icmp[0] = v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;
	put16(icmp + 2, 0);
	if (v4)
		put16(icmp + 2, ~inet_sum(icmp, ECHO_HEADER + ECHO_COOKIE, 0));
}

static size_t v4_echo_build(uint8_t *out, const struct echo_frame *echo)
{
	struct v4_echo f = { .version = V4_PLAIN,
			     .length = htons(V4_HEADER + sizeof(f.icmp)),
			     .ttl = HOPS,
			     .protocol = IPPROTO_ICMP };

	set_ends(&f.eth, echo, ETH_P_IP);
	memcpy(f.src, v4_bytes(&echo->src), 4);
	memcpy(f.dst, v4_bytes(&echo->dst), 4);
	f.check = htons(~inet_sum(&f.version, V4_HEADER, 0));
	set_icmp(f.icmp, echo);
	memcpy(out, &f, sizeof(f));
	return sizeof(f);
}

static size_t v6_echo_build(uint8_t *out, const struct echo_frame *echo)
{
	struct v6_echo f = { .version = htonl(6U << 28),
			     .payload = htons(sizeof(f.icmp)),
			     .next = IPPROTO_ICMPV6,
			     .hops = HOPS };
	uint16_t sum;

	set_ends(&f.eth, echo, ETH_P_IPV6);
	memcpy(f.src, echo->src.w, 16);
	memcpy(f.dst, echo->dst.w, 16);
	set_icmp(f.icmp, echo);
	sum = pseudo_sum(f.src, f.dst, 16, sizeof(f.icmp), IPPROTO_ICMPV6);
	put16(f.icmp + 2, ~inet_sum(f.icmp, sizeof(f.icmp), sum));
	memcpy(out, &f, sizeof(f));
	return sizeof(f);
}

size_t frame_echo(uint8_t out[FRAME_ROOM], const struct echo_frame *echo)
{
	return addr_is_v4(&echo->dst) ? v4_echo_build(out, echo) : v6_echo_build(out, echo);
}

static bool icmp_echo_parse(const uint8_t *icmp, bool v4, struct echo_frame *out)
{
	out->reply = icmp[0] == (v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY);
	out->id = get16(icmp + 4);
	out->seq = get16(icmp + 6);
	memcpy(out->cookie, icmp + ECHO_HEADER, ECHO_COOKIE);
	return out->reply || icmp[0] == (v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
}

bool frame_echo_parse(const uint8_t *frame, size_t len, struct echo_frame *out)
{
	uint16_t type = len >= ETH_HLEN ? get16(frame + 12) : 0;
	struct v4_echo four;
	struct v6_echo six;

	if (type == ETH_P_IP && len >= sizeof(four)) {
		memcpy(&four, frame, sizeof(four));
		out->src = addr_from_bytes(four.src, 4);
		out->dst = addr_from_bytes(four.dst, 4);
		if (four.version != V4_PLAIN || four.protocol != IPPROTO_ICMP ||
		    four.fragment & htons(0x3fff) || !icmp_echo_parse(four.icmp, true, out))
			return false;
	} else if (type == ETH_P_IPV6 && len >= sizeof(six)) {
		memcpy(&six, frame, sizeof(six));
		out->src = addr_from_bytes(six.src, 16);
		out->dst = addr_from_bytes(six.dst, 16);
		if (six.next != IPPROTO_ICMPV6 || !icmp_echo_parse(six.icmp, false, out))
			return false;
	} else {
		return false;
	}
	memcpy(out->to, frame, ETH_ALEN);
	memcpy(out->from, frame + ETH_ALEN, ETH_ALEN);
	return true;
}

void udp_build(uint8_t *out, size_t len, const struct tn_addr *src, const struct tn_addr *dst,
	       uint16_t sport, uint16_t dport)
{
	bool v4 = addr_is_v4(src);
	uint16_t sum;

	put16(out, sport);
	put16(out + 2, dport);
	put16(out + 4, len);
	put16(out + 6, 0);
	sum = v4 ? pseudo_sum(v4_bytes(src), v4_bytes(dst), 4, len, IPPROTO_UDP)
		 : pseudo_sum(src->w, dst->w, 16, len, IPPROTO_UDP);
	sum = ~inet_sum(out, len, sum);
	put16(out + 6, sum ? sum : 0xffff);
}

/* The packet that an error quotes: as much of it as matters here, or nothing. */
static bool quote_parse(const uint8_t *p, size_t len, bool v4, struct icmp_answer *out)
{
	size_t header = v4 && len ? (p[0] & 15) * 4 : V6_HEADER;

	if (len < header + 8 || header < V4_HEADER || p[0] >> 4 != (v4 ? 4 : 6))
		return false;
	out->protocol = v4 ? p[9] : p[6];
	out->dst = v4 ? addr_from_bytes(p + 16, 4) : addr_from_bytes(p + 24, 16);
	p += header;
	out->sport = get16(p);
	out->dport = get16(p + 2);
	out->id = get16(p + 4);
	out->seq = get16(p + 6);
	return true;
}

static enum icmp_answer_kind error_kind(const uint8_t *icmp, bool v4)
{
	if (v4)
		return icmp[0] != ICMP_DEST_UNREACH   ? ICMP_ANSWER_NONE
		       : icmp[1] == ICMP_PORT_UNREACH ? ICMP_ANSWER_PORT_UNREACHABLE
		       : icmp[1] == ICMP_FRAG_NEEDED  ? ICMP_ANSWER_TOO_BIG
						      : ICMP_ANSWER_NONE;
	if (icmp[0] == ICMPV6_PKT_TOOBIG)
		return ICMP_ANSWER_TOO_BIG;
	return icmp[0] == ICMPV6_DEST_UNREACH && icmp[1] == ICMPV6_PORT_UNREACH
		       ? ICMP_ANSWER_PORT_UNREACHABLE
		       : ICMP_ANSWER_NONE;
}

void icmp_answer_parse(const uint8_t *packet, size_t len, bool v4, struct icmp_answer *out)
{
	size_t header = v4 && len ? (packet[0] & 15) * 4 : 0;
	const uint8_t *icmp = packet + header;

	memset(out, 0, sizeof(*out));
	if (len < header + ECHO_HEADER)
		return;
	len -= header;
	if (icmp[0] == (v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY)) {
		if (len < ECHO_HEADER + ECHO_COOKIE)
			return;
		out->kind = ICMP_ANSWER_ECHO;
		out->id = get16(icmp + 4);
		out->seq = get16(icmp + 6);
		out->cookie = icmp + ECHO_HEADER;
		return;
	}
	out->kind = error_kind(icmp, v4);
	if (out->kind == ICMP_ANSWER_TOO_BIG)
		out->mtu = v4 ? get16(icmp + 6) : get32(icmp + 4);
	if (out->kind && !quote_parse(icmp + ECHO_HEADER, len - ECHO_HEADER, v4, out))
		out->kind = ICMP_ANSWER_NONE;
}
