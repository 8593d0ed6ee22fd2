#ifndef DHCP_H
#define DHCP_H

/* What the two files of the DHCP server share. */

#include "common/wr.h"
#include "netstackd/core/core.h"

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

/* One message of a client. */
struct dhcp_msg {
	uint32_t xid;
	uint16_t flags;
	uint32_t ciaddr, giaddr;
	uint8_t chaddr[16];
	/* Options; 0 and empty when not sent. */
	uint8_t type;
	uint32_t server_id, requested;
	uint16_t max_size;
	uint8_t overload; /* fields that hold more options, a bit for each */
	uint8_t asked[32]; /* parameter request list, a bit for each code */
	struct rd class_id, client_id; /* borrowed */
};

#define DHCP_OVERLOAD_FILE  1
#define DHCP_OVERLOAD_SNAME 2

/* Options up to their end mark, more of them with each call.  -1: malformed. */
int dhcp_opt_parse(struct rd r, struct dhcp_msg *);

/*
 * Writes the options of an answer, with the end mark.  What w has no room for
 * is left out; it always has room for the first ones.
 */
void dhcp_opt_write(
    const struct net *, const struct dhcp_msg *, enum dhcp_type, struct wr *);

#endif
