/* SPDX-License-Identifier: GPL-2.0-only */
#include "cmd/consent.h"

static bool has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

int consent_check(struct consent *k, struct change *c, struct error *err)
{
	size_t lost = change_loss(c, k->question);

	int ret;

	if (!*k->question || (k->given && (!k->known || lost <= k->known)))
		return 0;
	k->given = false;
	ret = consent_need(k, err);
	if (ret > 0)
		k->known = lost;
	return ret;
}

int consent_need(struct consent *k, struct error *err)
{
	if (!*k->question || k->given)
		return 0;
	if (!has_terminal())
		return error_usage(err, "%s; if that is meant, say --yes", k->question);
	return 1;
}

int consent_ask(struct consent *k, struct error *err)
{
	char answer[16];

	fprintf(stderr, "tenantnat: %s; go on? [y/N] ", k->question);
	k->given = fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
	return k->given ? 0 : error_set(err, "nothing was changed");
}
