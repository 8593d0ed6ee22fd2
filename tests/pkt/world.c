/*
 * The core's surroundings, for tests.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkt/world.h"

uint8_t
world_host_byte(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

uint8_t
world_guest_byte(uint64_t i)
{
	return (uint8_t)(i * 29 + (i >> 8) * 11 + (i >> 16) + 128);
}

/* The bytes of a stream, 256 at a time: within them each is a step more. */
struct line {
	uint8_t value[512]; /* 0, one step, two steps, ... */
	uint8_t at[256];    /* where among the first 256 a value is */
	bool made;
};

/* Those from byte i on, up to the next multiple of 256. */
static const uint8_t *
line_from(struct line *l, uint64_t i, uint8_t (*byte)(uint64_t))
{
	size_t k;

	for (k = 0; k < sizeof(l->value) && !l->made; k++) {
		l->value[k] = (uint8_t)(k * (uint8_t)(byte(1) - byte(0)));
		l->at[l->value[k]] = (uint8_t)k;
	}
	l->made = true;
	return &l->value[l->at[byte(i)]];
}

static size_t
line_left(uint64_t at, size_t len)
{
	size_t n = 256 - at % 256;

	return n < len ? n : len;
}

static void
stream_fill(uint8_t *p, size_t len, uint64_t at, struct line *l,
    uint8_t (*byte)(uint64_t))
{
	size_t n;

	for (; len > 0; len -= n, p += n, at += n) {
		n = line_left(at, len);
		memcpy(p, line_from(l, at, byte), n);
	}
}

void
world_host_fill(uint8_t *p, size_t len, uint64_t at)
{
	static struct line line;

	stream_fill(p, len, at, &line, world_host_byte);
}

static struct line guest_line;

/* What datagrams are made of, once: fuzzing has a lot of them. */
static const uint8_t *
dgram_bytes(void)
{
	static uint8_t b[1 << 16];
	size_t i;

	if (b[0] != 0)
		return b;
	for (i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 13 + (i >> 8) * 3 + 7);
	return b;
}

void
world_dgram_fill(uint8_t *p, size_t len, size_t first)
{
	const size_t period = 1 << 16;
	size_t n;

	for (; len > 0; len -= n, p += n, first += n) {
		n = period - first % period;
		n = n < len ? n : len;
		memcpy(p, dgram_bytes() + first % period, n);
	}
}

void
world_error(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (*w->error != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(w->error, sizeof(w->error), fmt, ap);
	va_end(ap);
}

static struct host *
host_of(struct world *w, uint32_t id)
{
	struct host *h = &w->host[id % WORLD_NSOCK];

	if (id >= WORLD_NSOCK || h->closed)
		world_error(w, "flow %u is not open", id);
	return h;
}

static uint8_t *
hook_space(void *arg, size_t *len)
{
	struct world *w = arg;

	w->used = 0;
	w->pushes = 0;
	*len = w->full ? 0 : w->room;
	return w->space;
}

/* Ours, to be freed. */
static struct frame *
frame_new(struct world *w, const uint8_t *p, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (f == NULL)
		abort();
	f->at = w->now;
	f->len = len;
	f->seg = 0;
	if (p != NULL)
		memcpy(f->data, p, len);
	return f;
}

static void
pushed(struct world *w, size_t off, size_t len, size_t packet)
{
	if (off < w->used || off + len > w->room || w->full)
		world_error(w, "a frame pushed where there is no space");
	if (++w->pushes > NET_TXBATCH)
		world_error(w, "more frames than one look at the space allows");
	if (packet > (size_t)ETH_HDRLEN + w->conf.mtu || len > NET_MAXFRAME)
		world_error(w, "a frame of %zu bytes", len);
	w->used = off + len;
}

static void
hook_push(void *arg, size_t off, size_t len)
{
	struct world *w = arg;
	struct frame *f = frame_new(w, w->space + off, len);

	pushed(w, off, len, len);
	TAILQ_INSERT_TAIL(&w->out, f, link);
}

static void
push_cut(struct world *w, const uint8_t *frame, const struct vnet *v)
{
	struct vnet_cut c;
	struct frame *f;

	vnet_cut(&c, v, frame);
	while (!c.over) {
		f = frame_new(w, NULL, v->hdrlen + v->seg);
		f->len = vnet_cut_next(&c, f->data, f->len);
		TAILQ_INSERT_TAIL(&w->out, f, link);
	}
}

/* The header must be one that passes, and mean what was asked for. */
static void
hook_push_vnet(void *arg, size_t off, size_t len, const struct vnet *in)
{
	struct world *w = arg;
	struct frame *f = frame_new(w, NULL, VNET_HDRLEN + len);
	struct vnet v;
	struct rd r;

	memcpy(f->data + VNET_HDRLEN, w->space + off, len);
	vnet_write(f->data, in);
	r = rd_init(f->data, f->len);
	if (!w->vnet || vnet_read(&r, &v) == -1 || !v.plain || !v.sum ||
	    v.seg != in->seg)
		world_error(w, "a wrong vnet header");
	pushed(w, off, len, v.seg > 0 ? (size_t)v.hdrlen + v.seg : len);
	f->len = len;
	f->seg = v.seg;
	memmove(f->data, f->data + VNET_HDRLEN, len);
	if (w->cut && v.seg > 0) {
		push_cut(w, f->data, &v);
		free(f);
		return;
	}
	/* An open sum that was begun wrongly does not come out right. */
	vnet_complete(f->data, len, &v);
	TAILQ_INSERT_TAIL(&w->out, f, link);
}

static void
hook_open(void *arg, const struct net_open *o)
{
	struct world *w = arg;
	struct host *h = &w->host[o->id % WORLD_NSOCK];
	unsigned asks = h->asks;

	if (h->closed || h->ask.id != o->id || h->ask.sport != o->sport)
		asks = 0;
	memset(h, 0, sizeof(*h));
	h->asked = true;
	h->asks = asks + 1;
	h->ask = *o;
}

static void
hook_close(void *arg, uint32_t id, bool reset)
{
	struct world *w = arg;
	const struct flow *f = flow_get(w->net, id);
	struct host *h;

	/* UDP also closes what it has not been able to ask for. */
	if (f != NULL && f->proto != NET_TCP && w->host[id].closed)
		return;
	h = host_of(w, id);
	h->closed = true;
	h->reset = reset;
	h->open = false;
}

static ssize_t
hook_peek(void *arg, uint32_t id, size_t off, const struct iovec *iov, int n)
{
	struct world *w = arg;
	struct host *h = host_of(w, id);
	uint64_t at = h->consumed + off, from = at;
	size_t k;
	int i;

	if (at > h->sent)
		world_error(w, "a peek beyond the stream's end");
	for (i = 0; i < n && at < h->sent; i++, at += k) {
		k = h->sent - at < iov[i].iov_len ? h->sent - at
						  : iov[i].iov_len;
		world_host_fill(iov[i].iov_base, k, at);
	}
	if (at > from)
		return (ssize_t)(at - from);
	if (h->eof)
		return 0;
	errno = EAGAIN;
	return -1;
}

static void
hook_consume(void *arg, uint32_t id, size_t n)
{
	struct world *w = arg;
	struct host *h = host_of(w, id);

	h->consumed += n;
	if (h->consumed > h->sent)
		world_error(w, "more consumed than there is");
}

static void
hook_hold(void *arg, uint32_t id, size_t n)
{
	struct world *w = arg;

	host_of(w, id)->hold = n;
}

/* Takes what there is room for; whether it is what the guest's program sent. */
static size_t
take(struct world *w, struct host *h, const uint8_t *p, size_t len)
{
	size_t n, done;

	if (h->bounded && len > h->room)
		len = h->room;
	h->room -= h->bounded ? len : 0;
	for (done = 0; done < len; done += n) {
		n = line_left(h->written, len - done);
		if (!w->blind &&
		    memcmp(p + done,
			line_from(&guest_line, h->written, world_guest_byte),
			n) != 0)
			world_error(w, "bytes written at %llu are wrong",
			    (unsigned long long)h->written);
		h->written += n;
	}
	return len;
}

static ssize_t
hook_write(void *arg, uint32_t id, const struct iovec *iov, int n)
{
	struct world *w = arg;
	struct host *h = host_of(w, id);
	uint64_t from = h->written;
	int i;

	if (h->shut)
		world_error(w, "a write after the shutdown");
	for (i = 0; i < n && h->write_error == 0; i++) {
		if (take(w, h, iov[i].iov_base, iov[i].iov_len) <
		    iov[i].iov_len)
			break;
	}
	if (h->written > from)
		return (ssize_t)(h->written - from);
	errno = h->write_error != 0 ? h->write_error : EAGAIN;
	return -1;
}

static void
hook_shutdown(void *arg, uint32_t id)
{
	struct host *h = host_of(arg, id);

	if (h->shut)
		world_error(arg, "a second shutdown");
	h->shut = true;
}

static size_t
hook_room(void *arg, uint32_t id)
{
	struct host *h = host_of(arg, id);

	return h->bounded ? h->room : WORLD_SPACE;
}

/* An echo reply, behind its IP header on a raw socket. */
static void
echo_get(const struct host *h, struct net_dgram *d)
{
	uint8_t *p = d->iov[0].iov_base;
	size_t head = h->raw ? IP4_HDRLEN : 0, len = 8 + h->dgram_len;
	uint16_t sum;

	if (head + len > d->iov[0].iov_len)
		len = d->iov[0].iov_len - head;
	memset(p, 0, head + len);
	if (h->raw) {
		p[0] = 0x45;
		p[8] = h->dgram_ttl;
	}
	put_u16(p + head + 4, h->echo_id);
	put_u16(p + head + 6, h->dgram_port);
	world_dgram_fill(p + head + 8, len - 8, 0);
	sum = cksum_finish(cksum_add(0, p + head, len));
	memcpy(p + head + 2, &sum, sizeof(sum));
	d->len = head + len;
	d->addr = h->dgram_src;
	d->ttl = h->raw ? 0 : h->dgram_ttl;
}

/* One of those that wait, cut to what d has room for. */
static void
dgram_get(const struct world *w, const struct host *h, struct net_dgram *d)
{
	size_t i, left, done = 0, head = h->ask.proto == NET_DNS ? 8 : 0;
	uint8_t prefix[8] = { 0 };
	uint8_t *p;

	if (h->ask.proto == NET_ICMP) {
		echo_get(h, d);
		return;
	}
	put_u32(prefix, w->conf.guest_ip);
	put_u16(prefix + 4, h->dgram_port);
	put_u16(prefix + 6, (uint16_t)h->dgram_len);
	for (i = 0; i < (size_t)d->niov; i++) {
		p = d->iov[i].iov_base;
		left = d->iov[i].iov_len;
		for (; left > 0 && done < head; left--)
			*p++ = prefix[done++];
		if (left > head + h->dgram_len - done)
			left = head + h->dgram_len - done;
		world_dgram_fill(p, left, done - head);
		done += left;
	}
	d->len = done;
	d->addr = h->dgram_src;
	d->port = h->dgram_port;
}

static int
hook_recv(void *arg, uint32_t id, struct net_dgram *d, int n)
{
	struct world *w = arg;
	struct host *h = host_of(w, id);
	int i;

	errno = h->recv_error;
	h->recv_error = 0;
	if (errno != 0)
		return -1;
	for (i = 0; i < n && h->dgrams > 0; i++, h->dgrams--)
		dgram_get(w, h, &d[i]);
	errno = EAGAIN;
	return i > 0 ? i : -1;
}

/* An echo request: whole, with the identifier it is to have outside. */
static void
echo_put(struct world *w, const struct host *h, const struct net_dgram *d)
{
	uint32_t sum = 0;
	const uint8_t *head = d->iov[0].iov_base;

	if (d->niov != 2 || d->iov[0].iov_len != 8 || head[0] != 8 ||
	    head[1] != 0 || (head[4] << 8 | head[5]) != h->echo_id)
		world_error(w, "what is sent is no echo request");
	sum = cksum_add(sum, head, 8);
	sum = cksum_add(sum, d->iov[1].iov_base, d->iov[1].iov_len);
	if (cksum_finish(sum) != 0)
		world_error(w, "an echo request with a wrong checksum");
}

static void
dgram_put(struct world *w, const struct host *h, const struct net_dgram *d)
{
	size_t skip = h->ask.proto == NET_DNS ? 8 : 0, at = 0, k;
	int i;

	if (h->ask.proto == NET_ICMP) {
		echo_put(w, h, d);
		return;
	}
	for (i = 0; i < d->niov && !w->blind; i++) {
		k = skip < d->iov[i].iov_len ? skip : d->iov[i].iov_len;
		skip -= k;
		if (memcmp((const uint8_t *)d->iov[i].iov_base + k,
			dgram_bytes() + at, d->iov[i].iov_len - k) != 0)
			world_error(w, "what is sent is wrong");
		at += d->iov[i].iov_len - k;
	}
}

static size_t
dgram_len(const struct net_dgram *d)
{
	return d->iov[0].iov_len + (d->niov > 1 ? d->iov[1].iov_len : 0);
}

/* A packet that may not be cut, on a path too narrow for it. */
static bool
too_big(const struct host *h, const struct net_dgram *d)
{
	size_t head = h->ask.proto == NET_ICMP ? 20 : 28;

	return d->df && dgram_len(d) + head > h->mtu;
}

static void
sent_keep(struct host *h, const struct net_dgram *d)
{
	size_t n, at = 0;
	int i;

	h->sent_len = dgram_len(d);
	for (i = 0; i < d->niov && at < sizeof(h->sent_data); i++, at += n) {
		n = d->iov[i].iov_len;
		if (n > sizeof(h->sent_data) - at)
			n = sizeof(h->sent_data) - at;
		if (n > 0)
			memcpy(h->sent_data + at, d->iov[i].iov_base, n);
	}
}

static int
hook_send(void *arg, uint32_t id, const struct net_dgram *d, int n)
{
	struct world *w = arg;
	struct host *h = host_of(w, id);
	int i;

	for (i = 0; i < n && h->write_error == 0; i++) {
		if (h->bounded && h->room == 0)
			break;
		if (h->mtu > 0 && too_big(h, &d[i])) {
			errno = EMSGSIZE;
			return i > 0 ? i : -1;
		}
		dgram_put(w, h, &d[i]);
		h->room -= h->bounded;
		h->sent_dgrams++;
		sent_keep(h, &d[i]);
		h->sent_ttl = d[i].ttl;
		h->sent_tos = d[i].tos;
		h->sent_df = d[i].df;
	}
	errno = h->write_error != 0 ? h->write_error : EAGAIN;
	return i > 0 ? i : -1;
}

static bool
hook_error(void *arg, uint32_t id, struct net_hosterr *e)
{
	struct host *h = host_of(arg, id);

	if (h->nerr == 0)
		return false;
	*e = h->err[0];
	memmove(&h->err[0], &h->err[1], sizeof(h->err[0]) * (size_t)--h->nerr);
	return true;
}

static size_t
hook_mtu(void *arg, uint32_t id)
{
	return host_of(arg, id)->mtu;
}

/* xorshift; no test depends on the values. */
static uint32_t
hook_random(void *arg)
{
	struct world *w = arg;

	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 17;
	w->seed ^= w->seed << 5;
	return w->seed;
}

static const struct net_hooks hooks = {
	.space = hook_space,
	.push = hook_push,
	.push_vnet = hook_push_vnet,
	.open = hook_open,
	.close = hook_close,
	.peek = hook_peek,
	.consume = hook_consume,
	.hold = hook_hold,
	.write = hook_write,
	.shutdown = hook_shutdown,
	.room = hook_room,
	.recv = hook_recv,
	.send = hook_send,
	.error = hook_error,
	.mtu = hook_mtu,
	.random = hook_random,
};

void
world_init(struct world *w)
{
	static const struct net_conf conf = {
		.guest_mac = { 2, 0, 0, 0, 0, 1 },
		.server_mac = { 2, 0, 0, 0, 0, 2 },
		.guest_ip = 0xc0a84103,	  /* 192.168.65.3 */
		.gateway_ip = 0xc0a84101, /* .1 */
		.host_ip = 0xc0a84102,	  /* .2 */
		.highest_ip = 0xc0a841fe,
		.mtu = 1500,
		.max_flows = WORLD_NSOCK,
		.max_queue = 4u << 20,
	};

	memset(w, 0, offsetof(struct world, space));
	w->conf = conf;
	w->now = 1000 * USEC_SEC;
	w->seed = 2463534242;
	w->room = sizeof(w->space);
	TAILQ_INIT(&w->out);
	TAILQ_INIT(&w->held);
}

int
world_start(struct world *w)
{
	w->net = net_new(&w->conf, &hooks, w, w->stat);
	if (w->net == NULL)
		return -1;
	net_set_vnet(w->net, w->vnet);
	net_server_ready(w->net, w->now, NET_PORTD);
	net_server_ready(w->net, w->now, NET_DNSD);
	return 0;
}

static void
drop_all(struct frame_list *list)
{
	struct frame *f;

	while ((f = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, f, link);
		free(f);
	}
}

void
world_fini(struct world *w)
{
	net_free(w->net);
	drop_all(&w->out);
	drop_all(&w->held);
}

static void
put_headers(const struct world *w, uint8_t *p, uint32_t dst, size_t len)
{
	uint16_t sum;

	memcpy(p, w->conf.server_mac, 6);
	memcpy(p + 6, w->conf.guest_mac, 6);
	put_u16(p + 12, 0x0800);
	p += ETH_HDRLEN;
	memset(p, 0, IP4_HDRLEN);
	p[0] = 0x45;
	put_u16(p + 2, (uint16_t)(IP4_HDRLEN + len));
	put_u16(p + 6, IP4_DF);
	p[8] = IP4_TTL;
	p[9] = IPPROTO4_TCP;
	put_u32(p + 12, w->conf.guest_ip);
	put_u32(p + 16, dst);
	sum = cksum_finish(cksum_add(0, p, IP4_HDRLEN));
	memcpy(p + 10, &sum, sizeof(sum));
}

void
world_input(struct world *w, uint32_t dst, const struct tcp_seg *s, size_t len,
    uint64_t first, bool badsum)
{
	size_t hdrlen = tcp_hdrlen(s);
	struct frame *f = malloc(sizeof(*f) + FRAME_HDRLEN + hdrlen + len);
	uint8_t *tcp;
	uint32_t sum;
	uint16_t field;

	if (f == NULL)
		abort();
	f->len = FRAME_HDRLEN + hdrlen + len;
	put_headers(w, f->data, dst, hdrlen + len);
	tcp = f->data + FRAME_HDRLEN;
	tcp_write(tcp, s);
	stream_fill(tcp + hdrlen, len, first, &guest_line, world_guest_byte);
	sum = cksum_pseudo(w->conf.guest_ip, dst, IPPROTO4_TCP, hdrlen + len);
	field = cksum_finish(cksum_add(sum, tcp, hdrlen + len));
	field ^= badsum;
	if (w->vnet && !badsum)
		field = (uint16_t)~cksum_finish(sum); /* left open */
	memcpy(tcp + TCP_SUM_OFF, &field, sizeof(field));
	TAILQ_INSERT_TAIL(&w->held, f, link);
	if (w->vnet && !badsum)
		net_input_open(w->net, w->now, f->data, f->len);
	else
		net_input(w->net, w->now, f->data, f->len);
}

void
world_frame(struct world *w, const void *p, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (f == NULL)
		abort();
	f->len = len;
	memcpy(f->data, p, len);
	TAILQ_INSERT_TAIL(&w->held, f, link);
	net_input(w->net, w->now, f->data, len);
}

void
world_flush(struct world *w)
{
	net_flush(w->net, w->now);
	drop_all(&w->held);
}

void
world_advance(struct world *w, usec_t to)
{
	usec_t at;

	while ((at = net_deadline(w->net)) <= to) {
		if (at > w->now)
			w->now = at;
		net_tick(w->net, w->now);
	}
	w->now = to;
}

struct frame *
world_take(struct world *w)
{
	struct frame *f = TAILQ_FIRST(&w->out);

	if (f != NULL)
		TAILQ_REMOVE(&w->out, f, link);
	return f;
}
