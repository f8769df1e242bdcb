/* SPDX-License-Identifier: GPL-2.0-only */
/* Names for DNS as servers read them. Every format is sorted by name; equal names give equal bytes.
 */
#ifndef TN_DNS_TEXT_H
#define TN_DNS_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "model/dns.h"

/*
 * hosts(5), an address and its name a line, IPv4 first: of CoreDNS' `hosts`, and dnsmasq's
 * `hostsdir` and `addn-hosts`. Both servers make the reverse names of it.
 */
void dns_write_hosts(const char *zone, const struct dns_names *n, FILE *to);
/* `host-record=` lines of dnsmasq, which has the reverse names by them, too. */
void dns_write_dnsmasq(const char *zone, const struct dns_names *n, FILE *to);
/*
 * A and AAAA records of a zone file (RFC 1035, section 5) with absolute names, for $INCLUDE behind
 * the SOA and NS records, which are the zone's own; with `under`, PTR records instead, of the
 * addresses in that prefix.
 */
void dns_write_zone(const char *zone, const struct dns_names *n, const struct prefix *under,
		    FILE *to);
/* {"zone", "names": [{"name", "tenant", "mapping", "shared": […]}], "left_out": […]} */
json_t *dns_json(const char *zone, const struct dns_names *n);

/* "9.1.64.100.in-addr.arpa", "….ip6.arpa"; `buf` is returned. */
#define DNS_REVERSE_TEXT 74
const char *dns_reverse(const struct tn_addr *a, char buf[DNS_REVERSE_TEXT]);

#endif
