/*
 * Bodies in chunks; see http.h.
 */

#include <stdint.h>

#include "portd/front/http.h"

#define MAXDIGITS 8	/* of a size: no overflow, and too large anyway */
#define MAXOTHER  16384 /* bytes of extensions and trailers */

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int
expect(struct http_chunks *k, char c, char want, enum chunks_state next)
{
	if (c != want)
		return 400;
	k->state = next;
	return 0;
}

static int
size_byte(struct http_chunks *k, char c)
{
	int v = hexval(c);

	if (v != -1) {
		if (k->digits++ == MAXDIGITS)
			return 400;
		k->left = k->left << 4 | (size_t)v;
		return 0;
	}
	if (k->digits == 0 || (c != '\r' && c != ';'))
		return 400;
	if (k->left > HTTP_MAXBODY - k->total)
		return 413;
	k->total += k->left;
	k->digits = 0;
	k->state = c == ';' ? CHUNKS_EXT : CHUNKS_SIZE_LF;
	return 0;
}

/* Of what is skipped, up to the end of its line. */
static int
other_byte(struct http_chunks *k, char c, enum chunks_state next)
{
	if (++k->other > MAXOTHER)
		return 413;
	if (c == '\r')
		k->state = next;
	else if ((c < ' ' && c != '\t' && (uint8_t)c < 0x80) || c == 0x7f)
		return 400;
	return 0;
}

/* One byte that is not data; 0, or the status to answer. */
static int
chunks_byte(struct http_chunks *k, char c)
{
	switch (k->state) {
	case CHUNKS_SIZE:
		return size_byte(k, c);
	case CHUNKS_EXT:
		return other_byte(k, c, CHUNKS_SIZE_LF);
	case CHUNKS_SIZE_LF:
		return expect(
		    k, c, '\n', k->left > 0 ? CHUNKS_DATA : CHUNKS_TRAILER);
	case CHUNKS_DATA_CR:
		return expect(k, c, '\r', CHUNKS_DATA_LF);
	case CHUNKS_DATA_LF:
		return expect(k, c, '\n', CHUNKS_SIZE);
	case CHUNKS_TRAILER:
		if (c == '\r') {
			k->state = CHUNKS_END_LF;
			return 0;
		}
		k->state = CHUNKS_FIELD;
		return other_byte(k, c, CHUNKS_FIELD_LF);
	case CHUNKS_FIELD:
		return other_byte(k, c, CHUNKS_FIELD_LF);
	case CHUNKS_FIELD_LF:
		return expect(k, c, '\n', CHUNKS_TRAILER);
	case CHUNKS_END_LF:
		k->done = true;
		return c == '\n' ? 0 : 400;
	case CHUNKS_DATA:
		break;
	}
	return 400;
}

int
http_chunks_take(struct http_chunks *k, const char *p, size_t len,
    const char **data, size_t *n, int *status)
{
	size_t i = 0;

	*data = p;
	*n = 0;
	while (i < len && !k->done && k->state != CHUNKS_DATA) {
		if ((*status = chunks_byte(k, p[i++])) != 0)
			return -1;
	}
	if (i < len && k->state == CHUNKS_DATA) {
		*data = p + i;
		*n = k->left < len - i ? k->left : len - i;
		k->left -= *n;
		if (k->left == 0)
			k->state = CHUNKS_DATA_CR;
	}
	return (int)(i + *n);
}
