// SPDX-License-Identifier: GPL-2.0-only
/* Somebody else's XDP program, for xdp-loader: it counts frames. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("xdp")
int foreign(struct xdp_md *xdp)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&seen, &zero);

	(void)xdp;
	if (count)
		__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}
