#ifndef LOGDEST_H
#define LOGDEST_H

/*
 * Where the log of the whole suite goes: stderr, which every daemon writes to
 * itself, or journald or syslog.  Those are the supervisor's to speak with, as
 * a record of theirs says who wrote it: it reads the daemons' stderr from pipes
 * and passes it on, with the name of the one who held the other end.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/usec.h"

#include "logline.h"

enum logdest_kind { LOGDEST_STDERR, LOGDEST_JOURNAL, LOGDEST_SYSLOG };

struct logdest {
	enum logdest_kind kind;
	char path[108];
	int fd;		  /* owned; -1 */
	uint64_t dropped; /* bytes that found no room, not yet said */
};

/*
 * The kind and path of "auto", "stderr", "journal[:PATH]" or "syslog[:PATH]".
 * auto: the journal, if stderr leads there.  -1: none of these, or a path too
 * long for a socket.
 */
int logdest_parse(struct logdest *, const char *where);
/* -1: as above, or no socket.  From then on our own log goes there as well. */
int logdest_open(struct logdest *, const char *where);
void logdest_close(struct logdest *);
/* -1: it cannot be told now. */
int logdest_put(
    struct logdest *, const struct logfrom *, enum log_level, const char *text);

/* A daemon's stderr. */
struct logpipe {
	struct logdest *dest;			  /* borrowed */
	struct ev_loop *loop;			  /* borrowed */
	const struct logfrom *(*from)(void *arg); /* who is at the other end */
	void *arg;
	int fd; /* owned: our end; -1 */
	struct ev_io rd;
	usec_t since; /* begin of a period */
	unsigned n, left_out;
	size_t len;
	char buf[LOGLINE_MAX];
};

#define LOGPIPE_BURST  5000u /* lines of one daemon in a period */
#define LOGPIPE_PERIOD (10 * USEC_SEC)

/* The end for the daemon's stderr; -1: it has ours. */
int logpipe_open(struct logpipe *, struct logdest *, struct ev_loop *,
    const struct logfrom *(*from)(void *), void *arg);
/* Reads what is still there first. */
void logpipe_close(struct logpipe *);

#endif
