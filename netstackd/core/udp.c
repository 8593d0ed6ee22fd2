/*
 * UDP (RFC 768), and the guest's way out with it.
 *
 *	gateway:53	dnsd, over one socket for the whole VM: each message has
 *			the guest's address in front, both ways, and many may
 *			go in one datagram
 *	gateway:67	the DHCP server
 *	gateway:other	port unreachable
 *	host, remote	a NAT with endpoint-independent mapping and filtering
 *			(RFC 4787 REQ-1, REQ-8)
 *
 * For the NAT each port of the guest has a bind: a socket that receives what
 * anybody sends to that port.  Each destination has a flow of its own: a
 * socket on the same local port, connected, for nothing in this process may
 * send to an address of its choice.  Both are asked for with the first
 * datagram, which waits for them with a few of its followers.
 *
 * Toward the host, datagrams of a batch of frames that go to one flow and have
 * one size are collected, not copied, and go in one call.  Their order is
 * kept.
 *
 * The guest's TTL, less one, its DSCP and its DF go with each datagram, so that
 * traceroute and path MTU discovery work through the host.  ICMP errors of the
 * host's network come back the same way.
 *
 * Not done: UDP-Lite.
 */

#include <errno.h>
#include <string.h>

#include "netstackd/core/dhcp.h"
#include "netstackd/core/udp.h"

/* One call takes no more bytes than a packet has (UDP_SEGMENT). */
#define BATCH_BYTES UDP_MAXLEN

struct udp_hdr {
	uint16_t sport, dport, len, sum;
};

/* On success r covers exactly the payload.  -1: short, or a lying length. */
static int
udp_parse(struct rd *r, struct udp_hdr *h)
{
	struct rd body;

	if (rd_u16(r, &h->sport) == -1 || rd_u16(r, &h->dport) == -1 ||
	    rd_u16(r, &h->len) == -1 || rd_u16(r, &h->sum) == -1)
		return -1;
	if (h->len < UDP_HDRLEN ||
	    rd_sub(r, (size_t)h->len - UDP_HDRLEN, &body) == -1)
		return -1;
	*r = body;
	return 0;
}

static bool
udp_sum_ok(const struct ip4_pkt *pkt, const struct udp_hdr *h)
{
	uint32_t sum;

	if (h->sum == 0)
		return true;
	sum = cksum_pseudo(pkt->src, pkt->dst, IPPROTO4_UDP, h->len);
	return cksum_finish(cksum_add(sum, pkt->payload.p, h->len)) == 0;
}

/*
 * The datagram is gone or was one of many, so the headers are made again: they
 * are all that the guest's kernel looks at to find the socket.  len is the
 * payload's length; if it is that of the last one, so is the rest.
 */
static void
udp_quote(struct net *net, struct quote *q, const struct udp_flow *u,
    size_t len, size_t have, bool ttl_ended)
{
	struct sent s = u->sent;
	uint8_t *udp = q->b + FRAME_HDRLEN;

	len += UDP_HDRLEN;
	if (len != s.len)
		s.id = s.sum = 0;
	if (ttl_ended)
		s.ttl = 1;
	quote_init(net, q, &u->f, IPPROTO4_UDP, &s, len, UDP_HDRLEN + have);
	put_u16(udp, u->f.guest_port);
	put_u16(udp + 2, u->f.host_port);
	put_u16(udp + 4, (uint16_t)len);
	memcpy(udp + 6, &s.sum, sizeof(s.sum));
}

/* The true path MTU: the host's kernel knows it since it has refused. */
static uint16_t
udp_path_mtu(struct net *net, usec_t now, const struct udp_flow *u)
{
	size_t mtu = u->up ? net->hook->mtu(net->arg, u->f.id) : 0;

	if (mtu < UDP_HDRLEN + IP4_HDRLEN || mtu > UINT16_MAX)
		return 0;
	pmtu_learn(net, now, u->f.host_ip, mtu);
	return (uint16_t)mtu;
}

void
udp_report(struct net *net, usec_t now, const struct udp_flow *u,
    enum net_error e, size_t len)
{
	struct quote q;
	uint16_t mtu = 0;

	if (e == NET_EMSGSIZE && (mtu = udp_path_mtu(net, now, u)) == 0)
		return;
	if (len > UDP_MAXLEN)
		len = UDP_MAXLEN;
	udp_quote(net, &q, u, len, 0, false);
	icmp_unreachable(net, now, &q.pkt, e, mtu);
}

/* About one datagram; mostly the last, if what is quoted fits in it. */
static void
udp_told(struct net *net, usec_t now, const struct udp_flow *u,
    const struct net_hosterr *e)
{
	struct quote q;
	size_t len = u->sent.len - (size_t)UDP_HDRLEN, have = e->len;

	if (have > NET_QUOTE - UDP_HDRLEN)
		have = NET_QUOTE - UDP_HDRLEN;
	if (u->sent.len < UDP_HDRLEN || len < have)
		len = have;
	udp_quote(net, &q, u, len, have, e->type == ICMP_TIME_EXCEEDED);
	if (have > 0)
		memcpy(q.b + FRAME_HDRLEN + UDP_HDRLEN, e->data, have);
	icmp_host_error(net, now, &u->f, &q.pkt, e);
}

bool
udp_told_all(struct net *net, usec_t now, const struct udp_flow *u)
{
	struct net_hosterr e;
	int n = 0;

	if (!u->up || u->f.proto != NET_UDP)
		return false;
	while (n < NET_ERRORS && net->hook->error(net->arg, u->f.id, &e)) {
		udp_told(net, now, u, &e);
		n++;
	}
	return n > 0;
}

enum net_error
udp_error(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return NET_EREFUSED;
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
		return NET_ERESET;
	case EMSGSIZE:
		return NET_EMSGSIZE;
	case ENETUNREACH:
	case ENETDOWN:
		return NET_ENETUNREACH;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return NET_EHOSTUNREACH;
	case EACCES:
	case EPERM:
		return NET_EADMIN;
	default:
		return NET_EOTHER;
	}
}

static size_t
dgram_len(const struct net_dgram *d)
{
	return d->iov[0].iov_len + (d->niov > 1 ? d->iov[1].iov_len : 0);
}

/*
 * What a datagram of length len met on its way to the socket.  True: that was
 * the error of an earlier one, which the guest has now been told of.  reported:
 * it has been told of this one.
 */
static bool
udp_send_failed(
    struct net *net, usec_t now, struct udp_flow *u, int error, size_t len,
    bool reported)
{
	if (udp_told_all(net, now, u))
		return true;
	stat_inc(net, NETS_UDP_FAILED);
	if (error == ENOBUFS || reported)
		return false;
	if (u->f.proto == NET_DNS)
		u->stale = true; /* dnsd is gone, and no event says so */
	else
		udp_report(net, now, u, udp_error(error), len);
	return false;
}

/*
 * Hands n datagrams to the socket; returns how many are done with: sent, or
 * lost for a reason of their own.  Fewer than n: the socket is full.  An error
 * may be one an earlier datagram caused: the same one is tried once more.
 */
static int
udp_send(struct net *net, usec_t now, struct udp_flow *u,
    const struct net_dgram *d, int n)
{
	int i = 0, got, error;
	bool again = false, reported = false, told;

	while (i < n) {
		got = net->hook->send(net->arg, u->f.id, &d[i], n - i);
		if (got > 0) {
			i += got;
			again = reported = false;
			continue;
		}
		error = errno;
		if (got == 0 || error == EAGAIN || error == EWOULDBLOCK)
			return i;
		told = udp_send_failed(
		    net, now, u, error, dgram_len(&d[i]), reported);
		reported = !told;
		again = !again && (told || error != EMSGSIZE);
		if (!again) {
			i++;
			reported = false;
		}
	}
	return i;
}

void
udp_batch_flush(struct net *net, usec_t now)
{
	struct udp_batch *b = &net->udp->batch;
	struct udp_flow *u = b->flow;
	int i;

	if (u == NULL)
		return;
	b->flow = NULL;
	i = u->up && u->nq == 0 ? udp_send(net, now, u, b->d, b->n) : 0;
	for (; i < b->n; i++)
		udp_enqueue(net, u, &b->d[i]);
	b->n = 0;
	if (u->f.proto == NET_DNS && u->stale)
		udp_del(net, u);
}

void
udp_queue_flush(struct net *net, usec_t now, struct udp_flow *u)
{
	struct net_dgram d;

	while (u->up && u->nq > 0) {
		d = u->q->how;
		d.niov = 1;
		d.iov[0] = (struct iovec){ u->q->data, u->q->len };
		if (udp_send(net, now, u, &d, 1) == 0)
			break;
		udp_dequeue(net, u);
	}
	if (u->f.proto == NET_DNS && u->stale)
		udp_del(net, u);
}

/* Does this payload go with what the batch holds, and in the same way? */
static bool
batch_takes(const struct udp_batch *b, const struct udp_flow *u, size_t len,
    const struct net_dgram *how)
{
	const struct net_dgram *d = &b->d[0];

	if (b->flow != u || b->n == UDP_BATCH)
		return false;
	if (u->f.proto == NET_DNS)
		return b->total + DNS_PREFIX + len <= DNS_BATCH;
	return u->f.proto == NET_UDP && len <= b->size &&
	       b->total + len <= BATCH_BYTES && d->ttl == how->ttl &&
	       d->tos == how->tos && d->df == how->df;
}

/*
 * Adds a payload to the batch, which is sent first when it does not fit in.
 * One that is shorter than the first, or empty, or about to go, is the last.
 */
static void
batch_add(struct net *net, usec_t now, struct udp_flow *u, struct rd payload,
    const struct net_dgram *how, bool last)
{
	struct udp_batch *b = &net->udp->batch;
	struct net_dgram *d;
	bool dns = u->f.proto == NET_DNS;

	if (!batch_takes(b, u, payload.len, how))
		udp_batch_flush(net, now);
	if (b->flow == NULL) {
		b->flow = u;
		b->size = payload.len;
		b->total = 0;
	}
	d = &b->d[b->n++];
	*d = *how;
	d->niov = 0;
	if (dns) {
		d->iov[d->niov++] =
		    (struct iovec){ b->prefix[b->n - 1], DNS_PREFIX };
		b->total += DNS_PREFIX;
	}
	d->iov[d->niov++] =
	    (struct iovec){ (void *)(uintptr_t)payload.p, payload.len };
	b->total += payload.len;
	if (last || (!dns && (payload.len < b->size || payload.len == 0)))
		udp_batch_flush(net, now);
}

/* Puts what dnsd has to know before the payload. */
static void
dns_prefix(uint8_t *p, const struct ip4_pkt *pkt, uint16_t sport, size_t len)
{
	put_u32(p, pkt->src);
	put_u16(p + 4, sport);
	put_u16(p + 6, (uint16_t)len);
}

static void
udp_to_dns(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    const struct udp_hdr *h, struct rd payload)
{
	static const struct net_dgram how = { 0 };
	struct udp_batch *b = &net->udp->batch;
	struct udp_flow *u;

	if ((u = udp_dns_flow(net, now)) == NULL) {
		icmp_unreachable(net, now, pkt, NET_ELIMIT, 0);
		return;
	}
	if (!batch_takes(b, u, payload.len, &how))
		udp_batch_flush(net, now);
	/* The flush may have found that dnsd is gone, and ended the flow. */
	if ((u = udp_dns_flow(net, now)) == NULL)
		return;
	udp_touch(net, now, u, false);
	dns_prefix(b->prefix[b->n], pkt, h->sport, payload.len);
	batch_add(net, now, u, payload, &how, pkt->copied);
}

static void
udp_sent(struct udp_flow *u, const struct ip4_pkt *pkt, const struct udp_hdr *h)
{
	u->sent =
	    (struct sent){ .id = (uint16_t)(pkt->hdr[4] << 8 | pkt->hdr[5]),
		    .len = h->len,
		    .ttl = pkt->ttl,
		    .tos = pkt->tos,
		    .df = pkt->df };
	memcpy(&u->sent.sum, pkt->payload.p + 6, sizeof(u->sent.sum));
}

static void
udp_to_host(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    const struct udp_hdr *h, struct rd payload)
{
	struct net_dgram how = { 0 };
	struct udp_flow *u;

	if (!pmtu_check(net, now, pkt))
		return;
	u = udp_flow_for(net, now, pkt, h->sport, h->dport);
	if (u == NULL) {
		icmp_unreachable(net, now, pkt, NET_ELIMIT, 0);
		return;
	}
	udp_touch(net, now, u, false);
	ip4_leave(net, pkt, &how);
	udp_sent(u, pkt, h);
	batch_add(net, now, u, payload, &how, pkt->copied);
}

/* A port of the gateway's that leads elsewhere, or has a client behind it. */
static bool
udp_to_us(
    struct net *net, const struct ip4_pkt *pkt, const struct udp_hdr *h)
{
	return net_gateway_forward(net, NET_UDP, h->dport) ||
	       flow_find(net, NET_UDP, pkt->src, h->sport, pkt->dst,
		   h->dport) != NULL;
}

void
udp_input(struct net *net, usec_t now, const struct ip4_pkt *pkt)
{
	struct rd r = pkt->payload;
	struct udp_hdr h;
	enum ip4_dst dst = ip4_classify(net, pkt->dst);

	if (udp_parse(&r, &h) == -1) {
		stat_inc(net, NETS_RX_SHORT);
		return;
	}
	if (!net->rx_open && !udp_sum_ok(pkt, &h)) {
		stat_inc(net, NETS_RX_BADSUM);
		return;
	}
	stat_inc(net, NETS_UDP_RX);
	if (dst == DST_GATEWAY && udp_to_us(net, pkt, &h))
		dst = DST_REMOTE;
	if (h.dport == DHCP_SERVER_PORT &&
	    (dst == DST_GATEWAY || dst == DST_BROADCAST))
		dhcp_input(net, now, pkt, &r);
	else if (h.sport == 0 || h.dport == 0)
		stat_inc(net, NETS_RX_BADDST);
	else if (dst == DST_HOST || dst == DST_REMOTE)
		udp_to_host(net, now, pkt, &h, r);
	else if (h.dport == DNS_PORT && dst == DST_GATEWAY)
		udp_to_dns(net, now, pkt, &h, r);
	else
		icmp_unreachable(net, now, pkt, NET_EREFUSED, 0);
}

void
udp_flush(struct net *net, usec_t now)
{
	udp_batch_flush(net, now);
}
