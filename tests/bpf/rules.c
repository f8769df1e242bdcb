/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Routes and rules of the kernel that ask for more than addresses and interfaces: what they lead
 * elsewhere does not go to the stack.
 */
#include <bpf/bpf.h>

#include "host/host.h"
#include "links.h"

#define PIECE .frag_at = 0, .frag_len = 40
#define LATER .frag_at = 40, .frag_len = 32

/*
 * A rule, or the rest of a route to the same end, that leads to the uplink what differs from other
 * packets by more than addresses; and such another one.
 */
static const struct apart {
	const char *what, *rule, *route;
	struct packet wrong, right;
} apart[] = {
	{ "destination port", "ipproto tcp dport 443",
	  .wrong = { .proto = IPPROTO_TCP, .dport = 443 }, .right = { .proto = IPPROTO_TCP } },
	{ "protocol of the port", "ipproto tcp dport 443",
	  .wrong = { .proto = IPPROTO_TCP, .dport = 443 },
	  .right = { .proto = IPPROTO_UDP, .dport = 443 } },
	{ "source port", "ipproto udp sport 5000-5010",
	  .wrong = { .proto = IPPROTO_UDP, .sport = 5005 }, .right = { .proto = IPPROTO_UDP } },
	{ "port of any protocol", "dport 443", .wrong = { .proto = IPPROTO_UDP, .dport = 443 },
	  .right = { .proto = IPPROTO_UDP, .dport = 444 } },
	{ "protocol", "ipproto udp", .wrong = { .proto = IPPROTO_UDP },
	  .right = { .proto = IPPROTO_TCP } },
	{ "protocol without ports", "ipproto ICMP", .wrong = { .proto = IPPROTO_ICMP },
	  .right = { .proto = IPPROTO_TCP } },
	{ "protocol of a fragment", "ipproto udp",
	  .wrong = { .proto = IPPROTO_UDP, .payload = 64, PIECE },
	  .right = { .proto = IPPROTO_TCP, .payload = 64, PIECE } },
	{ "port, which fragments do not have", "ipproto udp dport 443",
	  .wrong = { .proto = IPPROTO_UDP, .payload = 64, .dport = 443 },
	  .right = { .proto = IPPROTO_UDP, .payload = 64, .dport = 443, PIECE } },
	{ "port, of which no fragment has zero", "ipproto udp dport 443",
	  .wrong = { .proto = IPPROTO_UDP, .payload = 64, .dport = 443 },
	  .right = { .proto = IPPROTO_UDP, .payload = 64, LATER } },
	{ "TOS", "tos 0x08", .wrong = { .proto = IPPROTO_UDP, .tos = 0x08 },
	  .right = { .proto = IPPROTO_UDP } },
	{ "TOS beside ECN", "tos 0x08", .wrong = { .proto = IPPROTO_TCP, .tos = 0x09 },
	  .right = { .proto = IPPROTO_TCP, .tos = 0x11 } },
	{ "TOS of a route", NULL, "tos 0x08", .wrong = { .proto = IPPROTO_TCP, .tos = 0x08 },
	  .right = { .proto = IPPROTO_TCP } },
};

/* The ends of a packet, in either direction. */
static struct packet between(const struct packet *p, bool out, bool six)
{
	struct packet made = *p;
	const char *vm = six ? RED_VM_6 : RED_VM, *peer = six ? GREEN_SHARED_6 : GREEN_SHARED;

	made.src = out ? vm : peer;
	made.dst = out ? peer : six ? RED_SHARED_6 : RED_SHARED;
	if (!made.payload)
		made.payload = 8;
	if (six && made.proto == IPPROTO_ICMP)
		made.proto = IPPROTO_ICMPV6;
	if (six && made.frag_len)
		made.ext = "F";
	if (out) {
		made.ifindex = links_inside;
		made.from = MAC_VM;
	}
	return made;
}

static struct row row_between(const char *what, const struct packet *p, bool out, bool six,
			      bool wrong)
{
	bool later = p->frag_at;
	struct row row = { .what = what,
			   .before = between(p, out, six),
			   .reason = TN_DROP_WRONG_EGRESS };

	row.outcome = wrong ? TOLD : out ? PASSED : TRANSLATED;
	row.after = row.before;
	if (!out)
		row.after.dst = six ? RED_VM_6 : RED_VM;
	row.after.mark = 0;
	/* such as the stack may answer */
	row.xdp_leaves = !wrong && six && p->frag_len;
	if (wrong && later)
		row.outcome = DROPPED;
	return row;
}

static void lead_apart(const struct apart *a, bool out, bool six, const char *verb)
{
	const char *vm = six ? RED_VM_6 : RED_VM, *peer = six ? GREEN_SHARED_6 : GREEN_SHARED;
	const char *rule = a->rule;
	char command[200];

	if (rule && strstr(rule, "ICMP"))
		rule = six ? "ipproto ipv6-icmp" : "ipproto icmp";
	if (rule)
		snprintf(command, sizeof(command), "%srule %s %s table 9\n", six ? "-6 " : "", verb,
			 rule);
	else
		snprintf(command, sizeof(command), "route %s %s/32 %s dev up0\n", verb,
			 out ? peer : vm, a->route);
	links_ip(command);
}

static void check_one(struct lab *lab, const struct row *row, enum program program)
{
	links_tell_again(lab);
	lab_check(lab, row, program);
}

/* In turns, so that what was found for the one is not taken for the other. */
static void check_apart(struct lab *lab, const struct apart *a, bool out, bool six,
			enum program program)
{
	/* what the router would say of it goes by a rule for ICMP, too */
	bool answered = a->rule && strstr(a->rule, "ICMP");
	const struct row wrong = row_between(a->what, &a->wrong, out, six, true),
			 right = row_between(a->what, &a->right, out, six, answered);

	lead_apart(a, out, six, "add");
	for (int i = 0; i < 3; i++) {
		check_one(lab, &wrong, program);
		check_one(lab, &right, program);
	}
	lead_apart(a, out, six, "del");
	for (int i = 0; i < 2; i++) {
		const struct row as_ever = row_between(a->what, &a->wrong, out, six, false);

		check_one(lab, &as_ever, program);
	}
}

static void check_all_apart(struct lab_options o, enum program program)
{
	bool out = program == INSIDE_IN;
	struct lab *lab;

	o.programs = 1U << program;
	lab = links_open_known_as(&o);
	links_ip("route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n");
	lab_stay_on(0);
	for (size_t i = 0; i < ARRAY_SIZE(apart); i++) {
		check_apart(lab, &apart[i], out, false, program);
		if (apart[i].rule)
			check_apart(lab, &apart[i], out, true, program);
	}
	lab_close(lab);
}

Test(rules, of_the_stack)
{
	check_all_apart((struct lab_options){ 0 }, TC_IN);
	check_all_apart((struct lab_options){ 0 }, INSIDE_IN);
	check_all_apart((struct lab_options){ .loose = true }, INSIDE_IN);
	check_all_apart((struct lab_options){ .reads_nothing = true }, TC_IN);
	check_all_apart((struct lab_options){ .reads_nothing = true }, INSIDE_IN);
	check_all_apart((struct lab_options){ 0 }, XDP_IN);
	check_all_apart((struct lab_options){ .reads_nothing = true }, XDP_IN);
}

static void past_the_stack(struct lab *lab, const struct row *row, enum program program)
{
	struct frame in = packet_build(&row->before);
	struct result r = lab_run(lab, program, &row->before, &in);

	cr_expect_eq(r.verdict, BACK, "%s, %s: verdict %d", row->what, program_name(program),
		     r.verdict);
	cr_expect_eq(r.out.len, in.len, "%s, %s: another frame", row->what, program_name(program));
	cr_expect_eq(lab_drops(lab), 0, "%s, %s: dropped", row->what, program_name(program));
}

/* Past the stack routes are asked for by addresses alone: it leaves by the right interface. */
static void check_past(struct lab *lab, const struct apart *a, bool out, bool six,
		       enum program program)
{
	const struct row row = row_between(a->what, &a->wrong, out, six, false);

	if (six && a->wrong.frag_len)
		return; /* with an extension header it takes the stack */
	lead_apart(a, out, six, "add");
	for (int i = 0; i < 3; i++)
		past_the_stack(lab, &row, program);
	lead_apart(a, out, six, "del");
}

Test(rules, past_the_stack)
{
	for (int out = 0; out < 2; out++) {
		enum program program = out ? INSIDE_IN : TC_IN;
		struct lab *lab = links_open_known(1U << program, PAST_STACK, MAC_ROUTER);
		const struct packet options = { .proto = IPPROTO_TCP, .dport = 443, .options = 4 };
		const struct row stack = row_between("by the stack", &options, out, false, true);

		links_ip("route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n");
		for (size_t i = 0; i < ARRAY_SIZE(apart); i++) {
			check_past(lab, &apart[i], out, false, program);
			if (apart[i].rule)
				check_past(lab, &apart[i], out, true, program);
		}
		lead_apart(&apart[0], out, false, "add");
		check_one(lab, &stack, program);
		lab_close(lab);
	}
}

static bool kernel_takes_marks(void)
{
	unsigned int major, minor;
	char release[HOST_RELEASE];

	host_kernel(release, &major, &minor);
	return major > 6 || (major == 6 && minor >= 10);
}

/* What the router says to a VM over IPv6 it says from its own address there (Linux 6.10). */
Test(rules, from_the_router_inside)
{
	for (int loose = 0; loose < 2; loose++) {
		struct lab *lab = links_open_known_as(
			&(struct lab_options){ .programs = ON_INSIDE, .loose = loose });
		const struct packet udp = { .proto = IPPROTO_UDP };
		const struct row right = row_between("before", &udp, true, true, false),
				 wrong = row_between("by the rule", &udp, true, true, true);

		lab_stay_on(0);
		check_one(lab, &right, INSIDE_IN);
		links_ip("route add ::/0 dev up0 table 9\n-6 rule add from fd00:10::1 table 9\n");
		if (kernel_takes_marks())
			check_one(lab, &wrong, INSIDE_IN);
		lab_close(lab);
	}
}

/* A mark that a program in front of ours has given (Linux 6.10). */
Test(rules, by_mark)
{
	for (int how = 0; how < 4; how++) {
		bool out = how & 1, six = how & 2;
		enum program program = out ? INSIDE_IN : TC_IN;
		struct lab *lab = links_open_known(1U << program, BY_STACK, MAC_ROUTER);
		struct packet unmarked = { .proto = IPPROTO_UDP }, marked = unmarked,
			      other = unmarked;
		struct row right = row_between("no mark", &unmarked, out, six, false), wrong, like;

		marked.mark = 7;
		other.mark = 8;
		wrong = row_between("the mark", &marked, out, six, true);
		like = row_between("another mark", &other, out, six, false);
		like.after.mark = 8;
		wrong.after.mark = 7;
		links_ip("route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n"
			 "rule add fwmark 7 table 9\n-6 rule add fwmark 7 table 9\n");
		lab_stay_on(0);
		for (int i = 0; kernel_takes_marks() && i < 3; i++) {
			check_one(lab, &right, program);
			check_one(lab, &wrong, program);
			check_one(lab, &like, program);
		}
		lab_close(lab);
	}
}
