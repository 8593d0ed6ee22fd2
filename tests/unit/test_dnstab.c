/*
 * dnsd's table: what was written is read, a greedy VM forgets its own names
 * and not its neighbours', and a hostile writer leads nowhere.
 */

#include <stdlib.h>
#include <string.h>

#include "common/dnstab.h"
#include "tests/check_main.h"
#include "tests/unit/guard.h"

static struct dnstab_file *f;

static void
setup(void)
{
	f = calloc(1, DNSTAB_BYTES);
	ck_assert_ptr_nonnull(f);
	dnstab_begin(f);
}

static void
teardown(void)
{
	free(f);
}

static struct dnstab_name
name(uint32_t vm, uint32_t ip, usec_t when, const char *text)
{
	struct dnstab_name n = { .vm = vm, .ip = ip, .when = when };

	strncpy(n.name, text, sizeof(n.name) - 1);
	return n;
}

START_TEST(test_servers)
{
	struct dnstab_server in = { .addr = "192.0.2.1#53", .asked = 7 }, out;

	ck_assert(!dnstab_get_server(f, 0, &out));
	dnstab_put_server(f, 0, &in);
	dnstab_put_server(f, DNSTAB_SERVERS, &in);
	ck_assert(dnstab_get_server(f, 0, &out));
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert(!dnstab_get_server(f, 1, &out));
	ck_assert(!dnstab_get_server(f, UINT32_MAX, &out));
	dnstab_begin(f);
	ck_assert(!dnstab_get_server(f, 0, &out));
}
END_TEST

START_TEST(test_queries)
{
	struct dnstab_query in = { 0 }, out;
	uint32_t i;

	ck_assert(!dnstab_get_query(f, 0, &out));
	for (i = 0; i < DNSTAB_QUERIES + 3; i++) {
		in.vm = i;
		dnstab_put_query(f, &in);
	}
	for (i = 0; i < DNSTAB_QUERIES; i++) {
		ck_assert(dnstab_get_query(f, i, &out));
		ck_assert_uint_eq(out.vm, DNSTAB_QUERIES + 2 - i);
	}
	ck_assert(!dnstab_get_query(f, DNSTAB_QUERIES, &out));
	dnstab_begin(f); /* of a new process: they stay */
	ck_assert(dnstab_get_query(f, 0, &out));
}
END_TEST

START_TEST(test_names)
{
	struct dnstab_name n = name(1, 0x01020304, 5, "one.example"), out;

	ck_assert(!dnstab_find_name(f, 1, 0x01020304, &out));
	dnstab_put_name(f, &n);
	ck_assert(dnstab_find_name(f, 1, 0x01020304, &out));
	ck_assert_str_eq(out.name, "one.example");
	/* Another VM has asked for nothing. */
	ck_assert(!dnstab_find_name(f, 2, 0x01020304, &out));
	n = name(1, 0x01020304, 6, "two.example");
	dnstab_put_name(f, &n);
	ck_assert(dnstab_find_name(f, 1, 0x01020304, &out));
	ck_assert_str_eq(out.name, "two.example");
}
END_TEST

START_TEST(test_greedy)
{
	struct dnstab_name n = name(2, 0x0a000001, 1, "mine.example"), out;
	uint32_t i;

	dnstab_put_name(f, &n);
	for (i = 0; i < 200000; i++) {
		n = name(1, 0x14000000 + i, 2 + i, "greedy.example");
		dnstab_put_name(f, &n);
	}
	ck_assert(dnstab_find_name(f, 2, 0x0a000001, &out));
	ck_assert(dnstab_find_name(f, 1, 0x14000000 + 199999, &out));
	ck_assert(!dnstab_find_name(f, 1, 0x14000000, &out));
}
END_TEST

START_TEST(test_hostile)
{
	struct dnstab_name n = name(1, 9, 1, "x"), out;
	struct dnstab_server s;
	struct dnstab_query q;

	memset(f->server, 'y', sizeof(f->server));
	f->server[0].seq = f->query[0].seq = 2;
	ck_assert(dnstab_get_server(f, 0, &s));
	ck_assert_uint_eq(strlen(s.addr), sizeof(s.addr) - 1);
	ck_assert_uint_eq(strlen(s.zones), sizeof(s.zones) - 1);
	ck_assert(!dnstab_get_server(f, 1, &s)); /* never quiet */
	memset(f->query, 'y', sizeof(f->query));
	f->query[0].seq = 2;
	f->nqueries = UINT32_MAX;
	f->nqueries++;
	ck_assert(!dnstab_get_query(f, 0, &q));
	f->nqueries = 1;
	ck_assert(dnstab_get_query(f, 0, &q));
	ck_assert_uint_eq(strlen(q.name), sizeof(q.name) - 1);
	ck_assert_uint_eq(strlen(q.by), sizeof(q.by) - 1);
	memset(f->name, 0x22, sizeof(f->name));
	ck_assert(dnstab_find_name(f, 0x22222222, 0x22222222, &out));
	ck_assert_uint_eq(strlen(out.name), sizeof(out.name) - 1);
	dnstab_put_name(f, &n); /* what another has left harms no writer */
	ck_assert(dnstab_find_name(f, 1, 9, &out));
	f->magic++;
	ck_assert_int_eq(dnstab_check(f, DNSTAB_BYTES), -1);
}
END_TEST

START_TEST(test_every_prefix)
{
	size_t len;

	ck_assert_int_eq(dnstab_check(f, DNSTAB_BYTES), 0);
	for (len = 0; len < 4096; len++)
		ck_assert_int_eq(dnstab_check(f, len), -1);
	ck_assert_int_eq(dnstab_check(f, DNSTAB_BYTES - 1), -1);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what, *wire;
	size_t len;
	const char *text;
} texts[] = {
	{ "two labels", "\3one\7example", 13, "one.example" },
	{ "the root", "", 1, "." },
	{ "nothing", "", 0, "." },
	{ "an escape", "\4\033[2J\1x", 8, "\\027\\0912J.x" },
	{ "a dot in a label", "\3a.b", 5, "a\\046b" },
	{ "a zero in a label", "\3a\0b", 5, "a\\000b" },
	{ "a backslash", "\2\\a", 4, "\\092a" },
	{ "a label that lies", "\3one\77ex", 7, "one" },
};
/* clang-format on */

START_TEST(test_text)
{
	char text[DNSTAB_TEXT];
	struct guard g = guard_new(256);

	dnstab_text(
	    guard_put(&g, texts[_i].wire, texts[_i].len), texts[_i].len, text);
	ck_assert_str_eq(text, texts[_i].text);
	guard_free(&g);
}
END_TEST

START_TEST(test_long_text)
{
	char text[DNSTAB_TEXT];
	uint8_t wire[255];
	size_t i;

	memset(wire, 0xff, sizeof(wire));
	for (i = 0; i < sizeof(wire); i += 64)
		wire[i] = 63;
	for (i = 0; i <= sizeof(wire); i++) {
		dnstab_text(wire, i, text);
		ck_assert_uint_lt(strnlen(text, sizeof(text)), sizeof(text));
	}
	/* Whole bytes only, and perhaps the dot behind them. */
	ck_assert_ptr_nonnull(strstr(text + strlen(text) - 5, "255"));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dnstab");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_servers);
	tcase_add_test(tc, test_queries);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_greedy);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_every_prefix);
	tcase_add_loop_test(tc, test_text, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tc, test_long_text);
	return check_case("dnstab", tc);
}
