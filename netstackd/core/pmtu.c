/*
 * Path MTUs (RFC 1191): what passes to which address, as far as an error has
 * told.  The host's kernel knows, too, but forgets what it learnt of a socket
 * that is gone from its cache, and asking it costs a datagram.
 *
 * A table of fixed size in which a newcomer takes the place it hashes to.
 * Nothing is kept longer than ten minutes (6.3), so a path that has become
 * wider is found to be.
 */

#include "netstackd/core/core.h"

#define PMTU_LIFE (600 * USEC_SEC)

static struct pmtu *
pmtu_slot(struct net *net, uint32_t dst)
{
	uint32_t h = (dst ^ net->hash_key) * 0x9e3779b1u;

	return &net->pmtu[h >> (32 - PMTU_BITS)];
}

void
pmtu_learn(struct net *net, usec_t now, uint32_t dst, size_t mtu)
{
	struct pmtu *p = pmtu_slot(net, dst);

	if (mtu >= UINT16_MAX)
		return;
	stat_inc(net, NETS_PMTU_LEARNT);
	*p = (struct pmtu){
		.dst = dst, .mtu = (uint16_t)mtu, .until = now + PMTU_LIFE
	};
	if (net->pmtu_least == 0 || mtu < net->pmtu_least)
		net->pmtu_least = (uint16_t)mtu;
}

/* Most guests never meet a narrow path, and then one comparison is all. */
bool
pmtu_check(struct net *net, usec_t now, const struct ip4_pkt *pkt)
{
	size_t len = pkt->hdrlen + pkt->payload.len;
	const struct pmtu *p;

	if (!pkt->df || net->pmtu_least == 0 || len <= net->pmtu_least)
		return true;
	p = pmtu_slot(net, pkt->dst);
	if (p->dst != pkt->dst || now >= p->until || len <= p->mtu)
		return true;
	stat_inc(net, NETS_PMTU_TOOBIG);
	icmp_unreachable(net, now, pkt, NET_EMSGSIZE, p->mtu);
	return false;
}
