/*
 * So many lines of a kind in a period, and a number in the place of the rest.
 */

#include <stdio.h>
#include <string.h>

#include "common/logkind.h"
#include "tests/check_main.h"

static struct logkinds k;
static const char one[] = "one %s", two[] = "two %d";

static void
setup(void)
{
	memset(&k, 0, sizeof(k));
}

/* How many of n lines are written. */
static unsigned
lines(const char *fmt, unsigned n, usec_t now)
{
	unsigned written = 0;

	while (n-- > 0)
		written += logkinds_may(&k, fmt, now);
	return written;
}

START_TEST(test_burst)
{
	unsigned n = 0;

	ck_assert_uint_eq(lines(one, LOGKIND_BURST, 5), LOGKIND_BURST);
	ck_assert(!logkinds_pending(&k));
	ck_assert_uint_eq(lines(one, 7, 6), 0);
	ck_assert(logkinds_pending(&k));
	/* Others are not its concern. */
	ck_assert_uint_eq(lines(two, 3, 6), 3);
	ck_assert_ptr_null(logkinds_over(&k, 4 + LOGKIND_PERIOD, &n));
	ck_assert_ptr_eq(logkinds_over(&k, 5 + LOGKIND_PERIOD, &n), one);
	ck_assert_uint_eq(n, 7);
	ck_assert_ptr_null(logkinds_over(&k, 5 + LOGKIND_PERIOD, &n));
	ck_assert(!logkinds_pending(&k));
	ck_assert_uint_eq(
	    lines(one, LOGKIND_BURST + 1, 6 + LOGKIND_PERIOD), LOGKIND_BURST);
}
END_TEST

/* Lines now and then are never left out. */
START_TEST(test_slow)
{
	usec_t now = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		ck_assert(logkinds_may(&k, one, now));
		now += LOGKIND_PERIOD / 50;
	}
	ck_assert(!logkinds_pending(&k));
}
END_TEST

/* A line that comes late is not lost before the number was said. */
START_TEST(test_number_first)
{
	unsigned n = 0;

	lines(one, LOGKIND_BURST + 1, 0);
	ck_assert_uint_eq(lines(one, 1, LOGKIND_PERIOD), 0);
	ck_assert_ptr_eq(logkinds_over(&k, LOGKIND_PERIOD, &n), one);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(lines(one, 1, LOGKIND_PERIOD), 1);
}
END_TEST

/* More kinds than there is room for: what is owed is kept. */
START_TEST(test_many)
{
	static char fmt[4 * LOGKIND_MAX];
	unsigned n = 0, i;

	lines(one, LOGKIND_BURST + 5, 0);
	for (i = 0; i < sizeof(fmt); i++)
		ck_assert_uint_eq(lines(&fmt[i], 1, (usec_t)i), 1);
	ck_assert_ptr_eq(logkinds_over(&k, LOGKIND_PERIOD, &n), one);
	ck_assert_uint_eq(n, 5);
	for (i = 0; i < LOGKIND_MAX; i++)
		lines(&fmt[i], LOGKIND_BURST + 1, LOGKIND_PERIOD);
	/* All places owe a number: then it is written, not lost. */
	ck_assert_uint_eq(lines(two, 2 * LOGKIND_BURST, LOGKIND_PERIOD + 1),
	    2 * LOGKIND_BURST);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("logkind");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_burst);
	tcase_add_test(tc, test_slow);
	tcase_add_test(tc, test_number_first);
	tcase_add_test(tc, test_many);
	return check_case("logkind", tc);
}
