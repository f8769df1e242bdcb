/* SPDX-License-Identifier: GPL-2.0-only */
/* The file in which the agent keeps the names of mappings, for dnsmasq or CoreDNS. */
#ifndef TN_HOSTS_FILE_H
#define TN_HOSTS_FILE_H

#include <limits.h>
#include <sys/stat.h>

#include "lib/error.h"
#include "model/model.h"

struct hosts_file {
	char path[PATH_MAX];
	bool is_default;      /* its directory is made, too */
	uint64_t names;	      /* a hash of those that are in it */
	struct stat as;	      /* the file as it was left; st_ino 0: not known */
	struct error refused; /* why it could not be written; it is logged once */
};

/*
 * Where it is: `path`, whose directory is there; NULL: names/hosts in the directory that systemd
 * has made for the unit (RuntimeDirectory=), or else in `state`.
 */
void hosts_file_init(struct hosts_file *f, const char *path, const char *state);

/*
 * Make it say what the definitions do. It is written anew only when it has to say something else,
 * or somebody has changed it, and removed when they have no zone. `in_cluster`: they are what one
 * host knows of a cluster's. A file that is not of an agent is left alone. What goes wrong is
 * logged.
 */
void hosts_file_update(struct hosts_file *f, const struct model *m, bool in_cluster);

#endif
