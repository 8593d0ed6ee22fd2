#ifndef ETHD_H
#define ETHD_H

/*
 * The process: what all files of ethd share.
 *
 *	listener.c	accepts, and does the handshake
 *	dgram.c		connections where every datagram is a frame
 *	conn.c		one connection: its life, and writing to it
 *	input.c		from a connection to the channel, or to another VM
 *	vm.c		a VM: its life, its channel, and what comes from it
 *
 * A function that may close a connection is called last by whoever calls it,
 * or says so: nothing may hold a struct conn across it.
 */

#include <sys/queue.h>
#include <sys/uio.h>

#include <ev.h>

#include "common/daemon.h"
#include "common/log.h"

#include "conn.h"
#include "lease.h"
#include "switch.h"
#include "vm.h"

#define ETH_OVERHEAD 14	  /* a frame is longer than its packet */
#define ETH_IOVS     1024 /* IOV_MAX */

enum eth_stat {
	ETHS_CONNS, /* now */
	ETHS_VMS,   /* now */
	ETHS_ACCEPTED,
	ETHS_ACCEPT_LIMIT,
	ETHS_GREETING_EVICTED,
	ETHS_GREETING_EOF,
	ETHS_BAD_VERSION,
	ETHS_BAD_COMMAND,
	ETHS_BAD_UUID,
	ETHS_REFUSED,
	ETHS_CONN_LIMIT,
	ETHS_NOMEM,
	ETHS_RX_FRAMES,
	ETHS_RX_BYTES,
	ETHS_RX_ZERO,
	ETHS_RX_SHORT,
	ETHS_RX_LENGTH,
	ETHS_RX_NOCHAN,
	ETHS_RX_TAP,
	ETHS_TAP_IN_USE,
	ETHS_TX_FRAMES,
	ETHS_TX_BYTES,
	ETHS_TX_TOOBIG,
	ETHS_SW_UNICAST,
	ETHS_SW_FLOOD,
	ETHS_SW_FLOOD_LIMIT,
	ETHS_SW_FORGED,
	ETHS_SW_TOOBIG,
	ETHS_SW_FULL,
	ETHS_SW_GONE,
	ETHS_CHAN_LOST,
	ETHS_DGRAM_TRUNC,
	ETHS_DGRAM_GONE,
	ETHS__MAX
};

struct ethd {
	struct daemon *d; /* borrowed */
	bool configured;
	bool stopping; /* we end, the VMs do not */
	uint32_t mtu;
	size_t nofile; /* descriptors this process may have */
	struct lease_pool pool;
	struct switch_table sw;
	TAILQ_HEAD(, listener) listeners;
	struct conn_list greetings; /* the oldest first */
	size_t ngreeting;
	struct vm_list vms;
	struct vm *vm[LEASE_MAX + 1]; /* by number */
	/* What the turn of the loop ends with. */
	struct ev_prepare flush;
	struct conn_list dirty_conns;
	struct vm_list dirty_vms;
	struct log_rate rate[ETHS__MAX];
	struct dgram_buf *dgram; /* owned; NULL before the first client */
	/* Scratch of one write. */
	struct iovec iov[ETH_IOVS];
	uint8_t prefix[ETH_IOVS][FRAMER_MAXPREFIX];
	/* And of one read from a channel. */
	uint8_t frame[CHAN_MAXFRAME];
};

/* main.c */
/* Counts, and says so at most once a period. */
void eth_bad(struct ethd *, enum eth_stat);

static inline void
eth_count(struct ethd *e, enum eth_stat s, uint64_t n)
{
	stats_add(&e->d->stats, s, n);
}

#endif
