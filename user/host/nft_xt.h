/* SPDX-License-Identifier: GPL-2.0-only */
/* What rules of iptables-nft say that libnftables-json(5) keeps to itself: matches and targets. */
#ifndef TN_NFT_XT_H
#define TN_NFT_XT_H

#include <jansson.h>

/*
 * Add to each {"xt": …} of the list, as nft_ruleset() gives it, what ruleset.c makes use of: of the
 * match `conntrack` "flags", "invert" and "state" (struct xt_conntrack_mtinfo3), of the target MARK
 * "mark" and "mask", of CONNMARK "mode", of CT "notrack". What the kernel does not tell is left
 * out: then it is not known.
 */
void nft_tell_xt(json_t *ruleset);

#endif
