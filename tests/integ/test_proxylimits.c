/*
 * proxyd's limits and times, with short ones told to it, and the ends of
 * connections.
 */

#include "tests/integ/proxylab.h"

#include <sys/resource.h>

#define ASK_A                                                                  \
	"GET http://one.example:80/a HTTP/1.1\r\nHost: one.example\r\n\r\n"
#define BIG (8 << 20)
#define CONNECT_IP                                                             \
	"CONNECT " ORIGIN ":443 HTTP/1.1\r\nHost: " ORIGIN ":443\r\n\r\n"
#define CONNECT                                                                \
	"CONNECT one.example:99 HTTP/1.1\r\nHost: one.example:99\r\n\r\n"

#define NO_ANSWER "HTTP/1.1 503 no answer in time from " ORIGIN ":99. "

/*
 * Times.
 */

START_TEST(head_time)
{
	static const struct settings s = { .http = PROXYAT,
		.head_ms = SHORT_MS };
	int fd;

	conf(&s);
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET /a HTTP/1.1\r\nHo");
	ck_assert(begins(rest(fd), "HTTP/1.1 408 the request took too long"));
	ck_assert_uint_eq(counter("timeout-head"), 1);
	/* The second request's head, too. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	puts_to(fd, "G");
	ck_assert(begins(rest(fd), "HTTP/1.1 408 "));
	ck_assert_uint_eq(counter("timeout-head"), 2);
}
END_TEST

START_TEST(idle_time)
{
	static const struct settings s = { .http = PROXYAT,
		.idle_ms = SHORT_MS };
	int fd;

	conf(&s);
	want_end(guest(ORIGIN, 80)); /* says nothing at all */
	ck_assert_uint_eq(counter("timeout-idle"), 1);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	puts_to(server(0), OK_2);
	want_last(fd, OK_2);
	ck_assert_uint_eq(counter("timeout-idle"), 2);
	/* No answer. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want_end(fd);
	/* A tunnel. */
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	puts_to(server(t.nup), "HTTP/1.1 200 OK\r\n\r\n");
	want_last(fd, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_uint_eq(counter("timeout-idle"), 4);
}
END_TEST

/* A name, a socket, a connection: none of them takes longer. */
START_TEST(connect_time)
{
	static const struct settings direct = { .connect_ms = SHORT_MS };
	int fd;

	conf(&direct);
	t.dns_silent = true;
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(
	    rest(fd), "HTTP/1.1 503 no address in time: one.example\r\n"));
	t.dns_silent = false;
	t.portd = IGNORE;
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(rest(fd), NO_ANSWER));
	t.portd = GIVE_FULL;
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(rest(fd), NO_ANSWER));
	ck_assert_uint_eq(counter("timeout-connect"), 3);
	UNTIL(counter("connections") == 0);
}
END_TEST

/* Nor does a proxy that was asked for a tunnel. */
START_TEST(connect_answer_time)
{
	static const struct settings s = {
		.https = PROXYAT, .connect_ms = SHORT_MS, .hello_ms = SHORT_MS
	};
	int fd;

	conf(&s);
	fd = guest(ORIGIN, 443);
	puts_to(fd, "this is no TLS");
	want(server(0), CONNECT_IP);
	want_end(fd);
	ck_assert_uint_eq(counter("timeout-connect"), 1);
	ck_assert(logged("the proxy " PROXYAT " did not answer CONNECT " ORIGIN
			 ":443 in time"));
	UNTIL(counter("connections") == 0);
}
END_TEST

/* Who speaks second on an intercepted port gets there all the same. */
START_TEST(hello_time)
{
	static const struct settings s = { .https = PROXYAT,
		.hello_ms = SHORT_MS };
	int fd;

	conf(&s);
	fd = guest(ORIGIN, 443);
	want(server(0), CONNECT_IP);
	puts_to(server(0), "HTTP/1.1 200 OK\r\n\r\n220 hello");
	want(fd, "220 hello");
}
END_TEST

START_TEST(errors)
{
	static const struct settings direct = { .http = NULL };
	int fd;

	conf(&direct);
	t.dns_addr = NULL;
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(
	    rest(fd), "HTTP/1.1 503 Failed to lookup host: one.example\r\n"));
	t.dns_addr = ORIGIN;
	t.portd = GIVE_DEAD;
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(rest(fd), "HTTP/1.1 503 unable to connect to " ORIGIN
				   ":99. Do you need an HTTP proxy?\r\n"));
	t.portd = REFUSE;
	t.error = "EACCES";
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	ck_assert(begins(rest(fd), "HTTP/1.1 403 "));
	conf(&usual);
	t.error = "ECONNREFUSED";
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	ck_assert(begins(rest(fd),
	    "HTTP/1.1 503 unable to connect to HTTP proxy " PROXYAT ":3128"
	    "\r\n"));
	ck_assert_uint_eq(counter("lookup-failed"), 1);
	ck_assert_uint_eq(counter("connect-failed"), 2);
	ck_assert_uint_eq(counter("refused-policy"), 1);
}
END_TEST

/*
 * Limits.
 */

START_TEST(head_size)
{
	static char head[40000];
	int fd = guest(ORIGIN, 80);
	size_t i, n;

	memset(head, 'x', sizeof(head));
	n = (size_t)sprintf(
	    head, "GET /a HTTP/1.1\r\nHost: one.example\r\nA: ");
	head[n] = 'x';
	put(fd, head, 32768);
	taken(fd);
	ck_assert_uint_eq(counter("refused-head-too-long"), 0);
	put(fd, "x", 1);
	ck_assert(begins(rest(fd), "HTTP/1.1 431 "));
	ck_assert_uint_eq(counter("refused-head-too-long"), 1);
	/* As many fields as may be, and one more. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET /a HTTP/1.1\r\nHost: one.example\r\n");
	for (i = 0; i < 127; i++)
		puts_to(fd, "A: b\r\n");
	puts_to(fd, "\r\n");
	want(server(0),
	    "GET http://one.example:80/a HTTP/1.1\r\nHost: one.example\r\n");
	for (i = 0; i < 127; i++)
		want(server(0), "A: b\r\n");
	want(server(0), "\r\n");
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	fd = guest(ORIGIN, 80);
	puts_to(fd, "GET /a HTTP/1.1\r\nHost: one.example\r\n");
	for (i = 0; i < 128; i++)
		puts_to(fd, "A: b\r\n");
	puts_to(fd, "\r\n");
	ck_assert(begins(rest(fd), "HTTP/1.1 431 "));
	ck_assert_uint_eq(counter("refused-too-many-fields"), 1);
	/* A response's are the server's fault. */
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	n = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\nA: ");
	head[n] = 'x';
	put(server(0), head, 32769);
	ck_assert(begins(rest(fd), "HTTP/1.1 502 "));
	ck_assert_uint_eq(counter("refused-response"), 1);
}
END_TEST

START_TEST(trailers_size)
{
	static char trailers[20000];
	int fd = guest(ORIGIN, 80);

	puts_to(fd, "POST /a HTTP/1.1\r\nHost: one.example\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n0\r\nA: ");
	memset(trailers, 'x', sizeof(trailers));
	put(fd, trailers, sizeof(trailers));
	ck_assert(begins(rest(fd), "HTTP/1.1 400 "));
	ck_assert_uint_eq(counter("refused-body"), 1);
}
END_TEST

/* One exchange, after which both connections are kept. */
static void
ask_once(int fd, size_t up)
{
	puts_to(fd, GET_A);
	want(server(up), ASK_A);
	puts_to(server(up), OK_2);
	want(fd, OK_2);
}

/* The numbers follow from 164 descriptors. */
START_TEST(connections)
{
	int fd[64];
	size_t i;

	for (i = 0; i < 30; i++)
		fd[i] = guest(ORIGIN, 80);
	want_end(guest(ORIGIN, 80));
	ck_assert_uint_eq(counter("refused-vm-limit"), 1);
	for (; i < 40; i++)
		fd[i] = guest_of(2, ORIGIN, 80);
	want_end(guest_of(2, ORIGIN, 80));
	want_end(guest_of(3, ORIGIN, 80));
	ck_assert_uint_eq(counter("refused-limit"), 2);
	ck_assert_uint_eq(counter("connections"), 40);
	/* All are served, and one that goes makes room. */
	for (i = 0; i < 40; i++)
		ask_once(fd[i], i == 0 ? 0 : i < 30 ? 0 : 1);
	close(fd[0]);
	UNTIL(counter("connections") == 39);
	fd[0] = guest(ORIGIN, 80);
	ask_once(fd[0], 0);
}
END_TEST

START_TEST(idle_upstreams)
{
	int fd[25];
	size_t i;

	for (i = 0; i < nitems(fd); i++) {
		fd[i] = guest(ORIGIN, 80);
		puts_to(fd[i], GET_A);
		want(server(i), ASK_A);
	}
	for (i = 0; i < nitems(fd); i++) {
		puts_to(server(i), OK_2);
		want(fd[i], OK_2);
	}
	UNTIL(counter("idle-upstream-limit") == 5);
	/* The oldest ones are gone. */
	for (i = 0; i < 5; i++)
		want_end(server(i));
	ck_assert(nothing_to_read(server(5)));
}
END_TEST

static bool
hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* Addresses that do not answer cost no more sockets than idle ones may. */
START_TEST(silent_crowd)
{
	static const struct settings plain = { .http = NULL };
	int fd[30];
	size_t i, ended = 0;

	conf(&plain);
	t.dns_addr = "198.51.100.1 198.51.100.2";
	t.portd = GIVE_FULL;
	for (i = 0; i < nitems(fd); i++) {
		fd[i] = guest(GATEWAY, 3128);
		puts_to(fd[i], "GET http://one.example/a HTTP/1.1\r\n"
			       "Host: one.example\r\n\r\n");
	}
	UNTIL(t.lookups6 == nitems(fd)); /* nothing else is left */
	ck_assert_uint_eq(t.nup, 2 * nitems(fd));
	for (i = 0; i < t.nup; i++)
		ended += hung_up(t.up[i].fd);
	ck_assert_uint_eq(ended, 10);
	for (i = 0; i < t.nup; i++) {
		if (strcmp(t.up[i].addr, "198.51.100.2") != 0)
			continue;
		answer(i);
		want(server(i), GET_A);
		puts_to(server(i), OK_2);
	}
	for (i = 0; i < nitems(fd); i++)
		want(fd[i], OK_2);
	/* Those that answered are idle now, as many as may be. */
	UNTIL(counter("idle-upstream-limit") == 10);
}
END_TEST

/*
 * A thousand clients: all at once, twice, and as many connections outward,
 * which the second time are those of the first.
 */
START_TEST(thousand)
{
	static int fd[1000];
	size_t i, turns;

	for (i = 0; i < nitems(fd); i++)
		fd[i] = guest(ORIGIN, 80);
	for (turns = 0; turns < 2; turns++) {
		for (i = 0; i < nitems(fd); i++)
			puts_to(fd[i], GET_A);
		/* One that was answered would be used for the next. */
		for (i = 0; i < nitems(fd); i++)
			want(server(i), ASK_A);
		for (i = 0; i < nitems(fd); i++)
			puts_to(server(i), OK_2);
		for (i = 0; i < nitems(fd); i++)
			want(fd[i], OK_2);
	}
	ck_assert_uint_eq(t.nup, nitems(fd));
	ck_assert_uint_eq(counter("upstream-reused"), nitems(fd));
	ck_assert_uint_eq(counter("idle-upstream-limit"), 0);
	ck_assert_uint_eq(counter("connections"), nitems(fd));
}
END_TEST

/*
 * Backpressure.
 */

static uint8_t
byte_of(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

/*
 * Writes BIG bytes at one end while the other does not read: only what the
 * kernel and one block hold is taken.  Then all arrives, as it was.
 */
static void
pressure_of(const uint8_t *out, int from, int to)
{
	static uint8_t in[65536];
	size_t n, sent = 0, have = 0, quiet = 0;
	ssize_t w;

	while (quiet < 20 && sent < BIG) {
		w = send(from, out + sent, BIG - sent, MSG_NOSIGNAL);
		if (w > 0) {
			sent += (size_t)w;
			quiet = 0;
			continue;
		}
		ck_assert_int_eq(errno, EAGAIN);
		turn(from, POLLOUT);
		quiet++;
	}
	ck_assert_uint_lt(sent, BIG / 4);
	while (have < BIG) {
		if (sent < BIG &&
		    (w = send(from, out + sent, BIG - sent, MSG_NOSIGNAL)) > 0)
			sent += (size_t)w;
		n = BIG - have < sizeof(in) ? BIG - have : sizeof(in);
		w = recv(to, in, n, 0);
		if (w == -1) {
			ck_assert_int_eq(errno, EAGAIN);
			turn(to, POLLIN);
			continue;
		}
		ck_assert_int_gt(w, 0);
		ck_assert_mem_eq(in, out + have, (size_t)w);
		have += (size_t)w;
	}
}

static void
pressure(int from, int to)
{
	static uint8_t out[BIG];
	size_t i;

	for (i = 0; i < BIG; i++)
		out[i] = byte_of(i);
	pressure_of(out, from, to);
}

START_TEST(backpressure)
{
	char head[128];
	int fd = guest(ORIGIN, 80);

	/* A response, an upload, and a tunnel each way. */
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
	puts_to(server(0), head);
	want(fd, head);
	pressure(server(0), fd);
	snprintf(head, sizeof(head),
	    "POST /a HTTP/1.1\r\nHost: one.example\r\nContent-Length: "
	    "%d\r\n\r\n",
	    BIG);
	puts_to(fd, head);
	snprintf(head, sizeof(head),
	    "POST http://one.example:80/a HTTP/1.1\r\nHost: one.example\r\n"
	    "Content-Length: %d\r\n\r\n",
	    BIG);
	want(server(0), head);
	pressure(fd, server(0));
	puts_to(server(0), OK_2);
	want(fd, OK_2);
	puts_to(fd, CONNECT);
	want(server(0), CONNECT);
	puts_to(server(0), "HTTP/1.1 200 OK\r\n\r\n");
	want(fd, "HTTP/1.1 200 OK\r\n\r\n");
	pressure(server(0), fd);
	pressure(fd, server(0));
	ck_assert_uint_eq(t.nup, 1);
}
END_TEST

/* One VM's names leave room for those of others, and wait for each other. */
START_TEST(names)
{
	static const struct settings plain = { .http = NULL };
	int fd[300], other;
	size_t i;

	conf(&plain);
	t.dns_silent = true;
	for (i = 0; i < nitems(fd); i++) {
		fd[i] = guest(GATEWAY, 3128);
		puts_to(fd[i], "GET http://slow.example/ HTTP/1.1\r\n"
			       "Host: slow.example\r\n\r\n");
		UNTIL(counter("requests") == i + 1); /* in this order */
	}
	UNTIL(t.lookups == 256);
	t.dns_silent = false;
	other = guest_of(2, GATEWAY, 3128);
	puts_to(other, "GET http://quick.example/ HTTP/1.1\r\n"
		       "Host: quick.example\r\n\r\n");
	want(server(0), "GET / HTTP/1.1\r\nHost: quick.example\r\n\r\n");
	ck_assert_uint_eq(t.lookups, 256 + 1);
	/* One that waits goes, and then one that was asked. */
	close(fd[299]);
	UNTIL(counter("connections") == nitems(fd));
	ck_assert_uint_eq(t.lookups, 256 + 1);
	close(fd[0]);
	want(server(1), "GET / HTTP/1.1\r\nHost: slow.example\r\n\r\n");
	/* Each answer makes room for the next. */
	UNTIL(t.nup == 1 + 43);
	ck_assert_uint_eq(t.lookups, 256 + 1 + 43);
}
END_TEST

#define INTERIM	   "HTTP/1.1 102 Processing\r\nA: "
#define INTERIMLEN 16384 /* of one, as they are below */

/* Nor are interim responses kept for a guest that does not read. */
START_TEST(interims)
{
	static uint8_t out[BIG];
	int fd = guest(ORIGIN, 80);
	size_t i;

	memset(out, 'x', sizeof(out));
	for (i = 0; i < BIG; i += INTERIMLEN) {
		memcpy(out + i, INTERIM, strlen(INTERIM));
		memcpy(out + i + INTERIMLEN - 4, "\r\n\r\n", 4);
	}
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	pressure_of(out, server(0), fd);
	puts_to(server(0), OK_2);
	want(fd, OK_2);
}
END_TEST

/* They are no way to keep us busy for ever. */
START_TEST(endless_interims)
{
	static const char one[] = "HTTP/1.1 102 Processing\r\n\r\n";
	static char many[1001 * (sizeof(one) - 1)];
	int fd = guest(ORIGIN, 80);
	size_t i;

	for (i = 0; i < sizeof(many); i += sizeof(one) - 1)
		memcpy(many + i, one, sizeof(one) - 1);
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	put(server(0), many, sizeof(many));
	ck_assert(strstr(rest(fd), "\r\n\r\nHTTP/1.1 502 ") != NULL);
	ck_assert_uint_eq(counter("refused-response"), 1);
	want_end(server(0));
	/* To a CONNECT of our own. */
	fd = guest(ORIGIN, 443);
	puts_to(fd, "no TLS");
	want(server(1), CONNECT_IP);
	put(server(1), many, sizeof(many));
	want_end(fd);
	ck_assert_uint_eq(counter("proxy-refused-connect"), 1);
}
END_TEST

/*
 * Ends.
 */

START_TEST(half_close)
{
	int fd = guest(GATEWAY, 3128);

	puts_to(fd, CONNECT "early");
	want(server(0), CONNECT);
	puts_to(server(0), "HTTP/1.1 200 OK\r\n\r\n");
	want(fd, "HTTP/1.1 200 OK\r\n\r\n");
	want(server(0), "early");
	puts_to(fd, "last");
	(void)shutdown(fd, SHUT_WR);
	want(server(0), "last");
	ck_assert_uint_eq(get(server(0), (char[1]){ 0 }, 1), 0);
	puts_to(server(0), "and more");
	want(fd, "and more");
	close(server(0));
	want_end(fd);
	UNTIL(counter("connections") == 0);
	/* The other way round. */
	fd = guest(GATEWAY, 3128);
	puts_to(fd, CONNECT);
	puts_to(server(1), "HTTP/1.1 200 OK\r\n\r\n");
	want(fd, "HTTP/1.1 200 OK\r\n\r\n");
	(void)shutdown(server(1), SHUT_WR);
	ck_assert_uint_eq(get(fd, (char[1]){ 0 }, 1), 0);
	puts_to(fd, "and more");
	want(server(1), CONNECT "and more");
	close(fd);
	UNTIL(counter("connections") == 0);
}
END_TEST

/*
 * A guest's end is seen whenever it comes; what is there still arrives, and
 * nothing of the connection is left.
 */
START_TEST(early_end)
{
	int fd = guest(ORIGIN, 80);

	/* While the body of its last response is on its way. */
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	puts_to(server(0), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	want(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	(void)shutdown(fd, SHUT_WR);
	turn(fd, POLLHUP);
	puts_to(server(0), "cd");
	want_last(fd, "cd");
	UNTIL(counter("connections") == 0);
	/* While a proxy is asked for a tunnel. */
	fd = guest(ORIGIN, 443);
	puts_to(fd, "no TLS");
	want(server(1), CONNECT_IP);
	puts_to(fd, "more");
	close(fd);
	puts_to(server(1), "HTTP/1.1 200 OK\r\n\r\n");
	want_last(server(1), "no TLSmore");
	UNTIL(counter("connections") == 0);
	/* While nobody has answered. */
	t.portd = IGNORE;
	fd = guest(ORIGIN, 80);
	puts_to(fd, "POST /a HTTP/1.1\r\nHost: one.example\r\n"
		    "Content-Length: 0\r\n\r\n");
	UNTIL(t.asked == 3);
	close(fd);
	UNTIL(counter("connections") == 0);
}
END_TEST

/* A proxy that ends in the middle of its answer. */
START_TEST(proxy_ends)
{
	int fd = guest(ORIGIN, 443);

	puts_to(fd, "no TLS");
	want(server(0), CONNECT_IP);
	puts_to(server(0), "HTTP/1.1 200 OK\r\nA:");
	close(server(0));
	want_end(fd);
	ck_assert_uint_eq(counter("refused-response"), 1);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	puts_to(server(1), "HTTP/1.1 200 OK\r\nA:");
	want(server(1), ASK_A);
	close(server(1));
	ck_assert(begins(rest(fd), "HTTP/1.1 502 "));
}
END_TEST

/* A server that answers before it has read: the answer is not lost. */
START_TEST(early_answer)
{
	static const char no[] =
	    "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
	static char body[65536];
	int fd = guest(ORIGIN, 80);
	ssize_t w;

	puts_to(fd, "POST /a HTTP/1.1\r\nHost: one.example\r\n"
		    "Content-Length: 100000000\r\n\r\n");
	puts_to(server(0), no);
	(void)shutdown(server(0), SHUT_WR);
	for (patience();; still_patient()) {
		w = send(fd, body, sizeof(body), MSG_NOSIGNAL);
		if (!nothing_to_read(fd))
			break;
		if (w == -1)
			turn(fd, POLLIN);
	}
	want(fd, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
		 "Connection: close\r\n\r\nno");
}
END_TEST

/*
 * A head without its body waits for that, but only for a moment, and not for
 * ever when bodies never come that soon; its server may go meanwhile, or its
 * guest.
 */
START_TEST(heads_alone)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
				   "\r\n";
	int fd = guest(ORIGIN, 80), i;

	for (i = 0; i < 100; i++) {
		puts_to(fd, GET_A);
		want(server(0), ASK_A);
		puts_to(t.up[0].fd, head);
		if (i % 2 == 0)
			want(fd, head);
		puts_to(t.up[0].fd, "ok");
		want(fd, i % 2 == 0 ? "ok" : OK_2);
	}
	puts_to(fd, GET_A);
	want(server(0), ASK_A);
	puts_to(t.up[0].fd, head);
	close(t.up[0].fd);
	want_last(fd, head);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(1), ASK_A);
	puts_to(t.up[1].fd, head);
	close(fd);
	want_end(t.up[1].fd);
	UNTIL(counter("connections") == 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { head_time, idle_time, connect_time,
		connect_answer_time, hello_time, errors, head_size,
		trailers_size, thousand, backpressure, names, interims,
		endless_interims, half_close, early_end, proxy_ends,
		early_answer, heads_alone };
	const TTest *const few[] = { connections, idle_upstreams,
		silent_crowd };
	const struct rlimit rl = { 164, 164 };
	bool small = argc > 2;

	/* Fewer descriptors, which both of us get by with. */
	if (small && setrlimit(RLIMIT_NOFILE, &rl) == -1)
		return 2;
	if (small)
		return proxylab_main(
		    argc, argv, "proxylimits-few", few, nitems(few));
	(void)plat_nofile();
	return proxylab_main(argc, argv, "proxylimits", tests, nitems(tests));
}
