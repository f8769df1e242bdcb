/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What leaves by the shared interface with the address of a VM, or of the router, has come in where
 * such packets come from: VMs' by an inside interface, the router's own from its own kernel.
 */
#include "links.h"

/* Index of an interface that is inside in every lab, and of one that is inside in none. */
#define INSIDE	  .ingress = 2
#define ELSEWHERE .ingress = LINKS_UPLINK
/* What is not plain is judged by other code. */
#define OPTIONS .options = 4
#define SHARED	.ingress = 1

#define WITH(p, s, d, ...) .src = s, .dst = d, .proto = IPPROTO_##p, .payload = 8, ##__VA_ARGS__
#define LATER(s, d) \
	.src = s, .dst = d, .proto = IPPROTO_UDP, .payload = 64, .frag_at = 40, .frag_len = 32
#define LATER_6(s, d) LATER(s, d), .ext = "F"
#define ERROR(s, d, qs, qd, ...)                               \
	.src = s, .dst = d, .proto = IPPROTO_ICMP, .type = 11, \
	.quote = &(const struct packet){ UDP(qs, qd) }, ##__VA_ARGS__
#define ERROR_6(s, d, qs, qd, ...)                              \
	.src = s, .dst = d, .proto = IPPROTO_ICMPV6, .type = 3, \
	.quote = &(const struct packet){ UDP(qs, qd) }, ##__VA_ARGS__

/* clang-format off */
#define BY_ANY(what, before, after, ...)                                                    \
	{ what ", from inside", ON_OUT, { before, INSIDE, ##__VA_ARGS__ },                  \
	  AFTER(after, ##__VA_ARGS__) },                                                    \
	{ what ", from the last one inside", ON_OUT,                                        \
	  { before, .ingress = TN_INSIDE_MAX + 1, ##__VA_ARGS__ },                          \
	  AFTER(after, ##__VA_ARGS__) },                                                    \
	{ what ", from the router itself", ON_OUT, { before, ##__VA_ARGS__ },               \
	  AFTER(after, ##__VA_ARGS__) },                                                    \
	{ what ", from elsewhere", ON_OUT, { before, ELSEWHERE, ##__VA_ARGS__ },            \
	  DROP(WRONG_INGRESS) },                                                            \
	{ what ", from the one behind the last inside", ON_OUT,                             \
	  { before, .ingress = TN_INSIDE_MAX + 2, ##__VA_ARGS__ }, DROP(WRONG_INGRESS) },   \
	{ what ", from the shared network", ON_OUT, { before, SHARED, ##__VA_ARGS__ },      \
	  DROP(WRONG_INGRESS) }
#define TWO(...) __VA_ARGS__

static const struct row vms[] = {
	BY_ANY("UDP", TWO(UDP(RED_VM, GREEN_SHARED)), TWO(UDP(RED_SHARED, GREEN_SHARED))),
	BY_ANY("UDP, IPv6", TWO(UDP(RED_VM_6, GREEN_SHARED_6)), TWO(UDP(RED_SHARED_6, GREEN_SHARED_6))),
	BY_ANY("TCP", TWO(WITH(TCP, RED_VM, GREEN_SHARED)), TWO(WITH(TCP, RED_SHARED, GREEN_SHARED))),
	BY_ANY("TCP, IPv6", TWO(WITH(TCP, RED_VM_6, GREEN_SHARED_6)),
	       TWO(WITH(TCP, RED_SHARED_6, GREEN_SHARED_6))),
	BY_ANY("UDP with options", TWO(UDP(RED_VM, GREEN_SHARED)), TWO(UDP(RED_SHARED, GREEN_SHARED)),
	       OPTIONS),
	BY_ANY("UDP with extensions", TWO(UDP(RED_VM_6, GREEN_SHARED_6)),
	       TWO(UDP(RED_SHARED_6, GREEN_SHARED_6)), .ext = "D"),
	BY_ANY("a ping", TWO(WITH(ICMP, RED_VM, GREEN_SHARED)), TWO(WITH(ICMP, RED_SHARED, GREEN_SHARED))),
	BY_ANY("a ping, IPv6", TWO(WITH(ICMPV6, RED_VM_6, GREEN_SHARED_6)),
	       TWO(WITH(ICMPV6, RED_SHARED_6, GREEN_SHARED_6))),
	BY_ANY("a later fragment", TWO(LATER(RED_VM, GREEN_SHARED)), TWO(LATER(RED_SHARED, GREEN_SHARED))),
	BY_ANY("a later fragment, IPv6", TWO(LATER_6(RED_VM_6, GREEN_SHARED_6)),
	       TWO(LATER_6(RED_SHARED_6, GREEN_SHARED_6))),
	BY_ANY("an error", TWO(ERROR(RED_VM, GREEN_SHARED, GREEN_SHARED, RED_VM)),
	       TWO(ERROR(RED_SHARED, GREEN_SHARED, GREEN_SHARED, RED_SHARED))),
	BY_ANY("an error, IPv6", TWO(ERROR_6(RED_VM_6, GREEN_SHARED_6, GREEN_SHARED_6, RED_VM_6)),
	       TWO(ERROR_6(RED_SHARED_6, GREEN_SHARED_6, GREEN_SHARED_6, RED_SHARED_6))),
	{ "who has no mapping stays who he is, from inside", ON_OUT,
	  { UDP("10.0.0.77", GREEN_SHARED), INSIDE }, DROP(UNTRANSLATED) },
	{ "who has no mapping stays who he is, from elsewhere", ON_OUT,
	  { UDP("10.0.0.77", GREEN_SHARED), ELSEWHERE }, DROP(UNTRANSLATED) },
};

/* An error of a router between this one and the VM leaves with the address of this one. */
#define ON_THE_WAY  ERROR("10.0.0.77", GREEN_SHARED, GREEN_SHARED, RED_VM)
#define IN_ITS_NAME ERROR(RED_OWN, GREEN_SHARED, GREEN_SHARED, RED_SHARED)
#define ON_THE_WAY_6  ERROR_6("fd00:10::77", GREEN_SHARED_6, GREEN_SHARED_6, RED_VM_6)
#define IN_ITS_NAME_6 ERROR_6(RED_OWN_6, GREEN_SHARED_6, GREEN_SHARED_6, RED_SHARED_6)

#define OWN_BY(what, before)                                                                     \
	{ what, ON_OUT, { before }, PASS },                                                      \
	{ what ", which a program has turned", ON_OUT, { before, SHARED }, PASS },               \
	{ what ", from inside", ON_OUT, { before, INSIDE }, DROP(WRONG_INGRESS) },               \
	{ what ", from elsewhere", ON_OUT, { before, ELSEWHERE }, DROP(WRONG_INGRESS) }

/* Nobody on the shared network answers for a VM of this router: what is for it turns back. */
#define HOME(...) .outcome = TURNED, .uncounted = true, .after = { __VA_ARGS__, .mark = TN_HAIRPIN_MARK }
#define OUT	  .from = MAC_ROUTER, .to = MAC_NEXT

static const struct row own[] = {
	OWN_BY("UDP", TWO(UDP(RED_OWN, GREEN_SHARED))),
	OWN_BY("UDP, IPv6", TWO(UDP(RED_OWN_6, GREEN_SHARED_6))),
	OWN_BY("TCP", TWO(WITH(TCP, RED_OWN, GREEN_SHARED))),
	OWN_BY("a ping", TWO(WITH(ICMP, RED_OWN, BLUE_SHARED))),
	OWN_BY("a ping, IPv6", TWO(WITH(ICMPV6, RED_OWN_6, BLUE_SHARED_6))),

	{ "its own error about what was translated", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, GREEN_SHARED, RED_VM) }, AFTER(IN_ITS_NAME), .uncounted = true },
	{ "such an error, from inside", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, GREEN_SHARED, RED_VM), INSIDE }, DROP(WRONG_INGRESS) },
	{ "such an error, from elsewhere", ON_OUT,
	  { ERROR(RED_OWN, GREEN_SHARED, GREEN_SHARED, RED_VM), ELSEWHERE }, DROP(WRONG_INGRESS) },
	{ "an error of a router on the way", ON_OUT, { ON_THE_WAY, INSIDE }, AFTER(IN_ITS_NAME),
	  .uncounted = true },
	{ "an error of a router on the way, IPv6", ON_OUT, { ON_THE_WAY_6, INSIDE },
	  AFTER(IN_ITS_NAME_6), .uncounted = true },
	{ "an error of a router on the way, from elsewhere", ON_OUT, { ON_THE_WAY, ELSEWHERE },
	  DROP(WRONG_INGRESS) },
	{ "an error of a router on the way, IPv6, from elsewhere", ON_OUT, { ON_THE_WAY_6, ELSEWHERE },
	  DROP(WRONG_INGRESS) },

	{ "a ping to a VM of its own", ON_OUT, { WITH(ICMP, RED_OWN, RED_SHARED, OUT) },
	  HOME(WITH(ICMP, RED_OWN, RED_SHARED, .from = MAC_ROUTER)) },
	{ "a ping to a VM of its own, IPv6", ON_OUT, { WITH(ICMPV6, RED_OWN_6, RED_SHARED_6, OUT) },
	  HOME(WITH(ICMPV6, RED_OWN_6, RED_SHARED_6, .from = MAC_ROUTER)) },
	{ "TCP to a VM of its own", ON_OUT, { WITH(TCP, RED_OWN, RED_SHARED2, OUT) },
	  HOME(WITH(TCP, RED_OWN, RED_SHARED2, .from = MAC_ROUTER)) },
	{ "the same, from elsewhere", ON_OUT, { WITH(TCP, RED_OWN, RED_SHARED2, OUT), ELSEWHERE },
	  DROP(WRONG_INGRESS) },
	{ "to a VM of another router", ON_OUT, { WITH(TCP, RED_OWN, BLUE_SHARED, OUT) }, PASS },
};
/* clang-format on */

/* What a packet may do does not depend on those before it. */
static void check(const struct lab_options *o, const struct row *rows, size_t n)
{
	struct lab *lab = lab_open(o);

	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < n; i++)
			lab_check(lab, &rows[i], TC_OUT);
	}
	lab_close(lab);
}

/* Neither on the route nor on how VMs are known. */
static void check_all(const struct row *rows, size_t n)
{
	for (int how = 0; how < 6; how++)
		check(&(struct lab_options){ .programs = ON_OUT,
					     .fast = how & 1,
					     .loose = how / 2 == 1,
					     .feasible = how / 2 == 2 },
		      rows, n);
}

Test(ingress, who_sends_as_a_vm)
{
	check_all(vms, ARRAY_SIZE(vms));
}

Test(ingress, who_sends_as_the_router)
{
	check_all(own, ARRAY_SIZE(own));
}

/* A cached pair is that of the interface that it is known for. */
Test(ingress, ways_of_others)
{
	/* clang-format off */
	static const struct row rows[][2] = {
		{ { "from inside", ON_OUT, { UDP(RED_VM, GREEN_SHARED), INSIDE },
		    AFTER(UDP(RED_SHARED, GREEN_SHARED)) },
		  { "from elsewhere", ON_OUT, { UDP(RED_VM, GREEN_SHARED), ELSEWHERE },
		    DROP(WRONG_INGRESS) } },
		{ { "from inside, IPv6", ON_OUT, { UDP(RED_VM_6, GREEN_SHARED_6), INSIDE },
		    AFTER(UDP(RED_SHARED_6, GREEN_SHARED_6)) },
		  { "from elsewhere, IPv6", ON_OUT, { UDP(RED_VM_6, GREEN_SHARED_6), ELSEWHERE },
		    DROP(WRONG_INGRESS) } },
	};
	/* clang-format on */
	struct lab *lab = links_open_known(ON_OUT, BY_STACK, MAC_ROUTER);

	lab_stay_on(0);
	for (size_t family = 0; family < ARRAY_SIZE(rows); family++) {
		for (int i = 0; i < 6; i++)
			lab_check(lab, &rows[family][i & 1], TC_OUT);
	}
	lab_close(lab);
}

#define HAIRPIN .mark = TN_HAIRPIN_MARK

/*
 * What the router sends to a VM of its own, where it has turned back: on to the VM, around the
 * kernel, which takes nothing in from its own address.
 */
static void check_to_vm(const struct lab_options *o)
{
	struct lab *lab = links_open_known_as(o);
	/* clang-format off */
	const struct row rows[] = {
		{ "a ping", ON_TC, { WITH(ICMP, RED_OWN, RED_SHARED), HAIRPIN },
		  .outcome = TURNED, .after = { WITH(ICMP, RED_OWN, RED_VM) } },
		{ "a ping, IPv6", ON_TC, { WITH(ICMPV6, RED_OWN_6, RED_SHARED_6), HAIRPIN },
		  .outcome = TURNED, .after = { WITH(ICMPV6, RED_OWN_6, RED_VM_6) } },
		{ "TCP", ON_TC, { WITH(TCP, RED_OWN, RED_SHARED), HAIRPIN },
		  .outcome = TURNED, .after = { WITH(TCP, RED_OWN, RED_VM) } },
		{ "without the mark", ON_TC, { WITH(TCP, RED_OWN, RED_SHARED) }, DROP(SPOOFED_SOURCE) },
		{ "what a VM has sent to the router", ON_TC, { UDP(RED_SHARED, RED_OWN), HAIRPIN }, PASS },
		{ "what a VM has sent to the router, IPv6", ON_TC,
		  { UDP(RED_SHARED_6, RED_OWN_6), HAIRPIN }, PASS },
		{ "nobody turns back to the router for others", ON_TC,
		  { UDP("10.0.0.77", RED_OWN), HAIRPIN }, DROP(FOREIGN_SOURCE) },
	};
	/* clang-format on */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		lab_check(lab, &rows[i], TC_IN);
	lab_close(lab);
}

Test(ingress, from_the_router_to_its_vms)
{
	check_to_vm(&(struct lab_options){ .programs = ON_TC });
	check_to_vm(&(struct lab_options){ .programs = ON_TC, .fast = true });
}
