#ifndef BUF_H
#define BUF_H

/*
 * Bytes on their way out: appended at the end, taken from the front.  It grows
 * to what is put in, so who puts in looks at the length first.  Zeroed, it is
 * empty.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buf {
	uint8_t *p;	 /* owned */
	size_t off, len; /* the bytes: len of them from off */
	size_t cap;
};

static inline const uint8_t *
buf_data(const struct buf *b)
{
	return b->p + b->off;
}

/* Room for n more bytes, to be followed by buf_add(); NULL: no memory. */
static inline uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap > 0 ? b->cap : 512;
	uint8_t *p;

	if (b->cap - b->off - b->len >= n && b->p != NULL)
		return b->p + b->off + b->len;
	if (b->off > 0) {
		memmove(b->p, b->p + b->off, b->len);
		b->off = 0;
	}
	while (cap < b->len + n)
		cap *= 2;
	if (cap > b->cap) {
		if ((p = realloc(b->p, cap)) == NULL)
			return NULL;
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->len;
}

static inline void
buf_add(struct buf *b, size_t n)
{
	b->len += n;
}

static inline int
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to;

	if (n == 0)
		return 0;
	if ((to = buf_room(b, n)) == NULL)
		return -1;
	memcpy(to, p, n);
	b->len += n;
	return 0;
}

static inline void
buf_free(struct buf *b)
{
	free(b->p);
	memset(b, 0, sizeof(*b));
}

/* Takes n bytes away. */
static inline void
buf_drop(struct buf *b, size_t n)
{
	b->len -= n;
	b->off = b->len > 0 ? b->off + n : 0;
}

/* The same; an empty one gives its memory back. */
static inline void
buf_take(struct buf *b, size_t n)
{
	buf_drop(b, n);
	if (b->len == 0)
		buf_free(b);
}

#endif
