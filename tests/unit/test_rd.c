#include <stdint.h>

#include "common/rd.h"
#include "tests/check_main.h"
#include "guard.h"

enum op { SKIP, BYTES, SUB, U8, U16, U32, LE16, LE32 };

static const uint8_t in[] = { 1, 2, 3, 4, 5, 6 };

static const struct {
	const char *what;
	enum op op;
	size_t n;   /* bytes asked for */
	uint32_t v; /* expected value, or first byte */
} cases[] = {
	{ "skip nothing", SKIP, 0, 0 },
	{ "skip some", SKIP, 3, 0 },
	{ "skip all", SKIP, 6, 0 },
	{ "no bytes", BYTES, 0, 0 },
	{ "some bytes", BYTES, 5, 1 },
	{ "all bytes", BYTES, 6, 1 },
	{ "empty sub", SUB, 0, 0 },
	{ "sub", SUB, 2, 1 },
	{ "u8", U8, 1, 1 },
	{ "u16 is big-endian", U16, 2, 0x0102 },
	{ "u32 is big-endian", U32, 4, 0x01020304 },
	{ "le16", LE16, 2, 0x0201 },
	{ "le32", LE32, 4, 0x04030201 },
};

static int
run(struct rd *r, enum op op, size_t n, uint32_t *v)
{
	uint8_t b[16] = { 0 };
	struct rd sub;
	uint16_t s = 0;
	int ret = -1;

	*v = 0;
	switch (op) {
	case SKIP:
		return rd_skip(r, n);
	case BYTES:
		ret = rd_bytes(r, b, n);
		*v = b[0];
		return ret;
	case SUB:
		if ((ret = rd_sub(r, n, &sub)) == 0 && n > 0)
			*v = sub.len == n ? sub.p[0] : 0xdead;
		return ret;
	case U8:
		ret = rd_u8(r, b);
		*v = b[0];
		return ret;
	case U16:
		ret = rd_u16(r, &s);
		*v = s;
		return ret;
	case LE16:
		ret = rd_le16(r, &s);
		*v = s;
		return ret;
	case U32:
		return rd_u32(r, v);
	case LE32:
		return rd_le32(r, v);
	}
	return ret;
}

/* Exact inputs are taken to the last byte. */
START_TEST(test_exact)
{
	struct rd r = rd_init(in, sizeof(in));
	uint32_t v;

	ck_assert_msg(
	    run(&r, cases[_i].op, cases[_i].n, &v) == 0, "%s", cases[_i].what);
	ck_assert_msg(v == cases[_i].v, "%s: %x", cases[_i].what, v);
	ck_assert_ptr_eq(r.p, in + cases[_i].n);
	ck_assert_uint_eq(r.len, sizeof(in) - cases[_i].n);
}
END_TEST

/* Every shorter input is refused, and the cursor stays where it was. */
START_TEST(test_prefixes)
{
	struct guard g = guard_new(sizeof(in));
	struct rd r;
	size_t len;
	uint8_t *p;
	uint32_t v;

	for (len = 0; len < cases[_i].n; len++) {
		p = guard_put(&g, in, len);
		r = rd_init(p, len);
		ck_assert_msg(run(&r, cases[_i].op, cases[_i].n, &v) == -1,
		    "%s of %zu bytes", cases[_i].what, len);
		ck_assert_ptr_eq(r.p, p);
		ck_assert_uint_eq(r.len, len);
	}
	p = guard_put(&g, in, cases[_i].n);
	r = rd_init(p, cases[_i].n);
	ck_assert_int_eq(run(&r, cases[_i].op, cases[_i].n, &v), 0);
	ck_assert_uint_eq(r.len, 0);
	guard_free(&g);
}
END_TEST

START_TEST(test_huge)
{
	struct rd r = rd_init(in, sizeof(in)), sub;
	volatile size_t huge = SIZE_MAX; /* or the compiler objects */

	ck_assert_int_eq(rd_skip(&r, huge), -1);
	ck_assert_int_eq(rd_sub(&r, huge, &sub), -1);
	ck_assert_int_eq(rd_bytes(&r, &sub, huge), -1);
	ck_assert_uint_eq(r.len, sizeof(in));
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("rd");

	tcase_add_loop_test(t, test_exact, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_loop_test(
	    t, test_prefixes, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, test_huge);
	return check_case("rd", t);
}
