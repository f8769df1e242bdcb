/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs that judge, which are the same for all routers: loaded once a machine, in the
 * variants that routers need (tn_abi.h, enum tn_variant), and held by the pinned maps programs_tc
 * and programs_xdp, from which the stubs of the routers call them.
 */
#ifndef TN_PROGRAMS_H
#define TN_PROGRAMS_H

#include "dataplane/dataplane.h"

struct tenantnat;

/* Places in programs_tc, in the order of enum tn_program of tc; in programs_xdp. */
uint32_t programs_tc_place(const struct router_row *r, unsigned int program);
uint32_t programs_xdp_place(const struct router_row *r);

/*
 * Put the programs that the stubs of `r` call into their places, unless those of this build are
 * there. A program takes the place of another one at once: every packet is judged by one of them.
 */
int programs_load(struct dataplane *dp, const struct router_row *r, struct error *err);
/* Whether those of this build are there. */
bool programs_are_current(const struct dataplane *dp, const struct router_row *r);

/*
 * The XDP program of `r` as one that needs no stub, opened and not loaded, with the others; the
 * caller's to destroy. NULL with an error.
 */
struct tenantnat *programs_open_xdp(struct dataplane *dp, const struct router_row *r,
				    struct error *err);
/* Its name in that object, and that of its stub. */
#define XDP_PROGRAM "tn_xdp_shared_in"

#endif
