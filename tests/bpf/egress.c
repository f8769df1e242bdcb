/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the kernel's tables lead packets that are to be translated: what comes from the shared
 * network to an inside interface, and what VMs send there to the shared one. What leads elsewhere
 * is dropped, and its sender is told.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "host/host.h"
#include "links.h"

#define WITH(p, s, d, n, ...) .src = s, .dst = d, .proto = IPPROTO_##p, .payload = n, ##__VA_ARGS__
#define PIECE		      .frag_at = 0, .frag_len = 40
#define LATER		      .frag_at = 40, .frag_len = 32
#define ERROR(s, d, qs, qd)                                                                    \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 11, .quote = &(const struct packet) \
	{                                                                                      \
		UDP(qs, qd)                                                                    \
	}
#define ERROR_6(s, d, qs, qd)                                                                   \
	.src = s, .dst = d, .proto = IPPROTO_ICMPV6, .type = 3, .quote = &(const struct packet) \
	{                                                                                       \
		UDP(qs, qd)                                                                     \
	}

static void check_rows(struct lab *lab, const struct row *rows, size_t n, enum program program)
{
	for (size_t i = 0; i < n; i++) {
		if (!(rows[i].programs & 1U << program))
			continue;
		links_tell_again(lab);
		lab_check(lab, &rows[i], program);
	}
}

/* ---------------------------------------------------------------- to VMs */

/* RED_VM is where a VM has to be; RED_VM2 is where `commands` have it be. */
static void check_in(const struct lab_options *o, const char *commands, const struct row *rows,
		     size_t n)
{
	struct lab *lab = links_open_known_as(o);

	links_ip(commands);
	check_rows(lab, rows, n, TC_IN);
	check_rows(lab, rows, n, XDP_IN);
	check_rows(lab, rows, n, TC_IN); /* once more, with what is known by now */
	lab_close(lab);
}

static void check_in_each(const char *commands, const struct row *rows, size_t n)
{
	for (int how = 0; how < 4; how++)
		check_in(&(struct lab_options){ .programs = ON_IN,
						.fast = how & 1,
						.guards_only = how & 2,
						.own_slots = true },
			 commands, rows, n);
}

#define TO(p, n, ...)	WITH(p, GREEN_SHARED, RED_SHARED2, n, ##__VA_ARGS__)
#define TO_6(p, n, ...) WITH(p, GREEN_SHARED_6, RED_SHARED2_6, n, ##__VA_ARGS__)

/* clang-format off */
static const struct row wrong_in[] = {
	{ "UDP", ON_IN, { TO(UDP, 8) }, TELL(WRONG_EGRESS) },
	{ "UDP, IPv6", ON_IN, { TO_6(UDP, 8) }, TELL(WRONG_EGRESS) },
	{ "TCP", ON_IN, { TO(TCP, 8) }, TELL(WRONG_EGRESS) },
	{ "TCP, IPv6", ON_IN, { TO_6(TCP, 8) }, TELL(WRONG_EGRESS) },
	{ "a ping", ON_IN, { TO(ICMP, 8) }, TELL(WRONG_EGRESS) },
	{ "a ping, IPv6", ON_IN, { TO_6(ICMPV6, 8) }, TELL(WRONG_EGRESS) },
	{ "with options", ON_IN, { TO(UDP, 8), .options = 8 }, TELL(WRONG_EGRESS) },
	{ "with extensions", ON_IN, { TO_6(UDP, 8), .ext = "D" }, TELL(WRONG_EGRESS) },
	{ "an odd number of bytes", ON_IN, { TO(UDP, 7) }, TELL(WRONG_EGRESS) },
	{ "an odd number of bytes, IPv6", ON_IN, { TO_6(TCP, 9) }, TELL(WRONG_EGRESS) },
	{ "as much as is quoted", ON_IN, { TO(UDP, TOLD_BYTES - 28) }, TELL(WRONG_EGRESS) },
	{ "one more than is quoted", ON_IN, { TO(UDP, TOLD_BYTES - 27) }, TELL(WRONG_EGRESS) },
	{ "much more than is quoted", ON_IN, { TO(TCP, 1000) }, TELL(WRONG_EGRESS) },
	{ "much more than is quoted, IPv6", ON_IN, { TO_6(TCP, 1000) }, TELL(WRONG_EGRESS) },
	{ "with a trailer, which is not quoted", ON_IN, { TO(UDP, 8), .trailer = 18 },
	  TELL(WRONG_EGRESS) },
	{ "from another MAC address, where the error goes", ON_IN, { TO(UDP, 8), .from = MAC_OTHER },
	  TELL(WRONG_EGRESS) },
	{ "the first piece", ON_IN, { TO(UDP, 64), PIECE }, TELL(WRONG_EGRESS) },
	{ "the first piece, IPv6", ON_IN, { TO_6(UDP, 64), PIECE, .ext = "F" }, TELL(WRONG_EGRESS) },

	{ "a later piece", ON_TC, { TO(UDP, 64), LATER }, DROP(WRONG_EGRESS) },
	{ "a later piece, IPv6", ON_TC, { TO_6(UDP, 64), LATER, .ext = "F" }, DROP(WRONG_EGRESS) },
	{ "an error", ON_TC, { ERROR(GREEN_SHARED, RED_SHARED2, RED_SHARED2, GREEN_SHARED) },
	  DROP(WRONG_EGRESS) },
	{ "an error, IPv6", ON_TC,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED2_6, RED_SHARED2_6, GREEN_SHARED_6) },
	  DROP(WRONG_EGRESS) },
	{ "XDP leaves all of these to tc", ON_XDP, { TO(UDP, 64), LATER }, PASS },
	{ "XDP leaves all of these to tc, IPv6", ON_XDP,
	  { ERROR_6(GREEN_SHARED_6, RED_SHARED2_6, RED_SHARED2_6, GREEN_SHARED_6) }, PASS },
};

/* the router answers itself that there is nobody */
static const struct row nowhere_in[] = {
	{ "nowhere", ON_TC, { TO(UDP, 8) }, AFTER(UDP(GREEN_SHARED, RED_VM2)) },
	{ "nowhere, IPv6", ON_TC, { TO_6(UDP, 8) }, AFTER(UDP(GREEN_SHARED_6, RED_VM2_6)) },
	{ "nowhere, a ping", ON_TC, { TO(ICMP, 8) }, AFTER(WITH(ICMP, GREEN_SHARED, RED_VM2, 8)) },
};
/* clang-format on */

#define GONE_TO(where) "route add " RED_VM2 "/32 " where "\nroute add " RED_VM2_6 "/128 " where "\n"

Test(egress, vms_by_the_uplink)
{
	check_in_each(GONE_TO("dev up0"), wrong_in, ARRAY_SIZE(wrong_in));
}

/* The uplink has a default route, by which all goes that no other route leads to. */
Test(egress, vms_without_their_interface)
{
	check_in_each("link set lan0 down\n", wrong_in, ARRAY_SIZE(wrong_in));
	check_in_each("link del lan0\n", wrong_in, ARRAY_SIZE(wrong_in));
	check_in_each("route del 10.0.0.0/24 dev lan0\nroute del fd00:10::/64 dev lan0\n", wrong_in,
		      ARRAY_SIZE(wrong_in));
}

Test(egress, vms_by_the_shared_network)
{
	check_in_each(GONE_TO("dev lo"), wrong_in, ARRAY_SIZE(wrong_in));
}

Test(egress, vms_by_a_rule)
{
	check_in_each("rule add to " RED_VM2 " table 9\nroute add default dev up0 table 9\n"
		      "-6 rule add to " RED_VM2_6 " table 9\nroute add ::/0 dev up0 table 9\n",
		      wrong_in, ARRAY_SIZE(wrong_in));
	check_in_each("rule add from " GREEN_SHARED " table 9\nroute add default dev up0 table 9\n"
		      "-6 rule add from " GREEN_SHARED_6
		      " table 9\nroute add ::/0 dev up0 table 9\n",
		      wrong_in, ARRAY_SIZE(wrong_in));
}

Test(egress, vms_nowhere)
{
	check_in_each(GONE_TO("dev up0") "route del " RED_VM2 "/32\nroute del " RED_VM2_6 "/128\n"
					 "route add unreachable " RED_VM2
					 "/32\nroute add unreachable " RED_VM2_6 "/128\n",
		      nowhere_in, ARRAY_SIZE(nowhere_in));
	check_in_each("route add prohibit " RED_VM2 "/32\nroute add prohibit " RED_VM2_6 "/128\n",
		      nowhere_in, ARRAY_SIZE(nowhere_in));
	check_in_each("route add blackhole " RED_VM2 "/32\nroute add blackhole " RED_VM2_6 "/128\n",
		      nowhere_in, ARRAY_SIZE(nowhere_in));
	check_in_each("link set lan0 down\nroute del default\nroute del ::/0 dev up0\n", nowhere_in,
		      ARRAY_SIZE(nowhere_in));
}

/* Not more often than so, in all. */
Test(egress, errors_are_few)
{
	struct lab *lab =
		links_open_known_as(&(struct lab_options){ .programs = ON_TC | ON_INSIDE });
	const struct {
		uint64_t resolve, tell;
	} spent = { .tell = UINT64_MAX / 2 };
	const struct row told = { "told", ON_TC, { TO(UDP, 8) }, TELL(WRONG_EGRESS) };
	const struct row dropped = { "not told", ON_TC, { TO(UDP, 8) }, DROP(WRONG_EGRESS) };
	const struct row out = { "not told, out",
				 ON_INSIDE,
				 { UDP(RED_VM, "100.64.77.1"), .from = MAC_VM,
				   .ifindex = links_inside },
				 DROP(WRONG_EGRESS) };
	uint32_t router = RED;

	links_ip(GONE_TO("dev up0"));
	links_tell_again(lab);
	for (int i = 0; i < 50; i++)
		lab_check(lab, &told, TC_IN);
	need(bpf_map_update_elem(lab_map_fd(lab, "buckets"), &router, &spent, BPF_ANY) == 0,
	     "buckets");
	lab_check(lab, &dropped, TC_IN);
	lab_check(lab, &out, INSIDE_IN);
	lab_close(lab);
}

/* ---------------------------------------------------------------- to the shared network */

static void check_out(const struct lab_options *o, const char *commands, const struct row *rows,
		      size_t n)
{
	struct lab *lab = links_open_known_as(o);

	links_ip(commands);
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < n; i++) {
			struct row row = rows[i];

			row.before.ifindex = links_inside;
			row.before.from = MAC_VM;
			row.after.from = MAC_VM;
			check_rows(lab, &row, 1, INSIDE_IN);
		}
	}
	lab_close(lab);
}

static void check_out_each(const char *commands, const struct row *rows, size_t n)
{
	for (int how = 0; how < 6; how++)
		check_out(&(struct lab_options){ .programs = ON_INSIDE,
						 .fast = how & 1,
						 .loose = how / 2 == 1,
						 .feasible = how / 2 == 2,
						 .own_slots = true },
			  commands, rows, n);
}

#define OF(p, n, ...)	WITH(p, RED_VM, STRANGER, n, ##__VA_ARGS__)
#define OF_6(p, n, ...) WITH(p, RED_VM_6, STRANGER_6, n, ##__VA_ARGS__)

/* clang-format off */
static const struct row wrong_out[] = {
	{ "UDP", ON_INSIDE, { OF(UDP, 8) }, TELL(WRONG_EGRESS) },
	{ "UDP, IPv6", ON_INSIDE, { OF_6(UDP, 8) }, TELL(WRONG_EGRESS) },
	{ "TCP", ON_INSIDE, { OF(TCP, 600) }, TELL(WRONG_EGRESS) },
	{ "TCP, IPv6", ON_INSIDE, { OF_6(TCP, 600) }, TELL(WRONG_EGRESS) },
	{ "a ping", ON_INSIDE, { OF(ICMP, 8) }, TELL(WRONG_EGRESS) },
	{ "a ping, IPv6", ON_INSIDE, { OF_6(ICMPV6, 8) }, TELL(WRONG_EGRESS) },
	{ "with options", ON_INSIDE, { OF(UDP, 8), .options = 4 }, TELL(WRONG_EGRESS) },
	{ "with extensions", ON_INSIDE, { OF_6(UDP, 8), .ext = "H" }, TELL(WRONG_EGRESS) },
	{ "the last hop", ON_INSIDE, { OF(UDP, 8), .ttl = 1 }, TELL(WRONG_EGRESS) },
	{ "the first piece", ON_INSIDE, { OF(UDP, 64), PIECE }, TELL(WRONG_EGRESS) },
	{ "the first piece, IPv6", ON_INSIDE, { OF_6(UDP, 64), PIECE, .ext = "F" }, TELL(WRONG_EGRESS) },
	{ "of a VM without a mapping", ON_INSIDE, { UDP("10.0.0.5", STRANGER) }, TELL(WRONG_EGRESS) },
	{ "a later piece", ON_INSIDE, { OF(UDP, 64), LATER }, DROP(WRONG_EGRESS) },
	{ "a later piece, IPv6", ON_INSIDE, { OF_6(UDP, 64), LATER, .ext = "F" }, DROP(WRONG_EGRESS) },
	{ "an error", ON_INSIDE, { ERROR(RED_VM, STRANGER, STRANGER, RED_VM) }, DROP(WRONG_EGRESS) },
	{ "an error, IPv6", ON_INSIDE, { ERROR_6(RED_VM_6, STRANGER_6, STRANGER_6, RED_VM_6) },
	  DROP(WRONG_EGRESS) },
	/* what is not for the shared network may go anywhere, and a hairpin goes by no route */
	{ "elsewhere", ON_INSIDE, { UDP(RED_VM, "8.8.8.8") }, PASS },
	{ "elsewhere, IPv6", ON_INSIDE, { UDP(RED_VM_6, "2001:db8::7") }, PASS },
	{ "to a VM of the same router", ON_INSIDE, { UDP(RED_VM, RED_SHARED2) },
	  TURNED_BACK(UDP(RED_SHARED, RED_SHARED2)) },
};

static const struct row nowhere_out[] = {
	{ "nowhere", ON_INSIDE, { OF(UDP, 8) }, PASS },
	{ "nowhere, IPv6", ON_INSIDE, { OF_6(UDP, 8) }, PASS },
	{ "nowhere, TCP", ON_INSIDE, { OF(TCP, 8) }, PASS },
};
/* clang-format on */

#define LED_TO(where) \
	"route add " STRANGER "/32 " where "\nroute add " STRANGER_6 "/128 " where "\n"

Test(egress, the_shared_network_by_the_uplink)
{
	check_out_each(LED_TO("dev up0"), wrong_out, ARRAY_SIZE(wrong_out));
}

Test(egress, the_shared_network_without_its_route)
{
	check_out_each("route del 100.64.0.0/16 dev lo\nroute del fd64::/64 dev lo\n", wrong_out,
		       ARRAY_SIZE(wrong_out));
}

Test(egress, the_shared_network_inside)
{
	check_out_each(LED_TO("dev lan0"), wrong_out, ARRAY_SIZE(wrong_out));
}

/* As for virtual routers that are spread over machines. */
Test(egress, the_shared_network_by_a_rule)
{
	check_out_each("rule add from " RED_VM " to 100.64.0.0/16 table 9\n"
		       "route add default dev up0 table 9\n"
		       "-6 rule add from " RED_VM_6 " to fd64::/64 table 9\n"
		       "route add ::/0 dev up0 table 9\n",
		       wrong_out, ARRAY_SIZE(wrong_out));
	check_out_each(
		"rule add iif lan0 to 100.64.0.0/16 table 9\n"
		"route add default dev up0 table 9\n"
		"-6 rule add iif lan0 to fd64::/64 table 9\nroute add ::/0 dev up0 table 9\n",
		wrong_out, ARRAY_SIZE(wrong_out));
}

Test(egress, the_shared_network_nowhere)
{
	check_out_each("route add unreachable " STRANGER "/32\nroute add unreachable " STRANGER_6
		       "/128\n",
		       nowhere_out, ARRAY_SIZE(nowhere_out));
	check_out_each("route del 100.64.0.0/16 dev lo\nroute del fd64::/64 dev lo\n"
		       "route del default\nroute del ::/0 dev up0\n",
		       nowhere_out, ARRAY_SIZE(nowhere_out));
}

/* ---------------------------------------------------------------- changes */

#define VIA_UPLINK   "route add default dev up0 table 9\n"
#define VIA_UPLINK_6 "route add ::/0 dev up0 table 9\n"

/* What leads packets, or answers to them, elsewhere; and what takes that back. */
struct change {
	const char *made, *undone;
};

static void check_change(struct lab *lab, enum program program, const struct row *before,
			 const struct change *change)
{
	struct row passes = *before, told;

	if (program == INSIDE_IN)
		passes.before.ifindex = links_inside;
	told = passes;
	told.outcome = TOLD;
	told.reason = TN_DROP_WRONG_EGRESS;
	told.what = change->made;
	for (int i = 0; i < 3; i++)
		lab_check(lab, &passes, program);
	links_ip(change->made);
	links_tell_again(lab);
	lab_check(lab, &told, program);
	links_ip(change->undone);
}

static void check_changes_of(enum program program, bool reads_nothing, const char *first,
			     const struct row *before, const struct change *changes, size_t n)
{
	struct lab *lab = links_open_known_as(&(struct lab_options){
		.programs = 1U << program, .own_slots = true, .reads_nothing = reads_nothing });

	links_ip(first);
	lab_stay_on(0);
	for (size_t i = 0; i < n; i++)
		check_change(lab, program, before, &changes[i]);
	lab_close(lab);
}

/*
 * What the stack has had for a while it has no longer when the routes are others. XDP leaves it to
 * tc, which tells the sender.
 */
static void check_changes(const char *first, const struct row *before, const struct change *changes,
			  size_t n)
{
	for (int program = 0; program < PROGRAMS; program++) {
		if (!(before->programs & 1U << program))
			continue;
		check_changes_of(program, true, first, before, changes, n);
		if (host_lets_programs_read())
			check_changes_of(program, false, first, before, changes, n);
	}
}

/* clang-format off */
static const struct row goes_in = { "in", ON_IN, { UDP(GREEN_SHARED, RED_SHARED) },
				    AFTER(UDP(GREEN_SHARED, RED_VM)) };
static const struct row goes_in_6 = { "in, IPv6", ON_IN, { UDP(GREEN_SHARED_6, RED_SHARED_6) },
				      AFTER(UDP(GREEN_SHARED_6, RED_VM_6)) };
static const struct row goes_out = { "out", ON_INSIDE,
				     { UDP(RED_VM, GREEN_SHARED), .from = MAC_VM }, PASS };
static const struct row goes_out_6 = { "out, IPv6", ON_INSIDE,
				       { UDP(RED_VM_6, GREEN_SHARED_6), .from = MAC_VM }, PASS };

#define ROUTE(...)  { "route add " __VA_ARGS__ "\n", "route del " __VA_ARGS__ "\n" }
#define NO_ROUTE(...) { "route del " __VA_ARGS__ "\n", "route add " __VA_ARGS__ "\n" }
#define RULE(...)   { "rule add " __VA_ARGS__ " table 9\n", "rule del " __VA_ARGS__ " table 9\n" }
#define RULE_6(...) { "-6 rule add " __VA_ARGS__ " table 9\n", \
		      "-6 rule del " __VA_ARGS__ " table 9\n" }

static const struct change changes_in[] = {
	ROUTE(RED_VM "/32 dev up0"),
	NO_ROUTE("10.0.0.0/24 dev lan0"),
	ROUTE("100.64.2.0/24 dev up0"),
	NO_ROUTE("100.64.0.0/16 dev lo"),
	RULE("from " GREEN_SHARED),
	RULE("to " GREEN_SHARED),
	RULE("to " RED_VM),
	{ "link set lan0 down\n", "" },
};
static const struct change changes_in_6[] = {
	ROUTE(RED_VM_6 "/128 dev up0"),
	NO_ROUTE("fd00:10::/64 dev lan0"),
	ROUTE("fd64::2:0/112 dev up0"),
	NO_ROUTE("fd64::/64 dev lo"),
	RULE_6("from " GREEN_SHARED_6),
	RULE_6("to " GREEN_SHARED_6),
	RULE_6("to " RED_VM_6),
	{ "link set lan0 down\n", "" },
};
static const struct change changes_out[] = {
	ROUTE("100.64.2.0/24 dev up0"),
	NO_ROUTE("100.64.0.0/16 dev lo"),
	RULE("to " GREEN_SHARED),
	RULE("from " RED_VM),
};
static const struct change changes_out_6[] = {
	ROUTE("fd64::2:0/112 dev up0"),
	NO_ROUTE("fd64::/64 dev lo"),
	RULE_6("to " GREEN_SHARED_6),
	RULE_6("from " RED_VM_6),
};
/* clang-format on */

Test(egress, routes_change)
{
	check_changes(VIA_UPLINK, &goes_in, changes_in, ARRAY_SIZE(changes_in));
	check_changes(VIA_UPLINK, &goes_out, changes_out, ARRAY_SIZE(changes_out));
}

Test(egress, routes_of_ipv6_change)
{
	check_changes(VIA_UPLINK_6, &goes_in_6, changes_in_6, ARRAY_SIZE(changes_in_6));
	check_changes(VIA_UPLINK_6, &goes_out_6, changes_out_6, ARRAY_SIZE(changes_out_6));
}

/* While there is a rule before it, another one that leads elsewhere is not met. */
Test(egress, rules_go)
{
	const struct change in = { "rule del pref 50\n", "rule add pref 50 table main\n" };
	const struct change in_6 = { "-6 rule del pref 50\n", "-6 rule add pref 50 table main\n" };

	check_changes(VIA_UPLINK "rule add pref 50 table main\nrule add pref 60 to " RED_VM
				 " table 9\n",
		      &goes_in, &in, 1);
	check_changes(VIA_UPLINK_6
		      "-6 rule add pref 50 table main\n-6 rule add pref 60 to " RED_VM_6
		      " table 9\n",
		      &goes_in_6, &in_6, 1);
	check_changes(VIA_UPLINK_6
		      "-6 rule add pref 50 table main\n-6 rule add pref 60 to " GREEN_SHARED_6
		      " table 9\n",
		      &goes_out_6, &in_6, 1);
}
