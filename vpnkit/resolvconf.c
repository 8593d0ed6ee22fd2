/*
 * resolv.conf(5), of which only `nameserver' concerns us: the guest asks with
 * full names, so search lists and options are its own business.
 *
 * An address may be followed by #PORT, as in the files of several resolvers;
 * the C library knows only port 53 and skips such a line.  Addresses with a
 * zone (fe80::1%eth0) are skipped: nothing below us could use the zone.
 */

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "resolvconf.h"

#define BLANKS " \t\r\v\f"

/* Splits the next word off a line; false at its end, or if it is too long. */
static bool
next_word(const char **p, const char *end, char *word, size_t size)
{
	size_t n = 0;

	while (*p < end && **p != '\0' && strchr(BLANKS, **p) != NULL)
		(*p)++;
	while (*p < end && (**p == '\0' || strchr(BLANKS, **p) == NULL)) {
		if (n + 1 < size)
			word[n] = **p;
		n++;
		(*p)++;
	}
	if (n == 0 || n >= size || memchr(word, '\0', n) != NULL)
		return false;
	word[n] = '\0';
	return true;
}

/* "IP" or "IP#PORT" to the latter, in the one spelling of each address. */
static int
server_text(char *word, char *out, size_t size)
{
	char buf[IPADDR_STRLEN], *port = NULL;
	struct ipaddr a;
	const char *err = NULL;
	long long n = 53;
	int len;

	if ((port = strchr(word, '#')) != NULL) {
		*port++ = '\0';
		n = strtonum(port, 1, 65535, &err);
	}
	if (err != NULL || ipaddr_parse(word, &a) == -1)
		return -1;
	len = snprintf(out, size, "%s#%lld", ipaddr_str(&a, buf), n);
	return len > 0 && (size_t)len < size ? 0 : -1;
}

static void
add_server(struct resolvconf *rc, const char *text)
{
	size_t i;

	for (i = 0; i < rc->n; i++) {
		if (strcmp(rc->server[i], text) == 0)
			return;
	}
	if (rc->n < RESOLVCONF_MAX)
		strlcpy(rc->server[rc->n++], text, RESOLVCONF_STRLEN);
}

static void
parse_line(const char *p, const char *end, struct resolvconf *rc)
{
	char word[64], text[RESOLVCONF_STRLEN];

	if (!next_word(&p, end, word, sizeof(word)) ||
	    strcmp(word, "nameserver") != 0)
		return;
	if (!next_word(&p, end, word, sizeof(word)))
		return;
	if (server_text(word, text, sizeof(text)) == 0)
		add_server(rc, text);
}

void
resolvconf_parse(const char *text, size_t len, struct resolvconf *rc)
{
	const char *p = text, *end = text + len, *nl;

	memset(rc, 0, sizeof(*rc));
	while (p < end) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		parse_line(p, nl, rc);
		p = nl < end ? nl + 1 : end;
	}
}
