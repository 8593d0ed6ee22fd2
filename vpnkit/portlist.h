#ifndef PORTLIST_H
#define PORTLIST_H

/*
 * The list of all ports of the host that lead to a guest, whoever wanted them:
 * --publish, an administrator, or clients of --port.  The first two are ours:
 * portd is asked for them, and a new portd again.  The others are front's, who
 * says what it has; those of HTTP have no client that would ask again, so the
 * list keeps them for the next front.
 */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc.h"

#include "publish.h"

#define PORTLIST_MAX 4096 /* of ours, and of front's */

enum port_by { PORT_PUBLISH, PORT_ADMIN, PORT_HTTP, PORT_9P, PORT_BY__MAX };

enum port_state {
	PORT_ASKED,
	PORT_LISTENING,
	PORT_FAILED,
	PORT_LEAVING, /* until portd, or front, says that it is gone */
	PORT_STATE__MAX
};

struct port {
	uint32_t serial; /* and, of ours, the number that portd knows */
	enum port_by by;
	enum port_state state;
	uint32_t front_id; /* of front's */
	char proto[5];
	char addr[256];	     /* or the path */
	uint16_t want, real; /* as asked for; the last one that it had, or 0 */
	struct ipaddr dst;
	uint16_t dport;
	char dpath[256];
	bool proxy;
	char note[256];	    /* its maker's */
	char why[256];	    /* it failed */
	struct ipc *waiter; /* borrowed: of the admin socket; NULL: nobody */
	TAILQ_ENTRY(port) entry;
};

struct portlist {
	TAILQ_HEAD(, port) list; /* owned; by serial */
	size_t n[2];		 /* of front's, of ours */
	uint32_t last;
	struct ipc *portd, *front; /* borrowed; NULL: not there */
};

void portlist_init(struct portlist *);
void portlist_fini(struct portlist *);
/* All ports of one --publish, whose text goes along.  -1: no room. */
int portlist_publish(
    struct portlist *, const struct publish *, const char *text);

/* These are there, or are not (NULL). */
void portlist_portd(struct portlist *, struct ipc *);
void portlist_front(struct portlist *, struct ipc *);
/* What failed is asked for again. */
void portlist_retry(struct portlist *);

/* portd says so. */
void portlist_added(struct portlist *, const struct ipc_msg *);
void portlist_failed(struct portlist *, const struct ipc_msg *);
void portlist_gone(struct portlist *, const struct ipc_msg *);
/* front says so.  NULL, or what it did wrong. */
const char *portlist_held(struct portlist *, const struct ipc_msg *);
void portlist_dropped(struct portlist *, const struct ipc_msg *);

/* An administrator asks.  Each request is answered, some of them later. */
void portlist_next(struct portlist *, struct ipc *, const struct ipc_msg *);
void portlist_add(struct portlist *, struct ipc *, const struct ipc_msg *);
void portlist_remove(struct portlist *, struct ipc *, const struct ipc_msg *);
/* He is gone. */
void portlist_forget(struct portlist *, const struct ipc *);

#endif
