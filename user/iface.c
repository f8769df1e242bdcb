/* SPDX-License-Identifier: GPL-2.0-only */
#include "iface.h"

void ifaces_free(struct ifaces *ifaces)
{
	vec_each (i, &ifaces->list)
		vec_free(&i->addrs);
	vec_free(&ifaces->list);
	vec_free(&ifaces->routes);
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

	if (found && (!found->ethernet || found->loopback)) {
		error_set(err, "%s is not an Ethernet interface; a shared network needs one",
			  found->name);
		return NULL;
	}
	return found;
}

static bool is_inside(const struct iface *i, const struct router *r, const struct iface *shared)
{
	if (!r->inside.n)
		return i != shared && i->ethernet && !i->loopback;
	vec_each (name, &r->inside) {
		if (strcmp(*name, i->name) == 0)
			return true;
	}
	return false;
}

int iface_inside(const struct ifaces *ifaces, const struct router *r, const struct iface *shared,
		 uint32_t out[TN_INSIDE_MAX], struct error *err)
{
	char text[600];
	size_t n = 0;

	memset(out, 0, TN_INSIDE_MAX * sizeof(*out));
	vec_each (name, &r->inside) {
		const struct iface *i = by_name(ifaces, *name);

		if (!i)
			return error_set(err,
					 "there is no interface %s; seen: %s. Correct the router's "
					 "`inside`",
					 *name, seen(ifaces, text, sizeof(text)));
		if (i == shared || !i->ethernet)
			return error_set(err,
					 "%s cannot be an inside interface: it is %s; correct "
					 "the router's `inside`",
					 *name, i == shared ? "the shared one" : "not Ethernet");
	}
	/* interfaces are listed by index */
	vec_each (i, &ifaces->list) {
		if (!is_inside(i, r, shared))
			continue;
		if (n == TN_INSIDE_MAX)
			return error_set(err,
					 "more than %d inside interfaces; name the ones that "
					 "lead to VMs with the router's `inside`",
					 TN_INSIDE_MAX);
		out[n++] = i->index;
	}
	return 0;
}

enum hook iface_hook(const struct iface *i, enum hook asked)
{
	if (asked != HOOK_AUTO)
		return asked;
	return i->kind[0] ? HOOK_TC : HOOK_XDP;
}
