#ifndef TCP_CC_H
#define TCP_CC_H

/*
 * Congestion control, and what is in flight: tcp_cc.c.
 */

#include <stdbool.h>

#include "netstackd/core/tcp_wire.h"

struct net;
struct tcp;

#define TCP_DUPTHRESH 3		  /* RFC 5681 3.2 */
#define TCP_CWND_MAX  (16u << 20) /* more than any window here */

/* What the guest says it has beyond snd_una (RFC 6675 3), sorted, disjoint. */
#define TCP_NRANGE 16
struct tcp_sack {
	int n;
	struct tcp_range r[TCP_NRANGE];
};

void tcp_cc_init(struct tcp *);
void tcp_cc_acked(struct tcp *, uint32_t n); /* snd_una has moved by n */
void tcp_cc_dupack(struct net *, struct tcp *);
/* After the blocks of an ACK were taken in; news: they said anything new. */
void tcp_cc_tail_acked(struct tcp *, const struct tcp_seg *, bool news);
/* What is not reported although something sent later was, is lost. */
void tcp_cc_lost_by_time(struct net *, struct tcp *);
void tcp_cc_timeout(struct tcp *);
uint32_t tcp_cc_pipe(const struct tcp *);
/* Takes the blocks of an ACK in; whether they said anything new. */
bool tcp_sack_update(struct tcp *, const struct tcp_opts *);
void tcp_sack_forget(struct tcp *, uint32_t before);
/* The first byte from seq on that the guest lacks; *end: up to where. */
uint32_t tcp_sack_hole(const struct tcp *, uint32_t seq, uint32_t *end);
/* Everything missing before this is lost (RFC 6675 4, IsLost). */
uint32_t tcp_sack_lost(const struct tcp *);

#endif
