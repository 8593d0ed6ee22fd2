#ifndef TAP_CONN_H
#define TAP_CONN_H

/*
 * The connection to the suite: a Unix stream socket, the client's side of the
 * vmnet handshake, and then frames, each behind a 16-bit little-endian length.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"
#include "common/usec.h"

#include "tools/tap_dhcp.h"

#define CONN_UUIDLEN  36
#define CONN_RXBUF    (512 * 1024)
#define CONN_MAXFRAME 65535
#define CONN_ERRLEN   320

struct conn {
	const char *path;	     /* borrowed */
	char uuid[CONN_UUIDLEN + 1]; /* who we say we are */
	int fd;			     /* owned; -1 while not connected */
	bool absent;	       /* the last conn_open() found nobody listening */
	struct macaddr mac;    /* as the suite told us, */
	uint16_t mtu;	       /* both from the last handshake */
	uint32_t ip;	       /* of conn_lease(), host order; 0: none yet */
	char err[CONN_ERRLEN]; /* why the last call failed, in words */
	size_t off, len;       /* unread bytes of buf: [off, len) */
	uint8_t buf[CONN_RXBUF];
};

/* uuid NULL: a random one.  NULL: out of memory. */
struct conn *conn_new(const char *path, const char *uuid);
void conn_free(struct conn *);
bool conn_uuid_ok(const char *);

/*
 * Connects and shakes hands, within limit.  Who has an address asks for it: the
 * suite may have been restarted.  0; -1 with err and absent.
 */
int conn_open(struct conn *, usec_t limit);
void conn_close(struct conn *);

/*
 * Reads once what the socket has.  1: bytes came; 0: none now; -1: the other
 * side is gone.  Views that conn_next() gave are void afterwards.
 */
int conn_fill(struct conn *);
/* The next whole frame, borrowed from the buffer. */
bool conn_next(struct conn *, struct rd *frame);

/* Gets an address; frames of others that arrive meanwhile are dropped. */
int conn_lease(struct conn *, struct dhcp_lease *);

#endif
