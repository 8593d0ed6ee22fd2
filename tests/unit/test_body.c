/*
 * Bodies: where they end, in whatever pieces they come.
 */

#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "proxyd/body.h"
#include "tests/check_main.h"

/* clang-format off */
static const char *const good[] = {
	"0\r\n\r\n",
	"5\r\nhello\r\n0\r\n\r\n",
	"A;x=\"y\"\r\n0123456789\r\n00\r\n\r\n",
	"1\r\na\r\n1\r\nb\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n",
};

static const struct {
	const char *what, *in;
} bad[] = {
	{ "no size", "\r\n" },
	{ "blank before the size", " 1\r\na\r\n" },
	{ "blank behind the size", "1 \r\na\r\n" },
	{ "sign", "+1\r\na\r\n" },
	{ "0x", "0x1\r\na\r\n" },
	{ "size too long", "0000000000000001\r\na\r\n" },
	{ "bare LF", "1\na\r\n" },
	{ "CR without LF", "1\ra\r\n" },
	{ "data too long", "1\r\nab\r\n" },
	{ "no CR behind the data", "1\r\na\n" },
	{ "control in an extension", "1;\1\r\na\r\n" },
	{ "LF in an extension", "1;a\nb\r\na\r\n" },
	{ "folded trailer", "0\r\nA: b\r\n c\r\n\r\n" },
	{ "trailer without name", "0\r\n: b\r\n\r\n" },
	{ "bare LF in a trailer", "0\r\nA: b\n\r\n" },
	{ "negative", "-1\r\n" },
};
/* clang-format on */

START_TEST(good_chunks)
{
	size_t len = strlen(good[_i]), cut, n;
	struct guard g = guard_new(len + 4);
	char more[128];
	struct body b;

	for (cut = 0; cut <= len; cut++) {
		body_init(&b, FRAMING_CHUNKED, 0);
		ck_assert_int_eq(
		    body_take(&b, guard_put(&g, good[_i], cut), cut), (int)cut);
		ck_assert(b.done == (cut == len));
		n = len - cut;
		ck_assert_int_eq(
		    body_take(&b, guard_put(&g, good[_i] + cut, n), n), (int)n);
		ck_assert(b.done);
	}
	/* What follows belongs to somebody else. */
	snprintf(more, sizeof(more), "%sGET", good[_i]);
	body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(body_take(&b, more, len + 3), (int)len);
	guard_free(&g);
}
END_TEST

START_TEST(bad_chunks)
{
	size_t len = strlen(bad[_i].in), i;
	struct body b;
	ssize_t n = 0;

	body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_msg(body_take(&b, bad[_i].in, len) == -1, "%s", bad[_i].what);
	body_init(&b, FRAMING_CHUNKED, 0);
	for (i = 0; i < len && n != -1; i++)
		n = body_take(&b, bad[_i].in + i, 1);
	ck_assert_msg(n == -1 && !b.done, "%s", bad[_i].what);
}
END_TEST

START_TEST(limits)
{
	static char buf[BODY_MAXTRAILER + 64];
	struct body b;

	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "1;", 2);
	body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(body_take(&b, buf, BODY_MAXEXT + 2), BODY_MAXEXT + 2);
	ck_assert_int_eq(body_take(&b, "x", 1), -1);
	memcpy(buf, "0\r\nA:", 5);
	body_init(&b, FRAMING_CHUNKED, 0);
	ck_assert_int_eq(
	    body_take(&b, buf, BODY_MAXTRAILER + 3), BODY_MAXTRAILER + 3);
	ck_assert_int_eq(body_take(&b, "x", 1), -1);
}
END_TEST

START_TEST(others)
{
	struct body b;

	body_init(&b, FRAMING_NONE, 0);
	ck_assert(b.done);
	body_init(&b, FRAMING_LENGTH, 0);
	ck_assert(b.done);
	body_init(&b, FRAMING_LENGTH, 3);
	ck_assert_int_eq(body_take(&b, "ab", 2), 2);
	ck_assert(!b.done);
	ck_assert_int_eq(body_take(&b, "cd", 2), 1);
	ck_assert(b.done);
	ck_assert_int_eq(body_take(&b, "d", 1), 0);
	body_init(&b, FRAMING_EOF, 0);
	ck_assert_int_eq(body_take(&b, "abc", 3), 3);
	ck_assert(!b.done);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("body");

	tcase_add_loop_test(tc, good_chunks, 0, nitems(good));
	tcase_add_loop_test(tc, bad_chunks, 0, nitems(bad));
	tcase_add_test(tc, limits);
	tcase_add_test(tc, others);
	return check_case("body", tc);
}
