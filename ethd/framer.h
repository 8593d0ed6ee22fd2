#ifndef FRAMER_H
#define FRAMER_H

/*
 * How frames lie in a client's byte stream: a length, then the frame.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#define FRAMER_MAXPREFIX 4
#define FRAMER_MAXFRAME	 65535
/* An unfinished frame is always shorter than this. */
#define FRAMER_MAXLEN (FRAMER_MAXPREFIX + FRAMER_MAXFRAME)

enum framing {
	FRAMING_LE16, /* vmnet */
	FRAMING_BE32, /* QEMU's -netdev stream */
	FRAMING_NONE, /* one frame a datagram */
	FRAMING__MAX
};

/* Bytes of the length. */
size_t framer_prefix(enum framing);

/*
 * Looks at the frame at the start of p: returns the bytes it takes in the
 * stream with its length, -1 when that length is a lie, -2 when its end is not
 * there yet.  The frame itself is the last *flen bytes of them; *flen may
 * be 0.
 */
int framer_next(enum framing, const uint8_t *p, size_t len, size_t *flen);

/* Writes the length of a frame to FRAMER_MAXPREFIX bytes at p. */
void framer_put(enum framing, uint8_t *p, size_t flen);

#endif
