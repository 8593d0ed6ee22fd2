/*
 * Heads of HTTP requests; see http.h.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <bsd/string.h>

#include "common/nitems.h"

#include "portd/front/http.h"

/* A piece of the head. */
struct text {
	const char *p;
	size_t len;
};

struct head {
	struct http_req *r;
	int minor; /* of the version */
	bool have_length, have_coding, have_host;
	int status; /* of the refusal */
};

/* clang-format off */
static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_GET }, { "HEAD", HTTP_HEAD }, { "PUT", HTTP_PUT },
	{ "POST", HTTP_POST }, { "DELETE", HTTP_DELETE },
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" },
	{ 405, "Method Not Allowed" }, { 413, "Content Too Large" },
	{ 414, "URI Too Long" }, { 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
	{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
};
/* clang-format on */

static bool
text_is(const struct text *t, const char *s)
{
	return t->len == strlen(s) && strncasecmp(t->p, s, t->len) == 0;
}

/* RFC 9110 5.6.2. */
static bool
is_token(const struct text *t)
{
	size_t i;

	for (i = 0; i < t->len; i++) {
		if (t->p[i] <= ' ' || t->p[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", t->p[i]) != NULL)
			return false;
	}
	return t->len > 0;
}

static int
refuse(struct head *h, int status)
{
	h->status = status;
	return -1;
}

/* The text up to the next c, which is skipped.  -1: there is none. */
static int
cut(struct text *from, char c, struct text *out)
{
	const char *end = memchr(from->p, c, from->len);

	if (end == NULL)
		return -1;
	out->p = from->p;
	out->len = (size_t)(end - from->p);
	from->len -= out->len + 1;
	from->p = end + 1;
	return 0;
}

/* A line without its CRLF.  -1: it does not end so. */
static int
cut_line(struct text *from, struct text *out)
{
	if (cut(from, '\n', out) == -1 || out->len == 0 ||
	    out->p[out->len - 1] != '\r')
		return -1;
	out->len--;
	return memchr(out->p, '\r', out->len) != NULL ||
		       memchr(out->p, '\0', out->len) != NULL
		   ? -1
		   : 0;
}

static void
trim(struct text *t)
{
	while (t->len > 0 && (*t->p == ' ' || *t->p == '\t')) {
		t->p++;
		t->len--;
	}
	while (
	    t->len > 0 && (t->p[t->len - 1] == ' ' || t->p[t->len - 1] == '\t'))
		t->len--;
}

/*
 * The request line.
 */

/* "/path?query", or the same behind "http://host". */
static int
take_target(struct head *h, struct text t)
{
	static const char scheme[] = "http://";
	const char *end, *c;

	if (t.len > sizeof(scheme) - 1 &&
	    strncasecmp(t.p, scheme, sizeof(scheme) - 1) == 0) {
		t.p += sizeof(scheme) - 1;
		t.len -= sizeof(scheme) - 1;
		if ((c = memchr(t.p, '/', t.len)) == NULL)
			return refuse(h, 400);
		t.len -= (size_t)(c - t.p);
		t.p = c;
	}
	if (t.len == 0 || *t.p != '/')
		return refuse(h, 400);
	end = memchr(t.p, '?', t.len);
	if (end != NULL)
		t.len = (size_t)(end - t.p);
	if (t.len > HTTP_PATHMAX)
		return refuse(h, 414);
	memcpy(h->r->path, t.p, t.len);
	h->r->path[t.len] = '\0';
	return 0;
}

static int
take_version(struct head *h, const struct text *t)
{
	if (t->len != 8 || memcmp(t->p, "HTTP/", 5) != 0 || t->p[6] != '.' ||
	    t->p[5] < '0' || t->p[5] > '9' || t->p[7] < '0' || t->p[7] > '9')
		return refuse(h, 400);
	if (t->p[5] != '1')
		return refuse(h, 505);
	h->minor = t->p[7] - '0';
	h->r->keep = h->minor > 0;
	return 0;
}

static int
take_request(struct head *h, struct text line)
{
	struct text method, target;
	size_t i;

	if (cut(&line, ' ', &method) == -1 || !is_token(&method) ||
	    cut(&line, ' ', &target) == -1)
		return refuse(h, 400);
	h->r->method = HTTP_OTHER;
	for (i = 0; i < nitems(methods); i++) {
		if (strlen(methods[i].name) == method.len &&
		    memcmp(methods[i].name, method.p, method.len) == 0)
			h->r->method = methods[i].method;
	}
	if (take_version(h, &line) == -1)
		return -1;
	return take_target(h, target);
}

/*
 * The fields.
 */

static int
take_length(struct head *h, const struct text *v)
{
	size_t i, n = 0;

	if (v->len == 0 || h->have_length || h->have_coding)
		return refuse(h, 400);
	h->have_length = true;
	for (i = 0; i < v->len; i++) {
		if (v->p[i] < '0' || v->p[i] > '9')
			return refuse(h, 400);
		if (n <= HTTP_MAXBODY)
			n = n * 10 + (size_t)(v->p[i] - '0');
	}
	if (n > HTTP_MAXBODY)
		return refuse(h, 413);
	h->r->body = n;
	return 0;
}

/* A list of words, of which we know two. */
static int
take_connection(struct head *h, const struct text *v)
{
	struct text rest = *v, word;

	for (;;) {
		if (cut(&rest, ',', &word) == -1) {
			word = rest;
			rest.len = 0;
		}
		trim(&word);
		if (text_is(&word, "close"))
			h->r->keep = false;
		if (text_is(&word, "keep-alive") && h->minor == 0)
			h->r->keep = true;
		if (rest.len == 0)
			return 0;
	}
}

static int
take_expect(struct head *h, const struct text *v)
{
	h->r->expects = text_is(v, "100-continue") && h->minor > 0;
	return 0;
}

static int
take_host(struct head *h, const struct text *v)
{
	if (h->have_host)
		return refuse(h, 400);
	h->have_host = true;
	return 0;
}

static int
take_encoding(struct head *h, const struct text *v)
{
	if (h->have_length || h->have_coding || h->minor == 0)
		return refuse(h, 400);
	if (!text_is(v, "chunked"))
		return refuse(h, 501);
	h->have_coding = true;
	h->r->chunked = true;
	return 0;
}

/* clang-format off */
static const struct {
	const char *name;
	int (*take)(struct head *, const struct text *);
} fields[] = {
	{ "Content-Length",	take_length },
	{ "Transfer-Encoding",	take_encoding },
	{ "Connection",		take_connection },
	{ "Expect",		take_expect },
	{ "Host",		take_host },
};
/* clang-format on */

static int
take_field(struct head *h, struct text line)
{
	struct text name;
	size_t i;

	if (cut(&line, ':', &name) == -1 || !is_token(&name))
		return refuse(h, 400);
	trim(&line);
	for (i = 0; i < nitems(fields); i++) {
		if (text_is(&name, fields[i].name))
			return fields[i].take(h, &line);
	}
	return 0;
}

/* All lines up to the empty one. */
static int
take_head(struct head *h, struct text all)
{
	struct text line;
	size_t n;

	if (cut_line(&all, &line) == -1)
		return refuse(h, 400);
	if (take_request(h, line) == -1)
		return -1;
	for (n = 0;; n++) {
		if (cut_line(&all, &line) == -1)
			return refuse(h, 400);
		if (line.len == 0)
			break;
		if (n == HTTP_MAXFIELDS)
			return refuse(h, 431);
		if (take_field(h, line) == -1)
			return -1;
	}
	/* RFC 9112 3.2. */
	return h->have_host || h->minor == 0 ? 0 : refuse(h, 400);
}

/* Where the head ends: behind the first empty line, whatever its ends. */
static size_t
head_len(const char *p, size_t len)
{
	const char *nl, *at = p;

	while ((nl = memchr(at, '\n', len - (size_t)(at - p))) != NULL) {
		if (nl - at == 0 || (nl - at == 1 && *at == '\r'))
			return (size_t)(nl + 1 - p);
		at = nl + 1;
	}
	return 0;
}

int
http_parse(const char *p, size_t len, struct http_req *r, int *status)
{
	struct text all = { p, len < HTTP_MAXHEAD ? len : HTTP_MAXHEAD };
	struct head h = { .r = r };

	memset(r, 0, sizeof(*r));
	all.len = head_len(all.p, all.len);
	if (all.len == 0) {
		*status = 431;
		return len < HTTP_MAXHEAD ? -2 : -1;
	}
	if (take_head(&h, all) == 0)
		return (int)all.len;
	*status = h.status;
	return -1;
}

/* A field, or nothing where it has no value. */
static void
put_field(char *buf, size_t size, const char *name, const char *value)
{
	size_t n = strlen(buf);

	if (value != NULL)
		snprintf(buf + n, size - n, "%s: %s\r\n", name, value);
}

size_t
http_reply(char *buf, size_t size, int status, const char *type,
    const char *allow, size_t body, bool keep)
{
	const char *reason = "Error";
	char len[24];
	size_t i;

	for (i = 0; i < nitems(reasons); i++) {
		if (reasons[i].status == status)
			reason = reasons[i].reason;
	}
	snprintf(buf, size, "HTTP/1.1 %d %s\r\n", status, reason);
	put_field(buf, size, "Content-Type", type);
	put_field(buf, size, "Allow", allow);
	snprintf(len, sizeof(len), "%zu", body);
	put_field(buf, size, "Content-Length", len);
	put_field(buf, size, "Connection", keep ? NULL : "close");
	strlcat(buf, "\r\n", size);
	return strlen(buf);
}

bool
http_begins(const char *p, size_t len)
{
	return len > 0 && *p >= 'A' && *p <= 'Z';
}
