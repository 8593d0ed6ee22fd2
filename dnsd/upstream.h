#ifndef UPSTREAM_H
#define UPSTREAM_H

/*
 * The servers: sockets from portd, one question asked of one server once.
 *
 *	upstream.c	servers, attempts
 *	pool.c		UDP sockets
 *	conn.c		TCP connections
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/dnstab.h"
#include "common/log.h"
#include "dnsd/pool.h"
#include "dnsd/route.h"

#define DNSD_CONNS	4  /* TCP connections to one server */
#define DNSD_CONNASKED	64 /* in flight on one before there is another */
#define DNSD_CONNMAX	1024
#define DNSD_IDLE_SEC	10. /* RFC 7766 6.2.3: a few seconds */
#define DNSD_CASE_BYTES 32  /* a bit for each byte of a name */

struct dnsd;
struct lookup;
struct server;
struct conn;

/* A query asked of one server once. */
struct attempt {
	struct lookup *lookup; /* borrowed: the one this is part of */
	struct server *server; /* borrowed; NULL: this place is free */
	bool tcp;
	bool waiting; /* UDP: in the server's queue, for a socket */
	bool again;   /* TCP: one has closed that brought no answer */
	bool mixed;   /* the name's letters are as `random' says */
	uint16_t id;
	uint8_t random[DNSD_CASE_BYTES];
	struct usock *sock; /* borrowed, UDP; NULL: none */
	struct conn *conn;  /* borrowed, TCP */
	TAILQ_ENTRY(attempt) entry;
};

TAILQ_HEAD(attempts, attempt);

/* One server and the sockets that are connected to it. */
struct server {
	struct dnsd *d; /* borrowed */
	uint8_t num;	/* its place in dnsd.server and in the route */
	const struct route_server *conf; /* borrowed */
	struct pool pool;		 /* UDP */
	size_t nwait;			 /* attempts in wait */
	struct attempts wait;		 /* for a UDP socket */
	TAILQ_HEAD(, conn) conns;	 /* owned */
	size_t nconn;
	unsigned missed;      /* questions without an answer, since the last */
	usec_t unheard;	      /* since when it has not, if it missed any */
	usec_t heard;	      /* when it last answered anything */
	usec_t probed;	      /* when it was last asked while offline */
	usec_t since;	      /* when it was found offline */
	bool offline;	      /* see health.h */
	struct lookup *ghost; /* borrowed; waits for it alone; NULL: none */
	bool no_case;	      /* does not keep the case of letters */
	uint8_t case_lost;    /* answers in other letters, since one in ours */
	struct log_rate log;
	struct dnstab_server seen; /* what others see of it */
	bool seen_changed;	   /* and shall see when the turn ends */
};

/* Replaces the servers by those of d->route; no attempt may be under way. */
int upstream_set(struct dnsd *);
void upstream_fini(struct dnsd *);
/* The network may be another one: fresh sockets, and all may be there again. */
void upstream_renew(struct dnsd *);
/* Asks.  -1: failed at once, and the place is free. */
int upstream_ask(struct server *, struct attempt *, bool tcp);
/* Ends it whatever state it is in; says nothing to the lookup. */
void upstream_cancel(struct attempt *);
/* It does not answer: its idle sockets may be of a network that is gone. */
void upstream_flush(struct server *);
void upstream_sock_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void upstream_sock_set(struct daemon *, struct ipc *, struct ipc_msg *);
void upstream_sock_refused(struct daemon *, struct ipc *, struct ipc_msg *);
/* What is left for the end of a turn: that there is, and does it. */
void upstream_owes(struct dnsd *);
void upstream_turn(struct dnsd *);
/* portd is there, or there again: what was asked of it is asked anew. */
void upstream_portd(struct dnsd *);

/* Between upstream.c, pool.c and conn.c. */
/* Something came to its socket. */
void upstream_readable(struct attempt *);
/* Whether an attempt has waited for a socket and takes this one. */
bool upstream_waiter(struct server *, struct usock *);
void upstream_want(struct server *, bool tcp, size_t count);
/* The message as this attempt sends it; its length. */
size_t upstream_form(const struct attempt *, uint8_t *out, size_t cap);
/* False: it answers something else. */
bool upstream_judge(struct attempt *, uint8_t *msg, size_t len);
uint16_t upstream_random_id(struct dnsd *);
int conn_ask(struct server *, struct attempt *);
void conn_cancel(struct attempt *);
void conn_take_fd(struct server *, int fd); /* fd becomes owned */
void conns_refused(struct server *);
void conns_again(struct server *); /* a new portd */
void conns_renew(struct server *); /* no more is asked over those there are */
void conns_close(struct server *);

#endif
