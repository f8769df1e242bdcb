/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"

static const uint8_t v4_head[12] = { [10] = 0xff, [11] = 0xff };

static const uint8_t *bytes(const struct tn_addr *a)
{
	return (const uint8_t *)a->w;
}

bool addr_is_v4(const struct tn_addr *a)
{
	return memcmp(a->w, v4_head, sizeof(v4_head)) == 0;
}

bool addr_is_unset(const struct tn_addr *a)
{
	static const struct tn_addr unset;

	return memcmp(a, &unset, sizeof(unset)) == 0;
}

const char *mac_text(const uint8_t mac[6], char buf[MAC_TEXT])
{
	snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return buf;
}

bool mac_parse(const char *text, uint8_t out[6])
{
	for (int i = 0; i < 6; i++, text += 3) {
		char byte[] = { text[0], text[0] ? text[1] : '\0', '\0' };

		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

bool mac_is_unset(const uint8_t mac[6])
{
	return !mac_number(mac);
}

bool mac_is_valid(const uint8_t mac[6])
{
	return !mac_is_unset(mac) && !(mac[0] & 1);
}

uint64_t mac_number(const uint8_t mac[6])
{
	uint64_t number = 0;

	for (int i = 0; i < 6; i++)
		number = number << 8 | mac[i];
	return number;
}

void mac_from_number(uint64_t number, uint8_t out[6])
{
	for (int i = 5; i >= 0; i--, number >>= 8)
		out[i] = (uint8_t)number;
}

struct tn_addr addr_from_bytes(const void *from, size_t len)
{
	struct tn_addr a = { 0 };

	if (len == 4) {
		memcpy(a.w, v4_head, sizeof(v4_head));
		memcpy(&a.w[3], from, 4);
	} else if (len == 16) {
		memcpy(a.w, from, 16);
	}
	return a;
}

bool addr_parse(const char *text, struct tn_addr *out)
{
	uint8_t raw[16];

	if (inet_pton(AF_INET, text, raw) == 1) {
		*out = addr_from_bytes(raw, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, raw) != 1)
		return false;
	*out = addr_from_bytes(raw, 16);
	/* ::ffff:a.b.c.d and :: would be taken for something else */
	return !addr_is_v4(out) && !addr_is_unset(out);
}

bool prefix_parse(const char *text, struct prefix *out)
{
	const char *slash = strchr(text, '/');
	unsigned int bits, offset;
	char host[ADDR_TEXT];
	struct prefix p;
	int used = 0;
	size_t n;

	n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (strcmp(host, "::") == 0)
		memset(&p.addr, 0, sizeof(p.addr));
	else if (!addr_parse(host, &p.addr))
		return false;

	offset = addr_is_v4(&p.addr) ? 96 : 0;
	bits = 128 - offset;
	/* a length has one form only: /08 is none */
	if (slash && (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2]) ||
		      sscanf(slash + 1, "%3u%n", &bits, &used) != 1 || slash[1 + used] != '\0' ||
		      bits > 128 - offset))
		return false;
	p.len = offset + bits;

	struct tn_addr mask = prefix_mask(&p);
	for (int i = 0; i < 4; i++) {
		if (p.addr.w[i] & ~mask.w[i])
			return false;
	}
	*out = p;
	return true;
}

const char *addr_text(const struct tn_addr *a, char buf[ADDR_TEXT])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, &a->w[3], buf, ADDR_TEXT);
	else
		inet_ntop(AF_INET6, a->w, buf, ADDR_TEXT);
	return buf;
}

const char *prefix_text(const struct prefix *p, char buf[ADDR_TEXT])
{
	unsigned int bits = addr_is_v4(&p->addr) ? p->len - 96 : p->len;
	size_t n;

	addr_text(&p->addr, buf);
	n = strlen(buf);
	snprintf(buf + n, ADDR_TEXT - n, "/%u", bits);
	return buf;
}

bool addr_is_special(const struct tn_addr *a)
{
	const uint8_t *b = bytes(a);

	if (addr_is_v4(a)) {
		b += 12;
		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || (b[0] == 169 && b[1] == 254);
	}
	if (b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
		return true;
	/* ::/96 holds :: and ::1 */
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0;
}

int addr_cmp(const struct tn_addr *a, const struct tn_addr *b)
{
	bool v4a = addr_is_v4(a), v4b = addr_is_v4(b);

	if (v4a != v4b)
		return v4a ? -1 : 1;
	return memcmp(a->w, b->w, sizeof(a->w));
}

uint16_t addr_sum(const struct tn_addr *a)
{
	uint32_t sum = 0;

	for (int i = addr_is_v4(a) ? 3 : 0; i < 4; i++)
		sum += (ntohl(a->w[i]) >> 16) + (ntohl(a->w[i]) & 0xffff);
	return sum % 0xffff;
}

struct tn_addr addr_add(const struct tn_addr *a, uint64_t n)
{
	struct tn_addr sum = *a;

	for (int i = 3; i >= 0 && n; i--) {
		uint64_t word = ntohl(sum.w[i]) + (n & 0xffffffff);

		sum.w[i] = htonl((uint32_t)word);
		n = (n >> 32) + (word >> 32);
	}
	return sum;
}

struct tn_addr prefix_mask(const struct prefix *p)
{
	struct tn_addr mask = { 0 };

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = p->len > 32 * i ? p->len - 32 * i : 0;

		if (bits)
			mask.w[i] = htonl(bits >= 32 ? 0xffffffff : ~(0xffffffffU >> bits));
	}
	return mask;
}

bool prefix_has(const struct prefix *p, const struct tn_addr *a)
{
	struct tn_addr mask = prefix_mask(p);

	/* ::/0 has every IPv6 address, and no IPv4 address */
	if (addr_is_v4(a) != addr_is_v4(&p->addr))
		return false;
	for (int i = 0; i < 4; i++) {
		if ((a->w[i] & mask.w[i]) != p->addr.w[i])
			return false;
	}
	return true;
}

bool prefix_overlap(const struct prefix *a, const struct prefix *b)
{
	return a->len <= b->len ? prefix_has(a, &b->addr) : prefix_has(b, &a->addr);
}

/* Those that addr_is_special() is true for, the narrower first. */
static const struct special_range special_ranges[] = {
	{ "0.0.0.0/8", "reserved" },
	{ "127.0.0.0/8", "loopback" },
	{ "169.254.0.0/16", "link-local" },
	{ "224.0.0.0/4", "multicast" },
	{ "240.0.0.0/4", "reserved" },
	{ "::1/128", "loopback" },
	{ "::/96", "reserved" },
	{ "fe80::/10", "link-local" },
	{ "ff00::/8", "multicast" },
};

const struct special_range *prefix_special(const struct prefix *p)
{
	struct prefix range;

	for (size_t i = 0; i < ARRAY_SIZE(special_ranges); i++) {
		if (prefix_parse(special_ranges[i].prefix, &range) && prefix_overlap(&range, p))
			return &special_ranges[i];
	}
	return NULL;
}

struct tn_addr prefix_last(const struct prefix *p)
{
	struct tn_addr mask = prefix_mask(p), last = p->addr;

	for (int i = 0; i < 4; i++)
		last.w[i] |= ~mask.w[i];
	return last;
}

bool prefix_reserves(const struct prefix *p, const struct tn_addr *a)
{
	struct tn_addr last = prefix_last(p);

	if (p->len > 126)
		return false;
	if (addr_cmp(a, &p->addr) == 0)
		return true;
	return addr_is_v4(&p->addr) && addr_cmp(a, &last) == 0;
}

bool prefixes_equal(const struct prefix *a, size_t na, const struct prefix *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++) {
		if (a[i].len != b[i].len || addr_cmp(&a[i].addr, &b[i].addr) != 0)
			return false;
	}
	return true;
}
