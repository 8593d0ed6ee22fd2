#ifndef GUEST_H
#define GUEST_H

/*
 * A guest's TCP, as plain as it can be: it knows which bytes it has, sends
 * what it may, and repeats what is not acknowledged.  Not our code at the
 * other end of the wire, so that no mistake meets its own mirror image.
 */

#include <stdbool.h>

#include "common/usec.h"
#include "netstackd/core/tcp_wire.h"

#define GUEST_MAX (1u << 20) /* bytes of a stream */
#define GUEST_ISS 0xfffff000u
#define GUEST_RTO (250 * USEC_MS)

struct guest {
	/* What it is like. */
	uint16_t mss;
	bool sack, ts;
	uint8_t wscale;	 /* 0: not offered */
	uint32_t buf;	 /* receive buffer */
	uint32_t flight; /* sends so much ahead */
	uint32_t to_send, to_get;

	/* Sending; offsets in the stream, the FIN counts as its last byte. */
	bool synced; /* has seen the SYN-ACK */
	uint32_t peer_iss;
	uint32_t una, nxt;
	uint32_t wnd;
	uint8_t peer_shift;
	int dupacks, backoff;
	usec_t rexmit_at;

	/* Receiving. */
	uint8_t have[GUEST_MAX + 1]; /* 1: this byte came; the last is FIN */
	uint32_t got;		     /* all before it came */
	uint32_t top;		     /* nothing from here on came */
	uint32_t read;		     /* taken by the program */
	uint32_t ts_recent;
	bool stalled; /* the program does not read */
	bool ack_due, reset;
	const char *wrong; /* what the peer did that it may not; NULL: fine */
};

void guest_init(struct guest *);
/* A segment arrives. */
void guest_input(struct guest *, usec_t now, const struct tcp_seg *);
/* The program takes what came, or stops doing so. */
void guest_read(struct guest *, bool stalled);
usec_t guest_deadline(const struct guest *);
/*
 * The next segment to send, its ports not set; false when there is none.
 * *off and *len: of the payload in the stream.
 */
bool guest_output(
    struct guest *, usec_t now, struct tcp_seg *, uint32_t *off, uint32_t *len);
/* Everything sent, acknowledged, and received. */
bool guest_done(const struct guest *);

#endif
