/*
 * One directive a line: a table of them, and a function for each.  Lines that
 * begin with no word of the table are skipped, as they always were, but a line
 * that does has to be right: half a configuration would send names where they
 * do not belong.
 */

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnsconf.h"

#define BLANKS " \t\r\v\f"

#define DIGITS(n)  #n
#define LIMIT(n)   DIGITS(n)
#define MANYZONES  "more than " LIMIT(DNSCONF_ZONES) " zones of one server"
#define MANYSEARCH "more than " LIMIT(DNSCONF_SEARCH) " names to search"

/* A line while it is taken apart. */
struct line {
	const char *p, *end;
	struct dnsconf *c;
};

/* The next word.  1, 0: there is none, -1: too long, or a zero in it. */
static int
word(struct line *l, char *out, size_t size)
{
	size_t n = 0;

	while (l->p < l->end && *l->p != '\0' && strchr(BLANKS, *l->p) != NULL)
		l->p++;
	while (
	    l->p < l->end && *l->p != '\0' && strchr(BLANKS, *l->p) == NULL) {
		if (n + 1 < size)
			out[n] = *l->p;
		n++;
		l->p++;
	}
	if (l->p < l->end && *l->p == '\0')
		return -1;
	if (n >= size)
		return -1;
	out[n] = '\0';
	return n > 0;
}

static bool
is_name(const char *s)
{
	size_t len;

	do {
		len = strcspn(s, ".");
		if (len == 0 || len > 63)
			return false;
		for (; len > 0; len--, s++)
			if (*s <= ' ' || *s == 0x7f || *s == '"' || *s == '\\')
				return false;
		if (*s == '.')
			s++;
	} while (*s != '\0');
	return true;
}

/* One number and nothing behind it. */
static const char *
number(struct line *l, long long max, uint32_t *v)
{
	char w[24], rest[2];
	const char *why;

	if (word(l, w, sizeof(w)) != 1 || word(l, rest, sizeof(rest)) != 0)
		return "not one number";
	*v = (uint32_t)strtonum(w, 0, max, &why);
	return why == NULL ? NULL : "not a number, or too large";
}

/* over: what to say of more than max. */
static const char *
names(struct line *l, struct dnsconf_name *list, size_t *n, size_t max,
    const char *over)
{
	char w[DNSCONF_NAMELEN];
	size_t before = *n;
	int r;

	while ((r = word(l, w, sizeof(w))) == 1) {
		if (!is_name(w))
			return "not a name";
		if (*n == max)
			return over;
		strlcpy(list[(*n)++].text, w, DNSCONF_NAMELEN);
	}
	if (r == -1)
		return "not a name";
	return *n > before ? NULL : "no name";
}

/* IP, IP#PORT. */
static const char *
nameserver(struct line *l)
{
	struct dnsconf_server *s = &l->c->server[l->c->n];
	char w[64], rest[2], *port;
	const char *why = NULL;

	if (l->c->n == DNSCONF_SERVERS)
		return "too many servers";
	if (word(l, w, sizeof(w)) != 1)
		return "no address";
	s->port = 53;
	if ((port = strchr(w, '#')) != NULL) {
		*port++ = '\0';
		s->port = (uint16_t)strtonum(port, 1, 65535, &why);
		if (why != NULL)
			return "not a port";
	}
	if (ipaddr_parse(w, &s->addr) == -1)
		return "not an address";
	if (word(l, rest, sizeof(rest)) != 0)
		return "more than an address";
	s->order = 0;
	s->timeout_ms = DNSCONF_TIMEOUT_MS;
	s->nzone = 0;
	s->zone = NULL;
	l->c->n++;
	return NULL;
}

static struct dnsconf_server *
last(const struct line *l)
{
	return l->c->n > 0 ? &l->c->server[l->c->n - 1] : NULL;
}

static const char *
zone(struct line *l)
{
	struct dnsconf_server *s = last(l);

	if (s == NULL)
		return "before any nameserver";
	if (s->zone == NULL &&
	    (s->zone = calloc(DNSCONF_ZONES, sizeof(*s->zone))) == NULL)
		return "no memory";
	return names(l, s->zone, &s->nzone, DNSCONF_ZONES, MANYZONES);
}

static const char *
timeout(struct line *l)
{
	struct dnsconf_server *s = last(l);

	return s == NULL ? "before any nameserver"
			 : number(l, 3600000, &s->timeout_ms);
}

static const char *
order(struct line *l)
{
	struct dnsconf_server *s = last(l);

	return s == NULL ? "before any nameserver"
			 : number(l, INT32_MAX, &s->order);
}

/* The first one wins. */
static const char *
search(struct line *l)
{
	if (l->c->nsearch > 0)
		return NULL;
	return names(
	    l, l->c->search, &l->c->nsearch, DNSCONF_SEARCH, MANYSEARCH);
}

static const char *
offline_after(struct line *l)
{
	return number(l, INT32_MAX, &l->c->offline_after);
}

static const struct {
	const char *word;
	const char *(*take)(struct line *);
} directives[] = {
	{ "nameserver", nameserver },
	{ "zone", zone },
	{ "timeout", timeout },
	{ "order", order },
	{ "search", search },
	{ "assume-offline-after", offline_after },
};

/* NULL, or what is wrong with the line. */
static const char *
parse_line(struct line *l, unsigned num)
{
	char w[32];
	size_t i;
	int r;

	if ((r = word(l, w, sizeof(w))) == 0 || w[0] == '#')
		return NULL;
	for (i = 0; r == 1 && i < sizeof(directives) / sizeof(directives[0]);
	     i++)
		if (strcmp(w, directives[i].word) == 0)
			return directives[i].take(l);
	if (l->c->unknown == 0)
		l->c->unknown = num;
	return NULL;
}

void
dnsconf_clear(struct dnsconf *c)
{
	while (c->n > 0)
		free(c->server[--c->n].zone);
}

int
dnsconf_parse(const char *text, size_t len, struct dnsconf *c, char *err)
{
	const char *p = text, *end = text + len, *nl, *why;
	unsigned num;
	struct line l;

	memset(c, 0, sizeof(*c));
	c->offline_after = DNSCONF_OFFLINE;
	for (num = 1; p < end; num++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		l = (struct line){ p, nl, c };
		if ((why = parse_line(&l, num)) != NULL) {
			snprintf(err, DNSCONF_ERRLEN, "%u: %s", num, why);
			dnsconf_clear(c);
			return -1;
		}
		p = nl < end ? nl + 1 : end;
	}
	return 0;
}
