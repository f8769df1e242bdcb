/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs of one router: loaded with its constants, and with its own maps. */
#ifndef TN_INSTANCE_H
#define TN_INSTANCE_H

#include "dataplane/dataplane.h"

struct bpf_object;

/* For which router a program in the kernel is an instance of ours; 0: it is not ours. */
uint32_t dataplane_program_router(int program_fd);

/* One instance of the programs for one router; the caller's to close. */
struct instance;

/*
 * Load the tc programs of router `r`, with its own maps if they are pinned, else with new ones
 * (instance_pin()). The XDP program is left in an object that is
 * opened but not loaded, because libxdp loads it (as an extension of its dispatcher).
 */
int instance_load(struct dataplane *dp, const struct router_row *r, struct instance **out,
		  struct error *err);
void instance_close(struct instance *in);
static inline void instance_cleanup(struct instance **in)
{
	instance_close(*in);
}
#define _cleanup_instance_ _cleanup_(instance_cleanup)

/* Pin the router's own maps in its directory, which is there, unless they are pinned already. */
int instance_pin(const struct instance *in, struct error *err);
/* Whether all of them are. */
bool instance_is_pinned(struct dataplane *dp, uint32_t router);

int instance_fd_in(const struct instance *in);
int instance_fd_out(const struct instance *in);
int instance_fd_inside(const struct instance *in);
int instance_fd_inside_out(const struct instance *in);
/* Opened, not loaded; NULL with an error. Owned by the instance. */
struct bpf_object *instance_xdp_object(struct instance *in, struct error *err);
#define INSTANCE_XDP_PROGRAM "tn_xdp_shared_in"

#endif
