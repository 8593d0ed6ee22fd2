/*
 * What a virtio card would do for the guest's kernel.
 *
 * Out: a TCP segment of up to 64 KiB is cut into frames of the MSS, and
 * checksums that the kernel has left open are filled in.
 *
 * In: segments of one flow that follow one another in one read become a large
 * one again, whose checksum the kernel does not ask for.
 *
 * All of it is IPv4 and TCP; what is not, or is not plain, passes as it is.
 */

#include <arpa/inet.h>
#include <string.h>

#include "tapshim.h"

/* Offsets in a frame whose IPv4 header has no options. */
#define O_IP	  14
#define O_IPLEN	  16
#define O_IPID	  18
#define O_IPFRAG  20
#define O_IPPROTO 23
#define O_IPSUM	  24
#define O_ADDRS	  26 /* both, 8 bytes */
#define O_TCP	  34
#define IP_HDRLEN 20
/* Offsets in a TCP header. */
#define T_SEQ	4
#define T_ACK	8
#define T_OFF	12
#define T_FLAGS 13
#define T_WIN	14
#define T_SUM	16
#define T_OPTS	20

#define ETHERTYPE_IP4 0x0800
#define PROTO_TCP     6
#define TCP_FIN	      0x01
#define TCP_PSH	      0x08
#define TCP_ACKED     0x10
#define TCP_CWR	      0x80
#define FRAG_MASK     0x3fff /* more fragments, or an offset */
#define MERGE_PAYLOAD 16000  /* larger ones are large enough */
#define MERGE_MAX     65500

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/*
 * Sums of 16-bit words in memory order (RFC 1071): what put_sum() stores needs
 * no swapping, and values that are added have to be in network order.
 */
static uint64_t
sum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	uint32_t word;
	uint16_t half = 0;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len >= sizeof(half)) {
		memcpy(&half, p, sizeof(half));
		sum += half;
		p += sizeof(half);
		len -= sizeof(half);
	}
	if (len > 0) {
		half = 0;
		memcpy(&half, p, 1);
		sum += half;
	}
	return sum;
}

static uint16_t
sum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void
put_sum(uint8_t *p, uint16_t sum)
{
	memcpy(p, &sum, sizeof(sum));
}

/* Of the pseudo header, but for the length. */
static uint64_t
sum_pseudo(const uint8_t *frame)
{
	return sum_add(htons(PROTO_TCP), frame + O_ADDRS, 8);
}

/*
 * Out.
 */

/* A segment that is being cut. */
struct cut {
	const uint8_t *frame;
	size_t tcp, hdrlen; /* offset of TCP's header; length of all headers */
	uint64_t ip_sum;    /* without length, id and checksum */
	uint64_t tcp_sum;   /* of the pseudo header, without length */
};

/* The piece [off, off + len) of the payload as a frame of its own. */
static void
cut_piece(struct shim *s, const struct cut *c, size_t off, size_t len,
    uint16_t id, bool last)
{
	uint8_t *p = stage_next(s), *tcp = p + c->tcp;
	size_t iplen = c->hdrlen - ETH_HDRLEN + len;
	size_t tcplen = c->hdrlen - c->tcp + len;

	memcpy(p, c->frame, c->hdrlen);
	memcpy(p + c->hdrlen, c->frame + c->hdrlen + off, len);
	put16(p + O_IPLEN, iplen);
	put16(p + O_IPID, id);
	put_sum(
	    p + O_IPSUM, (uint16_t)~sum_fold(
			     c->ip_sum + htons((uint16_t)iplen) + htons(id)));
	put32(tcp + T_SEQ, get32(c->frame + c->tcp + T_SEQ) + (uint32_t)off);
	if (!last)
		tcp[T_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (off > 0)
		tcp[T_FLAGS] &= (uint8_t)~TCP_CWR;
	put_sum(tcp + T_SUM, 0);
	put_sum(tcp + T_SUM,
	    (uint16_t)~sum_fold(
		sum_add(c->tcp_sum + htons((uint16_t)tcplen), tcp, tcplen)));
	stage_commit(s, c->hdrlen + len);
}

static void
cut_segment(struct shim *s, const uint8_t *frame, size_t len, size_t mss)
{
	size_t off, piece, iphdr = (size_t)(frame[O_IP] & 15) * 4;
	struct cut c = { .frame = frame, .tcp = O_IP + iphdr };
	uint16_t id = get16(frame + O_IPID);

	c.hdrlen = c.tcp + (size_t)(frame[c.tcp + T_OFF] >> 4) * 4;
	if (len < c.hdrlen || mss == 0)
		return;
	c.ip_sum = sum_add(0, frame + O_IP, O_IPLEN - O_IP);
	c.ip_sum = sum_add(c.ip_sum, frame + O_IPFRAG, O_IPSUM - O_IPFRAG);
	c.ip_sum = sum_add(c.ip_sum, frame + O_ADDRS, iphdr - (O_ADDRS - O_IP));
	c.tcp_sum = sum_pseudo(frame);
	s->stat.out_super++;
	for (off = 0; off < len - c.hdrlen; off += piece) {
		piece = len - c.hdrlen - off;
		if (piece > mss)
			piece = mss;
		cut_piece(
		    s, &c, off, piece, id++, off + piece == len - c.hdrlen);
	}
}

/* The checksum's own field holds the sum of the pseudo header already. */
static void
fill_checksum(const struct virtio_net_hdr *h, uint8_t *frame, size_t len)
{
	uint16_t sum = (uint16_t)~sum_fold(
	    sum_add(0, frame + h->csum_start, len - h->csum_start));

	put_sum(
	    frame + h->csum_start + h->csum_offset, sum != 0 ? sum : 0xffff);
}

void
offload_out(struct shim *s, const uint8_t *super, size_t len)
{
	struct virtio_net_hdr h;
	uint8_t *p;

	if (len <= sizeof(h))
		return;
	memcpy(&h, super, sizeof(h));
	super += sizeof(h);
	len -= sizeof(h);
	if ((h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) ==
	    VIRTIO_NET_HDR_GSO_TCPV4) {
		cut_segment(s, super, len, h.gso_size);
		return;
	}
	p = stage_next(s);
	memcpy(p, super, len);
	if ((h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0)
		fill_checksum(&h, p, len);
	stage_commit(s, len);
}

/*
 * In.
 */

static void
merge_header(struct merge *m)
{
	uint8_t *f = m->hdr + sizeof(struct virtio_net_hdr);
	size_t iplen = m->hdrlen - ETH_HDRLEN + m->paylen;
	size_t tcplen = m->hdrlen - O_TCP + m->paylen;
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)m->hdrlen,
		.gso_size = (uint16_t)m->mss,
		.csum_start = O_TCP,
		.csum_offset = T_SUM,
	};

	memcpy(m->hdr, &h, sizeof(h));
	memcpy(f, m->first, m->hdrlen);
	put16(f + O_IPLEN, iplen);
	put_sum(f + O_IPSUM, 0);
	put_sum(
	    f + O_IPSUM, (uint16_t)~sum_fold(sum_add(0, f + O_IP, IP_HDRLEN)));
	f[O_TCP + T_FLAGS] |= m->flags & TCP_PSH;
	put_sum(f + O_TCP + T_SUM,
	    sum_fold(sum_pseudo(f) + htons((uint16_t)tcplen)));
}

static void
merge_flush(struct shim *s, struct merge *m)
{
	if (!m->used)
		return;
	m->used = false;
	if (m->segs == 1) {
		tap_write_frame(s, m->first, m->hdrlen + m->paylen);
		return;
	}
	merge_header(m);
	m->iov[0].iov_base = m->hdr;
	m->iov[0].iov_len = sizeof(struct virtio_net_hdr) + m->hdrlen;
	tap_write(s, m->iov, 1 + (int)m->segs);
	s->stat.in_merged += m->segs;
}

void
offload_flush(struct shim *s)
{
	size_t i;

	for (i = 0; i < MERGES; i++)
		merge_flush(s, &s->merge[i]);
}

static void
merge_add(struct merge *m, const uint8_t *payload, size_t len, uint8_t flags)
{
	struct iovec *iov = &m->iov[1 + m->segs++];

	iov->iov_base = (void *)(uintptr_t)payload;
	iov->iov_len = len;
	m->paylen += len;
	m->next_seq += (uint32_t)len;
	m->flags |= flags;
	m->closed = len < m->mss;
}

static void
merge_begin(struct merge *m, const uint8_t *frame, size_t hdrlen, size_t len)
{
	m->used = true;
	m->first = frame;
	m->hdrlen = hdrlen;
	m->paylen = 0;
	m->segs = 0;
	m->mss = (unsigned)len;
	m->flags = 0;
	m->next_seq = get32(frame + O_TCP + T_SEQ);
	merge_add(m, frame + hdrlen, len, frame[O_TCP + T_FLAGS]);
}

/* Same flow, the next bytes of it, and the same in all other fields. */
static bool
merge_fits(
    const struct merge *m, const uint8_t *frame, size_t hdrlen, size_t len)
{
	const uint8_t *a = m->first + O_TCP, *b = frame + O_TCP;

	return !m->closed && len <= m->mss && m->segs < MERGE_SEGS &&
	       m->hdrlen == hdrlen && m->hdrlen + m->paylen + len < MERGE_MAX &&
	       m->next_seq == get32(b + T_SEQ) &&
	       memcmp(m->first + O_ADDRS, frame + O_ADDRS, 12) == 0 &&
	       memcmp(a + T_ACK, b + T_ACK, T_FLAGS - T_ACK) == 0 &&
	       memcmp(a + T_WIN, b + T_WIN, T_SUM - T_WIN) == 0 &&
	       memcmp(a + T_OPTS, b + T_OPTS, hdrlen - O_TCP - T_OPTS) == 0;
}

static bool
is_plain_tcp(const uint8_t *frame, size_t len)
{
	return len >= O_TCP + T_OPTS && get16(frame + 12) == ETHERTYPE_IP4 &&
	       frame[O_IP] == 0x45 && frame[O_IPPROTO] == PROTO_TCP &&
	       (get16(frame + O_IPFRAG) & FRAG_MASK) == 0;
}

void
offload_in(struct shim *s, const uint8_t *frame, size_t len)
{
	size_t hdrlen, total;
	uint32_t ports;
	struct merge *m;

	if (!is_plain_tcp(frame, len)) {
		tap_write_frame(s, frame, len);
		return;
	}
	memcpy(&ports, frame + O_TCP, sizeof(ports));
	m = &s->merge[(ports * 2654435761u) >> 28];
	hdrlen = O_TCP + (size_t)(frame[O_TCP + T_OFF] >> 4) * 4;
	total = ETH_HDRLEN + get16(frame + O_IPLEN); /* without padding */
	if (hdrlen < O_TCP + T_OPTS || hdrlen >= total || total > len ||
	    total - hdrlen > MERGE_PAYLOAD ||
	    (frame[O_TCP + T_FLAGS] & ~(TCP_PSH | TCP_ACKED)) != 0) {
		merge_flush(s, m);
		tap_write_frame(s, frame, total < len ? total : len);
		return;
	}
	if (m->used && merge_fits(m, frame, hdrlen, total - hdrlen)) {
		merge_add(
		    m, frame + hdrlen, total - hdrlen, frame[O_TCP + T_FLAGS]);
		return;
	}
	merge_flush(s, m);
	merge_begin(m, frame, hdrlen, total - hdrlen);
}
