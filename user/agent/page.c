/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "page_text.h"
#include "tn_reasons.h"

static const struct {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) { name, meaning },
	TN_REASONS(X)
#undef X
};

/* As HTML; what is in `backticks` is code. */
static void put_text(FILE *out, const char *text)
{
	bool code = false;

	for (; *text; text++) {
		if (*text == '`') {
			fputs(code ? "</code>" : "<code>", out);
			code = !code;
		} else if (strchr("&<>\"'", *text)) {
			fprintf(out, "&#%d;", *text);
		} else {
			fputc(*text, out);
		}
	}
}

struct front page_make(void)
{
	static const char page[] = PAGE_TEXT, mark[] = "@REASONS@";
	struct front out = { .policy = PAGE_POLICY };
	const char *at = strstr(page, mark);
	FILE *f = open_memstream(&out.html, &out.size);

	if (!f)
		return (struct front){ 0 };
	fwrite(page, 1, (size_t)(at - page), f);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		fprintf(f, "<dt>%s</dt><dd>", reasons[i].name);
		put_text(f, reasons[i].meaning);
		fputs("</dd>\n", f);
	}
	fputs(at + strlen(mark), f);
	fclose(f);
	return out;
}

void page_free(struct front *f)
{
	free(f->html);
	*f = (struct front){ 0 };
}
