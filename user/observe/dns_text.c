/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/dns_text.h"

/* Seconds: a shared address stays as long as its mapping does, so old answers do little harm. */
#define TTL 60

#define LABEL(n) dns_label((n), (char[DNS_LABEL_MAX + 1]){ 0 })

void dns_write_hosts(const char *zone, const struct dns_names *n, FILE *to)
{
	vec_each (one, &n->list) {
		for (int f = 0; f < FAMILIES; f++) {
			if (!addr_is_unset(&one->shared[f]))
				fprintf(to, "%s %s.%s\n", ADDR(&one->shared[f]), LABEL(one), zone);
		}
	}
}

void dns_write_dnsmasq(const char *zone, const struct dns_names *n, FILE *to)
{
	vec_each (one, &n->list) {
		fprintf(to, "host-record=%s.%s", LABEL(one), zone);
		for (int f = 0; f < FAMILIES; f++) {
			if (!addr_is_unset(&one->shared[f]))
				fprintf(to, ",%s", ADDR(&one->shared[f]));
		}
		fputc('\n', to);
	}
}

const char *dns_reverse(const struct tn_addr *a, char buf[DNS_REVERSE_TEXT])
{
	const uint8_t *bytes = (const uint8_t *)a->w;
	char *at = buf;

	if (addr_is_v4(a)) {
		snprintf(buf, DNS_REVERSE_TEXT, "%u.%u.%u.%u.in-addr.arpa", bytes[15], bytes[14],
			 bytes[13], bytes[12]);
		return buf;
	}
	for (int i = 15; i >= 0; i--)
		at += sprintf(at, "%x.%x.", bytes[i] & 0xfu, bytes[i] >> 4);
	memcpy(at, "ip6.arpa", sizeof("ip6.arpa"));
	return buf;
}

#define REVERSE(a) dns_reverse((a), (char[DNS_REVERSE_TEXT]){ 0 })

void dns_write_zone(const char *zone, const struct dns_names *n, const struct prefix *under,
		    FILE *to)
{
	vec_each (one, &n->list) {
		for (int f = 0; f < FAMILIES; f++) {
			const struct tn_addr *a = &one->shared[f];

			if (addr_is_unset(a) || (under && !prefix_has(under, a)))
				continue;
			if (under)
				fprintf(to, "%s. %d IN PTR %s.%s.\n", REVERSE(a), TTL, LABEL(one),
					zone);
			else
				fprintf(to, "%s.%s. %d IN %s %s\n", LABEL(one), zone, TTL,
					f == IPV4 ? "A" : "AAAA", ADDR(a));
		}
	}
}

static void add_left_out(json_t *list, const struct dns_name *one, const char *why)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "tenant", one->tenant->name,
					      "mapping", one->mapping->name, "why", why));
}

json_t *dns_json(const char *zone, const struct dns_names *n)
{
	json_t *names = json_array(), *left_out = json_array();
	char buf[DNS_FAULT];

	vec_each (one, &n->list) {
		json_t *shared = json_array();

		for (int f = 0; f < FAMILIES; f++) {
			if (!addr_is_unset(&one->shared[f]))
				json_array_append_new(shared, json_string(ADDR(&one->shared[f])));
		}
		json_array_append_new(names, json_pack("{s:o, s:s, s:s, s:o}", "name",
						       json_sprintf("%s.%s", LABEL(one), zone),
						       "tenant", one->tenant->name, "mapping",
						       one->mapping->name, "shared", shared));
	}
	vec_each (one, &n->bad)
		add_left_out(left_out, one, dns_fault(one->tenant->name, one->mapping->name, buf));
	vec_each (one, &n->twice)
		add_left_out(left_out, one, "another mapping would have the same name");
	return json_pack("{s:s?, s:o, s:o}", "zone", zone, "names", names, "left_out", left_out);
}
