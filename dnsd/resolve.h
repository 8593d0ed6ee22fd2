#ifndef RESOLVE_H
#define RESOLVE_H

/*
 * Names for proxyd.  It asks over the bus; here each name becomes a query like
 * a guest's, so it gets what a guest would get: our own names, the same servers
 * and limits.
 */

#include "common/daemon.h"

struct dnsd;
struct resolve;

/* NULL: out of memory, logged. */
struct resolve *resolve_new(struct dnsd *);
void resolve_free(struct resolve *);
void resolve_ask(struct resolve *, struct ipc *, struct ipc_msg *);
/* That link of proxyd is gone. */
void resolve_peer_gone(struct resolve *, struct ipc *);

#endif
