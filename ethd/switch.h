#ifndef SWITCH_H
#define SWITCH_H

/*
 * Where a guest's frame goes, by the addresses in its 14-byte Ethernet header,
 * and which frames no other VM may see.  Pure.
 *
 * A VM is known by the address of its lease and, where its NIC has one of its
 * own (QEMU), by the one address learned from what it sends.  Nobody can learn
 * an address that is another VM's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"

#include "lease.h"

#define SWITCH_HDRLEN 14
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806

/*
 * Frames of one VM that all others get: each costs as many copies as there
 * are VMs, so a guest may send this many at once, and then each second.
 */
#define SWITCH_FLOOD_BURST 500
#define SWITCH_FLOOD_RATE  2000

enum switch_verdict {
	SWITCH_SHORT, /* no whole header */
	SWITCH_STACK, /* the VM's own netstackd */
	SWITCH_VM,    /* one other VM */
	SWITCH_ALL,   /* its own netstackd and every other VM */
	SWITCH__MAX
};

struct switch_table {
	struct macaddr server;
	bool live[LEASE_MAX + 1];
	struct macaddr learned[LEASE_MAX + 1]; /* zero: none */
	uint32_t nlearned;
	struct switch_bucket {
		usec_t at; /* when tokens was right */
		uint32_t tokens;
	} flood[LEASE_MAX + 1];
};

void switch_add(struct switch_table *, uint32_t vm);
void switch_del(struct switch_table *, uint32_t vm);

/* Whether a frame of vm's may go to all others now. */
bool switch_flood(struct switch_table *, uint32_t vm, usec_t now);

/*
 * Whether a frame of vm's says what only others may say: ARP from an address
 * that is the gateway's, the host's or another VM's, or anything from a DHCP
 * server's port.  Other VMs would believe it.
 */
bool switch_forged(
    const struct lease_pool *, uint32_t vm, const uint8_t *frame, size_t len);

/* vm sent this frame; *to is set with SWITCH_VM. */
enum switch_verdict switch_input(struct switch_table *, uint32_t vm,
    const uint8_t *frame, size_t len, uint32_t *to);

#endif
