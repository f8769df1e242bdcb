/* SPDX-License-Identifier: GPL-2.0-only */
/* The stubs of routers, which call the programs of all: bpf/stub.bpf.c. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "harness.h"
#include "stub.skel.h"

static const struct row in = {
	"to the VM", ON_IN, { UDP(GREEN_SHARED, RED_SHARED) }, AFTER(UDP(GREEN_SHARED, RED_VM))
};

static struct stub *stubs_of(const struct lab *lab, uint32_t router, bool fast)
{
	struct stub *stubs = stub__open();
	struct bpf_map *const maps[] = { stubs->maps.scratches, stubs->maps.programs_tc,
					 stubs->maps.programs_xdp };

	stubs->rodata->tn_router_id = router;
	stubs->rodata->tn_forward_fast = fast;
	for (uint32_t i = 0; i < TN_TC_PROGRAMS; i++)
		stubs->rodata->tn_places[i] = i;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		need(!bpf_map__reuse_fd(maps[i], lab_map_fd(lab, bpf_map__name(maps[i]))), "maps");
	need(!stub__load(stubs), "loading the stubs");
	return stubs;
}

static void put_programs(const struct lab *lab)
{
	static const enum program programs[] = { TC_IN, TC_OUT, INSIDE_IN, INSIDE_OUT };
	uint32_t zero = 0;
	int fd;

	for (uint32_t i = 0; i < TN_TC_PROGRAMS; i++) {
		fd = lab_fd(lab, programs[i]);
		need(!bpf_map_update_elem(lab_map_fd(lab, "programs_tc"), &i, &fd, BPF_ANY), "tc");
	}
	fd = lab_fd(lab, XDP_IN);
	need(!bpf_map_update_elem(lab_map_fd(lab, "programs_xdp"), &zero, &fd, BPF_ANY), "xdp");
}

static struct frame run(const struct bpf_program *stub, const struct packet *p, int *returned)
{
	struct frame f = packet_build(p), out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
		    .data_out = out.bytes, .data_size_out = sizeof(out.bytes));

	need(!bpf_prog_test_run_opts(bpf_program__fd(stub), &opts), "running a stub");
	*returned = opts.retval;
	out.len = opts.data_size_out;
	return out;
}

Test(stubs, one_program_judges_for_each_router)
{
	struct lab *red = lab_open(&(struct lab_options){ .by_stubs = true });
	struct lab *blue =
		lab_open_beside(red, &(struct lab_options){ .router = BLUE, .by_stubs = true });
	struct stub *of_red = stubs_of(red, RED, false), *of_blue = stubs_of(red, BLUE, false);
	struct frame want = packet_build(&in.after), got;
	int returned;

	put_programs(red);
	got = run(of_red->progs.tn_tc_shared_in, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_UNSPEC);
	cr_expect(got.len == want.len && !memcmp(got.bytes, want.bytes, want.len));
	run(of_blue->progs.tn_tc_shared_in, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_SHOT);
	cr_expect_eq(lab_drops_of(red, BLUE, TN_DROP_UNMAPPED), 1);
	cr_expect_eq(lab_drops(red), 1);
	run(of_blue->progs.tn_xdp_shared_in, &in.before, &returned);
	cr_expect_eq(returned, XDP_DROP);
	cr_expect_eq(lab_drops_of(red, BLUE, TN_DROP_UNMAPPED), 2);
	stub__destroy(of_red);
	stub__destroy(of_blue);
	lab_close(blue);
	lab_close(red);
}

/* Nothing goes by untranslated. */
static void check_closed(const struct stub *stubs)
{
	int returned;

	run(stubs->progs.tn_xdp_shared_in, &in.before, &returned);
	cr_expect_eq(returned, XDP_DROP);
	run(stubs->progs.tn_tc_shared_in, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_SHOT);
	run(stubs->progs.tn_tc_shared_out, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_SHOT);
	run(stubs->progs.tn_tc_inside_in, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_UNSPEC);
	run(stubs->progs.tn_tc_inside_out, &in.before, &returned);
	cr_expect_eq(returned, TC_ACT_UNSPEC);
}

/* What was judged where it came in leaves without another look, and without its mark. */
Test(stubs, what_was_judged_leaves)
{
	struct lab *lab = lab_open(&(struct lab_options){ .by_stubs = true });
	struct frame f = packet_build(&in.before);

	for (int fast = 0; fast <= 1; fast++) {
		struct stub *stubs = stubs_of(lab, RED, fast);
		struct __sk_buff skb = { .mark = TN_FORWARD_MARK };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
			    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .ctx_out = &skb,
			    .ctx_size_out = sizeof(skb));

		need(!bpf_prog_test_run_opts(bpf_program__fd(stubs->progs.tn_tc_shared_out), &opts),
		     "running a stub");
		cr_expect_eq((int)opts.retval, fast ? TC_ACT_UNSPEC : TC_ACT_SHOT);
		cr_expect_eq(skb.mark, fast ? 0 : TN_FORWARD_MARK);
		stub__destroy(stubs);
	}
	lab_close(lab);
}

Test(stubs, without_programs)
{
	struct lab *lab = lab_open(&(struct lab_options){ .by_stubs = true });
	struct stub *stubs = stubs_of(lab, RED, false);

	check_closed(stubs);
	stub__destroy(stubs);
	lab_close(lab);
}

Test(stubs, of_a_router_that_is_gone)
{
	struct lab *lab = lab_open(&(struct lab_options){ .by_stubs = true });
	struct stub *stubs = stubs_of(lab, RED, false);
	struct tn_router_port nobody = { 0 };
	uint32_t red = RED;

	put_programs(lab);
	need(!bpf_map_update_elem(lab_map_fd(lab, "router_ports"), &red, &nobody, BPF_ANY), "port");
	check_closed(stubs);
	stub__destroy(stubs);
	lab_close(lab);
}
