/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/interrupt.h"
#include "probe/frame.h"

/*
 * The first port of those by which traceroute finds closed ones. Each kind of UDP has so many of
 * them, so that a late answer to one does not count for the other.
 */
enum { CLOSED_PORT = 33434, CLOSED_PORTS = 40 };
enum { V4_HEADER = 20, V6_HEADER = 40, UDP_LENGTH = 40, PACKET_LONGEST = 65536 };
enum { BATCH = 64, BATCH_PAUSE_MS = 4, ROOM = 4 << 20, READ_MAX = 1000 };

/* By family: IPv4 and IPv6. A socket is -1 where the kernel does not have the family. */
struct pinger {
	int icmp[2];
	int udp[2];
	int raw_udp[2];
	uint16_t udp_port[2]; /* our end of both kinds of UDP, host order */
	uint16_t id;
	uint16_t
		seq; /* of the next round's first echo: late answers to the last one do not count */
	uint16_t closed; /* which port is tried next */
	uint8_t cookie[ECHO_COOKIE];
	uint8_t packet[PACKET_LONGEST];
};

/* ------------------------------------------------------------ sockets */

static int level(bool v4)
{
	return v4 ? IPPROTO_IP : IPPROTO_IPV6;
}

_Static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE, "see tune_icmp()");

/* Only what icmp_answer_parse() knows; no packet is held for the path's MTU that is remembered. */
static void tune_icmp(int fd, bool v4)
{
	int probe = IP_PMTUDISC_PROBE, room = ROOM;

	if (v4) {
		struct icmp_filter some = { ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH) };

		setsockopt(fd, SOL_RAW, ICMP_FILTER, &some, sizeof(some));
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
	} else {
		struct icmp6_filter some;

		ICMP6_FILTER_SETBLOCKALL(&some);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &some);
		ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &some);
		ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &some);
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &some, sizeof(some));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe));
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
}

/* A socket to send by alone: what others send to us is not for it. */
static void deafen(int fd)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog filter = { .len = 1, .filter = nothing };

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

static uint16_t bind_any(int fd, int family)
{
	struct sockaddr_in6 at = { .sin6_family = family };
	struct sockaddr_in at4 = { .sin_family = family };
	socklen_t len = sizeof(at);
	int only = 1;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	/* either kind has its port in the same place */
	if (bind(fd, family == AF_INET ? (void *)&at4 : (void *)&at,
		 family == AF_INET ? sizeof(at4) : sizeof(at)) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		return 0;
	return ntohs(at.sin6_port);
}

static int open_family(struct pinger *p, bool v4, struct error *err)
{
	int family = v4 ? AF_INET : AF_INET6, i = !v4;

	p->icmp[i] = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (p->icmp[i] < 0 && errno == EAFNOSUPPORT)
		return 0;
	p->udp[i] = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	p->raw_udp[i] = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	if (p->icmp[i] < 0 || p->udp[i] < 0 || p->raw_udp[i] < 0)
		return error_set(err, "cannot open a raw socket: %s%s", strerror(errno),
				 errno == EPERM ? "; run as root" : "");
	tune_icmp(p->icmp[i], v4);
	deafen(p->raw_udp[i]);
	deafen(p->udp[i]);
	p->udp_port[i] = bind_any(p->udp[i], family);
	return 0;
}

struct pinger *pinger_open(struct error *err)
{
	struct pinger *p = xzalloc(sizeof(*p));

	for (int i = 0; i < 2; i++)
		p->icmp[i] = p->udp[i] = p->raw_udp[i] = -1;
	if (getrandom(&p->id, sizeof(p->id), 0) != sizeof(p->id) ||
	    getrandom(p->cookie, sizeof(p->cookie), 0) != sizeof(p->cookie))
		error_set(err, "cannot get random numbers: %s", strerror(errno));
	if (err->set || open_family(p, true, err) || open_family(p, false, err)) {
		pinger_close(p);
		return NULL;
	}
	return p;
}

void pinger_close(struct pinger *p)
{
	for (int i = 0; p && i < 2; i++) {
		close_cleanup(&p->icmp[i]);
		close_cleanup(&p->udp[i]);
		close_cleanup(&p->raw_udp[i]);
	}
	free(p);
}

/* ------------------------------------------------------------ sending */

union any_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Room for the one control message that says the source. */
union source {
	struct cmsghdr head;
	uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static socklen_t to_sockaddr(const struct tn_addr *a, uint16_t port, union any_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_v4(a)) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, &a->w[3], 4);
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, a->w, 16);
	return sizeof(out->v6);
}

static void set_source(struct msghdr *msg, union source *control, const struct tn_addr *src)
{
	struct in6_pktinfo six = { 0 };
	struct in_pktinfo four = { 0 };
	bool v4 = addr_is_v4(src);

	memset(control, 0, sizeof(*control));
	control->head.cmsg_level = level(v4);
	control->head.cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	control->head.cmsg_len = v4 ? CMSG_LEN(sizeof(four)) : CMSG_LEN(sizeof(six));
	if (v4) {
		memcpy(&four.ipi_spec_dst, &src->w[3], 4);
		memcpy(CMSG_DATA(&control->head), &four, sizeof(four));
	} else {
		memcpy(&six.ipi6_addr, src->w, 16);
		memcpy(CMSG_DATA(&control->head), &six, sizeof(six));
	}
	msg->msg_control = control;
	msg->msg_controllen = v4 ? sizeof(control->v4) : sizeof(control->v6);
}

static uint16_t first_port(enum ping_kind kind)
{
	return kind == PING_UDP ? CLOSED_PORT : CLOSED_PORT + CLOSED_PORTS;
}

static void transmit(int fd, struct ping *one, uint16_t port, void *data, size_t len)
{
	struct iovec part = { .iov_base = data, .iov_len = len };
	union any_addr to;
	struct msghdr msg = { .msg_name = &to, .msg_iov = &part, .msg_iovlen = 1 };
	union source control;

	msg.msg_namelen = to_sockaddr(&one->dst, port, &to);
	if (!addr_is_unset(&one->src))
		set_source(&msg, &control, &one->src);
	if (fd < 0)
		one->error = EAFNOSUPPORT;
	/* a full queue is a lost packet like any other */
	else if (sendmsg(fd, &msg, 0) < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
		one->error = errno;
}

/*
 * A raw socket of IPv6 has no port in its address. UDP goes to another port each time, so that
 * one which happens to be open does not matter.
 */
static void send_one(struct pinger *p, struct ping *one, uint16_t seq)
{
	bool v4 = addr_is_v4(&one->dst);
	size_t len = one->size - (v4 ? V4_HEADER : V6_HEADER);
	uint16_t port = first_port(one->kind) + p->closed++ % CLOSED_PORTS;

	switch (one->kind) {
	case PING_ECHO:
		echo_build(p->packet, len, v4, p->id, seq, p->cookie);
		transmit(p->icmp[!v4], one, 0, p->packet, len);
		break;
	case PING_UDP:
		memset(p->packet, 0, UDP_LENGTH);
		transmit(p->udp[!v4], one, port, p->packet, UDP_LENGTH - 8);
		break;
	case PING_UDP_SUMMED:
		memset(p->packet, 0, UDP_LENGTH);
		udp_build(p->packet, UDP_LENGTH, &one->src, &one->dst, p->udp_port[!v4], port);
		transmit(p->raw_udp[!v4], one, 0, p->packet, UDP_LENGTH);
		break;
	}
}

/* ------------------------------------------------------------ answers */

static bool decided(const struct ping *one)
{
	return one->answered || one->mtu || one->error;
}

/* The echo with that number, if it is one of this round. */
static struct ping *by_seq(struct pinger *p, struct ping *const *v, size_t n,
			   const struct icmp_answer *answer)
{
	uint16_t i = answer->seq - p->seq;

	return answer->id == p->id && i < n && v[i]->kind == PING_ECHO ? v[i] : NULL;
}

static void take_error(struct pinger *p, struct ping *const *v, size_t n, bool v4,
		       const struct icmp_answer *answer)
{
	struct ping *one = by_seq(p, v, n, answer);
	bool echo = answer->protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (answer->kind == ICMP_ANSWER_TOO_BIG && echo && one &&
	    addr_cmp(&one->dst, &answer->dst) == 0) {
		/* a router of before RFC 1191 does not say */
		one->mtu = answer->mtu ? answer->mtu : 1;
	}
	if (answer->kind != ICMP_ANSWER_PORT_UNREACHABLE || answer->protocol != IPPROTO_UDP ||
	    answer->sport != p->udp_port[!v4])
		return;
	for (size_t i = 0; i < n; i++) {
		uint16_t port = answer->dport - first_port(v[i]->kind);

		if (v[i]->kind != PING_ECHO && port < CLOSED_PORTS &&
		    addr_cmp(&v[i]->dst, &answer->dst) == 0)
			v[i]->answered = true;
	}
}

static void read_answers(struct pinger *p, struct ping *const *v, size_t n, bool v4)
{
	union any_addr from;
	socklen_t size = sizeof(from);
	struct tn_addr who;
	struct icmp_answer answer;
	struct ping *one;
	ssize_t len;
	int most = READ_MAX;

	while (most-- && (len = recvfrom(p->icmp[!v4], p->packet, sizeof(p->packet), 0, &from.any,
					 &size)) > 0) {
		size = sizeof(from);
		icmp_answer_parse(p->packet, len, v4, &answer);
		if (answer.kind != ICMP_ANSWER_ECHO) {
			take_error(p, v, n, v4, &answer);
			continue;
		}
		who = v4 ? addr_from_bytes(&from.v4.sin_addr, 4)
			 : addr_from_bytes(&from.v6.sin6_addr, 16);
		one = by_seq(p, v, n, &answer);
		if (one && addr_cmp(&one->dst, &who) == 0 &&
		    memcmp(answer.cookie, p->cookie, ECHO_COOKIE) == 0)
			one->answered = true;
	}
}

static void wait_answers(struct pinger *p, struct ping *const *v, size_t n, int ms)
{
	struct pollfd fds[2] = { { .fd = p->icmp[0], .events = POLLIN },
				 { .fd = p->icmp[1], .events = POLLIN } };

	if (poll(fds, 2, ms) <= 0)
		return;
	for (int i = 0; i < 2; i++) {
		if (fds[i].revents)
			read_answers(p, v, n, i == 0);
	}
}

static bool all_decided(struct ping *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!decided(v[i]))
			return false;
	}
	return true;
}

void ping_all(struct pinger *p, struct ping *const *v, size_t n, unsigned int tries,
	      unsigned int ms)
{
	for (unsigned int try = 0; try < tries && !all_decided(v, n) && !interrupt_is_due();
	     try++) {
		uint64_t end;
		size_t sent = 0;

		for (size_t i = 0; i < n; i++) {
			if (decided(v[i]))
				continue;
			send_one(p, v[i], p->seq + i);
			if (++sent % BATCH == 0)
				wait_answers(p, v, n, BATCH_PAUSE_MS);
		}
		end = clock_ms() + ms;
		do {
			wait_answers(p, v, n, clock_left(end));
		} while (!all_decided(v, n) && clock_left(end) && !interrupt_is_due());
	}
	p->seq += n;
}
