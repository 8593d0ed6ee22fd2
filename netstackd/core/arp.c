/*
 * ARP (RFC 826): says where the gateway and the host are, which is here.
 *
 * A question about any other address gets no answer: behind us there is no
 * Ethernet.  The guest's own address above all must get none, or its probe
 * for a duplicate (RFC 5227) would find one.  Announcements and answers of the
 * guest teach us nothing: its address was given by us.
 */

#include <string.h>

#include "netstackd/core/core.h"

#define ARP_LEN	    28
#define ARP_REQUEST 1
#define ARP_REPLY   2

struct arp {
	uint16_t htype, ptype, op;
	uint8_t hlen, plen;
	uint8_t sender_mac[6];
	uint32_t sender_ip, target_ip;
};

static int
arp_parse(struct rd *r, struct arp *a)
{
	if (rd_u16(r, &a->htype) == -1 || rd_u16(r, &a->ptype) == -1 ||
	    rd_u8(r, &a->hlen) == -1 || rd_u8(r, &a->plen) == -1 ||
	    rd_u16(r, &a->op) == -1 || rd_bytes(r, a->sender_mac, 6) == -1 ||
	    rd_u32(r, &a->sender_ip) == -1 || rd_skip(r, 6) == -1 ||
	    rd_u32(r, &a->target_ip) == -1)
		return -1;
	if (a->htype != 1 || a->ptype != 0x0800 || a->hlen != 6 || a->plen != 4)
		return -1;
	return 0;
}

static void
arp_reply(struct net *net, const struct arp *q)
{
	uint8_t *p;
	size_t room;

	p = ip4_space(net, &room);
	if (room < ETH_HDRLEN + ARP_LEN) {
		stat_inc(net, NETS_TX_FULL);
		return;
	}
	memcpy(p, q->sender_mac, 6);
	memcpy(p + 6, net->conf.server_mac, 6);
	put_u16(p + 12, 0x0806);
	p += ETH_HDRLEN;
	put_u16(p, 1);
	put_u16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	put_u16(p + 6, ARP_REPLY);
	memcpy(p + 8, net->conf.server_mac, 6);
	put_u32(p + 14, q->target_ip);
	memcpy(p + 18, q->sender_mac, 6);
	put_u32(p + 24, q->sender_ip);
	ip4_push(net, 0, ETH_HDRLEN + ARP_LEN);
	stat_inc(net, NETS_ARP_REPLIES);
}

void
arp_input(struct net *net, usec_t now, struct rd *r)
{
	struct arp q;
	enum ip4_dst who;

	if (arp_parse(r, &q) == -1) {
		stat_inc(net, NETS_RX_SHORT);
		return;
	}
	/* Nobody sends from a group address; an answer to one would go to
	 * everybody. */
	if (q.op != ARP_REQUEST || (q.sender_mac[0] & 1) != 0)
		return;
	if (q.sender_ip == net->conf.guest_ip &&
	    memcmp(q.sender_mac, net->rx_eth, sizeof(q.sender_mac)) == 0)
		net_learn_eth(net);
	who = ip4_classify(net, q.target_ip);
	if (who == DST_GATEWAY || who == DST_HOST)
		arp_reply(net, &q);
}
