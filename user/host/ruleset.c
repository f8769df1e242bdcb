/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/ruleset.h"

#include <linux/netfilter/xt_connmark.h>

#include "host/ruleset_internal.h"

/* The kernel's own limit of nested jumps (NFT_JUMP_STACK_SIZE). */
#define DEPTH_MAX 16

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

bool ruleset_hit_same(const struct ruleset_hit *a, const struct ruleset_hit *b)
{
	return a->effect == b->effect && a->handle == b->handle &&
	       strcmp(a->family, b->family) == 0 && strcmp(a->table, b->table) == 0 &&
	       strcmp(a->base, b->base) == 0 && strcmp(a->chain, b->chain) == 0;
}

static struct ruleset_hit *find_hit(struct ruleset_hits *hits, const struct ruleset_hit *like)
{
	vec_each (h, &hits->list) {
		if (ruleset_hit_same(h, like))
			return h;
	}
	return NULL;
}

void ruleset_hits_take(struct ruleset_hits *to, struct ruleset_hits *from)
{
	vec_each (h, &from->list) {
		struct ruleset_hit *had = find_hit(to, h);

		if (h->effect == RULESET_DROP && !h->sure)
			continue;
		if (had) {
			had->sure |= h->sure;
			continue;
		}
		*vec_push(&to->list) = *h;
		*h = (struct ruleset_hit){ .effect = RULESET_DROP };
	}
	for (size_t six = 0; six < ARRAY_SIZE(to->of); six++) {
		to->of[six].paths += from->of[six].paths;
		to->of[six].untracked += from->of[six].untracked;
		to->of[six].stateful |= from->of[six].stateful;
	}
}

void ruleset_hit_text(const struct ruleset_hit *h, char *text, size_t size)
{
	size_t n = snprintf(text, size, "`%s` in the chain %s of table %s %s", h->statement,
			    h->chain, h->family, h->table);

	if (h->handle && n < size)
		snprintf(text + n, size - n, " (handle %lld)", (long long)h->handle);
}

/* Where the kernel enters it. */
bool ruleset_hit_is_of_iptables(const struct ruleset_hit *h)
{
	static const char *const tables[] = { "filter", "nat", "mangle", "raw" };
	static const char *const chains[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT",
					      "POSTROUTING" };
	bool table = false, chain = false;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		table |= strcmp(h->table, tables[i]) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		chain |= strcmp(h->base, chains[i]) == 0;
	return table && chain && strcmp(h->family, "inet") != 0;
}

/* The rule for one direction: gives its length. */
static size_t past_one(const struct ruleset_hit *h, const char *enter, bool six, const char *from,
		       const char *to, char *text, size_t size)
{
	const char *ip = six ? "ip6" : "ip";

	if (ruleset_hit_is_of_iptables(h))
		return snprintf(text, size, "%s%stables -t %s -I %s%s%s%s%s -j ACCEPT", enter, ip,
				h->table, h->base, from ? " -s " : "", from ?: "", to ? " -d " : "",
				to ?: "");
	if (from && to)
		return snprintf(text, size,
				"%snft insert rule %s %s %s %s saddr '{ %s }' %s daddr '{ %s }' "
				"accept",
				enter, h->family, h->table, h->base, ip, from, ip, to);
	return snprintf(text, size, "%snft insert rule %s %s %s %s %caddr '{ %s }' accept", enter,
			h->family, h->table, h->base, ip, from ? 's' : 'd', from ?: to);
}

const char *ruleset_past(const struct ruleset_hit *h, const char *enter, bool six, const char *one,
			 const char *other, char buf[RULESET_PAST])
{
	size_t n = past_one(h, enter, six, one, other, buf, RULESET_PAST);

	if (n < RULESET_PAST)
		n += snprintf(buf + n, RULESET_PAST - n, "; ");
	if (n < RULESET_PAST)
		past_one(h, enter, six, other, one, buf + n, RULESET_PAST - n);
	return buf;
}

/* ------------------------------------------------------------ the list */

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
		enum tri holds =
			ruleset_left_is(w, json_object_get(vmap, "key"), json_array_get(pair, 0));
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
		return least(m, ruleset_match(w, value));
	if (one_of(name, "limit", "quota", "ct count"))
		return least(m, MAYBE);
	if (strcmp(name, "xt") == 0 && !target && strcmp(what, "conntrack") == 0)
		return least(m, ruleset_conntrack_is(w, value));
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

enum { HOOKS_MAX = 3 };

/* Those that the kernel goes through, in turn. */
static const char *const *hooks_of(const struct ruleset_path *path)
{
	static const char *const forwarded[HOOKS_MAX] = { "prerouting", "forward", "postrouting" };
	static const char *const received[HOOKS_MAX] = { "prerouting", "input", "" };
	static const char *const sent[HOOKS_MAX] = { "output", "postrouting", "" };

	return !path->itself ? forwarded : path->in.n ? received : sent;
}

/* When the kernel enters the chain; -1: not with these packets. */
static int turn_of(const json_t *chain, const struct ruleset_path *path)
{
	const char *family = text_of(chain, "family"), *hook = text_of(chain, "hook");

	if (strcmp(family, "inet") != 0 && strcmp(family, path->six ? "ip6" : "ip") != 0)
		return -1;
	for (int i = 0; i < HOOKS_MAX; i++) {
		if (hook[0] && strcmp(hook, hooks_of(path)[i]) == 0)
			return i;
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
