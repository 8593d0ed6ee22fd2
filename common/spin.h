#ifndef SPIN_H
#define SPIN_H

/*
 * Whether to poll for a moment before going to sleep.
 *
 * Waking a process costs more than what a small packet needs, many times over
 * in a virtual machine.  A process on the packet path that has mostly been
 * woken again within SPIN_USEC therefore looks for that long before it sleeps,
 * and one that has not sleeps at once.  So an exchange is quick, and a quiet
 * process makes no turns at all.  Nor does one that moves bulk, where the next
 * batch should rather grow.  Nor one that has to do with many others at a
 * time: none of them waits for a wake-up of it, and somebody has a use for the
 * processor.  There it is even better when the kernel does not stop somebody
 * in order to wake this process for one more of them, and more of them come
 * together until it has its turn.  Pure: the loop is daemon.c's.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/usec.h"

#define SPIN_USEC 400
#define SPIN_MAX  16 /* sleeps remembered, as it were */
#define SPIN_BULK 32768
#define SPIN_MANY 8   /* exchanges at a time */
#define SPIN_BUSY 256 /* short waits after that which do not count */

struct spin {
	/* To SPIN_MAX: short waits push up, long ones toward 0. */
	int score;
	usec_t since;  /* when there was last something to do */
	bool spinning; /* polling instead of sleeping */
};

/* There is nothing left to do: poll on, or sleep? */
static inline bool
spin_rest(struct spin *s, usec_t now)
{
	if (s->spinning && now - s->since > SPIN_USEC) {
		s->spinning = false;
		s->score -= s->score > 0;
	}
	return s->spinning;
}

/* There was something to do: so many bytes, in so many exchanges. */
static inline void
spin_event(struct spin *s, usec_t now, size_t moved, size_t many)
{
	if (many >= SPIN_MANY)
		s->score = -SPIN_BUSY;
	else if (moved >= SPIN_BULK)
		s->score = s->score < 0 ? s->score : 0;
	else if (now - s->since <= SPIN_USEC)
		s->score += s->score < SPIN_MAX;
	else if (s->score < 0)
		s->score = s->score < -SPIN_MAX ? s->score + SPIN_MAX : 0;
	else
		s->score -= s->score > 0;
	s->since = now;
	s->spinning = s->score >= SPIN_MAX / 2;
}

/* It has mostly had to do with many at a time. */
static inline bool
spin_crowd(const struct spin *s)
{
	return s->score < 0;
}

#endif
