#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh BUILD LEVEL…: builds what each level (unit, fuzz, bpf, e2e, diff) needs and runs it. It closes with a
# line for each failed test, `failed: LEVEL TEST`, and one over all levels, `N passed, N failed`. Exit 1 when
# anything failed or did not run.
#
# TN_BUILT=1: all is built already. TN_E2E: more arguments for tests/e2e/run.py.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
shift
level=
passed=0
failed=0
names=() # of what failed

# count PASSED FAILED
count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
}

# fail WHAT: a failure beside the tests that were counted
fail() {
	count 0 1
	names+=("$level: $1")
}

# name SCRIPT: sed(1) prints the names of the failed tests from what the level said
name() {
	local test
	while read -r test; do
		names+=("$level $test")
	done < <(sed -nE "$1" "$out")
}

# count_summary: by the line with which the level's runner closed
count_summary() {
	local counts
	counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$out" | tail -n 1)
	if [ -n "$counts" ]; then
		# shellcheck disable=SC2086 # two words
		count $counts
	else
		fail "its runner ended early"
	fi
}

need_root() {
	[ "$(id -u)" = 0 ] && return
	fail "needs root: sudo make test-$level"
	return 1
}

# Criterion's synthesis: [====] Synthesis: Tested: 5 | Passing: 5 | Failing: 0 | Crashing: 0
run_criterion() {
	local tested passing
	LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 \
		"$1" --jobs 2 --short-filename 2>&1 | tee "$out" | grep -v '^$'
	# as --filter takes it
	name 's|^\[FAIL\] ([^:]+)::([^:]+):.*|\1/\2|p'
	# Criterion sees neither a leak in a test nor what UBSan prints
	if grep -qE 'ERROR: (Leak|Address)Sanitizer|runtime error:' "$out"; then
		fail "a sanitizer found something"
	fi
	tested=$(sed -nE 's/.*Tested: ([0-9]+).*/\1/p' "$out" | tail -n 1)
	passing=$(sed -nE 's/.*Passing: ([0-9]+).*/\1/p' "$out" | tail -n 1)
	if [ "${tested:-0}" -gt 0 ]; then
		count "$passing" $((tested - passing))
	else
		fail "its runner ended early"
	fi
}

run_replay() {
	build/fuzz/replay tests/fuzz/corpus 2>&1 | tee "$out" | grep -v '^[0-9]* passed'
	name 's/^FAILED: (.*)/\1/p'
	echo "inputs: $(tail -n 1 "$out")"
	count_summary
}

# run_python SCRIPT ARGUMENT…
run_python() {
	/usr/bin/python3 "$@" --bin "$build/tenantnat" 2>&1 | tee "$out" | grep --line-buffered -v '^[0-9]* passed'
	name 's/^FAIL ([^:]*).*/\1/p'
	count_summary
}

# A private bpffs and /run/netns, so that nothing of the machine is in the way, and nothing stays.
if [ -z "${TN_TEST_PRIVATE-}" ] && [ "$(id -u)" = 0 ]; then
	TN_TEST_PRIVATE=1 exec unshare --mount --propagation private -- "$0" "$build" "$@"
fi
[ "$(id -u)" != 0 ] || mount -t bpf bpf /sys/fs/bpf
out=$(mktemp) # what the level said
trap 'rm -f "$out"' EXIT

# run_level TARGETS RUNNER…: builds, then runs; what does not build is one failure.
run_level() {
	local targets=$1
	shift
	# shellcheck disable=SC2086 # one or several
	if [ -n "${TN_BUILT-}" ] || make --no-print-directory -j2 $targets; then
		"$@"
	else
		fail "it does not build"
	fi
}

for level in "$@"; do
	echo "== $level tests"
	case $level in
	unit) run_level "$build/unit-tests" run_criterion "$build/unit-tests" ;;
	fuzz) run_level build/fuzz/replay run_replay ;;
	bpf) need_root && run_level "$build/bpf-tests" run_criterion "$build/bpf-tests" ;;
	e2e)
		# two more than there are CPUs: tests wait more than they work
		# shellcheck disable=SC2086 # as many words as there are
		need_root && run_level "all $build/foreign.bpf.o $build/etcd-driver" run_python tests/e2e/run.py \
			--foreign "$build/foreign.bpf.o" --jobs "$(($(nproc) + 2))" ${TN_E2E-}
		;;
	# the same packets each time, unless others are asked for
	diff) need_root && run_level all run_python tests/diff/run.py --seed "${SEED:-1}" ;;
	*)
		echo "unknown level $level: unit, fuzz, bpf, e2e or diff" >&2
		exit 2
		;;
	esac
done

[ ${#names[@]} = 0 ] || printf 'failed: %s\n' "${names[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
