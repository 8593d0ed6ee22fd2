/*
 * The query path and the answer path: a guest's query as it is sent on, our own
 * answers to it, and a server's answer with all that is done to it.
 */

#include "dnsd/cache.h"
#include "dnsd/names.h"

#include "fuzz.h"

static uint8_t out[DNS_MAXMSG];

static void
own_answer(struct rd msg, const struct query *q, uint8_t how)
{
	static struct ipaddr ip[DNS_MAXIPS];
	struct query_reply a = { .ip = ip,
		.rcode = how % 6,
		.nip = how % (DNS_MAXIPS + 1),
		.ede = how & 1 ? DNS_EDE_NO_REACHABLE : DNS_EDE_NONE,
		.text = "text" };
	struct msg_facts f;
	struct msg_head h;
	size_t n, cut;

	for (n = 0; n < a.nip; n++)
		ip[n].family = (how >> n % 8 & 1) != 0 ? 6 : 4;
	n = query_build(msg, q, &a, out, sizeof(out));
	CHECK(n > 0 && msg_head(rd_init(out, n), &h) == 0);
	CHECK(msg_facts(rd_init(out, n), &h, &f) == 0 && f.len == n);
	CHECK(h.count[SEC_ANSWER] == a.nip);
	cut = msg_cut(out, n, &h, q->udp_size);
	CHECK(cut <= n && cut <= q->udp_size);
	CHECK(msg_head(rd_init(out, cut), &h) == 0);
	CHECK(msg_facts(rd_init(out, cut), &h, &f) == 0 && f.len == cut);
}

static void
sent_on(struct rd msg, const struct query *q, const uint8_t *random)
{
	struct query again;
	struct msg_head h;
	size_t n;

	n = query_forward(msg, q, 4711, random, out, sizeof(out));
	CHECK(n >= DNS_HDRLEN && n <= msg.len + DNS_OPTLEN);
	CHECK(query_parse(rd_init(out, n), &again) == 0);
	CHECK(again.head.id == 4711 && again.plain == q->plain);
	CHECK(again.edns == q->edns && again.dnssec_ok == q->dnssec_ok);
	CHECK(name_equal(again.head.name, q->head.name, q->head.namelen));
	out[2] |= DNS_QR >> 8;
	CHECK(query_match(q, 4711, q->plain ? random : NULL, rd_init(out, n),
		  &h) == MATCH_YES);
}

static void
server_answer(const struct query *q, const uint8_t *random, struct rd msg)
{
	static uint8_t buf[DNS_MAXMSG];
	struct cache *c;
	struct cache_answer ca;
	struct msg_facts f;
	struct msg_head h;
	size_t len = msg.len < sizeof(buf) ? msg.len : sizeof(buf);

	memcpy(buf, msg.p, len);
	len = query_bare_error(q, 4711, rd_init(buf, len), out, sizeof(out));
	CHECK(len == 0 || msg_head(rd_init(out, len), &h) == 0);
	len = msg.len < sizeof(buf) ? msg.len : sizeof(buf);
	if (query_match(q, 4711, random, rd_init(buf, len), &h) == MATCH_NOT &&
	    msg_head(rd_init(buf, len), &h) == -1)
		return;
	if (msg_facts(rd_init(buf, len), &h, &f) == -1) {
		len = msg_cut(buf, len, &h, len);
		CHECK(msg_head(rd_init(buf, len), &h) == 0);
		CHECK(msg_facts(rd_init(buf, len), &h, &f) == 0);
		CHECK(f.len == len && (h.flags & DNS_TC) != 0);
		return;
	}
	CHECK(f.len <= len);
	msg_set_case(buf, len, &h, q->head.name, q->head.namelen);
	if (f.cacheable && q->plain) {
		CHECK((c = cache_new(2, 100000, 1)) != NULL);
		CHECK(f.ttl > 0);
		cache_put(c, 0, q, buf, len, f.ttl, 1);
		CHECK(cache_get(c, 0, q, &ca) && !ca.stale && ca.len == len);
		cache_free(c);
	}
	msg_age(buf, len, &h, 100, 1);
	len = msg_add_ede(buf, len, sizeof(buf), &h, DNS_EDE_STALE, "text");
	CHECK(msg_facts(rd_init(buf, len), &h, &f) == 0);
	len = msg_cut(buf, len, &h, q->udp_size);
	CHECK(len <= q->udp_size && msg_head(rd_init(buf, len), &h) == 0);
	CHECK(msg_facts(rd_init(buf, len), &h, &f) == 0 || len < h.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t random[32] = { 0 };
	struct rd r = rd_init(data, len), msg;
	struct query q;
	uint16_t cut;
	uint8_t how;

	how = fuzz_u8(&r);
	random[0] = fuzz_u8(&r);
	cut = fuzz_u16(&r);
	if (rd_sub(&r, cut < r.len ? cut : r.len, &msg) == -1)
		return 0;
	if (query_parse(msg, &q) == -1) {
		CHECK(query_refuse(msg, out) % DNS_HDRLEN == 0);
		return 0;
	}
	CHECK(q.head.name == msg.p + DNS_HDRLEN && q.head.namelen <= 255);
	CHECK(q.head.end <= msg.len && q.udp_size >= DNS_UDPMAX);
	own_answer(msg, &q, how);
	sent_on(msg, &q, how & 2 ? random : NULL);
	/* What is left plays the server's answer. */
	server_answer(&q, how & 2 && q.plain ? random : NULL, r);
	return 0;
}
