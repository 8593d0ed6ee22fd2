#ifndef TAP_PUMP_H
#define TAP_PUMP_H

/*
 * Moves frames between the TAP and the suite while the command runs, passes
 * signals on to it, and connects again when the suite's side goes away.
 */

#include <signal.h>
#include <sys/types.h>

#include "tools/tap_conn.h"

struct pump;

/*
 * conn and sigfd are borrowed, tap becomes owned; conn is connected, sigfd
 * reads the signals of pump_signals().  relay: the suite is not to have the
 * TAP itself.  NULL: out of memory.
 */
struct pump *pump_new(
    struct conn *, int tap, bool relay, int sigfd, pid_t command);
void pump_free(struct pump *);

/* SIGCHLD and all that is passed on to the command. */
void pump_signals(sigset_t *);

/*
 * Until the command ends: 0 with its wait status.  -1 when there is no network
 * any more, said on stderr; the command is still there then.
 */
int pump_run(struct pump *, int *status);

#endif
