#ifndef MUXFRAME_H
#define MUXFRAME_H

/*
 * What goes over the tunnel to vpnkit-forwarder, as bytes: the frames of the
 * multiplexer, the head of a connection of the 2017 form, datagrams in a
 * stream, and the handshake.  All numbers little-endian.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"
#include "common/wr.h"

#define MUX_HDRLEN  7
#define MUX_MAXHEAD 512 /* of a frame, with its destination */
#define MUX_PATHMAX 107

enum mux_cmd {
	MUX_OPEN = 1,
	MUX_CLOSE,
	MUX_SHUTDOWN,
	MUX_DATA,
	MUX_WINDOW,
};

extern const char *const mux_cmd_name[]; /* by enum mux_cmd */

#define MUX_DEDICATED	1
#define MUX_MULTIPLEXED 2

enum mux_proto { MUX_TCP = 1, MUX_UDP, MUX_UNIX };

struct mux_dest {
	uint8_t proto;
	struct ipaddr ip;
	uint16_t port;
	char path[MUX_PATHMAX + 1];
};

struct mux_frame {
	uint8_t cmd;
	uint32_t id;
	uint8_t connection;   /* OPEN */
	struct mux_dest dest; /* OPEN */
	uint32_t len;	      /* DATA: bytes that follow */
	uint64_t seq;	      /* WINDOW */
};

/*
 * The head of a frame: its length, -2 when more bytes are needed, -1 when it
 * is none and nothing good can follow.
 */
int mux_get(const uint8_t *p, size_t len, struct mux_frame *);
/* -1: no room. */
int mux_put(struct wr *, const struct mux_frame *);
/* The head of a connection of the 2017 form. */
int mux_put_dest(struct wr *, const struct mux_dest *);

/*
 * A datagram in a stream: u16 length of all, u16 length of the address, the
 * address, u16 port, u16 length of the zone, the zone, u16 length, the bytes.
 */
#define UDPENC_MAXHEAD	  (2 + 2 + 16 + 2 + 2 + 2)
#define UDPENC_MAXPAYLOAD 65507

/* What stands before a datagram of so many bytes. */
int udpenc_put(struct wr *, const struct ipaddr *, uint16_t port, size_t len);
/* A whole one: its length, and what is in it; -2: more; -1: bad. */
int udpenc_get(const uint8_t *p, size_t len, struct rd *payload);

/* Both ends send this first, a length and so many bytes that mean nothing. */
#define MUX_MAGIC    "https://github.com/moby/vpnkit multiplexer protocol\n"
#define MUX_MAGICLEN 52

/* The length of a handshake that is whole; -2: more; -1: it is none. */
int mux_handshake_get(const uint8_t *p, size_t len);

#endif
