/* SPDX-License-Identifier: GPL-2.0-only */
/* names: what mappings are called in DNS, for a server. */
#include "change/cluster_change.h"
#include "cmd/cmd.h"
#include "lib/log.h"
#include "lib/output.h"
#include "observe/dns_text.h"
#include "store/store.h"

enum format { HOSTS, ZONE, DNSMASQ, JSON, FORMATS };
static const char *const formats[FORMATS] = { "hosts", "zone", "dnsmasq", "json" };

struct request {
	enum format format;
	const struct prefix *under; /* NULL: no reverse names */
};

static int read_format(const struct invocation *inv, enum format *out, struct error *err)
{
	const char *word = cmd_value(inv, "format");

	*out = inv->json ? JSON : HOSTS;
	for (int i = 0; word && i < FORMATS; i++) {
		if (strcmp(word, formats[i]) != 0)
			continue;
		*out = (enum format)i;
		return inv->json && i != JSON
			       ? error_usage(err, "--format %s and --json: leave one out", word)
			       : 0;
	}
	return word ? error_usage(err,
				  "--format %s: there is none of that name; give hosts, zone, "
				  "dnsmasq or json",
				  word)
		    : 0;
}

static int read_reverse(const struct invocation *inv, struct request *q, struct prefix *under,
			struct error *err)
{
	const char *word = cmd_value(inv, "reverse");

	if (!word)
		return 0;
	if (q->format != ZONE)
		return error_usage(err, "--reverse is for --format zone: in the other formats "
					"servers make the reverse names themselves");
	if (!prefix_parse(word, under))
		return error_usage(err, "--reverse %s: give a subnet, such as 100.64.0.0/16", word);
	q->under = under;
	return 0;
}

/* 0: this host is in no cluster, or is not to ask it; 1: it is, and *out is what that one has. */
static int load_of_cluster(const struct invocation *inv, struct model *m, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s = { 0 };
	int ret = cmd_value(inv, "here") ? 0 : cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret ? error_prefix(err, "without the cluster, --here has what this host "
					       "knows")
			   : 0;
	return cluster_had(&s, m, err) ? -1 : 1;
#else
	(void)inv, (void)m, (void)err;
	return 0;
#endif
}

static int load(const struct invocation *inv, struct model *m, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	int ret = load_of_cluster(inv, m, err);

	if (ret < 0)
		return -1;
	if (ret == 0 &&
	    (store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) ||
	     store_load(store, m, err)))
		return -1;
	return m->zone ? 0
		       : error_set(err, "the definitions have no zone for names; write "
					"`names: {zone: shared.internal}` under `shared-network`, "
					"and apply that");
}

static void warn(const struct dns_names *n)
{
	char buf[DNS_FAULT];

	vec_each (one, &n->bad)
		log_warning("%s/%s has no name: %s", one->tenant->name, one->mapping->name,
			    dns_fault(one->tenant->name, one->mapping->name, buf));
	vec_each (one, &n->twice)
		log_warning("%s/%s has no name: another mapping would have the same; rename one",
			    one->tenant->name, one->mapping->name);
}

static int print(const struct request *q, const struct model *m, const struct dns_names *n,
		 struct error *err)
{
	switch (q->format) {
	case HOSTS:
		dns_write_hosts(m->zone, n, stdout);
		return 0;
	case DNSMASQ:
		dns_write_dnsmasq(m->zone, n, stdout);
		return 0;
	case ZONE:
		dns_write_zone(m->zone, n, q->under, stdout);
		return 0;
	default:
		return json_print(dns_json(m->zone, n), err);
	}
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_dns_names_ struct dns_names names = { 0 };
	_cleanup_model_ struct model m = { 0 };
	struct request q = { 0 };
	struct prefix under;

	if (read_format(inv, &q.format, err) || read_reverse(inv, &q, &under, err) ||
	    load(inv, &m, err))
		return -1;
	dns_names_make(&m, &names);
	if (!inv->settings.quiet)
		warn(&names);
	return print(&q, &m, &names, err);
}

const struct command cmd_names = {
	.name = "names",
	.synopsis = "[--format FORMAT] [--reverse SUBNET] [--here]",
	.summary = "Print the names of mappings for a DNS server",
	.help = "With `names: {zone: shared.internal}` in the definitions, every mapping that has "
		"a name is\n"
		"called TENANT-MAPPING.shared.internal. Formats:\n"
		"\n"
		"  hosts    an address and its name a line, as in /etc/hosts (default)\n"
		"  zone     A and AAAA records, to $INCLUDE behind your zone's SOA and NS "
		"records;\n"
		"           with --reverse SUBNET the PTR records of its addresses instead\n"
		"  dnsmasq  host-record= lines of dnsmasq\n"
		"  json     what -j prints\n"
		"\n"
		"On a host of a cluster these are the names of the whole cluster, as etcd has "
		"them. With --here\n"
		"they are those that the host knows: of tenants whose router it has, and of the "
		"few mappings\n"
		"elsewhere that it needs. `agent` keeps a file of these.\n"
		"\n"
		"JSON: {\"zone\", \"names\": [{\"name\", \"tenant\", \"mapping\", \"shared\": "
		"[addresses]}],\n"
		"\"left_out\": [{\"tenant\", \"mapping\", \"why\": it has no name}]}",
	.options = { { "format", 0, "FORMAT", "hosts, zone, dnsmasq or json (default hosts)" },
		     { "reverse", 0, "SUBNET", "reverse names of these addresses; with zone" },
		     { "here", 0, NULL, "do not ask the cluster" } },
	.run = run,
};
