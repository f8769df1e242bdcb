/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XDP on a veth has the memory fetched that the packet behind will take. What shows it is that to
 * fetch a record is to write a zero into its note. The packets are of a kind of which nothing is
 * noted when it is judged: for another router than the router.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include "host/host.h"
#include "links.h"

#define NOT_FETCHED 0xff

enum carrier { AS_XDP_FRAMES, AS_SKBS, CARRIERS };
static const char *const carriers[] = { "XDP frames", "skbs" };

/* clang-format off */
#define INSN(c, d, s, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .imm = (i) }
#define SET(d, i)  INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0)
#define CALL(f)	   INSN(BPF_JMP | BPF_CALL, 0, 0, f)
#define END	   INSN(BPF_JMP | BPF_EXIT, 0, 0, 0)
/* clang-format on */

static int load_program(enum bpf_prog_type type, const struct bpf_insn *insns, size_t n)
{
	int fd = bpf_prog_load(type, "sends", "GPL", insns, n, NULL);

	need(fd >= 0, "loading a program that sends");
	return fd;
}

/* Each run sends one frame by XDP. */
static int load_xdp(uint32_t device)
{
	const struct bpf_insn insns[] = { SET(1, device), SET(2, 0), CALL(BPF_FUNC_redirect), END };

	return load_program(BPF_PROG_TYPE_XDP, insns, ARRAY_SIZE(insns));
}

/* One run sends two frames by tc, before the other end sees the first. */
static int load_tc(uint32_t device)
{
	const struct bpf_insn insns[] = {
		COPY(6, 1),
		SET(2, device),
		SET(3, 0),
		CALL(BPF_FUNC_clone_redirect),
		COPY(1, 6),
		SET(2, device),
		SET(3, 0),
		CALL(BPF_FUNC_clone_redirect),
		SET(0, 2 /* TC_ACT_SHOT */),
		END,
	};

	return load_program(BPF_PROG_TYPE_SCHED_CLS, insns, ARRAY_SIZE(insns));
}

static void send_by(enum carrier carrier, uint32_t device, const struct frame *f, uint32_t n)
{
	struct xdp_md in = { .data_end = f->len };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = f->len);
	int fd;

	if (carrier == AS_XDP_FRAMES) {
		opts.ctx_in = &in;
		opts.ctx_size_in = sizeof(in);
		opts.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		opts.repeat = n;
		fd = load_xdp(device);
	} else {
		cr_assert_eq(n, 2);
		fd = load_tc(device);
	}
	need(bpf_prog_test_run_opts(fd, &opts) == 0, "sending");
	close(fd);
}

static uint64_t runs_of(int program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	need(bpf_obj_get_info_by_fd(program, &info, &len) == 0, "asking for a program");
	return info.run_cnt;
}

/* Until XDP has judged so many; the kernel may have sent some, too. */
static void await_runs(int program, uint64_t n)
{
	for (int i = 0; i < 1000 && runs_of(program) < n; i++)
		usleep(1000);
	cr_assert_geq(runs_of(program), n);
}

struct veth {
	struct lab *lab;
	int stats;	 /* that programs are counted */
	uint32_t device; /* what is sent by it comes to XDP */
};

static struct veth veth_open(bool ahead)
{
	struct veth v = { .stats = bpf_enable_stats(BPF_STATS_RUN_TIME) };

	need(v.stats >= 0, "having programs counted");
	lab_stay_on(0);
	v.lab = lab_open(&(struct lab_options){
		.programs = ON_XDP, .fast = true, .own_slots = true, .ahead = ahead });
	links_ip("link add shared0 address " MAC_ROUTER " type veth peer name net0\n"
		 "link set shared0 up\nlink set net0 up\n");
	need(bpf_xdp_attach(if_nametoindex("shared0"), lab_fd(v.lab, XDP_IN), XDP_FLAGS_DRV_MODE,
			    NULL) == 0,
	     "attaching XDP");
	v.device = if_nametoindex("net0");
	return v;
}

static void veth_close(struct veth *v)
{
	lab_close(v->lab);
	close(v->stats);
}

/* Whether, of `n` packets like `p` one behind the other, one has the record of `shared` fetched. */
static bool fetched(struct veth *v, enum carrier carrier, const struct packet *p, uint32_t n,
		    const char *shared)
{
	int program = lab_fd(v->lab, XDP_IN);
	uint64_t before = runs_of(program);
	struct frame f = packet_build(p);
	struct tn_note note = lab_note(v->lab, shared);

	note.pad = NOT_FETCHED;
	lab_put_note(v->lab, shared, &note);
	send_by(carrier, v->device, &f, n);
	await_runs(program, before + n);
	return lab_note(v->lab, shared).pad != NOT_FETCHED;
}

static const struct packet to_another_router = { UDP(GREEN_SHARED, RED_SHARED, .to = MAC_OTHER) };
/* where IPv4 has the destination there is 0a09:: here */
static const struct packet of_six = { UDP("fd64::a09:0:0", RED_SHARED_6, .to = MAC_OTHER) };

Test(ahead, the_record_of_the_packet_behind_is_fetched)
{
	struct veth v = veth_open(true);

	for (enum carrier c = 0; c < CARRIERS; c++)
		cr_expect_eq(fetched(&v, c, &to_another_router, 2, RED_SHARED),
			     host_lets_programs_read(), "%s", carriers[c]);
	veth_close(&v);
}

Test(ahead, nothing_is_fetched_when_nothing_is_behind)
{
	struct veth v = veth_open(true);

	cr_expect_not(fetched(&v, AS_XDP_FRAMES, &to_another_router, 1, RED_SHARED));
	veth_close(&v);
}

Test(ahead, nothing_is_fetched_for_ipv6)
{
	struct veth v = veth_open(true);

	for (enum carrier c = 0; c < CARRIERS; c++)
		cr_expect_not(fetched(&v, c, &of_six, 2, "100.64.10.9"), "%s", carriers[c]);
	veth_close(&v);
}

Test(ahead, only_who_was_told_to_looks)
{
	struct veth v = veth_open(false);

	for (enum carrier c = 0; c < CARRIERS; c++)
		cr_expect_not(fetched(&v, c, &to_another_router, 2, RED_SHARED), "%s", carriers[c]);
	veth_close(&v);
}

/*
 * Of a test run the receive queue is loopback's, and behind that is no ring, nor an skb behind the
 * frame, whatever lies there.
 */
Test(ahead, packets_of_other_devices_are_judged_as_ever)
{
	static const struct row rows[] = {
		{ "to a VM",
		  ON_XDP,
		  { UDP(GREEN_SHARED, RED_SHARED) },
		  AFTER(UDP(GREEN_SHARED, RED_VM)),
		  .xdp_leaves = true },
		{ "to nobody", ON_XDP, { UDP(GREEN_SHARED, STRANGER) }, DROP(UNMAPPED) },
		{ "of nobody", ON_XDP, { UDP("192.0.2.1", RED_SHARED) }, DROP(FOREIGN_SOURCE) },
	};
	struct veth v =
		veth_open(true); /* from now on the kernel has veth, which can be a module */
	struct lab *lab;

	veth_close(&v);
	lab = lab_open(&(struct lab_options){ .fast = true, .on_veth = true, .ahead = true });
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		lab_check(lab, &rows[i], XDP_IN);
	lab_close(lab);
}
