/* SPDX-License-Identifier: GPL-2.0-only */
#include "wire.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* How long a frame may take, and how long silence has to last; ms. */
#define PATIENCE 2000
#define SILENCE	 50

static void make_links(void)
{
	FILE *ip = popen("ip -batch -", "w");

	need(ip, "running ip");
	fputs("link add shared0 address " MAC_ROUTER " type veth peer name far\n"
	      "link add lan0 type veth peer name vm\n"
	      "link set shared0 up\nlink set far up\nlink set lan0 up\nlink set vm up\n",
	      ip);
	need(pclose(ip) == 0, "making interfaces");
}

static bool running(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	need(ioctl(fd, SIOCGIFFLAGS, &ifr) == 0, name);
	return ifr.ifr_flags & IFF_RUNNING;
}

/* An interface that is up drops frames until the kernel has seen its peer come up, too. */
static void wait_for_links(void)
{
	static const char *const names[] = { "far", "shared0", "lan0", "vm" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (int ms = 0; !running(fd, names[i]); ms++) {
			if (ms == PATIENCE)
				cr_assert_fail("%s does not come up", names[i]);
			usleep(1000);
		}
	}
	close(fd);
}

/* No interface is to say anything by itself. */
static void silence_ipv6(void)
{
	FILE *f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w");

	if (f) {
		fputs("1", f);
		fclose(f);
	}
}

/* With protocol 0 it receives nothing, and no frame is copied for it. */
static int packet_socket(const char *name, uint16_t protocol)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(protocol),
				  .sll_ifindex = if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	need(fd >= 0, "a packet socket");
	need(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0,
	     "PACKET_VNET_HDR");
	need(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, name);
	return fd;
}

int wire_socket(const char *name)
{
	return packet_socket(name, ETH_P_ALL);
}

void wire_open(struct wire *w)
{
	memset(w, 0, sizeof(*w));
	silence_ipv6();
	make_links();
	wait_for_links();
	w->shared0 = if_nametoindex("shared0");
	w->lan0 = if_nametoindex("lan0");
	w->far = packet_socket("far", ETH_P_ALL);
	w->shared = packet_socket("shared0", 0);
	w->vm = packet_socket("vm", ETH_P_ALL);
}

int wire_sniff(void)
{
	return packet_socket("shared0", ETH_P_ALL);
}

void wire_close(struct wire *w)
{
	close(w->far);
	close(w->shared);
	close(w->vm);
}

void wire_attach_xdp(struct wire *w, const struct lab *lab, bool generic)
{
	need(bpf_xdp_attach(w->shared0, lab_fd(lab, XDP_IN),
			    generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, NULL) == 0,
	     "attaching XDP");
}

static void attach_tc(struct wire *w, int fd, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = w->shared0, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = 1, .priority = ++w->priority);
	int ret;

	if (w->priority == 1)
		need(bpf_tc_hook_create(&hook) == 0, "a clsact qdisc");
	ret = bpf_tc_attach(&hook, &opts);
	errno = -ret;
	need(ret == 0, "attaching to tc");
}

void wire_attach_tc(struct wire *w, const struct lab *lab, enum program program)
{
	attach_tc(w, lab_fd(lab, program),
		  program == TC_OUT || program == INSIDE_OUT ? BPF_TC_EGRESS : BPF_TC_INGRESS);
}

static void attach_insns(struct wire *w, const struct bpf_insn *insns, size_t n)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "redirect", "GPL", insns, n, NULL);

	need(fd >= 0, "loading the redirection");
	attach_tc(w, fd, BPF_TC_INGRESS);
	close(fd);
}

#define MOV(dst, value)                                                           \
	{                                                                         \
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = dst, .imm = value \
	}
#define REDIRECT_AND_EXIT                                         \
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect }, \
	{                                                         \
		.code = BPF_JMP | BPF_EXIT                        \
	}

void wire_attach_redirect(struct wire *w)
{
	const struct bpf_insn insns[] = { MOV(1, w->lan0), MOV(2, 0), REDIRECT_AND_EXIT };

	attach_insns(w, insns, ARRAY_SIZE(insns));
}

void wire_attach_round(struct wire *w)
{
	const int mark = offsetof(struct __sk_buff, mark);
	const struct bpf_insn insns[] = {
		MOV(2, 0),
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1, .off = mark },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 3, .off = 5 },
		MOV(3, 1),
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 3, .off = mark },
		MOV(1, if_nametoindex("far")),
		REDIRECT_AND_EXIT,
		MOV(1, w->lan0),
		REDIRECT_AND_EXIT,
	};

	attach_insns(w, insns, ARRAY_SIZE(insns));
}

void wire_send(int socket, const struct packet *p)
{
	struct frame f = packet_build(p);
	struct virtio_net_hdr head = { 0 };
	struct iovec parts[] = { { &head, sizeof(head) }, { f.bytes, f.len } };

	if (p->csum == CSUM_PARTIAL) {
		head.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		head.csum_start = f.l4;
		head.csum_offset = f.l4_csum - f.l4;
	}
	if (p->gso_size) {
		head.gso_type =
			packet_is_v4(p) ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		head.gso_size = p->gso_size;
		head.hdr_len = f.l4 + 20;
	}
	need(writev(socket, parts, ARRAY_SIZE(parts)) == (ssize_t)(sizeof(head) + f.len),
	     "sending a frame");
}

void wire_send_left(int socket, const struct packet *p, size_t start, size_t field)
{
	struct frame f = packet_build(p);
	struct virtio_net_hdr head = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .csum_start = start,
				       .csum_offset = field - start };
	struct iovec parts[] = { { &head, sizeof(head) }, { f.bytes, f.len } };

	/* a socket hears so of what a program drops on its way out */
	need(writev(socket, parts, ARRAY_SIZE(parts)) == (ssize_t)(sizeof(head) + f.len) ||
		     errno == ENOBUFS,
	     "sending a frame");
}

static bool receive_with(int socket, struct frame *f, struct virtio_net_hdr *head, int patience)
{
	struct pollfd poll_in = { .fd = socket, .events = POLLIN };
	struct iovec parts[] = { { head, sizeof(*head) }, { f->bytes, sizeof(f->bytes) } };
	struct sockaddr_ll from;
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = parts,
			      .msg_iovlen = ARRAY_SIZE(parts) };
	ssize_t n;

	do {
		if (poll(&poll_in, 1, patience) != 1)
			return false;
		n = recvmsg(socket, &msg, 0);
		need(n > (ssize_t)sizeof(*head), "receiving a frame");
	} while (from.sll_pkttype == PACKET_OUTGOING);
	memset(f, 0, offsetof(struct frame, bytes));
	f->len = n - sizeof(*head);
	return true;
}

static bool receive(int socket, struct frame *f, bool *partial, int patience)
{
	struct virtio_net_hdr head;

	if (!receive_with(socket, f, &head, patience))
		return false;
	*partial = head.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return true;
}

bool wire_receive_whole(int socket, struct frame *f)
{
	struct virtio_net_hdr head;
	uint64_t sum = 0;
	uint16_t check;

	if (!receive_with(socket, f, &head, PATIENCE))
		return false;
	if (!(head.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	for (size_t i = head.csum_start; i < f->len; i++)
		sum += (i - head.csum_start) % 2 ? f->bytes[i] : f->bytes[i] << 8;
	check = htons(~sum_fold(sum));
	memcpy(f->bytes + head.csum_start + head.csum_offset, &check, sizeof(check));
	return true;
}

bool wire_receive(int socket, struct frame *f, bool *partial)
{
	return receive(socket, f, partial, PATIENCE);
}

void wire_expect(int socket, const char *what, const struct packet *after, bool want_partial)
{
	struct packet want = *after;
	struct frame got, whole;
	bool partial;

	if (!wire_receive(socket, &got, &partial)) {
		cr_expect(false, "%s: nothing came", what);
		return;
	}
	cr_expect_eq(partial, want_partial, "%s: the checksum is %s", what,
		     partial ? "left to the interface" : "complete");
	want.csum = partial ? CSUM_PARTIAL : CSUM_RIGHT;
	whole = packet_build(&want);
	if (whole.len != got.len || memcmp(whole.bytes, got.bytes, got.len)) {
		_cleanup_free_ char *diff = frame_diff(&whole, &got);

		cr_expect(false, "%s: another frame:\n%s", what, diff);
	}
}

void wire_expect_silence(int socket, const char *what)
{
	struct frame got;
	bool partial;

	cr_expect_not(receive(socket, &got, &partial, SILENCE), "%s: it got through", what);
}
