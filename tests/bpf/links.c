/* SPDX-License-Identifier: GPL-2.0-only */
#include "links.h"

#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>

uint32_t links_inside;

static void switch_on(const char *path)
{
	FILE *f = fopen(path, "w");

	need(f && fputc('1', f) != EOF && fclose(f) == 0, path);
}

void links_ip(const char *commands)
{
	FILE *ip = popen("ip -batch -", "w");

	need(ip, "running ip");
	fputs(commands, ip);
	need(pclose(ip) == 0, "running ip");
}

static struct lab *open_with(const struct lab_options *o)
{
	struct lab *lab = lab_open(o);

	links_ip("link set lo up\n"
		 "link add lan0 address " MAC_ROUTER " mtu " LINKS_MTU " type veth peer name vm0\n"
		 "link set lan0 up\nlink set vm0 up\n"
		 "addr add 10.0.0.1/24 dev lan0\naddr add fd00:10::1/64 dev lan0 nodad\n"
		 "route add 100.64.0.0/16 dev lo mtu lock " LINKS_MTU "\n"
		 "route add 100.64.77.0/24 dev lan0\nroute add unreachable 100.64.78.0/24\n");
	switch_on("/proc/sys/net/ipv4/ip_forward");
	switch_on("/proc/sys/net/ipv6/conf/all/forwarding");
	links_inside = if_nametoindex("lan0");
	return lab;
}

struct lab *links_open(unsigned int programs, enum links_path path, bool loose)
{
	return open_with(&(struct lab_options){ .programs = programs,
						.loose = loose,
						.fast = path != BY_STACK,
						.reads_nothing = path == PAST_STACK_ASKING,
						.own_slots = true });
}

struct lab *links_open_known_as(const struct lab_options *o)
{
	struct lab *lab = open_with(o);

	links_ip("neigh add 10.0.0.5 lladdr " MAC_VM " dev lan0 nud permanent\n"
		 "neigh add 10.0.0.77 lladdr " MAC_VM2 " dev lan0 nud permanent\n"
		 "neigh add fd00:10::5 lladdr " MAC_VM " dev lan0 nud permanent\n"
		 "neigh add " GREEN_SHARED " lladdr " MAC_NEXT " dev lo nud permanent\n"
		 "neigh add " GREEN_SHARED_6 " lladdr " MAC_NEXT " dev lo nud permanent\n"
		 "route add fd64::/64 dev lo mtu lock " LINKS_MTU "\n");
	return lab;
}

struct lab *links_open_known(unsigned int programs, enum links_path path, const char *mac)
{
	return links_open_known_as(
		&(struct lab_options){ .programs = programs,
				       .fast = path != BY_STACK,
				       .reads_nothing = path == PAST_STACK_ASKING,
				       .mac = mac,
				       .own_slots = true });
}

void links_take_xdp(struct lab *lab)
{
	struct tn_station own = { .xmit = { links_inside } };
	uint32_t router = RED;

	need(bpf_map_update_elem(lab_map_fd(lab, "stations"), &router, &own, BPF_ANY) == 0,
	     "stations");
}
