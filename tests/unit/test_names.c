/*
 * dnsd's names and servers, as the configuration writes them.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnsd/names.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define L63	  "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

/* clang-format off */
static const struct {
	const char *what;
	const char *text;
	int ret;
	const char *wire;
	size_t len;
} names[] = {
	{ "one label",		"host",		0, "\4host", 6 },
	{ "two labels",		"host.internal", 0, "\4host\10internal", 15 },
	{ "dot at the end",	"host.",	0, "\4host", 6 },
	{ "capitals",		"HOST.Docker",	0, "\4host\6docker", 13 },
	{ "odd characters",	"_a-b.c d",	0, "\4_a-b\3c d", 10 },
	{ "longest label",	L63,		0, "\77" L63, 65 },
	{ "label too long",	L63 "x",	-1, NULL, 0 },
	{ "longest name",	L63 "." L63 "." L63 "." "abcdefghijklmnopqrst"
	    "uvwxyz0123456789abcdefghijklmnopqrstuvwxy", 0, NULL, 255 },
	{ "name too long",	L63 "." L63 "." L63 "." L63, -1, NULL, 0 },
	{ "empty",		"",		-1, NULL, 0 },
	{ "root",		".",		-1, NULL, 0 },
	{ "empty label",	"a..b",		-1, NULL, 0 },
	{ "dot in front",	".a",		-1, NULL, 0 },
};

static const struct {
	const char *what;
	const char *text;
	int ret;
	const char *addr;
	uint16_t port;
} servers[] = {
	{ "IPv4",		"10.0.0.1#53",		0, "10.0.0.1", 53 },
	{ "IPv6",		"fd00::1#5353",		0, "fd00::1", 5353 },
	{ "highest port",	"10.0.0.1#65535",	0, "10.0.0.1", 65535 },
	{ "no port",		"10.0.0.1",		-1, NULL, 0 },
	{ "empty port",		"10.0.0.1#",		-1, NULL, 0 },
	{ "port 0",		"10.0.0.1#0",		-1, NULL, 0 },
	{ "port too big",	"10.0.0.1#65536",	-1, NULL, 0 },
	{ "port with a sign",	"10.0.0.1#+53",		-1, NULL, 0 },
	{ "junk behind",	"10.0.0.1#53x",		-1, NULL, 0 },
	{ "no address",		"#53",			-1, NULL, 0 },
	{ "too long",
	    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000#53",
							-1, NULL, 0 },
};
/* clang-format on */

START_TEST(test_add)
{
	struct names ns = { 0 };

	ck_assert_msg(names_add(&ns, names[_i].text, 1) == names[_i].ret, "%s",
	    names[_i].what);
	ck_assert_uint_eq(ns.n, names[_i].ret == 0);
	if (names[_i].ret == -1)
		return;
	ck_assert_msg(ns.name[0].len == names[_i].len, "%s", names[_i].what);
	if (names[_i].wire != NULL)
		ck_assert_mem_eq(
		    ns.name[0].wire, names[_i].wire, names[_i].len);
}
END_TEST

START_TEST(test_server)
{
	struct ipaddr a, want;
	uint16_t port;

	ck_assert_msg(
	    server_parse(servers[_i].text, &a, &port) == servers[_i].ret, "%s",
	    servers[_i].what);
	if (servers[_i].ret == -1)
		return;
	ck_assert_int_eq(ipaddr_parse(servers[_i].addr, &want), 0);
	ck_assert_int_eq(ipaddr_cmp(&a, &want), 0);
	ck_assert_uint_eq(port, servers[_i].port);
}
END_TEST

START_TEST(test_find)
{
	struct names ns = { 0 };
	uint32_t ip[4];

	ck_assert_int_eq(names_add(&ns, "host.internal", 1), 0);
	ck_assert_int_eq(names_add(&ns, "gateway.internal", 2), 0);
	ck_assert_int_eq(names_add(&ns, "Host.Internal.", 3), 0);
	ck_assert_uint_eq(
	    names_find(&ns, (const uint8_t *)"\4hOsT\10internaL", 15, ip, 4),
	    2);
	ck_assert_uint_eq(ip[0], 1);
	ck_assert_uint_eq(ip[1], 3);
	ck_assert_uint_eq(
	    names_find(&ns, (const uint8_t *)"\4host\10internal", 15, ip, 1),
	    1);
	ck_assert_uint_eq(
	    names_find(&ns, (const uint8_t *)"\4host", 6, ip, 4), 0);
	ck_assert_uint_eq(
	    names_find(&ns, (const uint8_t *)"\4hosx\10internal", 15, ip, 4),
	    0);
}
END_TEST

START_TEST(test_full)
{
	struct names ns = { 0 };
	char text[16];
	int i;

	for (i = 0; i < NAMES_MAX; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		ck_assert_int_eq(names_add(&ns, text, 1), 0);
	}
	ck_assert_int_eq(names_add(&ns, "one-more", 1), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("names");
	TCase *tc = tcase_create("names");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, test_add, 0, (int)nitems(names));
	tcase_add_loop_test(tc, test_server, 0, (int)nitems(servers));
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_full);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
