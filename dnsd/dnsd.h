#ifndef DNSD_H
#define DNSD_H

/*
 * dnsd answers the names of the suite and of the hosts file itself, and all
 * others with what the servers say, or have said: answers go through whole but
 * for the id, the case of letters and the age of TTLs.
 *
 *	client.c    the guest's side: datagrams and streams that netstackd holds
 *		    the other end of
 *	lookup.c    one query: answered here, or by the servers
 *	asking.c    what is asked of one server for it
 *	race.c	    which servers, when, and whom to believe
 *	health.c    which of them are there
 *	upstream.c  the servers: one question asked of one
 *	pool.c	    UDP sockets for that, from portd
 *	conn.c	    TCP connections to them
 *	records.c   what others may see of it
 *
 * and pure: msg.c, query.c, names.c, route.c, cache.c.
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/nitems.h"
#include "common/servtab.h"
#include "dnsd/cache.h"
#include "dnsd/client.h"
#include "dnsd/health.h"
#include "dnsd/lookup.h"
#include "dnsd/names.h"
#include "dnsd/records.h"
#include "dnsd/resolve.h"
#include "dnsd/route.h"
#include "dnsd/upstream.h"

enum dnsd_stat {
	DNSS_UDP, /* queries */
	DNSS_TCP,
	DNSS_LOCAL,	/* answered here */
	DNSS_HITS,	/* from the cache */
	DNSS_STALE,	/* from the cache, since no server answered */
	DNSS_RELAYED,	/* answers of a server passed on */
	DNSS_MERGED,	/* queries that wait for another one's answer */
	DNSS_RETRIES,	/* asked of another server, or again */
	DNSS_CUT,	/* asked again by TCP, since the answer was cut */
	DNSS_TRUNCATED, /* answers cut for the guest */
	DNSS_SERVFAIL,	/* no server answered */
	DNSS_NO_SERVER, /* none is configured */
	DNSS_OFFLINE,	/* servers found not to answer */
	DNSS_NO_CASE,	/* servers that do not keep the case of letters */
	DNSS_MALFORMED, /* dropped: queries */
	DNSS_LATE,	/* dropped: answers to nothing asked */
	DNSS_LIMIT_VM,	/* dropped: queries over a limit */
	DNSS_LIMIT_RATE,
	DNSS_LIMIT_ALL,
	DNSS_CLIENT_FULL, /* dropped: the guest does not read */
	DNSS_CONN_LIMIT,  /* refused: flows of a guest */
	DNSS_INFLIGHT,
	DNSS_CACHED,	 /* answers in the cache */
	DNSS_POOL_EMPTY, /* a query had to wait for a socket */
	DNSS_SOCK_REFUSED,
	DNSS_BAD_CONF, /* names that are none, or too many */
	DNSS__MAX
};

#define DNSD_MAXLOOKUPS	 8192
#define DNSD_VMLOOKUPS	 1024
#define DNSD_CACHE_N	 16384
#define DNSD_CACHE_BYTES (16 << 20)

struct dnsd {
	struct daemon *d;	     /* borrowed */
	struct names *names, *hosts; /* owned: ours, the hosts file's */
	struct route route;
	struct server *server; /* owned; as many as in the route */
	bool socks_owe;	       /* used sockets are left for the turn's end */
	const struct servtab *servers; /* owned mapping; NULL: none */
	struct cache *cache;	       /* owned */
	bool in_turn; /* one after the other, as in a resolv.conf */
	unsigned offline_after;
	uint32_t network; /* the number of the one we are on */
	/* Of a configuration that is under way. */
	struct names *next_hosts; /* owned */
	struct route next_route;
	uint64_t key;			    /* a secret of this process */
	uint16_t generation;		    /* of what is asked of portd */
	size_t nlookup, maxlookup;	    /* queries, and ghosts */
	size_t nsock, maxsock;		    /* of attempts, UDP */
	size_t maxidle;			    /* sockets in all pools together */
	LIST_HEAD(, guest) guests;	    /* owned */
	LIST_HEAD(lookups, lookup) lookups; /* owned */
	struct lookups spare;		    /* owned; not in use */
	size_t nspare;
	struct lookups same[DNSD_SAME]; /* by question */
	struct batch batch;
	struct resolve *resolve;     /* owned: names for proxyd */
	struct dnstab_file *records; /* owned mapping; NULL: none */
	bool records_owe;	     /* a server's has changed */
	struct log_rate limit_log, refused_log;
	size_t nrandom;
	uint8_t random[4096];
	uint8_t buf[DNS_MAXMSG]; /* what a server sent */
	uint8_t out[DNS_MAXMSG]; /* what a guest gets */
};

#endif
