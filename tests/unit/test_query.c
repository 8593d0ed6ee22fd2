/*
 * DNS messages: a guest's query, what is sent on, what answers it, and what is
 * done to answers on their way.
 */

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "dnsd/names.h"
#include "dnsd/query.h"
#include "tests/check_main.h"

#include "guard.h"

#define HDR			"\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define HDR_AR			"\x12\x34\1\0\0\1\0\0\0\0\0\1"
#define NAME			"\3WWW\7example\0"
#define A_IN			"\0\1\0\1"
#define OPT(size, flags, rdlen) "\0\0\x29" size "\0\0" flags rdlen
#define MSG(s)			s, sizeof(s) - 1

static struct rd
msg(const char *p, size_t len)
{
	return rd_init(p, len);
}

/* clang-format off */
static const struct {
	const char *what;
	const char *p;
	size_t len;
	int ret;
	bool plain, edns, dnssec_ok;
	uint16_t size;
} queries[] = {
	{ "as simple as it gets", MSG(HDR NAME A_IN), 0,
	    true, false, false, 512 },
	{ "the root", MSG(HDR "\0" A_IN), 0, true, false, false, 512 },
	{ "EDNS", MSG(HDR_AR NAME A_IN OPT("\x10\0", "\0\0", "\0\0")), 0,
	    true, true, false, 4096 },
	{ "EDNS, less than the least", MSG(HDR_AR NAME A_IN
	    OPT("\0\x10", "\0\0", "\0\0")), 0, true, true, false, 512 },
	{ "DO", MSG(HDR_AR NAME A_IN OPT("\4\xd0", "\x80\0", "\0\0")), 0,
	    true, true, true, 1232 },
	{ "another flag", MSG(HDR_AR NAME A_IN OPT("\4\xd0", "\x40\0",
	    "\0\0")), 0, false, true, false, 1232 },
	{ "a cookie", MSG(HDR_AR NAME A_IN OPT("\4\xd0", "\0\0",
	    "\0\x0c" "\0\x0a\0\x08" "12345678")), 0, true, true, false, 1232 },
	{ "a client's subnet", MSG(HDR_AR NAME A_IN OPT("\4\xd0", "\0\0",
	    "\0\x08" "\0\x08\0\x04" "1234")), 0, false, true, false, 1232 },
	{ "a lying option", MSG(HDR_AR NAME A_IN OPT("\4\xd0", "\0\0",
	    "\0\x08" "\0\x08\0\x05" "1234")), -1, false, false, false, 0 },
	{ "another version", MSG(HDR_AR NAME A_IN "\0\0\x29\4\xd0\0\1\0\0\0\0"),
	    0, false, true, false, 1232 },
	{ "an OPT of somebody's", MSG(HDR_AR NAME A_IN
	    "\1a\0\0\x29\4\xd0\0\0\0\0\0\0"), -1,
	    false, false, false, 0 },
	{ "AD and CD", MSG("\x12\x34\1\x30\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    true, false, false, 512 },
	{ "AA", MSG("\x12\x34\5\0\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "TC", MSG("\x12\x34\3\0\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "RA", MSG("\x12\x34\1\x80\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "Z", MSG("\x12\x34\1\x40\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "a code", MSG("\x12\x34\1\1\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "two OPT", MSG("\x12\x34\1\0\0\1\0\0\0\0\0\2" NAME A_IN
	    OPT("\4\xd0", "\0\0", "\0\0") OPT("\4\xd0", "\0\0", "\0\0")), -1,
	    false, false, false, 0 },
	{ "NOTIFY", MSG("\x12\x34\x20\0\0\1\0\0\0\0\0\0" NAME A_IN), 0,
	    false, false, false, 512 },
	{ "a record besides", MSG("\x12\x34\1\0\0\1\0\1\0\0\0\0" NAME A_IN
	    "\xc0\x0c" A_IN "\0\0\0\1\0\4" "1234"), 0,
	    false, false, false, 512 },
	{ "an answer", MSG("\x12\x34\x81\0\0\1\0\0\0\0\0\0" NAME A_IN), -1,
	    false, false, false, 0 },
	{ "no question", MSG("\x12\x34\1\0\0\0\0\0\0\0\0\0"), -1,
	    false, false, false, 0 },
	{ "two questions", MSG("\x12\x34\1\0\0\2\0\0\0\0\0\0" NAME A_IN NAME
	    A_IN), -1, false, false, false, 0 },
	{ "a pointer for a name", MSG(HDR "\xc0\x0c" A_IN), -1,
	    false, false, false, 0 },
	{ "a pointer in the name", MSG(HDR "\1a\xc0\x0c" A_IN), -1,
	    false, false, false, 0 },
	{ "a label of an unknown kind", MSG(HDR "\x40" "a" A_IN), -1,
	    false, false, false, 0 },
	{ "bytes behind", MSG(HDR NAME A_IN "x"), -1, false, false, false, 0 },
	{ "records that are not there", MSG(HDR_AR NAME A_IN), -1,
	    false, false, false, 0 },
};
/* clang-format on */

START_TEST(test_parse)
{
	struct query q;

	ck_assert_msg(query_parse(msg(queries[_i].p, queries[_i].len), &q) ==
			  queries[_i].ret,
	    "%s", queries[_i].what);
	if (queries[_i].ret == -1)
		return;
	ck_assert_msg(q.plain == queries[_i].plain, "%s", queries[_i].what);
	ck_assert_msg(q.edns == queries[_i].edns, "%s", queries[_i].what);
	ck_assert_msg(
	    q.dnssec_ok == queries[_i].dnssec_ok, "%s", queries[_i].what);
	ck_assert_msg(q.udp_size == queries[_i].size, "%s", queries[_i].what);
	ck_assert_uint_eq(q.head.id, 0x1234);
}
END_TEST

/* Every prefix, at the end of a page behind which there is none. */
START_TEST(test_parse_prefixes)
{
	struct guard g = guard_new(4096);
	struct query q;
	struct rd r;
	size_t len;

	for (len = 0; len <= queries[_i].len; len++) {
		r = rd_init(guard_put(&g, queries[_i].p, len), len);
		ck_assert_int_eq(query_parse(r, &q),
		    len < queries[_i].len ? -1 : queries[_i].ret);
		/* What is left out of "bytes behind" is a good one. */
		if (queries[_i].ret == -1 && len + 2 >= queries[_i].len)
			break;
	}
	guard_free(&g);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
	const char *out;
	size_t outlen;
} forward[] = {
	{ "plain", MSG(HDR NAME A_IN),
	    MSG("\xab\xcd\1\0\0\1\0\0\0\0\0\0" "\3www\7example\0" A_IN) },
	{ "our UDP size, no cookie, DO stays",
	    MSG("\x12\x34\1\x30\0\1\0\0\0\0\0\1" NAME A_IN OPT("\x10\0",
	    "\x80\0", "\0\x0c" "\0\x0a\0\x08" "12345678")),
	    MSG("\xab\xcd\1\x30\0\1\0\0\0\0\0\1" "\3www\7example\0" A_IN
	    OPT("\4\xd0", "\x80\0", "\0\0")) },
	{ "what is not plain is not touched, but for the size",
	    MSG(HDR_AR NAME A_IN OPT("\x10\0", "\0\0",
	    "\0\x08" "\0\x08\0\x04" "1234")),
	    MSG("\xab\xcd\1\0\0\1\0\0\0\0\0\1" NAME A_IN OPT("\4\xd0", "\0\0",
	    "\0\x08" "\0\x08\0\x04" "1234")) },
	{ "what is for us ends here all the same",
	    MSG(HDR_AR NAME A_IN OPT("\2\0", "\x80\0", "\0\x1e"
	    "\0\x0a\0\x08" "12345678" "\0\x08\0\x04" "1234"
	    "\0\x0b\0\0" "\0\x0c\0\2" "\0\0")),
	    MSG("\xab\xcd\1\0\0\1\0\0\0\0\0\1" NAME A_IN OPT("\2\0",
	    "\x80\0", "\0\x08" "\0\x08\0\x04" "1234")) },
	{ "flags nobody knows", MSG("\x12\x34\1\x40\0\1\0\0\0\0\0\0" NAME
	    A_IN), MSG("\xab\xcd\1\x40\0\1\0\0\0\0\0\0" NAME A_IN) },
	{ "a signature is over all of it",
	    MSG("\x12\x34\1\0\0\1\0\0\0\0\0\2" NAME A_IN OPT("\x10\0", "\0\0",
	    "\0\0") "\1k\0\0\xfa\0\xff\0\0\0\0\0\1x"),
	    MSG("\xab\xcd\1\0\0\1\0\0\0\0\0\2" NAME A_IN OPT("\x10\0", "\0\0",
	    "\0\0") "\1k\0\0\xfa\0\xff\0\0\0\0\0\1x") },
};
/* clang-format on */

START_TEST(test_forward)
{
	/* The first four bytes of the name, of which three are letters. */
	static const uint8_t random[32] = { 0x0f };
	uint8_t out[600];
	struct query q;
	size_t n;

	ck_assert_int_eq(
	    query_parse(msg(forward[_i].in, forward[_i].inlen), &q), 0);
	n = query_forward(msg(forward[_i].in, forward[_i].inlen), &q, 0xabcd,
	    random, out, sizeof(out));
	ck_assert_msg(n == forward[_i].outlen, "%s", forward[_i].what);
	ck_assert_msg(
	    memcmp(out, forward[_i].out, n) == 0, "%s", forward[_i].what);
	ck_assert_uint_eq(query_forward(msg(forward[_i].in, forward[_i].inlen),
			      &q, 0xabcd, random, out, n - 1),
	    0);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *p;
	size_t len;
	const char *out; /* NULL: nothing */
} refused[] = {
	{ "two questions", MSG("\x12\x34\1\0\0\2\0\0\0\0\0\0" NAME A_IN NAME
	    A_IN), "\x12\x34\x81\x81\0\0\0\0\0\0\0\0" },
	{ "no question, no recursion", MSG("\x12\x34\0\0\0\0\0\0\0\0\0\0"),
	    "\x12\x34\x80\x81\0\0\0\0\0\0\0\0" },
	{ "two OPT", MSG("\x12\x34\1\0\0\1\0\0\0\0\0\2" NAME A_IN
	    OPT("\4\xd0", "\0\0", "\0\0") OPT("\4\xd0", "\0\0", "\0\0")),
	    "\x12\x34\x81\x81\0\0\0\0\0\0\0\0" },
	{ "stateful operations, RFC 8490", MSG("\x12\x34\x30\0\0\0\0\0\0\0"
	    "\0\0" "\0\1\0\0"), "\x12\x34\xb0\x84\0\0\0\0\0\0\0\0" },
	{ "an answer", MSG("\x12\x34\x81\0\0\2\0\0\0\0\0\0" NAME), NULL },
	{ "half a header", MSG("\x12\x34\1\0\0\2\0\0\0\0\0"), NULL },
	{ "nothing", "", 0, NULL },
};
/* clang-format on */

START_TEST(test_refuse)
{
	uint8_t out[DNS_HDRLEN];
	struct query q;
	size_t n;

	ck_assert_int_eq(
	    query_parse(msg(refused[_i].p, refused[_i].len), &q), -1);
	n = query_refuse(msg(refused[_i].p, refused[_i].len), out);
	ck_assert_msg(n == (refused[_i].out != NULL ? DNS_HDRLEN : 0), "%s",
	    refused[_i].what);
	if (n > 0)
		ck_assert_msg(memcmp(out, refused[_i].out, n) == 0, "%s",
		    refused[_i].what);
}
END_TEST

/* A guest that may choose everything but the secret makes no long chains. */
START_TEST(test_hash)
{
	static const char in[] = HDR NAME A_IN,
			  small[] = HDR "\3www\7example\0" A_IN;
	unsigned chain[1024] = { 0 }, i;
	struct query q;
	uint64_t h;

	ck_assert_int_eq(query_parse(msg(in, sizeof(in) - 1), &q), 0);
	h = query_hash(&q, 1);
	ck_assert(h != query_hash(&q, 2));
	ck_assert_int_eq(query_parse(msg(small, sizeof(small) - 1), &q), 0);
	ck_assert_uint_eq(query_hash(&q, 1), h);
	for (i = 0; i < 1024; i++) {
		q.head.type = (uint16_t)(i % 64 * 1024);
		q.head.class = (uint16_t)(i / 64);
		if (++chain[query_hash(&q, 4711) % 1024] > 16)
			ck_abort_msg("a long chain");
	}
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *p;
	size_t len;
	enum query_match want;
} answers[] = {
	{ "the same", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME A_IN),
	    MATCH_YES },
	{ "other letters", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0"
	    "\3www\7example\0" A_IN), MATCH_CASE },
	{ "another id", MSG("\x12\x35\x81\x80\0\1\0\0\0\0\0\0" NAME A_IN),
	    MATCH_NOT },
	{ "a query", MSG("\x12\x34\1\0\0\1\0\0\0\0\0\0" NAME A_IN),
	    MATCH_NOT },
	{ "another opcode", MSG("\x12\x34\xa1\x80\0\1\0\0\0\0\0\0" NAME A_IN),
	    MATCH_NOT },
	{ "another name", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0"
	    "\3wwx\7example\0" A_IN), MATCH_NOT },
	{ "a shorter name", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0"
	    "\3WWW\0" A_IN), MATCH_NOT },
	{ "another type", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME
	    "\0\2\0\1"), MATCH_NOT },
	{ "another class", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME
	    "\0\1\0\3"), MATCH_NOT },
	{ "no question", MSG("\x12\x34\x81\x80\0\0\0\0\0\0\0\0"), MATCH_NOT },
	{ "cut", MSG("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\1\0"),
	    MATCH_NOT },
	{ "nothing", "", 0, MATCH_NOT },
};
/* clang-format on */

START_TEST(test_match)
{
	static const char sent[] = HDR NAME A_IN;
	struct msg_head h;
	struct query q;

	ck_assert_int_eq(query_parse(msg(sent, sizeof(sent) - 1), &q), 0);
	ck_assert_msg(
	    query_match(&q, 0x1234, NULL, msg(answers[_i].p, answers[_i].len),
		&h) == answers[_i].want,
	    "%s", answers[_i].what);
}
END_TEST

/* The letters that count are those that were sent, not the guest's. */
START_TEST(test_match_mixed)
{
	static const char guest[] = HDR "\3www\7example\0" A_IN;
	static const uint8_t random[2] = { 0xff, 0xff },
			     other[2] = { 0xfd, 0xff };
	uint8_t sent[64];
	struct msg_head h;
	struct query q;
	size_t n;

	ck_assert_int_eq(query_parse(msg(guest, sizeof(guest) - 1), &q), 0);
	n = query_forward(msg(guest, sizeof(guest) - 1), &q, 0xabcd, random,
	    sent, sizeof(sent));
	ck_assert_uint_eq(n, sizeof(guest) - 1);
	sent[2] |= DNS_QR >> 8;
	ck_assert_int_eq(
	    query_match(&q, 0xabcd, random, rd_init(sent, n), &h), MATCH_YES);
	ck_assert_int_eq(
	    query_match(&q, 0xabcd, other, rd_init(sent, n), &h), MATCH_CASE);
	ck_assert_int_eq(
	    query_match(&q, 0xabcd, NULL, rd_init(sent, n), &h), MATCH_CASE);
	ck_assert_int_eq(
	    query_match(&q, 0xabce, random, rd_init(sent, n), &h), MATCH_NOT);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *p;
	size_t len;
	bool is;
} bare[] = {
	{ "FORMERR", MSG("\x12\x34\x81\x81\0\0\0\0\0\0\0\0"), true },
	{ "NOTIMP", MSG("\x12\x34\x80\4\0\0\0\0\0\0\0\0"), true },
	{ "another id", MSG("\x12\x35\x81\x81\0\0\0\0\0\0\0\0"), false },
	{ "a query", MSG("\x12\x34\1\x81\0\0\0\0\0\0\0\0"), false },
	{ "another opcode", MSG("\x12\x34\xa1\x81\0\0\0\0\0\0\0\0"), false },
	{ "no error", MSG("\x12\x34\x81\x80\0\0\0\0\0\0\0\0"), false },
	{ "no such name", MSG("\x12\x34\x81\x83\0\0\0\0\0\0\0\0"), false },
	{ "records it has not", MSG("\x12\x34\x81\x81\0\0\0\0\0\0\0\1"),
	    false },
	{ "a byte behind", MSG("\x12\x34\x81\x81\0\0\0\0\0\0\0\0\0"),
	    false },
	{ "cut", MSG("\x12\x34\x81\x81\0\0\0\0\0\0\0"), false },
};
/* clang-format on */

START_TEST(test_bare)
{
	static const char sent[] = HDR NAME A_IN;
	uint8_t out[DNS_BAREMAX];
	struct msg_head h;
	struct query q;
	size_t n;

	ck_assert_int_eq(query_parse(msg(sent, sizeof(sent) - 1), &q), 0);
	n = query_bare_error(
	    &q, 0x1234, msg(bare[_i].p, bare[_i].len), out, sizeof(out));
	ck_assert_msg(
	    n == (bare[_i].is ? sizeof(sent) - 1 : 0), "%s", bare[_i].what);
	if (n == 0)
		return;
	ck_assert_int_eq(
	    query_match(&q, 0x1234, NULL, rd_init(out, n), &h), MATCH_YES);
	ck_assert_uint_eq(h.flags & 15, bare[_i].p[3] & 15);
	ck_assert_uint_eq(query_bare_error(&q, 0x1234,
			      msg(bare[_i].p, bare[_i].len), out, n - 1),
	    0);
}
END_TEST

#define ANS(rcode, an, ns, ar)                                                 \
	"\x12\x34\x81" rcode "\0\1\0" an "\0" ns "\0" ar NAME A_IN
#define RR(ttl)                                                                \
	"\xc0\x0c" A_IN ttl "\0\4"                                             \
	"1234"
#define SOA(ttl, min)                                                          \
	"\xc0\x10\0\6\0\1" ttl "\0\x16"                                        \
	"\0\0"                                                                 \
	"\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1" min

/* clang-format off */
static const struct {
	const char *what;
	const char *p;
	size_t len;
	int ret;
	bool cacheable;
	uint32_t ttl;
} facts[] = {
	{ "one address", MSG(ANS("\x80", "\1", "\0", "\0") RR("\0\0\0\x3c")),
	    0, true, 60 },
	{ "the least of two", MSG(ANS("\x80", "\2", "\0", "\0")
	    RR("\0\0\0\x3c") RR("\0\0\0\7")), 0, true, 7 },
	{ "for no time", MSG(ANS("\x80", "\1", "\0", "\0") RR("\0\0\0\0")),
	    0, false, 0 },
	{ "a day at most", MSG(ANS("\x80", "\1", "\0", "\0")
	    RR("\x7f\0\0\0")), 0, true, 86400 },
	{ "a negative time", MSG(ANS("\x80", "\1", "\0", "\0")
	    RR("\xff\0\0\0")), 0, false, 0 },
	{ "no such name: the SOA's last field", MSG(ANS("\x83", "\0", "\1",
	    "\0") SOA("\0\0\1\0", "\0\0\0\x0a")), 0, true, 10 },
	{ "no such name: the SOA's time", MSG(ANS("\x83", "\0", "\1", "\0")
	    SOA("\0\0\0\5", "\0\0\0\x0a")), 0, true, 5 },
	{ "no such name: an hour at most", MSG(ANS("\x83", "\0", "\1", "\0")
	    SOA("\0\1\0\0", "\0\1\0\0")), 0, true, 3600 },
	{ "no such name, no SOA", MSG(ANS("\x83", "\0", "\0", "\0")),
	    0, false, 0 },
	{ "no such type", MSG(ANS("\x80", "\0", "\1", "\0")
	    SOA("\0\0\1\0", "\0\0\0\x0a")), 0, true, 10 },
	{ "an alias to nothing", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x10"), 0, false, 0 },
	{ "SERVFAIL", MSG(ANS("\x82", "\1", "\0", "\0") RR("\0\0\0\x3c")),
	    0, false, 0 },
	{ "cut by the server", MSG("\x12\x34\x83\x80\0\1\0\1\0\0\0\0" NAME
	    A_IN RR("\0\0\0\x3c")), 0, false, 0 },
	{ "bytes behind", MSG(ANS("\x80", "\1", "\0", "\0")
	    RR("\0\0\0\x3c") "x"), 0, false, 0 },
	{ "fewer records than it says", MSG(ANS("\x80", "\2", "\0", "\0")
	    RR("\0\0\0\x3c")), -1, false, 0 },
	{ "a record longer than the rest", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xc0\x0c" A_IN "\0\0\0\1\0\5" "1234"), -1, false, 0 },
	/* The owner is at 29. */
	{ "a pointer to itself", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xc0\x1d" A_IN "\0\0\0\1\0\4" "1234"), -1, false, 0 },
	{ "a pointer forward", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xc0\x20" A_IN "\0\0\0\1\0\4" "1234"), -1, false, 0 },
	{ "a pointer into the header", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xc0\2" A_IN "\0\0\0\1\0\4" "1234"), -1, false, 0 },
	{ "a pointer out of range", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\xff\xff" A_IN "\0\0\0\1\0\4" "1234"), -1, false, 0 },
	{ "a label, then a pointer", MSG(ANS("\x80", "\1", "\0", "\0")
	    "\1a\xc0\x0c" A_IN "\0\0\0\1\0\4" "1234"), 0, true, 1 },
	{ "an unknown type", MSG("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" NAME
	    "\xff\x01\0\1" "\xc0\x0c\xff\1\0\1\0\0\0\2\0\3" "abc"),
	    0, true, 2 },
};
/* clang-format on */

START_TEST(test_facts)
{
	struct rd r = msg(facts[_i].p, facts[_i].len);
	struct msg_facts f;
	struct msg_head h;

	ck_assert_int_eq(msg_head(r, &h), 0);
	ck_assert_msg(
	    msg_facts(r, &h, &f) == facts[_i].ret, "%s", facts[_i].what);
	if (facts[_i].ret == -1)
		return;
	ck_assert_msg(f.cacheable == facts[_i].cacheable, "%s", facts[_i].what);
	if (f.cacheable)
		ck_assert_msg(f.ttl == facts[_i].ttl, "%s", facts[_i].what);
}
END_TEST

START_TEST(test_facts_prefixes)
{
	struct msg_facts f;
	struct guard g = guard_new(4096);
	struct msg_head h;
	struct rd r;
	size_t len;

	for (len = 0; len <= facts[_i].len; len++) {
		r = rd_init(guard_put(&g, facts[_i].p, len), len);
		if (msg_head(r, &h) == 0 && len < facts[_i].len - 1)
			ck_assert(msg_facts(r, &h, &f) == -1 || f.len == len);
	}
	guard_free(&g);
}
END_TEST

/* 8.1 of the old test suite: 64 addresses of `anything' for very.big.name. */
START_TEST(test_cut)
{
	static const char question[] = "\4very\3big\4name\0" A_IN;
	static uint8_t m[4000] = "\0\1\x81\x80\0\1\0\x40\0\0\0\0";
	size_t n = 12 + sizeof(question) - 1, first = n, got;
	struct msg_head h;
	int i;

	memcpy(m + 12, question, sizeof(question) - 1);
	for (i = 0; i < 64; i++) {
		if (i == 0) {
			memcpy(m + n, "\10anything", 10);
			n += 10;
		} else {
			m[n++] = 0xc0;
			m[n++] = (uint8_t)first;
		}
		memcpy(m + n, A_IN "\0\0\0\0\0\4\x0a\0\0", 13);
		m[n + 13] = (uint8_t)i;
		n += 14;
	}
	ck_assert_int_eq(msg_head(rd_init(m, n), &h), 0);
	ck_assert_uint_eq(msg_cut(m, n, &h, n), n);
	got = msg_cut(m, n, &h, 512);
	ck_assert_uint_le(got, 512);
	ck_assert_int_eq(msg_head(rd_init(m, got), &h), 0);
	ck_assert_uint_eq(h.count[SEC_ANSWER], 29);
	ck_assert_uint_ne(h.flags & DNS_TC, 0);
}
END_TEST

/* Additional records can go without TC; OPT stays, without its options. */
START_TEST(test_cut_additional)
{
	uint8_t m[] = ANS("\x80", "\1", "\0", "\2") RR("\0\0\0\1")
	    RR("\0\0\0\1") OPT("\4\xd0", "\x80\0",
		"\0\x05"
		"\0\x0f\0\1"
		"x");
	size_t n = sizeof(m) - 1, got;
	struct msg_facts f;
	struct msg_head h;

	ck_assert_int_eq(msg_head(rd_init(m, n), &h), 0);
	got = msg_cut(m, n, &h, n - 1);
	ck_assert_uint_eq(got, 12 + 17 + 16 + 11);
	ck_assert_int_eq(msg_head(rd_init(m, got), &h), 0);
	ck_assert_int_eq(msg_facts(rd_init(m, got), &h, &f), 0);
	ck_assert_uint_eq(h.count[SEC_ANSWER], 1);
	ck_assert_uint_eq(h.count[SEC_ADDITIONAL], 1);
	ck_assert_uint_eq(h.flags & DNS_TC, 0);
	ck_assert_uint_ne(f.opt, 0);
}
END_TEST

/* Cut anywhere, by somebody else: what is whole stays. */
START_TEST(test_cut_broken)
{
	static const char whole[] = ANS("\x80", "\2", "\0", "\1") RR("\0\0\0\1")
	    RR("\0\0\0\1") OPT("\4\xd0", "\x80\0", "\0\0");
	const size_t first = 12 + 17, opt = sizeof(whole) - 1 - 11;
	uint8_t m[sizeof(whole)];
	struct msg_facts f;
	struct msg_head h;
	size_t n, got;

	for (n = first; n < sizeof(whole) - 1; n++) {
		memcpy(m, whole, n);
		ck_assert_int_eq(msg_head(rd_init(m, n), &h), 0);
		got = msg_cut(m, n, &h, n);
		ck_assert_uint_eq(
		    got, n - (n < opt ? (n - first) % 16 : n - opt));
		ck_assert_int_eq(msg_head(rd_init(m, got), &h), 0);
		ck_assert_int_eq(msg_facts(rd_init(m, got), &h, &f), 0);
		ck_assert_uint_eq(h.count[SEC_ANSWER], (got - first) / 16);
		ck_assert_uint_eq(h.count[SEC_ADDITIONAL], 0);
		ck_assert_uint_ne(h.flags & DNS_TC, 0);
	}
}
END_TEST

START_TEST(test_age)
{
	uint8_t m[] = ANS("\x80", "\2", "\0", "\1") RR("\0\0\0\x3c")
	    RR("\0\0\0\5") OPT("\4\xd0", "\x80\0", "\0\0");
	uint8_t want[] = ANS("\x80", "\2", "\0", "\1") RR("\0\0\0\x32")
	    RR("\0\0\0\1") OPT("\4\xd0", "\x80\0", "\0\0");
	size_t n = sizeof(m) - 1;
	struct msg_head h;

	ck_assert_int_eq(msg_head(rd_init(m, n), &h), 0);
	msg_age(m, n, &h, 10, 1);
	ck_assert_mem_eq(m, want, n);
}
END_TEST

START_TEST(test_case)
{
	uint8_t m[] = ANS("\x80", "\3", "\0", "\0")
	    RR("\0\0\0\x3c") "\3wWw\7eXample\0" A_IN "\0\0\0\1\0\4"
			     "1234"
			     "\3wWx\7eXample\0" A_IN "\0\0\0\1\0\4"
			     "1234";
	uint8_t want[] =
	    "\x12\x34\x81\x80\0\1\0\3\0\0\0\0"
	    "\3www\7example\0" A_IN RR("\0\0\0\x3c") "\3www\7example\0" A_IN
						     "\0\0\0\1\0\4"
						     "1234"
						     "\3wWx\7eXample\0" A_IN
						     "\0\0\0\1\0\4"
						     "1234";
	size_t n = sizeof(m) - 1;
	struct msg_head h;

	ck_assert_int_eq(msg_head(rd_init(m, n), &h), 0);
	msg_set_case(m, n, &h, (const uint8_t *)"\3www\7example", 13);
	ck_assert_mem_eq(m, want, n);
}
END_TEST

/* What we write ourselves is read by somebody else's parser. */
static ldns_pkt *
parsed(const uint8_t *p, size_t len)
{
	ldns_pkt *pkt = NULL;

	ck_assert_int_eq(ldns_wire2pkt(&pkt, p, len), LDNS_STATUS_OK);
	return pkt;
}

START_TEST(test_build)
{
	static const char in[] =
	    HDR_AR NAME "\0\x1c\0\1" OPT("\x10\0", "\x80\0", "\0\0");
	struct query_reply a = { .ede = DNS_EDE_NONE };
	struct rd r = msg(in, sizeof(in) - 1);
	struct ipaddr ip[2];
	uint8_t out[600];
	struct query q;
	ldns_pkt *pkt;
	char *text;
	size_t n;

	ck_assert_int_eq(ipaddr_parse("fd00::1", &ip[0]), 0);
	ck_assert_int_eq(ipaddr_parse("fd00::2", &ip[1]), 0);
	a.ip = ip;
	a.nip = 2;
	ck_assert_int_eq(query_parse(r, &q), 0);
	n = query_build(r, &q, &a, out, sizeof(out));
	pkt = parsed(out, n);
	ck_assert_uint_eq(ldns_pkt_id(pkt), 0x1234);
	ck_assert(ldns_pkt_qr(pkt) && ldns_pkt_ra(pkt) && ldns_pkt_rd(pkt));
	ck_assert(ldns_pkt_edns(pkt) && ldns_pkt_edns_do(pkt));
	ck_assert_uint_eq(ldns_pkt_ancount(pkt), 2);
	text = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(pkt), 1));
	ck_assert_str_eq(text, "WWW.example.\t0\tIN\tAAAA\tfd00::2\n");
	free(text);
	ldns_pkt_free(pkt);
	for (; n > 0; n--)
		ck_assert(query_build(r, &q, &a, out, n - 1) < n);
}
END_TEST

/* RFC 6891 6.1.3: half of this code is in the OPT record. */
START_TEST(test_build_badvers)
{
	static const char in[] = HDR_AR NAME A_IN "\0\0\x29\4\xd0\0\1\0\0\0\0";
	struct query_reply a = { .rcode = DNS_BADVERS, .ede = DNS_EDE_NONE };
	struct rd r = msg(in, sizeof(in) - 1);
	uint8_t out[600];
	struct query q;
	ldns_pkt *pkt;
	size_t n;

	ck_assert_int_eq(query_parse(r, &q), 0);
	ck_assert_uint_eq(q.version, 1);
	n = query_build(r, &q, &a, out, sizeof(out));
	pkt = parsed(out, n);
	ck_assert_int_eq(ldns_pkt_get_rcode(pkt), 0);
	ck_assert_uint_eq(ldns_pkt_edns_extended_rcode(pkt), 1);
	ck_assert_uint_eq(ldns_pkt_edns_version(pkt), 0);
	ldns_pkt_free(pkt);
}
END_TEST

START_TEST(test_build_error)
{
	static const char in[] = HDR_AR NAME A_IN OPT("\x10\0", "\0\0", "\0\0");
	struct query_reply a = { .rcode = DNS_SERVFAIL,
		.ede = DNS_EDE_NO_REACHABLE,
		.text = "why" };
	struct rd r = msg(in, sizeof(in) - 1);
	uint8_t out[600];
	struct query q;
	ldns_pkt *pkt;
	ldns_rdf *edns;
	size_t n;

	ck_assert_int_eq(query_parse(r, &q), 0);
	n = query_build(r, &q, &a, out, sizeof(out));
	pkt = parsed(out, n);
	ck_assert_int_eq(ldns_pkt_get_rcode(pkt), LDNS_RCODE_SERVFAIL);
	edns = ldns_pkt_edns_data(pkt);
	ck_assert_ptr_nonnull(edns);
	ck_assert_uint_eq(ldns_rdf_size(edns), 9);
	ck_assert_mem_eq(ldns_rdf_data(edns),
	    "\0\x0f\0\5\0\x16"
	    "why",
	    9);
	ldns_pkt_free(pkt);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("query");

	tcase_add_loop_test(tc, test_parse, 0, nitems(queries));
	tcase_add_loop_test(tc, test_parse_prefixes, 0, nitems(queries));
	tcase_add_loop_test(tc, test_forward, 0, nitems(forward));
	tcase_add_loop_test(tc, test_refuse, 0, nitems(refused));
	tcase_add_test(tc, test_hash);
	tcase_add_loop_test(tc, test_match, 0, nitems(answers));
	tcase_add_test(tc, test_match_mixed);
	tcase_add_loop_test(tc, test_bare, 0, nitems(bare));
	tcase_add_loop_test(tc, test_facts, 0, nitems(facts));
	tcase_add_loop_test(tc, test_facts_prefixes, 0, nitems(facts));
	tcase_add_test(tc, test_cut);
	tcase_add_test(tc, test_cut_additional);
	tcase_add_test(tc, test_cut_broken);
	tcase_add_test(tc, test_age);
	tcase_add_test(tc, test_case);
	tcase_add_test(tc, test_build);
	tcase_add_test(tc, test_build_badvers);
	tcase_add_test(tc, test_build_error);
	return check_case("query", tc);
}
