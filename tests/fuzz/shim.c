/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The helpers that the programs call, as the kernel has them (net/core/filter.c): what
 * they refuse, what they leave behind, and how they round in ones' complement. Whatever
 * the kernel does and the programs never ask for ends the run, so that nobody relies on it.
 */
#include "shim.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <sanitizer/asan_interface.h>
#include <sys/socket.h>

#include "lib/util.h"

/* In front of the data; a multiple of 8, which is how the address sanitizer counts. */
#define ROOM	 256
#define META_MAX 32

static void unsupported(const char *what)
{
	fprintf(stderr, "tests/fuzz/shim.c does not know what the kernel does: %s\n", what);
	abort();
}

/* ---------------------------------------------------------------- sums */

/* As the kernel's csum_add() and csum_fold(). */
static uint32_t sum_add(uint32_t a, uint32_t b)
{
	a += b;
	return a + (a < b);
}

static uint16_t sum_fold16(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static uint32_t sum_words(const uint8_t *at, size_t len, uint32_t sum)
{
	uint16_t word;

	for (; len > 1; at += 2, len -= 2) {
		memcpy(&word, at, sizeof(word));
		sum = sum_add(sum, word);
	}
	if (len) {
		word = 0;
		memcpy(&word, at, 1);
		sum = sum_add(sum, word);
	}
	return sum;
}

/* ---------------------------------------------------------------- the frame */

static uint8_t *data_of(const struct shim_frame *f)
{
	return f->room + ROOM;
}

const uint8_t *shim_meta(const struct shim_frame *f)
{
	return data_of(f) - f->meta;
}

uint32_t shim_len(const struct shim_frame *f)
{
	return f->linear + f->rest_len;
}

static uint8_t *byte_at(const struct shim_frame *f, uint32_t i)
{
	return i < f->linear ? data_of(f) + i : f->rest + (i - f->linear);
}

void shim_copy_out(const struct shim_frame *f, uint32_t offset, void *to, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = *byte_at(f, offset + i);
}

static void copy_in(struct shim_frame *f, uint32_t offset, const void *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*byte_at(f, offset + i) = ((const uint8_t *)from)[i];
}

/* The fields of the context that follow from the frame. */
static void show(struct shim_frame *f)
{
	uint64_t data = (uintptr_t)data_of(f);
	uint32_t used = f->mac < 0 ? -f->mac : 0;

	if (used < f->meta)
		used = f->meta;
	ASAN_UNPOISON_MEMORY_REGION(f->room, ROOM);
	ASAN_POISON_MEMORY_REGION(f->room, (ROOM - used) & ~7U);
	if (f->is_xdp) {
		f->xdp.data = data;
		f->xdp.data_end = data + f->linear;
		f->xdp.data_meta = data - f->meta;
	} else {
		f->skb.len = shim_len(f);
		f->skb.data = data;
		f->skb.data_end = data + f->linear;
		f->skb.data_meta = data - f->meta;
	}
}

/*
 * New memory for all of it, with `linear` bytes linear and `push` more in front, which are
 * zero; the length becomes `len`, with zeroes at the end.
 */
static void renew(struct shim_frame *f, uint32_t linear, uint32_t push, uint32_t len)
{
	struct shim_frame old = *f;
	uint32_t kept = shim_len(&old) + push < len ? shim_len(&old) : len - push;

	f->room = xzalloc(ROOM + linear);
	f->linear = linear;
	f->rest_len = len - linear;
	f->rest = f->rest_len ? xzalloc(f->rest_len) : NULL;
	ASAN_UNPOISON_MEMORY_REGION(old.room, ROOM);
	if (push)
		f->meta = 0;
	else
		memcpy(f->room, old.room, ROOM);
	for (uint32_t i = 0; i < kept; i++)
		*byte_at(f, push + i) = *byte_at(&old, i);
	f->mac = push ? 0 : old.mac;
	f->network = old.network + (int32_t)push;
	f->left_start = old.left_start + (int32_t)push;
	free(old.room);
	free(old.rest);
	show(f);
}

/* What the kernel finds out when it receives a frame: eth_type_trans(). */
static uint32_t packet_type(const uint8_t *frame)
{
	static const uint8_t everybody[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	uint8_t own[ETH_ALEN];

	mac_parse(MAC_ROUTER, own);
	if (!memcmp(frame, own, ETH_ALEN))
		return PACKET_HOST;
	if (!(frame[0] & 1))
		return PACKET_OTHERHOST;
	return memcmp(frame, everybody, ETH_ALEN) ? PACKET_MULTICAST : PACKET_BROADCAST;
}

/* skb->protocol, in network byte order: Ethernet II, or one of two kinds of IEEE 802.2. */
static uint32_t protocol(const uint8_t *frame, size_t len)
{
	uint16_t type;

	memcpy(&type, frame + 12, sizeof(type));
	if (ntohs(type) >= ETH_P_802_3_MIN)
		return type;
	if (len >= ETH_HLEN + 2 && frame[14] == 0xff && frame[15] == 0xff)
		return htons(ETH_P_802_3);
	return htons(ETH_P_802_2);
}

/* The program that has the last frame, and what it asks the kernel to do with it. */
static bool in_xdp;
static uint32_t asked_egress;
static bool asked_into;

/* By the interface that the program is attached to. */
static uint32_t attached_to(enum program program)
{
	return program == INSIDE_IN || program == INSIDE_OUT ? IF_INSIDE : IF_SHARED;
}

#define NOTED 0x7000 /* with the router below it: what the inside program writes to tc_index */

/* By which it came, of those that leave: on arrival, where it is. */
static uint32_t came_by(const struct native_in *in)
{
	static const uint32_t by[] = {
		[FROM_INSIDE] = IF_INSIDE, [FROM_SHARED] = IF_SHARED, [FROM_UPLINK] = IF_UPLINK
	};

	return in->program == TC_OUT ? by[in->ingress] : attached_to(in->program);
}

void shim_frame_open(struct shim_frame *f, const struct native_in *in)
{
	uint32_t skip = in->lost_mac || in->raw ? ETH_HLEN : 0, len = in->len - skip;
	uint32_t linear = in->linear && in->linear < len ? in->linear : len;

	memset(f, 0, sizeof(*f));
	f->is_xdp = in_xdp = in->program == XDP_IN;
	asked_egress = 0;
	asked_into = false;
	f->mac = in->raw ? 0 : -(int32_t)skip;
	f->network = ETH_HLEN - (int32_t)skip;
	f->linear = linear;
	f->rest_len = len - linear;
	f->room = xzalloc(ROOM + linear);
	f->rest = f->rest_len ? xzalloc(f->rest_len) : NULL;
	if (!in->raw)
		memcpy(data_of(f) - skip, in->bytes, skip);
	copy_in(f, 0, in->bytes + skip, len);
	f->summed = in->summed;
	f->left_start = in->left_start - (int32_t)skip;
	f->left_field = in->left_field;
	f->to_vms = in->to_vms;
	f->to_shared = in->to_shared;
	if (f->summed == SUMMED_WHOLE)
		f->sum = sum_words(in->bytes + ETH_HLEN, in->len - ETH_HLEN, 0);
	if (!f->is_xdp) {
		f->skb.pkt_type = packet_type(in->bytes);
		f->skb.protocol = protocol(in->bytes, in->len);
		f->skb.mark = in->mark;
		f->skb.priority = in->priority;
		f->skb.gso_size = in->gso_size;
		f->skb.gso_segs = in->gso_segs;
		f->skb.ifindex = attached_to(in->program);
		f->skb.ingress_ifindex = came_by(in);
		if (in->program == TC_OUT && in->ingress == FROM_ROUTER && !in->no_socket)
			f->skb.sk = f;
		if (in->noted)
			f->skb.tc_index = NOTED | RED;
	}
	show(f);
}

void shim_frame_end(struct shim_frame *f)
{
	f->egress = asked_egress;
	f->into = asked_into;
}

void shim_frame_close(struct shim_frame *f)
{
	ASAN_UNPOISON_MEMORY_REGION(f->room, ROOM);
	free(f->room);
	free(f->rest);
}

void shim_finish(uint8_t *bytes, size_t len, size_t start, size_t at)
{
	uint16_t sum;

	if (start > len || at + sizeof(sum) > len)
		return;
	sum = ~sum_fold16(sum_words(bytes + start, len - start, 0));
	memcpy(bytes + at, &sum, sizeof(sum));
}

bool shim_sum_is_right(const struct shim_frame *f)
{
	uint32_t len = shim_len(f) - f->network;
	_cleanup_free_ uint8_t *bytes = xzalloc(len + 1);
	uint16_t is, known = sum_fold16(f->sum);

	shim_copy_out(f, f->network, bytes, len);
	is = sum_fold16(sum_words(bytes, len, 0));
	/* ones' complement has two zeroes */
	return is % 0xffff == known % 0xffff;
}

/* ---------------------------------------------------------------- maps */

static struct map *map_at(const void *address)
{
	for (struct map *m = programs_maps; m->name; m++) {
		if (m->address == address)
			return m;
		if (m->inner && m->inner == address)
			return m->inner;
	}
	unsupported("a map that programs.c does not list");
	return NULL;
}

struct map *shim_map(const char *name)
{
	for (struct map *m = programs_maps; m->name; m++) {
		if (!strcmp(m->name, name))
			return m;
	}
	unsupported(name);
	return NULL;
}

static struct map_element *map_find(struct map *m, const void *key)
{
	struct map_element *e = m->first;

	while (e && memcmp(e->key, key, m->key_size))
		e = e->next;
	return e;
}

static struct map_element *map_add(struct map *m, const void *key)
{
	struct map_element *e = xzalloc(sizeof(*e));

	e->key = memcpy(xzalloc(m->key_size), key, m->key_size);
	e->value = xzalloc(m->value_size);
	e->next = m->first;
	m->first = e;
	return e;
}

void shim_map_update(struct map *m, const void *key, const void *value)
{
	struct map_element *e = map_find(m, key);

	if (!e)
		e = map_add(m, key);
	memcpy(e->value, value, m->value_size);
}

/* Whether the first bits of `key` are those of the prefix `of`; both begin with their lengths. */
static bool has_prefix(const uint8_t *key, const uint8_t *of)
{
	uint32_t len;

	memcpy(&len, of, sizeof(len));
	key += sizeof(len);
	of += sizeof(len);
	return !memcmp(key, of, len / 8) &&
	       (len % 8 == 0 || (key[len / 8] ^ of[len / 8]) >> (8 - len % 8) == 0);
}

static struct map_element *map_longest(struct map *m, const void *key)
{
	struct map_element *longest = NULL;
	uint32_t len, most = 0;

	for (struct map_element *e = m->first; e; e = e->next) {
		memcpy(&len, e->key, sizeof(len));
		if (has_prefix(key, e->key) && (!longest || len > most)) {
			longest = e;
			most = len;
		}
	}
	return longest;
}

void *shim_map_lookup(struct map *m, const void *key)
{
	struct map_element *e;
	uint32_t index;

	if (m->inner)
		return m->inner;
	e = m->prefixes ? map_longest(m, key) : map_find(m, key);
	if (!e && m->entries) {
		memcpy(&index, key, sizeof(index));
		e = index < m->entries ? map_add(m, key) : NULL;
	}
	return e ? e->value : NULL;
}

void shim_map_clear(struct map *m)
{
	if (m->inner)
		m = m->inner;
	while (m->first) {
		struct map_element *e = m->first;

		m->first = e->next;
		free(e->key);
		free(e->value);
		free(e);
	}
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	return shim_map_lookup(map_at(map), key);
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	if (flags)
		unsupported("bpf_map_update_elem() with flags");
	shim_map_update(map_at(map), key, value);
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	return 1000000000000;
}

__u64 bpf_ktime_get_coarse_ns(void)
{
	return bpf_ktime_get_ns();
}

__u64 bpf_ktime_get_tai_ns(void)
{
	return bpf_ktime_get_ns();
}

static __u64 passed; /* ticks */

void shim_forget(void)
{
	passed += 1000;
}

__u64 bpf_jiffies64(void)
{
	return bpf_ktime_get_ns() / 4000000 + passed;
}

/* There is one. */
__u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

/* Nobody watches here. */
__u32 bpf_get_prandom_u32(void)
{
	unsupported("bpf_get_prandom_u32()");
	return 0;
}

void *bpf_ringbuf_reserve(void *map, __u64 size, __u64 flags)
{
	(void)map;
	(void)size;
	(void)flags;
	unsupported("bpf_ringbuf_reserve()");
	return NULL;
}

void bpf_ringbuf_submit(void *event, __u64 flags)
{
	(void)event;
	(void)flags;
	unsupported("bpf_ringbuf_submit()");
}

/* ---------------------------------------------------------------- both contexts */

/* The context is the first thing in the frame. */
static struct shim_frame *frame_of(const void *ctx)
{
	return (struct shim_frame *)ctx;
}

void *bpf_cast_to_kern_ctx(void *ctx)
{
	const struct shim_frame *f = frame_of(ctx);

	struct programs_skb s = { .mac = f->mac,
				  .network = f->network,
				  .left = f->summed == SUMMED_PARTLY,
				  .left_start = f->left_start,
				  .left_field = f->left_field };

	return f->is_xdp ? programs_kernel_xdp(f->rest_len) : programs_kernel_skb(&s);
}

/* Nothing comes behind a frame here. */
void *bpf_rdonly_cast(const void *obj, __u32 type)
{
	(void)obj;
	(void)type;
	unsupported("bpf_rdonly_cast()");
	return NULL;
}

static bool within(const struct shim_frame *f, uint32_t offset, uint32_t len)
{
	return offset <= INT32_MAX && (uint64_t)offset + len <= shim_len(f);
}

__s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed)
{
	if (from_size % 4 || to_size % 4)
		return -EINVAL;
	if (from || from_size)
		unsupported("bpf_csum_diff() with something to subtract");
	return sum_words((uint8_t *)to, to_size, seed);
}

static long redirect(uint32_t ifindex, bool into)
{
	asked_egress = ifindex;
	asked_into = into;
	return in_xdp ? XDP_REDIRECT : TC_ACT_REDIRECT;
}

/* Two helpers of the kernel, by the type of the program. */
long bpf_redirect(__u32 ifindex, __u64 flags)
{
	if (in_xdp ? flags : flags & ~(__u64)BPF_F_INGRESS)
		return in_xdp ? XDP_ABORTED : TC_ACT_SHOT;
	return redirect(ifindex, flags & BPF_F_INGRESS);
}

long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *params, int size, __u64 flags)
{
	if (params ? (size_t)size != sizeof(*params) : size)
		unsupported("bpf_redirect_neigh() with a next hop of another size");
	return flags ? TC_ACT_SHOT : redirect(ifindex, false);
}

/* An address of a link, for which the kernel has no route of general use: rt6_need_strict(). */
static bool needs_strict(const __u32 a[4])
{
	uint32_t first = ntohl(a[0]);
	bool loopback = !(a[0] | a[1] | a[2]) && a[3] == htonl(1);

	return first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6 || loopback;
}

/* What comes from such a one, or goes there, is never forwarded. */
static bool is_of_link(const struct bpf_fib_lookup *params)
{
	return params->family == AF_INET6 &&
	       (needs_strict(params->ipv6_src) || needs_strict(params->ipv6_dst));
}

static struct tn_addr destination(const struct bpf_fib_lookup *params)
{
	if (params->family == AF_INET)
		return addr_from_bytes(&params->ipv4_dst, sizeof(params->ipv4_dst));
	return addr_from_bytes(params->ipv6_dst, sizeof(params->ipv6_dst));
}

/* Out of which interface. */
static uint32_t leads_to(enum way way, bool shared)
{
	switch (way) {
	case WAY_ASIDE:
		return IF_ASIDE;
	case WAY_BACK:
		return shared ? IF_INSIDE : IF_SHARED;
	case WAY_UPLINK:
		return IF_UPLINK;
	default:
		return shared ? IF_SHARED : IF_INSIDE;
	}
}

/* To the VM that has sent the frame, and to whoever else. */
static void next_hop(const struct shim_frame *f, struct bpf_fib_lookup *params, enum way way,
		     bool shared)
{
	mac_parse(shared ? MAC_PEER : MAC_VM, params->dmac);
	mac_parse(MAC_ROUTER, params->smac);
	if (shared || f->is_xdp || f->skb.ifindex != IF_INSIDE)
		return;
	shim_copy_out(f, ETH_ALEN, params->dmac, ETH_ALEN);
	if (way == WAY_OTHER)
		params->dmac[ETH_ALEN - 1] ^= 1;
}

/* As is_skb_forwardable() has it, where no length was asked for. */
static bool is_too_long(const struct shim_frame *f)
{
	return !f->is_xdp && !f->skb.gso_size && shim_len(f) > SHIM_MTU + ETH_HLEN + 4;
}

/* What the kernel fills in, as far as it gets. */
static long way_on(const struct shim_frame *f, struct bpf_fib_lookup *params, enum way way,
		   bool shared)
{
	uint32_t len = params->tot_len;

	params->mtu_result = SHIM_MTU;
	if (len > SHIM_MTU)
		return BPF_FIB_LKUP_RET_FRAG_NEEDED;
	if (way == WAY_TUNNEL)
		return BPF_FIB_LKUP_RET_UNSUPP_LWT;
	params->ifindex = leads_to(way, shared);
	if (way == WAY_UNKNOWN)
		return BPF_FIB_LKUP_RET_NO_NEIGH;
	next_hop(f, params, way, shared);
	return !len && is_too_long(f) ? BPF_FIB_LKUP_RET_FRAG_NEEDED : BPF_FIB_LKUP_RET_SUCCESS;
}

#define LOOKUP_SRC  (1U << 4) /* BPF_FIB_LOOKUP_SRC of Linux 6.7: here nobody has any address */
#define LOOKUP_MARK (1U << 5) /* BPF_FIB_LOOKUP_MARK of Linux 6.10 */

long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags)
{
	const struct shim_frame *f = frame_of(ctx);
	struct tn_addr to = destination(params);
	bool shared = fixture_in_subnets(&to);
	enum way way = shared ? f->to_shared : f->to_vms;

	if (flags & ~(__u32)(BPF_FIB_LOOKUP_OUTPUT | LOOKUP_MARK | LOOKUP_SRC) ||
	    (size_t)size < sizeof(*params))
		unsupported("bpf_fib_lookup() like that");
	if (is_of_link(params))
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	switch (way) {
	case WAY_DISABLED:
		return BPF_FIB_LKUP_RET_FWD_DISABLED;
	case WAY_NOWHERE:
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	case WAY_GONE:
		if (shared)
			return BPF_FIB_LKUP_RET_UNREACHABLE;
		return params->ifindex == IF_SHARED ? -ENODEV : way_on(f, params, way, shared);
	default:
		return way_on(f, params, way, shared);
	}
}

/* Nobody listens here. */
struct bpf_sock *bpf_sk_lookup_udp(void *ctx, struct bpf_sock_tuple *ends, __u32 size, __u64 netns,
				   __u64 flags)
{
	(void)ctx;
	(void)ends;
	if (size != sizeof(ends->ipv4) || netns != (__u64)BPF_F_CURRENT_NETNS || flags)
		unsupported("bpf_sk_lookup_udp() like that");
	return NULL;
}

long bpf_sk_release(void *sock)
{
	(void)sock;
	unsupported("bpf_sk_release()");
	return 0;
}

/* ---------------------------------------------------------------- tc */

/* As bpf_try_make_writable(): the first `len` bytes become linear, and lie elsewhere. */
static bool pull(struct shim_frame *f, uint32_t len)
{
	if (len > shim_len(f))
		return false;
	renew(f, len > f->linear ? len : f->linear, 0, shim_len(f));
	return true;
}

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len)
{
	const struct shim_frame *f = frame_of(skb);

	if (!within(f, offset, len)) {
		memset(to, 0, len);
		return -EFAULT;
	}
	shim_copy_out(f, offset, to, len);
	return 0;
}

/* Of what is linear alone. */
long bpf_skb_load_bytes_relative(const void *skb, __u32 offset, void *to, __u32 len, __u32 header)
{
	const struct shim_frame *f = frame_of(skb);
	int64_t at = (int64_t)offset + (header == BPF_HDR_START_MAC ? f->mac : f->network);

	if (offset > 0xffff || at + len > f->linear) {
		memset(to, 0, len);
		return -EFAULT;
	}
	memcpy(to, data_of(f) + at, len);
	return 0;
}

long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 len,
			 __u64 flags)
{
	struct shim_frame *f = frame_of(skb);

	if (flags)
		unsupported("bpf_skb_store_bytes() with flags");
	if (!within(f, offset, len) || !pull(f, offset + len))
		return -EFAULT;
	copy_in(f, offset, from, len);
	return 0;
}

long bpf_skb_pull_data(struct __sk_buff *skb, __u32 len)
{
	struct shim_frame *f = frame_of(skb);

	return pull(f, len ? len : f->linear) ? 0 : -ENOMEM;
}

long bpf_skb_change_head(struct __sk_buff *skb, __u32 len, __u64 flags)
{
	struct shim_frame *f = frame_of(skb);

	if (flags || len > ROOM)
		return -EINVAL;
	renew(f, f->linear + len, len, shim_len(f) + len);
	return 0;
}

long bpf_skb_change_tail(struct __sk_buff *skb, __u32 len, __u64 flags)
{
	struct shim_frame *f = frame_of(skb);
	int64_t least = f->network;

	if (f->summed == SUMMED_PARTLY)
		least = f->left_start + f->left_field + (int64_t)sizeof(uint16_t);
	if (flags || len > UINT16_MAX || (int64_t)len < least || (int64_t)len < f->network)
		return -EINVAL;
	renew(f, len, 0, len);
	f->skb.gso_size = f->skb.gso_segs = 0;
	/* the kernel sums what it takes off, and we do not ask it for the sum any more */
	if (f->summed == SUMMED_WHOLE)
		f->summed = SUMMED_NOT;
	return 0;
}

/* As inet_proto_csum_replace_by_diff(). */
static void replace_by_diff(struct shim_frame *f, uint16_t *field, uint32_t diff, bool pseudo)
{
	if (f->summed != SUMMED_PARTLY) {
		*field = ~sum_fold16(sum_add(diff, ~(uint32_t)*field));
		if (f->summed == SUMMED_WHOLE && pseudo)
			f->sum = ~sum_add(diff, ~f->sum);
	} else if (pseudo) {
		*field = sum_fold16(sum_add(diff, *field));
	}
}

long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags)
{
	struct shim_frame *f = frame_of(skb);
	bool zero_is_none = flags & BPF_F_MARK_MANGLED_0;
	uint16_t field;

	if (from || flags & ~(__u64)(BPF_F_MARK_MANGLED_0 | BPF_F_PSEUDO_HDR))
		unsupported("bpf_l4_csum_replace() of other than a difference");
	if (offset > 0xffff || offset & 1 || !pull(f, offset + sizeof(field)))
		return -EFAULT;
	shim_copy_out(f, offset, &field, sizeof(field));
	if (zero_is_none && !field)
		return 0;
	replace_by_diff(f, &field, to, flags & BPF_F_PSEUDO_HDR);
	if (zero_is_none && !field)
		field = 0xffff;
	copy_in(f, offset, &field, sizeof(field));
	return 0;
}

__s64 bpf_csum_update(struct __sk_buff *skb, __wsum csum)
{
	struct shim_frame *f = frame_of(skb);

	if (f->summed != SUMMED_WHOLE)
		return -ENOTSUP;
	f->sum = sum_add(f->sum, csum);
	return f->sum;
}

/* ---------------------------------------------------------------- XDP */

__u64 bpf_xdp_get_buff_len(struct xdp_md *xdp)
{
	return shim_len(frame_of(xdp));
}

long bpf_xdp_adjust_meta(struct xdp_md *xdp, int delta)
{
	struct shim_frame *f = frame_of(xdp);
	int64_t meta = (int64_t)f->meta - delta;

	if (meta < 0 || meta > META_MAX)
		return -EINVAL;
	if (meta % 4)
		return -EACCES;
	f->meta = meta;
	show(f);
	return 0;
}

long bpf_xdp_load_bytes(struct xdp_md *xdp, __u32 offset, void *to, __u32 len)
{
	const struct shim_frame *f = frame_of(xdp);

	if (offset > 0xffff || len > 0xffff)
		return -EFAULT;
	if (!within(f, offset, len))
		return -EINVAL;
	shim_copy_out(f, offset, to, len);
	return 0;
}

long bpf_xdp_store_bytes(struct xdp_md *xdp, __u32 offset, void *from, __u32 len)
{
	struct shim_frame *f = frame_of(xdp);

	if (offset > 0xffff || len > 0xffff)
		return -EFAULT;
	if (!within(f, offset, len))
		return -EINVAL;
	copy_in(f, offset, from, len);
	return 0;
}
