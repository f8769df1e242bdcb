#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# guest.sh NIC…: inside the guest: the network interfaces, then the agent on the serial port that
# the test gave the machine. NIC is DEVICE,ADDRESS/LENGTH…,GATEWAY… for both families.
set -e
modprobe -a virtio_net virtio_console
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
	net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
table=100
for nic; do
	oldifs=$IFS
	IFS=,
	# shellcheck disable=SC2086 # its fields
	set -- $nic
	IFS=$oldifs
	table=$((table + 1))
	ip link set "$1" up
	for pair in "$2 $4" "$3 $5"; do
		address=${pair% *} gateway=${pair#* }
		ip addr add "$address" dev "$1" nodad 2>/dev/null || ip addr add "$address" dev "$1"
		ip route add default via "$gateway" dev "$1" metric $table
		# what is sent as an address leaves where that address is
		family=-4
		case $address in *:*) family=-6 ;; esac
		ip $family route add default via "$gateway" dev "$1" table $table
		ip $family rule add from "${address%/*}" table $table
	done
done
set -- /sys/class/virtio-ports/*
exec /usr/bin/python3 tests/vm/agent.py "/dev/${1##*/}"
