#ifndef DAEMON_H
#define DAEMON_H

/*
 * What every daemon's main() does, once: log, bus on a fixed descriptor, loop,
 * the daemon's own start, sandbox, then messages until the supervisor is gone.
 * A daemon is one const struct daemon_spec.
 */

#include <ev.h>

#include "common/ipc.h"
#include "common/spin.h"
#include "common/stats.h"
#include "common/usec.h"
#include "common/plat/sandbox.h"

#define DAEMON_BUS_FD	  3 /* the supervisor's link */
#define DAEMON_STATS_FD	  4 /* the counters' file */
#define DAEMON_SERVERS_FD 5 /* of portd and dnsd: common/servtab.h */

/*
 * The priority of a timer that says what has not come: what has come is read
 * first, also where both are due because nobody ran for a while.
 */
#define TIMER_LATE (-1)

struct daemon;

struct ipc_handler {
	enum ipc_type type;
	/* from is the link it came over; take fds with ipc_take_fd(). */
	void (*fn)(struct daemon *, struct ipc *from, struct ipc_msg *);
};

struct daemon_spec {
	enum ipc_role role;
	enum sandbox_role sandbox; /* unless start has chosen another */
	const struct ipc_handler *handler;
	size_t nhandler;
	bool crowds; /* may have many at a time to serve: see spin.h */
	bool spins;  /* on the packet path, and so polls as well */
	const char *const *stats_name;
	size_t nstats;
	/* Before the sandbox.  -1: cannot start, logged. */
	int (*start)(struct daemon *);
	void (*stop)(struct daemon *);
	/* A link to another daemon is there; replaces an older one. */
	void (*peer)(struct daemon *, struct ipc *);
	/* That link is about to be freed. */
	void (*peer_gone)(struct daemon *, struct ipc *);
};

#define DAEMON_MAXPEERS 1024

struct daemon {
	const struct daemon_spec *spec; /* borrowed */
	enum sandbox_role sandbox;
	struct ev_loop *loop;
	struct ipc *sup; /* owned: the supervisor */
	struct stats stats;
	void *data; /* the daemon's own struct; set by start */
	struct ipc *peer[DAEMON_MAXPEERS]; /* owned */
	size_t npeer;
	struct ev_check turn; /* reads the clock for usec_now() */
	usec_t now;
	struct ev_prepare rest; /* decides how a turn ends */
	struct ev_idle idle;	/* active while spinning */
	struct spin spin;
	bool started; /* start has been called: there is something to stop */
	bool over;    /* the supervisor is gone */
	bool idled;   /* nothing was ready in this turn */
	bool stays;   /* somebody waits for a moment: no sleep */
	bool normal;  /* its scheduling policy is ours to change */
	bool batch;   /* it is changed: see spin.h */
	size_t moved; /* bytes of packets in this turn */
	size_t many;  /* exchanges that it was about */
	struct ev_timer owing; /* says what the log has left out */
	int status;	       /* of the exit */
};

/* Returns the exit status. */
int daemon_main(const struct daemon_spec *, int argc, char *argv[]);

/* So many bytes of packets went through: what spinning is decided by. */
static inline void
daemon_moved(struct daemon *d, size_t n)
{
	d->moved += n;
}

/* And with so many others: sockets, queries, messages. */
static inline void
daemon_many(struct daemon *d, size_t n)
{
	d->many += n;
}

/*
 * For who waits for what comes within some microseconds or not at all: while
 * this is on, turns follow each other without sleep.  False: this daemon does
 * not poll, or there is no processor for it.
 */
bool daemon_stay(struct daemon *, bool on);

/* The link to a peer, NULL while it is not there. */
struct ipc *daemon_peer(struct daemon *, enum ipc_role, uint32_t vm);

/*
 * The peer broke the protocol in a way the table does not know of: cuts the
 * link and tells the supervisor.  Do not touch the link afterwards.
 */
void daemon_bad_peer(struct daemon *, struct ipc *, const char *why);

/*
 * Monotonic microseconds: in a daemon read once per turn of its loop, whose
 * ev_userdata() is daemon.c's; for any other loop the clock itself.
 */
usec_t usec_now(struct ev_loop *);

#endif
