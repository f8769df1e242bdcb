/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_interface.h"

#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int interface_ask(uint32_t ifindex, unsigned long what, struct ifreq *out)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(out, 0, sizeof(*out));
	if (fd < 0 || !if_indextoname(ifindex, out->ifr_name) || ioctl(fd, what, out))
		return -1;
	return 0;
}

int probe_mac(uint32_t ifindex, uint8_t mac[6])
{
	struct ifreq r;

	if (interface_ask(ifindex, SIOCGIFHWADDR, &r) || r.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return -1;
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return 0;
}

uint32_t probe_mtu(uint32_t ifindex)
{
	struct ifreq r;

	return interface_ask(ifindex, SIOCGIFMTU, &r) ? 0 : r.ifr_mtu;
}

int probe_interface(uint32_t ifindex, struct probe_input *in, struct error *err)
{
	struct ifreq r;

	in->ifindex = ifindex;
	if (probe_mac(ifindex, in->mac) || interface_ask(ifindex, SIOCGIFMTU, &r))
		return error_set(err,
				 "there is no Ethernet interface with the index %u any more; run "
				 "`tenantnat apply` again",
				 ifindex);
	in->mtu = r.ifr_mtu;
	snprintf(in->name, sizeof(in->name), "%s", r.ifr_name);
	return 0;
}

const char *probe_silence(uint32_t ifindex)
{
	struct ifreq r;

	if (interface_ask(ifindex, SIOCGIFFLAGS, &r))
		return "it is gone";
	return !(r.ifr_flags & IFF_UP)	      ? "it is down"
	       : !(r.ifr_flags & IFF_RUNNING) ? "it has no carrier"
					      : NULL;
}

void probe_carrier(struct probe_run *run)
{
	const struct probe_input *in = run->in;
	struct finding *f;
	struct ifreq r;

	run->down = true;
	if (interface_ask(in->ifindex, SIOCGIFFLAGS, &r)) {
		findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
			     "expected the interface with index %u; seen: none", in->ifindex);
	} else if (!(r.ifr_flags & IFF_UP)) {
		f = findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
				 "expected it up; seen: it is down");
		finding_remedy(f, "`ip link set %s up`", in->name);
	} else if (!(r.ifr_flags & IFF_RUNNING)) {
		f = findings_add(&run->found, PROBE_CARRIER, PROBE_FAILED, in->name,
				 "expected a carrier; seen: none");
		finding_remedy(f, "plug in the other end of %s, or set it up", in->name);
	} else {
		run->down = false;
		findings_add(&run->found, PROBE_CARRIER, PROBE_OK, in->name,
			     "up, with a carrier, MTU %u", in->mtu);
	}
}
