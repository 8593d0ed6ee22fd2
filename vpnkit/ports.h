#ifndef PORTS_H
#define PORTS_H

/*
 * Ports as the supervisor sees them: what --publish asks for, what the files
 * of forwards say, and what it opens for portd, which has neither files nor
 * privileges.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/ipc.h"

#include "options.h"
#include "portlist.h"
#include "publish.h"

#define PORTS_MAXPATHS 4096

/* A path that was bound for portd, or is going to be removed. */
struct port_path {
	uint32_t id; /* portd's */
	char path[108];
	dev_t dev; /* that socket, so as not to remove another */
	ino_t ino;
	struct port_path *next;
};

struct ports {
	const struct options *op; /* borrowed */
	struct portlist list;
	struct gwforward *gw; /* owned; first those of the command line */
	size_t ngw, nstatic;
	struct viaforward *via; /* owned */
	size_t nvia;
	struct port_path *path; /* owned */
	size_t npath;
};

/* -1: out of memory, logged. */
int ports_init(struct ports *, const struct options *);
void ports_fini(struct ports *);

/*
 * Read again.  1: something is new; 0: all as before; -1: wrong, which is
 * logged and changes nothing.
 */
int ports_read_gateway(struct ports *);
int ports_read_via(struct ports *);

void ports_send_gateway(const struct ports *, struct ipc *);
void ports_send_via(const struct ports *, struct ipc *);
/* portd was started: all of it. */
void ports_portd_started(struct ports *, struct ipc *);
void ports_portd_gone(struct ports *);

/* Messages of portd. */
void ports_bind(struct ports *, struct ipc *, const struct ipc_msg *);
void ports_connect(struct ports *, struct ipc *, const struct ipc_msg *);
void ports_release(struct ports *, const struct ipc_msg *);

#endif
