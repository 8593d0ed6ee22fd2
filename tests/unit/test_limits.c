/*
 * portd's limits: each one bites at its number, gives way again, and one VM
 * or destination leaves the others their share.
 */

#include <string.h>

#include "portd/limits.h"
#include "tests/check_main.h"

#define KEY   0x9e3779b97f4a7c15u
#define DST_A 0x0a000001u
#define DST_B 0x0a000002u

/* clang-format off */
static const struct {
	const char *what;
	int nofile;
	uint32_t vm, dst;
} derived[] = {
	{ "the usual soft limit",	1024,	960,	720 },
	{ "the usual hard limit",	524288,	524224,	393168 },
	{ "very few",			100,	64,	48 },
	{ "nonsense",			-1,	64,	48 },
};
/* clang-format on */

START_TEST(follow_descriptors)
{
	struct limits l;

	limits_init(&l, derived[_i].nofile, KEY);
	ck_assert_msg(l.max_vm == derived[_i].vm, "%s", derived[_i].what);
	ck_assert_msg(l.max_dst == derived[_i].dst, "%s", derived[_i].what);
	ck_assert_uint_eq(l.max_all, LIMITS_NONE);
}
END_TEST

START_TEST(max_connections)
{
	static struct limits_vm a, b;
	struct limits l;

	limits_init(&l, 1024, KEY);
	limits_set_max(&l, 0);
	ck_assert_int_eq(limits_take(&l, &a, DST_A), LIMIT_ALL);
	limits_set_max(&l, 2);
	ck_assert_int_eq(limits_take(&l, &a, DST_A), LIMIT_OK);
	ck_assert_int_eq(limits_take(&l, &b, 0), LIMIT_OK);
	ck_assert_int_eq(limits_take(&l, &b, DST_A), LIMIT_ALL);
	limits_give(&l, &a, DST_A);
	ck_assert_int_eq(limits_take(&l, &b, DST_A), LIMIT_OK);
	limits_set_max(&l, -1);
	ck_assert_int_eq(limits_take(&l, &b, DST_A), LIMIT_OK);
	limits_forget(&l, &a);
	limits_forget(&l, &b);
	ck_assert_uint_eq(l.all, 0);
}
END_TEST

START_TEST(one_destination_leaves_room)
{
	static struct limits_vm a;
	struct limits l;
	uint32_t i;

	limits_init(&l, 1024, KEY);
	for (i = 0; i < l.max_dst; i++)
		ck_assert_int_eq(limits_take(&l, &a, DST_A), LIMIT_OK);
	ck_assert_int_eq(limits_take(&l, &a, DST_A), LIMIT_DST);
	ck_assert_int_eq(limits_take(&l, &a, DST_B), LIMIT_OK);
	limits_give(&l, &a, DST_A);
	ck_assert_int_eq(limits_take(&l, &a, DST_A), LIMIT_OK);
	limits_forget(&l, &a);
}
END_TEST

START_TEST(one_vm_leaves_room)
{
	static struct limits_vm a, b;
	struct limits l;
	uint32_t i;

	limits_init(&l, 1024, KEY);
	for (i = 0; i < l.max_vm; i++)
		ck_assert_int_eq(limits_take(&l, &a, i + 1), LIMIT_OK);
	ck_assert_int_eq(limits_take(&l, &a, 0), LIMIT_VM);
	ck_assert_int_eq(limits_take(&l, &b, DST_A), LIMIT_OK);
	for (i = 0; i < l.max_vm; i++)
		limits_give(&l, &a, i + 1);
	ck_assert_uint_eq(a.n, 0);
	ck_assert_uint_eq(l.all, 1);
	/* One too many is not counted below zero. */
	limits_give(&l, &a, 1);
	ck_assert_uint_eq(l.all, 1);
	limits_forget(&l, &b);
	ck_assert_uint_eq(l.all, 0);
}
END_TEST

/* Neighbouring addresses and ids, the commonest input, spread well. */
START_TEST(hash_spreads)
{
	static unsigned n[1024];
	uint32_t i;

	for (i = 0; i < 10240; i++)
		n[limits_hash(KEY, 0x0a000000 + i, 10)]++;
	for (i = 0; i < nitems(n); i++)
		ck_assert_uint_le(n[i], 40);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_loop_test(tc, follow_descriptors, 0, nitems(derived));
	tcase_add_test(tc, max_connections);
	tcase_add_test(tc, one_destination_leaves_room);
	tcase_add_test(tc, one_vm_leaves_room);
	tcase_add_test(tc, hash_spreads);
	return check_case("limits", tc);
}
