/*
 * Walks the table of TCP's states.
 */

#include <stdbool.h>

#include "netstackd/core/tcp.h"
#include "tests/check_main.h"

START_TEST(test_names)
{
	int i;

	for (i = 0; i < TCPS__MAX; i++)
		ck_assert_ptr_nonnull(tcp_state_name[i]);
	for (i = 0; i < TCPE__MAX; i++)
		ck_assert_ptr_nonnull(tcp_event_name[i]);
}
END_TEST

START_TEST(test_every_state_has_a_way_out)
{
	int s;

	for (s = TCPS_CLOSED + 1; s < TCPS__MAX; s++)
		ck_assert_msg(tcp_next(s, TCPE_RESET) == TCPS_CLOSED,
		    "reset in %s", tcp_state_name[s]);
}
END_TEST

START_TEST(test_every_state_is_reached)
{
	bool seen[TCPS__MAX] = { [TCPS_CLOSED] = true };
	int s, e, round;

	for (round = 0; round < TCPS__MAX; round++) {
		for (s = 0; s < TCPS__MAX; s++) {
			for (e = 0; seen[s] && e < TCPE__MAX; e++) {
				if (tcp_next(s, e) != TCPS_NONE)
					seen[tcp_next(s, e)] = true;
			}
		}
	}
	for (s = TCPS_CLOSED; s < TCPS__MAX; s++)
		ck_assert_msg(seen[s], "%s", tcp_state_name[s]);
	ck_assert(!seen[TCPS_NONE]);
}
END_TEST

/* The guest's FIN and ours each count once, in whatever order. */
START_TEST(test_closing_ways)
{
	static const enum tcp_event way[][3] = {
		{ TCPE_CLOSE, TCPE_FIN_ACKED, TCPE_FIN },
		{ TCPE_CLOSE, TCPE_FIN, TCPE_FIN_ACKED },
		{ TCPE_FIN, TCPE_CLOSE, TCPE_FIN_ACKED },
	};
	static const enum tcp_state end[] = { TCPS_TIME_WAIT, TCPS_TIME_WAIT,
		TCPS_CLOSED };
	struct tcp t = { .state = TCPS_ESTABLISHED };
	int i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(tcp_event(&t, way[_i][i]), 0);
	ck_assert_int_eq(t.state, end[_i]);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(tcp_event(&t, way[_i][i]), -1);
	ck_assert_int_eq(t.state, end[_i]);
}
END_TEST

START_TEST(test_no_edge_changes_nothing)
{
	struct tcp t = { .state = TCPS_PENDING };

	ck_assert_int_eq(tcp_event(&t, TCPE_FIN), -1);
	ck_assert_int_eq(tcp_event(&t, TCPE_SYN), -1);
	ck_assert_int_eq(t.state, TCPS_PENDING);
	ck_assert_int_eq(tcp_event(&t, TCPE_CONNECTED), 0);
	ck_assert_int_eq(t.state, TCPS_SYN_RCVD);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_every_state_has_a_way_out);
	tcase_add_test(tc, test_every_state_is_reached);
	tcase_add_loop_test(tc, test_closing_ways, 0, 3);
	tcase_add_test(tc, test_no_edge_changes_nothing);
	return check_case("tcp_fsm", tc);
}
