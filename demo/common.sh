# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# What the demos share, sourced by them after `set -euo pipefail`, with the arguments that they were
# called with: root, a mount namespace of their own where /run/netns and bpffs are empty, and the
# way they show and judge.

me=$(basename "$0")
if [ "$(id -u)" != 0 ]; then
	echo "$me: network namespaces need root: run it with sudo" >&2
	exit 1
fi
if [ $# != 1 ] || [ ! -x "$1" ]; then
	echo "usage: $me TENANTNAT (the executable: build it with make)" >&2
	exit 2
fi
if [ -z "${TND_PRIVATE-}" ]; then
	TND_PRIVATE=1 exec unshare --mount --propagation private -- "$0" "$@"
fi
if [ -d /run/netns ]; then
	mount -t tmpfs tmpfs /run/netns
else
	mount -t tmpfs tmpfs /run
fi
mount -t bpf bpf /sys/fs/bpf

bin=$(realpath "$1")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tnd-XXXXXX")

if [ -t 1 ]; then
	bold=$'\e[1m' blue=$'\e[1;34m' green=$'\e[1;32m' red=$'\e[1;31m' plain=$'\e[0m'
else
	bold='' blue='' green='' red='' plain=''
fi

step() {
	printf '\n%s%s%s\n' "$blue" "$*" "$plain"
}

failures=()

# expect WHAT COMMAND…: what the verdict is made of.
expect() {
	"${@:2}" || failures+=("$1")
}

# verdict WHAT: after everything; exit status 1 when something was not as expected.
verdict() {
	if [ ${#failures[@]} = 0 ]; then
		printf '\n%sIt works: %s%s\n' "$green" "$1" "$plain"
	else
		printf '\n%sIt does not work:' "$red"
		printf ' %s;' "${failures[@]}"
		printf '%s\n' "$plain"
		exit 1
	fi
}
