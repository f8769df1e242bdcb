/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/rows.h"

int shared_row_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct shared_row *)a)->shared,
		      &((const struct shared_row *)b)->shared, sizeof(struct tn_addr));
}

int fixed_row_cmp(const void *a, const void *b)
{
	const struct fixed_row *x = a, *y = b;

	if (x->router != y->router)
		return x->router < y->router ? -1 : 1;
	return memcmp(&x->fixed, &y->fixed, sizeof(x->fixed));
}

int prefix_row_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct prefix_row *)a)->key, &((const struct prefix_row *)b)->key,
		      sizeof(struct tn_prefix_key));
}

bool router_row_has_xdp(const struct router_row *row)
{
	return row->via == HOOK_XDP || row->via == HOOK_XDP_GENERIC;
}

bool router_row_sends_from_veth(const struct router_row *row)
{
	return row->fast && row->veth && row->via == HOOK_XDP;
}

void row_keys_free(struct row_keys *k)
{
	vec_free(&k->shared);
	vec_free(&k->fixed);
}

static int key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tn_addr));
}

static int fixed_key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tn_fixed_key));
}

void row_keys_sort(struct row_keys *k)
{
	vec_sort_once(&k->shared, key_cmp);
	vec_sort_once(&k->fixed, fixed_key_cmp);
}

int router_row_cmp(const void *a, const void *b)
{
	uint32_t x = ((const struct router_row *)a)->id, y = ((const struct router_row *)b)->id;

	return x < y ? -1 : x > y;
}

static int u64_cmp(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int place_cmp(const struct place *a, const struct place *b)
{
	int order = u64_cmp(a->netns_dev, b->netns_dev);

	order = order ? order : u64_cmp(a->netns_ino, b->netns_ino);
	return order ? order : u64_cmp(a->ifindex, b->ifindex);
}

int addr_row_cmp(const void *a, const void *b)
{
	const struct addr_row *x = a, *y = b;
	int order = place_cmp(&x->at, &y->at);

	return order ? order : memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

int route_row_cmp(const void *a, const void *b)
{
	const struct route_row *x = a, *y = b;
	int order = place_cmp(&x->at, &y->at);

	order = order ? order : memcmp(&x->to.addr, &y->to.addr, sizeof(x->to.addr));
	return order ? order : x->to.len - y->to.len;
}

int group_row_cmp(const void *a, const void *b)
{
	const struct group_row *x = a, *y = b;
	int order = place_cmp(&x->at, &y->at);

	return order ? order : memcmp(&x->addr, &y->addr, sizeof(x->addr));
}
