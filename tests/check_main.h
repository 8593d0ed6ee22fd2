#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

/* The end of every main() of a program of check's tests. */

#include <check.h>
#include <stdlib.h>

#include "common/nitems.h"

/*
 * Runs the suite and gives main() its status.  That no test ran is a failure:
 * CK_RUN_CASE names a case that is not there.
 */
static inline int
check_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int ran, failed;

	srunner_run_all(sr, CK_ENV);
	ran = srunner_ntests_run(sr);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The same for a program of only one case. */
static inline int
check_case(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);

	suite_add_tcase(s, tc);
	return check_suite(s);
}

#endif
