/*
 * Deadlines of a flow: retransmission and window probe (one at a time), a held
 * ACK, keep-alive, TIME-WAIT, and the patience with a guest that does not ask
 * again.
 */

#include <stddef.h>

#include "netstackd/core/tcp.h"

static usec_t
deadline(const struct tcp *t)
{
	usec_t at;

	switch (t->state) {
	case TCPS_PENDING:
		return t->last_rx + TCP_PENDING_MAX;
	case TCPS_TIME_WAIT:
		return t->last_rx + TCP_TIME_WAIT;
	case TCPS_SYN_SENT:
	case TCPS_SYN_RCVD:
		return t->rexmit_at;
	default:
		break;
	}
	at = t->rexmit_at;
	/*
	 * From one probe to the next: who slept meanwhile sends one of them,
	 * and one that met a full channel is not sent again at once.
	 */
	if (at == USEC_NEVER)
		at = t->keep_at <= t->last_rx ? t->last_rx + TCP_KEEP_IDLE
					      : t->keep_at + TCP_KEEP_INTVL;
	if (t->reo_at < at)
		at = t->reo_at;
	return at < t->ack_at ? at : t->ack_at;
}

void
tcp_timer_arm(struct net *net, struct tcp *t)
{
	usec_t at = deadline(t);

	if (at != USEC_NEVER && (t->timer.slot == 0 || at < t->timer.at))
		timer_set(net, &t->timer, at);
}

/*
 * When the end of what was sent is worth a probe; USEC_NEVER: it is not.
 * Without SACK its answer says nothing, one segment alone may be answered late
 * (RFC 9293 3.8.6.3), and in a recovery the guest speaks anyway.
 */
static usec_t
tail_after(const struct tcp *t)
{
	usec_t pto = 2 * (usec_t)t->srtt + TCP_TAIL_SLACK;

	if (!t->sack_on || t->srtt == 0 || t->recovery || t->loss ||
	    t->tail_out || t->rexmits > 0 || t->snd_wnd < t->mss ||
	    t->snd_nxt - t->snd_una <= t->mss)
		return USEC_NEVER;
	return pto > TCP_TAIL_MIN ? pto : TCP_TAIL_MIN;
}

void
tcp_rexmit_start(usec_t now, struct tcp *t)
{
	usec_t rto = tcp_rto(t), pto = tail_after(t);

	t->persist = false;
	t->tail = pto < rto;
	t->rexmit_at = now + (t->tail ? pto : rto);
}

void
tcp_rexmit_sent(usec_t now, struct tcp *t)
{
	if (t->rexmit_at == USEC_NEVER || t->persist || t->tail ||
	    tail_after(t) < tcp_rto(t))
		tcp_rexmit_start(now, t);
}

/* The flight's end was not acknowledged in time. */
static void
tail_timeout(struct net *net, usec_t now, struct tcp *t)
{
	if (t->board.sacked == 0) {
		tcp_tail_probe(net, now, t);
		return;
	}
	/* Something behind it was: no need to ask. */
	t->tail = false;
	t->rexmit_at = now + tcp_rto(t);
	tcp_rack_timeout(net, now, t);
}

/*
 * Whether a guest that did not acknowledge is given up.  One whose window is
 * closed may take its time, as long as it answers (RFC 9293 3.8.6.1, MUST-37).
 */
static bool
too_silent(const struct tcp *t)
{
	if (t->state < TCPS_ESTABLISHED)
		return t->rexmits >= TCP_REXMIT_MAX_SYN;
	if (t->rexmits < TCP_REXMIT_MAX)
		return false;
	return (t->snd_wnd > 0 && !t->persist) || t->keeps >= TCP_PROBE_MAX;
}

/*
 * Data was sent that the guest has no room for any more (RFC 9293 3.8.6): a
 * guest short of memory drops it and says so.  Then it has to be asked.
 */
static bool
window_taken_back(const struct tcp *t)
{
	return t->state >= TCPS_ESTABLISHED && t->snd_wnd < t->mss &&
	       !(t->host_eof && t->snd_una == t->fin_out);
}

static void
repeat(struct net *net, usec_t now, struct tcp *t)
{
	stat_inc(net, NETS_TCP_RTO);
	t->rexmit_at = now + tcp_rto(t);
	if (t->state < TCPS_ESTABLISHED) {
		t->ack_due = true;
		t->rtt_running = false;
	} else {
		tcp_cc_timeout(t);
	}
	tcp_output(net, now, t);
}

static void
rexmit_timeout(struct net *net, usec_t now, struct tcp *t)
{
	if (t->list == TCPL_BLOCKED) {
		/* The guest does not read its link: no silence of this flow. */
		t->tail = false;
		t->rexmit_at = now + tcp_rto(t);
		tcp_timer_arm(net, t);
		return;
	}
	if (t->tail) {
		tail_timeout(net, now, t);
		return;
	}
	if (too_silent(t)) {
		stat_inc(net, NETS_TCP_TIMEOUT);
		tcp_abort(net, now, t);
		return;
	}
	if (t->rexmits < UINT8_MAX)
		t->rexmits++;
	if (!t->persist && window_taken_back(t)) {
		tcp_cc_restart(t);
		t->persist = true;
	}
	/* Until the guest says something; our FIN is a probe as well. */
	if (t->persist || t->snd_wnd == 0)
		t->keeps++;
	if (t->persist)
		tcp_probe(net, now, t);
	else
		repeat(net, now, t);
}

static void
keep_timeout(struct net *net, usec_t now, struct tcp *t)
{
	if (t->keeps >= TCP_KEEP_MAX) {
		stat_inc(net, NETS_TCP_TIMEOUT);
		tcp_abort(net, now, t);
		return;
	}
	t->keep_at = now;
	t->keeps += tcp_keepalive(net, now, t) == 0;
	tcp_timer_arm(net, t);
}

void
tcp_timer_cb(struct net *net, usec_t now, struct timer *tm)
{
	struct tcp *t =
	    (struct tcp *)((uint8_t *)tm - offsetof(struct tcp, timer));

	if (now < deadline(t)) {
		tcp_timer_arm(net, t);
		return;
	}
	if (t->state == TCPS_PENDING) {
		stat_inc(net, NETS_TCP_TIMEOUT);
		tcp_free(net, t, true);
	} else if (t->state == TCPS_TIME_WAIT) {
		tcp_event(t, TCPE_EXPIRED);
		tcp_free(net, t, false);
	} else if (now >= t->ack_at) {
		if (t->answers && t->state == TCPS_ESTABLISHED)
			t->answers_late = true;
		else
			t->brief_late = true;
		t->ack_at = USEC_NEVER;
		tcp_output(net, now, t);
	} else if (now >= t->reo_at) {
		t->reo_at = USEC_NEVER;
		tcp_rack_timeout(net, now, t);
	} else if (t->rexmit_at != USEC_NEVER) {
		rexmit_timeout(net, now, t);
	} else {
		keep_timeout(net, now, t);
	}
}
