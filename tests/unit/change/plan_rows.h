/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the plan begin with: texts as in kernel_state_of(). */
#ifndef TN_PLAN_ROWS_H
#define TN_PLAN_ROWS_H

#define NET    "net 100.64.0.0/16 fd64::/64;"
#define TO5    "to 100.64.1.5 10.0.0.5 1 1;"
#define FROM5  "from 1 10.0.0.5 100.64.1.5;"
#define ROUTER "router 1 red if=3 inside=4 inside=5 mac=7 dev=4 ino=99 hook=auto via=tc build=8;"
#define SETTLED                                                            \
	"addr 99 3 100.64.0.2 112; way 99 3 100.64.0.0/16 src=100.64.0.2;" \
	"set 99 ipv4/conf/lan0/forwarding 1;"
#define ALL NET "own 100.64.0.2 1 1;" TO5 FROM5 ROUTER SETTLED

/* as in model_of() */
#define TWO "tenant blue id=2; tenant red id=1; map 10.0.0.5 db lease=100.64.1.5"

#endif
