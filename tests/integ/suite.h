#ifndef SUITE_H
#define SUITE_H

/*
 * The real suite, started for one test in a folder of its own: vpnkit and
 * everything it starts.  And what these processes use, read from /proc.
 */

#include <sys/types.h>

#define SUITE_MAXARGS 24

struct suite {
	pid_t pid;
	char dir[64];	   /* removed by suite_stop() */
	char sock[96];	   /* --ethernet */
	char qemu[96];	   /* --ethernet-qemu */
	char dgram[2][96]; /* --ethernet-dgram, twice */
	char log[96];
};

struct suite_usage {
	int nproc;
	int nfd; /* of all; -1: not allowed to look */
	long rss_kb;
};

/*
 * Starts the executable with our sockets and then args, which end with NULL
 * (NULL: none), and waits until a client is accepted and all daemons are
 * ready.  -1: it did not come up; what it logged is on stderr.
 */
int suite_start(struct suite *, const char *exe, const char *const args[]);
/* Ends it and removes the folder.  0: it ended by itself, with status 0. */
int suite_stop(struct suite *);
/* Copies the log to stderr. */
void suite_show_log(const struct suite *);
/* How often a text is in the log. */
int suite_log_count(const struct suite *, const char *text);
/* Until it is there so often.  -1: not in time. */
int suite_wait_log(
    const struct suite *, const char *text, int count, int timeout_ms);

/* The supervisor and all its descendants. */
void suite_usage(const struct suite *, struct suite_usage *);
/*
 * The same as a measure for later: what they are given after they have said
 * that they are ready has arrived, so it has stayed the same for a while.
 */
void suite_usage_steady(const struct suite *, struct suite_usage *);
/* The pid of the n-th (from 0) oldest descendant with this name, or -1. */
pid_t suite_find(const struct suite *, const char *name, int n);
/*
 * Waits, looking every few milliseconds, until the suite has at most this many
 * processes and descriptors.  -1: not within timeout_ms; *u is the last look.
 */
int suite_settle(const struct suite *, const struct suite_usage *most,
    int timeout_ms, struct suite_usage *u);

#endif
