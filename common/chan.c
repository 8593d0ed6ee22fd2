/*
 * The packet channel; chan.h has the protocol.
 *
 * txq and rxq hold records in two forms.  txq has them as they go over the
 * socket, so that a flush is one send() of the array.  rxq receives them in
 * that form behind the ones already there, and intake() turns them into host
 * order in place, leaving only the frames.
 *
 * One slot of txq is kept for credit: frames can never fill the queue so far
 * that the peer is not told what it may reuse.
 *
 * What the peer sends is bounded here: a frame's position is masked into the
 * ring and its length is at most CHAN_MAXFRAME, so with the ring mapped twice
 * in a row it always lies inside the mapping; a credit may only move the tail
 * toward the head.
 */

#include <sys/socket.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/rd.h"
#include "common/wr.h"
#include "common/plat/plat.h"

#define CREDIT_LAZY (CHAN_ARENA / 4)
#define CHAN_MASK   (CHAN_ARENA - 1)
#define CHAN_RECLEN sizeof(struct chan_rec)

_Static_assert(CHAN_RECLEN == 8, "records go over the socket as they are");
_Static_assert((CHAN_ARENA & CHAN_MASK) == 0, "a ring is a power of two");
_Static_assert(CHAN_MAXFRAME <= CHAN_ARENA, "a frame fits the second mapping");

/* r becomes the record as the socket carries it. */
static void
rec_encode(struct chan_rec *r, uint32_t pos, uint32_t len)
{
	struct wr w = wr_init(r, CHAN_RECLEN);

	wr_le32(&w, pos);
	wr_le32(&w, len);
}

static struct chan_rec
rec_decode(const struct chan_rec *wire)
{
	struct rd r = rd_init(wire, CHAN_RECLEN);
	struct chan_rec rec = { 0, 0 };

	rd_le32(&r, &rec.pos);
	rd_le32(&r, &rec.len);
	return rec;
}

int
chan_init(struct chan *c, int fd, int tx_fd, int rx_fd)
{
	int saved;

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->tx = plat_map_ring(tx_fd, CHAN_ARENA, true);
	if (c->tx != NULL)
		c->rx = plat_map_ring(rx_fd, CHAN_ARENA, false);
	saved = errno;
	close(tx_fd);
	close(rx_fd);
	if (c->rx == NULL) {
		chan_fini(c);
		errno = saved;
		return -1;
	}
	return 0;
}

void
chan_fini(struct chan *c)
{
	plat_unmap_ring(c->tx, CHAN_ARENA);
	plat_unmap_ring((void *)(uintptr_t)c->rx, CHAN_ARENA);
	if (c->fd != -1)
		close(c->fd);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

/*
 * Writing.
 */

size_t
chan_slots(const struct chan *c)
{
	return c->ntxq < CHAN_BATCH - 1 ? CHAN_BATCH - 1 - c->ntxq : 0;
}

uint8_t *
chan_space(struct chan *c, size_t *len)
{
	/* Nothing is in use: start again at the beginning of the ring. */
	if (c->head == c->tail)
		c->head = c->tail = (c->head + CHAN_MASK) & ~CHAN_MASK;
	c->base = c->head;
	*len = chan_slots(c) > 0 ? CHAN_ARENA - (c->head - c->tail) : 0;
	return c->tx + (c->head & CHAN_MASK);
}

void
chan_push(struct chan *c, size_t off, size_t len)
{
	uint32_t pos = c->base + (uint32_t)off;

	/* Who forgets chan_slots() loses a frame, never memory. */
	if (chan_slots(c) == 0)
		return;
	rec_encode(&c->txq[c->ntxq++], pos, (uint32_t)len);
	c->head = pos + (uint32_t)len;
}

/* Takes the records that are wholly on the socket out of the queue. */
static void
txq_sent(struct chan *c, size_t n)
{
	size_t whole;

	c->txq_sent += n;
	whole = c->txq_sent / CHAN_RECLEN;
	c->txq_sent %= CHAN_RECLEN;
	c->ntxq -= whole;
	memmove(c->txq, c->txq + whole, c->ntxq * CHAN_RECLEN);
}

/*
 * Queues due credit.  Where the last record is credit that has not begun to
 * leave, the new one takes its place: it says more.  So the slot kept free by
 * chan_slots() always suffices.
 *
 * Credit by itself wakes a peer that has nothing else to do, so a little of
 * it waits for a frame to travel with.  What waits is less than CREDIT_LAZY,
 * so a writer that waits for space always gets most of the ring.
 */
static void
queue_credit(struct chan *c)
{
	size_t unsent = c->txq_sent > 0 ? 1 : 0; /* first record to change */

	if (!c->credit_due ||
	    (c->ntxq == 0 && c->credit - c->credit_sent < CREDIT_LAZY))
		return;
	if (c->ntxq > unsent && rec_decode(&c->txq[c->ntxq - 1]).len == 0)
		c->ntxq--;
	if (c->ntxq == CHAN_BATCH)
		return;
	rec_encode(&c->txq[c->ntxq++], c->credit, 0);
	c->credit_sent = c->credit;
	c->credit_due = false;
}

int
chan_flush(struct chan *c)
{
	ssize_t n;

	if (c->eof) {
		errno = EPIPE;
		return -1;
	}
	queue_credit(c);
	while (c->ntxq > 0) {
		n = send(c->fd, (const uint8_t *)c->txq + c->txq_sent,
		    c->ntxq * CHAN_RECLEN - c->txq_sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			txq_sent(c, (size_t)n);
		else if (errno == EAGAIN || errno == ENOBUFS)
			return 0;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

bool
chan_blocked(const struct chan *c)
{
	return c->ntxq > 0;
}

/*
 * Reading.
 */

static int
broken(struct chan *c)
{
	c->nrxq = c->rxq_next = c->rx_part = 0;
	c->eof = true;
	errno = EPROTO;
	return -1;
}

/*
 * Checks the records that came behind rxq[nrxq], of n bytes with the part
 * that was there, obeys the credit among them and keeps the frames.  As
 * chan_read().
 */
static int
intake(struct chan *c, size_t n)
{
	size_t i, first = c->nrxq, whole = n / CHAN_RECLEN;
	struct chan_rec r;

	for (i = 0; i < whole; i++) {
		r = rec_decode(&c->rxq[first + i]);
		if (r.len > CHAN_MAXFRAME)
			return broken(c);
		if (r.len > 0)
			c->rxq[c->nrxq++] = r;
		else if (r.pos - c->tail > c->head - c->tail)
			return broken(c); /* not in use, or never was */
		else
			c->tail = r.pos;
	}
	c->rx_part = n % CHAN_RECLEN;
	memmove(&c->rxq[c->nrxq], &c->rxq[first + whole], c->rx_part);
	return whole > 0;
}

int
chan_read(struct chan *c)
{
	size_t room, left = c->nrxq - c->rxq_next;
	ssize_t n;

	if (c->eof) {
		errno = ECONNRESET;
		return -1;
	}
	if (left == CHAN_BATCH)
		return 1; /* the owner has not taken what there is */
	if (c->rxq_next > 0)
		memmove(c->rxq, c->rxq + c->rxq_next,
		    left * CHAN_RECLEN + c->rx_part);
	c->nrxq = left;
	c->rxq_next = 0;
	room = (CHAN_BATCH - left) * CHAN_RECLEN - c->rx_part;
	n = recv(
	    c->fd, (uint8_t *)&c->rxq[left] + c->rx_part, room, MSG_DONTWAIT);
	if (n > 0)
		return intake(c, (size_t)n + c->rx_part);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->eof = true;
	if (n == 0)
		errno = ECONNRESET;
	return -1;
}

bool
chan_next(struct chan *c, struct chan_frame *f)
{
	struct chan_rec r;

	if (c->rxq_next == c->nrxq)
		return false;
	r = c->rxq[c->rxq_next++];
	/* The writer started again, with all it had used given back. */
	if (r.pos - c->rx_end >= CREDIT_LAZY)
		c->credit_sent += r.pos - c->rx_end;
	c->rx_end = r.pos + r.len;
	f->p = c->rx + (r.pos & CHAN_MASK);
	f->len = r.len;
	f->end = r.pos + r.len;
	return true;
}

void
chan_release(struct chan *c, uint32_t end)
{
	/* Credit goes forward only, also when the peer's positions do not. */
	if (end - c->credit - 1 >= 2 * CHAN_ARENA)
		return;
	c->credit = end;
	c->credit_due = true;
}
