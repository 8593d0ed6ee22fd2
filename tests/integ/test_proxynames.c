/*
 * proxyd and the addresses of names: IPv4 first, IPv6 when there is nothing
 * else, the next one when one is silent, and what a guest is told when there is
 * none, or none that answers.
 */

#include "tests/integ/proxylab.h"

#define SIX   "2001:db8::7"
#define HOLE  "198.51.100.1"
#define HOLE2 "198.51.100.2"
#define ASKS  "GET http://one.example/a HTTP/1.1\r\nHost: x\r\n\r\n"
#define ASKED "GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n"

#define NO_NAME "HTTP/1.1 503 Failed to lookup host: one.example\r\n"

static const struct settings plain = { 0 };

/* A request that goes straight to its server, as soon as it was sent. */
static int
ask(void)
{
	int fd;

	conf(&plain);
	fd = guest(GATEWAY, 3128);
	puts_to(fd, ASKS);
	return fd;
}

/* It is served from that address, by connection number n to the outside. */
static void
served_by(int fd, size_t n, const char *addr)
{
	want(server(n), ASKED);
	ck_assert_str_eq(t.up[n].addr, addr);
	ck_assert_uint_eq(t.up[n].port, 80);
	ck_assert(!t.up[n].via);
	puts_to(t.up[n].fd, OK_2);
	want(fd, OK_2);
}

static void
served(int fd, const char *addr)
{
	served_by(fd, 0, addr);
}

/* An attempt that was silent is given up. */
static void
given_up(size_t n)
{
	answer(n);
	want_end(t.up[n].fd);
}

/* The guest gets a page that begins so. */
static void
told(int fd, const char *line)
{
	const char *page = rest(fd);

	ck_assert_msg(begins(page, line), "%s", page);
}

START_TEST(v4_first)
{
	t.dns_addr6 = SIX;
	served(ask(), ORIGIN);
	ck_assert_uint_eq(t.lookups, 1);
}
END_TEST

START_TEST(only_v6)
{
	t.dns_addr = NULL;
	t.dns_addr6 = SIX;
	served(ask(), SIX);
	ck_assert_uint_eq(t.lookups, 2);
	ck_assert_uint_eq(t.lookups6, 1);
	ck_assert_uint_eq(counter("lookup-failed"), 0);
}
END_TEST

/* A proxy of the host's by such a name is one, too. */
START_TEST(only_v6_proxy)
{
	static const struct settings six = { .http = "proxy.example" };
	int fd;

	t.dns_addr = NULL;
	t.dns_addr6 = SIX;
	conf(&six);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(0), "GET http://one.example:80/a HTTP/1.1\r\n"
			"Host: one.example\r\n\r\n");
	ck_assert_str_eq(t.up[0].addr, SIX);
	ck_assert(t.up[0].via);
}
END_TEST

/* What portd refuses, and what it connects in vain, leads nowhere. */
START_TEST(v4_refused)
{
	t.dns_addr6 = SIX;
	t.refuse_v4 = true;
	t.error = "ENETUNREACH";
	served(ask(), SIX);
	ck_assert_uint_eq(t.lookups6, 1);
	ck_assert_uint_eq(t.asked, 2);
}
END_TEST

START_TEST(v4_dead)
{
	int fd;

	t.dns_addr6 = SIX;
	t.portd = GIVE_DEAD;
	fd = ask();
	told(fd,
	    "HTTP/1.1 503 unable to connect to " ORIGIN ":80, [" SIX "]:80. ");
	ck_assert_uint_eq(t.asked, 2);
	ck_assert_uint_eq(counter("connect-failed"), 1);
}
END_TEST

/* There was an address, and that is what the guest hears of. */
START_TEST(v4_dead_alone)
{
	int fd;

	t.portd = GIVE_DEAD;
	fd = ask();
	told(fd, "HTTP/1.1 503 unable to connect to " ORIGIN ":80. ");
	ck_assert_uint_eq(t.lookups6, 1);
	ck_assert_uint_eq(counter("connect-failed"), 1);
	ck_assert_uint_eq(counter("lookup-failed"), 0);
}
END_TEST

START_TEST(v6_forbidden)
{
	t.dns_addr = NULL;
	t.dns_addr6 = "::1";
	t.portd = REFUSE;
	t.error = "EACCES";
	told(ask(), "HTTP/1.1 403 [::1]:80 cannot be reached ");
	ck_assert_uint_eq(counter("refused-policy"), 1);
}
END_TEST

/* Who does not exist has no addresses of any kind. */
START_TEST(no_name)
{
	t.dns_addr = NULL;
	told(ask(), NO_NAME);
	ck_assert_uint_eq(t.lookups, 1);
	ck_assert_uint_eq(counter("lookup-failed"), 1);
}
END_TEST

/* An answer with addresses nobody asked for is one without. */
START_TEST(wrong_family)
{
	t.dns_addr = SIX;
	told(ask(), NO_NAME);
	ck_assert_uint_eq(t.asked, 0);
}
END_TEST

/*
 * Addresses that do not answer.
 */

START_TEST(silent_v4)
{
	int fd;

	t.dns_addr = HOLE " " ORIGIN;
	t.silent = HOLE;
	fd = ask();
	served_by(fd, 1, ORIGIN);
	given_up(0);
	ck_assert_uint_eq(t.lookups6, 0);
	ck_assert_uint_eq(counter("timeout-connect"), 0);
	/* The connection that is there is used again. */
	puts_to(fd, ASKS);
	served_by(fd, 1, ORIGIN);
	ck_assert_uint_eq(t.asked, 2);
}
END_TEST

START_TEST(silent_all_v4)
{
	t.dns_addr = HOLE " " HOLE2;
	t.dns_addr6 = SIX;
	t.silent = HOLE " " HOLE2;
	served_by(ask(), 2, SIX);
	given_up(0);
	given_up(1);
}
END_TEST

/* What is known to lead nowhere needs no waiting. */
START_TEST(silent_refused_silent)
{
	t.dns_addr = HOLE " " HOLE2 " " ORIGIN;
	t.silent = HOLE;
	t.dead = HOLE2;
	served_by(ask(), 1, ORIGIN);
	ck_assert_uint_eq(t.asked, 3);
}
END_TEST

/* For every request through it. */
START_TEST(silent_proxy)
{
	static const struct settings two = { .http = "proxy.example",
		.https = "proxy.example" };
	int fd;

	t.dns_addr = HOLE " " PROXYAT;
	t.silent = HOLE;
	conf(&two);
	fd = guest(ORIGIN, 80);
	puts_to(fd, GET_A);
	want(server(1), "GET http://one.example:80/a HTTP/1.1\r\n"
			"Host: one.example\r\n\r\n");
	ck_assert_str_eq(t.up[1].addr, PROXYAT);
	ck_assert(t.up[1].via);
	puts_to(guest(ORIGIN, 443), "this is no TLS");
	want(server(3), "CONNECT " ORIGIN ":443 HTTP/1.1\r\n");
	ck_assert_str_eq(t.up[3].addr, PROXYAT);
}
END_TEST

/* Who is only slow is not given up for others that are no better. */
START_TEST(slow)
{
	int fd;

	t.dns_addr = HOLE " " HOLE2;
	t.dns_addr6 = SIX;
	t.silent = HOLE " " HOLE2;
	t.dead = SIX;
	fd = ask();
	UNTIL(t.asked == 3);
	answer(0);
	served_by(fd, 0, HOLE);
	given_up(1);
	ck_assert_uint_eq(counter("connect-failed"), 0);
}
END_TEST

START_TEST(slow_alone)
{
	int fd;

	t.silent = ORIGIN;
	fd = ask();
	UNTIL(t.lookups6 == 1);
	answer(0);
	served(fd, ORIGIN);
}
END_TEST

/*
 * It answers while another address is asked for, of which no later request
 * hears.
 */
START_TEST(slow_while_resolving)
{
	uint64_t late;
	int fd;

	t.silent = ORIGIN;
	t.dns_silent6 = true;
	fd = ask();
	UNTIL(t.lookups6 == 1);
	late = t.dns_id;
	answer(0);
	served(fd, ORIGIN);
	t.silent = NULL;
	t.dns_silent = true;
	puts_to(fd, "GET http://two.example/ HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(t.lookups == 3);
	resolved(late, HOLE, "");
	resolved(t.dns_id, HOLE2, "");
	want(server(1), "GET / HTTP/1.1\r\nHost: two.example\r\n\r\n");
	ck_assert_str_eq(t.up[1].addr, HOLE2);
	ck_assert_uint_eq(t.asked, 2);
}
END_TEST

START_TEST(slow_while_opening)
{
	uint64_t late;
	int fd, stray;

	t.dns_addr = HOLE " " ORIGIN;
	t.silent = HOLE;
	t.ignored = ORIGIN;
	fd = ask();
	UNTIL(t.asked == 2);
	late = t.port_id;
	answer(0);
	served(fd, HOLE);
	t.ignored = HOLE2;
	puts_to(fd, "GET http://" HOLE2 "/ HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(t.asked == 3);
	stray = given(late);
	want(given(t.port_id), "GET / HTTP/1.1\r\nHost: " HOLE2 "\r\n\r\n");
	want_end(stray);
}
END_TEST

/* All of them have one time together, whose end names who was asked. */
START_TEST(silent_all)
{
	static const struct settings brief = { .connect_ms = 600 };
	int fd;

	t.dns_addr = HOLE " " HOLE2 " " ORIGIN " 198.51.100.8 198.51.100.9";
	t.dns_addr6 = SIX;
	t.portd = GIVE_FULL;
	conf(&brief);
	fd = guest(GATEWAY, 3128);
	puts_to(fd, ASKS);
	told(fd, "HTTP/1.1 503 no answer in time from " HOLE ":80");
	ck_assert_uint_le(t.asked, 3);
	ck_assert_uint_eq(counter("timeout-connect"), 1);
	ck_assert_uint_eq(counter("connect-failed"), 0);
	ck_assert(logged("no answer in time from " HOLE ":80"));
	UNTIL(counter("connections") == 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { v4_first, only_v6, only_v6_proxy,
		v4_refused, v4_dead, v4_dead_alone, v6_forbidden, no_name,
		wrong_family, silent_v4, silent_all_v4, silent_refused_silent,
		silent_proxy, slow, slow_alone, slow_while_resolving,
		slow_while_opening, silent_all };

	return proxylab_main(argc, argv, "proxynames", tests, nitems(tests));
}
