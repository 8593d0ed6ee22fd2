/*
 * ICMP (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3), as far as it ends here.
 *
 * Echo requests to the gateway and the host are answered here, of any size;
 * those to remote hosts have flows (icmp_flow.c).  Other messages are counted,
 * and served if icmp_guest.c knows them.
 *
 * Errors toward the guest come in two ways: of our own, as "destination
 * unreachable" with the code that says why a host socket failed, or "time
 * exceeded"; and those that routers of the host's network have sent for a host
 * socket, with the guest's own packet in the place of the host's.  Neither come
 * faster than a token bucket lets them (RFC 1812 4.3.2.8).
 */

#include <string.h>

#include "netstackd/core/core.h"

/* RFC 1812 4.3.2.5: an error's precedence is that of internetwork control, the
 * rest, without the bits of ECN, that of the packet. */
#define TOS_CONTROL 0xc0
#define TOS_REST    0x1c

/* An error fits into 576 bytes (RFC 1812 4.3.2.3). */
#define ICMP_QUOTE (576 - IP4_HDRLEN - ICMP_HDRLEN)

#define TOKEN_EVERY (5 * USEC_MS)
#define MTU_LEAST   68 /* RFC 791: every link passes this */

/*
 * Answers an echo request: the same message with another type and sum, in two
 * pieces, as the guest's bytes are not ours to change.
 */
static void
icmp_echo(struct net *net, const struct ip4_pkt *pkt, const struct rd *msg)
{
	uint8_t head[ICMP_HDRLEN];
	struct iovec iov[2];
	uint16_t sum;

	memcpy(head, msg->p, sizeof(head));
	head[0] = ICMP_ECHO_REPLY;
	put_u16(head + 2, 0);
	sum = cksum_finish(cksum_add(cksum_add(0, head, sizeof(head)),
	    msg->p + ICMP_HDRLEN, msg->len - ICMP_HDRLEN));
	memcpy(head + 2, &sum, sizeof(sum));
	iov[0] = (struct iovec){ head, sizeof(head) };
	iov[1] = (struct iovec){ (void *)(uintptr_t)(msg->p + ICMP_HDRLEN),
		msg->len - ICMP_HDRLEN };
	if (ip4_sendv(net, pkt->dst, IPPROTO4_ICMP, iov, 2, pkt->tos, false) ==
	    0)
		stat_inc(net, NETS_ICMP_ECHO);
}

void
icmp_input(struct net *net, usec_t now, const struct ip4_pkt *pkt)
{
	const struct rd *msg = &pkt->payload;

	if (msg->len < ICMP_HDRLEN)
		stat_inc(net, NETS_RX_SHORT);
	else if (cksum_finish(cksum_add(0, msg->p, msg->len)) != 0)
		stat_inc(net, NETS_RX_BADSUM);
	else if (msg->p[0] != ICMP_ECHO_REQUEST || msg->p[1] != 0)
		icmp_guest_error(net, pkt);
	else if (ip4_classify(net, pkt->dst) == DST_REMOTE)
		icmp_flow_input(net, now, pkt);
	else
		icmp_echo(net, pkt, msg);
}

static bool
icmp_allowed(struct net *net, usec_t now)
{
	usec_t n;

	n = (now - net->icmp_at) / TOKEN_EVERY;
	if (n > 0) {
		net->icmp_at += n * TOKEN_EVERY;
		n += net->icmp_tokens;
		net->icmp_tokens = n < ICMP_BURST ? (uint32_t)n : ICMP_BURST;
	}
	if (net->icmp_tokens == 0) {
		stat_inc(net, NETS_ICMP_LIMIT);
		return false;
	}
	net->icmp_tokens--;
	return true;
}

static uint8_t
icmp_code(enum net_error e)
{
	switch (e) {
	case NET_EREFUSED:
	case NET_ERESET:
	case NET_EPIPE:
		return UNREACH_PORT;
	case NET_ENETUNREACH:
		return UNREACH_NET;
	case NET_EADMIN:
		return UNREACH_ADMIN;
	case NET_EMSGSIZE:
		return UNREACH_FRAG;
	case NET_ETIMEDOUT:
	case NET_EHOSTUNREACH:
	case NET_ELIMIT:
	case NET_EOTHER:
	case NET_EQUEUED:
		break;
	}
	return UNREACH_HOST;
}

/* RFC 1122 3.2.2: what no error may answer. */
static bool
icmp_may_answer(const struct net *net, const struct ip4_pkt *pkt)
{
	if (pkt->src != net->conf.guest_ip || pkt->dst >> 28 == 14 ||
	    ip4_classify(net, pkt->dst) == DST_BROADCAST)
		return false;
	return pkt->proto != IPPROTO4_ICMP ||
	       (pkt->payload.len > 0 && pkt->payload.p[0] == ICMP_ECHO_REQUEST);
}

void
icmp_error(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    const struct icmp_msg *m)
{
	uint8_t msg[ICMP_HDRLEN + ICMP_QUOTE] = { m->type, m->code };
	size_t len = pkt->payload.len;
	uint16_t sum;

	if (!icmp_may_answer(net, pkt) || !icmp_allowed(net, now))
		return;
	if (len > ICMP_QUOTE - pkt->hdrlen)
		len = ICMP_QUOTE - pkt->hdrlen;
	put_u16(msg + 6, m->mtu);
	memcpy(msg + ICMP_HDRLEN, pkt->hdr, pkt->hdrlen);
	if (len > 0)
		memcpy(msg + ICMP_HDRLEN + pkt->hdrlen, pkt->payload.p, len);
	len += ICMP_HDRLEN + pkt->hdrlen;
	sum = cksum_finish(cksum_add(0, msg, len));
	memcpy(msg + 2, &sum, sizeof(sum));
	if (ip4_send(net, m->src != 0 ? m->src : net->conf.gateway_ip,
		IPPROTO4_ICMP, msg, len, TOS_CONTROL | (pkt->tos & TOS_REST),
		false) == 0)
		stat_inc(net, NETS_ICMP_TX);
}

/*
 * A closed port is what the destination itself says; everything else is the
 * word of its router, the gateway.
 */
void
icmp_unreachable(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    enum net_error e, uint16_t mtu)
{
	struct icmp_msg m = { .type = ICMP_UNREACHABLE, .code = icmp_code(e) };

	if (m.code == UNREACH_FRAG)
		m.mtu = mtu;
	if (m.code == UNREACH_PORT)
		m.src = pkt->dst;
	icmp_error(net, now, pkt, &m);
}

void
quote_init(struct net *net, struct quote *q, const struct flow *f,
    uint8_t proto, const struct sent *s, size_t len, size_t have)
{
	struct ip4_out o = { .eth_dst = net->guest_eth,
		.src = f->guest_ip,
		.dst = f->host_ip,
		.proto = proto,
		.tos = s->tos,
		.ttl = s->ttl,
		.id = s->id,
		.frag = s->df ? IP4_DF : 0 };

	ip4_put(net, q->b, &o, len);
	q->pkt = (struct ip4_pkt){ .src = o.src,
		.dst = o.dst,
		.proto = proto,
		.ttl = o.ttl,
		.tos = o.tos,
		.df = s->df,
		.hdr = q->b + ETH_HDRLEN,
		.hdrlen = IP4_HDRLEN,
		.payload = rd_init(q->b + FRAME_HDRLEN, have) };
}

/*
 * Who says it, as the guest may see it: what comes from the host's loopback is
 * the host, and nobody outside is one of this network.
 */
static uint32_t
error_source(const struct net *net, uint32_t from)
{
	if (from >> 24 == 127 && net->conf.host_ip != 0)
		return net->conf.host_ip;
	return ip4_classify(net, from) == DST_REMOTE ? from : 0;
}

void
icmp_host_error(struct net *net, usec_t now, const struct flow *f,
    const struct ip4_pkt *pkt, const struct net_hosterr *e)
{
	struct icmp_msg m = { .type = e->type,
		.code = e->code,
		.src = error_source(net, e->from) };
	size_t mtu = e->mtu;

	if (e->type != ICMP_UNREACHABLE && e->type != ICMP_TIME_EXCEEDED &&
	    e->type != ICMP_PARAMETER) {
		stat_inc(net, NETS_ICMP_BADERR);
		return;
	}
	if (e->type == ICMP_UNREACHABLE && e->code == UNREACH_FRAG) {
		/* Routers of before RFC 1191 say none; the host guesses. */
		if (mtu == 0)
			mtu = net->hook->mtu(net->arg, f->id);
		if (mtu < MTU_LEAST || mtu > UINT16_MAX) {
			stat_inc(net, NETS_ICMP_BADERR);
			return;
		}
		m.mtu = (uint16_t)mtu;
		pmtu_learn(net, now, f->host_ip, mtu);
		if (!pkt->df)
			return; /* the host cuts it from now on */
	}
	stat_inc(net, NETS_ICMP_ERRORS);
	icmp_error(net, now, pkt, &m);
}
