/*
 * TCP headers and options, both ways.
 *
 * Read: MSS, window scale, SACK permitted, SACK, timestamps; others are
 * skipped by their length.  An option with an impossible length makes the
 * whole segment bad (RFC 9293 3.1, MUST-7 leaves the choice to us).  The
 * urgent pointer is read past: urgent data is ordinary data here.
 */

#include <string.h>

#include "common/wr.h"
#include "netstackd/core/tcp_wire.h"

enum opt_kind {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACKOK = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
};

static int
parse_sack(struct rd *r, struct tcp_opts *o)
{
	struct tcp_range b;

	if (r->len == 0 || r->len % 8 != 0)
		return -1;
	while (rd_u32(r, &b.start) == 0 && rd_u32(r, &b.end) == 0) {
		if (o->nsack < TCP_NSACK)
			o->sack[o->nsack++] = b;
	}
	return 0;
}

/* r is the option's body; it must be used up. */
static int
parse_option(uint8_t kind, struct rd *r, struct tcp_opts *o)
{
	switch (kind) {
	case OPT_MSS:
		o->has |= TCPO_MSS;
		if (rd_u16(r, &o->mss) == -1)
			return -1;
		break;
	case OPT_WSCALE:
		o->has |= TCPO_WSCALE;
		if (rd_u8(r, &o->wscale) == -1)
			return -1;
		break;
	case OPT_SACKOK:
		o->has |= TCPO_SACKOK;
		break;
	case OPT_SACK:
		return parse_sack(r, o);
	case OPT_TS:
		o->has |= TCPO_TS;
		if (rd_u32(r, &o->tsval) == -1 || rd_u32(r, &o->tsecr) == -1)
			return -1;
		break;
	default:
		return 0;
	}
	return r->len == 0 ? 0 : -1;
}

static int
parse_options(struct rd *r, struct tcp_opts *o)
{
	struct rd body;
	uint8_t kind, len;

	memset(o, 0, sizeof(*o));
	while (rd_u8(r, &kind) == 0 && kind != OPT_END) {
		if (kind == OPT_NOP)
			continue;
		if (rd_u8(r, &len) == -1 || len < 2 ||
		    rd_sub(r, len - 2u, &body) == -1 ||
		    parse_option(kind, &body, o) == -1)
			return -1;
	}
	return 0;
}

int
tcp_parse(struct rd r, struct tcp_seg *s)
{
	struct rd opts;
	uint16_t sum, urg;
	uint8_t off;

	if (rd_u16(&r, &s->sport) == -1 || rd_u16(&r, &s->dport) == -1 ||
	    rd_u32(&r, &s->seq) == -1 || rd_u32(&r, &s->ack) == -1 ||
	    rd_u8(&r, &off) == -1 || rd_u8(&r, &s->flags) == -1 ||
	    rd_u16(&r, &s->wnd) == -1 || rd_u16(&r, &sum) == -1 ||
	    rd_u16(&r, &urg) == -1)
		return -1;
	off >>= 4;
	if (off < TCP_HDRLEN / 4 ||
	    rd_sub(&r, off * 4u - TCP_HDRLEN, &opts) == -1 ||
	    parse_options(&opts, &s->opt) == -1)
		return -1;
	s->data = r;
	return 0;
}

size_t
tcp_hdrlen(const struct tcp_seg *s)
{
	const struct tcp_opts *o = &s->opt;
	size_t len = TCP_HDRLEN;

	if (o->has & TCPO_MSS)
		len += 4;
	if (o->has & TCPO_TS)
		len += 12; /* SACK permitted goes into its padding */
	else if (o->has & TCPO_SACKOK)
		len += 4;
	if (o->has & TCPO_WSCALE)
		len += 4;
	if (o->nsack > 0)
		len += 4 + 8 * (size_t)o->nsack;
	return len;
}

static void
write_options(struct wr *w, const struct tcp_opts *o)
{
	int i;

	if (o->has & TCPO_MSS) {
		wr_u8(w, OPT_MSS);
		wr_u8(w, 4);
		wr_u16(w, o->mss);
	}
	if (o->has & TCPO_SACKOK) {
		if ((o->has & TCPO_TS) == 0)
			wr_u16(w, OPT_NOP << 8 | OPT_NOP);
		wr_u16(w, OPT_SACKOK << 8 | 2);
	}
	if (o->has & TCPO_TS) {
		if ((o->has & TCPO_SACKOK) == 0)
			wr_u16(w, OPT_NOP << 8 | OPT_NOP);
		wr_u16(w, OPT_TS << 8 | 10);
		wr_u32(w, o->tsval);
		wr_u32(w, o->tsecr);
	}
	if (o->has & TCPO_WSCALE) {
		wr_u16(w, OPT_NOP << 8 | OPT_WSCALE);
		wr_u16(w, (uint16_t)(3 << 8 | o->wscale));
	}
	if (o->nsack == 0)
		return;
	wr_u16(w, OPT_NOP << 8 | OPT_NOP);
	wr_u16(w, (uint16_t)(OPT_SACK << 8 | (2 + 8 * o->nsack)));
	for (i = 0; i < o->nsack; i++) {
		wr_u32(w, o->sack[i].start);
		wr_u32(w, o->sack[i].end);
	}
}

void
tcp_write(uint8_t *p, const struct tcp_seg *s)
{
	size_t len = tcp_hdrlen(s);
	struct wr w = wr_init(p, len);

	wr_u16(&w, s->sport);
	wr_u16(&w, s->dport);
	wr_u32(&w, s->seq);
	wr_u32(&w, s->ack);
	wr_u8(&w, (uint8_t)(len / 4 << 4));
	wr_u8(&w, s->flags);
	wr_u16(&w, s->wnd);
	wr_u32(&w, 0); /* checksum, urgent pointer */
	write_options(&w, &s->opt);
}
