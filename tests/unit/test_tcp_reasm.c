/*
 * The queue of guest data that is not with the host yet.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/tcp.h"
#include "tests/check_main.h"

#define BASE 0xffffff00u /* the wrap is in the middle of things */

static struct net net;
static struct tcp_queue *q;
static uint8_t stream[4096];

static void
setup(void)
{
	size_t i;

	memset(&net, 0, sizeof(net));
	net.conf.max_queue = 8u << 20;
	q = NULL;
	for (i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void
teardown(void)
{
	tcp_queue_free(&net, &q);
	ck_assert_uint_eq(net.queued, 0);
}

static int
add(uint32_t from, uint32_t to)
{
	return tcp_queue_add(&net, &q, BASE + from, stream + from, to - from);
}

/* The run from there on must be the stream's bytes up to end. */
static void
check_run(uint32_t from, uint32_t end)
{
	struct iovec iov[64];
	uint32_t at = from;
	int i, n;

	n = tcp_queue_iov(q, BASE + from, iov, 64);
	for (i = 0; i < n; i++) {
		ck_assert_mem_eq(iov[i].iov_base, stream + at, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	ck_assert_uint_eq(at, end);
	ck_assert_uint_eq(tcp_queue_end(q, BASE + from), BASE + end);
}

static const struct {
	const char *what;
	uint32_t add[5][2];
	uint32_t end; /* of the run from 0 */
} cases[] = {
	{ "one", { { 0, 10 } }, 10 },
	{ "in order", { { 0, 10 }, { 10, 20 } }, 20 },
	{ "backwards", { { 10, 20 }, { 0, 10 } }, 20 },
	{ "a hole", { { 0, 10 }, { 20, 30 } }, 10 },
	{ "a hole filled", { { 0, 10 }, { 20, 30 }, { 10, 20 } }, 30 },
	{ "twice", { { 0, 10 }, { 0, 10 } }, 10 },
	{ "inside", { { 0, 10 }, { 3, 7 } }, 10 },
	{ "around", { { 3, 7 }, { 0, 10 } }, 10 },
	{ "around two", { { 10, 20 }, { 30, 40 }, { 0, 50 } }, 50 },
	{ "overlap left", { { 5, 15 }, { 0, 10 } }, 15 },
	{ "overlap right", { { 0, 10 }, { 5, 15 } }, 15 },
	{ "over the wrap", { { 0, 200 }, { 300, 400 }, { 200, 300 } }, 400 },
	{ "bridge", { { 0, 10 }, { 20, 30 }, { 5, 25 } }, 30 },
	{ "behind the tail", { { 0, 10 }, { 20, 30 }, { 25, 40 }, { 8, 22 } },
	    40 },
};

START_TEST(test_add)
{
	int i;

	for (i = 0; i < 5 && cases[_i].add[i][1] > 0; i++)
		ck_assert_int_eq(
		    add(cases[_i].add[i][0], cases[_i].add[i][1]), 0);
	check_run(0, cases[_i].end);
}
END_TEST

START_TEST(test_drop)
{
	add(0, 100);
	add(100, 200);
	add(300, 400);
	tcp_queue_drop(&net, &q, BASE + 50);
	check_run(50, 200);
	tcp_queue_drop(&net, &q, BASE + 150);
	check_run(150, 200);
	tcp_queue_drop(&net, &q, BASE + 250);
	check_run(300, 400);
	tcp_queue_drop(&net, &q, BASE + 400);
	ck_assert_ptr_null(q);
	ck_assert_uint_eq(net.queued, 0);
}
END_TEST

START_TEST(test_limits)
{
	static uint8_t big[TCP_QUEUE_MAX];
	uint32_t i, n = 0;

	/* Of the flow: tiny segments pay for their overhead. */
	for (i = 0; i < TCP_QUEUE_MAX; i++)
		n += tcp_queue_add(&net, &q, i, big, 1) == 0;
	ck_assert_uint_le(n, TCP_QUEUE_MAX / (TCP_SEG_COST + 1));
	ck_assert_uint_gt(n, TCP_QUEUE_MAX / (TCP_SEG_COST + 1) - 2);
	ck_assert_uint_le(net.queued, TCP_QUEUE_MAX);
	tcp_queue_free(&net, &q);
	/* Of the VM. */
	net.conf.max_queue = 1000;
	net.queued = 500;
	ck_assert_uint_eq(tcp_queue_room(&net, NULL), 500 - TCP_SEG_COST);
	ck_assert_int_eq(tcp_queue_add(&net, &q, 0, big, 501), -1);
	ck_assert_ptr_null(q);
	ck_assert_int_eq(tcp_queue_add(&net, &q, 0, big, 400), 0);
	net.queued -= 500;
}
END_TEST

/* Every other byte, the last first: only so many pieces, and what is between
 * them still fits. */
START_TEST(test_pieces)
{
	struct iovec iov[64];
	uint32_t i, n = 0;

	for (i = 0; i < sizeof(stream); i += 2)
		n += add(sizeof(stream) - 2 - i, sizeof(stream) - 1 - i) == 0;
	ck_assert_uint_eq(n, TCP_QUEUE_RUNS);
	i = sizeof(stream) - 2 * TCP_QUEUE_RUNS;
	ck_assert_int_eq(add(0, 1), -1);
	ck_assert_int_eq(add(i + 1, i + 2), 0);
	ck_assert_int_eq(add(0, 1), 0);
	ck_assert_int_eq(add(0, sizeof(stream)), 0);
	ck_assert_uint_eq(
	    tcp_queue_end(q, BASE), BASE + (uint32_t)sizeof(stream));
	tcp_queue_drop(&net, &q, BASE + i);
	ck_assert_int_eq(tcp_queue_iov(q, BASE + i, iov, 64), 64);
	for (n = 0; n < 64; n++)
		ck_assert_mem_eq(iov[n].iov_base, stream + i + n, 1);
}
END_TEST

START_TEST(test_sack)
{
	struct tcp_range b[TCP_NSACK];

	ck_assert_int_eq(tcp_queue_sack(q, BASE, b, TCP_NSACK), 0);
	add(100, 200);
	add(300, 400);
	add(200, 250);
	ck_assert_int_eq(tcp_queue_sack(q, BASE, b, TCP_NSACK), 2);
	ck_assert_uint_eq(b[0].start, BASE + 100);
	ck_assert_uint_eq(b[0].end, BASE + 250);
	ck_assert_uint_eq(b[1].start, BASE + 300);
	ck_assert_uint_eq(b[1].end, BASE + 400);
	ck_assert_int_eq(tcp_queue_sack(q, BASE, b, 1), 1);
	/* What is next in order is not beyond anything. */
	ck_assert_int_eq(tcp_queue_sack(q, BASE + 100, b, TCP_NSACK), 1);
	ck_assert_uint_eq(b[0].start, BASE + 300);
	/* Six blocks: the four newest. */
	add(500, 510);
	add(600, 610);
	add(700, 710);
	add(800, 810);
	ck_assert_int_eq(tcp_queue_sack(q, BASE, b, TCP_NSACK), 4);
	ck_assert_uint_eq(b[0].start, BASE + 800);
	ck_assert_uint_eq(b[3].start, BASE + 500);
}
END_TEST

/* Random pieces, in random order, always give the stream back. */
START_TEST(test_random)
{
	uint32_t seed = (uint32_t)_i * 2654435761u + 1, from, len, done = 0;
	int round;

	for (round = 0; round < 20000 && done < 3000; round++) {
		seed = seed * 1664525 + 1013904223;
		from = done + (seed >> 8) % 100;
		len = 1 + (seed >> 20) % 200;
		ck_assert_int_eq(add(from, from + len), 0);
		from = tcp_queue_end(q, BASE + done) - BASE;
		check_run(done, from);
		if (seed >> 31) {
			done = from;
			tcp_queue_drop(&net, &q, BASE + done);
		}
	}
	ck_assert_uint_ge(done, 3000);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("queue");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_add, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, test_drop);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_pieces);
	tcase_add_test(tc, test_sack);
	tcase_add_loop_test(tc, test_random, 0, 20);
	return check_case("tcp_reasm", tc);
}
