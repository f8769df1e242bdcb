#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh: the Debian packages of the last commit. Two builds in elsewhere are equal to the byte; piuparts finds nothing
# that they leave behind, and autopkgtest runs the package's own test. In a Debian of its own (a directory, with
# namespaces of its own) the package installs, joins two tenants, is installed again while they talk, removed, and
# purged. Takes minutes, and Debian's mirror. Exit 1 with `failed: …` for what is wrong.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

if [ -z "${TN_PRIVATE-}" ]; then
	TN_PRIVATE=1 exec unshare --mount --mount-proc --pid --fork --propagation private --kill-child -- "$0" "$@"
fi

tmp=$(mktemp -d)
root=$tmp/root
status=0
spaces=() # network namespaces that were made here

# shellcheck disable=SC2317 # called by trap
finish() {
	for name in "${spaces[@]}"; do
		ip netns delete "$name"
	done
	umount -R "$root"/{proc,sys,dev,run} 2>/dev/null
	umount -R "$root-tests" 2>/dev/null
	rm -rf --one-file-system "$tmp"
}
trap finish EXIT

fail() {
	echo "failed: deb $*"
	status=1
}

# ok WHAT COMMAND…: it succeeds; no WHAT COMMAND…: it does not
ok() {
	local what=$1
	shift
	"$@" >"$tmp/out" 2>&1 || fail "$what: $(tail -n 5 "$tmp/out")"
}

no() {
	local what=$1
	shift
	! "$@" >"$tmp/out" 2>&1 || fail "$what"
}

in_root() {
	chroot "$root" env DEBIAN_FRONTEND="${FRONTEND:-noninteractive}" LC_ALL=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# said TEXT: the last command printed it
said() {
	grep -qF -- "$1" "$tmp/out" || fail "\"$1\" is not in what was said: $(tail -n 5 "$tmp/out")"
}

# ------------------------------------------------------------ the packages

build() {
	mkdir -p "$1" && git clone -q . "$1/tree" && (cd "$1/tree" && packaging/deb.sh "$1/deb") >"$1/log" 2>&1
}

echo "== deb tests"
DEB_BUILD_OPTIONS=nocheck build "$tmp/one" || { fail "build: $(tail -n 20 "$tmp/one/log")"; exit 1; }
DEB_BUILD_OPTIONS=nocheck build "$tmp/elsewhere" || { fail "build: $(tail -n 20 "$tmp/elsewhere/log")"; exit 1; }
for file in "$tmp"/one/deb/*.deb; do
	cmp "$file" "$tmp/elsewhere/deb/${file##*/}" || fail "${file##*/}: two builds differ"
done

# ------------------------------------------------------------ a Debian, and two tenants in it

# shellcheck disable=SC1091
. /etc/os-release
mirror=http://deb.debian.org/debian
ok "a Debian" mmdebstrap --variant=apt --skip=cleanup/apt/lists --include=iproute2,iputils-ping,debconf "$VERSION_CODENAME" "$root" \
	"deb $mirror $VERSION_CODENAME main"
[ $status = 0 ] || exit 1

# provide DIRECTORY: what a system has besides files
provide() {
	mount -t proc proc "$1/proc"
	mount --rbind /sys "$1/sys"
	mount --make-rslave "$1/sys"
	mount -t bpf bpf "$1/sys/fs/bpf"
	mount -t tmpfs tmpfs "$1/run"
}

# It takes a copy of the directory.
ok piuparts piuparts --existing-chroot="$root" --distribution="$VERSION_CODENAME" --mirror="$mirror main" \
	"$tmp"/one/deb/tenantnat_*.deb

# What it needs of isolation, it has here. The demo unshares its mounts, for which the root has to be one.
cp -a "$root" "$root-tests"
mount --bind "$root-tests" "$root-tests"
provide "$root-tests"
mount --rbind /dev "$root-tests/dev"
mount --make-rslave "$root-tests/dev"
ok autopkgtest autopkgtest --apt-upgrade --ignore-restrictions=isolation-machine "$tmp"/one/deb/tenantnat_*.deb \
	"$tmp/one/tree" -- chroot "$root-tests"

provide "$root"
cp "$tmp"/one/deb/tenantnat_*.deb "$root/tenantnat.deb"
ok install in_root apt-get install -y --no-install-recommends /tenantnat.deb
ok "its version" in_root tenantnat --version

router() { # NAME ADDRESS
	ip -n "$1" link set lo up
	ip -n wire link add "p$1" type veth peer name shared0 netns "$1"
	ip -n wire link set "p$1" master br0 up
	ip -n "$1" addr add "$2/16" dev shared0
	ip -n "$1" link set shared0 up
	ip -n "$1" link add lan0 type veth peer name eth0 netns "$1-vm"
	ip -n "$1" addr add 10.0.0.1/24 dev lan0
	ip -n "$1" link set lan0 up
	ip -n "$1-vm" addr add 10.0.0.5/24 dev eth0
	ip -n "$1-vm" link set eth0 up
	ip -n "$1-vm" route add default via 10.0.0.1
}

# the namespaces that are made here are there, too
mount --make-shared "$root/run"
mount --bind "$root/run" /run
mkdir -p /run/netns
space() { # NAME
	ip netns add "$1" && spaces+=("$1")
}

space wire
ip -n wire link add br0 type bridge
ip -n wire link set br0 up
for name in red blue; do
	space $name
	space $name-vm
done
router red 100.64.0.2
router blue 100.64.0.3
cat >"$root/etc/tenantnat/tenantnat.yaml" <<'EOF'
shared-network: {subnets: [100.64.0.0/16]}
tenants:
  - name: red
    router: {netns: red, shared: shared0, inside: [lan0]}
    mappings: [{name: web, fixed: 10.0.0.5, shared: 100.64.1.5}]
    accept: [{from: [blue]}]
  - name: blue
    router: {netns: blue, shared: shared0, inside: [lan0]}
    mappings: [{name: web, fixed: 10.0.0.5, shared: 100.64.2.5}]
    accept: [{from: [red]}]
EOF

# shellcheck disable=SC2317 # called by ok
talk() {
	ip netns exec red-vm ping -q -c 2 -i 0.2 -W 2 100.64.2.5
}

no "they talk before the apply" talk
ok apply in_root tenantnat apply
ok "they talk" talk

# an upgrade: the same package once more, under a ping that has to lose nothing
ip netns exec red-vm ping -q -i 0.01 -w 600 100.64.2.5 >"$tmp/ping" 2>&1 &
ping=$!
sleep 1
ok "installing it again" in_root dpkg -i /tenantnat.deb
sleep 1
kill -INT $ping
wait $ping
grep -q ' 0% packet loss' "$tmp/ping" || fail "an upgrade loses packets: $(tail -n 2 "$tmp/ping")"

ok remove in_root apt-get remove -y tenantnat
said "traffic goes on"
ok "they talk without the package" talk

# nobody can be asked, and no is what is answered then
ok "purge without an answer" in_root apt-get purge -y tenantnat
said "the programs stay attached"
ok "they talk after a purge that was to leave them" talk
[ -e "$root/var/lib/tenantnat/state.db" ] || fail "the definitions went with a purge that was to leave them"

ok "install once more" in_root apt-get install -y /tenantnat.deb
echo "tenantnat tenantnat/purge boolean true" | in_root debconf-set-selections
ok "purge with yes" in_root apt-get purge -y tenantnat
no "they talk after a purge" talk
[ ! -e "$root/var/lib/tenantnat" ] || fail "definitions after a purge: $(ls "$root/var/lib/tenantnat")"
[ ! -e "$root/etc/tenantnat/tenantnat.yaml" ] && fail "somebody's own definitions file went with the purge"
[ ! -e "$root/sys/fs/bpf/tenantnat" ] || fail "pins after a purge: $(ls "$root/sys/fs/bpf/tenantnat")"

[ $status = 0 ] && echo "deb: all is right"
exit $status
