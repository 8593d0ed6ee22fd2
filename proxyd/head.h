#ifndef HEAD_H
#define HEAD_H

/*
 * The heads of HTTP/1.x messages, RFC 9112, and where their bodies end.  Pure.
 *
 * As strict as can be, since we stand between two parsers: whatever two
 * programs could read in two ways is refused.  Lines end in CR LF and nothing
 * else; no control characters but tabs in values; no folded lines, no blank
 * before a colon; one Host; one Content-Length, or "chunked", never both.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#define HEAD_MAX       32768 /* bytes of a head */
#define HEAD_MAXFIELDS 128
#define HEAD_TARGETMAX 16384

struct span {
	const char *p; /* borrowed; not terminated */
	size_t len;
};

/* The fields that mean something to us. */
enum head_name {
	NAME_OTHER,
	NAME_AUTHORIZATION,
	NAME_CONNECTION,
	NAME_CONTENT_LENGTH,
	NAME_EXPECT,
	NAME_HOST,
	NAME_KEEP_ALIVE,
	NAME_PROXY_AUTHENTICATE,
	NAME_PROXY_AUTHORIZATION,
	NAME_PROXY_CONNECTION,
	NAME_TE,
	NAME_TRAILER,
	NAME_TRANSFER_ENCODING,
	NAME_UPGRADE,
	NAME_WWW_AUTHENTICATE,
	NAME__MAX
};

struct head_field {
	enum head_name id;
	struct span name, value; /* value without blanks around */
};

enum head_kind { HEAD_REQUEST, HEAD_RESPONSE };

enum framing {
	FRAMING_NONE, /* no body */
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_EOF, /* until the connection ends */
};

struct head {
	enum head_kind kind;
	struct span method, target; /* of a request */
	unsigned status;	    /* of a response */
	struct span reason;
	unsigned minor; /* of HTTP/1 */
	struct head_field field[HEAD_MAXFIELDS];
	size_t nfield;
	const struct head_field *host; /* NULL: none */
	bool has[NAME__MAX];	       /* there is a field of that name */
	/* What the fields say, of a response before its request is asked. */
	enum framing framing;
	uint64_t length;
	/* Connection, RFC 9110 7.6.1. */
	bool close, keep_alive, upgrade;
};

/*
 * Looks for the end of a head that comes in pieces; zeroed, and then given the
 * same bytes and more.
 */
struct head_scan {
	size_t off;  /* bytes looked at */
	size_t line; /* of which in this line */
	bool cr;
};

/* The head's length; -1: never one (*why says it); -2: need more. */
ssize_t head_scan(
    struct head_scan *, const void *, size_t len, const char **why);

/* Parses a head that head_scan() saw whole; len is its length.  0 or -1. */
int head_parse(
    const void *, size_t len, enum head_kind, struct head *, const char **why);

/* The *why of more than HEAD_MAXFIELDS, compared by address. */
extern const char head_too_many[];

/* The first field of that name; NULL: none. */
const struct head_field *head_find(const struct head *, enum head_name);
/* Whatever the case; inline, since most words are constants of some length. */
static inline bool
span_is(struct span s, const char *word)
{
	return strlen(word) == s.len && strncasecmp(s.p, word, s.len) == 0;
}
/* Whether a comma list has that word. */
bool span_has(struct span, const char *word);

/* The framing of the response to a request with that method. */
enum framing head_response_framing(const struct head *, struct span method);

#endif
