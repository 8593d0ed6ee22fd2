#ifndef SECCOMP_LINUX_H
#define SECCOMP_LINUX_H

/* The last layer of sandbox_linux.c; nothing else includes this. */

#include "common/plat/sandbox.h"

/* From here on a system call off the role's list kills the process. */
int sandbox_filter(enum sandbox_role);

#endif
