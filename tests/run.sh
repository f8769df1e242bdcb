#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh BUILD LEVEL…: builds what each level (unit, fuzz, bpf, e2e, diff) needs, runs it, and closes with one
# line, `N passed, N failed`, over all of them. Exit 1 when anything failed or did not run.
#
# TN_BUILT=1: all is built already. TN_E2E: more arguments for tests/e2e/run.py.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
shift
passed=0
failed=0

# add PASSED FAILED: a level whose runner said nothing counts as one failure.
add() {
	passed=$((passed + ${1:-0}))
	failed=$((failed + ${2:-1}))
}

need_root() {
	[ "$(id -u)" = 0 ] && return
	echo "the $1 tests need root: sudo make test-$1" >&2
	add 0 1
	return 1
}

# Criterion's synthesis: [====] Synthesis: Tested: 5 | Passing: 5 | Failing: 0 | Crashing: 0
run_criterion() {
	local out tested passing
	out=$(mktemp)
	LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 \
		"$1" --jobs 2 --short-filename 2>&1 | tee "$out" | grep -v '^$'
	# Criterion sees neither a leak in a test nor what UBSan prints
	if grep -qE 'ERROR: (Leak|Address)Sanitizer|runtime error:' "$out"; then
		add 0 1
	fi
	tested=$(sed -nE 's/.*Tested: ([0-9]+).*/\1/p' "$out" | tail -n 1)
	passing=$(sed -nE 's/.*Passing: ([0-9]+).*/\1/p' "$out" | tail -n 1)
	rm -f "$out"
	if [ "${tested:-0}" -gt 0 ]; then
		add "$passing" $((tested - passing))
	else
		add 0 1
	fi
}

run_replay() {
	local counts
	counts=$(build/fuzz/replay tests/fuzz/corpus | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
	echo "inputs passed and failed: ${counts:-none, it ended}"
	# shellcheck disable=SC2086 # two words, or none
	add $counts
}

# run_python SCRIPT ARGUMENT…: it closes with such a line too
run_python() {
	local out counts
	out=$(mktemp)
	/usr/bin/python3 "$@" --bin "$build/tenantnat" 2>&1 | tee "$out" | grep --line-buffered -v '^[0-9]* passed'
	counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$out" | tail -n 1)
	rm -f "$out"
	# shellcheck disable=SC2086 # two words, or none
	add $counts
}

# A private bpffs and /run/netns, so that nothing of the machine is in the way, and nothing stays.
if [ -z "${TN_TEST_PRIVATE-}" ] && [ "$(id -u)" = 0 ]; then
	TN_TEST_PRIVATE=1 exec unshare --mount --propagation private -- "$0" "$build" "$@"
fi
[ "$(id -u)" != 0 ] || mount -t bpf bpf /sys/fs/bpf

# run_level TARGETS RUNNER…: builds, then runs; what does not build counts as one failure.
run_level() {
	local targets=$1
	shift
	# shellcheck disable=SC2086 # one or several
	if [ -n "${TN_BUILT-}" ] || make --no-print-directory -j2 $targets; then
		"$@"
	else
		add 0 1
	fi
}

for level in "$@"; do
	echo "== $level tests"
	case $level in
	unit) run_level "$build/unit-tests" run_criterion "$build/unit-tests" ;;
	fuzz) run_level build/fuzz/replay run_replay ;;
	bpf) need_root bpf && run_level "$build/bpf-tests" run_criterion "$build/bpf-tests" ;;
	e2e)
		# shellcheck disable=SC2086 # as many words as there are
		need_root e2e && run_level "all $build/foreign.bpf.o" run_python tests/e2e/run.py \
			--foreign "$build/foreign.bpf.o" --jobs 2 ${TN_E2E-}
		;;
	# the same packets each time, unless others are asked for
	diff) need_root diff && run_level all run_python tests/diff/run.py --seed "${SEED:-1}" ;;
	*)
		echo "unknown level $level: unit, fuzz, bpf, e2e or diff" >&2
		exit 2
		;;
	esac
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
