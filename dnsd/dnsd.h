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

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/log.h"
#include "dnsd/client.h"
#include "dnsd/lookup.h"
#include "dnsd/names.h"
#include "dnsd/resolve.h"
#include "dnsd/upstream.h"

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
	DNSS_CONN_LIMIT,  /* refused: flows of a guest */
	DNSS_INFLIGHT,
	DNSS_POOL_EMPTY, /* a query had to wait for a socket */
	DNSS_SOCK_REFUSED,
	DNSS_BAD_CONF, /* names and servers that are none */
	DNSS__MAX
};

#define DNSD_MAXLOOKUPS 8192
#define DNSD_VMLOOKUPS	1024

struct dnsd {
	struct daemon *d; /* borrowed */
	struct names names;
	size_t nserver;
	struct server *server; /* owned */
	size_t current;	       /* the server that answers */
	uint16_t generation;   /* of what is asked of portd */
	size_t nlookup, maxlookup;
	size_t maxidle;		   /* sockets in all pools together */
	LIST_HEAD(, guest) guests; /* owned */
	struct batch batch;
	struct resolve *resolve; /* owned: names for proxyd */
	struct log_rate limit_log, refused_log;
	size_t nrandom;
	uint16_t random[512];
	uint8_t buf[2 + DNS_MAXMSG]; /* one message at a time */
};

#endif
