#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lint.sh: every static check of the project. Prints only what is wrong; exit 1 then.
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

spdx() {
	local file missing=0
	while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' && continue
		echo "$file: no SPDX line"
		missing=1
	done < <(git ls-files '*.c' '*.h' '*.sh' '*.py' Makefile .ci/run)
	return $missing
}

check spdx spdx
check clang-format clang-format --dry-run --Werror "${c_files[@]}"
check clang-tidy clang-tidy --quiet -p . "${user_files[@]}"
check cppcheck cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	--enable=warning,performance,portability --suppress=missingIncludeSystem \
	--suppressions-list=tests/cppcheck.suppress -D_GNU_SOURCE -Iinclude -Iuser "${user_files[@]}"
check shellcheck shellcheck "${scripts[@]}"
check pyflakes /usr/bin/python3 -m pyflakes "${python[@]}"
exit $status
