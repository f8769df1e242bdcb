/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hosts that flows are handed to and taken from, and the key by which they know each other: the
 * local copy of what the cluster has, so that etcd is not needed when a host fails. It is the file
 * `peers` in the state's directory, 0600.
 */
#ifndef TN_PEERS_H
#define TN_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"

#define PEERS_KEY 32 /* bytes */

struct peer {
	char *name;
	char *at; /* endpoint.h */
};

/* All texts are the peers'. */
struct peers {
	char *cluster; /* its id */
	char *host;    /* what this host is called in it */
	char *listen;  /* where this host is reached; NULL: nowhere */
	uint8_t key[PEERS_KEY];
	VEC(struct peer) list; /* sorted by name: those with routers that this host has, too */
};

void peers_free(struct peers *p);
#define _cleanup_peers_ _cleanup_(peers_free)

/* NULL: it is none of them, or cannot be reached. */
const struct peer *peers_find(const struct peers *p, const char *name);

/* As text, and back; the caller's to free. -1: it is no such text; *out is empty then. */
char *peers_text(const struct peers *p);
int peers_parse(const char *text, struct peers *out);

/* 1: *out is the caller's to free; 0: there is no such file; -1: an error. */
int peers_read(const char *state, struct peers *out, struct error *err);
int peers_write(const char *state, const struct peers *p, struct error *err);
/* This host is in no cluster any more. */
void peers_forget(const char *state);
void peers_path(const char *state, char *out, size_t size);

#endif
