#ifndef LISTEN_H
#define LISTEN_H

/*
 * The sockets on which virtual machines connect: made before anything else
 * and kept, so that ethd gets the same ones again when it is restarted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/ipc.h"

#include "options.h"

#define LISTEN_MAX 3

struct listener {
	const char *kind; /* constant: as in the bus message */
	int fd;		  /* owned */
	char path[108];	  /* "" unless we made a socket there */
	dev_t dev;	  /* that socket, so as not to remove another */
	ino_t ino;
};

struct listeners {
	struct listener v[LISTEN_MAX];
	size_t n;
};

/* All that the options ask for, or none and -1, logged. */
int listen_open(struct listeners *, const struct options *);
/* Duplicates for ethd. */
void listen_send(const struct listeners *, struct ipc *);
/* Closes them and removes the paths. */
void listen_close(struct listeners *);

#endif
