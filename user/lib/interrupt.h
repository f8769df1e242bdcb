/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGINT, SIGTERM and SIGHUP while something is being changed: noted, so that the change is taken
 * back as after an error. The second one ends the process at once. What only reads is ended by the
 * first.
 */
#ifndef TN_INTERRUPT_H
#define TN_INTERRUPT_H

#include <stdbool.h>

#include "lib/error.h"

/* From now on they are noted; SIGHUP not if it is ignored. A second call does nothing. */
void interrupt_catch(void);

/* Until interrupt_block(false) they wait: for what leaves files behind when it is cut short. */
void interrupt_block(bool block);

bool interrupt_is_noted(void);
/*
 * The same, but false while interrupt_hold(true) is in force, until interrupt_hold(false):
 * what is being taken back, or cannot be taken back any more, is finished.
 */
bool interrupt_is_due(void);
void interrupt_hold(bool hold);
/* -1 with an error that names the signal, when one is due. */
int interrupt_check(struct error *err);

/* Readable (poll) once one was noted; -1 before interrupt_catch(). Not to be closed. */
int interrupt_fd(void);

#endif
