/*
 * Whom to ask, when, and whom to believe.
 *
 * The servers of a lookup are in groups of one order.  A group is asked all at
 * once, and its first good answer is taken.  The next group is asked when this
 * one has nothing good to say or has kept silent for a moment; what it answers
 * counts when the groups before it have failed.  A server that is offline, see
 * health.h, is asked and not waited for.
 *
 * The servers of a resolv.conf are groups of one server each, and there what
 * any of them knows of a name is believed at once.
 *
 * That there is no such name is another thing: the first server may be the only
 * one that knows it, as in a company's network.  So who has a later one's no
 * waits for those before it, also for one that is offline, as it may be back;
 * and what they have not confirmed in time is not kept.
 */

#include <stdlib.h>
#include <string.h>

#include "dnsd/dnsd.h"

#define HEDGE	      (800 * USEC_MS) /* silence before the next group */
#define HEDGE_IN_TURN (400 * USEC_MS)
#define ALL_OFFLINE   USEC_SEC	     /* the wait when no server is in sight */
#define TCP_ALONE     3		     /* times silent, before UDP as well */
#define LATE	      (50 * USEC_MS) /* for a timer: nobody ran */

/* When to ask the silent ones again, since the beginning; then each second. */
static const unsigned resend_ms[] = { 400, 800, 1200, 2000, 2800, 3600, 4400 };

static usec_t
now_of(const struct lookup *l)
{
	return usec_now(l->d->d->loop);
}

static usec_t
next_resend(const struct lookup *l)
{
	unsigned n = nitems(resend_ms), ms;

	ms = l->tick < n ? resend_ms[l->tick]
			 : resend_ms[n - 1] + 1000 * (l->tick - n + 1);
	return l->start + ms * USEC_MS;
}

static uint32_t
order_of(const struct lookup *l, size_t i)
{
	return l->ask[i].server->conf->order;
}

void
race_cancel(struct lookup *l)
{
	struct asking *ask;

	for (ask = l->ask; ask < l->ask + l->nask; ask++)
		asking_done(l, ask);
	free(l->best);
	l->best = NULL;
	l->by = NULL;
	l->rank = RANK_NONE;
	l->nask = 0;
}

static bool
all_offline(const struct lookup *l)
{
	size_t i;

	for (i = 0; i < l->nask; i++)
		if (!l->ask[i].server->offline)
			return false;
	return true;
}

/*
 * One of them was not heard of for as long as it may take, and the others are
 * silent, too: there is no server.  Less than that says little where the way
 * to them is a slow one.
 */
static bool
long_silent(const struct lookup *l)
{
	const struct server *s;
	size_t i;

	for (i = 0; i < l->nask; i++) {
		s = l->ask[i].server;
		if (now_of(l) - s->unheard >= health_timeout(s))
			return true;
	}
	return false;
}

/*
 * Deciding.
 */

static bool
is_no(enum rank rank)
{
	return rank == RANK_NXDOMAIN || rank == RANK_EMPTY;
}

static bool
is_waited_for(const struct lookup *l, const struct asking *ask, bool no)
{
	return ask->state == ASK_PENDING &&
	       now_of(l) - ask->since < (no ? ask->hold : ask->wait);
}

/* Whether one of [i, end) may still say something that is waited for. */
static bool
group_waits(const struct lookup *l, size_t i, size_t end)
{
	bool no = l->rank != RANK_NONE && l->rank < RANK_CUT &&
		  order_of(l, i) < l->rank_order;

	for (; i < end; i++)
		if (is_waited_for(l, &l->ask[i], no))
			return true;
	return false;
}

static size_t
group_end(const struct lookup *l, size_t i)
{
	uint32_t order = order_of(l, i);

	while (i < l->nask && order_of(l, i) == order)
		i++;
	return i;
}

static void
arm(struct lookup *l)
{
	usec_t now = now_of(l), at = next_resend(l), next;
	struct asking *ask;

	if (l->deadline < at)
		at = l->deadline;
	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		next = asking_next(ask, now);
		if (next < at)
			at = next;
	}
	l->due = at > now ? at : now;
	ev_timer_stop(l->d->d->loop, &l->timer);
	ev_timer_set(&l->timer, (double)(l->due - now) / USEC_SEC, 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
}

/*
 * Nobody ran when the time was over, and what has come meanwhile may not have
 * been looked at: then the loop turns once more.
 */
static bool
look_first(struct lookup *l, usec_t now)
{
	if (now - l->due < LATE)
		return false;
	l->due = USEC_NEVER; /* once is enough */
	ev_timer_set(&l->timer, 0., 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
	return true;
}

/* Whether all who come before a server of this order have answered. */
static bool
is_confirmed(const struct lookup *l, uint32_t order)
{
	size_t i;

	for (i = 0; i < l->nask && order_of(l, i) < order; i++)
		if (!l->ask[i].answered)
			return false;
	return true;
}

static void
race_finish(struct lookup *l, enum rank rank, const struct server *by,
    uint8_t *msg, size_t len)
{
	l->by = by;
	l->unsure = is_no(rank) && !is_confirmed(l, by->conf->order);
	lookup_finish(l, msg, len);
}

static void
race_end(struct lookup *l)
{
	uint8_t *best = l->best;

	if (l->rank == RANK_NONE) {
		lookup_fail(l);
		return;
	}
	l->best = NULL;
	race_finish(l, l->rank, l->by, best, l->bestlen);
	free(best);
}

/* Whether who says this knows, if nobody before it says otherwise. */
static bool
is_answer(const struct lookup *l, enum rank rank)
{
	return rank == RANK_GOOD || rank == RANK_EMPTY ||
	       (rank == RANK_NXDOMAIN && l->d->in_turn);
}

/* Whether the best there is of this group ends the lookup. */
static bool
group_decides(const struct lookup *l, size_t i, size_t end)
{
	return l->rank_order == order_of(l, i) &&
	       (is_answer(l, l->rank) ||
		   (l->rank == RANK_CUT && !group_waits(l, i, end)));
}

/* Asks the group that begins at i; true: what it has said decides. */
static bool
group_step(struct lookup *l, size_t i, size_t end, bool alone)
{
	size_t k;

	for (k = i; k < end; k++)
		if (l->ask[k].state == ASK_IDLE)
			asking_begin(l, &l->ask[k]);
	return alone && group_decides(l, i, end);
}

/* In turn nobody is asked after who has said that there is no such name. */
static bool
is_behind_no(const struct lookup *l, size_t i)
{
	return l->d->in_turn && is_no(l->rank) &&
	       order_of(l, i) > l->rank_order;
}

/* Goes on as far as is possible now.  The lookup may be gone. */
static void
race_step(struct lookup *l)
{
	usec_t hedge = l->d->in_turn ? HEDGE_IN_TURN : HEDGE;
	bool waiting = false;
	size_t i, end;

	for (i = 0; i < l->nask && !is_behind_no(l, i); i = end) {
		end = group_end(l, i);
		if (group_step(l, i, end, !waiting)) {
			race_end(l);
			return;
		}
		if (!group_waits(l, i, end))
			continue;
		waiting = true;
		if (now_of(l) - l->ask[i].since < hedge)
			break;
	}
	if (waiting)
		arm(l);
	else
		race_end(l);
}

void
race_start(struct lookup *l)
{
	struct dnsd *d = l->d;
	uint8_t list[ROUTE_MAXASKED];
	uint32_t longest = 0;
	size_t i;

	l->nask =
	    route_select(&d->route, l->q.head.name, l->q.head.namelen, list);
	l->tick = 0;
	l->failed = l->unsure = l->kept = false;
	l->start = now_of(l);
	for (i = 0; i < l->nask; i++) {
		l->ask[i] = (struct asking){ .server = &d->server[list[i]] };
		if (l->ask[i].server->conf->timeout_ms > longest)
			longest = l->ask[i].server->conf->timeout_ms;
	}
	l->all_offline = all_offline(l);
	l->deadline = longest * USEC_MS + (d->in_turn ? 0 : HEDGE);
	if (l->deadline > HEALTH_LONGEST)
		l->deadline = HEALTH_LONGEST;
	if (l->all_offline && l->deadline > ALL_OFFLINE && long_silent(l))
		l->deadline = ALL_OFFLINE;
	l->deadline += l->start;
	race_step(l);
}

static void
expire(struct lookup *l, usec_t now)
{
	struct asking *ask;
	bool over;

	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (ask->state != ASK_PENDING)
			continue;
		over = now >= asking_ends(ask) || now >= l->deadline;
		if (over || (!ask->probe && now - ask->since >= ask->wait))
			asking_silent(ask);
		/* Until then it may answer the next who asks. */
		if (now >= asking_ends(ask))
			asking_done(l, ask);
	}
}

/* Those that are silent are asked once more; connections need no help. */
static void
resend(struct lookup *l)
{
	struct asking *ask;

	l->tick++;
	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (ask->state != ASK_PENDING || ask->probe)
			continue;
		if (l->d->in_turn && now_of(l) - ask->since >= HEDGE_IN_TURN)
			asking_silent(ask);
		/* A firewall may swallow TCP where UDP gets through. */
		if (ask->tcp && !ask->cut && l->tick == TCP_ALONE)
			ask->tcp = false;
		if (!ask->tcp)
			asking_send(l, ask);
	}
}

void
race_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct lookup *l = w->data;
	usec_t now = usec_now(loop);

	if (l->ghost) {
		lookup_free(l);
		return;
	}
	if (look_first(l, now))
		return;
	expire(l, now);
	if (now >= l->deadline) {
		race_end(l);
		return;
	}
	if (now >= next_resend(l))
		resend(l);
	race_step(l);
}

/*
 * What the attempts come to.
 */

static enum rank
rank_of(const struct msg_head *h, bool tcp)
{
	switch (h->flags & 15) {
	case DNS_NOERROR:
		break;
	case DNS_NXDOMAIN:
		return RANK_NXDOMAIN;
	default:
		return RANK_ERROR;
	}
	if ((h->flags & DNS_TC) != 0 && !tcp)
		return RANK_CUT;
	return h->count[SEC_ANSWER] > 0 ? RANK_GOOD : RANK_EMPTY;
}

static void
keep_best(struct lookup *l, enum rank rank, const struct server *s,
    const uint8_t *msg, size_t len)
{
	uint32_t order = s->conf->order;
	uint8_t *p;

	if (rank < l->rank || (rank == l->rank && order >= l->rank_order) ||
	    (p = malloc(len)) == NULL)
		return;
	memcpy(p, msg, len);
	free(l->best);
	l->best = p;
	l->bestlen = len;
	l->rank = rank;
	l->rank_order = order;
	l->by = s;
}

/* Whether nobody who comes before this server can still say otherwise. */
static bool
decides(const struct lookup *l, const struct asking *ask, enum rank rank)
{
	uint32_t order = ask->server->conf->order;
	size_t i;

	if (l->d->in_turn && rank == RANK_GOOD)
		return true;
	if (!is_answer(l, rank))
		return false;
	for (i = 0; i < l->nask && order_of(l, i) < order; i++)
		if (is_waited_for(l, &l->ask[i], is_no(rank)))
			return false;
	return true;
}

/* There is nobody any more whom a ghost could wait for. */
static void
ghost_step(struct lookup *l)
{
	struct asking *ask;

	for (ask = l->ask; ask < l->ask + l->nask; ask++)
		if (ask->state == ASK_PENDING)
			return;
	lookup_free(l);
}

static void
ghost_answer(struct lookup *l, const struct asking *ask, enum rank rank,
    const uint8_t *msg, size_t len)
{
	l->unsure = is_no(rank) && !is_confirmed(l, ask->server->conf->order);
	if (rank != RANK_CUT)
		lookup_late(l, msg, len);
	ghost_step(l);
}

void
lookup_answer(struct lookup *l, struct attempt *a, uint8_t *msg, size_t len,
    const struct msg_head *h)
{
	struct server *s = a->server;
	enum rank rank = rank_of(h, a->tcp);
	struct asking *ask = asking_of(l, s);

	health_heard(s);
	/* Asked twice, it is not known which of them it answers. */
	records_answered(s, ask->sent == 1 ? now_of(l) - ask->since : 0);
	ask->answered = true;
	asking_done(l, ask);
	if (l->ghost) {
		ghost_answer(l, ask, rank, msg, len);
		return;
	}
	if (decides(l, ask, rank)) {
		race_finish(l, rank, s, msg, len);
		return;
	}
	keep_best(l, rank, s, msg, len);
	if (rank == RANK_CUT)
		asking_whole(l, ask);
	race_step(l);
}

void
lookup_attempt_failed(struct lookup *l, struct attempt *a)
{
	struct server *s = a->server;
	struct asking *ask = asking_of(l, s);
	bool tcp = a->tcp;

	upstream_cancel(a);
	l->failed = true;
	if (tcp && !ask->cut && !l->ghost) {
		ask->tcp = false;
		asking_send(l, ask);
	} else if (!asking_under_way(l, s)) {
		if (!tcp) {
			health_silent(s, ask->since, ask->silent);
			ask->silent = true;
		}
		asking_done(l, ask);
	}
	if (l->ghost)
		ghost_step(l);
	else
		race_step(l);
}

void
lookup_ask_again(struct lookup *l, struct attempt *a)
{
	struct asking *ask = asking_of(l, a->server);

	upstream_cancel(a);
	asking_send(l, ask);
	if (!l->ghost)
		race_step(l);
}

/*
 * Whether its answer is still of use: a server of which nothing is heard may be
 * there again, and what it says is kept for the next who asks.  One lookup for
 * each such server is enough.
 */
static bool
lingers(const struct lookup *l, const struct asking *ask)
{
	const struct server *s = ask->server;

	return ask->state == ASK_PENDING && s->missed > 0 && s->ghost == NULL &&
	       asking_under_way(l, s) && asking_ends(ask) > now_of(l);
}

/*
 * The guests have their answer, or none: the lookup stays without a guest until
 * those have answered whose time is not over.
 */
bool
race_linger(struct lookup *l)
{
	usec_t now = now_of(l), until = now;
	struct asking *ask;

	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (!lingers(l, ask)) {
			asking_done(l, ask);
			continue;
		}
		ask->server->ghost = l;
		if (asking_ends(ask) > until)
			until = asking_ends(ask);
	}
	if (until == now)
		return false;
	ev_timer_stop(l->d->d->loop, &l->timer);
	ev_timer_set(&l->timer, (double)(until - now) / USEC_SEC, 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
	return true;
}
