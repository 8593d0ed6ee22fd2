#include "tests/check_main.h"

#include "nettest.h"

#define MAXDATA 65507

static struct nettest t;
static uint8_t data[8 + MAXDATA + 64]; /* a UDP datagram, header and all */
static size_t datalen;

static void
setup(void)
{
	nt_init(&t);
}

static void
teardown(void)
{
	nt_fini(&t);
}

static void
make(size_t len)
{
	uint8_t f[NET_MAXFRAME + 64];
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 13 >> 2);
	(void)nt_build_udp(&t, f, 1000, NT_REMOTE, 99, data, len);
	datalen = 8 + len;
	memcpy(data, f + FRAME_HDRLEN, datalen);
}

static void
frag(uint16_t id, size_t from, size_t to, bool more)
{
	uint8_t f[NET_MAXFRAME + 64];
	size_t len;

	len = nt_build(
	    &t, f, NT_GUEST, NT_REMOTE, IPPROTO4_UDP, data + from, to - from);
	put_u16(f + 18, id);
	put_u16(f + 20, (uint16_t)(from / 8 | (more ? IP4_MF : 0)));
	nt_resum(f);
	nt_frame(&t, f, len);
}

/* Exactly this datagram, once, has reached the flow. */
static void
expect(bool whole)
{
	const struct nt_dgram *d;

	nt_flush(&t);
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], whole);
	if (!whole) {
		ck_assert_uint_eq(t.nopen, 0);
		return;
	}
	nt_opened(&t, nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99));
	d = nt_sent(&t);
	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(d->len, datalen - 8);
	ck_assert_mem_eq(d->p, data + 8, d->len);
	ck_assert_ptr_null(nt_sent(&t));
}

#define END 1000 /* of the datagram */

struct piece {
	size_t from, to;
};

/* The last byte says that no more fragments follow. */
static const struct {
	const char *what;
	struct piece p[8]; /* up to { 0, 0 } */
	bool whole;
	uint64_t bad;
} cases[] = {
	{ "in order", { { 0, 400 }, { 400, 800 }, { 800, END } }, true, 0 },
	{ "reversed", { { 800, END }, { 400, 800 }, { 0, 400 } }, true, 0 },
	{ "middle last", { { 0, 400 }, { 800, END }, { 400, 800 } }, true, 0 },
	{ "repeated",
	    { { 0, 400 }, { 0, 400 }, { 800, END }, { 800, END },
		{ 400, 800 } },
	    true, 0 },
	{ "part repeated", { { 0, 400 }, { 80, 160 }, { 400, END } }, true, 0 },
	{ "one missing", { { 0, 400 }, { 800, END } }, false, 0 },
	{ "end missing", { { 0, 400 }, { 400, 800 } }, false, 0 },
	{ "start missing", { { 400, 800 }, { 800, END } }, false, 0 },
	{ "overlap at the end", { { 0, 408 }, { 400, 800 }, { 800, END } },
	    false, 1 },
	{ "overlap at the start", { { 400, 800 }, { 0, 408 }, { 800, END } },
	    false, 1 },
	{ "covering", { { 400, 800 }, { 0, 808 }, { 808, END } }, false, 1 },
	{ "joining and covering",
	    { { 0, 400 }, { 480, 800 }, { 400, 488 }, { 800, END } }, false,
	    1 },
	{ "empty", { { 0, 400 }, { 400, 400 }, { 400, END } }, false, 1 },
	{ "not a multiple of 8", { { 0, 404 }, { 400, END } }, false, 1 },
	{ "past the end", { { 800, END }, { 1000, 1008 }, { 0, 800 } }, false,
	    1 },
};

START_TEST(test_pieces)
{
	const struct piece *p;

	make(END - 8);
	for (p = cases[_i].p; p->from != 0 || p->to != 0; p++)
		frag(7, p->from, p->to, p->to != END);
	ck_assert_msg(
	    t.stat[NETS_FRAG_BAD] == cases[_i].bad, "%s", cases[_i].what);
	ck_assert_msg(
	    t.stat[NETS_FRAG_OK] == cases[_i].whole, "%s", cases[_i].what);
	expect(cases[_i].whole);
}
END_TEST

/* The same place with other bytes is not a repetition. */
START_TEST(test_changed)
{
	make(END - 8);
	frag(7, 0, 400, true);
	data[300] ^= 1;
	frag(7, 0, 400, true);
	data[300] ^= 1;
	frag(7, 400, END, false);
	ck_assert_uint_eq(t.stat[NETS_FRAG_BAD], 1);
	expect(false);
}
END_TEST

/* Two ends. */
START_TEST(test_two_ends)
{
	make(END - 8);
	frag(7, 800, END, false);
	frag(7, 400, 480, false);
	frag(7, 0, 400, true);
	frag(7, 400, 800, true);
	ck_assert_uint_eq(t.stat[NETS_FRAG_BAD], 1);
	expect(false);
}
END_TEST

START_TEST(test_largest)
{
	size_t from;

	make(MAXDATA);
	for (from = 0; from + 1480 < datalen; from += 1480)
		frag(7, from, from + 1480, true);
	frag(7, from, datalen, false);
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], 1);
	/* Too large to wait for a socket only if the limit says so. */
	expect(true);
}
END_TEST

/* A ping of death: the last fragment lies beyond 65,535 bytes. */
START_TEST(test_too_large)
{
	uint8_t f[2000];
	size_t len;

	make(1480);
	len = nt_build(&t, f, NT_GUEST, NT_REMOTE, IPPROTO4_UDP, data, 1480);
	put_u16(f + 20, 65528 / 8);
	nt_resum(f);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_FRAG_BAD], 1);
}
END_TEST

START_TEST(test_interleaved)
{
	uint16_t id;
	size_t from;

	make(END - 8);
	for (from = 0; from < END; from += 200) {
		for (id = 0; id < 16; id++)
			frag(id, from, from + 200, from + 200 < END);
	}
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], 16);
	ck_assert_uint_eq(t.stat[NETS_FRAG_LIMIT], 0);
}
END_TEST

/* One too many: the oldest goes. */
START_TEST(test_limit)
{
	uint16_t id;

	make(END - 8);
	for (id = 0; id <= 16; id++) {
		frag(id, 0, 800, true);
		nt_wait(&t, USEC_MS);
	}
	ck_assert_uint_eq(t.stat[NETS_FRAG_LIMIT], 1);
	for (id = 1; id <= 16; id++)
		frag(id, 800, END, false);
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], 16);
	frag(0, 800, END, false);
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], 16);
}
END_TEST

START_TEST(test_timeout)
{
	struct nt_pkt k;

	make(END - 8);
	frag(7, 0, 800, true);
	nt_wait(&t, 30 * USEC_SEC - 1);
	ck_assert_uint_eq(t.stat[NETS_FRAG_TIMEOUT], 0);
	nt_wait(&t, 1);
	ck_assert_uint_eq(t.stat[NETS_FRAG_TIMEOUT], 1);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.src, NT_GATEWAY);
	ck_assert_uint_eq(k.p[0], 11);
	ck_assert_uint_eq(k.p[1], 1);
	/* The first fragment's own header. */
	ck_assert_uint_eq(nt_cksum(k.p + 8, 20, 0), 0);
	ck_assert_uint_eq(k.p[8 + 5], 7);
	ck_assert_uint_eq(k.p[8 + 6], IP4_MF >> 8);
	frag(7, 800, END, false);
	expect(false);
}
END_TEST

/* RFC 792: without the first fragment nothing is said. */
START_TEST(test_timeout_without_first)
{
	make(END - 8);
	frag(7, 800, END, false);
	nt_wait(&t, 31 * USEC_SEC);
	ck_assert_uint_eq(t.stat[NETS_FRAG_TIMEOUT], 1);
	nt_none(&t);
}
END_TEST

/* What comes after an overlap is swallowed until the time is over. */
START_TEST(test_bad_stays_bad)
{
	make(END - 8);
	frag(7, 0, 800, true);
	frag(7, 400, 808, true);
	frag(7, 0, 800, true);
	frag(7, 800, END, false);
	expect(false);
	nt_wait(&t, 30 * USEC_SEC);
	frag(7, 0, 800, true);
	frag(7, 800, END, false);
	ck_assert_uint_eq(t.stat[NETS_FRAG_OK], 1);
}
END_TEST

/* 65 pieces with holes between them. */
START_TEST(test_too_many_ranges)
{
	size_t i;

	make(4000);
	for (i = 0; i < 65; i++)
		frag(7, i * 16, i * 16 + 8, true);
	ck_assert_uint_eq(t.stat[NETS_FRAG_BAD], 1);
}
END_TEST

/* Fragments of a destination never reached are not kept. */
START_TEST(test_never)
{
	uint8_t f[200];
	size_t len;

	make(100);
	len = nt_build(&t, f, NT_GUEST, 0x7f000001, IPPROTO4_UDP, data, 64);
	put_u16(f + 20, IP4_MF);
	nt_resum(f);
	nt_frame(&t, f, len);
	nt_unreachable(&t, 13, NT_GATEWAY);
	put_u16(f + 20, IP4_MF | 8);
	nt_resum(f);
	nt_frame(&t, f, len);
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_FRAG_RX], 0);
}
END_TEST

/* An error about a reassembled datagram quotes one whole header. */
START_TEST(test_quote)
{
	uint8_t f[NET_MAXFRAME];
	struct nt_pkt k;
	size_t len;

	make(END - 8);
	len = nt_build(&t, f, NT_GUEST, NT_GATEWAY, IPPROTO4_UDP, data, 800);
	put_u16(data + 6, 0); /* no UDP checksum: the address changed */
	memcpy(f + FRAME_HDRLEN, data, 8);
	put_u16(f + 20, IP4_MF);
	nt_resum(f);
	nt_frame(&t, f, len);
	len = nt_build(
	    &t, f, NT_GUEST, NT_GATEWAY, IPPROTO4_UDP, data + 800, END - 800);
	put_u16(f + 20, 100);
	nt_resum(f);
	nt_frame(&t, f, len);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.p[1], 3);
	ck_assert_uint_eq(k.len, 8 + 548);
	ck_assert_uint_eq(k.p[8 + 2] << 8 | k.p[8 + 3], 20 + END);
	ck_assert_uint_eq(k.p[8 + 6] << 8 | k.p[8 + 7], 0);
	ck_assert_uint_eq(nt_cksum(k.p + 8, 20, 0), 0);
	ck_assert_mem_eq(k.p + 8 + 20, data, 528);
}
END_TEST

/* Random orders and cuts always give the datagram back. */
START_TEST(test_shuffled)
{
	struct piece p[64];
	uint32_t x = (uint32_t)_i + 1;
	size_t n = 0, i, j, from;
	struct piece tmp;

	make(20000);
	for (from = 0; from < datalen; n++) {
		x = x * 1664525 + 1013904223;
		p[n].from = from;
		from += 400 + (x >> 16) % 200 * 8;
		if (from > datalen)
			from = datalen;
		p[n].to = from;
	}
	for (i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		j = (x >> 8) % n;
		tmp = p[i];
		p[i] = p[j];
		p[j] = tmp;
	}
	for (i = 0; i < n; i++)
		frag(9, p[i].from, p[i].to, p[i].to != datalen);
	expect(true);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("frag");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_pieces, 0, nitems(cases));
	tcase_add_test(tc, test_changed);
	tcase_add_test(tc, test_two_ends);
	tcase_add_test(tc, test_largest);
	tcase_add_test(tc, test_too_large);
	tcase_add_test(tc, test_interleaved);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_timeout);
	tcase_add_test(tc, test_timeout_without_first);
	tcase_add_test(tc, test_bad_stays_bad);
	tcase_add_test(tc, test_too_many_ranges);
	tcase_add_test(tc, test_never);
	tcase_add_test(tc, test_quote);
	tcase_add_loop_test(tc, test_shuffled, 0, 30);
	return check_case("frag", tc);
}
