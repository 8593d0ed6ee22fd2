#include "dnsd/msg.h"

#include "dnsd/names.h"

#define POINTER	    0xc0
#define TTL_MAX	    86400 /* RFC 8767 4 */
#define TTL_NEG_MAX 3600  /* RFC 2308 5: one to three hours */
#define SOA_MIN	    22	  /* two root names and five numbers */
#define OPTION_EDE  15

/*
 * RFC 1035 4.1.4.  A pointer leads back, so chains of them end; they are not
 * followed here.  *compressed tells whether there is one.
 */
static int
skip_name(struct rd *r, const uint8_t *base, bool *compressed)
{
	const uint8_t *start = r->p;
	uint8_t n, low;
	size_t to;

	*compressed = false;
	do {
		if (rd_u8(r, &n) == -1)
			return -1;
		if ((n & POINTER) == POINTER) {
			if (rd_u8(r, &low) == -1)
				return -1;
			to = (size_t)(n & ~POINTER) << 8 | low;
			if (to < DNS_HDRLEN || base + to >= start)
				return -1;
			*compressed = true;
			return 0;
		}
		if (n > NAME_LABEL || rd_skip(r, n) == -1)
			return -1;
	} while (n != 0);
	return r->p - start <= NAME_WIRELEN ? 0 : -1;
}

int
msg_head(struct rd r, struct msg_head *h)
{
	const uint8_t *base = r.p;
	bool compressed;
	int i;

	if (rd_u16(&r, &h->id) == -1 || rd_u16(&r, &h->flags) == -1)
		return -1;
	for (i = 0; i < SEC__MAX; i++)
		if (rd_u16(&r, &h->count[i]) == -1)
			return -1;
	h->name = r.p;
	if (h->count[SEC_QUESTION] != 1 ||
	    skip_name(&r, base, &compressed) == -1 || compressed)
		return -1;
	h->namelen = (size_t)(r.p - h->name);
	if (rd_u16(&r, &h->type) == -1 || rd_u16(&r, &h->class) == -1)
		return -1;
	h->end = (size_t)(r.p - base);
	return 0;
}

struct msg_walk
msg_walk(struct rd msg, const struct msg_head *h)
{
	struct msg_walk w = { .base = msg.p, .r = msg };

	(void)rd_skip(&w.r, h->end);
	memcpy(w.count, h->count, sizeof(w.count));
	return w;
}

int
msg_next(struct msg_walk *w, struct msg_rr *rr)
{
	uint16_t len;

	while (w->left == 0) {
		if (++w->section == SEC__MAX)
			return 0;
		w->left = w->count[w->section];
	}
	w->left--;
	rr->start = (size_t)(w->r.p - w->base);
	if (skip_name(&w->r, w->base, &rr->compressed) == -1)
		return -1;
	rr->namelen = (size_t)(w->r.p - w->base) - rr->start;
	rr->ttl_at = rr->start + rr->namelen + 4;
	if (rd_u16(&w->r, &rr->type) == -1 || rd_u16(&w->r, &rr->class) == -1 ||
	    rd_u32(&w->r, &rr->ttl) == -1 || rd_u16(&w->r, &len) == -1 ||
	    rd_sub(&w->r, len, &rr->rdata) == -1)
		return -1;
	rr->end = (size_t)(w->r.p - w->base);
	return 1;
}

/* RFC 2308 5: the lesser of the SOA's own TTL and its last field. */
static uint32_t
soa_ttl(const struct msg_rr *rr)
{
	struct rd r = rr->rdata;
	uint32_t min;

	if (r.len < SOA_MIN || rd_skip(&r, r.len - 4) == -1 ||
	    rd_u32(&r, &min) == -1)
		return 0;
	return min < rr->ttl ? min : rr->ttl;
}

struct ttls {
	uint32_t min;
	bool final; /* an answer of the type that was asked for */
	bool soa;
};

static void
look_at_rr(const struct msg_head *h, int section, const struct msg_rr *rr,
    struct ttls *t)
{
	uint32_t ttl = rr->ttl;

	if (ttl > INT32_MAX) /* RFC 2181 8 */
		ttl = 0;
	if (section == SEC_AUTHORITY && rr->type == DNS_TYPE_SOA) {
		t->soa = true;
		ttl = soa_ttl(rr);
	}
	if (section == SEC_ANSWER &&
	    (rr->type == h->type || h->type == DNS_TYPE_ANY))
		t->final = true;
	if (ttl < t->min)
		t->min = ttl;
}

/* RFC 6891 6.1: in its place, and without a name of its own. */
static bool
is_opt(const struct msg_rr *rr, int section)
{
	return rr->type == DNS_TYPE_OPT && section == SEC_ADDITIONAL &&
	       rr->namelen == 1;
}

int
msg_facts(struct rd msg, const struct msg_head *h, struct msg_facts *f)
{
	struct msg_walk w = msg_walk(msg, h);
	struct ttls t = { .min = TTL_MAX };
	unsigned rcode = h->flags & 15;
	struct msg_rr rr;
	int got;

	memset(f, 0, sizeof(*f));
	f->len = h->end;
	while ((got = msg_next(&w, &rr)) == 1) {
		f->len = rr.end;
		if (is_opt(&rr, w.section))
			f->opt = rr.start;
		else if (rr.type != DNS_TYPE_OPT)
			look_at_rr(h, w.section, &rr, &t);
	}
	if (got == -1)
		return -1;
	f->trailing = f->len != msg.len;
	/* What is not there is kept for as long as the SOA says. */
	if (!t.final && t.min > TTL_NEG_MAX)
		t.min = TTL_NEG_MAX;
	f->ttl = t.min;
	f->cacheable = (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN) &&
		       (h->flags & DNS_TC) == 0 && !f->trailing &&
		       ((t.final && rcode == DNS_NOERROR) || t.soa) &&
		       t.min > 0;
	return 0;
}

void
msg_set_case(uint8_t *msg, size_t len, const struct msg_head *h,
    const uint8_t *name, size_t namelen)
{
	struct msg_walk w = msg_walk(rd_init(msg, len), h);
	struct msg_rr rr;

	if (h->namelen == namelen)
		memcpy(msg + DNS_HDRLEN, name, namelen);
	while (msg_next(&w, &rr) == 1)
		if (!rr.compressed && rr.namelen == namelen &&
		    name_equal(msg + rr.start, name, namelen))
			memcpy(msg + rr.start, name, namelen);
}

void
msg_age(uint8_t *msg, size_t len, const struct msg_head *h, uint32_t age,
    uint32_t floor)
{
	struct msg_walk w = msg_walk(rd_init(msg, len), h);
	struct msg_rr rr;
	struct wr p;

	while (msg_next(&w, &rr) == 1) {
		if (rr.type == DNS_TYPE_OPT)
			continue;
		rr.ttl = rr.ttl > age && rr.ttl <= INT32_MAX ? rr.ttl - age : 0;
		p = wr_init(msg + rr.ttl_at, 4);
		(void)wr_u32(&p, rr.ttl > floor ? rr.ttl : floor);
	}
}

static void
put_u16_at(uint8_t *msg, size_t at, uint16_t v)
{
	msg[at] = (uint8_t)(v >> 8);
	msg[at + 1] = (uint8_t)v;
}

size_t
msg_cut(uint8_t *msg, size_t len, const struct msg_head *h, size_t max)
{
	struct msg_walk w = msg_walk(rd_init(msg, len), h);
	uint16_t count[SEC__MAX] = { 1 };
	struct msg_facts f;
	struct msg_rr rr;
	uint8_t opt[DNS_OPTLEN];
	size_t end = h->end, room = max;
	bool broken = msg_facts(rd_init(msg, len), h, &f) == -1, cut = broken;
	int i;

	if (len <= max && !broken)
		return len;
	if (!broken && f.opt != 0 && h->end + DNS_OPTLEN <= max) {
		/* Its options are what can best be done without. */
		memcpy(opt, msg + f.opt, DNS_OPTLEN);
		put_u16_at(opt, DNS_OPTLEN - 2, 0);
		room -= DNS_OPTLEN;
	} else {
		f.opt = 0;
	}
	while (msg_next(&w, &rr) == 1 && w.section != SEC_ADDITIONAL) {
		if (rr.end > room) {
			cut = true;
			break;
		}
		end = rr.end;
		count[w.section]++;
	}
	if (f.opt != 0) {
		memcpy(msg + end, opt, DNS_OPTLEN);
		end += DNS_OPTLEN;
		count[SEC_ADDITIONAL]++;
	}
	for (i = 0; i < SEC__MAX; i++)
		put_u16_at(msg, 4 + 2 * (size_t)i, count[i]);
	if (cut)
		msg[2] |= DNS_TC >> 8;
	return end;
}

size_t
msg_add_ede(uint8_t *msg, size_t len, size_t cap, const struct msg_head *h,
    enum dns_ede code, const char *text)
{
	struct wr w = wr_init(msg, cap);
	size_t n = strlen(text), rdlen_at;
	struct msg_facts f;
	uint16_t rdlen;

	if (msg_facts(rd_init(msg, len), h, &f) == -1 || f.opt == 0 ||
	    f.trailing)
		return len;
	rdlen_at = f.opt + DNS_OPTLEN - 2;
	rdlen = (uint16_t)(msg[rdlen_at] << 8 | msg[rdlen_at + 1]);
	w.len = len;
	if (f.opt + DNS_OPTLEN + rdlen != len || cap - len < 6 + n ||
	    rdlen + 6 + n > UINT16_MAX)
		return len;
	(void)wr_u16(&w, OPTION_EDE);
	(void)wr_u16(&w, (uint16_t)(2 + n));
	(void)wr_u16(&w, (uint16_t)code);
	(void)wr_bytes(&w, text, n);
	put_u16_at(msg, rdlen_at, (uint16_t)(rdlen + 6 + n));
	return w.len;
}
