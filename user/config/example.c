/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/example.h"

#include "config/write.h"
#include "lib/output.h"

/* A name that is no text, or has something in it that would end a line, is not for a file. */
static bool is_writable(const char *name)
{
	for (; *name; name++) {
		if (*name < 0x20 || *name > 0x7e)
			return false;
	}
	return true;
}

static void put_name(FILE *f, const char *name)
{
	if (text_is_plain(name)) {
		fputs(name, f);
		return;
	}
	fputc('"', f);
	for (; *name; name++) {
		if (strchr("\"\\", *name))
			fputc('\\', f);
		fputc(*name, f);
	}
	fputc('"', f);
}

/* For a comment. */
static void put_safely(FILE *f, const char *name)
{
	for (; *name; name++)
		fputc(*name >= 0x20 && *name <= 0x7e ? *name : '?', f);
}

static void put_prefixes(FILE *f, const struct prefix *v, size_t n)
{
	fputc('[', f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, addr_is_v4(&v[i].addr) ? "%s%s" : "%s\"%s\"", i ? ", " : "",
			PREFIX(&v[i]));
	fputc(']', f);
}

static void put_inside(FILE *f, const struct outline_router *r)
{
	fputc('[', f);
	if (r->neutron)
		fputs("\"qr-*\"", f);
	for (size_t i = 0; !r->neutron && i < r->inside.n; i++) {
		fputs(i ? ", " : "", f);
		put_name(f, r->inside.v[i]->name);
	}
	fputc(']', f);
}

/* "lan0 (10.0.0.1/24), qg-1 (203.0.113.7/24)", for a comment. */
static void put_ifaces(FILE *f, const struct namespace *ns)
{
	bool any = false;

	vec_each (i, &ns->ifaces.list) {
		const char *before = " (";

		if (i->loopback)
			continue;
		fputs(any ? ", " : "", f);
		any = true;
		put_safely(f, i->name);
		vec_each (a, &i->addrs) {
			struct prefix p = { a->addr, a->len };

			if (addr_is_special(&a->addr))
				continue;
			fprintf(f, "%s%s", before, PREFIX(&p));
			before = ", ";
		}
		fputs(strcmp(before, ", ") == 0 ? ")" : "", f);
	}
}

/* A fixed address that a VM of the router may have. */
static struct tn_addr some_fixed(const struct outline_router *r)
{
	struct tn_addr a;

	addr_parse("10.0.0.5", &a);
	vec_each (i, &r->inside) {
		vec_each (own, &(*i)->addrs) {
			if (addr_is_v4(&own->addr) && !addr_is_special(&own->addr) &&
			    own->len <= 128 - 4)
				return addr_add(&own->addr, 1);
		}
	}
	return a;
}

static bool is_complete(const struct outline_router *r)
{
	bool writable = is_writable(r->seen->name) && r->shared && is_writable(r->shared->name);

	vec_each (i, &r->inside)
		writable = writable && is_writable((*i)->name) && !inside_is_pattern((*i)->name);
	return writable && r->inside.n && netns_valid(r->seen->name);
}

/* Whether keepalived gives it its addresses, and takes them away: it hears of others by `ha-…`. */
static bool is_moved(const struct namespace *ns)
{
	vec_each (i, &ns->ifaces.list) {
		if (strncmp(i->name, "ha-", 3) == 0)
			return true;
	}
	return false;
}

static void put_router(FILE *f, const struct outline_router *r, const char *mark)
{
	fprintf(f, "%s  - name: ", mark);
	put_name(f, r->tenant);
	fprintf(f, "\n%s    router:\n%s      netns: ", mark, mark);
	put_name(f, r->seen->name);
	fprintf(f, "\n%s      shared: ", mark);
	put_name(f, r->shared ? r->shared->name : "shared0");
	fprintf(f, "%s\n%s      inside: ",
		r->shared ? "" : "    # its interface on the shared network", mark);
	put_inside(f, r);
	fputc('\n', f);
	if (r->neutron && is_moved(r->seen))
		fprintf(f,
			"%s      active: address               # HA: of its hosts, the one that "
			"has "
			"its addresses\n",
			mark);
	if (r->pools.n) {
		fprintf(f, "%s    pool: ", mark);
		put_prefixes(f, r->pools.v, r->pools.n);
		fputc('\n', f);
	}
}

static void put_wishes(FILE *f, const struct outline_router *r)
{
	struct tn_addr fixed = some_fixed(r);

	fprintf(f,
		"    # mappings:                     # its VMs that others may reach\n"
		"    #   - {name: web, fixed: %s}\n"
		"    # accept:                       # who may reach them; nobody else can\n"
		"    #   - {from: [\"*\"], to: [web], ports: [tcp/443, icmp/echo-request]}\n",
		ADDR(&fixed));
}

static void put_tenant(FILE *f, const struct outline_router *r)
{
	bool complete = is_complete(r);

	fputs("\n  # netns ", f);
	put_safely(f, r->seen->name);
	fputs(": ", f);
	put_ifaces(f, r->seen);
	fputc('\n', f);
	if (r->neutron)
		fputs("  # A router of Neutron: qr- interfaces lead to VMs, qg- and ha- do not.\n",
		      f);
	if (!r->shared)
		fputs("  # No interface of it, or more than one, looks like one on the shared "
		      "network:\n  # give it one, and take away the `#`.\n",
		      f);
	else if (!complete)
		fputs("  # It has no interface that leads to VMs, or names that no file can "
		      "have.\n",
		      f);
	put_router(f, r, complete ? "" : "#");
	if (complete)
		put_wishes(f, r);
}

static const char nobody[] =
	"\n"
	"  # - name: red\n"
	"  #   router:\n"
	"  #     netns: red                    # a name under /run/netns\n"
	"  #     shared: shared0               # its interface on the shared network\n"
	"  #     inside: [lan0]                # those that lead to its VMs; \"qr-*\" too\n"
	"  #   pool: [100.64.1.0/24]           # where its shared addresses come from\n"
	"  #   mappings:                       # its VMs that others may reach\n"
	"  #     - {name: web, fixed: 10.0.0.5}\n"
	"  #   accept:                         # who may reach them; nobody else can\n"
	"  #     - {from: [\"*\"], to: [web], ports: [tcp/443, icmp/echo-request]}\n";

void example_write(const struct outline *o, FILE *to)
{
	bool any = false;

	vec_each (r, &o->routers)
		any |= is_complete(r);
	fputs("# Definitions of tenantnat: who the tenants are, and who may reach whom. A guess "
	      "of\n"
	      "# `tenantnat init`: look at each line. `tenantnat apply --dry-run -f FILE` says "
	      "what\n"
	      "# it would do, `tenantnat doctor -f FILE` what is wrong with the routers.\n"
	      "shared-network:\n"
	      "  subnets: ",
	      to);
	put_prefixes(to, o->subnets.v, o->subnets.n);
	fputs(o->subnets_seen ? "      # the same on every host\n"
			      : "      # a range that is free here; it has to be on every host\n",
	      to);
	fputs(any ? "tenants:\n" : "tenants: []                         # instead of `[]`:\n", to);
	vec_each (r, &o->routers)
		put_tenant(to, r);
	if (!o->routers.n)
		fputs(nobody, to);
	fputs("\n  # A tenant whose router is on another host:\n"
	      "  # - name: green\n"
	      "  #   pool: [100.64.3.0/24]\n",
	      to);
}

json_t *example_json(const struct outline *o)
{
	json_t *routers = json_array();

	vec_each (r, &o->routers) {
		json_t *inside = json_array();

		vec_each (i, &r->inside)
			json_array_append_new(inside, json_string((*i)->name));
		json_array_append_new(routers,
				      json_pack("{s:s, s:s, s:o, s:o}", "tenant", r->tenant,
						"netns", r->seen->name, "shared",
						json_text(r->shared ? r->shared->name : NULL),
						"inside", inside));
	}
	return json_pack("{s:o, s:o}", "subnets", prefixes_json(o->subnets.v, o->subnets.n),
			 "routers", routers);
}
