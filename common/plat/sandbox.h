#ifndef SANDBOX_H
#define SANDBOX_H

/*
 * One call takes every right a role does not need, and says what the OS
 * confirmed afterwards.  sandbox_linux.c has the list of each role.
 */

#include <stddef.h>

enum sandbox_role {
	SANDBOX_READER, /* ethd, diagd: fds it was handed, nothing else */
	SANDBOX_STACK,	/* netstackd, proxyd: no accept, no pairs */
	SANDBOX_RESOLVER, /* dnsd: as STACK, and connect to common/servtab.h */
	SANDBOX_SERVER, /* front: as STACK, and accept */
	SANDBOX_OPENER, /* portd: socket, bind, listen, accept, connect */
	SANDBOX_SUPERVISOR, /* vpnkit: starts children, reads files; no ptrace,
			       no kernel interfaces it does not need */
};

#define SANDBOX_MAXLAYERS 16

struct sandbox_report {
	const char *layer[SANDBOX_MAXLAYERS]; /* constants: "seccomp", ... */
	size_t n;
};

/*
 * Never fails for a layer the kernel does not have: that layer is only
 * missing from the report, with a warning in the log.  -1 when a layer that
 * exists could not be applied.
 */
int sandbox_lock(enum sandbox_role, struct sandbox_report *);

#endif
