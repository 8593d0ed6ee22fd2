/*
 * The board: a sorted array of runs without gaps.  Runs next to each other
 * that need not be told apart are one, so a flow without losses has a record
 * for each turn in which it sent something, and a board that lost everything
 * has a single one.
 *
 * A guest that reports every other segment makes it long.  When it cannot
 * grow any more, reports are not believed, which is harmless; and when what
 * was sent has no place in it, everything counts as lost, which only costs
 * time.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/seq.h"
#include "netstackd/core/tcp_board.h"

static struct tcp_sent *
rec(const struct tcp_board *b, uint32_t i)
{
	const struct tcp_sent *all = b->more != NULL ? b->more : b->own;

	return (struct tcp_sent *)(uintptr_t)&all[b->first + i];
}

static uint32_t
start_of(const struct tcp_board *b, uint32_t i)
{
	return i == 0 ? b->base : rec(b, i - 1)->end;
}

static uint32_t
len_of(const struct tcp_board *b, uint32_t i)
{
	return rec(b, i)->end - start_of(b, i);
}

/* The counter of bytes with that fate. */
static uint32_t *
bytes(struct tcp_board *b, uint8_t fate)
{
	return fate == FATE_OUT	     ? &b->out
	       : fate == FATE_SACKED ? &b->sacked
				     : &b->lost;
}

void
tcp_board_init(struct tcp_board *b, uint32_t base)
{
	memset(b, 0, sizeof(*b));
	b->cap = TCP_BOARD_OWN;
	b->base = base;
}

void
tcp_board_clear(struct tcp_board *b, uint32_t base)
{
	free(b->more);
	tcp_board_init(b, base);
}

uint32_t
tcp_board_end(const struct tcp_board *b)
{
	return b->n > 0 ? rec(b, b->n - 1)->end : b->base;
}

usec_t
tcp_board_since(const struct tcp_board *b)
{
	return rec(b, 0)->at;
}

/* Room for so many more records behind the last.  -1: there is none. */
static int
reserve(struct tcp_board *b, uint32_t more)
{
	struct tcp_sent *old = b->more != NULL ? b->more : b->own, *p;
	uint32_t cap = b->cap;

	if (b->first + b->n + more <= b->cap)
		return 0;
	/* Half of it at the front is free: moving is cheap enough. */
	if (b->n + more <= b->cap && (b->first >= b->cap / 2 || b->n < 16)) {
		memmove(old, old + b->first, b->n * sizeof(*old));
		b->first = 0;
		return 0;
	}
	while (cap < b->n + more)
		cap *= 2;
	cap = cap == b->cap ? cap * 2 : cap;
	if (cap > TCP_BOARD_MAX || (p = malloc(cap * sizeof(*p))) == NULL)
		return -1;
	memcpy(p, old + b->first, b->n * sizeof(*p));
	free(b->more);
	b->more = p;
	b->first = 0;
	b->cap = cap;
	return 0;
}

/* The record that has the byte seq, which is on the board. */
static uint32_t
find(const struct tcp_board *b, uint32_t seq)
{
	uint32_t lo = 0, hi = b->n - 1, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (seq_lt(seq, rec(b, mid)->end))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Makes a record begin at seq; which. */
static uint32_t
cut(struct tcp_board *b, uint32_t seq)
{
	uint32_t i;

	if (!seq_lt(seq, tcp_board_end(b)))
		return b->n;
	i = find(b, seq);
	if (start_of(b, i) == seq)
		return i;
	memmove(rec(b, i + 1), rec(b, i), (b->n - i) * sizeof(struct tcp_sent));
	b->n++;
	rec(b, i)->end = seq;
	return i + 1;
}

static bool
alike(const struct tcp_sent *a, const struct tcp_sent *b)
{
	return a->fate == b->fate &&
	       (a->fate != FATE_OUT ||
		   (a->at == b->at && a->again == b->again));
}

/* Joins what is alike among the records from i to j and around them. */
static void
join(struct tcp_board *b, uint32_t i, uint32_t j)
{
	uint32_t to, from;

	to = i > 0 ? i - 1 : 0;
	j = j < b->n ? j + 1 : b->n;
	for (from = to + 1; from < j; from++) {
		if (alike(rec(b, to), rec(b, from))) {
			rec(b, to)->again |= rec(b, from)->again;
			rec(b, to)->end = rec(b, from)->end;
			continue;
		}
		to++;
		*rec(b, to) = *rec(b, from);
	}
	if (from <= to + 1)
		return;
	memmove(rec(b, to + 1), rec(b, from),
	    (b->n - from) * sizeof(struct tcp_sent));
	b->n -= from - (to + 1);
}

static void
set_fate(struct tcp_board *b, uint32_t i, uint8_t fate)
{
	*bytes(b, rec(b, i)->fate) -= len_of(b, i);
	*bytes(b, fate) += len_of(b, i);
	rec(b, i)->fate = fate;
}

/* Behind everything, for the first time. */
static void
append(struct tcp_board *b, uint32_t end, usec_t now)
{
	struct tcp_sent *last = b->n > 0 ? rec(b, b->n - 1) : NULL;
	struct tcp_sent s = { .at = now, .end = end, .fate = FATE_OUT };

	b->out += end - tcp_board_end(b);
	if (last != NULL && alike(last, &s))
		last->end = end;
	else
		*rec(b, b->n++) = s;
}

void
tcp_board_sent(struct tcp_board *b, uint32_t seq, uint32_t end, usec_t now)
{
	uint32_t i, j, k;

	bool behind = seq_geq(seq, tcp_board_end(b));

	if (reserve(b, behind ? 1 : 2) == -1)
		tcp_board_lose_all(b);
	if (behind) {
		append(b, end, now);
		return;
	}
	i = cut(b, seq);
	j = cut(b, seq_min(end, tcp_board_end(b)));
	for (k = i; k < j; k++) {
		set_fate(b, k, FATE_OUT);
		rec(b, k)->at = now;
		rec(b, k)->again = true;
	}
	join(b, i, j);
}

void
tcp_board_acked(struct tcp_board *b, uint32_t base, tcp_board_fn *fn, void *arg)
{
	struct tcp_sent part;

	while (b->n > 0 && seq_gt(base, b->base)) {
		part = *rec(b, 0);
		part.end = seq_min(part.end, base);
		*bytes(b, part.fate) -= part.end - b->base;
		if (part.fate != FATE_SACKED)
			fn(arg, &part, part.end - b->base);
		b->base = part.end;
		if (part.end != rec(b, 0)->end)
			return;
		b->first++;
		b->n--;
	}
	b->base = base;
	if (b->n == 0)
		b->first = 0;
	/* A flow that rests keeps little. */
	if (b->n == 0 && b->cap > 16 * TCP_BOARD_OWN)
		tcp_board_clear(b, base);
}

bool
tcp_board_sack(struct tcp_board *b, uint32_t seq, uint32_t end,
    tcp_board_fn *fn, void *arg)
{
	uint32_t i, j, k;

	end = seq_min(end, tcp_board_end(b));
	if (b->n == 0 || seq_lt(seq, b->base) || seq_geq(seq, end))
		return false;
	i = find(b, seq);
	if (rec(b, i)->fate == FATE_SACKED && seq_leq(end, rec(b, i)->end))
		return false;
	if (reserve(b, 2) == -1)
		return false;
	i = cut(b, seq);
	j = cut(b, end);
	for (k = i; k < j; k++) {
		if (rec(b, k)->fate == FATE_SACKED)
			continue;
		fn(arg, rec(b, k), len_of(b, k));
		set_fate(b, k, FATE_SACKED);
	}
	join(b, i, j);
	return true;
}

void
tcp_board_lose(struct tcp_board *b, uint32_t seq, uint32_t end)
{
	uint32_t i, j, k;

	if (b->n == 0 || reserve(b, 2) == -1)
		return;
	i = cut(b, seq);
	j = cut(b, end);
	for (k = i; k < j; k++) {
		if (rec(b, k)->fate == FATE_OUT)
			set_fate(b, k, FATE_LOST);
	}
	join(b, i, j);
}

void
tcp_board_lose_all(struct tcp_board *b)
{
	uint32_t end = tcp_board_end(b);

	if (b->n == 0)
		return;
	b->n = 1;
	*rec(b, 0) =
	    (struct tcp_sent){ .end = end, .fate = FATE_LOST, .again = true };
	b->out = b->sacked = 0;
	b->lost = end - b->base;
}

usec_t
tcp_board_detect(
    struct tcp_board *b, usec_t now, usec_t at, uint32_t end, usec_t patience)
{
	usec_t left, wait = 0;
	uint32_t i, lost = b->lost;
	struct tcp_sent *s;

	for (i = 0; i < b->n; i++) {
		s = rec(b, i);
		if (s->fate != FATE_OUT || s->at > at ||
		    (s->at == at && seq_gt(s->end, end)))
			continue;
		left = s->at + patience - now;
		if (left <= 0)
			set_fate(b, i, FATE_LOST);
		else if (left > wait)
			wait = left;
	}
	if (b->lost != lost)
		join(b, 0, b->n);
	return wait;
}

bool
tcp_board_hole(const struct tcp_board *b, uint32_t *seq, uint32_t *end)
{
	uint32_t i;

	for (i = 0; b->lost > 0 && i < b->n; i++) {
		if (rec(b, i)->fate == FATE_LOST) {
			*seq = start_of(b, i);
			*end = rec(b, i)->end;
			return true;
		}
	}
	return false;
}

uint32_t
tcp_board_top(const struct tcp_board *b)
{
	uint32_t i;

	for (i = b->sacked > 0 ? b->n : 0; i > 0; i--) {
		if (rec(b, i - 1)->fate == FATE_SACKED)
			return rec(b, i - 1)->end;
	}
	return b->base;
}

uint32_t
tcp_board_runs(const struct tcp_board *b)
{
	uint32_t i, runs = 0;

	for (i = 0; b->sacked > 0 && i < b->n; i++)
		runs += rec(b, i)->fate == FATE_SACKED;
	return runs;
}
