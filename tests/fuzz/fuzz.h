#ifndef FUZZ_H
#define FUZZ_H

/*
 * What the fuzz targets share: each is one function that gets any bytes and
 * must return 0.  A target is linked with libFuzzer, or with main.c, which
 * plays files.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A finding. */
#define CHECK(e) ((e) ? (void)0 : fuzz_failed(#e, __FILE__, __LINE__))

_Noreturn static inline void
fuzz_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* The next value of a script; zeros behind its end. */
static inline uint8_t
fuzz_u8(struct rd *r)
{
	uint8_t v = 0;

	rd_u8(r, &v);
	return v;
}

static inline uint16_t
fuzz_u16(struct rd *r)
{
	uint16_t v = 0;

	if (rd_u16(r, &v) == -1)
		v = fuzz_u8(r);
	return v;
}

static inline uint32_t
fuzz_u32(struct rd *r)
{
	uint32_t hi = fuzz_u16(r);

	return hi << 16 | fuzz_u16(r);
}

/* The next n bytes, or what is left, at their exact size and to be freed. */
static inline uint8_t *
fuzz_bytes(struct rd *r, size_t n, size_t *len)
{
	uint8_t *p;

	*len = n < r->len ? n : r->len;
	if ((p = malloc(*len > 0 ? *len : 1)) == NULL)
		abort();
	rd_bytes(r, p, *len);
	return p;
}

/* The same as a string, up to the first zero or newline, which is skipped. */
static inline char *
fuzz_line(struct rd *r)
{
	size_t len;
	char *s;

	for (len = 0; len < r->len; len++)
		if (r->p[len] == '\0' || r->p[len] == '\n')
			break;
	if ((s = malloc(len + 1)) == NULL)
		abort();
	rd_bytes(r, s, len);
	s[len] = '\0';
	rd_skip(r, 1);
	return s;
}

#endif
