/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What whoever reads Neutron notes of it in the state directory: for `status`, `doctor` and the
 * metrics, and for the next one, which goes on with the names that tenants have.
 */
#ifndef TN_IMPORTED_H
#define TN_IMPORTED_H

#include <jansson.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/util.h"

/* X(ID, "name"): why nothing was changed. */
#define IMPORT_FAULTS(X)                                                                          \
	X(READ, "read")	      /* it cannot be read, or not whole, or its answers make no sense */ \
	X(REFUSED, "refused") /* what it says cannot be put in force */                           \
	X(LOSS, "loss")	      /* most mappings would go */                                        \
	X(SIDECARS, "sidecars") /* with OVN: what there is to be of them cannot be made */

enum import_fault {
#define X(id, name) IMPORT_##id,
	IMPORT_FAULTS(X)
#undef X
		IMPORT_FAULTS_COUNT
};

const char *import_fault_name(enum import_fault fault);

/* Times in seconds since 1970. All zero: nothing was ever read. */
struct imported {
	char *source;	       /* where Neutron is, without secrets */
	int64_t read_at;       /* when what is in force was what Neutron says; 0: never */
	int64_t failing_since; /* 0: all is well */
	char *failing;	       /* then what is wrong */
	uint64_t failures[IMPORT_FAULTS_COUNT]; /* since the state is there */
	VEC(char *) findings; /* of what was read last: what is left out, and why */
	json_t *names;	      /* of tenants, by their routers' ids; NULL: none */
};

void imported_free(struct imported *im);
#define _cleanup_imported_ _cleanup_(imported_free)

/* 1: *out is the caller's to free; 0: nothing was noted, or nothing that can be read. */
int imported_read(const char *state, struct imported *out);
/* That nothing is read here any more. */
void imported_forget(const char *state);
/* In one piece. The directory is there. */
int imported_write(const char *state, const struct imported *im, struct error *err);

#endif
