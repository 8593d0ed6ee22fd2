#ifndef FRAMES_H
#define FRAMES_H

/*
 * What every frame of the core must be, and a way to make a guest's frame of
 * any bytes one that is not refused for its checksums.
 */

#include "tests/pkt/world.h"

typedef void frames_tcp(void *arg, uint32_t src, const struct tcp_seg *);

/* Takes all that came out and checks it; tcp gets the segments. */
void frames_check(struct world *, frames_tcp *tcp, void *arg);

/* Sets addresses of the guest's and the checksums, as far as they are there. */
void frames_repair(const struct world *, uint8_t *frame, size_t len);

#endif
