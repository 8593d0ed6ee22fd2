#ifndef PROXY2_H
#define PROXY2_H

/*
 * The PROXY protocol, version 2: what a server behind us is told of the client
 * before the client's own bytes.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define PROXY2_MAX 52

/*
 * The header of a TCP connection from one address to another; an address of
 * 0.0.0.0 or of neither family: the client has none, which the header says.
 * IPv4 beside IPv6 becomes IPv6.  Returns the length.
 */
size_t proxy2_header(uint8_t buf[PROXY2_MAX], const struct ipaddr *from,
    uint16_t fport, const struct ipaddr *to, uint16_t tport);

#endif
