/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/model.h"

static const char *const hook_names[] = {
#define X(id, name) [HOOK_##id] = name,
	HOOKS(X)
#undef X
};

static const char *const sources_names[] = {
#define X(id, name) [SOURCES_##id] = name,
	SOURCES(X)
#undef X
};

static const char *const forwarding_names[] = {
#define X(id, name) [FORWARDING_##id] = name,
	FORWARDINGS(X)
#undef X
};

static const char *const active_names[] = {
#define X(id, name) [ACTIVE_##id] = name,
	ACTIVES(X)
#undef X
};

static uint64_t within(uint64_t least, uint64_t value, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

uint64_t limit_burst_default(uint64_t rate)
{
	return within(LIMIT_BURST_FLOOR, rate * LIMIT_BURST_MS / 1000, LIMIT_BURST_MAX);
}

uint64_t limit_burst_least(uint64_t rate)
{
	uint64_t kib = (rate * LIMIT_BURST_LEAST_MS / 1000 + 1023) / 1024;

	if (rate > LIMIT_BURST_LEAST_TO)
		return limit_burst_default(rate);
	return within(LIMIT_BURST_FLOOR, kib * 1024, LIMIT_BURST_MAX);
}

uint64_t limit_packet_burst(uint64_t packets)
{
	if (!packets)
		return 0;
	return within(PACKET_BURST_FLOOR, packets * LIMIT_BURST_MS / 1000, UINT64_MAX);
}

/* The index of a name; `n` when it is none of them. */
static unsigned int name_index(const char *const *names, unsigned int n, const char *name)
{
	unsigned int i = 0;

	while (i < n && strcmp(name, names[i]) != 0)
		i++;
	return i;
}

const char *hook_name(enum hook hook)
{
	return hook < HOOKS_COUNT ? hook_names[hook] : "unknown";
}

bool hook_parse(const char *name, enum hook *out)
{
	unsigned int i = name_index(hook_names, HOOKS_COUNT, name);

	if (i < HOOKS_COUNT)
		*out = i;
	return i < HOOKS_COUNT;
}

const char *sources_name(enum sources sources)
{
	return sources < SOURCES_COUNT ? sources_names[sources] : "unknown";
}

bool sources_parse(const char *name, enum sources *out)
{
	unsigned int i = name_index(sources_names, SOURCES_COUNT, name);

	if (i < SOURCES_COUNT)
		*out = i;
	return i < SOURCES_COUNT;
}

bool inside_is_pattern(const char *entry)
{
	return strpbrk(entry, "*?[");
}

const char *forwarding_name(enum forwarding forwarding)
{
	return forwarding < FORWARDINGS_COUNT ? forwarding_names[forwarding] : "unknown";
}

bool forwarding_parse(const char *name, enum forwarding *out)
{
	unsigned int i = name_index(forwarding_names, FORWARDINGS_COUNT, name);

	if (i < FORWARDINGS_COUNT)
		*out = i;
	return i < FORWARDINGS_COUNT;
}

const char *active_name(enum active active)
{
	return active < ACTIVES_COUNT ? active_names[active] : "unknown";
}

bool active_parse(const char *name, enum active *out)
{
	unsigned int i = name_index(active_names, ACTIVES_COUNT, name);

	if (i < ACTIVES_COUNT)
		*out = i;
	return i < ACTIVES_COUNT;
}

enum active active_default(size_t hosts)
{
	return hosts > 1 ? ACTIVE_ADDRESS : ACTIVE_ALWAYS;
}

void mapping_clear(struct mapping *m)
{
	free(m->name);
	if (m->except)
		vec_free(&m->except->list);
	free(m->except);
	memset(m, 0, sizeof(*m));
}

static void router_free(struct router *r)
{
	if (!r)
		return;
	vec_each (name, &r->hosts)
		free(*name);
	vec_free(&r->hosts);
	vec_each (name, &r->inside)
		free(*name);
	vec_free(&r->inside);
	vec_free(&r->routes);
	vec_free(&r->inside_routes);
	free(r->netns);
	free(r->shared);
	free(r);
}

void rule_clear(struct rule *r)
{
	vec_each (name, &r->from)
		free(*name);
	vec_free(&r->from);
	vec_each (name, &r->to)
		free(*name);
	vec_free(&r->to);
	vec_free(&r->services);
	memset(r, 0, sizeof(*r));
}

void tenant_clear(struct tenant *t)
{
	free(t->name);
	router_free(t->router);
	router_free(t->remote);
	vec_free(&t->pools);
	vec_each (m, &t->mappings)
		mapping_clear(m);
	vec_free(&t->mappings);
	vec_each (r, &t->accept)
		rule_clear(r);
	vec_free(&t->accept);
	memset(t, 0, sizeof(*t));
}

void model_free(struct model *m)
{
	vec_each (t, &m->tenants)
		tenant_clear(t);
	vec_free(&m->tenants);
	vec_free(&m->subnets);
	free(m->file);
	m->file = NULL;
	free(m->zone);
	m->zone = NULL;
}

void model_keep_zone(struct model *will, const struct model *had)
{
	if (!will->zone && had->zone)
		will->zone = xstrdup(had->zone);
}

static bool has_text(char *const *v, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i], text) == 0)
			return true;
	}
	return false;
}

/* Nothing is there twice, so with the same number it is enough to look one way. */
static bool same_texts(char *const *a, size_t an, char *const *b, size_t bn)
{
	for (size_t i = 0; an == bn && i < an; i++) {
		if (!has_text(b, bn, a[i]))
			return false;
	}
	return an == bn;
}

static bool has_service(const struct rule *r, const struct service *wanted)
{
	vec_each (s, &r->services) {
		if (s->class == wanted->class && s->first == wanted->first &&
		    s->last == wanted->last)
			return true;
	}
	return false;
}

bool rule_same(const struct rule *a, const struct rule *b)
{
	if (a->any != b->any || a->until != b->until || a->services.n != b->services.n ||
	    !same_texts(a->from.v, a->from.n, b->from.v, b->from.n) ||
	    !same_texts(a->to.v, a->to.n, b->to.v, b->to.n))
		return false;
	vec_each (s, &a->services) {
		if (!has_service(b, s))
			return false;
	}
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

struct router *router_new(void)
{
	struct router *r = xzalloc(sizeof(*r));

	r->flows = TN_FLOWS;
	return r;
}

static bool same_own(const struct own_address *a, const struct own_address *b)
{
	return a->pinned == b->pinned && (!a->pinned || addr_cmp(&a->addr, &b->addr) == 0);
}

static bool same_route(const struct route *a, const struct route *b)
{
	return a->to.len == b->to.len && addr_cmp(&a->to.addr, &b->to.addr) == 0 &&
	       addr_cmp(&a->via, &b->via) == 0;
}

/* In the same order. */
static bool same_routes(const struct route *a, size_t an, const struct route *b, size_t bn)
{
	for (size_t i = 0; an == bn && i < an; i++) {
		if (!same_route(&a[i], &b[i]))
			return false;
	}
	return an == bn;
}

bool router_same(const struct router *a, const struct router *b)
{
	if (!a || !b)
		return a == b;
	if (!same_text(a->netns, b->netns) || !same_text(a->shared, b->shared) ||
	    a->hook != b->hook || a->sources != b->sources || a->forwarding != b->forwarding ||
	    a->detached != b->detached || a->active != b->active || a->flows != b->flows ||
	    a->grace != b->grace || !same_texts(a->hosts.v, a->hosts.n, b->hosts.v, b->hosts.n) ||
	    a->inside.n != b->inside.n ||
	    !same_routes(a->routes.v, a->routes.n, b->routes.v, b->routes.n) ||
	    !same_routes(a->inside_routes.v, a->inside_routes.n, b->inside_routes.v,
			 b->inside_routes.n))
		return false;
	for (int i = 0; i < FAMILIES; i++) {
		if (!same_own(&a->own[i], &b->own[i]))
			return false;
	}
	for (size_t i = 0; i < a->inside.n; i++) {
		if (strcmp(a->inside.v[i], b->inside.v[i]) != 0)
			return false;
	}
	return true;
}

const struct route *router_inside_route(const struct router *r, const struct tn_addr *a)
{
	const struct route *found = NULL;

	vec_each (route, &r->inside_routes) {
		if (prefix_has(&route->to, a) && (!found || route->to.len > found->to.len))
			found = route;
	}
	return found;
}

struct router *tenant_router(const struct tenant *t)
{
	return t->router ? t->router : t->remote;
}

void model_locate(struct model *m, const char *host)
{
	vec_each (t, &m->tenants) {
		struct router *r = tenant_router(t);
		bool here = r && (!host || !r->hosts.n || has_text(r->hosts.v, r->hosts.n, host));

		t->router = here ? r : NULL;
		t->remote = here ? NULL : r;
	}
}

char *router_hosts_text(const struct router *r)
{
	char *text = NULL;
	size_t size;
	FILE *f = r->hosts.n ? open_memstream(&text, &size) : NULL;

	if (!f)
		return NULL;
	for (size_t i = 0; i < r->hosts.n; i++)
		fprintf(f, "%s%s", i ? ", " : "", r->hosts.v[i]);
	fclose(f);
	return text;
}

void model_forget_given(struct model *m)
{
	vec_each (t, &m->tenants) {
		struct router *r = tenant_router(t);

		t->id = 0;
		vec_each (rule, &t->accept)
			rule->id = 0;
		vec_each (mapping, &t->mappings) {
			if (!mapping->pinned)
				mapping->shared = (struct tn_addr){ 0 };
		}
		if (!r)
			continue;
		r->id = 0;
		r->passed_over = false;
		for (int f = 0; f < FAMILIES; f++) {
			if (!r->own[f].pinned)
				r->own[f] = (struct own_address){ 0 };
		}
	}
}

static int tenant_cmp(const void *a, const void *b)
{
	return strcmp(((const struct tenant *)a)->name, ((const struct tenant *)b)->name);
}

struct tenant *model_tenant_sorted(struct model *m, const char *name)
{
	const struct tenant like = { .name = (char *)name };

	return m->tenants.n ? bsearch(&like, m->tenants.v, m->tenants.n, sizeof(like), tenant_cmp)
			    : NULL;
}

struct tenant *model_tenant(struct model *m, const char *name)
{
	/* most are sorted, and there it is found at once; one that is not may still have it */
	struct tenant *found = model_tenant_sorted(m, name);

	if (found)
		return found;
	vec_each (t, &m->tenants) {
		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

struct mapping *tenant_mapping(struct tenant *t, const struct tn_addr *fixed)
{
	size_t low = 0, high = t->mappings.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = addr_cmp(&t->mappings.v[mid].fixed, fixed);

		if (order == 0)
			return &t->mappings.v[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int mapping_cmp(const void *a, const void *b)
{
	return addr_cmp(&((const struct mapping *)a)->fixed, &((const struct mapping *)b)->fixed);
}

void tenant_sort(struct tenant *t)
{
	vec_sort(&t->mappings, mapping_cmp);
}

void model_sort(struct model *m)
{
	vec_sort(&m->tenants, tenant_cmp);
	vec_each (t, &m->tenants)
		tenant_sort(t);
}

const struct prefix *model_subnet(const struct model *m, const struct tn_addr *a)
{
	vec_each (p, &m->subnets) {
		if (prefix_has(p, a))
			return p;
	}
	return NULL;
}

bool model_shares(const struct model *m, const struct tn_addr *a)
{
	return model_subnet(m, a);
}

bool tenant_lacks_accept(const struct tenant *t)
{
	return tenant_router(t) && t->mappings.n && !t->has_accept;
}

bool mapping_is_same(const struct mapping *a, const struct mapping *b)
{
	return a->bits == b->bits && (mac_is_unset(a->mac) || mac_is_unset(b->mac) ||
				      memcmp(a->mac, b->mac, sizeof(a->mac)) == 0);
}

bool tenant_binds(const struct tenant *t)
{
	vec_each (m, &t->mappings) {
		if (!mac_is_unset(m->mac))
			return true;
	}
	return false;
}

bool tenant_maps(const struct tenant *t, int family)
{
	vec_each (m, &t->mappings) {
		if (addr_family(&m->fixed) == family)
			return true;
	}
	return false;
}
