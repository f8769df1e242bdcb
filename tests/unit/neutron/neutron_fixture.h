/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answers of a real Neutron that are in tests/neutron/, changed copies of them, and what is
 * made of these. Each test of a suite with answers_read() and answers_free() begins with the
 * answers as they were. An id is given by its beginning, which may be all but the last digits of a
 * first part.
 */
#ifndef TN_NEUTRON_FIXTURE_H
#define TN_NEUTRON_FIXTURE_H

#include <criterion/criterion.h>

#include "neutron/definitions.h"

extern json_t *answers[NEUTRON_LISTS_COUNT];

void answers_read(void);
void answers_free(void);
/* Whether what is made is for a cloud with OVN, and whether sidecars go: see inventory.h. */
extern bool with_ovn, ovn_ends;
/* Of tenants: what make() has made before counts no more. */
void forget_names(void);

/* The object whose id begins so. */
json_t *object(enum neutron_list list, const char *id);
/* Give it these fields, in JSON with ' for ". */
void change(enum neutron_list list, const char *id, const char *fields);
/* One more, as that one is but for these fields; the id is made of `id`, eight digits. */
void copy(enum neutron_list list, const char *like, const char *id, const char *fields);
void drop(enum neutron_list list, const char *id);
/* The whole of such an id. */
#define WHOLE(eight) eight "-0000-4000-8000-000000000000"

/* All answers, sorted; fails the test when one is refused. */
void take_all(struct inventory *inv);

/* What definitions come to: the file, also without MAC addresses, and the findings, a line each. */
struct made {
	char *whole;
	char *yaml;
	char *findings;
};
void made_free(struct made *m);
#define _cleanup_made_ _cleanup_(made_free)

/*
 * For the host `node1`. Fails the test unless the file passes the checks of definitions files, and
 * is the same file again after that.
 */
struct made make(void);
/* The same for that one; NULL: for all hosts. */
struct made make_for(const char *host);
/*
 * The same, but whether there are definitions: else there is an error, which says something. All
 * get an address then.
 */
bool make_if_any(void);
/* The error instead of definitions. */
struct error make_fails(void);

/* That the text is in it, or is not. */
void expect_in(const char *text, const char *part);
void expect_not_in(const char *text, const char *part);

#endif
