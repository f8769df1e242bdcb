/* SPDX-License-Identifier: GPL-2.0-only */
/* Of whatever machine this runs on: what every Linux has, and without root. */
#include <criterion/criterion.h>

#include "host/ethtool.h"
#include "host/sysctl.h"
#include "lib/util.h"

Test(sysctl, reads_what_stands_there)
{
	char text[SYSCTL_VALUE], path[] = "/proc/sys/net/ipv4/conf/lo/forwarding", want[16];
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	struct error err = { 0 };
	long value = -1;

	cr_assert(f && fgets(want, sizeof(want), f));
	want[strcspn(want, "\n")] = '\0';
	cr_expect_eq(sysctl_get("ipv4/conf/lo/forwarding", text, sizeof(text), &err), 0, "%s",
		     err.text);
	cr_expect_str_eq(text, want);
	cr_expect_eq(sysctl_get_number("ipv4/conf/lo/forwarding", &value, &err), 0);
	cr_expect_eq(value, strtol(want, NULL, 10));
	cr_expect(sysctl_exists("ipv4/conf/lo/forwarding"));
}

static void refused(int ret, const struct error *err, const char *text)
{
	cr_expect_eq(ret, -1);
	cr_expect_str_eq(err->text, text);
}

Test(sysctl, errors_name_the_setting)
{
	struct error no = { 0 }, number = { 0 }, cut = { 0 }, set = { 0 }, deep = { 0 };
	char text[SYSCTL_VALUE], path[SYSCTL_PATH + 20];
	long value;

	cr_expect_not(sysctl_exists("ipv4/conf/none/forwarding"));
	refused(sysctl_get("ipv4/conf/none/forwarding", text, sizeof(text), &no), &no,
		"cannot read /proc/sys/net/ipv4/conf/none/forwarding: No such file or directory");
	refused(sysctl_set("ipv4/conf/none/forwarding", "1", &set), &set,
		"cannot set /proc/sys/net/ipv4/conf/none/forwarding to 1: No such file or "
		"directory");
	/* several numbers are not one; and one that does not fit is not another one */
	cr_expect_eq(sysctl_get_number("ipv4/ip_local_port_range", &value, &number), -1);
	cr_expect(strstr(number.text, "/proc/sys/net/ipv4/ip_local_port_range is no number: `"));
	refused(sysctl_get("ipv4/ip_local_port_range", text, 3, &cut), &cut,
		"cannot read /proc/sys/net/ipv4/ip_local_port_range: Message too long");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	cr_expect_eq(sysctl_get(path, text, sizeof(text), &deep), -1);
	cr_expect(strstr(deep.text, "File name too long"), "%s", deep.text);
}

Test(ethtool, reads_the_features_of_lo)
{
	struct error err = { 0 };
	struct ethtool lo;

	cr_expect_eq(ethtool_read("lo", &lo, &err), 0, "%s", err.text);
	/* drivers/net/loopback.c: it cannot do without, and has no wire to put tags on */
	cr_expect(lo.on[ETHTOOL_TX_CSUM]);
	cr_expect(lo.fixed[ETHTOOL_TX_CSUM]);
	cr_expect(lo.on[ETHTOOL_RX_CSUM]);
	cr_expect_not(lo.on[ETHTOOL_LRO]);
	cr_expect_not(lo.on[ETHTOOL_RX_VLAN]);
	cr_expect(lo.on[ETHTOOL_TSO]);
	cr_expect_not(lo.fixed[ETHTOOL_TSO]);
}

Test(ethtool, error_names_the_interface)
{
	struct error err = { 0 };
	struct ethtool none;

	refused(ethtool_read("none", &none, &err), &err,
		"cannot read the offloads of none: No such device");
}
