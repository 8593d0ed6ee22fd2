#ifndef SPAWN_H
#define SPAWN_H

/*
 * What plat_posix.c needs from the file of the system to start a child.
 * Nothing else includes it.
 */

#include <sys/types.h>

enum spawn_ns {
	SPAWN_PLAIN,  /* fork() */
	SPAWN_PIDNS,  /* in a PID namespace of its own; needs rights */
	SPAWN_USERNS, /* in a user namespace too; what others may do */
	SPAWN__MAX
};

/* fork(), and for SPAWN_USERNS the child still has to map its ids. */
pid_t spawn_fork(enum spawn_ns);
int spawn_map_ids(uid_t, gid_t);
/* Every descriptor from lowest on becomes close-on-exec. */
int spawn_cloexec_from(int lowest);

#endif
