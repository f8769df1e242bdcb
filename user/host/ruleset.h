/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What rules of netfilter do to the packets that a router is to translate. Pure: rules come as
 * JSON (libnftables-json(5)). The router's rules see fixed addresses in both directions: ours
 * translates before them on the way in, and behind them on the way out.
 *
 * The rules are walked as the kernel walks them, with the first packet of a new flow. What a
 * match says about it is not always known (marks, matches of iptables; ports, where the path has
 * none); then what the rule does may happen or not, and a hit is not sure.
 *
 * A mapping can be of the router itself: what comes for it, or from it, is not forwarded.
 */
#ifndef TN_RULESET_H
#define TN_RULESET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/util.h"

/* Packets of one family that take one path through the router. Names are borrowed. */
struct ruleset_path {
	bool six;
	bool itself; /* to the router, where nothing is in `out`, or from it, where nothing is in
			`in` */
	VEC(const char *) in;	/* the interfaces that they come by, */
	VEC(const char *) out;	/* and leave by */
	VEC(struct prefix) src; /* their addresses, as netfilter sees them */
	VEC(struct prefix) dst;
	uint8_t proto; /* of all of them; 0: of any, and then ports are not known either */
	uint16_t sport, dport;
};

void ruleset_path_free(struct ruleset_path *path);

enum ruleset_effect {
	RULESET_NAT,	   /* an address is translated a second time */
	RULESET_DROP,	   /* they are refused */
	RULESET_UNTRACKED, /* conntrack does not know the flow, or knows it in a zone of its own */
};

/* One rule, or one policy, that does something to the packets. Texts are owned by the list. */
struct ruleset_hit {
	enum ruleset_effect effect;
	bool sure;    /* else: with some of the packets, or perhaps none */
	char *family; /* of the table: "ip", "ip6" or "inet" */
	char *table;
	char *base;	   /* the chain that the kernel enters */
	char *chain;	   /* the chain that the rule is in: `base`, or one that it leads to */
	char *statement;   /* "masquerade", "policy drop", "MASQUERADE" */
	json_int_t handle; /* of the rule; 0: the chain's policy */
};

struct ruleset_hits {
	VEC(struct ruleset_hit) list;
	/* of IPv4 and IPv6 */
	struct {
		size_t paths;	  /* that were walked, */
		size_t untracked; /* and those of which conntrack surely knows nothing */
		bool stateful;	  /* a rule outside of NAT asks conntrack about packets */
	} of[2];
};

void ruleset_hits_free(struct ruleset_hits *hits);
/* Moves to `to` what was found, but for what may refuse some of the packets, or none. */
void ruleset_hits_take(struct ruleset_hits *to, struct ruleset_hits *from);
/* Whether both are the same rule, or policy, with the same effect. */
bool ruleset_hit_same(const struct ruleset_hit *a, const struct ruleset_hit *b);
/* "`drop` in the chain forward of table inet filter (handle 7)" */
void ruleset_hit_text(const struct ruleset_hit *h, char *text, size_t size);

/* Whether it is of iptables-nft, whose rules are changed by iptables alone. */
bool ruleset_hit_is_of_iptables(const struct ruleset_hit *h);
#define RULESET_PAST 2048
/*
 * Commands, behind `enter` each, that let packets from `one` to `other`, and back, past the chain
 * that the kernel enters. Both are addresses or prefixes of one family, several with "," between
 * them; NULL: anybody.
 */
const char *ruleset_past(const struct ruleset_hit *h, const char *enter, bool six, const char *one,
			 const char *other, char buf[RULESET_PAST]);

/* Adds to `out`; one that is there already is not added again, but may become sure. */
void ruleset_judge(const json_t *ruleset, const struct ruleset_path *path,
		   struct ruleset_hits *out);

/* Whether anything is done with packets that are forwarded: a rule, or a policy to drop. */
bool ruleset_sees_forwarded(const json_t *ruleset);

#endif
