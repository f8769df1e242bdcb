/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random policies, compiled as the loader does it, and random packets: the programs decide as a few
 * lines of plain C do that look at the rules alone, in both directions, on XDP and tc, with what
 * VMs have opened before. red's programs run; blue has its router on this machine, green elsewhere,
 * and pool has no mapping.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "harness.h"
#include "model/policy.h"
#include "random.h"

#define POLICIES 40
#define PACKETS	 150

enum { T_BLUE, T_GREEN, T_POOL, T_RED, T_COUNT }; /* in the order of their names */

static const struct end {
	const char *v4, *v6;
	int tenant; /* -1: a stranger */
	bool mapped;
} peers[] = {
	{ BLUE_SHARED, BLUE_SHARED_6, T_BLUE, true },
	{ BLUE_OWN, BLUE_OWN_6, T_BLUE, false },
	{ GREEN_SHARED, GREEN_SHARED_6, T_GREEN, true },
	{ "100.64.9.1", "fd64::9:1", T_POOL, false },
	{ "100.64.8.1", "fd64::8:1", -1, false },
};

static const struct vm {
	const char *fixed, *shared, *fixed_6, *shared_6;
} vms[] = {
	{ RED_VM, RED_SHARED, RED_VM_6, RED_SHARED_6 },
	{ RED_VM2, RED_SHARED2, RED_VM2_6, RED_SHARED2_6 },
};

/* ---------------------------------------------------------------- definitions */

static void map(struct tenant *t, const char *name, const char *fixed, const char *shared)
{
	struct mapping *m = vec_push(&t->mappings);

	m->name = name ? xstrdup(name) : NULL;
	m->fixed = addr_of(fixed);
	m->shared = addr_of(shared);
}

static struct tenant *tenant(struct model *m, const char *name, uint32_t id, bool router)
{
	struct tenant *t = vec_push(&m->tenants);

	t->name = xstrdup(name);
	t->id = id;
	if (router) {
		t->router = xzalloc(sizeof(*t->router));
		t->router->id = id - 1;
	}
	return t;
}

static struct model definitions(void)
{
	struct model m = { 0 };
	struct tenant *t;

	for (size_t i = 0; i < fixture_subnets_n; i++)
		*vec_push(&m.subnets) = prefix_of(fixture_subnets[i]);
	t = tenant(&m, "blue", fixture_tenant(BLUE), true);
	map(t, NULL, RED_VM, BLUE_SHARED);
	map(t, NULL, RED_VM_6, BLUE_SHARED_6);
	t = tenant(&m, "green", fixture_tenant(GREEN), false);
	map(t, "web", RED_VM, GREEN_SHARED);
	map(t, "web", RED_VM_6, GREEN_SHARED_6);
	t = tenant(&m, "pool", TENANTS, false);
	prefix_parse("100.64.9.0/24", vec_push(&t->pools));
	prefix_parse("fd64::9:0/112", vec_push(&t->pools));
	t = tenant(&m, "red", fixture_tenant(RED), true);
	map(t, "db", RED_VM, RED_SHARED);
	map(t, "db", RED_VM_6, RED_SHARED_6);
	map(t, NULL, RED_VM2, RED_SHARED2);
	map(t, NULL, RED_VM2_6, RED_SHARED2_6);
	model_sort(&m);
	return m;
}

static const uint8_t classes[] = { [TN_CLASS_TCP] = IPPROTO_TCP,
				   [TN_CLASS_UDP] = IPPROTO_UDP,
				   [TN_CLASS_SCTP] = IPPROTO_SCTP,
				   [TN_CLASS_DCCP] = IPPROTO_DCCP,
				   [TN_CLASS_UDPLITE] = IPPROTO_UDPLITE };
static const uint16_t ports[] = { 1, 2, 15, 16, 17, 255, 256, 257, 4095, 4096, 8000, 65535 };
static const uint8_t others[] = { IPPROTO_GRE, IPPROTO_ESP, 89 };
/* requests, replies, and what is neither */
static const uint16_t types_v4[] = { 8, 13, 42, ECHO_REPLY, 14, 43, 9, 200 };
static const uint16_t types_v6[] = { 128, 139, 160, 129, 140, 161, 150, 200 };

#define ONE_OF(r, list) (list)[below(r, ARRAY_SIZE(list))]

/* Of rules: two that are over, and two that are not for a long time. CLOCK_TAI, in the rows. */
#define IN_FORCE 4000000000U
static const uint32_t ends[] = { 1000000000, 1000000001, IN_FORCE, IN_FORCE + 1 };

static void draw_service(struct random *r, struct service *s)
{
	uint16_t a, b;

	s->class = below(r, TN_CLASSES_COUNT);
	if (one_in(r, 5)) {
		s->last = 0xffff;
		return;
	}
	if (s->class == TN_CLASS_OTHER)
		a = b = ONE_OF(r, others);
	else if (s->class == TN_CLASS_ICMP)
		a = b = ONE_OF(r, types_v4) & 0xff;
	else if (s->class == TN_CLASS_ICMPV6)
		a = b = ONE_OF(r, types_v6);
	else {
		a = ONE_OF(r, ports);
		b = one_in(r, 2) ? a : ONE_OF(r, ports);
	}
	s->first = a < b ? a : b;
	s->last = a < b ? b : a;
}

static void draw_rule(struct random *r, const struct model *m, const struct tenant *t,
		      struct rule *rule)
{
	static const char *const of_red[] = { "db", RED_VM, RED_VM2, RED_VM2_6 };

	static const char *const senders[] = { "green/web", "blue/" RED_VM, "blue/" RED_VM_6,
					       "red/db", "red/" RED_VM2 };

	rule->any = one_in(r, 6);
	if (!rule->any && one_in(r, 3))
		*vec_push(&rule->from) = xstrdup(ONE_OF(r, senders));
	else if (!rule->any)
		*vec_push(&rule->from) = xstrdup(m->tenants.v[below(r, T_COUNT)].name);
	if (t == &m->tenants.v[T_RED] && one_in(r, 2))
		*vec_push(&rule->to) = xstrdup(ONE_OF(r, of_red));
	else if (t == &m->tenants.v[T_GREEN] && one_in(r, 2))
		*vec_push(&rule->to) = xstrdup("web");
	for (unsigned int n = one_in(r, 6) ? 0 : 1 + below(r, 3); n--;)
		draw_service(r, vec_push(&rule->services));
	if (one_in(r, 2))
		rule->until = ONE_OF(r, ends);
}

static void draw_rules(struct random *r, struct model *m)
{
	uint32_t id = 0;

	vec_each (t, &m->tenants) {
		t->has_accept = t->router || one_in(r, 2);
		for (unsigned int n = t->has_accept ? below(r, 6) : 0; n--;) {
			struct rule *rule = vec_push(&t->accept);

			draw_rule(r, m, t, rule);
			rule->id = ++id;
		}
	}
}

/* ---------------------------------------------------------------- into the maps */

static void put(struct lab *lab, const char *name, const void *key, const void *value)
{
	need(bpf_map_update_elem(lab_map_fd(lab, name), key, value, BPF_ANY) == 0, name);
	lab_changed(lab);
}

static void empty(struct lab *lab, const char *name, void *key)
{
	int fd = lab_map_fd(lab, name);

	while (!bpf_map_get_next_key(fd, NULL, key))
		need(bpf_map_delete_elem(fd, key) == 0, name);
	lab_changed(lab);
}

static void put_flags(struct lab *lab, const struct policy *p, const struct tenant *t,
		      const struct mapping *m)
{
	struct tn_fixed_key key = { .fixed = m->fixed };
	struct tn_shared to;
	struct tn_fixed back;

	need(!bpf_map_lookup_elem(lab_map_fd(lab, "by_shared"), &m->shared, &to), "a mapping");
	to.flags = TN_SHARED_MAPPED | policy_flags(p, t, m);
	put(lab, "by_shared", &m->shared, &to);
	key.router = to.router;
	if (bpf_map_lookup_elem(lab_map_fd(lab, "by_fixed"), &key, &back))
		return;
	back.flags = to.flags;
	put(lab, "by_fixed", &key, &back);
}

static void put_policy(struct lab *lab, const struct model *m)
{
	_cleanup_policy_ struct policy p = { 0 };
	union {
		struct tn_accept_key accept;
		struct tn_service_key service;
		struct tn_pool_key pool;
		struct tn_flow_key flow;
	} key;

	policy_make(m, &p);
	empty(lab, "accepts", &key);
	empty(lab, "services", &key);
	empty(lab, "pools", &key);
	empty(lab, "flows", &key);
	vec_each (row, &p.accepts)
		put(lab, "accepts", &row->key, &row->value);
	vec_each (row, &p.services)
		put(lab, "services", &row->key,
		    &(struct tn_service){ .rule = row->rule, .until = row->until });
	vec_each (row, &p.pools)
		put(lab, "pools", &row->key, &row->tenant);
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings)
			put_flags(lab, &p, t, mapping);
	}
}

/* ---------------------------------------------------------------- what should be */

struct talk {
	bool out, v4, request, reply;
	const struct vm *vm;
	const struct end *peer;
	struct service mine, its; /* first: the number at that end */
	uint8_t proto;
};

struct opened {
	VEC(struct talk) list;
};

static bool names(const struct tenant *t, const struct rule *r, const struct tn_addr *fixed)
{
	vec_each (m, &t->mappings) {
		if (memcmp(&m->fixed, fixed, sizeof(*fixed)))
			continue;
		vec_each (to, &r->to) {
			if ((m->name && !strcmp(*to, m->name)) || !strcmp(*to, ADDR(fixed)))
				return true;
		}
	}
	return !r->to.n;
}

/* A tenant, -1: a stranger, and the fixed address of its mapping; NULL: none. */
struct caller {
	int tenant;
	const struct tn_addr *fixed;
};

/* Whether the rule is from all of the sender's tenant, or from its mapping. */
static bool lists(const struct model *m, const struct rule *r, const struct caller *from)
{
	const struct tenant *t = &m->tenants.v[from->tenant];
	size_t n = strlen(t->name);

	vec_each (text, &r->from) {
		const char *mapping = *text + n + 1;

		if (strncmp(*text, t->name, n) || ((*text)[n] && (*text)[n] != '/'))
			continue;
		if (!(*text)[n])
			return true;
		vec_each (of, &t->mappings) {
			if (from->fixed && !memcmp(&of->fixed, from->fixed, sizeof(of->fixed)) &&
			    ((of->name && !strcmp(of->name, mapping)) ||
			     !strcmp(ADDR(&of->fixed), mapping)))
				return true;
		}
	}
	return false;
}

/*
 * Whether a rule of `t` lets `from` have that service at `fixed`; `all`: only one about everything.
 * *ended (which is kept): one would, but is over.
 */
static bool allows(const struct model *m, const struct tenant *t, const struct tn_addr *fixed,
		   const struct caller *from, const struct service *s, bool all, bool *ended)
{
	vec_each (r, &t->accept) {
		bool match = !r->services.n;

		if (from->tenant < 0 || (!r->any && !lists(m, r, from)) || !names(t, r, fixed))
			continue;
		vec_each (of, &r->services)
			match |= !all && of->class == s->class && of->first <= s->first &&
				 s->first <= of->last;
		if (match && (!r->until || r->until >= IN_FORCE))
			return true;
		*ended |= match;
	}
	return false;
}

static bool is_open(const struct opened *opened, const struct talk *t)
{
	vec_each (o, &opened->list) {
		if (o->v4 == t->v4 && o->vm == t->vm && o->peer == t->peer &&
		    o->proto == t->proto && o->mine.first == t->mine.first &&
		    o->its.first == t->its.first)
			return true;
	}
	return false;
}

/* The reason to drop it; -1: it passes. */
static int expected(const struct model *m, struct opened *opened, const struct talk *t)
{
	const struct tenant *red = &m->tenants.v[T_RED], *its;
	struct tn_addr vm = addr_of(t->v4 ? t->vm->fixed : t->vm->fixed_6);
	struct tn_addr at = addr_of(t->v4 ? RED_VM : RED_VM_6);
	struct caller peer = { t->peer->tenant, t->peer->mapped ? &at : NULL };
	bool ended = false;

	if (allows(m, red, &vm, &peer, &t->mine, t->out ? t->request : t->reply, &ended))
		return -1;
	if (!t->out)
		return !t->request && is_open(opened, t) ? -1
		       : t->peer->tenant < 0		 ? TN_DROP_STRANGER
		       : ended				 ? TN_DROP_RULE_ENDED
							 : TN_DROP_NOT_ACCEPTED;
	if (t->reply)
		return ended ? TN_DROP_RULE_ENDED : TN_DROP_NOT_ACCEPTED;
	ended = false;
	its = t->peer->mapped ? &m->tenants.v[t->peer->tenant] : NULL;
	if (its && (its->router || its->has_accept) &&
	    !allows(m, its, &at, &(struct caller){ T_RED, &vm }, &t->its, false, &ended))
		return ended ? TN_DROP_RULE_ENDED : TN_DROP_NOT_ACCEPTED;
	*vec_push(&opened->list) = *t;
	return -1;
}

/* ---------------------------------------------------------------- packets */

/* An ICMP message of that type, out or in: a reply has its ends the other way round. */
static void draw_icmp(struct random *r, struct talk *t, struct packet *p)
{
	static const uint8_t asked[256] = {
		[0] = 8, [14] = 13, [43] = 42, [129] = 128, [140] = 139, [161] = 160
	};
	static const bool asks[256] = {
		[8] = true, [13] = true, [42] = true, [128] = true, [139] = true, [160] = true
	};
	uint8_t type, class = t->v4 ? TN_CLASS_ICMP : TN_CLASS_ICMPV6;
	struct service sender = { .class = class }, receiver = { .class = class };

	p->type = t->v4 ? ONE_OF(r, types_v4) : ONE_OF(r, types_v6);
	type = p->type;
	t->reply = asked[type];
	t->request = !t->reply;
	/* the identifier of all that packet_build() makes */
	sender.first = t->reply ? asked[type] : asks[type] ? 0x1234 : 0;
	receiver.first = t->reply ? 0x1234 : type;
	t->mine = t->out ? sender : receiver;
	t->its = t->out ? receiver : sender;
}

static struct packet draw_talk(struct random *r, struct talk *t)
{
	struct packet p = { .payload = 16 };
	unsigned int kind = below(r, 8);

	memset(t, 0, sizeof(*t));
	t->out = one_in(r, 2);
	t->v4 = one_in(r, 2);
	t->vm = &ONE_OF(r, vms);
	t->peer = &ONE_OF(r, peers);
	if (kind < 5) {
		t->mine = (struct service){ TN_CLASS_TCP + kind, ONE_OF(r, ports), 0 };
		t->its = (struct service){ TN_CLASS_TCP + kind, ONE_OF(r, ports), 0 };
		p.proto = classes[TN_CLASS_TCP + kind];
		p.sport = t->out ? t->mine.first : t->its.first;
		p.dport = t->out ? t->its.first : t->mine.first;
	} else if (kind == 5) {
		p.proto = ONE_OF(r, others);
		t->mine = t->its = (struct service){ TN_CLASS_OTHER, p.proto, 0 };
	} else {
		p.proto = t->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		draw_icmp(r, t, &p);
	}
	t->proto = p.proto;
	if (t->out) {
		p.src = t->v4 ? t->vm->fixed : t->vm->fixed_6;
		p.dst = t->v4 ? t->peer->v4 : t->peer->v6;
	} else {
		p.src = t->v4 ? t->peer->v4 : t->peer->v6;
		p.dst = t->v4 ? t->vm->shared : t->vm->shared_6;
	}
	return p;
}

struct tried {
	unsigned int passed_in, passed_out, flows, not_accepted, strangers;
};

static void check_one(struct lab *lab, const struct packet *p, const struct talk *t,
		      enum program in, int want, struct tried *tried)
{
	struct frame f = packet_build(p);
	uint64_t before = want < 0 ? 0 : lab_drops_of(lab, RED, want);
	struct result r = lab_run(lab, t->out ? TC_OUT : in, p, &f);

	if (!t->out && in == XDP_IN && r.verdict == STACK && !r.marked)
		r = lab_run(lab, TC_IN, p, &f);
	cr_assert_eq(r.verdict, want < 0 ? STACK : GONE,
		     "%s, protocol %u, %u > %u, type %u, %s > %s: verdict %d, not reason %d",
		     t->out ? "out" : program_name(in), p->proto, p->sport, p->dport, p->type,
		     p->src, p->dst, r.verdict, want);
	if (want >= 0)
		cr_assert_eq(lab_drops_of(lab, RED, want), before + 1, "another reason than %d",
			     want);
	*(want == TN_DROP_STRANGER ? &tried->strangers
	  : want >= 0		   ? &tried->not_accepted
	  : t->out		   ? &tried->passed_out
				   : &tried->passed_in) += 1;
}

static void try_policy(struct lab *lab, struct random *r, enum program in, struct tried *tried)
{
	_cleanup_model_ struct model m = definitions();
	struct opened opened = { 0 };

	draw_rules(r, &m);
	put_policy(lab, &m);
	for (int i = 0; i < PACKETS; i++) {
		struct talk t;
		struct packet p = draw_talk(r, &t);
		int want;

		/* often the answer to what was opened before */
		if (opened.list.n && one_in(r, 4)) {
			t = opened.list.v[below(r, opened.list.n)];
			if (t.proto != IPPROTO_ICMP && t.proto != IPPROTO_ICMPV6) {
				t.out = false;
				p = (struct packet){ .proto = t.proto,
						     .payload = 16,
						     .sport = t.its.first,
						     .dport = t.mine.first,
						     .src = t.v4 ? t.peer->v4 : t.peer->v6,
						     .dst = t.v4 ? t.vm->shared : t.vm->shared_6 };
				tried->flows++;
			} else {
				p = draw_talk(r, &t);
			}
		}
		want = expected(&m, &opened, &t);
		check_one(lab, &p, &t, in, want, tried);
	}
	vec_free(&opened.list);
}

static void try_policies(enum program in)
{
	struct lab *lab = lab_open(&(struct lab_options){ .strict = true });
	struct random r = random_seed();
	struct tried tried = { 0 };

	for (int i = 0; i < POLICIES; i++)
		try_policy(lab, &r, in, &tried);
	cr_expect_gt(tried.passed_in, 100, "%u", tried.passed_in);
	cr_expect_gt(tried.passed_out, 100, "%u", tried.passed_out);
	cr_expect_gt(tried.flows, 100, "%u", tried.flows);
	cr_expect_gt(tried.not_accepted, 100, "%u", tried.not_accepted);
	cr_expect_gt(tried.strangers, 100, "%u", tried.strangers);
	lab_close(lab);
}

Test(policy_model, on_xdp)
{
	try_policies(XDP_IN);
}

Test(policy_model, on_tc)
{
	try_policies(TC_IN);
}
