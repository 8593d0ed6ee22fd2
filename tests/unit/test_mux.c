/*
 * The tunnel's frames and channels.  The golden vectors are those that both of
 * vpnkit's own implementations are tested with.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/front/mux.h"

#include "tests/check_main.h"
#include "tests/unit/guard.h"

#define B(s) s, sizeof(s) - 1

/* clang-format off */
static const struct {
	const char *what, *in;
	size_t len;
	uint8_t cmd;
	uint32_t id;
} golden[] = {
	{ "close.bin", B("\7\0\2\6\0\0\0"), MUX_CLOSE, 6 },
	{ "shutdown.bin", B("\7\0\3\7\0\0\0"), MUX_SHUTDOWN, 7 },
	{ "data.bin", B("\xb\0\4\x8\0\0\0\x80\0\0\0"), MUX_DATA, 8 },
	{ "window.bin", B("\xf\0\5\x9\0\0\0\x38\xa2\x87\0\0\0\0\0"),
	    MUX_WINDOW, 9 },
	{ "open_dedicated", B("\x11\0\1\4\0\0\0\1\1\4\0\x7f\0\0\1\x90\x1f"),
	    MUX_OPEN, 4 },
	{ "open_mux", B("\x1d\0\1\5\0\0\0\2\2\x10\0"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x90\x1f"), MUX_OPEN, 5 },
	{ "open_mux_unix", B("\x13\0\1\5\0\0\0\2\3\x8\0/tmp/foo"),
	    MUX_OPEN, 5 },
};

static const struct {
	const char *what, *in;
	size_t len;
} bad[] = {
	{ "head of 6", B("\6\0\2\6\0\0") },
	{ "head of 0", B("\0\0\2\6\0\0\0") },
	{ "head of 513", B("\1\2\2\6\0\0\0") },
	{ "the magic", B("https://github.com/moby/vpnkit") },
	{ "command 0", B("\7\0\0\6\0\0\0") },
	{ "command 6", B("\7\0\6\6\0\0\0") },
	{ "close with a byte more", B("\x8\0\2\6\0\0\0\0") },
	{ "data without length", B("\7\0\4\x8\0\0\0") },
	{ "window of four bytes", B("\xb\0\5\x9\0\0\0\x38\xa2\x87\0") },
	{ "open of no kind", B("\x11\0\1\4\0\0\0\3\1\4\0\x7f\0\0\1\x90\x1f") },
	{ "open of no protocol",
	    B("\x11\0\1\4\0\0\0\1\4\4\0\x7f\0\0\1\x90\x1f") },
	{ "address of five bytes",
	    B("\x12\0\1\4\0\0\0\1\1\5\0\x7f\0\0\0\1\x90\x1f") },
	{ "address longer than the head",
	    B("\x11\0\1\4\0\0\0\1\1\x10\0\x7f\0\0\1\x90\x1f") },
	{ "path longer than the head", B("\x13\0\1\5\0\0\0\2\3\x9\0/tmp/foo") },
	{ "path with a zero", B("\x13\0\1\5\0\0\0\2\3\x8\0/tmp\0foo") },
	{ "path of nothing", B("\xb\0\1\5\0\0\0\2\3\0\0") },
};
/* clang-format on */

START_TEST(golden_frames)
{
	const uint8_t *in = (const uint8_t *)golden[_i].in;
	uint8_t out[MUX_MAXHEAD];
	struct wr w = wr_init(out, sizeof(out));
	struct mux_frame f;

	ck_assert_int_eq(mux_get(in, golden[_i].len, &f), (int)golden[_i].len);
	ck_assert_uint_eq(f.cmd, golden[_i].cmd);
	ck_assert_uint_eq(f.id, golden[_i].id);
	ck_assert_int_eq(mux_put(&w, &f), 0);
	ck_assert_uint_eq(w.len, golden[_i].len);
	ck_assert_mem_eq(out, in, w.len);
}
END_TEST

START_TEST(golden_values)
{
	struct mux_frame f;
	char ip[IPADDR_STRLEN];

	mux_get((const uint8_t *)golden[2].in, golden[2].len, &f);
	ck_assert_uint_eq(f.len, 128);
	mux_get((const uint8_t *)golden[3].in, golden[3].len, &f);
	ck_assert_uint_eq(f.seq, 8888888);
	mux_get((const uint8_t *)golden[4].in, golden[4].len, &f);
	ck_assert_uint_eq(f.connection, MUX_DEDICATED);
	ck_assert_uint_eq(f.dest.proto, MUX_TCP);
	ck_assert_str_eq(ipaddr_str(&f.dest.ip, ip), "127.0.0.1");
	ck_assert_uint_eq(f.dest.port, 8080);
	mux_get((const uint8_t *)golden[5].in, golden[5].len, &f);
	ck_assert_uint_eq(f.connection, MUX_MULTIPLEXED);
	ck_assert_uint_eq(f.dest.proto, MUX_UDP);
	ck_assert_str_eq(ipaddr_str(&f.dest.ip, ip), "::1");
	mux_get((const uint8_t *)golden[6].in, golden[6].len, &f);
	ck_assert_str_eq(f.dest.path, "/tmp/foo");
}
END_TEST

START_TEST(bad_frames)
{
	struct mux_frame f;

	ck_assert_msg(
	    mux_get((const uint8_t *)bad[_i].in, bad[_i].len, &f) == -1, "%s",
	    bad[_i].what);
}
END_TEST

START_TEST(prefixes)
{
	struct guard g = guard_new(4096);
	struct mux_frame f;
	size_t n;

	for (n = 0; n <= golden[_i].len; n++)
		ck_assert_int_eq(
		    mux_get(guard_put(&g, golden[_i].in, n), n, &f),
		    n == golden[_i].len ? (int)n : -2);
	guard_free(&g);
}
END_TEST

/* Go writes an IPv4 address as sixteen bytes. */
START_TEST(mapped)
{
	static const uint8_t in[] = "\x1d\0\1\5\0\0\0\2\1\x10\0"
				    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xa\0\0\1"
				    "\x50\0";
	struct mux_frame f;

	ck_assert_int_eq(mux_get(in, sizeof(in) - 1, &f), 0x1d);
	ck_assert_uint_eq(f.dest.ip.family, 4);
	ck_assert_uint_eq(ipaddr_to_u32(&f.dest.ip), 0x0a000001);
}
END_TEST

/*
 * Datagrams and the handshake.
 */

START_TEST(udp_golden)
{
	static const char want[] = "\x13\0\4\0\x7f\0\0\1\x90\x1f\0\0\5\0hello";
	struct ipaddr ip = ipaddr_from_u32(0x7f000001);
	struct guard g = guard_new(4096);
	uint8_t out[64];
	struct wr w = wr_init(out, sizeof(out));
	struct rd payload;
	size_t n;

	ck_assert_int_eq(udpenc_put(&w, &ip, 8080, 5), 0);
	wr_bytes(&w, "hello", 5);
	ck_assert_uint_eq(w.len, sizeof(want) - 1);
	ck_assert_mem_eq(out, want, w.len);
	for (n = 0; n <= w.len; n++)
		ck_assert_int_eq(udpenc_get(guard_put(&g, out, n), n, &payload),
		    n == w.len ? (int)n : -2);
	ck_assert_uint_eq(payload.len, 5);
	ck_assert_mem_eq(payload.p, "hello", 5);
	guard_free(&g);
}
END_TEST

START_TEST(udp_sizes)
{
	static const size_t sizes[] = { 0, 1, 4, 511, 1023, 2034, 2035, 4095,
		8191, 9215, 9216, UDPENC_MAXPAYLOAD };
	static uint8_t out[UDPENC_MAXHEAD + UDPENC_MAXPAYLOAD];
	struct ipaddr ip = { 6, { 0 } };
	struct rd payload;
	size_t i;

	for (i = 0; i < nitems(sizes); i++) {
		struct wr w = wr_init(out, sizeof(out));

		ck_assert_int_eq(udpenc_put(&w, &ip, 1, sizes[i]), 0);
		wr_zero(&w, sizes[i]);
		ck_assert_int_eq(udpenc_get(out, w.len, &payload), (int)w.len);
		ck_assert_uint_eq(payload.len, sizes[i]);
	}
}
END_TEST

START_TEST(udp_bad)
{
	struct ipaddr ip = ipaddr_from_u32(1);
	struct wr w = wr_init((uint8_t[64]){ 0 }, 64);
	struct rd payload;

	ck_assert_int_eq(udpenc_put(&w, &ip, 1, UDPENC_MAXPAYLOAD + 1), -1);
	/* Go's own answers: no address, no port. */
	ck_assert_int_eq(
	    udpenc_get((const uint8_t *)B("\xc\0\0\0\0\0\0\0\2\0hi"), &payload),
	    12);
	ck_assert_int_eq(
	    udpenc_get((const uint8_t *)B("\0\0\0\0\0\0\0\0\2\0hi"), &payload),
	    -1);
	ck_assert_int_eq(
	    udpenc_get((const uint8_t *)B("\xc\0\0\0\0\0\0\0\3\0hi"), &payload),
	    -1);
	ck_assert_int_eq(
	    udpenc_get(
		(const uint8_t *)B("\xc\0\xff\0\0\0\0\0\2\0hi"), &payload),
	    -1);
	ck_assert_int_eq(
	    udpenc_get(
		(const uint8_t *)B("\xc\0\0\0\0\0\xff\xff\2\0hi"), &payload),
	    -1);
}
END_TEST

START_TEST(handshake)
{
	static const char in[] = MUX_MAGIC "\3\0abcX";
	struct guard g = guard_new(4096);
	size_t n;

	for (n = 0; n < sizeof(in) - 1; n++)
		ck_assert_int_eq(mux_handshake_get(guard_put(&g, in, n), n),
		    n < 57 ? -2 : 57);
	ck_assert_int_eq(mux_handshake_get((const uint8_t *)B("\7\0\2")), -1);
	ck_assert_int_eq(mux_handshake_get((const uint8_t *)B("httpx")), -1);
	guard_free(&g);
}
END_TEST

/*
 * Channels, against a peer that is the test itself.
 */

struct world {
	struct mux m;
	struct mux_chan *c;
	uint8_t got[200000]; /* what the host would have been given */
	size_t gotlen;
	bool keep; /* what comes is not taken at once */
	unsigned windows, shutdowns, closes, counts[MUXS__MAX], traced;
	char said[512]; /* frames of ours, in short */
};

static struct world *w;

static void
hook_data(struct mux_chan *c, const uint8_t *p, size_t n)
{
	ck_assert_uint_le(w->gotlen + n, sizeof(w->got));
	memcpy(w->got + w->gotlen, p, n);
	w->gotlen += n;
	if (!w->keep)
		mux_taken(c, n);
}

static void
hook_window(struct mux_chan *c)
{
	w->windows++;
}

static void
hook_shutdown(struct mux_chan *c)
{
	w->shutdowns++;
}

static void
hook_closed(struct mux_chan *c)
{
	w->closes++;
}

static void
hook_count(void *arg, enum mux_stat i)
{
	w->counts[i]++;
}

static void
hook_trace(void *arg, bool sent, const struct mux_frame *f)
{
	w->traced++;
}

static const struct mux_hooks hooks = { hook_data, hook_window, hook_shutdown,
	hook_closed, hook_count, hook_trace };

static const struct mux_dest dest = {
	.proto = MUX_TCP, .ip = { 4, { 10, 0, 0, 1 } }, .port = 80
};

static void
setup(void)
{
	w = calloc(1, sizeof(*w));
	mux_init(&w->m, &hooks, w);
}

static void
teardown(void)
{
	mux_fini(&w->m);
	free(w);
}

/* What we have said since last time: O, C, S, D<bytes>, W<seq>. */
static const char *
said(void)
{
	struct mux_frame f;
	size_t used = 0;
	int n;

	w->said[0] = '\0';
	while (w->m.out.len > 0) {
		n = mux_get(buf_data(&w->m.out), w->m.out.len, &f);
		ck_assert_int_gt(n, 0);
		if (f.cmd == MUX_DATA)
			n += (int)f.len;
		ck_assert_uint_le((size_t)n, w->m.out.len);
		buf_take(&w->m.out, (size_t)n);
		if (f.cmd == MUX_DATA)
			used += (size_t)snprintf(w->said + used,
			    sizeof(w->said) - used, "D%u ", f.len);
		else if (f.cmd == MUX_WINDOW)
			used += (size_t)snprintf(w->said + used,
			    sizeof(w->said) - used, "W%u ", (unsigned)f.seq);
		else
			used += (size_t)snprintf(w->said + used,
			    sizeof(w->said) - used, "%c ",
			    mux_cmd_name[f.cmd][0]);
	}
	return w->said;
}

/* A frame of the peer's. */
static int
peer(uint8_t cmd, uint32_t id, uint64_t v)
{
	static uint8_t in[MUX_MAXHEAD + 400000];
	const struct mux_frame f = { .cmd = cmd,
		.id = id,
		.len = (uint32_t)v,
		.seq = v,
		.connection = MUX_MULTIPLEXED,
		.dest = dest };
	struct wr r = wr_init(in, sizeof(in));

	mux_put(&r, &f);
	if (cmd == MUX_DATA)
		wr_zero(&r, v);
	return mux_input(&w->m, in, r.len);
}

/* Sends what is allowed, at most n bytes. */
static size_t
put(size_t n)
{
	size_t room = mux_room(w->c);

	if (n > room)
		n = room;
	if (n > 0) {
		memset(mux_begin(w->c, n), 'x', n);
		mux_end(w->c, n);
	}
	return n;
}

/* Open, with a window from the peer. */
static void
opened(void)
{
	w->c = mux_open(&w->m, &dest, w);
	ck_assert_str_eq(said(), "O W65536 ");
	ck_assert_int_eq(peer(MUX_WINDOW, w->c->id, 65536), 0);
}

START_TEST(first_id)
{
	struct mux_chan *c = mux_open(&w->m, &dest, w);

	ck_assert_uint_eq(c->id, 0x7fffffff);
	w->m.next_id = 0x7fffffff;
	ck_assert_uint_eq(mux_open(&w->m, &dest, w)->id, 0x80000000);
	w->m.next_id = 0xffffffff;
	ck_assert_uint_eq(mux_open(&w->m, &dest, w)->id, 0xffffffff);
	ck_assert_uint_eq(mux_open(&w->m, &dest, w)->id, 0);
}
END_TEST

START_TEST(window_obeyed)
{
	size_t sent = 0, n;

	w->c = mux_open(&w->m, &dest, w);
	said();
	ck_assert_uint_eq(put(1), 0);
	peer(MUX_WINDOW, w->c->id, 10);
	ck_assert_uint_eq(w->windows, 1);
	ck_assert_uint_eq(put(100), 10);
	ck_assert_uint_eq(put(1), 0);
	peer(MUX_WINDOW, w->c->id, 5); /* too late */
	ck_assert_uint_eq(put(1), 0);
	peer(MUX_WINDOW, w->c->id, 100010);
	while ((n = put(SIZE_MAX)) > 0)
		sent += n;
	ck_assert_uint_eq(sent, 100000);
	ck_assert_str_eq(
	    said(), "D10 D16384 D16384 D16384 D16384 D16384 D16384 D1696 ");
}
END_TEST

START_TEST(window_renewed)
{
	opened();
	peer(MUX_DATA, w->c->id, 32768);
	ck_assert_str_eq(said(), "");
	peer(MUX_DATA, w->c->id, 1);
	ck_assert_str_eq(said(), "W98305 ");
	ck_assert_uint_eq(w->gotlen, 32769);
	/* None while the host takes nothing. */
	w->keep = true;
	peer(MUX_DATA, w->c->id, 65536);
	ck_assert_str_eq(said(), "");
	mux_taken(w->c, 65536);
	ck_assert_str_eq(said(), "W163841 ");
}
END_TEST

/* A peer that does not count its window, as OCaml's does not. */
START_TEST(overrun)
{
	opened();
	w->keep = true;
	peer(MUX_DATA, w->c->id, 100000);
	ck_assert_uint_eq(w->closes, 0);
	mux_taken(w->c, 100000);
	ck_assert_str_eq(said(), "W165536 ");
	peer(MUX_DATA, w->c->id, 60000);
	w->gotlen = 0;
	peer(MUX_DATA, w->c->id, 180000);
	w->gotlen = 0;
	peer(MUX_DATA, w->c->id, 100000);
	ck_assert_uint_eq(w->closes, 1);
	ck_assert_uint_eq(w->counts[MUXS_OVERRUN], 1);
	ck_assert_str_eq(said(), "C ");
	/* The channel's end does not end the others. */
	ck_assert_int_eq(peer(MUX_CLOSE, MUX_FIRSTID, 0), 0);
	ck_assert_uint_eq(w->m.nchan, 0);
}
END_TEST

START_TEST(close_close)
{
	opened();
	mux_close(w->c);
	ck_assert_str_eq(said(), "C ");
	ck_assert_uint_eq(w->m.nchan, 1); /* its number is not free yet */
	peer(MUX_CLOSE, MUX_FIRSTID, 0);
	ck_assert_uint_eq(w->m.nchan, 0);
	ck_assert_uint_eq(w->closes, 0);
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(peer_closes)
{
	opened();
	peer(MUX_DATA, w->c->id, 3);
	peer(MUX_CLOSE, w->c->id, 0);
	ck_assert_uint_eq(w->closes, 1);
	ck_assert_str_eq(said(), "C ");
	ck_assert_uint_eq(w->m.nchan, 0);
	ck_assert_uint_eq(w->counts[MUXS_REFUSED], 0);
	/* Once more, and late frames: nobody's. */
	ck_assert_int_eq(peer(MUX_CLOSE, MUX_FIRSTID, 0), 0);
	ck_assert_int_eq(peer(MUX_WINDOW, MUX_FIRSTID, 9), 0);
	ck_assert_int_eq(peer(MUX_SHUTDOWN, MUX_FIRSTID, 0), 0);
	ck_assert_int_eq(peer(MUX_DATA, MUX_FIRSTID, 50000), 0);
	ck_assert_uint_eq(w->counts[MUXS_UNKNOWN], 4);
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(refused)
{
	opened();
	peer(MUX_CLOSE, w->c->id, 0);
	ck_assert_uint_eq(w->counts[MUXS_REFUSED], 1);
}
END_TEST

START_TEST(shutdown_then_close)
{
	opened();
	mux_shutdown(w->c);
	mux_shutdown(w->c);
	ck_assert_uint_eq(mux_room(w->c), 0);
	ck_assert_str_eq(said(), "S ");
	/* The other direction goes on. */
	peer(MUX_DATA, w->c->id, 40000);
	ck_assert_str_eq(said(), "W105536 ");
	peer(MUX_SHUTDOWN, w->c->id, 0);
	peer(MUX_SHUTDOWN, w->c->id, 0);
	ck_assert_uint_eq(w->shutdowns, 1);
	peer(MUX_DATA, w->c->id, 1); /* late, and tolerated */
	mux_close(w->c);
	mux_shutdown(w->c);
	mux_close(w->c);
	ck_assert_str_eq(said(), "C ");
}
END_TEST

/* Bytes for a channel that has let go are read and dropped. */
START_TEST(data_after_close)
{
	opened();
	mux_close(w->c);
	said();
	ck_assert_int_eq(peer(MUX_DATA, MUX_FIRSTID, 100000), 0);
	ck_assert_int_eq(peer(MUX_WINDOW, MUX_FIRSTID, 100000), 0);
	ck_assert_int_eq(peer(MUX_SHUTDOWN, MUX_FIRSTID, 0), 0);
	ck_assert_uint_eq(w->gotlen, 0);
	ck_assert_uint_eq(w->windows, 1);
	ck_assert_uint_eq(w->shutdowns, 0);
	ck_assert_str_eq(said(), "");
	ck_assert_int_eq(peer(MUX_CLOSE, MUX_FIRSTID, 0), 0);
	ck_assert_uint_eq(w->m.nchan, 0);
}
END_TEST

/* One that is blocked does not block another. */
START_TEST(independent)
{
	struct mux_chan *other;

	opened();
	other = mux_open(&w->m, &dest, w);
	while (put(SIZE_MAX) > 0)
		continue;
	ck_assert_uint_eq(mux_room(other), 0);
	peer(MUX_WINDOW, other->id, 7);
	ck_assert_uint_eq(mux_room(other), 7);
	ck_assert_uint_eq(mux_room(w->c), 0);
}
END_TEST

/* The tunnel takes nothing: no more data is made for it. */
START_TEST(out_is_bounded)
{
	size_t sent = 0, n;

	opened();
	peer(MUX_WINDOW, w->c->id, UINT64_MAX);
	while ((n = put(SIZE_MAX)) > 0)
		sent += n;
	ck_assert_uint_ge(sent, MUX_OUTMAX - 2 * MUX_DATAMAX);
	ck_assert_uint_le(w->m.out.len, MUX_OUTMAX + 2 * MUX_DATAMAX);
	buf_take(&w->m.out, w->m.out.len);
	ck_assert_uint_gt(mux_room(w->c), 0);
}
END_TEST

START_TEST(peer_opens)
{
	opened();
	ck_assert_int_eq(peer(MUX_OPEN, 0, 0), 0);
	ck_assert_str_eq(said(), "C ");
	ck_assert_int_eq(peer(MUX_WINDOW, 0, 65536), 0);
	ck_assert_int_eq(peer(MUX_DATA, 0, 100), 0);
	ck_assert_int_eq(peer(MUX_CLOSE, 0, 0), 0);
	ck_assert_str_eq(said(), "");
	/* With a number of ours: it is not believed. */
	ck_assert_int_eq(peer(MUX_OPEN, w->c->id, 0), 0);
	ck_assert_str_eq(said(), "");
	ck_assert_uint_eq(w->closes, 0);
	ck_assert_uint_eq(w->counts[MUXS_OPENS], 2);
}
END_TEST

START_TEST(not_frames)
{
	opened();
	ck_assert_int_eq(mux_input(&w->m, (const uint8_t *)B("\7\0")), 0);
	ck_assert_int_eq(mux_input(&w->m, (const uint8_t *)B("\x9")), 0);
	ck_assert_int_eq(mux_input(&w->m, (const uint8_t *)B("\0\0\0\0")), -1);
	ck_assert_int_eq(peer(MUX_CLOSE, w->c->id, 0), -1);
	ck_assert_uint_eq(mux_room(w->c), 0);
	ck_assert_ptr_null(mux_open(&w->m, &dest, w));
}
END_TEST

/* The same bytes in pieces of every size. */
START_TEST(in_pieces)
{
	uint8_t in[256];
	struct wr r = wr_init(in, sizeof(in));
	size_t at, n, piece = (size_t)_i + 1;
	struct mux_frame f = { .cmd = MUX_WINDOW, .id = MUX_FIRSTID, .seq = 9 };

	w->c = mux_open(&w->m, &dest, w);
	mux_put(&r, &f);
	f.cmd = MUX_DATA;
	f.len = 100;
	mux_put(&r, &f);
	wr_zero(&r, 100);
	f.cmd = MUX_SHUTDOWN;
	mux_put(&r, &f);
	f.cmd = MUX_CLOSE;
	mux_put(&r, &f);
	for (at = 0; at < r.len; at += n) {
		n = r.len - at < piece ? r.len - at : piece;
		ck_assert_int_eq(mux_input(&w->m, in + at, n), 0);
	}
	ck_assert_uint_eq(w->windows, 1);
	ck_assert_uint_eq(w->gotlen, 100);
	ck_assert_uint_eq(w->shutdowns, 1);
	ck_assert_uint_eq(w->closes, 1);
	ck_assert_uint_eq(w->m.nchan, 0);
}
END_TEST

START_TEST(many)
{
	size_t i;

	for (i = 0; i < MUX_MAXCHANS; i++)
		ck_assert_ptr_nonnull(mux_open(&w->m, &dest, w));
	ck_assert_ptr_null(mux_open(&w->m, &dest, w));
	for (i = 0; i < MUX_MAXCHANS; i++)
		peer(MUX_CLOSE, MUX_FIRSTID + (uint32_t)i, 0);
	ck_assert_uint_eq(w->closes, MUX_MAXCHANS);
	ck_assert_uint_eq(w->m.nchan, 0);
	ck_assert_ptr_nonnull(mux_open(&w->m, &dest, w));
}
END_TEST

static void
add_tests(TCase *tc)
{
	const TTest *const tests[] = { golden_values, mapped, udp_golden,
		udp_sizes, udp_bad, handshake, first_id, window_obeyed,
		window_renewed, overrun, close_close, peer_closes, refused,
		shutdown_then_close, data_after_close, independent,
		out_is_bounded, peer_opens, not_frames, many };
	size_t i;

	tcase_add_loop_test(tc, golden_frames, 0, nitems(golden));
	tcase_add_loop_test(tc, bad_frames, 0, nitems(bad));
	tcase_add_loop_test(tc, prefixes, 0, nitems(golden));
	tcase_add_loop_test(tc, in_pieces, 0, 140);
	for (i = 0; i < nitems(tests); i++)
		tcase_add_test(tc, tests[i]);
}

int
main(void)
{
	TCase *tc = tcase_create("mux");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	return check_case("mux", tc);
}
