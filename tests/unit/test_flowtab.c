/*
 * The table of flows: what was written is read; what a hostile writer leaves
 * there is survived.
 */

#include <stdlib.h>
#include <string.h>

#include "common/flowtab.h"
#include "tests/check_main.h"

static struct flowtab_file *f;

static void
setup(void)
{
	f = calloc(1, FLOWTAB_BYTES);
	ck_assert_ptr_nonnull(f);
	flowtab_begin(f);
}

static void
teardown(void)
{
	free(f);
}

static struct flowtab_flow
flow(uint32_t n)
{
	struct flowtab_flow o;

	memset(&o, 0, sizeof(o));
	o.guest_ip = n;
	o.to_host = UINT64_C(5000000000) + n;
	memcpy(o.proto, "tcp", 3);
	memcpy(o.state, "ESTABLISHED", 11);
	return o;
}

START_TEST(test_put_get)
{
	struct flowtab_flow in = flow(7), out;

	ck_assert_int_eq(flowtab_check(f, FLOWTAB_BYTES), 0);
	ck_assert_uint_eq(flowtab_top(f), 0);
	ck_assert(!flowtab_get(f, 3, &out));
	flowtab_put(f, 3, &in);
	ck_assert_uint_eq(flowtab_top(f), 4);
	ck_assert(flowtab_get(f, 3, &out));
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert(!flowtab_get(f, 2, &out));
	flowtab_clear(f, 3);
	ck_assert(!flowtab_get(f, 3, &out));
}
END_TEST

START_TEST(test_out_of_range)
{
	struct flowtab_flow in = flow(1), out;

	flowtab_put(f, FLOWTAB_SLOTS, &in);
	flowtab_put(f, UINT32_MAX, &in);
	flowtab_clear(f, FLOWTAB_SLOTS);
	ck_assert_uint_eq(flowtab_top(f), 0);
	ck_assert(!flowtab_get(f, FLOWTAB_SLOTS, &out));
	ck_assert(!flowtab_get(f, UINT32_MAX, &out));
	ck_assert(!flowtab_get_end(f, FLOWTAB_ENDS, &out));
}
END_TEST

START_TEST(test_ends)
{
	struct flowtab_flow in, out;
	uint32_t i;

	ck_assert(!flowtab_get_end(f, 0, &out));
	for (i = 0; i < FLOWTAB_ENDS + 10; i++) {
		in = flow(i);
		flowtab_end(f, &in);
	}
	for (i = 0; i < FLOWTAB_ENDS; i++) {
		ck_assert(flowtab_get_end(f, i, &out));
		ck_assert_uint_eq(out.guest_ip, FLOWTAB_ENDS + 9 - i);
	}
}
END_TEST

/* A new process starts with an empty table, and the ends stay. */
START_TEST(test_begin_again)
{
	struct flowtab_flow in = flow(1), out;

	flowtab_put(f, 0, &in);
	flowtab_put(f, 9, &in);
	flowtab_end(f, &in);
	flowtab_begin(f);
	ck_assert_uint_eq(flowtab_top(f), 0);
	ck_assert(!flowtab_get(f, 0, &out));
	ck_assert(!flowtab_get(f, 9, &out));
	ck_assert(flowtab_get_end(f, 0, &out));
}
END_TEST

/* An entry that never becomes quiet is given up, and its texts end. */
START_TEST(test_hostile)
{
	struct flowtab_flow in = flow(1), out;

	flowtab_put(f, 0, &in);
	f->entry[0].seq |= 1;
	ck_assert(!flowtab_get(f, 0, &out));
	f->entry[0].seq++;
	memset(f->entry[0].flow.proto, 'x', sizeof(in.proto));
	memset(f->entry[0].flow.state, 'x', sizeof(in.state));
	memset(f->entry[0].flow.limit, 'x', sizeof(in.limit));
	ck_assert(flowtab_get(f, 0, &out));
	ck_assert_uint_eq(strlen(out.proto), sizeof(out.proto) - 1);
	ck_assert_uint_eq(strlen(out.state), sizeof(out.state) - 1);
	ck_assert_uint_eq(strlen(out.limit), sizeof(out.limit) - 1);
	f->top = UINT32_MAX;
	ck_assert_uint_eq(flowtab_top(f), FLOWTAB_SLOTS);
	flowtab_begin(f); /* what it left is no way out of the file either */
	f->nends = UINT32_MAX;
	ck_assert(!flowtab_get_end(f, 0, &out));
	f->magic++;
	ck_assert_int_eq(flowtab_check(f, FLOWTAB_BYTES), -1);
}
END_TEST

START_TEST(test_every_prefix)
{
	size_t len;

	for (len = 0; len < 4096; len++)
		ck_assert_int_eq(flowtab_check(f, len), -1);
	ck_assert_int_eq(flowtab_check(f, FLOWTAB_BYTES - 1), -1);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("flowtab");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_put_get);
	tcase_add_test(tc, test_out_of_range);
	tcase_add_test(tc, test_ends);
	tcase_add_test(tc, test_begin_again);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_every_prefix);
	return check_case("flowtab", tc);
}
