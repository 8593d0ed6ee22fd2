#ifndef DNSD_H
#define DNSD_H

/*
 * dnsd answers the names of the suite itself and relays all other queries, as
 * they are but for the id, to the resolvers of the host.
 *
 *   client.c    the guest's side: datagrams and streams that netstackd holds
 *               the other end of
 *   lookup.c    one query: answered here, or asked of one server after another
 *   upstream.c  the servers: sockets from portd, one question asked of one
 *
 * Against forged answers a query leaves with a random id from a socket of its
 * own, hence from a port the kernel drew; only an answer that comes to this
 * connected socket, with the id and with the same question, is taken.  portd
 * makes the sockets ahead of need.
 */

#include <sys/socket.h>

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/ipaddr.h"
#include "common/log.h"
#include "dnsd/names.h"
#include "dnsd/query.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

enum dnsd_stat {
	DNSS_UDP, /* queries */
	DNSS_TCP,
	DNSS_LOCAL,	/* answered here */
	DNSS_RELAYED,	/* answers of a server passed on */
	DNSS_RETRIES,	/* asked of another server, or again */
	DNSS_SERVFAIL,	/* no server answered */
	DNSS_NO_SERVER, /* none is configured */
	DNSS_MALFORMED, /* dropped: queries */
	DNSS_LATE,	/* dropped: answers to nothing asked */
	DNSS_LIMIT_VM,	/* dropped: queries over a limit */
	DNSS_LIMIT_ALL,
	DNSS_CLIENT_FULL, /* dropped: the guest does not read */
	DNSS_CONN_LIMIT,  /* refused: TCP connections of a guest */
	DNSS_INFLIGHT,
	DNSS_POOL_EMPTY, /* a query had to wait for a socket */
	DNSS_SOCK_REFUSED,
	DNSS_BAD_CONF, /* names and servers that are none */
	DNSS__MAX
};

#define DNSD_MAXSERVERS	  64
#define DNSD_POOLMAX	  256 /* idle sockets of one server */
#define DNSD_MAXLOOKUPS	  8192
#define DNSD_VMLOOKUPS	  1024
#define DNSD_VMCONNS	  64 /* TCP connections of one guest */
#define DNSD_CONNLOOKUPS  8  /* in flight on one of them */
#define DNSD_CONNIDLE_SEC 60.0
#define DNSD_MAXQUERY	  4096 /* bytes of a guest's query */
#define DNSD_MAXATTEMPTS  5
#define DNSD_RETRY_SEC	  1.0 /* then the next server, five times in all */

struct lookup;
struct server;

/* A guest. */
struct guest {
	struct ipc *link; /* borrowed; the key */
	unsigned nlookup, nconn;
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
	int fd; /* owned */
	struct ev_io rd;
	LIST_HEAD(, lookup) lookups; /* owned */
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

/* Where a datagram came from, as netstackd wrote it before the message. */
#define ORIGIN_LEN 8

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

struct lookup {
	struct dnsd *d;	       /* borrowed */
	struct client *client; /* borrowed */
	uint8_t origin[ORIGIN_LEN];
	struct query q; /* points into msg */
	struct ev_timer timer;
	size_t next_server;
	unsigned nattempt, ticks;
	struct attempt attempt[DNSD_MAXATTEMPTS];
	LIST_ENTRY(lookup) entry;
	size_t len;    /* of the message */
	uint8_t msg[]; /* two bytes of length, then the message */
};

struct server_addr {
	struct ipaddr addr;
	uint16_t port;
};

/*
 * Datagrams go in batches, so that netstackd is woken once for many: what it
 * sent is read many at a time, and answers wait for the end of the turn.
 */
#define DNSD_BATCH    32
#define DNSD_BATCHBUF 65536
#define DNSD_SLOT     (ORIGIN_LEN + DNSD_MAXQUERY)

struct batch {
	struct mmsghdr rx[DNSD_BATCH], tx[DNSD_BATCH];
	struct iovec rxiov[DNSD_BATCH], txiov[DNSD_BATCH];
	uint8_t slot[DNSD_BATCH][DNSD_SLOT];
	struct client *client; /* borrowed; whose tx is, NULL: empty */
	unsigned ntx;
	size_t txlen; /* bytes of txbuf in use */
	uint8_t txbuf[DNSD_BATCHBUF];
	struct ev_prepare flush;
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

struct dnsd {
	struct daemon *d; /* borrowed */
	struct names names;
	size_t nserver;
	struct server *server; /* owned */
	size_t current;	       /* the server that answers */
	uint16_t generation;   /* of what is asked of portd */
	size_t nlookup, maxlookup;
	LIST_HEAD(, guest) guests; /* owned */
	struct batch batch;
	struct log_rate limit_log, refused_log;
	size_t nrandom;
	uint16_t random[512];
	uint8_t buf[2 + DNS_MAXMSG]; /* one message at a time */
};

/* client.c */
void client_init(struct dnsd *);
void client_fini(struct dnsd *);
void client_flow_open(struct daemon *, struct ipc *, struct ipc_msg *);
void client_flow_close(struct daemon *, struct ipc *, struct ipc_msg *);
void client_peer_gone(struct dnsd *, struct ipc *);
/* An answer; the message is borrowed. */
void client_answer(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
/* A lookup of this client ended. */
void client_lookup_done(struct client *);

/* lookup.c */
/* Of every guest: forget what was asked; ask again, of other servers. */
void lookups_cancel(struct dnsd *);
void lookups_restart(struct dnsd *);
/* Answers a query now or later, or drops it.  origin is NULL for streams. */
void lookup_start(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
void lookup_free(struct lookup *);
/* What the attempts come to; the lookup may be gone afterwards. */
void lookup_answer(struct lookup *, struct attempt *, uint8_t *msg, size_t len);
void lookup_attempt_failed(struct lookup *, struct attempt *);

/* upstream.c */
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
