#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh TENANTNAT: two tenants in network namespaces, both on 10.0.0.0/24, talk over a shared
# network. Shows every step, judges what really happened (exit 1 when it did not), and leaves
# nothing behind: namespaces, bpffs and state are private to this run.
set -euo pipefail

# shellcheck source=demo/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

here=$(dirname "$(realpath "$0")")
servers=()
spaces=()

cleanup() {
	trap '' INT TERM HUP
	[ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
	"$bin" --state "$tmp/state" -q detach --all >/dev/null 2>&1 || true
	for name in "${spaces[@]}"; do
		ip netns del "$name" 2>/dev/null || true
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'echo; echo "interrupted" >&2; exit 130' INT
trap 'exit 143' TERM HUP

# Show a command as one would type it, then run it.
show() {
	printf '%s$ %s%s\n' "$bold" "$*" "$plain"
	"$@"
}

tenantnat() {
	"$bin" --state "$tmp/state" "$@"
}

inside() {
	nsenter --net="/run/netns/$1" "${@:2}"
}

# The same on a VM.
on() {
	printf '%s%s$ %s%s\n' "$bold" "$1" "${*:2}" "$plain"
	inside "tnd-$1" "${@:2}"
}

space() {
	ip netns add "$1"
	spaces+=("$1")
	# addresses of the link itself would only blur the picture
	inside "$1" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	ip -n "$1" link set lo up
}

# veth NAMESPACE INTERFACE BRIDGE-NAMESPACE BRIDGE PORT: a cable to a port of the bridge.
veth() {
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$3"
	ip -n "$3" link set "$5" master "$4" up
	ip -n "$1" link set "$2" up
}

# tenant NAME ADDRESS: a router on the shared network, with two VMs on its bridge lan0.
tenant() {
	local router=tnd-$1 vm

	space "$router"
	inside "$router" sysctl -qw net.ipv4.ip_forward=1
	veth "$router" shared0 tnd-net shared "to-$1"
	ip -n "$router" addr add "$2/16" dev shared0
	ip -n "$router" link add lan0 type bridge
	ip -n "$router" link set lan0 up
	ip -n "$router" addr add 10.0.0.1/24 dev lan0
	for vm in web:10.0.0.5 db:10.0.0.6; do
		space "$router-${vm%:*}"
		veth "$router-${vm%:*}" eth0 "$router" lan0 "to-${vm%:*}"
		ip -n "$router-${vm%:*}" addr add "${vm#*:}/24" dev eth0
		ip -n "$router-${vm%:*}" route add default via 10.0.0.1
	done
}

# serve TENANT: a page that says who answers; its log names the client.
serve() {
	local try

	# no function here: its process would be a shell, and the server that shell's child
	nsenter --net="/run/netns/tnd-$1-web" setpriv --pdeathsig KILL \
		python3 -u - "$1" >/dev/null 2>>"$tmp/$1.log" <<-'EOF' &
		import http.server
		import socketserver
		import sys

		class Page(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.send_response(200)
		        self.end_headers()
		        own = self.connection.getsockname()[0]
		        self.wfile.write(f"This is {sys.argv[1]}'s web at {own}.\n".encode())

		socketserver.TCPServer.allow_reuse_address = True
		socketserver.TCPServer(("", 80), Page).serve_forever()
	EOF
	servers+=($!)
	for ((try = 0; try < 100; try++)); do
		inside "tnd-$1-web" curl -q -s -o /dev/null http://10.0.0.5/ && break
		sleep 0.1
	done
	: >"$tmp/$1.log"
}

address() {
	tenantnat map list "$1" | awk -v name="$2" '$2 == name { print $4 }'
}

# talk FROM TO ADDRESS-OF-FROM ADDRESS-OF-TO: ping and fetch a page, and look at both ends.
talk() {
	step "$1's web, 10.0.0.5, asks $2's web, 10.0.0.5 as well, by its shared address $4"
	expect "$1 cannot ping $2" on "$1-web" ping -c 3 -i 0.2 -W 1 "$4"
	printf '\n'
	expect "$1 cannot fetch $2's page" on "$1-web" curl "http://$4/" >"$tmp/page"
	cat "$tmp/page"
	printf "\nthe log of %s's server:\n%s%s%s\n" "$2" "$bold" "$(cat "$tmp/$2.log")" "$plain"

	expect "$1 did not ask from 10.0.0.5" grep -qx '(asked from 10.0.0.5)' "$tmp/page"
	expect "it was not $2's 10.0.0.5 that answered" \
		grep -qx "This is $2's web at 10.0.0.5." "$tmp/page"
	expect "$2's log does not name $1's shared address $3" grep -q "^$3 .*GET / " "$tmp/$2.log"
}

cat >"$tmp/.curlrc" <<'EOF'
silent
show-error
max-time = 5
write-out = "(asked from %{local_ip})\n"
EOF
export CURL_HOME=$tmp

space tnd-net
ip -n tnd-net link add shared type bridge
ip -n tnd-net link set shared up
tenant red 100.64.0.2
tenant blue 100.64.0.3
serve red
serve blue

step "Two tenants, the same private network, one shared network between their routers"
cat <<'EOF'

  web 10.0.0.5 -+                                                         +- web 10.0.0.5
                +- [ red ] 100.64.0.2 --- shared --- 100.64.0.3 [ blue ] -+
  db  10.0.0.6 -+                     100.64.0.0/16                       +- db  10.0.0.6
EOF

cd "$here/.."
step "The definitions"
show cat demo/definitions.yaml
step "Apply them"
show tenantnat apply -f demo/definitions.yaml

red_web=$(address red web)
blue_web=$(address blue web)
talk red blue "$red_web" "$blue_web"
talk blue red "$blue_web" "$red_web"

step "What is mapped, and what went through"
show tenantnat map list
printf '\n'
show tenantnat stats

verdict "10.0.0.5 talked to 10.0.0.5, both ways; red was seen as $red_web, blue as $blue_web."
