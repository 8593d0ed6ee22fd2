/*
 * The state machine of RFC 9293 3.3.2, as seen by a server that has to ask
 * somebody else before it answers a SYN, and by a client whose own client is
 * there already.
 */

#include "netstackd/core/tcp.h"
#include "netstackd/core/tcp_fsm.h"

#define ROW(s)	  [TCPS_##s]
#define ON(e, to) [TCPE_##e] = TCPS_##to

/* clang-format off */
static const enum tcp_state edge[TCPS__MAX][TCPE__MAX] = {
	ROW(CLOSED) = { ON(SYN, PENDING), ON(OPEN, SYN_SENT) },
	ROW(PENDING) = { ON(CONNECTED, SYN_RCVD), ON(RESET, CLOSED) },
	ROW(SYN_SENT) = { ON(SYN, SYN_RCVD), ON(SYN_ACKED, ESTABLISHED),
	    ON(RESET, CLOSED) },
	ROW(SYN_RCVD) = { ON(SYN_ACKED, ESTABLISHED), ON(RESET, CLOSED) },
	ROW(ESTABLISHED) = { ON(CLOSE, FIN_WAIT_1), ON(FIN, CLOSE_WAIT),
	    ON(RESET, CLOSED) },
	ROW(FIN_WAIT_1) = { ON(FIN_ACKED, FIN_WAIT_2), ON(FIN, CLOSING),
	    ON(RESET, CLOSED) },
	ROW(FIN_WAIT_2) = { ON(FIN, TIME_WAIT), ON(RESET, CLOSED) },
	ROW(CLOSING) = { ON(FIN_ACKED, TIME_WAIT), ON(RESET, CLOSED) },
	ROW(TIME_WAIT) = { ON(EXPIRED, CLOSED), ON(RESET, CLOSED) },
	ROW(CLOSE_WAIT) = { ON(CLOSE, LAST_ACK), ON(RESET, CLOSED) },
	ROW(LAST_ACK) = { ON(FIN_ACKED, CLOSED), ON(RESET, CLOSED) },
};

const char *const tcp_state_name[TCPS__MAX] = {
	[TCPS_NONE] = "none",
	[TCPS_CLOSED] = "CLOSED",
	[TCPS_PENDING] = "PENDING",
	[TCPS_SYN_SENT] = "SYN-SENT",
	[TCPS_SYN_RCVD] = "SYN-RECEIVED",
	[TCPS_ESTABLISHED] = "ESTABLISHED",
	[TCPS_FIN_WAIT_1] = "FIN-WAIT-1",
	[TCPS_FIN_WAIT_2] = "FIN-WAIT-2",
	[TCPS_CLOSING] = "CLOSING",
	[TCPS_TIME_WAIT] = "TIME-WAIT",
	[TCPS_CLOSE_WAIT] = "CLOSE-WAIT",
	[TCPS_LAST_ACK] = "LAST-ACK",
};

const char *const tcp_event_name[TCPE__MAX] = {
	[TCPE_SYN] = "syn",
	[TCPE_OPEN] = "open",
	[TCPE_CONNECTED] = "connected",
	[TCPE_SYN_ACKED] = "syn-acked",
	[TCPE_CLOSE] = "close",
	[TCPE_FIN_ACKED] = "fin-acked",
	[TCPE_FIN] = "fin",
	[TCPE_RESET] = "reset",
	[TCPE_EXPIRED] = "expired",
};
/* clang-format on */

enum tcp_state
tcp_next(enum tcp_state state, enum tcp_event event)
{
	return edge[state][event];
}

int
tcp_event(struct tcp *t, enum tcp_event event)
{
	enum tcp_state next = tcp_next(t->state, event);

	if (next == TCPS_NONE)
		return -1;
	t->state = (uint8_t)next;
	return 0;
}
