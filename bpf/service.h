/* SPDX-License-Identifier: GPL-2.0-only */
/* What rules and flows tell packets apart by: the kind of packet, and the service at each end. */
#ifndef TN_BPF_SERVICE_H
#define TN_BPF_SERVICE_H

#include "parse.h"

/* Whose a packet can be that belongs to a flow. */
enum talk {
	TALK_EITHER,  /* the first one, or an answer: only rules and flows tell */
	TALK_REQUEST, /* ICMP: never an answer */
	TALK_REPLY,   /* ICMP: never the first one */
};

/* See TN_CLASSES. Host byte order. */
struct service {
	__u8 class;
	__u8 talk;
	__u16 src;
	__u16 dst;
};

/* Flags of a TCP header (RFC 9293, 3.1), in the byte at this offset */
#define TCP_FLAGS_OFFSET 13
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* A table, for the verifier's sake; all else is TN_CLASS_OTHER, which is 0. */
static const __u8 service_class[256] = {
#define X(id, name, protocol) [protocol] = TN_CLASS_##id,
	TN_CLASSES(X)
#undef X
};

/*
 * The request that a reply of that type answers; 0: it is no such reply, and no reply answers
 * type 0. RFC 792, 950, 4443, 4620, 8335; the numbers of IPv4 are below 128, those of IPv6 not.
 */
static const __u8 icmp_answers[256] = {
	[0] = 8, [14] = 13, [16] = 15, [18] = 17, [43] = 42, [129] = 128, [140] = 139, [161] = 160,
};

/* And requests that have an identifier, by which their replies are known. */
static const __u8 icmp_asks[256] = {
	[8] = 1, [13] = 1, [15] = 1, [17] = 1, [42] = 1, [128] = 1, [139] = 1, [160] = 1,
};

static __always_inline void service_of_icmp(struct service *s, __u8 type, __u16 id)
{
	bool reply = icmp_answers[type];

	s->talk = reply ? TALK_REPLY : TALK_REQUEST;
	s->src = reply ? icmp_answers[type] : icmp_asks[type] ? id : 0;
	s->dst = reply ? id : type;
}

/*
 * The service of a header of protocol `proto` at `at`, in the packet itself or in one that it
 * quotes, of which eight bytes are there. False: it cannot be read.
 */
static __always_inline bool service_read(struct pkt *p, __u8 proto, __u32 at, struct service *s)
{
	__be16 words[4] = {};

	s->class = service_class[proto];
	s->talk = TALK_EITHER;
	s->src = s->dst = proto;
	if (s->class == TN_CLASS_OTHER)
		return true;
	if (!pkt_load(p, at, words, sizeof(words)))
		return false;
	if (s->class == TN_CLASS_ICMP || s->class == TN_CLASS_ICMPV6) {
		service_of_icmp(s, bpf_ntohs(words[0]) >> 8, bpf_ntohs(words[2]));
	} else {
		s->src = bpf_ntohs(words[0]);
		s->dst = bpf_ntohs(words[1]);
	}
	return true;
}

#endif
