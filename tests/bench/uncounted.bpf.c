// SPDX-License-Identifier: GPL-2.0-only
/*
 * For counters.py: every program as it is, but what a mapping carries is not counted. The product
 * has no such switch; the functions are replaced before anything calls them.
 */
#include <linux/pkt_cls.h>

#include "../../bpf/account.h"

#define record_fetch(at) ((void)(at))
#define count_in(p, at)	 ((void)(at))
#define count_out(p, at) ((void)(at))

#include "../../bpf/tenantnat.bpf.c"
