/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel and the shim of tests/fuzz/ agree: the same frame, and the same comes out of
 * the same program, is counted the same and has the same mark, byte for byte. What was found
 * natively is then true of the kernel, and the other way round.
 */
#include <dirent.h>

#include "../fuzz/input.h"
#include "../fuzz/mend.h"
#include "harness.h"
#include "random.h"

#define CORPUS "tests/fuzz/corpus"
/* Variations of each input of the corpus. */
#define VARIATIONS 12

/* Both, and how often they were asked. */
struct pair {
	struct lab *lab, *guards;
	unsigned int verdicts[NO_VERDICT + 1];
	unsigned int refused;
};

static struct pair open_pair(void)
{
	/* as native.c has programs read of the kernel past the stack alone */
	struct lab *lab = lab_open(&(struct lab_options){ .reads_nothing = true });

	native_open();
	return (struct pair){
		.lab = lab,
		.guards = lab_open_beside(lab, &(struct lab_options){ .programs = ON_XDP,
								      .guards_only = true,
								      .reads_nothing = true }),
	};
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

static void compare(struct pair *pair, const char *what, const struct input *i)
{
	static struct tally before, after;
	struct packet p = { .gso_size = i->in.gso_size,
			    .gso_segs = i->in.gso_segs,
			    .mark = i->in.mark };
	struct frame f = { .len = i->in.len };
	struct native_in in = i->in;
	struct result kernel, native;

	if (no_test_run(i)) {
		pair->refused++;
		return;
	}
	memcpy(f.bytes, i->frame, f.len);
	lab_tally(pair->lab, &before);
	kernel = lab_run(i->in.guards_only ? pair->guards : pair->lab, i->in.program, &p, &f);
	lab_tally(pair->lab, &after);
	native_clear_map("drops");
	native_clear_map("counters");
	in.way_back = WAY_BACK_DISABLED; /* as it is in a lab's network namespace */
	native_run(&in, &native);

	pair->verdicts[native.verdict]++;
	cr_assert_eq(kernel.verdict, native.verdict, "%s, %s: verdict %d, natively %d", what,
		     program_name(i->in.program), kernel.verdict, native.verdict);
	cr_assert_eq(kernel.marked, native.marked, "%s: XDP's mark", what);
	cr_assert_eq(kernel.mark, native.mark, "%s: mark %#x, natively %#x", what, kernel.mark,
		     native.mark);
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
static void compare_corpus(unsigned int variations, struct random *random)
{
	struct pair pair = open_pair();
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
	cr_expect_gt(pair.verdicts[STACK], files / 4, "hardly anything passes");
	cr_expect_gt(pair.verdicts[GONE], files / 4, "hardly anything is dropped");
	cr_expect_gt(pair.verdicts[BACK], 0, "nothing goes back");
	cr_expect_lt(pair.refused, files * (variations ? variations : 1) / 4,
		     "hardly anything can be compared");
	close_pair(&pair);
}

Test(native, corpus)
{
	compare_corpus(0, NULL);
}

Test(native, corpus_varied)
{
	struct random random = random_seed();

	compare_corpus(VARIATIONS, &random);
}
