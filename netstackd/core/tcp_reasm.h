#ifndef TCP_REASM_H
#define TCP_REASM_H

/*
 * The queue of a flow: guest data that is not with the host yet.  A NULL queue
 * is an empty one.
 */

#include <sys/uio.h>

#include "netstackd/core/tcp_wire.h"

struct net;

#define TCP_QUEUE_MAX  (4u << 20) /* held for one flow, with overhead */
#define TCP_QUEUE_RUNS 1024	  /* with something missing between them */
#define TCP_SEG_COST   64	  /* overhead of one held segment */

/* A segment, or what was missing of it. */
struct tcp_held {
	struct tcp_held *next; /* owned; what follows it */
	uint32_t len, off;     /* its bytes begin at data[off] */
	uint8_t data[];
};

/* [seq, end), and what is held of it: all. */
struct tcp_run {
	uint32_t seq, end;
	struct tcp_held *head; /* owned */
	struct tcp_held *tail; /* borrowed from the list */
};

struct tcp_queue {
	struct tcp_run *run; /* owned; sorted, none touches the next */
	uint32_t n, cap;
	uint32_t cost; /* of TCP_QUEUE_MAX */
	uint8_t nrecent;
	/* Blocks in which segments came last, whole, newest first. */
	struct tcp_range recent[TCP_NSACK];
};

/* Adds what is not there yet; makes the queue.  -1: not all of it fitted. */
int tcp_queue_add(struct net *, struct tcp_queue **, uint32_t seq,
    const uint8_t *, size_t len);
/* The run that starts at seq, as iovecs; how many. */
int tcp_queue_iov(
    const struct tcp_queue *, uint32_t seq, struct iovec *, int max);
/* Where that run ends; seq when there is none. */
uint32_t tcp_queue_end(const struct tcp_queue *, uint32_t seq);
/* Forgets everything before seq; frees the queue with its last byte. */
void tcp_queue_drop(struct net *, struct tcp_queue **, uint32_t before);
void tcp_queue_free(struct net *, struct tcp_queue **);
/* Bytes it may still take. */
uint32_t tcp_queue_room(const struct net *, const struct tcp_queue *);
/* Blocks beyond rcv_nxt to report, the newest first (RFC 2018 4). */
int tcp_queue_sack(
    const struct tcp_queue *, uint32_t rcv_nxt, struct tcp_range *, int max);

#endif
