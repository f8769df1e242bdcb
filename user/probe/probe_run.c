/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_run.h"

#include "model/prefixes.h"

const char *probe_host_text(const struct probe_host *h, char buf[PROBE_TEXT])
{
	snprintf(buf, PROBE_TEXT, h->who ? "%s (%s)" : "%s",
		 mapping_side_text(&h->addr, h->bits, (char[ADDR_TEXT]){ 0 }), h->who);
	return buf;
}

const char *probe_next_hop_text(const struct next_hop *w, char buf[PROBE_TEXT])
{
	char name[IF_NAMESIZE];

	if (w->local)
		snprintf(buf, PROBE_TEXT, "it is an address of this router");
	else if (!w->ifindex)
		snprintf(buf, PROBE_TEXT, "no route (%s)", w->why);
	else if (addr_is_unset(&w->gateway))
		snprintf(buf, PROBE_TEXT, "by %s",
			 if_indextoname(w->ifindex, name) ? name : "an interface that has gone");
	else
		snprintf(buf, PROBE_TEXT, "by %s via %s",
			 if_indextoname(w->ifindex, name) ? name : "an interface that has gone",
			 ADDR(&w->gateway));
	return buf;
}

const char *probe_protocol(const struct tn_addr *a)
{
	return addr_is_v4(a) ? "ARP" : "neighbour solicitation";
}
