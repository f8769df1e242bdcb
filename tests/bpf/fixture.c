/* SPDX-License-Identifier: GPL-2.0-only */
#include "fixture.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "lib/util.h"

/* clang-format off */
const struct fixture fixture[] = {
	{ RED, RED_VM, RED_SHARED },
	{ RED, RED_VM2, RED_SHARED2 },
	{ RED, NULL, RED_OWN },
	{ BLUE, RED_VM, BLUE_SHARED },
	{ BLUE, NULL, BLUE_OWN },
	{ GREEN, RED_VM, GREEN_SHARED },
	{ RED, RED_VM_6, RED_SHARED_6 },
	{ RED, RED_VM2_6, RED_SHARED2_6 },
	{ RED, NULL, RED_OWN_6 },
	{ BLUE, RED_VM_6, BLUE_SHARED_6 },
	{ BLUE, NULL, BLUE_OWN_6 },
	{ GREEN, RED_VM_6, GREEN_SHARED_6 },
};
/* clang-format on */
const size_t fixture_n = ARRAY_SIZE(fixture);

const char *const fixture_subnets[] = { "100.64.0.0/16", "fd64::/64" };
const size_t fixture_subnets_n = ARRAY_SIZE(fixture_subnets);

struct tn_addr addr_of(const char *text)
{
	struct tn_addr a;

	if (!addr_parse(text, &a)) {
		fprintf(stderr, "no address: %s\n", text);
		abort();
	}
	return a;
}

struct prefix prefix_of(const char *text)
{
	struct prefix p;

	if (!prefix_parse(text, &p)) {
		fprintf(stderr, "no prefix: %s\n", text);
		abort();
	}
	return p;
}

bool fixture_in_subnets(const struct tn_addr *a)
{
	for (size_t i = 0; i < fixture_subnets_n; i++) {
		struct prefix p = prefix_of(fixture_subnets[i]);

		if (prefix_has(&p, a))
			return true;
	}
	return false;
}

uint32_t fixture_tenant(enum lab_router router)
{
	return router + 1;
}

struct entry fixture_entry(const struct fixture *f, uint32_t slot)
{
	struct entry e = {
		.shared = addr_of(f->shared),
		.to = { .tenant = fixture_tenant(f->router),
			.router = f->router,
			.slot = slot,
			.flags = f->fixed ? TN_SHARED_MAPPED | TN_SHARED_JUDGED : TN_SHARED_OWN },
		.from = { .router = f->router },
		.back = { .slot = slot,
			  .flags = TN_SHARED_MAPPED | TN_SHARED_JUDGED,
			  .tenant = fixture_tenant(f->router) },
	};

	e.back.shared = e.shared;
	if (f->fixed)
		e.to.fixed = e.from.fixed = addr_of(f->fixed);
	return e;
}

struct tn_config fixture_config(const char *const *subnets, size_t n)
{
	struct tn_config config = { .abi = TN_ABI, .capacity = MAPPINGS_MAX, .nsubnets = n };

	for (size_t i = 0; i < n; i++) {
		struct prefix p = prefix_of(subnets[i]);

		config.subnets[i] = (struct tn_subnet){ p.addr, prefix_mask(&p) };
	}
	return config;
}

/* Whatever is in the subnets and in no mapping is a fourth tenant's. */
void fixture_policy(fixture_put put, void *context)
{
	for (uint32_t tenant = 1; tenant <= TENANTS; tenant++) {
		struct tn_accept_key any = { .tenant = tenant };
		struct tn_accept all = { .rule = tenant };

		put(context, "accepts", &any, &all);
	}
	for (size_t i = 0; i < fixture_subnets_n; i++) {
		struct prefix p = prefix_of(fixture_subnets[i]);
		struct tn_pool_key key = { .len = p.len, .prefix = p.addr };
		uint32_t tenant = TENANTS;

		put(context, "pools", &key, &tenant);
	}
}

const char *program_name(enum program program)
{
	static const char *const names[] = { "XDP ingress", "tc ingress", "tc egress", "inside",
					     "inside egress" };

	return names[program];
}

enum verdict verdict_xdp(int returned)
{
	return returned == XDP_PASS	  ? STACK
	       : returned == XDP_DROP	  ? GONE
	       : returned == XDP_TX	  ? BACK
	       : returned == XDP_REDIRECT ? BACK
					  : NO_VERDICT;
}

enum verdict verdict_tc(int returned)
{
	return returned == TC_ACT_UNSPEC     ? STACK
	       : returned == TC_ACT_SHOT     ? GONE
	       : returned == TC_ACT_REDIRECT ? BACK
					     : NO_VERDICT;
}

void result_meta(struct result *r, const void *meta, size_t len, uint32_t router)
{
	const struct tn_meta *m = meta;

	r->marked = len == sizeof(*m) && m->magic == TN_META_MAGIC && m->router == router;
	if (len && !r->marked)
		r->verdict = NO_VERDICT;
}
