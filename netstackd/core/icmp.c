/*
 * ICMP (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3).
 *
 * Echo requests to the gateway and the host are answered here, of any size.
 * Other messages, and echo to anybody else, are counted and not served.
 * Errors toward the guest are "destination unreachable" with the code that
 * says why a host socket failed, and come no faster than a token bucket lets
 * them (RFC 1812 4.3.2.8).
 */

#include <string.h>

#include "netstackd/core/core.h"

#define ICMP_ECHO_REPLY	  0
#define ICMP_UNREACHABLE  3
#define ICMP_ECHO_REQUEST 8
#define ICMP_HDRLEN	  8
/* An error fits into 576 bytes (RFC 1812 4.3.2.3). */
#define ICMP_QUOTE (576 - IP4_HDRLEN - ICMP_HDRLEN)

#define UNREACH_NET   0
#define UNREACH_HOST  1
#define UNREACH_PORT  3
#define UNREACH_FRAG  4
#define UNREACH_ADMIN 13

#define TOKEN_EVERY (5 * USEC_MS)

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
	enum ip4_dst dst = ip4_classify(net, pkt->dst);
	const struct rd *msg = &pkt->payload;

	if (msg->len < ICMP_HDRLEN)
		stat_inc(net, NETS_RX_SHORT);
	else if (cksum_finish(cksum_add(0, msg->p, msg->len)) != 0)
		stat_inc(net, NETS_RX_BADSUM);
	else if (msg->p[0] != ICMP_ECHO_REQUEST || msg->p[1] != 0 ||
		 (dst != DST_GATEWAY && dst != DST_HOST))
		stat_inc(net, NETS_ICMP_IGNORED);
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

/*
 * A closed port and a size that does not pass are what the destination itself
 * says, or seems to; everything else is the word of its router, the gateway.
 */
void
icmp_unreachable(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    enum net_error e, uint16_t mtu)
{
	uint8_t msg[ICMP_HDRLEN + ICMP_QUOTE] = { ICMP_UNREACHABLE };
	size_t len = pkt->payload.len;
	uint16_t sum;
	uint32_t src;

	if (!icmp_may_answer(net, pkt) || !icmp_allowed(net, now))
		return;
	if (len > ICMP_QUOTE - pkt->hdrlen)
		len = ICMP_QUOTE - pkt->hdrlen;
	msg[1] = icmp_code(e);
	if (msg[1] == UNREACH_FRAG)
		put_u16(msg + 6, mtu);
	memcpy(msg + ICMP_HDRLEN, pkt->hdr, pkt->hdrlen);
	memcpy(msg + ICMP_HDRLEN + pkt->hdrlen, pkt->payload.p, len);
	len += ICMP_HDRLEN + pkt->hdrlen;
	sum = cksum_finish(cksum_add(0, msg, len));
	memcpy(msg + 2, &sum, sizeof(sum));
	src = msg[1] == UNREACH_PORT || msg[1] == UNREACH_FRAG
		  ? pkt->dst
		  : net->conf.gateway_ip;
	if (ip4_send(net, src, IPPROTO4_ICMP, msg, len, 0, false) == 0)
		stat_inc(net, NETS_ICMP_TX);
}
