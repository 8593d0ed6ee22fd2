#ifndef TCP_FSM_H
#define TCP_FSM_H

/*
 * The states of a flow toward the guest and the edges between them, as data.
 * The names are RFC 9293's; PENDING is ours: the guest's SYN waits for the
 * host socket.  LISTEN does not occur; SYN-SENT does when a client of the host
 * wants to speak with the guest.
 */

struct tcp;

enum tcp_state {
	TCPS_NONE, /* no state: what "no such edge" looks like */
	TCPS_CLOSED,
	TCPS_PENDING,
	TCPS_SYN_SENT,
	TCPS_SYN_RCVD,
	TCPS_ESTABLISHED,
	TCPS_FIN_WAIT_1,
	TCPS_FIN_WAIT_2,
	TCPS_CLOSING,
	TCPS_TIME_WAIT,
	TCPS_CLOSE_WAIT,
	TCPS_LAST_ACK,
	TCPS__MAX
};

enum tcp_event {
	TCPE_SYN,	/* the guest opens */
	TCPE_OPEN,	/* we do */
	TCPE_CONNECTED, /* the host socket is there */
	TCPE_SYN_ACKED, /* the guest has our SYN */
	TCPE_CLOSE,	/* the host's stream ended: our FIN goes out */
	TCPE_FIN_ACKED, /* the guest has it */
	TCPE_FIN,	/* the guest's FIN, everything before it written */
	TCPE_RESET,	/* by either side, or given up */
	TCPE_EXPIRED,	/* TIME-WAIT is over */
	TCPE__MAX
};

extern const char *const tcp_state_name[TCPS__MAX];
extern const char *const tcp_event_name[TCPE__MAX];

/* TCPS_NONE: no such edge. */
enum tcp_state tcp_next(enum tcp_state, enum tcp_event);

/*
 * The only writer of a flow's state.  -1, and nothing changed: no such edge,
 * which callers treat as "this event means nothing here".
 */
int tcp_event(struct tcp *, enum tcp_event);

#endif
