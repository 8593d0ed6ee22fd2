#ifndef CHAN_H
#define CHAN_H

/*
 * The packet channel between ethd and one netstackd: frames in shared memory,
 * descriptors over a stream socketpair.
 *
 * Each side writes one arena and reads the other.  An arena is a ring of
 * CHAN_ARENA bytes, mapped twice in a row so that whatever starts in it is
 * contiguous; the reader's mapping is read-only, and so is its descriptor of
 * it.  Positions are 32-bit, monotonic, modulo the ring.
 *
 * On the socket, both ways, are 8-byte records of two little-endian words:
 *
 *	{ position, length 1..65535 }	a frame in the sender's arena
 *	{ position, 0 }			credit: everything in the receiver's
 *					arena before position may be reused
 *
 * Records are read once, by value, and range-checked; only payload bytes are
 * ever fetched from memory the other side can change.  A full ring or socket
 * pushes back: chan_space() says 0 until on-credit.  When a ring runs empty
 * the writer starts again at its beginning, so that a quiet channel stays in
 * the cache.
 *
 * No event loop here: the owner watches chan->fd for reading always, for
 * writing while chan_blocked().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAN_ARENA    (1u << 20) /* bytes of one ring; a power of two */
#define CHAN_MAXFRAME 65535u
#define CHAN_BATCH    512 /* records read or queued at a time */

struct chan_rec {
	uint32_t pos, len;
};

struct chan_frame {
	const uint8_t *p; /* borrowed until released */
	uint32_t len;
	uint32_t end; /* position after it, for chan_release() */
};

struct chan {
	int fd; /* owned */
	/* The arena we write. */
	uint8_t *tx;	     /* owned mapping, 2 * CHAN_ARENA */
	uint32_t head, tail; /* next byte to write; oldest byte still in use */
	uint32_t base;	     /* head at the last chan_space() */
	struct chan_rec txq[CHAN_BATCH]; /* not yet on the socket */
	size_t ntxq;
	size_t txq_sent; /* bytes of txq[0..] already written */
	/* The arena we read. */
	const uint8_t *rx; /* owned mapping */
	struct chan_rec rxq[CHAN_BATCH];
	size_t nrxq, rxq_next; /* whole records; next to hand out */
	size_t rx_part;	       /* bytes of an incomplete record behind them */
	uint32_t rx_end;       /* position after the last frame */
	uint32_t credit;       /* position to give back */
	uint32_t credit_sent;  /* position given back already */
	bool credit_due;
	bool eof;
};

/*
 * All three descriptors become owned at once, even on error; the arenas are
 * mapped and their descriptors closed.  -1 with errno.
 */
int chan_init(struct chan *, int fd, int tx_fd, int rx_fd);
void chan_fini(struct chan *);

/*
 * Writing.  chan_space() gives the contiguous free bytes at the head, 0 when
 * the ring, or the queue of records, is full.  chan_push() publishes
 * [off, off + len) of the space last given as the next frame, also several
 * times, each behind the one before; later space starts behind them.  Needs
 * 1 <= len <= CHAN_MAXFRAME and off + len within the space.
 */
uint8_t *chan_space(struct chan *, size_t *len);
void chan_push(struct chan *, size_t off, size_t len);
/* Records that may still be queued before the next flush. */
size_t chan_slots(const struct chan *);

/*
 * Sends queued records and due credit in one write; a little credit by itself
 * waits.  0 also when the socket is full (then chan_blocked()); -1 when the
 * peer is gone.
 */
int chan_flush(struct chan *);
bool chan_blocked(const struct chan *);

/*
 * Reading.  chan_read() takes what the socket has, once, and handles credit.
 * 1: frames or credit came; 0: nothing there now; -1: the peer is gone or
 * broke the protocol (errno EPROTO).  Then chan_next() hands out the frames,
 * in order; false when there are no more.
 */
int chan_read(struct chan *);
bool chan_next(struct chan *, struct chan_frame *);
/* Everything up to and with this frame may be overwritten. */
void chan_release(struct chan *, uint32_t end);

#endif
