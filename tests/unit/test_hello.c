/*
 * The name in a ClientHello, whole and in records of any size.
 */

#include <string.h>

#include "common/wr.h"
#include "guard.h"
#include "proxyd/hello.h"
#include "tests/check_main.h"

#define MAXLEN 2048

/* The handshake message; name NULL: without the extension. */
static size_t
hello(uint8_t *out, const char *name, int copies)
{
	struct wr w = wr_init(out, MAXLEN);
	size_t n = name == NULL ? 0 : strlen(name), ext = n + 9;
	int i;

	wr_u32(&w, 0x01000000);
	wr_u16(&w, 0x0303);
	wr_zero(&w, 32);
	wr_u8(&w, 0);
	wr_u16(&w, 2);
	wr_u16(&w, 0x1301);
	wr_u16(&w, 0x0100);
	wr_u16(&w, (uint16_t)(4 + (name == NULL ? 0 : ext * (size_t)copies)));
	wr_u32(&w, 0x00170000); /* another, empty */
	for (i = 0; name != NULL && i < copies; i++) {
		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(n + 5));
		wr_u16(&w, (uint16_t)(n + 3));
		wr_u8(&w, 0);
		wr_u16(&w, (uint16_t)n);
		wr_bytes(&w, name, n);
	}
	out[2] = (uint8_t)((w.len - 4) >> 8);
	out[3] = (uint8_t)(w.len - 4);
	return w.len;
}

/* Cut into records of at most size bytes. */
static size_t
records(uint8_t *out, const uint8_t *msg, size_t len, size_t size)
{
	struct wr w = wr_init(out, 8 * MAXLEN);
	size_t n;

	for (; len > 0; msg += n, len -= n) {
		n = len < size ? len : size;
		wr_u8(&w, 22);
		wr_u16(&w, 0x0301);
		wr_u16(&w, (uint16_t)n);
		wr_bytes(&w, msg, n);
	}
	return w.len;
}

static int
parse(const char *asked, int copies, size_t size, char *name)
{
	static uint8_t msg[MAXLEN], rec[8 * MAXLEN];
	size_t len = records(rec, msg, hello(msg, asked, copies), size), i;
	struct guard g = guard_new(len);
	int r = hello_parse(guard_put(&g, rec, len), len, name);

	for (i = 0; i < len; i++)
		ck_assert_int_eq(
		    hello_parse(guard_put(&g, rec, i), i, name), -2);
	hello_parse(rec, len, name);
	guard_free(&g);
	return r;
}

START_TEST(names)
{
	static const size_t sizes[] = { 16384, 100, 5, 1 };
	char name[HELLO_NAMEMAX + 1] = "";

	ck_assert_int_eq(parse("www.example.org", 1, sizes[_i], name), 1);
	ck_assert_str_eq(name, "www.example.org");
	ck_assert_int_eq(parse(NULL, 0, sizes[_i], name), 0);
}
END_TEST

START_TEST(bad_names)
{
	char name[HELLO_NAMEMAX + 1], longest[300];

	ck_assert_int_eq(parse("", 1, 16384, name), -1);
	ck_assert_int_eq(parse("a b", 1, 16384, name), -1);
	ck_assert_int_eq(parse("a\r\nX: y", 1, 16384, name), -1);
	ck_assert_int_eq(parse(".a", 1, 16384, name), -1);
	ck_assert_int_eq(parse("a.example", 2, 16384, name), -1);
	memset(longest, 'a', sizeof(longest));
	longest[HELLO_NAMEMAX + 1] = '\0';
	ck_assert_int_eq(parse(longest, 1, 16384, name), -1);
	longest[HELLO_NAMEMAX] = '\0';
	ck_assert_int_eq(parse(longest, 1, 16384, name), 1);
}
END_TEST

START_TEST(no_tls)
{
	static const char *const rows[] = { "GET / HTTP/1.1\r\n", "SSH-2.0-x",
		"\x16\x02\x00\x00\x05", "\x17\x03\x01\x00\x05",
		"\x16\x03\x01\x00\x00", "\x16\x03\x01\xff\xff" };
	static const size_t lens[] = { 16, 9, 5, 5, 5, 5 };
	char name[HELLO_NAMEMAX + 1];

	ck_assert_int_eq(hello_parse(rows[_i], lens[_i], name), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hello");

	tcase_add_loop_test(tc, names, 0, 4);
	tcase_add_test(tc, bad_names);
	tcase_add_loop_test(tc, no_tls, 0, 6);
	return check_case("hello", tc);
}
