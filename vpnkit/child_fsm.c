#include "child_fsm.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS	 5000

#define ROW(s)	  [CHILD_##s]
#define ON(e, to) [CHILDE_##e] = CHILD_##to

/* clang-format off */
static const enum child_state edge[CHILD__MAX][CHILDE__MAX] = {
	ROW(DOWN) = { ON(SPAWNED, STARTING), ON(FAILED, BACKOFF) },
	ROW(STARTING) = { ON(READY, UP), ON(STOP, STOPPING),
	    ON(DEATH, BACKOFF) },
	ROW(UP) = { ON(STOP, STOPPING), ON(DEATH, BACKOFF) },
	ROW(STOPPING) = { ON(DEATH, DOWN) },
	ROW(BACKOFF) = { ON(SPAWNED, STARTING), ON(FAILED, BACKOFF),
	    ON(STOP, DOWN) },
};
/* clang-format on */

const char *const child_state_name[CHILD__MAX] = {
	[CHILD_NONE] = "none",
	[CHILD_DOWN] = "down",
	[CHILD_STARTING] = "starting",
	[CHILD_UP] = "up",
	[CHILD_STOPPING] = "stopping",
	[CHILD_BACKOFF] = "backing off",
};

const char *const child_event_name[CHILDE__MAX] = {
	[CHILDE_SPAWNED] = "spawned",
	[CHILDE_FAILED] = "failed",
	[CHILDE_READY] = "ready",
	[CHILDE_STOP] = "stop",
	[CHILDE_DEATH] = "death",
};

enum child_state
child_next(enum child_state s, enum child_event e)
{
	return edge[s][e];
}

/*
 * The first death is most often an accident, and the guest is waiting: start
 * again at once.  Only a daemon that dies again and again has to wait.
 */
int
child_backoff_ms(unsigned nth)
{
	int ms = BACKOFF_FIRST_MS;

	if (nth <= 1)
		return 0;
	while (nth-- > 2 && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}
