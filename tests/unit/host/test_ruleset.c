/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules as libnftables says them (libnftables-json(5)), and what is found in them. The router
 * has the shared interface shared0 and the inside interfaces lan0 and lan1; the shared subnet
 * is 100.64.0.0/16 or fd64::/64, and 10.0.0.5 and fd00::5 are mapped.
 */
#include "../fixture.h"
#include "host/ruleset.h"

/* Laid out by hand: JSON is no C to the formatter. */
/* clang-format off */
#define AS_WRITTEN(...) #__VA_ARGS__
#define AS_TEXT(...) AS_WRITTEN(__VA_ARGS__)
#define CHAIN(table, name, hook, policy)                                                         \
	"{'chain': {'family': 'ip', 'table': '" table "', 'name': '" name "', 'hook': '" hook    \
	"', 'policy': '" policy "'}},"
#define NAT  CHAIN("nat", "post", "postrouting", "accept")
#define PRE  CHAIN("nat", "pre", "prerouting", "accept")
#define FILT CHAIN("filter", "fwd", "forward", "drop")
#define SUB(table, name) \
	"{'chain': {'family': 'ip', 'table': '" table "', 'name': '" name "'}},"
#define RULE(table, chain, handle, ...)                                                        \
	"{'rule': {'family': 'ip', 'table': '" table "', 'chain': '" chain                     \
	"', 'handle': " #handle ", 'expr': [" AS_TEXT(__VA_ARGS__) "]}},"
#define IS(left, ...) {'match': {'op': '==', 'left': left, 'right': __VA_ARGS__}}
#define ISNT(left, ...) {'match': {'op': '!=', 'left': left, 'right': __VA_ARGS__}}
#define IN(left, ...) {'match': {'op': 'in', 'left': left, 'right': [__VA_ARGS__]}}
#define META(key) {'meta': {'key': key}}
#define ADDRESS(key) {'payload': {'protocol': 'ip', 'field': key}}
#define PREFIX_OF(addr, length) {'prefix': {'addr': addr, 'len': length}}
#define STATE {'ct': {'key': 'state'}}
#define MASQUERADE {'masquerade': null}
#define XT(kind, name) {'xt': {'type': kind, 'name': name}}
#define TO(chain) {'jump': {'target': chain}}
#define GOTO(chain) {'goto': {'target': chain}}

/* clang-format on */
/* Of what is judged next: its protocol and destination port; 0: not known. */
static uint8_t proto;
static uint16_t dport;

static void add_way(struct ruleset_path *path, bool six, bool in)
{
	struct prefix subnet = prefix_of(six ? "fd64::/64" : "100.64.0.0/16");
	struct prefix fixed = prefix_of(six ? "fd00::5" : "10.0.0.5");

	path->six = six;
	path->proto = proto;
	path->sport = 40000;
	path->dport = dport;
	if (in) {
		*vec_push(&path->in) = "shared0";
		*vec_push(&path->out) = "lan0";
		*vec_push(&path->out) = "lan1";
	} else {
		*vec_push(&path->in) = "lan0";
		*vec_push(&path->in) = "lan1";
		*vec_push(&path->out) = "shared0";
	}
	*vec_push(&path->src) = in ? subnet : fixed;
	*vec_push(&path->dst) = in ? fixed : subnet;
}

/* To the router itself, or from it. */
static void add_own_way(struct ruleset_path *path, bool in)
{
	struct prefix subnet = prefix_of("100.64.0.0/16"), fixed = prefix_of("10.0.0.1");

	path->itself = true;
	path->proto = proto;
	path->sport = 40000;
	path->dport = dport;
	if (in)
		*vec_push(&path->in) = "shared0";
	else
		*vec_push(&path->out) = "shared0";
	*vec_push(&path->src) = in ? subnet : fixed;
	*vec_push(&path->dst) = in ? fixed : subnet;
}

/* "nat! ip nat post masquerade 4\n": effect, `!` for sure or `?`, where, what, handle */
static char *hits_text(const struct ruleset_hits *hits)
{
	static const char *const effects[] = {
		[RULESET_NAT] = "nat", [RULESET_DROP] = "drop", [RULESET_UNTRACKED] = "untracked"
	};
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	vec_each (h, &hits->list)
		fprintf(f, "%s%c %s %s %s %s %lld\n", effects[h->effect], h->sure ? '!' : '?',
			h->family, h->table, h->chain, h->statement, (long long)h->handle);
	fclose(f);
	return text;
}

/* Whose ways: those of VMs, in both families, or of the router itself. */
enum whose { OF_V4, OF_V6, OF_ITSELF };

/* `objects` with ' for ", and a comma behind each. */
static void found_by(enum whose whose, const char *objects, const char *want)
{
	_cleanup_free_ char *text = NULL;
	struct ruleset_hits hits = { 0 };
	json_error_t error;
	json_t *ruleset;

	cr_assert_gt(asprintf(&text, "{'nftables': [%s {'metainfo': {}}]}", objects), 0);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	ruleset = json_loads(text, 0, &error);
	cr_assert(ruleset, "%s: %s", error.text, text);
	for (int in = 1; in >= 0; in--) {
		struct ruleset_path path = { 0 };

		if (whose == OF_ITSELF)
			add_own_way(&path, in);
		else
			add_way(&path, whose == OF_V6, in);
		ruleset_judge(ruleset, &path, &hits);
		ruleset_path_free(&path);
	}
	expect_text(hits_text(&hits), want, objects);
	ruleset_hits_free(&hits);
	json_decref(ruleset);
}

static void sees_forwarded(const char *objects, bool want)
{
	_cleanup_free_ char *text = NULL;
	json_t *ruleset;

	cr_assert_gt(asprintf(&text, "{'nftables': [%s {'metainfo': {}}]}", objects), 0);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	ruleset = json_loads(text, 0, NULL);
	cr_assert(ruleset, "%s", text);
	cr_expect_eq(ruleset_sees_forwarded(ruleset), want, "%s", objects);
	json_decref(ruleset);
}

static void found(const char *objects, const char *want)
{
	found_by(OF_V4, objects, want);
}

/* clang-format off */
#define SURE "nat! ip nat post masquerade 4\n"
#define SOME "nat? ip nat post masquerade 4\n"

Test(ruleset, empty)
{
	found("", "");
	found(NAT PRE, "");
}

#define FIELD(protocol, field) {'payload': {'protocol': protocol, 'field': field}}
#define WITH(...) NAT RULE("nat", "post", 4, __VA_ARGS__, MASQUERADE)

static void found_with(uint8_t the_proto, uint16_t the_dport, const char *objects,
		       const char *want)
{
	proto = the_proto;
	dport = the_dport;
	found(objects, want);
	proto = dport = 0;
}

/* What is known of a packet decides; of packets of any kind, it may be. */
Test(ruleset, service)
{
	found(WITH(IS(FIELD("tcp", "dport"), 22)), SOME);
	found_with(6, 22, WITH(IS(FIELD("tcp", "dport"), 22)), SURE);
	found_with(6, 23, WITH(IS(FIELD("tcp", "dport"), 22)), "");
	found_with(6, 23, WITH(ISNT(FIELD("tcp", "dport"), 22)), SURE);
	found_with(17, 22, WITH(IS(FIELD("tcp", "dport"), 22)), "");
	found_with(17, 22, WITH(ISNT(FIELD("tcp", "dport"), 23)), "");
	found_with(17, 22, WITH(IS(FIELD("th", "dport"), 22)), SURE);
	found_with(47, 0, WITH(IS(FIELD("tcp", "dport"), 22)), "");
	found_with(6, 22, WITH(IS(FIELD("tcp", "sport"), 40000)), SURE);
	found_with(6, 22, WITH(IS(FIELD("tcp", "dport"), {'set': [80, {'range': [20, 25]}]})), SURE);
	found_with(6, 26, WITH(IS(FIELD("tcp", "dport"), {'set': [80, {'range': [20, 25]}]})), "");
	found_with(6, 22, WITH(IS(FIELD("tcp", "flags"), "syn")), SOME);
	found_with(6, 22, WITH(IS(META("l4proto"), "tcp")), SURE);
	found_with(6, 22, WITH(IS(META("l4proto"), {'set': ["tcp", "udp"]})), SURE);
	found_with(6, 22, WITH(IS(META("l4proto"), 17)), "");
	found_with(1, 0, WITH(IS(ADDRESS("protocol"), "icmp")), SURE);
	found_with(1, 0, WITH(IS(ADDRESS("protocol"), "tcp")), "");
	found_with(1, 0, WITH(IS(FIELD("icmp", "type"), "echo-request")), SOME);
	found_with(6, 22, WITH(ISNT(META("l4proto"), "tcp")), "");
	found(WITH(IS(META("l4proto"), "tcp")), SOME);
}

#define IN_CHAIN  CHAIN("filter", "in", "input", "accept")
#define OUT_CHAIN CHAIN("filter", "out", "output", "accept")
#define OWN_DROP(chain, ...) RULE("filter", chain, 5, __VA_ARGS__, {'drop': null})

/* What the router receives and sends itself goes through other hooks, and by one interface alone. */
Test(ruleset, of_the_router_itself)
{
	found_by(OF_ITSELF, FILT, "");
	found(FILT, "drop! ip filter fwd policy drop 0\n");
	found_by(OF_ITSELF, IN_CHAIN OWN_DROP("in", IS(META('iifname'), 'shared0')),
		 "drop! ip filter in drop 5\n");
	found(IN_CHAIN OWN_DROP("in", IS(META('iifname'), 'shared0')), "");
	found_by(OF_ITSELF, OUT_CHAIN OWN_DROP("out", IS(META('oifname'), 'shared0')),
		 "drop! ip filter out drop 5\n");
	found_by(OF_ITSELF, OUT_CHAIN OWN_DROP("out", IS(META('iifname'), 'lan0')), "");
	found_by(OF_ITSELF, IN_CHAIN OWN_DROP("in", IS(META('oifname'), 'lan0')), "");
	found_by(OF_ITSELF, IN_CHAIN OWN_DROP("in", ISNT(META('iifname'), 'lan0')),
		 "drop! ip filter in drop 5\n");
	found_by(OF_ITSELF, NAT RULE("nat", "post", 4, IS(META('oifname'), 'shared0'), MASQUERADE), SURE);
	proto = 17;
	dport = 53;
	found_by(OF_ITSELF, IN_CHAIN OWN_DROP("in", IS(FIELD("udp", "dport"), 53)),
		 "drop! ip filter in drop 5\n");
	found_by(OF_ITSELF, IN_CHAIN OWN_DROP("in", IS(FIELD("udp", "dport"), 54)), "");
	proto = dport = 0;
}

Test(ruleset, masquerade_by_interface)
{
	found(NAT RULE("nat", "post", 4, MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'shared0'), MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(META('oif'), 'shared0'), MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'sha*'), MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'ext*'), MASQUERADE), "");
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'ext0'), MASQUERADE), "");
	/* into the tenant's network it hides who asks */
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), {'set': ['lan0', 'lan1']}),
		       MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'lan0'), MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4, ISNT(META('oifname'), 'ext0'), MASQUERADE), SURE);
	/* some of what goes in, and all of what goes out */
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), {'set': ['lan0', 'shared0']}),
		       MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4,
		       ISNT(META('oifname'), {'set': ['shared0', 'lan*']}), MASQUERADE), "");
}

Test(ruleset, masquerade_by_address)
{
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('saddr'), PREFIX_OF('10.0.0.0', 24)),
		       MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('saddr'), '10.0.0.5'), MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('saddr'), '10.0.0.6'), MASQUERADE), "");
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('daddr'), PREFIX_OF('8.0.0.0', 8)),
		       MASQUERADE), "");
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('daddr'), PREFIX_OF('100.64.1.0', 24)),
		       MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4,
		       IS(ADDRESS('saddr'), {'set': [{'range': ['10.0.0.4', '10.0.0.9']}]}),
		       MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, IS(ADDRESS('saddr'), PREFIX_OF('10.0.0.0', 24)),
		       ISNT(ADDRESS('daddr'), PREFIX_OF('100.64.0.0', 10)), MASQUERADE), "");
	/* of the other family */
	found_by(OF_V6, NAT RULE("nat", "post", 4, MASQUERADE), "");
	found_by(OF_V6, "{'chain': {'family': 'inet', 'table': 'nat', 'name': 'post', 'hook': "
		 "'postrouting'}}, {'rule': {'family': 'inet', 'table': 'nat', 'chain': 'post', "
		 "'handle': 4, 'expr': [{'match': {'op': '!=', 'left': {'payload': {'protocol': "
		 "'ip', 'field': 'daddr'}}, 'right': '1.2.3.4'}}, {'masquerade': null}]}},", "");
	found_by(OF_V6, "{'chain': {'family': 'inet', 'table': 'nat', 'name': 'post', 'hook': "
		 "'postrouting'}}, {'rule': {'family': 'inet', 'table': 'nat', 'chain': 'post', "
		 "'handle': 4, 'expr': [{'match': {'op': '==', 'left': {'payload': {'protocol': "
		 "'ip', 'field': 'ttl'}}, 'right': 1}}, {'masquerade': null}]}},", "");
	found_by(OF_V6, "{'chain': {'family': 'ip6', 'table': 'nat', 'name': 'post', 'hook': "
		 "'postrouting'}}, {'rule': {'family': 'ip6', 'table': 'nat', 'chain': 'post', "
		 "'handle': 4, 'expr': [{'match': {'op': '==', 'left': {'payload': {'protocol': "
		 "'ip6', 'field': 'daddr'}}, 'right': {'prefix': {'addr': 'fd64::', 'len': 48}}}}, "
		 "{'masquerade': null}]}},", "nat! ip6 nat post masquerade 4\n");
}

#define SET(name, elements) \
	"{'set': {'family': 'ip', 'table': 'nat', 'name': '" name "' " elements "}},"

Test(ruleset, named_sets)
{
	found(SET("out", ", 'elem': ['ext0', {'elem': {'val': 'shared0'}}]")
	      NAT RULE("nat", "post", 4, IS(META('oifname'), '@out'), MASQUERADE), SURE);
	found(SET("out", ", 'elem': ['ext0']")
	      NAT RULE("nat", "post", 4, IS(META('oifname'), '@out'), MASQUERADE), "");
	found(SET("out", "") NAT RULE("nat", "post", 4, IS(META('oifname'), '@out'), MASQUERADE), "");
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), '@out'), MASQUERADE), SOME);
}

Test(ruleset, what_is_not_known_is_not_sure)
{
	found(NAT RULE("nat", "post", 4, IS(META('l4proto'), 'tcp'), MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4, IS(META('cpu'), 7), MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4, {'limit': {'rate': 4}}, MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4, XT('match', 'statistic'), MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 4, XT('match', 'comment'), MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, {'counter': {'packets': 0}}, MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, {'match': {'op': '<', 'left': ADDRESS('saddr'),
	      'right': '1.2.3.4'}}, MASQUERADE), SOME);
}

Test(ruleset, targets_of_iptables)
{
	found(NAT RULE("nat", "post", 4, IS(META('oifname'), 'shared0'), XT('target', 'MASQUERADE')),
	      "nat! ip nat post MASQUERADE 4\n");
	found(PRE RULE("nat", "pre", 4, IS(META('iifname'), 'shared0'), XT('target', 'DNAT')),
	      "nat! ip nat pre DNAT 4\n");
	found(PRE RULE("nat", "pre", 4, IS(META('iifname'), 'ext0'), XT('target', 'DNAT')), "");
	found(NAT RULE("nat", "post", 4, XT('target', 'LOG')), "");
	found(CHAIN("raw", "pre", "prerouting", "accept") RULE("raw", "pre", 4, XT('target', 'CT')),
	      "untracked! ip raw pre CT 4\n");
}

Test(ruleset, order_of_rules)
{
	/* what was let past comes to no later rule */
	found(NAT RULE("nat", "post", 3, IS(META('oifname'), 'shared0'), {'accept': null})
	      RULE("nat", "post", 4, IS(META('oifname'), 'shared0'), MASQUERADE), "");
	found(NAT RULE("nat", "post", 3, IS(META('l4proto'), 'tcp'), {'accept': null})
	      RULE("nat", "post", 4, MASQUERADE), SOME);
	found(NAT RULE("nat", "post", 3, IS(META('oifname'), 'ext0'), {'accept': null})
	      RULE("nat", "post", 4, MASQUERADE), SURE);
	found(NAT RULE("nat", "post", 4, MASQUERADE) RULE("nat", "post", 5, MASQUERADE), SURE);
}

Test(ruleset, chains_that_others_lead_to)
{
	found(NAT SUB("nat", "mine") RULE("nat", "mine", 4, MASQUERADE), "");
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, TO('mine'))
	      RULE("nat", "mine", 4, MASQUERADE), "nat! ip nat mine masquerade 4\n");
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, IS(META('oifname'), 'ext0'), TO('mine'))
	      RULE("nat", "mine", 4, MASQUERADE), "");
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, IS(META('cpu'), 1), TO('mine'))
	      RULE("nat", "mine", 4, MASQUERADE), "nat? ip nat mine masquerade 4\n");
	/* back from it, by its end or by return */
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, TO('mine'))
	      RULE("nat", "post", 4, MASQUERADE)
	      RULE("nat", "mine", 5, {'return': null}) RULE("nat", "mine", 6, MASQUERADE), SURE);
	/* not back: accepted there, or by goto */
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, TO('mine'))
	      RULE("nat", "post", 4, MASQUERADE) RULE("nat", "mine", 5, {'accept': null}), "");
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, GOTO('mine'))
	      RULE("nat", "post", 4, MASQUERADE) RULE("nat", "mine", 5, {'counter': null}), "");
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, IS(META('cpu'), 1), TO('mine'))
	      RULE("nat", "post", 4, MASQUERADE) RULE("nat", "mine", 5, {'accept': null}), SOME);
	/* what comes to an end by goto comes to the policy of the chain that the kernel entered */
	found(FILT SUB("filter", "mine") RULE("filter", "fwd", 3, GOTO('mine'))
	      RULE("filter", "fwd", 4, {'accept': null}), "drop! ip filter fwd policy drop 0\n");
	/* one that leads to itself ends */
	found(NAT SUB("nat", "mine") RULE("nat", "post", 3, TO('mine'))
	      RULE("nat", "mine", 5, TO('mine')), "");
}

#define DROPPED "drop! ip filter fwd policy drop 0\n"
#define PERHAPS "drop? ip filter fwd policy drop 0\n"

Test(ruleset, whether_it_sees_what_is_forwarded)
{
	sees_forwarded("", false);
	sees_forwarded(CHAIN("filter", "fwd", "forward", "accept"), false);
	sees_forwarded(CHAIN("filter", "fwd", "forward", "drop"), true);
	sees_forwarded(CHAIN("filter", "in", "input", "drop"), false);
	sees_forwarded(CHAIN("filter", "in", "input", "accept")
		       RULE("filter", "in", 4, {'drop': null}), false);
	sees_forwarded(CHAIN("filter", "pre", "prerouting", "accept")
		       RULE("filter", "pre", 4, {'counter': null}), true);
	sees_forwarded(CHAIN("filter", "post", "postrouting", "accept")
		       RULE("filter", "post", 4, {'counter': null}), true);
	sees_forwarded(CHAIN("filter", "early", "ingress", "accept")
		       RULE("filter", "early", 4, {'counter': null}), true);
	/* in a chain of that name, but of another table; in one that nothing leads to */
	sees_forwarded(CHAIN("filter", "fwd", "forward", "accept")
		       RULE("other", "fwd", 4, {'drop': null}), false);
	sees_forwarded(SUB("filter", "mine") RULE("filter", "mine", 4, {'drop': null}), false);
}

Test(ruleset, forwarding_is_refused)
{
	found(FILT, DROPPED);
	found(CHAIN("filter", "fwd", "forward", "accept"), "");
	found(CHAIN("filter", "in", "input", "drop"), "");
	found(FILT RULE("filter", "fwd", 4, IS(META('iifname'), 'ext0'), {'accept': null}), DROPPED);
	/* one direction alone is not enough */
	found(FILT RULE("filter", "fwd", 4, IS(META('iifname'), 'shared0'), {'accept': null}),
	      DROPPED);
	found(FILT RULE("filter", "fwd", 4, IS(META('iifname'), 'shared0'), {'accept': null})
	      RULE("filter", "fwd", 5, IS(META('oifname'), 'shared0'), {'accept': null}), "");
	/* nor that replies pass: somebody has to begin */
	found(FILT RULE("filter", "fwd", 4, IN(STATE, 'established', 'related'), {'accept': null}),
	      DROPPED);
	found(FILT RULE("filter", "fwd", 4, IN(STATE, 'established', 'new'), {'accept': null}), "");
	found(FILT RULE("filter", "fwd", 4, XT('match', 'conntrack'), {'accept': null}), PERHAPS);
	found(FILT RULE("filter", "fwd", 4, {'vmap': {'key': STATE, 'data': {'set': [
	      ['established', {'accept': null}], ['invalid', {'drop': null}]]}}}), DROPPED);
	found(FILT RULE("filter", "fwd", 4, {'vmap': {'key': META('iifname'), 'data': {'set': [
	      ['shared0', {'accept': null}], ['lan*', {'accept': null}]]}}}), "");
	found(FILT RULE("filter", "fwd", 4, {'vmap': {'key': META('iifname'), 'data': '@map'}}),
	      PERHAPS);
}

Test(ruleset, rules_that_refuse)
{
	found(CHAIN("filter", "fwd", "forward", "accept")
	      RULE("filter", "fwd", 4, IS(META('iifname'), 'shared0'), {'drop': null}),
	      "drop! ip filter fwd drop 4\n");
	found(CHAIN("filter", "fwd", "forward", "accept")
	      RULE("filter", "fwd", 4, IS(META('oifname'), 'shared0'), XT('target', 'REJECT')),
	      "drop! ip filter fwd REJECT 4\n");
	/* of some packets: somebody's policy, and none of our business */
	found(CHAIN("filter", "fwd", "forward", "accept")
	      RULE("filter", "fwd", 4, IS(META('l4proto'), 'udp'), {'drop': null}), "");
	found(CHAIN("filter", "fwd", "forward", "accept")
	      RULE("filter", "fwd", 4, IN(STATE, 'invalid'), {'drop': null}), "");
}

Test(ruleset, conntrack)
{
	found(CHAIN("raw", "pre", "prerouting", "accept")
	      RULE("raw", "pre", 4, IS(META('iifname'), 'shared0'), {'notrack': null}),
	      "untracked! ip raw pre notrack 4\n");
	found(CHAIN("raw", "pre", "prerouting", "accept")
	      RULE("raw", "pre", 4, IS(META('iifname'), 'shared0'),
		   {'mangle': {'key': {'ct': {'key': 'zone'}}, 'value': 5}}),
	      "untracked! ip raw pre ct zone set 4\n");
	found(CHAIN("raw", "pre", "prerouting", "accept")
	      RULE("raw", "pre", 4, {'mangle': {'key': {'ct': {'key': 'mark'}}, 'value': 5}}), "");
	found(CHAIN("raw", "pre", "prerouting", "accept")
	      RULE("raw", "pre", 4, IS(META('iifname'), 'ext0'), {'notrack': null}), "");
}

/* ------------------------------------------------------------ what Neutron has */

/* clang-format off */
#define MASKED(mask) {'&': [META('mark'), mask]}
#define STATE_OF(state, inverted)                                                                \
	{'xt': {'type': 'match', 'name': 'conntrack', 'flags': 1, 'state': state, 'invert': inverted}}
#define MARK_TO(value, bits) {'xt': {'type': 'target', 'name': 'MARK', 'mark': value, 'mask': bits}}
#define HOOK(table, name, type, hook, prio)                                                      \
	"{'chain': {'family': 'ip', 'table': '" table "', 'name': '" name "', 'type': '" type    \
	"', 'hook': '" hook "', 'prio': " prio ", 'policy': 'accept'}},"
#define OUTGOING HOOK("nat", "post", "nat", "postrouting", "100")
#define FLOATING RULE("nat", "post", 4, IS(ADDRESS('saddr'), '10.0.0.5'), XT('target', 'SNAT'))
/* clang-format on */
/* XT_CONNTRACK_STATE_BIT(IP_CT_NEW), and XT_CONNTRACK_STATE_DNAT */
#define NEW   8
#define DNATS 128

/* What was not sent to a floating IP is accepted before any of these are translated. */
Test(ruleset, states_of_conntrack)
{
	found(OUTGOING FLOATING, "nat! ip nat post SNAT 4\n");
	found(OUTGOING RULE("nat", "post", 3, STATE_OF(DNATS, 1), { 'accept' : null }) FLOATING,
	      "");
	found(OUTGOING RULE("nat", "post", 3, STATE_OF(DNATS, 0), { 'accept' : null }) FLOATING,
	      "nat! ip nat post SNAT 4\n");
	found(OUTGOING RULE("nat", "post", 3, STATE_OF(NEW, 0), { 'accept' : null }) FLOATING, "");
	/* about something else, too */
	found(OUTGOING RULE("nat", "post", 3,
			    { 'xt' : { 'type' : 'match', 'name' : 'conntrack', 'flags' : 3 } },
			    { 'accept' : null }) FLOATING,
	      "nat? ip nat post SNAT 4\n");
	/* translated before, in a chain that is listed behind */
	found(OUTGOING RULE("nat", "post", 3, STATE_OF(DNATS, 1), { 'accept' : null })
		      RULE("nat", "pre", 7, IS(META('iifname'), 'lan0'), XT('target', 'DNAT'))
			      FLOATING HOOK("nat", "pre", "nat", "prerouting", "-100"),
	      "nat? ip nat pre DNAT 7\nnat? ip nat post SNAT 4\n");
}

Test(ruleset, marks)
{
	found(OUTGOING RULE("nat", "post", 4, ISNT(MASKED(65535), 2), STATE_OF(DNATS, 0),
			    XT('target', 'SNAT')),
	      "");
	found(OUTGOING RULE("nat", "post", 4, IS(MASKED(65535), 0), MASQUERADE), SURE);
	found(OUTGOING RULE("nat", "post", 4, IS(MASKED(65535), 2), MASQUERADE), "");
	/* set for some of the packets: perhaps */
	found(HOOK("m", "pre", "filter", "prerouting", "-150")
		      RULE("m", "pre", 3, IS(META('iifname'), 'lan0'), MARK_TO(2, 65535))
			      OUTGOING RULE("nat", "post", 4, IS(MASKED(65535), 2), MASQUERADE),
	      SOME);
	found(HOOK("m", "pre", "filter", "prerouting", "-150")
		      RULE("m", "pre", 3, MARK_TO(2, 65535))
			      OUTGOING RULE("nat", "post", 4, IS(MASKED(65535), 2), MASQUERADE),
	      SURE);
	found(HOOK("m", "pre", "filter", "prerouting", "-150")
		      RULE("m", "pre", 3, XT('target', 'MARK'))
			      OUTGOING RULE("nat", "post", 4, IS(MASKED(65535), 2), MASQUERADE),
	      SOME);
	/* as nft has a mask that is a prefix */
	found(FILT RULE("filter", "fwd", 3,
			ISNT(META('mark'), { 'prefix' : { 'addr' : 67108864, 'len' : 16 } }),
			{ 'drop' : null }) RULE("filter", "fwd", 4, { 'accept' : null }),
	      "drop! ip filter fwd drop 3\n");
	found(HOOK("m", "pre", "filter", "prerouting", "-150")
		      RULE("m", "pre", 2, MARK_TO(67108864, 4294901760)) FILT RULE(
			      "filter", "fwd", 3,
			      ISNT(META('mark'), { 'prefix' : { 'addr' : 67108864, 'len' : 16 } }),
			      { 'drop' : null }) RULE("filter", "fwd", 4, { 'accept' : null }),
	      "");
}

/* NAT does not see what conntrack does not know, whichever is listed first. */
Test(ruleset, untracked)
{
	found(OUTGOING RULE("nat", "post", 4, MASQUERADE)
		      HOOK("raw", "pre", "filter", "prerouting", "-300")
			      RULE("raw", "pre", 3, { 'notrack' : null }),
	      "untracked! ip raw pre notrack 3\n");
	found(OUTGOING RULE("nat", "post", 4, MASQUERADE)
		      HOOK("raw", "pre", "filter", "prerouting", "-300")
			      RULE("raw", "pre", 3,
				   { 'xt' : { 'type' : 'target', 'name' : 'CT', 'notrack' : 1 } }),
	      "untracked! ip raw pre CT 3\n");
}
