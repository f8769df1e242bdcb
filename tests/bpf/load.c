/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every program loads, and how much work that is for the verifier: growth by more than a
 * tenth over what verified.txt has for this kernel fails, until `make verified` records it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include "harness.h"

/* The verifier gives up after a million. */
#define INSNS_MAX 700000
#define RECORD	  "tests/bpf/verified.txt"

/* The first two numbers of the release. */
static void kernel_version(char *out, size_t size)
{
	struct utsname u;
	int major = 0, minor = 0;

	need(uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2, "uname");
	snprintf(out, size, "%d.%d", major, minor);
}

/* 0: not recorded for this kernel. */
static unsigned int recorded(const char *kernel, const char *program)
{
	char line[256], k[32], p[128];
	unsigned int insns, found = 0;
	FILE *f = fopen(RECORD, "r");

	need(f, RECORD);
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s %127s %u", k, p, &insns) == 3 && strcmp(k, kernel) == 0 &&
		    strcmp(p, program) == 0)
			found = insns;
	}
	fclose(f);
	return found;
}

static void check_verified(const char *program, unsigned int insns)
{
	unsigned int before;
	char kernel[32];

	kernel_version(kernel, sizeof(kernel));
	printf("verified: %s %s %u\n", kernel, program, insns);
	cr_expect_lt(insns, INSNS_MAX, "%s: near the verifier's limit", program);
	before = recorded(kernel, program);
	if (before)
		cr_expect_leq(insns, before + before / 10,
			      "%s: %u instructions for the verifier, %u are recorded; if that has "
			      "to be, `make verified`",
			      program, insns, before);
	else
		printf("not recorded for this kernel: %s\n", program);
}

static void check_programs(const struct lab_options *o, const char *variant)
{
	struct lab *lab = lab_open(o);
	struct bpf_program *prog;
	unsigned int n = 0;

	bpf_object__for_each_program (prog, lab_object(lab)) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		char name[128];

		snprintf(name, sizeof(name), "%s%s", bpf_program__name(prog), variant);
		cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0,
			     "%s is not loaded", name);
		check_verified(name, info.verified_insns);
		n++;
	}
	lab_close(lab);
	cr_expect_geq(n, PROGRAMS);
}

Test(load, every_program)
{
	check_programs(&(struct lab_options){ 0 }, "");
}

/* Another value in .rodata is another program to the verifier. */
Test(load, every_program_with_guards_only)
{
	check_programs(&(struct lab_options){ .guards_only = true }, ",guards-only");
}

Test(load, every_program_with_fast_forwarding)
{
	check_programs(&(struct lab_options){ .fast = true }, ",fast");
}

Test(load, every_program_on_a_veth)
{
	check_programs(&(struct lab_options){ .fast = true, .on_veth = true }, ",fast,veth");
}
