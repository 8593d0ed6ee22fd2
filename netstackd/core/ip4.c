/*
 * IPv4 (RFC 791, RFC 1122 section 3) between one guest and us.
 *
 * In: what a packet says about itself is checked, its destination is put into
 * a class, and it goes to its protocol, reassembled first if it comes in
 * fragments (ip4_frag.c).  Options are skipped.  Toward remote hosts we are a
 * router: what has no hop left ends here, and the rest leaves with one less.
 *
 * Out: headers without options.  The identification is 0 unless the packet is
 * fragmented (RFC 6864): only then does it mean anything.
 */

#include <string.h>

#include "netstackd/core/ip4.h"

#define DHCP_SERVER_PORT 67

enum ip4_dst
ip4_classify(const struct net *net, uint32_t dst)
{
	const struct net_conf *c = &net->conf;

	if (dst == c->gateway_ip)
		return DST_GATEWAY;
	if (c->host_ip != 0 && dst == c->host_ip)
		return DST_HOST;
	if (dst == c->guest_ip)
		return DST_GUEST;
	/* A /31 has no broadcast address of its own (RFC 3021). */
	if (dst == 0xffffffff || (net->netmask != 0xfffffffe &&
				     dst == (c->guest_ip | ~net->netmask)))
		return DST_BROADCAST;
	if (dst >> 24 == 0 || dst >> 24 == 127 || dst >> 24 >= 224)
		return DST_NEVER;
	return DST_REMOTE;
}

/*
 * Parses and checks one header; r becomes the payload without what the frame
 * has behind it.  *sum_ok says whether the header's checksum is right.
 */
static int
ip4_parse(struct rd *r, struct ip4_pkt *p, struct ip4_hdr *h, bool *sum_ok)
{
	struct rd whole = *r, hdr;
	uint8_t vihl;
	uint16_t len, sum;

	if (rd_u8(r, &vihl) == -1 || rd_u8(r, &p->tos) == -1 ||
	    rd_u16(r, &len) == -1 || rd_u16(r, &h->id) == -1 ||
	    rd_u16(r, &h->frag) == -1 || rd_u8(r, &p->ttl) == -1 ||
	    rd_u8(r, &p->proto) == -1 || rd_u16(r, &sum) == -1 ||
	    rd_u32(r, &p->src) == -1 || rd_u32(r, &p->dst) == -1)
		return -1;
	p->hdrlen = (size_t)(vihl & 15) * 4;
	if (vihl >> 4 != 4 || p->hdrlen < IP4_HDRLEN || len < p->hdrlen ||
	    rd_sub(&whole, len, r) == -1 || rd_sub(r, p->hdrlen, &hdr) == -1)
		return -1;
	p->hdr = hdr.p;
	p->df = (h->frag & IP4_DF) != 0;
	p->payload = *r;
	p->copied = false;
	*sum_ok = cksum_finish(cksum_add(0, hdr.p, hdr.len)) == 0;
	return 0;
}

/*
 * Is this for the DHCP server?  Such a packet may come from any address and,
 * as some clients send it with a header checksum of zero, without a good sum.
 */
static bool
ip4_is_dhcp(const struct ip4_pkt *p, const struct ip4_hdr *h)
{
	struct rd r = p->payload;
	uint16_t port;

	return p->proto == IPPROTO4_UDP &&
	       (h->frag & (IP4_MF | IP4_OFFMASK)) == 0 && rd_skip(&r, 2) == 0 &&
	       rd_u16(&r, &port) == 0 && port == DHCP_SERVER_PORT;
}

/*
 * May the packet come from there and go to there?  Counts and answers when
 * not.  RFC 1122 3.2.2: no errors about broadcast, multicast, or fragments
 * but the first.
 */
static bool
ip4_route(struct net *net, usec_t now, const struct ip4_pkt *p,
    const struct ip4_hdr *h, bool group, bool dhcp)
{
	enum ip4_dst dst = ip4_classify(net, p->dst);

	if (dhcp && (dst == DST_GATEWAY || dst == DST_BROADCAST))
		return true;
	if (p->src != net->conf.guest_ip) {
		stat_inc(net, NETS_RX_BADSRC);
		return false;
	}
	net_learn_eth(net);
	if (!group &&
	    (dst == DST_GATEWAY || dst == DST_HOST || dst == DST_REMOTE))
		return true;
	stat_inc(net, NETS_RX_BADDST);
	if (!group && dst == DST_NEVER && (h->frag & IP4_OFFMASK) == 0)
		icmp_unreachable(net, now, p, NET_EADMIN, 0);
	return false;
}

/*
 * RFC 1812 5.3.1: a router drops what would leave without a hop to live, and
 * says so; what is for itself it takes however far it came (RFC 1122 3.2.1.7).
 */
static bool
ip4_may_leave(struct net *net, usec_t now, const struct ip4_pkt *p,
    const struct ip4_hdr *h)
{
	static const struct icmp_msg msg = { .type = ICMP_TIME_EXCEEDED };

	if (p->ttl > 1 || ip4_classify(net, p->dst) != DST_REMOTE)
		return true;
	stat_inc(net, NETS_RX_TTL);
	if ((h->frag & IP4_OFFMASK) == 0)
		icmp_error(net, now, p, &msg);
	return false;
}

/*
 * The host's own system answers for host-ip: nobody is between.  Of the TOS
 * only the DSCP: the marks of congestion (RFC 3168) would have to come back.
 */
void
ip4_leave(const struct net *net, const struct ip4_pkt *p, struct net_dgram *d)
{
	d->ttl = p->ttl > 1 ? p->ttl : 2;
	if (ip4_classify(net, p->dst) == DST_REMOTE)
		d->ttl--;
	d->tos = p->tos & 0xfc;
	d->df = p->df;
}

static void
ip4_deliver(struct net *net, usec_t now, const struct ip4_pkt *p)
{
	switch (p->proto) {
	case IPPROTO4_TCP:
		tcp_input(net, now, p);
		break;
	case IPPROTO4_UDP:
		udp_input(net, now, p);
		break;
	case IPPROTO4_ICMP:
		icmp_input(net, now, p);
		break;
	default:
		stat_inc(net, NETS_RX_PROTO);
	}
}

void
ip4_input(struct net *net, usec_t now, struct rd *r, bool group)
{
	struct ip4_pkt p;
	struct ip4_hdr h;
	bool sum_ok, dhcp;

	if (ip4_parse(r, &p, &h, &sum_ok) == -1) {
		stat_inc(net, NETS_RX_SHORT);
		return;
	}
	dhcp = ip4_is_dhcp(&p, &h);
	if (!sum_ok && !(dhcp && p.hdr[10] == 0 && p.hdr[11] == 0)) {
		stat_inc(net, NETS_RX_BADSUM);
		return;
	}
	if (!ip4_route(net, now, &p, &h, group, dhcp) ||
	    !ip4_may_leave(net, now, &p, &h))
		return;
	if ((h.frag & (IP4_MF | IP4_OFFMASK)) == 0) {
		ip4_deliver(net, now, &p);
	} else if (frag_input(net, now, &h, &p) == 1) {
		ip4_deliver(net, now, &p);
		frag_done(net);
	}
}

uint8_t *
ip4_space(struct net *net, size_t *len)
{
	return net->hook->space(net->arg, len);
}

void
ip4_push(struct net *net, size_t off, size_t len)
{
	stat_inc(net, NETS_TX_FRAMES);
	stat_add(net, NETS_TX_BYTES, len);
	net->hook->push(net->arg, off, len);
}

void
ip4_push_vnet(struct net *net, size_t off, size_t len, const struct vnet *v)
{
	stat_inc(net, NETS_TX_FRAMES);
	stat_add(net, NETS_TX_BYTES, len);
	if (v->seg > 0)
		stat_inc(net, NETS_TX_LARGE);
	net->hook->push_vnet(net->arg, off, len, v);
}

void
ip4_put(struct net *net, uint8_t *frame, const struct ip4_out *o, size_t paylen)
{
	uint8_t *p = frame + ETH_HDRLEN;
	uint16_t sum;

	memcpy(frame, o->eth_dst, 6);
	memcpy(frame + 6, net->conf.server_mac, 6);
	put_u16(frame + 12, 0x0800);
	p[0] = 0x45;
	p[1] = o->tos;
	put_u16(p + 2, (uint16_t)(IP4_HDRLEN + paylen));
	put_u16(p + 4, o->id);
	put_u16(p + 6, o->frag);
	p[8] = o->ttl != 0 ? o->ttl : IP4_TTL;
	p[9] = o->proto;
	put_u16(p + 10, 0);
	put_u32(p + 12, o->src);
	put_u32(p + 16, o->dst);
	sum = cksum_finish(cksum_add(0, p, IP4_HDRLEN));
	memcpy(p + 10, &sum, sizeof(sum));
}

void
ip4_header(struct net *net, uint8_t *frame, uint32_t src, uint8_t proto,
    size_t paylen, uint8_t tos, bool df)
{
	struct ip4_out o = { .eth_dst = net->guest_eth,
		.src = src,
		.dst = net->conf.guest_ip,
		.proto = proto,
		.tos = tos,
		.frag = df ? IP4_DF : 0 };

	ip4_put(net, frame, &o, paylen);
}

/* A reader over the pieces of a payload. */
struct gather {
	const struct iovec *iov;
	size_t off; /* within the first piece */
};

static void
gather_copy(struct gather *g, uint8_t *out, size_t n)
{
	size_t part;

	while (n > 0) {
		part = g->iov->iov_len - g->off;
		if (part > n)
			part = n;
		if (part > 0)
			memcpy(out, (const uint8_t *)g->iov->iov_base + g->off,
			    part);
		out += part;
		n -= part;
		g->off += part;
		if (g->off == g->iov->iov_len) {
			g->iov++;
			g->off = 0;
		}
	}
}

/*
 * One packet, or one fragment of one.  The space is asked for each time, for
 * a small MTU makes more fragments than one look at it is good for.
 */
static int
ip4_emit(struct net *net, const struct ip4_out *o, struct gather *g, size_t n)
{
	uint8_t *frame;
	size_t room;

	frame = ip4_space(net, &room);
	if (room < FRAME_HDRLEN + n)
		return -1;
	gather_copy(g, frame + FRAME_HDRLEN, n);
	ip4_put(net, frame, o, n);
	ip4_push(net, 0, FRAME_HDRLEN + n);
	return 0;
}

static int
ip4_emit_frags(struct net *net, struct ip4_out *o, struct gather *g, size_t len)
{
	size_t max = (size_t)(net->conf.mtu - IP4_HDRLEN) & ~(size_t)7;
	size_t off, n, room;

	/* A datagram with a hole is of no use: all of it, or nothing. */
	(void)ip4_space(net, &room);
	if (room < len + (len / max + 1) * FRAME_HDRLEN)
		return -1;
	o->id = net->ip_id++;
	for (off = 0; off < len; off += n) {
		n = len - off < max ? len - off : max;
		o->frag = (uint16_t)(off / 8);
		if (off + n < len)
			o->frag |= IP4_MF;
		if (ip4_emit(net, o, g, n) == -1)
			return -1;
	}
	return 0;
}

int
ip4_sendo(struct net *net, struct ip4_out *o, const struct iovec *iov, int niov)
{
	struct gather g = { iov, 0 };
	size_t len = 0;
	int i, ret;

	for (i = 0; i < niov; i++)
		len += iov[i].iov_len;
	if (len > UINT16_MAX - IP4_HDRLEN)
		return -1;
	if (len + IP4_HDRLEN <= net->conf.mtu)
		ret = ip4_emit(net, o, &g, len);
	else if (o->frag & IP4_DF)
		return -1;
	else
		ret = ip4_emit_frags(net, o, &g, len);
	if (ret == -1)
		stat_inc(net, NETS_TX_FULL);
	return ret;
}

int
ip4_sendv(struct net *net, uint32_t src, uint8_t proto, const struct iovec *iov,
    int niov, uint8_t tos, bool df)
{
	struct ip4_out o = { .eth_dst = net->guest_eth,
		.src = src,
		.dst = net->conf.guest_ip,
		.proto = proto,
		.tos = tos,
		.frag = df ? IP4_DF : 0 };

	return ip4_sendo(net, &o, iov, niov);
}

int
ip4_send(struct net *net, uint32_t src, uint8_t proto, const void *payload,
    size_t len, uint8_t tos, bool df)
{
	struct iovec iov = { (void *)(uintptr_t)payload, len };

	return ip4_sendv(net, src, proto, &iov, 1, tos, df);
}
