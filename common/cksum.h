#ifndef CKSUM_H
#define CKSUM_H

/*
 * Ones' complement sums (RFC 1071) of bytes in memory order.  Addresses are in
 * host order.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

/* len is even, but for the last piece. */
uint32_t cksum_add(uint32_t sum, const void *, size_t len);
uint32_t cksum_pseudo(uint32_t src, uint32_t dst, uint8_t proto, size_t len);
/* The value to store, already in memory order: memcpy it. */
uint16_t cksum_finish(uint32_t sum);

#endif
