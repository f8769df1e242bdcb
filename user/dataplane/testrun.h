/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One frame through a pinned program, without a wire: BPF_PROG_TEST_RUN (kernel: net/bpf/
 * test_run.c), by libbpf. The program does all that it does with traffic: it counts, makes flows,
 * tells events. What it returns is not carried out.
 */
#ifndef TN_TESTRUN_H
#define TN_TESTRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "tn_abi.h"

#define TESTRUN_ROOM 256

struct testrun {
	uint32_t ifindex; /* where the frame is, in the namespace of the caller */
	uint32_t ingress; /* where it came in, for tc egress; 0: the router has sent it */
	uint32_t mark;	  /* of the packet, before and after; not with XDP */
	uint8_t frame[TESTRUN_ROOM]; /* before and after */
	size_t len;
	uint32_t action; /* what the program returned: TC_ACT_… or XDP_… */
	bool translated; /* XDP: it says in the metadata that it has, as `router` */
};

/*
 * The caller is in the router's namespace. *ran false: there is no such pin, or this kernel does
 * not run such a program this way; that is no error.
 */
int testrun_tc(const char *pin, struct testrun *r, struct error *err);
int testrun_xdp(const char *pin, struct testrun *r, bool *ran, struct error *err);

/*
 * The entry in the map that is pinned there: whether there is one, and that there is none any more.
 */
bool testrun_has_flow(const char *pin, const struct tn_flow_key *key);
void testrun_forget_flow(const char *pin, const struct tn_flow_key *key);

#endif
