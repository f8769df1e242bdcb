/* SPDX-License-Identifier: GPL-2.0-only */
#include "host/netdev.h"

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "lib/util.h"

/* Debian 12's headers are older. */
#define FAMILY		  "netdev"
#define CMD_DEV_GET	  1
#define ATTR_IFINDEX	  1
#define ATTR_XDP_FEATURES 3
#define ATTR_MAX	  ATTR_XDP_FEATURES

static const char *const names[] = {
#define X(id, name) [NETDEV_##id] = name,
	NETDEV_FEATURES(X)
#undef X
};

const char *netdev_feature_name(enum netdev_feature feature)
{
	return names[feature];
}

static void sock_free(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}
#define _cleanup_sock_ _cleanup_(sock_free)

static struct nl_sock *connected(void)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && genl_connect(sock)) {
		nl_socket_free(sock);
		sock = NULL;
	}
	return sock;
}

static int take_features(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[ATTR_MAX + 1];
	struct netdev *out = arg;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, ATTR_MAX, NULL) || !attrs[ATTR_XDP_FEATURES])
		return NL_OK;
	out->known = true;
	for (int i = 0; i < NETDEV_FEATURES_COUNT; i++)
		out->can[i] = nla_get_u64(attrs[ATTR_XDP_FEATURES]) >> i & 1;
	return NL_OK;
}

void netdev_read(uint32_t ifindex, struct netdev *out)
{
	_cleanup_sock_ struct nl_sock *sock = connected();
	int family = sock ? genl_ctrl_resolve(sock, FAMILY) : -1;
	struct nl_msg *msg = family >= 0 ? nlmsg_alloc() : NULL;

	memset(out, 0, sizeof(*out));
	if (!msg)
		return;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_features, out);
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, CMD_DEV_GET, 1) &&
	    !nla_put_u32(msg, ATTR_IFINDEX, ifindex) && nl_send_auto(sock, msg) >= 0)
		nl_recvmsgs_default(sock);
	nlmsg_free(msg);
}
