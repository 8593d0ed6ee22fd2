/*
 * Heads of HTTP requests: what Go's and curl's look like, and what is refused.
 */

#include <string.h>

#include "portd/front/http.h"

#include "tests/check_main.h"
#include "tests/unit/guard.h"

#define H   "Host: unix\r\n"
#define TEN "0123456789"
#define FIELDS_8                                                               \
	"A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
#define FIELDS_64                                                              \
	FIELDS_8 FIELDS_8 FIELDS_8 FIELDS_8 FIELDS_8 FIELDS_8 FIELDS_8 FIELDS_8

/* clang-format off */
static const struct {
	const char *what, *in;
	int status; /* 0: taken */
	enum http_method method;
	const char *path;
	size_t body;
	bool keep, expects;
} cases[] = {
	{ "curl", "GET /forwards/list HTTP/1.1\r\nHost: localhost\r\n"
	    "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
	    0, HTTP_GET, "/forwards/list", 0, true, false },
	{ "Go", "PUT /forwards/expose/port HTTP/1.1\r\nHost: unix\r\n"
	    "User-Agent: Go-http-client/1.1\r\nContent-Length: 93\r\n"
	    "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
	    0, HTTP_PUT, "/forwards/expose/port", 93, true, false },
	{ "post", "POST / HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_POST, "/", 0, true, false },
	{ "delete", "DELETE /x HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_DELETE, "/x", 0, true, false },
	{ "head", "HEAD /x HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_HEAD, "/x", 0, true, false },
	{ "another method", "PATCH /x HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_OTHER, "/x", 0, true, false },
	{ "methods are case-sensitive", "get /x HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_OTHER, "/x", 0, true, false },
	{ "absolute", "GET http://unix/a/b HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_GET, "/a/b", 0, true, false },
	{ "query", "GET /a?b=c HTTP/1.1\r\n" H "\r\n",
	    0, HTTP_GET, "/a", 0, true, false },
	{ "close", "GET /a HTTP/1.1\r\n" H "Connection: Close\r\n\r\n",
	    0, HTTP_GET, "/a", 0, false, false },
	{ "close among others",
	    "GET /a HTTP/1.1\r\n" H "connection: te , close\r\n\r\n",
	    0, HTTP_GET, "/a", 0, false, false },
	{ "1.0", "GET /a HTTP/1.0\r\n\r\n",
	    0, HTTP_GET, "/a", 0, false, false },
	{ "1.0 keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	    0, HTTP_GET, "/a", 0, true, false },
	{ "expect", "PUT /a HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
	    "Content-Length: 2000\r\n\r\n",
	    0, HTTP_PUT, "/a", 2000, true, true },
	{ "largest body", "PUT /a HTTP/1.1\r\n" H "Content-Length: 65536\r\n"
	    "\r\n", 0, HTTP_PUT, "/a", 65536, true, false },
	{ "64 fields", "GET /a HTTP/1.0\r\n" FIELDS_64 "\r\n",
	    0, HTTP_GET, "/a", 0, false, false },

	{ "65 fields", "GET /a HTTP/1.0\r\n" FIELDS_64 "A: b\r\n\r\n", 431 },
	{ "body too large", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length: 65537\r\n\r\n", 413 },
	{ "body much too large", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length: 18446744073709551617\r\n\r\n", 413 },
	{ "negative length", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length: -1\r\n\r\n", 400 },
	{ "length of nothing", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length:\r\n\r\n", 400 },
	{ "list of lengths", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length: 1, 1\r\n\r\n", 400 },
	{ "two lengths", "PUT /a HTTP/1.1\r\n" H
	    "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "chunked", "PUT /a HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n",
	    0, HTTP_PUT, "/a", 0, true, false },
	{ "another coding", "PUT /a HTTP/1.1\r\n" H
	    "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	{ "two codings", "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked"
	    "\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "chunked 1.0", "PUT /a HTTP/1.0\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ "length, then chunked", "PUT /a HTTP/1.1\r\n" H "Content-Length: 1"
	    "\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "chunked, then length", "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: "
	    "chunked\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "no host", "GET /a HTTP/1.1\r\n\r\n", 400 },
	{ "two hosts", "GET /a HTTP/1.1\r\n" H H "\r\n", 400 },
	{ "version 2", "GET /a HTTP/2.0\r\n\r\n", 505 },
	{ "no version", "GET /a\r\n\r\n", 400 },
	{ "bad version", "GET /a HTTP/1.x\r\n\r\n", 400 },
	{ "blank too many", "GET  /a HTTP/1.1\r\n" H "\r\n", 400 },
	{ "no path", "GET a HTTP/1.1\r\n" H "\r\n", 400 },
	{ "authority without path", "GET http://a HTTP/1.1\r\n" H "\r\n", 400 },
	{ "bare line feed", "GET /a HTTP/1.1\n" H "\n", 400 },
	{ "bare carriage return", "GET /a HTTP/1.1\r\n" H "A: b\rc\r\n\r\n",
	    400 },
	{ "folded", "GET /a HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400 },
	{ "blank before the colon", "GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
	    400 },
	{ "no colon", "GET /a HTTP/1.1\r\n" H "A\r\n\r\n", 400 },
	{ "no name", "GET /a HTTP/1.1\r\n" H ": b\r\n\r\n", 400 },
	{ "empty line first", "\r\nGET /a HTTP/1.1\r\n" H "\r\n", 400 },
	{ "path too long", "GET /" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
	    TEN TEN " HTTP/1.1\r\n" H "\r\n", 414 },
};
/* clang-format on */

START_TEST(parse)
{
	const char *in = cases[_i].in;
	struct guard g = guard_new(HTTP_MAXHEAD);
	struct http_req r;
	int n, status = 0;

	n = http_parse(guard_put(&g, in, strlen(in)), strlen(in), &r, &status);
	ck_assert_msg(
	    status == cases[_i].status, "%s: %d", cases[_i].what, status);
	ck_assert_int_eq(n, status != 0 ? -1 : (int)strlen(in));
	if (n == -1)
		return;
	ck_assert_int_eq(r.method, cases[_i].method);
	ck_assert_str_eq(r.path, cases[_i].path);
	ck_assert_uint_eq(r.body, cases[_i].body);
	ck_assert_int_eq(r.keep, cases[_i].keep);
	ck_assert_int_eq(r.expects, cases[_i].expects);
	guard_free(&g);
}
END_TEST

/* Nothing is decided before the empty line, however it ends. */
START_TEST(prefixes)
{
	const char *in = cases[_i].in;
	struct guard g = guard_new(HTTP_MAXHEAD);
	struct http_req r;
	int status;
	size_t n;

	if (in[0] == '\r')
		return;
	for (n = 0; n < strlen(in); n++)
		ck_assert_int_eq(
		    http_parse(guard_put(&g, in, n), n, &r, &status), -2);
	guard_free(&g);
}
END_TEST

START_TEST(zero_byte)
{
	static const char in[] = "GET /a HTTP/1.1\r\n" H "A: \0\r\n\r\n";
	struct http_req r;
	int status;

	ck_assert_int_eq(http_parse(in, sizeof(in) - 1, &r, &status), -1);
	ck_assert_int_eq(status, 400);
}
END_TEST

START_TEST(without_end)
{
	static char in[HTTP_MAXHEAD + 100];
	struct http_req r;
	int status;

	memset(in, 'x', sizeof(in));
	ck_assert_int_eq(http_parse(in, HTTP_MAXHEAD - 1, &r, &status), -2);
	ck_assert_int_eq(http_parse(in, HTTP_MAXHEAD, &r, &status), -1);
	ck_assert_int_eq(status, 431);
	ck_assert_int_eq(http_parse(in, sizeof(in), &r, &status), -1);
}
END_TEST

/*
 * Bodies in chunks.
 */

/* clang-format off */
static const struct {
	const char *what, *in;
	int status;	  /* 0: taken, but for what is behind the body */
	const char *body; /* what is behind it is '!' */
} chunked[] = {
	{ "none", "0\r\n\r\n!", 0, "" },
	{ "one", "3\r\nabc\r\n0\r\n\r\n!", 0, "abc" },
	{ "two", "3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n!", 0,
	    "abc0123456789" },
	{ "hex", "A\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789" },
	{ "extension", "1;a=\"b\"\r\nx\r\n0;c\r\n\r\n", 0, "x" },
	{ "trailers", "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n!", 0, "x" },
	{ "largest size", "10000;\r\n", 0, "" },
	{ "no size", "\r\n", 400 },
	{ "no hex", "g\r\n", 400 },
	{ "a sign", "+1\r\n", 400 },
	{ "a blank", "1 \r\n", 400 },
	{ "bare line feed", "1\nx", 400 },
	{ "no end of data", "1\r\nxy", 400 },
	{ "bare line feed of data", "1\r\nx\n", 400 },
	{ "control character", "1;\1\r\n", 400 },
	{ "bad end", "0\r\n\rx", 400 },
	{ "too large", "10001\r\n", 413 },
	{ "too large together", "10000\r\n", 0, "" },
	{ "size without end", "000000000", 400 },
};
/* clang-format on */

/* Given in pieces of that size, which end at a guard page. */
static void
take_chunks(size_t piece, int i)
{
	const char *in = chunked[i].in, *data;
	size_t at = 0, len = strlen(in), n, have = 0;
	struct guard g = guard_new(64);
	struct http_chunks k = { 0 };
	char body[64];
	int taken, status = 0;

	while (at < len && !k.done) {
		n = len - at < piece ? len - at : piece;
		taken = http_chunks_take(
		    &k, guard_put(&g, in + at, n), n, &data, &n, &status);
		if (taken == -1)
			break;
		ck_assert_int_gt(taken, 0);
		memcpy(body + have, data, n);
		have += n;
		at += (size_t)taken;
	}
	guard_free(&g);
	ck_assert_msg(
	    status == chunked[i].status, "%s: %d", chunked[i].what, status);
	if (status != 0)
		return;
	ck_assert_uint_eq(have, strlen(chunked[i].body));
	ck_assert_mem_eq(body, chunked[i].body, have);
	if (in[len - 1] == '!')
		ck_assert_uint_eq(at, len - 1);
}

START_TEST(chunks)
{
	size_t piece;

	for (piece = 1; piece <= strlen(chunked[_i].in); piece++)
		take_chunks(piece, _i);
}
END_TEST

START_TEST(chunks_limits)
{
	static char in[20000];
	struct http_chunks k = { .state = CHUNKS_TRAILER };
	const char *data;
	int status;
	size_t n;

	memset(in, 'x', sizeof(in));
	ck_assert_int_eq(
	    http_chunks_take(&k, in, sizeof(in), &data, &n, &status), -1);
	ck_assert_int_eq(status, 413);
	/* All chunks together. */
	k = (struct http_chunks){ .total = HTTP_MAXBODY - 1 };
	ck_assert_int_eq(
	    http_chunks_take(&k, "2\r\n", 3, &data, &n, &status), -1);
	ck_assert_int_eq(status, 413);
}
END_TEST

START_TEST(reply)
{
	char buf[HTTP_REPLY_HEAD];
	size_t n;

	n = http_reply(buf, sizeof(buf), 200, NULL, NULL, 0, true);
	ck_assert_uint_eq(n, strlen(buf));
	ck_assert_str_eq(buf, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	http_reply(buf, sizeof(buf), 431, "application/json", NULL, 12, false);
	ck_assert_str_eq(buf,
	    "HTTP/1.1 431 Request Header Fields Too Large\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: 12\r\nConnection: close\r\n\r\n");
	http_reply(buf, sizeof(buf), 405, NULL, "GET, HEAD", 0, true);
	ck_assert_str_eq(buf,
	    "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"
	    "Content-Length: 0\r\n\r\n");
	/* Never past the end. */
	for (n = 1; n < 60; n++)
		ck_assert_uint_lt(
		    http_reply(buf, n, 405, "a/b", "GET", 7, false), n);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("http");

	tcase_add_loop_test(tc, parse, 0, nitems(cases));
	tcase_add_loop_test(tc, prefixes, 0, nitems(cases));
	tcase_add_test(tc, zero_byte);
	tcase_add_test(tc, without_end);
	tcase_add_loop_test(tc, chunks, 0, nitems(chunked));
	tcase_add_test(tc, chunks_limits);
	tcase_add_test(tc, reply);
	return check_case("http", tc);
}
