/*
 * UDP from the host to the guest.
 *
 * Datagrams are received many at a time, each straight into the place in the
 * channel where its frame will be, with room for the headers before it.  The
 * places are small, as most datagrams are; what does not fit in one goes on in
 * a spill area.  From the first that did, the rest of that batch is taken
 * aside and sent from there, in fragments where the MTU asks for it, and the
 * flow's next batches get larger places.
 *
 * While the channel is full nothing is read: the host's own queue is the one
 * that drops.
 */

#include <errno.h>
#include <string.h>

#include "netstackd/core/udp.h"

/*
 * Errors, or batches of nothing that the guest may see, in a row: then the
 * socket is left alone until more comes.  They take no space in the channel,
 * so who sends them without end would keep us here.
 */
#define RECV_ERRORS 8

#define UDP_ANSWERS 32 /* of dnsd's, looked at together */
#define UDP_SUM_OFF 6

/* A batch as it lies in the channel. */
struct places {
	uint8_t *base;
	size_t pitch;
	size_t head; /* before the received bytes */
	int n;
};

/* One datagram, where it is and as the guest is to see it. */
struct arrival {
	uint32_t src;
	uint16_t sport, dport;
	uint8_t *p;
	size_t len;
};

static size_t
small_packet(const struct net *net)
{
	return net->conf.mtu < UDP_SLOT ? net->conf.mtu : UDP_SLOT;
}

static uint8_t *
spill_of(const struct net *net, int i)
{
	return net->udp->spill + (size_t)i * UDP_SPILL;
}

/*
 * Lays out as many places as the channel has.  The first bytes of a spill slot
 * stay free for what the place holds, so that both are one piece there.
 */
static void
places_init(
    struct net *net, const struct udp_flow *u, struct places *pl, size_t room)
{
	size_t n, cap;
	struct net_dgram *d;
	int i;

	pl->pitch = ETH_HDRLEN + (u->big ? net->conf.mtu : small_packet(net));
	n = room / (u->big ? net->udp->room_min : pl->pitch);
	pl->n = n < UDP_BATCH ? (int)n : UDP_BATCH;
	pl->head = UDP_OVERHEAD;
	cap = pl->pitch - pl->head;
	for (i = 0; i < pl->n; i++) {
		d = &net->udp->d[i];
		*d = (struct net_dgram){ .niov = 2 };
		d->iov[0] =
		    (struct iovec){ pl->base + (size_t)i * pl->pitch + pl->head,
			    cap };
		d->iov[1] =
		    (struct iovec){ spill_of(net, i) + cap, UDP_SPILL - cap };
	}
}

/*
 * A bind receives from anybody.  The host's loopback is shown as the host, and
 * nobody else may look like an address of this network: a neighbour of the
 * host could otherwise answer the guest in the gateway's name.
 */
static int
arrival_of_bind(
    const struct net *net, const struct net_dgram *d, struct arrival *a)
{
	a->src = d->addr;
	a->sport = d->port;
	if (d->addr == 0x7f000001 && net->conf.host_ip != 0)
		a->src = net->conf.host_ip;
	else if (ip4_classify(net, d->addr) != DST_REMOTE)
		return -1;
	return 0;
}

/* Where a datagram is from and for whom; -1: not for the guest. */
static int
arrival_init(const struct net *net, const struct udp_flow *u,
    const struct net_dgram *d, uint8_t *p, struct arrival *a)
{
	*a =
	    (struct arrival){ .p = p, .len = d->len, .dport = u->f.guest_port };
	if (u->f.proto == NET_UDP_BIND) {
		if (arrival_of_bind(net, d, a) == -1)
			return -1;
	} else {
		a->src = u->f.host_ip;
		a->sport = u->f.host_port;
	}
	return a->len <= UDP_MAXLEN ? 0 : -1;
}

/* The header, for a payload that lies anywhere. */
static void
udp_header(const struct net *net, const struct arrival *a, uint8_t *h)
{
	size_t len = UDP_HDRLEN + a->len;
	uint32_t s;
	uint16_t sum;

	put_u16(h, a->sport);
	put_u16(h + 2, a->dport);
	put_u16(h + 4, (uint16_t)len);
	put_u16(h + 6, 0);
	s = cksum_pseudo(a->src, net->conf.guest_ip, IPPROTO4_UDP, len);
	s = cksum_add(s, h, UDP_HDRLEN);
	sum = cksum_finish(cksum_add(s, a->p, a->len));
	if (sum == 0)
		sum = 0xffff; /* 0 would mean that there is none */
	memcpy(h + 6, &sum, sizeof(sum));
}

/* Publishes a datagram in its place. */
static void
arrival_push(
    struct net *net, const struct arrival *a, const struct places *pl, int i)
{
	size_t off = (size_t)i * pl->pitch;
	uint8_t *frame = pl->base + off;

	udp_header(net, a, frame + FRAME_HDRLEN);
	ip4_header(
	    net, frame, a->src, IPPROTO4_UDP, UDP_HDRLEN + a->len, 0, false);
	ip4_push(net, off, UDP_OVERHEAD + a->len);
	stat_inc(net, NETS_UDP_TX);
}

/* Sends a datagram from where it is aside. */
static void
arrival_send(struct net *net, const struct arrival *a)
{
	uint8_t h[UDP_HDRLEN];
	struct iovec iov[2] = { { h, sizeof(h) }, { a->p, a->len } };

	udp_header(net, a, h);
	if (ip4_sendv(net, a->src, IPPROTO4_UDP, iov, 2, 0, false) == 0)
		stat_inc(net, NETS_UDP_TX);
}

/* Completes the spill slots of [i, n) with what their places hold. */
static void
take_aside(struct net *net, int i, int n)
{
	const struct net_dgram *d;
	size_t len;

	for (; i < n; i++) {
		d = &net->udp->d[i];
		len = d->len < d->iov[0].iov_len ? d->len : d->iov[0].iov_len;
		memcpy(spill_of(net, i), d->iov[0].iov_base, len);
	}
}

/* Whether the guest got any of it. */
static bool
deliver(struct net *net, struct udp_flow *u, const struct places *pl, int n)
{
	bool aside = false, big = false, any = false;
	const struct net_dgram *d;
	struct arrival a;
	uint8_t *p;
	int i;

	for (i = 0; i < n; i++) {
		d = &net->udp->d[i];
		if (!aside && d->len > d->iov[0].iov_len) {
			aside = true;
			take_aside(net, i, n);
		}
		if (d->len + UDP_OVERHEAD - ETH_HDRLEN > small_packet(net))
			big = true;
		p = aside ? spill_of(net, i) : d->iov[0].iov_base;
		if (arrival_init(net, u, d, p, &a) == -1) {
			stat_inc(net, NETS_UDP_BADPEER);
			continue;
		}
		any = true;
		if (aside)
			arrival_send(net, &a);
		else
			arrival_push(net, &a, pl, i);
	}
	u->big = big;
	return any;
}

static void
udp_block(struct net *net, struct udp_flow *u)
{
	u->blocked = true;
	TAILQ_INSERT_TAIL(&net->udp->blocked, u, wait);
}

/* An error of the socket; false when it is no error but the end. */
static bool
recv_error(struct net *net, usec_t now, struct udp_flow *u, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK)
		return false;
	if (u->f.proto == NET_UDP && udp_told_all(net, now, u))
		return true;
	stat_inc(net, NETS_UDP_FAILED);
	if (u->f.proto == NET_UDP)
		udp_report(net, now, u, udp_error(error), 0);
	return true;
}

/* dnsd says in front of each answer whose it is. */
static int
dns_answer(const struct net *net, struct rd *r, struct arrival *a)
{
	struct rd msg;
	uint32_t ip;
	uint16_t len;

	if (rd_u32(r, &ip) == -1 || rd_u16(r, &a->dport) == -1 ||
	    rd_u16(r, &len) == -1 || rd_sub(r, len, &msg) == -1 ||
	    ip != net->conf.guest_ip || a->dport == 0 || len > UDP_MAXLEN)
		return -1;
	a->src = net->conf.gateway_ip;
	a->sport = DNS_PORT;
	a->p = (uint8_t *)(uintptr_t)msg.p;
	a->len = msg.len;
	return 0;
}

/*
 * Answers to one port of the guest: a TAP with vnet headers takes them as one
 * frame, which costs its reader little more than one datagram.
 */
struct group {
	const struct arrival *a[UDP_ANSWERS];
	int n;
	size_t total;
};

/*
 * Of those from the first on that are not yet done, the ones that go with it:
 * all of one length, but for a shorter one at the end.
 */
static void
group_find(const struct net *net, const struct arrival *a, int n, bool *done,
    struct group *g)
{
	int i;

	*g = (struct group){ 0 };
	for (i = 0; i < n; i++) {
		if (done[i] || a[i].dport != a[0].dport)
			continue;
		/* The order of a port's is kept.  Nothing cannot be cut off. */
		if (a[i].len > a[0].len || (g->n > 0 && a[i].len == 0))
			return;
		g->a[g->n++] = &a[i];
		g->total += a[i].len;
		done[i] = true;
		if (!net->uso || a[i].len < a[0].len || a[0].len == 0 ||
		    a[0].len + UDP_OVERHEAD > ETH_HDRLEN + small_packet(net))
			return;
	}
}

/* False: the channel has no room. */
static bool
group_push(struct net *net, const struct group *g)
{
	const struct arrival *a = g->a[0];
	struct vnet v = { .sum = true,
		.start = FRAME_HDRLEN,
		.off = UDP_SUM_OFF,
		.seg = (uint16_t)a->len,
		.udp = true,
		.hdrlen = UDP_OVERHEAD,
		.plain = true,
		.ip = ETH_HDRLEN,
		.plen = (uint16_t)g->total };
	size_t len = UDP_HDRLEN + g->total, room, at = UDP_OVERHEAD;
	uint8_t *frame = ip4_space(net, &room), *udp;
	uint16_t sum;
	int i;

	if (frame == NULL || room < UDP_OVERHEAD + g->total)
		return false;
	udp = frame + FRAME_HDRLEN;
	for (i = 0; i < g->n; at += g->a[i++]->len)
		memcpy(frame + at, g->a[i]->p, g->a[i]->len);
	put_u16(udp, a->sport);
	put_u16(udp + 2, a->dport);
	put_u16(udp + 4, (uint16_t)len);
	/* Not complemented: what is missing is to be added to it. */
	sum = (uint16_t)~cksum_finish(
	    cksum_pseudo(a->src, net->conf.guest_ip, IPPROTO4_UDP, len));
	memcpy(udp + UDP_SUM_OFF, &sum, sizeof(sum));
	ip4_header(net, frame, a->src, IPPROTO4_UDP, len, 0, false);
	ip4_push_vnet(net, 0, UDP_OVERHEAD + g->total, &v);
	stat_add(net, NETS_UDP_TX, (uint64_t)g->n);
	return true;
}

static void
dns_push(struct net *net, const struct arrival *a, int n)
{
	bool done[UDP_ANSWERS] = { false };
	struct group g;
	int i, k;

	for (i = 0; i < n; i++) {
		if (done[i])
			continue;
		group_find(net, &a[i], n - i, &done[i], &g);
		if (g.n > 1 && group_push(net, &g))
			continue;
		for (k = 0; k < g.n; k++)
			arrival_send(net, g.a[k]);
	}
}

/* The answers of one datagram.  Whether the guest got any of them. */
static bool
dns_deliver(struct net *net, struct rd r)
{
	struct arrival a[UDP_ANSWERS];
	bool any = false, good = true;
	int n;

	do {
		for (n = 0; n < UDP_ANSWERS && good && (n == 0 || r.len > 0);) {
			good = dns_answer(net, &r, &a[n]) == 0;
			n += good;
		}
		dns_push(net, a, n);
		any = any || n > 0;
	} while (good && r.len > 0);
	if (!good)
		stat_inc(net, NETS_UDP_BADPEER);
	return any;
}

/* As udp_pull(); the channel must have room for a datagram of many answers. */
static void
dns_pull(struct net *net, usec_t now, struct udp_flow *u)
{
	struct net_dgram *d = &net->udp->d[0];
	size_t room;
	int got, errors = 0;

	while (errors < RECV_ERRORS) {
		(void)ip4_space(net, &room);
		if (room < 2 * net->udp->room_min) {
			udp_block(net, u);
			return;
		}
		*d = (struct net_dgram){ .niov = 1 };
		d->iov[0] = (struct iovec){ net->udp->spill, UDP_SPILL };
		got = net->hook->recv(net->arg, u->f.id, d, 1);
		if (got > 0) {
			udp_touch(net, now, u, true);
			if (d->len > UDP_SPILL)
				d->len = UDP_SPILL;
			errors =
			    dns_deliver(net, rd_init(net->udp->spill, d->len))
				? 0
				: errors + 1;
		} else if (got == 0 || !recv_error(net, now, u, errno)) {
			return;
		} else {
			errors++;
		}
	}
}

void
udp_pull(struct net *net, usec_t now, struct udp_flow *u)
{
	struct places pl;
	size_t room;
	int got, errors = 0;

	if (u->f.proto == NET_DNS) {
		dns_pull(net, now, u);
		return;
	}
	while (errors < RECV_ERRORS) {
		pl.base = ip4_space(net, &room);
		if (room < net->udp->room_min) {
			udp_block(net, u);
			return;
		}
		places_init(net, u, &pl, room);
		got = net->hook->recv(net->arg, u->f.id, net->udp->d, pl.n);
		if (got > 0) {
			udp_touch(net, now, u, true);
			errors = deliver(net, u, &pl, got) ? 0 : errors + 1;
		} else if (got == 0 || !recv_error(net, now, u, errno)) {
			return;
		} else {
			errors++;
		}
	}
}

/*
 * Each flow gets its turn: the first that fills the channel again goes to the
 * end of the line, and the others stay before it.
 */
void
udp_tx_ready(struct net *net, usec_t now)
{
	struct udp_flow *u;
	size_t room;

	(void)ip4_space(net, &room);
	if (room < net->udp->room_min)
		return;
	while ((u = TAILQ_FIRST(&net->udp->blocked)) != NULL) {
		TAILQ_REMOVE(&net->udp->blocked, u, wait);
		u->blocked = false;
		udp_pull(net, now, u);
		if (u->blocked)
			return;
	}
}
