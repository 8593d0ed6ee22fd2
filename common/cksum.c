/*
 * The Internet checksum (RFC 1071).
 *
 * A ones' complement sum does not care how wide its words are or in which
 * order their bytes lie, so bytes are summed eight at a time as they come
 * from memory, into 64-bit sums of 32-bit halves that cannot overflow.  What
 * is handed between the functions is such a sum folded to 32 bits.
 */

#include <string.h>

#include "common/cksum.h"
#include "common/wr.h"

static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
fold32(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	return (uint32_t)s;
}

/*
 * Whole 32-byte blocks.  The four loads are independent and so are the two
 * sums, which is what keeps the adders busy.
 */
static uint64_t
sum_blocks(const uint8_t *p, size_t n)
{
	uint64_t lo = 0, hi = 0;
	uint64_t a, b, c, d;

	for (; n > 0; n--, p += 32) {
		a = load64(p);
		b = load64(p + 8);
		c = load64(p + 16);
		d = load64(p + 24);
		lo += (a & 0xffffffff) + (b & 0xffffffff) + (c & 0xffffffff) +
		      (d & 0xffffffff);
		hi += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	return (uint64_t)fold32(lo) + fold32(hi);
}

uint32_t
cksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t s = sum, v;

	if (len == 0)
		return sum;
	if (len >= 32) {
		s += sum_blocks(p, len / 32);
		p += len & ~(size_t)31;
		len &= 31;
	}
	for (; len >= 8; len -= 8, p += 8) {
		v = load64(p);
		s += (v & 0xffffffff) + (v >> 32);
	}
	if (len > 0) {
		/* The rest, as if zeros followed it. */
		v = 0;
		memcpy(&v, p, len);
		s += (v & 0xffffffff) + (v >> 32);
	}
	return fold32(s);
}

uint32_t
cksum_pseudo(uint32_t src, uint32_t dst, uint8_t proto, size_t len)
{
	uint8_t b[12];
	struct wr w = wr_init(b, sizeof(b));

	wr_u32(&w, src);
	wr_u32(&w, dst);
	wr_u16(&w, proto);
	wr_u16(&w, (uint16_t)len);
	return cksum_add(0, b, sizeof(b));
}

uint16_t
cksum_finish(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
