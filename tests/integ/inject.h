#ifndef INJECT_H
#define INJECT_H

/*
 * Makes another process do a system call: as its debugger we wait until it
 * enters one of its own, put another one in its place, and have it do its own
 * afterwards.  The filters of the kernel look at a call after the debugger.
 * What cannot be done ends the test.
 */

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INJECT_NARGS   6
#define INJECT_SCRATCH 1024 /* bytes for what arguments point to */

/* Stops the process where it enters a system call; -1: not permitted. */
int inject_catch(pid_t);
/* The address of memory in it that is not in use. */
uint64_t inject_scratch(pid_t);
void inject_poke(pid_t, uint64_t at, const void *, size_t len);

/*
 * Has it do the call and lets it go.  True: it lives, and *res is the result;
 * false: it is dead and reaped, *status says how.
 */
bool inject_call(pid_t, long nr, const uint64_t *arg, long *res, int *status);

/* Lets it go on until a call of its own has failed so, where it is stopped. */
void inject_until(pid_t, int error);
void inject_go(pid_t);

#endif
