#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# completions.sh REFERENCE: what bash, zsh and fish complete, by the scripts that are built there, with a tenantnat
# of its own that has two mappings. Prints what is wrong; exit 1 then.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

reference=$(realpath "$1")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

cat >"$tmp/tenantnat" <<'EOF'
#!/bin/sh
[ "$*" = "map list" ] || exit 2
printf 'TENANT  NAME  FIXED     SHARED\nred     web   10.0.0.5  100.64.1.5\nblue    -     10.0.0.6  100.64.2.6\n'
EOF
chmod +x "$tmp/tenantnat"
PATH="$tmp:$PATH"

# in_SHELL WORDS: what the last of the words completes to, a line each; behind a space that is a new one
in_bash() {
	(
		# shellcheck source=/dev/null
		. "$reference/bash/tenantnat"
		read -ra COMP_WORDS <<<"$1"
		[[ $1 != *' ' ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_tenantnat
		printf '%s\n' "${COMPREPLY[@]}"
	)
}

in_fish() {
	fish --no-config -c "source $reference/fish/tenantnat.fish; complete -C '$1'" | cut -f 1
}

# What its functions hand to the shell's, which need a terminal; the function that is asked comes first.
in_zsh() {
	zsh -f -c "
		_arguments() { print -l -- \"\$@\" | sed -n 's/^\\*:argument://p; s/^--\\([a-z-]*\\).*/--\\1/p' }
		_describe() { print -l -- \${(P)2%%:*} }
		compadd() { shift; print -l -- \"\$@\" }
		compdef() { }
		_files() { }
		functions[load]=\"\$(sed '\$d' $reference/zsh/_tenantnat)\"
		load
		$1" 2>&1
}

# is SHELL WORDS LINE…: what comes, in any order
is() {
	local got shell=$1 words=$2
	shift 2
	case $shell in
	bash) got=$(in_bash "$words") ;;
	fish) got=$(in_fish "$words") ;;
	zsh) got=$(in_zsh "$words") ;;
	esac
	got=$(sed 's/ *$//; /^$/d' <<<"$got" | LC_ALL=C sort -u)
	[ "$got" = "$(printf '%s\n' "$@" | sed '/^$/d' | LC_ALL=C sort -u)" ] && return
	echo "$shell: \"$words\" completes to:"$'\n'"$got"$'\n'"instead of:"
	printf '%s\n' "$@"
	status=1
}

names=(red red/web blue blue/10.0.0.6)
for shell in bash fish; do
	is $shell "tenantnat va" validate
	is $shell "tenantnat -v map " add del list
	is $shell "tenantnat --state /x map a" add
	is $shell "tenantnat trace red" red red/web
	is $shell "tenantnat stats " "${names[@]}"
	is $shell "tenantnat status " red blue
	is $shell "tenantnat show " history "${names[@]}"
	is $shell "tenantnat apply --tenant b" blue
	is $shell "tenantnat apply --no" --no-probe
	is $shell "tenantnat restore --tenant"
	is $shell "tenantnat validate $tmp/ten" "$tmp/tenantnat"
done
is zsh "_tenantnat_second map" add del list
is zsh "_tenantnat_names" "${names[@]}"
is zsh "_tenantnat_tenants" red blue
is zsh "_tenantnat_command detach | grep -v -e --" _tenantnat_tenants
is zsh "_tenantnat_command restore | grep -e --sort -e _"
is zsh "_tenantnat_command stats | grep -e --sort -e _" --sort _tenantnat_names
is zsh "_tenantnat_command 'map list' | grep -e --sort -e _" --sort _tenantnat_names
bash -n "$reference/bash/tenantnat" && shellcheck -s bash "$reference/bash/tenantnat" || status=1
zsh -n "$reference/zsh/_tenantnat" || status=1
fish -n "$reference/fish/tenantnat.fish" || status=1
exit $status
