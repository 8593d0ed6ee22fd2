/*
 * The retransmission timeout.
 */

#include "netstackd/core/tcp.h"
#include "tests/check_main.h"

static struct tcp
fresh(void)
{
	struct tcp t = { .rto = TCP_RTO_INIT };

	return t;
}

/* RFC 6298 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 * RTTVAR. */
START_TEST(test_first)
{
	struct tcp t = fresh();

	tcp_rtt_sample(&t, 100 * USEC_MS);
	ck_assert_uint_eq(t.srtt, 100 * USEC_MS);
	ck_assert_uint_eq(t.rttvar, 50 * USEC_MS);
	ck_assert_uint_eq(t.rto, 300 * USEC_MS);
}
END_TEST

/* 2.3: alpha 1/8, beta 1/4. */
START_TEST(test_second)
{
	struct tcp t = fresh();

	tcp_rtt_sample(&t, 800 * USEC_MS);
	tcp_rtt_sample(&t, 1600 * USEC_MS);
	ck_assert_uint_eq(t.srtt, 900 * USEC_MS);
	ck_assert_uint_eq(t.rttvar, 500 * USEC_MS);
	ck_assert_uint_eq(t.rto, 2900 * USEC_MS);
}
END_TEST

START_TEST(test_bounds)
{
	struct tcp t = fresh();
	int i;

	ck_assert_int_eq(tcp_rto(&t), USEC_SEC);
	for (i = 0; i < 100; i++)
		tcp_rtt_sample(&t, 0);
	ck_assert_uint_gt(t.srtt, 0);
	ck_assert_uint_eq(t.rto, TCP_RTO_MIN);
	for (i = 0; i < 100; i++)
		tcp_rtt_sample(&t, INT64_MAX);
	ck_assert_uint_eq(t.rto, TCP_RTO_MAX);
}
END_TEST

START_TEST(test_backoff)
{
	struct tcp t = fresh();

	t.rexmits = 3;
	ck_assert_int_eq(tcp_rto(&t), 8 * USEC_SEC);
	t.rexmits = 6;
	ck_assert_int_eq(tcp_rto(&t), TCP_RTO_MAX);
	t.rexmits = 255;
	ck_assert_int_eq(tcp_rto(&t), TCP_RTO_MAX);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("rto");

	tcase_add_test(tc, test_first);
	tcase_add_test(tc, test_second);
	tcase_add_test(tc, test_bounds);
	tcase_add_test(tc, test_backoff);
	return check_case("tcp_rtt", tc);
}
