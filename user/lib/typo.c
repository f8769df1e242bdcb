/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/typo.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t distance(const char *a, const char *b)
{
	enum { MAX = 63 };
	size_t n = strlen(a), m = strlen(b), d[MAX + 1][MAX + 1];

	if (n > MAX || m > MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]);
			if (d[i - 1][j] + 1 < d[i][j])
				d[i][j] = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < d[i][j])
				d[i][j] = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]) && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

size_t typo_edits(const char *typed, const char *meant)
{
	size_t edits = distance(typed, meant);

	return edits <= (strlen(meant) > 4 ? 2 : 1) ? edits : SIZE_MAX;
}

void typo_try(struct typo *t, const char *name, size_t n)
{
	char meant[sizeof(t->meant)];
	size_t edits;

	if (n >= sizeof(meant))
		return;
	snprintf(meant, sizeof(meant), "%.*s", (int)n, name);
	edits = typo_edits(t->typed, meant);
	if (edits == SIZE_MAX || (t->meant[0] && edits >= t->edits))
		return;
	t->edits = edits;
	memcpy(t->meant, meant, sizeof(meant));
}
