/*
 * What may be sent to the guest now, and sending it.
 *
 * Payload is peeked from the host socket into the frames themselves: one peek
 * for as many segments as channel, congestion window and guest window allow,
 * each at the place its header leaves it.  A retransmission is another peek.
 * Nothing here remembers data: what is not acknowledged stays in the socket.
 *
 * A TAP with vnet headers takes many segments as one frame, without their
 * checksum.  To everything but the layout they are still segments: windows,
 * timers and the board count bytes, and ends are whole ones as ever.
 */

#include <errno.h>
#include <string.h>

#include "netstackd/core/tcp.h"

/* In this order: from OUT_FULL on, stop. */
enum out {
	OUT_IDLE, /* nothing more to send now */
	OUT_SENT, /* look again */
	OUT_FULL, /* the channel is full */
	OUT_DEAD, /* the host socket failed */
};

/* What limits a run of segments. */
struct run {
	uint32_t seq;
	uint32_t want;	/* bytes, at most */
	bool whole;	/* ending in whole segments, unless the data ends */
	uint32_t least; /* less than this only when the data ends */
	bool probe;	/* of a window: does not count as under way */
};

/*
 * The sequence number of a segment without payload: the highest the guest may
 * expect, but inside its window, or it would not look at the ACK.
 */
static uint32_t
bare_seq(const struct tcp *t)
{
	return seq_min(t->snd_max, t->snd_una + t->snd_wnd);
}

/* The header of our next segment, without window. */
static void
seg_init(const struct net *net, usec_t now, const struct tcp *t,
    struct tcp_seg *s, uint32_t seq, uint8_t flags)
{
	memset(s, 0, sizeof(*s));
	s->sport = t->f.host_port;
	s->dport = t->f.guest_port;
	s->seq = seq;
	s->ack = t->rcv_nxt;
	s->flags = flags;
	if (t->ts_on) {
		s->opt.has = TCPO_TS;
		s->opt.tsval = tcp_ts(net, now);
		s->opt.tsecr = t->ts_recent;
	}
}

/* Writes all headers; the sum of the pseudo header, len with TCP's. */
static uint32_t
put_headers(struct net *net, uint8_t *frame, uint32_t src,
    const struct tcp_seg *s, size_t len)
{
	ip4_header(net, frame, src, IPPROTO4_TCP, len, 0, true);
	tcp_write(frame + FRAME_HDRLEN, s);
	return cksum_pseudo(src, net->conf.guest_ip, IPPROTO4_TCP, len);
}

/*
 * Completes and publishes the frame at off of the free space at base; len
 * bytes of payload are in place.
 */
static void
emit(struct net *net, uint8_t *base, size_t off, uint32_t src,
    const struct tcp_seg *s, size_t len)
{
	uint8_t *frame = base + off, *tcp = frame + FRAME_HDRLEN;
	uint32_t sum;
	uint16_t field;

	len += tcp_hdrlen(s);
	sum = put_headers(net, frame, src, s, len);
	field = cksum_finish(cksum_add(sum, tcp, len));
	memcpy(tcp + TCP_SUM_OFF, &field, sizeof(field));
	ip4_push(net, off, FRAME_HDRLEN + len);
}

/* The same for a TAP that has vnet headers: segments of up to mss bytes. */
static void
emit_vnet(struct net *net, uint8_t *base, size_t off, uint32_t src,
    const struct tcp_seg *s, size_t len, uint16_t mss)
{
	size_t hdrlen = tcp_hdrlen(s);
	struct vnet v = { .sum = true,
		.start = FRAME_HDRLEN,
		.off = TCP_SUM_OFF,
		.hdrlen = (uint16_t)(FRAME_HDRLEN + hdrlen),
		.seg = len > mss ? mss : 0 };
	uint8_t *frame = base + off;
	uint16_t field;

	/* Not complemented: what is missing is to be added to it. */
	field = (uint16_t)~cksum_finish(
	    put_headers(net, frame, src, s, hdrlen + len));
	memcpy(frame + FRAME_HDRLEN + TCP_SUM_OFF, &field, sizeof(field));
	ip4_push_vnet(net, off, FRAME_HDRLEN + hdrlen + len, &v);
}

/* A segment without payload.  -1: the channel is full. */
static int
emit_bare(struct net *net, uint32_t src, const struct tcp_seg *s)
{
	size_t space;
	uint8_t *base = ip4_space(net, &space);

	if (base == NULL || space < FRAME_HDRLEN + TCP_HDRLEN_MAX)
		return -1;
	emit(net, base, 0, src, s, 0);
	return 0;
}

/* How many that was; of a SYN there is no MSS yet. */
static uint32_t
segments(const struct tcp *t, uint32_t len)
{
	return len <= 1 ? 1 : (len + t->mss - 1) / t->mss;
}

/* Something was sent up to end: clock and timers learn of it. */
static void
timed(struct net *net, usec_t now, struct tcp *t, uint32_t seq, uint32_t end)
{
	if (seq_lt(seq, t->snd_max)) {
		stat_add(net, NETS_TCP_RETRANS, segments(t, end - seq));
		/* RFC 6298 3: nobody could tell which one is answered. */
		if (seq_lt(seq, t->rtt_seq) && seq_geq(end, t->rtt_seq))
			t->rtt_running = false;
	} else if (!t->rtt_running) {
		t->rtt_running = true;
		t->rtt_seq = end;
		t->rtt_at = now;
	}
	t->snd_max = seq_max(t->snd_max, end);
	tcp_rexmit_sent(now, t);
}

/* ... and what is under way. */
static void
under_way(usec_t now, struct tcp *t, uint32_t seq, uint32_t end)
{
	tcp_board_sent(&t->board, seq, end, now);
	t->snd_nxt = tcp_board_end(&t->board);
	if (t->recovery)
		t->prr_out += end - seq;
}

/* Payload of a frame behind these headers: a segment's, or many segments'. */
static uint32_t
frame_payload(const struct net *net, const struct tcp *t, size_t hdrlen)
{
	uint32_t most = NET_MAXFRAME - (uint32_t)hdrlen;

	return net->vnet && most > t->mss ? most - most % t->mss : t->mss;
}

/* Lays out up to want bytes as payloads in the channel; one peek. */
static ssize_t
peek(struct net *net, struct tcp *t, uint32_t seq, uint32_t want, uint8_t *p,
    size_t pitch, uint32_t payload)
{
	struct iovec iov[NET_TXBATCH];
	uint32_t left = want;
	int n;

	for (n = 0; left > 0; n++, p += pitch) {
		iov[n].iov_base = p;
		iov[n].iov_len = left < payload ? left : payload;
		left -= (uint32_t)iov[n].iov_len;
	}
	return net->hook->peek(
	    net->arg, t->f.id, seq - t->snd_una + t->acked, iov, n);
}

/*
 * The host socket has less than the windows have room for.  Where all it can
 * hold is under way, its host cannot send more before the guest acknowledges.
 */
static void
host_is_short(struct net *net, struct tcp *t)
{
	uint32_t want = t->cwnd < t->snd_wnd ? t->cwnd : t->snd_wnd;
	uint32_t hold = t->host_hold > 0 ? t->host_hold : TCP_HOLD_MIN;

	if (t->srtt < TCP_HOLD_RTT || t->snd_nxt == t->snd_una ||
	    hold >= TCP_HOLD_MAX || hold / 2 >= want)
		return;
	while (hold < TCP_HOLD_MAX && hold / 2 < want)
		hold *= 2;
	t->host_hold = hold;
	net->hook->hold(net->arg, t->f.id, hold);
}

/* What a peek that gave no data means. */
static enum out
no_data(struct tcp *t, uint32_t seq, ssize_t n)
{
	if (n == -1) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return OUT_DEAD;
		t->host_readable = errno == EINTR;
		return OUT_IDLE;
	}
	if (seq_lt(seq, t->snd_max))
		return OUT_DEAD; /* it was there before */
	if (t->host_reset) {
		t->host_readable = false;
		return OUT_IDLE;
	}
	t->host_eof = true;
	t->host_readable = false;
	t->fin_out = seq;
	return OUT_IDLE;
}

/* The segments of a run, whose n bytes lie in their places. */
static void
emit_run(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s,
    uint8_t *base, size_t n)
{
	size_t hdrlen = FRAME_HDRLEN + tcp_hdrlen(s), off, len;
	uint32_t payload = frame_payload(net, t, hdrlen);

	for (off = 0; n > 0; n -= len, off += hdrlen + payload) {
		len = n < payload ? n : payload;
		if (n == len)
			s->flags |= TCP_PSH;
		if (net->vnet)
			emit_vnet(net, base, off, t->f.host_ip, s, len, t->mss);
		else
			emit(net, base, off, t->f.host_ip, s, len);
		timed(net, now, t, s->seq, s->seq + (uint32_t)len);
		s->seq += (uint32_t)len;
	}
	/* Data segments carry the ACK, but have no room for SACK. */
	if (t->queue == NULL)
		t->ack_due = false;
}

/* Sends a run of the host's stream. */
static enum out
send_run(struct net *net, usec_t now, struct tcp *t, const struct run *r)
{
	struct tcp_seg s;
	size_t space, hdrlen, pitch;
	uint32_t want = r->want, max, payload;
	uint8_t *base;
	ssize_t n;

	seg_init(net, now, t, &s, r->seq, TCP_ACK);
	hdrlen = FRAME_HDRLEN + tcp_hdrlen(&s);
	payload = frame_payload(net, t, hdrlen);
	pitch = hdrlen + payload;
	base = ip4_space(net, &space);
	if (base == NULL || space < pitch)
		return OUT_FULL;
	max = space / pitch < NET_TXBATCH ? (uint32_t)(space / pitch)
					  : NET_TXBATCH;
	if (want > max * payload)
		want = max * payload;
	n = peek(net, t, r->seq, want, base + hdrlen, pitch, payload);
	if (n < (ssize_t)want && n != 0 && !r->probe)
		host_is_short(net, t);
	if (n <= 0)
		return no_data(t, r->seq, n);
	if ((uint32_t)n == want && want < r->least)
		return OUT_IDLE;
	if ((uint32_t)n == want && r->whole && want > t->mss)
		n -= n % t->mss;
	if (seq_geq(r->seq, t->snd_max) && t->asked_at > 0 &&
	    now - t->asked_at < TCP_ACK_DELAY)
		t->answers = true;
	if (!r->probe)
		under_way(now, t, r->seq, r->seq + (uint32_t)n);
	s.wnd = tcp_window(net, now, t);
	emit_run(net, now, t, &s, base, (size_t)n);
	return OUT_SENT;
}

/* How the windows limit what goes out from seq on; 0 bytes: not now. */
static void
limit_run(const struct tcp *t, struct run *r, uint32_t stop, bool force)
{
	uint32_t pipe = tcp_cc_pipe(t);
	uint32_t cwnd = t->cwnd > pipe ? t->cwnd - pipe : 0;
	uint32_t wnd = seq_ahead(r->seq, t->snd_una + t->snd_wnd);

	r->want = seq_ahead(r->seq, stop);
	r->least = 0;
	r->whole = true;
	if (r->want > cwnd) {
		r->want = cwnd < t->mss && pipe > 0 ? 0 : cwnd;
		r->least = t->mss;
	}
	if (r->want > wnd) {
		/* RFC 9293 3.8.6.2.1, (3): half of the largest window. */
		r->want = wnd;
		r->least = wnd < t->max_wnd / 2 && !force ? t->mss : 0;
	}
}

/* The stream from snd_nxt on. */
static enum out
send_stream(struct net *net, usec_t now, struct tcp *t, bool force)
{
	struct run r = { .seq = t->snd_nxt };
	uint32_t stop = r.seq + TCP_CWND_MAX;

	/* What was sent before is there. */
	if (!t->host_readable && !t->host_eof && seq_geq(r.seq, t->snd_max))
		return OUT_IDLE;
	if (t->host_eof)
		stop = seq_min(stop, t->fin_out);
	limit_run(t, &r, stop, force);
	return r.want == 0 ? OUT_IDLE : send_run(net, now, t, &r);
}

static enum out
emit_fin(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_seg s;

	seg_init(net, now, t, &s, t->fin_out, TCP_FIN | TCP_ACK);
	s.wnd = tcp_window(net, now, t);
	if (emit_bare(net, t->f.host_ip, &s) == -1)
		return OUT_FULL;
	tcp_event(t, TCPE_CLOSE); /* no edge: it is sent again */
	under_way(now, t, t->fin_out, t->fin_out + 1);
	timed(net, now, t, t->fin_out, t->fin_out + 1);
	t->ack_due = t->ack_due && t->queue != NULL;
	return OUT_SENT;
}

/* Our FIN, when it is its turn: the window does not hold it back. */
static enum out
send_fin(struct net *net, usec_t now, struct tcp *t)
{
	enum out o;

	if (!t->host_eof || t->snd_nxt != t->fin_out)
		return OUT_IDLE;
	o = emit_fin(net, now, t);
	return o == OUT_SENT ? OUT_IDLE : o;
}

/*
 * How much of a lost run may go again; 0: not now.  Whole segments, so that
 * what was one stays one, as far as cwnd has room.
 */
static uint32_t
limit_again(const struct tcp *t, uint32_t seq, uint32_t len)
{
	uint32_t pipe = tcp_cc_pipe(t), least = len < t->mss ? len : t->mss;
	uint32_t room = t->cwnd > pipe ? t->cwnd - pipe : 0;
	uint32_t wnd = seq_ahead(seq, t->snd_una + t->snd_wnd);

	room = room < wnd ? room : wnd;
	if (t->first_again && room < least)
		return least;
	if (len <= room)
		return len;
	return room - room % t->mss;
}

/* What is lost, the first first. */
static enum out
send_lost(struct net *net, usec_t now, struct tcp *t)
{
	struct run r = { 0 };
	uint32_t stop;
	enum out o = OUT_SENT;

	while (o == OUT_SENT && tcp_board_hole(&t->board, &r.seq, &stop)) {
		if (t->host_eof && r.seq == t->fin_out) {
			o = emit_fin(net, now, t);
			continue;
		}
		if (t->host_eof)
			stop = seq_min(stop, t->fin_out);
		r.want = limit_again(t, r.seq, seq_ahead(r.seq, stop));
		if (r.want == 0)
			return OUT_IDLE;
		o = send_run(net, now, t, &r);
		t->first_again = t->first_again && o == OUT_FULL;
	}
	return o;
}

static enum out
send_data(struct net *net, usec_t now, struct tcp *t)
{
	enum out o = send_lost(net, now, t);

	while (o == OUT_SENT)
		o = send_stream(net, now, t, false);
	if (o == OUT_IDLE)
		o = send_fin(net, now, t);
	return o;
}

static enum out
send_synack(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_seg s;

	seg_init(net, now, t, &s, t->iss, TCP_SYN | TCP_ACK);
	s.opt.has |= TCPO_MSS | (t->sack_on ? TCPO_SACKOK : 0) |
		     (t->wscale_on ? TCPO_WSCALE : 0);
	s.opt.mss = (uint16_t)(net->conf.mtu - IP4_HDRLEN - TCP_HDRLEN);
	s.opt.wscale = t->rcv_shift;
	s.wnd = (uint16_t)seq_ahead(t->rcv_nxt, t->rcv_adv); /* unscaled */
	if (emit_bare(net, t->f.host_ip, &s) == -1)
		return OUT_FULL;
	timed(net, now, t, t->iss, t->snd_nxt);
	t->ack_due = false;
	return OUT_IDLE;
}

/* Offers all we can do; what the guest's SYN says of it holds. */
static enum out
send_syn(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_seg s;
	uint32_t win = tcp_queue_room(net, NULL);

	seg_init(net, now, t, &s, t->iss, TCP_SYN);
	s.opt.has = TCPO_MSS | TCPO_SACKOK | TCPO_WSCALE | TCPO_TS;
	s.opt.mss = (uint16_t)(net->conf.mtu - IP4_HDRLEN - TCP_HDRLEN);
	s.opt.wscale = TCP_WND_SHIFT;
	s.opt.tsval = tcp_ts(net, now);
	s.ack = 0;
	s.wnd = (uint16_t)(win < UINT16_MAX ? win : UINT16_MAX);
	if (emit_bare(net, t->f.host_ip, &s) == -1)
		return OUT_FULL;
	timed(net, now, t, t->iss, t->snd_nxt);
	t->ack_due = false;
	return OUT_IDLE;
}

static enum out
send_ack(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_seg s;

	seg_init(net, now, t, &s, bare_seq(t), TCP_ACK);
	s.wnd = tcp_window(net, now, t);
	if (t->sack_on)
		s.opt.nsack = (uint8_t)tcp_queue_sack(t->queue, t->rcv_nxt,
		    s.opt.sack, t->ts_on ? TCP_NSACK - 1 : TCP_NSACK);
	if (emit_bare(net, t->f.host_ip, &s) == -1)
		return OUT_FULL;
	t->ack_due = false;
	return OUT_IDLE;
}

void
tcp_ack_now(struct net *net, usec_t now, struct tcp *t)
{
	/* The SYN-ACK is still to be sent, and will say it. */
	if ((t->state == TCPS_SYN_RCVD || t->state == TCPS_SYN_SENT) &&
	    t->ack_due)
		return;
	if (send_ack(net, now, t) == OUT_FULL && t->list != TCPL_TIME_WAIT) {
		t->ack_due = true;
		tcp_enlist(net, t, TCPL_BLOCKED);
	}
}

/* There is more for the guest than it was sent: the FIN needs no window. */
static bool
data_waits(const struct tcp *t)
{
	uint32_t end = t->host_eof ? t->fin_out : t->snd_max;

	return t->host_readable || seq_lt(t->snd_nxt, end);
}

/*
 * Nothing is on its way and nothing may go: the guest's window is too small.
 * Asking for it now and then finds out when its opening was lost (RFC 9293
 * 3.8.6.1).
 */
static void
persist_check(usec_t now, struct tcp *t)
{
	if (t->snd_nxt != t->snd_una || t->rexmit_at != USEC_NEVER ||
	    !data_waits(t))
		return;
	t->persist = true;
	t->rexmits = 0;
	t->rexmit_at = now + tcp_rto(t);
}

/* The guest has all that came from a connection that was lost. */
static bool
is_over(const struct tcp *t)
{
	uint32_t end = t->host_eof ? t->fin_out + 1 : t->snd_max;

	return t->host_lost && !t->host_readable && t->snd_una == end &&
	       t->state >= TCPS_ESTABLISHED;
}

static void
output(struct net *net, usec_t now, struct tcp *t, enum out o)
{
	if (o == OUT_DEAD || (o == OUT_IDLE && is_over(t))) {
		tcp_abort(net, now, t);
		return;
	}
	if (o == OUT_IDLE && t->ack_due && !tcp_hold_ack(net, now, t))
		o = send_ack(net, now, t);
	if (o == OUT_FULL)
		tcp_enlist(net, t, TCPL_BLOCKED);
	else if (t->state >= TCPS_ESTABLISHED)
		persist_check(now, t);
	tcp_timer_arm(net, t);
}

void
tcp_output(struct net *net, usec_t now, struct tcp *t)
{
	enum out o = OUT_IDLE;

	if (t->state == TCPS_TIME_WAIT)
		return;
	flow_changed(net, &t->f);
	if (t->acked > 0) {
		net->hook->consume(net->arg, t->f.id, t->acked);
		t->acked = 0;
	}
	if (t->state == TCPS_SYN_SENT)
		o = t->ack_due ? send_syn(net, now, t) : OUT_IDLE;
	else if (t->state == TCPS_SYN_RCVD)
		o = t->ack_due ? send_synack(net, now, t) : OUT_IDLE;
	else if (t->state >= TCPS_ESTABLISHED)
		o = send_data(net, now, t);
	output(net, now, t, o);
}

void
tcp_probe(struct net *net, usec_t now, struct tcp *t)
{
	struct run r = { .seq = t->snd_una, .want = 1, .probe = true };
	enum out o;

	stat_inc(net, NETS_TCP_PROBE);
	if (t->snd_wnd > 0) {
		o = send_stream(net, now, t, true);
	} else {
		/* snd_nxt stays: the guest need not take the byte. */
		o = send_run(net, now, t, &r);
		t->rtt_running = false;
	}
	t->persist = t->snd_nxt == t->snd_una && data_waits(t);
	t->rexmit_at = t->persist || t->snd_nxt != t->snd_una ? now + tcp_rto(t)
							      : USEC_NEVER;
	if (o == OUT_SENT)
		o = OUT_IDLE;
	/* An end of the stream found this way is not a window's business. */
	if (o == OUT_IDLE && t->host_eof)
		o = send_fin(net, now, t);
	output(net, now, t, o);
}

/*
 * RFC 8985 7.3: something new if there is, whatever cwnd says, or else what
 * was sent last.
 */
void
tcp_tail_probe(struct net *net, usec_t now, struct tcp *t)
{
	uint32_t last =
	    t->host_eof ? seq_min(t->snd_nxt, t->fin_out) : t->snd_nxt;
	uint32_t room = seq_ahead(t->snd_nxt, t->snd_una + t->snd_wnd);
	struct run r = { .seq = t->snd_nxt, .want = t->mss };
	enum out o = OUT_IDLE;

	stat_inc(net, NETS_TCP_TAIL);
	t->tail = false;
	t->tail_out = true;
	t->tail_again = false;
	t->tail_seq = r.seq;
	if (t->host_readable && !t->host_eof && room >= t->mss)
		o = send_run(net, now, t, &r);
	if (o == OUT_IDLE) {
		t->tail_again = true;
		r.seq = seq_max(t->snd_una, last - t->mss);
		r.want = last - r.seq;
		t->tail_seq = r.seq;
		t->rtt_running = false;
		o = send_run(net, now, t, &r);
	}
	t->tail_out = o == OUT_SENT;
	t->tail_end = t->snd_nxt;
	t->rexmit_at = now + tcp_rto(t);
	output(net, now, t, o == OUT_SENT ? OUT_IDLE : o);
}

/* Something the guest must answer, and has already (RFC 9293 3.8.4). */
int
tcp_keepalive(struct net *net, usec_t now, struct tcp *t)
{
	struct tcp_seg s;

	seg_init(net, now, t, &s, t->snd_una - 1, TCP_ACK);
	s.wnd = tcp_window(net, now, t);
	return emit_bare(net, t->f.host_ip, &s);
}

void
tcp_reset_reply(
    struct net *net, const struct ip4_pkt *pkt, const struct tcp_seg *in)
{
	struct tcp_seg s = {
		.sport = in->dport, .dport = in->sport, .flags = TCP_RST
	};

	if (in->flags & TCP_RST)
		return;
	if (in->flags & TCP_ACK) {
		s.seq = in->ack;
	} else {
		s.flags |= TCP_ACK;
		s.ack = in->seq + tcp_seglen(in);
	}
	if (emit_bare(net, pkt->dst, &s) == 0)
		stat_inc(net, NETS_TCP_RST_TX);
	else
		stat_inc(net, NETS_TX_FULL);
}

/* To a guest whose flow ends; the answer to its SYN while that waits. */
void
tcp_reset_flow(struct net *net, struct tcp *t)
{
	struct tcp_seg s = { .sport = t->f.host_port,
		.dport = t->f.guest_port,
		.ack = t->rcv_nxt,
		.flags = TCP_RST | TCP_ACK };

	if (t->state == TCPS_SYN_SENT) {
		/* It has our SYN or has not; nothing of its own is known. */
		s.flags = TCP_RST;
		s.ack = 0;
		s.seq = t->snd_max;
	} else if (t->state != TCPS_PENDING) {
		s.seq = bare_seq(t);
	}
	if (emit_bare(net, t->f.host_ip, &s) == 0)
		stat_inc(net, NETS_TCP_RST_TX);
	else
		stat_inc(net, NETS_TX_FULL);
}
