/*
 * A daemon's life: the table is whole, and the waits between starts grow.
 */

#include <stdbool.h>

#include "vpnkit/child_fsm.h"
#include "tests/check_main.h"

START_TEST(every_state_has_a_way_out)
{
	int s, e, exits;

	for (s = CHILD_DOWN; s < CHILD__MAX; s++) {
		exits = 0;
		for (e = 0; e < CHILDE__MAX; e++)
			exits += child_next(s, e) != CHILD_NONE;
		ck_assert_msg(exits > 0, "%s", child_state_name[s]);
	}
}
END_TEST

START_TEST(every_state_is_reached)
{
	bool seen[CHILD__MAX] = { [CHILD_DOWN] = true };
	int s, e, round;

	for (round = 0; round < CHILD__MAX; round++) {
		for (s = CHILD_DOWN; s < CHILD__MAX; s++) {
			for (e = 0; seen[s] && e < CHILDE__MAX; e++)
				seen[child_next(s, e)] = true;
		}
	}
	for (s = CHILD_DOWN; s < CHILD__MAX; s++)
		ck_assert_msg(seen[s], "%s", child_state_name[s]);
}
END_TEST

/* Whatever happens, a process that exists can be stopped and can die. */
START_TEST(stop_and_death)
{
	int s;

	for (s = CHILD_STARTING; s <= CHILD_STOPPING; s++)
		ck_assert_msg(child_next(s, CHILDE_DEATH) != CHILD_NONE, "%s",
		    child_state_name[s]);
	ck_assert_int_eq(child_next(CHILD_UP, CHILDE_STOP), CHILD_STOPPING);
	ck_assert_int_eq(
	    child_next(CHILD_STARTING, CHILDE_STOP), CHILD_STOPPING);
	ck_assert_int_eq(child_next(CHILD_BACKOFF, CHILDE_STOP), CHILD_DOWN);
	ck_assert_int_eq(child_next(CHILD_STOPPING, CHILDE_DEATH), CHILD_DOWN);
	/* Ready is said once. */
	ck_assert_int_eq(child_next(CHILD_UP, CHILDE_READY), CHILD_NONE);
}
END_TEST

START_TEST(waits)
{
	static const int ms[] = { 0, 100, 200, 400, 800, 1600, 3200, 5000,
		5000 };
	unsigned i;

	for (i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		ck_assert_int_eq(child_backoff_ms(i + 1), ms[i]);
	ck_assert_int_eq(child_backoff_ms(0), 0);
	ck_assert_int_eq(child_backoff_ms(~0u), 5000);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("child_fsm");

	tcase_add_test(tc, every_state_has_a_way_out);
	tcase_add_test(tc, every_state_is_reached);
	tcase_add_test(tc, stop_and_death);
	tcase_add_test(tc, waits);
	return check_case("child_fsm", tc);
}
