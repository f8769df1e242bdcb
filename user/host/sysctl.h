/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Settings below /proc/sys/net, of the network namespace that this process is in. `path` is
 * what stands behind that directory, with slashes and the name of an interface as it is:
 * "ipv4/conf/eth0.20/forwarding" (kernel: Documentation/networking/ip-sysctl.rst).
 */
#ifndef TN_SYSCTL_H
#define TN_SYSCTL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* Room for a path with any interface, and for any value that is one line. */
#define SYSCTL_PATH  96
#define SYSCTL_VALUE 256

/* False also where the kernel has no such setting, as without IPv6. */
bool sysctl_exists(const char *path);

/* The value as text, without its newline; one that does not fit into `size` is an error. */
int sysctl_get(const char *path, char *value, size_t size, struct error *err);

/* The value of a setting that is a number. */
int sysctl_get_number(const char *path, long *value, struct error *err);

/* The kernel refuses some values, and quietly corrects others: see sysctl_get() for what it took.
 */
int sysctl_set(const char *path, const char *value, struct error *err);

#endif
