#ifndef UPSTREAM_H
#define UPSTREAM_H

/*
 * The host's resolvers: sockets from portd, one question asked of one server.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/ipaddr.h"

#define DNSD_MAXSERVERS 64
#define DNSD_POOLMAX	256  /* idle sockets of one server */
#define DNSD_TCPASKED	1024 /* TCP sockets of one server under way */

struct dnsd;
struct lookup;
struct server;

/* A query asked of one server once. */
struct attempt {
	struct lookup *lookup; /* borrowed: the one this is part of */
	struct server *server; /* borrowed; NULL: not asked, or failed */
	bool waiting;	       /* in the server's queue, for a socket */
	uint16_t id;
	int fd; /* owned; -1: none */
	struct ev_io io;
	TAILQ_ENTRY(attempt) entry;
	/* Streams only: the answer with its length, as far as it came. */
	uint8_t *buf; /* owned */
	size_t len;
};

struct server_addr {
	struct ipaddr addr;
	uint16_t port;
};

/* One resolver of the host and the sockets that are connected to it. */
struct server {
	struct dnsd *d; /* borrowed */
	uint8_t num;	/* its place in dnsd.server */
	struct server_addr addr;
	int fd[DNSD_POOLMAX]; /* owned, idle, UDP */
	size_t nfd;
	size_t target;	  /* idle ones to have */
	size_t asked;	  /* UDP sockets of portd, not here yet */
	size_t asked_tcp; /* TCP likewise */
	size_t nwait;	  /* attempts in wait */
	TAILQ_HEAD(attempts, attempt) wait, wait_tcp; /* for a socket */
};

/* Replaces the servers; no attempt may be under way. */
int upstream_set(struct dnsd *, const struct server_addr *, size_t n);
bool upstream_same(const struct dnsd *, const struct server_addr *, size_t n);
void upstream_fini(struct dnsd *);
/* -1: failed at once. */
int upstream_ask(struct server *, struct attempt *);
/* Ends it whatever state it is in; says nothing to the lookup. */
void upstream_cancel(struct attempt *);
/* It does not answer: its idle sockets may be of a network that is gone. */
void upstream_flush(struct server *);
void upstream_sock_fd(struct daemon *, struct ipc *, struct ipc_msg *);
void upstream_sock_refused(struct daemon *, struct ipc *, struct ipc_msg *);
/* portd is there, or there again: what was asked of it is asked anew. */
void upstream_portd(struct dnsd *);

#endif
