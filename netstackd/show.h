#ifndef SHOW_H
#define SHOW_H

/*
 * What others may see of a stack, in memory they only read: its flows
 * (flowtab.h) and its last packets (tape.h).
 *
 * A flow that changed is written ten times a second at most, and nothing is
 * done for those that did not.  Packets are copied as they pass, cut to a
 * length; what a live capture wants goes to a ring of its own, which is there
 * as long as somebody looks.
 */

#include <ev.h>
#include <stdbool.h>

#include "common/flowtab.h"
#include "common/tape.h"
#include "common/usec.h"
#include "netstackd/core/net.h"

#define SHOW_LIVE 4 /* captures at a time */

struct showflow {
	uint64_t to_host, to_guest;
	usec_t opened, changed;
	usec_t rtt_at; /* when the kernel was asked last */
	uint32_t rtt_host;
	uint32_t slot; /* of the table, from 1; 0: none */
	bool dirty;    /* in show.dirty */
};

struct show_live {
	uint32_t id;
	struct tape tape; /* file owned; NULL: not in use */
	size_t len;
};

struct show {
	struct flowtab_file *tab; /* owned mapping; NULL: nobody reads */
	struct showflow *flow;	  /* owned; by id */
	uint32_t nflow;
	uint32_t *dirty, ndirty; /* owned; ids, each once */
	uint32_t *free, nfree;	 /* owned; slots */
	struct ev_timer timer;	 /* runs while something waits */
	usec_t last;		 /* when something was last written */
	usec_t wall;		 /* what makes our time that of day */
	struct tape tape;	 /* file owned */
	size_t tape_len;
	struct show_live live[SHOW_LIVE];
	unsigned nlive;
};

struct daemon;
struct ipc;
struct ipc_msg;
struct stackd;

int show_init(struct stackd *, uint32_t nflow);
void show_fini(struct stackd *);
/* Messages of the supervisor. */
void show_records(struct daemon *, struct ipc *, struct ipc_msg *);
void show_capture(struct daemon *, struct ipc *, struct ipc_msg *);
void show_capture_end(struct daemon *, struct ipc *, struct ipc_msg *);

/* A hook of the core. */
void show_flow(void *arg, uint32_t id, enum net_flow_event);
/* So many bytes went through. */
void show_moved(struct stackd *, uint32_t id, uint64_t host, uint64_t guest);
/* Of what came from a host socket, the bytes that are for guests. */
#define SHOW_DNS_PREFIX 8
size_t show_len(enum net_proto, const struct net_dgram *);
void show_settle(struct stackd *);
/* why: it was dropped; NULL: it was not. */
void show_frame(struct stackd *, enum tape_dir, const uint8_t *, size_t len,
    const char *why);
/* Of the guest's, before the core has it: answers come behind it; and after. */
void show_input(struct stackd *, const uint8_t *, size_t len);
void show_input_done(
    struct stackd *, const uint8_t *, size_t len, const char *why);
/* Those to the guest of one frame, each as it will see it. */
void show_datagrams(struct stackd *, const uint8_t *frame, const struct vnet *);

#endif
