/*
 * The header of a vnet TAP, checksums left open, and segmentation.
 */

#include <string.h>

#include "common/cksum.h"
#include "common/vnet.h"
#include "common/wr.h"
#include "tests/check_main.h"
#include "tests/unit/guard.h"

#define MAXFRAME 65535

/* A frame to be made, and what its header says of it. */
struct make {
	unsigned vlans, ipopts; /* tags; words of options */
	uint8_t proto;
	uint16_t frag;
	unsigned tcpopts; /* words */
	size_t payload, pad;
};

static const struct make tcp = { .proto = 6, .tcpopts = 3, .payload = 3000 };
static const struct make tcp_short = { .proto = 6, .payload = 100 };
static const struct make tcp_odd = {
	.vlans = 2, .ipopts = 10, .proto = 6, .tcpopts = 10, .payload = 4001
};
static const struct make tcp_bare = { .proto = 6, .payload = 0 };
static const struct make tcp_padded = { .proto = 6, .payload = 2001, .pad = 7 };
static const struct make tcp_huge = { .proto = 6, .payload = 65481 };
static const struct make tcp_frag = {
	.proto = 6, .frag = 0x2000, .payload = 3000
};
static const struct make tcp_vlans = {
	.vlans = 3, .proto = 6, .payload = 3000
};
static const struct make udp = { .proto = 17, .payload = 1000 };
static const struct make other = { .proto = 132, .payload = 1000 };

#define TCP_FLAGS 0x99 /* FIN PSH ACK CWR */
#define SEQ	  0xfffffff0u
#define ID	  0xfffe
#define SRC	  0xc0a84103u
#define DST	  0x0a000001u

struct made {
	uint8_t b[VNET_HDRLEN + MAXFRAME];
	size_t len; /* of both */
	uint8_t *frame, *ip, *l4, *payload;
	size_t framelen;
};

static void
put_tcp(struct wr *w, const struct make *k)
{
	wr_u16(w, 40000);
	wr_u16(w, 80);
	wr_u32(w, SEQ);
	wr_u32(w, 7);
	wr_u8(w, (uint8_t)((5 + k->tcpopts) << 4));
	wr_u8(w, TCP_FLAGS);
	wr_u16(w, 512);
	wr_u32(w, 0);
	wr_zero(w, k->tcpopts * 4);
}

static void
put_l4(struct wr *w, const struct make *k, uint16_t len)
{
	if (k->proto == 6) {
		put_tcp(w, k);
		return;
	}
	wr_u16(w, 40000);
	wr_u16(w, 53);
	wr_u16(w, len);
	wr_u16(w, 0);
}

/* The checksum has the pseudo header's sum, as a kernel leaves it. */
static void
make(struct made *m, const struct make *k, const uint8_t hdr[VNET_HDRLEN])
{
	size_t l4hdr = k->proto == 6 ? 20 + k->tcpopts * 4 : 8, i;
	size_t l4len = l4hdr + k->payload, sumoff = k->proto == 6 ? 16 : 6;
	size_t ihl = 20 + k->ipopts * 4;
	struct wr w = wr_init(m->b, sizeof(m->b));
	uint16_t sum;

	wr_bytes(&w, hdr, VNET_HDRLEN);
	m->frame = m->b + w.len;
	wr_zero(&w, 12);
	for (i = 0; i < k->vlans; i++)
		wr_u32(&w, i == 0 && k->vlans > 1 ? 0x88a80005 : 0x81000005);
	wr_u16(&w, 0x0800);
	m->ip = m->b + w.len;
	wr_u16(&w, (uint16_t)(0x4000 | (ihl / 4) << 8));
	wr_u16(&w, (uint16_t)(ihl + l4len));
	wr_u16(&w, ID);
	wr_u16(&w, k->frag);
	wr_u16(&w, (uint16_t)(64 << 8 | k->proto));
	wr_u16(&w, 0);
	wr_u32(&w, SRC);
	wr_u32(&w, DST);
	wr_zero(&w, k->ipopts * 4);
	sum = cksum_finish(cksum_add(0, m->ip, ihl));
	memcpy(m->ip + 10, &sum, 2);
	m->l4 = m->b + w.len;
	put_l4(&w, k, (uint16_t)l4len);
	m->payload = m->b + w.len;
	for (i = 0; i < k->payload; i++)
		wr_u8(&w, (uint8_t)(i * 7 + i / 256));
	wr_zero(&w, k->pad);
	sum = (uint16_t)~cksum_finish(cksum_pseudo(SRC, DST, k->proto, l4len));
	memcpy(m->l4 + sumoff, &sum, 2);
	m->len = w.len;
	m->framelen = w.len - VNET_HDRLEN;
}

#define LE(v) (uint8_t)(v), (uint8_t)((v) >> 8)
#define HDR(flags, gso, hint, seg, start, off)                                 \
	{                                                                      \
		flags, gso, LE(hint), LE(seg), LE(start), LE(off)              \
	}

/* clang-format off */
static const struct {
	const char *what;
	const struct make *k;
	uint8_t hdr[VNET_HDRLEN];
	int ret;
	bool plain;
	uint16_t seg;
} reads[] = {
	{ "nothing is left open", &tcp, HDR(0, 0, 0, 0, 0, 0), 0, false, 0 },
	{ "a card has looked at the sum", &tcp, HDR(2, 0, 0, 0, 0, 0), 0,
	    false, 0 },
	{ "TCP's sum", &tcp, HDR(1, 0, 0, 0, 34, 16), 0, true, 0 },
	{ "UDP's sum", &udp, HDR(1, 0, 0, 0, 34, 6), 0, true, 0 },
	{ "a sum of another protocol", &other, HDR(1, 0, 0, 0, 34, 8), 0,
	    false, 0 },
	{ "a sum inside the payload", &udp, HDR(1, 0, 0, 0, 62, 16), 0, false,
	    0 },
	{ "TCP's sum where UDP has it", &tcp, HDR(1, 0, 0, 0, 34, 6), 0, false,
	    0 },
	{ "UDP's sum where TCP has it", &udp, HDR(1, 0, 0, 0, 34, 16), 0,
	    false, 0 },
	{ "a sum of a fragment", &tcp_frag, HDR(1, 0, 0, 0, 34, 16), 0, false,
	    0 },
	{ "segments", &tcp, HDR(1, 1, 66, 1448, 34, 16), 0, true, 1448 },
	{ "of one byte", &tcp, HDR(1, 1, 66, 1, 34, 16), 0, true, 1 },
	{ "of more than there is", &tcp, HDR(1, 1, 66, 65535, 34, 16), 0, true,
	    65535 },
	{ "of nothing", &tcp_bare, HDR(1, 1, 54, 1448, 34, 16), 0, true, 1448 },
	{ "behind tags and options", &tcp_odd, HDR(1, 1, 0, 1000, 82, 16), 0,
	    true, 1000 },
	{ "the hint says the whole frame", &tcp_short,
	    HDR(1, 1, 154, 50, 34, 16), 0, true, 50 },
	{ "the hint is beyond the frame", &tcp_short,
	    HDR(1, 1, 155, 50, 34, 16), -1, false, 0 },
	{ "the same without segments", &tcp_short, HDR(0, 0, 155, 0, 0, 0), -1,
	    false, 0 },
	{ "the sum begins in Ethernet's header", &tcp,
	    HDR(1, 0, 0, 0, 13, 16), -1, false, 0 },
	{ "the sum's place is beyond the frame", &tcp_short,
	    HDR(1, 0, 0, 0, 34, 119), -1, false, 0 },
	{ "the last place there is", &tcp_short, HDR(1, 0, 0, 0, 34, 118), 0,
	    false, 0 },
	{ "both are as large as can be", &tcp, HDR(1, 0, 0, 0, 65535, 65535),
	    -1, false, 0 },
	{ "segments of 0 bytes", &tcp, HDR(1, 1, 66, 0, 34, 16), -1, false, 0 },
	{ "segments whose sum is there", &tcp, HDR(0, 1, 66, 1448, 34, 16), -1,
	    false, 0 },
	{ "segments of a fragment", &tcp_frag, HDR(1, 1, 66, 1448, 34, 16), -1,
	    false, 0 },
	{ "segments of UDP as if it were TCP", &udp,
	    HDR(1, 1, 42, 100, 34, 6), -1, false, 0 },
	{ "segments of another protocol", &other,
	    HDR(1, 1, 42, 100, 34, 16), -1, false, 0 },
	{ "segments that begin elsewhere", &tcp, HDR(1, 1, 66, 1448, 36, 16),
	    -1, false, 0 },
	{ "too many tags", &tcp_vlans, HDR(1, 1, 66, 1448, 46, 16), -1, false,
	    0 },
	{ "UDP's fragments", &udp, HDR(1, 3, 42, 100, 34, 6), -1, false, 0 },
	{ "TCP over IPv6", &tcp, HDR(1, 4, 66, 1448, 34, 16), -1, false, 0 },
	{ "UDP's segments", &udp, HDR(1, 5, 42, 100, 34, 6), -1, false, 0 },
	{ "with ECN's mark", &tcp, HDR(1, 0x81, 66, 1448, 34, 16), -1, false,
	    0 },
	{ "a kind there is not", &tcp, HDR(1, 0xff, 66, 1448, 34, 16), -1,
	    false, 0 },
	{ "a flag there is not", &tcp, HDR(0x11, 0, 0, 0, 34, 16), -1, false,
	    0 },
};
/* clang-format on */
#define NREAD (int)(sizeof(reads) / sizeof(reads[0]))

START_TEST(test_read)
{
	static struct made m;
	struct vnet v;
	struct rd r;

	make(&m, reads[_i].k, reads[_i].hdr);
	r = rd_init(m.b, m.len);
	ck_assert_msg(vnet_read(&r, &v) == reads[_i].ret, "%s", reads[_i].what);
	if (reads[_i].ret == -1)
		return;
	ck_assert_ptr_eq(r.p, m.frame);
	ck_assert_uint_eq(r.len, m.framelen);
	ck_assert_msg(v.plain == reads[_i].plain, "%s", reads[_i].what);
	ck_assert_uint_eq(v.seg, reads[_i].seg);
	ck_assert_uint_eq(v.sum, reads[_i].hdr[0] & 1);
}
END_TEST

/* Everything that may be done with what was understood. */
static void
use(uint8_t *frame, size_t len, const struct vnet *v, size_t room)
{
	static uint8_t out[MAXFRAME];
	struct vnet_cut c;

	if (v->seg > 0) {
		vnet_cut(&c, v, frame);
		while (vnet_cut_next(&c, out, room) > 0)
			continue;
	}
	vnet_complete(frame, len, v);
}

/* Each at the end of memory. */
START_TEST(test_prefixes)
{
	static struct made m;
	struct guard g = guard_new(sizeof(m.b));
	struct vnet v;
	struct rd r;
	uint8_t *p;
	size_t n;

	make(&m, reads[_i].k, reads[_i].hdr);
	for (n = 0; n <= m.len; n += n < 200 ? 1 : 97) {
		p = guard_put(&g, m.b, n);
		r = rd_init(p, n);
		if (vnet_read(&r, &v) == -1)
			continue;
		ck_assert_uint_ge(n, VNET_HDRLEN);
		use(p + VNET_HDRLEN, n - VNET_HDRLEN, &v, MAXFRAME);
	}
	guard_free(&g);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const struct make *k;
	uint16_t seg;
} cuts[] = {
	{ "as a rule", &tcp, 1448 },
	{ "an even number of them", &tcp, 1000 },
	{ "one, as there is no more", &tcp, 3000 },
	{ "one, for more", &tcp, 60000 },
	{ "none has anything", &tcp_bare, 1448 },
	{ "odd ones", &tcp_odd, 333 },
	{ "a byte each", &tcp_short, 1 },
	{ "padding is no payload", &tcp_padded, 1000 },
	{ "the largest", &tcp_huge, 1460 },
};
/* clang-format on */
#define NCUT (int)(sizeof(cuts) / sizeof(cuts[0]))

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* One segment beside the whole. */
static void
check_segment(const struct made *m, const uint8_t *out, size_t len, size_t done,
    unsigned n, bool last)
{
	const uint8_t *ip = out + (m->ip - m->frame);
	const uint8_t *l4 = out + (m->l4 - m->frame);
	size_t hdrlen = (size_t)(m->payload - m->frame);
	size_t iplen = len - (size_t)(m->ip - m->frame);
	size_t l4len = len - (size_t)(m->l4 - m->frame);
	uint8_t flags = TCP_FLAGS;
	uint32_t sum;

	ck_assert_uint_eq(get16(ip + 2), iplen);
	ck_assert_uint_eq(get16(ip + 4), (uint16_t)(ID + n));
	sum = cksum_add(0, ip, (size_t)(l4 - ip));
	ck_assert_uint_eq(cksum_finish(sum), 0);
	sum = cksum_pseudo(SRC, DST, 6, l4len);
	ck_assert_uint_eq(cksum_finish(cksum_add(sum, l4, l4len)), 0);
	ck_assert_uint_eq((uint32_t)get16(l4 + 4) << 16 | get16(l4 + 6),
	    SEQ + (uint32_t)done);
	if (!last)
		flags &= (uint8_t)~0x09;
	if (n > 0)
		flags &= (uint8_t)~0x80;
	ck_assert_uint_eq(l4[13], flags);
	ck_assert_mem_eq(l4, m->l4, 4);
	ck_assert_mem_eq(l4 + 8, m->l4 + 8, 5);
	ck_assert_mem_eq(out, m->frame, (size_t)(m->ip - m->frame));
	ck_assert_mem_eq(out + hdrlen, m->payload + done, len - hdrlen);
}

/* Datagrams: what we leave to a TAP, and have to cut ourselves without it. */
START_TEST(test_cut_udp)
{
	static const size_t segs[] = { 1000, 999, 500, 333, 1, 60000 };
	static struct made m;
	size_t seg = segs[_i], done, len;
	uint8_t hdr[VNET_HDRLEN], out[2048], *l4;
	struct vnet v = { .sum = true, .start = 34, .off = 6, .udp = true,
		.seg = (uint16_t)seg, .hdrlen = 42, .plain = true, .ip = 14,
		.plen = 1000 };
	struct vnet_cut c;
	struct rd r;
	unsigned n = 0;

	vnet_write(hdr, &v);
	ck_assert_uint_eq(hdr[1], 5);
	make(&m, &udp, hdr);
	/* From a guest it would be nonsense: nobody has asked for it. */
	r = rd_init(m.b, m.len);
	ck_assert_int_eq(vnet_read(&r, &(struct vnet){ 0 }), -1);
	vnet_cut(&c, &v, m.frame);
	for (done = 0; done < 1000; done += len - 42) {
		len = vnet_cut_next(&c, out, sizeof(out));
		ck_assert_uint_eq(
		    len, 42 + (1000 - done < seg ? 1000 - done : seg));
		ck_assert_uint_eq(get16(out + 16), len - 14);
		ck_assert_uint_eq(get16(out + 18), (uint16_t)(ID + n++));
		ck_assert_uint_eq(cksum_finish(cksum_add(0, out + 14, 20)), 0);
		l4 = out + 34;
		ck_assert_mem_eq(l4, m.l4, 4);
		ck_assert_uint_eq(get16(l4 + 4), len - 34);
		ck_assert_uint_ne(get16(l4 + 6), 0);
		ck_assert_uint_eq(
		    cksum_finish(cksum_add(
			cksum_pseudo(SRC, DST, 17, len - 34), l4, len - 34)),
		    0);
		ck_assert_mem_eq(out + 42, m.payload + done, len - 42);
	}
	ck_assert_uint_eq(vnet_cut_next(&c, out, sizeof(out)), 0);
}
END_TEST

START_TEST(test_cut)
{
	uint8_t hdr[VNET_HDRLEN] = { 1, 1, 0, 0, LE(cuts[_i].seg) };
	size_t done = 0, total = cuts[_i].k->payload, len, hdrlen;
	struct guard g = guard_new(MAXFRAME);
	static struct made m;
	struct vnet_cut c;
	struct vnet v;
	struct rd r;
	uint8_t *out;
	unsigned n = 0;

	make(&m, cuts[_i].k, hdr);
	hdr[6] = (uint8_t)(m.l4 - m.frame);
	hdr[8] = 16;
	memcpy(m.b, hdr, sizeof(hdr));
	r = rd_init(m.b, m.len);
	ck_assert_int_eq(vnet_read(&r, &v), 0);
	hdrlen = (size_t)(m.payload - m.frame);
	ck_assert_uint_eq(v.hdrlen, hdrlen);
	vnet_cut(&c, &v, m.frame);
	do {
		len = total - done < v.seg ? total - done : v.seg;
		len += hdrlen;
		out = g.map + g.room - len;
		ck_assert_uint_eq(vnet_cut_next(&c, out, len - 1), 0);
		ck_assert_uint_eq(vnet_cut_next(&c, out, len), len);
		check_segment(
		    &m, out, len, done, n++, done + len - hdrlen == total);
		done += len - hdrlen;
	} while (done < total);
	ck_assert_uint_eq(vnet_cut_next(&c, g.map, g.room), 0);
	guard_free(&g);
}
END_TEST

static const struct {
	const char *what;
	const struct make *k;
	uint8_t start, off;
} sums[] = {
	{ "TCP", &tcp, 34, 16 },
	{ "TCP behind tags and options", &tcp_odd, 82, 16 },
	{ "UDP", &udp, 34, 6 },
};
#define NSUM (int)(sizeof(sums) / sizeof(sums[0]))

START_TEST(test_complete)
{
	const uint8_t hdr[VNET_HDRLEN] = { 1, 0, 0, 0, 0, 0, sums[_i].start, 0,
		sums[_i].off };
	static struct made m;
	struct vnet v;
	struct rd r;
	uint32_t sum;
	size_t len;

	make(&m, sums[_i].k, hdr);
	r = rd_init(m.b, m.len);
	ck_assert_int_eq(vnet_read(&r, &v), 0);
	vnet_complete(m.frame, r.len, &v);
	len = (size_t)(m.b + m.len - m.l4);
	sum = cksum_pseudo(SRC, DST, sums[_i].k->proto, len);
	ck_assert_uint_eq(cksum_finish(cksum_add(sum, m.l4, len)), 0);
}
END_TEST

/* A sum that comes out as 0 is written as its other form. */
START_TEST(test_complete_zero)
{
	uint8_t frame[60] = { 0 };
	const struct vnet v = { .sum = true, .start = 34, .off = 6 };

	memset(frame + 42, 0xff, 2);
	vnet_complete(frame, sizeof(frame), &v);
	ck_assert_uint_eq(get16(frame + 40), 0xffff);
}
END_TEST

/* What is left open in no way stays as it is. */
START_TEST(test_complete_nothing)
{
	uint8_t frame[60] = { 0 }, same[60] = { 0 };
	const struct vnet v = { .sum = false };

	vnet_complete(frame, sizeof(frame), &v);
	ck_assert_mem_eq(frame, same, sizeof(frame));
}
END_TEST

/* What we say is understood as we mean it. */
START_TEST(test_write)
{
	const struct vnet in = {
		.sum = true, .start = 34, .off = 16, .seg = 1448, .hdrlen = 66
	};
	const struct vnet none = { .sum = false };
	static struct made m;
	struct vnet v;
	struct rd r;

	make(&m, &tcp, (const uint8_t[VNET_HDRLEN]){ 0 });
	vnet_write(m.b, &in);
	r = rd_init(m.b, m.len);
	ck_assert_int_eq(vnet_read(&r, &v), 0);
	ck_assert(v.sum && v.plain);
	ck_assert_uint_eq(v.start, in.start);
	ck_assert_uint_eq(v.off, in.off);
	ck_assert_uint_eq(v.seg, in.seg);
	ck_assert_uint_eq(v.hdrlen, in.hdrlen);
	memset(m.b, 0xff, VNET_HDRLEN);
	vnet_write(m.b, &none);
	ck_assert_mem_eq(m.b, "\0\0\0\0\0\0\0\0\0\0", VNET_HDRLEN);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("vnet");

	tcase_add_loop_test(t, test_read, 0, NREAD);
	tcase_add_loop_test(t, test_prefixes, 0, NREAD);
	tcase_add_loop_test(t, test_cut, 0, NCUT);
	tcase_add_loop_test(t, test_cut_udp, 0, 6);
	tcase_add_loop_test(t, test_complete, 0, NSUM);
	tcase_add_test(t, test_complete_zero);
	tcase_add_test(t, test_complete_nothing);
	tcase_add_test(t, test_write);
	return check_case("vnet", t);
}
