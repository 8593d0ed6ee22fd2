#ifndef RD_H
#define RD_H

/*
 * A bounded read cursor: the only way a length from outside is obeyed.
 *
 * Every getter returns 0 and advances, or returns -1 and leaves the cursor as
 * it was.  rd_u16 and its like read big-endian (network) order, rd_le16 and
 * its like little-endian.  The bytes are borrowed from whoever made the
 * cursor; nothing is allocated.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p; /* borrowed; next byte to read */
	size_t len;	  /* bytes left */
};

static inline struct rd
rd_init(const void *p, size_t len)
{
	struct rd r = { p, len };

	return r;
}

/* Skips n bytes. */
static inline int
rd_skip(struct rd *r, size_t n)
{
	if (n > r->len)
		return -1;
	r->p += n;
	r->len -= n;
	return 0;
}

/* Copies n bytes out. */
static inline int
rd_bytes(struct rd *r, void *out, size_t n)
{
	if (n > r->len)
		return -1;
	if (n > 0)
		memcpy(out, r->p, n);
	return rd_skip(r, n);
}

/* Splits the next n bytes off as a cursor of their own. */
static inline int
rd_sub(struct rd *r, size_t n, struct rd *sub)
{
	if (n > r->len)
		return -1;
	*sub = rd_init(r->p, n);
	return rd_skip(r, n);
}

static inline int
rd_u8(struct rd *r, uint8_t *v)
{
	return rd_bytes(r, v, 1);
}

static inline int
rd_u16(struct rd *r, uint16_t *v)
{
	uint8_t b[2];

	if (rd_bytes(r, b, sizeof(b)) == -1)
		return -1;
	*v = (uint16_t)(b[0] << 8 | b[1]);
	return 0;
}

static inline int
rd_u32(struct rd *r, uint32_t *v)
{
	uint8_t b[4];

	if (rd_bytes(r, b, sizeof(b)) == -1)
		return -1;
	*v = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3];
	return 0;
}

static inline int
rd_le16(struct rd *r, uint16_t *v)
{
	uint8_t b[2];

	if (rd_bytes(r, b, sizeof(b)) == -1)
		return -1;
	*v = (uint16_t)(b[1] << 8 | b[0]);
	return 0;
}

static inline int
rd_le32(struct rd *r, uint32_t *v)
{
	uint8_t b[4];

	if (rd_bytes(r, b, sizeof(b)) == -1)
		return -1;
	*v = (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 |
	    (uint32_t)b[1] << 8 | b[0];
	return 0;
}

#endif
