/*
 * dnsd's names, as the configuration writes them and as they are found.
 */

#include <stdio.h>
#include <string.h>

#include "dnsd/names.h"
#include "tests/check_main.h"

#define L63	"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define WIRE(s) (const uint8_t *)s, sizeof(s)

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
	const char *zone;
	const uint8_t *wire;
	size_t len;
	bool in;
} zones[] = {
	{ "itself",		"corp.example", WIRE("\4CORP\7example"), true },
	{ "below",		"corp.example", WIRE("\1a\4corp\7example"),
	    true },
	{ "far below",		"corp.example", WIRE("\1a\1b\1c\4corp\7example"),
	    true },
	{ "above",		"corp.example", WIRE("\7example"), false },
	{ "beside",		"corp.example", WIRE("\4cors\7example"), false },
	{ "ends alike",		"corp.example", WIRE("\5xcorp\7example"),
	    false },
	{ "ends alike, in a label", "orp.example", WIRE("\4corp\7example"),
	    false },
	{ "the root",		"corp.example", WIRE(""), false },
};
/* clang-format on */

static struct ipaddr
ip4(uint32_t v)
{
	return ipaddr_from_u32(v);
}

START_TEST(test_parse)
{
	struct name n;

	ck_assert_msg(name_parse(names[_i].text, &n) == names[_i].ret, "%s",
	    names[_i].what);
	if (names[_i].ret == -1)
		return;
	ck_assert_msg(n.len == names[_i].len, "%s", names[_i].what);
	if (names[_i].wire != NULL)
		ck_assert_mem_eq(n.wire, names[_i].wire, names[_i].len);
}
END_TEST

START_TEST(test_zone)
{
	struct name z;

	ck_assert_int_eq(name_parse(zones[_i].zone, &z), 0);
	ck_assert_msg(
	    name_in_zone(zones[_i].wire, zones[_i].len, &z) == zones[_i].in,
	    "%s", zones[_i].what);
}
END_TEST

START_TEST(test_find)
{
	struct names *ns = names_new(12345);
	struct ipaddr ip[4], one = ip4(1), two = ip4(2), three = ip4(3), six;
	size_t n;

	ck_assert_int_eq(ipaddr_parse("fd00::6", &six), 0);
	ck_assert_int_eq(names_add(ns, "host.internal", &one), 0);
	ck_assert_int_eq(names_add(ns, "gateway.internal", &two), 0);
	ck_assert_int_eq(names_add(ns, "host.internal", &six), 0);
	ck_assert_int_eq(names_add(ns, "Host.Internal.", &three), 0);
	ck_assert_int_eq(names_add(ns, "..", &three), -1);
	ck_assert_uint_eq(names_count(ns), 2);
	ck_assert(names_find(ns, WIRE("\4hOsT\10internaL"), 4, ip, 4, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(ipaddr_cmp(&ip[0], &one), 0);
	ck_assert_int_eq(ipaddr_cmp(&ip[1], &three), 0);
	ck_assert(names_find(ns, WIRE("\4host\10internal"), 4, ip, 1, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert(names_find(ns, WIRE("\4host\10internal"), 6, ip, 4, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(ipaddr_cmp(&ip[0], &six), 0);
	/* There, but not of this family. */
	ck_assert(names_find(ns, WIRE("\7gateway\10internal"), 6, ip, 4, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert(names_find(ns, WIRE("\4host\10internal"), 0, ip, 4, &n));
	ck_assert_uint_eq(n, 3);
	ck_assert(names_find(ns, WIRE("\4host\10internal"), 0, NULL, 0, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert(!names_find(ns, WIRE("\4host"), 4, ip, 4, &n));
	ck_assert(!names_find(ns, WIRE("\4hosx\10internal"), 4, ip, 4, &n));
	names_free(ns);
}
END_TEST

START_TEST(test_full)
{
	struct names *ns = names_new(1);
	struct ipaddr a = ip4(1), ip;
	char text[16];
	size_t n;
	int i;

	for (i = 0; i < NAMES_MAX; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		ck_assert_int_eq(names_add(ns, text, &a), 0);
	}
	ck_assert_int_eq(names_add(ns, "one-more", &a), -1);
	ck_assert(names_find(ns, WIRE("\6n16383"), 4, &ip, 1, &n));
	names_free(ns);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("names");

	tcase_add_loop_test(tc, test_parse, 0, (int)nitems(names));
	tcase_add_loop_test(tc, test_zone, 0, (int)nitems(zones));
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_full);
	return check_case("names", tc);
}
