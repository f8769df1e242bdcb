/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/dns.h"

#include <strings.h>

/* DNS and this program know no letters but those of ASCII. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void dns_lower(char *text)
{
	for (; *text; text++)
		*text = lower(*text);
}

static bool is_of_label(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool dns_zone_valid(const char *zone)
{
	struct tn_addr a;
	size_t n = 0;

	if (strlen(zone) > DNS_ZONE_MAX || addr_parse(zone, &a))
		return false;
	for (const char *c = zone;; c++) {
		if (*c == '.' || !*c) {
			if (!n || n > DNS_LABEL_MAX || c[-1] == '-')
				return false;
			n = 0;
		} else if (!is_of_label(*c) || (!n && *c == '-')) {
			return false;
		} else {
			n++;
		}
		if (!*c)
			return true;
	}
}

static const char *bad_character(const char *text, char buf[DNS_FAULT])
{
	for (; *text; text++) {
		if (is_of_label(*text))
			continue;
		snprintf(buf, DNS_FAULT, "it has a `%c`", *text);
		return buf;
	}
	return NULL;
}

const char *dns_fault(const char *tenant, const char *mapping, char buf[DNS_FAULT])
{
	const char *bad = bad_character(tenant, buf);
	size_t n = strlen(tenant) + 1 + (mapping ? strlen(mapping) : 1);

	if (!bad && mapping)
		bad = bad_character(mapping, buf);
	if (bad)
		return bad;
	if (n > DNS_LABEL_MAX) {
		snprintf(buf, DNS_FAULT, "it has %zu characters, and %d is the most", n,
			 DNS_LABEL_MAX);
		return buf;
	}
	return mapping && mapping[strlen(mapping) - 1] == '-' ? "it ends with a hyphen" : NULL;
}

/* The character of the label at that place; 0 behind its end. */
static char label_at(const char *tenant, size_t n, const char *mapping, size_t i)
{
	return lower(i < n ? tenant[i] : i == n ? '-' : mapping[i - n - 1]);
}

int dns_cmp(const char *tenant, const char *mapping, const char *other_tenant,
	    const char *other_mapping)
{
	size_t n = strlen(tenant), m = strlen(other_tenant);

	for (size_t i = 0;; i++) {
		unsigned char a = label_at(tenant, n, mapping, i);
		unsigned char b = label_at(other_tenant, m, other_mapping, i);

		if (a != b)
			return a < b ? -1 : 1;
		if (!a)
			return 0;
	}
}

const char *dns_rest(const char *label, const char *tenant)
{
	size_t n = strlen(tenant);

	return strncasecmp(label, tenant, n) == 0 && label[n] == '-' && label[n + 1] ? label + n + 1
										     : NULL;
}

/* Of one address: a prefix has too many for one name. */
static bool is_called(const struct mapping *m)
{
	return m->name && !m->bits;
}

/* Whether they are one for DNS; one name of both families is one. */
static bool is_same_mapping(const struct tenant *t, const char *name, const struct tenant *other,
			    const char *other_name)
{
	return strcmp(t->name, other->name) == 0 && strcmp(name, other_name) == 0;
}

const struct mapping *dns_taken(const struct model *m, const struct tenant *t, const char *name,
				const struct tenant **owner)
{
	vec_each (other, &m->tenants) {
		vec_each (mapping, &other->mappings) {
			if (!is_called(mapping) ||
			    dns_cmp(t->name, name, other->name, mapping->name) != 0 ||
			    is_same_mapping(t, name, other, mapping->name))
				continue;
			*owner = other;
			return mapping;
		}
	}
	return NULL;
}

/* ------------------------------------------------------------ all of them */

static int name_cmp(const void *a, const void *b)
{
	const struct dns_name *x = a, *y = b;
	int order = dns_cmp(x->tenant->name, x->mapping->name, y->tenant->name, y->mapping->name);

	if (!order)
		order = strcmp(x->tenant->name, y->tenant->name);
	return order ? order : strcmp(x->mapping->name, y->mapping->name);
}

bool dns_same(const struct dns_name *a, const struct dns_name *b)
{
	return dns_cmp(a->tenant->name, a->mapping->name, b->tenant->name, b->mapping->name) == 0;
}

/* Mappings of both families with one name become one. */
static void merge_families(struct dns_names *n)
{
	size_t kept = 0;

	vec_each (one, &n->list) {
		struct dns_name *last = kept ? &n->list.v[kept - 1] : NULL;

		if (!last || name_cmp(last, one) != 0) {
			n->list.v[kept++] = *one;
			continue;
		}
		for (int f = 0; f < FAMILIES; f++) {
			if (!addr_is_unset(&one->shared[f]))
				last->shared[f] = one->shared[f];
		}
	}
	n->list.n = kept;
}

static void part_twice(struct dns_names *n)
{
	size_t kept = 0, end;

	for (size_t i = 0; i < n->list.n; i = end) {
		end = i + 1;
		while (end < n->list.n && dns_same(&n->list.v[i], &n->list.v[end]))
			end++;
		if (end == i + 1)
			n->list.v[kept++] = n->list.v[i];
		for (size_t j = i; end > i + 1 && j < end; j++)
			*vec_push(&n->twice) = n->list.v[j];
	}
	n->list.n = kept;
}

void dns_names_make(const struct model *m, struct dns_names *out)
{
	char buf[DNS_FAULT];

	memset(out, 0, sizeof(*out));
	if (!m->zone)
		return;
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			struct dns_name one = { .tenant = t, .mapping = mapping };

			if (!t->name || !is_called(mapping))
				continue;
			one.shared[addr_family(&mapping->fixed)] = mapping->shared;
			if (dns_fault(t->name, mapping->name, buf))
				*vec_push(&out->bad) = one;
			else
				*vec_push(&out->list) = one;
		}
	}
	vec_sort(&out->bad, name_cmp);
	vec_sort(&out->list, name_cmp);
	merge_families(out);
	part_twice(out);
}

void dns_names_free(struct dns_names *n)
{
	vec_free(&n->list);
	vec_free(&n->bad);
	vec_free(&n->twice);
}

const char *dns_label(const struct dns_name *n, char buf[DNS_LABEL_MAX + 1])
{
	snprintf(buf, DNS_LABEL_MAX + 1, "%s-%s", n->tenant->name, n->mapping->name);
	dns_lower(buf);
	return buf;
}

/* ------------------------------------------------------------ and back */

/* The length of the label before the zone; 0: the word is no name of it. */
static size_t label_length(const char *zone, const char *word)
{
	size_t n = strlen(word), z = strlen(zone);

	n -= n && word[n - 1] == '.';
	if (n < z + 2 || strncasecmp(word + n - z, zone, z) != 0 || word[n - z - 1] != '.')
		return 0;
	return n - z - 1;
}

const struct tenant *dns_find(const struct model *m, const char *word, const char **mapping)
{
	size_t n = m->zone ? label_length(m->zone, word) : 0;
	const struct tenant *found = NULL;
	char label[DNS_LABEL_MAX + 1];

	if (!n || n > DNS_LABEL_MAX)
		return NULL;
	snprintf(label, sizeof(label), "%.*s", (int)n, word);
	vec_each (t, &m->tenants) {
		const char *rest = dns_rest(label, t->name);

		for (size_t i = 0; rest && i < t->mappings.n; i++) {
			const char *name = t->mappings.v[i].name;

			if (!is_called(&t->mappings.v[i]) || strcasecmp(name, rest) != 0)
				continue;
			/* nobody's, if it is of several */
			if (found && !is_same_mapping(found, *mapping, t, name))
				return NULL;
			found = t;
			*mapping = name;
		}
	}
	return found;
}
