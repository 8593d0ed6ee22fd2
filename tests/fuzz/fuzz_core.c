/*
 * The whole core by a script: what the guest sends, what its host sockets do,
 * time, and a channel that fills.  Segments are made relative to what the
 * flow expects, so that most of them mean something; each stream's bytes tell
 * their place, so that whoever gets one knows whether it is right.
 *
 * model.c says what must be true after each event.
 */

#include <errno.h>

#include "common/nitems.h"
#include "fuzz.h"
#include "model.h"

#define MAXEVENTS 400

/*
 * Our sequence numbers: a stream's first byte has a multiple of 2^24, the
 * period of world_guest_byte(), so that a byte's value follows from its
 * number alone.
 */
#define ISS(generation) (((uint32_t)(generation) << 24) - 1)

static struct talk *
some_talk(struct model *m, uint8_t v)
{
	return &m->talk[v % NTALK];
}

static void
say(struct model *m, struct talk *t, struct tcp_seg *s, size_t len)
{
	s->sport = t->sport;
	s->dport = t->dport;
	if (s->flags & TCP_ACK)
		model_acked(t, s->ack);
	/* A SYN has a number of its own, before those of its data. */
	world_input(&m->w, t->dst, s, len,
	    s->seq + (s->flags & TCP_SYN ? 1u : 0), false);
}

static void
ev_syn(struct model *m, struct rd *r)
{
	uint8_t who = fuzz_u8(r), how = fuzz_u8(r);
	struct talk *t = some_talk(m, who);
	struct tcp_seg s = { .flags = TCP_SYN, .wnd = fuzz_u16(r) };

	s.seq = ISS(who >> 4);
	s.opt.has = how & 15;
	s.opt.mss = (uint16_t)(fuzz_u8(r) * 16);
	s.opt.wscale = how >> 4;
	s.opt.tsval = (uint32_t)(m->w.now / USEC_MS);
	say(m, t, &s, how & 16 ? 10 : 0);
}

/* Nobody guesses the core's first number. */
static bool
knows(const struct talk *t, const struct tcp *f)
{
	return t->known && t->id == f->f.id && t->iss == f->iss &&
	       t->irs == f->irs;
}

/* A number near one of those the flow goes by. */
static uint32_t
near_seq(const struct tcp *f, uint8_t which, int16_t off)
{
	const uint32_t base[8] = { f->rcv_nxt, f->rcv_adv, f->fin_in, f->irs,
		f->snd_una, f->snd_nxt, f->snd_max, f->iss };

	return base[which & 7] + (uint32_t)(which & 8 ? off : 0);
}

static void
put_options(const struct model *m, const struct tcp *f, struct tcp_seg *s,
    struct rd *r, uint8_t how)
{
	uint32_t at;
	int i;

	if (f->ts_on && (how & 4) == 0) {
		s->opt.has = TCPO_TS;
		s->opt.tsval = (uint32_t)(m->w.now / USEC_MS) - (how & 8);
		s->opt.tsecr = (uint32_t)(m->w.now / USEC_MS) +
			       m->w.net->tcp->ts_off - fuzz_u8(r);
	}
	s->opt.nsack = how & 3;
	for (i = 0; i < s->opt.nsack; i++) {
		at = f->snd_una + fuzz_u16(r);
		s->opt.sack[i].start = at;
		s->opt.sack[i].end = at + fuzz_u16(r);
	}
}

/* Any segment. */
static void
ev_segment(struct model *m, struct rd *r)
{
	struct talk *t = some_talk(m, fuzz_u8(r));
	const struct tcp *f = model_flow(m, t);
	uint8_t where = fuzz_u8(r), how;
	struct tcp_seg s = { .flags = fuzz_u8(r) & 0x3f };
	static const struct tcp none;

	if (f == NULL)
		f = &none;
	how = fuzz_u8(r);
	s.seq = near_seq(f, where & 3, (int16_t)0) +
		(where & 4 ? (uint32_t)(int16_t)fuzz_u16(r) : 0);
	s.ack = near_seq(f, (uint8_t)(4 + (where >> 3 & 3)), 0) +
		(where & 32 ? (uint32_t)(int16_t)fuzz_u16(r) : 0);
	if (!knows(t, f))
		s.ack = 0;
	s.wnd = fuzz_u16(r);
	if ((s.flags & (TCP_SYN | TCP_RST)) == TCP_SYN &&
	    ((s.flags & TCP_ACK) == 0 || f->state == TCPS_SYN_SENT))
		s.seq = ISS(s.seq >> 24); /* it may begin a flow */
	put_options(m, f, &s, r, how);
	say(m, t, &s, how & 16 ? fuzz_u16(r) % 3000 : fuzz_u8(r));
}

/* A guest that wants to be spoken with. */
static void
answer_syn(struct model *m, struct talk *t, const struct tcp *f, uint8_t how)
{
	struct tcp_seg s = { .flags = TCP_SYN | TCP_ACK,
		.seq = ISS(how),
		.ack = f->iss + 1,
		.wnd = 0xffff };

	s.opt.has = how >> 4;
	s.opt.mss = 1000;
	s.opt.tsval = (uint32_t)(m->w.now / USEC_MS);
	say(m, t, &s, 0);
}

/* What an honest guest sends next: data, and an ACK of all there is. */
static void
ev_next(struct model *m, struct rd *r)
{
	struct talk *t = some_talk(m, fuzz_u8(r));
	const struct tcp *f = model_flow(m, t);
	struct tcp_seg s = { .flags = TCP_ACK, .wnd = 0xffff };
	uint8_t how = fuzz_u8(r);

	if (f == NULL || !knows(t, f))
		return;
	if (f->state == TCPS_SYN_SENT) {
		answer_syn(m, t, f, how);
		return;
	}
	s.seq = tcp_expect(m->w.net, f);
	if (f->queue != NULL && (how & 2) == 0)
		s.seq = tcp_queue_end(f->queue, s.seq);
	s.ack = f->state == TCPS_SYN_RCVD ? f->iss + 1 : f->snd_max;
	if (how & 1)
		s.flags |= TCP_FIN;
	put_options(m, f, &s, r, 0);
	say(m, t, &s, (size_t)(how >> 2) * 40);
}

static void
ev_flush(struct model *m, struct rd *r)
{
	world_flush(&m->w);
}

static const enum net_error errors[] = { NET_EREFUSED, NET_ERESET,
	NET_ETIMEDOUT, NET_ENETUNREACH, NET_EHOSTUNREACH, NET_EADMIN,
	NET_EMSGSIZE, NET_ELIMIT, NET_EOTHER };

static enum net_error
some_error(uint8_t v)
{
	return v < 252 ? errors[v % nitems(errors)] : NET_EPIPE;
}

static uint32_t
some_id(const struct model *m, uint8_t v)
{
	/* One that never is, too. */
	return v % (m->w.conf.max_flows + 1);
}

static void
ev_opened(struct model *m, struct rd *r)
{
	uint8_t v = fuzz_u8(r);
	uint32_t id = some_id(m, v & 0x7f);
	const struct flow *f = flow_get(m->w.net, id);
	struct host *h = &m->w.host[id];

	if (f != NULL && f->ask == FLOW_ASKED)
		h->open = true;
	if (f != NULL && f->ask == FLOW_ASKED && f->proto == NET_ICMP) {
		h->echo_id = (uint16_t)(0x4200 + id);
		h->raw = (v & 0x80) != 0;
		net_opened_icmp(m->w.net, m->w.now, id, h->echo_id, h->raw);
		return;
	}
	net_opened(m->w.net, m->w.now, id, v & 0x80);
}

static void
ev_open_failed(struct model *m, struct rd *r)
{
	uint8_t v = fuzz_u8(r);

	net_open_failed(
	    m->w.net, m->w.now, some_id(m, v), some_error(fuzz_u8(r)));
}

static void
ev_failed(struct model *m, struct rd *r)
{
	uint8_t v = fuzz_u8(r);

	net_failed(m->w.net, m->w.now, some_id(m, v), some_error(fuzz_u8(r)));
}

/* A client of the host, as seen at an address that the guest may know. */
static void
offer(struct model *m, uint8_t how)
{
	const struct talk *t = &m->talk[how & 3];
	struct net_offer o = { .proto = how & 4 ? NET_UDP : NET_TCP,
		.guest_port = t->sport,
		.from = t->dst,
		.fport = t->dport };
	int64_t id = net_offer(m->w.net, m->w.now, &o);
	const struct flow *f;
	struct host *h;

	if (id == -1)
		return;
	f = flow_get(m->w.net, (uint32_t)id);
	h = &m->w.host[id];
	memset(h, 0, sizeof(*h));
	h->asked = h->open = true;
	h->ask = (struct net_open){ .id = f->id,
		.proto = f->proto,
		.dst = f->host_ip,
		.sport = f->guest_port,
		.dport = f->host_port };
	if (how & 8)
		net_open_failed(m->w.net, m->w.now, f->id, NET_ELIMIT);
	else
		net_opened(m->w.net, m->w.now, f->id, true);
}

static void
ev_server(struct model *m, struct rd *r)
{
	uint8_t v = fuzz_u8(r);

	if (v & 0x80) {
		offer(m, v);
		return;
	}
	if (v & 2)
		net_server_gone(m->w.net, m->w.now, v & 1);
	else
		net_server_ready(m->w.net, m->w.now, v & 1);
}

/* The host's program sends: a piece of a stream, or datagrams. */
static void
ev_host_sends(struct model *m, struct rd *r)
{
	uint32_t id = some_id(m, fuzz_u8(r));
	struct host *h = &m->w.host[id];
	uint8_t how = fuzz_u8(r);
	uint16_t len = fuzz_u16(r);

	if (h->ask.proto == NET_TCP && !h->eof) {
		h->sent += how & 2 ? len : len % 2000;
		h->eof = how & 1;
	} else if (h->ask.proto != NET_TCP) {
		/* Many of them, or large ones: both only costs time. */
		h->dgrams = how & 64 ? how & 3 : how & 15;
		h->dgram_len = how & 64 ? len : len % 1600;
		h->dgram_src = how & 128 ? 0x7f000001 : 0x01020300u + how;
		h->dgram_port = 2000;
		h->recv_error = how == 63 ? ECONNREFUSED : 0;
		h->dgram_ttl = how;
		if (h->ask.proto == NET_ICMP && (how & 128) == 0)
			h->dgram_src = h->ask.dst;
	}
	net_readable(m->w.net, m->w.now, id);
}

static void
ev_host_room(struct model *m, struct rd *r)
{
	uint32_t id = some_id(m, fuzz_u8(r));
	struct host *h = &m->w.host[id];
	uint16_t room = fuzz_u16(r);

	h->bounded = (room & 1) != 0;
	h->room = room;
	net_writable(m->w.net, m->w.now, id);
}

/* Routers say anything, and quote what they like. */
static void
put_hosterr(struct host *h, struct rd *r)
{
	static const uint8_t type[] = { 3, 11, 12, 3 };
	struct net_hosterr *e = &h->err[h->nerr];
	uint8_t how = fuzz_u8(r);
	size_t i;

	if (h->nerr == WORLD_NERR)
		return;
	h->nerr++;
	memset(e, 0, sizeof(*e));
	e->type = how & 8 ? fuzz_u8(r) : type[how & 3];
	e->code = how & 4 ? fuzz_u8(r) : 4;
	e->mtu = fuzz_u16(r);
	e->from = how & 16 ? 0xc0a84101 : 0x0a000001;
	e->len = how & 32 ? fuzz_u16(r) % (NET_QUOTE + 1) : fuzz_u8(r);
	for (i = 8; i < e->len && i < 32; i++)
		e->data[i] = fuzz_u8(r);
	if (how & 64)
		return;
	e->data[0] = 8;
	put_u16(&e->data[4], h->echo_id);
}

static void
ev_host_error(struct model *m, struct rd *r)
{
	static const int e[] = { 0, EPIPE, ECONNRESET, ENOBUFS, EMSGSIZE,
		ECONNREFUSED, EHOSTUNREACH, EACCES };
	uint32_t id = some_id(m, fuzz_u8(r));
	uint8_t how = fuzz_u8(r);

	if (how & 8)
		put_hosterr(&m->w.host[id], r);
	if (how & 16)
		m->w.host[id].mtu = fuzz_u16(r);
	if (how & 32)
		net_failed(m->w.net, m->w.now, id, NET_EQUEUED);
	if ((how & 0x38) == 0)
		m->w.host[id].write_error = e[how & 7];
}

static void
ev_time(struct model *m, struct rd *r)
{
	static const usec_t unit[] = { USEC_MS, 50 * USEC_MS, USEC_SEC,
		60 * USEC_SEC };
	uint8_t v = fuzz_u8(r);

	model_advance(m, m->w.now + unit[v & 3] * (v >> 2));
}

/* The channel fills, or is emptied. */
static void
ev_channel(struct model *m, struct rd *r)
{
	static const size_t room[] = { WORLD_SPACE, 200000, 80000, 66000 };
	uint8_t v = fuzz_u8(r);

	m->w.full = v & 1;
	m->w.room = room[v >> 1 & 3];
	/* The core may hear of it late. */
	if (!m->w.full && (v & 8) == 0)
		net_tx_ready(m->w.net, m->w.now);
}

/* A datagram's or a fragment's headers, and room for len bytes behind. */
static uint8_t *
ip_new(const struct model *m, uint8_t proto, uint32_t dst, size_t len)
{
	uint8_t *f = calloc(1, FRAME_HDRLEN + len), *p = f + ETH_HDRLEN;

	CHECK(f != NULL);
	memcpy(f + 6, m->w.conf.guest_mac, 6);
	put_u16(f + 12, 0x0800);
	p[0] = 0x45;
	put_u16(p + 2, (uint16_t)(IP4_HDRLEN + len));
	p[8] = IP4_TTL;
	p[9] = proto;
	put_u32(p + 16, dst);
	return f;
}

static const uint32_t udp_dst[] = { 0x08080404, 0x08080808, 0xc0a84102,
	0xc0a84101 };

static void
ev_udp(struct model *m, struct rd *r)
{
	uint8_t who = fuzz_u8(r);
	uint32_t dst = udp_dst[who & 3];
	uint16_t v = fuzz_u16(r);
	size_t len = v & 0x8000 ? v : v % 1600;
	uint8_t *f, *p;

	if (len > UINT16_MAX - IP4_HDRLEN - 8 - ETH_HDRLEN)
		len = UINT16_MAX - IP4_HDRLEN - 8 - ETH_HDRLEN;
	f = ip_new(m, IPPROTO4_UDP, dst, 8 + len);
	p = f + FRAME_HDRLEN;
	put_u16(p, (uint16_t)(3000 + (who >> 2 & 7)));
	put_u16(p + 2, who & 32 || dst == m->w.conf.gateway_ip ? 53 : 4000);
	put_u16(p + 4, (uint16_t)(8 + len));
	world_dgram_fill(p + 8, len, 0);
	frames_repair(&m->w, f, FRAME_HDRLEN + 8 + len);
	world_frame(&m->w, f, FRAME_HDRLEN + 8 + len);
	free(f);
}

/* A piece of one of four datagrams. */
static void
ev_fragment(struct model *m, struct rd *r)
{
	static const uint16_t total[] = { 108, 3000, 9000, 60000 };
	uint8_t who = fuzz_u8(r), head[8] = { 0x0b, 0xb8, 0x0f, 0xa0 };
	size_t off = (fuzz_u16(r) & 0x1fff) * 8u, len = fuzz_u16(r), skip;
	uint16_t all = total[who & 3];
	uint8_t *f, *p;

	if (off > all && (who & 8) == 0)
		off = off % all & ~(size_t)7;
	if (len > 60000)
		len = 60000;
	if (off < all && off + len > all)
		len = all - off;
	put_u16(head + 4, all);
	f = ip_new(m, IPPROTO4_UDP, udp_dst[who & 1], len);
	p = f + FRAME_HDRLEN;
	skip = off < sizeof(head) ? sizeof(head) - off : 0;
	if (skip > len)
		skip = len;
	memcpy(p, head + (skip > 0 ? off : 0), skip);
	world_dgram_fill(p + skip, len - skip, off + skip - sizeof(head));
	put_u16(f + ETH_HDRLEN + 4, (uint16_t)(who & 0x33));
	put_u16(f + ETH_HDRLEN + 6,
	    (uint16_t)(off / 8 | (off + len < all ? IP4_MF : 0)));
	/* Its own checksum is that of a whole datagram: none. */
	f[ETH_HDRLEN + 9] = 0;
	frames_repair(&m->w, f, FRAME_HDRLEN + len);
	f[ETH_HDRLEN + 9] = IPPROTO4_UDP;
	put_u16(f + ETH_HDRLEN + 10, 0);
	memcpy(f + ETH_HDRLEN + 10,
	    &(uint16_t){
		cksum_finish(cksum_add(0, f + ETH_HDRLEN, IP4_HDRLEN)) },
	    2);
	world_frame(&m->w, f, FRAME_HDRLEN + len);
	free(f);
}

/* An error of the guest's about a segment of one of its flows, or nearly. */
static void
quote_segment(
    struct model *m, struct rd *r, uint8_t code, uint8_t *icmp, size_t len)
{
	const struct talk *t = some_talk(m, fuzz_u8(r));
	const struct tcp *f = model_flow(m, t);
	uint8_t *ip = icmp + 8, *tcp = ip + IP4_HDRLEN;

	icmp[0] = 3;
	icmp[1] = code;
	if (len < 8 + IP4_HDRLEN + 8)
		return;
	put_u16(icmp + 6, fuzz_u16(r));
	ip[0] = 0x45;
	ip[9] = IPPROTO4_TCP;
	put_u32(ip + 12, t->dst);
	put_u32(ip + 16, m->w.conf.guest_ip);
	put_u16(tcp, t->dport);
	put_u16(tcp + 2, t->sport);
	put_u32(tcp + 4, (f != NULL ? f->snd_una : 0) + fuzz_u8(r));
}

/* An echo request. */
static void
ev_ping(struct model *m, struct rd *r)
{
	uint8_t who = fuzz_u8(r), *f;
	size_t len = 8 + fuzz_u16(r) % 3000;

	f = ip_new(m, IPPROTO4_ICMP, udp_dst[who & 3], len);
	f[FRAME_HDRLEN] = who & 4 ? 0 : 8;
	put_u16(f + FRAME_HDRLEN + 4, who >> 6);
	if (who & 8)
		put_u16(f + ETH_HDRLEN + 6, IP4_DF);
	if (who & 16)
		f[ETH_HDRLEN + 8] = 1;
	if (who & 32)
		quote_segment(m, r, who & 4 ? 3 : 4, f + FRAME_HDRLEN, len);
	frames_repair(&m->w, f, FRAME_HDRLEN + len);
	world_frame(&m->w, f, FRAME_HDRLEN + len);
	free(f);
}

typedef void event(struct model *, struct rd *);

/* The likely ones twice. */
static event *const events[] = { ev_syn, ev_segment, ev_next, ev_flush,
	ev_opened, ev_open_failed, ev_failed, ev_server, ev_host_sends,
	ev_host_room, ev_host_error, ev_time, ev_channel, ev_udp, ev_fragment,
	ev_ping, ev_segment, ev_next, ev_next, ev_flush, ev_opened,
	ev_host_sends, ev_host_room, ev_time };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct model m;
	struct rd r = rd_init(data, len);
	uint8_t how = fuzz_u8(&r), op;
	unsigned n;

	model_init(&m);
	m.w.conf.max_flows = how & 1 ? 6 : 20;
	m.w.conf.max_queue = how & 2 ? 4000 : 4u << 20;
	m.w.conf.ack_brief = how & 1 ? USEC_MS : 0;
	if (how & 4)
		m.w.conf.mtu = how & 8 ? 576 : 65521;
	CHECK(world_start(&m.w) == 0);
	for (n = 0; n < MAXEVENTS && rd_u8(&r, &op) == 0; n++) {
		events[op % nitems(events)](&m, &r);
		model_check(&m);
	}
	model_end(&m);
	world_fini(&m.w);
	return 0;
}
