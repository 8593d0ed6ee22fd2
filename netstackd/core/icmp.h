#ifndef ICMP_H
#define ICMP_H

/* Echo to remote hosts: what its files share.  icmp_flow.c says how. */

#include <bsd/sys/queue.h>

#include "netstackd/core/core.h"

#define ICMP_QUEUE     4    /* requests a flow keeps for its socket */
#define ICMP_MAXFLOWS  1024 /* or an eighth of all, if that is less */
#define ICMP_LIMIT_MIN 4
#define ICMP_READS     64 /* of no use, taken at one event of a flow */
#define ICMP_IDLE      (60 * USEC_SEC) /* RFC 5508 REQ-2: at least this */

/* A request that waits: the whole packet. */
struct icmp_wait {
	struct icmp_wait *next;
	struct ip4_pkt pkt; /* of data */
	uint8_t data[];
};

TAILQ_HEAD(icmp_list, icmp_flow);

struct icmp_flow {
	struct flow f; /* first; guest_port is the guest's identifier */
	struct timer idle;
	usec_t used;
	bool up;	  /* there is a socket */
	bool raw;	  /* a raw one */
	bool blocked;	  /* in icmp_net.blocked: the channel was full */
	uint16_t echo_id; /* outside */
	struct sent sent;
	TAILQ_ENTRY(icmp_flow) lru, wait;
	struct icmp_wait *q; /* owned; newest first */
	unsigned nq;
};

struct icmp_net {
	struct icmp_list lru;	  /* oldest last */
	struct icmp_list blocked; /* oldest first */
	uint32_t n, limit;
	uint8_t *buf; /* owned; ICMP_BUF bytes for what is received */
};
#define ICMP_BUF 65536

#endif
