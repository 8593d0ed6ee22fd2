#ifndef LISTEN_H
#define LISTEN_H

/*
 * The sockets on which virtual machines and clients of port control connect:
 * made before anything else and kept, so that ethd and front get the same ones
 * again when they are restarted.
 *
 * A datagram socket is for one client at a time.  We wait here for the first
 * datagram, connect the socket to its sender, whose address is all that we
 * look at, and only then hand it to ethd, which is in no position to name
 * anybody.  When the client is gone, ethd says so, and we wait for the next.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/ipc.h"
#include "common/log.h"

#include "options.h"

#define LISTEN_MAX (4 + 4 * OPTIONS_NAMES)

struct listener {
	struct listeners *all; /* borrowed */
	const char *kind;      /* constant: as in the bus message */
	enum ipc_role role;    /* who serves it */
	int type;	       /* SOCK_STREAM or SOCK_DGRAM */
	mode_t mode;	       /* of the path; 0: what the umask leaves */
	int fd;		       /* owned */
	char path[108];	       /* "" unless we made a socket there */
	dev_t dev;	       /* that socket, so as not to remove another */
	ino_t ino;
	/* Datagram sockets only. */
	bool taken; /* connected to a client, and ethd's for now */
	struct ev_io rd;
};

struct listeners {
	struct listener v[LISTEN_MAX];
	size_t n;
	struct ev_loop *loop; /* borrowed */
	struct ipc *eth;      /* borrowed; NULL while there is no ethd */
	struct log_rate came, unreachable;
};

/* All that the options ask for, or none and -1, logged. */
int listen_open(struct listeners *, struct ev_loop *, const struct options *);
/*
 * ethd or front is there: duplicates for it, now and, for ethd, when datagram
 * clients come.
 */
void listen_send(struct listeners *, struct ipc *);
/* Tells portd which TCP ports are ours: no guest is to get there. */
void listen_send_closed(const struct listeners *, struct ipc *portd);
void listen_eth_gone(struct listeners *);
/* ethd says that a client has gone.  NULL, or what is wrong with that. */
const char *listen_dgram_gone(struct listeners *, uint64_t id);
/* Closes them and removes the paths. */
void listen_close(struct listeners *);

#endif
