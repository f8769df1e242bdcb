/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/nft_xt.h"

/* before the kernel's, which then leave out what it has */
#include <netinet/in.h>

#include <endian.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "lib/util.h"

static void sock_free(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const char *family_name(uint8_t family)
{
	return family == NFPROTO_IPV4	? "ip"
	       : family == NFPROTO_IPV6 ? "ip6"
	       : family == NFPROTO_INET ? "inet"
					: "";
}

/* The rule with that handle; NULL: it came later. */
static json_t *find_rule(json_t *ruleset, const char *family, const char *table, uint64_t handle)
{
	json_t *list = json_object_get(ruleset, "nftables");

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *rule = json_object_get(json_array_get(list, i), "rule");

		if (rule &&
		    (uint64_t)json_integer_value(json_object_get(rule, "handle")) == handle &&
		    strcmp(text_of(rule, "family"), family) == 0 &&
		    strcmp(text_of(rule, "table"), table) == 0)
			return rule;
	}
	return NULL;
}

/* The first `xt` of the rule from the part *at on; NULL: none. */
static json_t *next_xt(const json_t *rule, size_t *at)
{
	const json_t *parts = json_object_get(rule, "expr");

	while (*at < json_array_size(parts)) {
		json_t *xt = json_object_get(json_array_get(parts, (*at)++), "xt");

		if (xt)
			return xt;
	}
	return NULL;
}

static void set(json_t *xt, const char *key, json_int_t value)
{
	json_object_set_new(xt, key, json_integer(value));
}

/* The part of a structure that there is has to be all of it. */
#define READ(out, info) \
	((info) && nla_len(info) >= (int)sizeof(out) && memcpy(&(out), nla_data(info), sizeof(out)))

static void tell(json_t *xt, const char *name, uint32_t revision, const struct nlattr *info)
{
	struct xt_conntrack_mtinfo3 conntrack;
	struct xt_connmark_tginfo1 connmark;
	struct xt_mark_tginfo2 mark;
	struct xt_ct_target_info ct;

	if (strcmp(name, "conntrack") == 0 && revision == 3 && READ(conntrack, info)) {
		set(xt, "flags", conntrack.match_flags);
		set(xt, "invert", conntrack.invert_flags);
		set(xt, "state", conntrack.state_mask);
	} else if (strcmp(name, "MARK") == 0 && revision == 2 && READ(mark, info)) {
		set(xt, "mark", mark.mark);
		set(xt, "mask", mark.mask);
	} else if (strcmp(name, "CONNMARK") == 0 && READ(connmark, info)) {
		set(xt, "mode", connmark.mode);
	} else if (strcmp(name, "CT") == 0 && READ(ct, info)) {
		set(xt, "notrack", ct.flags & XT_CT_NOTRACK);
	}
}

static void tell_expression(struct nlattr *expression, json_t *rule, size_t *at)
{
	struct nlattr *parts[NFTA_EXPR_MAX + 1], *attrs[NFTA_MATCH_MAX + 1];
	json_t *xt;

	if (nla_parse_nested(parts, NFTA_EXPR_MAX, expression, NULL) || !parts[NFTA_EXPR_NAME] ||
	    !parts[NFTA_EXPR_DATA] ||
	    (nla_strcmp(parts[NFTA_EXPR_NAME], "match") != 0 &&
	     nla_strcmp(parts[NFTA_EXPR_NAME], "target") != 0))
		return;
	/* those of a target have the same numbers */
	xt = next_xt(rule, at);
	if (!xt || nla_parse_nested(attrs, NFTA_MATCH_MAX, parts[NFTA_EXPR_DATA], NULL) ||
	    !attrs[NFTA_MATCH_NAME] || !attrs[NFTA_MATCH_REV] ||
	    nla_strcmp(attrs[NFTA_MATCH_NAME], text_of(xt, "name")) != 0)
		return;
	tell(xt, text_of(xt, "name"), be32toh(nla_get_u32(attrs[NFTA_MATCH_REV])),
	     attrs[NFTA_MATCH_INFO]);
}

_Static_assert((int)NFTA_MATCH_NAME == (int)NFTA_TARGET_NAME &&
		       (int)NFTA_MATCH_REV == (int)NFTA_TARGET_REV &&
		       (int)NFTA_MATCH_INFO == (int)NFTA_TARGET_INFO,
	       "see tell_expression()");

static int take_rule(struct nl_msg *msg, void *arg)
{
	const struct nfgenmsg *head = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[NFTA_RULE_MAX + 1], *expression;
	json_t *rule;
	size_t at = 0;
	int rest;

	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(*head), attrs, NFTA_RULE_MAX, NULL) ||
	    !attrs[NFTA_RULE_TABLE] || !attrs[NFTA_RULE_HANDLE] || !attrs[NFTA_RULE_EXPRESSIONS])
		return NL_OK;
	rule = find_rule(arg, family_name(head->nfgen_family),
			 nla_get_string(attrs[NFTA_RULE_TABLE]),
			 be64toh(nla_get_u64(attrs[NFTA_RULE_HANDLE])));
	if (!rule)
		return NL_OK;
	nla_for_each_nested(expression, attrs[NFTA_RULE_EXPRESSIONS], rest)
		tell_expression(expression, rule, &at);
	return NL_OK;
}

static bool has_xt(const json_t *ruleset)
{
	const json_t *list = json_object_get(ruleset, "nftables");

	for (size_t i = 0; i < json_array_size(list); i++) {
		size_t at = 0;

		if (next_xt(json_object_get(json_array_get(list, i), "rule"), &at))
			return true;
	}
	return false;
}

void nft_tell_xt(json_t *ruleset)
{
	_cleanup_(sock_free) struct nl_sock *sock = nl_socket_alloc();
	struct nfgenmsg head = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };

	if (!has_xt(ruleset) || !sock || nl_connect(sock, NETLINK_NETFILTER))
		return;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_rule, ruleset);
	if (nl_send_simple(sock, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP, &head,
			   sizeof(head)) >= 0)
		nl_recvmsgs_default(sock);
}
