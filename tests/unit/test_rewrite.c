/*
 * Requests and responses as they leave: target, Host, credentials, and the
 * fields of one connection.
 */

#include <string.h>

#include "proxyd/rewrite.h"
#include "tests/check_main.h"

static struct head head;
static char out[REWRITE_MAX];

static void
parse(const char *in, enum head_kind kind)
{
	struct head_scan s = { 0 };
	const char *why = NULL;
	ssize_t n = head_scan(&s, in, strlen(in), &why);

	ck_assert_int_eq(n, (int)strlen(in));
	ck_assert_int_eq(head_parse(in, (size_t)n, kind, &head, &why), 0);
}

/* clang-format off */
static const struct {
	const char *what, *in;
	bool via, keep_auth;
	const char *auth, *want;
} rows[] = {
	{ "to a proxy", "GET /a?b HTTP/1.1\r\nHost: x.example\r\n\r\n",
	    true, false, "",
	    "GET http://x.example:80/a?b HTTP/1.1\r\nHost: x.example\r\n\r\n" },
	{ "to a server", "GET /a HTTP/1.1\r\nA: b\r\nHOST: x.example:80\r\n"
	    "C: d\r\n\r\n", false, false, "dTpw",
	    "GET /a HTTP/1.1\r\nA: b\r\nHost: x.example\r\nC: d\r\n\r\n" },
	{ "absolute to a proxy",
	    "GET http://x.example/ HTTP/1.1\r\nHost: other\r\n\r\n",
	    true, false, "",
	    "GET http://x.example/ HTTP/1.1\r\nHost: x.example\r\n\r\n" },
	{ "absolute to a server",
	    "GET http://x.example:81?q HTTP/1.0\r\n\r\n", false, false, "",
	    "GET /?q HTTP/1.0\r\nHost: x.example:81\r\n\r\n" },
	{ "credentials", "GET / HTTP/1.1\r\nHost: x.example\r\n"
	    "Proxy-Authorization: Basic Zm9v\r\nAuthorization: B\r\n\r\n",
	    true, false, "dTpw",
	    "GET http://x.example:80/ HTTP/1.1\r\nHost: x.example\r\n"
	    "Authorization: B\r\nProxy-Authorization: Basic dTpw\r\n\r\n" },
	{ "the guest's own", "GET http://x.example/ HTTP/1.1\r\n"
	    "Host: x.example\r\nProxy-Authorization: Basic Zm9v\r\n\r\n",
	    true, true, "",
	    "GET http://x.example/ HTTP/1.1\r\nHost: x.example\r\n"
	    "Proxy-Authorization: Basic Zm9v\r\n\r\n" },
	{ "never to a server", "GET / HTTP/1.1\r\nHost: x.example\r\n"
	    "Proxy-Authorization: Basic Zm9v\r\n\r\n", false, false, "dTpw",
	    "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n" },
	{ "fields of the connection", "GET / HTTP/1.1\r\nHost: x.example\r\n"
	    "Connection: X-Mine, Host\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n"
	    "Proxy-Connection: a\r\nTE: trailers\r\nX-Other: 2\r\n\r\n",
	    false, false, "",
	    "GET / HTTP/1.1\r\nHost: x.example\r\nX-Other: 2\r\n"
	    "TE: trailers\r\nConnection: TE\r\n\r\n" },
	{ "upgrade", "GET / HTTP/1.1\r\nHost: x.example\r\n"
	    "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	    false, false, "",
	    "GET / HTTP/1.1\r\nHost: x.example\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\n\r\n" },
	{ "CONNECT", "CONNECT x.example:443 HTTP/1.1\r\n"
	    "Host: y\r\n\r\n", true, false, "dTpw",
	    "CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\n"
	    "Proxy-Authorization: Basic dTpw\r\n\r\n" },
	{ "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x.example\r\n\r\n",
	    true, false, "", "OPTIONS http://x.example:80 HTTP/1.1\r\n"
	    "Host: x.example\r\n\r\n" },
};

static const struct {
	const char *what, *in;
} bad[] = {
	{ "a path without a slash", "GET a HTTP/1.1\r\n\r\n" },
	{ "another scheme", "GET ftp://a/ HTTP/1.1\r\n\r\n" },
	{ "a user in the URI", "GET http://u@a/ HTTP/1.1\r\n\r\n" },
	{ "no host", "GET http:///a HTTP/1.1\r\n\r\n" },
	{ "a fragment", "GET /a#b HTTP/1.1\r\n\r\n" },
	{ "port 0", "GET http://a:0/ HTTP/1.1\r\n\r\n" },
	{ "port too high", "GET http://a:65536/ HTTP/1.1\r\n\r\n" },
	{ "port of letters", "GET http://a:x/ HTTP/1.1\r\n\r\n" },
	{ "half a bracket", "GET http://[::1/ HTTP/1.1\r\n\r\n" },
	{ "brackets around IPv4", "GET http://[1.2.3.4]/ HTTP/1.1\r\n\r\n" },
	{ "CONNECT without a port", "CONNECT a HTTP/1.1\r\n\r\n" },
	{ "CONNECT with a body",
	    "CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n" },
	{ "CONNECT with a path", "CONNECT a:1/b HTTP/1.1\r\n\r\n" },
	{ "GET *", "GET * HTTP/1.1\r\n\r\n" },
};
/* clang-format on */

START_TEST(requests)
{
	struct wr w = wr_init(out, sizeof(out));
	struct authority host;
	struct target t;
	const char *why;
	struct rewrite rw = { .head = &head, .target = &t, .host = &host };

	parse(rows[_i].in, HEAD_REQUEST);
	ck_assert_int_eq(target_parse(&head, &t, &why), 0);
	host = t.authority;
	if (host.host[0] == '\0')
		ck_assert_int_eq(authority_parse(head.host->value, &host), 0);
	rw.via = rows[_i].via;
	rw.keep_auth = rows[_i].keep_auth;
	rw.auth = rows[_i].auth;
	rw.upgrade = head.upgrade;
	ck_assert_int_eq(rewrite_request(&w, &rw), 0);
	out[w.len] = '\0';
	ck_assert_str_eq(out, rows[_i].want);
	/* Whatever the room, no more than that is written. */
	for (w.cap = 0; w.cap < strlen(rows[_i].want); w.cap++) {
		w.len = 0;
		ck_assert_int_eq(rewrite_request(&w, &rw), -1);
		ck_assert_uint_le(w.len, w.cap);
	}
}
END_TEST

START_TEST(bad_targets)
{
	const char *why = NULL;
	struct target t;

	parse(bad[_i].in, HEAD_REQUEST);
	ck_assert_msg(target_parse(&head, &t, &why) == -1, "%s", bad[_i].what);
	ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(responses)
{
	struct wr w = wr_init(out, sizeof(out));

	parse("HTTP/1.0 200 All is well\r\nConnection: keep-alive, X\r\n"
	      "X: 1\r\nServer: y\r\nKeep-Alive: 5\r\n\r\n",
	    HEAD_RESPONSE);
	ck_assert_int_eq(rewrite_response(&w, &head, true, false), 0);
	out[w.len] = '\0';
	ck_assert_str_eq(out, "HTTP/1.1 200 All is well\r\nServer: y\r\n"
			      "Connection: close\r\n\r\n");
}
END_TEST

START_TEST(pages)
{
	struct wr w = wr_init(out, sizeof(out));

	ck_assert_int_eq(rewrite_error(&w, 403, "No <b> & c", false), 0);
	out[w.len] = '\0';
	ck_assert_ptr_nonnull(strstr(out, "HTTP/1.1 403 No <b> & c\r\n"));
	ck_assert_ptr_nonnull(strstr(out, "<h1>No &lt;b&gt; &amp; c</h1>"));
	w.len = 0;
	ck_assert_int_eq(rewrite_error(&w, 503, "x", true), 0);
	ck_assert(memcmp(out + w.len - 4, "\r\n\r\n", 4) == 0);
}
END_TEST

START_TEST(connect)
{
	struct authority a = { .host = "fd00::1", .v6 = true, .port = 443 };
	struct wr w = wr_init(out, sizeof(out));

	ck_assert_int_eq(rewrite_connect(&w, &a, "dTpw"), 0);
	out[w.len] = '\0';
	ck_assert_str_eq(out,
	    "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n"
	    "Proxy-Authorization: Basic dTpw\r\n\r\n");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("rewrite");

	tcase_add_loop_test(tc, requests, 0, nitems(rows));
	tcase_add_loop_test(tc, bad_targets, 0, nitems(bad));
	tcase_add_test(tc, responses);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, connect);
	return check_case("rewrite", tc);
}
