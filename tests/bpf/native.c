/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel and the shim of tests/fuzz/ agree: the same frame, and the same comes out of
 * the same program, is counted the same and has the same mark, byte for byte. What was found
 * natively is then true of the kernel, and the other way round.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/bpf.h>

#include "../fuzz/input.h"
#include "../fuzz/mend.h"
#include "harness.h"
#include "links.h"
#include "random.h"

#define CORPUS "tests/fuzz/corpus"
/* Variations of each input of the corpus. */
#define VARIATIONS 12

/* What the kernel's tables say, in the lab's namespace. */
struct world {
	enum way to_vms, to_shared;
	bool loose; /* TN_PORT_LOOSE: or nothing that VMs send would get past the question */
	/* lines of ip(8); NULL: nothing is forwarded */
	const char *links;
};

static const struct world nothing_forwarded = { .to_vms = WAY_DISABLED, .to_shared = WAY_DISABLED };

/* An uplink beyond all that a lab has inside, and routes that lead nowhere else. */
#define UPLINK 1000
static const struct world uplink_alone = {
	.to_vms = WAY_UPLINK,
	.to_shared = WAY_UPLINK,
	.loose = true,
	.links = "link set lo up\n"
		 "link add up0 index 1000 type veth peer name up1 index 1001\n"
		 "link set up0 up\nlink set up1 up\n"
		 "route add default dev up0\nroute add 10.0.0.0/8 dev up0\n"
		 "route add 100.64.0.0/16 dev up0\n"
		 "route add ::/0 dev up0\n",
};

/* Both, and how often they were asked. */
struct pair {
	const struct world *world;
	struct lab *lab, *guards;
	unsigned int verdicts[NO_VERDICT + 1];
	unsigned int refused, told;
};

static void switch_on(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "w");

	need(f && fputc('1', f) != EOF, path);
}

static struct pair open_pair(const struct world *w)
{
	/* as native.c has programs read of the kernel past the stack alone */
	struct lab_options o = { .reads_nothing = true, .loose = w->loose };
	struct pair pair = { .world = w, .lab = lab_open(&o) };

	o.programs = ON_XDP;
	o.guards_only = true;
	pair.guards = lab_open_beside(pair.lab, &o);
	if (w->links) {
		links_ip(w->links);
		switch_on("/proc/sys/net/ipv4/ip_forward");
		switch_on("/proc/sys/net/ipv6/conf/all/forwarding");
	}
	native_open();
	return pair;
}

static void close_pair(struct pair *pair)
{
	lab_close(pair->guards);
	lab_close(pair->lab);
}

/* The kernel has no test runs on tc of a frame that says IP and ends before its header does. */
static bool no_test_run(const struct input *i)
{
	uint16_t type = i->frame[12] << 8 | i->frame[13];

	return i->in.program != XDP_IN && ((type == ETH_P_IP && i->in.len < ETH_HLEN + 20) ||
					   (type == ETH_P_IPV6 && i->in.len < ETH_HLEN + 40));
}

static void compare_tallies(const char *what, const struct tally *before, const struct tally *after)
{
	for (uint32_t r = 0; r < ROUTERS; r++) {
		const struct tn_drops *d = native_lookup("drops", &r);

		for (int i = 0; i < TN_REASONS_MAX; i++)
			cr_assert_eq(after->routers[r].packets[i] - before->routers[r].packets[i],
				     d->packets[i], "%s: drops of router %u for reason %d", what, r,
				     i);
	}
	for (uint32_t slot = 0; slot < MAPPINGS_MAX; slot++) {
		const struct tn_counters *b = &before->mappings[slot], *a = &after->mappings[slot];
		const struct tn_counters *c = native_lookup("counters", &slot);

		cr_assert(a->in_packets - b->in_packets == c->in_packets &&
				  a->in_bytes - b->in_bytes == c->in_bytes &&
				  a->out_packets - b->out_packets == c->out_packets &&
				  a->out_bytes - b->out_bytes == c->out_bytes,
			  "%s: counters of slot %u", what, slot);
	}
}

/* What was run, for who has to look into it. */
static void dump(const struct native_in *in)
{
	for (size_t i = 0; i < in->len; i++)
		fprintf(stderr, "%02x%s", in->bytes[i],
			i % 16 == 15 || i + 1 == in->len ? "\n" : " ");
}

/* Neighbours and errors: as many as there may be, or too many already. */
static void set_budget(struct lab *lab, bool spent)
{
	uint64_t taken[2] = { spent ? 1ULL << 55 : 0, spent ? 1ULL << 55 : 0 };
	int asked = lab_map_fd(lab, "unresolved");
	struct tn_fixed_key neighbour;
	uint32_t router = RED;

	need(!bpf_map_update_elem(lab_map_fd(lab, "buckets"), &router, taken, BPF_ANY), "buckets");
	while (!bpf_map_get_next_key(asked, NULL, &neighbour))
		need(!bpf_map_delete_elem(asked, &neighbour), "unresolved");
}

static uint32_t ingress_of(const struct native_in *in)
{
	static const uint32_t by[] = {
		[FROM_INSIDE] = IF_INSIDE, [FROM_SHARED] = IF_SHARED, [FROM_UPLINK] = UPLINK
	};

	return in->program == TC_OUT ? by[in->ingress] : 0;
}

static struct result run_tc(struct lab *lab, const struct native_in *in, uint32_t *priority)
{
	struct result r = { .verdict = NO_VERDICT };
	struct __sk_buff before = { .gso_size = in->gso_size,
				    .gso_segs = in->gso_segs,
				    .mark = in->mark,
				    .priority = in->priority,
				    .ingress_ifindex = ingress_of(in) },
			 after = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = r.out.bytes, .data_size_out = sizeof(r.out.bytes),
		    .ctx_in = &before, .ctx_size_in = sizeof(before), .ctx_out = &after,
		    .ctx_size_out = sizeof(after));

	need(bpf_prog_test_run_opts(lab_fd(lab, in->program), &opts) == 0, "running tc");
	r.verdict = verdict_tc(opts.retval);
	r.out.len = opts.data_size_out;
	r.mark = after.mark;
	*priority = after.priority;
	return r;
}

static struct result run_kernel(struct pair *pair, const struct native_in *in, uint32_t *priority)
{
	struct frame f = { .len = in->len };

	set_budget(pair->lab, in->spent);
	*priority = 0;
	if (in->program != XDP_IN)
		return run_tc(pair->lab, in, priority);
	memcpy(f.bytes, in->bytes, f.len);
	return lab_run(in->guards_only ? pair->guards : pair->lab, XDP_IN, &(struct packet){ 0 },
		       &f);
}

static struct result run_native(const struct native_in *in)
{
	struct result r;

	native_clear_map("drops");
	native_clear_map("counters");
	native_clear_map("unresolved");
	native_run(in, &r);
	return r;
}

/* A drop whose frame goes back all the same. */
static bool is_told(const struct result *r)
{
	uint32_t router = RED;
	const struct tn_drops *d = native_lookup("drops", &router);

	return r->verdict == BACK && d->packets[TN_DROP_WRONG_EGRESS];
}

static void compare(struct pair *pair, const char *what, const struct input *i)
{
	static struct tally before, after;
	struct native_in in = i->in;
	struct result kernel, native;
	uint32_t priority;

	if (no_test_run(i)) {
		pair->refused++;
		return;
	}
	in.to_vms = pair->world->to_vms;
	in.to_shared = pair->world->to_shared;
	in.sources_loose = pair->world->loose;
	in.summed = SUMMED_NOT; /* of which there is no test run, nor of what has no socket */
	in.no_socket = in.noted = false;
	if (pair->world->links)
		in.spent = false; /* natively the uplink knows its neighbours */
	lab_tally(pair->lab, &before);
	kernel = run_kernel(pair, &in, &priority);
	lab_tally(pair->lab, &after);
	native = run_native(&in);

	pair->verdicts[native.verdict]++;
	if (kernel.verdict != native.verdict)
		dump(&in);
	cr_assert_eq(kernel.verdict, native.verdict, "%s, %s: verdict %d, natively %d", what,
		     program_name(i->in.program), kernel.verdict, native.verdict);
	cr_assert_eq(kernel.marked, native.marked, "%s: XDP's mark", what);
	cr_assert_eq(kernel.mark, native.mark, "%s: mark %#x, natively %#x", what, kernel.mark,
		     native.mark);
	cr_assert_eq(priority, native_out().priority, "%s: priority %#x, natively %#x", what,
		     priority, native_out().priority);
	pair->told += is_told(&native);
	compare_tallies(what, &before, &after);
	if (kernel.out.len != native.out.len ||
	    memcmp(kernel.out.bytes, native.out.bytes, native.out.len) != 0) {
		_cleanup_free_ char *diff = frame_diff(&kernel.out, &native.out);

		cr_assert(false, "%s, %s: not the same frame (want: the kernel's)\n%s", what,
			  program_name(i->in.program), diff);
	}
}

/* Some bytes changed, and then perhaps what says that they were not. */
static void vary(uint8_t *data, size_t size, struct random *random)
{
	for (unsigned int n = draw(random) % 4; n; n--)
		data[draw(random) % size] = draw(random);
	if (draw(random) % 2)
		mend_addresses(data + INPUT_HEAD, size - INPUT_HEAD, draw(random));
	if (draw(random) % 4)
		mend_sums(data + INPUT_HEAD, size - INPUT_HEAD, draw(random));
}

static void compare_file(struct pair *pair, const char *name, unsigned int variations,
			 struct random *random)
{
	_cleanup_fclose_ FILE *in = NULL;
	uint8_t data[INPUT_MAX], varied[INPUT_MAX];
	struct input i;
	char what[300];
	size_t n;

	snprintf(what, sizeof(what), CORPUS "/%s", name);
	in = fopen(what, "rb");
	need(in, what);
	n = fread(data, 1, sizeof(data), in);
	input_read(&i, data, n);
	if (!variations)
		compare(pair, what, &i);
	for (unsigned int v = 0; v < variations && n >= INPUT_HEAD + ETH_HLEN; v++) {
		snprintf(what, sizeof(what), "%s, variation %u", name, v);
		memcpy(varied, data, n);
		vary(varied, n, random);
		input_read(&i, varied, n);
		compare(pair, what, &i);
	}
}

/* Every input once as it is, or as many times varied. */
static void compare_corpus(const struct world *w, unsigned int variations, struct random *random)
{
	struct pair pair = open_pair(w);
	unsigned int files = 0;
	struct dirent **names;
	int n = scandir(CORPUS, &names, NULL, alphasort);

	need(n >= 0, CORPUS " (from the top of the source?)");
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			compare_file(&pair, names[i]->d_name, variations, random);
			files++;
		}
		free(names[i]);
	}
	free(names);
	cr_expect_gt(files, 100, "hardly any corpus");
	cr_expect_gt(pair.verdicts[STACK], files / (w->links ? 8 : 4), "hardly anything passes");
	cr_expect_gt(pair.verdicts[GONE], files / 4, "hardly anything is dropped");
	cr_expect_gt(pair.verdicts[BACK], 0, "nothing goes back");
	cr_expect_eq(pair.told > 0, w->links != NULL, "%u senders were told", pair.told);
	cr_expect_lt(pair.refused, files * (variations ? variations : 1) / 4,
		     "hardly anything can be compared");
	close_pair(&pair);
}

Test(native, corpus)
{
	compare_corpus(&nothing_forwarded, 0, NULL);
}

Test(native, corpus_varied)
{
	struct random random = random_seed();

	compare_corpus(&nothing_forwarded, VARIATIONS, &random);
}

Test(native, all_leads_to_the_uplink)
{
	compare_corpus(&uplink_alone, 0, NULL);
}

Test(native, all_leads_to_the_uplink_varied)
{
	struct random random = random_seed();

	compare_corpus(&uplink_alone, VARIATIONS, &random);
}
