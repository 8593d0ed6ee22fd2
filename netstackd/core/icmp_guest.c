/*
 * ICMP errors of the guest about segments of ours, of which two are of use.
 *
 * "Fragmentation needed" (RFC 1191): a guest that passes packets on, to
 * containers or to machines inside it, has links behind it that are narrower
 * than the one to us, and TCP that does not hear of it sends what never
 * arrives.
 *
 * What a firewall says to our SYN: its port is as closed as one that answers
 * with RST, and the client of the host need not wait (RFC 1122 4.2.3.9).  Of a
 * connection that is there no such error means anything (RFC 5461, 5927).
 *
 * Whoever can send as the guest may say so, also without a word of truth; as
 * RFC 5927 asks, the segment must be one that is under way.
 */

#include "netstackd/core/seq.h"
#include "netstackd/core/tcp.h"

#define MTU_LEAST 552 /* less is taken for this, as Linux does */

struct quoted {
	uint32_t src, dst, seq;
	uint16_t sport, dport;
};

/* What is behind the ICMP header: a TCP segment's first eight bytes at least.
 * -1: something else, or not so much of it. */
static int
quoted_parse(struct rd r, struct quoted *q)
{
	uint8_t vihl, proto;
	uint16_t frag;

	if (rd_u8(&r, &vihl) == -1 || rd_skip(&r, 5) == -1 ||
	    rd_u16(&r, &frag) == -1 || rd_skip(&r, 1) == -1 ||
	    rd_u8(&r, &proto) == -1 || rd_skip(&r, 2) == -1 ||
	    rd_u32(&r, &q->src) == -1 || rd_u32(&r, &q->dst) == -1)
		return -1;
	if (vihl >> 4 != 4 || (vihl & 15) * 4 < IP4_HDRLEN ||
	    proto != IPPROTO4_TCP || (frag & ~IP4_DF) != 0)
		return -1;
	if (rd_skip(&r, (size_t)(vihl & 15) * 4 - IP4_HDRLEN) == -1 ||
	    rd_u16(&r, &q->sport) == -1 || rd_u16(&r, &q->dport) == -1 ||
	    rd_u32(&r, &q->seq) == -1)
		return -1;
	return 0;
}

/* The segments of the flow become smaller, and what was lost is sent again
 * when its time has come. */
static bool
tcp_narrow(struct net *net, struct tcp *t, uint32_t seq, uint16_t mtu)
{
	uint32_t mss;

	if (t->state < TCPS_ESTABLISHED || seq_lt(seq, t->snd_una) ||
	    seq_geq(seq, t->snd_max))
		return false;
	if (mtu < MTU_LEAST)
		mtu = MTU_LEAST;
	mss = mtu - (uint32_t)(IP4_HDRLEN + TCP_HDRLEN) - (t->ts_on ? 12u : 0u);
	if (mss >= t->mss)
		return false;
	t->mss = (uint16_t)mss;
	stat_inc(net, NETS_ICMP_NARROW);
	return true;
}

/* RFC 1122 4.2.3.9's hard errors, and what is prohibited (RFC 1812 5.2.7.1);
 * others may pass. */
static bool
is_final(uint8_t code)
{
	return code == UNREACH_PROTO || code == UNREACH_PORT ||
	       code == UNREACH_NET_ADMIN || code == UNREACH_HOST_ADMIN ||
	       code == UNREACH_ADMIN;
}

/* The guest will not answer our SYN: as a RST. */
static bool
tcp_unwanted(struct net *net, struct tcp *t, uint32_t seq, uint8_t code)
{
	if (t->state != TCPS_SYN_SENT || seq != t->iss || !is_final(code))
		return false;
	stat_inc(net, NETS_ICMP_UNWANTED); /* also why it ends */
	tcp_event(t, TCPE_RESET);
	tcp_free(net, t, true);
	return true;
}

void
icmp_guest_error(struct net *net, const struct ip4_pkt *pkt)
{
	struct rd r = pkt->payload;
	struct quoted q;
	struct tcp *t = NULL;
	uint8_t type, code;
	uint16_t mtu;

	if (rd_u8(&r, &type) == 0 && rd_u8(&r, &code) == 0 &&
	    rd_skip(&r, 4) == 0 && rd_u16(&r, &mtu) == 0 &&
	    type == ICMP_UNREACHABLE && quoted_parse(r, &q) == 0 &&
	    q.dst == net->conf.guest_ip)
		t = (struct tcp *)flow_find(
		    net, NET_TCP, q.dst, q.dport, q.src, q.sport);
	if (t == NULL ||
	    !(code == UNREACH_FRAG ? tcp_narrow(net, t, q.seq, mtu)
				   : tcp_unwanted(net, t, q.seq, code)))
		stat_inc(net, NETS_ICMP_IGNORED);
}
