/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/util.h"

static struct tn_addr addr(const char *text)
{
	struct tn_addr a;

	cr_assert(addr_parse(text, &a), "%s", text);
	return a;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert(prefix_parse(text, &p), "%s", text);
	return p;
}

Test(addr, ipv4_is_held_as_mapped_ipv6)
{
	static const uint8_t want[16] = { [10] = 0xff, 0xff, 10, 0, 2, 255 };
	struct tn_addr a = addr("10.0.2.255");

	cr_assert_arr_eq(a.w, want, sizeof(want));
	cr_assert(addr_is_v4(&a));
}

Test(addr, text_round_trip)
{
	static const char *const texts[] = {
		"0.0.0.0",	   "10.0.0.5", "100.64.1.9",
		"255.255.255.255", "::1",      "fd64::1:5",
		"2001:db8::1",	   "ff02::1",  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tn_addr a = addr(texts[i]);

		cr_expect_str_eq(ADDR(&a), texts[i]);
	}
}

/* RFC 5952, section 4, and its examples */
Test(addr, text_is_rfc5952)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		/* 4.1: no leading zeros */
		{ "2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1" },
		{ "2001:0db8::0001", "2001:db8::1" },
		/* 4.2.1: as short as can be */
		{ "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
		{ "2001:db8::0:1", "2001:db8::1" },
		/* 4.2.2: a single 0 stays */
		{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		/* 4.2.3: the longest run, and the first of equal ones */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "1:0:0:0:0:0:0:0", "1::" },
		{ "0:0:1:0:0:0:0:0", "0:0:1::" },
		/* 4.3: small letters */
		{ "2001:DB8::ABCD", "2001:db8::abcd" },
		{ "FD64::A", "fd64::a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tn_addr a = addr(cases[i].in);

		cr_expect_str_eq(ADDR(&a), cases[i].out, "%s: %s", cases[i].in, ADDR(&a));
	}
}

Test(addr, no_address)
{
	static const char *const texts[] = {
		"",
		" ",
		"10",
		"10.0.0",
		"10.0.0.",
		"10.0.0.256",
		"10.0.0.5 ",
		" 10.0.0.5",
		"10.0.0.5/32",
		"10.0.0.05",
		"010.0.0.5",
		"0x0a.0.0.5",
		"10.0.0.5.6",
		"10.0.0.-5",
		"167772165",
		"10.0.0.5\n",
		"fd64",
		"fd64:",
		":fd64::1",
		"fd64:::1",
		"fd64::1::2",
		"fd64::12345",
		"fd64::g",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"[fd64::1]",
		"fe80::1%eth0",
		"fd64::1/64",
		"localhost",
		/* what means something else in this program */
		"::",
		"0:0:0:0:0:0:0:0",
		"::ffff:10.0.0.5",
		"::ffff:a00:5",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tn_addr a;

		cr_expect_not(addr_parse(texts[i], &a), "'%s'", texts[i]);
	}
}

Test(addr, from_bytes)
{
	static const uint8_t v4[4] = { 10, 0, 0, 5 };
	static const uint8_t v6[16] = { 0xfd, 0x64, [15] = 5 };
	struct tn_addr a = addr_from_bytes(v4, 4), b = addr_from_bytes(v6, 16);

	cr_assert_str_eq(ADDR(&a), "10.0.0.5");
	cr_assert_str_eq(ADDR(&b), "fd64::5");
	a = addr_from_bytes(v6, 5);
	cr_assert(addr_is_unset(&a));
}

Test(addr, unset)
{
	struct tn_addr none = { 0 }, v4 = addr("0.0.0.0"), one = addr("::1");

	cr_assert(addr_is_unset(&none));
	cr_assert_not(addr_is_v4(&none));
	cr_assert_not(addr_is_unset(&v4));
	cr_assert_not(addr_is_unset(&one));
}

Test(addr, special)
{
	static const char *const special[] = {
		"0.0.0.0",
		"0.1.2.3",
		"0.255.255.255",
		"127.0.0.1",
		"127.255.255.255",
		"169.254.0.0",
		"169.254.255.255",
		"224.0.0.0",
		"239.1.2.3",
		"240.0.0.0",
		"255.255.255.255",
		"::1",
		"::2",
		"::1.2.3.4",
		"fe80::1",
		"febf::1",
		"ff00::",
		"ff02::1",
	};
	static const char *const plain[] = {
		"1.0.0.0",	   "10.0.0.0",	     "100.64.0.1",  "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0",    "192.168.0.1", "223.255.255.255", "::1:0:0:1",
		"64:ff9b::1",	   "fd64::1",	     "fe7f::1",	    "fec0::1",	       "fe00::1",
		"2001:db8::1",	   "::fffe:1.2.3.4",
	};
	struct tn_addr none = { 0 };

	cr_expect(addr_is_special(&none));
	for (size_t i = 0; i < ARRAY_SIZE(special); i++) {
		struct tn_addr a = addr(special[i]);

		cr_expect(addr_is_special(&a), "%s", special[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		struct tn_addr a = addr(plain[i]);

		cr_expect_not(addr_is_special(&a), "%s", plain[i]);
	}
}

Test(addr, order)
{
	static const char *const sorted[] = {
		"0.0.0.0",
		"9.255.255.255",
		"10.0.0.5",
		"10.0.0.10",
		"10.0.1.0",
		"100.64.0.0",
		"128.0.0.1",
		"255.255.255.255",
		/* below ::ffff:0:0 in bytes, and still behind every IPv4 address */
		"::1",
		"::1:0:0",
		"::1:0:0:0",
		"2001:db8::9",
		"2001:db8::10",
		"fd64::1",
		"ffff::",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			struct tn_addr a = addr(sorted[i]), b = addr(sorted[j]);
			int cmp = addr_cmp(&a, &b);

			cr_expect((cmp < 0) == (i < j) && (cmp > 0) == (i > j), "%s %s: %d",
				  sorted[i], sorted[j], cmp);
		}
	}
}

Test(addr, add)
{
	static const struct {
		const char *a;
		uint64_t n;
		const char *sum;
	} cases[] = {
		{ "10.0.0.5", 0, "10.0.0.5" },
		{ "10.0.0.5", 1, "10.0.0.6" },
		{ "10.0.0.255", 1, "10.0.1.0" },
		{ "10.255.255.255", 1, "11.0.0.0" },
		{ "0.0.0.0", 0xffffffff, "255.255.255.255" },
		{ "100.64.0.0", 65537, "100.65.0.1" },
		{ "fd64::ffff", 1, "fd64::1:0" },
		{ "fd64::ffff:ffff", 1, "fd64::1:0:0" },
		{ "fd64::ffff:ffff:ffff", 1, "fd64::1:0:0:0" },
		{ "fd64::ffff:ffff:ffff:ffff", 1, "fd64:0:0:1::" },
		{ "fd64:0:0:ffff:ffff:ffff:ffff:ffff", 1, "fd64:0:1::" },
		{ "fd64:0:ffff:ffff:ffff:ffff:ffff:ffff", 1, "fd64:1::" },
		{ "fd64::", UINT64_MAX, "fd64::ffff:ffff:ffff:ffff" },
		{ "fd64::1", UINT64_MAX, "fd64:0:0:1::" },
		{ "fd64::ffff:ffff:ffff:ffff", UINT64_MAX, "fd64::1:ffff:ffff:ffff:fffe" },
		{ "fd64::", 0x100000000, "fd64::1:0:0" },
		{ "fd64::ffff:ffff", 0xffffffff00000001, "fd64:0:0:1::" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tn_addr a = addr(cases[i].a), sum = addr_add(&a, cases[i].n);

		cr_expect_str_eq(ADDR(&sum), cases[i].sum, "%s + %lu: %s", cases[i].a,
				 (unsigned long)cases[i].n, ADDR(&sum));
	}
}

Test(addr, add_wraps_at_the_end)
{
	struct tn_addr a = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), sum = addr_add(&a, 1);

	cr_assert(addr_is_unset(&sum));
	/* so a loop over the last IPv4 prefix sees the end */
	a = addr("255.255.255.255");
	sum = addr_add(&a, 1);
	cr_assert_not(addr_is_v4(&sum));
}

Test(addr, prefix_round_trip)
{
	static const char *const texts[] = {
		"0.0.0.0/0",   "128.0.0.0/1", "100.64.0.0/10", "100.64.0.0/16", "10.0.0.4/31",
		"10.0.0.5/32", "::/0",	      "8000::/1",      "fd64::/64",	"fd64::/65",
		"fd64::4/127", "fd64::5/128", "::/64",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct prefix p = prefix(texts[i]);

		cr_expect_str_eq(PREFIX(&p), texts[i], "%s: %s", texts[i], PREFIX(&p));
	}
}

Test(addr, prefix_of_one_address)
{
	struct prefix v4 = prefix("10.0.0.5"), v6 = prefix("fd64::5");

	cr_assert_str_eq(PREFIX(&v4), "10.0.0.5/32");
	cr_assert_str_eq(PREFIX(&v6), "fd64::5/128");
	cr_assert_eq(v4.len, 128);
	cr_assert_eq(v6.len, 128);
}

Test(addr, prefix_length_counts_128_bits)
{
	cr_assert_eq(prefix("100.64.0.0/16").len, 112);
	cr_assert_eq(prefix("0.0.0.0/0").len, 96);
	cr_assert_eq(prefix("fd64::/64").len, 64);
	cr_assert_eq(prefix("::/0").len, 0);
}

Test(addr, no_prefix)
{
	static const char *const texts[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		"10.0.0.0/8x",
		"10.0.0.0/8/8",
		"10.0.0.0/08",
		"10.0.0.0/008",
		"10.0.0.0/0x8",
		"10.0.0.0/255.0.0.0",
		"10.0.0.0/1000",
		"10.0.0.0/4294967304",
		"10.0.0.0/99999999999999999999",
		" 10.0.0.0/8",
		"10.0.0/24",
		"10.0.0.1/8",
		"10.0.0.5/31",
		"10.0.0.0/0",
		"128.0.0.0/0",
		"fd64::/129",
		"fd64::/1000",
		"fd64::1/64",
		"fd64:0:0:0:8000::/64",
		"fd64::/0",
		"fd64::5/127",
		"::ffff:0:0/96",
		"::ffff:10.0.0.0/104",
		"fd64::/",
		"fd64::%eth0/64",
		"fd64:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/"
		"64",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct prefix p;

		cr_expect_not(prefix_parse(texts[i], &p), "'%s'", texts[i]);
	}
}

Test(addr, a_failed_parse_leaves_the_result_alone)
{
	struct prefix p = prefix("10.0.0.0/8");

	cr_assert_not(prefix_parse("11.0.0.1/8", &p));
	cr_assert_str_eq(PREFIX(&p), "10.0.0.0/8");
}

Test(addr, mask)
{
	for (unsigned int len = 0; len <= 128; len++) {
		struct prefix p = { .len = len };
		struct tn_addr mask = prefix_mask(&p);

		for (unsigned int bit = 0; bit < 128; bit++) {
			bool set = ((const uint8_t *)mask.w)[bit / 8] & (0x80 >> bit % 8);

			cr_expect_eq(set, bit < len, "/%u, bit %u", len, bit);
		}
	}
}

Test(addr, has_and_last)
{
	static const struct {
		const char *prefix, *first, *last, *before, *after;
	} cases[] = {
		{ "100.64.0.0/16", "100.64.0.0", "100.64.255.255", "100.63.255.255", "100.65.0.0" },
		{ "10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0" },
		{ "10.0.0.4/30", "10.0.0.4", "10.0.0.7", "10.0.0.3", "10.0.0.8" },
		{ "10.0.0.4/31", "10.0.0.4", "10.0.0.5", "10.0.0.3", "10.0.0.6" },
		{ "10.0.0.4/32", "10.0.0.4", "10.0.0.4", "10.0.0.3", "10.0.0.5" },
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255", "::1", "fd64::1" },
		{ "128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255", "::1" },
		{ "fd64::/64", "fd64::", "fd64::ffff:ffff:ffff:ffff",
		  "fd63:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd64:0:0:1::" },
		{ "fd64::/33", "fd64::", "fd64:0:7fff:ffff:ffff:ffff:ffff:ffff",
		  "fd63::", "fd64:0:8000::" },
		{ "fd64::4/126", "fd64::4", "fd64::7", "fd64::3", "fd64::8" },
		{ "fd64::4/127", "fd64::4", "fd64::5", "fd64::3", "fd64::6" },
		{ "fd64::4/128", "fd64::4", "fd64::4", "fd64::3", "fd64::5" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prefix p = prefix(cases[i].prefix);
		struct tn_addr first = addr(cases[i].first), last = addr(cases[i].last);
		struct tn_addr before = addr(cases[i].before), after = addr(cases[i].after);
		struct tn_addr got = prefix_last(&p);

		cr_expect(prefix_has(&p, &first), "%s %s", cases[i].prefix, cases[i].first);
		cr_expect(prefix_has(&p, &last), "%s %s", cases[i].prefix, cases[i].last);
		cr_expect_not(prefix_has(&p, &before), "%s %s", cases[i].prefix, cases[i].before);
		cr_expect_not(prefix_has(&p, &after), "%s %s", cases[i].prefix, cases[i].after);
		cr_expect_str_eq(ADDR(&got), cases[i].last);
	}
}

/* ::/0 covers ::ffff:0:0/96 in bits */
Test(addr, families_do_not_hold_each_other)
{
	static const char *const v6[] = { "::/0", "::/1", "::/64", "::/80" };
	struct tn_addr four = addr("10.0.0.5"), six = addr("::1");
	struct prefix all4 = prefix("0.0.0.0/0"), ten = prefix("10.0.0.0/8");

	for (size_t i = 0; i < ARRAY_SIZE(v6); i++) {
		struct prefix p = prefix(v6[i]);

		cr_expect(prefix_has(&p, &six), "%s", v6[i]);
		cr_expect_not(prefix_has(&p, &four), "%s", v6[i]);
		cr_expect_not(prefix_overlap(&p, &ten), "%s", v6[i]);
		cr_expect_not(prefix_overlap(&ten, &p), "%s", v6[i]);
		cr_expect_not(prefix_overlap(&p, &all4), "%s", v6[i]);
	}
	cr_expect_not(prefix_has(&all4, &six));
}

Test(addr, overlap)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{ "100.64.0.0/16", "100.64.1.0/24", true },
		{ "100.64.0.0/16", "100.64.0.0/16", true },
		{ "100.64.0.0/16", "100.65.0.0/24", false },
		{ "100.64.0.0/24", "100.64.1.0/24", false },
		{ "100.64.0.0/16", "100.64.255.255", true },
		{ "10.0.0.4/31", "10.0.0.6/31", false },
		{ "10.0.0.4/30", "10.0.0.6/31", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "fd64::/64", "fd64::5", true },
		{ "fd64::/64", "fd64:0:0:1::/64", false },
		{ "fd64::/63", "fd64:0:0:1::/64", true },
		{ "::/0", "fd64::/64", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prefix a = prefix(cases[i].a), b = prefix(cases[i].b);

		cr_expect_eq(prefix_overlap(&a, &b), cases[i].overlap, "%s %s", cases[i].a,
			     cases[i].b);
		cr_expect_eq(prefix_overlap(&b, &a), cases[i].overlap, "%s %s", cases[i].b,
			     cases[i].a);
	}
}

Test(addr, reserves)
{
	static const struct {
		const char *prefix, *addr;
		bool reserved;
	} cases[] = {
		{ "100.64.0.0/16", "100.64.0.0", true },
		{ "100.64.0.0/16", "100.64.255.255", true },
		{ "100.64.0.0/16", "100.64.0.255", false },
		{ "100.64.0.0/16", "100.64.1.0", false },
		{ "100.64.0.0/16", "100.65.0.0", false },
		{ "100.64.0.0/16", "100.63.255.255", false },
		{ "10.0.0.4/30", "10.0.0.4", true },
		{ "10.0.0.4/30", "10.0.0.5", false },
		{ "10.0.0.4/30", "10.0.0.6", false },
		{ "10.0.0.4/30", "10.0.0.7", true },
		{ "10.0.0.4/31", "10.0.0.4", false },
		{ "10.0.0.4/31", "10.0.0.5", false },
		{ "10.0.0.4/32", "10.0.0.4", false },
		{ "fd64::/64", "fd64::", true },
		{ "fd64::/64", "fd64::1", false },
		{ "fd64::/64", "fd64::ffff:ffff:ffff:ffff", false },
		{ "fd64::4/126", "fd64::4", true },
		{ "fd64::4/126", "fd64::7", false },
		{ "fd64::4/127", "fd64::4", false },
		{ "fd64::4/127", "fd64::5", false },
		{ "fd64::4/128", "fd64::4", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prefix p = prefix(cases[i].prefix);
		struct tn_addr a = addr(cases[i].addr);

		cr_expect_eq(prefix_reserves(&p, &a), cases[i].reserved, "%s %s", cases[i].prefix,
			     cases[i].addr);
	}
}

Test(addr, macs)
{
	static const char *const none[] = {
		"",
		"fa",
		"fa:16:3e:00:05",
		"fa:16:3e:00:00:05:06",
		"fa-16-3e-00-00-05",
		"fa:16:3e:00:00:0g",
		"fa:16:3e:0:00:005",
		"fa:16:3e:00:00:05 ",
		" a:16:3e:00:00:05",
	};
	uint8_t mac[6];

	cr_assert(mac_parse("FA:16:3e:00:00:05", mac));
	cr_expect_str_eq(MAC(mac), "fa:16:3e:00:00:05");
	cr_expect_eq(mac_number(mac), 0xfa163e000005);
	cr_expect(mac_is_valid(mac));
	mac_from_number(0x01005e000005, mac);
	cr_expect_str_eq(MAC(mac), "01:00:5e:00:00:05");
	cr_expect_not(mac_is_valid(mac));
	mac_from_number(0, mac);
	cr_expect(mac_is_unset(mac));
	cr_expect_not(mac_is_valid(mac));
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		cr_expect_not(mac_parse(none[i], mac), "%s", none[i]);
}
