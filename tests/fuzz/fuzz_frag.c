/*
 * Fragments of four datagrams in any order; byte i of each has a value of its
 * own, so a whole one can be told from a wrong one.
 */

#include "netstackd/core/ip4.h"

#include "fuzz.h"

#define SPAN (2u << 16) /* the last offset, and the longest piece */

static uint8_t bytes[4][SPAN];

static void
bytes_init(void)
{
	size_t id, i;

	for (id = 0; id < 4; id++)
		for (i = 0; i < SPAN; i++)
			bytes[id][i] = (uint8_t)(id * 37 + i * 5 + (i >> 8));
}

/* A datagram is whole: pkt is it. */
static void
check_whole(const struct ip4_pkt *p, uint16_t id)
{
	const uint8_t *b = p->payload.p;

	CHECK(p->copied && p->payload.len > 0);
	CHECK(p->hdr + p->hdrlen == b);
	CHECK(
	    (size_t)(p->hdr[2] << 8 | p->hdr[3]) == p->hdrlen + p->payload.len);
	CHECK(cksum_finish(cksum_add(0, p->hdr, p->hdrlen)) == 0);
	CHECK(memcmp(b, bytes[id], p->payload.len) == 0);
}

static void
fragment(struct net *net, usec_t now, struct rd *r, uint8_t op)
{
	struct ip4_hdr h = { .id = op & 3 };
	struct ip4_pkt p = { .dst = 1, .proto = IPPROTO4_UDP };
	uint8_t hdr[IP4_MAXHDRLEN] = { 0 }, *b;
	size_t off = fuzz_u16(r) & IP4_OFFMASK, len = fuzz_u8(r) * 8u;

	if (op & 16)
		len += fuzz_u8(r) * 240u;
	if ((op & 4) == 0)
		len += fuzz_u8(r) & 7;
	CHECK((b = malloc(len + 1)) != NULL);
	memcpy(b, &bytes[h.id][off * 8], len);
	h.frag = (uint16_t)(off | (op & 4 ? IP4_MF : 0));
	p.hdr = hdr;
	p.hdrlen = op & 32 ? IP4_MAXHDRLEN : IP4_HDRLEN;
	hdr[0] = (uint8_t)(0x40 | p.hdrlen / 4);
	p.payload = rd_init(b, len);
	if (frag_input(net, now, &h, &p) == 1) {
		check_whole(&p, h.id);
		frag_done(net);
	}
	free(b);
}

/* No room: what is told goes nowhere, but is put together. */
static uint8_t *
no_space(void *arg, size_t *len)
{
	*len = 0;
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct net_hooks hooks = { .space = no_space };
	static struct net net;
	static uint64_t stat[NETS__MAX];
	struct rd r = rd_init(data, len);
	usec_t now = USEC_SEC;
	uint8_t op;

	if (bytes[1][0] == 0)
		bytes_init();
	memset(&net, 0, sizeof(net));
	net.stat = stat;
	net.conf.guest_ip = 1;
	net.hook = &hooks;
	net.icmp_tokens = ICMP_BURST;
	CHECK(frag_net_new(&net) == 0);
	while (rd_u8(&r, &op) == 0) {
		if (op & 8) {
			now += fuzz_u8(&r) * USEC_SEC / 4;
			net_tick(&net, now);
		}
		fragment(&net, now, &r, op);
		CHECK(net_deadline(&net) > now);
	}
	net_tick(&net, now + 60 * USEC_SEC);
	CHECK(net_deadline(&net) == USEC_NEVER);
	frag_net_free(&net);
	free(net.heap);
	return 0;
}
