/*
 * The vnet header, and what a card would do for it: checksums, and TCP's and
 * UDP's segmentation over IPv4.
 *
 * Segments are as Linux makes them: each with the headers of the whole, but
 * for lengths, sums, the sequence number and an identification that counts up;
 * FIN and PSH are on the last, CWR is on the first (RFC 3168 6.1.2).
 */

#include <string.h>

#include "common/cksum.h"
#include "common/vnet.h"
#include "common/wr.h"

/* Flags and kinds of the header. */
#define F_NEEDS_CSUM 1
#define F_DATA_VALID 2
#define GSO_NONE     0
#define GSO_TCPV4    1
#define GSO_UDP_L4   5 /* virtio 1.3; since Linux 6.2 */

#define ETH_ADDRS      12
#define ETH_HDRLEN     14
#define ETHERTYPE_IP4  0x0800
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define MAXVLAN	       2
#define IP4_HDRLEN     20
#define IP4_FRAGMENT   0x3fff /* more of them, or an offset */
#define IPPROTO4_TCP   6
#define IPPROTO4_UDP   17
#define TCP_HDRLEN     20
#define TCP_SUM_OFF    16
#define UDP_SUM_OFF    6
#define TCP_FIN	       0x01
#define TCP_PSH	       0x08
#define TCP_CWR	       0x80

/* Offsets in the headers of IPv4, TCP and UDP. */
#define IP_LEN	  2
#define IP_ID	  4
#define IP_SUM	  10
#define IP_ADDRS  12
#define TCP_SEQ	  4
#define TCP_FLAGS 13
#define UDP_LEN	  4

/* In the byte order of this machine, which shares it with the guest. */
static int
rd_host16(struct rd *r, uint16_t *v)
{
	return rd_bytes(r, v, sizeof(*v));
}

/* The part of the frame behind Ethernet's header, and VLAN's; its kind. */
static int
eth_skip(struct rd *r, uint16_t *type)
{
	int i;

	if (rd_skip(r, ETH_ADDRS) == -1 || rd_u16(r, type) == -1)
		return -1;
	for (i = 0; i < MAXVLAN; i++) {
		if (*type != ETHERTYPE_VLAN && *type != ETHERTYPE_QINQ)
			break;
		if (rd_skip(r, 2) == -1 || rd_u16(r, type) == -1)
			return -1;
	}
	return 0;
}

/*
 * Finds the IPv4 packet, not a fragment, in a frame; *l4 becomes what it
 * carries, without what the frame has behind it.
 */
static int
find_ip4(struct rd r, const uint8_t **ip, uint8_t *proto, struct rd *l4)
{
	uint16_t type, len, frag;
	struct rd whole;
	uint8_t vihl;
	size_t ihl;

	if (eth_skip(&r, &type) == -1 || type != ETHERTYPE_IP4)
		return -1;
	whole = r;
	if (rd_u8(&r, &vihl) == -1 || rd_skip(&r, 1) == -1 ||
	    rd_u16(&r, &len) == -1 || rd_skip(&r, 2) == -1 ||
	    rd_u16(&r, &frag) == -1 || rd_skip(&r, 1) == -1 ||
	    rd_u8(&r, proto) == -1)
		return -1;
	ihl = (size_t)(vihl & 15) * 4;
	if (vihl >> 4 != 4 || ihl < IP4_HDRLEN || (frag & IP4_FRAGMENT) != 0)
		return -1;
	*ip = whole.p;
	if (rd_sub(&whole, len, l4) == -1)
		return -1;
	return rd_skip(l4, ihl);
}

/* Whether it is an ordinary packet whose own checksum is missing. */
static void
look(const struct rd *r, struct vnet *v)
{
	const uint8_t *ip;
	struct rd l4, hdr;
	uint8_t proto, doff;

	if (!v->sum || find_ip4(*r, &ip, &proto, &l4) == -1 ||
	    l4.p != r->p + v->start)
		return;
	v->ip = (uint16_t)(ip - r->p);
	if (proto == IPPROTO4_UDP) {
		v->plain = v->off == UDP_SUM_OFF && l4.len >= 8;
	} else if (proto == IPPROTO4_TCP && v->off == TCP_SUM_OFF) {
		hdr = l4;
		if (rd_skip(&hdr, 12) == -1 || rd_u8(&hdr, &doff) == -1 ||
		    doff >> 4 < TCP_HDRLEN / 4 ||
		    rd_skip(&l4, (doff >> 4) * 4u) == -1)
			return;
		v->plain = true;
		v->hdrlen = (uint16_t)(l4.p - r->p);
		v->plen = (uint16_t)l4.len;
	}
}

int
vnet_read(struct rd *r, struct vnet *v)
{
	uint16_t hint, seg;
	uint8_t flags, gso;

	memset(v, 0, sizeof(*v));
	if (rd_u8(r, &flags) == -1 || rd_u8(r, &gso) == -1 ||
	    rd_host16(r, &hint) == -1 || rd_host16(r, &seg) == -1 ||
	    rd_host16(r, &v->start) == -1 || rd_host16(r, &v->off) == -1)
		return -1;
	if ((flags & ~(F_NEEDS_CSUM | F_DATA_VALID)) != 0 ||
	    (gso != GSO_NONE && gso != GSO_TCPV4) || hint > r->len ||
	    r->len > UINT16_MAX)
		return -1;
	v->sum = (flags & F_NEEDS_CSUM) != 0;
	if (v->sum &&
	    (v->start < ETH_HDRLEN || (size_t)v->start + v->off + 2 > r->len))
		return -1;
	look(r, v);
	if (gso == GSO_NONE)
		return 0;
	/* Only TCP's has a length of the headers. */
	if (seg == 0 || !v->plain || v->hdrlen == 0)
		return -1;
	v->seg = seg;
	return 0;
}

static void
put_host16(struct wr *w, uint16_t v)
{
	wr_bytes(w, &v, sizeof(v));
}

void
vnet_write(uint8_t *p, const struct vnet *v)
{
	struct wr w = wr_init(p, VNET_HDRLEN);

	wr_u8(&w, v->sum ? F_NEEDS_CSUM : 0);
	wr_u8(&w, v->seg == 0 ? GSO_NONE : v->udp ? GSO_UDP_L4 : GSO_TCPV4);
	put_host16(&w, v->hdrlen);
	put_host16(&w, v->seg);
	put_host16(&w, v->sum ? v->start : 0);
	put_host16(&w, v->sum ? v->off : 0);
}

void
vnet_complete(uint8_t *frame, size_t len, const struct vnet *v)
{
	uint16_t sum;

	if (!v->sum)
		return;
	sum = cksum_finish(cksum_add(0, frame + v->start, len - v->start));
	if (sum == 0)
		sum = 0xffff; /* UDP: 0 would mean that there is none */
	memcpy(frame + v->start + v->off, &sum, sizeof(sum));
}

void
vnet_cut(struct vnet_cut *c, const struct vnet *v, const uint8_t *frame)
{
	*c = (struct vnet_cut){ .v = v, .frame = frame };
}

static void
put_at(uint8_t *p, size_t off, uint16_t v)
{
	struct wr w = wr_init(p + off, sizeof(v));

	wr_u16(&w, v);
}

static uint32_t
get32(const uint8_t *p, size_t off)
{
	struct rd r = rd_init(p + off, 4);
	uint32_t v = 0;

	rd_u32(&r, &v);
	return v;
}

static uint16_t
get16(const uint8_t *p, size_t off)
{
	struct rd r = rd_init(p + off, 2);
	uint16_t v = 0;

	rd_u16(&r, &v);
	return v;
}

/* The checksum of the len bytes from TCP's or UDP's header on. */
static void
cut_sum(const struct vnet *v, uint8_t *out, uint8_t proto, size_t len)
{
	const uint8_t *ip = out + v->ip;
	uint8_t *l4 = out + v->start;
	uint32_t sum;
	uint16_t field;

	put_at(l4, v->off, 0);
	sum = cksum_pseudo(
	    get32(ip, IP_ADDRS), get32(ip, IP_ADDRS + 4), proto, len);
	field = cksum_finish(cksum_add(sum, l4, len));
	if (field == 0 && v->udp)
		field = 0xffff; /* 0 would mean that there is none */
	memcpy(l4 + v->off, &field, sizeof(field));
}

static void
cut_tcp(const struct vnet_cut *c, uint8_t *tcp, bool last)
{
	struct wr seq = wr_init(tcp + TCP_SEQ, 4);

	wr_u32(
	    &seq, get32(c->frame, c->v->start + TCP_SEQ) + (uint32_t)c->done);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (c->n > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

/* The headers at out, of the segment that now has n bytes behind them. */
static void
cut_headers(const struct vnet_cut *c, uint8_t *out, size_t n, bool last)
{
	const struct vnet *v = c->v;
	uint8_t *ip = out + v->ip;
	size_t len = v->hdrlen - v->start + n;
	uint16_t field;

	put_at(ip, IP_LEN, (uint16_t)(v->hdrlen - v->ip + n));
	put_at(ip, IP_ID, (uint16_t)(get16(c->frame, v->ip + IP_ID) + c->n));
	put_at(ip, IP_SUM, 0);
	field = cksum_finish(cksum_add(0, ip, (size_t)(v->start - v->ip)));
	memcpy(ip + IP_SUM, &field, sizeof(field));
	if (v->udp)
		put_at(out + v->start, UDP_LEN, (uint16_t)len);
	else
		cut_tcp(c, out + v->start, last);
	cut_sum(v, out, v->udp ? IPPROTO4_UDP : IPPROTO4_TCP, len);
}

size_t
vnet_cut_next(struct vnet_cut *c, uint8_t *out, size_t room)
{
	const struct vnet *v = c->v;
	size_t n = v->plen - c->done;

	if (n > v->seg)
		n = v->seg;
	if (c->over || room < v->hdrlen + n)
		return 0;
	memcpy(out, c->frame, v->hdrlen);
	memcpy(out + v->hdrlen, c->frame + v->hdrlen + c->done, n);
	c->over = c->done + n == v->plen;
	cut_headers(c, out, n, c->over);
	c->done += n;
	c->n++;
	return v->hdrlen + n;
}
