/*
 * Match rules; see match.h.
 */

#include <stdlib.h>
#include <string.h>

#include <strings.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "proxyd/match.h"

/* Without brackets and without a port, of which rules know nothing. */
static int
plain(const char *s, char *out, size_t size)
{
	size_t n = strlen(s);
	const char *colon = strchr(s, ':');

	if (*s == '[') {
		s++;
		n = strcspn(s, "]");
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL &&
		   strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		n = (size_t)(colon - s);
	}
	if (n == 0 || n >= size)
		return -1;
	memcpy(out, s, n);
	out[n] = '\0';
	return 0;
}

int
match_add(struct match *m, const char *text)
{
	struct rule *r;

	if (m->n == MATCH_MAXRULES)
		return -1;
	r = reallocarray(m->rule, m->n + 1, sizeof(*r));
	if (r == NULL)
		return -1;
	m->rule = r;
	r += m->n;
	memset(r, 0, sizeof(*r));
	if (plain(text, r->name, sizeof(r->name)) == -1)
		return -1;
	if (ipprefix_parse(r->name, &r->prefix) == 0) {
		r->network = true;
	} else if (ipaddr_parse(r->name, &r->prefix.addr) == 0) {
		r->network = true;
		r->prefix.len = r->prefix.addr.family == 6 ? 128 : 32;
	}
	m->n++;
	return 0;
}

void
match_clear(struct match *m)
{
	free(m->rule);
	m->rule = NULL;
	m->n = 0;
}

/* The last label before *end, which moves to its start; "": none left. */
static size_t
last_label(const char *s, size_t *end, size_t *start)
{
	size_t stop = *end, i = stop;

	while (i > 0 && s[i - 1] != '.')
		i--;
	*start = i;
	*end = i > 0 ? i - 1 : 0;
	return stop - i;
}

static size_t
name_len(const char *s)
{
	size_t n = strlen(s);

	return n > 1 && s[n - 1] == '.' ? n - 1 : n;
}

static bool
match_name(const char *pattern, const char *host)
{
	size_t plen = name_len(pattern), hlen = name_len(host);
	size_t pn, hn, p, h;
	bool more = true;

	for (;;) {
		if (hlen == 0 && !more)
			return false;
		pn = last_label(pattern, &plen, &p);
		hn = last_label(host, &hlen, &h);
		if (hn == 0)
			return false;
		if (pn != 0 && !(pn == 1 && pattern[p] == '*') &&
		    (pn != hn || strncasecmp(pattern + p, host + h, pn) != 0))
			return false;
		if (p == 0)
			return true;
		more = h > 0;
	}
}

bool
match_addr(const struct match *m, const struct ipaddr *a)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		if (m->rule[i].network ? ipprefix_match(&m->rule[i].prefix, a)
				       : strcmp(m->rule[i].name, "*") == 0)
			return true;
	}
	return false;
}

bool
match_host(const struct match *m, const char *host)
{
	struct ipaddr a, plain;
	size_t i;

	if (ipaddr_parse(host, &a) == 0) {
		plain = ipaddr_unmap(&a);
		return match_addr(m, &a) || match_addr(m, &plain);
	}
	for (i = 0; i < m->n; i++) {
		if (!m->rule[i].network && match_name(m->rule[i].name, host))
			return true;
	}
	return false;
}
