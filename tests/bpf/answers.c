/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel itself, or netfilter, says about a packet that was translated quotes it as the VM
 * would see it. So where that would leave by another interface than the packet came from, the
 * kernel does not get the packet.
 */
#include "links.h"

#define PIECE .frag_at = 0, .frag_len = 40
#define LATER .frag_at = 40, .frag_len = 32

/* ROOM is what the MTU of the links leaves for the payload of UDP. */
#define ROOM   (1400 - 28)
#define ROOM_6 (1400 - 48)

#define IN(n, ...) \
	.src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_UDP, .payload = n, ##__VA_ARGS__
#define IN_6(n, ...)                                                                    \
	.src = GREEN_SHARED_6, .dst = RED_SHARED_6, .proto = IPPROTO_UDP, .payload = n, \
	##__VA_ARGS__
#define VM(n, ...) \
	.src = GREEN_SHARED, .dst = RED_VM, .proto = IPPROTO_UDP, .payload = n, ##__VA_ARGS__
#define VM_6(n, ...) \
	.src = GREEN_SHARED_6, .dst = RED_VM_6, .proto = IPPROTO_UDP, .payload = n, ##__VA_ARGS__
#define OFF(n, ...) \
	.src = GREEN_SHARED, .dst = RED_SHARED2, .proto = IPPROTO_UDP, .payload = n, ##__VA_ARGS__
#define OFF_6(n, ...)                                                                    \
	.src = GREEN_SHARED_6, .dst = RED_SHARED2_6, .proto = IPPROTO_UDP, .payload = n, \
	##__VA_ARGS__
#define SYN(s, d) .src = s, .dst = d, .proto = IPPROTO_TCP
#define ERROR(s, d, qs, qd, ...)                               \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 11, \
	.quote = &(const struct packet){ UDP(qs, qd) }, ##__VA_ARGS__

#define AWAY TELL(WRONG_EGRESS)

/* clang-format off */
/* The peer's own route leads to the uplink, and with it whatever the router says to him. */
static const struct row answered[] = {
	{ "the last hop", ON_IN, { IN(8, .ttl = 1) }, AWAY },
	{ "the last hop, IPv6", ON_IN, { IN_6(8, .ttl = 1) }, AWAY },
	{ "the last hop of a ping", ON_IN,
	  { .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_ICMP, .payload = 8, .ttl = 1 }, AWAY },
	{ "the last hop of a first piece", ON_IN, { IN(64, PIECE, .ttl = 1) }, AWAY },
	{ "too large", ON_IN, { IN(ROOM + 1) }, AWAY },
	{ "too large, IPv6", ON_IN, { IN_6(ROOM_6 + 1) }, AWAY },
	{ "a VM that is off", ON_IN, { OFF(8) }, AWAY },
	{ "a VM that is off, IPv6", ON_IN, { OFF_6(8) }, AWAY },
	{ "with options, one of which may be wrong", ON_IN, { IN(8, .options = 4) }, AWAY },
	{ "with extensions", ON_IN, { IN_6(8, .ext = "H") }, AWAY },
	{ "with extensions, the last hop", ON_IN, { IN_6(8, .ext = "D", .ttl = 1) }, AWAY },

	{ "nobody is told about an error", ON_TC,
	  { ERROR(GREEN_SHARED, RED_SHARED, RED_SHARED, GREEN_SHARED, .ttl = 1) },
	  AFTER(ERROR(GREEN_SHARED, RED_VM, RED_VM, GREEN_SHARED, .ttl = 1)) },
};

/* The kernel answers none of these, but netfilter may (REJECT). Past the stack neither sees them. */
static const struct row unanswered[] = {
	{ "plain", ON_IN, { IN(8) }, AWAY },
	{ "plain, IPv6", ON_IN, { IN_6(8) }, AWAY },
	{ "plain, TCP", ON_IN, { SYN(GREEN_SHARED, RED_SHARED) }, AWAY },
	{ "as large as fits", ON_IN, { IN(ROOM) }, AWAY },
	{ "as large as fits, IPv6", ON_IN, { IN_6(ROOM_6) }, AWAY },
	{ "too large, and may be fragmented", ON_IN, { IN(ROOM + 1, .no_df = true) }, AWAY },
};

/* Answers stay on the shared network, or there are none. */
static const struct row harmless[] = {
	{ "the last hop", ON_TC, { IN(8, .ttl = 1) }, AFTER(VM(8, .ttl = 1)) },
	{ "the last hop, IPv6", ON_TC, { IN_6(8, .ttl = 1) }, AFTER(VM_6(8, .ttl = 1)) },
	{ "too large", ON_TC, { IN(ROOM + 1) }, AFTER(VM(ROOM + 1)) },
	{ "too large, IPv6", ON_TC, { IN_6(ROOM_6 + 1) }, AFTER(VM_6(ROOM_6 + 1)) },
	{ "a VM that is off", ON_TC, { OFF(8) }, AFTER(UDP(GREEN_SHARED, RED_VM2)) },
	{ "with options", ON_TC, { IN(8, .options = 4) }, AFTER(VM(8, .options = 4)) },
};

static const struct row nowhere[] = {
	{ "no way to the VM", ON_TC, { OFF(8) }, AWAY },
	{ "no way to the VM, IPv6", ON_TC, { OFF_6(8) }, AWAY },
};

/* A VM whose own route leads to the uplink, where nobody asks where it is. */
static const struct row out_answered[] = {
	{ "out, the last hop", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED, .ttl = 1) }, AWAY },
	{ "out, the last hop, IPv6", ON_INSIDE, { UDP(RED_VM_6, GREEN_SHARED_6, .ttl = 1) }, AWAY },
	{ "out, nowhere", ON_INSIDE, { UDP(RED_VM, "100.64.78.1") }, AWAY },
	{ "out, plain", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED) }, AWAY },
	{ "out, plain, IPv6", ON_INSIDE, { UDP(RED_VM_6, GREEN_SHARED_6) }, AWAY },
	{ "out, of a VM without a mapping", ON_INSIDE, { UDP("10.0.0.77", GREEN_SHARED, .ttl = 1) }, PASS },
};

/* A reset by netfilter comes from the VM, and goes by rules about that: of TCP alone there is one. */
static const struct row reset[] = {
	{ "TCP", ON_IN, { SYN(GREEN_SHARED, RED_SHARED) }, AWAY },
	{ "TCP, IPv6", ON_IN, { SYN(GREEN_SHARED_6, RED_SHARED_6) }, AWAY },
	{ "TCP with options", ON_IN, { SYN(GREEN_SHARED, RED_SHARED), .options = 4 }, AWAY },
	{ "TCP in pieces", ON_IN, { SYN(GREEN_SHARED, RED_SHARED), .payload = 64, PIECE }, AWAY },
	{ "UDP", ON_IN, { IN(8) }, AFTER(VM(8)) },
	{ "UDP, IPv6", ON_IN, { IN_6(8) }, AFTER(VM_6(8)) },
	{ "TCP after UDP", ON_IN, { SYN(GREEN_SHARED, RED_SHARED) }, AWAY },
	{ "TCP after UDP, IPv6", ON_IN, { SYN(GREEN_SHARED_6, RED_SHARED_6) }, AWAY },
	{ "a ping", ON_IN,
	  { .src = GREEN_SHARED, .dst = RED_SHARED, .proto = IPPROTO_ICMP, .payload = 8 },
	  AFTER(.src = GREEN_SHARED, .dst = RED_VM, .proto = IPPROTO_ICMP, .payload = 8) },
};
static const struct row out_reset[] = {
	{ "out, TCP", ON_INSIDE, { SYN(RED_VM, GREEN_SHARED) }, AWAY },
	{ "out, TCP, IPv6", ON_INSIDE, { SYN(RED_VM_6, GREEN_SHARED_6) }, AWAY },
	{ "out, UDP", ON_INSIDE, { UDP(RED_VM, GREEN_SHARED) }, PASS },
	{ "out, UDP, IPv6", ON_INSIDE, { UDP(RED_VM_6, GREEN_SHARED_6) }, PASS },
	{ "out, TCP after UDP", ON_INSIDE, { SYN(RED_VM, GREEN_SHARED) }, AWAY },
	{ "out, TCP after UDP, IPv6", ON_INSIDE, { SYN(RED_VM_6, GREEN_SHARED_6) }, AWAY },
};
/* clang-format on */

static void check(const struct lab_options *o, const char *commands, const struct row *rows,
		  size_t n, enum program program)
{
	struct lab *lab;
	struct lab_options own = *o;

	own.programs = 1U << program;
	lab = links_open_known_as(&own);
	links_ip(commands);
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < n; i++) {
			struct row row = rows[i];

			if (program == INSIDE_IN) {
				row.before.ifindex = links_inside;
				row.before.from = MAC_VM;
			}
			if (!(row.programs & 1U << program))
				continue;
			links_tell_again(lab);
			lab_check(lab, &row, program);
		}
	}
	lab_close(lab);
}

#define LED(where) \
	"route add " GREEN_SHARED "/32 " where "\nroute add " GREEN_SHARED_6 "/128 " where "\n"

static void check_answered(const char *commands)
{
	static const struct lab_options stack, fast = { .fast = true, .own_slots = true };

	check(&stack, commands, answered, ARRAY_SIZE(answered), TC_IN);
	check(&fast, commands, answered, ARRAY_SIZE(answered), TC_IN);
	check(&stack, commands, answered, ARRAY_SIZE(answered), XDP_IN);
	check(&stack, commands, unanswered, ARRAY_SIZE(unanswered), TC_IN);
	check(&stack, commands, unanswered, ARRAY_SIZE(unanswered), XDP_IN);
}

Test(answers, by_the_uplink)
{
	check_answered(LED("dev up0"));
}

Test(answers, by_an_inside_interface)
{
	check_answered(LED("dev lan0"));
}

/* Rules about what the router itself sends are heard of as well. */
Test(answers, by_a_rule)
{
	check_answered("route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n"
		       "rule add to 100.64.0.0/16 ipproto icmp table 9\n"
		       "-6 rule add to fd64::/64 ipproto ipv6-icmp table 9\n");
}

Test(answers, that_stay)
{
	static const struct lab_options stack, fast = { .fast = true, .own_slots = true };

	check(&stack, "", harmless, ARRAY_SIZE(harmless), TC_IN);
	check(&fast, "", harmless, ARRAY_SIZE(harmless), TC_IN);
	check(&stack, LED("dev lo"), harmless, ARRAY_SIZE(harmless), TC_IN);
	check(&stack,
	      "route add unreachable " GREEN_SHARED "/32\nroute add blackhole " GREEN_SHARED_6
	      "/128\n",
	      harmless, ARRAY_SIZE(harmless), TC_IN);
}

Test(answers, about_no_way)
{
	static const struct lab_options stack;

	check(&stack,
	      LED("dev up0") "route add unreachable " RED_VM2 "/32\nroute add prohibit " RED_VM2_6
			     "/128\n",
	      nowhere, ARRAY_SIZE(nowhere), TC_IN);
}

/* The same, by a rule about what the router itself sends, wherever VMs have to be. */
Test(answers, to_a_vm_by_a_rule)
{
	static const struct lab_options each[] = { { .loose = false }, { .loose = true } };

	for (size_t i = 0; i < ARRAY_SIZE(each); i++)
		check(&each[i],
		      "route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n"
		      "rule add to " RED_VM " ipproto icmp table 9\n-6 rule add to " RED_VM_6
		      " ipproto ipv6-icmp table 9\n",
		      out_answered, ARRAY_SIZE(out_answered) - !each[i].loose, INSIDE_IN);
}

Test(answers, to_a_vm)
{
	static const struct lab_options loose = { .loose = true };

	check(&loose, "route add " RED_VM "/32 dev up0\nroute add " RED_VM_6 "/128 dev up0\n",
	      out_answered, ARRAY_SIZE(out_answered), INSIDE_IN);
}

#define BY_SOURCE(from, from_6)                                               \
	"route add default dev up0 table 9\nroute add ::/0 dev up0 table 9\n" \
	"rule add from " from " ipproto tcp table 9\n"                        \
	"-6 rule add from " from_6 " ipproto tcp table 9\n"

Test(answers, from_the_vm)
{
	static const struct lab_options stack;

	check(&stack, BY_SOURCE(RED_VM, RED_VM_6), reset, ARRAY_SIZE(reset), TC_IN);
	check(&stack, BY_SOURCE(RED_VM, RED_VM_6), reset, ARRAY_SIZE(reset), XDP_IN);
}

Test(answers, from_the_peer)
{
	static const struct lab_options each[] = { { .loose = false }, { .loose = true } };

	for (size_t i = 0; i < ARRAY_SIZE(each); i++)
		check(&each[i], BY_SOURCE(GREEN_SHARED, GREEN_SHARED_6), out_reset,
		      ARRAY_SIZE(out_reset), INSIDE_IN);
}
