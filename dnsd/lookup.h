#ifndef LOOKUP_H
#define LOOKUP_H

/*
 * One query of a guest.
 *
 *	lookup.c  what is known here: names, hosts, the cache; and its end
 *	race.c	  whom to ask, when, and whom to believe
 */

#include <bsd/sys/queue.h>
#include <ev.h>

#include "common/usec.h"
#include "dnsd/client.h"
#include "dnsd/query.h"
#include "dnsd/upstream.h"

#define DNSD_MAXATTEMPTS 12

struct dnsd;

/* What has come of asking one server. */
struct asking {
	struct server *server; /* borrowed */
	enum {
		ASK_IDLE,
		ASK_PENDING,
		ASK_DONE,
	} state;
	bool tcp;      /* over a connection from now on */
	bool cut;      /* since its answer by UDP had TC */
	bool probe;    /* offline: asked, but not waited for */
	usec_t since;  /* first asked */
	usec_t last;   /* asked */
	unsigned sent; /* how often */
};

/* How good an answer is. */
enum rank {
	RANK_NONE,
	RANK_ERROR,
	RANK_NXDOMAIN,
	RANK_CUT, /* TC, and no connection brought more */
	RANK_GOOD,
};

struct lookup {
	struct dnsd *d;	       /* borrowed */
	struct client *client; /* borrowed; NULL: it has its answer */
	uint8_t origin[ORIGIN_LEN];
	struct query q; /* points into msg */
	usec_t start, deadline;
	struct ev_timer timer;
	usec_t due; /* when it is */
	size_t nask;
	struct asking ask[ROUTE_MAXASKED];
	unsigned tick;
	bool failed;	  /* the network said no */
	bool all_offline; /* when it began: then they are waited for */
	struct attempt attempt[DNSD_MAXATTEMPTS];
	/* The best answer so far, while a better may come. */
	enum rank rank;
	uint32_t rank_order; /* of its server */
	uint8_t *best;	     /* owned */
	size_t bestlen;
	const struct server *by; /* borrowed; whose answer it is */
	LIST_ENTRY(lookup) entry;
	size_t len; /* of the message */
	uint8_t msg[];
};

/* Of every guest: forget what was asked; ask again, of other servers. */
void lookups_cancel(struct dnsd *);
void lookups_restart(struct dnsd *);
/* Answers a query now or later, or drops it.  origin is NULL for streams. */
void lookup_start(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
void lookup_free(struct lookup *);
/* Both end the lookup. */
void lookup_finish(struct lookup *, uint8_t *msg, size_t len);
void lookup_fail(struct lookup *);

/* race.c; the lookup may be gone after each of these. */
void race_start(struct lookup *);
void race_cancel(struct lookup *);
bool race_linger(struct lookup *); /* false: there is nothing to wait for */
void race_timer(struct ev_loop *, struct ev_timer *, int);
/* What the attempts come to. */
void lookup_answer(struct lookup *, struct attempt *, uint8_t *msg, size_t len,
    const struct msg_head *);
void lookup_attempt_failed(struct lookup *, struct attempt *);
void lookup_ask_again(struct lookup *, struct attempt *);

#endif
