/*
 * HTTP heads: what is good, what is refused and why, and that it does not
 * matter in which pieces a head comes.
 */

#include <string.h>

#include "guard.h"
#include "proxyd/head.h"
#include "tests/check_main.h"

/* clang-format off */
static const struct {
	const char *what;
	enum head_kind kind;
	const char *in;
	enum framing framing;
	uint64_t length;
	size_t nfield;
} good[] = {
	{ "the least", HEAD_REQUEST, "GET / HTTP/1.1\r\n\r\n", FRAMING_NONE },
	{ "1.0", HEAD_REQUEST, "GET / HTTP/1.0\r\n\r\n", FRAMING_NONE },
	{ "Host", HEAD_REQUEST, "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n",
	    FRAMING_NONE, 0, 1 },
	{ "blanks around a value", HEAD_REQUEST,
	    "GET / HTTP/1.1\r\nA:\t b \t\r\nC:\r\n\r\n", FRAMING_NONE, 0, 2 },
	{ "length", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n",
	    FRAMING_LENGTH, 12, 1 },
	{ "longest length", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\ncontent-length:999999999999999999\r\n\r\n",
	    FRAMING_LENGTH, 999999999999999999, 1 },
	{ "chunked", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
	    FRAMING_CHUNKED, 0, 1 },
	{ "bytes above ASCII in a value", HEAD_REQUEST,
	    "GET / HTTP/1.1\r\nA: \xc3\xa9\r\n\r\n", FRAMING_NONE, 0, 1 },
	{ "response", HEAD_RESPONSE, "HTTP/1.1 200 OK\r\n\r\n", FRAMING_EOF },
	{ "no reason", HEAD_RESPONSE, "HTTP/1.1 200\r\n\r\n", FRAMING_EOF },
	{ "empty reason", HEAD_RESPONSE, "HTTP/1.0 404 \r\nContent-Length: 0"
	    "\r\n\r\n", FRAMING_LENGTH, 0, 1 },
};

static const struct {
	const char *what;
	enum head_kind kind;
	const char *in;
	size_t len; /* 0: a string */
} bad[] = {
	{ "bare LF", HEAD_REQUEST, "GET / HTTP/1.1\nHost: x\n\n" },
	{ "bare CR", HEAD_REQUEST, "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n" },
	{ "NUL", HEAD_REQUEST, "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27 },
	{ "DEL", HEAD_REQUEST, "GET / HTTP/1.1\r\nA: b\177c\r\n\r\n" },
	{ "folded line", HEAD_REQUEST, "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n" },
	{ "folded by a tab", HEAD_REQUEST,
	    "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n" },
	{ "blank before colon", HEAD_REQUEST,
	    "GET / HTTP/1.1\r\nContent-Length : 1\r\n\r\n" },
	{ "no colon", HEAD_REQUEST, "GET / HTTP/1.1\r\nabc\r\n\r\n" },
	{ "no name", HEAD_REQUEST, "GET / HTTP/1.1\r\n: b\r\n\r\n" },
	{ "two Hosts", HEAD_REQUEST,
	    "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n" },
	{ "two lengths", HEAD_REQUEST, "POST / HTTP/1.1\r\n"
	    "Content-Length: 1\r\nContent-Length: 1\r\n\r\n" },
	{ "list of lengths", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n" },
	{ "length with sign", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n" },
	{ "negative length", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n" },
	{ "hexadecimal length", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n" },
	{ "empty length", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n" },
	{ "length that overflows", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n" },
	{ "length and chunked", HEAD_REQUEST, "POST / HTTP/1.1\r\n"
	    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ "another coding", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n" },
	{ "two codings", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" },
	{ "chunked twice", HEAD_REQUEST, "POST / HTTP/1.1\r\n"
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n" },
	{ "a coding like chunked", HEAD_REQUEST,
	    "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n" },
	{ "chunked in 1.0", HEAD_REQUEST,
	    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ "no target", HEAD_REQUEST, "GET HTTP/1.1\r\n\r\n" },
	{ "head", HEAD_REQUEST, "head / HTTP/1.1\r\n\r\n" },
	{ "two blanks", HEAD_REQUEST, "GET  / HTTP/1.1\r\n\r\n" },
	{ "blank in the target", HEAD_REQUEST, "GET /a b HTTP/1.1\r\n\r\n" },
	{ "tab in the target", HEAD_REQUEST, "GET /a\tb HTTP/1.1\r\n\r\n" },
	{ "method with a colon", HEAD_REQUEST, "GE:T / HTTP/1.1\r\n\r\n" },
	{ "HTTP/2", HEAD_REQUEST, "PRI * HTTP/2.0\r\n\r\n" },
	{ "no version", HEAD_REQUEST, "GET /\r\n\r\n" },
	{ "small http", HEAD_REQUEST, "GET / http/1.1\r\n\r\n" },
	{ "blank behind the version", HEAD_REQUEST, "GET / HTTP/1.1 \r\n\r\n" },
	{ "status of two digits", HEAD_RESPONSE, "HTTP/1.1 20 OK\r\n\r\n" },
	{ "status of four", HEAD_RESPONSE, "HTTP/1.1 2000 OK\r\n\r\n" },
	{ "status too high", HEAD_RESPONSE, "HTTP/1.1 600 OK\r\n\r\n" },
	{ "no status", HEAD_RESPONSE, "HTTP/1.1\r\n\r\n" },
};
/* clang-format on */

static int
parse(const void *p, size_t len, enum head_kind kind, struct head *h)
{
	struct head_scan s = { 0 };
	const char *why = NULL;
	ssize_t n = head_scan(&s, p, len, &why);

	if (n == -2)
		return -2;
	if (n == -1 || head_parse(p, (size_t)n, kind, h, &why) == -1) {
		ck_assert_ptr_nonnull(why);
		return -1;
	}
	return (int)n;
}

START_TEST(good_heads)
{
	size_t len = strlen(good[_i].in), i;
	struct guard g = guard_new(len);
	static struct head h;

	ck_assert_int_eq(
	    parse(guard_put(&g, good[_i].in, len), len, good[_i].kind, &h),
	    (int)len);
	ck_assert_msg(h.framing == good[_i].framing &&
			  h.length == good[_i].length &&
			  h.nfield == good[_i].nfield,
	    "%s", good[_i].what);
	for (i = 0; i < len; i++)
		ck_assert_int_eq(
		    parse(guard_put(&g, good[_i].in, i), i, good[_i].kind, &h),
		    -2);
	guard_free(&g);
}
END_TEST

/* In two pieces, cut anywhere, and byte by byte: the scan goes on. */
START_TEST(every_split)
{
	const char *in = good[_i].in, *why;
	size_t len = strlen(in), cut;
	struct head_scan s;

	for (cut = 0; cut <= len; cut++) {
		memset(&s, 0, sizeof(s));
		if (cut < len)
			ck_assert_int_eq(head_scan(&s, in, cut, &why), -2);
		ck_assert_int_eq(head_scan(&s, in, len, &why), (int)len);
	}
	memset(&s, 0, sizeof(s));
	for (cut = 0; cut < len; cut++)
		ck_assert_int_eq(head_scan(&s, in, cut, &why), -2);
	ck_assert_int_eq(head_scan(&s, in, len, &why), (int)len);
}
END_TEST

START_TEST(bad_heads)
{
	size_t len = bad[_i].len != 0 ? bad[_i].len : strlen(bad[_i].in), i;
	struct guard g = guard_new(len);
	static struct head h;

	ck_assert_msg(
	    parse(guard_put(&g, bad[_i].in, len), len, bad[_i].kind, &h) == -1,
	    "%s", bad[_i].what);
	for (i = 0; i < len; i++)
		ck_assert_int_lt(
		    parse(guard_put(&g, bad[_i].in, i), i, bad[_i].kind, &h),
		    0);
	guard_free(&g);
}
END_TEST

START_TEST(limits)
{
	static char buf[HEAD_MAX + 64];
	static struct head h;
	struct head_scan s = { 0 };
	const char *why = NULL;
	size_t n, i;

	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "GET / HTTP/1.1\r\n", 16);
	ck_assert_int_eq(head_scan(&s, buf, HEAD_MAX, &why), -2);
	ck_assert_int_eq(head_scan(&s, buf, HEAD_MAX + 1, &why), -1);
	for (i = 0, n = 16; i <= HEAD_MAXFIELDS; i++, n += 6) {
		memcpy(buf + n, "a: b\r\n\r\n", 8);
		ck_assert_int_eq(parse(buf, n + 8, HEAD_REQUEST, &h),
		    i < HEAD_MAXFIELDS ? (int)n + 8 : -1);
	}
}
END_TEST

START_TEST(connection)
{
	static const char in[] = "GET / HTTP/1.1\r\nConnection: Keep-Alive ,"
				 "Upgrade\r\nconnection: x,CLOSE\r\n\r\n";
	static struct head h;

	ck_assert_int_gt(parse(in, sizeof(in) - 1, HEAD_REQUEST, &h), 0);
	ck_assert(h.close && h.keep_alive && h.upgrade);
	ck_assert_ptr_eq(head_find(&h, NAME_CONNECTION), &h.field[0]);
	ck_assert_ptr_null(head_find(&h, NAME_HOST));
	ck_assert(span_has(h.field[1].value, "X"));
	ck_assert(!span_has(h.field[1].value, "los"));
}
END_TEST

START_TEST(response_bodies)
{
	static const struct {
		unsigned status;
		const char *method;
		enum framing want;
	} rows[] = {
		{ 200, "GET", FRAMING_LENGTH },
		{ 200, "HEAD", FRAMING_NONE },
		{ 204, "GET", FRAMING_NONE },
		{ 304, "GET", FRAMING_NONE },
		{ 100, "POST", FRAMING_NONE },
		{ 404, "GET", FRAMING_LENGTH },
	};
	struct head h = { .framing = FRAMING_LENGTH, .length = 5 };
	size_t i;

	for (i = 0; i < nitems(rows); i++) {
		struct span m = { rows[i].method, strlen(rows[i].method) };

		h.status = rows[i].status;
		ck_assert_int_eq(head_response_framing(&h, m), rows[i].want);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("head");

	tcase_add_loop_test(tc, good_heads, 0, nitems(good));
	tcase_add_loop_test(tc, every_split, 0, nitems(good));
	tcase_add_loop_test(tc, bad_heads, 0, nitems(bad));
	tcase_add_test(tc, limits);
	tcase_add_test(tc, connection);
	tcase_add_test(tc, response_bodies);
	return check_case("head", tc);
}
