#ifndef CHILD_H
#define CHILD_H

/*
 * The daemons as processes: started, reaped, started again after a wait that
 * grows with the number of early deaths.  What a daemon is told when it
 * starts, and what others are told when it dies, is the owner's business.
 */

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/ipc.h"
#include "common/stats.h"
#include "common/usec.h"
#include "common/plat/sandbox.h"

#include "child_fsm.h"
#include "logdest.h"

struct child;

struct child_events {
	/* It was just spawned; everything sent now waits for it. */
	void (*started)(struct child *);
	/* Its link is gone; the process may live a moment longer. */
	void (*gone)(struct child *);
	/* It was stopped and has ended; child_free() is allowed. */
	void (*down)(struct child *);
	void (*msg)(struct child *, struct ipc_msg *);
};

TAILQ_HEAD(child_list, child);

/* All daemons of this supervisor. */
struct children {
	struct ev_loop *loop;	       /* borrowed */
	const struct child_events *ev; /* borrowed */
	const char *libexec;	       /* borrowed; NULL: see child_path() */
	void *data;		       /* the owner's */
	struct child_list list;	       /* by serial */
	uint32_t last_serial;
	int log_level;	     /* of whoever has none of its own */
	uint32_t snaplen;    /* of the packets that stacks keep */
	unsigned stack_fds;  /* descriptors of a stack, see vm.h */
	int servers_fd;	     /* owned; common/servtab.h; -1: none */
	struct logdest *log; /* borrowed; NULL: daemons write to our stderr */
};

struct child {
	struct children *all; /* borrowed */
	TAILQ_ENTRY(child) entry;
	enum ipc_role role;
	uint32_t vm; /* 0 unless there is one for each VM */
	char name[32];
	enum child_state state;		     /* written by child_event() only */
	bool wanted;			     /* start again when it has ended */
	pid_t pid;			     /* 0: no process */
	struct ipc *ipc;		     /* owned; NULL: no link */
	usec_t spawned;			     /* when */
	uint32_t serial;		     /* never used twice */
	uint32_t starts;		     /* processes there have been */
	char why[96];			     /* the last one ended; "" */
	char sandbox[SANDBOX_MAXLAYERS][24]; /* layers it has confirmed */
	size_t nsandbox;
	struct logpipe log; /* its stderr, where we read it */
	char uuid[37], address[IPADDR_STRLEN]; /* of its VM; "" */
	usec_t asked;	       /* for a sign of life, see child_seems() */
	int log_level;	       /* its own; -1: as everybody */
	unsigned early;	       /* deaths soon after the start, in a row */
	usec_t accused_at;     /* start of the time below */
	unsigned accusations;  /* of others; a restart forgives none */
	uint32_t accused_vm;   /* whose stack it accused last; 0: another */
	uint32_t suspect_vm;   /* whose stack accused it last; 0: none yet */
	usec_t suspect_at;     /* when */
	bool doomed;	       /* killed, not yet dead: not listened to */
	struct ev_timer timer; /* BACKOFF: start; else: enough waited */
	unsigned looks;	       /* STARTING: left before it hangs */
	int stats_fd;	       /* owned; survives the process */
	const struct stats_file *stats; /* owned mapping of it */
	/* Of a stack: its flows, and its last packets; the same.  -1: none. */
	int flows_fd, tape_fd;
	int queries_fd; /* of dnsd: its table */
};

void children_init(struct children *, struct ev_loop *,
    const struct child_events *, void *data);
/* After SIGCHLD. */
void children_reap(struct children *);
/* NULL when there is none. */
struct child *child_named(const struct children *, const char *name);
/* One line of counters for each daemon that has counted anything. */
void children_log_counters(const struct children *);

/* Writes the path of the role's executable; -1 when there is none. */
int child_path(const struct children *, enum ipc_role, char *buf, size_t len);

/* NULL: out of memory or descriptors, logged. */
struct child *child_new(struct children *, enum ipc_role, uint32_t vm);
/* Only a child without a process. */
void child_free(struct child *);

void child_start(struct child *);
/* Closes its link, on which it ends; by force if it does not. */
void child_stop(struct child *);
/* It misbehaved: ends it at once, to be started again. */
void child_kill(struct child *, const char *why);
/* Gives one that was just started the files it writes for others. */
void child_send_records(struct child *);
/* It said that it is ready, and what its sandbox is made of. */
void child_ready(struct child *, const struct ipc_msg *);
/*
 * Its state as an administrator sees it: one that is "up" may be stopped, or
 * not read the bus any more.  That shows a second after the first look.
 */
const char *child_seems(struct child *);
/* Its own log level, or -1 for that of everybody; told if it can be. */
void child_log_level(struct child *, int level);
int child_level(const struct child *);

#endif
