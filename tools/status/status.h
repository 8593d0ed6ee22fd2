#ifndef STATUS_H
#define STATUS_H

/*
 * vpnkit-status: what its files share.
 *
 *	main.c	   the command line and its table of subcommands
 *	conn.c	   the admin socket
 *	top.c	   flows, live, on a terminal
 *	capture.c  packets
 *	ports.c	   ports of the host that lead to guests
 *
 * What is printed is made in common/view.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/view/view.h"

/* Exit status; in the manual. */
enum {
	EX_FINE = 0,
	EX_USE = 1,	/* the command line */
	EX_NOSUITE = 2, /* cannot be reached, or is gone */
	EX_REFUSED = 3, /* the suite says no */
	EX_BROKEN = 4,	/* something of it does not run */
};

/* conn.c */
struct conn;
struct conn *conn_open(const char *path); /* exits when it cannot */
void conn_close(struct conn *);
void conn_snapshot(struct conn *, struct snapshot *);
/* One request whose answer is admin-done; exits when that says no. */
void conn_do(struct conn *, int type, json_t *body);
/* A ring of packets of a VM; -1 when refused, said. */
int conn_capture(struct conn *, uint32_t vm, uint32_t snaplen);
/* Whether the suite still has us. */
bool conn_alive(struct conn *);
/*
 * From now on INT, TERM and HUP set this, and end a wait for an answer, and the
 * program with it.
 */
extern volatile sig_atomic_t conn_stopped;
void conn_catch(struct conn *);

/* A port of the host; as in ports-entry. */
struct port_row {
	uint32_t serial;
	char by[9], state[17], proto[5], addr[256], dst[46], dpath[256],
	    note[256];
	unsigned want, port, dport;
	bool proxy;
};
/* A request that a port answers; false: there is none. */
bool conn_port(struct conn *, int type, json_t *body, struct port_row *);

/* top.c, capture.c, ports.c: subcommands; argv[0] is their name. */
int top_main(struct conn *, const struct style *, int argc, char **argv);
int capture_main(struct conn *, const struct style *, int argc, char **argv);
int ports_main(struct conn *, const struct style *, int argc, char **argv);

#endif
