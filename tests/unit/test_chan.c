/*
 * The packet channel: two ends in one process, and a raw socket in the place
 * of one of them to say what an honest end would not.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/rd.h"
#include "common/wr.h"
#include "common/plat/plat.h"
#include "tests/check_main.h"

#define RECLEN 8u

/* Both ends, each in memory of its own. */
struct pair {
	struct chan a, b;
};

static int
arena(void)
{
	int fd;

	ck_assert_int_ne(fd = plat_memfd("arena", CHAN_ARENA), -1);
	return fd;
}

static int
reader_of(int fd)
{
	int ro;

	ck_assert_int_ne(ro = plat_memfd_ro(fd), -1);
	return ro;
}

static struct pair *
pair_new(void)
{
	struct pair *p = calloc(1, sizeof(*p));
	int ab = arena(), ba = arena(), sv[2];
	int ab_ro = reader_of(ab), ba_ro = reader_of(ba);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(chan_init(&p->a, sv[0], ab, ba_ro), 0);
	ck_assert_int_eq(chan_init(&p->b, sv[1], ba, ab_ro), 0);
	return p;
}

static void
pair_free(struct pair *p)
{
	chan_fini(&p->a);
	chan_fini(&p->b);
	free(p);
}

/* A byte that tells where in the whole stream of frames it belongs. */
static uint8_t
pattern(uint64_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void
push(struct chan *c, size_t off, size_t len, uint64_t *at)
{
	size_t i, room;
	uint8_t *p;

	p = chan_space(c, &room);
	ck_assert_uint_le(off + len, room);
	for (i = 0; i < len; i++)
		p[off + i] = pattern((*at)++);
	chan_push(c, off, len);
}

static void
expect(const struct chan_frame *f, uint64_t *at)
{
	uint32_t i;

	for (i = 0; i < f->len; i++)
		if (f->p[i] != pattern((*at)++))
			ck_abort_msg("byte %u of %u differs", i, f->len);
}

static const size_t sizes[] = { 1, 14, 60, 1514, 1515, 4096, 9014, 65535, 2, 63,
	16384, 65521, 333 };

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

START_TEST(frames_arrive_whole_and_in_order)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t out = 0, in = 0;
	size_t i, got = 0, n = 3000;
	size_t off;

	/* _i held back frames keep the ring from running empty. */
	for (i = 0; i < n; i++) {
		off = i % 5 * 7;
		push(&p->a, off, sizes[i % NSIZES], &out);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		ck_assert(!chan_blocked(&p->a));
		while (chan_read(&p->b) == 1)
			continue;
		while (got + (size_t)_i <= i && chan_next(&p->b, &f)) {
			ck_assert_uint_eq(f.len, sizes[got++ % NSIZES]);
			expect(&f, &in);
			chan_release(&p->b, f.end);
		}
		ck_assert_int_eq(chan_flush(&p->b), 0);
		while (chan_read(&p->a) == 1)
			continue;
	}
	ck_assert_uint_eq(got, n - (size_t)_i);
	ck_assert(_i > 0 || in == out);
	pair_free(p);
}
END_TEST

START_TEST(both_ways_at_once)
{
	struct pair *p = pair_new();
	uint64_t aout = 0, ain = 0, bout = 0, bin = 0;
	struct chan_frame f;
	int i;

	for (i = 0; i < 500; i++) {
		push(&p->a, 0, 1500, &aout);
		push(&p->b, 2, 9000, &bout);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		ck_assert_int_eq(chan_flush(&p->b), 0);
		ck_assert_int_eq(chan_read(&p->a), 1);
		ck_assert_int_eq(chan_read(&p->b), 1);
		ck_assert(chan_next(&p->b, &f));
		expect(&f, &ain);
		chan_release(&p->b, f.end);
		ck_assert(!chan_next(&p->b, &f));
		ck_assert(chan_next(&p->a, &f));
		expect(&f, &bin);
		chan_release(&p->a, f.end);
		ck_assert(!chan_next(&p->a, &f));
	}
	pair_free(p);
}
END_TEST

START_TEST(full_ring_waits_for_credit)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t at = 0;
	size_t room;
	int n = 0;

	for (;;) {
		chan_space(&p->a, &room);
		if (room < CHAN_MAXFRAME)
			break;
		push(&p->a, 0, CHAN_MAXFRAME, &at);
		n++;
	}
	ck_assert_int_eq(n, CHAN_ARENA / CHAN_MAXFRAME);
	push(&p->a, 0, room, &at); /* to the last byte */
	chan_space(&p->a, &room);
	ck_assert_uint_eq(room, 0);
	ck_assert_int_eq(chan_flush(&p->a), 0);

	/* A little credit waits; more than a quarter of the ring does not. */
	ck_assert_int_eq(chan_read(&p->b), 1);
	for (n = 1; n <= 5; n++) {
		ck_assert_int_eq(chan_read(&p->a), 0);
		ck_assert(chan_next(&p->b, &f));
		chan_release(&p->b, f.end);
		ck_assert_int_eq(chan_flush(&p->b), 0);
	}
	ck_assert_int_eq(chan_read(&p->a), 1);
	chan_space(&p->a, &room);
	ck_assert_uint_eq(room, 5 * CHAN_MAXFRAME);
	pair_free(p);
}
END_TEST

/* Starting again skips to the ring's beginning: nobody waits for that part. */
START_TEST(restarts_make_no_credit)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t out = 0, in = 0, back = 0;
	int i;

	for (i = 0; i < 10; i++) {
		push(&p->a, 2, 60, &out);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		ck_assert_int_eq(chan_read(&p->b), 1);
		ck_assert(chan_next(&p->b, &f));
		expect(&f, &in);
		chan_release(&p->b, f.end);
		ck_assert_int_eq(chan_flush(&p->b), 0);
		ck_assert_int_eq(chan_read(&p->a), 0); /* it waits */
		push(&p->b, 0, 1, &back);
		ck_assert_int_eq(chan_flush(&p->b), 0);
		ck_assert_int_eq(chan_read(&p->a), 1);
		ck_assert_uint_eq(p->a.tail, p->a.head);
		ck_assert(chan_next(&p->a, &f));
		chan_release(&p->a, f.end);
	}
	pair_free(p);
}
END_TEST

START_TEST(full_queue_has_no_space)
{
	struct pair *p = pair_new();
	uint64_t at = 0;
	size_t room, n;

	for (n = 0; chan_slots(&p->a) > 0; n++) {
		ck_assert_uint_eq(chan_slots(&p->a), CHAN_BATCH - 1 - n);
		push(&p->a, 0, 1, &at);
	}
	ck_assert_uint_eq(n, CHAN_BATCH - 1);
	chan_space(&p->a, &room);
	ck_assert_uint_eq(room, 0);
	chan_push(&p->a, 0, 1); /* lost, and nothing else */
	ck_assert_uint_eq(p->a.ntxq, CHAN_BATCH - 1);
	ck_assert_int_eq(chan_flush(&p->a), 0);
	chan_space(&p->a, &room);
	ck_assert_uint_eq(room, CHAN_ARENA - n);
	pair_free(p);
}
END_TEST

/* The offsets of a burst all count from the space it was laid out in. */
START_TEST(several_frames_in_one_space)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	size_t i, room;
	uint8_t *sp;

	sp = chan_space(&p->a, &room);
	for (i = 0; i < 10; i++) {
		sp[i * 100] = (uint8_t)i;
		chan_push(&p->a, i * 100, 50);
	}
	ck_assert_ptr_eq(chan_space(&p->a, &room), sp + 950);
	ck_assert_uint_eq(room, CHAN_ARENA - 950);
	ck_assert_int_eq(chan_flush(&p->a), 0);
	ck_assert_int_eq(chan_read(&p->b), 1);
	for (i = 0; i < 10; i++) {
		ck_assert(chan_next(&p->b, &f));
		ck_assert_uint_eq(f.len, 50);
		ck_assert_uint_eq(f.p[0], i);
	}
	pair_free(p);
}
END_TEST

START_TEST(quiet_ring_starts_again)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t out = 0, in = 0, back = 0;
	const uint8_t *first;
	size_t room;
	int i;

	first = chan_space(&p->a, &room);
	for (i = 0; i < 20; i++) {
		ck_assert_ptr_eq(chan_space(&p->a, &room), first);
		ck_assert_uint_eq(room, CHAN_ARENA);
		push(&p->a, 3, 100, &out);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		ck_assert_int_eq(chan_read(&p->b), 1);
		ck_assert(chan_next(&p->b, &f));
		expect(&f, &in);
		chan_release(&p->b, f.end);
		push(&p->b, 0, 1, &back); /* credit travels with it */
		ck_assert_int_eq(chan_flush(&p->b), 0);
		ck_assert_int_eq(chan_read(&p->a), 1);
		ck_assert(chan_next(&p->a, &f));
	}
	pair_free(p);
}
END_TEST

/* Positions are 32 bits and wrap: begin shortly before that. */
START_TEST(positions_wrap)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t out = 0, in = 0;
	uint32_t start = 0u - 3u * CHAN_ARENA - 777u;
	int i;

	p->a.head = p->a.tail = start;
	p->b.credit = p->b.credit_sent = start;
	push(&p->a, 0, 10, &out);
	for (i = 0; i < 1000; i++) {
		push(&p->a, 1, 60000, &out);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		ck_assert_int_eq(chan_read(&p->b), 1);
		ck_assert(chan_next(&p->b, &f)); /* one behind */
		expect(&f, &in);
		chan_release(&p->b, f.end);
		ck_assert_int_eq(chan_flush(&p->b), 0);
		ck_assert_int_ge(chan_read(&p->a), 0);
	}
	ck_assert_uint_lt(p->a.head, start); /* it did wrap */
	pair_free(p);
}
END_TEST

/* Fills the socket from a, until a flush leaves something behind. */
static uint64_t
block(struct pair *p, uint64_t *at)
{
	uint64_t n = 0;
	size_t room;

	while (!chan_blocked(&p->a)) {
		while (chan_slots(&p->a) > 0) {
			chan_space(&p->a, &room);
			ck_assert_uint_gt(room, 0);
			push(&p->a, 0, 1, at);
			n++;
		}
		ck_assert_int_eq(chan_flush(&p->a), 0);
	}
	return n;
}

START_TEST(full_socket_blocks_and_goes_on)
{
	struct pair *p = pair_new();
	struct chan_frame f;
	uint64_t out = 0, in = 0;
	int small = 1;

	p->b.head = 1u << 20; /* what a gives credit for */
	ck_assert_int_eq(
	    setsockopt(p->a.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
	    0);
	block(p, &out);
	while (in < out) {
		/* Credit has its slot, however full the queue is. */
		chan_release(&p->a, p->a.credit + 1);
		ck_assert_int_eq(chan_flush(&p->a), 0);
		while (chan_read(&p->b) == 1)
			while (chan_next(&p->b, &f))
				expect(&f, &in);
	}
	ck_assert(!chan_blocked(&p->a));
	ck_assert(!p->a.credit_due);
	pair_free(p);
}
END_TEST

/* A channel whose other end is a bare socket, in *raw. */
static struct chan *
half_new(int *raw)
{
	struct chan *c = calloc(1, sizeof(*c));
	int tx = arena(), rx = arena(), sv[2];

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(chan_init(c, sv[0], tx, rx), 0);
	*raw = sv[1];
	return c;
}

static void
half_free(struct chan *c, int raw)
{
	if (raw != -1)
		close(raw);
	chan_fini(c);
	free(c);
}

static void
say(int raw, uint32_t pos, uint32_t len)
{
	uint8_t b[RECLEN];
	struct wr w = wr_init(b, sizeof(b));

	wr_le32(&w, pos);
	wr_le32(&w, len);
	ck_assert_int_eq(write(raw, b, sizeof(b)), sizeof(b));
}

/* What a peer may say when frames from `tail` to `head` are in use. */
static const struct {
	const char *what;
	uint32_t tail, head;
	uint32_t pos, len;
	int ret; /* of chan_read() */
} records[] = {
	{ "a frame of one byte", 0, 0, 0, 1, 1 },
	{ "the largest frame", 0, 0, 100, CHAN_MAXFRAME, 1 },
	{ "a frame across the end", 0, 0, CHAN_ARENA - 1, CHAN_MAXFRAME, 1 },
	{ "a position anywhere", 0, 0, UINT32_MAX, CHAN_MAXFRAME, 1 },
	{ "a frame too long by one", 0, 0, 0, CHAN_MAXFRAME + 1, -1 },
	{ "a frame of 4 GiB", 0, 0, 0, UINT32_MAX, -1 },
	{ "credit for nothing", 5, 5, 5, 0, 1 },
	{ "credit for a part", 5, 1000, 900, 0, 1 },
	{ "credit for all", 5, 1000, 1000, 0, 1 },
	{ "credit beyond what was sent", 5, 1000, 1001, 0, -1 },
	{ "credit taken back", 5, 1000, 4, 0, -1 },
	{ "credit a ring ahead", 0, 1000, CHAN_ARENA + 500, 0, -1 },
	{ "credit over the wrap", UINT32_MAX - 9, 10, 3, 0, 1 },
	{ "credit beyond the wrap", UINT32_MAX - 9, 10, 11, 0, -1 },
	{ "credit before the wrap", UINT32_MAX - 9, 10, UINT32_MAX - 10, 0,
	    -1 },
};

START_TEST(records_are_checked)
{
	struct chan_frame f;
	struct chan *c;
	int raw;

	c = half_new(&raw);
	c->tail = records[_i].tail;
	c->head = records[_i].head;
	say(raw, records[_i].pos, records[_i].len);
	errno = 0;
	ck_assert_msg(chan_read(c) == records[_i].ret, "%s", records[_i].what);
	if (records[_i].ret == -1) {
		ck_assert_int_eq(errno, EPROTO);
		ck_assert(!chan_next(c, &f));
		ck_assert_int_eq(chan_read(c), -1); /* for good */
		ck_assert_int_eq(chan_flush(c), -1);
	} else if (records[_i].len > 0) {
		ck_assert(chan_next(c, &f));
		ck_assert_uint_eq(f.len, records[_i].len);
		ck_assert(f.p >= c->rx);
		ck_assert(f.p + f.len <= c->rx + 2 * CHAN_ARENA);
		ck_assert_uint_eq(f.p[0] + f.p[f.len - 1], 0);
	} else {
		ck_assert_uint_eq(c->tail, records[_i].pos);
	}
	half_free(c, raw);
}
END_TEST

/* Records come in pieces of _i bytes. */
START_TEST(split_records)
{
	uint8_t b[50 * RECLEN];
	struct wr w = wr_init(b, sizeof(b));
	struct chan_frame f;
	struct chan *c;
	size_t off, n;
	uint32_t i, got = 0;
	int raw;

	c = half_new(&raw);
	c->head = 1000;
	for (i = 0; i < 50; i++) {
		wr_le32(&w, i);
		wr_le32(&w, i % 3 == 2 ? 0 : i + 1);
	}
	for (off = 0; off < sizeof(b); off += n) {
		n = sizeof(b) - off < (size_t)_i ? sizeof(b) - off : (size_t)_i;
		ck_assert_int_eq(write(raw, b + off, n), n);
		ck_assert_int_eq(
		    chan_read(c), (off + n) / RECLEN > off / RECLEN ? 1 : 0);
		for (; chan_next(c, &f); got++) {
			got += got % 3 == 2;
			ck_assert_uint_eq(f.len, got + 1);
			ck_assert_uint_eq(f.end, 2 * got + 1);
		}
	}
	ck_assert_uint_eq(got, 50); /* the last record is a frame */
	ck_assert_uint_eq(c->tail, 47);
	half_free(c, raw);
}
END_TEST

/* The owner takes one frame a turn while more come than the queue holds. */
START_TEST(slow_owner_loses_nothing)
{
	uint8_t b[3 * CHAN_BATCH * RECLEN];
	struct wr w = wr_init(b, sizeof(b));
	struct chan_frame f;
	uint32_t i, got = 0;
	struct chan *c;
	int raw;

	c = half_new(&raw);
	for (i = 0; i < 3 * CHAN_BATCH; i++) {
		wr_le32(&w, i);
		wr_le32(&w, 1);
	}
	ck_assert_int_eq(write(raw, b, sizeof(b)), sizeof(b));
	while (got < 3 * CHAN_BATCH) {
		ck_assert_int_ge(chan_read(c), 0);
		ck_assert(chan_next(c, &f));
		ck_assert_uint_eq(f.end, ++got);
	}
	ck_assert(!chan_next(c, &f));
	ck_assert_int_eq(chan_read(c), 0);
	half_free(c, raw);
}
END_TEST

START_TEST(credit_is_merged_and_goes_forward)
{
	uint8_t b[10 * RECLEN];
	struct rd r = rd_init(b, sizeof(b));
	uint32_t pos, len;
	struct chan *c;
	int raw;

	c = half_new(&raw);
	chan_release(c, 10);
	ck_assert_int_eq(chan_flush(c), 0); /* too little to go alone */
	chan_release(c, CHAN_ARENA / 2);
	chan_release(c, CHAN_ARENA / 2);
	chan_release(c, 20); /* older than what was given */
	ck_assert_int_eq(chan_flush(c), 0);
	ck_assert_int_eq(chan_flush(c), 0);
	ck_assert_int_eq(read(raw, b, sizeof(b)), RECLEN);
	ck_assert_int_eq(rd_le32(&r, &pos), 0);
	ck_assert_int_eq(rd_le32(&r, &len), 0);
	ck_assert_uint_eq(pos, CHAN_ARENA / 2);
	ck_assert_uint_eq(len, 0);
	half_free(c, raw);
}
END_TEST

START_TEST(peer_gone)
{
	struct chan_frame f;
	uint64_t at = 0;
	struct chan *c;
	int raw;

	c = half_new(&raw);
	ck_assert_int_eq(chan_read(c), 0);
	say(raw, 0, 7);
	close(raw);
	push(c, 0, 7, &at);
	ck_assert_int_eq(chan_flush(c), -1);
	ck_assert_int_eq(chan_read(c), 1); /* what it said before */
	ck_assert_int_eq(chan_read(c), -1);
	ck_assert_int_ne(errno, EPROTO);
	ck_assert(chan_next(c, &f));
	ck_assert_uint_eq(f.len, 7);
	half_free(c, -1);
}
END_TEST

START_TEST(init_takes_only_arenas)
{
	struct chan *c = calloc(1, sizeof(*c));
	int sv[2], small, ok;

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_ne(small = plat_memfd("small", CHAN_ARENA / 2), -1);
	ok = arena();
	ck_assert_int_eq(chan_init(c, sv[0], ok, small), -1);
	/* All three are closed. */
	ck_assert_int_eq(close(sv[0]), -1);
	ck_assert_int_eq(close(ok), -1);
	ck_assert_int_eq(close(small), -1);

	/* A reader's descriptor is none to write by. */
	ok = arena();
	small = reader_of(ok);
	ck_assert_int_eq(chan_init(c, sv[1], small, ok), -1);
	ck_assert_int_eq(close(sv[1]), -1);
	free(c);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("chan");

	tcase_add_loop_test(t, frames_arrive_whole_and_in_order, 0, 4);
	tcase_add_test(t, both_ways_at_once);
	tcase_add_test(t, full_ring_waits_for_credit);
	tcase_add_test(t, restarts_make_no_credit);
	tcase_add_test(t, full_queue_has_no_space);
	tcase_add_test(t, several_frames_in_one_space);
	tcase_add_test(t, quiet_ring_starts_again);
	tcase_add_test(t, positions_wrap);
	tcase_add_test(t, full_socket_blocks_and_goes_on);
	tcase_add_loop_test(t, records_are_checked, 0,
	    (int)(sizeof(records) / sizeof(records[0])));
	tcase_add_loop_test(t, split_records, 1, 20);
	tcase_add_test(t, slow_owner_loses_nothing);
	tcase_add_test(t, credit_is_merged_and_goes_forward);
	tcase_add_test(t, peer_gone);
	tcase_add_test(t, init_takes_only_arenas);
	return check_case("chan", t);
}
