/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files in places where something else may lie: opened so that nothing waits for a FIFO or a
 * device, and refused with a sentence.
 */
#ifndef TN_FILE_H
#define TN_FILE_H

#include <stdio.h>
#include <sys/types.h>

#include "lib/error.h"

/* What is at `path`, for people: "a FIFO", "a directory", … Links are followed. */
const char *file_kind(const char *path);

/*
 * A file of our own has to be a regular one and no link, and to belong to root or to us, and nobody
 * else may be able to write to it, root's group and ours apart: whoever can, decides what we
 * rewrite.
 */

/* 1: it is there and as it has to be; 0: nothing is there; -1: an error, with what to do. */
int file_check(const char *path, struct error *err);
/* Open such a file with these flags, new ones with 0600; the caller's to close. -1: an error. */
int file_open(const char *path, int flags, struct error *err);

/*
 * Say to others that this process has the file, which is open for writing, until it is closed; and
 * who has said so (fcntl(2), record locks): 0: nobody. Not to be asked by who has it, who would
 * lose it.
 */
void file_have(int fd);
pid_t file_holder(const char *path);

/*
 * Make it a regular file with that text and mode, as one step: whoever reads finds the old file or
 * the new one, and no part of one. What is written first is beside it, called `.NAME.new`, which
 * hosts files of dnsmasq cannot be. It is not waited for until the disk has it: after a loss of
 * power either can be there, or an empty one. -1: an error, and the old file as it was.
 */
int file_replace(const char *path, const char *text, size_t size, mode_t mode, struct error *err);

/*
 * A file that a user names for its text: a regular one, or a pipe that a shell has made (`<(…)`);
 * "-" is stdin, whatever that is. The caller's to close. NULL with a usage error.
 */
FILE *input_open(const char *path, struct error *err);
/* What lines about it call it: "<stdin>" for "-". */
const char *input_shown(const char *path);

#endif
