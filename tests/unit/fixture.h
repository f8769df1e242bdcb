/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Models and machines from a line of text, and back to text to compare them: what
 * a test is about stands in the test. Statements end with `;`, words are separated
 * by spaces, and [] is what may be left out.
 */
#ifndef TN_FIXTURE_H
#define TN_FIXTURE_H

#include <criterion/criterion.h>

#include "change/plan.h"
#include "model/ipam.h"
#include "model/kernel_state.h"
#include "model/model.h"

/* Fails the test unless it is an address or a prefix. */
struct tn_addr addr_of(const char *text);
struct prefix prefix_of(const char *text);

/*
 * net PREFIX…;
 * tenant NAME [id=N] [pool=PREFIX]…;
 * router [id=N] [netns=NAME] [shared=IF] [inside=IF]… [hook=HOOK] [detached]
 *        [pin=ADDR] [lease=ADDR] [want=ipv4] [want=ipv6] [to=PREFIX via=ADDR]…;
 * map FIXED [NAME] [pin=ADDR | lease=ADDR] [mac=MAC] [rate=N] [packets=N] [except=ADDR]…;
 * accept [id=N from=TENANT… | from=* [to=MAPPING]… [CLASS | CLASS/N | CLASS/N-N]… [until=N]];
 *
 * All of a prefix are prefixes but except. router, map and accept belong to the tenant before them.
 * `pin` is a shared address that the user gave, `lease` one that was allocated; of a router they
 * are its own addresses.
 */
struct model model_of(const char *text);

/*
 * Shared addresses alone, a line each as they stand: "red 10.0.0.5 100.64.1.9\n", and
 * "red router 100.64.1.254\n" of routers that have one by the definitions. Freed by the caller.
 */
char *leases_text(const struct model *m);
/* Ids alone: "red 1/2\n" for a tenant with a router, "blue 3\n" without. */
char *ids_text(const struct model *m);

/* Addresses, separated by spaces. */
struct addr_list addrs_of(const char *text);

/*
 * net PREFIX…;
 * own SHARED TENANT ROUTER;               a row of by_shared: a router's own address
 * to SHARED FIXED TENANT ROUTER [slot=N]; another: a mapping
 * from ROUTER FIXED SHARED [slot=N] [mac=MAC];      a row of by_fixed
 * prefix ROUTER ADDR LEN FIRST;           a row of prefixes; FIRST - is an exception
 * router ID TENANT [if=N] [inside=N]… [mac=N] [dev=N] [ino=N] [hook=HOOK] [via=HOOK] [build=N]
 *        [flags=N] [broken] [kept];                               kept: out of scope
 *
 * addr NETNS IF ADDRESS LEN;              with our mark; NETNS is st_ino, LEN of 128
 * way NETNS IF PREFIX [via=ADDR] [src=ADDR];
 * group NETNS IF ADDRESS;                 solicitations for it come in by us
 * group NETNS IF all [off];               all-multicast is ours, and off
 * set NETNS PATH VALUE;                   settings stay in their order
 *
 * TENANT is an id in `own` and `to`, a name in `router`. Sorted. Rows of the policy come from
 * definitions alone: see kernel_state_by().
 */
struct kernel_state kernel_state_of(const char *text);
/* What definitions (as in model_of()) come to where no router is attached. */
struct kernel_state kernel_state_by(const char *definitions);
/* The same text again, without slots, a statement a line. Freed by the caller. */
char *kernel_state_text(const struct kernel_state *m);

/*
 * The rows of accepts, services and limits, a line each, as they stand:
 * "accept TENANT TO FROM all by RULE\n", or "blocks\n" in the place of "all by RULE";
 * "service TENANT TO FROM CLASS SHIFT:BLOCK by RULE\n"; "limit SHARED RATE PACKETS\n".
 * Freed by the caller.
 */
char *policy_text(const struct policy *p);

/* "put from 1 10.0.0.5 100.64.1.5\n" and so on, in the order in which it is done. Freed by the
 * caller. */
char *plan_steps(const struct plan *p);

/* `what` says what is compared. Frees `got`, so that a call can stand there. */
void expect_text(char *got, const char *want, const char *what);

/* Numbers that look random and are the same on every run. */
struct dice {
	uint64_t state;
};
/* 0..n-1 */
uint32_t roll(struct dice *d, uint32_t n);
static inline bool chance(struct dice *d, uint32_t percent)
{
	return roll(d, 100) < percent;
}

/* A new order of the elements of a VEC. */
#define shuffle(d, vec)                                                \
	do {                                                           \
		for (size_t _i = (vec)->n; _i > 1; _i--) {             \
			size_t _j = roll(d, _i);                       \
			__typeof__(*(vec)->v) _tmp = (vec)->v[_i - 1]; \
			(vec)->v[_i - 1] = (vec)->v[_j];               \
			(vec)->v[_j] = _tmp;                           \
		}                                                      \
	} while (0)

#endif
