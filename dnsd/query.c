#include "dnsd/query.h"

#include <ldns/ldns.h>

#include "dnsd/names.h"

#define FLAG_QR	     0x8000
#define OPCODE_SHIFT 11
#define OPCODE_MASK  15

/* RFC 1035 4.1.2; nothing a question's name could point at comes before it. */
static int
parse_question(struct rd *r, struct query *q)
{
	const uint8_t *start = r->p;
	uint8_t n;

	do {
		if (rd_u8(r, &n) == -1 || n > NAME_LABEL || rd_skip(r, n) == -1)
			return -1;
	} while (n != 0);
	q->name = start;
	q->namelen = (size_t)(r->p - start);
	if (q->namelen > NAME_WIRELEN || rd_u16(r, &q->type) == -1 ||
	    rd_u16(r, &q->class) == -1)
		return -1;
	q->qlen = (size_t)(r->p - start);
	return 0;
}

/* The header and the one question; *flags for the caller to judge. */
static int
parse_head(struct rd *r, struct query *q, uint16_t *flags)
{
	uint16_t qdcount;

	if (rd_u16(r, &q->id) == -1 || rd_u16(r, flags) == -1 ||
	    rd_u16(r, &qdcount) == -1 || rd_skip(r, 6) == -1 || qdcount != 1)
		return -1;
	q->opcode = *flags >> OPCODE_SHIFT & OPCODE_MASK;
	return parse_question(r, q);
}

int
query_parse(struct rd r, struct query *q)
{
	uint16_t flags;

	if (parse_head(&r, q, &flags) == -1 || (flags & FLAG_QR) != 0)
		return -1;
	return 0;
}

bool
query_answered_by(const struct query *q, uint16_t id, struct rd r)
{
	struct query a;
	uint16_t flags;

	if (parse_head(&r, &a, &flags) == -1 || (flags & FLAG_QR) == 0)
		return false;
	return a.id == id && a.opcode == q->opcode && a.type == q->type &&
	       a.class == q->class && a.namelen == q->namelen &&
	       name_equal(a.name, q->name, q->namelen);
}

static ldns_rr *
a_record(const ldns_rr *question, uint32_t ip)
{
	uint8_t b[4] = { (uint8_t)(ip >> 24), (uint8_t)(ip >> 16),
		(uint8_t)(ip >> 8), (uint8_t)ip };
	ldns_rdf *owner, *addr;
	ldns_rr *rr;

	if ((rr = ldns_rr_new()) == NULL)
		return NULL;
	ldns_rr_set_type(rr, LDNS_RR_TYPE_A);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, 0);
	if ((owner = ldns_rdf_clone(ldns_rr_owner(question))) != NULL)
		ldns_rr_set_owner(rr, owner);
	addr = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(b), b);
	if (owner == NULL || addr == NULL || !ldns_rr_push_rdf(rr, addr)) {
		ldns_rdf_deep_free(addr);
		ldns_rr_free(rr);
		return NULL;
	}
	return rr;
}

static int
push_records(ldns_pkt *p, const struct query_reply *a)
{
	const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(p), 0);
	ldns_rr *rr;
	size_t i;

	if (question == NULL)
		return -1;
	for (i = 0; i < a->nip; i++) {
		if ((rr = a_record(question, a->ip[i])) == NULL)
			return -1;
		if (!ldns_pkt_push_rr(p, LDNS_SECTION_ANSWER, rr)) {
			ldns_rr_free(rr);
			return -1;
		}
	}
	return 0;
}

/* Drops whole records from the end until the message fits. */
static size_t
write_packet(ldns_pkt *p, size_t max, uint8_t *out, size_t outlen)
{
	uint8_t *wire;
	size_t len;

	for (;;) {
		if (ldns_pkt2wire(&wire, p, &len) != LDNS_STATUS_OK)
			return 0;
		if (len <= max && len <= outlen)
			break;
		free(wire);
		if (ldns_pkt_ancount(p) == 0)
			return 0;
		ldns_rr_free(ldns_rr_list_pop_rr(ldns_pkt_answer(p)));
		ldns_pkt_set_ancount(p, (uint16_t)(ldns_pkt_ancount(p) - 1));
		ldns_pkt_set_tc(p, true);
	}
	memcpy(out, wire, len);
	free(wire);
	return len;
}

size_t
query_build(struct rd msg, const struct query *q, const struct query_reply *a,
    uint8_t *out, size_t outlen)
{
	uint8_t head[DNS_HDRLEN + NAME_WIRELEN + 4];
	size_t len = 0;
	ldns_pkt *p;

	/* Only the question comes back: no record of the guest's is parsed. */
	if (rd_bytes(&msg, head, DNS_HDRLEN) == -1 ||
	    rd_bytes(&msg, head + DNS_HDRLEN, q->qlen) == -1)
		return 0;
	memset(head + 6, 0, 6);
	if (ldns_wire2pkt(&p, head, DNS_HDRLEN + q->qlen) != LDNS_STATUS_OK)
		return 0;
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_ra(p, true);
	ldns_pkt_set_aa(p, false);
	ldns_pkt_set_tc(p, false);
	ldns_pkt_set_ad(p, false);
	ldns_pkt_set_cd(p, false);
	ldns_pkt_set_rcode(p, (ldns_pkt_rcode)a->rcode);
	if (push_records(p, a) == 0)
		len = write_packet(p, a->max, out, outlen);
	ldns_pkt_free(p);
	return len;
}
