/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/on_link.h"

/* A network of an inside interface, or what a gateway inside leads to. */
struct reach {
	struct prefix to;
	struct tn_addr via;
	const struct iface *by; /* of a network */
	bool defined;		/* by `inside-routes` */
};

typedef VEC(struct reach) reach_vec;

static bool is_inside(const uint32_t *inside, uint32_t index)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && inside[i]; i++) {
		if (inside[i] == index)
			return true;
	}
	return false;
}

static bool is_default(const struct prefix *p)
{
	return p->len == (addr_is_v4(&p->addr) ? 96 : 0);
}

static void gateways_of(const struct ifaces *ifaces, const struct router *r, const uint32_t *inside,
			reach_vec *out)
{
	vec_each (route, &r->inside_routes)
		*vec_push(out) = (struct reach){ route->to, route->via, NULL, true };
	vec_each (route, &ifaces->routes) {
		if (is_inside(inside, route->ifindex) && !addr_is_unset(&route->via) &&
		    !route->ours && !is_default(&route->to))
			*vec_push(out) = (struct reach){ route->to, route->via, NULL, false };
	}
}

static void networks_of(const struct ifaces *ifaces, const uint32_t *inside, reach_vec *out)
{
	vec_each (i, &ifaces->list) {
		vec_each (a, &i->addrs) {
			struct prefix net = { a->addr, a->len };

			if (!is_inside(inside, i->index) || addr_is_special(&a->addr) ||
			    a->len == 128)
				continue;
			for (int k = 0; k < 4; k++)
				net.addr.w[k] &= prefix_mask(&net).w[k];
			*vec_push(out) = (struct reach){ .to = net, .by = i };
		}
	}
}

static const struct reach *narrowest(const reach_vec *v, const struct tn_addr *a)
{
	const struct reach *found = NULL;

	vec_each (r, v) {
		if (prefix_has(&r->to, a) && (!found || r->to.len > found->to.len))
			found = r;
	}
	return found;
}

/* The gateway of a route of the file that is in that network, and is not the VM itself. */
static const struct reach *gateway_in(const reach_vec *gateways, const struct prefix *network,
				      const struct tn_addr *vm)
{
	vec_each (g, gateways) {
		if (g->defined && prefix_has(network, &g->via) && addr_cmp(&g->via, vm) != 0)
			return g;
	}
	return NULL;
}

static void add(struct on_link *out, const struct tn_addr *vm, const struct reach *network,
		const struct reach *gateway, bool covered)
{
	if (out->n && out->covered && !covered)
		return;
	if (!out->n || out->covered != covered) {
		*out = (struct on_link){
			.vm = *vm, .network = network->to, .via = gateway->via, .covered = covered
		};
		memcpy(out->name, network->by->name, sizeof(out->name));
	}
	out->n++;
}

void on_link_find(const struct ifaces *ifaces, const struct tenant *t,
		  const uint32_t inside[TN_INSIDE_MAX], struct on_link *out)
{
	reach_vec gateways = { 0 }, networks = { 0 };

	memset(out, 0, sizeof(*out));
	gateways_of(ifaces, t->router, inside, &gateways);
	if (gateways.n)
		networks_of(ifaces, inside, &networks);
	for (size_t i = 0; networks.n && i < t->mappings.n; i++) {
		const struct tn_addr *vm = &t->mappings.v[i].fixed;
		const struct reach *network = narrowest(&networks, vm), *gateway;

		if (!network || ifaces_have(ifaces, vm))
			continue;
		gateway = narrowest(&gateways, vm);
		if (gateway && gateway->to.len > network->to.len)
			continue;
		if (gateway)
			add(out, vm, network, gateway, true);
		else if ((gateway = gateway_in(&gateways, &network->to, vm)))
			add(out, vm, network, gateway, false);
	}
	vec_free(&gateways);
	vec_free(&networks);
}

const char *on_link_text(const struct on_link *l, const struct router *r, char buf[ON_LINK_TEXT])
{
	char others[48] = "";

	if (l->n > 1)
		snprintf(others, sizeof(others), " and %zu others", l->n - 1);
	if (l->covered)
		snprintf(buf, ON_LINK_TEXT,
			 "%s%s: %s leads there, but %s has an address in the same network, %s: the "
			 "router looks for the VM on that link%s",
			 ADDR(&l->vm), others, ADDR(&l->via), l->name, PREFIX(&l->network),
			 r->sources == SOURCES_STRICT ? ", and what it sends by the gateway is "
							"dropped (`sources: strict`)"
						      : "");
	else
		snprintf(buf, ON_LINK_TEXT,
			 "%s%s: in the network %s of %s, as the gateway %s: what a VM there sends "
			 "by "
			 "that gateway is dropped (`sources: strict`)",
			 ADDR(&l->vm), others, PREFIX(&l->network), l->name, ADDR(&l->via));
	return buf;
}
