/*
 * Echo to remote hosts.
 *
 * Each identifier of the guest has a flow, with a socket of its own, for each
 * address it asks: connected, as nothing in this process may send to an address
 * of its choice.  Outside, its messages carry another identifier, the kernel's
 * choice, or portd's on a raw socket; here it is changed both ways, also in the
 * messages that errors quote.
 *
 * The guest may make as many flows as it likes: beyond the limit the one unused
 * for longest ends, which costs it a reply at most.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netstackd/core/icmp.h"
#include "netstackd/core/udp.h"

static struct icmp_flow *
icmp_of(struct flow *f)
{
	return (struct icmp_flow *)f;
}

static uint16_t
get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1624: the sum of a message in which one word has become another. */
static uint16_t
sum_changed(uint16_t sum, uint16_t from, uint16_t to)
{
	uint32_t s = (uint16_t)~sum + (uint16_t)~from + (uint32_t)to;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void
icmp_touch(struct net *net, usec_t now, struct icmp_flow *c)
{
	flow_changed(net, &c->f);
	c->used = now;
	TAILQ_REMOVE(&net->icmp->lru, c, lru);
	TAILQ_INSERT_HEAD(&net->icmp->lru, c, lru);
}

/* Takes the oldest request that waits; to be freed. */
static struct icmp_wait *
icmp_dequeue(struct net *net, struct icmp_flow *c)
{
	struct icmp_wait **pp = &c->q, *w;

	while ((*pp)->next != NULL)
		pp = &(*pp)->next;
	w = *pp;
	*pp = NULL;
	c->nq--;
	net->queued -=
	    (uint32_t)(sizeof(*w) + w->pkt.hdrlen + w->pkt.payload.len);
	return w;
}

static void
icmp_del(struct net *net, struct icmp_flow *c)
{
	struct icmp_net *in = net->icmp;

	while (c->nq > 0)
		free(icmp_dequeue(net, c));
	if (c->blocked)
		TAILQ_REMOVE(&in->blocked, c, wait);
	TAILQ_REMOVE(&in->lru, c, lru);
	net->stat[NETS_ICMP_FLOWS] = --in->n;
	timer_clear(net, &c->idle);
	net->hook->close(net->arg, c->f.id, false);
	flow_del(net, &c->f);
	free(c);
}

/* The timer is not moved with each message; it looks when it comes. */
static void
icmp_idle(struct net *net, usec_t now, struct timer *t)
{
	struct icmp_flow *c =
	    (struct icmp_flow *)((char *)t - offsetof(struct icmp_flow, idle));

	if (now < c->used + ICMP_IDLE) {
		timer_set(net, t, c->used + ICMP_IDLE);
		return;
	}
	stat_inc(net, NETS_ICMP_EXPIRED);
	icmp_del(net, c);
}

/* NULL: no memory, or the table is full of others. */
static struct icmp_flow *
icmp_new(struct net *net, usec_t now, const struct flow *want)
{
	struct icmp_net *in = net->icmp;
	struct icmp_flow *c;

	if ((in->n >= in->limit || net->nfree == 0) && !TAILQ_EMPTY(&in->lru)) {
		stat_inc(net, NETS_ICMP_EVICTED);
		icmp_del(net, TAILQ_LAST(&in->lru, icmp_list));
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		stat_inc(net, NETS_FLOW_LIMIT);
		return NULL;
	}
	c->f = *want;
	if (flow_add(net, &c->f) == -1) {
		free(c);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&in->lru, c, lru);
	net->stat[NETS_ICMP_FLOWS] = ++in->n;
	c->used = now;
	c->idle.fn = icmp_idle;
	timer_set(net, &c->idle, now + ICMP_IDLE);
	flow_open(net, &c->f);
	return c;
}

/* Keeps a copy of the packet until there is a socket. */
static void
icmp_enqueue(struct net *net, struct icmp_flow *c, const struct ip4_pkt *pkt)
{
	size_t len = pkt->hdrlen + pkt->payload.len;
	struct icmp_wait *w = NULL;

	if (c->nq < ICMP_QUEUE && net->queued <= net->conf.max_queue &&
	    sizeof(*w) + len <= net->conf.max_queue - net->queued)
		w = malloc(sizeof(*w) + len);
	if (w == NULL) {
		stat_inc(net, NETS_ICMP_DROPPED);
		return;
	}
	memcpy(w->data, pkt->hdr, pkt->hdrlen);
	memcpy(w->data + pkt->hdrlen, pkt->payload.p, pkt->payload.len);
	w->pkt = *pkt;
	w->pkt.hdr = w->data;
	w->pkt.payload = rd_init(w->data + pkt->hdrlen, pkt->payload.len);
	w->next = c->q;
	c->q = w;
	c->nq++;
	net->queued += (uint32_t)(sizeof(*w) + len);
}

/*
 * An error of the host's network about one of ours.  All of a header must be
 * there, and it must be ours: a raw socket also hears of those of others.
 * What it quotes becomes what the guest sent, with that very checksum.
 */
static void
icmp_told(struct net *net, usec_t now, const struct icmp_flow *c,
    const struct net_hosterr *e)
{
	struct quote q;
	uint8_t *m = q.b + FRAME_HDRLEN;
	struct sent s = c->sent;

	if (e->len < ICMP_HDRLEN || e->data[0] != ICMP_ECHO_REQUEST ||
	    e->data[1] != 0 || get_u16(e->data + 4) != c->echo_id) {
		stat_inc(net, NETS_ICMP_BADERR);
		return;
	}
	/* The rest is as that of the last: mostly it is the last. */
	if (e->type == ICMP_TIME_EXCEEDED)
		s.ttl = 1;
	if (s.len < e->len)
		s.len = (uint16_t)e->len;
	quote_init(net, &q, &c->f, IPPROTO4_ICMP, &s, s.len, e->len);
	memcpy(m, e->data, e->len);
	put_u16(m + 4, c->f.guest_port);
	put_u16(
	    m + 2, sum_changed(get_u16(m + 2), c->echo_id, c->f.guest_port));
	icmp_host_error(net, now, &c->f, &q.pkt, e);
}

/* Tells the guest all that has come; false when that was nothing. */
static bool
icmp_told_all(struct net *net, usec_t now, const struct icmp_flow *c)
{
	struct net_hosterr e;
	int n = 0;

	if (!c->up)
		return false;
	while (n < NET_ERRORS && net->hook->error(net->arg, c->f.id, &e)) {
		icmp_told(net, now, c, &e);
		n++;
	}
	return n > 0;
}

static enum net_error
icmp_refusal(struct net *net, usec_t now, const struct icmp_flow *c, int error,
    uint16_t *mtu)
{
	size_t most;

	if (error != EMSGSIZE)
		return udp_error(error);
	most = net->hook->mtu(net->arg, c->f.id);
	if (most < IP4_HDRLEN + ICMP_HDRLEN || most > UINT16_MAX)
		return NET_EOTHER;
	*mtu = (uint16_t)most;
	pmtu_learn(net, now, c->f.host_ip, most);
	return NET_EMSGSIZE;
}

/* The socket did not take it.  An error may be that of an earlier one: then
 * true is returned, and the packet may be tried again. */
static bool
icmp_send_failed(struct net *net, usec_t now, struct icmp_flow *c,
    const struct ip4_pkt *pkt, int error)
{
	enum net_error e;
	uint16_t mtu = 0;

	if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) {
		stat_inc(net, NETS_ICMP_DROPPED);
		return false;
	}
	if (icmp_told_all(net, now, c))
		return true;
	stat_inc(net, NETS_ICMP_FAILED);
	e = icmp_refusal(net, now, c, error, &mtu);
	icmp_unreachable(net, now, pkt, e, mtu);
	return false;
}

/* The message with the identifier it has outside. */
static void
icmp_forward(
    struct net *net, usec_t now, struct icmp_flow *c, const struct ip4_pkt *pkt)
{
	const struct rd *msg = &pkt->payload;
	struct net_dgram d = { .niov = 2 };
	uint8_t head[ICMP_HDRLEN];
	int tries = 2;

	memcpy(head, msg->p, sizeof(head));
	put_u16(head + 4, c->echo_id);
	put_u16(head + 2,
	    sum_changed(get_u16(head + 2), get_u16(msg->p + 4), c->echo_id));
	d.iov[0] = (struct iovec){ head, sizeof(head) };
	d.iov[1] = (struct iovec){ (void *)(uintptr_t)(msg->p + ICMP_HDRLEN),
		msg->len - ICMP_HDRLEN };
	ip4_leave(net, pkt, &d);
	c->sent = (struct sent){ .id = get_u16(pkt->hdr + 4),
		.len = (uint16_t)msg->len,
		.ttl = d.ttl,
		.tos = pkt->tos,
		.df = pkt->df };
	while (tries-- > 0) {
		if (net->hook->send(net->arg, c->f.id, &d, 1) == 1) {
			stat_inc(net, NETS_ICMP_OUT);
			return;
		}
		if (!icmp_send_failed(net, now, c, pkt, errno))
			return;
	}
	stat_inc(net, NETS_ICMP_DROPPED);
}

void
icmp_flow_input(struct net *net, usec_t now, const struct ip4_pkt *pkt)
{
	struct flow want = { .proto = NET_ICMP,
		.server = NET_PORTD,
		.guest_ip = pkt->src,
		.guest_port = get_u16(pkt->payload.p + 4),
		.host_ip = pkt->dst };
	struct icmp_flow *c;

	if (!pmtu_check(net, now, pkt))
		return;
	c = icmp_of(flow_find(
	    net, NET_ICMP, want.guest_ip, want.guest_port, want.host_ip, 0));
	if (c == NULL && (c = icmp_new(net, now, &want)) == NULL) {
		icmp_unreachable(net, now, pkt, NET_ELIMIT, 0);
		return;
	}
	icmp_touch(net, now, c);
	if (c->up)
		icmp_forward(net, now, c, pkt);
	else
		icmp_enqueue(net, c, pkt);
}

/* On success r covers the ICMP message, and *ttl is known on a raw socket. */
static int
reply_parse(const struct icmp_flow *c, struct rd *r, uint8_t *ttl)
{
	uint8_t vihl;

	if (!c->raw)
		return r->len >= ICMP_HDRLEN ? 0 : -1;
	if (r->len < IP4_HDRLEN)
		return -1;
	*ttl = r->p[8];
	vihl = r->p[0];
	if (vihl >> 4 != 4 || (vihl & 15) * 4 < IP4_HDRLEN ||
	    rd_skip(r, (size_t)(vihl & 15) * 4) == -1)
		return -1;
	return r->len >= ICMP_HDRLEN ? 0 : -1;
}

/*
 * A reply to the guest: from the address it asked, with its identifier.  False:
 * it is no such thing.
 */
static bool
icmp_reply(struct net *net, struct icmp_flow *c, const struct net_dgram *d)
{
	struct ip4_out o = { .eth_dst = net->guest_eth,
		.src = c->f.host_ip,
		.dst = net->conf.guest_ip,
		.proto = IPPROTO4_ICMP };
	struct rd r = rd_init(d->iov[0].iov_base, d->len);
	uint8_t *m, ttl = d->ttl;
	struct iovec iov;
	uint16_t sum;

	if (reply_parse(c, &r, &ttl) == -1 || r.p[0] != ICMP_ECHO_REPLY ||
	    r.p[1] != 0 || get_u16(r.p + 4) != c->echo_id ||
	    d->addr != c->f.host_ip || r.len > UINT16_MAX - IP4_HDRLEN) {
		stat_inc(net, NETS_ICMP_BADREPLY);
		return false;
	}
	m = (uint8_t *)d->iov[0].iov_base + (d->len - r.len);
	put_u16(m + 4, c->f.guest_port);
	put_u16(m + 2, 0);
	sum = cksum_finish(cksum_add(0, m, r.len));
	memcpy(m + 2, &sum, sizeof(sum));
	o.ttl = ttl > 1 ? (uint8_t)(ttl - 1) : ttl;
	iov = (struct iovec){ m, r.len };
	if (ip4_sendo(net, &o, &iov, 1) == 0)
		stat_inc(net, NETS_ICMP_IN);
	return true;
}

static void
icmp_block(struct net *net, struct icmp_flow *c)
{
	if (c->blocked)
		return;
	c->blocked = true;
	TAILQ_INSERT_TAIL(&net->icmp->blocked, c, wait);
}

/*
 * Until the socket or the channel has no more.  Errors and replies for others
 * take no space in the channel, so who sends them without end would keep us
 * here.
 */
static void
icmp_pull(struct net *net, usec_t now, struct icmp_flow *c)
{
	struct net_dgram d = { .niov = 1 };
	size_t room;
	int errors = 0;

	while (errors < ICMP_READS) {
		(void)ip4_space(net, &room);
		if (room < net->udp->room_min) {
			icmp_block(net, c);
			return;
		}
		d.iov[0] = (struct iovec){ net->icmp->buf, ICMP_BUF };
		d.ttl = 0;
		if (net->hook->recv(net->arg, c->f.id, &d, 1) == 1) {
			if (icmp_reply(net, c, &d))
				icmp_touch(net, now, c);
			else
				errors++;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else {
			(void)icmp_told_all(net, now, c);
			errors++;
		}
	}
}

void
icmp_tx_ready(struct net *net, usec_t now)
{
	struct icmp_flow *c;
	size_t room;

	(void)ip4_space(net, &room);
	if (room < net->udp->room_min)
		return;
	while ((c = TAILQ_FIRST(&net->icmp->blocked)) != NULL) {
		TAILQ_REMOVE(&net->icmp->blocked, c, wait);
		c->blocked = false;
		icmp_pull(net, now, c);
		if (c->blocked)
			return;
	}
}

int
icmp_net_new(struct net *net)
{
	struct icmp_net *in;

	if ((in = net->icmp = calloc(1, sizeof(*in))) == NULL)
		return -1;
	TAILQ_INIT(&in->lru);
	TAILQ_INIT(&in->blocked);
	in->limit = net->conf.max_flows / 8;
	if (in->limit > ICMP_MAXFLOWS)
		in->limit = ICMP_MAXFLOWS;
	if (in->limit < ICMP_LIMIT_MIN)
		in->limit = ICMP_LIMIT_MIN;
	in->buf = malloc(ICMP_BUF);
	return in->buf != NULL ? 0 : -1;
}

void
icmp_net_free(struct net *net)
{
	if (net->icmp == NULL)
		return;
	free(net->icmp->buf);
	free(net->icmp);
}

/* Events. */

void
icmp_named(struct flow *f, uint16_t echo_id, bool raw)
{
	icmp_of(f)->echo_id = echo_id;
	icmp_of(f)->raw = raw;
}

static void
icmp_opened(struct net *net, usec_t now, struct flow *f, bool connected)
{
	struct icmp_flow *c = icmp_of(f);
	struct icmp_wait *w;

	c->up = true;
	while (c->nq > 0) {
		w = icmp_dequeue(net, c);
		icmp_forward(net, now, c, &w->pkt);
		free(w);
	}
}

/* Too busy is not a no: the guest asks again in a second. */
static void
icmp_open_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	struct icmp_flow *c = icmp_of(f);
	struct icmp_wait *w;

	stat_inc(net, NETS_ICMP_FAILED);
	while (c->nq > 0) {
		w = icmp_dequeue(net, c);
		if (e != NET_ETIMEDOUT)
			icmp_unreachable(net, now, &w->pkt, e, 0);
		free(w);
	}
	icmp_del(net, c);
}

static void
icmp_readable(struct net *net, usec_t now, struct flow *f)
{
	struct icmp_flow *c = icmp_of(f);

	if (c->up && !c->blocked)
		icmp_pull(net, now, c);
}

static void
icmp_writable(struct net *net, usec_t now, struct flow *f)
{
}

static void
icmp_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	if (!icmp_told_all(net, now, icmp_of(f)) && e != NET_EQUEUED)
		stat_inc(net, NETS_ICMP_FAILED);
}

static void
icmp_server_ready(struct net *net, usec_t now, struct flow *f)
{
}

static void
icmp_free(struct net *net, struct flow *f)
{
	icmp_del(net, icmp_of(f));
}

const struct flow_ops icmp_ops = {
	.opened = icmp_opened,
	.open_failed = icmp_open_failed,
	.readable = icmp_readable,
	.writable = icmp_writable,
	.failed = icmp_failed,
	.server_ready = icmp_server_ready,
	.free = icmp_free,
};
