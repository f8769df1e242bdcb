/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of netlink.h have in common, and nobody else's business: socket and request. */
#ifndef TN_NETLINK_INTERNAL_H
#define TN_NETLINK_INTERNAL_H

#include <netlink/netlink.h>

#include "host/netlink.h"

/*
 * A socket of rtnetlink in the current namespace, the caller's to free whatever *ret is: 0 or an
 * error of libnl. No answer is waited for longer than two seconds.
 */
struct nl_sock *netlink_connect(int *ret);
void netlink_sock_cleanup(struct nl_sock **sock);
#define _cleanup_sock_ _cleanup_(netlink_sock_cleanup)

/* What the kernel said to a request. */
struct netlink_answer {
	int number; /* an errno; 0: done */
	char text[128];
};

/* Send and free a request of a change, and wait for the answer. */
struct netlink_answer netlink_ask(struct nl_msg *msg);

/*
 * Send and free a question, and have `take` read each message of the answer, with `out`. Where
 * there is no answer, nothing is read.
 */
void netlink_query(struct nl_msg *msg, nl_recvmsg_msg_cb_t take, void *out);

/* An alternative name of the link in a message that is our mark; NULL: none. In the message. */
const char *netlink_mark(struct nl_msg *link);

#endif
