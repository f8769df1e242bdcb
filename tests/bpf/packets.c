/* SPDX-License-Identifier: GPL-2.0-only */
#include "packets.h"

#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"

/* The headers and payload behind the IP header, before anything is cut off. */
struct datagram {
	size_t len;
	size_t csum;   /* offset of the checksum; 0: none */
	size_t covers; /* bytes that it covers */
	uint8_t bytes[FRAME_MAX];
};

static void bug(const char *what)
{
	fprintf(stderr, "tests/bpf/packets.c: %s\n", what);
	abort();
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static void put_mac(uint8_t *at, const char *text)
{
	if (!mac_parse(text, at))
		bug("no MAC address");
}

bool packet_is_v4(const struct packet *p)
{
	return !strchr(p->src, ':');
}

static size_t put_addr(uint8_t *at, const char *text)
{
	bool v4 = !strchr(text, ':');

	if (inet_pton(v4 ? AF_INET : AF_INET6, text, at) != 1)
		bug("no IP address");
	return v4 ? 4 : 16;
}

/* ---------------------------------------------------------------- checksums */

uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint64_t sum_bytes(const uint8_t *at, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	return sum;
}

static uint64_t sum_pseudo(const uint8_t *addrs, size_t addr_len, uint8_t proto, size_t len)
{
	return sum_bytes(addrs, 2 * addr_len) + proto + (len >> 16) + (len & 0xffff);
}

/* ICMP for IPv4 alone has none. */
static bool has_pseudo(uint8_t proto)
{
	return proto != IPPROTO_ICMP;
}

/* A checksum that comes to zero is sent as all ones (RFC 768; RFC 3828, 3.1). */
static bool zero_is_ones(uint8_t proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE;
}

static uint64_t packet_pseudo(const struct packet *p, size_t len)
{
	uint8_t addrs[32];
	size_t n = put_addr(addrs, p->src);

	put_addr(addrs + n, p->dst);
	return has_pseudo(p->proto) ? sum_pseudo(addrs, n, p->proto, len) : 0;
}

static void datagram_sum(const struct packet *p, struct datagram *d)
{
	uint64_t pseudo = packet_pseudo(p, d->len);
	uint16_t check;

	if (!d->csum || p->csum == CSUM_ABSENT)
		return;
	check = ~sum_fold(pseudo + sum_bytes(d->bytes, d->covers));
	if (p->csum == CSUM_PARTIAL)
		check = sum_fold(pseudo);
	if (p->csum == CSUM_WRONG)
		check = sum_fold(check + 1);
	if (!check && zero_is_ones(p->proto))
		check = 0xffff;
	put16(d->bytes + d->csum, check);
}

/* ---------------------------------------------------------------- behind IP */

static size_t put_payload(const struct packet *p, uint8_t *at)
{
	for (size_t i = 0; i < p->payload; i++)
		at[i] = p->fill + 7 * i + (i >> 8);
	return p->payload;
}

static void add_payload(const struct packet *p, struct datagram *d)
{
	put_payload(p, d->bytes + d->len);
	if (p->tune)
		put16(d->bytes + d->len, sum_fold(get16(d->bytes + d->len) + p->tune));
	d->len += p->payload;
}

static void add_ports(const struct packet *p, struct datagram *d)
{
	put16(d->bytes, p->sport ? p->sport : 1234);
	put16(d->bytes + 2, p->dport ? p->dport : 80);
}

static void add_quote(const struct packet *p, struct datagram *d)
{
	struct frame f = packet_build(p->quote);
	size_t len = p->quoted ? p->quoted : f.ip_bytes;

	memcpy(d->bytes + d->len, f.bytes + f.ip, len);
	d->len += len;
}

static void add_nd(const struct nd *nd, struct datagram *d)
{
	d->bytes[0] = nd->type;
	d->bytes[1] = nd->code;
	put32(d->bytes + 4, nd->flags);
	put_addr(d->bytes + 8, nd->target);
	d->len = 24;
	if (nd->option) {
		d->bytes[24] = nd->option;
		d->bytes[25] = 1;
		put_mac(d->bytes + 26, nd->mac);
		d->len = 32;
	}
	d->csum = 2;
}

static void add_icmp(const struct packet *p, struct datagram *d)
{
	if (p->nd) {
		add_nd(p->nd, d);
		return;
	}
	d->bytes[0] = p->type ? p->type : p->proto == IPPROTO_ICMP ? 8 : 128;
	d->bytes[1] = p->code;
	put32(d->bytes + 4, p->quote ? p->gateway : 0x12340001);
	d->csum = 2;
	d->len = 8;
	if (p->quote)
		add_quote(p, d);
}

static void datagram_build(const struct packet *p, struct datagram *d)
{
	memset(d, 0, sizeof(*d));
	switch (p->proto) {
	case IPPROTO_TCP:
		add_ports(p, d);
		put32(d->bytes + 4, 0x01020304);
		put32(d->bytes + 8, 0x0a0b0c0d);
		d->bytes[12] = 5 << 4;
		d->bytes[13] = p->tcp ? p->tcp : TH_ACK | TH_PUSH;
		put16(d->bytes + 14, 64240);
		d->csum = 16;
		d->len = 20;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		add_ports(p, d);
		put16(d->bytes + 4, p->proto == IPPROTO_UDP ? 8 + p->payload : p->coverage);
		d->csum = 6;
		d->len = 8;
		break;
	case IPPROTO_DCCP:
		add_ports(p, d);
		d->bytes[4] = 4;	  /* 32-bit words of header */
		d->bytes[8] = 0 << 5 | 1; /* a request with long sequence numbers */
		d->csum = 6;
		d->len = 16;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		add_icmp(p, d);
		break;
	case IPPROTO_SCTP:
		add_ports(p, d);
		put32(d->bytes + 4, 0xdecafbad);
		put32(d->bytes + 8, 0x5ca1ab1e); /* its checksum does not cover addresses */
		d->len = 12;
		break;
	default:
		break;
	}
	add_payload(p, d);
	d->covers = p->coverage ? p->coverage : d->len;
	datagram_sum(p, d);
}

void packet_tune(struct packet *p, uint16_t value)
{
	struct datagram d;
	uint64_t sum;

	p->tune = 0;
	datagram_build(p, &d);
	put16(d.bytes + d.csum, 0);
	sum = packet_pseudo(p, d.len) + sum_bytes(d.bytes, d.covers);
	p->tune = sum_fold((uint16_t)~value + (uint64_t)(uint16_t)~sum_fold(sum));
}

uint16_t packet_partial(const struct packet *p)
{
	struct datagram d;

	datagram_build(p, &d);
	return sum_fold(packet_pseudo(p, d.len));
}

/* ---------------------------------------------------------------- IP */

static size_t take_fragment(const struct packet *p, struct datagram *d, bool *more)
{
	size_t whole = d->len;

	*more = false;
	if (!p->frag_len)
		return 0;
	if (p->frag_at % 8 || p->frag_at + p->frag_len > whole)
		bug("no such fragment");
	*more = p->frag_at + p->frag_len < whole;
	memmove(d->bytes, d->bytes + p->frag_at, p->frag_len);
	d->len = p->frag_len;
	if (p->frag_at || d->csum + 2 > d->len)
		d->csum = 0;
	return p->frag_at;
}

static void add_v4(const struct packet *p, struct datagram *d, struct frame *f)
{
	uint8_t *ip = f->bytes + f->len;
	size_t header = 20 + p->options;
	bool more;
	size_t at = take_fragment(p, d, &more);

	memset(ip, 0, header);
	ip[0] = (p->version ? p->version : 4) << 4 | (p->ihl ? p->ihl : header / 4);
	ip[1] = p->told ? 0xc0 : p->tos ? p->tos : 0x10; /* TOS */
	put16(ip + 2, header + d->len + p->length_lie);
	put16(ip + 4, p->told ? 0 : 0x4242);
	put16(ip + 6,
	      (p->frag_len || p->told || p->no_df ? 0 : 0x4000) | (more ? 0x2000 : 0) | at / 8);
	ip[8] = p->ttl ? p->ttl : 64;
	ip[9] = p->proto;
	put_addr(ip + 12, p->src);
	put_addr(ip + 16, p->dst);
	if (p->option)
		memcpy(ip + 20, p->option, p->options);
	else
		memset(ip + 20, 1 /* NOP */, p->options);
	put16(ip + 10, sum_fold((uint16_t)~sum_fold(sum_bytes(ip, header)) + p->wrong_ip_csum));
	f->len += header;
}

static size_t add_ext(const struct packet *p, char kind, struct datagram *d, uint8_t *at)
{
	size_t len = 8 * (p->ext_len + 1);
	bool more;

	if (kind == 'F') {
		put16(at + 2, take_fragment(p, d, &more));
		at[3] |= more;
		put32(at + 4, 0x42424242);
		return 8;
	}
	memset(at, 0, len);
	at[1] = p->ext_len;
	if (kind == 'R') {
		at[3] = p->segments;
	} else { /* one option that pads all of it (RFC 8200, 4.2) */
		at[2] = 1;
		at[3] = len - 4;
	}
	return len;
}

static uint8_t ext_number(char kind)
{
	switch (kind) {
	case 'H':
		return IPPROTO_HOPOPTS;
	case 'R':
		return IPPROTO_ROUTING;
	case 'D':
		return IPPROTO_DSTOPTS;
	case 'F':
		return IPPROTO_FRAGMENT;
	default:
		bug("no such extension header");
		return 0;
	}
}

static void add_v6(const struct packet *p, struct datagram *d, struct frame *f)
{
	uint8_t *ip = f->bytes + f->len, *next = ip + 6;
	size_t header = 40;

	memset(ip, 0, 40);
	put16(ip, (p->version ? p->version : 6) << 12 | p->tos << 4);
	put16(ip + 2, p->nd || p->told ? 0 : 0x1234); /* flow label */
	ip[7] = p->ttl ? p->ttl : p->nd ? 255 : 64;
	put_addr(ip + 8, p->src);
	put_addr(ip + 24, p->dst);
	for (const char *e = p->ext ? p->ext : ""; *e; e++) {
		*next = ext_number(*e);
		next = ip + header;
		header += add_ext(p, *e, d, ip + header);
	}
	*next = p->proto;
	put16(ip + 4, header - 40 + d->len + p->length_lie);
	f->len += header;
}

static void add_arp(const struct arp *a, struct frame *f)
{
	uint8_t *at = f->bytes + f->len;

	put16(at, a->hardware ? a->hardware : 1);
	put16(at + 2, ETH_P_IP);
	at[4] = a->hardware_len ? a->hardware_len : ETH_ALEN;
	at[5] = 4;
	put16(at + 6, a->op);
	put_mac(at + 8, a->sender_mac);
	put_addr(at + 14, a->sender);
	put_mac(at + 18, a->target_mac);
	put_addr(at + 24, a->target);
	f->len += 28;
}

static void add_ethernet(const struct packet *p, struct frame *f)
{
	uint16_t type = p->ethertype	  ? p->ethertype
			: p->arp	  ? ETH_P_ARP
			: packet_is_v4(p) ? ETH_P_IP
					  : ETH_P_IPV6;

	put_mac(f->bytes, p->to ? p->to : MAC_ROUTER);
	put_mac(f->bytes + ETH_ALEN, p->from ? p->from : MAC_PEER);
	f->len = 12;
	if (p->vlan) {
		put16(f->bytes + f->len, ETH_P_8021Q);
		put16(f->bytes + f->len + 2, p->vlan);
		f->len += 4;
	}
	put16(f->bytes + f->len, type);
	f->len += 2;
}

static void add_ip(const struct packet *p, struct frame *f)
{
	struct datagram d;

	datagram_build(p, &d);
	f->ip = f->len;
	if (packet_is_v4(p))
		add_v4(p, &d, f);
	else
		add_v6(p, &d, f);
	f->l4 = f->len;
	f->l4_csum = d.csum ? f->l4 + d.csum : 0;
	memcpy(f->bytes + f->len, d.bytes, d.len);
	f->len += d.len;
	f->ip_bytes = f->len - f->ip;
}

struct frame packet_build(const struct packet *p)
{
	struct frame f;

	memset(&f, 0, sizeof(f));
	add_ethernet(p, &f);
	if (p->arp)
		add_arp(p->arp, &f);
	else if (p->src)
		add_ip(p, &f);
	else
		f.len += put_payload(p, f.bytes + f.len);
	for (size_t i = 0; i < p->trailer; i++)
		f.bytes[f.len++] = 0xee;
	f.len -= p->cut;
	return f;
}

/* ---------------------------------------------------------------- the other way */

bool frame_ip_csum_ok(const struct frame *f)
{
	const uint8_t *ip = f->bytes + f->ip;

	return ip[0] >> 4 != 4 || sum_fold(sum_bytes(ip, 4 * (ip[0] & 15))) == 0xffff;
}

static uint8_t frame_proto(const struct frame *f)
{
	const uint8_t *ip = f->bytes + f->ip, *next = ip + 6, *at = ip + 40;

	if (ip[0] >> 4 == 4)
		return ip[9];
	while (at < f->bytes + f->l4) {
		size_t len = *next == IPPROTO_FRAGMENT ? 8 : 8 * (at[1] + 1);

		next = at;
		at += len;
	}
	return *next;
}

enum csum frame_l4_csum(const struct frame *f)
{
	const uint8_t *ip = f->bytes + f->ip, *l4 = f->bytes + f->l4;
	bool v4 = ip[0] >> 4 == 4;
	size_t len = f->ip + f->ip_bytes - f->l4, covers = len;
	uint16_t field = get16(f->bytes + f->l4_csum);
	uint8_t proto = frame_proto(f);
	uint64_t pseudo = 0;

	if (has_pseudo(proto))
		pseudo = sum_pseudo(v4 ? ip + 12 : ip + 8, v4 ? 4 : 16, proto, len);
	if (proto == IPPROTO_UDPLITE && get16(l4 + 4))
		covers = get16(l4 + 4);
	if (!field && proto == IPPROTO_UDP)
		return CSUM_ABSENT;
	if (sum_fold(pseudo + sum_bytes(l4, covers)) == 0xffff)
		return CSUM_RIGHT;
	return pseudo && field == sum_fold(pseudo) ? CSUM_PARTIAL : CSUM_WRONG;
}
