#ifndef RECORDS_H
#define RECORDS_H

/*
 * What dnsd leaves in shared memory for those who ask what it does: see
 * common/dnstab.h.  Without the file nothing is written, and all works.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/daemon.h"
#include "common/dnstab.h"

struct asker;
struct client;
struct dnsd;
struct server;

void records_take(struct daemon *, struct ipc *, struct ipc_msg *);
void records_fini(struct dnsd *);
/* There are other servers. */
void records_servers(struct dnsd *);
/*
 * What happened with one: it was asked, once more or for the first time, has
 * answered, or has not until the end.
 */
void records_asked(struct server *);
void records_answered(struct server *, usec_t rtt); /* 0: not known */
void records_unanswered(struct server *);
/* It is offline, or is not any more. */
void records_state(struct server *);
/* A turn ends: now it is written. */
void records_turn(struct dnsd *);
/* A guest's answer.  by: who knew it; NULL: nobody.  a: who waited for it. */
void records_answer(const struct client *, const struct asker *a,
    const char *by, const uint8_t *msg, size_t len);

#endif
