/* A guest's view of its flows. */

#include "tests/fuzz/model.h"

#include "fuzz.h"

void
model_init(struct model *m)
{
	static const struct talk talks[NTALK] = {
		{ .sport = 1000, .dst = 0x08080404, .dport = 80 },
		{ .sport = 1001, .dst = 0x08080404, .dport = 80 },
		{ .sport = 1000, .dst = 0x08080808, .dport = 443 },
		{ .sport = 1002, .dst = 0xc0a84102, .dport = 22 },
		{ .sport = 1003, .dst = 0xc0a84101, .dport = 53 },
		{ .sport = 1004, .dst = 0xc0a84101, .dport = 80 },
	};

	world_init(&m->w);
	memcpy(m->talk, talks, sizeof(talks));
}

struct tcp *
model_flow(struct model *m, const struct talk *t)
{
	return (struct tcp *)flow_find(
	    m->w.net, NET_TCP, m->w.conf.guest_ip, t->sport, t->dst, t->dport);
}

void
model_acked(struct talk *t, uint32_t ack)
{
	if (t->known && seq_gt(ack, t->acked) && seq_leq(ack, t->sent))
		t->acked = ack;
}

static void
on_syn(struct model *m, struct talk *t, const struct tcp_seg *s)
{
	const struct tcp *flow = model_flow(m, t);
	uint32_t irs = s->flags & TCP_ACK ? s->ack - 1 : 0;

	CHECK(s->data.len == 0);
	if (t->known && t->iss == s->seq && t->irs == irs &&
	    (flow == NULL || t->id == flow->f.id))
		return;
	t->known = flow != NULL;
	t->id = flow != NULL ? flow->f.id : 0;
	t->iss = s->seq;
	t->irs = irs;
	t->opening = (s->flags & TCP_ACK) == 0;
	t->sent = t->acked = s->seq + 1;
}

/*
 * What the core says in a segment: acknowledged is what the host has taken,
 * and the payload is the host's stream, byte for byte.
 */
static void
on_flow(struct model *m, struct talk *t, const struct tcp_seg *s)
{
	const struct host *h = &m->w.host[t->id];
	const struct tcp *flow = model_flow(m, t);
	uint32_t off = s->seq - t->iss - 1, taken;
	static uint8_t good[1 << 16];

	CHECK(t->known && (s->flags & TCP_ACK) != 0);
	if (t->opening && flow == NULL)
		return; /* its first word and its last */
	if (t->opening) {
		t->opening = false;
		t->irs = flow->irs;
	}
	taken = s->ack - t->irs - 1;
	if (h->ask.sport != t->sport || h->ask.dst != t->dst)
		return; /* over, and its id is another's since */
	CHECK(taken <= h->written + h->shut);
	world_host_fill(good, s->data.len, off);
	CHECK(memcmp(s->data.p, good, s->data.len) == 0);
	CHECK(s->data.len == 0 || off + s->data.len <= h->sent);
	if (s->flags & TCP_FIN)
		CHECK(h->eof && off + s->data.len == h->sent);
	t->sent = seq_max(t->sent, s->seq + tcp_seglen(s));
}

static void
on_tcp(void *arg, uint32_t src, const struct tcp_seg *s)
{
	struct model *m = arg;
	struct talk *t;

	for (t = m->talk; t < m->talk + NTALK; t++)
		if (t->dst == src && t->dport == s->sport &&
		    t->sport == s->dport)
			break;
	if (s->flags & TCP_RST)
		return;
	if (t == m->talk + NTALK) {
		/* A client that had to be given another address. */
		CHECK(src == m->w.conf.gateway_ip && s->sport >= 32768);
		return;
	}
	if (s->flags & TCP_SYN)
		on_syn(m, t, s);
	else
		on_flow(m, t, s);
}

/* Nothing of the host's stream is given up before the guest has it. */
static void
check_talk(struct model *m, const struct talk *t)
{
	const struct host *h = &m->w.host[t->id];

	if (!t->known || h->closed || h->ask.sport != t->sport ||
	    h->ask.dst != t->dst)
		return;
	CHECK(h->consumed <= t->acked - t->iss - 1);
}

static void
check_flow(const struct model *m, const struct tcp *t)
{
	const struct host *h = &m->w.host[t->f.id];
	bool owed = t->list == TCPL_DIRTY || t->list == TCPL_BLOCKED;

	/* Somebody always comes back to it. */
	CHECK(t->timer.slot != 0 || owed);
	if (t->state < TCPS_ESTABLISHED || t->state == TCPS_TIME_WAIT)
		return;
	CHECK(!h->closed);
	CHECK(t->rcv_nxt - t->irs - 1 == h->written + h->shut);
	CHECK(seq_geq(t->rcv_adv, t->rcv_nxt));
	CHECK(seq_leq(t->snd_una, t->snd_max));
	CHECK(seq_leq(t->snd_una, t->snd_nxt));
	CHECK(seq_leq(t->snd_nxt, t->snd_max));
	CHECK(h->consumed + t->acked + t->host_eof >= t->snd_una - t->iss - 1u);
	CHECK(t->cwnd >= t->mss && t->cwnd <= TCP_CWND_MAX);
	/* What is under way is sent again if it is lost. */
	if (t->snd_una != t->snd_max)
		CHECK(t->rexmit_at != USEC_NEVER || owed);
	CHECK(t->queue == NULL || t->queue->cost <= TCP_QUEUE_MAX);
}

void
model_check(struct model *m)
{
	struct net *net = m->w.net;
	const struct flow *f;
	uint32_t i, n = 0, cost = 0;

	frames_check(&m->w, on_tcp, m);
	for (i = 0; i < NTALK; i++)
		check_talk(m, &m->talk[i]);
	for (i = 0; i < net->conf.max_flows; i++) {
		if ((f = flow_get(net, i)) == NULL)
			continue;
		n++;
		CHECK(f->id == i);
		if (f->proto != NET_TCP)
			continue;
		check_flow(m, (const struct tcp *)f);
		if (((const struct tcp *)f)->queue != NULL)
			cost += ((const struct tcp *)f)->queue->cost;
	}
	CHECK(net_flows(net) == n && n <= net->conf.max_flows);
	CHECK(cost <= net->queued && net->queued <= net->conf.max_queue);
}

void
model_advance(struct model *m, usec_t to)
{
	usec_t at;

	while ((at = net_deadline(m->w.net)) <= to) {
		if (at > m->w.now)
			m->w.now = at;
		net_tick(m->w.net, m->w.now);
		CHECK(net_deadline(m->w.net) > m->w.now);
		model_check(m);
	}
	m->w.now = to;
}

/* The flow of a talk, when both streams may run and the guest knows it. */
static const struct tcp *
running(struct model *m, const struct talk *t)
{
	const struct tcp *f = model_flow(m, t);

	if (f == NULL || f->state < TCPS_ESTABLISHED ||
	    f->state == TCPS_TIME_WAIT || !t->known || t->id != f->f.id ||
	    t->irs != f->irs || t->iss != f->iss)
		return NULL;
	return f;
}

/* Has the guest got all there is?  Whoever broke its word need not. */
static bool
settled(struct model *m, const struct talk *t)
{
	const struct tcp *f = running(m, t);
	const struct host *h = &m->w.host[t->id];

	/* RFC 9293 3.10.7.4: an older window is not looked at. */
	if (f == NULL || seq_gt(f->snd_wl1,
			     tcp_queue_end(f->queue, tcp_expect(m->w.net, f))))
		return true;
	return h->consumed + f->acked == h->sent && h->eof == f->host_eof;
}

/* A guest that acknowledges all, has room, and goes on with its stream. */
static void
behave(struct model *m, struct talk *t)
{
	const struct tcp *f = running(m, t);
	struct tcp_seg s = { .sport = t->sport,
		.dport = t->dport,
		.flags = TCP_ACK,
		.ack = t->sent,
		.wnd = UINT16_MAX };
	uint32_t len = 0;

	if (f == NULL)
		return;
	s.seq = tcp_queue_end(f->queue, tcp_expect(m->w.net, f));
	if (f->ts_on) {
		s.opt.has = TCPO_TS;
		s.opt.tsval = (uint32_t)(m->w.now / USEC_MS);
	}
	if (!f->guest_fin)
		len = seq_ahead(s.seq, f->rcv_adv);
	model_acked(t, s.ack);
	world_input(&m->w, t->dst, &s, len < 1000 ? len : 1000, s.seq, false);
	world_flush(&m->w);
	model_check(m);
}

/* Whatever has happened: from now on all is well, and the streams run. */
static void
settle(struct model *m)
{
	struct net *net = m->w.net;
	bool all = false;
	uint32_t id;
	int i, k;

	for (id = 0; id < net->conf.max_flows; id++) {
		m->w.host[id].bounded = false;
		m->w.host[id].write_error = 0;
		net_writable(net, m->w.now, id);
		model_check(m);
		net_readable(net, m->w.now, id);
		model_check(m);
	}
	for (i = 0; i < 300 && !all; i++) {
		all = true;
		for (k = 0; k < NTALK; k++) {
			if (i > 0 && settled(m, &m->talk[k]))
				continue;
			behave(m, &m->talk[k]);
			all = all && settled(m, &m->talk[k]);
		}
		/* Longer than any timeout, in the end. */
		model_advance(m, m->w.now + (i < 200 ? 1 : 61) * USEC_SEC);
		model_check(m);
	}
	CHECK(all);
}

void
model_end(struct model *m)
{
	struct net *net = m->w.net;
	uint32_t id;

	m->w.full = false;
	m->w.room = WORLD_SPACE;
	world_flush(&m->w);
	model_check(m);
	net_tx_ready(net, m->w.now);
	model_check(m);
	settle(m);
	for (id = 0; id < net->conf.max_flows; id++) {
		net_failed(net, m->w.now, id, NET_ERESET);
		model_check(m);
	}
	/* What has come is sent on, until the guest has been silent too long. */
	model_advance(m, m->w.now + 3600 * USEC_SEC);
	/* The way to dnsd stays. */
	CHECK(net_flows(net) <= 1 && net->queued == 0);
	CHECK(net_deadline(net) == USEC_NEVER);
}
