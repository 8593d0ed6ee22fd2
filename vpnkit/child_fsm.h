#ifndef CHILD_FSM_H
#define CHILD_FSM_H

/*
 * The life of one daemon as a table, and how long to wait before starting it
 * again.  Pure.
 *
 *	DOWN --spawned--> STARTING --ready--> UP
 *	STARTING, UP --death--> BACKOFF --spawned--> STARTING
 *	STARTING, UP --stop--> STOPPING --death--> DOWN
 *	BACKOFF --stop--> DOWN
 *	DOWN, BACKOFF --failed (no process could be made)--> BACKOFF
 */

enum child_state {
	CHILD_NONE = 0, /* in the table: no such edge */
	CHILD_DOWN,
	CHILD_STARTING,
	CHILD_UP,
	CHILD_STOPPING,
	CHILD_BACKOFF,
	CHILD__MAX
};

enum child_event {
	CHILDE_SPAWNED,
	CHILDE_FAILED,
	CHILDE_READY,
	CHILDE_STOP,
	CHILDE_DEATH,
	CHILDE__MAX
};

extern const char *const child_state_name[CHILD__MAX];
extern const char *const child_event_name[CHILDE__MAX];

/* CHILD_NONE when the event cannot happen in that state. */
enum child_state child_next(enum child_state, enum child_event);

/* A daemon that lived this long is not in a loop of crashes. */
#define CHILD_QUIET_MS 10000

/* The wait after the nth (from 1) early death or failure in a row. */
int child_backoff_ms(unsigned nth);

#endif
