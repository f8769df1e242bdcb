/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Addresses and prefixes of both families in one type: IPv4 is held as
 * IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), network byte order, as in the maps.
 */
#ifndef TN_ADDR_H
#define TN_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tn_abi.h"

/* The longest text of a prefix, with its NUL. */
#define ADDR_TEXT 64

/* A prefix length counts all 128 bits: an IPv4 /16 is 112. Host bits are zero. */
struct prefix {
	struct tn_addr addr;
	uint8_t len;
};

/* Text to value. False when the text is no address, or has anything behind it. */
bool addr_parse(const char *text, struct tn_addr *out);
/* "ADDR/LEN", or "ADDR" as a prefix of one address. False also for host bits that are set. */
bool prefix_parse(const char *text, struct prefix *out);

/* Value to text in `buf`, which is returned; RFC 5952 for IPv6. */
const char *addr_text(const struct tn_addr *a, char buf[ADDR_TEXT]);
const char *prefix_text(const struct prefix *p, char buf[ADDR_TEXT]);
/* The same in a buffer of the expression's own: for arguments of printf and the like. */
#define ADDR(a)	  addr_text((a), (char[ADDR_TEXT]){ 0 })
#define PREFIX(p) prefix_text((p), (char[ADDR_TEXT]){ 0 })

/* An Ethernet address as text: "02:00:64:40:00:02". */
#define MAC_TEXT 18
const char *mac_text(const uint8_t mac[6], char buf[MAC_TEXT]);
#define MAC(m) mac_text((m), (char[MAC_TEXT]){ 0 })
/* The same the other way round, in letters of either size. False: it is none. */
bool mac_parse(const char *text, uint8_t out[6]);
/* All zero, which this program uses for "not given". */
bool mac_is_unset(const uint8_t mac[6]);
/* Whether one interface alone can have it: not zero, and of no group. */
bool mac_is_valid(const uint8_t mac[6]);
/* As a number, the first byte the highest of its 48 bits. */
uint64_t mac_number(const uint8_t mac[6]);
void mac_from_number(uint64_t number, uint8_t out[6]);

/* 4 bytes (IPv4) or 16 bytes (IPv6) in network byte order, as the kernel gives them. */
struct tn_addr addr_from_bytes(const void *bytes, size_t len);

bool addr_is_v4(const struct tn_addr *a);
/* The families, as indexes of arrays that hold one thing for each. */
enum { IPV4, IPV6, FAMILIES };
static inline int addr_family(const struct tn_addr *a)
{
	return addr_is_v4(a) ? IPV4 : IPV6;
}
/* All zero (::), which this program uses for "not given". */
bool addr_is_unset(const struct tn_addr *a);
/* Unspecified, loopback, multicast, link-local, 0/8, 240/4 and broadcast: not for a VM. */
bool addr_is_special(const struct tn_addr *a);
/* A range of such addresses. */
struct special_range {
	const char *prefix;
	const char *what;
};
/* Order by family, then numerically; as of memcmp. */
int addr_cmp(const struct tn_addr *a, const struct tn_addr *b);
/*
 * The ones' complement sum of the address' 16-bit words, modulo 0xffff: 0 to 0xfffe. Where two
 * addresses have the same, one can be put in the other's place without a change of any checksum
 * that covers it (RFC 1071; RFC 6296, 2.6).
 */
uint16_t addr_sum(const struct tn_addr *a);
/* a + n, with carry. */
struct tn_addr addr_add(const struct tn_addr *a, uint64_t n);

struct tn_addr prefix_mask(const struct prefix *p);
/* Whether two lists have the same prefixes, in the same order. */
bool prefixes_equal(const struct prefix *a, size_t na, const struct prefix *b, size_t nb);
bool prefix_has(const struct prefix *p, const struct tn_addr *a);
bool prefix_overlap(const struct prefix *a, const struct prefix *b);
/* The range of special addresses that the prefix has in it, the narrowest; NULL: none. */
const struct special_range *prefix_special(const struct prefix *p);
/* The last address of the prefix. */
struct tn_addr prefix_last(const struct prefix *p);
/*
 * Whether `a` is the network's own or the broadcast address of `p` (IPv4 up to
 * /30, RFC 3021), or its subnet-router anycast address (IPv6 up to /126, RFC 4291, 2.6.1).
 */
bool prefix_reserves(const struct prefix *p, const struct tn_addr *a);

#endif
