#ifndef TAP_HAND_H
#define TAP_HAND_H

/*
 * Handing the TAP over: the suite's stack then reads and writes it itself,
 * which saves every frame two processes.  Asked of the admin socket, beside
 * the one of the machines; whoever may not open it moves the frames himself.
 */

#include <stdbool.h>

struct hand;

/*
 * The TAP stays the caller's, and the suite's as long as the result lives.
 * NULL: not taken, for whatever reason; *again: that may be another time.
 */
struct hand *hand_over(
    const char *socket, const char *uuid, int tap, bool *again);
void hand_free(struct hand *);

/* To be polled for reading; then hand_holds(): false when it is over. */
int hand_fd(const struct hand *);
bool hand_holds(struct hand *);

#endif
