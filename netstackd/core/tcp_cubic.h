#ifndef TCP_CUBIC_H
#define TCP_CUBIC_H

/*
 * CUBIC, RFC 9438, in whole numbers, so that it computes the same everywhere.
 * Windows are in bytes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/usec.h"

struct tcp_cubic {
	usec_t since;	/* the epoch's begin; 0: the next ACK begins one */
	uint32_t w_max; /* where the last reduction was, or below; 0: none */
	uint32_t prior; /* cwnd right before it */
	uint32_t w_est; /* what Reno would have (4.3) */
	uint32_t k_ms;	/* until the curve is back at origin */
	uint32_t origin;
};

/* cwnd is reduced: returns 0.7 of it, and remembers where it was (4.6, 4.7). */
uint32_t tcp_cubic_reduce(struct tcp_cubic *, uint32_t cwnd);
/* Congestion avoidance: n bytes more are acknowledged; the new cwnd. */
uint32_t tcp_cubic_acked(struct tcp_cubic *, usec_t now, usec_t rtt,
    uint32_t cwnd, uint32_t mss, uint32_t n);
/* cwnd is not what limits: time that passes now is not the curve's (5.8). */
void tcp_cubic_idle(struct tcp_cubic *);
/* The cube root, rounded down. */
uint32_t tcp_cubic_root(uint64_t);

#endif
