#ifndef TCP_H
#define TCP_H

/*
 * TCP toward the guest: what its files share.  tcp.c says how it works.
 */

#include <sys/queue.h>

#include "netstackd/core/core.h"
#include "netstackd/core/seq.h"
#include "netstackd/core/tcp_board.h"
#include "netstackd/core/tcp_cc.h"
#include "netstackd/core/tcp_cubic.h"
#include "netstackd/core/tcp_fsm.h"
#include "netstackd/core/tcp_reasm.h"
#include "netstackd/core/tcp_wire.h"

/* RFC 9293 3.7.1: what a missing MSS option means (MUST-15). */
#define TCP_MSS_DEFAULT 536
/* A smaller one only makes work; nobody means it. */
#define TCP_MSS_MIN 48

/*
 * RFC 6298 2.4 asks for at least 1 s.  Both ends share one machine here, so
 * we start lower; see docs/rfc.md.
 */
#define TCP_RTO_MIN  (200 * USEC_MS)
#define TCP_RTO_INIT (1 * USEC_SEC)  /* RFC 6298 2.1 */
#define TCP_RTO_LOST (3 * USEC_SEC)  /* 5.7: after a SYN sent twice */
#define TCP_RTO_MAX  (60 * USEC_SEC) /* RFC 6298 2.5 */
/*
 * Retransmissions before a silent guest is given up: 522 s from the shortest
 * timeout, 183 s of SYN-ACKs (RFC 9293 3.8.3: R2, at least 100 s and 3 min).
 * A VM may be paused, and one that is gone ends its flows by other ways.
 */
#define TCP_REXMIT_MAX	   15
#define TCP_REXMIT_MAX_SYN 7

/* RFC 9293 3.8.6.3: 500 ms at most.  What a local answer may take. */
#define TCP_ACK_DELAY (40 * USEC_MS)

/*
 * RFC 8985 7.2: a flight whose end nobody acknowledges is probed after two
 * round trips and this, and not before a guest with better things to do has
 * had time to answer.
 */
#define TCP_TAIL_SLACK (2 * USEC_MS)
#define TCP_TAIL_MIN   (5 * USEC_MS)
/* RFC 8985 6.2, step 4: more patience lasts for so many recoveries. */
#define TCP_REO_KEEP 16

#define TCP_KEEP_IDLE  (7200 * USEC_SEC) /* RFC 9293 3.8.4 */
#define TCP_KEEP_INTVL (75 * USEC_SEC)
#define TCP_KEEP_MAX   9
#define TCP_PROBE_MAX  3 /* unanswered ones of a closed window */

/*
 * RFC 9293 3.4.1 has 4 minutes.  The way to the guest keeps no segment for
 * longer than its queues live, which is far below a second.
 */
#define TCP_TIME_WAIT (10 * USEC_SEC)
/* A pending guest that has not asked again for so long has given up. */
#define TCP_PENDING_MAX (180 * USEC_SEC)

/* The window offered: at least, when the queue can hold it, and at most. */
#define TCP_WND_MIN   (64u << 10)
#define TCP_WND_MAX   (4u << 20)
#define TCP_WND_SHIFT 7 /* 65535 << 7 covers TCP_WND_MAX */

/*
 * What is under way lies in the host socket, whose buffer grows only by what
 * is taken out of it in one of its own, short round trips.  Across a longer
 * way to the guest it is told how much it should hold, as far as this.
 */
#define TCP_HOLD_MIN (64u << 10)
#define TCP_HOLD_MAX (4u << 20)
#define TCP_HOLD_RTT (1 * USEC_MS)

#define TCP_BATCH_IOV 64 /* segments written to the host at once */
#define TCP_BATCH_LEN (256u << 10)

#define TCP_CHALLENGE_MAX 100 /* per second and VM, RFC 5961 7 */

/* Lists of struct tcp_net a flow can be on. */
enum tcp_list {
	TCPL_NONE,
	TCPL_DIRTY,	/* has something to send when the batch ends */
	TCPL_BLOCKED,	/* had, when the channel was full */
	TCPL_PENDING,	/* wait for the host; oldest first */
	TCPL_TIME_WAIT, /* oldest first */
	TCPL__MAX
};

/*
 * A flow.  snd_* and rcv_* are RFC 9293 3.3.1's.  A byte of the host's stream
 * lies in the host socket at its sequence number - snd_una + acked.
 */
struct tcp {
	struct flow f;		 /* first: what the table knows */
	struct timer timer;	 /* at the earliest deadline, or before it */
	TAILQ_ENTRY(tcp) link;	 /* in list */
	struct tcp_queue *queue; /* owned; NULL when empty */
	struct tcp_board board;	 /* what is under way */
	struct tcp_cubic cubic;
	usec_t rexmit_at;	 /* retransmission or probe; USEC_NEVER: off */
	usec_t last_rx;		 /* when the guest last said something valid */
	usec_t keep_at;		 /* when the last keep-alive probe left */
	usec_t rtt_at;		 /* when the measured segment left */
	usec_t came_at;		 /* what comes in a round trip: since when */
	usec_t asked_at;	 /* when an ACK of guest data was last due */
	usec_t ack_at;		 /* a held ACK leaves; USEC_NEVER: none is */
	usec_t reo_at;		 /* what is out of order is lost; USEC_NEVER */
	usec_t rack_at;		 /* the latest that came was sent then */
	uint32_t iss, irs;
	uint32_t snd_una, snd_nxt; /* between them lies the board */
	uint32_t snd_max; /* end of all that was ever sent, probes too */
	uint32_t snd_wnd, snd_wl1, snd_wl2;
	uint32_t max_wnd;  /* largest snd_wnd seen */
	uint32_t fin_out;  /* our FIN's, when host_eof */
	uint32_t acked;	   /* acknowledged, not yet consumed */
	uint32_t rcv_nxt;  /* the host has everything before */
	uint32_t rcv_adv;  /* right edge of the window offered */
	uint32_t room_seq; /* rcv_nxt when the socket was last asked for room */
	uint32_t last_ack; /* rcv_nxt as last sent */
	uint32_t ack_held; /* rcv_nxt when the ACK was held back */
	uint32_t fin_in;   /* the guest's FIN's, when guest_fin */
	uint32_t wnd_least; /* offered at least; 0: TCP_WND_MIN */
	uint32_t came_seq;  /* rcv_nxt at came_at */
	uint32_t ts_recent;
	uint32_t cwnd, ssthresh;
	uint32_t flight; /* before the last ACK */
	uint32_t host_hold; /* bytes the host socket was asked to hold */
	uint32_t recover;    /* snd_max when the loss was noticed */
	uint32_t prr_flight, prr_delivered, prr_out; /* RFC 6937 3 */
	uint32_t rack_end, rack_rtt, min_rtt; /* RFC 8985 5.2; usec */
	uint32_t dsack_round; /* snd_nxt when D-SACK last counted */
	uint32_t tail_seq, tail_end; /* of a probe, while tail_out */
	uint32_t rtt_seq;	     /* acknowledged: the measurement is over */
	uint32_t srtt, rttvar, rto;  /* usec; srtt 0: not measured */
	uint16_t mss;		     /* payload of our segments, at most */
	uint16_t dupacks;
	uint8_t state; /* enum tcp_state; tcp_event() writes it */
	uint8_t list;  /* enum tcp_list */
	uint8_t snd_shift, rcv_shift; /* RFC 7323 2.3 */
	uint8_t rexmits;	      /* timeouts in a row */
	uint8_t reo_mult, reo_keep;   /* RFC 8985 6.2, step 4 */
	uint8_t keeps;		      /* keep-alive probes in a row */
	bool wscale_on, sack_on, ts_on;
	bool active;	    /* opened by us */
	bool host_open;	    /* hook->close() has to be called */
	bool host_fd;	    /* there is a socket */
	bool host_readable; /* the last peek did not say EAGAIN */
	bool host_full;	    /* the last write did: a writable event follows */
	bool host_shut;	    /* and the guest was told a window of 0 */
	bool host_eof;
	bool host_lost;	    /* its connection; what came before is there */
	bool host_reset;    /* and so the stream has no end */
	bool guest_fin;
	bool ack_due;	  /* in SYN-RECEIVED: the SYN-ACK; SYN-SENT: the SYN */
	bool ack_now;	  /* if due, it does not wait for an answer */
	bool answers;	  /* host data follows guest data quickly */
	bool answers_late; /* a held ACK waited in vain: none again */
	bool brief_late;   /* the same of those held for a moment */
	bool recovery;	  /* fast recovery, until recover */
	bool first_again; /* one lost segment at once, whatever cwnd says */
	bool reordered;	  /* ever */
	bool loss;	  /* after a timeout, until recover */
	bool rtt_running; /* rtt_at and rtt_seq are valid */
	bool persist;	  /* rexmit_at is for a window probe */
	bool tail;	  /* ... for a probe of the flight's end */
	bool tail_out;	  /* one is on its way */
	bool tail_again;  /* and was sent before: may hide a loss */
};

TAILQ_HEAD(tcp_head, tcp);

struct tcp_net {
	struct tcp_head list[TCPL__MAX]; /* borrowed flows */
	uint32_t ntime_wait, npending;
	/* In-order payload of one flow in guest frames, not yet written. */
	struct tcp *batch; /* borrowed; NULL: none */
	struct iovec iov[TCP_BATCH_IOV];
	int niov;
	uint32_t batch_len;
	uint64_t key[2]; /* of initial sequence numbers, RFC 6528 */
	uint32_t ts_off; /* RFC 7323 5.4: not the uptime */
	usec_t challenge_from;
	uint32_t challenges; /* in the second that began then */
	uint16_t port;	     /* of the gateway's, last used for an offer */
};

/* tcp.c: life of a flow.  Those that may free it say so. */
void tcp_listen(struct net *, usec_t now, const struct ip4_pkt *,
    const struct tcp_seg *, const uint32_t *iss_after);
/* want has the addresses.  NULL: no memory, or the table is full. */
struct tcp *tcp_new(struct net *, usec_t now, const struct flow *want);
uint32_t tcp_initial_seq(const struct net *, usec_t now, const struct flow *);
/* Both SYNs are known: the window we offer, and congestion control. */
void tcp_begin(struct net *, struct tcp *);
void tcp_free(struct net *, struct tcp *, bool reset); /* frees */
/* RST to the guest and to the host; frees. */
void tcp_abort(struct net *, usec_t now, struct tcp *);
void tcp_time_wait(struct net *, usec_t now, struct tcp *);
void tcp_enlist(struct net *, struct tcp *, enum tcp_list);
/* What the guest's SYN says; also of one that replaces it. */
void tcp_syn(const struct net *, struct tcp *, const struct tcp_seg *);

/*
 * tcp_host.c: guest data to the host.  -1: the flow is gone, because its host
 * socket failed.
 */
int tcp_batch_add(
    struct net *, usec_t now, struct tcp *, uint32_t seq, const struct rd *);
int tcp_batch_write(struct net *, usec_t now); /* the batch's flow */
int tcp_queue_write(struct net *, usec_t now, struct tcp *);
/* The guest's FIN, when everything before it is written. */
void tcp_fin_check(struct net *, usec_t now, struct tcp *);

/* What the guest sends next: rcv_nxt and what waits for its write. */
static inline uint32_t
tcp_expect(const struct net *net, const struct tcp *t)
{
	return t->rcv_nxt + (net->tcp->batch == t ? net->tcp->batch_len : 0);
}

/* Our timestamp, RFC 7323 3; in milliseconds. */
static inline uint32_t
tcp_ts(const struct net *net, usec_t at)
{
	return (uint32_t)(at / USEC_MS) + net->tcp->ts_off;
}

/* tcp_open.c: flows that we open. */
/* The socket is there: the SYN. */
void tcp_open(struct net *, usec_t now, struct tcp *);
/* A segment in SYN-SENT; may free. */
void tcp_in_syn_sent(struct net *, usec_t now, struct tcp *,
    const struct ip4_pkt *, struct tcp_seg *);

/* tcp_in.c: the guest has our SYN.  -1: it acknowledged something else. */
int tcp_ack_of_syn(struct net *, usec_t now, struct tcp *, struct tcp_seg *);

/* tcp_ack.c */
/* The window field of a segment that leaves now, with an ACK. */
uint16_t tcp_window(struct net *, usec_t now, struct tcp *);
/* Whether the ACK that is due may wait, until t->ack_at. */
bool tcp_hold_ack(const struct net *, usec_t now, struct tcp *);

/* tcp_out.c */
void tcp_output(struct net *, usec_t now, struct tcp *); /* may free */
void tcp_probe(struct net *, usec_t now, struct tcp *);	 /* may free */
/* A segment that makes the guest say what it has; may free. */
void tcp_tail_probe(struct net *, usec_t now, struct tcp *);
/* -1: the channel is full. */
int tcp_keepalive(struct net *, usec_t now, struct tcp *);
void tcp_ack_now(struct net *, usec_t now, struct tcp *);
/* The answer to a segment of no flow (RFC 9293 3.5.2, group 1). */
void tcp_reset_reply(
    struct net *, const struct ip4_pkt *, const struct tcp_seg *);
void tcp_reset_flow(struct net *, struct tcp *);

/* tcp_timer.c */
void tcp_timer_arm(struct net *, struct tcp *);
void tcp_timer_cb(struct net *, usec_t now, struct timer *); /* may free */
/* Sets rexmit_at, for what is to be done if nothing more is acknowledged. */
void tcp_rexmit_start(usec_t now, struct tcp *);
/* The same when something more was sent: an RTO goes on as it is. */
void tcp_rexmit_sent(usec_t now, struct tcp *);

/* tcp_rtt.c */
void tcp_rtt_sample(struct tcp *, usec_t rtt);
/* By the timestamp a segment gives back; false: it has none of use. */
bool tcp_rtt_echoed(
    const struct net *, usec_t now, struct tcp *, const struct tcp_seg *);
usec_t tcp_rto(const struct tcp *); /* with back-off */

#endif
