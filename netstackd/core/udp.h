#ifndef UDP_H
#define UDP_H

/* UDP: what its files share.  udp.c says how it works. */

#include <bsd/sys/queue.h>

#include "netstackd/core/core.h"

#define UDP_HDRLEN   8
#define UDP_MAXLEN   65507 /* payload of one datagram */
#define UDP_OVERHEAD (FRAME_HDRLEN + UDP_HDRLEN)

#define UDP_BATCH     32   /* datagrams received or sent at once */
#define UDP_QUEUE     16   /* datagrams one flow keeps for its socket */
#define UDP_QUEUE_DNS 512  /* that of all the guest's questions */
#define UDP_SLOT      2034 /* largest packet read at the small pitch */
#define UDP_LIMIT_MIN 4	   /* flows, whatever max_flows says */

/*
 * Without traffic either way a flow ends.  RFC 4787 4.3 wants at least two
 * minutes and recommends five; a query for a name is over sooner (and RFC 4787
 * allows less for well-known ports).
 */
#define UDP_IDLE     (300 * USEC_SEC)
#define UDP_IDLE_DNS (30 * USEC_SEC)

/*
 * A message on the socket to dnsd is {guest address, guest port, length} and
 * the DNS message; a datagram there has one of them or many.
 */
#define DNS_PREFIX 8
#define DNS_BATCH  32768 /* bytes of one of ours, if it has many */
#define DNS_PORT   53

struct udp_pkt {
	struct udp_pkt *next;
	size_t len;
	struct net_dgram how; /* to leave; only that of it */
	uint8_t data[];
};

TAILQ_HEAD(udp_list, udp_flow);

struct udp_flow {
	struct flow f; /* first, as flows are cast */
	struct timer idle;
	usec_t used;	       /* last datagram either way */
	bool up;	       /* there is a socket */
	bool answered;	       /* something came from the other side */
	bool lasting;	       /* binds: serves more than queries for names */
	bool stale;	       /* its server was lost since it opened */
	bool blocked;	       /* in udp_net.blocked: the channel was full */
	bool big;	       /* datagrams above UDP_SLOT come */
	struct udp_flow *bind; /* borrowed; of NET_UDP only */
	struct udp_list kids;  /* of a bind: what is connected on its port */
	TAILQ_ENTRY(udp_flow) kin, lru, wait;
	struct sent sent;      /* of NET_UDP only */
	struct udp_pkt *q, **qtail; /* owned; waiting for the socket */
	unsigned nq;
};

/* Datagrams of one flow and size, to be sent in one go.  Borrowed bytes. */
struct udp_batch {
	struct udp_flow *flow; /* NULL: empty */
	struct net_dgram d[UDP_BATCH];
	uint8_t prefix[UDP_BATCH][DNS_PREFIX];
	size_t size, total;
	int n;
};

struct udp_net {
	struct udp_batch batch;
	/* Flows by last use, never answered and answered; oldest last. */
	struct udp_list lru[2];
	uint32_t nlru[2];
	uint32_t limit;		 /* of both together */
	struct udp_flow *dns;	 /* NULL until needed */
	uint16_t port;		 /* of the gateway's, last used for an offer */
	struct udp_list blocked; /* oldest first */
	/* Receiving. */
	size_t room_min; /* of the channel, for the largest datagram */
	struct net_dgram d[UDP_BATCH];
	uint8_t *spill; /* owned; UDP_BATCH times UDP_SPILL */
};
#define UDP_SPILL 65536

/* udp_flow.c: flows and their limits. */
/* The flow for a datagram of the guest, made when there is none. */
struct udp_flow *udp_flow_for(struct net *, usec_t now, const struct ip4_pkt *,
    uint16_t sport, uint16_t dport);
struct udp_flow *udp_dns_flow(struct net *, usec_t now);
void udp_del(struct net *, struct udp_flow *); /* closes and frees */
void udp_touch(struct net *, usec_t now, struct udp_flow *, bool inbound);
/* Keeps a copy for later; counts when it cannot. */
void udp_enqueue(struct net *, struct udp_flow *, const struct net_dgram *);
void udp_dequeue(struct net *, struct udp_flow *); /* frees the first */

/* udp.c: guest to host. */
enum net_error udp_error(int error); /* an errno of the hooks */
void udp_batch_flush(struct net *, usec_t now);
/* Sends what waits for the flow's socket. */
void udp_queue_flush(struct net *, usec_t now, struct udp_flow *);
/* Tells the guest, about a datagram of the flow's and payload length len. */
void udp_report(struct net *, usec_t now, const struct udp_flow *,
    enum net_error, size_t len);
/* Tells it what came for the socket from the host's network; false: nothing. */
bool udp_told_all(struct net *, usec_t now, const struct udp_flow *);

/* udp_host.c: host to guest, until the socket or the channel has no more. */
void udp_pull(struct net *, usec_t now, struct udp_flow *);

#endif
