#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# left_out.sh TENANTNAT, which was built with METRICS=no SYSTEMD=no CLUSTER=no NEUTRON=no: it says so when that is asked for, does
# nothing then, and takes none of their libraries. Exit 1, with a line `failed: …` for each thing that is wrong.
set -uo pipefail

bin=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

fail() {
	echo "failed: left out $*"
	status=1
}

# refuses WORD COMMAND…: with exit 2 and one line that has the word, and without having begun
refuses() {
	local word=$1
	shift
	"$@" >"$tmp/said" 2>&1
	[ $? = 2 ] || fail "$*: exit status"
	[ "$(grep -c "$word" "$tmp/said")/$(wc -l <"$tmp/said")" = 1/1 ] || fail "$*: says $(cat "$tmp/said")"
	[ ! -e "$tmp/state" ] || fail "$*: has begun"
}

echo "== left out tests"
refuses METRICS=no timeout 10 "$bin" --state "$tmp/state" agent --metrics 127.0.0.1:9876
refuses SYSTEMD=no env NOTIFY_SOCKET="$tmp/socket" timeout 10 "$bin" --state "$tmp/state" agent
refuses SYSTEMD=no "$bin" --state "$tmp/state" monitor --journal
refuses CLUSTER=no timeout 10 "$bin" --state "$tmp/state" cluster join http://127.0.0.1:2379
"$bin" cluster join --help | grep -q "not in this build: CLUSTER=no" || fail "help: nothing about CLUSTER=no"
refuses NEUTRON=no "$bin" --state "$tmp/state" neutron --url http://127.0.0.1:1 --once
"$bin" neutron --help | grep -q "not in this build: NEUTRON=no" || fail "help: nothing about NEUTRON=no"
for word in METRICS=no SYSTEMD=no; do
	"$bin" agent --help | grep -q "not in this build: $word" || fail "help: nothing about $word"
done
needs=$(objdump -p "$bin" | grep -E 'NEEDED.*(systemd|microhttpd|curl|gnutls)') && fail "libraries: $needs"
exit $status
