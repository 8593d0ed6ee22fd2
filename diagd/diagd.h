#ifndef DIAGD_H
#define DIAGD_H

/*
 * diagd serves those who watch without asking the administrator each time:
 * --pcap, --diagnostics, --introspection and --metrics.  It reads what the
 *other daemons leave in shared memory, which may lie, and what its clients
 *send, which is next to nothing; so it is a reader like them, and only there
 *when it was asked for.
 *
 *	main.c	the daemon, its listeners, a snapshot of the suite
 *	serve.c	clients: what each kind is sent
 *	tar.c	the archive of --diagnostics		[pure]
 *	tree.c	the same as a tree, for --introspection	[pure]
 */

#include <bsd/sys/queue.h>
#include <ev.h>
#include <stdbool.h>

#include "common/daemon.h"
#include "common/view/view.h"
#include "diagd/tree.h"

#define DIAGD_MAXLISTENERS 64
#define DIAGD_MAXCLIENTS   32
#define DIAGD_MAXVMS	   1024 /* that one client can follow */

enum diagd_stat {
	DIAGS_CLIENTS, /* now */
	DIAGS_ACCEPTED,
	DIAGS_REFUSED, /* too many */
	DIAGS_LOST,    /* packets no client was quick enough for */
	DIAGS__MAX
};

enum diag_kind { DIAG_PCAP, DIAG_TAR, DIAG_METRICS, DIAG_TREE, DIAG__MAX };

struct diagd;

/* How far a client has followed the packets of one process. */
struct follow {
	uint32_t serial;
	uint64_t next;
};

struct client {
	struct diagd *dd; /* borrowed */
	enum diag_kind kind;
	int fd; /* owned */
	struct ev_io rd, wr;
	bool waiting; /* for a snapshot that begins after now */
	bool last;    /* close when all is written */
	char *buf;    /* owned: what is still to be written */
	size_t off, len;
	size_t asked;	       /* bytes it has sent */
	bool line_began;       /* the last of them ended a line */
	usec_t since;	       /* when it came */
	struct follow *follow; /* owned */
	size_t nfollow;
	struct tree *tree; /* owned; and the bytes it has not seen */
	size_t inlen;
	uint8_t in[NP_MAXMSIZE];
	LIST_ENTRY(client) entry;
};

struct listener {
	struct diagd *dd;
	enum diag_kind kind;
	int fd; /* owned */
	struct ev_io rd;
};

struct diagd {
	struct daemon *d; /* borrowed */
	struct listener listener[DIAGD_MAXLISTENERS];
	size_t nlistener;
	LIST_HEAD(, client) clients; /* owned */
	size_t nclient;
	struct snapshot snap, next; /* whole; being collected */
	bool collecting;
	struct ev_timer poll;	/* runs while somebody follows packets */
	struct ev_timer resume; /* of listeners, after descriptors ran out */
	unsigned ticks;
};

/* main.c */
void diagd_collect(struct diagd *);

/* serve.c */
void client_new(struct diagd *, enum diag_kind, int fd);
void client_free(struct client *);
void clients_serve(struct diagd *);  /* there is a new snapshot */
void clients_expire(struct diagd *); /* who says nothing has to go */
void clients_follow(struct diagd *); /* packets, to those who want them */

/* tar.c: the whole archive to out. */
void tar_write(FILE *out, const struct snapshot *, int64_t mtime);
/* Its files: the name of the i-th, NULL behind the last; what is in it. */
const char *tar_name(size_t i);
void tar_content(FILE *, const struct snapshot *, size_t i);
/* The same bytes for --pcap: a file's head, and one packet. */
void pcap_head(FILE *out, uint32_t snaplen);
void pcap_packet(FILE *out, const struct tape_pkt *);

#endif
