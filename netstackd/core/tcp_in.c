/*
 * A segment of the guest arrives: RFC 9293 3.10.7, one function for each of
 * its steps.  A step returns 0 to go on, and -1 when the segment is done
 * with; the flow may then be gone.
 */

#include "netstackd/core/tcp.h"

/*
 * RFC 5961: an ACK that lets a guest who is out of step say so, and tells one
 * who guesses nothing.  Limited, for both sides' sake.
 */
static void
challenge(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_net *tn = net->tcp;

	if (now - tn->challenge_from >= USEC_SEC) {
		tn->challenge_from = now;
		tn->challenges = 0;
	}
	if (tn->challenges++ < TCP_CHALLENGE_MAX) {
		stat_inc(net, NETS_TCP_CHALLENGE);
		tcp_ack_now(net, now, t);
	} else {
		stat_inc(net, NETS_TCP_CHALLENGE_LIMIT);
	}
}

/* Not the next number, but one that may come. */
static bool
in_window(const struct tcp *t, uint32_t seq)
{
	return seq_gt(seq, t->rcv_nxt) && seq_lt(seq, t->rcv_adv);
}

/* No flow has these addresses. */
static void
in_closed(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    const struct tcp_seg *s)
{
	const uint8_t kind = s->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);

	if (kind == TCP_SYN)
		tcp_listen(net, now, pkt, s, NULL);
	else
		tcp_reset_reply(net, pkt, s);
}

/* The host socket is not there yet, and nothing was said to the guest. */
static void
in_pending(struct net *net, usec_t now, struct tcp *t,
    const struct ip4_pkt *pkt, const struct tcp_seg *s)
{
	if (s->flags & TCP_RST) {
		if (s->seq - t->irs > 1) {
			stat_inc(net, NETS_TCP_BADSEQ);
			return;
		}
		stat_inc(net, NETS_TCP_RST_RX);
		tcp_event(t, TCPE_RESET);
		tcp_free(net, t, true);
	} else if (s->flags & TCP_ACK) {
		tcp_reset_reply(net, pkt, s);
	} else if (s->flags & TCP_SYN) {
		/* Of another number: the guest has begun anew. */
		if (s->seq != t->irs)
			tcp_syn(net, t, s);
		t->last_rx = now;
	}
}

/* RFC 9293 3.10.7.4 on TIME-WAIT, and 3.6.1 on a SYN in it. */
static void
in_time_wait(struct net *net, usec_t now, struct tcp *t,
    const struct ip4_pkt *pkt, const struct tcp_seg *s)
{
	uint32_t iss_after = t->snd_max;
	bool newer;

	if (s->flags & TCP_RST) {
		if (s->seq == t->rcv_nxt) {
			stat_inc(net, NETS_TCP_RST_RX);
			tcp_free(net, t, false);
		} else if (in_window(t, s->seq)) {
			challenge(net, now, t);
		}
		return;
	}
	if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		newer = seq_gt(s->seq, t->rcv_nxt) ||
			(t->ts_on && (s->opt.has & TCPO_TS) != 0 &&
			    seq_gt(s->opt.tsval, t->ts_recent));
		if (newer) {
			tcp_free(net, t, false);
			tcp_listen(net, now, pkt, s, &iss_after);
			return;
		}
	}
	if (s->flags & TCP_FIN) {
		/* It has not seen our last ACK. */
		t->last_rx = now;
		tcp_ack_now(net, now, t);
	} else if ((s->flags & TCP_SYN) != 0 || s->data.len > 0 ||
		   s->seq != t->rcv_nxt) {
		challenge(net, now, t);
	}
}

/* Fourth step first: a SYN never fits (RFC 5961 4). */
static int
step_syn(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	if ((s->flags & TCP_SYN) == 0 || (s->flags & TCP_RST) != 0)
		return 0;
	if (t->state == TCPS_SYN_RCVD && t->active && s->seq == t->irs &&
	    s->ack == t->iss + 1 && (s->flags & TCP_ACK) != 0) {
		/* Both have opened: its answer to our SYN (figure 8). */
		s->flags &= (uint8_t)~TCP_SYN;
		s->seq++;
		t->ack_due = true;
		return 0;
	}
	if (t->state == TCPS_SYN_RCVD && s->seq == t->irs &&
	    (s->flags & TCP_ACK) == 0) {
		t->ack_due = true; /* our SYN-ACK was lost */
		tcp_enlist(net, t, TCPL_DIRTY);
	} else {
		challenge(net, now, t);
	}
	return -1;
}

/*
 * RFC 5961 3.  Exact is also the number behind data that waits for the host:
 * the guest has sent it and does not know that it waits.
 */
static int
step_rst(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	if ((s->flags & TCP_RST) == 0)
		return 0;
	if (s->seq == t->rcv_nxt ||
	    s->seq == tcp_queue_end(t->queue, t->rcv_nxt)) {
		stat_inc(net, NETS_TCP_RST_RX);
		tcp_event(t, TCPE_RESET);
		tcp_free(net, t, true);
	} else if (in_window(t, s->seq)) {
		challenge(net, now, t);
	} else {
		stat_inc(net, NETS_TCP_BADSEQ);
	}
	return -1;
}

/*
 * RFC 7323 5.3, R1.  A segment that lacks the option is taken (the RFC would
 * drop it silently, which only hides the sender's mistake).
 */
static int
step_paws(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	/* 5.5: a number this old proves nothing. */
	const usec_t outdated = 24 * 86400 * USEC_SEC;

	if (!t->ts_on || (s->opt.has & TCPO_TS) == 0)
		return 0;
	if (seq_lt(s->opt.tsval, t->ts_recent) && now - t->last_rx < outdated) {
		stat_inc(net, NETS_TCP_BADSEQ);
		tcp_ack_now(net, now, t);
		return -1;
	}
	return 0;
}

/* R3: of an acceptable segment that is the next one or goes back further. */
static void
ts_note(struct tcp *t, const struct tcp_seg *s)
{
	if (t->ts_on && (s->opt.has & TCPO_TS) != 0 &&
	    seq_leq(s->seq, t->last_ack))
		t->ts_recent = s->opt.tsval;
}

/* Drops what lies before rcv_nxt; n of it, the first of them the oldest. */
static void
trim_left(struct tcp_seg *s, uint32_t n)
{
	if (n > s->data.len)
		n = (uint32_t)s->data.len;
	rd_skip(&s->data, n);
	s->seq += n;
}

/* First step: cuts the segment to what is expected. */
static int
step_seq(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	uint32_t next = tcp_expect(net, t), len = tcp_seglen(s);
	uint32_t old = seq_ahead(s->seq, next), room;

	if (seq_gt(s->seq, seq_max(t->rcv_adv, next)) ||
	    (old > 0 && old >= len)) {
		/* All of it is old or beyond; also how a keep-alive looks. */
		stat_inc(net, NETS_TCP_BADSEQ);
		if (len > 0 || s->seq + 1 == next)
			tcp_ack_now(net, now, t);
		else
			challenge(net, now, t);
		return -1;
	}
	ts_note(t, s);
	if (old > 0)
		trim_left(s, old);
	room = seq_ahead(s->seq, t->rcv_adv);
	if (s->data.len > room) {
		stat_inc(net, NETS_TCP_BADSEQ);
		s->data.len = room;
		s->flags &= (uint8_t)~TCP_FIN;
		t->ack_due = true;
	}
	t->last_rx = now;
	t->keeps = 0;
	return 0;
}

int
tcp_ack_of_syn(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	if (s->ack != t->iss + 1) {
		struct ip4_pkt pkt = { .dst = t->f.host_ip };

		tcp_reset_reply(net, &pkt, s);
		return -1;
	}
	tcp_event(t, TCPE_SYN_ACKED);
	stat_inc(net, NETS_TCP_ESTABLISHED);
	if (t->rtt_running)
		tcp_rtt_sample(t, now - t->rtt_at);
	else if (t->rexmits > 0 && !tcp_rtt_echoed(net, now, t, s))
		t->rto = TCP_RTO_LOST;
	t->rtt_running = false;
	if (t->rexmits > 1) /* RFC 6928 2: not by the first one lost */
		t->cwnd = t->mss;
	t->snd_una = t->snd_nxt = t->snd_max = s->ack;
	t->recover = t->dsack_round = s->ack;
	t->rexmits = 0;
	t->rexmit_at = USEC_NEVER;
	t->snd_wl1 = s->seq - 1;
	return 0;
}

/*
 * RFC 6298 3: a sent-once segment is timed; while there is none, timestamps
 * help, coarse as they are.  Whether there was anything to measure: a guest
 * that has become slow never would be, if its timeout did not stay backed off
 * until it is.
 */
static bool
measure(
    const struct net *net, usec_t now, struct tcp *t, const struct tcp_seg *s)
{
	if (!t->rtt_running)
		return (t->loss || t->recovery) &&
		       tcp_rtt_echoed(net, now, t, s);
	if (seq_lt(s->ack, t->rtt_seq))
		return false;
	t->rtt_running = false;
	tcp_rtt_sample(t, now - t->rtt_at);
	return true;
}

/* snd_una moves. */
static int
ack_new(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s,
    struct tcp_news *n)
{
	bool fin = t->host_eof && seq_gt(s->ack, t->fin_out);

	if (!measure(net, now, t, s) && !t->persist)
		t->rto = (uint32_t)tcp_rto(t); /* backed off: 5.5 */
	n->acked = s->ack - t->snd_una;
	t->acked += n->acked - fin;
	tcp_rack_ack(n, s->ack);
	t->snd_una = s->ack;
	t->snd_nxt = seq_max(t->snd_nxt, s->ack);
	t->rexmits = 0;
	t->persist = t->tail = false;
	t->rexmit_at = USEC_NEVER;
	if (!fin || tcp_event(t, TCPE_FIN_ACKED) == -1)
		return 0;
	if (t->state == TCPS_CLOSED) {
		tcp_free(net, t, false);
		return -1;
	}
	if (t->state == TCPS_TIME_WAIT) {
		tcp_time_wait(net, now, t);
		return -1;
	}
	return 0;
}

static void
window_update(usec_t now, struct tcp *t, const struct tcp_seg *s)
{
	uint32_t wnd = (uint32_t)s->wnd << t->snd_shift;

	if (seq_lt(s->ack, t->snd_una) ||
	    (!seq_lt(t->snd_wl1, s->seq) &&
		!(t->snd_wl1 == s->seq && seq_leq(t->snd_wl2, s->ack))))
		return;
	t->snd_wnd = wnd;
	t->snd_wl1 = s->seq;
	t->snd_wl2 = s->ack;
	if (wnd > t->max_wnd)
		t->max_wnd = wnd;
	/* A probe's timer is not a retransmission's: begin afresh. */
	if (t->persist && wnd >= t->mss) {
		t->persist = false;
		t->rexmits = 0;
		t->rexmit_at = USEC_NEVER;
	}
}

/* Fifth step. */
static int
step_ack(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	struct tcp_news n = { .t = t, .now = now };
	bool same;

	if ((s->flags & TCP_ACK) == 0)
		return -1;
	if (t->state == TCPS_SYN_RCVD && tcp_ack_of_syn(net, now, t, s) == -1)
		return -1;
	if (seq_gt(s->ack, t->snd_max) ||
	    seq_lt(s->ack, t->snd_una - t->max_wnd)) { /* RFC 5961 5 */
		challenge(net, now, t);
		return -1;
	}
	n.flight = t->snd_nxt - t->snd_una;
	n.echo = t->ts_on && (s->opt.has & TCPO_TS) != 0 && s->opt.tsecr != 0;
	n.tsecr = s->opt.tsecr - tcp_ts(net, 0);
	if (t->sack_on)
		tcp_rack_sack(&n, s);
	tcp_rack_tail(&n, s);
	same = (uint32_t)s->wnd << t->snd_shift == t->snd_wnd;
	n.dup = !t->sack_on && s->ack == t->snd_una && n.flight > 0 && same &&
		tcp_seglen(s) == 0;
	if (seq_gt(s->ack, t->snd_una) && ack_new(net, now, t, s, &n) == -1)
		return -1;
	tcp_cc_acked(net, now, &n);
	if (n.acked > 0 ? t->snd_nxt != t->snd_una : t->tail && t->recovery)
		tcp_rexmit_start(now, t);
	window_update(now, t, s);
	return 0;
}

/*
 * What came waits for the host, and the guest takes its silence for a loss.  A
 * window of zero, which is the truth, turns its retransmissions into probes,
 * and those never give up.
 */
static void
host_shut(struct net *net, usec_t now, struct tcp *t)
{
	t->host_shut = true;
	tcp_ack_now(net, now, t);
}

/* Not the next byte: keeps it, and says at once what is missing. */
static void
text_queue(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	uint32_t end = s->seq + (uint32_t)s->data.len;
	uint32_t run = tcp_queue_end(t->queue, t->rcv_nxt);

	if (seq_leq(end, run)) {
		host_shut(net, now, t);
		return;
	}
	if (tcp_queue_add(net, &t->queue, s->seq, s->data.p, s->data.len) ==
	    -1) {
		stat_inc(net, NETS_TCP_OOO_FULL);
		if (t->host_full && s->seq == t->rcv_nxt) {
			host_shut(net, now, t);
			return;
		}
	}
	if (seq_gt(s->seq, run)) {
		stat_inc(net, NETS_TCP_OOO);
		tcp_ack_now(net, now, t);
	}
}

/* Seventh step. */
static int
step_text(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	if (s->data.len == 0)
		return 0;
	if (t->guest_fin && seq_gt(s->seq + (uint32_t)s->data.len, t->fin_in))
		return 0; /* nothing comes behind a FIN */
	if (t->state != TCPS_ESTABLISHED && t->state != TCPS_FIN_WAIT_1 &&
	    t->state != TCPS_FIN_WAIT_2)
		return 0;
	if (t->host_full || s->seq != tcp_expect(net, t)) {
		text_queue(net, now, t, s);
		return 0;
	}
	return tcp_batch_add(net, now, t, s->seq, &s->data);
}

/* Eighth step. */
static int
step_fin(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	if ((s->flags & TCP_FIN) == 0)
		return 0;
	if (!t->guest_fin) {
		t->guest_fin = true;
		t->fin_in = s->seq + (uint32_t)s->data.len;
	}
	if (s->data.len == 0)
		t->ack_due = true; /* or else its data has seen to that */
	if (net->tcp->batch == t)
		return tcp_batch_write(net, now);
	tcp_fin_check(net, now, t);
	return 0;
}

static void
in_flow(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	static int (*const step[])(
	    struct net *, usec_t, struct tcp *, struct tcp_seg *) = { step_syn,
		step_rst, step_paws, step_seq, step_ack, step_text, step_fin };
	size_t i;

	/* Only the next plain segment can wait in the batch. */
	if (net->tcp->batch == t &&
	    ((s->flags & (TCP_SYN | TCP_RST)) != 0 ||
		s->seq != tcp_expect(net, t)) &&
	    tcp_batch_write(net, now) == -1)
		return;
	for (i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		if (step[i](net, now, t, s) == -1)
			return;
	}
	tcp_enlist(net, t, TCPL_DIRTY);
}

static bool
sum_good(const struct ip4_pkt *pkt)
{
	uint32_t sum =
	    cksum_pseudo(pkt->src, pkt->dst, IPPROTO4_TCP, pkt->payload.len);

	return cksum_finish(cksum_add(sum, pkt->payload.p, pkt->payload.len)) ==
	       0;
}

void
tcp_input(struct net *net, usec_t now, const struct ip4_pkt *pkt)
{
	struct tcp_seg s;
	struct tcp *t;

	if (!net->rx_open && !sum_good(pkt)) {
		stat_inc(net, NETS_RX_BADSUM);
		return;
	}
	if (tcp_parse(pkt->payload, &s) == -1) {
		stat_inc(net, NETS_RX_SHORT);
		return;
	}
	t = (struct tcp *)flow_find(
	    net, NET_TCP, pkt->src, s.sport, pkt->dst, s.dport);
	if (t != NULL)
		flow_changed(net, &t->f);
	if (t == NULL)
		in_closed(net, now, pkt, &s);
	else if (t->state == TCPS_PENDING)
		in_pending(net, now, t, pkt, &s);
	else if (t->state == TCPS_SYN_SENT)
		tcp_in_syn_sent(net, now, t, pkt, &s);
	else if (t->state == TCPS_TIME_WAIT)
		in_time_wait(net, now, t, pkt, &s);
	else
		in_flow(net, now, t, &s);
	if (pkt->copied)
		tcp_batch_write(net, now);
}
