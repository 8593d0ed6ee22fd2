#ifndef CLIENT_H
#define CLIENT_H

/*
 * The guest's side: datagrams and streams that netstackd holds the other end
 * of.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/rd.h"

#define DNSD_VMCONNS	  64	/* TCP connections of one guest */
#define DNSD_VMDGRAMS	  4	/* datagram flows; one is in use at a time */
#define DNSD_CONNLOOKUPS  64	/* in flight on one of them */
#define DNSD_VMRATE	  50000 /* queries a second */
#define DNSD_VMBURST	  25000 /* at once */
#define DNSD_PIECE	  2048	/* bytes of an answer that cost one more */
#define DNSD_VMOUT	  (4 << 20) /* bytes its streams do not take yet */
#define DNSD_CONNIDLE_SEC 60.0
#define DNSD_MAXQUERY	  4096 /* bytes of a guest's query */

struct asker;
struct dnsd;

/* Where a datagram came from, as netstackd wrote it before the message. */
#define ORIGIN_LEN 6

/* A guest. */
struct guest {
	struct ipc *link; /* borrowed; the key */
	unsigned nlookup, nconn, ndgram;
	size_t outlen;		     /* of its streams, not taken yet */
	usec_t tokens, refilled;     /* queries it may make now */
	LIST_HEAD(, client) clients; /* owned */
	LIST_ENTRY(guest) entry;
};

/* A piece of a stream to the guest that its socket did not take yet. */
struct out {
	STAILQ_ENTRY(out) entry;
	size_t len, off;
	uint8_t data[];
};

/* One descriptor of netstackd's: all datagrams of a VM, or one stream. */
struct client {
	struct dnsd *d;	     /* borrowed */
	struct guest *guest; /* borrowed */
	uint32_t id;	     /* the stack's number for it */
	bool tcp;
	int fd; /* owned; -1: portd was asked for it */
	struct ev_io rd;
	LIST_HEAD(, asker) askers; /* owned by their lookups */
	/* Not a descriptor, but whom to call: see client_inside(). */
	void (*answer)(void *arg, struct rd msg);
	void *arg;
	/* Streams only. */
	struct ev_io wr;
	struct ev_timer idle;
	unsigned nlookup;
	bool eof;		/* no more queries, answers still go */
	STAILQ_HEAD(, out) out; /* owned */
	size_t inlen;
	uint8_t in[2 + DNSD_MAXQUERY];
	LIST_ENTRY(client) entry;
};

/*
 * Datagrams go in batches, so that netstackd is woken once for many: answers
 * wait for the end of the turn, and while other questions are under way until
 * nothing more is ready.
 */
#define DNSD_BATCH 32768 /* bytes of one that holds many */
#define DNSD_READS 1	 /* of a socket in a turn */
#define DNSD_HOLD  16	 /* answers */
#define DNSD_TURNS 8

struct batch {
	struct client *client; /* borrowed; whose tx is, NULL: empty */
	unsigned n;
	size_t len;
	uint8_t tx[65536], rx[65536];
	unsigned turns; /* it was held for */
	struct ev_prepare turn;
	struct ev_idle rest; /* active while it is held */
};

void client_init(struct dnsd *);
void client_fini(struct dnsd *);
void client_flow_open(struct daemon *, struct ipc *, struct ipc_msg *);
void client_flow_close(struct daemon *, struct ipc *, struct ipc_msg *);
void client_pair_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void client_pair_refused(struct daemon *, struct ipc *, struct ipc_msg *);
/* A client inside of this process; goes with its link.  NULL: no memory. */
struct client *client_inside(struct dnsd *, struct ipc *link,
    void (*answer)(void *arg, struct rd msg), void *arg);
void client_peer_gone(struct dnsd *, struct ipc *);
/* portd is there, or there again. */
void client_portd(struct dnsd *);
/* An answer; the message is borrowed. */
void client_answer(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
/* A lookup of this client ended. */
void client_lookup_done(struct client *);

#endif
