#ifndef POOL_H
#define POOL_H

/*
 * UDP sockets of one server: each is used for one question, then portd gives
 * it another port.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc.h"

#define POOL_MAX   512 /* idle ones of one server */
#define POOL_START 16
#define POOL_CHUNK 48 /* asked for at a time: bits of one message */

struct attempt;
struct server;
struct sockset;

struct usock {
	struct sockset *set;	 /* borrowed */
	struct attempt *attempt; /* borrowed; NULL: nobody waits for it */
	int fd;			 /* owned; -1: closed */
	bool idle;		 /* has a port that was not used yet */
	bool broken;		 /* has failed: not to be used again */
	struct ev_io io;
	TAILQ_ENTRY(usock) entry; /* of the idle ones */
};

struct pool {
	LIST_HEAD(, sockset) sets; /* owned */
	TAILQ_HEAD(, usock) idle;
	size_t nidle;
	size_t nspent; /* wait for another port; portd was not asked yet */
	size_t asked;  /* of portd, new ones or ports, not here yet */
	size_t target; /* idle ones to have */
};

void pool_init(struct pool *);
/* Closes all; no attempt may use any. */
void pool_fini(struct server *);
/* NULL: there is none now. */
struct usock *pool_take(struct server *);
/* Its attempt is over; it may be gone. */
void pool_give(struct usock *);
/* Closes those that are idle. */
void pool_drain(struct server *);
/* Asks for what is missing.  Not for each one: in pieces, unless one waits. */
void pool_fill(struct server *);
/* It ran empty: the next time it has more. */
void pool_grow(struct server *);
/*
 * From portd, which can give them other ports if the set has a number.  False:
 * not taken.
 */
bool pool_add(struct server *, uint32_t num, struct ipc_msg *);
/* False: no set of this server's. */
bool pool_fresh(struct server *, uint32_t num, uint64_t fresh);
/* A new portd, which knows of none. */
void pool_portd(struct server *);

#endif
