/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a match of a rule holds for the packets of a path. */
#include "host/ruleset_internal.h"

/* before the kernel's, which then leave out what it has */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>

/* How protocols are called in lists: as the value of a match, and what a match is about. */
static const struct protocol {
	uint8_t number;
	bool ports;
	const char *name;
	const char *match;
} protocols[] = {
	{ 1, false, "icmp", "icmp" },  { 6, true, "tcp", "tcp" },
	{ 17, true, "udp", "udp" },    { 33, true, "dccp", "dccp" },
	{ 47, false, "gre", "gre" },   { 50, false, "esp", "esp" },
	{ 51, false, "ah", "ah" },     { 58, false, "ipv6-icmp", "icmpv6" },
	{ 132, true, "sctp", "sctp" }, { 136, true, "udplite", "udplite" },
};

static const struct protocol *protocol_of(uint8_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (protocols[i].number == number)
			return &protocols[i];
	}
	return NULL;
}

static bool is_protocol(const char *match)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (strcmp(protocols[i].match, match) == 0)
			return true;
	}
	return false;
}

/* Something about a packet that a rule can ask for. */
struct subject {
	const char *name;	     /* an interface, or another word; NULL: */
	const struct prefix *prefix; /* one of these addresses; NULL: */
	json_int_t number;	     /* a port */
};

static enum tri name_is(const char *name, const char *pattern)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return strncmp(name, pattern, n - 1) == 0 ? YES : NO;
	return strcmp(name, pattern) == 0 ? YES : NO;
}

static enum tri within(const struct prefix *p, const struct tn_addr *first,
		       const struct tn_addr *last)
{
	struct tn_addr end = prefix_last(p);

	if (addr_is_v4(&p->addr) != addr_is_v4(first) || addr_cmp(&end, first) < 0 ||
	    addr_cmp(last, &p->addr) < 0)
		return NO;
	return addr_cmp(first, &p->addr) <= 0 && addr_cmp(&end, last) <= 0 ? YES : MAYBE;
}

/* "10.0.0.5", or {"prefix": {"addr": "10.0.0.0", "len": 24}}, or {"range": [first, last]} */
static enum tri prefix_is(const struct prefix *p, const json_t *value)
{
	const json_t *prefix = json_object_get(value, "prefix");
	const json_t *range = json_object_get(value, "range");
	const char *one = json_string_value(value);
	struct tn_addr first, last;
	char text[ADDR_TEXT + 24];
	struct prefix q;

	if (prefix) {
		snprintf(text, sizeof(text), "%s/%d", text_of(prefix, "addr"),
			 (int)json_integer_value(json_object_get(prefix, "len")));
		if (!prefix_parse(text, &q))
			return MAYBE;
		first = q.addr;
		last = prefix_last(&q);
	} else if (range) {
		const char *from = json_string_value(json_array_get(range, 0));
		const char *to = json_string_value(json_array_get(range, 1));

		if (!from || !to || !addr_parse(from, &first) || !addr_parse(to, &last))
			return MAYBE;
	} else if (one && addr_parse(one, &first)) {
		last = first;
	} else {
		return MAYBE;
	}
	return within(p, &first, &last);
}

/* 22, or {"range": [8000, 8099]} */
static enum tri number_is(json_int_t number, const json_t *value)
{
	const json_t *range = json_object_get(value, "range");

	if (json_is_integer(value))
		return json_integer_value(value) == number ? YES : NO;
	if (!json_is_integer(json_array_get(range, 0)) ||
	    !json_is_integer(json_array_get(range, 1)))
		return MAYBE;
	return json_integer_value(json_array_get(range, 0)) <= number &&
			       number <= json_integer_value(json_array_get(range, 1))
		       ? YES
		       : NO;
}

static const json_t *set_of(const struct walk *w, const char *name)
{
	const json_t *set;
	size_t i = 0;

	while ((set = next_of(w->ruleset, "set", &i))) {
		if (in_table(w, set) && strcmp(text_of(set, "name"), name) == 0)
			return json_object_get(set, "elem") ?: json_object_get(set, "name");
	}
	return NULL;
}

/* Whether it is one of what stands at the right of a match. */
static enum tri is(const struct walk *w, const struct subject *s, const json_t *value)
{
	const char *text = json_string_value(value);
	const json_t *list = json_is_array(value) ? value : json_object_get(value, "set");
	const json_t *elem = json_object_get(value, "elem");
	enum tri found = NO;

	if (text && text[0] == '@') {
		list = set_of(w, text + 1);
		if (!list)
			return MAYBE;
		/* a set without elements has none that it could be */
		return json_is_array(list) ? is(w, s, list) : NO;
	}
	if (json_is_array(list)) {
		for (size_t i = 0; i < json_array_size(list); i++)
			found = most(found, is(w, s, json_array_get(list, i)));
		return found;
	}
	if (elem)
		return is(w, s, json_object_get(elem, "val"));
	if (s->name)
		return text ? name_is(s->name, text) : MAYBE;
	return s->prefix ? prefix_is(s->prefix, value) : number_is(s->number, value);
}

/* For all of them, for none, or for some. */
static enum tri all_of(bool first, enum tri so_far, enum tri next)
{
	return first || so_far == next ? next : MAYBE;
}

static enum tri names_are(const struct walk *w, const char *const *v, size_t n, const json_t *right)
{
	enum tri out = MAYBE;

	for (size_t i = 0; i < n; i++) {
		struct subject s = { .name = v[i] };

		out = all_of(i == 0, out, is(w, &s, right));
	}
	return out;
}

static enum tri prefixes_are(const struct walk *w, const struct prefix *v, size_t n,
			     const json_t *right)
{
	enum tri out = MAYBE;

	for (size_t i = 0; i < n; i++) {
		struct subject s = { .prefix = &v[i] };

		out = all_of(i == 0, out, is(w, &s, right));
	}
	return out;
}

static enum tri word_is(const struct walk *w, const char *word, const json_t *right)
{
	return names_are(w, &word, 1, right);
}

/* 7, or {"prefix": {"addr": 0x4000000, "len": 16}}: which bits have to be what; false: other. */
static bool bits_of(const json_t *value, uint32_t *bits, uint32_t *mask)
{
	const json_t *prefix = json_object_get(value, "prefix");
	const json_t *number = prefix ? json_object_get(prefix, "addr") : value;
	json_int_t len = prefix ? json_integer_value(json_object_get(prefix, "len")) : 32;

	if (!json_is_integer(number) || len < 1 || len > 32)
		return false;
	*bits = json_integer_value(number);
	*mask &= UINT32_MAX << (32 - len);
	return true;
}

static enum tri mark_is(const struct packet *p, uint32_t mask, const json_t *right)
{
	uint32_t bits;

	if (!bits_of(right, &bits, &mask))
		return MAYBE;
	if ((p->mark ^ bits) & mask & p->known)
		return NO;
	return mask & ~p->known ? MAYBE : bits & ~mask ? NO : YES;
}

static enum tri ct_mark_is(const struct packet *p, uint32_t mask, const json_t *right)
{
	const struct packet none = { .known = UINT32_MAX };

	return p->has_ct_mark ? MAYBE : mark_is(&none, mask, right);
}

/* Listed by its name or its number: either way, the other does not say. */
static enum tri protocol_is(const struct walk *w, const json_t *right)
{
	const struct protocol *p = protocol_of(w->path->proto);
	struct subject s = { .number = w->path->proto };
	enum tri number = is(w, &s, right), name = p ? word_is(w, p->name, right) : MAYBE;

	if (!w->path->proto)
		return MAYBE;
	return name == YES || number == YES ? YES : least(name, number);
}

/* What the router receives leaves by none, and what it sends comes by none. */
static enum tri interfaces_are(const struct walk *w, const char *const *v, size_t n,
			       const json_t *right)
{
	return w->path->itself && !n ? NO : names_are(w, v, n, right);
}

static enum tri meta_is(const struct walk *w, const char *key, const json_t *right)
{
	const struct ruleset_path *path = w->path;

	if (strcmp(key, "mark") == 0)
		return mark_is(w->packet, UINT32_MAX, right);
	if (strcmp(key, "iifname") == 0 || strcmp(key, "iif") == 0)
		return interfaces_are(w, path->in.v, path->in.n, right);
	if (strcmp(key, "oifname") == 0 || strcmp(key, "oif") == 0)
		return interfaces_are(w, path->out.v, path->out.n, right);
	if (strcmp(key, "nfproto") == 0)
		return word_is(w, path->six ? "ipv6" : "ipv4", right);
	if (strcmp(key, "l4proto") == 0)
		return protocol_is(w, right);
	return MAYBE;
}

/* Of a header behind that of IP. */
static enum tri l4_is(const struct walk *w, const char *protocol, const char *field,
		      const json_t *right)
{
	const struct ruleset_path *path = w->path;
	const struct protocol *p = protocol_of(path->proto);
	struct subject s = { 0 };

	if (!path->proto)
		return MAYBE;
	if (strcmp(protocol, "th") != 0 && (!p || strcmp(protocol, p->match) != 0))
		return is_protocol(protocol) ? NO : MAYBE;
	if (!p || !p->ports || (strcmp(field, "sport") != 0 && strcmp(field, "dport") != 0))
		return MAYBE;
	s.number = field[0] == 's' ? path->sport : path->dport;
	return is(w, &s, right);
}

static enum tri payload_is(const struct walk *w, const json_t *payload, const json_t *right)
{
	const char *protocol = text_of(payload, "protocol"), *field = text_of(payload, "field");
	const struct ruleset_path *path = w->path;
	bool six = strcmp(protocol, "ip6") == 0;

	if (!six && strcmp(protocol, "ip") != 0)
		return l4_is(w, protocol, field, right);
	if (six != path->six)
		return NO;
	if (strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0)
		return protocol_is(w, right);
	if (strcmp(field, "saddr") == 0)
		return prefixes_are(w, path->src.v, path->src.n, right);
	if (strcmp(field, "daddr") == 0)
		return prefixes_are(w, path->dst.v, path->dst.n, right);
	return MAYBE;
}

/* Whoever asks for the state of packets that are not tracked gets another answer. */
static void note_stateful(const struct walk *w)
{
	if (!w->nat)
		w->hits->of[w->path->six].stateful = true;
}

static enum tri ct_is(const struct walk *w, const char *key, const json_t *right)
{
	const struct packet *p = w->packet;
	const char *text = json_string_value(right);

	if (strcmp(key, "mark") == 0)
		return ct_mark_is(p, UINT32_MAX, right);
	if (strcmp(key, "status") == 0)
		return text && strcmp(text, "dnat") == 0 ? p->dnat : MAYBE;
	if (strcmp(key, "state") != 0)
		return MAYBE;
	note_stateful(w);
	if (p->untracked == MAYBE)
		return MAYBE;
	return word_is(w, p->untracked == YES ? "untracked" : "new", right);
}

/* {"&": [{"meta": {"key": "mark"}}, 65535]} */
static enum tri masked_is(const struct walk *w, const json_t *operands, const json_t *right)
{
	const json_t *of = json_array_get(operands, 0), *mask = json_array_get(operands, 1);
	const char *meta = text_of(json_object_get(of, "meta"), "key");
	const char *ct = text_of(json_object_get(of, "ct"), "key");

	if (!json_is_integer(mask))
		return MAYBE;
	if (strcmp(meta, "mark") == 0)
		return mark_is(w->packet, json_integer_value(mask), right);
	return strcmp(ct, "mark") == 0 ? ct_mark_is(w->packet, json_integer_value(mask), right)
				       : MAYBE;
}

enum tri ruleset_left_is(const struct walk *w, const json_t *left, const json_t *right)
{
	const json_t *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct");
	const json_t *payload = json_object_get(left, "payload");

	if (meta)
		return meta_is(w, text_of(meta, "key"), right);
	if (payload)
		return payload_is(w, payload, right);
	if (ct)
		return ct_is(w, text_of(ct, "key"), right);
	if (json_object_get(left, "&"))
		return masked_is(w, json_object_get(left, "&"), right);
	return MAYBE;
}

/* The match `conntrack` of iptables, if it is about the state of packets and nothing else. */
enum tri ruleset_conntrack_is(const struct walk *w, const json_t *xt)
{
	json_int_t state = json_integer_value(json_object_get(xt, "state"));
	const struct packet *p = w->packet;
	enum tri holds = NO;

	note_stateful(w);
	if (json_integer_value(json_object_get(xt, "flags")) != XT_CONNTRACK_STATE)
		return MAYBE;
	if (state & XT_CONNTRACK_STATE_BIT(IP_CT_NEW))
		holds = most(holds, without(YES, p->untracked));
	if (state & XT_CONNTRACK_STATE_DNAT)
		holds = most(holds, p->dnat);
	if (state & XT_CONNTRACK_STATE_UNTRACKED)
		holds = most(holds, p->untracked);
	if (json_integer_value(json_object_get(xt, "invert")) & XT_CONNTRACK_STATE)
		return holds == YES ? NO : holds == NO ? YES : MAYBE;
	return holds;
}

static bool is_of_another_header(const struct walk *w, const char *protocol)
{
	const struct protocol *p = protocol_of(w->path->proto);

	if (strcmp(protocol, w->path->six ? "ip" : "ip6") == 0)
		return true;
	return w->path->proto && is_protocol(protocol) && (!p || strcmp(p->match, protocol) != 0);
}

enum tri ruleset_match(const struct walk *w, const json_t *m)
{
	const json_t *left = json_object_get(m, "left"),
		     *payload = json_object_get(left, "payload");
	enum tri holds = ruleset_left_is(w, left, json_object_get(m, "right"));
	const char *op = text_of(m, "op");

	if (strcmp(op, "==") == 0 || strcmp(op, "in") == 0)
		return holds;
	if (strcmp(op, "!=") != 0)
		return MAYBE;
	/* that a packet has another port or address of a header that it has not does not hold
	 * either
	 */
	if (payload && is_of_another_header(w, text_of(payload, "protocol")))
		return NO;
	return holds == YES ? NO : holds == NO ? YES : MAYBE;
}
