#ifndef IPC_WIRE_H
#define IPC_WIRE_H

/*
 * The frames of the bus as bytes: ipc.h has the format.  The header's reader
 * and the queue of what one link still has to write.  No system calls but
 * close(2) of descriptors that are not needed any more.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipc_msgs.h"

#define IPC_HDRLEN 8

struct ipc_frame {
	size_t len; /* of the JSON text */
	size_t nfd;
	size_t ahead; /* descriptors of later frames, here with this one */
};

/* 0; -1: the header is wrong, *why says how; -2: need more bytes. */
int ipc_frame_head(
    const uint8_t *, size_t len, struct ipc_frame *, const char **why);

/* Bytes and descriptors in the order in which they leave.  Zeroed: empty. */
struct ipc_queue {
	uint8_t *buf; /* owned; [off, len) is still to be written */
	size_t off, len, cap;
	size_t mid; /* bytes left of a frame written in part */
	int *fd;    /* owned, and the descriptors in [fdoff, nfd) */
	size_t fdoff, nfd, fdcap;
	size_t ahead; /* written, of frames that are not */
};

/* What goes in one write; everything borrowed from the queue. */
struct ipc_run {
	const uint8_t *p;
	size_t len;
	const int *fd; /* those of its frames */
	size_t nfd;
};

void ipc_queue_fini(struct ipc_queue *);
/* Closes the descriptors and forgets everything. */
void ipc_queue_clear(struct ipc_queue *);
size_t ipc_queue_bytes(const struct ipc_queue *);
size_t ipc_queue_fds(const struct ipc_queue *);
/*
 * Adds a checked message: the values of its row's fields.  NULL, and the
 * descriptors are owned by the queue; or what is wrong.
 */
const char *ipc_queue_push(struct ipc_queue *, enum ipc_type,
    const struct ipc_val *, const int *fd, size_t nfd);
/*
 * The next run.  One with descriptors begins with a frame that has some, and
 * has no more than IPC_MAXFDS of them.
 */
struct ipc_run ipc_queue_next(struct ipc_queue *);
/* n bytes of that run were written, and its descriptors with them. */
void ipc_queue_wrote(struct ipc_queue *, const struct ipc_run *, size_t n);

void ipc_close_fds(const int *fd, size_t n);

#endif
