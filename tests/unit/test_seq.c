/*
 * Sequence numbers around the wrap.
 */

#include "netstackd/core/seq.h"
#include "tests/check_main.h"

static const struct {
	const char *what;
	uint32_t a, b;
	int order; /* of a to b */
	uint32_t ahead;
} cases[] = {
	{ "equal", 5, 5, 0, 0 },
	{ "plain", 5, 7, -1, 2 },
	{ "plain, back", 7, 5, 1, 0 },
	{ "over the wrap", 0xfffffff0, 0x10, -1, 0x20 },
	{ "over the wrap, back", 0x10, 0xfffffff0, 1, 0 },
	{ "as far as it goes", 0, 0x7fffffff, -1, 0x7fffffff },
	{ "from zero back", 0, 0xffffffff, 1, 0 },
};

START_TEST(test_order)
{
	uint32_t a = cases[_i].a, b = cases[_i].b;
	int order = cases[_i].order;

	ck_assert_msg(seq_lt(a, b) == (order < 0), "%s", cases[_i].what);
	ck_assert_msg(seq_leq(a, b) == (order <= 0), "%s", cases[_i].what);
	ck_assert_msg(seq_gt(a, b) == (order > 0), "%s", cases[_i].what);
	ck_assert_msg(seq_geq(a, b) == (order >= 0), "%s", cases[_i].what);
	ck_assert_uint_eq(seq_max(a, b), order > 0 ? a : b);
	ck_assert_uint_eq(seq_min(a, b), order < 0 ? a : b);
	ck_assert_uint_eq(seq_ahead(a, b), cases[_i].ahead);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("order");

	tcase_add_loop_test(
	    tc, test_order, 0, sizeof(cases) / sizeof(cases[0]));
	return check_case("seq", tc);
}
