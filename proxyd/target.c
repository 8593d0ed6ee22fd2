/*
 * Request targets; see target.h.
 */

#include <string.h>

#include <strings.h>

#include "common/ipaddr.h"
#include "proxyd/target.h"

static bool
is_hostchar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

static int
parse_port(struct span s, uint16_t *port)
{
	uint32_t v = 0;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || i == 5)
			return -1;
		v = v * 10 + (uint32_t)(s.p[i] - '0');
	}
	if (v == 0 || v > UINT16_MAX)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

/* [address], and what follows it. */
static int
parse_bracketed(struct span *s, struct authority *a)
{
	const char *end = memchr(s->p, ']', s->len);
	struct ipaddr ip;
	size_t n;

	if (end == NULL)
		return -1;
	n = (size_t)(end - s->p) - 1;
	if (n >= IPADDR_STRLEN)
		return -1;
	memcpy(a->host, s->p + 1, n);
	a->host[n] = '\0';
	if (ipaddr_parse(a->host, &ip) == -1 || ip.family != 6)
		return -1;
	a->v6 = true;
	s->p += n + 2;
	s->len -= n + 2;
	return 0;
}

static int
parse_name(struct span *s, struct authority *a)
{
	size_t n;

	for (n = 0; n < s->len && is_hostchar(s->p[n]); n++)
		continue;
	if (n == 0 || n > TARGET_HOSTMAX || s->p[0] == '.')
		return -1;
	memcpy(a->host, s->p, n);
	a->host[n] = '\0';
	s->p += n;
	s->len -= n;
	return 0;
}

int
authority_parse(struct span s, struct authority *a)
{
	memset(a, 0, sizeof(*a));
	if (s.len == 0 ||
	    (s.p[0] == '[' ? parse_bracketed(&s, a) : parse_name(&s, a)) == -1)
		return -1;
	if (s.len == 0)
		return 0;
	if (s.p[0] != ':')
		return -1;
	s.p++;
	s.len--;
	return s.len == 0 ? 0 : parse_port(s, &a->port);
}

static int
parse_absolute(struct span s, struct target *t)
{
	struct span auth;
	size_t n;

	if (s.len < 7 || strncasecmp(s.p, "http://", 7) != 0)
		return -1;
	s.p += 7;
	s.len -= 7;
	for (n = 0; n < s.len && s.p[n] != '/' && s.p[n] != '?'; n++)
		continue;
	auth = (struct span){ s.p, n };
	t->form = TARGET_ABSOLUTE;
	t->path = (struct span){ s.p + n, s.len - n };
	return authority_parse(auth, &t->authority);
}

int
target_parse(const struct head *h, struct target *t, const char **why)
{
	struct span s = h->target;

	memset(t, 0, sizeof(*t));
	*why = "a request target that is not understood";
	if (memchr(s.p, '#', s.len) != NULL)
		return -1;
	if (span_is(h->method, "connect")) {
		t->form = TARGET_AUTHORITY;
		if (authority_parse(s, &t->authority) == -1)
			return -1;
		*why = "a body, in CONNECT"; /* or is it the next request? */
		if (h->framing == FRAMING_CHUNKED || h->length > 0)
			return -1;
		*why = "CONNECT without a port";
		return t->authority.port == 0 ? -1 : 0;
	}
	t->path = s;
	if (s.p[0] == '/')
		return 0;
	if (s.len == 1 && s.p[0] == '*') {
		t->form = TARGET_ASTERISK;
		return span_is(h->method, "options") ? 0 : -1;
	}
	return parse_absolute(s, t);
}
