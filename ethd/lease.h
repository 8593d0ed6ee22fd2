#ifndef LEASE_H
#define LEASE_H

/*
 * Who a VM is: its UUID, and the IPv4 address and Ethernet address that go
 * with it for as long as the suite runs.  Pure.
 *
 * A lease's number is the VM's number on the bus and the last four bytes of
 * its Ethernet address; it goes with the IPv4 address where it can.  A lease
 * whose UUID was drawn for a client that named none cannot be asked for again,
 * so the next such client gets it when its VM is gone: they never take more
 * addresses than there are of them at a time.  Any other is its UUID's until
 * there is none left for a new one, who then gets the one whose VM has been
 * gone longest: clients that name themselves anew each time do not use up the
 * addresses.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/usec.h"

#define UUID_STRLEN 37
#define LEASE_MAX   1000 /* highest VM number */

struct uuid {
	uint8_t b[16];
};

/* The 36-character form, either case, not terminated.  -1: not a UUID. */
int uuid_parse(const char *text, struct uuid *);
/* Writes the lower-case form to buf of UUID_STRLEN bytes; returns buf. */
const char *uuid_str(const struct uuid *, char *buf);
/*
 * Makes a version 4 UUID (RFC 9562 5.4) of random bytes.  It begins with a
 * mark of ours, so that it is known for a drawn one after a restart too.
 */
struct uuid uuid_draw(const uint8_t random[16]);
bool uuid_drawn(const struct uuid *);
/*
 * The UUID of whoever is at the n-th datagram socket, always the same (version
 * 8, RFC 9562 5.8): such a client does not notice when ethd was restarted, so
 * it must come back to its own lease.
 */
struct uuid uuid_dgram(uint32_t n);

/*
 * The UUID of whoever has a NIC with this address (version 8 again): QEMU names
 * itself in no other way, and comes back after a restart of ethd's.
 */
struct uuid uuid_mac(const struct macaddr *);
bool uuid_is_mac(const struct uuid *, struct macaddr *);

struct lease {
	uint32_t vm; /* 1..LEASE_MAX; 0 is a free slot */
	struct uuid uuid;
	struct macaddr mac;
	uint32_t ip; /* host order */
	/* Kept by the caller: */
	bool used;	 /* its VM is there */
	usec_t spare_at; /* not used: from when on its VM is gone */
};

/* Addresses in host order; 0 for a gateway or host that is not there. */
struct lease_conf {
	uint32_t lowest, highest;
	uint32_t gateway, host;
};

struct lease_pool {
	struct lease_conf conf;
	struct lease slot[LEASE_MAX + 1]; /* by number; 0 is not used */
};

enum lease_result {
	LEASE_OK,
	LEASE_OTHER_IP, /* the UUID has another address */
	LEASE_RANGE,	/* preferred address outside the range, or ours */
	LEASE_TAKEN,	/* preferred address of another UUID */
	LEASE_NONE,	/* no address, or no number, is left */
	LEASE__MAX
};

/*
 * Finds or makes the lease of a UUID, a drawn one included; ip is the preferred
 * address or NULL.  *out is borrowed from the pool and set with LEASE_OK only.
 * It may have been another UUID's.
 */
enum lease_result lease_get(struct lease_pool *, const struct uuid *,
    const uint32_t *ip, usec_t now, struct lease **out);

/*
 * Enters a lease from before a restart, or returns the one that is there
 * already.  NULL when it contradicts another one or its own number.
 */
struct lease *lease_restore(struct lease_pool *, uint32_t vm,
    const struct uuid *, const struct macaddr *, uint32_t ip);

/*
 * What the client is told; ip is what it asked for.  buf must hold
 * LEASE_TEXTLEN bytes.
 */
#define LEASE_TEXTLEN 256
const char *lease_text(enum lease_result, uint32_t ip, char *buf);

/* 02:50 and the number, big-endian. */
struct macaddr lease_mac(uint32_t vm);
/* The number in such an address, 0 when it is none. */
uint32_t lease_mac_vm(const uint8_t mac[6]);
/* Whose address this is; NULL: of no VM there is or was. */
const struct lease *lease_find_ip(const struct lease_pool *, uint32_t ip);

#endif
