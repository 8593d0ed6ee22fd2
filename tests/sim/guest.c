/*
 * The model of a guest.
 */

#include <string.h>

#include "netstackd/core/seq.h"
#include "tests/pkt/world.h"
#include "tests/sim/guest.h"

void
guest_init(struct guest *g)
{
	g->rexmit_at = 0; /* the SYN is due */
}

/* The first hole moves as far as bytes are there. */
static void
advance(struct guest *g)
{
	while (g->got < g->to_get + 1 && g->have[g->got])
		g->got++;
}

static void
take_data(struct guest *g, const struct tcp_seg *s)
{
	uint32_t off = s->seq - g->peer_iss - 1, i;

	if ((int32_t)off < 0 && s->data.len > 0) {
		g->wrong = "data before the stream";
		return;
	}
	for (i = 0; i < s->data.len; i++) {
		if (off + i >= g->to_get ||
		    s->data.p[i] != world_host_byte(off + i)) {
			g->wrong = "a byte that the host did not send";
			return;
		}
		if (off + i < g->read + g->buf)
			g->have[off + i] = 1;
	}
	if (off + i + 1 > g->top)
		g->top = off + i + 1;
	if (s->flags & TCP_FIN) {
		if (off + s->data.len != g->to_get)
			g->wrong = "a FIN in the middle";
		g->have[g->to_get] = 1;
	}
	advance(g);
}

static void
take_ack(struct guest *g, usec_t now, const struct tcp_seg *s)
{
	uint32_t ack = s->ack - GUEST_ISS - 1;
	uint32_t wnd = (uint32_t)s->wnd << g->peer_shift;

	if ((int32_t)(ack - g->nxt) > 0) {
		g->wrong = "an ACK of what was never sent";
		return;
	}
	if ((int32_t)(ack - g->una) > 0) {
		g->una = ack;
		g->dupacks = g->backoff = 0;
		g->rexmit_at = g->una == g->nxt ? USEC_NEVER : now + GUEST_RTO;
	} else if (ack == g->una && g->una != g->nxt && s->data.len == 0 &&
		   wnd == g->wnd && ++g->dupacks == 3) {
		g->rexmit_at = now; /* fast retransmit */
	}
	if ((int32_t)(ack - g->una) >= 0)
		g->wnd = wnd;
}

void
guest_input(struct guest *g, usec_t now, const struct tcp_seg *s)
{
	if (s->flags & TCP_RST) {
		/* Also the answer to an ACK that came late, when all is over.
		 */
		g->reset = !guest_done(g);
		return;
	}
	if (s->opt.has & TCPO_TS)
		g->ts_recent = s->opt.tsval;
	if (s->flags & TCP_SYN) {
		if (g->synced && s->seq != g->peer_iss)
			g->wrong = "another SYN-ACK";
		if (!g->synced) {
			g->rexmit_at = USEC_NEVER;
			g->wnd = s->wnd;
		}
		g->synced = true;
		g->peer_iss = s->seq;
		g->peer_shift = s->opt.has & TCPO_WSCALE ? s->opt.wscale : 0;
		g->ack_due = true;
		return;
	}
	if (!g->synced)
		return;
	take_ack(g, now, s);
	if (tcp_seglen(s) > 0 || s->seq != g->peer_iss + 1 + g->got)
		g->ack_due = true;
	take_data(g, s);
}

void
guest_read(struct guest *g, bool stalled)
{
	uint32_t end = g->got < g->to_get ? g->got : g->to_get;

	g->stalled = stalled;
	if (stalled || end == g->read)
		return;
	/* The window opens: say so when it was nearly shut. */
	if (g->read + g->buf - end < 2u * g->mss)
		g->ack_due = true;
	g->read = end;
}

usec_t
guest_deadline(const struct guest *g)
{
	return g->rexmit_at;
}

/* The ranges beyond the first hole, the lowest three. */
static void
add_sack(const struct guest *g, struct tcp_opts *o)
{
	uint32_t i = g->got, end = g->top, base = g->peer_iss + 1;

	while (g->sack && o->nsack < 3 && i < end) {
		while (i < end && !g->have[i])
			i++;
		if (i == end)
			break;
		o->sack[o->nsack].start = base + i;
		while (i < end && g->have[i])
			i++;
		o->sack[o->nsack++].end = base + i;
	}
}

static void
header(const struct guest *g, usec_t now, struct tcp_seg *s, uint32_t off)
{
	uint32_t end = g->got < g->to_get ? g->got : g->to_get;

	memset(s, 0, sizeof(*s));
	s->seq = GUEST_ISS + 1 + off;
	s->ack = g->peer_iss + 1 + g->got;
	s->flags = TCP_ACK;
	s->wnd = (uint16_t)((g->read + g->buf - end) >> g->wscale);
	if (g->ts) {
		s->opt.has = TCPO_TS;
		s->opt.tsval = (uint32_t)(now / USEC_MS);
		s->opt.tsecr = g->ts_recent;
	}
}

static void
syn(struct guest *g, usec_t now, struct tcp_seg *s)
{
	header(g, now, s, 0);
	s->seq = GUEST_ISS;
	s->ack = 0;
	s->flags = TCP_SYN;
	s->wnd = (uint16_t)(g->buf < UINT16_MAX ? g->buf : UINT16_MAX);
	s->opt.has |= TCPO_MSS | (g->sack ? TCPO_SACKOK : 0) |
		      (g->wscale > 0 ? TCPO_WSCALE : 0);
	s->opt.mss = g->mss;
	s->opt.wscale = g->wscale;
	g->rexmit_at = now + USEC_SEC;
}

/* Payload from off on, as far as segment and window allow. */
static void
data(struct guest *g, usec_t now, struct tcp_seg *s, uint32_t off,
    uint32_t *len, uint32_t wnd)
{
	uint32_t n = g->una + wnd - off;

	header(g, now, s, off);
	add_sack(g, &s->opt);
	*len = g->to_send - off < g->mss ? g->to_send - off : g->mss;
	if (*len > n)
		*len = n;
	if (off + *len == g->to_send && n > *len)
		s->flags |= TCP_FIN;
	g->ack_due = false;
}

bool
guest_output(struct guest *g, usec_t now, struct tcp_seg *s, uint32_t *off,
    uint32_t *len)
{
	uint32_t wnd = g->wnd < g->flight ? g->wnd : g->flight;

	*off = *len = 0;
	if (!g->synced) {
		if (now < g->rexmit_at)
			return false;
		syn(g, now, s);
		return true;
	}
	if (now >= g->rexmit_at) {
		/* Again from una on: one segment, or a probe of one byte. */
		if (g->backoff < 6)
			g->backoff++;
		g->rexmit_at = now + (GUEST_RTO << g->backoff);
		*off = g->una;
		data(g, now, s, *off, len, wnd > 0 ? wnd : 2);
		if (wnd == 0 && *len > 1)
			*len = 1;
		if (g->una + *len + ((s->flags & TCP_FIN) != 0) > g->nxt)
			g->nxt = g->una + *len + ((s->flags & TCP_FIN) != 0);
		return true;
	}
	if (g->nxt <= g->to_send && g->nxt - g->una < wnd) {
		*off = g->nxt;
		data(g, now, s, *off, len, wnd);
		g->nxt += *len + ((s->flags & TCP_FIN) != 0);
		if (g->rexmit_at == USEC_NEVER)
			g->rexmit_at = now + GUEST_RTO;
		return true;
	}
	/* A shut window is asked about. */
	if (g->una <= g->to_send && g->rexmit_at == USEC_NEVER)
		g->rexmit_at = now + GUEST_RTO;
	if (!g->ack_due)
		return false;
	header(g, now, s, g->nxt);
	add_sack(g, &s->opt);
	g->ack_due = false;
	return true;
}

bool
guest_done(const struct guest *g)
{
	return g->una == g->to_send + 1 && g->got == g->to_get + 1;
}
