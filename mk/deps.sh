#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deps.sh PACKAGE…: installs those of these packages of Debian that are missing, as root. Exit 3 where there is no
# dpkg to ask.
set -uo pipefail
export LC_ALL=C

if ! command -v dpkg-query >/dev/null; then
	echo "no dpkg here: nothing is installed. By Debian's names, these are needed: $(printf '%s\n' "$@" | sort -u | tr '\n' ' ')" >&2
	exit 3
fi

installed() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
}

missing=$(comm -23 <(printf '%s\n' "$@" | sort -u) <(installed "$@" | sort -u) | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing: $missing; as root, \`make deps\` installs all that any target needs, and the same command again these" >&2
	exit 1
fi

echo "  INSTALL $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list
{
	apt-get update -qq &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o DPkg::Lock::Timeout=600 $missing
} >"$log" 2>&1 && exit
cat "$log"
echo "cannot install $missing: see above, and /etc/apt/sources.list" >&2
exit 1
