#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# install.sh BUILD: `make install` and `make uninstall` into a directory of its own: which files there are, what
# the units start, and that nothing stays but what is somebody else's. All is built already. Exit 1, with
# `failed: …` for each thing that is wrong.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
# Of the make that called this: how it built is in the environment, too; its jobserver is not asked, because
# nothing is built here; and where it would install is not where this does.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX SBINDIR DATADIR DOCDIR MANDIR SYSTEMDUNITDIR BASHDIR ZSHDIR FISHDIR
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root="$tmp/a root" # a word for itself, whatever is in it
status=0

fail() {
	echo "failed: install $*"
	status=1
}

# same WHAT WANTED GOT
same() {
	[ "$2" = "$3" ] || fail "$1: < is what it should be"$'\n'"$(diff <(echo "$2") <(echo "$3"))"
}

run() {
	make BUILD="$build" DESTDIR="$root" "$@" >"$tmp/log" 2>&1 || fail "$*: $(tail -n 5 "$tmp/log")"
}

# files, with their modes
list() {
	(cd "$root" && find . -type f -printf '%m %p\n' | sed 's|\./|/|' | LC_ALL=C sort -k 2)
}

# expected SBINDIR DATADIR DOCDIR MANDIR SYSTEMDUNITDIR
expected() {
	local file
	{
		echo "755 $1/tenantnat"
		echo "644 $2/tenantnat/tenantnat-alerts.yml"
		echo "644 $2/tenantnat/tenantnat-dashboard.json"
		echo "644 $2/tenantnat/tenantnat.schema.json"
		for file in README.md docs/*.md docs/*.svg docs/*.png; do
			echo "644 $3/$file"
		done
		for file in "$build"/reference/man*/*; do
			echo "644 $4${file#"$build/reference"}"
		done
		echo "644 $2/bash-completion/completions/tenantnat"
		echo "644 $2/zsh/site-functions/_tenantnat"
		echo "644 $2/fish/vendor_completions.d/tenantnat.fish"
		[ -z "$units" ] || printf '644 %s\n' "$5"/tenantnat-{agent,restore}.service
	} | LC_ALL=C sort -k 2
}

units=yes
[ "${SYSTEMD-}" != no ] || units=
echo "== install tests"
umask 077 # what is installed is everybody's to read all the same

run install
same "the files of the default" \
	"$(expected /usr/local/{sbin,share,share/doc/tenantnat,share/man,lib/systemd/system})" "$(list)"
run install
run uninstall
same "what is left after uninstall" "" "$(list)"
same "our directories after uninstall" "" "$(find "$root" -type d -name 'tenantnat*')"

dirs=(PREFIX=/usr SBINDIR=/opt/bin DATADIR=/opt/data DOCDIR=/opt/doc/tn MANDIR=/opt/man SYSTEMDUNITDIR=/etc/systemd/system)
mkdir -p "$root/opt/doc/tn/docs"
touch "$root/opt/doc/tn/docs/mine" "$root/opt/doc/tn/mine"
run install "${dirs[@]}"
rm "$root"/opt/doc/tn/{mine,docs/mine}
same "the files of other directories" \
	"$(expected /opt/bin /opt/data /opt/doc/tn /opt/man /etc/systemd/system)" "$(list)"
if [ -n "$units" ]; then
	unit=$(cat "$root"/etc/systemd/system/tenantnat-*.service)
	same "what the units start" $'/opt/bin/tenantnat agent\n/opt/bin/tenantnat restore' \
		"$(sed -n 's/^ExecStart=//p' <<<"$unit")"
	same "where the units say to read" $'file:/opt/doc/tn/README.md\nfile:/opt/doc/tn/docs/operations.md' \
		"$(sed -n 's/^Documentation=//p' <<<"$unit" | sort -u)"
	same "what is not filled in" "" "$(grep -E '@[A-Z]+@' <<<"$unit")"
fi
touch "$root/opt/doc/tn/docs/mine" "$root/opt/bin/mine"
run uninstall "${dirs[@]}"
same "what is left after uninstall of somebody else's" $'/opt/bin/mine\n/opt/doc/tn/docs/mine' \
	"$(list | cut -d ' ' -f 2)"

exit $status
