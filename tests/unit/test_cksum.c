#include "tests/check_main.h"

#include "guard.h"
#include "nettest.h"

static void
fill(uint8_t *p, size_t n)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		p[i] = (uint8_t)(x >> 16);
	}
}

/* Stored bytes, as a number. */
static uint16_t
stored(uint16_t sum)
{
	uint8_t b[2];

	memcpy(b, &sum, 2);
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* Every length and alignment around the sizes the loops work in. */
START_TEST(test_lengths)
{
	uint8_t buf[400];
	size_t len, off;

	fill(buf, sizeof(buf));
	for (len = 0; len <= 300; len++) {
		for (off = 0; off < 9; off++)
			ck_assert_uint_eq(
			    stored(cksum_finish(cksum_add(0, buf + off, len))),
			    nt_cksum(buf + off, len, 0));
	}
}
END_TEST

static const struct {
	const char *what;
	uint8_t byte;
	size_t len;
	uint16_t sum;
} cases[] = {
	{ "nothing", 0, 0, 0xffff },
	{ "zeros", 0, 20, 0xffff },
	{ "all ones", 0xff, 65534, 0 },
	{ "all ones, odd", 0xff, 65535, 0x00ff },
	{ "one byte", 0x12, 1, 0xedff },
};

START_TEST(test_values)
{
	static uint8_t buf[65535];

	memset(buf, cases[_i].byte, sizeof(buf));
	ck_assert_msg(stored(cksum_finish(cksum_add(0, buf, cases[_i].len))) ==
			  cases[_i].sum,
	    "%s", cases[_i].what);
}
END_TEST

/* RFC 1071 3: the example's words. */
START_TEST(test_rfc1071)
{
	static const uint8_t in[] = { 0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(stored(cksum_finish(cksum_add(0, in, sizeof(in)))),
	    (uint16_t)~0xddf2);
}
END_TEST

START_TEST(test_in_pieces)
{
	uint8_t buf[200];
	uint32_t whole, parts;
	size_t cut;

	fill(buf, sizeof(buf));
	whole = cksum_add(0, buf, sizeof(buf) - 1);
	for (cut = 0; cut < sizeof(buf); cut += 2) {
		parts = cksum_add(0, buf, cut);
		parts = cksum_add(parts, buf + cut, sizeof(buf) - 1 - cut);
		ck_assert_uint_eq(cksum_finish(parts), cksum_finish(whole));
	}
}
END_TEST

START_TEST(test_pseudo)
{
	static const uint8_t b[12] = { 192, 168, 65, 1, 8, 8, 4, 4, 0, 17, 0x12,
		0x34 };

	ck_assert_uint_eq(
	    cksum_finish(cksum_pseudo(0xc0a84101, 0x08080404, 17, 0x1234)),
	    cksum_finish(cksum_add(0, b, sizeof(b))));
}
END_TEST

START_TEST(test_guard)
{
	struct guard g = guard_new(128);
	uint8_t buf[128];
	size_t len;

	fill(buf, sizeof(buf));
	for (len = 0; len <= sizeof(buf); len++)
		ck_assert_uint_eq(stored(cksum_finish(cksum_add(
				      0, guard_put(&g, buf, len), len))),
		    nt_cksum(buf, len, 0));
	guard_free(&g);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("cksum");

	tcase_add_test(tc, test_lengths);
	tcase_add_loop_test(tc, test_values, 0, nitems(cases));
	tcase_add_test(tc, test_rfc1071);
	tcase_add_test(tc, test_in_pieces);
	tcase_add_test(tc, test_pseudo);
	tcase_add_test(tc, test_guard);
	return check_case("cksum", tc);
}
