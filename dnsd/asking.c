/*
 * One question, one server: asked, asked again, waited for, given up.
 */

#include "dnsd/dnsd.h"

#define PROBE_EVERY USEC_SEC
#define DOUBT	    (2 * USEC_SEC)  /* the wait for who may be gone */
#define GONE	    (400 * USEC_MS) /* ... is, and was just asked again */
#define NO_IN_TURN  (4 * USEC_SEC)  /* with a no: guests wait for five */
#define CUT_WAIT    (2 * USEC_SEC)  /* for the whole of what was cut */

static usec_t
now_of(const struct lookup *l)
{
	return usec_now(l->d->d->loop);
}

static usec_t
least(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

struct asking *
asking_of(struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nask; i++)
		if (l->ask[i].server == s)
			return &l->ask[i];
	return NULL;
}

bool
asking_under_way(const struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nattempt; i++)
		if (l->attempt[i].server == s)
			return true;
	return false;
}

static void
cancel_attempts(struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nattempt; i++)
		if (l->attempt[i].server == s)
			upstream_cancel(&l->attempt[i]);
}

void
asking_done(struct lookup *l, struct asking *ask)
{
	if (ask->state == ASK_PENDING && ask->silent && !ask->answered)
		records_unanswered(ask->server);
	ask->state = ASK_DONE;
	cancel_attempts(l, ask->server);
	if (ask->server->ghost == l)
		ask->server->ghost = NULL;
}

/*
 * Who has answered others since it was last asked this is not silent: the
 * question was lost on its way, or it has nothing to say to it.
 */
static bool
is_silent(const struct asking *ask)
{
	return ask->server->heard < ask->last;
}

void
asking_silent(struct asking *ask)
{
	if (!is_silent(ask))
		return;
	health_silent(ask->server, ask->since, ask->silent);
	ask->silent = true;
}

/*
 * A free place, or that of the attempt at this server which is there longest,
 * also when sockets are scarce: asking again must not take the last ones from
 * those who have not asked yet.
 */
static struct attempt *
attempt_place(struct lookup *l, const struct server *s)
{
	bool scarce = l->d->nsock >= l->d->maxsock / 2;
	bool may_add = !(scarce && asking_under_way(l, s));
	size_t i;

	for (i = 0; may_add && i < l->nattempt; i++)
		if (l->attempt[i].server == NULL)
			return &l->attempt[i];
	if (may_add && i < nitems(l->attempt)) {
		l->nattempt++;
		l->attempt[i].server = NULL;
		return &l->attempt[i];
	}
	for (i = 0; i < l->nattempt; i++) {
		if (l->attempt[i].server == s) {
			upstream_cancel(&l->attempt[i]);
			return &l->attempt[i];
		}
	}
	return NULL;
}

void
asking_send(struct lookup *l, struct asking *ask)
{
	struct attempt *a = attempt_place(l, ask->server);

	if (a == NULL)
		return;
	a->lookup = l;
	ask->last = now_of(l);
	if (ask->sent++ > 0)
		stats_inc(&l->d->d->stats, DNSS_RETRIES);
	records_asked(ask->server);
	if (upstream_ask(ask->server, a, ask->tcp) == 0)
		return;
	if (ask->tcp && !ask->cut) {
		/* Without TCP it may still be asked the common way. */
		ask->tcp = false;
		if (upstream_ask(ask->server, a, false) == 0)
			return;
	}
	l->failed = true;
	if (!asking_under_way(l, ask->server))
		asking_done(l, ask);
}

/* For how long it is waited for, with nothing and with a later one's no. */
static void
asking_patience(const struct lookup *l, struct asking *ask)
{
	const struct server *s = ask->server;
	usec_t most = health_timeout(s), no = most;

	if (ask->probe) {
		ask->wait = 0;
		ask->hold = least(most, health_gone(s) ? GONE : DOUBT);
		return;
	}
	ask->wait = least(most, health_doubtful(s) ? DOUBT : most);
	if (l->d->in_turn)
		no = s->missed > 0 ? DOUBT : NO_IN_TURN;
	ask->hold = least(ask->wait, no);
}

void
asking_begin(struct lookup *l, struct asking *ask)
{
	struct server *s = ask->server;

	ask->state = ASK_PENDING;
	ask->since = now_of(l);
	ask->tcp = l->tcp;
	ask->probe = s->offline && !l->all_offline;
	if (ask->probe && health_gone(s) &&
	    ask->since - s->probed < PROBE_EVERY) {
		ask->state = ASK_DONE;
		return;
	}
	if (s->offline)
		s->probed = ask->since;
	asking_patience(l, ask);
	asking_send(l, ask);
}

usec_t
asking_ends(const struct asking *ask)
{
	usec_t most = health_timeout(ask->server);

	/* By then the guest may as well have what there is. */
	return ask->since + (ask->cut ? least(most, CUT_WAIT) : most);
}

usec_t
asking_next(const struct asking *ask, usec_t now)
{
	usec_t at = asking_ends(ask);

	if (ask->state != ASK_PENDING)
		return USEC_NEVER;
	if (ask->since + ask->wait > now)
		at = least(at, ask->since + ask->wait);
	if (ask->since + ask->hold > now)
		at = least(at, ask->since + ask->hold);
	return at;
}

void
asking_whole(struct lookup *l, struct asking *ask)
{
	stats_inc(&l->d->d->stats, DNSS_CUT);
	ask->state = ASK_PENDING;
	ask->since = now_of(l);
	ask->wait = ask->hold = CUT_WAIT;
	ask->probe = false;
	ask->tcp = ask->cut = true;
	asking_send(l, ask);
}
