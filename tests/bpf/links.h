/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Labs with somewhere to go: besides the shared interface, which is loopback as for all test runs,
 * the router has an inside one with the VMs behind it, and routes to all of them. And it has an
 * uplink, where the default routes lead.
 */
#ifndef TN_TEST_LINKS_H
#define TN_TEST_LINKS_H

#include "harness.h"

#define LINKS_MTU "1400" /* of the inside interface, and of the routes to the shared network */

/* Index of the inside interface, lan0. */
extern uint32_t links_inside;
/* And of the uplink, up0: beyond those that the lab has inside. */
#define LINKS_UPLINK 100

enum links_path {
	BY_STACK,
	PAST_STACK,
	PAST_STACK_ASKING, /* without cached next hops: see lab_options.reads_nothing */
};

/*
 * VMs send from where answers go; RED_VM is at MAC_VM, 10.0.0.77 at MAC_VM2, and GREEN_SHARED at
 * MAC_NEXT. `mac`: of the router's shared interface.
 */
struct lab *links_open_known(unsigned int programs, enum links_path path, const char *mac);
/* The same, of any other kind. */
struct lab *links_open_known_as(const struct lab_options *o);
/* XDP may send to the inside interface. */
void links_take_xdp(struct lab *lab);
/* As if nothing had been told or asked for yet: there are more rows than errors in a second. */
void links_tell_again(struct lab *lab);
/* Lines of ip(8), each with its end, in the lab's namespace; "-6 " before a rule of IPv6. */
void links_ip(const char *commands);

#endif
