// SPDX-License-Identifier: GPL-2.0-only
/*
 * For bench.py: frames at full speed, what to do with them at a router without NAT, and a sink
 * that looks at what came. The layout of struct job is known there too.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define HEADERS 8 /* words of 64 bits: Ethernet, IPv6 and UDP fit */

/* Offsets in a frame */
#define IPV4_ID	   18
#define FLOW_LABEL 16 /* its last 16 bits */

struct job {
	__u64 frame[HEADERS]; /* what does not vary, as it lies in the frame */
	__u64 next;	      /* frames made so far */
	__u32 base;	      /* the varying address, or its last 32 bits; host byte order */
	__u32 count;	      /* how many there are */
	__u32 ip_sum;	      /* of the IPv4 header without it */
	__u32 l4_sum;	      /* of pseudo-header, UDP header and data without it and the ports */
	__u32 ifindex;	      /* where it goes */
	__u32 six;	      /* IPv6 */
	__u32 out;	      /* the source varies, else the destination */
	__u32 flows;	      /* every frame has other ports */
	__u32 verify;	      /* the sink: IPv4 header and UDP checksums, too */
	__u32 in_turn;	      /* one mapping after the other, else at random */
};

/* generate, sink, hop */
enum { JOB_GENERATE, JOB_SINK, JOB_HOP, JOBS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JOBS);
	__type(key, __u32);
	__type(value, struct job);
} jobs SEC(".maps");

/* What is known of a mapping, and counted. */
struct line {
	__u64 packets;
	__u64 unset;
	__u64 pad[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

struct came {
	__u64 right;
	__u64 wrong;
	__u64 bad_sums;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct came);
} came SEC(".maps");

static struct job *job_of(__u32 which)
{
	return bpf_map_lookup_elem(&jobs, &which);
}

static __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* 0 would say that there is none. */
static __u16 udp_sum(__u64 sum)
{
	__u16 folded = fold(sum);

	return folded ? folded : 0xffff;
}

static __u64 words(void *data, int from, int to)
{
	__u64 sum = 0;

	for (int i = from; i < to; i += 2)
		sum += bpf_ntohs(*(__be16 *)(data + i));
	return sum;
}

/* Behind the headers, and where an IPv4 frame's program did not write, are zeros. */
static int sums_are_right(void *data, const struct job *j)
{
	__u64 sum;

	if (j->six) {
		sum = words(data, 22, 62) + IPPROTO_UDP + bpf_ntohs(*(__be16 *)(data + 58));
		return !fold(sum);
	}
	if (fold(words(data, 14, 34)))
		return 0;
	sum = words(data, 26, 42) + IPPROTO_UDP + bpf_ntohs(*(__be16 *)(data + 38));
	return !fold(sum);
}

/*
 * The number of the mapping goes along, where no router writes.
 *
 * Every header is written every time, as words: pages come back as the last run left them.
 */
SEC("xdp")
int generate(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct job *j = job_of(JOB_GENERATE);
	__u32 n, which, address, sum;
	__u16 sport = 4000, dport = 53;

	if (!j || data + HEADERS * 8 > end)
		return XDP_ABORTED;
	n = j->next++;
	which = (j->in_turn ? n : n * 2654435761U) % j->count;
	address = j->base + which;
	which &= 0xffff;
	if (j->flows) {
		sport = 1024 + n % 60000;
		dport = 1024 + n / 60000;
	}
	for (int i = 0; i < HEADERS; i++)
		((__u64 *)data)[i] = j->frame[i];
	sum = (address >> 16) + (address & 0xffff);
	if (j->six) {
		*(__be16 *)(data + FLOW_LABEL) = bpf_htons(which);
		*(__be32 *)(data + (j->out ? 34 : 50)) = bpf_htonl(address);
		*(__be16 *)(data + 54) = bpf_htons(sport);
		*(__be16 *)(data + 56) = bpf_htons(dport);
		*(__be16 *)(data + 60) = bpf_htons(udp_sum(j->l4_sum + sum + sport + dport));
	} else {
		*(__be16 *)(data + IPV4_ID) = bpf_htons(which);
		*(__be16 *)(data + 24) = bpf_htons(fold(j->ip_sum + sum + which));
		*(__be32 *)(data + (j->out ? 26 : 30)) = bpf_htonl(address);
		*(__be16 *)(data + 34) = bpf_htons(sport);
		*(__be16 *)(data + 36) = bpf_htons(dport);
		*(__be16 *)(data + 40) = bpf_htons(udp_sum(j->l4_sum + sum + sport + dport));
	}
	return bpf_redirect(j->ifindex, 0);
}

/* Counts what has the address that its mapping says, where it is to be after translation. */
SEC("xdp.frags")
int sink(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct job *j = job_of(JOB_SINK);
	struct came *c;
	__u32 zero = 0, address, which;

	c = bpf_map_lookup_elem(&came, &zero);
	if (!j || !c || data + 62 > end)
		return XDP_DROP;
	if (j->six) {
		address = *(__be32 *)(data + (j->out ? 34 : 50));
		which = bpf_ntohs(*(__be16 *)(data + FLOW_LABEL));
	} else {
		address = *(__be32 *)(data + (j->out ? 26 : 30));
		which = bpf_ntohs(*(__be16 *)(data + IPV4_ID));
	}
	address = bpf_ntohl(address) - j->base;
	if (address >= j->count || (address & 0xffff) != which)
		c->wrong++;
	else if (j->verify && !sums_are_right(data, j))
		c->bad_sums++;
	else
		c->right++;
	return XDP_DROP;
}

SEC("xdp.frags")
int drop(struct xdp_md *xdp)
{
	(void)xdp;
	return XDP_DROP;
}

static int send_on(void *data, const struct job *j)
{
	__builtin_memcpy(data, j->frame, 2 * ETH_ALEN);
	return bpf_redirect(j->ifindex, 0);
}

/* A router that does nothing but send on. */
SEC("xdp.frags")
int hop(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct job *j = job_of(JOB_HOP);

	return j && data + ETH_HLEN <= end ? send_on(data, j) : XDP_ABORTED;
}

/* And that has a line of memory for each mapping, of which it knows the place without looking. */
SEC("xdp.frags")
int look(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct job *j = job_of(JOB_HOP);
	struct line *line;
	__u32 which;

	if (!j || data + 34 > end)
		return XDP_ABORTED;
	which = bpf_ntohl(*(__be32 *)(data + 30)) - j->base;
	line = bpf_map_lookup_elem(&lines, &which);
	if (!line || line->unset)
		return XDP_ABORTED;
	line->packets++;
	return send_on(data, j);
}
