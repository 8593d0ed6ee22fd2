/*
 * The DHCP server (RFC 2131) of a network with one client, whose address is
 * the only one there is to give.  It keeps nothing: every message is answered
 * from the configuration alone, so an answer is right after a restart too.
 *
 *	DISCOVER			OFFER
 *	REQUEST, for another server	nothing
 *	REQUEST, our address		ACK: selecting, INIT-REBOOT, renewing
 *					and rebinding alike
 *	REQUEST, any other address	NAK
 *	INFORM				ACK without address and lease
 *	DECLINE, RELEASE, BOOTP		nothing
 *
 * A client may live behind a relay: the answer then goes to giaddr.
 */

#include <string.h>

#include "netstackd/core/dhcp.h"

#define BOOTP_REQUEST  1
#define BOOTP_REPLY    2
#define BOOTP_LEN      236 /* the fixed part, before the cookie */
#define BOOTP_MIN      300 /* RFC 1542 2.1: shorter ones get lost */
#define COOKIE	       0x63825363
#define FLAG_BROADCAST 0x8000

#define DHCP_HDRLEN (IP4_HDRLEN + 8)

static const uint8_t eth_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static int
dhcp_parse(struct rd *r, struct dhcp_msg *m)
{
	struct rd sname, file;
	uint8_t op, htype, hlen;
	uint32_t cookie;

	memset(m, 0, sizeof(*m));
	if (rd_u8(r, &op) == -1 || rd_u8(r, &htype) == -1 ||
	    rd_u8(r, &hlen) == -1 || rd_skip(r, 1) == -1 ||
	    rd_u32(r, &m->xid) == -1 || rd_skip(r, 2) == -1 ||
	    rd_u16(r, &m->flags) == -1 || rd_u32(r, &m->ciaddr) == -1 ||
	    rd_skip(r, 8) == -1 || rd_u32(r, &m->giaddr) == -1 ||
	    rd_bytes(r, m->chaddr, sizeof(m->chaddr)) == -1 ||
	    rd_sub(r, 64, &sname) == -1 || rd_sub(r, 128, &file) == -1 ||
	    rd_u32(r, &cookie) == -1)
		return -1;
	if (op != BOOTP_REQUEST || htype != 1 || hlen != 6 ||
	    (m->chaddr[0] & 1) != 0 || cookie != COOKIE)
		return -1;
	/* RFC 2131 4.1: in this order. */
	if (dhcp_opt_parse(*r, m) == -1 ||
	    ((m->overload & DHCP_OVERLOAD_FILE) != 0 &&
		dhcp_opt_parse(file, m) == -1) ||
	    ((m->overload & DHCP_OVERLOAD_SNAME) != 0 &&
		dhcp_opt_parse(sname, m) == -1))
		return -1;
	return 0;
}

/* The type of the answer; 0 for none. */
static enum dhcp_type
dhcp_decide(const struct net *net, const struct dhcp_msg *m)
{
	uint32_t want = m->requested != 0 ? m->requested : m->ciaddr;

	switch (m->type) {
	case DHCP_DISCOVER:
		return DHCP_OFFER;
	case DHCP_REQUEST:
		if (m->server_id != 0 && m->server_id != net->conf.gateway_ip)
			return 0;
		return want == net->conf.guest_ip ? DHCP_ACK : DHCP_NAK;
	case DHCP_INFORM:
		return DHCP_ACK;
	}
	return 0;
}

static void
dhcp_write(const struct net *net, const struct dhcp_msg *m, enum dhcp_type type,
    struct wr *w)
{
	static const uint8_t sname[64] = "vpnkit";
	bool nak = type == DHCP_NAK, inform = m->type == DHCP_INFORM;
	uint16_t flags = m->flags;

	/* A relay sends a NAK to everybody only when told (RFC 2131 4.3.2). */
	if (nak && m->giaddr != 0)
		flags |= FLAG_BROADCAST;
	(void)wr_u8(w, BOOTP_REPLY);
	(void)wr_u8(w, 1);
	(void)wr_u8(w, 6);
	(void)wr_u8(w, 0);
	(void)wr_u32(w, m->xid);
	(void)wr_u16(w, 0);
	(void)wr_u16(w, flags);
	(void)wr_u32(w, type == DHCP_ACK ? m->ciaddr : 0);
	(void)wr_u32(w, nak || inform ? 0 : net->conf.guest_ip);
	(void)wr_u32(w, nak ? 0 : net->conf.gateway_ip);
	(void)wr_u32(w, m->giaddr);
	(void)wr_bytes(w, m->chaddr, sizeof(m->chaddr));
	(void)wr_bytes(w, sname, sizeof(sname));
	(void)wr_zero(w, 128);
	(void)wr_u32(w, COOKIE);
	dhcp_opt_write(net, m, type, w);
	if (w->len < BOOTP_MIN)
		(void)wr_zero(w, BOOTP_MIN - w->len);
}

/* Where the answer goes (RFC 2131 4.1); returns the UDP port. */
static uint16_t
dhcp_address(const struct net *net, const struct dhcp_msg *m,
    enum dhcp_type type, struct ip4_out *o)
{
	o->eth_dst = m->chaddr;
	if (m->giaddr != 0) {
		o->eth_dst = net->guest_eth;
		o->dst = m->giaddr;
		return DHCP_SERVER_PORT;
	}
	if (type != DHCP_NAK && m->ciaddr != 0) {
		o->dst = m->ciaddr;
	} else if (type == DHCP_NAK || (m->flags & FLAG_BROADCAST) != 0) {
		o->eth_dst = eth_all;
		o->dst = 0xffffffff;
	} else {
		o->dst = net->conf.guest_ip;
	}
	return DHCP_CLIENT_PORT;
}

static void
dhcp_reply(struct net *net, const struct dhcp_msg *m, enum dhcp_type type)
{
	struct ip4_out o = { .src = net->conf.gateway_ip,
		.proto = IPPROTO4_UDP };
	size_t room, max = 576;
	uint8_t *frame, *udp;
	struct wr w;
	uint16_t port, sum;

	if (m->max_size > max)
		max = m->max_size < net->conf.mtu ? m->max_size : net->conf.mtu;
	frame = ip4_space(net, &room);
	if (room < ETH_HDRLEN + max) {
		stat_inc(net, NETS_TX_FULL);
		return;
	}
	udp = frame + FRAME_HDRLEN;
	w = wr_init(udp + 8, max - DHCP_HDRLEN);
	dhcp_write(net, m, type, &w);
	port = dhcp_address(net, m, type, &o);
	put_u16(udp, DHCP_SERVER_PORT);
	put_u16(udp + 2, port);
	put_u16(udp + 4, (uint16_t)(8 + w.len));
	put_u16(udp + 6, 0);
	sum = cksum_finish(
	    cksum_add(cksum_pseudo(o.src, o.dst, IPPROTO4_UDP, 8 + w.len), udp,
		8 + w.len));
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, sizeof(sum));
	ip4_put(net, frame, &o, 8 + w.len);
	ip4_push(net, 0, FRAME_HDRLEN + 8 + w.len);
	stat_inc(net, NETS_DHCP_TX);
	if (type == DHCP_NAK)
		stat_inc(net, NETS_DHCP_NAK);
}

void
dhcp_input(
    struct net *net, usec_t now, const struct ip4_pkt *pkt, struct rd *payload)
{
	struct dhcp_msg m;
	enum dhcp_type type;

	stat_inc(net, NETS_DHCP_RX);
	if (dhcp_parse(payload, &m) == -1) {
		stat_inc(net, NETS_DHCP_BAD);
		return;
	}
	/* INFORM comes from an address; not every client repeats it. */
	if (m.type == DHCP_INFORM && m.ciaddr == 0)
		m.ciaddr = pkt->src;
	if (m.type == DHCP_DECLINE)
		stat_inc(net, NETS_DHCP_DECLINED);
	if ((type = dhcp_decide(net, &m)) != 0)
		dhcp_reply(net, &m, type);
}
