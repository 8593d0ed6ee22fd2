/*
 * What proxyd passes on, and how, and what it refuses: byte for byte.
 */

#include "tests/integ/proxylab.h"

#define H	"Host: one.example\r\n"
#define ASK	"GET http://one.example:80/a HTTP/1.1\r\n" H "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define BODY	"POST /p HTTP/1.1\r\n" H CHUNKED "\r\n"
#define NUL	"\1" /* stands for a zero byte in the tables */

static const struct settings plain = { .http = NULL };

/*
 * Refused.
 */

/* clang-format off */
static const struct {
	const char *what, *in, *status;
} refused[] = {
	{ "two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
	    "Content-Length: 2\r\n\r\nx", "400" },
	{ "one length twice", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
	    "Content-Length: 1\r\n\r\nx", "400" },
	{ "a list of lengths", "POST / HTTP/1.1\r\n" H
	    "Content-Length: 1, 1\r\n\r\nx", "400" },
	{ "a length with a sign", "POST / HTTP/1.1\r\n" H
	    "Content-Length: +1\r\n\r\nx", "400" },
	{ "a negative length", "POST / HTTP/1.1\r\n" H
	    "Content-Length: -1\r\n\r\nx", "400" },
	{ "a length in hex", "POST / HTTP/1.1\r\n" H
	    "Content-Length: 0x1\r\n\r\nx", "400" },
	{ "an empty length", "POST / HTTP/1.1\r\n" H
	    "Content-Length:\r\n\r\n", "400" },
	{ "a length beyond 2^64", "POST / HTTP/1.1\r\n" H
	    "Content-Length: 18446744073709551617\r\n\r\nx", "400" },
	{ "length and chunks", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n"
	    CHUNKED "\r\n0\r\n\r\n", "400" },
	{ "chunks and length", "POST / HTTP/1.1\r\n" H CHUNKED
	    "Content-Length: 5\r\n\r\n0\r\n\r\n", "400" },
	{ "chunked twice", "POST / HTTP/1.1\r\n" H CHUNKED CHUNKED
	    "\r\n0\r\n\r\n", "400" },
	{ "chunked, identity", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400" },
	{ "gzip, chunked", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400" },
	{ "another coding", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400" },
	{ "a quoted coding", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400" },
	{ "vertical tab before a coding", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", "400" },
	{ "chunks in HTTP/1.0", "POST / HTTP/1.0\r\n" H CHUNKED
	    "\r\n0\r\n\r\n", "400" },
	{ "blank before the colon", "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400" },
	{ "a folded line", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", "400" },
	{ "a folded first line", "GET / HTTP/1.1\r\n " H "\r\n", "400" },
	{ "a tab that folds", "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n",
	    "400" },
	{ "bare LF", "GET / HTTP/1.1\nHost: a\n\n", "400" },
	{ "bare LF in a field", "GET / HTTP/1.1\r\n" H "A: b\nC: d\r\n\r\n",
	    "400" },
	{ "bare CR in a field", "GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n",
	    "400" },
	{ "bare CR at the end", "GET / HTTP/1.1\r\n" H "\r\r\n", "400" },
	{ "NUL in a value", "GET / HTTP/1.1\r\n" H "A: b" NUL "c\r\n\r\n",
	    "400" },
	{ "NUL in a name", "GET / HTTP/1.1\r\n" H "A" NUL ": b\r\n\r\n",
	    "400" },
	{ "NUL in the target", "GET /" NUL " HTTP/1.1\r\n" H "\r\n", "400" },
	{ "DEL in a value", "GET / HTTP/1.1\r\n" H "A: \177\r\n\r\n", "400" },
	{ "two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", "400" },
	{ "a Host with a comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
	    "400" },
	{ "a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400" },
	{ "a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400" },
	{ "a Host of two words", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
	    "400" },
	{ "a port that is none", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "400" },
	{ "a port out of range", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
	    "400" },
	{ "a field without a name", "GET / HTTP/1.1\r\n" H ": b\r\n\r\n",
	    "400" },
	{ "a field without a colon", "GET / HTTP/1.1\r\n" H "A\r\n\r\n",
	    "400" },
	{ "no version", "GET /\r\n\r\n", "400" },
	{ "HTTP/2", "GET / HTTP/2.0\r\n" H "\r\n", "400" },
	{ "HTTP/1.10", "GET / HTTP/1.10\r\n" H "\r\n", "400" },
	{ "http/1.1", "GET / http/1.1\r\n" H "\r\n", "400" },
	{ "two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", "400" },
	{ "a tab", "GET\t/ HTTP/1.1\r\n" H "\r\n", "400" },
	{ "a blank at the end", "GET / HTTP/1.1 \r\n" H "\r\n", "400" },
	{ "a blank first", " GET / HTTP/1.1\r\n" H "\r\n", "400" },
	{ "no method", "/ HTTP/1.1\r\n" H "\r\n", "400" },
	{ "a fragment", "GET /#a HTTP/1.1\r\n" H "\r\n", "400" },
	{ "another scheme", "GET https://a/ HTTP/1.1\r\n" H "\r\n", "400" },
	{ "a user in the target", "GET http://a@b/ HTTP/1.1\r\n" H "\r\n",
	    "400" },
	{ "a relative target", "GET a HTTP/1.1\r\n" H "\r\n", "400" },
	{ "* of another method", "GET * HTTP/1.1\r\n" H "\r\n", "400" },
	{ "CONNECT without a port", "CONNECT a HTTP/1.1\r\n" H "\r\n", "400" },
	{ "CONNECT with a path", "CONNECT a:80/ HTTP/1.1\r\n" H "\r\n", "400" },
	{ "CONNECT with a length", "CONNECT a:80 HTTP/1.1\r\n" H
	    "Content-Length: 33\r\n\r\nGET http://b/ HTTP/1.1\r\n"
	    "Host: b\r\n\r\n", "400" },
	{ "CONNECT with chunks", "CONNECT a:80 HTTP/1.1\r\n" H CHUNKED
	    "\r\n0\r\n\r\n", "400" },
	{ "head", "head / HTTP/1.1\r\n" H "\r\n", "400" },
	{ "Connect", "Connect a:80 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "TLS", "\26\3\3\2\5", "400" },
};

/* Bodies, whose heads have left already. */
static const struct {
	const char *what, *in;
} bodies[] = {
	{ "no size", "\r\n" }, { "no hex", "g\r\n" }, { "0x", "0x1\r\n" },
	{ "a sign", "-1\r\n" }, { "a plus", "+1\r\n" }, { "a blank", "1 \r\n" },
	{ "a blank first", " 1\r\n" }, { "bare LF", "1\nx" },
	{ "a size beyond 2^60", "1000000000000000\r\n" },
	{ "no end of data", "1\r\nxx" }, { "LF behind data", "1\r\nx\n" },
	{ "CR in an extension", "1;a\rb\r\n" }, { "NUL", "1;" NUL "\r\n" },
	{ "a folded trailer", "0\r\nA: b\r\n c\r\n\r\n" },
	{ "a trailer without a colon", "0\r\nA\r\n\r\n" },
	{ "a blank before its colon", "0\r\nA : b\r\n\r\n" },
	{ "bare LF in a trailer", "0\r\nA: b\n\r\n" },
};
/* clang-format on */

/* With its zero bytes. */
static void
put_table(int fd, const char *in)
{
	char buf[4096];
	size_t i, n = strlen(in);

	for (i = 0; i < n; i++)
		buf[i] = in[i] == NUL[0] ? '\0' : in[i];
	put(fd, buf, n);
}

static void
check_refused(const char *what, const char *got, const char *status)
{
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
	ck_assert_msg(begins(got, line), "%s: %s", what, got);
	ck_assert_msg(
	    strstr(got, "\r\nConnection: close\r\n") != NULL, "%s", what);
}

/* Each of them, asked of each kind of proxy, is counted and goes nowhere. */
START_TEST(shapes)
{
	uint64_t before;
	size_t i;
	int fd;

	for (i = 0; i < 2 * nitems(refused); i++) {
		before = counter("refused-request");
		fd = i % 2 == 0 ? guest(ORIGIN, 80) : guest(GATEWAY, 3128);
		put_table(fd, refused[i / 2].in);
		(void)shutdown(fd, SHUT_WR);
		check_refused(
		    refused[i / 2].what, rest(fd), refused[i / 2].status);
		ck_assert_uint_eq(counter("refused-request"), before + 1);
	}
	ck_assert_uint_eq(t.asked, 0);
	ck_assert_uint_eq(t.lookups, 0);
	UNTIL(counter("connections") == 0);
}
END_TEST

START_TEST(shapes_of_bodies)
{
	uint64_t before;
	size_t i;
	int fd;

	for (i = 0; i < nitems(bodies); i++) {
		before = counter("refused-body");
		fd = guest(ORIGIN, 80);
		puts_to(fd, BODY);
		want(server(i),
		    "POST http://one.example:80/p HTTP/1.1\r\n" H CHUNKED
		    "\r\n");
		put_table(fd, bodies[i].in);
		check_refused(bodies[i].what, rest(fd), "400");
		ck_assert_uint_eq(counter("refused-body"), before + 1);
		/* What is not whole is not used again. */
		(void)rest(server(i));
	}
	UNTIL(counter("connections") == 0);
}
END_TEST

/*
 * Responses.
 */

/* clang-format off */
static const char *const wrong[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" CHUNKED "\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
	"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
	"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 099 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
	"ICY 200 OK\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "x\r\n\r\n",
};
/* clang-format on */

START_TEST(responses)
{
	uint64_t before;
	size_t i;
	int fd;

	for (i = 0; i < nitems(wrong); i++) {
		before = counter("refused-response");
		fd = guest(ORIGIN, 80);
		puts_to(fd, GET_A);
		want(server(i), ASK);
		puts_to(server(i), wrong[i]);
		check_refused(wrong[i], rest(fd), "502");
		ck_assert_uint_eq(counter("refused-response"), before + 1);
		want_end(server(i));
	}
}
END_TEST

/* What a server adds is nobody's answer. */
START_TEST(response_too_many)
{
	int fd = guest(ORIGIN, 80), other;

	puts_to(fd, GET_A);
	want(server(0), ASK);
	puts_to(server(0),
	    OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!");
	want(fd, OK_2);
	other = guest(ORIGIN, 80);
	puts_to(other, GET_A);
	want(server(1), ASK);
	puts_to(server(1), OK_2);
	want(other, OK_2);
	puts_to(fd, GET_A);
	want(server(1), ASK);
	/* Said before it was asked. */
	puts_to(server(1), OK_2);
	want(fd, OK_2);
	puts_to(server(1), OK_2);
	UNTIL(!nothing_to_read(server(1)));
	want_end(server(1));
	puts_to(fd, GET_A);
	want(server(2), ASK);
}
END_TEST

/* A body that ends early must not look whole. */
START_TEST(response_cut)
{
	static const char *const cut[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
		"HTTP/1.1 200 OK\r\n" CHUNKED "\r\n5\r\nab",
		"HTTP/1.1 200 OK\r\n" CHUNKED "\r\n2\r\nab\r\n",
	};
	size_t i;
	int fd;

	for (i = 0; i < nitems(cut); i++) {
		fd = guest(ORIGIN, 80);
		puts_to(fd, GET_A);
		want(server(i), ASK);
		puts_to(server(i), cut[i]);
		want(fd, cut[i]);
		close(server(i));
		want_end(fd);
	}
}
END_TEST

/*
 * Passed on.
 */

/* clang-format off */
static const struct {
	const char *what, *in, *out, *back, *got;
} passed[] = {
	{ "GET", GET_A, ASK, OK_2, OK_2 },
	{ "trailers both ways",
	    "POST /p HTTP/1.1\r\n" H CHUNKED "TE: trailers, deflate\r\n"
	    "Trailer: A\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
	    "POST http://one.example:80/p HTTP/1.1\r\n" H CHUNKED "Trailer: A"
	    "\r\nTE: trailers\r\nConnection: TE\r\n\r\n3;x=y\r\nabc\r\n0\r\n"
	    "A: b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n" CHUNKED "Trailer: C\r\n\r\n1\r\nx\r\n0\r\n"
	    "C: d\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n" CHUNKED "Trailer: C\r\n\r\n1\r\nx\r\n0\r\n"
	    "C: d\r\n\r\n" },
	{ "HEAD", "HEAD /a HTTP/1.1\r\n" H "\r\n",
	    "HEAD http://one.example:80/a HTTP/1.1\r\n" H "\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" },
	{ "304", GET_A, ASK,
	    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
	    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" },
	{ "204", GET_A, ASK, "HTTP/1.1 204 No Content\r\n\r\n",
	    "HTTP/1.1 204 No Content\r\n\r\n" },
	{ "interim responses", GET_A, ASK,
	    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
	    "Link: a\r\n\r\n" OK_2,
	    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
	    "Link: a\r\n\r\n" OK_2 },
	{ "fields of one connection only",
	    "GET /a HTTP/1.1\r\nConnection: x-mine, keep-alive\r\n" H
	    "X-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n"
	    "Upgrade: h2c\r\nX-Test: Yes\r\n\r\n",
	    "GET http://one.example:80/a HTTP/1.1\r\n" H "X-Test: Yes\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nConnection: x-theirs\r\nX-Theirs: 1\r\n"
	    "Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok", OK_2 },
	{ "an upgrade of the proxy",
	    "GET /a HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\n"
	    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	    ASK, OK_2, OK_2 },
	{ "one of two upgrades is the proxy's",
	    "GET /a HTTP/1.1\r\n" H "Connection: Upgrade\r\n"
	    "Upgrade: websocket\r\nUpgrade: TLS/1.0\r\n\r\n",
	    ASK, OK_2, OK_2 },
	{ "an empty line first", "\r\n" GET_A, ASK, OK_2, OK_2 },
	{ "Host and target agree",
	    "GET http://two.example:8080/b?c HTTP/1.1\r\n" H "\r\n",
	    "GET http://two.example:8080/b?c HTTP/1.1\r\n"
	    "Host: two.example:8080\r\n\r\n", OK_2, OK_2 },
	{ "credentials for the server stay, for the proxy go",
	    "GET /a HTTP/1.1\r\n" H "Authorization: Bearer x\r\n"
	    "Proxy-Authorization: Basic Zm9vOmJhcg==\r\n\r\n",
	    "GET http://one.example:80/a HTTP/1.1\r\n" H
	    "Authorization: Bearer x\r\n\r\n", OK_2, OK_2 },
};
/* clang-format on */

/* One exchange on a connection that is there; the server's end or -1. */
static void
exchange(int fd, int up, size_t i)
{
	puts_to(fd, passed[i].in);
	want(up == -1 ? server(0) : up, passed[i].out);
	puts_to(up == -1 ? server(0) : up, passed[i].back);
	want(fd, passed[i].got);
}

START_TEST(passing)
{
	int fd = guest(ORIGIN, 80);
	size_t i;

	for (i = 0; i < nitems(passed); i++)
		exchange(fd, -1, i);
	/* All of them over one connection. */
	ck_assert_uint_eq(t.nup, 1);
	ck_assert(t.up[0].via);
	ck_assert_str_eq(t.up[0].addr, PROXYAT);
	ck_assert_uint_eq(counter("upstream-reused"), nitems(passed) - 1);
}
END_TEST

/* Wherever a request and its response are cut, the same comes out. */
START_TEST(splits)
{
	int fd = guest(ORIGIN, 80);
	size_t i, n;

	exchange(fd, -1, 0);
	for (i = 0; i < nitems(passed); i++) {
		for (n = 1; n < strlen(passed[i].in); n++) {
			put(fd, passed[i].in, n);
			taken(fd);
			puts_to(fd, passed[i].in + n);
			want(server(0), passed[i].out);
			puts_to(server(0), passed[i].back);
			want(fd, passed[i].got);
		}
		for (n = 1; n < strlen(passed[i].back); n++) {
			puts_to(fd, passed[i].in);
			want(server(0), passed[i].out);
			put(server(0), passed[i].back, n);
			taken(server(0));
			puts_to(server(0), passed[i].back + n);
			want(fd, passed[i].got);
		}
	}
	ck_assert_uint_eq(t.nup, 1);
}
END_TEST

START_TEST(pipeline)
{
	static const char two[] = "GET /b HTTP/1.1\r\n" H "\r\n";
	int fd = guest(ORIGIN, 80);

	puts_to(fd, GET_A);
	puts_to(fd, two);
	puts_to(fd, "POST /c HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
	want(server(0), ASK);
	puts_to(server(0), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
	want(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
	/* The next one waits until this one has its answer. */
	ck_assert(nothing_to_read(server(0)));
	puts_to(server(0), "1");
	want(fd, "1");
	want(server(0), "GET http://one.example:80/b HTTP/1.1\r\n" H "\r\n");
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	want(server(0), "POST http://one.example:80/c HTTP/1.1\r\n" H
			"Content-Length: 3\r\n\r\nabc");
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	ck_assert_uint_eq(t.nup, 1);
}
END_TEST

START_TEST(old_clients)
{
	int fd = guest(ORIGIN, 80);

	puts_to(fd, "GET /a HTTP/1.0\r\n\r\n");
	want(server(0), "GET http://" ORIGIN ":80/a HTTP/1.0\r\nHost: " ORIGIN
			"\r\nConnection: close\r\n\r\n");
	/* HTTP/1.0 knows no interim responses. */
	puts_to(server(0), "HTTP/1.1 100 Continue\r\n\r\n" OK_2);
	want_last(fd,
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close"
	    "\r\n\r\nok");
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	puts_to(server(1), OK_2);
	want(fd,
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive"
	    "\r\n\r\nok");
	puts_to(fd, "GET /a HTTP/1.0\r\n\r\n");
	/* Until the end, whatever is said. */
	puts_to(server(2), "HTTP/1.0 200 OK\r\n\r\nuntil the end");
	close(server(2));
	want_last(
	    fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
}
END_TEST

START_TEST(upgrade)
{
	int fd = guest(ORIGIN, 80);

	puts_to(fd, "GET /ws HTTP/1.1\r\n" H "Upgrade: websocket\r\n"
		    "Connection: Upgrade\r\n\r\n");
	want(server(0), "GET http://one.example:80/ws HTTP/1.1\r\n" H
			"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
	puts_to(server(0),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\n\r\nfirst");
	want(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\n\r\nfirst");
	/* From here on it is not HTTP. */
	puts_to(fd, "\r\n\1\2GET");
	want(server(0), "\r\n\1\2GET");
	close(fd);
	want_end(server(0));
}
END_TEST

/*
 * Ways.
 */

START_TEST(ways)
{
	static const struct settings six = { .http = PROXYAT,
		.exclude = "2001:db8::/32" };
	int fd;

	conf(&plain);
	fd = guest(GATEWAY, 3128);
	puts_to(fd, "GET http://one.example/a HTTP/1.1\r\nHost: x\r\n\r\n");
	want(server(0), "GET /a HTTP/1.1\r\n" H "\r\n");
	ck_assert(!t.up[0].via);
	ck_assert_str_eq(t.up[0].addr, ORIGIN);
	ck_assert_str_eq(t.name, "one.example");
	/* An address of IPv6 is matched, and asked for. */
	conf(&six);
	fd = guest(GATEWAY, 3128);
	puts_to(fd, "GET http://[2001:DB8::1]:81/ HTTP/1.1\r\nHost: x\r\n\r\n");
	want(server(1), "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:81\r\n\r\n");
	ck_assert(!t.up[1].via);
	ck_assert_str_eq(t.up[1].addr, "2001:db8::1");
	ck_assert_uint_eq(t.up[1].port, 81);
	fd = guest(GATEWAY, 3128);
	puts_to(fd, "GET http://[2001:db9::1]/ HTTP/1.1\r\nHost: x\r\n\r\n");
	want(server(2), "GET http://[2001:db9::1]/ HTTP/1.1\r\nHost: "
			"[2001:db9::1]\r\n\r\n");
	ck_assert(t.up[2].via);
}
END_TEST

/* Credentials go to the proxy and to nobody else, and no log has them. */
START_TEST(credentials)
{
	static const struct settings auth = { .http = PROXYAT,
		.https = PROXYAT,
		.auth = "c2VjcmV0OnNlY3JldA==",
		.exclude = "two.example" };
	int fd;

	conf(&auth);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(0),
	    "GET http://one.example:80/a HTTP/1.1\r\n" H
	    "Proxy-Authorization: Basic c2VjcmV0OnNlY3JldA==\r\n\r\n");
	puts_to(server(0),
	    "HTTP/1.1 407 Proxy Authentication Required\r\n"
	    "Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
	(void)get(fd, (char[20]){ 0 }, 20);
	/* A proxy may show what it was asked. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, "TRACE /a HTTP/1.1\r\n" H "Max-Forwards: 0\r\n\r\n");
	want(server(0), "TRACE http://one.example:80/a HTTP/1.1\r\n" H
			"Max-Forwards: 0\r\n\r\n");
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	/* Excluded: the same connection of the guest, and no credentials. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET /b HTTP/1.1\r\nHost: two.example\r\n"
		    "Proxy-Authorization: Basic x\r\n\r\n");
	want(server(1), "GET /b HTTP/1.1\r\nHost: two.example\r\n\r\n");
	puts_to(server(1), OK_2);
	want(fd, OK_2);
	ck_assert(!t.up[1].via);
	/* Other settings: no connection of before is used. */
	conf(&usual);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(2), ASK);
	puts_to(server(2), OK_2);
	want(fd, OK_2);
	ck_assert(logged("does not accept our credentials"));
	ck_assert(!logged("c2Vjc"));
}
END_TEST

/* A connection that is somebody's is nobody else's. */
START_TEST(pinned)
{
	static const char *const says[] = { "NTLM",
		"Negotiate abc=", "Basic realm=x, Negotiate",
		"basic realm=\"a, b\" ,  ntlm" };
	char answer[256];
	size_t i;
	int a, b;

	for (i = 0; i < nitems(says); i++) {
		a = guest(ORIGIN, 80);
		b = guest(ORIGIN, 80);
		puts_to(a, GET_A);
		want(server(2 * i), ASK);
		snprintf(answer, sizeof(answer),
		    "HTTP/1.1 401 No\r\nWWW-Authenticate: %s\r\n"
		    "Content-Length: 0\r\n\r\n",
		    says[i]);
		puts_to(server(2 * i), answer);
		want(a, answer);
		puts_to(b, GET_A);
		want(server(2 * i + 1), ASK);
		puts_to(a, GET_A);
		want(server(2 * i), ASK);
		puts_to(server(2 * i), OK_2);
		want(a, OK_2);
		puts_to(server(2 * i + 1), OK_2);
		want(b, OK_2);
		close(a);
		close(b);
		close(server(2 * i));
		close(server(2 * i + 1));
		UNTIL(counter("connections") == 0);
	}
}
END_TEST

/* Another VM's connections, and another origin's, are not used. */
START_TEST(reuse)
{
	int a, b;
	size_t i;

	conf(&plain);
	a = guest(GATEWAY, 3128);
	b = guest_of(2, GATEWAY, 3128);
	for (i = 0; i < 2; i++) {
		puts_to(a, "GET http://one.example/a HTTP/1.1\r\n" H "\r\n");
		want(server(0), "GET /a HTTP/1.1\r\n" H "\r\n");
		puts_to(server(0), OK_2);
		want(a, OK_2);
	}
	puts_to(a, "GET http://two.example/a HTTP/1.1\r\n" H "\r\n");
	want(server(1), "GET /a HTTP/1.1\r\nHost: two.example\r\n\r\n");
	puts_to(server(1), OK_2);
	want(a, OK_2);
	puts_to(b, "GET http://one.example/a HTTP/1.1\r\n" H "\r\n");
	want(server(2), "GET /a HTTP/1.1\r\n" H "\r\n");
	puts_to(server(2), OK_2);
	want(b, OK_2);
	ck_assert_uint_eq(t.nup, 3);
}
END_TEST

/* An idle connection that ends as it is used again: once more, if safe. */
START_TEST(retry)
{
	int fd = guest(ORIGIN, 80);

	puts_to(fd, GET_A);
	want(server(0), ASK);
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	puts_to(fd, GET_A);
	want(server(0), ASK);
	close(server(0));
	want(server(1), ASK);
	puts_to(server(1), OK_2);
	want(fd, OK_2);
	ck_assert_uint_eq(counter("upstream-retried"), 1);
	puts_to(fd, "POST /p HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx");
	want(server(1), "POST http://one.example:80/p HTTP/1.1\r\n" H
			"Content-Length: 1\r\n\r\nx");
	close(server(1));
	want_end(fd);
	ck_assert_uint_eq(t.nup, 2);
}
END_TEST

/*
 * TLS.
 */

/* A ClientHello for tls.example in two records; its length. */
static size_t
client_hello(uint8_t *p)
{
	static const char name[] = "tls.example";
	size_t n = sizeof(name) - 1, ext = 9 + n, body = 41 + 2 + ext, cut = 30;
	uint8_t msg[256] = { 1, 0, 0, (uint8_t)body, 3, 3 };
	uint8_t *q = msg + 4 + 34;

	*q++ = 0; /* session */
	memcpy(q, "\0\2\23\1\1\0", 6);
	q += 6;
	*q++ = 0;
	*q++ = (uint8_t)ext;
	memcpy(q, "\0\0", 2);
	q[2] = 0;
	q[3] = (uint8_t)(n + 5);
	q[4] = 0;
	q[5] = (uint8_t)(n + 3);
	q[6] = 0;
	q[7] = 0;
	q[8] = (uint8_t)n;
	memcpy(q + 9, name, n);
	body += 4;
	memcpy(p, "\26\3\1\0", 4);
	p[4] = (uint8_t)cut;
	memcpy(p + 5, msg, cut);
	p += 5 + cut;
	memcpy(p, "\26\3\1\0", 4);
	p[4] = (uint8_t)(body - cut);
	memcpy(p + 5, msg + cut, body - cut);
	return 10 + body;
}

#define CONNECT                                                                \
	"CONNECT tls.example:443 HTTP/1.1\r\nHost: tls.example:443\r\n\r\n"

/* However it is cut, it is understood, and passed on as it was. */
START_TEST(hello_splits)
{
	uint8_t hello[512], got[512];
	size_t n, len = client_hello(hello);
	int fd;

	for (n = 0; n < len; n++) {
		fd = guest(ORIGIN, 443);
		put(fd, hello, n);
		taken(fd);
		put(fd, hello + n, len - n);
		want(server(n), CONNECT);
		puts_to(server(n),
		    "HTTP/1.0 200 Established\r\nA: b\r\n\r\nserver");
		ck_assert_uint_eq(get(server(n), got, len), len);
		ck_assert_mem_eq(got, hello, len);
		want(fd, "server");
		close(fd);
		want_end(server(n));
	}
}
END_TEST

START_TEST(hello_rules)
{
	static const struct settings exclude = { .https = PROXYAT,
		.exclude = "example" };
	static const struct settings allow = { .https = PROXYAT,
		.allow = "tls.example" };
	static const struct settings deny = { .https = PROXYAT,
		.allow = "other.example" };
	uint8_t hello[512], got[512];
	size_t len = client_hello(hello);
	int fd;

	conf(&exclude);
	fd = guest(ORIGIN, 443);
	put(fd, hello, len);
	ck_assert_uint_eq(get(server(0), got, len), len);
	ck_assert(!t.up[0].via);
	ck_assert_str_eq(t.up[0].addr, ORIGIN);
	ck_assert_uint_eq(t.lookups, 0);
	conf(&allow);
	fd = guest(ORIGIN, 443);
	put(fd, hello, len);
	want(server(1), CONNECT);
	puts_to(
	    server(1), "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	want_end(fd);
	ck_assert_uint_eq(counter("proxy-refused-connect"), 1);
	conf(&deny);
	fd = guest(ORIGIN, 443);
	put(fd, hello, len);
	want_end(fd);
	ck_assert_uint_eq(counter("refused-policy"), 1);
	ck_assert_uint_eq(t.nup, 2);
}
END_TEST

/*
 * An address that goes direct, and a name that is allowed: nothing but the
 * name is connected to, however quick the answers are.
 */
START_TEST(hello_allowed_direct)
{
	static const struct settings both = { .https = PROXYAT,
		.allow = "tls.example",
		.exclude = "203.0.113.0/24" };
	uint8_t hello[512], got[512];
	size_t len = client_hello(hello);
	int fd;

	conf(&both);
	fd = guest("203.0.113.5", 443);
	put(fd, hello, len);
	ck_assert_uint_eq(get(server(0), got, len), len);
	ck_assert_mem_eq(got, hello, len);
	ck_assert(!t.up[0].via);
	ck_assert_str_eq(t.up[0].addr, ORIGIN);
	ck_assert_str_eq(t.name, "tls.example");
	ck_assert_uint_eq(t.asked, 1);
}
END_TEST

/* A list of allowed names that is empty allows nothing, and is not no list. */
START_TEST(nothing_allowed)
{
	static const struct settings deny = { .http = PROXYAT, .allow = "" };
	char text[256];
	int fd;

	conf(&deny);
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n");
	text[get(fd, text, 35)] = '\0';
	ck_assert_str_eq(text, "HTTP/1.1 403 No one.example here.\r\n");
	ck_assert_uint_eq(counter("refused-policy"), 1);
	ck_assert_uint_eq(t.nup, 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { shapes, shapes_of_bodies, responses,
		response_too_many, response_cut, passing, splits, pipeline,
		old_clients, upgrade, ways, credentials, pinned, reuse, retry,
		hello_splits, hello_rules, hello_allowed_direct,
		nothing_allowed };

	return proxylab_main(argc, argv, "proxyd", tests, nitems(tests));
}
