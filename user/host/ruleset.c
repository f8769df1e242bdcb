/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/ruleset.h"

/* before the kernel's, which then leave out what it has */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>

/* The kernel's own limit of nested jumps (NFT_JUMP_STACK_SIZE). */
#define DEPTH_MAX 16

/* Whether something holds for packets of the path: for none, for some or nobody knows, for all. */
enum tri { NO, MAYBE, YES };

static enum tri least(enum tri a, enum tri b)
{
	return a < b ? a : b;
}

static enum tri most(enum tri a, enum tri b)
{
	return a > b ? a : b;
}

/* Of those that `a` says, the ones without those that `b` says. */
static enum tri without(enum tri a, enum tri b)
{
	return b == YES ? NO : b == MAYBE ? least(a, MAYBE) : a;
}

void ruleset_path_free(struct ruleset_path *path)
{
	vec_free(&path->in);
	vec_free(&path->out);
	vec_free(&path->src);
	vec_free(&path->dst);
}

void ruleset_hits_free(struct ruleset_hits *hits)
{
	vec_each (h, &hits->list) {
		free(h->family);
		free(h->table);
		free(h->base);
		free(h->chain);
		free(h->statement);
	}
	vec_free(&hits->list);
}

/* What rules before have done to the packets. */
struct packet {
	enum tri dnat;	    /* its destination was translated */
	enum tri untracked; /* conntrack knows nothing of it */
	uint32_t mark;
	uint32_t known;	  /* bits of the mark that are known */
	bool has_ct_mark; /* a new flow has none, until somebody saves it */
};

void ruleset_hit_text(const struct ruleset_hit *h, char *text, size_t size)
{
	size_t n = snprintf(text, size, "`%s` in the chain %s of table %s %s", h->statement,
			    h->chain, h->family, h->table);

	if (h->handle && n < size)
		snprintf(text + n, size - n, " (handle %lld)", (long long)h->handle);
}

/* ------------------------------------------------------------ the list */

struct walk {
	const json_t *ruleset;
	struct packet *packet;
	bool nat; /* the chain is one of NAT, which asks of tracked packets alone */
	const struct ruleset_path *path;
	struct ruleset_hits *hits;
	const char *family;
	const char *table;
	const char *base;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The chains, rules or sets of the list, one after the other; NULL after the last. */
static const json_t *next_of(const json_t *ruleset, const char *kind, size_t *i)
{
	const json_t *list = json_object_get(ruleset, "nftables");

	while (*i < json_array_size(list)) {
		const json_t *o = json_object_get(json_array_get(list, (*i)++), kind);

		if (o)
			return o;
	}
	return NULL;
}

static bool in_table(const struct walk *w, const json_t *object)
{
	return strcmp(text_of(object, "family"), w->family) == 0 &&
	       strcmp(text_of(object, "table"), w->table) == 0;
}

static void hit(struct walk *w, enum ruleset_effect effect, enum tri sure, const char *chain,
		const char *statement, json_int_t handle)
{
	struct ruleset_hit *new;

	if (sure == NO)
		return;
	vec_each (h, &w->hits->list) {
		if (h->effect == effect && h->handle == handle &&
		    strcmp(h->family, w->family) == 0 && strcmp(h->table, w->table) == 0 &&
		    strcmp(h->base, w->base) == 0 && strcmp(h->chain, chain) == 0) {
			h->sure |= sure == YES;
			return;
		}
	}
	new = vec_push(&w->hits->list);
	new->effect = effect;
	new->sure = sure == YES;
	new->family = xstrdup(w->family);
	new->table = xstrdup(w->table);
	new->base = xstrdup(w->base);
	new->chain = xstrdup(chain);
	new->statement = xstrdup(statement);
	new->handle = handle;
}

/* ------------------------------------------------------------ matches */

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

static enum tri meta_is(const struct walk *w, const char *key, const json_t *right)
{
	const struct ruleset_path *path = w->path;

	if (strcmp(key, "mark") == 0)
		return mark_is(w->packet, UINT32_MAX, right);
	if (strcmp(key, "iifname") == 0 || strcmp(key, "iif") == 0)
		return names_are(w, path->in.v, path->in.n, right);
	if (strcmp(key, "oifname") == 0 || strcmp(key, "oif") == 0)
		return names_are(w, path->out.v, path->out.n, right);
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

static enum tri left_is(const struct walk *w, const json_t *left, const json_t *right)
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
static enum tri conntrack_is(const struct walk *w, const json_t *xt)
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

static enum tri match(const struct walk *w, const json_t *m)
{
	const json_t *left = json_object_get(m, "left"),
		     *payload = json_object_get(left, "payload");
	enum tri holds = left_is(w, left, json_object_get(m, "right"));
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

/* ------------------------------------------------------------ rules */

/* Where a walk through a chain stands. */
struct place {
	const char *chain;
	json_int_t handle;
	int depth;
	enum tri here;	   /* whether packets come to this rule */
	enum tri returned; /* whether some left the chain by `return` */
};

static enum tri walk_chain(struct walk *w, const char *chain, enum tri reach, int depth);

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(word, list[i]) == 0)
			return true;
	}
	return false;
}
#define one_of(word, ...)                                     \
	is_one_of(word, (const char *const[]){ __VA_ARGS__ }, \
		  ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static void jump(struct walk *w, struct place *p, enum tri m, const char *target, bool back)
{
	enum tri out = walk_chain(w, target, least(p->here, m), p->depth + 1);

	if (!back) {
		p->returned = most(p->returned, out);
		p->here = without(p->here, m);
	} else if (m == YES) {
		p->here = out;
	} else if (m == MAYBE && out != YES && p->here != NO) {
		p->here = MAYBE;
	}
}

/* A statement that ends the walk, or sends it elsewhere: `name` with its arguments. */
static void verdict(struct walk *w, struct place *p, enum tri m, const char *name,
		    const json_t *value)
{
	enum tri reach = least(p->here, m);

	if (one_of(name, "jump", "goto")) {
		jump(w, p, m, text_of(value, "target"), name[0] == 'j');
		return;
	}
	if (one_of(name, "dnat", "redirect", "DNAT", "REDIRECT", "NETMAP"))
		w->packet->dnat = most(w->packet->dnat, without(reach, w->packet->untracked));
	if (one_of(name, "masquerade", "snat", "dnat", "redirect", "MASQUERADE", "SNAT", "DNAT",
		   "REDIRECT", "NETMAP"))
		hit(w, RULESET_NAT, without(reach, w->packet->untracked), p->chain, name,
		    p->handle);
	else if (one_of(name, "drop", "reject", "REJECT") && reach == YES)
		hit(w, RULESET_DROP, reach, p->chain, name, p->handle);
	else if (strcmp(name, "return") == 0)
		p->returned = most(p->returned, reach);
	p->here = without(p->here, m);
}

/* What a value decides: {"vmap": {"key": …, "data": {"set": [[value, {"accept": null}], …]}}} */
static void verdict_map(struct walk *w, struct place *p, enum tri m, const json_t *vmap)
{
	const json_t *data = json_object_get(json_object_get(vmap, "data"), "set");

	for (size_t i = 0; i < json_array_size(data); i++) {
		const json_t *pair = json_array_get(data, i);
		json_t *choice = json_array_get(pair, 1);
		enum tri holds = left_is(w, json_object_get(vmap, "key"), json_array_get(pair, 0));
		const char *name;
		json_t *value;

		json_object_foreach(choice, name, value)
			verdict(w, p, least(m, holds), name, value);
	}
	if (!json_is_array(data))
		p->here = without(p->here, least(m, MAYBE));
}

static bool sets_zone(const json_t *mangle)
{
	const json_t *ct = json_object_get(json_object_get(mangle, "key"), "ct");

	return ct && strcmp(text_of(ct, "key"), "zone") == 0;
}

static void set_mark(struct packet *p, enum tri reach, uint32_t mask, uint32_t mark)
{
	uint32_t new = (p->mark & ~mask) ^ mark;

	if (reach == YES) {
		p->mark = new;
		p->known |= mask;
	} else if (reach == MAYBE) {
		p->known &= ~(p->mark ^ new);
	}
}

static void forget_mark(struct packet *p, enum tri reach)
{
	if (reach != NO)
		p->known = 0;
}

static const json_t *mark_of(const json_t *mangle, const char *whose)
{
	const json_t *key = json_object_get(json_object_get(mangle, "key"), whose);

	return strcmp(text_of(key, "key"), "mark") == 0 ? json_object_get(mangle, "value") : NULL;
}

static void mangle(struct walk *w, enum tri reach, const json_t *value)
{
	const json_t *mark = mark_of(value, "meta");

	if (json_is_integer(mark))
		set_mark(w->packet, reach, UINT32_MAX, json_integer_value(mark));
	else if (mark)
		forget_mark(w->packet, reach);
	if (mark_of(value, "ct") && reach != NO)
		w->packet->has_ct_mark = true;
}

/* Targets of iptables that change what later rules ask for. */
static void target_mark(struct walk *w, enum tri reach, const json_t *xt)
{
	const char *name = text_of(xt, "name");
	const json_t *mark = json_object_get(xt, "mark"), *mode = json_object_get(xt, "mode");

	if (strcmp(name, "MARK") == 0 && mark)
		set_mark(w->packet, reach, json_integer_value(json_object_get(xt, "mask")),
			 json_integer_value(mark));
	else if (strcmp(name, "MARK") == 0 ||
		 (strcmp(name, "CONNMARK") == 0 &&
		  (!mode ||
		   (json_integer_value(mode) == XT_CONNMARK_RESTORE && w->packet->has_ct_mark))))
		forget_mark(w->packet, reach);
	else if (strcmp(name, "CONNMARK") == 0 && json_integer_value(mode) != XT_CONNMARK_RESTORE &&
		 reach != NO)
		w->packet->has_ct_mark = true;
}

/* One part of a rule; gives how far its matches hold until there. */
static enum tri part(struct walk *w, struct place *p, enum tri m, const char *name,
		     const json_t *value)
{
	const char *what = text_of(value, "name");
	bool target = strcmp(text_of(value, "type"), "target") == 0;

	if (strcmp(name, "match") == 0)
		return least(m, match(w, value));
	if (one_of(name, "limit", "quota", "ct count"))
		return least(m, MAYBE);
	if (strcmp(name, "xt") == 0 && !target && strcmp(what, "conntrack") == 0)
		return least(m, conntrack_is(w, value));
	if (strcmp(name, "xt") == 0 && !target)
		return strcmp(what, "comment") == 0 ? m : least(m, MAYBE);
	if (strcmp(name, "xt") == 0 && one_of(what, "MARK", "CONNMARK"))
		target_mark(w, least(p->here, m), value);
	if (strcmp(name, "mangle") == 0)
		mangle(w, least(p->here, m), value);
	if (strcmp(name, "notrack") == 0 || strcmp(what, "NOTRACK") == 0 ||
	    json_integer_value(json_object_get(value, "notrack")))
		w->packet->untracked = most(w->packet->untracked, least(p->here, m));
	if (strcmp(name, "notrack") == 0 ||
	    (strcmp(name, "xt") == 0 && one_of(what, "CT", "NOTRACK")))
		hit(w, RULESET_UNTRACKED, least(p->here, m), p->chain, *what ? what : name,
		    p->handle);
	else if (strcmp(name, "mangle") == 0 && sets_zone(value))
		hit(w, RULESET_UNTRACKED, least(p->here, m), p->chain, "ct zone set", p->handle);
	else if (strcmp(name, "vmap") == 0)
		verdict_map(w, p, m, value);
	else if (one_of(name, "accept", "drop", "reject", "return", "jump", "goto", "queue",
			"masquerade", "snat", "dnat", "redirect"))
		verdict(w, p, m, name, value);
	else if (strcmp(name, "xt") == 0 &&
		 one_of(what, "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "REJECT"))
		verdict(w, p, m, what, value);
	return m;
}

static enum tri walk_chain(struct walk *w, const char *chain, enum tri reach, int depth)
{
	struct place p = { .chain = chain, .depth = depth, .here = reach, .returned = NO };
	const json_t *rule;
	size_t i = 0;

	while (depth <= DEPTH_MAX && p.here != NO && (rule = next_of(w->ruleset, "rule", &i))) {
		json_t *parts = json_object_get(rule, "expr");
		enum tri m = YES;

		if (!in_table(w, rule) || strcmp(text_of(rule, "chain"), chain) != 0)
			continue;
		p.handle = json_integer_value(json_object_get(rule, "handle"));
		for (size_t k = 0; k < json_array_size(parts) && m != NO; k++) {
			json_t *value;
			const char *name;

			json_object_foreach(json_array_get(parts, k), name, value) m =
				part(w, &p, m, name, value);
		}
	}
	return most(p.here, p.returned);
}

static const char *const hooks_in_order[] = { "prerouting", "forward", "postrouting" };

/* When the kernel enters the chain; -1: not with these packets. */
static int turn_of(const json_t *chain, const struct ruleset_path *path)
{
	const char *family = text_of(chain, "family");

	if (strcmp(family, "inet") != 0 && strcmp(family, path->six ? "ip6" : "ip") != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(hooks_in_order); i++) {
		if (strcmp(text_of(chain, "hook"), hooks_in_order[i]) == 0)
			return (int)i;
	}
	return -1;
}

struct entry {
	const json_t *chain;
	int turn;
	json_int_t priority;
	size_t place; /* in the list, which is the kernel's order among equals */
};

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->turn != y->turn)
		return x->turn < y->turn ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void enter(const struct entry *e, const json_t *ruleset, const struct ruleset_path *path,
		  struct packet *packet, struct ruleset_hits *out)
{
	struct walk w = { .ruleset = ruleset,
			  .packet = packet,
			  .nat = strcmp(text_of(e->chain, "type"), "nat") == 0,
			  .path = path,
			  .hits = out,
			  .family = text_of(e->chain, "family"),
			  .table = text_of(e->chain, "table"),
			  .base = text_of(e->chain, "name") };
	/* what is not tracked does not come to NAT */
	enum tri end = walk_chain(&w, w.base, w.nat ? without(YES, packet->untracked) : YES, 0);

	if (strcmp(text_of(e->chain, "policy"), "drop") == 0)
		hit(&w, RULESET_DROP, end, w.base, "policy drop", 0);
}

void ruleset_judge(const json_t *ruleset, const struct ruleset_path *path, struct ruleset_hits *out)
{
	struct packet packet = { .known = UINT32_MAX };
	VEC(struct entry) entries = { 0 };
	const json_t *chain;
	size_t i = 0;

	while ((chain = next_of(ruleset, "chain", &i))) {
		int turn = turn_of(chain, path);

		if (turn >= 0)
			*vec_push(&entries) = (struct entry){
				chain, turn, json_integer_value(json_object_get(chain, "prio")), i
			};
	}
	vec_sort(&entries, entry_cmp);
	vec_each (e, &entries)
		enter(e, ruleset, path, &packet, out);
	vec_free(&entries);
	out->of[path->six].paths++;
	out->of[path->six].untracked += packet.untracked == YES;
}

/* ------------------------------------------------------------ forwarding */

static bool has_rules(const json_t *ruleset, const json_t *chain)
{
	const json_t *rule;
	size_t i = 0;

	while ((rule = next_of(ruleset, "rule", &i))) {
		if (strcmp(text_of(rule, "family"), text_of(chain, "family")) == 0 &&
		    strcmp(text_of(rule, "table"), text_of(chain, "table")) == 0 &&
		    strcmp(text_of(rule, "chain"), text_of(chain, "name")) == 0)
			return true;
	}
	return false;
}

bool ruleset_sees_forwarded(const json_t *ruleset)
{
	static const char *const hooks[] = { "ingress", "prerouting", "forward", "postrouting",
					     "egress" };
	static const char *const families[] = { "ip", "ip6", "inet", "netdev" };
	const json_t *chain;
	size_t i = 0;

	while ((chain = next_of(ruleset, "chain", &i))) {
		if (is_one_of(text_of(chain, "hook"), hooks, ARRAY_SIZE(hooks)) &&
		    is_one_of(text_of(chain, "family"), families, ARRAY_SIZE(families)) &&
		    (strcmp(text_of(chain, "policy"), "drop") == 0 || has_rules(ruleset, chain)))
			return true;
	}
	return false;
}
