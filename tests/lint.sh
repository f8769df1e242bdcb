#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lint.sh REFERENCE OBJECT: every static check of the project, of the manuals and completions that are built there,
# and of the programs in that object.
# Prints only what is wrong; exit 1 then.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

mapfile -t c_files < <(git ls-files '*.c' '*.h')
mapfile -t user_files < <(git ls-files 'user/*.c')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
mapfile -t python < <(git ls-files '*.py')
status=0

check() {
	local name=$1
	shift
	echo "  LINT    $name"
	"$@" || status=1
}

# shellcheck disable=SC2317 # called by check
spdx() {
	local file missing=0
	while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' && continue
		echo "$file: no SPDX line"
		missing=1
	done < <(git ls-files '*.c' '*.h' '*.sh' '*.py' '*.mk' Makefile .ci/run debian/rules 'user/agent/page/*' 'debian/tenantnat.*inst' 'debian/tenantnat.*rm')
	return "$missing"
}

check spdx spdx
# What is longer than 600 lines says in its head why it is one file.
# shellcheck disable=SC2317 # called by check
length() {
	local file long=0
	while read -r file; do
		[ "$(wc -l <"$file")" -le 600 ] && continue
		head -n 25 "$file" | grep -q 'One file' && continue
		echo "$file: more than 600 lines; split it, or say in its head comment, 'One file: …', why not"
		long=1
	done < <(git ls-files 'user/*.[ch]' 'bpf/*.[ch]' 'include/*.h' 'packaging/*.[ch]')
	return "$long"
}

check length length
check clang-format clang-format --dry-run --Werror "${c_files[@]}"
# one process a file and core: it is slow
# shellcheck disable=SC2317 # called by check
clang_tidy() {
	printf '%s\0' "${user_files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p . 2>/dev/null
}

check clang-tidy clang_tidy
check shellcheck shellcheck "${scripts[@]}"
check pyflakes /usr/bin/python3 -m pyflakes "${python[@]}"
check layers tests/layers.py
check docs tests/docs.py
check rfc.md /usr/bin/python3 tests/rfc.py
# The list of reasons is the agent's to put in.
# shellcheck disable=SC2317 # called by check
page() {
	mk/page.sh --html user/agent/page | sed 's|^@REASONS@|<dt>reason</dt><dd>meaning</dd>|' |
		tidy -quiet -errors --drop-empty-elements no
}

check page page
check stack tests/bpf/stack.py "$2"
check manuals mandoc -T lint "$1"/man*/*
check completions tests/completions.sh "$1"
exit $status
