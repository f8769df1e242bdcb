/* SPDX-License-Identifier: GPL-2.0-only */
/* What kind of frame this is, before anything is decided about it. */
#ifndef TN_BPF_CLASSIFY_H
#define TN_BPF_CLASSIFY_H

#include <linux/udp.h>

#include "forward.h"

static __always_inline __u16 pkt_ethertype(struct pkt *p)
{
	struct ethhdr *eth;

	if (!pkt_pull(p, ETH_HLEN))
		return 0;
	eth = p->data;
	return bpf_ntohs(eth->h_proto);
}

/*
 * What a guest leaves to virtio-net comes without its number of segments: the kernel
 * does not believe a guest, and counts them where it makes them.
 */
static __always_inline void pkt_count_segments(struct pkt *p)
{
	__u32 header = sizeof(struct udphdr);
	__u8 words;

	if (p->proto == IPPROTO_TCP) {
		if (!pkt_load(p, p->l4 + TCP_WORDS_OFFSET, &words, sizeof(words)))
			return;
		header = (words >> 4) * 4;
	}
	if (p->l4_len > header)
		p->packets = (p->l4_len - header + p->gso_size - 1) / p->gso_size;
}

static __always_inline int pkt_parse(struct pkt *p, __u16 ethertype)
{
	int fault = ethertype == ETH_P_IP ? pkt_parse_v4(p) : pkt_parse_v6(p);

	if (fault == PKT_SOUND && p->gso_size)
		pkt_count_segments(p);
	return fault;
}

/*
 * IPv6 traffic of the link itself: a link-local destination is never forwarded, and is
 * spoken to from any address of the link (RFC 4007, 9). IPv4 forwards link-local
 * addresses like all others, so they have no privilege here.
 */
static __always_inline bool link_local_in(const struct pkt *p, const struct tn_addr *src,
					  const struct tn_addr *dst)
{
	return !p->v4 && addr_is_link_local(dst, false) &&
	       (addr_is_link_local(src, false) || in_shared_subnets(src));
}

/*
 * What the kernel may unwrap behind tc, on the same interface, so that what is in it would come in
 * unjudged. A tag that is still in the frame is a second one: the kernel takes the first one off
 * before tc, and others with VLAN id 0 after it. Labels of MPLS go where the kernel's table says.
 */
static __always_inline bool is_wrapped(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD ||
	       ethertype == ETH_P_MPLS_UC || ethertype == ETH_P_MPLS_MC;
}

/* 255.255.255.255, or the last address of a shared subnet. */
static __always_inline bool is_broadcast(const struct pkt *p, const struct tn_addr *dst)
{
	return p->v4 && (!~dst->w[3] || tn_place_in_subnets(dst) == SUBNET_BROADCAST);
}

enum { DHCP_SERVER = 67, DHCP_CLIENT = 68 }; /* RFC 2131, 4.1 */

static __always_inline bool is_from_dhcp_server(const __be16 ports[2])
{
	return ports[0] == bpf_htons(DHCP_SERVER) && ports[1] == bpf_htons(DHCP_CLIENT);
}

/*
 * What a DHCP server answers the router itself, which may come from anywhere. A client that reads
 * packet sockets has it before tc.
 */
static __always_inline bool is_dhcp_answer(struct pkt *p)
{
	__be16 ports[2];

	return p->v4 && p->proto == IPPROTO_UDP && !p->later_fragment &&
	       pkt_load(p, p->l4, ports, sizeof(ports)) && is_from_dhcp_server(ports);
}

/*
 * Whether that is one that a socket of the router waits for; else its kernel would answer whoever
 * sent it. `l4` is where its UDP header lies.
 */
__noinline int tn_dhcp_is_awaited(struct __sk_buff *skb, __u32 l4)
{
	struct bpf_sock_tuple ends = {};
	struct scratch *w = scratch_get();
	struct bpf_sock *sk;
	__be16 ports[2];

	if (!w || bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)) || !is_from_dhcp_server(ports))
		return 0;
	ends.ipv4.saddr = w->endpoints.peer.w[3];
	ends.ipv4.daddr = w->endpoints.shared.w[3];
	ends.ipv4.sport = ports[0];
	ends.ipv4.dport = ports[1];
	sk = bpf_sk_lookup_udp(skb, &ends, sizeof(ends.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

static __always_inline bool is_awaited(const struct pkt *p)
{
	return !p->xdp && p->v4 && p->proto == IPPROTO_UDP && !p->later_fragment &&
	       tn_dhcp_is_awaited(p->ctx, p->l4);
}

#endif
