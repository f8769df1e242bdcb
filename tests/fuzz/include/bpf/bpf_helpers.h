/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs take from libbpf's header of the same name, for the host. Helpers are
 * ordinary functions, in shim.c; one that is missing there is an error of the linker.
 */
#ifndef TN_FUZZ_BPF_HELPERS_H
#define TN_FUZZ_BPF_HELPERS_H

#include <linux/bpf.h>

#define SEC(name)	   __attribute__((used))
#define __uint(name, val)  int(*name)[val]
#define __type(name, val)  __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]

#define __ksym
#define __weak

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#undef __noinline
#define __noinline __attribute__((noinline))

/* A map is known by its address alone. */
void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);

/* Time does not go on while a frame is judged. */
__u64 bpf_ktime_get_ns(void);
__u64 bpf_ktime_get_coarse_ns(void);
__u64 bpf_ktime_get_tai_ns(void);
__u64 bpf_jiffies64(void);
__u32 bpf_get_prandom_u32(void);
__u32 bpf_get_smp_processor_id(void);

void *bpf_ringbuf_reserve(void *map, __u64 size, __u64 flags);
void bpf_ringbuf_submit(void *event, __u64 flags);

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len);
long bpf_skb_load_bytes_relative(const void *skb, __u32 offset, void *to, __u32 len, __u32 header);
long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 len,
			 __u64 flags);
long bpf_skb_pull_data(struct __sk_buff *skb, __u32 len);
long bpf_skb_change_head(struct __sk_buff *skb, __u32 len, __u64 flags);
long bpf_skb_change_tail(struct __sk_buff *skb, __u32 len, __u64 flags);
long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
__s64 bpf_csum_update(struct __sk_buff *skb, __wsum csum);
__s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed);
long bpf_redirect(__u32 ifindex, __u64 flags);
long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *params, int size, __u64 flags);
struct bpf_sock *bpf_sk_lookup_udp(void *ctx, struct bpf_sock_tuple *ends, __u32 size, __u64 netns,
				   __u64 flags);
long bpf_sk_release(void *sock);
long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags);

__u64 bpf_xdp_get_buff_len(struct xdp_md *xdp);
long bpf_xdp_adjust_meta(struct xdp_md *xdp, int delta);
long bpf_xdp_load_bytes(struct xdp_md *xdp, __u32 offset, void *to, __u32 len);
long bpf_xdp_store_bytes(struct xdp_md *xdp, __u32 offset, void *from, __u32 len);

#endif
