/*
 * HTTP heads; see head.h.
 */

#include <string.h>

#include "common/rd.h"
#include "proxyd/head.h"

const char head_too_many[] = "too many fields";

#define WORD(s)                                                                \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

/* clang-format off */
static const struct span names[NAME__MAX] = {
	[NAME_AUTHORIZATION] = WORD("authorization"),
	[NAME_CONNECTION] = WORD("connection"),
	[NAME_CONTENT_LENGTH] = WORD("content-length"),
	[NAME_EXPECT] = WORD("expect"),
	[NAME_HOST] = WORD("host"),
	[NAME_KEEP_ALIVE] = WORD("keep-alive"),
	[NAME_PROXY_AUTHENTICATE] = WORD("proxy-authenticate"),
	[NAME_PROXY_AUTHORIZATION] = WORD("proxy-authorization"),
	[NAME_PROXY_CONNECTION] = WORD("proxy-connection"),
	[NAME_TE] = WORD("te"),
	[NAME_TRAILER] = WORD("trailer"),
	[NAME_TRANSFER_ENCODING] = WORD("transfer-encoding"),
	[NAME_UPGRADE] = WORD("upgrade"),
	[NAME_WWW_AUTHENTICATE] = WORD("www-authenticate"),
};
/* clang-format on */

/* RFC 9110 5.6.2. */
static bool
is_tchar(uint8_t c)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

/* What a value and a reason may have in them: RFC 9110 5.5. */
static bool
is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span
trim(struct span s)
{
	while (s.len > 0 && is_blank(*s.p)) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

bool
span_has(struct span s, const char *word)
{
	const char *comma;
	struct span item;

	for (;;) {
		item = s;
		comma = s.len > 0 ? memchr(s.p, ',', s.len) : NULL;
		if (comma != NULL)
			item.len = (size_t)(comma - s.p);
		if (span_is(trim(item), word))
			return true;
		if (comma == NULL)
			return false;
		s.p += item.len + 1;
		s.len -= item.len + 1;
	}
}

const struct head_field *
head_find(const struct head *h, enum head_name id)
{
	size_t i;

	for (i = 0; h->has[id] && i < h->nfield; i++) {
		if (h->field[i].id == id)
			return &h->field[i];
	}
	return NULL;
}

static enum head_name
name_id(struct span s)
{
	int i;

	for (i = NAME_OTHER + 1; i < NAME__MAX; i++) {
		if (s.len == names[i].len &&
		    strncasecmp(s.p, names[i].p, s.len) == 0)
			return (enum head_name)i;
	}
	return NAME_OTHER;
}

/* One byte of a head.  1: the last one; -1: a wrong one. */
static int
scan_byte(struct head_scan *s, uint8_t c, const char **why)
{
	if (s->cr) {
		s->cr = false;
		if (c != '\n') {
			*why = "a CR without LF";
			return -1;
		}
		if (s->line == 0)
			return 1;
		s->line = 0;
		return 0;
	}
	if (c == '\r') {
		s->cr = true;
		return 0;
	}
	if (!is_text(c)) {
		*why = c == '\n' ? "an LF without CR" : "a control character";
		return -1;
	}
	s->line++;
	return 0;
}

/*
 * What of p is one line's text, all of it good; 0 when there is anything to
 * look at byte by byte.  Most of a head passes here, many bytes at a time: the
 * loop has no way out, so that the compiler can do that.
 */
static size_t
text_run(const uint8_t *p, size_t len)
{
	const uint8_t *cr = memchr(p, '\r', len);
	size_t i, n = cr != NULL ? (size_t)(cr - p) : len;
	uint8_t bad = 0;

	for (i = 0; i < n; i++)
		bad |= (p[i] < ' ') | (p[i] == 0x7f);
	return bad ? 0 : n;
}

ssize_t
head_scan(struct head_scan *s, const void *data, size_t len, const char **why)
{
	const uint8_t *p = data;
	size_t n;
	int r;

	while (s->off < len) {
		if (!s->cr && s->off < HEAD_MAX) {
			n = len < HEAD_MAX ? len : HEAD_MAX;
			n = text_run(p + s->off, n - s->off);
			s->off += n;
			s->line += n;
			if (s->off == len)
				break;
		}
		if (s->off >= HEAD_MAX) {
			*why = "a head that is too long";
			return -1;
		}
		r = scan_byte(s, p[s->off++], why);
		if (r == 1)
			return (ssize_t)s->off;
		if (r == -1)
			return -1;
	}
	return -2;
}

/* The next line without its end. */
static int
next_line(struct rd *r, struct span *line)
{
	const uint8_t *cr = r->len > 0 ? memchr(r->p, '\r', r->len) : NULL;

	if (cr == NULL)
		return -1;
	line->p = (const char *)r->p;
	line->len = (size_t)(cr - r->p);
	return rd_skip(r, line->len + 2);
}

/* Splits off what comes before the first c, which is dropped. */
static int
split(struct span *s, char c, struct span *before)
{
	const char *p = s->len > 0 ? memchr(s->p, c, s->len) : NULL;

	if (p == NULL)
		return -1;
	before->p = s->p;
	before->len = (size_t)(p - s->p);
	s->p += before->len + 1;
	s->len -= before->len + 1;
	return 0;
}

static bool
is_token(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!is_tchar((uint8_t)s.p[i]))
			return false;
	}
	return s.len > 0;
}

/* "HTTP/1." and a digit. */
static int
parse_version(struct span s, struct head *h)
{
	if (s.len != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || s.p[7] < '0' ||
	    s.p[7] > '9')
		return -1;
	h->minor = (unsigned)(s.p[7] - '0');
	return 0;
}

/*
 * Methods are of one case (RFC 9110 9.1), but not everybody's are, and these
 * two decide where a response ends.
 */
static bool
is_lookalike(struct span method, const char *word)
{
	return span_is(method, word) && memcmp(method.p, word, method.len) != 0;
}

static const char *
parse_request_line(struct span line, struct head *h)
{
	size_t i;

	if (split(&line, ' ', &h->method) == -1 || !is_token(h->method))
		return "no method";
	if (is_lookalike(h->method, "HEAD") ||
	    is_lookalike(h->method, "CONNECT"))
		return "a method in lower case";
	if (split(&line, ' ', &h->target) == -1 || h->target.len == 0)
		return "no request target";
	if (h->target.len > HEAD_TARGETMAX)
		return "a request target that is too long";
	for (i = 0; i < h->target.len; i++) {
		if (h->target.p[i] == '\t')
			return "a tab in the request target";
	}
	return parse_version(line, h) == -1 ? "not HTTP/1" : NULL;
}

static const char *
parse_status_line(struct span line, struct head *h)
{
	struct span version;
	int i;

	if (split(&line, ' ', &version) == -1 ||
	    parse_version(version, h) == -1)
		return "not HTTP/1";
	if (line.len < 3 || (line.len > 3 && line.p[3] != ' '))
		return "no status";
	for (i = 0; i < 3; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return "no status";
		h->status = h->status * 10 + (unsigned)(line.p[i] - '0');
	}
	if (h->status < 100 || h->status > 599)
		return "a status out of range";
	if (line.len > 4)
		h->reason = (struct span){ line.p + 4, line.len - 4 };
	return NULL;
}

static const char *
parse_field(struct span line, struct head *h)
{
	struct head_field *f;

	if (is_blank(*line.p))
		return "a folded line";
	if (h->nfield == HEAD_MAXFIELDS)
		return head_too_many;
	f = &h->field[h->nfield++];
	if (split(&line, ':', &f->name) == -1 || !is_token(f->name))
		return "a line that is no field";
	f->value = trim(line);
	f->id = name_id(f->name);
	h->has[f->id] = true;
	return NULL;
}

/*
 * What the fields mean.
 */

static int
parse_length(struct span s, uint64_t *v)
{
	size_t i;

	if (s.len == 0 || s.len > 18)
		return -1;
	for (*v = 0, i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		*v = *v * 10 + (uint64_t)(s.p[i] - '0');
	}
	return 0;
}

static const char *
add_length(struct head *h, struct span v, bool *seen)
{
	if (*seen)
		return "two lengths";
	*seen = true;
	if (parse_length(v, &h->length) == -1)
		return "a length that is no number";
	return NULL;
}

static const char *
add_coding(struct head *h, struct span v, bool *seen)
{
	if (*seen)
		return "two transfer codings";
	*seen = true;
	if (h->minor == 0)
		return "a transfer coding in HTTP/1.0";
	return span_is(v, "chunked") ? NULL : "a transfer coding but chunked";
}

static void
add_connection(struct head *h, struct span v)
{
	h->close |= span_has(v, "close");
	h->keep_alive |= span_has(v, "keep-alive");
	h->upgrade |= span_has(v, "upgrade");
}

static const char *
read_fields(struct head *h)
{
	bool length = false, coding = false;
	const char *why = NULL;
	struct head_field *f;

	for (f = h->field; f < h->field + h->nfield && why == NULL; f++) {
		if (f->id == NAME_CONTENT_LENGTH)
			why = add_length(h, f->value, &length);
		else if (f->id == NAME_TRANSFER_ENCODING)
			why = add_coding(h, f->value, &coding);
		else if (f->id == NAME_CONNECTION)
			add_connection(h, f->value);
		if (f->id != NAME_HOST)
			continue;
		if (h->host != NULL)
			return "two Hosts";
		h->host = f;
	}
	if (why == NULL && length && coding)
		why = "a length and a transfer coding";
	h->framing = coding		       ? FRAMING_CHUNKED
		     : length		       ? FRAMING_LENGTH
		     : h->kind == HEAD_REQUEST ? FRAMING_NONE
					       : FRAMING_EOF;
	return why;
}

int
head_parse(const void *data, size_t len, enum head_kind kind, struct head *h,
    const char **why)
{
	struct rd r = rd_init(data, len);
	struct span line;

	h->kind = kind;
	h->method = h->target = h->reason = (struct span){ "", 0 };
	h->status = h->minor = 0;
	h->nfield = 0;
	h->host = NULL;
	memset(h->has, 0, sizeof(h->has));
	h->length = 0;
	h->close = h->keep_alive = h->upgrade = false;
	*why = "no head";
	if (next_line(&r, &line) == -1)
		return -1;
	*why = kind == HEAD_REQUEST ? parse_request_line(line, h)
				    : parse_status_line(line, h);
	while (*why == NULL) {
		if (next_line(&r, &line) == -1) {
			*why = "no end";
			return -1;
		}
		if (line.len == 0)
			break;
		*why = parse_field(line, h);
	}
	if (*why == NULL)
		*why = read_fields(h);
	return *why == NULL ? 0 : -1;
}

enum framing
head_response_framing(const struct head *h, struct span method)
{
	if (span_is(method, "head") || h->status < 200 || h->status == 204 ||
	    h->status == 304)
		return FRAMING_NONE;
	return h->framing;
}
