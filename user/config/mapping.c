/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads a mapping of a tenant, and its limit. */
#include "config/parse.h"

#include <inttypes.h>

#include "model/prefixes.h"

static void mapping_name(struct parse *p, const char *text, struct pos at)
{
	if (!mapping_name_valid(text)) {
		bad_name(p, "mapping", text, at);
		return;
	}
	last(&last(&p->model.tenants)->mappings)->name = xstrdup(text);
	last(&p->mappings)->name = at;
}

/* An address, or a prefix: of that the first address, and how long it is. */
static void take_side(struct parse *p, const char *text, struct pos at, struct tn_addr *out,
		      uint8_t *len)
{
	struct prefix prefix;

	*len = 128;
	if (!strchr(text, '/')) {
		take_addr(p, text, at, out);
	} else if (take_prefix(p, text, at, &prefix)) {
		*out = prefix.addr;
		*len = prefix.len;
	}
}

static void take_fixed(struct parse *p, const char *text, struct pos at)
{
	last(&p->mappings)->fixed = at;
	take_side(p, text, at, &last(&last(&p->model.tenants)->mappings)->fixed, &p->fixed_len);
}

static void take_shared(struct parse *p, const char *text, struct pos at)
{
	struct mapping *m = last(&last(&p->model.tenants)->mappings);

	last(&p->mappings)->shared = at;
	m->pinned = true;
	take_side(p, text, at, &m->shared, &p->shared_len);
}

static void take_except(struct parse *p, const char *text, struct pos at)
{
	struct mapping *m = last(&last(&p->model.tenants)->mappings);
	struct tn_addr a;

	if (!last(&p->mappings)->except.line)
		last(&p->mappings)->except = at;
	if (!take_addr(p, text, at, &a))
		return;
	m->except = m->except ? m->except : xzalloc(sizeof(*m->except));
	vec_each (other, &m->except->list) {
		if (addr_cmp(other, &a) == 0)
			complain(p, at, "`%s` is there twice; remove one of them", QUOTE(text));
	}
	*vec_push(&m->except->list) = a;
}

static void mapping_mac(struct parse *p, const char *text, struct pos at)
{
	struct mapping *m = last(&last(&p->model.tenants)->mappings);

	if (!mac_parse(text, m->mac))
		complain(p, at, "`%s` is no MAC address; write it like `fa:16:3e:00:00:05`",
			 QUOTE(text));
	else if (!mac_is_valid(m->mac))
		complain(p, at, "`%s` is %s, which no VM has; give the one of the VM's interface",
			 QUOTE(text),
			 mac_is_unset(m->mac) ? "no MAC address of anybody"
					      : "the MAC address of a group");
}

/* as tc(8) writes them */
const struct unit rate_units[RATE_UNITS] = {
	{ "bit", 1 },
	{ "kbit", 1000 },
	{ "mbit", 1000000 },
	{ "gbit", 1000000000 },
};
const struct unit size_units[SIZE_UNITS] = {
	{ "b", 1 },
	{ "kb", 1024 },
	{ "mb", 1048576 },
};

static struct limit *limit_of(struct parse *p)
{
	return &last(&last(&p->model.tenants)->mappings)->limit;
}

static void limit_rate(struct parse *p, const char *text, struct pos at)
{
	uint64_t bits;

	if (!amount_parse(text, rate_units, RATE_UNITS, &bits)) {
		complain(p, at,
			 "`%s` is no rate; write it like `100mbit`, in bit, kbit, mbit or gbit",
			 QUOTE(text));
		return;
	}
	limit_of(p)->rate = bits / 8;
	if (bits < 8000 || bits / 8 > LIMIT_RATE_MAX)
		complain(p, at, "the rate `%s` is not between 8kbit and 1000gbit; use another one",
			 QUOTE(text));
}

static void limit_burst(struct parse *p, const char *text, struct pos at)
{
	p->burst = at;
	if (!amount_parse(text, size_units, SIZE_UNITS, &limit_of(p)->burst))
		complain(p, at, "`%s` is no size; write it like `20mb`, in b, kb or mb",
			 QUOTE(text));
}

/* Called after the last key of the limit, because `rate` may come after `burst`. */
static void check_burst(struct parse *p, const struct limit *l)
{
	uint64_t least = limit_burst_least(l->rate);

	if (l->burst < least)
		complain(p, p->burst,
			 "the burst is below %" PRIu64 "kb, without which TCP does not reach that "
			 "rate; use at least that, or leave `burst` out",
			 (least + 1023) / 1024);
	else if (l->burst > LIMIT_BURST_MAX)
		complain(p, p->burst, "the burst is above %" PRIu64 "mb; use a smaller one",
			 LIMIT_BURST_MAX >> 20);
}

static void limit_packets(struct parse *p, const char *text, struct pos at)
{
	uint64_t *packets = &limit_of(p)->packets;

	if (!count_parse(text, packets) || !*packets || *packets > LIMIT_PACKETS_MAX)
		complain(p, at,
			 "`%s` is no number of packets a second; write it like `10000`, at least 1",
			 QUOTE(text));
}

enum { LIMIT_RATE, LIMIT_BURST, LIMIT_PACKETS };
static const struct key limit_keys[] = {
	[LIMIT_RATE] = { "rate", TEXT, 0, limit_rate, "rate: 100mbit", NULL },
	[LIMIT_BURST] = { "burst", TEXT, 0, limit_burst, "burst: 20mb", NULL },
	[LIMIT_PACKETS] = { "packets", TEXT, 0, limit_packets, "packets: 10000", NULL },
};
static const struct level limit_level = LEVEL("a limit", limit_keys);

static void mapping_limit(struct parse *p, const char *text, struct pos at)
{
	static const unsigned int rate = 1U << LIMIT_RATE, burst = 1U << LIMIT_BURST,
				  packets = 1U << LIMIT_PACKETS;
	struct seen seen = take_level(p, &limit_level);
	struct limit *l = limit_of(p);

	(void)text;
	if (!(~seen.given & (rate | burst)) && !(seen.bad & (rate | burst)))
		check_burst(p, l);
	if (seen.bad)
		return;
	if (!(seen.given & (rate | packets)))
		complain(p, at,
			 "the limit limits nothing; add `rate: 100mbit` or `packets: 10000`");
	else if (seen.given & burst && !l->rate)
		complain(p, at, "the limit has a `burst` and no `rate`; add `rate: 100mbit`");
	if (l->rate && !(seen.given & burst))
		l->burst = limit_burst_default(l->rate);
}

enum { MAPPING_NAME, MAPPING_FIXED, MAPPING_SHARED, MAPPING_EXCEPT, MAPPING_MAC, MAPPING_LIMIT };
static const struct key mapping_keys[] = {
	[MAPPING_NAME] = { "name", TEXT, 0, mapping_name, "name: db", NULL },
	[MAPPING_FIXED] = { "fixed", TEXT, REQUIRED, take_fixed, "fixed: 10.0.0.5", NULL },
	[MAPPING_SHARED] = { "shared", TEXT, 0, take_shared, "shared: 100.64.1.9", NULL },
	[MAPPING_EXCEPT] = { "except", TEXTS, MAY_BE_EMPTY, take_except, "except: [10.0.0.1]",
			     NULL },
	[MAPPING_MAC] = { "mac", TEXT, 0, mapping_mac, "mac: \"fa:16:3e:00:00:05\"", NULL },
	[MAPPING_LIMIT] = { "limit", MAP, 0, mapping_limit, "limit: {rate: 100mbit, burst: 20mb}",
			    &limit_level },
};
const struct level mapping_level = LEVEL("a mapping", mapping_keys);

/* What is said of a prefix, and of one address. */
static void check_sides(struct parse *p, struct mapping *m, struct seen seen)
{
	const struct mapping_at *at = last(&p->mappings);
	const unsigned int both = 1U << MAPPING_FIXED | 1U << MAPPING_SHARED;

	if (seen.bad & both || addr_is_unset(&m->fixed) || (m->pinned && addr_is_unset(&m->shared)))
		return;
	m->bits = (uint8_t)(128 - p->fixed_len);
	if (m->pinned && p->fixed_len != p->shared_len) {
		complain(p, at->shared,
			 "`%s` and `%s` are not of the same length; use as long a prefix", FIXED(m),
			 mapping_side_text(&m->shared, (uint8_t)(128 - p->shared_len),
					   (char[ADDR_TEXT]){ 0 }));
		m->shared = (struct tn_addr){ 0 };
	}
	if (!m->bits && m->except)
		complain(p, at->except,
			 "`%s` is one address, and has no exceptions; remove `except`", FIXED(m));
	if (m->bits && !mac_is_unset(m->mac))
		complain(p, at->fixed,
			 "`%s` is a prefix, and a MAC address is of one VM; remove `mac`, or give "
			 "that VM a mapping of its own",
			 FIXED(m));
	if (m->except)
		exceptions_sort(m->except);
}

void mappings_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	vec_push(&p->mappings);
	vec_push(&last(&p->model.tenants)->mappings)->pos = at;
	p->fixed_len = p->shared_len = 128;
	check_sides(p, last(&last(&p->model.tenants)->mappings), take_level(p, &mapping_level));
}
