/*
 * ARP (RFC 826): says where the gateway and the host are, which is here.
 *
 * A question about any other address gets no answer: behind us there is no
 * Ethernet.  The guest's own address above all must get none, or its probe
 * for a duplicate (RFC 5227) would find one.  Announcements and answers of the
 * guest teach us nothing: its address was given by us.
 *
 * Who speaks as another is not served.  A client that comes from another
 * network asks its old router from its old address (RFC 4436), and an answer
 * would tell it that it is still there.  Who speaks as the gateway or the host
 * is contradicted, once in ten seconds (RFC 5227 2.4 c).
 */

#include <string.h>

#include "netstackd/core/core.h"

#define ARP_LEN	    28
#define ARP_REQUEST 1
#define ARP_REPLY   2

#define ARP_DEFEND_INTERVAL (10 * USEC_SEC)

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

/* One packet that says that ip is at the server's address. */
static int
arp_say(struct net *net, uint16_t op, const uint8_t *eth_dst, uint32_t ip,
    const uint8_t *target_mac, uint32_t target_ip)
{
	uint8_t *p;
	size_t room;

	p = ip4_space(net, &room);
	if (room < ETH_HDRLEN + ARP_LEN) {
		stat_inc(net, NETS_TX_FULL);
		return -1;
	}
	memcpy(p, eth_dst, 6);
	memcpy(p + 6, net->conf.server_mac, 6);
	put_u16(p + 12, 0x0806);
	p += ETH_HDRLEN;
	put_u16(p, 1);
	put_u16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	put_u16(p + 6, op);
	memcpy(p + 8, net->conf.server_mac, 6);
	put_u32(p + 14, ip);
	memcpy(p + 18, target_mac, 6);
	put_u32(p + 24, target_ip);
	ip4_push(net, 0, ETH_HDRLEN + ARP_LEN);
	return 0;
}

/* The guest says that it is who: everybody is told otherwise. */
static void
arp_defend(struct net *net, usec_t now, enum ip4_dst who, uint32_t ip)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t none[6];
	usec_t *next = &net->arp_defend[who == DST_HOST];

	stat_inc(net, NETS_ARP_CONFLICT);
	if (now < *next || arp_say(net, ARP_REQUEST, all, ip, none, ip) == -1)
		return;
	*next = now + ARP_DEFEND_INTERVAL;
	stat_inc(net, NETS_ARP_DEFENDED);
}

/* May this sender speak?  Counts when not. */
static bool
arp_sender_ok(struct net *net, usec_t now, const struct arp *a)
{
	enum ip4_dst who = ip4_classify(net, a->sender_ip);

	/* Nobody sends from a group address; an answer to one would go to
	 * everybody. */
	if ((a->sender_mac[0] & 1) != 0)
		return false;
	/* 0 is a probe's. */
	if (a->sender_ip == 0 || who == DST_GUEST)
		return true;
	if (who == DST_GATEWAY || who == DST_HOST)
		arp_defend(net, now, who, a->sender_ip);
	else
		stat_inc(net, NETS_ARP_FOREIGN);
	return false;
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
	if (!arp_sender_ok(net, now, &q) || q.op != ARP_REQUEST)
		return;
	if (q.sender_ip == net->conf.guest_ip &&
	    memcmp(q.sender_mac, net->rx_eth, sizeof(q.sender_mac)) == 0)
		net_learn_eth(net);
	who = ip4_classify(net, q.target_ip);
	if ((who == DST_GATEWAY || who == DST_HOST) &&
	    arp_say(net, ARP_REPLY, q.sender_mac, q.target_ip, q.sender_mac,
		q.sender_ip) == 0)
		stat_inc(net, NETS_ARP_REPLIES);
}
