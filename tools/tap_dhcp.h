#ifndef TAP_DHCP_H
#define TAP_DHCP_H

/*
 * The client's half of DHCP, RFC 2131, as frames: builds DISCOVER and REQUEST,
 * reads OFFER, ACK and NAK.  Pure: retries and time belong to the caller.
 * Addresses are in host order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"
#include "common/wr.h"

#define DHCP_MAXDNS    3 /* what resolv.conf(5) takes */
#define DHCP_MAXSEARCH 6
#define DHCP_NAMELEN   256
#define DHCP_FRAMELEN  320 /* enough for what dhcp_build() writes */

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

struct dhcp_lease {
	uint32_t ip, mask;
	uint32_t router; /* 0: none */
	uint32_t server; /* option 54 */
	uint32_t dns[DHCP_MAXDNS];
	unsigned ndns;
	char domain[DHCP_NAMELEN]; /* option 15; may be empty */
	char search[DHCP_MAXSEARCH][DHCP_NAMELEN];
	unsigned nsearch;
};

struct dhcp_client {
	struct macaddr mac;
	uint32_t xid;
};

/*
 * Writes a whole Ethernet frame.  offer is what a REQUEST asks for, NULL for a
 * DISCOVER.  -1 when it does not fit.
 */
int dhcp_build(
    struct wr *, const struct dhcp_client *, const struct dhcp_lease *offer);

/*
 * Reads one frame.  0: an answer to this client, with its type and, for OFFER
 * and ACK, the lease; -1: anything else.
 */
int dhcp_parse(struct rd frame, const struct dhcp_client *, enum dhcp_type *,
    struct dhcp_lease *);

#endif
