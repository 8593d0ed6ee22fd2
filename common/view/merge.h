#ifndef MERGE_H
#define MERGE_H

/*
 * Packets of several rings of tape.h in the order of their times.  Pure.
 */

#include "common/tape.h"
#include "common/view/view.h"

struct merge {
	const struct file *file; /* borrowed */
	uint32_t ring;
	uint64_t next; /* number of the packet that is looked at next */
	uint64_t lost; /* so many were overwritten before */
};

/*
 * Which of n has the oldest packet that was not taken yet; n: none has one.
 * open: those whose fate may still be noted are not waited for.
 */
size_t merge_oldest(struct merge *, size_t n, bool open);
/* Takes that packet; false: it was overwritten meanwhile. */
bool merge_take(struct merge *, struct tape_pkt *);

#endif
