/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/iface.h"

#include <fnmatch.h>

void ifaces_free(struct ifaces *ifaces)
{
	vec_each (i, &ifaces->list)
		vec_free(&i->addrs);
	vec_free(&ifaces->list);
	vec_free(&ifaces->routes);
	vec_free(&ifaces->proxies);
}

bool ifaces_have(const struct ifaces *ifaces, const struct tn_addr *a)
{
	vec_each (i, &ifaces->list) {
		vec_each (own, &i->addrs) {
			if (addr_cmp(&own->addr, a) == 0)
				return true;
		}
	}
	return false;
}

static const struct iface *by_name(const struct ifaces *ifaces, const char *name)
{
	vec_each (i, &ifaces->list) {
		if (strcmp(i->name, name) == 0)
			return i;
	}
	return NULL;
}

static bool on_shared_network(const struct iface *i, const struct model *m)
{
	vec_each (a, &i->addrs) {
		if (model_shares(m, &a->addr))
			return true;
	}
	return false;
}

/* "lo (127.0.0.1), lan0 (10.0.0.1)": what there was to choose from. */
static const char *seen(const struct ifaces *ifaces, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	vec_each (i, &ifaces->list) {
		n += snprintf(text + n, size - n, "%s%s", n ? ", " : "", i->name);
		if (n >= size)
			break;
		vec_each (a, &i->addrs) {
			if (addr_is_special(&a->addr))
				continue;
			n += snprintf(text + n, size - n, " %s", ADDR(&a->addr));
			if (n >= size)
				return text;
		}
	}
	return text;
}

static const struct iface *named(const struct ifaces *ifaces, const char *name, struct error *err)
{
	const struct iface *i = by_name(ifaces, name);
	char text[600];

	if (!i)
		error_set(err, "there is no interface %s; seen: %s. Correct the router's `shared`",
			  name, seen(ifaces, text, sizeof(text)));
	return i;
}

/* The only one with an address in the shared subnets. */
static const struct iface *only_one(const struct ifaces *ifaces, const struct model *m,
				    struct error *err)
{
	const struct iface *found = NULL;
	char names[120] = "", text[600];
	size_t n = 0, many = 0;

	vec_each (i, &ifaces->list) {
		if (!on_shared_network(i, m))
			continue;
		if (n < sizeof(names))
			n += snprintf(names + n, sizeof(names) - n, "%s%s", n ? " and " : "",
				      i->name);
		found = i;
		many++;
	}
	if (many == 1)
		return found;
	if (many)
		error_set(err,
			  "%s have an address in the shared subnets; seen: %s. Name one with the "
			  "router's `shared`",
			  names, seen(ifaces, text, sizeof(text)));
	else
		error_set(err,
			  "no interface has an address in the shared subnets; seen: %s. Name the "
			  "one on the shared network with the router's `shared`",
			  seen(ifaces, text, sizeof(text)));
	return NULL;
}

const struct iface *iface_shared(const struct ifaces *ifaces, const struct router *r,
				 const struct model *m, struct error *err)
{
	const struct iface *found =
		r->shared ? named(ifaces, r->shared, err) : only_one(ifaces, m, err);

	vec_each (i, &ifaces->list) {
		if (found && found->master == i->index && iface_is_vrf(i)) {
			error_set(
				err,
				"%s is in the VRF %s, and its routes in a table of its own, which "
				"tenantnat does not look at; take it out of the VRF",
				found->name, i->name);
			return NULL;
		}
	}
	if (found && (!found->ethernet || found->loopback)) {
		error_set(err, "%s is not an Ethernet interface; a shared network needs one",
			  found->name);
		return NULL;
	}
	return found;
}

/* ------------------------------------------------------------ inside */

static const struct iface *by_index(const struct ifaces *ifaces, uint32_t index)
{
	vec_each (i, &ifaces->list) {
		if (index && i->index == index)
			return i;
	}
	return NULL;
}

static bool is_of(const struct iface *i, const char *const *kinds, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (strcmp(i->kind, kinds[k]) == 0)
			return true;
	}
	return false;
}

bool iface_is_raw(const struct iface *i)
{
	static const char *const kinds[] = { "tun", "wireguard", "ppp" };

	return !i->ethernet && is_of(i, kinds, ARRAY_SIZE(kinds));
}

bool iface_is_vrf(const struct iface *i)
{
	return strcmp(i->kind, "vrf") == 0;
}

static bool can_be_inside(const struct iface *i)
{
	return (i->ethernet && !i->loopback && !iface_is_vrf(i)) || iface_is_raw(i);
}

/* What comes in by it comes to the router by its master. A VRF leaves it where it is. */
static bool is_port(const struct ifaces *ifaces, const struct iface *i)
{
	const struct iface *master = by_index(ifaces, i->master);

	return i->master && !(master && iface_is_vrf(master));
}

/* Tunnels of Ethernet frames. */
static bool has_to_be_named(const struct iface *i)
{
	static const char *const kinds[] = { "vxlan",  "geneve",    "gretap", "ip6gretap",
					     "erspan", "ip6erspan", "l2tpeth" };

	return is_of(i, kinds, ARRAY_SIZE(kinds));
}

/* What a macvlan and the like, which are on the network of what they stand on, lead down to. */
struct base {
	bool elsewhere;
	int32_t netnsid;
	uint32_t index;
};

static struct base base_of(const struct ifaces *ifaces, const struct iface *i)
{
	static const char *const kinds[] = { "macvlan", "macvtap", "ipvlan", "ipvtap" };

	for (size_t n = 0; n < ifaces->list.n && is_of(i, kinds, ARRAY_SIZE(kinds)); n++) {
		const struct iface *below = by_index(ifaces, i->link);

		if (i->link_elsewhere)
			return (struct base){ true, i->netnsid, i->link };
		if (!below)
			break;
		i = below;
	}
	return (struct base){ .index = i->index };
}

/* A VLAN device is on a network of its own, and so is what it stands on. */
static bool is_on_network_of(const struct ifaces *ifaces, const struct iface *i,
			     const struct iface *shared)
{
	struct base a = base_of(ifaces, i), b = base_of(ifaces, shared);
	const struct iface *below = b.elsewhere ? NULL : by_index(ifaces, b.index);

	return (a.elsewhere == b.elsewhere && a.netnsid == b.netnsid && a.index == b.index) ||
	       (below && below->master == i->index);
}

static bool is_inside_by_itself(const struct ifaces *ifaces, const struct iface *i,
				const struct iface *shared)
{
	return can_be_inside(i) && i->ethernet && !i->master && !has_to_be_named(i) &&
	       !(shared && is_on_network_of(ifaces, i, shared));
}

/* `entry`: of `inside` */
static bool matches(const char *entry, const struct iface *i)
{
	return inside_is_pattern(entry) ? fnmatch(entry, i->name, 0) == 0
					: strcmp(entry, i->name) == 0;
}

static bool takes(const struct ifaces *ifaces, const char *entry, const struct iface *i,
		  const struct iface *shared)
{
	return matches(entry, i) && (!inside_is_pattern(entry) ||
				     (i != shared && can_be_inside(i) && !is_port(ifaces, i)));
}

static bool is_inside(const struct ifaces *ifaces, const struct iface *i, const struct router *r,
		      const struct iface *shared)
{
	if (!r->inside.n)
		return is_inside_by_itself(ifaces, i, shared);
	vec_each (entry, &r->inside) {
		if (takes(ifaces, *entry, i, shared))
			return true;
	}
	return false;
}

/* A member of that VRF that is no inside interface. */
static const struct iface *other_member(const struct ifaces *ifaces, const struct iface *vrf,
					const struct router *r, const struct iface *shared)
{
	vec_each (i, &ifaces->list) {
		if (i->master == vrf->index && !is_inside(ifaces, i, r, shared))
			return i;
	}
	return NULL;
}

static const struct iface *inside_member(const struct ifaces *ifaces, const struct iface *vrf,
					 const struct router *r, const struct iface *shared)
{
	vec_each (i, &ifaces->list) {
		if (i->master == vrf->index && is_inside(ifaces, i, r, shared))
			return i;
	}
	return NULL;
}

/* What members send is forwarded as if it came by the VRF: so by that alone nobody is told apart.
 */
static bool is_inside_vrf(const struct ifaces *ifaces, const struct iface *i,
			  const struct router *r, const struct iface *shared)
{
	return iface_is_vrf(i) && inside_member(ifaces, i, r, shared) &&
	       !other_member(ifaces, i, r, shared);
}

static int check_named(const struct ifaces *ifaces, const char *name, const struct iface *shared,
		       struct error *err)
{
	const struct iface *i = by_name(ifaces, name);
	char text[600];

	if (!i)
		return error_set(err,
				 "there is no interface %s; seen: %s. Correct the router's "
				 "`inside`",
				 name, seen(ifaces, text, sizeof(text)));
	if (i == shared || i->loopback)
		return error_set(err,
				 "%s cannot be an inside interface: it is %s; correct the router's "
				 "`inside`",
				 name, i == shared ? "the shared one" : "loopback");
	if (iface_is_vrf(i))
		return error_set(err,
				 "%s cannot be an inside interface: it is a VRF, by which nothing "
				 "comes in; name its members with the router's `inside`",
				 name);
	if (can_be_inside(i))
		return 0;
	return error_set(err,
			 "%s cannot be an inside interface: it is no Ethernet interface, and no "
			 "TUN, WireGuard or PPP device, but %s%s; connect the VMs by one of these, "
			 "and correct the router's `inside`",
			 name, i->kind[0] ? "of the kind " : "another", i->kind);
}

int iface_inside(const struct ifaces *ifaces, const struct router *r, const struct iface *shared,
		 uint32_t out[TN_INSIDE_MAX], struct error *err)
{
	size_t n = 0;

	memset(out, 0, TN_INSIDE_MAX * sizeof(*out));
	vec_each (entry, &r->inside) {
		if (!inside_is_pattern(*entry) && check_named(ifaces, *entry, shared, err))
			return -1;
	}
	/* interfaces are listed by index */
	vec_each (i, &ifaces->list) {
		if (!is_inside(ifaces, i, r, shared) && !is_inside_vrf(ifaces, i, r, shared))
			continue;
		if (n == TN_INSIDE_MAX)
			return error_set(
				err,
				"more than %d inside interfaces; name %s with the router's "
				"`inside`",
				TN_INSIDE_MAX, r->inside.n ? "fewer" : "the ones that lead to VMs");
		out[n++] = i->index;
	}
	return 0;
}

static bool is_among(const uint32_t *list, size_t n, uint32_t index)
{
	for (size_t i = 0; i < n && list[i]; i++) {
		if (list[i] == index)
			return true;
	}
	return false;
}

bool iface_is_late(const struct ifaces *ifaces, const struct router *r, const struct iface *shared,
		   const uint32_t attached[TN_INSIDE_MAX], uint32_t index)
{
	uint32_t wanted[TN_INSIDE_MAX];
	struct error ignored = { 0 };

	return index && !is_among(attached, TN_INSIDE_MAX, index) &&
	       iface_inside(ifaces, r, shared, wanted, &ignored) == 0 &&
	       is_among(wanted, TN_INSIDE_MAX, index);
}

void ifaces_culprit(const struct ifaces *ifaces, const struct tn_addr *to, const uint32_t *right,
		    size_t n, struct iface_culprit *out)
{
	uint8_t covered = 0;

	memset(out, 0, sizeof(*out));
	vec_each (r, &ifaces->routes) {
		if (!prefix_has(&r->to, to))
			continue;
		if (is_among(right, n, r->ifindex)) {
			out->covered = true;
			covered = r->to.len > covered ? r->to.len : covered;
		} else if (!r->ours && (!out->found || r->to.len > out->to.len)) {
			out->found = true;
			out->to = r->to;
			out->ifindex = r->ifindex;
		}
	}
	out->found &= !out->covered || out->to.len >= covered;
}

const char *iface_culprit_del(const struct ifaces *ifaces, const struct iface_culprit *c,
			      char buf[IFACE_ROUTE_DEL])
{
	const struct iface *by = by_index(ifaces, c->ifindex);

	snprintf(buf, IFACE_ROUTE_DEL, "%s route del %s%s%s%s",
		 addr_is_v4(&c->to.addr) ? "ip" : "ip -6", c->ifindex ? "" : "unreachable ",
		 PREFIX(&c->to), by ? " dev " : "", by ? by->name : "");
	return buf;
}

bool iface_addr_is_cut_off(const struct iface_addr *a, const struct model *m)
{
	bool of_link = !addr_is_v4(&a->addr) && addr_is_special(&a->addr);

	return !a->ours && !of_link && !model_shares(m, &a->addr);
}

static bool is_in_any(const struct prefix *v, size_t n, const struct tn_addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (prefix_has(&v[i], a))
			return true;
	}
	return false;
}

bool iface_makes_active(const struct iface *shared, const struct router_row *r,
			const struct prefix *subnets, size_t n)
{
	bool has[FAMILIES] = { 0 }, any = false;

	vec_each (a, &shared->addrs) {
		if (a->ours || a->failed)
			continue;
		any |= is_in_any(subnets, n, &a->addr);
		for (int f = 0; f < FAMILIES; f++)
			has[f] |= addr_cmp(&a->addr, &r->own[f]) == 0;
	}
	if (!r->needs[IPV4] && !r->needs[IPV6])
		return any;
	return (has[IPV4] || !r->needs[IPV4]) && (has[IPV6] || !r->needs[IPV6]);
}

bool iface_stands_in(const struct iface *shared, const struct iface_addr *a,
		     const struct prefix *subnets, size_t n)
{
	if (a->ours || a->len < 128)
		return false;
	vec_each (other, &shared->addrs) {
		if ((other->ours || other->len < 128) &&
		    addr_family(&other->addr) == addr_family(&a->addr) &&
		    is_in_any(subnets, n, &other->addr))
			return true;
	}
	return false;
}

bool ifaces_have_unreachable(const struct ifaces *ifaces, const struct prefix *to, bool others)
{
	vec_each (r, &ifaces->routes) {
		if (!r->ifindex && !(others && r->ours) && r->to.len == to->len &&
		    addr_cmp(&r->to.addr, &to->addr) == 0)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ doubts */

static bool takes_any(const struct ifaces *ifaces, const char *entry, const struct iface *shared)
{
	vec_each (i, &ifaces->list) {
		if (takes(ifaces, entry, i, shared))
			return true;
	}
	return false;
}

static bool has_any(const struct ifaces *ifaces, const struct router *r, const struct iface *shared)
{
	vec_each (i, &ifaces->list) {
		if (is_inside(ifaces, i, r, shared))
			return true;
	}
	return false;
}

/* The patterns that nothing matches, "`qr-*`, `tap?`"; gives how many. */
static size_t unmatched(const struct ifaces *ifaces, const struct router *r,
			const struct iface *shared, char *text, size_t size)
{
	size_t many = 0, n = 0;

	vec_each (entry, &r->inside) {
		if (!inside_is_pattern(*entry) || takes_any(ifaces, *entry, shared))
			continue;
		if (n < size)
			n += snprintf(text + n, size - n, "%s`%s`", many ? ", " : "", *entry);
		many++;
	}
	return many;
}

/* The first port of a master that is named, or that only for that a pattern did not take. */
static const struct iface *port_of(const struct ifaces *ifaces, const struct router *r,
				   const struct iface *shared)
{
	vec_each (entry, &r->inside) {
		if (inside_is_pattern(*entry) && takes_any(ifaces, *entry, shared))
			continue;
		vec_each (i, &ifaces->list) {
			if (i != shared && is_port(ifaces, i) && matches(*entry, i))
				return i;
		}
	}
	return NULL;
}

/* The first VRF of inside interfaces that others are in, too. */
static const struct iface *mixed_vrf(const struct ifaces *ifaces, const struct router *r,
				     const struct iface *shared)
{
	vec_each (i, &ifaces->list) {
		if (iface_is_vrf(i) && inside_member(ifaces, i, r, shared) &&
		    other_member(ifaces, i, r, shared))
			return i;
	}
	return NULL;
}

bool iface_inside_doubt(const struct ifaces *ifaces, const struct router *r,
			const struct iface *shared, struct error *doubt)
{
	const struct iface *port = port_of(ifaces, r, shared);
	const struct iface *master = port ? by_index(ifaces, port->master) : NULL;
	const struct iface *vrf = mixed_vrf(ifaces, r, shared);
	char patterns[300], text[600];

	seen(ifaces, text, sizeof(text));
	if (master)
		error_set(doubt,
			  "%s is a port of %s, so the router receives its packets there; name "
			  "%s with the router's `inside`",
			  port->name, master->name, master->name);
	else if (vrf)
		error_set(
			doubt,
			"%s is in the VRF %s together with %s, which is no inside interface. The "
			"kernel does not say by which of them a packet came, so what goes through "
			"the stack is dropped (wrong-ingress). Take %s out of %s, or add it to "
			"`inside` if it leads to VMs",
			inside_member(ifaces, vrf, r, shared)->name, vrf->name,
			other_member(ifaces, vrf, r, shared)->name,
			other_member(ifaces, vrf, r, shared)->name, vrf->name);
	else if (unmatched(ifaces, r, shared, patterns, sizeof(patterns)))
		error_set(doubt,
			  "no interface matches %s of `inside`; seen: %s. One that appears later "
			  "is attached by the agent, or by the next apply or restore; else correct "
			  "the router's "
			  "`inside`",
			  patterns, text);
	else if (!r->inside.n && !has_any(ifaces, r, shared))
		error_set(
			doubt,
			"there is no inside interface, and so no way to a VM; seen: %s. Name those "
			"that lead to VMs with the router's `inside`",
			text);
	return doubt->set;
}

enum hook iface_hook(const struct iface *i, enum hook asked)
{
	if (asked != HOOK_AUTO)
		return asked;
	return i->kind[0] ? HOOK_TC : HOOK_XDP;
}
