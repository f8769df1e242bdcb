#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# need.sh KIND:NAME:PACKAGE…: looks for what is needed, and says in one sentence what is missing; exit 1 then.
#
#   tool       a command
#   library    what PKG_CONFIG knows by that name
#   header     what CC finds
#   sanitizer  what CLANG links with -fsanitize=NAME
#   clang      CLANG of that major version
#
# PACKAGE is where Debian has it. What cannot be looked for, because the tool for it is missing, is passed over.
set -uo pipefail
read -ra compiler <<<"$CC" # ccache gcc

is_there() {
	case $1 in
	tool) command -v "$2" ;;
	library) ! command -v "$PKG_CONFIG" || "$PKG_CONFIG" --exists "$2" ;;
	header) # shellcheck disable=SC2086 # CPPFLAGS are several words
		! command -v "${compiler[0]}" || echo "#include <$2>" | "${compiler[@]}" ${CPPFLAGS-} -E -x c -
		;;
	sanitizer) ! command -v "$CLANG" || echo 'int main(void) { return 0; }' | "$CLANG" "-fsanitize=$2" -x c -o /dev/null - ;;
	clang) ! command -v "$CLANG" || [[ $("$CLANG" -dumpversion) == "$2".* ]] ;;
	*) exit 2 ;;
	esac
} >/dev/null 2>&1

names=
packages=
for need; do
	IFS=: read -r kind name package <<<"$need"
	is_there "$kind" "$name" && continue
	case $kind in
	sanitizer) names+=", $CLANG -fsanitize=$name" ;;
	clang) names+=", clang $name (the kernel refuses the programs that $CLANG makes, which is $("$CLANG" -dumpversion))" ;;
	*) names+=", $name" ;;
	esac
	packages+=" $package"
done
[ -n "$names" ] || exit 0
echo "missing: ${names#, }. Debian has it as$packages; as root, \`make deps\` installs all that any target needs," \
	"\`make deps-build\` what it takes to build." >&2
exit 1
