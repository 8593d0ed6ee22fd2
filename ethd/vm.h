#ifndef VM_H
#define VM_H

/*
 * A VM: its lease, its connections, its packet channel.
 */

#include <sys/queue.h>

#include <ev.h>

#include "common/chan.h"

#include "conn.h"

#define VM_GONE_SEC 10.0	     /* a VM may come back this long */
#define VM_MAXCONNS 32		     /* with one UUID; one more ends one */
#define VM_OUTQ	    (2 * CHAN_BATCH) /* frames taken from the channel */

struct vm {
	TAILQ_ENTRY(vm) entry;
	TAILQ_ENTRY(vm) dirty_entry;
	struct ethd *eth;
	struct lease *lease; /* borrowed from the pool */
	bool opened;	     /* the supervisor knows */
	bool dirty;	     /* its channel wants a flush */
	bool lost;	     /* the channel ended; counted with the next one */
	struct ev_timer gone;
	struct conn_list conns; /* the last one that sent comes first */
	size_t nconn;
	struct chan *chan; /* owned; NULL while there is no netstackd */
	struct ev_io chan_rd, chan_wr;
	/*
	 * The stack has the machine's TAP: the channel brings what is for
	 * others, and takes what others send.
	 */
	bool tap;
	/*
	 * From the guest: in_have bytes at in_at, in the arena, are what
	 * in_owner's stream brought and nobody was given yet: the start of a
	 * frame, and whole frames before it while in_blocked.
	 */
	struct conn *in_owner; /* NULL: there are none */
	uint8_t *in_at;
	size_t in_have;
	bool in_blocked; /* the channel is full */
	/* To the guest: a ring of frames in the arena, not yet released. */
	struct chan_frame outq[VM_OUTQ];
	size_t out_first, out_n;
	size_t out_off;	  /* bytes of the first one already written */
	uint32_t out_end; /* position after the last one taken */
};

TAILQ_HEAD(vm_list, vm);

/* input.c */
void input_read(struct conn *); /* may close it */
/* The datagrams of any size there is room for; 0: an event will say when. */
size_t input_room(struct conn *);
/* One of these. */
void input_dgram(struct conn *, const uint8_t *frame, size_t len);
void input_resume(struct vm *);
/* The same of a VM whose frames do not come here: it may only leave. */
void input_idle(struct conn *); /* may close it */
/* A frame for others, from the stack of a VM with a TAP. */
void input_others(struct vm *, const uint8_t *frame, size_t len);
/* The arena is about to go: saves the start of an unfinished frame. */
void input_leave(struct vm *);

/* vm.c */
struct vm *vm_new(struct ethd *, struct lease *);
void vm_free(struct vm *); /* closes its connections, ends its lease */
void vm_attach(struct vm *, struct conn *);
void vm_detach(struct conn *); /* only for conn_close() */
/* Owns it; replaces an older one.  tap: the stack has the machine's own. */
void vm_chan(struct vm *, struct chan *, bool tap);
usec_t vm_gone_at(const struct ethd *); /* one without a client from now on */
void vm_lost(struct vm *, int err);	/* no netstackd; 0: a new one */
void vm_dirty(struct vm *);
void vm_flush(struct vm *);
void vm_watch(struct vm *); /* what can be read, and what has room */
void vm_sender(struct vm *, struct conn *);
/* n bytes are written, prefixes of plen included: takes them off the first
 * frame of outq and returns what is left of n. */
size_t vm_out_consume(struct vm *, size_t plen, size_t n);
void vm_out_next(struct vm *); /* the first frame of outq is done with */

#endif
