/*
 * Addresses of names, RFC 1035 4.1.  See answer.h.
 */

#include <string.h>

#include "common/wr.h"
#include "dnsd/answer.h"
#include "dnsd/query.h"

#define NAME_MAX_WIRE 255
#define LABEL_MAX     63

static int
put_name(struct wr *w, const char *name)
{
	size_t n, total = 1;

	while (*name != '\0') {
		n = strcspn(name, ".");
		total += n + 1;
		if (n == 0 || n > LABEL_MAX || total > NAME_MAX_WIRE ||
		    wr_u8(w, (uint8_t)n) == -1 || wr_bytes(w, name, n) == -1)
			return -1;
		name += n;
		if (*name == '.')
			name++;
	}
	return total == 1 ? -1 : wr_u8(w, 0);
}

static uint16_t
type_of(int family)
{
	return family == 6 ? DNS_TYPE_AAAA : DNS_TYPE_A;
}

size_t
answer_query(uint8_t *out, uint16_t id, const char *name, int family)
{
	struct wr w = wr_init(out, ANSWER_QUERYMAX);

	/* Recursion desired, one question. */
	if (wr_u16(&w, 0) == -1 || wr_u16(&w, id) == -1 ||
	    wr_u16(&w, 0x0100) == -1 || wr_u16(&w, 1) == -1 ||
	    wr_zero(&w, 6) == -1 || put_name(&w, name) == -1 ||
	    wr_u16(&w, type_of(family)) == -1 || wr_u16(&w, DNS_CLASS_IN) == -1)
		return 0;
	out[0] = (uint8_t)((w.len - 2) >> 8);
	out[1] = (uint8_t)(w.len - 2);
	return w.len;
}

/* A name that nobody needs: labels up to a zero or a pointer. */
static int
skip_name(struct rd *r)
{
	uint8_t n;

	do {
		if (rd_u8(r, &n) == -1)
			return -1;
		if ((n & 0xc0) == 0xc0)
			return rd_skip(r, 1);
		if ((n & 0xc0) != 0 || rd_skip(r, n) == -1)
			return -1;
	} while (n != 0);
	return 0;
}

static int
parse_record(struct rd *r, int family, struct answer *a)
{
	uint16_t type, class, len, want = family == 6 ? 16 : 4;
	struct ipaddr ip = { .family = (uint8_t)family };
	uint32_t ttl;
	struct rd data;

	if (skip_name(r) == -1 || rd_u16(r, &type) == -1 ||
	    rd_u16(r, &class) == -1 || rd_u32(r, &ttl) == -1 ||
	    rd_u16(r, &len) == -1 || rd_sub(r, len, &data) == -1)
		return -1;
	if (type != type_of(family) || class != DNS_CLASS_IN)
		return 0;
	if (len != want || rd_bytes(&data, ip.b, want) == -1)
		return -1;
	if (a->nip < ANSWER_MAXIPS)
		a->ip[a->nip++] = ip;
	return 0;
}

int
answer_id(struct rd r, uint16_t *id)
{
	uint16_t flags;

	if (rd_u16(&r, id) == -1 || rd_u16(&r, &flags) == -1)
		return -1;
	return (flags & 0x8000) != 0 ? 0 : -1;
}

int
answer_parse(struct rd r, int family, struct answer *a)
{
	uint16_t flags, nquestion, nanswer, i;

	memset(a, 0, sizeof(*a));
	if (rd_u16(&r, &a->id) == -1 || rd_u16(&r, &flags) == -1 ||
	    rd_u16(&r, &nquestion) == -1 || rd_u16(&r, &nanswer) == -1 ||
	    rd_skip(&r, 4) == -1 || (flags & 0x8000) == 0)
		return -1;
	a->rcode = flags & 0xf;
	for (i = 0; i < nquestion; i++) {
		if (skip_name(&r) == -1 || rd_skip(&r, 4) == -1)
			return -1;
	}
	for (i = 0; i < nanswer; i++) {
		if (parse_record(&r, family, a) == -1)
			return -1;
	}
	return 0;
}
