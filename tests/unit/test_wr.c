#include <stdint.h>

#include "common/wr.h"
#include "tests/check_main.h"
#include "guard.h"

enum op { BYTES, ZERO, U8, U16, U32, LE16, LE32 };

static const struct {
	const char *what;
	enum op op;
	size_t n; /* bytes it writes */
	const char *out;
} cases[] = {
	{ "no bytes", BYTES, 0, "" },
	{ "bytes", BYTES, 3, "\1\2\3" },
	{ "no zeros", ZERO, 0, "" },
	{ "zeros", ZERO, 4, "\0\0\0\0" },
	{ "u8", U8, 1, "\x04" },
	{ "u16 is big-endian", U16, 2, "\x03\x04" },
	{ "u32 is big-endian", U32, 4, "\x01\x02\x03\x04" },
	{ "le16", LE16, 2, "\x04\x03" },
	{ "le32", LE32, 4, "\x04\x03\x02\x01" },
};

static int
run(struct wr *w, enum op op, size_t n)
{
	switch (op) {
	case BYTES:
		return wr_bytes(w, "\1\2\3", n);
	case ZERO:
		return wr_zero(w, n);
	case U8:
		return wr_u8(w, 0x04);
	case U16:
		return wr_u16(w, 0x0304);
	case U32:
		return wr_u32(w, 0x01020304);
	case LE16:
		return wr_le16(w, 0x0304);
	case LE32:
		return wr_le32(w, 0x01020304);
	}
	return -1;
}

/* Fits to the last byte, which is the last before a guard page. */
START_TEST(test_exact)
{
	static const uint8_t full[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff };
	struct guard g = guard_new(sizeof(full));
	uint8_t *p = guard_put(&g, full, cases[_i].n);
	struct wr w = wr_init(p, cases[_i].n);

	ck_assert_msg(
	    run(&w, cases[_i].op, cases[_i].n) == 0, "%s", cases[_i].what);
	ck_assert_uint_eq(w.len, cases[_i].n);
	ck_assert_mem_eq(p, cases[_i].out, cases[_i].n);
	guard_free(&g);
}
END_TEST

/* Where it does not fit, nothing of it is written. */
START_TEST(test_short)
{
	uint8_t buf[8], same[8];
	struct wr w;
	size_t cap;

	memset(same, 0xaa, sizeof(same));
	for (cap = 0; cap < cases[_i].n; cap++) {
		memset(buf, 0xaa, sizeof(buf));
		w = wr_init(buf, cap);
		ck_assert_msg(run(&w, cases[_i].op, cases[_i].n) == -1,
		    "%s in %zu bytes", cases[_i].what, cap);
		ck_assert_uint_eq(w.len, 0);
		ck_assert_mem_eq(buf, same, sizeof(buf));
	}
}
END_TEST

START_TEST(test_in_a_row)
{
	volatile size_t huge = SIZE_MAX; /* or the compiler objects */
	uint8_t buf[7];
	struct wr w = wr_init(buf, sizeof(buf));

	ck_assert_int_eq(wr_u8(&w, 1), 0);
	ck_assert_int_eq(wr_u16(&w, 2), 0);
	ck_assert_int_eq(wr_u32(&w, 3), 0);
	ck_assert_int_eq(wr_u8(&w, 4), -1);
	ck_assert_int_eq(wr_bytes(&w, buf, huge), -1);
	ck_assert_int_eq(wr_zero(&w, huge), -1);
	ck_assert_uint_eq(w.len, sizeof(buf));
	ck_assert_mem_eq(buf, "\1\0\2\0\0\0\3", sizeof(buf));
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("wr");

	tcase_add_loop_test(t, test_exact, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_loop_test(t, test_short, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, test_in_a_row);
	return check_case("wr", t);
}
