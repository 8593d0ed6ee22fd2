#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "common/view/view.h"

static const char *
printable(const char *s, char *buf, size_t size, bool backslash)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	unsigned char c;

	for (; (c = (unsigned char)*s) != '\0' && n + 5 <= size; s++) {
		if (c >= ' ' && c <= '~' && (c != '\\' || backslash)) {
			buf[n++] = (char)c;
			continue;
		}
		buf[n++] = '\\';
		if (c == '\\') {
			buf[n++] = '\\';
			continue;
		}
		buf[n++] = 'x';
		buf[n++] = hex[c >> 4];
		buf[n++] = hex[c & 15];
	}
	if (size > 0)
		buf[n] = '\0';
	return buf;
}

const char *
print_safe(const char *s, char *buf, size_t size)
{
	return printable(s, buf, size, false);
}

/* Three digits or so and a prefix of the SI. */
static const char *
scaled(double v, const char *unit, char *buf)
{
	static const char *const prefix[] = { "", "k", "M", "G", "T", "P",
		"E" };
	size_t i = 0;

	while (v >= 999.5 && i + 1 < sizeof(prefix) / sizeof(prefix[0])) {
		v /= 1000;
		i++;
	}
	snprintf(buf, PRINT_NUM, i > 0 && v < 9.95 ? "%.1f %s%s" : "%.0f %s%s",
	    v, prefix[i], unit);
	return buf;
}

const char *
print_bytes(double v, char *buf)
{
	return scaled(v, "B", buf);
}

const char *
print_rate(double v, char *buf)
{
	if (v < 0) {
		strlcpy(buf, "-", PRINT_NUM);
		return buf;
	}
	return scaled(v, "bit/s", buf);
}

const char *
print_time(usec_t t, char *buf)
{
	static const struct {
		int64_t secs;
		char name;
	} unit[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t secs = t / USEC_SEC;
	size_t i = 0;

	if (t < 0)
		t = secs = 0;
	if (secs == 0) {
		snprintf(buf, PRINT_NUM, "%lldms", (long long)(t / USEC_MS));
		return buf;
	}
	while (secs < unit[i].secs)
		i++;
	if (unit[i].secs == 1)
		snprintf(buf, PRINT_NUM, "%llds", (long long)secs);
	else
		snprintf(buf, PRINT_NUM, "%lld%c%02lld%c",
		    (long long)(secs / unit[i].secs), unit[i].name,
		    (long long)(secs % unit[i].secs / unit[i + 1].secs),
		    unit[i + 1].name);
	return buf;
}

const char *
print_ms(uint32_t us, char *buf)
{
	if (us < 9950)
		snprintf(buf, PRINT_NUM, "%.1fms", us / 1000.);
	else
		snprintf(buf, PRINT_NUM, "%.0fms", us / 1000.);
	return buf;
}

const char *
print_addr(uint32_t ip, uint16_t port, char *buf)
{
	snprintf(buf, PRINT_NUM, "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 255,
	    ip >> 8 & 255, ip & 255, port);
	return buf;
}

json_t *
print_json(const char *s)
{
	char buf[1024];
	json_t *j = json_string(s);

	return j != NULL ? j : json_string(print_safe(s, buf, sizeof(buf)));
}

json_t *
print_words(const char *s)
{
	json_t *a = json_array();
	char buf[DNSTAB_TEXT];
	size_t n;

	for (; *s != '\0'; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		if (n == 0 || n >= sizeof(buf))
			continue;
		memcpy(buf, s, n);
		buf[n] = '\0';
		json_array_append_new(a, print_json(buf));
	}
	return a;
}

void
print_json_dump(FILE *out, json_t *j)
{
	json_dumpf(j, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(j);
}

/*
 * Tables.
 */

void
table_init(struct table *t, const char *const *head, size_t ncol)
{
	memset(t, 0, sizeof(*t));
	t->head = head;
	t->ncol = ncol;
}

void
table_cell(struct table *t, const char *fmt, ...)
{
	char raw[1024], safe[1024], **v;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	if (t->n == t->cap) {
		t->cap = t->cap > 0 ? 2 * t->cap : 64;
		v = reallocarray(t->cell, t->cap, sizeof(*v));
		if (v == NULL) {
			t->cap = t->n;
			t->failed = true;
			return;
		}
		t->cell = v;
	}
	/* Names of DNS have backslashes of their own already. */
	t->cell[t->n] = strdup(printable(raw, safe, sizeof(safe), true));
	if (t->cell[t->n] == NULL)
		t->failed = true;
	else
		t->n++;
}

static void
widths(const struct table *t, size_t *width)
{
	size_t c, i, len;

	for (c = 0; c < t->ncol; c++)
		width[c] = strlen(t->head[c]) - (t->head[c][0] == '>');
	for (i = 0; i < t->n; i++) {
		len = strlen(t->cell[i]);
		if (len > width[i % t->ncol])
			width[i % t->ncol] = len;
	}
}

/* The last column needs no blanks behind it. */
static void
put_cell(FILE *out, const struct table *t, size_t c, const size_t *width,
    const char *text)
{
	bool right = t->head[c][0] == '>';

	if (right)
		fprintf(out, "%*s", (int)width[c], text);
	else if (c + 1 < t->ncol)
		fprintf(out, "%-*s", (int)width[c], text);
	else
		fputs(text, out);
	fputs(c + 1 < t->ncol ? "  " : "\n", out);
}

void
table_print(FILE *out, struct table *t, const struct style *st)
{
	size_t width[TABLE_COLS] = { 0 }, c, i;

	widths(t, width);
	if (st->color)
		fputs("\033[1m", out);
	for (c = 0; c < t->ncol; c++)
		put_cell(out, t, c, width, t->head[c] + (t->head[c][0] == '>'));
	if (st->color)
		fputs("\033[0m", out);
	for (i = 0; i < t->n; i++) {
		put_cell(out, t, i % t->ncol, width, t->cell[i]);
		free(t->cell[i]);
	}
	if (t->failed)
		fputs("(out of memory: not all of it)\n", out);
	free(t->cell);
}
