/*
 * Frames of the guest, byte by byte.
 */

#include <string.h>

#include "common/wr.h"
#include "tests/pkt/craft.h"

#define MAXFRAME 2048

/* Returns the header's length; the checksum stays zero. */
static size_t
put_tcp(uint8_t *p, const struct tcp_seg *s, const struct pkt_seg *g)
{
	struct tcp_seg plain = *s;
	size_t len = TCP_HDRLEN;

	if (g->nraw == 0) {
		tcp_write(p, s);
		len = tcp_hdrlen(s);
	} else {
		memset(&plain.opt, 0, sizeof(plain.opt));
		tcp_write(p, &plain);
		memcpy(p + len, g->raw, g->nraw);
		len += (g->nraw + 3u) / 4 * 4;
	}
	p[12] = (uint8_t)((g->off > 0 ? g->off : len / 4) << 4);
	put_u16(p + 18, g->urg);
	return len;
}

static void
put_ip(const struct world *w, uint8_t *frame, uint32_t dst, size_t len)
{
	struct wr r = wr_init(frame, FRAME_HDRLEN);
	uint16_t sum;

	wr_bytes(&r, w->conf.server_mac, 6);
	wr_bytes(&r, w->conf.guest_mac, 6);
	wr_u16(&r, 0x0800);
	wr_u16(&r, 0x4500);
	wr_u16(&r, (uint16_t)(IP4_HDRLEN + len));
	wr_u32(&r, IP4_DF);
	wr_u16(&r, IP4_TTL << 8 | IPPROTO4_TCP);
	wr_u16(&r, 0);
	wr_u32(&r, w->conf.guest_ip);
	wr_u32(&r, dst);
	sum = cksum_finish(cksum_add(0, frame + ETH_HDRLEN, IP4_HDRLEN));
	memcpy(frame + ETH_HDRLEN + 10, &sum, sizeof(sum));
}

void
craft_input(struct world *w, uint32_t dst, const struct tcp_seg *s,
    const struct pkt_seg *g)
{
	uint8_t frame[MAXFRAME] = { 0 }, *tcp = frame + FRAME_HDRLEN;
	size_t i, len = put_tcp(tcp, s, g);
	uint32_t sum;
	uint16_t field;

	for (i = 0; i < g->len && FRAME_HDRLEN + len < sizeof(frame); i++)
		tcp[len++] = world_guest_byte(g->seq - 1 + i);
	put_ip(w, frame, dst, len);
	sum = cksum_pseudo(w->conf.guest_ip, dst, IPPROTO4_TCP, len);
	field = cksum_finish(cksum_add(sum, tcp, len));
	memcpy(tcp + TCP_SUM_OFF, &field, sizeof(field));
	world_frame(w, frame, FRAME_HDRLEN + len);
}
