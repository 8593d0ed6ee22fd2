#ifndef TCP_WIRE_H
#define TCP_WIRE_H

/*
 * A TCP segment in memory, and its way from and to the wire (RFC 9293 3.1).
 * Decides nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/rd.h"

#define TCP_HDRLEN     20
#define TCP_HDRLEN_MAX 60

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

/* Options there are: bits of tcp_opts.has. */
#define TCPO_MSS    0x01 /* RFC 9293 3.7.1 */
#define TCPO_WSCALE 0x02 /* RFC 7323 2 */
#define TCPO_SACKOK 0x04 /* RFC 2018 2 */
#define TCPO_TS	    0x08 /* RFC 7323 3 */

#define TCP_NSACK      4  /* blocks a header holds */
#define TCP_WSCALE_MAX 14 /* RFC 7323 2.3 */

/* [start, end) of the sequence space. */
struct tcp_range {
	uint32_t start, end;
};

struct tcp_opts {
	uint8_t has;
	uint8_t wscale; /* as received: may exceed TCP_WSCALE_MAX */
	uint8_t nsack;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct tcp_range sack[TCP_NSACK];
};

struct tcp_seg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd; /* as on the wire, unscaled */
	struct tcp_opts opt;
	struct rd data; /* borrowed; not looked at by tcp_write() */
};

/*
 * Parses a whole segment, which r holds.  -1: shorter than its header, or an
 * option of an impossible length; s is then undefined.
 */
int tcp_parse(struct rd r, struct tcp_seg *s);

/* The length of the header tcp_write() makes of s. */
size_t tcp_hdrlen(const struct tcp_seg *s);

/* Writes the header to tcp_hdrlen(s) bytes at p, the checksum as zero. */
void tcp_write(uint8_t *p, const struct tcp_seg *s);
#define TCP_SUM_OFF 16

/* What a segment takes of the sequence space. */
static inline uint32_t
tcp_seglen(const struct tcp_seg *s)
{
	return (uint32_t)s->data.len + ((s->flags & TCP_SYN) != 0) +
	       ((s->flags & TCP_FIN) != 0);
}

#endif
