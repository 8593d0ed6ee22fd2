#ifndef WIRE_H
#define WIRE_H

/*
 * Who is connected to whom.  Every daemon has a link to the supervisor; the
 * others are the rows of one table in wire.c.
 */

#include <stdbool.h>

#include "child.h"

bool wire_exists(enum ipc_role, enum ipc_role);
/* The same, or a packet channel: either may accuse the other. */
bool wire_talks(enum ipc_role, enum ipc_role);

/* Makes all links of a daemon that was just started. */
void wire_connect(struct child *);
/* Tells its peers that it is gone. */
void wire_cut(struct child *);

/*
 * The packet channel of a VM: a socket and two arenas, each mapped writable
 * by one side only.  tap is borrowed; -1: the machine's frames come by ethd.
 * vnet: they have headers there.  0, or -1: nothing was sent, logged.
 */
int wire_channel(struct child *eth, struct child *stack, int tap, bool vnet);

/* A new link between two in the place of the old. */
void wire_again(struct child *a, struct child *b);

#endif
