/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Definitions files that are refused, and everything that is said about each of
 * them: one "LINE:COL: what, and what to do" a line.
 */
#ifndef TN_CONFIG_BROKEN_H
#define TN_CONFIG_BROKEN_H

#include <stddef.h>

#include "config_fixture.h"

struct broken {
	const char *what;
	const char *yaml;
	size_t len;
	const char *errors;
};
#define BROKEN(what, yaml, errors)                   \
	{                                            \
		what, yaml, sizeof(yaml) - 1, errors \
	}

/* clang-format off */
static const struct broken broken[] = {
	BROKEN("empty file",
	       "",
	       "1:1: the file is empty; it needs `shared-network` and `tenants`\n"),
	BROKEN("only a comment",
	       "# nothing yet\n",
	       "1:1: the file is empty; it needs `shared-network` and `tenants`\n"),
	BROKEN("only a document marker",
	       "---\n",
	       "1:1: the file is empty; it needs `shared-network` and `tenants`\n"),
	BROKEN("a list as the file",
	       "- shared-network\n"
	       "- tenants\n",
	       "1:1: the file must be keys and values; it needs `shared-network` and `tenants`\n"),
	BROKEN("zones that are none",
	       "shared-network: {subnets: [100.64.0.0/16], names: {zone: a_b.c}}\n"
	       "tenants: [{name: a, mappings: [{name: b_c, fixed: 10.0.0.5}]}]\n",
	       "1:58: `a_b.c` is no zone; use letters, digits and `-` with dots between, 189 at most, such as shared.internal\n"),
	BROKEN("names without a zone",
	       "shared-network: {subnets: [100.64.0.0/16], names: {}}\n"
	       "tenants: []\n",
	       "1:51: the key `zone` of `names` is missing; add it like `zone: shared.internal`\n"),
	BROKEN("names that are no labels",
	       "shared-network: {subnets: [100.64.0.0/16], names: {zone: shared.internal}}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {name: my_db, fixed: 10.0.0.5}\n"
	       "      - {name: db-, fixed: 10.0.0.6}\n"
	       "      - {name: DB-1, fixed: 10.0.0.7}\n"
	       "  - name: blue.1\n"
	       "    mappings:\n"
	       "      - {name: a, fixed: 10.0.0.5}\n"
	       "      - {name: b_, fixed: 10.0.0.6}\n",
	       "5:16: `red-my_db` cannot be a name in the zone `shared.internal`: it has a `_`; use letters, digits and `-`, or leave out the name\n"
	       "6:16: `red-db-` cannot be a name in the zone `shared.internal`: it ends with a hyphen; use letters, digits and `-`, or leave out the name\n"
	       "8:11: `blue.1-…` cannot be a name in the zone `shared.internal`: it has a `.`; use letters, digits and `-`, or leave out `names`\n"),
	BROKEN("names that two mappings would have",
	       "shared-network: {subnets: [100.64.0.0/16, 'fd64::/64'], names: {zone: A.b}}\n"
	       "tenants:\n"
	       "  - name: a-b\n"
	       "    mappings:\n"
	       "      - {name: C, fixed: 10.0.0.5}\n"
	       "      - {name: C, fixed: 'fd00::5'}\n"
	       "      - {name: c, fixed: 10.0.0.6}\n"
	       "  - name: a\n"
	       "    mappings: [{name: b-c, fixed: 10.0.0.5}]\n",
	       "7:16: the name `a-b-c.a.b` is already that of the mapping at line 5; rename one of them\n"
	       "9:23: the name `a-b-c.a.b` is already that of the mapping at line 5; rename one of them\n"),
	BROKEN("text as the file",
	       "shared network\n",
	       "1:1: the file must be keys and values; it needs `shared-network` and `tenants`\n"),
	BROKEN("two documents",
	       "shared-network: {subnets: [100.64.0.0/16]}\n"
	       "tenants: []\n"
	       "---\n"
	       "tenants: []\n",
	       "3:1: a second document begins here; put everything into one\n"),
	BROKEN("nothing required is there",
	       "{}\n",
	       "1:1: the key `shared-network` of the file is missing; add it like "
	       "`shared-network: {subnets: [100.64.0.0/16]}`\n"
	       "1:1: the key `tenants` of the file is missing; add it like `tenants: [{name: "
	       "red}]`\n"),
	BROKEN("no tenants",
	       "shared-network: {subnets: [100.64.0.0/16]}\n",
	       "1:1: the key `tenants` of the file is missing; add it like `tenants: [{name: "
	       "red}]`\n"),
	BROKEN("no shared network",
	       "tenants: []\n",
	       "1:1: the key `shared-network` of the file is missing; add it like "
	       "`shared-network: {subnets: [100.64.0.0/16]}`\n"),
	BROKEN("bytes that are not UTF-8",
	       "# caf\351\n"
	       "tenants: []\n",
	       "1:6: byte 0xe9 is not UTF-8; save the file in that encoding\n"),
	BROKEN("overlong UTF-8",
	       "tenants: []\n"
	       "# \300\257\n",
	       "2:3: byte 0xc0 is not UTF-8; save the file in that encoding\n"),
	BROKEN("surrogate",
	       "tenants: []\n"
	       "# \355\240\200\n",
	       "2:3: byte 0xed is not UTF-8; save the file in that encoding\n"),
	BROKEN("cut off in a character",
	       "tenants: [] # \342\202",
	       "1:15: byte 0xe2 is not UTF-8; save the file in that encoding\n"),
	BROKEN("NUL byte",
	       "tenants:\n"
	       "  - name: r\000d\n",
	       "2:12: the character U+0000 cannot be used here; delete it\n"),
	BROKEN("control character",
	       "tenants: []\n"
	       "# \033[31m\n",
	       "2:3: the character U+001B cannot be used here; delete it\n"),
	BROKEN("control character behind another error",
	       "tenant: []\n"
	       "x: \007\n",
	       "2:4: the character U+0007 cannot be used here; delete it\n"),
	BROKEN("a separator that no editor shows",
	       "# caf\303\251 \342\200\250\n",
	       "1:8: the character U+2028 cannot be used here; delete it\n"),
	BROKEN("UTF-16",
	       "\377\376t\000e\000n\000",
	       "1:1: byte 0xff is not UTF-8; save the file in that encoding\n"),
	BROKEN("byte order mark, then an error",
	       "\357\273\277tenant: []\n",
	       "1:1: unknown key `tenant`; did you mean `tenants`?\n"
	       "1:1: the key `shared-network` of the file is missing; add it like "
	       "`shared-network: {subnets: [100.64.0.0/16]}`\n"),
	BROKEN("too deep",
	       "tenants: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
	       "1:41: nested more than 32 deep; look for a bracket that is not closed\n"),
	BROKEN("syntax after other errors: they may come from it",
	       "shared-network: {subnets: [100.64.0.0/33]}\n"
	       "tenants:\n"
	       "  - nam: red\n"
	       "    pool: [100.64.1.0/24\n"
	       "  - name: blue\n",
	       "5:9: not valid YAML: while parsing a flow sequence of line 4, did not find "
	       "expected ',' or ']'; check the indentation, quotes and brackets\n"),
	BROKEN("syntax error does not make others",
	       "shared-network: {subnets: [100.64.0.0/16]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {name: db\n",
	       "6:1: not valid YAML: while parsing a flow mapping of line 5, did not find "
	       "expected ',' or '}'; check the indentation, quotes and brackets\n"),
	BROKEN("indented by a tab",
	       "tenants:\n"
	       "\011- name: red\n",
	       "2:1: this line is indented with a tab; use spaces\n"),
	BROKEN("a tab behind spaces, below a list",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "   \011mappings: []\n",
	       "5:4: this line is indented with a tab; use spaces\n"),
	BROKEN("a tab that makes a line part of the value before",
	       NETWORK
	       "  - name: red\n"
	       "    router:\n"
	       "      netns: red\n"
	       "       \011shared: shared0\n",
	       "6:8: this line is indented with a tab; use spaces\n"),
	BROKEN("a tab, and a name whose tenant comes behind it",
	       NETWORK
	       "  - name: red\n"
	       "    accept:\n"
	       "      - from: [blue]\n"
	       "\011- name: blue\n",
	       "6:1: this line is indented with a tab; use spaces\n"),
	BROKEN("a tab behind a dash",
	       "tenants:\n"
	       "  -\011name: red\n",
	       "2:4: a tab cannot be used here; use spaces\n"),
	BROKEN("a star without quotes",
	       NETWORK
	       "  - name: red\n"
	       "    accept:\n"
	       "      - from: *\n"
	       "        to: [db]\n",
	       "5:15: a value cannot begin with *; put it in quotes, as in \"*\"\n"),
	BROKEN("a star without quotes in a list",
	       NETWORK
	       "  - name: red\n"
	       "    accept: [{from: [*]}]\n",
	       "4:22: a value cannot begin with *; put it in quotes, as in \"*\"\n"),
	BROKEN("a pattern without quotes",
	       NETWORK
	       "  - name: red\n"
	       "    router: {inside: [*.lan]}\n",
	       "4:23: a value cannot begin with *; put it in quotes, as in \"*\"\n"),
	BROKEN("an anchor without a name",
	       NETWORK
	       "  - name: &\n",
	       "3:11: a value cannot begin with &; put it in quotes\n"),
	BROKEN("a tag or an anchor takes no value with it",
	       NETWORK
	       "  - name: !red\n"
	       "  - name: &blue\n",
	       "3:11: the tag `!red` is not supported; remove it\n"
	       "4:11: the anchor `&blue` is not supported; write the value out\n"),
	BROKEN("names that were not understood may be those that rules mean",
	       NETWORK
	       "  - nam: red\n"
	       "  - name: blue\n"
	       "    mappings: [{name: d/b, fixed: 10.0.0.5}]\n"
	       "    accept: [{from: [red], to: [db]}]\n",
	       "3:5: unknown key `nam`; did you mean `name`?\n"
	       "5:23: `d/b` is not a mapping name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"),
	BROKEN("prefixes whose sides are not of one kind",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.0/24, shared: 100.64.1.0/25}\n"
	       "      - {fixed: 10.1.0.0/24, shared: 100.64.1.5}\n"
	       "      - {fixed: 10.2.0.5, shared: 100.64.1.0/24}\n"
	       "      - {fixed: \"fd00::/96\", shared: 100.64.9.0/24}\n"
	       "      - {fixed: 10.3.0.5/24, shared: 100.64.3.5/24}\n"
	       "      - {fixed: 10.4.0.0/24, mac: \"02:00:00:00:00:05\"}\n"
	       "      - {fixed: 127.0.0.0/8}\n"
	       "      - {fixed: 100.0.0.0/8}\n",
	       "5:38: `10.0.0.0/24` and `100.64.1.0/25` are not of the same length; use as long a "
	       "prefix\n"
	       "6:38: `10.1.0.0/24` and `100.64.1.5` are not of the same length; use as long a "
	       "prefix\n"
	       "7:35: `10.2.0.5` and `100.64.1.0/24` are not of the same length; use as long a "
	       "prefix\n"
	       "8:38: `fd00::/96` and `100.64.9.0/24` are not of the same length; use as long a "
	       "prefix\n"
	       "9:17: `10.3.0.5/24` has bits set behind its length; write `10.3.0.0/24`\n"
	       "9:38: `100.64.3.5/24` has bits set behind its length; write `100.64.3.0/24`\n"
	       "10:17: `10.4.0.0/24` is a prefix, and a MAC address is of one VM; remove `mac`, or "
	       "give that VM a mapping of its own\n"
	       "11:17: `127.0.0.0/8` has loopback addresses (127.0.0.0/8) in it; use another "
	       "prefix\n"
	       "12:17: the fixed prefix `100.0.0.0/8` is in the shared subnet `100.64.0.0/16`; use "
	       "the VM's private address\n"),
	BROKEN("exceptions that are none",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.0/24, except: [10.0.1.1]}\n"
	       "      - {fixed: 10.1.0.0/24, except: [10.1.0.0]}\n"
	       "      - {fixed: 10.2.0.0/24, except: [10.2.0.7, 10.2.0.7]}\n"
	       "      - {fixed: 10.3.0.5, except: [10.3.0.5]}\n"
	       "      - {fixed: 10.4.0.0/24, except: [10.4.0.0/32]}\n",
	       "5:39: the exception `10.0.1.1` is outside of `10.0.0.0/24`; use an address of the "
	       "prefix, or remove it\n"
	       "6:39: `10.1.0.0` is the first address of `10.1.0.0/24`, by which that is known; it "
	       "cannot be an exception\n"
	       "7:49: `10.2.0.7` is there twice; remove one of them\n"
	       "8:36: `10.3.0.5` is one address, and has no exceptions; remove `except`\n"
	       "9:39: `10.4.0.0/32` is a prefix, not an address; write `10.4.0.0`\n"),
	BROKEN("prefixes that overlap, and what is in them",
	       NETWORK
	       "  - name: red\n"
	       "    router: {address: 100.64.1.9}\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.0/25, shared: 100.64.1.0/25, except: [10.0.0.1]}\n"
	       "      - {fixed: 10.0.0.64/26}\n"
	       "      - {fixed: 10.1.0.0/26, shared: 100.64.1.64/26}\n"
	       "      - {fixed: 10.2.0.0/24, shared: 100.64.3.0/24}\n"
	       "      - {fixed: 10.0.0.0}\n"
	       "      - {fixed: 10.0.0.8, shared: 100.64.1.200}\n"
	       "      - {fixed: 10.9.0.8, shared: 100.64.1.5}\n"
	       "      - {fixed: 10.9.0.9, shared: 100.64.1.1}\n"
	       "      - {fixed: 10.0.0.7, shared: 100.64.1.7}\n"
	       "  - name: blue\n"
	       "    pool: [100.64.0.0/24, 100.64.2.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.0/28, shared: 100.64.0.0/28}\n"
	       "  - name: green\n"
	       "    pool: [100.64.2.0/23]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.0/28, shared: 100.64.2.16/28}\n",
	       "7:38: `100.64.1.9` of the shared prefix `100.64.1.0/25` is the address of a router; "
	       "use another prefix, or add `10.0.0.9` to `except`\n"
	       "8:17: the prefix `10.0.0.64/26` overlaps `10.0.0.0/25` of the same tenant; make them "
	       "disjoint\n"
	       "9:38: the shared prefix `100.64.1.64/26` overlaps `100.64.1.0/25` of tenant red; use "
	       "another one\n"
	       "10:38: the shared prefix `100.64.3.0/24` is outside the pool of tenant `red`; use a "
	       "part of the pool, or extend it\n"
	       "10:38: the shared prefix `100.64.3.0/24` is also in the pool `100.64.2.0/23` of tenant "
	       "green; make the pools disjoint, or use another prefix\n"
	       "11:17: `10.0.0.0` is the first address of the prefix `10.0.0.0/25`, by which that is "
	       "known; it cannot have a mapping of its own\n"
	       "12:35: `10.0.0.8` is in the prefix `10.0.0.0/25`, where its shared address is "
	       "`100.64.1.8`, not `100.64.1.200`; use that one, or add `10.0.0.8` to `except` of the "
	       "prefix\n"
	       "13:35: the shared address `100.64.1.5` is in the prefix `100.64.1.0/25` of tenant red, "
	       "for `10.0.0.5`; use another one\n"
	       "19:38: the shared prefix `100.64.0.0/28` has the network address of the shared subnet "
	       "`100.64.0.0/16` in it; use another one\n"
	       "23:38: the shared prefix `100.64.2.16/28` is also in the pool `100.64.2.0/24` of tenant "
	       "blue; make the pools disjoint, or use another prefix\n"),
	BROKEN("a value that begins with @",
	       "tenants:\n"
	       "  - name: @red\n",
	       "2:11: a value cannot begin with @; put it in quotes\n"),
	BROKEN("an address that ends with a colon",
	       "tenants:\n"
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: fd00::\n",
	       "4:21: a `:` is out of place; check the indentation, and quote a value that ends "
	       "with `:` or has `: ` in it\n"),
	BROKEN("an address that ends with a colon in brackets",
	       "shared-network: {subnets: [fd64::]}\n"
	       "tenants: []\n",
	       "1:33: a `:` is out of place; check the indentation, and quote a value that ends "
	       "with `:` or has `: ` in it\n"),
	BROKEN("bad indentation",
	       "shared-network:\n"
	       "  subnets: [100.64.0.0/16]\n"
	       " tenants: []\n",
	       "3:2: not valid YAML: while parsing a block mapping of line 1, did not find "
	       "expected key; check the indentation, quotes and brackets\n"),
	BROKEN("unclosed quote",
	       "shared-network:\n"
	       "  subnets: [\"fd64::/64]\n"
	       "tenants: []\n",
	       "4:1: not valid YAML: while scanning a quoted scalar of line 2, found unexpected "
	       "end of stream; check the indentation, quotes and brackets\n"),
	BROKEN("unknown key, close to one",
	       NETWORK
	       "  - name: red\n"
	       "    router: {sharde: shared0}\n",
	       "4:14: unknown key `sharde`; did you mean `shared`?\n"),
	BROKEN("unknown key, too far from any",
	       NETWORK
	       "  - name: red\n"
	       "    router: {shack: shared0}\n",
	       "4:14: unknown key `shack`; a router takes `netns`, `shared`, `host`, "
	       "`hosts`, `active`, `inside`, `hook`, `sources`, `address`, `routes`, "
	       "`inside-routes`, `forwarding`, `flows`, `takeover-grace`\n"),
	BROKEN("unknown key, nothing close",
	       NETWORK
	       "  - name: red\n"
	       "    colour: blue\n",
	       "4:5: unknown key `colour`; a tenant takes `name`, `router`, `pool`, `accept`, `mappings`\n"),
	BROKEN("unknown key of the file",
	       "shared_network: {subnets: [100.64.0.0/16]}\n"
	       "tenants: []\n",
	       "1:1: unknown key `shared_network`; did you mean `shared-network`?\n"),
	BROKEN("unknown key of the shared network",
	       "shared-network: {subnets: [100.64.0.0/16], mtu: 1500}\n"
	       "tenants: []\n",
	       "1:44: unknown key `mtu`; the shared network takes `subnets`, `names`\n"),
	BROKEN("unknown key of a mapping",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.5\n"
	       "        floating: 100.64.1.9\n",
	       "6:9: unknown key `floating`; a mapping takes `name`, `fixed`, `shared`, `except`, `mac`, `limit`\n"),
	BROKEN("MAC addresses that no VM has",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, mac: fa:16:3e:00:05}\n"
	       "      - {fixed: 10.0.0.6, mac: fa-16-3e-00-00-05}\n"
	       "      - {fixed: 10.0.0.7, mac: \"01:00:5e:00:00:05\"}\n"
	       "      - {fixed: 10.0.0.8, mac: \"00:00:00:00:00:00\"}\n"
	       "      - {fixed: 10.0.0.9, mac: fa:16:3e:00:00:05:06}\n"
	       "      - {fixed: 10.0.0.10, mac: fa:16:3e:00:00:0g}\n",
	       "5:32: `fa:16:3e:00:05` is no MAC address; write it like `fa:16:3e:00:00:05`\n"
	       "6:32: `fa-16-3e-00-00-05` is no MAC address; write it like `fa:16:3e:00:00:05`\n"
	       "7:32: `01:00:5e:00:00:05` is the MAC address of a group, which no VM has; give the "
	       "one of the VM's interface\n"
	       "8:32: `00:00:00:00:00:00` is no MAC address of anybody, which no VM has; give the "
	       "one of the VM's interface\n"
	       "9:32: `fa:16:3e:00:00:05:06` is no MAC address; write it like "
	       "`fa:16:3e:00:00:05`\n"
	       "10:33: `fa:16:3e:00:00:0g` is no MAC address; write it like "
	       "`fa:16:3e:00:00:05`\n"),
	BROKEN("a key in capitals, a long one, one that a terminal would obey",
	       NETWORK
	       "  - name: red\n"
	       "    NAME: {a: [1, {b: c}]}\n"
	       "    "
	       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1\n"
	       "    \"\\e[31m\\u202e\\0\": 1\n",
	       "4:5: unknown key `NAME`; did you mean `name`?\n"
	       "5:5: unknown key "
	       "`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	       "xxxxxxxxx...`; a tenant takes `name`, `router`, `pool`, `accept`, `mappings`\n"
	       "6:5: `\\x1b[31m\\u202e\\x00` has a NUL character in it; remove it\n"),
	BROKEN("a list as a key",
	       NETWORK
	       "  - name: red\n"
	       "    ? [a, b]\n"
	       "    : c\n",
	       "4:7: a key must be one word, not a list or keys and values\n"),
	BROKEN("duplicate key",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    name: blue\n"
	       "    pool: [100.65.1.0/24]\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.2.9}]\n",
	       "5:5: the key `name` is already given at line 3; remove one of them\n"
	       "6:5: the key `pool` is already given at line 4; remove one of them\n"),
	BROKEN("duplicate keys of the file",
	       "shared-network: {subnets: [100.64.0.0/16]}\n"
	       "tenants: []\n"
	       "tenants:\n"
	       "  - {}\n"
	       "shared-network: {}\n",
	       "3:1: the key `tenants` is already given at line 2; remove one of them\n"
	       "5:1: the key `shared-network` is already given at line 1; remove one of them\n"),
	BROKEN("tenant without name",
	       NETWORK
	       "  - pool: [100.64.1.0/24]\n"
	       "  - {}\n",
	       "3:5: the key `name` of a tenant is missing; add it like `name: red`\n"
	       "4:5: the key `name` of a tenant is missing; add it like `name: red`\n"),
	BROKEN("mapping without fixed",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - name: db\n"
	       "        shared: 100.64.1.9\n"
	       "      - {}\n",
	       "5:9: the key `fixed` of a mapping is missing; add it like `fixed: 10.0.0.5`\n"
	       "7:9: the key `fixed` of a mapping is missing; add it like `fixed: 10.0.0.5`\n"),
	BROKEN("shared network without subnets",
	       "shared-network: {}\n"
	       "tenants: []\n",
	       "1:17: the key `subnets` of the shared network is missing; add it like `subnets: "
	       "[100.64.0.0/16, \"fd64::/64\"]`\n"),
	BROKEN("rules that name nobody",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {name: db, fixed: 10.0.0.5}\n"
	       "    accept:\n"
	       "      - from: [blue, red]\n"
	       "        to: [db, web, 10.0.0.5, 10.0.0.6]\n"
	       "      - from: _blue\n"
	       "      - {to: db}\n"
	       "      - from: [green/web, green/db, blue/web, green/10.0.0.6, red/10.0.0.6, red/, a/b/c]\n"
	       "  - name: green\n"
	       "    mappings: [{name: web, fixed: 10.0.0.6}]\n",
	       "7:16: there is no tenant `blue` in this file; add it, with its pool or mappings if "
	       "its router is elsewhere, or correct the name\n"
	       "8:18: tenant `red` has no mapping `web`; use the name or the fixed address of one\n"
	       "8:33: tenant `red` has no mapping `10.0.0.6`; use the name or the fixed address of "
	       "one\n"
	       "9:15: `_blue` is not a tenant name; use that of a tenant, TENANT/MAPPING for one of "
	       "its mappings, or \"*\" for all\n"
	       "10:9: the key `from` of a rule is missing; add it like `from: [blue]`\n"
	       "11:27: tenant `green` has no mapping `db`; use the name or the fixed address of "
	       "one\n"
	       "11:37: there is no tenant `blue` in this file; add it, with its pool or mappings if "
	       "its router is elsewhere, or correct the name\n"
	       "11:63: tenant `red` has no mapping `10.0.0.6`; use the name or the fixed address of "
	       "one\n"
	       "11:77: `red/` is not a tenant name; use that of a tenant, TENANT/MAPPING for one of "
	       "its mappings, or \"*\" for all\n"
	       "11:83: `a/b/c` is not a tenant name; use that of a tenant, TENANT/MAPPING for one of "
	       "its mappings, or \"*\" for all\n"),
	BROKEN("rules that say something twice",
	       NETWORK
	       "  - name: red\n"
	       "    mappings: [{name: db, fixed: 10.0.0.5}]\n"
	       "    accept:\n"
	       "      - {from: [red, \"*\"]}\n"
	       "      - {from: [\"*\", red]}\n"
	       "      - {from: [red, red], to: [db, db], ports: [tcp/80, icmp, tcp/80, icmp]}\n"
	       "      - {from: red, port: tcp}\n",
	       "6:22: `*` is every tenant; remove the others, or `*`\n"
	       "7:22: `*` is every tenant; remove the others, or `*`\n"
	       "8:22: `red` is listed twice; remove one of them\n"
	       "8:37: `db` is listed twice; remove one of them\n"
	       "8:64: `tcp/80` is listed twice; remove one of them\n"
	       "8:72: `icmp` is listed twice; remove one of them\n"
	       "9:21: unknown key `port`; did you mean `ports`?\n"),
	BROKEN("ends of rules that are none",
	       NETWORK
	       "  - name: red\n"
	       "    accept:\n"
	       "      - {from: red, until: tomorrow}\n"
	       "      - {from: red, until: 2027-02-29}\n"
	       "      - {from: red, until: 2107-01-01}\n"
	       "      - {from: red, until: [2027-03-31]}\n"
	       "      - {from: red, until: }\n"
	       "      - {from: red, until: 2027-03-31, until: 2027-03-31}\n"
	       "      - {from: red, flows: 2000}\n",
	       "5:28: `tomorrow` is no date and no time: write a date, as in 2027-03-31, whose end in "
	       "UTC is meant, or a time with its zone, as in 2027-03-31T18:00:00Z or "
	       "2027-03-31T18:00:00+02:00\n"
	       "6:28: `2027-02-29` is no date and no time: write a date, as in 2027-03-31, whose end in "
	       "UTC is meant, or a time with its zone, as in 2027-03-31T18:00:00Z or "
	       "2027-03-31T18:00:00+02:00\n"
	       "7:28: `2107-01-01` is not in the years 2000 to 2105; leave `until` out for a rule "
	       "without an end\n"
	       "8:28: `until` must be one value, not a list; write it like `until: 2027-03-31`\n"
	       "9:28: `until` has no value; write it like `until: 2027-03-31`, or remove the key\n"
	       "10:40: the key `until` is already given at line 10; remove one of them\n"
	       "11:21: unknown key `flows`; a rule takes `from`, `to`, `ports`, `until`\n"),
	BROKEN("services that are none",
	       NETWORK
	       "  - name: red\n"
	       "    accept:\n"
	       "      - {from: red, ports: [tcp/0x50, udp/9-8]}\n"
	       "      - {from: red, ports: icmp/ping}\n"
	       "      - {from: red, ports: protocol/6}\n"
	       "      - {from: red, ports: http}\n"
	       "      - {from: red, ports: [5432/tcp, 8000-8099/udp, echo-request/icmp, 80/http]}\n"
	       "      - {from: red, ports: [tcp/0, udp/0-0, tcp/0-1023]}\n",
	       "5:29: `tcp/0x50` is no port or range of ports; write it like `tcp/5432` or "
	       "`tcp/8000-8099`\n"
	       "5:39: the range `udp/9-8` ends before it begins; exchange its ends\n"
	       "6:28: `icmp/ping` is no ICMP request; use its number, or one of echo-request, "
	       "timestamp-request, information-request, address-mask-request, "
	       "extended-echo-request, node-information-query\n"
	       "7:28: `protocol/6` has a name; write `tcp`\n"
	       "8:28: `http` is no service; use tcp, udp, sctp, dccp or udplite, as in "
	       "`tcp/5432`, `tcp/8000-8099` or `tcp`, icmp as in `icmp/echo-request` or `icmp`, "
	       "gre, esp, or `protocol/47`\n"
	       "9:29: `5432/tcp` is the wrong way round; write `tcp/5432`\n"
	       "9:39: `8000-8099/udp` is the wrong way round; write `udp/8000-8099`\n"
	       "9:54: `echo-request/icmp` is the wrong way round; write `icmp/echo-request`\n"
	       "9:73: `80/http` is no service; use tcp, udp, sctp, dccp or udplite, as in "
	       "`tcp/5432`, `tcp/8000-8099` or `tcp`, icmp as in `icmp/echo-request` or `icmp`, "
	       "gre, esp, or `protocol/47`\n"
	       "10:29: `tcp/0`: port 0 is reserved, nobody can listen there; use 1 to 65535, or "
	       "`tcp` for all ports\n"
	       "10:36: `udp/0-0`: port 0 is reserved, nobody can listen there; use 1 to 65535, or "
	       "`udp` for all ports\n"),
	BROKEN("limits",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.1, limit: {rate: 10}}\n"
	       "      - {fixed: 10.0.0.2, limit: {rate: 0mbit}}\n"
	       "      - {fixed: 10.0.0.3, limit: {rate: 1gbit, burst: 64kb}}\n"
	       "      - {fixed: 10.0.0.4, limit: {packets: -1}}\n"
	       "      - {fixed: 10.0.0.5, limit: {burst: 1mb}}\n"
	       "      - {fixed: 10.0.0.6, limit: {}}\n"
	       "      - {fixed: 10.0.0.7, limit: 1gbit}\n"
	       "      - {fixed: 10.0.0.8, limit: {burst: 1mb, packets: 7}}\n"
	       "      - {fixed: 10.0.0.9, limit: {burst: 128kb, rate: 20mbit}}\n"
	       "      - {fixed: 10.0.0.10, limit: {rate: 1mbit, burst: 131071b, packets: -1}}\n"
	       "      - {fixed: 10.0.0.11, limit: {rate: 1mbit, burst: 0b}}\n"
	       "      - {fixed: 10.0.0.12, limit: {rate: 1mbit, burst: 16385mb}}\n"
	       "      - {fixed: 10.0.0.13, limit: {rate: 1mbit, burst: 1}}\n"
	       "      - {fixed: 10.0.0.14, limit: {rate: 1, burst: 1b}}\n"
	       "      - {fixed: 10.0.0.15, limit: {rate: 2gbit, burst: 244140kb}}\n",
	       "5:41: `10` is no rate; write it like `100mbit`, in bit, kbit, mbit or gbit\n"
	       "6:41: the rate `0mbit` is not between 8kbit and 1000gbit; use another one\n"
	       "7:55: the burst is below 36622kb, without which TCP does not reach that rate; use "
	       "at least that, or leave `burst` out\n"
	       "8:44: `-1` is no number of packets a second; write it like `10000`, at least 1\n"
	       "9:27: the limit limits nothing; add `rate: 100mbit` or `packets: 10000`\n"
	       "10:27: the limit limits nothing; add `rate: 100mbit` or `packets: 10000`\n"
	       "11:34: `limit` must be keys and values, not one value; write it like `limit: "
	       "{rate: 100mbit, burst: 20mb}`\n"
	       "12:27: the limit has a `burst` and no `rate`; add `rate: 100mbit`\n"
	       "13:42: the burst is below 733kb, without which TCP does not reach that rate; use "
	       "at least that, or leave `burst` out\n"
	       "14:56: the burst is below 128kb, without which TCP does not reach that rate; use "
	       "at least that, or leave `burst` out\n"
	       "14:74: `-1` is no number of packets a second; write it like `10000`, at least 1\n"
	       "15:56: the burst is below 128kb, without which TCP does not reach that rate; use "
	       "at least that, or leave `burst` out\n"
	       "16:56: the burst is above 16384mb; use a smaller one\n"
	       "17:56: `1` is no size; write it like `20mb`, in b, kb or mb\n"
	       "18:42: `1` is no rate; write it like `100mbit`, in bit, kbit, mbit or gbit\n"
	       "19:56: the burst is below 244141kb, without which TCP does not reach that rate; use "
	       "at least that, or leave `burst` out\n"),
	BROKEN("another kind of forwarding",
	       NETWORK
	       "  - name: red\n"
	       "    router:\n"
	       "      netns: red\n"
	       "      forwarding: quick\n",
	       "6:19: `quick` is not one of `auto`, `fast` and `stack`\n"),
	BROKEN("a router's addresses",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: a, address: 100.64.0.2/16}\n"
	       "  - name: blue\n"
	       "    router: {netns: b, address: [100.64.0.3, 100.64.0.4]}\n"
	       "  - name: green\n"
	       "    router: {netns: c, address: 10.0.0.1}\n"
	       "  - name: grey\n"
	       "    router: {netns: d, address: 100.64.255.255}\n"
	       "  - name: pink\n"
	       "    router: {netns: e, address: []}\n"
	       "  - name: cyan\n"
	       "    router: {netns: f, address: {}}\n",
	       "4:33: `100.64.0.2/16` is a prefix, not an address; write `100.64.0.2`\n"
	       "6:46: the router has the IPv4 address `100.64.0.3` already; give one of each family\n"
	       "8:33: the router's address `10.0.0.1` is in no shared subnet; use one that is\n"
	       "10:33: `100.64.255.255` is the broadcast address of the shared subnet "
	       "`100.64.0.0/16`; use another one\n"
	       "12:33: `address` is an empty list; write it like `address: 100.64.0.2`, or remove "
	       "the key\n"
	       "14:33: `address` must be one value, not keys and values; write it like `address: "
	       "100.64.0.2`\n"),
	BROKEN("a router's address that is somebody's already",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: a, address: 100.64.0.2}\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.0.3}]\n"
	       "  - name: blue\n"
	       "    router: {netns: b, address: 100.64.0.2}\n"
	       "  - name: green\n"
	       "    router: {netns: c, address: 100.64.0.3}\n",
	       "7:33: the router's address `100.64.0.2` is already used at line 4 by the router of "
	       "tenant `red`; use another one, or remove `address` to be given one\n"
	       "9:33: the router's address `100.64.0.3` is already used at line 5 by tenant `red`; "
	       "use another one, or remove `address` to be given one\n"),
	BROKEN("routes",
	       "shared-network: {subnets: [100.64.0.0/16, 100.65.0.0/16, \"fd64::/64\"]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    router:\n"
	       "      routes:\n"
	       "        - {to: 0.0.0.0/0}\n"
	       "        - {to: 10.0.0.0/8, via: 100.64.0.1}\n"
	       "        - {to: 100.65.0.0/16, via: 10.0.0.1}\n"
	       "        - {to: 100.64.9.0/24, via: \"fd64::1\"}\n"
	       "        - {to: 100.65.0.0/17, via: 100.65.0.1}\n"
	       "        - {to: 100.65.9.0/24, via: 100.64.0.1}\n"
	       "        - {to: 100.65.9.0/24, via: 100.64.0.2}\n",
	       "6:11: the key `via` of a route is missing; add it like `via: 100.64.0.1`\n"
	       "6:16: `0.0.0.0/0` has reserved addresses (0.0.0.0/8) in it; use another prefix\n"
	       "7:16: `10.0.0.0/8` is not inside a shared subnet; only what is needs a route here\n"
	       "8:36: the gateway `10.0.0.1` is in no shared subnet; use one that is\n"
	       "9:36: the gateway `fd64::1` is IPv6, but `100.64.9.0/24` is IPv4; use one family\n"
	       "10:36: the gateway `100.65.0.1` is itself in `100.65.0.0/17`; use the one on this side "
	       "of it\n"
	       "12:16: `100.65.9.0/24` has a route already at line 11; remove one of them\n"),
	BROKEN("inside routes",
	       "shared-network: {subnets: [100.64.0.0/16, \"fd64::/64\"]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    router:\n"
	       "      inside-routes:\n"
	       "        - {to: 10.0.0.0/24}\n"
	       "        - {to: 100.64.9.0/24, via: 10.0.0.1}\n"
	       "        - {to: 100.0.0.0/8, via: 10.0.0.1}\n"
	       "        - {to: 10.0.1.0/24, via: \"fd00::1\"}\n"
	       "        - {to: 10.0.2.0/24, via: 10.0.2.1}\n"
	       "        - {to: 10.0.3.0/24, via: 100.64.0.1}\n"
	       "        - {to: \"fd10::/64\", via: \"fe80::1\"}\n"
	       "        - {to: 10.0.4.0/24, via: 192.0.2.1}\n"
	       "        - {to: 10.0.4.0/24, via: 192.0.2.2}\n"
	       "        - {to: 0.0.0.0/0, via: 192.0.2.1}\n",
	       "6:11: the key `via` of an inside route is missing; add it like `via: 192.0.2.1`\n"
	       "7:16: `100.64.9.0/24` overlaps the shared subnet `100.64.0.0/16`, and inside routes "
	       "lead to VMs; use `routes` for what is on the shared network\n"
	       "8:16: `100.0.0.0/8` overlaps the shared subnet `100.64.0.0/16`, and inside routes "
	       "lead to VMs; use `routes` for what is on the shared network\n"
	       "9:34: the gateway `fd00::1` is IPv6, but `10.0.1.0/24` is IPv4; use one family\n"
	       "10:34: the gateway `10.0.2.1` is itself in `10.0.2.0/24`; use the one on this side "
	       "of it\n"
	       "11:34: the gateway `100.64.0.1` is in the shared subnet `100.64.0.0/16`; use one in "
	       "the subnet of an inside interface\n"
	       "12:34: `fe80::1` is a link-local address; use one that a VM can have\n"
	       "14:16: `10.0.4.0/24` has a route already at line 13; remove one of them\n"
	       "15:16: `0.0.0.0/0` has reserved addresses (0.0.0.0/8) in it; use another prefix\n"),
	BROKEN("anchor and alias",
	       NETWORK
	       "  - &red\n"
	       "    name: red\n"
	       "    router: &r {netns: red}\n"
	       "  - name: blue\n"
	       "    router: *r\n"
	       "  - *red\n",
	       "3:5: the anchor `&red` is not supported; write the value out\n"
	       "5:13: the anchor `&r` is not supported; write the value out\n"
	       "7:13: the alias `*r` is not supported; write the value out\n"
	       "8:5: the alias `*red` is not supported; write the value out\n"),
	BROKEN("merge key",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: red}\n"
	       "  - name: blue\n"
	       "    <<: {router: {netns: blue}}\n",
	       "6:5: the merge key `<<` is not supported; write the keys out\n"),
	BROKEN("alias as a key",
	       NETWORK
	       "  - name: red\n"
	       "    *a : b\n",
	       "4:5: the alias `*a` is not supported; write the value out\n"),
	BROKEN("tags",
	       NETWORK
	       "  - name: !!str red\n"
	       "    pool: !prefixes [100.64.1.0/24]\n"
	       "    router: ! {}\n",
	       "3:11: the tag `!!str` is not supported; remove it\n"
	       "4:11: the tag `!prefixes` is not supported; remove it\n"
	       "5:13: the tag `!` is not supported; remove it\n"),
	BROKEN("list, text, mapping in the wrong places",
	       "shared-network: [100.64.0.0/16]\n"
	       "tenants: {name: red}\n",
	       "1:17: `shared-network` must be keys and values, not a list; write it like "
	       "`shared-network: {subnets: [100.64.0.0/16]}`\n"
	       "2:10: `tenants` must be a list, not keys and values; write it like `tenants: "
	       "[{name: red}]`\n"),
	BROKEN("text where more is needed",
	       "shared-network: 100.64.0.0/16\n"
	       "tenants: red\n",
	       "1:17: `shared-network` must be keys and values, not one value; write it like "
	       "`shared-network: {subnets: [100.64.0.0/16]}`\n"
	       "2:10: `tenants` must be a list, not one value; write it like `tenants: [{name: "
	       "red}]`\n"),
	BROKEN("subnets is one value",
	       "shared-network: {subnets: 100.64.0.0/16}\n"
	       "tenants: []\n",
	       "1:27: `subnets` must be a list, not one value; write it like `subnets: "
	       "[100.64.0.0/16, \"fd64::/64\"]`\n"),
	BROKEN("no subnets",
	       "shared-network: {subnets: []}\n"
	       "tenants: []\n",
	       "1:27: `subnets` is an empty list; write it like `subnets: [100.64.0.0/16, "
	       "\"fd64::/64\"]`\n"),
	BROKEN("lists in a list",
	       "shared-network: {subnets: [[100.64.0.0/16], {a: b}]}\n"
	       "tenants: [red, [blue]]\n",
	       "1:28: an item of `subnets` must be one value, not a list; write it like "
	       "`subnets: [100.64.0.0/16, \"fd64::/64\"]`\n"
	       "1:45: an item of `subnets` must be one value, not keys and values; write it like "
	       "`subnets: [100.64.0.0/16, \"fd64::/64\"]`\n"
	       "2:11: an item of `tenants` must be keys and values, not one value; write it like "
	       "`tenants: [{name: red}]`\n"
	       "2:16: an item of `tenants` must be keys and values, not a list; write it like "
	       "`tenants: [{name: red}]`\n"),
	BROKEN("types of a tenant",
	       NETWORK
	       "  - name: [red]\n"
	       "    router: red\n"
	       "    pool: 100.64.1.0/24\n"
	       "    mappings: 10.0.0.5\n",
	       "3:11: `name` must be one value, not a list; write it like `name: red`\n"
	       "4:13: `router` must be keys and values, not one value; write it like `router: "
	       "{netns: red}`\n"
	       "5:11: `pool` must be a list, not one value; write it like `pool: "
	       "[100.64.1.0/24]`\n"
	       "6:15: `mappings` must be a list, not one value; write it like `mappings: "
	       "[{fixed: 10.0.0.5}]`\n"),
	BROKEN("types of a router",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: [red], shared: {a: b}, inside: lan0, hook: []}\n"
	       "  - name: blue\n"
	       "    router: [blue]\n",
	       "4:21: `netns` must be one value, not a list; write it like `netns: red`\n"
	       "4:36: `shared` must be one value, not keys and values; write it like `shared: "
	       "shared0`\n"
	       "4:52: `inside` must be a list, not one value; write it like `inside: [lan0]`\n"
	       "4:64: `hook` must be one value, not a list; write it like `hook: tc`\n"
	       "6:13: `router` must be keys and values, not a list; write it like `router: "
	       "{netns: red}`\n"),
	BROKEN("types of a mapping",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - 10.0.0.5\n"
	       "      - [10.0.0.6]\n"
	       "      - {name: {}, fixed: [10.0.0.7], shared: []}\n",
	       "5:9: an item of `mappings` must be keys and values, not one value; write it like "
	       "`mappings: [{fixed: 10.0.0.5}]`\n"
	       "6:9: an item of `mappings` must be keys and values, not a list; write it like "
	       "`mappings: [{fixed: 10.0.0.5}]`\n"
	       "7:16: `name` must be one value, not keys and values; write it like `name: db`\n"
	       "7:27: `fixed` must be one value, not a list; write it like `fixed: 10.0.0.5`\n"
	       "7:47: `shared` must be one value, not a list; write it like `shared: "
	       "100.64.1.9`\n"),
	BROKEN("empty values",
	       "shared-network:\n"
	       "tenants:\n",
	       "1:16: `shared-network` has no value; write it like `shared-network: {subnets: "
	       "[100.64.0.0/16]}`\n"
	       "2:9: `tenants` has no value; write it like `tenants: [{name: red}]`\n"),
	BROKEN("empty values of a tenant",
	       NETWORK
	       "  - name:\n"
	       "    pool:\n"
	       "    mappings:\n"
	       "  -\n"
	       "  - name: ''\n"
	       "    pool: []\n"
	       "    router: {netns: , shared: \"\", inside: , hook: }\n",
	       "3:10: `name` has no value; write it like `name: red`\n"
	       "4:10: `pool` has no value; write it like `pool: [100.64.1.0/24]`, or remove the "
	       "key\n"
	       "5:14: `mappings` has no value; write it like `mappings: [{fixed: 10.0.0.5}]`, or "
	       "remove the key\n"
	       "6:4: an item of `tenants` has no value; write it like `tenants: [{name: red}]`\n"
	       "7:11: `name` has no value; write it like `name: red`\n"
	       "8:11: `pool` is an empty list; write it like `pool: [100.64.1.0/24]`, or remove "
	       "the key\n"
	       "9:21: `netns` has no value; write it like `netns: red`, or remove the key\n"
	       "9:31: `shared` has no value; write it like `shared: shared0`, or remove the key\n"
	       "9:43: `inside` has no value; write it like `inside: [lan0]`, or remove the key\n"
	       "9:51: `hook` has no value; write it like `hook: tc`, or remove the key\n"),
	BROKEN("empty values of lists",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [\"\"]\n"
	       "    router: {inside: []}\n"
	       "    mappings:\n"
	       "      -\n"
	       "      - fixed:\n"
	       "        shared:\n"
	       "        name:\n",
	       "4:12: an item of `pool` has no value; write it like `pool: [100.64.1.0/24]`\n"
	       "5:22: `inside` is an empty list; write it like `inside: [lan0]`, or remove the "
	       "key\n"
	       "7:8: an item of `mappings` has no value; write it like `mappings: [{fixed: "
	       "10.0.0.5}]`\n"
	       "8:15: `fixed` has no value; write it like `fixed: 10.0.0.5`\n"
	       "9:16: `shared` has no value; write it like `shared: 100.64.1.9`, or remove the "
	       "key\n"
	       "10:14: `name` has no value; write it like `name: db`, or remove the key\n"),
	BROKEN("NUL in quotes",
	       NETWORK
	       "  - name: \"red\\0\"\n",
	       "3:11: `red\\x00` has a NUL character in it; remove it\n"),
	BROKEN("bad tenant names",
	       NETWORK
	       "  - name: red/web\n"
	       "  - name: -red\n"
	       "  - name: 10.0.0.9\n"
	       "  - name: a b\n"
	       "  - name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	       "3:11: `red/web` is not a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "4:11: `-red` is not a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "5:11: the name `10.0.0.9` is an address; use a name that cannot be taken for one\n"
	       "6:11: `a b` is not a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "7:11: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is not "
	       "a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and begin with a letter or digit\n"),
	BROKEN("duplicate tenant names",
	       NETWORK
	       "  - name: red\n"
	       "  - name: blue\n"
	       "  - name: red\n"
	       "  - name: red\n",
	       "5:11: the tenant `red` is already at line 3; use another name, or merge them\n"
	       "6:11: the tenant `red` is already at line 3; use another name, or merge them\n"),
	BROKEN("bad mapping names",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.1, name: db/1}\n"
	       "      - {fixed: 10.0.0.2, name: .db}\n"
	       "      - {fixed: 10.0.0.3, name: 10.0.0.9}\n"
	       "      - {fixed: 10.0.0.4, name: "
	       "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd}\n"
	       "      - {fixed: 10.0.0.5, name: \"two\\nlines\"}\n",
	       "5:33: `db/1` is not a mapping name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "6:33: `.db` is not a mapping name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "7:33: the name `10.0.0.9` is an address; use a name that cannot be taken for "
	       "one\n"
	       "8:33: `dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd` is not "
	       "a mapping name; use up to 63 of A-Z a-z 0-9 . _ - and begin with a letter or "
	       "digit\n"
	       "9:33: `two\\x0alines` is not a mapping name; use up to 63 of A-Z a-z 0-9 . _ - "
	       "and begin with a letter or digit\n"),
	BROKEN("duplicate mapping names",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {name: db, fixed: 10.0.0.5}\n"
	       "      - {name: db, fixed: \"fd00::5\"}\n"
	       "      - {name: db, fixed: 10.0.0.6}\n"
	       "      - {name: db, fixed: \"fd00::6\"}\n"
	       "  - name: blue\n"
	       "    mappings:\n"
	       "      - {name: db, fixed: 10.0.0.5}\n",
	       "7:16: tenant `red` already has an IPv4 mapping named `db` at line 5; use another "
	       "name\n"
	       "8:16: tenant `red` already has an IPv6 mapping named `db` at line 6; use another "
	       "name\n"),
	BROKEN("bad namespaces",
	       NETWORK
	       "  - {name: a, router: {netns: run/red}}\n"
	       "  - {name: b, router: {netns: ..}}\n"
	       "  - {name: c, router: {netns: \"a\\tb\"}}\n"
	       "  - {name: d, router: {netns: "
	       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	       "nnnnnnnnnnnnn}}\n",
	       "3:31: `run/red` is not a namespace; use its name under /run/netns, or an "
	       "absolute path\n"
	       "4:31: `..` is not a namespace; use its name under /run/netns, or an absolute "
	       "path\n"
	       "5:31: `a\\x09b` is not a namespace; use its name under /run/netns, or an "
	       "absolute path\n"
	       "6:31: "
	       "`nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	       "nnnnnnnnn...` is not a namespace; use its name under /run/netns, or an absolute "
	       "path\n"),
	BROKEN("bad interface names",
	       NETWORK
	       "  - name: red\n"
	       "    router:\n"
	       "      shared: shared-interface\n"
	       "      inside: [lan/0, \"lan 0\", \"lan0:1\", ., \"lan\\n0\"]\n",
	       "5:15: `shared-interface` is not an interface name; use up to 15 characters "
	       "without `/`, `:` and spaces\n"
	       "6:16: `lan/0` is not an interface name; use up to 15 characters without `/`, `:` "
	       "and spaces\n"
	       "6:23: `lan 0` is not an interface name; use up to 15 characters without `/`, `:` "
	       "and spaces\n"
	       "6:32: `lan0:1` is not an interface name; use up to 15 characters without `/`, "
	       "`:` and spaces\n"
	       "6:42: `.` is not an interface name; use up to 15 characters without `/`, `:` and "
	       "spaces\n"
	       "6:45: `lan\\x0a0` is not an interface name; use up to 15 characters without `/`, "
	       "`:` and spaces\n"),
	BROKEN("inside interfaces",
	       NETWORK
	       "  - name: red\n"
	       "    router:\n"
	       "      inside: [lan0, shared0, lan1, lan0]\n"
	       "      shared: shared0\n",
	       "5:22: `shared0` is the router's shared interface; remove it from `inside`\n"
	       "5:37: `lan0` is already listed at line 5; remove one of them\n"),
	BROKEN("bad patterns of interfaces",
	       NETWORK
	       "  - name: red\n"
	       "    router:\n"
	       "      inside:\n"
	       "        - qr-[0-9\n"
	       "        - \"[]\"\n"
	       "        - \"a[!]\"\n"
	       "        - qr/*\n"
	       "        - \"qr *\"\n"
	       "        - \"qr\\n*\"\n"
	       "        - qr-*\n"
	       "        - qr-*\n"
	       "        - \"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n",
	       "6:11: the pattern `qr-[0-9` has a `[` without `]`; close it\n"
	       "7:11: the pattern `[]` has a `[` without `]`; close it\n"
	       "8:11: the pattern `a[!]` has a `[` without `]`; close it\n"
	       "9:11: `qr/*` is not a pattern of interface names; use up to 63 characters without "
	       "`/` and spaces\n"
	       "10:11: `qr *` is not a pattern of interface names; use up to 63 characters without "
	       "`/` and spaces\n"
	       "11:11: `qr\\x0a*` is not a pattern of interface names; use up to 63 characters "
	       "without `/` and spaces\n"
	       "13:11: `qr-*` is already listed at line 12; remove one of them\n"
	       "14:11: `*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is not a "
	       "pattern of interface names; use up to 63 characters without `/` and spaces\n"),
	BROKEN("bad sources",
	       NETWORK
	       "  - name: red\n"
	       "    router: {sources: off}\n",
	       "4:23: `off` is not one of `strict`, `feasible` and `loose`\n"),
	BROKEN("bad numbers of flows",
	       NETWORK
	       "  - {name: a, router: {netns: a, flows: 1023}}\n"
	       "  - {name: b, router: {netns: b, flows: 4194305}}\n"
	       "  - {name: c, router: {netns: c, flows: 64k}}\n"
	       "  - {name: d, router: {netns: d, flows: -5000}}\n",
	       "3:41: `1023` is no number of flows; write one from 1024 to 4194304\n"
	       "4:41: `4194305` is no number of flows; write one from 1024 to 4194304\n"
	       "5:41: `64k` is no number of flows; write one from 1024 to 4194304\n"
	       "6:41: `-5000` is no number of flows; write one from 1024 to 4194304\n"),
	BROKEN("bad hook",
	       NETWORK
	       "  - name: red\n"
	       "    router: {hook: tcx}\n",
	       "4:20: `tcx` is not a hook; use one of `auto`, `tc`, `xdp`, `xdp-generic`\n"),
	BROKEN("two routers at one interface",
	       NETWORK
	       "  - {name: red, router: {netns: r, shared: s0}}\n"
	       "  - {name: blue, router: {netns: /run/netns/r, shared: s0}}\n"
	       "  - {name: green, router: {netns: r, shared: s1}}\n",
	       "4:18: the router of tenant `red` at line 3 has the same namespace and shared "
	       "interface; use others\n"),
	BROKEN("two routers in our own namespace",
	       NETWORK
	       "  - {name: red, router: {shared: s0}}\n"
	       "  - {name: blue, router: }\n",
	       "4:18: the router of tenant `red` at line 3 is in the same namespace; give both a "
	       "`shared` interface of their own\n"),
	BROKEN("a router that finds another's interface",
	       NETWORK
	       "  - {name: red, router: {netns: /var/run/netns/r}}\n"
	       "  - {name: blue, router: {netns: r, shared: s0}}\n",
	       "4:18: the router of tenant `red` at line 3 is in the same namespace; give both a "
	       "`shared` interface of their own\n"),
	BROKEN("hosts",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: a, host: hv1, hosts: [hv2]}\n"
	       "  - name: blue\n"
	       "    router: {netns: b, hosts: [hv1, hv_2, hv1, .hv, 'a b']}\n"
	       "  - name: green\n"
	       "    router: {netns: c, host: [hv1]}\n"
	       "  - name: grey\n"
	       "    router: {netns: d, hosts: hv1}\n"
	       "  - name: pink\n"
	       "    router: {netns: e, host: "
	       "a234567890123456789012345678901234567890123456789012345678901234}\n",
	       "4:5: a router takes `host` or `hosts`, not both; remove one of them\n"
	       "6:37: `hv_2` is not a host name; use letters, digits, `.` and `-`, beginning with a "
	       "letter or digit, 63 at most\n"
	       "6:43: `hv1` is listed twice; remove one of them\n"
	       "6:48: `.hv` is not a host name; use letters, digits, `.` and `-`, beginning with a "
	       "letter or digit, 63 at most\n"
	       "6:53: `a b` is not a host name; use letters, digits, `.` and `-`, beginning with a "
	       "letter or digit, 63 at most\n"
	       "8:30: `host` must be one value, not a list; write it like `host: hv1`\n"
	       "10:31: `hosts` must be a list, not one value; write it like `hosts: [hv1, hv2]`\n"
	       "12:30: `a234567890123456789012345678901234567890123456789012345678901234` is not a "
	       "host name; use letters, digits, `.` and `-`, beginning with a letter or digit, 63 "
	       "at most\n"),
	BROKEN("when a router is active",
	       NETWORK
	       "  - name: red\n"
	       "    router: {netns: a, active: elected}\n"
	       "  - name: blue\n"
	       "    router: {netns: b, active: never}\n"
	       "  - name: green\n"
	       "    router: {active: elected, netns: c, host: hv1, address: 100.64.0.2}\n"
	       "  - name: grey\n"
	       "    router: {active: elected, netns: d, hosts: [hv1, hv2]}\n",
	       "4:32: `elected` needs `hosts`, two or more, and the `address` that the elected one "
	       "gets; give both\n"
	       "6:32: `never` is not one of `always`, `address` and `elected`\n"
	       "8:22: `elected` needs `hosts`, two or more, and the `address` that the elected one "
	       "gets; give both\n"
	       "10:22: `elected` needs `hosts`, two or more, and the `address` that the elected one "
	       "gets; give both\n"),
	BROKEN("times of grace that are none",
	       NETWORK
	       "  - {name: a, router: {netns: a, active: address, takeover-grace: 61s}}\n"
	       "  - {name: b, router: {netns: b, active: address, takeover-grace: 5}}\n"
	       "  - {name: c, router: {netns: c, active: address, takeover-grace: -1s}}\n"
	       "  - {name: d, router: {netns: d, active: address, takeover-grace: 1m}}\n"
	       "  - {name: e, router: {netns: e, takeover-grace: 5s}}\n",
	       "3:67: `61s` is not a time from `0s` to `60s`; write `5s`\n"
	       "4:67: `5` is not a time from `0s` to `60s`; write `5s`\n"
	       "5:67: `-1s` is not a time from `0s` to `60s`; write `5s`\n"
	       "6:67: `1m` is not a time from `0s` to `60s`; write `5s`\n"
	       "7:50: a router that is always active takes nothing over; give it several `hosts` "
	       "or `active: address`, or remove `takeover-grace`\n"),
	BROKEN("two routers at one interface of a host",
	       NETWORK
	       "  - {name: a, router: {netns: r, shared: s0, hosts: [hv1, hv2]}}\n"
	       "  - {name: b, router: {netns: r, shared: s0, hosts: [hv3, hv2]}}\n"
	       "  - {name: c, router: {netns: r, shared: s0}}\n"
	       "  - {name: d, router: {netns: r, shared: s1, host: hv1}}\n"
	       "  - {name: e, router: {netns: r, host: hv3}}\n"
	       "  - {name: f, router: {netns: q, host: hv3}}\n"
	       "  - {name: g, router: {netns: q, host: hv1}}\n",
	       "4:15: the router of tenant `a` at line 3 has the same namespace and shared "
	       "interface; use others\n"
	       "5:15: the router of tenant `a` at line 3 has the same namespace and shared "
	       "interface; use others\n"
	       "7:15: the router of tenant `c` at line 5 is in the same namespace; give both a "
	       "`shared` interface of their own\n"),
	BROKEN("not an address",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.300\n"
	       "      - fixed: db.example\n"
	       "      - fixed: 010.0.0.5\n"
	       "      - fixed: fd00:10::5%eth0\n"
	       "      - {fixed: 10.0.0.5, shared: auto}\n"
	       "      - {fixed: 10.0.0.6, shared: null}\n",
	       "5:16: `10.0.0.300` is not an IPv4 or IPv6 address; correct it\n"
	       "6:16: `db.example` is not an IPv4 or IPv6 address; correct it\n"
	       "7:16: `010.0.0.5` is not an IPv4 or IPv6 address; correct it\n"
	       "8:16: `fd00:10::5%eth0` is not an IPv4 or IPv6 address; correct it\n"
	       "9:35: `auto` is not an IPv4 or IPv6 address; correct it\n"
	       "10:35: `null` is not an IPv4 or IPv6 address; correct it\n"),
	BROKEN("IPv4 written as IPv6",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [\"::ffff:100.64.1.0/120\"]\n"
	       "    mappings:\n"
	       "      - fixed: ::ffff:10.0.0.5\n",
	       "4:12: `::ffff:100.64.1.0/120` is IPv4 written as IPv6; write it like "
	       "`100.64.0.0/16`\n"
	       "6:16: `::ffff:10.0.0.5` is an IPv4 address written as IPv6; write `10.0.0.5`\n"),
	BROKEN("special addresses",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 0.0.0.0\n"
	       "      - fixed: 127.0.0.1\n"
	       "      - fixed: 169.254.169.254\n"
	       "      - fixed: 224.0.0.1\n"
	       "      - fixed: 255.255.255.255\n"
	       "      - fixed: \"::\"\n"
	       "      - fixed: ::1\n"
	       "      - fixed: fe80::1\n"
	       "      - fixed: ff02::1\n"
	       "      - {fixed: 10.0.0.5, shared: 127.0.0.2}\n",
	       "5:16: `0.0.0.0` is a reserved address; use one that a VM can have\n"
	       "6:16: `127.0.0.1` is a loopback address; use one that a VM can have\n"
	       "7:16: `169.254.169.254` is a link-local address; use one that a VM can have\n"
	       "8:16: `224.0.0.1` is a multicast address; use one that a VM can have\n"
	       "9:16: `255.255.255.255` is a reserved address; use one that a VM can have\n"
	       "10:16: `::` is a reserved address; use one that a VM can have\n"
	       "11:16: `::1` is a loopback address; use one that a VM can have\n"
	       "12:16: `fe80::1` is a link-local address; use one that a VM can have\n"
	       "13:16: `ff02::1` is a multicast address; use one that a VM can have\n"
	       "14:35: `127.0.0.2` is a loopback address; use one that a VM can have\n"),
	BROKEN("bad subnets",
	       "shared-network:\n"
	       "  subnets: [100.64.0.0/33, 100.64.1.1/16, fd64::1/64, 100.64.0.0/, 100.64.0/16, "
	       "net, 100.64.0.0/-1, \"::ffff:0.0.0.0/96\"]\n"
	       "tenants: []\n",
	       "2:13: `100.64.0.0/33` is not a prefix; write it like `100.64.0.0/16`\n"
	       "2:28: `100.64.1.1/16` has bits set behind its length; write `100.64.0.0/16`\n"
	       "2:43: `fd64::1/64` has bits set behind its length; write `fd64::/64`\n"
	       "2:55: `100.64.0.0/` is not a prefix; write it like `100.64.0.0/16`\n"
	       "2:68: `100.64.0/16` is not a prefix; write it like `100.64.0.0/16`\n"
	       "2:81: `net` is not a prefix; write it like `100.64.0.0/16`\n"
	       "2:86: `100.64.0.0/-1` is not a prefix; write it like `100.64.0.0/16`\n"
	       "2:101: `::ffff:0.0.0.0/96` is IPv4 written as IPv6; write it like "
	       "`100.64.0.0/16`\n"),
	BROKEN("special subnets",
	       "shared-network:\n"
	       "  subnets: [0.0.0.0/0, 127.0.0.0/16, 160.0.0.0/4, 224.1.0.0/16, \"::/0\", "
	       "fe80::/64, fc00::/6]\n"
	       "tenants: []\n",
	       "2:13: `0.0.0.0/0` has reserved addresses (0.0.0.0/8) in it; use another prefix\n"
	       "2:24: `127.0.0.0/16` has loopback addresses (127.0.0.0/8) in it; use another "
	       "prefix\n"
	       "2:38: `160.0.0.0/4` has link-local addresses (169.254.0.0/16) in it; use another "
	       "prefix\n"
	       "2:51: `224.1.0.0/16` has multicast addresses (224.0.0.0/4) in it; use another "
	       "prefix\n"
	       "2:65: `::/0` has loopback addresses (::1/128) in it; use another prefix\n"
	       "2:73: `fe80::/64` has link-local addresses (fe80::/10) in it; use another "
	       "prefix\n"
	       "2:84: `fc00::/6` has link-local addresses (fe80::/10) in it; use another prefix\n"),
	BROKEN("small subnets",
	       "shared-network:\n"
	       "  subnets: [100.64.0.1/32, 100.64.0.2, \"fd64::1/128\", 100.64.1.0/31]\n"
	       "tenants: []\n",
	       "2:13: the shared subnet `100.64.0.1/32` has one address only; make it larger\n"
	       "2:28: the shared subnet `100.64.0.2/32` has one address only; make it larger\n"
	       "2:40: the shared subnet `fd64::1/128` has one address only; make it larger\n"),
	BROKEN("too many subnets",
	       "shared-network:\n"
	       "  subnets:\n"
	       "    - 100.64.0.0/24\n"
	       "    - 100.64.1.0/24\n"
	       "    - 100.64.2.0/24\n"
	       "    - 100.64.3.0/24\n"
	       "    - 100.64.4.0/24\n"
	       "    - 100.64.5.0/24\n"
	       "    - 100.64.6.0/24\n"
	       "    - 100.64.7.0/24\n"
	       "    - 100.64.8.0/24\n"
	       "    - 100.64.9.0/24\n"
	       "    - 100.64.10.0/24\n"
	       "    - 100.64.11.0/24\n"
	       "    - 100.64.12.0/24\n"
	       "    - 100.64.13.0/24\n"
	       "    - 100.64.14.0/24\n"
	       "    - 100.64.15.0/24\n"
	       "    - 100.64.16.0/24\n"
	       "    - 100.64.17.0/24\n"
	       "tenants: []\n",
	       "19:7: more than 16 shared subnets; remove this one, or merge some\n"
	       "20:7: more than 16 shared subnets; remove this one, or merge some\n"),
	BROKEN("overlapping subnets",
	       "shared-network:\n"
	       "  subnets:\n"
	       "    - 100.64.1.0/24\n"
	       "    - fd64::/64\n"
	       "    - 100.64.0.0/16\n"
	       "    - fd64::/64\n"
	       "    - 100.65.0.0/16\n"
	       "tenants: []\n",
	       "5:7: the shared subnet `100.64.0.0/16` overlaps `100.64.1.0/24` at line 3; "
	       "remove one of them\n"
	       "6:7: the shared subnet `fd64::/64` overlaps `fd64::/64` at line 4; remove one of "
	       "them\n"),
	BROKEN("fixed in a shared subnet",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 100.64.1.9\n"
	       "      - {fixed: \"fd64::9\", shared: \"fd64::a\"}\n",
	       "5:16: the fixed address `100.64.1.9` is in the shared subnet `100.64.0.0/16`; "
	       "use the VM's private address\n"
	       "6:17: the fixed address `fd64::9` is in the shared subnet `fd64::/64`; use the "
	       "VM's private address\n"),
	BROKEN("duplicate fixed",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.5\n"
	       "      - fixed: fd00::5\n"
	       "      - fixed: 10.0.0.5\n"
	       "      - fixed: fd00:0:0::5\n"
	       "      - fixed: 10.0.0.5\n"
	       "  - name: blue\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.5\n",
	       "7:16: the fixed address `10.0.0.5` is already mapped at line 5; remove one of "
	       "them\n"
	       "8:16: the fixed address `fd00::5` is already mapped at line 6; remove one of "
	       "them\n"
	       "9:16: the fixed address `10.0.0.5` is already mapped at line 5; remove one of "
	       "them\n"),
	BROKEN("duplicate shared",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.1.9}\n"
	       "      - {fixed: 10.0.0.6, shared: 100.64.1.9}\n"
	       "  - name: blue\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.5\n"
	       "        shared: 100.64.1.9\n"
	       "  - mappings:\n"
	       "      - {fixed: \"fd00::5\", shared: \"fd64::9\"}\n"
	       "      - {fixed: \"fd00::6\", shared: \"fd64:0::9\"}\n",
	       "6:35: the shared address `100.64.1.9` is already used at line 5 by tenant `red`; "
	       "use another one, or remove `shared` to be given one\n"
	       "10:17: the shared address `100.64.1.9` is already used at line 5 by tenant "
	       "`red`; use another one, or remove `shared` to be given one\n"
	       "11:5: the key `name` of a tenant is missing; add it like `name: red`\n"
	       "13:36: the shared address `fd64::9` is already used at line 12 by a tenant "
	       "without a name; use another one, or remove `shared` to be given one\n"),
	BROKEN("two families in a mapping",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: \"fd64::9\"}\n"
	       "      - {fixed: \"fd00::5\", shared: 100.64.1.9}\n",
	       "5:35: `fd64::9` is an IPv6 address, but the fixed address `10.0.0.5` is IPv4; "
	       "use one family\n"
	       "6:36: `100.64.1.9` is an IPv4 address, but the fixed address `fd00::5` is IPv6; "
	       "use one family\n"),
	BROKEN("shared in no subnet",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.65.0.9}\n"
	       "      - {fixed: \"fd00::5\", shared: \"fd65::9\"}\n",
	       "5:35: the shared address `100.65.0.9` is in no shared subnet; use one that is\n"
	       "6:36: the shared address `fd65::9` is in no shared subnet; use one that is\n"),
	BROKEN("network and broadcast addresses",
	       NETWORK
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.0.0}\n"
	       "      - {fixed: 10.0.0.6, shared: 100.64.255.255}\n"
	       "      - {fixed: \"fd00::5\", shared: \"fd64::\"}\n",
	       "5:35: `100.64.0.0` is the network address of the shared subnet `100.64.0.0/16`; "
	       "use another one\n"
	       "6:35: `100.64.255.255` is the broadcast address of the shared subnet "
	       "`100.64.0.0/16`; use another one\n"
	       "7:36: `fd64::` is the subnet-router anycast address of the shared subnet "
	       "`fd64::/64`; use another one\n"),
	BROKEN("shared outside the pool",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.3.0/24, 100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.2.9}\n"
	       "      - {fixed: \"fd00::5\", shared: \"fd64::9\"}\n"
	       "      - {fixed: 10.0.0.6, shared: 100.64.0.1}\n"
	       "      - {fixed: 10.0.0.7, shared: 100.64.3.255}\n",
	       "6:35: the shared address `100.64.2.9` is outside the pool of tenant `red`; use "
	       "one of the pool, or extend it\n"
	       "7:36: the shared address `fd64::9` is outside the pool of tenant `red`; use one "
	       "of the pool, or extend it\n"
	       "8:35: the shared address `100.64.0.1` is outside the pool of tenant `red`; use "
	       "one of the pool, or extend it\n"),
	BROKEN("bad pools",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.5/24, 100.65.0.0/24, 100.0.0.0/8, \"fd64::/48\", "
	       "10.0.0.300]\n",
	       "4:12: `100.64.1.5/24` has bits set behind its length; write `100.64.1.0/24`\n"
	       "4:27: the pool `100.65.0.0/24` is not inside a shared subnet; use a part of one\n"
	       "4:42: the pool `100.0.0.0/8` is not inside a shared subnet; use a part of one\n"
	       "4:42: the pool `100.0.0.0/8` overlaps `100.65.0.0/24` at line 4; remove one of "
	       "them\n"
	       "4:55: the pool `fd64::/48` is not inside a shared subnet; use a part of one\n"
	       "4:68: `10.0.0.300` is not a prefix; write it like `100.64.0.0/16`\n"),
	BROKEN("a pool of nothing",
	       NETWORK
	       "  - {name: red, pool: [100.64.0.0]}\n"
	       "  - {name: blue, pool: [100.64.255.255/32]}\n"
	       "  - {name: green, pool: [\"fd64::/128\"]}\n",
	       "3:24: the pool `100.64.0.0/32` is only the network address of `100.64.0.0/16`; "
	       "use another one\n"
	       "4:25: the pool `100.64.255.255/32` is only the broadcast address of "
	       "`100.64.0.0/16`; use another one\n"
	       "5:26: the pool `fd64::/128` is only the subnet-router anycast address of "
	       "`fd64::/64`; use another one\n"),
	BROKEN("overlapping pools of a tenant",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24, 100.64.4.0/24, 100.64.0.0/21]\n",
	       "4:42: the pool `100.64.0.0/21` overlaps `100.64.1.0/24` at line 4; remove one of "
	       "them\n"
	       "4:42: the pool `100.64.0.0/21` overlaps `100.64.4.0/24` at line 4; remove one of "
	       "them\n"),
	BROKEN("pools that overlap, with a pinned address",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.1.9}\n"
	       "      - {fixed: 10.0.0.6, shared: 100.64.1.10}\n"
	       "  - name: blue\n"
	       "    pool: [100.64.0.0/20]\n"
	       "  - name: green\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.1.11}\n",
	       "6:35: the shared address `100.64.1.9` is also in the pool `100.64.0.0/20` of "
	       "tenant `blue` at line 9; make the pools disjoint, or remove `shared`\n"),
	BROKEN("pools that overlap, pinned on both sides",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.1.9}]\n"
	       "  - name: blue\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.1.10}]\n",
	       "5:42: the shared address `100.64.1.9` is also in the pool `100.64.1.0/24` of "
	       "tenant `blue` at line 7; make the pools disjoint, or remove `shared`\n"
	       "8:42: the shared address `100.64.1.10` is also in the pool `100.64.1.0/24` of "
	       "tenant `red` at line 4; make the pools disjoint, or remove `shared`\n"),
	BROKEN("no subnet of the family",
	       "shared-network: {subnets: [100.64.0.0/16]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    mappings:\n"
	       "      - fixed: 10.0.0.5\n"
	       "      - fixed: fd00::5\n",
	       "6:16: `fd00::5` has no IPv6 prefix to take a shared address from; add one to "
	       "`subnets`\n"),
	BROKEN("no pool of the family",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [\"fd64::/80\"]\n"
	       "    mappings:\n"
	       "      - fixed: fd00::5\n"
	       "      - fixed: 10.0.0.5\n",
	       "7:16: `10.0.0.5` has no IPv4 prefix to take a shared address from; add one to "
	       "`pool`\n"),
	BROKEN("wrong subnets make no other errors",
	       "shared-network: {subnets: [100.64.0.0/33]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.1.9}\n"
	       "      - fixed: fd00::5\n",
	       "1:28: `100.64.0.0/33` is not a prefix; write it like `100.64.0.0/16`\n"),
	BROKEN("no subnets make no other errors",
	       "shared-network: {}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.1.9}, {fixed: \"fd00::5\"}]\n",
	       "1:17: the key `subnets` of the shared network is missing; add it like `subnets: "
	       "[100.64.0.0/16, \"fd64::/64\"]`\n"),
	BROKEN("a pool that is wrong in part makes no other errors",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [\"fd64::1:0/112\", 10.0.0.300]\n"
	       "    mappings: [{fixed: 10.0.0.5}]\n",
	       "4:29: `10.0.0.300` is not a prefix; write it like `100.64.0.0/16`\n"),
	BROKEN("a pool within its own, within another tenant's",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24, 100.64.1.0/25]\n"
	       "    mappings: [{fixed: 10.0.0.5, shared: 100.64.1.9}]\n"
	       "  - name: blue\n"
	       "    pool: [100.64.0.0/20]\n",
	       "4:27: the pool `100.64.1.0/25` overlaps `100.64.1.0/24` at line 4; remove one of "
	       "them\n"
	       "5:42: the shared address `100.64.1.9` is also in the pool `100.64.0.0/20` of "
	       "tenant `blue` at line 7; make the pools disjoint, or remove `shared`\n"),
	BROKEN("a wrong pool makes no other errors",
	       NETWORK
	       "  - name: red\n"
	       "    pool: [100.64.1.0/33]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.2.9}\n",
	       "4:12: `100.64.1.0/33` is not a prefix; write it like `100.64.0.0/16`\n"),
	BROKEN("a wrong router makes no other errors",
	       NETWORK
	       "  - {name: red, router: {netns: a/b}}\n"
	       "  - {name: blue, router: {}}\n",
	       "3:33: `a/b` is not a namespace; use its name under /run/netns, or an absolute "
	       "path\n"),
	BROKEN("columns count characters",
	       NETWORK
	       "  - {name: \"r\303\250d\", pool: [\342\202\254]}\n",
	       "3:12: `r\303\250d` is not a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and "
	       "begin with a letter or digit\n"
	       "3:26: `\342\202\254` is not a prefix; write it like `100.64.0.0/16`\n"),
	BROKEN("a mistyped key is not a missing one",
	       NETWORK
	       "  - nam: red\n"
	       "    pol: [100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fxied: 10.0.0.5, shared: 100.64.2.9}\n",
	       "3:5: unknown key `nam`; did you mean `name`?\n"
	       "4:5: unknown key `pol`; did you mean `pool`?\n"
	       "6:10: unknown key `fxied`; did you mean `fixed`?\n"),
	BROKEN("mistyped subnets make no other errors",
	       "shared-network: {subnet: [100.64.0.0/16]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    pool: [100.64.1.0/24]\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.64.1.9}\n",
	       "1:18: unknown key `subnet`; did you mean `subnets`?\n"),
	BROKEN("two errors in one place",
	       "shared-network: {subnets: [100.64.0.0/16]}\n"
	       "tenants:\n"
	       "  - name: red\n"
	       "    pool: [10.0.0.0/24, 10.0.0.0/24]\n",
	       "4:12: the pool `10.0.0.0/24` is not inside a shared subnet; use a part of one\n"
	       "4:25: the pool `10.0.0.0/24` is not inside a shared subnet; use a part of one\n"
	       "4:25: the pool `10.0.0.0/24` overlaps `10.0.0.0/24` at line 4; remove one of "
	       "them\n"),
	BROKEN("every error, in the order of the file",
	       NETWORK
	       "  - name: _red\n"
	       "    router: {netns: a/b, hok: tc}\n"
	       "    mappings:\n"
	       "      - {fixed: 10.0.0.5, shared: 100.65.0.1}\n"
	       "      - {fixed: 10.0.0.5}\n"
	       "  - name: blue\n"
	       "    pool: [100.64.0.0/15]\n"
	       "  - name: blue\n",
	       "3:11: `_red` is not a tenant name; use up to 63 of A-Z a-z 0-9 . _ - and begin "
	       "with a letter or digit\n"
	       "4:21: `a/b` is not a namespace; use its name under /run/netns, or an absolute "
	       "path\n"
	       "4:26: unknown key `hok`; did you mean `hook`?\n"
	       "6:35: the shared address `100.65.0.1` is in no shared subnet; use one that is\n"
	       "7:17: the fixed address `10.0.0.5` is already mapped at line 6; remove one of "
	       "them\n"
	       "9:12: the pool `100.64.0.0/15` is not inside a shared subnet; use a part of one\n"
	       "10:11: the tenant `blue` is already at line 8; use another name, or merge them\n"),
};
/* clang-format on */

#endif
