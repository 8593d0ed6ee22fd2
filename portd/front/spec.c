/*
 * Requests for forwards as text; see spec.h.
 */

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/nitems.h"

#include "portd/front/spec.h"

#define MAXPARTS   7
#define B64_STRLEN ((SPEC_PATHMAX + 2) / 3 * 4 + 1)

const char *const fwd_proto_name[FWD__MAX] = {
	[FWD_TCP] = "tcp",
	[FWD_UDP] = "udp",
	[FWD_UNIX] = "unix",
};

/* A piece of the request's text. */
struct part {
	const char *p;
	size_t len;
};

int
spec_proto(const char *name, size_t len)
{
	int i;

	for (i = 0; i < FWD__MAX; i++) {
		if (strlen(fwd_proto_name[i]) == len &&
		    strncasecmp(fwd_proto_name[i], name, len) == 0)
			return i;
	}
	return -1;
}

/*
 * Base 64, RFC 4648 section 4, with its padding.
 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* -1: not base 64, or more than cap bytes. */
static int
b64_decode(const struct part *in, char *out, size_t cap)
{
	uint32_t bits = 0;
	size_t i, n = 0, len = in->len, pad = 0;
	const char *c;

	while (pad < 2 && pad < len && in->p[len - 1 - pad] == '=')
		pad++;
	if (len == 0 || len % 4 != 0)
		return -1;
	for (i = 0; i < len - pad; i++) {
		c = memchr(alphabet, in->p[i], sizeof(alphabet) - 1);
		if (c == NULL)
			return -1;
		bits = bits << 6 | (uint32_t)(c - alphabet);
		if (i % 4 == 0)
			continue;
		if (n == cap)
			return -1;
		out[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return (int)n;
}

/* out has room for the longest path; its length, without the final zero. */
static size_t
b64_encode(const char *path, char *out)
{
	size_t i, n = 0, len = strlen(path);
	uint32_t v;
	int j;

	for (i = 0; i < len; i += 3) {
		v = (uint32_t)(uint8_t)path[i] << 16;
		v |= i + 1 < len ? (uint32_t)(uint8_t)path[i + 1] << 8 : 0;
		v |= i + 2 < len ? (uint8_t)path[i + 2] : 0;
		for (j = 0; j < 4; j++)
			out[n++] = i + (size_t)j > len
				       ? '='
				       : alphabet[v >> (18 - 6 * j) & 63];
	}
	out[n] = '\0';
	return n;
}

/*
 * Text into a request.
 */

static size_t
split(const char *text, size_t len, struct part *part)
{
	const char *end = text + len, *colon;
	size_t n = 0;

	while (n < MAXPARTS) {
		colon = memchr(text, ':', (size_t)(end - text));
		part[n].p = text;
		part[n].len = (size_t)((colon != NULL ? colon : end) - text);
		n++;
		if (colon == NULL)
			break;
		text = colon + 1;
	}
	return n;
}

static int
part_addr(const struct part *part, struct ipaddr *a)
{
	char text[IPADDR_STRLEN];

	if (part->len >= sizeof(text))
		return -1;
	memcpy(text, part->p, part->len);
	text[part->len] = '\0';
	if (strlen(text) != part->len || ipaddr_parse(text, a) == -1)
		return -1;
	return a->family == 4 ? 0 : -1;
}

static int
part_port(const struct part *part, uint16_t *port)
{
	uint32_t v = 0;
	size_t i;

	if (part->len == 0 || part->len > 5)
		return -1;
	for (i = 0; i < part->len; i++) {
		if (part->p[i] < '0' || part->p[i] > '9')
			return -1;
		v = v * 10 + (uint32_t)(part->p[i] - '0');
	}
	if (v > UINT16_MAX)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

static int
part_path(const struct part *part, char *path)
{
	int n = b64_decode(part, path, SPEC_PATHMAX);

	if (n <= 0 || memchr(path, '\0', (size_t)n) != NULL)
		return -1;
	path[n] = '\0';
	return 0;
}

/* One half; n is the number of its parts, 2 or 3. */
static int
end_parse(
    const struct part *part, size_t n, enum fwd_proto proto, struct fwd_end *e)
{
	if (spec_proto(part[0].p, part[0].len) != (int)proto)
		return -1;
	if (proto == FWD_UNIX)
		return n == 2 ? part_path(&part[1], e->path) : -1;
	if (n != 3 || part_addr(&part[1], &e->ip) == -1)
		return -1;
	return part_port(&part[2], &e->port);
}

static int
fail_form(char *err, const char *text, size_t len)
{
	snprintf(err, SPEC_ERRLEN,
	    "Failed to parse request [%.*s], expected\n"
	    "tcp:<host IP>:<port>:tcp:<VM IP>:<port>\n"
	    "udp:<host IP>:<port>:udp:<VM IP>:<port>\n"
	    "unix:<host path in base64>:unix:<VM path in base64>",
	    (int)len, text);
	return -1;
}

static int
fail_end(char *err, const struct part *part, size_t n)
{
	const char *end = part[n - 1].p + part[n - 1].len;

	snprintf(err, SPEC_ERRLEN,
	    "port is not a proto:IP:port or unix:path: '%.*s'",
	    (int)(end - part[0].p), part[0].p);
	return -1;
}

int
spec_parse(const char *text, size_t len, struct fwd_spec *s, char *err)
{
	struct part part[MAXPARTS];
	size_t n, half;
	int proto;

	memset(s, 0, sizeof(*s));
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	if (len > SPEC_TEXTMAX)
		return fail_form(err, text, SPEC_TEXTMAX);
	n = split(text, len, part);
	half = n / 2;
	if (n != 4 && n != 6)
		return fail_form(err, text, len);
	if ((proto = spec_proto(part[0].p, part[0].len)) == -1 ||
	    (proto == FWD_UNIX) != (n == 4))
		return fail_end(err, part, half);
	s->proto = (enum fwd_proto)proto;
	if (end_parse(part, half, s->proto, &s->out) == -1)
		return fail_end(err, part, half);
	if (end_parse(part + half, half, s->proto, &s->in) == -1 ||
	    (proto != FWD_UNIX && s->in.port == 0))
		return fail_end(err, part + half, half);
	return 0;
}

const char *
spec_str(const struct fwd_spec *s, char *buf)
{
	const char *proto = fwd_proto_name[s->proto];
	char a[B64_STRLEN], b[B64_STRLEN];

	if (s->proto == FWD_UNIX) {
		b64_encode(s->out.path, a);
		b64_encode(s->in.path, b);
		snprintf(buf, SPEC_STRLEN, "%s:%s:%s:%s", proto, a, proto, b);
		return buf;
	}
	snprintf(buf, SPEC_STRLEN, "%s:%s:%u:%s:%s:%u", proto,
	    ipaddr_str(&s->out.ip, a), s->out.port, proto,
	    ipaddr_str(&s->in.ip, b), s->in.port);
	return buf;
}

static int
end_cmp(const struct fwd_end *a, const struct fwd_end *b)
{
	int r = ipaddr_cmp(&a->ip, &b->ip);

	if (r == 0)
		r = (int)a->port - (int)b->port;
	return r != 0 ? r : strcmp(a->path, b->path);
}

int
spec_cmp(const struct fwd_spec *a, const struct fwd_spec *b)
{
	int r = (int)a->proto - (int)b->proto;

	if (r == 0)
		r = end_cmp(&a->out, &b->out);
	return r != 0 ? r : end_cmp(&a->in, &b->in);
}

/*
 * Errors.
 */

/* The host's end as it stands in a text: "IP:PORT", "[IP]:PORT" or a path. */
static const char *
out_str(const struct fwd_spec *s, char *buf, size_t len)
{
	const char *form = s->out.ip.family == 6 ? "[%s]:%u" : "%s:%u";
	char ip[IPADDR_STRLEN];

	if (s->proto == FWD_UNIX)
		strlcpy(buf, s->out.path, len);
	else
		snprintf(
		    buf, len, form, ipaddr_str(&s->out.ip, ip), s->out.port);
	return buf;
}

const char *
spec_error_9p(
    const struct fwd_spec *s, const char *name, const char *why, char *buf)
{
	char out[SPEC_PATHMAX + 1];

	out_str(s, out, sizeof(out));
	if (strcmp(name, "EADDRINUSE") == 0)
		snprintf(buf, SPEC_ERRLEN,
		    "Bind for %s failed: port is already allocated", out);
	else if (strcmp(name, "EADDRNOTAVAIL") == 0)
		snprintf(buf, SPEC_ERRLEN,
		    "listen %s%s%s: bind: cannot assign requested address",
		    s->proto == FWD_UNIX ? "" : fwd_proto_name[s->proto],
		    s->proto == FWD_UNIX ? "" : " ", out);
	else if (strcmp(name, "EPERM") == 0 || strcmp(name, "EACCES") == 0)
		snprintf(buf, SPEC_ERRLEN,
		    "Bind for %s failed: permission denied", out);
	else if (strcmp(name, "EEXIST") == 0)
		snprintf(buf, SPEC_ERRLEN, "refusing to remove path %s", out);
	else
		snprintf(buf, SPEC_ERRLEN,
		    "Bind for %s: unexpected error %s%s%s", out, name,
		    why[0] != '\0' ? ", " : "", why);
	return buf;
}

/* clang-format off */
static const struct {
	const char *name, *text;
} words[] = {
	{ "EADDRINUSE", "address already in use" },
	{ "EADDRNOTAVAIL", "cannot assign requested address" },
	{ "EACCES", "permission denied" },
	{ "EPERM", "operation not permitted" },
	{ "EMFILE", "too many open files" },
	{ "ENFILE", "too many open files in system" },
	{ "ENOMEM", "cannot allocate memory" },
	{ "ENOBUFS", "no buffer space available" },
	{ "ENOENT", "no such file or directory" },
	{ "ENOTDIR", "not a directory" },
	{ "EHOSTUNREACH", "no route to host" },
	{ "EINVAL", "invalid argument" },
	{ "ENAMETOOLONG", "file name too long" },
	{ "EILSEQ", "the path is no text" },
	{ "EAFNOSUPPORT", "address family not supported by protocol" },
};
/* clang-format on */

static const char *
word(const char *name)
{
	size_t i;

	for (i = 0; i < nitems(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return words[i].text;
	}
	return name;
}

const char *
spec_error_http(
    const struct fwd_spec *s, const char *name, const char *why, char *buf)
{
	bool known = why[0] != '\0';
	char out[SPEC_PATHMAX + 1];

	out_str(s, out, sizeof(out));
	if (strcmp(name, "EEXIST") == 0)
		snprintf(buf, SPEC_ERRLEN, "refusing to remove path %s", out);
	else
		snprintf(buf, SPEC_ERRLEN, "listen %s %s: bind: %s%s%s%s",
		    fwd_proto_name[s->proto], out, word(name),
		    known ? " (" : "", why, known ? ")" : "");
	return buf;
}
