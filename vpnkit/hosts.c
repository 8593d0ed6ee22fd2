/*
 * What cannot be understood is skipped: an address with its whole line (such
 * as fe80::1%lo0), a name by itself.
 */

#include <stdbool.h>
#include <string.h>

#include "hosts.h"

#define BLANKS " \t\r\v\f"

struct hosts
hosts_init(const char *text, size_t len)
{
	return (struct hosts){ .p = text, .end = text + len, .line_end = text };
}

static bool
is_blank(char c)
{
	return c != '\0' && strchr(BLANKS, c) != NULL;
}

/* The next word of the line: its length, which may be above size; 0: none. */
static size_t
word(struct hosts *h, char *out, size_t size)
{
	size_t n = 0;

	while (h->p < h->line_end && is_blank(*h->p))
		h->p++;
	for (; h->p < h->line_end && !is_blank(*h->p); h->p++, n++)
		if (n < size)
			out[n] = *h->p;
	if (n < size)
		out[n] = '\0';
	return n;
}

/* On to the next line with an address; false: the end. */
static bool
next_line(struct hosts *h)
{
	char text[IPADDR_STRLEN];
	const char *nl, *hash;
	size_t n;

	for (;;) {
		if (h->line > 0)
			h->p = memchr(h->p, '\n', (size_t)(h->end - h->p));
		if (h->p == NULL || (h->line > 0 && ++h->p == h->end) ||
		    h->p == h->end) {
			h->p = h->line_end = h->end;
			return false;
		}
		h->line++;
		nl = memchr(h->p, '\n', (size_t)(h->end - h->p));
		h->line_end = nl != NULL ? nl : h->end;
		hash = memchr(h->p, '#', (size_t)(h->line_end - h->p));
		if (hash != NULL)
			h->line_end = hash;
		n = word(h, text, sizeof(text));
		if (n > 0 && n < sizeof(text) &&
		    memchr(text, '\0', n) == NULL &&
		    ipaddr_parse(text, &h->addr) == 0)
			return true;
		if (n > 0 && h->bad_line == 0)
			h->bad_line = h->line;
	}
}

/* What can be a name in a message, and on the bus. */
static bool
is_name(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\')
			return false;
	return n < HOSTS_NAMELEN;
}

bool
hosts_next(struct hosts *h, struct ipaddr *a, char name[HOSTS_NAMELEN])
{
	size_t n;

	for (;;) {
		n = h->line > 0 ? word(h, name, HOSTS_NAMELEN) : 0;
		if (n == 0) {
			if (!next_line(h))
				return false;
			continue;
		}
		if (n >= HOSTS_NAMELEN || !is_name(name, n))
			continue;
		*a = h->addr;
		return true;
	}
}
