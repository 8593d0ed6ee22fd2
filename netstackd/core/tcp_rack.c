/*
 * Loss detection by time, RFC 8985: what was sent before something the guest
 * has, and some patience ago, is lost.  So lost retransmissions and lost ends
 * of flights show like all others, as long as anything comes through.
 *
 * The patience is for reordering: none where three segments are reported
 * beyond the missing one and nothing was ever reordered, else a quarter of
 * the least round trip, and more of them when D-SACK says that something was
 * sent again in vain.  Guests without SACK are tcp_cc.c's alone.
 */

#include "netstackd/core/tcp.h"

/* 6.2, steps 1 to 3: the guest has len bytes up to s->end. */
static void
delivered(void *arg, const struct tcp_sent *s, uint32_t len)
{
	struct tcp_news *n = arg;
	struct tcp *t = n->t;
	usec_t rtt = n->now - s->at;

	n->delivered += len;
	if (!s->again) {
		if (rtt < t->min_rtt)
			t->min_rtt = (uint32_t)(rtt > 0 ? rtt : 1);
		if (seq_lt(s->end, n->top))
			t->reordered = true;
	} else if (rtt < t->min_rtt ||
		   (n->echo && seq_lt(n->tsecr, (uint32_t)(s->at / USEC_MS)))) {
		return; /* the first one was late, not lost */
	}
	if (s->at > t->rack_at ||
	    (s->at == t->rack_at && seq_gt(s->end, t->rack_end))) {
		t->rack_at = s->at;
		t->rack_end = s->end;
		t->rack_rtt = (uint32_t)(rtt < TCP_RTO_MAX ? rtt : TCP_RTO_MAX);
	}
}

/* RFC 2883 4: the first block, below the ACK or inside the second block. */
static bool
is_dsack(const struct tcp_seg *s)
{
	const struct tcp_range *r = s->opt.sack;

	if (s->opt.nsack == 0)
		return false;
	return seq_leq(r[0].end, s->ack) ||
	       (s->opt.nsack > 1 && seq_geq(r[0].start, r[1].start) &&
		   seq_leq(r[0].end, r[1].end));
}

/* 6.2, step 4: one quarter more for each round in which that happened. */
static void
more_patience(struct tcp *t)
{
	if (seq_lt(t->snd_una, t->dsack_round))
		return;
	t->dsack_round = t->snd_nxt;
	t->reo_keep = TCP_REO_KEEP;
	if (t->reo_mult < UINT8_MAX)
		t->reo_mult++;
}

void
tcp_rack_sack(struct tcp_news *n, const struct tcp_seg *s)
{
	struct tcp *t = n->t;
	int i;

	n->top = tcp_board_top(&t->board);
	for (i = 0; i < s->opt.nsack; i++) {
		/* What is not beyond snd_una tells of the past. */
		if (seq_gt(s->opt.sack[i].start, t->snd_una) &&
		    seq_leq(s->opt.sack[i].end, t->snd_max))
			tcp_board_sack(&t->board, s->opt.sack[i].start,
			    s->opt.sack[i].end, delivered, n);
	}
	n->dsack = is_dsack(s);
	if (n->dsack)
		more_patience(t);
}

void
tcp_rack_ack(struct tcp_news *n, uint32_t ack)
{
	tcp_board_acked(&n->t->board, ack, delivered, n);
}

static usec_t
patience(const struct tcp *t)
{
	usec_t reo = (usec_t)t->reo_mult * t->min_rtt / 4;

	if (!t->reordered &&
	    (t->recovery || t->loss ||
		t->board.sacked > (TCP_DUPTHRESH - 1u) * t->mss ||
		tcp_board_runs(&t->board) >= TCP_DUPTHRESH))
		return t->rack_rtt;
	return t->rack_rtt + (reo < t->srtt ? reo : t->srtt);
}

bool
tcp_rack_detect(usec_t now, struct tcp *t)
{
	uint32_t lost = t->board.lost;
	usec_t wait;

	t->reo_at = USEC_NEVER;
	if (!t->sack_on || t->rack_at == 0 || t->board.out == 0)
		return false;
	/* Mostly everything is in order, by number and by time. */
	if (t->board.sacked == 0 && !t->recovery && !t->loss &&
	    tcp_board_since(&t->board) >= t->rack_at)
		return false;
	wait = tcp_board_detect(
	    &t->board, now, t->rack_at, t->rack_end, patience(t));
	if (wait > 0)
		t->reo_at = now + wait;
	return t->board.lost != lost;
}

void
tcp_rack_timeout(struct net *net, usec_t now, struct tcp *t)
{
	if (tcp_rack_detect(now, t))
		tcp_cc_lost(net, now, t);
	tcp_output(net, now, t);
}

/*
 * 7.4: a probe that was sent twice, and that the guest did not report as a
 * double, has repaired a loss; that counts as any other.
 */
void
tcp_rack_tail(const struct tcp_news *n, const struct tcp_seg *s)
{
	struct tcp *t = n->t;

	if (!t->tail_out)
		return;
	if (seq_gt(tcp_board_top(&t->board), t->tail_seq)) {
		t->tail_out = false; /* the usual ways see to it */
	} else if (seq_geq(s->ack, t->tail_end)) {
		t->tail_out =
		    t->tail_again && !n->dsack && s->ack == t->tail_end;
		if (t->tail_again && !n->dsack && !t->tail_out && !t->recovery)
			tcp_cc_repaired(t);
	}
}
