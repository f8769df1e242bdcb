/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"

#include "model/policy.h"

/* ------------------------------------------------------------ what is accepted */

/* Whom the rows let in: what the programs do, in a few lines. 0: nobody; else the rule. */
static uint32_t by_row(const struct policy *p, const struct tn_accept_key *key, uint8_t class,
		       uint16_t service)
{
	const struct accept_row *row = policy_accept(p, key);

	for (int i = 0; row && !row->value.rule && i <= TN_SHIFT_ALL / TN_SHIFT_STEP; i++) {
		struct tn_service_key k = { .accept = *key,
					    .class = class,
					    .shift = TN_SHIFT_STEP * i,
					    .block = service >> TN_SHIFT_STEP * i };
		const struct service_row *found = policy_service(p, &k);

		if (row->value.blocks[class] & 1U << i && found)
			return found->rule;
	}
	return row ? row->value.rule : 0;
}

/* The same of all rows that are for that mapping, or without one, for all of the tenant. */
static uint32_t by_rows(const struct policy *p, struct tn_accept_key key,
			const struct tn_addr *sender, uint8_t class, uint16_t service)
{
	uint32_t rule = by_row(p, &key, class, service);

	if (sender) {
		key.sender = *sender;
		rule = rule ? rule : by_row(p, &key, class, service);
	}
	key.from = 0;
	key.sender = (struct tn_addr){ 0 };
	return rule ? rule : by_row(p, &key, class, service);
}

/* A mapping and whose it is. */
struct vm {
	const struct tenant *tenant;
	const struct mapping *mapping;
};

static uint32_t accepts(const struct policy *p, const struct vm *to, const struct vm *from,
			uint8_t class, uint16_t service)
{
	bool is_sender = policy_flags(p, from->tenant, from->mapping) & TN_SHARED_SENDER;
	const struct tn_addr *sender = is_sender ? &from->mapping->shared : NULL;
	struct tn_accept_key key = { .tenant = to->tenant->id, .from = from->tenant->id };
	uint32_t rule = by_rows(p, key, sender, class, service);

	if (rule || !(policy_flags(p, to->tenant, to->mapping) & TN_SHARED_NAMED))
		return rule;
	key.to = to->mapping->shared;
	return by_rows(p, key, sender, class, service);
}

static bool is_among(char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (name && strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static bool lists(const struct rule *r, const struct vm *from)
{
	const struct mapping *m = from->mapping;
	char name[200] = "", fixed[200];

	if (m->name)
		snprintf(name, sizeof(name), "%s/%s", from->tenant->name, m->name);
	snprintf(fixed, sizeof(fixed), "%s/%s", from->tenant->name, ADDR(&m->fixed));
	return is_among(r->from.v, r->from.n, from->tenant->name) ||
	       is_among(r->from.v, r->from.n, name) || is_among(r->from.v, r->from.n, fixed);
}

/* Whether the rule itself says so. */
static bool says_so(const struct rule *r, const struct mapping *m, const struct vm *from,
		    uint8_t class, uint16_t service)
{
	if (!r->any && !lists(r, from))
		return false;
	if (r->to.n && !is_among(r->to.v, r->to.n, m->name) &&
	    !is_among(r->to.v, r->to.n, ADDR(&m->fixed)))
		return false;
	vec_each (s, &r->services) {
		if (s->class == class && s->first <= service && service <= s->last)
			return true;
	}
	return !r->services.n;
}

/* ------------------------------------------------------------ random rules */

static uint16_t random_service(struct dice *d)
{
	static const uint16_t edges[] = { 0,  1,   15,	 16,   17,   255,   256,   257,
					  80, 443, 4095, 4096, 8000, 65279, 65280, 65535 };

	return chance(d, 70) ? edges[roll(d, ARRAY_SIZE(edges))] : roll(d, 65536);
}

static void random_range(struct dice *d, struct service *s)
{
	uint16_t a = random_service(d), b = chance(d, 40) ? a : random_service(d);

	s->class = roll(d, TN_CLASSES_COUNT);
	s->first = a < b ? a : b;
	s->last = a < b ? b : a;
}

static struct vm random_vm(struct dice *d, const struct model *m)
{
	const struct tenant *t = &m->tenants.v[roll(d, m->tenants.n)];

	return (struct vm){ t, &t->mappings.v[roll(d, t->mappings.n)] };
}

static char *random_sender(struct dice *d, const struct model *m)
{
	struct vm vm = random_vm(d, m);
	const struct mapping *of = vm.mapping;
	char text[200];

	if (chance(d, 60))
		return xstrdup(vm.tenant->name);
	snprintf(text, sizeof(text), "%s/%s", vm.tenant->name,
		 of->name && chance(d, 60) ? of->name : ADDR(&of->fixed));
	return xstrdup(text);
}

static void random_rule(struct dice *d, const struct model *m, const struct tenant *t,
			struct rule *r)
{
	r->any = chance(d, 20);
	for (uint32_t n = r->any ? 0 : 1 + roll(d, 3); n--;)
		*vec_push(&r->from) = random_sender(d, m);
	for (uint32_t n = chance(d, 50) ? 0 : 1 + roll(d, 2); n--;) {
		const struct mapping *to = &t->mappings.v[roll(d, t->mappings.n)];

		*vec_push(&r->to) =
			xstrdup(to->name && chance(d, 60) ? to->name : ADDR(&to->fixed));
	}
	for (uint32_t n = chance(d, 15) ? 0 : 1 + roll(d, 3); n--;)
		random_range(d, vec_push(&r->services));
}

/* Two mappings of a tenant, of both families, have the same name. */
#define SOME                                                                                  \
	"tenant blue id=7; map 10.0.0.5 web lease=100.64.2.5; map 10.0.0.6 lease=100.64.2.6;" \
	"tenant green id=300; router id=3; map 10.0.0.5 lease=100.64.3.5;"                    \
	"tenant red id=1; router id=1; map 10.0.0.5 db lease=100.64.1.5;"                     \
	"map 10.0.0.6 web lease=100.64.1.6; map fd00::5 db lease=fd64::5;"

static struct model random_model(struct dice *d)
{
	struct model m = model_of(SOME);
	uint32_t id = 0;

	model_sort(&m);
	vec_each (t, &m.tenants) {
		t->has_accept = chance(d, 80);
		for (uint32_t n = t->has_accept ? roll(d, 6) : 0; n--;) {
			struct rule *r = vec_push(&t->accept);

			random_rule(d, &m, t, r);
			r->id = ++id;
		}
	}
	return m;
}

static const struct rule *rule_of(const struct tenant *t, uint32_t id)
{
	vec_each (r, &t->accept) {
		if (r->id == id)
			return r;
	}
	return NULL;
}

/* Rows and rules say the same; and the rule that is named is one that accepts it. */
static void compare(const struct policy *p, const struct model *m, struct dice *d, int round)
{
	struct vm to = random_vm(d, m), from = random_vm(d, m);
	const struct tenant *t = to.tenant;
	uint8_t class = roll(d, TN_CLASSES_COUNT);
	uint16_t service = random_service(d) + roll(d, 3) - 1;
	uint32_t rule = accepts(p, &to, &from, class, service);
	bool expected = false;

	vec_each (r, &t->accept)
		expected |= says_so(r, to.mapping, &from, class, service);
	cr_assert_eq(rule != 0, expected, "round %d: %s %s to %s %s, class %u service %u", round,
		     from.tenant->name, ADDR(&from.mapping->fixed), t->name,
		     ADDR(&to.mapping->fixed), class, service);
	if (rule)
		cr_assert(says_so(rule_of(t, rule), to.mapping, &from, class, service),
			  "round %d: rule %u", round, rule);
}

Test(policy, rows_say_what_the_rules_say)
{
	struct dice d = { .state = 11 };

	for (int round = 0; round < 1500; round++) {
		_cleanup_model_ struct model m = random_model(&d);
		_cleanup_policy_ struct policy p;

		policy_make(&m, &p);
		for (int i = 0; i < 200; i++)
			compare(&p, &m, &d, round);
	}
}

/* ------------------------------------------------------------ ranges */

/* "tcp 0 16 rule, …": the blocks of one range, shift and block. */
static void becomes(uint16_t first, uint16_t last, const char *expected)
{
	_cleanup_model_ struct model m = model_of("tenant red id=1;");
	_cleanup_policy_ struct policy p;
	struct rule *r = vec_push(&m.tenants.v[0].accept);
	char *got = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&got, &n);

	r->id = 9;
	r->any = true;
	*vec_push(&r->services) = (struct service){ TN_CLASS_UDP, first, last };
	policy_make(&m, &p);
	vec_each (row, &p.services)
		fprintf(f, "%u:%u ", row->key.shift, row->key.block);
	fclose(f);
	expect_text(got, expected, "range");
}

Test(policy, a_range_becomes_few_blocks)
{
	becomes(0, 65535, "16:0 ");
	becomes(53, 53, "0:53 ");
	becomes(0, 0, "0:0 ");
	becomes(65535, 65535, "0:65535 ");
	becomes(0, 255, "8:0 ");
	becomes(256, 511, "8:1 ");
	becomes(15, 32, "0:15 0:32 4:1 ");
	becomes(4096, 8192, "0:8192 12:1 ");
	becomes(65520, 65535, "4:4095 ");
	becomes(16, 30,
		"0:16 0:17 0:18 0:19 0:20 0:21 0:22 0:23 0:24 0:25 0:26 0:27 0:28 0:29 "
		"0:30 ");
}

Test(policy, the_first_of_the_file_owns_the_row)
{
	_cleanup_model_ struct model m = model_of("tenant blue id=2; tenant red id=1;");
	_cleanup_policy_ struct policy p;
	struct tenant *red = &m.tenants.v[1];

	for (uint32_t id = 5; id >= 3; id--) {
		struct rule *r = vec_push(&red->accept);

		r->id = id;
		*vec_push(&r->from) = xstrdup("blue");
		*vec_push(&r->services) = (struct service){ TN_CLASS_TCP, 80, 80 };
	}
	policy_make(&m, &p);
	cr_assert_eq(p.services.n, 1);
	cr_expect_eq(p.services.v[0].rule, 5);
	cr_assert_eq(p.accepts.n, 1);
	cr_expect_eq(p.accepts.v[0].value.rule, 0);
	cr_expect_eq(p.accepts.v[0].value.blocks[TN_CLASS_TCP], 1);
	cr_expect_eq(p.accepts.v[0].value.blocks[TN_CLASS_UDP], 0);
	cr_expect_eq(policy_rule_max(&p), 5);
}

/*
 * Of rules for the same the one that ends last, wherever it is in the file; and beside one for
 * everything those that go on after it.
 */
Test(policy, rules_that_end)
{
	_cleanup_model_ struct model m = model_of(
		"tenant blue id=2; tenant red id=1;"
		"accept id=3 from=blue tcp/80 until=1000; accept id=4 from=blue tcp/80 until=3000;"
		"accept id=5 from=blue tcp/80 until=2000; accept id=6 from=blue tcp/80 until=3000;"
		"accept id=7 from=blue until=2000; accept id=8 from=blue until=1500;"
		"accept id=9 from=blue udp/53 until=2000; accept id=10 from=blue udp/54;"
		"accept id=11 from=* until=4000; accept id=12 from=* tcp/1 until=5000;"
		"accept id=13 from=*; accept id=14 from=* udp/1;");
	_cleanup_policy_ struct policy p;
	const struct service_row *tcp, *udp;
	const struct accept_row *row;

	policy_make(&m, &p);
	cr_assert_eq(p.accepts.n, 2);
	row = policy_accept(&p, &(struct tn_accept_key){ .tenant = 1, .from = 2 });
	cr_expect_eq(row->value.rule, 7);
	cr_expect_eq(row->value.until, 2000);
	cr_expect_eq(row->value.blocks[TN_CLASS_TCP], 1);
	cr_expect_eq(row->value.blocks[TN_CLASS_UDP], 1);
	cr_assert_eq(p.services.n, 2);
	tcp = policy_service(&p, &(struct tn_service_key){
					 .accept = row->key, .class = TN_CLASS_TCP, .block = 80 });
	cr_expect_eq(tcp->rule, 4);
	cr_expect_eq(tcp->until, 3000);
	udp = policy_service(&p, &(struct tn_service_key){
					 .accept = row->key, .class = TN_CLASS_UDP, .block = 54 });
	cr_expect_eq(udp->rule, 10);
	cr_expect_eq(udp->until, 0);
	row = policy_accept(&p, &(struct tn_accept_key){ .tenant = 1 });
	cr_expect_eq(row->value.rule, 13);
	cr_expect_eq(row->value.until, 0);
	cr_expect_eq(row->value.blocks[TN_CLASS_TCP], 0);
}

Test(policy, where_all_is_accepted_no_services_are_needed)
{
	_cleanup_model_ struct model m = model_of("tenant blue id=2; tenant red id=1;");
	_cleanup_policy_ struct policy p;

	for (uint32_t id = 3; id <= 5; id++) {
		struct rule *r = vec_push(&m.tenants.v[1].accept);

		r->id = id;
		*vec_push(&r->from) = xstrdup("blue");
		if (id == 3)
			*vec_push(&r->services) = (struct service){ TN_CLASS_TCP, 80, 80 };
	}
	policy_make(&m, &p);
	cr_expect_eq(p.services.n, 0);
	cr_assert_eq(p.accepts.n, 1);
	cr_expect_eq(p.accepts.v[0].value.rule, 4);
	cr_expect_eq(p.accepts.v[0].value.blocks[TN_CLASS_TCP], 0);
}

/* A tenant or mapping that is not there (any more) matches nothing, not everything. */
Test(policy, names_that_nobody_has)
{
	_cleanup_model_ struct model m =
		model_of("tenant red id=1; map 10.0.0.5 lease=100.64.1.5;");
	_cleanup_policy_ struct policy p;
	struct rule *r = vec_push(&m.tenants.v[0].accept);

	r->id = 1;
	*vec_push(&r->from) = xstrdup("blue");
	r = vec_push(&m.tenants.v[0].accept);
	r->id = 2;
	r->any = true;
	*vec_push(&r->to) = xstrdup("db");
	policy_make(&m, &p);
	cr_expect_eq(p.accepts.n, 0);
	cr_expect_eq(policy_flags(&p, &m.tenants.v[0], &m.tenants.v[0].mappings.v[0]), 0);
}

/* ------------------------------------------------------------ pools */

/* "PREFIX TENANT" a line. */
static void pools(const char *definitions, const char *expected)
{
	_cleanup_model_ struct model m = model_of(definitions);
	_cleanup_policy_ struct policy p;
	char *got = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&got, &n);

	policy_make(&m, &p);
	vec_each (row, &p.pools) {
		struct prefix prefix = { row->key.prefix, row->key.len };

		fprintf(f, "%s %u\n", PREFIX(&prefix), row->tenant);
	}
	fclose(f);
	expect_text(got, expected, definitions);
}

Test(policy, pools_of_tenants_elsewhere)
{
	pools("tenant a id=1; tenant b id=2 pool=100.64.2.0/24 pool=fd64:2::/48;",
	      "100.64.2.0/24 2\nfd64:2::/48 2\n");
	/* one within its own */
	pools("tenant a id=1 pool=100.64.0.0/16 pool=100.64.7.0/24;", "100.64.0.0/16 1\n");
}

Test(policy, pools_that_several_claim_are_nobodys)
{
	pools("tenant a id=1 pool=100.64.0.0/24; tenant b id=2 pool=100.64.0.0/24;",
	      "100.64.0.0/24 0\n");
	/* nested either way, and three deep */
	pools("tenant a id=1 pool=100.64.0.0/16; tenant b id=2 pool=100.64.7.0/24;",
	      "100.64.0.0/16 1\n100.64.7.0/24 0\n");
	pools("tenant b id=2 pool=100.64.7.0/24; tenant a id=1 pool=100.64.0.0/16;"
	      "tenant c id=3 pool=100.64.7.16/28 pool=100.64.8.0/24 pool=100.65.0.0/16;",
	      "100.64.0.0/16 1\n100.64.7.0/24 0\n100.64.8.0/24 0\n100.65.0.0/16 3\n");
	/* the innermost is again the outermost's: claimed by both all the same */
	pools("tenant a id=1 pool=100.64.0.0/16 pool=100.64.7.16/28;"
	      "tenant b id=2 pool=100.64.7.0/24;",
	      "100.64.0.0/16 1\n100.64.7.0/24 0\n");
}

Test(policy, pools_of_tenants_here)
{
	pools("tenant a id=1 pool=100.64.7.0/24; router id=1;", "100.64.7.0/24 0\n");
	pools("tenant a id=1 pool=100.64.7.0/24; router id=1; tenant b id=2 pool=100.64.0.0/16;",
	      "100.64.0.0/16 2\n100.64.7.0/24 0\n");
	pools("tenant a id=1 pool=100.64.0.0/16; router id=1; tenant b id=2 pool=100.64.7.0/24;",
	      "100.64.0.0/16 0\n");
}

/* ------------------------------------------------------------ flags, limits, sizes */

Test(policy, flags)
{
	_cleanup_model_ struct model m = model_of(SOME);
	struct tenant *blue = &m.tenants.v[0], *green = &m.tenants.v[1], *red = &m.tenants.v[2];
	_cleanup_policy_ struct policy p;
	struct rule *r = vec_push(&red->accept);

	red->has_accept = true;
	r->id = 1;
	r->any = true;
	*vec_push(&r->to) = xstrdup("db");
	r = vec_push(&red->accept);
	r->id = 2;
	*vec_push(&r->from) = xstrdup("blue/web");
	green->mappings.v[0].limit.packets = 100;
	policy_make(&m, &p);
	cr_expect_eq(policy_flags(&p, blue, &blue->mappings.v[0]), TN_SHARED_SENDER);
	cr_expect_eq(policy_flags(&p, blue, &blue->mappings.v[1]), 0);
	cr_expect_eq(policy_flags(&p, green, &green->mappings.v[0]),
		     TN_SHARED_JUDGED | TN_SHARED_LIMITED);
	/* both families of that name, and nobody else */
	cr_expect_eq(policy_flags(&p, red, &red->mappings.v[0]),
		     TN_SHARED_JUDGED | TN_SHARED_NAMED);
	cr_expect_eq(policy_flags(&p, red, &red->mappings.v[1]), TN_SHARED_JUDGED);
	cr_expect_eq(policy_flags(&p, red, &red->mappings.v[2]),
		     TN_SHARED_JUDGED | TN_SHARED_NAMED);
	/* elsewhere, but the file says whom it accepts */
	blue->has_accept = true;
	cr_expect_eq(policy_flags(&p, blue, &blue->mappings.v[1]), TN_SHARED_JUDGED);
}

Test(policy, limits)
{
	_cleanup_model_ struct model m = model_of(SOME);
	_cleanup_policy_ struct policy p;
	struct mapping *a = &m.tenants.v[0].mappings.v[0], *b = &m.tenants.v[2].mappings.v[0];

	/* a burst that the file may not have any more: what is stored counts */
	a->limit = (struct limit){ .rate = 12500000, .burst = 1048576 };
	b->limit = (struct limit){ .packets = 10000 };
	policy_make(&m, &p);
	cr_assert_eq(p.limits.n, 2);
	cr_expect_eq(policy_limit(&p, &a->shared)->rate, 12500000);
	cr_expect_eq(policy_limit(&p, &a->shared)->burst, 1048576);
	cr_expect_eq(policy_limit(&p, &a->shared)->packet_burst, 0);
	cr_expect_eq(policy_limit(&p, &b->shared)->packets, 10000);
	cr_expect_eq(policy_limit(&p, &b->shared)->packet_burst, 10000);
	policy_free(&p);
	b->limit.packets = 127;
	policy_make(&m, &p);
	cr_expect_eq(policy_limit(&p, &b->shared)->packet_burst, 128);
}

Test(policy, too_much_is_refused)
{
	struct policy p = { .too_many = true };
	struct service_row row = { .rule = POLICY_ROWS_MAX - 1 };
	struct error err = { 0 };

	cr_expect_eq(policy_check(&p, &err), -1);
	cr_expect(err.set);
	p = (struct policy){ .services = { &row, 1, 1 } };
	cr_expect_eq(policy_check(&p, &err), 0);
	row.rule++;
	cr_expect_eq(policy_check(&p, &err), -1);
	p = (struct policy){ .pools = { NULL, TN_POOLS_MAX, 0 } };
	cr_expect_eq(policy_check(&p, &err), 0);
	p.pools.n++;
	cr_expect_eq(policy_check(&p, &err), -1);
}

/* ------------------------------------------------------------ from one machine to another */

/* Whether `from` may open a flow to that address: as its router there sees it, and as one
 * here does that it leaves by. */
struct verdict {
	bool in;
	bool out;
};

struct question {
	struct tn_addr to;
	struct tn_addr from;
	uint32_t tenant; /* of `from` */
	uint8_t class;
	uint16_t service;
};

static struct verdict judge(const struct kernel_state *m, const struct question *q)
{
	const struct shared_row *to = kernel_state_shared(m, &q->to);
	const struct shared_row *from = kernel_state_shared(m, &q->from);
	const struct tn_addr *sender = from && from->flags & TN_SHARED_SENDER ? &q->from : NULL;
	struct tn_accept_key key = { .from = q->tenant };
	struct verdict v = { 0 };

	if (!to)
		return v;
	key.tenant = to->tenant;
	v.in = by_rows(&m->policy, key, sender, q->class, q->service);
	key.to = q->to;
	if (to->flags & TN_SHARED_NAMED)
		v.in |= by_rows(&m->policy, key, sender, q->class, q->service) != 0;
	v.out = v.in || !(to->flags & TN_SHARED_JUDGED);
	return v;
}

#define QUESTIONS (3 * 3 * 3)

/* On the way between two machines, with what is asked at every step. */
struct way {
	const struct kernel_state *from;
	const struct kernel_state *to;
	struct kernel_state now;
	struct question questions[QUESTIONS];
	struct verdict before[QUESTIONS];
	struct verdict after[QUESTIONS];
	size_t steps;
	size_t withdrawn; /* questions that rows of withdrawn were looked for */
	size_t stop;	  /* after so many steps, as a run that is killed; 0: never */
	int round;
};

static void check_step(struct way *w, const char *step)
{
	for (int i = 0; i < QUESTIONS; i++) {
		const struct question *q = &w->questions[i];
		struct verdict a = w->before[i], b = w->after[i], v = judge(&w->now, q);

		cr_assert(v.in <= (a.in || b.in) && v.out <= (a.out || b.out),
			  "round %d, %s: accepted by neither: %s to %s %u/%u", w->round, step,
			  ADDR(&q->from), ADDR(&q->to), q->class, q->service);
		cr_assert(v.in >= (a.in && b.in) && v.out >= (a.out && b.out),
			  "round %d, %s: accepted by both: %s to %s %u/%u", w->round, step,
			  ADDR(&q->from), ADDR(&q->to), q->class, q->service);
	}
}

static bool names(const struct tn_service_key *key, const struct way *w, const struct question *q)
{
	const struct shared_row like = { .shared = q->to };
	const struct shared_row *row =
		bsearch(&like, w->from->shared.v, w->from->shared.n, sizeof(like), shared_row_cmp);

	if (!row || key->accept.tenant != row->tenant ||
	    (key->accept.from && key->accept.from != q->tenant) ||
	    (!addr_is_unset(&key->accept.sender) && addr_cmp(&key->accept.sender, &q->from) != 0) ||
	    (!addr_is_unset(&key->accept.to) && addr_cmp(&key->accept.to, &q->to) != 0))
		return false;
	return key->class == TN_WITHDRAWN_ALL ||
	       (key->class == q->class && key->block == q->service >> key->shift);
}

/* What was accepted and will not be is withdrawn. */
static void check_withdrawn(struct way *w, const struct tn_service_key *keys, size_t n)
{
	for (int i = 0; i < QUESTIONS; i++) {
		bool found = false;

		if (!w->before[i].in || w->after[i].in)
			continue;
		for (size_t k = 0; k < n; k++)
			found |= names(&keys[k], w, &w->questions[i]);
		cr_assert(found, "round %d: %s is not withdrawn", w->round,
			  ADDR(&w->questions[i].to));
		w->withdrawn++;
	}
}

#define drop_row(vec, like, cmp)                               \
	do {                                                   \
		size_t _n = 0;                                 \
		for (size_t _i = 0; _i < (vec)->n; _i++) {     \
			if (cmp(&(vec)->v[_i], like) != 0)     \
				(vec)->v[_n++] = (vec)->v[_i]; \
		}                                              \
		(vec)->n = _n;                                 \
	} while (0)

static bool stopped(const struct way *w)
{
	return w->stop && w->steps >= w->stop;
}

#define step_del(w, rows, vec, cmp)                               \
	for (size_t _k = 0; _k < (rows).n && !stopped(w); _k++) { \
		drop_row(vec, &(rows).v[_k], cmp);                \
		(w)->steps++;                                     \
		check_step(w, "del " #rows);                      \
	}

#define step_put(w, rows, vec, cmp)                               \
	for (size_t _k = 0; _k < (rows).n && !stopped(w); _k++) { \
		drop_row(vec, &(rows).v[_k], cmp);                \
		*vec_push(vec) = (rows).v[_k];                    \
		kernel_state_sort(&(w)->now);                     \
		(w)->steps++;                                     \
		check_step(w, "put " #rows);                      \
	}

#define step_put_shared(w, rows)                                          \
	for (size_t _k = 0; _k < (rows).n && !stopped(w); _k++) {         \
		drop_row(&(w)->now.shared, (rows).v[_k], shared_row_cmp); \
		*vec_push(&(w)->now.shared) = *(rows).v[_k];              \
		kernel_state_sort(&(w)->now);                             \
		(w)->steps++;                                             \
		check_step(w, "put " #rows);                              \
	}

#define do_del_accepts(w, rows)	 step_del(w, rows, &(w)->now.policy.accepts, accept_row_cmp)
#define do_put_accepts(w, rows)	 step_put(w, rows, &(w)->now.policy.accepts, accept_row_cmp)
#define do_del_services(w, rows) step_del(w, rows, &(w)->now.policy.services, service_row_cmp)
#define do_put_services(w, rows) step_put(w, rows, &(w)->now.policy.services, service_row_cmp)
#define do_del_pools(w, rows)	 step_del(w, rows, &(w)->now.policy.pools, pool_row_cmp)
#define do_put_pools(w, rows)	 step_put(w, rows, &(w)->now.policy.pools, pool_row_cmp)
#define do_del_limits(w, rows)	 step_del(w, rows, &(w)->now.policy.limits, limit_row_cmp)
#define do_put_limits(w, rows)	 step_put(w, rows, &(w)->now.policy.limits, limit_row_cmp)
#define do_put_shared(w, rows)	 step_put_shared(w, rows)
/* nothing that decides who is accepted; by_fixed has no rows here */
#define do_put_fixed(w, rows) cr_assert_eq((rows).n, 0)
#define do_zero_hits(w, rows)
#define do_put_withdrawn(w, rows) check_withdrawn(w, (rows).v, (rows).n)

/* The order of execute_complete(). */
static void walk(struct way *w)
{
	_cleanup_plan_ struct plan plan;

	plan_make(w->to, w->from, &plan);
#define X(step, rows) do_##step(w, plan.rows);
	POLICY_STEPS(X)
#undef X
	do_put_shared(w, plan.shared_put);
	do_del_limits(w, plan.limit_del);
}

static void copy_rows(const struct kernel_state *from, struct kernel_state *to)
{
	memset(to, 0, sizeof(*to));
	vec_each (row, &from->shared)
		*vec_push(&to->shared) = *row;
	vec_each (row, &from->policy.accepts)
		*vec_push(&to->policy.accepts) = *row;
	vec_each (row, &from->policy.services)
		*vec_push(&to->policy.services) = *row;
	vec_each (row, &from->policy.limits)
		*vec_push(&to->policy.limits) = *row;
}

/* Few names and services, so that rules meet in the same rows. */
static void narrow_rule(struct dice *d, struct rule *r)
{
	static const struct service ports[] = { { TN_CLASS_TCP, 16, 16 },
						{ TN_CLASS_TCP, 17, 17 },
						{ TN_CLASS_TCP, 16, 31 } };
	static const char *const from[] = { "blue", "blue", "blue/web", "blue/10.0.0.6", "green" };

	r->any = chance(d, 30);
	if (!r->any)
		*vec_push(&r->from) = xstrdup(from[roll(d, ARRAY_SIZE(from))]);
	if (chance(d, 60))
		*vec_push(&r->to) = xstrdup(chance(d, 80) ? "db" : "web");
	for (uint32_t n = roll(d, 3); n--;)
		*vec_push(&r->services) = ports[roll(d, ARRAY_SIZE(ports))];
}

static struct kernel_state random_wanted(struct dice *d)
{
	_cleanup_model_ struct model m = model_of(SOME);
	struct kernel_state out, nothing = { 0 };
	struct facts none = { 0 };
	struct tenant *red = &m.tenants.v[2];

	model_sort(&m);
	red->has_accept = chance(d, 70);
	if (chance(d, 50)) { /* who is judged elsewhere, unless it accepts somebody here */
		free(red->router);
		red->router = NULL;
	}
	for (uint32_t n = red->has_accept ? roll(d, 4) : 0; n--;) {
		struct rule *r = vec_push(&red->accept);

		narrow_rule(d, r);
		r->id = 1 + roll(d, 1000);
	}
	red->mappings.v[0].limit.packets = chance(d, 30) ? 1 + roll(d, 3) : 0;
	if (chance(d, 20))
		mapping_clear(&red->mappings.v[--red->mappings.n]);
	kernel_state_wanted(&m, &none, &nothing, NULL, &out);
	return out;
}

/* Everything that can be asked about what narrow_rule() makes. */
static void ask(struct way *w)
{
	static const char *const to[] = { "100.64.1.5", "100.64.1.6", "fd64::5" };
	static const char *const from[] = { "100.64.2.5", "100.64.2.6", "100.64.3.5" };
	static const uint32_t tenants[] = { 7, 7, 300 };

	for (int i = 0; i < QUESTIONS; i++) {
		w->questions[i] = (struct question){ .to = addr_of(to[i % 3]),
						     .from = addr_of(from[i / 3 % 3]),
						     .tenant = tenants[i / 3 % 3],
						     .class = TN_CLASS_TCP,
						     .service = 16 + i / 9 };
		w->before[i] = judge(w->from, &w->questions[i]);
		w->after[i] = judge(w->to, &w->questions[i]);
	}
}

/* A mapping that goes is judged by the new rules until it is gone; that is not asked about. */
static bool loses_a_mapping(const struct kernel_state *from, const struct kernel_state *to)
{
	vec_each (row, &from->shared) {
		if (!bsearch(row, to->shared.v, to->shared.n, sizeof(*row), shared_row_cmp))
			return true;
	}
	return false;
}

static void expect_same_rows(const struct kernel_state *a, const struct kernel_state *b, int round)
{
	_cleanup_plan_ struct plan plan;

	plan_make(a, b, &plan);
	cr_assert(plan_empty(&plan), "round %d", round);
}

/*
 * At every moment of a change, nothing is accepted that neither the machine before nor the one
 * after accepts, and whatever both accept; from a machine that a killed run left, too.
 */
Test(policy, a_change_accepts_no_more_and_no_less)
{
	struct dice d = { .state = 23 };
	size_t steps = 0, withdrawn = 0;

	for (int round = 0; round < 3000; round++) {
		_cleanup_kernel_state_ struct kernel_state a = random_wanted(&d),
							   b = random_wanted(&d);
		_cleanup_kernel_state_ struct kernel_state c = random_wanted(&d), half = { 0 };
		struct way w = { .from = &a, .to = &b, .round = round, .stop = 1 + roll(&d, 12) };

		ask(&w);
		if (loses_a_mapping(&a, &b))
			continue;
		copy_rows(&a, &w.now);
		walk(&w);
		half = w.now;
		if (loses_a_mapping(&half, &c))
			continue;
		w = (struct way){ .from = &half, .to = &c, .round = round };
		ask(&w);
		copy_rows(&half, &w.now);
		walk(&w);
		steps += w.steps;
		withdrawn += w.withdrawn;
		expect_same_rows(&c, &w.now, round);
		kernel_state_free(&w.now);
	}
	cr_expect_gt(steps, 1000, "only %zu steps were walked", steps);
	cr_expect_gt(withdrawn, 100, "only %zu were withdrawn", withdrawn);
}
