/*
 * Rules of exclude and allow, the spec's eight among them.
 */

#include <string.h>

#include "proxyd/match.h"
#include "tests/check_main.h"

/* clang-format off */
static const struct {
	const char *rule, *host;
	bool want;
} rows[] = {
	{ "10.0.0.1", "10.0.0.1", true },
	{ "10.0.0.1", "10.0.0.2", false },
	{ "10.0.0.0/24", "10.0.0.77", true },
	{ "10.0.0.0/24", "10.0.1.77", false },
	{ "10.0.0.0/24", "name.10.0.0.1", false },
	{ "fd00::/8", "fd12::1", true },
	{ "fd00::/8", "fe80::1", false },
	{ "[fd00::1]", "fd00:0::1", true },
	{ "FD00::1", "fd00::1", true },
	{ "2001:db8::/32", "2001:DB8:ffff::1", true },
	{ "2001:db8::/32", "2001:db9::1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "10.0.0.1", false },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "*", "2001:db8::1", true },
	{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
	{ "10.0.0.0/8", "::ffff:11.1.2.3", false },
	{ "::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true },
	{ "mit.edu", "2001:db8::1", false },
	{ "mit.edu", "mit.edu", true },
	{ "mit.edu", "dave.mit.edu", true },
	{ "mit.edu", "a.b.mit.edu", true },
	{ "mit.edu", "notmit.edu", false },
	{ "mit.edu", "mit.edu.example", false },
	{ "mit.edu", "edu", false },
	{ "MIT.edu", "Dave.mit.EDU", true },
	{ "mit.edu", "mit.edu.", true },
	{ "mit.edu:8080", "mit.edu", true },
	{ ".mit.edu", "mit.edu", false },
	{ ".mit.edu", "dave.mit.edu", true },
	{ "*.mit.edu", "mit.edu", false },
	{ "*.mit.edu", "dave.mit.edu", true },
	{ "*.mit.edu", "a.dave.mit.edu", true },
	{ "a.*.edu", "a.mit.edu", true },
	{ "a.*.edu", "b.mit.edu", false },
	{ "*", "anything.example", true },
	{ "*", "10.0.0.1", true },
	{ "localhost", "localhost", true },
};
/* clang-format on */

START_TEST(rules)
{
	struct match m = { 0 };

	ck_assert_int_eq(match_add(&m, "198.51.100.1"), 0);
	ck_assert_int_eq(match_add(&m, rows[_i].rule), 0);
	ck_assert_msg(match_host(&m, rows[_i].host) == rows[_i].want,
	    "%s of %s", rows[_i].host, rows[_i].rule);
	match_clear(&m);
}
END_TEST

START_TEST(limits)
{
	struct match m = { 0 };
	char rule[MATCH_NAMELEN + 2];
	int i;

	memset(rule, 'a', sizeof(rule));
	rule[MATCH_NAMELEN + 1] = '\0';
	ck_assert_int_eq(match_add(&m, rule), -1);
	ck_assert_int_eq(match_add(&m, ""), -1);
	ck_assert_int_eq(match_add(&m, "[]"), -1);
	ck_assert(!match_host(&m, "a"));
	for (i = 0; i < MATCH_MAXRULES; i++)
		ck_assert_int_eq(match_add(&m, "a.example"), 0);
	ck_assert_int_eq(match_add(&m, "a.example"), -1);
	match_clear(&m);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("match");

	tcase_add_loop_test(tc, rules, 0, nitems(rows));
	tcase_add_test(tc, limits);
	return check_case("match", tc);
}
