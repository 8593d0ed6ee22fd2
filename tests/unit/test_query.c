/*
 * DNS messages: which queries are taken, which answers fit them, and what we
 * answer ourselves.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dnsd/query.h"

#include "tests/unit/guard.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define MSG(s)	  s, sizeof(s) - 1

/* Header: id, flags, counts.  Q, RD set; A, an answer with RA. */
#define HDR(flags) "\x12\x34" flags "\0\1\0\0\0\0\0\0"
#define Q	   HDR("\1\0")
#define NAME	   "\4host\10internal\0"
#define A_IN	   "\0\1\0\1"

/* clang-format off */
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
	int ret;
	size_t qlen;
} queries[] = {
	{ "plain",		MSG(Q NAME A_IN),		0, 19 },
	{ "root",		MSG(Q "\0\0\2\0\1"),		0, 5 },
	{ "EDNS behind",
	    MSG("\x12\x34\1\0\0\1\0\0\0\0\0\1" NAME A_IN
	    "\0\0\x29\x10\0\0\0\0\0\0\0"),			0, 19 },
	{ "an answer",		MSG(HDR("\x81\0") NAME A_IN),	-1, 0 },
	{ "no question",
	    MSG("\x12\x34\1\0\0\0\0\0\0\0\0\0"),		-1, 0 },
	{ "two questions",
	    MSG("\x12\x34\1\0\0\2\0\0\0\0\0\0" NAME A_IN NAME A_IN), -1, 0 },
	{ "pointer in the name", MSG(Q "\xc0\x0c" A_IN),	-1, 0 },
	{ "label of 64",	MSG(Q "\x40" NAME A_IN),	-1, 0 },
	{ "name without end",	MSG(Q "\4host\10internal"),	-1, 0 },
	{ "class cut off",	MSG(Q NAME "\0\1\0"),		-1, 0 },
	{ "header only",	MSG(Q),				-1, 0 },
	{ "empty",		MSG(""),			-1, 0 },
};

/* Of the query "plain", sent with the id 0x5678. */
#define AHDR(id, flags) id flags "\0\1\0\0\0\0\0\0"
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
	bool ok;
} answers[] = {
	{ "plain",	MSG(AHDR("\x56\x78", "\x81\x80") NAME A_IN), true },
	{ "NXDOMAIN",	MSG(AHDR("\x56\x78", "\x81\x83") NAME A_IN), true },
	{ "other case",
	    MSG(AHDR("\x56\x78", "\x81\x80") "\4HOST\10Internal\0" A_IN), true },
	{ "other id",	MSG(AHDR("\x56\x79", "\x81\x80") NAME A_IN), false },
	{ "guest's id",	MSG(AHDR("\x12\x34", "\x81\x80") NAME A_IN), false },
	{ "a query",	MSG(AHDR("\x56\x78", "\x01\x00") NAME A_IN), false },
	{ "other opcode", MSG(AHDR("\x56\x78", "\x89\x80") NAME A_IN), false },
	{ "other type",
	    MSG(AHDR("\x56\x78", "\x81\x80") NAME "\0\x1c\0\1"), false },
	{ "type that differs in one bit as letters do",
	    MSG(AHDR("\x56\x78", "\x81\x80") NAME "\0\x21\0\1"), false },
	{ "other class",
	    MSG(AHDR("\x56\x78", "\x81\x80") NAME "\0\1\0\3"), false },
	{ "other name",
	    MSG(AHDR("\x56\x78", "\x81\x80") "\4hose\10internal\0" A_IN), false },
	{ "longer name",
	    MSG(AHDR("\x56\x78", "\x81\x80") "\4host\10internal\1a\0" A_IN),
	    false },
	{ "no question",
	    MSG("\x56\x78\x81\x82\0\0\0\0\0\0\0\0"), false },
	{ "cut",	MSG(AHDR("\x56\x78", "\x81\x80") NAME "\0\1\0"), false },
	{ "empty",	MSG(""), false },
};
/* clang-format on */

static const char plain[] = Q NAME A_IN;
static const struct rd plain_msg = { (const uint8_t *)plain,
	sizeof(plain) - 1 };

START_TEST(test_parse)
{
	struct query q;

	ck_assert_msg(query_parse(rd_init(queries[_i].in, queries[_i].inlen),
			  &q) == queries[_i].ret,
	    "%s", queries[_i].what);
	if (queries[_i].ret == -1)
		return;
	ck_assert_uint_eq(q.id, 0x1234);
	ck_assert_uint_eq(q.qlen, queries[_i].qlen);
	ck_assert_uint_eq(q.namelen, queries[_i].qlen - 4);
}
END_TEST

/* No prefix of the header and the question is a query. */
START_TEST(test_prefixes)
{
	struct guard g = guard_new(512);
	struct query q;
	size_t n;
	int ret;

	for (n = 0; n <= queries[_i].inlen; n++) {
		ret = query_parse(
		    rd_init(guard_put(&g, queries[_i].in, n), n), &q);
		if (n < DNS_HDRLEN + queries[_i].qlen || queries[_i].ret == -1)
			ck_assert_msg(ret == -1, "%s", queries[_i].what);
		else
			ck_assert_msg(ret == 0, "%s", queries[_i].what);
	}
	guard_free(&g);
}
END_TEST

START_TEST(test_answers)
{
	struct guard g = guard_new(512);
	struct query q;
	size_t n;

	ck_assert_int_eq(query_parse(plain_msg, &q), 0);
	ck_assert_msg(
	    query_answered_by(&q, 0x5678,
		rd_init(answers[_i].in, answers[_i].inlen)) == answers[_i].ok,
	    "%s", answers[_i].what);
	for (n = 0; n < answers[_i].inlen; n++)
		ck_assert_msg(!query_answered_by(&q, 0x5678,
				  rd_init(guard_put(&g, answers[_i].in, n), n)),
		    "%zu bytes of %s", n, answers[_i].what);
	guard_free(&g);
}
END_TEST

static size_t
build(const char *msg, size_t len, enum dns_rcode rcode, size_t nip, size_t max,
    uint8_t *out, size_t outlen)
{
	static const uint32_t ip[DNS_MAXIPS] = { 0xc0a84102, 0xc0a84103 };
	struct query_reply a = { rcode, ip, nip, max };
	struct query q;

	ck_assert_int_eq(query_parse(rd_init(msg, len), &q), 0);
	return query_build(rd_init(msg, len), &q, &a, out, outlen);
}

START_TEST(test_build_a)
{
	static const char want[] =
	    "\x12\x34\x81\x80\0\1\0\2\0\0\0\0" NAME A_IN "\xc0\x0c" A_IN
	    "\0\0\0\0\0\4\xc0\xa8\x41\x02"
	    "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\x03";
	uint8_t out[DNS_UDPMAX];

	ck_assert_uint_eq(build(plain, sizeof(plain) - 1, DNS_NOERROR, 2,
			      DNS_UDPMAX, out, sizeof(out)),
	    sizeof(want) - 1);
	ck_assert_mem_eq(out, want, sizeof(want) - 1);
}
END_TEST

/* RD and opcode are the guest's; CD, AD and its EDNS do not come back. */
START_TEST(test_build_error)
{
	static const char in[] = "\x12\x34\x20\x30\0\1\0\0\0\0\0\1" NAME A_IN
				 "\0\0\x29\x10\0\0\0\0\0\0\0";
	static const char want[] = "\x12\x34\xa0\x84\0\1\0\0\0\0\0\0" NAME A_IN;
	uint8_t out[DNS_UDPMAX];

	ck_assert_uint_eq(build(in, sizeof(in) - 1, DNS_NOTIMP, 0, DNS_UDPMAX,
			      out, sizeof(out)),
	    sizeof(want) - 1);
	ck_assert_mem_eq(out, want, sizeof(want) - 1);
}
END_TEST

/* RFC 2181 9: whole records only, and TC. */
START_TEST(test_build_cut)
{
	uint8_t out[2048];
	size_t n;

	n = build(plain, sizeof(plain) - 1, DNS_NOERROR, DNS_MAXIPS, DNS_UDPMAX,
	    out, sizeof(out));
	ck_assert_uint_eq(out[7], (DNS_UDPMAX - 31) / 16);
	ck_assert_uint_eq(n, 31 + (size_t)out[7] * 16);
	ck_assert_uint_eq(out[2], 0x83);
	n = build(plain, sizeof(plain) - 1, DNS_NOERROR, DNS_MAXIPS, DNS_MAXMSG,
	    out, sizeof(out));
	ck_assert_uint_eq(out[7], DNS_MAXIPS);
	ck_assert_uint_eq(n, 31 + DNS_MAXIPS * 16);
	ck_assert_uint_eq(out[2], 0x81);
}
END_TEST

START_TEST(test_build_no_room)
{
	uint8_t out[30];

	ck_assert_uint_eq(build(plain, sizeof(plain) - 1, DNS_NOERROR, 1,
			      DNS_UDPMAX, out, sizeof(out)),
	    0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("query");
	TCase *tc = tcase_create("query");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, test_parse, 0, (int)nitems(queries));
	tcase_add_loop_test(tc, test_prefixes, 0, (int)nitems(queries));
	tcase_add_loop_test(tc, test_answers, 0, (int)nitems(answers));
	tcase_add_test(tc, test_build_a);
	tcase_add_test(tc, test_build_error);
	tcase_add_test(tc, test_build_cut);
	tcase_add_test(tc, test_build_no_room);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
