/* RFC 9438's curve, against numbers computed from its formulas by hand. */

#include "netstackd/core/tcp_cubic.h"
#include "tests/check_main.h"

#define MSS 1000

START_TEST(root)
{
	static const struct {
		uint64_t v;
		uint32_t root;
	} t[] = { { 0, 0 }, { 1, 1 }, { 7, 1 }, { 8, 2 }, { 26, 2 }, { 27, 3 },
		{ 999999999, 999 }, { 1000000000, 1000 },
		{ 1000000000000000000, 1000000 } };
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_uint_eq(tcp_cubic_root(t[i].v), t[i].root);
}
END_TEST

/* 4.6, and 4.7: a second loss below the old window lowers the aim. */
START_TEST(reduce)
{
	struct tcp_cubic c = { 0 };

	ck_assert_uint_eq(tcp_cubic_reduce(&c, 100 * MSS), 70 * MSS);
	ck_assert_uint_eq(c.w_max, 100 * MSS);
	ck_assert_uint_eq(tcp_cubic_reduce(&c, 80 * MSS), 56 * MSS);
	ck_assert_uint_eq(c.w_max, 68 * MSS);
}
END_TEST

/* Acknowledges a window each rtt for so long; the window then. */
static uint32_t
after(struct tcp_cubic *c, uint32_t cwnd, usec_t rtt, usec_t time)
{
	usec_t now;

	for (now = USEC_SEC; now <= USEC_SEC + time; now += rtt)
		cwnd = tcp_cubic_acked(c, now, rtt, cwnd, MSS, cwnd);
	return cwnd;
}

/* 4.2: K is cbrt(300 / 0.4) s = 9.086 s; then it is where it was. */
START_TEST(plateau)
{
	struct tcp_cubic c = { 0 };
	uint32_t cwnd = tcp_cubic_reduce(&c, 1000 * MSS);

	cwnd = after(&c, cwnd, 100 * USEC_MS, 9 * USEC_SEC);
	ck_assert_uint_eq(c.k_ms, 9085);
	ck_assert_uint_gt(cwnd, 995 * MSS);
	ck_assert_uint_le(cwnd, 1001 * MSS);
}
END_TEST

/* 4.3: in a short round trip it is Reno's: 9/17 of a segment in each. */
START_TEST(reno_friendly)
{
	struct tcp_cubic c = { 0 };
	uint32_t cwnd = tcp_cubic_reduce(&c, 100 * MSS);

	cwnd = after(&c, cwnd, 1 * USEC_MS, 17 * USEC_MS);
	ck_assert_uint_gt(cwnd, 79 * MSS);
	ck_assert_uint_le(cwnd, 80 * MSS);
}
END_TEST

/* 5.8: what passes while cwnd does not limit is not on the curve. */
START_TEST(idle)
{
	struct tcp_cubic c = { 0 };
	uint32_t cwnd = tcp_cubic_reduce(&c, 1000 * MSS), now = 1000000;

	cwnd = tcp_cubic_acked(&c, now, 100000, cwnd, MSS, MSS);
	tcp_cubic_idle(&c);
	cwnd = tcp_cubic_acked(&c, (usec_t)now * 100, 100000, cwnd, MSS, MSS);
	ck_assert_uint_lt(cwnd, 702 * MSS);
}
END_TEST

/* Never down, never by more than half a window, whatever it is given. */
START_TEST(bounds)
{
	static const uint32_t mss[] = { 48, 1460, 65495 };
	struct tcp_cubic c;
	uint32_t cwnd, next, n;
	usec_t t;
	size_t i;

	for (i = 0; i < 3; i++) {
		c = (struct tcp_cubic){ 0 };
		cwnd = tcp_cubic_reduce(&c, 16u << 20);
		for (t = 1; t < 100000 * USEC_SEC; t *= 3) {
			n = cwnd;
			next = tcp_cubic_acked(&c, t, t / 2, cwnd, mss[i], n);
			ck_assert_uint_ge(next, cwnd);
			ck_assert_uint_le(next, cwnd + cwnd / 2 + mss[i]);
			cwnd = next < 16u << 20 ? next : 16u << 20;
		}
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("cubic");

	tcase_add_test(tc, root);
	tcase_add_test(tc, reduce);
	tcase_add_test(tc, plateau);
	tcase_add_test(tc, reno_friendly);
	tcase_add_test(tc, idle);
	tcase_add_test(tc, bounds);
	return check_case("tcp_cubic", tc);
}
