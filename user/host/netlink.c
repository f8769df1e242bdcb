/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netlink_internal.h"

#include <errno.h>
#include <netlink/msg.h>
#include <sys/socket.h>
#include <sys/time.h>

void netlink_sock_cleanup(struct nl_sock **sock)
{
	if (*sock)
		nl_socket_free(*sock);
}

/*
 * The kernel answers before a request is sent. libnl does not look whether that went well, and
 * would wait for an answer to what was not sent for ever.
 */
static void limit_wait(struct nl_sock *sock)
{
	static const struct timeval limit = { .tv_sec = 2 };

	setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

struct nl_sock *netlink_connect(int *ret)
{
	struct nl_sock *sock = nl_socket_alloc();

	*ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (!*ret)
		limit_wait(sock);
	return sock;
}

const char *netlink_mark(struct nl_msg *link)
{
	struct nlattr *props =
		nlmsg_find_attr(nlmsg_hdr(link), sizeof(struct ifinfomsg), IFLA_PROP_LIST);
	struct nlattr *prop;
	int left;

	if (!props)
		return NULL;
	nla_for_each_nested(prop, props, left)
	{
		if (nla_type(prop) == IFLA_ALT_IFNAME &&
		    strncmp(nla_get_string(prop), TN_ALL_MULTICAST, strlen(TN_ALL_MULTICAST)) == 0)
			return nla_get_string(prop);
	}
	return NULL;
}

static int take_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct nlmsghdr *head = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	struct netlink_answer *a = arg;
	struct nlattr *words = NULL;

	(void)from;
	a->number = -e->error;
	/* behind the header of the request, which is all of it that comes back: NETLINK_CAP_ACK */
	if (head->nlmsg_flags & NLM_F_ACK_TLVS)
		words = nlmsg_find_attr(head, sizeof(*e), NLMSGERR_ATTR_MSG);
	if (words)
		snprintf(a->text, sizeof(a->text), " (%.*s)", nla_len(words),
			 (const char *)nla_data(words));
	return NL_STOP;
}

struct netlink_answer netlink_ask(struct nl_msg *msg)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	struct netlink_answer a = { 0 };
	int on = 1, ret;

	sock = netlink_connect(&ret);
	if (!ret) {
		nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, take_error, &a);
		setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
		setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
		ret = nl_send_auto(sock, msg);
	}
	if (ret >= 0)
		ret = nl_wait_for_ack(sock);
	if (ret < 0 && !a.number) {
		a.number = EIO;
		snprintf(a.text, sizeof(a.text), " (%s)", nl_geterror(ret));
	}
	nlmsg_free(msg);
	return a;
}

void netlink_query(struct nl_msg *msg, nl_recvmsg_msg_cb_t take, void *out)
{
	_cleanup_sock_ struct nl_sock *sock = NULL;
	int ret;

	sock = netlink_connect(&ret);
	if (!ret) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, out);
		ret = nl_send_auto(sock, msg);
	}
	if (ret >= 0)
		nl_recvmsgs_default(sock);
	nlmsg_free(msg);
}
