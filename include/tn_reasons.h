/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a packet was dropped: the only list of reasons. The programs count by
 * TN_DROP_<ID>, the CLI and its JSON print the name, docs and `stats` the
 * meaning. New reasons go to the end: numbers are part of the pinned layout.
 */
#ifndef TN_REASONS_H
#define TN_REASONS_H

/* X(ID, "name", "what it means, and what to do") */
/* clang-format off */
#define TN_REASONS(X) \
	X(MALFORMED, "malformed", \
	  "a header is short, lies about its length or is cut off; find the sender that makes it") \
	X(UNMAPPED, "unmapped", \
	  "the destination is in a shared subnet, but no mapping of this router; " \
	  "add the mapping, or correct the sender's route") \
	X(DIRECT_TO_PRIVATE, "direct-to-private", \
	  "a host on the shared network sent to an address outside the shared subnets through this " \
	  "router; tell its owner the shared address, or look for an attacker") \
	X(SPOOFED_SOURCE, "spoofed-source", \
	  "a frame did not come by the interface or from the MAC address to which the answer would " \
	  "go; most often routes differ by direction (a VM with two NICs, a virtual router's MAC " \
	  "address, several next hops): route both ways alike, or set `sources: feasible` (any MAC " \
	  "address) or `loose`; else two hosts have one address, or one pretends to be another") \
	X(FOREIGN_SOURCE, "foreign-source", \
	  "the source is not in any shared subnet; give that sender a shared address") \
	X(UNTRANSLATED, "untranslated", \
	  "a packet was about to leave with a source that no mapping of this router translates; " \
	  "add a mapping for that address") \
	X(FORGED_ERROR, "forged-error", \
	  "an ICMP error quotes a packet that does not belong to the mapping that the error is for, or " \
	  "to any known flow; look for an attacker") \
	X(ICMP_REDIRECT, "icmp-redirect", \
	  "ICMP redirects do not cross a translation; correct the routes of the shared network") \
	X(INTERNAL, "internal", \
	  "the kernel refused to change the packet; please report it with `uname -r`") \
	X(BAD_CHECKSUM, "bad-checksum", \
	  "the checksum of an IPv4 header is wrong; look for a faulty device between the sender and " \
	  "this router") \
	X(SOURCE_ROUTE, "source-route", \
	  "a packet specifies its own route (IPv4 source route option, IPv6 routing header), which " \
	  "could bypass the translation; have the sender leave that out") \
	X(RECORD_ROUTE, "record-route", \
	  "a packet asks routers to write their addresses into it, and would carry private ones " \
	  "over the shared network; use traceroute instead of ping -R or -T") \
	X(AUTH_HEADER, "auth-header", \
	  "IPsec AH covers the addresses, so that no translation is valid; use ESP") \
	X(NOT_ACCEPTED, "not-accepted", \
	  "the destination's tenant does not accept the packet from its sender, and the packet is no " \
	  "answer to one that the destination sent; to allow it, add a rule to that tenant's `accept`") \
	X(STRANGER, "stranger", \
	  "the sender is in a shared subnet, but belongs to no tenant, and is never accepted; to allow " \
	  "it, give a tenant that address as a mapping or in its pool") \
	X(FRAGMENT, "fragment", \
	  "a piece of a datagram whose first piece was not accepted, or that would overwrite the " \
	  "first one's header; lower the MTU of the sender, or look for an attacker") \
	X(LIMIT, "limit", \
	  "the mapping carries more than its `limit`; raise the limit, or have the sender slow down") \
	X(WRONG_INGRESS, "wrong-ingress", \
	  "a packet with a VM's address, or one of this router's, was about to leave by the shared " \
	  "interface, but came by an interface that is not inside; if VMs are there, add it to " \
	  "`inside`, else find the sender") \
	X(WRONG_EGRESS, "wrong-egress", \
	  "the kernel would send a packet from the shared network to an interface that is not inside, " \
	  "or one to the shared network past the shared interface, or would send an error about it " \
	  "by another interface than it came from; see that the interface is up, and " \
	  "correct the routes and rules of this router (`ip route get ADDRESS from ADDRESS iif NAME`)") \
	X(UNRESOLVED, "unresolved", \
	  "too many packets at once to or from neighbours that the router does not know; each router " \
	  "may look up a limited number, because all routers share the kernel's neighbour table; find " \
	  "the host that sends to very many addresses, or uses them as its source") \
	X(STANDBY, "standby", \
	  "the router has not its own address now (`active: address`): another host forwards, and " \
	  "this one has nothing to do with these packets; a switch that floods, or neighbours that " \
	  "have not heard of a takeover yet, send some of them; if no host has the address, see what " \
	  "is to move it (keepalived, the L3 agent)") \
	X(WRONG_MAC, "wrong-mac", \
	  "the host with the fixed address has not the MAC address of its mapping (`mac`): another VM " \
	  "has got that address, or pretends to; if it is to have the mapping, correct its `mac`, " \
	  "else remove the mapping") \
	X(RULE_ENDED, "rule-ended", \
	  "the only rule of `accept` that names sender, destination and port has ended (`until`), and the " \
	  "packet is no answer to one that the destination sent; to allow it again, set a later `until`, " \
	  "else remove the rule")
/* clang-format on */

enum tn_reason {
#define X(id, name, meaning) TN_DROP_##id,
	TN_REASONS(X)
#undef X
		TN_REASONS_COUNT
};

/* Room in the map for reasons to come. */
#define TN_REASONS_MAX 64

_Static_assert(TN_REASONS_COUNT <= TN_REASONS_MAX, "raise TN_REASONS_MAX and TN_ABI");

#endif
