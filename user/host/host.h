/* SPDX-License-Identifier: GPL-2.0-only */
/* What the machine is, and what this process may do on it. */
#ifndef TN_HOST_H
#define TN_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* The privileges that tenantnat needs and this process has not: "CAP_NET_ADMIN"; "": none. */
const char *host_missing_privileges(void);

/* Allow ourselves so many file descriptors; false: less is all that we may have. */
bool host_allow_files(unsigned int n);

/* Ticks of the kernel's own clock (jiffies) in so many milliseconds, one at least. */
uint32_t host_ticks(unsigned int ms);

/* The kernel's version, as uname(1) says it and as numbers. */
#define HOST_RELEASE 65
void host_kernel(char release[HOST_RELEASE], unsigned int *major, unsigned int *minor);

/* Whether the kernel describes its types, which programs are fitted to (/sys/kernel/btf). */
bool host_has_btf(void);

/*
 * Whether it lets programs read its structures: bpf_cast_to_kern_ctx() and bpf_rdonly_cast(), both
 * since Linux 6.2.
 */
bool host_lets_programs_read(void);

/*
 * Whether the directory is on a BPF file system, and whether that can be written to: 0, or -1
 * with what is wrong and what to do.
 */
int host_check_bpffs(const char *dir, struct error *err);

struct host_dir {
	bool exists;
	uint64_t available; /* bytes that its file system has left */
	uint64_t used;	    /* bytes of the files in it */
	int unwritable;	    /* why nothing can be written or made there (errno); 0: it can */
};

/*
 * -1 when it cannot be looked at; that it is not there is no error: `unwritable` is then about the
 * directory above that is.
 */
int host_dir(const char *path, struct host_dir *out, struct error *err);

/* The names in a directory for which `match` holds, "a b"; "" when there are none. */
void host_find(const char *dir, bool (*match)(const char *name), char *text, size_t size);

#endif
