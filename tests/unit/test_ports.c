#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/ports.h"
#include "tests/check_main.h"

static struct ports p;

/* clang-format off */
static const struct {
	const char *what, *range, *reserved;
	int ret;
	uint16_t lo, hi, no, yes;
} cases[] = {
	{ "Linux", "32768\t60999\n", "\n", 0, 32768, 60999, 32767, 32768 },
	{ "above it", "32768\t60999\n", "", 0, 32768, 60999, 61000, 60999 },
	{ "one reserved", "1024 65535", "5000\n", 0, 1024, 65535, 5000, 4999 },
	{ "some", "1024 65535", "80,5000-5010,9000", 0, 1024, 65535, 5010, 5011 },
	{ "the last of some", "1024 65535", "80,5000-5010,9000", 0, 1024, 65535,
	    9000, 9001 },
	{ "the wrong way round", "1024 65535", "9-5", 0, 1024, 65535, 1023, 1024 },
	{ "to the end", "1024 65535", "65000-65535", 0, 1024, 65535, 65535, 64999 },
	{ "one port", "7 7", "", 0, 7, 7, 8, 7 },
	{ "nothing", "", "", -1, 49152, 65535, 49151, 49152 },
	{ "one number", "1024", "", -1, 49152, 65535, 1024, 65535 },
	{ "backwards", "60999 32768", "", -1, 49152, 65535, 40000, 50000 },
	{ "too large", "1024 65536", "", -1, 49152, 65535, 40000, 50000 },
	{ "no number", "a b", "", -1, 49152, 65535, 40000, 50000 },
	{ "more", "1024 2048 3072", "", -1, 49152, 65535, 2000, 50000 },
	{ "0", "0 10", "", -1, 49152, 65535, 5, 50000 },
	{ "bad list", "1024 2048", "5000;", -1, 49152, 65535, 2000, 50000 },
	{ "open list", "1024 2048", "5000-", -1, 49152, 65535, 2000, 50000 },
};
/* clang-format on */
#define NCASES ((int)(sizeof(cases) / sizeof(cases[0])))

START_TEST(test_keep)
{
	int r = ports_init(&p, cases[_i].range, cases[_i].reserved);

	ck_assert_msg(r == cases[_i].ret, "%s", cases[_i].what);
	ck_assert_uint_eq(p.lo, cases[_i].lo);
	ck_assert_uint_eq(p.hi, cases[_i].hi);
	ck_assert_msg(!ports_keep(&p, cases[_i].no), "%s", cases[_i].what);
	ck_assert_msg(ports_keep(&p, cases[_i].yes), "%s", cases[_i].what);
}
END_TEST

/* Every beginning of good text is good or bad, and never read past its end. */
START_TEST(test_prefixes)
{
	static const char text[] = "80,5000-5010,9000 ";
	char *cut;
	size_t n;

	for (n = 0; n < sizeof(text); n++) {
		cut = strndup(text, n);
		ck_assert_ptr_nonnull(cut);
		(void)ports_init(&p, "1024 65535", cut);
		(void)ports_init(&p, cut, "");
		free(cut);
	}
}
END_TEST

/* A quarter for each VM, and a quarter always stays with the host. */
START_TEST(test_limits)
{
	uint32_t vm[5] = { 0 };
	unsigned i, n;

	ck_assert_int_eq(ports_init(&p, "1001 2000", ""), 0);
	for (i = 0; i < 5; i++) {
		for (n = 0; n < 2000 && ports_take(&p, &vm[i]); n++)
			continue;
		ck_assert_uint_eq(n, i < 3 ? 250 : 0);
	}
	ports_give(&p, &vm[0]);
	ck_assert(ports_take(&p, &vm[4]));
	ck_assert(!ports_take(&p, &vm[0]));
	/* However few there are, a guest gets one. */
	vm[0] = 0;
	ck_assert_int_eq(ports_init(&p, "7 8", ""), 0);
	ck_assert(ports_take(&p, &vm[0]));
	ck_assert(!ports_take(&p, &vm[0]));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ports");

	tcase_add_loop_test(tc, test_keep, 0, NCASES);
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_limits);
	return check_case("ports", tc);
}
