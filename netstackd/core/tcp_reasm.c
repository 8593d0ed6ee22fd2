/*
 * Guest data that the host socket does not have yet: segments that came out
 * of order, and in-order ones that it would not take.  Copies, because the
 * frames they came in are given back; bounded per flow and per VM.
 *
 * They lie in runs of consecutive bytes, a sorted array of them, so that a
 * guest which sends every other byte first costs no more than a search and a
 * move within a few pages for each.  What is held is never replaced: of two
 * versions of a byte the first wins.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/tcp.h"

uint32_t
tcp_queue_room(const struct net *net, const struct tcp_queue *q)
{
	uint32_t cost = q != NULL ? q->cost : 0;
	uint32_t flow = cost < TCP_QUEUE_MAX ? TCP_QUEUE_MAX - cost : 0;
	uint32_t vm = net->queued < net->conf.max_queue
			  ? net->conf.max_queue - net->queued
			  : 0;
	uint32_t room = flow < vm ? flow : vm;

	return room > TCP_SEG_COST ? room - TCP_SEG_COST : 0;
}

static struct tcp_held *
held_new(struct net *net, struct tcp_queue *q, const uint8_t *p, uint32_t len)
{
	struct tcp_held *h;

	if (len > tcp_queue_room(net, q) ||
	    (h = malloc(sizeof(*h) + len)) == NULL)
		return NULL;
	h->next = NULL;
	h->len = len;
	h->off = 0;
	memcpy(h->data, p, len);
	q->cost += len + TCP_SEG_COST;
	net->queued += len + TCP_SEG_COST;
	return h;
}

static void
uncharge(struct net *net, struct tcp_queue *q, uint32_t n)
{
	q->cost -= n;
	net->queued -= n;
}

/* The first run that ends behind seq; q->n when there is none. */
static uint32_t
run_find(const struct tcp_queue *q, uint32_t seq)
{
	uint32_t lo = 0, hi = q->n, mid;

	/* Mostly it goes behind everything. */
	if (hi > 0 && seq_geq(seq, q->run[hi - 1].end))
		return hi;
	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (seq_gt(q->run[mid].end, seq))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void
run_remove(struct tcp_queue *q, uint32_t i)
{
	q->n--;
	memmove(
	    &q->run[i], &q->run[i + 1], (q->n - i) * sizeof(struct tcp_run));
}

/* Makes one more, at i.  -1: there are too many. */
static int
run_insert(struct tcp_queue *q, uint32_t i, const struct tcp_run *r)
{
	uint32_t cap = q->cap > 0 ? 2 * q->cap : 4;
	struct tcp_run *p;

	if (q->n == q->cap) {
		if (q->n == TCP_QUEUE_RUNS ||
		    (p = realloc(q->run, cap * sizeof(*p))) == NULL)
			return -1;
		q->run = p;
		q->cap = cap;
	}
	memmove(
	    &q->run[i + 1], &q->run[i], (q->n - i) * sizeof(struct tcp_run));
	q->run[i] = *r;
	q->n++;
	return 0;
}

/* Enters a segment that fills what is missing before run i, or a part of it. */
static int
run_add(struct tcp_queue *q, uint32_t i, uint32_t seq, struct tcp_held *h)
{
	struct tcp_run one = { seq, seq + h->len, h, h };
	struct tcp_run *prev = i > 0 ? &q->run[i - 1] : NULL;
	struct tcp_run *next = i < q->n ? &q->run[i] : NULL;

	if (next != NULL && next->seq == one.end) {
		h->next = next->head;
		next->head = h;
		next->seq = seq;
		if (prev == NULL || prev->end != seq)
			return 0;
		prev->tail->next = next->head;
		prev->tail = next->tail;
		prev->end = next->end;
		run_remove(q, i);
		return 0;
	}
	if (prev == NULL || prev->end != seq)
		return run_insert(q, i, &one);
	prev->tail->next = h;
	prev->tail = h;
	prev->end = one.end;
	return 0;
}

/* Adds what is not there yet of the len bytes at p, which start at first. */
static int
add_missing(struct net *net, struct tcp_queue *q, uint32_t first,
    const uint8_t *p, uint32_t len)
{
	uint32_t seq = first, end = first + len, stop, i;
	struct tcp_held *h;

	for (; seq_lt(seq, end); seq = stop) {
		i = run_find(q, seq);
		if (i < q->n && seq_leq(q->run[i].seq, seq)) {
			stop = q->run[i].end;
			continue;
		}
		stop = i < q->n ? seq_min(end, q->run[i].seq) : end;
		h = held_new(net, q, p + (seq - first), stop - seq);
		if (h == NULL)
			return -1;
		if (run_add(q, i, seq, h) == -1) {
			uncharge(net, q, h->len + TCP_SEG_COST);
			free(h);
			return -1;
		}
	}
	return 0;
}

/* Puts a block first, in the place of all that are part of it. */
static void
note_recent(struct tcp_queue *q, struct tcp_range b)
{
	struct tcp_range old[TCP_NSACK];
	int i, nold = q->nrecent;

	memcpy(old, q->recent, sizeof(old));
	q->recent[0] = b;
	q->nrecent = 1;
	for (i = 0; i < nold && q->nrecent < TCP_NSACK; i++) {
		if (seq_lt(old[i].start, b.start) ||
		    seq_geq(old[i].start, b.end))
			q->recent[q->nrecent++] = old[i];
	}
}

/* All of it, and then it is the newest block. */
static int
add_all(struct net *net, struct tcp_queue *q, uint32_t seq, const uint8_t *p,
    uint32_t len)
{
	struct tcp_range b;
	uint32_t i;

	if (add_missing(net, q, seq, p, len) == -1)
		return -1;
	i = run_find(q, seq);
	b = (struct tcp_range){ q->run[i].seq, q->run[i].end };
	note_recent(q, b);
	return 0;
}

static void
queue_done(struct tcp_queue **qp)
{
	if ((*qp)->n > 0)
		return;
	free((*qp)->run);
	free(*qp);
	*qp = NULL;
}

int
tcp_queue_add(struct net *net, struct tcp_queue **qp, uint32_t seq,
    const uint8_t *p, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	if (*qp == NULL && (*qp = calloc(1, sizeof(**qp))) == NULL)
		return -1;
	ret = add_all(net, *qp, seq, p, (uint32_t)len);
	queue_done(qp);
	return ret;
}

int
tcp_queue_iov(
    const struct tcp_queue *q, uint32_t seq, struct iovec *iov, int max)
{
	struct tcp_held *h = NULL;
	int n;

	if (q != NULL && q->run[0].seq == seq)
		h = q->run[0].head;
	for (n = 0; h != NULL && n < max; n++, h = h->next) {
		iov[n].iov_base = h->data + h->off;
		iov[n].iov_len = h->len;
	}
	return n;
}

uint32_t
tcp_queue_end(const struct tcp_queue *q, uint32_t seq)
{
	return q != NULL && q->run[0].seq == seq ? q->run[0].end : seq;
}

/* Forgets the first segment of the first run. */
static void
drop_first(struct net *net, struct tcp_queue *q)
{
	struct tcp_run *r = &q->run[0];
	struct tcp_held *h = r->head;

	r->seq += h->len;
	r->head = h->next;
	uncharge(net, q, h->len + h->off + TCP_SEG_COST);
	free(h);
	if (r->head == NULL)
		run_remove(q, 0);
}

void
tcp_queue_drop(struct net *net, struct tcp_queue **qp, uint32_t before)
{
	struct tcp_queue *q = *qp;
	struct tcp_held *h;
	uint32_t cut;
	int i, n = 0;

	if (q == NULL)
		return;
	while (q->n > 0 && (cut = seq_ahead(q->run[0].seq, before)) > 0) {
		h = q->run[0].head;
		if (cut >= h->len) {
			drop_first(net, q);
			continue;
		}
		/* The bytes cut off are held until their segment goes. */
		q->run[0].seq += cut;
		h->len -= cut;
		h->off += cut;
	}
	for (i = 0; i < q->nrecent; i++) {
		if (seq_gt(q->recent[i].end, before))
			q->recent[n++] = q->recent[i];
	}
	q->nrecent = (uint8_t)n;
	queue_done(qp);
}

void
tcp_queue_free(struct net *net, struct tcp_queue **qp)
{
	while (*qp != NULL) {
		drop_first(net, *qp);
		queue_done(qp);
	}
}

int
tcp_queue_sack(
    const struct tcp_queue *q, uint32_t rcv_nxt, struct tcp_range *out, int max)
{
	int i, n = 0;

	for (i = 0; q != NULL && i < q->nrecent && n < max; i++) {
		if (seq_gt(q->recent[i].start, rcv_nxt))
			out[n++] = q->recent[i];
	}
	return n;
}
