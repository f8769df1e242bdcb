/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/ipsec.h"

#include <linux/xfrm.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "lib/util.h"

static void sock_free(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

/* A socket's own policies have a direction beyond these. */
static int take_policy(struct nl_msg *msg, void *arg)
{
	const struct xfrm_userpolicy_info *policy = nlmsg_data(nlmsg_hdr(msg));
	bool *out = arg;

	if (nlmsg_hdr(msg)->nlmsg_type == XFRM_MSG_NEWPOLICY &&
	    nlmsg_datalen(nlmsg_hdr(msg)) >= (int)sizeof(*policy))
		*out |= policy->dir == XFRM_POLICY_OUT || policy->dir == XFRM_POLICY_FWD;
	return NL_OK;
}

int ipsec_sees_forwarded(bool *out, struct error *err)
{
	_cleanup_(sock_free) struct nl_sock *sock = nl_socket_alloc();
	int ret = sock ? nl_connect(sock, NETLINK_XFRM) : -NLE_NOMEM;

	*out = false;
	if (ret == -NLE_PROTO_MISMATCH) /* EPROTONOSUPPORT of socket(2) */
		return 0;
	if (!ret) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_policy, out);
		ret = nl_send_simple(sock, XFRM_MSG_GETPOLICY, NLM_F_DUMP, NULL, 0);
	}
	if (ret >= 0)
		ret = nl_recvmsgs_default(sock);
	return ret < 0 ? error_set(err, "cannot ask for the policies of IPsec: %s",
				   nl_geterror(ret))
		       : 0;
}
