#ifndef CONN_H
#define CONN_H

/*
 * A connection of a VM, and the listening socket it came by.
 */

#include <sys/queue.h>

#include <ev.h>

#include "framer.h"
#include "lease.h"
#include "vmnet.h"

#define CONN_GREETINGS 64	    /* unfinished handshakes */
#define CONN_QUEUE     (256 * 1024) /* bytes of other VMs' frames waiting */
#define CONN_QCAP      (CONN_QUEUE + FRAMER_MAXLEN)

struct ethd;
struct vm;

/* A socket that VMs connect to. */
struct listener {
	TAILQ_ENTRY(listener) entry;
	struct ethd *eth;
	enum framing framing;
	int fd; /* owned */
	struct ev_io rd;
	struct ev_timer pause; /* until accept is tried again */
};

struct conn {
	TAILQ_ENTRY(conn) entry; /* of the greetings, or of the VM's */
	TAILQ_ENTRY(conn) dirty_entry;
	struct ethd *eth;
	struct vm *vm; /* NULL until granted */
	enum framing framing;
	int fd; /* owned */
	struct ev_io rd, wr;
	struct vmnet greeting;
	bool dirty;   /* in the list of those with something to write */
	bool closing; /* as soon as everything is written */
	bool early;   /* came before the VM's last TAP had gone: it waits */
	/* The start of a frame, while it is not in the arena. */
	uint8_t *stash; /* owned, FRAMER_MAXLEN bytes, or NULL */
	size_t stash_len;
	/* Answers and other VMs' frames, as they go on the wire. */
	uint8_t *q; /* owned, CONN_QCAP bytes, or NULL */
	size_t q_off, q_len;
	/* Datagram sockets only. */
	uint32_t dgram_id; /* the supervisor's number of the socket */
	struct ev_timer probe;
	bool heard; /* something came since the last look */
};

TAILQ_HEAD(conn_list, conn);

/* listener.c */
int listener_new(struct ethd *, int fd, const char *kind); /* owns fd */
void listener_free(struct listener *);
void listener_start(struct listener *);
void greeting_read(struct conn *); /* may close it */
/* Finds or makes the VM of a connection; -1: refused, *why says it. */
int conn_lease(struct conn *, const struct vmnet_cmd *, enum lease_result *);

/* nic.c */
int nic_new(struct conn *);   /* -1: to be closed */
void nic_read(struct conn *); /* may close it */
int nic_draw(struct conn *);  /* it is nobody; -1: no lease */

/* conn.c */
struct conn *conn_new(struct ethd *, enum framing, int fd); /* owns fd */
void conn_close(struct conn *);				    /* frees it */
void conn_dirty(struct conn *);
int conn_write(struct conn *); /* -1: it is dead */
/* Bytes for the wire, before any frame.  -1: no room, counted. */
int conn_queue(struct conn *, const void *, size_t len);
/* Another VM's frame, not above the MTU; dropped when the queue is full. */
void conn_copy(struct conn *, const uint8_t *frame, size_t len);
/* The rest of the half-written first frame of the VM goes to the queue. */
int conn_unwritten(struct conn *);

/* dgram.c */
/* Serves the client the socket is connected to.  Owns fd. */
void dgram_new(struct ethd *, int fd, uint32_t id);
void dgram_read(struct conn *); /* may close it */
int dgram_write(struct conn *); /* as conn_write() */
void dgram_copy(struct conn *, const uint8_t *frame, size_t len);
void dgram_closed(struct conn *); /* only for conn_close() */

#endif
