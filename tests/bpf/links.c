/* SPDX-License-Identifier: GPL-2.0-only */
#include "links.h"

#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>

uint32_t links_inside;

#define TEXT(x)	   #x
#define TEXT_OF(x) TEXT(x)

static void switch_on(const char *path)
{
	FILE *f = fopen(path, "w");

	need(f && fputc('1', f) != EOF && fclose(f) == 0, path);
}

static void run_ip(const char *command, const char *line, size_t len)
{
	FILE *ip = popen(command, "w");

	need(ip, command);
	fwrite(line, len, 1, ip);
	need(pclose(ip) == 0, line);
}

void links_ip(const char *commands)
{
	static const char six[] = "-6 ";

	/* in a batch no line has options */
	while (*commands) {
		bool is_six = strncmp(commands, six, strlen(six)) == 0;
		const char *end = is_six ? strchr(commands, '\n') + 1 : strstr(commands, "\n-6 ");
		size_t skip = is_six ? strlen(six) : 0;

		end = end ? end + !is_six : commands + strlen(commands);
		run_ip(is_six ? "ip -6 -batch -" : "ip -batch -", commands + skip,
		       end - commands - skip);
		commands = end;
	}
}

static struct lab *open_with(const struct lab_options *o)
{
	struct lab *lab = lab_open(o);

	links_ip("link set lo up\n"
		 "link add lan0 address " MAC_ROUTER " mtu " LINKS_MTU " type veth peer name vm0\n"
		 "link set lan0 up\nlink set vm0 up\n"
		 "addr add 10.0.0.1/24 dev lan0\naddr add fd00:10::1/64 dev lan0 nodad\n"
		 "link add up0 index " TEXT_OF(
			 LINKS_UPLINK) " type veth peer name far0\n"
				       "link set up0 up\nlink set far0 up\n"
				       "addr add 192.0.2.1/24 dev up0\naddr add 2001:db8::1/64 dev "
				       "up0 nodad\n"
				       "route add default dev up0\nroute add ::/0 dev up0\n"
				       "route add 100.64.0.0/16 dev lo mtu lock " LINKS_MTU "\n"
				       "route add 100.64.77.0/24 dev lan0\nroute add unreachable "
				       "100.64.78.0/24\n");
	switch_on("/proc/sys/net/ipv4/ip_forward");
	switch_on("/proc/sys/net/ipv6/conf/all/forwarding");
	links_inside = if_nametoindex("lan0");
	return lab;
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
	lab_xmit(lab, links_inside);
}

void links_tell_again(struct lab *lab)
{
	struct {
		uint64_t resolve, tell;
	} full = { 0 };
	uint32_t router = RED;

	need(bpf_map_update_elem(lab_map_fd(lab, "buckets"), &router, &full, BPF_ANY) == 0,
	     "buckets");
}
