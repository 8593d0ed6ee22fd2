/*
 * The fake VM's packets: Ethernet, ARP, IPv4 without options, UDP, ICMP echo
 * and TCP.  It has its own checksum on purpose: a test must not take the word
 * of what it tests.
 */

#include <string.h>

#include "common/rd.h"
#include "common/wr.h"

#include "fakevm.h"

#define ETH 14
#define IP  20

static uint32_t
sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += (i & 1) == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

static uint16_t
fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t
pseudo(const struct fv_pkt *p, size_t len)
{
	return (p->ip_src >> 16) + (p->ip_src & 0xffff) + (p->ip_dst >> 16) +
	       (p->ip_dst & 0xffff) + p->proto + (uint32_t)len;
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put_eth(struct wr *w, const struct fv_pkt *p, uint16_t type)
{
	wr_bytes(w, p->dst, 6);
	wr_bytes(w, p->src, 6);
	wr_u16(w, type);
}

/* The Ethernet and IPv4 headers for len bytes behind them. */
static struct wr
put_ip(uint8_t *out, const struct fv_pkt *p, size_t len)
{
	struct wr w = wr_init(out, FV_MAXFRAME);

	put_eth(&w, p, 0x0800);
	wr_u8(&w, 0x45);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(IP + len));
	wr_u16(&w, 0x1234);
	wr_u16(&w, 0);
	wr_u8(&w, p->ttl != 0 ? p->ttl : 64);
	wr_u8(&w, p->proto);
	wr_u16(&w, 0);
	wr_u32(&w, p->ip_src);
	wr_u32(&w, p->ip_dst);
	put16(out + ETH + 10, fold(sum16(0, out + ETH, IP)));
	return w;
}

size_t
fv_arp(uint8_t *out, const struct fv_pkt *p)
{
	struct wr w = wr_init(out, FV_MAXFRAME);

	put_eth(&w, p, 0x0806);
	wr_u16(&w, 1);
	wr_u16(&w, 0x0800);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_u16(&w, p->arp_op);
	wr_bytes(&w, p->arp_sha, 6);
	wr_u32(&w, p->ip_src);
	wr_bytes(&w, p->arp_tha, 6);
	wr_u32(&w, p->ip_dst);
	return w.len;
}

size_t
fv_udp(uint8_t *out, const struct fv_pkt *p)
{
	size_t len = 8 + p->len;
	struct wr w = put_ip(out, p, len);

	wr_u16(&w, p->sport);
	wr_u16(&w, p->dport);
	wr_u16(&w, (uint16_t)len);
	wr_u16(&w, 0);
	wr_bytes(&w, p->data, p->len);
	put16(out + ETH + IP + 6,
	    fold(sum16(pseudo(p, len), out + ETH + IP, len)));
	return w.len;
}

size_t
fv_icmp(uint8_t *out, const struct fv_pkt *p)
{
	size_t len = 8 + p->len;
	struct wr w = put_ip(out, p, len);

	wr_u8(&w, p->icmp_type);
	wr_u8(&w, p->icmp_code);
	wr_u16(&w, 0);
	wr_u16(&w, p->icmp_id);
	wr_u16(&w, p->icmp_seq);
	wr_bytes(&w, p->data, p->len);
	put16(out + ETH + IP + 2, fold(sum16(0, out + ETH + IP, len)));
	return w.len;
}

size_t
fv_tcp(uint8_t *out, const struct fv_pkt *p)
{
	static const uint8_t mss[4] = { 2, 4, 1460 >> 8, 1460 & 255 };
	size_t hlen = (p->flags & FV_SYN) != 0 ? 24 : 20;
	size_t len = hlen + p->len;
	struct wr w = put_ip(out, p, len);

	wr_u16(&w, p->sport);
	wr_u16(&w, p->dport);
	wr_u32(&w, p->seq);
	wr_u32(&w, p->ack);
	wr_u8(&w, (uint8_t)(hlen / 4 << 4));
	wr_u8(&w, p->flags);
	wr_u16(&w, p->window);
	wr_u32(&w, 0);
	wr_bytes(&w, mss, hlen - 20);
	wr_bytes(&w, p->data, p->len);
	put16(out + ETH + IP + 16,
	    fold(sum16(pseudo(p, len), out + ETH + IP, len)));
	return w.len;
}

size_t
fv_raw(uint8_t *out, const uint8_t dst[6], const uint8_t src[6], uint16_t type,
    uint8_t fill, size_t len)
{
	memcpy(out, dst, 6);
	memcpy(out + 6, src, 6);
	put16(out + 12, type);
	memset(out + ETH, fill, len);
	return ETH + len;
}

/*
 * Reading.
 */

static int
parse_arp(struct rd r, struct fv_pkt *p)
{
	if (rd_skip(&r, 6) == -1 || rd_u16(&r, &p->arp_op) == -1 ||
	    rd_bytes(&r, p->arp_sha, 6) == -1 || rd_u32(&r, &p->ip_src) == -1 ||
	    rd_bytes(&r, p->arp_tha, 6) == -1 || rd_u32(&r, &p->ip_dst) == -1)
		return -1;
	return 0;
}

static int
parse_udp(struct rd r, struct fv_pkt *p)
{
	uint16_t len, sum;
	size_t all = r.len;
	const uint8_t *start = r.p;

	if (rd_u16(&r, &p->sport) == -1 || rd_u16(&r, &p->dport) == -1 ||
	    rd_u16(&r, &len) == -1 || rd_u16(&r, &sum) == -1 || len != all)
		return -1;
	p->data = r.p;
	p->len = r.len;
	return sum == 0 || fold(sum16(pseudo(p, all), start, all)) == 0 ? 0
									: -1;
}

static int
parse_icmp(struct rd r, struct fv_pkt *p)
{
	if (fold(sum16(0, r.p, r.len)) != 0 || rd_u8(&r, &p->icmp_type) == -1 ||
	    rd_u8(&r, &p->icmp_code) == -1 || rd_skip(&r, 2) == -1 ||
	    rd_u16(&r, &p->icmp_id) == -1 || rd_u16(&r, &p->icmp_seq) == -1)
		return -1;
	p->data = r.p;
	p->len = r.len;
	return 0;
}

static int
parse_tcp(struct rd r, struct fv_pkt *p)
{
	uint8_t off;

	if (fold(sum16(pseudo(p, r.len), r.p, r.len)) != 0 ||
	    rd_u16(&r, &p->sport) == -1 || rd_u16(&r, &p->dport) == -1 ||
	    rd_u32(&r, &p->seq) == -1 || rd_u32(&r, &p->ack) == -1 ||
	    rd_u8(&r, &off) == -1 || rd_u8(&r, &p->flags) == -1 ||
	    rd_u16(&r, &p->window) == -1 || rd_skip(&r, 4) == -1 ||
	    (off >> 4) < 5 || rd_skip(&r, (size_t)(off >> 4) * 4 - 20) == -1)
		return -1;
	p->data = r.p;
	p->len = r.len;
	return 0;
}

static int
parse_ip(struct rd r, struct fv_pkt *p)
{
	uint16_t len;
	struct rd body;

	if (r.len < IP || r.p[0] != 0x45 || fold(sum16(0, r.p, IP)) != 0 ||
	    rd_skip(&r, 2) == -1 || rd_u16(&r, &len) == -1 ||
	    rd_skip(&r, 4) == -1 || rd_u8(&r, &p->ttl) == -1 ||
	    rd_u8(&r, &p->proto) == -1 || rd_skip(&r, 2) == -1 ||
	    rd_u32(&r, &p->ip_src) == -1 || rd_u32(&r, &p->ip_dst) == -1 ||
	    len < IP || rd_sub(&r, (size_t)len - IP, &body) == -1)
		return -1;
	switch (p->proto) {
	case 1:
		return parse_icmp(body, p);
	case 6:
		return parse_tcp(body, p);
	case 17:
		return parse_udp(body, p);
	default:
		p->data = body.p;
		p->len = body.len;
		return 0;
	}
}

int
fv_parse(const uint8_t *frame, size_t len, struct fv_pkt *p)
{
	struct rd r = rd_init(frame, len);

	memset(p, 0, sizeof(*p));
	if (rd_bytes(&r, p->dst, 6) == -1 || rd_bytes(&r, p->src, 6) == -1 ||
	    rd_u16(&r, &p->type) == -1)
		return -1;
	p->data = r.p;
	p->len = r.len;
	if (p->type == 0x0806)
		return parse_arp(r, p);
	if (p->type == 0x0800)
		return parse_ip(r, p);
	return 0;
}
