/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network namespaces. Entered with setns(CLONE_NEWNET) alone, so that bpffs and
 * /sys stay the ones of this process.
 */
#ifndef TN_NETNS_H
#define TN_NETNS_H

#include <limits.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"

#define NETNS_DIR "/run/netns"

/* A namespace that this process is in until netns_leave(). */
struct netns {
	int back; /* where we came from; -1: not entered */
	uint64_t dev;
	uint64_t ino;
};
#define NETNS_NONE ((struct netns){ .back = -1 })

/* Where `spec` (as below) is in the filesystem. */
void netns_path(const char *spec, char path[PATH_MAX]);
/* What comes before a command that is to be run there, "ip netns exec NAME "; "" for our own. */
#define NETNS_COMMAND 300
void netns_command(const char *spec, char text[NETNS_COMMAND]);
/*
 * Open the network namespace at `path`, the caller's to close; nothing else is opened, so it never
 * waits. -1 with errno; EINVAL: it is no network namespace.
 */
int netns_open(const char *path);
/* Enter `spec`: a name under NETNS_DIR, an absolute path, or NULL for our own. */
int netns_enter(const char *spec, struct netns *ns, struct error *err);
/*
 * Enter the namespace with that st_dev and st_ino: the one of `hint` (as above), our
 * own, or one under NETNS_DIR. -1: not found there, so it counts as gone.
 */
int netns_enter_id(const char *hint, uint64_t dev, uint64_t ino, struct netns *ns);
/* The name of the first one under NETNS_DIR that `is` holds for; false: none. */
bool netns_find(bool (*is)(int fd, const void *arg), const void *arg, char name[NAME_MAX + 1]);
/* Call `each` with the name of every network namespace under NETNS_DIR, until it returns other than
 * 0. */
void netns_each(int (*each)(const char *name, void *arg), void *arg);
/* The name of the one with that st_dev and st_ino; "" when none has it. */
void netns_name(uint64_t dev, uint64_t ino, char name[NAME_MAX + 1]);
void netns_leave(struct netns *ns);
#define _cleanup_netns_ _cleanup_(netns_leave)

#endif
