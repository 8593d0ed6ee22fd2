#ifndef ADMIN_H
#define ADMIN_H

/*
 * The admin socket: whoever may open it sees what runs, and restarts, reloads
 * and logs as he likes.  It is a Unix socket of mode 0600, its clients are
 * asked of the kernel who they are, and it speaks the bus with the role
 * "admin".  Every request has one answer, and who leaves many answers unread
 * is not read either, so that a client costs what one answer costs.
 */

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/ipc.h"

#include "options.h"

#define ADMIN_MAXCLIENTS 16

#define ADMIN_MAXCAPTURES 16

struct child;
struct sup;

/* A live capture: lives as long as the client that wanted it. */
struct admin_capture {
	const struct ipc *client; /* borrowed; NULL: free */
	uint32_t id, vm, snaplen;
	int fd; /* owned: the ring */
};

struct admin {
	struct sup *sup; /* borrowed */
	int fd;		 /* owned; -1: there is none */
	char path[108];	 /* "" unless we made a socket there */
	dev_t dev;
	ino_t ino;
	struct ev_io rd;
	struct ev_timer rest;
	struct ipc *client[ADMIN_MAXCLIENTS]; /* owned */
	size_t nclient;
	struct admin_capture capture[ADMIN_MAXCAPTURES];
	uint32_t last_id;
};

/* Nowhere to put it is not an error, unless it was asked for: then -1. */
int admin_open(struct admin *, struct sup *, const struct options *);
void admin_close(struct admin *);
/* A status-next, whoever asks it. */
void admin_status_next(struct sup *, struct ipc *, struct ipc_msg *);
/* A netstackd was started: captures go on. */
void admin_stack_started(struct admin *, const struct child *);

#endif
