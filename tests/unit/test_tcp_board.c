/*
 * The board against the plainest model of it: an array with the fate and time
 * of each byte.
 */

#include <string.h>

#include "netstackd/core/seq.h"
#include "netstackd/core/tcp_board.h"
#include "tests/check_main.h"

#define BASE  0xffffff00u /* wraps soon */
#define BYTES 400

struct model {
	uint32_t una, nxt; /* offsets */
	uint8_t fate[BYTES];
	usec_t at[BYTES];
	uint32_t told; /* bytes the callback was told of */
};

static uint32_t seed;

static uint32_t
dice(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * below >> 32);
}

static void
tell(void *arg, const struct tcp_sent *s, uint32_t len)
{
	struct model *m = arg;
	uint32_t end = s->end - BASE;

	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(end, m->nxt);
	/* Lost ones next to each other are told apart no longer. */
	if (s->fate == FATE_OUT)
		ck_assert_int_eq(m->at[end - 1], s->at);
	m->told += len;
}

static void
compare(const struct tcp_board *b, const struct model *m)
{
	uint32_t n[3] = { 0 }, i, seq, end, top = m->una, runs = 0;
	bool hole = false;

	for (i = m->una; i < m->nxt; i++) {
		n[m->fate[i]]++;
		if (m->fate[i] == FATE_SACKED) {
			top = i + 1;
			runs += i == m->una || m->fate[i - 1] != FATE_SACKED;
		}
	}
	ck_assert_uint_eq(b->out, n[FATE_OUT]);
	ck_assert_uint_eq(b->sacked, n[FATE_SACKED]);
	ck_assert_uint_eq(b->lost, n[FATE_LOST]);
	ck_assert_uint_eq(tcp_board_end(b), BASE + m->nxt);
	ck_assert_uint_eq(tcp_board_top(b), BASE + top);
	ck_assert_uint_eq(tcp_board_runs(b), runs);
	for (i = m->una; i < m->nxt && !hole; i++)
		hole = m->fate[i] == FATE_LOST;
	ck_assert_int_eq(tcp_board_hole(b, &seq, &end), hole);
	if (hole)
		ck_assert_uint_eq(seq, BASE + i - 1);
}

/* How many of [from, to) are not reported, and are from now on. */
static uint32_t
report(struct model *m, uint32_t from, uint32_t to)
{
	uint32_t fresh = 0;

	for (; from < to; from++) {
		fresh += m->fate[from] != FATE_SACKED;
		m->fate[from] = FATE_SACKED;
	}
	return fresh;
}

static void
detect(struct tcp_board *b, struct model *m, usec_t now)
{
	usec_t at = now - dice(20), patience = dice(20);
	uint32_t i;

	/* Nothing of that instant itself lies below the base. */
	tcp_board_detect(b, now, at, BASE + m->una, patience);
	for (i = m->una; i < m->nxt; i++) {
		if (m->fate[i] == FATE_OUT && m->at[i] < at &&
		    m->at[i] + patience <= now)
			m->fate[i] = FATE_LOST;
	}
}

static void
step(struct tcp_board *b, struct model *m, usec_t now)
{
	uint32_t from = m->una + dice(m->nxt - m->una + 1);
	uint32_t to = from + dice(m->nxt - from + 1), i, fresh;

	m->told = 0;
	switch (dice(7)) {
	case 0:
	case 1:
		to = m->nxt + dice(BYTES - m->nxt < 30 ? BYTES - m->nxt : 30);
		if (to == m->nxt)
			break;
		tcp_board_sent(b, BASE + m->nxt, BASE + to, now);
		for (; m->nxt < to; m->nxt++) {
			m->fate[m->nxt] = FATE_OUT;
			m->at[m->nxt] = now;
		}
		break;
	case 2:
		if (from == to)
			break;
		tcp_board_sent(b, BASE + from, BASE + to, now);
		for (i = from; i < to; i++) {
			m->fate[i] = FATE_OUT;
			m->at[i] = now;
		}
		break;
	case 3:
		fresh = report(m, from, to);
		ck_assert_int_eq(
		    tcp_board_sack(b, BASE + from, BASE + to, tell, m),
		    fresh > 0);
		ck_assert_uint_eq(m->told, fresh);
		break;
	case 4:
		to = m->una + dice(to - m->una + 1) / 4;
		fresh = report(m, m->una, to);
		tcp_board_acked(b, BASE + to, tell, m);
		ck_assert_uint_eq(m->told, fresh);
		m->una = to;
		break;
	case 5:
		tcp_board_lose(b, BASE + from, BASE + to);
		for (i = from; i < to; i++)
			m->fate[i] =
			    m->fate[i] == FATE_OUT ? FATE_LOST : m->fate[i];
		break;
	default:
		if (dice(40) > 0)
			break;
		tcp_board_lose_all(b);
		memset(m->fate, FATE_LOST, sizeof(m->fate));
		for (i = m->una; i < m->nxt; i++)
			m->at[i] = 0;
		break;
	}
}

START_TEST(random_steps)
{
	struct tcp_board b;
	struct model m = { 0 };
	int i;

	seed = (uint32_t)_i + 1;
	tcp_board_init(&b, BASE);
	for (i = 0; i < 600; i++) {
		step(&b, &m, i + 1);
		compare(&b, &m);
		if (dice(8) == 0 && m.nxt > m.una) {
			detect(&b, &m, i + 1);
			m.told = 0;
		}
	}
	tcp_board_clear(&b, BASE);
}
END_TEST

/* Every other byte reported: the board is full and still tells the truth. */
START_TEST(too_many_runs)
{
	struct tcp_board b;
	uint32_t i;

	tcp_board_init(&b, 0);
	tcp_board_sent(&b, 0, 4 * TCP_BOARD_MAX, 1);
	for (i = 0; i < TCP_BOARD_MAX; i++)
		tcp_board_lose(&b, 2 * i, 2 * i + 1);
	ck_assert_uint_le(b.n, TCP_BOARD_MAX);
	ck_assert_uint_eq(b.out + b.lost, 4 * TCP_BOARD_MAX);
	/* What was sent has its place, if the rest must be forgotten. */
	for (i = 0; i < TCP_BOARD_MAX; i++)
		tcp_board_sent(&b, 4 * i, 4 * i + 1, 2 + i);
	ck_assert_uint_le(b.n, TCP_BOARD_MAX);
	ck_assert_uint_eq(b.out + b.lost, 4 * TCP_BOARD_MAX);
	tcp_board_clear(&b, 0);
}
END_TEST

START_TEST(in_order_is_one_record)
{
	struct tcp_board b;
	uint32_t i;

	tcp_board_init(&b, 7);
	for (i = 0; i < 100; i++)
		tcp_board_sent(&b, 7 + i * 10, 17 + i * 10, 1);
	ck_assert_uint_eq(b.n, 1);
	ck_assert_ptr_null(b.more);
	tcp_board_sent(&b, 1007, 1017, 2);
	ck_assert_uint_eq(b.n, 2);
	tcp_board_lose_all(&b);
	ck_assert_uint_eq(b.n, 1);
	ck_assert_uint_eq(b.lost, 1010);
	tcp_board_clear(&b, 7);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("board");

	tcase_add_loop_test(tc, random_steps, 0, 50);
	tcase_add_test(tc, too_many_runs);
	tcase_add_test(tc, in_order_is_one_record);
	return check_case("tcp_board", tc);
}
