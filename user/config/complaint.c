/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The errors of a file: collected as they are found, given out in the order of the file, and what
 * they quote of it.
 */
#include "config/parse.h"

#include <stdarg.h>

int pos_cmp(struct pos a, struct pos b)
{
	if (a.line != b.line)
		return a.line < b.line ? -1 : 1;
	return a.col < b.col ? -1 : a.col > b.col;
}

static int complaint_cmp(const void *a, const void *b)
{
	const struct complaint *x = a, *y = b;
	int order = pos_cmp(x->at, y->at);

	return order ? order : x->seq < y->seq ? -1 : 1;
}

/* Sort, and keep the first CONFIG_ERRORS_MAX. */
static void complaints_prune(struct parse *p)
{
	vec_sort(&p->complaints, complaint_cmp);
	while (p->complaints.n > CONFIG_ERRORS_MAX) {
		free(last(&p->complaints)->text);
		p->complaints.n--;
		p->cutoff = last(&p->complaints)->at;
	}
}

static void note(struct parse *p, struct pos at, const char *text)
{
	*vec_push(&p->complaints) =
		(struct complaint){ .at = at, .seq = p->complained, .text = xstrdup(text) };
}

void __attribute__((format(printf, 3, 4)))
complain(struct parse *p, struct pos at, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (p->over)
		return;
	p->complained++;
	if (p->cutoff.line && pos_cmp(at, p->cutoff) >= 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(p, at, text);
	if (p->complaints.n == (size_t)2 * CONFIG_ERRORS_MAX)
		complaints_prune(p);
}

void __attribute__((format(printf, 3, 4)))
give_up(struct parse *p, struct pos at, const char *format, ...)
{
	char text[1024];
	va_list args;

	vec_each (c, &p->complaints)
		free(c->text);
	p->complaints.n = 0;
	p->complained = 1;
	p->over = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(p, at, text);
}

void config_errors_free(struct config_errors *errors)
{
	vec_each (text, &errors->list)
		free(*text);
	vec_free(&errors->list);
	errors->dropped = 0;
}

void complaints_give(struct parse *p, const char *file, struct config_errors *errors)
{
	complaints_prune(p);
	vec_each (c, &p->complaints) {
		size_t size = strlen(file) + strlen(c->text) + 32;
		char *text = xrealloc(NULL, size, 1);

		snprintf(text, size, "%s:%u:%u: %s", file, c->at.line, c->at.col, c->text);
		*vec_push(&errors->list) = text;
	}
	errors->dropped = p->complained - p->complaints.n;
}

void complaint_give_first(struct parse *p, struct error *err)
{
	complaints_prune(p);
	error_usage(err, "%s", p->complaints.v[0].text);
}

size_t utf8_char(const unsigned char *s, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t n = 1;

	if (c >= 0x80) {
		n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		c &= 0x7fU >> n;
	}
	if (n > len || (s[0] >= 0x80 && s[0] < 0xc0) || s[0] >= 0xf8)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

bool is_printable(uint32_t c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0x200e &&
	       c != 0x200f && c != 0xfeff && c < 0x110000 && (c & 0xfffe) != 0xfffe;
}

/* Text of the file as it may be shown: on one line, not too long. `buf` is returned. */
const char *quote(const char *text, size_t len, char buf[QUOTE_TEXT])
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = 0, used;
	uint32_t c;

	for (size_t i = 0; i < len; i += used) {
		if (n > QUOTE_TEXT - 16) {
			memcpy(buf + n, "...", 3);
			n += 3;
			break;
		}
		used = utf8_char(s + i, len - i, &c);
		if (used && is_printable(c)) {
			memcpy(buf + n, s + i, used);
			n += used;
		} else {
			c = used ? c : s[i];
			used = used ? used : 1;
			snprintf(buf + n, QUOTE_TEXT - n, c > 0xff ? "\\u%04x" : "\\x%02x", c);
			n += strlen(buf + n);
		}
	}
	buf[n] = '\0';
	return buf;
}
