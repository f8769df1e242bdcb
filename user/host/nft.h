/* SPDX-License-Identifier: GPL-2.0-only */
/* What netfilter has in the current network namespace (libnftables; libnftables-json(5)). */
#ifndef TN_NFT_H
#define TN_NFT_H

#include <jansson.h>

#include "lib/error.h"

/*
 * All tables, rules of iptables-nft among them, as `nft -j list ruleset` says it; without
 * `elements` those of sets are left out. The caller's to free. Needs CAP_NET_ADMIN. A kernel
 * without nf_tables has an empty list. Another process asks, for a moment.
 */
int nft_ruleset(json_t **out, bool elements, struct error *err);

/*
 * The tables of iptables-legacy (or, with `six`, ip6tables-legacy) that are there, "filter nat";
 * "" when there are none. What is in them is not to be had from nf_tables.
 */
int nft_legacy_tables(bool six, char *text, size_t size, struct error *err);

#endif
