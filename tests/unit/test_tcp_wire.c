/*
 * TCP headers from and to the wire.
 */

#include <string.h>

#include "netstackd/core/tcp_wire.h"
#include "tests/check_main.h"
#include "tests/unit/guard.h"

/* Ports 1 and 2, seq 3, ack 4, ACK, window 5; the offset comes first. */
#define HDR(off, flags)                                                        \
	"\0\1\0\2"                                                             \
	"\0\0\0\3"                                                             \
	"\0\0\0\4" off flags "\0\5\0\0\0\0"

/* clang-format off */
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
	int ret;
	size_t payload;
	struct tcp_opts opt;
} cases[] = {
	{ "no options, no data", HDR("\x50", "\x10"), 20, 0, 0, { 0 } },
	{ "data", HDR("\x50", "\x18") "hello", 25, 0, 5, { 0 } },
	{ "offset below the header", HDR("\x40", "\x10"), 20, -1, 0, { 0 } },
	{ "offset beyond the end", HDR("\x60", "\x10"), 20, -1, 0, { 0 } },
	{ "mss", HDR("\x60", "\x02") "\2\4\5\xb4", 24, 0, 0,
	    { .has = TCPO_MSS, .mss = 1460 } },
	{ "mss too short", HDR("\x60", "\x02") "\2\3\5\0", 24, -1, 0, { 0 } },
	{ "mss too long", HDR("\x70", "\x02") "\2\5\5\0\0\0\0\0", 28, -1, 0,
	    { 0 } },
	{ "everything of a SYN", HDR("\xa0", "\x02")
	    "\2\4\5\xb4\4\2\10\12\0\0\0\7\0\0\0\0\1\3\3\7", 40, 0, 0,
	    { .has = TCPO_MSS | TCPO_SACKOK | TCPO_TS | TCPO_WSCALE,
	    .mss = 1460, .tsval = 7, .wscale = 7 } },
	{ "one sack block", HDR("\x80", "\x10")
	    "\1\1\5\12\0\0\0\1\0\0\0\2", 32, 0, 0,
	    { .nsack = 1, .sack = { { 1, 2 } } } },
	{ "half a sack block", HDR("\x80", "\x10")
	    "\5\14\0\0\0\1\0\0\0\2\0\0", 32, -1, 0, { 0 } },
	{ "empty sack", HDR("\x60", "\x10") "\5\2\1\1", 24, -1, 0, { 0 } },
	{ "unknown option skipped", HDR("\x60", "\x10") "\376\4ab", 24, 0, 0,
	    { 0 } },
	{ "option of length 0", HDR("\x60", "\x10") "\376\0ab", 24, -1, 0,
	    { 0 } },
	{ "option of length 1", HDR("\x60", "\x10") "\376\1ab", 24, -1, 0,
	    { 0 } },
	{ "option beyond the header", HDR("\x60", "\x10") "\376\5abcd", 26,
	    -1, 0, { 0 } },
	{ "kind without length", HDR("\x60", "\x10") "\1\1\1\2", 24, -1, 0,
	    { 0 } },
	{ "nothing read behind the end", HDR("\x60", "\x10") "\0\2\0\0", 24,
	    0, 0, { 0 } },
};
/* clang-format on */
#define NCASE (int)(sizeof(cases) / sizeof(cases[0]))

static void
check_opts(const struct tcp_opts *a, const struct tcp_opts *b)
{
	int i;

	ck_assert_uint_eq(a->has, b->has);
	ck_assert_uint_eq(a->mss, b->mss);
	ck_assert_uint_eq(a->wscale, b->wscale);
	ck_assert_uint_eq(a->tsval, b->tsval);
	ck_assert_uint_eq(a->tsecr, b->tsecr);
	ck_assert_uint_eq(a->nsack, b->nsack);
	for (i = 0; i < a->nsack; i++) {
		ck_assert_uint_eq(a->sack[i].start, b->sack[i].start);
		ck_assert_uint_eq(a->sack[i].end, b->sack[i].end);
	}
}

START_TEST(test_parse)
{
	struct guard g = guard_new(4096);
	struct tcp_seg s;
	void *p = guard_put(&g, cases[_i].in, cases[_i].inlen);

	ck_assert_msg(
	    tcp_parse(rd_init(p, cases[_i].inlen), &s) == cases[_i].ret, "%s",
	    cases[_i].what);
	if (cases[_i].ret == 0) {
		ck_assert_uint_eq(s.sport, 1);
		ck_assert_uint_eq(s.dport, 2);
		ck_assert_uint_eq(s.seq, 3);
		ck_assert_uint_eq(s.ack, 4);
		ck_assert_uint_eq(s.wnd, 5);
		ck_assert_uint_eq(s.data.len, cases[_i].payload);
		check_opts(&s.opt, &cases[_i].opt);
	}
	guard_free(&g);
}
END_TEST

/* Cut anywhere in its header, a good segment is a bad one. */
START_TEST(test_prefixes)
{
	struct guard g = guard_new(4096);
	size_t len, hdrlen = cases[_i].inlen - cases[_i].payload;
	struct tcp_seg s;
	void *p;

	for (len = 0; cases[_i].ret == 0 && len < hdrlen; len++) {
		p = guard_put(&g, cases[_i].in, len);
		ck_assert_msg(tcp_parse(rd_init(p, len), &s) == -1,
		    "%s, %zu bytes", cases[_i].what, len);
	}
	guard_free(&g);
}
END_TEST

/* clang-format off */
static const struct {
	struct tcp_opts opt;
	size_t len;
} written[] = {
	{ { 0 }, 20 },
	{ { .has = TCPO_MSS, .mss = 65481 }, 24 },
	{ { .has = TCPO_SACKOK }, 24 },
	{ { .has = TCPO_WSCALE, .wscale = 7 }, 24 },
	{ { .has = TCPO_TS, .tsval = 9, .tsecr = 10 }, 32 },
	{ { .has = TCPO_MSS | TCPO_SACKOK | TCPO_TS | TCPO_WSCALE,
	    .mss = 1, .wscale = 2, .tsval = 3, .tsecr = 4 }, 40 },
	{ { .nsack = 4, .sack = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } } },
	    56 },
	{ { .has = TCPO_TS, .tsval = 9, .nsack = 3,
	    .sack = { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, 60 },
};
/* clang-format on */

START_TEST(test_write_and_read)
{
	struct tcp_seg in, s = { .sport = 80,
		.dport = 4096,
		.seq = 0xfffffff0,
		.ack = 0x01020304,
		.flags = TCP_ACK | TCP_PSH,
		.wnd = 0xfedc };
	struct guard g = guard_new(4096);
	uint8_t *p = g.map + g.room - written[_i].len;

	s.opt = written[_i].opt;
	ck_assert_uint_eq(tcp_hdrlen(&s), written[_i].len);
	tcp_write(p, &s);
	ck_assert_int_eq(tcp_parse(rd_init(p, written[_i].len), &in), 0);
	ck_assert_uint_eq(in.sport, s.sport);
	ck_assert_uint_eq(in.dport, s.dport);
	ck_assert_uint_eq(in.seq, s.seq);
	ck_assert_uint_eq(in.ack, s.ack);
	ck_assert_uint_eq(in.flags, s.flags);
	ck_assert_uint_eq(in.wnd, s.wnd);
	ck_assert_uint_eq(in.data.len, 0);
	check_opts(&in.opt, &s.opt);
	guard_free(&g);
}
END_TEST

/* Against bytes made by hand, not by our own writer. */
START_TEST(test_write_bytes)
{
	static const uint8_t want[] = { 0, 80, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 2,
		0x80, 0x12, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4, 1, 1, 4, 2,
		1, 3, 3, 7 };
	struct tcp_seg s = { .sport = 80,
		.dport = 4096,
		.seq = 1,
		.ack = 2,
		.flags = TCP_SYN | TCP_ACK,
		.wnd = 0xffff,
		.opt = { .has = TCPO_MSS | TCPO_SACKOK | TCPO_WSCALE,
		    .mss = 1460,
		    .wscale = 7 } };
	uint8_t got[TCP_HDRLEN_MAX];

	ck_assert_uint_eq(tcp_hdrlen(&s), sizeof(want));
	tcp_write(got, &s);
	ck_assert_mem_eq(got, want, sizeof(want));
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("header");

	tcase_add_loop_test(tc, test_parse, 0, NCASE);
	tcase_add_loop_test(tc, test_prefixes, 0, NCASE);
	tcase_add_loop_test(
	    tc, test_write_and_read, 0, sizeof(written) / sizeof(written[0]));
	tcase_add_test(tc, test_write_bytes);
	return check_case("tcp_wire", tc);
}
