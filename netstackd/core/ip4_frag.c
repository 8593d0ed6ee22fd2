/*
 * Reassembly of the guest's fragments (RFC 791, RFC 1122 3.3.2).
 *
 * A few datagrams are put together at a time, each in a buffer of the largest
 * size there is, with a sorted list of the ranges it has got.  Fragments that
 * overlap are an attack or a broken sender: the whole datagram is refused, and
 * what still comes of it (RFC 5722; the same rule for IPv4).  Only an exact
 * repetition is forgiven.  After 30 s the guest has lost a fragment for good,
 * and is told so if the first one is there (RFC 792).
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/ip4.h"

#define FRAG_MAX     16 /* datagrams; with 64 KiB each */
#define FRAG_RANGES  64 /* separate pieces of one datagram */
#define FRAG_TIMEOUT (30 * USEC_SEC)

struct range {
	uint32_t from, to;
};

struct frag {
	struct timer timer; /* armed while the entry is in use */
	bool used;
	bool bad;	/* swallow the rest; no buffer */
	bool last_seen; /* and so len is known */
	uint32_t dst;
	uint16_t id;
	uint8_t proto, tos, ttl;
	usec_t since;
	uint8_t *buf;  /* owned; header ends at IP4_MAXHDRLEN, payload after */
	size_t hdrlen; /* 0: first fragment not seen */
	uint32_t len;  /* of the whole payload */
	struct range r[FRAG_RANGES];
	unsigned nr;
};

struct frag_net {
	struct frag f[FRAG_MAX];
	struct frag *whole; /* delivered now, freed by frag_done() */
};

static void
frag_free(struct net *net, struct frag *f)
{
	timer_clear(net, &f->timer);
	free(f->buf);
	memset(f, 0, sizeof(*f));
}

/* An error quotes the first fragment, as far as it is in one piece. */
static void
frag_tell(struct net *net, usec_t now, const struct frag *f)
{
	static const struct icmp_msg msg = { .type = ICMP_TIME_EXCEEDED,
		.code = 1 };
	struct ip4_pkt pkt = { .src = net->conf.guest_ip,
		.dst = f->dst,
		.proto = f->proto,
		.tos = f->tos };

	if (f->hdrlen == 0 || f->bad)
		return;
	pkt.hdr = f->buf + IP4_MAXHDRLEN - f->hdrlen;
	pkt.hdrlen = f->hdrlen;
	pkt.payload = rd_init(f->buf + IP4_MAXHDRLEN, f->r[0].to);
	icmp_error(net, now, &pkt, &msg);
}

static void
frag_expire(struct net *net, usec_t now, struct timer *t)
{
	struct frag *f =
	    (struct frag *)((char *)t - offsetof(struct frag, timer));

	stat_inc(net, NETS_FRAG_TIMEOUT);
	frag_tell(net, now, f);
	frag_free(net, f);
}

int
frag_net_new(struct net *net)
{
	net->frag = calloc(1, sizeof(*net->frag));
	return net->frag != NULL ? 0 : -1;
}

void
frag_net_free(struct net *net)
{
	unsigned i;

	if (net->frag == NULL)
		return;
	for (i = 0; i < FRAG_MAX; i++)
		frag_free(net, &net->frag->f[i]);
	free(net->frag);
}

/* A free entry, or the oldest one's. */
static struct frag *
frag_slot(struct net *net)
{
	struct frag *f, *old = &net->frag->f[0];
	unsigned i;

	for (i = 0; i < FRAG_MAX; i++) {
		f = &net->frag->f[i];
		if (!f->used)
			return f;
		if (f->since < old->since)
			old = f;
	}
	stat_inc(net, NETS_FRAG_LIMIT);
	frag_free(net, old);
	return old;
}

/* The source is no part of the key: there is one guest. */
static struct frag *
frag_find(struct net *net, usec_t now, const struct ip4_hdr *h,
    const struct ip4_pkt *p)
{
	struct frag *f;
	unsigned i;

	for (i = 0; i < FRAG_MAX; i++) {
		f = &net->frag->f[i];
		if (f->used && f->id == h->id && f->dst == p->dst &&
		    f->proto == p->proto)
			return f;
	}
	f = frag_slot(net);
	if ((f->buf = malloc(IP4_MAXHDRLEN + UINT16_MAX)) == NULL)
		return NULL;
	f->used = true;
	f->id = h->id;
	f->dst = p->dst;
	f->proto = p->proto;
	f->since = now;
	f->timer.fn = frag_expire;
	timer_set(net, &f->timer, now + FRAG_TIMEOUT);
	return f;
}

/* The datagram is refused; its entry stays to swallow what still comes. */
static void
frag_refuse(struct net *net, struct frag *f)
{
	stat_inc(net, NETS_FRAG_BAD);
	free(f->buf);
	f->buf = NULL;
	f->bad = true;
}

/*
 * Enters [from, to) into the sorted ranges, joining neighbours.  -1 when it
 * overlaps one, or there are too many.
 */
static int
range_add(struct frag *f, uint32_t from, uint32_t to)
{
	struct range *r = f->r;
	unsigned i;

	for (i = 0; i < f->nr && r[i].to < from; i++)
		;
	if (i < f->nr && r[i].to == from) {
		if (i + 1 < f->nr && r[i + 1].from < to)
			return -1;
		r[i].to = to;
		if (i + 1 < f->nr && r[i + 1].from == to) {
			r[i].to = r[i + 1].to;
			memmove(
			    &r[i + 1], &r[i + 2], (f->nr - i - 2) * sizeof(*r));
			f->nr--;
		}
		return 0;
	}
	if (i < f->nr && r[i].from < to)
		return -1;
	if (i < f->nr && r[i].from == to) {
		r[i].from = from;
		return 0;
	}
	if (f->nr == FRAG_RANGES)
		return -1;
	memmove(&r[i + 1], &r[i], (f->nr - i) * sizeof(*r));
	r[i] = (struct range){ from, to };
	f->nr++;
	return 0;
}

/* Have these very bytes come before? */
static bool
frag_repeated(const struct frag *f, uint32_t from, const struct rd *d)
{
	unsigned i;

	for (i = 0; i < f->nr; i++) {
		if (f->r[i].from <= from && from + d->len <= f->r[i].to)
			return memcmp(f->buf + IP4_MAXHDRLEN + from, d->p,
				   d->len) == 0;
	}
	return false;
}

/* 0: taken (or a repetition); -1: the datagram is bad. */
static int
frag_take(struct frag *f, const struct ip4_hdr *h, const struct ip4_pkt *p)
{
	uint32_t from = (uint32_t)(h->frag & IP4_OFFMASK) * 8;
	uint32_t to = from + (uint32_t)p->payload.len;
	bool more = (h->frag & IP4_MF) != 0;

	if (p->payload.len == 0 || (more && p->payload.len % 8 != 0) ||
	    to > UINT16_MAX - p->hdrlen)
		return -1;
	if (f->last_seen && (to > f->len || (!more && to != f->len)))
		return -1;
	if (!more && f->nr > 0 && f->r[f->nr - 1].to > to)
		return -1;
	if (frag_repeated(f, from, &p->payload))
		return 0;
	if (range_add(f, from, to) == -1)
		return -1;
	memcpy(f->buf + IP4_MAXHDRLEN + from, p->payload.p, p->payload.len);
	if (!more) {
		f->last_seen = true;
		f->len = to;
	}
	if (from == 0) {
		f->hdrlen = p->hdrlen;
		f->tos = p->tos;
		f->ttl = p->ttl;
		memcpy(f->buf + IP4_MAXHDRLEN - p->hdrlen, p->hdr, p->hdrlen);
	}
	return 0;
}

/* Makes the stored header that of the whole datagram, and pkt the datagram. */
static int
frag_finish(struct net *net, struct frag *f, struct ip4_pkt *p)
{
	uint8_t *hdr = f->buf + IP4_MAXHDRLEN - f->hdrlen;
	uint16_t sum;

	if (f->len > UINT16_MAX - f->hdrlen) {
		frag_refuse(net, f);
		return 0;
	}
	put_u16(hdr + 2, (uint16_t)(f->hdrlen + f->len));
	put_u16(hdr + 6, 0);
	put_u16(hdr + 10, 0);
	sum = cksum_finish(cksum_add(0, hdr, f->hdrlen));
	memcpy(hdr + 10, &sum, sizeof(sum));
	p->tos = f->tos;
	p->ttl = f->ttl;
	p->df = false;
	p->hdr = hdr;
	p->hdrlen = f->hdrlen;
	p->payload = rd_init(f->buf + IP4_MAXHDRLEN, f->len);
	p->copied = true;
	net->frag->whole = f;
	stat_inc(net, NETS_FRAG_OK);
	return 1;
}

int
frag_input(
    struct net *net, usec_t now, const struct ip4_hdr *h, struct ip4_pkt *p)
{
	struct frag *f;

	stat_inc(net, NETS_FRAG_RX);
	if ((f = frag_find(net, now, h, p)) == NULL) {
		stat_inc(net, NETS_FRAG_LIMIT);
		return 0;
	}
	if (f->bad)
		return 0;
	if (frag_take(f, h, p) == -1) {
		frag_refuse(net, f);
		return 0;
	}
	/* One range, and it cannot start elsewhere than at 0 with a header. */
	if (!f->last_seen || f->hdrlen == 0 || f->nr != 1 ||
	    f->r[0].to != f->len)
		return 0;
	return frag_finish(net, f, p);
}

void
frag_done(struct net *net)
{
	frag_free(net, net->frag->whole);
	net->frag->whole = NULL;
}
