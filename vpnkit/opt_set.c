/*
 * Values of options: one setter for each kind.
 */

#include <bsd/stdlib.h>
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "opt_table.h"
#include "publish.h"
#include "url.h"

int
opt_fail(char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, OPTIONS_ERRLEN, fmt, ap);
	va_end(ap);
	return -1;
}

/*
 * Lists.
 */

static int
strlist_add(struct strlist *l, const char *s, size_t len)
{
	char **v;

	if ((v = reallocarray(l->v, l->n + 1, sizeof(*v))) == NULL)
		return -1;
	l->v = v;
	if ((v[l->n] = strndup(s, len)) == NULL)
		return -1;
	l->n++;
	return 0;
}

void
opt_strlist_free(struct strlist *l)
{
	while (l->n > 0)
		free(l->v[--l->n]);
	free(l->v);
	l->v = NULL;
}

/* Splits at commas, without the blanks around items and without empty ones. */
static int
strlist_split(struct strlist *l, const char *s)
{
	size_t n, k;

	for (;; s += n + 1) {
		n = strcspn(s, ",");
		k = n;
		while (k > 0 && isspace((unsigned char)s[k - 1]))
			k--;
		while (k > 0 && isspace((unsigned char)*s)) {
			s++;
			n--;
			k--;
		}
		if (k > 0 && strlist_add(l, s, k) == -1)
			return -1;
		if (s[n] == '\0')
			return 0;
	}
}

/*
 * One setter per kind of value.
 */

static int
set_str(const struct opt *o, void *field, const char *v, char *err)
{
	char **s = field;
	size_t n = strlen(v);

	if (o->min > 0 && n < (size_t)o->min)
		return opt_fail(err, "--%s: the value is empty", o->name);
	if (o->max > 0 && n > (size_t)o->max)
		return opt_fail(
		    err, "--%s: longer than %d bytes", o->name, (int)o->max);
	free(*s);
	if ((*s = strdup(v)) == NULL)
		return opt_fail(err, "out of memory");
	return 0;
}

static int
set_int(const struct opt *o, void *field, const char *v, char *err)
{
	const char *why;
	int64_t n;

	n = strtonum(v, o->min, o->max, &why);
	if (why != NULL)
		return opt_fail(err,
		    "--%s: '%s' is not a number from %lld to %lld", o->name, v,
		    (long long)o->min, (long long)o->max);
	*(int64_t *)field = n;
	return 0;
}

static int
set_ip(const struct opt *o, void *field, const char *v, char *err)
{
	struct ipaddr a;

	if (ipaddr_parse(v, &a) == -1 || a.family != 4)
		return opt_fail(
		    err, "--%s: '%s' is not an IPv4 address", o->name, v);
	*(struct ipaddr *)field = a;
	return 0;
}

static int
set_mac(const struct opt *o, void *field, const char *v, char *err)
{
	static const struct macaddr none;
	struct macaddr m;

	if (macaddr_parse(v, &m) == -1)
		return opt_fail(
		    err, "--%s: '%s' is not an Ethernet address", o->name, v);
	if ((m.b[0] & 1) != 0 || memcmp(&m, &none, sizeof(m)) == 0)
		return opt_fail(err, "--%s: %s cannot be the address of a host",
		    o->name, v);
	*(struct macaddr *)field = m;
	return 0;
}

static int
check_item(const struct opt *o, const char *s, char *err)
{
	struct gwforward g;
	struct ipaddr a;

	if (o->kind == K_NAMES && strlen(s) > 253)
		return opt_fail(
		    err, "--%s: a name of more than 253 bytes", o->name);
	if (o->kind == K_IPS && (ipaddr_parse(s, &a) == -1 || a.family != 4))
		return opt_fail(
		    err, "--%s: '%s' is not an IPv4 address", o->name, s);
	if (o->kind == K_FWDS && gwforward_parse(s, false, &g) == -1)
		return opt_fail(
		    err, "--%s: '%s' is not PORT:IP:PORT", o->name, s);
	return 0;
}

static int
set_list(const struct opt *o, void *field, const char *v, char *err)
{
	struct strlist *l = field;
	size_t i;

	if (strlist_split(l, v) == -1)
		return opt_fail(err, "out of memory");
	if (l->n > OPTIONS_NAMES)
		return opt_fail(
		    err, "--%s: more than %d items", o->name, OPTIONS_NAMES);
	for (i = 0; i < l->n; i++) {
		if (check_item(o, l->v[i], err) == -1)
			return -1;
	}
	return 0;
}

static int
check_url(const struct opt *o, const char *v, char *err)
{
	struct url u;
	const char *why;

	if (url_parse(v, &u, &why) == 0)
		return 0;
	return opt_fail(err, "--%s: '%.128s' %s", o->name, v, why);
}

static int
set_url(const struct opt *o, void *field, const char *v, char *err)
{
	if (check_url(o, v, err) == -1)
		return -1;
	return set_str(o, field, v, err);
}

static int
set_urls(const struct opt *o, void *field, const char *v, char *err)
{
	struct strlist *l = field;

	if (check_url(o, v, err) == -1)
		return -1;
	if (l->n == OPTIONS_NAMES)
		return opt_fail(err, "--%s: given more than %d times", o->name,
		    OPTIONS_NAMES);
	if (strlist_add(l, v, strlen(v)) == -1)
		return opt_fail(err, "out of memory");
	return 0;
}

static int
set_flag(const struct opt *o, void *field, const char *v, char *err)
{
	if (strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
		return opt_fail(
		    err, "--%s: '%s' is neither true nor false", o->name, v);
	*(bool *)field = strcmp(v, "true") == 0;
	return 0;
}

static int
set_pubs(const struct opt *o, void *field, const char *v, char *err)
{
	struct strlist *l = field;
	struct publish p;
	const char *why;

	if (publish_parse(v, &p, &why) == -1)
		return opt_fail(err, "--%s: '%.128s' %s", o->name, v, why);
	if (l->n == PUBLISH_MAX)
		return opt_fail(err, "--%s: given more than %d times", o->name,
		    PUBLISH_MAX);
	if (strlist_add(l, v, strlen(v)) == -1)
		return opt_fail(err, "out of memory");
	return 0;
}

int
opt_set(struct options *op, const struct opt *o, const char *v, char *err)
{
	static int (*const set[])(
	    const struct opt *, void *, const char *, char *) = {
		[K_FLAG] = set_flag,
		[K_STR] = set_str,
		[K_INT] = set_int,
		[K_IP] = set_ip,
		[K_MAC] = set_mac,
		[K_NAMES] = set_list,
		[K_IPS] = set_list,
		[K_FWDS] = set_list,
		[K_URL] = set_url,
		[K_URLS] = set_urls,
		[K_PUBS] = set_pubs,
	};

	return set[o->kind](o, (char *)op + o->off, v, err);
}
