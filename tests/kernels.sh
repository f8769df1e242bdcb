#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernels.sh BUILD RELEASE…: the BPF and end-to-end tests under Debian's kernels of these releases,
# each in a guest of its own, all at once. Closes with `failed: RELEASE: LEVEL TEST` for each failed test
# and `N passed, N failed` over all of them.
#
# What a guest said is in BUILD/kernels/RELEASE.log. What is skipped under 6.1 has failed: it has
# everything. Later ones refuse the dispatcher of Debian's libxdp, and skip that.
#
# LEVELS=…, E2E=…, TIMEOUT=…: other levels of tests/run.sh, arguments of tests/e2e/run.py, seconds.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
shift
# half an hour of emulation on two cores
topics=(talk hairpin vlan dispatcher neighbours reject vrf)
e2e=${E2E-"${topics[*]/#/--topic } --hook tc --hook xdp --hook xdp-generic --offload on"}
levels=${LEVELS-"bpf e2e"}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait' EXIT
trap 'exit 130' INT TERM HUP

guest() {
	local strict=
	[ "$1" != 6.1 ] || strict=--strict
	# shellcheck disable=SC2086 # several levels
	exec tests/vm/boot.py --kernel "$build/kernels/$1" --timeout "${TIMEOUT-3600}" \
		--env TN_BUILT=1 --env TN_PATIENCE=5 --env "TN_E2E=$strict $e2e" -- \
		tests/run.sh "$build" $levels
}

for release in "$@"; do
	tests/vm/kernel.sh "$release" "$build/kernels/$release" || exit 1
done
for release in "$@"; do
	log=$build/kernels/$release.log
	echo "== $release: $(cat "$build/kernels/$release/name")"
	guest "$release" > >(tee "$log" | sed -u "s/^/$release: /") 2>&1 &
	pids+=($!)
done

passed=0
failed=0
for release in "$@"; do
	wait "${pids[0]}"
	status=$?
	sleep 1 # tee writes its last line
	pids=("${pids[@]:1}")
	log=$build/kernels/$release.log
	read -r p f < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed\r?$/\1 \2/p' "$log" | tail -n 1) ||
		{ p=0 f=1; }
	# whatever else went wrong is one failure
	[ "$status" = 0 ] || [ "$f" != 0 ] || f=1
	echo "== $release: $p passed, $f failed"
	passed=$((passed + p))
	failed=$((failed + f))
done
for release in "$@"; do
	sed -nE "s/^failed: ([^\r]*)\r?$/failed: $release: \1/p" "$build/kernels/$release.log"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
