/*
 * proxyd and the addresses of names: IPv4 first, IPv6 when there is nothing
 * else, and what a guest is told when there is neither.
 */

#include "tests/integ/proxylab.h"

#define SIX   "2001:db8::7"
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

/* It is served from that address. */
static void
served(int fd, const char *addr)
{
	want(server(0), ASKED);
	ck_assert_str_eq(t.up[0].addr, addr);
	ck_assert_uint_eq(t.up[0].port, 80);
	ck_assert(!t.up[0].via);
	puts_to(t.up[0].fd, OK_2);
	want(fd, OK_2);
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
	told(fd, "HTTP/1.1 503 unable to connect to [" SIX "]:80. ");
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

int
main(int argc, char *argv[])
{
	const TTest *const tests[] = { v4_first, only_v6, only_v6_proxy,
		v4_refused, v4_dead, v4_dead_alone, v6_forbidden, no_name,
		wrong_family };

	return proxylab_main(argc, argv, "proxynames", tests, nitems(tests));
}
