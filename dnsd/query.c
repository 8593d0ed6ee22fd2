#include "dnsd/query.h"

#include "dnsd/names.h"

#define OPCODE_SHIFT 11
#define OPCODE_MASK  15
#define NAME_POINTER 0xc00c /* to the question's name */

/* Between the guest and us: they end here. */
static bool
is_hop_option(uint16_t code)
{
	enum { COOKIE = 10, TCP_KEEPALIVE = 11, PADDING = 12 };

	return code == COOKIE || code == TCP_KEEPALIVE || code == PADDING;
}

/* -1: broken; else whether all options end here. */
static int
options_end_here(struct rd r)
{
	uint16_t code, len;
	int all = 1;

	while (r.len > 0) {
		if (rd_u16(&r, &code) == -1 || rd_u16(&r, &len) == -1 ||
		    rd_skip(&r, len) == -1)
			return -1;
		if (!is_hop_option(code))
			all = 0;
	}
	return all;
}

static int
take_opt(struct query *q, const struct msg_rr *rr)
{
	int r;

	/* RFC 6891 6.1: one, of the root's, well-formed. */
	if (q->edns || rr->namelen != 1 ||
	    (r = options_end_here(rr->rdata)) == -1)
		return -1;
	q->edns = true;
	q->version = rr->ttl >> 16 & 0xff;
	q->opt = rr->start;
	q->udp_size = rr->class > DNS_UDPMAX ? rr->class : DNS_UDPMAX;
	q->dnssec_ok = (rr->ttl & DNS_EDNS_DO) != 0;
	/* Another version, or flags nobody knows yet. */
	if (r == 0 || (rr->ttl & ~(uint32_t)DNS_EDNS_DO) != 0)
		q->plain = false;
	return 0;
}

static int
take_records(struct rd msg, struct query *q)
{
	struct msg_walk w = msg_walk(msg, &q->head);
	struct msg_rr rr;
	int got;

	while ((got = msg_next(&w, &rr)) == 1) {
		if (w.section == SEC_ADDITIONAL && rr.type == DNS_TYPE_OPT) {
			if (take_opt(q, &rr) == -1)
				return -1;
			continue;
		}
		q->plain = false; /* TSIG, or an unusual opcode's */
		q->opt = 0;
	}
	if (got == -1 || w.r.len > 0)
		return -1;
	return 0;
}

int
query_parse(struct rd msg, struct query *q)
{
	uint16_t flags;

	memset(q, 0, sizeof(*q));
	if (msg_head(msg, &q->head) == -1 || (q->head.flags & DNS_QR) != 0)
		return -1;
	flags = q->head.flags;
	q->opcode = flags >> OPCODE_SHIFT & OPCODE_MASK;
	q->udp_size = DNS_UDPMAX;
	/* Also no flags but these: a server may dislike a query for others. */
	q->plain = (flags & ~(DNS_RD | DNS_AD | DNS_CD)) == 0;
	if (take_records(msg, q) == -1)
		return -1;
	q->variant = (uint8_t)((flags & DNS_RD) != 0) |
		     (uint8_t)((flags & DNS_AD) != 0) << 1 |
		     (uint8_t)((flags & DNS_CD) != 0) << 2 |
		     (uint8_t)q->edns << 3 | (uint8_t)q->dnssec_ok << 4;
	return 0;
}

bool
query_same(const struct query *a, const struct query *b)
{
	const struct msg_head *x = &a->head, *y = &b->head;

	return a->plain && b->plain && x->type == y->type &&
	       x->class == y->class && a->variant == b->variant &&
	       x->namelen == y->namelen &&
	       name_equal(x->name, y->name, x->namelen);
}

uint64_t
query_hash(const struct query *q, uint64_t key)
{
	const struct msg_head *h = &q->head;

	return name_hash(h->name, h->namelen,
	    key ^ ((uint64_t)q->variant << 32 | (uint64_t)h->type << 16 |
		      h->class));
}

/* RFC 1035 3.1: lengths are below the letters, so bytes can be taken as is. */
static void
mix_case(uint8_t *name, size_t len, const uint8_t *random)
{
	uint8_t c;
	size_t i;

	for (i = 0; i < len; i++) {
		c = name[i] | 0x20;
		if (c >= 'a' && c <= 'z' && (random[i / 8] >> i % 8 & 1) != 0)
			name[i] ^= 0x20;
	}
}

static int
put_opt(struct wr *w, uint16_t size, unsigned rcode, bool dnssec_ok)
{
	return wr_u8(w, 0) == -1 || wr_u16(w, DNS_TYPE_OPT) == -1 ||
		       wr_u16(w, size) == -1 ||
		       wr_u16(w, (uint16_t)(rcode >> 4 << 8)) == -1 ||
		       wr_u16(w, dnssec_ok ? DNS_EDNS_DO : 0) == -1 ||
		       wr_u16(w, 0) == -1
		   ? -1
		   : 0;
}

/* Those that do not end here; all of them are well-formed. */
static int
put_options(struct wr *w, struct rd r)
{
	const uint8_t *option;
	uint16_t code, len;

	while (r.len > 0) {
		option = r.p;
		if (rd_u16(&r, &code) == -1 || rd_u16(&r, &len) == -1 ||
		    rd_skip(&r, len) == -1)
			return -1;
		if (!is_hop_option(code) &&
		    wr_bytes(w, option, (size_t)(r.p - option)) == -1)
			return -1;
	}
	return 0;
}

static void
put_u16_at(struct wr *w, size_t at, size_t v)
{
	w->p[at] = (uint8_t)(v >> 8);
	w->p[at + 1] = (uint8_t)v;
}

/*
 * As the guest wrote it, but for an OPT record at its end: its size, and what
 * is in it for us.  Nothing changes behind a signature's back.
 */
static size_t
forward_whole(
    struct rd msg, const struct query *q, uint16_t id, uint8_t *out, size_t cap)
{
	size_t head = q->opt != 0 ? q->opt + DNS_OPTLEN : msg.len;
	struct wr w = wr_init(out, cap);
	uint16_t size;

	if (wr_bytes(&w, msg.p, head) == -1 ||
	    put_options(&w, rd_init(msg.p + head, msg.len - head)) == -1)
		return 0;
	msg_put_id(out, id);
	if (q->opt == 0)
		return w.len;
	size = q->udp_size < DNS_EDNSMAX ? q->udp_size : DNS_EDNSMAX;
	put_u16_at(&w, q->opt + 3, size);
	put_u16_at(&w, head - 2, w.len - head);
	return w.len;
}

size_t
query_forward(struct rd msg, const struct query *q, uint16_t id,
    const uint8_t *random, uint8_t *out, size_t cap)
{
	struct wr w = wr_init(out, cap);

	if (!q->plain)
		return forward_whole(msg, q, id, out, cap);
	if (wr_bytes(&w, msg.p, q->head.end) == -1 ||
	    (q->edns && put_opt(&w, DNS_EDNSMAX, 0, q->dnssec_ok) == -1))
		return 0;
	msg_put_id(out, id);
	if (random != NULL)
		mix_case(out + DNS_HDRLEN, q->head.namelen, random);
	return w.len;
}

enum query_match
query_match(const struct query *q, uint16_t id, const uint8_t *random,
    struct rd msg, struct msg_head *h)
{
	const struct msg_head *s = &q->head;
	uint8_t name[NAME_WIRELEN];

	if (msg_head(msg, h) == -1 || (h->flags & DNS_QR) == 0)
		return MATCH_NOT;
	if (h->id != id || h->type != s->type || h->class != s->class ||
	    ((h->flags ^ s->flags) >> OPCODE_SHIFT & OPCODE_MASK) != 0 ||
	    h->namelen != s->namelen ||
	    !name_equal(h->name, s->name, s->namelen))
		return MATCH_NOT;
	memcpy(name, s->name, s->namelen);
	if (random != NULL)
		mix_case(name, s->namelen, random);
	return memcmp(h->name, name, s->namelen) == 0 ? MATCH_YES : MATCH_CASE;
}

static int
put_address(struct wr *w, const struct ipaddr *a)
{
	uint16_t type = a->family == 6 ? DNS_TYPE_AAAA : DNS_TYPE_A;
	uint16_t len = type == DNS_TYPE_A ? 4 : 16;

	return wr_u16(w, NAME_POINTER) == -1 || wr_u16(w, type) == -1 ||
		       wr_u16(w, DNS_CLASS_IN) == -1 || wr_u32(w, 0) == -1 ||
		       wr_u16(w, len) == -1 || wr_bytes(w, a->b, len) == -1
		   ? -1
		   : 0;
}

size_t
query_build(struct rd msg, const struct query *q, const struct query_reply *a,
    uint8_t *out, size_t cap)
{
	struct wr w = wr_init(out, cap), head = wr_init(out, DNS_HDRLEN);
	struct msg_head h;
	size_t i;

	/* Of the flags the opcode and RD, and CD (RFC 6840 5.9) come back. */
	if (wr_bytes(&w, msg.p, q->head.end) == -1 ||
	    wr_u16(&head, q->head.id) == -1 ||
	    wr_u16(&head,
		(uint16_t)(DNS_QR | DNS_RA |
			   (q->head.flags & (OPCODE_MASK << OPCODE_SHIFT |
						DNS_RD | DNS_CD)) |
			   (a->rcode & 15))) == -1 ||
	    wr_u16(&head, 1) == -1 || wr_u16(&head, (uint16_t)a->nip) == -1 ||
	    wr_u16(&head, 0) == -1 || wr_u16(&head, q->edns) == -1)
		return 0;
	for (i = 0; i < a->nip; i++)
		if (put_address(&w, &a->ip[i]) == -1)
			return 0;
	if (q->edns && put_opt(&w, DNS_EDNSMAX, a->rcode, q->dnssec_ok) == -1)
		return 0;
	if (a->ede == DNS_EDE_NONE || msg_head(rd_init(out, w.len), &h) == -1)
		return w.len;
	return msg_add_ede(out, w.len, cap, &h, a->ede, a->text);
}

size_t
query_refuse(struct rd msg, uint8_t out[DNS_HDRLEN])
{
	struct wr w = wr_init(out, DNS_HDRLEN);
	uint16_t id, flags, opcode;

	if (msg.len < DNS_HDRLEN || rd_u16(&msg, &id) == -1 ||
	    rd_u16(&msg, &flags) == -1 || (flags & DNS_QR) != 0)
		return 0;
	opcode = flags & OPCODE_MASK << OPCODE_SHIFT;
	(void)wr_u16(&w, id);
	(void)wr_u16(
	    &w, (uint16_t)(DNS_QR | DNS_RA | opcode | (flags & DNS_RD) |
			   (opcode == 0 ? DNS_FORMERR : DNS_NOTIMP)));
	(void)wr_zero(&w, DNS_HDRLEN - w.len);
	return w.len;
}

size_t
query_bare_error(
    const struct query *q, uint16_t id, struct rd msg, uint8_t *out, size_t cap)
{
	struct wr w = wr_init(out, cap);
	struct rd r = msg;
	uint16_t got, flags;
	uint8_t count[8];

	if (msg.len != DNS_HDRLEN || rd_u16(&r, &got) == -1 || got != id ||
	    rd_u16(&r, &flags) == -1 || (flags & DNS_QR) == 0 ||
	    (flags >> OPCODE_SHIFT & OPCODE_MASK) != q->opcode ||
	    (flags & 15) == DNS_NOERROR || (flags & 15) == DNS_NXDOMAIN ||
	    rd_bytes(&r, count, sizeof(count)) == -1 ||
	    memcmp(count, "\0\0\0\0\0\0\0", sizeof(count)) != 0 ||
	    wr_bytes(&w, msg.p, 4) == -1 || wr_u16(&w, 1) == -1 ||
	    wr_zero(&w, 6) == -1 ||
	    wr_bytes(&w, q->head.name, q->head.namelen + 4) == -1)
		return 0;
	return w.len;
}
