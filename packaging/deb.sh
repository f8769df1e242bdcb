#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh DIRECTORY: build the Debian packages of the last commit there, and let lintian judge them. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$1
rm -rf "$out"
mkdir -p "$out/tenantnat"
git archive HEAD | tar -x -C "$out/tenantnat"
# of the make that called this
unset MAKEFLAGS MFLAGS MAKELEVEL
(cd "$out/tenantnat" && dpkg-buildpackage --no-sign --build=binary)
rm -rf "$out/tenantnat"
lintian --fail-on error,warning "$out"/*.changes
ls "$out"/*.deb
