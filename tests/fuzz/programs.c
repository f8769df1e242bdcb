/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source of the datapath as it is; it finds the headers under tests/fuzz/include/ first.
 * Alone in its file, because its names are its own.
 */
#include "programs.h"

#include "../../bpf/tenantnat.bpf.c"

/* The definition of a map has pointers to its key and its value, and never any memory for them. */
#define HASH(map)                                                               \
	{                                                                       \
#map, &(map), sizeof(*(map).key), sizeof(*(map).value), 0, NULL \
	}
#define ARRAY(map, n)                                                           \
	{                                                                       \
#map, &(map), sizeof(*(map).key), sizeof(*(map).value), n, NULL \
	}
/* The loader makes `counters` as large as it needs. */
#define COUNTERS 256

struct map programs_maps[] = {
	HASH(by_shared), HASH(by_fixed),   ARRAY(counters, COUNTERS), ARRAY(drops, TN_ROUTERS_MAX),
	HASH(routers),	 ARRAY(config, 1), { .name = NULL },
};
