/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that attach programs share: the places, and what is pinned of each. */
#ifndef TN_ATTACH_INTERNAL_H
#define TN_ATTACH_INTERNAL_H

#include <xdp/libxdp.h>

#include "dataplane/attach.h"

/*
 * From <linux/bpf.h> of kernel 6.6; Debian 12's is older. libbpf passes an attach
 * type that it does not know through to the kernel.
 */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

#define TCX_MAX 64 /* programs at one point: BPF_MPROG_MAX of <linux/bpf_mprog.h> */

/* Our own handle and priority of a clsact filter: "tn". */
#define CLSACT_HANDLE	0x746e
#define CLSACT_PRIORITY 0x746e

/* Set to anything: filters of a clsact qdisc also where the kernel has tcx. */
#define NO_TCX "TENANTNAT_NO_TCX"

#define XDP_PIN "xdp"

/* One place where a tc program of the router is attached. */
struct point {
	uint32_t ifindex;
	bool egress;
	uint32_t clsact_ours; /* the flag of the router for the qdisc of this interface */
	int (*fd)(const struct stubs *s);
	const char *program; /* the names of its pins */
	char link[32];
};

/* Pins of a router by their names. The caller's to close; -1 with errno, as pin_open(). */
int program_open(struct dataplane *dp, const struct router_row *r, const char *pin);
int link_open(struct dataplane *dp, const struct router_row *r, const char *pin);
/* Pin it in the place of what may be pinned there. */
int pin_put(struct dataplane *dp, const struct router_row *r, const char *pin, int fd,
	    struct error *err);
void pin_remove(struct dataplane *dp, const struct router_row *r, const char *pin);

/* The program's id in the kernel; 0: there is none. */
uint32_t program_id(int fd);

/*
 * Put the program in the place of what this router has there, or newly; a link of before
 * goes when the new one is there. The caller is in the router's namespace, here and below.
 */
int tc_attach(struct dataplane *dp, struct router_row *r, const struct point *p, int fd, bool renew,
	      struct error *err);
/*
 * The filter, if it is still this router's and not its successor's on the interface, and
 * the qdisc if we created it and nobody else uses it.
 */
void clsact_remove(const struct router_row *r, const struct point *p);
/* The id of the router's program that is attached there, by a filter or by a link; 0: none. */
uint32_t clsact_program(struct dataplane *dp, const struct router_row *r, const struct point *p);
uint32_t tcx_program(struct dataplane *dp, const struct router_row *r, const struct point *p);
/* The interface that a link is to, also in another namespace; 0 when it was detached. */
uint32_t link_ifindex(int fd, struct bpf_link_info *info);

/* libxdp gives NULL or an error in the place of a pointer. */
bool multiprog_is_usable(const struct xdp_multiprog *mp);
void multiprog_cleanup(struct xdp_multiprog **mp);
#define _cleanup_multiprog_ _cleanup_(multiprog_cleanup)
/* Our program among those on the interface, by itself or in libxdp's dispatcher; NULL: none. */
struct xdp_program *xdp_find(struct xdp_multiprog *mp);

/* Attach the router's XDP program in the place of what is of ours there. Sets r->via. */
int xdp_attach(struct dataplane *dp, struct stubs *s, struct router_row *r, struct error *err);
/* Take off the program that this router's row is about, not its successor's on the interface. */
void xdp_remove(const struct router_row *r);

#endif
