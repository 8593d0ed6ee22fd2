#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "publish.h"

#define FIELD_MAX 64

/*
 * --publish.
 */

/* The text up to the next colon, brackets taken off; what follows, or NULL. */
static const char *
field(const char *s, char *buf, bool last)
{
	const char *end;
	size_t n;

	if (*s == '[') {
		if ((end = strchr(s, ']')) == NULL)
			return NULL;
		n = (size_t)(end - ++s);
		end++;
	} else {
		end = s + strcspn(s, last ? "" : ":");
		n = (size_t)(end - s);
	}
	if (n >= FIELD_MAX || (!last && *end != ':'))
		return NULL;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return last ? end : end + 1;
}

/* Decimal digits and nothing else. */
static int
number(const char *s, int min, uint16_t *v)
{
	const char *err;
	long long n;

	if (*s == '\0' || s[strspn(s, "0123456789")] != '\0')
		return -1;
	n = strtonum(s, min, UINT16_MAX, &err);
	*v = (uint16_t)n;
	return err == NULL ? 0 : -1;
}

/* A port, or FIRST-LAST. */
static int
range(char *s, int min, uint16_t *first, uint16_t *count)
{
	char *dash = strchr(s, '-');
	uint16_t last;

	if (dash == NULL) {
		*count = 1;
		return number(s, min, first);
	}
	*dash = '\0';
	if (number(s, 1, first) == -1 || number(dash + 1, 1, &last) == -1 ||
	    last < *first)
		return -1;
	*count = (uint16_t)(last - *first + 1);
	return *count == 0 ? -1 : 0;
}

/* Takes "/tcp", "/udp" and "/proxy" off the end. */
static int
suffixes(char *s, struct publish *p)
{
	char *word = strchr(s, '/'), *next;
	bool proto = false;

	if (word == NULL)
		return 0;
	*word++ = '\0';
	for (; word != NULL; word = next) {
		if ((next = strchr(word, '/')) != NULL)
			*next++ = '\0';
		if (!proto && strcmp(word, "tcp") == 0)
			proto = true;
		else if (!proto && strcmp(word, "udp") == 0)
			p->udp = proto = true;
		else if (!p->proxy && strcmp(word, "proxy") == 0)
			p->proxy = true;
		else
			return -1;
	}
	return 0;
}

/*
 * A path up to its colon, or to the end.  What follows, or NULL: too long for
 * a socket.
 */
static const char *
path_field(const char *s, char *path, bool last)
{
	size_t n = last ? strlen(s) : strcspn(s, ":");

	if (n > PUBLISH_PATHMAX || (!last && s[n] != ':'))
		return NULL;
	memcpy(path, s, n);
	path[n] = '\0';
	return last ? s + n : s + n + 1;
}

/* The host's end: hport is "0" where there is none. */
static const char *
host_fields(const char *s, struct publish *p, char *host, char *hport)
{
	if (*s != '/')
		return (s = field(s, host, false)) == NULL
			   ? NULL
			   : field(s, hport, false);
	strlcpy(host, "0.0.0.0", FIELD_MAX);
	strlcpy(hport, "0", FIELD_MAX);
	return path_field(s, p->path, false);
}

int
publish_parse(const char *text, struct publish *p, const char **why)
{
	char host[FIELD_MAX], hport[FIELD_MAX], guest[FIELD_MAX],
	    gport[FIELD_MAX];
	uint16_t n;

	memset(p, 0, sizeof(*p));
	*why = "has a path of more than 107 bytes";
	if (*text == '/' && strcspn(text, ":") > PUBLISH_PATHMAX)
		return -1;
	*why = "is not HOSTIP:HOSTPORT:GUESTIP:GUESTPORT[/tcp|/udp][/proxy], "
	       "nor PATH:GUESTIP:GUESTPORT[/proxy]";
	if ((text = host_fields(text, p, host, hport)) == NULL ||
	    (text = field(text, guest, false)) == NULL ||
	    field(text, gport, true) == NULL || suffixes(gport, p) == -1)
		return -1;
	*why = "has a path, which is no place for UDP";
	if (p->udp && p->path[0] != '\0')
		return -1;
	*why = "has a PROXY header, which UDP has no place for";
	if (p->udp && p->proxy)
		return -1;
	*why = "has an address that is none (one of IPv6 stands in brackets)";
	if (ipaddr_parse(host, &p->host) == -1 ||
	    ipaddr_parse(guest, &p->guest) == -1)
		return -1;
	p->host = ipaddr_unmap(&p->host);
	*why = "needs an IPv4 address of a guest";
	if (p->guest.family != 4)
		return -1;
	*why = "has a port that is none";
	if (range(hport, 0, &p->host_port, &p->count) == -1 ||
	    range(gport, 1, &p->guest_port, &n) == -1)
		return -1;
	*why = "has ranges of different lengths";
	return n == p->count ? 0 : -1;
}

int
publish_parse_end(const char *text, struct publish *p, const char **why)
{
	char host[FIELD_MAX], hport[FIELD_MAX];

	memset(p, 0, sizeof(*p));
	*why = "is not HOSTIP:HOSTPORT[/tcp|/udp], or a path";
	p->count = 1;
	if (*text == '/')
		return path_field(text, p->path, true) == NULL ? -1 : 0;
	if ((text = field(text, host, false)) == NULL ||
	    field(text, hport, true) == NULL || suffixes(hport, p) == -1 ||
	    p->proxy || ipaddr_parse(host, &p->host) == -1)
		return -1;
	return range(hport, 1, &p->host_port, &p->count);
}

/*
 * Ports of the gateway.
 */

int
gwforward_parse(const char *s, bool udp, struct gwforward *g)
{
	char port[FIELD_MAX], ip[FIELD_MAX], dport[FIELD_MAX];

	memset(g, 0, sizeof(*g));
	g->udp = udp;
	if ((s = field(s, port, false)) == NULL ||
	    (s = field(s, ip, false)) == NULL ||
	    field(s, dport, true) == NULL || number(port, 1, &g->port) == -1 ||
	    number(dport, 1, &g->dport) == -1 ||
	    ipaddr_parse(ip, &g->dst) == -1 || g->dst.family != 4)
		return -1;
	return 0;
}

/* An integer of an object, in a range; -1: not there or not that. */
static int
json_port(const json_t *o, const char *name, int min, uint16_t *v)
{
	const json_t *j = json_object_get(o, name);
	json_int_t n = json_integer_value(j);

	if (!json_is_integer(j) || n < min || n > UINT16_MAX)
		return -1;
	*v = (uint16_t)n;
	return 0;
}

static const char *
json_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

int
gwforward_json(
    const json_t *root, struct gwforward *v, size_t max, const char **why)
{
	const json_t *o;
	size_t i, n = json_array_size(root);

	*why = "not an array of at most 1024 forwards";
	if (!json_is_array(root) || n > max)
		return -1;
	for (i = 0; i < n; i++, v++) {
		o = json_array_get(root, i);
		memset(v, 0, sizeof(*v));
		v->udp = strcmp(json_text(o, "protocol"), "udp") == 0;
		*why = "protocol must be tcp or udp";
		if (!v->udp && strcmp(json_text(o, "protocol"), "tcp") != 0)
			return -1;
		*why = "external_port and internal_port must be ports";
		if (json_port(o, "external_port", 1, &v->port) == -1 ||
		    json_port(o, "internal_port", 1, &v->dport) == -1)
			return -1;
		*why = "internal_ip must be an IPv4 address";
		if (ipaddr_parse(json_text(o, "internal_ip"), &v->dst) == -1 ||
		    v->dst.family != 4)
			return -1;
	}
	return (int)n;
}

/*
 * Destinations behind Unix sockets.
 */

int
viaforward_json(
    const json_t *root, struct viaforward *v, size_t max, const char **why)
{
	struct ipprefix prefix;
	const char *path, *text;
	const json_t *o;
	size_t i, n = json_array_size(root);

	*why = "not an array of at most 1024 forwards";
	if (!json_is_array(root) || n > max)
		return -1;
	for (i = 0; i < n; i++, v++) {
		o = json_array_get(root, i);
		memset(v, 0, sizeof(*v));
		*why = "protocol must be tcp";
		if (strcmp(json_text(o, "protocol"), "tcp") != 0)
			return -1;
		*why = "dst_prefix must be IPv4 addresses, as 10.0.0.0/8";
		text = json_text(o, "dst_prefix");
		if (strlcpy(v->prefix, text, sizeof(v->prefix)) >=
			sizeof(v->prefix) ||
		    ipprefix_parse(text, &prefix) == -1 ||
		    prefix.addr.family != 4)
			return -1;
		*why = "dst_port must be a port, or 0 for all";
		if (json_object_get(o, "dst_port") != NULL &&
		    json_port(o, "dst_port", 0, &v->dport) == -1)
			return -1;
		*why = "path must be one of 1 to 107 bytes";
		path = json_text(o, "path");
		if (*path == '\0' ||
		    strlcpy(v->path, path, sizeof(v->path)) >= sizeof(v->path))
			return -1;
	}
	return (int)n;
}
