/* SPDX-License-Identifier: GPL-2.0-only */
#include "mend.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/util.h"
#include "view.h"

static const char *const others_v4[] = { STRANGER,	   "10.0.0.77",	      "8.8.8.8",
					 "100.64.255.255", "255.255.255.255", "224.0.0.1",
					 "0.0.0.0",	   "169.254.7.7" };
static const char *const others_v6[] = { STRANGER_6, "fd00:10::77",	 "2001:db8::1",
					 "fe80::7",  "ff02::1",		 "ff02::1:ff01:5",
					 "::",	     "::ffff:100.64.1.5" };

/* Any address that means something to the programs. */
static void put_address(uint8_t *at, bool v4, uint32_t random)
{
	const char *const *others = v4 ? others_v4 : others_v6;
	const struct fixture *f = &fixture[random % fixture_n];
	const char *text = random >> 8 & 1 && f->fixed ? f->fixed : f->shared;

	if ((random >> 9 & 7) == 0 || !strchr(text, ':') != v4)
		text = others[(random >> 12) % ARRAY_SIZE(others_v4)];
	if (!strchr(text, ':') == v4)
		inet_pton(v4 ? AF_INET : AF_INET6, text, at);
}

void mend_addresses(uint8_t *frame, size_t len, uint32_t random)
{
	static struct view v;
	size_t at[7], n = 0, size;

	view_frame(&v, frame, len, false);
	size = v.v4 || v.type == ETH_P_ARP ? 4 : 16;
	if (v.type == ETH_P_ARP) {
		at[n++] = 28; /* sender and target */
		at[n++] = 38;
	} else if (v.type == ETH_P_IP || v.type == ETH_P_IPV6) {
		at[n++] = ETH_HLEN + (v.v4 ? 12 : 8);
		at[n++] = ETH_HLEN + (v.v4 ? 16 : 24);
	} else {
		return;
	}
	if (v.ip && v.quote) {
		at[n++] = v.quote + (v.v4 ? 12 : 8);
		at[n++] = v.quote + (v.v4 ? 16 : 24);
	} else if (v.ip && v.proto == IPPROTO_ICMPV6) {
		at[n++] = v.frame.l4 + 8; /* the target of neighbour discovery */
	}
	for (size_t i = 0; i < n; i++) {
		if (random >> i & 1 && at[i] + size <= len)
			put_address(frame + at[i], size == 4, random >> 8 ^ random << (3 * i));
	}
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint64_t sum_bytes(const uint8_t *at, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	return sum;
}

static void mend_ip(uint8_t *ip, bool v4, size_t len)
{
	if (v4) {
		ip[0] = 4 << 4 | (ip[0] & 15);
		if ((ip[0] & 15) < 5 || 4U * (ip[0] & 15) > len)
			ip[0] = 0x45;
		put16(ip + 2, len);
	} else {
		ip[0] = 6 << 4 | (ip[0] & 15);
		put16(ip + 4, len - 40);
	}
}

static void mend_ip_csum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~sum_fold(sum_bytes(ip, 4 * (ip[0] & 15))));
}

/* `partial`: only the sum of the pseudo-header. */
static void mend_l4(uint8_t *ip, const struct frame *f, bool v4, uint8_t proto, bool partial)
{
	uint8_t *field = ip - f->ip + f->l4_csum, *l4 = ip - f->ip + f->l4;
	size_t len = f->ip + f->ip_bytes - f->l4;
	uint64_t sum = 0;
	uint16_t value;

	if (proto != IPPROTO_ICMP)
		sum = sum_bytes(v4 ? ip + 12 : ip + 8, v4 ? 8 : 32) + proto + len;
	put16(field, 0);
	value = partial ? sum_fold(sum) : ~sum_fold(sum + sum_bytes(l4, len));
	if (!value && (proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE))
		value = 0xffff;
	put16(field, value);
}

static void mend_quote(uint8_t *frame, const struct view *v)
{
	size_t len = v->frame.ip + v->frame.ip_bytes - v->quote;
	uint8_t *ip = frame + v->quote;

	mend_ip(ip, v->v4, len);
	if (v->v4)
		mend_ip_csum(ip);
}

void mend_sums(uint8_t *frame, size_t len, uint32_t random)
{
	static struct view v;
	bool v4;

	view_frame(&v, frame, len, false);
	v4 = v.v4;
	if ((!v4 && v.type != ETH_P_IPV6) || len < ETH_HLEN + (v4 ? 20U : 40U))
		return;
	if (random & 3)
		mend_ip(frame + ETH_HLEN, v4, len - ETH_HLEN);
	view_frame(&v, frame, len, false);
	if (v.ip && v.quote && random & 12)
		mend_quote(frame, &v);
	view_frame(&v, frame, len, false);
	if (v.ip && v.frame.l4_csum && !v.fragment && random & 0x30)
		mend_l4(frame + v.frame.ip, &v.frame, v4, v.proto, !(random & 0x3c0));
	if (v4 && v.ip && random & 0xc00)
		mend_ip_csum(frame + ETH_HLEN);
}
