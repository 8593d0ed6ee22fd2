/*
 * Guest data that the host socket does not have yet: segments that came out
 * of order, and in-order ones that it would not take.  Copies, because the
 * frames they came in are given back; bounded per flow and per VM.
 *
 * What is held is never replaced: of two versions of a byte the first wins.
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

/* Links a copy in behind prev, NULL for the head. */
static int
held_new(struct net *net, struct tcp_queue *q, struct tcp_held *prev,
    uint32_t seq, const uint8_t *p, uint32_t len)
{
	struct tcp_held *h;

	if (len > tcp_queue_room(net, q) ||
	    (h = malloc(sizeof(*h) + len)) == NULL)
		return -1;
	h->seq = seq;
	h->len = len;
	h->off = 0;
	memcpy(h->data, p, len);
	h->next = prev != NULL ? prev->next : q->head;
	if (prev != NULL)
		prev->next = h;
	else
		q->head = h;
	if (h->next == NULL)
		q->tail = h;
	q->cost += len + TCP_SEG_COST;
	net->queued += len + TCP_SEG_COST;
	return 0;
}

/* Adds what is not there yet of the len bytes at p, which start at first. */
static int
add_missing(struct net *net, struct tcp_queue *q, uint32_t first,
    const uint8_t *p, uint32_t len)
{
	struct tcp_held *prev = NULL, *h = q->head;
	uint32_t seq = first, end = first + len, stop;

	/* Mostly it goes behind everything. */
	if (q->tail != NULL && seq_geq(seq, q->tail->seq)) {
		prev = q->tail;
		seq = seq_max(seq, prev->seq + prev->len);
		h = NULL;
	}
	while (seq_lt(seq, end)) {
		stop = h != NULL ? seq_min(end, h->seq) : end;
		if (seq_lt(seq, stop) &&
		    held_new(
			net, q, prev, seq, p + (seq - first), stop - seq) == -1)
			return -1;
		if (h == NULL)
			break;
		seq = seq_max(seq, h->seq + h->len);
		prev = h;
		h = h->next;
	}
	return 0;
}

/* The block around seq; false when that byte is not held. */
static bool
block_at(const struct tcp_queue *q, uint32_t seq, struct tcp_range *b)
{
	const struct tcp_held *h = q->head;

	while (h != NULL && seq_leq(h->seq, seq)) {
		b->start = b->end = h->seq;
		for (; h != NULL && h->seq == b->end; h = h->next)
			b->end += h->len;
		if (seq_lt(seq, b->end))
			return true;
	}
	return false;
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

/*
 * The block that [seq, end) will be part of, when that is plain without a
 * look at the list: a long one costs a walk for each segment.
 */
static bool
block_behind(
    const struct tcp_queue *q, uint32_t seq, uint32_t end, struct tcp_range *b)
{
	uint32_t last = q->tail != NULL ? q->tail->seq + q->tail->len : seq - 1;

	b->start = seq;
	b->end = end;
	if (seq_gt(seq, last))
		return true;
	if (seq != last || q->nrecent == 0 || q->recent[0].end != last)
		return false;
	b->start = q->recent[0].start;
	return true;
}

int
tcp_queue_add(struct net *net, struct tcp_queue **qp, uint32_t seq,
    const uint8_t *p, size_t len)
{
	struct tcp_queue *q = *qp;
	struct tcp_range b;
	bool behind;
	int ret;

	if (len == 0)
		return 0;
	if (q == NULL && (q = calloc(1, sizeof(*q))) == NULL)
		return -1;
	behind = block_behind(q, seq, seq + (uint32_t)len, &b);
	ret = add_missing(net, q, seq, p, (uint32_t)len);
	if (q->head == NULL) {
		free(q);
		q = NULL;
	} else if (ret == 0 && (behind || block_at(q, seq, &b))) {
		note_recent(q, b);
	}
	*qp = q;
	return ret;
}

int
tcp_queue_iov(
    const struct tcp_queue *q, uint32_t seq, struct iovec *iov, int max)
{
	struct tcp_held *h = q != NULL ? q->head : NULL;
	int n;

	for (n = 0; h != NULL && h->seq == seq && n < max; n++, h = h->next) {
		iov[n].iov_base = h->data + h->off;
		iov[n].iov_len = h->len;
		seq += h->len;
	}
	return n;
}

uint32_t
tcp_queue_end(const struct tcp_queue *q, uint32_t seq)
{
	const struct tcp_held *h = q != NULL ? q->head : NULL;

	for (; h != NULL && h->seq == seq; h = h->next)
		seq += h->len;
	return seq;
}

static void
uncharge(struct net *net, struct tcp_queue *q, uint32_t n)
{
	q->cost -= n;
	net->queued -= n;
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
	while ((h = q->head) != NULL && seq_leq(h->seq + h->len, before)) {
		q->head = h->next;
		uncharge(net, q, h->len + h->off + TCP_SEG_COST);
		free(h);
	}
	if (h == NULL) {
		free(q);
		*qp = NULL;
		return;
	}
	for (i = 0; i < q->nrecent; i++) {
		if (seq_gt(q->recent[i].end, before))
			q->recent[n++] = q->recent[i];
	}
	q->nrecent = (uint8_t)n;
	/* The bytes cut off are held until their segment goes. */
	cut = seq_ahead(h->seq, before);
	h->seq += cut;
	h->len -= cut;
	h->off += cut;
}

void
tcp_queue_free(struct net *net, struct tcp_queue **qp)
{
	struct tcp_queue *q = *qp;
	struct tcp_held *h;

	if (q == NULL)
		return;
	while ((h = q->head) != NULL) {
		q->head = h->next;
		free(h);
	}
	net->queued -= q->cost;
	free(q);
	*qp = NULL;
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
