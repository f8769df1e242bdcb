#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel.sh RELEASE DIR: Debian's own kernel of that release (6.1, 6.12), unpacked, never installed,
# as DIR/vmlinuz and DIR/lib/modules. Does nothing when it is there.
set -euo pipefail

release=$1
dir=$2
[ -e "$dir/vmlinuz" ] && exit

fail() {
	echo "kernel.sh: $*" >&2
	exit 1
}

# The package that the meta package stands for: linux-image-amd64 is the release's own kernel.
resolve() {
	local meta
	for meta in "linux-image-$release-amd64" linux-image-amd64; do
		apt-cache depends "$meta" 2>/dev/null |
			sed -nE "s/^ *Depends: (linux-image-${release//./\\.}\\.[^ ]*-amd64)\$/\\1/p"
	done | head -n 1
}

name=$(resolve)
[ -n "$name" ] || { apt-get update -qq && name=$(resolve); }
[ -n "$name" ] || fail "the package sources have no kernel $release"
command -v depmod >/dev/null || fail "depmod is missing: install kmod"

rm -rf "$dir"
mkdir -p "$dir/package"
# the package is fetched by root's own hands: _apt may not write here
(cd "$dir/package" && apt-get download -qq -o APT::Sandbox::User=root "$name") ||
	fail "cannot download $name; apt-get update may help"
dpkg-deb -x "$dir"/package/*.deb "$dir"
version=$(ls "$dir/lib/modules")
depmod -b "$dir" "$version"
echo "$name $(dpkg-deb -f "$dir"/package/*.deb Version)" >"$dir/name"
rm -rf "$dir/package"
# the last, so that what is there is whole
mv "$dir/boot/vmlinuz-$version" "$dir/vmlinuz"
