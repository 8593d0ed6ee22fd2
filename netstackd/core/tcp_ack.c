/*
 * What our segments say of the guest's stream: how much more of it may come,
 * and when that, with what has come, is said in a segment of its own.
 */

#include "netstackd/core/tcp.h"

/*
 * What to offer at least.  Across a long way the guest can only have as much
 * under way as it was offered, and the host socket, which grows by what is in
 * it, would stay small: so four times what came in a round trip, two for slow
 * start and two for the time a loss takes.
 *
 * And two of the largest segments: what is left of less, when the step to more
 * is a whole one, may be too little for the guest to send anything into, and
 * then nothing would come that the host socket is asked again for.
 */
static uint32_t
offer_least(const struct net *net, usec_t now, struct tcp *t)
{
	uint32_t least = 2u * net->conf.mtu;
	usec_t took = now - t->came_at;
	uint64_t came = t->rcv_nxt - t->came_seq;

	if (t->srtt >= TCP_HOLD_RTT && took >= t->srtt) {
		came = 4 * came * t->srtt / (uint64_t)took;
		if (came > t->wnd_least && took < 4 * (usec_t)t->srtt)
			t->wnd_least =
			    came < TCP_WND_MAX ? (uint32_t)came : TCP_WND_MAX;
		t->came_at = now;
		t->came_seq = t->rcv_nxt;
	}
	if (least < TCP_WND_MIN)
		least = TCP_WND_MIN;
	return t->wnd_least > least ? t->wnd_least : least;
}

/*
 * The window to offer.  It grows while everything received is with the host,
 * to what the host socket takes, but not to less than TCP_WND_MIN if the
 * queue can keep that: sockets grow only when written to, and only a write
 * that fails promises an event.  What was offered is never taken back
 * (RFC 9293 3.8.6), and small steps are not made (3.8.6.2.2).  The socket is
 * asked only when enough was received for such a step, or little is left.
 */
static void
offer(struct net *net, usec_t now, struct tcp *t)
{
	uint32_t max = t->wscale_on ? TCP_WND_MAX : UINT16_MAX;
	uint32_t keep = tcp_queue_room(net, NULL), win, step;
	size_t room;

	if (t->host_shut || t->host_full || t->guest_fin || t->queue != NULL ||
	    (t->rcv_nxt == t->last_ack && t->rcv_adv != t->rcv_nxt))
		return;
	if (seq_ahead(t->room_seq, t->rcv_nxt) < t->mss &&
	    seq_ahead(t->rcv_nxt, t->rcv_adv) >= TCP_WND_MIN / 2)
		return;
	t->room_seq = t->rcv_nxt;
	room = net->hook->room(net->arg, t->f.id);
	win = offer_least(net, now, t);
	win = keep < win ? keep : win;
	if (room > win)
		win = room < max ? (uint32_t)room : max;
	if (win > max)
		win = max;
	step = t->mss < max / 2 ? t->mss : max / 2;
	if (seq_ahead(t->rcv_adv, t->rcv_nxt + win) >= step)
		t->rcv_adv = t->rcv_nxt + win;
}

/* What a segment that leaves now says of it; it carries an ACK. */
uint16_t
tcp_window(struct net *net, usec_t now, struct tcp *t)
{
	uint32_t unit = 1u << t->rcv_shift, win;

	offer(net, now, t);
	t->last_ack = t->rcv_nxt;
	t->ack_at = USEC_NEVER;
	t->ack_now = false;
	if (t->host_shut)
		return 0;
	win = (seq_ahead(t->rcv_nxt, t->rcv_adv) + unit - 1) / unit;
	if (win > UINT16_MAX)
		win = UINT16_MAX;
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt + win * unit);
	return (uint16_t)win;
}

/*
 * For how long the ACK that is due may wait for an answer to carry it (RFC
 * 9293 3.8.6.3): an ACK of its own costs the guest a wake-up for every request.
 * Where the host has answered quickly before, long; a guest that holds its
 * next segment until the ACK comes (Nagle) is found out by the first ACK that
 * waits in vain, and that is the flow's last.  Where nobody knows yet, and for
 * a FIN, a moment: the host may be at it already.  0: not at all.
 */
static usec_t
ack_delay(const struct net *net, const struct tcp *t)
{
	usec_t brief = t->brief_late ? 0 : net->conf.ack_brief;
	uint32_t n = t->rcv_nxt - t->last_ack;

	if (t->ack_now || t->queue != NULL || t->host_full || n == 0 ||
	    n >= t->mss || seq_ahead(t->rcv_nxt, t->rcv_adv) < TCP_WND_MIN / 2)
		return 0;
	if (t->state == TCPS_CLOSE_WAIT)
		return brief;
	if (t->state != TCPS_ESTABLISHED || t->guest_fin)
		return 0; /* a FIN behind a hole: the guest should hear of it */
	if (t->answers)
		return t->answers_late ? 0 : TCP_ACK_DELAY;
	return brief;
}

bool
tcp_hold_ack(const struct net *net, usec_t now, struct tcp *t)
{
	usec_t delay;

	if (t->ack_at != USEC_NEVER)
		return now < t->ack_at && t->rcv_nxt == t->ack_held &&
		       (!t->guest_fin || t->state == TCPS_CLOSE_WAIT);
	if (t->rcv_nxt != t->last_ack)
		t->asked_at = now;
	if ((delay = ack_delay(net, t)) == 0)
		return false;
	t->ack_at = now + delay;
	t->ack_held = t->rcv_nxt;
	return true;
}
