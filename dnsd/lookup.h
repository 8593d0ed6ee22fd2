#ifndef LOOKUP_H
#define LOOKUP_H

/*
 * One query of a guest: answered here, or asked of one server after another.
 */

#include <bsd/sys/queue.h>
#include <ev.h>

#include "dnsd/client.h"
#include "dnsd/query.h"
#include "dnsd/upstream.h"

#define DNSD_MAXATTEMPTS 5
#define DNSD_RETRY_SEC	 1.0 /* then the next server, five times in all */

struct dnsd;

struct lookup {
	struct dnsd *d;	       /* borrowed */
	struct client *client; /* borrowed */
	uint8_t origin[ORIGIN_LEN];
	struct query q; /* points into msg */
	struct ev_timer timer;
	size_t next_server;
	unsigned nattempt, ticks;
	struct attempt attempt[DNSD_MAXATTEMPTS];
	LIST_ENTRY(lookup) entry;
	size_t len;    /* of the message */
	uint8_t msg[]; /* two bytes of length, then the message */
};

/* Of every guest: forget what was asked; ask again, of other servers. */
void lookups_cancel(struct dnsd *);
void lookups_restart(struct dnsd *);
/* Answers a query now or later, or drops it.  origin is NULL for streams. */
void lookup_start(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
void lookup_free(struct lookup *);
/* What the attempts come to; the lookup may be gone afterwards. */
void lookup_answer(struct lookup *, struct attempt *, uint8_t *msg, size_t len);
void lookup_attempt_failed(struct lookup *, struct attempt *);

#endif
