#ifndef SEQ_H
#define SEQ_H

/*
 * Sequence numbers are modulo 2^32 (RFC 9293 3.4): one is before another when
 * it is less than half the space behind it.
 */

#include <stdbool.h>
#include <stdint.h>

static inline bool
seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool
seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool
seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline uint32_t
seq_max(uint32_t a, uint32_t b)
{
	return seq_gt(a, b) ? a : b;
}

static inline uint32_t
seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* How far b lies beyond a, 0 when it does not. */
static inline uint32_t
seq_ahead(uint32_t a, uint32_t b)
{
	return seq_gt(b, a) ? b - a : 0;
}

#endif
