/*
 * The PROXY protocol's header, byte for byte as its specification has it.
 */

#include <string.h>

#include "common/proxy2.h"
#include "tests/check_main.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

/* clang-format off */
static const struct {
	const char *what;
	const char *from;
	uint16_t fport;
	const char *to;
	uint16_t tport;
	const char *want;
	size_t len;
} cases[] = {
	{ "IPv4",	"192.0.2.1", 5555, "127.0.0.1", 80,
	  SIG "\x21\x11\0\x0c\xc0\0\2\1\x7f\0\0\1\x15\xb3\0\x50", 28 },
	{ "IPv6",	"2001:db8::1", 1, "::1", 65535,
	  SIG "\x21\x21\0\x24"
	  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\0\1\xff\xff", 52 },
	{ "one of each", "192.0.2.1", 1, "::1", 2,
	  SIG "\x21\x21\0\x24"
	  "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
	  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\0\1\0\2", 52 },
	{ "no client address", "0.0.0.0", 0, "0.0.0.0", 0,
	  SIG "\x20\0\0\0", 16 },
	{ "no local address", "192.0.2.1", 5, "0.0.0.0", 0,
	  SIG "\x20\0\0\0", 16 },
};
/* clang-format on */

START_TEST(header)
{
	uint8_t buf[PROXY2_MAX];
	struct ipaddr from, to;
	size_t n;

	ck_assert_int_eq(ipaddr_parse(cases[_i].from, &from), 0);
	ck_assert_int_eq(ipaddr_parse(cases[_i].to, &to), 0);
	n = proxy2_header(
	    buf, &from, cases[_i].fport, &to, cases[_i].tport);
	ck_assert_msg(n == cases[_i].len, "%s: %zu", cases[_i].what, n);
	ck_assert_msg(
	    memcmp(buf, cases[_i].want, n) == 0, "%s", cases[_i].what);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("proxy2");

	tcase_add_loop_test(
	    tc, header, 0, sizeof(cases) / sizeof(cases[0]));
	return check_case("proxy2", tc);
}
