/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The routers and mappings that the tests of the datapath have in common, and the words
 * for what a program does with a frame: for the lab (harness.h), where the kernel runs
 * the programs, and for tests/fuzz/, where they run natively.
 *
 * red is the router whose programs run. blue is another one of this machine, with
 * the same private addresses. green and all others have their routers elsewhere.
 */
#ifndef TN_TEST_FIXTURE_H
#define TN_TEST_FIXTURE_H

#include "lib/addr.h"
#include "packets.h"
#include "tn_abi.h"

enum lab_router { GREEN = TN_ROUTER_ELSEWHERE, RED, BLUE, ROUTERS };

#define RED_VM	     "10.0.0.5"
#define RED_SHARED   "100.64.1.5"
#define RED_VM2	     "10.0.0.6"
#define RED_SHARED2  "100.64.1.6"
#define RED_OWN	     "100.64.0.2"
#define BLUE_SHARED  "100.64.3.5"
#define BLUE_OWN     "100.64.0.3"
#define GREEN_SHARED "100.64.2.5"
#define STRANGER     "100.64.9.9" /* in the subnet, in no mapping, but in a fourth tenant's pool */

#define RED_VM_6       "fd00:10::5"
#define RED_SHARED_6   "fd64::1:5"
#define RED_VM2_6      "fd00:10::6"
#define RED_SHARED2_6  "fd64::1:6"
#define RED_OWN_6      "fd64::a"
#define BLUE_SHARED_6  "fd64::3:5"
#define BLUE_OWN_6     "fd64::b"
#define GREEN_SHARED_6 "fd64::2:5"
#define STRANGER_6     "fd64::9:9"

/* `fixed` NULL: an address of the router itself. */
struct fixture {
	enum lab_router router;
	const char *fixed, *shared;
};

extern const struct fixture fixture[];
extern const size_t fixture_n;
extern const char *const fixture_subnets[];
extern const size_t fixture_subnets_n;

/* The most mappings of a lab, and the room in its maps. */
#define MAPPINGS_MAX 256
/* And of rules, and services of rules. */
#define RULES_MAX 16384

/* What one mapping, or address of a router, is in the maps; `from` and `back` only if slot. */
struct entry {
	struct tn_addr shared;
	struct tn_shared to;
	struct tn_fixed_key from;
	struct tn_fixed back;
};

struct entry fixture_entry(const struct fixture *f, uint32_t slot);

/* Each ends the process if that is no address, or no prefix. */
struct tn_addr addr_of(const char *text);
struct prefix prefix_of(const char *text);

bool fixture_in_subnets(const struct tn_addr *a);

/* The tenant of a router; the last one has no mapping, but all of the subnets as its pool. */
uint32_t fixture_tenant(enum lab_router router);
#define TENANTS (ROUTERS + 1)

/* Everybody accepts everything from every tenant, by the rule with the tenant's number. */
typedef void (*fixture_put)(void *context, const char *map, const void *key, const void *value);
void fixture_policy(fixture_put put, void *context);

struct tn_config fixture_config(const char *const *subnets, size_t n);

/* The last one is for what has been held alone, and what goes through all of them leaves it out. */
enum program { XDP_IN, TC_IN, TC_OUT, INSIDE_IN, PROGRAMS, INSIDE_OUT = PROGRAMS };
enum {
	ON_XDP = 1 << XDP_IN,
	ON_TC = 1 << TC_IN,
	ON_IN = ON_XDP | ON_TC,
	ON_OUT = 1 << TC_OUT,
	ON_INSIDE = 1 << INSIDE_IN,
};

const char *program_name(enum program program);

/* What the kernel would do with a frame. */
enum verdict { STACK, GONE, BACK, NO_VERDICT };

struct result {
	enum verdict verdict;
	bool marked;		 /* XDP left its mark: already translated */
	uint32_t mark, priority; /* the skb's */
	struct frame out;
};

/* From the value that a program returned, and what lies in front of the frame: XDP's metadata. */
enum verdict verdict_xdp(int returned);
enum verdict verdict_tc(int returned);
void result_meta(struct result *r, const void *meta, size_t len, uint32_t router);

#endif
