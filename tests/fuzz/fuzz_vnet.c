/*
 * A frame behind a vnet header: what is understood can be completed, and its
 * segments are the whole again, each with sums that are right.
 */

#include "common/cksum.h"
#include "common/vnet.h"

#include "fuzz.h"

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
check_segment(const struct vnet *v, const uint8_t *out, size_t len)
{
	const uint8_t *ip = out + v->ip, *tcp = out + v->start;
	size_t tcplen = len - v->start;
	uint32_t src = (uint32_t)get16(ip + 12) << 16 | get16(ip + 14);
	uint32_t dst = (uint32_t)get16(ip + 16) << 16 | get16(ip + 18);
	uint32_t sum = cksum_pseudo(src, dst, 6, tcplen);

	CHECK(len >= v->hdrlen && len - v->hdrlen <= v->seg);
	CHECK(get16(ip + 2) == len - v->ip);
	CHECK(cksum_finish(cksum_add(0, ip, (size_t)(tcp - ip))) == 0);
	CHECK(cksum_finish(cksum_add(sum, tcp, tcplen)) == 0);
}

static void
cut(const struct vnet *v, const uint8_t *frame)
{
	static uint8_t out[65536];
	struct vnet_cut c;
	size_t len, done = 0;

	vnet_cut(&c, v, frame);
	while ((len = vnet_cut_next(&c, out, sizeof(out))) > 0) {
		check_segment(v, out, len);
		len -= v->hdrlen;
		CHECK(memcmp(out + v->hdrlen, frame + v->hdrlen + done, len) ==
		      0);
		done += len;
	}
	CHECK(done == v->plen);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct vnet v;
	uint8_t *frame;

	if (vnet_read(&r, &v) == -1)
		return 0;
	CHECK(r.len == len - VNET_HDRLEN);
	CHECK(v.seg == 0 || v.plain);
	if ((frame = malloc(r.len + 1)) == NULL)
		abort();
	memcpy(frame, r.p, r.len);
	if (v.seg > 0)
		cut(&v, frame);
	vnet_complete(frame, r.len, &v);
	free(frame);
	return 0;
}
