#ifndef POOL_H
#define POOL_H

/*
 * UDP sockets of one server: each is used for one question, then it is
 * connected again, from another port.
 */

#include <sys/socket.h>
#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc.h"
#include "common/usec.h"

#define POOL_MAX   512 /* idle ones of one server */
#define POOL_START 16
#define POOL_CHUNK 48 /* asked for at a time, in one message */

struct attempt;
struct server;

struct usock {
	struct server *server;	 /* borrowed */
	struct attempt *attempt; /* borrowed; NULL: nobody waits for it */
	int fd;			 /* owned */
	unsigned way;		 /* pool.way when it came */
	enum { USOCK_BUSY, USOCK_IDLE, USOCK_USED } state;
	bool broken; /* has failed: not to be used again */
	struct ev_io io;
	TAILQ_ENTRY(usock) entry; /* of the idle ones, or the used ones */
	LIST_ENTRY(usock) all;
};

struct pool {
	LIST_HEAD(, usock) all; /* owned */
	TAILQ_HEAD(, usock) idle, used;
	size_t nidle, nused;
	size_t asked;  /* of portd, not here yet */
	size_t target; /* idle ones to have */
	/* Where we may connect to it again; 0: we may not. */
	unsigned place;
	int scout;     /* owned; finds out what from would be; -1: none */
	usec_t looked; /* when it last did */
	struct sockaddr_storage to, from; /* the sockets'; from without port */
	unsigned way; /* another number with each other address */
};

void pool_init(struct pool *);
/* Closes all; no attempt may use any. */
void pool_fini(struct server *);
/* NULL: there is none now. */
struct usock *pool_take(struct server *);
/* Its attempt is over; it may be gone. */
void pool_give(struct usock *);
/* A turn ends that upstream_owes(): the used ones get other ports. */
void pool_turn(struct server *);
/* Closes those that are idle; to the used ones a late answer may still come. */
void pool_drain(struct server *);
/* Asks for what is missing.  Not for each one: in pieces, unless one waits. */
void pool_fill(struct server *);
/* It ran empty: the next time it has more. */
void pool_grow(struct server *);
/* From portd: the scout, and the others. */
void pool_add(struct server *, struct ipc_msg *);

#endif
