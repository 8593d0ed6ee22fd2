/*
 * The question for a name's addresses, and what an answer says of them.
 */

#include <string.h>

#include "dnsd/answer.h"
#include "dnsd/query.h"
#include "guard.h"
#include "tests/check_main.h"

#define HEAD(an) "\x01\x02\x81\x80\0\1\0" an "\0\0\0\0"
#define QUESTION "\3www\7example\0\0\x1c\0\1"
#define PTR	 "\xc0\x0c"
#define IN(t, l) "\0" t "\0\1\0\0\0\7\0" l
#define AAAA	 PTR IN("\x1c", "\x10") "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
#define A	 PTR IN("\1", "\4") "\xc0\0\2\1"
#define ALIAS	 PTR IN("\5", "\6") "\3alt" PTR
#define TEXT(s)	 s, sizeof(s) - 1

/* clang-format off */
static const struct {
	const char *what;
	int family;
	const char *msg;
	size_t len;
	int ret;
	size_t nip;
	const char *first;
} rows[] = {
	{ "AAAA", 6, TEXT(HEAD("\1") QUESTION AAAA), 0, 1, "2001:db8::7" },
	{ "A", 4, TEXT(HEAD("\1") QUESTION A), 0, 1, "192.0.2.1" },
	{ "behind an alias", 6, TEXT(HEAD("\2") QUESTION ALIAS AAAA), 0, 1,
	    "2001:db8::7" },
	{ "two", 6, TEXT(HEAD("\2") QUESTION AAAA AAAA), 0, 2, "2001:db8::7" },
	{ "of both families", 6, TEXT(HEAD("\2") QUESTION A AAAA), 0, 1,
	    "2001:db8::7" },
	{ "of both, IPv4", 4, TEXT(HEAD("\2") QUESTION AAAA A), 0, 1,
	    "192.0.2.1" },
	{ "only the other", 6, TEXT(HEAD("\1") QUESTION A), 0, 0, NULL },
	{ "none", 6, TEXT(HEAD("\0") QUESTION), 0, 0, NULL },
	{ "a question", 6, TEXT("\1\2\1\0\0\1\0\0\0\0\0\0" QUESTION), -1, 0,
	    NULL },
	{ "AAAA of 4 bytes", 6,
	    TEXT(HEAD("\1") QUESTION PTR IN("\x1c", "\4") "\1\2\3\4"), -1, 0,
	    NULL },
	{ "A of 16 bytes", 4, TEXT(HEAD("\1") QUESTION PTR IN("\1", "\x10")
	    "0123456789abcdef"), -1, 0, NULL },
	{ "fewer records than it says", 6, TEXT(HEAD("\2") QUESTION AAAA), -1,
	    0, NULL },
};
/* clang-format on */

START_TEST(answers)
{
	struct rd msg = rd_init(rows[_i].msg, rows[_i].len);
	char text[IPADDR_STRLEN];
	struct answer a;
	uint16_t id;

	ck_assert_int_eq(answer_parse(msg, rows[_i].family, &a), rows[_i].ret);
	if (rows[_i].ret == -1)
		return;
	ck_assert_uint_eq(a.nip, rows[_i].nip);
	ck_assert_uint_eq(a.id, 0x102);
	ck_assert_int_eq(answer_id(msg, &id), 0);
	ck_assert_uint_eq(id, 0x102);
	if (a.nip > 0)
		ck_assert_str_eq(ipaddr_str(&a.ip[0], text), rows[_i].first);
}
END_TEST

START_TEST(every_prefix)
{
	struct guard g = guard_new(rows[_i].len);
	struct answer a;
	uint16_t id;
	size_t n;

	for (n = 0; n < rows[_i].len; n++) {
		struct rd cut = rd_init(guard_put(&g, rows[_i].msg, n), n);

		ck_assert_int_eq(answer_parse(cut, rows[_i].family, &a), -1);
		(void)answer_id(cut, &id);
	}
	guard_free(&g);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what, *name;
	int family;
	const char *want;
	size_t len;
} queries[] = {
	{ "IPv4", "www.example", 4,
	    TEXT("\0\x1d\1\2\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1") },
	{ "IPv6", "www.example.", 6,
	    TEXT("\0\x1d\1\2\1\0\0\1\0\0\0\0\0\0" QUESTION) },
	{ "an empty label", "www..example", 6, "", 0 },
	{ "nothing", "", 6, "", 0 },
	{ "the root", ".", 6, "", 0 },
};
/* clang-format on */

START_TEST(questions)
{
	uint8_t out[ANSWER_QUERYMAX];
	size_t n =
	    answer_query(out, 0x102, queries[_i].name, queries[_i].family);

	ck_assert_msg(n == queries[_i].len, "%s: %zu", queries[_i].what, n);
	ck_assert_mem_eq(out, queries[_i].want, n);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("answer");

	tcase_add_loop_test(tc, answers, 0, nitems(rows));
	tcase_add_loop_test(tc, every_prefix, 0, nitems(rows));
	tcase_add_loop_test(tc, questions, 0, nitems(queries));
	return check_case("answer", tc);
}
