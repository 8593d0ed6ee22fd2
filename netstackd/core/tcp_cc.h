#ifndef TCP_CC_H
#define TCP_CC_H

/*
 * How much may be under way, and what of it is lost: tcp_cc.c, tcp_rack.c.
 */

#include <stdbool.h>

#include "netstackd/core/tcp_wire.h"

struct net;
struct tcp;

#define TCP_DUPTHRESH 3		  /* RFC 5681 3.2 */
#define TCP_CWND_MAX  (16u << 20) /* more than any window here */

/* What one segment of the guest told us. */
struct tcp_news {
	struct tcp *t; /* borrowed */
	usec_t now;
	uint32_t flight;    /* before it */
	uint32_t top;	    /* the highest report before it */
	uint32_t acked;	    /* snd_una moved by so much */
	uint32_t delivered; /* bytes the guest is new to have */
	uint32_t tsecr;	    /* when what it answers left, in ms; if echo */
	bool echo;
	bool dup;	    /* a duplicate ACK, of a guest without SACK */
	bool dsack;	    /* it got something twice */
};

void tcp_cc_init(struct tcp *);
/* When RACK and the board have had their look at it. */
void tcp_cc_acked(struct net *, usec_t now, const struct tcp_news *);
/* Something is lost: one reduction for each window. */
void tcp_cc_lost(struct net *, usec_t now, struct tcp *);
/* A loss that a tail probe has found and repaired. */
void tcp_cc_repaired(struct tcp *);
void tcp_cc_timeout(struct tcp *);
/* ... of a guest that took its window back: nothing counts as sent. */
void tcp_cc_restart(struct tcp *);
/* Bytes on their way (RFC 6675's pipe). */
uint32_t tcp_cc_pipe(const struct tcp *);

/* Takes the blocks of an ACK in. */
void tcp_rack_sack(struct tcp_news *, const struct tcp_seg *);
/* Takes its number in; snd_una has not moved yet. */
void tcp_rack_ack(struct tcp_news *, uint32_t ack);
/* Whether anything is lost that was not before; or a timer will see. */
bool tcp_rack_detect(usec_t now, struct tcp *);
void tcp_rack_timeout(struct net *, usec_t now, struct tcp *);
/* After the blocks of an ACK were taken in. */
void tcp_rack_tail(const struct tcp_news *, const struct tcp_seg *);

#endif
