/* A guest's DNS query, our own answer to it, and a server's. */

#include "dnsd/query.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t ip[DNS_MAXIPS] = { 0xc0a84101 };
	static uint8_t out[DNS_MAXMSG];
	struct rd r = rd_init(data, len), msg;
	struct query_reply reply = { .ip = ip };
	struct query q;
	uint16_t cut;
	size_t n;

	reply.rcode = fuzz_u8(&r) % 6;
	reply.nip = fuzz_u8(&r) % (DNS_MAXIPS + 1);
	reply.max = reply.nip & 1 ? DNS_UDPMAX : DNS_MAXMSG;
	cut = fuzz_u16(&r);
	if (rd_sub(&r, cut < r.len ? cut : r.len, &msg) == -1 ||
	    query_parse(msg, &q) == -1)
		return 0;
	CHECK(q.name == msg.p + DNS_HDRLEN && q.namelen <= 255);
	CHECK(q.qlen == q.namelen + 4 && DNS_HDRLEN + q.qlen <= msg.len);
	/* What is left plays the server's answer. */
	query_answered_by(&q, q.id, r);
	if ((n = query_build(msg, &q, &reply, out, sizeof(out))) == 0)
		return 0;
	CHECK(n <= reply.max);
	CHECK(query_answered_by(&q, q.id, rd_init(out, n)));
	return 0;
}
