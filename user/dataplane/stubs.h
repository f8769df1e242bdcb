/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is attached of one router: stubs, which say which router it is and call the programs of all
 * (programs.h).
 */
#ifndef TN_STUBS_H
#define TN_STUBS_H

#include "dataplane/dataplane.h"

struct bpf_object;

/* For which router a program in the kernel is one of ours; 0: it is not ours. */
uint32_t dataplane_program_router(int program_fd);

/* Identifies the stubs in this executable: a hash of their object code. */
uint64_t stubs_build(void);

/* The stubs of one router; the caller's to close. */
struct stubs;

/* Load the tc stubs of router `r`. What they call is in its place (programs_load()). */
int stubs_load(struct dataplane *dp, const struct router_row *r, struct stubs **out,
	       struct error *err);
void stubs_close(struct stubs *s);
static inline void stubs_cleanup(struct stubs **s)
{
	stubs_close(*s);
}
#define _cleanup_stubs_ _cleanup_(stubs_cleanup)

int stubs_fd_in(const struct stubs *s);
int stubs_fd_out(const struct stubs *s);
int stubs_fd_inside(const struct stubs *s);
int stubs_fd_inside_out(const struct stubs *s);
/*
 * What libxdp loads and attaches: opened, not loaded; NULL with an error. With `whole`, the program
 * itself: libxdp's dispatcher takes no stub. Owned by the stubs, until the next one.
 */
struct bpf_object *stubs_xdp_object(struct stubs *s, bool whole, struct error *err);

#endif
