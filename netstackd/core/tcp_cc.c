/*
 * Congestion control toward the guest.
 *
 * Slow start (RFC 5681) from ten segments (RFC 6928), then CUBIC (RFC 9438);
 * all in bytes (RFC 3465, without its limit per ACK: guests acknowledge whole
 * bursts at once).  cwnd grows only while it is what limits us.  Slow start
 * needs no HyStart: the way to the guest does not drop what it cannot take,
 * it blocks, and a loss does not come from our speed.
 *
 * Losses: with SACK the board and RACK say what is lost (tcp_rack.c), and
 * proportional rate reduction (RFC 6937) how much goes out for each ACK.
 * Without it NewReno, RFC 6582, where every duplicate ACK stands for a segment
 * that has left.
 *
 * After a timeout everything counts as lost, also what was reported, because
 * the guest may have dropped it (RFC 2018 8), and is sent again from snd_una
 * but for what it reports anew.
 */

#include <string.h>

#include "netstackd/core/tcp.h"

void
tcp_cc_init(struct tcp *t)
{
	/*
	 * RFC 6928 2, without its limit for large segments: a guest with a
	 * large MTU is not behind a narrow way.
	 */
	t->cwnd = t->mss * 10u;
	t->ssthresh = TCP_CWND_MAX;
	t->recover = t->dsack_round = t->iss;
	t->min_rtt = UINT32_MAX;
	t->reo_mult = 1;
	memset(&t->cubic, 0, sizeof(t->cubic));
	tcp_board_init(&t->board, t->iss + 1);
}

uint32_t
tcp_cc_pipe(const struct tcp *t)
{
	uint32_t gone = t->sack_on ? 0 : (uint32_t)t->dupacks * t->mss;

	return t->board.out > gone ? t->board.out - gone : 0;
}

/*
 * RFC 9438 4.6.  What counts is cwnd, unless the flow has not used it lately:
 * then it is what was in flight.
 */
static void
reduce(struct tcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una;

	if (flight < t->flight)
		flight = t->flight;
	if (flight >= t->cwnd / 2)
		flight = t->cwnd;
	t->ssthresh = tcp_cubic_reduce(&t->cubic, flight);
	if (t->ssthresh < 2u * t->mss)
		t->ssthresh = 2u * t->mss;
}

static void
recovery_over(struct tcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una;
	uint32_t small = (flight > t->mss ? flight : t->mss) + t->mss;

	t->recovery = false;
	t->dupacks = 0;
	t->cwnd = t->ssthresh;
	/* Without PRR's care, no burst (RFC 6582 3.2, step 3). */
	if (!t->sack_on && t->cwnd > small)
		t->cwnd = small;
	if (t->reo_keep > 0 && --t->reo_keep == 0)
		t->reo_mult = 1;
}

static void
grow(usec_t now, struct tcp *t, uint32_t n)
{
	if (t->cwnd < t->ssthresh) {
		/* One ACK may be for all that was sent before a timeout. */
		t->cwnd = n < t->ssthresh - t->cwnd ? t->cwnd + n : t->ssthresh;
	} else {
		t->cwnd = tcp_cubic_acked(
		    &t->cubic, now, t->srtt, t->cwnd, t->mss, n);
	}
	if (t->cwnd > TCP_CWND_MAX)
		t->cwnd = TCP_CWND_MAX;
}

/* RFC 6937 3: what may leave for what has arrived. */
static void
prr(struct tcp *t, const struct tcp_news *n, bool worse)
{
	uint32_t pipe = tcp_cc_pipe(t), out = t->prr_out, more, room;

	t->prr_delivered += n->delivered;
	if (pipe > t->ssthresh) {
		more = (uint32_t)(((uint64_t)t->prr_delivered * t->ssthresh +
				      t->prr_flight - 1) /
				  t->prr_flight);
		more = more > out ? more - out : 0;
	} else {
		more = t->prr_delivered > out ? t->prr_delivered - out : 0;
		more = more > n->delivered ? more : n->delivered;
		/* Faster only while nothing more is lost. */
		more += n->acked > 0 && !worse ? t->mss : 0;
		room = t->ssthresh - pipe;
		more = more < room ? more : room;
	}
	if (out == 0 && more < t->mss)
		more = t->mss; /* the retransmission that begins it */
	t->cwnd = pipe + more;
	if (t->cwnd < t->mss)
		t->cwnd = t->mss;
}

void
tcp_cc_lost(struct net *net, usec_t now, struct tcp *t)
{
	if (t->recovery || t->loss || seq_lt(t->snd_una, t->recover))
		return;
	stat_inc(net, NETS_TCP_FAST);
	reduce(t);
	t->cwnd = t->sack_on ? tcp_cc_pipe(t) + t->mss : t->ssthresh;
	t->recover = t->snd_nxt;
	t->prr_flight = t->snd_nxt - t->snd_una;
	t->prr_delivered = t->prr_out = 0;
	t->recovery = t->first_again = true;
	t->rtt_running = false;
}

void
tcp_cc_repaired(struct tcp *t)
{
	reduce(t);
	t->cwnd = t->ssthresh;
}

/*
 * A guest without SACK: the third duplicate ACK, or one for a part of what was
 * sent before the loss, names the segment that is missing.
 */
static bool
newreno(struct net *net, struct tcp *t, const struct tcp_news *n)
{
	uint32_t left = n->acked / t->mss;

	if (n->dup && t->dupacks < UINT16_MAX)
		t->dupacks++;
	if (t->recovery && n->acked > 0) {
		t->dupacks =
		    t->dupacks > left ? (uint16_t)(t->dupacks - left) : 0;
	} else if (t->recovery || t->loss || t->dupacks != TCP_DUPTHRESH ||
		   seq_lt(t->snd_una, t->recover)) {
		return false;
	}
	tcp_board_lose(&t->board, t->snd_una, t->snd_una + t->mss);
	t->first_again = true;
	return true;
}

void
tcp_cc_acked(struct net *net, usec_t now, const struct tcp_news *n)
{
	struct tcp *t = n->t;
	bool worse, over = false;

	t->flight = n->flight;
	if (n->dup || (n->acked == 0 && n->delivered > 0))
		stat_inc(net, NETS_TCP_DUPACK);
	if (n->acked > 0) {
		if (t->loss && seq_geq(t->snd_una, t->recover))
			t->loss = false;
		/* 2 GB behind, it would seem to lie ahead. */
		if (!t->loss && !t->recovery)
			t->recover = seq_max(t->recover, t->snd_una);
		t->dsack_round = seq_max(t->dsack_round, t->snd_una);
		over = t->recovery && seq_geq(t->snd_una, t->recover);
		if (over)
			recovery_over(t);
		else if (!t->recovery)
			t->dupacks = 0;
	}
	worse = t->sack_on ? tcp_rack_detect(now, t) : newreno(net, t, n);
	if (worse)
		tcp_cc_lost(net, now, t);
	if (t->recovery) {
		if (t->sack_on && n->delivered > 0)
			prr(t, n, worse);
	} else if (n->acked > 0 && !over) {
		if (t->loss || n->flight >= t->cwnd / 2)
			grow(now, t, n->acked);
		else
			tcp_cubic_idle(&t->cubic);
	}
}

void
tcp_cc_timeout(struct tcp *t)
{
	/* RFC 5681 3.1: a second timeout of one segment changes nothing. */
	if (t->rexmits <= 1)
		reduce(t);
	t->cwnd = t->mss;
	t->recover = t->snd_nxt;
	t->loss = t->first_again = true;
	t->recovery = t->rtt_running = t->tail_out = false;
	t->dupacks = 0;
	t->reo_at = USEC_NEVER;
	t->rack_at = 0;
	tcp_board_lose_all(&t->board);
}

void
tcp_cc_restart(struct tcp *t)
{
	tcp_cc_timeout(t);
	t->loss = t->first_again = false;
	t->recover = t->snd_una;
	t->snd_nxt = t->snd_una;
	tcp_board_clear(&t->board, t->snd_una);
}
