/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/mark_rules.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

static void sock_free(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static const struct nla_policy policy[FRA_MAX + 1] = {
	[FRA_PRIORITY] = { .type = NLA_U32 },	[FRA_FWMARK] = { .type = NLA_U32 },
	[FRA_FWMASK] = { .type = NLA_U32 },	[FRA_TABLE] = { .type = NLA_U32 },
	[FRA_IIFNAME] = { .type = NLA_STRING },
};

static uint32_t number(struct nlattr *attr, uint32_t otherwise)
{
	return attr ? nla_get_u32(attr) : otherwise;
}

/* Packets with other marks are led by these tables, too. */
static bool is_everybodys(uint32_t table)
{
	return table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL || table == RT_TABLE_DEFAULT;
}

static int take_rule(struct nl_msg *msg, void *arg)
{
	const struct fib_rule_hdr *head = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[FRA_MAX + 1];
	struct mark_rules *out = arg;
	struct mark_rule *rule;

	if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWRULE ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(*head), attrs, FRA_MAX, policy))
		return NL_OK;
	if (!attrs[FRA_FWMARK] && !attrs[FRA_FWMASK])
		return NL_OK;
	if (head->action != FR_ACT_TO_TBL && head->action != FR_ACT_GOTO)
		return NL_OK;
	if (head->action == FR_ACT_TO_TBL && !(head->flags & FIB_RULE_INVERT) &&
	    is_everybodys(number(attrs[FRA_TABLE], head->table)))
		return NL_OK;
	rule = vec_push(&out->list);
	*rule = (struct mark_rule){ .six = head->family == AF_INET6,
				    .priority = number(attrs[FRA_PRIORITY], 0),
				    .mark = number(attrs[FRA_FWMARK], 0),
				    .mask = number(attrs[FRA_FWMASK], UINT32_MAX) };
	if (attrs[FRA_IIFNAME])
		nla_strlcpy(rule->iif, attrs[FRA_IIFNAME], sizeof(rule->iif));
	return NL_OK;
}

static int dump(struct nl_sock *sock, int family)
{
	struct fib_rule_hdr head = { .family = family };
	int ret = nl_send_simple(sock, RTM_GETRULE, NLM_F_DUMP, &head, sizeof(head));

	return ret < 0 ? ret : nl_recvmsgs_default(sock);
}

int mark_rules_read(struct mark_rules *out, struct error *err)
{
	static const int families[] = { AF_INET, AF_INET6 };
	_cleanup_(sock_free) struct nl_sock *sock = nl_socket_alloc();
	int ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!ret)
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_rule, out);
	for (size_t i = 0; ret >= 0 && i < ARRAY_SIZE(families); i++) {
		ret = dump(sock, families[i]);
		if (ret == -NLE_OPNOTSUPP || ret == -NLE_AF_NOSUPPORT)
			ret = 0; /* a kernel without rules of that family */
	}
	return ret < 0 ? error_set(err, "cannot ask for routing rules: %s", nl_geterror(ret)) : 0;
}
