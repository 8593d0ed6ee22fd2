/*
 * TCP toward the guest: RFC 9293, playing the remote server's part.
 *
 * A flow translates between the guest's segments and one host socket, and
 * keeps no copy of either stream.  Host data stays in the socket's receive
 * queue: it is peeked into outgoing frames and consumed when the guest has
 * acknowledged it.  Guest data is written to the socket in the call that
 * received it, and acknowledged only when the host's kernel has taken it.
 *
 *	SYN of the guest		PENDING: ask for a socket, say nothing
 *	the socket has connected	SYN-ACK
 *	it cannot			RST, ICMP, or silence: as its host would
 *	end of the host's stream	FIN, behind all data
 *	FIN of the guest		shutdown, behind all data; half-closed
 *					either way for as long as they like
 *	both ended, both acknowledged	TIME-WAIT: the socket is closed, the
 *					addresses stay taken for a while
 *	failure of either side		RST to the other
 *
 * Frames come in batches: net_input() only updates flows, queues what they
 * owe on the dirty list, and collects payload; net_flush() writes and answers,
 * once for each flow.  Who finds the channel full waits on the blocked list
 * and is served in turn.
 *
 * Each flow has one timer, at the earliest of its deadlines or before it: a
 * deadline that moves away leaves the timer, which then finds nothing to do
 * and is set again.
 *
 * tcp_fsm.c	states and edges	tcp_wire.c	headers
 * tcp_in.c	a segment arrives	tcp_out.c	what may be sent
 * tcp_host.c	writes to the host	tcp_reasm.c	what waits for them
 * tcp_cc.c	congestion, recovery	tcp_cubic.c	its curve
 * tcp_rack.c	what is lost		tcp_board.c	what is under way
 * tcp_rtt.c	round-trip time		tcp_timer.c	deadlines
 * tcp_ack.c	windows and ACKs	tcp_open.c	flows that we open
 * tcp.c	life of a flow
 *
 * Not done: urgent data (read as ordinary), delayed ACKs (one for each batch
 * instead, but see tcp_ack.c on answers), ECN; docs/rfc.md.
 */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/wr.h"
#include "netstackd/core/tcp.h"

static inline uint64_t
rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-2-4 of two words. */
static uint64_t
siphash(const uint64_t key[2], uint64_t a, uint64_t b)
{
	const uint64_t word[3] = { a, b, (uint64_t)16 << 56 };
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573 };
	int i;

	for (i = 0; i < 3; i++) {
		v[3] ^= word[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= word[i];
	}
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* RFC 6528: a clock of 4 us, moved by a secret for each pair of ends. */
uint32_t
tcp_initial_seq(const struct net *net, usec_t now, const struct flow *f)
{
	uint64_t hash =
	    siphash(net->tcp->key, (uint64_t)f->guest_ip << 32 | f->host_ip,
		(uint64_t)f->guest_port << 16 | f->host_port);

	return (uint32_t)hash + (uint32_t)(now / 4);
}

int
tcp_net_new(struct net *net)
{
	struct tcp_net *tn;
	uint32_t w[5];
	int i;

	if ((tn = calloc(1, sizeof(*tn))) == NULL)
		return -1;
	for (i = 0; i < TCPL__MAX; i++)
		TAILQ_INIT(&tn->list[i]);
	for (i = 0; i < 5; i++)
		w[i] = net->hook->random(net->arg);
	tn->key[0] = (uint64_t)w[0] << 32 | w[1];
	tn->key[1] = (uint64_t)w[2] << 32 | w[3];
	tn->ts_off = w[4];
	net->tcp = tn;
	return 0;
}

void
tcp_net_free(struct net *net)
{
	free(net->tcp);
	net->tcp = NULL;
}

void
tcp_enlist(struct net *net, struct tcp *t, enum tcp_list list)
{
	struct tcp_net *tn = net->tcp;

	/* Out of TIME-WAIT there is only the way out. */
	if (t->list == list || (t->list == TCPL_TIME_WAIT && list != TCPL_NONE))
		return;
	if (t->list != TCPL_NONE)
		TAILQ_REMOVE(&tn->list[t->list], t, link);
	if (list != TCPL_NONE)
		TAILQ_INSERT_TAIL(&tn->list[list], t, link);
	tn->ntime_wait -= t->list == TCPL_TIME_WAIT;
	tn->ntime_wait += list == TCPL_TIME_WAIT;
	tn->npending -= t->list == TCPL_PENDING;
	tn->npending += list == TCPL_PENDING;
	t->list = (uint8_t)list;
}

static void
host_close(struct net *net, struct tcp *t, bool reset)
{
	if (!t->host_open && t->f.ask != FLOW_ASKED)
		return;
	/* What is left unread would make the kernel send a RST. */
	if (t->acked > 0 && !reset)
		net->hook->consume(net->arg, t->f.id, t->acked);
	t->acked = 0;
	net->hook->close(net->arg, t->f.id, reset);
	t->host_open = t->host_fd = false;
}

static void
drop_data(struct net *net, struct tcp *t)
{
	if (net->tcp->batch == t)
		net->tcp->batch = NULL;
	tcp_queue_free(net, &t->queue);
	tcp_board_clear(&t->board, t->snd_nxt);
}

void
tcp_free(struct net *net, struct tcp *t, bool reset)
{
	host_close(net, t, reset);
	drop_data(net, t);
	tcp_enlist(net, t, TCPL_NONE);
	timer_clear(net, &t->timer);
	flow_del(net, &t->f);
	net->stat[NETS_TCP_FLOWS]--;
	free(t);
}

void
tcp_abort(struct net *net, usec_t now, struct tcp *t)
{
	tcp_reset_flow(net, t);
	tcp_event(t, TCPE_RESET);
	tcp_free(net, t, true);
}

static void
evict_time_wait(struct net *net)
{
	struct tcp *t = TAILQ_FIRST(&net->tcp->list[TCPL_TIME_WAIT]);

	if (t == NULL)
		return;
	stat_inc(net, NETS_TCP_TW_EARLY);
	tcp_free(net, t, false);
}

/*
 * Silently: the guest still asks, and its next SYN begins anew.  So a flood of
 * SYNs that nobody answers costs a guest no more than one SYN of the others.
 */
static void
evict_pending(struct net *net)
{
	struct tcp *t = TAILQ_FIRST(&net->tcp->list[TCPL_PENDING]);

	if (t == NULL)
		return;
	stat_inc(net, NETS_TCP_EVICTED);
	tcp_free(net, t, true);
}

/*
 * For one more flow.  Three quarters of the table may wait for hosts that do
 * not answer; whatever is established stays.
 */
static void
make_room(struct net *net)
{
	uint32_t max = net->conf.max_flows;

	if (net->nfree == 0)
		evict_time_wait(net);
	if (net->nfree == 0 || net->tcp->npending >= max - max / 4)
		evict_pending(net);
}

/*
 * Both streams are over: only the addresses are kept.  At most a quarter of
 * the table is spent on that, the oldest go first.
 */
void
tcp_time_wait(struct net *net, usec_t now, struct tcp *t)
{
	if (t->ack_due)
		tcp_ack_now(net, now, t);
	host_close(net, t, false);
	drop_data(net, t);
	t->rexmit_at = USEC_NEVER;
	t->last_rx = now;
	tcp_enlist(net, t, TCPL_TIME_WAIT);
	tcp_timer_arm(net, t);
	if (net->tcp->ntime_wait > 1 &&
	    net->tcp->ntime_wait > net->conf.max_flows / 4)
		evict_time_wait(net);
}

void
tcp_syn(const struct net *net, struct tcp *t, const struct tcp_seg *s)
{
	const struct tcp_opts *o = &s->opt;
	uint32_t mss = net->conf.mtu - IP4_HDRLEN - TCP_HDRLEN;
	uint32_t theirs = o->has & TCPO_MSS ? o->mss : TCP_MSS_DEFAULT;

	if (theirs < mss)
		mss = theirs > TCP_MSS_MIN ? theirs : TCP_MSS_MIN;
	t->irs = s->seq;
	t->rcv_nxt = s->seq + 1;
	t->sack_on = (o->has & TCPO_SACKOK) != 0;
	t->ts_on = (o->has & TCPO_TS) != 0;
	t->wscale_on = (o->has & TCPO_WSCALE) != 0;
	t->ts_recent = o->tsval;
	t->snd_shift = t->rcv_shift = 0;
	if (t->wscale_on) {
		t->snd_shift =
		    o->wscale < TCP_WSCALE_MAX ? o->wscale : TCP_WSCALE_MAX;
		t->rcv_shift = TCP_WND_SHIFT;
	}
	/* RFC 6691: the option counts no options. */
	t->mss = (uint16_t)(mss - (t->ts_on ? 12 : 0));
	t->snd_wnd = t->max_wnd = s->wnd; /* never scaled on a SYN */
	t->snd_wl1 = s->seq;
}

struct tcp *
tcp_new(struct net *net, usec_t now, const struct flow *want)
{
	struct tcp *t;

	make_room(net);
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->f = *want;
	t->state = TCPS_CLOSED;
	t->timer.fn = tcp_timer_cb;
	t->rexmit_at = t->ack_at = t->reo_at = USEC_NEVER;
	t->last_rx = now;
	t->rto = TCP_RTO_INIT;
	if (flow_add(net, &t->f) == -1) {
		free(t);
		return NULL;
	}
	stat_inc(net, NETS_TCP_FLOWS);
	return t;
}

/* Whether proxyd serves that port of the gateway, or of anybody. */
static bool
is_proxied(const struct net *net, enum ip4_dst dst, uint16_t port)
{
	const struct net_proxy *p = &net->proxy;
	unsigned i;

	if (dst == DST_GATEWAY)
		return p->gateway &&
		       (port == NET_PROXY_HTTP || port == NET_PROXY_HTTPS);
	for (i = 0; dst == DST_REMOTE && i < p->nport; i++) {
		if (p->port[i] == port)
			return true;
	}
	return false;
}

/*
 * A SYN to an address nobody has a flow for.  iss_after, or NULL: our next
 * sequence number in an earlier flow of the same ends (RFC 9293 3.6.1).
 */
void
tcp_listen(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    const struct tcp_seg *s, const uint32_t *iss_after)
{
	struct flow want = { .proto = NET_TCP,
		.server = NET_PORTD,
		.guest_ip = pkt->src,
		.host_ip = pkt->dst,
		.guest_port = s->sport,
		.host_port = s->dport };
	enum ip4_dst dst = ip4_classify(net, pkt->dst);
	struct tcp *t = NULL;

	if (dst == DST_GATEWAY && net_gateway_forward(net, NET_TCP, s->dport))
		dst = DST_REMOTE;
	else if (is_proxied(net, dst, s->dport))
		want.server = NET_PROXYD;
	if (dst == DST_GATEWAY && s->dport == 53)
		want.server = NET_DNSD;
	else if (dst != DST_HOST && dst != DST_REMOTE && dst != DST_GATEWAY) {
		stat_inc(net, NETS_RX_BADDST);
		return;
	}
	if (dst != DST_GATEWAY || want.server != NET_PORTD)
		t = tcp_new(net, now, &want);
	if (t == NULL) {
		tcp_reset_reply(net, pkt, s);
		return;
	}
	tcp_event(t, TCPE_SYN);
	tcp_syn(net, t, s);
	t->iss = tcp_initial_seq(net, now, &t->f);
	if (iss_after != NULL && !seq_gt(t->iss, *iss_after))
		t->iss = *iss_after + UINT16_MAX;
	stat_inc(net, NETS_TCP_OPENED);
	tcp_enlist(net, t, TCPL_PENDING);
	tcp_timer_arm(net, t);
	flow_open(net, &t->f);
}

void
tcp_begin(struct net *net, struct tcp *t)
{
	uint32_t win = tcp_queue_room(net, NULL);

	win = win < UINT16_MAX ? win : UINT16_MAX;
	t->rcv_adv = t->rcv_nxt + (win > t->mss ? win : t->mss);
	t->last_ack = t->room_seq = t->rcv_nxt;
	tcp_cc_init(t);
}

/* The host side is there: answer the SYN. */
static void
connected(struct net *net, usec_t now, struct tcp *t)
{
	if (tcp_event(t, TCPE_CONNECTED) == -1)
		return;
	tcp_enlist(net, t, TCPL_NONE);
	tcp_begin(net, t);
	t->snd_una = t->snd_max = t->iss;
	t->snd_nxt = t->iss + 1;
	t->ack_due = true;
	tcp_output(net, now, t);
}

/* An ICMP error that quotes the guest's SYN, as far as anybody looks at it. */
static void
quote_syn(struct net *net, usec_t now, const struct tcp *t, enum net_error e,
    const struct net_hosterr *h)
{
	uint8_t b[IP4_HDRLEN + TCP_HDRLEN];
	struct tcp_seg s = { .sport = t->f.guest_port,
		.dport = t->f.host_port,
		.seq = t->irs,
		.flags = TCP_SYN };
	struct ip4_pkt pkt = { .src = t->f.guest_ip,
		.dst = t->f.host_ip,
		.proto = IPPROTO4_TCP,
		.ttl = IP4_TTL,
		.df = true,
		.hdr = b,
		.hdrlen = IP4_HDRLEN };
	struct wr w = wr_init(b, sizeof(b));
	uint16_t sum;

	wr_u16(&w, 0x4500);
	wr_u16(&w, sizeof(b));
	wr_u32(&w, IP4_DF);
	wr_u16(&w, IP4_TTL << 8 | IPPROTO4_TCP);
	wr_u16(&w, 0);
	wr_u32(&w, t->f.guest_ip);
	wr_u32(&w, t->f.host_ip);
	sum = cksum_finish(cksum_add(0, b, IP4_HDRLEN));
	memcpy(b + 10, &sum, sizeof(sum));
	tcp_write(b + IP4_HDRLEN, &s);
	pkt.payload = rd_init(b + IP4_HDRLEN, TCP_HDRLEN);
	if (h != NULL)
		icmp_host_error(net, now, &t->f, &pkt, h);
	else
		icmp_unreachable(net, now, &pkt, e, 0);
}

/* No socket: what the host, or a router on the way, would have answered; h is
 * what one has, NULL if that is not known. */
static void
refuse(struct net *net, usec_t now, struct tcp *t, enum net_error e,
    const struct net_hosterr *h)
{
	stat_inc(net, NETS_TCP_REFUSED);
	switch (e) {
	case NET_ENETUNREACH:
	case NET_EHOSTUNREACH:
		quote_syn(net, now, t, e, h);
		break;
	case NET_EADMIN:
		quote_syn(net, now, t, e, NULL);
		tcp_reset_flow(net, t); /* what clients take as final */
		break;
	case NET_ETIMEDOUT:
		break; /* nobody answered; the guest's own SYNs time out */
	default:
		tcp_reset_flow(net, t);
		break;
	}
	tcp_free(net, t, false);
}

static void
op_opened(struct net *net, usec_t now, struct flow *f, bool ready)
{
	struct tcp *t = (struct tcp *)f;

	t->host_open = t->host_fd = true;
	if (t->active)
		tcp_open(net, now, t);
	else if (ready)
		connected(net, now, t);
}

static void
op_open_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	struct tcp *t = (struct tcp *)f;

	t->host_open = true;
	if (t->active) {
		tcp_free(net, t, true); /* the guest knows nothing of it */
		return;
	}
	refuse(net, now, t, e, NULL);
}

static void
op_readable(struct net *net, usec_t now, struct flow *f)
{
	struct tcp *t = (struct tcp *)f;

	if (!t->host_fd || t->host_eof)
		return;
	t->host_readable = true;
	if (t->state >= TCPS_ESTABLISHED)
		tcp_output(net, now, t);
}

static void
op_writable(struct net *net, usec_t now, struct flow *f)
{
	struct tcp *t = (struct tcp *)f;

	if (!t->host_fd)
		return;
	if (t->state == TCPS_PENDING) {
		connected(net, now, t);
		return;
	}
	if (!t->host_full || t->host_lost)
		return;
	t->host_full = t->host_shut = false;
	t->ack_due = true; /* the window opens */
	if (tcp_queue_write(net, now, t) == 0)
		tcp_output(net, now, t);
}

/*
 * What has arrived before outlives the connection in its socket, and any other
 * program would still read it.  So the guest gets it, too, and then the reset
 * (RFC 9293 3.10.7.4), in the place of an end unless the stream had one.
 */
static void
host_lost(struct net *net, usec_t now, struct tcp *t, enum net_error e)
{
	t->host_lost = t->host_full = true;
	t->host_reset = e != NET_EPIPE;
	t->host_readable = !t->host_eof;
	tcp_output(net, now, t);
}

static void
op_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	struct tcp *t = (struct tcp *)f;
	struct net_hosterr h;
	bool told;

	if (t->state == TCPS_PENDING) {
		told = t->host_fd && net->hook->error(net->arg, f->id, &h);
		refuse(net, now, t, e, told ? &h : NULL);
	} else if (t->host_fd && t->state >= TCPS_SYN_RCVD &&
		   t->state != TCPS_TIME_WAIT) {
		host_lost(net, now, t, e);
	} else if (t->host_fd) {
		tcp_abort(net, now, t);
	}
}

static void
op_server_ready(struct net *net, usec_t now, struct flow *f)
{
}

static void
op_free(struct net *net, struct flow *f)
{
	tcp_free(net, (struct tcp *)f, true);
}

const struct flow_ops tcp_ops = {
	.opened = op_opened,
	.open_failed = op_open_failed,
	.readable = op_readable,
	.writable = op_writable,
	.failed = op_failed,
	.server_ready = op_server_ready,
	.free = op_free,
};

void
tcp_flush(struct net *net, usec_t now)
{
	struct tcp_head *dirty = &net->tcp->list[TCPL_DIRTY];
	struct tcp *t;

	tcp_batch_write(net, now);
	while ((t = TAILQ_FIRST(dirty)) != NULL) {
		tcp_enlist(net, t, TCPL_NONE);
		tcp_output(net, now, t);
	}
}

/* In turn, and each once: who is still not done goes to the end. */
void
tcp_tx_ready(struct net *net, usec_t now)
{
	struct tcp_head *blocked = &net->tcp->list[TCPL_BLOCKED];
	struct tcp *t, *last = TAILQ_LAST(blocked, tcp_head);
	size_t space;
	bool done = last == NULL;

	while (!done && (t = TAILQ_FIRST(blocked)) != NULL) {
		if (ip4_space(net, &space) == NULL || space < NET_MAXFRAME)
			break;
		done = t == last;
		tcp_enlist(net, t, TCPL_NONE);
		tcp_output(net, now, t);
	}
}
