/* SPDX-License-Identifier: GPL-2.0-only */
/* Every program loads, and how much work that was for the verifier. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "harness.h"

/* The verifier gives up after a million. */
#define INSNS_MAX 500000

static unsigned int load_and_print(const struct lab_options *o, const char *what)
{
	struct lab *lab = lab_open(o);
	struct bpf_program *prog;
	unsigned int n = 0;

	bpf_object__for_each_program (prog, lab_object(lab)) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		int ret = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len);

		cr_assert_eq(ret, 0, "%s is not loaded", bpf_program__name(prog));
		printf("%s%s: %u instructions, %u verified\n", bpf_program__name(prog), what,
		       (unsigned int)bpf_program__insn_cnt(prog), info.verified_insns);
		cr_expect_lt(info.verified_insns, INSNS_MAX, "%s: near the verifier's limit",
			     bpf_program__name(prog));
		n++;
	}
	lab_close(lab);
	return n;
}

Test(load, every_program)
{
	cr_expect_geq(load_and_print(&(struct lab_options){ 0 }, ""), PROGRAMS);
}

/* Another value in .rodata is another program to the verifier. */
Test(load, every_program_with_guards_only)
{
	cr_expect_geq(load_and_print(&(struct lab_options){ .guards_only = true }, ", guards only"),
		      PROGRAMS);
}
