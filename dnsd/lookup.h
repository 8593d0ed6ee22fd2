#ifndef LOOKUP_H
#define LOOKUP_H

/*
 * What is asked of the servers, for one query of a guest or for several that
 * ask the same at the same time: the more equal questions are under way, the
 * better are the chances of a forged answer to one of them (RFC 5452 5).
 *
 *	lookup.c  what is known here: names, hosts, the cache; and its end
 *	asking.c  what is asked of one server
 *	race.c	  whom to ask, when, and whom to believe
 */

#include <bsd/sys/queue.h>
#include <ev.h>

#include "common/usec.h"
#include "dnsd/client.h"
#include "dnsd/query.h"
#include "dnsd/upstream.h"

#include "config.h"

#define DNSD_MAXATTEMPTS 12
#define DNSD_MAXASKERS	 256  /* of one lookup; more have another one */
#define DNSD_SAME	 1024 /* chains of a hash table */
/*
 * Lookups that are over wait for the next: the same memory again is still in
 * the processor's caches.  Where tests look for its use after the end, none.
 */
#define DNSD_SPARE	(SANITIZER_CALLS ? 0 : 64)
#define DNSD_SPARE_ROOM 128 /* bytes of a question that most are within */

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
	bool probe;    /* offline: asked once */
	bool silent;   /* has been for long enough to be counted */
	bool answered; /* whatever it was */
	usec_t since;  /* first asked */
	usec_t last;   /* asked */
	usec_t wait;   /* how long it is waited for, by who has nothing */
	usec_t hold;   /* ... and by who has a later one's no */
	unsigned sent; /* how often */
};

/* How good an answer is. */
enum rank {
	RANK_NONE,
	RANK_ERROR,
	RANK_NXDOMAIN,
	RANK_EMPTY, /* the name, but not of that type */
	RANK_CUT,   /* TC, and no connection brought more */
	RANK_GOOD,
};

/* A query of a guest, which waits for a lookup. */
struct asker {
	struct lookup *lookup; /* borrowed */
	struct client *client; /* borrowed */
	usec_t start;
	uint8_t origin[ORIGIN_LEN];
	const struct query *q;	 /* as it was asked by this one */
	const uint8_t *msg;	 /* the same, up to the end of the question */
	LIST_ENTRY(asker) entry; /* of the client's */
	TAILQ_ENTRY(asker) next; /* of the lookup's */
};

/* One that has come to a lookup of the same. */
struct joined {
	struct asker asker;
	struct query q; /* points into msg */
	uint8_t msg[];
};

struct lookup {
	struct dnsd *d;		    /* borrowed */
	TAILQ_HEAD(, asker) askers; /* owned, but for the first */
	struct asker first;	    /* whose q and msg are the lookup's */
	size_t nasker;
	bool ghost;	/* all have their answer; see race_linger() */
	bool open;	/* others may join: it is in d->same */
	bool tcp;	/* the first one asked over a stream */
	struct query q; /* points into msg */
	usec_t start, deadline;
	struct ev_timer timer;
	usec_t due; /* when it is */
	unsigned tick;
	bool failed;	  /* the network said no */
	bool all_offline; /* when it began: then they are waited for */
	bool unsure;	  /* of its answer: who comes first has not said so */
	bool kept;	  /* its answer is, or need not be */
	uint32_t vm;	  /* of the first who asked */
	/* The best answer so far, while a better may come. */
	enum rank rank;
	uint32_t rank_order; /* of its server */
	uint8_t *best;	     /* owned */
	size_t bestlen;
	const struct server *by;  /* borrowed; whose answer it is */
	LIST_ENTRY(lookup) entry; /* of all */
	LIST_ENTRY(lookup) same;
	size_t len, room; /* of the message, and for one */
	/* Of most lookups only the first of each is ever looked at. */
	size_t nask, nattempt;
	struct asking ask[ROUTE_MAXASKED];
	struct attempt attempt[DNSD_MAXATTEMPTS];
	uint8_t msg[];
};

void lookups_init(struct dnsd *);
void lookups_fini(struct dnsd *); /* none may be under way */
/* Of every guest: forget what was asked; ask again, of other servers. */
void lookups_cancel(struct dnsd *);
void lookups_restart(struct dnsd *);
/* Answers a query now or later, or drops it.  origin is NULL for streams. */
void lookup_start(
    struct client *, const uint8_t *origin, const uint8_t *msg, size_t len);
/* Its client is gone; the last one takes the lookup along. */
void asker_gone(struct asker *);
void lookup_free(struct lookup *);
/* Both end the lookup. */
void lookup_finish(struct lookup *, uint8_t *msg, size_t len);
void lookup_fail(struct lookup *);
/* An answer after that: for the next who asks. */
void lookup_late(struct lookup *, const uint8_t *msg, size_t len);

/* asking.c */
struct asking *asking_of(struct lookup *, const struct server *);
void asking_begin(struct lookup *, struct asking *);
/* Asks, once more if it was asked before. */
void asking_send(struct lookup *, struct asking *);
/* Asks over a connection for the whole of an answer that was cut. */
void asking_whole(struct lookup *, struct asking *);
bool asking_under_way(const struct lookup *, const struct server *);
/* Time is over: if it is silent this is one question missed, however often. */
void asking_silent(struct asking *);
/* Nothing more is expected. */
void asking_done(struct lookup *, struct asking *);
/* When it is given up; and the next time at which one of its times is over. */
usec_t asking_ends(const struct asking *);
usec_t asking_next(const struct asking *, usec_t now);

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
