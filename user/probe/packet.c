/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/background.h"

enum {
	ND_TYPE_AT = 54,
	V4_PROTOCOL_AT = 23,
	V6_NEXT_AT = 20,
	TRIES_WHEN_FULL = 50,
	ROOM = 4 << 20
};

/*
 * A tag beside the frame makes it another network's, and leads so many statements on. What a VLAN
 * device took off is not there any more, but its id still is (up to Linux 6.1).
 */
#define UNTAGGED(refusal)                                                         \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT), \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),                     \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_VLAN_TAG), \
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),                       \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, refusal)

/* ARP, or ICMPv6 of type 135 or 136. */
static struct sock_filter neighbours[] = {
	UNTAGGED(8),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 7, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, V6_NEXT_AT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ND_TYPE_AT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
};

/* ARP, ICMP or ICMPv6. */
static struct sock_filter messages[] = {
	UNTAGGED(8),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 7, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, V4_PROTOCOL_AT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 4, 3),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 2),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, V6_NEXT_AT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
};

static int set(int fd, int level, int option, const void *value, size_t size)
{
	return setsockopt(fd, level, option, value, size);
}

/*
 * Filter and addresses come before the protocol: nothing unasked is ever in the queue. `filter`
 * NULL: it is not to receive.
 */
static int open_on(uint32_t ifindex, const struct sock_fprog *filter, struct error *err)
{
	struct sockaddr_ll where = { .sll_family = AF_PACKET,
				     .sll_ifindex = (int)ifindex,
				     .sll_protocol = htons(filter ? ETH_P_ALL : 0) };
	/* probes for duplicates are answered to all nodes (RFC 4861, 7.2.4) */
	struct packet_mreq group = { .mr_ifindex = (int)ifindex,
				     .mr_type = PACKET_MR_MULTICAST,
				     .mr_alen = ETH_ALEN,
				     .mr_address = { 0x33, 0x33, 0, 0, 0, 1 } };
	int one = 1, room = ROOM, fd;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || set(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    (filter && (set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) ||
			set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
			set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)))) ||
	    bind(fd, (struct sockaddr *)&where, sizeof(where))) {
		error_set(err, "cannot open a packet socket on interface %u: %s%s", ifindex,
			  strerror(errno), errno == EPERM ? "; run as root" : "");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (filter)
		set(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

int packet_sender(uint32_t ifindex, struct error *err)
{
	return open_on(ifindex, NULL, err);
}

/* At most so many are open at a time, and so many threads close them. */
#define CLOSED_AT_ONCE 32

static struct {
	int fd[CLOSED_AT_ONCE];
	size_t n;
} ended;

static void close_one(void *fd)
{
	close(*(int *)fd);
}

void packet_close(int fd)
{
	if (ended.n == CLOSED_AT_ONCE)
		packet_close_rest();
	ended.fd[ended.n++] = fd;
}

void packet_close_rest(void)
{
	struct background closing[CLOSED_AT_ONCE];

	for (size_t i = 0; i < ended.n; i++)
		background_begin(&closing[i], close_one, &ended.fd[i]);
	for (size_t i = 0; i < ended.n; i++)
		background_end(&closing[i]);
	ended.n = 0;
}

bool packet_is_from(int fd, const uint8_t mac[6])
{
	struct sockaddr_ll own = { 0 };
	socklen_t len = sizeof(own);

	return getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.sll_halen == ETH_ALEN &&
	       memcmp(own.sll_addr, mac, ETH_ALEN) == 0;
}

int packet_neighbours(uint32_t ifindex, struct error *err)
{
	static const struct sock_fprog filter = { ARRAY_SIZE(neighbours), neighbours };

	return open_on(ifindex, &filter, err);
}

int packet_messages(uint32_t ifindex, struct error *err)
{
	static const struct sock_fprog filter = { ARRAY_SIZE(messages), messages };

	return open_on(ifindex, &filter, err);
}

static void pause_us(long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

/* A full queue of the device is a reason to wait a little, not to give up. */
static int send_batch(int fd, struct mmsghdr *batch, size_t n, struct error *err)
{
	size_t done = 0;
	int tries = 0, got;

	while (done < n) {
		got = sendmmsg(fd, batch + done, n - done, 0);
		if (got > 0) {
			done += got;
			tries = 0;
		} else if ((errno != ENOBUFS && errno != EAGAIN && errno != EINTR) ||
			   ++tries > TRIES_WHEN_FULL) {
			return error_set(err, "cannot send frames: %s%s", strerror(errno),
					 errno == ENETDOWN ? "; set the interface up" : "");
		} else {
			pause_us(1000);
		}
	}
	return 0;
}

int packet_send(int fd, packet_maker *make, const void *from, size_t n, struct error *err)
{
	uint8_t frames[PACKET_BATCH][FRAME_ROOM];
	struct iovec parts[PACKET_BATCH];
	struct mmsghdr batch[PACKET_BATCH];

	for (size_t at = 0; at < n;) {
		size_t count = n - at < PACKET_BATCH ? n - at : PACKET_BATCH;

		memset(batch, 0, sizeof(batch));
		for (size_t i = 0; i < count; i++) {
			parts[i].iov_base = frames[i];
			parts[i].iov_len = make(from, at + i, frames[i]);
			batch[i].msg_hdr.msg_iov = &parts[i];
			batch[i].msg_hdr.msg_iovlen = 1;
		}
		if (send_batch(fd, batch, count, err))
			return -1;
		at += count;
		if (at < n)
			pause_us(1000000L * PACKET_BATCH / PACKET_RATE);
	}
	return 0;
}

size_t packet_receive(int fd, uint8_t *out, size_t size)
{
	ssize_t n;

	do {
		n = recv(fd, out, size, MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	return n <= 0 ? 0 : (size_t)n < size ? (size_t)n : size;
}
