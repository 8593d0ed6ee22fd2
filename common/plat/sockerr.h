#ifndef SOCKERR_H
#define SOCKERR_H

/* What the kernel says in an error queue, apart from the call that takes it,
 * for the tests. */

#include <sys/socket.h>

#include "common/plat/plat.h"

/* The control messages of one entry.  -1: no ICMP error of IPv4. */
int sockerr_parse(struct msghdr *, struct plat_sockerr *);

#endif
