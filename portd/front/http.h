#ifndef HTTP_H
#define HTTP_H

/*
 * The heads of HTTP/1.1 requests, as much of them as a control socket needs:
 * RFC 9112, strictly read.  Pure.
 *
 * What a client could mean in two ways is refused: line ends that are not
 * CRLF, folded lines, a second Content-Length, one beside a Transfer-Encoding,
 * and any of those but chunked.
 */

#include <stdbool.h>
#include <stddef.h>

#define HTTP_MAXHEAD	8192
#define HTTP_MAXBODY	65536
#define HTTP_MAXFIELDS	64
#define HTTP_PATHMAX	127
#define HTTP_REPLY_HEAD 256 /* room for what http_reply() writes */

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_POST,
	HTTP_DELETE,
	HTTP_OTHER, /* well-formed, but none of these */
};

struct http_req {
	enum http_method method;
	char path[HTTP_PATHMAX + 1]; /* without what is behind a '?' */
	size_t body;		     /* bytes that follow the head */
	bool chunked;		     /* or chunks: then body is 0 */
	bool keep;		     /* the connection, for another request */
	bool expects;		     /* waits for "100 Continue" */
};

/*
 * Returns the length of the head, -2 when more bytes are needed, or -1: then
 * *status is the answer, after which the connection ends.
 */
int http_parse(const char *p, size_t len, struct http_req *, int *status);

/*
 * A body in chunks, RFC 9112 7.1.  Zeroed, it is at the beginning.  Extensions
 * and trailers are skipped.
 */
enum chunks_state {
	CHUNKS_SIZE,
	CHUNKS_EXT,
	CHUNKS_SIZE_LF,
	CHUNKS_DATA,
	CHUNKS_DATA_CR,
	CHUNKS_DATA_LF,
	CHUNKS_TRAILER, /* at the start of a line */
	CHUNKS_FIELD,
	CHUNKS_FIELD_LF,
	CHUNKS_END_LF,
};

struct http_chunks {
	enum chunks_state state;
	size_t left;  /* of this chunk's data; of its size, so far */
	size_t total; /* bytes of data */
	unsigned digits, other;
	bool done;
};

/*
 * Takes what belongs to the body from len bytes, one run of data at a time:
 * *data and *n are where it is, *n is 0 where these bytes have none.  Returns
 * how many bytes were taken, or -1: *status is the answer.
 */
int http_chunks_take(struct http_chunks *, const char *p, size_t len,
    const char **data, size_t *n, int *status);

/*
 * Writes the head of an answer; its length.  type and allow, the methods that
 * there are instead, may be NULL.
 */
size_t http_reply(char *buf, size_t size, int status, const char *type,
    const char *allow, size_t body, bool keep);

/* Bytes with which a request of ours can begin. */
bool http_begins(const char *p, size_t len);

#endif
