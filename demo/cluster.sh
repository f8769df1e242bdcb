#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cluster.sh TENANTNAT: three hosts share one file through three members of etcd; a router that two of
# them have fails over under a running transfer. Everything is a namespace, held by a process that
# ends with this one, so that nothing is left behind however it ends. Exit 1 when it did not work.
set -euo pipefail
# shellcheck source=demo/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
cd "$(dirname "$(realpath "$0")")/.."

mkdir "$tmp/bin"
ln -s "$bin" "$tmp/bin/tenantnat"
export PATH=$tmp/bin:$PATH
urls=http://10.9.0.1:2379,http://10.9.0.2:2379,http://10.9.0.3:2379
declare -A holder   # the process of each machine
declare -A running  # what runs there, besides: pids, separated by spaces

cleanup() {
	trap '' INT TERM HUP
	for name in "${!holder[@]}"; do
		power_off "$name"
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'echo; echo "interrupted" >&2; exit 130' INT
trap 'exit 143' TERM HUP

# machine NAME: a host name, network and mounts of its own, an empty /run/netns and an empty bpffs.
machine() {
	local id

	id=$(printf '%s' "$1" | md5sum)
	printf '%s\n' "${id%% *}" >"$tmp/$1.id"
	mkfifo "$tmp/$1.up"
	# shellcheck disable=SC2016
	unshare --net --mount --uts --propagation private setpriv --pdeathsig KILL sh -c '
		hostname "$1"
		sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		sysctl -qw net.ipv4.ip_forward=1
		ip link set lo up
		mount -t tmpfs tmpfs /run/netns
		mount -t bpf bpf /sys/fs/bpf
		[ ! -e /etc/machine-id ] || mount --bind "$2.id" /etc/machine-id
		echo >"$2.up"
		exec sleep infinity' sh "$1" "$tmp/$1" &
	holder[$1]=$!
	running[$1]=''
	disown
	read -r <"$tmp/$1.up"
}

# on MACHINE COMMAND…
on() {
	nsenter -t "${holder[$1]}" --net --mount --uts --wd=. "${@:2}"
}

# The same, shown as one would type it there.
show() {
	printf '%s%s$ %s%s\n' "$bold" "$1" "${*:2}" "$plain"
	on "$@"
}

# begin MACHINE COMMAND…: it runs there until the machine is powered off.
begin() {
	nsenter -t "${holder[$1]}" --net --mount --uts --wd=. setpriv --pdeathsig KILL "${@:2}" \
		>>"$tmp/$1.log" 2>&1 &
	running[$1]+=" $!"
	disown
}

power_off() {
	local pids

	IFS=' ' read -r -a pids <<<"${running[$1]} ${holder[$1]}"
	kill -KILL "${pids[@]}" 2>/dev/null || true
	unset "holder[$1]" "running[$1]"
}

# cable MACHINE INTERFACE BRIDGE: to a bridge of the switch.
ports=0
cable() {
	ports=$((ports + 1))
	ip link add "$2" netns "${holder[$1]}" type veth peer name "port$ports" netns "${holder[switch]}"
	on switch ip link set "port$ports" master "$3" up
	on "$1" ip link set "$2" up
}

# router TENANT HOST: a namespace of that host, with an interface on the shared network and one to VMs.
router() {
	machine "$1-$2"
	on "$2" touch "/run/netns/$1"
	on "$2" mount --bind "/proc/${holder[$1-$2]}/ns/net" "/run/netns/$1"
	cable "$1-$2" shared0 shared
	cable "$1-$2" lan0 "$1-lan"
}

vm() {
	machine "$1-web"
	cable "$1-web" eth0 "$1-lan"
	on "$1-web" ip addr add 10.0.0.5/24 dev eth0
	on "$1-web" ip route add default via 10.0.0.1
}

# until_true COMMAND…: for at most a minute.
until_true() {
	local try

	for ((try = 0; try < 600; try++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "this did not come to be: $*" >&2
	return 1
}

has_address() {
	on "blue-$1" ip -o addr show dev shared0 | grep -q '100\.64\.0\.3/'
}

# keepalived decides on which of the two hosts the address is; without it we move it by hand.
give() {
	on "blue-$1" ip addr add 100.64.0.3/16 dev shared0
	on "blue-$1" ip addr add 10.0.0.1/24 dev lan0
	on blue-web ip neigh flush dev eth0
	on red-hv1 ip neigh flush dev shared0
}

guard() {
	cable "blue-$1" vrrp0 vrrp
	on "blue-$1" ip addr add "169.254.7.$2/24" dev vrrp0
	cat >"$tmp/$1.keepalived" <<-END
		global_defs {
		  vrrp_version 3
		  vrrp_garp_master_delay 1
		}
		vrrp_instance blue {
		  state BACKUP
		  interface vrrp0
		  virtual_router_id 7
		  priority $((100 - $2))
		  advert_int 0.2
		  virtual_ipaddress {
		    100.64.0.3/16 dev shared0
		    10.0.0.1/24 dev lan0
		  }
		}
	END
	begin "blue-$1" keepalived --dont-fork --vrrp --log-console --use-file "$tmp/$1.keepalived" \
		--pid="$tmp/$1.pid" --vrrp_pid="$tmp/$1.vrrp_pid"
}

# lose HOST: it and its router are gone, with all that ran there.
lose() {
	power_off "blue-$1"
	power_off "$1"
}

step "Three hosts, three members of etcd, and a switch between them: each a namespace of its own"
cat <<'END'

   red's VM          hv1: etcd, agent                  hv2: etcd, agent         blue's VM
   10.0.0.5 --- lan --- [ red ] ------- shared ------- [ blue ] active --- lan --- 10.0.0.5
                                          |            hv3: etcd, agent     |
                                          +----------- [ blue ] standby ----+
END
machine switch
for bridge in management shared red-lan blue-lan vrrp; do
	on switch ip link add "$bridge" type bridge mcast_snooping 0
	on switch ip link set "$bridge" up
done
for n in 1 2 3; do
	machine "hv$n"
	cable "hv$n" eth0 management
	on "hv$n" ip addr add "10.9.0.$n/24" dev eth0
	on "hv$n" mount -t tmpfs tmpfs /var/lib
done
router red hv1
on red-hv1 ip addr add 10.0.0.1/24 dev lan0
router blue hv2
router blue hv3
vm red
vm blue
for n in 1 2 3; do
	begin "hv$n" etcd --name "hv$n" --data-dir "$tmp/hv$n.etcd" --logger zap --log-level error \
		--listen-client-urls "http://10.9.0.$n:2379" --advertise-client-urls "http://10.9.0.$n:2379" \
		--listen-peer-urls "http://10.9.0.$n:2380" \
		--initial-advertise-peer-urls "http://10.9.0.$n:2380" \
		--initial-cluster hv1=http://10.9.0.1:2380,hv2=http://10.9.0.2:2380,hv3=http://10.9.0.3:2380 \
		--heartbeat-interval 200 --election-timeout 2000
done
until_true on hv1 etcdctl --endpoints "$urls" endpoint health --cluster
show hv1 etcdctl --endpoints "$urls" member list

step "The hosts join; each runs the agent"
for n in 1 2 3; do
	show "hv$n" tenantnat cluster join "$urls"
	begin "hv$n" tenantnat agent
done

step "One file for all hosts, applied on one of them"
show hv1 cat demo/cluster.yaml
# without routers, whose interfaces are being set up, nothing can be probed yet
show hv1 tenantnat apply --wait 60 -f demo/cluster.yaml

step "keepalived decides which host forwards for blue"
if command -v keepalived >/dev/null; then
	guard hv2 2
	guard hv3 3
	moved_by=keepalived
else
	echo "(it is not installed: the address is moved by hand)"
	give hv2
	moved_by=hand
fi
until_true eval 'has_address hv2 || has_address hv3'
active=hv2 other=hv3
if has_address hv3; then
	active=hv3 other=hv2
fi
until_true eval "on $active tenantnat show blue | grep -q 'attached, active'"
show "$active" tenantnat show blue
show "$other" tenantnat show blue

step "red's VM, 10.0.0.5 on hv1, asks blue's VM, 10.0.0.5 on $active"
blue_web=$(on "$active" tenantnat map list blue | awk '$2 == "web" { print $4 }')
red_web=$(on hv1 tenantnat map list red | awk '$2 == "web" { print $4 }')
until_true on red-web ping -c 1 -W 1 "$blue_web"
expect "red cannot ping blue" show red-web ping -c 3 -i 0.2 -W 2 "$blue_web"
expect "blue cannot ping red" show blue-web ping -c 3 -i 0.2 -W 2 "$red_web"

step "An address for another VM of red, from a host that does not have its router"
show "$other" tenantnat map add --wait 60 red 10.0.0.6 | tee "$tmp/added"
added=$(tail -n 1 "$tmp/added")
expect "hv1 does not have $added" eval "on hv1 tenantnat map list red | grep -q '10.0.0.6 .*$added'"
show hv1 tenantnat map list red

step "blue's VM sends a large file to red's, and $active loses power: etcd, agent and router"
mkdir "$tmp/www"
head -c 24M /dev/urandom >"$tmp/www/file"
begin blue-web python3 -m http.server --directory "$tmp/www" 80
until_true on red-web curl -q -sf -o /dev/null -r 0-0 "http://$blue_web/file"
printf '%sred-web$ curl --limit-rate 6M http://%s/file%s\n' "$bold" "$blue_web" "$plain"
on red-web curl -q -sf --limit-rate 6M --max-time 60 -o "$tmp/file" "http://$blue_web/file" &
transfer=$!
until_true eval "[ \"\$(stat -c %s '$tmp/file')\" -gt 4000000 ]"
before=$(stat -c %s "$tmp/file")
lose "$active"
echo "$active is gone, $((before / 1000000)) of 25 MB had arrived"
[ "$moved_by" = keepalived ] || give "$other"
expect "the transfer broke" wait "$transfer"
expect "what arrived is not what was sent" cmp "$tmp/file" "$tmp/www/file"
echo "all of it has arrived, and it is what was sent"
expect "$other does not forward" eval "on $other tenantnat show blue | grep -q 'attached, active'"
show "$other" tenantnat show blue

step "Two members of etcd are left: what is allocated stays, and there is more"
expect "no address without $active" show hv1 tenantnat map add red 10.0.0.7
show hv1 tenantnat map list red
show hv1 tenantnat cluster status || true

verdict "one file on three hosts, and a transfer that outlived a host."
