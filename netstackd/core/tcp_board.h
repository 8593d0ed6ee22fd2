#ifndef TCP_BOARD_H
#define TCP_BOARD_H

/*
 * The board of a flow: what of ours is between snd_una and snd_nxt, when it
 * was sent, and what became of it (RFC 6675 3, RFC 8985 5.2).  It remembers
 * runs, not segments: what left at the same instant is one record until the
 * guest tells its parts apart.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/usec.h"

enum tcp_fate {
	FATE_OUT,    /* on its way, as far as we know */
	FATE_SACKED, /* the guest has it */
	FATE_LOST,   /* to be sent again */
};

/* From the end of the record before it, or the board's base. */
struct tcp_sent {
	usec_t at; /* when it was sent last */
	uint32_t end;
	uint8_t fate; /* enum tcp_fate */
	bool again;   /* more than once, or part of it was */
};

#define TCP_BOARD_OWN 4	   /* records within the flow itself */
#define TCP_BOARD_MAX 2048 /* of which only a liar needs more */

struct tcp_board {
	struct tcp_sent *more; /* owned; NULL: own[] does */
	struct tcp_sent own[TCP_BOARD_OWN];
	uint32_t first, n, cap;	    /* records first to first + n - 1 count */
	uint32_t base;		    /* where the first begins: snd_una */
	uint32_t out, sacked, lost; /* bytes of each fate */
};

/* Told of each part of the stream that the guest is new to have. */
typedef void tcp_board_fn(void *arg, const struct tcp_sent *, uint32_t len);

void tcp_board_init(struct tcp_board *, uint32_t base);
/* Nothing is under way any more; frees what is owned. */
void tcp_board_clear(struct tcp_board *, uint32_t base);
uint32_t tcp_board_end(const struct tcp_board *);
/* When its first record was sent; there is one. */
usec_t tcp_board_since(const struct tcp_board *);
/* [seq, end) was sent: at the board's end, or once more. */
void tcp_board_sent(struct tcp_board *, uint32_t seq, uint32_t end, usec_t now);
/* The guest acknowledges everything before base. */
void tcp_board_acked(
    struct tcp_board *, uint32_t base, tcp_board_fn *, void *arg);
/* ... and reports [seq, end).  Whether any of it is new. */
bool tcp_board_sack(
    struct tcp_board *, uint32_t seq, uint32_t end, tcp_board_fn *, void *arg);
/* [seq, end) is lost, as far as it was out. */
void tcp_board_lose(struct tcp_board *, uint32_t seq, uint32_t end);
/* All of it, reported or not (RFC 2018 8). */
void tcp_board_lose_all(struct tcp_board *);
/*
 * RFC 8985 6.2, step 5: loses what is out, was sent no later than at and up to
 * end, and that for longer than patience.  Returns how long the last of the
 * others may still take, 0 when there are none.
 */
usec_t tcp_board_detect(
    struct tcp_board *, usec_t now, usec_t at, uint32_t end, usec_t patience);
/* The first lost run; false: there is none. */
bool tcp_board_hole(const struct tcp_board *, uint32_t *seq, uint32_t *end);
/* The end of the highest report; base: there is none. */
uint32_t tcp_board_top(const struct tcp_board *);
/* Runs reported. */
uint32_t tcp_board_runs(const struct tcp_board *);

#endif
