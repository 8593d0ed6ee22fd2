/*
 * Bodies; see body.h.
 */

#include <string.h>

#include "proxyd/body.h"

/* A size below 2^60: nothing that is added to it can overflow. */
#define MAXDIGITS 15

void
body_init(struct body *b, enum framing framing, uint64_t length)
{
	memset(b, 0, sizeof(*b));
	b->framing = framing;
	b->left = framing == FRAMING_LENGTH ? length : 0;
	b->done = framing == FRAMING_NONE ||
		  (framing == FRAMING_LENGTH && length == 0);
}

static int
hexval(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int
expect(struct body *b, uint8_t c, uint8_t want, enum chunk_state next)
{
	if (c != want)
		return -1;
	b->state = next;
	return 0;
}

static bool
is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int
size_byte(struct body *b, uint8_t c)
{
	int v = hexval(c);

	if (v != -1) {
		if (b->digits == MAXDIGITS)
			return -1;
		b->digits++;
		b->left = b->left << 4 | (uint64_t)v;
		return 0;
	}
	if (b->digits == 0)
		return -1;
	b->ext = 0;
	if (c == '\r')
		b->state = CHUNK_SIZE_LF;
	else if (c == ';')
		b->state = CHUNK_EXT;
	else
		return -1;
	return 0;
}

static int
ext_byte(struct body *b, uint8_t c)
{
	if (c == '\r')
		b->state = CHUNK_SIZE_LF;
	else if (!is_text(c) || ++b->ext > BODY_MAXEXT)
		return -1;
	return 0;
}

/* Of a trailer's line: not one that continues the line before. */
static int
field_byte(struct body *b, uint8_t c)
{
	if (c == ':' && b->state == CHUNK_FIELD) {
		b->state = CHUNK_VALUE;
		return 0;
	}
	if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
		return -1;
	b->state = CHUNK_FIELD;
	return 0;
}

static int
trailer_byte(struct body *b, uint8_t c)
{
	if (++b->trailer > BODY_MAXTRAILER)
		return -1;
	if (b->state == CHUNK_TRAILER && c == '\r') {
		b->state = CHUNK_END_LF;
		return 0;
	}
	if (b->state != CHUNK_VALUE)
		return field_byte(b, c);
	if (c == '\r')
		b->state = CHUNK_FIELD_LF;
	else if (!is_text(c))
		return -1;
	return 0;
}

/* One byte that is not data. */
static int
chunk_byte(struct body *b, uint8_t c)
{
	switch (b->state) {
	case CHUNK_SIZE:
		return size_byte(b, c);
	case CHUNK_EXT:
		return ext_byte(b, c);
	case CHUNK_SIZE_LF:
		return expect(
		    b, c, '\n', b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER);
	case CHUNK_DATA_CR:
		return expect(b, c, '\r', CHUNK_DATA_LF);
	case CHUNK_DATA_LF:
		b->digits = 0;
		return expect(b, c, '\n', CHUNK_SIZE);
	case CHUNK_TRAILER:
	case CHUNK_FIELD:
	case CHUNK_VALUE:
		return trailer_byte(b, c);
	case CHUNK_FIELD_LF:
		return expect(b, c, '\n', CHUNK_TRAILER);
	case CHUNK_END_LF:
		b->done = c == '\n';
		return b->done ? 0 : -1;
	case CHUNK_DATA:
		break;
	}
	return -1;
}

static size_t
take_left(struct body *b, size_t len)
{
	size_t n = b->left < len ? (size_t)b->left : len;

	b->left -= n;
	return n;
}

static ssize_t
take_chunks(struct body *b, const uint8_t *p, size_t len)
{
	size_t i = 0;

	while (i < len && !b->done) {
		if (b->state == CHUNK_DATA) {
			i += take_left(b, len - i);
			if (b->left == 0)
				b->state = CHUNK_DATA_CR;
		} else if (chunk_byte(b, p[i++]) == -1) {
			return -1;
		}
	}
	return (ssize_t)i;
}

ssize_t
body_take(struct body *b, const void *p, size_t len)
{
	size_t n;

	if (b->done)
		return 0;
	switch (b->framing) {
	case FRAMING_CHUNKED:
		return take_chunks(b, p, len);
	case FRAMING_LENGTH:
		n = take_left(b, len);
		b->done = b->left == 0;
		return (ssize_t)n;
	case FRAMING_EOF:
		return (ssize_t)len;
	case FRAMING_NONE:
		break;
	}
	return 0;
}
