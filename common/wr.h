#ifndef WR_H
#define WR_H

/*
 * A bounded write cursor, the mirror of rd.h.
 *
 * Every putter returns 0, or -1 when the bytes do not fit; then nothing of
 * them is written.  wr_u16 and its like write big-endian (network) order.
 * The buffer is borrowed; w.len is the number of bytes written so far.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wr {
	uint8_t *p; /* borrowed; start of the buffer */
	size_t len; /* bytes written */
	size_t cap; /* bytes the buffer holds */
};

static inline struct wr
wr_init(void *p, size_t cap)
{
	struct wr w = { p, 0, cap };

	return w;
}

static inline int
wr_bytes(struct wr *w, const void *in, size_t n)
{
	if (n > w->cap - w->len)
		return -1;
	if (n > 0)
		memcpy(w->p + w->len, in, n);
	w->len += n;
	return 0;
}

static inline int
wr_zero(struct wr *w, size_t n)
{
	if (n > w->cap - w->len)
		return -1;
	memset(w->p + w->len, 0, n);
	w->len += n;
	return 0;
}

static inline int
wr_u8(struct wr *w, uint8_t v)
{
	return wr_bytes(w, &v, 1);
}

static inline int
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	return wr_bytes(w, b, sizeof(b));
}

static inline int
wr_u32(struct wr *w, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	return wr_bytes(w, b, sizeof(b));
}

static inline int
wr_le16(struct wr *w, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	return wr_bytes(w, b, sizeof(b));
}

static inline int
wr_le32(struct wr *w, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
		(uint8_t)(v >> 24) };

	return wr_bytes(w, b, sizeof(b));
}

#endif
