/*
 * Settings of the HTTP proxy; see httpconf.h.
 *
 * Passwords are in here.  An error text names the key and never its value.
 */

#include <bsd/stdlib.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "common/ipaddr.h"

#include "httpconf.h"

#define ALLOW_ERROR                                                            \
	"Connections to %s are forbidden by policy. Please "                   \
	"contact your IT administrator."

static const char *const proxy_key[HTTPCONF__MAX] = { "http", "https" };
static const char *const ports_key[HTTPCONF__MAX] = { "transparent_http_ports",
	"transparent_https_ports" };
static const int default_port[HTTPCONF__MAX] = { 80, 443 };

static int
fail(char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, HTTPCONF_ERRLEN, fmt, ap);
	va_end(ap);
	return -1;
}

/*
 * A proxy: host:port, or http://user:password@host:port with percent signs
 * decoded.
 */

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes len bytes to out of size bytes; its length, or -1. */
static int
percent_decode(const char *s, size_t len, char *out, size_t size)
{
	size_t i, n = 0;
	int hi, lo;

	for (i = 0; i < len; i++) {
		if (n == size)
			return -1;
		if (s[i] != '%') {
			out[n++] = s[i];
			continue;
		}
		if (i + 2 >= len || (hi = hexval(s[i + 1])) == -1 ||
		    (lo = hexval(s[i + 2])) == -1)
			return -1;
		out[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	return (int)n;
}

static void
base64(const char *s, size_t len, char *out)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				  "pqrstuvwxyz0123456789+/";
	uint32_t v;
	size_t i;

	for (i = 0; i < len; i += 3, out += 4) {
		v = (uint32_t)(uint8_t)s[i] << 16;
		if (i + 1 < len)
			v |= (uint32_t)(uint8_t)s[i + 1] << 8;
		if (i + 2 < len)
			v |= (uint8_t)s[i + 2];
		out[0] = set[v >> 18];
		out[1] = set[v >> 12 & 63];
		out[2] = i + 1 < len ? set[v >> 6 & 63] : '=';
		out[3] = i + 2 < len ? set[v & 63] : '=';
	}
	*out = '\0';
}

static const char *
parse_auth(const char *s, size_t len, struct httpproxy *p)
{
	char plain[HTTPCONF_AUTHMAX / 4 * 3];
	int n;

	if ((n = percent_decode(s, len, plain, sizeof(plain) - 1)) == -1)
		return "its user or password is malformed or too long";
	/* Without a colon it is a user with an empty password. */
	if (memchr(plain, ':', (size_t)n) == NULL)
		plain[n++] = ':';
	base64(plain, (size_t)n, p->auth);
	return NULL;
}

static bool
good_host(const char *s)
{
	struct ipaddr a;

	if (strchr(s, ':') != NULL)
		return ipaddr_parse(s, &a) == 0;
	for (; *s != '\0'; s++) {
		if (!isalnum((unsigned char)*s) && strchr("-._", *s) == NULL)
			return false;
	}
	return true;
}

static const char *
parse_hostport(const char *s, size_t len, struct httpproxy *p)
{
	const char *colon, *why, *end = s + len;
	char port[8];
	size_t n;

	for (colon = end; colon > s && colon[-1] != ':'; colon--)
		continue;
	if (colon == s || (size_t)(end - colon) >= sizeof(port))
		return "it has no port";
	memcpy(port, colon, (size_t)(end - colon));
	port[end - colon] = '\0';
	p->port = (uint16_t)strtonum(port, 1, UINT16_MAX, &why);
	n = (size_t)(colon - 1 - s);
	if (n >= 2 && s[0] == '[' && s[n - 1] == ']') {
		s++;
		n -= 2;
	}
	if (why != NULL || n == 0 || n > HTTPCONF_HOSTMAX)
		return "it needs a host and a port";
	memcpy(p->host, s, n);
	p->host[n] = '\0';
	if (!good_host(p->host))
		return "its host is neither a name nor an address";
	/* The host's own, whatever its resolver says. */
	if (strcasecmp(p->host, "localhost") == 0)
		strlcpy(p->host, "127.0.0.1", sizeof(p->host));
	return NULL;
}

/* NULL, or why there is none. */
static const char *
parse_proxy(const char *s, struct httpproxy *p)
{
	const char *at, *why = NULL, *scheme = strstr(s, "://");
	size_t len;

	memset(p, 0, sizeof(*p));
	if (scheme != NULL && (scheme - s != 4 || strncasecmp(s, "http", 4)))
		return "only http:// proxies are supported";
	if (scheme != NULL)
		s = scheme + 3;
	len = strcspn(s, "/?#");
	for (at = s + len; at > s && at[-1] != '@'; at--)
		continue;
	if (at > s)
		why = parse_auth(s, (size_t)(at - 1 - s), p);
	if (why == NULL)
		why = parse_hostport(at, len - (size_t)(at - s), p);
	if (why != NULL)
		memset(p, 0, sizeof(*p));
	return why;
}

/*
 * Lists.
 */

/* Adds the words of s, which commas and blanks separate.  -1: too many. */
static int
add_words(json_t *list, const char *s)
{
	size_t n;

	for (;; s += n) {
		s += strspn(s, ", \t\r\n");
		if ((n = strcspn(s, ", \t\r\n")) == 0)
			return 0;
		if (n > HTTPCONF_RULELEN ||
		    json_array_size(list) == HTTPCONF_RULES)
			return -1;
		json_array_append_new(list, json_stringn(s, n));
	}
}

/* A rule is plain ASCII, so that it cannot grow on the bus. */
static bool
good_rules(const json_t *list)
{
	const char *s;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		for (s = json_string_value(json_array_get(list, i)); *s; s++) {
			if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '\\')
				return false;
		}
	}
	return true;
}

static int
parse_exclude(struct httpconf *c, const json_t *v, char *err)
{
	c->exclude = json_array();
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return fail(err, "exclude: not a string");
	if (add_words(c->exclude, json_string_value(v)) == -1 ||
	    !good_rules(c->exclude))
		return fail(err,
		    "exclude: more than %d items, or one that is "
		    "too long or not plain text",
		    HTTPCONF_RULES);
	return 0;
}

static int
parse_allow(struct httpconf *c, const json_t *v, char *err)
{
	size_t i;

	c->allow = json_array();
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return fail(err, "allow: not an array");
	for (i = 0; i < json_array_size(v); i++) {
		if (!json_is_string(json_array_get(v, i)) ||
		    add_words(c->allow,
			json_string_value(json_array_get(v, i))) == -1)
			return fail(err,
			    "allow: item %zu is not a string or too "
			    "long, or there are more than %d",
			    i + 1, HTTPCONF_RULES);
	}
	return good_rules(c->allow) ? 0 : fail(err, "allow: not plain text");
}

static int
parse_ports(struct httpconf *c, int which, const json_t *v, char *err)
{
	char num[8];
	const json_t *p;
	size_t i;

	c->ports[which] = json_array();
	if (v == NULL || json_is_null(v)) {
		snprintf(num, sizeof(num), "%d", default_port[which]);
		json_array_append_new(c->ports[which], json_string(num));
		return 0;
	}
	if (!json_is_array(v) || json_array_size(v) > HTTPCONF_PORTS)
		return fail(err, "%s: not an array of at most %d numbers",
		    ports_key[which], HTTPCONF_PORTS);
	for (i = 0; i < json_array_size(v); i++) {
		p = json_array_get(v, i);
		if (!json_is_integer(p) || json_integer_value(p) < 1 ||
		    json_integer_value(p) > UINT16_MAX)
			return fail(err, "%s: item %zu is not a port",
			    ports_key[which], i + 1);
		snprintf(num, sizeof(num), "%d", (int)json_integer_value(p));
		json_array_append_new(c->ports[which], json_string(num));
	}
	return 0;
}

/*
 * The object.
 */

static int
parse_proxies(struct httpconf *c, const json_t *root, char *err)
{
	const char *why;
	const json_t *v;
	int i;

	for (i = 0; i < HTTPCONF__MAX; i++) {
		v = json_object_get(root, proxy_key[i]);
		if (v == NULL || json_is_null(v))
			continue;
		if (!json_is_string(v))
			return fail(err, "%s: not a string", proxy_key[i]);
		if (*json_string_value(v) == '\0')
			continue;
		why = parse_proxy(json_string_value(v), &c->proxy[i]);
		if (why != NULL)
			fail(err, "%s: %s: used as if there were none",
			    proxy_key[i], why);
	}
	return 0;
}

static int
parse_error(struct httpconf *c, const json_t *v, char *err)
{
	const char *s = ALLOW_ERROR, *p;

	if (v != NULL && !json_is_null(v) && (s = json_string_value(v)) == NULL)
		return fail(err, "allow_error_msg: not a string");
	for (p = s; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ')
			return fail(err, "allow_error_msg: not one line");
	}
	if (strlcpy(c->allow_error, s, sizeof(c->allow_error)) >=
	    sizeof(c->allow_error))
		return fail(err, "allow_error_msg: longer than %d bytes",
		    HTTPCONF_ERRORMAX);
	return 0;
}

static int
parse_enabled(struct httpconf *c, const json_t *v, char *err)
{
	if (v != NULL && !json_is_null(v) && !json_is_boolean(v))
		return fail(err, "allow_enabled: neither true nor false");
	c->allow_enabled = json_is_true(v);
	return 0;
}

/* What may be shown to who asks: what was given, and the defaults. */
static json_t *
show(const json_t *root, const struct httpconf *c)
{
	json_t *o = json_deep_copy(root);
	int i, set;

	for (i = 0; i < HTTPCONF__MAX; i++) {
		if (json_object_get(o, ports_key[i]) == NULL)
			json_object_set_new(
			    o, ports_key[i], json_pack("[i]", default_port[i]));
		if (json_object_get(o, proxy_key[i]) == NULL)
			json_object_set_new(o, proxy_key[i], json_null());
	}
	set = json_object_get(o, "exclude") != NULL;
	if (!set)
		json_object_set_new(o, "exclude", json_string(""));
	json_object_set_new(o, "allow_enabled", json_boolean(c->allow_enabled));
	if (json_object_get(o, "allow") == NULL)
		json_object_set_new(o, "allow", json_array());
	json_object_set_new(o, "allow_error_msg", json_string(c->allow_error));
	return o;
}

static int
parse_root(struct httpconf *c, const json_t *root, char *err)
{
	const char *key;
	int i;

	if (!json_is_object(root))
		return fail(err, "not a JSON object");
	for (i = 0; i < HTTPCONF__MAX; i++) {
		key = ports_key[i];
		if (parse_ports(c, i, json_object_get(root, key), err) == -1)
			return -1;
	}
	if (parse_exclude(c, json_object_get(root, "exclude"), err) == -1 ||
	    parse_allow(c, json_object_get(root, "allow"), err) == -1 ||
	    parse_enabled(c, json_object_get(root, "allow_enabled"), err) ==
		-1 ||
	    parse_error(c, json_object_get(root, "allow_error_msg"), err) ==
		-1 ||
	    parse_proxies(c, root, err) == -1)
		return -1;
	c->json = show(root, c);
	c->enabled = true;
	return 0;
}

/* Takes the place of what was there. */
static int
replace(struct httpconf *c, const json_t *root, char *err)
{
	struct httpconf new;

	memset(&new, 0, sizeof(new));
	*err = '\0';
	if (parse_root(&new, root, err) == -1) {
		httpconf_clear(&new);
		return -1;
	}
	httpconf_clear(c);
	*c = new;
	return 0;
}

int
httpconf_parse(struct httpconf *c, const char *text, size_t len, char *err)
{
	json_error_t je;
	json_t *root;
	int r;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (root == NULL) {
		/* Its text may quote what it found there. */
		return fail(
		    err, "line %d, column %d: not JSON", je.line, je.column);
	}
	r = replace(c, root, err);
	json_decref(root);
	return r;
}

int
httpconf_environment(struct httpconf *c, const char *http, const char *https,
    const char *no, char *err)
{
	json_t *root = json_object();
	int r;

	if (http != NULL)
		json_object_set_new(root, "http", json_string(http));
	if (https != NULL)
		json_object_set_new(root, "https", json_string(https));
	if (no != NULL)
		json_object_set_new(root, "exclude", json_string(no));
	r = replace(c, root, err);
	json_decref(root);
	return r;
}

void
httpconf_clear(struct httpconf *c)
{
	int i;

	for (i = 0; i < HTTPCONF__MAX; i++)
		json_decref(c->ports[i]);
	json_decref(c->exclude);
	json_decref(c->allow);
	json_decref(c->json);
	explicit_bzero(c, sizeof(*c));
}
