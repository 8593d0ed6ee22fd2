#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nettest.h"

#define CHAN_CAP ((size_t)1 << 20)

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static uint16_t
get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint16_t
nt_cksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t
pseudo(uint32_t src, uint32_t dst, uint8_t proto, size_t len)
{
	return (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) +
	       proto + (uint32_t)len;
}

static uint8_t *
copy_of(const void *p, size_t len)
{
	uint8_t *c = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(c);
	if (len > 0)
		memcpy(c, p, len);
	return c;
}

static void
list_add(struct nt_list *l, const struct nt_dgram *d)
{
	ck_assert_uint_lt(l->n, NT_DGRAMS);
	l->d[l->n] = *d;
	l->d[l->n].p = copy_of(d->p, d->len);
	l->n++;
}

static void
list_free(struct nt_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->d[i].p);
	l->first = l->n = 0;
}

/* Hooks. */

static uint8_t *
hook_space(void *arg, size_t *len)
{
	struct nettest *t = arg;

	t->chan_base = t->chan_used;
	*len = t->chan_cap - t->chan_used;
	return t->chan + t->chan_used;
}

/* Offsets count from the last look at the space, and only grow. */
static void
hook_push(void *arg, size_t off, size_t len)
{
	struct nettest *t = arg;
	size_t pos = t->chan_base + off;

	ck_assert_uint_ge(len, ETH_HDRLEN);
	ck_assert_uint_le(len, t->conf.mtu + ETH_HDRLEN);
	ck_assert_uint_ge(pos, t->chan_used);
	ck_assert_uint_le(pos + len, t->chan_cap);
	ck_assert_uint_lt(t->nframe, NT_FRAMES);
	t->frame[t->nframe++] =
	    (struct nt_dgram){ .p = copy_of(t->chan + pos, len), .len = len };
	t->chan_used = pos + len;
}

/* As it would come out of the guest's kernel; the space is used up. */
static void
hook_push_vnet(void *arg, size_t off, size_t len, const struct vnet *v)
{
	struct nettest *t = arg;
	uint8_t *frame = t->chan + t->chan_base + off, one[2048];
	struct vnet_cut c;
	size_t n;

	ck_assert(v->sum && v->plain && v->seg > 0);
	ck_assert_uint_eq(v->hdrlen + v->plen, len);
	ck_assert_uint_lt(v->seg, v->plen);
	vnet_cut(&c, v, frame);
	while ((n = vnet_cut_next(&c, one, sizeof(one))) > 0) {
		ck_assert_uint_le(n, t->conf.mtu + ETH_HDRLEN);
		ck_assert_uint_lt(t->nframe, NT_FRAMES);
		t->frame[t->nframe++] =
		    (struct nt_dgram){ .p = copy_of(one, n),
			    .len = n,
			    .id = c.n - 1u };
	}
	ck_assert(c.over);
	t->chan_used = t->chan_base + off + len;
	t->nlarge++;
}

static void
hook_open(void *arg, const struct net_open *o)
{
	struct nettest *t = arg;

	ck_assert_uint_lt(o->id, NT_SOCKS);
	ck_assert(!t->sock[o->id].asked);
	t->sock[o->id].asked = true;
	t->sock[o->id].open = *o;
	t->last_open = *o;
	t->nopen++;
}

static void
hook_close(void *arg, uint32_t id, bool reset)
{
	struct nettest *t = arg;
	struct nt_sock *s = &t->sock[id];

	ck_assert_uint_lt(id, NT_SOCKS);
	s->asked = false;
	s->send_error = s->recv_error = s->nerr = 0;
	list_free(&s->in);
	t->nclose++;
}

static size_t
scatter(const uint8_t *p, size_t len, const struct iovec *iov, int n)
{
	size_t part, done = 0;
	int i;

	for (i = 0; i < n && done < len; i++) {
		part = len - done;
		if (part > iov[i].iov_len)
			part = iov[i].iov_len;
		memcpy(iov[i].iov_base, p + done, part);
		done += part;
	}
	return done;
}

static int
hook_recv(void *arg, uint32_t id, struct net_dgram *d, int n)
{
	struct nettest *t = arg;
	struct nt_sock *s = &t->sock[id];
	const struct nt_dgram *in;
	int i;

	ck_assert(s->asked);
	if (s->recv_error != 0) {
		errno = s->recv_error;
		s->recv_error = 0;
		return -1;
	}
	for (i = 0; i < n && s->in.first < s->in.n; i++) {
		in = &s->in.d[s->in.first++];
		d[i].len = scatter(in->p, in->len, d[i].iov, d[i].niov);
		d[i].addr = in->addr;
		d[i].port = in->port;
		d[i].ttl = in->ttl;
	}
	errno = EAGAIN;
	return i > 0 ? i : -1;
}

static int
hook_send(void *arg, uint32_t id, const struct net_dgram *d, int n)
{
	struct nettest *t = arg;
	struct nt_sock *s = &t->sock[id];
	uint8_t buf[65536];
	struct nt_dgram out = { .p = buf, .id = id, .call = t->nsend++ };
	int i, k;

	ck_assert(s->asked);
	if (s->send_error != 0) {
		errno = s->send_error;
		s->send_error = 0;
		return -1;
	}
	for (i = 0; i < n && t->send_room != 0; i++) {
		out.len = 0;
		out.ttl = d[i].ttl;
		out.tos = d[i].tos;
		out.df = d[i].df;
		for (k = 0; k < d[i].niov; k++) {
			if (d[i].iov[k].iov_len > 0)
				memcpy(buf + out.len, d[i].iov[k].iov_base,
				    d[i].iov[k].iov_len);
			out.len += d[i].iov[k].iov_len;
		}
		list_add(t->sent, &out);
		if (t->send_room > 0)
			t->send_room--;
	}
	errno = EAGAIN;
	return i > 0 ? i : -1;
}

static bool
hook_error(void *arg, uint32_t id, struct net_hosterr *e)
{
	struct nettest *t = arg;
	struct nt_sock *s = &t->sock[id];

	ck_assert(s->asked);
	if (s->nerr == 0)
		return false;
	*e = s->err[0];
	memmove(&s->err[0], &s->err[1], sizeof(s->err[0]) * (size_t)--s->nerr);
	return true;
}

static size_t
hook_mtu(void *arg, uint32_t id)
{
	struct nettest *t = arg;

	return t->sock[id].mtu;
}

static uint32_t
hook_random(void *arg)
{
	struct nettest *t = arg;

	t->seed = t->seed * 1664525 + 1013904223;
	return t->seed;
}

static const struct net_hooks hooks = {
	.space = hook_space,
	.push = hook_push,
	.push_vnet = hook_push_vnet,
	.open = hook_open,
	.close = hook_close,
	.recv = hook_recv,
	.send = hook_send,
	.error = hook_error,
	.mtu = hook_mtu,
	.random = hook_random,
};

void
nt_conf(struct nettest *t)
{
	static const uint8_t guest[6] = { 2, 0x50, 0, 0, 0, 1 };
	static const uint8_t server[6] = { 0xf6, 0x16, 0x36, 0xbc, 0xf9, 0xc6 };

	memset(t, 0, sizeof(*t));
	memcpy(t->conf.guest_mac, guest, 6);
	memcpy(t->conf.server_mac, server, 6);
	t->conf.guest_ip = NT_GUEST;
	t->conf.gateway_ip = NT_GATEWAY;
	t->conf.host_ip = NT_HOST;
	t->conf.highest_ip = 0xc0a841fe;
	t->conf.mtu = 1500;
	t->conf.max_flows = NT_SOCKS;
	t->conf.max_queue = 1 << 20;
	t->now = 1000 * USEC_SEC;
	t->chan_cap = CHAN_CAP;
	t->send_room = -1;
}

void
nt_start(struct nettest *t)
{
	t->chan = malloc(CHAN_CAP);
	t->sock = calloc(NT_SOCKS, sizeof(*t->sock));
	t->sent = calloc(1, sizeof(*t->sent));
	ck_assert(t->chan != NULL && t->sock != NULL && t->sent != NULL);
	t->net = net_new(&t->conf, &hooks, t, t->stat);
	ck_assert_ptr_nonnull(t->net);
	net_server_ready(t->net, t->now, NET_PORTD);
	net_server_ready(t->net, t->now, NET_DNSD);
}

void
nt_init(struct nettest *t)
{
	nt_conf(t);
	nt_start(t);
}

void
nt_fini(struct nettest *t)
{
	size_t i;

	nt_flush(t);
	net_free(t->net);
	for (i = 0; i < NT_SOCKS; i++)
		ck_assert(!t->sock[i].asked);
	ck_assert_uint_eq(t->stat[NETS_UDP_FLOWS], 0);
	for (i = 0; i < t->nframe; i++)
		free(t->frame[i].p);
	list_free(t->sent);
	free(t->sent);
	free(t->sock);
	free(t->chan);
}

/* Frames. */

/* At its exact size on the heap, so that reading past its end is seen. */
void
nt_frame(struct nettest *t, const void *p, size_t len)
{
	nt_credit(t);
	ck_assert_uint_lt(t->nkept, NT_FRAMES);
	t->kept[t->nkept] = copy_of(p, len);
	net_input(t->net, t->now, t->kept[t->nkept++], len);
}

void
nt_flush(struct nettest *t)
{
	nt_credit(t);
	net_flush(t->net, t->now);
	while (t->nkept > 0)
		free(t->kept[--t->nkept]);
}

void
nt_resum(uint8_t *frame)
{
	uint8_t *p = frame + ETH_HDRLEN;

	put_u16(p + 10, 0);
	put_u16(p + 10, nt_cksum(p, (size_t)(p[0] & 15) * 4, 0));
}

size_t
nt_build(const struct nettest *t, uint8_t *f, uint32_t src, uint32_t dst,
    uint8_t proto, const void *payload, size_t len)
{
	uint8_t *p = f + ETH_HDRLEN;

	memcpy(f, t->conf.server_mac, 6);
	memcpy(f + 6, t->conf.guest_mac, 6);
	put_u16(f + 12, 0x0800);
	memset(p, 0, IP4_HDRLEN);
	p[0] = 0x45;
	put_u16(p + 2, (uint16_t)(IP4_HDRLEN + len));
	put_u16(p + 4, 0x1234);
	p[8] = 64;
	p[9] = proto;
	put_u32(p + 12, src);
	put_u32(p + 16, dst);
	nt_resum(f);
	if (len > 0)
		memcpy(p + IP4_HDRLEN, payload, len);
	return FRAME_HDRLEN + len;
}

size_t
nt_build_udp(const struct nettest *t, uint8_t *f, uint16_t sport, uint32_t dst,
    uint16_t dport, const void *data, size_t len)
{
	uint8_t *udp = f + FRAME_HDRLEN;
	uint16_t sum;

	if (len > 0)
		memcpy(udp + 8, data, len);
	put_u16(udp, sport);
	put_u16(udp + 2, dport);
	put_u16(udp + 4, (uint16_t)(8 + len));
	put_u16(udp + 6, 0);
	sum = nt_cksum(
	    udp, 8 + len, pseudo(NT_GUEST, dst, IPPROTO4_UDP, 8 + len));
	put_u16(udp + 6, sum != 0 ? sum : 0xffff);
	(void)nt_build(t, f, NT_GUEST, dst, IPPROTO4_UDP, NULL, 0);
	put_u16(f + ETH_HDRLEN + 2, (uint16_t)(IP4_HDRLEN + 8 + len));
	nt_resum(f);
	return FRAME_HDRLEN + 8 + len;
}

void
nt_ip(struct nettest *t, uint32_t dst, uint8_t proto, const void *p, size_t len)
{
	uint8_t f[NET_MAXFRAME + 64];

	nt_frame(t, f, nt_build(t, f, NT_GUEST, dst, proto, p, len));
}

void
nt_udp(struct nettest *t, uint16_t sport, uint32_t dst, uint16_t dport,
    const void *p, size_t len)
{
	uint8_t f[NET_MAXFRAME + 64];

	nt_frame(t, f, nt_build_udp(t, f, sport, dst, dport, p, len));
}

void
nt_wait(struct nettest *t, usec_t d)
{
	usec_t end = t->now + d;

	while (net_deadline(t->net) <= end) {
		if (net_deadline(t->net) > t->now)
			t->now = net_deadline(t->net);
		net_tick(t->net, t->now);
	}
	t->now = end;
}

/* What came out. */

void
nt_credit(struct nettest *t)
{
	if (!t->chan_stuck)
		t->chan_used = 0;
}

const struct nt_dgram *
nt_next(struct nettest *t)
{
	return t->frame_first < t->nframe ? &t->frame[t->frame_first++] : NULL;
}

void
nt_none(struct nettest *t)
{
	ck_assert_uint_eq(t->frame_first, t->nframe);
}

static void
parse_udp(struct nt_pkt *k)
{
	ck_assert_uint_ge(k->len, 8);
	ck_assert_uint_eq(get_u16(k->p + 4), k->len);
	ck_assert_uint_ne(get_u16(k->p + 6), 0);
	ck_assert_uint_eq(
	    nt_cksum(k->p, k->len, pseudo(k->src, k->dst, k->proto, k->len)),
	    0);
	k->sport = get_u16(k->p);
	k->dport = get_u16(k->p + 2);
	k->data = k->p + 8;
	k->datalen = k->len - 8;
}

void
nt_pkt(struct nettest *t, struct nt_pkt *k)
{
	const struct nt_dgram *f = nt_next(t);
	const uint8_t *p;

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_ge(f->len, FRAME_HDRLEN);
	ck_assert_mem_eq(f->p + 6, t->conf.server_mac, 6);
	ck_assert_uint_eq(get_u16(f->p + 12), 0x0800);
	memset(k, 0, sizeof(*k));
	memcpy(k->eth_dst, f->p, 6);
	p = f->p + ETH_HDRLEN;
	ck_assert_uint_eq(p[0], 0x45);
	ck_assert_uint_eq(get_u16(p + 2), f->len - ETH_HDRLEN);
	ck_assert_uint_eq(nt_cksum(p, IP4_HDRLEN, 0), 0);
	k->tos = p[1];
	k->id = get_u16(p + 4);
	k->frag = get_u16(p + 6);
	k->ttl = p[8];
	k->proto = p[9];
	k->src = get_u32(p + 12);
	k->dst = get_u32(p + 16);
	k->p = p + IP4_HDRLEN;
	k->len = f->len - FRAME_HDRLEN;
	if (k->frag != 0 && k->frag != IP4_DF)
		return;
	ck_assert_uint_eq(k->id, f->id);
	if (k->proto == IPPROTO4_UDP)
		parse_udp(k);
	if (k->proto == IPPROTO4_ICMP)
		ck_assert_uint_eq(nt_cksum(k->p, k->len, 0), 0);
}

void
nt_unreachable(struct nettest *t, uint8_t code, uint32_t src)
{
	struct nt_pkt k;

	nt_pkt(t, &k);
	ck_assert_uint_eq(k.proto, IPPROTO4_ICMP);
	ck_assert_uint_eq(k.src, src);
	ck_assert_uint_eq(k.dst, NT_GUEST);
	ck_assert_uint_eq(k.p[0], 3);
	ck_assert_uint_eq(k.p[1], code);
}

/* The host. */

uint32_t
nt_id(const struct nettest *t, enum net_proto proto, uint16_t sport,
    uint32_t dst, uint16_t dport)
{
	const struct net_open *o;
	uint32_t i;

	for (i = 0; i < NT_SOCKS; i++) {
		o = &t->sock[i].open;
		if (t->sock[i].asked && o->proto == proto &&
		    o->sport == sport && o->dst == dst && o->dport == dport)
			return i;
	}
	ck_abort_msg("no socket was asked for");
	return 0;
}

void
nt_opened(struct nettest *t, uint32_t id)
{
	nt_credit(t);
	net_opened(t->net, t->now, id, true);
}

void
nt_arrive(struct nettest *t, uint32_t id, uint32_t addr, uint16_t port,
    const void *p, size_t len)
{
	struct nt_dgram d = { .p = (uint8_t *)(uintptr_t)p,
		.len = len,
		.addr = addr,
		.port = port };

	ck_assert(t->sock[id].asked);
	list_add(&t->sock[id].in, &d);
}

void
nt_readable(struct nettest *t, uint32_t id)
{
	nt_credit(t);
	net_readable(t->net, t->now, id);
}

const struct nt_dgram *
nt_sent(struct nettest *t)
{
	return t->sent->first < t->sent->n ? &t->sent->d[t->sent->first++]
					   : NULL;
}
