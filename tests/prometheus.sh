#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# prometheus.sh DIR: Debian's prometheus and promtool to DIR/usr/bin, unless they are there. Not
# installed, because the package starts a service.
set -euo pipefail

dir=$1
[ ! -x "$dir/usr/bin/prometheus" ] || exit 0
mkdir -p "$dir"
work=$(mktemp -d "$dir/XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get download -qq -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root prometheus >/dev/null
dpkg-deb -x prometheus_*.deb .
mkdir -p ../usr/bin
mv usr/bin/promtool usr/bin/prometheus ../usr/bin/
